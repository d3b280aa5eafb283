package cli

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"

	"github.com/sello-release/sello/internal/deps"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/release"
	"github.com/sello-release/sello/internal/sbom/format"
)

func (a *app) depsCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "deps", Short: "Hold dependencies to dependencies.yaml: diff, check, approve",
		Example: "  sello deps diff v1.4.1\n  sello deps check\n  sello deps approve github.com/spf13/cobra@v1.8.0 --reason 'Our command line'",
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() }, Args: oneOfCommands}
	cmd.AddCommand(a.depsDiffCommand(), a.depsCheckCommand(), a.depsApproveCommand(), a.depsSignCommand())
	return cmd
}

// looked is what a command line named: its dependencies, and how they are called.
type looked struct {
	name    string
	version string // of a release or a stage; else ""
	set     *deps.Set
}

// look finds the dependencies of a version, a release file, a bill of materials or a folder. source says that documents of the
// sources are wanted, which are compared with a working tree.
func (a *app) look(ctx context.Context, p *release.Project, arg string, source bool) (*looked, error) {
	if version, ok := a.versionOf(p, arg); ok {
		suffix := release.ReleaseSuffix
		if source {
			suffix = release.SourceSuffix
		}
		doc, err := p.VersionSBOM(ctx, version, suffix)
		if err != nil {
			return nil, err
		}
		return &looked{version, version, deps.FromDocument(doc)}, nil
	}
	path := arg
	if !filepath.IsAbs(path) {
		path = filepath.Join(a.dir, path)
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		name := arg
		if same, err := os.Stat(rootOf(p)); err == nil && os.SameFile(info, same) {
			name = "working tree"
			tree, remove, err := p.WorkTree(ctx)
			if err != nil {
				return nil, err
			}
			defer remove()
			path = tree
		}
		doc, err := a.describe(ctx, path, sbomFlags{})
		if err != nil {
			return nil, err
		}
		set := deps.FromDocument(doc)
		set.Dated(cachedTime)
		return &looked{name, "", set}, nil
	}
	doc, err := format.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return &looked{arg, "", deps.FromDocument(doc)}, nil
}

// rootOf gives the root of a checkout, or "" where there is none.
func rootOf(p *release.Project) string {
	if p == nil {
		return ""
	}
	return p.Repo.Root()
}

// versionOf takes v1.4.2 and releases/v1.4.2.yaml, unless there is a file or folder of that name.
func (a *app) versionOf(p *release.Project, arg string) (string, bool) {
	if p == nil {
		return "", false
	}
	if name, ok := strings.CutSuffix(filepath.Base(arg), ".yaml"); ok && semver.IsValid(name) && filepath.Base(filepath.Dir(arg)) == "releases" {
		return name, true
	}
	_, err := os.Stat(filepath.Join(a.dir, arg))
	return arg, err != nil && semver.IsValid(arg)
}

// cachedTime reads when a module's version was made from what the go command of this machine was told.
func cachedTime(name, version string) time.Time {
	path, err := module.EscapePath(name)
	if err != nil {
		return time.Time{}
	}
	escaped, err := module.EscapeVersion(version)
	if err != nil {
		return time.Time{}
	}
	f, err := os.Open(filepath.Join(goModCache(), "cache", "download", filepath.FromSlash(path), "@v", escaped+".info"))
	if err != nil {
		return time.Time{}
	}
	defer f.Close()
	var info struct{ Time time.Time }
	if err := json.NewDecoder(io.LimitReader(f, 64<<10)).Decode(&info); err != nil {
		return time.Time{}
	}
	return info.Time
}

// checkout opens the checkout around the folder, or gives nil where there is none.
func (a *app) checkout(ctx context.Context) *release.Project {
	p, err := a.open(ctx)
	if err != nil {
		return nil
	}
	return p
}

func (a *app) depsCheckCommand() *cobra.Command {
	var policyFile string
	cmd := &cobra.Command{
		Use:   "check [RELEASE-FILE|SBOM|FOLDER]",
		Short: "Check whether dependencies hold to dependencies.yaml",
		Long: `Check says what dependencies.yaml refuses, with who brings it in, and has exit
code 3 when there is something; 4 when all of it is a matter of waiting.

With a release file it judges the stage as sign-off, promote and release do. With
a bill of materials, or a folder (without an argument: the working tree), it
judges by the dependencies.yaml and the approvals of the working tree, which
nobody has reviewed yet. What only a build's record tells (ages, what the checksum
database vouches for) is then not judged, which is said.`,
		Example: "  sello deps check\n  sello deps check releases/v1.4.2.yaml\n  sello deps check hello.spdx.json --policy dependencies.yaml",
		Args:    takes(0, 1, "[RELEASE-FILE|SBOM|FOLDER]"), ValidArgsFunction: a.releaseFiles,
		RunE: func(cmd *cobra.Command, args []string) error {
			arg := "."
			if len(args) == 1 {
				arg = args[0]
			}
			p := a.checkout(cmd.Context())
			if version, ok := a.versionOf(p, arg); ok {
				d, err := p.DependenciesOf(cmd.Context(), "releases/"+version+".yaml")
				if d == nil {
					return err
				}
				return a.judged(d, version, err)
			}
			rules, err := a.rules(p, policyFile)
			if err != nil {
				return err
			}
			what, err := a.look(cmd.Context(), p, arg, true)
			if err != nil {
				return err
			}
			d := &release.Dependencies{Report: judge(rules, what.set)}
			return a.judged(d, what.name, d.Err(what.name))
		},
	}
	cmd.Flags().StringVar(&policyFile, "policy", "", "policy to judge by (default: dependencies.yaml of the working tree)")
	return cmd
}

// rules reads the policy and the approvals to judge by, where no stage is judged.
func (a *app) rules(p *release.Project, policyFile string) (*release.WorkingDependencies, error) {
	out := &release.WorkingDependencies{Approved: &deps.Approved{}}
	if p != nil {
		var err error
		if out, err = p.WorkingDependencies(); err != nil {
			return nil, err
		}
	}
	if policyFile != "" {
		data, err := readSmall(policyFile)
		if err != nil {
			return nil, &gate.Refusal{Code: "file-missing", Class: gate.Usage, Where: policyFile, What: "the policy cannot be read", Expected: "a file like " + deps.FileName, Fix: "give the path of one that is there", Cause: err}
		}
		if out.Policy, err = deps.ParsePolicy(policyFile, data); err != nil {
			return nil, err
		}
	}
	if out.Policy == nil {
		return nil, &gate.Refusal{Code: "deps-policy-missing", Class: gate.Usage, Where: deps.FileName, What: "there is no policy to judge by", Expected: deps.FileName + " at the root of the checkout, or --policy", Fix: "write one: sello schema dependencies describes it"}
	}
	return out, nil
}

// readSmall reads a file that people write; what is longer than that is refused by its parser.
func readSmall(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, 4<<20))
}

func judge(rules *release.WorkingDependencies, set *deps.Set) *deps.Report {
	r := deps.NewReport(set)
	r.Judge(rules.Policy, set, rules.Approved, deps.Scope{Where: deps.FileName, Now: time.Now(), Partial: true})
	r.Notes = append(r.Notes, rules.Approved.Ignored...)
	return r
}

func (a *app) depsDiffCommand() *cobra.Command {
	var markdown bool
	cmd := &cobra.Command{
		Use:   "diff FROM [TO]",
		Short: "Show what a release would change in dependencies, and what is refused of it",
		Long: `Diff lists the dependencies that were added, changed or removed, direct and
transitive ones apart, with who brings each in; the changes of the policy; and
what the policy refuses. FROM and TO are versions, release files, bills of
materials or folders; TO is the working tree when it is left out. Of a version it
takes the release, whose bill of materials is the one that its statement lists,
or the stage while there is no release.

With a working tree, sources are compared: they list what tests need, too. Diff
shows and does not refuse: sello deps check does.

--markdown writes it for release notes.`,
		Example: "  sello deps diff v1.4.1\n  sello deps diff v1.4.1 releases/v1.4.2.yaml --markdown\n  sello deps diff old.spdx.json new.cdx.json",
		Args:    takes(1, 2, "FROM [TO]"), ValidArgsFunction: a.releaseFiles,
		RunE: func(cmd *cobra.Command, args []string) error {
			to := "."
			if len(args) == 2 {
				to = args[1]
			}
			d, err := a.depsDiff(cmd.Context(), args[0], to)
			if err != nil {
				return err
			}
			return a.result(d, func() {
				if markdown {
					a.printf("%s", markdownDeps(d))
				} else {
					a.printf("%s", textDeps(d))
				}
			})
		},
	}
	cmd.Flags().BoolVar(&markdown, "markdown", false, "write Markdown, for release notes")
	return cmd
}

func (a *app) depsDiff(ctx context.Context, from, to string) (*deps.Diff, error) {
	p := a.checkout(ctx)
	isFolder := func(arg string) bool {
		info, err := os.Stat(filepath.Join(a.dir, arg))
		return err == nil && info.IsDir()
	}
	source := isFolder(from) || isFolder(to)
	before, err := a.look(ctx, p, from, source)
	if err != nil {
		return nil, err
	}
	after, err := a.look(ctx, p, to, source)
	if err != nil {
		return nil, err
	}
	d := deps.Compare(before.set, after.set)
	d.From, d.To = before.name, after.name
	if p == nil {
		return d, nil
	}
	var was, is *deps.Policy
	rules, err := p.WorkingDependencies()
	if err != nil {
		return nil, err
	}
	is = rules.Policy
	var report *deps.Report
	if after.version != "" {
		if is, err = p.PolicyOf(ctx, after.version); err != nil {
			return nil, err
		}
		if judged, err := p.DependenciesOf(ctx, "releases/"+after.version+".yaml"); judged != nil {
			report = judged.Report
		} else if err != nil {
			d.Notes = append(d.Notes, "what the policy refuses is not known: "+err.Error())
		}
	} else if is != nil {
		report = judge(rules, after.set)
	}
	if report != nil {
		d.Mark(report)
		d.Notes = append(d.Notes, report.Notes...)
	}
	if before.version != "" {
		if was, err = p.PolicyOf(ctx, before.version); err != nil {
			return nil, err
		}
		d.Policy = deps.ComparePolicies(was, is)
	}
	return d, nil
}

func (a *app) depsApproveCommand() *cobra.Command {
	var o release.ApproveOptions
	var versions, allOf string
	var purposes []string
	var exact bool
	cmd := &cobra.Command{
		Use:   "approve [MODULE@VERSION…]",
		Short: "Approve dependencies as a release manager, and sign that",
		Long: `Approve writes what a release manager approves to dependencies/, and the manager's
signature beside it, which says who approved and until when. Both count once they
are merged into the release branch.

MODULE@VERSION approves that version and later ones with the same major version;
with --exact only that one; --versions gives a range of its own. --for says what
is approved: direct (a direct dependency), license, source (where it comes from,
that it replaces another, that nobody vouches for it), age, and module (that the
policy denies it, or does not allow it).

--all-of takes all direct dependencies of a release file, a bill of materials or a
folder that are not approved yet: to begin with a policy.`,
		Example: "  sello deps approve github.com/spf13/cobra@v1.8.0 --reason 'Our command line'\n  sello deps approve example.org/m@v1.2.3 --exact --for age --reason 'A fix'\n  sello deps approve --all-of . --reason 'What we had before'",
		Args:    takes(0, 1000, "[MODULE@VERSION…]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := approvable(args, allOf, o.Approval.Reason, purposes); err != nil {
				return err
			}
			p, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			for _, arg := range args {
				m, err := approvedModule(arg, versions, exact)
				if err != nil {
					return err
				}
				m.For = purposes
				o.Approval.Modules = append(o.Approval.Modules, m)
			}
			if allOf != "" {
				if o.Approval.Modules, err = a.unapproved(cmd.Context(), p, allOf); err != nil {
					return err
				}
			}
			made, err := p.Approve(cmd.Context(), o)
			if err != nil {
				return err
			}
			return a.showApproved(made)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Approval.Reason, "reason", "", "why; a sentence")
	f.StringSliceVar(&purposes, "for", []string{deps.ForDirect}, "what is approved: "+strings.Join(deps.Purposes, ", "))
	f.StringVar(&versions, "versions", "", "the versions, such as '>=v1.8.0 <v1.9.0', or any")
	f.BoolVar(&exact, "exact", false, "only the version itself")
	f.StringVar(&allOf, "all-of", "", "approve all direct dependencies of this that are not yet")
	f.StringVar(&o.Out, "out", "", "path of the document (default: dependencies/MODULE.WHO.yaml)")
	approvalSigning(cmd, &o)
	_ = cmd.RegisterFlagCompletionFunc("for", cobra.FixedCompletions(deps.Purposes, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// approvable says what is wrong with the command line in its own words.
func approvable(args []string, allOf, reason string, purposes []string) error {
	switch {
	case len(args) == 0 && allOf == "":
		return usage("it is not said what is approved", "sello deps approve MODULE@VERSION --reason TEXT")
	case len(args) > 0 && allOf != "":
		return usage("--all-of and modules do not go together", "give one of the two")
	case strings.TrimSpace(reason) == "":
		return usage("it is not said why", "add --reason TEXT")
	}
	for _, word := range purposes {
		if !slices.Contains(deps.Purposes, word) {
			return usage("--for does not take \""+word+"\""+didYouMean(word, deps.Purposes), "one of "+strings.Join(deps.Purposes, ", "))
		}
	}
	return nil
}

func approvedModule(arg, versions string, exact bool) (deps.ApprovedModule, error) {
	name, version, ok := strings.Cut(strings.TrimPrefix(arg, "pkg:golang/"), "@")
	if strings.HasPrefix(name, "pkg:") { // of npm, names begin with an @
		if i := strings.LastIndexByte(name+"@"+version, '@'); i > 0 && ok {
			name, version = (name + "@" + version)[:i], (name + "@" + version)[i+1:]
		}
	}
	switch {
	case versions != "" && !exact && !ok:
	case versions != "":
		return deps.ApprovedModule{}, usage("--versions takes the place of @VERSION and --exact", "sello deps approve MODULE --versions '>=v1.8.0 <v1.9.0' --reason TEXT")
	case !ok || version == "":
		return deps.ApprovedModule{}, usage(arg+" does not say which version", "write MODULE@VERSION, or add --versions")
	case exact:
		versions = "=" + version
	default:
		versions = deps.From(version)
	}
	return deps.ApprovedModule{Module: name, Versions: versions}, nil
}

// unapproved lists the direct dependencies that the policy would refuse as not approved, or all of them where there is none.
func (a *app) unapproved(ctx context.Context, p *release.Project, arg string) ([]deps.ApprovedModule, error) {
	what, err := a.look(ctx, p, arg, false)
	if err != nil {
		return nil, err
	}
	rules, err := p.WorkingDependencies()
	if err != nil {
		return nil, err
	}
	asks := &deps.Policy{Approvals: &deps.Approvals{Direct: true}}
	if rules.Policy != nil && rules.Policy.Approvals != nil {
		own := *rules.Policy.Approvals
		own.Direct = true
		asks.Approvals = &own
	}
	rules.Policy = asks
	var out []deps.ApprovedModule
	for _, f := range judge(rules, what.set).Findings {
		m := deps.ApprovedModule{Module: f.Name, Versions: deps.AnyVersion}
		if f.Version != "" {
			m.Versions = deps.From(f.Version)
		}
		out = append(out, m)
	}
	if len(out) == 0 {
		return nil, usage("all direct dependencies of "+what.name+" are approved", "there is nothing to do")
	}
	return out, nil
}

func approvalSigning(cmd *cobra.Command, o *release.ApproveOptions) {
	f := cmd.Flags()
	f.StringVar(&o.As, "as", "", "name of the key to sign with, when there are several")
	f.DurationVar(&o.ValidFor, "valid-for", 8760*time.Hour, "how long the approval counts, a year at most")
	f.StringVar(&o.Comment, "comment", "", "a sentence that goes into the signature")
}

func (a *app) depsSignCommand() *cobra.Command {
	var o release.ApproveOptions
	cmd := &cobra.Command{
		Use:   "sign FILE",
		Short: "Sign an approval as a release manager, for the first time or again",
		Long: `Sign puts a release manager's signature beside an approval below dependencies/,
which says who approved and until when. A signature that is there is replaced.`,
		Example: "  sello deps sign dependencies/github-com-spf13-cobra.jane.yaml",
		Args:    takes(1, 1, "FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			made, err := p.SignApproval(cmd.Context(), args[0], o)
			if err != nil {
				return err
			}
			return a.showApproved(made)
		},
	}
	approvalSigning(cmd, &o)
	return cmd
}

func (a *app) showApproved(made *release.Decided) error {
	return a.result(made, func() {
		a.printf("%s approved, until %s\n  %s\n  %s\n", made.Identity, made.Expires.Format("2006-01-02"), shown(made.Path), shown(made.Bundle))
		a.next("git add " + shown(made.Path) + " " + shown(made.Bundle) + "   # it counts once it is merged")
	})
}
