package check_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sello-release/sello/internal/sbom"
	"github.com/sello-release/sello/internal/sbom/check"
)

func good() *sbom.Document {
	sums := []sbom.Checksum{{Algorithm: sbom.SHA1, Value: "da39a3ee5e6b4b0d3255bfef95601890afd80709"}, {Algorithm: sbom.SHA256, Value: strings.Repeat("a", 64)}}
	return &sbom.Document{Name: "n", Namespace: "https://example.org/n", Created: time.Unix(1, 0), Tools: []sbom.Tool{{Name: "sello"}},
		Packages: []sbom.Package{{ID: "a", Name: "a", PURL: "pkg:golang/a@v1", Checksums: []sbom.Checksum{{Algorithm: sbom.SHA256, Value: strings.Repeat("b", 64)}},
			License: sbom.License{Declared: "MIT AND LicenseRef-x"}, Verification: "10a34637ad661d98ba3344717656fcc76209c2f8"}, {ID: "b", Name: "b", Version: "1", PURL: "pkg:npm/b@1"}},
		Files: []sbom.FileEntry{{ID: "f", Name: "f", Checksums: sums}}, Licenses: []sbom.LicenseText{{ID: "LicenseRef-x", Text: "x"}},
		Relations: []sbom.Relation{{From: sbom.DocumentID, Kind: sbom.Describes, To: "a"}, {From: "a", Kind: sbom.Contains, To: "f"}, {From: "a", Kind: sbom.Contains, To: "b"}, {From: "b", Kind: sbom.DependsOn, To: "a"}}}
}

func TestDocument(t *testing.T) {
	t.Parallel()
	if found := check.Document(good()); len(found) > 0 {
		t.Errorf("a good document: %v", found)
	}
	for code, spoil := range map[string]func(d *sbom.Document){
		"no-time":              func(d *sbom.Document) { d.Created = time.Time{} },
		"no-creator":           func(d *sbom.Document) { d.Tools = nil },
		"no-name":              func(d *sbom.Document) { d.Name = "" },
		"bad-namespace":        func(d *sbom.Document) { d.Namespace = "n" },
		"empty":                func(d *sbom.Document) { *d = sbom.Document{Name: "n"} },
		"bad-id":               func(d *sbom.Document) { d.Packages[1].ID = "b_c" },
		"no-package-name":      func(d *sbom.Document) { d.Packages[1].Name = "" },
		"no-file-name":         func(d *sbom.Document) { d.Files[0].Name = "" },
		"bad-purl":             func(d *sbom.Document) { d.Packages[1].PURL = "golang/b" },
		"no-sha1":              func(d *sbom.Document) { d.Files[0].Checksums = d.Files[0].Checksums[1:] },
		"weak-checksum":        func(d *sbom.Document) { d.Files[0].Checksums = d.Files[0].Checksums[:1] },
		"bad-checksum":         func(d *sbom.Document) { d.Packages[0].Checksums[0].Value = "abc" },
		"bad-license":          func(d *sbom.Document) { d.Packages[1].License.Concluded = "my own" },
		"license-text-missing": func(d *sbom.Document) { d.Licenses = nil },
		"dangling":             func(d *sbom.Document) { d.Relations[2].To = "c" },
		"describes-nothing":    func(d *sbom.Document) { d.Relations = d.Relations[1:] },
		"contains-itself":      func(d *sbom.Document) { d.Relations[3].Kind = sbom.Contains },
		"verification-code":    func(d *sbom.Document) { d.Packages[0].Verification = strings.Repeat("0", 40) },
	} {
		d := good()
		spoil(d)
		found := false
		for _, f := range check.Document(d) {
			found = found || f.Code == code
		}
		if !found {
			t.Errorf("%s: %v", code, check.Document(d))
		}
	}
}

// TestOptionalInCycloneDX takes a document without what its format does not ask for.
func TestOptionalInCycloneDX(t *testing.T) {
	t.Parallel()
	d := good()
	d.Format, d.Namespace, d.Created, d.Tools = "CycloneDX-1.6", "", time.Time{}, nil
	codes := map[string]bool{}
	for _, f := range check.Document(d) {
		if codes[f.Code] = true; f.Grave {
			t.Errorf("%+v", f)
		}
	}
	if !codes["no-serial-number"] || !codes["no-time"] || !codes["no-creator"] || codes["bad-namespace"] {
		t.Error(codes)
	}
	d.Namespace = "mine"
	if f := check.Document(d)[0]; f.Code != "bad-serial-number" || !f.Grave {
		t.Errorf("%+v", f)
	}
}

func TestManyFindingsAreCounted(t *testing.T) {
	t.Parallel()
	d := good()
	for range 100 {
		d.Packages = append(d.Packages, sbom.Package{ID: "x_y", Name: "x"})
	}
	found := check.Document(d)
	if len(found) != 21 || !strings.Contains(found[20].What, "80 more") {
		t.Errorf("%d findings, %+v", len(found), found[len(found)-1])
	}
}

func TestAgainst(t *testing.T) {
	t.Parallel()
	doc, made := good(), good()
	if c := check.Against(doc, made); len(c.Differences) > 0 || c.Files != 1 || c.Packages != 1 {
		t.Errorf("%+v", c)
	}
	made.Files[0].Checksums[1].Value = strings.Repeat("c", 64)
	made.Files = append(made.Files, sbom.FileEntry{ID: "g", Name: "g", Checksums: doc.Files[0].Checksums})
	doc.Files = append(doc.Files, sbom.FileEntry{ID: "h", Name: "./h", Checksums: doc.Files[0].Checksums})
	doc.Packages = append(doc.Packages, sbom.Package{ID: "c", Name: "c", Version: "2", PURL: "pkg:npm/c@2"}, sbom.Package{ID: "d", Name: "d", PURL: "pkg:deb/d@2"})
	made.Packages = append(made.Packages, sbom.Package{ID: "c", Name: "c", Version: "3", PURL: "pkg:npm/c@3"})
	made.Packages[0].Checksums = []sbom.Checksum{{Algorithm: sbom.SHA256, Value: strings.Repeat("d", 64)}}
	var got []string
	for _, d := range check.Against(doc, made).Differences {
		got = append(got, d.Kind+" "+d.What+" "+d.Name)
	}
	want := []string{"changed file f", "extra file h", "missing file g", "changed package a", "extra package pkg:deb/d@2", "extra package pkg:npm/c@2", "missing package pkg:npm/c@3"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	doc.Files = nil
	if c := check.Against(doc, made); !c.Unlisted || c.Files != 0 {
		t.Errorf("%+v", c)
	}
}

// TestAgainstWhatIsNotThere has a package in a document that the thing does not have, with and without a package URL, and of a kind
// that the thing has none of.
func TestAgainstWhatIsNotThere(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(doc, made *sbom.Document){
		"extra package ghost at 1": func(doc, _ *sbom.Document) {
			doc.Packages = append(doc.Packages, sbom.Package{ID: "g", Name: "ghost", Version: "1"})
		},
		"missing package ghost at 1": func(_, made *sbom.Document) {
			made.Packages = append(made.Packages, sbom.Package{ID: "g", Name: "ghost", Version: "1"})
		},
		"extra package pkg:deb/ghost@1": func(doc, _ *sbom.Document) {
			doc.Packages = append(doc.Packages, sbom.Package{ID: "g", Name: "ghost", Version: "1", PURL: "pkg:deb/ghost@1"})
		},
		"extra package pkg:npm/b@2": func(doc, _ *sbom.Document) {
			doc.Packages = append(doc.Packages, sbom.Package{ID: "g", Name: "b", Version: "2", PURL: "pkg:npm/b@2"})
		},
		"extra package pkg:npm/ghost@1": func(doc, _ *sbom.Document) {
			doc.Packages[1].Refs = []sbom.Ref{{Category: "PACKAGE-MANAGER", Type: sbom.PURLType, Locator: "pkg:npm/ghost@1"}}
		},
		"extra package ghost": func(doc, _ *sbom.Document) { // as if it were described, too
			doc.Packages = append(doc.Packages, sbom.Package{ID: "g", Name: "ghost"})
			doc.Relations = append(doc.Relations, sbom.Relation{From: sbom.DocumentID, Kind: sbom.Describes, To: "g"})
		},
		"changed licence pkg:npm/b@1": func(doc, made *sbom.Document) {
			doc.Packages[1].License.Concluded, made.Packages[1].License.Concluded = "MIT", "GPL-2.0-only"
		},
		"": func(doc, _ *sbom.Document) { doc.Packages[1].License.Concluded = "MIT" },
	} {
		doc, made := good(), good()
		change(doc, made)
		var got []string
		for _, d := range check.Against(doc, made).Differences {
			got = append(got, d.Kind+" "+d.What+" "+d.Name)
		}
		if !slices.Contains(append(got, ""), want) || want == "" && got != nil {
			t.Errorf("want %q, got %q", want, got)
		}
	}
}

// TestAgainstVersionOfTheRelease compares a program that does not know its version with a document that does.
func TestAgainstVersionOfTheRelease(t *testing.T) {
	t.Parallel()
	doc, made := good(), good()
	made.Packages[1].PURL, made.Packages[1].Version = "pkg:npm/b", ""
	if c := check.Against(doc, made); len(c.Differences) > 0 {
		t.Errorf("%+v", c)
	}
	if c := check.Against(made, doc); len(c.Differences) != 2 {
		t.Errorf("the document does not know a version that the thing has: %+v", c)
	}
}

// TestAgainstSourceArchives leaves what is in a source archive to its own document, and nothing else.
func TestAgainstSourceArchives(t *testing.T) {
	t.Parallel()
	doc, made := good(), good()
	archive := sbom.Package{ID: "src", Name: "src.tar.gz", Purpose: sbom.PurposeSource, Checksums: []sbom.Checksum{{Algorithm: sbom.SHA256, Value: strings.Repeat("e", 64)}}}
	for _, d := range []*sbom.Document{doc, made} {
		d.Packages = append(d.Packages, archive)
		d.Relations = append(d.Relations, sbom.Relation{From: "a", Kind: sbom.Contains, To: "src"})
	}
	made.Files = append(made.Files, sbom.FileEntry{ID: "in", Name: "in", Checksums: made.Files[0].Checksums})
	made.Packages = append(made.Packages, sbom.Package{ID: "c", Name: "c", PURL: "pkg:npm/c@1"})
	made.Relations = append(made.Relations, sbom.Relation{From: "src", Kind: sbom.Contains, To: "in"}, sbom.Relation{From: "in", Kind: sbom.Contains, To: "c"}, sbom.Relation{From: "in", Kind: sbom.Contains, To: "b"})
	if c := check.Against(doc, made); len(c.Differences) > 0 || len(c.Apart) != 1 || c.Packages != 2 {
		t.Errorf("%+v", c)
	}
	doc.Packages[2].Purpose, made.Packages[2].Purpose = sbom.PurposeArchive, sbom.PurposeArchive
	if c := check.Against(doc, made); len(c.Differences) != 2 || len(c.Apart) > 0 {
		t.Errorf("an archive that is none of sources: %+v", c)
	}
}
