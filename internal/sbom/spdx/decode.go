package spdx

import (
	"strconv"
	"strings"
	"time"

	"github.com/sello-release/sello/internal/sbom"
)

// versions are those of SPDX 2 that are read: later ones only added.
const versions = "SPDX-2.2 or SPDX-2.3"

func checkVersion(v string) error {
	if v != "SPDX-2.2" && v != "SPDX-2.3" {
		return sbom.UnknownVersion("SPDX", v, versions)
	}
	return nil
}

// known gives what SPDX says, "" for NOASSERTION.
func known(s string) string {
	if s == noAssertion {
		return ""
	}
	return s
}

// element gives an identifier without what SPDX puts before it.
func element(id string) string { return strings.TrimPrefix(id, "SPDXRef-") }

// fileName gives a file's name without SPDX's ./ before it.
func fileName(name string) string { return strings.TrimPrefix(name, "./") }

// parseAgent reads "Organization: name (address)".
func parseAgent(s string) sbom.Agent {
	kind, name, ok := strings.Cut(s, ":")
	if !ok || kind != sbom.AgentPerson && kind != sbom.AgentOrganization {
		return sbom.Agent{}
	}
	a := sbom.Agent{Kind: kind, Name: strings.TrimSpace(name)}
	if open := strings.LastIndexByte(a.Name, '('); open >= 0 && strings.HasSuffix(a.Name, ")") {
		a.Name, a.Email = strings.TrimSpace(a.Name[:open]), strings.TrimSpace(a.Name[open+1:len(a.Name)-1])
	}
	if known(a.Name) == "" {
		return sbom.Agent{}
	}
	return a
}

// creator takes up who or what made a document.
func creator(doc *sbom.Document, s string) {
	if tool, ok := strings.CutPrefix(s, "Tool:"); ok {
		tool = strings.TrimSpace(tool)
		name, version := tool, ""
		if i := strings.LastIndexByte(tool, '-'); i > 0 && i+1 < len(tool) && strings.ContainsAny(tool[i+1:i+2], "v0123456789(") {
			name, version = tool[:i], tool[i+1:]
		}
		doc.Tools = append(doc.Tools, sbom.Tool{Name: name, Version: version})
		return
	}
	if a := parseAgent(s); a.Name != "" {
		doc.Authors = append(doc.Authors, a)
	}
}

func parseTime(where, s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return t, sbom.Malformed(where, "the time %.100q", s)
	}
	return t.UTC(), nil
}

// license puts together what stands in several fields.
func license(concluded, declared, comment, copyright string) sbom.License {
	l := sbom.License{Concluded: known(concluded), Declared: known(declared), Comment: comment, Copyright: known(copyright)}
	if i := strings.LastIndex(comment, confidence); i == 0 || i > 0 && comment[i-1] == '\n' {
		if f, err := strconv.ParseFloat(comment[i+len(confidence):], 64); err == nil && f > 0 && f <= 1 {
			l.Confidence, l.Comment = f, strings.TrimSuffix(comment[:i], "\n")
		}
	}
	return l
}

// completeness takes the sentence that says so out of a package's comment.
func completeness(p *sbom.Package) {
	if p.Comment == complete || strings.HasSuffix(p.Comment, "\n"+complete) {
		p.Complete, p.Comment = true, strings.TrimSuffix(strings.TrimSuffix(p.Comment, complete), "\n")
	}
}

// reference takes up an external reference of a package.
func reference(p *sbom.Package, r sbom.Ref) {
	r.Category = strings.ReplaceAll(r.Category, "_", "-")
	switch {
	case r.Type == sbom.PURLType && p.PURL == "":
		p.PURL = r.Locator
	case r.Type == "cpe23Type":
		p.CPEs = append(p.CPEs, r.Locator)
	default:
		p.Refs = append(p.Refs, r)
	}
}

// checksumOf gives a checksum in the model's spelling.
func checksumOf(algorithm, value string) sbom.Checksum {
	return sbom.Checksum{Algorithm: strings.TrimPrefix(algorithm, "checksumAlgorithm_"), Value: strings.ToLower(value)}
}

// purposeOf gives a purpose in the model's spelling: the schema of SPDX's JSON has an underscore where the standard has a hyphen.
func purposeOf(s string) string { return strings.ReplaceAll(s, "_", "-") }
