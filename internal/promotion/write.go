package promotion

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/sello-release/sello/internal/lazyregexp"
)

// Encode gives the plain form. Images are sorted by name, digests by their first tag,
// and tags as text, as kpromo writes them; registries keep their order.
func (m *Manifest) Encode() []byte {
	var b bytes.Buffer
	b.Write(m.EncodeRegistries())
	if len(m.Images) == 0 {
		b.WriteString("images: []\n")
		return b.Bytes()
	}
	b.WriteString("images:\n")
	b.Write(m.EncodeImages())
	return b.Bytes()
}

// EncodeRegistries gives the thin form's promoter-manifest.yaml.
func (m *Manifest) EncodeRegistries() []byte {
	var b bytes.Buffer
	b.WriteString("registries:\n")
	for _, r := range m.Registries {
		fmt.Fprintf(&b, "- name: %s\n", scalar(r.Name))
		if r.ServiceAccount != "" {
			fmt.Fprintf(&b, "  service-account: %s\n", scalar(r.ServiceAccount))
		}
		if r.Src {
			b.WriteString("  src: true\n")
		}
	}
	return b.Bytes()
}

// EncodeImages gives the thin form's images.yaml.
func (m *Manifest) EncodeImages() []byte {
	if len(m.Images) == 0 {
		return []byte("[]\n")
	}
	var b bytes.Buffer
	images := slices.Clone(m.Images)
	slices.SortStableFunc(images, func(a, b Image) int { return strings.Compare(a.Name, b.Name) })
	for _, image := range images {
		fmt.Fprintf(&b, "- name: %s\n", scalar(image.Name))
		if len(image.Dmap) == 0 {
			continue
		}
		b.WriteString("  dmap:\n")
		for _, d := range sortedDigests(image.Dmap) {
			tags := slices.Clone(image.Dmap[d])
			slices.Sort(tags)
			for i, tag := range tags {
				tags[i] = strconv.Quote(tag)
			}
			fmt.Fprintf(&b, "    %q: [%s]\n", d, strings.Join(tags, ", "))
		}
	}
	return b.Bytes()
}

// plain matches text that YAML can only take for text.
var plain = lazyregexp.New(`^[a-z][a-z0-9]*[./@-][a-zA-Z0-9./@_-]*[a-zA-Z0-9]$`)

// scalar writes text so that it reads back as it is.
func scalar(s string) string {
	if plain.MatchString(s) {
		return s
	}
	return strconv.Quote(s)
}
