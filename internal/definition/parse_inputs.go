package definition

import (
	"fmt"
	"slices"
	"strings"
)

// How strict a rule about inputs is. It is what a rule says, or InputRequire.
const (
	InputRequire = "require"
	InputWarn    = "warn"
)

// EveryInput is the pattern of a rule that catches what no rule before it matches.
const EveryInput = "*"

// Warns reports whether the rule lets through what does not hold to its policy.
func (r InputRule) Warns() bool { return r.Mode == InputWarn }

func (c checker) inputs(rules []InputRule) {
	at := "policy.inputs"
	if len(rules) == 0 && c.doc.Has(at) {
		c.refuse(at, "definition-input", "the list of rules about inputs is empty", "at least one rule", "[]", "remove the key, if every input is free")
	}
	for i, r := range rules {
		at := fmt.Sprintf("policy.inputs[%d]", i)
		c.inputMatch(at+".match", r.Match, rules[:i])
		if c.doc.Has(at+".policy") && !isPath(r.Policy) {
			c.refuse(at+".policy", "definition-path", "this is not the path of a policy", "a relative path without ..", quote(r.Policy), "")
		}
		c.duplicates(at+".evidence", r.Evidence, "the file")
		for n, file := range r.Evidence {
			if !isPath(file) {
				c.refuse(fmt.Sprintf("%s.evidence[%d]", at, n), "definition-path", "this is not the path of a file of attestations", "a relative path without .. (no pattern)", quote(file), "")
			}
		}
		if c.doc.Has(at+".mode") && r.Mode != InputRequire && r.Mode != InputWarn {
			c.unknown(at+".mode", "definition-input", "a rule about inputs cannot be as strict as this", r.Mode, []string{InputRequire, InputWarn})
		}
	}
}

// inputMatch refuses patterns that cannot match, and those that an earlier rule leaves nothing for.
func (c checker) inputMatch(at, pattern string, before []InputRule) {
	if !c.doc.Has(at) {
		return
	}
	name, _, digest := strings.Cut(pattern, "@sha256:")
	switch {
	case pattern == "" || len(pattern) > 512 || strings.ContainsFunc(pattern, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		c.refuse(at, "definition-input", "this cannot match an input", "the repository of an image, toolchain, a module, or a package URL, with * for anything", quote(pattern[:min(len(pattern), 80)]), "")
	case strings.Contains(pattern, "://"):
		c.refuse(at, "definition-input", "inputs are not named by URLs", "the repository of an image, toolchain, a module, or a package URL, with * for anything", quote(pattern), "write "+pattern[strings.Index(pattern, "://")+3:])
	case digest && !strings.HasPrefix(pattern, "pkg:"):
		c.refuse(at, "definition-input", "a rule is about a repository, not about one digest in it", name, quote(pattern), "write "+name)
	case slices.ContainsFunc(before, func(r InputRule) bool { return r.Match == pattern }):
		c.refuse(at, "definition-duplicate", "two rules have the same pattern", "each once", quote(pattern), "remove one of them")
	case slices.ContainsFunc(before, func(r InputRule) bool { return r.Match == EveryInput }):
		c.refuse(at, "definition-input", "an earlier rule matches every input, so that nothing is left for this one", "the rule with * last", quote(pattern), "put the rule with * at the end")
	}
}
