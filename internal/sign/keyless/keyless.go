// Package keyless signs with certificates that an authority (Fulcio) issues for a short time to whom an OpenID Connect token
// names. Each bundle has a signed timestamp (RFC 3161) and the entry of a transparency log (Rekor), from the services that a
// signing_config.json names.
//
// # Promises
//
// One key, made in memory and never written, and one certificate serve all bundles of a Signer, in parallel; when the certificate
// is about to expire, another takes its place. Whom the certificate names is compared with the identity that is meant before
// anything is signed or logged. Every bundle is verified with the trusted root before it is given out. Requests are
// repeated a bounded number of times, with growing pauses; then the signer stops, and nothing is half signed.
//
// # What it does not do
//
// It stores no tokens and shows none. It asks nobody: whether it may make an identity public is for the caller to know.
package keyless

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	sigstore "github.com/sigstore/sigstore-go/pkg/sign"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/trust"
)

// Options say who signs, and with which services.
type Options struct {
	Identity trust.Keyless // whom certificates have to name
	Config   *Config
	Root     *sign.Root        // judges what was signed
	Token    TokenSource       // gives a token for the audience
	Audience string            // of the token; default sigstore
	Wait     time.Duration     // for a service that is down, in all; default two minutes
	Note     func(text string) // is told of waiting and falling back; may be nil
}

// parallel bounds how many signatures are on their way to the log at once: it takes them in batches.
const parallel = 256

// Signer is a sign.Signer.
type Signer struct {
	Options
	slots     chan struct{}
	turn      chan struct{} // held by whom gets a certificate
	now       *credential
	transport http.RoundTripper
}

var _ sign.Signer = (*Signer)(nil)

// New makes a signer. Nothing is asked for before Ready or the first Bundle.
func New(o Options) *Signer {
	if o.Audience == "" {
		o.Audience = "sigstore"
	}
	if o.Wait == 0 {
		o.Wait = 2 * time.Minute
	}
	if o.Note == nil {
		o.Note = func(string) {}
	}
	return &Signer{Options: o, slots: make(chan struct{}, parallel), turn: make(chan struct{}, 1), transport: newTransport()}
}

// KeyID names whom certificates name.
func (s *Signer) KeyID() string { return s.Identity.ID() }

// Ready gets a certificate, so that what is wrong with the token or the authority is known before the work is done. It
// refuses with the codes of Bundle.
func (s *Signer) Ready(ctx context.Context) error {
	_, err := s.credential(ctx)
	return err
}

// Bundle signs a payload. Refused are, by code: token-missing, token-invalid, token-expired, token-audience,
// certificate-authority-down, certificate-refused, certificate-identity, certificate-key, timestamp-authority-down, timestamp-refused, log-down,
// log-refused, and what the trusted root does not vouch for, with the codes of sign.Root.Verify.
func (s *Signer) Bundle(ctx context.Context, payloadType string, payload []byte) ([]byte, error) {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	for attempt := 1; ; attempt++ {
		data, err := s.once(ctx, payloadType, payload)
		// The log has the signature and its answer was lost, or the certificate ran out on the way: another signature helps.
		if again := errors.Is(err, errConflict) || gate.Code(err) == "cert-outside-validity"; err == nil || !again || attempt == 3 {
			return data, err
		}
	}
}

func (s *Signer) once(ctx context.Context, payloadType string, payload []byte) ([]byte, error) {
	c, err := s.credential(ctx)
	if err != nil {
		return nil, err
	}
	content := sigstore.DSSEData{Data: payload, PayloadType: payloadType}
	sig, sum, err := c.key.SignData(ctx, content.PreAuthEncoding())
	if err != nil {
		return nil, fmt.Errorf("sign with ephemeral key: %w", err)
	}
	b := &protobundle.Bundle{MediaType: sign.MediaType, VerificationMaterial: &protobundle.VerificationMaterial{
		Content: &protobundle.VerificationMaterial_Certificate{Certificate: &protocommon.X509Certificate{RawBytes: c.leaf.Raw}}}}
	content.Bundle(b, sig, sum, c.key.GetHashAlgorithm())
	if err := s.witness(ctx, c, sig, b); err != nil {
		return nil, err
	}
	return s.judge(b, payloadType)
}

// witness adds timestamps and log entries.
func (s *Signer) witness(ctx context.Context, c *credential, sig []byte, b *protobundle.Bundle) error {
	stamps := make([]*protocommon.RFC3161SignedTimestamp, len(s.Config.clocks))
	logged := &protobundle.Bundle{Content: b.Content, VerificationMaterial: &protobundle.VerificationMaterial{Content: b.VerificationMaterial.Content}}
	g, gctx := errgroup.WithContext(ctx)
	for i, where := range s.Config.clocks {
		g.Go(func() error {
			stamp, err := s.timestamp(gctx, where, sig)
			stamps[i] = &protocommon.RFC3161SignedTimestamp{SignedTimestamp: stamp}
			return err
		})
	}
	g.Go(func() error {
		for _, l := range s.Config.logs {
			err := s.log(gctx, l, c, logged)
			if gate.Code(err) == "log-down" && s.Root.LogOptional() && len(stamps) > 0 {
				s.Note("the transparency log " + l.URL + " is down: signing with a timestamp only, as " + trust.FileName + " allows")
				logged.VerificationMaterial.TlogEntries = nil
				return nil
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err := g.Wait(); err != nil {
		return err
	}
	if len(stamps) > 0 {
		b.VerificationMaterial.TimestampVerificationData = &protobundle.TimestampVerificationData{Rfc3161Timestamps: stamps}
	}
	b.VerificationMaterial.TlogEntries = logged.VerificationMaterial.TlogEntries
	return nil
}

// judge writes the bundle, and gives it out when it verifies.
func (s *Signer) judge(b *protobundle.Bundle, payloadType string) ([]byte, error) {
	raw, err := protojson.Marshal(b)
	if err != nil {
		return nil, fmt.Errorf("encode bundle: %w", err)
	}
	var out bytes.Buffer // protojson's spaces differ from program to program
	if err := json.Indent(&out, raw, "", "  "); err != nil {
		return nil, fmt.Errorf("encode bundle: %w", err)
	}
	out.WriteByte('\n')
	parsed, err := sign.ParseBundle(out.Bytes())
	if err != nil {
		return nil, err
	}
	w, err := s.Root.Verify(parsed, nil, time.Now())
	if err != nil {
		return nil, fmt.Errorf("judge what was signed: %w", err)
	}
	if w.Signer != s.Identity || parsed.Envelope.PayloadType != payloadType {
		return nil, wrongIdentity(s.Identity, w.Signer)
	}
	return out.Bytes(), nil
}

func wrongIdentity(want, found trust.Keyless) error {
	return &gate.Refusal{Code: "certificate-identity", Class: gate.Usage, What: "the token names somebody else than the identity in " + trust.FileName, Expected: want.String(), Actual: found.String(),
		Fix: "sign in as the identity, or have " + trust.FileName + " say whom its certificates name"}
}

// Public says what signing makes public, and for how long.
func (s *Signer) Public() string {
	what := "the certificate with " + s.Identity.String()
	if len(s.Config.logs) == 0 {
		return what + " will be in every bundle that is published"
	}
	var logs []string
	for _, l := range s.Config.logs {
		logs = append(logs, l.URL)
	}
	return what + ", the time and the digest of each statement are put into the transparency log " + strings.Join(slices.Compact(logs), ", ") + ", which anyone can read and nobody can delete from"
}
