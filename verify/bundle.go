package verify

import (
	"crypto"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/trust"
)

// BundleOptions say who has to have signed, and who vouches for that. It takes TrustedRoot with Signers, or Key with or
// without TrustedRoot.
type BundleOptions struct {
	TrustedRoot   []byte    // content of the Sigstore instance's trusted_root.json
	Signers       []Signer  // one of them has to be whom the certificate names
	Key           []byte    // public key (PEM) that has to have signed, instead of Signers; with TrustedRoot its log entry is asked for, too
	PredicateType string    // what a statement has to say; "" accepts any kind, and is then for the caller to look at
	Now           time.Time // no signature was made later; zero is the present
}

// Signer is whom a certificate has to name. Issuer and Subject are compared byte by byte. A pattern, a regular
// expression that has to match the whole, stands in place of either.
type Signer struct {
	Issuer, Subject               string
	IssuerPattern, SubjectPattern string
}

// Digests are a file's digests in lower-case hex by algorithm: sha256, and where they are known sha384 and sha512.
type Digests map[string]string

// String gives the SHA-256, or what else is known.
func (d Digests) String() string {
	if d["sha256"] != "" {
		return "sha256:" + d["sha256"]
	}
	var all []string
	for _, name := range slices.Sorted(maps.Keys(d)) {
		all = append(all, name+":"+d[name])
	}
	return strings.Join(all, ", ")
}

// FileDigests reads a file once.
func FileDigests(path string) (Digests, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	defer f.Close()
	out, err := digestsOf(f)
	if err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	return out, nil
}

// digestsOf computes all digests that a statement may name a file by.
func digestsOf(r io.Reader) (Digests, error) {
	hashes := map[string]hash.Hash{"sha256": sha256.New(), "sha384": sha512.New384(), "sha512": sha512.New()}
	if _, err := io.CopyBuffer(io.MultiWriter(hashes["sha256"], hashes["sha384"], hashes["sha512"]), struct{ io.Reader }{r}, make([]byte, 256<<10)); err != nil {
		return nil, err
	}
	out := Digests{}
	for name, h := range hashes {
		out[name] = hex.EncodeToString(h.Sum(nil))
	}
	return out, nil
}

// Bundle verifies a Sigstore bundle of anyone's, v0.1 to v0.3, over a file, offline: the certificate's chain, its
// proof of publication, the signature, the time, the log entry, then the file, the signer and the kind of statement. An
// error means that the options are wrong; what is wrong with the bundle is in the report. For many bundles see NewBundles.
func Bundle(bundle []byte, file Digests, o BundleOptions) (*Report, error) {
	v, err := NewBundles(o)
	if err != nil {
		return nil, err
	}
	return v.Verify(bundle, file), nil
}

// Bundles verifies many bundles by the same options, whose trusted root is read once. It is safe for use by several goroutines.
type Bundles struct {
	options BundleOptions
	root    *sign.Root
	keys    map[string]crypto.PublicKey
	signers []func(trust.Keyless) bool
}

// Verify is what Bundle does for one.
func (v *Bundles) Verify(bundle []byte, file Digests) *Report {
	r := &Report{Artifact: "sha256:" + file["sha256"], Scope: ScopeBundle, Files: 1}
	var b *sign.Bundle
	var w *sign.Witnessed
	var header *attest.Header
	var f findings
	steps := []step{
		{"bad-json", func(*Check) (err error) { b, err = sign.ParseBundle(bundle); return err }},
		{"signature-invalid", func(c *Check) (err error) {
			if w, err = v.witness(b, file); err == nil {
				c.Actual = seen(w)
			}
			return err
		}},
		{"subject-mismatch", func(c *Check) (err error) { header, err = about(c, w, file); return err }},
		{"no-trusted-signer", func(c *Check) error { return v.signer(c, w, r) }},
	}
	if want := v.options.PredicateType; want != "" {
		steps = append(steps, step{"wrong-predicate", func(c *Check) error { return predicate(c, header, want) }})
	}
	f.chain(Check{}, steps...)
	return f.into(r)
}

// NewBundles judges bundles by the options. An error means that they are wrong.
func NewBundles(o BundleOptions) (*Bundles, error) {
	wrong := func(what, fix string) error {
		return &gate.Refusal{Code: "usage", Class: gate.Usage, What: what, Fix: fix}
	}
	v := &Bundles{options: o}
	switch {
	case len(o.Key) == 0 && len(o.Signers) == 0:
		return nil, wrong("it is not said who has to have signed", "name the certificate's issuer and subject, or give a key")
	case len(o.Key) > 0 && len(o.Signers) > 0:
		return nil, wrong("a key and a certificate's subject cannot both have signed", "give one of the two")
	case len(o.Key) == 0 && len(o.TrustedRoot) == 0:
		return nil, wrong("there is no trusted root to judge certificates by", "give the Sigstore instance's trusted_root.json")
	}
	var err error
	if len(o.TrustedRoot) > 0 {
		if v.root, err = sign.ParseRoot(o.TrustedRoot); err != nil {
			return nil, err
		}
	}
	if len(o.Key) > 0 {
		pub, err := trust.ParsePublicKey(o.Key)
		if err != nil {
			return nil, &gate.Refusal{Code: "key-malformed", Class: gate.Usage, What: "this is not a public key", Cause: err, Fix: "give a PEM file that begins with -----BEGIN PUBLIC KEY-----"}
		}
		id, err := trust.KeyID(pub)
		if err != nil {
			return nil, fmt.Errorf("verify: %w", err)
		}
		v.keys = map[string]crypto.PublicKey{id: pub}
	}
	for _, s := range o.Signers {
		match, err := s.compile()
		if err != nil {
			return nil, wrong("whom the certificate has to name: "+err.Error(), "give issuer and subject, each as text or as a pattern")
		}
		v.signers = append(v.signers, match)
	}
	return v, nil
}

func (v *Bundles) witness(b *sign.Bundle, file Digests) (*sign.Witnessed, error) {
	now := v.options.Now
	if now.IsZero() {
		now = time.Now()
	}
	switch {
	case v.keys == nil:
		return v.root.Verify(b, sign.Digests(file), now)
	case v.root != nil:
		return v.root.VerifyKey(b, v.keys, sign.Digests(file), now)
	}
	w := &sign.Witnessed{}
	var err error
	if b.Message != nil {
		w.KeyID, err = sign.VerifyDigest(b, v.keys, sign.Digests(file))
	} else {
		w.KeyID, w.Payload, err = sign.Verify(b, v.keys)
	}
	return w, err
}

// seen says when, for the report.
func seen(w *sign.Witnessed) string {
	if len(w.Times) == 0 {
		return "key " + w.KeyID + "; nobody vouches for the time"
	}
	return "signed " + w.Times[0].UTC().Format(time.RFC3339)
}

// about holds that the statement is about the file. A signature over the file itself has been verified with its digest.
func about(c *Check, w *sign.Witnessed, file Digests) (*attest.Header, error) {
	c.Actual = file.String()
	if w.Payload == nil {
		return nil, nil
	}
	h, _, err := attest.DecodeForeign(w.Payload, identifiers(file)...)
	if err != nil {
		return nil, err
	}
	if h.Matches(file) {
		return h, nil
	}
	first := h.Subject[0]
	return nil, &gate.Refusal{Code: "subject-mismatch", What: "the statement speaks of other files than this one", Actual: c.Actual,
		Expected: fmt.Sprintf("one of the %d that it names, first %.100q with %.300s", len(h.Subject), first.Name, Digests(first.Digest)), Fix: "this file is not what was signed: do not use it; download it again"}
}

// signer holds that it is one of those who were asked for.
func (v *Bundles) signer(c *Check, w *sign.Witnessed, r *Report) error {
	if w.KeyID != "" { // the only key that was asked for
		c.Actual, r.Signer = w.KeyID, w.KeyID
		return nil
	}
	var expected []string
	for i, match := range v.signers {
		expected = append(expected, v.options.Signers[i].String())
		if match(w.Signer) {
			c.Actual, r.Signer = w.Signer.String(), w.Signer.String()
			return nil
		}
	}
	return retold(sign.NotTrusted("", w.Signer), "no-trusted-signer", strings.Join(expected, ", or "),
		"if this signer is the one, give its issuer and subject (--certificate-oidc-issuer, --certificate-identity; a pattern has to match the whole); otherwise get the bundle from where it was published")
}

func predicate(c *Check, h *attest.Header, want string) error {
	c.Expected = want
	found := "a signature over the file"
	if h != nil {
		found = fmt.Sprintf("%.200q", h.PredicateType)
	}
	if h != nil && h.PredicateType == want {
		return nil
	}
	return &gate.Refusal{Code: "wrong-predicate", What: "the statement says something else than was asked for", Expected: want, Actual: found,
		Fix: "give the attestation of the right kind; a valid signature on another kind of statement proves nothing here"}
}

// String says whom, with patterns marked.
func (s Signer) String() string {
	part := func(exact, pattern string) string {
		if pattern != "" {
			return "/" + pattern + "/"
		}
		return exact
	}
	return trust.Keyless{Issuer: part(s.Issuer, s.IssuerPattern), Subject: part(s.Subject, s.SubjectPattern)}.String()
}

// compile gives a function that matches, or says what is wrong.
func (s Signer) compile() (func(trust.Keyless) bool, error) {
	issuer, err := matcher("issuer", s.Issuer, s.IssuerPattern)
	if err != nil {
		return nil, err
	}
	subject, err := matcher("subject", s.Subject, s.SubjectPattern)
	if err != nil {
		return nil, err
	}
	return func(k trust.Keyless) bool { return issuer(k.Issuer) && subject(k.Subject) }, nil
}

func matcher(what, exact, pattern string) (func(string) bool, error) {
	switch {
	case exact == "" && pattern == "":
		return nil, fmt.Errorf("no %s is given", what)
	case exact != "" && pattern != "":
		return nil, fmt.Errorf("the %s is given both as text and as a pattern", what)
	case pattern == "":
		return func(s string) bool { return s == exact }, nil
	}
	re, err := trust.Whole(pattern)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return re.MatchString, nil
}
