package store_test

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/store"
	"github.com/sello-release/sello/internal/store/storetest"
)

func open(t *testing.T, rawURL, base string) store.Bucket {
	t.Helper()
	b, err := store.Open(rawURL, base)
	if err != nil {
		t.Fatal(err)
	}
	if c, ok := b.(interface{ Close() error }); ok {
		t.Cleanup(func() { _ = c.Close() })
	}
	return b
}

func fileURL(path string) string {
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	return (&url.URL{Scheme: "file", Path: path}).String()
}

func TestOpenRefusals(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ url, code string }{
		{"https://user:secret@host.example/x", "bucket-scheme"},
		{"mem://", "bucket-scheme"},
		{"s3://user:secret@bucket", "bucket-url"},
		{"s3://bucket?session_token=hidden-secret", "bucket-url"},
		{"s3://bucket?unknown=hidden-secret", "bucket-url"},
		{"s3://bucket?endpoint=http://user:secret@host.example", "bucket-url"},
		{"s3://bucket?endpoint=http://host.example/?sig=secret", "bucket-url"},
		{"s3://bucket?endpoint=ftp://host.example", "bucket-url"},
		{"s3://bucket?region=a&region=b", "bucket-url"},
		{"s3://bucket/folder", "bucket-url"},
		{"s3://bucket?prefix=../x", "store-name"},
		{"s3://bucket?a;b", "bucket-url"},
		{"s3://", "bucket-url"},
		{"s3:bucket", "bucket-url"},
		{"gs://bucket?private_key_path=/secret", "bucket-url"},
		{"gs://bucket?universe_domain=evil.example", "bucket-url"},
		{"azblob://container?sig=secret", "bucket-url"},
		{"azblob://container?domain=evil.example", "bucket-url"},
		{"staging", "bucket-url"},
		{"/abs/path", "bucket-url"},
		{"", "bucket-url"},
		{"file://host.example/x", "bucket-url"},
		{"file:///x?y=z", "bucket-url"},
		{"file:relative", "bucket-url"},
		{"file://", "bucket-url"},
		{"file:///a%00b", "bucket-url"},
		{"../outside", "bucket-url"},
		{"./../outside", "bucket-url"},
		{"./a/../../outside", "bucket-url"},
		{"./a\x00b", "bucket-url"},
		{"fi\nle:///x", "bucket-url"},
	} {
		_, err := store.Open(test.url, t.TempDir())
		if gate.Code(err) != test.code {
			t.Errorf("Open(%q): %v; want code %s", test.url, err, test.code)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("Open(%q) shows the password: %v", test.url, err)
		}
	}
}

func TestOpenCreatesNothing(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	b := open(t, "./staging", base)
	if names := storetest.Names(t, b, "p/"); len(names) != 0 {
		t.Errorf("lists %q", names)
	}
	if _, err := os.Stat(filepath.Join(base, "staging")); !os.IsNotExist(err) {
		t.Errorf("reading made the folder: %v", err)
	}
	storetest.Put(t, b, "p/x", "y")
	data, err := os.ReadFile(filepath.Join(base, "staging", "p", "x"))
	if err != nil || string(data) != "y" {
		t.Errorf("read %q, %v", data, err)
	}
}

func TestOpenDotIsTheBase(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	storetest.Put(t, open(t, ".", base), "x", "y")
	if _, err := os.Stat(filepath.Join(base, "x")); err != nil {
		t.Error(err)
	}
}

func TestOpenObjectStores(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ url, shown, address string }{
		{"s3://bucket?region=eu-west-1", "s3://bucket", "s3://bucket/p/v1.0.0/?region=eu-west-1"},
		{"s3://bucket?prefix=a/b/&use_path_style=true", "s3://bucket/a/b", "s3://bucket/p/v1.0.0/?prefix=a%2Fb%2F&use_path_style=true"},
		{"gs://bucket", "gs://bucket", "gs://bucket/p/v1.0.0/"},
		{"azblob://container?storage_account=x", "azblob://container", "azblob://container/p/v1.0.0/?storage_account=x"},
	} {
		b := open(t, test.url, t.TempDir())
		if got := b.(interface{ String() string }).String(); got != test.shown {
			t.Errorf("%s is shown as %s", test.url, got)
		}
		if got := store.Place(b, "p/v1.0.0/"); got != test.address {
			t.Errorf("%s has the address %s", test.url, got)
		}
	}
}
