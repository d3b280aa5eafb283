package release

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	godigest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/registry"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/stage"
	"github.com/sello-release/sello/internal/store"
	"github.com/sello-release/sello/internal/trust"
	"github.com/sello-release/sello/internal/vuln"
)

// gateVerifier is as whom the gate signs summaries.
type gateVerifier struct {
	id     string
	signer sign.Signer
}

// gateVerifier gives who signs the gate's summaries on this machine; nil when the trust file names no verifier.
func (p *Project) gateVerifier(ctx context.Context, t *trust.Trust) (*gateVerifier, error) {
	if len(t.Verifiers) == 0 {
		return nil, nil //nolint:nilnil // a project may have none
	}
	identity, signer, err := p.Keys(t.Project).Signer(ctx, t, trust.RoleVerifier, "")
	if err != nil {
		return nil, err
	}
	return &gateVerifier{t.VerifierIDs(identity)[0], signer}, ready(ctx, signer)
}

// gateResult collects what a promotion rested on, for its summary.
type gateResult struct {
	from   *Inputs           // what the stage was built from, as rules about it judged it; nil without rules
	levels []string          // of the stage's artifacts, and of each image
	inputs []attest.Resource // attestations beside those that production holds
}

// decisions adds the managers' decisions that the gate let count, with the signatures beside them.
func (p *Project) decisions(ctx context.Context, c *Candidate, j *gateResult, documents []string) error {
	for _, document := range documents {
		data, err := p.Repo.ReadFile(ctx, c.Tip, document+stage.BundleSuffix, sign.MaxBundle)
		if err != nil {
			return fmt.Errorf("read decision: %w", err)
		}
		j.inputs = append(j.inputs, attest.ResourceOf(c.at(document+stage.BundleSuffix), digest.Bytes(data)))
	}
	return nil
}

// decided names the documents that a look at vulnerabilities rests on.
func decided(report *vuln.Report) []string {
	documents := map[string]bool{}
	for _, f := range report.Findings {
		if f.Decision != nil {
			documents[f.Decision.Document] = true
		}
	}
	return slices.Sorted(maps.Keys(documents))
}

// at names a file of the release branch as it was read.
func (c *Candidate) at(file string) string {
	if strings.HasPrefix(c.Definition.Source, "https://") {
		return "git+" + c.Definition.Source + "@" + c.Tip + "#" + file
	}
	return purl(c) + "#" + file
}

// publishSummary publishes what the gate found, where there is somebody to say it: as a bundle, and the same envelope by itself. What is there already, by a verifier and with
// the same claims, stays; until the release is made its inputs have to be those that count now, since a sign-off may have been given anew. promised is what
// the release statement names, nil while there is none.
func (p *Project) publishSummary(ctx context.Context, c *Candidate, s *staged, to store.ReleaseLayout, as *gateVerifier, found *gateResult, promised map[string]string, out *Promoted) error {
	if as == nil {
		return nil
	}
	statement, err := p.summary(ctx, c, s, to, as, found)
	if err != nil {
		return err
	}
	bundle, err := readObject(ctx, to.Bucket, to.VSA(), sign.MaxBundle)
	switch {
	case err == nil:
		said, err := openSummary(c.Trust, bundle, to.VSA())
		if err != nil {
			return err
		}
		if !attest.SameClaims(said, &statement) {
			return &gate.Refusal{Code: "vsa-conflict", Where: to.VSA(), What: "there is a verification summary already, and it says something else than the gate found", Expected: claims(&statement), Actual: claims(said),
				Fix: "find out who made it; while the release is not made yet, remove it with " + stage.SummaryPlain + " and promote again"}
		}
		if promised != nil || slices.EqualFunc(said.Predicate.InputAttestations, statement.Predicate.InputAttestations, sameResource) {
			out.count(store.AlreadyThere)
			return putPlain(ctx, to, bundle, promised != nil, out)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	case promised[stage.SummaryBundle] != "":
		return &gate.Refusal{Code: "vsa-missing", Where: to.VSA(), What: "the release statement names a verification summary that is not there any more", Expected: "sha256:" + promised[stage.SummaryBundle], Actual: "no such file",
			Fix: "put it back as it was: another one would have another digest"}
	}
	payload, err := statement.Encode()
	if err != nil {
		return err
	}
	if bundle, err = sign.SignStatement(ctx, as.signer, attest.PayloadType, payload); err != nil {
		return fmt.Errorf("sign verification summary: %w", err)
	}
	if err := to.Bucket.Put(ctx, to.VSA(), bytes.NewReader(bundle), store.PutOptions{ContentType: "application/json"}); err != nil {
		return fmt.Errorf("publish verification summary: %w", err)
	}
	out.count(store.Written)
	return putPlain(ctx, to, bundle, false, out)
}

// putPlain puts the envelope of the summary beside its bundle. One that is there and another is of a run that broke off, or of an earlier
// sign-off; once the release is made it is refused.
func putPlain(ctx context.Context, to store.ReleaseLayout, bundle []byte, released bool, out *Promoted) error {
	plain, err := sign.Plain(bundle)
	if err != nil {
		return err
	}
	old, err := readObject(ctx, to.Bucket, to.PlainVSA(), sign.MaxBundle)
	switch {
	case err == nil && bytes.Equal(old, plain):
		out.count(store.AlreadyThere)
		return nil
	case err == nil && released:
		return &gate.Refusal{Code: "vsa-mismatch", Where: to.PlainVSA(), What: "this is not the envelope of the verification summary beside it", Expected: "sha256:" + digest.Bytes(plain), Actual: "sha256:" + digest.Bytes(old),
			Fix: "find out who changed it, and put it back as it was"}
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	out.count(store.Written)
	return to.Bucket.Put(ctx, to.PlainVSA(), bytes.NewReader(plain), store.PutOptions{ContentType: "application/jsonl"})
}

// openSummary reads a summary of one of the project's verifiers.
func openSummary(t *trust.Trust, data []byte, where string) (*attest.Statement[attest.Summary], error) {
	bundle, err := sign.ParseBundle(data)
	if err != nil {
		return nil, at(err, where)
	}
	_, payload, err := sign.SignersOf(t, trust.RoleVerifier).Verify(bundle)
	if err != nil {
		return nil, at(err, where)
	}
	return attest.Decode[attest.Summary](payload, attest.SummaryType)
}

func claims(s *attest.Statement[attest.Summary]) string {
	v := s.Predicate
	return fmt.Sprintf("%s of %d subjects, %s, by %s, about %s", v.Result, len(s.Subject), strings.Join(v.Levels, ", "), v.Verifier.ID, v.ResourceURI)
}

func sameResource(a, b attest.Resource) bool { return maps.Equal(a.Digest, b.Digest) }

// summary makes the statement: about what is staged, by what lies in production and what the gate looked at besides.
func (p *Project) summary(ctx context.Context, c *Candidate, s *staged, to store.ReleaseLayout, as *gateVerifier, found *gateResult) (attest.Statement[attest.Summary], error) {
	var none attest.Statement[attest.Summary]
	inputs, err := usedInProduction(ctx, c, s, to)
	if err != nil {
		return none, err
	}
	attached, err := usedOfImages(ctx, c, s)
	if err != nil {
		return none, err
	}
	var upstream []attest.Resource
	for file, sum := range found.from.evidence() {
		upstream = append(upstream, attest.ResourceOf(c.at(file), sum))
	}
	return attest.NewSummary(s.list.Subjects(), attest.Summary{
		Verifier:          attest.Verifier{ID: as.id, Version: map[string]string{"sello": p.Tool}},
		TimeVerified:      p.Now(),
		ResourceURI:       purl(c),
		Policy:            attest.ResourceOf(c.at(TrustFile), digest.Bytes(c.TrustBytes)),
		InputAttestations: slices.Concat(inputs, attached, found.inputs, upstream),
		DependencyLevels:  found.from.levels(),
		Result:            attest.Passed,
		Levels:            []string{slices.Min(found.levels)},
	})
}

// usedInProduction names the provenance of the artifacts and the sign-offs, as they were copied to production.
func usedInProduction(ctx context.Context, c *Candidate, s *staged, to store.ReleaseLayout) ([]attest.Resource, error) {
	infos, err := to.Bucket.List(ctx, to.Prefix())
	if err != nil {
		return nil, err
	}
	var out []attest.Resource
	for _, info := range infos {
		name := strings.TrimPrefix(info.Name, to.Prefix())
		of, bundle := strings.CutSuffix(name, stage.BundleSuffix)
		if !bundle || s.list.Find(of) == nil && !strings.HasPrefix(name, stage.SignOffFolder+"/") {
			continue
		}
		data, err := readObject(ctx, to.Bucket, info.Name, sign.MaxBundle)
		if err != nil {
			return nil, err
		}
		out = append(out, attest.ResourceOf(purl(c)+"#"+name, digest.Bytes(data)))
	}
	return out, nil
}

// usedOfImages names the attestations of the images that verifying them looks at.
func usedOfImages(ctx context.Context, c *Candidate, s *staged) ([]attest.Resource, error) {
	if len(s.list.Images) == 0 {
		return nil, nil
	}
	from, err := registry.OpenLayout(ctx, s.Images())
	if err != nil {
		return nil, err
	}
	var out []attest.Resource
	for _, img := range s.list.Images {
		targets := append([]string{img.Index}, slices.Sorted(maps.Values(img.Platforms))...)
		for _, target := range targets {
			referrers, err := from.Referrers(ctx, ocispec.Descriptor{Digest: godigest.Digest(target)}, sign.MediaType)
			if err != nil {
				return nil, err
			}
			for _, r := range referrers {
				if !slices.Contains([]string{attest.ProvenanceType, attest.SPDXType}, r.Annotations[predicateAnnotation]) {
					continue
				}
				blobs, err := readReferrer(ctx, from, r)
				if err != nil {
					return nil, err
				}
				for _, b := range blobs {
					if b.MediaType == sign.MediaType {
						out = append(out, attest.ResourceOf(purl(c)+"#"+stage.ImagesFolder+"/"+img.ShortName()+"/"+b.Digest.Encoded(), b.Digest.Encoded()))
					}
				}
			}
		}
	}
	return out, nil
}
