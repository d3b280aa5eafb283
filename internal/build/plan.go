// Package build turns a definition and a release file into the steps of a release.
//
// Planning is pure: the same definition, release file and commit give the same
// plan, on every machine. A plan says what will be compiled, packed and described, under
// which names, and where it will go; what the build reads (materials) is resolved
// afterwards, by the fetch phase.
package build

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/sello-release/sello/internal/definition"
	"github.com/sello-release/sello/internal/gate"
)

// Plan is everything that a release will do, before anything is fetched.
type Plan struct {
	Definition *definition.Definition // with defaults
	Values     definition.Values      // without platform
	Time       time.Time              // the commit's time: the build's time
	Compiles   []Compile              // sorted by build, then platform
	Archives   []Archive              // sorted by name
	Images     []Image                // sorted by name
	Source     string                 // name of the source archive, or ""
}

// Compile is one build on one platform: one run of the Go command, or of the command that the definition names.
type Compile struct {
	Build    string
	Platform definition.Platform
	Go       definition.Go   // templates expanded; only when Run is nil
	Run      *definition.Run // templates expanded, with the environment that comes from the release
}

// Name of the compile, for steps and messages: build/age/linux/amd64.
func (c Compile) Name() string { return "build/" + c.Build + "/" + c.Platform.String() }

// Archive is one archive to pack.
type Archive struct {
	Name     string // with its ending
	Format   string // tar.gz or zip
	Prefix   string // top folder in the archive
	Platform definition.Platform
	Builds   []string
	Files    []string // globs relative to the root of the source
}

// New plans the release of version at a commit with the given time.
func New(def *definition.Definition, version, commit string, at time.Time) (*Plan, error) {
	def = def.WithDefaults()
	p := &Plan{
		Definition: def,
		Time:       at.UTC().Truncate(time.Second),
		Values: definition.Values{
			Project: def.Project, Version: version, Commit: commit, ShortCommit: short(commit),
			CommitTime: at.UTC().Format(time.RFC3339),
		},
	}
	for _, b := range def.Builds {
		if err := p.addCompiles(b); err != nil {
			return nil, err
		}
	}
	for _, a := range def.Archives {
		if err := p.addArchives(a); err != nil {
			return nil, err
		}
	}
	for _, i := range def.Images {
		if err := p.addImage(i); err != nil {
			return nil, err
		}
	}
	if def.SourceArchive != nil && *def.SourceArchive {
		p.Source = fmt.Sprintf("%s_%s_src.tar.gz", def.Project, version)
	}
	slices.SortFunc(p.Archives, func(a, b Archive) int { return strings.Compare(a.Name, b.Name) })
	return p, p.distinctNames()
}

func (p *Plan) addCompiles(b definition.Build) error {
	for _, name := range b.Platforms() {
		platform, err := definition.ParsePlatform(name)
		if err != nil {
			return err
		}
		c := Compile{Build: b.Name, Platform: platform}
		if b.Run != nil {
			c.Run, err = p.expandRun(*b.Run, platform)
		} else {
			c.Go, err = p.expandGo(*b.Go, platform)
		}
		if err != nil {
			return fmt.Errorf("plan build %s: %w", b.Name, err)
		}
		p.Compiles = append(p.Compiles, c)
	}
	return nil
}

func (p *Plan) expandGo(g definition.Go, platform definition.Platform) (definition.Go, error) {
	v := p.valuesFor(platform)
	var err error
	if g.LDFlags, err = definition.Expand(g.LDFlags, v); err != nil {
		return g, err
	}
	env := map[string]string{}
	for k, t := range g.Env {
		if env[k], err = definition.Expand(t, v); err != nil {
			return g, err
		}
	}
	for k, val := range platform.Env() {
		env[k] = val
	}
	g.Env = env
	return g, nil
}

// addArchives plans the archive a on every platform that one of its builds has.
func (p *Plan) addArchives(a definition.Archive) error {
	for _, platform := range p.platformsOf(a.Builds) {
		name, err := definition.Expand(a.Name, p.valuesFor(platform))
		if err != nil {
			return fmt.Errorf("plan archive %s: %w", a.Name, err)
		}
		format := a.Format
		if platform.OS == "windows" && a.Windows != "" {
			format = a.Windows
		}
		p.Archives = append(p.Archives, Archive{
			Name: name + "." + format, Format: format, Prefix: name,
			Platform: platform, Builds: a.Builds, Files: a.Files,
		})
	}
	return nil
}

// platformsOf gives the platforms on which any of the named builds (all, if none is named) is compiled, in plan order.
func (p *Plan) platformsOf(builds []string) []definition.Platform {
	var out []definition.Platform
	for _, c := range p.Compiles {
		if (len(builds) == 0 || slices.Contains(builds, c.Build)) && !slices.Contains(out, c.Platform) {
			out = append(out, c.Platform)
		}
	}
	return out
}

// Platforms gives all platforms of the plan, in plan order.
func (p *Plan) Platforms() []definition.Platform { return p.platformsOf(nil) }

// CompilesOf gives the compiles of one build, in plan order.
func (p *Plan) CompilesOf(build string) []Compile {
	var out []Compile
	for _, c := range p.Compiles {
		if c.Build == build {
			out = append(out, c)
		}
	}
	return out
}

// Only narrows the plan to some platforms, without source archive, for a quick local try. An image that has none of them is left out.
func (p *Plan) Only(platforms ...definition.Platform) *Plan {
	q := *p
	q.Source, q.Images = "", nil
	for _, img := range p.Images {
		img.On = slices.DeleteFunc(slices.Clone(img.On), func(on definition.Platform) bool { return !slices.Contains(platforms, on) })
		if len(img.On) > 0 {
			q.Images = append(q.Images, img)
		}
	}
	q.Compiles = slices.DeleteFunc(slices.Clone(p.Compiles), func(c Compile) bool { return !slices.Contains(platforms, c.Platform) })
	q.Archives = slices.DeleteFunc(slices.Clone(p.Archives), func(a Archive) bool { return !slices.Contains(platforms, a.Platform) })
	return &q
}

func (p *Plan) valuesFor(platform definition.Platform) definition.Values {
	v := p.Values
	v.OS, v.Arch, v.Variant = platform.OS, platform.Arch, platform.Variant
	return v
}

// distinctNames refuses two archives of one name: the second would be a conflict only at the end of a long run.
func (p *Plan) distinctNames() error {
	seen := map[string]string{p.Source: "the source archive"}
	for _, a := range p.Archives {
		if other, ok := seen[strings.ToLower(a.Name)]; ok {
			return &gate.Refusal{Code: "archive-name-collision", Class: gate.Usage, Where: definition.FileName,
				What: fmt.Sprintf("two archives get the name %s", a.Name), Expected: "a name for each archive and platform",
				Actual: "the same as " + other, Fix: "add {{ .OS }}, {{ .Arch }} and {{ .Variant }} to archives[].name, or name the builds apart"}
		}
		seen[strings.ToLower(a.Name)] = "the archive for " + a.Platform.String()
	}
	return nil
}

// FilePath is where a file that is no binary stands in a release: share/linux/amd64/doc/age.1.
func FilePath(platform definition.Platform, file string) string {
	return path.Join("share", platform.String(), file)
}

// BinaryPath is where a binary stands in a release: bin/linux/amd64/age, bin/linux/arm/v7/age.
func BinaryPath(platform definition.Platform, file string) string {
	return path.Join("bin", platform.String(), file)
}

func short(commit string) string {
	if len(commit) > 12 {
		return commit[:12]
	}
	return commit
}

// DefaultFile reports whether glob is one of the default patterns for files in an archive, which need not match anything.
func DefaultFile(glob string) bool { return slices.Contains(definition.DefaultFiles, glob) }
