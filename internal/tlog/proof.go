package tlog

import (
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/transparency-dev/formats/proof"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/sello-release/sello/internal/gate"
)

// ProofFile is the name of the proof in a release's folder. It proves that the release statement is in the log.
const ProofFile = "release.tlog-proof"

// MaxProof bounds a proof, in bytes.
const MaxProof = 256 << 10

// Proof says that an entry is in the log as a checkpoint has it, without the log (C2SP tlog-proof). The entry itself is the extra data.
type Proof struct {
	Entry      Entry
	Index      int64
	Checkpoint *Checkpoint
	hashes     []tlog.Hash
}

// Encode writes the proof.
func (p *Proof) Encode() ([]byte, error) {
	entry, err := p.Entry.Encode()
	if err != nil {
		return nil, err
	}
	out := proof.TLogProof{Index: uint64(p.Index), Checkpoint: p.Checkpoint.Note, ExtraData: entry} //nolint:gosec // not negative
	for _, h := range p.hashes {
		out.Hashes = append(out.Hashes, h)
	}
	return out.Marshal(), nil
}

// OpenProof reads a proof and verifies it: the checkpoint is signed by the log's key, and the entry is in it. It refuses, by code:
// log-untrusted, log-proof-invalid.
func (id *Identity) OpenProof(data []byte) (*Proof, error) {
	if len(data) > MaxProof {
		return nil, badProof(fmt.Sprintf("%d bytes", len(data)), nil)
	}
	var raw proof.TLogProof
	if err := raw.Unmarshal(data); err != nil {
		return nil, badProof("", err)
	}
	for line := range strings.Lines(string(raw.Checkpoint)) { // the note format lets the last bits of a signature's base64 be anything
		if sig, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "— "); ok {
			if _, err := base64.StdEncoding.Strict().DecodeString(sig[strings.LastIndexByte(sig, ' ')+1:]); err != nil {
				return nil, badProof("", err)
			}
		}
	}
	checkpoint, err := id.Checkpoint(raw.Checkpoint)
	if gate.Code(err) == "log-untrusted" {
		return nil, err
	}
	if err != nil {
		return nil, badProof("", err)
	}
	entry, err := DecodeEntry(raw.ExtraData)
	if err != nil {
		return nil, badProof("", err)
	}
	if raw.Index >= uint64(checkpoint.Size) { //nolint:gosec // not negative
		return nil, badProof(fmt.Sprintf("entry %d of %d", raw.Index, checkpoint.Size), nil)
	}
	p := &Proof{Entry: entry, Index: int64(raw.Index), Checkpoint: checkpoint} //nolint:gosec // below Size
	for _, h := range raw.Hashes {
		p.hashes = append(p.hashes, h)
	}
	if err := tlog.CheckRecord(p.hashes, checkpoint.Size, checkpoint.Root, p.Index, tlog.RecordHash(raw.ExtraData)); err != nil {
		return nil, badProof("", err)
	}
	if again, err := p.Encode(); err != nil || string(again) != string(data) { // one proof, one encoding: nothing hides in it
		return nil, badProof("an encoding that is not the usual one", err)
	}
	return p, nil
}

// Proves holds the proof to one file of a release. version may be empty where it is not known.
func (p *Proof) Proves(project, version, file, sha256 string) error {
	want := Entry{Project: project, Version: version, File: file, SHA256: sha256}
	if version == "" {
		want.Version = p.Entry.Version
	}
	if p.Entry != want {
		return mismatch(want.String(), p.Entry.String())
	}
	return nil
}

func badProof(actual string, cause error) error {
	if cause != nil {
		actual = strings.TrimSpace(actual + " " + cause.Error())
	}
	return &gate.Refusal{Code: "log-proof-invalid", What: "this does not prove that the release is in the project's transparency log", Where: ProofFile, Actual: actual,
		Expected: "a proof that leads from the release statement to a signed checkpoint", Fix: "download the release again; if it stays so, do not use it"}
}
