// Package examples_test holds that the examples are of what Sello releases.
package examples_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/engine/bubblewrap"
	"github.com/sello-release/sello/internal/stage"
	vt "github.com/sello-release/sello/verify/verifytest"
)

// Every policy asks for what a release has: provenance of SLSA's, by the builder's key or certificate, of the builder and the source. That
// policy-controller admits by its policy is shown in cmd/sello/testdata/consumers.
func TestPolicies(t *testing.T) {
	files, err := filepath.Glob("*/*.yaml")
	if err != nil || len(files) < 4 {
		t.Fatalf("%v, %v", files, err)
	}
	values := map[string]map[string][]string{} // of each file, by key
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var doc yaml.Node
		if err := yaml.Unmarshal(data, &doc); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		values[file] = map[string][]string{}
		collect(&doc, "", values[file])
	}
	const subject, issuer, source = "builder@hello.example", "https://issuer.example", "git+https://example.com/hello"
	for file, want := range map[string]map[string]string{
		"policy-controller/keyless.yaml":    {"kind": "ClusterImagePolicy", "subject": subject, "issuer": issuer, "predicateType": attest.ProvenanceType, "signatureFormat": "bundle", "trustRootRef": "private-sigstore"},
		"policy-controller/trust-root.yaml": {"kind": "TrustRoot", "name": "private-sigstore"},
		"kyverno/keyless.yaml":              {"kind": "ImageValidatingPolicy", "subject": subject, "issuer": issuer, "type": attest.ProvenanceType},
		"kyverno/key.yaml":                  {"kind": "ImageValidatingPolicy", "data": "BUILDER_KEY\n", "type": attest.ProvenanceType, "insecureIgnoreTlog": "true"},
	} {
		for key, v := range want {
			if got := values[file][key]; len(got) == 0 || slices.ContainsFunc(got, func(g string) bool { return g != v && key != "name" }) || !slices.Contains(got, v) {
				t.Errorf("%s: %s is %q, want %q", file, key, got, v)
			}
		}
	}
	for file, key := range map[string]string{"policy-controller/keyless.yaml": "data", "kyverno/keyless.yaml": "expression", "kyverno/key.yaml": "expression"} {
		if !slices.ContainsFunc(values[file][key], func(s string) bool { return strings.Contains(s, `"`+source+`"`) }) {
			t.Errorf("%s does not ask for the source", file)
		}
	}
	if cue := values["policy-controller/keyless.yaml"]["data"][0]; !strings.Contains(cue, `"`+bubblewrap.BuilderID+`"`) {
		t.Errorf("the policy asks for another builder than %s", bubblewrap.BuilderID)
	}
	if len(values) != 4 {
		t.Errorf("a policy that nobody looks at: %d files", len(values))
	}
}

// collect gives the values of a document by their keys, wherever these stand.
func collect(n *yaml.Node, key string, into map[string][]string) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i < len(n.Content); i += 2 {
			collect(n.Content[i+1], n.Content[i].Value, into)
		}
	case yaml.ScalarNode:
		into[key] = append(into[key], n.Value)
	default:
		for _, c := range n.Content {
			collect(c, key, into)
		}
	}
}

// sigstore-js, by the program that readers are given: a released file, one that was changed, another key, another kind of statement.
func TestSigstoreJS(t *testing.T) {
	npm, err := exec.Command("npm", "root", "--global").Output()
	modules := filepath.Join(strings.TrimSpace(string(npm)), "npm", "node_modules")
	if _, missing := os.Stat(filepath.Join(modules, "@sigstore", "verify")); err != nil || missing != nil {
		t.Skip("there is no npm with sigstore-js")
	}
	w, dir := vt.NewWorld(t), t.TempDir()
	w.ReleaseAt(t, dir)
	for _, name := range []string{"build-service", "first"} {
		public, err := w.Keys[name].PublicPEM()
		if err != nil {
			t.Fatal(err)
		}
		vt.Write(t, dir, name+".pub", public)
	}
	vt.Write(t, dir, "changed", []byte("an archive, changed"))
	for name, c := range map[string]struct{ bundle, key, file, says string }{
		"released":       {vt.Archive + stage.BundleSuffix, "build-service.pub", vt.Archive, "built by " + vt.BuilderID},
		"changed":        {vt.Archive + stage.BundleSuffix, "build-service.pub", "changed", "the statement is about other files"},
		"another key":    {vt.Archive + stage.BundleSuffix, "first.pub", vt.Archive, "signature verification failed"},
		"another kind":   {stage.ReleaseBundle, "build-service.pub", vt.Archive, "a statement of another kind"},
		"not a sign-off": {stage.SignOffFolder + "/first" + stage.BundleSuffix, "first.pub", vt.Archive, "a statement of another kind"},
	} {
		at := func(n string) string { return filepath.Join(dir, filepath.FromSlash(n)) }
		cmd := exec.Command("node", filepath.Join("sigstore-js", "verify.js"), at(c.bundle), at(c.key), at(c.file))
		cmd.Env = append(os.Environ(), "NODE_PATH="+modules)
		out, err := cmd.CombinedOutput()
		if (err == nil) != (name == "released") || !strings.Contains(string(out), c.says) {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}
