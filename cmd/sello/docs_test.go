package main

import (
	"context"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the transcripts of README and docs anew")

// TestDocs types the commands of the documents, each in one shell, in a folder and a HOME of its own, and holds the shown
// output to what came. With -update it writes what came into the documents.
func TestDocs(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("staging in a sandbox is Linux only")
	}
	if testing.Short() {
		t.Skip("the documents build releases")
	}
	for _, path := range documents(t) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		env, has := typing(t)
		d, err := parseDocument(string(text), has)
		if err != nil {
			t.Errorf("%s: %v", path, err)
		}
		if err != nil || len(d.commands) == 0 {
			continue
		}
		t.Run(filepath.Base(path), func(t *testing.T) {
			work := t.TempDir()
			home := t.TempDir()
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			if err := d.run(ctx, work, append(env, "HOME="+home)); err != nil {
				t.Fatal(err)
			}
			for _, c := range d.commands {
				for i, line := range c.out {
					c.out[i] = strings.ReplaceAll(strings.ReplaceAll(line, home, "~"), work, "~")
				}
			}
			for _, why := range d.skipped {
				t.Logf("not run: %s", why)
			}
			if *update {
				updateDocument(t, path, string(text), d)
				return
			}
			for _, p := range d.problems() {
				t.Errorf("%s: %s\n\nto take what came: go test ./cmd/sello -run TestDocs -update", path, p)
			}
		})
	}
}

func updateDocument(t *testing.T, path, text string, d *document) {
	t.Helper()
	for _, c := range d.commands {
		if !c.ran || c.exit != c.wantExit {
			t.Fatalf("%s:%d: $ %s: exit code %d, expected %d:\n%s", path, c.line+1, c.text, c.exit, c.wantExit, strings.Join(c.out, "\n"))
		}
	}
	fresh, err := d.updated()
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	if fresh == text {
		return
	}
	if err := os.WriteFile(path, []byte(fresh), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Logf("updated %s", path)
}

// documents gives the files that people read, without those that are generated.
func documents(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/buildtypes/*/*.md"} {
		found, err := filepath.Glob(filepath.Join("..", "..", filepath.FromSlash(pattern)))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, found...)
	}
	if len(all) == 0 {
		t.Fatal("no documents were found")
	}
	return all
}

// typing gives the environment of a reader who has git, Go and sello, and the programs that are there.
func typing(t *testing.T) (env []string, has func(string) bool) {
	t.Helper()
	path := os.Getenv("PATH") // sello is first in it: see TestMain
	tools, err := filepath.Glob(filepath.Join(testCache(), "tools", "*@*"))
	if err != nil {
		t.Fatal(err)
	}
	path = strings.Join(append([]string{path}, tools...), string(os.PathListSeparator))
	env = []string{
		"PATH=" + path, "LANG=C.UTF-8", "TERM=dumb", "GIT_CONFIG_GLOBAL=/dev/null", "SELLO_CACHE=" + filepath.Join(testCache(), "sello"),
		"GIT_AUTHOR_NAME=A Maintainer", "GIT_AUTHOR_EMAIL=maintainer@example.org", "GIT_COMMITTER_NAME=A Maintainer", "GIT_COMMITTER_EMAIL=maintainer@example.org",
	}
	for _, name := range []string{"SSL_CERT_FILE", "SSL_CERT_DIR", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "TMPDIR"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	// The user's settings of Go lie in their own HOME.
	out, err := exec.Command("go", "env", "-json", "GOPROXY", "GOSUMDB", "GONOSUMDB", "GONOPROXY", "GOPRIVATE", "GOFLAGS", "GOTOOLCHAIN").Output()
	if err != nil {
		t.Fatalf("ask for the settings of Go: %v", err)
	}
	settings := map[string]string{}
	if err := json.Unmarshal(out, &settings); err != nil {
		t.Fatal(err)
	}
	for name, v := range settings {
		env = append(env, name+"="+v)
	}
	published := os.Getenv("SELLO_VECTORS")
	if published == "" {
		published = filepath.Join("..", "..", "..", "shared", "vectors")
	}
	if published, err = filepath.Abs(published); err != nil {
		t.Fatal(err)
	}
	env = append(env, "SELLO_VECTORS="+published)
	return env, func(program string) bool {
		if program == "SELLO_VECTORS" {
			info, err := os.Stat(published)
			return err == nil && info.IsDir()
		}
		for _, dir := range filepath.SplitList(path) {
			if info, err := os.Stat(filepath.Join(dir, program)); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
				return true
			}
		}
		return false
	}
}

// TestDocsHoldNoCommandsThatAreNotRun finds commands in indented blocks, which TestDocs does not see.
func TestDocsHoldNoCommandsThatAreNotRun(t *testing.T) {
	typed := regexp.MustCompile(`^(    |\t)(\$ )?(sello|git|go|make|cosign|sha256sum|curl|sudo|apt-get) `)
	for _, path := range documents(t) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		fenced := false
		for i, line := range strings.Split(string(text), "\n") {
			if strings.HasPrefix(line, "```") {
				fenced = !fenced
			}
			if !fenced && typed.MatchString(line) {
				t.Errorf("%s:%d: put it into a console or sh block, so that it is run: %s", path, i+1, line)
			}
		}
	}
}

// TestTranscriptsAreHeld shows that what is wrong in a document is found.
func TestTranscriptsAreHeld(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("bash is not installed: there is nothing to type into")
	}
	const fence = "```"
	console := func(lines ...string) string {
		return fence + "console\n" + strings.Join(lines, "\n") + "\n" + fence + "\n"
	}
	for _, test := range []struct{ name, text, problem string }{
		{"right", console("$ echo hello", "hello", "$ true"), ""},
		{"one shell for all", console("$ mkdir a && cd a && x=y") + "then\n" + fence + "sh\ntest $(basename $PWD) = a && test $x = y\n" + fence + "\n", ""},
		{"a command over two lines", console(`$ echo hello \`, `    there`, "hello there"), ""},
		{"an exit code that is said", console("$ false   # exit code 1"), ""},
		{"trimmed output", console("$ seq 5", "1", "…", "5"), ""},
		{"a trimmed line", console("$ echo hello there", "hello …"), ""},
		{"digests, times and sizes differ", console("$ echo ok sha256:"+strings.Repeat("ab", 32)+" 2.5 MiB 1.5s", "ok  sha256:"+strings.Repeat("cd", 32)+"  3 KiB"), ""},
		{"setup", "<!-- test: setup\nx=1\n-->\n" + console("$ echo $x", "1"), ""},
		{"skipped", "<!-- test: skip it takes long -->\n" + console("$ no-such-command"), ""},
		{"a program that is not there", "<!-- test: needs no-such-program -->\n" + console("$ no-such-program"), ""},
		{"a program that is there", "<!-- test: needs bash -->\n" + console("$ bash -c 'exit 3'"), "exit code 3"},

		{"an unknown command", console("$ no-such-command"), "exit code 127"},
		{"an unknown command without output", fence + "sh\nno-such-command\n" + fence + "\n", "exit code 127"},
		{"a wrong exit code", console("$ true   # exit code 3"), "exit code 0, expected 3"},
		{"changed output", console("$ echo hello", "hullo"), "came:\nhello"},
		{"output that is not shown", console("$ echo hello"), "came:\nhello"},
		{"output that does not come", console("$ true", "hello"), "shown:\nhello"},
		{"a changed end after what is trimmed", console("$ seq 5", "1", "…", "6"), "came:"},
		{"another version", console("$ echo released v0.1.0", "released v0.2.0"), "came:"},
		{"a failing setup", "<!-- test: setup\nfalse\n-->\n", "exit code 1"},
		{"the shell ends", console("$ exit 0", "$ echo hello", "hello"), "did not come to its end"},
		{"a syntax error", console("$ echo (", "$ echo hello", "hello"), "did not come to its end"},
		{"an unknown directive", "<!-- test: skipp this -->\n", "unknown or empty directive"},
		{"a skip without a reason", "<!-- test: skip -->\n" + console("$ true"), "unknown or empty directive"},
		{"a block that does not end", fence + "console\n$ true\n", "does not end"},
		{"a block that begins with output", console("hello"), "begins with a command"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			found := problemsOf(t, test.text)
			if test.problem == "" && found != "" || !strings.Contains(found, test.problem) {
				t.Errorf("expected %q, found %q", test.problem, found)
			}
		})
	}
}

func problemsOf(t *testing.T, text string) string {
	t.Helper()
	d, err := parseDocument(text, func(program string) bool { return program == "bash" })
	if err != nil {
		return err.Error()
	}
	if err := d.run(t.Context(), t.TempDir(), os.Environ()); err != nil {
		t.Fatal(err)
	}
	return strings.Join(d.problems(), "\n")
}

// TestTranscriptsAreUpdated shows that -update writes what came and leaves the rest.
func TestTranscriptsAreUpdated(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("bash is not installed: there is nothing to type into")
	}
	const before = "# Title\n```console\n$ echo one; echo two\nthree\n$ seq 9\n0\n…\n8\n9\n$ echo \"took 1.5s\"\ntook 9.9s\n```\nend\n"
	const after = "# Title\n```console\n$ echo one; echo two\none\ntwo\n$ seq 9\n1\n…\n8\n9\n$ echo \"took 1.5s\"\ntook 9.9s\n```\nend\n"
	d, err := parseDocument(before, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.run(t.Context(), t.TempDir(), os.Environ()); err != nil {
		t.Fatal(err)
	}
	got, err := d.updated()
	if err != nil || got != after {
		t.Errorf("%v: expected\n%s\nfound\n%s", err, after, got)
	}
}
