package trust

import (
	"cmp"
	"fmt"
	"io/fs"
	"net/url"
	"regexp"
	"strings"

	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
)

// Keyless is whom a signing certificate names: who vouches, and for whom. Both are compared byte by byte.
type Keyless struct {
	Issuer  string // the OpenID Connect issuer's URL
	Subject string // e-mail address or URI: the certificate's one subject alternative name
}

// String shows both, with what is not printable ASCII escaped, so that letters that look alike do not.
func (k Keyless) String() string {
	return fmt.Sprintf("%s by %s", plain(k.Subject), plain(k.Issuer))
}

// plain quotes what is more than printable ASCII.
func plain(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return fmt.Sprintf("%+q", s)
	}
	return s
}

// ID names the identity as KeyID names a key. It begins with the subject and never with SHA256:, so that no key's id is one.
func (k Keyless) ID() string { return k.String() }

// Keyless gives whom the identity is in certificates; false when it signs with a key.
func (i Identity) Keyless() (Keyless, bool) {
	return Keyless{Issuer: i.Issuer, Subject: i.Subject}, i.Issuer != "" && i.Subject != ""
}

// checkIssuer says why s is not an issuer.
func checkIssuer(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "it is not an https URL without user, query and fragment"
	}
	if onThisMachine := u.Scheme == "http" && u.Hostname() == "127.0.0.1"; !strings.HasPrefix(s, "https://") && !onThisMachine {
		return "it is not an https URL"
	}
	return checkExact(s)
}

// checkSubject says why s is not a subject that can be compared exactly.
func checkSubject(s string) string {
	if why := checkExact(s); why != "" {
		return why
	}
	if strings.Contains(s, "://") {
		if u, err := url.Parse(s); err != nil || u.Scheme == "" || u.Host == "" {
			return "it is not a URI with a host"
		}
		return ""
	}
	if name, host, ok := strings.Cut(s, "@"); !ok || name == "" || host == "" || strings.ContainsAny(host, "@,/") {
		return "it is neither one e-mail address nor a URI with ://"
	}
	return ""
}

func checkExact(s string) string {
	switch {
	case strings.ContainsAny(s, `*[]{}|^\`):
		return "it is compared exactly, and looks like a pattern"
	case len(s) > maxSubject:
		return fmt.Sprintf("it is longer than %d bytes", maxSubject)
	case strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }):
		return "it has a space, or characters other than printable ASCII: letters that look alike are not the same"
	}
	return ""
}

// maxPattern bounds a regular expression, in bytes.
const maxPattern = 2048

// Whole compiles a regular expression that has to match the whole of a text.
func Whole(pattern string) (*regexp.Regexp, error) {
	if len(pattern) > maxPattern {
		return nil, fmt.Errorf("a pattern of more than %d bytes", maxPattern)
	}
	if _, err := regexp.Compile(pattern); err != nil { // by itself, so that it cannot close the group below
		return nil, err
	}
	return regexp.Compile(`\A(?:` + pattern + `)\z`)
}

// KeylessOf gives whom certificates have to name for the identities that have one of the roles; without a role, for all.
func (t *Trust) KeylessOf(roles ...string) []Keyless {
	var out []Keyless
	for _, name := range t.Names() {
		if k, ok := t.Identities[name].Keyless(); ok && t.hasOne(name, roles) {
			out = append(out, k)
		}
	}
	return out
}

// SetRoot gives the content of the trusted root that the file names. It refuses any other content with trusted-root-mismatch.
func (t *Trust) SetRoot(data []byte) error {
	r := &gate.Refusal{Code: "trusted-root-mismatch", What: "the trusted root is not the one that the trust file names", Actual: "sha256:" + digest.Bytes(data),
		Fix: "get both from the project's repository, at the same commit"}
	switch {
	case t.TrustedRoot == nil:
		r.Expected = "none: the trust file names no trusted root"
		return r
	case r.Actual != t.TrustedRoot.Digest:
		r.Where, r.Expected = t.TrustedRoot.File, t.TrustedRoot.Digest
		return r
	}
	t.root = data
	return nil
}

// Root gives the content of the trusted root; nil when SetRoot was not called.
func (t *Trust) Root() []byte { return t.root }

// signs says by what an identity is known: its key's id or its certificates' subject, and which field says so.
func (c checker) signs(at string, id Identity) (where, signs string, ok bool) {
	key, issuer, subject := c.doc.Has(at+".key"), c.doc.Has(at+".issuer"), c.doc.Has(at+".subject")
	if key == (issuer || subject) || issuer != subject {
		found := []string{}
		for _, f := range []string{"key", "issuer", "subject"} {
			if c.doc.Has(at + "." + f) {
				found = append(found, f)
			}
		}
		c.refuse(at, "trust-identity-signs", "it is not said in one way how the identity signs", "key, or issuer and subject", cmp.Or(strings.Join(found, ", "), "none of them"), "")
		return "", "", false
	}
	if key {
		keyid, r := checkKey(id.Key)
		if r != nil {
			c.doc.Refuse(at+".key", *r)
		}
		return at + ".key", keyid, r == nil
	}
	good := true
	for field, why := range map[string]string{".issuer": checkIssuer(id.Issuer), ".subject": checkSubject(id.Subject)} {
		if why != "" {
			good = false
			c.refuse(at+field, "trust-keyless", "this cannot name who signs: "+why, "an issuer's https URL, and an e-mail address or URI as the certificate has it", fmt.Sprintf("%.300q", map[string]string{".issuer": id.Issuer, ".subject": id.Subject}[field]), "")
		}
	}
	k, _ := id.Keyless()
	return at + ".subject", k.ID(), good
}

// trustedRoot holds that there is one when an identity needs it.
func (c checker) trustedRoot() {
	p := c.t.TrustedRoot
	if p == nil {
		if names := c.t.KeylessOf(); len(names) > 0 && !c.doc.Has("trusted-root") {
			c.refuse("identities", "trust-root", "an identity signs with certificates, and no trusted root says which ones count", "trusted-root: with file and digest", "none", "sello trust root writes it: --refresh fetches the instance's trusted_root.json, and a file that is there is named")
		}
		return
	}
	if c.doc.Has("trusted-root.file") && (!fs.ValidPath(p.File) || p.File == "." || strings.ContainsAny(p.File, "\\\x00:")) {
		c.refuse("trusted-root.file", "trust-root", "this is not the path of a file in the repository", "a relative path with slashes and without ..", fmt.Sprintf("%.200q", p.File), "")
	}
	if c.doc.Has("trusted-root.fallback") && p.Fallback != TimestampOnly {
		c.refuse("trusted-root.fallback", "trust-root", "this is no fallback", TimestampOnly+", or no fallback at all", fmt.Sprintf("%.100q", p.Fallback), "")
	}
	if c.doc.Has("trusted-root.digest") && !previous.MatchString(p.Digest) {
		c.refuse("trusted-root.digest", "trust-root", "this is not the digest of a file", "sha256: and 64 lower-case hexadecimal digits", fmt.Sprintf("%.100q", p.Digest), "")
	}
}

// maxSubject bounds issuers and subjects, in bytes.
const maxSubject = 2048
