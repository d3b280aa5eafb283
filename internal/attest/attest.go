// Package attest holds the statements that Sello makes, as in-toto Statements v1
// with their predicates. It does no I/O and knows no keys.
//
// The types follow the texts of the standards and are encoded with encoding/json: unknown
// fields are ignored on reading, as in-toto asks of consumers.
package attest

import (
	"time"

	"github.com/sello-release/sello/internal/material"
)

// Type URIs.
const (
	StatementType  = "https://in-toto.io/Statement/v1"
	PayloadType    = "application/vnd.in-toto+json"
	ProvenanceType = "https://slsa.dev/provenance/v1"
	SignOffType    = "https://github.com/sello-release/sello/sign-off/v1"
	ReleaseType    = "https://in-toto.io/attestation/release/v0.2"
	// GoBuildType is documented in docs/buildtypes/go/v1.md.
	GoBuildType = "https://github.com/sello-release/sello/buildtypes/go/v1"
	// RunBuildType is documented in docs/buildtypes/run/v1.md.
	RunBuildType = "https://github.com/sello-release/sello/buildtypes/run/v1"
	// ImageBuildType is documented in docs/buildtypes/image/v1.md.
	ImageBuildType = "https://github.com/sello-release/sello/buildtypes/image/v1"
	// SPDXType is the predicate type of an SPDX document of version 2.3.
	SPDXType = "https://spdx.dev/Document/v2.3"
	// ImageSignatureType is the predicate type of a statement that signs an image and says nothing more: what `cosign verify` looks for.
	ImageSignatureType = "https://sigstore.dev/cosign/sign/v1"
)

// Statement is an in-toto Statement v1 with a predicate of type P.
type Statement[P any] struct {
	Type          string    `json:"_type"`
	Subject       []Subject `json:"subject"`
	PredicateType string    `json:"predicateType"`
	Predicate     P         `json:"predicate"`
}

// Subject is what a statement is about. It is matched by digest; the name is for people and for completeness checks.
type Subject struct {
	Name   string            `json:"name,omitempty"`
	Digest map[string]string `json:"digest"`
}

// Provenance is a SLSA provenance v1 predicate. See SLSA v1.2, Build: Provenance.
type Provenance struct {
	BuildDefinition BuildDefinition `json:"buildDefinition"`
	RunDetails      RunDetails      `json:"runDetails"`
}

// BuildDefinition describes all inputs of a build.
type BuildDefinition struct {
	BuildType            string              `json:"buildType"`
	ExternalParameters   ExternalParameters  `json:"externalParameters"`
	InternalParameters   map[string]any      `json:"internalParameters,omitempty"`
	ResolvedDependencies []material.Material `json:"resolvedDependencies,omitempty"`
}

// ExternalParameters are all that a user of the build service can choose: the source and the entry point.
type ExternalParameters struct {
	Source     SourceParameter `json:"source"`
	EntryPoint string          `json:"entryPoint"` // sello.yaml#builds.<name>
}

// SourceParameter pins the source.
type SourceParameter struct {
	URI    string            `json:"uri"`
	Digest map[string]string `json:"digest"` // gitCommit, or dirHash for a module
}

// RunDetails describes this run of the build.
type RunDetails struct {
	Builder    Builder             `json:"builder"`
	Metadata   Metadata            `json:"metadata"`
	Byproducts []material.Material `json:"byproducts,omitempty"`
}

// Builder says who built. ID alone, with the signer, decides the build level.
type Builder struct {
	ID      string            `json:"id"`
	Version map[string]string `json:"version,omitempty"`
}

// Metadata of the run.
type Metadata struct {
	InvocationID string    `json:"invocationId"`
	StartedOn    time.Time `json:"startedOn"`
	FinishedOn   time.Time `json:"finishedOn"`
}

// SignOff is a release manager's word that a stage may be released. Its subject is stage.json.
type SignOff struct {
	Stage       string    `json:"stage"` // sha256:…
	Project     string    `json:"project"`
	Version     string    `json:"version"`
	Identity    string    `json:"identity"` // name in trust.yaml; the key decides, not this
	Role        string    `json:"role"`
	Rebuilt     bool      `json:"rebuilt"`
	Time        time.Time `json:"time"`
	Expires     time.Time `json:"expires"`
	Trust       Pinned    `json:"trust"`       // the trust file in force when this was signed
	ReleaseFile Pinned    `json:"releaseFile"` // the release file as reviewed
	Environment string    `json:"environment,omitempty"`
	Comment     string    `json:"comment,omitempty"`
}

// Pinned is a file at a digest.
type Pinned struct {
	Path    string `json:"path"`
	SHA256  string `json:"sha256"`
	Version int    `json:"version,omitempty"` // trust.yaml's version
}

// Release is an in-toto release v0.2 predicate. Its subjects are all files of the release but the statement itself.
type Release struct {
	Purl      string `json:"purl"`
	PackageID string `json:"packageId,omitempty"`
}
