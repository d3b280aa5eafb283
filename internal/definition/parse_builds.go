package definition

import (
	"fmt"
	"go/version"
	"maps"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/lazyregexp"
	"github.com/sello-release/sello/internal/strictyaml"
)

func (c checker) builds(d *Definition) {
	if len(d.Builds) == 0 {
		c.refuse("builds", "definition-builds", "there is nothing to build", "at least one build", "an empty list", "")
	}
	seen := map[string]string{}
	for i, b := range d.WithDefaults().Builds {
		at := fmt.Sprintf("builds[%d]", i)
		c.project(at+".name", b.Name)
		if first, dup := seen[b.Name]; dup {
			c.refuse(either(c, at+".name", at), "definition-duplicate", "two builds have the name "+b.Name, "a name for each build",
				"the first one is at "+c.doc.Where(first), "give each build a name: of its own")
		}
		seen[b.Name] = at
		switch {
		case b.Go == nil && b.Run == nil:
			c.refuse(at, "definition-builder", "the build does not say what builds it", "the key go, or run", "none", "add go: {packages: [./cmd/...]}")
		case b.Go != nil && b.Run != nil:
			c.refuse(at+".run", "definition-builder", "the build has two builders", "go or run", "both", "write two builds, each with a name of its own")
		case b.Go != nil:
			c.dir(at+".go.dir", d.Builds[i].Go.Dir)
			c.golang(at+".go", b.Go)
		default:
			c.dir(at+".run.dir", d.Builds[i].Run.Dir)
			c.run(at+".run", d, b.Run)
		}
	}
}

// dir checks the folder as it was written: WithDefaults cleans it.
func (c checker) dir(at, s string) {
	if s = strings.TrimPrefix(s, "./"); c.doc.Has(at) && !isPath(strings.TrimSuffix(s, "/")) {
		c.refuse(at, "definition-path", "this is not a folder of the source", "a relative path without ..", quote(s), "")
	}
}

// either gives the first path that is in the document, or the last.
func either(c checker, paths ...string) string {
	for _, p := range paths {
		if c.doc.Has(p) {
			return p
		}
	}
	return paths[len(paths)-1]
}

// golang checks a builder that has its defaults.
func (c checker) golang(at string, g *Go) {
	c.packages(at+".packages", g.Packages)
	c.platforms(at+".platforms", g.Platforms)
	c.toolchain(at+".toolchain", g.Toolchain)
	c.flags(at+".ldflags", g.LDFlags)
	c.flags(at+".gcflags", g.GCFlags)
	if strings.Contains(g.GCFlags, "{{") {
		c.refuse(at+".gcflags", "definition-template", "templates are not allowed in gcflags", "", quote(g.GCFlags), "")
	}
	c.duplicates(at+".tags", g.Tags, "the build tag")
	for i, t := range g.Tags {
		if !buildTag.MatchString(t) {
			c.refuse(fmt.Sprintf("%s.tags[%d]", at, i), "definition-build-tag", "this is not a build tag", "letters, digits, '_' and '.'", quote(t), "write each tag as an entry of the list")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(g.Env)) {
		c.env(at+".env."+name, name, g.Env[name])
	}
}

var (
	buildTag = lazyregexp.New(`^[A-Za-z0-9_.]{1,100}$`)
	pattern  = lazyregexp.New(`^[A-Za-z0-9_.~+/-]+$`)
)

func (c checker) packages(at string, packages []string) {
	if len(packages) == 0 {
		c.refuse(at, "definition-package", "the build has no packages", "at least one", "an empty list", "write [./cmd/...] or [.]")
	}
	c.duplicates(at, packages, "the package")
	for i, p := range packages {
		c.refuseErr(fmt.Sprintf("%s[%d]", at, i), CheckPackage(p))
	}
}

// CheckPackage refuses what is not a package of the source, or a pattern of some: ./path or ./path/... without "..".
func CheckPackage(p string) error {
	rest, below := strings.CutPrefix(p, "./")
	if p == "." || below && pattern.MatchString(rest) && path.Clean(rest) == rest && !slices.Contains(strings.Split(rest, "/"), "..") && rest != "." {
		return nil
	}
	r := &gate.Refusal{Code: "definition-package", Class: gate.Usage, What: "this is not a package of the source", Expected: "./path or ./path/... without ..",
		Actual: quote(p), Fix: "write it relative to dir, starting with ./"}
	bad := strings.IndexFunc(p, func(c rune) bool { return !pattern.MatchString(string(c)) })
	switch {
	case bad >= 0:
		c, _ := utf8.DecodeRuneInString(p[bad:])
		r.Actual += fmt.Sprintf(", which has the character %q", c)
		r.Fix = "rename the folder: paths of packages hold ASCII letters, digits and _ . ~ + -"
	case !below && pattern.MatchString(p) && !path.IsAbs(p) && !strings.HasPrefix(path.Clean(p), ".."):
		r.Fix = "write ./" + path.Clean(p)
	}
	return r
}

func (c checker) platforms(at string, platforms []string) {
	if len(platforms) == 0 {
		c.refuse(at, "definition-platform", "the build has no platforms", "at least one", "an empty list", "remove the key to get the default, or name platforms")
	}
	var seen []Platform
	for i, s := range platforms {
		at := fmt.Sprintf("%s[%d]", at, i)
		p, err := ParsePlatform(s)
		if err != nil {
			c.refuseErr(at, err)
			continue
		}
		if j := slices.IndexFunc(seen, p.same); j >= 0 {
			c.refuse(at, "definition-duplicate", "the platform is there twice", "each once", fmt.Sprintf("%s, which is the same as %s", s, seen[j]), "remove one of them")
		}
		seen = append(seen, p)
	}
}

var released = lazyregexp.New(`^go1\.(0|[1-9][0-9]{0,3})(\.(0|[1-9][0-9]{0,3})|rc[1-9][0-9]?)$`)

// oldestToolchain is the first Go release whose toolchain can be fetched as a module.
const oldestToolchain = "go1.21.0"

// CheckToolchain refuses what does not name one Go release (go1.26.8, go1.27rc1), or local.
func CheckToolchain(s string) error {
	if s == "local" || released.MatchString(s) && (version.Compare(s, oldestToolchain) >= 0 || strings.HasPrefix(s, "go1.21rc")) {
		return nil
	}
	r := &gate.Refusal{Code: "definition-toolchain", Class: gate.Usage, What: "this is not a Go toolchain",
		Expected: "go1.X.Y or go1.XrcN from " + oldestToolchain + " on, or local", Actual: quote(s)}
	switch {
	case released.MatchString("go" + s):
		r.Fix = "write go" + s
	case released.MatchString(s + ".0"):
		r.Fix = "write the whole version, such as " + s + ".0"
	case released.MatchString("go" + s + ".0"):
		r.Fix = "write the whole version, such as go" + s + ".0"
	}
	return r
}

func (c checker) toolchain(at, s string) {
	if c.doc.Has(at) {
		c.refuseErr(at, CheckToolchain(s))
	}
}

// flags refuses templates with unknown values and quotes that stay open. The Go
// command splits flags at spaces and takes quotes only around a whole field.
func (c checker) flags(at, s string) {
	if _, err := Expand(s, Values{}); err != nil {
		c.refuseErr(at, err)
		return
	}
	for rest := strings.TrimSpace(s); rest != ""; {
		if q := rest[:1]; q == "'" || q == `"` {
			_, after, closed := strings.Cut(rest[1:], q)
			if !closed {
				c.refuse(at, "definition-flags", "a quote stays open", "quotes around a whole flag", quote(s), "")
				return
			}
			rest = strings.TrimSpace(after)
			continue
		}
		i := strings.IndexAny(rest, " \t\n")
		if i < 0 {
			return
		}
		rest = strings.TrimSpace(rest[i:])
	}
}

// goEnv are the variables that a definition may set: any value, or the one given.
var goEnv = map[string]string{
	"CGO_ENABLED": "0", "GODEBUG": "", "GOEXPERIMENT": "", "GOFIPS140": "", "GOGC": "", "GOMAXPROCS": "", "GOMEMLIMIT": "",
	"GOWORK": "off", "GO111MODULE": "on",
}

// elsewhereEnv says what to use in place of a variable.
var elsewhereEnv = map[string]string{
	"GOFLAGS": "use packages, ldflags, gcflags and tags", "GOTOOLCHAIN": "use toolchain", "GOOS": "use platforms", "GOARCH": "use platforms",
	"GOARM": "use a variant in platforms: linux/arm/v7", "GOAMD64": "use a variant in platforms: linux/amd64/v3",
}

func (c checker) env(at, key, value string) {
	if key == "CGO_ENABLED" && value != "0" || strings.HasPrefix(key, "CGO_") && key != "CGO_ENABLED" {
		c.refuse(at, "definition-cgo", "this builder builds without cgo, which needs a C toolchain",
			`CGO_ENABLED: "0"`, key+": "+quote(value), "build without cgo, or with run: and an image that has the toolchains")
		return
	}
	only, known := goEnv[key]
	if !known {
		known := slices.Sorted(maps.Keys(goEnv))
		fix := elsewhereEnv[key]
		if near := strictyaml.Nearest(key, known); near != "" && fix == "" && !reserved(key) {
			fix = fmt.Sprintf("did you mean %s?", near)
		}
		c.refuse(at, "definition-env", "a definition may not set "+key+": it would choose code, or reach around the build's isolation, or mean nothing", oneOf(known), key, fix)
		return
	}
	if only != "" && value != only {
		c.refuse(at, "definition-env", key+" has one value here", only, quote(value), "")
		return
	}
	if _, err := Expand(value, Values{}); err != nil {
		c.refuseErr(at, err)
	}
}

// reserved reports whether the Go command itself knows the variable, so that it is no slip of the pen.
func reserved(key string) bool {
	return slices.Contains(strings.Fields(`GOPROXY GOSUMDB GOPRIVATE GONOPROXY GONOSUMDB GOINSECURE GOVCS GOAUTH GOROOT GOPATH GOBIN GOCACHE
		GOCACHEPROG GOMODCACHE GOENV GOTMPDIR GOEXE GOHOSTOS GOHOSTARCH GOTOOLDIR GOVERSION GOMOD GOTELEMETRY GOTELEMETRYDIR GOCOVERDIR`), key)
}
