package verify

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/stage"
	"github.com/sello-release/sello/internal/trust"
)

// IsSummary reports whether a file of a release is the gate's verification summary, in one of its two forms.
func IsSummary(name string) bool { return name == stage.SummaryBundle || name == stage.SummaryPlain }

// summarised is what a verification summary of the project's own gate is held to.
type summarised struct {
	about    string            // what is verified, for messages
	where    string            // the bundle's name
	found    []sign.Collected  // summaries that are there; one that holds is enough
	digests  map[string]string // of the file or image, one of which has to be a subject; nil where subjects decide
	subjects []attest.Subject  // exactly these, where the release is known
	version  string            // "" for any
	least    int               // the lowest build level that is enough
	level    *int              // the highest build level that was found here; nil when that is not known
	released bool              // a verified release statement speaks of the release
}

// gateSummaries reports whether releases need a summary of the gate.
func (v *verifier) gateSummaries() bool { return len(v.trust.Verifiers) > 0 }

// gateSummary judges what the project's own gate says (SLSA v1.2, Verification summary, How to verify), and gives the summary that holds.
func (v *verifier) gateSummary(f *findings, in summarised) (*attest.Statement[attest.Summary], *sign.Bundle) {
	if len(in.found) == 0 {
		f.fail(Check{ID: "vsa-missing", Subject: in.where, Where: in.where}, &gate.Refusal{Code: "vsa-missing", What: "there is no verification summary by the project's gate", Where: in.where, Expected: stage.SummaryBundle,
			Fix: "download the release whole; if it was promoted before the project had a verifier, have it promoted and released again (which adds the summary and changes nothing else): sello promote, sello release"})
		return nil, nil
	}
	signers := sign.SignersOf(v.trust, trust.RoleVerifier)
	signers.Now = v.Now
	var best findings
	for _, one := range in.found {
		var tried findings
		statement := v.oneSummary(&tried, in, one, signers)
		if statement != nil {
			f.add(tried)
			return statement, one.Bundle
		}
		if better(tried, best) {
			best = tried
		}
	}
	f.add(best)
	return nil, nil
}

func (v *verifier) oneSummary(f *findings, in summarised, one sign.Collected, signers *sign.Signers) *attest.Statement[attest.Summary] {
	var signer string
	var payload []byte
	var s *attest.Statement[attest.Summary]
	steps := []step{
		{"bad-json", func(*Check) error { return one.Err }},
		{"no-trusted-signer", func(c *Check) (err error) {
			var id string
			if id, payload, err = signers.Verify(one.Bundle); err != nil {
				return err
			}
			signer, _ = v.trust.ByKeyID(id)
			c.Actual = id + " (" + signer + ")"
			return nil
		}},
		{"wrong-predicate", func(c *Check) (err error) {
			s, err = attest.Decode[attest.Summary](payload, attest.SummaryType)
			c.Actual = attest.SummaryType
			return err
		}},
		{"subject-mismatch", func(c *Check) error { return in.isAbout(c, s.Subject) }},
		{"vsa-verifier-untrusted", func(c *Check) error { return v.gateVerifier(c, s.Predicate, signer, in.released) }},
		{"vsa-resource-mismatch", func(c *Check) error { return v.gateResource(c, s.Predicate.ResourceURI, in.version) }},
		{"vsa-failed", func(c *Check) error {
			c.Actual = s.Predicate.Result
			if s.Predicate.Result == attest.Passed && !slices.Contains(s.Predicate.Levels, attest.Failed) {
				return nil
			}
			return &gate.Refusal{Code: "vsa-failed", What: "the project's gate says that verification failed", Expected: attest.Passed, Actual: fmt.Sprintf("%.50q, levels %.200q", s.Predicate.Result, s.Predicate.Levels), Fix: "do not use it"}
		}},
		{"vsa-level", func(c *Check) error { return in.rightLevel(c, s.Predicate.Levels) }},
	}
	if !f.chain(Check{Subject: in.where, Where: in.where}, steps...) {
		return nil
	}
	return s
}

// isAbout holds that a summary is about these subjects, or about this file.
func (in summarised) isAbout(c *Check, subjects []attest.Subject) error {
	h := attest.Header{Subject: subjects}
	if in.digests != nil && !h.Matches(in.digests) {
		return &gate.Refusal{Code: "subject-mismatch", What: "the verification summary is not about this", Expected: fmt.Sprintf("one of the %d subjects that it names", len(subjects)), Actual: in.about,
			Fix: "do not use it: the gate has not verified this; download it again from the project"}
	}
	c.Actual = fmt.Sprintf("%d subjects", len(subjects))
	if in.subjects == nil || attest.SameSubjects(in.subjects, subjects) {
		return nil
	}
	return &gate.Refusal{Code: "subject-mismatch", What: "the verification summary is about other artifacts than those that were staged and signed off", Expected: fmt.Sprintf("%d subjects", len(in.subjects)), Actual: differing(in.subjects, subjects),
		Fix: "do not use the release: its gate verified something else"}
}

// differing names a subject that one list has and the other has not, or not so.
func differing(want, have []attest.Subject) string {
	sums := map[string]map[string]string{}
	for _, s := range have {
		sums[s.Name] = s.Digest
	}
	for _, s := range want {
		stated, ok := sums[s.Name]
		if !ok {
			return "without " + s.Name
		}
		for _, a := range slices.Sorted(maps.Keys(s.Digest)) {
			if sum := stated[a]; sum != s.Digest[a] && (sum != "" || a == "sha256") {
				return s.Name + " with " + a + ":" + sum
			}
		}
		delete(sums, s.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		return fmt.Sprintf("with %.200q, too", name)
	}
	return "one of them twice"
}

// clockSkew is how far clocks may be apart.
const clockSkew = 5 * time.Minute

// gateVerifier holds that the signer speaks for the verifier, and counted when it signed.
func (v *verifier) gateVerifier(c *Check, s attest.Summary, signer string, released bool) error {
	known := v.trust.VerifierIDs(signer)
	c.Expected, c.Actual = strings.Join(known, " or "), s.Verifier.ID
	if !slices.Contains(known, s.Verifier.ID) {
		return &gate.Refusal{Code: "vsa-verifier-untrusted", What: "the trust file does not let this signer speak for this verifier", Expected: c.Expected, Actual: fmt.Sprintf("%.200q signed by %s", s.Verifier.ID, signer),
			Fix: "do not rely on this summary, unless the project adds the verifier to its trust file"}
	}
	if s.TimeVerified.IsZero() || s.TimeVerified.After(v.Now.Add(clockSkew)) {
		return &gate.Refusal{Code: "vsa-time", What: "the verification summary does not say when it was made, or says a time that has not come", Expected: "at most " + v.Now.UTC().Format(time.RFC3339), Actual: s.TimeVerified.UTC().Format(time.RFC3339),
			Fix: "do not use it; check this machine's clock"}
	}
	if err := v.trust.Usable(signer, s.TimeVerified); err != nil || released {
		return err
	}
	return v.trust.Usable(signer, v.Now)
}

func (v *verifier) gateResource(c *Check, uri, version string) error {
	want := trust.Purl(v.trust.Source, v.trust.Project, version)
	c.Expected, c.Actual = want, uri
	if uri == want && version != "" || version == "" && strings.HasPrefix(uri, want) && uri != want {
		return nil
	}
	return &gate.Refusal{Code: "vsa-resource-mismatch", What: "the verification summary is about something else", Expected: want, Actual: fmt.Sprintf("%.300q", uri), Fix: "do not use it as this: it is a summary of another project or version"}
}

// rightLevel holds that no higher build level is stated than was found, and no lower one than is wanted.
func (in summarised) rightLevel(c *Check, levels []string) error {
	c.Actual = strings.Join(levels, ", ")
	least, most := buildLevels(levels)
	switch {
	case most < 0:
		return &gate.Refusal{Code: "vsa-level", What: "the verification summary states no build level", Expected: levelName(in.least) + " or higher", Actual: fmt.Sprintf("%.200q", levels), Fix: "verify the release itself"}
	case most > 3:
		return &gate.Refusal{Code: "vsa-level", What: "the verification summary states a level that there is not", Expected: levelName(3) + " at most", Actual: fmt.Sprintf("%.200q", levels), Fix: "do not use it: whoever made it claims what nobody can have verified"}
	case in.level != nil && most > *in.level:
		return &gate.Refusal{Code: "vsa-level", What: "the verification summary states a higher level than the trust file grants what is here", Expected: "at most " + levelName(*in.level), Actual: fmt.Sprintf("%.200q", levels),
			Fix: "go by the lower level; if the trust file granted more when the release was made, verify with that one"}
	case least < in.least:
		return &gate.Refusal{Code: "vsa-level", What: "the verification summary states less than is asked for", Expected: levelName(in.least) + " or higher", Actual: fmt.Sprintf("%.200q", levels), Fix: "ask for less, or have the project release with a builder of that level"}
	}
	return nil
}

// buildLevels gives the least and the most build level that is stated, -1 for none.
func buildLevels(levels []string) (least, most int) {
	least, most = -1, -1
	for _, l := range levels {
		text, ok := strings.CutPrefix(l, "SLSA_BUILD_LEVEL_")
		n, err := strconv.Atoi(text)
		if !ok || err != nil || n < 0 {
			continue
		}
		if least < 0 || n < least {
			least = n
		}
		most = max(most, n)
	}
	return least, most
}

// gate judges the gate's summary of a release or promoted folder, in both forms.
func (d *folder) gate() {
	if d.report.Scope == ScopeStage {
		return
	}
	if !d.gateSummaries() {
		if d.files[stage.SummaryBundle] != nil || d.files[stage.SummaryPlain] != nil {
			d.skip("vsa-verifier-untrusted", stage.SummaryBundle, "the trust file names no verifier: the verification summary beside the release says nothing")
		}
		return
	}
	in := summarised{where: stage.SummaryBundle, found: collected(content(d.files[stage.SummaryBundle])), released: d.said != nil}
	if d.list != nil {
		in.subjects, in.version = d.list.Known(), d.list.Version
	}
	if _, level := buildLevels([]string{d.report.Levels["build"]}); level >= 0 {
		in.level = &level
	}
	d.judgeSummary(&d.findings, in, content(d.files[stage.SummaryPlain]), true)
}

// collected is a bundle that may be missing.
func collected(data []byte) []sign.Collected {
	if data == nil {
		return nil
	}
	b, err := sign.ParseBundle(data)
	return []sign.Collected{{Bundle: b, Err: err}}
}

// judgeSummary judges a summary and its plain form, which has to be its very envelope. whole says that both have to be there.
func (v *verifier) judgeSummary(f *findings, in summarised, plain []byte, whole bool) {
	_, bundle := v.gateSummary(f, in)
	if bundle == nil || plain == nil && !whole {
		return
	}
	f.chain(Check{Subject: stage.SummaryPlain, Where: stage.SummaryPlain},
		step{"vsa-missing", func(*Check) error {
			if plain != nil {
				return nil
			}
			return &gate.Refusal{Code: "vsa-missing", What: "the verification summary is not there as a plain envelope", Expected: stage.SummaryPlain, Fix: "download the release whole; else have it promoted again: sello promote"}
		}},
		step{"vsa-mismatch", func(c *Check) error {
			c.Actual = "sha256:" + digest.Bytes(plain)
			other, err := sign.ParseEnvelope(plain)
			if err == nil && sign.SameEnvelope(other, bundle) {
				return nil
			}
			return &gate.Refusal{Code: "vsa-mismatch", What: "the two forms of the verification summary are not the same", Cause: err, Expected: "the envelope in " + stage.SummaryBundle, Actual: c.Actual,
				Fix: "do not rely on " + stage.SummaryPlain + ": somebody changed it; download it again from the project"}
		}})
}
