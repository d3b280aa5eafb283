package verify

import (
	"strings"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/stage"
	"github.com/sello-release/sello/internal/trust"
)

// ProjectSummary verifies a file by the word of its project's own gate alone: a verification summary (vsa.sigstore.json or vsa.intoto.jsonl of
// the release) by a verifier that the trust file names. Signature, subject, verifier, resource, result and level are judged, offline; the
// resource has to be this project's, of Options.Version where that is given. The level in the report is the one that the gate states. An error
// means that the trust file or the options are wrong; what is wrong with the evidence is in the report.
func ProjectSummary(file Digests, evidence []Evidence, o Options) (*Report, error) {
	v, err := newVerifier(o)
	if err != nil {
		return nil, err
	}
	r := &Report{Artifact: file.String(), Scope: ScopeSummary, Files: 1}
	var f findings
	v.checkTrust(&f)
	if !v.gateSummaries() {
		return nil, noVerifier(v.TrustName)
	}
	in := summarised{about: file.String(), where: stage.SummaryBundle, digests: file, version: v.Version, least: v.MinLevel}
	r.given(file, evidence)
	for _, e := range evidence {
		in.where = e.Name
		found, err := sign.Collect(e.Content)
		if err != nil {
			found = []sign.Collected{{Err: err}}
		}
		in.found = append(in.found, found...)
	}
	if s, _ := v.gateSummary(&f, in); s != nil {
		r.Project = v.trust.Project
		r.Version = strings.TrimPrefix(s.Predicate.ResourceURI, trust.Purl(v.trust.Source, v.trust.Project, ""))
		least, _ := buildLevels(s.Predicate.Levels)
		r.Levels = map[string]string{"build": levelName(least)}
	}
	return f.into(r), nil
}

func noVerifier(where string) error {
	return &gate.Refusal{Code: "trust-no-verifier", Class: gate.Usage, What: "the trust file names no verifier whose summaries would count", Where: where, Expected: "verifiers:",
		Fix: "verify the release itself, or judge the summary with --policy"}
}
