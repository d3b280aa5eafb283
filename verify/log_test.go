package verify_test

import (
	"crypto"
	"path/filepath"
	"testing"

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
func logged(t *testing.T, key *sign.Key) *vt.World {
	t.Helper()
	return vt.NewWorld(t, func(tr *trust.Trust) {
		public, err := key.PublicPEM()
		if err != nil {
			t.Fatal(err)
		}
		if err := tr.Add("log", trust.Identity{Key: string(public)}, trust.RoleLog); err != nil {
			t.Fatal(err)
		}
	})
}

// enter adds a release's statement to a log, with changes to the entry, and lays the proof beside it.
func enter(t *testing.T, dir string, key *sign.Key, change func(*tlog.Entry)) {
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
