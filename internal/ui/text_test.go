package ui

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/sello-release/sello/internal/gate"
)

func TestEscape(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain é 日本": "plain é 日本", "a\tb": "a    b", "a\nb\r": `a\u000ab\u000d`, "\x1b[31m": `\u001b[31m`, "\x9b31m": `\x9b31m`, "\u009b": `\u009b`,
		"\u202egpj": `\u202egpj`, "\u200b": `\u200b`, "\xff": `\xff`, "\U000e0001": `\U000e0001`, "\ufffd": "\ufffd",
	} {
		if got := Escape(in); got != want {
			t.Errorf("Escape(%q) = %q, want %q", in, got, want)
		}
	}
	if got := EscapeLines("a\nb\r"); got != "a\nb"+`\u000d` {
		t.Errorf("EscapeLines gives %q", got)
	}
}

func FuzzEscape(f *testing.F) {
	f.Add("a\x1b[2J\xff\u202e", 10)
	f.Add("word word word", 5)
	f.Fuzz(func(t *testing.T, s string, width int) {
		got := Escape(s)
		for _, r := range got {
			if !unicode.IsPrint(r) {
				t.Errorf("Escape(%q) lets %U through", s, r)
			}
		}
		if !utf8.ValidString(got) {
			t.Errorf("Escape(%q) is not UTF-8", s)
		}
		width = 2 + max(width, 0)%200
		for _, line := range wrap(got, width) {
			if cells(line) > width {
				t.Errorf("wrap at %d gives %q", width, line)
			}
		}
		if strings.ReplaceAll(strings.Join(wrap(got, width), ""), " ", "") != strings.ReplaceAll(got, " ", "") {
			t.Errorf("wrap loses text of %q", got)
		}
		if c := cut(got, width, "…"); cells(c) > width {
			t.Errorf("cut at %d gives %q", width, c)
		}
	})
}

func TestDurationsAndAmounts(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		99 * time.Millisecond: "", 100 * time.Millisecond: "0.1s", 59990 * time.Millisecond: "59.9s", time.Minute: "1m00s", 3599 * time.Second: "59m59s", 90 * time.Minute: "1h30m",
	} {
		if got := elapsed(d); got != want {
			t.Errorf("elapsed(%v) = %q, want %q", d, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 999_999: "1.0 MB", 12_345_678: "12.3 MB", 5e12: "5.0 TB"} {
		if got := bytesText(n); got != want {
			t.Errorf("bytesText(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestLocale(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		env  map[string]string
		goos string
		want bool
	}{
		{map[string]string{"LANG": "C.UTF-8"}, "linux", true}, {map[string]string{"LANG": "de_DE.utf8"}, "linux", true},
		{map[string]string{"LANG": "C.UTF-8", "LC_ALL": "C"}, "linux", false}, {map[string]string{"LC_CTYPE": "POSIX"}, "darwin", false},
		{nil, "linux", false}, {nil, "darwin", true}, {nil, "windows", true},
	} {
		if got := utf8Locale(func(name string) string { return test.env[name] }, test.goos); got != test.want {
			t.Errorf("%v on %s: %v", test.env, test.goos, got)
		}
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	for mode, want := range map[string]string{"auto": "*ui.plain", "plain": "*ui.plain", "tty": "*ui.live", "json": "*ui.jsonLines"} {
		r, err := New(mode, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if got := typeName(r); got != want {
			t.Errorf("New(%s) gives %s", mode, got)
		}
	}
	if _, err := New("html", io.Discard); gate.Code(err) != "progress-mode" {
		t.Errorf("New(html): %v", err)
	}
}

func typeName(v any) string {
	switch v.(type) {
	case *plain:
		return "*ui.plain"
	case *live:
		return "*ui.live"
	case *jsonLines:
		return "*ui.jsonLines"
	}
	return "another"
}

func TestRedact(t *testing.T) {
	t.Parallel()
	pem := "-----BEGIN KEY-----\nMIIBVAIBADANBgkqhkiG9w0BAQ\nshort\n-----END KEY-----\n"
	for _, test := range []struct {
		name, in, want string
		secrets        []string
	}{
		{"none", "all of it", "all of it", nil},
		{"empty ones", "all of it", "all of it", []string{"", " "}},
		{"one", "token=hunter2;", "token=***;", []string{"hunter2"}},
		{"twice in a row", "hunter2hunter2 hunter2", "*** ***", []string{"hunter2"}},
		{"one in another", "abcdef abc", "*** ***", []string{"abc", "abcdef"}},
		{"overlapping", "xabcdefx", "x***x", []string{"abcd", "cdef"}},
		{"overlapping itself", "baaaaab", "b***b", []string{"aaa"}},
		{"only its beginning", "hunter hunt", "hunter hunt", []string{"hunter2"}},
		{"in a URL", "https://u:p%40ss+word%2F@h", "https://u:***@h", []string{"p@ss word/"}},
		{"in JSON", `{"x":"a\"b\\c"}`, `{"x":"***"}`, []string{`a"b\c`}},
		{"a line of several", "> MIIBVAIBADANBgkqhkiG9w0BAQ\n> short", "> ***\n> short", []string{pem}},
		{"binary", "\x00\xff\xfe\x00", "\x00***\x00", []string{"\xff\xfe"}},
	} {
		rng := rand.New(rand.NewPCG(1, 1))
		for size := 0; size < 12; size++ {
			var b bytes.Buffer
			r := Redact(&b, test.secrets...)
			for rest := []byte(test.in); len(rest) > 0; {
				n := min(len(rest), max(size, 1))
				if size == 0 {
					n = 1 + rng.IntN(len(rest))
				}
				if k, err := r.Write(rest[:n]); k != n || err != nil {
					t.Fatal(k, err)
				}
				rest = rest[n:]
			}
			if err := r.Flush(); err != nil {
				t.Fatal(err)
			}
			if b.String() != test.want {
				t.Errorf("%s, in pieces of %d: %q, want %q", test.name, size, b.String(), test.want)
			}
		}
	}
}

func TestRedactHoldsBackNoMoreThanItMust(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	r := Redact(&b, "hunter2")
	for _, part := range []string{"a line\n", "hunt", "ing"} {
		if _, err := io.WriteString(r, part); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff("a line\nhunting", b.String()); diff != "" {
		t.Error(diff)
	}
	for range 1000 {
		_, _ = io.WriteString(r, "hunter2")
	}
	if len(r.pending) > 16 || cap(r.pending) > 1000 {
		t.Errorf("%d bytes are held back", len(r.pending))
	}
}

type broken struct{ err error }

func (b broken) Write([]byte) (int, error) { return 0, b.err }

func TestRedactPassesErrorsOn(t *testing.T) {
	t.Parallel()
	err := errors.New("broken pipe")
	if _, got := Redact(broken{err}, "x").Write([]byte("y")); !errors.Is(got, err) {
		t.Errorf("Write: %v", got)
	}
}

func FuzzRedact(f *testing.F) {
	f.Add("some hunter2 text hunter2", "hunter2", "text", 3)
	f.Add("aaaaaa", "aa", "aaa", 1)
	f.Fuzz(func(t *testing.T, in, one, two string, size int) {
		if len(in) > 4096 || len(one) > 256 || len(two) > 256 || strings.Contains("***", one) || strings.Contains("***", two) {
			return
		}
		whole, pieces := redactIn(in, len(in), one, two), redactIn(in, 1+max(size, 0)%16, one, two)
		if whole != pieces {
			t.Errorf("%q as a whole is %q, in pieces %q", in, whole, pieces)
		}
		if !strings.Contains(one+two, "*") && strings.TrimSpace(one) != "" && strings.Contains(whole, one) {
			t.Errorf("%q is still in %q", one, whole)
		}
	})
}

func redactIn(in string, size int, secrets ...string) string {
	var b strings.Builder
	r := Redact(&b, secrets...)
	for len(in) > 0 {
		n := min(len(in), max(size, 1))
		_, _ = io.WriteString(r, in[:n])
		in = in[n:]
	}
	_ = r.Flush()
	return b.String()
}
