package verify_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/verify"
)

// The families of builders whose provenance others published, each with the policy that fits.
var families = map[string]string{
	"gha_go":              policyFor("builder_go_slsa3.yml", "https://github.com/slsa-framework/slsa-github-generator/go@v1", workflowFile, ""),
	"gha_generic":         policyFor("generator_generic_slsa3.yml", "https://github.com/slsa-framework/slsa-github-generator/generic@v1", workflowFile, ""),
	"gha_container-based": policyFor("builder_container-based_slsa3.yml", "https://slsa.dev/container-based-build/v0.1?draft", ".github/configs-docker/config-tag-v14.2.toml", "buildConfig.*, builderImage.*"),
	"gha_delegator":       policyFor("builder_high-perms_slsa3.yml", delegatorType, workflowFile, "inputs.*"),
	"gha_gradle":          policyFor("builder_gradle_slsa3.yml", delegatorType, workflowFile, "inputs.*"),
	"gha_maven":           policyFor("builder_maven_slsa3.yml", delegatorType, workflowFile, "inputs.*"),
}

const (
	workflowFile  = ".github/workflows/verifier-e2e.all.workflow_dispatch.main.all.slsa3.yml"
	delegatorType = "https://github.com/slsa-framework/slsa-github-generator/delegator-generic@v0"
	generators    = "https://github.com/slsa-framework/slsa-github-generator/.github/workflows/"
)

// policyFor writes a policy for the example package that slsa-github-generator is tested with.
func policyFor(builder, buildType, entryPoint, parameters string) string {
	repository := generators
	if builder == "builder_high-perms_slsa3.yml" { // a builder of somebody else's around the delegator
		repository = "https://github.com/slsa-framework/example-trw/.github/workflows/"
	}
	text := `trusted-root:
  file: trusted_root.json
  digest: ROOT
signers:
  generator:
    issuer: https://token.actions.githubusercontent.com
    subject-pattern: ` + regexp.QuoteMeta(generators) + `(` + regexp.QuoteMeta(builder) + `|delegator_(low|high|generic)[a-z_-]*_slsa3\.yml)@refs/tags/v[0-9.]+
builders:
  - id: ` + repository + builder + `@refs/tags/*
    signer: generator
    level: 3
expect:
  level: 3
  source: https://github.com/slsa-framework/example-package
  ref: refs/tags/v14.2
  entry-point: ` + entryPoint + `
  build-types: ["` + buildType + `"]
`
	if parameters != "" {
		text += `  any-parameters: ["` + strings.ReplaceAll(parameters, ", ", `", "`) + "\"]\n"
	}
	return text
}

// foreign is one vector: a bundle, the file's digest, and the instance's trusted root.
type foreign struct {
	file   verify.Digests
	bundle []byte
	root   []byte
}

// vector reads a published case, or skips.
func vector(t testing.TB, family string) foreign {
	t.Helper()
	root := os.Getenv("SELLO_VECTORS")
	if root == "" {
		root = filepath.Join("..", "..", "shared", "vectors")
	}
	dir := filepath.Join(root, "slsa-provenance", family)
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no published cases at %s: set SELLO_VECTORS to their folder", root)
	}
	read := func(path string) []byte {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	return foreign{verify.Digests{"sha256": strings.TrimSpace(string(read(filepath.Join(dir, "artifact.sha256"))))},
		read(filepath.Join(dir, "provenance.sigstore.json")), read(filepath.Join(root, "sigstore-bundles", "public-good.trusted_root.json"))}
}

func (p foreign) judge(t testing.TB, policy string) *verify.Report {
	t.Helper()
	policy = strings.ReplaceAll(policy, "ROOT", "sha256:"+digest.Bytes(p.root))
	r, err := verify.Provenance(p.file, []verify.Evidence{{Name: "B", Content: p.bundle}}, verify.PolicyOptions{Policy: []byte(policy), TrustedRoot: p.root})
	if err != nil {
		t.Fatalf("%v\n%s", err, policy)
	}
	return r
}

func TestForeignProvenance(t *testing.T) {
	t.Parallel()
	for family, policy := range families {
		v := vector(t, family)
		r := v.judge(t, policy)
		if err := r.Err(); err != nil || r.Levels["build"] != "SLSA_BUILD_LEVEL_3" || !strings.HasPrefix(r.Source, "https://github.com/slsa-framework/example-package@refs/") || r.Scope != verify.ScopeProvenance {
			t.Errorf("%s: %v\n%+v", family, err, r)
		}
	}
	t.Logf("%d published builders", len(families))
}

// Each line of the policy matters: changed, the file is refused, by the code of what does not hold any more.
func TestForeignProvenancePolicy(t *testing.T) {
	t.Parallel()
	v := vector(t, "gha_maven")
	policy := strings.ReplaceAll(families["gha_maven"], `  any-parameters: ["inputs.*"]`, `  commit: 693130cb6cb840a7bc9cb18c6510d536a95dc7e6
  parameters: {inputs.jdk-version: "17", inputs.rekor-log-public: "false"}
  any-parameters: [inputs.directory]`)
	if err := v.judge(t, policy).Err(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ from, to, code string }{
		{"issuer: https://token.actions.githubusercontent.com", "issuer: https://gitlab.com", "no-trusted-signer"},
		{"subject-pattern: https", "subject-pattern: xhttps", "no-trusted-signer"},
		{"- id: https://github.com/slsa-framework", "- id: https://github.com/somebody", "builder-unknown"},
		{"builders:", "  other: {issuer: \"https://x.example\", subject: \"a@b.example\"}\nbuilders:", ""},
		{"signer: generator\n", "signer: other\n", "signer-builder-mismatch"},
		{"    level: 3", "    level: 2", "level-too-low"},
		{"example-package", "another-package", "source-mismatch"},
		{"commit: 69", "commit: 70", "source-mismatch"},
		{"ref: refs/tags/v14.2", "ref: refs/tags/v14.3", "ref-mismatch"},
		{"ref: refs/tags/v14.2", "ref: refs/tags/v*", ""},
		{"ref: refs/tags/v14.2", "ref: refs/*", "ref-mismatch"},
		{"entry-point: .github", "entry-point: x.github", "entrypoint-mismatch"},
		{"delegator-generic@v0", "delegator-generic@v1", "buildtype-unexpected"},
		{"inputs.jdk-version: \"17\"", "inputs.jdk-version: \"21\"", "param-mismatch"},
		{"inputs.jdk-version: \"17\", ", "", "param-unexpected"},
		{"[inputs.directory]", "[inputs.other]", "param-unexpected"},
		{"{inputs.jdk-version", "{inputs.more: x, inputs.jdk-version", "param-mismatch"},
		{"builders:", "checks: {ref: off}\nbuilders:", ""},
		{"expect:", "expect:\n  predicates: [{type: \"https://spdx.dev/Document/v2.3\", signer: generator}]", "attestation-missing"},
		{"expect:", "expect:\n  predicates: [{type: \"https://slsa.dev/provenance/v1\", signer: generator}]", ""},
	} {
		changed := strings.Replace(policy, c.from, c.to, 1)
		if c.to == "signer: other\n" {
			changed = strings.Replace(changed, "builders:", "  other: {issuer: \"https://x.example\", subject: \"a@b.example\"}\nbuilders:", 1)
		}
		if changed == policy {
			t.Fatalf("%q is not in the policy", c.from)
		}
		if got := gate.Code(v.judge(t, changed).Err()); got != c.code {
			t.Errorf("%q -> %q: %q, want %q", c.from, c.to, got, c.code)
		}
	}
}

// A policy can have what it expects only warned about, or left out; the report says so.
func TestForeignProvenanceWarns(t *testing.T) {
	t.Parallel()
	v := vector(t, "gha_maven")
	for mode, status := range map[string]string{"warn": verify.Warned, "off": verify.Skip, "require": verify.Fail} {
		policy := strings.Replace(families["gha_maven"], "refs/tags/v14.2", "refs/tags/v99", 1) + "checks: {ref: " + mode + "}\n"
		r := v.judge(t, policy)
		if refused := r.Verdict == verify.Refused; refused != (mode == "require") {
			t.Errorf("%s: %s", mode, r.Verdict)
		}
		found := ""
		for _, c := range r.Checks {
			if c.ID == "ref-mismatch" {
				found = c.Status
			}
		}
		if found != status {
			t.Errorf("%s: the check says %q, want %q", mode, found, status)
		}
	}
}

// What the certificate's own run says is one check, and what the policy asks of the source another: one that is off is not shown as held.
func TestForeignSourceLeftOut(t *testing.T) {
	t.Parallel()
	v := vector(t, "gha_maven")
	for mode, want := range map[string][]string{"off": {verify.Skip}, "warn": {verify.Warned}, "require": {verify.Fail}} {
		r := v.judge(t, strings.Replace(families["gha_maven"], "example-package", "another-package", 1)+"checks: {source: "+mode+"}\n")
		var source, run []string
		for _, c := range r.Checks {
			switch c.ID {
			case "source-mismatch":
				source = append(source, c.Status)
			case "certified-run":
				run = append(run, c.Status)
			}
		}
		if !slices.Contains(source, want[0]) || slices.Contains(source, verify.Pass) && mode != "require" || !slices.Equal(run, []string{verify.Pass}) {
			t.Errorf("%s: source %q, run %q", mode, source, run)
		}
	}
}

// Whatever is changed in a published case is found, by name.
func TestForeignProvenanceTampered(t *testing.T) {
	t.Parallel()
	v := vector(t, "gha_maven")
	var b struct {
		Envelope struct {
			Payload    []byte
			Signatures []struct{ Sig []byte }
		} `json:"dsseEnvelope"`
		Material struct {
			Chain struct{ Certificates []struct{ RawBytes []byte } } `json:"x509CertificateChain"`
		} `json:"verificationMaterial"`
	}
	if err := json.Unmarshal(v.bundle, &b); err != nil {
		t.Fatal(err)
	}
	flip := func(part []byte, at int) func(*foreign) {
		return func(p *foreign) {
			changed := bytes.Clone(part)
			changed[at] ^= 1
			old, fresh := base64.StdEncoding.EncodeToString(part), base64.StdEncoding.EncodeToString(changed)
			p.bundle = bytes.Replace(p.bundle, []byte(old), []byte(fresh), 1)
		}
	}
	payload, certificate := b.Envelope.Payload, b.Material.Chain.Certificates[0].RawBytes
	for name, c := range map[string]struct {
		change func(*foreign)
		code   string
	}{
		"payload":     {flip(payload, bytes.Index(payload, []byte("jdk-version"))), "signature-invalid"},
		"signature":   {flip(b.Envelope.Signatures[0].Sig, 20), "signature-invalid"},
		"certificate": {flip(certificate, len(certificate)-5), "cert-untrusted"},
		"digest":      {func(p *foreign) { p.file = verify.Digests{"sha256": digest.Bytes(nil)} }, "subject-mismatch"},
		"half":        {func(p *foreign) { p.bundle = p.bundle[:len(p.bundle)/2] }, "bad-json"},
		"nothing":     {func(p *foreign) { p.bundle = nil }, "bad-json"},
		"empty list":  {func(p *foreign) { p.bundle = []byte(`{"attestations":[]}`) }, "bad-json"},
	} {
		changed := v
		c.change(&changed)
		if got := gate.Code(changed.judge(t, families["gha_maven"]).Err()); got != c.code {
			t.Errorf("%s: %q, want %q", name, got, c.code)
		}
	}
}

// Keys: of an envelope, and of a bare statement as Google's regional keys sign it; neither counts as the other. What npm, GitHub and
// gcloud put around attestations is opened, and one good attestation among bad ones is found.
func TestForeignProvenanceKeys(t *testing.T) {
	t.Parallel()
	key, err := sign.Generate()
	if err != nil {
		t.Fatal(err)
	}
	pem, err := key.PublicPEM()
	if err != nil {
		t.Fatal(err)
	}
	file := verify.Digests{"sha256": digest.Bytes([]byte("x"))}
	payload := []byte(`{"_type":"https://in-toto.io/Statement/v0.1","subject":[{"name":"x","digest":{"sha256":"` + file["sha256"] + `"}}],"predicateType":"https://slsa.dev/provenance/v0.1","predicate":{"builder":{"id":"https://cloudbuild.googleapis.com/GoogleHostedWorker@v0.3"},
		"recipe":{"type":"https://cloudbuild.googleapis.com/CloudBuildYaml@v0.1","entryPoint":"cloudbuild.yaml","arguments":{"steps":[],"substitutions":{"TAG_NAME":"v1","_MODE":"fast"}}},"materials":[{"uri":"https://github.com/o/r","digest":{"sha1":"5471f1c1a2d4d0c6a2e3b5c8f7d1e0a9b8c7d6e5"}}]}}`)
	envelope := func(over []byte) string {
		sig, err := key.Sign(t.Context(), over)
		if err != nil {
			t.Fatal(err)
		}
		return `{"payload":"` + base64.URLEncoding.EncodeToString(payload) + `","payloadType":"application/vnd.in-toto+json","signatures":[{"keyid":"k","sig":"` + base64.URLEncoding.EncodeToString(sig) + `"}]}`
	}
	bare := envelope(payload)
	dsse := envelope([]byte("DSSEv1 28 application/vnd.in-toto+json " + strconv.Itoa(len(payload)) + " " + string(payload)))
	both := strings.TrimSuffix(bare, "]}") + "," + dsse[strings.Index(dsse, `{"keyid"`):]
	policy := func(more string) []byte {
		return []byte("signers:\n  google:\n    key: |\n      " + strings.ReplaceAll(strings.TrimSpace(string(pem)), "\n", "\n      ") + "\n" + more + `builders: [{id: "https://cloudbuild.googleapis.com/GoogleHostedWorker@v0.3", signer: google, level: 3}]
expect: {level: 3, source: https://github.com/o/r, ref: refs/tags/v1, entry-point: cloudbuild.yaml, build-types: ["https://cloudbuild.googleapis.com/CloudBuildYaml@v0.1"], parameters: {substitutions._MODE: fast}}
`)
	}
	for name, c := range map[string]struct{ evidence, more, code string }{
		"envelope":                 {dsse, "", ""},
		"a bare statement":         {bare, "", "no-trusted-signer"},
		"bare, as the policy says": {bare, "    bare: true\n", ""},
		"an envelope for bare":     {dsse, "    bare: true\n", "no-trusted-signer"},
		"the second signature":     {both, "", ""},
		"gcloud":                   {`{"image_summary":{},"provenance_summary":{"provenance":[{"kind":"BUILD","envelope":` + bare + `},{"envelope":` + dsse + `}]}}`, "", ""},
		"lines":                    {"{\"x\":1}\n" + bare + "\n\n" + dsse + "\n", "", ""},
		"lines of nothing":         {"{}\n{}\n", "", "bad-json"},
		"an empty envelope":        {`{"provenance_summary":{"provenance":[{}]}}`, "", "bad-json"},
		"no signature":             {strings.Replace(dsse, dsse[strings.Index(dsse, `{"keyid"`):], "]}", 1), "", "no-signature"},
	} {
		r, err := verify.Provenance(file, []verify.Evidence{{Name: "B", Content: []byte(c.evidence)}}, verify.PolicyOptions{Policy: policy(c.more)})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := gate.Code(r.Err()); got != c.code {
			t.Errorf("%s: %v, want %q", name, r.Err(), c.code)
		}
	}
	r, err := verify.Provenance(file, nil, verify.PolicyOptions{Policy: policy("")})
	if err != nil || gate.Code(r.Err()) != "attestation-missing" {
		t.Errorf("no evidence: %v, %v", err, r)
	}
}

// Google's real provenance: refused while the policy has not Google's key.
func TestForeignProvenanceUnknownKey(t *testing.T) {
	t.Parallel()
	v := vector(t, "gha_maven")
	root := os.Getenv("SELLO_VECTORS")
	if root == "" {
		root = filepath.Join("..", "..", "shared", "vectors")
	}
	data, err := os.ReadFile(filepath.Join(root, "slsa-provenance", "gcb_container", "gcloud.json"))
	if err != nil {
		t.Fatal(err)
	}
	sum, err := os.ReadFile(filepath.Join(root, "slsa-provenance", "gcb_container", "artifact.digest"))
	if err != nil {
		t.Fatal(err)
	}
	v.bundle, v.file = data, verify.Digests{"sha256": strings.TrimPrefix(strings.TrimSpace(string(sum)), "sha256:")}
	if got := gate.Code(v.judge(t, families["gha_maven"]).Err()); got != "no-trusted-signer" {
		t.Errorf("%q", got)
	}
	key, err := os.ReadFile(filepath.Join(os.Getenv("SELLO_SLSA_TESTDATA"), "..", "..", "..", "verifiers", "internal", "gcb", "keys", "materials", "us-west2.key"))
	if err != nil {
		t.Log("accepted it is only with SELLO_SLSA_TESTDATA, which has Google's key")
		return
	}
	policy := "signers:\n  google:\n    bare: true\n    key: |\n      " + strings.ReplaceAll(strings.TrimSpace(string(key)), "\n", "\n      ") + `
builders: [{id: "https://cloudbuild.googleapis.com/GoogleHostedWorker@v0.3", signer: google, level: 3}]
expect: {level: 3, source: https://github.com/laurentsimon/gcb-tests, ref: refs/tags/v39, entry-point: cloudbuild.yaml, build-types: ["https://cloudbuild.googleapis.com/CloudBuildYaml@v0.1"]}
`
	r, err := verify.Provenance(v.file, []verify.Evidence{{Name: "B", Content: v.bundle}}, verify.PolicyOptions{Policy: []byte(policy)})
	if err != nil || r.Err() != nil {
		t.Errorf("with Google's key: %v, %v", err, r.Err())
	}
}

// All that slsa-verifier is tested with, where a checkout of its cli/slsa-verifier/testdata is at SELLO_SLSA_TESTDATA: of 98 Sigstore
// bundles by nine builders 92 are accepted; five that were tampered with and one by somebody else are refused.
func TestForeignProvenanceCorpus(t *testing.T) {
	t.Parallel()
	dir := os.Getenv("SELLO_SLSA_TESTDATA")
	if dir == "" {
		t.Skip("no corpus: set SELLO_SLSA_TESTDATA to slsa-verifier's cli/slsa-verifier/testdata")
	}
	root := vector(t, "gha_go").root
	policies := map[string]string{}
	for family, policy := range families {
		policies[family] = strings.ReplaceAll(policy, "configs-docker/config-tag-v14.2.toml", "x") + "checks: {ref: off, entry-point: off}\n"
	}
	policies["gha_delegator"] = strings.Replace(policies["gha_delegator"], "@refs/tags/v[0-9.]+", "@refs/(tags/v[0-9.]+|heads/main)", 1) // v1.9.0 was
	workflow := func(issuer, subject, builder, source, entry, parameters string) string {
		return "trusted-root: {file: r, digest: ROOT}\nsigners:\n  ci: {issuer: " + issuer + ", subject-pattern: '" + subject + "'}\nbuilders:\n  - {id: \"" + builder + "\", signer: ci, level: 2}\n" +
			"expect: {level: 2, source: " + source + ", entry-point: " + entry + ", any-parameters: [" + parameters + "]}\nchecks: {ref: off, build-type: off}\n"
	}
	const actions = "https://token.actions.githubusercontent.com"
	policies["bcr"] = workflow(actions, `https://github\.com/bazel-contrib/.*`, "https://github.com/bazel-contrib/*", "https://github.com/aspect-build/rules_lint", ".github/workflows/release.yml", "")
	for name, p := range map[string]string{
		"gundam-visor-cli-v1-tag":           workflow(actions, `https://github\.com/ramonpetgrave64/gundam-visor/.*`, "https://github.com/actions/runner/github-hosted", "https://github.com/ramonpetgrave64/gundam-visor", ".github/workflows/npm-publish.yml", ""),
		"supreme-googles-cli-v02-tag":       workflow(actions, `https://github\.com/.*`, "https://github.com/actions/runner*", "https://github.com/trishankatdatadog/supreme-goggles", ".github/workflows/npm-publish.yml", ""),
		"provenance-npm-test-cli-v02-prega": workflow(actions, `https://github\.com/.*`, "https://github.com/actions/runner*", "https://github.com/laurentsimon/provenance-npm-test", ".github/workflows/release.yml", ""),
		"provenance-npm-test-cli-v1-prega":  workflow(actions, `https://github\.com/.*`, "https://github.com/actions/runner*", "https://github.com/sigstore/sigstore-js", ".github/workflows/release.yml", ""),
		"provenance-npm-test-ossf":          workflow(actions, regexp.QuoteMeta(generators)+".*", generators+"builder_nodejs_slsa3.yml@*", "https://github.com/laurentsimon/provenance-npm-test", ".github/workflows/release-slsa3.yml", `"inputs.*"`),
	} {
		policies["npm/"+name] = p
	}
	accepted, refused := 0, map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		name, _ := filepath.Rel(dir, path)
		data, readErr := os.ReadFile(path)
		if err != nil || d.IsDir() || readErr != nil || !bytes.HasPrefix(data, []byte("{")) || strings.Contains(path, "gha_generic_container") {
			return err
		}
		family, _, _ := strings.Cut(filepath.ToSlash(name), "/")
		artifact := regexp.MustCompile(`(\.intoto\.jsonl|\.json|\.intoto\.sigstore|(\.intoto)?\.build\.slsa)$`).ReplaceAllString(path, "")
		if family == "npm" {
			base := strings.TrimSuffix(filepath.Base(artifact), ".tgz")
			family = "npm/" + strings.TrimSuffix(strings.TrimSuffix(base, "-invalidsigprov"), "-invalidsigpub")
		}
		policy, ok := policies[family]
		if !ok || !bytes.Contains(data, []byte("dsseEnvelope")) {
			return nil
		}
		file, err := verify.FileDigests(artifact)
		if err != nil {
			return err
		}
		r := foreign{file, data, root}.judge(t, policy)
		if r.Verdict == verify.Accepted {
			accepted++
		} else {
			refused[strings.TrimPrefix(filepath.ToSlash(name), "npm/gha/")] = gate.Code(r.Err())
			t.Log(name, r.Err())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d accepted, %d refused", accepted, len(refused))
	if accepted < 92 {
		t.Error("there are fewer cases than there have to be")
	}
	want := map[string]string{"bcr/MODULE-wrong-signer.bazel.intoto.jsonl": "no-trusted-signer"}
	for name := range policies {
		if base, ok := strings.CutPrefix(name, "npm/"); ok {
			want[base+"-invalidsigprov.tgz.json"] = "signature-invalid"
		}
	}
	if diff := cmp.Diff(want, refused); diff != "" {
		t.Error(diff)
	}
}
