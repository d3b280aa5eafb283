package tlog

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/sello-release/sello/internal/cosignature"
	"github.com/sello-release/sello/internal/gate"
)

// Witness is somebody who cosigns the log's checkpoints.
type Witness struct {
	*cosignature.Key
	URL string // submission prefix (C2SP tlog-witness)
}

// WitnessedBy gives the same log, whose checkpoints need cosignatures of that many of the witnesses.
func (id *Identity) WitnessedBy(threshold int, witnesses ...Witness) *Identity {
	own := *id
	own.threshold, own.witnesses = threshold, witnesses
	return &own
}

// Witnesses are who may cosign, and Threshold is how many have to; 0 is a log without witnesses.
func (id *Identity) Witnesses() []Witness { return slices.Clone(id.witnesses) }

// Threshold is how many witnesses have to cosign a checkpoint.
func (id *Identity) Threshold() int { return id.threshold }

// Cosigned names the witnesses that have cosigned a checkpoint. It refuses, with code witness-missing, one that too few have, or that has a cosignature
// under a witness's name which is not that witness's (C2SP signed-note: such a note is malformed). Cosignatures of others are ignored.
func (id *Identity) Cosigned(c *Checkpoint, now time.Time) ([]string, error) {
	valid, err := id.cosignatures(c.Note, now)
	var names []string
	for _, s := range valid {
		names = append(names, s.Name)
	}
	slices.Sort(names)
	switch {
	case id.threshold == 0:
		return nil, nil
	case err != nil:
		return nil, id.missing(err.Error())
	case len(names) < id.threshold:
		actual := "cosigned by none of them"
		if len(names) > 0 {
			actual = "cosigned by " + strings.Join(names, ", ")
		}
		return names, id.missing(actual)
	}
	return names, nil
}

func (id *Identity) missing(actual string) error {
	return &gate.Refusal{Code: "witness-missing", What: "too few witnesses vouch for this log: somebody else may be shown another one under the same key", Expected: id.Quorum(), Actual: actual,
		Fix: "do not use the release; if it was made before the project had these witnesses, have it released again: sello release"}
}

// Quorum says how many of which witnesses it takes: "2 of a, b, c".
func (id *Identity) Quorum() string {
	var names []string
	for _, w := range id.witnesses {
		names = append(names, w.Name())
	}
	return fmt.Sprintf("%d of %s", id.threshold, strings.Join(names, ", "))
}

// cosignatures gives the valid cosignatures of the witnesses, one each, in the order of the trust file. One that is not valid is an error.
func (id *Identity) cosignatures(data []byte, now time.Time) ([]note.Signature, error) {
	var verifiers []note.Verifier
	for _, w := range id.witnesses {
		verifiers = append(verifiers, w.At(now))
	}
	n, err := note.Open(data, note.VerifierList(verifiers...))
	var none *note.UnverifiedNoteError
	var invalid *note.InvalidSignatureError
	switch {
	case errors.As(err, &none):
		return nil, nil
	case errors.As(err, &invalid):
		return nil, fmt.Errorf("a cosignature of %s that is not valid for this checkpoint and time", invalid.Name)
	case err != nil:
		return nil, err
	}
	place := func(s note.Signature) int {
		return slices.IndexFunc(id.witnesses, func(w Witness) bool { return w.Name() == s.Name && w.KeyHash() == s.Hash })
	}
	slices.SortFunc(n.Sigs, func(x, y note.Signature) int { return place(x) - place(y) })
	return usual(n.Sigs), nil
}

// usual spells signatures as proofs have to have them: the note format lets the last bits of their base64 be anything.
func usual(sigs []note.Signature) []note.Signature {
	for i, s := range sigs {
		if raw, err := base64.StdEncoding.DecodeString(s.Base64); err == nil { // as the library has read it
			sigs[i].Base64 = base64.StdEncoding.EncodeToString(raw)
		}
	}
	return sigs
}

// Cosignatures takes cosignatures of one witness from what it answers: signature lines (C2SP tlog-witness, section "add-checkpoint"). Those of keys that
// are not known are ignored; none that counts is an error.
func (id *Identity) Cosignatures(c *Checkpoint, w Witness, answer []byte, now time.Time) ([]note.Signature, error) {
	if strings.Contains("\n"+string(answer), "\n\n") {
		return nil, errors.New("more than lines of signatures")
	}
	alone := id.WitnessedBy(1, w)
	text, err := id.open(c.Note, checkpointName)
	if err != nil {
		return nil, err
	}
	sigs, err := alone.cosignatures([]byte(text+"\n"+string(answer)), now)
	if err == nil && len(sigs) == 0 {
		err = errors.New("no cosignature of its key")
	}
	return sigs, err
}

// Add gives the checkpoint with cosignatures: those that it has, and more. What nobody of the log or its witnesses has signed is left out.
func (id *Identity) Add(c *Checkpoint, now time.Time, more ...note.Signature) (*Checkpoint, error) {
	n, err := note.Open(c.Note, note.VerifierList(id.keys...))
	if err != nil {
		return nil, corrupt(checkpointName, "", err)
	}
	have, _ := id.cosignatures(c.Note, now) // what is not valid goes
	n.Sigs, n.UnverifiedSigs = usual(n.Sigs), nil
	for _, w := range id.witnesses {
		for _, s := range append(have, more...) {
			if s.Name == w.Name() && s.Hash == w.KeyHash() {
				n.UnverifiedSigs = append(n.UnverifiedSigs, s)
				break
			}
		}
	}
	data, err := note.Sign(n)
	if err != nil {
		return nil, fmt.Errorf("cosign checkpoint: %w", err)
	}
	return &Checkpoint{Size: c.Size, Root: c.Root, Note: data}, nil
}

// ProveGrowth gives the hashes by which somebody who knows the log at an earlier size sees that it has only grown (RFC 6962, section 2.1.2).
func (l *Log) ProveGrowth(ctx context.Context, c *Checkpoint, old int64) ([]tlog.Hash, error) {
	if old == 0 || old == c.Size {
		return nil, nil
	}
	hashes, err := tlog.ProveTree(c.Size, old, l.hashes(ctx, c))
	if err != nil {
		return nil, fmt.Errorf("prove growth of log: %w", err)
	}
	return hashes, nil
}

// Keep puts a checkpoint with its cosignatures in the place of the log's, for everybody to see. One that has enough of them already stays as it is, as does a later
// one: who made it has it cosigned.
func (l *Log) Keep(ctx context.Context, c *Checkpoint, now time.Time) error {
	unlock, err := l.objects.Lock(ctx)
	if err != nil {
		return fmt.Errorf("lock log: %w", err)
	}
	defer unlock()
	for range tries {
		latest, version, err := l.latest(ctx)
		if err != nil {
			return err
		}
		if latest.Size != c.Size || latest.Root != c.Root {
			return nil
		}
		if _, err := l.Cosigned(latest, now); err == nil {
			return nil
		}
		if err = l.objects.Swap(ctx, checkpointName, version, c.Note); !errors.Is(err, ErrChanged) {
			return err
		}
	}
	return nil
}
