package registry_test

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/registry"
	rt "github.com/sello-release/sello/internal/registry/registrytest"
	"github.com/sello-release/sello/internal/store"
)

func bucketAt(t testing.TB, dir string) store.Bucket {
	t.Helper()
	b, err := store.Open("file://"+filepath.ToSlash(dir), dir)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func named(d ocispec.Descriptor, name string) ocispec.Descriptor {
	d.Annotations = map[string]string{ocispec.AnnotationRefName: name}
	return d
}

// attached gives the referrers of root and of what it names.
func attached(t testing.TB, m *rt.Memory, roots ...ocispec.Descriptor) (all []ocispec.Descriptor) {
	t.Helper()
	for _, d := range roots {
		own, _ := m.Referrers(t.Context(), d, "")
		all = append(all, own...)
		if !registry.IsIndex(d.MediaType) {
			continue
		}
		data, err := io.ReadAll(mustFetch(t, m, d))
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := registry.ParseManifest(d, data)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, attached(t, m, parsed.Manifests...)...)
	}
	return all
}

func writeLayout(t testing.TB, dir string, m *rt.Memory, prefix string, roots ...ocispec.Descriptor) *registry.Layout {
	t.Helper()
	b := bucketAt(t, dir)
	for range 2 { // the second time, all is there
		if err := registry.WriteLayout(t.Context(), store.Folder{Bucket: b, Prefix: prefix}, m.Fetch, roots, attached(t, m, roots...)); err != nil {
			t.Fatal(err)
		}
	}
	l, err := registry.OpenLayout(t.Context(), store.Folder{Bucket: b, Prefix: prefix})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestALayoutGoesToARegistryAndBack(t *testing.T) {
	eachKind(t, func(t *testing.T, _ rt.Kind, host string) {
		m := rt.NewMemory()
		one, two := m.Image(t, rt.Spec{Seed: 1, Attested: true}), m.Image(t, rt.Spec{Seed: 2})
		l := writeLayout(t, t.TempDir(), m, "images/tool/", named(one, "v1"), named(two, "v2"))
		for name, want := range map[string]ocispec.Descriptor{"v1": one, "v2": two, one.Digest.String(): one} {
			if got, err := l.Resolve(t.Context(), name); err != nil || got.Digest != want.Digest {
				t.Errorf("resolve %s: %v, %v", name, got, err)
			}
		}
		_, err := l.Resolve(t.Context(), "")
		wantCode(t, err, "image-missing")
		mustHold(t, l, one, 2)
		to := open(t, host+"/tool", quick())
		mustCopy(t, l, to, one)
		mustCopy(t, l, to, two)
		mustHold(t, to, one, 2)
		mustHold(t, to, two, 0)
	})
}

func TestALayoutIsWrittenFromARegistry(t *testing.T) {
	t.Parallel()
	m := rt.NewMemory()
	root := m.Image(t, rt.Spec{Seed: 1, Attested: true})
	from := open(t, rt.InProcess(t)+"/r", quick())
	mustCopy(t, m, from, root)
	b := bucketAt(t, t.TempDir())
	if err := registry.WriteLayout(t.Context(), store.Folder{Bucket: b}, from.Fetch, []ocispec.Descriptor{named(root, "v1")}, attached(t, m, root)); err != nil {
		t.Fatal(err)
	}
	l, err := registry.OpenLayout(t.Context(), store.Folder{Bucket: b})
	if err != nil {
		t.Fatal(err)
	}
	mustHold(t, l, root, 2)
}

func TestABrokenSourceLeavesALayoutWithoutIndex(t *testing.T) {
	t.Parallel()
	m := rt.NewMemory()
	root := m.Image(t, rt.Spec{Seed: 1, Shared: true})
	layer := m.Add(ocispec.MediaTypeImageLayer, rt.Bytes(1<<63, 1000))
	m.Lie(layer.Digest, []byte("other"))
	b := bucketAt(t, t.TempDir())
	err := registry.WriteLayout(t.Context(), store.Folder{Bucket: b}, m.Fetch, []ocispec.Descriptor{root}, nil)
	wantCode(t, err, "store-digest-mismatch")
	_, err = registry.OpenLayout(t.Context(), store.Folder{Bucket: b})
	wantCode(t, err, "layout-invalid")
}

func TestLayoutsThatLie(t *testing.T) {
	t.Parallel()
	image := func(extra string) string {
		return `{"mediaType":"` + ocispec.MediaTypeImageManifest + `","digest":"` + fakeDigest + `","size":9` + extra + `}`
	}
	indexOf := func(entries ...string) string {
		return `{"schemaVersion":2,"manifests":[` + strings.Join(entries, ",") + `]}`
	}
	for name, c := range map[string]struct{ version, index, code string }{
		"no version":          {"", indexOf(), "layout-invalid"},
		"other version":       {`{"imageLayoutVersion":"2.0.0"}`, indexOf(), "layout-invalid"},
		"version twice":       {`{"imageLayoutVersion":"1.0.0","imageLayoutVersion":"1.0.0"}`, indexOf(), "layout-invalid"},
		"no index":            {"ok", "", "layout-invalid"},
		"not json":            {"ok", "{", "layout-invalid"},
		"entry twice":         {"ok", indexOf(image(""), image("")), "layout-invalid"},
		"name twice":          {"ok", indexOf(image(`,"annotations":{"org.opencontainers.image.ref.name":"a"}`), strings.Replace(image(`,"annotations":{"org.opencontainers.image.ref.name":"a"}`), "abab", "cdcd", 1)), "layout-invalid"},
		"digest with slashes": {"ok", indexOf(strings.Replace(image(""), fakeDigest, "sha256:../../../etc/passwd", 1)), "layout-invalid"},
		"too large":           {"ok", strings.Repeat(" ", registry.MaxManifest) + indexOf(), "layout-invalid"},
		"empty":               {"ok", indexOf(), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if c.version == "ok" {
				c.version = `{"imageLayoutVersion":"1.0.0"}`
			}
			for file, text := range map[string]string{"oci-layout": c.version, "index.json": c.index} {
				if text != "" {
					if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
						t.Fatal(err)
					}
				}
			}
			_, err := registry.OpenLayout(t.Context(), store.Folder{Bucket: bucketAt(t, dir)})
			if gate.Code(err) != c.code || c.code == "" && err != nil {
				t.Errorf("got %v, want %q", err, c.code)
			}
		})
	}
}

func TestALayoutWithAChangedBlob(t *testing.T) {
	t.Parallel()
	m := rt.NewMemory()
	root := m.Image(t, rt.Spec{Seed: 1, Attested: true})
	layer := m.Add(ocispec.MediaTypeImageLayer, rt.Bytes(1<<32, 1000))
	for name, c := range map[string]struct {
		change func(path string) error
		of     ocispec.Descriptor
		code   string
	}{
		"layer changed":   {func(p string) error { return os.WriteFile(p, make([]byte, 1000), 0o600) }, layer, "registry-digest-mismatch"},
		"layer shortened": {func(p string) error { return os.WriteFile(p, make([]byte, 10), 0o600) }, layer, "registry-digest-mismatch"},
		"layer removed":   {os.Remove, layer, "image-missing"},
		"index changed":   {func(p string) error { return os.WriteFile(p, []byte("{}"), 0o600) }, root, "registry-digest-mismatch"},
		"index removed":   {os.Remove, root, "image-missing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			l := writeLayout(t, dir, m, "", named(root, "v1"))
			path := filepath.Join(dir, "blobs", "sha256", c.of.Digest.Encoded())
			_ = os.Chmod(path, 0o600)
			if err := c.change(path); err != nil {
				t.Fatal(err)
			}
			_, err := registry.Copy(t.Context(), l, open(t, rt.InProcess(t)+"/r", quick()), root, registry.CopyOptions{})
			wantCode(t, err, c.code)
		})
	}
}

// judge runs a program of somebody else's, with nothing of the user's.
func judge(t testing.TB, program string, args ...string) string {
	t.Helper()
	cmd := exec.Command(program, args...)
	home := t.TempDir()
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "DOCKER_CONFIG=" + home, "XDG_RUNTIME_DIR=" + home, "TMPDIR=" + home}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func rootDigest(t testing.TB, dir string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	var index ocispec.Index
	if err := json.Unmarshal(data, &index); err != nil || len(index.Manifests) != 1 {
		t.Fatalf("%v in %s", err, data)
	}
	return index.Manifests[0].Digest.String()
}

func TestSkopeoCopiesIntoALayoutAndBack(t *testing.T) {
	skopeo, err := exec.LookPath("skopeo")
	if err != nil {
		t.Skip("skopeo is not installed: run scripts/deps test")
	}
	eachKind(t, func(t *testing.T, _ rt.Kind, host string) {
		m := rt.NewMemory()
		root := image(t, m)
		to := open(t, host+"/ours", quick())
		mustCopy(t, m, to, root)
		if _, err := registry.TagNew(t.Context(), to, root, "v1"); err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(t.TempDir(), "layout")
		judge(t, skopeo, "copy", "--insecure-policy", "--all", "--preserve-digests", "--src-tls-verify=false", "docker://"+host+"/ours:v1", "oci:"+dir+":v1")
		if got := rootDigest(t, dir); got != root.Digest.String() {
			t.Fatalf("skopeo's layout has %s, want %s", got, root.Digest)
		}
		l, err := registry.OpenLayout(t.Context(), store.Folder{Bucket: bucketAt(t, dir)})
		if err != nil {
			t.Fatal(err)
		}
		mustHold(t, l, root, 0)
		judge(t, skopeo, "copy", "--insecure-policy", "--all", "--preserve-digests", "--dest-tls-verify=false", "oci:"+dir+":v1", "docker://"+host+"/theirs:v1")
		back, err := open(t, host+"/theirs", quick()).Resolve(t.Context(), "v1")
		if diff := cmp.Diff(root, back); err != nil || diff != "" {
			t.Errorf("%v %s", err, diff)
		}

		ours := t.TempDir() // our own layout, with attestations in it, read by skopeo
		one, two := root, m.Image(t, rt.Spec{Seed: 9, Attested: true})
		writeLayout(t, ours, m, "", named(one, "v1"), named(two, "v2"))
		judge(t, skopeo, "copy", "--insecure-policy", "--all", "--preserve-digests", "--dest-tls-verify=false", "oci:"+ours+":v1", "docker://"+host+"/fromours:v1")
		back, err = open(t, host+"/fromours", quick()).Resolve(t.Context(), "v1")
		if err != nil || back.Digest != root.Digest {
			t.Errorf("%v, %v", back, err)
		}
	})
}

// image is one whose layers are real archives, for programs that look into them.
func image(t testing.TB, m *rt.Memory) ocispec.Descriptor {
	t.Helper()
	return m.Image(t, rt.Spec{Seed: 21})
}

func TestCraneReadsWhatWePushAndWrite(t *testing.T) {
	crane := rt.Tool(t, "crane")
	eachKind(t, func(t *testing.T, _ rt.Kind, host string) {
		m := rt.NewMemory()
		root := m.Image(t, rt.Spec{Seed: 1, Attested: true})
		to := open(t, host+"/ours", quick())
		mustCopy(t, m, to, root)
		if got := strings.TrimSpace(judge(t, crane, "digest", "--insecure", host+"/ours@"+root.Digest.String())); got != root.Digest.String() {
			t.Errorf("crane says %q", got)
		}
		want, err := io.ReadAll(mustFetch(t, m, root))
		if err != nil {
			t.Fatal(err)
		}
		if got := judge(t, crane, "manifest", "--insecure", host+"/ours@"+root.Digest.String()); !bytes.Equal([]byte(got), want) {
			t.Errorf("crane reads %s", got)
		}
		dir := t.TempDir()
		writeLayout(t, dir, m, "", named(root, "v1"))
		judge(t, crane, "validate", "--insecure", "--fast", "--remote", host+"/ours@"+root.Digest.String())
		judge(t, crane, "push", "--insecure", "--index", dir, host+"/bycrane:all")
		there, err := open(t, host+"/bycrane", quick()).Exists(t.Context(), root)
		if err != nil || !there {
			t.Errorf("crane pushes our layout: %v, %v", there, err)
		}
	})
}
