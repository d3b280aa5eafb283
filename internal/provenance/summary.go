package provenance

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/gate"
)

// SummaryType is the predicate type of a verification summary attestation (VSA), SLSA v1.0 to v1.2.
const SummaryType = attest.SummaryType

// VSA is what a verifier says that it found.
type VSA struct {
	Verifier    struct{ ID string } `json:"verifier"`
	ResourceURI string              `json:"resourceUri"`
	Result      string              `json:"verificationResult"` // PASSED or FAILED
	Levels      []string            `json:"verifiedLevels"`
}

// DecodeVSA reads a verification summary in a statement that was verified. Its subjects may have one of the identifiers named instead of
// a digest. It refuses, by code: those of attest.DecodeForeign, wrong-predicate, bad-json.
func DecodeVSA(payload []byte, identifiers ...string) (*VSA, error) {
	h, raw, err := attest.DecodeForeign(payload, identifiers...)
	if err != nil {
		return nil, err
	}
	if h.PredicateType != SummaryType {
		return nil, &gate.Refusal{Code: "wrong-predicate", What: "the statement is not a verification summary", Expected: SummaryType,
			Actual: fmt.Sprintf("%.200q", h.PredicateType), Fix: "give the verification summary; a valid signature on another kind of statement proves nothing here"}
	}
	v := &VSA{}
	return v, unmarshal(raw, v)
}

const notVouchedFor = "do not use the file on this word alone: get the evidence itself, or a summary that says what the policy asks for"

// Trusted gives the policy's entries for the summary's verifier. It refuses with vsa-verifier-untrusted a verifier that the policy does not
// have, or for which somebody else signs.
func (p *Policy) Trusted(v *VSA, signers []string) ([]Summary, error) {
	var trusted []Summary
	var ids []string
	for _, s := range p.Summaries {
		ids = append(ids, s.Verifier+" signed by "+s.Signer)
		if s.Verifier == v.Verifier.ID && slices.Contains(signers, s.Signer) {
			trusted = append(trusted, s)
		}
	}
	if len(trusted) == 0 {
		return nil, &gate.Refusal{Code: "vsa-verifier-untrusted", What: "the policy does not trust this verifier, or not this signer for it", Expected: few(ids),
			Actual: fmt.Sprintf("%.200q signed by %s", v.Verifier.ID, strings.Join(signers, ", ")), Fix: notVouchedFor}
	}
	return trusted, nil
}

// Resource narrows entries to those about the summary's resource. It refuses with vsa-resource-mismatch a summary of something else
// (SLSA v1.2, Verification summary, step 5).
func (v *VSA) Resource(trusted []Summary) ([]Summary, error) {
	var fit []Summary
	var expected []string
	for _, s := range trusted {
		expected = append(expected, s.Resource)
		if matches(s.Resource, v.ResourceURI) {
			fit = append(fit, s)
		}
	}
	if len(fit) == 0 {
		return nil, &gate.Refusal{Code: "vsa-resource-mismatch", What: "the summary is about something else", Expected: few(expected), Actual: fmt.Sprintf("%.300q", v.ResourceURI), Fix: notVouchedFor}
	}
	return fit, nil
}

// Passed refuses with vsa-failed a summary that says that verification failed, in either of the two ways in which it can.
func (v *VSA) Passed() error {
	if v.Result == "PASSED" && !slices.Contains(v.Levels, "FAILED") {
		return nil
	}
	return &gate.Refusal{Code: "vsa-failed", What: "the verifier says that verification failed", Expected: "PASSED", Actual: fmt.Sprintf("%.100q, levels %.300v", v.Result, v.Levels), Fix: "do not use the file"}
}

// Enough holds that one of the entries has all that it asks for, and gives that. It refuses with vsa-level.
func (v *VSA) Enough(entries []Summary) ([]string, error) {
	var expected []string
	for _, s := range entries {
		if !slices.ContainsFunc(s.Levels, func(want string) bool { return !v.reaches(want) }) {
			return s.Levels, nil
		}
		expected = append(expected, strings.Join(s.Levels, " and "))
	}
	return nil, &gate.Refusal{Code: "vsa-level", What: "the summary states less than is asked for", Expected: strings.Join(expected, ", or "), Actual: few(v.Levels), Fix: notVouchedFor}
}

// Granted gives the SLSA level of each track ("build") that entries ask for and the summary states: what the policy believes of it, and never more.
func (v *VSA) Granted(entries []Summary) map[string]string {
	out := map[string]string{}
	for _, s := range entries {
		if slices.ContainsFunc(s.Levels, func(want string) bool { return !v.reaches(want) }) {
			continue
		}
		for _, level := range s.Levels {
			if m := slsaLevel.FindStringSubmatch(level); m != nil {
				track := strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(m[1], "SLSA_"), "_LEVEL_"))
				out[track] = max(out[track], level) // they differ in the digit alone
			}
		}
	}
	return out
}

var slsaLevel = regexp.MustCompile(`^(SLSA_[A-Z]+_LEVEL_)([0-9])$`)

// reaches reports whether a level is stated; of SLSA's levels a higher one of the same track will do.
func (v *VSA) reaches(want string) bool {
	return slices.ContainsFunc(v.Levels, func(have string) bool {
		w, h := slsaLevel.FindStringSubmatch(want), slsaLevel.FindStringSubmatch(have)
		if w == nil || h == nil || w[1] != h[1] {
			return have == want
		}
		least, _ := strconv.Atoi(w[2])
		found, _ := strconv.Atoi(h[2])
		return found >= least
	})
}
