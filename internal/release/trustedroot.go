package release

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/trust"
	"github.com/sello-release/sello/internal/tuf"
)

// PinnedRoot is a trusted root, and what changed with it.
type PinnedRoot struct {
	File    string   `json:"file"`
	Digest  string   `json:"digest"` // sha256:…
	Fetched bool     `json:"fetched"`
	Lines   []string `json:"lines"`             // whose word counts
	Added   []string `json:"added,omitempty"`   // since the file that was there before
	Removed []string `json:"removed,omitempty"` //
	Changed bool     `json:"changed,omitempty"` // trust.yaml was written

	Signed   *TrustSigned `json:"signed,omitempty"`
	Unsigned bool         `json:"unsigned,omitempty"` // managers of the version before have to sign trust.yaml yet
}

// FetchRoot fetches a Sigstore instance's trusted root by TUF into a file, and says what changed.
func FetchRoot(ctx context.Context, file string, o tuf.Options) (*PinnedRoot, error) {
	data, err := tuf.Fetch(ctx, o, tuf.TrustedRoot)
	if err != nil {
		return nil, err
	}
	out, err := describeRoot(file, data)
	if err != nil {
		return nil, err
	}
	out.Fetched = true
	switch old, err := readRoot(file); {
	case err == nil:
		if before, err := sign.ParseRoot(old); err == nil {
			out.Added, out.Removed = without(out.Lines, before.Lines()), without(before.Lines(), out.Lines)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	if err := writeFile(file, data); err != nil {
		return nil, fmt.Errorf("write trusted root: %w", err)
	}
	return out, nil
}

// ReadRoot reads a trusted root that somebody brought.
func ReadRoot(file string) (*PinnedRoot, error) {
	data, err := readRoot(file)
	if err != nil {
		return nil, &gate.Refusal{Code: "trusted-root-missing", Class: gate.Usage, Where: file, What: "read trusted root: " + err.Error(), Expected: "the instance's trusted_root.json",
			Fix: "put it there, or fetch it: sello trust root --refresh"}
	}
	return describeRoot(file, data)
}

func readRoot(file string) ([]byte, error) {
	info, err := os.Stat(file)
	switch {
	case err != nil:
		return nil, err
	case info.Size() > sign.MaxRoot:
		return nil, fmt.Errorf("%s is larger than %d bytes", file, sign.MaxRoot)
	}
	return os.ReadFile(file)
}

func describeRoot(file string, data []byte) (*PinnedRoot, error) {
	root, err := sign.ParseRoot(data)
	if err != nil {
		return nil, at(err, file)
	}
	return &PinnedRoot{File: file, Digest: "sha256:" + digest.Bytes(data), Lines: root.Lines()}, nil
}

// without gives what of all is not in some.
func without(all, some []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(s string) bool { return slices.Contains(some, s) })
}

// PinRoot has the working tree's trust.yaml name a trusted root, as its next version. name is the file's path in the repository.
func (p *Project) PinRoot(ctx context.Context, name string, root *PinnedRoot) error {
	t, err := p.draft(ctx)
	if err != nil {
		return err
	}
	if at := t.TrustedRoot; at != nil && at.File == name && at.Digest == root.Digest {
		return nil
	}
	pinned := &trust.Pinned{File: name, Digest: root.Digest}
	if t.TrustedRoot != nil {
		pinned.Fallback = t.TrustedRoot.Fallback
	}
	t.TrustedRoot = pinned
	if _, err := trust.Parse(TrustFile, trust.Marshal(t)); err != nil {
		return err
	}
	root.Changed = true
	root.Signed, root.Unsigned, err = p.writeTrust(ctx, t)
	return err
}

// RootFile is the path in the repository of the trusted root that trust.yaml names, or of the one that it could.
func (p *Project) RootFile() (string, error) {
	data, err := readLimited(filepath.Join(p.Repo.Root(), TrustFile))
	if err != nil {
		return "", missing(TrustFile, err)
	}
	t, err := trust.Parse(TrustFile, data)
	if err != nil {
		return "", err
	}
	if t.TrustedRoot != nil {
		return t.TrustedRoot.File, nil
	}
	return tuf.TrustedRoot, nil
}
