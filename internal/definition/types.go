// Package definition reads the two reviewed files that a release is made from:
// sello.yaml (how to build) and releases/<version>.yaml (what to release).
//
// Both are decoded strictly: an unknown key, a wrong type, a duplicate or an
// alias is an error with file, line and column, and a suggestion where one is near. The
// package does no I/O: it turns bytes into values.
package definition

// FileName is the definition's path in the source.
const FileName = "sello.yaml"

// Definition is sello.yaml: how to build. Every field but project, source and
// builds has a default, which Defaults fills in and `sello plan` shows.
type Definition struct {
	// Project is the project's name: lower-case letters, digits, '-', '_' and '.'. It starts the names of archives and names the folder in a bucket.
	Project string `yaml:"project"`
	// Source is the canonical URI of the source: an https URL of a git repository, or pkg:golang/<module path>[@version] to build a published Go module (the module zip is the source).
	Source string `yaml:"source"`
	// Repository is the https URL of the git repository that holds this file. Only needed when source is a Go module.
	Repository string `yaml:"repository,omitempty"`
	// Branch is the branch that release files are read from, and that a released commit must be on. A trailing * matches any suffix: release-*.
	Branch string `yaml:"branch,omitempty"`
	// Staging is the URL of the bucket that staged releases are written to.
	Staging string `yaml:"staging,omitempty"`
	// Production is the URL of the bucket that releases are published in.
	Production string `yaml:"production,omitempty"`
	// Builds say what is compiled.
	Builds []Build `yaml:"builds"`
	// Archives say how files are packed. Default: one archive a platform with all binaries, LICENSE and README.
	Archives []Archive `yaml:"archives,omitempty"`
	// SourceArchive says whether the source is shipped as a tar.gz.
	SourceArchive *bool `yaml:"source-archive,omitempty"`
	// Policy says what must hold before a release.
	Policy Policy `yaml:"policy,omitempty"`
	// Tag says how the release's tag is made.
	Tag Tag `yaml:"tag,omitempty"`
}

// Build is one build: exactly one builder is set.
type Build struct {
	// Name of the build; unique. Default: the project's name.
	Name string `yaml:"name,omitempty"`
	// Go compiles Go programs.
	Go *Go `yaml:"go,omitempty"`
}

// Go compiles the main packages that match Packages, for each platform, with one run of the Go command a platform.
type Go struct {
	// Dir is the folder of the Go module, relative to the root of the source.
	Dir string `yaml:"dir,omitempty"`
	// Packages are patterns as the Go command takes them, relative to dir: ./cmd/... . Packages that are not programs are passed over.
	Packages []string `yaml:"packages"`
	// Platforms are os/arch, with an optional variant: linux/amd64, linux/arm/v7, linux/amd64/v3.
	Platforms []string `yaml:"platforms,omitempty"`
	// Toolchain is the Go toolchain: go1.26.8, or local for the one on this machine (its digest is recorded). Default: go.mod's.
	Toolchain string `yaml:"toolchain,omitempty"`
	// LDFlags are passed to the linker. Templates allowed.
	LDFlags string `yaml:"ldflags,omitempty"`
	// GCFlags are passed to the compiler.
	GCFlags string `yaml:"gcflags,omitempty"`
	// Tags are build tags.
	Tags []string `yaml:"tags,omitempty"`
	// Env are environment variables of the build; GO* and CGO_* only. Templates allowed in values.
	Env map[string]string `yaml:"env,omitempty"`
}

// Archive packs the binaries of builds, and extra files, one archive a platform.
type Archive struct {
	// Name of the archive without its ending. Templates allowed.
	Name string `yaml:"name,omitempty"`
	// Builds whose binaries go in. Default: all.
	Builds []string `yaml:"builds,omitempty"`
	// Files of the source that go in: paths or glob patterns, relative to the root of the source. Default: LICENSE*, LICENCE*, COPYING*, NOTICE*, README*, CHANGELOG* at the root, where present.
	Files []string `yaml:"files,omitempty"`
	// Format is tar.gz or zip.
	Format string `yaml:"format,omitempty"`
	// Windows is the format for windows.
	Windows string `yaml:"windows,omitempty"`
}

// Policy says what must hold before a release. trust.yaml's thresholds hold in any case; policy can only ask for more.
type Policy struct {
	// SignOffs asks for sign-offs.
	SignOffs SignOffs `yaml:"sign-offs,omitempty"`
	// Evidence that every artifact needs: provenance, sbom.
	Evidence []string `yaml:"evidence,omitempty"`
	// Level is the least SLSA Build level of the builder, as trust.yaml grants it.
	Level int `yaml:"level,omitempty"`
}

// SignOffs asks for sign-offs by release managers.
type SignOffs struct {
	// Manager is how many managers have to sign off. Default: trust.yaml's threshold, which this can raise and never lower.
	Manager int `yaml:"manager,omitempty"`
	// Rebuilt is how many of them must have rebuilt the stage themselves.
	Rebuilt int `yaml:"rebuilt,omitempty"`
	// ValidFor is how long a sign-off counts: 720h.
	ValidFor string `yaml:"valid-for,omitempty"`
}

// Tag says how the release's tag is made.
type Tag struct {
	// Prefix of the tag's name: tools/ gives tools/v1.2.3.
	Prefix string `yaml:"prefix,omitempty"`
	// Remote that the tag is pushed to. Default: it is not pushed.
	Remote string `yaml:"remote,omitempty"`
}

// Release is releases/<version>.yaml: what to release, never how.
type Release struct {
	// Version is a semantic version with its v: v1.4.2, v1.5.0-rc.1.
	Version string `yaml:"version"`
	// Commit is the full commit id of the source (of the definition, when the source is a Go module).
	Commit string `yaml:"commit"`
	// Channel is stable, candidate or nightly.
	Channel string `yaml:"channel,omitempty"`
	// Notes is the path of the release notes, relative to the root of the repository.
	Notes string `yaml:"notes,omitempty"`
	// Stage is the stage digest (sha256:…), written by sello stage as a change to be reviewed.
	Stage string `yaml:"stage,omitempty"`
}

// Channels of a release file, in the order of their stability.
var Channels = []string{"stable", "candidate", "nightly"}
