package verify_test

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	godigest "github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/material"
	"github.com/sello-release/sello/internal/registry"
	rt "github.com/sello-release/sello/internal/registry/registrytest"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/stage"
	"github.com/sello-release/sello/internal/tlog"
	"github.com/sello-release/sello/internal/trust"
	"github.com/sello-release/sello/verify"
	vt "github.com/sello-release/sello/verify/verifytest"
)

// imageRepository is where images are in tests, as their release statement says.
const imageRepository = "registry.example/team/age"

// imageDraft is an image before anything is attached to it; changes make it wrong in one place.
type imageDraft struct {
	memory    *rt.Memory
	root      ocispec.Descriptor
	platforms []ocispec.Descriptor

	provenance func(*attest.Provenance)
	subjects   []ocispec.Descriptor // what the provenance speaks of
	sha512     string               // of each of them, as the provenance states it, too
	targets    []ocispec.Descriptor // what it is attached to
	kind       string               // what its annotation claims
	signer     *sign.Key

	sbomAbout  ocispec.Descriptor // the index's document is about this
	sboms      string             // its content; "" for none
	sbomSigner *sign.Key

	statement []attest.Subject // nil for none; what is attached as evidence is added to it
	purl      string
	publisher *sign.Key

	world    *vt.World
	signOffs []vt.SignOff
	bare     bool                    // neither stage.json nor sign-offs are attached
	attached func(*stage.Stage)      // changes the stage.json that is attached
	named    func(map[string]string) // changes what the statement says of what is attached: digests by name

	stage func(*stage.Stage) // nil: no stage.json is known
	more  func(t *testing.T, d *imageDraft)

	listed, said []byte // the stage.json that was attached, and the release statement
}

func newImage(t *testing.T, w *vt.World, seed uint64) *imageDraft {
	t.Helper()
	d := &imageDraft{memory: rt.NewMemory(), world: w, signOffs: w.Draft().SignOffs, kind: attest.ProvenanceType, signer: w.Keys["build-service"], sbomSigner: w.Keys["build-service"], publisher: w.Keys["build-service"],
		sboms: `{"name":"age"}`, purl: "pkg:generic/age@" + vt.Version}
	d.root = d.memory.Image(t, rt.Spec{Seed: seed, Version: vt.Version})
	data := fetched(t, d.memory, d.root)
	var index ocispec.Index
	if err := json.Unmarshal(data, &index); err != nil {
		t.Fatal(err)
	}
	d.platforms = index.Manifests
	d.subjects, d.sbomAbout = d.all(), d.root
	d.targets = d.subjects
	d.statement = []attest.Subject{{Name: "SHA256SUMS", Digest: map[string]string{"sha256": strings.Repeat("1", 64)}}, {Name: stage.ImageName(imageRepository), Digest: sha(d.root)}}
	return d
}

func (d *imageDraft) all() []ocispec.Descriptor {
	return append([]ocispec.Descriptor{d.root}, d.platforms...)
}

func sha(d ocispec.Descriptor) map[string]string {
	return map[string]string{"sha256": d.Digest.Encoded()}
}

func fetched(t *testing.T, m *rt.Memory, d ocispec.Descriptor) []byte {
	t.Helper()
	r, err := m.Fetch(context.Background(), d)
	if err != nil {
		t.Fatal(err)
	}
	data := make([]byte, d.Size)
	if _, err := r.Read(data); err != nil {
		t.Fatal(err)
	}
	return data
}

// attach makes a bundle a referrer of target.
func (d *imageDraft) attach(target ocispec.Descriptor, kind string, bundle []byte) {
	annotations := map[string]string{"dev.sigstore.bundle.content": "dsse-envelope", "dev.sigstore.bundle.predicateType": kind}
	subject := ocispec.Descriptor{MediaType: target.MediaType, Digest: target.Digest, Size: target.Size}
	r := d.memory.AddJSON(ocispec.MediaTypeImageManifest, ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, ArtifactType: sign.MediaType,
		Config: d.memory.Add(ocispec.MediaTypeEmptyJSON, []byte("{}")), Layers: []ocispec.Descriptor{d.memory.Add(sign.MediaType, bundle)}, Subject: &subject, Annotations: annotations})
	r.ArtifactType, r.Annotations = sign.MediaType, annotations
	d.memory.Attach(target, r)
}

// sign attaches everything that the draft says, and gives the stage.json that is known.
func (d *imageDraft) sign(t *testing.T) []byte {
	t.Helper()
	if len(d.targets) > 0 {
		bundle := d.provenanceBundle(t)
		for _, target := range d.targets {
			d.attach(target, d.kind, bundle)
		}
	}
	var canonical []byte
	if d.sboms != "" {
		canonical = d.sbom(t, d.root, d.sbomAbout, d.sboms)
		for _, p := range d.platforms {
			d.sbom(t, p, p, d.sboms)
		}
	}
	data, attached := d.stageOf(t, canonical)
	d.listed = attached
	if !d.bare {
		d.evidence(t, attached)
	}
	if d.statement != nil {
		s, err := attest.NewRelease(d.statement, d.purl)
		if err != nil {
			t.Fatal(err)
		}
		d.said = vt.Sign(t, d.publisher, s)
		for _, target := range d.all() {
			d.attach(target, attest.ReleaseType, d.said)
		}
	}
	if d.more != nil {
		d.more(t, d)
	}
	if d.stage == nil {
		return nil
	}
	return data
}

// stageOf gives the stage.json that is known, and the one that is attached.
func (d *imageDraft) stageOf(t *testing.T, sbom []byte) (known, attached []byte) {
	t.Helper()
	sum := "sha256:" + digest.Bytes(sbom)
	img := stage.Image{Name: "age", Index: d.root.Digest.String(), Size: d.root.Size, Repositories: []string{imageRepository}, Tags: []string{vt.Version}, Platforms: map[string]string{}, SBOMs: map[string]string{"": sum}}
	for _, p := range d.platforms {
		name := p.Platform.OS + "/" + p.Platform.Architecture
		img.Platforms[name], img.SBOMs[name] = p.Digest.String(), sum
	}
	list := d.world.Draft().Stage
	list.Images = []stage.Image{img}
	list.Artifacts = []stage.Artifact{{Name: "a.tar.gz", Kind: stage.KindArchive, Sums: digest.Sums{Size: 1, SHA256: strings.Repeat("2", 64), SHA512: strings.Repeat("3", 128)}}}
	if d.stage != nil {
		d.stage(&list)
	}
	known, err := list.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if d.attached != nil {
		d.attached(&list)
	}
	if attached, err = list.Encode(); err != nil {
		t.Fatal(err)
	}
	return known, attached
}

// evidence attaches stage.json and sign-offs to the index and to each manifest, and has the statement name them.
func (d *imageDraft) evidence(t *testing.T, list []byte) {
	t.Helper()
	layer := func(name string, data []byte) ocispec.Descriptor {
		desc := d.memory.Add("application/json", data)
		desc.Annotations = map[string]string{ocispec.AnnotationTitle: name}
		return desc
	}
	layers, named := []ocispec.Descriptor{layer(stage.FileName, list)}, map[string]string{stage.FileName: digest.Bytes(list)}
	for _, s := range d.signOffs {
		name, data := stage.SignOffFolder+"/"+s.By+stage.BundleSuffix, d.world.SignOff(t, s, stage.Digest(list))
		layers, named[name] = append(layers, layer(name, data)), digest.Bytes(data)
	}
	if d.named != nil {
		d.named(named)
	}
	if d.statement != nil {
		for name, sum := range named {
			d.statement = append(d.statement, attest.Subject{Name: name, Digest: map[string]string{"sha256": sum}})
		}
	}
	d.attachEvidence(layers...)
}

// proof attaches a proof of the log to the index and to each manifest, with stage.json, as a release does, and one that is made again.
func (d *imageDraft) proof(data []byte) {
	var layers []ocispec.Descriptor
	for name, content := range map[string][]byte{stage.FileName: d.listed, tlog.ProofFile: data} {
		desc := d.memory.Add("application/json", content)
		desc.Annotations = map[string]string{ocispec.AnnotationTitle: name}
		layers = append(layers, desc)
	}
	d.attachEvidence(layers...)
}

func (d *imageDraft) attachEvidence(layers ...ocispec.Descriptor) {
	for _, target := range d.all() {
		subject := ocispec.Descriptor{MediaType: target.MediaType, Digest: target.Digest, Size: target.Size}
		r := d.memory.AddJSON(ocispec.MediaTypeImageManifest, ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, ArtifactType: stage.EvidenceMediaType,
			Config: d.memory.Add(ocispec.MediaTypeEmptyJSON, []byte("{}")), Layers: layers, Subject: &subject})
		r.ArtifactType = stage.EvidenceMediaType
		d.memory.Attach(target, r)
	}
}

func (d *imageDraft) provenanceBundle(t *testing.T) []byte {
	t.Helper()
	p := attest.Provenance{
		BuildDefinition: attest.BuildDefinition{BuildType: attest.ImageBuildType,
			ExternalParameters:   attest.ExternalParameters{Source: attest.SourceParameter{URI: "git+" + vt.Source, Digest: map[string]string{"gitCommit": vt.Commit}}, EntryPoint: "sello.yaml#images.age"},
			ResolvedDependencies: []material.Material{{URI: "git+" + vt.Source, Digest: map[string]string{"gitCommit": vt.Commit}}}},
		RunDetails: attest.RunDetails{Builder: attest.Builder{ID: vt.BuilderID}, Metadata: attest.Metadata{InvocationID: "1", StartedOn: vt.Now.Add(-3 * time.Hour), FinishedOn: vt.Now.Add(-2 * time.Hour)}},
	}
	if d.provenance != nil {
		d.provenance(&p)
	}
	var subjects []attest.Subject
	for _, s := range d.subjects {
		subjects = append(subjects, attest.Subject{Name: "age", Digest: sha(s)})
		if d.sha512 != "" {
			subjects[len(subjects)-1].Digest["sha512"] = d.sha512
		}
	}
	return vt.Sign(t, d.signer, attest.Statement[attest.Provenance]{Type: attest.StatementType, Subject: subjects, PredicateType: attest.ProvenanceType, Predicate: p})
}

func (d *imageDraft) sbom(t *testing.T, target, about ocispec.Descriptor, content string) []byte {
	t.Helper()
	s, err := attest.NewStatement([]attest.Subject{{Name: "age", Digest: sha(about)}}, attest.SPDXType, json.RawMessage(content))
	if err != nil {
		t.Fatal(err)
	}
	d.attach(target, attest.SPDXType, vt.Sign(t, d.sbomSigner, s))
	canonical, err := attest.Canonical(json.RawMessage(content))
	if err != nil {
		t.Fatal(err)
	}
	return canonical
}

// inRegistry copies the image to a repository and gives its name by digest.
func (d *imageDraft) inRegistry(t *testing.T, repository string) string {
	t.Helper()
	repo, err := registry.Open(repository, registry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := registry.Copy(context.Background(), d.memory, repo, d.root, registry.CopyOptions{}); err != nil {
		t.Fatal(err)
	}
	return repository + "@" + d.root.Digest.String()
}

// inLayout writes the image with all that refers to it into a folder.
func (d *imageDraft) inLayout(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	d.writeLayout(t, dir, d.root)
	return dir
}

func (d *imageDraft) writeLayout(t *testing.T, dir string, roots ...ocispec.Descriptor) {
	t.Helper()
	var referrers []ocispec.Descriptor
	for _, target := range d.all() {
		found, err := d.memory.Referrers(context.Background(), target, "")
		if err != nil {
			t.Fatal(err)
		}
		referrers = append(referrers, found...)
	}
	for i := range roots {
		roots[i].Annotations = map[string]string{ocispec.AnnotationRefName: "image-" + strconv.Itoa(i)}
	}
	if err := registry.WriteLayout(context.Background(), files{t, dir}, d.memory.Fetch, roots, referrers); err != nil {
		t.Fatal(err)
	}
}

// files writes a layout's files into a folder.
type files struct {
	t   *testing.T
	dir string
}

// Put implements registry.FilesWriter.
func (f files) Put(_ context.Context, name string, _ int64, _ string, open func() (io.ReadCloser, error)) error {
	r, err := open()
	if err != nil {
		return err
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	vt.Write(f.t, f.dir, name, data)
	return err
}

func TestGoodImageIsAccepted(t *testing.T) {
	t.Parallel()
	host := rt.InProcess(t)
	for name, test := range map[string]struct {
		change func(*imageDraft)
		scope  string
	}{
		"alone":      {func(d *imageDraft) { d.statement, d.bare = nil, true }, verify.ScopeImage},
		"signed off": {func(d *imageDraft) { d.statement = nil }, verify.ScopeImage},
		"in release": {func(*imageDraft) {}, verify.ScopeImageInRelease},
		"staged":     {func(d *imageDraft) { d.stage = func(*stage.Stage) {} }, verify.ScopeImageInRelease},
		"good among bad": {func(d *imageDraft) {
			d.more = func(t *testing.T, d *imageDraft) {
				for _, target := range d.all() {
					for _, kind := range []string{attest.ProvenanceType, attest.SPDXType, attest.ReleaseType, "https://example.org/unknown"} {
						d.attach(target, kind, []byte("junk"))
					}
				}
				for i := range 20 {
					d.attach(d.root, attest.ProvenanceType, []byte("{}"+strings.Repeat(" ", i)))
				}
				statement := d.statement
				d.signOffs, d.statement = []vt.SignOff{{By: "stranger"}}, nil
				d.evidence(t, []byte("junk"))
				d.evidence(t, []byte("{}"))
				d.statement = statement
			}
		}, verify.ScopeImageInRelease},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := vt.NewWorld(t)
			d := newImage(t, w, 1)
			test.change(d)
			o := options(w)
			o.Evidence, o.MinLevel, o.RequireRelease = []string{"sbom"}, 3, test.scope == verify.ScopeImageInRelease
			o.StageFile = d.sign(t)
			r, err := verify.Any(context.Background(), d.inRegistry(t, host+"/good/"+strings.ReplaceAll(name, " ", "-")), o)
			if err != nil {
				t.Fatal(err)
			}
			accepted(t, r)
			if r.Scope != test.scope || r.Levels["build"] != "SLSA_BUILD_LEVEL_3" || r.Builder != vt.BuilderID || r.Source != "git+"+vt.Source+"@gitCommit:"+vt.Commit {
				t.Error(show(r))
			}
			if want := map[bool]int{false: 2, true: 0}[d.bare]; o.StageFile == nil && len(r.SignOffs) != want {
				t.Errorf("%d sign-offs, want %d: %s", len(r.SignOffs), want, show(r))
			}
			o.StageFile = nil
			if r, err = verify.Any(context.Background(), d.inLayout(t), o); err != nil {
				t.Fatal(err)
			}
			accepted(t, r)
		})
	}
}

// imageRefusals make an image wrong in one place. What needs stage.json is not tried in a layout, which is verified without.
var imageRefusals = map[string]struct {
	code   string
	change func(w *vt.World, d, other *imageDraft)
	ask    func(*verify.Options)
}{
	"no attestations":          {code: "attestation-missing", change: func(_ *vt.World, d, _ *imageDraft) { d.targets, d.sboms, d.statement = nil, "", nil }},
	"one platform without":     {code: "attestation-missing", change: func(_ *vt.World, d, _ *imageDraft) { d.targets = d.targets[:2] }},
	"index without":            {code: "attestation-missing", change: func(_ *vt.World, d, _ *imageDraft) { d.targets = d.platforms }},
	"claimed to be another":    {code: "attestation-missing", change: func(_ *vt.World, d, _ *imageDraft) { d.kind = attest.SPDXType }},
	"of another image":         {code: "subject-mismatch", change: func(_ *vt.World, d, other *imageDraft) { d.subjects = other.all() }},
	"with a wrong SHA-512":     {code: "subject-mismatch", change: func(_ *vt.World, d, _ *imageDraft) { d.sha512 = strings.Repeat("e", 128) }},
	"of the index alone":       {code: "subject-mismatch", change: func(_ *vt.World, d, _ *imageDraft) { d.subjects = d.subjects[:1] }},
	"by a stranger":            {code: "no-trusted-signer", change: func(w *vt.World, d, _ *imageDraft) { d.signer = w.Keys["stranger"] }},
	"by a manager":             {code: "no-trusted-signer", change: func(w *vt.World, d, _ *imageDraft) { d.signer = w.Keys["first"] }},
	"by another builder":       {code: "signer-builder-mismatch", change: func(w *vt.World, d, _ *imageDraft) { d.signer = w.Keys["other-service"] }},
	"unknown builder":          {code: "builder-unknown", change: changed(func(p *attest.Provenance) { p.RunDetails.Builder.ID += "x" })},
	"builder of a lower level": {code: "level-too-low", change: otherBuilder, ask: func(o *verify.Options) { o.MinLevel = 3 }},
	"build of another type":    {code: "buildtype-unexpected", change: changed(func(p *attest.Provenance) { p.BuildDefinition.BuildType = attest.GoBuildType })},
	"another source": {code: "source-mismatch", change: changed(func(p *attest.Provenance) {
		p.BuildDefinition.ExternalParameters.Source.URI = "git+https://evil.example/age"
	})},
	"another definition":     {code: "entrypoint-mismatch", change: changed(func(p *attest.Provenance) { p.BuildDefinition.ExternalParameters.EntryPoint = "evil.yaml#images.age" })},
	"a build's provenance":   {code: "entrypoint-mismatch", change: changed(func(p *attest.Provenance) { p.BuildDefinition.ExternalParameters.EntryPoint = "sello.yaml#builds.age" })},
	"junk for provenance":    {code: "bad-json", change: junk(attest.ProvenanceType)},
	"no bill of materials":   {code: "evidence-missing", change: func(_ *vt.World, d, _ *imageDraft) { d.sboms = "" }, ask: wantSBOM},
	"bill by a stranger":     {code: "no-trusted-signer", change: func(w *vt.World, d, _ *imageDraft) { d.sbomSigner = w.Keys["stranger"] }, ask: wantSBOM},
	"bill of another image":  {code: "subject-mismatch", change: func(_ *vt.World, d, other *imageDraft) { d.sbomAbout = other.root }, ask: wantSBOM},
	"nothing of the release": {code: "release-statement-missing", change: func(_ *vt.World, d, _ *imageDraft) { d.statement, d.bare = nil, true }, ask: wantRelease},
	"no stage.json":          {code: "stage-missing", change: func(_ *vt.World, d, _ *imageDraft) { d.bare = true }, ask: wantRelease},
	"evidence taken away": {code: "stage-missing", change: func(_ *vt.World, d, _ *imageDraft) {
		d.bare = true
		d.statement = append(d.statement, attest.Subject{Name: stage.FileName, Digest: map[string]string{"sha256": strings.Repeat("9", 64)}})
	}},
	"stage.json of another release": {code: "stage-missing", change: func(_ *vt.World, d, _ *imageDraft) {
		d.named = func(n map[string]string) { n[stage.FileName] = strings.Repeat("9", 64) }
	}, ask: wantRelease},
	"stage.json of other images": {code: "image-unlisted", change: attached(func(i *stage.Image, d, other *imageDraft) {
		i.Index = other.root.Digest.String()
		for n, p := range d.platforms {
			i.Platforms[p.Platform.OS+"/"+p.Platform.Architecture] = other.platforms[n].Digest.String()
		}
	})},
	"stage.json of other platforms": {code: "image-mismatch", change: attached(func(i *stage.Image, _, other *imageDraft) {
		i.Platforms["linux/amd64"] = other.platforms[0].Digest.String()
	})},
	"stage.json of another bill": {code: "sbom-mismatch", change: attached(func(i *stage.Image, _, _ *imageDraft) { i.SBOMs[""] = "sha256:" + strings.Repeat("7", 64) })},
	"no sign-offs":               {code: "sign-off-missing", change: func(_ *vt.World, d, _ *imageDraft) { d.signOffs = nil }},
	"one sign-off of two":        {code: "sign-off-missing", change: func(_ *vt.World, d, _ *imageDraft) { d.signOffs = d.signOffs[:1] }},
	"sign-off by an associate":   {code: "sign-off-missing", change: func(_ *vt.World, d, _ *imageDraft) { d.signOffs[1].By = "newcomer" }},
	"sign-off by a stranger":     {code: "sign-off-missing", change: func(_ *vt.World, d, _ *imageDraft) { d.signOffs[1].By = "stranger" }},
	"sign-off of another stage": {code: "sign-off-missing", change: func(_ *vt.World, d, _ *imageDraft) {
		d.signOffs[1].Change = func(s *attest.SignOff) { s.Stage = "sha256:" + strings.Repeat("9", 64) }
	}},
	"sign-off that was added later": {code: "sign-off-missing", change: func(_ *vt.World, d, _ *imageDraft) {
		d.named = func(n map[string]string) { delete(n, stage.SignOffFolder+"/second"+stage.BundleSuffix) }
	}},
	"sign-off missing, no statement": {code: "sign-off-missing", change: func(_ *vt.World, d, _ *imageDraft) { d.statement, d.signOffs = nil, d.signOffs[:1] }},
	"no release statement":           {code: "release-statement-missing", change: func(_ *vt.World, d, _ *imageDraft) { d.statement = nil }, ask: wantRelease},
	"version of no statement":        {code: "release-statement-missing", change: func(_ *vt.World, d, _ *imageDraft) { d.statement = nil }, ask: wantVersion(vt.Version)},
	"another version":                {code: "release-version-mismatch", change: func(*vt.World, *imageDraft, *imageDraft) {}, ask: wantVersion("v1.4.3")},
	"statement by a stranger":        {code: "no-trusted-signer", change: func(w *vt.World, d, _ *imageDraft) { d.publisher = w.Keys["stranger"] }},
	"statement of files only":        {code: "image-unlisted", change: func(_ *vt.World, d, _ *imageDraft) { d.statement = d.statement[:1] }},
	"statement of another":           {code: "image-unlisted", change: func(_ *vt.World, d, other *imageDraft) { d.statement[1].Digest = sha(other.root) }},
	"digest listed as a file":        {code: "image-unlisted", change: func(_ *vt.World, d, _ *imageDraft) { d.statement[1].Name = "age.tar.gz" }},
	"staged: another image":          {code: "image-unlisted", change: staged(func(i *stage.Image, _, other *imageDraft) { i.Index = other.root.Digest.String() })},
	"staged: other platforms": {code: "image-mismatch", change: staged(func(i *stage.Image, _, other *imageDraft) {
		i.Platforms["linux/amd64"] = other.platforms[0].Digest.String()
	})},
	"staged: one platform less": {code: "image-mismatch", change: staged(func(i *stage.Image, _, _ *imageDraft) {
		delete(i.Platforms, "linux/amd64")
		delete(i.SBOMs, "linux/amd64")
	})},
	"staged: bill was swapped": {code: "sbom-mismatch", change: staged(func(i *stage.Image, _, _ *imageDraft) { i.SBOMs[""] = "sha256:" + strings.Repeat("7", 64) })},
	"staged: a platform's too": {code: "sbom-mismatch", change: staged(func(i *stage.Image, _, _ *imageDraft) { i.SBOMs["linux/arm64"] = "sha256:" + strings.Repeat("7", 64) })},
	"staged: another commit": {code: "source-mismatch", change: func(_ *vt.World, d, _ *imageDraft) {
		d.stage = func(s *stage.Stage) { s.Source.Commit = strings.Repeat("8", 40) }
	}},
	"staged: another project": {code: "project-mismatch", change: func(_ *vt.World, d, _ *imageDraft) { d.stage = func(s *stage.Stage) { s.Project = "other" } }},
	"staged: other version":   {code: "release-version-mismatch", change: func(_ *vt.World, d, _ *imageDraft) { d.stage = func(s *stage.Stage) { s.Version = "v1.4.3" } }},
}

func changed(f func(*attest.Provenance)) func(*vt.World, *imageDraft, *imageDraft) {
	return func(_ *vt.World, d, _ *imageDraft) { d.provenance = f }
}

func otherBuilder(w *vt.World, d, _ *imageDraft) {
	d.signer, d.provenance = w.Keys["other-service"], func(p *attest.Provenance) { p.RunDetails.Builder.ID = vt.OtherID }
}

func junk(kind string) func(*vt.World, *imageDraft, *imageDraft) {
	return func(_ *vt.World, d, _ *imageDraft) {
		d.targets = nil
		d.more = func(_ *testing.T, d *imageDraft) {
			for _, target := range d.all() {
				d.attach(target, kind, []byte("junk"))
			}
		}
	}
}

func staged(f func(i *stage.Image, d, other *imageDraft)) func(*vt.World, *imageDraft, *imageDraft) {
	return func(_ *vt.World, d, other *imageDraft) { d.stage = func(s *stage.Stage) { f(&s.Images[0], d, other) } }
}

func attached(f func(i *stage.Image, d, other *imageDraft)) func(*vt.World, *imageDraft, *imageDraft) {
	return func(_ *vt.World, d, other *imageDraft) {
		d.attached = func(s *stage.Stage) { f(&s.Images[0], d, other) }
	}
}

func wantSBOM(o *verify.Options)    { o.Evidence = []string{"sbom"} }
func wantRelease(o *verify.Options) { o.RequireRelease = true }
func wantVersion(v string) func(*verify.Options) {
	return func(o *verify.Options) { o.Version = v }
}

func TestImageRefusals(t *testing.T) {
	t.Parallel()
	host := rt.InProcess(t)
	n := 0
	for name, test := range imageRefusals {
		n++
		repository := host + "/bad/" + strconv.Itoa(n)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := vt.NewWorld(t)
			d := newImage(t, w, 1)
			test.change(w, d, newImage(t, w, 2))
			o := options(w)
			if test.ask != nil {
				test.ask(&o)
			}
			o.StageFile = d.sign(t)
			r, err := verify.Image(context.Background(), d.inRegistry(t, repository), o)
			if err != nil {
				t.Fatal(err)
			}
			refused(t, r, test.code)
			if o.StageFile != nil {
				return
			}
			if r, err = verify.LayoutDir(context.Background(), d.inLayout(t), o); err != nil {
				t.Fatal(err)
			}
			refused(t, r, test.code)
		})
	}
}

// Who pulls the image of one platform has its manifest, and asks about that: stage.json says which image it is of.
func TestManifestOfOnePlatform(t *testing.T) {
	t.Parallel()
	host := rt.InProcess(t)
	w := vt.NewWorld(t)
	d := newImage(t, w, 1)
	d.sign(t)
	name := host + "/one/age"
	d.inRegistry(t, name)
	o := options(w)
	o.Evidence, o.MinLevel, o.RequireRelease = []string{"sbom"}, 3, true
	for _, p := range d.platforms {
		r, err := verify.Any(t.Context(), name+"@"+p.Digest.String(), o)
		if err != nil {
			t.Fatal(err)
		}
		accepted(t, r)
		if r.Scope != verify.ScopeImageInRelease || r.Version != vt.Version || len(r.SignOffs) != 2 {
			t.Error(show(r))
		}
	}

	// Without stage.json nobody can tell of which image it is.
	d = newImage(t, w, 2)
	d.bare = true
	d.sign(t)
	d.inRegistry(t, name)
	r, err := verify.Any(t.Context(), name+"@"+d.platforms[0].Digest.String(), options(w))
	if err != nil {
		t.Fatal(err)
	}
	refused(t, r, "image-unlisted")
}

// Whoever may set a tag can set it to another image of the same release, signed off like the right one, or to one platform's part.
func TestAnotherImageOfTheRelease(t *testing.T) {
	t.Parallel()
	host := rt.InProcess(t)
	w := vt.NewWorld(t)
	name, copied := host+"/team/age", host+"/copies/age"
	d, right := newImage(t, w, 1), newImage(t, w, 2)
	d.statement = append(d.statement, attest.Subject{Name: stage.ImageName(name), Digest: sha(right.root)})
	d.sign(t)
	for _, repository := range []string{name, copied} {
		d.inRegistry(t, repository)
		repo, err := registry.Open(repository, registry.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for tag, desc := range map[string]ocispec.Descriptor{vt.Version: d.root, "v1": d.platforms[0]} {
			if err := repo.Tag(t.Context(), desc, tag); err != nil {
				t.Fatal(err)
			}
		}
	}
	for reference, want := range map[string]string{
		name + ":" + vt.Version: "image-mismatch", name + "@" + d.root.Digest.String(): "image-mismatch", name + ":v1": "image-mismatch",
		copied + ":" + vt.Version: "", copied + "@" + d.platforms[0].Digest.String(): "", copied + ":v1": "image-mismatch",
	} {
		r, err := verify.Any(t.Context(), reference, options(w))
		if err != nil {
			t.Fatal(err)
		}
		if got := gate.Code(r.Err()); got != want {
			t.Errorf("%s: %q, want %q: %v", reference, got, want, r.Err())
		}
	}
}

// The tag that a layout gives an image is held to the image's version as a registry's is.
func TestTagInALayout(t *testing.T) {
	t.Parallel()
	w := vt.NewWorld(t)
	for tag, want := range map[string]string{vt.Version: "", "team/age:" + vt.Version: "", "v1.4.3": "release-version-mismatch", "team/age:v2": "release-version-mismatch", "latest": ""} {
		d := newImage(t, w, 1)
		d.sign(t)
		dir := t.TempDir()
		d.writeLayout(t, dir, d.root)
		index := strings.Replace(string(vt.Read(t, dir, "index.json")), `"image-0"`, `"`+tag+`"`, 1)
		vt.Write(t, dir, "index.json", []byte(index))
		r, err := verify.LayoutDir(t.Context(), dir, options(w))
		if err != nil {
			t.Fatal(err)
		}
		if got := gate.Code(r.Err()); got != want {
			t.Errorf("%s: %q, want %q: %v", tag, got, want, r.Err())
		}
	}
}

// A registry's word counts for nothing: content that is not what its digest says is an error, whatever refers to it.
func TestImageThatLies(t *testing.T) {
	t.Parallel()
	w := vt.NewWorld(t)
	for name, test := range map[string]struct {
		code string
		lie  func(d *imageDraft, dir string)
	}{
		"index":    {"registry-digest-mismatch", func(d *imageDraft, dir string) { spoil(t, dir, d.root.Digest) }},
		"manifest": {"registry-digest-mismatch", func(d *imageDraft, dir string) { spoil(t, dir, d.platforms[1].Digest) }},
		"layer":    {"registry-digest-mismatch", func(d *imageDraft, dir string) { spoil(t, dir, layerOf(t, d)) }},
		"no layer": {"image-missing", func(d *imageDraft, dir string) { remove(t, dir, "blobs/sha256/"+layerOf(t, d).Encoded()) }},
		"no index": {"layout-invalid", func(_ *imageDraft, dir string) { remove(t, dir, "index.json") }},
		"not JSON": {"layout-invalid", func(_ *imageDraft, dir string) { vt.Write(t, dir, "index.json", []byte("no")) }},
		"no images": {"image-missing", func(_ *imageDraft, dir string) {
			vt.Write(t, dir, "index.json", []byte(`{"schemaVersion":2,"manifests":[]}`))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newImage(t, w, 1)
			d.sign(t)
			dir := d.inLayout(t)
			test.lie(d, dir)
			r, err := verify.LayoutDir(context.Background(), dir, options(w))
			if err == nil {
				err = r.Err()
			}
			if gate.Code(err) != test.code {
				t.Errorf("want %s, got %v", test.code, err)
			}
		})
	}
}

func remove(t *testing.T, dir, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(dir, filepath.FromSlash(name))); err != nil {
		t.Fatal(err)
	}
}

// spoil changes one byte of a blob.
func spoil(t *testing.T, dir string, d godigest.Digest) {
	t.Helper()
	name := "blobs/sha256/" + d.Encoded()
	data := vt.Read(t, dir, name)
	data[len(data)/2] ^= 1
	vt.Write(t, dir, name, data)
}

func layerOf(t *testing.T, d *imageDraft) godigest.Digest {
	t.Helper()
	var m ocispec.Manifest
	if err := json.Unmarshal(fetched(t, d.memory, d.platforms[0]), &m); err != nil {
		t.Fatal(err)
	}
	return m.Layers[0].Digest
}

// A trust file that has expired accepts no image.
func TestImageWithExpiredTrust(t *testing.T) {
	t.Parallel()
	w := vt.NewWorld(t, func(f *trust.Trust) { f.Expires = "2026-11-20" })
	d := newImage(t, w, 1)
	d.sign(t)
	r, err := verify.LayoutDir(context.Background(), d.inLayout(t), options(w))
	if err != nil {
		t.Fatal(err)
	}
	refused(t, r, "trust-expired")
}

// Somebody can attach any number of things to an image. What is read of them is bounded.
func TestImageWithFloodOfReferrers(t *testing.T) {
	t.Parallel()
	w := vt.NewWorld(t)
	d := newImage(t, w, 1)
	d.sign(t)
	for i := range 1100 {
		d.attach(d.root, attest.ProvenanceType, []byte(strings.Repeat(" ", i)))
	}
	_, err := verify.LayoutDir(context.Background(), d.inLayout(t), options(w))
	if gate.Code(err) != "referrers-too-many" {
		t.Error(err)
	}
}

// A stage's images are in it: all of them, whole, and no others.
func TestStageWithImages(t *testing.T) {
	t.Parallel()
	w := vt.NewWorld(t)
	for name, test := range map[string]struct {
		code   string
		change func(t *testing.T, d *imageDraft, dir string)
	}{
		"good":           {"", func(*testing.T, *imageDraft, string) {}},
		"a changed blob": {"image-digest-mismatch", func(t *testing.T, d *imageDraft, dir string) { spoil(t, dir, layerOf(t, d)) }},
		"a blob less":    {"image-missing", func(t *testing.T, d *imageDraft, dir string) { remove(t, dir, "blobs/sha256/"+d.root.Digest.Encoded()) }},
		"a layer less":   {"image-missing", func(t *testing.T, d *imageDraft, dir string) { remove(t, dir, "blobs/sha256/"+layerOf(t, d).Encoded()) }},
		"a blob more": {"image-unlisted", func(t *testing.T, _ *imageDraft, dir string) {
			vt.Write(t, dir, "blobs/sha256/"+digest.Bytes([]byte("x")), []byte("x"))
		}},
		"a file more":     {"image-unlisted", func(t *testing.T, _ *imageDraft, dir string) { vt.Write(t, dir, "evil", []byte("x")) }},
		"no list of them": {"layout-invalid", func(t *testing.T, _ *imageDraft, dir string) { remove(t, dir, "index.json") }},
		"an image more": {"image-unlisted", func(t *testing.T, d *imageDraft, dir string) {
			d.writeLayout(t, dir, d.root, d.memory.Image(t, rt.Spec{Seed: 9}))
		}},
		"attached to another": {"image-unlisted", func(t *testing.T, d *imageDraft, dir string) {
			other := d.memory.Image(t, rt.Spec{Seed: 9})
			d.writeLayout(t, dir, d.root, d.memory.Referrer(other, sign.MediaType, []byte("{}")))
		}},
		"another image": {"image-missing", func(t *testing.T, d *imageDraft, dir string) {
			d.writeLayout(t, dir, d.memory.Image(t, rt.Spec{Seed: 9}))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newImage(t, w, 1)
			d.statement = nil
			var img stage.Image
			d.stage = func(s *stage.Stage) { img = s.Images[0] }
			d.sign(t)
			folder := w.StageFolder(t, func(draft *vt.Draft) { draft.Stage.Images = []stage.Image{img} })
			images := filepath.Join(folder, stage.ImagesFolder)
			d.writeLayout(t, images, d.root)
			test.change(t, d, images)
			r := dir(t, folder, options(w))
			if test.code == "" {
				accepted(t, r)
				return
			}
			refused(t, r, test.code)
		})
	}
}

// A release's statement names its images; it has to name those of stage.json, and no others.
func TestReleaseWithOtherImages(t *testing.T) {
	t.Parallel()
	w := vt.NewWorld(t)
	image := stage.Image{Name: "age", Index: "sha256:" + strings.Repeat("a", 64), Size: 100, Repositories: []string{"mirror.example/age", imageRepository}, Tags: []string{vt.Version},
		Platforms: map[string]string{"linux/amd64": "sha256:" + strings.Repeat("b", 64)}}
	said := func(repository, sum string) attest.Subject {
		return attest.Subject{Name: stage.ImageName(repository), Digest: map[string]string{"sha256": strings.Repeat(sum, 64)}}
	}
	both := []attest.Subject{said(imageRepository, "a"), said("mirror.example/age", "a")}
	for name, test := range map[string]struct {
		images []stage.Image
		said   []attest.Subject
		good   bool
	}{
		"as staged":          {[]stage.Image{image}, both, true},
		"one mirror less":    {[]stage.Image{image}, both[:1], false},
		"another digest":     {[]stage.Image{image}, []attest.Subject{both[0], said("mirror.example/age", "c")}, false},
		"another repository": {[]stage.Image{image}, []attest.Subject{both[0], said("evil.example/age", "a")}, false},
		"one more":           {[]stage.Image{image}, append([]attest.Subject{said("evil.example/age", "a")}, both...), false},
		"none":               {[]stage.Image{image}, nil, false},
		"none staged":        {nil, both, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := dir(t, w.Release(t, func(d *vt.Draft) {
				d.Stage.Images = test.images
				d.Statement = func(s []attest.Subject) []attest.Subject { return append(s, test.said...) }
			}), options(w))
			if test.good {
				accepted(t, r)
				return
			}
			refused(t, r, "image-mismatch")
		})
	}
}

// A tag that is a version has to name an image of that version: an older release under a newer one's tag is refused.
func TestTagOfAnotherVersion(t *testing.T) {
	t.Parallel()
	host := rt.InProcess(t)
	w := vt.NewWorld(t)
	d := newImage(t, w, 1)
	d.sign(t)
	name := host + "/tags/age"
	d.inRegistry(t, name)
	repo, err := registry.Open(name, registry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for tag, want := range map[string]string{"v1.4.2": "", "v1.4.3": "release-version-mismatch", "latest": "", "v1.4": "", "v1": "", "1.4": "", "v1.3": "release-version-mismatch", "v2": "release-version-mismatch", "1.5": "release-version-mismatch"} {
		if err := repo.Tag(t.Context(), d.root, tag); err != nil {
			t.Fatal(err)
		}
		r, err := verify.Image(t.Context(), name+":"+tag, options(w))
		if err != nil {
			t.Fatal(err)
		}
		if got := gate.Code(r.Err()); got != want {
			t.Errorf("%s: %q, want %q: %v", tag, got, want, r.Err())
		}
	}
}
