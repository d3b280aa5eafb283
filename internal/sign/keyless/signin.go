package keyless

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/sello-release/sello/internal/gate"
)

// Flows in which a person signs in.
const (
	Browser = "browser" // on this machine: authorization code with PKCE (RFC 7636), redirected to loopback (RFC 8252)
	Device  = "device"  // on any machine, by a code that is typed there (RFC 8628)
)

// Flows are all of them.
var Flows = []string{Browser, Device}

// signInTime is how long a person has to sign in.
const signInTime = 10 * time.Minute

// Terminal is where a person can be asked to sign in.
type Terminal struct {
	Here   func() error      // refuses with token-unattended where nobody is there
	Tell   func(text string) // shows what to do
	Secret func(string)      // is told each token, so that nothing shows it
}

// SignIn asks a person to sign in with an OpenID Connect issuer. No program is started: the address is shown, and opening it is theirs to do.
type SignIn struct {
	Issuer   string // URL
	Flow     string
	Terminal Terminal
	Wait     time.Duration // for an issuer that is down
	Note     func(string)
}

// Token is a TokenSource. The client of the issuer is called as the audience is. The token's signature, issuer, audience and time are those
// of the issuer, and what comes back from a browser has to answer what was asked. It refuses, by code: token-unattended, token-refused (the
// issuer is down or gives none, the person said no or took too long), token-foreign (an answer to something else, or by somebody else).
func (s SignIn) Token(ctx context.Context, audience string) (string, error) {
	if err := s.Terminal.Here(); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, signInTime)
	defer cancel()
	if err := checkURL(s.Issuer); err != nil {
		return "", s.foreign("the issuer's address is none to sign in at", "an https URL", fmt.Sprintf("%.200q", s.Issuer), nil)
	}
	p := &patience{ctx: ctx, next: newTransport(), wait: s.Wait, note: s.Note}
	ctx = oidc.ClientContext(ctx, &http.Client{Transport: p})
	provider, err := oidc.NewProvider(ctx, s.Issuer)
	if err != nil {
		return "", s.refused(err)
	}
	endpoint := provider.Endpoint()
	for _, text := range []string{endpoint.AuthURL, endpoint.TokenURL, endpoint.DeviceAuthURL} {
		if err := checkURL(text); err != nil && text != "" {
			return "", s.foreign("the issuer names an address that tokens are not sent to", "https URLs", fmt.Sprintf("%.200q", text), nil)
		}
	}
	config := oauth2.Config{ClientID: audience, Endpoint: endpoint, Scopes: []string{oidc.ScopeOpenID, "email"}}
	var answer *oauth2.Token
	var nonce string
	if s.Flow == Device {
		answer, err = s.device(ctx, config)
	} else {
		nonce = rand.Text()
		answer, err = s.browser(ctx, config, nonce)
	}
	if err != nil {
		return "", err
	}
	text, ok := answer.Extra("id_token").(string)
	if !ok || len(text) > maxToken {
		return "", s.foreign("the issuer answers without an identity token", "id_token", "none", nil)
	}
	s.Terminal.Secret(text)
	token, err := provider.Verifier(&oidc.Config{ClientID: audience}).Verify(ctx, text)
	if err != nil {
		return "", s.foreign("the token is not one that the issuer gave for this", s.Issuer+", for "+audience, "", brief(err))
	}
	if subtle.ConstantTimeCompare([]byte(token.Nonce), []byte(nonce)) != 1 && s.Flow != Device {
		return "", s.foreign("the token answers another request than this one", "the nonce that was sent", "another", nil)
	}
	return text, nil
}

// device shows a code, and asks the issuer until the person has typed it in.
func (s SignIn) device(ctx context.Context, config oauth2.Config) (*oauth2.Token, error) {
	if config.Endpoint.DeviceAuthURL == "" {
		return nil, s.refused(errors.New("it has no device flow; --sign-in browser may do"))
	}
	verifier := oauth2.GenerateVerifier()
	code, err := config.DeviceAuth(ctx, oauth2.S256ChallengeOption(verifier))
	if err != nil {
		return nil, s.refused(err)
	}
	where := code.VerificationURIComplete
	if where == "" {
		where = code.VerificationURI
	}
	if err := checkURL(where); err != nil || code.DeviceCode == "" || !plain(code.UserCode) || !plain(where) {
		return nil, s.foreign("the issuer gives no code that can be typed in", "an https URL and a short code", fmt.Sprintf("%.200q %.100q", where, code.UserCode), nil)
	}
	// A negative pause would be a panic, a long one a wait without end.
	if code.Interval = min(code.Interval, 60); code.Interval <= 0 {
		code.Interval = 5 // RFC 8628, section 3.2
	}
	s.Terminal.Tell("To sign, open " + where + " on any device, and see that it shows the code " + code.UserCode)
	answer, err := config.DeviceAccessToken(ctx, code, oauth2.VerifierOption(verifier))
	if err != nil {
		return nil, s.refused(err)
	}
	return answer, nil
}

// plain reports whether a text of the issuer's can be shown and typed.
func plain(text string) bool {
	return text != "" && len(text) <= 2000 && !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' })
}

// browser shows an address, and waits for the browser to come back with a code.
func (s SignIn) browser(ctx context.Context, config oauth2.Config, nonce string) (*oauth2.Token, error) {
	if config.Endpoint.AuthURL == "" || config.Endpoint.TokenURL == "" {
		return nil, s.refused(errors.New("it has no browser flow; --sign-in device may do"))
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("wait for the browser: %w", err)
	}
	// By name: issuers know public clients by it (RFC 8252, section 8.3, would rather have the address).
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		return nil, fmt.Errorf("wait for the browser: %w", err)
	}
	config.RedirectURL = "http://localhost:" + port + callbackPath
	state, verifier := rand.Text(), oauth2.GenerateVerifier()
	back := make(chan url.Values, 1)
	server := &http.Server{Handler: callback(state, back), ReadHeaderTimeout: 5 * time.Second, MaxHeaderBytes: 64 << 10}
	go func() { _ = server.Serve(listener) }()
	defer server.Close()
	s.Terminal.Tell("To sign, open this address in a browser on this machine:\n\n  " + config.AuthCodeURL(state, oidc.Nonce(nonce), oauth2.S256ChallengeOption(verifier)) + "\n")
	var said url.Values
	select {
	case said = <-back:
	case <-ctx.Done():
		return nil, s.refused(context.Cause(ctx))
	}
	if iss := said.Get("iss"); iss != "" && iss != s.Issuer { // RFC 9207
		return nil, s.foreign("the browser came back from another issuer", s.Issuer, fmt.Sprintf("%.200q", iss), nil)
	}
	if said.Get("code") == "" {
		return nil, s.refused(fmt.Errorf("%.100q: %.200q", said.Get("error"), said.Get("error_description")))
	}
	answer, err := config.Exchange(ctx, said.Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		return nil, s.refused(err)
	}
	return answer, nil
}

const callbackPath = "/auth/callback"

// callback takes the first answer to this request. Any page can send a browser here: what does not know the state is turned away, and
// does not end the waiting.
func callback(state string, back chan<- url.Values) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+callbackPath, func(w http.ResponseWriter, r *http.Request) {
		said := r.URL.Query()
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		if subtle.ConstantTimeCompare([]byte(said.Get("state")), []byte(state)) != 1 {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintln(w, "This answers nothing that sello asked.")
			return
		}
		fmt.Fprintln(w, "Sello has the answer. This page can be closed.")
		select {
		case back <- said:
		default:
		}
	})
	return mux
}

func (s SignIn) refused(err error) error {
	r := &gate.Refusal{Code: "token-refused", Class: gate.Failed, Where: s.Issuer, What: "signing in gave no token", Cause: brief(err), Fix: "try again, and finish signing in within " + signInTime.String()}
	var answer *oauth2.RetrieveError
	var down *unreachable
	switch {
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("sign in: %w", err)
	case errors.As(err, &down): // first: each try has a time of its own
		r.What, r.Fix = "the issuer is down", "try again when it is up"
	case errors.Is(err, context.DeadlineExceeded):
		r.Cause = errors.New("nobody signed in in time")
	case errors.As(err, &answer): // the body may repeat what was sent
		r.Cause = fmt.Errorf("%.100q: %.200q", answer.ErrorCode, answer.ErrorDescription)
	}
	return r
}

func (s SignIn) foreign(what, expected, actual string, cause error) error {
	return &gate.Refusal{Code: "token-foreign", Class: gate.Refused, Where: s.Issuer, What: what, Expected: expected, Actual: actual, Cause: cause,
		Fix: "do not go on if you cannot explain it: see whether the signing configuration names the issuer that is meant, and try again"}
}

// Else asks a second source when the first finds no token.
func (t TokenSource) Else(other TokenSource) TokenSource {
	return func(ctx context.Context, audience string) (string, error) {
		token, err := t(ctx, audience)
		if gate.Code(err) == "token-missing" {
			return other(ctx, audience)
		}
		return token, err
	}
}
