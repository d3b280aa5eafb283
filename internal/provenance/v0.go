package provenance

import (
	"encoding/json"
	"strings"
)

// v02 is SLSA provenance v0.2, as far as it says what was asked for.
type v02 struct {
	Builder struct {
		ID string `json:"id"`
	} `json:"builder"`
	BuildType  string `json:"buildType"`
	Invocation struct {
		ConfigSource struct {
			URI        string            `json:"uri"`
			Digest     map[string]string `json:"digest"`
			EntryPoint string            `json:"entryPoint"`
		} `json:"configSource"`
		Parameters  json.RawMessage `json:"parameters"`
		Environment object          `json:"environment"`
	} `json:"invocation"`
	Materials []Material `json:"materials"`
}

// decodeV02 reads slsa-github-generator's builders for Go, containers and anything, npm, GitLab, BuildKit, Tekton and krel:
// they differ in where the source stands.
func decodeV02(p *Provenance, raw json.RawMessage) error {
	in := v02{}
	if err := unmarshal(raw, &in); err != nil {
		return err
	}
	c := in.Invocation.ConfigSource
	p.Builder, p.BuildType, p.Materials, p.EntryPoint = in.Builder.ID, in.BuildType, in.Materials, c.EntryPoint
	p.Source = Material{URI: c.URI, Digest: c.Digest}.source()
	if strings.HasPrefix(in.BuildType, "tekton.dev/") || c.URI == "" { // the config source is the task's, or it is not said
		if s, ok := p.gitMaterial(p.Source.URI); ok {
			p.Source = s
		}
	}
	if err := p.inputs(in.Invocation.Environment); err != nil {
		return err
	}
	return p.add("", in.Invocation.Parameters)
}

// inputs adds what somebody typed when they started a GitHub workflow: the generators of v0.2 have it in the event only.
func (p *Provenance) inputs(environment object) error {
	return p.add("inputs", environment.object("github_event_payload")["inputs"])
}

// v01 is SLSA provenance v0.1, as Google Cloud Build still writes it.
type v01 struct {
	Builder struct {
		ID string `json:"id"`
	} `json:"builder"`
	Recipe struct {
		Type        string          `json:"type"`
		EntryPoint  string          `json:"entryPoint"`
		Arguments   object          `json:"arguments"`
		Environment json.RawMessage `json:"environment"`
	} `json:"recipe"`
	Materials []Material `json:"materials"`
}

// cloudBuildYAML are the build types whose steps come from a file of the source.
var cloudBuildYAML = []string{"https://cloudbuild.googleapis.com/CloudBuildYaml@", "https://cloudbuild.googleapis.com/GoogleHostedWorker@"}

func decodeV01(p *Provenance, raw json.RawMessage) error {
	in := v01{}
	if err := unmarshal(raw, &in); err != nil {
		return err
	}
	p.Builder, p.BuildType, p.Materials, p.EntryPoint = in.Builder.ID, in.Recipe.Type, in.Materials, in.Recipe.EntryPoint
	if len(p.Materials) > 0 {
		p.Source = p.Materials[0].source()
	}
	substitutions := in.Recipe.Arguments.object("substitutions")
	if sha := substitutions.text("COMMIT_SHA"); sha != "" && p.Source.Commit != "" && sha != p.Source.Commit {
		return contradiction("commits", p.Source.Commit, sha)
	}
	if p.Source.Ref == "" {
		p.Source.Ref = triggered(substitutions)
	}
	own := []string{"@type", "id", "name", "sourceProvenance", "substitutions"}
	if p.EntryPoint != "" && hasPrefix(p.BuildType, cloudBuildYAML) {
		own = append(own, "steps", "options", "images", "artifacts", "timeout", "tags", "logsBucket", "serviceAccount")
	}
	if err := p.addMembers("", in.Recipe.Arguments, own...); err != nil {
		return err
	}
	if err := p.add("environment", in.Recipe.Environment); err != nil {
		return err
	}
	for name, value := range substitutions {
		if strings.HasPrefix(name, "_") { // the others are the service's own
			if err := p.add(under("substitutions", name), value); err != nil {
				return err
			}
		}
	}
	return nil
}

func hasPrefix(s string, prefixes []string) bool {
	for _, prefix := range prefixes {
		if strings.HasPrefix(s, prefix) {
			return true
		}
	}
	return false
}
