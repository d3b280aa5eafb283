package release

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	godigest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/mod/semver"
	"golang.org/x/sync/errgroup"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/image"
	"github.com/sello-release/sello/internal/registry"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/stage"
	"github.com/sello-release/sello/internal/store"
	"github.com/sello-release/sello/internal/tlog"
	"github.com/sello-release/sello/verify"
)

// imagesAtOnce is how many images are copied at one time.
const imagesAtOnce = 4

// uploadImages writes the images with everything that refers to them into the stage, as one OCI image layout. What a
// killed run wrote to its end stays: its attestations are as good as new ones.
func (a *assembly) uploadImages(ctx context.Context, to store.StageLayout) error {
	if len(a.images) == 0 {
		return nil
	}
	switch layout, err := registry.OpenLayout(ctx, to.Images()); {
	case err == nil:
		return a.mendImages(ctx, layout, to)
	case gate.Code(err) != "layout-invalid":
		return err
	}
	var roots, referrers []ocispec.Descriptor
	for _, s := range a.images {
		root := s.index.Value()
		root.Annotations = map[string]string{ocispec.AnnotationRefName: s.plan.Name + ":" + a.plan.Values.Version}
		roots = append(roots, root)
		referrers = append(referrers, s.attested.Value()...)
	}
	return registry.WriteLayout(ctx, to.Images(), a.fetchBlob, roots, referrers)
}

// mendImages puts back what a stage's layout names and does not have, as far as it was made or fetched here.
func (a *assembly) mendImages(ctx context.Context, layout *registry.Layout, to store.StageLayout) error {
	for range registry.MaxDepth { // a manifest that is put back can name what is missing
		missing, err := layout.Missing(ctx)
		if err != nil || len(missing) == 0 {
			return err
		}
		for _, d := range missing {
			err := to.Images().Put(ctx, ocispec.ImageBlobsDir+"/sha256/"+d.Digest.Encoded(), d.Size, d.Digest.Encoded(), func() (io.ReadCloser, error) { return a.fetchBlob(ctx, d) })
			if code := gate.Code(err); code == image.CodeBlobMissing {
				return lostAttestation(to, d)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// lostAttestation refuses a stage that lost an attestation of its images which another run or machine made: each run's are its own.
func lostAttestation(to store.StageLayout, d ocispec.Descriptor) error {
	folder := to.Images().String()
	return &gate.Refusal{Code: "image-missing", Where: folder, What: "the stage lost an attestation of an image, which cannot be made again with the same bytes", Expected: d.Digest.String(), Actual: "no such file",
		Fix: "remove " + strings.TrimSuffix(folder, "/") + " and run the same command again: the images are attested anew, and sign-offs stay good"}
}

// fetchBlob opens a blob that was made here, or fetched with a base.
func (a *assembly) fetchBlob(ctx context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	made, err := a.blobs()
	if err != nil {
		return nil, err
	}
	if ok, err := made.Exists(ctx, desc); err != nil || ok {
		if err != nil {
			return nil, err
		}
		f, err := made.Open(desc)
		if err != nil {
			return nil, err
		}
		return store.Finished{File: f}, nil // hashed when it was made, or since: see imageStillThere
	}
	fetched, err := a.baseBlobs()
	if err != nil {
		return nil, err
	}
	return fetched.Fetch(ctx, desc)
}

// imageCopy is one image on its way to one repository.
type imageCopy struct {
	image stage.Image
	to    string
}

func (c imageCopy) String() string { return c.to + "@" + c.image.Index }

func (c imageCopy) root() ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: ocispec.MediaTypeImageIndex, Digest: godigest.Digest(c.image.Index), Size: c.image.Size}
}

// copies lists where the images of a stage go.
func copies(list *stage.Stage) []imageCopy {
	var out []imageCopy
	for _, img := range list.Images {
		for _, to := range img.Repositories {
			out = append(out, imageCopy{img, to})
		}
	}
	return out
}

// eachImage does something for every image and repository. One that fails does not stop the others; all failures are given.
func eachImage(ctx context.Context, all []imageCopy, do func(context.Context, imageCopy) error) error {
	var mu sync.Mutex
	errs := make([]error, len(all))
	var group errgroup.Group
	group.SetLimit(imagesAtOnce)
	for i, c := range all {
		group.Go(func() error {
			err := do(ctx, c)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				errs[i] = fmt.Errorf("image %s: %w", c, err)
			}
			return nil
		})
	}
	_ = group.Wait()
	return errors.Join(errs...)
}

// eachRepository is eachImage with the repository opened. All share one client: its connections, and what it knows of blobs.
func (p *Project) eachRepository(ctx context.Context, all []imageCopy, do func(context.Context, imageCopy, *registry.Repository) error) error {
	if len(all) == 0 {
		return nil
	}
	client, err := registry.New(p.Registry)
	if err != nil {
		return err
	}
	return eachImage(ctx, all, func(ctx context.Context, c imageCopy) error {
		repo, err := client.Open(c.to)
		if err != nil {
			return err
		}
		return do(ctx, c, repo)
	})
}

// pushImages copies images by digest, with all that refers to them, and sets no tag.
func (p *Project) pushImages(ctx context.Context, s *staged, all []imageCopy) (registry.CopyStats, error) {
	var total registry.CopyStats
	if len(all) == 0 {
		return total, nil
	}
	from, err := registry.OpenLayout(ctx, s.Images())
	if err != nil {
		return total, err
	}
	var mu sync.Mutex
	err = p.eachRepository(ctx, all, func(ctx context.Context, c imageCopy, repo *registry.Repository) error {
		stats, err := registry.Copy(ctx, from, repo, c.root(), registry.CopyOptions{})
		mu.Lock()
		total = total.Add(stats)
		mu.Unlock()
		return err
	})
	return total, err
}

// pushStaged copies the images to their staging repositories, where the definition names one: by digest, to be tried.
func (p *Project) pushStaged(ctx context.Context, c *Candidate, s *staged) error {
	var all []imageCopy
	for _, planned := range c.Plan.Images {
		for _, img := range s.list.Images {
			if planned.Name == img.Name && planned.Staging != "" {
				all = append(all, imageCopy{img, planned.Staging})
			}
		}
	}
	if len(all) == 0 {
		return nil
	}
	return p.step("push images to staging", func() error {
		_, err := p.pushImages(ctx, s, all)
		return err
	})
}

// checkTags refuses, before anything is copied, a tag of the release that names another image already.
func (p *Project) checkTags(ctx context.Context, all []imageCopy) error {
	return p.eachRepository(ctx, all, func(ctx context.Context, c imageCopy, repo *registry.Repository) error {
		for _, tag := range c.image.Tags {
			if err := registry.CheckTag(ctx, repo, c.root(), tag); err != nil {
				return err
			}
		}
		return nil
	})
}

// checkImages verifies the images from the outside: as they are in their registries, by digest, with all their parts there. It gives
// levels with each image's added.
func (p *Project) checkImages(ctx context.Context, c *Candidate, s *staged, released bool, levels ...string) ([]string, error) {
	var mu sync.Mutex
	err := p.eachRepository(ctx, copies(s.list), func(ctx context.Context, img imageCopy, repo *registry.Repository) error {
		if missing, err := registry.Missing(ctx, repo, img.root()); err != nil {
			return err
		} else if len(missing) > 0 {
			return &gate.Refusal{Code: "image-missing", What: "the registry lost a part of the image", Where: img.to, Expected: missing[0].Digest.String(), Actual: fmt.Sprintf("%d parts are not there", len(missing)), Fix: "sello promote " + c.Path}
		}
		report, err := verify.Image(ctx, img.String(), verify.Options{TrustFile: c.TrustBytes, TrustedRoot: c.Trust.Root(), Now: p.Now(), StageFile: s.bytes, RequireRelease: released,
			MinLevel: c.Definition.Policy.Level, Evidence: c.Definition.Policy.Evidence})
		if err != nil {
			return err
		}
		mu.Lock()
		levels = append(levels, report.Levels["build"])
		mu.Unlock()
		return report.Err()
	})
	return levels, err
}

// attachRelease attaches what a release's folder has besides its files to every image, on its index and on each platform's manifest:
// the gate's summary, the release statement, and stage.json with the sign-offs that the statement names. Who has just the image can judge by that
// of which release it is and who signed it off.
func (p *Project) attachRelease(ctx context.Context, s *staged, to store.ReleaseLayout) error {
	statement, contents, err := releaseEvidence(ctx, s, to)
	if err != nil {
		return err
	}
	summary, err := readObject(ctx, to.Bucket, to.VSA(), sign.MaxBundle)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	dir, err := p.State("attach")
	if err != nil {
		return err
	}
	blobs, err := openBlobs(dir)
	if err != nil {
		return err
	}
	created := s.list.Source.Time.Format(time.RFC3339)
	return p.eachRepository(ctx, copies(s.list), func(ctx context.Context, c imageCopy, repo *registry.Repository) error {
		targets, err := manifestsOf(ctx, repo, c)
		if err != nil {
			return err
		}
		for _, target := range targets {
			var all []ocispec.Descriptor
			if summary != nil {
				desc, err := attachment(ctx, blobs, summary, attest.SummaryType, created, target)
				if err != nil {
					return err
				}
				all = append(all, desc)
			}
			said, err := attachment(ctx, blobs, statement, attest.ReleaseType, created, target)
			if err != nil {
				return err
			}
			evidence, err := attach(ctx, blobs, target, stage.EvidenceMediaType, map[string]string{ocispec.AnnotationCreated: created}, contents...)
			if err != nil {
				return err
			}
			for _, desc := range append(all, evidence, said) { // with the statement there, the rest has to be
				if _, err := registry.Attach(ctx, blobSource{blobs}, repo, target, []ocispec.Descriptor{desc}); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// releaseEvidence reads a release's statement, and stage.json with the sign-offs that it names.
func releaseEvidence(ctx context.Context, s *staged, to store.ReleaseLayout) (statement []byte, contents []layerContent, err error) {
	if statement, err = readObject(ctx, to.Bucket, to.Statement(), sign.MaxBundle); err != nil {
		return nil, nil, err
	}
	infos, err := to.Bucket.List(ctx, to.Prefix()+stage.SignOffFolder+"/")
	if err != nil {
		return nil, nil, err
	}
	contents = []layerContent{{mediaType: "application/json", title: stage.FileName, data: s.bytes}}
	for _, info := range infos {
		data, err := readObject(ctx, to.Bucket, info.Name, sign.MaxBundle)
		if err != nil {
			return nil, nil, err
		}
		contents = append(contents, layerContent{mediaType: sign.MediaType, title: strings.TrimPrefix(info.Name, to.Prefix()), data: data})
	}
	switch proof, err := readObject(ctx, to.Bucket, to.File(tlog.ProofFile), tlog.MaxProof); {
	case err == nil:
		contents = append(contents, layerContent{mediaType: "text/plain", title: tlog.ProofFile, data: proof})
	case !errors.Is(err, fs.ErrNotExist):
		return nil, nil, err
	}
	return statement, contents, nil
}

// manifestsOf gives an image's index and the manifests that it names, as they are in a repository.
func manifestsOf(ctx context.Context, repo *registry.Repository, c imageCopy) ([]ocispec.Descriptor, error) {
	out := []ocispec.Descriptor{c.root()}
	for _, platform := range slices.Sorted(maps.Keys(c.image.Platforms)) {
		desc, err := repo.Resolve(ctx, c.image.Platforms[platform])
		if err != nil {
			return nil, err
		}
		out = append(out, desc)
	}
	return out, nil
}

// blobSource is a folder of blobs as a source for copying, to which nothing refers.
type blobSource struct{ *image.Blobs }

func (blobSource) Referrers(context.Context, ocispec.Descriptor, string) ([]ocispec.Descriptor, error) {
	return nil, nil
}

// tagImages sets the tags of the release on its images, which never move.
func (p *Project) tagImages(ctx context.Context, s *staged) error {
	all := copies(s.list)
	if err := p.checkTags(ctx, all); err != nil { // none is set unless all can be
		return err
	}
	return p.eachRepository(ctx, all, func(ctx context.Context, c imageCopy, repo *registry.Repository) error {
		for _, tag := range c.image.Tags {
			if _, err := registry.TagNew(ctx, repo, c.root(), tag); err != nil {
				return err
			}
		}
		return nil
	})
}

// moveImageTags moves the moving tags of images, never backwards, and names those that were set.
func (p *Project) moveImageTags(ctx context.Context, s *staged, to store.ReleaseLayout) ([]string, error) {
	released, err := store.Releases(ctx, to.Bucket, to.Project)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	var moved []string
	err = p.eachRepository(ctx, copies(s.list), func(ctx context.Context, c imageCopy, repo *registry.Repository) error {
		for _, tag := range c.image.Markers {
			if newerReleased(released, tag, s.list.Version) {
				continue // where somebody removed the tag, too: it is the newer one's
			}
			set, err := registry.MoveTag(ctx, repo, c.root(), tag, s.list.Version)
			if err != nil {
				return err
			}
			if set {
				mu.Lock()
				moved = append(moved, c.to+":"+tag)
				mu.Unlock()
			}
		}
		return nil
	})
	return moved, err
}

// newerReleased reports whether a newer version is released that the moving tag (latest, vX, vX.Y) is for.
func newerReleased(all []store.ReleaseRef, tag, version string) bool {
	return slices.ContainsFunc(all, func(r store.ReleaseRef) bool {
		if !r.Released || semver.Prerelease(r.Version) != "" || semver.Compare(r.Version, version) <= 0 {
			return false
		}
		return tag != semver.Major(tag) && tag != semver.MajorMinor(tag) || tag == semver.Major(r.Version) || tag == semver.MajorMinor(r.Version)
	})
}
