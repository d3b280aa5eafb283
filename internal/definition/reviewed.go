package definition

import (
	"encoding/json"
	"strings"

	"github.com/sello-release/sello/internal/digest"
)

// BranchMatches reports whether a branch is one that pattern names: the same name, or, when the pattern ends in *, one that starts alike.
func BranchMatches(pattern, branch string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(branch, prefix)
	}
	return pattern == branch
}

// ReleaseDigest is the SHA-256 of what a release file says, its stage line left out: that line is
// written after staging, while version, commit, channel and notes are what was reviewed. Comments and layout do not count.
func ReleaseDigest(r *Release) string {
	reviewed := struct {
		Version string `json:"version"`
		Commit  string `json:"commit"`
		Channel string `json:"channel"`
		Notes   string `json:"notes"`
	}{r.Version, r.Commit, r.Channel, r.Notes}
	data, err := json.Marshal(reviewed)
	if err != nil {
		panic(err) // four strings always encode
	}
	return digest.Bytes(data)
}
