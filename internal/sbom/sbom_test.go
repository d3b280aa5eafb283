package sbom_test

import (
	"bytes"
	"flag"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/spdx/tools-golang/spdxlib"

	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sbom"
	"github.com/sello-release/sello/internal/stage"
)

var update = flag.Bool("update", false, "rewrite golden files")

var meta = sbom.Meta{Project: "program", Version: "v1.4.2", SourceURI: "git+https://github.com/example/program",
	Commit: "5471f1c1a2d4d0c6a2e3b5c8f7d1e0a9b8c7d6e5", Created: time.Date(2026, 11, 20, 10, 30, 0, 5, time.FixedZone("", 3600)), ToolVersion: "v0.1.0"}

// schemaPath finds the SPDX schema, which is not part of the repository.
func schemaPath(t testing.TB) string {
	t.Helper()
	folder := os.Getenv("SELLO_VECTORS")
	if folder == "" {
		gomod, err := exec.Command("go", "env", "GOMOD").Output()
		if err != nil {
			t.Skip("SELLO_VECTORS is not set, and there is no Go command to find the repository with")
		}
		folder = filepath.Join(filepath.Dir(string(gomod)), "..", "shared", "vectors")
	}
	p := filepath.Join(folder, "schemas", "spdx-2.3.schema.json")
	if _, err := os.Stat(p); err != nil {
		t.Skipf("no SPDX schema at %s: set SELLO_VECTORS to a folder that has schemas/spdx-2.3.schema.json", p)
	}
	return p
}

// valid holds a document to the SPDX schema, when it is there, and to SPDX's own library.
func valid(t *testing.T, doc []byte) {
	t.Helper()
	if err := spdxlib.ValidateDocument(read(t, doc)); err != nil {
		t.Errorf("tools-golang refuses the document: %v", err)
	}
	if !bytes.HasSuffix(doc, []byte("}\n")) {
		t.Error("no final newline")
	}
	t.Run("schema", func(t *testing.T) {
		schema, err := jsonschema.NewCompiler().Compile(schemaPath(t))
		if err != nil {
			t.Fatal(err)
		}
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(doc))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(value); err != nil {
			t.Error(err)
		}
	})
}

const h1 = "h1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

const info = "path\texample.com/Program/cmd/program\nmod\texample.com/Program\t(devel)\t\n" +
	"dep\texample.com/a\tv1.0.0\t" + h1 + "\ndep\texample.com/b/v2\tv2.1.0+incompatible\t" + h1 + "\n" +
	"dep\texample.com/c\tv0.0.0-20260101000000-abcdefabcdef\n=>\texample.com/Fork\tv0.3.0\t" + h1 + "\n" +
	"build\t-trimpath=true\nbuild\tGOOS=linux\n"

func program(t testing.TB, name string) sbom.Binary {
	t.Helper()
	b, err := debug.ParseBuildInfo(info)
	if err != nil {
		t.Fatal(err)
	}
	b.GoVersion = "go1.26.8 X:nocoverageredesign"
	return sbom.Binary{Name: name, BuildInfo: *b}
}

func hashed(name, content string) sbom.File {
	h := sbom.NewFileHash(name)
	_, _ = h.Write([]byte(content))
	return h.File()
}

func sums(content string) digest.Sums {
	s, _ := digest.Reader(strings.NewReader(content))
	return s
}

var graph = sbom.Graph{
	"example.com/Program":                  {"example.com/a@v1.0.0", "example.com/b/v2@v2.1.0+incompatible"},
	"example.com/a@v1.0.0":                 {"example.com/c@v0.0.0-20260101000000-abcdefabcdef", "example.com/unlinked@v1.0.0", "example.com/a@v1.0.0"},
	"example.com/unlinked@v1.0.0":          {"example.com/a@v1.0.0"},
	"example.com/b/v2@v2.1.0+incompatible": {},
	"example.com/another/program@v1.0.0":   {"example.com/a@v1.0.0"},
}

// release is a program, an archive with it, and a source archive.
func release(t testing.TB) []sbom.Input {
	t.Helper()
	return []sbom.Input{
		{Name: "program_v1.4.2_linux_amd64.tar.gz", Sums: sums("archive"), Kind: stage.KindArchive, Platform: "linux/amd64",
			Files:    []sbom.File{hashed("top/program", "the program"), hashed("top/README.md", "read me"), hashed("top/other", "other program")},
			Binaries: []sbom.Binary{program(t, "top/program"), program(t, "top/other")}},
		{Name: "bin/linux/amd64/program", Sums: sums("the program"), Kind: stage.KindBinary, Platform: "linux/amd64", Binaries: []sbom.Binary{program(t, "")}},
		{Name: "program_v1.4.2_src.tar.gz", Sums: sums("source"), Kind: stage.KindSource, Files: []sbom.File{hashed("src/main.go", "package main")}},
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

func TestDocuments(t *testing.T) {
	t.Parallel()
	for i, name := range []string{"archive", "binary", "source"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doc, err := inArtifact(meta, release(t)[i], graph)
			if err != nil {
				t.Fatal(err)
			}
			valid(t, doc)
			golden(t, name+".spdx.json", doc)
		})
	}
	t.Run("release", func(t *testing.T) {
		t.Parallel()
		doc, err := inRelease(meta, release(t), graph)
		if err != nil {
			t.Fatal(err)
		}
		valid(t, doc)
		golden(t, "release.spdx.json", doc)
	})
}

func TestReleaseRelationships(t *testing.T) {
	t.Parallel()
	doc, err := inRelease(meta, release(t), graph)
	if err != nil {
		t.Fatal(err)
	}
	got := relations(t, doc)
	for _, want := range []string{
		"DOCUMENT DESCRIBES program",
		"program CONTAINS bin/linux/amd64/program",
		"program CONTAINS program_v1.4.2_src.tar.gz",
		"bin/linux/amd64/program GENERATED_FROM program source",
		"program_v1.4.2_linux_amd64.tar.gz CONTAINS ./top/README.md",
		"./top/program COPY_OF bin/linux/amd64/program",
		"./top/other CONTAINS example.com/a",
		"bin/linux/amd64/program CONTAINS example.com/Fork",
		"bin/linux/amd64/program CONTAINS stdlib",
		"toolchain BUILD_TOOL_OF bin/linux/amd64/program",
		"example.com/Program DEPENDS_ON example.com/a",
		"example.com/Program DEPENDS_ON stdlib",
		"example.com/a DEPENDS_ON example.com/Fork",
	} {
		if !got[want] {
			t.Errorf("no %q", want)
		}
	}
	for relation := range got {
		if strings.Contains(relation, "unlinked") || strings.Contains(relation, "another") || strings.HasPrefix(relation, "./top/program CONTAINS") {
			t.Errorf("found %q", relation)
		}
	}
	once := map[string]int{}
	for _, p := range read(t, doc).Packages {
		once[p.PackageName+p.PackageVersion]++
	}
	for p, n := range once {
		if n != 1 {
			t.Errorf("%s is in the document %d times", p, n)
		}
	}
}

func TestSameBytesInAnyOrder(t *testing.T) {
	t.Parallel()
	var want []byte
	for range 20 {
		ins := release(t)
		shuffle(ins)
		for i := range ins {
			shuffle(ins[i].Files)
			shuffle(ins[i].Binaries)
			for j := range ins[i].Binaries {
				shuffle(ins[i].Binaries[j].Deps)
			}
		}
		g := sbom.Graph{}
		for from, to := range graph {
			to = slices.Clone(to)
			shuffle(to)
			g[from] = to
		}
		got, err := inRelease(meta, ins, g)
		if err != nil {
			t.Fatal(err)
		}
		if want == nil {
			want = got
		}
		if !bytes.Equal(got, want) {
			t.Fatal("the order of the input shows")
		}
	}
}

func shuffle[T any](s []T) { rand.Shuffle(len(s), func(i, j int) { s[i], s[j] = s[j], s[i] }) }

func TestNamespacesDiffer(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	namespace := func(m sbom.Meta, content string) {
		in := release(t)[1]
		in.Sums = sums(content)
		doc, err := inArtifact(m, in, graph)
		if err != nil {
			t.Fatal(err)
		}
		n := read(t, doc).DocumentNamespace
		if seen[n] || !strings.HasPrefix(n, "https://") || strings.ContainsAny(n, "# ") {
			t.Errorf("namespace %q", n)
		}
		seen[n] = true
	}
	namespace(meta, "one")
	namespace(meta, "two")
	newer := meta
	newer.ToolVersion = "v0.2.0"
	namespace(newer, "one")
	newer.Version = "v1.4.3 #"
	namespace(newer, "one")
}

func TestHashesOfFiles(t *testing.T) {
	t.Parallel()
	want := sbom.File{Name: "f", SHA1: "a9993e364706816aba3e25717850c26c9cd0d89d", SHA256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}
	if diff := cmp.Diff(want, hashed("f", "abc")); diff != "" {
		t.Error(diff)
	}
}

func TestRefusesInputThatCannotBeDescribed(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(m *sbom.Meta, in *sbom.Input){
		"no version":           func(m *sbom.Meta, _ *sbom.Input) { m.Version = "" },
		"no time":              func(m *sbom.Meta, _ *sbom.Input) { m.Created = time.Time{} },
		"no name":              func(_ *sbom.Meta, in *sbom.Input) { in.Name = "" },
		"name with newline":    func(_ *sbom.Meta, in *sbom.Input) { in.Name = "a\nb" },
		"no digest":            func(_ *sbom.Meta, in *sbom.Input) { in.Sums.SHA256 = "" },
		"file twice":           func(_ *sbom.Meta, in *sbom.Input) { in.Files = append(in.Files, in.Files[0]) },
		"file without SHA-1":   func(_ *sbom.Meta, in *sbom.Input) { in.Files[0].SHA1 = "" },
		"file without SHA-256": func(_ *sbom.Meta, in *sbom.Input) { in.Files[0].SHA256 = strings.Repeat("z", 64) },
		"program not a file":   func(_ *sbom.Meta, in *sbom.Input) { in.Binaries[0].Name = "elsewhere" },
		"program twice":        func(_ *sbom.Meta, in *sbom.Input) { in.Binaries[1].Name = in.Binaries[0].Name },
		"file with programs":   func(_ *sbom.Meta, in *sbom.Input) { in.Kind, in.Files = stage.KindFile, nil },
		"file with files":      func(_ *sbom.Meta, in *sbom.Input) { in.Kind, in.Binaries = stage.KindFile, nil },
		"binary with files":    func(_ *sbom.Meta, in *sbom.Input) { in.Kind = stage.KindBinary },
	} {
		m, in := meta, release(t)[0]
		spoil(&m, &in)
		if doc, err := inArtifact(m, in, graph); err == nil {
			t.Errorf("%s: described as %d bytes", name, len(doc))
		}
	}
	in := release(t)[1]
	in.Binaries[0].Deps[0].Sum = "h1:forged"
	if _, err := inArtifact(meta, in, graph); gate.Code(err) != sbom.CodeBuildInfo {
		t.Errorf("forged sum: %v", err)
	}
}
