package inventory

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"github.com/sello-release/sello/internal/sbom"
)

// Content is what is in a file that others describe: what is linked into a program, what lies in an archive.
type Content struct{ node *node }

// Inside looks into the file of that name below dir. It gives nil for a file that is neither a program nor an archive.
func Inside(ctx context.Context, dir *os.Root, name string) (*Content, error) {
	f, err := dir.Open(name)
	if err != nil {
		return nil, unreadable(name, err)
	}
	head := make([]byte, HeadSize)
	n, err := io.ReadFull(f, head)
	f.Close()
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, unreadable(name, err)
	}
	if head = head[:n]; !isProgram(head) && archiveKind(head) == "" {
		return nil, nil
	}
	l := Limits{}.withDefaults()
	var left atomic.Int64
	left.Store(int64(l.Files))
	found, _, err := lookAt(ctx, dir.Open, name, name, l, &left, nil)
	if err != nil {
		return nil, fmt.Errorf("look into %s: %w", name, err)
	}
	return &Content{found}, nil
}

// SHA256 gives the digest of the file that was looked into, in lower-case hex.
func (c *Content) SHA256() string { return c.node.sums.sha256 }

// Describe implements sbom.Content.
func (c *Content) Describe(b *sbom.Builder, id, name string) error {
	d := &describer{b: b, all: true, scope: id}
	d.kind(id, c.node)
	return d.content(id, b.Package(id), c.node, name+"!/")
}
