package gomod

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/dirhash"
	modzip "golang.org/x/mod/zip"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/material"
	"github.com/sello-release/sello/internal/material/cas"
)

// toolchainModule is the module that Go toolchains are published as.
const toolchainModule = "golang.org/toolchain"

// Toolchain gives a Go toolchain for this machine: a release like go1.26.8, or
// Local for the one that is installed.
//
// A release is a module that the checksum database vouches for; it is unpacked once, and proven on
// every use by hashing each of its files. A folder that is not what it should be is thrown away and
// unpacked again.
func (f *Fetcher) Toolchain(ctx context.Context, version string) (material.Toolchain, error) {
	u, err := f.asUser(ctx)
	if err != nil {
		return material.Toolchain{}, err
	}
	if version == Local {
		return f.localToolchain(u)
	}
	if _, err := checkWanted(version, ""); err != nil {
		return material.Toolchain{}, err
	}
	f.tools.Lock()
	defer f.tools.Unlock()
	mv := module.Version{Path: toolchainModule, Version: "v0.0.1-" + version + "." + u.hostOS + "-" + u.hostArch}
	t := unpacked{f: f, mod: mv, version: version}
	if known := f.knownToolchain(u, &t); known {
		if root, err := t.proven(); err == nil {
			return t.toolchain(root)
		}
		f.opts.Progress("unpack toolchain " + version)
		if root, err := t.fromStore(); err == nil {
			return t.toolchain(root)
		}
	}
	f.opts.Progress("fetch toolchain " + version)
	root, err := t.download(ctx, u)
	if err != nil {
		return material.Toolchain{}, err
	}
	return t.toolchain(root)
}

// unpacked is a toolchain module on its way to a folder.
type unpacked struct {
	f       *Fetcher
	mod     module.Version
	version string
	entry   cas.Entry
}

func (t *unpacked) key() cas.Key {
	return cas.Key{Module: t.mod.Path, Version: t.mod.Version, Kind: cas.Zip}
}

// knownToolchain reports whether an earlier run verified this toolchain.
func (f *Fetcher) knownToolchain(u *user, t *unpacked) bool {
	e, ok := f.index.Get(t.key())
	if !ok || e.H1 == "" {
		return false
	}
	if e.VerifiedBy == "" && (u.settings.GOSUMDB != "off" || !f.opts.ExemptToolchain) {
		return false
	}
	t.entry = e
	return true
}

// folder is where the toolchain with this hash is unpacked.
func (t *unpacked) folder() (string, error) {
	sum, err := hexHash(t.entry.H1)
	if err != nil {
		return "", err
	}
	return filepath.Join(t.f.opts.CacheDir, "toolchains", t.mod.Version[len("v0.0.1-"):]+"-"+sum[:16]), nil
}

// proven gives the unpacked folder if both it and the stored zip are what the index says.
func (t *unpacked) proven() (string, error) {
	root, err := t.folder()
	if err != nil {
		return "", err
	}
	zip := make(chan error, 1)
	go func() { zip <- t.f.store.Verify(t.entry.SHA256) }()
	err = proveToolchain(root, t.mod.String(), t.entry.H1)
	return root, errors.Join(err, <-zip)
}

// fromStore unpacks the stored zip, when its bytes give the hash.
func (t *unpacked) fromStore() (string, error) {
	file, err := t.f.store.Open(t.entry.SHA256)
	if err != nil {
		return "", err
	}
	defer file.Close()
	h1, err := dirhash.HashZip(file.Name(), dirhash.Hash1)
	if err != nil {
		return "", fmt.Errorf("hash toolchain: %w", err)
	}
	if h1 != t.entry.H1 {
		return "", fmt.Errorf("hash toolchain: expected %s, found %s", t.entry.H1, h1)
	}
	tmp, err := os.MkdirTemp(filepath.Join(t.f.opts.CacheDir, "tmp"), "toolchain-*")
	if err != nil {
		return "", fmt.Errorf("create scratch folder: %w", err)
	}
	defer os.RemoveAll(tmp)
	staging := filepath.Join(tmp, "root")
	if err := modzip.Unzip(staging, t.mod, file.Name()); err != nil {
		return "", fmt.Errorf("unpack toolchain: %w", err)
	}
	return t.install(staging)
}

// download fetches the module through the recording proxy. The go command asks
// the checksum database, which it does for toolchains whatever GONOSUMDB says, and unpacks.
func (t *unpacked) download(ctx context.Context, u *user) (string, error) {
	off := u.settings.GOSUMDB == "off"
	if off && !t.f.opts.ExemptToolchain {
		return "", &gate.Refusal{Code: "toolchain-unverified", Class: gate.Refused, What: "the checksum database is off, so nothing vouches for the toolchain", Where: t.version,
			Expected: "GOSUMDB set", Actual: "GOSUMDB=off", Fix: "go env -u GOSUMDB, or builds[].go.toolchain: local"}
	}
	s, err := t.f.open(ctx, filepath.Join(t.f.opts.CacheDir, "tmp"), "")
	if err != nil {
		return "", err
	}
	defer s.close()
	if off {
		return t.downloadExempt(ctx, s)
	}
	d, err := s.downloadOne(ctx, t.mod)
	if err != nil {
		return "", toolchainMissing(t.version, err)
	}
	rec, ok := s.proxy.Record(t.key())
	if !ok {
		return "", fmt.Errorf("fetch toolchain: %s did not come through the proxy", t.mod)
	}
	now := time.Now().UTC().Truncate(time.Second)
	t.entry = cas.Entry{SHA256: rec.SHA256, Size: rec.Size, H1: d.Sum, Location: rec.Upstream, Time: rec.Time, VerifiedBy: u.settings.SumDBName(), VerifiedAt: &now}
	root, err := t.install(d.Dir)
	if err != nil {
		return "", err
	}
	return root, t.f.index.Put(t.key(), t.entry)
}

func (t *unpacked) downloadExempt(ctx context.Context, s *session) (string, error) {
	file, err := s.proxy.Fetch(ctx, t.key())
	if err != nil {
		return "", toolchainMissing(t.version, err)
	}
	defer file.Close()
	h1, err := dirhash.HashZip(file.Name(), dirhash.Hash1)
	if err != nil {
		return "", fmt.Errorf("hash toolchain: %w", err)
	}
	rec, _ := s.proxy.Record(t.key())
	t.entry = cas.Entry{SHA256: rec.SHA256, Size: rec.Size, H1: h1, Location: rec.Upstream, Time: rec.Time}
	root, err := t.fromStore()
	if err != nil {
		return "", err
	}
	return root, t.f.index.Put(t.key(), t.entry)
}

func toolchainMissing(version string, err error) error {
	if gate.Code(err) != "" {
		return err
	}
	return &gate.Refusal{Code: "toolchain-not-found", Class: gate.Failed, What: "the toolchain could not be fetched", Where: version,
		Fix: "check the name and the platform, and `go env GOPROXY`", Cause: err}
}

// toolchain describes the proven folder.
func (t *unpacked) toolchain(root string) (material.Toolchain, error) {
	sum, err := hexHash(t.entry.H1)
	if err != nil {
		return material.Toolchain{}, err
	}
	m := material.Material{
		URI: purl(t.mod), Name: "toolchain", Digest: map[string]string{"sha256": t.entry.SHA256, "dirHash": sum},
		DownloadLocation: t.entry.Location, Annotations: map[string]string{"h1": t.entry.H1, "sumdb": "verified"},
	}
	if t.entry.VerifiedBy == "" {
		m.Annotations["sumdb"], m.Annotations["exemption"] = "exempt", "GOSUMDB=off"
	}
	return material.Toolchain{Version: t.version, Root: root, Material: m}, nil
}

// downloaded is what `go mod download -json` prints for one module.
type downloaded struct {
	Path, Version, Error, Dir, Sum, GoModSum string
}

// downloadOne downloads a module whose hash the checksum database must have.
func (s *session) downloadOne(ctx context.Context, mv module.Version) (downloaded, error) {
	out, err := s.run(ctx, filepath.Join(s.dir, "alone"), s.proxied(true), "mod", "download", "-json", "-modcacherw", "--", mv.String())
	var d downloaded
	if jsonErr := json.Unmarshal(out, &d); jsonErr == nil && d.Error != "" {
		return d, s.explain(d.Error, errors.New(d.Error))
	} else if err == nil && jsonErr != nil {
		err = fmt.Errorf("read output of go mod download: %w", jsonErr)
	}
	return d, err
}
