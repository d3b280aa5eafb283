package release

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/image/imagetest"
	"github.com/sello-release/sello/internal/registry/registrytest"
	"github.com/sello-release/sello/verify"
)

// debianProject has programs in C and for Node, built in one root that is made of this machine's packages.
func debianProject(t *testing.T, packages []string, builds string) *Project {
	t.Helper()
	if testing.Short() {
		t.Skip("packs compilers into an image")
	}
	e := boxed(t)
	start := time.Now()
	root := imagetest.Push(t, registrytest.InProcess(t)+"/team/debian", thisMachine(), imagetest.Debian(t, packages...))
	t.Logf("the root is made in %s", time.Since(start))
	p := projectOf(t, e, map[string]string{
		"sello.yaml":      "project: tool\nsource: https://example.com/tool\nbuilds:\n" + strings.NewReplacer("ROOT", root, "ARCH", runtime.GOARCH).Replace(builds),
		"c/Makefile":      "CC = gcc\nhello: hello.o answer.o\nhello.o answer.o: answer.h\nhello.o: CPPFLAGS += -DVERSION='\"$(SELLO_VERSION)\"'\n",
		"c/answer.h":      "int answer(void);\n",
		"c/answer.c":      "#include \"answer.h\"\nint answer(void) { return 42; }\n",
		"c/hello.c":       "#include <stdio.h>\n#include \"answer.h\"\nint main(void) { printf(\"hello %s, %d, %s\\n\", VERSION, answer(), __FILE__); return 0; }\n",
		"c/hello.1":       ".TH HELLO 1\n",
		"node/bundle.mjs": bundler,
		"node/main.js":    "const answer = require('./answer');\nconsole.log('hello', VERSION, answer);\n",
		"node/answer.js":  "module.exports = 42;\n",
	})
	p.CacheDir = t.TempDir()
	return p
}

// bundler puts all modules of a folder into one program.
const bundler = `import { readdirSync, readFileSync, mkdirSync, writeFileSync, chmodSync } from 'node:fs';
const modules = readdirSync('.').filter(f => f.endsWith('.js')).sort();
const parts = modules.map(f => JSON.stringify('./' + f.slice(0, -3)) + ': (module, require) => {\n' + readFileSync(f, 'utf8') + '}');
mkdirSync('dist');
writeFileSync('dist/hello-node', '#!/usr/bin/env node\nconst VERSION = ' + JSON.stringify(process.env.SELLO_VERSION) + ';\nconst all = {' + parts.join(',\n') +
  '};\nconst load = name => { const m = {}; all[name](m, load); return m.exports; };\nload("./main");\n');
chmodSync('dist/hello-node', 0o755);
writeFileSync('dist/modules.txt', modules.join('\n') + '\n');
`

const (
	cBuild = `  - name: hello
    run: {root: ROOT, command: [make, hello], dir: c, inputs: [c], env: {CFLAGS: -O2}, platforms: [linux/ARCH], outputs: [hello, "*.1"]}
`
	nodeBuild = `  - name: hello-node
    run: {root: ROOT, command: [node, bundle.mjs], dir: node, inputs: [node], platforms: [linux/ARCH], outputs: [dist/*]}
`
)

// released stages, signs off with a rebuild, releases and verifies, and gives the release's folder.
func released(t *testing.T, p *Project) string {
	t.Helper()
	start := time.Now()
	staged, err := p.Stage(t.Context(), "v1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	if made, err := p.SignOff(t.Context(), "v1.0.0", SignOffOptions{Rebuild: true}); err != nil || !made.Rebuilt || made.Stage != staged.Digest {
		t.Fatalf("rebuild: %+v, %v", made, err)
	}
	t.Logf("staged and rebuilt in %s", time.Since(start))
	report, files := releaseAndVerify(t, p)
	if report.Verdict != verify.Accepted {
		t.Fatalf("verdict %q", report.Verdict)
	}
	return files
}

func output(t *testing.T, program string) string {
	t.Helper()
	if err := os.Chmod(program, 0o755); err != nil { // a bucket keeps no modes
		t.Fatal(err)
	}
	out, err := exec.Command(program).CombinedOutput()
	if err != nil {
		t.Errorf("run %s: %v\n%s", program, err, out)
	}
	return string(out)
}

func TestRunBuildsC(t *testing.T) {
	files := released(t, debianProject(t, []string{"gcc", "libc6-dev", "make", "dash", "coreutils"}, cBuild))
	if got, want := output(t, filepath.Join(files, "bin", thisMachine(), "hello")), "hello v1.0.0, 42, hello.c\n"; got != want {
		t.Errorf("the program says %q, want %q", got, want)
	}
	if got := read(t, filepath.Join(files, "share", thisMachine(), "hello.1")); got != ".TH HELLO 1\n" {
		t.Errorf("the manual page is %q", got)
	}
}

func TestRunBuildsNode(t *testing.T) {
	files := released(t, debianProject(t, []string{"nodejs"}, nodeBuild))
	if got, want := output(t, filepath.Join(files, "bin", thisMachine(), "hello-node")), "hello v1.0.0 42\n"; got != want {
		t.Errorf("the program says %q, want %q", got, want)
	}
	if got := read(t, filepath.Join(files, "share", thisMachine(), "dist/modules.txt")); got != "answer.js\nmain.js\n" {
		t.Errorf("the list of modules is %q", got)
	}
}

// TestRunBesideGo releases a program in Go and one of a command for one platform, each with a provenance of its own type, an archive
// of both, and an image with the command's program.
func TestRunBesideGo(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles")
	}
	root, host := doerRoot(t, thisMachine()), registrytest.InProcess(t)
	p := projectOf(t, boxed(t), map[string]string{
		"go.mod":  "module example.com/hello\n\ngo 1.26\n",
		"main.go": "package main\n\nfunc main() { println(1) }\n",
		"sello.yaml": "project: hello\nsource: https://example.com/hello\nbuilds:\n" +
			"  - {name: hello, go: {packages: [.], platforms: [linux/amd64, linux/arm64], toolchain: go1.26.8}}\n" +
			"  - {name: tool, run: {root: " + root + ", command: [do, 'program:tool=x', 'write:tool.1=y'], outputs: ['tool*']}}\n" +
			"archives:\n  - {}\n  - {name: 'tool_{{ .Version }}', builds: [tool]}\n" +
			"images:\n  - {name: " + host + "/team/tool, build: tool}\n",
	})
	files := released(t, p)
	for name, want := range map[string][2]string{
		"bin/linux/amd64/hello":           {attest.GoBuildType, "sello.yaml#builds.hello"},
		"bin/linux/arm64/hello":           {attest.GoBuildType, "sello.yaml#builds.hello"},
		"hello_v1.0.0_linux_arm64.tar.gz": {attest.GoBuildType, "sello.yaml#builds.hello"},
		"bin/linux/amd64/tool":            {attest.RunBuildType, "sello.yaml#builds.tool"},
		"share/linux/amd64/tool.1":        {attest.RunBuildType, "sello.yaml#builds.tool"},
		"tool_v1.0.0.tar.gz":              {attest.RunBuildType, "sello.yaml#builds.tool"},
		"hello_v1.0.0_linux_amd64.tar.gz": {attest.RunBuildType, "sello.yaml"},
		"SHA256SUMS":                      {attest.RunBuildType, "sello.yaml"},
	} {
		s := statementOf(t, filepath.Join(files, name+".sigstore.json"))
		def := s.Predicate.BuildDefinition
		if got := [2]string{def.BuildType, def.ExternalParameters.EntryPoint}; got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
		goes, roots := 0, 0
		for _, m := range def.ResolvedDependencies {
			if m.Name == "toolchain" {
				goes++
			} else if m.Name == "root manifest" {
				roots++
			}
		}
		both := want[1] == "sello.yaml"
		if (goes > 0) != (both || want[0] == attest.GoBuildType) || (roots > 0) != (want[0] == attest.RunBuildType) {
			t.Errorf("%s depends on %d toolchains and %d roots", name, goes, roots)
		}
	}
	report, err := verify.Image(t.Context(), host+"/team/tool:v1.0.0", verify.Options{TrustFile: []byte(read(t, filepath.Join(p.Repo.Root(), TrustFile))), Now: p.Now()})
	if err != nil || report.Verdict != verify.Accepted {
		t.Errorf("image: %+v, %v", report, err)
	}
}
