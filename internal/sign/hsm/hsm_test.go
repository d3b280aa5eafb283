//go:build !pkcs11 || !cgo

package hsm

import (
	"testing"

	"github.com/sello-release/sello/internal/gate"
)

func TestNotBuilt(t *testing.T) {
	if _, err := Open(Options{Module: "/x.so", Token: "t", Key: "k"}); gate.Code(err) != "pkcs11-not-built" {
		t.Error(err)
	}
}
