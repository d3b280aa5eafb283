package sign

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/signature"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/trust"
)

// Digests are a file's digests in lower-case hex, by algorithm: sha256, sha384, sha512. Those that are not known are missing.
type Digests map[string]string

// Witnessed is a bundle whose signature, log entry and time are what a trusted root vouches for. Who signed is known;
// whether they may is for the caller to decide.
type Witnessed struct {
	Signer  trust.Keyless // of the certificate; empty when a key signed
	KeyID   string        // of the key; "" when a certificate signed
	Payload []byte        // the statement that was signed; nil for a signature over a file
	Times   []time.Time   // when log and timestamp authorities saw the signature, earliest first
	Run     Run           // of the build service that the certificate was issued to; empty for people
}

// Run is what a certificate says of the run of a build service that it was issued to. The issuer vouches for it.
type Run struct {
	Repository string // its URL; "" when the certificate does not say
	Ref        string
	Commit     string
}

// clockSkew is how far a verified time may lie ahead of ours.
const clockSkew = 5 * time.Minute

// Verify verifies a bundle that was signed with a certificate: the chain up to the root's authorities at the verified time,
// the proof that the certificate was logged (where the root names such logs), the signature, the signed timestamps, and the
// log entry (where the root names logs). file is needed for a signature over a file. There is no network, and what the
// root could check is never left out because the bundle does not have it.
//
// It refuses, by code: bad-json, no-trusted-signer (a key, nobody's certificate or several people's), cert-untrusted,
// cert-outside-validity, sct-invalid, signature-invalid, subject-mismatch (a good signature over another file),
// timestamp-missing, timestamp-invalid, log-missing, log-proof-invalid, log-entry-mismatch, unsupported-payload-type, and
// bundle-unverified for what has no other name.
func (r *Root) Verify(b *Bundle, file Digests, now time.Time) (*Witnessed, error) {
	if !b.Certificate {
		return nil, refuse("no-trusted-signer", "a key signed, and whose it is nobody vouches for", "a certificate", fmt.Sprintf("key %.100q", b.keyName()), "give the key, if you trust it")
	}
	entity, err := b.entity()
	if err != nil {
		return nil, err
	}
	content, err := entity.VerificationContent()
	if err != nil {
		return nil, badJSON(err)
	}
	w := &Witnessed{}
	if w.Signer, w.Run, err = certified(content.Certificate()); err != nil {
		return nil, err
	}
	return w, r.witness(w, entity, b, r.material, file, now)
}

// VerifyKey verifies a bundle that one of the keys signed, and with it the log entry and the time that the root vouches for.
// Its codes are those of Verify, and no-trusted-signer when none of the keys signed.
func (r *Root) VerifyKey(b *Bundle, keys map[string]crypto.PublicKey, file Digests, now time.Time) (*Witnessed, error) {
	w := &Witnessed{}
	var err error
	if b.Message != nil {
		w.KeyID, err = VerifyDigest(b, keys, file)
	} else {
		w.KeyID, w.Payload, err = Verify(b, keys)
	}
	if err != nil {
		return nil, err
	}
	entity, err := b.entity()
	if err != nil {
		return nil, err
	}
	verifier, err := signature.LoadDefaultVerifier(keys[w.KeyID])
	if err != nil {
		return nil, fmt.Errorf("verify bundle: %w", err)
	}
	always := root.NewExpiringKey(verifier, time.Time{}, time.Time{})
	material := root.TrustedMaterialCollection{r.material, root.NewTrustedPublicKeyMaterial(func(string) (root.TimeConstrainedVerifier, error) { return always, nil })}
	return w, r.witness(w, entity, b, material, file, now)
}

// witness lets sigstore-go decide, and finds out why it said no.
func (r *Root) witness(w *Witnessed, entity *bundle.Bundle, b *Bundle, material root.TrustedMaterial, file Digests, now time.Time) error {
	q := inquiry{root: r, material: material, bundle: b, entity: entity, now: now}
	artifact := verify.WithoutArtifactUnsafe()
	if b.Message != nil {
		algorithm, sum, err := messageDigest(b, file)
		if err != nil {
			return err
		}
		q.algorithm, q.sum = algorithm, sum
		artifact = verify.WithArtifactDigest(algorithm, sum)
	} else if b.Envelope.PayloadType != attest.PayloadType {
		return q.because(unsupportedPayload(b.Envelope.PayloadType))
	}
	v, err := verify.NewVerifier(material, r.demands(b, entity)...)
	if err != nil {
		return fmt.Errorf("verify bundle: %w", err)
	}
	result, err := v.Verify(entity, verify.NewPolicy(artifact, verify.WithoutIdentitiesUnsafe()))
	if err != nil {
		return q.because(unexplained(err))
	}
	for _, t := range result.VerifiedTimestamps {
		w.Times = append(w.Times, t.Timestamp)
	}
	slices.SortFunc(w.Times, time.Time.Compare)
	if b.Envelope != nil {
		w.Payload = b.Envelope.Payload
	}
	return q.notFuture(w.Times)
}

// demands asks for everything that the root can check.
func (r *Root) demands(b *Bundle, entity *bundle.Bundle) []verify.VerifierOption {
	options := []verify.VerifierOption{verify.WithObserverTimestamps(1), verify.WithoutStatementPredicate()}
	switch {
	case r.mayBeUnlogged(entity):
		options[0] = verify.WithSignedTimestamps(1)
	case r.hasLogs():
		options = append(options, verify.WithTransparencyLog(1))
	}
	if r.hasCT() && b.Certificate {
		options = append(options, verify.WithSignedCertificateTimestamps(1))
	}
	return options
}

// entity gives the bundle as sigstore-go reads it, and holds that both read the same.
func (b *Bundle) entity() (*bundle.Bundle, error) {
	message := &protobundle.Bundle{}
	if err := protojson.Unmarshal(b.raw, message); err != nil {
		return nil, badJSON(err)
	}
	if e := message.GetDsseEnvelope(); b.Envelope != nil && (e == nil || e.PayloadType != b.Envelope.PayloadType || !bytes.Equal(e.Payload, b.Envelope.Payload) ||
		len(e.Signatures) != 1 || !bytes.Equal(e.Signatures[0].Sig, b.Envelope.Signature)) {
		return nil, badJSON(errors.New("the envelope can be read in two ways"))
	}
	if m := message.GetMessageSignature(); b.Message != nil && (m == nil || !bytes.Equal(m.Signature, b.Message.Signature)) {
		return nil, badJSON(errors.New("the signature can be read in two ways"))
	}
	if err := complete(message); err != nil {
		return nil, err
	}
	entity, err := bundle.NewBundle(message)
	if err != nil {
		return nil, badJSON(err)
	}
	return entity, nil
}

// messageDigest gives the digest of the file that the certificate's kind of key signs.
func messageDigest(b *Bundle, file Digests) (algorithm string, sum []byte, err error) {
	algorithm = map[string]string{"SHA2_256": "sha256", "SHA2_384": "sha384", "SHA2_512": "sha512"}[b.Message.Algorithm]
	if algorithm == "" {
		return "", nil, badJSON(fmt.Errorf("a signature over a %.40q of the file", b.Message.Algorithm))
	}
	if file[algorithm] == "" {
		return "", nil, refuse("weak-digest", "the bundle signs a digest of another kind than the one that is known of the file", algorithm,
			fmt.Sprint(slices.Sorted(keysOf(file))), "give the file instead of its digest")
	}
	if sum, err = hex.DecodeString(file[algorithm]); err != nil {
		return "", nil, fmt.Errorf("verify bundle: %w", err)
	}
	return algorithm, sum, nil
}

func keysOf(d Digests) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range d {
			if !yield(k) {
				return
			}
		}
	}
}

// certified says whom a certificate names, and for which run of a build service. It has to be one: several names, or a name that stands for many, are nobody.
func certified(leaf *x509.Certificate) (trust.Keyless, Run, error) {
	nobody := func(found string) (trust.Keyless, Run, error) {
		return trust.Keyless{}, Run{}, refuse("no-trusted-signer", "the certificate does not say who signed", "one e-mail address or URI, and its issuer", found,
			"do not use this: Sigstore's authorities issue no such certificates")
	}
	names, err := alternativeNames(leaf)
	if err != nil {
		return nobody(err.Error())
	}
	if len(names) != 1 {
		return nobody(fmt.Sprintf("%d names", len(names)))
	}
	summary, err := certificate.SummarizeCertificate(leaf)
	if err != nil {
		return nobody(err.Error())
	}
	k := trust.Keyless{Issuer: summary.Issuer, Subject: summary.SubjectAlternativeName}
	if tag := names[0].Tag; tag == emailName || tag == uriName {
		k.Subject = string(names[0].Bytes) // as it is, and not as it would be written again
	}
	switch {
	case k.Issuer == "":
		return nobody("no issuer")
	case strings.Contains(k.Subject, "*"):
		return nobody("a wildcard: " + k.String())
	case !usable(leaf.PublicKey):
		return nobody(fmt.Sprintf("a key that is weak or of another kind, %T", leaf.PublicKey))
	}
	return k, runOf(summary), nil
}

// runOf reads the extensions of Fulcio's certificates, the older ones of GitHub alone, too.
func runOf(s certificate.Summary) Run {
	r := Run{s.SourceRepositoryURI, s.SourceRepositoryRef, s.SourceRepositoryDigest}
	if r.Repository == "" && s.GithubWorkflowRepository != "" {
		r = Run{"https://github.com/" + s.GithubWorkflowRepository, s.GithubWorkflowRef, s.GithubWorkflowSHA}
	}
	return r
}

// Tags of names in a certificate (RFC 5280, section 4.2.1.6).
const (
	emailName = 1
	uriName   = 6
)

func alternativeNames(leaf *x509.Certificate) (names []asn1.RawValue, err error) {
	for _, e := range leaf.Extensions {
		if e.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 17}) {
			rest, err := asn1.Unmarshal(e.Value, &names)
			if err != nil || len(rest) > 0 {
				return nil, errors.New("names that cannot be read")
			}
		}
	}
	return names, nil
}

// usable refuses keys that are too weak or of a kind that nobody signs with.
func usable(key crypto.PublicKey) bool {
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		return k.Curve == elliptic.P256() || k.Curve == elliptic.P384() || k.Curve == elliptic.P521()
	case *rsa.PublicKey:
		return k.N.BitLen() >= leastRSA
	case ed25519.PublicKey:
		return true
	}
	return false
}

// leastRSA is the least size of an RSA key in a certificate, in bits, as Sigstore's authorities have it.
const leastRSA = 2048
