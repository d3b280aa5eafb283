package keyless

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sign/keyless/keylesstest"
)

// person does what they are told: opens the address that is shown. What was shown and what is secret is written down.
type person struct {
	told    string
	secrets []string
	away    bool
	opens   func(address string) // instead
}

var address = regexp.MustCompile(`https?://\S+`)

func (p *person) terminal(t *testing.T) Terminal {
	return Terminal{
		Here: func() error {
			if p.away {
				return &gate.Refusal{Code: "token-unattended"}
			}
			return nil
		},
		Tell: func(text string) {
			if p.told = text; p.opens != nil {
				p.opens(address.FindString(text))
				return
			}
			go func() { _, _ = visit(address.FindString(text)) }()
		},
		Secret: func(s string) { p.secrets = append(p.secrets, s) },
	}
}

// visit opens an address as a browser does, and gives what is shown in the end.
func visit(address string) (string, error) {
	answer, err := http.Get(address)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	return fmt.Sprint(answer.StatusCode, " ", string(body)), err
}

func TestSignIn(t *testing.T) {
	t.Parallel()
	for _, flow := range Flows {
		t.Run(flow, func(t *testing.T) {
			t.Parallel()
			i := keylesstest.NewIssuer(t)
			i.Email, i.Pending = builder, 1
			p := &person{}
			token, err := SignIn{Issuer: i.URL, Flow: flow, Terminal: p.terminal(t), Wait: time.Second}.Token(context.Background(), "sigstore")
			if err != nil {
				t.Fatal(err)
			}
			if err := checkToken(token, "sigstore", time.Now()); err != nil {
				t.Error(err)
			}
			if len(p.secrets) != 1 || p.secrets[0] != token {
				t.Errorf("what is kept secret: %q", p.secrets)
			}
			if flow == Device && !strings.Contains(p.told, "ABCD-EFGH") {
				t.Errorf("told %q", p.told)
			}
		})
	}
}

// An issuer, or somebody between, that answers otherwise than it should gives no token.
func TestSignInRefuses(t *testing.T) {
	t.Parallel()
	set := func(part, key string, value any) keylesstest.Person {
		return keylesstest.Person{Lie: func(p string, said map[string]any) {
			if p == part {
				said[key] = value
			}
		}}
	}
	claims := func(key string, value any) keylesstest.Person {
		return keylesstest.Person{Claims: map[string]any{key: value}}
	}
	for _, tt := range []struct {
		name, flow, code string
		person           keylesstest.Person
	}{
		{"no", Browser, "token-refused", keylesstest.Person{Deny: true}},
		{"no", Device, "token-refused", keylesstest.Person{Deny: true}},
		{"another issuer's configuration", Browser, "token-refused", set("configuration", "issuer", "https://accounts.example")},
		{"addresses without encryption", Browser, "token-foreign", set("configuration", "authorization_endpoint", "http://accounts.example/auth")},
		{"tokens elsewhere without encryption", Device, "token-foreign", set("configuration", "token_endpoint", "http://accounts.example/token")},
		{"no device flow", Device, "token-refused", set("configuration", "device_authorization_endpoint", "")},
		{"no browser flow", Browser, "token-refused", set("configuration", "authorization_endpoint", "")},
		{"back from another issuer", Browser, "token-foreign", set("back", "iss", "https://accounts.example")},
		{"another code", Browser, "token-refused", set("back", "code", "another")},
		{"another nonce", Browser, "token-foreign", claims("nonce", "another")},
		{"no nonce", Browser, "token-foreign", claims("nonce", "")},
		{"a token of another issuer", Browser, "token-foreign", claims("iss", "https://accounts.example")},
		{"a token of another issuer", Device, "token-foreign", claims("iss", "https://accounts.example")},
		{"for another audience", Device, "token-foreign", claims("aud", "other")},
		{"expired", Browser, "token-foreign", claims("exp", 1)},
		{"no token", Device, "token-foreign", set("token", "id_token", nil)},
		{"a number for a token", Browser, "token-foreign", set("token", "id_token", 1)},
		{"nobody's signature", Browser, "token-foreign", set("token", "id_token", keylesstest.Unsigned(map[string]any{"iss": "x"}, nil))},
		{"a code that is none", Device, "token-foreign", set("device", "user_code", "\x1b[2Jpwned")},
		{"a code without end", Device, "token-foreign", set("device", "user_code", strings.Repeat("A", 3000))},
		{"no code", Device, "token-foreign", set("device", "user_code", "")},
		{"a place that is none", Device, "token-foreign", set("device", "verification_uri", "javascript:alert(1)")},
		{"a place with codes for terminals", Device, "token-foreign", set("device", "verification_uri_complete", "https://accounts.example/\u202e")},
	} {
		t.Run(tt.name+", "+tt.flow, func(t *testing.T) {
			t.Parallel()
			i := keylesstest.NewIssuer(t)
			i.Person = tt.person
			i.Email = builder
			started := time.Now()
			token, err := SignIn{Issuer: i.URL, Flow: tt.flow, Terminal: (&person{}).terminal(t), Wait: time.Second}.Token(context.Background(), "sigstore")
			if gate.Code(err) != tt.code || token != "" {
				t.Errorf("%q, %v, want %s", token, err, tt.code)
			}
			if d := time.Since(started); d > 30*time.Second {
				t.Errorf("it took %v", d)
			}
		})
	}
	for issuer, code := range map[string]string{"http://accounts.example": "token-foreign", "": "token-foreign", "https://me:secret@accounts.example": "token-foreign", "http://127.0.0.1:1": "token-refused"} {
		if _, err := (SignIn{Issuer: issuer, Flow: Browser, Terminal: (&person{}).terminal(t), Wait: time.Second, Note: func(string) {}}).Token(context.Background(), "sigstore"); gate.Code(err) != code {
			t.Errorf("%s: %v", issuer, err)
		}
	}
}

// A pause that an issuer asks for cannot stop the program, and hostile numbers of seconds neither.
func TestDevicePauses(t *testing.T) {
	t.Parallel()
	for _, interval := range []int64{-1, 0, 1 << 62} {
		i := keylesstest.NewIssuer(t)
		i.Person = keylesstest.Person{Email: builder, Deny: true, Lie: func(part string, said map[string]any) {
			if part == "device" {
				said["interval"], said["expires_in"] = interval, 2
			}
		}}
		_, err := SignIn{Issuer: i.URL, Flow: Device, Terminal: (&person{}).terminal(t), Wait: time.Second}.Token(context.Background(), "sigstore")
		if gate.Code(err) != "token-refused" || !strings.Contains(err.Error(), "in time") {
			t.Errorf("%d: %v", interval, err)
		}
	}
}

// Other pages that send the browser here do not end the waiting, and get nothing; where nobody is there, nobody waits; who stops, stops.
func TestBrowserComesBack(t *testing.T) {
	t.Parallel()
	i := keylesstest.NewIssuer(t)
	i.Email = builder
	redirect := regexp.MustCompile(`redirect_uri=http%3A%2F%2Flocalhost%3A(\d+)`)
	p := &person{}
	p.opens = func(address string) {
		port := redirect.FindStringSubmatch(address)[1]
		for _, query := range []string{"", "?code=x", "?code=x&state=guess"} {
			if said, err := visit("http://127.0.0.1:" + port + callbackPath + query); err != nil || !strings.HasPrefix(said, "400 ") || strings.Contains(said, "guess") {
				t.Errorf("%s: %q, %v", query, said, err)
			}
		}
		if said, err := visit("http://127.0.0.1:" + port + "/other"); err != nil || !strings.HasPrefix(said, "404 ") {
			t.Errorf("%q, %v", said, err)
		}
		go func() {
			if said, err := visit(address); err != nil || !strings.HasPrefix(said, "200 ") {
				t.Errorf("%q, %v", said, err)
			}
		}()
	}
	s := SignIn{Issuer: i.URL, Flow: Browser, Terminal: p.terminal(t), Wait: time.Second}
	if _, err := s.Token(context.Background(), "sigstore"); err != nil {
		t.Error(err)
	}
	away := &person{away: true}
	for _, flow := range Flows {
		alone := s
		alone.Flow, alone.Terminal = flow, away.terminal(t)
		if _, err := alone.Token(context.Background(), "sigstore"); gate.Code(err) != "token-unattended" || away.told != "" {
			t.Errorf("%s: %v, told %q", flow, err, away.told)
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	p.opens = func(string) { stop() }
	s.Flow = Browser
	if _, err := s.Token(ctx, "sigstore"); !errors.Is(err, context.Canceled) || gate.Code(err) != "" {
		t.Error(err)
	}
}

// A person is asked only where no platform gives a token.
func TestElse(t *testing.T) {
	t.Parallel()
	source := func(token, code string) TokenSource {
		return func(context.Context, string) (string, error) {
			if code != "" {
				return "", &gate.Refusal{Code: code}
			}
			return token, nil
		}
	}
	for name, tt := range map[string]struct {
		first      TokenSource
		want, code string
	}{
		"a token": {source("first", ""), "first", ""},
		"none":    {source("", "token-missing"), "second", ""},
		"refused": {source("", "token-refused"), "", "token-refused"},
	} {
		if got, err := tt.first.Else(source("second", ""))(context.Background(), ""); got != tt.want || gate.Code(err) != tt.code {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}
