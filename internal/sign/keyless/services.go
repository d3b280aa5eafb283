package keyless

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	tilespb "github.com/sigstore/rekor-tiles/v2/pkg/generated/protobuf"
	"github.com/sigstore/sigstore-go/pkg/root"
	sigstore "github.com/sigstore/sigstore-go/pkg/sign"

	"google.golang.org/protobuf/encoding/protojson"

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

func (s *Signer) log(ctx context.Context, l root.Service, c *credential, b *protobundle.Bundle) error {
	p := s.patience(ctx)
	options := &sigstore.RekorOptions{BaseURL: l.URL, Version: l.MajorAPIVersion}
	if l.MajorAPIVersion == 2 {
		options.ClientV2 = tiles{l.URL, p}
	}
	err := sigstore.NewRekor(options).GetTransparencyLogEntry(ctx, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.leaf.Raw}), b)
	if err != nil {
		return p.refusal(err, "log-down", "log-refused", "transparency log", l.URL)
	}
	return nil
}

// tiles speaks to a log in the form of Rekor v2.
type tiles struct {
	url string
	by  *patience
}

// Add puts an entry into the log, and waits until a checkpoint has it.
func (t tiles) Add(ctx context.Context, entry any) (*protorekor.TransparencyLogEntry, error) {
	hashed, ok := entry.(*tilespb.HashedRekordRequestV002)
	if !ok {
		return nil, fmt.Errorf("an entry of kind %T cannot be logged", entry)
	}
	body, err := protojson.Marshal(&tilespb.CreateEntryRequest{Spec: &tilespb.CreateEntryRequest_HashedRekordRequestV002{HashedRekordRequestV002: hashed}})
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(t.url, "/")+"/api/v2/log/entries", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := (&http.Client{Transport: t.by}).Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if body, err = io.ReadAll(answer.Body); err != nil { // patience has bounded it
		return nil, err
	}
	switch answer.StatusCode {
	case http.StatusCreated:
		out := &protorekor.TransparencyLogEntry{}
		return out, protojson.Unmarshal(body, out)
	case http.StatusConflict:
		return nil, errConflict
	}
	return nil, fmt.Errorf("%s: %s", answer.Status, body)
}

// errConflict says that the log has this very signature already.
var errConflict = errors.New("the log has this entry already")

// refusal says that a service is down, or what it answered.
func (p *patience) refusal(err error, down, refused, service, where string) error {
	if cause := context.Cause(p.ctx); cause != nil {
		return fmt.Errorf("ask %s: %w", service, cause)
	}
	r := &gate.Refusal{Code: refused, Class: gate.Failed, Where: where, What: "the " + service + " does not do what was asked", Cause: brief(err),
		Fix: "read its answer; nothing was signed by halves, and the same command goes on where it stopped"}
	var gone *unreachable
	var lost *net.OpError // by Rekor v1's client, which does not go through patience
	if errors.As(err, &gone) || errors.As(err, &lost) {
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
