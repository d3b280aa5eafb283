package stage

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/lazyregexp"
)

// Limits on images.
const (
	maxImages         = 1000
	maxImagePlatforms = 256
	maxManifest       = 4 << 20 // bytes; what registries take (OCI distribution specification, Pushing manifests)
)

var (
	imageName = lazyregexp.New(`^[a-zA-Z0-9][a-zA-Z0-9._:/\[\]-]{0,254}$`)
	imageTag  = lazyregexp.New(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`)
)

func validateImages(images []Image) error {
	if len(images) > maxImages {
		return badField("images", fmt.Sprintf("at most %d", maxImages), fmt.Sprint(len(images)))
	}
	short := map[string]string{}
	for i, img := range images {
		if err := img.validate(); err != nil {
			return err
		}
		if i > 0 && images[i-1].Name >= img.Name {
			return refuse("stage-unsorted", "images are not sorted by name, or one is there twice", "", quote(img.Name), nil)
		}
		if other, dup := short[img.ShortName()]; dup {
			return duplicate(other, img.Name)
		}
		short[img.ShortName()] = img.Name
	}
	return nil
}

func (i Image) validate() error {
	at := "image " + quote(i.Name) + ": "
	if !imageName.MatchString(i.Name) || strings.Contains(i.Name, "..") || strings.HasSuffix(i.Name, "/") {
		return badField("the name of an image", "a word or registry/path", quote(i.Name))
	}
	if !isSHA256(i.Index) {
		return badDigest(at+"index", i.Index)
	}
	switch {
	case i.Size <= 0 || i.Size > maxManifest:
		return badField(at+"size", fmt.Sprintf("1 to %d", maxManifest), fmt.Sprint(i.Size))
	case len(i.Platforms) == 0 || len(i.Platforms) > maxImagePlatforms:
		return badField(at+"platforms", fmt.Sprintf("1 to %d", maxImagePlatforms), fmt.Sprint(len(i.Platforms)))
	case i.Build != "" && !plain(i.Build):
		return badField(at+"build", "a short text", quote(i.Build))
	}
	for platform, manifest := range i.Platforms {
		if !plain(platform) || !isSHA256(manifest) || manifest == i.Index {
			return badDigest(at+"platforms: "+quote(platform), manifest)
		}
	}
	for platform, sbom := range i.SBOMs {
		if _, known := i.Platforms[platform]; !known && platform != "" || !isSHA256(sbom) {
			return badDigest(at+"sboms: "+quote(platform), sbom)
		}
	}
	return i.validateNames(at)
}

func (i Image) validateNames(at string) error {
	if !slices.IsSorted(i.Repositories) || !slices.IsSorted(i.Tags) {
		return refuse("stage-unsorted", at+"repositories or tags are not sorted", "", "", nil)
	}
	if len(i.Repositories) == 0 || len(i.Tags) == 0 {
		return badField(at+"repositories or tags", "at least one", "none")
	}
	for _, r := range i.Repositories {
		if !imageName.MatchString(r) || !strings.Contains(r, "/") || strings.Contains(r, "..") {
			return badField(at+"repositories", "registry/path", quote(r))
		}
	}
	for _, t := range slices.Concat(i.Tags, i.Markers) {
		if !imageTag.MatchString(t) {
			return badField(at+"tags", "letters, digits, '_', '.' and '-'", quote(t))
		}
	}
	return nil
}

// ShortName is the last part of the image's name: age for registry.example/team/age.
func (i Image) ShortName() string { return i.Name[strings.LastIndexByte(i.Name, '/')+1:] }

func isSHA256(s string) bool {
	hex, ok := strings.CutPrefix(s, "sha256:")
	return ok && digest.IsSHA256(hex)
}
