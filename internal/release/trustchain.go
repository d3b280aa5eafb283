package release

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/store"
	"github.com/sello-release/sello/internal/trust"
	"github.com/sello-release/sello/internal/trust/chain"
)

// followTrust holds the trust file of a commit to the versions before it.
func (p *Project) followTrust(ctx context.Context, tip string, t *trust.Trust, data []byte) error {
	return p.follow(t, func() (chain.Files, error) { return p.trustFiles(ctx, tip, t, data) })
}

// followDraft is followTrust for the working tree.
func (p *Project) followDraft(t *trust.Trust, data []byte) error {
	return p.follow(t, func() (chain.Files, error) {
		files, err := p.versionsAtHand()
		if err == nil {
			files[chain.FileName(t.Version)] = data
		}
		return files, err
	})
}

// follow holds a trust file to the version that this checkout released with last, or else to the first of the versions that there are. A
// first version has nothing before it.
func (p *Project) follow(t *trust.Trust, read func() (chain.Files, error)) error {
	known, err := p.knownTrust(t)
	if err != nil || known == nil && t.Previous == "" {
		return err
	}
	files, err := read()
	if err != nil {
		return err
	}
	if known == nil {
		first := files.Versions()[0]
		if first == t.Version {
			return &gate.Refusal{Code: "trust-chain-missing", Where: chain.Folder + "/" + chain.FileName(t.Version-1), What: "the version of the trust file before this one is not in the repository, so that nobody can follow",
				Expected: t.Previous, Fix: "sello trust sign, and commit the folder " + chain.Folder}
		}
		if known, err = trust.Parse(chain.Folder+"/"+chain.FileName(first), files[chain.FileName(first)]); err != nil {
			return err
		}
		shareRoot(known, t)
	}
	_, _, err = chain.Follow(known, files)
	var r *gate.Refusal
	if errors.As(err, &r) && r.Code == "trust-fork" {
		r.Where, r.What = TrustFile, "the trust file is another one than this checkout released with, and has the same version"
		r.Fix = fmt.Sprintf("a change is the next version: set version: %d and previous: sha256:%s, then sello trust sign", known.Version+1, known.Digest())
	}
	return err
}

// shareRoot gives a version the trusted root that another version was read with, where it is the same.
func shareRoot(to, from *trust.Trust) {
	if to.TrustedRoot != nil && from.Root() != nil {
		_ = to.SetRoot(from.Root()) // another root: its certificates are then refused
	}
}

// trustFiles reads the versions and their signatures at a commit; the last version is the trust file itself.
func (p *Project) trustFiles(ctx context.Context, tip string, t *trust.Trust, data []byte) (chain.Files, error) {
	files := chain.Files{}
	names, err := p.Repo.List(ctx, tip, chain.Folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read versions of the trust file: %w", err)
	}
	if err := notTooMany(len(names)); err != nil {
		return nil, err
	}
	for _, name := range names {
		content, err := p.Repo.ReadFile(ctx, tip, chain.Folder+"/"+name, chain.MaxFile)
		if gate.Code(err) == "source-not-a-file" {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read versions of the trust file: %w", err)
		}
		files[name] = content
	}
	files[chain.FileName(t.Version)] = data
	return files, nil
}

// trustMemory is where this checkout keeps the trust file that it released with last.
func (p *Project) trustMemory() (string, error) {
	dir, err := p.State("trust")
	return filepath.Join(dir, "released.yaml"), err
}

// knownTrust gives the trust file that this checkout released with last; nil when it never has.
func (p *Project) knownTrust(t *trust.Trust) (*trust.Trust, error) {
	file, err := p.trustMemory()
	if err != nil {
		return nil, err
	}
	data, err := readLimited(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // nothing is known yet
	}
	if err != nil {
		return nil, fmt.Errorf("read the trust file of the last release: %w", err)
	}
	known, err := trust.Parse(file, data)
	if err == nil {
		shareRoot(known, t)
	}
	return known, err
}

func (p *Project) rememberTrust(data []byte) error {
	file, err := p.trustMemory()
	if err == nil {
		err = writeFile(file, data)
	}
	if err != nil {
		return fmt.Errorf("keep the trust file of the release: %w", err)
	}
	return nil
}

// publishTrust puts the versions of the trust file and their signatures beside the release, where there is more than one, so that
// who has an earlier one can follow. A release that is made already stays as it is.
func (p *Project) publishTrust(ctx context.Context, c *Candidate, to store.ReleaseLayout) error {
	if _, err := readObject(ctx, to.Bucket, to.Statement(), sign.MaxBundle); err == nil {
		return nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	files, err := p.trustFiles(ctx, c.Tip, c.Trust, c.TrustBytes)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := putBytes(ctx, to.Bucket, to.File(chain.Folder+"/"+name), files[name]); err != nil {
			return err
		}
	}
	return nil
}

// TrustSigned is what SignTrust did.
type TrustSigned struct {
	Version  int      `json:"version"`
	SHA256   string   `json:"sha256"`
	Identity string   `json:"identity"`
	Files    []string `json:"files"`              // written, to be committed
	SignedBy []string `json:"signedBy,omitempty"` // managers of the version before, with this one
	Needed   int      `json:"needed"`
}

// SignTrust signs the trust file of the working tree as a manager of the version before it, and puts that version beside it when it is not
// there yet.
func (p *Project) SignTrust(ctx context.Context, as string) (*TrustSigned, error) {
	data, err := readLimited(filepath.Join(p.Repo.Root(), TrustFile))
	if err != nil {
		return nil, missing(TrustFile, err)
	}
	t, err := p.checkTrust(TrustFile, data)
	if err != nil {
		return nil, err
	}
	if t.Previous == "" {
		return nil, usageRefusal("trust-first", TrustFile, "this is the first version of the trust file: nobody signs it, and who uses it has to get it from a place that they trust", "nothing to do; a later version is signed: sello key trust")
	}
	dir := filepath.Join(p.Repo.Root(), chain.Folder)
	out := &TrustSigned{Version: t.Version, SHA256: digest.Bytes(data)}
	before, err := p.before(ctx, t, dir, out)
	if err != nil {
		return nil, err
	}
	shareRoot(before, t)
	identity, key, err := p.Keys(t.Project).Signer(ctx, before, trust.RoleManager, as)
	if err != nil {
		return nil, err
	}
	signature, err := chain.Sign(ctx, key, identity, data, p.Now())
	if err != nil {
		return nil, err
	}
	name := chain.SignatureName(t.Version, identity)
	if err := writeFile(filepath.Join(dir, name), signature); err != nil {
		return nil, fmt.Errorf("write signature of the trust file: %w", err)
	}
	out.Identity, out.Needed, out.Files = identity, before.Threshold(trust.RoleManager), append(out.Files, chain.Folder+"/"+name)
	files, err := p.versionsAtHand()
	if err != nil {
		return nil, err
	}
	out.SignedBy = chain.SignedBy(before, t, files)
	return out, nil
}

// before gives the version before t: from the folder, or from what is committed, which is then put into the folder.
func (p *Project) before(ctx context.Context, t *trust.Trust, dir string, out *TrustSigned) (*trust.Trust, error) {
	name := chain.FileName(t.Version - 1)
	data, err := readLimited(filepath.Join(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		if data, err = p.committedTrust(ctx); err == nil && "sha256:"+digest.Bytes(data) == t.Previous {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return nil, fmt.Errorf("make folder of trust files: %w", err)
			}
			if err := writeFile(filepath.Join(dir, name), data); err != nil {
				return nil, fmt.Errorf("write trust file: %w", err)
			}
			out.Files = append(out.Files, chain.Folder+"/"+name)
		}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the version before: %w", err)
	}
	if "sha256:"+digest.Bytes(data) != t.Previous {
		return nil, &gate.Refusal{Code: "trust-chain-missing", Class: gate.Usage, Where: chain.Folder + "/" + name, What: "this is not the version of the trust file that the one to be signed follows", Expected: t.Previous,
			Actual: "sha256:" + digest.Bytes(data), Fix: "put the version before there, as it was committed: git show COMMIT:" + TrustFile + " > " + chain.Folder + "/" + name}
	}
	return trust.Parse(chain.Folder+"/"+name, data)
}

// committedTrust gives the trust file of the commit that is checked out.
func (p *Project) committedTrust(ctx context.Context) ([]byte, error) {
	head, err := p.Repo.HeadCommit(ctx)
	if err != nil {
		return nil, err
	}
	return p.Repo.ReadFile(ctx, head, TrustFile, maxReviewed)
}

// TrustVersions reads the versions of a trust file and their signatures in a folder: a release or a checkout, whose own trust file is the
// last. It refuses, by code: usage, trust-size, trust-fork, and what trust.Parse refuses.
func TrustVersions(dir string) (chain.Files, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, &gate.Refusal{Code: "usage", Class: gate.Usage, What: "read " + dir + ": " + err.Error(), Fix: "give the folder of a checkout, or of a release that was downloaded"}
	}
	defer root.Close()
	files, err := readVersions(root)
	if err != nil {
		return nil, err
	}
	current, err := readVersion(root, TrustFile)
	if errors.Is(err, fs.ErrNotExist) {
		return files, nil
	}
	if err != nil {
		return nil, err
	}
	t, err := trust.Parse(filepath.Join(dir, TrustFile), current)
	if err != nil {
		return nil, err
	}
	name := chain.FileName(t.Version)
	if other := files[name]; other != nil && !bytes.Equal(other, current) {
		return nil, &gate.Refusal{Code: "trust-fork", Where: dir, What: "the folder has two trust files of version " + fmt.Sprint(t.Version), Expected: "the same in " + TrustFile + " and " + chain.Folder + "/" + name,
			Actual: "sha256:" + digest.Bytes(current) + " and sha256:" + digest.Bytes(other), Fix: "find out which one the project's managers made, and remove the other"}
	}
	files[name] = current
	return files, nil
}

// versionsAtHand are those of the working tree but for the file that is being changed.
func (p *Project) versionsAtHand() (chain.Files, error) {
	root, err := os.OpenRoot(p.Repo.Root())
	if err != nil {
		return nil, fmt.Errorf("read versions of the trust file: %w", err)
	}
	defer root.Close()
	return readVersions(root)
}

// readVersions reads the folder of versions and signatures below a root; none when it is not there.
func readVersions(root *os.Root) (chain.Files, error) {
	entries, err := fs.ReadDir(root.FS(), chain.Folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read versions of the trust file: %w", err)
	}
	if err := notTooMany(len(entries)); err != nil {
		return nil, err
	}
	files := chain.Files{}
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		if files[e.Name()], err = readVersion(root, chain.Folder+"/"+e.Name()); err != nil {
			return nil, err
		}
	}
	return files, nil
}

func notTooMany(entries int) error {
	if entries <= chain.MaxFiles {
		return nil
	}
	return &gate.Refusal{Code: "trust-size", Class: gate.Usage, Where: chain.Folder, What: "there are too many entries", Expected: fmt.Sprintf("at most %d", chain.MaxFiles), Actual: fmt.Sprint(entries),
		Fix: "keep only versions of the trust file and their signatures in this folder"}
}

func readVersion(root *os.Root, name string) ([]byte, error) {
	f, err := root.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read trust file: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, chain.MaxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read trust file: %w", err)
	}
	if len(data) > chain.MaxFile {
		return nil, &gate.Refusal{Code: "trust-size", Class: gate.Usage, Where: name, What: "this is too large for a trust file or a signature of one", Expected: fmt.Sprintf("at most %d bytes", chain.MaxFile), Actual: "more", Fix: "get it again from where you trust it"}
	}
	return data, nil
}

// draft gives the trust file that is to be changed: the version after the committed one. What is not committed yet is no version of its
// own: it is changed as it is, and what was signed of it does not count any more.
func (p *Project) draft(ctx context.Context) (*trust.Trust, error) {
	data, err := readLimited(filepath.Join(p.Repo.Root(), TrustFile))
	if err != nil {
		return nil, missing(TrustFile, err)
	}
	t, err := trust.Parse(TrustFile, data)
	if err != nil {
		return nil, err
	}
	committed, err := p.committedTrust(ctx)
	if err == nil && bytes.Equal(committed, data) {
		return t.Next(), nil
	}
	return t.Clone(), nil //nolint:nilerr // nothing is committed
}
