// Package schema holds the JSON schemas (draft 2020-12) of the files that people write.
// They are written by `go generate ./...` from the Go types, and embedded, so that
// an installed sello can print them.
package schema

import "embed"

//go:embed *.schema.json
var files embed.FS

// Get gives a schema by name: sello, release, trust, dependencies, approval or policy.
func Get(name string) ([]byte, bool) {
	data, err := files.ReadFile(name + ".schema.json")
	return data, err == nil
}
