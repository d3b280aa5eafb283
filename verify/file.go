package verify

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/stage"
	"github.com/sello-release/sello/internal/tlog"
)

// maxUp is how many folders above a file's own stage.json is looked for.
const maxUp = 6

// File verifies one file: by the bundle beside it (NAME.sigstore.json), and by the release or
// the stage that it stands in, if there is one: stage.json in its folder or at most six above. An error means
// that the file or the trust file could not be read; what was found wrong is in the report.
func File(ctx context.Context, path string, o Options) (*Report, error) {
	return verifyFile(ctx, path, "", o)
}

// verifyFile is File that looks for the release no higher than top; "" sets no bound but maxUp.
func verifyFile(ctx context.Context, path, top string, o Options) (*Report, error) {
	v, err := newVerifier(o)
	if err != nil {
		return nil, err
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	dir, name := place(abs, top)
	var src Source
	if dir != "" {
		root, err := os.OpenRoot(dir)
		if err != nil {
			return nil, fmt.Errorf("verify: %w", err)
		}
		defer root.Close()
		src = folderSource{root}
		if err := v.follow(ctx, src); err != nil {
			return nil, fmt.Errorf("verify: %w", err)
		}
	} else {
		name = filepath.Base(path)
	}
	single, err := v.readOne(ctx, abs, openFile)
	if err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	return v.judgeOne(ctx, path, name, single, src)
}

// judgeOne judges a file that was read; src is the release or stage that it stands in under name, nil when there is none.
func (v *verifier) judgeOne(ctx context.Context, shown, name string, single *file, src Source) (*Report, error) {
	r := &Report{Artifact: shown, Scope: ScopeFile, Files: 1}
	s := subject{name: strings.TrimPrefix(name, stage.FilesFolder+"/"), sha256: single.sha256, more: single.more, bundle: single.bundle, where: shown + stage.BundleSuffix}
	r.about(s.name, s.sha256)
	if s.bundle != nil {
		r.by(s.name+stage.BundleSuffix, s.bundle.sha256)
	}
	var f findings
	v.checkTrust(&f)
	if src == nil {
		v.alone(&f, r, s)
		return f.into(r), nil
	}
	in := surroundings{verifier: v, findings: f, src: src, report: r, staged: strings.HasPrefix(name, stage.FilesFolder+"/")}
	r.Scope = ScopeFileInRelease
	if err := in.judge(ctx, s, single.size); err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	return in.into(r), nil
}

// place finds the release or stage that a file stands in, and the file's name there; "" when there is none.
func place(abs, top string) (dir, name string) {
	dir = filepath.Dir(abs)
	for range maxUp + 1 {
		for _, mark := range []string{stage.FileName, stage.ReleaseBundle} {
			at := filepath.Join(dir, mark)
			if _, err := os.Lstat(at); err == nil && at != abs {
				rel, err := filepath.Rel(dir, abs)
				if err == nil {
					return dir, filepath.ToSlash(rel)
				}
			}
		}
		up := filepath.Dir(dir)
		if up == dir || dir == top {
			break
		}
		dir = up
	}
	return "", ""
}

// readOne hashes the file and reads its bundle.
func (v *verifier) readOne(ctx context.Context, name string, open func(name string) (io.ReadCloser, error)) (*file, error) {
	h := hasher{sum: sha256.New(), buf: make([]byte, bufferSize)}
	out := &file{name: name}
	f, err := open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if out.size, out.sha256, _, err = h.hash(ctx, f, 0); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	b, err := open(name + stage.BundleSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	defer b.Close()
	_, _, data, err := h.hash(ctx, b, sign.MaxBundle)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name+stage.BundleSuffix, err)
	}
	out.bundle = v.attestation(data)
	if out.bundle.header == nil || !out.bundle.header.StatesMore(out.sha256) {
		return out, nil
	}
	again, err := open(name)
	if err != nil {
		return nil, err
	}
	defer again.Close()
	if out.more, err = digestsOf(again); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if out.more["sha256"] != out.sha256 {
		return nil, fmt.Errorf("read %s: it changes while it is read", name)
	}
	return out, nil
}

// openFile opens a regular file; the user named it, so that it may be a link.
func openFile(name string) (io.ReadCloser, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		f.Close()
		return nil, errors.Join(err, &gate.Refusal{Code: "usage", Class: gate.Usage, What: name + " is not a regular file", Fix: "give the path of a file or folder, a URL, or an image as registry/repository:tag"})
	}
	return f, nil
}

// alone judges a file by its provenance and nothing else.
func (v *verifier) alone(f *findings, r *Report, s subject) {
	out, ok := v.provenance(f, s)
	if ok {
		grant(r, []verified{out})
	}
	if v.RequireRelease || v.Version != "" {
		v.openStage(f, r, nil)
		return
	}
	for _, id := range []string{"stage-missing", "release-statement-missing", "sign-off-missing"} {
		f.skip(id, s.name, "the file stands alone: there is no release around it")
	}
}

// surroundings is the release or stage around a file.
type surroundings struct {
	*verifier
	findings
	src    Source
	report *Report
	staged bool
}

func (in *surroundings) judge(ctx context.Context, s subject, size int64) error {
	small := func(name string) ([]byte, string, error) { return in.small(ctx, name, stage.MaxSize) }
	listBytes, listSHA, err := small(stage.FileName)
	if err != nil {
		return err
	}
	statement, statementSHA, err := small(stage.ReleaseBundle)
	if err != nil {
		return err
	}
	if statement != nil {
		in.report.by(stage.ReleaseBundle, statementSHA)
	}
	list, known := in.openStage(&in.findings, in.report, listBytes)
	proof, _, err := in.small(ctx, tlog.ProofFile, tlog.MaxProof)
	if err != nil {
		return err
	}
	said := in.statement(statement, one(proof), list, s, listSHA)
	if known {
		s.stage, s.artifact, s.released = list, list.Find(s.name), said != nil
		s.againstStage(&in.findings, size, true)
	}
	out, ok := in.provenance(&in.findings, s)
	if ok {
		grant(in.report, []verified{out})
	}
	if err := in.gate(ctx, s, list, out.level, ok); err != nil {
		return err
	}
	if !known {
		in.skip("sign-off-missing", s.name, "not decided, because there is no good stage.json")
		return nil
	}
	if s.artifact != nil {
		in.checkEvidence(&in.findings, list, []stage.Artifact{*s.artifact})
	}
	bundles, err := in.signOffs(ctx)
	if err != nil {
		return err
	}
	if said != nil {
		bundles = onlyListed(bundles, said)
	}
	for _, id := range slices.Sorted(maps.Keys(bundles)) {
		in.report.by(stage.SignOffFolder+"/"+id+stage.BundleSuffix, digest.Bytes(bundles[id]))
	}
	in.judgeSignOffs(&in.findings, in.report, list, bundles, said != nil)
	return nil
}

// statement verifies the release statement, and that it names the file and stage.json.
func (in *surroundings) statement(content []byte, proofs [][]byte, list *stage.Stage, s subject, listSHA string) map[string]string {
	if content == nil && (in.staged || in.Unreleased) && !in.RequireRelease {
		in.skip("release-statement-missing", stage.ReleaseBundle, "a stage, or a promoted release, has no release statement yet")
		return nil
	}
	said, ok := in.openStatement(&in.findings, content, proofs, list)
	if !ok {
		return nil
	}
	if !in.followed(&in.findings, said) {
		return nil
	}
	each := make([]findings, 2)
	listed(&each[0], s.name, s.sha256, true, said)
	listed(&each[1], stage.FileName, listSHA, listSHA != "", said)
	in.fold(each, "files of the release statement")
	return said
}

// gate judges the summary of the project's gate that is beside the file.
func (in *surroundings) gate(ctx context.Context, s subject, list *stage.Stage, level int, granted bool) error {
	if in.staged || !in.gateSummaries() {
		return nil
	}
	bundle, sum, err := in.small(ctx, stage.SummaryBundle, sign.MaxBundle)
	if err != nil {
		return err
	}
	if bundle != nil {
		in.report.by(stage.SummaryBundle, sum)
	}
	plain, _, err := in.small(ctx, stage.SummaryPlain, sign.MaxBundle)
	if err != nil {
		return err
	}
	judged := summarised{about: "sha256:" + s.sha256, where: stage.SummaryBundle, found: collected(bundle), version: in.wanted(list), released: s.released}
	if list != nil {
		judged.subjects = list.Known()
	}
	if s.artifact != nil || list == nil {
		judged.digests = s.digests()
	}
	if granted {
		judged.level = &level
	}
	in.judgeSummary(&in.findings, judged, plain, false)
	return nil
}

// small reads a small file of the release; nil when there is none.
func (in *surroundings) small(ctx context.Context, name string, limit int64) (content []byte, sha string, err error) {
	f, err := in.src.Open(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", err
	}
	defer f.Close()
	h := hasher{sum: sha256.New(), buf: make([]byte, 32<<10)}
	_, sha, content, err = h.hash(ctx, f, limit)
	if content == nil {
		content = []byte{}
	}
	return content, sha, err
}

// signOffs reads the sign-offs of the release, by file name without its ending.
func (in *surroundings) signOffs(ctx context.Context) (map[string][]byte, error) {
	out := map[string][]byte{}
	entries, err := in.src.List(ctx, stage.SignOffFolder+"/")
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		id, ok := strings.CutSuffix(strings.TrimPrefix(e.Name, stage.SignOffFolder+"/"), stage.BundleSuffix)
		if !ok || e.Irregular || strings.Contains(id, "/") || len(out) >= maxSignOffs {
			continue
		}
		if out[id], _, err = in.small(ctx, e.Name, maxSignOff); err != nil {
			return nil, err
		}
	}
	return out, nil
}
