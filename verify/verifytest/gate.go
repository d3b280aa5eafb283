package verifytest

import (
	"strings"
	"testing"
	"time"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/sign/signtest"
	"github.com/sello-release/sello/internal/stage"
	"github.com/sello-release/sello/internal/trust"
)

// VerifierID is the verifier for which the gate of a world signs.
const VerifierID = "https://age.example/verifiers/gate"

// NewGateWorld is NewWorld with a gate: the identity "gate" signs summaries.
func NewGateWorld(tb testing.TB, changes ...func(*trust.Trust)) *World {
	tb.Helper()
	key, err := sign.Generate()
	check(tb, err)
	public, err := key.PublicPEM()
	check(tb, err)
	w := NewWorld(tb, append([]func(*trust.Trust){func(t *trust.Trust) {
		t.Identities["gate"] = trust.Identity{Key: string(public)}
		t.Roles[trust.RoleVerifier] = trust.Role{Identities: []string{"gate"}}
		t.Verifiers = []trust.Verifier{{ID: VerifierID, Signer: "gate"}}
	}}, changes...)...)
	w.Keys["gate"] = key
	return w
}

// NewKeylessGateWorld is NewKeylessWorld with a gate that signs with certificates, too.
func NewKeylessGateWorld(tb testing.TB, now time.Time) *World {
	tb.Helper()
	instance := signtest.New(tb, now)
	w := NewGateWorld(tb, func(t *trust.Trust) {
		k := Keyless("gate")
		t.TrustedRoot, t.Identities["gate"] = signtest.Pin(instance.Root), trust.Identity{Issuer: k.Issuer, Subject: k.Subject}
	})
	w.Sigstore = instance
	check(tb, w.Trust.SetRoot(instance.Root))
	return w
}

// Summary is a gate's summary before it is signed.
type Summary struct {
	Subjects []attest.Subject
	attest.Summary
	Signer  *sign.Key
	Payload func(payload []byte) []byte // changes it before it is signed; keep it canonical
	Bundle  func(data []byte) []byte    // changes what is published; nil leaves it out
	Plain   func(data []byte) []byte    // changes what is published; nil leaves it out
	Late    bool                        // put beside the release after it was made
}

// summary writes the gate's summary, or gives what writes it later.
func (w *World) summary(tb testing.TB, d *Draft, dir string) (late func()) {
	tb.Helper()
	if w.Keys["gate"] == nil {
		return func() {}
	}
	list, err := stage.Decode(Read(tb, dir, stage.FileName))
	check(tb, err)
	same := func(data []byte) []byte { return data }
	s := &Summary{Subjects: list.Subjects(), Signer: w.Keys["gate"], Payload: same, Bundle: same, Plain: same, Summary: attest.Summary{
		Verifier: attest.Verifier{ID: VerifierID, Version: map[string]string{"sello": "test"}}, TimeVerified: Now, ResourceURI: trust.Purl(Source, Project, list.Version),
		Policy: attest.ResourceOf("git+"+Source+"#trust.yaml", strings.Repeat("a", 64)), Result: attest.Passed, Levels: []string{"SLSA_BUILD_LEVEL_3"},
		InputAttestations: []attest.Resource{attest.ResourceOf("pkg:generic/age@v1#x", strings.Repeat("b", 64))},
	}}
	if d.Summary != nil {
		d.Summary(s)
	}
	statement, err := attest.NewSummary(s.Subjects, s.Summary)
	check(tb, err)
	payload, err := statement.Encode()
	check(tb, err)
	bundle := w.sign(tb, s.Signer, s.Payload(payload))
	plain, err := sign.Plain(bundle)
	check(tb, err)
	put := func() {
		if s.Bundle != nil {
			Write(tb, dir, stage.SummaryBundle, s.Bundle(bundle))
		}
		if s.Plain != nil {
			Write(tb, dir, stage.SummaryPlain, s.Plain(plain))
		}
	}
	if s.Late {
		return put
	}
	put()
	return func() {}
}
