package definition

import (
	"fmt"
	"slices"

	"golang.org/x/mod/semver"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/lazyregexp"
	"github.com/sello-release/sello/internal/strictyaml"
)

// ReleaseDir is the folder of release files.
const ReleaseDir = "releases"

// ReleasePath gives the path of a version's release file.
func ReleasePath(version string) string { return ReleaseDir + "/" + version + ".yaml" }

var (
	commitID    = lazyregexp.New(`^([0-9a-f]{40}|[0-9a-f]{64})$`)
	stageDigest = lazyregexp.New(`^sha256:[0-9a-f]{64}$`)
)

// ParseRelease reads releases/<version>.yaml, path being relative to the root of
// the repository. A channel that was left out is filled in. The error is a strictyaml.Errors with every refusal.
func ParseRelease(path string, data []byte) (*Release, error) {
	var r Release
	doc, err := strictyaml.Decode(path, data, &r)
	if doc == nil {
		return nil, err
	}
	c := checker{doc}
	c.version(path, r.Version)
	if doc.Has("commit") && !commitID.MatchString(r.Commit) {
		c.refuse("commit", "release-commit", "this is not a full commit id", "40 or 64 lower-case hexadecimal digits", quote(r.Commit), "git rev-parse "+"COMMIT prints it")
	}
	c.channel(&r)
	if doc.Has("notes") && (!isPath(r.Notes) || r.Notes == ".") {
		c.refuse("notes", "release-notes", "this is not a file of the repository", "a relative path without ..", quote(r.Notes), "")
	}
	if doc.Has("stage") && !stageDigest.MatchString(r.Stage) {
		c.refuse("stage", "release-stage", "this is not a stage digest", "sha256: and 64 lower-case hexadecimal digits", quote(r.Stage), "sello stage writes it; remove the line")
	}
	if err := doc.Err(); err != nil {
		return nil, err
	}
	return &r, nil
}

// CheckVersion refuses what is not a version that can be released: canonical
// semantic versions with their v, and without build metadata.
func CheckVersion(s string) error {
	r := &gate.Refusal{Code: "release-version", Class: gate.Usage, What: "this is not a version that can be released",
		Expected: "v and a semantic version: v1.4.2, v1.5.0-rc.1", Actual: quote(s)}
	switch {
	case semver.IsValid(s) && semver.Build(s) != "":
		r.Fix = "remove the build metadata, from the + on"
	case semver.IsValid(s) && semver.Canonical(s) != s:
		r.Fix = "write " + semver.Canonical(s)
	case semver.IsValid("v" + s):
		r.Fix = "write v" + s
	case !semver.IsValid(s) || SafeName(s) != nil || len(s) > 100:
	default:
		return nil
	}
	return r
}

func (c checker) version(path, s string) {
	if !c.doc.Has("version") {
		return
	}
	if err := CheckVersion(s); err != nil {
		c.refuseErr("version", err)
	} else if want := ReleasePath(s); path != want {
		c.refuse("version", "release-path", "the file's name is not the version's", want, path, "rename the file, or correct the version")
	}
}

// channel checks the channel and fills it in.
func (c checker) channel(r *Release) {
	pre := semver.Prerelease(r.Version) != ""
	switch {
	case !c.doc.Has("channel") && pre:
		r.Channel = "candidate"
	case !c.doc.Has("channel"):
		r.Channel = "stable"
	case !slices.Contains(Channels, r.Channel):
		c.unknown("channel", "release-channel", "unknown channel", r.Channel, Channels)
	case r.Channel == "stable" && pre:
		c.refuse("channel", "release-channel", "a pre-release version is not stable", "candidate or nightly", fmt.Sprintf("stable for %s", r.Version), "change the channel, or drop the part of the version after the -")
	}
}
