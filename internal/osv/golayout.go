package osv

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/strictjson"
)

// maxIndex is the largest index of Go's vulnerability database that is read, in bytes.
const maxIndex = 256 << 20

// goIndex is an entry of index/modules.json in Go's vulnerability database.
type goIndex struct {
	Path  string `json:"path"`
	Vulns []struct {
		ID string `json:"id"`
	} `json:"vulns"`
}

// goMirror is a mirror of Go's vulnerability database, whose index says what is in it.
type goMirror struct {
	named map[string]bool // ids
}

// has holds for the index's own files, and for records that it names. Others are like any in a folder.
func (m *goMirror) has(p string) bool {
	name := strings.TrimSuffix(path.Base(p), ".gz")
	id, record := strings.CutSuffix(name, ".json")
	switch path.Base(path.Dir(p)) {
	case "index":
		return name == "db.json" || name == "modules.json" || name == "vulns.json"
	case "ID":
		return record && (m.named[id] || id == "index")
	}
	return false
}

// goLayout reads what the index of a mirror of Go's vulnerability database names for the modules that are wanted.
func (l *loader) goLayout(ctx context.Context, root *os.Root, dir string) (*goMirror, error) {
	var db struct {
		Modified time.Time `json:"modified"`
	}
	if err := readIndex(root, path.Join(dir, "index", "db.json"), &db); err != nil {
		return nil, err
	}
	var modules []goIndex
	name := path.Join(dir, "index", "modules.json")
	if err := readIndex(root, name, &modules); err != nil {
		return nil, err
	}
	mirror := &goMirror{named: map[string]bool{}}
	in := &part{stated: db.Modified}
	if len(modules) > 0 {
		in.newest = map[string]time.Time{"Go": db.Modified}
	}
	l.mirrors = append(l.mirrors, in)
	asked := map[string]bool{}
	for _, m := range modules {
		wanted := l.want[keyOf("Go", m.Path)]
		for _, v := range m.Vulns {
			if !ValidID(v.ID) {
				return nil, invalid(name, fmt.Errorf("id %.100q", v.ID))
			}
			mirror.named[v.ID] = true
			if !wanted || asked[v.ID] {
				continue
			}
			asked[v.ID] = true
			l.group.Go(func() error {
				if err := ctx.Err(); err != nil {
					return err
				}
				return l.goRecord(root, path.Join(dir, "ID", v.ID+".json"), in)
			})
		}
	}
	return mirror, nil
}

func (l *loader) goRecord(root *os.Root, name string, in *part) error {
	err := l.file(root, name, in)
	if errors.Is(err, fs.ErrNotExist) {
		return &gate.Refusal{Code: "vuln-db-invalid", Where: name, What: "the index of the vulnerability database names a record that is not there", Expected: name, Actual: "no such file", Fix: "mirror the database again"}
	}
	return err
}

func readIndex(root *os.Root, name string, v any) error {
	fail := func(err error) error {
		return &gate.Refusal{Code: "vuln-db-invalid", Where: name, What: "the index of the vulnerability database cannot be read", Expected: "the layout of Go's vulnerability database", Fix: "mirror the database again", Cause: err}
	}
	f, err := root.Open(name)
	if err != nil {
		return fail(err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxIndex+1))
	if err != nil {
		return fail(err)
	}
	if len(data) > maxIndex {
		return fail(fmt.Errorf("more than %d bytes", maxIndex))
	}
	if err := strictjson.Check(data); err != nil {
		return fail(err)
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fail(err)
	}
	return nil
}
