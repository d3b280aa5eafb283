package image

import (
	"fmt"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/package-url/packageurl-go"

	"github.com/sello-release/sello/internal/material"
)

// Materials names everything that the image consists of, as materials of a build: the indexes, the
// manifest, the configuration and each layer. Repository is where the image is from, with its host and without
// a tag; URIs are package URLs of type oci.
func (b *Base) Materials(repository string) []material.Material {
	var out []material.Material
	add := func(name string, d ocispec.Descriptor, arch string) {
		out = append(out, material.Material{Name: name, URI: purl(repository, d, arch), Digest: map[string]string{"sha256": d.Digest.Encoded()},
			Annotations: map[string]string{"mediaType": d.MediaType}})
	}
	for _, d := range b.Indexes {
		add("base index", d, "")
	}
	add("base manifest", b.Manifest, b.Platform.Architecture)
	if len(b.Indexes) > 0 {
		var held []string
		for _, d := range b.Indexes {
			held = append(held, d.Digest.String())
		}
		out[len(out)-1].Annotations[heldIn] = strings.Join(held, " ")
	}
	add("base config", b.Config, b.Platform.Architecture)
	for i, d := range b.Layers {
		add(fmt.Sprintf("base layer %d", i+1), d, b.Platform.Architecture)
	}
	return out
}

// purl gives a package URL of type oci: the last part of the repository in lower case, the digest as version, and
// the repository as a qualifier.
func purl(repository string, d ocispec.Descriptor, arch string) string {
	repository = strings.ToLower(repository)
	q := map[string]string{"repository_url": repository}
	if arch != "" {
		q["arch"] = arch
	}
	name := repository[strings.LastIndex(repository, "/")+1:]
	return packageurl.NewPackageURL(packageurl.TypeOCI, "", name, d.Digest.String(), packageurl.QualifiersFromMap(q), "").ToString()
}

// heldIn is the annotation of a manifest that says which indexes lead to it, outermost first: what others attest of an image they often
// attest of its index alone.
const heldIn = "indexes"

// IsManifest reports whether a material is the manifest of an image: one for each image that is built upon.
func IsManifest(m material.Material) bool { return strings.HasSuffix(m.Name, " manifest") }

// IndexesOf gives the SHA-256 digests of the indexes that lead to a manifest, outermost first.
func IndexesOf(m material.Material) []string {
	var out []string
	for _, d := range strings.Fields(m.Annotations[heldIn]) {
		if sum, ok := strings.CutPrefix(d, "sha256:"); ok {
			out = append(out, sum)
		}
	}
	return out
}

// RepositoryOf gives the repository that the package URL of an image's part names.
func RepositoryOf(uri string) (string, bool) {
	if !strings.HasPrefix(uri, "pkg:"+packageurl.TypeOCI+"/") {
		return "", false
	}
	p, err := packageurl.FromString(uri)
	if err != nil {
		return "", false
	}
	repository := p.Qualifiers.Map()["repository_url"]
	return repository, repository != ""
}
