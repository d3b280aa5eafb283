package main

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sello-release/sello/docs/examples/admission"
	"github.com/sello-release/sello/internal/registry/registrytest"
	"github.com/sello-release/sello/internal/sign/keyless/keylesstest"
	"github.com/sello-release/sello/verify"
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
	cmds := withRegistry(commands())
	cmds["admits"] = admits
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "consumers"), Cmds: cmds, Condition: condition,
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

// admits asks the example of an admission webhook about a pod with two images: admits TRUST ROOT FIRST IMAGE. With ! the pod has to be turned away.
func admits(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 4 {
		ts.Fatalf("usage: admits TRUST ROOT FIRST IMAGE")
	}
	o := verify.Options{TrustFile: []byte(ts.ReadFile(args[0])), TrustedRoot: []byte(ts.ReadFile(args[1])), RequireRelease: true}
	text, err := os.ReadFile(filepath.Join(ts.Getenv("EXAMPLES"), "admission", "review.json"))
	ts.Check(err)
	asked := strings.NewReplacer("FIRST", args[2], "IMAGE", args[3]).Replace(string(text))
	s := httptest.NewServer(admission.Handler(o))
	defer s.Close()
	answer, err := http.Post(s.URL, "application/json", strings.NewReader(asked))
	ts.Check(err)
	defer answer.Body.Close()
	var got struct {
		APIVersion, Kind string
		Response         struct {
			UID     string
			Allowed bool
			Status  struct{ Message string }
		}
	}
	ts.Check(json.NewDecoder(answer.Body).Decode(&got))
	fmt.Fprintln(ts.Stdout(), got.Response.Status.Message)
	if got.APIVersion != "admission.k8s.io/v1" || got.Kind != "AdmissionReview" || got.Response.UID != "705ab4f5-6393-11e8-b7cc-42010a800002" || got.Response.Allowed == neg {
		ts.Fatalf("%s %s: %+v", args[2], args[3], got)
	}
}
