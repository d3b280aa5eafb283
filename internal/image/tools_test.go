package image_test

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/sello-release/sello/internal/definition"
	"github.com/sello-release/sello/internal/image"
	"github.com/sello-release/sello/internal/pack"
	"github.com/sello-release/sello/internal/registry"
	"github.com/sello-release/sello/internal/store"
)

// tool runs a program that judges what we wrote.
func tool(t *testing.T, name string, args ...string) string {
	t.Helper()
	p, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	cmd := exec.Command(p, args...)
	home := t.TempDir()
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "HOME="+home, "XDG_RUNTIME_DIR="+home)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// program builds a small static program that prints its version.
func program(t *testing.T, p definition.Platform) string {
	t.Helper()
	goPath, err := exec.LookPath("go")
	if err != nil {
		t.Skip("the Go command is not installed")
	}
	dir := t.TempDir()
	source := "package main\n\nimport \"os\"\n\nfunc main() {\n\tif len(os.Args) > 1 && os.Args[1] == \"--version\" {\n\t\tprintln(\"tool v1.2.3\", os.Getuid(), os.Getenv(\"GREETING\"))\n\t}\n}\n"
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(goPath, "build", "-trimpath", "-o", "tool", "main.go")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=", "CGO_ENABLED=0")
	for k, v := range p.Env() {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	if os.Getenv("HOME") == "" && os.Getenv("GOCACHE") == "" {
		cmd.Env = append(cmd.Env, "GOCACHE="+t.TempDir(), "GOPATH="+t.TempDir())
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return filepath.Join(dir, "tool")
}

func fileEntry(t testing.TB, name, path string) pack.Entry {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return pack.Entry{Name: name, Size: info.Size(), Executable: true, Open: func() (io.ReadCloser, error) { return os.Open(path) }}
}

// savedLayout is a layout with an index of two platforms, upon a base.
func savedLayout(t *testing.T) (dir string, index ocispec.Descriptor) {
	t.Helper()
	dir, err := os.MkdirTemp("", "image-layout-") // podman wants its path in lower case
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	b, err := image.NewBlobs(openRoot(t, t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	host := definition.Platform{OS: "linux", Arch: runtime.GOARCH}
	tool := program(t, host)
	layer := makeLayer(t, b, fileEntry(t, "usr/bin/tool", tool), pack.Entry{Name: "usr/bin/alias", Link: "tool"})
	baseIndex := makeBase(t, b, host, armv7)
	var manifests []ocispec.Descriptor
	for _, p := range []definition.Platform{host, armv7} {
		base, err := image.ReadBase(context.Background(), b, baseIndex, p)
		if err != nil {
			t.Fatal(err)
		}
		manifests = append(manifests, build(t, b, image.Spec{Platform: p, Base: base, User: "65532:65532", Entrypoint: []string{"/usr/bin/alias"}, WorkingDir: "/", Env: map[string]string{"GREETING": "hi"},
			Layers: []image.AddedLayer{{LayerDesc: layer, CreatedBy: "tool"}}}).Manifest)
	}
	index = makeIndex(t, b, manifests...)
	writeLayout(t, dir, b, index, "v1")
	return dir, index
}

// writeLayout makes a layout with one root of that name.
func writeLayout(t *testing.T, dir string, b *image.Blobs, root ocispec.Descriptor, name string) {
	t.Helper()
	to, err := store.Open("file://"+dir, "")
	if err != nil {
		t.Fatal(err)
	}
	root.Annotations = map[string]string{ocispec.AnnotationRefName: name}
	if err := registry.WriteLayout(t.Context(), store.Folder{Bucket: to}, b.Fetch, []ocispec.Descriptor{root}, nil); err != nil {
		t.Fatal(err)
	}
}

func TestGoContainerRegistryValidates(t *testing.T) {
	t.Parallel()
	dir, index := savedLayout(t)
	l, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(l); err != nil {
		t.Error(err)
	}
	m, err := l.IndexManifest()
	if err != nil || len(m.Manifests) != 1 || m.Manifests[0].Digest.String() != index.Digest.String() {
		t.Errorf("%+v %v", m, err)
	}
}

func TestSkopeoReadsAndCopies(t *testing.T) {
	t.Parallel()
	dir, index := savedLayout(t)
	var info struct {
		Digest, Architecture string
		Layers               []string
	}
	if err := json.Unmarshal([]byte(tool(t, "skopeo", "inspect", "oci:"+dir+":v1")), &info); err != nil {
		t.Fatal(err)
	}
	if info.Digest != index.Digest.String() || info.Architecture != runtime.GOARCH || len(info.Layers) != 3 {
		t.Errorf("%+v", info)
	}
	out := t.TempDir()
	tool(t, "skopeo", "--insecure-policy", "copy", "--all", "--preserve-digests", "oci:"+dir+":v1", "oci:"+out+":v1")
	if _, err := os.Stat(filepath.Join(out, "blobs/sha256", index.Digest.Encoded())); err != nil {
		t.Error(err)
	}
}

func TestUmociUnpacksAndTheProgramRuns(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("umoci"); err != nil {
		t.Skip("umoci is not installed")
	}
	dir, index := savedLayout(t)
	bundle := filepath.Join(t.TempDir(), "bundle")
	// umoci takes a single manifest alone, so that the layout is given one for the host.
	root := openRoot(t, dir)
	b, err := image.NewBlobs(root)
	if err != nil {
		t.Fatal(err)
	}
	base, err := image.ReadBase(context.Background(), b, index, definition.Platform{OS: "linux", Arch: runtime.GOARCH})
	if err != nil {
		t.Fatal(err)
	}
	single := t.TempDir()
	writeLayout(t, single, b, base.Manifest, "host")
	tool(t, "umoci", "unpack", "--rootless", "--image", single+":host", bundle)
	rootfs := filepath.Join(bundle, "rootfs")
	if out := tool(t, filepath.Join(rootfs, "usr/bin/alias"), "--version"); !strings.HasPrefix(out, "tool v1.2.3") {
		t.Errorf("printed %q", out)
	}

	// What umoci unpacked is what we unpack.
	ours := openRoot(t, t.TempDir())
	if _, err := image.Unpack(context.Background(), b, base.Manifest, ours, image.Limits{}); err != nil {
		t.Fatal(err)
	}
	theirs, mine := onDisk(t, os.DirFS(rootfs)), onDisk(t, ours.FS())
	if len(mine) != 4 {
		t.Errorf("unpacked %d names", len(mine))
	}
	for name, content := range mine {
		if theirs[name] != content {
			t.Errorf("%s differs from umoci's", name)
		}
		delete(theirs, name)
	}
	if len(theirs) > 0 {
		t.Errorf("umoci has %d names more", len(theirs))
	}
}

func TestPodmanRuns(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"podman", "runc"} { // runc, because crun cannot run with every kind of cgroups
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("%s is not installed", name)
		}
	}
	if os.Getuid() != 0 {
		t.Skip("podman without root needs subordinate users, which tests cannot count on")
	}
	dir, _ := savedLayout(t)
	store := t.TempDir()
	podman := []string{"--root", filepath.Join(store, "root"), "--runroot", filepath.Join(store, "run"), "--tmpdir", filepath.Join(store, "tmp"),
		"--storage-driver", "vfs", "--cgroup-manager", "cgroupfs", "--events-backend", "none"}
	id := strings.TrimSpace(tool(t, "podman", append(podman, "pull", "--quiet", "oci:"+dir+":v1")...))
	id = id[strings.LastIndexByte(id, '\n')+1:]
	out := tool(t, "podman", append(podman, "run", "--rm", "--network", "none", "--runtime", "runc", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024", id, "--version")...)
	if !strings.Contains(out, "tool v1.2.3 65532 hi") {
		t.Errorf("printed %q", out)
	}
}
