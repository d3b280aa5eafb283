package release

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	"github.com/sello-release/sello/internal/definition"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/trust"
)

// TrustKeyOptions say whose key gets which role.
type TrustKeyOptions struct {
	Identity      string
	PublicKeyFile string        // default: the key of this machine called Identity
	Keyless       trust.Keyless // in place of a key: whom certificates name
	Role          string        // default: none
	Threshold     int           // of managers; 0 leaves it
}

// KeyInfo describes a key.
type KeyInfo struct {
	Identity string   `json:"identity"`
	KeyID    string   `json:"keyId"`             // or subject and issuer of who signs keyless
	Private  string   `json:"private,omitempty"` // path, of the key or of what says where it is
	Roles    []string `json:"roles,omitempty"`
	Changed  bool     `json:"changed,omitempty"` // trust.yaml was written

	Signed   *TrustSigned `json:"signed,omitempty"`   // of a later version than the first: that this machine's manager has signed it
	Unsigned bool         `json:"unsigned,omitempty"` // and that managers of the version before have to sign it yet
}

var identityName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

// NewKey makes a key pair on this machine and, when a role is given, adds it to trust.yaml in the working tree.
func (p *Project) NewKey(ctx context.Context, o TrustKeyOptions, encrypt bool) (*KeyInfo, error) {
	if err := checkIdentity(o.Identity); err != nil {
		return nil, err
	}
	project, err := p.projectName()
	if err != nil {
		return nil, err
	}
	if err := p.rehearse(ctx, o); err != nil {
		return nil, err
	}
	var passphrase []byte
	if encrypt {
		if passphrase, err = p.Passphrase(); err != nil {
			return nil, err
		}
		if len(passphrase) == 0 {
			return nil, usageRefusal("passphrase-empty", "", "the passphrase is empty", "give one, or leave --encrypt out")
		}
	}
	keys := p.Keys(project)
	key, err := keys.Create(o.Identity, o.Role, passphrase)
	if err != nil {
		return nil, err
	}
	info := &KeyInfo{Identity: o.Identity, KeyID: key.KeyID(), Private: keys.Path(o.Identity)}
	if o.Role == "" {
		return info, nil
	}
	public, err := key.PublicPEM()
	if err != nil {
		return nil, err
	}
	return info, p.addToTrust(ctx, o, trust.Identity{Key: string(public)}, info)
}

func checkIdentity(name string) error {
	if !identityName.MatchString(name) {
		return usageRefusal("identity-name", name, "this is no name for an identity", "use lower-case letters, digits, '.', '_' and '-'")
	}
	return trust.CheckName(name)
}

// rehearse refuses what addToTrust would refuse, before a key is made that would then lie about: a throwaway key stands
// in for it.
func (p *Project) rehearse(ctx context.Context, o TrustKeyOptions) error {
	if err := o.check(); err != nil || o.Role == "" {
		return err
	}
	throwaway, err := generate(o.Role)
	if err != nil {
		return fmt.Errorf("make throwaway key: %w", err)
	}
	public, err := throwaway.PublicPEM()
	if err != nil {
		return err
	}
	_, err = p.withIdentity(ctx, o, trust.Identity{Key: string(public)})
	return err
}

// check refuses a threshold that would be ignored.
func (o TrustKeyOptions) check() error {
	switch {
	case o.Threshold < 0:
		return usageRefusal("trust-threshold", "", "a threshold below one would let anything pass", "give --threshold 1 or more")
	case o.Threshold > 0 && o.Role == "":
		return usageRefusal("role-missing", "", "a threshold is set together with a role", "add --role manager")
	}
	return nil
}

// TrustKey adds a public key to trust.yaml in the working tree. It counts once the change is on the release branch.
func (p *Project) TrustKey(ctx context.Context, o TrustKeyOptions) (*KeyInfo, error) {
	if o.Role == "" {
		return nil, usageRefusal("role-missing", "", "which role does "+o.Identity+" get?", "add --role manager, associate, builder, log or verifier")
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	if o.Keyless != (trust.Keyless{}) {
		return p.trustKeyless(ctx, o)
	}
	var public []byte
	var err error
	if o.PublicKeyFile == "" {
		public, err = p.PublicKey(ctx, o.Identity)
	} else {
		public, err = os.ReadFile(o.PublicKeyFile)
	}
	if err != nil {
		return nil, usageRefusal("key-missing", o.PublicKeyFile, "read public key: "+err.Error(), "give the path of the public key file")
	}
	key, err := trust.ParsePublicKey(public)
	if err != nil {
		return nil, &gate.Refusal{Code: "key-malformed", Class: gate.Usage, What: "this is not a public key", Where: o.PublicKeyFile, Cause: err, Fix: "give a PEM file that begins with -----BEGIN PUBLIC KEY-----"}
	}
	id, err := trust.KeyID(key)
	if err != nil {
		return nil, err
	}
	info := &KeyInfo{Identity: o.Identity, KeyID: id}
	return info, p.addToTrust(ctx, o, trust.Identity{Key: string(public)}, info)
}

// trustKeyless adds an identity that signs with certificates.
func (p *Project) trustKeyless(ctx context.Context, o TrustKeyOptions) (*KeyInfo, error) {
	id := trust.Identity{Issuer: o.Keyless.Issuer, Subject: o.Keyless.Subject}
	who, ok := id.Keyless()
	if !ok || o.PublicKeyFile != "" {
		return nil, usageRefusal("trust-keyless", o.Identity, "an identity has a key, or both an issuer and a subject", "give the file of a key, or --issuer and --subject")
	}
	info := &KeyInfo{Identity: o.Identity, KeyID: who.ID()}
	return info, p.addToTrust(ctx, o, id, info)
}

// addToTrust changes trust.yaml in the working tree, with its version raised.
func (p *Project) addToTrust(ctx context.Context, o TrustKeyOptions, id trust.Identity, info *KeyInfo) error {
	t, err := p.withIdentity(ctx, o, id)
	if err != nil {
		return err
	}
	info.Roles, info.Changed = rolesOf(t, o.Identity), true
	info.Signed, info.Unsigned, err = p.writeTrust(ctx, t)
	return err
}

// writeTrust writes trust.yaml into the working tree, and signs it where this machine's manager can and it needs it.
func (p *Project) writeTrust(ctx context.Context, t *trust.Trust) (signed *TrustSigned, unsigned bool, err error) {
	if err := writeFile(filepath.Join(p.Repo.Root(), TrustFile), trust.Marshal(t)); err != nil {
		return nil, false, fmt.Errorf("write trust file: %w", err)
	}
	if t.Previous == "" {
		return nil, false, nil
	}
	signed, err = p.SignTrust(ctx, "")
	switch gate.Code(err) {
	case "signer-ambiguous", "signer-missing", "signer-not-trusted", "key-passphrase-missing", "key-passphrase-wrong":
		signed, err = nil, nil
	}
	return signed, signed == nil || len(signed.SignedBy) < signed.Needed, err
}

// withIdentity gives the next version of trust.yaml, with an identity added. It never gives what would not be read again.
func (p *Project) withIdentity(ctx context.Context, o TrustKeyOptions, id trust.Identity) (*trust.Trust, error) {
	t, err := p.draft(ctx)
	if err != nil {
		return nil, err
	}
	if err := t.Add(o.Identity, id, o.Role); err != nil {
		return nil, err
	}
	if o.Threshold > 0 {
		managers := t.Roles[trust.RoleManager]
		managers.Threshold = o.Threshold
		t.Roles[trust.RoleManager] = managers
	}
	if _, err := trust.Parse(TrustFile, trust.Marshal(t)); err != nil {
		return nil, err
	}
	return t, nil
}

// ListKeys gives the project's private keys on this machine, with their roles in the working tree's trust file.
func (p *Project) ListKeys(ctx context.Context) ([]KeyInfo, error) {
	project, err := p.projectName()
	if err != nil {
		return nil, err
	}
	keys := p.Keys(project)
	names, err := keys.Names()
	if err != nil {
		return nil, err
	}
	var t *trust.Trust
	if data, err := readLimited(filepath.Join(p.Repo.Root(), TrustFile)); err == nil {
		if t, err = trust.Parse(TrustFile, data); err != nil {
			return nil, err
		}
	}
	out := []KeyInfo{}
	for _, name := range names {
		info := KeyInfo{Identity: name, Private: keys.Path(name)}
		if _, err := os.Stat(info.Private); errors.Is(err, fs.ErrNotExist) {
			info.Private = keys.signerPath(name)
		}
		if public, err := os.ReadFile(filepath.Join(keys.Dir, name+".pub")); err == nil {
			if key, err := trust.ParsePublicKey(public); err == nil {
				info.KeyID, _ = trust.KeyID(key)
			}
		}
		if t != nil {
			info.Roles = rolesOf(t, name)
		}
		out = append(out, info)
	}
	return out, nil
}

// PublicKey gives a public key as PEM: the one in trust.yaml, else the one of a key on this machine.
func (p *Project) PublicKey(ctx context.Context, identity string) ([]byte, error) {
	if data, err := readLimited(filepath.Join(p.Repo.Root(), TrustFile)); err == nil {
		t, err := trust.Parse(TrustFile, data)
		if err != nil {
			return nil, err
		}
		if key, ok := t.PublicKey(identity); ok {
			der, err := x509.MarshalPKIXPublicKey(key)
			if err != nil {
				return nil, fmt.Errorf("encode public key: %w", err)
			}
			return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
		}
	}
	project, err := p.projectName()
	if err != nil {
		return nil, err
	}
	keys := p.Keys(project)
	data, err := os.ReadFile(filepath.Join(keys.Dir, identity+".pub"))
	if _, missing := os.Stat(keys.signerPath(identity)); missing == nil {
		return keys.publicElsewhere(ctx, identity)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &gate.Refusal{Code: "key-missing", Class: gate.Usage, Where: identity, What: "there is no key of that name, neither in " + TrustFile + " nor on this machine", Fix: "sello key list"}
	}
	return data, err
}

// projectName reads the project's name from the working tree's definition: keys are kept by project.
func (p *Project) projectName() (string, error) {
	data, err := readLimited(filepath.Join(p.Repo.Root(), definition.FileName))
	if err != nil {
		return "", missing(definition.FileName, err)
	}
	def, err := definition.Parse(definition.FileName, data)
	if err != nil {
		return "", err
	}
	return def.Project, nil
}

func rolesOf(t *trust.Trust, identity string) []string {
	var out []string
	for _, role := range trust.Roles {
		if t.HasRole(identity, role) {
			out = append(out, role)
		}
	}
	return out
}
