package sign

import (
	"bytes"
	"context"
	"crypto"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/gate"
)

var payload = []byte(`{"_type":"https://in-toto.io/Statement/v1","subject":[]}`)

func generate(t testing.TB) *Key {
	t.Helper()
	k, err := Generate()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func signed(t testing.TB, k Signer) []byte {
	t.Helper()
	data, err := SignStatement(context.Background(), k, attest.PayloadType, payload)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func trusting(keys ...*Key) map[string]crypto.PublicKey {
	m := map[string]crypto.PublicKey{}
	for _, k := range keys {
		m[k.KeyID()] = k.Public()
	}
	return m
}

func parseAndVerify(data []byte, keys map[string]crypto.PublicKey) (string, []byte, error) {
	b, err := ParseBundle(data)
	if err != nil {
		return "", nil, err
	}
	return Verify(b, keys)
}

func TestSignAndVerify(t *testing.T) {
	t.Parallel()
	k, other := generate(t), generate(t)
	data := signed(t, k)
	id, got, err := parseAndVerify(data, trusting(other, k))
	if err != nil {
		t.Fatal(err)
	}
	if id != k.KeyID() || !bytes.Equal(got, payload) {
		t.Errorf("verified %s, %q", id, got)
	}
	if !strings.HasSuffix(string(data), "}\n") || !json.Valid(data) {
		t.Errorf("the bundle is not one readable JSON file: %s", data)
	}
}

// The Sigstore project's own types read what we write, with nothing left over.
func TestSigstoreTypesReadOurBundle(t *testing.T) {
	t.Parallel()
	k := generate(t)
	var b protobundle.Bundle
	if err := protojson.Unmarshal(signed(t, k), &b); err != nil {
		t.Fatal(err)
	}
	e := b.GetDsseEnvelope()
	if b.GetMediaType() != MediaType || b.GetVerificationMaterial().GetPublicKey().GetHint() != k.KeyID() ||
		len(e.GetSignatures()) != 1 || e.GetSignatures()[0].GetKeyid() != k.KeyID() || !bytes.Equal(e.GetPayload(), payload) || e.GetPayloadType() != attest.PayloadType {
		t.Errorf("read %v", &b)
	}
}

// brokenSigner is a signer with a fault.
type brokenSigner struct {
	*Key
	id  string
	sig []byte
	err error
}

func (b brokenSigner) KeyID() string                                { return b.id }
func (b brokenSigner) Sign(context.Context, []byte) ([]byte, error) { return b.sig, b.err }
func (b brokenSigner) Bundle(ctx context.Context, payloadType string, payload []byte) ([]byte, error) {
	return KeyBundle(ctx, b, payloadType, payload)
}

func TestSignStatementRefuses(t *testing.T) {
	t.Parallel()
	k := generate(t)
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	tests := map[string]struct {
		ctx     context.Context
		signer  Signer
		payload string
	}{
		"not canonical":        {context.Background(), k, `{ "a":1}`},
		"not JSON":             {context.Background(), k, `x`},
		"cancelled":            {cancelled, k, `{}`},
		"another key id":       {context.Background(), brokenSigner{Key: k, id: "SHA256:x"}, `{}`},
		"signer fails":         {context.Background(), brokenSigner{Key: k, id: k.KeyID(), err: errors.New("no")}, `{}`},
		"signature is nothing": {context.Background(), brokenSigner{Key: k, id: k.KeyID(), sig: []byte{1}}, `{}`},
	}
	for name, tt := range tests {
		if data, err := SignStatement(tt.ctx, tt.signer, attest.PayloadType, []byte(tt.payload)); err == nil {
			t.Errorf("%s: signed %s", name, data)
		}
	}
}

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	k, other := generate(t), generate(t)
	odd, err := SignStatement(context.Background(), k, "text/plain", payload)
	if err != nil {
		t.Fatal(err)
	}
	changed := edit(t, signed(t, k), func(b *bundleJSON) { b.Envelope.Payload = base64.StdEncoding.EncodeToString([]byte("{}")) })
	cases := []struct {
		name, code string
		data       []byte
		keys       map[string]crypto.PublicKey
	}{
		{"unknown signer", "no-trusted-signer", signed(t, k), trusting(other)},
		{"nobody trusted", "no-trusted-signer", signed(t, k), nil},
		{"payload changed", "signature-invalid", changed, trusting(k)},
		{"payload changed, unknown signer", "no-trusted-signer", changed, trusting(other)},
		{"claims another's key", "signature-invalid", relabel(t, signed(t, other), k.KeyID()), trusting(k)},
		{"payload type", "unsupported-payload-type", odd, trusting(k)},
		{"payload type by a stranger", "no-trusted-signer", odd, trusting(other)},
		{"a file's signature", "no-signature", []byte(`{"mediaType":"` + MediaType + `","verificationMaterial":{"publicKey":{"hint":""}},"messageSignature":{"signature":"AAAA"}}`), trusting(k)},
		{"a certificate", "no-trusted-signer", bytes.Replace(signed(t, k), []byte(`"publicKey"`), []byte(`"certificate"`), 1), trusting(other)},
	}
	for _, tt := range cases {
		_, got, err := parseAndVerify(tt.data, tt.keys)
		if gate.Code(err) != tt.code || got != nil {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.code)
		}
	}
	_, _, err = parseAndVerify(signed(t, k), trusting(other))
	if text := err.Error(); !strings.Contains(text, k.KeyID()) || !strings.Contains(text, other.KeyID()) {
		t.Errorf("the refusal does not name both keys: %v", err)
	}
}

// A key id is only a hint: with a wrong or no key id the right key is found.
func TestKeyIDIsOnlyAHint(t *testing.T) {
	t.Parallel()
	k, other := generate(t), generate(t)
	for _, label := range []string{"", "something else", other.KeyID()} {
		id, got, err := parseAndVerify(relabel(t, signed(t, k), label), trusting(k, other))
		if err != nil || id != k.KeyID() || !bytes.Equal(got, payload) {
			t.Errorf("labelled %q: %s, %v", label, id, err)
		}
	}
}

func edit(t *testing.T, data []byte, change func(*bundleJSON)) []byte {
	t.Helper()
	var b bundleJSON
	if err := json.Unmarshal(data, &b); err != nil {
		t.Fatal(err)
	}
	change(&b)
	out, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func relabel(t *testing.T, data []byte, id string) []byte {
	return edit(t, data, func(b *bundleJSON) { b.Material.PublicKey.Hint = id; b.Envelope.Signatures[0].KeyID = id })
}

func TestParseBundleRefuses(t *testing.T) {
	t.Parallel()
	good := signed(t, generate(t))
	replace := func(old, new string) []byte {
		if !bytes.Contains(good, []byte(old)) {
			t.Fatalf("%s is not in the bundle", old)
		}
		return bytes.Replace(good, []byte(old), []byte(new), 1)
	}
	second := edit(t, good, func(b *bundleJSON) { b.Envelope.Signatures = append(b.Envelope.Signatures, b.Envelope.Signatures[0]) })
	tests := []struct {
		name, code string
		data       []byte
	}{
		{"empty", "bad-json", nil},
		{"null", "bad-json", []byte("null")},
		{"an array", "bad-json", []byte("[]")},
		{"truncated", "bad-json", good[:len(good)/2]},
		{"two bundles", "bad-json", append(bytes.Clone(good), good...)},
		{"key twice", "bad-json", replace(`"mediaType":`, `"mediaType":"x","mediaType":`)},
		{"unknown field", "bad-json", replace(`"mediaType":`, `"extra":1,"mediaType":`)},
		{"unknown material", "bad-json", replace(`"publicKey":`, `"extra":1,"publicKey":`)},
		{"no material", "bad-json", replace(`"publicKey"`, `"tlogEntries"`)},
		{"key and certificate", "bad-json", replace(`"publicKey":`, `"certificate":{},"publicKey":`)},
		{"number for a text", "bad-json", replace(`"payloadType": "application/vnd.in-toto+json"`, `"payloadType": 1`)},
		{"payload is not base64", "bad-json", replace(`"payload": "`, `"payload": "*`)},
		{"base64 with a line break", "bad-json", replace(`"payload": "`, `"payload": "\n`)},
		{"base64 with bits left over", "bad-json", edit(t, good, func(b *bundleJSON) { b.Envelope.Payload = "AB==" })},
		{"base64 without padding", "bad-json", edit(t, good, func(b *bundleJSON) { b.Envelope.Payload = "AA" })},
		{"no media type", "bundle-unknown-version", edit(t, good, func(b *bundleJSON) { b.MediaType = "" })},
		{"version 0.9", "bundle-unknown-version", replace("v0.3", "v0.9")},
		{"version 99.9", "bundle-unknown-version", edit(t, good, func(b *bundleJSON) { b.MediaType = "application/vnd.dev.sigstore.bundle+json;version=99.9" })},
		{"no envelope", "no-signature", edit(t, good, func(b *bundleJSON) { b.Envelope = nil })},
		{"no signatures", "no-signature", edit(t, good, func(b *bundleJSON) { b.Envelope.Signatures = nil })},
		{"empty signature", "no-signature", edit(t, good, func(b *bundleJSON) { b.Envelope.Signatures[0].Sig = "" })},
		{"two signatures", "too-many-signatures", second},
		{"envelope and file", "too-many-signatures", replace(`"dsseEnvelope":`, `"messageSignature":{"signature":"AAAA"},"dsseEnvelope":`)},
		{"hint and key id differ", "bundle-hint-mismatch", edit(t, good, func(b *bundleJSON) { b.Material.PublicKey.Hint = "SHA256:other" })},
		{"too large", "bad-json", make([]byte, MaxBundle+1)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, err := ParseBundle(tt.data); gate.Code(err) != tt.code {
				t.Errorf("%v, want %s", err, tt.code)
			}
		})
	}
}

func TestParseBundleReadsOtherSpellings(t *testing.T) {
	t.Parallel()
	k := generate(t)
	good := signed(t, k)
	for _, mediaType := range mediaTypes {
		if id, _, err := parseAndVerify(edit(t, good, func(b *bundleJSON) { b.MediaType = mediaType }), trusting(k)); err != nil || id != k.KeyID() {
			t.Errorf("%s: %v", mediaType, err)
		}
	}
	urlSafe := edit(t, good, func(b *bundleJSON) {
		for _, s := range []*string{&b.Envelope.Payload, &b.Envelope.Signatures[0].Sig} {
			*s = strings.NewReplacer("+", "-", "/", "_").Replace(*s)
		}
	})
	if _, got, err := parseAndVerify(urlSafe, trusting(k)); err != nil || !bytes.Equal(got, payload) {
		t.Errorf("URL-safe base64: %v", err)
	}
}

// A changed byte anywhere in a bundle is refused, by a code, or leaves signer and statement what they were.
func TestEveryByteOfABundle(t *testing.T) {
	t.Parallel()
	k := generate(t)
	keys := trusting(k)
	good := signed(t, k)
	refused, same := 0, 0
	for i := range good {
		for _, flip := range []byte{0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80} {
			data := bytes.Clone(good)
			data[i] ^= flip
			id, got, err := parseAndVerify(data, keys)
			switch {
			case err != nil && gate.Code(err) == "":
				t.Errorf("byte %d: refused without a code: %v", i, err)
			case err != nil:
				refused++
			case id != k.KeyID() || !bytes.Equal(got, payload):
				t.Errorf("byte %d, %q to %q: another meaning: %s signed %q", i, good[i], data[i], id, got)
			default:
				same++
			}
		}
	}
	t.Logf("%d changes refused, %d without meaning", refused, same)
	if same > refused/5 {
		t.Errorf("%d of %d changes passed: most bytes should count", same, same+refused)
	}
	for n := range good[:len(good)-1] {
		if _, _, err := parseAndVerify(good[:n], keys); gate.Code(err) == "" {
			t.Errorf("cut off after %d bytes: %v", n, err)
		}
	}
}

// Whatever is accepted means the same to Sigstore's own types.
func FuzzParseBundle(f *testing.F) {
	k := generate(f)
	f.Add(signed(f, k))
	f.Add([]byte(`{"mediaType":"` + MediaType + `","verificationMaterial":{"certificate":{}},"messageSignature":{"messageDigest":{"algorithm":"SHA2_256","digest":"AAAA"},"signature":"AAAA"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := ParseBundle(data)
		if err != nil {
			if gate.Code(err) == "" {
				t.Errorf("refused without a code: %v", err)
			}
			return
		}
		var theirs protobundle.Bundle
		if protojson.Unmarshal(data, &theirs) != nil {
			return
		}
		if b.Envelope != nil && (!bytes.Equal(b.Envelope.Payload, theirs.GetDsseEnvelope().GetPayload()) ||
			!bytes.Equal(b.Envelope.Signature, theirs.GetDsseEnvelope().GetSignatures()[0].GetSig())) {
			t.Errorf("two readings of %q", data)
		}
		if _, _, err := Verify(b, trusting(k)); err != nil && gate.Code(err) == "" {
			t.Errorf("refused without a code: %v", err)
		}
	})
}

func FuzzParseEnvelope(f *testing.F) {
	f.Add([]byte(`{"payload":"AAAA","payloadType":"x","signatures":[{"sig":"AAAA"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if b, err := ParseEnvelope(data); err != nil && gate.Code(err) == "" || err == nil && len(b.Envelope.Signature) == 0 {
			t.Errorf("%v, %v", b, err)
		}
	})
}
