package vuln

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/osv"
)

var now = time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)

// records is a database in memory.
type records []string

func (r records) Find(context.Context, []osv.Package) (*osv.Found, error) {
	f := &osv.Found{URI: "memory", Newest: now.Add(-time.Hour), Total: len(r)}
	for _, text := range r {
		x, err := osv.Parse([]byte(text), "memory")
		if err != nil {
			return nil, err
		}
		f.Records = append(f.Records, x)
	}
	return f, nil
}

// record makes a record about a Go module, with more fields of the record and of its affected package.
func record(id, name, more, affected string) string {
	return fmt.Sprintf(`{"schema_version":"1.6.0","id":%q,"modified":"2026-11-01T10:00:00Z","summary":"About %s"%s,"affected":[{"package":{"ecosystem":"Go","name":%q},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.2.0"}]}]%s}]}`, id, id, more, name, affected)
}

func target(purls ...string) Target {
	t := Target{Name: "x.spdx.json", SHA256: strings.Repeat("a", 64)}
	for _, p := range purls {
		pkg, err := osv.FromPurl(p)
		if err != nil {
			panic(err)
		}
		t.Packages = append(t.Packages, pkg)
	}
	return t
}

// decided is a triage that has decided about one id.
type decided struct {
	id string
	Decision
}

func (d decided) Decide(ids []string, _ osv.Package, _ []string) (Decision, bool) {
	return d.Decision, slices.Contains(ids, d.id)
}

const (
	critical = `,"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}]`
	low      = `,"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N"}]`
)

func TestPolicy(t *testing.T) {
	m := "pkg:golang/example.org/m@v1.0.0"
	for name, c := range map[string]struct {
		db     records
		triage Triage
		purl   string
		want   map[Threshold]bool // does it refuse
	}{
		"nothing is known":           {records{}, nil, m, map[Threshold]bool{}},
		"fixed already":              {records{record("GO-1", "example.org/m", critical, "")}, nil, "pkg:golang/example.org/m@v1.2.0", map[Threshold]bool{}},
		"critical":                   {records{record("GO-1", "example.org/m", critical, "")}, nil, m, map[Threshold]bool{Any: true, High: true, Reachable: true}},
		"low":                        {records{record("GO-1", "example.org/m", low, "")}, nil, m, map[Threshold]bool{Any: true, Reachable: true}},
		"of an unknown severity":     {records{record("GO-1", "example.org/m", "", "")}, nil, m, map[Threshold]bool{Any: true, High: true, Reachable: true}},
		"a severity in a word":       {records{record("GO-1", "example.org/m", `,"database_specific":{"severity":"MODERATE"}`, "")}, nil, m, map[Threshold]bool{Any: true, Reachable: true}},
		"a version that is none":     {records{record("GO-1", "example.org/m", low, "")}, nil, "pkg:golang/example.org/m@yesterday", map[Threshold]bool{Any: true, Reachable: true}},
		"decided: no":                {records{record("GO-1", "example.org/m", critical, "")}, decided{"GO-1", Decision{Status: "not_affected"}}, m, map[Threshold]bool{}},
		"decided about an alias":     {records{record("GO-1", "example.org/m", critical+`,"aliases":["CVE-2026-1"]`, "")}, decided{"CVE-2026-1", Decision{Status: "fixed"}}, m, map[Threshold]bool{}},
		"decided about another":      {records{record("GO-1", "example.org/m", critical, "")}, decided{"GO-2", Decision{Status: "not_affected"}}, m, map[Threshold]bool{Any: true, High: true, Reachable: true}},
		"affected, with a plan":      {records{record("GO-1", "example.org/m", critical, "")}, decided{"GO-1", Decision{Status: "affected", Text: "fixed in the next"}}, m, map[Threshold]bool{}},
		"affected, without one":      {records{record("GO-1", "example.org/m", critical, "")}, decided{"GO-1", Decision{Status: "affected"}}, m, map[Threshold]bool{Any: true, High: true, Reachable: true}},
		"somebody looks into it yet": {records{record("GO-1", "example.org/m", critical, "")}, decided{"GO-1", Decision{Status: "under_investigation"}}, m, map[Threshold]bool{Any: true, High: true, Reachable: true}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, fail := range []Threshold{Never, Reachable, High, Any} {
				r, err := Check(context.Background(), []Target{target(c.purl)}, Options{Database: c.db, AsOf: 72 * time.Hour, Now: now, Fail: fail, Triage: c.triage})
				if err != nil {
					t.Fatal(err)
				}
				want := ""
				if c.want[fail] {
					want = "vulnerability-found"
				}
				if got := gate.Code(r.Err("x")); got != want {
					t.Errorf("fail: %s gives %q, want %q", fail, got, want)
				}
			}
		})
	}
}

func TestStale(t *testing.T) {
	_, err := Check(context.Background(), nil, Options{Database: records{}, AsOf: 72 * time.Hour, Now: now.Add(100 * time.Hour), Fail: Any})
	if gate.Code(err) != "vuln-db-stale" {
		t.Error(err)
	}
}

func TestAliasesAreOneFinding(t *testing.T) {
	db := records{
		record("GHSA-aaaa", "example.org/m", critical+`,"aliases":["CVE-2026-1"]`, ""), record("GO-2026-0001", "example.org/m", `,"aliases":["CVE-2026-1","GHSA-aaaa"]`, ""),
		record("CVE-2026-1", "example.org/m", low, ""), record("CVE-2026-2", "example.org/m", low, ""),
	}
	r, err := Check(context.Background(), []Target{target("pkg:golang/example.org/m@v1.0.0", "pkg:golang/example.org/m@v1.0.0")}, Options{Database: db, Now: now, Fail: Any})
	if err != nil {
		t.Fatal(err)
	}
	want := []Finding{
		{ID: "GO-2026-0001", Component: "pkg:golang/example.org/m", Aliases: []string{"CVE-2026-1", "GHSA-aaaa"}, Summary: "About GO-2026-0001", Fixed: []string{"1.2.0"}, Severity: Severity{Level: LevelCritical, Score: 9.8, Vector: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}, Reach: Unknown, Where: []string{"x.spdx.json"}, Offends: true},
		{ID: "CVE-2026-2", Component: "pkg:golang/example.org/m", Summary: "About CVE-2026-2", Fixed: []string{"1.2.0"}, Severity: Severity{Level: LevelLow, Score: 1.8, Vector: "CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N"}, Reach: Unknown, Where: []string{"x.spdx.json"}, Offends: true},
	}
	if diff := cmp.Diff(want, r.Findings, cmpopts.IgnoreFields(Finding{}, "Package"), cmpopts.IgnoreUnexported(Finding{}), cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}

func TestSeverity(t *testing.T) {
	for vector, want := range map[string]string{
		"CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N": "critical 9.3", "CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H": "critical 9.8",
		"AV:N/AC:L/Au:N/C:P/I:P/A:P": "high 7.5", "CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:N/I:N/A:N": "none", "CVSS:3.1/nonsense": "", "": "",
	} {
		got, ok := ofVector(vector)
		if ok != (want != "") || ok && got.String() != want {
			t.Errorf("%s: %v %v", vector, got, ok)
		}
	}
}

// TestWorstSeverity shows that the worst of all that a record says counts, and that what cannot be read may be worse.
func TestWorstSeverity(t *testing.T) {
	lowVector := `{"type":"CVSS_V3","score":"CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N"}`
	for name, c := range map[string]struct {
		more, affected string
		want           Level
	}{
		"a low vector and a critical word":    {`,"severity":[` + lowVector + `],"database_specific":{"severity":"CRITICAL"}`, "", LevelCritical},
		"a low vector, and one of the future": {`,"severity":[` + lowVector + `,{"type":"CVSS_V5","score":"CVSS:5.0/XX:Y"}]`, "", LevelUnknown},
		"no vector, and a low word":           {`,"severity":[{"type":"CVSS_V3","score":"garbage"}],"database_specific":{"severity":"LOW"}`, "", LevelUnknown},
		"a critical vector, and no vector":    {`,"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"},{"type":"X","score":"garbage"}]`, "", LevelCritical},
		"a score, and a low word":             {`,"severity":[{"type":"CVSS_V3","score":"9.8"}],"database_specific":{"severity":"LOW"}`, "", LevelCritical},
		"a distribution's word":               {`,"severity":[{"type":"Ubuntu","score":"medium"}]`, "", LevelMedium},
		"a word that nobody knows":            {`,"severity":[` + lowVector + `],"database_specific":{"severity":"SEVERE"}`, "", LevelUnknown},
		"low, and the package critical":       {`,"severity":[` + lowVector + `]`, critical, LevelCritical},
		"critical, and the package low":       {critical, `,"severity":[` + lowVector + `]`, LevelCritical},
		"nothing":                             {"", "", LevelUnknown},
		"low":                                 {low, "", LevelLow},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := Check(context.Background(), []Target{target("pkg:golang/example.org/m@v1.0.0")}, Options{Database: records{record("GO-1", "example.org/m", c.more, c.affected)}, Now: now, Fail: High})
			if err != nil {
				t.Fatal(err)
			}
			if f := r.Findings[0]; f.Severity.Level != c.want || f.Offends != (c.want == LevelCritical || c.want == LevelUnknown) {
				t.Errorf("%+v", f)
			}
		})
	}
}

// by is a triage that has decided about some ids, in things of one digest only unless that is "".
type by struct {
	ids    []string
	digest string
}

func (b by) Decide(ids []string, _ osv.Package, digests []string) (Decision, bool) {
	return Decision{Status: "fixed", Document: "d"}, slices.ContainsFunc(ids, func(id string) bool { return slices.Contains(b.ids, id) }) && (b.digest == "" || slices.Contains(digests, b.digest))
}

// TestDecidedInPart shows that a decision settles only what it is about: each file, and each record that is joined to others.
func TestDecidedInPart(t *testing.T) {
	db := records{record("GO-1", "example.org/m", `,"aliases":["CVE-1"]`, ""), record("GO-2", "example.org/m", `,"aliases":["CVE-2"]`, ""), record("GHSA-x", "example.org/m", `,"aliases":["CVE-1","CVE-2"]`, "")}
	one, other := target("pkg:golang/example.org/m@v1.0.0"), target("pkg:golang/example.org/m@v1.0.0")
	other.Name, other.SHA256 = "y", strings.Repeat("b", 64)
	for name, c := range map[string]struct {
		db      records
		targets []Target
		by      by
		settled bool
		notes   int
	}{
		"one of two CVEs":         {db, []Target{one}, by{[]string{"CVE-1"}, ""}, false, 1},
		"one of them by its id":   {db, []Target{one}, by{[]string{"GO-1"}, ""}, false, 1},
		"both":                    {db, []Target{one}, by{[]string{"CVE-1", "GO-2"}, ""}, true, 0},
		"what is said to be both": {db, []Target{one}, by{[]string{"GHSA-x"}, ""}, true, 0},
		"by an alias of another":  {db[:1], []Target{one}, by{[]string{"CVE-1"}, ""}, true, 0},
		"another's id, one alias": {records{db[0], record("GHSA-y", "example.org/m", `,"aliases":["CVE-1"]`, "")}, []Target{one}, by{[]string{"GO-1"}, ""}, true, 0},
		"nothing":                 {db, []Target{one}, by{[]string{"CVE-3"}, ""}, false, 0},
		"in one of two files":     {db[:1], []Target{one, other}, by{[]string{"GO-1"}, one.SHA256}, false, 1},
		"in the other":            {db[:1], []Target{one, other}, by{[]string{"GO-1"}, other.SHA256}, false, 1},
		"in the one file":         {db[:1], []Target{one}, by{[]string{"GO-1"}, one.SHA256}, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			for range 10 {
				r, err := Check(context.Background(), c.targets, Options{Database: c.db, Now: now, Fail: Any, Triage: c.by})
				if err != nil {
					t.Fatal(err)
				}
				if len(r.Findings) != 1 || r.Findings[0].Offends == c.settled || len(r.Notes) != c.notes {
					t.Fatalf("%+v %v", r.Findings, r.Notes)
				}
			}
		})
	}
}

// TestDecidedByDocument shows that a decision about a program holds in a document that says to hold nothing else.
func TestDecidedByDocument(t *testing.T) {
	ours, theirs := strings.Repeat("c", 64), strings.Repeat("d", 64)
	artifact := func(id, sum string) string {
		return `{"SPDXID":"SPDXRef-` + id + `","name":"` + id + `","primaryPackagePurpose":"APPLICATION","checksums":[{"algorithm":"SHA256","checksumValue":"` + sum + `"}]}`
	}
	relation := func(from, to string) string {
		return `{"spdxElementId":"SPDXRef-` + from + `","relationshipType":"CONTAINS","relatedSpdxElement":"SPDXRef-` + to + `"}`
	}
	for _, c := range []struct {
		relations string
		settled   bool
	}{{relation("ours", "m"), true}, {relation("ours", "m") + "," + relation("theirs", "m"), false}} {
		doc := Target{Name: "doc", SHA256: strings.Repeat("e", 64)}
		text := `{"spdxVersion":"SPDX-2.3","SPDXID":"SPDXRef-DOCUMENT","name":"d","packages":[` + artifact("ours", ours) + "," + artifact("theirs", theirs) + `,{"SPDXID":"SPDXRef-m","name":"m","externalRefs":[{"referenceType":"purl","referenceLocator":"pkg:golang/example.org/m@v1.0.0"}]}],"relationships":[` + c.relations + `]}`
		if err := parseDocument(&doc, []byte(text), "doc"); err != nil {
			t.Fatal(err)
		}
		r, err := Check(context.Background(), []Target{doc}, Options{Database: records{record("GO-1", "example.org/m", "", "")}, Now: now, Fail: Any, Triage: by{[]string{"GO-1"}, ours}})
		if err != nil || r.Findings[0].Offends == c.settled {
			t.Errorf("%v %+v", err, r)
		}
	}
}

// build compiles a program that calls strings.ToUpper and has no use for net/http.
func build(t *testing.T, dir string, flags ...string) string {
	t.Helper()
	goCommand, err := exec.LookPath("go")
	if err != nil {
		t.Skip("there is no go command")
	}
	for name, text := range map[string]string{"go.mod": "module example.org/program\n\ngo 1.26\n", "main.go": "package main\n\nimport (\n\t\"os\"\n\t\"strings\"\n)\n\n//go:noinline\nfunc upper(s string) string { return strings.ToUpper(s) }\n\nfunc main() { println(upper(os.Args[0])) }\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	out := filepath.Join(dir, "bin", "program")
	if runtime.GOOS == "windows" {
		out += ".exe"
	}
	cmd := exec.Command(goCommand, append([]string{"build", "-buildvcs=false", "-o", out}, append(flags, ".")...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=", "CGO_ENABLED=0", "GOCACHE="+goCache(t))
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return out
}

func goCache(t *testing.T) string {
	if out, err := exec.Command("go", "env", "GOCACHE").Output(); err == nil && strings.TrimSpace(string(out)) != "" {
		return strings.TrimSpace(string(out))
	}
	return t.TempDir()
}

// stdlib makes a record about packages of the standard library, in all versions.
func stdlib(id, imports string) string {
	text := record(id, "stdlib", "", `,"ecosystem_specific":{"imports":`+imports+`}`)
	return strings.Replace(text, `,{"fixed":"1.2.0"}`, "", 1)
}

func TestReach(t *testing.T) {
	dir := t.TempDir()
	build(t, dir)
	db := records{
		stdlib("GO-2099-0001", `[{"path":"strings","symbols":["ToUpper"]}]`), stdlib("GO-2099-0002", `[{"path":"strings","symbols":["NewReplacer"]}]`),
		stdlib("GO-2099-0003", `[{"path":"net/http","symbols":["Get"]}]`), stdlib("GO-2099-0006", `[{"symbols":["Get"]}]`), stdlib("GO-2099-0007", `[{"path":"net/http","symbols":["Get"]}]`), stdlib("GO-2099-0007", `[{"path":"strings","symbols":["ToUpper"]}]`), stdlib("GO-2099-0005", `[{"path":"strings","symbols":["ToUpper"],"goos":["plan9"]}]`), strings.Replace(record("GO-2099-0004", "stdlib", "", ""), `,{"fixed":"1.2.0"}`, "", 1),
	}
	check := func(targets []Target) map[string]Reach {
		t.Helper()
		r, err := Check(context.Background(), targets, Options{Database: db, Now: now, Fail: Reachable, Symbols: symbols})
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]Reach{}
		for _, f := range r.Findings {
			got[f.ID] = f.Reach
			if f.Offends != (f.Reach == Called || f.Reach == Unknown) {
				t.Errorf("%s: %s, offends %v", f.ID, f.Reach, f.Offends)
			}
			if f.ID == "GO-2099-0001" && f.Reach == Called && !cmp.Equal(f.Symbols, []string{"strings.ToUpper"}) {
				t.Errorf("symbols %v", f.Symbols)
			}
		}
		return got
	}
	targets, err := Read(context.Background(), filepath.Join(dir, "bin"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]Reach{"GO-2099-0001": Called, "GO-2099-0002": Imported, "GO-2099-0003": Required, "GO-2099-0004": Unknown, "GO-2099-0005": Required, "GO-2099-0006": Unknown, "GO-2099-0007": Called}
	if diff := cmp.Diff(want, check(targets)); diff != "" {
		t.Error(diff)
	}
	// A document about this very program adds nothing.
	program := targets[0]
	held := func(holders string) string { return strings.ReplaceAll(holders, "PROGRAM", program.SHA256) }
	std := `{"SPDXID":"SPDXRef-std","name":"stdlib","externalRefs":[{"referenceType":"purl","referenceLocator":"pkg:golang/stdlib@` + program.Packages[0].Version + `"}]}`
	mine := `{"SPDXID":"SPDXRef-main","name":"example.org/program","externalRefs":[{"referenceType":"purl","referenceLocator":"pkg:golang/example.org/program"}]}`
	artifact := func(id, purpose, sum string) string {
		return held(`{"SPDXID":"SPDXRef-` + id + `","name":"` + id + `","primaryPackagePurpose":"` + purpose + `","checksums":[{"algorithm":"SHA256","checksumValue":"` + sum + `"}]}`)
	}
	relation := func(from, kind, to string) string {
		return `{"spdxElementId":"SPDXRef-` + from + `","relationshipType":"` + kind + `","relatedSpdxElement":"SPDXRef-` + to + `"}`
	}
	ours, theirs := artifact("ours", "APPLICATION", "PROGRAM"), artifact("theirs", "APPLICATION", strings.Repeat("b", 64))
	source, archive := `{"SPDXID":"SPDXRef-source","name":"source","primaryPackagePurpose":"SOURCE"}`, artifact("archive", "ARCHIVE", strings.Repeat("c", 64))
	unknown := map[string]Reach{"GO-2099-0001": Called, "GO-2099-0002": Unknown, "GO-2099-0003": Unknown, "GO-2099-0004": Unknown, "GO-2099-0005": Unknown, "GO-2099-0006": Unknown, "GO-2099-0007": Called}
	for name, c := range map[string]struct {
		packages, relations []string
		want                map[string]Reach
	}{
		"about the program":                          {[]string{ours, std}, []string{relation("DOCUMENT", "DESCRIBES", "ours"), relation("ours", "CONTAINS", "std")}, want},
		"about the program, without relations":       {[]string{ours, std}, []string{relation("DOCUMENT", "DESCRIBES", "ours")}, want},
		"about the program, the other way around":    {[]string{ours, std}, []string{relation("ours", "DESCRIBED_BY", "DOCUMENT"), relation("std", "CONTAINED_BY", "ours")}, want},
		"by way of its main module":                  {[]string{ours, mine, std}, []string{relation("DOCUMENT", "DESCRIBES", "ours"), relation("ours", "CONTAINS", "main"), relation("main", "DEPENDS_ON", "std")}, want},
		"about an archive with the program":          {[]string{archive, ours, std}, []string{relation("DOCUMENT", "DESCRIBES", "archive"), relation("archive", "CONTAINS", "ours"), relation("ours", "CONTAINS", "std")}, want},
		"about an archive with another, too":         {[]string{archive, ours, theirs, std}, []string{relation("DOCUMENT", "DESCRIBES", "archive"), relation("archive", "CONTAINS", "ours"), relation("archive", "CONTAINS", "theirs"), relation("ours", "CONTAINS", "std"), relation("theirs", "CONTAINS", "std")}, unknown},
		"another one that says it differently":       {[]string{ours, theirs, std}, []string{relation("DOCUMENT", "DESCRIBES", "ours"), relation("ours", "CONTAINS", "std"), relation("theirs", "STATIC_LINK", "std")}, unknown},
		"another one that needs the same module":     {[]string{ours, theirs, mine, std}, []string{relation("DOCUMENT", "DESCRIBES", "ours"), relation("ours", "CONTAINS", "main"), relation("main", "DEPENDS_ON", "std"), relation("theirs", "CONTAINS", "main")}, unknown},
		"the program stands beside an archive of it": {[]string{archive, ours, std}, []string{relation("DOCUMENT", "DESCRIBES", "archive"), relation("archive", "CONTAINS", "ours"), relation("archive", "CONTAINS", "std")}, unknown},
		"it describes nothing":                       {[]string{ours, std}, nil, unknown},
		"in a circle":                                {[]string{mine, std}, []string{relation("main", "DEPENDS_ON", "std"), relation("std", "DEPENDS_ON", "main")}, unknown},
		"about something else":                       {[]string{theirs, std}, []string{relation("DOCUMENT", "DESCRIBES", "theirs")}, unknown},
		"sources that it was built from":             {[]string{source, mine, std}, []string{relation("DOCUMENT", "DESCRIBES", "source"), relation("source", "CONTAINS", "main"), relation("main", "DEPENDS_ON", "std")}, want},
		"sources of something else":                  {[]string{source, std}, []string{relation("DOCUMENT", "DESCRIBES", "source"), relation("source", "CONTAINS", "std")}, unknown},
		"sources with a program in them":             {[]string{source, mine, theirs, std}, []string{relation("DOCUMENT", "DESCRIBES", "source"), relation("source", "CONTAINS", "main"), relation("source", "CONTAINS", "theirs"), relation("theirs", "CONTAINS", "std")}, unknown},
	} {
		t.Run(name, func(t *testing.T) {
			doc := Target{Name: "doc"}
			text := `{"spdxVersion":"SPDX-2.3","SPDXID":"SPDXRef-DOCUMENT","name":"d","packages":[` + strings.Join(c.packages, ",") + `],"relationships":[` + strings.Join(c.relations, ",") + `]}`
			if err := parseDocument(&doc, []byte(text), "doc"); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, check([]Target{program, doc})); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(c.want, check([]Target{doc, program})); diff != "" {
				t.Error("in the other order", diff)
			}
			if got := check([]Target{doc}); got["GO-2099-0003"] != Unknown {
				t.Errorf("alone: %v", got)
			}
		})
	}
	// What sources name and no program has is required, when the programs were built from them; a program in them may call it.
	evil := `{"SPDXID":"SPDXRef-evil","name":"evil","externalRefs":[{"referenceType":"purl","referenceLocator":"pkg:golang/example.org/evil@v1.0.0"}]}`
	db = records{record("GO-2099-0009", "example.org/evil", critical, `,"ecosystem_specific":{"imports":[{"path":"example.org/evil","symbols":["Bad"]}]}`)}
	for holder, want := range map[string]Reach{"main": Required, "source": Required, "theirs": Unknown} {
		doc := Target{Name: "doc"}
		text := `{"spdxVersion":"SPDX-2.3","SPDXID":"SPDXRef-DOCUMENT","name":"d","packages":[` + strings.Join([]string{source, mine, theirs, evil}, ",") + `],"relationships":[` +
			strings.Join([]string{relation("DOCUMENT", "DESCRIBES", "source"), relation("source", "CONTAINS", "main"), relation("source", "CONTAINS", "theirs"), relation(holder, "CONTAINS", "evil")}, ",") + `]}`
		if err := parseDocument(&doc, []byte(text), "doc"); err != nil {
			t.Fatal(err)
		}
		if got := check([]Target{program, doc}); got["GO-2099-0009"] != want {
			t.Errorf("held by %s: %v", holder, got)
		}
	}
}

// symbols reads them in this process: the programs of these tests are good.
func symbols(ctx context.Context, program string) ([]byte, error) {
	var b bytes.Buffer
	err := WriteSymbols(ctx, &b, program)
	return b.Bytes(), err
}

// TestSymbolsThatCannotBeRead shows that a reader that fails, or gives nonsense, leaves what is called unknown.
func TestSymbolsThatCannotBeRead(t *testing.T) {
	targets, err := Read(context.Background(), build(t, t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	for name, read := range map[string]func(context.Context, string) ([]byte, error){
		"none": nil, "it fails": func(context.Context, string) ([]byte, error) { return nil, errors.New("it crashed") },
		"nonsense": func(context.Context, string) ([]byte, error) { return []byte("{]"), nil }, "nothing": func(context.Context, string) ([]byte, error) { return nil, nil },
		"another header": func(context.Context, string) ([]byte, error) {
			return []byte(`{"name":"x"}{"pkgSymbols":[{"pkg":"x"}]}`), nil
		},
	} {
		r, err := Check(context.Background(), targets, Options{Database: records{stdlib("GO-2099-0003", `[{"path":"net/http","symbols":["Get"]}]`)}, Now: now, Fail: Reachable, Symbols: read})
		if err != nil || r.Findings[0].Reach != Unknown || !r.Findings[0].Offends || len(r.Notes) != 1 {
			t.Errorf("%s: %v %+v", name, err, r)
		}
	}
}

// TestStripped shows that what a stripped program calls is not claimed to be known.
func TestStripped(t *testing.T) {
	dir := t.TempDir()
	targets, err := Read(context.Background(), build(t, dir, "-ldflags=-s -w"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := Check(context.Background(), targets, Options{Database: records{stdlib("GO-2099-0003", `[{"path":"net/http","symbols":["Get"]}]`)}, Now: now, Fail: Reachable, Symbols: symbols})
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS == "linux" && (r.Findings[0].Reach != Unknown || len(r.Notes) != 1) {
		t.Errorf("%+v %v", r.Findings[0], r.Notes)
	}
}

func TestRead(t *testing.T) {
	spdx := `{"spdxVersion":"SPDX-2.3","SPDXID":"SPDXRef-DOCUMENT","name":"d","packages":[{"SPDXID":"SPDXRef-m","name":"m","externalRefs":[{"referenceType":"purl","referenceLocator":"pkg:golang/example.org/m@v1.0.0"}]},{"SPDXID":"SPDXRef-n","name":"nothing"}]}`
	cdx := `{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{"name":"a","purl":"pkg:npm/a@1","components":[{"name":"b","purl":"pkg:npm/b@2"}]}]}`
	for name, c := range map[string]struct {
		file, text string
		want       []string
		notes      int
		code       string
	}{
		"SPDX":                         {"a.spdx.json", spdx, []string{"example.org/m@v1.0.0"}, 1, ""},
		"CycloneDX":                    {"a.cdx.json", cdx, []string{"a@1", "b@2"}, 0, ""},
		"a statement with one":         {"a.json", `{"_type":"https://in-toto.io/Statement/v1","predicate":` + spdx + `}`, []string{"example.org/m@v1.0.0"}, 1, ""},
		"of a kind without ecosystem":  {"a.json", strings.Replace(spdx, "pkg:golang/example.org/m@v1.0.0", "pkg:generic/m@1", 1), []string{"m@1"}, 2, ""},
		"two package URLs":             {"a.json", strings.Replace(spdx, `"externalRefs":[`, `"externalRefs":[{"referenceType":"purl","referenceLocator":"pkg:golang/example.org/l@v1.0.0"},`, 1), []string{"example.org/l@v1.0.0", "example.org/m@v1.0.0"}, 1, ""},
		"an archive with nothing in":   {"a.json", `{"spdxVersion":"SPDX-2.3","SPDXID":"SPDXRef-DOCUMENT","name":"d","packages":[{"SPDXID":"SPDXRef-a","name":"a","primaryPackagePurpose":"ARCHIVE","checksums":[{"algorithm":"SHA256","checksumValue":"aa"}]}],"relationships":[{"spdxElementId":"SPDXRef-DOCUMENT","relationshipType":"DESCRIBES","relatedSpdxElement":"SPDXRef-a"}]}`, nil, 1, ""},
		"a version that is not known":  {"a.json", `{"spdxVersion":"SPDX-9.0"}`, nil, 0, "vuln-input-invalid"},
		"a purl that is none":          {"a.json", strings.Replace(spdx, "pkg:golang", "golang", 1), nil, 0, "vuln-input-invalid"},
		"another document":             {"a.json", `{"hello":"world"}`, nil, 0, "vuln-input-invalid"},
		"a list":                       {"a.json", `[1,2,3]`, nil, 0, "vuln-input-invalid"},
		"a document cut off":           {"a.json", spdx[:100], nil, 0, "vuln-input-invalid"},
		"statements in statements":     {"a.json", strings.Repeat(`{"predicate":`, 5) + spdx + strings.Repeat("}", 5), nil, 0, "vuln-input-invalid"},
		"an empty file":                {"a.json", ``, nil, 0, "vuln-input-invalid"},
		"a program that is not Go's":   {"a", "\x7fELF and nothing more", nil, 0, "vuln-input-invalid"},
		"what cannot be a program":     {"a.txt", "hello world", nil, 0, "vuln-input-invalid"},
		"keys twice: two readers read": {"a.json", `{"spdxVersion":"SPDX-2.3","packages":[],"packages":[]}`, nil, 0, "vuln-input-invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			p := filepath.Join(t.TempDir(), c.file)
			if err := os.WriteFile(p, []byte(c.text), 0o644); err != nil {
				t.Fatal(err)
			}
			targets, err := Read(context.Background(), p)
			if gate.Code(err) != c.code {
				t.Fatalf("%v, want %q", err, c.code)
			}
			if err != nil {
				return
			}
			var got []string
			for _, x := range targets[0].Packages {
				got = append(got, x.String())
			}
			if diff := cmp.Diff(c.want, got); diff != "" || targets[0].without+targets[0].elsewhere != c.notes {
				t.Error(diff, targets[0].Notes)
			}
		})
	}
	if _, err := Read(context.Background(), filepath.Join(t.TempDir(), "nothing")); gate.Code(err) != "file-missing" {
		t.Error(err)
	}
	if _, err := Read(context.Background(), t.TempDir()); gate.Code(err) != "vuln-input-invalid" {
		t.Error(err)
	}
}

func TestReadModFile(t *testing.T) {
	dir := t.TempDir()
	text := "module x\n\ngo 1.26\n\ntoolchain go1.26.8\n\nrequire (\n\texample.org/a v1.0.0\n\texample.org/b v1.0.0\n\texample.org/c v1.0.0\n)\n\nreplace example.org/b => ../b\n\nreplace example.org/c => example.org/d v2.0.0\n"
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	targets, err := Read(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range targets[0].Packages {
		got = append(got, p.String())
	}
	if diff := cmp.Diff([]string{"example.org/a@v1.0.0", "example.org/b", "example.org/d@v2.0.0", "stdlib@1.26.8"}, got); diff != "" {
		t.Error(diff)
	}
}

// TestReplacedByVersion shows that a replacement of a version goes before one of all, as it does for Go; and that what lies
// beside go.mod is named.
func TestReplacedByVersion(t *testing.T) {
	text := "module x\n\ngo 1.26\n\nrequire example.org/m v1.0.0\n\nreplace example.org/m => example.org/fork v1.9.0\n\nreplace example.org/m v1.0.0 => example.org/bad v1.0.0\n"
	dir := folder(t, map[string]string{"go.mod": text, "deps.cdx.json": "{}", "bin/x": "\x7fELF", "tools/go.mod": "module y", "main.go": "package main"})
	targets, err := Read(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range targets[0].Packages {
		got = append(got, p.String())
	}
	if diff := cmp.Diff([]string{"example.org/bad@v1.0.0", "stdlib@1.26.0"}, got); diff != "" {
		t.Error(diff)
	}
	notes := strings.Join(targets[0].Notes, "\n")
	for _, want := range []string{"deps.cdx.json", "bin/x", "tools/go.mod", "3 programs", "line go 1.26"} {
		if !strings.Contains(notes, want) {
			t.Errorf("%s is not mentioned: %s", want, notes)
		}
	}
}

func folder(t *testing.T, files map[string]string) string {
	t.Helper()
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

// TestReadFolder shows that what is in a folder is read or named.
func TestReadFolder(t *testing.T) {
	spdx := `{"spdxVersion":"SPDX-2.3","SPDXID":"SPDXRef-DOCUMENT","name":"d","packages":[{"SPDXID":"SPDXRef-m","name":"m","externalRefs":[{"referenceType":"purl","referenceLocator":"pkg:golang/example.org/m@v1.0.0"}]}]}`
	cdx := `{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{"name":"a","purl":"pkg:npm/a@1"}]}`
	tar := strings.Repeat("x", 257) + "ustar"
	about := `{"spdxVersion":"SPDX-2.3","SPDXID":"SPDXRef-DOCUMENT","name":"d","packages":[{"SPDXID":"SPDXRef-a","name":"a","primaryPackagePurpose":"ARCHIVE","checksums":[{"algorithm":"SHA256","checksumValue":"` + digest.Bytes([]byte(tar)) + `"}]},{"SPDXID":"SPDXRef-m","name":"m","externalRefs":[{"referenceType":"purl","referenceLocator":"pkg:golang/example.org/m@v1.0.0"}]}],"relationships":[{"spdxElementId":"SPDXRef-DOCUMENT","relationshipType":"DESCRIBES","relatedSpdxElement":"SPDXRef-a"}]}`
	for name, c := range map[string]struct {
		files   map[string]string
		targets int
		note    string
		code    string
	}{
		"under other names":       {map[string]string{"a.spdx": "SPDXVersion: SPDX-2.3\nDataLicense: CC0-1.0\nSPDXID: SPDXRef-DOCUMENT\nDocumentName: d\nDocumentNamespace: https://example.org/d\n", "DEPS.CDX.JSON": cdx, "deps.cdx": cdx, "x.json": spdx, "package.json": `{"name":"x"}`}, 4, "", ""},
		"an archive":              {map[string]string{"a.spdx.json": spdx, "p.tar.gz": "x", "q": "PK\x03\x04", "r": tar}, 1, "3 archives", ""},
		"one that is described":   {map[string]string{"a.spdx.json": about, "r": tar}, 1, "", ""},
		"a program in C":          {map[string]string{"a.spdx.json": spdx, "p": "\x7fELF and nothing more"}, 1, "1 programs", ""},
		"no more than an archive": {map[string]string{"p.tar.gz": "x"}, 0, "", "vuln-input-invalid"},
		"broken":                  {map[string]string{"a.spdx.json": spdx, "x": `{"bomFormat":"CycloneDX"`}, 0, "", "vuln-input-invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			targets, err := Read(context.Background(), folder(t, c.files))
			if gate.Code(err) != c.code || len(targets) != c.targets {
				t.Fatalf("%v, %d targets", err, len(targets))
			}
			if err != nil {
				return
			}
			if notes := strings.Join(targets[0].Notes, "\n"); !strings.Contains(notes, c.note) || c.note == "" && notes != "" {
				t.Error(notes)
			}
		})
	}
	dir, outside := folder(t, map[string]string{"a.spdx.json": spdx}), folder(t, map[string]string{"b.spdx.json": spdx})
	for name, to := range map[string]string{"within": "a.spdx.json", "out": filepath.Join(outside, "b.spdx.json"), "away": outside, "broken": "nowhere"} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Skip(err)
		}
	}
	targets, err := Read(context.Background(), dir)
	if err != nil || len(targets) != 1 || !strings.Contains(strings.Join(targets[0].Notes, "\n"), "3 links") {
		t.Errorf("%v %+v", err, targets)
	}
	if os.Getuid() > 0 {
		if err := os.WriteFile(filepath.Join(dir, "secret"), []byte("\x7fELF"), 0); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(context.Background(), dir); gate.Code(err) != "vuln-input-invalid" {
			t.Error(err)
		}
	}
}

// TestReadEnds shows that reading ends when it is told to, and that what never ends is not read.
func TestReadEnds(t *testing.T) {
	dir := folder(t, map[string]string{"big": "\x7fELF"})
	if err := os.Truncate(filepath.Join(dir, "big"), 1<<36); err != nil {
		t.Skip(err)
	}
	for _, p := range []string{dir, filepath.Join(dir, "big")} {
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		if _, err := Read(ctx, p); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		cancel()
	}
	if runtime.GOOS != "windows" {
		if _, err := Read(context.Background(), os.DevNull); gate.Code(err) != "vuln-input-invalid" {
			t.Error(err)
		}
	}
}

func TestStatementAndSarif(t *testing.T) {
	r, err := Check(context.Background(), []Target{target("pkg:golang/example.org/m@v1.0.0")}, Options{Database: records{record("GO-1", "example.org/m", critical, "")}, Now: now, Fail: Any})
	if err != nil {
		t.Fatal(err)
	}
	s, err := r.Statement(nil, "v1")
	if err != nil {
		t.Fatal(err)
	}
	data, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"predicateType":"https://in-toto.io/attestation/vulns/v0.2"`, `"lastUpdate":"2026-11-19T23:00:00Z"`, `"severity":[{"method":"CVSS:3.1","score":"9.8"}]`, `"scanStartedOn":"2026-11-20T00:00:00Z"`, `"sha256":"aaaa`} {
		if !strings.Contains(string(data), want) {
			t.Errorf("%s lacks %s", data, want)
		}
	}
	data, err = json.Marshal(r.Sarif("v1"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"version":"2.1.0"`, `"ruleId":"GO-1"`, `"level":"error"`, `"security-severity":"9.8"`, `"uri":"x.spdx.json"`} {
		if !strings.Contains(string(data), want) {
			t.Errorf("%s lacks %s", data, want)
		}
	}
	again, err := Check(context.Background(), r.Targets, Options{Database: records{record("GO-1", "example.org/m", critical, "")}, Now: now, Fail: Any})
	if err != nil || cmp.Diff(r, again, cmpopts.IgnoreUnexported(Target{}, Finding{})) != "" {
		t.Error("the same bytes and the same database gave another report")
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Check(ctx, []Target{target("pkg:golang/example.org/m@v1.0.0")}, Options{Database: records{}, Now: now, Fail: Any}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func FuzzDocument(f *testing.F) {
	f.Add([]byte(`{"spdxVersion":"SPDX-2.3","packages":[{"externalRefs":[{"referenceType":"purl","referenceLocator":"pkg:golang/example.org/m@v1.0.0"}]}]}`))
	f.Add([]byte(`{"bomFormat":"CycloneDX","components":[{"name":"a","purl":"pkg:npm/a@1","components":[{"name":"b","purl":"pkg:npm/b@2"}]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := parseDocument(&Target{}, data, "x"); err != nil && gate.Code(err) == "" {
			t.Fatalf("refused without a code: %v", err)
		}
	})
}

// TestInputsThatAreTooLarge are refused before they are read whole.
func TestInputsThatAreTooLarge(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mod := filepath.Join(dir, "go.mod")
	if err := os.WriteFile(mod, []byte("module example.org/m\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := readModFile(mod); err != nil {
		t.Errorf("a small one: %v", err)
	}
	if err := os.Truncate(mod, maxModFile+1); err != nil {
		t.Fatal(err)
	}
	if _, err := readModFile(mod); gate.Code(err) != "vuln-input-too-large" {
		t.Errorf("go.mod: %v", err)
	}
	if err := readDocument(&Target{}, bytes.NewReader(nil), maxDocument+1, "x.spdx.json"); gate.Code(err) != "vuln-input-too-large" {
		t.Errorf("document: %v", err)
	}
}
