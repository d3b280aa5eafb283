package release

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/sello-release/sello/internal/definition"
	"github.com/sello-release/sello/internal/engine"
	"github.com/sello-release/sello/internal/flow"
	"github.com/sello-release/sello/internal/image"
	"github.com/sello-release/sello/internal/material"
	"github.com/sello-release/sello/internal/store"
	"github.com/sello-release/sello/internal/strictjson"
)

// The folder of an unpacked root: what it is (an image.Rootfs), beside the tree.
const (
	rootRecord = "root.json"
	rootTree   = "tree"
)

// buildPlatform is what a root has to be for: its programs run on this machine.
func buildPlatform() definition.Platform {
	return definition.Platform{OS: "linux", Arch: runtime.GOARCH}
}

// fetchRun brings the root of a command into the cache, unpacked, and gives a digest of what it is.
func (a *assembly) fetchRun(ctx context.Context, name string, run definition.Run, r *flow.Run) (string, error) {
	if info := a.project.Engine.Info(); !info.Roots {
		return "", engine.RootUnsupported("sello.yaml#builds."+name, info.Name)
	}
	err := r.Part("image", func(r *flow.Run) error {
		return a.fetchImage(ctx, run.Root, []definition.Platform{buildPlatform()}, r)
	})
	if err != nil {
		return "", err
	}
	var have fetched
	err = r.Part("root", func(r *flow.Run) (err error) {
		have.root, err = a.unpackRoot(ctx, run.Root, r)
		return err
	})
	if err != nil {
		return "", err
	}
	a.mu.Lock()
	a.fetched[name] = have
	a.mu.Unlock()
	return keyOf(have.root.Materials)
}

// unpackRoot gives the file system of a fetched image. It is unpacked once, into the user's cache, and proven by the digest of its whole
// tree once a run: what was changed since it was unpacked is thrown away. Steps cannot change it.
func (a *assembly) unpackRoot(ctx context.Context, reference string, r *flow.Run) (engine.Root, error) {
	base, err := a.fetchedImage(ctx, reference, buildPlatform())
	if err != nil {
		return engine.Root{}, err
	}
	a.unpacking.Lock()
	defer a.unpacking.Unlock()
	repository, _, _ := definition.ParseBase(reference)
	root := engine.Root{Host: filepath.Join(a.project.CacheDir, "roots", base.Manifest.Digest.Encoded(), rootTree), Materials: rootMaterials(base, repository)}
	if _, proven := a.roots[root.Host]; proven {
		return root, nil
	}
	dir := filepath.Dir(root.Host)
	// What another process unpacks, or looks through, at the same time is not thrown away for being incomplete.
	lock, err := store.Lock(ctx, dir+".lock", store.LockOptions{Verb: "unpack a root", Wait: true})
	if err != nil {
		return root, err
	}
	defer func() { _ = lock.Unlock() }()
	switch err := verifyRoot(ctx, dir); {
	case ctx.Err() != nil:
		return root, context.Cause(ctx)
	case err == nil:
		a.roots[root.Host] = root
		return root, nil
	case !errors.Is(err, fs.ErrNotExist):
		fmt.Fprintf(r.Log(), "unpacking the root again: %v\n", err)
	}
	if err := a.unpackInto(ctx, base, dir); err != nil {
		return root, err
	}
	if err := verifyRoot(ctx, dir); err != nil {
		return root, err
	}
	a.roots[root.Host] = root
	return root, nil
}

// rootMaterials names what a root consists of.
func rootMaterials(base *image.Base, repository string) []material.Material {
	ms := base.Materials(repository)
	for i := range ms {
		ms[i].Name = "root " + strings.TrimPrefix(ms[i].Name, "base ")
	}
	return ms
}

// verifyRoot reads the whole tree that was unpacked into dir.
func verifyRoot(ctx context.Context, dir string) error {
	data, err := readLimited(filepath.Join(dir, rootRecord))
	if err != nil {
		return err
	}
	var want image.Rootfs
	if err := strictjson.Unmarshal(data, &want); err != nil {
		return fmt.Errorf("read record of unpacked root: %w", err)
	}
	tree, err := os.OpenRoot(filepath.Join(dir, rootTree))
	if err != nil {
		return fmt.Errorf("open unpacked root: %w", err)
	}
	defer tree.Close()
	return image.VerifyTree(ctx, tree, want)
}

// unpackInto unpacks an image beside dir, and gives the folder its name when it is whole. What dir was before is removed.
func (a *assembly) unpackInto(ctx context.Context, base *image.Base, dir string) (err error) {
	cache, err := a.baseBlobs()
	if err != nil {
		return err
	}
	roots := filepath.Dir(dir)
	if err := os.MkdirAll(roots, 0o755); err != nil {
		return fmt.Errorf("make folder of roots: %w", err)
	}
	sweepRoots(roots)
	tmp, err := os.MkdirTemp(roots, unfinished)
	if err != nil {
		return fmt.Errorf("make folder of root: %w", err)
	}
	defer func() { err = errors.Join(err, engine.RemoveAll(tmp)) }()
	if err := os.Mkdir(filepath.Join(tmp, rootTree), 0o700); err != nil {
		return fmt.Errorf("make folder of root: %w", err)
	}
	tree, err := os.OpenRoot(filepath.Join(tmp, rootTree))
	if err != nil {
		return fmt.Errorf("open folder of root: %w", err)
	}
	defer tree.Close()
	made, err := image.Unpack(ctx, cache, base.Manifest, tree, image.Limits{})
	if err != nil {
		return err
	}
	record, err := json.Marshal(made)
	if err != nil {
		return fmt.Errorf("encode record of root: %w", err)
	}
	if err := writeFile(filepath.Join(tmp, rootRecord), record); err != nil {
		return fmt.Errorf("write record of root: %w", err)
	}
	old := tmp + "-old" // is swept when it cannot be removed
	if err := os.Rename(dir, old); err == nil {
		defer func() { err = errors.Join(err, engine.RemoveAll(old)) }()
	}
	if err := os.Rename(tmp, dir); err != nil && !errors.Is(err, fs.ErrExist) { // another process may have been quicker
		return fmt.Errorf("name root: %w", err)
	}
	return nil
}

// unfinished starts the names of folders that are being unpacked.
const unfinished = ".unpacking-"

// sweepRoots removes what killed runs left.
func sweepRoots(roots string) {
	left, err := filepath.Glob(filepath.Join(roots, unfinished+"*"))
	if err != nil {
		return
	}
	for _, dir := range left {
		if info, err := os.Lstat(dir); err == nil && time.Since(info.ModTime()) > 24*time.Hour {
			_ = engine.RemoveAll(dir) // best effort: it is in nobody's way
		}
	}
}
