package source

import (
	"bytes"
	"errors"
	"strconv"
)

// A mode is what a tree says an entry is.
type mode uint32

const (
	modeFolder     mode = 0o040000
	modeFile       mode = 0o100644
	modeGroupFile  mode = 0o100664 // written by git before 2005-10; a file
	modeExecutable mode = 0o100755
	modeSymlink    mode = 0o120000
	modeSubmodule  mode = 0o160000
)

func (m mode) isFile() bool { return m == modeFile || m == modeGroupFile || m == modeExecutable }

func (m mode) known() bool {
	return m.isFile() || m == modeFolder || m == modeSymlink || m == modeSubmodule
}

// entry is one line of a tree object. Name and id share the object's memory.
type entry struct {
	mode mode
	name string
	id   rawID
}

// parseTree reads a tree object: "mode SP name NUL id" again and again. It checks the
// form and the order, not whether the names are safe: see checkFolder.
func parseTree(f format, body []byte) ([]entry, error) {
	text := string(body)
	entries := make([]entry, 0, len(body)/(f.size+16))
	for len(body) > 0 {
		space := bytes.IndexByte(body, ' ')
		if space < 1 || space > 7 {
			return nil, errors.New("an entry has no mode")
		}
		m, err := strconv.ParseUint(string(body[:space]), 8, 32)
		if err != nil {
			return nil, errors.New("a mode is not octal")
		}
		nul := bytes.IndexByte(body, 0)
		if nul < space {
			return nil, errors.New("an entry has no name")
		}
		end := nul + 1 + f.size
		if end > len(body) {
			return nil, errors.New("the last id is cut off")
		}
		at := len(text) - len(body)
		e := entry{mode: mode(m), name: text[at+space+1 : at+nul], id: rawID(text[at+nul+1 : at+end])}
		if n := len(entries); n > 0 && !ordered(entries[n-1], e) {
			return nil, errors.New("the entries are not sorted")
		}
		entries = append(entries, e)
		body = body[end:]
	}
	return entries, nil
}

// ordered reports whether b may follow a: git sorts by bytes, folders as if they
// ended with a slash. Equal names are in order; they are refused as duplicates.
func ordered(a, b entry) bool {
	if a.name == b.name {
		return true
	}
	return a.sortKey() < b.sortKey()
}

func (e entry) sortKey() string {
	if e.mode == modeFolder {
		return e.name + "/"
	}
	return e.name
}

// find gives the one entry with this name. Two of them are an error: which one is meant?
func find(entries []entry, name string) (entry, bool, error) {
	var found entry
	n := 0
	for _, e := range entries {
		if e.name == name {
			found = e
			n++
		}
	}
	if n > 1 {
		return entry{}, false, errTwice
	}
	return found, n == 1, nil
}

var errTwice = errors.New("a name is there twice")
