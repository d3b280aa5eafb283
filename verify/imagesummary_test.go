package verify_test

import (
	"strings"
	"testing"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/gate"
	rt "github.com/sello-release/sello/internal/registry/registrytest"
	"github.com/sello-release/sello/internal/stage"
	"github.com/sello-release/sello/internal/trust"
	"github.com/sello-release/sello/verify"
	vt "github.com/sello-release/sello/verify/verifytest"
)

// An image of a released project with a gate needs the gate's summary, on its index and on each platform's manifest.
func TestGateSummaryOfImages(t *testing.T) {
	t.Parallel()
	host := rt.InProcess(t)
	w := vt.NewGateWorld(t)
	for name, c := range map[string]struct {
		change func(d *imageDraft, s *attest.Summary, subjects *[]attest.Subject)
		signer string
		skip   int // targets to which it is not attached
		code   string
	}{
		"good":              {nil, "gate", 0, ""},
		"missing":           {nil, "gate", 100, "vsa-missing"},
		"on platforms only": {nil, "gate", 1, "vsa-missing"},
		"the builder's":     {nil, "build-service", 0, "no-trusted-signer"},
		"of another image": {func(_ *imageDraft, _ *attest.Summary, s *[]attest.Subject) {
			*s = []attest.Subject{{Name: "x", Digest: map[string]string{"sha256": "0000000000000000000000000000000000000000000000000000000000000000"}}}
		}, "gate", 0, "subject-mismatch"},
		"without a platform": {func(_ *imageDraft, _ *attest.Summary, s *[]attest.Subject) { *s = (*s)[:len(*s)-1] }, "gate", 0, "subject-mismatch"},
		"another verifier":   {func(_ *imageDraft, s *attest.Summary, _ *[]attest.Subject) { s.Verifier.ID += "2" }, "gate", 0, "vsa-verifier-untrusted"},
		"another version":    {func(_ *imageDraft, s *attest.Summary, _ *[]attest.Subject) { s.ResourceURI += "1" }, "gate", 0, "vsa-resource-mismatch"},
		"failed": {func(_ *imageDraft, s *attest.Summary, _ *[]attest.Subject) {
			s.Result, s.Levels = attest.Failed, []string{attest.Failed}
		}, "gate", 0, "vsa-failed"},
		"a higher level": {func(_ *imageDraft, s *attest.Summary, _ *[]attest.Subject) { s.Levels = []string{"SLSA_BUILD_LEVEL_4"} }, "gate", 0, "vsa-level"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newImage(t, w, 1)
			d.bare = true // the subjects are then not known but by digest
			d.more = func(t *testing.T, d *imageDraft) {
				var subjects []attest.Subject
				for i, target := range d.all() {
					subjects = append(subjects, attest.Subject{Name: stage.ImageName(imageRepository) + string(rune('0'+i)), Digest: sha(target)})
				}
				s := attest.Summary{Verifier: attest.Verifier{ID: vt.VerifierID}, TimeVerified: vt.Now, ResourceURI: trust.Purl(vt.Source, vt.Project, vt.Version),
					Policy: attest.ResourceOf("file:trust.yaml", w.Trust.Digest()), Result: attest.Passed, Levels: []string{"SLSA_BUILD_LEVEL_3"}}
				if c.change != nil {
					c.change(d, &s, &subjects)
				}
				statement, err := attest.NewSummary(subjects, s)
				if err != nil {
					t.Fatal(err)
				}
				bundle := vt.Sign(t, w.Keys[c.signer], statement)
				for i, target := range d.all() {
					if i >= c.skip {
						d.attach(target, attest.SummaryType, bundle)
					}
				}
			}
			d.sign(t)
			o := options(w)
			o.Version = vt.Version
			r, err := verify.Image(t.Context(), d.inRegistry(t, host+"/team/"+strings.NewReplacer(" ", "-", "'", "").Replace(name)), o)
			if err != nil {
				t.Fatal(err)
			}
			if !hasFailed(r, c.code) {
				t.Errorf("%v, want %q", r.Err(), c.code)
			}
		})
	}
}

func hasFailed(r *verify.Report, code string) bool {
	if code == "" {
		return gate.Code(r.Err()) == ""
	}
	for _, c := range r.Checks {
		if c.ID == code && c.Status == verify.Fail {
			return true
		}
	}
	return false
}
