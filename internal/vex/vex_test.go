package vex

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/decision"
	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/osv"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/trust"
)

var now = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// statement makes a document with one statement of these fields.
func document(statement string) string {
	return `{"@context":"https://openvex.dev/ns/v0.2.0","@id":"https://example.org/vex/1","author":"Ann","timestamp":"2026-11-01T00:00:00Z","version":1,"statements":[` + statement + `]}`
}

const good = `{"vulnerability":{"name":"GO-1","aliases":["CVE-1"]},"products":[{"@id":"pkg:generic/hello","subcomponents":[{"@id":"pkg:golang/example.org/m"}]}],"status":"not_affected","justification":"component_not_present"}`

func TestParse(t *testing.T) {
	for name, c := range map[string]struct{ text, code string }{
		"good":                             {document(good), ""},
		"affected with an action":          {document(strings.NewReplacer(`"not_affected","justification":"component_not_present"`, `"affected","action_statement":"upgrade"`).Replace(good)), ""},
		"affected without an action":       {document(strings.NewReplacer(`"not_affected","justification":"component_not_present"`, `"affected"`).Replace(good)), "vex-invalid"},
		"affected with a blank action":     {document(strings.NewReplacer(`"not_affected","justification":"component_not_present"`, `"affected","action_statement":" \t"`).Replace(good)), "vex-invalid"},
		"not affected with a blank reason": {document(strings.NewReplacer(`"justification":"component_not_present"`, `"impact_statement":"\n"`).Replace(good)), "vex-invalid"},
		"not affected without a reason":    {document(strings.NewReplacer(`,"justification":"component_not_present"`, ``).Replace(good)), "vex-invalid"},
		"a justification of their own":     {document(strings.NewReplacer(`component_not_present`, `because`).Replace(good)), "vex-invalid"},
		"a status of their own":            {document(strings.NewReplacer(`not_affected`, `fine`).Replace(good)), "vex-invalid"},
		"a justification of what is":       {document(strings.NewReplacer(`not_affected`, `fixed`).Replace(good)), "vex-invalid"},
		"no products":                      {document(`{"vulnerability":{"name":"GO-1"},"status":"fixed"}`), "vex-invalid"},
		"a product without a name":         {document(`{"vulnerability":{"name":"GO-1"},"products":[{}],"status":"fixed"}`), "vex-invalid"},
		"a purl that is none":              {document(strings.Replace(good, "pkg:golang/example.org/m", "pkg:", 1)), "vex-invalid"},
		"no vulnerability":                 {document(strings.Replace(good, `"name":"GO-1"`, `"name":""`, 1)), "vex-invalid"},
		"no statements":                    {document(``), "vex-invalid"},
		"no author":                        {strings.Replace(document(good), `"author":"Ann"`, `"author":""`, 1), "vex-invalid"},
		"no id":                            {strings.Replace(document(good), `"@id":"https://example.org/vex/1"`, `"@id":""`, 1), "vex-invalid"},
		"version 0":                        {strings.Replace(document(good), `"version":1`, `"version":0`, 1), "vex-invalid"},
		"a time that is none":              {strings.Replace(document(good), `2026-11-01T00:00:00Z`, `yesterday`, 1), "vex-invalid"},
		"of the future":                    {strings.Replace(document(good), "v0.2.0", "v1.0.0", 1), "vex-version"},
		"another document":                 {`{"hello":"world"}`, "vex-version"},
		"a key twice":                      {strings.Replace(document(good), `"version":1`, `"version":1,"version":2`, 1), "vex-invalid"},
		"cut off":                          {document(good)[:200], "vex-invalid"},
		"ten megabytes":                    {document(good) + strings.Repeat(" ", MaxSize), "vex-too-large"},
		"a vulnerability that is a word":   {document(strings.Replace(good, `{"name":"GO-1","aliases":["CVE-1"]}`, `"GO-1"`, 1)), "vex-invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := Parse([]byte(c.text), "x")
			if gate.Code(err) != c.code {
				t.Fatalf("%v, want %q", err, c.code)
			}
			if err != nil {
				return
			}
			data, err := d.Encode()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Parse(data, "x"); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestDecide(t *testing.T) {
	m := osv.Package{Ecosystem: "Go", Name: "example.org/m", Version: "v1.0.0"}
	debian := func(e string) osv.Package { return osv.Package{Ecosystem: e, Name: "openssl", Version: "3.0"} }
	sha := strings.Repeat("a", 64)
	product := func(p string) string {
		return `{"vulnerability":{"name":"GO-1"},"products":[` + p + `],"status":"fixed"}`
	}
	for name, c := range map[string]struct {
		statement string
		ids       []string
		pkg       osv.Package
		want      bool
	}{
		"the project and the part":       {good, []string{"GO-1"}, m, true},
		"under an alias":                 {good, []string{"CVE-1", "GHSA-1"}, m, true},
		"another vulnerability":          {good, []string{"GO-2"}, m, false},
		"another part":                   {good, []string{"GO-1"}, osv.Package{Ecosystem: "Go", Name: "example.org/n", Version: "v1.0.0"}, false},
		"another project":                {strings.Replace(good, "generic/hello", "generic/hello2", 1), []string{"GO-1"}, m, false},
		"another version of it":          {strings.Replace(good, "generic/hello", "generic/hello@v2.0.0", 1), []string{"GO-1"}, m, false},
		"this version of it":             {strings.Replace(good, "generic/hello", "generic/hello@v1.4.2", 1), []string{"GO-1"}, m, true},
		"the part at this version":       {strings.Replace(good, "example.org/m", "example.org/m@v1.0.0", 1), []string{"GO-1"}, m, true},
		"the part at another version":    {strings.Replace(good, "example.org/m", "example.org/m@v1.0.1", 1), []string{"GO-1"}, m, false},
		"the part of another registry":   {strings.Replace(good, "golang/example.org/m", "npm/example.org/m", 1), []string{"GO-1"}, m, false},
		"the part by itself":             {product(`{"@id":"pkg:golang/example.org/m@v1.0.0"}`), []string{"GO-1"}, m, true},
		"the part by its identifier":     {product(`{"identifiers":{"purl":"pkg:golang/example.org/m"}}`), []string{"GO-1"}, m, true},
		"the file, by its digest":        {product(`{"hashes":{"sha-256":"` + sha + `"}}`), []string{"GO-1"}, m, true},
		"another file":                   {product(`{"hashes":{"sha-256":"` + strings.Repeat("b", 64) + `"}}`), []string{"GO-1"}, m, false},
		"a distribution's release":       {product(`{"@id":"pkg:deb/debian/openssl@3.0?distro=debian-12"}`), []string{"GO-1"}, debian("Debian:12"), true},
		"another release of it":          {product(`{"@id":"pkg:deb/debian/openssl@3.0?distro=debian-11"}`), []string{"GO-1"}, debian("Debian:12"), false},
		"all releases of it":             {product(`{"@id":"pkg:deb/debian/openssl@3.0"}`), []string{"GO-1"}, debian("Debian:12"), true},
		"a release, where none is known": {product(`{"@id":"pkg:deb/debian/openssl@3.0?distro=debian-11"}`), []string{"GO-1"}, debian("Debian"), false},
		"the project as a whole":         {product(`{"@id":"pkg:generic/hello"}`), []string{"GO-1"}, m, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := &Set{Products: []string{"pkg:generic/hello@v1.4.2"}}
			if err := s.AddPlain("x", []byte(document(c.statement))); err != nil {
				t.Fatal(err)
			}
			if d, ok := s.Decide(c.ids, c.pkg, []string{sha}); ok != c.want || ok && !d.Settles() {
				t.Errorf("%v %+v", ok, d)
			}
		})
	}
}

// TestUnused shows that a document that decides nothing is named, with the reason.
func TestUnused(t *testing.T) {
	m := osv.Package{Ecosystem: "Go", Name: "example.org/m", Version: "v1.0.0"}
	for name, c := range map[string]struct {
		products, ids []string
		want          string
	}{
		"it decides":      {[]string{"pkg:generic/hello"}, []string{"GO-1"}, ""},
		"another product": {nil, []string{"GO-1"}, "--product"},
		"not found":       {[]string{"pkg:generic/hello"}, []string{"GO-2"}, "no vulnerability"},
	} {
		s := &Set{Products: c.products}
		if err := s.AddPlain("x", []byte(document(good))); err != nil {
			t.Fatal(err)
		}
		s.Decide(c.ids, m, nil)
		s.Decide([]string{"GO-7"}, m, nil)
		got := strings.Join(s.Unused(), "\n")
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestNewestCounts(t *testing.T) {
	later := strings.Replace(document(strings.NewReplacer(`"not_affected","justification":"component_not_present"`, `"under_investigation"`).Replace(good)), "2026-11-01", "2026-11-02", 1)
	same := strings.Replace(later, "2026-11-02", "2026-11-01", 1)
	m := osv.Package{Ecosystem: "Go", Name: "example.org/m", Version: "v1.0.0"}
	for _, docs := range [][]string{{document(good), later}, {later, document(good)}, {document(good), same}, {same, document(good)}} {
		s := &Set{Products: []string{"pkg:generic/hello"}}
		for _, d := range docs {
			if err := s.AddPlain("x", []byte(d)); err != nil {
				t.Fatal(err)
			}
		}
		if d, ok := s.Decide([]string{"GO-1"}, m, nil); !ok || d.Status != UnderInvestigation {
			t.Errorf("%+v", d)
		}
	}
}

// people makes keys and a trust file with a manager, a builder and somebody whom it does not name.
func people(t *testing.T) (tr *trust.Trust, keys map[string]*sign.Key) {
	t.Helper()
	keys = map[string]*sign.Key{}
	text := "version: 1\nproject: hello\nsource: https://example.org/hello\nexpires: 2028-01-01\nidentities:\n"
	for _, name := range []string{"manager", "builder", "stranger"} {
		k, err := sign.Generate()
		if err != nil {
			t.Fatal(err)
		}
		keys[name] = k
		if name == "stranger" {
			continue
		}
		pem, err := k.PublicPEM()
		if err != nil {
			t.Fatal(err)
		}
		text += "  " + name + ":\n    key: |\n      " + strings.ReplaceAll(strings.TrimSpace(string(pem)), "\n", "\n      ") + "\n"
	}
	text += "roles:\n  builder: {identities: [builder]}\n  manager: {identities: [manager], threshold: 1}\nbuilders:\n  - {id: https://github.com/sello-release/sello/builders/host/v1, signer: builder, level: 1}\n"
	tr, err := trust.Parse("trust.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return tr, keys
}

func TestJudge(t *testing.T) {
	tr, keys := people(t)
	doc := []byte(document(good))
	exception := func(change func(*Exception)) Exception {
		e := Exception{Project: "hello", Identity: "manager", Role: trust.RoleManager, Time: now.Add(-time.Hour), Expires: now.Add(time.Hour), Trust: attest.Pinned{Path: "trust.yaml", SHA256: tr.Digest(), Version: 1}}
		if change != nil {
			change(&e)
		}
		return e
	}
	for name, c := range map[string]struct {
		signer   string
		change   func(*Exception)
		document []byte
		code     string
	}{
		"a manager":                   {"manager", nil, doc, ""},
		"a builder":                   {"builder", func(e *Exception) { e.Identity = "builder" }, doc, "vex-not-manager"},
		"a builder as the manager":    {"builder", nil, doc, "vex-not-manager"},
		"a stranger":                  {"stranger", nil, doc, "no-trusted-signer"},
		"another name":                {"manager", func(e *Exception) { e.Identity = "builder" }, doc, "vex-identity"},
		"another role":                {"manager", func(e *Exception) { e.Role = "builder" }, doc, "vex-not-manager"},
		"another document":            {"manager", nil, []byte(strings.Replace(string(doc), "CVE-1", "CVE-2", 1)), "vex-other-document"},
		"another project":             {"manager", func(e *Exception) { e.Project = "goodbye" }, doc, "vex-other-project"},
		"expired":                     {"manager", func(e *Exception) { e.Expires = now }, doc, "vex-expired"},
		"in the future":               {"manager", func(e *Exception) { e.Time, e.Expires = now.Add(time.Hour), now.Add(2*time.Hour) }, doc, "vex-future"},
		"for longer than can be seen": {"manager", func(e *Exception) { e.Expires = now.Add(2 * decision.MaxValidity) }, doc, "vex-too-long"},
	} {
		t.Run(name, func(t *testing.T) {
			e := exception(c.change)
			s, err := attest.NewStatement([]attest.Subject{{Name: "x", Digest: map[string]string{"sha256": digest.Bytes(doc)}}}, decision.Exception.Type, e)
			if err != nil {
				t.Fatal(err)
			}
			payload, err := s.Encode()
			if err != nil {
				t.Fatal(err)
			}
			bundle, err := sign.SignStatement(context.Background(), keys[c.signer], attest.PayloadType, payload)
			if err != nil {
				t.Fatal(err)
			}
			got, err := Judge(c.document, bundle, tr, "hello", now)
			if gate.Code(err) != c.code || err == nil && got.Identity != "manager" {
				t.Errorf("%v, want %q", err, c.code)
			}
			set := &Set{Products: []string{"pkg:generic/hello"}}
			if err := set.AddSigned("x", c.document, bundle, tr, "hello", now); err != nil {
				t.Fatal(err)
			}
			d, ok := set.Decide([]string{"GO-1"}, osv.Package{Ecosystem: "Go", Name: "example.org/m", Version: "v1"}, nil)
			if ok != (c.code == "") || len(set.Ignored) == 1 != (c.code != "") || ok && d.By != "manager" {
				t.Errorf("%v %+v %v", ok, d, set.Ignored)
			}
			if c.code != "" && !strings.Contains(fmt.Sprint(set.Ignored), "["+c.code+"]") {
				t.Error(set.Ignored)
			}
		})
	}
	set := &Set{}
	if err := set.AddSigned("x", doc, nil, tr, "hello", now); err != nil || !strings.Contains(fmt.Sprint(set.Ignored), "[vex-unsigned]") {
		t.Error(err, set.Ignored)
	}
	if _, err := Judge(doc, []byte("{}"), tr, "hello", now); gate.Code(err) == "" {
		t.Error(err)
	}
	bundle, err := Sign(context.Background(), keys["manager"], "x", doc, exception(nil))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Judge(doc, bundle, tr, "hello", now); err != nil {
		t.Error(err)
	}
	if _, err := Sign(context.Background(), keys["manager"], "x", doc, exception(func(e *Exception) { e.Expires = e.Time })); gate.Code(err) != "vex-too-long" {
		t.Error(err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(document(good)))
	f.Add([]byte(document(`{"vulnerability":{"name":"GO-1"},"products":[{"hashes":{"sha-256":"aa"}}],"status":"fixed"}`)))
	f.Fuzz(func(t *testing.T, data []byte) {
		s := &Set{Products: []string{"pkg:generic/hello"}}
		if err := s.AddPlain("x", data); err != nil {
			if gate.Code(err) == "" {
				t.Fatalf("refused without a code: %v", err)
			}
			return
		}
		s.Decide([]string{"GO-1"}, osv.Package{Ecosystem: "Go", Name: "example.org/m", Version: "v1"}, []string{"aa"})
	})
}
