package release

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/sign/hsm"
	"github.com/sello-release/sello/internal/sign/keyless"
	"github.com/sello-release/sello/internal/sign/kms"
	"github.com/sello-release/sello/internal/strictyaml"
	"github.com/sello-release/sello/internal/trust"
)

// signerSuffix ends the name of a file that says with what an identity signs.
const signerSuffix = ".yaml"

// signerFile says with what an identity signs, in one way.
type signerFile struct {
	Keyless *keylessFile `yaml:"keyless,omitempty"`
	PKCS11  *pkcs11File  `yaml:"pkcs11,omitempty"`
	KMS     string       `yaml:"kms,omitempty"` // URI of the key
}

type keylessFile struct {
	SigningConfig string `yaml:"signing-config"`     // path of signing_config.json, from the folder of this file
	Audience      string `yaml:"audience,omitempty"` // of tokens; default sigstore
	Wait          string `yaml:"wait,omitempty"`     // for a service that is down; default 2m
	Public        bool   `yaml:"public,omitempty"`   // agreed to what becomes public
	SignIn        string `yaml:"sign-in,omitempty"`  // how a person does where no platform gives a token: browser or device
	Issuer        string `yaml:"issuer,omitempty"`   // where; default the one of the signing configuration
}

type pkcs11File struct {
	Module string `yaml:"module"` // path of the C library
	Token  string `yaml:"token"`  // label
	Key    string `yaml:"key"`    // label
}

// maxWait bounds how long a signer may be told to wait for a service.
const maxWait = 24 * time.Hour

// open opens an identity's signer. It refuses, by code: signer-file with what is wrong with the file, key-exists when there are a key
// and a file, and what the kind of signer refuses.
func (k Keys) open(ctx context.Context, t *trust.Trust, identity string) (sign.Signer, error) {
	path := k.signerPath(identity)
	data, err := readLimited(path)
	if errors.Is(err, fs.ErrNotExist) {
		return sign.ReadKeyFile(k.Path(identity), k.Ask)
	}
	if err != nil {
		return nil, fmt.Errorf("read signer: %w", err)
	}
	if _, err := os.Lstat(k.Path(identity)); err == nil {
		return nil, signerRefusal(path, "this machine has two ways to sign as "+identity, "one of them", k.Path(identity)+" and "+path, "remove the one that is not to be used")
	}
	var f signerFile
	if _, err := strictyaml.Decode(path, data, &f); err != nil {
		return nil, err
	}
	ways := 0
	for _, said := range []bool{f.Keyless != nil, f.PKCS11 != nil, f.KMS != ""} {
		if said {
			ways++
		}
	}
	switch {
	case ways != 1:
		return nil, signerRefusal(path, "the file does not say in one way how to sign", "keyless:, pkcs11: or kms:", fmt.Sprintf("%d of them", ways), "write one of them")
	case f.PKCS11 != nil:
		return hsm.Open(hsm.Options{Module: f.PKCS11.Module, Token: f.PKCS11.Token, Key: f.PKCS11.Key, PIN: k.Ask})
	case f.KMS != "":
		return kms.Open(ctx, f.KMS)
	}
	return k.keyless(t, identity, path, f.Keyless)
}

// isKeyURI reports whether a key is named by URI: it is with a service.
func isKeyURI(name string) bool { return strings.Contains(name, "://") }

// signerAt opens the signer that a user names without an identity: a private key file, a file that says with what is signed (pkcs11: or kms:; who a
// certificate names, only a trust file says), or the URI of a key with a service.
func signerAt(ctx context.Context, name string, ask sign.Passphrase) (sign.Signer, error) {
	if isKeyURI(name) {
		return kms.Open(ctx, name)
	}
	if identity, ok := strings.CutSuffix(filepath.Base(name), signerSuffix); ok {
		return Keys{Dir: filepath.Dir(name), Ask: ask}.open(ctx, &trust.Trust{}, identity)
	}
	return sign.ReadKeyFile(name, ask)
}

// signerPath is of the file that says with what an identity signs.
func (k Keys) signerPath(identity string) string {
	return filepath.Join(k.Dir, identity+signerSuffix)
}

// publicElsewhere gives the public key of a key in hardware or with a service, as PEM.
func (k Keys) publicElsewhere(ctx context.Context, identity string) ([]byte, error) {
	signer, err := k.open(ctx, &trust.Trust{}, identity)
	if err != nil {
		return nil, err
	}
	holder, ok := signer.(sign.Holder)
	if !ok {
		return nil, fmt.Errorf("%s signs with no key that lasts", identity)
	}
	return sign.PublicPEM(holder.Public())
}

func signerRefusal(where, what, expected, actual, fix string) error {
	return &gate.Refusal{Code: "signer-file", Class: gate.Usage, Where: where, What: what, Expected: expected, Actual: actual, Fix: fix}
}

func (k Keys) keyless(t *trust.Trust, identity, path string, f *keylessFile) (sign.Signer, error) {
	who, ok := t.Identities[identity].Keyless()
	if !ok {
		return nil, &gate.Refusal{Code: "signer-not-trusted", Class: gate.Usage, Where: path, What: identity + " signs keyless on this machine, and not in " + TrustFile,
			Expected: "issuer and subject of " + identity + " in " + TrustFile, Fix: "have " + TrustFile + " say whom certificates name, or sign with the identity's key"}
	}
	config := f.SigningConfig
	if !filepath.IsAbs(config) {
		config = filepath.Join(k.Dir, config)
	}
	data, err := readLimited(config)
	if err != nil {
		return nil, signerRefusal(path, "read signing configuration: "+err.Error(), "the path of the instance's signing_config.json", config, "correct signing-config:")
	}
	o := keyless.Options{Identity: who, Token: k.Token, Audience: f.Audience, Note: k.Note}
	if o.Config, err = keyless.ParseConfig(data, time.Now()); err != nil {
		return nil, at(err, config)
	}
	if f.Wait != "" {
		if o.Wait, err = time.ParseDuration(f.Wait); err != nil || o.Wait <= 0 || o.Wait > maxWait {
			return nil, signerRefusal(path, "this is not how long to wait", "a duration such as 2m, at most "+maxWait.String(), f.Wait, "correct wait:")
		}
	}
	if o.Root, err = sign.RootOf(t); err != nil {
		return nil, err
	}
	if o.Token, err = k.tokens(path, f, o); err != nil {
		return nil, err
	}
	signer := keyless.New(o)
	if !f.Public {
		return nil, &gate.Refusal{Code: "keyless-consent", Class: gate.Usage, Where: path, What: "signing as " + identity + " makes public who signs: " + signer.Public(),
			Expected: "public: true", Fix: "if that is agreed to, write public: true below keyless: in this file"}
	}
	return signer, nil
}

// tokens gives where tokens come from: the platform, and where it gives none the person who is asked to sign in. Who says so on the
// command line signs in in any case.
func (k Keys) tokens(path string, f *keylessFile, o keyless.Options) (keyless.TokenSource, error) {
	flow := orText(k.SignIn, f.SignIn)
	if flow == "" {
		return k.Token, nil
	}
	if !slices.Contains(keyless.Flows, flow) {
		return nil, signerRefusal(path, "this is no way to sign in", strings.Join(keyless.Flows, " or "), fmt.Sprintf("%.100q", flow), "correct sign-in:")
	}
	issuer := orText(f.Issuer, o.Config.Issuer())
	if issuer == "" {
		return nil, signerRefusal(path, "nothing says where to sign in", "issuer:, or an OpenID Connect issuer in the signing configuration", "neither", "add issuer: with its URL")
	}
	person := keyless.SignIn{Issuer: issuer, Flow: flow, Terminal: k.Terminal, Wait: o.Wait, Note: o.Note}.Token
	if k.SignIn != "" {
		return person, nil
	}
	return k.Token.Else(person), nil
}

// at says where a refusal happened that does not know it.
func at(err error, where string) error {
	var r *gate.Refusal
	if errors.As(err, &r) && r.Where == "" {
		r.Where = where
	}
	return err
}

// ready lets a signer find out early that it cannot sign: before the work, not after it.
func ready(ctx context.Context, s sign.Signer) error {
	if r, ok := s.(interface {
		Ready(ctx context.Context) error
	}); ok {
		return r.Ready(ctx)
	}
	return nil
}

// tagSigner gives the key that signs a git tag; nil for who has none that lasts: the release statement says which commit was released.
func tagSigner(s sign.Signer) crypto.Signer {
	if k, ok := s.(interface{ Private() crypto.Signer }); ok {
		return k.Private()
	}
	return nil
}
