package release

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/osv"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/stage"
	"github.com/sello-release/sello/internal/store"
	"github.com/sello-release/sello/internal/vex"
	"github.com/sello-release/sello/internal/vuln"
)

// DatabaseVariable names the database of vulnerabilities on this machine, where the definition names none.
const DatabaseVariable = "SELLO_VULN_DB"

// looksForVulnerabilities reports whether the definition has a policy about them.
func (c *Candidate) looksForVulnerabilities() bool { return c.Definition.Policy.Vulnerabilities != nil }

// checkVulnerabilities is the gate: nothing that the policy refuses may be known of what is staged, unless a manager has
// decided about it. It judges what lies in the stage, with the database as it is now.
func (p *Project) checkVulnerabilities(ctx context.Context, c *Candidate, s *staged) (*vuln.Report, *vex.Set, error) {
	o, set, err := p.vulnOptions(ctx, c)
	if err != nil {
		return nil, nil, err
	}
	parent, err := p.State("vulnerabilities")
	if err != nil {
		return nil, nil, err
	}
	dir, err := os.MkdirTemp(parent, c.Release.Version+"-")
	if err != nil {
		return nil, nil, fmt.Errorf("make folder: %w", err)
	}
	defer os.RemoveAll(dir)
	if err := s.describedFiles(ctx, dir); err != nil {
		return nil, nil, err
	}
	if err := s.imageDocuments(ctx, dir); err != nil {
		return nil, nil, err
	}
	targets, err := vuln.Read(ctx, dir)
	if err != nil {
		return nil, nil, err
	}
	report, err := vuln.Check(ctx, targets, o)
	if err != nil {
		return nil, nil, err
	}
	for _, n := range append(report.Notes, set.Ignored...) {
		p.note(n)
	}
	err = report.Err(c.Path)
	var r *gate.Refusal
	if errors.As(err, &r) && len(set.Ignored) > 0 {
		r.Actual += "; decisions that do not count: " + strings.Join(set.Ignored, "; ")
	}
	return report, set, err
}

func (p *Project) vulnOptions(ctx context.Context, c *Candidate) (o vuln.Options, set *vex.Set, err error) {
	policy := c.Definition.Policy.Vulnerabilities
	o = vuln.Options{Fail: vuln.Threshold(policy.Fail), Now: p.Now(), Symbols: p.Symbols}
	if o.AsOf, err = time.ParseDuration(policy.AsOf); err != nil {
		return o, nil, fmt.Errorf("read policy: %w", err)
	}
	name := orText(policy.Database, p.Vulnerabilities)
	switch {
	case name == "":
		return o, nil, &gate.Refusal{Code: "vuln-db-missing", Class: gate.Usage, Where: c.Path, What: "the policy asks for a look at known vulnerabilities, and no database of them is named",
			Expected: "policy.vulnerabilities.database, or " + DatabaseVariable + " in the environment", Fix: "mirror a database, and set " + DatabaseVariable + " to its folder"}
	case !strings.Contains(name, "://") && !filepath.IsAbs(name):
		name = filepath.Join(p.Repo.Root(), filepath.FromSlash(name))
	}
	if o.Database, err = osv.Open(name); err != nil {
		return o, nil, err
	}
	if set, err = p.exceptions(ctx, c); err != nil {
		return o, nil, err
	}
	o.Triage = set
	return o, set, nil
}

// describedFiles copies the stage's programs and bills of materials into dir, each compared with its digest.
func (s *staged) describedFiles(ctx context.Context, dir string) error {
	for _, a := range s.list.Artifacts {
		if a.Kind != stage.KindBinary && a.Kind != stage.KindSBOM {
			continue
		}
		if err := s.copyOut(ctx, a, filepath.Join(dir, filepath.FromSlash(a.Name))); err != nil {
			return fmt.Errorf("read %s: %w", a.Name, err)
		}
	}
	return nil
}

func (s *staged) copyOut(ctx context.Context, a stage.Artifact, to string) error {
	r, _, err := s.Bucket.Get(ctx, s.File(a.Name))
	if err != nil {
		return err
	}
	defer r.Close()
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	sums := digest.NewSHA256()
	if _, err := io.Copy(io.MultiWriter(f, sums), io.LimitReader(r, a.Size+1)); err != nil {
		return err
	}
	if got := sums.Sums().SHA256; got != a.SHA256 {
		return &gate.Refusal{Code: "stage-artifact-mismatch", Where: s.File(a.Name), What: "the file is not the one that was staged and signed off", Expected: "sha256:" + a.SHA256, Actual: "sha256:" + got, Fix: "stage the release again"}
	}
	return f.Close()
}

// attestVulnerabilities looks once more before the release, and publishes what was found as the builder's statement, with the
// decisions that count. What was published once stays.
func (p *Project) attestVulnerabilities(ctx context.Context, c *Candidate, s *staged, to store.ReleaseLayout, signer sign.Signer) error {
	for _, name := range []string{to.Statement(), to.Prefix() + stage.VulnsBundle} {
		r, _, err := to.Bucket.Get(ctx, name)
		if err == nil {
			return r.Close() // the release is made, or its statement is there from a run that broke off after it
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	report, _, err := p.checkVulnerabilities(ctx, c, s)
	if err != nil {
		return err
	}
	var subjects []attest.Subject
	for _, a := range s.list.Artifacts {
		subjects = append(subjects, attest.Subject{Name: a.Name, Digest: map[string]string{"sha256": a.SHA256}})
	}
	statement, err := report.Statement(subjects, p.Tool)
	if err != nil {
		return err
	}
	payload, err := statement.Encode()
	if err != nil {
		return err
	}
	bundle, err := sign.SignStatement(ctx, signer, attest.PayloadType, payload)
	if err != nil {
		return fmt.Errorf("sign statement about vulnerabilities: %w", err)
	}
	if err := p.publishDecisions(ctx, c, report, to); err != nil {
		return err
	}
	return to.Bucket.Put(ctx, to.Prefix()+stage.VulnsBundle, bytes.NewReader(bundle), store.PutOptions{Exclusive: true, ContentType: "application/json"})
}

// publishDecisions copies the documents that the report rests on, with their signatures, beside the SBOM.
func (p *Project) publishDecisions(ctx context.Context, c *Candidate, report *vuln.Report, to store.ReleaseLayout) error {
	var documents []string
	for _, f := range report.Findings {
		if f.Decision != nil && !slices.Contains(documents, f.Decision.Document) {
			documents = append(documents, f.Decision.Document)
		}
	}
	for _, document := range documents {
		for _, name := range []string{document, document + vex.BundleSuffix} {
			data, err := p.Repo.ReadFile(ctx, c.Tip, name, sign.MaxBundle)
			if err != nil {
				return fmt.Errorf("read decision: %w", err)
			}
			object := to.Prefix() + path.Join(stage.VEXFolder, path.Base(name))
			if err := to.Bucket.Put(ctx, object, bytes.NewReader(data), store.PutOptions{ContentType: "application/json"}); err != nil {
				return err
			}
		}
	}
	return nil
}
