package release

import (
	"bytes"
	"context"
	"runtime"
	"testing"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/store"
)

// TestStatementConflict puts a release statement into production before Release makes its own: one that
// verifies, and is not the one that this release has.
func TestStatementConflict(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the test's repository is made with a Unix shell")
	}
	if testing.Short() {
		t.Skip("compiles")
	}
	ctx := context.Background()
	p := project(t)
	for _, step := range []func() error{
		func() error { _, err := p.Stage(ctx, "v1.0.0"); return err },
		func() error { _, err := p.SignOff(ctx, "v1.0.0", SignOffOptions{}); return err },
		func() error { _, err := p.Promote(ctx, "v1.0.0"); return err },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	c, s, _, to, err := p.signedOff(ctx, "v1.0.0", false)
	if err != nil {
		t.Fatal(err)
	}
	_, builder, err := p.Keys("hello").Signer(ctx, c.Trust, "builder", "")
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := sign.Generate()
	if err != nil {
		t.Fatal(err)
	}
	files, err := publishedFiles(ctx, s, to, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, code string
		content    []byte
	}{
		{"of another package", "release-statement-conflict", signed(t, builder, files, "pkg:generic/other@v1.0.0")},
		{"with a file less", "release-file-extra", signed(t, builder, files[1:], purl(c))},
		{"of another version", "release-version-mismatch", signed(t, builder, files, "pkg:generic/hello@v1.0.1")},
		{"of a stranger", "no-trusted-signer", signed(t, stranger, files, purl(c))},
		{"no bundle", "bad-json", []byte("{")},
		{"the one", "", signed(t, builder, files, purl(c))},
	} {
		put := bytes.NewReader(tc.content)
		if err := to.Bucket.Put(ctx, to.Statement(), put, store.PutOptions{}); err != nil {
			t.Fatal(err)
		}
		_, err := p.Release(ctx, "v1.0.0")
		if gate.Code(err) != tc.code || tc.code == "" && err != nil {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.code)
		}
		marker, markerErr := store.ReadMarker(ctx, to.Bucket, "hello", "stable.txt")
		if released := marker != ""; markerErr != nil || released != (tc.code == "") {
			t.Errorf("%s: the marker holds %q (%v)", tc.name, marker, markerErr)
		}
		if after, err := readObject(ctx, to.Bucket, to.Statement(), sign.MaxBundle); err != nil || !bytes.Equal(after, tc.content) {
			t.Errorf("%s: the statement was replaced (%v)", tc.name, err)
		}
	}
}

// signed makes a release statement.
func signed(t *testing.T, by sign.Signer, files []attest.Subject, purl string) []byte {
	t.Helper()
	statement, err := attest.NewRelease(files, purl)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := statement.Encode()
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := sign.SignStatement(context.Background(), by, attest.PayloadType, payload)
	if err != nil {
		t.Fatal(err)
	}
	return bundle
}
