package sign

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/strictjson"
)

// MediaType is the media type of the bundles that this package writes.
const MediaType = "application/vnd.dev.sigstore.bundle.v0.3+json"

// MaxBundle bounds a bundle that is read, in bytes.
const MaxBundle = 16 << 20

// mediaTypes are the spellings of bundles that can be read.
var mediaTypes = []string{
	"application/vnd.dev.sigstore.bundle+json;version=0.1",
	"application/vnd.dev.sigstore.bundle+json;version=0.2",
	"application/vnd.dev.sigstore.bundle+json;version=0.3",
	"application/vnd.dev.sigstore.bundle.v0.1+json",
	"application/vnd.dev.sigstore.bundle.v0.2+json",
	MediaType,
}

// Bundle is a Sigstore bundle that was read and not yet verified. Nothing in it may be believed.
type Bundle struct {
	MediaType   string
	Hint        string // of the public key; "" when there is none
	Certificate bool   // signed with a certificate instead of a key
	Envelope    *Envelope
	Message     *Message // a signature over a file instead of over a statement

	raw []byte // as it was read
}

// keyName is what the bundle calls the key that signed; "" when it does not say.
func (b *Bundle) keyName() string {
	if b.Envelope != nil && b.Envelope.KeyID != "" {
		return b.Envelope.KeyID
	}
	return b.Hint
}

// Envelope is a DSSE envelope with its one signature, decoded from base64.
type Envelope struct {
	PayloadType string
	Payload     []byte
	KeyID       string
	Signature   []byte
}

// Message is a signature over a file's bytes.
type Message struct {
	Algorithm string // of the digest, as the format spells it: SHA2_256
	Digest    []byte // that the bundle claims; only a hint
	Signature []byte
}

// The shapes as they are written. Field names of reading and writing are the same.
type bundleJSON struct {
	MediaType string            `json:"mediaType"`
	Material  materialJSON      `json:"verificationMaterial"`
	Envelope  *dsseEnvelopeJSON `json:"dsseEnvelope"`
}

type materialJSON struct {
	PublicKey hintJSON `json:"publicKey"`
}

type hintJSON struct {
	Hint string `json:"hint"`
}

type dsseEnvelopeJSON struct {
	Payload     string          `json:"payload"`
	PayloadType string          `json:"payloadType"`
	Signatures  []signatureJSON `json:"signatures"`
}

type signatureJSON struct {
	Sig   string `json:"sig"`
	KeyID string `json:"keyid,omitempty"`
}

func encodeBundle(keyID, payloadType string, payload, sig []byte) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(bundleJSON{
		MediaType: MediaType,
		Material:  materialJSON{PublicKey: hintJSON{Hint: keyID}},
		Envelope: &dsseEnvelopeJSON{Payload: b64(payload), PayloadType: payloadType,
			Signatures: []signatureJSON{{Sig: b64(sig), KeyID: keyID}}},
	})
	return out.Bytes(), err
}

// ParseBundle reads a Sigstore bundle, v0.1 to v0.3, with a DSSE envelope or a message
// signature. It refuses, by code: bad-json (also: too large, a key twice, more data after the end,
// a field that the format does not have, base64 that is none), bundle-unknown-version,
// no-signature, too-many-signatures, bundle-hint-mismatch. Nothing is verified here.
func ParseBundle(data []byte) (*Bundle, error) {
	top, err := openObject(data)
	if err != nil {
		return nil, err
	}
	r := reader{}
	b := &Bundle{MediaType: r.text(top, "mediaType"), raw: data}
	if r.err == nil && !slices.Contains(mediaTypes, b.MediaType) {
		return nil, refuse("bundle-unknown-version", "the bundle is of an unknown version", MediaType, fmt.Sprintf("%.100q", b.MediaType),
			"give a Sigstore bundle of version 0.1 to 0.3")
	}
	r.only(top, "mediaType", "verificationMaterial", "dsseEnvelope", "messageSignature")
	r.material(b, r.object(top, "verificationMaterial"))
	envelope, message := r.object(top, "dsseEnvelope"), r.object(top, "messageSignature")
	if r.err != nil {
		return nil, r.err
	}
	switch {
	case envelope != nil && message != nil:
		return nil, refuse("too-many-signatures", "the bundle holds a statement's and a file's signature", "one signature", "two", "one bundle holds one signature")
	case envelope != nil:
		b.Envelope = r.envelope(envelope)
	case message != nil:
		b.Message = r.message(message)
	default:
		return nil, noSignature()
	}
	if r.err != nil {
		return nil, r.err
	}
	if b.Envelope != nil && b.Hint != "" && b.Envelope.KeyID != "" && b.Hint != b.Envelope.KeyID {
		return nil, refuse("bundle-hint-mismatch", "the bundle names two keys", fmt.Sprintf("%.100q", b.Hint), fmt.Sprintf("%.100q", b.Envelope.KeyID),
			"the publicKey hint and the signature's keyid have to be the same; get the bundle as it was published")
	}
	return b, nil
}

// ParseEnvelope reads a bare DSSE envelope, as tools without bundles write it, with the codes of ParseBundle.
// As DSSE asks of consumers, unknown fields are ignored.
func ParseEnvelope(data []byte) (*Bundle, error) {
	top, err := openObject(data)
	if err != nil {
		return nil, err
	}
	r := reader{}
	b := &Bundle{Envelope: r.envelope(top)}
	return b, r.err
}

func openObject(data []byte) (map[string]json.RawMessage, error) {
	if len(data) > MaxBundle {
		return nil, badJSON(fmt.Errorf("%d bytes, more than %d", len(data), MaxBundle))
	}
	if err := strictjson.Check(data); err != nil {
		return nil, badJSON(err)
	}
	top, err := strictjson.Object(data)
	if err != nil {
		return nil, badJSON(err)
	}
	return top, nil
}

// reader takes members out of objects by their exact names and keeps the first error.
type reader struct{ err error }

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

// only refuses members with other names: encoding/json and protojson would disagree on what they mean.
func (r *reader) only(m map[string]json.RawMessage, names ...string) {
	for name := range m {
		if !slices.Contains(names, name) {
			r.fail(badJSON(fmt.Errorf("unknown field %.60q", name)))
		}
	}
}

func (r *reader) object(m map[string]json.RawMessage, name string) map[string]json.RawMessage {
	raw, ok := m[name]
	if !ok || string(raw) == "null" {
		return nil
	}
	o, err := strictjson.Object(raw)
	if err != nil {
		r.fail(badJSON(fmt.Errorf("%s: %w", name, err)))
	}
	return o
}

func (r *reader) text(m map[string]json.RawMessage, name string) string {
	raw, ok := m[name]
	if !ok {
		return ""
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		r.fail(badJSON(fmt.Errorf("%s: %w", name, err)))
	}
	return s
}

func (r *reader) bytes(m map[string]json.RawMessage, name string) []byte {
	out, err := decode64(r.text(m, name))
	if err != nil {
		r.fail(badJSON(fmt.Errorf("%s: %w", name, err)))
	}
	return out
}

// material takes the key's hint, and checks that logs and timestamps have the right shape without using them.
func (r *reader) material(b *Bundle, m map[string]json.RawMessage) {
	r.only(m, "publicKey", "x509CertificateChain", "certificate", "tlogEntries", "timestampVerificationData")
	key := r.object(m, "publicKey")
	b.Hint = r.text(key, "hint")
	b.Certificate = r.object(m, "certificate") != nil || r.object(m, "x509CertificateChain") != nil
	if key == nil && !b.Certificate {
		r.fail(badJSON(errors.New("verificationMaterial names neither a public key nor a certificate")))
	}
	if key != nil && b.Certificate {
		r.fail(badJSON(errors.New("verificationMaterial names both a public key and a certificate")))
	}
}

func (r *reader) envelope(m map[string]json.RawMessage) *Envelope {
	e := &Envelope{PayloadType: r.text(m, "payloadType"), Payload: r.bytes(m, "payload")}
	var signatures []map[string]json.RawMessage
	if raw, ok := m["signatures"]; ok {
		if err := json.Unmarshal(raw, &signatures); err != nil {
			r.fail(badJSON(fmt.Errorf("signatures: %w", err)))
		}
	}
	if r.err == nil && len(signatures) > 1 {
		r.fail(refuse("too-many-signatures", "the envelope holds several signatures", "1", fmt.Sprint(len(signatures)),
			"several signers are several bundles; give one bundle a signer"))
	}
	if len(signatures) != 1 {
		r.fail(noSignature())
		return e
	}
	e.KeyID = r.text(signatures[0], "keyid")
	if e.Signature = r.bytes(signatures[0], "sig"); len(e.Signature) == 0 {
		r.fail(noSignature())
	}
	return e
}

func (r *reader) message(m map[string]json.RawMessage) *Message {
	out := &Message{Signature: r.bytes(m, "signature")}
	d := r.object(m, "messageDigest")
	out.Algorithm, out.Digest = r.text(d, "algorithm"), r.bytes(d, "digest")
	if len(out.Signature) == 0 {
		r.fail(noSignature())
	}
	return out
}

// decode64 reads standard and URL-safe base64, padded, in the one canonical spelling of each.
func decode64(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, errors.New("base64 with line breaks")
	}
	out, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil && strings.ContainsAny(s, "-_") {
		out, err = base64.URLEncoding.Strict().DecodeString(s)
	}
	return out, err
}

func badJSON(err error) error {
	return &gate.Refusal{Code: "bad-json", What: "the bundle cannot be read", Cause: brief(err), Fix: "give the bundle as it was published; this one is damaged or of another format"}
}

// brief bounds the text of an error that repeats what it was given.
func brief(err error) error {
	if text := err.Error(); len(text) > 500 {
		return errors.New(strings.ToValidUTF8(text[:500], "") + " …")
	}
	return err
}

func noSignature() error {
	return refuse("no-signature", "there is no signature", "1", "0", "give a signed bundle; an unsigned one proves nothing")
}

func refuse(code, what, expected, actual, fix string) *gate.Refusal {
	return &gate.Refusal{Code: code, What: what, Expected: expected, Actual: actual, Fix: fix}
}
