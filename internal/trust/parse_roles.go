package trust

import (
	"crypto"
	"crypto/ed25519"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sello-release/sello/internal/strictyaml"
)

func (c checker) roles() {
	t := c.t
	member := map[string]string{}
	for _, role := range slices.Sorted(maps.Keys(t.Roles)) {
		at := "roles." + role
		if !slices.Contains(Roles, role) {
			fix := ""
			if near := strictyaml.Nearest(role, Roles); near != "" {
				fix = fmt.Sprintf("did you mean %q?", near)
			}
			c.refuse(at, "trust-unknown-role", "there is no such role", "one of "+strings.Join(Roles, ", "), fmt.Sprintf("%q", role), fix)
			continue
		}
		c.members(at+".identities", role, t.Roles[role].Identities, member)
		c.threshold(at, role, t.Roles[role])
	}
	if c.doc.Has("roles") {
		if len(t.Roles[RoleManager].Identities) == 0 {
			c.refuse("roles.manager", "trust-no-managers", "nobody can sign off a release", "at least one identity with the role manager", "none", "")
		}
		if len(t.Roles[RoleBuilder].Identities) == 0 {
			c.refuse("roles.builder", "trust-no-builder", "nobody can sign provenance", "at least one identity with the role builder", "none", "")
		}
	}
}

func (c checker) members(at, role string, names []string, member map[string]string) {
	for i, name := range names {
		at := fmt.Sprintf("%s[%d]", at, i)
		if _, ok := c.t.Identities[name]; !ok {
			known := c.t.Names()
			fix := "add it to identities, or remove it here"
			if near := strictyaml.Nearest(name, known); near != "" {
				fix = fmt.Sprintf("did you mean %q?", near)
			}
			c.refuse(at, "trust-unknown-identity", "there is no such identity", "one of "+strings.Join(known, ", "), fmt.Sprintf("%q", name), fix)
		}
		if slices.Contains(names[:i], name) {
			c.refuse(at, "trust-duplicate-identity", "an identity has the role twice", "each once", name, "remove one of them: one identity counts once")
		}
		if other := member[name]; other != "" && other != role && (role == RoleAssociate || role == RoleManager) && other != RoleBuilder {
			c.refuse(at, "trust-role-conflict", "an associate never counts for a release, a manager does", "one of the two roles", name+" has the roles "+other+" and "+role, "remove one of them")
		}
		if role != RoleLog && role != RoleVerifier {
			member[name] = role
		}
		pub, ok := c.t.PublicKey(name)
		if _, keyless := c.t.Identities[name].Keyless(); role == RoleLog && (keyless || ok && !isEd25519(pub)) {
			c.refuse(at, "trust-log-key", "a transparency log signs with Ed25519: its readers and witnesses take no other keys", "an identity with an Ed25519 key", name, "make one: sello key new NAME --role log")
		}
	}
}

func isEd25519(pub crypto.PublicKey) bool {
	_, ok := pub.(ed25519.PublicKey)
	return ok
}

func (c checker) threshold(at, role string, r Role) {
	stated := c.doc.Has(at + ".threshold")
	switch n := len(r.Identities); {
	case !stated && role == RoleManager:
		c.refuse(at, "trust-threshold", "it is not said how many managers it takes", "threshold: 1 or more", "none", "add threshold: 2, or as many as have to agree")
	case !stated || n == 0:
	case r.Threshold < 1:
		c.refuse(at+".threshold", "trust-threshold", "a threshold below one would let anything pass", "1 or more", fmt.Sprint(r.Threshold), "")
	case r.Threshold > n:
		c.refuse(at+".threshold", "trust-threshold-unreachable", "the threshold can never be reached", fmt.Sprintf("at most %d, the number of identities with the role %s", n, role),
			fmt.Sprint(r.Threshold), "lower it, or add identities")
	case role != RoleManager && r.Threshold > 1:
		c.refuse(at+".threshold", "trust-threshold", "only managers have a threshold above one", "1", fmt.Sprint(r.Threshold), "remove the key")
	}
}
