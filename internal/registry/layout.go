package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/strictjson"
)

// maxEntries bounds what a layout's index.json names.
const maxEntries = 10_000

// Files are the files of a layout: a folder, or a part of a bucket.
type Files interface {
	// Open opens the file of that name and gives its size in bytes; an error that wraps fs.ErrNotExist when there is none.
	Open(ctx context.Context, name string) (io.ReadCloser, int64, error)
}

// Layout is an OCI image layout (image-spec v1.1, Image Layout Specification).
// It is a Source.
type Layout struct {
	files   Files
	entries []ocispec.Descriptor

	readSubjects sync.Once
	subjects     map[digest.Digest][]ocispec.Descriptor
	subjectsErr  error
}

// OpenLayout opens the layout that files hold. What is
// not a layout, or one that could be read in two ways, is a layout-invalid; an index
// that names itself is an image-index-loop.
func OpenLayout(ctx context.Context, files Files) (*Layout, error) {
	l := &Layout{files: files}
	data, err := l.small(ctx, ocispec.ImageLayoutFile)
	if err != nil {
		return nil, err
	}
	var version struct {
		Version string `json:"imageLayoutVersion"`
	}
	if err := strictjson.Unmarshal(data, &version); err != nil || version.Version != ocispec.ImageLayoutVersion {
		return nil, l.invalid(ocispec.ImageLayoutFile, fmt.Sprintf("it does not say version %s", ocispec.ImageLayoutVersion))
	}
	if data, err = l.small(ctx, ocispec.ImageIndexFile); err != nil {
		return nil, err
	}
	entries, why := parseLayoutIndex(data)
	if why != "" {
		return nil, l.invalid(ocispec.ImageIndexFile, why)
	}
	self := digest.FromBytes(data)
	for _, d := range entries {
		if d.Digest == self {
			return nil, loop(self)
		}
	}
	l.entries = entries
	return l, nil
}

// parseLayoutIndex reads a layout's index.json.
func parseLayoutIndex(data []byte) (entries []ocispec.Descriptor, why string) {
	m, why := parseManifest(ocispec.Descriptor{MediaType: ocispec.MediaTypeImageIndex}, data)
	if why != "" {
		return nil, why
	}
	if len(m.Manifests) > maxEntries {
		return nil, fmt.Sprintf("it names %d images; %d are allowed", len(m.Manifests), maxEntries)
	}
	names, digests := map[string]bool{}, map[string]bool{}
	for _, d := range m.Manifests {
		name := d.Annotations[ocispec.AnnotationRefName]
		key := d.Digest.String() + " " + name
		switch {
		case digests[key]:
			return nil, "it names " + d.Digest.String() + " twice"
		case name != "" && names[name]:
			return nil, fmt.Sprintf("it has the name %q twice", printable(name))
		}
		digests[key], names[name] = true, true
	}
	return m.Manifests, ""
}

func (l *Layout) invalid(file, why string) error {
	return &gate.Refusal{Code: "layout-invalid", What: "this is no OCI image layout that can be trusted: " + printable(why),
		Where: l.String() + "/" + file, Fix: "write it again, for example with skopeo copy … oci:<folder>"}
}

// String names the layout's folder.
func (l *Layout) String() string {
	if s, ok := l.files.(fmt.Stringer); ok {
		return strings.TrimSuffix(s.String(), "/")
	}
	return "layout"
}

// small reads one of the layout's own files.
func (l *Layout) small(ctx context.Context, name string) ([]byte, error) {
	r, _, err := l.files.Open(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, l.invalid(name, "the file is missing")
	}
	if err != nil {
		return nil, fmt.Errorf("read layout: %w", err)
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, MaxManifest+1))
	if err != nil {
		return nil, fmt.Errorf("read layout: %w", err)
	}
	if len(data) > MaxManifest {
		return nil, l.invalid(name, fmt.Sprintf("it is larger than %d bytes", MaxManifest))
	}
	return data, nil
}

// Entries gives what index.json names, referrers included, in its order.
func (l *Layout) Entries() []ocispec.Descriptor {
	return append([]ocispec.Descriptor(nil), l.entries...)
}

// Resolve gives the entry with this name (annotation org.opencontainers.image.ref.name)
// or digest; for "" the only entry that is no referrer.
func (l *Layout) Resolve(ctx context.Context, nameOrDigest string) (ocispec.Descriptor, error) {
	var found []ocispec.Descriptor
	for _, d := range l.entries {
		switch {
		case nameOrDigest != "" && (d.Digest.String() == nameOrDigest || d.Annotations[ocispec.AnnotationRefName] == nameOrDigest):
			return bare(d), nil
		case nameOrDigest == "":
			m, _, err := readAndParse(ctx, l, d)
			if err != nil {
				return ocispec.Descriptor{}, err
			}
			if m.Subject == nil {
				found = append(found, d)
			}
		}
	}
	if len(found) == 1 {
		return bare(found[0]), nil
	}
	return ocispec.Descriptor{}, &gate.Refusal{Code: "image-missing", What: "the layout has no such image, or several", Where: l.String(),
		Expected: nameOrDigest, Actual: fmt.Sprintf("%d images", len(l.entries)), Fix: "name the image by its tag or digest"}
}

func blobName(d digest.Digest) string { return ocispec.ImageBlobsDir + "/sha256/" + d.Encoded() }

func (l *Layout) open(ctx context.Context, desc ocispec.Descriptor) (io.ReadCloser, int64, error) {
	if !sha256Digest.MatchString(desc.Digest.String()) {
		return nil, 0, badReference(desc.Digest.String(), "what follows @ is no sha256 digest")
	}
	return l.files.Open(ctx, blobName(desc.Digest))
}

// Exists implements Source.
func (l *Layout) Exists(ctx context.Context, desc ocispec.Descriptor) (bool, error) {
	r, size, err := l.open(ctx, desc)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read layout: %w", err)
	}
	r.Close()
	if size != desc.Size {
		return false, mismatch(l.String()+"@"+desc.Digest.String(), describe(desc), fmt.Sprintf("%d bytes", size))
	}
	return true, nil
}

// Fetch implements Source; what it gives verifies itself, as Repository.Fetch does.
func (l *Layout) Fetch(ctx context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	where := l.String() + "@" + desc.Digest.String()
	if IsManifest(desc.MediaType) && desc.Size > MaxManifest {
		return nil, tooLarge(where)
	}
	r, size, err := l.open(ctx, desc)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &gate.Refusal{Code: "image-missing", What: "the layout does not have this content", Where: where,
			Fix: "copy the image again: the folder is not complete"}
	}
	if err != nil {
		return nil, fmt.Errorf("read layout: %w", err)
	}
	if size != desc.Size && !IsManifest(desc.MediaType) {
		r.Close()
		return nil, mismatch(where, describe(desc), fmt.Sprintf("%d bytes", size))
	}
	if IsManifest(desc.MediaType) {
		defer r.Close()
		data, err := readManifest(where, desc, r)
		if err != nil {
			return nil, err
		}
		return &verified{Reader: bytes.NewReader(data)}, nil
	}
	return &verified{Reader: verify(r, where, desc), Closer: r}, nil
}

// Referrers implements Source, from those entries of index.json that have a subject.
func (l *Layout) Referrers(ctx context.Context, desc ocispec.Descriptor, artifactType string) ([]ocispec.Descriptor, error) {
	l.readSubjects.Do(func() { l.subjects, l.subjectsErr = l.readAllSubjects(context.WithoutCancel(ctx)) })
	if l.subjectsErr != nil {
		return nil, l.subjectsErr
	}
	all := l.subjects[desc.Digest]
	if artifactType == "" {
		return append([]ocispec.Descriptor(nil), all...), nil
	}
	return ofType(ctx, l, desc, all, artifactType)
}

func (l *Layout) readAllSubjects(ctx context.Context) (map[digest.Digest][]ocispec.Descriptor, error) {
	subjects := map[digest.Digest][]ocispec.Descriptor{}
	for _, d := range l.entries {
		m, _, err := readAndParse(ctx, l, d)
		if err != nil {
			return nil, err
		}
		if m.Subject == nil {
			continue
		}
		s := m.Subject.Digest
		if subjects[s] = append(subjects[s], bare(d)); len(subjects[s]) > 1000 {
			return nil, tooMany(l.String()+"@"+s.String(), 1000)
		}
	}
	return subjects, nil
}
