package gomod

import (
	"bufio"
	"bytes"
	"fmt"
	"strings"

	"golang.org/x/mod/module"

	"github.com/sello-release/sello/internal/gate"
)

// goSum holds the hashes of go.sum files, by module version; a version that ends in /go.mod means the go.mod file.
type goSum map[module.Version][]string

// parseGoSum adds the lines of a go.sum file called name.
func (sums goSum) parse(name string, data []byte) error {
	lines := bufio.NewScanner(bytes.NewReader(data))
	for n := 1; lines.Scan(); n++ {
		f := strings.Fields(lines.Text())
		if len(f) == 0 {
			continue
		}
		if len(f) != 3 {
			return badGoSum(fmt.Sprintf("%s:%d", name, n), fmt.Sprintf("%d fields", len(f)))
		}
		if mv := (module.Version{Path: f[0], Version: f[1]}); strings.HasPrefix(f[2], "h1:") {
			sums[mv] = append(sums[mv], f[2])
		}
	}
	if err := lines.Err(); err != nil {
		return badGoSum(name, err.Error())
	}
	return nil
}

func badGoSum(where, actual string) error {
	return &gate.Refusal{Code: "gosum-invalid", Class: gate.Usage, What: "go.sum cannot be read", Where: where,
		Expected: "module, version and hash on each line", Actual: actual, Fix: "git checkout go.sum, or go mod tidy"}
}

// check refuses a module whose hashes are not in go.sum, or are other ones. The go
// command checks this too; a release does not rest on one reading.
func (sums goSum) check(m fetched) error {
	if m.hasZip() {
		if err := sums.checkOne(m.Version, m.h1); err != nil {
			return err
		}
	}
	return sums.checkOne(module.Version{Path: m.Path, Version: m.Version.Version + "/go.mod"}, m.modH1)
}

func (sums goSum) checkOne(mv module.Version, h1 string) error {
	want := sums[mv]
	if len(want) == 0 {
		return notInGoSum(mv.String(), "")
	}
	for _, w := range want {
		if w != h1 {
			return sumMismatch(mv.String(), "go.sum", w, h1)
		}
	}
	return nil
}
