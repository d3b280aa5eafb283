package verify

import (
	"context"
	"slices"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/mod/semver"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/registry"
	"github.com/sello-release/sello/internal/stage"
	"github.com/sello-release/sello/internal/tlog"
)

// maxTries bounds how much evidence is tried that no release statement names.
const maxTries = 3

// evidence is a referrer with stage.json and the sign-offs: each layer's title is the file's name in the release.
type evidence struct {
	manifest *registry.Manifest
	stage    ocispec.Descriptor
}

// inRelease judges what is attached to an image about the release that it is of: the release statement, stage.json and
// the sign-offs. It reports whether there is a statement that holds.
func (j *imageJudge) inRelease(ctx context.Context, root ocispec.Descriptor) (bool, error) {
	if j.unreleased {
		return false, nil
	}
	kept, err := j.evidence(ctx, root)
	if err != nil {
		return false, err
	}
	said, err := j.statement(ctx, root, kept)
	if err != nil {
		return false, err
	}
	if err := j.signedOff(ctx, root, kept, said); err != nil {
		return false, err
	}
	j.rightTag()
	return said != nil, nil
}

// evidence lists what is attached to an image with a stage.json in it.
func (j *imageJudge) evidence(ctx context.Context, target ocispec.Descriptor) ([]evidence, error) {
	referrers, err := j.from.Referrers(ctx, target, stage.EvidenceMediaType)
	if err != nil {
		return nil, err
	}
	var out []evidence
	for _, d := range referrers[:min(len(referrers), maxBundles)] {
		data, err := readBlob(ctx, j.from, d, maxImageManifest)
		if err != nil {
			return nil, err
		}
		m, err := registry.ParseManifest(d, data)
		if err != nil {
			return nil, err
		}
		for _, blob := range m.Blobs {
			if blob.Annotations[ocispec.AnnotationTitle] == stage.FileName {
				out = append(out, evidence{m, blob})
				break
			}
		}
	}
	return out, nil
}

// signOffs reads the sign-offs of the evidence, by file name without its ending.
func (j *imageJudge) signOffs(ctx context.Context, e evidence) (map[string][]byte, error) {
	out := map[string][]byte{}
	for _, blob := range e.manifest.Blobs {
		name, ok := strings.CutPrefix(blob.Annotations[ocispec.AnnotationTitle], stage.SignOffFolder+"/")
		id, bundle := strings.CutSuffix(name, stage.BundleSuffix)
		if !ok || !bundle || strings.Contains(id, "/") || blob.Size > maxSignOff || len(out) >= maxBundles {
			continue
		}
		var err error
		if out[id], err = readBlob(ctx, j.from, blob, maxSignOff); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// proofs reads the proofs of the transparency log that are attached with stage.json.
func (j *imageJudge) proofs(ctx context.Context, kept []evidence) ([][]byte, error) {
	var out [][]byte
	for _, e := range kept {
		for _, blob := range e.manifest.Blobs {
			if blob.Annotations[ocispec.AnnotationTitle] != tlog.ProofFile || blob.Size > tlog.MaxProof || len(out) >= maxBundles {
				continue
			}
			data, err := readBlob(ctx, j.from, blob, tlog.MaxProof)
			if err != nil {
				return nil, err
			}
			out = append(out, data)
		}
	}
	return out, nil
}

// statement judges the release statement that is attached to the image, if there is one, and gives the files that it names.
func (j *imageJudge) statement(ctx context.Context, root ocispec.Descriptor, kept []evidence) (map[string]string, error) {
	bundles, err := j.bundles(ctx, root)
	if err != nil {
		return nil, err
	}
	if len(bundles[attest.ReleaseType]) == 0 {
		if j.RequireRelease || j.Version != "" {
			j.openStatement(j.findings, nil, nil, nil)
		} else {
			j.skip("release-statement-missing", j.name, "no release statement is attached to the image")
		}
		return nil, nil
	}
	proofs, err := j.proofs(ctx, kept)
	if err != nil {
		return nil, err
	}
	best, ok := findings{}, false
	for _, data := range bundles[attest.ReleaseType] {
		var tried findings
		var said map[string]string
		if said, ok = j.openStatement(&tried, data, proofs, j.list); ok {
			index, err := j.indexOf(ctx, root, kept, said)
			if err != nil {
				return nil, err
			}
			ok = tried.chain(Check{Subject: j.name, Where: stage.ReleaseBundle}, step{"image-unlisted", func(*Check) error {
				for name, sum := range said {
					if stage.IsImageName(name) && "sha256:"+sum == index {
						return nil
					}
				}
				return &gate.Refusal{Code: "image-unlisted", What: "the release statement that is attached to this image does not name it", Expected: index, Fix: "do not use it: it does not belong to the release"}
			}}, step{"image-mismatch", func(c *Check) error { return j.rightRepository(c, root, index, said) }})
		}
		if ok {
			j.add(tried)
			j.report.Scope = ScopeImageInRelease
			return said, nil
		}
		if better(tried, best) {
			best = tried
		}
	}
	j.add(best)
	return nil, nil
}

func (f *findings) add(more findings) {
	f.checks, f.refusals = append(f.checks, more.checks...), append(f.refusals, more.refusals...)
}

// indexOf gives the digest by which a release statement names an image: its index's. One platform's manifest is of the index
// that the stage.json which the statement names says it is of.
func (j *imageJudge) indexOf(ctx context.Context, root ocispec.Descriptor, kept []evidence, said map[string]string) (string, error) {
	if j.image != nil {
		return j.image.Index, nil
	}
	for _, e := range namedBy(kept, said) {
		data, err := readBlob(ctx, j.from, e.stage, stage.MaxSize)
		if err != nil {
			return "", err
		}
		if list, err := stage.Decode(data); err == nil {
			if img := imageWith(list, root.Digest.String()); img != nil {
				return img.Index, nil
			}
		}
	}
	return root.Digest.String(), nil
}

// namedBy keeps the evidence whose stage.json a release statement names.
func namedBy(kept []evidence, said map[string]string) []evidence {
	var out []evidence
	for _, e := range kept {
		if said[stage.FileName] == e.stage.Digest.Encoded() {
			out = append(out, e)
		}
	}
	return out
}

// signedOff judges stage.json and the sign-offs that are attached to an image. With a release statement they are those that it
// names.
func (j *imageJudge) signedOff(ctx context.Context, root ocispec.Descriptor, kept []evidence, said map[string]string) error {
	switch {
	case said != nil:
		if kept = namedBy(kept, said); len(kept) == 0 && said[stage.FileName] != "" {
			j.fail(Check{Subject: stage.FileName}, &gate.Refusal{Code: "stage-missing", What: "the stage.json that the release statement names is not attached to the image, so that sign-offs cannot be judged",
				Where: j.name, Expected: "sha256:" + said[stage.FileName], Fix: "copy the image with its referrers; if the registry has none, verify the release's folder"})
			return nil
		}
	case j.list != nil: // and the sign-offs over it were judged by who gave it
		kept = nil
	default:
		kept = kept[:min(len(kept), maxTries)]
	}
	if len(kept) == 0 {
		if j.RequireRelease {
			j.fail(Check{Subject: stage.FileName}, &gate.Refusal{Code: "stage-missing", What: "neither stage.json nor sign-offs are attached to the image", Where: j.name, Expected: stage.FileName,
				Fix: "copy the image with its referrers; if the registry has none, it was not released: do not use it"})
		} else if j.list == nil {
			j.skip("sign-off-missing", j.name, "no sign-offs are attached to the image; to check them, verify the release's folder")
		}
		return nil
	}
	var best findings
	report, list := *j.report, j.list
	for _, e := range kept {
		tried, made := findings{}, *j.report
		made.SignOffs = nil
		found, err := j.judgeEvidence(ctx, &tried, &made, root, e, said)
		if err != nil {
			return err
		}
		if better(tried, best) || len(tried.refusals) == 0 {
			best, report, list = tried, made, found
		}
		if len(tried.refusals) == 0 {
			break
		}
	}
	j.add(best)
	*j.report = report
	if j.list = list; list != nil {
		j.image = imageWith(list, root.Digest.String())
	}
	return nil
}

// judgeEvidence makes the checks of one stage.json with its sign-offs.
func (j *imageJudge) judgeEvidence(ctx context.Context, f *findings, r *Report, root ocispec.Descriptor, e evidence, said map[string]string) (*stage.Stage, error) {
	data, err := readBlob(ctx, j.from, e.stage, stage.MaxSize)
	if err != nil {
		return nil, err
	}
	list, ok := j.openStage(f, r, data)
	if !ok || !f.chain(Check{Subject: j.name, Where: stage.FileName}, step{"image-unlisted", func(*Check) error {
		if imageWith(list, root.Digest.String()) != nil {
			return nil
		}
		return unlistedImage(j.name)
	}}) {
		return nil, nil
	}
	bundles, err := j.signOffs(ctx, e)
	if err != nil {
		return nil, err
	}
	if said != nil {
		bundles = onlyListed(bundles, said)
	}
	j.judgeSignOffs(f, r, list, bundles, said != nil)
	return list, nil
}

// rightRepository holds that a repository that the release statement names has the image that it names for it, and that a tag names
// the image and not one platform's part of it. A copy in another repository is any image of the release: what it is called is for who
// copied it.
func (j *imageJudge) rightRepository(c *Check, root ocispec.Descriptor, index string, said map[string]string) error {
	sum, known := said[stage.ImageName(j.repository)]
	c.Expected, c.Actual = "sha256:"+sum, index
	if !known {
		c.Expected = ""
	}
	if j.tag != "" {
		c.Actual = root.Digest.String()
	}
	if known && c.Actual != c.Expected || j.tag != "" && root.Digest.String() != index {
		return &gate.Refusal{Code: "image-mismatch", What: "this is an image of the release, but not the one that it has under this name", Expected: orElse(c.Expected, index), Actual: root.Digest.String(),
			Fix: "do not use it under this name: somebody set the tag, or copied another image here"}
	}
	return nil
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// rightTag holds that a tag like v1, v1.2 or v1.2.3 names an image of such a version.
func (j *imageJudge) rightTag() {
	version, tag := j.report.Version, "v"+strings.TrimPrefix(j.tag, "v")
	if j.tag == "" || version == "" || !semver.IsValid(tag) || j.image != nil && slices.Contains(j.image.Tags, j.tag) {
		return
	}
	j.chain(Check{Subject: j.name, Where: j.tag}, step{"release-version-mismatch", func(c *Check) error {
		have := version
		switch tag {
		case semver.Major(tag):
			have = semver.Major(version)
		case semver.MajorMinor(tag):
			have = semver.MajorMinor(version)
		}
		return equal(c, "release-version-mismatch", "the tag names an image of another version, "+version, tag, have)
	}})
}

// imageWith gives the image of a stage that has this digest, as its index or as one platform's manifest.
func imageWith(list *stage.Stage, sum string) *stage.Image {
	for i := range list.Images {
		if list.Images[i].Index == sum {
			return &list.Images[i]
		}
	}
	for i := range list.Images {
		for _, manifest := range list.Images[i].Platforms {
			if manifest == sum {
				return &list.Images[i]
			}
		}
	}
	return nil
}
