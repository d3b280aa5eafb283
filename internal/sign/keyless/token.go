package keyless

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/strictjson"
)

// TokenSource gives an OpenID Connect token for an audience.
type TokenSource func(ctx context.Context, audience string) (string, error)

// maxToken bounds a token, in bytes.
const maxToken = 64 << 10

// Variable is the environment variable that holds a token: GitLab CI sets it where id_tokens says so.
const Variable = "SIGSTORE_ID_TOKEN"

// SecretVariables are the environment variables that hold tokens, or what gives tokens.
var SecretVariables = []string{Variable, requestTokenVariable, buildkiteTokenVariable}

// Names of what platforms set.
const (
	requestURLVariable     = "ACTIONS_ID_TOKEN_REQUEST_URL"
	requestTokenVariable   = "ACTIONS_ID_TOKEN_REQUEST_TOKEN"
	buildkiteTokenVariable = "BUILDKITE_AGENT_ACCESS_TOKEN"
	buildkiteURLVariable   = "BUILDKITE_AGENT_ENDPOINT"
	buildkiteJobVariable   = "BUILDKITE_JOB_ID"
	googleHostVariable     = "GCE_METADATA_HOST"
)

// projectedToken is where a Kubernetes pod has the token of its service account for this purpose, as Sigstore's tools expect it.
const projectedToken = "/var/run/sigstore/cosign/oidc-token"

// Environment is where a process may find a token.
type Environment struct {
	Getenv func(string) string
	File   string // given by the user; read each time, so that it may be renewed
	Client *http.Client
	Mount  string // of the projected token; default projectedToken
	Google func() bool
	Secret func(string) // is told each token, so that nothing shows it; may be nil
}

// Token finds a token: the file, SIGSTORE_ID_TOKEN, and then what the platform gives: GitHub Actions, Buildkite, the file that Kubernetes
// projects, SPIFFE, Google Cloud. It refuses with token-missing when there is none, and with token-refused when the platform
// does not give one.
func (e Environment) Token(ctx context.Context, audience string) (string, error) {
	token, err := e.find(ctx, audience)
	if err != nil {
		return "", err
	}
	token = strings.TrimSpace(token)
	if e.Secret != nil {
		e.Secret(token)
	}
	return token, nil
}

func (e Environment) find(ctx context.Context, audience string) (string, error) {
	mount := e.Mount
	if mount == "" {
		mount = projectedToken
	}
	switch {
	case e.File != "":
		data, err := readToken(e.File)
		if err != nil {
			return "", missing("read token: "+err.Error(), e.File)
		}
		return data, nil
	case e.Getenv(Variable) != "":
		return e.Getenv(Variable), nil
	case e.Getenv(requestURLVariable) != "":
		return e.github(ctx, audience)
	case e.Getenv(buildkiteTokenVariable) != "" && e.Getenv(buildkiteJobVariable) != "":
		return e.buildkite(ctx, audience)
	}
	data, err := readToken(mount)
	switch {
	case err == nil:
		return data, nil
	case !errors.Is(err, fs.ErrNotExist):
		return "", refused("Kubernetes", err)
	case e.Getenv(spiffeVariable) != "":
		return e.spiffe(ctx, audience)
	}
	if e.Getenv(googleHostVariable) != "" || e.Google != nil && e.Google() {
		return e.google(ctx, audience)
	}
	return "", missing("there is no token that says who signs", "")
}

func missing(what, where string) error {
	return &gate.Refusal{Code: "token-missing", Class: gate.Usage, What: what, Where: where, Expected: "an OpenID Connect token",
		Fix: "set " + Variable + ", give --identity-token FILE, or sign in with --sign-in browser; in GitHub Actions: permissions: id-token: write; in GitLab CI: id_tokens: " + Variable}
}

// github asks GitHub Actions; see OpenID Connect reference, "Updating your actions for OIDC".
func (e Environment) github(ctx context.Context, audience string) (string, error) {
	u, err := url.Parse(e.Getenv(requestURLVariable))
	if err != nil {
		return "", refused("GitHub Actions", errors.New("its URL is none"))
	}
	q := u.Query()
	q.Set("audience", audience)
	u.RawQuery = q.Encode()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return "", refused("GitHub Actions", err)
	}
	r.Header.Set("Authorization", "Bearer "+e.Getenv(requestTokenVariable))
	return e.ask(r, "GitHub Actions", "value")
}

// buildkite asks Buildkite's agent API, as buildkite-agent oidc request-token does.
func (e Environment) buildkite(ctx context.Context, audience string) (string, error) {
	endpoint := e.Getenv(buildkiteURLVariable)
	if endpoint == "" {
		endpoint = "https://agent.buildkite.com/v3"
	}
	body, err := json.Marshal(map[string]string{"audience": audience})
	if err != nil {
		return "", err
	}
	at := strings.TrimSuffix(endpoint, "/") + "/jobs/" + url.PathEscape(e.Getenv(buildkiteJobVariable)) + "/oidc/tokens"
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, at, strings.NewReader(string(body)))
	if err != nil {
		return "", refused("Buildkite", err)
	}
	r.Header.Set("Authorization", "Token "+e.Getenv(buildkiteTokenVariable))
	r.Header.Set("Content-Type", "application/json")
	return e.ask(r, "Buildkite", "token")
}

// OnGoogle reports whether this machine says that it is one of Google Cloud.
func OnGoogle() bool {
	name, err := os.ReadFile("/sys/class/dmi/id/product_name")
	return err == nil && strings.HasPrefix(string(name), "Google")
}

// google asks the metadata server of a machine in Google Cloud.
func (e Environment) google(ctx context.Context, audience string) (string, error) {
	host := e.Getenv(googleHostVariable)
	if host == "" {
		host = "metadata.google.internal"
	}
	at := "http://" + host + "/computeMetadata/v1/instance/service-accounts/default/identity?format=full&audience=" + url.QueryEscape(audience)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return "", refused("Google Cloud", err)
	}
	r.Header.Set("Metadata-Flavor", "Google")
	return e.ask(r, "Google Cloud", "")
}

// ask gives the token that a platform answers with: a field of an object, or the whole body.
func (e Environment) ask(r *http.Request, platform, field string) (string, error) {
	client := e.Client
	if client == nil {
		client = &http.Client{Timeout: oneTry, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }} // what opens the door goes nowhere else
	}
	answer, err := client.Do(r)
	if err != nil {
		return "", refused(platform, err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxToken))
	if err != nil {
		return "", refused(platform, err)
	}
	if answer.StatusCode != http.StatusOK {
		return "", refused(platform, errors.New(answer.Status)) // the body may repeat what was sent
	}
	if field == "" {
		return string(body), nil
	}
	var said map[string]any
	if err := json.Unmarshal(body, &said); err != nil {
		return "", refused(platform, errors.New("its answer is not JSON"))
	}
	token, _ := said[field].(string)
	if token == "" {
		return "", refused(platform, errors.New("its answer has no "+field))
	}
	return token, nil
}

func refused(platform string, err error) error {
	return &gate.Refusal{Code: "token-refused", Class: gate.Failed, What: platform + " gives no token", Cause: err, Fix: "allow the job to have one: in GitHub Actions permissions: id-token: write; then try again"}
}

func readToken(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxToken))
	return string(data), err
}

// checkToken refuses what the authority would refuse, before it is sent: token-invalid, token-expired, token-audience. Nothing in the token
// is believed: its signature is the authority's to check.
func checkToken(token, audience string, now time.Time) error {
	invalid := func(why string) error {
		return &gate.Refusal{Code: "token-invalid", Class: gate.Usage, What: "this is no OpenID Connect token: " + why, Expected: "a signed JSON web token", Fix: "give the token as the issuer gave it"}
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 || len(token) > maxToken {
		return invalid(fmt.Sprintf("it has %d parts", len(parts)))
	}
	claims, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || strictjson.Check(claims) != nil {
		return invalid("its claims cannot be read")
	}
	var said struct {
		Expires  json.Number `json:"exp"`
		Audience any         `json:"aud"`
	}
	if err := json.Unmarshal(claims, &said); err != nil {
		return invalid("its claims cannot be read")
	}
	seconds, err := said.Expires.Float64()
	if err != nil {
		return invalid("it does not say when it expires")
	}
	if at := time.Unix(int64(seconds), 0); !at.After(now) {
		return &gate.Refusal{Code: "token-expired", Class: gate.Usage, What: "the token that says who signs has expired", Expected: "valid at " + now.UTC().Format(time.RFC3339),
			Actual: "expired at " + at.UTC().Format(time.RFC3339), Fix: "get another one; the same command goes on where it stopped"}
	}
	var audiences []any
	switch a := said.Audience.(type) {
	case []any:
		audiences = a
	default:
		audiences = []any{a}
	}
	if !slices.Contains(audiences, any(audience)) {
		return &gate.Refusal{Code: "token-audience", Class: gate.Usage, What: "the token is for somebody else than the certificate authority", Expected: audience, Actual: fmt.Sprintf("%.200q", fmt.Sprint(audiences...)),
			Fix: "ask the issuer for a token with this audience"}
	}
	return nil
}
