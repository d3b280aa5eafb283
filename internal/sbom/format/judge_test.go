package format_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/go-cmp/cmp"
	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdxlib"
	"github.com/spdx/tools-golang/tagvalue"

	"github.com/sello-release/sello/internal/sbom"
	"github.com/sello-release/sello/internal/sbom/format"
	"github.com/sello-release/sello/internal/sbom/inventory"
)

// judge gives a program, building it first when it is not in the test cache. Without SELLO_JUDGES=1 the test is skipped.
func judge(t *testing.T, name string) func(args ...string) []byte {
	t.Helper()
	if os.Getenv("SELLO_JUDGES") != "1" {
		t.Skip("set SELLO_JUDGES=1 to have others read what is written")
	}
	out, err := exec.Command(filepath.Join("..", "..", "..", "scripts", "tool"), name).Output()
	if err != nil {
		t.Fatalf("build %s: %v", name, err)
	}
	home := t.TempDir()
	return func(args ...string) []byte {
		t.Helper()
		cmd := exec.Command(strings.TrimSpace(string(out)), args...)
		cmd.Env = append(os.Environ(), "SYFT_CHECK_FOR_APP_UPDATE=false", "HOME="+home)
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		if err := cmd.Run(); err != nil {
			t.Fatalf("%s %v: %v\n%s", name, args, err, stderr.String())
		}
		return stdout.Bytes()
	}
}

// real describes this very test program and the sources of a package.
func real(t *testing.T) map[string]*sbom.Document {
	t.Helper()
	out := filepath.Join(t.TempDir(), "program")
	build := exec.Command("go", "build", "-trimpath", "-o", out, "../testdata/program")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	docs := map[string]*sbom.Document{"full": full()}
	for name, path := range map[string]string{"program": out, "sources": filepath.Join("..", "..", "..")} {
		if name == "sources" {
			if _, err := os.Stat(filepath.Join(path, "go.mod")); err != nil {
				continue
			}
		}
		o := inventory.Options{Meta: sbom.Meta{Created: full().Created, ToolVersion: "v1.0.0"}}
		doc, err := inventory.Of(t.Context(), path, o)
		if err != nil {
			t.Fatal(err)
		}
		docs[name] = doc
	}
	return docs
}

// TestSyftReadsIt converts each format to syft's own and compares the package URLs.
func TestSyftReadsIt(t *testing.T) {
	t.Parallel()
	syft := judge(t, "syft")
	for name, doc := range real(t) {
		for _, f := range format.Names {
			path := filepath.Join(t.TempDir(), "document")
			if err := os.WriteFile(path, encode(t, doc, f), 0o600); err != nil {
				t.Fatal(err)
			}
			var report struct {
				Artifacts []struct{ Purl string }
			}
			if err := json.Unmarshal(syft("convert", path, "-o", "syft-json", "-q"), &report); err != nil {
				t.Fatal(err)
			}
			var got, want []string
			for _, a := range report.Artifacts {
				if a.Purl != "" {
					got = append(got, strings.ToLower(a.Purl)) // as syft has them, whatever it reads
				}
			}
			root := ""
			for _, r := range doc.Relations {
				if r.From == sbom.DocumentID && r.Kind == sbom.Describes {
					root = r.To
				}
			}
			for _, p := range doc.Packages {
				if p.PURL != "" && p.ID != root { // what is described is syft's source and no artifact
					want = append(want, strings.ToLower(p.PURL))
				}
			}
			got = slices.DeleteFunc(got, func(s string) bool { return !slices.Contains(want, s) })
			slices.Sort(got)
			slices.Sort(want)
			if diff := cmp.Diff(slices.Compact(want), slices.Compact(got)); diff != "" {
				t.Errorf("%s as %s (-document +syft):\n%s", name, f, diff)
			}
		}
	}
}

// TestLibrariesReadIt has the libraries of those who define the formats read our documents.
func TestLibrariesReadIt(t *testing.T) {
	t.Parallel()
	for name, doc := range real(t) {
		fromJSON, err := spdxjson.Read(bytes.NewReader(encode(t, doc, format.SPDXJSON)))
		if err != nil {
			t.Fatal(err)
		}
		fromTags, err := tagvalue.Read(bytes.NewReader(encode(t, doc, format.SPDXTag)))
		if err != nil {
			t.Fatal(err)
		}
		if err := spdxlib.ValidateDocument(fromJSON); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var bom cdx.BOM
		if err := cdx.NewBOMDecoder(bytes.NewReader(encode(t, doc, format.CycloneDX)), cdx.BOMFileFormatJSON).Decode(&bom); err != nil {
			t.Fatal(err)
		}
		components := len(*bom.Components)
		if bom.Metadata.Component != nil {
			components++
		}
		if len(fromJSON.Packages) != len(doc.Packages) || len(fromTags.Packages) != len(doc.Packages) || components != len(doc.Packages)+len(doc.Files) {
			t.Errorf("%s: %d packages and %d files; %d in SPDX JSON, %d in tag-value, %d components in CycloneDX", name, len(doc.Packages), len(doc.Files), len(fromJSON.Packages), len(fromTags.Packages), components)
		}
	}
}
