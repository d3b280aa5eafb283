package sbom_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sbom"
	"github.com/sello-release/sello/internal/stage"
)

// elfWith makes the smallest ELF file that holds build information.
func elfWith(goVersion, info string) []byte {
	blob := append([]byte("\xff Go buildinf:\x08\x02"), make([]byte, 16)...)
	for _, s := range []string{goVersion, "0123456789abcdef" + info + "0123456789abcdef"} {
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
	return append(b, blob...)
}

func TestReadBinary(t *testing.T) {
	t.Parallel()
	b, err := sbom.ReadBinary(bytes.NewReader(elfWith("go1.26.8", info)))
	if err != nil {
		t.Fatal(err)
	}
	if b.GoVersion != "go1.26.8" || b.Path != "example.com/Program/cmd/program" || len(b.Deps) != 3 || b.Deps[2].Replace == nil {
		t.Errorf("read %+v", b)
	}
}

func TestReadBinaryAnswersWhatIsNoGoProgram(t *testing.T) {
	t.Parallel()
	good := elfWith("go1.26.8", info)
	for name, b := range map[string][]byte{
		"empty":      nil,
		"text":       []byte("#!/bin/sh\necho not a program, but long enough to look\n"),
		"ELF header": good[:64],
		"cut":        good[:len(good)-40],
		"no version": elfWith("", info),
	} {
		if _, err := sbom.ReadBinary(bytes.NewReader(b)); !errors.Is(err, sbom.ErrNotGo) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestReadBinaryRefusesMalformedBuildInfo(t *testing.T) {
	t.Parallel()
	for name, info := range map[string]string{
		"columns":     "path\tp\nmod\tonly-a-path\n",
		"stray":       "path\tp\n=>\tx\tv1\n",
		"control":     "path\tp\nmod\tm\tv1.0.0\x1b[2J\t\n",
		"not UTF-8":   "path\tp\nmod\tm\xff\tv1.0.0\t\n",
		"forged sum":  "path\tp\nmod\tm\tv1.0.0\t\ndep\td\tv1.0.0\th1:x\n",
		"replacement": "path\tp\nmod\tm\tv1.0.0\t\ndep\td\tv1.0.0\n=>\te\tv1.0.0\tsha256:x\n",
		"path":        "path\tp\x7f\nmod\tm\tv1.0.0\t\n",
	} {
		if _, err := sbom.ReadBinary(bytes.NewReader(elfWith("go1.26.8", info))); gate.Code(err) != sbom.CodeBuildInfo {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// broken is a disk that fails.
type broken struct{}

var errDisk = errors.New("disk failed")

func (broken) ReadAt([]byte, int64) (int, error) { return 0, errDisk }

func TestReadBinaryKeepsDiskErrors(t *testing.T) {
	t.Parallel()
	if _, err := sbom.ReadBinary(broken{}); !errors.Is(err, errDisk) || errors.Is(err, sbom.ErrNotGo) {
		t.Errorf("disk error became %v", err)
	}
}

// endless is a program whose data never ends, and never holds build information.
type endless struct {
	head []byte
	read int64
}

func (e *endless) ReadAt(p []byte, off int64) (int, error) {
	e.read += int64(len(p))
	clear(p)
	if off < int64(len(e.head)) {
		copy(p, e.head[off:])
	}
	return len(p), nil
}

func TestReadBinaryStopsReading(t *testing.T) {
	t.Parallel()
	head := elfWith("go1.26.8", info)[:128]
	binary.LittleEndian.PutUint64(head[64+32:], 1<<50)
	binary.LittleEndian.PutUint64(head[64+40:], 1<<50)
	e := &endless{head: head}
	if _, err := sbom.ReadBinary(e); !errors.Is(err, sbom.ErrNotGo) {
		t.Error(err)
	}
	if e.read > 70<<20 {
		t.Errorf("read %d bytes", e.read)
	}
}

// FuzzReadBinary holds that no file panics, and that what can be read can be described.
func FuzzReadBinary(f *testing.F) {
	f.Add(elfWith("go1.26.8", info))
	f.Add(elfWith("devel go1.27-abc", "path\tcommand-line-arguments\ndep\t./local\t(devel)\n"))
	f.Add([]byte("MZ"))
	f.Add([]byte("\xcf\xfa\xed\xfe"))
	f.Fuzz(func(t *testing.T, file []byte) {
		b, err := sbom.ReadBinary(bytes.NewReader(file))
		if err != nil {
			if !errors.Is(err, sbom.ErrNotGo) && gate.Code(err) == "" {
				t.Errorf("error of no kind: %v", err)
			}
			return
		}
		describe(t, *b)
	})
}

// FuzzBuildInfo does the same for the text inside.
func FuzzBuildInfo(f *testing.F) {
	f.Add("go1.26.8", info)
	f.Add("go1.26rc1", "path\tp\nmod\tm\tv1.0.0\t\ndep\t#?%\t \n")
	f.Fuzz(func(t *testing.T, goVersion, info string) {
		if b, err := sbom.ReadBinary(bytes.NewReader(elfWith(goVersion, info+"\n"))); err == nil {
			describe(t, *b)
		}
	})
}

func describe(t *testing.T, b sbom.Binary) {
	t.Helper()
	in := sbom.Input{Name: "x", Sums: digest.Sums{SHA256: strings.Repeat("0", 64)}, Kind: stage.KindBinary, Binaries: []sbom.Binary{b}}
	doc, err := inArtifact(meta, in, nil)
	if err != nil {
		t.Fatalf("cannot describe: %v", err)
	}
	read(t, doc)
}

// BenchmarkDocument measures one program: reading it back and describing it; the hash of its bytes is made elsewhere.
func BenchmarkDocument(b *testing.B) {
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	f, err := os.Open(self)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	padded := io.NewSectionReader(&withTail{f}, 0, 60<<20) // as large as the largest programs
	in := sbom.Input{Name: "x", Sums: digest.Sums{SHA256: strings.Repeat("0", 64)}, Kind: stage.KindBinary}
	for b.Loop() {
		program, err := sbom.ReadBinary(padded)
		if err != nil {
			b.Fatal(err)
		}
		in.Binaries = []sbom.Binary{*program}
		if _, err := inArtifact(meta, in, nil); err != nil {
			b.Fatal(err)
		}
	}
}

// withTail continues a file with zeros.
type withTail struct{ r io.ReaderAt }

func (w *withTail) ReadAt(p []byte, off int64) (int, error) {
	n, err := w.r.ReadAt(p, off)
	if errors.Is(err, io.EOF) {
		clear(p[n:])
		return len(p), nil
	}
	return n, err
}
