package cli

import "github.com/sello-release/sello/verify"

// held says in words what a check that passed means; its id names the failure, for scripts.
var held = map[string]string{
	"trust-expired":             "trust file is in force",
	"stage-missing":             "stage.json is there",
	"stage-not-canonical":       "stage.json is well-formed",
	"project-mismatch":          "project is the trusted one",
	"release-version-mismatch":  "version is the same",
	"source-mismatch":           "source is the canonical one",
	"release-statement-missing": "release statement is there",
	"release-name-twice":        "release statement names each file once",
	"bad-json":                  "attestation is well-formed",
	"no-trusted-signer":         "signed by a trusted key",
	"unsupported-payload-type":  "payload is an in-toto statement",
	"wrong-statement-type":      "statement is of a known version",
	"wrong-predicate":           "statement says the right kind of thing",
	"stage-artifact-unlisted":   "listed in stage.json",
	"stage-artifact-mismatch":   "digest is the staged one",
	"release-file-missing":      "nothing is missing",
	"release-file-extra":        "nothing is extra",
	"attestation-missing":       "provenance is there",
	"subject-mismatch":          "provenance is about these bytes",
	"builder-unknown":           "builder is a known one",
	"signer-builder-mismatch":   "signer may speak for the builder",
	"level-too-low":             "build level is enough",
	"buildtype-unexpected":      "build type is the expected one",
	"entrypoint-mismatch":       "entry point is the definition",
	"param-unexpected":          "no unknown parameters",
	"evidence-missing":          "evidence is complete",
	"checksum-mismatch":         "checksum file agrees",
	"sign-off-missing":          "signed off by enough managers",
}

// checkName is how a check is shown to people: what holds, or the code of what does not.
func checkName(c verify.Check) string {
	if text, ok := held[c.ID]; ok && c.Status == verify.Pass {
		return text
	}
	return c.ID
}
