package trust

import (
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/sello-release/sello/internal/definition"
	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/strictyaml"
)

// Parse reads trust.yaml. The error is a strictyaml.Errors with every refusal.
func Parse(path string, data []byte) (*Trust, error) {
	t := &Trust{}
	doc, err := strictyaml.Decode(path, data, t)
	if doc == nil {
		if gate.Code(err) == "yaml-empty" {
			return nil, strictyaml.Errors{{Code: "trust-empty", Class: gate.Usage, Where: path,
				What: "the trust file is empty: it trusts nobody", Fix: "sello init writes one"}}
		}
		return nil, err
	}
	c := checker{doc, t}
	if c.tooLarge() {
		return nil, doc.Err()
	}
	c.head()
	c.identities()
	c.roles()
	c.builders()
	c.verifiers()
	c.witnesses()
	c.trustedRoot()
	if err := doc.Err(); err != nil {
		return nil, err
	}
	t.sha256 = digest.Bytes(data)
	t.ByKeyID("") // build the index now: a Trust is then safe for use by several goroutines
	return t, nil
}

type checker struct {
	doc *strictyaml.Document
	t   *Trust
}

func (c checker) refuse(path, code, what, expected, actual, fix string) {
	c.doc.Refuse(path, gate.Refusal{Code: code, What: what, Expected: expected, Actual: actual, Fix: fix})
}

// maxEntries bounds identities, roles, members of a role, builders, verifiers and witnesses.
const maxEntries = 256

// tooLarge refuses what has too many entries, before anything compares them.
func (c checker) tooLarge() bool {
	sizes := map[string]int{"identities": len(c.t.Identities), "roles": len(c.t.Roles), "builders": len(c.t.Builders), "verifiers": len(c.t.Verifiers)}
	if w := c.t.Witnesses; w != nil {
		sizes["witnesses.keys"] = len(w.Keys)
	}
	for role, r := range c.t.Roles {
		sizes["roles."+role+".identities"] = len(r.Identities)
	}
	large := false
	for path, n := range sizes {
		if n > maxEntries {
			large = true
			c.refuse(path, "trust-size", "there are too many entries", fmt.Sprintf("at most %d", maxEntries), fmt.Sprint(n), "")
		}
	}
	return large
}

var previous = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

func (c checker) head() {
	t := c.t
	if t.Version < 1 {
		c.refuse("version", "trust-version", "this is not a version of the file", "1 or more", fmt.Sprint(t.Version), "count from 1, one more for each change")
	}
	c.named("project", "trust-project", definition.CheckProject(t.Project))
	_, err := definition.ParseSource(t.Source)
	c.named("source", "trust-source", err)
	c.date("expires", t.Expires)
	if c.doc.Has("previous") && !previous.MatchString(t.Previous) {
		c.refuse("previous", "trust-previous", "this is not the digest of a file", "sha256: and 64 lower-case hexadecimal digits", fmt.Sprintf("%q", t.Previous), "")
	}
}

// named adds another package's refusal under a code of our own.
func (c checker) named(path, code string, err error) {
	var r *gate.Refusal
	if c.doc.Has(path) && errors.As(err, &r) {
		own := *r
		own.Code = code
		c.doc.Refuse(path, own)
	}
}

func (c checker) date(path string, d Date) {
	if c.doc.Has(path) && d.Start().IsZero() {
		c.refuse(path, "trust-date", "this is not a day", "year-month-day, as 2027-06-30", fmt.Sprintf("%q", string(d)), "")
	}
}

var identityName = regexp.MustCompile(`^[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?$`)

// CheckName refuses names of identities that are not portable names of files: sign-offs are stored under them.
func CheckName(name string) error {
	if identityName.MatchString(name) && !strings.Contains(name, "..") && definition.SafeName(name) == nil {
		return nil
	}
	return &gate.Refusal{Code: "trust-identity-name", Class: gate.Usage, What: "this is not a name for an identity",
		Expected: "lower-case letters, digits, '-', '_' and '.', at most 64", Actual: fmt.Sprintf("%q", name)}
}

func (c checker) identities() {
	owner := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(c.t.Identities)) {
		at, id := "identities."+name, c.t.Identities[name]
		c.named(at, "trust-identity-name", CheckName(name))
		c.date(at+".not-before", id.NotBefore)
		c.date(at+".expires", id.Expires)
		if s, e := id.NotBefore.Start(), id.Expires.End(); !s.IsZero() && !e.IsZero() && !s.Before(e) {
			c.refuse(at+".expires", "trust-date", "the identity expires before it begins to count", "a day from "+string(id.NotBefore)+" on", string(id.Expires), "")
		}
		where, signs, ok := c.signs(at, id)
		if !ok {
			continue
		}
		if other, dup := owner[signs]; dup {
			kind := strings.TrimPrefix(where, at+".") // key or subject
			c.refuse(where, "trust-duplicate-key", "one "+kind+" belongs to two identities", "a "+kind+" for each identity", name+" has the "+kind+" of "+other, "remove one of them: whoever holds the "+kind+" would count twice")
			continue
		}
		owner[signs] = name
	}
}

// checkKey gives the key's id, or why it is refused.
func checkKey(text string) (string, *gate.Refusal) {
	r := &gate.Refusal{Code: "trust-key", What: "this is not a public key", Expected: "PEM, -----BEGIN PUBLIC KEY-----, ECDSA P-256 or P-384, or Ed25519"}
	pub, err := ParsePublicKey([]byte(text))
	if err == nil {
		id, err := KeyID(pub)
		if err == nil {
			return id, nil
		}
		r.Cause = err
		return "", r
	}
	r.Cause = err
	block, _ := pem.Decode([]byte(text))
	switch {
	case block != nil && strings.Contains(block.Type, "PRIVATE KEY"):
		r.Code, r.What, r.Cause = "trust-private-key", "this is a private key, and this file is public", nil
		r.Fix = "remove it, make a new key, and use that one's public key: this one is no longer secret"
	case strings.HasPrefix(text, "ssh-") || strings.HasPrefix(text, "ecdsa-sha2-"):
		r.Fix = "convert the SSH key to PEM: ssh-keygen -e -m PKCS8 -f KEY.pub"
	case block != nil && block.Type == "PUBLIC KEY" && weak(block.Bytes):
		r.Code, r.What, r.Cause = "trust-weak-key", "this key is too weak", nil
		r.Fix = "make a new key: sello key new NAME"
	}
	return "", r
}

func (c checker) builders() {
	t := c.t
	if c.doc.Has("builders") && len(t.Builders) == 0 {
		c.refuse("builders", "trust-no-builder", "no builder is trusted", "at least one", "[]", "")
	}
	for i, b := range t.Builders {
		at := fmt.Sprintf("builders[%d]", i)
		if u, err := url.Parse(b.ID); c.doc.Has(at+".id") && (err != nil || u.Scheme != "https" || u.Host == "") {
			c.refuse(at+".id", "trust-builder-id", "this is not the id of a builder", "an https URI", fmt.Sprintf("%q", b.ID), "")
		}
		if c.doc.Has(at+".signer") && !t.HasRole(b.Signer, RoleBuilder) {
			c.refuse(at+".signer", "trust-builder-signer", "the signer has not the role builder", "one of "+strings.Join(t.Role(RoleBuilder), ", "), fmt.Sprintf("%q", b.Signer), "")
		}
		if b.Level < 0 || b.Level > 3 {
			c.refuse(at+".level", "trust-level", "there is no such build level", "0 to 3", fmt.Sprint(b.Level), "")
		}
		if slices.ContainsFunc(t.Builders[:i], func(o Builder) bool { return o.ID == b.ID && o.Signer == b.Signer }) {
			c.refuse(at, "trust-duplicate-builder", "a builder is there twice", "one level for each builder and signer", b.ID, "remove one of them")
		}
	}
}

func (c checker) verifiers() {
	t := c.t
	if c.doc.Has("verifiers") && len(t.Verifiers) == 0 {
		c.refuse("verifiers", "trust-no-verifier", "no verifier is named", "at least one", "[]", "add one, or remove the key")
	}
	for _, name := range t.Role(RoleVerifier) {
		if len(t.VerifierIDs(name)) == 0 {
			c.refuse("roles."+RoleVerifier, "trust-no-verifier", "an identity has the role verifier, and it is not said which verifier it speaks for", "an entry in verifiers: with signer: "+name, "none",
				"add verifiers: [{id: \"https://…\", signer: "+name+"}]")
		}
	}
	for i, v := range t.Verifiers {
		at := fmt.Sprintf("verifiers[%d]", i)
		if u, err := url.Parse(v.ID); c.doc.Has(at+".id") && (err != nil || u.Scheme != "https" || u.Host == "") {
			c.refuse(at+".id", "trust-verifier-id", "this is not the id of a verifier", "an https URI", fmt.Sprintf("%q", v.ID), "")
		}
		if c.doc.Has(at+".signer") && !t.HasRole(v.Signer, RoleVerifier) {
			c.refuse(at+".signer", "trust-verifier-signer", "the signer has not the role verifier", "one of "+strings.Join(t.Role(RoleVerifier), ", "), fmt.Sprintf("%q", v.Signer), "give it the role, or name another signer")
		}
		if slices.Contains(t.Verifiers[:i], v) {
			c.refuse(at, "trust-duplicate-verifier", "a verifier is there twice", "each pair of id and signer once", v.ID, "remove one of them")
		}
	}
}
