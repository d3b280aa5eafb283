package provenance

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/trust"
)

const (
	commit = "5471f1c1a2d4d0c6a2e3b5c8f7d1e0a9b8c7d6e5"
	other  = "00000000a2d4d0c6a2e3b5c8f7d1e0a9b8c7d6e5"
)

// statement puts a predicate into a statement about one file.
func statement(predicateType, predicate string) []byte {
	return []byte(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"x","digest":{"sha256":"` + strings.Repeat("a", 64) + `"}}],"predicateType":"` + predicateType + `","predicate":` + predicate + `}`)
}

// The shapes of builders of which no signed example is published, as their documentation has them, and
// what a release's own provenance looks like.
var shapes = map[string]struct {
	typ, predicate string
	want           Provenance
}{
	"github": {Types[0], `{"buildDefinition":{"buildType":"https://actions.github.io/buildtypes/workflow/v1","externalParameters":{"workflow":{"ref":"refs/tags/v1","repository":"https://github.com/o/r","path":".github/workflows/release.yml"},"inputs":{"level":3,"empty":"","more":{"a.b":true}}},
		"resolvedDependencies":[{"uri":"git+https://github.com/o/r@refs/tags/v1","digest":{"gitCommit":"` + commit + `"}}]},"runDetails":{"builder":{"id":"https://github.com/o/r/.github/workflows/release.yml@refs/tags/v1"}}}`,
		Provenance{Builder: "https://github.com/o/r/.github/workflows/release.yml@refs/tags/v1", BuildType: "https://actions.github.io/buildtypes/workflow/v1", Source: Source{"https://github.com/o/r", "refs/tags/v1", commit},
			EntryPoint: ".github/workflows/release.yml", Parameters: map[string]string{"inputs.level": "3", `inputs.more."a.b"`: "true"}}},
	"cloud build v1": {Types[0], `{"buildDefinition":{"buildType":"https://cloud.google.com/build/gcb-buildtypes/google-worker/v1","externalParameters":{"buildConfigSource":{"ref":"refs/heads/main","repository":"git+https://github.com/o/r","path":"cloudbuild.yaml"},"substitutions":{"_MODE":"fast"}},
		"internalParameters":{"systemSubstitutions":{"BRANCH_NAME":"main"}},"resolvedDependencies":[{"uri":"git+https://github.com/o/r@refs/heads/main","digest":{"gitCommit":"` + commit + `"}}]},"runDetails":{"builder":{"id":"https://cloudbuild.googleapis.com/GoogleHostedWorker"}}}`,
		Provenance{Builder: "https://cloudbuild.googleapis.com/GoogleHostedWorker", BuildType: "https://cloud.google.com/build/gcb-buildtypes/google-worker/v1", Source: Source{"https://github.com/o/r", "refs/heads/main", commit},
			EntryPoint: "cloudbuild.yaml", Parameters: map[string]string{"substitutions._MODE": "fast"}}},
	"gitlab": {Types[0], `{"buildDefinition":{"buildType":"https://gitlab.com/gitlab-org/gitlab-runner/-/blob/v16.0.0/PROVENANCE.md","externalParameters":{"source":"https://gitlab.com/g/p","entryPoint":"build-job","variables":{"CI_COMMIT_TAG":"v1","MODE":"x"}},
		"resolvedDependencies":[{"uri":"https://gitlab.com/g/p","digest":{"sha256":"` + commit + `"}}]},"runDetails":{"builder":{"id":"https://gitlab.com/g/p/-/runners/1"}}}`,
		Provenance{Builder: "https://gitlab.com/g/p/-/runners/1", BuildType: "https://gitlab.com/gitlab-org/gitlab-runner/-/blob/v16.0.0/PROVENANCE.md", Source: Source{"https://gitlab.com/g/p", "refs/tags/v1", commit},
			EntryPoint: "build-job", Parameters: map[string]string{"variables.CI_COMMIT_TAG": "v1", "variables.MODE": "x"}}},
	"tekton v1": {Types[0], `{"buildDefinition":{"buildType":"https://tekton.dev/chains/v2/slsa","externalParameters":{"runSpec":{"pipelineRef":{"name":"build"},"params":[{"name":"tag","value":"v1"}],"timeout":"1h"}},
		"resolvedDependencies":[{"name":"pipeline","uri":"git+https://github.com/o/catalog","digest":{"sha1":"` + other + `"}},{"name":"inputs/result","uri":"git+https://github.com/o/r.git","digest":{"sha1":"` + commit + `"}}]},"runDetails":{"builder":{"id":"https://tekton.dev/chains/v2"}}}`,
		Provenance{Builder: "https://tekton.dev/chains/v2", BuildType: "https://tekton.dev/chains/v2/slsa", Source: Source{URI: "https://github.com/o/r", Commit: commit},
			EntryPoint: "build", Parameters: map[string]string{"params.tag": "v1", "runSpec.pipelineRef.name": "build", "runSpec.timeout": "1h"}}},
	"tekton v0.2": {Types[1], `{"builder":{"id":"https://tekton.dev/chains/v2"},"buildType":"tekton.dev/v1beta1/TaskRun","invocation":{"configSource":{"uri":"git+https://github.com/o/catalog","digest":{"sha1":"` + other + `"},"entryPoint":"task.yaml"},"parameters":{"tag":"v1"}},
		"materials":[{"uri":"git+https://github.com/o/catalog","digest":{"sha1":"` + other + `"}},{"uri":"git+https://github.com/o/r.git","digest":{"sha1":"` + commit + `"}},{"uri":"oci://image","digest":{"sha256":"` + strings.Repeat("b", 64) + `"}}]}`,
		Provenance{Builder: "https://tekton.dev/chains/v2", BuildType: "tekton.dev/v1beta1/TaskRun", Source: Source{URI: "https://github.com/o/r", Commit: commit},
			EntryPoint: "task.yaml", Parameters: map[string]string{"tag": "v1"}}},
	"buildkit v0.2": {Types[1], `{"builder":{"id":"https://github.com/o/r/actions/runs/1"},"buildType":"https://mobyproject.org/buildkit@v1","invocation":{"configSource":{"uri":"https://github.com/o/r.git#refs/tags/v1","digest":{"sha1":"` + commit + `"},"entryPoint":"Dockerfile"},"parameters":{"frontend":"dockerfile.v0","args":{"build-arg:MODE":"x"}},"environment":{"platform":"linux/amd64"}},
		"materials":[{"uri":"https://github.com/o/r.git#refs/tags/v1","digest":{"sha1":"` + commit + `"}}]}`,
		Provenance{Builder: "https://github.com/o/r/actions/runs/1", BuildType: "https://mobyproject.org/buildkit@v1", Source: Source{"https://github.com/o/r", "refs/tags/v1", commit},
			EntryPoint: "Dockerfile", Parameters: map[string]string{"frontend": "dockerfile.v0", "args.build-arg:MODE": "x"}}},
	"buildkit v1": {Types[0], `{"buildDefinition":{"buildType":"https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md","externalParameters":{"configSource":{"uri":"https://github.com/o/r.git#refs/tags/v1","digest":{"sha1":"` + commit + `"},"path":"Dockerfile"},"request":{"frontend":"dockerfile.v0","args":{"target":"x"}}}},"runDetails":{"builder":{"id":"b"}}}`,
		Provenance{Builder: "b", BuildType: "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md", Source: Source{"https://github.com/o/r", "refs/tags/v1", commit},
			EntryPoint: "Dockerfile", Parameters: map[string]string{"request.frontend": "dockerfile.v0", "request.args.target": "x"}}},
	"krel": {Types[1], `{"builder":{"id":"https://git.k8s.io/release/docs/krel"},"buildType":"https://cloudbuild.googleapis.com/CloudBuildYaml@v1","invocation":{"configSource":{"entryPoint":"https://git.k8s.io/release/gcb/stage/cloudbuild.yaml"},"parameters":{"type":"official","nomock":true}},
		"materials":[{"uri":"git+https://github.com/kubernetes/kubernetes","digest":{"sha1":"` + commit + `"}}]}`,
		Provenance{Builder: "https://git.k8s.io/release/docs/krel", BuildType: "https://cloudbuild.googleapis.com/CloudBuildYaml@v1", Source: Source{URI: "https://github.com/kubernetes/kubernetes", Commit: commit},
			EntryPoint: "https://git.k8s.io/release/gcb/stage/cloudbuild.yaml", Parameters: map[string]string{"type": "official", "nomock": "true"}}},
	"cloud build by hand": {Types[2], `{"builder":{"id":"https://cloudbuild.googleapis.com/GoogleHostedWorker@v0.3"},"recipe":{"type":"https://cloudbuild.googleapis.com/CloudBuildSteps@v0.1","arguments":{"id":"1","steps":[{"name":"x"}],"substitutions":{"_A":"b","COMMIT_SHA":"` + commit + `"}}},"materials":[{"uri":"gs://bucket/o.tgz#12","digest":{}}]}`,
		Provenance{Builder: "https://cloudbuild.googleapis.com/GoogleHostedWorker@v0.3", BuildType: "https://cloudbuild.googleapis.com/CloudBuildSteps@v0.1", Source: Source{URI: "gs://bucket/o.tgz#12"},
			Parameters: map[string]string{"steps": `[{"name":"x"}]`, "substitutions._A": "b"}}},
	"generator with inputs": {Types[1], `{"builder":{"id":"g"},"buildType":"https://github.com/slsa-framework/slsa-github-generator/generic@v1","invocation":{"configSource":{"uri":"git+https://github.com/o/r@refs/heads/main","digest":{"sha1":"` + commit + `"},"entryPoint":"w.yml"},"environment":{"github_event_payload":{"inputs":{"mode":"x"}}}}}`,
		Provenance{Builder: "g", BuildType: "https://github.com/slsa-framework/slsa-github-generator/generic@v1", Source: Source{"https://github.com/o/r", "refs/heads/main", commit},
			EntryPoint: "w.yml", Parameters: map[string]string{"inputs.mode": "x"}}},
	"sello": {Types[0], `{"buildDefinition":{"buildType":"https://github.com/sello-release/sello/buildtypes/go/v1","externalParameters":{"source":{"uri":"git+https://github.com/o/r","digest":{"gitCommit":"` + commit + `"}},"entryPoint":"sello.yaml#builds.x"}},"runDetails":{"builder":{"id":"b"}}}`,
		Provenance{Builder: "b", BuildType: "https://github.com/sello-release/sello/buildtypes/go/v1", Source: Source{URI: "https://github.com/o/r", Commit: commit}, EntryPoint: "sello.yaml#builds.x", Parameters: map[string]string{}}},
	"unknown": {Types[0], `{"buildDefinition":{"buildType":"https://x.example/v1","externalParameters":{"source":7,"what":["a"]},"resolvedDependencies":[{"uri":"git+https://x.example/r@refs/heads/b","digest":{"gitCommit":"` + commit + `"}}]},"runDetails":{"builder":{"id":"b"}}}`,
		Provenance{Builder: "b", BuildType: "https://x.example/v1", Source: Source{"https://x.example/r", "refs/heads/b", commit}, Parameters: map[string]string{"source": "7", "what": `["a"]`}}},
}

func TestDecode(t *testing.T) {
	t.Parallel()
	for name, c := range shapes {
		got, err := Decode(statement(c.typ, c.predicate))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got.Materials = nil
		if diff := cmp.Diff(&c.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		payload []byte
		code    string
	}{
		"no provenance":      {statement("https://spdx.dev/Document/v2.3", "{}"), "wrong-predicate"},
		"a list":             {statement(Types[0], "[]"), "bad-json"},
		"a key twice":        {statement(Types[1], `{"builder":{"id":"a"},"Builder":{"id":"b"}}`), "bad-json"},
		"no statement":       {[]byte(`{"_type":"x"}`), "wrong-statement-type"},
		"two commits":        {statement(Types[1], strings.Replace(shapes["buildkit v0.2"].predicate, commit, other, 1)), "source-mismatch"},
		"delegator's commit": {statement(Types[0], `{"buildDefinition":{"buildType":"`+families[2].prefix+`","internalParameters":{"GITHUB_SHA":"`+other+`"},"resolvedDependencies":[{"uri":"git+https://x.example/r","digest":{"sha1":"`+commit+`"}}]}}`), "source-mismatch"},
		"tekton's sources":   {statement(Types[0], strings.Replace(shapes["tekton v1"].predicate, `"name":"pipeline"`, `"name":"another"`, 1)), "source-mismatch"},
		"cloud build's sha":  {statement(Types[2], strings.Replace(shapes["cloud build by hand"].predicate, `"gs://bucket/o.tgz#12","digest":{}`, `"git+https://x.example/r","digest":{"sha1":"`+other+`"}`, 1)), "source-mismatch"},
		"params twice":       {statement(Types[0], strings.Replace(shapes["tekton v1"].predicate, `[{"name":"tag","value":"v1"}]`, `[{"name":"tag","value":"v1"},{"name":"tag","value":"v2"}]`, 1)), "bad-json"},
	} {
		if _, err := Decode(c.payload); gate.Code(err) != c.code {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
	}
}

const good = `signers:
  ci: {key: "KEY"}
builders:
  - {id: https://b.example/v1, signer: ci, level: 2}
expect: {level: 2, source: https://x.example/r, ref: refs/tags/*, entry-point: e, build-types: [t]}
`

// key is any P-256 key.
const key = `-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEeGa6ZCZn0q6WpaUwJrSk+PPYEsca\n3Xkk3UrxvbQtoZzTmq0zIYq+4QQl0YBedSyy+XcwAMaUWTouTrB05WhYtg==\n-----END PUBLIC KEY-----\n`

func TestParsePolicy(t *testing.T) {
	t.Parallel()
	policy := strings.ReplaceAll(good, "KEY", key)
	if _, err := ParsePolicy("p.yaml", []byte(policy)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ from, to, code string }{
		{key, "no key", "policy-signer"},
		{`{key: "`, `{issuer: "https://x.example", key: "`, "policy-signer"},
		{`{key: "` + key + `"}`, `{issuer: "https://x.example"}`, "policy-signer"},
		{`{key: "` + key + `"}`, `{issuer: "https://x.example", subject: a, subject-pattern: b}`, "policy-signer"},
		{`{key: "` + key + `"}`, `{issuer: "https://x.example", subject-pattern: "("}`, "policy-signer"},
		{`{key: "` + key + `"}`, `{bare: true}`, "policy-signer"},
		{`{key: "` + key + `"}`, `{issuer: "https://x.example", subject: a@b}`, "policy-root"},
		{"signers:", "trusted-root: {file: ../x, digest: \"sha256:0\"}\nsigners:", "policy-root"},
		{"signer: ci", "signer: cx", "policy-signer-unknown"},
		{"level: 2}", "level: 4}", "policy-value"},
		{"id: https://b.example/v1", "id: \"*\"", "policy-value"},
		{"id: https://b.example/v1", "id: https://b.example*", "policy-value"},
		{"id: https://b.example/v1", "id: https://b.example/workflow*", "policy-value"},
		{"id: https://b.example/v1", "id: https://b.example/*", "policy-value"},
		{"source: https://x.example/r", "source: https://x.example/r/", "policy-value"},
		{"source: https://x.example/r", "source: \"\"", "policy-value"},
		{"ref: refs/tags/*", "ref: \"\"", "policy-value"},
		{"entry-point: e", "entry-point: \"\"", "policy-value"},
		{"build-types: [t]", "build-types: []", "policy-value"},
		{"source: https://x.example/r", "source: git+https://x.example/r.git", "policy-value"},
		{"ref: refs/tags/*", "ref: \"refs/[\"", "policy-value"},
		{"level: 2, source", "commit: abc, level: 2, source", "policy-value"},
		{"level: 2, source", "any-parameters: [\"a*b\"], level: 2, source", "policy-value"},
		{"expect:", "checks: {ref: maybe}\nexpect:", "policy-value"},
		{", entry-point: e", "", "policy-incomplete"},
		{"ref: refs/tags/*, ", "", "policy-incomplete"},
		{"builders:\n  - {id: https://b.example/v1, signer: ci, level: 2}\n", "", "policy-incomplete"},
		{"expect:", "unknown: 1\nexpect:", "yaml-unknown-key"},
		{"level: 2, source", "predicates: [{type: t, signer: nobody}], level: 2, source", "policy-signer-unknown"},
		{"build-types: [t]", "build-types: [" + strings.Repeat("t, ", 300) + "t]", "policy-size"},
	} {
		changed := strings.Replace(policy, c.from, c.to, 1)
		if changed == policy {
			t.Fatalf("%q is not in the policy", c.from)
		}
		if _, err := ParsePolicy("p.yaml", []byte(changed)); gate.Code(err) != c.code {
			t.Errorf("%q -> %.80q: %v, want %s", c.from, c.to, err, c.code)
		}
	}
}

func TestBuilderPatterns(t *testing.T) {
	t.Parallel()
	for id, good := range map[string]bool{
		"https://github.com/o/r/.github/workflows/b.yml@refs/tags/v*": true, "https://github.com/o/r/.github/workflows/b.yml@*": true,
		"https://tekton.example/chains/v*": true, "https://b.example/workers/*": true, "https://b.example/v1": true, "urn:b": true,
		"https://github.com*": false, "https://github.com/*": false, "https://b.example/work*": false, "*": false, "": false, "https://b.example/*/v1": false, "b*": false,
	} {
		if isBuilder(id) != good {
			t.Errorf("%q: %v", id, !good)
		}
	}
}

// A workflow of one version cannot speak for the same of another, whatever patterns the policy has.
func TestLevelHoldsVersions(t *testing.T) {
	t.Parallel()
	p := &Policy{Builders: []Builder{{ID: "https://github.com/o/r/.github/workflows/b.yml@refs/tags/*", Signer: "ci", Level: 3}}}
	builder := "https://github.com/o/r/.github/workflows/b.yml@refs/tags/v1"
	for subject, code := range map[string]string{
		builder: "",
		"https://github.com/o/r/.github/workflows/b.yml@refs/tags/v2":         "signer-builder-mismatch",
		"https://github.com/o/r/.github/workflows/delegator.yml@refs/tags/v1": "", // the policy grants the pair
	} {
		if _, err := p.Level(builder, []string{"ci"}, trust.Keyless{Issuer: "i", Subject: subject}); gate.Code(err) != code {
			t.Errorf("%s: %v", subject, err)
		}
	}
	if _, err := p.Level(builder, []string{"somebody"}, trust.Keyless{}); gate.Code(err) != "signer-builder-mismatch" {
		t.Error(err)
	}
	if _, err := p.Level("https://x.example", []string{"ci"}, trust.Keyless{}); gate.Code(err) != "builder-unknown" {
		t.Error(err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, c := range shapes {
		f.Add(statement(c.typ, c.predicate))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		p, err := Decode(payload)
		if (p == nil) == (err == nil) {
			t.Fatalf("%v, %v", p, err)
		}
		if err != nil && gate.Code(err) == "" {
			t.Fatalf("an error without a code: %v", err)
		}
		if p != nil && len(p.Parameters) > maxParameters {
			t.Fatal("too many parameters")
		}
	})
}

func FuzzParsePolicy(f *testing.F) {
	f.Add(strings.ReplaceAll(good, "KEY", key))
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParsePolicy("p", []byte(text))
		if err == nil {
			p.Judge(&Provenance{}, 0)
			if _, err := json.Marshal(p); err != nil {
				t.Fatal(err)
			}
		}
	})
}
