//go:build !pkcs11 || !cgo

package hsm

import "crypto"

func open(o Options) (crypto.Signer, func() error, error) {
	return nil, nil, refuse("pkcs11-not-built", o.Module, "this program cannot load PKCS#11 modules", "a program built with them",
		"CGO_ENABLED=1 go build -tags pkcs11 ./cmd/sello, on the machine that has the hardware", nil)
}
