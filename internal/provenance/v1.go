package provenance

import (
	"encoding/json"
	"strings"
)

// v1 is SLSA provenance v1, as far as it says what was asked for.
type v1 struct {
	BuildDefinition struct {
		BuildType            string     `json:"buildType"`
		ExternalParameters   object     `json:"externalParameters"`
		InternalParameters   object     `json:"internalParameters"`
		ResolvedDependencies []Material `json:"resolvedDependencies"`
	} `json:"buildDefinition"`
	RunDetails struct {
		Builder struct {
			ID string `json:"id"`
		} `json:"builder"`
	} `json:"runDetails"`
}

// families of v1 by the beginning of their build types.
var families = []struct {
	prefix string
	read   func(p *Provenance, external, internal object) error
}{
	{"https://actions.github.io/buildtypes/workflow/v1", workflow},
	{"https://slsa-framework.github.io/github-actions-buildtypes/workflow/v1", workflow},
	{"https://github.com/slsa-framework/slsa-github-generator/delegator-generic@v0", delegator},
	{"https://cloud.google.com/build/gcb-buildtypes/google-worker/v1", cloudBuild},
	{"https://slsa-framework.github.io/gcb-buildtypes/", cloudBuild},
	{"https://tekton.dev/chains/v2/", tekton},
	{"https://github.com/moby/buildkit/", buildKit},
	{"", general},
}

func decodeV1(p *Provenance, raw json.RawMessage) error {
	in := v1{}
	if err := unmarshal(raw, &in); err != nil {
		return err
	}
	d := in.BuildDefinition
	p.Builder, p.BuildType, p.Materials = in.RunDetails.Builder.ID, d.BuildType, d.ResolvedDependencies
	for _, f := range families {
		if strings.HasPrefix(d.BuildType, f.prefix) {
			return f.read(p, d.ExternalParameters, d.InternalParameters)
		}
	}
	return nil
}

// workflow is a GitHub workflow, as artifact attestations and npm describe it.
func workflow(p *Provenance, external, _ object) error {
	w := external.object("workflow")
	p.Source = sourceOf(w.text("repository"))
	p.Source.Ref, p.EntryPoint = w.text("ref"), w.text("path")
	if err := p.addMembers("workflow", w, "repository", "ref", "path"); err != nil {
		return err
	}
	return p.addMembers("", external, "workflow")
}

// delegator is slsa-github-generator around a builder of somebody's: the source is the first dependency.
func delegator(p *Provenance, external, internal object) error {
	if len(p.Materials) > 0 {
		p.Source = p.Materials[0].source()
	}
	if sha := internal.text("GITHUB_SHA"); sha != "" && sha != p.Source.Commit {
		return contradiction("commits", p.Source.Commit, sha)
	}
	path, _, _ := strings.Cut(internal.text("GITHUB_WORKFLOW_REF"), "@")
	p.EntryPoint = strings.TrimPrefix(path, internal.text("GITHUB_REPOSITORY")+"/")
	return p.addMembers("", external)
}

// cloudBuild is Google Cloud Build with a trigger; what the trigger substitutes is a parameter, what the service does is not.
func cloudBuild(p *Provenance, external, internal object) error {
	c := external.object("buildConfigSource")
	p.Source = sourceOf(c.text("repository"))
	p.EntryPoint = c.text("path")
	if p.Source.Ref = c.text("ref"); p.Source.Ref == "" {
		p.Source.Ref = triggered(internal.object("systemSubstitutions"))
	}
	if err := p.addMembers("buildConfigSource", c, "repository", "ref", "path"); err != nil {
		return err
	}
	if p.Source.URI == "" { // submitted by hand
		p.Source = sourceOf(external.text("sourceUri"))
		if s := external.material("source"); s.URI != "" {
			p.Source = s.source()
		}
	}
	return p.addMembers("", external, "buildConfigSource", "source", "sourceUri")
}

// triggered gives the ref that Cloud Build's own substitutions name.
func triggered(system object) string {
	if tag := system.text("TAG_NAME"); tag != "" {
		return "refs/tags/" + tag
	}
	if branch := system.text("BRANCH_NAME"); branch != "" {
		return "refs/heads/" + branch
	}
	return ""
}

// tekton is a task or pipeline run that Tekton Chains saw. Its source is the git repository that it was given, its entry
// point where the task or pipeline was read from.
func tekton(p *Provenance, external, _ object) error {
	var inputs, definitions []Material
	for _, m := range p.Materials {
		switch {
		case m.Name == "pipeline" || m.Name == "task":
			definitions = append(definitions, m)
		case strings.HasPrefix(m.URI, "git+"):
			inputs = append(inputs, m)
		}
	}
	for _, m := range inputs {
		s := m.source()
		if p.Source.URI != "" && s != p.Source {
			return contradiction("sources", p.Source.String(), s.String())
		}
		p.Source = s
	}
	run := external.object("runSpec")
	config := external.object("buildConfigSource")
	p.EntryPoint = config.text("path")
	for _, key := range []string{"pipelineRef", "taskRef"} {
		if name := run.object(key).text("name"); p.EntryPoint == "" {
			p.EntryPoint = name
		}
	}
	if p.EntryPoint == "" && len(definitions) == 1 {
		p.EntryPoint = definitions[0].URI
	}
	var params []struct {
		Name  string          `json:"name"`
		Value json.RawMessage `json:"value"`
	}
	if err := unmarshal(run["params"], &params); err != nil {
		return err
	}
	for _, one := range params {
		if err := p.add(under("params", one.Name), one.Value); err != nil {
			return err
		}
	}
	if err := p.addMembers("runSpec", run, "params"); err != nil {
		return err
	}
	return p.addMembers("", external, "runSpec")
}

// buildKit is `docker buildx build` with provenance: the request to the front end is the parameters.
func buildKit(p *Provenance, external, _ object) error {
	c := external.object("configSource")
	m := external.material("configSource")
	p.Source, p.EntryPoint = m.source(), c.text("path")
	if err := p.addMembers("configSource", c, "uri", "digest", "path"); err != nil {
		return err
	}
	return p.addMembers("", external, "configSource")
}

// general is everybody else who follows the examples of the standard: a source and an entry point among the parameters, as
// Sello, GitLab and container-based builds of slsa-github-generator have them; or one git repository among the dependencies.
func general(p *Provenance, external, _ object) error {
	if text := external.text("source"); text != "" {
		p.Source = sourceOf(text)
	} else {
		p.Source = external.material("source").source()
		if err := p.addMembers("source", external.object("source"), "uri", "digest"); err != nil {
			return err
		}
	}
	known := []string{"source"}
	for _, key := range []string{"entryPoint", "configPath"} {
		if text := external.text(key); text != "" && p.EntryPoint == "" {
			p.EntryPoint = text
			known = append(known, key)
		}
	}
	if p.Source.URI == "" {
		p.Source, _ = p.gitMaterial("")
		known = known[1:] // whatever is there is a parameter
	}
	if variables := external.object("variables"); p.Source.Ref == "" && variables.text("CI_COMMIT_TAG") != "" { // GitLab
		p.Source.Ref = "refs/tags/" + variables.text("CI_COMMIT_TAG")
	} else if branch := variables.text("CI_COMMIT_BRANCH"); p.Source.Ref == "" && branch != "" {
		p.Source.Ref = "refs/heads/" + branch
	}
	return p.addMembers("", external, known...)
}
