package release

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/sello-release/sello/internal/bucketfiles"
	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/registry"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/signoff"
	"github.com/sello-release/sello/internal/stage"
	"github.com/sello-release/sello/internal/store"
	"github.com/sello-release/sello/internal/trust"
	"github.com/sello-release/sello/verify"
)

// Promoted is what Promote did.
type Promoted struct {
	Project     string   `json:"project"`
	Version     string   `json:"version"`
	Stage       string   `json:"stage"`
	Path        string   `json:"path"`
	Where       string   `json:"where"`
	Copied      int      `json:"copied"`
	Present     int      `json:"present"` // were there with the same digest
	SignedOffBy []string `json:"signedOffBy"`
	Verifier    string   `json:"verifier,omitempty"` // as whom the gate signed its verification summary
	Built

	Images      []string           `json:"images,omitempty"`     // registry/repository@sha256:…, each in its place
	ImageCopies registry.CopyStats `json:"imageCopies,omitzero"` // what that took
	Inputs      *Inputs            `json:"inputs,omitempty"`     // how they were judged, where there are rules
}

// Promote is the gate: everything is verified, then copied to production by digest, then read back
// and verified there. stage.json is copied last, so that what is not complete does not look so.
func (p *Project) Promote(ctx context.Context, file string) (*Promoted, error) {
	c, s, e, to, err := p.signedOff(ctx, file, false)
	if err != nil {
		return nil, err
	}
	out := &Promoted{Project: c.Definition.Project, Version: c.Release.Version, Stage: s.digestName(), Path: c.Path, Where: store.Place(to.Bucket, to.Prefix())}
	promised, err := promisedFiles(ctx, c.Trust, to) // asks production first: what it does not let us do is known before the work
	if err != nil {
		return nil, err
	}
	policies, err := p.publishingPolicies(ctx, c, to.Bucket)
	if err != nil {
		return nil, err
	}
	verifier, err := p.gateVerifier(ctx, c.Trust)
	if err != nil {
		return nil, err
	}
	if err := p.step("verify stage", func() error { return p.checkFiles(ctx, c, s) }); err != nil {
		return nil, err
	}
	if out.Inputs, err = p.inputsStep(ctx, c, s); err != nil {
		return nil, err
	}
	found := &gateResult{from: out.Inputs, levels: []string{s.Level}}
	if verifier != nil {
		out.Verifier = verifier.id
	}
	images := copies(s.list)
	for _, c := range images {
		out.Images = append(out.Images, c.String())
	}
	err = p.steps(
		step{"dependencies", func() error {
			d, err := p.checkDependencies(ctx, c, s, policies)
			if err != nil {
				return err
			}
			return p.decisions(ctx, c, found, d.Documents())
		}, len(policies) == 0},
		step{"known vulnerabilities", func() error {
			report, _, err := p.checkVulnerabilities(ctx, c, s)
			if err != nil {
				return err
			}
			return p.decisions(ctx, c, found, decided(report))
		}, !c.looksForVulnerabilities()},
		step{"check tags of images", func() error { return p.checkTags(ctx, images) }, len(images) == 0},
		step{"copy images to registries", func() (err error) { out.ImageCopies, err = p.pushImages(ctx, s, images); return err }, len(images) == 0},
		step{"verify images", func() (err error) { found.levels, err = p.checkImages(ctx, c, s, false, found.levels...); return err }, len(images) == 0},
		// stage.json in production says that the version is promoted: it comes after all else.
		step{name: "copy to production", do: func() error {
			if err := p.copyFiles(ctx, s, to, e.Counted, promised, out); err != nil {
				return err
			}
			if err := p.publishSummary(ctx, c, s, to, verifier, found, promised, out); err != nil {
				return err
			}
			return copyList(ctx, s, to, out)
		}},
		step{name: "verify production", do: func() error { return p.checkPublished(ctx, c, to, false) }},
	)
	if err != nil {
		return nil, err
	}
	out.SignedOffBy, out.Built = names(e), s.Built
	return out, p.record("promote", c, s, map[string]string{"copied": fmt.Sprint(out.Copied)})
}

// copyFiles copies artifacts, bundles and the sign-offs that count.
func (p *Project) copyFiles(ctx context.Context, s *staged, to store.ReleaseLayout, signOffs []signoff.SignOff, promised map[string]string, out *Promoted) error {
	var copied, present atomic.Int64
	count := func(done store.Done, err error) error {
		switch done {
		case store.Written:
			copied.Add(1)
		case store.AlreadyThere:
			present.Add(1)
		}
		return err
	}
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(uploads)
	for _, artifact := range s.list.Artifacts {
		group.Go(func() error {
			if err := count(store.CopyDigest(gctx, to.Bucket, to.File(artifact.Name), artifact.Sums, s.Bucket, s.File(artifact.Name))); err != nil {
				return err
			}
			return p.copySmall(gctx, s.Bucket, s.File(artifact.Name+stage.BundleSuffix), to.Bucket, to.File(artifact.Name+stage.BundleSuffix), count)
		})
	}
	for _, given := range signOffs { // under its identity's name, whatever the file in the stage is called
		group.Go(func() error {
			return count(copySignOff(gctx, s, given, to, promised))
		})
	}
	err := group.Wait()
	out.Copied, out.Present = int(copied.Load()), int(present.Load())
	return err
}

// copyList copies stage.json.
func copyList(ctx context.Context, s *staged, to store.ReleaseLayout, out *Promoted) error {
	done, err := store.CopyDigest(ctx, to.Bucket, to.StageFile(), digest.Sums{Size: int64(len(s.bytes)), SHA256: digest.Bytes(s.bytes)}, s.Bucket, s.StageFile())
	out.count(done)
	return err
}

// count counts a file that was published, or was there.
func (p *Promoted) count(done store.Done) {
	switch done {
	case store.Written:
		p.Copied++
	case store.AlreadyThere:
		p.Present++
	}
}

// promisedFiles gives the SHA-256 of each file that the release statement names, or nil when there is none yet.
func promisedFiles(ctx context.Context, t *trust.Trust, to store.ReleaseLayout) (map[string]string, error) {
	data, err := readObject(ctx, to.Bucket, to.Statement(), sign.MaxBundle)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return statedFiles(data, t)
}

// copySignOff copies a sign-off. Until the release statement lists it, a manager's later word takes the place of the
// earlier, as in the stage: the earlier one may have expired. After that nothing is added to a release and nothing changes.
func copySignOff(ctx context.Context, s *staged, given signoff.SignOff, to store.ReleaseLayout, promised map[string]string) (store.Done, error) {
	data, err := readObject(ctx, s.Bucket, s.SignOffsPrefix()+given.Name+stage.BundleSuffix, sign.MaxBundle)
	if err != nil {
		return 0, err
	}
	name := to.SignOff(given.Identity)
	if promised != nil && promised[strings.TrimPrefix(name, to.Prefix())] != digest.Bytes(data) {
		return 0, nil
	}
	old, err := readObject(ctx, to.Bucket, name, sign.MaxBundle)
	if err == nil && bytes.Equal(old, data) {
		return store.AlreadyThere, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	return store.Written, to.Bucket.Put(ctx, name, bytes.NewReader(data), store.PutOptions{ContentType: "application/json"})
}

// copySmall copies a bundle as it stands in the stage.
func (p *Project) copySmall(ctx context.Context, from store.Bucket, name string, to store.Bucket, toName string, count func(store.Done, error) error) error {
	data, err := readObject(ctx, from, name, sign.MaxBundle)
	if err != nil {
		return err
	}
	sums := digest.Sums{Size: int64(len(data)), SHA256: digest.Bytes(data)}
	return count(store.CopyDigest(ctx, to, toName, sums, from, name))
}

// checkPublished verifies production from the outside, with nothing but the public files and the trust file's bytes.
func (p *Project) checkPublished(ctx context.Context, c *Candidate, to store.ReleaseLayout, released bool) error {
	report, err := verify.Files(ctx, store.Place(to.Bucket, to.Prefix()), bucketfiles.Of(to.Bucket, to.Prefix()), verify.Options{TrustFile: c.TrustBytes, TrustedRoot: c.Trust.Root(), Now: p.Now(), Unreleased: !released,
		MinLevel: c.Definition.Policy.Level, Evidence: c.Definition.Policy.Evidence})
	if err != nil {
		return err
	}
	return c.published(report.Err(), to)
}

// names gives the managers whose sign-offs count.
func names(e signoff.Evaluation) []string {
	var out []string
	for _, s := range e.Counted {
		out = append(out, s.Identity)
	}
	return out
}
