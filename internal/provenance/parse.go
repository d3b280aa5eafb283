package provenance

import (
	"crypto"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/strictyaml"
	"github.com/sello-release/sello/internal/trust"
)

// maxEntries bounds each list of a policy.
const maxEntries = 256

// ParsePolicy reads a policy. The error is a strictyaml.Errors with every refusal.
func ParsePolicy(name string, data []byte) (*Policy, error) {
	p := &Policy{}
	doc, err := strictyaml.Decode(name, data, p)
	if doc == nil {
		return nil, err
	}
	c := checker{doc, p}
	if c.tooLarge() {
		return nil, doc.Err()
	}
	for _, name := range slices.Sorted(maps.Keys(p.Signers)) {
		c.signer("signers."+name, p.Signers[name])
	}
	c.root()
	c.builders()
	c.expectations()
	c.summaries()
	if err := doc.Err(); err != nil {
		return nil, err
	}
	return p, nil
}

type checker struct {
	doc *strictyaml.Document
	p   *Policy
}

func (c checker) refuse(at, code, what, expected, actual string) {
	c.doc.Refuse(at, gate.Refusal{Code: code, What: what, Expected: expected, Actual: actual})
}

func (c checker) tooLarge() bool {
	large := false
	for at, n := range map[string]int{"signers": len(c.p.Signers), "builders": len(c.p.Builders), "summaries": len(c.p.Summaries), "expect.parameters": len(c.p.Expect.Parameters),
		"expect.any-parameters": len(c.p.Expect.AnyParameters), "expect.predicates": len(c.p.Expect.Predicates), "expect.build-types": len(c.p.Expect.BuildTypes)} {
		if n > maxEntries {
			large = true
			c.refuse(at, "policy-size", "there are too many entries", fmt.Sprintf("at most %d", maxEntries), fmt.Sprint(n))
		}
	}
	return large
}

func (c checker) signer(at string, s Signer) {
	wrong := func(why string) {
		c.refuse(at, "policy-signer", "this does not say in one way who signs", "key; or issuer, and subject or subject-pattern", why)
	}
	switch key, certificate := s.Key != "", s.Issuer != "" || s.Subject != "" || s.SubjectPattern != ""; {
	case key && certificate:
		wrong("a key, and what certificates name")
	case key:
		if _, err := trust.ParsePublicKey([]byte(s.Key)); err != nil {
			wrong(err.Error())
		}
	case s.Bare:
		wrong("bare: without key:")
	case s.Issuer == "":
		wrong("no issuer")
	case (s.Subject == "") == (s.SubjectPattern == ""):
		wrong("neither or both of subject and subject-pattern")
	default:
		if _, err := s.pattern(); err != nil {
			wrong(err.Error())
		}
	}
}

// pattern is what the whole subject has to match; nil where it is compared exactly.
func (s Signer) pattern() (*regexp.Regexp, error) {
	if s.SubjectPattern == "" {
		return nil, nil
	}
	return trust.Whole(s.SubjectPattern)
}

func (c checker) root() {
	r := c.p.TrustedRoot
	if r == nil {
		for _, name := range slices.Sorted(maps.Keys(c.p.Signers)) {
			if c.p.Signers[name].Issuer != "" {
				c.refuse("signers."+name, "policy-root", "a signer signs with certificates, and no trusted root says which ones count", "trusted-root: with file and digest", "none")
				return
			}
		}
		return
	}
	if !fs.ValidPath(r.File) || r.File == "." || strings.ContainsAny(r.File, "\\\x00:") {
		c.refuse("trusted-root.file", "policy-root", "this is not the path of a file beside the policy", "a relative path with slashes and without ..", fmt.Sprintf("%.200q", r.File))
	}
	if sum, ok := strings.CutPrefix(r.Digest, "sha256:"); !ok || !digest.IsSHA256(sum) {
		c.refuse("trusted-root.digest", "policy-root", "this is not the digest of a file", "sha256: and 64 lower-case hexadecimal digits", fmt.Sprintf("%.100q", r.Digest))
	}
}

func (c checker) known(at, signer string) {
	if _, ok := c.p.Signers[signer]; !ok && c.doc.Has(at) {
		c.refuse(at, "policy-signer-unknown", "there is no such signer", strings.Join(slices.Sorted(maps.Keys(c.p.Signers)), ", "), fmt.Sprintf("%.100q", signer))
	}
}

func (c checker) value(at, expected, actual string) {
	c.refuse(at, "policy-value", "this is not what the key takes", expected, actual)
}

func (c checker) builders() {
	for i, b := range c.p.Builders {
		at := fmt.Sprintf("builders[%d]", i)
		c.known(at+".signer", b.Signer)
		if !isBuilder(b.ID) {
			c.value(at+".id", "a builder's id, with at most one * at its end: after @, a slash or /v, where its version stands", fmt.Sprintf("%.200q", b.ID))
		}
		if b.Level < 0 || b.Level > 3 {
			c.value(at+".level", "0 to 3", fmt.Sprint(b.Level))
		}
		if slices.ContainsFunc(c.p.Builders[:i], func(o Builder) bool { return o.ID == b.ID && o.Signer == b.Signer }) {
			c.value(at, "one level for each builder and signer", b.ID+" twice")
		}
	}
	if len(c.p.Builders) == 0 && len(c.p.Summaries) == 0 {
		c.refuse("", "policy-incomplete", "the policy trusts no builder and no verifier", "builders: or summaries:", "neither")
	}
}

// isBuilder reports whether an id names one builder, in one version or in any: a * that goes on with a host or a word would stand for others, too.
func isBuilder(id string) bool {
	fixed, any := strings.CutSuffix(id, "*")
	if fixed == "" || strings.Contains(fixed, "*") {
		return false
	}
	_, after, _ := strings.Cut(fixed, "://")
	_, path, _ := strings.Cut(after, "/")
	return !any || path != "" && (strings.Contains(path, "@") || strings.HasSuffix(path, "/") || strings.HasSuffix(path, "/v"))
}

// expectations holds that each check has something to compare with, or is off.
func (c checker) expectations() {
	e, k := c.p.Expect, c.p.Checks
	if c.p.Builders != nil {
		for _, need := range []struct {
			key  string
			mode Mode
		}{{"level", k.Level}, {"source", k.Source}, {"ref", k.Ref}, {"entry-point", k.EntryPoint}, {"build-types", k.BuildType}} {
			if need.mode != Off && !c.doc.Has("expect."+need.key) {
				c.refuse("expect", "policy-incomplete", "the policy does not say what to expect: "+need.key, "expect: with "+need.key+", or the check turned off", "neither")
			}
		}
	}
	for at, mode := range map[string]Mode{"level": k.Level, "source": k.Source, "ref": k.Ref, "entry-point": k.EntryPoint, "build-type": k.BuildType, "parameters": k.Parameters, "predicates": k.Predicates} {
		if mode != "" && mode != Require && mode != Warn && mode != Off {
			c.value("checks."+at, "require, warn or off", fmt.Sprintf("%.100q", mode))
		}
	}
	for key, value := range map[string]string{"source": e.Source, "ref": e.Ref, "commit": e.Commit, "entry-point": e.EntryPoint} {
		if value == "" && c.doc.Has("expect."+key) {
			c.value("expect."+key, "what it has to be, or no such key", `""`)
		}
	}
	if c.doc.Has("expect.build-types") && len(e.BuildTypes) == 0 {
		c.value("expect.build-types", "at least one build type", "[]")
	}
	if e.Level < 0 || e.Level > 3 {
		c.value("expect.level", "0 to 3", fmt.Sprint(e.Level))
	}
	if s := sourceOf(e.Source); e.Source != "" && (s.URI != e.Source || s.Ref != "" || strings.HasSuffix(e.Source, "/")) {
		c.value("expect.source", "a repository without git+, .git, ref and slash at the end", fmt.Sprintf("%.200q", e.Source))
	}
	if _, err := path.Match(e.Ref, ""); err != nil {
		c.value("expect.ref", "a ref, with * for any text without a slash", fmt.Sprintf("%.200q", e.Ref))
	}
	if e.Commit != "" && !isCommit(e.Commit) {
		c.value("expect.commit", "40 or 64 lower-case hexadecimal digits", fmt.Sprintf("%.100q", e.Commit))
	}
	for i, p := range e.Predicates {
		c.known(fmt.Sprintf("expect.predicates[%d].signer", i), p.Signer)
	}
	for i, name := range e.AnyParameters {
		if name == "" || strings.Contains(strings.TrimSuffix(name, "*"), "*") {
			c.value(fmt.Sprintf("expect.any-parameters[%d]", i), "the name of a parameter, with at most one * at its end", fmt.Sprintf("%.100q", name))
		}
	}
}

func (c checker) summaries() {
	for i, s := range c.p.Summaries {
		at := fmt.Sprintf("summaries[%d]", i)
		c.known(at+".signer", s.Signer)
		if c.doc.Has(at+".levels") && len(s.Levels) == 0 {
			c.value(at+".levels", "at least one level", "[]")
		}
		if strings.Contains(strings.TrimSuffix(s.Resource, "*"), "*") || s.Resource == "*" {
			c.value(at+".resource", "a resource, with at most one * at its end", fmt.Sprintf("%.200q", s.Resource))
		}
	}
}

// SetRoot gives the content of the trusted root that the policy names. It refuses any other content with trusted-root-mismatch.
func (p *Policy) SetRoot(data []byte) error {
	t := trust.Trust{TrustedRoot: p.TrustedRoot}
	if err := t.SetRoot(data); err != nil {
		var r *gate.Refusal
		if errors.As(err, &r) {
			r.What, r.Fix = "the trusted root is not the one that the policy names", "give the file whose digest the policy has; or have the policy reviewed with the digest of another one"
			if r.Where == "" {
				r.Expected = "none: the policy names no trusted root"
			}
		}
		return err
	}
	p.root = data
	return nil
}

// Root gives the content of the trusted root; nil when SetRoot was not called.
func (p *Policy) Root() []byte { return p.root }

// Keys gives the keys of the signers by key id: those that sign envelopes, or those that sign bare statements.
func (p *Policy) Keys(bare bool) map[string]crypto.PublicKey {
	keys := map[string]crypto.PublicKey{}
	for _, s := range p.Signers {
		if id, pub := s.key(); pub != nil && s.Bare == bare {
			keys[id] = pub
		}
	}
	return keys
}

func (s Signer) key() (string, crypto.PublicKey) {
	if s.Key == "" {
		return "", nil
	}
	pub, err := trust.ParsePublicKey([]byte(s.Key))
	if err != nil {
		return "", nil
	}
	id, err := trust.KeyID(pub)
	if err != nil {
		return "", nil
	}
	return id, pub
}

// SignersOf gives the names of the signers that a key or a certificate's subject belongs to, sorted.
func (p *Policy) SignersOf(keyID string, who trust.Keyless) []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(p.Signers)) {
		s := p.Signers[name]
		if id, pub := s.key(); pub != nil {
			if id == keyID {
				names = append(names, name)
			}
			continue
		}
		if s.Issuer == "" || s.Issuer != who.Issuer {
			continue
		}
		if re, err := s.pattern(); err == nil && (re == nil && s.Subject == who.Subject || re != nil && re.MatchString(who.Subject)) {
			names = append(names, name)
		}
	}
	return names
}

// String says whom, with patterns marked.
func (s Signer) String() string {
	if id, pub := s.key(); pub != nil {
		return id
	}
	subject := s.Subject
	if s.SubjectPattern != "" {
		subject = "/" + s.SubjectPattern + "/"
	}
	return trust.Keyless{Issuer: s.Issuer, Subject: subject}.String()
}
