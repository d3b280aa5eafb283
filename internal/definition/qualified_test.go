package definition_test

import (
	"strings"
	"testing"

	"github.com/sello-release/sello/internal/definition"
)

func TestQualifiedIsForNamesWithoutARegistryOnly(t *testing.T) {
	t.Parallel()
	sum := "@sha256:" + strings.Repeat("a", 64)
	for s, want := range map[string]string{
		"debian":                    "docker.io/library/debian",
		"debian:12":                 "docker.io/library/debian:12",
		"debian" + sum:              "docker.io/library/debian" + sum,
		"debian:12" + sum:           "docker.io/library/debian:12" + sum,
		"somebody/tool:v1":          "docker.io/somebody/tool:v1",
		"scratch":                   "",
		"":                          "",
		"registry.example/debian":   "",
		"registry.example/debian:1": "",
		"localhost/debian":          "",
		"localhost:5000/debian:1":   "",
		"Debian:12":                 "",
		"debian:":                   "",
		"debian@sha256:12":          "",
		"a b":                       "",
		"https://debian":            "",
	} {
		if got := definition.Qualified(s); got != want {
			t.Errorf("%q is completed to %q, want %q", s, got, want)
		}
	}
}
