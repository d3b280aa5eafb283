package cas_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/material/cas"
)

func newStore(t *testing.T) (*cas.Store, string) {
	t.Helper()
	dir := t.TempDir()
	s, err := cas.New(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s, dir
}

func TestStoreGivesBackWhatItGot(t *testing.T) {
	s, dir := newStore(t)
	sums, err := s.Put(strings.NewReader("hello"), 5)
	if err != nil {
		t.Fatal(err)
	}
	if sums.SHA256 != digest.Bytes([]byte("hello")) || sums.Size != 5 {
		t.Errorf("sums: %+v", sums)
	}
	f, err := s.Open(sums.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got, err := io.ReadAll(f); err != nil || string(got) != "hello" {
		t.Errorf("got %q, %v", got, err)
	}
	path, err := s.Path(sums.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(dir, "sha256", sums.SHA256[:2], sums.SHA256); path != want {
		t.Errorf("path %s, want %s", path, want)
	}
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o444 {
		t.Errorf("stored files are read-only: %v, %v", info.Mode(), err)
	}
	if !s.Has(sums.SHA256) || s.Has(digest.Bytes([]byte("other"))) || s.Verify(sums.SHA256) != nil {
		t.Error("Has or Verify")
	}
	if left, err := os.ReadDir(filepath.Join(dir, "tmp")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestStoreRefuses(t *testing.T) {
	s, dir := newStore(t)
	if _, err := s.Put(strings.NewReader("hello!"), 5); !errors.Is(err, cas.ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
	if _, err := s.Put(io.MultiReader(strings.NewReader("half"), failing{}), 100); err == nil {
		t.Error("a broken stream was stored")
	}
	for _, name := range []string{"", "../../etc/passwd", strings.Repeat("A", 64), strings.Repeat("a", 63)} {
		if _, err := s.Open(name); err == nil {
			t.Errorf("opened %q", name)
		}
	}
	if _, err := s.Open(strings.Repeat("a", 64)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
	if left, err := os.ReadDir(filepath.Join(dir, "tmp")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("broken") }

func TestCorruptFilesAreDropped(t *testing.T) {
	for name, spoil := range map[string]func(path string) error{
		"changed":   func(p string) error { return os.WriteFile(p, []byte("hellO"), 0o644) },
		"truncated": func(p string) error { return os.Truncate(p, 2) },
		"a link": func(p string) error {
			if err := os.WriteFile(p+".x", []byte("hello"), 0o644); err != nil {
				return err
			}
			return errors.Join(os.Remove(p), os.Symlink(p+".x", p))
		},
		"a folder": func(p string) error { return errors.Join(os.Remove(p), os.Mkdir(p, 0o755)) },
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := newStore(t)
			sums, err := s.Put(strings.NewReader("hello"), 5)
			if err != nil {
				t.Fatal(err)
			}
			path, err := s.Path(sums.SHA256)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, 0o644); err != nil {
				t.Fatal(err)
			}
			if err := spoil(path); err != nil {
				t.Skip(err)
			}
			if err := s.Verify(sums.SHA256); !errors.Is(err, cas.ErrCorrupt) {
				t.Errorf("got %v", err)
			}
			if s.Has(sums.SHA256) {
				t.Error("the corrupt file is still there")
			}
			if _, err := s.Put(strings.NewReader("hello"), 5); err != nil {
				t.Errorf("store again: %v", err)
			}
			if err := s.Verify(sums.SHA256); err != nil {
				t.Errorf("stored again: %v", err)
			}
		})
	}
}

func TestManyWritersOfOneFile(t *testing.T) {
	s, dir := newStore(t)
	data := bytes.Repeat([]byte("0123456789"), 100_000)
	var wg sync.WaitGroup
	for range 8 {
		other, err := cas.New(dir)
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			sums, err := other.Put(bytes.NewReader(data), 1<<20)
			if err == nil {
				err = other.Verify(sums.SHA256)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if err := s.Verify(digest.Bytes(data)); err != nil {
		t.Error(err)
	}
}

func TestIndex(t *testing.T) {
	dir := t.TempDir()
	x, err := cas.NewIndex(dir)
	if err != nil {
		t.Fatal(err)
	}
	k := cas.Key{Module: "example.test/Upper/m", Version: "v1.0.0-RC.1", Kind: cas.Zip}
	if _, ok := x.Get(k); ok {
		t.Error("an empty index has an entry")
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	want := cas.Entry{SHA256: digest.Bytes(nil), Size: 7, H1: "h1:abc", Location: "https://proxy.test/x", Time: at, VerifiedBy: "sums.test", VerifiedAt: &at}
	if err := x.Put(k, want); err != nil {
		t.Fatal(err)
	}
	got, ok := x.Get(k)
	if diff := cmp.Diff(want, got); !ok || diff != "" {
		t.Errorf("got:\n%s", diff)
	}
	if _, err := os.Stat(filepath.Join(dir, "example.test", "!upper", "m", "@v", "v1.0.0-!r!c.1.zip.json")); err != nil {
		t.Errorf("names are escaped for file systems without case: %v", err)
	}
	if err := errors.Join(x.Drop(k), x.Drop(k)); err != nil {
		t.Errorf("drop twice: %v", err)
	}
	if _, ok := x.Get(k); ok {
		t.Error("a dropped entry is there")
	}
	for _, bad := range []cas.Key{
		{Module: "../x", Version: "v1.0.0", Kind: cas.Zip}, {Module: "example.test/m", Version: "v1", Kind: cas.Zip},
		{Module: "example.test/m", Version: "v1.0.0", Kind: "../x"}, {Module: "example.test/m", Version: "v1.0.0/../../x", Kind: cas.Mod},
	} {
		if err := x.Put(bad, want); err == nil {
			t.Errorf("put %v", bad)
		}
	}
}

func TestSpoiledEntriesAreNoEntries(t *testing.T) {
	sha := digest.Bytes(nil)
	for name, text := range map[string]string{
		"empty": "", "not JSON": "{", "no digest": `{"size":1}`, "digest with a path": `{"sha256":"../../../../etc/passwd"}`, "negative": `{"sha256":"` + sha + `","size":-1}`,
		"odd hash": `{"sha256":"` + sha + `","h1":"h2:x"}`, "verified nothing": `{"sha256":"` + sha + `","verifiedBy":"x"}`,
	} {
		if e, err := cas.ParseEntry([]byte(text)); err == nil {
			t.Errorf("%s: %+v", name, e)
		}
	}
}

func FuzzParseEntry(f *testing.F) {
	f.Add([]byte(`{"sha256":"` + digest.Bytes(nil) + `","size":1,"h1":"h1:x","location":"x","time":"2026-01-02T03:04:05Z","verifiedBy":"db","verifiedAt":"2026-01-02T03:04:05Z"}`))
	f.Add([]byte(`{"sha256":"x"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := cas.ParseEntry(data)
		if err != nil {
			return
		}
		if !digest.IsSHA256(e.SHA256) || e.Size < 0 || e.VerifiedBy != "" && e.H1 == "" {
			t.Errorf("accepted %+v", e)
		}
	})
}
