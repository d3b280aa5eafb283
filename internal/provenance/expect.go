package provenance

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/trust"
)

// Level grants the level of the policy to the builder whose provenance one of the signers signed. It refuses with builder-unknown a
// builder that the policy does not have, and with signer-builder-mismatch one that somebody else signs for.
func (p *Policy) Level(builder string, signers []string, certificate trust.Keyless) (int, error) {
	known, level := []Builder{}, -1
	for _, b := range p.Builders {
		if !matches(b.ID, builder) {
			continue
		}
		known = append(known, b)
		if slices.Contains(signers, b.Signer) {
			level = max(level, b.Level)
		}
	}
	if len(known) == 0 {
		var ids []string
		for _, b := range p.Builders {
			ids = append(ids, b.ID)
		}
		return 0, &gate.Refusal{Code: "builder-unknown", What: "the policy does not know this builder", Expected: few(ids), Actual: fmt.Sprintf("%.300q", builder),
			Fix: "do not use the file, unless you trust this builder: then add it to builders: with the level that you grant"}
	}
	found := fmt.Sprintf("signed by %s", strings.Join(signers, ", "))
	if level < 0 {
		var names []string
		for _, b := range known {
			names = append(names, b.Signer)
		}
		return 0, speaksForOther("signed by "+few(names), found)
	}
	workflow, _, _ := strings.Cut(certificate.Subject, "@")
	if claimed, _, _ := strings.Cut(builder, "@"); claimed == workflow && certificate.Subject != builder { // of another version
		return 0, speaksForOther("signed by the workflow that is the builder: "+builder, "signed by "+certificate.Subject)
	}
	return level, nil
}

func speaksForOther(expected, found string) error {
	return &gate.Refusal{Code: "signer-builder-mismatch", What: "the provenance names a builder that somebody else signs for", Expected: expected, Actual: found,
		Fix: "do not use the file: a builder claimed to be another"}
}

// matches compares exactly, or up to a * at the pattern's end.
func matches(pattern, s string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(s, prefix)
	}
	return pattern == s
}

// Finding is how one expectation was met: Err is a gate.Refusal where it was not.
type Finding struct {
	ID               string // the code that it would be refused with
	Mode             Mode
	Expected, Actual string
	Err              error
}

const otherBuild = "do not use the file: it was not built as the policy asks; if the project changed how it builds, have the policy reviewed"

// Judge compares a build with what is expected of it. Each expectation is judged by itself.
func (p *Policy) Judge(b *Provenance, level int) []Finding {
	e, k := p.Expect, p.Checks
	one := func(code string, mode Mode, what, expected, actual string, ok bool) Finding {
		f := Finding{ID: code, Mode: mode.Or(), Expected: expected, Actual: actual}
		if !ok {
			f.Err = &gate.Refusal{Code: code, What: what, Expected: expected, Actual: fmt.Sprintf("%.300q", actual), Fix: otherBuild}
		}
		return f
	}
	ref, err := path.Match(e.Ref, b.Source.Ref)
	out := []Finding{
		one("level-too-low", k.Level, "the builder has a lower level than is asked for", fmt.Sprintf("SLSA_BUILD_LEVEL_%d or higher", e.Level), fmt.Sprintf("SLSA_BUILD_LEVEL_%d", level), level >= e.Level),
		one("buildtype-unexpected", k.BuildType, "the provenance is of a build of another type", strings.Join(e.BuildTypes, " or "), b.BuildType, slices.Contains(e.BuildTypes, b.BuildType)),
		one("source-mismatch", k.Source, "the file was built from another source", e.Source, b.Source.URI, e.Source == b.Source.URI),
	}
	if e.Commit != "" {
		out = append(out, one("source-mismatch", k.Source, "the file was built from another state of the source", e.Commit, b.Source.Commit, e.Commit == b.Source.Commit))
	}
	return append(out,
		one("ref-mismatch", k.Ref, "the file was built from another branch or tag", e.Ref, b.Source.Ref, err == nil && ref),
		one("entrypoint-mismatch", k.EntryPoint, "another workflow, job or file built this", e.EntryPoint, b.EntryPoint, e.EntryPoint == b.EntryPoint),
		p.parameters(b),
	)
}

// parameters refuses those that the policy does not name, then those with another value (SLSA v1.2, Verifying artifacts, step 2).
func (p *Policy) parameters(b *Provenance) Finding {
	e := p.Expect
	f := Finding{ID: "param-unexpected", Mode: p.Checks.Parameters.Or(), Actual: few(slices.Sorted(maps.Keys(b.Parameters)))}
	f.Expected = few(slices.Concat(slices.Sorted(maps.Keys(e.Parameters)), e.AnyParameters))
	for _, name := range slices.Sorted(maps.Keys(b.Parameters)) {
		_, named := e.Parameters[name]
		if !named && !slices.ContainsFunc(e.AnyParameters, func(pattern string) bool { return matches(pattern, name) }) {
			f.Err = &gate.Refusal{Code: "param-unexpected", What: "the build was given a parameter that the policy does not name", Expected: f.Expected,
				Actual: fmt.Sprintf("%.100q: %.200q", name, b.Parameters[name]), Fix: otherBuild}
			return f
		}
	}
	for _, name := range slices.Sorted(maps.Keys(e.Parameters)) {
		if b.Parameters[name] != e.Parameters[name] {
			f.Err = &gate.Refusal{Code: "param-mismatch", What: "the build was given another value for a parameter", Expected: fmt.Sprintf("%s: %q", name, e.Parameters[name]),
				Actual: fmt.Sprintf("%.200q", b.Parameters[name]), Fix: otherBuild}
			return f
		}
	}
	return f
}

// few lists things for a message.
func few(names []string) string {
	switch n := len(names); {
	case n == 0:
		return "none"
	case n > 8:
		return fmt.Sprintf("%s and %d more", strings.Join(names[:8], ", "), n-8)
	}
	return strings.Join(names, ", ")
}
