package osv

import (
	"archive/zip"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sello-release/sello/internal/gate"
)

// record makes a record about example.org/m (Go) with these affected fields.
func record(id, affected string) string {
	return fmt.Sprintf(`{"schema_version":"1.6.0","id":%q,"modified":"2026-11-01T10:00:00Z","affected":[{"package":{"ecosystem":"Go","name":"example.org/m"}%s}]}`, id, affected)
}

func TestJudge(t *testing.T) {
	semver := `,"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.2.0"},{"introduced":"1.3.0"},{"fixed":"1.3.5"}]}]`
	for name, c := range map[string]struct {
		affected, ecosystem, name, version string
		want                               Verdict
		fixed                              []string
	}{
		"before the fix":             {semver, "Go", "", "v1.1.9", IsAffected, []string{"1.2.0", "1.3.5"}},
		"at the fix":                 {semver, "Go", "", "v1.2.0", Unaffected, nil},
		"a candidate of the fix":     {semver, "Go", "", "v1.2.0-rc.1", IsAffected, []string{"1.2.0", "1.3.5"}},
		"introduced again":           {semver, "Go", "", "v1.3.0", IsAffected, []string{"1.3.5"}},
		"a pseudo version":           {semver, "Go", "", "v1.1.1-0.20260101000000-abcdefabcdef", IsAffected, []string{"1.2.0", "1.3.5"}},
		"incompatible":               {semver, "Go", "", "v2.0.0+incompatible", Unaffected, nil},
		"no version":                 {semver, "Go", "", "", Undecided, []string{"1.2.0", "1.3.5"}},
		"devel":                      {semver, "Go", "", "(devel)", Undecided, []string{"1.2.0", "1.3.5"}},
		"last affected":              {`,"ranges":[{"type":"SEMVER","events":[{"introduced":"1.0.0"},{"last_affected":"1.5.0"}]}]`, "Go", "", "1.5.0", IsAffected, nil},
		"after the last affected":    {`,"ranges":[{"type":"SEMVER","events":[{"introduced":"1.0.0"},{"last_affected":"1.5.0"}]}]`, "Go", "", "1.5.1", Unaffected, nil},
		"never fixed":                {`,"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}]`, "Go", "", "v99.0.0", IsAffected, nil},
		"listed":                     {`,"versions":["1.0.0","1.0.1"]`, "Go", "", "v1.0.1", IsAffected, nil},
		"not listed":                 {`,"versions":["1.0.0"]`, "Go", "", "v1.0.1", Unaffected, nil},
		"limited":                    {`,"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"limit":"1.0.0"}]}]`, "Go", "", "v1.1.0", Unaffected, nil},
		"no ranges":                  {``, "Go", "", "v1.0.0", Undecided, nil},
		"commits":                    {`,"ranges":[{"type":"GIT","repo":"https://example.org/m","events":[{"introduced":"0"}]}]`, "Go", "", "v1.0.0", Undecided, nil},
		"commits and a list":         {`,"versions":["1.0.0"],"ranges":[{"type":"GIT","events":[{"introduced":"0"}]}]`, "Go", "", "v1.0.1", Unaffected, nil},
		"an unknown kind of range":   {`,"ranges":[{"type":"MOON","events":[{"introduced":"0"}]}]`, "Go", "", "v1.0.0", Undecided, nil},
		"a range without beginning":  {`,"ranges":[{"type":"SEMVER","events":[{"fixed":"1.0.0"}]}]`, "Go", "", "v0.1.0", Undecided, []string{"1.0.0"}},
		"a version that is none":     {`,"ranges":[{"type":"SEMVER","events":[{"introduced":"yesterday"}]}]`, "Go", "", "v0.1.0", Undecided, nil},
		"another module":             {semver, "Go", "example.org/n", "v1.0.0", Unaffected, nil},
		"another ecosystem":          {semver, "npm", "", "1.0.0", Unaffected, nil},
		"specific to ecosystem fits": {`,"ecosystem_specific":"anything","database_specific":7` + semver, "Go", "", "v1.0.0", IsAffected, []string{"1.2.0", "1.3.5"}},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := Parse([]byte(record("GO-2026-0001", c.affected)), "x.json")
			if err != nil {
				t.Fatal(err)
			}
			if c.name == "" {
				c.name = "example.org/m"
			}
			got := r.Judge(Package{Ecosystem: c.ecosystem, Name: c.name, Version: c.version}, time.Now())
			if got.Verdict != c.want || (got.Verdict == Undecided) != (got.Why != "") {
				t.Errorf("got %v, %q", got.Verdict, got.Why)
			}
			if got.Verdict != Unaffected && !cmp.Equal(c.fixed, append([]string(nil), got.Fixed...)) {
				t.Errorf("fixed in %v, want %v", got.Fixed, c.fixed)
			}
			now := time.Now()
			later := now.Add(time.Hour)
			r.Withdrawn = &later
			if soon := r.Judge(Package{Ecosystem: c.ecosystem, Name: c.name, Version: c.version}, now); soon.Verdict != c.want {
				t.Errorf("to be withdrawn: %v", soon.Verdict)
			}
			if r.Withdrawn = &now; r.Judge(Package{Ecosystem: "Go", Name: "example.org/m", Version: "v1.0.0"}, now).Verdict != Unaffected {
				t.Error("a withdrawn record concerns somebody")
			}
		})
	}
}

func TestEcosystems(t *testing.T) {
	for _, c := range []struct {
		ecosystem, version, fixed string
		affected                  bool
	}{
		{"Debian:12", "1:9.2p1-2+deb12u2", "1:9.2p1-2+deb12u3", true}, {"Debian:12", "1:9.2p1-2+deb12u3", "1:9.2p1-2+deb12u3", false},
		{"Alpine:v3.20", "3.3.1-r0", "3.3.1-r1", true}, {"PyPI", "2.0rc1", "2.0", true}, {"PyPI", "2.0.post1", "2.0", false},
		{"Maven", "1.0-alpha-1", "1.0", true}, {"npm", "4.17.20", "4.17.21", true}, {"RubyGems", "1.2.3.pre", "1.2.3", true}, {"Rocky Linux:9", "5.14.0-70.el9", "5.14.0-362.el9", true},
	} {
		a := Affected{Package: RecordPackage{Ecosystem: c.ecosystem, Name: "p"}, Ranges: []Range{{Type: "ECOSYSTEM", Events: []Event{{Introduced: "0"}, {Fixed: c.fixed}}}}}
		r := Record{ID: "X-1", Affected: []Affected{a}}
		if got := r.Judge(Package{Ecosystem: c.ecosystem, Name: "p", Version: c.version}, time.Now()); (got.Verdict == IsAffected) != c.affected || got.Verdict == Undecided {
			t.Errorf("%s %s fixed in %s: %v %s", c.ecosystem, c.version, c.fixed, got.Verdict, got.Why)
		}
		if got := r.Judge(Package{Ecosystem: base(c.ecosystem), Name: "p", Version: c.version}, time.Now()); (got.Verdict == IsAffected) != c.affected {
			t.Errorf("%s without its release: %v", c.ecosystem, got.Verdict)
		}
	}
	r := Record{ID: "X-1", Affected: []Affected{{Package: RecordPackage{Ecosystem: "Debian:11", Name: "p"}, Versions: []string{"1"}}}}
	if r.Judge(Package{Ecosystem: "Debian:12", Name: "p", Version: "1"}, time.Now()).Verdict != Unaffected {
		t.Error("a record of Debian 11 concerns Debian 12")
	}
}

// TestComponent shows that a component names its package in every version, and nothing else.
func TestComponent(t *testing.T) {
	for purl, want := range map[string]string{
		"pkg:golang/example.org/m@v1.0.0#cmd/x": "pkg:golang/example.org/m", "pkg:npm/%40scope/name@1.0.0": "pkg:npm/%40scope/name",
		"pkg:deb/debian/libssl3@3.0.1-1?arch=amd64&distro=debian-12&upstream=openssl%403.0.1-1": "pkg:deb/debian/libssl3?distro=debian-12&upstream=openssl",
	} {
		p, err := FromPurl(purl)
		if err != nil {
			t.Fatal(err)
		}
		q, err := FromPurl(p.Component())
		if err != nil || p.Component() != want || q.Name != p.Name || q.Ecosystem != p.Ecosystem || q.Version != "" {
			t.Errorf("%s: %s %+v %v", purl, p.Component(), q, err)
		}
	}
	if got := (Package{Ecosystem: "Go", Name: "stdlib"}).Component(); got != "pkg:golang/stdlib" {
		t.Error(got)
	}
}

func TestFromPurl(t *testing.T) {
	for purl, want := range map[string]Package{
		"pkg:golang/example.org/m@v1.0.0": {Ecosystem: "Go", Name: "example.org/m", Version: "v1.0.0"},
		"pkg:golang/std@1.26.8":           {Ecosystem: "Go", Name: "stdlib", Version: "1.26.8"},
		"pkg:golang/stdlib@go1.27rc1":     {Ecosystem: "Go", Name: "stdlib", Version: "1.27.0-rc.1"},
		"pkg:npm/%40scope/name@1.0.0":     {Ecosystem: "npm", Name: "@scope/name", Version: "1.0.0"},
		"pkg:maven/org.example/thing@1.0": {Ecosystem: "Maven", Name: "org.example:thing", Version: "1.0"},
		"pkg:deb/debian/libssl3@3.0.1-1?arch=amd64&distro=debian-12&upstream=openssl%403.0.1-1": {Ecosystem: "Debian:12", Name: "openssl", Version: "3.0.1-1"},
		"pkg:deb/debian/libssl3@3.0.1-1?epoch=1&distro=debian-12":                               {Ecosystem: "Debian:12", Name: "libssl3", Version: "1:3.0.1-1"},
		"pkg:apk/alpine/musl@1.2.5-r0?distro=alpine-3.20.3":                                     {Ecosystem: "Alpine:v3.20", Name: "musl", Version: "1.2.5-r0"},
		"pkg:rpm/rocky/bash@5.1-1.el9?distro=rocky-9.4":                                         {Ecosystem: "Rocky Linux:9", Name: "bash", Version: "5.1-1.el9"},
		"pkg:rpm/rocky/bash-doc@5.1-1.el9?distro=rocky-9.4&upstream=bash-5.1-1.el9.src.rpm":     {Ecosystem: "Rocky Linux:9", Name: "bash", Version: "5.1-1.el9"},
		"pkg:oci/image@sha256%3Aabc":                                                            {Name: "image", Version: "sha256:abc"},
	} {
		got, err := FromPurl(purl)
		want.Purl = purl
		if err != nil || got != want {
			t.Errorf("%s: %+v %v", purl, got, err)
		}
	}
	if _, err := FromPurl("no purl"); err == nil {
		t.Error("that was no purl")
	}
}

// mirror writes files into a folder.
func mirror(t *testing.T, files map[string]string) string {
	dir := t.TempDir()
	for name, text := range files {
		p := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

var asked = []Package{{Ecosystem: "Go", Name: "example.org/m", Version: "v1.0.0"}, {Ecosystem: "npm", Name: "x", Version: "1"}}

func find(t *testing.T, name string) (*Found, error) {
	t.Helper()
	source, err := Open(name)
	if err != nil {
		return nil, err
	}
	return source.Find(context.Background(), asked)
}

func ids(f *Found) (out []string) {
	for _, r := range f.Records {
		out = append(out, r.ID)
	}
	return out
}

func TestFolder(t *testing.T) {
	other := strings.Replace(record("GO-2026-0009", ""), "example.org/m", "example.org/other", 1)
	flat := mirror(t, map[string]string{"a/GO-2026-0002.json": record("GO-2026-0002", ""), "GO-2026-0001.json": record("GO-2026-0001", ""), "x.json": other, "README.md": "no record"})
	zipped := mirror(t, map[string]string{"Go/all.zip": zipOf(t, map[string]string{"GO-2026-0001.json": record("GO-2026-0001", ""), "GO-2026-0002.json": record("GO-2026-0002", ""), "o.json": other}), "PyPI/all.zip": "not even a zip: nobody asked for it"})
	layout := mirror(t, map[string]string{
		"index/db.json": `{"modified":"2026-11-01T10:00:00Z"}`, "index/modules.json": `[{"path":"example.org/m","vulns":[{"id":"GO-2026-0001"},{"id":"GO-2026-0002"}]},{"path":"example.org/other","vulns":[{"id":"GO-2026-0009"}]}]`,
		"ID/GO-2026-0001.json": record("GO-2026-0001", ""), "ID/GO-2026-0002.json": record("GO-2026-0002", ""), "ID/GO-2026-0009.json": "broken, and not asked for",
	})
	for _, dir := range []string{flat, zipped, layout, filepath.Join(zipped, "Go", "all.zip")} {
		got, err := find(t, dir)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"GO-2026-0001", "GO-2026-0002"}, ids(got)); diff != "" {
			t.Error(diff)
		}
		if !got.Newest.Equal(time.Date(2026, 11, 1, 10, 0, 0, 0, time.UTC)) || !cmp.Equal(got.Covered, []string{"Go"}) || len(got.Notes) != 1 {
			t.Errorf("%v %v %v", got.Newest, got.Covered, got.Notes)
		}
	}
}

// TestWholeFolder shows that nothing in a folder is passed over.
func TestWholeFolder(t *testing.T) {
	other := strings.Replace(record("GO-2026-0009", ""), "example.org/m", "example.org/other", 1)
	index := map[string]string{
		"index/db.json": `{"modified":"2026-11-01T10:00:00Z"}`, "index/modules.json": `[{"path":"example.org/other","vulns":[{"id":"GO-2026-0009"}]}]`, "index/db.json.gz": "packed", "ID/GO-2026-0009.json": other, "ID/GO-2026-0009.json.gz": "packed",
	}
	debian := strings.NewReplacer(`"Go"`, `"Debian:12"`, "example.org/m", "x").Replace(record("DSA-1", ""))
	for name, c := range map[string]struct {
		base, files map[string]string
		want        []string
	}{
		"beside an index":             {index, map[string]string{"OWN-1.json": record("OWN-1", "")}, []string{"OWN-1"}},
		"in the index's folders":      {index, map[string]string{"ID/OWN-1.json": record("OWN-1", ""), "index/OWN-2.json": record("OWN-2", "")}, []string{"OWN-1", "OWN-2"}},
		"below an index":              {index, map[string]string{"mine/OWN-1.json": record("OWN-1", "")}, []string{"OWN-1"}},
		"a zip beside an index":       {index, map[string]string{"Go/all.zip": zipOf(t, map[string]string{"a.json": record("OWN-1", "")})}, []string{"OWN-1"}},
		"in capitals":                 {nil, map[string]string{"OWN-1.JSON": record("OWN-1", ""), "ALL.ZIP": zipOf(t, map[string]string{"A.JSON": record("OWN-2", "")})}, []string{"OWN-1", "OWN-2"}},
		"the ecosystem in small":      {nil, map[string]string{"OWN-1.json": strings.Replace(record("OWN-1", ""), `"Go"`, `"go"`, 1)}, []string{"OWN-1"}},
		"one's own zip somewhere":     {nil, map[string]string{"PyPI/mine.zip": zipOf(t, map[string]string{"a.json": record("OWN-1", "")})}, []string{"OWN-1"}},
		"a release of a distribution": {nil, map[string]string{"Debian:12/all.zip": zipOf(t, map[string]string{"a.json": debian})}, []string{"DSA-1"}},
	} {
		t.Run(name, func(t *testing.T) {
			files := maps.Clone(c.files)
			maps.Copy(files, c.base)
			got, err := (folder{mirror(t, files)}).Find(context.Background(), append(asked, Package{Ecosystem: "Debian:12", Name: "x", Version: "1"}))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, ids(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
	for name, code := range map[string]string{"b.json.gz": "vuln-db-invalid", "a.json.gz": "", "mirror.tar": "vuln-db-invalid", "Go/all.zip.part": "vuln-db-invalid", "a.yaml": "vuln-db-invalid", "a.json~": "vuln-db-invalid", "README.md": "", "SHA256SUMS": ""} {
		got, err := find(t, mirror(t, map[string]string{"a.json": record("GO-1", ""), name: "x"}))
		if gate.Code(err) != code {
			t.Errorf("%s: %v", name, err)
		}
		if name == "SHA256SUMS" && (err != nil || !strings.Contains(strings.Join(got.Notes, "\n"), name)) {
			t.Errorf("%s is not mentioned: %v", name, got)
		}
	}
	if _, err := find(t, mirror(t, map[string]string{"Go/all.zip": zipOf(t, map[string]string{"a.json.gz": "x"})})); gate.Code(err) != "vuln-db-invalid" {
		t.Error(err)
	}
}

func TestLinks(t *testing.T) {
	dir := mirror(t, map[string]string{"v2/GO-1.json": record("GO-1", ""), "elsewhere/x": record("GO-2", "")})
	outside := mirror(t, map[string]string{"GO-3.json": record("GO-3", "")})
	for _, l := range [][2]string{{"v2", "latest"}, {"..", "v2/up"}, {"elsewhere/x", "GO-2.json"}} {
		if err := os.Symlink(l[0], filepath.Join(dir, filepath.FromSlash(l[1]))); err != nil {
			t.Skip(err)
		}
	}
	if err := os.Rename(filepath.Join(dir, "v2"), filepath.Join(dir, ".v2")); err != nil {
		t.Fatal(err)
	}
	_ = os.Remove(filepath.Join(dir, "latest"))
	if err := os.Symlink(".v2", filepath.Join(dir, "latest")); err != nil {
		t.Fatal(err)
	}
	got, err := find(t, dir)
	if err != nil || !cmp.Equal(ids(got), []string{"GO-1", "GO-2"}) {
		t.Errorf("%v %v", got, err)
	}
	if got, err = find(t, filepath.Join(dir, "latest")); err == nil || got != nil {
		t.Error("its link leads out of it")
	}
	for _, to := range []string{outside, filepath.Join(outside, "GO-3.json"), "nowhere"} {
		dir := mirror(t, map[string]string{"GO-1.json": record("GO-1", "")})
		if err := os.Symlink(to, filepath.Join(dir, "out.json")); err != nil {
			t.Fatal(err)
		}
		if _, err := find(t, dir); gate.Code(err) != "vuln-db-invalid" {
			t.Errorf("%s: %v", to, err)
		}
	}
}

// TestTwice shows that of records with one id the newest counts, and both when they are of one age.
func TestTwice(t *testing.T) {
	is, not := record("GO-1", `,"versions":["1.0.0"]`), record("GO-1", `,"versions":["9.0.0"]`)
	later := strings.Replace(not, "2026-11-01", "2026-11-02", 1)
	for name, c := range map[string]struct {
		a, b  string
		want  []Verdict
		noted int
	}{
		"the same":         {is, is, []Verdict{IsAffected}, 0},
		"the newest":       {is, later, []Verdict{Unaffected}, 1},
		"both":             {is, not, []Verdict{IsAffected, Unaffected}, 1},
		"in another order": {not, is, []Verdict{IsAffected, Unaffected}, 1},
	} {
		for range 20 {
			source := folder{mirror(t, map[string]string{"a.json": c.a, "b.json": c.b})}
			got, err := source.Find(context.Background(), asked[:1])
			if err != nil {
				t.Fatal(err)
			}
			var verdicts []Verdict
			for _, r := range got.Records {
				verdicts = append(verdicts, r.Judge(asked[0], time.Now()).Verdict)
			}
			if diff := cmp.Diff(c.want, verdicts); diff != "" || len(got.Notes) != c.noted {
				t.Fatalf("%s: %s %v", name, diff, got.Notes)
			}
		}
	}
}

// TestFresh shows that records of people's own do not make an old mirror new.
func TestFresh(t *testing.T) {
	now := time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC)
	old := func(s string) string { return strings.Replace(s, "2026-11-01", "2019-11-01", 1) }
	npm := strings.NewReplacer(`"Go"`, `"npm"`, "example.org/m", "x").Replace(record("GHSA-1", ""))
	zip := func(s string) string { return zipOf(t, map[string]string{"a.json": s}) }
	index := map[string]string{"index/db.json": `{"modified":"2019-11-01T10:00:00Z"}`, "index/modules.json": `[{"path":"example.org/other","vulns":[]}]`}
	with := func(more map[string]string) map[string]string {
		more = maps.Clone(more)
		maps.Copy(more, index)
		return more
	}
	for name, c := range map[string]struct {
		files map[string]string
		code  string
		quiet int
	}{
		"records by themselves":             {map[string]string{"a.json": record("GO-1", ""), "b.json": old(record("GO-2", ""))}, "", 0},
		"an old zip and a new record":       {map[string]string{"Go/all.zip": zip(old(record("GO-1", ""))), "a.json": record("OWN-1", "")}, "vuln-db-stale", 0},
		"an old index and a new record":     {with(map[string]string{"a.json": record("OWN-1", "")}), "vuln-db-stale", 0},
		"an old index and a zip of another": {with(map[string]string{"npm/all.zip": zip(npm)}), "vuln-db-stale", 1},
		"an old index and a new zip":        {with(map[string]string{"Go/all.zip": zip(record("GO-1", ""))}), "", 0},
		"an ecosystem that is quiet":        {map[string]string{"npm/all.zip": zip(old(npm)), "Go/all.zip": zip(record("GO-1", ""))}, "", 1},
		"a new zip that nobody asked for":   {map[string]string{"Go/all.zip": zip(old(record("GO-1", ""))), "mine.zip": zip(strings.Replace(npm, "npm", "PyPI", 1))}, "vuln-db-stale", 0},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := find(t, mirror(t, c.files))
			if err != nil {
				t.Fatal(err)
			}
			if err := got.TooOld(now, 72*time.Hour); gate.Code(err) != c.code {
				t.Error(err)
			}
			if quiet := got.Quiet(now, 72*time.Hour); c.code == "" && len(quiet) != c.quiet {
				t.Error(quiet)
			}
		})
	}
}

func zipOf(t *testing.T, files map[string]string) string {
	var b strings.Builder
	w := zip.NewWriter(&b)
	for name, text := range files {
		f, err := w.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = f.Write([]byte(text))
	}
	w.Close()
	return b.String()
}

func TestRefused(t *testing.T) {
	big := record("GO-2026-0001", `,"database_specific":{"x":"`+strings.Repeat("x", MaxRecord)+`"}`)
	for name, c := range map[string]struct {
		files map[string]string
		code  string
	}{
		"a broken record":                  {map[string]string{"a.json": `{"id":"GO-1"`}, "vuln-record-invalid"},
		"a broken record in a zip":         {map[string]string{"Go/all.zip": zipOf(t, map[string]string{"a.json": `{]`})}, "vuln-record-invalid"},
		"a key twice":                      {map[string]string{"a.json": strings.Replace(record("GO-1", ""), `"id"`, `"id":"GO-2","id"`, 1)}, "vuln-record-invalid"},
		"no id":                            {map[string]string{"a.json": record("", "")}, "vuln-record-invalid"},
		"an id that is a path":             {map[string]string{"a.json": record("../../GO-1", "")}, "vuln-record-invalid"},
		"no time":                          {map[string]string{"a.json": `{"id":"GO-1","affected":[]}`}, "vuln-record-invalid"},
		"a wrong type":                     {map[string]string{"a.json": `{"id":"GO-1","modified":"2026-11-01T10:00:00Z","affected":{"package":"m"}}`}, "vuln-record-invalid"},
		"a record of ten megabytes":        {map[string]string{"a.json": big}, "vuln-record-too-large"},
		"a zip bomb":                       {map[string]string{"Go/all.zip": zipOf(t, map[string]string{"a.json": big})}, "vuln-record-too-large"},
		"broken, and not asked for":        {map[string]string{"a.json": strings.Replace(record("GO-1", ""), `"package":{`, `"package":{"name":"example.org/m",`, 1)}, "vuln-record-invalid"},
		"of another schema, about another": {map[string]string{"a.json": `{"schema_version":"2.0","id":"GO-1","modified":"2026-11-01T10:00:00Z","impacted":[]}`}, "vuln-record-schema"},
		"about another, without an id":     {map[string]string{"a.json": strings.Replace(record("", ""), "example.org/m", "other", 1)}, "vuln-record-invalid"},
		"affected twice":                   {map[string]string{"a.json": strings.Replace(strings.Replace(record("GO-1", ""), "example.org/m", "other", 1), `"affected"`, `"Affected":[],"affected"`, 1)}, "vuln-record-invalid"},
		"a schema of the future":           {map[string]string{"a.json": strings.Replace(record("GO-1", ""), "1.6.0", "2.0.0", 1)}, "vuln-record-schema"},
		"a broken zip":                     {map[string]string{"Go/all.zip": "PK"}, "vuln-db-invalid"},
		"no records":                       {map[string]string{"README.md": "hello"}, "vuln-db-invalid"},
		"an index without its record":      {map[string]string{"index/db.json": `{"modified":"2026-11-01T10:00:00Z"}`, "index/modules.json": `[{"path":"example.org/m","vulns":[{"id":"GO-2026-0001"}]}]`}, "vuln-db-invalid"},
		"an index without a time":          {map[string]string{"index/modules.json": `[]`}, "vuln-db-invalid"},
		"an index that names a path":       {map[string]string{"index/db.json": `{}`, "index/modules.json": `[{"path":"example.org/m","vulns":[{"id":"../../../etc/passwd"}]}]`}, "vuln-record-invalid"},
		"an index that is no list":         {map[string]string{"index/db.json": `{}`, "index/modules.json": `{}`}, "vuln-db-invalid"},
		"a record that nests too deep":     {map[string]string{"a.json": record("GO-1", `,"x":`+strings.Repeat("[", 100)+strings.Repeat("]", 100))}, "vuln-record-invalid"},
		"a record that is not in UTF-8":    {map[string]string{"a.json": strings.Replace(record("GO-1", ""), "GO-1", "GO-\xff", 1)}, "vuln-record-invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := find(t, mirror(t, c.files)); gate.Code(err) != c.code {
				t.Errorf("got %v, want %s", err, c.code)
			}
		})
	}
	if _, err := find(t, filepath.Join(t.TempDir(), "nothing")); gate.Code(err) != "vuln-db-missing" {
		t.Error(err)
	}
	if _, err := find(t, "ftp://example.org"); gate.Code(err) != "vuln-db-invalid" {
		t.Error(err)
	}
}

func TestTooOld(t *testing.T) {
	now := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	for age, want := range map[time.Duration]string{time.Hour: "", 72 * time.Hour: "", 73 * time.Hour: "vuln-db-stale", -time.Hour: "", -48 * time.Hour: "vuln-db-stale"} {
		f := Found{Newest: now.Add(-age)}
		if err := f.TooOld(now, 72*time.Hour); gate.Code(err) != want {
			t.Errorf("%v: %v", age, err)
		}
	}
	if err := (&Found{}).TooOld(now, time.Hour); gate.Code(err) != "vuln-db-stale" {
		t.Error(err)
	}
}

func TestAPI(t *testing.T) {
	answer := map[string]string{
		"POST /v1/querybatch":        `{"results":[{"vulns":[{"id":"GO-2026-0001"}],"next_page_token":"more"},{}]}`,
		"POST /v1/querybatch#2":      `{"results":[{"vulns":[{"id":"GO-2026-0002"}]}]}`,
		"GET /v1/vulns/GO-2026-0001": record("GO-2026-0001", ""), "GET /v1/vulns/GO-2026-0002": record("GO-2026-0002", ""),
	}
	posts := 0
	var tokens []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		k := r.Method + " " + r.URL.Path
		if r.Method == http.MethodPost {
			var q struct{ Queries []query }
			_ = json.NewDecoder(r.Body).Decode(&q)
			for _, x := range q.Queries {
				tokens = append(tokens, x.Package.Name+" "+x.PageToken)
			}
			if posts++; posts > 1 {
				k += "#2"
			}
		}
		text, ok := answer[k]
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write([]byte(text))
	}))
	defer server.Close()
	got, err := find(t, server.URL)
	if err != nil || !cmp.Equal(ids(got), []string{"GO-2026-0001", "GO-2026-0002"}) || time.Since(got.Newest) > time.Hour {
		t.Errorf("%v %v", got, err)
	}
	if diff := cmp.Diff([]string{"example.org/m ", "x ", "example.org/m more"}, tokens); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{`{"results":[]}`, `{`, `{"results":[{"vulns":[{"id":"../x"}]},{}]}`, `{"results":[{"vulns":[{"id":"GO-2026-0404"}]},{}]}`} {
		posts = 0
		answer["POST /v1/querybatch"] = bad
		if _, err := find(t, server.URL); gate.Code(err) != "vuln-db-unreachable" {
			t.Errorf("%s: %v", bad, err)
		}
	}
	server.Close()
	if _, err := find(t, server.URL); gate.Code(err) != "vuln-db-unreachable" {
		t.Error(err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(record("GO-2026-0001", `,"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.2.0"}]}]`)), "Go", "v1.0.0")
	f.Add([]byte(record("GO-2026-0001", `,"versions":["1"],"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"last_affected":"x"}]}]`)), "PyPI", "1.0rc1")
	f.Fuzz(func(t *testing.T, data []byte, ecosystem, version string) {
		r, err := Parse(data, "x")
		if err != nil {
			if gate.Code(err) == "" {
				t.Fatalf("refused without a code: %v", err)
			}
			return
		}
		for _, a := range r.Affected {
			j := r.Judge(Package{Ecosystem: a.Package.Ecosystem, Name: a.Package.Name, Version: version}, time.Now())
			if (j.Verdict == Undecided) != (j.Why != "") {
				t.Fatalf("%+v", j)
			}
			r.Judge(Package{Ecosystem: ecosystem, Name: a.Package.Name, Version: version}, time.Now())
		}
	})
}

func FuzzSkim(f *testing.F) {
	f.Add([]byte(record("GO-2026-0001", "")))
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := skim(data, "x")
		if err != nil {
			if gate.Code(err) == "" {
				t.Fatalf("refused without a code: %v", err)
			}
			return
		}
		r, err := Parse(data, "x")
		if err != nil {
			return
		}
		var want []RecordPackage
		for _, a := range r.Affected {
			if a.Package.Name != "" {
				want = append(want, RecordPackage{Ecosystem: a.Package.Ecosystem, Name: a.Package.Name})
			}
		}
		h.packages = slices.DeleteFunc(h.packages, func(p RecordPackage) bool { return p.Name == "" })
		if !slices.Equal(want, h.packages) {
			t.Fatalf("%v, but %v", h.packages, want)
		}
	})
}

func FuzzFromPurl(f *testing.F) {
	f.Add("pkg:deb/debian/libssl3@3.0.1-1?arch=amd64&distro=debian-12&upstream=openssl%403.0.1-1")
	f.Fuzz(func(_ *testing.T, purl string) { _, _ = FromPurl(purl) })
}
