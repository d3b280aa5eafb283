// Package tuf fetches what the operators of a Sigstore instance publish by The Update Framework: its trusted root.
//
// # Promises
//
// What is given was signed as the instance's root metadata asks for, has not expired, and is not older than what was fetched
// before with the same root and cache. Nothing is fetched but when Fetch is called: verifying never does.
//
// # Refusals
//
// tuf-root (the root metadata that was given is none), tuf-unreachable, tuf-unsigned, tuf-expired, tuf-rollback, tuf-corrupt,
// tuf-target-missing.
//
// # What it does not do
//
// It does not judge what a trusted root says; and where its first root metadata comes from is for whoever gives it.
package tuf

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"time"

	"github.com/sigstore/sigstore-go/pkg/tuf"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
)

// TrustedRoot is the target that every Sigstore instance has.
const TrustedRoot = "trusted_root.json"

// Limits on one file.
const (
	maxFile = 16 << 20
	timeout = 30 * time.Second
)

// Options say which repository to ask.
type Options struct {
	Mirror string // URL of the repository; default that of Sigstore's public good instance
	Root   []byte // root metadata that is trusted, of any version; default the public good instance's that Sello was built with
	Cache  string // folder that keeps the metadata that was seen last, so that older metadata is refused
}

// Fetch gives a target of the repository as it is now.
func Fetch(ctx context.Context, o Options, target string) ([]byte, error) {
	options := tuf.DefaultOptions()
	if o.Mirror != "" {
		u, err := url.Parse(o.Mirror)
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			return nil, &gate.Refusal{Code: "tuf-unreachable", Class: gate.Usage, What: "this is not the URL of a TUF repository", Expected: "https://host/path", Actual: fmt.Sprintf("%.200q", o.Mirror),
				Fix: "give the URL that the instance's operators name"}
		}
		options.RepositoryBaseURL = o.Mirror
		if o.Root == nil {
			return nil, &gate.Refusal{Code: "tuf-root", Class: gate.Usage, What: "the root metadata that " + o.Mirror + " begins with is not known", Expected: "a root.json, from where you trust it",
				Fix: "give the one that the instance's operators hand out, with --tuf-root"}
		}
	}
	if o.Root != nil {
		if _, err := metadata.Root().FromBytes(o.Root); err != nil {
			return nil, &gate.Refusal{Code: "tuf-root", Class: gate.Usage, What: "this is not TUF root metadata", Expected: `"_type": "root", signed`, Cause: err, Fix: "give the root.json that the instance's operators hand out"}
		}
		options.Root = o.Root
	}
	options.CachePath = filepath.Join(o.Cache, digest.Bytes(options.Root)[:16]) // what was seen under another root says nothing
	options.Fetcher = &fetcher{ctx, &http.Client{Timeout: timeout}}
	client, err := tuf.New(options)
	if err != nil {
		return nil, refused(err, options.RepositoryBaseURL, "tuf-corrupt")
	}
	data, err := client.GetTarget(target)
	if err != nil {
		return nil, refused(err, options.RepositoryBaseURL, "tuf-target-missing") // the metadata holds, and does not name it
	}
	return data, nil
}

// refused says why in one of our codes; other is that of an error without a kind.
func refused(err error, where, other string) error {
	r := &gate.Refusal{Where: where, Cause: err}
	var (
		unsigned *metadata.ErrUnsignedMetadata
		expired  *metadata.ErrExpiredMetadata
		version  *metadata.ErrBadVersionNumber
		content  *metadata.ErrLengthOrHashMismatch
		length   *metadata.ErrDownloadLengthMismatch
		status   *metadata.ErrDownloadHTTP
		download *downloadError
	)
	switch {
	case errors.As(err, &unsigned):
		r.Code, r.What, r.Fix = "tuf-unsigned", "the repository's metadata is not signed by enough of the keys that its root names", "do not use it; if the instance changed all its keys, get the new root.json from its operators"
	case errors.As(err, &expired):
		r.Code, r.What, r.Fix = "tuf-expired", "the repository's metadata has expired: somebody may be holding newer metadata back", "try again later, or another mirror; check this machine's clock"
	case errors.As(err, &version):
		r.Code, r.What, r.Fix = "tuf-rollback", "the repository's metadata is older than what was seen before, or of another version than is named", "do not use this mirror: it gives back what is no longer current"
	case errors.As(err, &content), errors.As(err, &length):
		r.Code, r.What, r.Fix = "tuf-corrupt", "a file of the repository is not the one that its metadata names", "try again, or another mirror"
	case errors.As(err, &download), errors.As(err, &status):
		r.Code, r.Class, r.What, r.Fix = "tuf-unreachable", gate.Failed, "the TUF repository cannot be read", "check the URL and the network, and run the same command again"
	case other == "tuf-target-missing":
		r.Code, r.What, r.Fix = other, "the repository has no such file", "check that this is a Sigstore instance's repository"
	default:
		r.Code, r.What, r.Fix = other, "the repository's metadata cannot be read", "try again, or another mirror"
	}
	return r
}

// fetcher downloads within limits, and ends with its context.
type fetcher struct {
	ctx    context.Context //nolint:containedctx // the library's interface has none
	client *http.Client
}

type downloadError struct{ error }

func (e *downloadError) Unwrap() error { return e.error }

// DownloadFile implements the library's Fetcher.
func (f *fetcher) DownloadFile(from string, most int64, _ time.Duration) ([]byte, error) {
	most = min(most, maxFile)
	req, err := http.NewRequestWithContext(f.ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, &downloadError{err}
	}
	res, err := f.client.Do(req)
	if err != nil {
		return nil, &downloadError{err}
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, &metadata.ErrDownloadHTTP{StatusCode: res.StatusCode, URL: from}
	}
	data, err := io.ReadAll(io.LimitReader(res.Body, most+1))
	if err != nil {
		return nil, &downloadError{err}
	}
	if int64(len(data)) > most {
		return nil, &metadata.ErrDownloadLengthMismatch{Msg: fmt.Sprintf("%s is larger than %d bytes", from, most)}
	}
	return data, nil
}
