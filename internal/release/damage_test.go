package release

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sello-release/sello/internal/engine/host"
	"github.com/sello-release/sello/internal/gate"
)

// TestDamagedStage damages a stage in every way that a disk does, and follows what is said to be the fix.
func TestDamagedStage(t *testing.T) {
	ctx, p := quick(t)
	if testing.Short() {
		t.Skip("compiles")
	}
	p.Engine = host.New(host.Options{})
	made, err := p.Stage(ctx, "v1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	if made.Level != "SLSA_BUILD_LEVEL_1" || made.Builder != host.BuilderID {
		t.Errorf("built by %+v", made.Built)
	}
	files := filepath.Join(made.Where, "files")
	damaged := filepath.Join(files, "SHA256SUMS")
	status := func() Status {
		t.Helper()
		all, err := p.Status(ctx)
		if err != nil || len(all) != 1 {
			t.Fatalf("%+v, %v", all, err)
		}
		return all[0]
	}
	again := func() {
		t.Helper()
		if back, err := p.Stage(ctx, "v1.0.0"); err != nil || back.Digest != made.Digest || back.Where != made.Where {
			t.Fatalf("%+v, %v, want %s", back, err, made.Digest)
		}
		if s := status(); strings.Contains(s.Detail, "damaged") {
			t.Errorf("after staging again: %+v", s)
		}
	}

	write(t, damaged, "x")
	_, err = p.SignOff(ctx, "v1.0.0", SignOffOptions{})
	refusedAs(t, err, "stage-artifact-mismatch", "remove "+damaged, "sello stage releases/v1.0.0.yaml")
	_, err = p.Stage(ctx, "v1.0.0")
	refusedAs(t, err, "stage-artifact-mismatch", "remove "+damaged)
	if s := status(); !strings.Contains(s.Detail, "SHA256SUMS has another size") || !strings.HasPrefix(s.Next, "rm "+damaged) {
		t.Errorf("status: %+v", s)
	}
	remove(t, damaged)
	if s := status(); !strings.Contains(s.Detail, " missing") || s.Next != "sello stage releases/v1.0.0.yaml" {
		t.Errorf("status: %+v", s)
	}
	_, err = p.SignOff(ctx, "v1.0.0", SignOffOptions{})
	refusedAs(t, err, "release-file-missing", "sello stage releases/v1.0.0.yaml")
	again()

	bundle := filepath.Join(files, "bin", "linux", "amd64", "hello"+".sigstore.json")
	write(t, bundle, "{")
	_, err = p.SignOff(ctx, "v1.0.0", SignOffOptions{})
	refusedAs(t, err, "bad-json", "remove "+bundle)
	remove(t, bundle)
	again()
	if err := os.RemoveAll(files); err != nil {
		t.Fatal(err)
	}
	again()

	signed, err := p.SignOff(ctx, "v1.0.0", SignOffOptions{})
	if err != nil || signed.Level != "SLSA_BUILD_LEVEL_1" {
		t.Fatalf("%+v, %v", signed, err)
	}
	remove(t, damaged)
	if s := status(); s.State != StateSignedOff || s.Next != "sello stage releases/v1.0.0.yaml" {
		t.Errorf("status of a damaged stage that is signed off: %+v", s)
	}
	again()
	promoted, err := p.Promote(ctx, "v1.0.0")
	if err != nil || promoted.Builder != host.BuilderID {
		t.Fatalf("%+v, %v", promoted, err)
	}
	if _, err := p.Release(ctx, "v1.0.0"); err != nil {
		t.Fatal(err)
	}
	releasedForGood(t, p, status, made.Where)
}

// releasedForGood changes everything around a release: it stays released.
func releasedForGood(t *testing.T, p *Project, status func() Status, stage string) {
	t.Helper()
	production := filepath.Join(p.Repo.Root(), ".sello", "production")
	definition := "project: hello\nsource: https://example.com/elsewhere\nbuilds:\n  - go: {packages: [.], platforms: [linux/amd64], toolchain: go1.26.8}\n"
	inTree(t, p, "sello.yaml", definition)
	trusted, err := os.ReadFile(filepath.Join(p.Repo.Root(), TrustFile))
	if err != nil {
		t.Fatal(err)
	}
	inTree(t, p, TrustFile, strings.ReplaceAll(string(trusted), "https://example.com/hello", "https://example.com/elsewhere"))
	inGit(t, p, "commit", "-qam", "moved")
	if s := status(); s.State != StateReleased || !strings.Contains(s.Detail, production) || !strings.Contains(s.Detail, "trust-fork") || s.Next != "" {
		t.Errorf("after the source moved: %+v", s)
	}
	inGit(t, p, "reset", "-q", "--hard", "HEAD~1")
	if s := status(); s.State != StateReleased || s.Detail != filepath.Join(production, "hello", "v1.0.0")+string(filepath.Separator) && s.Detail != filepath.Join(production, "hello", "v1.0.0") {
		t.Errorf("as it was: %+v", s)
	}
	for _, dir := range []string{production, stage} { // as in a fresh clone
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
	if s := status(); s.State != StateReleased || !strings.Contains(s.Detail, "tag v1.0.0; its files are not in ./.sello/production") || s.Next != "" {
		t.Errorf("in a clone: %+v", s)
	}
	inGit(t, p, "tag", "-f", "-a", "-m", "by nobody", "v1.0.0", "v1.0.0^{}")
	if s := status(); s.State != StateProposed {
		t.Errorf("with a tag that nobody signed: %+v", s)
	}
}

// TestWhoIsAsked: the fix of a missing sign-off is a command line that somebody can type.
func TestWhoIsAsked(t *testing.T) {
	ctx, p := quick(t)
	if testing.Short() {
		t.Skip("compiles")
	}
	p.Engine = host.New(host.Options{})
	if _, err := p.Stage(ctx, "v1.0.0"); err != nil {
		t.Fatal(err)
	}
	planned(t, ctx, p)
	_, err := p.Promote(ctx, "v1.0.0")
	refusedAs(t, err, "sign-off-missing", "sello sign-off releases/v1.0.0.yaml --as maintainer")
	if r, _ := asRefusal(err); r.Class != gate.Waiting || strings.Contains(r.Fix, "another") {
		t.Errorf("%+v", r)
	}
}

func write(t *testing.T, name, content string) {
	t.Helper()
	remove(t, name) // it may be read-only
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, name string) {
	t.Helper()
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
}

// planned holds a plan to what was staged, file by file.
func planned(t *testing.T, ctx context.Context, p *Project) {
	t.Helper()
	plan, err := p.Plan(ctx, "v1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	c, err := p.Candidate(ctx, "v1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	staging, _, err := p.buckets(c.Definition)
	if err != nil {
		t.Fatal(err)
	}
	s, err := p.findStage(ctx, c, staging)
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for _, a := range s.list.Artifacts {
		want = append(want, a.Name)
	}
	for _, name := range plan.Artifacts {
		got = append(got, strings.ReplaceAll(name, "<program>", "hello"))
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
