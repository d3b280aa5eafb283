package verify

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/stage"
)

// subject is an artifact whose provenance is judged.
type subject struct {
	name     string // as people know it
	sha256   string
	more     Digests      // other digests of it that were computed
	bundle   *attestation // nil when there is none
	where    string       // path of the bundle
	artifact *stage.Artifact
	stage    *stage.Stage // nil when none is known
	released bool         // a verified release statement speaks of it
	image    bool         // it is an image
	entry    string       // the image's own name in the definition, when a stage says it
}

// verified is what the provenance of an artifact came to.
type verified struct {
	level   int
	builder string
	source  string
}

// provenance makes the checks of SLSA v1.2, Verifying artifacts, in its order: the envelope, the statement, the
// subject, the predicate, the builder and its level, then what was expected of the build.
func (v *verifier) provenance(f *findings, s subject) (out verified, ok bool) {
	a := s.bundle
	p := func() attest.Provenance { return a.statement.Predicate }
	given := func(err func() error, actual func() string) func(*Check) error {
		return func(c *Check) error {
			if e := err(); e != nil {
				return e
			}
			c.Actual = actual()
			return nil
		}
	}
	ok = f.chain(Check{Subject: s.name, Where: s.where},
		step{"attestation-missing", func(*Check) error { return s.found() }},
		step{"bad-json", func(*Check) error { return a.parse }},
		step{"no-trusted-signer", given(func() error { return a.signed }, func() string { return a.keyID + " (" + a.signer + ")" })},
		step{"unsupported-payload-type", given(func() error { return a.typed }, func() string { return attest.PayloadType })},
		step{"wrong-statement-type", given(func() error { return a.stated }, func() string { return attest.StatementType })},
		step{"subject-mismatch", s.matches},
		step{"wrong-predicate", given(func() error { return a.decoded }, func() string { return attest.ProvenanceType })},
		step{"builder-unknown", given(func() error { return v.builderKnown(p()) }, func() string { return p().RunDetails.Builder.ID })},
		step{"signer-builder-mismatch", given(func() error { return v.signerFits(a, s.released) }, func() string { return a.signer })},
		step{"level-too-low", func(c *Check) error { return v.levelEnough(c, a, &out) }},
		step{"buildtype-unexpected", given(func() error { return buildType(p(), s.image) }, func() string { return p().BuildDefinition.BuildType })},
		step{"source-mismatch", func(c *Check) error { return v.sourceExpected(c, p(), s.stage, &out) }},
		step{"entrypoint-mismatch", func(c *Check) error { return entryPoint(c, p(), s) }},
		step{"param-unexpected", func(c *Check) error { return onlyKnownParameters(c, a.params) }},
	)
	return out, ok
}

func (s subject) found() error {
	if s.bundle != nil {
		return nil
	}
	if s.image {
		return &gate.Refusal{Code: "attestation-missing", What: "no provenance is attached to this image", Where: s.where, Expected: "a Sigstore bundle as a referrer",
			Fix: "do not use the image; if it was copied here, copy it with its referrers"}
	}
	return &gate.Refusal{Code: "attestation-missing", What: "there is no provenance for this file", Where: s.where, Expected: s.name + stage.BundleSuffix,
		Fix: "download the bundle from where the file came from, and put it beside the file"}
}

// matches holds when the statement names this very file, by digest.
func (s subject) matches(c *Check) error {
	if header := s.bundle.header; len(header.Names(s.sha256)) > 0 {
		c.Actual = "sha256:" + s.sha256
		if known := s.digests(); header.StatesMore(s.sha256) && !header.Matches(known) {
			return otherDigest(header, known)
		}
		return nil
	}
	r := &gate.Refusal{Code: "subject-mismatch", What: "the provenance speaks of other files than this one", Actual: "sha256:" + s.sha256,
		Expected: fmt.Sprintf("one of the %d files that it names", len(s.bundle.header.Subject)),
		Fix:      "this file is not what was built: do not use it; download it again from the project"}
	for _, sub := range s.bundle.header.Subject {
		if sub.Name == s.name || strings.HasSuffix(s.name, "/"+sub.Name) || strings.HasSuffix(sub.Name, "/"+s.name) {
			r.What, r.Expected = "the file is not the one that was built under this name", "sha256:"+sub.Digest["sha256"]
		}
	}
	return r
}

// digests are all that are known of the file: those that were computed, and what stage.json says of a file with this SHA-256.
func (s subject) digests() Digests {
	out := Digests{"sha256": s.sha256}
	if s.artifact != nil && s.artifact.SHA256 == s.sha256 && s.artifact.SHA512 != "" {
		out["sha512"] = s.artifact.SHA512
	}
	maps.Copy(out, s.more)
	return out
}

// otherDigest refuses a statement that has the file's SHA-256 and contradicts another digest of it.
func otherDigest(h *attest.Header, known Digests) error {
	r := &gate.Refusal{Code: "subject-mismatch", What: "the statement has the file's SHA-256, and another digest that is not the file's", Fix: "do not use this file until it is known why: whoever signed this did not compute both from one file"}
	for _, s := range h.Subject {
		for a, stated := range s.Digest {
			if s.Digest["sha256"] == known["sha256"] && known[a] != "" && known[a] != stated {
				r.Expected, r.Actual = a+":"+stated, a+":"+known[a]
			}
		}
	}
	return r
}

func (v *verifier) builderKnown(p attest.Provenance) error {
	var known []string
	for _, b := range v.trust.Builders {
		if b.ID == p.RunDetails.Builder.ID {
			return nil
		}
		known = append(known, b.ID)
	}
	return &gate.Refusal{Code: "builder-unknown", What: "the trust file does not know this builder", Expected: "one of " + strings.Join(known, ", "),
		Actual: fmt.Sprintf("%.200q", p.RunDetails.Builder.ID), Fix: "do not use the file, unless the project adds this builder to its trust file"}
}

// signerFits holds when the key may sign for this builder, and counted when the build ended.
func (v *verifier) signerFits(a *attestation, released bool) error {
	id := a.statement.Predicate.RunDetails.Builder.ID
	if _, ok := v.trust.BuilderLevel(a.signer, id); !ok {
		var signers []string
		for _, b := range v.trust.Builders {
			if b.ID == id {
				signers = append(signers, b.Signer)
			}
		}
		return &gate.Refusal{Code: "signer-builder-mismatch", What: "the provenance names a builder that somebody else signs for", Expected: "signed by " + strings.Join(signers, " or "),
			Actual: "signed by " + a.signer, Fix: "do not use the file: a builder claimed to be another"}
	}
	times := []time.Time{a.statement.Predicate.RunDetails.Metadata.FinishedOn}
	if !released {
		times = append(times, v.Now)
	}
	for _, at := range times {
		if err := v.trust.Usable(a.signer, at); err != nil {
			return err
		}
	}
	return nil
}

// levelEnough grants the level that the trust file gives to the pair of signer and builder.
func (v *verifier) levelEnough(c *Check, a *attestation, out *verified) error {
	id := a.statement.Predicate.RunDetails.Builder.ID
	out.level, _ = v.trust.BuilderLevel(a.signer, id)
	out.builder = id
	c.Actual = levelName(out.level)
	if v.MinLevel > 0 {
		c.Expected = levelName(v.MinLevel) + " or higher"
	}
	if out.level < v.MinLevel {
		return &gate.Refusal{Code: "level-too-low", What: "the builder has a lower level than is asked for", Expected: c.Expected, Actual: c.Actual,
			Fix: "ask for less, or have the project release with a builder of that level"}
	}
	return nil
}

func levelName(level int) string { return fmt.Sprintf("SLSA_BUILD_LEVEL_%d", level) }

func buildType(p attest.Provenance, image bool) error {
	want := []string{attest.GoBuildType, attest.RunBuildType}
	if image {
		want = []string{attest.ImageBuildType}
	}
	if slices.Contains(want, p.BuildDefinition.BuildType) {
		return nil
	}
	return &gate.Refusal{Code: "buildtype-unexpected", What: "the provenance is of a build of another type", Expected: strings.Join(want, " or "),
		Actual: fmt.Sprintf("%.200q", p.BuildDefinition.BuildType), Fix: "verify with a version of Sello that knows this type of build"}
}

// sourceExpected holds when the build's source is the trust file's canonical source and, where a stage is known, its very commit.
func (v *verifier) sourceExpected(c *Check, p attest.Provenance, s *stage.Stage, out *verified) error {
	src := p.BuildDefinition.ExternalParameters.Source
	mismatch := func(what, expected, actual string) error {
		return &gate.Refusal{Code: "source-mismatch", What: what, Expected: expected, Actual: fmt.Sprintf("%.300q", actual),
			Fix: "do not use the file: it was not built from the project's source"}
	}
	version := ""
	if s != nil {
		version = s.Version
	}
	if !sourceMatches(v.trust.Source, src.URI, version) {
		return mismatch("the file was built from another source", v.trust.Source, src.URI)
	}
	algorithm, value := sourceDigest(s)
	if value == "" {
		for _, algorithm = range []string{"gitCommit", "dirHash"} {
			if value = src.Digest[algorithm]; value != "" {
				break
			}
		}
	}
	if value == "" || src.Digest[algorithm] != value {
		return mismatch("the file was built from another state of the source", algorithm+":"+value, fmt.Sprint(src.Digest))
	}
	out.source = src.URI + "@" + algorithm + ":" + value
	c.Actual = out.source
	return nil
}

// sourceDigest gives a stage's source digest in the form that provenance has it.
func sourceDigest(s *stage.Stage) (algorithm, value string) {
	switch {
	case s == nil:
		return "", ""
	case s.Source.Commit != "":
		return "gitCommit", s.Source.Commit
	}
	value, err := attest.DirHash(s.Source.DirHash)
	if err != nil {
		return "dirHash", s.Source.DirHash
	}
	return "dirHash", value
}

// entryPoint holds for the definition, and for the artifact's own build in it.
func entryPoint(c *Check, p attest.Provenance, s subject) error {
	c.Actual = p.BuildDefinition.ExternalParameters.EntryPoint
	key, own := "#builds.", ""
	switch {
	case s.image:
		key, own = "#images.", s.entry
	case s.artifact != nil:
		own = s.artifact.Build
	}
	path, build, named := strings.Cut(c.Actual, key)
	want := "sello.yaml"
	if s.stage != nil {
		want = s.stage.Definition.Path
	}
	c.Expected = want
	good := path == want && (!named || build != "")
	if good && own != "" && (named || s.image) {
		c.Expected = want + key + own
		good = build == own
	}
	if good {
		return nil
	}
	return &gate.Refusal{Code: "entrypoint-mismatch", What: "the file was built by another definition or build", Expected: c.Expected, Actual: fmt.Sprintf("%.200q", c.Actual),
		Fix: "do not use the file: it was not built as the project builds its releases"}
}

// onlyKnownParameters refuses parameters that Sello's builds do not have: somebody influenced this one (SLSA v1.2, Verifying artifacts, step 2).
func onlyKnownParameters(c *Check, names []string) error {
	known := []string{"entryPoint", "source"}
	c.Expected = strings.Join(known, ", ")
	slices.Sort(names)
	c.Actual = strings.Join(names, ", ")
	for _, name := range names {
		if !slices.Contains(known, name) {
			return &gate.Refusal{Code: "param-unexpected", What: "the build was given a parameter that releases do not have", Expected: c.Expected,
				Actual: fmt.Sprintf("%.200q", name), Fix: "do not use the file: its build was influenced from outside"}
		}
	}
	return nil
}

// grant puts what was verified about one or many artifacts into the report: the lowest level, and the builder.
func grant(r *Report, all []verified) {
	if len(all) == 0 {
		return
	}
	low := all[0]
	for _, one := range all[1:] {
		if one.level < low.level {
			low = one
		}
	}
	r.Levels = map[string]string{"build": levelName(low.level)}
	r.Builder, r.Source = low.builder, low.source
}
