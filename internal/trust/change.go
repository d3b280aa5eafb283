package trust

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sello-release/sello/internal/definition"
	"github.com/sello-release/sello/internal/gate"
)

// Clone gives a copy that shares nothing with t.
func (t *Trust) Clone() *Trust {
	c := *t
	c.Identities, c.Roles, c.Builders = maps.Clone(t.Identities), maps.Clone(t.Roles), slices.Clone(t.Builders)
	c.Verifiers = slices.Clone(t.Verifiers)
	if t.Witnesses != nil {
		c.Witnesses = &Witnesses{t.Witnesses.Threshold, slices.Clone(t.Witnesses.Keys)}
	}
	if t.TrustedRoot != nil {
		pinned := *t.TrustedRoot
		c.TrustedRoot = &pinned
	}
	for name, r := range c.Roles {
		r.Identities = slices.Clone(r.Identities)
		c.Roles[name] = r
	}
	c.names = nil
	return &c
}

// Next gives a copy to be changed into the version after t: it counts one more, and names t's digest.
func (t *Trust) Next() *Trust {
	c := t.Clone()
	c.Version, c.Previous, c.sha256 = t.Version+1, "sha256:"+t.Digest(), ""
	return c
}

// Add gives an identity a role, and adds the identity when it is not there yet. An identity that is there
// must have the same key, or issuer and subject. The managers' threshold stays as it is, but is never below 1.
func (t *Trust) Add(name string, id Identity, role string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	if !slices.Contains(Roles, role) {
		return &gate.Refusal{Code: "trust-unknown-role", Class: gate.Usage, What: "there is no such role",
			Expected: "one of " + strings.Join(Roles, ", "), Actual: fmt.Sprintf("%q", role)}
	}
	keyid := ""
	if k, ok := id.Keyless(); ok {
		keyid = k.ID() // what is wrong with it, Parse says
	} else {
		var r *gate.Refusal
		if keyid, r = checkKey(id.Key); r != nil {
			r.Class = gate.Usage
			return r
		}
	}
	t.names = nil
	if other, ok := t.ByKeyID(keyid); ok && other != name {
		return &gate.Refusal{Code: "trust-duplicate-key", Class: gate.Usage, What: "one key belongs to two identities",
			Expected: "a key for each identity", Actual: name + " has the key of " + other}
	} else if _, exists := t.Identities[name]; exists && !ok {
		return &gate.Refusal{Code: "trust-identity-exists", Class: gate.Usage, What: "the identity " + name + " has another key, or signs as somebody else",
			Fix: "choose another name, or remove the old identity first"}
	} else if ok {
		id = t.Identities[name]
	}
	t.set(name, id, role)
	return nil
}

func (t *Trust) set(name string, id Identity, role string) {
	if t.Identities == nil {
		t.Identities = map[string]Identity{}
	}
	if t.Roles == nil {
		t.Roles = map[string]Role{}
	}
	t.Identities[name] = id
	r := t.Roles[role]
	if !slices.Contains(r.Identities, name) {
		r.Identities = append(slices.Clone(r.Identities), name)
	}
	if role == RoleManager {
		r.Threshold = max(1, r.Threshold)
	}
	t.Roles[role] = r
	if role == RoleVerifier && len(t.VerifierIDs(name)) == 0 {
		t.Verifiers = append(slices.Clone(t.Verifiers), Verifier{ID: t.verifierID(name), Signer: name})
	}
	t.names, t.sha256 = nil, ""
}

// verifierID makes an id for a verifier of the project that nobody has named: a URI below the project's source, which need not resolve.
func (t *Trust) verifierID(name string) string {
	at, _, _ := strings.Cut(t.Source, "@")
	if module, ok := strings.CutPrefix(at, "pkg:golang/"); ok {
		at = "https://" + module
	}
	return strings.TrimSuffix(strings.TrimSuffix(at, "/"), ".git") + "/verifiers/" + name
}

// Remove takes an identity out of the file, its roles, its builders and its verifiers. Whether what is left
// can release anything, Parse decides.
func (t *Trust) Remove(name string) {
	delete(t.Identities, name)
	for role, r := range t.Roles {
		r.Identities = slices.DeleteFunc(slices.Clone(r.Identities), func(s string) bool { return s == name })
		t.Roles[role] = r
	}
	t.Builders = slices.DeleteFunc(slices.Clone(t.Builders), func(b Builder) bool { return b.Signer == name })
	t.Verifiers = slices.DeleteFunc(slices.Clone(t.Verifiers), func(v Verifier) bool { return v.Signer == name })
	t.names, t.sha256 = nil, ""
}

// Marshal writes trust.yaml with the line that tells editors its schema, and with comments. Equal
// values give equal bytes.
func Marshal(t *Trust) []byte {
	var b bytes.Buffer
	b.WriteString(definition.Modeline("trust"))
	fmt.Fprintf(&b, "# Whose signatures count for %s. Whoever verifies a release needs this file, and has to trust it alone.\n", t.Project)
	fmt.Fprintf(&b, "version: %d # one more for each change\n", t.Version)
	fmt.Fprintf(&b, "project: %s\nsource: %s\n", definition.Scalar(t.Project), definition.Scalar(t.Source))
	fmt.Fprintf(&b, "expires: %s # the last day on which this file counts\n", t.Expires)
	b.WriteString("identities:\n")
	for _, name := range t.Names() {
		marshalIdentity(&b, name, t.Identities[name])
	}
	b.WriteString("roles:\n")
	for _, role := range Roles {
		marshalRole(&b, role, t.Roles[role])
	}
	b.WriteString("builders: # the build level we grant; what provenance says of itself does not count\n")
	for _, l := range t.Builders {
		fmt.Fprintf(&b, "  - id: %s\n    signer: %s\n    level: %d\n", definition.Scalar(l.ID), definition.Scalar(l.Signer), l.Level)
	}
	if len(t.Verifiers) > 0 {
		b.WriteString("verifiers: # whose verification summaries count; every release then needs one\n")
	}
	for _, v := range t.Verifiers {
		fmt.Fprintf(&b, "  - id: %s\n    signer: %s\n", definition.Scalar(v.ID), definition.Scalar(v.Signer))
	}
	if w := t.Witnesses; w != nil {
		fmt.Fprintf(&b, "witnesses: # who vouches that everybody sees the same transparency log\n  threshold: %d\n  keys:\n", w.Threshold)
		for _, k := range w.Keys {
			fmt.Fprintf(&b, "    - key: %s\n      url: %s\n", definition.Scalar(k.Key), definition.Scalar(k.URL))
		}
	}
	if p := t.TrustedRoot; p != nil {
		fmt.Fprintf(&b, "trusted-root: # of the Sigstore instance whose certificates count\n  file: %s\n  digest: %s\n", definition.Scalar(p.File), p.Digest)
	}
	if t.Previous != "" {
		fmt.Fprintf(&b, "previous: %s # the digest of the version before\n", t.Previous)
	}
	return b.Bytes()
}

func marshalIdentity(b *bytes.Buffer, name string, id Identity) {
	if pub, err := ParsePublicKey([]byte(id.Key)); err == nil {
		if keyid, err := KeyID(pub); err == nil {
			fmt.Fprintf(b, "  # %s\n", keyid)
		}
	}
	fmt.Fprintf(b, "  %s:\n", definition.Scalar(name))
	if k, ok := id.Keyless(); ok {
		fmt.Fprintf(b, "    issuer: %s\n    subject: %s\n", definition.Scalar(k.Issuer), definition.Scalar(k.Subject))
	} else {
		b.WriteString("    key: |\n")
		for line := range strings.Lines(strings.TrimSpace(id.Key) + "\n") {
			b.WriteString("      " + strings.TrimSpace(line) + "\n")
		}
	}
	if id.NotBefore != "" {
		fmt.Fprintf(b, "    not-before: %s\n", id.NotBefore)
	}
	if id.Expires != "" {
		fmt.Fprintf(b, "    expires: %s\n", id.Expires)
	}
}

// meanings are the comments beside the roles.
var meanings = map[string]string{
	RoleBuilder:   "signs provenance",
	RoleManager:   "signs off releases; threshold says how many have to",
	RoleAssociate: "may stage and rebuild; never counts for a release",
	RoleLog:       "signs the transparency log; every release then needs a proof of it",
	RoleVerifier:  "signs the gate's verification summaries",
}

func marshalRole(b *bytes.Buffer, role string, r Role) {
	if len(r.Identities) == 0 {
		return
	}
	fmt.Fprintf(b, "  %s: # %s\n    identities:\n", role, meanings[role])
	for _, name := range r.Identities {
		fmt.Fprintf(b, "      - %s\n", definition.Scalar(name))
	}
	if r.Threshold != 0 {
		fmt.Fprintf(b, "    threshold: %d\n", r.Threshold)
	}
}
