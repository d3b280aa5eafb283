package release

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/definition"
	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/engine/host"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/material"
	"github.com/sello-release/sello/internal/provenance"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/sign/signtest"
	"github.com/sello-release/sello/internal/trust"
)

// Digests of what these tests build upon.
var (
	manifestSum = strings.Repeat("1", 64)
	indexSum    = strings.Repeat("2", 64)
	otherSum    = strings.Repeat("3", 64)
)

// base is an image in an index, as a step would read it.
func base() input {
	return input{name: "registry.example/base", uri: "pkg:oci/base@sha256:" + manifestSum, digests: []string{manifestSum, indexSum}, sum: manifestSum}
}

// publisher signs statements about what it publishes.
type publisher struct {
	*sign.Key
	t *testing.T
}

func newPublisher(t *testing.T) publisher {
	t.Helper()
	key, err := sign.Generate()
	if err != nil {
		t.Fatal(err)
	}
	return publisher{key, t}
}

func (p publisher) statement(predicateType, sha256, predicate string) []byte {
	p.t.Helper()
	s, err := attest.NewStatement([]attest.Subject{{Name: "base", Digest: map[string]string{"sha256": sha256}}}, predicateType, json.RawMessage(predicate))
	if err != nil {
		p.t.Fatal(err)
	}
	payload, err := s.Encode()
	if err != nil {
		p.t.Fatal(err)
	}
	return payload
}

func (p publisher) sign(predicateType, sha256, predicate string) string {
	p.t.Helper()
	bundle, err := sign.SignStatement(context.Background(), p.Key, attest.PayloadType, p.statement(predicateType, sha256, predicate))
	if err != nil {
		p.t.Fatal(err)
	}
	var line bytes.Buffer
	if err := json.Compact(&line, bundle); err != nil {
		p.t.Fatal(err)
	}
	return line.String() + "\n"
}

// built is provenance of a build.
func (p publisher) built(sha256 string) string {
	return p.sign(attest.ProvenanceType, sha256, builtBy("https://builder.example/b", "https://publisher.example/base"))
}

func builtBy(builder, source string) string {
	return `{"buildDefinition":{"buildType":"https://actions.github.io/buildtypes/workflow/v1","externalParameters":{"workflow":{"repository":"` + source + `","ref":"refs/heads/main","path":"build.yaml"}},
"resolvedDependencies":[{"uri":"git+` + source + `@refs/heads/main","digest":{"gitCommit":"` + strings.Repeat("5", 40) + `"}}]},"runDetails":{"builder":{"id":"` + builder + `"}}}`
}

const expectations = `expect: {level: 3, source: https://publisher.example/base, ref: refs/heads/main, entry-point: build.yaml, build-types: [https://actions.github.io/buildtypes/workflow/v1]}
checks: {parameters: off}
`

// policy trusts the publisher's key.
func (p publisher) policy(rest string) string {
	p.t.Helper()
	public, err := p.PublicPEM()
	if err != nil {
		p.t.Fatal(err)
	}
	return "signers:\n  publisher:\n    key: |\n      " + strings.ReplaceAll(strings.TrimSpace(string(public)), "\n", "\n      ") + "\n" + rest
}

func (p publisher) granting(level int) string {
	return p.policy(fmt.Sprintf("builders: [{id: https://builder.example/b, signer: publisher, level: %d}]\n", level) + expectations)
}

// repository commits files; a content that starts with "-> " is a link.
func repository(t *testing.T, files map[string]string) (*Project, tree) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the test's repository has links")
	}
	dir := t.TempDir()
	files = maps.Clone(files)
	files["README"] = "a repository\n"
	for name, content := range files {
		name = filepath.Join(dir, filepath.FromSlash(name))
		err := os.MkdirAll(filepath.Dir(name), 0o755)
		if target, link := strings.CutPrefix(content, "-> "); err == nil && link {
			err = os.Symlink(target, name)
		} else if err == nil {
			err = os.WriteFile(name, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"init", "-q", "-b", "main"}, {"add", "."}, {"commit", "-qm", "one"}} {
		cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=x", "-c", "user.email=x@example.org"}, args...)...)
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	p, err := Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	commit, err := p.Repo.HeadCommit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return p, p.treeAt(commit)
}

// heldTo holds inputs to rules of a commit with these files, and of a working tree with them.
func heldTo(t *testing.T, files map[string]string, rules []definition.InputRule, inputs ...input) (*Inputs, error) {
	t.Helper()
	p, committed := repository(t, files)
	judge := func(from tree) (*Inputs, error) {
		policy, err := p.inputPolicy(t.Context(), rules, from)
		if err != nil {
			return nil, err
		}
		all := &inputPolicies{all: []inputPolicy{policy}, trees: []tree{from}}
		r, err := all.judge(t.Context(), inputs)
		if err != nil {
			return r, err
		}
		return r, r.Err()
	}
	r, err := judge(committed)
	if _, again := judge(p.workingTree()); gate.Code(again) != gate.Code(err) {
		t.Errorf("the commit: %v; the working tree: %v", err, again)
	}
	return r, err
}

// reason is the code of why an input was refused, or else of the refusal.
func reason(r *Inputs, err error) string {
	if r != nil && len(r.Judged) > 0 && r.Judged[0].Code != "" {
		return r.Judged[0].Code
	}
	return gate.Code(err)
}

func TestInputs(t *testing.T) {
	t.Parallel()
	ours, theirs := newPublisher(t), newPublisher(t)
	policy, about := ours.granting(3), func(s string) map[string]string { return map[string]string{evidenceFile(indexSum): s} }
	summary := func(verifier, resource, result, level string) string {
		return `{"verifier":{"id":"` + verifier + `"},"timeVerified":"2026-01-01T00:00:00Z","resourceUri":"` + resource + `","policy":{"uri":"https://v.example/policy"},"verificationResult":"` + result + `","verifiedLevels":["` + level + `"]}`
	}
	believing := ours.policy("summaries: [{verifier: https://v.example, signer: publisher, resource: 'registry.example/*', levels: [SLSA_BUILD_LEVEL_2]}]\n")
	for name, c := range map[string]struct {
		policy      string
		files       map[string]string
		evidence    []string
		code, code2 string // of the refusal, and of its reason
		level       int
	}{
		"provenance of the index":                   {policy, about(ours.built(indexSum)), nil, "", "", 3},
		"provenance of the manifest":                {policy, map[string]string{evidenceFile(manifestSum): ours.built(manifestSum)}, nil, "", "", 3},
		"of the manifest, by the name of the index": {policy, about(ours.built(manifestSum)), nil, "", "", 3},
		"in a file that is listed":                  {policy, map[string]string{"e/x.jsonl": ours.built(otherSum) + ours.built(indexSum)}, []string{"e/x.jsonl"}, "", "", 3},
		"a stranger's beside it":                    {policy, about(theirs.built(indexSum) + ours.built(indexSum)), nil, "", "", 3},
		"a level that is only warned about":         {strings.Replace(ours.granting(1), "checks: {", "checks: {level: warn, ", 1), about(ours.built(indexSum)), nil, "", "", 1},

		"nothing":                    {policy, map[string]string{}, nil, "input-evidence-missing", "input-evidence-missing", 0},
		"of something else":          {policy, map[string]string{evidenceFile(otherSum): ours.built(otherSum)}, nil, "input-evidence-missing", "input-evidence-missing", 0},
		"a listed file is not there": {policy, about(ours.built(indexSum)), []string{"e/x.jsonl"}, "input-evidence-missing", "input-evidence-missing", 0},
		"about another digest":       {policy, about(ours.built(otherSum)), nil, "input-refused", "subject-mismatch", 0},
		"by another signer":          {policy, about(theirs.built(indexSum)), nil, "input-refused", "no-trusted-signer", 0},
		"by another builder":         {policy, about(ours.sign(attest.ProvenanceType, indexSum, builtBy("https://builder.example/c", "https://publisher.example/base"))), nil, "input-refused", "builder-unknown", 0},
		"from a fork":                {policy, about(ours.sign(attest.ProvenanceType, indexSum, builtBy("https://builder.example/b", "https://fork.example/base"))), nil, "input-refused", "source-mismatch", 0},
		"at too low a level":         {ours.granting(2), about(ours.built(indexSum)), nil, "input-refused", "level-too-low", 0},
		"of another kind":            {policy, about(ours.sign("https://example.com/p", indexSum, "{}")), nil, "input-refused", "wrong-predicate", 0},
		"changed":                    {policy, about(strings.Replace(ours.built(indexSum), `"sig":"`, `"sig":"AAAA`, 1)), nil, "input-refused", "signature-invalid", 0},
		"not JSON":                   {policy, about("provenance"), nil, "input-refused", "bad-json", 0},
		"empty":                      {policy, about(""), nil, "input-refused", "bad-json", 0},
		"a link":                     {policy, map[string]string{evidenceFile(indexSum): "-> ../elsewhere", "elsewhere": ours.built(indexSum)}, nil, "source-not-a-file", "source-not-a-file", 0},
		"a listed link":              {policy, map[string]string{"e": "-> README"}, []string{"e"}, "source-not-a-file", "source-not-a-file", 0},
		"too large":                  {policy, about(strings.Repeat(" ", sign.MaxBundle) + ours.built(indexSum)), nil, "source-file-too-large", "source-file-too-large", 0},

		"no policy":                    {"", about(ours.built(indexSum)), nil, "input-policy-missing", "input-policy-missing", 0},
		"a policy that is a link":      {"-> README", about(ours.built(indexSum)), nil, "source-not-a-file", "source-not-a-file", 0},
		"a policy that trusts nobody":  {ours.policy(""), about(ours.built(indexSum)), nil, "policy-incomplete", "policy-incomplete", 0},
		"a policy that expects little": {ours.policy("builders: [{id: https://builder.example/b, signer: publisher, level: 3}]\nexpect: {level: 3}\n"), about(ours.built(indexSum)), nil, "policy-incomplete", "policy-incomplete", 0},
		"a policy without its root":    {"trusted-root: {file: root.json, digest: 'sha256:" + otherSum + "'}\n" + policy, about(ours.built(indexSum)), nil, "trusted-root-missing", "trusted-root-missing", 0},
		"another root":                 {"trusted-root: {file: p.yaml, digest: 'sha256:" + otherSum + "'}\n" + policy, about(ours.built(indexSum)), nil, "trusted-root-mismatch", "trusted-root-mismatch", 0},

		"a summary":                         {believing, about(ours.sign(provenance.SummaryType, indexSum, summary("https://v.example", "registry.example/base", "PASSED", "SLSA_BUILD_LEVEL_3"))), nil, "", "", 2},
		"a summary by a stranger":           {believing, about(theirs.sign(provenance.SummaryType, indexSum, summary("https://v.example", "registry.example/base", "PASSED", "SLSA_BUILD_LEVEL_3"))), nil, "input-refused", "no-trusted-signer", 0},
		"a summary of another verifier":     {believing, about(ours.sign(provenance.SummaryType, indexSum, summary("https://w.example", "registry.example/base", "PASSED", "SLSA_BUILD_LEVEL_3"))), nil, "input-refused", "vsa-verifier-untrusted", 0},
		"a summary of another resource":     {believing, about(ours.sign(provenance.SummaryType, indexSum, summary("https://v.example", "other.example/base", "PASSED", "SLSA_BUILD_LEVEL_3"))), nil, "input-refused", "vsa-resource-mismatch", 0},
		"a summary of too little":           {believing, about(ours.sign(provenance.SummaryType, indexSum, summary("https://v.example", "registry.example/base", "PASSED", "SLSA_BUILD_LEVEL_1"))), nil, "input-refused", "vsa-level", 0},
		"a summary of a failure":            {believing, about(ours.sign(provenance.SummaryType, indexSum, summary("https://v.example", "registry.example/base", "FAILED", "FAILED"))), nil, "input-refused", "vsa-failed", 0},
		"provenance where a summary counts": {believing, about(ours.built(indexSum)), nil, "input-refused", "wrong-predicate", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.policy != "" {
				c.files["policies/p.yaml"] = c.policy
			}
			rule := definition.InputRule{Match: "registry.example/*", Policy: "policies/p.yaml", Evidence: c.evidence}
			r, err := heldTo(t, c.files, []definition.InputRule{rule}, base())
			if gate.Code(err) != c.code || reason(r, err) != c.code2 {
				t.Fatalf("%v; its reason: %s; want %s because of %s", err, reason(r, err), c.code, c.code2)
			}
			if err == nil && (!r.Judged[0].Accepted || r.Judged[0].Level != c.level || r.Judged[0].Evidence == "") {
				t.Errorf("%+v, want level %d", r.Judged[0], c.level)
			}
			if r == nil {
				return
			}
			rule.Mode = definition.InputWarn
			warned, err := heldTo(t, c.files, []definition.InputRule{rule}, base())
			if err != nil || len(warned.Warned()) != len(r.Judged)-accepted(r) || reason(warned, nil) != c.code2 {
				t.Errorf("with a warning: %v, %+v", err, warned)
			}
		})
	}
}

func accepted(r *Inputs) int {
	return len(slices.DeleteFunc(slices.Clone(r.Judged), func(j JudgedInput) bool { return !j.Accepted }))
}

// Certificates of a private Sigstore instance count where the policy pins its trusted root.
func TestInputsKeyless(t *testing.T) {
	t.Parallel()
	now := time.Now().UTC().Truncate(time.Second)
	instance := signtest.New(t, now)
	ann, eve := trust.Keyless{Issuer: "https://issuer.example", Subject: "ann@publisher.example"}, trust.Keyless{Issuer: "https://issuer.example", Subject: "eve@publisher.example"}
	payload := publisher{t: t}.statement(attest.ProvenanceType, indexSum, builtBy("https://builder.example/b", "https://publisher.example/base"))
	policy := "trusted-root: {file: root.json, digest: 'sha256:" + digest.Bytes(instance.Root) + "'}\nsigners:\n  publisher: {issuer: 'https://issuer.example', subject: ann@publisher.example}\nbuilders: [{id: https://builder.example/b, signer: publisher, level: 3}]\n" + expectations
	for name, c := range map[string]struct {
		bundle []byte
		code   string
	}{
		"good":          {instance.Sign(t, ann, payload), ""},
		"somebody else": {instance.Sign(t, eve, payload), "no-trusted-signer"},
		"expired":       {instance.Sign(t, ann, payload, func(d *signtest.Draft) { d.Issued = now.Add(-time.Hour) }), "cert-outside-validity"},
		"without a log": {instance.Sign(t, ann, payload, func(d *signtest.Draft) { d.NoLog = true }), "log-missing"},
	} {
		files := map[string]string{"policies/p.yaml": policy, "policies/root.json": string(instance.Root), evidenceFile(indexSum): string(c.bundle)}
		r, err := heldTo(t, files, []definition.InputRule{{Match: "registry.example/base", Policy: "policies/p.yaml"}}, base())
		if got := reason(r, err); got != c.code {
			t.Errorf("%s: %v, want %q", name, err, c.code)
		}
	}
}

// What slsa-github-generator's builder of containers attested, as others published it, of a file that a build reads.
func TestInputsPublished(t *testing.T) {
	t.Parallel()
	vectors := os.Getenv("SELLO_VECTORS")
	if vectors == "" {
		vectors = filepath.Join("..", "..", "..", "shared", "vectors")
	}
	read := func(elem ...string) string {
		data, err := os.ReadFile(filepath.Join(append([]string{vectors}, elem...)...))
		if err != nil {
			t.Skipf("no published cases at %s: set SELLO_VECTORS to their folder", vectors)
		}
		return string(data)
	}
	root, bundle := read("sigstore-bundles", "public-good.trusted_root.json"), read("slsa-provenance", "gha_container-based", "provenance.sigstore.json")
	sum := strings.TrimSpace(read("slsa-provenance", "gha_container-based", "artifact.sha256"))
	const generator = "https://github.com/slsa-framework/slsa-github-generator/.github/workflows/builder_container-based_slsa3.yml@refs/tags/"
	policy := "trusted-root: {file: root.json, digest: 'sha256:" + digest.Bytes([]byte(root)) + "'}\nsigners:\n  generator: {issuer: 'https://token.actions.githubusercontent.com', subject-pattern: '" + strings.ReplaceAll(generator, ".", `\.`) + `v[0-9.]+'}
builders: [{id: "` + generator + `*", signer: generator, level: 3}]
expect:
  level: 3
  source: https://github.com/slsa-framework/example-package
  ref: refs/tags/v14.2
  entry-point: .github/configs-docker/config-tag-v14.2.toml
  build-types: ["https://slsa.dev/container-based-build/v0.1?draft"]
  any-parameters: ["buildConfig.*", "builderImage.*"]
`
	tool := input{name: "toolchain", uri: "pkg:golang/golang.org/toolchain@v0.0.1-go1.26.8.linux-amd64", digests: []string{sum}, sum: sum}
	files := map[string]string{"p.yaml": policy, "root.json": root, "inputs/tool.jsonl": bundle}
	rules := []definition.InputRule{{Match: "toolchain", Policy: "p.yaml", Evidence: []string{"inputs/tool.jsonl"}}}
	r, err := heldTo(t, files, rules, tool)
	if err != nil || r.Judged[0].Level != 3 || !strings.HasPrefix(r.Judged[0].Builder, generator) {
		t.Errorf("%v, %+v", err, r)
	}
	tool.digests = []string{otherSum}
	if r, err := heldTo(t, files, rules, tool); reason(r, err) != "subject-mismatch" {
		t.Errorf("another file: %v", err)
	}
}

// Of several rules the first that matches holds; one that nothing is left for is refused; go.mod files are never held to one.
func TestInputRules(t *testing.T) {
	t.Parallel()
	ours := newPublisher(t)
	toolchain := input{name: toolchainName, sum: "h1", uri: ""}
	module := func(name, sum string) input {
		return input{name: name, uri: modulePrefix + strings.TrimSuffix(name, "/go.mod"), digests: []string{sum}, sum: sum, text: strings.HasSuffix(name, "/go.mod")}
	}
	cobra, pflag := module("github.com/spf13/cobra@v1.0.0", strings.Repeat("a", 64)), module("github.com/spf13/pflag@v1.0.0/go.mod", strings.Repeat("b", 64))
	all := []input{base(), toolchain, cobra, pflag}
	p, from := repository(t, map[string]string{"p.yaml": ours.granting(3), evidenceFile(indexSum): ours.built(indexSum)})
	rule := func(match, mode string) definition.InputRule {
		return definition.InputRule{Match: match, Policy: "p.yaml", Mode: mode}
	}
	for name, c := range map[string]struct {
		rules  []definition.InputRule
		code   string
		unused string
		free   int
		levels map[string]int
	}{
		"none":                    {nil, "", "", 4, map[string]int{"SLSA_BUILD_LEVEL_UNEVALUATED": 4}},
		"one image":               {[]definition.InputRule{rule("Registry.example/base", "")}, "", "", 3, map[string]int{"SLSA_BUILD_LEVEL_3": 1, "SLSA_BUILD_LEVEL_UNEVALUATED": 3}},
		"by package URL":          {[]definition.InputRule{rule("pkg:oci/base@*", "")}, "", "", 3, map[string]int{"SLSA_BUILD_LEVEL_3": 1, "SLSA_BUILD_LEVEL_UNEVALUATED": 3}},
		"a typing mistake":        {[]definition.InputRule{rule("registry.example/bsae", "")}, "", "input-rule-unused", 4, nil},
		"a mistyped word":         {[]definition.InputRule{rule("toolchian", "")}, "", "input-rule-unused", 4, nil},
		"a tag":                   {[]definition.InputRule{rule("registry.example/base:12", "")}, "", "input-rule-unused", 4, nil},
		"shadowed":                {[]definition.InputRule{rule("registry.example/*", ""), rule("registry.example/base", "warn")}, "", "input-rule-unused", 3, nil},
		"the machine's toolchain": {[]definition.InputRule{rule("toolchain", "")}, "input-evidence-missing", "", 3, nil},
		"a module":                {[]definition.InputRule{rule("github.com/spf13/cobra", "")}, "input-evidence-missing", "", 3, nil},
		"modules":                 {[]definition.InputRule{rule("github.com/spf13/*", "warn")}, "", "", 3, map[string]int{"SLSA_BUILD_LEVEL_0": 1, "SLSA_BUILD_LEVEL_UNEVALUATED": 3}},
		"everything":              {[]definition.InputRule{rule("*", "")}, "input-evidence-missing", "", 1, nil},
		"warn about the rest":     {[]definition.InputRule{rule("registry.example/base", ""), rule("*", "warn")}, "", "", 1, map[string]int{"SLSA_BUILD_LEVEL_3": 1, "SLSA_BUILD_LEVEL_0": 2, "SLSA_BUILD_LEVEL_UNEVALUATED": 1}},
		"nothing is left":         {[]definition.InputRule{rule("registry.example/base", ""), rule("toolchain", "warn"), rule("github.com/*", "warn"), rule("*", "")}, "", "", 1, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			policy, err := p.inputPolicy(t.Context(), c.rules, from)
			if err != nil {
				t.Fatal(err)
			}
			held := &inputPolicies{all: []inputPolicy{policy}, trees: []tree{from}}
			r, err := held.judge(t.Context(), all)
			if err != nil {
				t.Fatal(err)
			}
			if gate.Code(r.Err()) != c.code || gate.Code(held.unused(all)) != c.unused || r.Free != c.free {
				t.Errorf("%v, %v, %d free; want %q, %q, %d", r.Err(), held.unused(all), r.Free, c.code, c.unused, c.free)
			}
			if c.levels != nil {
				r.all = append(all, all...)
				if diff := cmp.Diff(c.levels, r.levels()); diff != "" {
					t.Error(diff)
				}
			}
			if got := gate.Code(held.hopeless([]input{base()}, true)); got != c.unused && name == "a mistyped word" || got != "" && c.unused == "" {
				t.Errorf("before anything is fetched: %q", got)
			}
			if got := gate.Code(held.hopeless([]input{base()}, false)); name == "a typing mistake" && got != c.unused || name == "one image" && got != "" {
				t.Errorf("where nothing else is fetched: %q", got)
			}
			held.partial = true
			if err := held.unused(all); err != nil {
				t.Errorf("of a part of the definition: %v", err)
			}
		})
	}
}

// Two policies hold: the lower level counts, and either can refuse.
func TestInputsOfTwoPolicies(t *testing.T) {
	t.Parallel()
	ours := newPublisher(t)
	low := strings.Replace(ours.granting(2), "level: 3,", "level: 2,", 1)
	p, from := repository(t, map[string]string{"high.yaml": ours.granting(3), "low.yaml": low, "refusing.yaml": ours.granting(1), evidenceFile(indexSum): ours.built(indexSum)})
	for second, want := range map[string]string{"low.yaml": "", "refusing.yaml": "level-too-low"} {
		held := &inputPolicies{trees: []tree{from}}
		for _, file := range []string{"high.yaml", second} {
			policy, err := p.inputPolicy(t.Context(), []definition.InputRule{{Match: "*", Policy: file}}, from)
			if err != nil {
				t.Fatal(err)
			}
			held.all = append(held.all, policy)
		}
		r, err := held.judge(t.Context(), []input{base()})
		if err != nil || r.Judged[1].Code != want || (r.Err() == nil) != (want == "") {
			t.Errorf("%s: %v, %+v", second, err, r)
		}
		if want == "" && r.levels()["SLSA_BUILD_LEVEL_2"] != 1 {
			t.Errorf("%s: %v", second, r.levels())
		}
	}
}

// What the rules of two commits refuse for one reason is said once, and names digests as they are written everywhere.
func TestInputRefusedTwice(t *testing.T) {
	t.Parallel()
	ours := newPublisher(t)
	p, from := repository(t, map[string]string{"p.yaml": ours.granting(3), "q.yaml": ours.granting(3), "about-another.jsonl": ours.built(strings.Repeat("e", 64))})
	for second, want := range map[string]int{"p.yaml": 1, "q.yaml": 2} {
		held := &inputPolicies{trees: []tree{from}}
		for _, file := range []string{"p.yaml", second} {
			policy, err := p.inputPolicy(t.Context(), []definition.InputRule{{Match: "*", Policy: file, Evidence: []string{"about-another.jsonl"}}}, from)
			if err != nil {
				t.Fatal(err)
			}
			held.all = append(held.all, policy)
		}
		r, err := held.judge(t.Context(), []input{base()})
		if err != nil {
			t.Fatal(err)
		}
		text := r.Err().Error()
		if got := strings.Count(text, "does not hold to"); got != want {
			t.Errorf("%s: said %d times, want %d: %s", second, got, want, text)
		}
		if r.Judged[0].Code != "subject-mismatch" || strings.Contains(text, "map[") || !strings.Contains(text, "sha256:"+strings.Repeat("e", 64)) {
			t.Errorf("%s: %s: %s", second, r.Judged[0].Code, text)
		}
	}
}

// Inputs are found among what provenance lists: images once, with the indexes that lead to them, and neither their parts, nor the source, nor what the
// release itself made.
func TestInputsOf(t *testing.T) {
	t.Parallel()
	sha := func(s string) map[string]string { return map[string]string{"sha256": s} }
	oci := func(sum string) string {
		return "pkg:oci/base@sha256%3A" + sum + "?repository_url=registry.example%2Fbase"
	}
	ms := []material.Material{
		{Name: "source", URI: "git+https://example.com/hello", Digest: map[string]string{"gitCommit": strings.Repeat("5", 40)}},
		{Name: "definition", URI: "git+https://example.com/hello", Digest: sha(otherSum)},
		{Name: "example.com/published@v1.0.0", URI: "pkg:golang/example.com/published@v1.0.0", Digest: sha(otherSum)},
		{Name: "base index", URI: oci(indexSum), Digest: sha(indexSum)},
		{Name: "base manifest", URI: oci(manifestSum), Digest: sha(manifestSum), Annotations: map[string]string{"indexes": "sha256:" + indexSum}},
		{Name: "base config", URI: oci(otherSum), Digest: sha(otherSum)},
		{Name: "base layer 1", URI: oci(otherSum), Digest: sha(otherSum)},
		{Name: "root manifest", URI: oci(manifestSum), Digest: sha(manifestSum), Annotations: map[string]string{"indexes": "sha256:" + otherSum}},
		{Name: "toolchain", Digest: map[string]string{"dirHash": "h"}},
		{Name: "bin/linux/amd64/hello", Digest: sha(otherSum)},
		{Name: "example.com/m@v1.0.0", URI: "pkg:golang/example.com/m@v1.0.0", Digest: sha(otherSum)},
		{Name: "example.com/m@v1.1.0/go.mod", URI: "pkg:golang/example.com/m@v1.1.0#go.mod", Digest: sha(indexSum)},
	}
	var got []string
	for _, in := range inputsOf(ms, "pkg:golang/example.com/published@v1.0.0") {
		got = append(got, fmt.Sprintf("%s %d %v", in.name, len(in.digests), in.text))
	}
	want := []string{"registry.example/base 3 false", "toolchain 0 false", "example.com/m@v1.0.0 1 false", "example.com/m@v1.1.0/go.mod 1 true"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// The levels of what a stage was built from, by its signed provenance: no claim without rules, and what a rule asks for with them. Evidence that is
// committed after the release commit counts, rules of the branch's tip hold, and what is taken away is missed.
func TestDependencyLevels(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the test's repository is made with a Unix shell")
	}
	if testing.Short() {
		t.Skip("compiles")
	}
	ctx, ours := t.Context(), newPublisher(t)
	text := "project: hello\nsource: https://example.com/hello\nsource-archive: false\nbuilds:\n  - go: {packages: [.], platforms: [linux/amd64], toolchain: go1.26.8}\n"
	p := projectOf(t, host.New(host.Options{}), map[string]string{
		"go.mod": "module example.com/hello\n\ngo 1.26\n", "main.go": "package main\n\nfunc main() { println(1) }\n", "policies/p.yaml": ours.granting(3), "sello.yaml": text,
	})
	if _, err := p.Stage(ctx, "v1.0.0"); err != nil {
		t.Fatal(err)
	}
	levels := func() (*Candidate, *staged, map[string]int, error) {
		t.Helper()
		c, s, err := p.stageOf(ctx, "v1.0.0")
		if err != nil {
			t.Fatal(err)
		}
		all, err := p.inputPolicies(ctx, c)
		if err != nil {
			t.Fatal(err)
		}
		out, err := p.checkInputs(ctx, c, s, all)
		if err != nil {
			return c, s, nil, err
		}
		return c, s, out.levels(), nil
	}
	commit := func(files map[string]string) {
		t.Helper()
		for name, content := range files {
			if err := writeFile(filepath.Join(p.Repo.Root(), name), []byte(content)); err != nil {
				t.Fatal(err)
			}
		}
		for _, args := range [][]string{{"add", "-A", "."}, {"commit", "-qm", "more"}} {
			if out, err := exec.Command("git", append([]string{"-C", p.Repo.Root(), "-c", "user.name=x", "-c", "user.email=x@example.org"}, args...)...).CombinedOutput(); err != nil {
				t.Fatalf("git %v: %v\n%s", args, err, out)
			}
		}
	}
	c, s, got, err := levels()
	if err != nil || got != nil {
		t.Fatalf("without rules: %v, %v", got, err)
	}
	inputs, err := p.stagedInputs(ctx, c, s)
	if err != nil || len(inputs) != 1 || inputs[0].name != toolchainName {
		t.Fatalf("the inputs of the stage: %+v, %v", inputs, err)
	}
	for _, step := range []struct {
		name  string
		files map[string]string
		want  map[string]int
		code  string
	}{
		{"a rule that warns", map[string]string{"sello.yaml": text + "policy: {inputs: [{match: toolchain, policy: policies/p.yaml, mode: warn}]}\n"}, map[string]int{"SLSA_BUILD_LEVEL_0": 1}, ""},
		{"a rule that requires", map[string]string{"sello.yaml": text + "policy: {inputs: [{match: toolchain, policy: policies/p.yaml}]}\n"}, nil, "input-evidence-missing"},
		{"evidence", map[string]string{evidenceFile(inputs[0].digests[0]): ours.built(inputs[0].digests[0])}, map[string]int{"SLSA_BUILD_LEVEL_3": 1}, ""},
		{"a rule about something else", map[string]string{"sello.yaml": text + "policy: {inputs: [{match: registry.example/base, policy: policies/p.yaml}]}\n"}, map[string]int{"SLSA_BUILD_LEVEL_UNEVALUATED": 1}, ""},
		{"evidence of something else", map[string]string{"sello.yaml": text + "policy: {inputs: [{match: toolchain, policy: policies/p.yaml}]}\n", evidenceFile(inputs[0].digests[0]): ours.built(otherSum)}, nil, "input-refused"},
	} {
		commit(step.files)
		_, _, got, err := levels()
		if diff := cmp.Diff(step.want, got); diff != "" || gate.Code(err) != step.code {
			t.Errorf("%s: %v\n%s", step.name, err, diff)
		}
	}
}
