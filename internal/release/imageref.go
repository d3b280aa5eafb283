package release

import (
	"context"
	"fmt"
	"strings"

	"github.com/sello-release/sello/internal/stage"
	"github.com/sello-release/sello/internal/store"
)

// ImageRef names an image of a release: what managers sign off and everybody pulls.
type ImageRef struct {
	Name   string   `json:"name"`
	Digest string   `json:"digest"` // of the index: sha256:…
	Tags   []string `json:"tags"`   // of the release, set when it is released: registry/repository:tag
}

// String gives one line.
func (i ImageRef) String() string {
	if len(i.Tags) == 0 {
		return i.Name + "@" + i.Digest
	}
	return fmt.Sprintf("%s@%s (%s)", i.Name, i.Digest, strings.Join(i.Tags, ", "))
}

// imageRefs names the images of a stage.
func imageRefs(list *stage.Stage) []ImageRef {
	var out []ImageRef
	for _, img := range list.Images {
		ref := ImageRef{Name: img.Name, Digest: img.Index, Tags: []string{}}
		for _, to := range img.Repositories {
			for _, tag := range img.Tags {
				ref.Tags = append(ref.Tags, to+":"+tag)
			}
		}
		out = append(out, ref)
	}
	return out
}

// publishedImages names the images of a version in production. A list that cannot be read is said in the detail: the version
// is where it is all the same.
func (s *Status) publishedImages(ctx context.Context, at store.ReleaseLayout) {
	data, err := readObject(ctx, at.Bucket, at.StageFile(), stage.MaxSize)
	if err == nil {
		var list *stage.Stage
		if list, err = stage.Decode(data); err == nil {
			s.Images = imageRefs(list)
			return
		}
	}
	s.Detail += ", its list cannot be read: " + err.Error()
}
