package source

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sello-release/sello/internal/gate"
)

// shattered is the beginning of the first file of the SHAttered collision of 2017 (shattered.io).
const shattered = "255044462d312e330a25e2e3cfd30a0a0a312030206f626a0a3c3c2f57696474682032203020522f4865696768742033203020522f547970652034203020522f53756274797065" +
	"2035203020522f46696c7465722036203020522f436f6c6f7253706163652037203020522f4c656e6774682038203020522f42697473506572436f6d706f6e656e7420383e3e0a" +
	"73747265616d0affd8fffe00245348412d3120697320646561642121212121852fec092339759c39b1a1c63c4c97e1fffe017f46dc93a6b67e013b029aaa1db2560b45ca67d688" +
	"c7f84b8c4c791fe02b3df614f86db1690901c56b45c1530afedfb76038e972722fe7ad728f0e4904e046c230570fe9d41398abe12ef5bc942be33542a4802d98b5d70f2a332ec3" +
	"7fac3514e74ddc0f2cc1a874cd0c78305a21566461309789606bd0bf3f98cda8044629a1"

func TestCollision(t *testing.T) {
	t.Parallel()
	attack, err := hex.DecodeString(shattered)
	if err != nil || len(attack) != 320 {
		t.Fatal(len(attack), err)
	}
	h := formatSHA1.hasher(kindBlob, 1)
	h.Reset() // the attack is on plain SHA-1, without git's header
	h.Write(attack)
	if code := gate.Code(proven(h, strings.Repeat("0", 40))); code != "source-object-collision" {
		t.Errorf("code %q", code)
	}
	h.Reset()
	h.Write(attack[:319])
	if code := gate.Code(proven(h, strings.Repeat("0", 40))); code != "source-object-corrupt" {
		t.Errorf("code %q", code)
	}
}

func TestProven(t *testing.T) {
	t.Parallel()
	for f, id := range map[format]string{
		formatSHA1:   "ce013625030ba8dba906f756967f9e9ca394464a", // git hash-object of "hello\n"
		formatSHA256: "2cf8d83d9ee29543b34a87727421fdecb7e3f3a183d337639025de576db9ebb4",
	} {
		h := f.hasher(kindBlob, 6)
		h.Write([]byte("hello\n"))
		if err := proven(h, id); err != nil {
			t.Error(err)
		}
	}
}

func TestWithoutCredentials(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"https://example.org/a/b.git":                  "https://example.org/a/b.git",
		"https://token@example.org/a.git":              "https://example.org/a.git",
		"https://user:pass@example.org:8443/a.git":     "https://example.org:8443/a.git",
		"https://example.org/a.git?token=secret#frag":  "https://example.org/a.git",
		"ssh://git@example.org/a.git":                  "ssh://git@example.org/a.git",
		"ssh://git:pass@example.org:22/a.git":          "ssh://git@example.org:22/a.git",
		"git@example.org:a/b.git":                      "git@example.org:a/b.git",
		"user:pass@example.org:a/b.git":                "",
		"/srv/git/a.git":                               "/srv/git/a.git",
		"/srv/with:colon@at/a.git":                     "/srv/with:colon@at/a.git",
		"../sibling.git":                               "../sibling.git",
		"https://exa mple.org/\x1b[2J":                 "",
		"https://example.org/%zz":                      "",
		"":                                             "",
		"example.org:a.git":                            "example.org:a.git",
		"https://user:p%40ss@example.org/path@at/b":    "https://example.org/path@at/b",
		"git+ssh://git:secret@example.org/path/to.git": "git+ssh://git@example.org/path/to.git",
	} {
		if got := withoutCredentials(in); got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
}

func TestParseModules(t *testing.T) {
	t.Parallel()
	text := "\ufeff# comment\r\n[core] ignored = yes\n[submodule \"a b\"]\n\tpath = libs/a # comment\n  URL=https://example.org/a\n\tbranch\n" +
		"[Submodule \"q\\\"uo\\\\te\"] path = \"with  space \"  ; comment\n url = one\\\n two\\t\"#not\"\n[submodule \"empty\"]\n[submodule \"slash\"]\npath=x/\nurl=old\nurl=new\n"
	got, err := parseModules([]byte(text))
	if err == nil || !strings.Contains(err.Error(), "not allowed") {
		t.Errorf("a name with a backslash: %v, %v", got, err)
	}
	got, err = parseModules([]byte(strings.Replace(text, `q\"uo\\te`, `q\"uote`, 1)))
	want := map[string]moduleEntry{
		"libs/a":       {name: "a b", path: "libs/a", url: "https://example.org/a"},
		"with  space ": {name: `q"uote`, path: "with  space ", url: "one two\t#not"},
		"x":            {name: "slash", path: "x", url: "new"},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(moduleEntry{})); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	for _, bad := range []string{
		"path = x\n", "[submodule \"a\npath = x\n", "[submodule \"a\"\n", "[]\n", "[submodule \"a\"]\npath = \"x\n", "[submodule \"a\"]\npath = \\x\n",
		"[submodule \"a\"]\npath x\n", "[submodule \"a\"]\n= x\n", "[submodule \"a", "[submodule \"a\\",
	} {
		if got, err := parseModules([]byte(bad)); err == nil {
			t.Errorf("%q: %v", bad, got)
		}
	}
}

func TestLinkChains(t *testing.T) {
	t.Parallel()
	name := func(i int) string { return "l" + strings.Repeat("i", i) }
	chain := func(n int) *linkSet {
		set := newLinkSet()
		for i := range n {
			set.add(name(i), name(i+1))
		}
		return set
	}
	if err := chain(255).check(name(0)); err != nil {
		t.Errorf("255 links: %v", err)
	}
	if err := chain(256).check(name(0)); !errors.Is(err, errTooLong) {
		t.Errorf("256 links: %v", err)
	}
	long := chain(300)
	for i := 299; i >= 0; i-- { // from the short ends on, so that every answer is known already
		if err := long.check(name(i)); (err != nil) != (300-i > maxChain) {
			t.Errorf("link %d: %v", i, err)
		}
	}
	// Each link leads twice through the next: 2^60 steps, were they taken one by one.
	set := newLinkSet()
	for i := range 60 {
		set.add(name(i), name(i+1)+"/../"+name(i+1))
	}
	if err := set.check(name(0)); !errors.Is(err, errTooLong) {
		t.Error(err)
	}
}

func FuzzTree(f *testing.F) {
	id := strings.Repeat("\x01", 20)
	f.Add([]byte("100644 a\x00" + id + "40000 b\x00" + id))
	f.Add([]byte("100644 b\x00" + id + "100644 a\x00" + id))
	f.Add([]byte("100644 \x00" + id))
	f.Add([]byte(""))
	f.Fuzz(func(t *testing.T, body []byte) {
		entries, err := parseTree(formatSHA1, body)
		if err != nil {
			return
		}
		var b bytes.Buffer
		canonical := true
		for _, e := range entries {
			if len(e.id) != 20 {
				t.Fatal("an id has the wrong size")
			}
			before := b.Len()
			b.WriteString(octal(e.mode) + " " + e.name + "\x00" + string(e.id))
			canonical = canonical && before < len(body) && body[before] != '0' // zero-padded modes are read, too
		}
		if canonical && !bytes.Equal(b.Bytes(), body) {
			t.Errorf("%q read and written is %q", body, b.Bytes())
		}
		if checkFolder("", entries) != nil {
			return
		}
		seen := map[string]bool{}
		for _, e := range entries {
			if seen[strings.ToLower(e.name)] || strings.ContainsAny(e.name, "/\\\n\x00") || e.name == "." || e.name == ".." || strings.EqualFold(e.name, ".git") {
				t.Errorf("accepted %q", e.name)
			}
			seen[strings.ToLower(e.name)] = true
		}
	})
}

func octal(m mode) string {
	s := ""
	for ; m > 0; m /= 8 {
		s = string(rune('0'+m%8)) + s
	}
	return s
}

func FuzzCommit(f *testing.F) {
	id := strings.Repeat("1", 40)
	f.Add([]byte("tree " + id + "\nparent " + id + "\nauthor A <a@example.org> 1 +0000\ncommitter C <c> 2 -0100\ngpgsig x\n y\n\nSubject\n\nBody\n"))
	f.Add([]byte("tree " + id + "\nauthor <> 1 +0000\ncommitter <> 253402300799 +0000"))
	f.Fuzz(func(t *testing.T, body []byte) {
		c, err := parseCommit(formatSHA1, id, body)
		if err != nil {
			return
		}
		for _, s := range []string{c.Author, c.Committer, c.Subject} {
			if plain(s) != s || strings.ContainsAny(s, "\n\x1b\x00") {
				t.Errorf("%q is not safe to print", s)
			}
		}
		for _, s := range append(c.Parents, c.Tree) {
			if !formatSHA1.valid(s) {
				t.Errorf("%q is not an id", s)
			}
		}
		if y := c.Time.Year(); y < 1970 || y > 9999 {
			t.Errorf("year %d", y)
		}
	})
}

func FuzzTag(f *testing.F) {
	f.Add([]byte("object " + strings.Repeat("1", 40) + "\ntype commit\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		if id, err := parseTag(formatSHA1, body); err == nil && !formatSHA1.valid(id) {
			t.Errorf("%q is not an id", id)
		}
	})
}

// FuzzTagName lets git judge what we accept.
func FuzzTagName(f *testing.F) {
	for _, name := range []string{"v1.0.0", "a/b", "a..b", "@{", "a.lock", ".a", "é", "a b"} {
		f.Add(name)
	}
	git, err := exec.LookPath("git")
	if err != nil {
		f.Skip("git is not installed")
	}
	f.Fuzz(func(t *testing.T, name string) {
		if CheckTagName(name) != nil {
			return
		}
		if err := exec.Command(git, "check-ref-format", "refs/tags/"+name).Run(); err != nil {
			t.Errorf("%q is accepted, but git says %v", name, err)
		}
	})
}

func FuzzModules(f *testing.F) {
	f.Add([]byte("[submodule \"a\"]\n\tpath = a\n\turl = \"u\" # c\n"))
	f.Add([]byte("[submodule \"a\\\\\"]\npath=\\\n\\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		modules, err := parseModules(content)
		if err != nil {
			return
		}
		for at, m := range modules {
			if at != m.path || at == "" || path.Join("/x", m.name) != "/x/"+m.name {
				t.Errorf("accepted %+v", m)
			}
		}
	})
}

// FuzzLinks compares the resolver with a plain walk that knows no shortcuts.
func FuzzLinks(f *testing.F) {
	f.Add("a", "b/..", "c", "../x", "d/e", "../a/../..")
	f.Add("a", "..", "a/b", "/", "x", "x")
	f.Fuzz(func(t *testing.T, a, ta, b, tb, c, tc string) {
		links := map[string]string{}
		set := newLinkSet()
		for _, l := range [][2]string{{a, ta}, {b, tb}, {c, tc}} {
			p := fold(strings.Trim(path.Clean("/"+l[0]), "/"))
			if _, twice := links[p]; p == "" || twice || fold(p) != p {
				return
			}
			links[p] = l[1]
			set.add(p, l[1])
		}
		for p := range links {
			for dir := parent(p); dir != ""; dir = parent(dir) {
				if _, is := links[dir]; is {
					return // a link's folders are no links
				}
			}
		}
		for p := range links {
			if errors.Is(set.check(p), errTooLong) {
				continue // a limit of ours; the walk has none
			}
			if want := plainWalk(links, p); (set.check(p) == nil) != (want != "escapes") {
				t.Errorf("%q of %q: %v, want %s", p, links, set.check(p), want)
			}
		}
	})
}

// plainWalk follows a link name by name, as a kernel does.
func plainWalk(links map[string]string, p string) string {
	at := parent(p)
	todo := []string{}
	expand := func(target string) bool {
		if target == "" || strings.HasPrefix(target, "/") || hasDrive(target) {
			return false
		}
		todo = slices.Concat(strings.Split(target, "/"), todo)
		return true
	}
	if !expand(links[p]) {
		return "escapes"
	}
	for steps := 0; len(todo) > 0; steps++ {
		if steps > 2000 || len(todo) > 2000 {
			return "loops"
		}
		name := todo[0]
		todo = todo[1:]
		switch name {
		case "", ".":
			continue
		case "..":
			if at == "" {
				return "escapes"
			}
			at = parent(at)
			continue
		}
		at = path.Join(at, fold(name))
		if target, is := links[at]; is {
			at = parent(at)
			if !expand(target) {
				return "escapes"
			}
		}
	}
	return "stays"
}
