// Package tuftest makes TUF repositories as the operators of a Sigstore instance do, for tests.
package tuftest

import (
	"crypto"
	"crypto/ed25519"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// target is the file that the repository hands out.
const target = "trusted_root.json"

// Repository is a TUF repository on disk, made as its operators make one.
type Repository struct {
	t    *testing.T
	Dir  string
	Key  signature.Signer
	Root *metadata.Metadata[metadata.RootType]
}

// NewKey gives a key that signs metadata.
func NewKey(t *testing.T) (signature.Signer, *metadata.Key) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := signature.LoadSigner(private, crypto.Hash(0))
	if err != nil {
		t.Fatal(err)
	}
	key, err := metadata.KeyFromPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return signer, key
}

// New gives a repository without content, and its first root.
func New(t *testing.T) (*Repository, []byte) {
	r := &Repository{t: t, Dir: t.TempDir()}
	var key *metadata.Key
	r.Key, key = NewKey(t)
	r.Root = metadata.Root(time.Now().AddDate(0, 0, 30))
	for _, role := range []string{"root", "timestamp", "snapshot", "targets"} {
		if err := r.Root.Signed.AddKey(key, role); err != nil {
			t.Fatal(err)
		}
	}
	return r, r.Write("1.root.json", r.Root, r.Key)
}

// must ends the test for an error of the library that makes repositories.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// signable is metadata of any role.
type signable interface {
	Sign(signature.Signer) (*metadata.Signature, error)
	ToBytes(pretty bool) ([]byte, error)
	ClearSignatures()
}

// Write signs metadata and writes it.
func (r *Repository) Write(name string, m signable, keys ...signature.Signer) []byte {
	m.ClearSignatures()
	for _, k := range keys {
		_, err := m.Sign(k)
		must(r.t, err)
	}
	data, err := m.ToBytes(false)
	must(r.t, err)
	must(r.t, os.WriteFile(filepath.Join(r.Dir, name), data, 0o600))
	return data
}

// Publish writes a version of the repository with one target.
func (r *Repository) Publish(version int64, expires time.Time, content []byte) {
	file := filepath.Join(r.t.TempDir(), target)
	must(r.t, os.WriteFile(file, content, 0o600))
	info, err := metadata.TargetFile().FromFile(file, "sha256")
	must(r.t, err)
	must(r.t, os.MkdirAll(filepath.Join(r.Dir, "targets"), 0o700))
	must(r.t, os.WriteFile(filepath.Join(r.Dir, "targets", info.Hashes["sha256"].String()+"."+target), content, 0o600))

	targets := metadata.Targets(expires)
	targets.Signed.Version, targets.Signed.Targets = version, map[string]*metadata.TargetFiles{target: info}
	snapshot := metadata.Snapshot(expires)
	snapshot.Signed.Version, snapshot.Signed.Meta = version, map[string]*metadata.MetaFiles{"targets.json": metadata.MetaFile(version)}
	timestamp := metadata.Timestamp(expires)
	timestamp.Signed.Version, timestamp.Signed.Meta = version, map[string]*metadata.MetaFiles{"snapshot.json": metadata.MetaFile(version)}
	r.Write(fmt.Sprintf("%d.targets.json", version), targets, r.Key)
	r.Write(fmt.Sprintf("%d.snapshot.json", version), snapshot, r.Key)
	r.Write("timestamp.json", timestamp, r.Key)
}

// Serve gives the URL of a mirror on loopback, until the test ends.
func (r *Repository) Serve() string {
	server := httptest.NewServer(http.FileServer(http.Dir(r.Dir)))
	r.t.Cleanup(server.Close)
	return server.URL
}
