package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	oras "oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

// Repository is a repository in a registry. It is for concurrent use.
type Repository struct {
	client *Client
	ref    Reference
	remote *remote.Repository
}

// String gives registry/repository.
func (r *Repository) String() string { return r.ref.Name() }

// accept lists what a tag may name.
var accept = strings.Join([]string{ocispec.MediaTypeImageIndex, ocispec.MediaTypeImageManifest, MediaTypeDockerIndex, MediaTypeDockerManifest}, ", ")

// at names content in this repository, for messages.
func (r *Repository) at(d digest.Digest) string { return r.ref.Name() + "@" + d.String() }

// request sends a GET or HEAD for kind (manifests or blobs) and gives any answer below 300.
func (r *Repository) request(ctx context.Context, method, kind, name string, header http.Header) (*http.Response, error) {
	scheme := "https"
	if r.remote.PlainHTTP {
		scheme = "http"
	}
	ref := oras.Reference{Registry: r.ref.Registry, Repository: r.ref.Repository}
	url := fmt.Sprintf("%s://%s/v2/%s/%s/%s", scheme, ref.Host(), r.ref.Repository, kind, name)
	req, err := http.NewRequestWithContext(auth.AppendRepositoryScope(ctx, ref, auth.ActionPull), method, url, nil)
	if err != nil {
		return nil, err
	}
	for k, v := range header {
		req.Header[k] = v
	}
	resp, err := r.client.auth.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer drain(resp)
	return nil, &errcode.ErrorResponse{Method: method, URL: req.URL, StatusCode: resp.StatusCode, Errors: readErrors(resp.Body)}
}

// Resolve gives the descriptor of a manifest by its tag or digest. When it is not there,
// the refusal is image-missing.
func (r *Repository) Resolve(ctx context.Context, tagOrDigest string) (ocispec.Descriptor, error) {
	sep := ":"
	if sha256Digest.MatchString(tagOrDigest) {
		sep = "@"
	} else if !tagName.MatchString(tagOrDigest) {
		return ocispec.Descriptor{}, badReference(r.ref.Name()+":"+tagOrDigest, "the tag is malformed")
	}
	d, err := r.resolve(ctx, tagOrDigest)
	return d, explain(r.ref.Name()+sep+tagOrDigest, "image-missing", err)
}

func (r *Repository) resolve(ctx context.Context, name string) (ocispec.Descriptor, error) {
	resp, err := r.request(ctx, http.MethodHead, "manifests", name, http.Header{"Accept": {accept}})
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	resp.Body.Close()
	said := resp.Header.Get("Docker-Content-Digest")
	if said == "" || resp.ContentLength < 0 {
		return r.resolveByReading(ctx, name)
	}
	return described(resp, name, said, resp.ContentLength)
}

// resolveByReading is for registries that leave the digest's header out.
func (r *Repository) resolveByReading(ctx context.Context, name string) (ocispec.Descriptor, error) {
	resp, err := r.request(ctx, http.MethodGet, "manifests", name, http.Header{"Accept": {accept}})
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	return described(resp, name, digest.FromBytes(data).String(), int64(len(data)))
}

func described(resp *http.Response, name, said string, size int64) (ocispec.Descriptor, error) {
	mediaType, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	switch {
	case err != nil || !IsManifest(mediaType):
		return ocispec.Descriptor{}, notOCI(fmt.Sprintf("content of the type %q where a manifest belongs", printable(resp.Header.Get("Content-Type"))))
	case !sha256Digest.MatchString(said):
		return ocispec.Descriptor{}, notOCI("a manifest without a sha256 digest")
	case strings.HasPrefix(name, "sha256:") && said != name:
		return ocispec.Descriptor{}, mismatch("", name, said)
	case size > MaxManifest:
		return ocispec.Descriptor{}, tooLarge("")
	}
	return ocispec.Descriptor{MediaType: mediaType, Digest: digest.Digest(said), Size: size}, nil
}

// Exists reports whether the content is there, with the size that desc names.
func (r *Repository) Exists(ctx context.Context, desc ocispec.Descriptor) (bool, error) {
	kind := "blobs"
	header := http.Header{}
	if IsManifest(desc.MediaType) {
		kind = "manifests"
		header.Set("Accept", desc.MediaType)
	}
	resp, err := r.request(ctx, http.MethodHead, kind, desc.Digest.String(), header)
	var answer *errcode.ErrorResponse
	if errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound {
		return false, nil
	}
	if err != nil {
		return false, explain(r.at(desc.Digest), "image-missing", err)
	}
	resp.Body.Close()
	if err := r.compareHead(resp, desc); err != nil {
		return false, err
	}
	if kind == "blobs" {
		r.client.has(r.ref, desc.Digest.String())
	}
	return true, nil
}

func (r *Repository) compareHead(resp *http.Response, desc ocispec.Descriptor) error {
	said := resp.Header.Get("Docker-Content-Digest")
	switch {
	case said == "" && strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") && resp.ContentLength != desc.Size:
		return explain(r.at(desc.Digest), "", notOCI("a web page"))
	case said != "" && said != desc.Digest.String():
		return mismatch(r.at(desc.Digest), desc.Digest.String(), printable(said))
	case resp.ContentLength >= 0 && resp.ContentLength != desc.Size:
		return mismatch(r.at(desc.Digest), describe(desc), fmt.Sprintf("%d bytes", resp.ContentLength))
	}
	return nil
}

// Fetch opens the content that desc names. Reading it to its end ends in
// registry-digest-mismatch, instead of io.EOF, when it was other content.
func (r *Repository) Fetch(ctx context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	if !IsManifest(desc.MediaType) {
		return r.fetchBlob(ctx, desc)
	}
	data, err := r.fetchManifest(ctx, desc)
	if err != nil {
		return nil, err
	}
	return &verified{Reader: bytes.NewReader(data)}, nil
}

// fetchManifest gives the verified bytes of a manifest.
func (r *Repository) fetchManifest(ctx context.Context, desc ocispec.Descriptor) ([]byte, error) {
	where := r.at(desc.Digest)
	if desc.Size > MaxManifest {
		return nil, tooLarge(where)
	}
	var data []byte
	var served string
	err := r.client.http.retry(ctx, func() error {
		resp, err := r.request(ctx, http.MethodGet, "manifests", desc.Digest.String(), http.Header{"Accept": {desc.MediaType}})
		if err != nil {
			return final(err)
		}
		defer resp.Body.Close()
		served = resp.Header.Get("Content-Type")
		data, err = io.ReadAll(resp.Body)
		return err
	})
	if err != nil {
		return nil, explain(where, "image-missing", err)
	}
	if err := checkContent(where, desc, data); err != nil {
		return nil, err
	}
	if mediaType, _, err := mime.ParseMediaType(served); err != nil || mediaType != desc.MediaType {
		return nil, explain(where, "", notOCI(fmt.Sprintf("content of the type %q where %s belongs", printable(served), desc.MediaType)))
	}
	return data, nil
}

// Push puts content there, and referrers into their subject's list. Content that comes
// from an io.Seeker can be sent again when the connection breaks; see PushFrom.
func (r *Repository) Push(ctx context.Context, desc ocispec.Descriptor, content io.Reader) error {
	if IsManifest(desc.MediaType) {
		data, err := readManifest(r.at(desc.Digest), desc, content)
		if err != nil {
			return err
		}
		return r.pushManifest(ctx, desc, data)
	}
	used := false
	return r.PushFrom(ctx, desc, func() (io.ReadCloser, error) {
		if seeker, ok := content.(io.Seeker); ok {
			if _, err := seeker.Seek(0, io.SeekStart); err != nil {
				return nil, err
			}
		} else if used {
			return nil, errors.New("the upload broke off, and its source cannot be read again")
		}
		used = true
		return io.NopCloser(content), nil
	})
}

func readManifest(where string, desc ocispec.Descriptor, content io.Reader) ([]byte, error) {
	if desc.Size > MaxManifest {
		return nil, tooLarge(where)
	}
	data, err := io.ReadAll(io.LimitReader(content, desc.Size+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", where, err)
	}
	return data, checkContent(where, desc, data)
}

// pushManifest puts a manifest there. Some registries see for a moment neither what was
// just put there nor that it is whole, when others write the same; so that they get
// another chance before that is final.
func (r *Repository) pushManifest(ctx context.Context, desc ocispec.Descriptor, data []byte) error {
	attempt := 0
	err := r.client.http.retry(ctx, func() error {
		err := r.remote.Manifests().Push(ctx, desc, bytes.NewReader(data))
		if attempt++; err != nil && (attempt >= 5 || !notYetSeen(err)) {
			return final(err)
		}
		return err
	})
	return explain(r.at(desc.Digest), "registry-missing", err)
}

func notYetSeen(err error) bool {
	var answer *errcode.ErrorResponse
	if !errors.As(err, &answer) || answer.Method != http.MethodPut {
		return false
	}
	for _, e := range answer.Errors {
		switch e.Code {
		case errcode.ErrorCodeBlobUnknown, errcode.ErrorCodeManifestUnknown, errcode.ErrorCodeManifestBlobUnknown, errcode.ErrorCodeDigestInvalid:
			return true
		}
	}
	return false
}

// Tag points tag at a manifest that is there, whatever it pointed at before. See TagNew
// and MoveTag for rules.
func (r *Repository) Tag(ctx context.Context, desc ocispec.Descriptor, tag string) error {
	where := r.ref.Name() + ":" + tag
	if !tagName.MatchString(tag) {
		return badReference(where, "the tag is malformed")
	}
	data, err := r.fetchManifest(ctx, desc)
	if err != nil {
		return err
	}
	return explain(where, "registry-missing", r.remote.Manifests().PushReference(ctx, desc, bytes.NewReader(data), tag))
}

// Tags gives the repository's tags in the registry's order, without those of the
// referrers' tag scheme.
func (r *Repository) Tags(ctx context.Context) ([]string, error) {
	var all []string
	err := r.remote.Tags(ctx, "", func(page []string) error {
		for _, tag := range page {
			if !tagName.MatchString(tag) {
				return notOCI("a malformed tag")
			}
			if !fallbackTag.MatchString(tag) {
				all = append(all, tag)
			}
		}
		return nil
	})
	return all, explain(r.ref.Name(), "registry-missing", err)
}
