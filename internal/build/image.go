package build

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sello-release/sello/internal/definition"
)

// Image is one container image to make, its templates expanded.
type Image struct {
	definition.Image
	On []definition.Platform // its platforms, in the definition's order
}

func (p *Plan) addImage(i definition.Image) error {
	out := Image{Image: i}
	for _, s := range i.Platforms {
		platform, err := definition.ParsePlatform(s)
		if err != nil {
			return err
		}
		out.On = append(out.On, platform)
	}
	var err error
	for _, values := range []*map[string]string{&out.Env, &out.Labels, &out.Annotations} {
		if *values, err = p.expandAll(*values); err != nil {
			return fmt.Errorf("plan image %s: %w", i.Name, err)
		}
	}
	out.Tags = nil
	for _, t := range i.Tags {
		tag, err := definition.Expand(t, p.Values)
		if err != nil {
			return fmt.Errorf("plan image %s: %w", i.Name, err)
		}
		out.Tags = append(out.Tags, tag)
	}
	slices.Sort(out.Tags)
	out.Repositories = slices.Sorted(slices.Values(i.Repositories))
	p.Images = append(p.Images, out)
	slices.SortFunc(p.Images, func(a, b Image) int { return strings.Compare(a.Name, b.Name) })
	return nil
}

func (p *Plan) expandAll(values map[string]string) (map[string]string, error) {
	out := maps.Clone(values)
	for key, template := range values {
		value, err := definition.Expand(template, p.Values)
		if err != nil {
			return nil, err
		}
		out[key] = value
	}
	return out, nil
}
