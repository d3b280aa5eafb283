package sign

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/strictjson"
)

// maxCollected bounds how many attestations one file may hold.
const maxCollected = 1000

// Collected is one attestation of a file that holds several: a bundle, or why it is none.
type Collected struct {
	Bundle *Bundle
	Err    error
	Line   int // in a file of lines, from 1 on; 0 in any other
}

// Collect finds the attestations in what tools write and services give: a Sigstore bundle, a bare DSSE envelope, either of
// them a line (.jsonl), GitHub's and npm's answers ({"attestations": [{"bundle": …}]}), and what gcloud prints
// ({"provenance_summary": {"provenance": [{"envelope": …}]}}). It refuses with bad-json what holds none.
func Collect(data []byte) ([]Collected, error) {
	if len(data) > MaxBundle {
		return nil, badJSON(fmt.Errorf("%d bytes, more than %d", len(data), MaxBundle))
	}
	all, err := collectOne(data)
	if err == nil {
		return bounded(all)
	}
	lines := bytes.Split(data, []byte("\n"))
	if len(lines) < 2 {
		return nil, err
	}
	good := false
	for i, line := range lines {
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		some, failed := collectOne(line)
		if failed != nil {
			some = []Collected{{Err: failed}}
		}
		good = good || failed == nil
		for _, one := range some {
			one.Line = i + 1
			all = append(all, one)
		}
		if len(all) > maxCollected {
			break
		}
	}
	if !good { // not a file of lines, then
		return nil, err
	}
	return bounded(all)
}

func bounded(all []Collected) ([]Collected, error) {
	switch {
	case len(all) == 0:
		return nil, badJSON(errors.New("it holds no attestation"))
	case len(all) > maxCollected:
		return nil, badJSON(fmt.Errorf("more than %d attestations", maxCollected))
	}
	return all, nil
}

// collectOne reads one JSON value.
func collectOne(data []byte) ([]Collected, error) {
	top, err := openObject(data)
	if err != nil {
		return nil, err
	}
	r := reader{}
	var all []Collected
	add := func(b *Bundle, err error) { all = append(all, Collected{Bundle: b, Err: err}) }
	switch {
	case top["attestations"] != nil:
		for _, one := range r.list(top, "attestations") {
			add(ParseBundle(one["bundle"]))
		}
	case top["provenance_summary"] != nil:
		for _, one := range r.list(r.object(top, "provenance_summary"), "provenance") {
			all = append(all, collectEnvelope(one["envelope"])...)
		}
	case top["payload"] != nil:
		all = collectEnvelope(data)
	default:
		b, err := ParseBundle(data)
		if err != nil {
			return nil, err
		}
		add(b, nil)
	}
	return all, r.err
}

// collectEnvelope reads a bare envelope. DSSE lets several sign one; each is an attestation of its own here.
func collectEnvelope(data []byte) []Collected {
	b, err := ParseEnvelope(data)
	if gate.Code(err) != "too-many-signatures" {
		return []Collected{{Bundle: b, Err: err}}
	}
	var e struct {
		Payload     string            `json:"payload"`
		PayloadType string            `json:"payloadType"`
		Signatures  []json.RawMessage `json:"signatures"`
	}
	if err := strictjson.Unmarshal(data, &e); err != nil || len(e.Signatures) > maxCollected {
		return []Collected{{Err: badJSON(fmt.Errorf("%d signatures: %w", len(e.Signatures), cmp.Or(err, errors.New("too many"))))}}
	}
	var all []Collected
	for _, s := range e.Signatures {
		one := e
		one.Signatures = []json.RawMessage{s}
		single, err := json.Marshal(one)
		if err != nil {
			return []Collected{{Err: badJSON(err)}}
		}
		b, err := ParseEnvelope(single)
		all = append(all, Collected{Bundle: b, Err: err})
	}
	return all
}

func (r *reader) list(m map[string]json.RawMessage, name string) []map[string]json.RawMessage {
	var out []map[string]json.RawMessage
	if raw := m[name]; len(raw) > 0 {
		if err := json.Unmarshal(raw, &out); err != nil {
			r.fail(badJSON(fmt.Errorf("%s: %w", name, err)))
		}
	}
	return out
}
