// Package definition reads the two reviewed files that a release is made from:
// sello.yaml (how to build) and releases/<version>.yaml (what to release).
//
// # Promises
//
// Both are decoded strictly (see package strictyaml) and checked completely: everything that is wrong is
// reported at once, each with file, line, column, a stable code and a remedy. What Parse accepts
// has no path that leaves the source, no variable that reaches around the build's isolation, no
// template with an unknown value, and no two files with one name. WithDefaults fills in
// every value that was left out, so that nothing else in Sello knows a default.
//
// # What it does not do
//
// No I/O: it turns bytes into values. It does not know whether a package, a file or a commit exists.
//
// The JSON schemas in schema/ and docs/reference/definition.md are written by go generate
// from the types here and their comments.
package definition

//go:generate go run ./gen -root ../..

// FileName is the definition's path in the source.
const FileName = "sello.yaml"

// Definition is sello.yaml: how to build. Every key but project, source and builds has a default, which `sello plan` shows.
type Definition struct {
	// Project is the project's name: lower-case letters, digits, '-', '_' and '.'. It starts the names of archives and names the folder in a bucket.
	Project string `yaml:"project" jsonschema:"pattern=^[a-z0-9]([a-z0-9._-]*[a-z0-9_-])?$,maxLength=64" example:"age"`
	// Source is the canonical URI of the source: an https URL of a git repository, or pkg:golang/<module path>[@version] to build a published Go module (the module zip is the source).
	Source string `yaml:"source" jsonschema:"pattern=^(https://|pkg:golang/)" example:"https://github.com/FiloSottile/age"`
	// Repository is the https URL of the git repository that holds this file. Only allowed when source is a Go module.
	Repository string `yaml:"repository,omitempty" jsonschema:"pattern=^https://" example:"https://github.com/example/packages"`
	// Branch is the branch that release files are read from, and that a released commit must be on. A trailing * matches any suffix: release-*. Default: main.
	Branch string `yaml:"branch,omitempty"`
	// Staging is the bucket that staged releases are written to: ./path below the root of the repository, file:///absolute/path, or the URL of an object store as gocloud.dev/blob takes it: s3://bucket?region=eu-west-1, gs://bucket, azblob://container. Credentials come from the environment. Default: ./.sello/staging.
	Staging string `yaml:"staging,omitempty" jsonschema:"pattern=^(\\./|file:///|s3://|gs://|azblob://)"`
	// Production is the bucket that releases are published in, written like staging. Default: ./.sello/production.
	Production string `yaml:"production,omitempty" jsonschema:"pattern=^(\\./|file:///|s3://|gs://|azblob://)"`
	// Builds say what is compiled.
	Builds []Build `yaml:"builds" jsonschema:"minItems=1"`
	// Archives say how files are packed. Default: one archive a platform with the binaries of all builds.
	Archives []Archive `yaml:"archives,omitempty" jsonschema:"minItems=1"`
	// SourceArchive says whether the source is shipped as a tar.gz. Default: true.
	SourceArchive *bool `yaml:"source-archive,omitempty"`
	// Images say which container images are made. Default: none.
	Images []Image `yaml:"images,omitempty" jsonschema:"minItems=1"`
	// Policy says what must hold before a release.
	Policy Policy `yaml:"policy,omitempty"`
	// Tag says how the release's tag is made.
	Tag Tag `yaml:"tag,omitempty"`
}

// Build is one build. Exactly one builder is set: go or run.
type Build struct {
	// Name of the build; unique. Default: the project's name.
	Name string `yaml:"name,omitempty" jsonschema:"pattern=^[a-z0-9]([a-z0-9._-]*[a-z0-9_-])?$,maxLength=64" example:"age"`
	// Go compiles Go programs.
	Go *Go `yaml:"go,omitempty"`
	// Run runs a command in an image, for everything else: C, Node, Go programs that need cgo.
	Run *Run `yaml:"run,omitempty"`
}

// Go compiles the main packages that match packages, for each platform, with one run of the Go command a platform. cgo is off, and the Go command trims paths.
type Go struct {
	// Dir is the folder of the Go module, relative to the root of the source. Default: ".".
	Dir string `yaml:"dir,omitempty"`
	// Packages are patterns as the Go command takes them, relative to dir, each starting with ./ (or a single dot). Packages that are not programs are passed over.
	Packages []string `yaml:"packages" jsonschema:"minItems=1,uniqueItems=true" example:"[./cmd/...]"`
	// Platforms are os/arch, with an optional variant: linux/amd64, linux/arm/v7, linux/amd64/v3. Without a variant it is the arch's least: amd64/v1, arm64/v8.0; for arm it is v7. Default: [linux/amd64, linux/arm64, darwin/amd64, darwin/arm64, windows/amd64].
	Platforms []string `yaml:"platforms,omitempty" jsonschema:"minItems=1,uniqueItems=true"`
	// Toolchain is the Go toolchain: go1.26.8, or local for the one on this machine (its digest is recorded). Default: the one that go.mod names.
	Toolchain string `yaml:"toolchain,omitempty" jsonschema:"pattern=^(local|go1\\.[0-9]+(\\.[0-9]+|rc[0-9]+))$" example:"go1.26.8"`
	// LDFlags are passed to the linker. Templates allowed.
	LDFlags string `yaml:"ldflags,omitempty" example:"-s -w -X main.Version={{ .Version }}"`
	// GCFlags are passed to the compiler.
	GCFlags string `yaml:"gcflags,omitempty" example:"-l"`
	// Tags are build tags.
	Tags []string `yaml:"tags,omitempty" jsonschema:"uniqueItems=true" example:"[netgo, osusergo]"`
	// Env are environment variables of the build: GODEBUG, GOEXPERIMENT, GOFIPS140, GOGC, GOMAXPROCS, GOMEMLIMIT, and GOWORK=off, GO111MODULE=on. Templates allowed in values. Default: {CGO_ENABLED: "0"}, always; without GOMAXPROCS each package is compiled on one thread, as many packages at a time as there are cores, since the compiler's output can depend on its threads.
	Env map[string]string `yaml:"env,omitempty"`
}

// Run runs a command once a platform, without network, in a sandbox whose file system is that of an image, read-only. It works on a copy of the source, in /src, and has an empty /tmp; HOME is /tmp/home, which is not there until it is made.
type Run struct {
	// Command is the program and its arguments, without a shell. Templates allowed.
	Command []string `yaml:"command" jsonschema:"minItems=1" example:"[make, tool]"`
	// Root is the image whose file system the command runs in: registry/path@sha256:… of an index or a manifest (sello pin writes the digest). Of an index it is the image for linux and the arch of the machine that builds; name a manifest to have one arch build alone.
	Root string `yaml:"root" example:"registry.example/debian@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"`
	// Platforms are what the outputs are for, on whatever machine they are built; the command sees them in TARGETOS, TARGETARCH and TARGETVARIANT. Default: [linux/amd64].
	Platforms []string `yaml:"platforms,omitempty" jsonschema:"minItems=1,uniqueItems=true"`
	// Inputs are the files of the source that the command sees: paths or glob patterns (* does not match a slash, ** matches any folders), relative to the root of the source; a folder stands for all files in it. Default: ["**"].
	Inputs []string `yaml:"inputs,omitempty" jsonschema:"minItems=1,uniqueItems=true" example:"[src/**, Makefile]"`
	// Dir is the folder of the source that the command starts in. Default: ".".
	Dir string `yaml:"dir,omitempty"`
	// Env are environment variables; the image's do not count. Templates allowed in values. Always set, and not for a definition to set: SELLO_VERSION, SELLO_COMMIT, SOURCE_DATE_EPOCH, TARGETOS, TARGETARCH, TARGETVARIANT, HOME. Default: {LC_ALL: C, PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", TZ: UTC}.
	Env map[string]string `yaml:"env,omitempty" example:"{CFLAGS: -O2}"`
	// Outputs are the files that come out: paths or glob patterns, as for inputs, relative to dir, with at least one file each. Executables are binaries; other files are for archives, under their paths below dir, and are shipped as share/<platform>/<path>.
	Outputs []string `yaml:"outputs" jsonschema:"minItems=1,uniqueItems=true" example:"[tool, doc/*.1]"`
}

// Archive packs the binaries of builds, and extra files, one archive a platform.
type Archive struct {
	// Name of the archive without its ending. It must differ between platforms. Templates allowed. Default: "{{ .Project }}_{{ .Version }}_{{ .OS }}_{{ .Arch }}", with {{ .Variant }} at its end when a platform has one.
	Name string `yaml:"name,omitempty"`
	// Builds whose binaries, and other outputs, go in. Default: all.
	Builds []string `yaml:"builds,omitempty" jsonschema:"minItems=1,uniqueItems=true" example:"[age]"`
	// Files of the source that go in: paths or glob patterns (* does not match a slash), relative to the root of the source. Default: [LICENSE*, LICENCE*, COPYING*, NOTICE*, README*, CHANGELOG*], where present.
	Files []string `yaml:"files,omitempty" jsonschema:"uniqueItems=true"`
	// Format of the archive. Default: tar.gz.
	Format string `yaml:"format,omitempty" jsonschema:"enum=tar.gz,enum=zip"`
	// Windows is the format for windows. Default: zip.
	Windows string `yaml:"windows,omitempty" jsonschema:"enum=tar.gz,enum=zip"`
}

// Image is a container image for several platforms: the programs of one build on a base, made without a daemon and pushed by digest.
type Image struct {
	// Name of the image; unique: a word such as age, or the repository that it is published in, such as registry.example/team/age.
	Name string `yaml:"name" jsonschema:"pattern=^[a-z0-9][a-z0-9._:/-]*$,maxLength=255" example:"registry.example/team/age"`
	// Repositories that the image is published in: registry/path, without tag and digest. Default: the name, when it is a repository.
	Repositories []string `yaml:"repositories,omitempty" jsonschema:"minItems=1,uniqueItems=true" example:"[registry.example/team/age, mirror.example/age]"`
	// Staging is the repository that a staged image is pushed to, by digest and without a tag, to be tried before it is released. Default: none; the image is in the stage's images/ folder, an OCI layout.
	Staging string `yaml:"staging,omitempty" example:"registry.example/staging/age"`
	// Build is the name of the build whose programs go into /usr/bin. Default: the only build.
	Build string `yaml:"build,omitempty" example:"age"`
	// Base is the image that this one stands on: registry/path@sha256:… of an index or a manifest (sello pin writes the digest), or scratch for programs that need nothing. Default: scratch.
	Base string `yaml:"base,omitempty" example:"registry.example/static@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"`
	// Platforms of the image. Default: the build's platforms for linux.
	Platforms []string `yaml:"platforms,omitempty" jsonschema:"minItems=1,uniqueItems=true" example:"[linux/amd64, linux/arm64]"`
	// Files of the source that go in. Default: none.
	Files []ImageFile `yaml:"files,omitempty"`
	// Entrypoint is the command that the image runs. Default: the build's program, or the one called like the last part of the image's name when there are several.
	Entrypoint []string `yaml:"entrypoint,omitempty" jsonschema:"minItems=1" example:"[/usr/bin/age]"`
	// Command are the entrypoint's default arguments. Default: none.
	Command []string `yaml:"command,omitempty" example:"[--help]"`
	// User that it runs as: a number, or two with a colon for user and group. Default: 65532:65532, which is nobody in particular.
	User string `yaml:"user,omitempty" jsonschema:"pattern=^[0-9]{1\\,10}(:[0-9]{1\\,10})?$" example:"65532:65532"`
	// WorkingDir is the folder that it starts in. Default: the base's, else /.
	WorkingDir string `yaml:"working-dir,omitempty" jsonschema:"pattern=^/" example:"/srv"`
	// Env are environment variables. Templates allowed in values. Default: the base's; PATH is set in any case.
	Env map[string]string `yaml:"env,omitempty" example:"{MODE: production}"`
	// Labels of the image's configuration. Templates allowed in values.
	Labels map[string]string `yaml:"labels,omitempty" example:"{maintainer: team}"`
	// Annotations of the index and of each manifest, besides those that say source, revision, version, time and base. Templates allowed in values.
	Annotations map[string]string `yaml:"annotations,omitempty" example:"{org.opencontainers.image.licenses: Apache-2.0}"`
	// Tags that name the release and never move. Templates allowed. Default: ["{{ .Version }}"].
	Tags []string `yaml:"tags,omitempty" jsonschema:"minItems=1,uniqueItems=true"`
	// Markers says whether the tags latest, vX and vX.Y move as well, last of all and never backwards; only for the channel stable. Default: false.
	Markers bool `yaml:"markers,omitempty"`
}

// ImageFile puts files of the source into an image.
type ImageFile struct {
	// From is a path or glob pattern (* does not match a slash), relative to the root of the source; a folder stands for all files in it.
	From string `yaml:"from" example:"LICENSE"`
	// To is the absolute path in the image; a folder when it ends in a slash.
	To string `yaml:"to" jsonschema:"pattern=^/" example:"/licenses/"`
}

// Policy says what must hold before a release. trust.yaml's thresholds hold in any case; policy can only ask for more.
type Policy struct {
	// SignOffs asks for sign-offs by release managers.
	SignOffs SignOffs `yaml:"sign-offs,omitempty"`
	// Evidence that every artifact needs. A release without it stops. Default: [provenance, sbom].
	Evidence []string `yaml:"evidence,omitempty" jsonschema:"enum=provenance,enum=sbom,minItems=1,uniqueItems=true"`
	// Level is the least SLSA Build level of the builder, as trust.yaml grants it. Default: 0.
	Level int `yaml:"level,omitempty" jsonschema:"minimum=0,maximum=3"`
	// Vulnerabilities says which known ones stop a release. Default: they are not looked for.
	Vulnerabilities *Vulnerabilities `yaml:"vulnerabilities,omitempty"`
	// Inputs says what others have to have attested of what the builds read: base images, roots, toolchains, modules. Of the rules that match an input the first one holds; an input that none matches is free. Default: none, every input is.
	Inputs []InputRule `yaml:"inputs,omitempty" jsonschema:"minItems=1"`
}

// InputRule asks for provenance, or a verification summary, of inputs of the builds before a step may mount them. Policy and evidence are files of the repository, at the commit that is released.
type InputRule struct {
	// Match says which inputs: the repository of an image (registry.example/base), toolchain, the path of a Go module, or a package URL (pkg:golang/…@v1.2.3); * stands for anything, and alone for every input that no rule before it matches.
	Match string `yaml:"match" jsonschema:"minLength=1,maxLength=512" example:"registry.example/base/*"`
	// Policy is the path of the policy that they are held to (sello schema policy). A trusted root that it names lies beside it.
	Policy string `yaml:"policy" example:"policies/base.yaml"`
	// Evidence are paths of attestations, besides inputs/sha256-DIGEST.jsonl, which is looked at wherever it is there (sello pin --evidence writes it). Default: none besides.
	Evidence []string `yaml:"evidence,omitempty" jsonschema:"minItems=1,uniqueItems=true" example:"[inputs/toolchain.jsonl]"`
	// Mode says what happens to an input that does not hold to the policy: require refuses it, warn lets it through and says so. Default: require.
	Mode string `yaml:"mode,omitempty" jsonschema:"enum=require,enum=warn"`
}

// Vulnerabilities says which known vulnerabilities of what is released stop a promotion and a release, unless a release manager has decided about them in an OpenVEX document below vex/ (sello vex create).
type Vulnerabilities struct {
	// Fail says what stops a release: reachable (a vulnerable symbol is in a program, or may be), high (of high, critical or unknown severity) or any.
	Fail string `yaml:"fail" jsonschema:"enum=reachable,enum=high,enum=any" example:"reachable"`
	// AsOf is how old the database may be, from 1h to 8760h. Default: 72h.
	AsOf string `yaml:"as-of,omitempty"`
	// Database is where vulnerabilities are looked up: the path of a mirror, relative to the root of the repository or absolute, or the https URL of an OSV API. Default: the environment variable SELLO_VULN_DB.
	Database string `yaml:"database,omitempty" example:"/srv/osv"`
}

// SignOffs asks for sign-offs by release managers.
type SignOffs struct {
	// Manager is how many managers have to sign off. Default: trust.yaml's threshold, which this can raise and never lower.
	Manager int `yaml:"manager,omitempty" jsonschema:"minimum=0,maximum=100" example:"2"`
	// Rebuilt is how many of them must have rebuilt the stage themselves and got the same bytes. Default: 0.
	Rebuilt int `yaml:"rebuilt,omitempty" jsonschema:"minimum=0,maximum=100"`
	// ValidFor is how long a sign-off counts, from 1h to 8760h. Default: 720h.
	ValidFor string `yaml:"valid-for,omitempty"`
}

// Tag says how the release's tag is made.
type Tag struct {
	// Prefix of the tag's name: tools/ gives tools/v1.2.3. Default: none.
	Prefix string `yaml:"prefix,omitempty" example:"tools/"`
	// Remote is the name of the git remote that the tag is pushed to. Default: none, it is not pushed.
	Remote string `yaml:"remote,omitempty" example:"origin"`
}

// Release is releases/<version>.yaml: what to release, never how. It is reviewed and merged, and is the only input of a release.
type Release struct {
	// Version is a semantic version with its v: v1.4.2, v1.5.0-rc.1. The file is named after it.
	Version string `yaml:"version" jsonschema:"pattern=^v(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)(-[0-9A-Za-z.-]+)?$" example:"v1.4.2"`
	// Commit is the full commit id of the source (of the definition, when the source is a Go module).
	Commit string `yaml:"commit" jsonschema:"pattern=^([0-9a-f]{40}|[0-9a-f]{64})$" example:"5471f1c1a2d4d0c6a2e3b5c8f7d1e0a9b8c7d6e5"`
	// Channel of the release. Default: stable, or candidate for a pre-release version.
	Channel string `yaml:"channel,omitempty" jsonschema:"enum=stable,enum=candidate,enum=nightly"`
	// Notes is the path of the release notes, relative to the root of the repository. Default: none.
	Notes string `yaml:"notes,omitempty" example:"releases/v1.4.2.md"`
	// Stage is the stage digest, written by sello stage as a change to be reviewed.
	Stage string `yaml:"stage,omitempty" jsonschema:"pattern=^sha256:[0-9a-f]{64}$" example:"sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"`
}

// Channels of a release file, in the order of their stability.
var Channels = []string{"stable", "candidate", "nightly"}
