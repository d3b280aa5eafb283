package verify_test

import (
	"crypto"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sello-release/sello/internal/cosignature"
	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/stage"
	"github.com/sello-release/sello/internal/store"
	"github.com/sello-release/sello/internal/tlog"
	"github.com/sello-release/sello/internal/tlog/bucket"
	"github.com/sello-release/sello/internal/trust"
	"github.com/sello-release/sello/verify"
	vt "github.com/sello-release/sello/verify/verifytest"
)

// logged is a world whose project has a transparency log with the key.
func logged(t *testing.T, key *sign.Key, changes ...func(*trust.Trust)) *vt.World {
	t.Helper()
	return vt.NewWorld(t, append(changes, func(tr *trust.Trust) {
		public, err := key.PublicPEM()
		if err != nil {
			t.Fatal(err)
		}
		if err := tr.Add("log", trust.Identity{Key: string(public)}, trust.RoleLog); err != nil {
			t.Fatal(err)
		}
	})...)
}

// enter adds a release's statement to a log, with changes to the entry, and lays the proof beside it. Cosigners put lines of signatures
// below the checkpoint's text.
func enter(t *testing.T, dir string, key *sign.Key, change func(*tlog.Entry), cosigners ...func(text string) string) {
	t.Helper()
	b, err := store.Open("file://"+t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	id, err := tlog.NewIdentity(tlog.Origin(vt.Source, vt.Project), key.Public())
	if err != nil {
		t.Fatal(err)
	}
	e := tlog.Entry{Project: vt.Project, Version: vt.Version, File: stage.ReleaseBundle, SHA256: digest.Bytes(vt.Read(t, dir, stage.ReleaseBundle))}
	change(&e)
	l := bucket.Open(b, vt.Project, id)
	_, c, err := l.Append(t.Context(), key.Public(), func(m []byte) ([]byte, error) { return key.Private().Sign(nil, m, crypto.Hash(0)) }, []tlog.Entry{e})
	if err != nil {
		t.Fatal(err)
	}
	text, _, _ := strings.Cut(string(c.Note), "\n\n")
	for _, cosign := range cosigners {
		c.Note = append(c.Note, cosign(text+"\n")...)
	}
	p, err := l.Prove(t.Context(), c, 0, e)
	if err != nil {
		t.Fatal(err)
	}
	data, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	vt.Write(t, dir, tlog.ProofFile, data)
}

// Where the trust file names a log's key, a release needs the proof that it is in that log, and no other will do.
func TestTransparencyLog(t *testing.T) {
	t.Parallel()
	newKey := func() *sign.Key {
		k, err := sign.GenerateEd25519()
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	key := newKey()
	w := logged(t, key)
	o := options(w)
	for name, c := range map[string]struct {
		code string
		lay  func(dir string)
	}{
		"good":                      {"", func(dir string) { enter(t, dir, key, func(*tlog.Entry) {}) }},
		"missing":                   {"log-proof-missing", func(string) {}},
		"empty":                     {"log-proof-invalid", func(dir string) { vt.Write(t, dir, tlog.ProofFile, nil) }},
		"of a log of somebody else": {"log-untrusted", func(dir string) { enter(t, dir, newKey(), func(*tlog.Entry) {}) }},
		"of another version":        {"log-entry-mismatch", func(dir string) { enter(t, dir, key, func(e *tlog.Entry) { e.Version = "v9.9.9" }) }},
		"of another project":        {"log-entry-mismatch", func(dir string) { enter(t, dir, key, func(e *tlog.Entry) { e.Project = "else" }) }},
		"of another file":           {"log-entry-mismatch", func(dir string) { enter(t, dir, key, func(e *tlog.Entry) { e.File = "x" + stage.BundleSuffix }) }},
		"of another statement":      {"log-entry-mismatch", func(dir string) { enter(t, dir, key, func(e *tlog.Entry) { e.SHA256 = digest.Bytes(nil) }) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			release := w.Release(t)
			c.lay(release)
			for _, r := range []*verify.Report{dir(t, release, o), file(t, filepath.Join(release, vt.Archive), o)} {
				if c.code == "" {
					accepted(t, r)
				} else {
					refused(t, r, c.code)
				}
			}
		})
	}
	// A stage, and what is promoted and not released, have none yet; and who has a trust file without a log asks for none.
	accepted(t, dir(t, w.StageFolder(t), o))
	plain := vt.NewWorld(t)
	accepted(t, dir(t, plain.Release(t), options(plain)))
}

// An image's proofs are those that are attached to it: one of them has to be cosigned, so that a release which was made again verifies.
func TestWitnessesOfImages(t *testing.T) {
	t.Parallel()
	key, err := sign.GenerateEd25519()
	if err != nil {
		t.Fatal(err)
	}
	k1, w1 := cosigner("w1", 0)
	_, stranger := cosigner("stranger", 0)
	w := logged(t, key, func(tr *trust.Trust) {
		tr.Witnesses = &trust.Witnesses{Threshold: 1, Keys: []trust.Witness{{Key: k1.String(), URL: "https://w1.example"}}}
	})
	o := options(w)
	o.RequireRelease = true
	for name, tt := range map[string]struct {
		proofs [][]func(string) string // who cosigned each
		code   string
	}{
		"cosigned":                 {[][]func(string) string{{w1}}, ""},
		"before, and once more":    {[][]func(string) string{{}, {w1}}, ""},
		"no proof":                 {nil, "log-proof-missing"},
		"cosigned by nobody":       {[][]func(string) string{{}}, "witness-missing"},
		"cosigned by somebody":     {[][]func(string) string{{stranger}}, "witness-missing"},
		"cosigned by many nobodys": {[][]func(string) string{{}, {stranger}}, "witness-missing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newImage(t, w, 1)
			d.sign(t)
			for _, by := range tt.proofs {
				at := t.TempDir()
				vt.Write(t, at, stage.ReleaseBundle, d.said)
				enter(t, at, key, func(*tlog.Entry) {}, by...)
				d.proof(vt.Read(t, at, tlog.ProofFile))
			}
			r, err := verify.Any(t.Context(), d.inLayout(t), o)
			if err != nil {
				t.Fatal(err)
			}
			if tt.code == "" {
				accepted(t, r)
			} else {
				refused(t, r, tt.code)
			}
		})
	}
}

// cosigner is a witness that cosigns at a time from now.
func cosigner(name string, from time.Duration) (*cosignature.Key, func(string) string) {
	seed := make([]byte, ed25519.SeedSize)
	copy(seed, name)
	private := ed25519.NewKeyFromSeed(seed)
	key := cosignature.New(name, private.Public().(ed25519.PublicKey))
	return key, func(text string) string {
		sig := cosignature.Sign(private, vt.Now.Add(from), []byte(text))
		return "— " + name + " " + base64.StdEncoding.EncodeToString(append(binary.BigEndian.AppendUint32(nil, key.KeyHash()), sig...)) + "\n"
	}
}

// Where the trust file names witnesses, as many of them have to have cosigned the log that a release is proved to be in.
func TestWitnesses(t *testing.T) {
	t.Parallel()
	key, err := sign.GenerateEd25519()
	if err != nil {
		t.Fatal(err)
	}
	k1, w1 := cosigner("w1", 0)
	k2, w2 := cosigner("w2", -365*24*time.Hour)
	k3, w3 := cosigner("w3", 0)
	_, future := cosigner("w2", 72*time.Hour)
	_, stranger := cosigner("stranger", 0)
	mangled := func(text string) string { return w2("x" + text) }
	w := logged(t, key, func(tr *trust.Trust) {
		tr.Witnesses = &trust.Witnesses{Threshold: 2}
		for _, k := range []*cosignature.Key{k1, k2, k3} {
			tr.Witnesses.Keys = append(tr.Witnesses.Keys, trust.Witness{Key: k.String(), URL: "https://" + k.Name() + ".example"})
		}
	})
	o := options(w)
	for name, c := range map[string]struct {
		by     []func(string) string
		actual string // of the refusal; "" is accepted
	}{
		"two of three":          {[]func(string) string{w1, w3}, ""},
		"all, and a stranger":   {[]func(string) string{stranger, w3, w2, w1}, ""},
		"nobody":                {nil, "cosigned by none of them"},
		"one":                   {[]func(string) string{w2}, "cosigned by w2"},
		"one twice":             {[]func(string) string{w1, w1}, "cosigned by w1"},
		"one and a stranger":    {[]func(string) string{w1, stranger}, "cosigned by w1"},
		"one from the future":   {[]func(string) string{w1, future}, "a cosignature of w2 that is not valid for this checkpoint and time"},
		"one of something else": {[]func(string) string{w1, mangled, w3}, "a cosignature of w2 that is not valid for this checkpoint and time"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			release := w.Release(t)
			enter(t, release, key, func(*tlog.Entry) {}, c.by...)
			for _, r := range []*verify.Report{dir(t, release, o), file(t, filepath.Join(release, vt.Archive), o)} {
				i := slices.IndexFunc(r.Checks, func(c verify.Check) bool { return c.ID == "witness-missing" })
				if c.actual == "" {
					accepted(t, r)
					if i < 0 || r.Checks[i].Status != verify.Pass || r.Checks[i].Expected != "2 of w1, w2, w3" {
						t.Errorf("%+v", r.Checks)
					}
					continue
				}
				refused(t, r, "witness-missing")
				if i < 0 || r.Checks[i].Expected != "2 of w1, w2, w3" || r.Checks[i].Actual != c.actual {
					t.Errorf("%+v", r.Checks[max(0, i)])
				}
			}
		})
	}
	// Without the log's proof nobody asks for witnesses; and a log without witnesses needs none.
	refused(t, dir(t, w.Release(t), o), "log-proof-missing")
	plain := logged(t, key)
	release := plain.Release(t)
	enter(t, release, key, func(*tlog.Entry) {}, stranger)
	accepted(t, dir(t, release, options(plain)))
}
