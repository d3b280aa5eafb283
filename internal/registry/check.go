package registry

import (
	"context"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/sello-release/sello/internal/gate"
)

// CheckTag is TagNew without setting anything: a tag-conflict when the tag names another image than desc.
func CheckTag(ctx context.Context, repo *Repository, desc ocispec.Descriptor, tag string) error {
	if err := checkTag(repo, tag); err != nil {
		return err
	}
	old, err := repo.Resolve(ctx, tag)
	switch {
	case gate.Code(err) == "image-missing", gate.Code(err) == "registry-missing":
		return nil
	case err == nil && old.Digest != desc.Digest:
		return conflict(repo, tag, desc, old)
	}
	return err
}
