package scaffold

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/sello-release/sello/internal/definition"
)

// SelloYAML writes the proposal: a short sello.yaml with comments, which definition.Parse accepts.
func (f Found) SelloYAML() []byte {
	var b bytes.Buffer
	b.WriteString(definition.Modeline("sello"))
	fmt.Fprintf(&b, "# How %s is built and released. sello check reads it, sello plan shows what comes out, defaults and all.\n", f.Project)
	fmt.Fprintf(&b, "project: %s\nsource: %s\n", definition.Scalar(f.Project), definition.Scalar(f.Source))
	if f.Repository != "" {
		fmt.Fprintf(&b, "repository: %s\n", definition.Scalar(f.Repository))
	}
	if f.Branch != "" {
		fmt.Fprintf(&b, "branch: %s\n", definition.Scalar(f.Branch))
	}
	b.WriteString("builds:\n")
	for _, build := range f.Builds {
		build.write(&b, f)
	}
	if len(f.Builds) > 1 {
		b.WriteString("archives: # one for each build\n")
		for _, build := range f.Builds {
			fmt.Fprintf(&b, "  - {name: \"%s_{{ .Version }}_{{ .OS }}_{{ .Arch }}\", builds: [%s]}\n", build.Name, definition.Scalar(build.Name))
		}
	}
	return b.Bytes()
}

func (build Build) write(b *bytes.Buffer, f Found) {
	if len(f.Builds) > 1 {
		fmt.Fprintf(b, "  - name: %s\n    go:\n", definition.Scalar(build.Name))
	} else {
		b.WriteString("  - go:\n")
	}
	if build.Dir != "." {
		fmt.Fprintf(b, "      dir: %s\n", definition.Scalar(build.Dir))
	}
	fmt.Fprintf(b, "      packages: [%s]\n", list(build.Packages))
	fmt.Fprintf(b, "      platforms: [%s]\n", list(definition.DefaultPlatforms))
	fmt.Fprintf(b, "      toolchain: %s\n", build.Toolchain)
	if build.LDFlags != "" {
		fmt.Fprintf(b, "      ldflags: %s\n", definition.Scalar(build.LDFlags))
	}
}

func list(items []string) string {
	out := make([]string, len(items))
	for i, s := range items {
		out[i] = definition.Scalar(s)
	}
	return strings.Join(out, ", ")
}
