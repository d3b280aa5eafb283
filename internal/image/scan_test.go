package image_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/image"
)

// tarOf makes a tar of short descriptions: "name=content", "name/" a folder, "name->target" a symlink, "name=>target" a
// hard link, "name!t" an entry of type t.
func tarOf(t testing.TB, entries ...string) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, e := range entries {
		h := &tar.Header{Mode: 0o644, ModTime: when}
		content := ""
		switch {
		case strings.Contains(e, "->"):
			h.Typeflag = tar.TypeSymlink
			h.Name, h.Linkname, _ = strings.Cut(e, "->")
		case strings.Contains(e, "=>"):
			h.Typeflag = tar.TypeLink
			h.Name, h.Linkname, _ = strings.Cut(e, "=>")
		case strings.Contains(e, "="):
			h.Typeflag = tar.TypeReg
			h.Name, content, _ = strings.Cut(e, "=")
			h.Size = int64(len(content))
		case strings.Contains(e, "!"):
			name, kind, _ := strings.Cut(e, "!")
			h.Name, h.Typeflag = name, kind[0]
		default:
			h.Typeflag, h.Name, h.Mode = tar.TypeDir, e, 0o755
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(e, err)
		}
		if _, err := io.WriteString(w, content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func gzipped(data []byte) []byte {
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	_, _ = w.Write(data)
	_ = w.Close()
	return buf.Bytes()
}

// rawLayer is a layer out of bytes that may be anything.
type rawLayer struct {
	mediaType string
	blob      []byte
	diffID    digest.Digest
}

func gz(tar []byte) rawLayer {
	return rawLayer{ocispec.MediaTypeImageLayerGzip, gzipped(tar), digest.FromBytes(tar)}
}

func plain(tar []byte) rawLayer {
	return rawLayer{ocispec.MediaTypeImageLayer, tar, digest.FromBytes(tar)}
}

func rawImage(t testing.TB, b *image.Blobs, layers ...rawLayer) ocispec.Descriptor {
	t.Helper()
	m := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, Layers: []ocispec.Descriptor{}}
	c := ocispec.Image{Platform: ocispec.Platform{OS: "linux", Architecture: "amd64"}, RootFS: ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{}}}
	for _, l := range layers {
		m.Layers = append(m.Layers, put(t, b, l.mediaType, l.blob))
		c.RootFS.DiffIDs = append(c.RootFS.DiffIDs, l.diffID)
	}
	m.Config = put(t, b, ocispec.MediaTypeImageConfig, c)
	return put(t, b, m.MediaType, m)
}

// list gives what Files shows, in the notation of tarOf.
func list(t testing.TB, b image.Fetcher, m ocispec.Descriptor, l image.Limits) (map[string]string, error) {
	t.Helper()
	got := map[string]string{}
	err := image.Files(context.Background(), b, m, l, func(f image.File) error {
		v := "->" + f.Link
		if f.Mode.IsRegular() {
			data, err := io.ReadAll(f.Content)
			if err != nil {
				return err
			}
			if int64(len(data)) != f.Size {
				t.Errorf("%s has %d bytes, not %d", f.Path, len(data), f.Size)
			}
			v = string(data)
		}
		for _, name := range append(f.Links, f.Path) {
			if _, ok := got[name]; ok {
				t.Errorf("%s twice", name)
			}
			got[name] = v
		}
		return nil
	})
	return got, err
}

func TestLayersAreMerged(t *testing.T) {
	t.Parallel()
	type files = map[string]string
	for name, try := range map[string]struct {
		layers [][]string
		want   files
	}{
		"one":                             {[][]string{{"a/", "a/b=1", "c->a/b"}}, files{"a/b": "1", "c": "->a/b"}},
		"dots in names":                   {[][]string{{"./", "./a/", "./a//b=1"}}, files{"a/b": "1"}},
		"later wins":                      {[][]string{{"a=1", "b=1"}, {"a=2"}}, files{"a": "2", "b": "1"}},
		"later in one layer wins":         {[][]string{{"a=1", "a=2"}}, files{"a": "2"}},
		"whiteout":                        {[][]string{{"d/a=1", "d/b=1"}, {"d/.wh.a="}}, files{"d/b": "1"}},
		"whiteout of a folder":            {[][]string{{"d/a=1", "d/e/b=1", "x=1"}, {".wh.d="}}, files{"x": "1"}},
		"whiteout of nothing":             {[][]string{{"a=1"}, {".wh.b=", "no/.wh.c="}}, files{"a": "1"}},
		"whiteout spares its own layer":   {[][]string{{"a=1"}, {"a=2", ".wh.a="}}, files{"a": "2"}},
		"whiteout before its own layer":   {[][]string{{"a=1", "d/x=1"}, {".wh.d=", "d/y=2"}}, files{"a": "1", "d/y": "2"}},
		"whiteout behind its own layer":   {[][]string{{"a=1", "d/x=1"}, {"d/y=2", ".wh.d="}}, files{"a": "1", "d/y": "2"}},
		"whiteout, and again":             {[][]string{{"a=1"}, {".wh.a="}, {"a=3"}}, files{"a": "3"}},
		"opaque":                          {[][]string{{"d/a=1", "d/e/b=1", "x=1"}, {"d/", "d/.wh..wh..opq=", "d/c=2"}}, files{"d/c": "2", "x": "1"}},
		"opaque at the end":               {[][]string{{"d/a=1", "d/e/b=1"}, {"d/e/c=2", "d/.wh..wh..opq="}}, files{"d/e/c": "2"}},
		"opaque root":                     {[][]string{{"d/a=1", "b=1"}, {".wh..wh..opq=", "c=2"}}, files{"c": "2"}},
		"left by AUFS":                    {[][]string{{"a=1"}, {".wh..wh.plnk=", ".wh..wh.aufs="}}, files{"a": "1"}},
		"file over folder":                {[][]string{{"d/a=1"}, {"d=2"}}, files{"d": "2"}},
		"folder over file":                {[][]string{{"d=1"}, {"d/a=2"}}, files{"d/a": "2"}},
		"through a symlink":               {[][]string{{"usr/lib/a=1", "lib->usr/lib"}, {"lib/b=2"}}, files{"usr/lib/a": "1", "usr/lib/b": "2", "lib": "->usr/lib"}},
		"absolute, as some tools write":   {[][]string{{"/etc/b=2"}, {"etc/c=3"}}, files{"etc/b": "2", "etc/c": "3"}},
		"through an absolute one":         {[][]string{{"x/lib->/usr/lib"}, {"x/lib/b=2"}}, files{"usr/lib/b": "2", "x/lib": "->/usr/lib"}},
		"never above the root":            {[][]string{{"out->../../../etc"}, {"out/passwd=2"}}, files{"etc/passwd": "2", "out": "->../../../etc"}},
		"whiteout through a symlink":      {[][]string{{"usr/lib/a=1", "lib->usr/lib"}, {"lib/.wh.a="}}, files{"lib": "->usr/lib"}},
		"folder over a symlink":           {[][]string{{"usr/lib/a=1", "lib->usr/lib"}, {"lib/", "lib/b=2"}}, files{"usr/lib/a": "1", "lib/b": "2"}},
		"hard link":                       {[][]string{{"a=1", "b=>a", "c=>b"}}, files{"a": "1", "b": "1", "c": "1"}},
		"hard link to a lower layer":      {[][]string{{"a=1"}, {"b=>a"}}, files{"a": "1", "b": "1"}},
		"hard link whose first name goes": {[][]string{{"a=1", "b=>a"}, {".wh.a="}}, files{"b": "1"}},
		"hard link to itself":             {[][]string{{"a=1", "a=>a"}}, files{"a": "1"}},
		"replaced under one name":         {[][]string{{"a=1", "b=>a"}, {"a=2"}}, files{"a": "2", "b": "1"}},
		"devices below dev":               {[][]string{{"dev/", "dev/null!3", "a=1"}}, files{"a": "1"}},
		"backslash":                       {[][]string{{`a\x2d=1`}}, files{`a\x2d`: "1"}},
		"all gone":                        {[][]string{{"a=1"}, {".wh.a="}}, files{}},
		"empty":                           {[][]string{{}}, files{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, _ := newBlobs(t)
			var layers, plains []rawLayer
			for _, l := range try.layers {
				layers, plains = append(layers, gz(tarOf(t, l...))), append(plains, plain(tarOf(t, l...)))
			}
			for _, m := range []ocispec.Descriptor{rawImage(t, b, layers...), rawImage(t, b, plains...)} {
				got, err := list(t, b, m, image.Limits{})
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(try.want, got); diff != "" {
					t.Error(diff)
				}
				root := openRoot(t, t.TempDir())
				if _, err := image.Unpack(context.Background(), b, m, root, image.Limits{}); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(try.want, onDisk(t, root.FS())); diff != "" {
					t.Error("unpacked", diff)
				}
			}
		})
	}
}

func onDisk(t testing.TB, fsys fs.FS) map[string]string {
	t.Helper()
	got := map[string]string{}
	err := fs.WalkDir(fsys, ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || d.IsDir():
			return err
		case d.Type()&fs.ModeSymlink != 0:
			s, err := fs.ReadLink(fsys, p)
			got[p] = "->" + s
			return err
		}
		data, err := fs.ReadFile(fsys, p)
		got[p] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestZstdLayers(t *testing.T) {
	t.Parallel()
	b, _ := newBlobs(t)
	raw := tarOf(t, "a="+strings.Repeat("content", 10000))
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	m := rawImage(t, b, rawLayer{ocispec.MediaTypeImageLayerZstd, z.EncodeAll(raw, nil), digest.FromBytes(raw)})
	got, err := list(t, b, m, image.Limits{})
	if err != nil || len(got["a"]) != 70000 {
		t.Errorf("%d bytes, %v", len(got["a"]), err)
	}
}

func TestLayersAreRefused(t *testing.T) {
	t.Parallel()
	good := tarOf(t, "a=1")
	many := make([]string, 5001)
	for i := range many {
		many[i] = fmt.Sprintf("f%d=", i)
	}
	loop := []string{"l->m", "m->l", "l/x=1"}
	deep := strings.Repeat("d/", 2040) + "x"
	zeros, ones := make([]byte, 3<<20), bytes.Repeat([]byte{1}, 1024)
	bomb := gz(tarOf(t, "zeros="+string(zeros)))
	badGzip := gz(good)
	badGzip.blob = append([]byte{}, badGzip.blob...)
	badGzip.blob[len(badGzip.blob)-6] ^= 1 // its checksum
	behind := gz(good)
	behind.blob = append(gzipped(good), "garbage that is no gzip member"...)
	small := image.Limits{Entries: 5000, File: 1 << 20, Total: 2 << 20}
	for name, try := range map[string]struct {
		layers []rawLayer
		code   string
	}{
		"dots":                          {[]rawLayer{gz(tarOf(t, "a/../../b=1"))}, image.CodeLayerName},
		"dots inside":                   {[]rawLayer{gz(tarOf(t, "a/../b=1"))}, image.CodeLayerName},
		"NUL":                           {[]rawLayer{gz(nulName(t))}, image.CodeLayerMalformed}, // the tar reader is first
		"newline":                       {[]rawLayer{gz(tarOf(t, "a\nb=1"))}, image.CodeLayerName},
		"not UTF-8":                     {[]rawLayer{gz(tarOf(t, "a\xff=1"))}, image.CodeLayerName},
		"long":                          {[]rawLayer{gz(tarOf(t, strings.Repeat("a/", 2100)+"b=1"))}, image.CodeLayerName},
		"long part":                     {[]rawLayer{gz(tarOf(t, strings.Repeat("a", 300)+"=1"))}, image.CodeLayerName},
		"long through links":            {[]rawLayer{gz(tarOf(t, deep+"->"+strings.TrimSuffix(deep, "x"), "s->"+deep, "s/"+strings.Repeat("y/", 900)+"z=1"))}, image.CodeLayerName},
		"file as root":                  {[]rawLayer{gz(tarOf(t, ".=1"))}, image.CodeLayerName},
		"whiteout of dots":              {[]rawLayer{gz(tarOf(t, ".wh...="))}, image.CodeLayerName},
		"whiteout of no name":           {[]rawLayer{gz(tarOf(t, "a/.wh.="))}, image.CodeLayerName},
		"below a whiteout":              {[]rawLayer{gz(tarOf(t, ".wh.a/b=1"))}, image.CodeLayerName},
		"hard link out":                 {[]rawLayer{gz(tarOf(t, "a=>../etc/passwd"))}, image.CodeLayerName},
		"hard link to an absolute":      {[]rawLayer{gz(tarOf(t, "a=>/etc/passwd"))}, image.CodeLayerLink},
		"hard link to nothing":          {[]rawLayer{gz(tarOf(t, "a=>b"))}, image.CodeLayerLink},
		"hard link to a folder":         {[]rawLayer{gz(tarOf(t, "d/", "a=>d"))}, image.CodeLayerLink},
		"symlinks that go round":        {[]rawLayer{gz(tarOf(t, loop...))}, image.CodeLayerLink},
		"symlink to nothing":            {[]rawLayer{gz(tarOf(t, "a->"))}, image.CodeLayerLink},
		"character device":              {[]rawLayer{gz(tarOf(t, "etc/null!3"))}, image.CodeLayerDevice},
		"device that is dev":            {[]rawLayer{gz(tarOf(t, "dev!3"))}, image.CodeLayerDevice},
		"block device":                  {[]rawLayer{gz(tarOf(t, "dev/sda!4"))}, image.CodeLayerDevice},
		"FIFO":                          {[]rawLayer{gz(tarOf(t, "run/fifo!6"))}, image.CodeLayerDevice},
		"unknown type":                  {[]rawLayer{gz(tarOf(t, "x!Z"))}, image.CodeLayerDevice},
		"other diffID":                  {[]rawLayer{{ocispec.MediaTypeImageLayerGzip, gzipped(good), digest.FromString("x")}}, image.CodeDiffID},
		"no gzip":                       {[]rawLayer{{ocispec.MediaTypeImageLayerGzip, good, digest.FromBytes(good)}}, image.CodeLayerMalformed},
		"no zstd":                       {[]rawLayer{{ocispec.MediaTypeImageLayerZstd, good, digest.FromBytes(good)}}, image.CodeLayerMalformed},
		"no tar":                        {[]rawLayer{plain(bytes.Repeat([]byte("x"), 2000))}, image.CodeLayerMalformed},
		"cut tar":                       {[]rawLayer{plain(tarOf(t, "a="+strings.Repeat("1", 2000))[:700])}, image.CodeLayerMalformed},
		"checksum":                      {[]rawLayer{badGzip}, image.CodeLayerMalformed},
		"bytes behind the gzip":         {[]rawLayer{behind}, image.CodeLayerMalformed},
		"bytes behind the tar":          {[]rawLayer{gz(append(append([]byte{}, good...), ones...))}, image.CodeLayerMalformed},
		"many entries":                  {[]rawLayer{gz(tarOf(t, many...))}, image.CodeLayerTooLarge},
		"many implied folders":          {[]rawLayer{gz(tarOf(t, strings.Repeat("d/", 2000)+"f=", strings.Repeat("e/", 2000)+"f=", strings.Repeat("f/", 2000)+"f="))}, image.CodeLayerTooLarge},
		"large file":                    {[]rawLayer{gz(tarOf(t, "a="+string(zeros[:2<<20])))}, image.CodeLayerTooLarge},
		"bomb":                          {[]rawLayer{bomb}, image.CodeLayerTooLarge},
		"large together":                {[]rawLayer{gz(tarOf(t, "a="+string(zeros[:1<<20]))), gz(tarOf(t, "b="+string(zeros[:1<<20])))}, image.CodeLayerTooLarge},
		"bomb behind the tar":           {[]rawLayer{gz(append(append([]byte{}, good...), zeros...))}, image.CodeLayerTooLarge},
		"bad one above a good one":      {[]rawLayer{gz(good), gz(tarOf(t, "../x=1"))}, image.CodeLayerName},
		"hidden one is refused as well": {[]rawLayer{gz(tarOf(t, "etc/null!3")), gz(tarOf(t, "etc/.wh.null="))}, image.CodeLayerDevice},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, _ := newBlobs(t)
			m := rawImage(t, b, try.layers...)
			_, err := list(t, b, m, small)
			if err == nil {
				t.Fatal("listed")
			}
			wantCode(t, err, try.code)
			root := openRoot(t, t.TempDir())
			if _, err := image.Unpack(context.Background(), b, m, root, small); gate.Code(err) != try.code {
				t.Errorf("unpacked: %v", err)
			}
			if left := onDisk(t, root.FS()); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// nulName makes a tar with a PAX record for a name with a NUL.
func nulName(t testing.TB) []byte {
	t.Helper()
	record := "12 path=a\x00b\n"
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "pax", Size: int64(len(record))}); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(w, record)
	_ = w.Flush()
	data := buf.Bytes()
	data[156] = 'x'
	sum := 0
	copy(data[148:156], "        ")
	for _, b := range data[:512] {
		sum += int(b)
	}
	copy(data[148:156], fmt.Sprintf("%06o\x00 ", sum))
	return append(data, tarOf(t, "x=1")...)
}

func TestFilesOfAnotherImageAreRefused(t *testing.T) {
	t.Parallel()
	b, _ := newBlobs(t)
	big := tarOf(t, "a="+strings.Repeat("0123456789", 30000))
	m := rawImage(t, b, gz(tarOf(t, "x=1")), plain(big))
	other := bytes.Replace(big, []byte("0123456789"), []byte("9876543210"), 1)
	for name, lie := range map[string]string{"changed": string(other), "cut": string(big[:len(big)/2]), "more": string(big) + "x", "no tar": strings.Repeat("x", len(big)), "empty": ""} {
		calls := 0
		liar := &counted{Fetcher: b, lie: func(d ocispec.Descriptor, r io.ReadCloser) io.ReadCloser {
			if d.Size == int64(len(big)) {
				if calls++; calls == 2 {
					return io.NopCloser(strings.NewReader(lie))
				}
			}
			return r
		}}
		_, err := list(t, liar, m, image.Limits{}) // the second time it is another
		wantCode(t, err, image.CodeDigestMismatch)
		calls = 1
		_, err = list(t, liar, m, image.Limits{})
		wantCode(t, err, image.CodeDigestMismatch)
		if calls != 2 {
			t.Errorf("%s: %d calls", name, calls)
		}
	}
	broken := errors.New("connection reset")
	_, err := list(t, &counted{Fetcher: b, lie: func(d ocispec.Descriptor, r io.ReadCloser) io.ReadCloser {
		if d.Size == int64(len(big)) {
			return io.NopCloser(io.MultiReader(io.LimitReader(r, 5000), failing{broken}))
		}
		return r
	}}, m, image.Limits{})
	if !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestFilesStopAtAnErrorOfVisit(t *testing.T) {
	t.Parallel()
	b, _ := newBlobs(t)
	m := rawImage(t, b, gz(tarOf(t, "a=1", "b->a", "c=2")))
	boom := errors.New("boom")
	for _, at := range []string{"a", "b", "c"} {
		err := image.Files(context.Background(), b, m, image.Limits{}, func(f image.File) error {
			if f.Path == at {
				return boom
			}
			return nil
		})
		if !errors.Is(err, boom) {
			t.Errorf("%s: %v", at, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := image.Files(ctx, b, m, image.Limits{}, func(image.File) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestLookup(t *testing.T) {
	t.Parallel()
	b, _ := newBlobs(t)
	tree, err := image.Scan(context.Background(), b, rawImage(t, b, gz(tarOf(t, "usr/bin/sh=x", "bin->usr/bin"))), image.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]fs.FileMode{"bin": fs.ModeSymlink | 0o777, "/bin/sh": 0o644, "usr": fs.ModeDir | 0o755, "": fs.ModeDir | 0o755} {
		if mode, _, err := tree.Lookup(name); err != nil || mode != want {
			t.Errorf("%s: %v %v", name, mode, err)
		}
	}
	if _, _, err := tree.Lookup("bin/no/such"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	_, _, err = tree.Lookup("../x")
	wantCode(t, err, image.CodeLayerName)
}
