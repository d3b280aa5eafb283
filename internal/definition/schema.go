package definition

import "github.com/sello-release/sello/schema"

// schemaURL is where editors find the schemas.
const schemaURL = "https://github.com/sello-release/sello/raw/main/schema/"

// Schemas are the names that Schema knows: sello.yaml's, a release file's, trust.yaml's, dependencies.yaml's, an approval's, a policy's.
var Schemas = []string{"sello", "release", "trust", "dependencies", "approval", "policy"}

// Schema gives a JSON schema (draft 2020-12) by name.
func Schema(name string) ([]byte, bool) { return schema.Get(name) }

// Modeline is the comment that tells editors a file's schema, with its line end.
func Modeline(name string) string {
	return "# yaml-language-server: $schema=" + schemaURL + name + ".schema.json\n"
}
