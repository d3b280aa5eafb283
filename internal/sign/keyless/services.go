package keyless

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"

	sigstore "github.com/sigstore/sigstore-go/pkg/sign"

	"github.com/sello-release/sello/internal/gate"
)

// credential is a key and the certificate that names whose it is.
type credential struct {
	key  *sigstore.EphemeralKeypair
	leaf *x509.Certificate
	good time.Time // until when signatures are begun with it
}

// credential gives the present one, and gets another when there is none or it is about to expire. Who comes meanwhile waits.
func (s *Signer) credential(ctx context.Context) (*credential, error) {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if s.now != nil && time.Now().Before(s.now.good) {
		return s.now, nil
	}
	c, err := s.certify(ctx)
	if err == nil {
		s.now = c
	}
	return c, err
}

func (s *Signer) certify(ctx context.Context) (*credential, error) {
	token, err := s.Token(ctx, s.Audience)
	if err != nil {
		return nil, err
	}
	if err := checkToken(token, s.Audience, time.Now()); err != nil {
		return nil, err
	}
	key, err := sigstore.NewEphemeralKeypair(nil)
	if err != nil {
		return nil, fmt.Errorf("generate ephemeral key: %w", err)
	}
	p := s.patience(ctx)
	fulcio := sigstore.NewFulcio(&sigstore.FulcioOptions{BaseURL: strings.TrimSuffix(s.Config.authority, "/"), Timeout: -1, Transport: p})
	der, err := fulcio.GetCertificate(ctx, key, &sigstore.CertificateProviderOptions{IDToken: token})
	if err != nil {
		return nil, p.refusal(err, "certificate-authority-down", "certificate-refused", "certificate authority", s.Config.authority)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, p.refusal(err, "", "certificate-refused", "certificate authority", s.Config.authority)
	}
	found, err := s.Root.Issued(leaf, time.Now())
	if err != nil {
		return nil, err
	}
	if found != s.Identity {
		return nil, wrongIdentity(s.Identity, found)
	}
	if public, ok := leaf.PublicKey.(interface{ Equal(crypto.PublicKey) bool }); !ok || !public.Equal(key.GetPublicKey()) {
		return nil, &gate.Refusal{Code: "certificate-key", Class: gate.Failed, Where: s.Config.authority, What: "the certificate is not for the key that it was asked for", Expected: "this run's key", Actual: "another key",
			Fix: "ask the authority's operators; nothing was signed, and the same command goes on where it stopped"}
	}
	// A tenth of its life, a minute at most, is left for what is on its way when it is replaced.
	margin := min(leaf.NotAfter.Sub(leaf.NotBefore)/10, time.Minute)
	return &credential{key: key, leaf: leaf, good: leaf.NotAfter.Add(-margin)}, nil
}

func (s *Signer) timestamp(ctx context.Context, where string, sig []byte) ([]byte, error) {
	p := s.patience(ctx)
	authority := sigstore.NewTimestampAuthority(&sigstore.TimestampAuthorityOptions{URL: where, Timeout: -1, Transport: p})
	stamp, err := authority.GetTimestamp(ctx, sig)
	if err != nil {
		return nil, p.refusal(err, "timestamp-authority-down", "timestamp-refused", "timestamp authority", where)
	}
	return stamp, nil
}

// refusal says that a service is down, or what it answered.
func (p *patience) refusal(err error, down, refused, service, where string) error {
	if cause := context.Cause(p.ctx); cause != nil {
		return fmt.Errorf("ask %s: %w", service, cause)
	}
	r := &gate.Refusal{Code: refused, Class: gate.Failed, Where: where, What: "the " + service + " does not do what was asked", Cause: brief(err),
		Fix: "read its answer; nothing was signed by halves, and the same command goes on where it stopped"}
	var gone *unreachable
	if errors.As(err, &gone) {
		r.Code, r.What, r.Fix = down, "the "+service+" is down", "try again when it is up: nothing was signed by halves, and the same command goes on where it stopped"
	}
	return r
}

// brief bounds a text that repeats what a service answered.
func brief(err error) error {
	if text := err.Error(); len(text) > 500 {
		return errors.New(strings.ToValidUTF8(text[:500], "") + " …")
	}
	return err
}
