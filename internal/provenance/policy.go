package provenance

import "github.com/sello-release/sello/internal/trust"

// Policy says what provenance and verification summaries by others have to say before a file is used. It is reviewed like code.
type Policy struct {
	// TrustedRoot is the trusted root of the Sigstore instance whose certificates count. It is needed when a signer has issuer and subject. Default: none, only keys count.
	TrustedRoot *trust.Pinned `yaml:"trusted-root,omitempty"`
	// Signers are those whose signatures count, by a name of yours.
	Signers map[string]Signer `yaml:"signers"`
	// Builders say which build level you grant to whom. What provenance says of its own level does not count.
	Builders []Builder `yaml:"builders,omitempty"`
	// Expect says what the build has to have been. Each key is needed, unless checks: turns it off.
	Expect Expect `yaml:"expect,omitempty"`
	// Checks say which expectations only warn, or are not looked at. Default: each is required.
	Checks Checks `yaml:"checks,omitempty"`
	// Summaries say whose verification summaries (VSAs) are believed instead of the evidence, and for what.
	Summaries []Summary `yaml:"summaries,omitempty"`

	root []byte // content of TrustedRoot, once it is known
}

// Signer is who signs: one key, or what certificates name.
type Signer struct {
	// Key is the public key: PEM (PUBLIC KEY), ECDSA P-256 or P-384, or Ed25519. It stands alone or issuer and subject do.
	Key string `yaml:"key,omitempty" jsonschema:"pattern=^-----BEGIN PUBLIC KEY-----"`
	// Bare is true for a key that signs the statement itself instead of its DSSE envelope, as the regional keys of Google Cloud Build do. Default: false.
	Bare bool `yaml:"bare,omitempty"`
	// Issuer is the OpenID Connect issuer that vouches for the subject, as certificates name it; compared exactly.
	Issuer string `yaml:"issuer,omitempty" jsonschema:"pattern=^https?://" example:"https://token.actions.githubusercontent.com"`
	// Subject is whom certificates name, an e-mail address or a URI; compared exactly. It stands alone or subject-pattern does.
	Subject string `yaml:"subject,omitempty" example:"release@hello.example"`
	// SubjectPattern is a regular expression that has to match the whole subject.
	SubjectPattern string `yaml:"subject-pattern,omitempty" example:"https://github\\.com/example/hello/\\.github/workflows/release\\.yml@refs/tags/v.*"`
}

// Builder grants a build level to a builder whose provenance the signer signed.
type Builder struct {
	// ID is the builder's id, as provenance states it; compared exactly. A * at the end stands for any version of it.
	ID string `yaml:"id" jsonschema:"minLength=1" example:"https://github.com/slsa-framework/slsa-github-generator/.github/workflows/builder_go_slsa3.yml@refs/tags/v2.1.0"`
	// Signer is the name of the signer that signs this builder's provenance.
	Signer string `yaml:"signer" example:"generator"`
	// Level is the SLSA Build level that you grant, 0 to 3.
	Level int `yaml:"level" jsonschema:"minimum=0,maximum=3" example:"3"`
}

// Expect says what the build has to have been.
type Expect struct {
	// Level is the least SLSA Build level that is enough, 0 to 3.
	Level int `yaml:"level,omitempty" jsonschema:"minimum=0,maximum=3" example:"3"`
	// Source is the repository that was built, without git+ and ref.
	Source string `yaml:"source,omitempty" example:"https://github.com/example/hello"`
	// Ref is the ref that was built. A * stands for any text without a slash.
	Ref string `yaml:"ref,omitempty" example:"refs/tags/v*"`
	// Commit is the commit that was built. Default: any, the key is not needed.
	Commit string `yaml:"commit,omitempty" jsonschema:"pattern=^([0-9a-f]{40}|[0-9a-f]{64})$" example:"5471f1c1a2d4d0c6a2e3b5c8f7d1e0a9b8c7d6e5"`
	// EntryPoint is what was run: the path of a workflow or build file, or the name of a job.
	EntryPoint string `yaml:"entry-point,omitempty" example:".github/workflows/release.yml"`
	// BuildTypes are the build types that are accepted.
	BuildTypes []string `yaml:"build-types,omitempty" example:"[https://actions.github.io/buildtypes/workflow/v1]"`
	// Parameters are what the build has to have been given, by name and value. Any other parameter is refused. Default: none.
	Parameters map[string]string `yaml:"parameters,omitempty" example:"{inputs.release: \"true\"}"`
	// AnyParameters are parameters that may be there with any value. A * at the end stands for any rest of a name. Default: none.
	AnyParameters []string `yaml:"any-parameters,omitempty" example:"[inputs.log-level]"`
	// Predicates are further statements about the file that have to be there, each by the signer named. Default: none, the key is not needed.
	Predicates []Predicate `yaml:"predicates,omitempty"`
}

// Predicate is a statement that has to be there besides the provenance.
type Predicate struct {
	// Type is the statement's predicate type.
	Type string `yaml:"type" example:"https://spdx.dev/Document/v2.3"`
	// Signer is the name of the signer that has to have signed it.
	Signer string `yaml:"signer" example:"generator"`
}

// Checks say how strict each check is: require, warn or off. Signature, subject and builder are always required.
type Checks struct {
	// Level is about the build level. Default: require.
	Level Mode `yaml:"level,omitempty" jsonschema:"enum=require,enum=warn,enum=off" example:"require"`
	// Source is about the repository and commit. Default: require.
	Source Mode `yaml:"source,omitempty" jsonschema:"enum=require,enum=warn,enum=off" example:"require"`
	// Ref is about the branch or tag. Default: require.
	Ref Mode `yaml:"ref,omitempty" jsonschema:"enum=require,enum=warn,enum=off" example:"require"`
	// EntryPoint is about what was run. Default: require.
	EntryPoint Mode `yaml:"entry-point,omitempty" jsonschema:"enum=require,enum=warn,enum=off" example:"require"`
	// BuildType is about the build type. Default: require.
	BuildType Mode `yaml:"build-type,omitempty" jsonschema:"enum=require,enum=warn,enum=off" example:"require"`
	// Parameters is about unknown and other parameters. Default: require.
	Parameters Mode `yaml:"parameters,omitempty" jsonschema:"enum=require,enum=warn,enum=off" example:"require"`
	// Predicates is about the further statements. Default: require.
	Predicates Mode `yaml:"predicates,omitempty" jsonschema:"enum=require,enum=warn,enum=off" example:"require"`
}

// Summary trusts a verifier's summaries about resources.
type Summary struct {
	// Verifier is the verifier's id, as the summary states it; compared exactly.
	Verifier string `yaml:"verifier" jsonschema:"minLength=1" example:"https://hello.example/gate"`
	// Signer is the name of the signer that signs this verifier's summaries.
	Signer string `yaml:"signer" example:"gate"`
	// Resource is what the summary has to be about, as its resourceUri says. A * at the end stands for any rest.
	Resource string `yaml:"resource" jsonschema:"minLength=1" example:"https://hello.example/releases/*"`
	// Levels are what it has to state; of SLSA's levels a higher one will do.
	Levels []string `yaml:"levels" jsonschema:"minItems=1" example:"[SLSA_BUILD_LEVEL_3]"`
}

// Mode is how strict a check is.
type Mode string

// Modes.
const (
	Require Mode = "require"
	Warn    Mode = "warn"
	Off     Mode = "off"
)

// Or gives the mode, or require where none is set.
func (m Mode) Or() Mode {
	if m == "" {
		return Require
	}
	return m
}
