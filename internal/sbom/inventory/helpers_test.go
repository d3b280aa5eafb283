package inventory_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sello-release/sello/internal/sbom"
	"github.com/sello-release/sello/internal/sbom/check"
	"github.com/sello-release/sello/internal/sbom/inventory"
)

const h1 = "h1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

const buildInfo = "path\texample.com/program/cmd/program\nmod\texample.com/program\tv1.2.3\t" + h1 + "\ndep\texample.com/a\tv1.0.0\t" + h1 + "\n" +
	"dep\texample.com/b\tv1.0.0\n=>\texample.com/fork\tv0.3.0\t" + h1 + "\nbuild\t-trimpath=true\n"

// program makes the smallest ELF file that holds build information.
func program(info string) string {
	blob := append([]byte("\xff Go buildinf:\x08\x02"), make([]byte, 16)...)
	for _, s := range []string{"go1.26.8", "0123456789abcdef" + info + "0123456789abcdef"} {
		blob = append(binary.AppendUvarint(blob, uint64(len(s))), s...)
	}
	le := binary.LittleEndian
	b := append([]byte("\x7fELF\x02\x01\x01"), make([]byte, 121)...)
	le.PutUint16(b[16:], 2)  // executable
	le.PutUint16(b[18:], 62) // amd64
	le.PutUint32(b[20:], 1)
	le.PutUint64(b[32:], 64) // program headers
	le.PutUint16(b[52:], 64)
	le.PutUint16(b[54:], 56)
	le.PutUint16(b[56:], 1)
	p := b[64:]
	le.PutUint32(p, 1)         // PT_LOAD
	le.PutUint32(p[4:], 6)     // readable, writable
	le.PutUint64(p[8:], 128)   // offset
	le.PutUint64(p[16:], 4096) // address
	le.PutUint64(p[32:], uint64(len(blob)))
	le.PutUint64(p[40:], uint64(len(blob)))
	return string(append(b, blob...))
}

// packed makes a program in which Go's build information is not to be found.
func packed(mark string) string { return program("")[:128] + strings.Repeat(mark+"\x00\x01", 300) }

type member struct{ name, content string }

func tarOf(t testing.TB, all ...member) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, m := range all {
		h := &tar.Header{Name: m.name, Mode: 0o644, Size: int64(len(m.content)), Typeflag: tar.TypeReg}
		if target, ok := strings.CutPrefix(m.content, "=> "); ok {
			h.Typeflag, h.Linkname, h.Size = tar.TypeLink, target, 0
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			if _, err := w.Write([]byte(m.content)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func gzipOf(t testing.TB, content string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func zipOf(t testing.TB, all ...member) string {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, m := range all {
		f, err := w.Create(m.name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(m.content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// place writes files below a new folder.
func place(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

var options = inventory.Options{Meta: sbom.Meta{Created: time.Unix(1_700_000_000, 0)}, Files: true}

// described describes what is at path, and holds the document to what all documents are held to.
func described(t testing.TB, path string) *sbom.Document {
	t.Helper()
	return describedWith(t, path, options)
}

func describedWith(t testing.TB, path string, o inventory.Options) *sbom.Document {
	t.Helper()
	doc, err := inventory.Of(t.Context(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range check.Document(doc) {
		t.Errorf("%s: %s: %s", f.Code, f.Where, f.What)
	}
	again, err := inventory.Of(t.Context(), path, o)
	if err != nil || again.Hash() != doc.Hash() || again.Namespace != doc.Namespace {
		t.Errorf("described for a second time it is another document: %v", err)
	}
	return doc
}

// facts gives relations as "name KIND name", with "note name: text" for notes.
func facts(doc *sbom.Document) map[string]bool {
	names := map[string]string{sbom.DocumentID: "DOCUMENT"}
	for _, p := range doc.Packages {
		names[p.ID] = p.Name
	}
	for _, f := range doc.Files {
		names[f.ID] = "./" + f.Name
	}
	out := map[string]bool{}
	for _, r := range doc.Relations {
		out[names[r.From]+" "+r.Kind+" "+names[r.To]] = true
	}
	for _, n := range doc.Notes {
		out["note "+names[n.Of]+": "+n.Text] = true
	}
	return out
}

// has holds a document to facts; a fact that ends in … need only begin so.
func has(t testing.TB, doc *sbom.Document, wanted ...string) {
	t.Helper()
	found := facts(doc)
next:
	for _, want := range wanted {
		if found[want] {
			continue
		}
		if start, ok := strings.CutSuffix(want, "…"); ok {
			for f := range found {
				if strings.HasPrefix(f, start) {
					continue next
				}
			}
		}
		t.Errorf("no %q in:", want)
		for f := range found {
			t.Log(f)
		}
	}
}
