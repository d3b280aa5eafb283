package release

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/sello-release/sello/internal/build"
	"github.com/sello-release/sello/internal/definition"
	"github.com/sello-release/sello/internal/flow"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/image"
	"github.com/sello-release/sello/internal/pack"
	"github.com/sello-release/sello/internal/registry"
	"github.com/sello-release/sello/internal/stage"
)

// programFolder is where an image has its programs.
const programFolder = "usr/bin"

// defaultPath is the search path of an image whose base has none.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// imageSteps are the steps of one image.
type imageSteps struct {
	plan      build.Image
	platforms []*flow.Task[builtImage] // as plan.On
	index     *flow.Task[ocispec.Descriptor]
	described *flow.Task[map[string]string]    // platform: sha256:… of its SPDX document
	attested  *flow.Task[[]ocispec.Descriptor] // the referrers that say what was attested of it
}

// builtImage is an image for one platform.
type builtImage struct {
	Manifest ocispec.Descriptor   `json:"manifest"`
	Layers   []ocispec.Descriptor `json:"layers"` // those made here
	Started  time.Time            `json:"started"`
	Finished time.Time            `json:"finished"`
}

// addBases adds the fetch of each image's base.
func (a *assembly) addBases(g *flow.Graph, source flow.Node) {
	for _, img := range a.plan.Images {
		if img.Base == definition.Scratch {
			continue
		}
		a.basesAt[img.Name] = flow.Add(g, flow.Step[string]{Name: "fetch/base/" + img.ShortName(), Needs: flow.Needs(source), Group: "fetch", Run: func(ctx context.Context, r *flow.Run) (string, error) {
			return img.Base, a.fetchBase(ctx, img, r)
		}})
	}
}

// addImages adds, for each image, a step a platform, its index and its description. They wait for the compiles of their programs, and so for
// the judgement of all inputs.
func (a *assembly) addImages(g *flow.Graph, source flow.Node) {
	for _, img := range a.plan.Images {
		s := &imageSteps{plan: img}
		needs := flow.Needs(source)
		if fetch := a.basesAt[img.Name]; fetch != nil {
			needs = append(needs, fetch)
		}
		for _, platform := range img.On {
			s.platforms = append(s.platforms, a.addImagePlatform(g, img, platform, needs))
		}
		var built []flow.Node
		for _, t := range s.platforms {
			built = append(built, t)
		}
		s.index = flow.Add(g, flow.Step[ocispec.Descriptor]{Name: "image/" + img.ShortName(), Needs: built, Run: func(ctx context.Context, _ *flow.Run) (ocispec.Descriptor, error) {
			return a.makeIndex(ctx, s)
		}})
		s.described = flow.Add(g, flow.Step[map[string]string]{Name: "describe/image/" + img.ShortName(), Needs: flow.Needs(s.index), Run: func(ctx context.Context, _ *flow.Run) (map[string]string, error) {
			return a.describeImage(ctx, s)
		}})
		a.images = append(a.images, s)
	}
}

func (a *assembly) addImagePlatform(g *flow.Graph, img build.Image, platform definition.Platform, needs []flow.Node) *flow.Task[builtImage] {
	needs = slices.Clone(needs)
	for _, c := range a.plan.CompilesOf(img.Build) {
		if c.Platform == platform {
			needs = append(needs, a.compiled[c.Name()])
		}
	}
	return flow.Add(g, flow.Step[builtImage]{
		Name: "image/" + img.ShortName() + "/" + platform.String(), Needs: needs, Group: "pack",
		Key:   func() (string, error) { return keyOf(img) },
		Run:   func(ctx context.Context, _ *flow.Run) (builtImage, error) { return a.makeImage(ctx, img, platform) },
		Valid: func(done builtImage) error { return a.imageStillThere(img, platform, done) },
	})
}

// blobs is the folder of the blobs that this release makes.
func (a *assembly) blobs() (*image.Blobs, error) { return a.made() }

// baseBlobs is the folder of what was fetched of base images; releases share it, since each blob is proven by its digest.
func (a *assembly) baseBlobs() (*image.Blobs, error) { return a.cached() }

func openBlobs(dir string) (*image.Blobs, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make folder of images: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open folder of images: %w", err)
	}
	return image.NewBlobs(root)
}

// fetchBase brings the base of an image, for its platforms, into the cache.
func (a *assembly) fetchBase(ctx context.Context, img build.Image, r *flow.Run) error {
	return a.fetchImage(ctx, img.Base, img.On, r)
}

// fetchImage brings an image that the definition names by its digest into the cache, for some platforms.
func (a *assembly) fetchImage(ctx context.Context, reference string, platforms []definition.Platform, r *flow.Run) error {
	repository, sum, _ := definition.ParseBase(reference)
	cache, err := a.baseBlobs()
	if err != nil {
		return err
	}
	from, err := registry.Open(repository, a.project.Registry)
	if err != nil {
		return err
	}
	root, err := from.Resolve(ctx, sum)
	if err != nil {
		return err
	}
	_, err = image.FetchBase(ctx, from, root, platforms, cache, func(blob ocispec.Descriptor, fetched bool) {
		if fetched {
			fmt.Fprintf(r.Log(), "fetched %s, %d bytes, from %s\n", blob.Digest, blob.Size, repository)
		}
	})
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.bases[reference] = root
	return nil
}

// base gives the fetched base of an image for a platform; nil for scratch.
func (a *assembly) base(ctx context.Context, img build.Image, platform definition.Platform) (*image.Base, error) {
	if img.Base == definition.Scratch {
		return nil, nil
	}
	return a.fetchedImage(ctx, img.Base, platform)
}

// fetchedImage gives an image that was fetched, for a platform.
func (a *assembly) fetchedImage(ctx context.Context, reference string, platform definition.Platform) (*image.Base, error) {
	cache, err := a.baseBlobs()
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	root := a.bases[reference]
	a.mu.Unlock()
	return image.ReadBase(ctx, cache, root, platform)
}

// makeImage makes the image of one platform: the files in one layer, the programs in another, so that
// what did not change since the last release is not pushed again.
func (a *assembly) makeImage(ctx context.Context, img build.Image, platform definition.Platform) (builtImage, error) {
	out := builtImage{Started: a.project.Now().UTC()}
	blobs, err := a.blobs()
	if err != nil {
		return out, err
	}
	base, err := a.base(ctx, img, platform)
	if err != nil {
		return out, err
	}
	binaries := a.imageBinaries(img, platform)
	members := memberLog{known: a.contents(binaries, programPath)}
	var layers []image.AddedLayer
	add := func(entries []pack.Entry, comment string) error {
		if len(entries) == 0 {
			return nil
		}
		layer, err := image.Layer(ctx, blobs, hashed(entries, &members), a.plan.Time)
		if err != nil {
			return fmt.Errorf("make layer of image %s: %w", img.Name, err)
		}
		layers = append(layers, image.AddedLayer{LayerDesc: layer, CreatedBy: comment})
		out.Layers = append(out.Layers, layer.Descriptor)
		return nil
	}
	files, _, err := a.imageFiles(img)
	if err != nil {
		return out, err
	}
	programs, names := a.imagePrograms(binaries)
	all := slices.Concat(files, programs)
	if err := distinctPaths(img, all); err != nil {
		return out, err
	}
	if err := a.checkAboveBase(ctx, base, all); err != nil {
		return out, err
	}
	if err := add(files, "sello: files of the source"); err != nil {
		return out, err
	}
	if err := add(programs, "sello: programs of build "+img.Build); err != nil {
		return out, err
	}
	entrypoint, err := imageEntrypoint(img, names)
	if err != nil {
		return out, err
	}
	if err := entrypointThere(img, entrypoint[0], all); err != nil {
		return out, err
	}
	env := maps.Clone(img.Env)
	if env == nil {
		env = map[string]string{}
	}
	if _, set := env["PATH"]; !set && (base == nil || !base.HasEnv("PATH")) {
		env["PATH"] = defaultPath
	}
	made, err := image.Build(ctx, blobs, image.Spec{
		Platform: platform, Base: base, Layers: layers, User: img.User, Entrypoint: entrypoint, Cmd: img.Command, Env: env, Labels: img.Labels,
		WorkingDir: img.WorkingDir, Created: a.plan.Time, Annotations: a.imageAnnotations(img),
	})
	if err != nil {
		return out, fmt.Errorf("make image %s for %s: %w", img.Name, platform, err)
	}
	out.Manifest = made.Manifest
	out.Finished = a.project.Now().UTC()
	return out, a.keepMembers(imageMembers(img, platform), &members)
}

// distinctPaths refuses two files of one path in an image, and a file where another needs a folder: the upper layer would hide the lower.
func distinctPaths(img build.Image, entries []pack.Entry) error {
	files := map[string]bool{}
	collision := func(name string) error {
		return &gate.Refusal{Code: "image-file-collision", Class: gate.Usage, Where: "sello.yaml: images[" + img.Name + "].files", What: "two files of the image get one path, or one stands where another needs a folder",
			Expected: "a path for each file", Actual: "/" + name, Fix: "give the file another to:; programs are in /" + programFolder + "/"}
	}
	for _, e := range entries {
		if files[e.Name] {
			return collision(e.Name)
		}
		files[e.Name] = true
	}
	for _, e := range entries {
		for dir := path.Dir(e.Name); dir != "."; dir = path.Dir(dir) {
			if files[dir] {
				return collision(dir)
			}
		}
	}
	return nil
}

// entrypointThere refuses an entry point that is in no layer of an image that stands on nothing. What a base holds is not looked at.
func entrypointThere(img build.Image, entrypoint string, entries []pack.Entry) error {
	if img.Base != definition.Scratch || slices.ContainsFunc(entries, func(e pack.Entry) bool { return "/"+e.Name == entrypoint }) {
		return nil
	}
	var have []string
	for _, e := range entries {
		if e.Executable {
			have = append(have, "/"+e.Name)
		}
	}
	return &gate.Refusal{Code: "image-entrypoint-missing", Class: gate.Usage, Where: "sello.yaml: images[" + img.Name + "].entrypoint", What: "the image does not hold what it is to run",
		Expected: strings.Join(have, ", "), Actual: entrypoint, Fix: "write the path of a program of the image"}
}

// checkAboveBase refuses files that would replace what the base has around them, such as a symlink by a folder.
func (a *assembly) checkAboveBase(ctx context.Context, base *image.Base, entries []pack.Entry) error {
	if base == nil {
		return nil
	}
	cache, err := a.baseBlobs()
	if err != nil {
		return err
	}
	tree, err := image.Scan(ctx, cache, base.Manifest, image.Limits{})
	if err != nil {
		return fmt.Errorf("read base image: %w", err)
	}
	return tree.CheckAbove(entries)
}

// imageMembers names the list of an image's own files.
func imageMembers(img build.Image, platform definition.Platform) string {
	return "image-" + img.ShortName() + "-" + strings.ReplaceAll(platform.String(), "/", "-")
}

// hashed lets the log see each file's bytes while they go into a layer.
func hashed(entries []pack.Entry, members *memberLog) []pack.Entry {
	out := slices.Clone(entries)
	for i, e := range out {
		if e.Open == nil {
			continue
		}
		out[i].Open = func() (io.ReadCloser, error) {
			r, err := e.Open()
			if err != nil {
				return nil, err
			}
			return struct {
				io.Reader
				io.Closer
			}{io.TeeReader(r, members.tap(e.Name)), r}, nil
		}
	}
	return out
}

// imageBinaries gives the binaries that go into an image: those of its own build, and none that it does not wait for.
func (a *assembly) imageBinaries(img build.Image, platform definition.Platform) (out []stage.Artifact) {
	for _, c := range a.plan.CompilesOf(img.Build) {
		if c.Platform == platform {
			out = append(out, a.compiled[c.Name()].Value().Binaries...)
		}
	}
	return byName(out)
}

// imagePrograms gives the programs of an image, and their names.
func (a *assembly) imagePrograms(binaries []stage.Artifact) (entries []pack.Entry, names []string) {
	for _, s := range binaries {
		names = append(names, path.Base(s.Name))
		entries = append(entries, pack.Entry{Name: programPath(s), Executable: true, Size: s.Size, Open: a.open(s.Name)})
	}
	return entries, names
}

// programPath is where an image has a program, without the leading slash.
func programPath(s stage.Artifact) string { return path.Join(programFolder, path.Base(s.Name)) }

// imageEntrypoint chooses what the image runs when the definition does not say.
func imageEntrypoint(img build.Image, programs []string) ([]string, error) {
	if len(img.Entrypoint) > 0 {
		return img.Entrypoint, nil
	}
	if len(programs) == 1 {
		return []string{"/" + path.Join(programFolder, programs[0])}, nil
	}
	if slices.Contains(programs, img.ShortName()) {
		return []string{"/" + path.Join(programFolder, img.ShortName())}, nil
	}
	return nil, &gate.Refusal{Code: "image-entrypoint-missing", Class: gate.Usage, Where: "sello.yaml#images." + img.Name, What: "the build has several programs, and none is called like the image",
		Expected: "entrypoint, or a program called " + img.ShortName(), Actual: strings.Join(programs, ", "), Fix: "write entrypoint: [/" + programFolder + "/" + programs[0] + "]"}
}

// imageFiles gives the files of the source that go into an image, under their paths there, and for each of these its path in the source.
func (a *assembly) imageFiles(img build.Image) (out []pack.Entry, sources map[string]string, err error) {
	sources = map[string]string{}
	for i, f := range img.Files {
		where := fmt.Sprintf("sello.yaml: images[%s].files[%d]", img.Name, i)
		entries, err := a.sourceFiles([]string{f.From})
		var r *gate.Refusal
		if errors.As(err, &r) && r.Code == "archive-file-missing" {
			return nil, nil, noSourceFile(where, f.From)
		}
		if err != nil {
			return nil, nil, err
		}
		if len(entries) == 0 {
			return nil, nil, noSourceFile(where, f.From)
		}
		into := strings.HasSuffix(f.To, "/")
		if !into && (len(entries) != 1 || strings.HasPrefix(entries[0].Name, f.From+"/")) {
			return nil, nil, &gate.Refusal{Code: "image-file-folder", Class: gate.Usage, Where: where, What: "several files would get one path",
				Expected: "a path with a slash at its end", Actual: f.To, Fix: "write to: " + f.To + "/"}
		}
		for _, e := range entries {
			// What matches the pattern goes into the folder under its own name, a folder with all that is in it.
			name := e.Name
			e.Name = strings.TrimPrefix(f.To, "/")
			if into {
				e.Name = path.Join(strings.TrimPrefix(f.To, "/"), belowPattern(f.From, name))
			}
			out, sources[e.Name] = append(out, e), name
		}
	}
	return out, sources, nil
}

// belowPattern gives the part of name from what the pattern's last element matched.
func belowPattern(pattern, name string) string {
	for range strings.Count(pattern, "/") {
		_, name, _ = strings.Cut(name, "/")
	}
	return name
}

// makeIndex writes the index of an image over its platforms.
func (a *assembly) makeIndex(ctx context.Context, s *imageSteps) (ocispec.Descriptor, error) {
	blobs, err := a.blobs()
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	var manifests []ocispec.Descriptor
	for i, t := range s.platforms {
		d := t.Value().Manifest
		platform := image.Platform(s.plan.On[i])
		d.Platform = &platform
		manifests = append(manifests, d)
	}
	desc, err := image.Index(ctx, blobs, manifests, a.imageAnnotations(s.plan))
	if err != nil {
		return desc, fmt.Errorf("make index of image %s: %w", s.plan.Name, err)
	}
	return desc, nil
}

// imageAnnotations are those that the OCI image specification defines (annotations.md), and the definition's own.
func (a *assembly) imageAnnotations(img build.Image) map[string]string {
	out := map[string]string{}
	maps.Copy(out, img.Annotations)
	out[ocispec.AnnotationCreated] = a.plan.Time.Format(time.RFC3339)
	out[ocispec.AnnotationVersion] = a.plan.Values.Version
	out[ocispec.AnnotationSource] = strings.TrimPrefix(a.origin.source.URI, "git+")
	if a.origin.source.Commit != "" {
		out[ocispec.AnnotationRevision] = a.origin.source.Commit
	}
	if repository, sum, _ := definition.ParseBase(img.Base); repository != "" {
		out[ocispec.AnnotationBaseImageName], out[ocispec.AnnotationBaseImageDigest] = repository, sum
	}
	return out
}

// imageStillThere checks that an image's own blobs, and the list of its files, are there as they were made.
func (a *assembly) imageStillThere(img build.Image, platform definition.Platform, done builtImage) error {
	if err := a.blobsStillThere(img, append([]ocispec.Descriptor{done.Manifest}, done.Layers...)); err != nil {
		return err
	}
	_, err := a.members(imageMembers(img, platform))
	return err
}

func (a *assembly) blobsStillThere(img build.Image, all []ocispec.Descriptor) error {
	blobs, err := a.blobs()
	if err != nil {
		return err
	}
	for _, d := range all {
		if ok, err := blobs.Good(context.Background(), d); err != nil || !ok {
			return fmt.Errorf("blob %s of image %s is not there any more: %w", d.Digest, img.Name, err)
		}
	}
	return nil
}

// stageImages lists the images for stage.json.
func (a *assembly) stageImages(channel string) []stage.Image {
	var out []stage.Image
	for _, s := range a.images {
		img := stage.Image{
			Name: s.plan.Name, Index: s.index.Value().Digest.String(), Size: s.index.Value().Size, Build: s.plan.Build, SBOMs: s.described.Value(),
			Platforms: map[string]string{}, Repositories: s.plan.Repositories, Tags: s.plan.Tags, Markers: s.plan.MovingTags(a.plan.Values.Version, channel),
		}
		for i, t := range s.platforms {
			img.Platforms[s.plan.On[i].String()] = t.Value().Manifest.Digest.String()
		}
		out = append(out, img)
	}
	return out
}
