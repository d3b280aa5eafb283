package pack_test

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/pack"
)

var when = time.Date(2026, 11, 20, 9, 30, 0, 0, time.UTC)

// file is an entry whose content is text.
func file(name, content string) pack.Entry {
	return pack.Entry{Name: name, Size: int64(len(content)), Open: func() (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(content)), nil
	}}
}

func program(name, content string) pack.Entry {
	e := file(name, content)
	e.Executable = true
	return e
}

// prose gives size bytes that compress like a program does, the same for a seed.
func prose(seed uint64, size int) string {
	r := rand.New(rand.NewPCG(seed, 1))
	var b strings.Builder
	b.Grow(size + 64)
	for b.Len() < size {
		if r.IntN(3) == 0 {
			var raw [8]byte
			binary.LittleEndian.PutUint64(raw[:], r.Uint64())
			b.Write(raw[:])
		} else {
			fmt.Fprintf(&b, "word%d and ", r.IntN(1000))
		}
	}
	return b.String()[:size]
}

// sample has all that an archive can hold.
func sample() []pack.Entry {
	return []pack.Entry{
		program("bin/age", "#!/bin/sh\necho age\n"),
		file("README.md", "read me\n"),
		file("empty", ""),
		file("doc/"+strings.Repeat("long-", 45)+"/ü.txt", "PAX\n"),
		{Name: "doc/link.md", Link: "../README.md"},
		file("doc-2/x", "x"),
	}
}

func write(t testing.TB, entries []pack.Entry, o pack.Options) []byte {
	t.Helper()
	var b bytes.Buffer
	if o.Time.IsZero() {
		o.Time = when
	}
	if err := pack.Write(context.Background(), &b, entries, o); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func formats(t *testing.T, f func(t *testing.T, format string)) {
	for _, format := range []string{pack.TarGz, pack.Zip} {
		t.Run(format, func(t *testing.T) { f(t, format) })
	}
}

// The bytes of an archive are a promise to whoever rebuilds a release. When this
// test fails, a change of ours or of the compression library has broken it for
// releases that exist; release notes must say so.
func TestBytesAreThoseOfEarlierVersions(t *testing.T) {
	t.Parallel()
	golden := map[string]string{
		pack.TarGz: "6528ad26a48e3e25627e58306d05b8a7f61f2a0cf72409d7c248381f6325bda4",
		pack.Zip:   "1f3dac3f77d880b3cc9014e13b1470a5f059a429e9688d545fd28c69c06b1b53",
	}
	entries := append(sample(), program("bin/big", prose(1, 3<<20)))
	formats(t, func(t *testing.T, format string) {
		sum := sha256.Sum256(write(t, entries, pack.Options{Format: format, Prefix: "age_v1.4.2"}))
		if got := hex.EncodeToString(sum[:]); got != golden[format] {
			t.Errorf("SHA-256 is %s, was %s", got, golden[format])
		}
	})
}

func TestSameBytesHoweverInputComes(t *testing.T) { // not parallel: changes GOMAXPROCS
	sizes := []int{0, 1, 1 << 20, 2<<20 + 12345}
	contents := make([]string, len(sizes))
	for i, size := range sizes {
		contents[i] = prose(uint64(i), size)
	}
	readers := map[string]func(io.Reader) io.Reader{
		"whole":       func(r io.Reader) io.Reader { return r },
		"halves":      iotest.HalfReader,
		"early EOF":   iotest.DataErrReader,
		"odd reads":   func(r io.Reader) io.Reader { return &oddReader{r: r} },
		"short reads": func(r io.Reader) io.Reader { return &oddReader{r: r, most: 700} },
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	formats(t, func(t *testing.T, format string) {
		var want []byte
		for _, procs := range []int{1, 2, 3, 8} {
			runtime.GOMAXPROCS(procs)
			for name, chunked := range readers {
				if procs > 1 && name != "whole" && name != "odd reads" {
					continue // how input is cut and the number of cores hardly meet
				}
				var entries []pack.Entry
				for i, c := range contents {
					entries = append(entries, pack.Entry{Name: fmt.Sprintf("f%d", i), Size: int64(len(c)),
						Open: func() (io.ReadCloser, error) { return io.NopCloser(chunked(strings.NewReader(c))), nil }})
				}
				rand.Shuffle(len(entries), func(i, j int) { entries[i], entries[j] = entries[j], entries[i] })
				got := write(t, entries, pack.Options{Format: format})
				if want == nil {
					want = got
				}
				if !bytes.Equal(got, want) {
					t.Fatalf("other bytes with %d cores and reader %q", procs, name)
				}
			}
		}
	})
}

func TestBytesOfAFileDoNotDependOnItsNeighbours(t *testing.T) {
	t.Parallel()
	z := file("z", prose(5, 1<<20+99))
	alone := write(t, []pack.Entry{z}, pack.Options{Format: pack.Zip})
	among := write(t, []pack.Entry{z, file("a", prose(6, 1<<20+7)), file("b", prose(5, 5000))}, pack.Options{Format: pack.Zip})
	if !bytes.Equal(lastCompressed(t, alone), lastCompressed(t, among)) {
		t.Error("a compressor remembers what it did before")
	}
}

func lastCompressed(t *testing.T, b []byte) []byte {
	t.Helper()
	r, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := r.File[len(r.File)-1].OpenRaw()
	if err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(raw)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// oddReader reads in pieces of changing, odd sizes, with an empty read now and then.
type oddReader struct {
	r    io.Reader
	n    int
	most int
}

func (o *oddReader) Read(p []byte) (int, error) {
	o.n = (o.n*7 + 1013) % 100_003
	most := o.n
	if o.most > 0 {
		most %= o.most
	}
	return o.r.Read(p[:min(most, len(p))])
}

func TestTimeIsInstantNotZone(t *testing.T) {
	t.Parallel()
	formats(t, func(t *testing.T, format string) {
		a := write(t, sample(), pack.Options{Format: format, Time: when})
		b := write(t, sample(), pack.Options{Format: format, Time: when.In(time.FixedZone("far", 9*3600+1800)).Add(999 * time.Millisecond)})
		if !bytes.Equal(a, b) {
			t.Error("zone or fraction of a second changed the bytes")
		}
	})
}

func TestExtremeTimesFit(t *testing.T) {
	t.Parallel()
	formats(t, func(t *testing.T, format string) {
		for _, year := range []int{1, 1960, 1979, 2039, 2107, 9999} {
			write(t, sample(), pack.Options{Format: format, Time: time.Date(year, 12, 31, 23, 59, 59, 0, time.UTC)})
		}
	})
}

func TestRefusesEntries(t *testing.T) {
	t.Parallel()
	link := func(name, target string) pack.Entry { return pack.Entry{Name: name, Link: target} }
	sized := func(claim int64) pack.Entry { e := file("f", "12345"); e.Size = claim; return e }
	for name, c := range map[string]struct {
		entries []pack.Entry
		prefix  string
		code    string
	}{
		"empty name":           {entries: []pack.Entry{file("", "")}, code: pack.CodeBadName},
		"absolute":             {entries: []pack.Entry{file("/etc/passwd", "")}, code: pack.CodeBadName},
		"drive":                {entries: []pack.Entry{file("c:x", "")}, code: pack.CodeBadName},
		"parent":               {entries: []pack.Entry{file("../x", "")}, code: pack.CodeBadName},
		"parent within":        {entries: []pack.Entry{file("a/../x", "")}, code: pack.CodeBadName},
		"dot":                  {entries: []pack.Entry{file(".", "")}, code: pack.CodeBadName},
		"dot slash":            {entries: []pack.Entry{file("./x", "")}, code: pack.CodeBadName},
		"double slash":         {entries: []pack.Entry{file("a//x", "")}, code: pack.CodeBadName},
		"final slash":          {entries: []pack.Entry{file("a/", "")}, code: pack.CodeBadName},
		"backslash":            {entries: []pack.Entry{file(`a\x`, "")}, code: pack.CodeBadName},
		"newline":              {entries: []pack.Entry{file("a\nx", "")}, code: pack.CodeBadName},
		"NUL":                  {entries: []pack.Entry{file("a\x00x", "")}, code: pack.CodeBadName},
		"C1 control":           {entries: []pack.Entry{file("a\u0085x", "")}, code: pack.CodeBadName},
		"not UTF-8":            {entries: []pack.Entry{file("a\xff", "")}, code: pack.CodeBadName},
		"too long":             {entries: []pack.Entry{file(strings.Repeat("a/", 3000)+"a", "")}, code: pack.CodeBadName},
		"bad prefix":           {entries: []pack.Entry{file("a", "")}, prefix: "../up", code: pack.CodeBadName},
		"duplicate":            {entries: []pack.Entry{file("a", "1"), file("a", "2")}, code: pack.CodeDuplicate},
		"case":                 {entries: []pack.Entry{file("LICENSE", ""), file("license", "")}, code: pack.CodeDuplicate},
		"case beyond ASCII":    {entries: []pack.Entry{file("straße/Ä", ""), file("straße/ä", "")}, code: pack.CodeDuplicate},
		"Kelvin sign":          {entries: []pack.Entry{file("\u212a", ""), file("k", "")}, code: pack.CodeDuplicate},
		"long s":               {entries: []pack.Entry{file("\u017f", ""), file("S", "")}, code: pack.CodeDuplicate},
		"case of folders":      {entries: []pack.Entry{file("Doc/a", ""), file("doc/b", "")}, code: pack.CodeDuplicate},
		"file and folder":      {entries: []pack.Entry{file("a", ""), file("a/b", "")}, code: pack.CodeDuplicate},
		"folder and file":      {entries: []pack.Entry{file("a/b", ""), file("a", "")}, code: pack.CodeDuplicate},
		"through a link":       {entries: []pack.Entry{link("a", "b"), file("a/x", ""), file("b/y", "")}, code: pack.CodeDuplicate},
		"link up":              {entries: []pack.Entry{link("a", "..")}, code: pack.CodeBadLink},
		"link out of prefix":   {entries: []pack.Entry{link("a/b", "../../other")}, prefix: "top", code: pack.CodeBadLink},
		"link beside prefix":   {entries: []pack.Entry{link("a", "../topmost")}, prefix: "top", code: pack.CodeBadLink},
		"link absolute":        {entries: []pack.Entry{link("a", "/etc/passwd")}, code: pack.CodeBadLink},
		"link drive":           {entries: []pack.Entry{link("a", "C:/x")}, code: pack.CodeBadLink},
		"link backslash":       {entries: []pack.Entry{link("a", `..\x`)}, code: pack.CodeBadLink},
		"link control":         {entries: []pack.Entry{link("a", "b\x1b[2J")}, code: pack.CodeBadLink},
		"link too long":        {entries: []pack.Entry{link("a", strings.Repeat("b", 5000))}, code: pack.CodeBadLink},
		"more bytes than said": {entries: []pack.Entry{sized(4)}, code: pack.CodeSize},
		"none said":            {entries: []pack.Entry{sized(0)}, code: pack.CodeSize},
		"fewer bytes":          {entries: []pack.Entry{sized(6)}, code: pack.CodeSize},
		"negative":             {entries: []pack.Entry{sized(-1)}, code: pack.CodeSize},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			formats(t, func(t *testing.T, format string) {
				err := pack.Write(context.Background(), io.Discard, c.entries, pack.Options{Format: format, Time: when, Prefix: c.prefix})
				if gate.Code(err) != c.code {
					t.Errorf("got %v, want %s", err, c.code)
				}
			})
		})
	}
}

func TestSizeRefusalNamesEntry(t *testing.T) {
	t.Parallel()
	e := file("dir/changing", "12345")
	e.Size = 9
	err := pack.Write(context.Background(), io.Discard, []pack.Entry{e}, pack.Options{Format: pack.TarGz, Time: when})
	if err == nil || !strings.Contains(err.Error(), "dir/changing") {
		t.Errorf("entry not named: %v", err)
	}
}

func TestRefusesFormat(t *testing.T) {
	t.Parallel()
	err := pack.Write(context.Background(), io.Discard, nil, pack.Options{Format: "rar", Time: when})
	if gate.Code(err) != pack.CodeFormat {
		t.Error(err)
	}
	if err := pack.Walk(bytes.NewReader(nil), 0, "rar", pack.Limits{}, nil); gate.Code(err) != pack.CodeFormat {
		t.Error(err)
	}
}

func TestNeedsTime(t *testing.T) {
	t.Parallel()
	if err := pack.Write(context.Background(), io.Discard, nil, pack.Options{Format: pack.Zip}); err == nil {
		t.Error("an archive without a time")
	}
}

// failing is a reader or writer that fails after some bytes.
type failing struct{ left int }

var errDisk = errors.New("disk full")

func (f *failing) Write(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, errDisk
	}
	return len(p), nil
}

func TestErrorsOfWriterAndReaderSurface(t *testing.T) {
	t.Parallel()
	big := prose(3, 6<<20)
	formats(t, func(t *testing.T, format string) {
		o := pack.Options{Format: format, Time: when}
		for _, left := range []int{0, 5, 100_000, 2 << 20} {
			err := pack.Write(context.Background(), &failing{left}, []pack.Entry{file("big", big)}, o)
			if !errors.Is(err, errDisk) {
				t.Errorf("full after %d bytes: %v", left, err)
			}
		}
		bad := file("bad", big)
		bad.Open = func() (io.ReadCloser, error) { return nil, errDisk }
		if err := pack.Write(context.Background(), io.Discard, []pack.Entry{bad}, o); !errors.Is(err, errDisk) {
			t.Errorf("open: %v", err)
		}
		bad.Open = func() (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(strings.NewReader(big[:3<<20]), iotest.ErrReader(errDisk))), nil
		}
		if err := pack.Write(context.Background(), io.Discard, []pack.Entry{bad}, o); !errors.Is(err, errDisk) {
			t.Errorf("read: %v", err)
		}
	})
}

func TestStopsWhenCancelled(t *testing.T) {
	t.Parallel()
	formats(t, func(t *testing.T, format string) {
		ctx, cancel := context.WithCancel(context.Background())
		endless := pack.Entry{Name: "endless", Size: 1 << 40, Open: func() (io.ReadCloser, error) {
			cancel()
			return io.NopCloser(zeros{}), nil
		}}
		err := pack.Write(ctx, io.Discard, []pack.Entry{endless}, pack.Options{Format: format, Time: when})
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestTapSeesEveryFilesBytes(t *testing.T) {
	t.Parallel()
	formats(t, func(t *testing.T, format string) {
		got := map[string]*bytes.Buffer{}
		write(t, sample(), pack.Options{Format: format, Prefix: "top", Tap: func(name string) io.Writer {
			if name == "top/empty" {
				return nil
			}
			got[name] = &bytes.Buffer{}
			return got[name]
		}})
		if len(got) != 4 || got["top/README.md"].String() != "read me\n" {
			t.Errorf("tapped %v", got)
		}
	})
}

func TestWriteTarAndGzipMakeTheTarGz(t *testing.T) {
	t.Parallel()
	content := prose(4, 3<<20)
	entries := []pack.Entry{{Name: "bin/x", Executable: true, Size: int64(len(content)), Open: opens([]byte(content))}, {Name: "l", Link: "bin/x"}}
	whole := write(t, entries, pack.Options{Format: pack.TarGz})
	var parts bytes.Buffer
	z, err := pack.NewGzip(&parts)
	if err != nil {
		t.Fatal(err)
	}
	if err := pack.WriteTar(context.Background(), z, entries, pack.Options{Time: when}); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(whole, parts.Bytes()) {
		t.Error("other bytes than those of the tar.gz")
	}
	if err := pack.WriteTar(context.Background(), &parts, entries, pack.Options{}); err == nil {
		t.Error("wrote without a time")
	}
}
