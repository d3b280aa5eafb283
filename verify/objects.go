package verify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/stage"
)

// bucketSchemes are those of object stores, which Options.Buckets opens.
var bucketSchemes = []string{"s3", "gs", "azblob"}

// inBucket verifies scheme://bucket/path?options: a whole release or stage if the path is empty or ends in a slash, else a file.
func inBucket(ctx context.Context, u *url.URL, o Options) (*Report, error) {
	if o.Buckets == nil {
		return nil, urlRefusal("url-unsupported", "this program reads no object stores", "a file, a folder or an http URL", u.Scheme+"://"+u.Host, nil)
	}
	bucket := *u
	bucket.Path, bucket.RawPath, bucket.Fragment = "", "", ""
	src, err := o.Buckets(ctx, bucket.String())
	if err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	if c, ok := src.(io.Closer); ok {
		defer c.Close()
	}
	name := strings.TrimPrefix(u.Path, "/")
	if clean := strings.TrimSuffix(name, "/"); clean != "" && !fs.ValidPath(clean) {
		return nil, urlRefusal("url-unsupported", "the URL does not name an object", u.Scheme+"://bucket/path", fmt.Sprintf("%.200q", u.Path), nil)
	}
	if name == "" || strings.HasSuffix(name, "/") {
		return Files(ctx, u.Redacted(), below(src, name), o)
	}
	return fileIn(ctx, u.Redacted(), src, name, o)
}

// fileIn verifies one file of a source as File does one of a folder.
func fileIn(ctx context.Context, shown string, src Source, name string, o Options) (*Report, error) {
	v, err := newVerifier(o)
	if err != nil {
		return nil, err
	}
	top, found, err := placeIn(ctx, src, name)
	if err == nil && found {
		err = v.follow(ctx, below(src, top))
	}
	if err != nil {
		return nil, fmt.Errorf("verify %s: %w", shown, err)
	}
	single, err := v.readOne(ctx, name, func(name string) (io.ReadCloser, error) { return src.Open(ctx, name) })
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &gate.Refusal{Code: "download-missing", Class: gate.Failed, What: "there is no such file in the bucket", Where: shown, Fix: "check the URL; one of a release's folder ends in a slash"}
	}
	if err != nil {
		return nil, fmt.Errorf("verify %s: %w", shown, err)
	}
	if !found {
		return v.judgeOne(ctx, shown, path.Base(name), single, nil)
	}
	return v.judgeOne(ctx, shown, strings.TrimPrefix(name, top), single, below(src, top))
}

// placeIn finds the release or stage that a file stands in: its prefix.
func placeIn(ctx context.Context, src Source, name string) (prefix string, found bool, err error) {
	dir := path.Dir(name)
	for range maxUp + 1 {
		prefix = dir + "/"
		if dir == "." {
			prefix = ""
		}
		for _, mark := range []string{stage.FileName, stage.ReleaseBundle} {
			if prefix+mark == name {
				continue
			}
			r, err := src.Open(ctx, prefix+mark)
			switch {
			case err == nil:
				return prefix, true, r.Close()
			case errors.Is(err, fs.ErrNotExist):
			case gate.Code(err) == "store-permission": // what a public bucket says of an object that is not there
			default:
				return "", false, err
			}
		}
		if dir == "." {
			break
		}
		dir = path.Dir(dir)
	}
	return "", false, nil
}

func isBucket(scheme string) bool { return slices.Contains(bucketSchemes, strings.ToLower(scheme)) }
