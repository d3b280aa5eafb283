package stage

import (
	"maps"
	"slices"
	"strings"

	"github.com/sello-release/sello/internal/attest"
)

// imagePrefix begins the name of an image in a statement: no file is called like that.
const imagePrefix = "pkg:oci/"

// ImageName is how statements name an image in a repository: as a package URL.
func ImageName(repository string) string {
	return imagePrefix + repository[strings.LastIndexByte(repository, '/')+1:] + "?repository_url=" + repository
}

// IsImageName reports whether a subject of a statement is an image.
func IsImageName(name string) bool { return strings.HasPrefix(name, imagePrefix) }

// Known are the Subjects with every digest that stage.json has of them: what a statement by others is held to.
func (s *Stage) Known() []attest.Subject {
	out := s.Subjects()
	for i, a := range s.Artifacts { // they come first
		if a.SHA512 != "" {
			out[i].Digest["sha512"] = a.SHA512
		}
	}
	return out
}

// Subjects are what a statement about the whole stage is about: every artifact, and in each repository every image with its platforms.
func (s *Stage) Subjects() []attest.Subject {
	var out []attest.Subject
	add := func(name, sum string) {
		out = append(out, attest.Subject{Name: name, Digest: map[string]string{"sha256": strings.TrimPrefix(sum, "sha256:")}})
	}
	for _, a := range s.Artifacts {
		add(a.Name, a.SHA256)
	}
	for _, img := range s.Images {
		for _, repository := range img.Repositories {
			add(ImageName(repository), img.Index)
			for _, platform := range slices.Sorted(maps.Keys(img.Platforms)) {
				add(ImageName(repository)+"&platform="+platform, img.Platforms[platform])
			}
		}
	}
	return out
}
