package scaffold

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/sello-release/sello/internal/definition"
	"github.com/sello-release/sello/internal/gate"
)

// usable leaves out, with a note, the programs that a release cannot have: those whose folder a definition cannot
// name, and those that have another one's name, because all of a platform stand in one folder.
func (s *scan) usable(m module, programs []*pkg, f *Found) []*pkg {
	var out []*pkg
	for _, p := range programs {
		where := path.Join(m.dir, p.rel)
		if err := definition.CheckPackage(pattern(p.rel)); err != nil {
			var r *gate.Refusal
			errors.As(err, &r)
			f.Warnings = append(f.Warnings, fmt.Sprintf("%q was left out: %s: %s", where, r.What, r.Actual))
			continue
		}
		name := programName(m, p)
		if other, taken := s.names[strings.ToLower(name)]; taken {
			f.Warnings = append(f.Warnings, fmt.Sprintf("%s was left out: its program has the name %s, as that of %s has; rename the folder to release both", where, name, other))
			continue
		}
		s.names[strings.ToLower(name)] = where
		out = append(out, p)
	}
	return out
}

// programName is what the Go command calls the binary: the last part of the import path, or the one before when that
// is a major version.
func programName(m module, p *pkg) string {
	full := path.Join(m.path, p.rel)
	if base := path.Base(full); isMajor(base) && path.Dir(full) != "." {
		return path.Base(path.Dir(full))
	}
	return path.Base(full)
}

// isMajor holds for v2, v3 and so on.
func isMajor(s string) bool {
	digits, ok := strings.CutPrefix(s, "v")
	return ok && digits != "" && digits != "1" && digits[0] != '0' && strings.Trim(digits, "0123456789") == ""
}

// holds reports whether the repository's root is this module.
func (s *scan) holds(modulePath string) bool {
	return slices.ContainsFunc(s.modules, func(m module) bool { return m.dir == "." && m.path == modulePath })
}

// published proposes the release of a published module, whose packages are not here.
func published(src definition.SourceURI, o Options) Found {
	f := Found{Source: o.Source, Repository: fromRemote(o.Remote)}
	f.Project = projectName(path.Base(stripMajor(src.Module)))
	if o.Branch != definition.DefaultBranch {
		f.Branch = o.Branch
	}
	f.Builds = []Build{{Name: f.Project, Dir: ".", Module: src.Module, Packages: []string{"."}, Toolchain: toolchain(o.GoVersion, module{})}}
	f.Warnings = []string{"packages: the module is not here, so that [.], the program at its root, is a guess: list its programs, as in [./cmd/a, ./cmd/b]"}
	return f
}
