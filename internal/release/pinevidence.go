package release

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/build"
	"github.com/sello-release/sello/internal/definition"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/provenance"
	"github.com/sello-release/sello/internal/registry"
	"github.com/sello-release/sello/internal/sign"
)

// Evidenced is evidence about an image that was written into the working tree. Nobody has judged it: that is done when it is committed.
type Evidenced struct {
	Image    string   `json:"image"`          // registry/repository@sha256:…
	Path     string   `json:"path,omitempty"` // of the file; "" when nothing was found
	Found    int      `json:"found"`          // attestations that a policy could judge
	New      int      `json:"new"`            // of them, those that the file did not have
	Other    int      `json:"other"`          // attestations of other kinds, which were left out
	Unusable []string `json:"unusable,omitempty"`
}

// What cosign attached before registries had referrers: a manifest under a tag, whose layers are envelopes.
const (
	attSuffix    = ".att"
	envelopeType = "application/vnd.dsse.envelope.v1+json"
)

// maxManifests bounds how many manifests of an index are asked for attestations.
const maxManifests = 64

// PinEvidence fetches what is attached to the images that the definition in the working tree names (those that a rule of policy.inputs is about, where
// there are rules), provenance and verification summaries, and writes them below inputs/, an attestation a line, beside what is there.
// It trusts nothing of it. An image that a rule is about and that nothing is attached to is an input-evidence-missing.
func (p *Project) PinEvidence(ctx context.Context) ([]Evidenced, error) {
	data, err := readLimited(filepath.Join(p.Repo.Root(), definition.FileName))
	if err != nil {
		return nil, missing(definition.FileName, err)
	}
	def, err := definition.Parse(definition.FileName, data)
	if err != nil {
		return nil, err
	}
	plan, err := build.New(def, "v0.0.0", strings.Repeat("0", 40), p.Now())
	if err != nil {
		return nil, err
	}
	rules, err := p.workingInputs(ctx, def)
	if err != nil {
		return nil, err
	}
	var out []Evidenced
	var errs []error
	inputs, _ := plannedInputs(plan)
	for _, in := range inputs {
		var rule *inputRule
		if len(rules.all) > 0 {
			if rule = rules.all[0].ruleFor(in); rule == nil {
				continue
			}
		}
		done, err := p.pinEvidence(ctx, in, rule)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		out = append(out, *done)
	}
	return out, errors.Join(errs...)
}

func (p *Project) pinEvidence(ctx context.Context, in input, rule *inputRule) (*Evidenced, error) {
	from, err := registry.Open(in.name, p.Registry)
	if err != nil {
		return nil, err
	}
	root, err := from.Resolve(ctx, "sha256:"+in.digests[0])
	if err != nil {
		return nil, err
	}
	f := &evidenceFinder{from: from, found: Evidenced{Image: in.name + "@" + root.Digest.String()}, wanted: append([]string{provenance.SummaryType}, provenance.Types...)}
	if rule != nil {
		for _, more := range rule.policy.Expect.Predicates {
			f.wanted = append(f.wanted, more.Type)
		}
	}
	if err := f.attached(ctx, root); err != nil {
		return nil, err
	}
	enough, err := f.holds(ctx, in, rule)
	if err != nil {
		return nil, err
	}
	if !enough && registry.IsIndex(root.MediaType) {
		if err := f.inside(ctx, root); err != nil {
			return nil, err
		}
	}
	if len(f.lines) == 0 {
		if rule == nil {
			return &f.found, nil
		}
		return nil, &gate.Refusal{Code: "input-evidence-missing", Where: f.found.Image, What: "no provenance and no verification summary is attached to the image, which " + rule.Policy + " asks for",
			Expected: "a Sigstore bundle as a referrer, or cosign's tag " + attTag(root), Actual: strings.Join(append([]string{fmt.Sprintf("%d attestations of other kinds", f.found.Other)}, f.found.Unusable...), "; "),
			Fix: "ask its publisher for them, and put them into " + evidenceFile(in.digests[0]) + "; or use another image"}
	}
	return &f.found, p.writeEvidence(evidenceFile(in.digests[0]), f)
}

// evidenceFinder collects what is attached to one image.
type evidenceFinder struct {
	from   *registry.Repository
	wanted []string // predicate types
	found  Evidenced
	lines  [][]byte
}

// holds reports whether what was found of an image itself will do, so that nothing else has to be looked for.
func (f *evidenceFinder) holds(ctx context.Context, in input, rule *inputRule) (bool, error) {
	if rule == nil || len(f.lines) == 0 {
		return len(f.lines) > 0, nil
	}
	alone := *rule
	alone.Evidence = nil
	found := tree{
		read: func(context.Context, string, int64) ([]byte, error) { return bytes.Join(f.lines, []byte("\n")), nil },
		list: func(context.Context, string) ([]string, error) {
			return []string{path.Base(evidenceFile(in.digests[0]))}, nil
		},
	}
	j, err := alone.judge(ctx, in, []tree{found})
	return j.Accepted, err
}

// inside looks at what is attached to the manifests of an index.
func (f *evidenceFinder) inside(ctx context.Context, index ocispec.Descriptor) error {
	m, err := f.manifest(ctx, index)
	if err != nil {
		return err
	}
	for _, d := range m.Manifests[:min(len(m.Manifests), maxManifests)] {
		if d.Platform != nil && d.Platform.OS == "unknown" { // what builders leave in indexes, unsigned
			continue
		}
		if err := f.attached(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

// attached looks for bundles that refer to a manifest, and for envelopes under cosign's tag.
func (f *evidenceFinder) attached(ctx context.Context, desc ocispec.Descriptor) error {
	referrers, err := f.from.Referrers(ctx, desc, sign.MediaType)
	if err != nil {
		return err
	}
	for _, r := range referrers {
		if err := f.blobs(ctx, r, sign.MediaType); err != nil {
			return err
		}
	}
	old, err := f.from.Resolve(ctx, attTag(desc))
	if gate.Code(err) == "image-missing" {
		return nil
	}
	if err != nil {
		return err
	}
	return f.blobs(ctx, old, envelopeType)
}

func attTag(desc ocispec.Descriptor) string {
	return strings.Replace(desc.Digest.String(), ":", "-", 1) + attSuffix
}

// blobs takes the attestations that a manifest holds.
func (f *evidenceFinder) blobs(ctx context.Context, desc ocispec.Descriptor, mediaType string) error {
	m, err := f.manifest(ctx, desc)
	if err != nil {
		return err
	}
	for _, d := range m.Blobs {
		switch {
		case d.MediaType != mediaType:
			continue
		case d.Size > sign.MaxBundle:
			f.unusable(d, "it is too large")
			continue
		}
		data, err := f.read(ctx, d, sign.MaxBundle)
		if err != nil {
			return err
		}
		if mediaType == envelopeType {
			if data, err = sign.Attached(data, d.Annotations); err != nil {
				f.unusable(d, err.Error())
				continue
			}
		}
		f.take(d, data)
	}
	return nil
}

func (f *evidenceFinder) manifest(ctx context.Context, desc ocispec.Descriptor) (*registry.Manifest, error) {
	data, err := f.read(ctx, desc, registry.MaxManifest)
	if err != nil {
		return nil, err
	}
	return registry.ParseManifest(desc, data)
}

func (f *evidenceFinder) read(ctx context.Context, desc ocispec.Descriptor, most int64) ([]byte, error) {
	r, err := f.from.Fetch(ctx, desc)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, most))
}

func (f *evidenceFinder) unusable(d ocispec.Descriptor, why string) {
	f.found.Unusable = append(f.found.Unusable, fmt.Sprintf("%.19s: %s", d.Digest, why))
}

// take keeps an attestation that a policy could judge, as a line.
func (f *evidenceFinder) take(d ocispec.Descriptor, data []byte) {
	found, err := sign.Collect(data)
	if err == nil && len(found) == 1 {
		err = found[0].Err
	}
	if err != nil || len(found) != 1 {
		f.unusable(d, fmt.Sprintf("it cannot be read: %.200v", err))
		return
	}
	if found[0].Bundle.Envelope == nil {
		f.found.Other++
		return
	}
	h, _, err := attest.DecodeForeign(found[0].Bundle.Envelope.Payload)
	if err != nil {
		f.unusable(d, fmt.Sprintf("its statement cannot be read: %.200v", err))
		return
	}
	if !slices.Contains(f.wanted, h.PredicateType) {
		f.found.Other++
		return
	}
	var line bytes.Buffer
	if err := json.Compact(&line, data); err != nil {
		f.unusable(d, err.Error())
		return
	}
	f.lines = append(f.lines, line.Bytes())
}

// writeEvidence writes what was found, after the lines that the file has.
func (p *Project) writeEvidence(file string, f *evidenceFinder) error {
	old, err := p.workingTree().read(context.Background(), file, sign.MaxBundle)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read evidence: %w", err)
	}
	var lines [][]byte
	keep := func(line []byte) bool {
		line = bytes.TrimSpace(line)
		if len(line) == 0 || slices.ContainsFunc(lines, func(have []byte) bool { return bytes.Equal(have, line) }) {
			return false
		}
		lines = append(lines, line)
		return true
	}
	for line := range bytes.Lines(old) {
		keep(line)
	}
	slices.SortFunc(f.lines, bytes.Compare) // registries list in any order
	for _, line := range slices.CompactFunc(f.lines, bytes.Equal) {
		f.found.Found++
		if keep(line) {
			f.found.New++
		}
	}
	f.found.Path = file
	data := append(bytes.Join(lines, []byte("\n")), '\n')
	if len(data) > sign.MaxBundle {
		return &gate.Refusal{Code: "object-too-large", Where: file, What: "this file is larger than it can be", Expected: fmt.Sprintf("at most %d bytes", sign.MaxBundle), Actual: fmt.Sprint(len(data)), Fix: "remove attestations that the policy does not need"}
	}
	if f.found.New == 0 {
		return nil
	}
	return p.writeInTree(file, data)
}

// writeInTree writes a file of the working tree, through no link.
func (p *Project) writeInTree(file string, data []byte) error {
	root, err := os.OpenRoot(p.Repo.Root())
	if err != nil {
		return fmt.Errorf("open working tree: %w", err)
	}
	defer root.Close()
	folder := path.Dir(file)
	if err := root.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("make folder for evidence: %w", err)
	}
	if info, err := root.Lstat(folder); err != nil || !info.IsDir() {
		return &gate.Refusal{Code: "source-not-a-folder", Class: gate.Usage, Where: folder, What: "this is not a folder", Expected: "a folder", Actual: "a link, or something else", Fix: "remove it"}
	}
	if err := root.WriteFile(file, data, 0o644); err != nil {
		return fmt.Errorf("write evidence: %w", err)
	}
	return nil
}
