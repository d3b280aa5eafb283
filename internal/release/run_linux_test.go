package release

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"golang.org/x/sync/errgroup"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/engine/bubblewrap"
	"github.com/sello-release/sello/internal/engine/host"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/image/imagetest"
	"github.com/sello-release/sello/internal/pack"
	"github.com/sello-release/sello/internal/registry/registrytest"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/verify"
)

// boxed is the engine that can give steps a root.
func boxed(t *testing.T) *bubblewrap.Engine {
	t.Helper()
	e := bubblewrap.New(bubblewrap.Options{Scratch: t.TempDir()})
	if err := e.Check(t.Context()); err != nil {
		t.Skipf("the sandbox cannot run here: %v", err)
	}
	return e
}

// doer is a program that does what its arguments say, one after the other: what commands in tests' images run.
const doer = `package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	for _, arg := range os.Args[1:] {
		do, rest, _ := strings.Cut(arg, ":")
		name, text, _ := strings.Cut(rest, "=")
		var err error
		switch do {
		case "write", "program":
			mode := map[string]os.FileMode{"write": 0o644, "program": 0o755}[do]
			if err = os.MkdirAll(filepath.Dir(name), 0o755); err == nil {
				err = os.WriteFile(name, []byte(os.ExpandEnv(text)), mode)
			}
		case "read":
			var b []byte
			b, err = os.ReadFile(name)
			fmt.Println(string(b))
		case "absent":
			if _, found := os.Lstat(name); found == nil {
				err = fmt.Errorf("%s is there", name)
			}
		case "link":
			err = os.Symlink(text, name)
		case "hardlink":
			err = os.Link(text, name)
		case "remove":
			err = os.RemoveAll(name)
		case "dial":
			var c net.Conn
			if c, err = net.Dial("tcp", rest); err == nil {
				c.Close()
			}
		}
		if err != nil {
			fmt.Println(arg, "failed:", err)
			os.Exit(7)
		}
	}
}
`

// doerRoot pushes an image that has the doer as /bin/do, and gives its name with the digest.
func doerRoot(t *testing.T, platform string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(doer), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "build", "-o", "do", "main.go")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("compile the root's program: %v\n%s", err, out)
	}
	return imagetest.Push(t, registrytest.InProcess(t)+"/team/root", platform, []pack.Entry{
		imagetest.Copy(t, "usr/bin/do", filepath.Join(dir, "do")), {Name: "bin", Link: "usr/bin"}, imagetest.File("etc/secret", []byte("of the root"), false),
	})
}

func thisMachine() string { return "linux/" + runtime.GOARCH }

// runProject is a project whose build runs a command in the root.
func runProject(t *testing.T, root string, run ...string) *Project {
	t.Helper()
	p := projectOf(t, boxed(t), map[string]string{
		"sello.yaml": "project: tool\nsource: https://example.com/tool\nbuilds:\n  - name: tool\n    run:\n      root: " + root + "\n      " + strings.Join(run, "\n      ") + "\n",
		"src/a.txt":  "a", "src/b.txt": "b", "other/c.txt": "c", "README": "readme",
	})
	p.CacheDir = t.TempDir()
	return p
}

func TestRunReleases(t *testing.T) {
	p := runProject(t, doerRoot(t, thisMachine()),
		`command: [do, "program:out/tool=$SELLO_VERSION $SELLO_COMMIT $SOURCE_DATE_EPOCH $TARGETOS/$TARGETARCH$TARGETVARIANT $X $HOME $PATH", "write:out/doc/tool.1=man",`,
		`  "write:out/junk=x", "link:out/passwd=/etc/passwd", "hardlink:out/twin=out/tool", "read:a.txt", "absent:../other", "absent:../README", "{{ .Version }}"]`,
		"platforms: [linux/amd64, linux/arm/v7]", "inputs: [src/*.txt]", "dir: src", "env: {X: '{{ .OS }}'}", `outputs: [out/tool, out/doc]`)
	view, err := p.Plan(t.Context(), "v1.0.0")
	if err != nil || !slices.ContainsFunc(view.Steps, func(s PlanStep) bool {
		return s.Name == "build/tool/linux/arm/v7" && strings.HasPrefix(s.Detail, "do program:out/tool=")
	}) || !slices.ContainsFunc(view.Materials, func(m string) bool { return strings.HasPrefix(m, "root file system 127.0.0.1:") }) {
		t.Errorf("plan %+v, %v", view, err)
	}
	staged, err := p.Stage(t.Context(), "v1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	if made, err := p.SignOff(t.Context(), "v1.0.0", SignOffOptions{Rebuild: true}); err != nil || !made.Rebuilt || made.Stage != staged.Digest {
		t.Fatalf("rebuild: %+v, %v", made, err)
	}
	report, files := releaseAndVerify(t, p)
	if report.Verdict != verify.Accepted {
		t.Errorf("verdict %q", report.Verdict)
	}
	c, err := p.Candidate(t.Context(), "v1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	for platform, want := range map[string]string{"linux/amd64": "linux/amd64", "linux/arm/v7": "linux/armv7"} {
		got := read(t, filepath.Join(files, "bin", platform, "tool"))
		if text := fmt.Sprintf("v1.0.0 %s %d %s linux /tmp/home /usr/local/sbin:", c.Commit.ID, c.Plan.Time.Unix(), want); !strings.HasPrefix(got, text) {
			t.Errorf("%s holds %q, want %q", platform, got, text)
		}
		if got := read(t, filepath.Join(files, "share", platform, "out/doc/tool.1")); got != "man" {
			t.Errorf("the manual page is %q", got)
		}
	}
	if d := cmp.Diff([]string{"README", "out/doc/tool.1", "tool"}, members(t, filepath.Join(files, "tool_v1.0.0_linux_amd64.tar.gz"))); d != "" {
		t.Errorf("members of the archive (-want +got):\n%s", d)
	}
	undeclared(t, files)
	provenanceOfRun(t, filepath.Join(files, "bin/linux/amd64/tool.sigstore.json"))
}

func undeclared(t *testing.T, files string) {
	t.Helper()
	err := filepath.WalkDir(files, func(path string, _ os.DirEntry, err error) error {
		for _, name := range []string{"junk", "passwd", "twin"} {
			if strings.Contains(path, name) {
				t.Errorf("%s is shipped", path)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// provenanceOfRun holds that the statement names what the step saw: the source, and everything that the root consists of.
func provenanceOfRun(t *testing.T, file string) {
	t.Helper()
	s := statementOf(t, file)
	def := s.Predicate.BuildDefinition
	if def.BuildType != attest.RunBuildType || def.ExternalParameters.EntryPoint != "sello.yaml#builds.tool" {
		t.Errorf("build type %s, entry point %s", def.BuildType, def.ExternalParameters.EntryPoint)
	}
	var names []string
	for _, m := range def.ResolvedDependencies {
		names = append(names, m.Name)
	}
	slices.Sort(names)
	if d := cmp.Diff([]string{"root config", "root index", "root layer 1", "root manifest", "source"}, names); d != "" {
		t.Errorf("dependencies (-want +got):\n%s", d)
	}
	for _, subject := range s.Subject {
		if !strings.Contains(subject.Name, "amd64") {
			t.Errorf("subject %s", subject.Name)
		}
	}
}

func statementOf(t *testing.T, file string) *attest.Statement[attest.Provenance] {
	t.Helper()
	b, err := sign.ParseBundle([]byte(read(t, file)))
	if err != nil {
		t.Fatal(err)
	}
	s, err := attest.Decode[attest.Provenance](b.Envelope.Payload, attest.ProvenanceType)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// releaseAndVerify promotes, releases and verifies a stage that has its sign-off, and gives the release's folder.
func releaseAndVerify(t *testing.T, p *Project) (*verify.Report, string) {
	t.Helper()
	if _, err := p.Promote(t.Context(), "v1.0.0"); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Release(t.Context(), "v1.0.0"); err != nil {
		t.Fatal(err)
	}
	found, err := filepath.Glob(filepath.Join(p.Repo.Root(), ".sello/production/*/v1.0.0"))
	if err != nil || len(found) != 1 {
		t.Fatalf("releases %v, %v", found, err)
	}
	report, err := verify.Dir(t.Context(), found[0], verify.Options{TrustFile: []byte(read(t, filepath.Join(p.Repo.Root(), TrustFile))), Now: time.Now(), RequireRelease: true})
	if err != nil {
		t.Fatalf("verify: %v", err)
	}
	return report, found[0]
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// members gives the files of an archive below its folder, sorted.
func members(t *testing.T, file string) []string {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			slices.Sort(out)
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			_, name, _ := strings.Cut(h.Name, "/")
			out = append(out, name)
		}
	}
}

// TestRunRefuses lets commands misbehave, or be described wrongly.
func TestRunRefuses(t *testing.T) {
	root := doerRoot(t, thisMachine())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, tc := range []struct {
		name, code string
		run        []string
		log        string // a part of the step's log
	}{
		{"a command that fails", "build-failed", []string{`command: [do, "read:none"]`, "outputs: [x]"}, "no such file"},
		{"the network", "build-failed", []string{`command: [do, "dial:` + l.Addr().String() + `"]`, "outputs: [x]"}, "unreachable|refused"},
		{"a write into the root", "build-failed", []string{`command: [do, "write:/etc/secret=x"]`, "outputs: [x]"}, "read-only"},
		{"a write beside the root", "build-failed", []string{`command: [do, "write:/x=x"]`, "outputs: [x]"}, "read-only"},
		{"a file of the machine", "build-failed", []string{`command: [do, "read:/etc/hostname"]`, "outputs: [x]"}, "no such file"},
		{"an input that was not declared", "build-failed", []string{`command: [do, "read:README"]`, "inputs: [src]", "outputs: [x]"}, "no such file"},
		{"no output", "build-output-missing", []string{`command: [do]`, "outputs: [x]"}, ""},
		{"one output of two", "build-output-missing", []string{`command: [do, "write:x=x"]`, "outputs: [x, '*.1']"}, ""},
		{"a folder as output", "build-output-missing", []string{`command: [do, "write:a/b/c=x", "remove:a/b/c"]`, "outputs: [a/**]"}, ""},
		{"an output in place of which there is a symlink", "output-symlink", []string{`command: [do, "link:x=/etc/passwd"]`, "outputs: [x]"}, ""},
		{"an output through a symlink", "build-output-missing", []string{`command: [do, "link:d=/etc"]`, "outputs: [d/hostname]"}, ""},
		{"the working folder in place of which there is a symlink", "build-output-missing",
			[]string{`command: [do, "remove:/src/src", "link:/src/src=/etc"]`, "dir: src", "outputs: [hostname]"}, ""},
		{"two programs of one name", "build-output-collision", []string{`command: [do, "program:a/x=1", "program:b/x=2"]`, "outputs: ['*/x']"}, ""},
		{"an output that no release can have", "output-bad-name", []string{`command: [do, "write:a|b=1"]`, "outputs: ['a*']"}, ""},
		{"a command that the root does not have", "step-command", []string{`command: [make]`, "outputs: [x]"}, ""},
		{"an input that is not there", "build-input-missing", []string{`command: [do]`, "inputs: [src, none/**]", "outputs: [x]"}, ""},
		{"a folder that is not there", "build-dir-missing", []string{`command: [do]`, "dir: none", "outputs: [x]"}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := runProject(t, root, tc.run...)
			_, err := p.Snapshot(t.Context(), "linux/amd64")
			if got := gate.Code(err); got != tc.code {
				t.Fatalf("code %q (%v), want %q", got, err, tc.code)
			}
			if tc.log == "" {
				return
			}
			logs := ""
			_ = filepath.WalkDir(filepath.Join(p.Repo.Root(), ".sello"), func(path string, d os.DirEntry, err error) error {
				if err == nil && strings.HasSuffix(path, ".log") {
					logs += read(t, path)
				}
				return nil
			})
			if !slices.ContainsFunc(strings.Split(tc.log, "|"), func(s string) bool { return strings.Contains(logs, s) }) {
				t.Errorf("the logs do not say %q: %s", tc.log, logs)
			}
		})
	}
}

func TestRunRefusesRoots(t *testing.T) {
	t.Run("for another architecture", func(t *testing.T) {
		other := "linux/s390x"
		p := runProject(t, doerRoot(t, other), `command: [do, "write:x=x"]`, "outputs: [x]")
		if _, err := p.Snapshot(t.Context(), "linux/amd64"); gate.Code(err) != "base-platform-missing" {
			t.Errorf("%v, want base-platform-missing", err)
		}
	})
	t.Run("that are gone", func(t *testing.T) {
		p := runProject(t, registrytest.InProcess(t)+"/none@sha256:"+strings.Repeat("0", 64), `command: [do]`, "outputs: [x]")
		if _, err := p.Snapshot(t.Context(), "linux/amd64"); gate.Code(err) != "image-missing" {
			t.Errorf("%v, want image-missing", err)
		}
	})
	t.Run("without a sandbox", func(t *testing.T) {
		p := runProject(t, registrytest.InProcess(t)+"/none@sha256:"+strings.Repeat("0", 64), `command: [do]`, "outputs: [x]")
		p.Engine = host.New(host.Options{})
		if _, err := p.Snapshot(t.Context(), "linux/amd64"); gate.Code(err) != "step-root-unsupported" {
			t.Errorf("%v, want step-root-unsupported", err)
		}
	})
}

// TestRunProvesRoots holds that an unpacked root is kept, and is unpacked again when it was changed.
func TestRunProvesRoots(t *testing.T) {
	p := runProject(t, doerRoot(t, thisMachine()), `command: [do, "read:/etc/secret", "write:x=x"]`, "outputs: [x]")
	build := func() {
		t.Helper()
		if _, err := p.Snapshot(t.Context(), "linux/amd64"); err != nil {
			t.Fatal(err)
		}
	}
	build()
	secrets, err := filepath.Glob(filepath.Join(p.CacheDir, "roots/*/tree/etc/secret"))
	if err != nil || len(secrets) != 1 {
		t.Fatalf("roots %v, %v", secrets, err)
	}
	before, err := os.Stat(secrets[0])
	if err != nil {
		t.Fatal(err)
	}
	build()
	if after, err := os.Stat(secrets[0]); err != nil || !os.SameFile(before, after) {
		t.Errorf("a good root was unpacked again: %v", err)
	}
	if err := os.WriteFile(secrets[0], []byte("changed by"), 0o644); err != nil {
		t.Fatal(err)
	}
	build()
	if got := read(t, secrets[0]); got != "of the root" {
		t.Errorf("the root was not proven: %q", got)
	}
	if left, _ := filepath.Glob(filepath.Join(p.CacheDir, "roots/.*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// Two releases that share a cache and need the same root at the same moment unpack it once, and neither finds it half done.
func TestRunsShareARoot(t *testing.T) {
	root, cache := doerRoot(t, thisMachine()), t.TempDir()
	var group errgroup.Group
	for range 4 {
		p := runProject(t, root, `command: [do, "read:/etc/secret", "write:x=x"]`, "outputs: [x]")
		p.CacheDir = cache
		group.Go(func() error {
			_, err := p.Snapshot(t.Context(), "linux/amd64")
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
	if roots, _ := filepath.Glob(filepath.Join(cache, "roots/*/tree")); len(roots) != 1 {
		t.Errorf("roots: %v", roots)
	}
}
