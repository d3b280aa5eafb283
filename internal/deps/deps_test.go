package deps_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sello-release/sello/internal/decision"
	"github.com/sello-release/sello/internal/deps"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/material"
	"github.com/sello-release/sello/internal/sbom"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/trust"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// gomod is a module in a document; a licence of "" is not known.
func gomod(id, version, license string) sbom.Package {
	return sbom.Package{ID: id, Name: "example.org/" + id, Version: version, PURL: "pkg:golang/example.org/" + id + "@" + version, Purpose: sbom.PurposeLibrary, License: sbom.License{Concluded: license}}
}

// document: main needs a and z; a needs b, which needs c and a again; alone and its friend are brought in by nobody.
func document() *sbom.Document {
	main := gomod("main", "v1.0.0", "")
	main.Purpose = sbom.PurposeApplication
	fork := gomod("fork", "v1.0.1", "MIT")
	return &sbom.Document{
		Packages: []sbom.Package{
			{ID: "release", Name: "hello"}, main, gomod("a", "v1.2.0", "MIT"), gomod("b", "v0.3.0", "Apache-2.0"), gomod("c", "v1.0.0", ""), gomod("z", "v1.0.0", "GPL-2.0-only WITH Classpath-exception-2.0"),
			gomod("alone", "v1.0.0", "MIT"), gomod("friend", "v1.0.0", "MIT"), gomod("original", "v1.0.0", ""), fork, {ID: "folder", Name: "./local"}, gomod("local", "v1.1.0", ""),
			{ID: "stdlib", Name: "stdlib", Version: "1.26.8", PURL: "pkg:golang/stdlib@1.26.8"}, {ID: "deb", Name: "bash", PURL: "pkg:deb/debian/bash@5"}, {ID: "npm", Name: "left-pad", Version: "1.0.0", PURL: "pkg:npm/%40scope/left-pad@1.0.0"},
			{ID: "odd", Name: "odd", Purpose: sbom.PurposeLibrary},
		},
		Relations: []sbom.Relation{
			{From: sbom.DocumentID, Kind: sbom.Describes, To: "release"}, {From: "release", Kind: sbom.Contains, To: "main"}, {From: "release", Kind: sbom.Contains, To: "c"},
			{From: "main", Kind: sbom.DependsOn, To: "a"}, {From: "main", Kind: sbom.DependsOn, To: "z"}, {From: "main", Kind: sbom.DependsOn, To: "fork"}, {From: "main", Kind: sbom.DependsOn, To: "folder"},
			{From: "main", Kind: sbom.DependsOn, To: "stdlib"}, {From: "a", Kind: sbom.DependsOn, To: "b"}, {From: "b", Kind: sbom.DependsOn, To: "a"}, {From: "c", Kind: "DEPENDENCY_OF", To: "b"},
			{From: "alone", Kind: sbom.DependsOn, To: "friend"}, {From: "friend", Kind: sbom.DependsOn, To: "alone"},
			{From: "fork", Kind: sbom.VariantOf, To: "original"}, {From: "folder", Kind: sbom.VariantOf, To: "local"},
		},
	}
}

func find(t *testing.T, s *deps.Set, name string) *deps.Dependency {
	t.Helper()
	for _, d := range s.All {
		if d.Name == name {
			return d
		}
	}
	t.Fatalf("there is no %s among %v", name, s.All)
	return nil
}

func TestFromDocument(t *testing.T) {
	t.Parallel()
	s := deps.FromDocument(document())
	var got []string
	for _, d := range s.All {
		got = append(got, strings.TrimSpace(fmt.Sprintf("%s direct=%v %s", d, d.Direct, strings.Join(d.Via, " > "))))
	}
	want := []string{
		"example.org/a@v1.2.0 direct=true", "example.org/alone@v1.0.0 direct=true", "example.org/b@v0.3.0 direct=false example.org/a@v1.2.0",
		"example.org/c@v1.0.0 direct=false example.org/a@v1.2.0 > example.org/b@v0.3.0", "example.org/fork@v1.0.1 direct=true", "example.org/friend@v1.0.0 direct=false example.org/alone@v1.0.0",
		"example.org/local@v1.1.0 direct=true", "example.org/z@v1.0.0 direct=true", "pkg:npm/@scope/left-pad@1.0.0 direct=true",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if f := find(t, s, "example.org/fork"); f.Replaces != "example.org/original@v1.0.0" || f.Local != "" {
		t.Errorf("%+v", f)
	}
	if l := find(t, s, "example.org/local"); l.Local != "./local" || l.Replaces != "example.org/local" {
		t.Errorf("%+v", l)
	}
	if s.Go != "1.26.8" || len(s.Notes) != 2 {
		t.Errorf("Go %s, notes %q", s.Go, s.Notes)
	}
}

func modules(version, published, sumdb string, names ...string) (out []material.Material) {
	for _, name := range names {
		out = append(out, material.Material{URI: "pkg:golang/example.org/" + name + "@" + version, Name: "example.org/" + name + "@" + version, Digest: map[string]string{"sha256": "00"},
			Annotations: map[string]string{"h1": "h1:x", "sumdb": sumdb, material.Published: published}})
	}
	return out
}

func TestObserve(t *testing.T) {
	t.Parallel()
	s := deps.FromDocument(document())
	old, young := "2024-01-01T00:00:00Z", "2026-11-23T11:00:00Z"
	ms := append(modules("v1.2.0", young, "verified", "a"), modules("v1.2.0", old, "verified", "a")...) // two records: the younger counts
	ms = append(ms, modules("v1.0.0", old, "exempt", "z", "mounted", "main")...)
	goMod := modules("v9.0.0", old, "verified", "chosen")
	goMod[0].URI += "#go.mod"
	s.Observe(append(ms, goMod...), "example.org/main")
	if a := find(t, s, "example.org/a"); !a.Observed || a.Unvouched != "" || a.Published.Format(time.RFC3339) != young {
		t.Errorf("%+v", a)
	}
	if z := find(t, s, "example.org/z"); z.Unvouched == "" {
		t.Errorf("%+v", z)
	}
	if m := find(t, s, "example.org/mounted"); m.Linked || m.Direct || !m.Observed {
		t.Errorf("%+v", m)
	}
	for _, d := range s.All {
		if d.Name == "example.org/main" || d.Name == "example.org/chosen" {
			t.Errorf("%s is no dependency", d)
		}
	}
}

func parse(t *testing.T, text string) *deps.Policy {
	t.Helper()
	p, err := deps.ParsePolicy(deps.FileName, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func codes(r *deps.Report) map[string]string {
	out := map[string]string{}
	for _, f := range r.Findings {
		out[f.Code] = strings.TrimSpace(out[f.Code] + " " + strings.TrimPrefix(f.Name, "example.org/"))
	}
	return out
}

// Each thing that a policy can ask for is refused, and is let through where it holds.
func TestJudge(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		policy string
		want   map[string]string
	}{
		"nothing":                        {"none: it is so", map[string]string{}},
		"denied licence":                 {"licenses: {deny: [Apache-2.0], unknown: allow}", map[string]string{"deps-license-denied": "b"}},
		"denied licence by pattern":      {"licenses: {deny: [GPL-2.0-*], unknown: allow}", map[string]string{"deps-license-denied": "z"}},
		"denied but for its exception":   {"licenses: {allow: [MIT, Apache-2.0, GPL-2.0-only WITH Classpath-exception-2.0], deny: [GPL-2.0-only], unknown: allow}", map[string]string{}},
		"allowed with any exception":     {"licenses: {allow: [MIT, Apache-2.0, GPL-2.0-only], unknown: allow}", map[string]string{}},
		"not allowed":                    {"licenses: {allow: [MIT], unknown: allow}", map[string]string{"deps-license-not-allowed": "b z"}},
		"unknown licence":                {"licenses: {allow: ['*']}", map[string]string{"deps-license-unknown": "c local pkg:npm/@scope/left-pad"}},
		"denied module":                  {"modules: {deny: [{module: example.org/a*, reason: x}]}", map[string]string{"deps-module-denied": "a alone"}},
		"denied version":                 {"modules: {deny: [{module: example.org/a, versions: <v1.2.0, reason: x}]}", map[string]string{}},
		"what a denied module became":    {"modules: {deny: [{module: example.org/original, reason: x}]}", map[string]string{"deps-module-denied": "fork"}},
		"modules not allowed":            {"modules: {allow: ['example.org/*']}", map[string]string{"deps-module-not-allowed": "pkg:npm/@scope/left-pad"}},
		"source not allowed":             {"sources: {allow: [example.org/a, pkg:npm], replacements: ['*'], unchecked: ['*']}", map[string]string{"deps-source-not-allowed": "alone b c fork friend mounted z"}},
		"replaced":                       {"sources: {unchecked: ['*']}", map[string]string{"deps-replaced": "fork local"}},
		"unchecked":                      {"sources: {replacements: ['*']}", map[string]string{"deps-unchecked": "alone b c fork friend z"}},
		"too young":                      {"quarantine: {min-age: 24h, except: [example.org/b, example.org/c, example.org/fork, example.org/friend, example.org/alone, 'pkg:*']}", map[string]string{"deps-quarantine": "a"}},
		"old enough":                     {"quarantine: {min-age: 1h, except: [example.org/b, example.org/c, example.org/fork, example.org/friend, example.org/alone, 'pkg:*']}", map[string]string{}},
		"of no known age":                {"quarantine: {min-age: 1h}", map[string]string{"deps-age-unknown": "alone b c fork friend pkg:npm/@scope/left-pad"}},
		"not approved":                   {"approvals: {direct: true, except: [example.org/z]}", map[string]string{"deps-not-approved": "a alone fork local pkg:npm/@scope/left-pad"}},
		"nothing has to be approved":     {"approvals: {managers: 2}", map[string]string{}},
		"what was only mounted is asked": {"modules: {deny: [{module: example.org/mounted, reason: x}]}", map[string]string{"deps-module-denied": "mounted"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := deps.FromDocument(document())
			s.Observe(append(modules("v1.2.0", "2026-11-23T11:00:00Z", "verified", "a"), append(modules("v1.0.0", "2024-01-01T00:00:00Z", "exempt", "z"), modules("v2.0.0", "2024-01-01T00:00:00Z", "verified", "mounted")...)...), "")
			r := deps.NewReport(s)
			r.Judge(parse(t, test.policy), s, nil, deps.Scope{Now: now})
			if diff := cmp.Diff(test.want, codes(r)); diff != "" {
				t.Error(diff)
			}
			if err := r.Err("here"); (err == nil) != (len(test.want) == 0) {
				t.Errorf("%v", err)
			}
		})
	}
}

// What only a build's record tells is a note where there is none, and never a silent yes.
func TestPartial(t *testing.T) {
	t.Parallel()
	s := deps.FromDocument(document())
	r := deps.NewReport(s)
	r.Judge(parse(t, "sources: {replacements: ['*']}\nquarantine: {min-age: 24h}"), s, nil, deps.Scope{Now: now, Partial: true})
	if len(r.Findings) != 0 || len(r.Notes) != 4 {
		t.Errorf("%v, %q", r.Findings, r.Notes)
	}
}

func TestErrPutsWaitingLast(t *testing.T) {
	t.Parallel()
	s := deps.FromDocument(document())
	s.Observe(modules("v1.2.0", "2026-11-23T11:00:00Z", "verified", "a"), "")
	for _, test := range []struct{ policy, code string }{
		{"quarantine: {min-age: 24h, except: [example.org/b, example.org/c, example.org/fork, example.org/friend, example.org/alone, example.org/z, 'pkg:*']}", "deps-quarantine"},
		{"quarantine: {min-age: 24h}\nmodules: {deny: [{module: example.org/a, reason: x}]}", "deps-module-denied"},
	} {
		r := deps.NewReport(s)
		r.Judge(parse(t, test.policy), s, nil, deps.Scope{Now: now})
		if err := r.Err("here"); gate.Code(err) != test.code {
			t.Errorf("%v, want %s", err, test.code)
		}
	}
}

// people have the keys of a trust file.
func people(t *testing.T) (*trust.Trust, map[string]*sign.Key) {
	t.Helper()
	keys := map[string]*sign.Key{}
	text := "version: 1\nproject: hello\nsource: https://example.org/hello\nexpires: 2030-01-01\nidentities:\n"
	for _, name := range []string{"builder", "jane", "joe"} {
		key, err := sign.Generate()
		if err != nil {
			t.Fatal(err)
		}
		keys[name] = key
		pem, err := key.PublicPEM()
		if err != nil {
			t.Fatal(err)
		}
		text += "  " + name + ":\n    key: |\n      " + strings.ReplaceAll(strings.TrimSpace(string(pem)), "\n", "\n      ") + "\n"
	}
	text += "roles:\n  builder: {identities: [builder]}\n  manager: {identities: [jane, joe], threshold: 1}\nbuilders: [{id: https://example.org/b, signer: builder, level: 1}]\n"
	tr, err := trust.Parse("trust.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return tr, keys
}

func TestApprovals(t *testing.T) {
	t.Parallel()
	tr, keys := people(t)
	give := func(s *deps.Approved, who, text string, change func(*decision.Decision)) {
		t.Helper()
		d := decision.Decision{Project: "hello", Identity: who, Role: trust.RoleManager, Time: now.Add(-time.Hour), Expires: now.Add(time.Hour)}
		if change != nil {
			change(&d)
		}
		bundle, err := decision.Approval.Sign(t.Context(), keys[who], "x.yaml", []byte(text), d)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Add(who+".yaml", []byte(text), bundle, tr, "hello", now); err != nil {
			t.Fatal(err)
		}
	}
	const direct = "modules: [{module: example.org/a, versions: '>=v1.0.0 <v2.0.0-0'}]\nreason: x\n"
	for name, test := range map[string]struct {
		policy  string
		give    func(*deps.Approved)
		lifted  bool
		ignored string
	}{
		"one":             {"", func(s *deps.Approved) { give(s, "jane", direct, nil) }, true, ""},
		"one of two":      {"managers: 2", func(s *deps.Approved) { give(s, "jane", direct, nil) }, false, ""},
		"one twice":       {"managers: 2", func(s *deps.Approved) { give(s, "jane", direct, nil); give(s, "jane", direct, nil) }, false, ""},
		"two":             {"managers: 2", func(s *deps.Approved) { give(s, "jane", direct, nil); give(s, "joe", direct, nil) }, true, ""},
		"not of those":    {"by: [joe]", func(s *deps.Approved) { give(s, "jane", direct, nil) }, false, ""},
		"a builder":       {"", func(s *deps.Approved) { give(s, "builder", direct, nil) }, false, "approval-not-manager"},
		"another name":    {"", func(s *deps.Approved) { give(s, "jane", direct, func(d *decision.Decision) { d.Identity = "joe" }) }, false, "approval-identity"},
		"another project": {"", func(s *deps.Approved) { give(s, "jane", direct, func(d *decision.Decision) { d.Project = "bye" }) }, false, "approval-other-project"},
		"expired":         {"", func(s *deps.Approved) { give(s, "jane", direct, func(d *decision.Decision) { d.Expires = now }) }, false, "approval-expired"},
		"in the future": {"", func(s *deps.Approved) {
			give(s, "jane", direct, func(d *decision.Decision) { d.Time = now.Add(30 * time.Minute) })
		}, false, "approval-future"},
		"another version": {"", func(s *deps.Approved) { give(s, "jane", strings.ReplaceAll(direct, "<v2.0.0-0", "<v1.2.0"), nil) }, false, ""},
		"a pre-release": {"", func(s *deps.Approved) {
			give(s, "jane", strings.ReplaceAll(direct, "'>=v1.0.0 <v2.0.0-0'", "any"), nil)
		}, true, ""},
		"another module":     {"", func(s *deps.Approved) { give(s, "jane", strings.ReplaceAll(direct, "org/a", "org/aa"), nil) }, false, ""},
		"for something else": {"", func(s *deps.Approved) { give(s, "jane", strings.ReplaceAll(direct, "0'}", "0', for: [license]}"), nil) }, false, ""},
		"nobody":             {"", func(s *deps.Approved) { _ = s.Add("x.yaml", []byte(direct), nil, tr, "hello", now) }, false, "approval-unsigned"},
	} {
		t.Run(name, func(t *testing.T) {
			s := deps.FromDocument(document())
			approved := &deps.Approved{}
			test.give(approved)
			r := deps.NewReport(s)
			policy := "approvals: {direct: true, " + test.policy + ", except: [example.org/al*, example.org/f*, example.org/l*, example.org/z, 'pkg:*']}"
			r.Judge(parse(t, strings.ReplaceAll(policy, ", ,", ",")), s, approved, deps.Scope{Now: now})
			if lifted := len(r.Findings) == 0 && len(r.Lifted) == 1; lifted != test.lifted || !test.lifted && len(r.Lifted) > 0 {
				t.Errorf("lifted %v: %+v", r.Lifted, r.Findings)
			}
			if got := strings.Join(approved.Ignored, " "); !strings.Contains(got, test.ignored) || (got == "") != (test.ignored == "") {
				t.Errorf("ignored: %s", got)
			}
		})
	}
}

func TestFrom(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]string{"v1.8.0": ">=v1.8.0 <v2.0.0-0", "v0.3.1-rc.1": ">=v0.3.1-rc.1 <v1.0.0-0", "12.1": ">=12.1 <v13.0.0-0", "main": "=main"} {
		if got := deps.From(version); got != want {
			t.Errorf("%s: %s, want %s", version, got, want)
		}
	}
}

func TestEncodeIsWhatParseApprovalTakes(t *testing.T) {
	t.Parallel()
	a := &deps.Approval{Modules: []deps.ApprovedModule{{Module: "example.org/a", Versions: ">=v1", For: []string{deps.ForAge, deps.ForLicense}}, {Module: "pkg:npm/x", Versions: deps.AnyVersion}}, Reason: "It's: needed # really"}
	got, err := deps.ParseApproval("x", a.Encode())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(a, got); diff != "" {
		t.Error(diff)
	}
}

func TestParseRefusesByName(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 600)
	for text, code := range map[string]string{
		"":                              "deps-policy-empty",
		"# only words":                  "deps-policy-empty",
		"license: {}":                   "yaml-unknown-key",
		"licenses: {allow: [MIT, MIT]}": "deps-policy", "licenses: {allow: []}": "deps-policy", "licenses: {}": "deps-policy", "licenses: {deny: [AGLP-*]}": "deps-policy", "licenses: {deny: [GPL-3.0]}": "deps-policy",
		"licenses: {deny: [MIT OR ISC]}": "deps-policy", "licenses: {deny: [mit]}": "deps-policy", "licenses: {deny: [MIT], unknown: perhaps}": "deps-policy", "licenses: {deny: ['LicenseRef-a b']}": "deps-policy",
		"modules: {allow: []}": "deps-policy", "modules: {allow: [a b]}": "deps-policy", "modules: {allow: [a@v1]}": "deps-policy", "modules: {allow: ['https://x']}": "deps-policy", "modules: {allow: [" + long + "]}": "deps-policy",
		"modules: {deny: [{module: a, reason: ''}]}": "deps-policy", "modules: {deny: [{module: a}]}": "yaml-missing-key", "modules: {deny: [{module: a, versions: '><', reason: x}]}": "deps-policy", "modules: {deny: [{module: a, versions: '', reason: x}]}": "deps-policy",
		"sources: {allow: [github.com/*]}": "deps-policy", "sources: {allow: [github.com/]}": "deps-policy", "sources: {replacements: ['']}": "deps-policy",
		"quarantine: {min-age: 7d}": "deps-policy", "quarantine: {min-age: 1m}": "deps-policy", "quarantine: {}": "yaml-missing-key",
		"approvals: {managers: 0}": "deps-policy", "approvals: {by: []}": "deps-policy", "approvals: {by: [Jane Doe]}": "deps-policy", "approvals: {by: [jane], managers: 2}": "deps-policy",
		"none: ''": "deps-policy", "none: x\nquarantine: {min-age: 24h}": "deps-policy",
	} {
		if _, err := deps.ParsePolicy("p.yaml", []byte(text)); gate.Code(err) != code {
			t.Errorf("%.60q: %v, want %s", text, err, code)
		}
	}
	for text, code := range map[string]string{
		"modules: []\nreason: x": "approval-invalid", "modules: [{module: a, versions: any}]\nreason: ''": "approval-invalid", "modules: [{module: 'a*', versions: any}]\nreason: x": "approval-invalid",
		"modules: [{module: a, versions: '='}]\nreason: x": "approval-invalid", "modules: [{module: a, versions: any, for: [all]}]\nreason: x": "approval-invalid", "modules: [{module: a, versions: any, for: [age, age]}]\nreason: x": "approval-invalid",
		"modules: [{module: a}]\nreason: x": "yaml-missing-key", "modules: [{module: a, versions: any}]": "yaml-missing-key", "": "yaml-empty",
	} {
		if _, err := deps.ParseApproval("a.yaml", []byte(text)); gate.Code(err) != code {
			t.Errorf("%.60q: %v, want %s", text, err, code)
		}
	}
}

func TestCompare(t *testing.T) {
	t.Parallel()
	before, after := document(), document()
	after.Packages[2].Version, after.Packages[2].PURL = "v1.1.0", "pkg:golang/example.org/a@v1.1.0"
	after.Packages[3].License.Concluded = "MIT"
	after.Packages[12].Version = "1.26.9"
	after.Packages = append(after.Packages, gomod("new", "v1.0.0", "ISC"))
	after.Relations = append(after.Relations, sbom.Relation{From: "b", Kind: sbom.DependsOn, To: "new"}, sbom.Relation{From: "main", Kind: sbom.DependsOn, To: "c"})
	d := deps.Compare(deps.FromDocument(before), deps.FromDocument(after))
	brief := func(all []deps.Change) (out []string) {
		for _, c := range all {
			out = append(out, fmt.Sprintf("%s %s>%s direct=%v was=%v down=%v %s>%s", strings.TrimPrefix(c.Name, "example.org/"), c.From, c.To, c.Direct, c.WasDirect, c.Downgrade, c.WasLicense, c.License))
		}
		return out
	}
	if diff := cmp.Diff([]string{"a v1.2.0>v1.1.0 direct=true was=true down=true MIT>MIT", "c v1.0.0>v1.0.0 direct=true was=false down=false >", "b v0.3.0>v0.3.0 direct=false was=false down=false Apache-2.0>MIT"}, brief(d.Changed)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"new >v1.0.0 direct=false was=false down=false >ISC"}, brief(d.Added)); diff != "" || len(d.Removed) != 0 {
		t.Error(diff, d.Removed)
	}
	if len(d.Go) != 2 || d.Go[1] != "1.26.9" {
		t.Errorf("Go: %q", d.Go)
	}
	back := deps.Compare(deps.FromDocument(after), deps.FromDocument(before))
	if len(back.Removed) != 1 || back.Removed[0].Name != "example.org/new" {
		t.Errorf("%+v", back.Removed)
	}
	if same := deps.Compare(deps.FromDocument(before), deps.FromDocument(document())); !same.Empty() {
		t.Errorf("%+v", same)
	}
}

func TestComparePolicies(t *testing.T) {
	t.Parallel()
	a := parse(t, "licenses: {allow: [MIT], deny: [ISC]}\nquarantine: {min-age: 168h}\napprovals: {direct: true}\nsources: {}")
	b := parse(t, "licenses: {allow: [MIT], deny: [ISC], unknown: allow}\nquarantine: {min-age: 24h}\nmodules: {deny: [{module: x, reason: y}]}")
	want := []string{"- licenses.unknown: refuse", "- sources: no replacements and no unchecked modules but those listed", "- quarantine.min-age: 168h", "- approvals.direct: true", "- approvals.managers: 1",
		"+ licenses.unknown: allow", "+ modules.deny: x any (y)", "+ quarantine.min-age: 24h"}
	if diff := cmp.Diff(want, deps.ComparePolicies(a, b)); diff != "" {
		t.Error(diff)
	}
	if got := deps.ComparePolicies(a, a); len(got) != 0 {
		t.Errorf("%q", got)
	}
	if got := deps.ComparePolicies(a, nil); len(got) != 7 {
		t.Errorf("a policy that went: %q", got)
	}
}

// Whatever is read, reading ends, and what was taken can be judged by.
func FuzzParsePolicy(f *testing.F) {
	for _, text := range []string{"none: x", "licenses: {allow: [MIT, BSD-*], deny: [AGPL-*], unknown: allow}", "modules: {deny: [{module: a/*, versions: '>=v1 <v2', reason: x}]}", "sources: {allow: [a], unchecked: ['*']}", "quarantine: {min-age: 24h}", "approvals: {direct: true, managers: 2, by: [a, b]}"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := deps.ParsePolicy("p", data)
		if err != nil {
			return
		}
		s := deps.FromDocument(document())
		r := deps.NewReport(s)
		r.Judge(p, s, nil, deps.Scope{Now: now})
		if (r.Err("p") == nil) != (len(r.Findings) == 0) {
			t.Errorf("%d findings and %v", len(r.Findings), r.Err("p"))
		}
		if len(deps.ComparePolicies(p, p)) != 0 {
			t.Error("a policy differs from itself")
		}
	})
}

func FuzzParseApproval(f *testing.F) {
	f.Add([]byte("modules: [{module: a, versions: any, for: [age]}]\nreason: x"))
	f.Add([]byte("modules: [{module: pkg:npm/a, versions: '>=1 <2'}]\nreason: 'it''s'"))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := deps.ParseApproval("a", data)
		if err != nil {
			return
		}
		again, err := deps.ParseApproval("a", a.Encode())
		if err != nil || cmp.Diff(a, again) != "" {
			t.Errorf("%+v became %+v, %v", a, again, err)
		}
	})
}
