// Package signtest is a Sigstore instance of one's own, for tests: an authority that issues certificates, one for timestamps,
// and a log in the form of Rekor v2. What it makes is right unless a Draft says otherwise, and at any time.
package signtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/digitorus/timestamp"
	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protodsse "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/sigstore-go/pkg/root"
	"golang.org/x/mod/sumdb/note"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/trust"
)

// Instance is a Sigstore instance that came up a day before Now and lasts for a year.
type Instance struct {
	Now  time.Time
	Root []byte // its trusted_root.json

	ca, issuer, clock          *x509.Certificate
	caKey, issuerKey, clockKey *ecdsa.PrivateKey
	log                        ed25519.PrivateKey
}

// Parts of the trusted root that may be left out or added.
const (
	NoLog   = "no log"
	NoClock = "no timestamp authority"
	WithCT  = "a log of certificates"
)

const origin = "log.sigstore.example"

// New makes an instance.
func New(tb testing.TB, now time.Time, parts ...string) *Instance {
	tb.Helper()
	i := &Instance{Now: now}
	from, to := now.AddDate(0, 0, -1), now.AddDate(1, 0, 0)
	ca := x509.Certificate{Subject: pkix.Name{CommonName: "root"}, NotBefore: from, NotAfter: to, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	i.ca, i.caKey = issue(tb, &ca, nil, nil)
	middle := ca
	middle.Subject.CommonName = "intermediate"
	middle.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}
	i.issuer, i.issuerKey = issue(tb, &middle, i.ca, i.caKey)
	usage, err := asn1.Marshal([]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 8}})
	check(tb, err)
	i.clock, i.clockKey = issue(tb, &x509.Certificate{Subject: pkix.Name{CommonName: "clock"}, NotBefore: from, NotAfter: to, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: true, Value: usage}}}, i.ca, i.caKey)
	_, i.log, err = ed25519.GenerateKey(rand.Reader)
	check(tb, err)

	logs, ct := map[string]*root.TransparencyLog{}, map[string]*root.TransparencyLog{}
	clocks := []root.TimestampingAuthority{&root.SigstoreTimestampingAuthority{Root: i.ca, Leaf: i.clock, ValidityPeriodStart: from, URI: "https://clock.sigstore.example"}}
	if !slices.Contains(parts, NoLog) {
		logs[hex.EncodeToString(i.logID())] = &root.TransparencyLog{BaseURL: "https://" + origin, ID: i.logID(), ValidityPeriodStart: from, HashFunc: crypto.SHA256, PublicKey: i.log.Public(), SignatureHashFunc: crypto.SHA512}
	}
	if slices.Contains(parts, NoClock) {
		clocks = nil
	}
	if slices.Contains(parts, WithCT) {
		der, err := x509.MarshalPKIXPublicKey(i.caKey.Public())
		check(tb, err)
		id := sha256.Sum256(der)
		ct[hex.EncodeToString(id[:])] = &root.TransparencyLog{BaseURL: "https://ct.sigstore.example", ID: id[:], ValidityPeriodStart: from, HashFunc: crypto.SHA256, PublicKey: i.caKey.Public(), SignatureHashFunc: crypto.SHA256}
	}
	r, err := root.NewTrustedRoot(root.TrustedRootMediaType01,
		[]root.CertificateAuthority{&root.FulcioCertificateAuthority{Root: i.ca, Intermediates: []*x509.Certificate{i.issuer}, ValidityPeriodStart: from, URI: "https://ca.sigstore.example"}}, ct, clocks, logs)
	check(tb, err)
	i.Root, err = r.MarshalJSON()
	check(tb, err)
	return i
}

// Draft is a bundle before it is made.
type Draft struct {
	Signer      trust.Keyless
	Subjects    []string        // instead of Signer.Subject: e-mail addresses, and URIs where there is a colon
	Names       []asn1.RawValue // instead of Subjects: the certificate's names as they are encoded
	Issued      time.Time
	Lifetime    time.Duration
	Signed      time.Time // what the timestamp says
	PayloadType string
	Raw         bool // the signature is r||s instead of DER
	NoTimestamp bool
	NoLog       bool
	Bundle      func(*protobundle.Bundle) // changes it at the end
}

// Sign signs a statement for somebody, and gives the bundle.
func (i *Instance) Sign(tb testing.TB, who trust.Keyless, payload []byte, changes ...func(*Draft)) []byte {
	tb.Helper()
	d := &Draft{Signer: who, Subjects: []string{who.Subject}, Issued: i.Now.Add(-2 * time.Minute), Lifetime: 10 * time.Minute, Signed: i.Now.Add(-time.Minute), PayloadType: attest.PayloadType}
	for _, change := range changes {
		change(d)
	}
	leaf, key := i.certificate(tb, d)
	message := fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(d.PayloadType), d.PayloadType, len(payload), payload)
	sum := sha256.Sum256(message)
	sig, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
	check(tb, err)
	if d.Raw {
		sig = plain(tb, sig)
	}
	material := &protobundle.VerificationMaterial{Content: &protobundle.VerificationMaterial_Certificate{Certificate: &protocommon.X509Certificate{RawBytes: leaf.Raw}}}
	if !d.NoTimestamp {
		material.TimestampVerificationData = &protobundle.TimestampVerificationData{Rfc3161Timestamps: []*protocommon.RFC3161SignedTimestamp{{SignedTimestamp: i.timestamp(tb, sig, d.Signed)}}}
	}
	if !d.NoLog {
		material.TlogEntries = []*protorekor.TransparencyLogEntry{i.entry(tb, sum[:], sig, leaf)}
	}
	b := &protobundle.Bundle{MediaType: "application/vnd.dev.sigstore.bundle.v0.3+json", VerificationMaterial: material,
		Content: &protobundle.Bundle_DsseEnvelope{DsseEnvelope: &protodsse.Envelope{Payload: payload, PayloadType: d.PayloadType, Signatures: []*protodsse.Signature{{Sig: sig}}}}}
	if d.Bundle != nil {
		d.Bundle(b)
	}
	data, err := protojson.Marshal(b)
	check(tb, err)
	return data
}

func (i *Instance) certificate(tb testing.TB, d *Draft) (*x509.Certificate, *ecdsa.PrivateKey) {
	return issue(tb, template(tb, d), i.issuer, i.issuerKey)
}

// template gives a certificate as it is before it is signed.
func template(tb testing.TB, d *Draft) *x509.Certificate {
	issuer, err := asn1.MarshalWithParams(d.Signer.Issuer, "utf8")
	check(tb, err)
	c := &x509.Certificate{NotBefore: d.Issued, NotAfter: d.Issued.Add(d.Lifetime), KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}}
	if d.Signer.Issuer != "" {
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 8}, Value: issuer}}
	}
	if d.Names != nil {
		names, err := asn1.Marshal(d.Names)
		check(tb, err)
		c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: names})
		return c
	}
	for _, s := range d.Subjects {
		if u, err := url.Parse(s); err == nil && u.Scheme != "" {
			c.URIs = append(c.URIs, u)
		} else {
			c.EmailAddresses = append(c.EmailAddresses, s)
		}
	}
	return c
}

func issue(tb testing.TB, c, parent *x509.Certificate, by *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(tb, err)
	if parent == nil {
		parent, by = c, key
	}
	return certify(tb, c, parent, by, key.Public()), key
}

func certify(tb testing.TB, c, parent *x509.Certificate, by *ecdsa.PrivateKey, public crypto.PublicKey) *x509.Certificate {
	tb.Helper()
	var err error
	c.SerialNumber, err = rand.Int(rand.Reader, big.NewInt(1<<62))
	check(tb, err)
	der, err := x509.CreateCertificate(rand.Reader, c, parent, public, by)
	check(tb, err)
	out, err := x509.ParseCertificate(der)
	check(tb, err)
	return out
}

func (i *Instance) timestamp(tb testing.TB, sig []byte, at time.Time) []byte {
	sum := sha256.Sum256(sig)
	return i.timestampOf(tb, sum[:], at)
}

func (i *Instance) timestampOf(tb testing.TB, sum []byte, at time.Time) []byte {
	t := timestamp.Timestamp{HashAlgorithm: crypto.SHA256, HashedMessage: sum, Time: at.UTC(), Policy: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 2}, AddTSACertificate: true}
	der, err := t.CreateResponseWithOpts(i.clock, i.clockKey, crypto.SHA256)
	check(tb, err)
	return der
}

// logID is the log's, as logs of Rekor v2 have it: of the key that signs checkpoints (C2SP signed-note).
func (i *Instance) logID() []byte {
	id := sha256.Sum256(append([]byte(origin+"\n\x01"), i.log.Public().(ed25519.PublicKey)...))
	return id[:]
}

// entry logs a signature in a tree of its own.
func (i *Instance) entry(tb testing.TB, sum, sig []byte, leaf *x509.Certificate) *protorekor.TransparencyLogEntry {
	body, err := json.Marshal(map[string]any{"apiVersion": "0.0.2", "kind": "hashedrekord", "spec": map[string]any{"hashedRekordV002": map[string]any{
		"data":      map[string]any{"algorithm": "SHA2_256", "digest": sum},
		"signature": map[string]any{"content": sig, "verifier": map[string]any{"keyDetails": "PKIX_ECDSA_P256_SHA_256", "x509Certificate": map[string]any{"rawBytes": leaf.Raw}}},
	}}})
	check(tb, err)
	hash := sha256.Sum256(append([]byte{0}, body...))
	private := fmt.Sprintf("PRIVATE+KEY+%s+%x+%s", origin, i.logID()[:4], base64.StdEncoding.EncodeToString(append([]byte{1}, i.log.Seed()...)))
	signer, err := note.NewSigner(private)
	check(tb, err)
	signed, err := note.Sign(&note.Note{Text: fmt.Sprintf("%s\n1\n%s\n", origin, base64.StdEncoding.EncodeToString(hash[:]))}, signer)
	check(tb, err)
	return &protorekor.TransparencyLogEntry{LogId: &protocommon.LogId{KeyId: i.logID()}, KindVersion: &protorekor.KindVersion{Kind: "hashedrekord", Version: "0.0.2"},
		InclusionProof:    &protorekor.InclusionProof{TreeSize: 1, RootHash: hash[:], Checkpoint: &protorekor.Checkpoint{Envelope: string(signed)}},
		CanonicalizedBody: body}
}

// plain turns a DER signature into r||s.
func plain(tb testing.TB, der []byte) []byte {
	var rs struct{ R, S *big.Int }
	_, err := asn1.Unmarshal(der, &rs)
	check(tb, err)
	return append(rs.R.FillBytes(make([]byte, 32)), rs.S.FillBytes(make([]byte, 32))...)
}

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// Parse reads a bundle back, to take parts from it.
func Parse(data []byte) (*protobundle.Bundle, error) {
	b := &protobundle.Bundle{}
	return b, protojson.Unmarshal(data, b)
}

// Pin names a trusted root as a trust file does.
func Pin(root []byte) *trust.Pinned {
	return &trust.Pinned{File: "trusted_root.json", Digest: "sha256:" + digest.Bytes(root)}
}
