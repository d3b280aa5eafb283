package inventory_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sbom"
	"github.com/sello-release/sello/internal/sbom/inventory"
)

func TestProgram(t *testing.T) {
	t.Parallel()
	dir := place(t, map[string]string{"tool": program(buildInfo)})
	doc := described(t, filepath.Join(dir, "tool"))
	has(t, doc, "DOCUMENT DESCRIBES tool", "tool CONTAINS example.com/program", "tool CONTAINS example.com/a", "tool CONTAINS example.com/fork",
		"example.com/fork VARIANT_OF example.com/b", "toolchain BUILD_TOOL_OF tool", "tool CONTAINS stdlib")
	root := packageNamed(t, doc, "tool")
	if root.Version != "v1.2.3" || root.PURL != "pkg:golang/example.com/program@v1.2.3#cmd/program" || len(root.Checksum(sbom.SHA256)) != 64 || len(root.Checksum(sbom.SHA512)) != 128 {
		t.Errorf("%+v", root)
	}
}

func packageNamed(t testing.TB, doc *sbom.Document, name string) *sbom.Package {
	t.Helper()
	for i := range doc.Packages {
		if doc.Packages[i].Name == name {
			return &doc.Packages[i]
		}
	}
	t.Fatalf("no package %s", name)
	return nil
}

func TestNamesAndSourcesAreTakenOver(t *testing.T) {
	t.Parallel()
	dir := place(t, map[string]string{"tool": program(buildInfo)})
	o := options
	o.Meta.Project, o.Meta.SourceURI, o.Meta.Commit = "renamed", "git+https://example.org/program", strings.Repeat("a", 40)
	doc := describedWith(t, filepath.Join(dir, "tool"), o)
	has(t, doc, "DOCUMENT DESCRIBES renamed", "renamed GENERATED_FROM renamed source")
	if got := packageNamed(t, doc, "renamed source").Download; got != "git+https://example.org/program@"+o.Meta.Commit {
		t.Error(got)
	}
}

func TestArchivesInArchives(t *testing.T) {
	t.Parallel()
	inner := zipOf(t, member{"bin/tool.exe", program(buildInfo)}, member{"README", "read me"})
	files := map[string]string{
		"a.tar.gz": gzipOf(t, tarOf(t, member{"top/inner.zip", inner}, member{"top/LICENSE", "licence"}, member{"top/again", "=> top/LICENSE"})),
		"a.deb":    "!<arch>\n" + arMember("debian-binary", "2.0\n") + arMember("data.tar.gz/", gzipOf(t, tarOf(t, member{"./usr/bin/tool", program(buildInfo)}))),
		"tool.gz":  gzipOf(t, program(buildInfo)),
		"text.gz":  gzipOf(t, "only a text"),
	}
	dir := place(t, files)
	has(t, described(t, filepath.Join(dir, "a.tar.gz")), "a.tar.gz CONTAINS ./top/inner.zip", "a.tar.gz CONTAINS ./top/again", "./top/inner.zip CONTAINS ./top/inner.zip!/bin/tool.exe",
		"./top/inner.zip!/bin/tool.exe CONTAINS example.com/a", "./top/inner.zip CONTAINS ./top/inner.zip!/README")
	has(t, described(t, filepath.Join(dir, "a.deb")), "a.deb CONTAINS ./data.tar.gz", "./data.tar.gz CONTAINS ./data.tar.gz!/usr/bin/tool", "./data.tar.gz!/usr/bin/tool CONTAINS stdlib")
	has(t, described(t, filepath.Join(dir, "tool.gz")), "tool.gz CONTAINS ./content", "./content CONTAINS example.com/a")
	if doc := described(t, filepath.Join(dir, "text.gz")); len(doc.Files) != 0 {
		t.Errorf("a compressed text has files: %+v", doc.Files)
	}
	o := options
	o.Files = false
	doc := describedWith(t, filepath.Join(dir, "a.tar.gz"), o)
	has(t, doc, "./top/inner.zip!/bin/tool.exe CONTAINS example.com/a")
	if len(doc.Files) != 2 {
		t.Errorf("files that nothing is to be said about: %+v", doc.Files)
	}
}

func arMember(name, content string) string {
	s := fmt.Sprintf("%-16s%-12s%-6s%-6s%-8s%-10d`\n%s", name, "0", "0", "0", "100644", len(content), content)
	if len(content)%2 == 1 {
		s += "\n"
	}
	return s
}

func TestTarWithoutAnEnd(t *testing.T) {
	t.Parallel()
	whole := tarOf(t, member{"a", "b"})
	has(t, described(t, filepath.Join(place(t, map[string]string{"x.tar": whole[:1024]}), "x.tar")), "note x.tar: The archive does not have tar's mark at its end: it may be cut off")
}

func TestNestedTooDeep(t *testing.T) {
	t.Parallel()
	content := program(buildInfo)
	for range 20 {
		content = gzipOf(t, tarOf(t, member{"in", content}))
	}
	doc := described(t, filepath.Join(place(t, map[string]string{"deep.tgz": content}), "deep.tgz"))
	has(t, doc, "note ./in!/in!/in!/in!/in!/in!/in!/in: Archives lie in archives more than 8 deep; this one was not looked into")
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	whole := gzipOf(t, tarOf(t, member{"a", strings.Repeat("some text ", 5000)}, member{"b", "more"}))
	zipped := zipOf(t, member{"a", "text"})
	bomb := gzipOf(t, tarOf(t, member{"zeros", strings.Repeat("\x00", 70<<20)}))
	dir := place(t, map[string]string{
		"cut.tgz": whole[:len(whole)-20], "cut.zip": zipped[:len(zipped)-5], "bomb.tgz": bomb, "damaged.tgz": whole[:40] + "xxxx" + whole[44:],
		"bad-info": program("path\tp\nmod\tm\tv1.0.0\x1b[2J\t\n"), "odd.ar": "!<arch>\nno header at all, but long enough to be read as one, or so it seems...",
		"x.tar.xz": "\xfd7zXZ\x00" + strings.Repeat("\x00", 600),
	})
	for name, code := range map[string]string{
		"cut.tgz": inventory.CodeDamaged, "cut.zip": inventory.CodeDamaged, "damaged.tgz": inventory.CodeDamaged, "odd.ar": inventory.CodeDamaged, "x.tar.xz": inventory.CodeDamaged,
		"bomb.tgz": inventory.CodeTooLarge, "bad-info": sbom.CodeBuildInfo, "gone": inventory.CodeUnreadable,
	} {
		doc, err := inventory.Of(t.Context(), filepath.Join(dir, name), options)
		if gate.Code(err) != code || doc != nil {
			t.Errorf("%s: expected %s, found %v", name, code, err)
		}
	}
	few := options
	few.Limits.Files = 1
	two := place(t, map[string]string{"a": "1", "b": "2"})
	if _, err := inventory.Of(t.Context(), two, few); gate.Code(err) != inventory.CodeTooLarge {
		t.Errorf("too many files: %v", err)
	}
	// In a folder they are noted, and all else is described.
	doc := described(t, dir)
	has(t, doc, "note ./cut.tgz: The archive is damaged: …", "note ./bomb.tgz: The archive unpacks to more than is allowed…", "note ./bad-info: The build information of this Go program is malformed…",
		"note ./x.tar.xz: The archive is damaged: …")
}

func TestZipBomb(t *testing.T) {
	t.Parallel()
	zeros := member{"zeros", strings.Repeat("\x00", 10<<20)}
	inner := zipOf(t, zeros)
	var all []member
	for i := range 40 {
		all = append(all, member{fmt.Sprintf("%02d.zip", i), inner})
	}
	path := filepath.Join(place(t, map[string]string{"bomb.zip": zipOf(t, all...)}), "bomb.zip")
	started := time.Now()
	if _, err := inventory.Of(t.Context(), path, options); gate.Code(err) != inventory.CodeTooLarge {
		t.Errorf("after %v: %v", time.Since(started), err)
	}
}

func TestProgramsWithoutBuildInformation(t *testing.T) {
	t.Parallel()
	dir := place(t, map[string]string{"upx": packed("UPX!"), "plain": packed("nothing")})
	has(t, described(t, filepath.Join(dir, "upx")), "note upx: Packed with UPX: what the program consists of cannot be told from its bytes")
	has(t, described(t, filepath.Join(dir, "plain")), "note plain: A program without Go's build information: what it consists of is not known from its bytes")
}

func TestFolderWithLinksAndMore(t *testing.T) {
	t.Parallel()
	dir := place(t, map[string]string{"bin/tool": program(buildInfo), "notes.txt": "text", ".git/HEAD": "ref"})
	if err := os.Symlink("..", filepath.Join(dir, "bin", "loop")); err != nil {
		t.Skip("no symbolic links here: ", err)
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "out")); err != nil {
		t.Fatal(err)
	}
	doc := described(t, dir)
	name := filepath.Base(dir)
	has(t, doc, "DOCUMENT DESCRIBES "+name, name+" CONTAINS ./bin/tool", "./bin/tool CONTAINS example.com/a", "note "+name+": Symbolic links were not followed: 2", "note "+name+": The folder .git is not described")
	if len(doc.Files) != 2 {
		t.Errorf("%+v", doc.Files)
	}
	round := filepath.Join(t.TempDir(), "round")
	if err := os.Symlink(round, round); err != nil {
		t.Fatal(err)
	}
	if _, err := inventory.Of(t.Context(), round, options); gate.Code(err) != inventory.CodeUnreadable {
		t.Errorf("a link to itself: %v", err)
	}
}

// TestChangedWhileRead writes to a file all the time.
func TestChangedWhileRead(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "growing")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(make([]byte, 8<<20)); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			_, _ = f.Write([]byte("more"))
			runtime.Gosched()
		}
	}()
	defer func() { stop(); <-ended }()
	for range 50 {
		if _, err = inventory.Of(ctx, path, options); err != nil {
			break
		}
	}
	if gate.Code(err) != inventory.CodeChanged {
		t.Errorf("%v", err)
	}
}

func TestCancelled(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := inventory.Of(ctx, place(t, map[string]string{"a": "b"}), options); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestMeasured compares a real program with what is left when its build information is forged.
func TestMeasured(t *testing.T) {
	t.Parallel()
	goPath, err := exec.LookPath("go")
	if err != nil {
		t.Skip("the Go command is not installed")
	}
	built := filepath.Join(t.TempDir(), "self")
	build := exec.Command(goPath, "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", built, "../testdata/program")
	build.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	data, err := os.ReadFile(built)
	if err != nil {
		t.Fatal(err)
	}
	doc := described(t, filepath.Join(place(t, map[string]string{"self": string(data)}), "self"))
	has(t, doc, "note self: Claimed by the build information: …")
	for fact := range facts(doc) {
		if strings.Contains(fact, "is not whole") {
			t.Error(fact)
		}
	}
	forged := strings.ReplaceAll(string(data), "dep\tgithub.com/google/go-cmp\t", "dep\tgithub.com/google/go-cmq\t")
	if forged == string(data) {
		t.Fatal("the program's build information does not name the module")
	}
	has(t, described(t, filepath.Join(place(t, map[string]string{"forged": forged}), "forged")), "note forged: The build information is not whole: there is code of packages whose modules it does not name: github.com/google/go-cmp/cmp…")
}

// TestTheDocumentItself writes a document into the folder that it describes, where it is no part of what it describes.
func TestTheDocumentItself(t *testing.T) {
	t.Parallel()
	dir := place(t, map[string]string{"a": "a"})
	o := options
	o.Except = filepath.Join(dir, "out.spdx.json")
	first := describedWith(t, dir, o)
	if err := os.WriteFile(o.Except, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if second := describedWith(t, dir, o); second.Hash() != first.Hash() || len(second.Files) != 1 {
		t.Errorf("%d files", len(second.Files))
	}
	has(t, first, "note "+filepath.Base(dir)+": Not described, since it is the bill of materials itself: out.spdx.json")
	o.Except = filepath.Join(t.TempDir(), "out.spdx.json")
	if doc := describedWith(t, dir, o); len(doc.Files) != 2 {
		t.Errorf("a document elsewhere hides a file: %d", len(doc.Files))
	}
}
