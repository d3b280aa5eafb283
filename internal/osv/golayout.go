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

// goLayout reads what the index of a mirror of Go's vulnerability database names for the modules that are wanted.
func (l *loader) goLayout(ctx context.Context, root *os.Root, dir string) error {
	var db struct {
		Modified time.Time `json:"modified"`
	}
	if err := readIndex(root, path.Join(dir, "index", "db.json"), &db); err != nil {
		return err
	}
	var modules []goIndex
	name := path.Join(dir, "index", "modules.json")
	if err := readIndex(root, name, &modules); err != nil {
		return err
	}
	l.mu.Lock()
	l.newer(db.Modified)
	l.covered["Go"] = l.covered["Go"] || len(modules) > 0
	l.mu.Unlock()
	asked := map[string]bool{}
	for _, m := range modules {
		if !l.want[keyOf("Go", m.Path)] {
			continue
		}
		for _, v := range m.Vulns {
			if !plainID(v.ID) {
				return invalid(name, fmt.Errorf("id %.100q", v.ID))
			}
			if asked[v.ID] {
				continue
			}
			asked[v.ID] = true
			l.group.Go(func() error {
				if err := ctx.Err(); err != nil {
					return err
				}
				return l.goRecord(root, path.Join(dir, "ID", v.ID+".json"))
			})
		}
	}
	return nil
}

func (l *loader) goRecord(root *os.Root, name string) error {
	err := l.file(root, name)
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
