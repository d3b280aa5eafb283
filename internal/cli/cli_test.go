package cli

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"github.com/sello-release/sello/internal/flow"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/verify"
)

// home is a machine with one project that was set up by init, and with nothing else.
type home struct{ root, work string }

func newHome(t *testing.T) home {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	h := home{root: t.TempDir()}
	h.work = filepath.Join(h.root, "hello")
	for name, value := range map[string]string{
		"HOME": filepath.Join(h.root, "home"), "SELLO_KEYS": filepath.Join(h.root, "keys"), "SELLO_CACHE": filepath.Join(h.root, "cache"),
		"GIT_CONFIG_GLOBAL": os.DevNull, "GIT_CONFIG_NOSYSTEM": "1",
		"GIT_AUTHOR_NAME": "A Maintainer", "GIT_AUTHOR_EMAIL": "maintainer@example.org",
		"GIT_COMMITTER_NAME": "A Maintainer", "GIT_COMMITTER_EMAIL": "maintainer@example.org",
	} {
		t.Setenv(name, value)
	}
	h.write(t, "go.mod", "module example.org/hello\n\ngo 1.26\n")
	h.write(t, "main.go", "package main\n\nfunc main() {}\n")
	h.git(t, "init", "-q", "-b", "main", ".")
	if got := h.sello("init"); got.exit != exitDone {
		t.Fatal(got.err)
	}
	h.git(t, "add", ".")
	h.git(t, "commit", "-qm", "Release with Sello")
	return h
}

func (h home) write(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join(h.work, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (h home) git(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = h.work
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

type answer struct {
	exit     int
	out, err string
}

func run(args ...string) answer {
	var out, errs bytes.Buffer
	exit := Main(args, Streams{In: strings.NewReader(""), Out: &out, Err: &errs}, Build{Version: "v0.0.0-test"})
	return answer{exit, out.String(), errs.String()}
}

// sello runs in the project's folder.
func (h home) sello(args ...string) answer { return run(append([]string{"-C", h.work}, args...)...) }

// files gives all files of the machine by their digest. Git's index is left out: looking at a work tree may refresh it; and the go
// command's telemetry, which it writes when it likes.
func (h home) files(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(h.root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(path, h.root)
		if d.IsDir() && d.Name() == "telemetry" && filepath.Base(filepath.Dir(path)) == "go" {
			return fs.SkipDir
		}
		if d.IsDir() || strings.HasSuffix(name, filepath.Join(".git", "index")) {
			out[name] = "there"
			return nil
		}
		data, err := os.ReadFile(path)
		out[name] = fmt.Sprintf("%x", sha256.Sum256(data))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestWrongCommandLines: exit code 2, what was probably meant, and nothing is written.
func TestWrongCommandLines(t *testing.T) {
	h := newHome(t)
	before := h.files(t)
	for _, test := range []struct{ line, says string }{
		{"stgae", `there is no command "stgae"; did you mean stage?`},
		{"signoff v1.0.0", "did you mean sign-off?"},
		{"verfiy x", "did you mean verify?"},
		{"zzzzz", `there is no command "zzzzz" [usage]`},
		{"key nwe", "did you mean key new?"},
		{"help stgae", "did you mean stage?"},
		{"help key nwe", "did you mean key new?"},
		{"stage --enigne host v1.0.0", `there is no flag "--enigne"; did you mean --engine?`},
		{"verify --turst trust.yaml x", "did you mean --trust?"},
		{"status --ouput json", "did you mean --output?"},
		{"sign-off --rebuidl v1.0.0", "did you mean --rebuild?"},
		{"status -x", "unknown shorthand flag"},
		{"status --output", "flag needs an argument"},
		{"status --output yaml", `"yaml"`},
		{"status --output jsno", "did you mean json?"},
		{"stage --progress loud v1.0.0", `"loud"`},
		{"stage --engine docker v1.0.0", `"docker"`},
		{"build --engine bubblewarp", "did you mean bubblewrap?"},
		{"sign-off --rebuild --engine docker v1.0.0", `"docker"`},
		{"key new x --threshold two", "invalid argument"},

		{"stage", "takes RELEASE-FILE"},
		{"stage a b", "2: a b"},
		{"sign-off", "takes RELEASE-FILE"},
		{"promote", "there is nothing to promote"},
		{"promote --dry-run releases/v1.0.0.yaml", "for a promotion manifest"},
		{"promote --trust trust.yaml releases/v1.0.0.yaml", "for a promotion manifest"},
		{"promote --manifest m.yaml releases/v1.0.0.yaml", "give one of them"},
		{"release", "takes RELEASE-FILE"},
		{"propose", "takes VERSION"},
		{"plan a b", "takes [RELEASE-FILE]"},
		{"init x", "takes no arguments"},
		{"doctor x", "takes no arguments"},
		{"build x", "takes no arguments"},
		{"status x", "takes no arguments"},
		{"history x", "takes no arguments"},
		{"version x", "takes no arguments"},
		{"key new", "takes NAME"},
		{"key trust", "takes NAME"},
		{"key trust a b c", "3: a b c"},
		{"key show", "takes NAME"},
		{"key list x", "takes no arguments"},
		{"schema a b", "takes [sello|release|trust|dependencies|approval|policy]"},
		{"schema trsut", "did you mean trust?"},
		{"verify", "takes FILE|FOLDER|URL"},
		{"verify no-such-file", "there is no no-such-file"},
		{"verify go.mod --trust no-such-file", "read trust file"},
		{"man", "takes FOLDER"},

		{"init --name Bad/Name", "identity-name"},
		{"propose nonsense", "release-version"},
		{"propose v1.0.0 --channel loud", "release-channel"},
		{"propose v1.0.0-rc.1 --channel stable", "release-channel"},
		{"propose v1.0.0 --commit main", "release-commit"},
		{"propose v1.0.0 --notes ../notes.md", "release-notes"},
		{"key new Bad/Name", "identity-name"},
		{"init --name ../up", "identity-name"},
		{"key new x --role boss", "trust-unknown-role"},
		{"key new maintainer --role manager", "trust-identity-exists"},
		{"key new x --threshold 2", "role-missing"},
		{"key new x --role manager --threshold 9", "trust-threshold-unreachable"},
		{"key new x --role manager --threshold -1", "threshold"},
		{"key trust nobody --role manager", "key-missing"},
		{"key trust maintainer", "role-missing"},
		{"key show nobody", "key-missing"},
		{"check no-such-file", "file-missing"},
		{"build --target wonderland", "definition-platform"},
	} {
		got := h.sello(strings.Fields(test.line)...)
		if got.exit != exitUsage || !strings.Contains(got.err, test.says) {
			t.Errorf("sello %s: exit code %d, expected %d and %q:\n%s", test.line, got.exit, exitUsage, test.says, got.err)
		}
		if got.out != "" {
			t.Errorf("sello %s: wrote to standard output:\n%s", test.line, got.out)
		}
		if diff := cmp.Diff(before, h.files(t)); diff != "" {
			t.Fatalf("sello %s: something was written:\n%s", test.line, diff)
		}
	}
}

// TestErrorsAsJSON: with --output json, standard output is one JSON document in any case.
func TestErrorsAsJSON(t *testing.T) {
	h := newHome(t)
	h.write(t, "broken.yaml", "project: hello\nprojekt: hello\nsource: nowhere\n")
	h.write(t, "sello.yaml", "project: hello\nprojekt: hello\nsource: nowhere\n")
	for _, test := range []struct {
		line  string
		exit  int
		codes []string
	}{
		{"stgae --output json", exitUsage, []string{"usage"}},
		{"stage --output json", exitUsage, []string{"usage"}},
		{"stage --bogus --output json", exitUsage, []string{"usage"}},
		{"stage --bogus --output=json", exitUsage, []string{"usage"}},
		{"--output json stage v1.0.0", exitRefused, []string{"release-file-not-merged"}},
		{"check --output json", exitUsage, []string{"yaml-unknown-key", "yaml-missing-key", "definition-source"}},
		{"verify go.mod --trust broken.yaml --output json", exitUsage, nil},
	} {
		if strings.HasPrefix(test.line, "verify") {
			t.Chdir(h.work)
		}
		got := h.sello(strings.Fields(test.line)...)
		var doc failure
		dec := json.NewDecoder(strings.NewReader(got.out))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&doc); err != nil || dec.More() {
			t.Errorf("sello %s: %v in\n%s", test.line, err, got.out)
			continue
		}
		if got.exit != test.exit || doc.Exit != test.exit || len(doc.Errors) == 0 {
			t.Errorf("sello %s: exit code %d, in JSON %d, %d errors; expected %d", test.line, got.exit, doc.Exit, len(doc.Errors), test.exit)
		}
		for i, e := range doc.Errors {
			if e.Code == "" || e.What == "" || !strings.Contains(got.err, "["+e.Code+"]") {
				t.Errorf("sello %s: error %d lacks its code or text, or people are not told: %+v\n%s", test.line, i, e, got.err)
			}
		}
		for _, code := range test.codes {
			if !strings.Contains(got.out, `"code": "`+code+`"`) {
				t.Errorf("sello %s: %s is not there:\n%s", test.line, code, got.out)
			}
		}
	}
}

func TestResultsAsJSON(t *testing.T) {
	h := newHome(t)
	for _, line := range []string{"init", "check", "plan", "status", "history", "version", "key list", "key show maintainer", "schema", "propose v1.0.0", "doctor"} {
		got := h.sello(append(strings.Fields(line), "--output", "json")...)
		if !json.Valid([]byte(got.out)) || got.exit != exitDone && line != "doctor" {
			t.Errorf("sello %s: exit code %d, and\n%s%s", line, got.exit, got.out, got.err)
		}
	}
}

// TestFromASubfolder: release files are named as they are seen from where one stands.
func TestFromASubfolder(t *testing.T) {
	h := newHome(t)
	if got := h.sello("propose", "v1.0.0"); got.exit != exitDone {
		t.Fatal(got.err)
	}
	h.git(t, "add", ".")
	h.git(t, "commit", "-qm", "propose")
	h.write(t, "sub/dir/note.txt", "")
	below := filepath.Join(h.work, "sub", "dir")
	for _, line := range []string{"plan ../../releases/v1.0.0.yaml", "plan ../../releases/v1.0.0", "plan releases/v1.0.0.yaml", "plan v1.0.0", "check ../../releases/v1.0.0.yaml", "check ../../sello.yaml",
		"check releases/v1.0.0.yaml", "plan " + filepath.Join(h.work, "releases", "v1.0.0.yaml")} {
		if got := run(append([]string{"-C", below}, strings.Fields(line)...)...); got.exit != exitDone {
			t.Errorf("sello %s: exit code %d\n%s", line, got.exit, got.err)
		}
	}
	t.Chdir(below)
	if got := run("plan", "../../releases/v1.0.0.yaml"); got.exit != exitDone {
		t.Error(got.err)
	}
}

// full is a disk without room.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

// TestOutputThatCannotBeWritten: a verb whose answer does not reach its reader has not succeeded.
func TestOutputThatCannotBeWritten(t *testing.T) {
	h := newHome(t)
	for _, line := range []string{"status", "history", "check", "plan", "key list", "key show maintainer", "schema", "version", "init", "--help", "--version", "propose v1.0.0", "status --output json", "plan --output json"} {
		var errs bytes.Buffer
		exit := Main(append([]string{"-C", h.work}, strings.Fields(line)...), Streams{In: strings.NewReader(""), Out: full{}, Err: &errs}, Build{Version: "v0.0.0-test"})
		if line == "history" && exit == exitDone {
			continue // there is none yet: nothing to write
		}
		if exit != exitFailed || !strings.Contains(errs.String(), "no space left on device") {
			t.Errorf("sello %s: exit code %d, expected %d:\n%s", line, exit, exitFailed, errs.String())
		}
	}
}

func TestVersions(t *testing.T) {
	for _, test := range []struct {
		build Build
		want  string
	}{
		{Build{"v1.2.3", "abc"}, "v1.2.3 abc"},
		{Build{"v1.2.3", ""}, "v1.2.3"},
		{Build{"(devel)", "abc"}, "built from commit abc"},
		{Build{"(devel)", ""}, "(devel)"},
		{Build{}, "(devel)"},
	} {
		if got := test.build.text(); got != test.want {
			t.Errorf("%+v: %q, expected %q", test.build, got, test.want)
		}
	}
	if long, short := run("--version"), run("version"); long.exit != exitDone || long.out != short.out || long.out != "sello v0.0.0-test\n" {
		t.Errorf("--version says %q, version %q", long.out, short.out)
	}
}

// TestSummaryOfChecks: what failed comes first, what was not decided is one line for each reason, and what holds is short.
func TestSummaryOfChecks(t *testing.T) {
	rows := summary([]verify.Check{
		{ID: "trust-expired", Status: verify.Pass, Actual: "version 1"},
		{ID: "stage-missing", Status: verify.Pass, Subject: "stage.json"},
		{ID: "project-mismatch", Status: verify.Pass, Subject: "stage.json"},
		{ID: "release-file-missing", Status: verify.Pass, Subject: "9 files of the release statement"},
		{ID: "subject-mismatch", Status: verify.Fail, Subject: "a", What: "changed"},
		{ID: "wrong-predicate", Status: verify.Skip, Subject: "a", What: "not decided"},
		{ID: "builder-unknown", Status: verify.Skip, Subject: "a", What: "not decided"},
		{ID: "sign-off-missing", Status: verify.Skip, What: "not asked for"},
		{ID: "level-too-low", Status: verify.Pass, Subject: "9 artifacts"},
		{ID: "source-mismatch", Status: verify.Pass, Subject: "9 artifacts"},
	})
	var got []string
	for _, r := range rows {
		got = append(got, r.Status+" "+r.Name)
	}
	want := []string{"fail subject-mismatch", "skip not checked", "skip not checked", "pass trust file", "pass stage.json", "pass files"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if rows[1].Detail != "not decided: wrong-predicate, builder-unknown" {
		t.Error(rows[1].Detail)
	}
}

// TestExitCodes: one for each kind of refusal, however deep it is.
func TestExitCodes(t *testing.T) {
	refusal := func(c gate.Class) error { return &gate.Refusal{Code: "some-code", Class: c, What: "no"} }
	for _, test := range []struct {
		name string
		err  error
		want int
	}{
		{"refused", refusal(gate.Refused), 3},
		{"usage", refusal(gate.Usage), 2},
		{"waiting", refusal(gate.Waiting), 4},
		{"not reproducible", refusal(gate.NotReproducible), 5},
		{"failed", refusal(gate.Failed), 1},
		{"any other error", errors.New("disk on fire"), 1},
		{"wrapped", fmt.Errorf("stage: %w", refusal(gate.Waiting)), 4},
		{"in a step", &flow.StepError{Step: "build", Err: refusal(gate.Refused)}, 3},
		{"joined", errors.Join(refusal(gate.Usage), refusal(gate.Usage)), 2},
		{"interrupted", fmt.Errorf("stage: %w", context.Canceled), 130},
		{"a usage error of the command line", usage("no", ""), 2},
	} {
		if got := exitCode(test.err); got != test.want {
			t.Errorf("%s: exit code %d, expected %d", test.name, got, test.want)
		}
	}
}

func TestExitCodesOfVerbs(t *testing.T) {
	h := newHome(t)
	for _, test := range []struct {
		line, code string
		want       int
	}{
		{"version", "", exitDone},
		{"--help", "", exitDone},
		{"stage v1.0.0", "release-file-not-merged", exitRefused},
		{"plan v1.0.0", "release-file-not-merged", exitRefused},
		{"promote v1.0.0", "release-file-not-merged", exitRefused},
		{"-C " + h.root + " status", "source-not-a-repository", exitUsage},
	} {
		got := h.sello(strings.Fields(test.line)...)
		if got.exit != test.want || !strings.Contains(got.err, test.code) {
			t.Errorf("sello %s: exit code %d, expected %d with %q:\n%s", test.line, got.exit, test.want, test.code, got.err)
		}
	}
}

// TestHelpOfEachCommand: it fits a terminal, and has an example that the command itself takes.
func TestHelpOfEachCommand(t *testing.T) {
	var each func(cmd *cobra.Command)
	each = func(cmd *cobra.Command) {
		for _, c := range cmd.Commands() {
			each(c)
		}
		path := cmd.CommandPath()
		for _, line := range strings.Split(cmd.Long+"\n"+cmd.Example, "\n") {
			if len([]rune(line)) > 82 {
				t.Errorf("%s --help: %d characters in %q", path, len([]rune(line)), line)
			}
		}
		if len(cmd.Short) > 75 || strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%s: the short text is long, or a sentence: %q", path, cmd.Short)
		}
		if cmd.Hidden {
			return
		}
		if cmd.Example == "" {
			t.Errorf("%s --help has no example", path)
		}
		for _, line := range strings.Split(cmd.Example, "\n") {
			checkExample(t, cmd, strings.TrimSpace(line))
		}
		words := strings.Fields(path)[1:]
		if got := run(append(words, "--help")...); got.exit != exitDone || !strings.Contains(got.out, "Usage:") {
			t.Errorf("%s --help: exit code %d\n%s%s", path, got.exit, got.out, got.err)
		}
	}
	each(Root())
	help := run("--help").out
	for code := range map[int]bool{exitDone: true, exitFailed: true, exitUsage: true, exitRefused: true, exitWaiting: true, exitNotReproducible: true, exitInterrupted: true} {
		if !strings.Contains(help, fmt.Sprintf("\n  %-3d  ", code)) {
			t.Errorf("sello --help does not say what exit code %d means", code)
		}
	}
}

// checkExample parses one example as the command line would, without running it.
func checkExample(t *testing.T, of *cobra.Command, line string) {
	t.Helper()
	line, _, _ = strings.Cut(line, " > ")
	words := strings.Fields(line)
	if len(words) == 0 || !strings.HasPrefix(line, of.CommandPath()) {
		t.Errorf("%s: the example is of something else: %q", of.CommandPath(), line)
		return
	}
	cmd, rest, err := Root().Find(words[1:])
	if err == nil {
		err = cmd.ParseFlags(rest)
	}
	if err == nil {
		err = cmd.ValidateArgs(cmd.Flags().Args())
	}
	if err != nil {
		t.Errorf("%s: the example %q does not parse: %v", of.CommandPath(), line, err)
	}
}
