package inventory

import (
	"cmp"
	"context"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/sello-release/sello/internal/sbom"
)

// ofFile describes a file: a program, an archive, or something else.
func ofFile(ctx context.Context, path string, o Options) (*sbom.Document, error) {
	var left atomic.Int64
	left.Store(int64(o.Limits.Files))
	learn, learned := learner(o.Meta.Licenses)
	defer learned()
	n, flaw, err := lookAt(ctx, os.Open, path, path, o.Limits, &left, learn)
	if err != nil {
		return nil, err
	}
	if flaw != nil {
		return nil, flaw.refusal(path)
	}
	base, err := baseName(path)
	if err != nil {
		return nil, err
	}
	meta := o.Meta
	meta.Project, meta.Phase = cmp.Or(meta.Project, base), cmp.Or(meta.Phase, sbom.PhasePostBuild)
	if n.program != nil {
		meta.Version = cmp.Or(meta.Version, ownVersion(n.program.Main.Version))
	}
	d, err := newDescriber(meta, o)
	if err != nil {
		return nil, err
	}
	if err := d.asked(n, base); err != nil {
		return nil, err
	}
	return d.b.Document(meta.Project), nil
}

// learner gives what asks for the licences of programs while their files are hashed, and what waits for the answers. Programs that come
// while many are asked for are left to the document.
func learner(l sbom.Licenses) (learn func(*sbom.Binary), wait func()) {
	var g errgroup.Group
	g.SetLimit(2 * runtime.GOMAXPROCS(0))
	learn = func(b *sbom.Binary) {
		g.TryGo(func() error {
			sbom.Learn(l, *b)
			return nil
		})
	}
	return learn, func() { _ = g.Wait() }
}

// ownVersion gives a main module's version, if it has one.
func ownVersion(v string) string { return strings.TrimPrefix(v, "(devel)") }

// lookAt opens a file and looks at it. path is where open finds it, name the one in what is described. asked is told of its programs as
// soon as they are known, when it is the file that was asked for; nil for any other.
func lookAt(ctx context.Context, open func(string) (*os.File, error), path, name string, l Limits, files *atomic.Int64, asked func(*sbom.Binary)) (*node, *defect, error) {
	f, err := open(path)
	if err != nil {
		return nil, nil, unreadable(path, err)
	}
	defer f.Close()
	before, err := f.Stat()
	if err != nil {
		return nil, nil, unreadable(path, err)
	}
	looker := newLooker(ctx, l, files, before.Size())
	looker.met = asked
	n, flaw, err := looker.look(name, input{Reader: f, at: f, size: before.Size(), asked: asked != nil}, 0)
	if err != nil {
		return nil, nil, err
	}
	if asked == nil && isGoFile(filepath.Base(path)) {
		n.imports = fileImports(io.NewSectionReader(f, 0, n.size))
	}
	after, err := f.Stat()
	if err != nil {
		return nil, nil, unreadable(path, err)
	}
	if n.size != before.Size() || after.Size() != before.Size() || !after.ModTime().Equal(before.ModTime()) {
		return nil, nil, changed(path)
	}
	return n, flaw, nil
}
