package main

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sello-release/sello/internal/registry/registrytest"
	"github.com/sello-release/sello/internal/sign/keyless/keylesstest"
)

// TestConsumerSessions lets those who use releases judge keyless ones, with a registry and a Sigstore instance of the real servers.
func TestConsumerSessions(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("staging in a sandbox is Linux only")
	}
	cosign, crane := registrytest.Tool(t, "cosign"), registrytest.Tool(t, "crane")
	i := keylesstest.Start(t)
	dir := sigstoreFiles(t, i)
	ca, clock := chains(t, i.Root)
	examples, err := filepath.Abs(filepath.Join("..", "..", "docs", "examples"))
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "consumers"), Cmds: withRegistry(commands()), Condition: condition,
		Setup: func(e *testscript.Env) error {
			if err := imageSession(e, registrytest.Kinds()[0]); err != nil {
				return err
			}
			for k, v := range map[string]string{"CRANE": crane, "EXAMPLES": examples, "CA_CHAIN": ca, "CLOCK_CHAIN": clock, "SELLO_POLICY_TESTER": os.Getenv("SELLO_POLICY_TESTER")} {
				e.Setenv(k, v)
			}
			return keylessSession(e, i, dir, cosign)
		},
	})
}

// chains gives the certificates of a trusted root's authorities as policy-controller takes them: base64 of PEM.
func chains(t *testing.T, root []byte) (ca, clock string) {
	t.Helper()
	type authority struct {
		CertChain struct {
			Certificates []struct{ RawBytes []byte }
		}
	}
	var doc struct{ CertificateAuthorities, TimestampAuthorities []authority }
	if err := json.Unmarshal(root, &doc); err != nil {
		t.Fatal(err)
	}
	encode := func(all []authority) string {
		var out []byte
		for _, c := range all[0].CertChain.Certificates {
			out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.RawBytes})...)
		}
		return base64.StdEncoding.EncodeToString(out)
	}
	return encode(doc.CertificateAuthorities), encode(doc.TimestampAuthorities)
}
