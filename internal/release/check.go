package release

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"github.com/sello-release/sello/internal/build"
	"github.com/sello-release/sello/internal/definition"
	"github.com/sello-release/sello/internal/deps"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/trust"
)

// Check reads files of the working tree as strictly as a release does, and plans the definition. Without
// names it takes sello.yaml, trust.yaml, all release files, and dependencies.yaml with the approvals where they are. It gives what was checked, and all errors joined.
func (p *Project) Check(ctx context.Context, names []string) ([]string, error) {
	all := len(names) == 0
	if all {
		names = []string{definition.FileName, TrustFile}
		more, err := filepath.Glob(filepath.Join(p.Repo.Root(), "releases", "*.yaml"))
		if err != nil {
			return nil, err
		}
		sort.Strings(more)
		for _, m := range more {
			names = append(names, filepath.ToSlash(filepath.Join("releases", filepath.Base(m))))
		}
	}
	var checked []string
	var errs []error
	var def *definition.Definition
	var trusted *trust.Trust
	for _, name := range names {
		data, err := readLimited(filepath.Join(p.Repo.Root(), filepath.FromSlash(p.repoPath(name))))
		if err != nil {
			errs = append(errs, missing(name, err))
			continue
		}
		switch {
		case strings.HasPrefix(p.repoPath(name), "releases/"):
			var rel *definition.Release
			if rel, err = definition.ParseRelease(p.repoPath(name), data); err == nil {
				err = p.draftedNotes(rel.Notes)
			}
		case filepath.Base(name) == deps.FileName:
			_, err = deps.ParsePolicy(name, data)
		case strings.HasPrefix(p.repoPath(name), deps.Folder+"/"):
			_, err = deps.ParseApproval(name, data)
		case filepath.Base(name) == TrustFile:
			if trusted, err = p.checkTrust(name, data); err == nil && p.repoPath(name) == TrustFile {
				err = p.followDraft(trusted, data)
			}
		default:
			if def, err = p.checkDefinition(name, data); err == nil {
				err = errors.Join(p.patternsMatch(ctx, name, data), p.checkInputRules(ctx, def, &checked))
			}
			err = p.withDigests(ctx, err)
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		checked = append(checked, name)
	}
	if all {
		d, err := p.WorkingDependencies()
		if err == nil {
			checked = append(checked, d.Files...)
		}
		errs = append(errs, err)
	}
	if def != nil && trusted != nil {
		c := &Candidate{Definition: def, Trust: trusted}
		errs = append(errs, c.agree(p.Now()))
	}
	return checked, errors.Join(errs...)
}

// checkInputRules reads the policies and evidence that a definition's rules about inputs name, and judges the images that it names.
func (p *Project) checkInputRules(ctx context.Context, def *definition.Definition, checked *[]string) error {
	all, err := p.workingInputs(ctx, def)
	if err != nil || len(all.all) == 0 {
		return err
	}
	plan, err := build.New(def, "v0.0.0", strings.Repeat("0", 40), p.Now())
	if err != nil {
		return err
	}
	judged, err := p.foresee(ctx, plan, all)
	if err != nil {
		return err
	}
	for _, w := range judged.Warned() {
		p.note(fmt.Sprintf("%s: %s: only warned about [%s]", w.Name, w.Reason, w.Code))
	}
	for _, r := range all.all[0].rules {
		if !slices.Contains(*checked, r.Policy) {
			*checked = append(*checked, r.Policy)
		}
	}
	return nil
}

func (p *Project) checkDefinition(name string, data []byte) (*definition.Definition, error) {
	def, err := definition.Parse(name, data)
	if err != nil {
		return nil, err
	}
	def = def.WithDefaults()
	_, err = build.New(def, "v0.0.0", strings.Repeat("0", 40), p.Now())
	return def, err
}

func readLimited(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > 4*maxReviewed { // the decoder refuses it by name; this only bounds what is read
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		data := make([]byte, 4*maxReviewed)
		_, err = f.Read(data)
		return data, err
	}
	return os.ReadFile(path)
}

// checkTrust checks a trust file, and the trusted root that it names.
func (p *Project) checkTrust(name string, data []byte) (*trust.Trust, error) {
	t, err := trust.Parse(name, data)
	if err != nil || t.TrustedRoot == nil {
		return t, err
	}
	root, err := readLimited(filepath.Join(p.Repo.Root(), filepath.FromSlash(t.TrustedRoot.File)))
	if err != nil {
		return nil, missing(t.TrustedRoot.File, err)
	}
	if err := t.SetRoot(root); err != nil {
		return nil, err
	}
	_, err = sign.ParseRoot(root)
	return t, err
}

func missing(name string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return usageRefusal("file-missing", name, "there is no such file", "sello init writes sello.yaml and trust.yaml; sello propose writes release files")
	}
	return fmt.Errorf("read %s: %w", name, err)
}
