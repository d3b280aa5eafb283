package registry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode"

	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/lazyregexp"
)

// explain turns what went wrong at where into a refusal. missing is the code for what
// is not there: image-missing or registry-missing. No URL's query, header or
// credential gets into it.
func explain(where, missing string, err error) error {
	var r *gate.Refusal
	var answer *errcode.ErrorResponse
	var local sourceError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &r):
		c := *r
		if c.Where == "" {
			c.Where = where
		}
		return &c
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("%s: %w", where, context.Canceled)
	case errors.As(err, &local):
		return fmt.Errorf("%s: %w", where, local.error)
	case errors.Is(err, errdef.ErrNotFound):
		return absent(where, missing)
	case errors.As(err, &answer):
		return status(where, missing, answer)
	case isTLS(err):
		return badTLS(where, err)
	case errors.Is(err, auth.ErrBasicCredentialNotFound):
		return denied(where, "no credentials for this registry were found")
	}
	return &gate.Refusal{Code: "registry-unavailable", Class: gate.Failed, What: "the registry could not be reached or broke off",
		Where: where, Cause: scrub(err), Fix: "run the same command again: what is done is kept"}
}

// sourceError is what went wrong where content came from, and so is none of the registry's.
type sourceError struct{ error }

func (e sourceError) Unwrap() error { return e.error }

func absent(where, missing string) error {
	r := &gate.Refusal{Code: missing, Where: where}
	switch {
	case missing == "image-missing" && strings.Contains(where, "@"):
		r.What, r.Fix = "the registry does not have this content", "check the digest; what was deleted has to be staged or copied again"
	case missing == "image-missing":
		r.What, r.Fix = "the repository has no such tag", "check how the tag is written; sello release sets the tags of a release, and promotion sets none"
	default:
		r.What, r.Fix = "the registry does not have this repository", "check the name; some registries want a repository to be created before the first push"
	}
	return r
}

func denied(where, why string) error {
	host, _, _ := strings.Cut(where, "/")
	return &gate.Refusal{Code: "registry-denied", What: "the registry does not let us: " + why, Where: where,
		Fix: fmt.Sprintf("log in with docker login %s or podman login %s, with an account that may do this", host, host)}
}

func badTLS(where string, err error) error {
	return &gate.Refusal{Code: "registry-tls", What: "the registry's certificate is not one that this machine trusts", Where: where,
		Cause: scrub(err), Fix: "if this is your own registry, put its CA's certificate into a file and set SSL_CERT_FILE to it"}
}

// status gives the refusal for an HTTP status that is final.
func status(where, missing string, a *errcode.ErrorResponse) error {
	said := http.StatusText(a.StatusCode)
	if len(a.Errors) > 0 {
		said = printable(a.Errors.Error())
	}
	switch s := a.StatusCode; {
	case s == http.StatusUnauthorized || s == http.StatusForbidden:
		return denied(where, said)
	case s == http.StatusNotFound:
		for _, e := range a.Errors {
			if e.Code == errcode.ErrorCodeNameUnknown {
				missing = "registry-missing"
			}
		}
		return absent(where, missing)
	case s == http.StatusTooManyRequests:
		return throttled(where, said)
	case s >= 300 && s < 400:
		return &gate.Refusal{Code: "registry-redirect", What: "the registry answers a write with a redirect", Where: where,
			Fix: "write the registry's own host"}
	case s >= 500 || s == http.StatusRequestTimeout:
		return &gate.Refusal{Code: "registry-unavailable", Class: gate.Failed, What: "the registry answers with an error of its own", Where: where,
			Actual: fmt.Sprintf("%d %s", s, said), Fix: "run the same command again: what is done is kept"}
	}
	for _, e := range a.Errors {
		if e.Code == errcode.ErrorCodeDigestInvalid || e.Code == errcode.ErrorCodeSizeInvalid {
			return &gate.Refusal{Code: "registry-digest-mismatch", What: "the registry received other bytes than were sent", Where: where, Actual: said,
				Fix: "look for a proxy between this machine and the registry"}
		}
	}
	return &gate.Refusal{Code: "registry-rejected", What: "the registry does not accept this", Where: where,
		Actual: fmt.Sprintf("%d %s", a.StatusCode, said), Fix: "look into the registry's rules for names, sizes and media types"}
}

func throttled(where, said string) error {
	return &gate.Refusal{Code: "registry-throttled", Class: gate.Failed, What: "the registry asks us to come back later", Where: where, Actual: said,
		Fix: "run the same command again later: what is done is kept; an account often has higher limits than none"}
}

// mismatch is a registry-digest-mismatch.
func mismatch(where, expected, actual string) error {
	return &gate.Refusal{Code: "registry-digest-mismatch", What: "the content is not what its digest and size say", Where: where,
		Expected: expected, Actual: actual,
		Fix: "do not use this copy: the registry, a proxy before it or the folder is broken or hostile; take the image from where it was built"}
}

func isTLS(err error) bool {
	var verification *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	return errors.As(err, &verification) || errors.As(err, &record) || errors.As(err, &unknown) ||
		errors.As(err, &host) || errors.As(err, &invalid) || errors.Is(err, http.ErrSchemeMismatch)
}

var queries = lazyregexp.New(`\?[^\s"]*|//[^/\s"@]*@`)

// scrub keeps an error's text without the parts of URLs that hold secrets.
func scrub(err error) error {
	if err == nil {
		return nil
	}
	text := scrubbed{text: printable(queries.ReplaceAllString(err.Error(), ""))}
	if errors.Is(err, context.DeadlineExceeded) {
		text.is = context.DeadlineExceeded
	}
	return text
}

type scrubbed struct {
	text string
	is   error
}

func (s scrubbed) Error() string { return s.text }
func (s scrubbed) Unwrap() error { return s.is }

// printable makes one short line of what a server said.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	if r := []rune(s); len(r) > 300 {
		s = string(r[:300]) + "…"
	}
	return s
}
