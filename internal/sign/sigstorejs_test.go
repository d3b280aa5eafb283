package sign_test

import (
	"bytes"
	"context"
	"crypto"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	protodsse "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/sign/signtest"
	"github.com/sello-release/sello/internal/trust"
)

// judged is a bundle for sigstore-js. File is the content of the file that it is about.
type judged struct {
	Name    string `json:"name"`
	Bundle  string `json:"bundle"`
	Root    string `json:"root"`
	Key     string `json:"key"`
	File    []byte `json:"file"`
	Subject string `json:"subject"`
	Issuer  string `json:"issuer"`
}

// sigstoreJS gives sigstore-js's verdict on each case, "" where it accepts. It is part of npm as
// Node.js comes with it. The test is skipped where that is not there; Debian's has no npm.
func sigstoreJS(t *testing.T, cases []judged) map[string]string {
	t.Helper()
	npm, err := exec.Command("npm", "root", "--global").Output()
	if err != nil {
		t.Skipf("there is no npm, which sigstore-js is part of: %v", err)
	}
	dir := filepath.Join(strings.TrimSpace(string(npm)), "npm", "node_modules")
	if _, err := os.Stat(filepath.Join(dir, "@sigstore", "verify")); err != nil {
		t.Skipf("this npm is without sigstore-js: %v", err)
	}
	in, err := json.Marshal(cases)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", filepath.Join("testdata", "sigstore.js"), dir)
	cmd.Stdin = bytes.NewReader(in)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("sigstore-js: %v\n%s", err, errs.String())
	}
	var verdicts []struct{ Name, Error string }
	if err := json.Unmarshal(out, &verdicts); err != nil {
		t.Fatal(err)
	}
	said := map[string]string{}
	for _, v := range verdicts {
		said[v.Name] = v.Error
	}
	if len(said) != len(cases) {
		t.Fatalf("%d verdicts on %d cases", len(said), len(cases))
	}
	return said
}

// ofPayload is why sigstore-js refuses statements in logs of Rekor v2, up to version 3.1.1 of @sigstore/verify: it compares the entry with the digest of
// the payload, where the entry has that of what was signed (rekor-v2-spec, section 6.1.4). sigstore-js#1677 mends that. Before it gets so far it has
// accepted the certificate, the time, and that the log has the entry.
const ofPayload = "TLOG_BODY_ERROR: digest mismatch"

// disagreements are what sigstore-js refuses and we accept, each with what it says. Later versions may agree.
var disagreements = map[string]string{"rekor2-dsse-happy-path": ofPayload, "keyless": ofPayload, "keyless, raw signature": ofPayload}

// sigstore-js, which shares no code with us, decides every published case as we do.
func TestSigstoreJSOnVectors(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(vectorsRoot(t), "sigstore-bundles")
	bundles, err := filepath.Glob(filepath.Join(dir, "*", "bundle.sigstore.json"))
	if err != nil || len(bundles) < 36 {
		t.Fatalf("%d published cases, %v", len(bundles), err)
	}
	text := func(otherwise string, path ...string) string {
		if data, err := os.ReadFile(filepath.Join(path...)); err == nil {
			return string(data)
		}
		return otherwise
	}
	var cases []judged
	for _, path := range bundles {
		at := filepath.Dir(path)
		cases = append(cases, judged{Name: filepath.Base(at), Bundle: text("", path), Root: text(text("", dir, "public-good.trusted_root.json"), at, "trusted_root.json"), Key: text("", at, "key.pub"),
			File: []byte(text(text("", dir, "a.txt"), at, "artifact")), Subject: strings.TrimSpace(text(beaconSubject, at, "identity")), Issuer: strings.TrimSpace(text(beaconIssuer, at, "issuer"))})
	}
	agreed := 0
	for name, said := range sigstoreJS(t, cases) {
		if agrees(t, name, said, !strings.HasSuffix(name, "_fail")) { // that is what we say: TestSigstoreConformance holds it
			agreed++
		}
	}
	t.Logf("sigstore-js agrees on %d of %d published cases", agreed, len(cases))
}

// agrees reports whether sigstore-js says the same. It is an error when it does not, and nobody knows why.
func agrees(t *testing.T, name, said string, good bool) bool {
	t.Helper()
	if !good && said == ofPayload {
		t.Errorf("%s: refused for what is no fault of it", name)
	}
	if (said == "") == good {
		return true
	}
	if said != disagreements[name] {
		t.Errorf("%s: sigstore-js says %q", name, said)
	} else {
		t.Logf("%s: sigstore-js says %q, as is known", name, said)
	}
	return false
}

const (
	beaconSubject = "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main"
	beaconIssuer  = "https://token.actions.githubusercontent.com"
)

func vectorsRoot(t *testing.T) string {
	t.Helper()
	root := os.Getenv("SELLO_VECTORS")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "vectors")
	}
	if _, err := os.Stat(root); err != nil {
		t.Skipf("no published cases at %s: set SELLO_VECTORS to their folder", root)
	}
	return root
}

// sigstore-js accepts the bundles that we make, with keys and with certificates of a private instance, and refuses what is wrong with others.
func TestSigstoreJSOnOurs(t *testing.T) {
	t.Parallel()
	file := []byte("a file")
	statement := bytes.ReplaceAll(statement, []byte(strings.Repeat("a", 64)), []byte(digest.Bytes(file)))
	key, err := sign.Generate()
	if err != nil {
		t.Fatal(err)
	}
	public, err := key.PublicPEM()
	if err != nil {
		t.Fatal(err)
	}
	byKey, err := sign.SignStatement(context.Background(), key, attest.PayloadType, statement)
	if err != nil {
		t.Fatal(err)
	}
	i, noLog, other := signtest.New(t, now), signtest.New(t, now, signtest.NoLog), signtest.New(t, now, signtest.NoLog)
	signed := func(by *signtest.Instance, changes ...func(*signtest.Draft)) string {
		return string(by.Sign(t, ann, statement, append(changes, func(d *signtest.Draft) { d.NoLog = d.NoLog || by != i })...))
	}
	good := map[string]bool{}
	var cases []judged
	add := func(name string, ok bool, c judged) {
		good[name], c.Name = ok, name
		if c.Subject == "" {
			c.Subject, c.Issuer = ann.Subject, ann.Issuer
		}
		if c.File == nil {
			c.File = file
		}
		cases = append(cases, c)
	}
	add("key", true, judged{Bundle: string(byKey), Key: string(public)})
	add("key, another file", false, judged{Bundle: string(byKey), Key: string(public), File: []byte("another")})
	add("key, payload changed", false, judged{Bundle: strings.Replace(string(byKey), `"payload": "eyJ`, `"payload": "eyI`, 1), Key: string(public)})
	logged, root := string(i.Root), string(noLog.Root)
	add("keyless", true, judged{Bundle: signed(i), Root: logged})
	add("keyless, raw signature", true, judged{Bundle: signed(i, func(d *signtest.Draft) { d.Raw = true }), Root: logged})
	add("keyless, no log entry", false, judged{Bundle: signed(i, func(d *signtest.Draft) { d.NoLog = true }), Root: logged})
	// Without a log, so that what is wrong is found.
	add("keyless, no log", true, judged{Bundle: signed(noLog), Root: root})
	add("keyless, another instance", false, judged{Bundle: signed(noLog), Root: string(other.Root)})
	add("keyless, somebody else", false, judged{Bundle: signed(noLog), Root: root, Subject: "eve@age.example", Issuer: ann.Issuer})
	add("keyless, another issuer", false, judged{Bundle: signed(noLog), Root: root, Subject: ann.Subject, Issuer: "https://accounts.evil.example"})
	add("keyless, another file", false, judged{Bundle: signed(noLog), Root: root, File: []byte("another")})
	add("keyless, no timestamp", false, judged{Bundle: signed(noLog, func(d *signtest.Draft) { d.NoTimestamp = true }), Root: root})
	add("keyless, expired", false, judged{Bundle: signed(noLog, func(d *signtest.Draft) { d.Issued = now.Add(-time.Hour) }), Root: root})
	add("keyless, payload changed", false, judged{Bundle: signed(noLog, envelope(func(e *protodsse.Envelope) {
		e.Payload = bytes.Replace(e.Payload, []byte("Statement"), []byte("statement"), 1)
	})), Root: root})
	add("keyless, two signatures", false, judged{Bundle: signed(noLog, envelope(func(e *protodsse.Envelope) { e.Signatures = append(e.Signatures, e.Signatures[0]) })), Root: root})
	agreed := 0
	for name, said := range sigstoreJS(t, cases) {
		if agrees(t, name, said, good[name]) {
			agreed++
		}
	}
	// And we say the same.
	for _, c := range cases {
		if got := ours(t, c); (got == nil) != good[c.Name] {
			t.Errorf("%s: we say %v", c.Name, got)
		}
	}
	t.Logf("sigstore-js agrees on %d of %d bundles of ours", agreed, len(cases))
}

// ours is our verdict on a case.
func ours(t *testing.T, c judged) error {
	t.Helper()
	b, err := sign.ParseBundle([]byte(c.Bundle))
	if err != nil {
		return err
	}
	var payload []byte
	if c.Key != "" {
		pub, err := trust.ParsePublicKey([]byte(c.Key))
		if err != nil {
			t.Fatal(err)
		}
		if _, payload, err = sign.Verify(b, map[string]crypto.PublicKey{"key": pub}); err != nil {
			return err
		}
	} else {
		r, err := sign.ParseRoot([]byte(c.Root))
		if err != nil {
			t.Fatal(err)
		}
		w, err := r.Verify(b, nil, now)
		if err != nil {
			return err
		}
		if w.Signer != (trust.Keyless{Issuer: c.Issuer, Subject: c.Subject}) {
			return sign.NotTrusted(c.Subject, w.Signer)
		}
		payload = w.Payload
	}
	h, _, err := attest.DecodeForeign(payload)
	if err == nil && !h.Matches(map[string]string{"sha256": digest.Bytes(c.File)}) {
		t.Logf("%s: another file", c.Name)
		return os.ErrInvalid
	}
	return err
}
