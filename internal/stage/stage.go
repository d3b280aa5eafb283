// Package stage defines stage.json: the canonical list of everything that a
// staged release consists of.
//
// stage.json holds the source, the definition's digest and every artifact's
// digests, and nothing that differs between two runs. It is encoded as canonical
// JSON (RFC 8785), so whoever stages the same commit anywhere writes the same
// bytes. The stage digest is the SHA-256 of those bytes; sign-offs speak of it.
package stage

import (
	"time"

	"github.com/sello-release/sello/internal/digest"
)

// Type is the type URI of this version of stage.json.
const Type = "https://github.com/sello-release/sello/stage/v1"

// FileName is the name of the stage's list at the root of a stage, and of a release.
const FileName = "stage.json"

// MaxSize bounds a stage.json that is read, in bytes.
const MaxSize = 16 << 20

// Stage is the content of stage.json.
type Stage struct {
	Type       string     `json:"type"`
	Project    string     `json:"project"`
	Version    string     `json:"version"`
	Channel    string     `json:"channel"`
	Source     Source     `json:"source"`
	Definition Definition `json:"definition"`
	Artifacts  []Artifact `json:"artifacts"`        // sorted by name
	Images     []Image    `json:"images,omitempty"` // sorted by name
	Evidence   []string   `json:"evidence"`         // expected evidence for each artifact: "provenance", "sbom"
}

// Source is where the release was built from. Exactly one of Commit (git) and
// DirHash (a published Go module) is set.
type Source struct {
	URI     string    `json:"uri"`               // git+https://… or pkg:golang/…@version
	Commit  string    `json:"commit,omitempty"`  // 40 or 64 hex
	Tree    string    `json:"tree,omitempty"`    // 40 or 64 hex
	DirHash string    `json:"dirHash,omitempty"` // h1:…, the module's hash as in go.sum
	Time    time.Time `json:"time"`              // UTC, whole seconds: the build's time
}

// Definition pins the build definition.
type Definition struct {
	Path   string `json:"path"`             // sello.yaml
	Commit string `json:"commit,omitempty"` // where it was read from, if not the source's commit
	SHA256 string `json:"sha256"`
}

// Image is one container image that the release ships. Its blobs are below ImagesFolder in
// the stage; SBOMs and provenance refer to it there, and in every repository.
type Image struct {
	Name         string            `json:"name"`              // as in the definition; its last part is a word of its own in the release
	Index        string            `json:"index"`             // sha256:… of the OCI image index
	Size         int64             `json:"size"`              // of the index, in bytes
	Platforms    map[string]string `json:"platforms"`         // platform: sha256:… of its manifest
	SBOMs        map[string]string `json:"sboms"`             // platform: sha256:… of the SPDX document as it stands in its attestation; "" is the index's
	Repositories []string          `json:"repositories"`      // where it is published, sorted
	Tags         []string          `json:"tags"`              // that name it there and never move, sorted
	Markers      []string          `json:"markers,omitempty"` // tags that move to it when they do not go backwards, most specific first
	Build        string            `json:"build"`             // name of the build in the definition
}

// Kinds of artifacts.
const (
	KindBinary   = "binary"
	KindFile     = "file" // of a build, and no program: a manual page, a library
	KindArchive  = "archive"
	KindSource   = "source"
	KindSBOM     = "sbom"
	KindChecksum = "checksums"
)

// Artifact is one file that the release ships. Name is its path below the
// stage's files/ folder and below the release's folder: slash-separated, clean, relative.
type Artifact struct {
	Name     string `json:"name"`
	Kind     string `json:"kind"`
	Platform string `json:"platform,omitempty"` // "linux/amd64"; empty when independent of one
	Build    string `json:"build,omitempty"`    // name of the build in the definition
	digest.Sums
}
