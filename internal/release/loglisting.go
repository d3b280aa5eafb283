package release

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"golang.org/x/mod/semver"
	"golang.org/x/sync/errgroup"

	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/stage"
	"github.com/sello-release/sello/internal/store"
	"github.com/sello-release/sello/internal/tlog"
	"github.com/sello-release/sello/internal/trust"
)

// listing is what production has of a project.
type listing struct {
	releases []store.ReleaseRef
	files    []store.Info // of all folders and markers, sorted by name
	whole    bool         // false: a file that nothing names would not be in it
}

// listProduction lists production; where it is a web server, which lists nothing, it is asked for what the log leads to.
func listProduction(ctx context.Context, b store.Bucket, t *trust.Trust, logged map[tlog.Entry]bool) (*listing, error) {
	files, err := b.List(ctx, t.Project+"/")
	if errors.Is(err, errors.ErrUnsupported) {
		return askProduction(ctx, b, t, logged)
	}
	if err != nil {
		return nil, err
	}
	releases, err := store.Releases(ctx, b, t.Project)
	if err != nil {
		return nil, err
	}
	return &listing{releases, files, true}, nil
}

// askProduction asks for each file that a release in the log consists of, by its statement, and for the markers that its versions can have.
func askProduction(ctx context.Context, b store.Bucket, t *trust.Trust, logged map[tlog.Entry]bool) (*listing, error) {
	out := &listing{}
	names := map[string]bool{}
	versions := map[string]bool{}
	for e := range logged {
		if e.Project == t.Project && semver.IsValid(e.Version) {
			versions[e.Version] = true
			names[t.Project+"/"+e.Version+"/"+e.File] = true
		}
	}
	for v := range versions {
		at := store.ReleaseLayout{Bucket: b, Project: t.Project, Version: v}
		data, err := readObject(ctx, b, at.Statement(), sign.MaxBundle)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out.releases = append(out.releases, store.ReleaseRef{ReleaseLayout: at, Promoted: true, Released: true})
		names[at.File(tlog.ProofFile)] = true
		if len(t.Verifiers) > 0 { // one may have been made after the statement
			names[at.VSA()], names[at.PlainVSA()] = true, true
		}
		stated, _ := statedFiles(data, t) // the audit says what is wrong with it
		for name := range stated {
			if !stage.IsImageName(name) && store.CheckName(at.File(name)) == nil {
				names[at.File(name)] = true
			}
		}
		for _, channel := range store.Channels {
			for _, marker := range store.Markers(v, channel) {
				names[t.Project+"/"+marker] = true
			}
		}
	}
	slices.SortFunc(out.releases, func(x, y store.ReleaseRef) int { return semver.Compare(x.Version, y.Version) })
	var mu sync.Mutex
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(uploads)
	for name := range names {
		group.Go(func() error {
			found, err := store.Has(gctx, b, name)
			if found {
				mu.Lock()
				out.files = append(out.files, store.Info{Name: name})
				mu.Unlock()
			}
			return err
		})
	}
	err := group.Wait()
	slices.SortFunc(out.files, func(x, y store.Info) int { return strings.Compare(x.Name, y.Name) })
	return out, err
}
