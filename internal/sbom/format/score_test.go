package format_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/sello-release/sello/internal/sbom"
	"github.com/sello-release/sello/internal/sbom/format"
	"github.com/sello-release/sello/internal/sbom/inventory"
	"github.com/sello-release/sello/internal/sbom/licenses"
	"github.com/sello-release/sello/internal/sbom/origins"
)

// whole describes this project's program as a release describes its own: with a supplier, licences and the sums of modules.
func whole(t *testing.T) *sbom.Document {
	t.Helper()
	self := filepath.Join(t.TempDir(), "program")
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", self, "../../../cmd/sello")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	cache, err := exec.Command("go", "env", "GOMODCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	dir := string(cache[:len(cache)-1])
	supplier := sbom.Agent{Kind: sbom.AgentOrganization, Name: "example"}
	b, err := os.Open(self)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	program, err := sbom.ReadBinary(b)
	if err != nil {
		t.Fatal(err)
	}
	places := licenses.Places{Caches: []string{dir}, Own: map[string]string{program.Main.Path: filepath.Join("..", "..", "..")}, Toolchains: map[string]string{program.GoVersion[2:]: string(root[:len(root)-1])}}
	doc, err := inventory.Of(t.Context(), self, inventory.Options{Meta: sbom.Meta{Project: "example", Version: "v1.0.0", SourceURI: "git+https://example.org/example",
		Commit: "5471f1c1a2d4d0c6a2e3b5c8f7d1e0a9b8c7d6e5", Created: full().Created, ToolVersion: "v1.0.0", Supplier: supplier, Authors: []sbom.Agent{supplier},
		Licenses: licenses.New(places), Origins: origins.New(dir, true)}})
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// TestScore has sbomqs, where somebody installed it, say how good our documents are, of 10. Of CycloneDX it wants persons for authors, signatures
// inside, and a claim that all there is was found, which are not ours to give.
func TestScore(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("sbomqs")
	if err != nil {
		t.Skip("there is no sbomqs on PATH")
	}
	doc := whole(t)
	for name, bar := range map[string]float64{format.SPDXJSON: 9, format.CycloneDX: 8.5} {
		path := filepath.Join(t.TempDir(), "document.json")
		if err := os.WriteFile(path, encode(t, doc, name), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(program, "score", "--json", path).Output()
		if err != nil {
			t.Fatal(err)
		}
		var report struct {
			Files []struct {
				Score float64 `json:"sbom_quality_score"`
			}
		}
		if err := json.Unmarshal(out, &report); err != nil || len(report.Files) != 1 {
			t.Fatalf("%v: %s", err, out)
		}
		if got := report.Files[0].Score; got < bar {
			t.Errorf("%s: %.2f of 10, and the bar is %.1f", name, got, bar)
		}
	}
}

// validator is a program for node: it exits with 1 when CycloneDX's own library finds a document invalid.
const validator = `const CDX = require('@cyclonedx/cyclonedx-library'), fs = require('fs');
const v = new CDX.Validation.JsonStrictValidator(CDX.Spec.Version.v1dot6);
v.validate(fs.readFileSync(process.argv[2], 'utf8')).then(e => { if (e) { console.error(JSON.stringify(e)); process.exit(1) } },
  e => { console.error(String(e)); process.exit(2) })
`

// TestCycloneDXsOwnLibraryReadsIt has the library of those who define CycloneDX validate our documents, strictly.
func TestCycloneDXsOwnLibraryReadsIt(t *testing.T) {
	t.Parallel()
	if os.Getenv("SELLO_JUDGES") != "1" {
		t.Skip("set SELLO_JUDGES=1 to have others read what is written")
	}
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(program + " is not installed: run scripts/deps test")
		}
	}
	dir := t.TempDir()
	run := func(name string, args ...string) error {
		cmd := exec.Command(name, args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Logf("%s %v: %s", name, args, out)
		}
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "package.json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := run("npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "@cyclonedx/cyclonedx-library@10.3.0", "ajv@8.20.0", "ajv-formats@3.0.1", "ajv-formats-draft2019@1.6.1"); err != nil {
		t.Skip("npm cannot fetch CycloneDX's library here")
	}
	if err := os.WriteFile(filepath.Join(dir, "validate.js"), []byte(validator), 0o600); err != nil {
		t.Fatal(err)
	}
	docs := real(t)
	docs["whole"] = whole(t)
	path := filepath.Join(dir, "document.json")
	for name, doc := range docs {
		if err := os.WriteFile(path, encode(t, doc, format.CycloneDX), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := run("node", "validate.js", path); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := os.WriteFile(path, []byte(`{"bomFormat":"CycloneDX","specVersion":"1.6","version":"one"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if run("node", "validate.js", path) == nil {
		t.Error("a document with a mistake is valid")
	}
}
