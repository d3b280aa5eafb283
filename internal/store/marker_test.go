package store_test

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/store"
	"github.com/sello-release/sello/internal/store/storetest"
)

func TestMarkers(t *testing.T) {
	t.Parallel()
	latest := []string{"latest-1.4.txt", "latest-1.txt", "latest.txt"}
	stable := []string{"stable-1.4.txt", "stable-1.txt", "stable.txt"}
	for _, test := range []struct {
		version, channel string
		want             []string
	}{
		{"v1.4.2", "stable", append(stable, latest...)},
		{"v1.4.2-rc.1", "candidate", latest},
		{"v1.4.2", "candidate", latest},
		{"v1.4.2-nightly.20260101", "nightly", []string{"nightly.txt"}},
		{"v1.4.2-rc.1", "stable", nil},
		{"v1.4", "stable", nil},
		{"v1.4.2", "beta", nil},
	} {
		if diff := cmp.Diff(test.want, store.Markers(test.version, test.channel)); diff != "" {
			t.Errorf("%s %s: %s", test.version, test.channel, diff)
		}
	}
}

func markers(t *testing.T, b store.Bucket) map[string]string {
	t.Helper()
	m := map[string]string{}
	for _, name := range storetest.Names(t, b, "p/") {
		m[strings.TrimSuffix(strings.TrimPrefix(name, "p/"), ".txt")] = storetest.Content(t, b, name)
	}
	return m
}

func TestMarkersNeverGoBackwards(t *testing.T) {
	t.Parallel()
	b := open(t, "./b", t.TempDir())
	for _, r := range []struct{ version, channel string }{
		{"v1.4.2", "stable"}, {"v1.3.9", "stable"}, {"v1.5.0-rc.1", "candidate"}, {"v1.5.0-rc.0", "candidate"}, {"v1.4.2", "stable"}, {"v1.6.0-nightly.2", "nightly"}, {"v1.6.0-nightly.1", "nightly"},
	} {
		if _, err := store.MoveMarkers(context.Background(), b, "p", r.version, r.channel); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]string{
		"stable": "v1.4.2", "stable-1": "v1.4.2", "stable-1.4": "v1.4.2", "stable-1.3": "v1.3.9",
		"latest": "v1.5.0-rc.1", "latest-1": "v1.5.0-rc.1", "latest-1.5": "v1.5.0-rc.1", "latest-1.4": "v1.4.2", "latest-1.3": "v1.3.9",
		"nightly": "v1.6.0-nightly.2",
	}
	if diff := cmp.Diff(want, markers(t, b)); diff != "" {
		t.Error(diff)
	}
}

func TestMoveMarkersSaysWhatItDid(t *testing.T) {
	t.Parallel()
	b := open(t, "./b", t.TempDir())
	ctx := context.Background()
	if _, err := store.MoveMarkers(ctx, b, "p", "v1.4.2", "candidate"); err != nil {
		t.Fatal(err)
	}
	got, err := store.MoveMarkers(ctx, b, "p", "v1.3.9", "candidate")
	want := []store.Moved{{Name: "p/latest-1.3.txt", To: "v1.3.9"}, {Name: "p/latest-1.txt", From: "v1.4.2", To: "v1.4.2"}, {Name: "p/latest.txt", From: "v1.4.2", To: "v1.4.2"}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
	if v, err := store.ReadMarker(ctx, b, "p", "latest-1.3.txt"); v != "v1.3.9" || err != nil {
		t.Errorf("ReadMarker = %q, %v", v, err)
	}
	if v, err := store.ReadMarker(ctx, b, "p", "nightly.txt"); v != "" || err != nil {
		t.Errorf("ReadMarker of an absent one = %q, %v", v, err)
	}
}

// Whatever the order of releases, and however often one is repeated, interrupted or run at the
// same time as another, the markers end up the same.
func TestMarkersDoNotDependOnOrder(t *testing.T) {
	t.Parallel()
	type release struct{ version, channel string }
	all := []release{
		{"v0.9.0", "stable"}, {"v1.3.0", "stable"}, {"v1.3.9", "stable"}, {"v1.3.10", "stable"}, {"v1.4.0-rc.1", "candidate"}, {"v1.4.0-rc.10", "candidate"}, {"v1.4.0-rc.2", "candidate"},
		{"v1.4.0", "stable"}, {"v1.4.2", "stable"}, {"v1.4.2+build.1", "stable"}, {"v1.4.2+build.2", "stable"}, {"v2.0.0-alpha", "nightly"}, {"v2.0.0-alpha.1", "nightly"}, {"v2.0.0-beta", "candidate"},
	}
	var want map[string]string
	for seed := range uint64(15) {
		rng := rand.New(rand.NewPCG(seed, 1))
		under := open(t, "./b", t.TempDir())
		broken := errors.New("interrupted")
		b := &storetest.Fault{Bucket: under}
		order := append(append([]release(nil), all...), all[rng.IntN(len(all))])
		rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		for _, r := range order {
			left := rng.IntN(4)
			b.BeforePut = func(string) error {
				if left--; left == 0 {
					return broken
				}
				return nil
			}
			for {
				_, err := store.MoveMarkers(context.Background(), b, "p", r.version, r.channel)
				if err == nil {
					break
				}
				if !errors.Is(err, broken) {
					t.Fatal(err)
				}
			}
		}
		got := markers(t, under)
		if want == nil {
			want = got
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("order %v: %s", order, diff)
		}
	}
	if want["stable"] != "v1.4.2+build.2" || want["latest"] != "v2.0.0-beta" || want["stable-1.3"] != "v1.3.10" {
		t.Errorf("markers are %v", want)
	}
	b := open(t, "./b", t.TempDir())
	var wg sync.WaitGroup
	for _, r := range all {
		wg.Go(func() {
			if _, err := store.MoveMarkers(context.Background(), b, "p", r.version, r.channel); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if diff := cmp.Diff(want, markers(t, b)); diff != "" {
		t.Errorf("at the same time: %s", diff)
	}
}

func TestCorruptMarkerIsRefusedAndNothingMoves(t *testing.T) {
	t.Parallel()
	for _, content := range []string{"", "v1.4.1\n", "1.4.1", "v1.4", "v1.5.0", "v2.0.0", "v1.4.1-rc.1", "<html>", strings.Repeat("v", 10_000), "\xff"} {
		b := open(t, "./b", t.TempDir())
		storetest.Put(t, b, "p/stable-1.4.txt", content)
		_, err := store.MoveMarkers(context.Background(), b, "p", "v1.4.2", "stable")
		if gate.Code(err) != "marker-corrupt" {
			t.Errorf("%q: %v", clip(content), err)
		}
		if diff := cmp.Diff([]string{"p/stable-1.4.txt"}, storetest.Names(t, b, "")); diff != "" {
			t.Errorf("%q: %s", clip(content), diff)
		}
	}
}

func clip(s string) string { return s[:min(len(s), 40)] }

func TestMoveMarkersRefusals(t *testing.T) {
	t.Parallel()
	b := open(t, "./b", t.TempDir())
	for _, test := range []struct{ project, version, channel, code string }{
		{"p", "v1.4.2-rc.1", "stable", "marker-channel"}, {"p", "v1.4.2", "", "marker-channel"}, {"p", "1.4.2", "stable", "marker-version"},
		{"p", "v1.4", "stable", "marker-version"}, {"p", "v1.4.2/..", "stable", "marker-version"}, {"../p", "v1.4.2", "stable", "store-name"},
	} {
		if _, err := store.MoveMarkers(context.Background(), b, test.project, test.version, test.channel); gate.Code(err) != test.code {
			t.Errorf("%+v: %v", test, err)
		}
	}
}

func FuzzReadMarker(f *testing.F) {
	for _, content := range []string{"v1.4.2", "v1.4.2\n", "", "v1.4.2-rc.1", "v9"} {
		f.Add(content)
	}
	base := f.TempDir()
	b, err := store.Open("./b", base)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, content string) {
		if err := b.Put(context.Background(), "p/stable-1.4.txt", strings.NewReader(content), store.PutOptions{}); err != nil {
			t.Fatal(err)
		}
		v, err := store.ReadMarker(context.Background(), b, "p", "stable-1.4.txt")
		if err == nil && (v != content || !strings.HasPrefix(v, "v1.4.") || strings.ContainsAny(v, "-\n ")) {
			t.Errorf("%q was read as %q", content, v)
		}
		if err != nil && gate.Code(err) != "marker-corrupt" {
			t.Errorf("%q: %v", content, err)
		}
	})
}

// contended is a bucket in which somebody else always moves a marker first.
type contended struct{ store.Bucket }

func (c contended) GetVersion(ctx context.Context, name string) (io.ReadCloser, store.Info, string, error) {
	r, info, err := c.Get(ctx, name)
	return r, info, "1", err
}

func (contended) Swap(context.Context, string, string, io.Reader, store.PutOptions) error {
	return store.ErrChanged
}

// A marker that others move all the time is given up on, and not waited for without end.
func TestABusyMarker(t *testing.T) {
	t.Parallel()
	_, err := store.MoveMarkers(context.Background(), contended{store.OpenMem()}, "p", "v1.4.2", "stable")
	if gate.Code(err) != "marker-busy" {
		t.Error(err)
	}
}
