package release

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/sign/keyless"
	"github.com/sello-release/sello/internal/trust"
)

// Keys are the signers of one project on this machine: <folder>/<project>/<identity>.key is a private key,
// with the public key beside it in <identity>.pub; <identity>.yaml says with what else the identity signs.
type Keys struct {
	Dir   string              // folder of the project
	Ask   sign.Passphrase     // for passphrases and PINs
	Token keyless.TokenSource // for certificates

	Terminal keyless.Terminal // where a person can be asked to sign in
	SignIn   string           // how they want to
	Note     func(string)     // is told of waiting
}

// Keys gives the project's keys.
func (p *Project) Keys(project string) Keys {
	return Keys{Dir: filepath.Join(p.KeyDir, project), Ask: p.Passphrase, Token: p.Token, Note: p.note, Terminal: p.Terminal, SignIn: p.SignIn}
}

// Path of a private key.
func (k Keys) Path(identity string) string { return filepath.Join(k.Dir, identity+".key") }

// generate makes a key of the kind that a role signs with.
func generate(role string) (*sign.Key, error) {
	if role == trust.RoleLog {
		return sign.GenerateEd25519()
	}
	return sign.Generate()
}

// Create makes a key pair for identity, of the kind that the role signs with; an existing key is never overwritten.
func (k Keys) Create(identity, role string, passphrase []byte) (*sign.Key, error) {
	key, err := generate(role)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(k.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make key folder: %w", err)
	}
	if err := sign.WriteKeyFile(k.Path(identity), key, passphrase); err != nil {
		return nil, err
	}
	public, err := key.PublicPEM()
	if err != nil {
		return nil, err
	}
	if err := writeFile(filepath.Join(k.Dir, identity+".pub"), public); err != nil {
		return nil, fmt.Errorf("write public key: %w", err)
	}
	return key, nil
}

// Names lists the identities that this machine can sign as, sorted.
func (k Keys) Names() ([]string, error) {
	entries, err := os.ReadDir(k.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	var out []string
	for _, e := range entries {
		name, ext := strings.TrimSuffix(e.Name(), filepath.Ext(e.Name())), filepath.Ext(e.Name())
		if ext == ".key" || ext == signerSuffix {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// Signer picks what to sign with in a role: the identity named, or the only one on this machine that
// has the role in the trust file. The key itself, or whom certificates name, must be the identity's: names of files prove nothing.
func (k Keys) Signer(ctx context.Context, t *trust.Trust, role, as string) (identity string, signer sign.Signer, err error) {
	names, err := k.Names()
	if err != nil {
		return "", nil, err
	}
	var able []string
	for _, name := range names {
		if t.HasRole(name, role) {
			able = append(able, name)
		}
	}
	switch {
	case as == "" && len(able) == 1:
		as = able[0]
	case as == "" && len(able) > 1:
		return "", nil, &gate.Refusal{Code: "signer-ambiguous", Class: gate.Usage, What: "this machine has several keys with the role " + role,
			Expected: "one of " + strings.Join(able, ", "), Fix: "add --as " + able[0]}
	case as == "":
		return "", nil, &gate.Refusal{Code: "signer-missing", Where: k.Dir, What: "this machine has no key with the role " + role,
			Expected: "a key of " + orNone(t.Role(role)), Actual: "keys of " + orNone(names), Fix: "run this where one of them lies, or copy it here; a new one is sello key new NAME --role " + role + ", and has to be reviewed"}
	case !slices.Contains(names, as):
		return "", nil, &gate.Refusal{Code: "signer-missing", Where: k.Path(as), What: "this machine has no key called " + as,
			Expected: "one of " + orNone(names), Fix: "give the name of a key on this machine; sello key list shows them"}
	}
	if signer, err = k.open(ctx, t, as); err != nil {
		return "", nil, err
	}
	owner, ok := t.ByKeyID(signer.KeyID())
	if !ok || !t.HasRole(owner, role) {
		r := &gate.Refusal{Code: "signer-not-trusted", Where: k.file(as), What: "this key may not act as " + role, Expected: "the key of " + orNone(t.Role(role))}
		_, other := t.Identities[as]
		switch {
		case ok:
			r.Actual = "the key of " + owner + ", who has not the role"
			r.Fix = "sign with a key that has it, or have " + TrustFile + " on the release branch give " + owner + " the role: sello key trust " + owner + " --role " + role
		case other:
			r.Actual = "another key than the one that " + TrustFile + " has for " + as
			r.Fix = "put the private key that belongs to " + as + " in " + TrustFile + " in this file's place; if that is lost, make one under another name (sello key new NAME --role " + role + "), and have it reviewed"
		default:
			r.Actual = "a key that " + TrustFile + " does not know"
			r.Fix = "sign with another key, or have this one added to " + TrustFile + " on the release branch: sello key trust " + as + " --role " + role
		}
		return "", nil, r
	}
	return owner, signer, nil
}

// file is where this machine says how to sign as identity: a private key, or where one is.
func (k Keys) file(identity string) string {
	path := k.signerPath(identity)
	if _, err := os.Lstat(path); err == nil {
		return path
	}
	return k.Path(identity)
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "nobody"
	}
	return strings.Join(names, ", ")
}
