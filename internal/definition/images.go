package definition

import (
	"path"
	"slices"
	"strings"

	"github.com/sello-release/sello/internal/lazyregexp"
)

// The grammar of the distribution specification (Pulling manifests), for a repository with its registry.
var (
	registryHost = `(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?`
	pathPart     = `[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*`
	repository   = lazyregexp.New(`^` + registryHost + `(?:/` + pathPart + `)+$`)
	imageWord    = lazyregexp.New(`^` + pathPart + `$`)
	imageDigest  = lazyregexp.New(`^sha256:[0-9a-f]{64}$`)
	imageTag     = lazyregexp.New(`^[A-Za-z0-9_][A-Za-z0-9._-]*$`)
	imageUser    = lazyregexp.New(`^[0-9]{1,10}(:[0-9]{1,10})?$`)
	envName      = lazyregexp.New(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// IsRepository reports whether s is registry/path: a host with a dot or a port, or localhost, and a path. It has neither tag nor digest.
func IsRepository(s string) bool {
	host, _, ok := strings.Cut(s, "/")
	return ok && len(s) <= 255 && repository.MatchString(s) && (strings.ContainsAny(host, ".:") || host == "localhost")
}

// ParseBase splits the base of an image into repository and digest; both are empty for scratch.
// ok is false for anything else: a tag, no digest, a short digest.
func ParseBase(s string) (repository, digest string, ok bool) {
	if s == Scratch {
		return "", "", true
	}
	repository, digest, ok = strings.Cut(s, "@")
	return repository, digest, ok && IsRepository(repository) && imageDigest.MatchString(digest)
}

// Qualified gives the whole name of an image that was written without its registry, as the tools of one public registry let people do:
// docker.io/library/debian:12 for debian:12. It is "" for everything else. Nothing is completed silently: this is for a message.
func Qualified(s string) string {
	name, rest := s, ""
	if i := strings.IndexAny(s, ":@"); i >= 0 && !strings.Contains(s[i:], "/") {
		name, rest = s[:i], s[i:]
	}
	full := "docker.io/" + name
	if !strings.Contains(name, "/") {
		full = "docker.io/library/" + name
	}
	if tag, sum, _ := strings.Cut(rest, "@"); IsRepository(name) || name == Scratch || !IsRepository(full) || tag != "" && !imageTag.MatchString(tag[1:]) || sum != "" && !imageDigest.MatchString(sum) {
		return ""
	}
	return full + rest
}

// pinFix says how to name an image by its digest.
func pinFix(s string) string {
	if full := Qualified(s); full != "" {
		return "write " + full + ", with its registry; then sello pin asks that for the digest and writes it here"
	}
	return "sello pin asks the registry for the digest and writes it here"
}

// ShortName is the last part of an image's name: age for registry.example/team/age.
func (i Image) ShortName() string { return path.Base(i.Name) }

// MovingTags are the tags that Markers asks for: latest, vX.Y and vX for vX.Y.Z.
func (i Image) MovingTags(version, channel string) []string {
	parts := strings.SplitN(version, ".", 3)
	if !i.Markers || channel != "stable" || len(parts) != 3 {
		return nil
	}
	return []string{parts[0] + "." + parts[1], parts[0], "latest"}
}

// imageWithDefaults needs the builds' defaults to be filled in.
func (d *Definition) imageWithDefaults(i Image) Image {
	i.Base = or(i.Base, Scratch)
	i.User = or(i.User, DefaultUser)
	if i.Build == "" && len(d.Builds) == 1 {
		i.Build = d.Builds[0].Name
	}
	i.Repositories = slices.Clone(i.Repositories)
	if len(i.Repositories) == 0 && IsRepository(i.Name) {
		i.Repositories = []string{i.Name}
	}
	i.Tags = orList(i.Tags, []string{"{{ .Version }}"})
	i.Platforms = slices.Clone(i.Platforms)
	if len(i.Platforms) == 0 {
		for _, p := range d.platformsOfBuild(i.Build) {
			if strings.HasPrefix(p, "linux/") {
				i.Platforms = append(i.Platforms, p)
			}
		}
	}
	return i
}

func (d *Definition) platformsOfBuild(name string) []string {
	for _, b := range d.Builds {
		if b.Name == name {
			return b.Platforms()
		}
	}
	return nil
}
