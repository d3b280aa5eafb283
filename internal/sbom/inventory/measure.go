package inventory

import (
	"bytes"
	"debug/elf"
	"debug/macho"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/sello-release/sello/internal/sbom"
)

// measured is what a Go program's table of functions says, which is in every program and which the build information does not come from.
type measured struct {
	packages  int
	present   int      // modules of the build information of which there is code in the program
	claimed   int      // modules of the build information
	unclaimed []string // packages with code in the program that belong to none of them
}

const (
	maxTable     = 256 << 20 // bytes of the table of functions
	maxUnclaimed = 20        // packages that are named
)

// measure compares the packages that have code in the program with the modules that its build information names. It
// gives nil where the table cannot be found: a program need not have one in a place of its own.
func measure(at io.ReaderAt, b *sbom.Binary) (m *measured) {
	defer func() {
		if recover() != nil { // readers of executables promise less than we do
			m = nil
		}
	}()
	names := functionNames(at)
	if names == nil || b.Main.Path == "" {
		return nil
	}
	modules := map[string]bool{b.Main.Path: false}
	for _, d := range b.Deps {
		modules[d.Path] = false
	}
	m = &measured{claimed: len(modules)}
	unclaimed := map[string]bool{}
	for pkg := range packagesOf(names) {
		m.packages++
		if pkg == "main" {
			modules[b.Main.Path] = true
			continue
		}
		owner := pkg
		for owner != "" {
			if _, ok := modules[owner]; ok {
				break
			}
			owner = owner[:max(strings.LastIndexByte(owner, '/'), 0)]
		}
		first, _, _ := strings.Cut(pkg, "/")
		switch {
		case owner != "":
			modules[owner] = true
		case strings.Contains(first, "."):
			unclaimed[pkg] = true
		}
	}
	for _, there := range modules {
		if there {
			m.present++
		}
	}
	m.unclaimed = slices.Sorted(maps.Keys(unclaimed))
	return m
}

// notes say what was found, in sentences.
func (m *measured) notes() []string {
	if m == nil {
		return nil
	}
	out := []string{fmt.Sprintf("Claimed by the build information: %d modules. Measured in the program's table of functions: code of %d of them; "+
		"others have no function of their own in it", m.claimed, m.present)}
	if n := len(m.unclaimed); n > 0 {
		more := ""
		if n > maxUnclaimed {
			more = fmt.Sprintf(" and %d more", n-maxUnclaimed)
		}
		out = append(out, "The build information is not whole: there is code of packages whose modules it does not name: "+
			strings.Join(m.unclaimed[:min(n, maxUnclaimed)], ", ")+more)
	}
	return out
}

// packagesOf gives the import paths in a table of function names.
func packagesOf(names []byte) map[string]bool {
	out := map[string]bool{}
	var last []byte
	for len(names) > 0 {
		var name []byte
		name, names, _ = bytes.Cut(names, []byte{0})
		if i := bytes.IndexByte(name, '['); i >= 0 { // a generic function's arguments have slashes and dots, too
			name = name[:i]
		}
		slash := bytes.LastIndexByte(name, '/') + 1
		dot := bytes.IndexByte(name[slash:], '.')
		if dot <= 0 || bytes.Equal(name[:slash+dot], last) {
			continue
		}
		last = name[:slash+dot]
		pkg := string(last)
		if strings.ContainsAny(pkg, ":( \t*") || strings.HasPrefix(pkg, "vendor/") || len(pkg) > 1000 {
			continue
		}
		if plain, err := url.PathUnescape(pkg); err == nil {
			pkg = plain
		}
		out[strings.ToValidUTF8(pkg, "?")] = true
	}
	return out
}

// functionNames gives the names in a program's table of functions, each with a zero behind it; nil when it was not found.
func functionNames(at io.ReaderAt) []byte {
	table := functionTable(at)
	if table == nil {
		return nil
	}
	head := make([]byte, 8+5*8)
	if n, _ := table.ReadAt(head, 0); n < len(head) {
		return nil
	}
	var order binary.ByteOrder = binary.LittleEndian
	if head[0] == 0xff {
		order = binary.BigEndian
	}
	word := int(head[7])
	first := 8 + 3*word // after the numbers of functions and files, and the text's start
	switch order.Uint32(head) {
	case 0xfffffff1, 0xfffffff0: // Go 1.20, Go 1.18
	case 0xfffffffa: // Go 1.16
		first = 8 + 2*word
	default:
		return nil
	}
	at64 := func(off int) uint64 {
		if word == 4 {
			return uint64(order.Uint32(head[off:]))
		}
		return order.Uint64(head[off:])
	}
	if word != 4 && word != 8 {
		return nil
	}
	from, to := at64(first), at64(first+word)
	if from > to || to > uint64(table.Size()) {
		return nil
	}
	names := make([]byte, to-from)
	if n, _ := table.ReadAt(names, int64(from)); n < len(names) {
		return nil
	}
	return names
}

// functionTable gives the section that the table of functions is; nil when there is none.
func functionTable(at io.ReaderAt) *io.SectionReader {
	if f, err := elf.NewFile(at); err == nil {
		for _, s := range f.Sections {
			if (s.Name == ".gopclntab" || s.Name == ".data.rel.ro.gopclntab") && s.Type != elf.SHT_NOBITS && s.FileSize == s.Size {
				return section(s.Size, s)
			}
		}
		return nil
	}
	if f, err := macho.NewFile(at); err == nil {
		if s := f.Section("__gopclntab"); s != nil {
			return section(s.Size, s)
		}
	}
	return nil
}

// section gives a section that is there to its last byte.
func section(size uint64, at io.ReaderAt) *io.SectionReader {
	if size == 0 || size > maxTable {
		return nil
	}
	if n, _ := at.ReadAt(make([]byte, 1), int64(size)-1); n == 0 {
		return nil
	}
	return io.NewSectionReader(at, 0, int64(size))
}
