package trust

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sello-release/sello/internal/cosignature"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/strictyaml"
)

// vkey is the key of a witness by its name.
func vkey(name string) string {
	seed := make([]byte, ed25519.SeedSize)
	copy(seed, name)
	return cosignature.New(name, ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)).String()
}

// witnessedText is text with a log, and with two of three witnesses.
func witnessedText(t *testing.T) string {
	t.Helper()
	s := strings.Replace(text(t), "roles:\n", "  eve:\n    key: "+inYAML(pub(t, "eve"))+"\nroles:\n  log: {identities: [eve]}\n", 1)
	return s + fmt.Sprintf("witnesses:\n  threshold: 2\n  keys:\n    - {key: %s, url: https://w1.example/x}\n    - {key: %s, url: http://127.0.0.1:1234}\n    - {key: %s, url: https://w3.example}\n", vkey("w1"), vkey("w2"), vkey("w3"))
}

func TestWitnesses(t *testing.T) {
	t.Parallel()
	f := parse(t, witnessedText(t))
	want := &Witnesses{2, []Witness{{vkey("w1"), "https://w1.example/x"}, {vkey("w2"), "http://127.0.0.1:1234"}, {vkey("w3"), "https://w3.example"}}}
	if diff := cmp.Diff(want, f.Witnesses); diff != "" {
		t.Error(diff)
	}
	again := parse(t, string(Marshal(f)))
	if diff := cmp.Diff(f, again, cmpopts.IgnoreUnexported(Trust{})); diff != "" {
		t.Error(diff)
	}
	next := f.Next()
	next.Witnesses.Threshold, next.Witnesses.Keys[1] = 3, Witness{vkey("w4"), "https://w4.example"}
	if f.Witnesses.Threshold != 2 || f.Witnesses.Keys[1].Key != vkey("w2") {
		t.Error("the next version shares its witnesses with this one")
	}
	after := []string{"no longer a witness: " + vkey("w2") + " at http://127.0.0.1:1234", "a new witness: " + vkey("w4") + " at https://w4.example", "witnesses that have to cosign: 2 -> 3"}
	if diff := cmp.Diff(after, Changes(f, next)[1:]); diff != "" {
		t.Error(diff)
	}
	lines := strings.Join(f.Lines(), "\n")
	for _, line := range []string{"witness, 2 of 3   " + vkey("w1") + " at https://w1.example/x", "                  " + vkey("w3")} {
		if !strings.Contains(lines, line) {
			t.Errorf("%q is not shown in\n%s", line, lines)
		}
	}
}

func TestParseRefusesWitnesses(t *testing.T) {
	t.Parallel()
	own := func(name string) string {
		return cosignature.New("w1", keys()[name].Public().(ed25519.PublicKey)).String()
	}
	w2 := "    - {key: " + vkey("w2") + ", url: http://127.0.0.1:1234}\n"
	for name, test := range map[string]struct{ old, new, code string }{
		"no log":               {"  log: {identities: [eve]}\n", "", "trust-witness-log"},
		"nothing":              {witnessedText(t)[strings.Index(witnessedText(t), "witnesses:"):], "witnesses:\n", "yaml-no-value"},
		"no keys":              {witnessedText(t)[strings.Index(witnessedText(t), "  keys:"):], "  keys: []\n", "trust-no-witness"},
		"no threshold":         {"  threshold: 2\n  keys", "  keys", "yaml-missing-key"},
		"threshold 0":          {"  threshold: 2\n  keys", "  threshold: 0\n  keys", "trust-witness-threshold"},
		"threshold too high":   {"  threshold: 2\n  keys", "  threshold: 4\n  keys", "trust-witness-threshold"},
		"two of two":           {w2, "", ""},
		"one of three":         {"  threshold: 2\n  keys", "  threshold: 1\n  keys", "trust-witness-threshold"},
		"one of two":           {"  threshold: 2\n  keys:\n", "  threshold: 1\n  keys:\n    - {key: " + vkey("w4") + ", url: https://w4.example}\n", "trust-witness-threshold"},
		"twice":                {vkey("w2"), vkey("w1"), "trust-duplicate-witness"},
		"a name twice":         {vkey("w2"), cosignature.New("w1", mustKey(t, vkey("w9")).Public()).String(), "trust-duplicate-witness"},
		"a key twice":          {vkey("w2"), cosignature.New("w9", mustKey(t, vkey("w1")).Public()).String(), "trust-duplicate-witness"},
		"the log's own key":    {vkey("w1"), own("eve"), "trust-duplicate-witness"},
		"a manager's own key":  {vkey("w1"), own("bob"), "trust-duplicate-witness"},
		"not a key":            {vkey("w1"), "hello", "trust-witness-key"},
		"a log's kind of key":  {vkey("w1"), "example.org/log+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", "trust-witness-key"},
		"another hash":         {vkey("w1"), strings.Replace(vkey("w1"), "w1+", "w1+0", 1), "trust-witness-key"},
		"no URL":               {", url: https://w3.example", "", "yaml-missing-key"},
		"http":                 {"https://w3.example", "http://w3.example", "trust-witness-url"},
		"a path":               {"https://w3.example", "/w3", "trust-witness-url"},
		"a password":           {"https://w3.example", "https://u:p@w3.example", "trust-witness-url"},
		"a query":              {"https://w3.example", `"https://w3.example/?a"`, "trust-witness-url"},
		"not on this machine":  {"http://127.0.0.1:1234", "http://127.0.0.1.example:1234", "trust-witness-url"},
		"letters that mislead": {"https://w3.example", "https://w3.ехample", "trust-witness-url"},
		"more":                 {"  threshold: 2\n  keys", "  threshold: 2\n  more: 1\n  keys", "yaml-unknown-key"},
		"many":                 {w2, strings.Repeat(w2, 300), "trust-size"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			full := witnessedText(t)
			if !strings.Contains(full, test.old) {
				t.Fatalf("nothing to edit: %q", test.old)
			}
			_, err := Parse(FileName, []byte(strings.Replace(full, test.old, test.new, 1)))
			if test.code == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var errs strictyaml.Errors
			if !errors.As(err, &errs) || errs[0].Code != test.code || errs[0].Class != gate.Usage {
				t.Errorf("got %v; want %s", err, test.code)
			}
		})
	}
}

func mustKey(t *testing.T, s string) *cosignature.Key {
	t.Helper()
	k, err := cosignature.ParseKey(s)
	if err != nil {
		t.Fatal(err)
	}
	return k
}
