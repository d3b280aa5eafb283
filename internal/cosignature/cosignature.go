// Package cosignature has the keys of witnesses, and verifies what they sign: that a checkpoint is of the one log that they know
// (C2SP tlog-cosignature, Ed25519).
//
// # Promises
//
// A key has one spelling. A cosignature is valid for the text that was cosigned only, and at a time that has come.
//
// # What it does not do
//
// It neither asks witnesses nor decides how many it takes.
package cosignature

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
)

const (
	algorithm = 0x04 // of keys of timestamped Ed25519 cosignatures (C2SP tlog-cosignature, section "Format")
	timeSize  = 8    // bytes of the time before a signature
	maxName   = 255  // bytes
)

// Ahead is how far the clock of a witness may be ahead of ours.
const Ahead = 24 * time.Hour

// Key is a witness's public key.
type Key struct {
	name   string
	hash   uint32
	public ed25519.PublicKey
}

// ParseKey reads a key as witnesses hand it out: name, hash and key with plus signs between (C2SP signed-note, section "Verifier keys").
func ParseKey(s string) (*Key, error) {
	name, rest, _ := strings.Cut(s, "+")
	_, key, _ := strings.Cut(rest, "+") // base64 has plus signs, too
	data, err := base64.StdEncoding.DecodeString(key)
	switch {
	case name == "" || len(name) > maxName || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' }):
		return nil, errors.New("a name is printable ASCII without spaces")
	case err != nil || len(data) == 0:
		return nil, errors.New("not name+hash+base64")
	case data[0] != algorithm:
		return nil, fmt.Errorf("a key of type 0x%02x, and Ed25519 cosignatures have 0x%02x", data[0], algorithm)
	case len(data) != 1+ed25519.PublicKeySize:
		return nil, fmt.Errorf("%d bytes are no Ed25519 key", len(data)-1)
	}
	k := New(name, data[1:])
	if k.String() != s {
		return nil, errors.New("the hash is not that of the name and the key, or it is spelt unusually")
	}
	return k, nil
}

// New is the key of a witness of that name.
func New(name string, public ed25519.PublicKey) *Key {
	sum := sha256.Sum256(append([]byte(name+"\n"), encode(public)...))
	return &Key{name, binary.BigEndian.Uint32(sum[:]), public}
}

func encode(public ed25519.PublicKey) []byte { return append([]byte{algorithm}, public...) }

// String writes the key as ParseKey reads it.
func (k *Key) String() string {
	return fmt.Sprintf("%s+%08x+%s", k.name, k.hash, base64.StdEncoding.EncodeToString(encode(k.public)))
}

// Name is the witness's name.
func (k *Key) Name() string { return k.name }

// KeyHash is the hash by which a signature names the key.
func (k *Key) KeyHash() uint32 { return k.hash }

// Public is the key itself.
func (k *Key) Public() ed25519.PublicKey { return k.public }

// At verifies cosignatures at the time now.
func (k *Key) At(now time.Time) note.Verifier { return verifier{k, now} }

type verifier struct {
	*Key
	now time.Time
}

// Verify implements note.Verifier. A signature is its time and an Ed25519 signature on that time and the text.
func (v verifier) Verify(text, sig []byte) bool {
	if len(sig) != timeSize+ed25519.SignatureSize {
		return false
	}
	at := binary.BigEndian.Uint64(sig)
	if at == 0 || at > math.MaxInt64 || int64(at) > v.now.Add(Ahead).Unix() {
		return false
	}
	return ed25519.Verify(v.public, message(at, text), sig[timeSize:])
}

// message is what is signed (C2SP tlog-cosignature, section "Ed25519 signed message").
func message(at uint64, text []byte) []byte {
	return fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", at, text)
}

// Sign cosigns a text as a witness does; tests are witnesses.
func Sign(private ed25519.PrivateKey, at time.Time, text []byte) []byte {
	t := uint64(at.Unix()) //nolint:gosec // a test may want any time
	return append(binary.BigEndian.AppendUint64(nil, t), ed25519.Sign(private, message(t, text))...)
}
