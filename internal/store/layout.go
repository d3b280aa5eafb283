package store

import (
	"fmt"
	"strings"

	"golang.org/x/mod/semver"

	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/stage"
)

// StageLayout names the parts of one stage: <project>/<version>/<first 12 hex of the stage digest>/….
type StageLayout struct {
	Bucket  Bucket
	Project string
	Version string
	Digest  string // the stage digest: 64 hex, with or without sha256:
}

// Check refuses, with code store-name, a layout whose parts cannot name a folder each.
func (l StageLayout) Check() error {
	if !digest.IsSHA256(l.hex()) {
		return fmt.Errorf("lay out stage: %q is no SHA-256", clip(l.Digest))
	}
	return checkParts(l.Project, l.Version)
}

func (l StageLayout) hex() string { return strings.TrimPrefix(l.Digest, "sha256:") }

// Folder is the stage's name in its version: the first 12 hex digits of its digest.
func (l StageLayout) Folder() string {
	if h := l.hex(); len(h) > 12 {
		return h[:12]
	}
	return l.hex()
}

// Prefix is the prefix of everything in the stage; it ends in a slash.
func (l StageLayout) Prefix() string {
	return l.Project + "/" + l.Version + "/" + l.Folder() + "/"
}

// StageFile names stage.json, which is written last: a stage without it is not complete.
func (l StageLayout) StageFile() string { return l.Prefix() + stage.FileName }

// Journal names the record of what ran.
func (l StageLayout) Journal() string { return l.Prefix() + "journal.jsonl" }

// FilesPrefix is the prefix of what production will hold; it ends in a slash.
func (l StageLayout) FilesPrefix() string { return l.Prefix() + "files/" }

// File names an artifact or a bundle, by its name in stage.json.
func (l StageLayout) File(name string) string { return l.FilesPrefix() + name }

// Images is the folder of the images, an OCI image layout.
func (l StageLayout) Images() Folder { return Folder{l.Bucket, l.Prefix() + stage.ImagesFolder + "/"} }

// SignOffsPrefix is the prefix of all sign-offs; it ends in a slash.
func (l StageLayout) SignOffsPrefix() string { return l.Prefix() + "sign-offs/" }

// SignOff names the sign-off of one identity. Characters that do not fit into a
// name are written as %XX.
func (l StageLayout) SignOff(identity string) string {
	return l.SignOffsPrefix() + escapeElement(identity) + ".sigstore.json"
}

// ReleaseLayout names the parts of one release: <project>/<version>/….
type ReleaseLayout struct {
	Bucket  Bucket
	Project string
	Version string
}

// Check refuses, with code store-name, a layout whose parts cannot name a folder each.
func (l ReleaseLayout) Check() error { return checkParts(l.Project, l.Version) }

// Prefix is the prefix of everything in the release; it ends in a slash.
func (l ReleaseLayout) Prefix() string { return l.Project + "/" + l.Version + "/" }

// File names a published file, by its name in stage.json.
func (l ReleaseLayout) File(name string) string { return l.Prefix() + name }

// StageFile names the list of what was staged.
func (l ReleaseLayout) StageFile() string { return l.Prefix() + stage.FileName }

// Statement names the release statement; a release without it was promoted but not released.
func (l ReleaseLayout) Statement() string { return l.Prefix() + "release.sigstore.json" }

// VSA names the gate's verification summary.
func (l ReleaseLayout) VSA() string { return l.Prefix() + stage.SummaryBundle }

// PlainVSA names its envelope by itself.
func (l ReleaseLayout) PlainVSA() string { return l.Prefix() + stage.SummaryPlain }

// SignOffsPrefix is the prefix of the sign-offs that the gate counted; it ends in a slash.
func (l ReleaseLayout) SignOffsPrefix() string { return l.Prefix() + "sign-offs/" }

// SignOff names the sign-off of one identity, as in a stage.
func (l ReleaseLayout) SignOff(identity string) string {
	return l.SignOffsPrefix() + escapeElement(identity) + ".sigstore.json"
}

func checkParts(parts ...string) error {
	for _, p := range parts {
		if err := CheckName(p); err != nil {
			return err
		}
		if strings.Contains(p, "/") {
			return &gate.Refusal{
				Code: "store-name", What: "a project or a version is one folder", Where: fmt.Sprintf("%q", clip(p)),
				Expected: "a name without a slash", Fix: "rename the project or the version",
			}
		}
	}
	return nil
}

// isVersion reports whether v is a whole semantic version with its v.
func isVersion(v string) bool {
	return len(v) <= 128 && semver.IsValid(v) && semver.Canonical(v)+semver.Build(v) == v
}
