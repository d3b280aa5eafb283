package store

import (
	"fmt"
	"net/url"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/sello-release/sello/internal/gate"
)

// Open gives the bucket at rawURL: file:///absolute/path, or ./relative to
// base, the root of the repository; or s3://bucket, gs://bucket or azblob://container, with the
// options of gocloud.dev/blob as far as they hold no credentials and send them to no other host.
// prefix=folder/ makes a folder of an object store the bucket.
//
// Nothing is created and nothing asked before the first use. A folder
// that does not exist yet is an empty bucket. A relative bucket stays below base: neither ".." nor a
// symbolic link leads out of it. Other schemes are refused with code bucket-scheme,
// malformed URLs with bucket-url.
func Open(rawURL, base string) (Bucket, error) {
	if rawURL == "." || strings.HasPrefix(rawURL, "./") || strings.HasPrefix(rawURL, "../") {
		return openRelative(rawURL, base)
	}
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, badURL("", "it cannot be parsed")
	}
	switch {
	case u.Scheme == "":
		return nil, badURL(rawURL, "it has no scheme and does not start with ./")
	case IsObjectStore(u.Scheme):
		return openBlob(u)
	case u.Scheme != "file":
		return nil, &gate.Refusal{
			Code: "bucket-scheme", Class: gate.Usage, What: "this kind of bucket is not supported",
			Where: fmt.Sprintf("%.200s://%.200s", u.Scheme, u.Host), Expected: bucketForms, Actual: u.Scheme + ":",
			Fix: "use a folder, and copy it to its final place with the tools of that place",
		}
	case u.Host != "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Opaque != "":
		return nil, badURL(u.Redacted(), "a file URL has a path and nothing else")
	}
	path := filepath.FromSlash(u.Path)
	if runtime.GOOS == "windows" {
		path = strings.TrimPrefix(path, `\`)
	}
	if !filepath.IsAbs(path) || strings.ContainsRune(path, 0) {
		return nil, badURL(rawURL, "the path is not absolute")
	}
	return &fileBucket{base: filepath.Clean(path), rel: "."}, nil
}

func openRelative(rawURL, base string) (Bucket, error) {
	rel := filepath.Clean(filepath.FromSlash(rawURL))
	if !filepath.IsLocal(rel) || strings.ContainsRune(rel, 0) {
		return nil, badURL(rawURL, "the path leaves the folder that it is relative to")
	}
	abs, err := filepath.Abs(base)
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", rawURL, err)
	}
	return &fileBucket{base: abs, rel: filepath.ToSlash(rel)}, nil
}

func badURL(rawURL, why string) error {
	return &gate.Refusal{
		Code: "bucket-url", Class: gate.Usage, What: "this is no URL of a bucket: " + why,
		Where: fmt.Sprintf("%q", clip(rawURL)), Expected: bucketForms,
		Fix: "write the bucket's URL in one of these forms",
	}
}

// bucketForms are the URLs that Open takes.
const bucketForms = "./relative, file:///absolute/path, s3://bucket?region=…, gs://bucket or azblob://container"

// Place names an object as a user can give it to sello verify: a path, or a URL with the bucket's options.
func Place(b Bucket, name string) string {
	switch b := b.(type) {
	case *blobBucket:
		return b.address(name)
	case *DryRun:
		return Place(b.under, name)
	}
	return place(b, name)
}
