package sbom_test

import (
	"strings"
	"testing"

	"github.com/sello-release/sello/internal/sbom"
)

func TestLicenceExpressions(t *testing.T) {
	t.Parallel()
	for expression, valid := range map[string]bool{
		"MIT":                            true,
		"GPL-2.0-or-later":               true,
		"GPL-2.0+":                       true, // deprecated, and listed
		"Apache-2.0+":                    true,
		"MIT AND (BSD-3-Clause OR 0BSD)": true,
		"GPL-2.0-only WITH Linux-syscall-note AND MIT": true,
		"":                                     false,
		"custom":                               false,
		"GPLv3+":                               false,
		"MIT BSD-3-Clause":                     false,
		"MIT and Apache-2.0":                   false,
		"MIT AND":                              false,
		"AND MIT":                              false,
		"MIT-only":                             false,
		"LicenseRef-x":                         false,
		"MIT OR LicenseRef-x":                  false,
		"MIT WITH MIT":                         false,
		"Linux-syscall-note":                   false,
		"(MIT":                                 false,
		"MIT)":                                 false,
		"()":                                   false,
		strings.Repeat("MIT OR ", 300) + "MIT": false,
		strings.Repeat("(", 30) + "MIT" + strings.Repeat(")", 30): false,
	} {
		in := images(t)[0]
		in.Packages = []sbom.OSPackage{{Type: "apk", Name: "package-of-it", Version: "1", License: expression}}
		for _, p := range read(t, forImage(t, in)).Packages {
			if p.PackageName != "package-of-it" {
				continue
			}
			declared, said := p.PackageLicenseDeclared, p.PackageLicenseComments
			if valid && (declared != expression || said != "") || !valid && (declared != "NOASSERTION" || !strings.Contains(said, expression)) {
				t.Errorf("%q: declared %q, comment %q", expression, declared, said)
			}
		}
	}
}
