package query_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sello-release/sello/internal/sbom"
	"github.com/sello-release/sello/internal/sbom/query"
)

func pkg(id, version, license string) sbom.Package {
	return sbom.Package{ID: id, Name: "example.org/" + id, Version: version, PURL: "pkg:golang/example.org/" + id + "@" + version, License: sbom.License{Declared: license}}
}

// sample goes round: c needs a again.
func sample() *sbom.Document {
	return &sbom.Document{
		Packages: []sbom.Package{pkg("root", "v1.0.0", ""), pkg("a", "v1.2.0", "MIT"), pkg("b", "v0.9.0", "GPL-2.0-only OR MIT"), pkg("c", "v1.10.0", "Apache-2.0"), pkg("tool", "v1.0.0", ""), pkg("alone", "v1.0.0", "")},
		Files:    []sbom.FileEntry{{ID: "file", Name: "bin/x"}},
		Relations: []sbom.Relation{
			{From: sbom.DocumentID, Kind: sbom.Describes, To: "root"}, {From: "root", Kind: sbom.DependsOn, To: "a", Comment: "imported by example.org/root/cmd"},
			{From: "b", Kind: "DEPENDENCY_OF", To: "a"}, {From: "b", Kind: sbom.DependsOn, To: "c"}, {From: "c", Kind: sbom.DependsOn, To: "a"},
			{From: "root", Kind: sbom.DependsOn, To: "c"}, {From: "tool", Kind: sbom.BuildToolOf, To: "root"}, {From: "root", Kind: sbom.Contains, To: "file"},
			{From: "root", Kind: sbom.DependsOn, To: "nowhere"}, {From: "a", Kind: sbom.DependsOn, To: "a"},
		},
	}
}

func names(g *query.Graph, all []int32) string {
	var out []string
	for _, i := range all {
		out = append(out, strings.TrimPrefix(g.Node(i).Name(), "example.org/"))
	}
	return strings.Join(out, " ")
}

func TestMatch(t *testing.T) {
	t.Parallel()
	g := query.New(sample())
	for want, f := range map[string]query.Filter{
		"a":                       {Name: "a"},
		"a ":                      {Name: "EXAMPLE.ORG/A"},
		"a alone b c root tool":   {Name: "example.org/*"},
		"b":                       {License: "GPL-*"},
		"a b":                     {License: "mit"},
		"alone root tool":         {License: "unknown"},
		"a c":                     {Version: ">=1.2"},
		"a  ":                     {Version: ">=1.2 <1.10.0"},
		"alone root tool ":        {Version: "1.0.0"},
		"a c ":                    {Version: ">1.0.0", PURL: "pkg:golang/*"},
		"b ":                      {PURL: "pkg:golang/example.org/b"},
		"bin/x":                   {Name: "x", Files: true},
		"":                        {Name: "nothing"},
		"a alone b c root tool  ": {},
	} {
		got, err := g.Match(f)
		if err != nil || names(g, got) != strings.TrimSpace(want) {
			t.Errorf("%+v: %s, %v; want %s", f, names(g, got), err, want)
		}
	}
	for _, bad := range []string{">=", "><1", ">= 1", "=<1"} {
		if _, err := g.Match(query.Filter{Version: bad}); err == nil {
			t.Errorf("the range %q was read", bad)
		}
	}
}

func TestWhy(t *testing.T) {
	t.Parallel()
	g := query.New(sample())
	way := func(id string) string {
		i, ok := g.Find(id)
		if !ok {
			t.Fatal(id)
		}
		var out []string
		for _, s := range g.Why(i) {
			out = append(out, strings.TrimSpace(s.Kind+" "+g.Node(s.Node).ID+" "+s.Comment))
		}
		return strings.Join(out, ", ")
	}
	for id, want := range map[string]string{
		"root": "root", "b": "root, DEPENDS_ON a imported by example.org/root/cmd, DEPENDENCY_OF b", "c": "root, DEPENDS_ON c", "tool": "root, BUILD_TOOL_OF tool", "alone": "", "file": "root, CONTAINS file",
	} {
		if got := way(id); got != want {
			t.Errorf("%s: %s, want %s", id, got, want)
		}
	}
	if got := names(g, g.Unreached()); got != "alone" {
		t.Error(got)
	}
}

func draw(g *query.Graph, all []*query.Branch, indent string) string {
	var out string
	for _, b := range all {
		out += indent + g.Node(b.Node).ID
		if b.Again {
			out += " again"
		}
		if b.More > 0 {
			out += fmt.Sprintf(" +%d", b.More)
		}
		out += "\n" + draw(g, b.Below, indent+" ")
	}
	return out
}

func TestTree(t *testing.T) {
	t.Parallel()
	g := query.New(sample())
	for name, test := range map[string]struct {
		o    query.TreeOptions
		want string
	}{
		"all":    {query.TreeOptions{Files: true}, "root\n file\n a\n  b\n   c again\n c\n  a again\n tool\nalone\n"},
		"depth":  {query.TreeOptions{Depth: 1}, "root\n a +1\n c +1\n tool\nalone\n"},
		"filter": {query.TreeOptions{Filter: "tool"}, "root\n tool\n"},
		"limit":  {query.TreeOptions{Limit: 2}, "root\n a\n"},
	} {
		roots, full := g.Tree(test.o)
		if got := draw(g, roots, ""); got != test.want || full == (name == "limit") {
			t.Errorf("%s:\n%s", name, got)
		}
	}
}

func TestDocumentsThatSayNotWhatTheyDescribe(t *testing.T) {
	t.Parallel()
	doc := sample()
	doc.Relations = doc.Relations[1:]
	if got := names(query.New(doc), query.New(doc).Roots()); got != "alone root" {
		t.Error(got)
	}
	if roots, _ := query.New(&sbom.Document{}).Tree(query.TreeOptions{}); len(roots) != 0 {
		t.Error(roots)
	}
}

func TestCompareVersions(t *testing.T) {
	t.Parallel()
	ordered := []string{"", "0.9~rc1", "0.9", "v1.0.0-rc.1", "1.0.0", "v1.0.1", "1.2.0", "1.10.0", "2.36-9", "2.36-9+deb12u1", "2.36-10", "20250101"}
	for i := range ordered {
		for j := range ordered {
			got := query.CompareVersions(ordered[i], ordered[j])
			if (got < 0) != (i < j) || (got > 0) != (i > j) {
				t.Errorf("%q and %q: %d", ordered[i], ordered[j], got)
			}
		}
	}
}

func TestDiff(t *testing.T) {
	t.Parallel()
	from, to := sample(), sample()
	to.Packages[0].Version = "v1.1.0"
	to.Packages[1] = pkg("a", "v1.3.0", "MIT")
	to.Packages[2] = pkg("b", "v0.8.0", "MIT")
	to.Packages[3].License = sbom.License{Concluded: "BSD-3-Clause"}
	to.Packages[4] = pkg("new", "v1.0.0", "0BSD")
	d := query.Compare(from, to)
	want := &query.Diff{From: "example.org/root v1.0.0", To: "example.org/root v1.1.0",
		Added:   []query.Change{{Name: "example.org/new", PURL: "pkg:golang/example.org/new@v1.0.0", To: "v1.0.0", License: "0BSD"}},
		Removed: []query.Change{{Name: "example.org/tool", PURL: "pkg:golang/example.org/tool@v1.0.0", From: "v1.0.0"}},
		Upgraded: []query.Change{{Name: "example.org/a", PURL: "pkg:golang/example.org/a@v1.3.0", From: "v1.2.0", To: "v1.3.0", License: "MIT"},
			{Name: "example.org/b", PURL: "pkg:golang/example.org/b@v0.8.0", From: "v0.9.0", To: "v0.8.0", License: "MIT", Downgrade: true}},
		Licenses: []query.LicenseChange{{Name: "example.org/b", Version: "v0.8.0", From: "GPL-2.0-only OR MIT", To: "MIT"}, {Name: "example.org/c", Version: "v1.10.0", From: "Apache-2.0", To: "BSD-3-Clause"}}}
	if diff := cmp.Diff(want, d); diff != "" {
		t.Error(diff)
	}
	if !query.Compare(from, from).Empty() {
		t.Error("a document differs from itself")
	}
}

func depthOf(all []*query.Branch) int {
	deepest := 0
	for _, b := range all {
		deepest = max(deepest, 1+depthOf(b.Below))
	}
	return deepest
}

// TestPURLs finds a package by each of its package URLs, and its version where only they have it.
func TestPURLs(t *testing.T) {
	t.Parallel()
	doc := &sbom.Document{Packages: []sbom.Package{{ID: "a", Name: "a", PURL: "pkg:npm/a@1.0.0?x=y", Refs: []sbom.Ref{{Category: "PACKAGE-MANAGER", Type: sbom.PURLType, Locator: "pkg:deb/debian/a@1"}}}}}
	g := query.New(doc)
	for _, f := range []query.Filter{{PURL: "pkg:npm/a"}, {PURL: "pkg:deb/*"}, {Version: "=1.0.0"}} {
		if got, err := g.Match(f); err != nil || names(g, got) != "a" {
			t.Errorf("%+v: %v, %v", f, got, err)
		}
	}
	to := &sbom.Document{Packages: []sbom.Package{{ID: "a", Name: "a", PURL: "pkg:npm/a@2.0.0"}}}
	if d := query.Compare(doc, to); len(d.Upgraded) != 1 || d.Upgraded[0].From != "1.0.0" || d.Upgraded[0].To != "2.0.0" {
		t.Errorf("%+v", d)
	}
}

// TestHostileShapes asks documents that are made to take long.
func TestHostileShapes(t *testing.T) {
	t.Parallel()
	line, star, dense := &sbom.Document{}, &sbom.Document{}, &sbom.Document{}
	for i := range 50_000 {
		id := fmt.Sprint("p", i)
		line.Packages = append(line.Packages, sbom.Package{ID: id, Name: id})
		star.Packages = append(star.Packages, sbom.Package{ID: id, Name: id})
		line.Relations = append(line.Relations, sbom.Relation{From: id, Kind: sbom.DependsOn, To: fmt.Sprint("p", i+1)})
		star.Relations = append(star.Relations, sbom.Relation{From: "p0", Kind: sbom.Contains, To: id})
	}
	for i := range 500 {
		dense.Packages = append(dense.Packages, sbom.Package{ID: fmt.Sprint("p", i), Name: "same"})
		for j := range 500 {
			dense.Relations = append(dense.Relations, sbom.Relation{From: fmt.Sprint("p", i), Kind: sbom.DependsOn, To: fmt.Sprint("p", j)})
		}
	}
	dense.Relations = append(dense.Relations, sbom.Relation{From: sbom.DocumentID, Kind: sbom.Describes, To: "p0"})
	for name, doc := range map[string]*sbom.Document{"line": line, "star": star, "dense": dense} {
		started := time.Now()
		g := query.New(doc)
		roots, _ := g.Tree(query.TreeOptions{Files: true})
		g.Tree(query.TreeOptions{Filter: "p49999"})
		way := g.Why(int32(g.Len() - 1))
		if short := query.Short(way); len(way) > query.MaxTreeDepth && (len(short) != query.MaxTreeDepth || short[len(short)/2].Omitted != len(way)-len(short)) {
			t.Errorf("%s: %d steps of %d", name, len(short), len(way))
		}
		for _, depth := range []int{0, 1_000_000} {
			roots, _ := g.Tree(query.TreeOptions{Depth: depth})
			if deepest := depthOf(roots); deepest > query.MaxTreeDepth+1 {
				t.Errorf("%s: %d levels", name, deepest)
			}
		}
		if len(roots) == 0 {
			t.Errorf("%s: no tree", name)
		}
		t.Logf("%s: %v", name, time.Since(started))
	}
}

// TestCycle asks a document in which packages need each other, and one needs itself.
func TestCycle(t *testing.T) {
	t.Parallel()
	doc := &sbom.Document{Packages: []sbom.Package{pkg("a", "v1.0.0", ""), pkg("b", "v1.0.0", ""), pkg("c", "v1.0.0", "")}, Relations: []sbom.Relation{
		{From: "a", Kind: sbom.DependsOn, To: "b"}, {From: "b", Kind: sbom.DependsOn, To: "c"}, {From: "c", Kind: sbom.DependsOn, To: "a"}, {From: "b", Kind: sbom.DependsOn, To: "b"},
		{From: sbom.DocumentID, Kind: sbom.Describes, To: "a"}}}
	g := query.New(doc)
	roots, _ := g.Tree(query.TreeOptions{})
	if got := strings.Join(strings.Fields(draw(g, roots, "")), " "); got != "a b c a again" {
		t.Errorf("the tree: %s", got)
	}
	if i, _ := g.Find("c"); len(g.Why(i)) != 3 {
		t.Errorf("the way to c: %v", g.Why(i))
	}
}
