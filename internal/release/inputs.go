package release

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sello-release/sello/internal/definition"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/image"
	"github.com/sello-release/sello/internal/material"
	"github.com/sello-release/sello/internal/sbom/query"
)

// input is something that builds read and that others made: an image, a toolchain, a module. The source is none.
type input struct {
	name    string   // registry.example/base, toolchain, or path@version of a module
	uri     string   // package URL; "" of a toolchain that was on the machine
	digests []string // SHA-256: of itself, then, outermost first, of the indexes that hold it; none of a toolchain that was on the machine
	sum     string   // what tells it from others: its digest of whatever kind
	text    bool     // a go.mod file: it takes part in choosing versions, and nothing of it is built
}

// toolchainName is the name of a toolchain among the materials, and for rules.
const toolchainName = "toolchain"

// inputsOf gives the inputs among materials, each once, in their order. Of an image the manifest counts: indexes lead to it, and its
// configuration and layers are parts of it. What has no URI is the release's own, and so is source, which is the URI of a published module.
func inputsOf(ms []material.Material, source string) []input {
	var out []input
	for _, m := range ms {
		if in, ok := inputOf(m); ok && modulePrefix+in.name != source {
			out = append(out, in)
		}
	}
	return distinctInputs(out)
}

// distinctInputs drops repeated ones.
func distinctInputs(all []input) []input {
	var out []input
	at := map[string]int{}
	for _, in := range all {
		key := in.name + "\x00" + in.sum
		i, seen := at[key]
		if !seen {
			at[key] = len(out)
			out = append(out, in)
			continue
		}
		for _, d := range in.digests {
			if !slices.Contains(out[i].digests, d) { // the same image in another index
				out[i].digests = append(slices.Clone(out[i].digests), d)
			}
		}
	}
	return out
}

func inputOf(m material.Material) (input, bool) {
	in := input{name: m.Name, uri: m.URI, sum: orText(m.Digest["sha256"], m.Digest["dirHash"])}
	if sum := m.Digest["sha256"]; sum != "" {
		in.digests = []string{sum}
	}
	repository, isImage := image.RepositoryOf(m.URI)
	switch {
	case m.Name == toolchainName:
		return in, true
	case isImage:
		in.name = repository
		in.digests = append(in.digests, image.IndexesOf(m)...)
		return in, image.IsManifest(m)
	}
	in.text = strings.HasSuffix(m.Name, "/go.mod")
	return in, strings.HasPrefix(m.URI, modulePrefix) && strings.Contains(m.Name, "@")
}

// digest names the input by what is known of it, for a message.
func (in input) digest() string {
	if len(in.digests) == 0 {
		return "no SHA-256"
	}
	return "sha256:" + in.digests[0]
}

// matches reports whether a rule is about the input.
func (in input) matches(pattern string) bool {
	path, _, isModule := strings.Cut(in.name, "@")
	if !isModule {
		pattern = strings.ToLower(pattern) // as the names of images are
	}
	return !in.text && (query.Wild(pattern, in.name) || query.Wild(pattern, path) || in.uri != "" && query.Wild(pattern, in.uri))
}

// Inputs is how the inputs of a build were judged, by the rules in policy.inputs.
type Inputs struct {
	Policies []string      `json:"policies,omitempty"` // where the rules stand
	Judged   []JudgedInput `json:"judged,omitempty"`   // that a rule matches, by each policy
	Free     int           `json:"free"`               // how many inputs no rule matches
	Later    []string      `json:"later,omitempty"`    // what can only be judged when it is fetched
	Since    string        `json:"since,omitempty"`    // the version before, that has a release file
	Changes  []string      `json:"policyChanges,omitempty"`

	all []input // of a stage, for what is counted
}

// JudgedInput is an input that a rule matches.
type JudgedInput struct {
	Name     string `json:"name"`
	Digest   string `json:"digest"`
	Where    string `json:"where"`  // of the rule
	Policy   string `json:"policy"` // its path
	Mode     string `json:"mode"`   // require or warn
	Accepted bool   `json:"accepted"`
	Level    int    `json:"level"`              // SLSA build level that the policy grants; 0 when it was not accepted
	Builder  string `json:"builder,omitempty"`  // of provenance that was accepted
	Source   string `json:"source,omitempty"`   // likewise
	Signer   string `json:"signer,omitempty"`   // of what was accepted
	Evidence string `json:"evidence,omitempty"` // where that lies
	Code     string `json:"code,omitempty"`     // why it was not accepted
	Reason   string `json:"reason,omitempty"`

	sum     string // of the input
	file    string // of the evidence that was accepted, in the repository
	content string // its SHA-256
	others  bool   // the evidence speaks of other digests, too
	refusal *gate.Refusal
}

// Err gives the refusals of what has to be accepted and was not: each reason once, where the rules of the released commit and those of the
// branch's tip give the same.
func (r *Inputs) Err() error {
	var all []error
	said := map[string]bool{}
	for _, j := range r.Judged {
		if j.refusal == nil || j.Mode == definition.InputWarn {
			continue
		}
		reason := fmt.Sprintf("%q", []string{j.Name, j.Digest, j.Policy, j.Code, j.Reason, j.refusal.Expected, j.refusal.Actual})
		if !said[reason] {
			all = append(all, j.refusal)
		}
		said[reason] = true
	}
	return errors.Join(all...)
}

// Warned are the inputs that were let through without what their policy asks for.
func (r *Inputs) Warned() []JudgedInput {
	return slices.DeleteFunc(slices.Clone(r.Judged), func(j JudgedInput) bool { return j.Accepted || j.Mode != definition.InputWarn })
}

// levels counts the inputs of a stage by the SLSA build level that was verified (SLSA v1.2, Verification summary, dependencyLevels): each
// once, at the lowest level where two policies hold. What a rule only warns about is at level 0; what no rule is about was not evaluated. Without
// rules there is nothing to claim: nil.
func (r *Inputs) levels() map[string]int {
	if r == nil || len(r.Policies) == 0 {
		return nil
	}
	lowest := map[string]int{}
	for _, j := range r.Judged {
		if have, seen := lowest[j.sum]; !seen || j.Level < have {
			lowest[j.sum] = j.Level
		}
	}
	out, counted := map[string]int{}, map[string]bool{}
	for _, in := range r.all {
		if counted[in.sum] {
			continue
		}
		counted[in.sum] = true
		level, evaluated := lowest[in.sum]
		if !evaluated {
			out["SLSA_BUILD_LEVEL_UNEVALUATED"]++
			continue
		}
		out[fmt.Sprintf("SLSA_BUILD_LEVEL_%d", level)]++
	}
	return out
}

// evidence gives the SHA-256 of each file of attestations that was accepted, by its path in the repository.
func (r *Inputs) evidence() map[string]string {
	out := map[string]string{}
	if r == nil {
		return out
	}
	for _, j := range r.Judged {
		if j.Accepted {
			out[j.file] = j.content
		}
	}
	return out
}
