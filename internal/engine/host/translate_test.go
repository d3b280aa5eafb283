package host

import (
	"strings"
	"testing"

	"github.com/sello-release/sello/internal/engine"
)

var mounts = []engine.Mount{{Target: "/out", Host: "/home/u/out"}, {Target: "/out-two", Host: "/two"}, {Target: "/mod", Host: "/cache/mod"}}

func TestTranslate(t *testing.T) {
	pairs := translation(mounts, "/scratch")
	for in, want := range map[string]string{
		"":                       "",
		"/out":                   "/home/u/out",
		"/out/":                  "/home/u/out/",
		"/out/bin":               "/home/u/out/bin",
		"-o=/out/bin":            "-o=/home/u/out/bin",
		"/mod/bin:/out:/usr/bin": "/cache/mod/bin:/home/u/out:/usr/bin",
		"file:///mod/x":          "file:///cache/mod/x",
		"/out-two/x":             "/two/x",
		"/tmp":                   "/scratch",
		"HOME=/tmp/x":            "HOME=/scratch/x",
		"'/out' \"/mod\"":        "'/home/u/out' \"/cache/mod\"",
		"-X main.a=/out,/mod":    "-X main.a=/home/u/out,/cache/mod",
		// not paths of their own
		"/outside":    "/outside",
		"x/out":       "x/out",
		"-I/out":      "-I/out",
		"./out/x":     "./out/x",
		"//out":       "//out",
		"/out.txt":    "/out.txt",
		"/outé":       "/outé",
		"https://out": "https://out",
	} {
		if got := translate(in, pairs); got != want {
			t.Errorf("translate(%q) = %q, want %q", in, got, want)
		}
	}
}

// FuzzTranslate holds that text without a target stays as it is, and that nothing but targets changes.
func FuzzTranslate(f *testing.F) {
	for _, s := range []string{"/out", "a=/out/b:/mod", "//out", "file:///mod", "/", "é/out"} {
		f.Add(s)
	}
	pairs := translation([]engine.Mount{{Target: "/out", Host: "/\x01"}}, "/\x02")
	f.Fuzz(func(t *testing.T, s string) {
		if strings.ContainsAny(s, "\x01\x02") {
			t.Skip("the text holds what the folders are called here")
		}
		back := strings.NewReplacer("/\x01", "/out", "/\x02", "/tmp").Replace(translate(s, pairs))
		if back != s {
			t.Errorf("translate(%q) changed more than targets: %q", s, back)
		}
	})
}
