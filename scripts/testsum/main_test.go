package main

import (
	"encoding/json"
	"strings"
	"testing"
)

// run is what go test -json says of one package whose tests were passed or skipped for these reasons ("" is passed).
func run(t *testing.T, reasons map[string]string) string {
	t.Helper()
	var b strings.Builder
	say := func(e event) {
		line, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(line, '\n'))
	}
	for test, reason := range reasons {
		say(event{Action: "run", Package: "p", Test: test})
		say(event{Action: "output", Package: "p", Test: test, Output: "=== RUN   " + test + "\n"})
		if reason == "" {
			say(event{Action: "pass", Package: "p", Test: test})
			continue
		}
		say(event{Action: "output", Package: "p", Test: test, Output: "    x_test.go:1: " + reason + "\n"})
		say(event{Action: "skip", Package: "p", Test: test})
	}
	say(event{Action: "pass", Package: "p", Elapsed: 1})
	return b.String()
}

func TestWhatMayBeSkipped(t *testing.T) {
	t.Parallel()
	for reason, want := range map[string]bool{
		"": true,
		"skopeo is not installed: run scripts/deps test":                      false,
		"umoci is not installed":                                              false,
		"the package libc6-dev is not installed: run scripts/deps test":       false,
		"setpriv is missing: apt-get install util-linux":                      false,
		"cosign is not in the test cache: set SELLO_JUDGES=1 to build it":     false,
		"set SELLO_JUDGES=1 to compare with syft":                             false,
		"softhsm2 is not installed: run scripts/deps test":                    false,
		"node is not installed: run scripts/deps test":                        false,
		"there is no sbomqs on PATH":                                          true,
		"no corpus: set SELLO_SLSA_TESTDATA to slsa-verifier's cli/testdata":  true,
		"no published cases at ../vectors: set SELLO_VECTORS to their folder": true,
		"this kernel runs no 32-bit programs: exec format error":              true,
		"Windows has no modes":                                                true,
		"compiles gopls twice; set SELLO_TEST_LARGE=1":                        true,
	} {
		said := run(t, map[string]string{"TestPassed": "", "TestOther": reason})
		var out strings.Builder
		if got := sum(strings.NewReader(said), &out, true); got != want {
			t.Errorf("-complete and a test skipped for %q: well is %v\n%s", reason, got, out.String())
		}
		if !want && !strings.Contains(out.String(), "must not be skipped here: p TestOther: x_test.go:1: "+reason) {
			t.Errorf("it is not said that %q is no reason:\n%s", reason, out.String())
		}
		if !sum(strings.NewReader(said), &out, false) {
			t.Errorf("without -complete, a test skipped for %q is a failure", reason)
		}
	}
}

func TestFailuresAreFailures(t *testing.T) {
	t.Parallel()
	good := run(t, map[string]string{"TestPassed": ""})
	for what, said := range map[string]string{
		"nothing at all":               "",
		"a test that failed":           good + `{"Action":"fail","Package":"p","Test":"TestBad"}` + "\n",
		"a package that failed":        good + `{"Action":"fail","Package":"q"}` + "\n",
		"a package that was not built": good + `{"Action":"build-fail","ImportPath":"q"}` + "\n",
		"nothing but a test left out":  run(t, map[string]string{"TestOther": "Windows has no modes"}),
	} {
		var out strings.Builder
		if sum(strings.NewReader(said), &out, false) {
			t.Errorf("%s is taken for well:\n%s", what, out.String())
		}
	}
	var out strings.Builder
	if !sum(strings.NewReader(good), &out, false) || !strings.HasSuffix(out.String(), "1 passed, 0 failed, 0 skipped\n") {
		t.Errorf("a run that went well is a failure:\n%s", out.String())
	}
}
