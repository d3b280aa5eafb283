package definition

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// images checks the images of a definition that has its defaults.
func (c checker) images(d *Definition) {
	if c.doc.Has("images") && !c.doc.Has("images[0]") {
		c.refuse("images", "definition-image", "the list of images is empty", "at least one", "[]", "remove the key to make none")
	}
	names, places := map[string]string{}, map[string]string{}
	for n, i := range d.Images {
		at := fmt.Sprintf("images[%d]", n)
		c.imageName(at, i)
		if first, dup := names[i.ShortName()]; dup && i.Name != "" {
			c.refuse(at+".name", "definition-duplicate", "two images have the name "+i.ShortName(), "another last part of the name for each image",
				"the first one is at "+c.doc.Where(first), "")
		}
		names[i.ShortName()] = at + ".name"
		c.repositories(at, i)
		for _, r := range i.Repositories {
			if first, dup := places[r]; dup && first != at {
				c.refuse(either(c, at+".repositories", at+".name", at), "definition-duplicate", "two images are published in one repository", "a repository for each image", r+", which "+first+" has too",
					"give each image a repository of its own: "+r+"-"+i.ShortName())
			}
			places[r] = at
		}
		c.imageBase(at+".base", i.Base)
		c.imageBuild(at, d, i)
		c.imageFiles(at+".files", i.Files)
		c.imageRun(at, i)
		for key, values := range map[string]map[string]string{".env": i.Env, ".labels": i.Labels, ".annotations": i.Annotations} {
			c.imageValues(at+key, key == ".env", values)
		}
		c.imageTags(at+".tags", i.Tags)
	}
}

func (c checker) imageName(at string, i Image) {
	if !c.doc.Has(at+".name") || imageWord.MatchString(i.Name) && len(i.Name) <= 128 || IsRepository(i.Name) {
		return
	}
	fix := ""
	if low := strings.ToLower(i.Name); low != i.Name && (imageWord.MatchString(low) || IsRepository(low)) {
		fix = "write " + low
	}
	c.refuse(at+".name", "definition-image-name", "this is not the name of an image", "a word such as age, or a repository such as registry.example/team/age", quote(i.Name), fix)
}

func (c checker) repositories(at string, i Image) {
	if len(i.Repositories) == 0 && (i.Name == "" || imageWord.MatchString(i.Name)) {
		c.refuse(either(c, at+".repositories", at), "definition-repository-missing", "the image does not say where it is published", "at least one repository", "none",
			"write repositories: [registry.example/"+or(i.Name, "name")+"], with your registry")
	}
	c.duplicates(at+".repositories", i.Repositories, "the repository")
	for n, r := range i.Repositories {
		if c.doc.Has(at + ".repositories") {
			c.repository(fmt.Sprintf("%s.repositories[%d]", at, n), r)
		}
	}
	if c.doc.Has(at + ".staging") {
		c.repository(at+".staging", i.Staging)
		if slices.Contains(i.Repositories, i.Staging) {
			c.refuse(at+".staging", "definition-bucket-overlap", "the image would be staged where it is published", "another repository", quote(i.Staging), "")
		}
	}
}

func (c checker) repository(at, s string) {
	if IsRepository(s) {
		return
	}
	fix := "write registry/path; tags: says the tags"
	if i := strings.LastIndexAny(s, ":@"); i > 0 && IsRepository(s[:i]) {
		fix = "write " + s[:i]
	}
	c.refuse(at, "definition-image-repository", "this is not a repository", "registry/path, without tag and digest", quote(s), fix)
}

func (c checker) imageBase(at, s string) {
	if _, _, ok := ParseBase(s); !ok && c.doc.Has(at) {
		c.refuse(at, "definition-image-base", "the base is not named by a digest: a tag can be moved to other bytes", "registry/path@sha256:… or scratch", quote(s), pinFix(s))
	}
}

func (c checker) imageBuild(at string, d *Definition, i Image) {
	var builds []string
	for _, b := range d.Builds {
		builds = append(builds, b.Name)
	}
	if i.Build == "" {
		c.refuse(at, "definition-image", "the image does not say which build's programs go in", oneOf(builds), "none", "write build: "+builds[0])
		return
	}
	if !slices.Contains(builds, i.Build) {
		c.unknown(either(c, at+".build", at), "definition-unknown-build", "there is no such build", i.Build, builds)
		return
	}
	have := d.platformsOfBuild(i.Build)
	if len(i.Platforms) == 0 {
		c.refuse(either(c, at+".platforms", at), "definition-platform", "the image has no platforms", "a linux platform of build "+i.Build, strings.Join(have, ", "), "add linux/amd64 to the build's platforms")
	}
	c.duplicates(at+".platforms", i.Platforms, "the platform")
	for n, p := range i.Platforms {
		if !slices.Contains(have, p) {
			c.unknown(fmt.Sprintf("%s.platforms[%d]", at, n), "definition-platform", "build "+i.Build+" has no such platform", p, have)
		}
	}
}

func (c checker) imageFiles(at string, files []ImageFile) {
	for n, f := range files {
		if _, err := path.Match(f.From, ""); err != nil || !isPath(f.From) || f.From == "." {
			c.refuse(fmt.Sprintf("%s[%d].from", at, n), "definition-path", "this is not a path or glob pattern of the source", "a relative path without ..", quote(f.From), "")
		}
		to := strings.TrimSuffix(strings.TrimPrefix(f.To, "/"), "/")
		if !strings.HasPrefix(f.To, "/") || to == "" && f.To != "/" || to != "" && !isPath(to) {
			c.refuse(fmt.Sprintf("%s[%d].to", at, n), "definition-path", "this is not an absolute path in an image", "/path without .., with a slash at its end for a folder", quote(f.To), "")
		}
	}
}

// imageRun checks how the image runs.
func (c checker) imageRun(at string, i Image) {
	if !imageUser.MatchString(i.User) {
		c.refuse(at+".user", "definition-image-user", "the user is not a number", "a number, or two with a colon: 65532:65532", quote(i.User), "names mean another user in every base: write the number; 0 is root")
	}
	if i.WorkingDir != "" && (!path.IsAbs(i.WorkingDir) || path.Clean(i.WorkingDir) != i.WorkingDir) {
		c.refuse(at+".working-dir", "definition-path", "this is not an absolute path in an image", "/path without ..", quote(i.WorkingDir), "")
	}
	for key, list := range map[string][]string{".entrypoint": i.Entrypoint, ".command": i.Command} {
		if c.doc.Has(at+key) && len(list) == 0 {
			c.refuse(at+key, "definition-image", "the list is empty", "at least one", "[]", "remove the key to get the default")
		}
		for n, word := range list {
			if strings.ContainsRune(word, 0) || len(word) > 4096 {
				c.refuse(fmt.Sprintf("%s%s[%d]", at, key, n), "definition-image", "this cannot be an argument", "text without NUL, at most 4096 bytes", quote(word[:min(len(word), 40)]), "")
			}
		}
	}
}

func (c checker) imageValues(at string, env bool, values map[string]string) {
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if _, err := Expand(values[key], Values{}); err != nil {
			c.refuseErr(at+"."+key, err)
		}
		switch {
		case key == "" || strings.ContainsAny(key, "\x00\n") || strings.ContainsRune(values[key], 0), env && (len(key) > 128 || !envName.MatchString(key)):
			c.refuse(at+"."+key, "definition-image", "this cannot be a name here", "letters, digits and '_' for env; text without line breaks otherwise", quote(key), "")
		case at[strings.LastIndexByte(at, '.'):] == ".annotations" && slices.Contains(ownAnnotations, key):
			c.refuse(at+"."+key, "definition-image", "Sello writes this annotation itself, from what it built", "another annotation", key, "remove it")
		}
	}
}

// ownAnnotations are written from what was built, and are not for a definition to say.
var ownAnnotations = []string{
	"org.opencontainers.image.created", "org.opencontainers.image.revision", "org.opencontainers.image.source", "org.opencontainers.image.version",
	"org.opencontainers.image.base.name", "org.opencontainers.image.base.digest",
}

func (c checker) imageTags(at string, tags []string) {
	if len(tags) == 0 {
		c.refuse(at, "definition-image-tag", "the list of tags is empty", "at least one", "[]", "remove the key to get the default")
	}
	seen := map[string]bool{}
	for n, t := range tags {
		where := either(c, fmt.Sprintf("%s[%d]", at, n), at)
		v := sample
		v.Project = "project"
		tag, err := Expand(t, v)
		if err != nil {
			c.refuseErr(where, err)
			continue
		}
		switch {
		case len(tag) > 128 || !imageTag.MatchString(tag):
			c.refuse(where, "definition-image-tag", "this is not a tag of an image", "letters, digits, '_', '.' and '-', at most 128", quote(t), "")
		case tag == t:
			c.refuse(where, "definition-image-tag", "the tag would be the same for every release, and tags of a release never move", "a tag with {{ .Version }} in it", quote(t),
				"markers: true moves latest, vX and vX.Y")
		case seen[tag]:
			c.refuse(where, "definition-duplicate", "the tag is there twice", "each once", quote(t), "remove one of them")
		}
		seen[tag] = true
	}
}
