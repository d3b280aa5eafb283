package format_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sbom"
	"github.com/sello-release/sello/internal/sbom/format"
)

var update = flag.Bool("update", false, "rewrite golden files")

// full has something in every field of the model.
func full() *sbom.Document {
	at := time.Date(2026, 11, 20, 9, 30, 0, 0, time.UTC)
	sum := func(c string, n int) string { return strings.Repeat(c, n) }
	doc := &sbom.Document{
		Name: "hello <v1.4.2>", Namespace: "https://example.org/hello-1", Created: at, Comment: "A comment\nof two lines",
		Phase: sbom.PhaseBuild, License: sbom.DataLicense,
		Tools:   []sbom.Tool{{Name: "sello", Version: "v1.0.0"}},
		Authors: []sbom.Agent{{Kind: sbom.AgentPerson, Name: "A Maintainer", Email: "maintainer@example.org"}, {Kind: sbom.AgentOrganization, Name: "Example"}},
		Packages: []sbom.Package{
			{ID: "Root", Name: "hello", Version: "v1.4.2", Purpose: sbom.PurposeApplication, PURL: "pkg:golang/example.org/hello@v1.4.2", FileName: "hello",
				Supplier: sbom.Agent{Kind: sbom.AgentOrganization, Name: "Example", Email: "info@example.org"}, Originator: sbom.Agent{Kind: sbom.AgentPerson, Name: "A Maintainer"},
				Download: "git+https://example.org/hello@5471f1c1a2d4d0c6a2e3b5c8f7d1e0a9b8c7d6e5", Homepage: "https://example.org/hello",
				Checksums: []sbom.Checksum{{Algorithm: sbom.SHA256, Value: sum("a", 64)}, {Algorithm: sbom.SHA512, Value: sum("b", 128)}},
				License:   sbom.License{Declared: "MIT", Concluded: "Apache-2.0", Confidence: 0.97, Comment: "by its text", Copyright: "Copyright A\nCopyright B"},
				Summary:   "Says hello", Description: "Says hello to\neverybody", SourceInfo: "git commit 5471f1c1", Comment: "built with care",
				CPEs: []string{"cpe:2.3:a:example:hello:1.4.2:*:*:*:*:*:*:*", "cpe:2.3:a:example:hullo:1.4.2:*:*:*:*:*:*:*"}, Verification: "da39a3ee5e6b4b0d3255bfef95601890afd80709", Complete: true},
			{ID: "Lib", Name: "example.org/lib", Version: "v0.3.0", Purpose: sbom.PurposeLibrary, PURL: "pkg:golang/example.org/lib@v0.3.0",
				License: sbom.License{Declared: "MIT OR Apache-2.0", Concluded: "LicenseRef-own"},
				Refs:    []sbom.Ref{{Category: "OTHER", Type: sbom.DirHash, Locator: "h1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", Comment: "Hash over the module's files"}}},
			{ID: "Src", Name: "hello source", Version: "v1.4.2", Purpose: sbom.PurposeSource, License: sbom.License{Declared: sbom.None}, Complete: true,
				Download: "git+https://example.org/hello@5471f1c1a2d4d0c6a2e3b5c8f7d1e0a9b8c7d6e5"},
			{ID: "Sys", Name: "debian", Version: "12", Purpose: sbom.PurposeOS},
			{ID: "Zip", Name: "hello.zip", Purpose: sbom.PurposeArchive},
		},
		Files: []sbom.FileEntry{{ID: "File", Name: "bin/hello", Types: []string{"BINARY", "APPLICATION"}, Comment: "Go program",
			Checksums: []sbom.Checksum{{Algorithm: sbom.SHA1, Value: sum("c", 40)}, {Algorithm: sbom.SHA256, Value: sum("d", 64)}}, License: sbom.License{Concluded: "MIT"}}},
		Relations: []sbom.Relation{
			{From: sbom.DocumentID, Kind: sbom.Describes, To: "Root"},
			{From: "Root", Kind: sbom.DependsOn, To: "Lib", Comment: "imported by example.org/hello/cmd"},
			{From: "Root", Kind: sbom.DependsOn, To: "Sys"},
			{From: "Root", Kind: sbom.Contains, To: "File"},
			{From: "Root", Kind: sbom.GeneratedFrom, To: "Src"},
			{From: "Src", Kind: sbom.Contains, To: "Zip"},
			{From: "Zip", Kind: sbom.GeneratedFrom, To: "Src"},
			{From: "Zip", Kind: sbom.BuildToolOf, To: "Root"},
			{From: "Src", Kind: "DESCRIBED_BY", To: "DocumentRef-source:SPDXRef-DOCUMENT"},
		},
		Licenses: []sbom.LicenseText{{ID: "LicenseRef-own", Text: "Do as you like.\nBe kind."}},
		Links:    []sbom.Link{{ID: "DocumentRef-source", URI: "https://example.org/source-1", Checksum: sbom.Checksum{Algorithm: sbom.SHA256, Value: sum("e", 64)}}},
		Notes:    []sbom.Note{{Of: "Lib", By: "Tool: sello-v1.0.0", Type: "OTHER", Time: at, Text: "Only claimed"}},
	}
	doc.Sort()
	return doc
}

func encode(t testing.TB, doc *sbom.Document, name string) []byte {
	t.Helper()
	data, err := format.Encode(doc, name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestNothingIsLostFromFormatToFormat writes and reads a document that has everything.
func TestNothingIsLostFromFormatToFormat(t *testing.T) {
	t.Parallel()
	for _, name := range format.Names {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := encode(t, full(), name)
			golden(t, name+".golden", data)
			if again := encode(t, full(), name); !bytes.Equal(data, again) {
				t.Error("the same document gives other bytes")
			}
			got, err := format.Decode(data)
			if err != nil {
				t.Fatal(err)
			}
			got.Sort()
			if diff := cmp.Diff(full(), got, cmpopts.IgnoreFields(sbom.Document{}, "Format"), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-written +read):\n%s", diff)
			}
			if name != format.SPDXTag {
				valid(t, name, data)
			}
		})
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// vectors finds data published by others, which is not part of the repository.
func vectors(t testing.TB, path ...string) string {
	t.Helper()
	folder := os.Getenv("SELLO_VECTORS")
	if folder == "" {
		gomod, err := exec.Command("go", "env", "GOMOD").Output()
		if err != nil {
			t.Skip("SELLO_VECTORS is not set, and there is no Go command to find the repository with")
		}
		folder = filepath.Join(filepath.Dir(string(gomod)), "..", "shared", "vectors")
	}
	p := filepath.Join(append([]string{folder}, path...)...)
	if _, err := os.Stat(p); err != nil {
		t.Skipf("no %s: set SELLO_VECTORS to a folder that has it", p)
	}
	return p
}

// valid holds a document to the format's own schema.
func valid(t *testing.T, name string, data []byte) {
	t.Helper()
	t.Run("schema", func(t *testing.T) {
		c := jsonschema.NewCompiler()
		main := "spdx-2.3.schema.json"
		if name == format.CycloneDX {
			main = "cyclonedx-bom-1.6.schema.json"
			for _, part := range []string{"cyclonedx-spdx.schema.json", "cyclonedx-jsf-0.82.schema.json"} {
				text, err := os.ReadFile(vectors(t, "schemas", part))
				if err != nil {
					t.Fatal(err)
				}
				value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
				if err != nil {
					t.Fatal(err)
				}
				if err := c.AddResource("http://cyclonedx.org/schema/"+strings.TrimPrefix(part, "cyclonedx-"), value); err != nil {
					t.Fatal(err)
				}
			}
		}
		schema, err := c.Compile(vectors(t, "schemas", main))
		if err != nil {
			t.Fatal(err)
		}
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(value); err != nil {
			t.Error(err)
		}
	})
}

func TestReadsWhatIsWrapped(t *testing.T) {
	t.Parallel()
	doc := encode(t, full(), format.SPDXJSON)
	statement := []byte(`{"_type":"https://in-toto.io/Statement/v1","subject":[],"predicateType":"https://spdx.dev/Document/v2.3","predicate":` + string(doc) + `}`)
	envelope, _ := json.Marshal(map[string]any{"payloadType": "application/vnd.in-toto+json", "payload": base64.StdEncoding.EncodeToString(statement), "signatures": []any{}})
	bundle := []byte(`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","dsseEnvelope":` + string(envelope) + `}`)
	for name, data := range map[string][]byte{"statement": statement, "envelope": envelope, "bundle": bundle, "mark": append([]byte("\xef\xbb\xbf"), doc...)} {
		got, err := format.Read(bytes.NewReader(data))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(got.Packages) != len(full().Packages) {
			t.Errorf("%s: %d packages", name, len(got.Packages))
		}
	}
}

// TestRefusals has one bad document for each reason, and holds it to its code.
func TestRefusals(t *testing.T) {
	t.Parallel()
	spdx := func(rest string) string { return `{"spdxVersion":"SPDX-2.3",` + rest + `}` }
	deep := strings.Repeat(`{"components":[`, 100)
	wrapped := "{}"
	for range 6 {
		wrapped = `{"_type":"x","predicate":` + wrapped + `}`
	}
	for name, test := range map[string]struct{ text, code string }{
		"nothing":                    {"", sbom.CodeFormat},
		"a list":                     {"[]", sbom.CodeFormat},
		"another object":             {`{"a":1}`, sbom.CodeFormat},
		"a text":                     {"hello", sbom.CodeFormat},
		"statements in statements":   {wrapped, sbom.CodeFormat},
		"cut JSON":                   {spdx(`"packages":[`)[:35], sbom.CodeMalformed},
		"a key twice":                {spdx(`"name":"a","name":"b"`), sbom.CodeMalformed},
		"wrong type":                 {spdx(`"packages":{"a":1}`), sbom.CodeMalformed},
		"number for a name":          {spdx(`"packages":[{"SPDXID":"SPDXRef-a","name":7}]`), sbom.CodeMalformed},
		"a time that is none":        {spdx(`"creationInfo":{"created":"yesterday"}`), sbom.CodeMalformed},
		"something behind it":        {spdx(`"name":"a"`) + "{}", sbom.CodeMalformed},
		"package without identifier": {spdx(`"packages":[{"name":"a"}]`), sbom.CodeMalformed},
		"payload that is no base64":  {`{"payload":"***","payloadType":"x"}`, sbom.CodeMalformed},
		"two with one identifier":    {spdx(`"packages":[{"SPDXID":"SPDXRef-a","name":"a"},{"SPDXID":"SPDXRef-a","name":"b"}]`), sbom.CodeDuplicate},
		"package and file of one":    {spdx(`"packages":[{"SPDXID":"SPDXRef-a","name":"a"}],"files":[{"SPDXID":"SPDXRef-a","fileName":"b"}]`), sbom.CodeDuplicate},
		"the document's own":         {spdx(`"packages":[{"SPDXID":"SPDXRef-DOCUMENT","name":"a"}]`), sbom.CodeDuplicate},
		"SPDX 2.1":                   {`{"spdxVersion":"SPDX-2.1"}`, sbom.CodeVersion},
		"SPDX 9":                     {"SPDXVersion: SPDX-9.0\n", sbom.CodeVersion},
		"tag-value without version":  {"# SPDX\nDocumentName: a\n", sbom.CodeVersion},
		"no tag":                     {"SPDXVersion: SPDX-2.3\nhello there\n", sbom.CodeMalformed},
		"text without end":           {"SPDXVersion: SPDX-2.3\nDocumentComment: <text>hello\n", sbom.CodeMalformed},
		"two words of relation":      {"SPDXVersion: SPDX-2.3\nRelationship: a b\n", sbom.CodeMalformed},
		"date without annotator":     {"SPDXVersion: SPDX-2.3\nAnnotationDate: 2026-01-01T00:00:00Z\n", sbom.CodeMalformed},
		"checksum without name":      {"SPDXVersion: SPDX-2.3\nPackageName: a\nSPDXID: SPDXRef-a\nPackageChecksum: abc\n", sbom.CodeMalformed},
		"reference of two words":     {"SPDXVersion: SPDX-2.3\nPackageName: a\nSPDXID: SPDXRef-a\nExternalRef: OTHER x\n", sbom.CodeMalformed},
		"document of two words":      {"SPDXVersion: SPDX-2.3\nExternalDocumentRef: a b\n", sbom.CodeMalformed},
		"bytes that are no text":     {spdx("\"name\":\"\xff\""), sbom.CodeUTF8},
		"no text in tag-value":       {"SPDXVersion: SPDX-2.3\nDocumentName: \xff\n", sbom.CodeUTF8},
		"too deep":                   {spdx(`"x":` + strings.Repeat("[", 300) + strings.Repeat("]", 300)), sbom.CodeTooLarge},
		"CycloneDX 1.3":              {`{"bomFormat":"CycloneDX","specVersion":"1.3"}`, sbom.CodeVersion},
		"CycloneDX 2.0":              {`{"bomFormat":"CycloneDX","specVersion":"2.0"}`, sbom.CodeVersion},
		"another bomFormat":          {`{"bomFormat":"Other","specVersion":"1.6"}`, sbom.CodeMalformed},
		"component twice":            {`{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{"bom-ref":"a","name":"x"},{"bom-ref":"a","name":"y"}]}`, sbom.CodeDuplicate},
		"components in components":   {`{"bomFormat":"CycloneDX","specVersion":"1.6","components":[` + deep + "{}" + strings.Repeat("]}", 100) + `]}`, sbom.CodeTooLarge},
		"tools of another type":      {`{"bomFormat":"CycloneDX","specVersion":"1.6","metadata":{"tools":[7]}}`, sbom.CodeMalformed},
		"annotation of no time":      {`{"bomFormat":"CycloneDX","specVersion":"1.6","annotations":[{"timestamp":"x"}]}`, sbom.CodeMalformed},
		"SPDX 4":                     {`{"@graph":[{"type":"CreationInfo","@id":"_:c","specVersion":"4.0"}]}`, sbom.CodeVersion},
		"graph without version":      {`{"@context":"x","@graph":[]}`, sbom.CodeVersion},
		"graph of another type":      {`{"@graph":7}`, sbom.CodeMalformed},
		"element twice":              {`{"@graph":[{"type":"CreationInfo","@id":"_:c","specVersion":"3.0.1"},{"type":"software_Package","spdxId":"a","name":"x"},{"type":"software_Package","spdxId":"a","name":"y"}]}`, sbom.CodeDuplicate},
	} {
		doc, err := format.Decode([]byte(test.text))
		if gate.Code(err) != test.code {
			t.Errorf("%s: expected %s, found %v", name, test.code, err)
		}
		if doc != nil {
			t.Errorf("%s: refused, and something was returned", name)
		}
	}
}

func TestReadFileSaysWhichFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "hello.json")
	if _, err := format.ReadFile(path); gate.Code(err) != format.CodeUnreadable {
		t.Errorf("a file that is not there: %v", err)
	}
	if err := os.WriteFile(path, []byte(`{"spdxVersion":"SPDX-2.3","name":7}`), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := format.ReadFile(path)
	var r *gate.Refusal
	if !errors.As(err, &r) || r.Where != path+": /name" {
		t.Errorf("%v", err)
	}
}

// TestTooLarge reads from something that does not end.
func TestTooLarge(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("reads 256 MB")
	}
	if _, err := format.Read(endless{}); gate.Code(err) != sbom.CodeTooLarge {
		t.Error(err)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// TestHostileTextStaysText writes line breaks and marks where tag-value has one line.
func TestHostileTextStaysText(t *testing.T) {
	t.Parallel()
	doc := full()
	doc.Packages[0].Name = "evil\nPackageName: forged\nSPDXID: SPDXRef-forged"
	doc.Packages[0].Comment = "</text>\nRelationship: SPDXRef-a CONTAINS SPDXRef-b"
	doc.Packages[0].ID = "an identifier, with\nothers"
	got, err := format.Decode(encode(t, doc, format.SPDXTag))
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Packages) != len(doc.Packages) || len(got.Relations) != len(doc.Relations) {
		t.Errorf("%d packages and %d relations became %d and %d", len(doc.Packages), len(doc.Relations), len(got.Packages), len(got.Relations))
	}
}

// TestReadsWhatOthersWrote reads every example that is there.
func TestReadsWhatOthersWrote(t *testing.T) {
	t.Parallel()
	read := 0
	for _, folder := range []string{filepath.Join("testdata", "others"), filepath.Join(os.Getenv("SELLO_VECTORS"), "spdx-examples")} {
		_ = filepath.WalkDir(folder, func(path string, e os.DirEntry, err error) error {
			if err != nil || e.IsDir() || !strings.HasSuffix(path, ".json") && !strings.HasSuffix(path, ".spdx") {
				return nil
			}
			doc, err := format.ReadFile(path)
			if err != nil {
				if gate.Code(err) == "" {
					t.Errorf("%s: %v", path, err)
				}
				return nil
			}
			read++
			for _, name := range format.Names {
				if _, err := format.Decode(encode(t, doc, name)); err != nil {
					t.Errorf("%s as %s: %v", path, name, err)
				}
			}
			return nil
		})
	}
	t.Logf("read %d documents", read)
	if read == 0 {
		t.Error("read none")
	}
}

func TestLargeDocument(t *testing.T) {
	t.Parallel()
	doc := many(20_000)
	got, err := format.Decode(encode(t, doc, format.SPDXJSON))
	if err != nil || len(got.Packages) != len(doc.Packages) {
		t.Error(len(got.Packages), err)
	}
}

// many gives a document with that many packages, each of which needs the next.
func many(n int) *sbom.Document {
	doc := &sbom.Document{Name: "many", Namespace: "https://example.org/many", Created: time.Unix(0, 0).UTC(), Tools: []sbom.Tool{{Name: "sello", Version: "v1"}}}
	for i := range n {
		doc.Packages = append(doc.Packages, sbom.Package{ID: fmt.Sprintf("P%06d", i), Name: fmt.Sprintf("example.org/group%d/package%d", i%100, i), Version: fmt.Sprintf("v1.%d.0", i%50),
			PURL: fmt.Sprintf("pkg:golang/example.org/group%d/package%d@v1.%d.0", i%100, i, i%50), License: sbom.License{Declared: []string{"MIT", "Apache-2.0", ""}[i%3]}})
		from := sbom.DocumentID
		kind := sbom.Describes
		if i > 0 {
			from, kind = fmt.Sprintf("P%06d", (i-1)/10), sbom.DependsOn
		}
		doc.Relations = append(doc.Relations, sbom.Relation{From: from, Kind: kind, To: doc.Packages[i].ID})
	}
	return doc
}

// TestSeveralPURLs keeps all package URLs of a package, from format to format.
func TestSeveralPURLs(t *testing.T) {
	t.Parallel()
	want := []string{"pkg:npm/a@1", "pkg:deb/debian/a@1"}
	for name, text := range map[string]string{
		"SPDX JSON": `{"spdxVersion":"SPDX-2.3","packages":[{"SPDXID":"SPDXRef-a","name":"a","externalRefs":[
			{"referenceCategory":"PACKAGE_MANAGER","referenceType":"purl","referenceLocator":"pkg:npm/a@1"},
			{"referenceCategory":"PACKAGE-MANAGER","referenceType":"purl","referenceLocator":"pkg:deb/debian/a@1"}]}]}`,
		"tag-value": "SPDXVersion: SPDX-2.3\nPackageName: a\nSPDXID: SPDXRef-a\nExternalRef: PACKAGE-MANAGER purl pkg:npm/a@1\nExternalRef: PACKAGE-MANAGER purl pkg:deb/debian/a@1\n",
		"SPDX 3": `{"@context":"c","@graph":[{"type":"CreationInfo","@id":"_:c","specVersion":"3.0.1"},{"type":"software_Package","spdxId":"a","name":"a","software_packageUrl":"pkg:npm/a@1",
			"externalIdentifier":[{"type":"ExternalIdentifier","externalIdentifierType":"packageUrl","identifier":"pkg:npm/a@1"},{"type":"ExternalIdentifier","externalIdentifierType":"packageUrl","identifier":"pkg:deb/debian/a@1"}]}]}`,
	} {
		doc, err := format.Decode([]byte(text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, to := range format.Names {
			data, err := format.Encode(doc, to)
			if err != nil {
				t.Fatal(err)
			}
			again, err := format.Decode(data)
			if err != nil {
				t.Fatal(err)
			}
			if got := again.Packages[0].PURLs(); !slices.Equal(got, want) {
				t.Errorf("%s, as %s: %q", name, to, got)
			}
		}
	}
}

// TestLeftOut names what is not read, and only that.
func TestLeftOut(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		`{"$schema":"x","bomFormat":"CycloneDX","specVersion":"1.5","version":1,"metadata":{"manufacture":{"name":"m"}},"services":[{"name":"s"}],"vulnerabilities":[{"id":"CVE-1"}],"formulation":[],
			"components":[{"type":"library","name":"a","pedigree":{"ancestors":[{"type":"library","name":"old"}]}},{"type":"library","name":"b","pedigree":{"notes":"n"},"evidence":{}}]}`: {"components[].pedigree", "metadata.manufacture", "services", "vulnerabilities"},
		`{"bomFormat":"CycloneDX","specVersion":"1.5","components":[{"type":"library","name":"a"}]}`:                                    nil,
		`{"spdxVersion":"SPDX-2.3","SPDXID":"SPDXRef-DOCUMENT","dataLicense":"CC0-1.0","name":"n","snippets":[{"SPDXID":"SPDXRef-s"}]}`: {"snippets"},
	} {
		doc, err := format.Decode([]byte(text))
		if err != nil {
			t.Error(err)
			continue
		}
		if !slices.Equal(doc.LeftOut, want) {
			t.Errorf("%q, want %q", doc.LeftOut, want)
		}
	}
}
