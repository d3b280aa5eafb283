// Package release does the work of the verbs: propose, stage, sign-off, promote,
// release, and the quick local build.
//
// Each verb reads verified files from commits and attestations from buckets, adds one thing,
// and can be run again: what is done is recognised by digest. Nothing here
// reads a release file, a definition or a trust file from a working tree; only
// propose, init and the local build look at it.
package release

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/sello-release/sello/internal/definition"
	"github.com/sello-release/sello/internal/engine"
	"github.com/sello-release/sello/internal/flow"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/registry"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/sign/keyless"
	"github.com/sello-release/sello/internal/source"
	"github.com/sello-release/sello/internal/store"
)

// TrustFile is the path of the trust file in the repository.
const TrustFile = "trust.yaml"

// stateDir is the folder in the checkout for work, logs and file buckets. Git ignores it.
const stateDir = ".sello"

// maxReviewed bounds a reviewed file, in bytes.
const maxReviewed = 1 << 20

// Project is a checkout whose releases are worked on, with what the verbs need from the machine.
type Project struct {
	Repo       *source.Repository
	Engine     engine.Engine
	CacheDir   string              // for materials; shared between projects
	KeyDir     string              // where private keys are
	Passphrase sign.Passphrase     // asks for the passphrase of an encrypted key
	Token      keyless.TokenSource // finds the token that certificates are issued for
	Terminal   keyless.Terminal    // where a person can be asked to sign in
	SignIn     string              // how they want to: keyless.Flows; "" leaves it to the signer's file
	Events     flow.Sink           // what happens, as it happens
	Now        func() time.Time    // the clock, for sign-offs and expiry
	Tool       string              // sello's own version, for provenance and SBOMs
	Registry   registry.Options    // how registries are talked to
	Filter     flow.Filter         // keeps secrets out of logs, events and errors of steps

	Symbols         func(ctx context.Context, program string) ([]byte, error) // of a program that may be hostile: see vuln.Options
	Vulnerabilities string                                                    // database of vulnerabilities where the definition names none: a folder or a URL
}

// Open finds the checkout around dir.
func Open(ctx context.Context, dir string) (*Project, error) {
	repo, err := source.Open(ctx, dir)
	if err != nil {
		return nil, err
	}
	return &Project{Repo: repo, Now: time.Now, Events: discard{}}, nil
}

type discard struct{}

func (discard) Event(flow.Event) {}

// State gives a folder below the checkout's state folder, and makes it.
func (p *Project) State(elem ...string) (string, error) {
	top := filepath.Join(p.Repo.Root(), stateDir)
	dir := filepath.Join(append([]string{top}, elem...)...)
	if info, err := os.Lstat(top); err == nil && !info.IsDir() { // a repository may hold a link of this name
		return "", &gate.Refusal{Code: "state-not-a-folder", Where: top, What: "the state folder is something else than a folder", Expected: "a folder, or nothing", Actual: info.Mode().Type().String(),
			Fix: "remove it from the repository: git rm -r --cached " + stateDir + " && rm " + stateDir}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make state folder: %w", err)
	}
	ignore := filepath.Join(top, ".gitignore")
	if _, err := os.Stat(ignore); errors.Is(err, fs.ErrNotExist) {
		if err := os.WriteFile(ignore, []byte("*\n"), 0o644); err != nil {
			return "", fmt.Errorf("make state folder: %w", err)
		}
	}
	return dir, nil
}

// Lock lets one verb work at a time on this checkout; others wait, and say for whom.
func (p *Project) Lock(ctx context.Context, verb string) (unlock func(), err error) {
	dir, err := p.State()
	if err != nil {
		return nil, err
	}
	l, err := store.Lock(ctx, filepath.Join(dir, "lock"), store.LockOptions{Verb: verb, Wait: true, OnWait: func(holder store.Holder) {
		p.note("waiting for " + holder.String())
	}})
	if err != nil {
		return nil, err
	}
	return func() { _ = l.Unlock() }, nil
}

func (p *Project) note(text string) {
	p.Events.Event(flow.Event{Time: time.Now(), Kind: flow.Note, Text: p.Filter.Text(text)})
}

// buckets opens the staging and production buckets of a definition.
func (p *Project) buckets(def *definition.Definition) (staging, production store.Bucket, err error) {
	if staging, err = store.Open(def.Staging, p.Repo.Root()); err != nil {
		return nil, nil, fmt.Errorf("open staging: %w", err)
	}
	if production, err = store.Open(def.Production, p.Repo.Root()); err != nil {
		return nil, nil, fmt.Errorf("open production: %w", err)
	}
	return staging, production, nil
}

// branch gives the branch that release files are read from: the one checked out, when the
// definition at its tip allows it; else the definition's own when it names exactly one. Where no branch is
// checked out, the definition of the commit names it.
func (p *Project) branch(ctx context.Context) (name, tip string, err error) {
	name, err = p.Repo.Branch(ctx)
	if gate.Code(err) == "source-detached-head" {
		return p.detached(ctx, err)
	}
	if err != nil {
		return "", "", err
	}
	if tip, err = p.Repo.Head(ctx, name); err != nil {
		return "", "", err
	}
	def, _, err := p.definitionAt(ctx, tip)
	if err != nil {
		return "", "", err
	}
	if definition.BranchMatches(def.Branch, name) {
		return name, tip, nil
	}
	matching, err := p.Repo.BranchesMatching(ctx, def.Branch)
	if err != nil {
		return "", "", err
	}
	if len(matching) != 1 {
		return "", "", &gate.Refusal{Code: "branch-not-for-releases", Where: definition.FileName + " at " + tip[:12],
			What: "releases are not made from this branch", Expected: "branch " + def.Branch, Actual: "branch " + name,
			Fix: "check out a release branch (git switch " + def.Branch + "), or change branch: in " + definition.FileName}
	}
	tip, err = p.Repo.Head(ctx, matching[0])
	return matching[0], tip, err
}

// definitionAt reads and parses the definition at a commit.
func (p *Project) definitionAt(ctx context.Context, commit string) (*definition.Definition, []byte, error) {
	data, err := p.Repo.ReadFile(ctx, commit, definition.FileName, maxReviewed)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, &gate.Refusal{Code: "definition-missing", Class: gate.Usage, Where: "commit " + commit[:12],
			What: "the commit has no " + definition.FileName, Expected: definition.FileName + " at the root of the source",
			Fix: "run sello init, commit what it wrote, and release a commit that holds it"}
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read definition: %w", err)
	}
	def, err := definition.Parse(definition.FileName, data)
	if err != nil {
		return nil, nil, err
	}
	return def.WithDefaults(), data, nil
}
