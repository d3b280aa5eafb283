package trust

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
)

const rootFile = `{"a":"trusted root"}`

// keylessText is text where bob signs with certificates.
func keylessText(t *testing.T) string {
	t.Helper()
	s := strings.Replace(text(t), "key: "+inYAML(pub(t, "bob")), "issuer: https://accounts.example\n    subject: bob@age.example", 1)
	if s == text(t) {
		t.Fatal("bob has no key to replace")
	}
	return s + "trusted-root:\n  file: keys/trusted_root.json\n  digest: sha256:" + digest.Bytes([]byte(rootFile)) + "\n"
}

func TestParseKeyless(t *testing.T) {
	t.Parallel()
	f, err := Parse(FileName, []byte(keylessText(t)))
	if err != nil {
		t.Fatal(err)
	}
	bob := Keyless{Issuer: "https://accounts.example", Subject: "bob@age.example"}
	if name, ok := f.ByKeyID(bob.ID()); !ok || name != "bob" {
		t.Errorf("%s is %q", bob, name)
	}
	if _, ok := f.PublicKey("bob"); ok {
		t.Error("bob has a key")
	}
	if diff := cmp.Diff([]Keyless{bob}, f.KeylessOf(RoleManager)); diff != "" {
		t.Error(diff)
	}
	if got := f.KeylessOf(RoleBuilder); got != nil {
		t.Errorf("bob is no builder: %v", got)
	}
	again, err := Parse(FileName, Marshal(f))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(f, again, cmpopts.IgnoreUnexported(Trust{})); diff != "" {
		t.Error(diff)
	}
	next := f.Next()
	next.TrustedRoot.Digest = "sha256:" + strings.Repeat("0", 64)
	if f.TrustedRoot.Digest == next.TrustedRoot.Digest {
		t.Error("the next version shares its trusted root with this one")
	}
	if err := f.SetRoot([]byte("another")); gate.Code(err) != "trusted-root-mismatch" || f.Root() != nil {
		t.Errorf("another root: %v", err)
	}
	if err := f.SetRoot([]byte(rootFile)); err != nil || string(f.Root()) != rootFile {
		t.Errorf("its root: %v", err)
	}
}

func TestParseRefusesKeyless(t *testing.T) {
	t.Parallel()
	good := keylessText(t)
	subject := func(s string) string { return strings.Replace(good, "bob@age.example", s, 1) }
	issuer := func(s string) string { return strings.Replace(good, "https://accounts.example", s, 1) }
	head, root, _ := strings.Cut(good, "trusted-root:")
	for name, c := range map[string]struct{ code, text string }{
		"wildcard":                  {"trust-keyless", subject(`"*@age.example"`)},
		"wildcard in a URI":         {"trust-keyless", subject("https://git.example/age/*")},
		"a pattern":                 {"trust-keyless", subject("https://git.example/[a-z]+")},
		"a URI without a host":      {"trust-keyless", subject("https://")},
		"half an address":           {"trust-keyless", subject("bob@")},
		"two addresses":             {"trust-keyless", subject("bob@age.example,ann@age.example")},
		"issuer with a password":    {"trust-keyless", issuer("https://u:p@accounts.example")},
		"issuer in capitals":        {"trust-keyless", issuer("HTTPS://accounts.example")},
		"a name alone":              {"trust-keyless", subject("bob")},
		"Cyrillic letter":           {"trust-keyless", subject("b\u043eb@age.example")},
		"a space":                   {"trust-keyless", subject("bob@age.example by x")},
		"invisible letter":          {"yaml-encoding", issuer(`"https://accounts\u200b.example"`)},
		"long subject":              {"trust-keyless", subject(strings.Repeat("b", 3000) + "@age.example")},
		"issuer without https":      {"trust-keyless", issuer("http://accounts.example")},
		"issuer without scheme":     {"trust-keyless", issuer("accounts.example")},
		"issuer with a query":       {"trust-keyless", issuer("https://accounts.example?x=1")},
		"issuer alone":              {"trust-identity-signs", strings.Replace(good, "    subject: bob@age.example\n", "", 1)},
		"subject alone":             {"trust-identity-signs", strings.Replace(good, "issuer: https://accounts.example\n    ", "", 1)},
		"key and issuer":            {"trust-identity-signs", strings.Replace(good, "    subject: bob@age.example\n", "    key: x\n", 1)},
		"neither":                   {"trust-identity-signs", strings.Replace(good, "issuer: https://accounts.example\n    subject: bob@age.example\n", "expires: 2027-01-01\n", 1)},
		"one subject, two names":    {"trust-duplicate-key", strings.Replace(good, "key: "+inYAML(pub(t, "ann")), "issuer: https://accounts.example\n    subject: bob@age.example", 1)},
		"no trusted root":           {"trust-root", head},
		"trusted root outside":      {"trust-root", head + "trusted-root:" + strings.Replace(root, "keys/", "../", 1)},
		"trusted root absolute":     {"trust-root", head + "trusted-root:" + strings.Replace(root, "keys/", "/", 1)},
		"trusted root not pinned":   {"trust-root", head + "trusted-root:" + strings.Replace(root, "sha256:", "sha1:", 1)},
		"trusted root with no file": {"yaml-missing-key", head + "trusted-root:\n  digest: sha256:" + strings.Repeat("0", 64) + "\n"},
	} {
		if c.text == good {
			t.Errorf("%s: nothing was changed", name)
		}
		if _, err := Parse(FileName, []byte(c.text)); gate.Code(err) != c.code {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
	}
}
