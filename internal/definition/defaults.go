package definition

import (
	"maps"
	"path"
	"slices"
)

// Defaults of the definition; docs/reference/definition.md states them too.
const (
	DefaultBranch     = "main"
	DefaultStaging    = "./.sello/staging"
	DefaultProduction = "./.sello/production"
	DefaultValidFor   = "720h"
	DefaultAsOf       = "72h"
	DefaultUser       = "65532:65532"
	Scratch           = "scratch" // the base of an image that stands on none
	defaultName       = "{{ .Project }}_{{ .Version }}_{{ .OS }}_{{ .Arch }}"
)

// Defaults that are lists and maps. Nobody changes them.
var (
	DefaultPlatforms = []string{"linux/amd64", "linux/arm64", "darwin/amd64", "darwin/arm64", "windows/amd64"}
	// DefaultFiles go into an archive where they are present.
	DefaultFiles    = []string{"LICENSE*", "LICENCE*", "COPYING*", "NOTICE*", "README*", "CHANGELOG*"}
	DefaultEvidence = []string{"provenance", "sbom"}
	// DefaultRunPlatforms do not depend on the machine, as nothing in a plan does.
	DefaultRunPlatforms = []string{"linux/amd64"}
	// DefaultRunEnv is what a command finds that the definition can change.
	DefaultRunEnv = map[string]string{"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "TZ": "UTC"}
)

// WithDefaults gives a copy of an accepted definition in which every value is filled in that has
// a default. Two values stay as they are: an empty toolchain, which is go.mod's, and
// policy.sign-offs.manager 0, which is trust.yaml's threshold.
func (d *Definition) WithDefaults() *Definition {
	c := *d
	c.Branch = or(d.Branch, DefaultBranch)
	c.Staging = or(d.Staging, DefaultStaging)
	c.Production = or(d.Production, DefaultProduction)
	c.SourceArchive = new(bool)
	*c.SourceArchive = d.SourceArchive == nil || *d.SourceArchive
	c.Policy.Evidence = orList(d.Policy.Evidence, DefaultEvidence)
	c.Policy.SignOffs.ValidFor = or(d.Policy.SignOffs.ValidFor, DefaultValidFor)
	if v := d.Policy.Vulnerabilities; v != nil {
		c.Policy.Vulnerabilities = &Vulnerabilities{Fail: v.Fail, AsOf: or(v.AsOf, DefaultAsOf), Database: v.Database}
	}
	c.Builds = make([]Build, len(d.Builds))
	for i, b := range d.Builds {
		c.Builds[i] = b.withDefaults(d.Project)
	}
	c.Archives = slices.Clone(d.Archives)
	if len(c.Archives) == 0 {
		c.Archives = []Archive{{}}
	}
	for i, a := range c.Archives {
		c.Archives[i] = c.archiveWithDefaults(a)
	}
	c.Images = slices.Clone(d.Images)
	for i, img := range c.Images {
		c.Images[i] = c.imageWithDefaults(img)
	}
	return &c
}

func (b Build) withDefaults(project string) Build {
	b.Name = or(b.Name, project)
	if b.Run != nil {
		r := b.Run.withDefaults()
		b.Run = &r
	}
	if b.Go == nil {
		return b
	}
	g := *b.Go
	g.Dir = path.Clean(or(g.Dir, "."))
	g.Packages = slices.Clone(g.Packages)
	g.Platforms = orList(g.Platforms, DefaultPlatforms)
	g.Tags = slices.Clone(g.Tags)
	env := map[string]string{"CGO_ENABLED": "0"}
	maps.Copy(env, g.Env)
	g.Env = env
	b.Go = &g
	return b
}

func (r Run) withDefaults() Run {
	r.Dir = path.Clean(or(r.Dir, "."))
	r.Command, r.Outputs = slices.Clone(r.Command), slices.Clone(r.Outputs)
	r.Platforms = orList(r.Platforms, DefaultRunPlatforms)
	r.Inputs = orList(r.Inputs, []string{"**"})
	env := maps.Clone(DefaultRunEnv)
	maps.Copy(env, r.Env)
	r.Env = env
	return r
}

// Platforms gives the platforms of the build's builder.
func (b Build) Platforms() []string {
	switch {
	case b.Go != nil:
		return b.Go.Platforms
	case b.Run != nil:
		return b.Run.Platforms
	}
	return nil
}

// archiveWithDefaults needs the builds' defaults to be filled in.
func (d *Definition) archiveWithDefaults(a Archive) Archive {
	if len(a.Builds) == 0 {
		for _, b := range d.Builds {
			a.Builds = append(a.Builds, b.Name)
		}
	} else {
		a.Builds = slices.Clone(a.Builds)
	}
	a.Files = orList(a.Files, DefaultFiles)
	a.Format = or(a.Format, "tar.gz")
	a.Windows = or(a.Windows, "zip")
	if a.Name == "" {
		a.Name = defaultName
		if slices.ContainsFunc(d.ArchivePlatforms(a), func(p Platform) bool { return p.Variant != "" }) {
			a.Name += "{{ .Variant }}"
		}
	}
	return a
}

// ArchivePlatforms gives the platforms of an archive's builds, in the order in which the builds name them.
// The definition has its defaults, the archive names its builds.
func (d *Definition) ArchivePlatforms(a Archive) []Platform {
	var ps []Platform
	for _, b := range d.Builds {
		if !slices.Contains(a.Builds, b.Name) {
			continue
		}
		for _, s := range b.Platforms() {
			if p, err := ParsePlatform(s); err == nil && !slices.Contains(ps, p) {
				ps = append(ps, p)
			}
		}
	}
	return ps
}

func or(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}

func orList(s, fallback []string) []string {
	if s == nil {
		return slices.Clone(fallback)
	}
	return slices.Clone(s)
}
