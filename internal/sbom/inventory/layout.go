package inventory

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/image"
	"github.com/sello-release/sello/internal/sbom"
	"github.com/sello-release/sello/internal/strictjson"
)

// Bounds of the documents of an image.
const (
	maxManifest = 4 << 20 // bytes
	maxImages   = 200     // in a layout
	maxLayers   = 200
)

// layoutImage is an image of a layout.
type layoutImage struct {
	desc     ocispec.Descriptor
	name     string
	manifest ocispec.Manifest
	config   ocispec.Image
	layers   []*layer
	system   *system
	notes    []string
}

// ofLayout describes the images in an OCI image layout. Every blob is held to its digest; layers are read once.
func ofLayout(ctx context.Context, dirPath string, o Options) (*sbom.Document, error) {
	dir, err := os.OpenRoot(dirPath)
	if err != nil {
		return nil, unreadable(dirPath, err)
	}
	defer dir.Close()
	base, err := baseName(dirPath)
	if err != nil {
		return nil, err
	}
	l, err := readLayout(ctx, dir, o)
	if err != nil {
		return nil, err
	}
	return l.document(base, o)
}

// Image describes the image or index that desc names, in a registry or wherever from fetches it; repository is what it is called there. Every blob is
// held to its digest; layers are read once, as they come, and are kept nowhere.
func Image(ctx context.Context, from image.Fetcher, desc ocispec.Descriptor, repository string, o Options) (*sbom.Document, error) {
	o.Limits = o.Limits.withDefaults()
	l := &layout{blobs: from, seen: map[digest.Digest]bool{}}
	if err := l.add(ctx, desc, repository, 0); err != nil {
		return nil, err
	}
	if err := l.read(ctx, o); err != nil {
		return nil, err
	}
	return l.document(repository, o)
}

// document describes what was read; base is what the images are called when nothing else is said.
func (l *layout) document(base string, o Options) (*sbom.Document, error) {
	meta := o.Meta
	name := ""
	if len(l.images) > 0 {
		name = l.images[0].name
	}
	meta.Project, meta.Phase = cmp.Or(meta.Project, name, base), cmp.Or(meta.Phase, sbom.PhasePostBuild)
	d, err := newDescriber(meta, o)
	if err != nil {
		return nil, err
	}
	if len(l.images) == 1 {
		i := l.images[0]
		p := i.pkg(meta.Project, meta.Version)
		id := d.root(p)
		if err := d.image(id, i); err != nil {
			return nil, err
		}
		d.layoutNotes(id, l)
		return d.b.Document(meta.Project), nil
	}
	root := d.root(&sbom.Package{Name: meta.Project, Version: meta.Version, Purpose: sbom.PurposeContainer, Summary: "OCI image layout with several images"})
	d.layoutNotes(root, l)
	for _, i := range l.images {
		p := i.pkg(cmp.Or(i.name, meta.Project), meta.Version)
		p.ID = sbom.ElementID("Image", p.Name, p.Summary, i.desc.Digest.String())
		id := d.b.Add(p)
		d.b.Relate(root, sbom.Contains, id)
		if err := d.image(id, i); err != nil {
			return nil, err
		}
	}
	return d.b.Document(meta.Project), nil
}

// layout is an OCI image layout.
type layout struct {
	blobs  image.Fetcher
	images []*layoutImage
	others int // documents that are no images: attestations, signatures
	seen   map[digest.Digest]bool
}

func readLayout(ctx context.Context, dir *os.Root, o Options) (*layout, error) {
	data, err := readText(dir, ocispec.ImageIndexFile)
	if err != nil {
		return nil, unreadable(ocispec.ImageIndexFile, err)
	}
	var index ocispec.Index
	if err := strictjson.Unmarshal(data, &index); err != nil {
		return nil, malformedImage(ocispec.ImageIndexFile, err)
	}
	blobs, err := image.NewBlobs(dir)
	if err != nil {
		return nil, err
	}
	l := &layout{blobs: blobs, seen: map[digest.Digest]bool{}}
	for _, desc := range index.Manifests {
		if err := l.add(ctx, desc, desc.Annotations[ocispec.AnnotationRefName], 0); err != nil {
			return nil, err
		}
	}
	return l, l.read(ctx, o)
}

// read reads the layers of all images.
func (l *layout) read(ctx context.Context, o Options) error {
	for _, i := range l.images {
		if err := i.read(ctx, l.blobs, o); err != nil {
			return fmt.Errorf("read image %s: %w", i.desc.Digest, err)
		}
	}
	return nil
}

func malformedImage(where string, err error) error {
	return &gate.Refusal{Code: image.CodeMalformed, What: "an image is malformed", Where: where, Cause: err, Fix: "make or fetch the image again"}
}

// add finds the images that a descriptor leads to.
func (l *layout) add(ctx context.Context, desc ocispec.Descriptor, name string, depth int) error {
	if l.seen[desc.Digest] {
		return nil
	}
	l.seen[desc.Digest] = true
	if depth > 4 || len(l.seen) > 5*maxImages || len(l.images) >= maxImages {
		return &gate.Refusal{Code: CodeTooLarge, What: "there is more in it than is described", Where: desc.Digest.String(), Expected: fmt.Sprintf("at most %d images", maxImages),
			Fix: "describe the images one by one"}
	}
	data, err := image.ReadBlob(ctx, l.blobs, desc, maxManifest)
	if err != nil {
		return err
	}
	if isIndex(desc.MediaType) {
		var index ocispec.Index
		if err := strictjson.Unmarshal(data, &index); err != nil {
			return malformedImage(desc.Digest.String(), err)
		}
		for _, m := range index.Manifests {
			if err := l.add(ctx, m, cmp.Or(m.Annotations[ocispec.AnnotationRefName], name), depth+1); err != nil {
				return err
			}
		}
		return nil
	}
	i := &layoutImage{desc: desc, name: imageName(desc, name)}
	if err := strictjson.Unmarshal(data, &i.manifest); err != nil {
		return malformedImage(desc.Digest.String(), err)
	}
	if i.manifest.Subject != nil || !isConfig(i.manifest.Config.MediaType) || desc.Annotations["vnd.docker.reference.type"] != "" {
		l.others++
		return nil
	}
	config, err := image.ReadBlob(ctx, l.blobs, i.manifest.Config, 2*maxManifest)
	if err != nil {
		return err
	}
	if err := strictjson.Unmarshal(config, &i.config); err != nil {
		return malformedImage(i.manifest.Config.Digest.String(), err)
	}
	if len(i.config.RootFS.DiffIDs) != len(i.manifest.Layers) || len(i.manifest.Layers) > maxLayers {
		return malformedImage(i.manifest.Config.Digest.String(), fmt.Errorf("%d layers and %d diffIDs", len(i.manifest.Layers), len(i.config.RootFS.DiffIDs)))
	}
	for _, layer := range i.manifest.Layers { // whoever fetches it makes a name of the digest
		if err := layer.Digest.Validate(); err != nil || layer.Digest.Algorithm() != digest.SHA256 || layer.Size < 0 {
			return malformedImage(desc.Digest.String(), fmt.Errorf("a layer with the digest %.100q and %d bytes", string(layer.Digest), layer.Size))
		}
	}
	l.images = append(l.images, i)
	return nil
}

func isIndex(mediaType string) bool {
	return mediaType == ocispec.MediaTypeImageIndex || mediaType == "application/vnd.docker.distribution.manifest.list.v2+json"
}

func isConfig(mediaType string) bool {
	return mediaType == ocispec.MediaTypeImageConfig || mediaType == "application/vnd.docker.container.image.v1+json"
}

// imageName gives what a layout calls an image, when that is more than a tag.
func imageName(desc ocispec.Descriptor, name string) string {
	name = cleanName(cmp.Or(desc.Annotations["io.containerd.image.name"], name))
	if !strings.Contains(name, "/") {
		return ""
	}
	name, _, _ = strings.Cut(name, "@")
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		name = name[:i]
	}
	return name
}

func (i *layoutImage) platform() string {
	return strings.Trim(path.Join(cleanPart(i.config.OS), cleanPart(i.config.Architecture), cleanPart(i.config.Variant)), "/")
}

func cleanPart(s string) string {
	if s == "" {
		return ""
	}
	return cleanName(s)
}

func (i *layoutImage) pkg(name, version string) *sbom.Package {
	return &sbom.Package{Name: name, Version: cmp.Or(version, i.desc.Digest.String()), Purpose: sbom.PurposeContainer, Summary: "For " + i.platform(),
		Checksums: []sbom.Checksum{{Algorithm: sbom.SHA256, Value: i.desc.Digest.Encoded()}}, PURL: sbom.ImagePURL(name, i.desc.Digest.Encoded(), i.platform())}
}

func (d *describer) layoutNotes(id string, l *layout) {
	if l.others > 0 {
		d.b.Note(id, "Not described, since they are no images: %d manifests (attestations, signatures or other attachments)", l.others)
	}
	if len(l.images) == 0 {
		d.b.Note(id, "There is no image in the layout")
	}
}

// image takes up an image: its base as far as it is named, its layers with their files, its packages.
func (d *describer) image(id string, i *layoutImage) error {
	for _, text := range i.notes {
		d.b.Note(id, "%s", text)
	}
	if sum := digest.Digest(i.manifest.Annotations[ocispec.AnnotationBaseImageDigest]); sum.Validate() == nil && sum.Algorithm() == digest.SHA256 {
		name := cleanName(cmp.Or(i.manifest.Annotations[ocispec.AnnotationBaseImageName], "base image"))
		base := d.b.Add(&sbom.Package{ID: sbom.ElementID("Base", name, sum.String()), Name: name, Version: sum.String(), Purpose: sbom.PurposeContainer, Summary: "Base image",
			Checksums: []sbom.Checksum{{Algorithm: sbom.SHA256, Value: sum.Encoded()}}, PURL: sbom.ImagePURL(name, sum.Encoded(), i.platform())})
		d.b.RelateSince(id, sbom.DescendantOf, base, "claimed by an annotation of the image")
	}
	if i.system != nil {
		if err := d.system(id, i.system); err != nil {
			return err
		}
	}
	for _, l := range i.layers {
		element := d.b.Add(&sbom.Package{ID: "Layer-" + l.desc.Digest.Encoded(), Name: l.desc.Digest.String(), Purpose: sbom.PurposeArchive,
			Summary: "Layer of an image", Checksums: []sbom.Checksum{{Algorithm: sbom.SHA256, Value: l.desc.Digest.Encoded()}}})
		d.b.Relate(id, sbom.Contains, element)
		for _, text := range l.notes {
			d.b.Note(element, "%s", text)
		}
		slices.SortFunc(l.visible, func(a, b *node) int { return strings.Compare(a.name, b.name) })
		if err := d.layerFiles(element, l); err != nil {
			return err
		}
	}
	return nil
}

// layerFiles lists the files of a layer that are visible in the image. One layer may be in several images, with other files visible.
func (d *describer) layerFiles(id string, l *layer) error {
	fresh := make([]*node, 0, len(l.visible))
	for _, n := range l.visible {
		if d.b.File(sbom.ElementID("File", n.name, n.sums.sha256)) == nil {
			fresh = append(fresh, n)
			continue
		}
		d.b.Relate(id, sbom.Contains, sbom.ElementID("File", n.name, n.sums.sha256))
	}
	return d.files(id, nil, fresh, "")
}
