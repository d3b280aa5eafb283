package sign_test

import (
	"bytes"
	"encoding/asn1"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protodsse "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/sign/signtest"
	"github.com/sello-release/sello/internal/trust"
)

var (
	now       = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	ann       = trust.Keyless{Issuer: "https://accounts.example", Subject: "ann@age.example"}
	statement = []byte(`{"_type":"https://in-toto.io/Statement/v1","predicateType":"https://example.com/p","subject":[{"digest":{"sha256":"` + strings.Repeat("a", 64) + `"},"name":"x"}]}`)
)

func rootOf(t testing.TB, i *signtest.Instance) *sign.Root {
	t.Helper()
	r, err := sign.ParseRoot(i.Root)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func open(r *sign.Root, data []byte) (*sign.Witnessed, error) {
	b, err := sign.ParseBundle(data)
	if err != nil {
		return nil, err
	}
	return r.Verify(b, nil, now)
}

// What a private instance witnesses is accepted, in each of its shapes.
func TestPrivateInstance(t *testing.T) {
	t.Parallel()
	for name, parts := range map[string][]string{"log and clock": nil, "clock alone": {signtest.NoLog}} {
		i := signtest.New(t, now, parts...)
		w, err := open(rootOf(t, i), i.Sign(t, ann, statement, func(d *signtest.Draft) { d.NoLog = parts != nil }))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if w.Signer != ann || !bytes.Equal(w.Payload, statement) || len(w.Times) != 1 || !w.Times[0].Equal(now.Add(-time.Minute)) {
			t.Errorf("%s: %+v", name, w)
		}
	}
	uri := trust.Keyless{Issuer: ann.Issuer, Subject: "https://git.example/age/.github/workflows/release.yml@refs/heads/main"}
	i := signtest.New(t, now)
	if w, err := open(rootOf(t, i), i.Sign(t, uri, statement)); err != nil || w.Signer != uri {
		t.Errorf("a URI: %+v, %v", w, err)
	}
}

// Each thing that can be wrong with a bundle is refused by its own name.
func TestKeylessRefusals(t *testing.T) {
	t.Parallel()
	i, other := signtest.New(t, now), signtest.New(t, now)
	for _, c := range []struct {
		name, code string
		change     func(*signtest.Draft)
	}{
		{"certificate expired before it was used", "cert-outside-validity", func(d *signtest.Draft) { d.Issued = now.Add(-time.Hour); d.Signed = d.Issued.Add(11 * time.Minute) }},
		{"certificate used before it was issued", "cert-outside-validity", func(d *signtest.Draft) { d.Signed = d.Issued.Add(-time.Minute) }},
		{"certificate older than its authority", "cert-outside-validity", func(d *signtest.Draft) { d.Issued = now.AddDate(0, 0, -9); d.Signed = d.Issued.Add(time.Minute) }},
		{"timestamp from the future", "timestamp-invalid", func(d *signtest.Draft) { d.Issued = now.Add(time.Hour); d.Signed = now.Add(time.Hour + time.Minute) }},
		{"no timestamp", "timestamp-missing", func(d *signtest.Draft) { d.NoTimestamp = true }},
		{"no log entry", "log-missing", func(d *signtest.Draft) { d.NoLog = true }},
		{"no issuer", "no-trusted-signer", func(d *signtest.Draft) { d.Signer.Issuer = "" }},
		{"no subject", "no-trusted-signer", func(d *signtest.Draft) { d.Subjects = nil }},
		{"two subjects", "no-trusted-signer", func(d *signtest.Draft) { d.Subjects = []string{ann.Subject, "https://git.example/age"} }},
		{"two addresses", "no-trusted-signer", func(d *signtest.Draft) { d.Subjects = []string{ann.Subject, "eve@age.example"} }},
		{"wildcard subject", "no-trusted-signer", func(d *signtest.Draft) { d.Subjects = []string{"*@age.example"} }},
		{"keyid of another key", "bundle-hint-mismatch", envelope(func(e *protodsse.Envelope) { e.Signatures[0].Keyid = "SHA256:another" })},
		{"payload of another type", "unsupported-payload-type", func(d *signtest.Draft) { d.PayloadType = "text/plain" }},
		{"payload type with a parameter", "unsupported-payload-type", func(d *signtest.Draft) { d.PayloadType = attest.PayloadType + "; charset=utf-8" }},
		{"payload type in capitals", "unsupported-payload-type", func(d *signtest.Draft) { d.PayloadType = "Application/vnd.in-toto+json" }},
		{"payload type changed after signing", "signature-invalid", envelope(func(e *protodsse.Envelope) { e.PayloadType = "application/vnd.in-toto.provenance+json" })},
		{"payload changed", "signature-invalid", envelope(func(e *protodsse.Envelope) { e.Payload = bytes.Replace(e.Payload, []byte("aaa"), []byte("aab"), 1) })},
		{"two signatures", "too-many-signatures", envelope(func(e *protodsse.Envelope) { e.Signatures = append(e.Signatures, e.Signatures[0]) })},
		{"no signature", "no-signature", envelope(func(e *protodsse.Envelope) { e.Signatures = nil })},
		{"another instance's log entry", "log-entry-mismatch", func(d *signtest.Draft) {
			d.Bundle = func(b *protobundle.Bundle) {
				b.VerificationMaterial.TlogEntries = part(t, other.Sign(t, ann, statement)).TlogEntries
			}
		}},
		{"another signature's log entry", "log-entry-mismatch", func(d *signtest.Draft) {
			d.Bundle = func(b *protobundle.Bundle) {
				b.VerificationMaterial.TlogEntries = part(t, i.Sign(t, ann, statement)).TlogEntries
			}
		}},
		{"another signature's timestamp", "timestamp-invalid", func(d *signtest.Draft) {
			d.Bundle = func(b *protobundle.Bundle) {
				b.VerificationMaterial.TimestampVerificationData = part(t, i.Sign(t, ann, statement)).TimestampVerificationData
			}
		}},
		{"another signer's certificate", "signature-invalid", func(d *signtest.Draft) {
			d.Bundle = func(b *protobundle.Bundle) {
				b.VerificationMaterial.Content = part(t, i.Sign(t, ann, statement)).Content
			}
		}},
		{"a certificate chain in a bundle of version 0.3", "bad-json", func(d *signtest.Draft) {
			d.Bundle = func(b *protobundle.Bundle) {
				b.VerificationMaterial.Content = &protobundle.VerificationMaterial_X509CertificateChain{}
			}
		}},
	} {
		if _, err := open(rootOf(t, i), i.Sign(t, ann, statement, c.change)); gate.Code(err) != c.code {
			t.Errorf("%s: %v, want %s", c.name, err, c.code)
		}
	}
	if _, err := open(rootOf(t, other), i.Sign(t, ann, statement)); gate.Code(err) != "cert-untrusted" {
		t.Errorf("another instance: %v", err)
	}
	ct := signtest.New(t, now, signtest.WithCT)
	if _, err := open(rootOf(t, ct), ct.Sign(t, ann, statement)); gate.Code(err) != "sct-invalid" {
		t.Errorf("no timestamp by a log of certificates: %v", err)
	}
}

func envelope(change func(*protodsse.Envelope)) func(*signtest.Draft) {
	return func(d *signtest.Draft) {
		d.Bundle = func(b *protobundle.Bundle) { change(b.GetDsseEnvelope()) }
	}
}

func part(t testing.TB, data []byte) *protobundle.VerificationMaterial {
	t.Helper()
	b, err := signtest.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	return b.VerificationMaterial
}

// Others write ECDSA signatures as r||s; that is the same signature.
func TestRawSignature(t *testing.T) {
	t.Parallel()
	i := signtest.New(t, now)
	if w, err := open(rootOf(t, i), i.Sign(t, ann, statement, func(d *signtest.Draft) { d.Raw = true })); err != nil || w.Signer != ann {
		t.Errorf("%+v, %v", w, err)
	}
}

// The name in a certificate counts as it is encoded, and alone.
func TestNamesAsEncoded(t *testing.T) {
	t.Parallel()
	i := signtest.New(t, now)
	name := func(tag int, s string) asn1.RawValue {
		return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tag, Bytes: []byte(s)}
	}
	const dns, email, uri = 2, 1, 6
	for _, c := range []struct {
		name, subject string
		names         []asn1.RawValue
	}{
		{"an address", "ann@age.example", []asn1.RawValue{name(email, "ann@age.example")}},
		{"a URI", "https://git.example/age", []asn1.RawValue{name(uri, "https://git.example/age")}},
		{"a URI in capitals", "HTTPS://git.example/age", []asn1.RawValue{name(uri, "HTTPS://git.example/age")}},
		{"an address and a host", "", []asn1.RawValue{name(email, "ann@age.example"), name(dns, "age.example")}},
		{"a host", "", []asn1.RawValue{name(dns, "age.example")}},
		{"a URI twice", "", []asn1.RawValue{name(uri, "https://git.example/age"), name(uri, "https://git.example/age")}},
		{"no names", "", []asn1.RawValue{}},
	} {
		w, err := open(rootOf(t, i), i.Sign(t, ann, statement, func(d *signtest.Draft) { d.Names = c.names }))
		switch {
		case c.subject == "" && gate.Code(err) != "no-trusted-signer":
			t.Errorf("%s: %v", c.name, err)
		case c.subject != "" && (err != nil || w.Signer.Subject != c.subject):
			t.Errorf("%s: %+v, %v", c.name, w, err)
		}
	}
}

// Identities of a trust file are compared byte by byte, and who signed is said in letters that cannot be mistaken.
func TestSignersKeyless(t *testing.T) {
	t.Parallel()
	i := signtest.New(t, now)
	for _, c := range []struct {
		name, code, says string
		who              trust.Keyless
	}{
		{"the identity itself", "", "", ann},
		{"another subject", "no-trusted-signer", "eve@age.example", trust.Keyless{Issuer: ann.Issuer, Subject: "eve@age.example"}},
		{"another issuer", "no-trusted-signer", "https://accounts.evil.example", trust.Keyless{Issuer: "https://accounts.evil.example", Subject: ann.Subject}},
		{"issuer with a slash", "no-trusted-signer", "", trust.Keyless{Issuer: ann.Issuer + "/", Subject: ann.Subject}},
		{"subject in capitals", "no-trusted-signer", "", trust.Keyless{Issuer: ann.Issuer, Subject: "Ann@age.example"}},
		{"longer subject", "no-trusted-signer", "", trust.Keyless{Issuer: ann.Issuer, Subject: ann.Subject + ".evil"}},
		{"Cyrillic letter in the issuer", "no-trusted-signer", `\u0430`, trust.Keyless{Issuer: "https://\u0430ccounts.example", Subject: ann.Subject}},
		{"zero width space", "no-trusted-signer", `\u200b`, trust.Keyless{Issuer: ann.Issuer + "\u200b", Subject: ann.Subject}},
		{"line break", "no-trusted-signer", `\n`, trust.Keyless{Issuer: ann.Issuer + "\n", Subject: ann.Subject}},
	} {
		b, err := sign.ParseBundle(i.Sign(t, c.who, statement))
		if err != nil {
			t.Fatal(err)
		}
		s := sign.SignersOf(trusting(t, i, ann))
		s.Now = now
		id, payload, err := s.Verify(b)
		if gate.Code(err) != c.code || err == nil && (id != ann.ID() || !bytes.Equal(payload, statement)) {
			t.Errorf("%s: %s, %v, want %q", c.name, id, err, c.code)
		}
		if err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v does not say %s", c.name, err, c.says)
		}
	}
}

func trusting(t testing.TB, i *signtest.Instance, who ...trust.Keyless) *trust.Trust {
	t.Helper()
	f := &trust.Trust{Identities: map[string]trust.Identity{}, TrustedRoot: signtest.Pin(i.Root)}
	for n, k := range who {
		f.Identities[fmt.Sprint("id", n)] = trust.Identity{Issuer: k.Issuer, Subject: k.Subject}
	}
	if err := f.SetRoot(i.Root); err != nil {
		t.Fatal(err)
	}
	return f
}

// Without the trusted root nobody is accepted, and what is missing is said.
func TestSignersWithoutRoot(t *testing.T) {
	t.Parallel()
	i := signtest.New(t, now)
	b, err := sign.ParseBundle(i.Sign(t, ann, statement))
	if err != nil {
		t.Fatal(err)
	}
	f := &trust.Trust{Identities: map[string]trust.Identity{"ann": {Issuer: ann.Issuer, Subject: ann.Subject}}, TrustedRoot: signtest.Pin(i.Root)}
	if _, _, err := sign.SignersOf(f).Verify(b); gate.Code(err) != "trusted-root-missing" {
		t.Errorf("no root: %v", err)
	}
	if err := f.SetRoot(signtest.New(t, now).Root); gate.Code(err) != "trusted-root-mismatch" {
		t.Errorf("another root: %v", err)
	}
	f.Identities = nil
	if _, _, err := sign.SignersOf(f).Verify(b); gate.Code(err) != "no-trusted-signer" {
		t.Errorf("nobody keyless: %v", err)
	}
}

func TestParseRootRefuses(t *testing.T) {
	t.Parallel()
	good := string(signtest.New(t, now).Root)
	var doc map[string]json.RawMessage
	if err := json.Unmarshal([]byte(good), &doc); err != nil {
		t.Fatal(err)
	}
	without := func(name string) string {
		rest := map[string]json.RawMessage{}
		for k, v := range doc {
			if k != name {
				rest[k] = v
			}
		}
		data, _ := json.Marshal(rest)
		return string(data)
	}
	for name, data := range map[string]string{
		"nothing": "", "no JSON": "x", "empty object": "{}", "a list": "[]", "more after it": good + "{}", "a key twice": strings.Replace(good, "{", `{"mediaType":"x",`, 1),
		"too large": good + strings.Repeat(" ", sign.MaxRoot), "deep": strings.Repeat("[", 100_000), "another media type": strings.Replace(good, "version=0.1", "version=9", 1),
		"no authority": without("certificateAuthorities"), "nobody who says when": string(signtest.New(t, now, signtest.NoLog, signtest.NoClock).Root),
	} {
		if _, err := sign.ParseRoot([]byte(data)); gate.Code(err) != "trusted-root-invalid" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := sign.ParseRoot([]byte(good)); err != nil {
		t.Error(err)
	}
}

// Bundles that two readers could understand differently, or that are meant to exhaust one, are refused before they are looked into.
func TestHostileKeylessBundles(t *testing.T) {
	t.Parallel()
	i := signtest.New(t, now)
	r, good := rootOf(t, i), string(i.Sign(t, ann, statement))
	for name, data := range map[string]string{
		"key twice":             strings.Replace(good, `"payloadType"`, `"payloadType":"text/plain","payloadType"`, 1),
		"two spellings":         strings.Replace(good, `"payloadType"`, `"payload_type":"text/plain","payloadType"`, 1),
		"certificate twice":     strings.Replace(good, `"rawBytes"`, `"rawBytes":"AAAA","rawBytes"`, 1),
		"deep":                  strings.Replace(good, `"tlogEntries":[`, `"tlogEntries":[`+strings.Repeat("[", 10_000), 1),
		"unknown field":         strings.Replace(good, `"payloadType"`, `"x":1,"payloadType"`, 1),
		"large":                 good + strings.Repeat(" ", sign.MaxBundle),
		"more after it":         good + good,
		"certificate and a key": strings.Replace(good, `"certificate"`, `"publicKey":{"hint":"x"},"certificate"`, 1),
	} {
		if data == good {
			t.Errorf("%s: nothing was changed", name)
		}
		if _, err := open(r, []byte(data)); gate.Code(err) != "bad-json" {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, entries := range map[string]int{"40 log entries": 40} {
		data := i.Sign(t, ann, statement, func(d *signtest.Draft) {
			d.Bundle = func(b *protobundle.Bundle) {
				for range entries {
					b.VerificationMaterial.TlogEntries = append(b.VerificationMaterial.TlogEntries, b.VerificationMaterial.TlogEntries[0])
				}
			}
		})
		if _, err := open(r, data); gate.Code(err) != "bad-json" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever comes, nothing but the very statement by its very signer is accepted.
func FuzzKeylessBundle(f *testing.F) {
	i := signtest.New(f, now)
	r := rootOf(f, i)
	f.Add(i.Sign(f, ann, statement))
	f.Add(i.Sign(f, ann, statement, func(d *signtest.Draft) { d.NoLog = true }))
	f.Add([]byte(`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"x509CertificateChain":{"certificates":[]}},"messageSignature":{"signature":"AAAA"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		w, err := open(r, data)
		if err != nil {
			if gate.Code(err) == "" {
				t.Errorf("refused without a code: %v", err)
			}
			return
		}
		if w.Signer != ann || !bytes.Equal(w.Payload, statement) {
			t.Errorf("accepted %+v", w)
		}
	})
}

func BenchmarkKeylessVerify(b *testing.B) {
	i := signtest.New(b, now)
	r, data := rootOf(b, i), i.Sign(b, ann, statement)
	for b.Loop() {
		if _, err := open(r, data); err != nil {
			b.Fatal(err)
		}
	}
}
