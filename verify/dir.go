package verify

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/sello-release/sello/internal/stage"
	"github.com/sello-release/sello/internal/tlog"
	"github.com/sello-release/sello/internal/trust/chain"
)

// Dir verifies a whole release, or a whole stage (a folder with files/ in it): every
// file is hashed once and judged. An error means that the folder or the trust file could
// not be read; what was found wrong is in the report.
func Dir(ctx context.Context, dir string, o Options) (*Report, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	defer root.Close()
	return Files(ctx, dir, folderSource{root}, o)
}

func (v *verifier) files(ctx context.Context, name string, src Source) (*Report, error) {
	if err := v.follow(ctx, src); err != nil {
		return nil, fmt.Errorf("verify %s: %w", name, err)
	}
	t, err := v.scan(ctx, src)
	if err != nil {
		return nil, fmt.Errorf("verify %s: %w", name, err)
	}
	r := &Report{Artifact: name, Scope: ScopeRelease, Files: len(t.files)}
	d := folder{verifier: v, tree: t, report: r, files: t.files}
	if staged := t.below(stage.FilesFolder); len(staged) > 0 {
		d.files, r.Scope = staged, ScopeStage
	}
	d.judge()
	if err := d.images(ctx, src); err != nil {
		return nil, fmt.Errorf("verify %s: %w", name, err)
	}
	d.account()
	return d.into(r), nil
}

// account notes what was judged, and by which attestations.
func (d *folder) account() {
	if d.list == nil {
		return
	}
	for _, a := range d.list.Artifacts {
		if f := d.files[a.Name]; f != nil {
			d.report.about(a.Name, f.sha256)
		}
		if f := d.files[a.Name+stage.BundleSuffix]; f != nil && f.bundle != nil {
			d.report.by(f.name, f.sha256)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(d.tree.files)) {
		if name == stage.ReleaseBundle || name == stage.SummaryBundle && d.gateSummaries() || strings.HasPrefix(name, stage.SignOffFolder+"/") && strings.HasSuffix(name, stage.BundleSuffix) {
			d.report.by(name, d.tree.files[name].sha256)
		}
	}
}

// folder is a release or a stage under judgement.
type folder struct {
	*verifier
	findings
	tree   *tree
	report *Report
	files  map[string]*file // of the release, by name: all of them, or those in files/
	list   *stage.Stage
	said   map[string]string // the release statement's files, when it was verified
}

func (d *folder) judge() {
	d.checkTrust(&d.findings)
	for _, name := range d.tree.irregular {
		d.fail(Check{ID: "release-file-irregular", Subject: name, Where: name}, irregular(name))
	}
	var ok bool
	if d.list, ok = d.openStage(&d.findings, d.report, content(d.tree.files[stage.FileName])); !ok {
		d.skip("sign-off-missing", "", "not decided, because there is no good stage.json")
		d.statement()
		return
	}
	d.statement()
	d.artifacts()
	if d.said == nil {
		d.nothingElse()
	}
	d.gate()
	d.checkEvidence(&d.findings, d.list, d.list.Artifacts)
	for _, name := range []string{sums256, sums512} {
		if f := d.files[name]; f != nil && d.list.Find(name) != nil {
			checkSums(&d.findings, name, f.content, d.list, d.files)
		}
	}
	bundles := d.tree.signOffs()
	if d.said != nil {
		bundles = onlyListed(bundles, d.said)
	}
	d.judgeSignOffs(&d.findings, d.report, d.list, bundles, d.said != nil)
}

// content gives a file's content, which is not nil when there is a file.
func content(f *file) []byte {
	if f == nil {
		return nil
	}
	return append([]byte{}, f.content...)
}

// one is what there is of something that may be missing.
func one(data []byte) [][]byte {
	if data == nil {
		return nil
	}
	return [][]byte{data}
}

// statement verifies the release statement and compares the folder with it, file by file.
func (d *folder) statement() {
	found := d.tree.files[stage.ReleaseBundle]
	if (d.report.Scope == ScopeStage || d.Unreleased && found == nil) && !d.RequireRelease {
		d.skip("release-statement-missing", stage.ReleaseBundle, "a stage, or a promoted release, has no release statement yet")
		return
	}
	said, ok := d.openStatement(&d.findings, content(found), one(content(d.tree.files[tlog.ProofFile])), d.list)
	if !ok {
		return
	}
	d.said = said
	names := maps.Clone(said)
	d.saidImages(names)
	for name := range d.files {
		names[name] = ""
	}
	delete(names, stage.ReleaseBundle)
	delete(names, tlog.ProofFile)
	for _, name := range []string{stage.SummaryBundle, stage.SummaryPlain} {
		if _, promised := said[name]; !promised { // made later, and judged by itself
			delete(names, name)
		}
	}
	var each []findings
	for _, name := range slices.Sorted(maps.Keys(names)) {
		var one findings
		f := d.files[name]
		if f == nil {
			f = &file{}
		}
		listed(&one, name, f.sha256, f.name != "", said)
		each = append(each, one)
	}
	d.fold(each, "files of the release statement")
}

// artifacts judges every artifact of stage.json: that it is here, that it is the one, and where it comes from.
func (d *folder) artifacts() {
	var each []findings
	var granted []verified
	good := true
	for i := range d.list.Artifacts {
		a := &d.list.Artifacts[i]
		var one findings
		s := subject{name: a.Name, artifact: a, stage: d.list, where: a.Name + stage.BundleSuffix, released: d.said != nil}
		f := d.files[a.Name]
		if f == nil {
			f = &file{}
		}
		s.sha256 = f.sha256
		if b := d.files[s.where]; b != nil {
			s.bundle = b.bundle
		}
		if s.againstStage(&one, f.size, f.name != "") {
			out, ok := d.provenance(&one, s)
			good = good && ok
			granted = append(granted, out)
		} else {
			good = false
		}
		each = append(each, one)
	}
	d.fold(each, "artifacts")
	if good {
		grant(d.report, granted)
	}
}

// nothingElse refuses files that stage.json does not account for, where no release statement does.
func (d *folder) nothingElse() {
	var each []findings
	for _, name := range slices.Sorted(maps.Keys(d.files)) {
		var one findings
		if !d.accounted(name) {
			one.fail(Check{ID: "release-file-extra", Subject: name, Where: name}, extra(name, stage.FileName))
		} else {
			one.checks = append(one.checks, Check{ID: "release-file-extra", Status: Pass, Subject: name})
		}
		each = append(each, one)
	}
	d.fold(each, "files")
}

func (d *folder) accounted(name string) bool {
	if d.list.Find(name) != nil {
		return true
	}
	if artifact, ok := strings.CutSuffix(name, stage.BundleSuffix); ok && d.list.Find(artifact) != nil {
		return true
	}
	if d.report.Scope == ScopeStage {
		return false
	}
	if vex, ok := strings.CutPrefix(name, stage.VEXFolder+"/"); ok {
		return strings.HasSuffix(strings.TrimSuffix(vex, stage.BundleSuffix), ".openvex.json") && !strings.Contains(vex, "/")
	}
	id, ok := strings.CutPrefix(name, stage.SignOffFolder+"/")
	return name == stage.FileName || name == stage.VulnsBundle || name == stage.ReleaseBundle || name == tlog.ProofFile || IsSummary(name) || strings.HasPrefix(name, chain.Folder+"/") || ok && strings.HasSuffix(id, stage.BundleSuffix) && !strings.Contains(id, "/")
}
