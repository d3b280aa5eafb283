package registry_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/registry"
	rt "github.com/sello-release/sello/internal/registry/registrytest"
)

var fakeDigest = "sha256:" + strings.Repeat("ab", 32)

func index(children ...ocispec.Descriptor) ocispec.Index {
	return ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: children}
}

// TestSourcesThatLie copies from sources that do not hold what they say: each has its
// code, and nothing that names the content gets to the target.
func TestSourcesThatLie(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		code string
		make func(m *rt.Memory) ocispec.Descriptor
	}{
		"a layer with another digest": {"registry-digest-mismatch", func(m *rt.Memory) ocispec.Descriptor {
			root := m.Image(t, rt.Spec{Seed: 1, Shared: true})
			m.Lie(digest.FromBytes(rt.Bytes(1<<63, 1000)), rt.Bytes(99, 1000))
			return root
		}},
		"a layer that is shorter": {"registry-digest-mismatch", func(m *rt.Memory) ocispec.Descriptor {
			root := m.Image(t, rt.Spec{Seed: 1, Shared: true})
			m.Lie(digest.FromBytes(rt.Bytes(1<<63, 1000)), rt.Bytes(1<<63, 999))
			return root
		}},
		"a layer that is longer": {"registry-digest-mismatch", func(m *rt.Memory) ocispec.Descriptor {
			root := m.Image(t, rt.Spec{Seed: 1, Shared: true})
			m.Lie(digest.FromBytes(rt.Bytes(1<<63, 1000)), rt.Bytes(1<<63, 5000))
			return root
		}},
		"a manifest with another digest": {"registry-digest-mismatch", func(m *rt.Memory) ocispec.Descriptor {
			root := m.Image(t, rt.Spec{Seed: 1})
			m.Lie(root.Digest, bytes.Repeat([]byte(" "), int(root.Size)))
			return root
		}},
		"a manifest of another size": {"registry-digest-mismatch", func(m *rt.Memory) ocispec.Descriptor {
			root := m.Image(t, rt.Spec{Seed: 1})
			root.Size--
			return root
		}},
		"a manifest that is too large": {"manifest-too-large", func(m *rt.Memory) ocispec.Descriptor {
			return m.Add(ocispec.MediaTypeImageIndex, make([]byte, registry.MaxManifest+1))
		}},
		"an index that names itself": {"image-index-loop", func(m *rt.Memory) ocispec.Descriptor {
			self := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageIndex, Digest: digest.Digest(fakeDigest), Size: 300}
			data, _ := json.Marshal(index(self))
			self.Size = int64(len(data))
			m.Lie(self.Digest, data)
			return self
		}},
		"indexes in indexes": {"image-index-loop", func(m *rt.Memory) ocispec.Descriptor {
			root := m.Image(t, rt.Spec{Seed: 1})
			for range registry.MaxDepth + 1 {
				root = m.AddJSON(ocispec.MediaTypeImageIndex, index(root))
			}
			return root
		}},
		"referrers of referrers": {"image-index-loop", func(m *rt.Memory) ocispec.Descriptor {
			root := m.Image(t, rt.Spec{Seed: 1})
			for at, n := root, 0; n <= registry.MaxDepth; n++ {
				next := m.Referrer(at, rt.BundleType, []byte{byte(n)})
				m.Attach(at, next)
				at = next
			}
			return root
		}},
		"an attestation of another image": {"referrer-subject", func(m *rt.Memory) ocispec.Descriptor {
			root, other := m.Image(t, rt.Spec{Seed: 1}), m.Image(t, rt.Spec{Seed: 2})
			m.Attach(root, m.Referrer(other, rt.BundleType, []byte("{}")))
			return root
		}},
		"an image as its attestation": {"referrer-subject", func(m *rt.Memory) ocispec.Descriptor {
			root, other := m.Image(t, rt.Spec{Seed: 1}), m.Image(t, rt.Spec{Seed: 2})
			m.Attach(root, other)
			return root
		}},
		"a layer that is missing": {"image-missing", func(m *rt.Memory) ocispec.Descriptor {
			return m.AddJSON(ocispec.MediaTypeImageManifest, ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
				Config: ocispec.Descriptor{MediaType: ocispec.MediaTypeImageConfig, Digest: digest.Digest(fakeDigest), Size: 2}})
		}},
		"a manifest that is an index too": {"manifest-invalid", func(m *rt.Memory) ocispec.Descriptor {
			return m.Add(ocispec.MediaTypeImageManifest, []byte(`{"schemaVersion":2,"config":{"mediaType":"a/b","digest":"`+fakeDigest+`","size":2},"layers":[],"manifests":[]}`))
		}},
		"a manifest of another media type": {"manifest-invalid", func(m *rt.Memory) ocispec.Descriptor {
			return m.Add(ocispec.MediaTypeImageIndex, []byte(`{"schemaVersion":2,"mediaType":"`+ocispec.MediaTypeImageManifest+`","manifests":[]}`))
		}},
		"a key that is there twice": {"manifest-invalid", func(m *rt.Memory) ocispec.Descriptor {
			return m.Add(ocispec.MediaTypeImageIndex, []byte(`{"schemaVersion":2,"manifests":[],"manifests":[]}`))
		}},
		"a digest of another kind": {"manifest-invalid", func(m *rt.Memory) ocispec.Descriptor {
			return m.AddJSON(ocispec.MediaTypeImageIndex, index(ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: "md5:d41d8cd98f00b204e9800998ecf8427e", Size: 1}))
		}},
		"a negative size": {"manifest-invalid", func(m *rt.Memory) ocispec.Descriptor {
			return m.AddJSON(ocispec.MediaTypeImageIndex, index(ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.Digest(fakeDigest), Size: -1}))
		}},
		"a root that is no image": {"manifest-invalid", func(m *rt.Memory) ocispec.Descriptor {
			return m.Add("application/zip", []byte("zip"))
		}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := rt.NewMemory()
			root := c.make(m)
			to := open(t, rt.InProcess(t)+"/target", quick())
			_, err := registry.Copy(t.Context(), m, to, root, registry.CopyOptions{})
			if r := wantCode(t, err, c.code); r.Fix == "" && c.code != "image-missing" {
				t.Errorf("no fix: %#v", r)
			}
			if strings.Contains(name, "attest") || strings.Contains(name, "referrers") {
				return // the image itself is good
			}
			if _, err := to.Resolve(t.Context(), root.Digest.String()); gate.Code(err) != "image-missing" && root.MediaType != "application/zip" {
				t.Errorf("the root is in the target: %v", err)
			}
		})
	}
}

func TestRegistriesThatLie(t *testing.T) {
	t.Parallel()
	m := rt.NewMemory()
	root := m.Image(t, rt.Spec{Seed: 1})
	layer := m.Add(ocispec.MediaTypeImageLayer, rt.Bytes(5, 4000))
	host := rt.InProcess(t)
	to := open(t, host+"/r", quick())
	mustCopy(t, m, to, root)
	if err := to.Push(t.Context(), layer, bytes.NewReader(rt.Bytes(5, 4000))); err != nil {
		t.Fatal(err)
	}
	through := func(t *testing.T, after func(*http.Response) error) *registry.Repository {
		p := rt.NewProxy(t, host)
		p.After = after
		return open(t, p.Host+"/r", quick())
	}
	replace := func(data []byte) func(*http.Response) error {
		return func(r *http.Response) error {
			if r.Request.Method == http.MethodGet {
				r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(data)), int64(len(data))
			}
			r.Header.Set("Content-Length", fmt.Sprint(len(data)))
			return nil
		}
	}
	read := func(r *registry.Repository, d ocispec.Descriptor) error {
		rc, err := r.Fetch(t.Context(), d)
		if err != nil {
			return err
		}
		defer rc.Close()
		_, err = io.ReadAll(rc)
		return err
	}
	t.Run("blob of another size", func(t *testing.T) {
		wantCode(t, read(through(t, replace(make([]byte, 10))), layer), "registry-digest-mismatch")
	})
	t.Run("blob of another digest", func(t *testing.T) {
		wantCode(t, read(through(t, replace(make([]byte, 4000))), layer), "registry-digest-mismatch")
	})
	t.Run("manifest of another digest", func(t *testing.T) {
		wantCode(t, read(through(t, replace(make([]byte, root.Size))), root), "registry-digest-mismatch")
	})
	t.Run("manifest without end", func(t *testing.T) {
		wantCode(t, read(through(t, replace(make([]byte, registry.MaxManifest+1))), root), "manifest-too-large")
	})
	t.Run("exists with another size", func(t *testing.T) {
		_, err := through(t, replace(make([]byte, 10))).Exists(t.Context(), layer)
		wantCode(t, err, "registry-digest-mismatch")
	})
	t.Run("resolves a digest to another", func(t *testing.T) {
		_, err := through(t, func(r *http.Response) error {
			r.Header.Set("Docker-Content-Digest", fakeDigest)
			return nil
		}).Resolve(t.Context(), root.Digest.String())
		wantCode(t, err, "registry-digest-mismatch")
	})
	t.Run("web page instead of a blob", func(t *testing.T) {
		page := func(r *http.Response) error {
			r.Header = http.Header{"Content-Type": {"text/html"}}
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader("<html>")), 6
			r.Header.Set("Content-Length", "6")
			return nil
		}
		wantCode(t, read(through(t, page), layer), "registry-not-oci")
		_, err := through(t, page).Exists(t.Context(), layer)
		wantCode(t, err, "registry-not-oci")
	})
	t.Run("no digest in the answer", func(t *testing.T) {
		got, err := through(t, func(r *http.Response) error {
			r.Header.Del("Docker-Content-Digest")
			return nil
		}).Resolve(t.Context(), root.Digest.String())
		if err != nil || got.Digest != root.Digest {
			t.Errorf("%v, %v", got, err)
		}
	})
}

func TestAFloodOfReferrersIsRefused(t *testing.T) {
	t.Parallel()
	flood := index()
	for i := range 10_000 {
		flood.Manifests = append(flood.Manifests, ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromString(fmt.Sprint(i)), Size: 100, ArtifactType: rt.BundleType})
	}
	small, _ := json.Marshal(flood)
	for i := range flood.Manifests {
		flood.Manifests[i].Annotations = map[string]string{"padding": strings.Repeat("x", 500)}
	}
	large, _ := json.Marshal(flood)
	m := rt.NewMemory()
	root := m.Image(t, rt.Spec{Seed: 1})
	for name, data := range map[string][]byte{"many": small, "and large": large} {
		for _, api := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, api %v", name, api), func(t *testing.T) {
				t.Parallel()
				proxy := rt.NewProxy(t, rt.InProcess(t))
				proxy.Before = func(w http.ResponseWriter, r *http.Request) bool {
					switch {
					case strings.Contains(r.URL.Path, "/referrers/") && !api:
						http.NotFound(w, r)
					case strings.Contains(r.URL.Path, "/referrers/"), strings.Contains(r.URL.Path, "/manifests/sha256-"):
						w.Header().Set("Content-Type", ocispec.MediaTypeImageIndex)
						w.Header().Set("Content-Length", fmt.Sprint(len(data)))
						_, _ = w.Write(data)
					default:
						return false
					}
					return true
				}
				from := open(t, proxy.Host+"/r", quick())
				_, err := from.Referrers(t.Context(), root, "")
				wantCode(t, err, "referrers-too-many")
			})
		}
	}
}

func TestAListOfReferrersThatIsNone(t *testing.T) {
	t.Parallel()
	m := rt.NewMemory()
	root := m.Image(t, rt.Spec{Seed: 1})
	for name, c := range map[string]struct{ list, code string }{
		"not json":       {"<html>", "registry-not-oci"},
		"names a blob":   {`{"schemaVersion":2,"manifests":[{"mediaType":"a/b","digest":"` + fakeDigest + `","size":1}]}`, "manifest-invalid"},
		"names itself":   {`{"schemaVersion":2,"manifests":[{"mediaType":"` + ocispec.MediaTypeImageManifest + `","digest":"` + root.Digest.String() + `","size":1}]}`, "image-index-loop"},
		"a huge one":     {`{"schemaVersion":2,"manifests":[{"mediaType":"` + ocispec.MediaTypeImageManifest + `","digest":"` + fakeDigest + `","size":99999999}]}`, "manifest-too-large"},
		"which is empty": {`{"schemaVersion":2,"manifests":[]}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			repo := failing(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", ocispec.MediaTypeImageIndex)
				_, _ = io.WriteString(w, c.list)
			})
			_, err := repo.Referrers(t.Context(), root, "")
			if gate.Code(err) != c.code || c.code == "" && err != nil {
				t.Errorf("got %v, want %q", err, c.code)
			}
		})
	}
}

// TestAGraphThatIsTooLarge is not copied to its end.
func TestAGraphThatIsTooLarge(t *testing.T) {
	t.Parallel()
	m := rt.NewMemory()
	root := m.Image(t, rt.Spec{Seed: 1, Layers: 9})
	to := open(t, rt.InProcess(t)+"/r", quick())
	_, err := registry.Copy(t.Context(), m, to, root, registry.CopyOptions{MaxManifests: 2})
	wantCode(t, err, "image-too-many")
	if _, err := to.Resolve(t.Context(), root.Digest.String()); err == nil {
		t.Error("the image is there all the same")
	}
}

// TestARegistryThatForgetsReferrers takes attestations and lists none: the copy does not end as if they could be found.
func TestARegistryThatForgetsReferrers(t *testing.T) {
	t.Parallel()
	proxy := rt.NewProxy(t, rt.InProcess(t))
	proxy.Before = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, "/referrers/") {
			return false
		}
		w.Header().Set("Content-Type", ocispec.MediaTypeImageIndex)
		_ = json.NewEncoder(w).Encode(index())
		return true
	}
	m := rt.NewMemory()
	root := m.Image(t, rt.Spec{Seed: 1, Attested: true})
	_, err := registry.Copy(t.Context(), m, open(t, proxy.Host+"/r", quick()), root, registry.CopyOptions{})
	wantCode(t, err, "referrers-lost")
}
