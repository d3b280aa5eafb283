package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	godigest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sello-release/sello/internal/definition"
	"github.com/sello-release/sello/internal/image"
	"github.com/sello-release/sello/internal/pack"
	"github.com/sello-release/sello/internal/registry"
	"github.com/sello-release/sello/internal/registry/registrytest"
	"github.com/sello-release/sello/internal/sign"
)

// baseProgram compiles a small Go program once for each platform; it goes into bases.
var baseProgram = func() func(definition.Platform) ([]byte, error) {
	var mu sync.Mutex
	made := map[definition.Platform][]byte{}
	return func(p definition.Platform) ([]byte, error) {
		mu.Lock()
		defer mu.Unlock()
		if data, ok := made[p]; ok {
			return data, nil
		}
		dir, err := os.MkdirTemp("", "sello-base-")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir)
		for name, text := range map[string]string{"go.mod": "module base.example/motd\n\ngo 1.26\n", "main.go": "package main\n\nfunc main() { println(\"base\") }\n"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				return nil, err
			}
		}
		cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", "motd", ".")
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+p.OS, "GOARCH="+p.Arch, "GOWORK=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("compile the base's program: %w\n%s", err, out)
		}
		made[p], err = os.ReadFile(filepath.Join(dir, "motd"))
		return made[p], err
	}
}()

// What a base of Debian's says of itself, as far as anybody reads it.
const (
	osRelease  = "ID=debian\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n"
	dpkgStatus = "Package: tzdata\nStatus: install ok installed\nArchitecture: all\nVersion: 2026a-0+deb12u1\nMaintainer: Somebody <somebody@example.org>\nDescription: time zones\n"
)

// blobs is a folder of blobs as something to copy from.
type blobs struct{ *image.Blobs }

func (blobs) Referrers(context.Context, ocispec.Descriptor, string) ([]ocispec.Descriptor, error) {
	return nil, nil
}

func registryBase(ts *testscript.TestScript, _ *front, args []string) error {
	ctx, at := context.Background(), time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	dir, err := os.MkdirTemp(ts.Getenv("WORK"), ".base-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	b, err := image.NewBlobs(root)
	if err != nil {
		return err
	}
	var manifests []ocispec.Descriptor
	for _, arg := range args[1:] {
		p, err := definition.ParsePlatform(arg)
		if err != nil {
			return err
		}
		program, err := baseProgram(p)
		if err != nil {
			return err
		}
		file := func(name string, content []byte) pack.Entry {
			return pack.Entry{Name: name, Size: int64(len(content)), Executable: strings.HasPrefix(name, "usr/bin/"), Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }}
		}
		layer, err := image.Layer(ctx, b, []pack.Entry{file("etc/os-release", []byte(osRelease)), file("usr/bin/motd", program), file("var/lib/dpkg/status", []byte(dpkgStatus)),
			file("etc/name", []byte(args[0]))}, at)
		if err != nil {
			return err
		}
		made, err := image.Build(ctx, b, image.Spec{Platform: p, Layers: []image.AddedLayer{{LayerDesc: layer, CreatedBy: "a distribution"}}, Env: map[string]string{"PATH": "/usr/bin"}, Created: at})
		if err != nil {
			return err
		}
		manifests = append(manifests, made.Manifest)
	}
	index, err := image.Index(ctx, b, manifests, nil)
	if err != nil {
		return err
	}
	ref, err := registry.ParseReference(args[0])
	if err != nil {
		return err
	}
	repo, err := registry.Open(ref.Name(), registry.Options{})
	if err != nil {
		return err
	}
	if _, err := registry.Copy(ctx, blobs{b}, repo, index, registry.CopyOptions{}); err != nil {
		return err
	}
	return repo.Tag(ctx, index, ref.Tag)
}

// registryAttach attaches to one image the bundles of another one, as somebody could who may write to the repository.
func registryAttach(_ *testscript.TestScript, _ *front, args []string) error {
	ctx := context.Background()
	to, subject, err := openImage(args[0])
	if err != nil {
		return err
	}
	from, other, err := openImage(args[1])
	if err != nil {
		return err
	}
	referrers, err := from.Referrers(ctx, other, sign.MediaType)
	if err != nil {
		return err
	}
	for _, d := range referrers {
		r, err := from.Fetch(ctx, d)
		if err != nil {
			return err
		}
		data, err := io.ReadAll(r)
		r.Close()
		if err != nil {
			return err
		}
		var m ocispec.Manifest
		if err := json.Unmarshal(data, &m); err != nil {
			return err
		}
		m.Subject = &ocispec.Descriptor{MediaType: subject.MediaType, Digest: subject.Digest, Size: subject.Size}
		if data, err = json.Marshal(m); err != nil {
			return err
		}
		memory := registrytest.NewMemory()
		for _, blob := range append(m.Layers, m.Config) {
			r, err := from.Fetch(ctx, blob)
			if err != nil {
				return err
			}
			content, err := io.ReadAll(r)
			r.Close()
			if err != nil {
				return err
			}
			memory.Add(blob.MediaType, content)
		}
		memory.Add(ocispec.MediaTypeImageManifest, data)
		moved := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, ArtifactType: d.ArtifactType, Digest: godigest.FromBytes(data), Size: int64(len(data)), Annotations: d.Annotations}
		if _, err := registry.Copy(ctx, memory, to, moved, registry.CopyOptions{}); err != nil {
			return err
		}
	}
	return nil
}
