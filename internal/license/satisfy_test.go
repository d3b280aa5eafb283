package license_test

import (
	"slices"
	"testing"

	"github.com/sello-release/sello/internal/license"
)

func TestSatisfied(t *testing.T) {
	t.Parallel()
	takes := func(id, exception string) bool {
		return id == "MIT" || id == "ISC" || id == "GPL-2.0-only" && exception == "Classpath-exception-2.0"
	}
	for s, want := range map[string][2]bool{
		"MIT": {true, true}, "AGPL-3.0-only": {false, true}, "MIT AND AGPL-3.0-only": {false, true}, "MIT OR AGPL-3.0-only": {true, true}, "AGPL-3.0-only OR MIT": {true, true},
		"AGPL-3.0-only AND ISC OR MIT": {true, true}, "MIT OR ISC AND AGPL-3.0-only": {true, true}, "(MIT OR ISC) AND AGPL-3.0-only": {false, true}, "(AGPL-3.0-only OR ISC) AND MIT": {true, true},
		"GPL-2.0-only WITH Classpath-exception-2.0": {true, true}, "GPL-2.0-only": {false, true}, "LicenseRef-x": {false, true}, "LicenseRef-x OR MIT": {true, true},
		"": {false, false}, "NONE": {false, false}, "NOASSERTION": {false, false}, "MIT OR": {false, false}, "mit or later": {false, false}, "(MIT": {false, false},
	} {
		if satisfied, valid := license.Satisfied(s, takes); satisfied != want[0] || valid != want[1] {
			t.Errorf("%q: %v, %v; want %v", s, satisfied, valid, want)
		}
	}
}

func TestSpellings(t *testing.T) {
	t.Parallel()
	for id, want := range map[string][]string{"GPL-3.0": {"GPL-3.0", "GPL-3.0-only"}, "GPL-3.0+": {"GPL-3.0+", "GPL-3.0-or-later"}, "GPL-3.0-only": {"GPL-3.0-only", "GPL-3.0"}, "AGPL-3.0-or-later": {"AGPL-3.0-or-later", "AGPL-3.0+"}, "MIT": {"MIT"}} {
		if got := license.Spellings(id); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", id, got, want)
		}
	}
}
