package verify

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/provenance"
	"github.com/sello-release/sello/internal/sign"
)

// PolicyOptions say by what provenance of anyone's is judged.
type PolicyOptions struct {
	Policy      []byte    // content of the policy file: sello schema policy
	PolicyName  string    // its path, for messages; "" is policy.yaml
	TrustedRoot []byte    // content of the trusted root that it names, where signers sign with certificates
	Now         time.Time // no signature was made later; zero is the present
}

// Evidence is a file of attestations: a Sigstore bundle or DSSE envelope, several of them a line, or what GitHub, npm and gcloud give.
type Evidence struct {
	Name    string // its path, for messages
	Content []byte
}

// Provenance verifies a file by SLSA provenance that others made, v0.1 to v1, offline, against a policy: signature,
// subject, builder and level, then source, ref, entry point, build type and parameters. One attestation that
// meets the policy is enough; if none does, the report is about the one that came furthest. An error means that the policy or
// the options are wrong; what is wrong with the evidence is in the report.
func Provenance(file Digests, evidence []Evidence, o PolicyOptions) (*Report, error) {
	j, err := newPolicyJudge(o)
	if err != nil {
		return nil, err
	}
	if len(j.policy.Builders) == 0 {
		return nil, &gate.Refusal{Code: "policy-incomplete", Class: gate.Usage, What: "the policy trusts no builder", Where: j.PolicyName, Expected: "builders: and expect:", Fix: "add the builders that you trust, each with the level that you grant"}
	}
	r := &Report{Artifact: file.String(), Scope: ScopeProvenance, Files: 1}
	r.given(file, evidence)
	candidates := j.open(evidence, file)
	best := furthest(candidates, j.build)
	j.predicates(&best.findings, candidates)
	if best.granted {
		r.Builder, r.Source = best.build.Builder, best.build.Source.String()
		r.Levels = map[string]string{"build": levelName(best.level)}
		r.Signer = signerOf(best.witnessed)
	}
	return best.into(r), nil
}

// Summary verifies a file by a verification summary (VSA, SLSA v1.0 to v1.2) of a verifier that the policy trusts, offline, in place of
// the evidence: signature, subject, verifier, resource, result, levels. file may hold an identifier of what has no digest
// (gce_image_id). Errors and report are as those of Provenance.
func Summary(file Digests, evidence []Evidence, o PolicyOptions) (*Report, error) {
	j, err := newPolicyJudge(o)
	if err != nil {
		return nil, err
	}
	if len(j.policy.Summaries) == 0 {
		return nil, &gate.Refusal{Code: "policy-incomplete", Class: gate.Usage, What: "the policy trusts no verifier's summaries", Where: j.PolicyName, Expected: "summaries:", Fix: "add the verifier that you trust, its signer, the resource and the levels"}
	}
	r := &Report{Artifact: file.String(), Scope: ScopeSummary, Files: 1}
	r.given(file, evidence)
	best := furthest(j.open(evidence, file), func(c *candidate) { j.summary(c, file, r) })
	return best.into(r), nil
}

// summary judges what the verifier says (SLSA v1.2, Verification summary, How to verify).
func (j *policyJudge) summary(c *candidate, file Digests, r *Report) {
	var v *provenance.VSA
	var entries []provenance.Summary
	var enough []string
	c.passed = c.chain(Check{Where: c.where},
		step{"wrong-predicate", func(k *Check) (err error) {
			v, err = provenance.DecodeVSA(c.witnessed.Payload, identifiers(file)...)
			k.Actual = c.header.PredicateType
			return err
		}},
		step{"vsa-verifier-untrusted", func(k *Check) (err error) {
			k.Actual = v.Verifier.ID
			entries, err = j.policy.Trusted(v, c.signers)
			return err
		}},
		step{"vsa-resource-mismatch", func(k *Check) (err error) {
			k.Actual = v.ResourceURI
			entries, err = v.Resource(entries)
			return err
		}},
		step{"vsa-failed", func(k *Check) error { k.Actual = v.Result; return v.Passed() }},
		step{"vsa-level", func(k *Check) (err error) {
			k.Actual = strings.Join(v.Levels, ", ")
			enough, err = v.Enough(entries)
			return err
		}},
	)
	if c.passed {
		r.Signer, r.Levels, r.Stated = signerOf(c.witnessed), v.Granted(entries), enough
	}
}

// identifiers are what names a file besides digests.
func identifiers(file Digests) []string {
	var out []string
	for name := range file {
		if !strings.HasPrefix(name, "sha") {
			out = append(out, name)
		}
	}
	return out
}

// policyJudge holds what is judged by.
type policyJudge struct {
	PolicyOptions
	policy *provenance.Policy
	root   *sign.Root
}

func newPolicyJudge(o PolicyOptions) (*policyJudge, error) {
	if o.Now.IsZero() {
		o.Now = time.Now()
	}
	if o.PolicyName == "" {
		o.PolicyName = "policy.yaml"
	}
	p, err := provenance.ParsePolicy(o.PolicyName, o.Policy)
	if err != nil {
		return nil, fmt.Errorf("read policy: %w", err)
	}
	j := &policyJudge{PolicyOptions: o, policy: p}
	if o.TrustedRoot == nil {
		if p.TrustedRoot != nil {
			return nil, &gate.Refusal{Code: "trusted-root-missing", Class: gate.Usage, What: "the trusted root that the policy names is not at hand", Where: o.PolicyName,
				Expected: p.TrustedRoot.File + ", " + p.TrustedRoot.Digest, Fix: "put the file beside the policy, or name it with --trusted-root"}
		}
		return j, nil
	}
	if err := p.SetRoot(o.TrustedRoot); err != nil {
		return nil, err
	}
	j.root, err = sign.ParseRoot(o.TrustedRoot)
	return j, err
}

// candidate is one attestation about some file.
type candidate struct {
	findings
	where     string
	witnessed *sign.Witnessed
	signers   []string // whose signature it is, as the policy calls them
	header    *attest.Header
	build     *provenance.Provenance
	level     int
	granted   bool // level was, to builder and signer
	passed    bool
}

// open looks at each attestation: is it readable, by somebody who is trusted, and about this file?
func (j *policyJudge) open(evidence []Evidence, file Digests) []*candidate {
	var all []*candidate
	for _, e := range evidence {
		found, err := sign.Collect(e.Content)
		if err != nil {
			found = []sign.Collected{{Err: err}}
		}
		for _, one := range found {
			c := &candidate{where: e.Name}
			if one.Line > 0 {
				c.where = fmt.Sprintf("%s:%d", e.Name, one.Line)
			}
			c.passed = c.chain(Check{Where: c.where},
				step{"bad-json", func(*Check) error { return one.Err }},
				step{"signature-invalid", func(k *Check) (err error) {
					if c.witnessed, err = j.witness(one.Bundle, file); err == nil {
						k.Actual = seen(c.witnessed)
					}
					return err
				}},
				step{"no-trusted-signer", func(k *Check) error { return j.trusted(k, c) }},
				step{"subject-mismatch", func(k *Check) (err error) { c.header, err = about(k, c.witnessed, file); return err }},
			)
			all = append(all, c)
		}
	}
	return all
}

// witness finds out who signed: a key of the policy, or a certificate.
func (j *policyJudge) witness(b *sign.Bundle, file Digests) (*sign.Witnessed, error) {
	if b.Certificate {
		if j.root == nil {
			return nil, &gate.Refusal{Code: "no-trusted-signer", What: "a certificate signed, and the policy names no trusted root", Expected: j.signers(), Actual: "a certificate",
				Fix: "add trusted-root: and the signer's issuer and subject to the policy, if certificates are to count"}
		}
		return j.root.Verify(b, sign.Digests(file), j.Now)
	}
	w := &sign.Witnessed{}
	var err error
	if w.KeyID, w.Payload, err = sign.Verify(b, j.policy.Keys(false)); err == nil {
		return w, nil
	}
	if bare := j.policy.Keys(true); len(bare) > 0 {
		var other error
		if w.KeyID, w.Payload, other = sign.VerifyBare(b, bare); other == nil {
			return w, nil
		}
	}
	return nil, j.unknown(err)
}

// unknown says in the policy's words that somebody signed who is not in it.
func (j *policyJudge) unknown(err error) error {
	fix := "get the attestation from where it was published; if this signer is to count, have it added to signers: in the policy, with key: or with issuer: and subject: (a subject-pattern has to match the whole)"
	return retold(err, "no-trusted-signer", j.signers(), fix)
}

// retold gives a refusal of that code with what was expected and what to do in other words; any other error as it is.
func retold(err error, code, expected, fix string) error {
	var r *gate.Refusal
	if gate.Code(err) != code || !errors.As(err, &r) {
		return err
	}
	own := *r
	own.Expected, own.Fix = expected, fix
	return &own
}

func (j *policyJudge) trusted(k *Check, c *candidate) error {
	if c.witnessed.Payload == nil {
		return &gate.Refusal{Code: "no-signature", What: "the bundle signs a file and not a statement", Expected: "a DSSE envelope", Actual: "a message signature",
			Fix: "give an attestation; a signature over a file says nothing about how it was made"}
	}
	k.Actual = signerOf(c.witnessed)
	if c.signers = j.policy.SignersOf(c.witnessed.KeyID, c.witnessed.Signer); len(c.signers) > 0 {
		return nil
	}
	return j.unknown(sign.NotTrusted("", c.witnessed.Signer))
}

func signerOf(w *sign.Witnessed) string {
	if w.KeyID != "" {
		return w.KeyID
	}
	return w.Signer.String()
}

// signers lists the policy's signers, for a message.
func (j *policyJudge) signers() string {
	var names []string
	for _, s := range j.policy.Signers {
		names = append(names, s.String())
	}
	slices.Sort(names)
	if len(names) > 8 {
		names = append(names[:8], fmt.Sprintf("%d more", len(names)-8))
	}
	return strings.Join(names, ", or ")
}

// furthest judges each candidate, and gives the first that holds, or the one that came furthest.
func furthest(candidates []*candidate, judge func(*candidate)) *candidate {
	best := &candidate{}
	for _, c := range candidates {
		one := *c
		one.findings = findings{slices.Clone(c.checks), slices.Clone(c.refusals)}
		if one.passed {
			judge(&one)
		}
		if len(one.refusals) == 0 {
			return &one
		}
		if len(best.checks) == 0 || one.distance() > best.distance() || one.distance() == best.distance() && best.refusals[0].Code == "no-trusted-signer" { // somebody else's may lie beside it
			best = &one
		}
	}
	if len(candidates) == 0 {
		best.fail(Check{ID: "attestation-missing"}, &gate.Refusal{Code: "attestation-missing", What: "there is no attestation for this file", Expected: "a file of attestations", Fix: "give one with --provenance or --vsa"})
	}
	return best
}

// distance counts the checks that passed.
func (c *candidate) distance() int {
	n := 0
	for _, k := range c.checks {
		if k.Status == Pass {
			n++
		}
	}
	return n
}

// build judges what the provenance says.
func (j *policyJudge) build(c *candidate) {
	c.passed = c.chain(Check{Where: c.where},
		step{"wrong-predicate", func(k *Check) (err error) {
			c.build, err = provenance.Decode(c.witnessed.Payload)
			k.Actual = c.header.PredicateType
			return err
		}},
		step{"builder-unknown", func(k *Check) (err error) {
			k.Actual = c.build.Builder
			c.level, err = j.policy.Level(c.build.Builder, c.signers, c.witnessed.Signer)
			c.granted = err == nil
			return err
		}},
		step{"certified-run", func(k *Check) error { return certifiedRun(k, c.build.Source, c.witnessed.Run) }},
	)
	if !c.passed {
		return
	}
	for _, f := range j.policy.Judge(c.build, c.level) {
		c.expect(Check{ID: f.ID, Where: c.where, Expected: f.Expected, Actual: f.Actual}, f.Mode, f.Err)
	}
}

// expect records how an expectation was met, as strictly as the policy says.
func (f *findings) expect(c Check, mode provenance.Mode, err error) {
	c.Status = Pass
	switch {
	case mode == provenance.Off:
		c.Status, c.What, c.Expected = Skip, "the policy leaves it out", ""
	case err == nil:
	case mode == provenance.Require:
		f.fail(c, err)
		return
	default:
		var r *gate.Refusal
		if errors.As(err, &r) {
			c.ID, c.What, c.Expected, c.Actual, c.Fix = r.Code, r.What, r.Expected, r.Actual, r.Fix
		}
		c.Status = Warned
	}
	f.checks = append(f.checks, c)
}

// certifiedRun holds that the provenance speaks of the run that the certificate was issued to: its issuer is believed more
// than whoever wrote the provenance.
func certifiedRun(k *Check, s provenance.Source, run sign.Run) error {
	for _, one := range []struct{ what, certified, said string }{
		{"repository", strings.TrimSuffix(run.Repository, ".git"), s.URI}, {"ref", run.Ref, s.Ref}, {"commit", run.Commit, s.Commit},
	} {
		if one.certified == "" || one.said == one.certified {
			continue
		}
		return &gate.Refusal{Code: "source-mismatch", What: "the certificate was issued to a run of another " + one.what + " than the provenance says", Expected: one.certified,
			Actual: fmt.Sprintf("%.300q", one.said), Fix: "do not use the file: the provenance was not made by the build that it describes"}
	}
	k.Actual = run.Repository
	return nil
}

// predicates holds that each further statement that the policy asks for is among the evidence, by its signer.
func (j *policyJudge) predicates(f *findings, candidates []*candidate) {
	for _, want := range j.policy.Expect.Predicates {
		var err error
		there := slices.ContainsFunc(candidates, func(c *candidate) bool {
			return c.passed && c.header.PredicateType == want.Type && slices.Contains(c.signers, want.Signer)
		})
		if !there {
			err = &gate.Refusal{Code: "attestation-missing", What: "a statement that the policy asks for is not there", Expected: want.Type + " signed by " + want.Signer, Actual: fmt.Sprintf("%d attestations", len(candidates)),
				Fix: "give it, too, with --provenance; if the project does not make it, do not use the file"}
		}
		f.expect(Check{ID: "attestation-missing", Subject: want.Type, Expected: want.Type + " signed by " + want.Signer}, j.policy.Checks.Predicates.Or(), err)
	}
}

// given notes the file that was judged, and the evidence by which it was.
func (r *Report) given(file Digests, evidence []Evidence) {
	r.Subjects = []Named{{Name: file.String(), Digest: file}}
	for _, e := range evidence {
		r.by(e.Name, digest.Bytes(e.Content))
	}
}
