package source

import (
	"bytes"
	"context"
	"crypto"
	"fmt"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"
)

// signatureHead begins the signature of a tag object, as git and CreateTag write it.
const signatureHead = "-----BEGIN SSH SIGNATURE-----"

// TagSignedBy reports whether the tag exists and carries a good SSH signature, in the namespace git, of this public key.
// Refused: what Tag refuses.
func (r *Repository) TagSignedBy(ctx context.Context, name string, key crypto.PublicKey) (bool, error) {
	if err := CheckTagName(name); err != nil {
		return false, err
	}
	refs, err := r.refs(ctx, tags+name)
	if err != nil {
		return false, err
	}
	id, ok := refs[tags+name]
	if !ok {
		return false, nil
	}
	o, err := r.objects(ctx, false)
	if err != nil {
		return false, err
	}
	defer o.close()
	kind, body, err := o.any(id)
	if err != nil {
		return false, o.broken(err, "tag "+quote(name))
	}
	said, signature, signed := cutSignature(body)
	if kind != kindTag || !signed || !bytes.Contains(said, []byte("\ntag "+name+"\n")) {
		return false, nil
	}
	public, err := ssh.NewPublicKey(key)
	if err != nil {
		return false, fmt.Errorf("read public key: %w", err)
	}
	parsed, err := sshsig.Unarmor(signature)
	if err != nil {
		return false, nil //nolint:nilerr // no signature that could be good
	}
	return sshsig.Verify(bytes.NewReader(said), parsed, public, parsed.HashAlgorithm, "git") == nil, nil
}

// cutSignature cuts a tag object before its signature.
func cutSignature(body []byte) (said, signature []byte, ok bool) {
	i := bytes.LastIndex(body, []byte("\n"+signatureHead))
	if i < 0 {
		return body, nil, false
	}
	return body[:i+1], body[i+1:], true
}
