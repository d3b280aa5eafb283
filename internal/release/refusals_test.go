package release

import (
	"context"
	"strings"
	"testing"

	"github.com/sello-release/sello/internal/build"
	"github.com/sello-release/sello/internal/definition"
	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/material"
	"github.com/sello-release/sello/internal/pack"
	"github.com/sello-release/sello/internal/stage"
	vt "github.com/sello-release/sello/verify/verifytest"
)

// TestProposedTwice: a proposal that says something else is not overwritten, and the same one can be made again.
func TestProposedTwice(t *testing.T) {
	ctx, p := quick(t)
	for range 2 {
		if _, err := p.Propose(ctx, ProposeOptions{Version: "v1.1.0"}); err != nil {
			t.Fatal(err)
		}
	}
	inTree(t, p, "releases/v1.1.0.yaml", "version: v1.1.0\n")
	_, err := p.Propose(ctx, ProposeOptions{Version: "v1.1.0"})
	refusedAs(t, err, "proposal-exists", "releases/v1.1.0.yaml")
	if got := readTree(t, p, "releases/v1.1.0.yaml"); got != "version: v1.1.0\n" {
		t.Errorf("the proposal is now %q", got)
	}
}

// TestBranchOfReleases: the definition says from which branch releases are made.
func TestBranchOfReleases(t *testing.T) {
	ctx, p := quick(t)
	inTree(t, p, "sello.yaml", "branch: release-1\n"+readTree(t, p, "sello.yaml"))
	inGit(t, p, "commit", "-qam", "release from another branch")
	_, err := p.Candidate(ctx, "v1.0.0")
	refusedAs(t, err, "branch-not-for-releases", "branch main", "branch release-1")
}

// TestSnapshotOfNothingHere: what is no part of the definition, or has no working tree, is not built.
func TestSnapshotOfNothingHere(t *testing.T) {
	ctx, p := quick(t)
	_, err := p.Snapshot(ctx, "plan9/386")
	refusedAs(t, err, "platform-not-planned", "plan9/386", "linux/amd64")
	inTree(t, p, "sello.yaml", "project: hello\nsource: pkg:golang/example.com/hello\nbuilds:\n  - go: {packages: [.], platforms: [linux/amd64]}\n")
	_, err = p.Snapshot(ctx, "")
	refusedAs(t, err, "snapshot-of-module", "sello propose")
}

// TestPointersAreNoContent: a Git LFS pointer in the released commit would be built as it is.
func TestPointersAreNoContent(t *testing.T) {
	ctx, p := quick(t)
	export := func() error {
		t.Helper()
		commit, err := p.Repo.HeadCommit(ctx)
		if err != nil {
			t.Fatal(err)
		}
		c := &Candidate{Definition: &definition.Definition{}, Plan: &build.Plan{}}
		if c.Commit, err = p.Repo.Commit(ctx, commit); err != nil {
			t.Fatal(err)
		}
		return p.gitOrigin(c).export(ctx, t.TempDir()+"/src")
	}
	if err := export(); err != nil {
		t.Fatal(err)
	}
	inTree(t, p, "logo.png", "version https://git-lfs.github.com/spec/v1\noid sha256:"+strings.Repeat("4", 64)+"\nsize 12345\n")
	inGit(t, p, "add", ".")
	inGit(t, p, "commit", "-qm", "a pointer")
	refusedAs(t, export(), "source-lfs", "logo.png")
}

// TestObjectsTooLarge: what a bucket holds is not read beyond what it can be.
func TestObjectsTooLarge(t *testing.T) {
	t.Parallel()
	b := bucketOf(t, map[string]string{"x": "12345"})
	if data, err := readObject(context.Background(), b, "x", 5); err != nil || string(data) != "12345" {
		t.Errorf("%q, %v", data, err)
	}
	if _, err := readObject(context.Background(), b, "x", 4); gate.Code(err) != "object-too-large" {
		t.Error(err)
	}
}

// TestMachineWithoutPrograms: without git and Go nothing can be staged, and it is said before anybody tries.
func TestMachineWithoutPrograms(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	err := DoctorErr(Doctor(t.Context(), DoctorOptions{Dir: t.TempDir(), CacheDir: t.TempDir()}))
	refusedAs(t, err, "machine-not-ready", "git", "go")
}

// TestContentsOfImages: one path has one file, and what an image runs is in it.
func TestContentsOfImages(t *testing.T) {
	t.Parallel()
	img := build.Image{Image: definition.Image{Name: "registry.example/hello", Base: definition.Scratch}}
	at := func(names ...string) (out []pack.Entry) {
		for _, name := range names {
			out = append(out, pack.Entry{Name: name, Executable: true})
		}
		return out
	}
	_, twoPrograms := imageEntrypoint(img, []string{"client", "server"})
	_, ownName := imageEntrypoint(img, []string{"client", "hello"})
	for name, tt := range map[string]struct {
		err  error
		code string
	}{
		"different paths":      {distinctPaths(img, at("a/b", "a/c")), ""},
		"one path":             {distinctPaths(img, at("a/b", "a/b")), "image-file-collision"},
		"a file and a folder":  {distinctPaths(img, at("a/b/c", "a")), "image-file-collision"},
		"runs what it has":     {entrypointThere(img, "/a/b", at("a/b")), ""},
		"runs what it has not": {entrypointThere(img, "/a/c", at("a/b")), "image-entrypoint-missing"},
		"none is named":        {twoPrograms, "image-entrypoint-missing"},
		"one is named so":      {ownName, ""},
	} {
		if gate.Code(tt.err) != tt.code || tt.code == "" && tt.err != nil {
			t.Errorf("%s: %v, want %q", name, tt.err, tt.code)
		}
	}
}

// TestRegistriesOfManifests: a promotion manifest can say less than a definition.
func TestRegistriesOfManifests(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ from, to, code string }{
		"good":         {"staging.example/hello", "registry.example/hello", ""},
		"no staging":   {"", "registry.example/hello", "manifest-registries"},
		"another name": {"staging.example/hello", "registry.example/hullo", "manifest-registries"},
	} {
		if _, err := manifestRegistries("hello", tt.from, []string{tt.to}); gate.Code(err) != tt.code || tt.code == "" && err != nil {
			t.Errorf("%s: %v, want %q", name, err, tt.code)
		}
	}
}

// TestSourceOfBuilds: a build's folder has a module, and an image's file has a path of its own.
func TestSourceOfBuilds(t *testing.T) {
	t.Parallel()
	a := &assembly{work: t.TempDir(), origin: &origin{}}
	writeTo(t, a.path("src"), "tool/go.mod", "module example.com/tool\n")
	writeTo(t, a.path("src"), "doc/one", "1")
	writeTo(t, a.path("src"), "doc/two", "2")
	if _, err := a.goMod("tool"); err != nil {
		t.Error(err)
	}
	_, err := a.goMod("doc")
	refusedAs(t, err, "go-mod-missing", "doc/go.mod")
	for name, tt := range map[string]struct{ from, to, code string }{
		"a file":             {"doc/one", "/etc/one", ""},
		"files to a folder":  {"doc/*", "/etc/", ""},
		"files to one path":  {"doc/*", "/etc/one", "image-file-folder"},
		"a folder to a path": {"tool", "/etc/one", "image-file-folder"},
	} {
		img := build.Image{Image: definition.Image{Name: "hello", Files: []definition.ImageFile{{From: tt.from, To: tt.to}}}}
		if _, _, err := a.imageFiles(img); gate.Code(err) != tt.code || tt.code == "" && err != nil {
			t.Errorf("%s: %v, want %q", name, err, tt.code)
		}
	}
}

// TestOutputsOfCompiles: only the programs that the definition names come out of a compile.
func TestOutputsOfCompiles(t *testing.T) {
	t.Parallel()
	c := build.Compile{Build: "hello", Platform: definition.Platform{OS: "linux", Arch: "amd64"}}
	for name, tt := range map[string]struct {
		left []string
		code string
	}{
		"the program":   {[]string{"hello"}, ""},
		"one more":      {[]string{"hello", "evil"}, "build-output-unexpected"},
		"another":       {[]string{"evil"}, "build-output-unexpected"},
		"nothing":       {nil, "build-output-unexpected"},
		"a file deeper": {[]string{"hello", "bin/hello"}, "build-output-unexpected"},
	} {
		out := t.TempDir()
		for _, file := range tt.left {
			writeTo(t, out, file, "x")
		}
		a := &assembly{work: t.TempDir(), origin: &origin{}, claimed: map[string]string{}, fetched: map[string]fetched{
			"hello": {modules: material.Modules{Programs: map[string][]material.Program{"linux/amd64": {{ImportPath: "example.com/hello", BinaryName: "hello"}}}}}}}
		if err := a.collect(t.Context(), c, out, &Compiled{}); gate.Code(err) != tt.code || tt.code == "" && err != nil {
			t.Errorf("%s: %v, want %q", name, err, tt.code)
		}
	}
}

// TestProvenanceBesideAnotherFile: what a stage holds already has to speak of the file beside it.
func TestProvenanceBesideAnotherFile(t *testing.T) {
	t.Parallel()
	w := vt.NewWorld(t)
	dir := w.Release(t)
	bundle, binary := vt.Read(t, dir, vt.Binary+stage.BundleSuffix), vt.Read(t, dir, vt.Binary)
	for content, code := range map[string]string{string(binary): "", string(binary) + "x": "stage-evidence-conflict"} {
		s := stage.Artifact{Name: vt.Binary, Sums: digest.Sums{SHA256: digest.Bytes([]byte(content))}}
		if err := checkBundle(bundle, s, w.Trust, vt.Binary); gate.Code(err) != code || code == "" && err != nil {
			t.Errorf("%v, want %q", err, code)
		}
	}
}
