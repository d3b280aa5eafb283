package verify_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/stage"
	"github.com/sello-release/sello/verify"
	vt "github.com/sello-release/sello/verify/verifytest"
)

// failedOn reports whether the check id failed for that subject.
func failedOn(r *verify.Report, id, subject string) bool {
	return slices.ContainsFunc(r.Checks, func(c verify.Check) bool { return c.Status == verify.Fail && c.ID == id && c.Subject == subject })
}

// A file of a stage is judged by sign-offs that hold now; only a release statement makes them hold as of then.
func TestFileOfAStageNeedsSignOffsThatHold(t *testing.T) {
	t.Parallel()
	w := vt.NewWorld(t)
	o := options(w)
	path := filepath.Join(w.StageFolder(t), "files", vt.Archive)
	accepted(t, file(t, path, o))
	o.Now = vt.Now.Add(100 * 24 * time.Hour)
	refused(t, file(t, path, o), "sign-off-missing")
}

// A sign-off that was laid beside a release afterwards is good by itself and counts nothing: the gate never saw it.
func TestSignOffAddedAfterTheRelease(t *testing.T) {
	t.Parallel()
	w := vt.NewWorld(t)
	release := w.Release(t, func(d *vt.Draft) { d.SignOffs = d.SignOffs[:1] })
	late := w.SignOff(t, vt.SignOff{By: "third"}, stage.Digest(vt.Read(t, release, stage.FileName)))
	vt.Write(t, release, stage.SignOffFolder+"/third"+stage.BundleSuffix, late)
	for _, r := range []*verify.Report{dir(t, release, options(w)), file(t, filepath.Join(release, vt.Archive), options(w))} {
		refused(t, r, "sign-off-missing")
		if len(r.SignOffs) != 1 || r.SignOffs[0].Identity != "first" {
			t.Error(show(r))
		}
	}
}

// Another stage.json of the project, good and with the same file in it, is not the one that was released.
func TestStageOfAnotherReleaseAroundAFile(t *testing.T) {
	t.Parallel()
	w := vt.NewWorld(t)
	release := w.Release(t)
	other := w.Release(t, func(d *vt.Draft) { d.Stage.Definition.SHA256 = strings.Repeat("9", 64) })
	for _, name := range vt.Names(t, other) {
		if name == stage.FileName || strings.HasPrefix(name, stage.SignOffFolder) {
			vt.Write(t, release, name, vt.Read(t, other, name))
		}
	}
	r := file(t, filepath.Join(release, vt.Archive), options(w))
	refused(t, r, "subject-mismatch")
	if !failedOn(r, "subject-mismatch", stage.FileName) {
		t.Errorf("stage.json itself is not refused:\n%s", show(r))
	}
	if r := dir(t, release, options(w)); !failedOn(r, "subject-mismatch", stage.FileName) {
		t.Errorf("stage.json itself is not refused:\n%s", show(r))
	}
}

// A file that the stage does not list does not belong to the release around it.
func TestFileThatDoesNotBelong(t *testing.T) {
	t.Parallel()
	w := vt.NewWorld(t)
	release := w.Release(t)
	other := w.Release(t, func(d *vt.Draft) { d.Files["other.tar.gz"] = "another file" })
	for _, name := range []string{"other.tar.gz", "other.tar.gz" + stage.BundleSuffix} {
		vt.Write(t, release, name, vt.Read(t, other, name))
	}
	r := file(t, filepath.Join(release, "other.tar.gz"), options(w))
	refused(t, r, "stage-artifact-unlisted")
	refused(t, r, "release-file-extra")
}

// A stage of another source is refused by itself, though its provenance names the right source.
func TestStageOfAnotherSource(t *testing.T) {
	t.Parallel()
	w := vt.NewWorld(t)
	r := dir(t, w.Release(t, func(d *vt.Draft) {
		d.Stage.Source.URI = "git+https://evil.example/age"
		d.Provenance = func(p *attest.Provenance) { p.BuildDefinition.ExternalParameters.Source.URI = "git+" + vt.Source }
	}), options(w))
	if r.Verdict != verify.Refused || !failedOn(r, "source-mismatch", stage.FileName) {
		t.Error(show(r))
	}
}

// A release that has too few sign-offs for today's trust file gets none any more: the one of its time is what to verify with.
func TestTooFewSignOffsOfAReleasePointToTheTrustFileOfItsTime(t *testing.T) {
	t.Parallel()
	w := vt.NewWorld(t)
	fix := func(r *verify.Report) string {
		refused(t, r, "sign-off-missing")
		for _, c := range r.Checks {
			if c.ID == "sign-off-missing" {
				return c.Fix
			}
		}
		return ""
	}
	o := options(w)
	o.Managers = 3
	release := w.Release(t)
	for _, r := range []*verify.Report{dir(t, release, o), file(t, filepath.Join(release, vt.Archive), o)} {
		if got, want := fix(r), "git show "+vt.Version+":trust.yaml"; !strings.Contains(got, want) || strings.Contains(got, "sello sign-off") {
			t.Errorf("the fix is %q, want one with %q", got, want)
		}
	}
	if got := fix(file(t, filepath.Join(w.StageFolder(t), "files", vt.Archive), o)); !strings.Contains(got, "sello sign-off") {
		t.Errorf("the fix of a stage is %q", got)
	}
}
