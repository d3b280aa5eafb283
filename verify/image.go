package verify

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	godigest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/mod/semver"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/registry"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/stage"
)

// maxImageManifest bounds a manifest that is read, in bytes; maxBundles how many attestations of one kind are looked at.
const (
	maxImageManifest = 4 << 20
	maxBundles       = 100
)

// Image verifies an image in a registry: registry/repository with a tag, a digest or both. Its index and the
// manifest of each platform need provenance by a trusted builder, attached as a Sigstore bundle (OCI distribution
// specification 1.1, Referrers). With a release statement attached, the image has to be of that release: the
// report's scope is then "image-in-release", and stage.json and sign-offs, which are attached too, are judged as in a
// release's folder. A tag that is a version, whole or in part (v1.2), has to name an image of such a version. The manifest of one
// platform is judged alike. Layers are not downloaded: whoever pulls by digest has them checked.
func Image(ctx context.Context, reference string, o Options) (*Report, error) {
	v, err := newVerifier(o)
	if err != nil {
		return nil, err
	}
	ref, err := registry.ParseReference(reference)
	if err != nil {
		return nil, err
	}
	repo, err := registry.Open(ref.Name(), registry.Options{})
	if err != nil {
		return nil, err
	}
	root, err := repo.Resolve(ctx, ref.Target())
	if err != nil {
		return nil, err
	}
	if v.Version == "" && ref.Tag != "" && semver.IsValid(ref.Tag) && semver.Canonical(ref.Tag) == ref.Tag {
		v.Version = ref.Tag // a tag that is a version has to name that version
	}
	if ref.Tag != "" && ref.Digest != "" { // both were given: they have to agree
		tagged, err := repo.Resolve(ctx, ref.Tag)
		if err != nil {
			return nil, err
		}
		if tagged.Digest != root.Digest {
			return nil, &gate.Refusal{Code: "tag-conflict", What: "the tag names another image than the digest", Where: reference, Expected: root.Digest.String(), Actual: tagged.Digest.String(),
				Fix: "find out which one you want, and name it by its digest"}
		}
	}
	return v.oneImage(ctx, repo, root, ref)
}

// oneImage verifies one image of a registry.
func (v *verifier) oneImage(ctx context.Context, from registry.Source, root ocispec.Descriptor, ref registry.Reference) (*Report, error) {
	name := ref.Name() + "@" + root.Digest.String()
	r := &Report{Artifact: name, Scope: ScopeImage, Files: 1}
	var f findings
	v.checkTrust(&f)
	j := imageJudge{verifier: v, findings: &f, report: r, from: from, name: name, tag: ref.Tag, repository: ref.Name()}
	if v.StageFile != nil {
		list, ok := v.openStage(&f, r, v.StageFile)
		if !ok {
			return f.into(r), nil
		}
		j.list = list
		if j.image = imageWith(list, root.Digest.String()); j.image == nil {
			f.fail(Check{ID: "image-unlisted", Subject: name, Where: stage.FileName}, unlistedImage(name))
			return f.into(r), nil
		}
	}
	if err := j.judge(ctx, root); err != nil {
		return nil, fmt.Errorf("verify %s: %w", name, err)
	}
	f.skip("image-digest-mismatch", name, "layers are not read; whoever pulls the image by its digest has them checked")
	return f.into(r), nil
}

func unlistedImage(name string) error {
	return &gate.Refusal{Code: "image-unlisted", What: "stage.json does not list this image", Where: name, Expected: "one of the release's images", Fix: "do not use it: it does not belong to the release"}
}

// LayoutDir verifies every image in a folder that is an OCI image layout, offline, with all its blobs.
func LayoutDir(ctx context.Context, dir string, o Options) (*Report, error) {
	v, err := newVerifier(o)
	if err != nil {
		return nil, err
	}
	opened, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	defer opened.Close()
	layout, err := openLayout(ctx, folderSource{opened})
	if err != nil {
		return nil, err
	}
	r := &Report{Artifact: dir, Scope: ScopeImage}
	var f findings
	v.checkTrust(&f)
	found := 0
	for _, root := range layout.Entries() {
		if root.ArtifactType == sign.MediaType || root.ArtifactType == stage.EvidenceMediaType {
			continue
		}
		found++
		j := imageJudge{verifier: v, findings: &f, report: r, from: layout, name: cmp.Or(root.Annotations[ocispec.AnnotationRefName], root.Digest.String()), tag: tagIn(root), whole: true}
		if err := j.judge(ctx, root); err != nil {
			return nil, fmt.Errorf("verify %s: %w", dir, err)
		}
	}
	if found == 0 {
		f.fail(Check{ID: "image-missing", Subject: dir}, &gate.Refusal{Code: "image-missing", What: "the layout holds no image", Where: dir, Expected: "at least one in index.json", Fix: "copy the image with its referrers, for example with oras cp -r"})
	}
	return f.into(r), nil
}

// tagIn gives the tag that an image has in its layout: tools write it alone, or after the repository's name.
func tagIn(root ocispec.Descriptor) string {
	name := root.Annotations[ocispec.AnnotationRefName]
	return name[strings.LastIndexByte(name, ':')+1:]
}

// IsImage reports whether arg names an image in a registry, with a tag or a digest.
func IsImage(arg string) bool {
	ref, err := registry.ParseReference(arg)
	return err == nil && (ref.Tag != "" || ref.Digest != "")
}

// isLayout reports whether dir is an OCI image layout, and neither a stage nor a release.
func isLayout(dir string) bool {
	_, err := os.Lstat(filepath.Join(dir, ocispec.ImageLayoutFile))
	_, staged := os.Lstat(filepath.Join(dir, stage.FileName))
	return err == nil && staged != nil
}

// imageJudge judges one image with all its platforms.
type imageJudge struct {
	*verifier
	*findings
	report     *Report
	from       registry.Source
	name       string
	tag        string       // that the image was asked for by, or has in its layout; "" for none
	repository string       // where it is; "" in a layout
	list       *stage.Stage // the stage that the image is of, when one is known
	image      *stage.Image // the image in it
	whole      bool         // read every blob too

	unreleased bool // a stage: no release statement is looked for

	read map[godigest.Digest]map[string][][]byte
}

// judge makes all checks of an image. An error means that it could not be read; what was found wrong is in the findings.
func (j *imageJudge) judge(ctx context.Context, root ocispec.Descriptor) error {
	index, err := j.manifest(ctx, root)
	if err != nil {
		return err
	}
	said, err := j.inRelease(ctx, root)
	if err != nil {
		return err
	}
	j.listed(root, index)
	var each []findings
	var granted []verified
	good := true
	targets := append([]ocispec.Descriptor{root}, index.Manifests...)
	for _, target := range targets {
		var one findings
		out, ok, err := j.target(ctx, &one, target, said)
		if err != nil {
			return err
		}
		if said && j.gateSummaries() {
			if err := j.gate(ctx, &one, target, out.level, ok); err != nil {
				return err
			}
		}
		j.report.about(strings.TrimSuffix(j.name+" "+j.platform(target), " "), target.Digest.Encoded())
		each, granted, good = append(each, one), append(granted, out), good && ok
	}
	j.fold(each, "manifests of the image")
	if good {
		grant(j.report, granted)
	}
	return nil
}

// manifest reads a manifest or index, compared with its digest.
func (j *imageJudge) manifest(ctx context.Context, desc ocispec.Descriptor) (*registry.Manifest, error) {
	data, err := readBlob(ctx, j.from, desc, maxImageManifest)
	if err != nil {
		return nil, err
	}
	m, err := registry.ParseManifest(desc, data)
	if err != nil || !j.whole {
		return m, err
	}
	for _, blob := range m.Blobs {
		if err := hashBlob(ctx, j.from, blob); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// listed holds that index and platforms are those of stage.json.
func (j *imageJudge) listed(root ocispec.Descriptor, index *registry.Manifest) {
	if j.image == nil {
		return
	}
	j.chain(Check{Subject: j.name, Where: stage.FileName}, step{"image-mismatch", func(c *Check) error {
		if registry.IsManifest(root.MediaType) && !registry.IsIndex(root.MediaType) && slices.Contains(slices.Collect(maps.Values(j.image.Platforms)), root.Digest.String()) {
			return nil // one platform's
		}
		var have []string
		for _, m := range index.Manifests {
			have = append(have, m.Digest.String())
		}
		var want []string
		for _, d := range j.image.Platforms {
			want = append(want, d)
		}
		slices.Sort(have)
		slices.Sort(want)
		c.Expected, c.Actual = j.image.Index+" of "+strings.Join(want, ", "), root.Digest.String()+" of "+strings.Join(have, ", ")
		if c.Expected == c.Actual {
			return nil
		}
		return &gate.Refusal{Code: "image-mismatch", What: "the image is not the one that was staged and signed off", Expected: c.Expected, Actual: c.Actual, Fix: "do not use this image"}
	}})
}

// target judges the attestations of the index or of one manifest.
func (j *imageJudge) target(ctx context.Context, f *findings, target ocispec.Descriptor, released bool) (verified, bool, error) {
	if target.Digest == "" {
		return verified{}, false, nil
	}
	platform := j.platform(target)
	if registry.IsManifest(target.MediaType) && !registry.IsIndex(target.MediaType) {
		if _, err := j.manifest(ctx, target); err != nil {
			return verified{}, false, err
		}
	}
	bundles, err := j.bundles(ctx, target)
	if err != nil {
		return verified{}, false, err
	}
	s := subject{name: j.name, sha256: target.Digest.Encoded(), stage: j.list, where: j.name, released: released, image: true}
	if j.image != nil {
		s.entry = j.image.ShortName()
	}
	if platform != "" {
		s.name, s.where = j.name+" ("+platform+")", j.name+" "+platform
	}
	best, out, ok := findings{}, verified{}, false
	for _, data := range bundles[attest.ProvenanceType] {
		var tried findings
		s.bundle = j.attestation(data)
		j.report.by(j.name, s.bundle.sha256)
		if s.more, err = j.more(ctx, target, s.bundle.header); err != nil {
			return verified{}, false, err
		}
		if out, ok = j.provenance(&tried, s); ok || better(tried, best) {
			best = tried
		}
		if ok {
			break
		}
	}
	if len(bundles[attest.ProvenanceType]) == 0 {
		s.bundle = nil
		_, ok = j.provenance(&best, s)
	}
	f.add(best)
	return out, j.sbom(ctx, f, target, s, bundles[attest.SPDXType], platform) && ok, nil
}

// more gives all digests of a manifest where a statement names it by another than its SHA-256, too; else nothing.
func (j *imageJudge) more(ctx context.Context, target ocispec.Descriptor, h *attest.Header) (Digests, error) {
	if h == nil || !h.StatesMore(target.Digest.Encoded()) {
		return nil, nil
	}
	data, err := readBlob(ctx, j.from, target, maxImageManifest)
	if err != nil {
		return nil, err
	}
	return digestsOf(bytes.NewReader(data))
}

// gate judges the summaries of the project's gate that are attached to the index or to one manifest.
func (j *imageJudge) gate(ctx context.Context, f *findings, target ocispec.Descriptor, level int, granted bool) error {
	if target.Digest == "" {
		return nil
	}
	bundles, err := j.bundles(ctx, target)
	if err != nil {
		return err
	}
	in := summarised{about: target.Digest.String(), where: j.name, digests: map[string]string{"sha256": target.Digest.Encoded()}, version: j.wanted(j.list), released: true}
	if platform := j.platform(target); platform != "" {
		in.where = j.name + " (" + platform + ")"
	}
	for _, data := range bundles[attest.SummaryType] {
		for _, one := range collected(data) {
			in.found = append(in.found, one)
			if one.Bundle == nil || one.Bundle.Envelope == nil {
				continue
			}
			header, _ := attest.DecodeHeader(one.Bundle.Envelope.Payload) // it is judged by itself; here it says what to compute
			more, err := j.more(ctx, target, header)
			if err != nil {
				return err
			}
			maps.Copy(in.digests, more)
		}
	}
	if j.list != nil {
		in.subjects = j.list.Known()
	}
	if granted {
		in.level = &level
	}
	j.gateSummary(f, in)
	return nil
}

// better reports whether one try came further than another.
func better(a, b findings) bool { return len(b.checks) == 0 || passes(a) > passes(b) }

func passes(f findings) (n int) {
	for _, c := range f.checks {
		if c.Status == Pass {
			n++
		}
	}
	return n
}

// sbom holds that a trusted builder attested a bill of materials, and that it is the one in stage.json.
func (j *imageJudge) sbom(ctx context.Context, f *findings, target ocispec.Descriptor, s subject, bundles [][]byte, platform string) bool {
	wanted := slices.Contains(j.Evidence, "sbom") || j.list != nil && slices.Contains(j.list.Evidence, "sbom")
	if !wanted {
		return true
	}
	pinned := ""
	if j.image != nil {
		pinned = j.image.SBOMs[platform]
	}
	return f.chain(Check{Subject: s.name, Where: s.where, Expected: pinned}, step{"evidence-missing", func(c *Check) error {
		last := error(&gate.Refusal{Code: "evidence-missing", What: "the image has no bill of materials by a trusted builder", Expected: cmp.Or(pinned, "an SPDX document, attested"), Actual: fmt.Sprintf("%d found", len(bundles)),
			Fix: "copy the image with its referrers; if the registry has none, have the project stage the release again"})
		for _, data := range bundles {
			sum, err := j.sbomOf(ctx, target, data)
			switch {
			case err != nil:
				last = err
			case pinned != "" && sum != pinned:
				last = &gate.Refusal{Code: "sbom-mismatch", What: "the image's bill of materials is not the one that was staged and signed off", Expected: pinned, Actual: sum, Fix: "do not rely on this document"}
			default:
				c.Actual = sum
				return nil
			}
		}
		return last
	}})
}

// sbomOf verifies one attested SPDX document, and gives its digest in canonical form.
func (j *imageJudge) sbomOf(ctx context.Context, target ocispec.Descriptor, data []byte) (string, error) {
	bundle, err := sign.ParseBundle(data)
	if err != nil {
		return "", err
	}
	_, payload, err := j.builders.Verify(bundle)
	if err != nil {
		return "", err
	}
	statement, err := attest.Decode[json.RawMessage](payload, attest.SPDXType)
	if err != nil {
		return "", err
	}
	header := attest.Header{Subject: statement.Subject}
	if known, err := j.more(ctx, target, &header); err != nil {
		return "", err
	} else if known != nil && !header.Matches(known) {
		return "", otherDigest(&header, known)
	}
	if len(header.Names(target.Digest.Encoded())) == 0 {
		return "", &gate.Refusal{Code: "subject-mismatch", What: "the bill of materials speaks of another image", Expected: target.Digest.String(), Fix: "find out who attached it, and delete it"}
	}
	canonical, err := attest.Canonical(statement.Predicate)
	return "sha256:" + digest.Bytes(canonical), err
}

// bundles reads the Sigstore bundles that are attached to a manifest, by the predicate type that their annotation claims.
// The claim only sorts them; what a bundle is worth is decided from its signed content.
func (j *imageJudge) bundles(ctx context.Context, target ocispec.Descriptor) (map[string][][]byte, error) {
	if known, ok := j.read[target.Digest]; ok {
		return known, nil
	}
	referrers, err := j.from.Referrers(ctx, target, sign.MediaType)
	if err != nil {
		return nil, err
	}
	out := map[string][][]byte{}
	for _, d := range referrers {
		kind := d.Annotations["dev.sigstore.bundle.predicateType"]
		if !slices.Contains([]string{attest.ProvenanceType, attest.SPDXType, attest.ReleaseType, attest.SummaryType}, kind) || len(out[kind]) >= maxBundles {
			continue
		}
		data, err := readBlob(ctx, j.from, d, maxImageManifest)
		if err != nil {
			return nil, err
		}
		m, err := registry.ParseManifest(d, data)
		if err != nil {
			return nil, err
		}
		for _, blob := range m.Blobs {
			if blob.MediaType == sign.MediaType {
				if data, err = readBlob(ctx, j.from, blob, sign.MaxBundle); err != nil {
					return nil, err
				}
				out[kind] = append(out[kind], data)
			}
		}
	}
	if j.read == nil {
		j.read = map[godigest.Digest]map[string][][]byte{}
	}
	j.read[target.Digest] = out
	return out, nil
}

// platform names the platform of a manifest, "" for the index: as the index says, or else stage.json.
func (j *imageJudge) platform(d ocispec.Descriptor) string {
	if d.Platform == nil && j.image != nil {
		for platform, manifest := range j.image.Platforms {
			if manifest == d.Digest.String() {
				return platform
			}
		}
	}
	return platformOf(d)
}

func platformOf(d ocispec.Descriptor) string {
	if d.Platform == nil {
		return ""
	}
	return strings.TrimSuffix(d.Platform.OS+"/"+d.Platform.Architecture+"/"+d.Platform.Variant, "/")
}

// readBlob reads small content and compares it with its descriptor.
func readBlob(ctx context.Context, from registry.Source, desc ocispec.Descriptor, limit int64) ([]byte, error) {
	if desc.Size > limit {
		return nil, &gate.Refusal{Code: "manifest-too-large", What: "a manifest or attestation is too large", Where: desc.Digest.String(), Expected: fmt.Sprintf("at most %d bytes", limit), Actual: fmt.Sprint(desc.Size), Fix: "do not use the image"}
	}
	r, err := from.Fetch(ctx, desc)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, desc.Size+1))
	if err != nil {
		return nil, err
	}
	return data, sameBlob(desc, int64(len(data)), digest.Bytes(data))
}

// hashBlob reads a blob of any size and compares it with its descriptor.
func hashBlob(ctx context.Context, from registry.Source, desc ocispec.Descriptor) error {
	r, err := from.Fetch(ctx, desc)
	if err != nil {
		return err
	}
	defer r.Close()
	w := digest.NewSHA256()
	n, err := io.CopyBuffer(w, io.LimitReader(r, desc.Size+1), make([]byte, bufferSize))
	if err != nil {
		return err
	}
	return sameBlob(desc, n, w.Sums().SHA256)
}

func sameBlob(desc ocispec.Descriptor, size int64, sha256 string) error {
	if size == desc.Size && "sha256:"+sha256 == desc.Digest.String() {
		return nil
	}
	return &gate.Refusal{Code: "image-digest-mismatch", What: "a blob of the image is not what its digest says", Where: desc.Digest.String(), Expected: fmt.Sprintf("%s, %d bytes", desc.Digest, desc.Size),
		Actual: fmt.Sprintf("sha256:%s, %d bytes", sha256, size), Fix: "do not use the image; copy it again"}
}
