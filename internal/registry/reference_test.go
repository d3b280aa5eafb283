package registry_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/registry"
)

func TestReferencesThatAreGood(t *testing.T) {
	t.Parallel()
	d := "@" + fakeDigest
	for s, want := range map[string]registry.Reference{
		"registry.example/tool":                  {Registry: "registry.example", Repository: "tool"},
		"registry.example/team/a/b-c__d.e:v1.0":  {Registry: "registry.example", Repository: "team/a/b-c__d.e", Tag: "v1.0"},
		"registry.example:5000/tool" + d:         {Registry: "registry.example:5000", Repository: "tool", Digest: "sha256:" + "abababababababababababababababababababababababababababababababab"},
		"registry.example/tool:v1" + d:           {Registry: "registry.example", Repository: "tool", Tag: "v1", Digest: "sha256:" + "abababababababababababababababababababababababababababababababab"},
		"localhost/tool:_x":                      {Registry: "localhost", Repository: "tool", Tag: "_x"},
		"127.0.0.1:5000/a/b:latest":              {Registry: "127.0.0.1:5000", Repository: "a/b", Tag: "latest"},
		"[::1]:5000/tool":                        {Registry: "[::1]:5000", Repository: "tool"},
		"registry:5000/tool":                     {Registry: "registry:5000", Repository: "tool"},
		"xn--rgistry-cya.example/tool---x:Ab.-_": {Registry: "xn--rgistry-cya.example", Repository: "tool---x", Tag: "Ab.-_"},
	} {
		got, err := registry.ParseReference(s)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v %s", s, err, diff)
		}
		if got.String() != s {
			t.Errorf("%s is written as %s", s, got)
		}
	}
}

func TestReferencesThatAreRefused(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"", "/", "tool", "tool:v1", "library/tool", "https://registry.example/tool", "user:pw@registry.example/tool",
		"registry.example/", "registry.example//tool", "registry.example/tool/", "registry.example/Tool", "Registry.example/tool",
		"registry.example/../tool", "registry.example/a/../b", "registry.example/a/./b", "registry.example/%2e%2e/x", "registry.example/a b",
		"registry.example/tool:", "registry.example/tool:.v1", "registry.example/tool:v1:v2", "registry.example/tool:v1/x", "registry.example/tool:v+1",
		"registry.example/tool:" + strings.Repeat("a", 129), "registry.example/" + strings.Repeat("a", 256),
		"registry.example/tool@", "registry.example/tool@sha256:abc", "registry.example/tool@md5:d41d8cd98f00b204e9800998ecf8427e",
		"registry.example/tool@" + strings.ToUpper(fakeDigest), "registry.example/tool@" + fakeDigest + "@" + fakeDigest, "registry.example/tool@" + fakeDigest + ":v1",
		"registry.example:0/tool", "registry.example:65536/tool", "registry.example:080/tool", "registry.example:/tool", "registry.example:x/tool",
		"-registry.example/tool", "registry..example/tool", "registry.example./tool", "régistry.example/tool", "registry.example/tööl",
		"[::1/tool", "[::1]x/tool", "[127.0.0.1]/tool", "[fe80::1%25eth0]/tool", "registry.example?x=/tool", "registry.example/tool?x", "registry.example/tool#x",
		"registry.example/tool\n", "registry.example/tool\x00", " registry.example/tool", strings.Repeat("a", 700),
	} {
		got, err := registry.ParseReference(s)
		if gate.Code(err) != "image-reference" {
			t.Errorf("%q: got %+v, %v", s, got, err)
		}
	}
}

func TestARepositoryIsOpenedWithoutTagAndDigest(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"registry.example/tool:v1", "registry.example/tool@" + fakeDigest, "tool"} {
		_, err := registry.Open(s, quick())
		wantCode(t, err, "image-reference")
	}
}

func TestATagForReferrersIsNoTag(t *testing.T) {
	t.Parallel()
	repo := open(t, "registry.example/tool", quick())
	for _, tag := range []string{"sha256-" + fakeDigest[7:], "sha256-" + fakeDigest[7:] + ".sig", "a/b", "", "../x"} {
		if _, err := registry.TagNew(t.Context(), repo, emptyDesc, tag); gate.Code(err) != "image-reference" {
			t.Errorf("%q: %v", tag, err)
		}
	}
}
