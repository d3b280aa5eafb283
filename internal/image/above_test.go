package image_test

import (
	"archive/tar"
	"context"
	"testing"

	"github.com/sello-release/sello/internal/image"
	"github.com/sello-release/sello/internal/pack"
)

func TestLayerThatWouldBreakItsBase(t *testing.T) {
	t.Parallel()
	b, _ := newBlobs(t)
	base := rawImage(t, b, gz(tarWith(t,
		tar.Header{Typeflag: tar.TypeReg, Name: "usr/bin/sh", Mode: 0o755}, tar.Header{Typeflag: tar.TypeSymlink, Name: "bin", Linkname: "usr/bin"},
		tar.Header{Typeflag: tar.TypeDir, Name: "tmp", Mode: 0o1777}, tar.Header{Typeflag: tar.TypeDir, Name: "root", Mode: 0o700})))
	tree, err := image.Scan(context.Background(), b, base, image.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for name, code := range map[string]string{"usr/bin/tool": "", "usr/bin/sh": "", "opt/x/y": "", "bin": "", "bin/tool": image.CodeHidesBase, "tmp/x": image.CodeHidesBase,
		"root/x": image.CodeHidesBase, "usr/bin": image.CodeHidesBase, "usr/bin/sh/x": image.CodeHidesBase, "../x": image.CodeLayerName} {
		err := tree.CheckAbove([]pack.Entry{entry("etc/x", "x"), entry(name, "x")})
		if code == "" && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		wantCode(t, err, code)
	}
}
