package store_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/store"
	"github.com/sello-release/sello/internal/store/storetest"
)

func TestLayouts(t *testing.T) {
	t.Parallel()
	s := store.StageLayout{Project: "age", Version: "v1.4.2", Digest: "sha256:0123456789abcdef" + strings.Repeat("0", 48)}
	r := store.ReleaseLayout{Project: "age", Version: "v1.4.2"}
	got := []string{s.StageFile(), s.Journal(), s.SignOff("first-manager"), s.File("bin/linux/amd64/age"), r.File("bin/linux/amd64/age"), r.Statement(), r.VSA(), r.StageFile(), r.SignOff("a@b.example")}
	want := []string{
		"age/v1.4.2/0123456789ab/stage.json", "age/v1.4.2/0123456789ab/journal.jsonl", "age/v1.4.2/0123456789ab/sign-offs/first-manager.sigstore.json",
		"age/v1.4.2/0123456789ab/files/bin/linux/amd64/age", "age/v1.4.2/bin/linux/amd64/age",
		"age/v1.4.2/release.sigstore.json", "age/v1.4.2/vsa.sigstore.json", "age/v1.4.2/stage.json", "age/v1.4.2/sign-offs/a@b.example.sigstore.json",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if err := s.Check(); err != nil {
		t.Error(err)
	}
	if err := r.Check(); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"", "..", "a/b", "x\n"} {
		if err := (store.ReleaseLayout{Project: bad, Version: "v1.0.0"}).Check(); gate.Code(err) != "store-name" {
			t.Errorf("project %q: %v", bad, err)
		}
		if err := (store.StageLayout{Project: "p", Version: bad, Digest: s.Digest}).Check(); gate.Code(err) != "store-name" {
			t.Errorf("version %q: %v", bad, err)
		}
	}
	if err := (store.StageLayout{Project: "p", Version: "v1.0.0", Digest: "short"}).Check(); err == nil {
		t.Error("a short digest went through")
	}
}

func TestSignOffNamesAreValidAndDistinct(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, identity := range []string{"a", "a.", ".a", "../a", "a/b", "a%2Fb", "https://x.example/y", "é", "\n", "a b", ".", ".."} {
		name := store.StageLayout{Project: "p", Version: "v1.0.0"}.SignOff(identity)
		name = strings.Replace(name, "//", "/", 1) // this layout has no digest
		if err := store.CheckName(name); err != nil {
			t.Errorf("identity %q: %v", identity, err)
		}
		if strings.Count(name, "/") != 3 {
			t.Errorf("identity %q leaves its folder: %s", identity, name)
		}
		if other, ok := seen[name]; ok {
			t.Errorf("%q and %q share %s", identity, other, name)
		}
		seen[name] = identity
	}
}

func stageAt(t *testing.T, b store.Bucket, content, folder string) {
	t.Helper()
	storetest.Put(t, b, "p/v1.0.0/"+folder+"/stage.json", content)
}

func TestFindStages(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := open(t, "./b", t.TempDir())
	none, err := store.FindStages(ctx, b, "p", "v1.0.0")
	if len(none) != 0 || err != nil {
		t.Fatalf("in an empty bucket: %v, %v", none, err)
	}
	good := `{"good":1}`
	sum := digest.Bytes([]byte(good))
	stageAt(t, b, good, sum[:12])
	stageAt(t, b, good, "not-a-stage")
	storetest.Put(t, b, "p/v1.0.0/aaaaaaaaaaaa/files/half-staged", "x")
	for _, bucket := range []store.Bucket{b, &storetest.Fault{Bucket: b}} { // with and without the FolderLister
		refs, err := store.FindStages(ctx, bucket, "p", "v1.0.0")
		if err != nil || len(refs) != 1 || refs[0].Digest != sum || refs[0].StageFile() != "p/v1.0.0/"+sum[:12]+"/stage.json" || refs[0].Info.Size != int64(len(good)) {
			t.Errorf("FindStages = %+v, %v", refs, err)
		}
	}
	stageAt(t, b, good+" ", "bbbbbbbbbbbb")
	refs, err := store.FindStages(ctx, b, "p", "v1.0.0")
	if gate.Code(err) != "store-stage-corrupt" || len(refs) != 1 {
		t.Errorf("with a corrupt stage: %+v, %v", refs, err)
	}
	if _, err := store.FindStages(ctx, b, "..", "v1.0.0"); gate.Code(err) != "store-name" {
		t.Errorf("a bad project: %v", err)
	}
}

func TestHugeStageFileIsCorrupt(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	b := open(t, "./b", base)
	stageAt(t, b, "", "cccccccccccc")
	if err := os.Truncate(filepath.Join(base, "b", "p", "v1.0.0", "cccccccccccc", "stage.json"), 1<<40); err != nil {
		t.Skipf("no sparse file here: %v", err)
	}
	if _, err := store.FindStages(context.Background(), b, "p", "v1.0.0"); gate.Code(err) != "store-stage-corrupt" {
		t.Errorf("FindStages: %v", err)
	}
}

func TestReleases(t *testing.T) {
	t.Parallel()
	b := open(t, "./b", t.TempDir())
	for _, name := range []string{"p/v1.10.0/stage.json", "p/v1.10.0/release.sigstore.json", "p/v1.9.0/stage.json", "p/v1.10.0-rc.1/bin/x", "p/docs/x", "p/v1/x", "p/stable.txt", "q/v2.0.0/stage.json"} {
		storetest.Put(t, b, name, "x")
	}
	type row struct {
		Version            string
		Promoted, Released bool
	}
	var got []row
	refs, err := store.Releases(context.Background(), b, "p")
	for _, r := range refs {
		got = append(got, row{r.Version, r.Promoted, r.Released})
	}
	want := []row{{"v1.9.0", true, false}, {"v1.10.0-rc.1", false, false}, {"v1.10.0", true, true}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
}

func FuzzCheckName(f *testing.F) {
	for _, name := range append(storetest.BadNames, "a/b", "A b+c@d=é") {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if store.CheckName(name) != nil {
			return
		}
		if !filepath.IsLocal(filepath.FromSlash(name)) || strings.ContainsAny(name, "\\\n\r\x00") || filepath.ToSlash(filepath.Clean(name)) != name {
			t.Errorf("%q went through", name)
		}
	})
}
