package registry_test

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/registry"
	rt "github.com/sello-release/sello/internal/registry/registrytest"
)

func anonymous(context.Context, string) (auth.Credential, error) { return auth.EmptyCredential, nil }

// quick are options with short pauses and no settings of the user's.
func quick() registry.Options {
	return registry.Options{Credentials: anonymous, Backoff: time.Millisecond, MaxWait: 20 * time.Millisecond, Stall: 5 * time.Second, Timeout: 20 * time.Second}
}

func open(t testing.TB, name string, o registry.Options) *registry.Repository {
	t.Helper()
	r, err := registry.Open(name, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func wantCode(t testing.TB, err error, code string) *gate.Refusal {
	t.Helper()
	if gate.Code(err) != code {
		t.Fatalf("got %v, want a refusal with code %s", err, code)
	}
	return as(err)
}

func mustCopy(t testing.TB, from registry.Source, to *registry.Repository, root ocispec.Descriptor) registry.CopyStats {
	t.Helper()
	stats, err := registry.Copy(t.Context(), from, to, root, registry.CopyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return stats
}

// mustHold reads everything below root from a source and compares it with its digests.
// Each manifest that is no referrer has this many; -1 leaves them out.
func mustHold(t testing.TB, from registry.Source, root ocispec.Descriptor, referrers int) {
	t.Helper()
	rc, err := from.Fetch(t.Context(), root)
	if err != nil {
		t.Fatalf("%s: %v", root.Digest, err)
	}
	defer rc.Close()
	data, err := io.ReadAll(rc)
	if err != nil || digest.FromBytes(data) != root.Digest {
		t.Fatalf("%s: %v", root.Digest, err)
	}
	if !registry.IsManifest(root.MediaType) {
		return
	}
	m, err := registry.ParseManifest(root, data)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range append(m.Manifests, m.Blobs...) {
		mustHold(t, from, d, referrers)
	}
	if m.Subject != nil || referrers < 0 {
		return
	}
	attached, err := from.Referrers(t.Context(), root, rt.BundleType)
	if err != nil || len(attached) != referrers {
		t.Fatalf("%s has %d referrers (%v), want %d", root.Digest, len(attached), err, referrers)
	}
	for _, d := range attached {
		mustHold(t, from, d, 0)
	}
}

// eachKind runs f against every kind of registry.
func eachKind(t *testing.T, f func(t *testing.T, k rt.Kind, host string)) {
	for _, k := range rt.Kinds() {
		t.Run(k.Name, func(t *testing.T) {
			t.Parallel()
			f(t, k, k.Start(t))
		})
	}
}
