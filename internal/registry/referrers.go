package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/sello-release/sello/internal/gate"
)

func tooMany(where string, limit int) error {
	expected := fmt.Sprintf("a list of at most %d bytes", MaxManifest)
	if limit > 0 {
		expected = fmt.Sprintf("at most %d", limit)
	}
	return &gate.Refusal{Code: "referrers-too-many", What: "too many attestations are attached to this image", Where: where, Expected: expected,
		Fix: "find out who attached them, and delete those that are not yours"}
}

// Referrers gives the descriptors of the manifests whose subject is desc, as the
// registry lists them, each once; of a repository that does not exist there are none.
//
// With an artifactType, each one is read, and those remain whose own manifest says that
// type and that subject: registries have been seen to list another type. What does not
// name desc as its subject is a referrer-subject.
func (r *Repository) Referrers(ctx context.Context, desc ocispec.Descriptor, artifactType string) ([]ocispec.Descriptor, error) {
	where := r.at(desc.Digest)
	var all []ocispec.Descriptor
	seen := map[digest.Digest]bool{}
	err := r.remote.Referrers(ctx, desc, "", func(page []ocispec.Descriptor) error {
		for _, d := range page {
			if why := badReferrer(d); why != "" {
				return &gate.Refusal{Code: "manifest-invalid", What: "the list of attestations cannot be trusted: " + why, Where: where,
					Fix: "find out who attached it, and delete it"}
			}
			if d.Digest == desc.Digest {
				return loop(desc.Digest)
			}
			if d.Size > MaxManifest {
				return tooLarge(r.at(d.Digest))
			}
			if !seen[d.Digest] {
				seen[d.Digest] = true
				all = append(all, d)
			}
			if len(all) > r.client.o.MaxReferrers {
				return tooMany(where, r.client.o.MaxReferrers)
			}
		}
		return nil
	})
	if err != nil {
		return nil, explainReferrers(where, err)
	}
	if artifactType == "" {
		return all, nil
	}
	return ofType(ctx, r, desc, all, artifactType)
}

func badReferrer(d ocispec.Descriptor) string {
	if !IsManifest(d.MediaType) {
		return fmt.Sprintf("it names content of media type %q", printable(d.MediaType))
	}
	return badDescriptor(d, MaxBlob)
}

// explainReferrers is explain for a list: a list that is too large is a flood, and
// a repository that is not there has none.
func explainReferrers(where string, err error) error {
	var answer *errcode.ErrorResponse
	switch {
	case errors.Is(err, errdef.ErrSizeExceedsLimit) || errors.Is(err, errdef.ErrTooManyPages):
		return tooMany(where, 0)
	case errors.As(err, &answer) && answer.StatusCode == 404:
		return nil
	case errors.As(err, new(*gate.Refusal)):
	case strings.Contains(err.Error(), "decode") || errors.Is(err, errdef.ErrInvalidDigest):
		return explain(where, "", notOCI("a list of referrers that cannot be read"))
	}
	return explain(where, "registry-missing", err)
}

// ofType reads each referrer and keeps those of one type.
func ofType(ctx context.Context, from Source, subject ocispec.Descriptor, all []ocispec.Descriptor, artifactType string) ([]ocispec.Descriptor, error) {
	var kept []ocispec.Descriptor
	for _, d := range all {
		m, _, err := readAndParse(ctx, from, d)
		if err != nil {
			return nil, err
		}
		if err := checkSubject(m, d, subject); err != nil {
			return nil, err
		}
		if m.ArtifactType == artifactType {
			d.ArtifactType, d.Annotations = m.ArtifactType, m.Annotations
			kept = append(kept, d)
		}
	}
	return kept, nil
}

// checkSubject refuses what is listed as a referrer of another manifest than its own subject.
func checkSubject(m *Manifest, d, subject ocispec.Descriptor) error {
	found := "no subject"
	if m.Subject != nil {
		if m.Subject.Digest == subject.Digest {
			return nil
		}
		found = m.Subject.Digest.String()
	}
	return &gate.Refusal{Code: "referrer-subject", What: "an attestation of another image is attached to this one", Where: d.Digest.String(),
		Expected: "subject " + subject.Digest.String(), Actual: found, Fix: "find out who attached it, and delete it"}
}

// Source is where content is copied from: a Repository, a Layout, or what a build made.
type Source interface {
	// Fetch opens the content that desc names. Copy verifies it.
	Fetch(ctx context.Context, desc ocispec.Descriptor) (io.ReadCloser, error)
	// Exists reports whether the content is there.
	Exists(ctx context.Context, desc ocispec.Descriptor) (bool, error)
	// Referrers gives the manifests whose subject is desc; of one artifact type, if one is given.
	Referrers(ctx context.Context, desc ocispec.Descriptor, artifactType string) ([]ocispec.Descriptor, error)
}

// readAndParse reads a manifest from a source, verifies and parses it.
func readAndParse(ctx context.Context, from Source, desc ocispec.Descriptor) (*Manifest, []byte, error) {
	where := desc.Digest.String()
	if s, ok := from.(fmt.Stringer); ok {
		where = s.String() + "@" + where
	}
	rc, err := from.Fetch(ctx, desc)
	if err != nil {
		return nil, nil, err
	}
	defer rc.Close()
	data, err := readManifest(where, desc, rc)
	if err != nil {
		return nil, nil, err
	}
	m, err := ParseManifest(desc, data)
	return m, data, err
}
