//go:build pkcs11 && cgo

package hsm

import (
	"crypto"
	"errors"
	"os"

	"github.com/ThalesGroup/crypto11"
	"github.com/miekg/pkcs11"
)

func open(o Options) (crypto.Signer, func() error, error) {
	if _, err := os.Stat(o.Module); err != nil { // the loader says less
		return nil, nil, refuse("pkcs11-module", o.Module, "the PKCS#11 module cannot be loaded", "the path of a shared library", "install the module, or correct module:", err)
	}
	library := pkcs11.New(o.Module)
	if library == nil {
		return nil, nil, refuse("pkcs11-module", o.Module, "this is no PKCS#11 module", "a shared library for this machine that has PKCS#11's functions", "correct module:", nil)
	}
	library.Destroy()
	pin, err := o.PIN()
	if err != nil {
		return nil, nil, err
	}
	defer clear(pin)
	ctx, err := crypto11.Configure(&crypto11.Config{Path: o.Module, TokenLabel: o.Token, Pin: string(pin)})
	var code pkcs11.Error
	switch {
	case err == nil:
	case errors.As(err, &code) && (code == pkcs11.CKR_PIN_INCORRECT || code == pkcs11.CKR_PIN_INVALID || code == pkcs11.CKR_PIN_LEN_RANGE || code == pkcs11.CKR_PIN_LOCKED):
		return nil, nil, refuse("pkcs11-pin", o.Token, "the token does not open with this PIN", "", "try again, before the token locks itself", code)
	case errors.As(err, &code) || o.Token == "":
		return nil, nil, refuse("pkcs11-module", o.Module, "the PKCS#11 module does not work", "", "see whether the hardware is there", err)
	default:
		return nil, nil, refuse("pkcs11-token", o.Module, "the token is not there", "a token labelled "+o.Token, "plug it in, or correct token:", err)
	}
	key, err := ctx.FindKeyPair(nil, []byte(o.Key))
	if err == nil && key == nil {
		err = errors.New("no pair of keys has this label")
	}
	if err != nil {
		return nil, nil, errors.Join(refuse("pkcs11-key", o.Token, "the key is not in the token", "private and public key labelled "+o.Key, "correct key:, or make the key in the token", err), ctx.Close())
	}
	return key, ctx.Close, nil
}
