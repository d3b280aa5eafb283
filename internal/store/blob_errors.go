package store

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"

	"github.com/sello-release/sello/internal/gate"
)

// cause is what an error of an object store comes down to.
type cause int

const (
	causeOther      cause = iota
	causeAbsent           // there is no such object
	causeNoBucket         // there is no such bucket
	causeCondition        // the condition of a write does not hold
	causeDenied           // the store knows who asks, or does not, and says no
	causeUnreached        // the store did not answer, or not in time
	causeDamaged          // the bytes are not those of the checksum that the store keeps with them
	causeNoIdentity       // there are no credentials, or no region, to ask with
)

// errSourceChanged says that the source of a copy is not at the version that was compared.
var errSourceChanged = errors.New("the source has changed")

// explain turns an error of the store into a refusal where a user can do something about it.
func (b *blobBucket) explain(ctx context.Context, verb, where string, err error) error {
	var r *gate.Refusal
	if err == nil || errors.As(err, &r) {
		return err
	}
	c := b.cause(err)
	if ctx.Err() != nil && !errors.Is(err, errStalled) {
		return fmt.Errorf("%s %s: %w", verb, where, ctx.Err())
	}
	err = scrub(err)
	r = &gate.Refusal{Class: gate.Failed, Where: where, Cause: err}
	switch c {
	case causeAbsent:
		return fmt.Errorf("%s %s: %w", verb, where, fs.ErrNotExist)
	case causeNoBucket:
		r.Code, r.What, r.Where = "store-bucket-missing", "there is no such bucket", b.String()
		r.Fix = "create it, or correct its URL; Sello creates no buckets"
	case causeDenied:
		r.Code, r.What = "store-permission", "the object store does not allow to "+verb+" this"
		r.Fix = "give these credentials the right to " + verb + " there, or use others: " + b.via.access()
	case causeDamaged:
		r.Code, r.Class, r.What = "store-object-corrupt", gate.Refused, "the object's bytes are not those that the store keeps a checksum of"
		r.Fix = "do not use it: find out what changed or damaged the store's files, then have the project publish again"
	case causeUnreached:
		r.Code, r.What = "store-unreachable", "the object store cannot be reached"
		r.Fix = "check the bucket's URL and the connection, then run the same command again"
	case causeNoIdentity:
		r.Code, r.What = "store-unreachable", "no credentials, or no region, were found to ask the object store with"
		r.Fix = "give access: " + b.via.access()
	default:
		return fmt.Errorf("%s %s: %w", verb, where, err)
	}
	return r
}

// cause classifies an error: what is the same for all stores here, the rest by the provider.
func (b *blobBucket) cause(err error) cause {
	if err == nil {
		return causeOther
	}
	if errors.Is(err, errStalled) {
		return causeUnreached
	}
	if c := b.via.cause(err); c != causeOther {
		return c
	}
	var network net.Error
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &network), errors.As(err, &certificate), errors.As(err, &record), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, context.DeadlineExceeded):
		return causeUnreached
	}
	return causeOther
}

// byStatus is the cause of an HTTP status, where the store's own code says nothing.
func byStatus(status int) cause {
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return causeDenied
	case status == http.StatusPreconditionFailed:
		return causeCondition
	case status == http.StatusNotFound, status == http.StatusTooManyRequests, status >= 500, status >= 300 && status < 400:
		return causeUnreached // a 404 that does not say what is missing is no answer of an object store
	}
	return causeOther
}

// scrub takes out of an error's text what must not be shown: the queries of URLs, where signatures stand, and the
// values of the environment's secrets.
func scrub(err error) error {
	text := queries.ReplaceAllString(err.Error(), "?…")
	for _, name := range SecretVariables {
		if v := os.Getenv(name); len(v) >= 6 {
			text = strings.ReplaceAll(text, v, "…")
		}
	}
	if len(text) > 500 {
		text = text[:500] + "…"
	}
	return scrubbed{text, err}
}

var queries = regexp.MustCompile(`\?[^\s"'<>]+`)

// SecretVariables are the variables of the environment from which credentials for object stores come.
var SecretVariables = []string{
	"AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AZURE_STORAGE_KEY", "AZURE_STORAGE_SAS_TOKEN", "AZURE_STORAGE_CONNECTION_STRING",
	"AZURE_STORAGEBLOB_CONNECTIONSTRING", "AZURE_CLIENT_SECRET",
}

// scrubbed shows text for err.
type scrubbed struct {
	text string
	err  error
}

func (s scrubbed) Error() string { return s.text }
func (s scrubbed) Unwrap() error { return s.err }
