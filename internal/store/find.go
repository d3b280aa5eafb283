package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"sort"
	"strings"

	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/stage"
)

// StageRef is a complete stage: its stage.json is there and has the digest that the folder is named by.
type StageRef struct {
	StageLayout      // Digest is the whole digest: 64 hex
	Info        Info // of stage.json
}

var stageFolder = regexp.MustCompile(`^[0-9a-f]{12}$`)

// FindStages gives the complete stages of a version, oldest first. A folder
// without stage.json is a stage that is not complete and is passed over. One whose stage.json does not
// have the digest that the folder is named by is a store-stage-corrupt: the
// good ones are given along with the error.
func FindStages(ctx context.Context, b Bucket, project, version string) ([]StageRef, error) {
	if err := checkParts(project, version); err != nil {
		return nil, err
	}
	names, err := folders(ctx, b, project+"/"+version+"/")
	if err != nil {
		return nil, err
	}
	var refs []StageRef
	var bad []error
	for _, name := range names {
		if !stageFolder.MatchString(name) {
			continue
		}
		ref, err := findStage(ctx, StageLayout{Bucket: b, Project: project, Version: version, Digest: name})
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			bad = append(bad, err)
		default:
			refs = append(refs, ref)
		}
	}
	sort.Slice(refs, func(i, j int) bool {
		a, b := refs[i], refs[j]
		if !a.Info.ModTime.Equal(b.Info.ModTime) {
			return a.Info.ModTime.Before(b.Info.ModTime)
		}
		return a.Digest < b.Digest
	})
	return refs, errors.Join(bad...)
}

func findStage(ctx context.Context, l StageLayout) (StageRef, error) {
	r, info, err := l.Bucket.Get(ctx, l.StageFile())
	if err != nil {
		return StageRef{}, err
	}
	defer r.Close()
	w := digest.NewSHA256()
	if _, err := io.Copy(w, io.LimitReader(digest.Until(ctx, r), stage.MaxSize+1)); err != nil {
		return StageRef{}, fmt.Errorf("read %s: %w", l.StageFile(), err)
	}
	sums := w.Sums()
	found := "sha256:" + sums.SHA256
	if sums.Size > stage.MaxSize {
		found = fmt.Sprintf("more than %d bytes", stage.MaxSize)
	}
	if sums.Size > stage.MaxSize || !strings.HasPrefix(sums.SHA256, l.Folder()) {
		return StageRef{}, &gate.Refusal{
			Code: "store-stage-corrupt", What: "stage.json is not the one that its folder is named by",
			Where: place(l.Bucket, l.StageFile()), Expected: "sha256:" + l.Folder() + "…", Actual: found,
			Fix: "find out who changed it; then remove the folder and stage the commit again",
		}
	}
	l.Digest = sums.SHA256
	return StageRef{StageLayout: l, Info: info}, nil
}

// ReleaseRef is a version of which production holds something.
type ReleaseRef struct {
	ReleaseLayout
	Promoted bool // stage.json is there: every file was copied
	Released bool // the release statement is there
}

// Releases gives the versions of a project, oldest version first. Folders that
// are not named by a semantic version are passed over.
func Releases(ctx context.Context, b Bucket, project string) ([]ReleaseRef, error) {
	if err := checkParts(project); err != nil {
		return nil, err
	}
	names, err := folders(ctx, b, project+"/")
	if err != nil {
		return nil, err
	}
	var refs []ReleaseRef
	for _, name := range names {
		if !isVersion(name) {
			continue
		}
		ref := ReleaseRef{ReleaseLayout: ReleaseLayout{Bucket: b, Project: project, Version: name}}
		ref.Promoted, err = exists(ctx, b, ref.StageFile())
		if err != nil {
			return nil, err
		}
		ref.Released, err = exists(ctx, b, ref.Statement())
		if err != nil {
			return nil, err
		}
		refs = append(refs, ref)
	}
	sort.Slice(refs, func(i, j int) bool { return older(refs[i].Version, refs[j].Version) })
	return refs, nil
}

func exists(ctx context.Context, b Bucket, name string) (bool, error) {
	r, _, err := b.Get(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, r.Close()
}

// folders lists the next level below prefix in any bucket.
func folders(ctx context.Context, b Bucket, prefix string) ([]string, error) {
	if f, ok := b.(FolderLister); ok {
		return f.Folders(ctx, prefix)
	}
	infos, err := b.List(ctx, prefix)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, info := range infos {
		name, _, ok := strings.Cut(strings.TrimPrefix(info.Name, prefix), "/")
		if ok && (len(names) == 0 || names[len(names)-1] != name) {
			names = append(names, name)
		}
	}
	return names, nil
}
