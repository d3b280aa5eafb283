package main

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// slsaThreats are the threats that the threat model has to have a row of, with how many at least.
var slsaThreats = map[string]int{"A": 1, "B1": 3, "B2": 5, "B3": 1, "B4": 1, "C": 1, "D": 5, "E": 10, "F": 4, "G": 6, "H": 2, "I": 1, "Dep": 3, "Avail": 2, "Verif": 2}

// The threat model promises nothing that is not there: each code is one of the reference, each test and each session exists, and no threat of SLSA's is left out.
func TestThreatModel(t *testing.T) {
	top := filepath.Join("..", "..")
	text := contents(t, filepath.Join(top, "docs", "threat-model.md"))
	codes := map[string]bool{}
	for _, m := range regexp.MustCompile(`<a id="([a-z0-9-]+)">`).FindAllStringSubmatch(contents(t, filepath.Join(top, "docs", "errors.md")), -1) {
		codes[m[1]] = true
	}
	tests, subtests, engine := testsOf(t, top)
	found := map[string]int{}
	oneByOne := false
	for i, line := range strings.Split(text, "\n") {
		oneByOne = oneByOne || strings.HasPrefix(line, "## SLSA's threats, one by one")
		cells := strings.Split(line, " | ")
		if !strings.HasPrefix(line, "| ") || len(cells) != 4 || strings.HasPrefix(line, "| |") {
			continue
		}
		letter := strings.TrimPrefix(cells[0], "| ")
		if oneByOne {
			found[letter]++
		}
		for _, code := range backquoted(cells[2]) {
			if regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)+$`).MatchString(code) && !codes[code] {
				t.Errorf("docs/threat-model.md:%d: there is no code %s", i+1, code)
			}
			if start, cut := strings.CutSuffix(code, "…"); cut && !slices.ContainsFunc(keys(codes), func(c string) bool { return strings.HasPrefix(c, start) }) {
				t.Errorf("docs/threat-model.md:%d: no code begins with %s", i+1, start)
			}
		}
		for _, name := range backquoted(cells[3]) {
			if !there(name, tests, subtests, engine) {
				t.Errorf("docs/threat-model.md:%d: there is no test %s", i+1, name)
			}
		}
	}
	for threat, least := range slsaThreats {
		if found[threat] < least {
			t.Errorf("%d rows of %s, expected at least %d", found[threat], threat, least)
		}
	}
}

func keys(m map[string]bool) (all []string) {
	for k := range m {
		all = append(all, k)
	}
	return all
}

func contents(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func backquoted(cell string) (all []string) {
	for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cell, -1) {
		all = append(all, m[1])
	}
	return all
}

// testsOf gives the tests, fuzz targets and sessions of the repository by name, and the text that names subtests: all of it, and that of the
// suite of engines.
func testsOf(t *testing.T, top string) (names map[string]bool, text, engine string) {
	t.Helper()
	names = map[string]bool{}
	var all, suite strings.Builder
	function := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	err := fs.WalkDir(os.DirFS(top), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (strings.HasPrefix(d.Name(), ".") && name != "." || name == "dist" || name == "bin"):
			return fs.SkipDir
		case d.IsDir() && strings.Contains(name, "/testdata/"):
			names[d.Name()] = true // a folder of sessions
		case strings.HasPrefix(name, "cmd/sello/testdata/"):
			names[strings.TrimPrefix(name, "cmd/sello/testdata/")], names[path.Base(name)] = true, true
		case strings.HasSuffix(name, ".go") && strings.Contains(name, "test"):
			source := contents(t, filepath.Join(top, filepath.FromSlash(name)))
			for _, m := range function.FindAllStringSubmatch(source, -1) {
				names[m[1]] = true
			}
			all.WriteString(source)
			if strings.Contains(name, "enginetest") {
				suite.WriteString(source)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names, all.String(), suite.String()
}

// there reports whether there is a test of that name: a whole one, one that begins so (…), a subtest, a session, or a folder of the repository.
func there(name string, names map[string]bool, text, engine string) bool {
	name = strings.TrimPrefix(name, "testdata/")
	if names[name] {
		return true
	}
	if start, cut := strings.CutSuffix(name, "…"); cut {
		return slices.ContainsFunc(keys(names), func(n string) bool { return strings.HasPrefix(n, start) })
	}
	if strings.HasPrefix(name, "internal/") {
		_, err := os.Stat(filepath.Join("..", "..", filepath.FromSlash(name)))
		return err == nil
	}
	test, sub, _ := strings.Cut(name, "/")
	if names[test] && sub != "" { // go test writes spaces as underscores
		return strings.Contains(text, `"`+sub+`"`) || strings.Contains(text, `"`+strings.ReplaceAll(sub, "_", " ")+`"`)
	}
	for _, part := range strings.Split(name, "/") { // a subtest of the suite that all engines pass
		if spaced := strings.ReplaceAll(part, "_", " "); !strings.Contains(engine, `"`+part+`"`) && !strings.Contains(engine, `"`+spaced) {
			return false
		}
	}
	return true
}
