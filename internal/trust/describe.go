package trust

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Description is a trust file as it is shown.
type Description struct {
	Version    int                 `json:"version"`
	SHA256     string              `json:"sha256"`
	Project    string              `json:"project"`
	Source     string              `json:"source"`
	Expires    Date                `json:"expires"`
	Previous   string              `json:"previous,omitempty"`
	Roles      map[string][]string `json:"roles"`
	Threshold  int                 `json:"threshold"`  // of managers
	Identities map[string]string   `json:"identities"` // key id, or subject and issuer, by name
	Builders   []string            `json:"builders"`
	Verifiers  []string            `json:"verifiers,omitempty"`
	Witnesses  []string            `json:"witnesses,omitempty"` // keys, with where they are asked
	Cosigners  int                 `json:"cosigners,omitempty"` // how many witnesses it takes
}

// Describe gives what the file says, without the keys themselves.
func (t *Trust) Describe() Description {
	d := Description{Version: t.Version, SHA256: t.Digest(), Project: t.Project, Source: t.Source, Expires: t.Expires, Previous: t.Previous, Threshold: t.Threshold(RoleManager),
		Roles: map[string][]string{}, Identities: map[string]string{}}
	for _, role := range Roles {
		if members := t.Role(role); len(members) > 0 {
			d.Roles[role] = members
		}
	}
	for _, name := range t.Names() {
		d.Identities[name] = t.signer(name)
	}
	for _, b := range t.Builders {
		d.Builders = append(d.Builders, b.String())
	}
	for _, v := range t.Verifiers {
		d.Verifiers = append(d.Verifiers, v.String())
	}
	if w := t.Witnesses; w != nil {
		d.Cosigners = w.Threshold
		for _, k := range w.Keys {
			d.Witnesses = append(d.Witnesses, k.String())
		}
	}
	return d
}

// signer says by what an identity is known, and when it counts.
func (t *Trust) signer(name string) string {
	id := t.Identities[name]
	var out string
	if k, ok := id.Keyless(); ok {
		out = k.String()
	} else if pub, ok := t.PublicKey(name); ok {
		out, _ = KeyID(pub) // PublicKey has computed it
	}
	if id.NotBefore != "" {
		out += ", from " + string(id.NotBefore)
	}
	if id.Expires != "" {
		out += ", until " + string(id.Expires)
	}
	return out
}

// String is the builder for people.
func (b Builder) String() string {
	return fmt.Sprintf("%s, level %d, signed by %s", b.ID, b.Level, b.Signer)
}

// String is the verifier for people.
func (v Verifier) String() string { return fmt.Sprintf("%s, signed by %s", v.ID, v.Signer) }

// Lines shows the file to people.
func (t *Trust) Lines() []string {
	d := t.Describe()
	out := []string{
		fmt.Sprintf("%s  version %d, until %s  sha256:%s", d.Project, d.Version, d.Expires, d.SHA256),
		"source    " + d.Source,
	}
	if d.Previous != "" {
		out = append(out, "previous  "+d.Previous)
	}
	for _, role := range Roles {
		for i, name := range d.Roles[role] {
			label := role
			if i > 0 {
				label = ""
			} else if role == RoleManager {
				label = fmt.Sprintf("%s, %d of %d", role, d.Threshold, len(d.Roles[role]))
			}
			out = append(out, fmt.Sprintf("%-16s  %s  %s", label, name, d.Identities[name]))
		}
	}
	for _, b := range d.Builders {
		out = append(out, "grants    "+b)
	}
	for _, v := range d.Verifiers {
		out = append(out, "verifier  "+v)
	}
	for i, w := range d.Witnesses {
		label := ""
		if i == 0 {
			label = fmt.Sprintf("witness, %d of %d", d.Cosigners, len(d.Witnesses))
		}
		out = append(out, fmt.Sprintf("%-16s  %s", label, w))
	}
	return out
}

// Changes says in sentences what the second file changes of the first, in a stable order.
func Changes(before, after *Trust) []string {
	b, a := before.Describe(), after.Describe()
	var out []string
	value := func(what, x, y string) {
		if x != y {
			out = append(out, fmt.Sprintf("%s: %s -> %s", what, orNothing(x), orNothing(y)))
		}
	}
	value("version", fmt.Sprint(b.Version), fmt.Sprint(a.Version))
	value("project", b.Project, a.Project)
	value("source", b.Source, a.Source)
	value("expires", string(b.Expires), string(a.Expires))
	value("managers that have to sign off", fmt.Sprint(b.Threshold), fmt.Sprint(a.Threshold))
	names := maps.Clone(b.Identities)
	maps.Copy(names, a.Identities)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		value("identity "+name, b.Identities[name], a.Identities[name])
		for _, role := range Roles {
			switch was, is := before.HasRole(name, role), after.HasRole(name, role); {
			case is && !was:
				out = append(out, fmt.Sprintf("%s gets the role %s", name, role))
			case was && !is:
				out = append(out, fmt.Sprintf("%s loses the role %s", name, role))
			}
		}
	}
	lines := func(what string, before, after []string) {
		for _, line := range before {
			if !slices.Contains(after, line) {
				out = append(out, "no longer a "+what+": "+line)
			}
		}
		for _, line := range after {
			if !slices.Contains(before, line) {
				out = append(out, "a new "+what+": "+line)
			}
		}
	}
	lines("builder", b.Builders, a.Builders)
	lines("verifier", b.Verifiers, a.Verifiers)
	lines("witness", b.Witnesses, a.Witnesses)
	if b.Cosigners+a.Cosigners > 0 {
		value("witnesses that have to cosign", fmt.Sprint(b.Cosigners), fmt.Sprint(a.Cosigners))
	}
	if before.TrustedRoot != nil || after.TrustedRoot != nil {
		value("trusted root", before.rootName(), after.rootName())
	}
	return out
}

func (t *Trust) rootName() string {
	if t.TrustedRoot == nil {
		return ""
	}
	return strings.TrimSpace(t.TrustedRoot.File + " " + t.TrustedRoot.Digest)
}

func orNothing(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}
