package registry_test

import (
	"errors"
	"slices"
	"sync"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/google/go-cmp/cmp"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/registry"
	rt "github.com/sello-release/sello/internal/registry/registrytest"
)

func as(err error) *gate.Refusal {
	var r *gate.Refusal
	errors.As(err, &r)
	return r
}

func TestCopyPutsTheWholeImageWithItsReferrersThere(t *testing.T) {
	eachKind(t, func(t *testing.T, k rt.Kind, host string) {
		m := rt.NewMemory()
		root := m.Image(t, rt.Spec{Seed: 1, Attested: true, Shared: true})
		to := open(t, host+"/team/staging", quick())
		got := mustCopy(t, m, to, root)
		// an index and two images, with two referrers each; each blob once
		if want := (registry.CopyStats{Manifests: 9, Sent: 12, Bytes: got.Bytes}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		mustHold(t, to, root, 2)
		if tags, err := to.Tags(t.Context()); err != nil || len(tags) > 0 {
			if gate.Code(err) != "registry-missing" { // distribution knows no repository without tags
				t.Errorf("tags %q, %v", tags, err)
			}
		}
		again := mustCopy(t, m, to, root)
		if again.Sent+again.Mounted+again.Manifests+again.Bytes != 0 {
			t.Errorf("the second run did %+v", again)
		}

		prod := open(t, host+"/team/production", quick())
		moved := mustCopy(t, to, prod, root)
		if k.Mounts && (moved.Sent != 0 || moved.Mounted != 12) {
			t.Errorf("within one registry, blobs are mounted: %+v", moved)
		}
		mustHold(t, prod, root, 2)
	})
}

func TestBlobsAreMountedFromWhereThisClientPutThem(t *testing.T) {
	eachKind(t, func(t *testing.T, k rt.Kind, host string) {
		if !k.Mounts {
			t.Skip("this registry shares blobs between all repositories")
		}
		m := rt.NewMemory()
		client, err := registry.New(quick())
		if err != nil {
			t.Fatal(err)
		}
		var sum registry.CopyStats
		for i, name := range []string{"one", "two", "three"} {
			to, err := client.Open(host + "/" + name)
			if err != nil {
				t.Fatal(err)
			}
			sum = sum.Add(mustCopy(t, m, to, m.Image(t, rt.Spec{Seed: uint64(i + 10), Shared: true, Platforms: []string{"amd64"}})))
		}
		if sum.Mounted != 2 || sum.Sent != 7 {
			t.Errorf("the shared layer is sent once and mounted twice: %+v", sum)
		}
	})
}

func TestAReferrerThatIsThereButNotListedIsListedByTheNextRun(t *testing.T) {
	eachKind(t, func(t *testing.T, k rt.Kind, host string) {
		m := rt.NewMemory()
		root := m.Image(t, rt.Spec{Seed: 2, Attested: true})
		proxy := rt.NewProxy(t, host)
		to := open(t, proxy.Host+"/a/b", quick())
		mustCopy(t, m, to, root)
		if k.ReferrersAPI {
			return // the registry lists by itself
		}
		// a crash between a referrer and its list: the list is lost, the manifest is not
		empty := m.AddJSON(ocispec.MediaTypeImageIndex, map[string]any{"schemaVersion": 2, "mediaType": ocispec.MediaTypeImageIndex, "manifests": []any{}})
		if err := to.Push(t.Context(), empty, mustFetch(t, m, empty)); err != nil {
			t.Fatal(err)
		}
		if err := to.Tag(t.Context(), empty, "sha256-"+root.Digest.Encoded()); err != nil {
			t.Fatal(err)
		}
		mustCopy(t, m, to, root)
		mustHold(t, to, root, 2)
	})
}

func TestReferrersOfOneSubjectWrittenAtOnceAreAllListed(t *testing.T) {
	eachKind(t, func(t *testing.T, _ rt.Kind, host string) {
		m := rt.NewMemory()
		root := m.Image(t, rt.Spec{Seed: 3, Platforms: []string{"amd64"}})
		for i := range 40 {
			m.Attach(root, m.Referrer(root, rt.BundleType, rt.Bytes(uint64(i), 50)))
		}
		to := open(t, host+"/many", quick())
		mustCopy(t, m, to, root)
		all, err := to.Referrers(t.Context(), root, "")
		if err != nil || len(all) != 40 {
			t.Fatalf("%d referrers are listed, want 40 (%v)", len(all), err)
		}
	})
}

func TestReferrersAreFilteredByWhatTheySayThemselves(t *testing.T) {
	eachKind(t, func(t *testing.T, _ rt.Kind, host string) {
		m := rt.NewMemory()
		root := m.Image(t, rt.Spec{Seed: 4, Attested: true})
		m.Attach(root, m.Referrer(root, "application/vnd.example.other", []byte("other")))
		to := open(t, host+"/types", quick())
		mustCopy(t, m, to, root)
		for want, artifactType := range map[int]string{2: rt.BundleType, 1: "application/vnd.example.other", 0: "application/none", 3: ""} {
			got, err := to.Referrers(t.Context(), root, artifactType)
			if err != nil || len(got) != want {
				t.Errorf("%q: %d referrers, want %d (%v)", artifactType, len(got), want, err)
			}
		}
	})
}

func TestResolveExistsAndTags(t *testing.T) {
	eachKind(t, func(t *testing.T, _ rt.Kind, host string) {
		m := rt.NewMemory()
		root := m.Image(t, rt.Spec{Seed: 5})
		to := open(t, host+"/repo", quick())
		_, err := to.Resolve(t.Context(), "v1")
		wantCode(t, err, "image-missing")
		if there, err := to.Exists(t.Context(), root); err != nil || there {
			t.Errorf("exists: %v, %v", there, err)
		}
		if got, err := to.Referrers(t.Context(), root, ""); err != nil || len(got) != 0 {
			t.Errorf("referrers in a repository that is not there: %v, %v", got, err)
		}
		mustCopy(t, m, to, root)
		if set, err := registry.TagNew(t.Context(), to, root, "v1"); err != nil || !set {
			t.Fatalf("set %v, %v", set, err)
		}
		for _, name := range []string{"v1", root.Digest.String()} {
			got, err := to.Resolve(t.Context(), name)
			if diff := cmp.Diff(root, got); err != nil || diff != "" {
				t.Errorf("resolve %s: %v %s", name, err, diff)
			}
		}
		if tags, err := to.Tags(t.Context()); err != nil || !slices.Equal(tags, []string{"v1"}) {
			t.Errorf("tags %q, %v", tags, err)
		}
	})
}

func TestATagIsSetOnceAndNeverMoved(t *testing.T) {
	eachKind(t, func(t *testing.T, _ rt.Kind, host string) {
		m := rt.NewMemory()
		first, second := m.Image(t, rt.Spec{Seed: 6}), m.Image(t, rt.Spec{Seed: 7})
		to := open(t, host+"/repo", quick())
		mustCopy(t, m, to, first)
		mustCopy(t, m, to, second)
		for i, want := range []bool{true, false} {
			if set, err := registry.TagNew(t.Context(), to, first, "v1.0.0"); err != nil || set != want {
				t.Errorf("run %d: set %v, %v", i, set, err)
			}
		}
		_, err := registry.TagNew(t.Context(), to, second, "v1.0.0")
		if r := wantCode(t, err, "tag-conflict"); r.Actual != first.Digest.String() {
			t.Errorf("actual %q", r.Actual)
		}
		if now, _ := to.Resolve(t.Context(), "v1.0.0"); now.Digest != first.Digest {
			t.Errorf("the tag moved to %s", now.Digest)
		}
	})
}

func TestAMovingTagNeverGoesBackwards(t *testing.T) {
	eachKind(t, func(t *testing.T, _ rt.Kind, host string) {
		m := rt.NewMemory()
		to := open(t, host+"/repo", quick())
		image := func(seed uint64, version string) ocispec.Descriptor {
			d := m.Image(t, rt.Spec{Seed: seed, Version: version, Platforms: []string{"amd64"}})
			mustCopy(t, m, to, d)
			return d
		}
		newer, older, nameless, twin := image(1, "1.10.0"), image(2, "v1.9.0"), image(3, ""), image(4, "v1.10.0")
		steps := []struct {
			desc    ocispec.Descriptor
			version string
			set     bool
			code    string
			now     ocispec.Descriptor
		}{
			{older, "v1.9.0", true, "", older},
			{newer, "v1.10.0", true, "", newer},
			{older, "v1.9.0", false, "", newer},
			{newer, "1.10.0", false, "", newer},
			{twin, "v1.10.0", false, "tag-conflict", newer},
			{nameless, "v2.0.0", false, "tag-version", newer},
			{newer, "v3.0.0", false, "tag-version", newer},
		}
		for i, s := range steps {
			set, err := registry.MoveTag(t.Context(), to, s.desc, "latest", s.version)
			if set != s.set || gate.Code(err) != s.code || s.code == "" && err != nil {
				t.Errorf("step %d: set %v, %v", i, set, err)
			}
			if now, err := to.Resolve(t.Context(), "latest"); err != nil || now.Digest != s.now.Digest {
				t.Errorf("step %d: latest is %s, %v", i, now.Digest, err)
			}
		}
		if err := to.Tag(t.Context(), nameless, "1.4"); err != nil {
			t.Fatal(err)
		}
		_, err := registry.MoveTag(t.Context(), to, newer, "1.4", "v1.10.0")
		wantCode(t, err, "tag-foreign")
	})
}

func TestTwoCopiesOfOneImageAtOnce(t *testing.T) {
	eachKind(t, func(t *testing.T, _ rt.Kind, host string) {
		m := rt.NewMemory()
		root := m.Image(t, rt.Spec{Seed: 8, Attested: true, Size: 100_000})
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() { mustCopy(t, m, open(t, host+"/same", quick()), root) })
		}
		wg.Wait()
		mustHold(t, open(t, host+"/same", quick()), root, 2)
	})
}
