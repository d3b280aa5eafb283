package release

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/sello-release/sello/internal/definition"
	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/provenance"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/strictyaml"
	"github.com/sello-release/sello/verify"
)

// inputFolder is where evidence about inputs lies in the repository, named by digest.
const inputFolder = "inputs"

// evidenceFile names the file of what others attested of something.
func evidenceFile(sha256 string) string { return path.Join(inputFolder, "sha256-"+sha256+".jsonl") }

// tree gives files as they are at a commit, or in the working tree. What is no regular file it refuses; what is not there is fs.ErrNotExist.
type tree struct {
	at   string // " at 5471f1c1a2d4"; "" is the working tree
	read func(ctx context.Context, file string, most int64) ([]byte, error)
	list func(ctx context.Context, folder string) ([]string, error)
}

// treeAt is what a commit holds. A folder is listed once, for hundreds of inputs.
func (p *Project) treeAt(commit string) tree {
	var mu sync.Mutex
	listed := map[string][]string{}
	return tree{
		at: " at " + commit[:12],
		read: func(ctx context.Context, file string, most int64) ([]byte, error) {
			return p.Repo.ReadFile(ctx, commit, file, most)
		},
		list: func(ctx context.Context, folder string) (names []string, err error) {
			mu.Lock()
			defer mu.Unlock()
			if names, known := listed[folder]; known {
				return names, nil
			}
			names, err = p.Repo.List(ctx, commit, folder)
			if err == nil || errors.Is(err, fs.ErrNotExist) {
				listed[folder], err = names, nil
			}
			return names, err
		},
	}
}

// workingTree is what nobody has reviewed yet.
func (p *Project) workingTree() tree {
	open := func(do func(*os.Root) error) error {
		root, err := os.OpenRoot(p.Repo.Root())
		if err != nil {
			return fmt.Errorf("open working tree: %w", err)
		}
		defer root.Close()
		return do(root)
	}
	return tree{
		read: func(_ context.Context, file string, most int64) (data []byte, err error) {
			err = open(func(root *os.Root) error {
				info, err := root.Lstat(filepath.FromSlash(file))
				switch {
				case err != nil:
					return err
				case !info.Mode().IsRegular():
					return &gate.Refusal{Code: "source-not-a-file", Class: gate.Usage, Where: file, What: "this is not a regular file", Expected: "a regular file", Actual: info.Mode().Type().String(), Fix: "replace it by a file"}
				case info.Size() > most:
					return &gate.Refusal{Code: "source-file-too-large", Class: gate.Usage, Where: file, What: "the file is larger than it can be", Expected: fmt.Sprintf("at most %d bytes", most), Actual: fmt.Sprint(info.Size())}
				}
				data, err = root.ReadFile(filepath.FromSlash(file))
				return err
			})
			return data, err
		},
		list: func(_ context.Context, folder string) (names []string, err error) {
			err = open(func(root *os.Root) error {
				entries, err := fs.ReadDir(root.FS(), folder)
				for _, e := range entries {
					names = append(names, e.Name())
				}
				return err
			})
			return names, err
		},
	}
}

// inputRule is a rule with the policy that it names.
type inputRule struct {
	definition.InputRule
	where   string // sello.yaml#policy.inputs[0] at 5471f1c1a2d4
	policy  *provenance.Policy
	options verify.PolicyOptions
}

// String says what the rule asks for, a line of a comparison.
func (r inputRule) String() string {
	out := fmt.Sprintf("%s: %s (sha256:%.12s)", r.Match, r.Policy, digest.Bytes(r.options.Policy))
	if r.Warns() {
		out += ", only warned about"
	}
	return out
}

// inputPolicy are the rules of one definition.
type inputPolicy struct {
	where string // sello.yaml at 5471f1c1a2d4
	rules []inputRule
}

func (p inputPolicy) lines() []string {
	var out []string
	for _, r := range p.rules {
		out = append(out, r.String())
	}
	return out
}

// inputPolicy reads the policies that a definition's rules name, from the tree that it stands in. It refuses input-policy-missing, trusted-root-missing,
// trusted-root-mismatch, and what is wrong in the files by line and column.
func (p *Project) inputPolicy(ctx context.Context, rules []definition.InputRule, from tree) (inputPolicy, error) {
	out := inputPolicy{where: definition.FileName + from.at}
	var errs []error
	for i, rule := range rules {
		r := inputRule{InputRule: rule, where: fmt.Sprintf("%s#policy.inputs[%d]%s", definition.FileName, i, from.at)}
		if err := r.load(ctx, from); err != nil {
			errs = append(errs, err)
		}
		r.options.Now = p.Now()
		out.rules = append(out.rules, r)
	}
	return out, errors.Join(errs...)
}

func (r *inputRule) load(ctx context.Context, from tree) error {
	data, err := from.read(ctx, r.Policy, strictyaml.MaxSize)
	if errors.Is(err, fs.ErrNotExist) {
		return &gate.Refusal{Code: "input-policy-missing", Class: gate.Usage, Where: r.where, What: "the policy that a rule about inputs names is not there", Expected: r.Policy + from.at, Actual: "no such file",
			Fix: "write and commit it (sello schema policy describes it), or correct policy:"}
	}
	if err != nil {
		return fmt.Errorf("read policy about inputs: %w", err)
	}
	r.options.Policy, r.options.PolicyName = data, r.Policy+from.at
	if r.policy, err = provenance.ParsePolicy(r.options.PolicyName, data); err != nil || r.policy.TrustedRoot == nil {
		return err
	}
	file := path.Join(path.Dir(r.Policy), r.policy.TrustedRoot.File)
	root, err := from.read(ctx, file, sign.MaxRoot)
	if errors.Is(err, fs.ErrNotExist) {
		return &gate.Refusal{Code: "trusted-root-missing", Class: gate.Usage, What: "the trusted root that the policy names is not in the repository", Where: r.options.PolicyName,
			Expected: file + ", " + r.policy.TrustedRoot.Digest, Actual: "no such file", Fix: "commit the file beside the policy"}
	}
	if err != nil {
		return fmt.Errorf("read trusted root: %w", err)
	}
	if err := r.policy.SetRoot(root); err != nil {
		return err
	}
	r.options.TrustedRoot = root
	_, err = sign.ParseRoot(root)
	return err
}

// inputPolicies are the rules that hold for a candidate: those of the released commit, and those of the tip of the branch where they
// differ. What was tightened since, a builder that is not trusted any more, holds for a release of an earlier commit, too.
type inputPolicies struct {
	all     []inputPolicy
	trees   []tree   // where evidence is looked for: it proves itself, wherever it lies
	partial bool     // only a part of the definition is built
	since   string   // the version before
	changes []string // lines of its rules that went (- …) and came (+ …)
}

// none reports whether there is nothing to judge, and nothing that changed.
func (all *inputPolicies) none() bool { return all == nil || len(all.all)+len(all.changes) == 0 }

func (p *Project) inputPolicies(ctx context.Context, c *Candidate) (*inputPolicies, error) {
	out := &inputPolicies{trees: []tree{p.treeAt(c.Commit.ID)}}
	policy, err := p.inputPolicy(ctx, c.Definition.Policy.Inputs, out.trees[0])
	if err != nil {
		return nil, err
	}
	if len(policy.rules) > 0 {
		out.all = append(out.all, policy)
	}
	if err := p.inputChanges(ctx, c, policy, out); err != nil {
		return nil, err
	}
	if c.Tip == c.Commit.ID {
		return out, nil
	}
	out.trees = append(out.trees, p.treeAt(c.Tip))
	def, _, err := p.definitionAt(ctx, c.Tip)
	if gate.Code(err) == "definition-missing" {
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	tip, err := p.inputPolicy(ctx, def.Policy.Inputs, out.trees[1])
	if err != nil {
		return nil, err
	}
	if len(tip.rules) > 0 && !slices.Equal(policy.lines(), tip.lines()) {
		out.all = append(out.all, tip)
	}
	return out, nil
}

// workingInputs are the rules of a definition in the working tree, which nobody has reviewed yet.
func (p *Project) workingInputs(ctx context.Context, def *definition.Definition) (*inputPolicies, error) {
	out := &inputPolicies{trees: []tree{p.workingTree()}}
	policy, err := p.inputPolicy(ctx, def.Policy.Inputs, out.trees[0])
	if len(policy.rules) > 0 {
		out.all = []inputPolicy{policy}
	}
	return out, err
}

// inputChanges compares the rules with those of the version before.
func (p *Project) inputChanges(ctx context.Context, c *Candidate, now inputPolicy, out *inputPolicies) error {
	earlier, err := p.earlier(ctx, c)
	if err != nil || len(earlier) == 0 {
		return err
	}
	def, _, err := p.definitionAt(ctx, earlier[0].commit)
	var before inputPolicy
	if err == nil {
		before, err = p.inputPolicy(ctx, def.Policy.Inputs, p.treeAt(earlier[0].commit))
	}
	if err != nil { // it may be of a form that is not read any more, or of a commit that is not in this clone
		if len(now.rules) > 0 || gate.Code(err) != "definition-missing" {
			p.note(fmt.Sprintf("the rules about inputs of %s cannot be compared: %v", earlier[0].version, err))
		}
		return nil //nolint:nilerr // the rules that hold were read
	}
	out.since, out.changes = earlier[0].version, changedLines(before.lines(), now.lines())
	return nil
}

// changedLines gives the lines that went (- …) and those that came (+ …).
func changedLines(before, now []string) []string {
	var out []string
	for _, line := range before {
		if !slices.Contains(now, line) {
			out = append(out, "- "+line)
		}
	}
	for _, line := range now {
		if !slices.Contains(before, line) {
			out = append(out, "+ "+line)
		}
	}
	return out
}

// evidence reads what lies in the repository about an input: the files that the rule lists, and those that are named by its digests.
func (r inputRule) evidence(ctx context.Context, in input, trees []tree) ([]verify.Evidence, error) {
	var out []verify.Evidence
	add := func(file string, t tree) (bool, error) {
		data, err := t.read(ctx, file, sign.MaxBundle)
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("read evidence: %w", err)
		}
		if !slices.ContainsFunc(out, func(e verify.Evidence) bool { return string(e.Content) == string(data) }) {
			out = append(out, verify.Evidence{Name: file + t.at, Content: data})
		}
		return true, nil
	}
	var byDigest []string
	for _, sum := range in.digests {
		byDigest = append(byDigest, evidenceFile(sum))
	}
	for _, t := range trees {
		names, err := t.list(ctx, inputFolder)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("list evidence: %w", err)
		}
		for _, file := range byDigest {
			if !slices.Contains(names, path.Base(file)) {
				continue
			}
			if _, err := add(file, t); err != nil {
				return nil, err
			}
		}
	}
	for _, file := range r.Evidence {
		found := false
		for _, t := range trees {
			ok, err := add(file, t)
			if err != nil {
				return nil, err
			}
			found = found || ok
		}
		if !found {
			return nil, &gate.Refusal{Code: "input-evidence-missing", Where: r.where, What: "evidence that a rule about inputs lists is not there", Expected: file + trees[0].at, Actual: "no such file",
				Fix: "commit the file, or correct evidence:"}
		}
	}
	return out, nil
}

// noEvidence refuses an input of which nothing in the repository speaks.
func (r inputRule) noEvidence(in input, trees []tree) error {
	refusal := &gate.Refusal{Code: "input-evidence-missing", Where: r.where, What: fmt.Sprintf("nothing in the repository speaks of %s, which %s asks for", in.name, r.Policy), Actual: in.digest()}
	if len(in.digests) == 0 {
		refusal.What = fmt.Sprintf("%s was on this machine and has no SHA-256 that anybody could have attested", in.name)
		refusal.Expected, refusal.Fix = "a toolchain that is fetched", "name its version: builds[].go.toolchain: go1.…"
		return refusal
	}
	names := make([]string, 0, len(in.digests))
	for _, sum := range in.digests {
		names = append(names, evidenceFile(sum))
	}
	slices.Reverse(names) // the index that the definition names comes first
	refusal.Expected = strings.Join(names, ", or ") + trees[0].at
	refusal.Fix = "put what its builder attested there, have it reviewed and commit it"
	if !strings.HasPrefix(in.uri, modulePrefix) && in.name != toolchainName {
		refusal.Fix = "sello pin --evidence writes it, if its publisher attached it to the image; have it reviewed, and commit it"
	}
	return refusal
}
