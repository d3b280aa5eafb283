package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"golang.org/x/mod/semver"

	"github.com/sello-release/sello/internal/gate"
)

// maxMarker bounds a marker that is read, in bytes.
const maxMarker = 256

// Channels that a version can be released to.
const (
	channelStable    = "stable"
	channelCandidate = "candidate"
	channelNightly   = "nightly"
)

// Channels are all of them.
var Channels = []string{channelStable, channelCandidate, channelNightly}

// Markers names the markers that a release can move, most specific first:
//
//	stable     stable-X.Y.txt, stable-X.txt, stable.txt and what candidate moves
//	candidate  latest-X.Y.txt, latest-X.txt, latest.txt
//	nightly    nightly.txt
//
// An unknown channel, a version that is none and a pre-release as stable move nothing.
func Markers(version, channel string) []string {
	if checkRelease(version, channel) != nil {
		return nil
	}
	if channel == channelNightly {
		return []string{"nightly.txt"}
	}
	series := func(word string) []string {
		minor := strings.TrimPrefix(semver.MajorMinor(version), "v")
		major := strings.TrimPrefix(semver.Major(version), "v")
		return []string{word + "-" + minor + ".txt", word + "-" + major + ".txt", word + ".txt"}
	}
	if channel == channelCandidate {
		return series("latest")
	}
	return append(series("stable"), series("latest")...)
}

func checkRelease(version, channel string) error {
	if !isVersion(version) {
		return &gate.Refusal{
			Code: "marker-version", Class: gate.Usage, What: "this is no semantic version", Where: fmt.Sprintf("%q", clip(version)),
			Expected: "vX.Y.Z or vX.Y.Z-pre.release", Fix: "correct the version in the release file",
		}
	}
	known := channel == channelStable || channel == channelCandidate || channel == channelNightly
	if !known || channel == channelStable && semver.Prerelease(version) != "" {
		return &gate.Refusal{
			Code: "marker-channel", Class: gate.Usage, What: "this version cannot be released to this channel", Where: version,
			Expected: "stable for a release; candidate or nightly for a pre-release", Actual: fmt.Sprintf("%q", clip(channel)),
			Fix: "correct the channel in the release file",
		}
	}
	return nil
}

// Moved says what became of one marker.
type Moved struct {
	Name string // of the object
	From string // the version it named before; empty when it was not there
	To   string // the version it names now
}

// Changed reports whether the marker was written.
func (m Moved) Changed() bool { return m.From != m.To }

// MoveMarkers points a release's markers at it. A marker holds the bare version
// without a newline. It is written only when version is newer than what it holds,
// in the order of semantic versions, so that markers never go backwards and
// do not depend on the order of releases: v1.3.9 after v1.4.2 moves stable-1.3.txt
// and neither stable-1.txt nor stable.txt. Running it again is harmless.
//
// A marker that holds anything but a version that belongs there is a
// marker-corrupt; no marker is moved before all have been read. Two releasers at once do not undo
// one another where the bucket is a Locker or a Swapper, as all that Open gives are.
func MoveMarkers(ctx context.Context, b Bucket, project, version, channel string) ([]Moved, error) {
	if err := errors.Join(checkRelease(version, channel), checkParts(project)); err != nil {
		return nil, err
	}
	if l, ok := b.(Locker); ok {
		unlock, err := l.LockBucket(ctx)
		if err != nil {
			return nil, err
		}
		defer unlock()
	}
	moves := make([]Moved, 0, len(Markers(version, channel)))
	var versions []string // of the objects, where the bucket names them
	for _, marker := range Markers(version, channel) {
		from, at, err := readMarker(ctx, b, project, marker)
		if err != nil {
			return nil, err
		}
		moves, versions = append(moves, moved(project, marker, from, version)), append(versions, at)
	}
	for i, marker := range Markers(version, channel) {
		if !moves[i].Changed() {
			continue
		}
		m, err := writeMarker(ctx, b, project, marker, moves[i], versions[i], version)
		if err != nil {
			return moves[:i], fmt.Errorf("move marker %s to %s: %w", m.Name, version, err)
		}
		moves[i] = m
	}
	return moves, nil
}

// moved decides what becomes of a marker that names from.
func moved(project, marker, from, version string) Moved {
	m := Moved{Name: project + "/" + marker, From: from, To: from}
	if from == "" || older(from, version) {
		m.To = version
	}
	return m
}

// markerTries bounds how often a marker is decided anew because others move it at the same time.
const markerTries = 20

// writeMarker makes the move m of a marker that was read at the version at. Where the bucket takes conditions, a marker that
// somebody else has moved meanwhile is read and decided anew, so that of two releasers the newer version stays.
func writeMarker(ctx context.Context, b Bucket, project, marker string, m Moved, at, version string) (Moved, error) {
	o := PutOptions{ContentType: contentType(m.Name)}
	s, ok := b.(Swapper)
	if !ok {
		return m, b.Put(ctx, m.Name, strings.NewReader(m.To), o)
	}
	for try := 1; m.Changed(); try++ {
		err := s.Swap(ctx, m.Name, at, strings.NewReader(m.To), o)
		if !errors.Is(err, ErrChanged) {
			return m, err
		}
		if try == markerTries {
			return m, &gate.Refusal{
				Code: "marker-busy", Class: gate.Failed, What: "the marker is moved by others all the time", Where: place(b, m.Name),
				Fix: "find out who else releases now; then run the same command again", Cause: err,
			}
		}
		from, now, err := readMarker(ctx, b, project, marker)
		if err != nil {
			return m, err
		}
		m, at = moved(project, marker, from, version), now
	}
	return m, nil
}

// older orders versions; of two that differ only in build metadata, which semantic
// versions do not order, the text decides, so that the order is total.
func older(a, b string) bool {
	if c := semver.Compare(a, b); c != 0 {
		return c < 0
	}
	return a < b
}

// Older reports whether a marker that names a is moved on by the release of b.
func Older(a, b string) bool { return older(a, b) }

// ReadMarker gives the version that a marker names, or "" when there is none yet.
// name is as Markers gives it: stable-1.4.txt.
func ReadMarker(ctx context.Context, b Bucket, project, name string) (string, error) {
	if err := checkParts(project, name); err != nil {
		return "", err
	}
	version, _, err := readMarker(ctx, b, project, name)
	return version, err
}

// readMarker gives what a marker names, and the version of its object where the bucket has one.
func readMarker(ctx context.Context, b Bucket, project, marker string) (version, at string, err error) {
	name := project + "/" + marker
	var r io.ReadCloser
	if s, ok := b.(Swapper); ok {
		r, _, at, err = s.GetVersion(ctx, name)
	} else {
		r, _, err = b.Get(ctx, name)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return "", "", nil
	}
	if err != nil {
		return "", "", err
	}
	defer r.Close()
	content, err := io.ReadAll(io.LimitReader(r, maxMarker+1))
	if err != nil {
		return "", "", fmt.Errorf("read %s: %w", name, err)
	}
	if why := badMarker(marker, string(content)); why != "" {
		return "", "", &gate.Refusal{
			Code: "marker-corrupt", What: "the marker cannot be trusted: " + why, Where: place(b, name),
			Expected: "a bare version that belongs to " + marker, Actual: fmt.Sprintf("%q", clip(string(content))),
			Fix: "find out who wrote it; then write the right version into it, or remove it and run the same command again",
		}
	}
	return string(content), at, nil
}

// badMarker says why content does not belong into the marker, or "".
func badMarker(marker, content string) string {
	if !isVersion(content) {
		return "it holds no semantic version"
	}
	word, series, _ := strings.Cut(strings.TrimSuffix(marker, ".txt"), "-")
	if word == channelStable && semver.Prerelease(content) != "" {
		return "it holds a pre-release"
	}
	if series != "" && "v"+series != semver.Major(content) && "v"+series != semver.MajorMinor(content) {
		return "it holds a version of another series"
	}
	return ""
}
