// Package tlog keeps a project's own transparency log: an append-only list of everything that was released, as plain files beside the
// releases, so that a release which nobody was meant to see, or one that was taken away, is found.
//
// # Promises
//
// The log is of the form that C2SP describes as tlog-tiles: tiles of hashes (RFC 6962), bundles of entries, and a
// checkpoint that a key with the role log has signed. Any reader of that form can read it, and a witness can cosign its checkpoints.
// Entries are never changed: a batch is written down, signed, before the first tile of it, so that whoever comes after a crash
// finishes that very batch. Nothing that is read from the bucket is believed before it leads to a root that the key signed.
//
// # What it does not do
//
// One log that shows different people different entries is found by those who compare: `sello log audit --since` with what they
// saw before, or witnesses, who cosign one log only. Asking them is package witness's business; who may sign a checkpoint, and how many have to
// cosign it, the trust file's.
package tlog

import (
	"crypto"
	"crypto/ed25519"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/transparency-dev/formats/log"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/sello-release/sello/internal/cosignature"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/trust"
)

// MaxCheckpoint bounds a checkpoint with its signatures, in bytes.
const MaxCheckpoint = 64 << 10

// Checkpoint is a log at one moment (C2SP tlog-checkpoint).
type Checkpoint struct {
	Size int64     // entries
	Root tlog.Hash // RFC 6962, section 2.1
	Note []byte    // as it was signed, with its signatures
}

// tree gives it as the library has it.
func (c *Checkpoint) tree() tlog.Tree { return tlog.Tree{N: c.Size, Hash: c.Root} }

// Origin names the log of a project: its source without a scheme, and the project. It is unique to it, and is the name of its keys.
func Origin(source, project string) string {
	for _, scheme := range []string{"https://", "pkg:"} {
		source = strings.TrimPrefix(source, scheme)
	}
	clean := strings.NewReplacer("+", "%2B", " ", "%20", "\n", "%0A")
	return clean.Replace(strings.TrimSuffix(source, "/") + "/log/" + project)
}

// Identity is a log by its name and the keys that may sign its checkpoints.
type Identity struct {
	Origin    string
	keys      []note.Verifier
	witnesses []Witness
	threshold int // of witnesses
}

// NewIdentity refuses, with code log-key, keys that are not Ed25519: other readers and witnesses take no others
// (C2SP tlog-checkpoint).
func NewIdentity(origin string, keys ...crypto.PublicKey) (*Identity, error) {
	id := &Identity{Origin: origin}
	for _, key := range keys {
		line, err := VerifierKey(origin, key)
		if err != nil {
			return nil, err
		}
		v, err := note.NewVerifier(line)
		if err != nil {
			return nil, fmt.Errorf("read key of log: %w", err)
		}
		id.keys = append(id.keys, v)
	}
	return id, nil
}

// IdentityOf is the log of a trust file's project; nil when the file names no key for one.
func IdentityOf(t *trust.Trust) (*Identity, error) {
	keys := t.KeysOf(trust.RoleLog)
	if len(keys) == 0 {
		return nil, nil //nolint:nilnil // a project may have none
	}
	var public []crypto.PublicKey
	for _, id := range slices.Sorted(maps.Keys(keys)) {
		public = append(public, keys[id])
	}
	id, err := NewIdentity(Origin(t.Source, t.Project), public...)
	if err != nil || t.Witnesses == nil {
		return id, err
	}
	var witnesses []Witness
	for _, w := range t.Witnesses.Keys {
		key, err := cosignature.ParseKey(w.Key)
		if err != nil {
			return nil, fmt.Errorf("read key of witness: %w", err)
		}
		witnesses = append(witnesses, Witness{key, w.URL})
	}
	return id.WitnessedBy(t.Witnesses.Threshold, witnesses...), nil
}

// VerifierKey writes a key of the log as others take it: name, hash and key with plus signs between (C2SP signed-note).
func VerifierKey(origin string, key crypto.PublicKey) (string, error) {
	public, ok := key.(ed25519.PublicKey)
	if !ok {
		return "", &gate.Refusal{Code: "log-key", What: "a transparency log signs with Ed25519", Expected: "an Ed25519 key", Actual: fmt.Sprintf("%T", key), Fix: "make one: sello key new NAME --role log"}
	}
	line, err := note.NewEd25519VerifierKey(origin, public)
	if err != nil {
		return "", fmt.Errorf("write key of log: %w", err)
	}
	return line, nil
}

// open verifies a note of the log, and gives its text.
func (id *Identity) open(data []byte, what string) (string, error) {
	if len(data) > MaxCheckpoint+maxBatch {
		return "", corrupt(what, fmt.Sprintf("%d bytes", len(data)), nil)
	}
	n, err := note.Open(data, note.VerifierList(id.keys...))
	var unverified *note.UnverifiedNoteError
	if errors.As(err, &unverified) {
		return "", &gate.Refusal{Code: "log-untrusted", What: "no key of the log has signed this", Where: what, Expected: "a signature by " + id.names(), Actual: signers(unverified.Note),
			Fix: "use the trust file that names the log's key; if it does, somebody else wrote this: do not use it"}
	}
	if err != nil {
		return "", corrupt(what, "", err)
	}
	return n.Text, nil
}

func (id *Identity) names() string {
	var out []string
	for _, k := range id.keys {
		out = append(out, fmt.Sprintf("%s+%08x", k.Name(), k.KeyHash()))
	}
	return strings.Join(out, ", ")
}

func signers(n *note.Note) string {
	var out []string
	for _, s := range n.UnverifiedSigs[:min(len(n.UnverifiedSigs), 5)] {
		out = append(out, fmt.Sprintf("%s+%08x", s.Name, s.Hash))
	}
	return strings.Join(out, ", ")
}

// Checkpoint reads a signed checkpoint. It refuses, by code: log-untrusted without a signature that counts, log-corrupt for anything
// that is no checkpoint of this log.
func (id *Identity) Checkpoint(data []byte) (*Checkpoint, error) {
	text, err := id.open(data, "checkpoint")
	if err != nil {
		return nil, err
	}
	var c log.Checkpoint
	if _, err := c.Unmarshal([]byte(text)); err != nil {
		return nil, corrupt("checkpoint", "", err)
	}
	switch {
	case c.Origin != id.Origin:
		return nil, corrupt("checkpoint", "of "+c.Origin, nil)
	case c.Size > maxEntries || len(c.Hash) != tlog.HashSize:
		return nil, corrupt("checkpoint", fmt.Sprintf("%d entries, a root of %d bytes", c.Size, len(c.Hash)), nil)
	}
	return &Checkpoint{Size: int64(c.Size), Root: tlog.Hash(c.Hash), Note: data}, nil //nolint:gosec // bounded above
}

// Sign signs messages as a note is signed: Ed25519 over the text.
type Sign func(message []byte) ([]byte, error)

// signer gives a key of the log as the library wants it. It refuses a key that is none of the log's.
func (id *Identity) signer(key crypto.PublicKey, sign Sign) (note.Signer, error) {
	line, err := VerifierKey(id.Origin, key)
	if err != nil {
		return nil, err
	}
	v, err := note.NewVerifier(line)
	if err != nil {
		return nil, fmt.Errorf("read key of log: %w", err)
	}
	return noteSigner{v, sign}, nil
}

type noteSigner struct {
	note.Verifier
	sign Sign
}

// Sign implements note.Signer.
func (s noteSigner) Sign(message []byte) ([]byte, error) { return s.sign(message) }

// checkpoint signs the log's state.
func (id *Identity) checkpoint(size int64, root tlog.Hash, s note.Signer) (*Checkpoint, error) {
	text := log.Checkpoint{Origin: id.Origin, Size: uint64(size), Hash: root[:]}.Marshal() //nolint:gosec // sizes are not negative
	data, err := note.Sign(&note.Note{Text: string(text)}, s)
	if err != nil {
		return nil, fmt.Errorf("sign checkpoint: %w", err)
	}
	return &Checkpoint{Size: size, Root: root, Note: data}, nil
}

func corrupt(where, actual string, cause error) error {
	return &gate.Refusal{Code: "log-corrupt", What: "the transparency log is damaged", Where: where, Actual: actual, Cause: cause,
		Fix: "find out who changed the log's files; put them back as they were, from a copy: entries cannot be made anew"}
}
