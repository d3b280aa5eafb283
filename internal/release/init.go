package release

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/sello-release/sello/internal/definition"
	"github.com/sello-release/sello/internal/engine/bubblewrap"
	"github.com/sello-release/sello/internal/engine/host"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/scaffold"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/trust"
)

// trustYears is how long a new trust file holds.
const trustYears = 2

// InitOptions choose what Init writes.
type InitOptions struct {
	Identity string // name of the first identity
	Source   string // canonical source, when not the remote's
}

// InitFile is one file that Init wrote, or found and kept.
type InitFile struct {
	Path    string `json:"path"`
	Written bool   `json:"written"`
	Note    string `json:"note,omitempty"`
}

// Initialised is what Init did.
type Initialised struct {
	Files    []InitFile `json:"files"`
	Warnings []string   `json:"warnings,omitempty"`
	Next     []string   `json:"next"`
}

// Init writes sello.yaml, a key pair and trust.yaml. What exists is kept, so it can be run again.
func (p *Project) Init(ctx context.Context, o InitOptions) (*Initialised, error) {
	if err := checkIdentity(o.Identity); err != nil {
		return nil, err
	}
	out := &Initialised{}
	branch, err := p.initBranch(ctx, out)
	if err != nil {
		return nil, err
	}
	def, err := p.initDefinition(ctx, branch, o, out)
	if err != nil {
		return nil, err
	}
	if err := p.initTrust(ctx, def, o, out); err != nil {
		return nil, err
	}
	add := "git add " + definition.FileName + " " + TrustFile + " && git commit -m 'Release with Sello'"
	out.Next = []string{add, "sello check && sello plan", "sello propose " + orText(pinnedVersion(def), p.nextVersion(ctx))}
	return out, nil
}

// initBranch is the branch for releases: main where there is one, else the one that is checked out.
func (p *Project) initBranch(ctx context.Context, out *Initialised) (string, error) {
	current, err := p.Repo.Branch(ctx)
	if current == definition.DefaultBranch || err != nil && gate.Code(err) != "source-detached-head" {
		return current, err
	}
	if have, matchErr := p.Repo.BranchesMatching(ctx, definition.DefaultBranch); matchErr != nil || len(have) == 0 {
		return current, errors.Join(err, matchErr)
	}
	if !p.exists(definition.FileName) {
		out.Warnings = append(out.Warnings, "branch: releases come from "+definition.DefaultBranch+", and not from "+orText(current, "the commit")+" that is checked out; write branch: into "+definition.FileName+" for another one")
	}
	return definition.DefaultBranch, nil
}

// exists reports whether a file of the working tree is there.
func (p *Project) exists(name string) bool {
	_, err := os.Lstat(filepath.Join(p.Repo.Root(), name))
	return err == nil
}

// initDefinition writes sello.yaml unless it exists, and gives what stands there.
func (p *Project) initDefinition(ctx context.Context, branch string, o InitOptions, out *Initialised) (*definition.Definition, error) {
	full := filepath.Join(p.Repo.Root(), definition.FileName)
	data, err := os.ReadFile(full)
	if errors.Is(err, fs.ErrNotExist) {
		remote, _ := p.Repo.RemoteURL(ctx)
		found, err := scaffold.Detect(ctx, p.Repo.Root(), scaffold.Options{Remote: remote, Branch: branch, Source: o.Source, GoVersion: localGo(ctx)})
		if err != nil {
			return nil, err
		}
		data = found.SelloYAML()
		if _, err := p.checkDefinition(definition.FileName, data); err != nil {
			return nil, fmt.Errorf("write %s for this repository: %w", definition.FileName, err)
		}
		if err := writeFile(full, data); err != nil {
			return nil, fmt.Errorf("write definition: %w", err)
		}
		out.Warnings = append(out.Warnings, found.Warnings...)
		out.Files = append(out.Files, InitFile{Path: definition.FileName, Written: true, Note: summary(found)})
	} else if err != nil {
		return nil, fmt.Errorf("read definition: %w", err)
	} else {
		out.Files = append(out.Files, InitFile{Path: definition.FileName, Note: "it was there"})
	}
	return definition.Parse(definition.FileName, data)
}

// initTrust writes a key pair and a trust file that trusts it, unless there is a trust file.
func (p *Project) initTrust(ctx context.Context, def *definition.Definition, o InitOptions, out *Initialised) error {
	full := filepath.Join(p.Repo.Root(), TrustFile)
	if _, err := os.Stat(full); err == nil {
		out.Files = append(out.Files, InitFile{Path: TrustFile, Note: "it was there"})
		return nil
	}
	keys := p.Keys(def.Project)
	key, err := sign.ReadKeyFile(keys.Path(o.Identity), keys.Ask)
	made := errors.Is(err, fs.ErrNotExist)
	if made {
		key, err = keys.Create(o.Identity, trust.RoleManager, nil)
	}
	if err != nil {
		return err
	}
	note := "private key: not in git, keep a copy"
	if !made {
		note = "private key of an earlier " + def.Project + ", taken over"
		out.Warnings = append(out.Warnings, fmt.Sprintf("KEY TAKEN OVER: %s was there (%s, for a project called %s) and signs for this one too: whoever trusts one, trusts the other. "+
			"For a key of its own: rm %s && sello init --name OTHER-NAME, or keep keys elsewhere: SELLO_KEYS=FOLDER sello init", keys.Path(o.Identity), key.KeyID(), def.Project, TrustFile))
	}
	t, err := firstTrust(def, o.Identity, key, p.Now())
	if err != nil {
		return err
	}
	if err := writeFile(full, trust.Marshal(t)); err != nil {
		return fmt.Errorf("write trust file: %w", err)
	}
	out.Files = append(out.Files,
		InitFile{Path: TrustFile, Written: true, Note: o.Identity + " builds and signs off, threshold 1; sello key new NAME --role manager adds people"},
		InitFile{Path: keys.Path(o.Identity), Written: made, Note: note})
	return nil
}

// firstTrust trusts one identity as builder and manager.
func firstTrust(def *definition.Definition, identity string, key *sign.Key, now time.Time) (*trust.Trust, error) {
	public, err := key.PublicPEM()
	if err != nil {
		return nil, err
	}
	t := &trust.Trust{Version: 1, Project: def.Project, Source: unpinned(def.Source), Expires: trust.Date(now.AddDate(trustYears, 0, 0).Format(time.DateOnly)),
		Builders: []trust.Builder{{ID: bubblewrap.BuilderID, Signer: identity, Level: 3}, {ID: host.BuilderID, Signer: identity, Level: 1}}}
	for _, role := range []string{trust.RoleBuilder, trust.RoleManager} {
		if err := t.Add(identity, trust.Identity{Key: string(public)}, role); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// summary says what Init found, for one line.
func summary(f scaffold.Found) string {
	var programs []string
	for _, b := range f.Builds {
		programs = append(programs, strings.Join(b.Packages, " "))
	}
	return f.Project + ": " + strings.Join(programs, ", ")
}

// localGo gives the version of the Go command on this machine, or "".
func localGo(ctx context.Context) string {
	cmd := exec.CommandContext(ctx, "go", "env", "GOVERSION")
	cmd.Dir = os.TempDir() // not in a module that would ask for another toolchain
	out, err := cmd.Output()
	if err != nil {
		return ""
	}
	version, _, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
	return version
}

func asRefusal(err error) (*gate.Refusal, bool) {
	var r *gate.Refusal
	ok := errors.As(err, &r)
	return r, ok
}
