package flow

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/sello-release/sello/internal/gate"
)

// ReadJournal gives the records of the journal at path, oldest first. A torn
// last line is left out; anything else that is not a record is refused with code
// journal-corrupt and its line. A journal that does not exist is an fs.ErrNotExist.
func ReadJournal(path string) ([]Record, error) {
	records, _, err := readJournal(path)
	return records, err
}

func readJournal(path string) (records []Record, size int64, err error) {
	if st, err := os.Stat(path); err == nil && !st.Mode().IsRegular() {
		return nil, 0, corrupt(path, 1, "it is no regular file", nil)
	}
	f, err := openBeside(path, os.O_RDONLY)
	if err != nil {
		return nil, 0, fmt.Errorf("read journal: %w", err)
	}
	defer f.Close()
	return parseJournal(path, f)
}

// cutTorn shortens the file to what is whole.
func cutTorn(path string, size int64) error {
	f, err := openBeside(path, os.O_WRONLY)
	if err != nil {
		return err
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || st.Size() == size {
		return err
	}
	if err := f.Truncate(size); err != nil {
		return err
	}
	return f.Sync()
}

// openBeside opens a file in its own folder: not through a link that leads elsewhere.
func openBeside(path string, flag int) (*os.File, error) {
	root, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return root.OpenFile(filepath.Base(path), flag, 0o644)
}

// parseJournal also gives the length of what is whole.
func parseJournal(path string, r io.Reader) (records []Record, size int64, err error) {
	in := bufio.NewReaderSize(r, 64<<10)
	for number := 1; ; number++ {
		line, err := readLine(in)
		switch {
		case errors.Is(err, io.EOF):
			return records, size, nil // without a newline the line is torn
		case errors.Is(err, errTooLong):
			return nil, 0, corrupt(path, number, fmt.Sprintf("the line is longer than %d bytes", maxLine), nil)
		case err != nil:
			return nil, 0, fmt.Errorf("read journal: %w", err)
		}
		size += int64(len(line))
		if size > maxJournal {
			return nil, 0, corrupt(path, number, fmt.Sprintf("the file is longer than %d bytes", maxJournal), nil)
		}
		record, err := parseRecord(line)
		if err != nil {
			return nil, 0, corrupt(path, number, "the line is no record", err)
		}
		records = append(records, record)
	}
}

var errTooLong = errors.New("line too long")

// readLine gives one line with its newline, or io.EOF when the rest has none.
func readLine(in *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > maxLine {
			return nil, errTooLong
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
}

func parseRecord(line []byte) (Record, error) {
	var r Record
	dec := json.NewDecoder(bytes.NewReader(line))
	if err := dec.Decode(&r); err != nil {
		return r, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return r, errors.New("something follows the record")
	}
	if r.Event == "" || r.Run == "" || r.Time.IsZero() {
		return r, errors.New("time, run or event is missing")
	}
	return r, nil
}

func corrupt(path string, line int, why string, cause error) error {
	return &gate.Refusal{
		Code: "journal-corrupt", Class: gate.Failed, What: "the journal is corrupt: " + why, Where: fmt.Sprintf("%s:%d", path, line),
		Expected: "one JSON record a line", Fix: "move the file away and run the same command again: every step then runs anew", Cause: cause,
	}
}
