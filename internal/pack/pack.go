// Package pack writes archives whose bytes depend on nothing but their content,
// and reads archives without trusting them.
//
// Write promises that the same entries and options give the same bytes: on
// every machine, under every user, umask, time zone and locale, on one core or
// many, however the readers chunk their data. Entries are sorted by name, folders
// are written for their parents, owner and group are 0 without names, modes are
// 0644 or 0755, and every time is Options.Time. Compression works on blocks of a fixed size, so
// that all cores can take part without a trace in the output. The bytes may change with the version of the compression library,
// which go.mod pins; a test holds the digest of an archive against that.
//
// Write and Walk refuse names that would mean different files to different
// readers: absolute ones, "..", backslashes, control characters, names that differ
// only in case, links that leave the archive.
//
// Memory is bounded whatever the size: a few MB for each core in use.
//
// The package does not unpack onto a disk, reads no settings, and keeps no owners,
// hard links, devices, extended attributes or empty folders.
package pack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/sello-release/sello/internal/gate"
)

// Formats of archives.
const (
	TarGz = "tar.gz"
	Zip   = "zip"
)

// Codes of the refusals of this package.
const (
	CodeBadName   = "archive-bad-name"      // a name that is unsafe, or means another file elsewhere
	CodeBadLink   = "archive-bad-link"      // a symlink that leaves the archive
	CodeBadFile   = "archive-bad-file"      // a device, socket, hard link or other thing that is no file
	CodeDuplicate = "archive-duplicate"     // two entries for one name, in any case
	CodeSize      = "archive-size-mismatch" // an entry has more or fewer bytes than it said
	CodeTooLarge  = "archive-too-large"     // an archive that is read exceeds a limit
	CodeMalformed = "archive-malformed"     // an archive that is read is damaged or holds hidden bytes
	CodeFormat    = "archive-format"        // neither tar.gz nor zip
)

// Entry is one file or symlink of an archive. Folders come by themselves.
type Entry struct {
	// Name is the path in the archive, below Options.Prefix: slash-separated, relative, clean.
	Name string
	// Executable chooses mode 0755 over 0644.
	Executable bool
	// Link makes the entry a symlink with this target; Size and Open are then unused.
	Link string
	// Size is the exact number of bytes that Open gives.
	Size int64
	// Open gives the content. It is called once, when the entry's turn comes.
	Open func() (io.ReadCloser, error)
}

// Options say how an archive is written.
type Options struct {
	// Format is TarGz or Zip.
	Format string
	// Time is every entry's modification time, in whole seconds of UTC. It is
	// brought into what the format can hold: 1970 to 2242 for tar.gz, 1980 to 2106 for zip.
	Time time.Time
	// Prefix is the top folder that all entries stand in; "" for none.
	Prefix string
	// Tap, when set, is asked for each file by its name in the archive, with the prefix; the
	// writer that it gives, if any, gets the file's bytes while they are packed.
	Tap func(name string) io.Writer
}

// Write writes an archive of the entries to w. It stops soon after ctx is done.
// What was written before an error is not an archive: see ToFile.
func Write(ctx context.Context, w io.Writer, entries []Entry, o Options) error {
	if o.Time.IsZero() {
		return errors.New("write archive: no time given")
	}
	nodes, err := plan(entries, o.Prefix)
	if err != nil {
		return err
	}
	switch o.Format {
	case TarGz:
		err = writeTarGz(ctx, w, nodes, o)
	case Zip:
		err = writeZip(ctx, w, nodes, o)
	default:
		return unknownFormat(o.Format)
	}
	if err != nil {
		return fmt.Errorf("write %s archive: %w", o.Format, err)
	}
	return nil
}

// WriteTar writes the entries as a tar.gz holds them, uncompressed, for formats
// that need the digest of both. Options.Format is unused.
func WriteTar(ctx context.Context, w io.Writer, entries []Entry, o Options) error {
	if o.Time.IsZero() {
		return errors.New("write tar archive: no time given")
	}
	nodes, err := plan(entries, o.Prefix)
	if err != nil {
		return err
	}
	if err := writeTar(ctx, w, nodes, o); err != nil {
		return fmt.Errorf("write tar archive: %w", err)
	}
	return nil
}

// NewGzip compresses what is written to it into one gzip member, on all cores, with the
// bytes that Write gives a tar.gz. Close ends the member and does not close w.
func NewGzip(w io.Writer) (io.WriteCloser, error) { return newGzipper(w) }

func unknownFormat(format string) error {
	return &gate.Refusal{Code: CodeFormat, Class: gate.Usage, What: "unknown archive format",
		Expected: TarGz + " or " + Zip, Actual: fmt.Sprintf("%q", format), Fix: "set format to " + TarGz + " or " + Zip}
}

// clampTime brings t into [first, last], in whole seconds of UTC.
func clampTime(t, first, last time.Time) time.Time {
	t = t.UTC().Truncate(time.Second)
	if t.Before(first) {
		return first
	}
	if t.After(last) {
		return last
	}
	return t
}
