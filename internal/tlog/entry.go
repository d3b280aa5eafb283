package tlog

import (
	"encoding/json"
	"fmt"

	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/strictjson"
)

// maxEntry bounds one entry, in bytes: what two bytes can count (C2SP tlog-tiles, log entries).
const maxEntry = 1<<16 - 1

// Entry is one thing that was released: a signed file of a release, by its content.
type Entry struct {
	Project string `json:"project"`
	Version string `json:"version"`
	File    string `json:"file"`   // its name in the release
	SHA256  string `json:"sha256"` // 64 hex
}

// Encode gives the entry's one encoding.
func (e Entry) Encode() ([]byte, error) {
	data, err := json.Marshal(e)
	if err == nil {
		err = e.check()
	}
	if err != nil {
		return nil, fmt.Errorf("encode log entry: %w", err)
	}
	if len(data) > maxEntry {
		return nil, fmt.Errorf("encode log entry: %d bytes are more than %d", len(data), maxEntry)
	}
	return data, nil
}

func (e Entry) check() error {
	if e.Project == "" || e.Version == "" || e.File == "" || !digest.IsSHA256(e.SHA256) {
		return fmt.Errorf("an entry names a project, a version, a file and its SHA-256, not %.300q", fmt.Sprint(e))
	}
	return nil
}

// String is the entry for people.
func (e Entry) String() string {
	return e.Project + " " + e.Version + " " + e.File + " sha256:" + e.SHA256
}

// DecodeEntry reads an entry; only its one encoding is taken, so that an entry has one hash.
func DecodeEntry(data []byte) (Entry, error) {
	var e Entry
	if len(data) > maxEntry {
		return e, corrupt("entry", fmt.Sprintf("%d bytes", len(data)), nil)
	}
	if err := strictjson.Unmarshal(data, &e); err != nil {
		return e, corrupt("entry", fmt.Sprintf("%.200q", data), err)
	}
	if again, err := e.Encode(); err != nil || string(again) != string(data) {
		return e, corrupt("entry", fmt.Sprintf("%.200q", data), err)
	}
	return e, nil
}

// mismatch refuses a proof of something else.
func mismatch(expected, actual string) error {
	return &gate.Refusal{Code: "log-entry-mismatch", What: "the proof is about something else", Expected: expected, Actual: actual, Fix: "download the release again, with its " + ProofFile}
}
