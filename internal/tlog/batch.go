package tlog

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"context"

	"golang.org/x/mod/sumdb/note"
)

// Limits on what is added in one step: the library takes notes of up to a million bytes.
const (
	maxBatch        = 1_000_000
	maxBatchEntries = 1000
)

// batch is what is being added, or was added last: entries that come one after the other from first on. It is written down, signed,
// before any tile is, so that tiles have one content whoever writes them.
type batch struct {
	first   int64
	entries [][]byte
}

func (b *batch) end() int64 { return b.first + int64(len(b.entries)) }

func (b *batch) same(entries [][]byte) bool {
	return slices.EqualFunc(b.entries, entries, func(x, y []byte) bool { return string(x) == string(y) })
}

// batchTitle is the first line of a signed batch; no checkpoint begins like it.
func (id *Identity) batchTitle() string { return id.Origin + " batch" }

func (id *Identity) encodeBatch(b *batch, s note.Signer) ([]byte, error) {
	var text strings.Builder
	fmt.Fprintf(&text, "%s\n%d\n", id.batchTitle(), b.first)
	for _, e := range b.entries {
		text.WriteString(base64.StdEncoding.EncodeToString(e) + "\n")
	}
	data, err := note.Sign(&note.Note{Text: text.String()}, s)
	if err != nil {
		return nil, fmt.Errorf("sign batch of log entries: %w", err)
	}
	return data, nil
}

func (id *Identity) decodeBatch(data []byte) (*batch, error) {
	text, err := id.open(data, batchName)
	if err != nil {
		return nil, err
	}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) < 3 || lines[0] != id.batchTitle() || len(lines)-2 > maxBatchEntries {
		return nil, corrupt(batchName, "", errors.New("not a batch of this log"))
	}
	b := &batch{}
	if b.first, err = strconv.ParseInt(lines[1], 10, 64); err != nil || b.first < 0 || b.first > maxEntries {
		return nil, corrupt(batchName, lines[1], err)
	}
	for _, line := range lines[2:] {
		e, err := base64.StdEncoding.DecodeString(line)
		if err != nil || len(e) > maxEntry {
			return nil, corrupt(batchName, "", err)
		}
		b.entries = append(b.entries, e)
	}
	return b, nil
}

// pending reads the last batch; nil when there was none.
func (l *Log) pending(ctx context.Context) (*batch, string, error) {
	data, version, err := l.read(ctx, batchName, maxBatch)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", err
	}
	b, err := l.decodeBatch(data)
	return b, version, err
}
