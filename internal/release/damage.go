package release

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/registry"
	"github.com/sello-release/sello/internal/stage"
	"github.com/sello-release/sello/internal/store"
	"github.com/sello-release/sello/verify"
)

// damageCodes are the refusals of a file in a stage that staging again mends: assembling is reproducible, and
// provenance is signed anew.
var damageCodes = []string{
	"stage-artifact-mismatch", "subject-mismatch", "attestation-missing", "release-file-missing", "release-file-extra",
	"release-file-irregular", "bad-json", "no-trusted-signer", "wrong-predicate", "wrong-statement-type", "unsupported-payload-type",
	"image-digest-mismatch", "image-missing", "image-unlisted",
}

// mendable gives a refusal about a file of a stage the fix for those who can stage: who verifies a download has none.
func (s *staged) mendable(err error, file string) error {
	r, ok := asRefusal(err)
	if !ok || r.Where == "" || !slices.Contains(damageCodes, r.Code) {
		return err
	}
	own := *r
	own.Where = store.Place(s.Bucket, s.inStage(r.Where))
	own.Fix = "find out who changed it; then remove " + own.Where + " and run: sello stage " + file
	switch r.Code {
	case "attestation-missing", "release-file-missing", "image-missing":
		own.Fix = "sello stage " + file + "   # puts back what is missing"
	case "image-unlisted":
		own.Fix = "find out who put it there; remove " + own.Where + " and run: sello stage " + file
	case "release-file-extra":
		own.Fix = "find out who put it there, and remove " + own.Where
	}
	return &own
}

// published gives a refusal of what production holds the fix for those who can promote and release; those of verification are for who downloads.
func (c *Candidate) published(err error, to store.ReleaseLayout) error {
	r, ok := asRefusal(err)
	if !ok {
		return err
	}
	own := *r
	again := "sello promote " + c.Path
	if strings.HasPrefix(r.Code, "log-") {
		again = "sello release " + c.Path
	}
	if name := r.Where; name != "" {
		own.Where = store.Place(to.Bucket, to.File(name))
	}
	switch {
	case r.Where == stage.ReleaseBundle:
		own.Fix = "find out who changed it, and put it back as it was: a published statement is never replaced"
	case strings.HasSuffix(r.Code, "-missing") && slices.Contains(damageCodes, r.Code), r.Code == "vsa-missing", r.Code == "log-proof-missing":
		own.Fix = again + "   # puts back what is missing"
	case r.Code == "release-file-extra":
		own.Fix = "find out who put it there, and remove " + own.Where
	case slices.Contains(damageCodes, r.Code), r.Code == "vsa-mismatch", r.Code == "log-proof-invalid", r.Code == "log-entry-mismatch":
		own.Fix = "find out who changed it; then remove " + own.Where + " and run: " + again
	default:
		return err
	}
	return &own
}

// inStage gives the object's name of a file that a verdict names, by its path in the stage or among its files.
func (s *staged) inStage(where string) string {
	name := strings.TrimSuffix(where, stage.BundleSuffix)
	if s.list.Find(name) != nil || s.list.Find(where) != nil {
		return s.File(where)
	}
	for _, other := range []string{stage.ImagesFolder + "/", stage.SignOffFolder + "/", stage.FileName} {
		if strings.HasPrefix(where+"/", other) || where == other {
			return s.Prefix() + where
		}
	}
	return s.File(where)
}

// lacking looks at names and sizes only: it gives what the stage lists and its bucket does not have, and what has
// another size than it should.
func (s *staged) lacking(ctx context.Context) (missing, changed []string, err error) {
	infos, err := s.Bucket.List(ctx, s.FilesPrefix())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	sizes := map[string]int64{}
	for _, info := range infos {
		sizes[info.Name] = info.Size
	}
	for _, a := range s.list.Artifacts {
		size, there := sizes[s.File(a.Name)]
		if _, attested := sizes[s.File(a.Name+stage.BundleSuffix)]; !attested {
			missing = append(missing, a.Name+stage.BundleSuffix)
		}
		switch {
		case !there:
			missing = append(missing, a.Name)
		case size != a.Size:
			changed = append(changed, a.Name)
		}
	}
	lost, err := s.lackingImages(ctx)
	return append(missing, lost...), changed, err
}

// lackingImages gives what of the stage's images its bucket does not have.
func (s *staged) lackingImages(ctx context.Context) ([]string, error) {
	if len(s.list.Images) == 0 {
		return nil, nil
	}
	layout, err := registry.OpenLayout(ctx, s.Images())
	if gate.Code(err) == "layout-invalid" {
		return []string{stage.ImagesFolder}, nil
	}
	if err != nil {
		return nil, err
	}
	missing, err := layout.Missing(ctx)
	if gate.Code(err) == "registry-digest-mismatch" {
		return nil, nil // what was changed is for verifying to name
	}
	var names []string
	for _, d := range missing {
		names = append(names, stage.ImagesFolder+"/"+ocispec.ImageBlobsDir+"/sha256/"+d.Digest.Encoded())
	}
	return names, err
}

// more says that there are n others.
func more(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" and %d more", n)
}

// damage says in status what lacking finds.
func (s *Status) damage(ctx context.Context, found *staged) error {
	missing, changed, err := found.lacking(ctx)
	switch {
	case err != nil:
		return err
	case len(changed) > 0:
		s.Detail += fmt.Sprintf("; damaged: %s has another size", changed[0])
		s.Next = "rm " + ShellWord(store.Place(found.Bucket, found.File(changed[0]))) + " && sello stage " + s.Path
	case len(missing) > 0:
		s.Detail += fmt.Sprintf("; damaged: %s%s missing", missing[0], more(len(missing)-1))
		s.Next = "sello stage " + s.Path
	}
	return nil
}

// builtBy keeps who built a stage, for those who sign it off.
func (s *staged) builtBy(r *verify.Report) {
	s.Built = Built{Builder: r.Builder, Level: r.Levels["build"]}
}

// Built is the builder that a stage's provenance was verified to name, and the level that the trust file grants it.
type Built struct {
	Builder string `json:"builder,omitempty"`
	Level   string `json:"level,omitempty"` // SLSA_BUILD_LEVEL_3
}
