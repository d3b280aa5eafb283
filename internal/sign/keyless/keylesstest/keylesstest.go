// Package keylesstest runs a Sigstore instance for tests: Fulcio, Rekor v2 and the timestamp authority as their projects publish
// them, and an OpenID Connect issuer, all on loopback. It has no log of certificates, and its trusted root says so by naming none.
package keylesstest

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	prototrustroot "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"
	"github.com/sigstore/sigstore-go/pkg/root"

	"github.com/sello-release/sello/internal/registry/registrytest"
)

// Issuer is an OpenID Connect issuer that gives anybody the token that they ask for.
type Issuer struct {
	URL string
	key *rsa.PrivateKey

	Person // who signs in
}

// NewIssuer starts an issuer.
func NewIssuer(tb testing.TB) *Issuer {
	tb.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	check(tb, err)
	i := &Issuer{key: key}
	mux := http.NewServeMux()
	answer := func(path string, value func() any) {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(value())
		})
	}
	answer("/.well-known/openid-configuration", func() any {
		return i.says("configuration", map[string]any{"issuer": i.URL, "jwks_uri": i.URL + "/keys", "authorization_endpoint": i.URL + "/auth", "token_endpoint": i.URL + "/token", "device_authorization_endpoint": i.URL + "/device",
			"response_types_supported": []string{"code", "id_token"}, "subject_types_supported": []string{"public"}, "id_token_signing_alg_values_supported": []string{"RS256"}})
	})
	answer("/keys", func() any {
		return map[string]any{"keys": []any{map[string]any{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "1", "n": raw(key.N.Bytes()), "e": raw(big.NewInt(int64(key.E)).Bytes())}}}
	})
	i.people(tb, mux)
	s := httptest.NewServer(mux)
	tb.Cleanup(s.Close)
	i.URL = s.URL
	return i
}

// Token gives a token for an e-mail address; changes replace or add claims.
func (i *Issuer) Token(tb testing.TB, email string, changes map[string]any) string {
	tb.Helper()
	text := Unsigned(Claims(i.URL, email), changes)
	text = text[:strings.LastIndex(text, ".")]
	sum := sha256.Sum256([]byte(text))
	sig, err := rsa.SignPKCS1v15(rand.Reader, i.key, crypto.SHA256, sum[:])
	check(tb, err)
	return text + "." + raw(sig)
}

// Claims are what a token for an e-mail address says.
func Claims(issuer, email string) map[string]any {
	now := time.Now()
	return map[string]any{"iss": issuer, "sub": email, "email": email, "email_verified": true, "aud": "sigstore", "iat": now.Unix(), "nbf": now.Unix() - 5, "exp": now.Add(10 * time.Minute).Unix()}
}

// Unsigned is a token with claims that nobody signed: for services that look at none.
func Unsigned(claims, changes map[string]any) string {
	claims = maps.Clone(claims)
	maps.Copy(claims, changes)
	body, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	return raw([]byte(`{"alg":"RS256","kid":"1","typ":"JWT"}`)) + "." + raw(body) + ".AAAA"
}

func raw(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// Instance is a Sigstore instance with its issuer.
type Instance struct {
	*Issuer
	Fulcio, Rekor, Clock string // URLs
	Root, Config         []byte // trusted_root.json, signing_config.json
}

// Start starts an instance. The test is skipped where the programs are not in the test cache and SELLO_JUDGES is not set.
func Start(tb testing.TB) *Instance {
	tb.Helper()
	fulcio, rekor, clock := registrytest.Tool(tb, "fulcio"), registrytest.Tool(tb, "posix"), registrytest.Tool(tb, "timestamp-server")
	i := &Instance{Issuer: NewIssuer(tb)}
	dir := tb.TempDir()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	check(tb, err)
	der, err := x509.MarshalPKCS8PrivateKey(private)
	check(tb, err)
	key := filepath.Join(dir, "log.pem")
	check(tb, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))
	settings := filepath.Join(dir, "fulcio.yaml")
	check(tb, os.WriteFile(settings, fmt.Appendf(nil, "oidc-issuers:\n  %[1]s:\n    issuer-url: %[1]s\n    client-id: sigstore\n    type: email\n", i.URL), 0o600))

	ports := free(tb, 7)
	i.Fulcio, i.Rekor, i.Clock = "http://127.0.0.1:"+ports[0], "http://localhost:"+ports[3], "http://127.0.0.1:"+ports[6]+"/api/v1/timestamp"
	run(tb, dir, fulcio, "serve", "--host", "127.0.0.1", "--port", ports[0], "--grpc-host", "127.0.0.1", "--grpc-port", ports[1], "--metrics-port", ports[2],
		"--ca", "ephemeralca", "--ct-log-url=", "--config-path", settings, "--legacy-unix-domain-socket", filepath.Join(dir, "fulcio.sock"))
	run(tb, dir, rekor, "serve", "--http-address=127.0.0.1", "--http-port="+ports[3], "--grpc-address=127.0.0.1", "--grpc-port="+ports[4], "--http-metrics-port="+ports[5], "--hostname=localhost",
		"--storage-dir="+filepath.Join(dir, "log"), "--signer-filepath="+key, "--checkpoint-interval=1s", "--batch-max-age=100ms")
	run(tb, dir, clock, "serve", "--host", "127.0.0.1", "--port", ports[6], "--timestamp-signer", "memory", "--disable-ntp-monitoring")
	i.describe(tb, private.Public().(ed25519.PublicKey))
	return i
}

// describe writes trusted root and signing configuration.
func (i *Instance) describe(tb testing.TB, log ed25519.PublicKey) {
	start := time.Now().Add(-time.Hour)
	var bundle struct {
		Chains []struct{ Certificates []string } `json:"chains"`
	}
	check(tb, json.Unmarshal(get(tb, i.Fulcio+"/api/v2/trustBundle"), &bundle))
	ca := certificates(tb, []byte(bundle.Chains[0].Certificates[len(bundle.Chains[0].Certificates)-1]))
	chain := certificates(tb, get(tb, i.Clock+"/certchain"))
	get(tb, i.Rekor+"/healthz")
	id := sha256.Sum256(append([]byte("localhost\n\x01"), log...))
	r, err := root.NewTrustedRoot(root.TrustedRootMediaType01,
		[]root.CertificateAuthority{&root.FulcioCertificateAuthority{Root: ca[len(ca)-1], Intermediates: ca[:len(ca)-1], ValidityPeriodStart: start, URI: i.Fulcio}}, map[string]*root.TransparencyLog{},
		[]root.TimestampingAuthority{&root.SigstoreTimestampingAuthority{Root: chain[len(chain)-1], Intermediates: chain[1 : len(chain)-1], Leaf: chain[0], ValidityPeriodStart: start, URI: i.Clock}},
		map[string]*root.TransparencyLog{hex.EncodeToString(id[:]): {BaseURL: i.Rekor, ID: id[:], ValidityPeriodStart: start, HashFunc: crypto.SHA256, PublicKey: log, SignatureHashFunc: crypto.SHA512}})
	check(tb, err)
	i.Root, err = r.MarshalJSON()
	check(tb, err)
	i.Config = Config(tb, i.Fulcio, i.Rekor, i.Clock)
}

// Config makes a signing_config.json. An empty URL leaves the service out.
func Config(tb testing.TB, fulcio, rekor, clock string) []byte {
	tb.Helper()
	service := func(url string, version uint32) []root.Service {
		if url == "" {
			return nil
		}
		return []root.Service{{URL: url, MajorAPIVersion: version, ValidityPeriodStart: time.Now().Add(-time.Hour), Operator: "test"}}
	}
	anyOf := root.ServiceConfiguration{Selector: prototrustroot.ServiceSelector_ANY}
	c, err := root.NewSigningConfig(root.SigningConfigMediaType02, service(fulcio, 1), nil, service(rekor, 2), anyOf, service(clock, 1), anyOf)
	check(tb, err)
	data, err := c.MarshalJSON()
	check(tb, err)
	return data
}

func certificates(tb testing.TB, data []byte) []*x509.Certificate {
	tb.Helper()
	var out []*x509.Certificate
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		c, err := x509.ParseCertificate(block.Bytes)
		check(tb, err)
		out = append(out, c)
	}
	return out
}

// get asks until there is an answer.
func get(tb testing.TB, url string) []byte {
	tb.Helper()
	var last error
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		answer, err := http.Get(url)
		if last = err; err != nil {
			continue
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if answer.StatusCode == http.StatusOK && err == nil {
			return body
		}
		last = fmt.Errorf("%s: %s", answer.Status, body)
	}
	tb.Fatalf("%s does not answer: %v", url, last)
	return nil
}

// run starts a program that ends with the test.
func run(tb testing.TB, dir, program string, args ...string) {
	tb.Helper()
	var out bytes.Buffer
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &out
	cmd.Env = []string{"HOME=" + dir, "PATH=" + os.Getenv("PATH")}
	check(tb, cmd.Start())
	tb.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if tb.Failed() {
			text := out.String()
			tb.Logf("%s: %s", filepath.Base(program), text[max(0, len(text)-2000):])
		}
	})
}

func free(tb testing.TB, n int) []string {
	tb.Helper()
	var out []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		check(tb, err)
		defer l.Close()
		out = append(out, strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
	}
	return out
}

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
