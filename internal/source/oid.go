package source

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"strconv"
	"strings"

	"github.com/pjbgf/sha1cd"
)

// A format is a repository's object format: the hash that its ids are made with.
type format struct {
	name string // as git names it
	size int    // bytes of an id
}

var (
	formatSHA1   = format{name: "sha1", size: 20}
	formatSHA256 = format{name: "sha256", size: sha256.Size}
)

func formatNamed(name string) (format, bool) {
	switch name {
	case formatSHA1.name:
		return formatSHA1, true
	case formatSHA256.name:
		return formatSHA256, true
	}
	return format{}, false
}

// valid reports whether id is a full id of this format in lower-case hex.
func (f format) valid(id string) bool { return len(id) == 2*f.size && isHex(id) }

func isHex(s string) bool { return strings.Trim(s, "0123456789abcdef") == "" }

// zero is the id that git writes for "nothing".
func (f format) zero() string { return strings.Repeat("0", 2*f.size) }

// A rawID is an object id as tree objects hold it: bytes, not hex.
type rawID string

func (r rawID) hex() string { return hex.EncodeToString([]byte(r)) }

func decode(id string) (rawID, error) {
	b, err := hex.DecodeString(id)
	return rawID(b), err
}

// hasher starts the hash of an object: git hashes "kind size NUL" before the content.
func (f format) hasher(kind string, size int64) hash.Hash {
	var h hash.Hash
	if f == formatSHA256 {
		h = sha256.New()
	} else {
		h = sha1cd.New()
	}
	f.restart(h, kind, size)
	return h
}

// restart makes h, a hash of this format, ready for another object.
func (f format) restart(h hash.Hash, kind string, size int64) {
	h.Reset()
	header := make([]byte, 0, 32)
	header = append(header, kind...)
	header = append(header, ' ')
	header = strconv.AppendInt(header, size, 10)
	header = append(header, 0)
	h.Write(header)
}

// proven compares what was hashed with the id that it must have.
func proven(h hash.Hash, id string) error {
	var sum []byte
	if detecting, ok := h.(sha1cd.CollisionResistantHash); ok {
		collision := false
		if sum, collision = detecting.CollisionResistantSum(nil); collision {
			return refusal{
				code: "source-object-collision", where: "object " + id,
				what: "object was made to collide with another one under SHA-1",
				fix:  "find out who committed it, and remove it from the history",
			}.err()
		}
	} else {
		sum = h.Sum(nil)
	}
	if got := hex.EncodeToString(sum); got != id {
		return refusal{
			code: "source-object-corrupt", where: "object " + id, what: "object's content does not have its id",
			expected: id, actual: got, fix: "run `git fsck --full` and clone the repository again",
		}.err()
	}
	return nil
}
