package pack_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"hash/crc32"
	"io"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/pack"
)

func walk(b []byte, format string, l pack.Limits, fn func(pack.Member) error) error {
	return pack.Walk(bytes.NewReader(b), int64(len(b)), format, l, fn)
}

func ignore(pack.Member) error { return nil }

type seenMember struct {
	Name, Link, Content string
	Mode                fs.FileMode
}

func TestWalkReadsWhatWriteWrote(t *testing.T) {
	t.Parallel()
	formats(t, func(t *testing.T, format string) {
		var got []seenMember
		err := walk(write(t, sample(), pack.Options{Format: format}), format, pack.Limits{}, func(m pack.Member) error {
			s := seenMember{Name: m.Name, Link: m.Link, Mode: m.Mode}
			if m.Mode.IsRegular() {
				b, err := io.ReadAll(m.Content)
				if err != nil || int64(len(b)) != m.Size {
					t.Errorf("%s: %d bytes of %d: %v", m.Name, len(b), m.Size, err)
				}
				s.Content = string(b)
			}
			got = append(got, s)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		long := "doc/" + strings.Repeat("long-", 45)
		want := []seenMember{
			{Name: "README.md", Content: "read me\n", Mode: 0o644},
			{Name: "bin", Mode: 0o755 | fs.ModeDir},
			{Name: "bin/age", Content: "#!/bin/sh\necho age\n", Mode: 0o755},
			{Name: "doc-2", Mode: 0o755 | fs.ModeDir},
			{Name: "doc-2/x", Content: "x", Mode: 0o644},
			{Name: "doc", Mode: 0o755 | fs.ModeDir},
			{Name: "doc/link.md", Link: "../README.md", Mode: 0o777 | fs.ModeSymlink},
			{Name: long, Mode: 0o755 | fs.ModeDir},
			{Name: long + "/ü.txt", Content: "PAX\n", Mode: 0o644},
			{Name: "empty", Mode: 0o644},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("members (-want +got):\n%s", diff)
		}
	})
}

func TestWalkReturnsCallersError(t *testing.T) {
	t.Parallel()
	stop := errors.New("enough")
	formats(t, func(t *testing.T, format string) {
		calls := 0
		err := walk(write(t, sample(), pack.Options{Format: format}), format, pack.Limits{}, func(pack.Member) error { calls++; return stop })
		if err != stop || calls != 1 {
			t.Errorf("%v after %d calls", err, calls)
		}
	})
}

// tarOf makes a tar.gz out of headers, as a hostile builder would.
func tarOf(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, h := range headers {
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(make([]byte, h.Size)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

type zipped struct {
	name, content string
	mode          fs.FileMode
}

func zipOf(t testing.TB, members ...zipped) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, m := range members {
		h := &zip.FileHeader{Name: m.name, Method: zip.Deflate}
		if m.mode == 0 {
			m.mode = 0o644
		}
		h.SetMode(m.mode)
		f, err := w.CreateHeader(h)
		if err == nil {
			_, err = io.WriteString(f, m.content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestWalkRefusesMembers(t *testing.T) {
	t.Parallel()
	reg := func(name string) tar.Header { return tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644} }
	link := func(name, to string) tar.Header {
		return tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: to}
	}
	typed := func(flag byte) tar.Header { return tar.Header{Typeflag: flag, Name: "x", Linkname: "y"} }
	for name, c := range map[string]struct {
		format string
		b      []byte
		code   string
	}{
		"tar slip":            {pack.TarGz, tarOf(t, reg("../../etc/passwd")), pack.CodeBadName},
		"tar absolute":        {pack.TarGz, tarOf(t, reg("/etc/passwd")), pack.CodeBadName},
		"tar unclean":         {pack.TarGz, tarOf(t, reg("./a")), pack.CodeBadName},
		"tar backslash":       {pack.TarGz, tarOf(t, reg(`..\a`)), pack.CodeBadName},
		"tar newline":         {pack.TarGz, tarOf(t, reg("a\nb")), pack.CodeBadName},
		"tar duplicate":       {pack.TarGz, tarOf(t, reg("a"), reg("a")), pack.CodeDuplicate},
		"tar case":            {pack.TarGz, tarOf(t, reg("a"), reg("A")), pack.CodeDuplicate},
		"tar through link":    {pack.TarGz, tarOf(t, link("a", "b"), reg("a/x")), pack.CodeDuplicate},
		"tar link up":         {pack.TarGz, tarOf(t, link("a/b", "../../c")), pack.CodeBadLink},
		"tar link absolute":   {pack.TarGz, tarOf(t, link("a", "/etc")), pack.CodeBadLink},
		"tar hard link":       {pack.TarGz, tarOf(t, typed(tar.TypeLink)), pack.CodeBadFile},
		"tar device":          {pack.TarGz, tarOf(t, typed(tar.TypeChar)), pack.CodeBadFile},
		"tar pipe":            {pack.TarGz, tarOf(t, typed(tar.TypeFifo)), pack.CodeBadFile},
		"zip slip":            {pack.Zip, zipOf(t, zipped{name: "../x"}), pack.CodeBadName},
		"zip absolute":        {pack.Zip, zipOf(t, zipped{name: "/x"}), pack.CodeBadName},
		"zip backslash":       {pack.Zip, zipOf(t, zipped{name: `..\x`}), pack.CodeBadName},
		"zip duplicate":       {pack.Zip, zipOf(t, zipped{name: "x"}, zipped{name: "x"}), pack.CodeDuplicate},
		"zip case":            {pack.Zip, zipOf(t, zipped{name: "x"}, zipped{name: "X"}), pack.CodeDuplicate},
		"zip link up":         {pack.Zip, zipOf(t, zipped{name: "x", content: "../y", mode: fs.ModeSymlink | 0o777}), pack.CodeBadLink},
		"zip link long":       {pack.Zip, zipOf(t, zipped{name: "x", content: strings.Repeat("y", 1<<20), mode: fs.ModeSymlink | 0o777}), pack.CodeBadLink},
		"zip device":          {pack.Zip, zipOf(t, zipped{name: "x", mode: fs.ModeDevice | 0o644}), pack.CodeBadFile},
		"zip folder, no name": {pack.Zip, zipOf(t, zipped{name: "x", mode: fs.ModeDir | 0o755}), pack.CodeMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := walk(c.b, c.format, pack.Limits{}, ignore); gate.Code(err) != c.code {
				t.Errorf("got %v, want %s", err, c.code)
			}
		})
	}
}

func TestWalkHoldsLimits(t *testing.T) {
	t.Parallel()
	entries := []pack.Entry{file("a", prose(1, 1000)), file("b", prose(2, 3000)), file("c", "")}
	formats(t, func(t *testing.T, format string) {
		b := write(t, entries, pack.Options{Format: format})
		if err := walk(b, format, pack.Limits{Members: 3, Member: 3000, Total: 12_000}, ignore); err != nil {
			t.Errorf("within the limits: %v", err)
		}
		for name, l := range map[string]pack.Limits{"members": {Members: 2}, "member": {Member: 2999}, "total": {Total: 3999}} {
			if err := walk(b, format, l, ignore); gate.Code(err) != pack.CodeTooLarge {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestWalkStopsBombs(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer // many zeros, which is not even a tar archive
	huge := pack.Entry{Name: "zeros", Size: 64 << 20, Open: func() (io.ReadCloser, error) {
		return io.NopCloser(io.LimitReader(zeros{}, 64<<20)), nil
	}}
	if err := pack.Write(context.Background(), &b, []pack.Entry{huge}, pack.Options{Format: pack.TarGz, Time: when}); err != nil {
		t.Fatal(err)
	}
	if err := walk(b.Bytes(), pack.TarGz, pack.Limits{Total: 1 << 20}, ignore); gate.Code(err) != pack.CodeTooLarge {
		t.Errorf("tar.gz: %v", err)
	}
	// A zip whose directory says 10 bytes, and whose stream gives a million.
	z := zipOf(t, zipped{name: "x", content: strings.Repeat("0", 1_000_000)})
	directory := bytes.LastIndex(z, []byte("PK\x01\x02"))
	copy(z[directory+24:], []byte{10, 0, 0, 0})
	if err := walk(z, pack.Zip, pack.Limits{}, ignore); gate.Code(err) != pack.CodeMalformed {
		t.Errorf("zip that lies about its size: %v", err)
	}
}

func TestWalkRefusesOverlappingMembers(t *testing.T) {
	t.Parallel()
	z := zipOf(t, zipped{name: "a", content: prose(1, 5000)}, zipped{name: "b", content: prose(1, 5000)})
	second := bytes.LastIndex(z, []byte("PK\x01\x02"))
	copy(z[second+42:], []byte{0, 0, 0, 0}) // b's header is now a's
	if err := walk(z, pack.Zip, pack.Limits{}, ignore); gate.Code(err) != pack.CodeMalformed {
		t.Error(err)
	}
}

func TestWalkRefusesDamage(t *testing.T) {
	t.Parallel()
	formats(t, func(t *testing.T, format string) {
		good := write(t, []pack.Entry{file("a", prose(1, 20_000)), file("b", "b")}, pack.Options{Format: format})
		for _, cut := range []int{0, 5, len(good) / 2, len(good) - 1} {
			if err := walk(good[:cut], format, pack.Limits{}, ignore); gate.Code(err) != pack.CodeMalformed {
				t.Errorf("cut after %d of %d bytes: %v", cut, len(good), err)
			}
		}
		middle := len(good) / 3
		bad := bytes.Clone(good)
		bad[middle] ^= 1
		if err := walk(bad, format, pack.Limits{}, ignore); gate.Code(err) != pack.CodeMalformed {
			t.Errorf("flipped bit: %v", err)
		}
	})
}

func TestWalkRefusesHiddenBytes(t *testing.T) {
	t.Parallel()
	good := write(t, sample(), pack.Options{Format: pack.TarGz})
	for name, b := range map[string][]byte{
		"behind gzip":   append(bytes.Clone(good), "hidden"...),
		"second member": append(bytes.Clone(good), good...),
		"behind tar":    gzipOf(t, append(untar(t, good), "hidden"...)),
		"checksum":      badChecksum(good),
	} {
		if err := walk(b, pack.TarGz, pack.Limits{}, ignore); gate.Code(err) != pack.CodeMalformed {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func badChecksum(b []byte) []byte {
	b = bytes.Clone(b)
	b[len(b)-5] ^= 1
	return b
}

func untar(t *testing.T, b []byte) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func gzipOf(t *testing.T, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestWalkPassesOverGitsGlobalHeader(t *testing.T) {
	t.Parallel()
	b := tarOf(t, tar.Header{Typeflag: tar.TypeXGlobalHeader, Name: "pax_global_header", PAXRecords: map[string]string{"comment": "5471"}},
		tar.Header{Typeflag: tar.TypeReg, Name: "a"})
	var got []string
	if err := walk(b, pack.TarGz, pack.Limits{}, func(m pack.Member) error { got = append(got, m.Name); return nil }); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a"}, got); diff != "" {
		t.Error(diff)
	}
}

// FuzzWalk holds that no archive panics, unpacks beyond the limits, or yields an unsafe or repeated name.
func FuzzWalk(f *testing.F) {
	for _, format := range []string{pack.TarGz, pack.Zip} {
		f.Add(write(f, sample(), pack.Options{Format: format}), format == pack.Zip)
	}
	f.Add(zipOf(f, zipped{name: "../x"}), true)
	f.Add(tarOf(f, tar.Header{Typeflag: tar.TypeLink, Name: "a", Linkname: "b"}), false)
	f.Fuzz(func(t *testing.T, b []byte, isZip bool) {
		format := pack.TarGz
		if isZip {
			format = pack.Zip
		}
		const limit = 1 << 20
		var total int64
		seen := map[string]bool{}
		err := walk(b, format, pack.Limits{Members: 100, Member: limit, Total: limit}, func(m pack.Member) error {
			if pack.CheckName(m.Name) != nil || seen[m.Name] {
				t.Errorf("got member %q", m.Name)
			}
			seen[m.Name] = true
			if m.Content == nil {
				return nil
			}
			n, err := io.Copy(crc32.NewIEEE(), m.Content)
			if total += n; total > limit {
				t.Errorf("unpacked %d bytes", total)
			}
			return err
		})
		if err != nil && gate.Code(err) == "" {
			t.Errorf("error without a code: %v", err)
		}
	})
}
