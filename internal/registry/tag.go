package registry

import (
	"context"
	"fmt"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/mod/semver"

	"github.com/sello-release/sello/internal/gate"
)

// TagNew points a tag that is not there at desc, and reads it back. A tag that names
// desc already is fine; one that names something else is a tag-conflict and stays. It
// reports whether it set the tag.
//
// Registries have no way to set a tag only if it is absent: of two releasers in the same
// moment, the one whose tag was replaced gets the tag-conflict.
func TagNew(ctx context.Context, repo *Repository, desc ocispec.Descriptor, tag string) (bool, error) {
	if err := checkTag(repo, tag); err != nil {
		return false, err
	}
	old, err := repo.Resolve(ctx, tag)
	switch {
	case err == nil && old.Digest == desc.Digest:
		return false, nil
	case err == nil:
		return false, conflict(repo, tag, desc, old)
	case gate.Code(err) != "image-missing" && gate.Code(err) != "registry-missing":
		return false, err
	}
	return true, setTag(ctx, repo, desc, tag)
}

// setTag sets a tag and reads it back.
func setTag(ctx context.Context, repo *Repository, desc ocispec.Descriptor, tag string) error {
	if err := repo.Tag(ctx, bare(desc), tag); err != nil {
		return err
	}
	now, err := repo.Resolve(ctx, tag)
	if err != nil {
		return err
	}
	if now.Digest != desc.Digest {
		return conflict(repo, tag, desc, now)
	}
	return nil
}

func conflict(repo *Repository, tag string, want, found ocispec.Descriptor) error {
	return &gate.Refusal{Code: "tag-conflict", What: "the tag names another image, and a release's tag is never moved", Where: repo.String() + ":" + tag,
		Expected: want.Digest.String(), Actual: found.Digest.String(), Fix: "release under another version; find out who set the tag"}
}

func checkTag(repo *Repository, tag string) error {
	switch {
	case !tagName.MatchString(tag):
		return badReference(repo.String()+":"+tag, "the tag is malformed")
	case fallbackTag.MatchString(tag):
		return badReference(repo.String()+":"+tag, "tags of this form list an image's referrers")
	}
	return nil
}

// MoveTag points a moving tag, such as latest or 1.4, at desc, which is of version. It
// goes forwards only: what the tag names says its own version in the annotation
// org.opencontainers.image.version, and the tag stays when that is newer. It reports
// whether the tag was set.
//
// A tag whose image says no version is a tag-foreign, one whose image has the same
// version and another digest is a tag-conflict, and a desc that does not say version
// itself is a tag-version.
func MoveTag(ctx context.Context, repo *Repository, desc ocispec.Descriptor, tag, version string) (bool, error) {
	if err := checkTag(repo, tag); err != nil {
		return false, err
	}
	want := canonical(version)
	if own, err := versionOf(ctx, repo, desc); err != nil {
		return false, err
	} else if want == "" || canonical(own) != want {
		return false, &gate.Refusal{Code: "tag-version", What: "the image does not say the version that its tag is moved for", Where: repo.at(desc.Digest),
			Expected: ocispec.AnnotationVersion + " " + version, Actual: printable(own), Fix: "build the image with this version"}
	}
	old, err := repo.Resolve(ctx, tag)
	switch {
	case err == nil && old.Digest == desc.Digest:
		return false, nil
	case err == nil:
		if stays, err := newerThan(ctx, repo, old, desc, tag, want); err != nil || stays {
			return false, err
		}
	case gate.Code(err) != "image-missing" && gate.Code(err) != "registry-missing":
		return false, err
	}
	return true, setTag(ctx, repo, desc, tag)
}

// newerThan reports whether old is of a newer version than want.
func newerThan(ctx context.Context, repo *Repository, old, desc ocispec.Descriptor, tag, want string) (bool, error) {
	said, err := versionOf(ctx, repo, old)
	if err != nil {
		return false, err
	}
	found := canonical(said)
	if found == "" {
		return false, &gate.Refusal{Code: "tag-foreign", What: "the tag names an image that does not say its version, so that nobody can tell which one is newer",
			Where: repo.String() + ":" + tag, Expected: "an image with the annotation " + ocispec.AnnotationVersion, Actual: fmt.Sprintf("%s with %q", old.Digest, printable(said)),
			Fix: "move or remove this tag by hand once, if it is yours"}
	}
	switch semver.Compare(found, want) {
	case 1:
		return true, nil
	case 0:
		return false, conflict(repo, tag, desc, old)
	}
	return false, nil
}

func versionOf(ctx context.Context, repo *Repository, desc ocispec.Descriptor) (string, error) {
	m, _, err := readAndParse(ctx, repo, bare(desc))
	if err != nil {
		return "", err
	}
	return m.Annotations[ocispec.AnnotationVersion], nil
}

// canonical gives a version as semver wants it, or "".
func canonical(v string) string {
	if !strings.HasPrefix(v, "v") {
		v = "v" + v
	}
	return semver.Canonical(v)
}
