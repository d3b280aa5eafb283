package promotion_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/promotion"
	"github.com/sello-release/sello/internal/registry"
	rt "github.com/sello-release/sello/internal/registry/registrytest"
)

// world is what registries hold: references by tag and by digest.
type world struct {
	mu     sync.Mutex
	holds  map[string]string // reference to digest
	fails  map[string]string // reference to the code of its refusal
	copied []string
	onCopy func()
}

func (w *world) Look(_ context.Context, ref string) (ocispec.Descriptor, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if code := w.fails[ref]; code != "" {
		return ocispec.Descriptor{}, &gate.Refusal{Code: code, Where: ref}
	}
	if d, ok := w.holds[ref]; ok {
		return ocispec.Descriptor{MediaType: ocispec.MediaTypeImageIndex, Digest: digest.Digest(d), Size: 1}, nil
	}
	return ocispec.Descriptor{}, &gate.Refusal{Code: "image-missing", Where: ref}
}

func (w *world) Copy(_ context.Context, from, to string, desc ocispec.Descriptor) (registry.CopyStats, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if code := w.fails["copy "+to]; code != "" {
		return registry.CopyStats{}, &gate.Refusal{Code: code, Where: to}
	}
	w.copied = append(w.copied, from+" "+to)
	w.holds[to+"@"+desc.Digest.String()] = desc.Digest.String()
	if w.onCopy != nil {
		w.onCopy()
	}
	return registry.CopyStats{Manifests: 1}, nil
}

func (w *world) TagNew(_ context.Context, repo string, desc ocispec.Descriptor, tag string) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.holds[repo+":"+tag] = desc.Digest.String()
	return true, nil
}

func (w *world) tags() (all []string) {
	for ref := range w.holds {
		if !strings.Contains(ref, "@") {
			all = append(all, ref)
		}
	}
	slices.Sort(all)
	return all
}

// small is a manifest with two images for one destination.
func small() *promotion.Manifest {
	return &promotion.Manifest{
		Registries: []promotion.Registry{{Name: "prod.example"}, {Name: "staging.example", Src: true}},
		Images: []promotion.Image{
			{Name: "b", Dmap: map[string][]string{hex("b"): {"v1", "latest"}}},
			{Name: "a", Dmap: map[string][]string{hex("a"): {"v1"}}},
		},
	}
}

func staged() *world {
	return &world{fails: map[string]string{}, holds: map[string]string{
		"staging.example/a@" + hex("a"): hex("a"),
		"staging.example/b@" + hex("b"): hex("b"),
	}}
}

func plan(t *testing.T, m *promotion.Manifest, w promotion.Registries) *promotion.Plan {
	t.Helper()
	p, err := promotion.NewPlan(t.Context(), m, w.Look)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func codes(err error) (all []string) {
	var walk func(error)
	walk = func(err error) {
		switch e := err.(type) {
		case *gate.Refusal:
			all = append(all, e.Code+" "+e.Where)
		case interface{ Unwrap() []error }:
			for _, e := range e.Unwrap() {
				walk(e)
			}
		case interface{ Unwrap() error }:
			walk(e.Unwrap())
		}
	}
	walk(err)
	return all
}

func TestApplySaysWhatBecameOfEachItem(t *testing.T) {
	t.Parallel()
	w := staged()
	w.holds["prod.example/a@"+hex("a")] = hex("a")
	p := plan(t, small(), w)
	if _, err := promotion.Apply(t.Context(), p, w); err != nil {
		t.Fatal(err)
	}
	a, b := p.Items[0], p.Items[1]
	if a.State != promotion.Tagged || !slices.Equal(a.Set, []string{"v1"}) || len(a.Tags) != 0 {
		t.Errorf("an image without its tag: %s, set %v, open %v", a.State, a.Set, a.Tags)
	}
	if b.State != promotion.Copied || !slices.Equal(b.Set, []string{"latest", "v1"}) || len(b.Tags) != 0 {
		t.Errorf("a missing image: %s, set %v, open %v", b.State, b.Set, b.Tags)
	}

	w = staged()
	w.fails["copy prod.example/b"] = "registry-denied"
	p = plan(t, small(), w)
	if _, err := promotion.Apply(t.Context(), p, w); gate.Code(err) != "registry-denied" {
		t.Errorf("a copy that fails gives %v", err)
	}
	if a, b := p.Items[0], p.Items[1]; a.State != promotion.Copied || len(a.Set) != 0 || b.State != promotion.Failed || gate.Code(b.Err) != "registry-denied" {
		t.Errorf("after a failed copy: %s with %v, %s with %v", a.State, a.Set, b.State, b.Err)
	}
}

func TestThePlanIsAlgebraOfSets(t *testing.T) {
	t.Parallel()
	const a, b = "prod.example/a", "prod.example/b"
	cases := map[string]struct {
		change func(w *world)
		states []promotion.State
		codes  []string
	}{
		"all missing": {func(*world) {}, []promotion.State{promotion.Missing, promotion.Missing}, nil},
		"all present": {func(w *world) {
			for ref, d := range map[string]string{a + ":v1": hex("a"), a + "@" + hex("a"): hex("a"), b + ":v1": hex("b"), b + ":latest": hex("b"), b + "@" + hex("b"): hex("b")} {
				w.holds[ref] = d
			}
		}, []promotion.State{promotion.Present, promotion.Present}, nil},
		"untagged":            {func(w *world) { w.holds[a+"@"+hex("a")] = hex("a") }, []promotion.State{promotion.Untagged, promotion.Missing}, nil},
		"tag elsewhere":       {func(w *world) { w.holds[b+":latest"] = hex("f") }, []promotion.State{promotion.Missing, promotion.Refused}, []string{"tag-conflict " + b + ":latest"}},
		"both tags elsewhere": {func(w *world) { w.holds[b+":latest"], w.holds[b+":v1"] = hex("f"), hex("e") }, []promotion.State{promotion.Missing, promotion.Refused}, []string{"tag-conflict " + b + ":latest", "tag-conflict " + b + ":v1"}},
		"lost":                {func(w *world) { delete(w.holds, "staging.example/a@"+hex("a")) }, []promotion.State{promotion.Refused, promotion.Missing}, []string{"image-missing staging.example/a@" + hex("a")}},
		"one denied, one lost": {func(w *world) {
			w.fails[a+":v1"] = "registry-denied"
			delete(w.holds, "staging.example/b@"+hex("b"))
		}, []promotion.State{promotion.Refused, promotion.Refused}, []string{"registry-denied " + a + ":v1", "image-missing staging.example/b@" + hex("b")}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := staged()
			c.change(w)
			before := w.tags()
			p := plan(t, small(), w)
			var states []promotion.State
			for _, i := range p.Items {
				states = append(states, i.State)
			}
			if diff := cmp.Diff(c.states, states); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(c.codes, codes(p.Err())); diff != "" {
				t.Error(diff)
			}
			report, err := promotion.Apply(t.Context(), p, w)
			if diff := cmp.Diff(c.codes, codes(err)); diff != "" {
				t.Error(diff)
			}
			if len(c.codes) > 0 {
				if diff := cmp.Diff(before, w.tags()); diff != "" || len(report.Tagged) > 0 {
					t.Errorf("tags were set: %s", diff)
				}
				return
			}
			if now := plan(t, small(), w); now.Count(promotion.Present) != 2 {
				t.Errorf("afterwards: %+v", now.Items)
			}
		})
	}
}

func TestAFailureOfOneImageDoesNotBlockTheOthersButEveryTag(t *testing.T) {
	t.Parallel()
	w := staged()
	w.fails["copy prod.example/a"] = "registry-unavailable"
	report, err := promotion.Apply(t.Context(), plan(t, small(), w), w)
	if diff := cmp.Diff([]string{"registry-unavailable prod.example/a"}, codes(err)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"staging.example/b prod.example/b"}, w.copied); diff != "" || report.Copied.Manifests != 1 || len(w.tags()) != 0 {
		t.Errorf("%s %+v %v", diff, report, w.tags())
	}
	delete(w.fails, "copy prod.example/a")
	report, err = promotion.Apply(t.Context(), plan(t, small(), w), w)
	if diff := cmp.Diff([]string{"prod.example/a:v1", "prod.example/b:latest", "prod.example/b:v1"}, report.Tagged); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
}

func TestATagThatMovesBetweenPlanAndApplyStopsEveryTag(t *testing.T) {
	t.Parallel()
	w := staged()
	p := plan(t, small(), w)
	w.onCopy = func() { w.holds["prod.example/b:v1"] = hex("f") }
	_, err := promotion.Apply(t.Context(), p, w)
	if diff := cmp.Diff([]string{"tag-conflict prod.example/b:v1"}, codes(err)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"prod.example/b:v1"}, w.tags()); diff != "" {
		t.Errorf("tags were set: %s", diff)
	}
}

func TestACancelledPlanIsNone(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := promotion.NewPlan(ctx, small(), staged().Look); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// TestPromotionBetweenRealRegistries promotes from one registry to two, the second of
// which fails for a while, and again.
func TestPromotionBetweenRealRegistries(t *testing.T) {
	for _, k := range rt.Kinds() {
		t.Run(k.Name, func(t *testing.T) {
			t.Parallel()
			source, target := k.Start(t), k.Start(t)
			proxy := rt.NewProxy(t, target)
			remote := remote(t)
			manifest := &promotion.Manifest{Registries: []promotion.Registry{{Name: source + "/staging", Src: true}, {Name: proxy.Host + "/prod"}, {Name: target + "/mirror"}}}
			m := rt.NewMemory()
			for i := range 4 {
				name := fmt.Sprintf("image-%d", i)
				root := m.Image(t, rt.Spec{Seed: uint64(i), Shared: true, Attested: true})
				put(t, remote.Client, m, source+"/staging/"+name, root)
				manifest.Images = append(manifest.Images, promotion.Image{Name: name, Dmap: map[string][]string{root.Digest.String(): {"v1.0.0"}}})
			}
			broken := true
			proxy.Before = func(w http.ResponseWriter, r *http.Request) bool {
				if broken && strings.Contains(r.URL.Path, "image-2") && r.Method == http.MethodPut {
					w.WriteHeader(http.StatusServiceUnavailable)
					return true
				}
				return false
			}
			p := plan(t, manifest, remote)
			if p.Count(promotion.Missing) != 8 || p.Err() != nil {
				t.Fatalf("%v", p.Err())
			}
			_, err := promotion.Apply(t.Context(), p, remote)
			if c := codes(err); len(c) != 1 || !strings.HasPrefix(c[0], "registry-unavailable ") {
				t.Fatalf("%q, %v", c, err)
			}
			if now := plan(t, manifest, remote); now.Count(promotion.Untagged) != 7 || now.Count(promotion.Missing) != 1 {
				t.Fatalf("%+v", now.Items)
			}
			broken = false
			report, err := promotion.Apply(t.Context(), plan(t, manifest, remote), remote)
			if err != nil || len(report.Tagged) != 8 {
				t.Fatalf("%v, %v", report, err)
			}
			proxy.Counts()
			report, err = promotion.Apply(t.Context(), plan(t, manifest, remote), remote)
			if diff := cmp.Diff(promotion.Report{}, report); err != nil || diff != "" {
				t.Errorf("again: %v %s", err, diff)
			}
			if counts, _ := proxy.Counts(); counts["PUT manifests"]+counts["POST blobs/uploads"] != 0 {
				t.Errorf("again: %v", counts)
			}
		})
	}
}

func remote(t testing.TB) promotion.Remote {
	t.Helper()
	c, err := registry.New(registry.Options{
		Credentials: func(context.Context, string) (auth.Credential, error) { return auth.EmptyCredential, nil },
		Backoff:     time.Millisecond, MaxWait: 10 * time.Millisecond, Attempts: 4,
	})
	if err != nil {
		t.Fatal(err)
	}
	return promotion.Remote{Client: c}
}

func put(t testing.TB, c *registry.Client, m *rt.Memory, name string, root ocispec.Descriptor) {
	t.Helper()
	repo, err := c.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := registry.Copy(t.Context(), m, repo, root, registry.CopyOptions{}); err != nil {
		t.Fatal(err)
	}
}
