package chain_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/trust"
	"github.com/sello-release/sello/internal/trust/chain"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// world makes versions of a trust file: two of three managers have to agree.
type world struct {
	t    *testing.T
	keys map[string]*sign.Key
}

func newWorld(t *testing.T) *world {
	w := &world{t, map[string]*sign.Key{}}
	for _, name := range []string{"build", "one", "two", "three", "four", "stranger"} {
		k, err := sign.Generate()
		if err != nil {
			t.Fatal(err)
		}
		w.keys[name] = k
	}
	return w
}

func (w *world) first() *trust.Trust {
	w.t.Helper()
	f := &trust.Trust{Version: 1, Project: "it", Source: "https://example.org/it", Expires: "2028-01-01", Identities: map[string]trust.Identity{},
		Builders: []trust.Builder{{ID: "https://example.org/builder", Signer: "build", Level: 3}}}
	for name, role := range map[string]string{"build": trust.RoleBuilder, "one": trust.RoleManager, "two": trust.RoleManager, "three": trust.RoleManager} {
		w.add(f, name, role)
	}
	managers := f.Roles[trust.RoleManager]
	managers.Threshold = 2
	f.Roles[trust.RoleManager] = managers
	return w.parse(trust.Marshal(f))
}

func (w *world) add(f *trust.Trust, name, role string) {
	w.t.Helper()
	public, err := w.keys[name].PublicPEM()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := f.Add(name, trust.Identity{Key: string(public)}, role); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) parse(data []byte) *trust.Trust {
	w.t.Helper()
	f, err := trust.Parse("trust.yaml", data)
	if err != nil {
		w.t.Fatal(err)
	}
	return f
}

// next gives the version after, with a change, and puts it with signatures among the files.
func (w *world) next(files chain.Files, before *trust.Trust, change func(*trust.Trust), by ...string) *trust.Trust {
	w.t.Helper()
	n := before.Next()
	change(n)
	data := trust.Marshal(n)
	files[chain.FileName(n.Version)] = data
	for _, name := range by {
		files[chain.SignatureName(n.Version, name)] = w.sign(name, name, data)
	}
	return w.parse(data)
}

func (w *world) sign(key, identity string, data []byte) []byte {
	w.t.Helper()
	out, err := chain.Sign(w.t.Context(), w.keys[key], identity, data, now)
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

func nothing(*trust.Trust) {}

// A consumer of the first version follows over a manager who left to the third.
func TestFollow(t *testing.T) {
	t.Parallel()
	w, files := newWorld(t), chain.Files{}
	one := w.first()
	files[chain.FileName(1)] = trust.Marshal(one)
	two := w.next(files, one, func(f *trust.Trust) { w.add(f, "four", trust.RoleManager); f.Remove("one") }, "one", "two")
	three := w.next(files, two, nothing, "three", "four")
	for _, from := range []*trust.Trust{one, two, three} {
		got, steps, err := chain.Follow(from, files)
		if err != nil || got.Digest() != three.Digest() || len(steps) != 4-from.Version || steps[0].SignedBy != nil {
			t.Fatalf("from %d: %v, %+v", from.Version, err, steps)
		}
		if from == one && strings.Join(steps[1].SignedBy, " ")+strings.Join(steps[2].SignedBy, " ") != "one twofour three" {
			t.Errorf("%+v", steps)
		}
	}
	if got, steps, err := chain.Follow(one, chain.Files{}); err != nil || got != one || len(steps) != 1 {
		t.Errorf("nothing to follow: %v", err)
	}
}

// Each way in which a version does not count is refused by its own reason.
func TestRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one := w.first()
	for name, c := range map[string]struct {
		code string
		lay  func(chain.Files)
	}{
		"nobody":  {"trust-not-signed", func(f chain.Files) { w.next(f, one, nothing) }},
		"too few": {"trust-not-signed", func(f chain.Files) { w.next(f, one, nothing, "one") }},
		"one twice": {"trust-not-signed", func(f chain.Files) {
			w.next(f, one, nothing, "one")
			f["2.again.sigstore.json"] = f["2.one.sigstore.json"]
		}},
		"a stranger": {"trust-not-signed", func(f chain.Files) { w.next(f, one, nothing, "one", "stranger") }},
		"a builder":  {"trust-not-signed", func(f chain.Files) { w.next(f, one, nothing, "one", "build") }},
		"a manager of the new only": {"trust-not-signed", func(f chain.Files) {
			w.next(f, one, func(n *trust.Trust) { w.add(n, "four", trust.RoleManager) }, "one", "four")
		}},
		"under another name": {"trust-not-signed", func(f chain.Files) {
			w.next(f, one, nothing, "one")
			f[chain.SignatureName(2, "two")] = w.sign("three", "two", f[chain.FileName(2)])
		}},
		"over another file": {"trust-not-signed", func(f chain.Files) {
			w.next(f, one, func(n *trust.Trust) { n.Expires = "2029-01-01" }, "one", "two")
			w.next(f, one, nothing)
		}},
		"damaged": {"trust-not-signed", func(f chain.Files) {
			w.next(f, one, nothing, "one", "two")
			f[chain.SignatureName(2, "two")] = []byte("{")
		}},
		"not a trust file": {"yaml-syntax", func(f chain.Files) { f[chain.FileName(2)] = []byte("\t{") }},
		"a version is left": {"trust-chain-missing", func(f chain.Files) {
			w.next(f, w.next(f, one, nothing, "one", "two"), nothing, "one", "two")
			delete(f, chain.FileName(2))
		}},
		"another before": {"trust-chain-broken", func(f chain.Files) {
			w.next(f, one, func(n *trust.Trust) { n.Previous = "sha256:" + strings.Repeat("0", 64) }, "one", "two")
		}},
		"nothing before": {"trust-chain-broken", func(f chain.Files) { w.next(f, one, func(n *trust.Trust) { n.Previous = "" }, "one", "two") }},
		"another version": {"trust-chain-broken", func(f chain.Files) {
			w.next(f, one, func(n *trust.Trust) { n.Version = 3 }, "one", "two")
			f[chain.FileName(2)] = f[chain.FileName(3)]
			delete(f, chain.FileName(3))
		}},
		"another project": {"trust-chain-broken", func(f chain.Files) { w.next(f, one, func(n *trust.Trust) { n.Project = "else" }, "one", "two") }},
		"another first": {"trust-fork", func(f chain.Files) {
			f[chain.FileName(1)] = bytes.Replace(trust.Marshal(one), []byte("2028"), []byte("2029"), 1)
		}},
		"good": {"", func(f chain.Files) { w.next(f, one, nothing, "one", "two") }},
		"good, with junk": {"", func(f chain.Files) {
			w.next(f, one, nothing, "one", "two")
			f["README"] = nil
			f["02.yaml"] = []byte("x")
			f["2.x.sigstore.json"] = nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := chain.Files{}
			c.lay(files)
			if _, _, err := chain.Follow(one, files); gate.Code(err) != c.code {
				t.Errorf("%v, expected %q", err, c.code)
			}
		})
	}
	files := chain.Files{chain.FileName(1): trust.Marshal(one)}
	two := w.next(chain.Files{}, one, nothing)
	if _, _, err := chain.Follow(two, files); gate.Code(err) != "trust-rollback" {
		t.Errorf("an older file: %v", err)
	}
}

// A manager who had expired when they signed does not count.
func TestExpiredManager(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one := w.first()
	id := one.Identities["two"]
	id.Expires = "2026-11-01"
	one.Identities["two"] = id
	one = w.parse(trust.Marshal(one))
	files := chain.Files{}
	w.next(files, one, nothing, "one", "two")
	if _, _, err := chain.Follow(one, files); gate.Code(err) != "trust-not-signed" {
		t.Error(err)
	}
}

// FuzzFollow follows nobody's files.
func FuzzFollow(f *testing.F) {
	f.Add("2.yaml", []byte("version: 2\nproject: it\n"), "2.one.sigstore.json", []byte("{}"))
	f.Fuzz(func(t *testing.T, a string, x []byte, b string, y []byte) {
		one := &trust.Trust{Version: 1, Project: "it"}
		if got, _, err := chain.Follow(one, chain.Files{a: x, b: y}); err == nil && got != one {
			t.Fatal("a version that nobody signed is followed")
		}
	})
}
