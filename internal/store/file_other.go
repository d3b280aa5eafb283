//go:build !linux

package store

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/sello-release/sello/internal/digest"
)

// renameNoReplace is left to a link here, which never replaces.
func renameNoReplace(*os.Root, string, string) error { return errors.ErrUnsupported }

func copyFile(ctx context.Context, dst, src *os.File) error {
	_, err := io.CopyBuffer(onlyWriter{dst}, digest.Until(ctx, src), make([]byte, 1<<20))
	return err
}
