package imagetest

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sello-release/sello/internal/pack"
)

// unwanted packages are dependencies that nothing which is built here runs.
var unwanted = []string{"python3", "debconf", "perl", "ca-certificates", "openssl", "dpkg", "tar", "install-info"}

// unwantedFiles are those that take room and are not run or linked.
var unwantedFiles = regexp.MustCompile(`^/(usr/share/(doc|man|info|locale|lintian|bug|gdb|gcc)|usr/lib/node_modules|var|usr/include/node|etc/(init|cron|default))(/|$)|/lib(asan|tsan|ubsan|lsan|hwasan)[._]|/gconv/|/lto1$|-lto-dump-|-ld\.gold$`)

// Debian gives the files of installed packages and of what they depend on. The test is skipped where dpkg or a package is missing.
func Debian(t testing.TB, packages ...string) []pack.Entry {
	t.Helper()
	if _, err := exec.LookPath("dpkg-query"); err != nil {
		t.Skip("this system has no dpkg")
	}
	entries := map[string]pack.Entry{}
	for _, file := range strings.Split(dpkg(t, append([]string{"-L"}, closure(t, packages)...)...), "\n") {
		info, ok := usable(file)
		if !ok || unwantedFiles.MatchString(file) {
			continue
		}
		path, err := real(file)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimPrefix(path, "/")
		if info.Mode().IsRegular() {
			entries[name] = Copy(t, name, path)
		} else if target, err := os.Readlink(path); err == nil {
			entries[name] = pack.Entry{Name: name, Link: target}
		}
	}
	for _, name := range []string{"bin", "sbin", "lib", "lib32", "lib64", "libx32"} { // merged into /usr
		if target, err := os.Readlink("/" + name); err == nil {
			entries[name] = pack.Entry{Name: name, Link: target}
		}
	}
	var out []pack.Entry
	for _, e := range entries {
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b pack.Entry) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// closure gives the packages and what they depend on, as far as it is installed.
func closure(t testing.TB, packages []string) []string {
	t.Helper()
	installed := map[string][]string{}
	for line := range strings.Lines(dpkg(t, "-W", "-f", "${db:Status-Status}\t${Package}\t${Provides}\t${Pre-Depends},${Depends}\n")) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(f) != 4 || f[0] != "installed" {
			continue
		}
		installed[f[1]] = names(f[3])
		for _, also := range names(f[2]) {
			if _, ok := installed[also]; !ok {
				installed[also] = []string{f[1]}
			}
		}
	}
	var out []string
	todo := slices.Clone(packages)
	for len(todo) > 0 {
		p := todo[0]
		todo = todo[1:]
		depends, ok := installed[p]
		if !ok && slices.Contains(packages, p) {
			t.Skipf("the package %s is not installed: run scripts/deps test", p)
		}
		if !ok || slices.Contains(out, p) || slices.ContainsFunc(unwanted, func(u string) bool { return strings.HasPrefix(p, u) }) {
			continue
		}
		out = append(out, p)
		todo = append(todo, depends...)
	}
	// What only is provided by another package has no files of its own.
	return slices.DeleteFunc(out, func(p string) bool { return exec.Command("dpkg-query", "-s", p).Run() != nil })
}

// names takes the names out of a list of dependencies: "libc6 (>= 2.34), debconf | debconf-2.0".
func names(list string) []string {
	var out []string
	for _, part := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == '|' }) {
		name, _, _ := strings.Cut(strings.TrimSpace(part), " ")
		if name, _, _ = strings.Cut(name, ":"); name != "" {
			out = append(out, name)
		}
	}
	return out
}

func dpkg(t testing.TB, args ...string) string {
	t.Helper()
	out, err := exec.Command("dpkg-query", args...).Output()
	if err != nil {
		t.Fatalf("dpkg-query %v: %v", args[:min(len(args), 3)], err)
	}
	return string(out)
}
