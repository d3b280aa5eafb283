package pack

import (
	"bufio"
	"cmp"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/sello-release/sello/internal/gate"
)

// Checksum is one line of a checksum file.
type Checksum struct {
	Name string // path, relative to the checksum file
	Sum  string // lower-case hex
}

// Checksums writes "<hex>  <path>" lines, sorted by path, as sha256sum and
// sha512sum check them. algo is "sha256" or "sha512". Names that those programs
// would have to escape, or would take as standard input, are refused.
func Checksums(w io.Writer, algo string, items []Checksum) error {
	length, ok := map[string]int{"sha256": 64, "sha512": 128}[algo]
	if !ok {
		return fmt.Errorf("write checksums: unknown algorithm %q", algo)
	}
	sorted := slices.Clone(items)
	slices.SortFunc(sorted, func(a, b Checksum) int { return cmp.Compare(a.Name, b.Name) })
	b := bufio.NewWriter(w)
	for i, c := range sorted {
		if err := CheckName(c.Name); err != nil {
			return err
		}
		if c.Name == "-" {
			return &gate.Refusal{Code: CodeBadName, What: "a checksum file reads this name as standard input", Where: `"-"`, Fix: "rename the file"}
		}
		if i > 0 && sorted[i-1].Name == c.Name {
			return duplicate(c.Name, c.Name)
		}
		if _, err := hex.DecodeString(c.Sum); err != nil || len(c.Sum) != length || strings.ToLower(c.Sum) != c.Sum {
			return fmt.Errorf("write checksum of %q: %q is no %s", c.Name, short(c.Sum), algo)
		}
		fmt.Fprintf(b, "%s  %s\n", c.Sum, c.Name)
	}
	return b.Flush()
}
