package osv

import (
	"path"
	"slices"
	"strings"

	"github.com/sello-release/sello/internal/gate"
)

// fileKind is what a file of a database is taken for, by its name.
type fileKind int

const (
	unknown  fileKind = iota
	aRecord           // a record
	aZip              // an archive of records
	harmless          // text for people, checksums and signatures
	suspect           // what may well have records in it, in a form that is not read
)

func kindOf(name string) fileKind {
	base := strings.ToLower(path.Base(name))
	ext := strings.TrimPrefix(path.Ext(base), ".")
	is := func(exts ...string) bool { return slices.Contains(exts, ext) }
	switch {
	case is("json"):
		return aRecord
	case is("zip"):
		return aZip
	case is("md", "txt", "csv", "html", "sha256", "sha512", "asc", "sig"), base == ".ds_store", base == ".gitignore", base == ".gitattributes",
		slices.Contains([]string{"readme", "license", "copying", "notice", "changelog", "codeowners"}, base):
		return harmless
	case is("gz", "tgz", "tar", "xz", "zst", "bz2", "7z", "jsonl", "ndjson", "yaml", "yml", "part"), strings.Contains(base, ".json"), strings.Contains(base, ".zip"):
		return suspect
	}
	return unknown
}

// notRead refuses a file that may have records in it.
func notRead(where string) error {
	return &gate.Refusal{Code: "vuln-db-invalid", Where: where, What: "there is a file in the vulnerability database that may hold records and is not read", Expected: "records (.json), and zips of them",
		Fix: "unpack it, finish mirroring, or remove it; a gap would look like an absence of vulnerabilities"}
}
