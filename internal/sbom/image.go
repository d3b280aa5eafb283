package sbom

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/package-url/packageurl-go"

	"github.com/sello-release/sello/internal/digest"
)

// Image is the container image of one platform.
type Image struct {
	Name       string   // its repository: registry.example/team/age
	Platform   string   // linux/amd64, linux/arm/v7
	Manifest   string   // SHA-256 of the platform's manifest, lower-case hex
	Base       string   // repository of the image that it is built upon; "" for none
	BaseDigest string   // SHA-256 of the base's manifest of the platform, lower-case hex
	Layers     []Layer  // the base's and its own, lowest first
	Files      []File   // its own files, names without a leading slash
	Binaries   []Binary // those of Files that are Go programs

	Inside map[string]Content // what is in others of Files, by SHA-256

	Packages     []OSPackage // of the base: Scan finds them
	BaseBinaries []Binary    // Go programs of the base: Scan finds them, too
}

// Layer is a layer of an image, as its manifest names it.
type Layer struct {
	SHA256 string // lower-case hex, of the layer as it is transferred
	Base   bool   // whether it is the base's
}

// ForImage gives the document of the image of one platform.
func ForImage(meta Meta, in Image, graph Graph) (*Document, error) {
	d, err := forRelease(meta, graph)
	if err != nil {
		return nil, fmt.Errorf("describe image %s: %w", in.Name, err)
	}
	id, err := d.image(in)
	if err != nil {
		return nil, fmt.Errorf("describe image %s for %s: %w", in.Name, in.Platform, err)
	}
	d.Relate(DocumentID, Describes, id)
	return d.Document(in.Name + "/" + in.Platform), nil
}

// ForIndex gives the document of an image for all its platforms: the index, with
// that SHA-256 of its manifest, of which each platform's image is a variant. What several of them consist of is in the document once.
func ForIndex(meta Meta, name, index string, images []Image, graph Graph) (*Document, error) {
	d, err := forRelease(meta, graph)
	if err == nil {
		err = checkImageName(name, index)
	}
	if err != nil {
		return nil, fmt.Errorf("describe image %s: %w", name, err)
	}
	root := d.Add(&Package{
		Name:      name,
		ID:        ElementID("Index", name, index),
		Version:   d.meta.Version,
		Summary:   "Index of the image for each platform",
		Checksums: []Checksum{{SHA256, index}},
		PURL:      ImagePURL(name, index, ""),
		Purpose:   "CONTAINER",
		Supplier:  d.meta.Supplier,
	})
	_, d.packages[root].SourceInfo = d.sourceLocation()
	d.Relate(DocumentID, Describes, root)
	d.Relate(root, GeneratedFrom, d.source())
	seen := map[string]bool{}
	sorted := slices.SortedFunc(slices.Values(images), func(a, b Image) int { return cmp.Compare(a.Platform, b.Platform) })
	for _, in := range sorted {
		if in.Name != name || seen[in.Platform] {
			return nil, fmt.Errorf("describe image %s: another image, or the same for a second time: %s for %s", name, in.Name, in.Platform)
		}
		seen[in.Platform] = true
		id, err := d.image(in)
		if err != nil {
			return nil, fmt.Errorf("describe image %s for %s: %w", name, in.Platform, err)
		}
		d.Relate(id, VariantOf, root)
	}
	return d.Document(name), nil
}

func (in Image) check() error {
	if err := checkImageName(in.Name, in.Manifest); err != nil {
		return err
	}
	if in.Platform == "" || strings.ContainsFunc(in.Platform, isUnprintable) {
		return errors.New("image without a printable platform")
	}
	if in.Base != "" {
		if err := checkImageName(in.Base, in.BaseDigest); err != nil {
			return fmt.Errorf("base: %w", err)
		}
	}
	for _, l := range in.Layers {
		if !digest.IsSHA256(l.SHA256) || l.Base && in.Base == "" {
			return fmt.Errorf("layer %q has no proper SHA-256, or no base that it comes from", l.SHA256)
		}
	}
	if in.Base == "" && (in.BaseDigest != "" || len(in.Packages)+len(in.BaseBinaries) > 0) {
		return errors.New("parts of a base, and no base")
	}
	return nil
}

func checkImageName(name, sum string) error {
	if name == "" || strings.HasSuffix(name, "/") || strings.ContainsFunc(name, isUnprintable) || !digest.IsSHA256(sum) {
		return fmt.Errorf("image %q without a printable name and a SHA-256", name)
	}
	return nil
}

// image takes up the image of one platform with all that it consists of.
func (d *Builder) image(in Image) (string, error) {
	if err := in.check(); err != nil {
		return "", err
	}
	p := &Package{
		Name:      in.Name,
		ID:        ElementID("Image", in.Name, in.Platform, in.Manifest),
		Version:   d.meta.Version,
		Summary:   "For " + in.Platform,
		Checksums: []Checksum{{SHA256, in.Manifest}},
		PURL:      ImagePURL(in.Name, in.Manifest, in.Platform),
		Purpose:   "CONTAINER",
		Supplier:  d.meta.Supplier,
	}
	_, p.SourceInfo = d.sourceLocation()
	id := d.Add(p)
	d.Relate(id, GeneratedFrom, d.source())
	if err := d.imageFiles(id, p, in); err != nil {
		return "", err
	}
	var base string
	if in.Base != "" {
		var err error
		if base, err = d.base(in); err != nil {
			return "", err
		}
		d.Relate(id, DescendantOf, base)
	}
	for _, l := range in.Layers {
		layer := d.layer(l)
		d.Relate(id, Contains, layer)
		if l.Base {
			d.Relate(base, Contains, layer)
		}
	}
	return id, nil
}

// imageFiles takes up the files that the release put into an image, and what is linked into the programs among them.
func (d *Builder) imageFiles(id string, p *Package, in Image) error {
	programs, err := byName(in.Binaries)
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, f := range in.Files {
		if seen[f.Name] {
			return fmt.Errorf("two files are called %q", f.Name)
		}
		seen[f.Name] = true
		fid := ElementID("File", f.Name, f.SHA256)
		_, known := d.files[fid] // it is in another platform's image, too
		if !known {
			if err := d.AddFile(fid, f); err != nil {
				return err
			}
		}
		d.Relate(id, Contains, fid)
		b, ok := programs[f.Name]
		if c := in.Inside[f.SHA256]; !ok && !known && c != nil {
			if err := c.Describe(d, fid, f.Name); err != nil {
				return err
			}
		}
		if !ok {
			continue
		}
		delete(programs, f.Name)
		if err := d.packed(fid, f, b); err != nil {
			return err
		}
	}
	for name := range programs {
		return fmt.Errorf("program %q is not among the image's files", name)
	}
	d.analyzed(p, in.Files)
	if len(in.Files) > 0 && in.Base != "" {
		p.Complete = false
		p.Comment = "The verification code is over the files that were put upon the base; the base's are not listed"
	}
	return nil
}

func (d *Builder) layer(l Layer) string {
	return d.Add(&Package{
		Name:      "sha256:" + l.SHA256,
		ID:        "Layer-" + l.SHA256,
		Summary:   "Layer of an image",
		Checksums: []Checksum{{SHA256, l.SHA256}},
		Purpose:   "ARCHIVE",
	})
}

func byName(binaries []Binary) (map[string]Binary, error) {
	m := make(map[string]Binary, len(binaries))
	for _, b := range binaries {
		m[b.Name] = b
	}
	if len(m) != len(binaries) {
		return nil, errors.New("two programs of one name")
	}
	return m, nil
}

// ImagePURL names an image by the SHA-256 of its manifest; platform is "" for an index.
// See the purl specification's type oci: the name is the repository's last part, and the repository is a qualifier.
func ImagePURL(repository, sum, platform string) string {
	qualifiers := map[string]string{"repository_url": strings.ToLower(repository)}
	if _, rest, ok := strings.Cut(platform, "/"); ok {
		qualifiers["arch"], _, _ = strings.Cut(rest, "/")
	}
	return packageurl.NewPackageURL(packageurl.TypeOCI, "", strings.ToLower(path.Base(repository)), "sha256:"+sum,
		packageurl.QualifiersFromMap(qualifiers), "").ToString()
}
