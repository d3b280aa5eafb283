package release

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/sello-release/sello/internal/definition"
	"github.com/sello-release/sello/internal/flow"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/material/gomod"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/stage"
	"github.com/sello-release/sello/internal/store"
)

// Staged is what Stage did.
type Staged struct {
	Project   string `json:"project"`
	Version   string `json:"version"`
	Digest    string `json:"digest"` // sha256:…
	Path      string `json:"path"`   // of the release file
	Where     string `json:"where"`
	Artifacts int    `json:"artifacts"`
	Images    int    `json:"images,omitempty"`
	Size      int64  `json:"size"`
	Already   bool   `json:"already"` // it was staged before, and verified again
	Built
	Inputs   *Inputs `json:"inputs,omitempty"` // how they were judged, where there are rules
	Recorded bool    `json:"recorded"`         // the stage digest was written into the release file in the working tree
}

// Stage builds the release that a merged release file names, and writes it to the staging bucket. The
// same commit gives the same stage digest wherever and whenever it is staged.
func (p *Project) Stage(ctx context.Context, file string) (*Staged, error) {
	c, err := p.Candidate(ctx, file)
	if err != nil {
		return nil, err
	}
	_, signer, err := p.Keys(c.Definition.Project).Signer(ctx, c.Trust, "builder", "")
	if err != nil {
		return nil, err
	}
	staging, production, err := p.buckets(c.Definition)
	if err != nil {
		return nil, err
	}
	work, err := p.workFolder(c)
	if err != nil {
		return nil, err
	}
	if err := reachable(ctx, c, staging, production); err != nil {
		return nil, err
	}
	s, already, err := p.stagedBefore(ctx, c, staging, work)
	if err != nil {
		return nil, err
	}
	if !already {
		if err := ready(ctx, signer); err != nil {
			return nil, err
		}
		if s, err = p.stageNow(ctx, c, staging, work, signer); err != nil {
			return nil, err
		}
	}
	if err := notReleasedOtherwise(ctx, s, store.ReleaseLayout{Bucket: production, Project: c.Definition.Project, Version: c.Release.Version}); err != nil {
		return nil, err
	}
	out := &Staged{Project: c.Definition.Project, Version: c.Release.Version, Digest: s.digestName(), Path: c.Path, Already: already, Built: s.Built,
		Where: store.Place(staging, s.Prefix()), Artifacts: len(s.list.Artifacts), Images: len(s.list.Images)}
	for _, a := range s.list.Artifacts {
		out.Size += a.Size
	}
	if out.Inputs, err = p.inputsStep(ctx, c, s); err != nil {
		return nil, err
	}
	if out.Recorded, err = p.recordStage(c, s); err != nil || already {
		return out, err
	}
	return out, p.record("stage", c, s, map[string]string{"artifacts": fmt.Sprint(out.Artifacts), "engine": p.Engine.Info().Name})
}

// reachable asks both buckets what they hold of the version, so that wrong credentials are not noticed after the build.
func reachable(ctx context.Context, c *Candidate, staging, production store.Bucket) error {
	if _, err := store.FindStages(ctx, staging, c.Definition.Project, c.Release.Version); err != nil {
		return fmt.Errorf("look at staging: %w", err)
	}
	to := store.ReleaseLayout{Bucket: production, Project: c.Definition.Project, Version: c.Release.Version}
	if _, err := readObject(ctx, production, to.StageFile(), stage.MaxSize); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("look at production: %w", err)
	}
	return nil
}

// workFolder gives the folder that a run of this very candidate works in, so that a killed run goes on there.
func (p *Project) workFolder(c *Candidate) (string, error) {
	key, err := keyOf([]string{c.Commit.ID, c.DefSHA256, c.Pinned.SHA256, p.Tool, p.Engine.Info().BuilderID})
	if err != nil {
		return "", err
	}
	return p.State("work", c.Release.Version+"-"+key[:12])
}

// doneFile holds the stage digest when a work folder's run is complete.
const doneFile = "staged"

// stagedBefore finds the stage that an earlier run of the same candidate completed, and verifies every byte of it. When
// files of it are missing there is none: they are made again.
func (p *Project) stagedBefore(ctx context.Context, c *Candidate, staging store.Bucket, work string) (*staged, bool, error) {
	want, err := os.ReadFile(filepath.Join(work, doneFile))
	if err != nil {
		return nil, false, nil //nolint:nilerr // no earlier run is complete: stage now
	}
	refs, err := store.FindStages(ctx, staging, c.Definition.Project, c.Release.Version)
	if err != nil {
		return nil, false, err
	}
	for _, ref := range refs {
		if "sha256:"+ref.Digest != strings.TrimSpace(string(want)) {
			continue
		}
		s, err := readStage(ctx, ref)
		if err != nil {
			return nil, false, err
		}
		if err := c.agreesWith(s.list); err != nil {
			return nil, false, err
		}
		missing, _, err := s.lacking(ctx)
		if err != nil {
			return nil, false, err
		}
		if len(missing) > 0 {
			p.note(fmt.Sprintf("missing from the stage: %s%s; making it again", missing[0], more(len(missing)-1)))
			return nil, false, nil
		}
		return s, true, p.step("verify stage", func() error { return p.checkFiles(ctx, c, s) })
	}
	return nil, false, nil
}

// stageNow assembles the release, attests it and uploads it, stage.json last.
func (p *Project) stageNow(ctx context.Context, c *Candidate, staging store.Bucket, work string, signer sign.Signer) (*staged, error) {
	a, err := p.prepare(ctx, c, work)
	if err != nil {
		return nil, err
	}
	var list []byte
	g := a.graph()
	attested, err := a.addAttestations(g, signer)
	if err != nil {
		return nil, err
	}
	flow.Add(g, flow.Step[string]{Name: "upload", Needs: attested, Run: func(ctx context.Context, _ *flow.Run) (string, error) {
		var err error
		if list, err = a.stage(c).Encode(); err != nil {
			return "", err
		}
		if err := c.stageAsReviewed(list); err != nil {
			return "", err
		}
		to := a.layout(c, staging, list)
		if err := a.upload(ctx, to, c.Trust); err != nil {
			return "", err
		}
		return to.Digest, a.uploadImages(ctx, to)
	}})
	if err := a.runGraph(ctx, g, "stage "+c.Release.Version); err != nil {
		return nil, err
	}
	to := a.layout(c, staging, list)
	if err := a.uploadLogs(ctx, to); err != nil {
		return nil, err
	}
	if err := putBytes(ctx, staging, to.StageFile(), list); err != nil {
		return nil, err
	}
	s, err := readStage(ctx, store.StageRef{StageLayout: to})
	if err != nil {
		return nil, err
	}
	if err := p.step("verify stage", func() error { return p.checkFiles(ctx, c, s) }); err != nil {
		return nil, err
	}
	if err := p.pushStaged(ctx, c, s); err != nil {
		return nil, err
	}
	return s, a.finish(s.digestName())
}

// prepare makes an assembly for the candidate.
func (p *Project) prepare(ctx context.Context, c *Candidate, work string) (*assembly, error) {
	fetch, err := gomod.New(gomod.Options{CacheDir: p.CacheDir, Progress: p.note})
	if err != nil {
		return nil, err
	}
	from, err := p.origin(ctx, c, fetch, work)
	if err != nil {
		return nil, err
	}
	a, err := newAssembly(p, c.Plan, from, fetch, work)
	if err != nil {
		return nil, err
	}
	policies, err := p.dependencyPolicies(ctx, c)
	if err != nil {
		return nil, err
	}
	a.times = policies.askAge()
	if a.inputs, err = p.inputPolicies(ctx, c); err != nil {
		return nil, err
	}
	_, err = p.foresee(ctx, c.Plan, a.inputs) // what can be refused before anything is fetched
	return a, err
}

// assemble makes the release's files and nothing else: no signature, no upload.
func (p *Project) assemble(ctx context.Context, c *Candidate, work string) (*assembly, error) {
	a, err := p.prepare(ctx, c, work)
	if err != nil {
		return nil, err
	}
	return a, a.runGraph(ctx, a.graph(), "rebuild "+c.Release.Version)
}

// addAttestations adds a step a platform that signs its provenance, and one an image.
func (a *assembly) addAttestations(g *flow.Graph, signer sign.Signer) ([]flow.Node, error) {
	var id [16]byte
	if _, err := rand.Read(id[:]); err != nil {
		return nil, fmt.Errorf("make invocation id: %w", err)
	}
	var out []flow.Node
	for _, platform := range a.platforms() {
		name := "attest/" + orText(platform, "release")
		out = append(out, flow.Add(g, flow.Step[string]{Name: name, Needs: flow.Needs(a.summed), Run: func(ctx context.Context, _ *flow.Run) (string, error) {
			return platform, a.attestPlatform(ctx, platform, hex.EncodeToString(id[:]), signer)
		}}))
	}
	return append(out, a.addImageAttestations(g, hex.EncodeToString(id[:]), signer)...), nil
}

func (a *assembly) layout(c *Candidate, b store.Bucket, list []byte) store.StageLayout {
	return store.StageLayout{Bucket: b, Project: c.Definition.Project, Version: c.Release.Version, Digest: strings.TrimPrefix(stage.Digest(list), "sha256:")}
}

// stageAsReviewed refuses a result that differs from the stage digest in the reviewed release file.
func (c *Candidate) stageAsReviewed(list []byte) error {
	if got := stage.Digest(list); c.Release.Stage != "" && c.Release.Stage != got {
		return &gate.Refusal{Code: "stage-digest-mismatch", Class: gate.NotReproducible, Where: c.Path, What: "this machine built another stage than the release file names",
			Expected: c.Release.Stage, Actual: got, Fix: "find out what differs between the two machines; remove the stage: line only if the first stage was wrong"}
	}
	return nil
}

// readStage reads and checks a stage's list.
func readStage(ctx context.Context, ref store.StageRef) (*staged, error) {
	s := &staged{StageRef: ref}
	var err error
	if s.bytes, err = readObject(ctx, ref.Bucket, s.StageFile(), stage.MaxSize); err != nil {
		return nil, err
	}
	if stage.Digest(s.bytes) != "sha256:"+ref.Digest {
		return nil, &gate.Refusal{Code: "store-stage-corrupt", Where: s.StageFile(), What: "stage.json is not what its folder is named by",
			Expected: ref.Digest, Actual: stage.Digest(s.bytes), Fix: "remove the folder and stage again"}
	}
	s.list, err = stage.Decode(s.bytes)
	return s, err
}

// uploadLogs keeps the journal and the steps' logs with the stage.
func (a *assembly) uploadLogs(ctx context.Context, to store.StageLayout) error {
	put := func(name, file string) error {
		f, err := os.Open(file)
		if err != nil {
			return fmt.Errorf("read log: %w", err)
		}
		defer f.Close()
		return to.Bucket.Put(ctx, name, f, store.PutOptions{ContentType: "text/plain"})
	}
	err := filepath.WalkDir(a.path("logs"), func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(a.path("logs"), file)
		if err != nil {
			return err
		}
		return put(to.Prefix()+"logs/"+filepath.ToSlash(rel), file)
	})
	if err != nil {
		return err
	}
	return put(to.Journal(), a.path("journal.jsonl"))
}

// finish marks the work folder's run as complete and frees its space; logs and journal stay.
func (a *assembly) finish(stageDigest string) error {
	if err := writeFile(a.path(doneFile), []byte(stageDigest+"\n")); err != nil {
		return fmt.Errorf("mark work as done: %w", err)
	}
	entries, err := os.ReadDir(a.work)
	if err != nil {
		return fmt.Errorf("list work folder: %w", err)
	}
	for _, e := range entries {
		if e.IsDir() && e.Name() != "logs" {
			if err := removeTree(a.path(e.Name())); err != nil {
				return fmt.Errorf("empty work folder: %w", err)
			}
		}
	}
	return nil
}

// recordStage writes the stage digest into the release file in the working tree, when that file says what the
// reviewed one says. It is a change to be reviewed like any other.
func (p *Project) recordStage(c *Candidate, s *staged) (bool, error) {
	if c.Release.Stage != "" {
		return false, nil
	}
	full := filepath.Join(p.Repo.Root(), filepath.FromSlash(c.Path))
	data, err := os.ReadFile(full)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read release file: %w", err)
	}
	rel, err := definition.ParseRelease(c.Path, data)
	if err != nil || definition.ReleaseDigest(rel) != c.Pinned.SHA256 {
		return false, nil //nolint:nilerr // the working copy is somebody's draft: left alone
	}
	changed, err := definition.SetStage(data, s.digestName())
	if err != nil {
		return false, err
	}
	if bytes.Equal(changed, data) {
		return true, nil
	}
	return true, writeFile(full, changed)
}

// notReleasedOtherwise refuses a version that production holds with another content.
func notReleasedOtherwise(ctx context.Context, s *staged, to store.ReleaseLayout) error {
	data, err := readObject(ctx, to.Bucket, to.StageFile(), stage.MaxSize)
	if errors.Is(err, fs.ErrNotExist) || (err == nil && bytes.Equal(data, s.bytes)) {
		return nil
	}
	if err != nil {
		return err
	}
	return &gate.Refusal{Code: "version-already-released", Where: to.StageFile(), What: "this version is in production already, with another content",
		Expected: s.digestName(), Actual: stage.Digest(data), Fix: "release the next version; a published version is never replaced"}
}
