//go:build pkcs11 && cgo

package main

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sello-release/sello/internal/sign/hsm/hsmtest"
)

// TestSoftHSMSessions runs sessions in which builder and manager sign with keys of a token that SoftHSM keeps.
func TestSoftHSMSessions(t *testing.T) {
	module := hsmtest.SoftHSM(t)
	conf := os.Getenv("SOFTHSM2_CONF")
	testscript.Run(t, testscript.Params{
		Dir: "testdata/hardware",
		Setup: func(e *testscript.Env) error {
			e.Setenv("MODULE", module)
			e.Setenv("SOFTHSM2_CONF", conf)
			return session(e)
		},
		Cmds:      commands(),
		Condition: condition,
	})
}
