package release

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/sello-release/sello/internal/promotion"
	"github.com/sello-release/sello/internal/registry"
	"github.com/sello-release/sello/verify"
)

// Names of a thin promotion manifest's two files, as kpromo has them.
const (
	thinRegistries = "promoter-manifest.yaml"
	thinImages     = "images.yaml"
)

// ManifestOptions say how a promotion manifest is carried out.
type ManifestOptions struct {
	File        string           // a plain manifest, or a folder with promoter-manifest.yaml and images.yaml
	Images      string           // images.yaml of a thin manifest whose File is promoter-manifest.yaml
	Trust       []byte           // a trust file that every image has to verify with before it is copied; nil for none
	TrustedRoot []byte           // that the trust file names; nil for none
	Released    bool             // with Trust: each has to be of a release, with its sign-offs
	DryRun      bool             // look, and change nothing
	Registry    registry.Options // how registries are talked to
}

// ManifestDone is what PromoteManifest did, or would do.
type ManifestDone struct {
	Missing  int                `json:"missing"`  // that were to be copied
	Untagged int                `json:"untagged"` // that were there without their tags
	Present  int                `json:"present"`
	Items    []ManifestItem     `json:"items"`
	Tagged   []string           `json:"tagged"`
	Copied   registry.CopyStats `json:"copied"`
	DryRun   bool               `json:"dryRun"`
}

// Count gives how many items are in a state.
func (d *ManifestDone) Count(state string) int {
	n := 0
	for _, i := range d.Items {
		if i.State == state {
			n++
		}
	}
	return n
}

// changed names the images that were copied or tagged.
func (d *ManifestDone) changed() []ImageRef {
	var out []ImageRef
	for _, i := range d.Items {
		name, sum, _ := strings.Cut(i.To, "@")
		if i.State != string(promotion.Copied) && len(i.Tagged) == 0 {
			continue
		}
		ref := ImageRef{Name: name, Digest: sum, Tags: []string{}}
		for _, tag := range i.Tagged {
			ref.Tags = append(ref.Tags, name+":"+tag)
		}
		out = append(out, ref)
	}
	return out
}

// ManifestItem is one digest for one destination.
type ManifestItem struct {
	To     string   `json:"to"`               // registry/repository@sha256:…
	State  string   `json:"state"`            // missing, untagged, present or refused; after the run also copied, tagged or failed
	Tags   []string `json:"tags,omitempty"`   // that are not set yet
	Tagged []string `json:"tagged,omitempty"` // that were set now
	Reason string   `json:"reason,omitempty"`
}

// PromoteManifest makes the registries hold what a promotion manifest lists: what is missing is copied by digest, with what is
// attached to it; what is there stays; a tag that names something else is refused. One image that fails does not block
// the others from being copied, but no tag is set unless everything is in its place.
func PromoteManifest(ctx context.Context, o ManifestOptions) (*ManifestDone, error) {
	m, err := readManifest(o)
	if err != nil {
		return nil, err
	}
	client, err := registry.New(o.Registry)
	if err != nil {
		return nil, err
	}
	remote := promotion.Remote{Client: client}
	plan, err := promotion.NewPlan(ctx, m, remote.Look)
	if err != nil {
		return nil, err
	}
	if o.Trust != nil {
		if err := verifyItems(ctx, plan, o); err != nil {
			return nil, err
		}
	}
	out := &ManifestDone{Missing: plan.Count(promotion.Missing), Untagged: plan.Count(promotion.Untagged), Present: plan.Count(promotion.Present), Tagged: []string{}, DryRun: o.DryRun}
	if o.DryRun {
		out.Items = manifestItems(plan)
		return out, plan.Err()
	}
	done, err := promotion.Apply(ctx, plan, remote)
	out.Items, out.Copied = manifestItems(plan), done.Copied
	out.Tagged = append(out.Tagged, done.Tagged...)
	return out, err
}

// manifestItems gives the items of a plan as they are now.
func manifestItems(plan *promotion.Plan) []ManifestItem {
	out := []ManifestItem{}
	for _, i := range plan.Items {
		item := ManifestItem{To: i.To + "@" + i.Digest.String(), State: string(i.State), Tags: i.Tags, Tagged: i.Set}
		if i.Err != nil {
			item.Reason = i.Err.Error()
		}
		out = append(out, item)
	}
	return out
}

// RecordManifest puts into the history of a checkout what PromoteManifest did; nothing when it changed nothing.
func (p *Project) RecordManifest(o ManifestOptions, done *ManifestDone) error {
	changed := done.changed()
	if len(changed) == 0 {
		return nil
	}
	return p.append(Entry{Verb: "promote", Images: changed, Attrs: map[string]string{
		"manifest": o.File, "copied": fmt.Sprint(done.Count(string(promotion.Copied))), "tagged": fmt.Sprint(len(done.Tagged)),
	}})
}

// verifyItems verifies each image where it comes from, and lets those that do not pass fail as items.
func verifyItems(ctx context.Context, plan *promotion.Plan, o ManifestOptions) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(imagesAtOnce)
	for n := range plan.Items {
		i := &plan.Items[n]
		if i.Err != nil || i.State == promotion.Present {
			continue
		}
		group.Go(func() error {
			report, err := verify.Image(ctx, i.From+"@"+i.Digest.String(), verify.Options{TrustFile: o.Trust, TrustedRoot: o.TrustedRoot, RequireRelease: o.Released})
			if err == nil {
				err = report.Err()
			}
			if err != nil {
				i.State, i.Err = promotion.Refused, fmt.Errorf("image %s@%s: %w", i.From, i.Digest, err)
			}
			return ctx.Err()
		})
	}
	return group.Wait()
}

// readManifest reads a plain manifest or a thin one.
func readManifest(o ManifestOptions) (*promotion.Manifest, error) {
	file, images := o.File, o.Images
	if info, err := os.Stat(file); err == nil && info.IsDir() {
		file, images = filepath.Join(o.File, thinRegistries), filepath.Join(o.File, thinImages)
	}
	data, err := readManifestFile(file)
	if err != nil {
		return nil, err
	}
	if images == "" {
		return promotion.Read(file, data)
	}
	more, err := readManifestFile(images)
	if err != nil {
		return nil, err
	}
	return promotion.ReadThin(file, data, images, more)
}

func readManifestFile(name string) ([]byte, error) {
	data, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, usageRefusal("file-missing", name, "there is no such file", "give a plain manifest, or a folder with "+thinRegistries+" and "+thinImages)
	}
	if err != nil {
		return nil, fmt.Errorf("read promotion manifest: %w", err)
	}
	return data, nil
}

// Manifest gives the promotion manifest of a staged release's images, for projects that promote with it.
func (p *Project) Manifest(ctx context.Context, file string) ([]byte, error) {
	c, err := p.Candidate(ctx, file)
	if err != nil {
		return nil, err
	}
	staging, _, err := p.buckets(c.Definition)
	if err != nil {
		return nil, err
	}
	s, err := p.findStage(ctx, c, staging)
	if err != nil {
		return nil, err
	}
	m := &promotion.Manifest{}
	for n, img := range s.list.Images {
		from := ""
		for _, planned := range c.Plan.Images {
			if planned.Name == img.Name {
				from = planned.Staging
			}
		}
		registries, err := manifestRegistries(img.Name, from, img.Repositories)
		if err != nil {
			return nil, err
		}
		if n > 0 && !slices.Equal(registries, m.Registries) {
			return nil, usageRefusal("manifest-registries", "sello.yaml#images."+img.Name, "a promotion manifest has one list of registries, and this image goes to others than the first one",
				"give all images the same registries, or promote with sello promote alone")
		}
		m.Registries = registries
		m.Images = append(m.Images, promotion.Image{Name: path.Base(img.Repositories[0]), Dmap: map[string][]string{img.Index: img.Tags}})
	}
	if len(m.Images) == 0 {
		return nil, usageRefusal("image-missing", c.Path, "the release has no images", "add images: to sello.yaml")
	}
	return m.Encode(), nil
}

// manifestRegistries gives the registries, the source first, of an image that has the same last part everywhere.
func manifestRegistries(name, from string, to []string) ([]promotion.Registry, error) {
	if from == "" {
		return nil, usageRefusal("manifest-registries", "sello.yaml#images."+name, "a promotion manifest names the registry that images come from", "write staging: registry.example/staging/"+path.Base(to[0]))
	}
	out := []promotion.Registry{{Name: path.Dir(from), Src: true}}
	for _, r := range to {
		if path.Base(r) != path.Base(from) {
			return nil, usageRefusal("manifest-registries", "sello.yaml#images."+name, "in a promotion manifest an image is called the same in every registry", "let all repositories of the image end in /"+path.Base(from))
		}
		out = append(out, promotion.Registry{Name: path.Dir(r)})
	}
	return out, nil
}
