package trust

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/strictyaml"
)

// keys of the tests' identities.
var keys = sync.OnceValue(func() map[string]crypto.Signer {
	m := map[string]crypto.Signer{}
	for name, c := range map[string]elliptic.Curve{"ci": elliptic.P256(), "ann": elliptic.P384(), "p224": elliptic.P224(), "p521": elliptic.P521()} {
		m[name], _ = ecdsa.GenerateKey(c, rand.Reader)
	}
	for _, name := range []string{"bob", "cyd", "eve"} {
		_, m[name], _ = ed25519.GenerateKey(rand.Reader)
	}
	m["rsa2048"], _ = rsa.GenerateKey(rand.Reader, 2048)
	m["rsa3072"], _ = rsa.GenerateKey(rand.Reader, 3072)
	return m
})

func pub(t *testing.T, name string) string {
	t.Helper()
	return string(publicPEM(t, keys()[name].Public()))
}

// inYAML writes a PEM block as a literal below key:.
func inYAML(s string) string {
	return "|\n      " + strings.ReplaceAll(strings.TrimSpace(s), "\n", "\n      ")
}

func text(t *testing.T) string {
	return `version: 3
project: age
source: https://github.com/FiloSottile/age
expires: 2027-06-30
identities:
  ci:
    key: ` + inYAML(pub(t, "ci")) + `
  ann:
    key: ` + inYAML(pub(t, "ann")) + `
    not-before: 2026-01-01
    expires: 2026-12-31
  bob:
    key: ` + inYAML(pub(t, "bob")) + `
  cyd:
    key: ` + inYAML(pub(t, "cyd")) + `
roles:
  builder: {identities: [ci]}
  manager: {identities: [ann, bob], threshold: 2}
  associate: {identities: [cyd]}
builders:
  - {id: https://example.org/sandbox/v1, signer: ci, level: 3}
  - {id: https://example.org/host/v1, signer: ci, level: 1}
previous: sha256:` + strings.Repeat("ab", 32) + "\n"
}

func parse(t *testing.T, s string) *Trust {
	t.Helper()
	tr, err := Parse("trust.yaml", []byte(s))
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func TestTrustAnswers(t *testing.T) {
	t.Parallel()
	tr := parse(t, text(t))
	for name, k := range keys() {
		known := name == "ci" || name == "ann" || name == "bob" || name == "cyd"
		got, ok := tr.ByKey(k.Public())
		if ok != known || known && got != name {
			t.Errorf("ByKey(%s) = %q, %v", name, got, ok)
		}
		if id, err := KeyID(k.Public()); err == nil {
			if got, ok := tr.ByKeyID(id); ok != known || known && got != name {
				t.Errorf("ByKeyID(%s) = %q, %v", name, got, ok)
			}
		}
	}
	roles := map[string]string{"ci": RoleBuilder, "ann": RoleManager, "bob": RoleManager, "cyd": RoleAssociate, "eve": ""}
	for name, has := range roles {
		for _, role := range append(Roles, "", "admin") {
			if got := tr.HasRole(name, role); got != (role == has && has != "") {
				t.Errorf("HasRole(%s, %s) = %v", name, role, got)
			}
		}
	}
	if diff := cmp.Diff([]string{"ann", "bob"}, tr.Managers()); diff != "" || tr.Threshold(RoleManager) != 2 || tr.Threshold(RoleBuilder) != 1 {
		t.Error(diff, tr.Threshold(RoleManager))
	}
	for _, b := range []struct {
		signer, id string
		level      int
		ok         bool
	}{
		{"ci", "https://example.org/sandbox/v1", 3, true}, {"ci", "https://example.org/host/v1", 1, true},
		{"ann", "https://example.org/sandbox/v1", 0, false}, {"ci", "https://example.org/sandbox/v2", 0, false}, {"", "", 0, false},
	} {
		if level, ok := tr.BuilderLevel(b.signer, b.id); level != b.level || ok != b.ok {
			t.Errorf("BuilderLevel(%s, %s) = %d, %v", b.signer, b.id, level, ok)
		}
	}
	if tr.Digest() != digest.Bytes([]byte(text(t))) {
		t.Error("the digest is not that of the file's bytes")
	}
	if _, ok := tr.Identity("eve"); ok {
		t.Error("eve is known")
	}
}

func TestTimes(t *testing.T) {
	t.Parallel()
	tr := parse(t, text(t))
	at := func(s string) time.Time {
		v, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for when, code := range map[string]string{"2026-11-23T00:00:00Z": "", "2027-06-30T23:59:59Z": "", "2027-07-01T00:00:00Z": "trust-expired", "2027-06-30T23:00:00-05:00": "trust-expired"} {
		if got := gate.Code(tr.Check(at(when))); got != code {
			t.Errorf("Check(%s) = %q, want %q", when, got, code)
		}
	}
	for when, code := range map[string]string{"2025-12-31T23:59:59Z": "trust-identity-early", "2026-01-01T00:00:00Z": "", "2026-12-31T23:59:59Z": "", "2027-01-01T00:00:00Z": "trust-identity-expired"} {
		if got := gate.Code(tr.Usable("ann", at(when))); got != code {
			t.Errorf("Usable(ann, %s) = %q, want %q", when, got, code)
		}
	}
	if tr.Usable("bob", at("1999-01-01T00:00:00Z")) != nil || gate.Code(tr.Usable("eve", at("2026-06-01T00:00:00Z"))) != "trust-unknown-identity" {
		t.Error("an identity without dates always counts, an unknown one never")
	}
	if !(&Trust{}).Expires.End().IsZero() || (&Trust{}).Check(at("2026-01-01T00:00:00Z")) == nil {
		t.Error("a trust file without a date does not expire")
	}
}

func TestParseRefusesByName(t *testing.T) {
	t.Parallel()
	privateDER, err := x509.MarshalPKCS8PrivateKey(keys()["eve"])
	if err != nil {
		t.Fatal(err)
	}
	private := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: privateDER}))
	key := func(name string) string { return inYAML(pub(t, name)) }
	for name, test := range map[string]struct{ old, new, code, says string }{
		"empty":                    {text(t), "", "trust-empty", ""},
		"only comments":            {text(t), "# later\n", "trust-empty", ""},
		"unknown key":              {"identities:\n", "identites:\n", "yaml-unknown-key", `did you mean "identities"`},
		"version 0":                {"version: 3", "version: 0", "trust-version", ""},
		"no version":               {"version: 3\n", "", "yaml-missing-key", ""},
		"no project":               {"project: age\n", "", "yaml-missing-key", ""},
		"bad project":              {"project: age", "project: A/B", "trust-project", ""},
		"bad source":               {"https://github.com/FiloSottile/age", "git@github.com:x/y", "trust-source", "https://github.com/x/y"},
		"no expiry":                {"expires: 2027-06-30\n", "", "yaml-missing-key", ""},
		"not a date":               {"expires: 2027-06-30", "expires: 2027-02-30", "trust-date", ""},
		"a time":                   {"expires: 2027-06-30", "expires: 2027-06-30T00:00:00Z", "trust-date", ""},
		"identity's date":          {"expires: 2026-12-31", "expires: soon", "trust-date", ""},
		"ends before it begins":    {"expires: 2026-12-31", "expires: 2025-12-31", "trust-date", ""},
		"bad previous":             {"previous: sha256:ab", "previous: md5:ab", "trust-previous", ""},
		"no such role for it":      {"builders:\n", "verifiers: [{id: \"https://example.org/gate\", signer: ann}]\nbuilders:\n", "trust-verifier-signer", ""},
		"verifier by http":         {"  associate: {identities: [cyd]}\nbuilders:\n", "  verifier: {identities: [cyd]}\nverifiers: [{id: \"http://example.org/gate\", signer: cyd}]\nbuilders:\n", "trust-verifier-id", ""},
		"verifier without an id":   {"  associate: {identities: [cyd]}\nbuilders:\n", "  verifier: {identities: [cyd]}\nverifiers: [{signer: cyd}]\nbuilders:\n", "yaml-missing-key", ""},
		"verifier of a level":      {"  associate: {identities: [cyd]}\nbuilders:\n", "  verifier: {identities: [cyd]}\nverifiers: [{id: \"https://example.org/gate\", signer: cyd, level: 3}]\nbuilders:\n", "yaml-unknown-key", ""},
		"verifier twice":           {"  associate: {identities: [cyd]}\nbuilders:\n", "  verifier: {identities: [cyd]}\nverifiers: [{id: \"https://example.org/gate\", signer: cyd}, {id: \"https://example.org/gate\", signer: cyd}]\nbuilders:\n", "trust-duplicate-verifier", ""},
		"role without a verifier":  {"  associate: {identities: [cyd]}\n", "  verifier: {identities: [cyd]}\n", "trust-no-verifier", "signer: cyd"},
		"no verifiers":             {"builders:\n", "verifiers: []\nbuilders:\n", "trust-no-verifier", ""},
		"identity as a path":       {"  ci:\n", "  ../ci:\n", "trust-identity-name", ""},
		"identity in upper case":   {"  cyd:\n", "  CYD:\n", "trust-identity-name", ""},
		"unknown role":             {"  associate: {", "  assocate: {", "trust-unknown-role", `did you mean "associate"`},
		"foreign role":             {"  associate: {", "  admin: {", "trust-unknown-role", ""},
		"no managers":              {"  manager: {identities: [ann, bob], threshold: 2}\n", "", "trust-no-managers", ""},
		"empty managers":           {"[ann, bob], threshold: 2", "[], threshold: 1", "trust-no-managers", ""},
		"no builder role":          {"  builder: {identities: [ci]}\n", "", "trust-no-builder", ""},
		"no builders":              {"builders:\n  - {id: https://example.org/sandbox/v1, signer: ci, level: 3}\n  - {id: https://example.org/host/v1, signer: ci, level: 1}", "builders: []", "trust-no-builder", ""},
		"no threshold":             {", threshold: 2", "", "trust-threshold", "add threshold: 2"},
		"threshold 0":              {"threshold: 2", "threshold: 0", "trust-threshold", ""},
		"negative threshold":       {"threshold: 2", "threshold: -1", "trust-threshold", ""},
		"threshold too high":       {"threshold: 2", "threshold: 3", "trust-threshold-unreachable", "at most 2"},
		"threshold of builders":    {"identities: [ci]}", "identities: [ci, bob], threshold: 2}", "trust-threshold", ""},
		"unknown identity":         {"[ann, bob]", "[ann, bbo]", "trust-unknown-identity", `did you mean "bob"`},
		"many members":             {"[ann, bob]", "[" + strings.Repeat("ann, ", 257) + "]", "trust-size", "at most 256"},
		"identity twice":           {"[ann, bob]", "[ann, bob, ann]", "trust-duplicate-identity", "counts once"},
		"associate as manager":     {"[ann, bob]", "[ann, bob, cyd]", "trust-role-conflict", ""},
		"one key, two names":       {key("bob"), key("ann"), "trust-duplicate-key", "bob has the key of ann"},
		"one key, other layout":    {key("bob"), strings.Replace(key("ann"), "KEY-----\n", "KEY-----\n\n", 1), "trust-duplicate-key", ""},
		"not a key":                {key("cyd"), "hello", "trust-key", ""},
		"damaged key":              {key("cyd"), strings.Replace(key("ci"), "MFkw", "MFkx", 1), "trust-key", ""},
		"two keys in one":          {key("cyd"), key("cyd") + "\n      " + strings.TrimPrefix(key("eve"), "|\n      "), "trust-key", "more than one"},
		"SSH key":                  {key("cyd"), "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA", "trust-key", "ssh-keygen -e -m PKCS8"},
		"private key":              {key("cyd"), inYAML(private), "trust-private-key", "no longer secret"},
		"weak RSA key":             {key("cyd"), key("rsa2048"), "trust-weak-key", ""},
		"RSA key":                  {key("cyd"), key("rsa3072"), "trust-key", "ECDSA P-256"},
		"weak curve":               {key("cyd"), key("p224"), "trust-weak-key", ""},
		"other curve":              {key("cyd"), key("p521"), "trust-key", ""},
		"level 4":                  {"level: 3", "level: 4", "trust-level", ""},
		"negative level":           {"level: 3", "level: -1", "trust-level", ""},
		"level left out":           {", level: 3", "", "yaml-missing-key", ""},
		"signer is a manager":      {"v1, signer: ci, level: 3", "v1, signer: ann, level: 3", "trust-builder-signer", ""},
		"signer is unknown":        {"v1, signer: ci, level: 3", "v1, signer: eve, level: 3", "trust-builder-signer", ""},
		"builder twice":            {"host/v1, signer: ci, level: 1", "sandbox/v1, signer: ci, level: 1", "trust-duplicate-builder", ""},
		"builder without a scheme": {"id: https://example.org/host/v1", "id: host", "trust-builder-id", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			full := text(t)
			if !strings.Contains(full, test.old) {
				t.Fatalf("nothing to edit: %q", test.old)
			}
			_, err := Parse("trust.yaml", []byte(strings.Replace(full, test.old, test.new, 1)))
			var errs strictyaml.Errors
			if !errors.As(err, &errs) {
				t.Fatalf("error is %v, want an Errors", err)
			}
			i := 0
			for i < len(errs)-1 && errs[i].Code != test.code {
				i++ // an identity that is renamed is missing in its roles as well
			}
			r := errs[i]
			if r.Code != test.code || r.Class != gate.Usage || !strings.HasPrefix(r.Where, "trust.yaml") {
				t.Errorf("got %v; want %s", err, test.code)
			}
			if all := r.Error() + r.Fix; !strings.Contains(all, test.says) {
				t.Errorf("%q does not say %q", all, test.says)
			}
		})
	}
}

func TestChangesRoundTrip(t *testing.T) {
	t.Parallel()
	tr := &Trust{Version: 1, Project: "age", Source: "https://github.com/FiloSottile/age", Expires: "2027-06-30",
		Builders: []Builder{{ID: "https://example.org/sandbox/v1", Signer: "ci", Level: 3}}}
	for _, add := range [][2]string{{"ci", RoleBuilder}, {"ann", RoleManager}, {"bob", RoleManager}, {"ann", RoleBuilder}, {"ann", RoleManager}} {
		if err := tr.Add(add[0], Identity{Key: pub(t, add[0])}, add[1]); err != nil {
			t.Fatal(err)
		}
	}
	got := parse(t, string(Marshal(tr)))
	if diff := cmp.Diff(tr, got, cmpopts.IgnoreUnexported(Trust{})); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(string(Marshal(tr)), string(Marshal(got))); diff != "" || tr.Digest() != got.Digest() {
		t.Errorf("other bytes after a round trip: %s", diff)
	}
	if !strings.HasPrefix(string(Marshal(tr)), "# yaml-language-server: $schema=") {
		t.Error("no modeline")
	}
	next := got.Next()
	if err := next.Add("cyd", Identity{Key: pub(t, "cyd"), Expires: "2027-01-01", NotBefore: "2026-02-01"}, RoleAssociate); err != nil {
		t.Fatal(err)
	}
	next.Remove("bob")
	after := parse(t, string(Marshal(next)))
	if after.Version != 2 || after.Previous != "sha256:"+got.Digest() || after.HasRole("bob", RoleManager) || !after.HasRole("cyd", RoleAssociate) {
		t.Errorf("%+v", after)
	}
	if got.Version != 1 || !got.HasRole("bob", RoleManager) || got.HasRole("cyd", RoleAssociate) {
		t.Error("the next version changed this one")
	}
	if _, ok := next.ByKey(keys()["bob"].Public()); ok {
		t.Error("bob's key is still known")
	}
}

// A role that was given to a verifier names it, below the project's source; what is written is read again.
func TestVerifiers(t *testing.T) {
	t.Parallel()
	tr := parse(t, text(t))
	next := tr.Next()
	if err := next.Add("gate", Identity{Key: pub(t, "eve")}, RoleVerifier); err != nil {
		t.Fatal(err)
	}
	again := parse(t, string(Marshal(next)))
	if diff := cmp.Diff([]string{"https://github.com/FiloSottile/age/verifiers/gate"}, again.VerifierIDs("gate")); diff != "" || len(again.VerifierIDs("ann")) != 0 {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"a new verifier: https://github.com/FiloSottile/age/verifiers/gate, signed by gate"}, Changes(tr, again)[len(Changes(tr, again))-1:]); diff != "" {
		t.Error(diff)
	}
	if err := next.Add("gate", Identity{Key: pub(t, "eve")}, RoleVerifier); err != nil || len(next.Verifiers) != 1 {
		t.Errorf("once more: %v, %v", err, next.Verifiers)
	}
	if next.Remove("gate"); len(next.Verifiers) != 0 {
		t.Error("the verifier of an identity that was removed is still there")
	}
	for source, want := range map[string]string{
		"https://github.com/FiloSottile/age.git": "pkg:github/filosottile/age@v1", "https://example.org/age": "pkg:generic/age@v1", "pkg:golang/filippo.io/age": "pkg:golang/filippo.io/age@v1", "pkg:golang/filippo.io/age@v0": "pkg:golang/filippo.io/age@v1",
	} {
		if got := Purl(source, "age", "v1"); got != want {
			t.Errorf("Purl(%s) = %s, want %s", source, got, want)
		}
	}
}

func TestAddRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ name, key, role, code string }{
		"role":          {"eve", pub(t, "eve"), "admin", "trust-unknown-role"},
		"name":          {"Eve/..", pub(t, "eve"), RoleManager, "trust-identity-name"},
		"key":           {"eve", "x", RoleManager, "trust-key"},
		"weak key":      {"eve", pub(t, "p224"), RoleManager, "trust-weak-key"},
		"another's key": {"eve", pub(t, "ann"), RoleManager, "trust-duplicate-key"},
		"another key":   {"ann", pub(t, "eve"), RoleManager, "trust-identity-exists"},
	} {
		tr := parse(t, text(t))
		before := string(Marshal(tr))
		if err := tr.Add(test.name, Identity{Key: test.key}, test.role); gate.Code(err) != test.code {
			t.Errorf("%s: got %v, want %s", name, err, test.code)
		}
		if string(Marshal(tr)) != before {
			t.Errorf("%s: changed all the same", name)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"ci", "ann"} {
		der, err := x509.MarshalPKIXPublicKey(keys()[name].Public())
		if err != nil {
			f.Fatal(err)
		}
		key := inYAML(string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})))
		f.Add([]byte("version: 1\nproject: age\nsource: https://github.com/a/age\nexpires: 2027-06-30\nidentities:\n  a:\n    key: " + key +
			"\nroles:\n  builder: {identities: [a]}\n  manager: {identities: [a], threshold: 1}\nbuilders:\n  - {id: https://example.org/b, signer: a, level: 3}\n"))
	}
	f.Add([]byte("roles: {x: {identities: [y], threshold: 9}}\nidentities: {../y: {key: a}}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		tr, err := Parse("trust.yaml", data)
		if err != nil {
			if gate.Code(err) == "" {
				t.Errorf("an error without a code: %v", err)
			}
			return
		}
		if n := len(tr.Managers()); n < tr.Threshold(RoleManager) || n == 0 || len(tr.Role(RoleBuilder)) == 0 {
			t.Error("accepted what can release nothing")
		}
		again, err := Parse("trust.yaml", Marshal(tr))
		if err != nil {
			t.Fatalf("what Marshal writes is refused: %v\n%s", err, Marshal(tr))
		}
		if string(Marshal(again)) != string(Marshal(tr)) {
			t.Error("other bytes after a round trip")
		}
	})
}
