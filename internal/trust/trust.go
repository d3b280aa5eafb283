// Package trust reads trust.yaml: whose signatures count, for what, and how many of them.
//
// # Promises
//
// A Trust that Parse returns can be relied on: every key is a strong public key and
// belongs to one identity, every role names known identities, the managers' threshold
// can be reached and is at least one, and every builder is signed for by an identity with the role
// builder. Everything that is wrong with a file is reported at once, with line and
// column. What depends on the time, Check and Usable decide at the time they are given.
//
// A key decides who signed; names prove nothing. The build level is the one granted
// here, never the one that provenance claims.
//
// # What it does not do
//
// No I/O, no signatures, no private keys: it decides who is trusted, others find out who signed.
package trust

import (
	"crypto"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sello-release/sello/internal/digest"
)

// FileName is the trust file's path in the repository.
const FileName = "trust.yaml"

// Roles.
const (
	RoleBuilder   = "builder"   // signs provenance
	RoleManager   = "manager"   // signs off; counts for a release
	RoleAssociate = "associate" // may stage and rebuild; never counts for a release
	RoleLog       = "log"       // signs the transparency log's checkpoints; a release without a proof of that log is refused
	RoleVerifier  = "verifier"  // signs the gate's verification summaries; a release without one is refused
)

// Roles are all roles, as trust.yaml lists them.
var Roles = []string{RoleBuilder, RoleManager, RoleAssociate, RoleLog, RoleVerifier}

// Trust is trust.yaml: the only thing that a consumer has to trust. It is reviewed like code, and names the project and its canonical source, so that verifying needs nothing else.
type Trust struct {
	// Version counts the changes of this file, from 1 on.
	Version int `yaml:"version" jsonschema:"minimum=1" example:"1"`
	// Project is the project's name, as in sello.yaml.
	Project string `yaml:"project" jsonschema:"maxLength=64" example:"age"`
	// Source is the canonical source, as in sello.yaml.
	Source string `yaml:"source" jsonschema:"pattern=^(https://|pkg:golang/)" example:"https://github.com/FiloSottile/age"`
	// Expires is the last day (UTC) on which this file counts.
	Expires Date `yaml:"expires" jsonschema:"pattern=^[0-9]{4}-[0-9]{2}-[0-9]{2}$" example:"2027-06-30"`
	// Identities are people and services by name, each with its public key, or with whom its certificates name.
	Identities map[string]Identity `yaml:"identities"`
	// Roles say who may do what: builder, manager, associate, log, verifier.
	Roles map[string]Role `yaml:"roles"`
	// Builders say which build levels are granted. What a provenance says of its own level does not count.
	Builders []Builder `yaml:"builders" jsonschema:"minItems=1"`
	// Verifiers say who speaks for a verifier in verification summaries (VSAs). Every release then needs one. Default: none, releases have no summary.
	Verifiers []Verifier `yaml:"verifiers,omitempty"`
	// Witnesses cosign the transparency log's checkpoints; a release whose proof too few of them have cosigned is refused. It needs the role log. Default: none, nobody has to.
	Witnesses *Witnesses `yaml:"witnesses,omitempty"`
	// TrustedRoot is the trusted root of the Sigstore instance whose certificates count. It is needed when an identity has issuer and subject. Default: none, only keys count.
	TrustedRoot *Pinned `yaml:"trusted-root,omitempty"`
	// Previous is the digest of the version before this one; this file is then signed by that version's managers. Default: none, this is the first.
	Previous string `yaml:"previous,omitempty" jsonschema:"pattern=^sha256:[0-9a-f]{64}$"`

	sha256 string            // of the bytes that were parsed
	root   []byte            // content of TrustedRoot, once it is known
	names  map[string]string // identity by key id, or by Keyless.ID
}

// Identity is a person or a service that signs with one key, or keyless: with certificates that name it.
type Identity struct {
	// Key is the public key: PEM (PUBLIC KEY), ECDSA P-256 or P-384, or Ed25519. It stands alone or issuer and subject do.
	Key string `yaml:"key,omitempty" jsonschema:"pattern=^-----BEGIN PUBLIC KEY-----"`
	// Issuer is the OpenID Connect issuer that vouches for the subject, as certificates name it; compared exactly.
	Issuer string `yaml:"issuer,omitempty" jsonschema:"pattern=^https?://" example:"https://token.actions.githubusercontent.com"`
	// Subject is whom certificates name, an e-mail address or a URI; compared exactly, without patterns.
	Subject string `yaml:"subject,omitempty" example:"release@age.example"`
	// NotBefore is the first day (UTC) on which the identity counts. Default: always.
	NotBefore Date `yaml:"not-before,omitempty" jsonschema:"pattern=^[0-9]{4}-[0-9]{2}-[0-9]{2}$" example:"2026-01-01"`
	// Expires is the last day (UTC) on which the identity counts. Default: as long as the file.
	Expires Date `yaml:"expires,omitempty" jsonschema:"pattern=^[0-9]{4}-[0-9]{2}-[0-9]{2}$" example:"2027-06-30"`
}

// Pinned is a file of the repository at one content.
type Pinned struct {
	// File is its path in the repository.
	File string `yaml:"file" example:"trusted_root.json"`
	// Digest is the SHA-256 of its content.
	Digest string `yaml:"digest" jsonschema:"pattern=^sha256:[0-9a-f]{64}$"`
	// Fallback says what counts while the transparency log is down: timestamp-only are bundles with a signed timestamp and no log entry. Default: none, signing waits for the log.
	Fallback string `yaml:"fallback,omitempty" jsonschema:"enum=timestamp-only"`
}

// TimestampOnly is the one fallback: bundles without a log entry count.
const TimestampOnly = "timestamp-only"

// Role says who has a role.
type Role struct {
	// Identities that have the role.
	Identities []string `yaml:"identities" jsonschema:"minItems=1,uniqueItems=true" example:"[first-manager, second-manager]"`
	// Threshold is how many of them it takes. It is required for manager and is 1 for the others. Default: 1.
	Threshold int `yaml:"threshold,omitempty" jsonschema:"minimum=1"`
}

// Builder grants a build level.
type Builder struct {
	// ID is the builder's id, as provenance states it.
	ID string `yaml:"id" jsonschema:"pattern=^https://" example:"https://github.com/sello-release/sello/builders/bubblewrap/v1"`
	// Signer is the identity that signs this builder's provenance; it has the role builder.
	Signer string `yaml:"signer" example:"build-service"`
	// Level is the SLSA Build level that is granted, 0 to 3.
	Level int `yaml:"level" jsonschema:"minimum=0,maximum=3" example:"3"`
}

// Verifier says whose signature a verifier's summaries have.
type Verifier struct {
	// ID is the verifier's id, as its summaries state it.
	ID string `yaml:"id" jsonschema:"pattern=^https://" example:"https://example.com/hello/verifiers/gate"`
	// Signer is the identity that signs this verifier's summaries; it has the role verifier.
	Signer string `yaml:"signer" example:"gate"`
}

// Witnesses are who vouches that everybody sees the same transparency log.
type Witnesses struct {
	// Threshold is how many of the witnesses have to cosign the log's checkpoint: more than half of them, or two logs could each find enough.
	Threshold int `yaml:"threshold" jsonschema:"minimum=1" example:"2"`
	// Keys are the witnesses.
	Keys []Witness `yaml:"keys" jsonschema:"minItems=1"`
}

// Witness cosigns checkpoints of the transparency log (C2SP tlog-witness).
type Witness struct {
	// Key is the witness's public key as it hands it out: name, hash and Ed25519 key with plus signs between (C2SP tlog-cosignature).
	Key string `yaml:"key" jsonschema:"pattern=^[^+ ]+[+][0-9a-f]{8}[+][A-Za-z0-9+/]+=*$" example:"witness.example/w1+e42b2f2c+BDtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"`
	// URL is where the witness is asked: its submission prefix. Who verifies asks nobody.
	URL string `yaml:"url" jsonschema:"pattern=^https?://" example:"https://witness.example/w1"`
}

// Date is a day, written 2027-06-30, in UTC.
type Date string

// Start is the day's first moment; the zero time when the date is empty or wrong.
func (d Date) Start() time.Time {
	t, err := time.Parse(time.DateOnly, string(d))
	if err != nil {
		return time.Time{}
	}
	return t
}

// End is the first moment after the day; the zero time when the date is empty or wrong.
func (d Date) End() time.Time {
	if t := d.Start(); !t.IsZero() {
		return t.AddDate(0, 0, 1)
	}
	return time.Time{}
}

// Digest is the SHA-256 of the file's bytes as lower-case hex; of what Marshal writes, when the
// Trust was changed or made by hand.
func (t *Trust) Digest() string {
	if t.sha256 == "" {
		return digest.Bytes(Marshal(t))
	}
	return t.sha256
}

// Identity gives an identity by name.
func (t *Trust) Identity(name string) (Identity, bool) {
	id, ok := t.Identities[name]
	return id, ok
}

// PublicKey gives an identity's key.
func (t *Trust) PublicKey(name string) (crypto.PublicKey, bool) {
	id, ok := t.Identities[name]
	if !ok {
		return nil, false
	}
	pub, err := ParsePublicKey([]byte(id.Key))
	return pub, err == nil
}

// ByKey gives the name of the identity that a public key belongs to.
func (t *Trust) ByKey(pub crypto.PublicKey) (name string, ok bool) {
	id, err := KeyID(pub)
	if err != nil {
		return "", false
	}
	return t.ByKeyID(id)
}

// ByKeyID is ByKey for a key id, as KeyID makes it, or for Keyless.ID.
func (t *Trust) ByKeyID(keyid string) (name string, ok bool) {
	if t.names == nil {
		t.names = map[string]string{}
		for name := range t.Identities {
			if pub, ok := t.PublicKey(name); ok {
				id, _ := KeyID(pub) // ParsePublicKey has computed it
				t.names[id] = name
			} else if k, ok := t.Identities[name].Keyless(); ok {
				t.names[k.ID()] = name
			}
		}
	}
	name, ok = t.names[keyid]
	return name, ok
}

// HasRole reports whether the identity has the role.
func (t *Trust) HasRole(name, role string) bool {
	_, known := t.Identities[name]
	return known && slices.Contains(t.Roles[role].Identities, name)
}

// Role gives the identities of a role, in the file's order.
func (t *Trust) Role(role string) []string { return slices.Clone(t.Roles[role].Identities) }

// Managers gives the identities whose sign-offs count, in the file's order.
func (t *Trust) Managers() []string { return t.Role(RoleManager) }

// Threshold is how many identities of a role it takes, at least 1.
func (t *Trust) Threshold(role string) int { return max(1, t.Roles[role].Threshold) }

// BuilderLevel gives the build level that is granted to a builder whose provenance the identity signer signed.
func (t *Trust) BuilderLevel(signer, builderID string) (level int, ok bool) {
	for _, b := range t.Builders {
		if b.ID == builderID && b.Signer == signer && t.HasRole(signer, RoleBuilder) {
			return b.Level, true
		}
	}
	return 0, false
}

// VerifierIDs gives the ids of the verifiers for which an identity signs, in the file's order.
func (t *Trust) VerifierIDs(signer string) []string {
	var out []string
	for _, v := range t.Verifiers {
		if v.Signer == signer && t.HasRole(signer, RoleVerifier) {
			out = append(out, v.ID)
		}
	}
	return out
}

// Names gives all identities, sorted.
func (t *Trust) Names() []string { return slices.Sorted(maps.Keys(t.Identities)) }

// Purl names a version of what a project releases: by its source where that has a package URL, else by its name. Without a version it ends
// in the @ before it.
func Purl(source, project, version string) string {
	if strings.HasPrefix(source, "pkg:") {
		base, _, _ := strings.Cut(source, "@")
		return base + "@" + version
	}
	if repo, ok := strings.CutPrefix(strings.TrimPrefix(source, "https://"), "github.com/"); ok {
		return "pkg:github/" + strings.ToLower(strings.TrimSuffix(repo, ".git")) + "@" + version
	}
	return "pkg:generic/" + project + "@" + version
}
