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
func valid(t testing.TB, doc []byte) {
	t.Helper()
	if err := spdxlib.ValidateDocument(read(t, doc)); err != nil {
		t.Errorf("tools-golang refuses the document: %v", err)
	}
	if !bytes.HasSuffix(doc, []byte("}\n")) {
		t.Error("no final newline")
	}
	t.Run("schema", func(t testing.TB) func(*testing.T) {
		return func(t *testing.T) {
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
		}
	}(t))
}
