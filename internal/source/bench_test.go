package source_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sello-release/sello/internal/source"
)

// BenchmarkExport exports 30,000 files of 4 KiB on average, in 630 folders, from one pack.
func BenchmarkExport(b *testing.B) {
	r := benchRepo(b)
	repo, err := source.Open(b.Context(), r.dir)
	if err != nil {
		b.Fatal(err)
	}
	commit := r.git("rev-parse", "HEAD")
	for n := 0; b.Loop(); n++ {
		tree, err := repo.Export(b.Context(), commit, filepath.Join(b.TempDir(), fmt.Sprint(n)), source.Limits{})
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(tree.Bytes)
	}
}

// BenchmarkPlainArchive is what git itself needs to unpack the same tree, without proving it.
func BenchmarkPlainArchive(b *testing.B) {
	r := benchRepo(b)
	for n := 0; b.Loop(); n++ {
		r.git("--work-tree="+b.TempDir(), "checkout", "-q", "HEAD", "--", ".")
	}
}

// benchRepo feeds a repository to git fast-import.
func benchRepo(b *testing.B) *testRepo {
	b.Helper()
	r := newRepo(b)
	random := rand.New(rand.NewPCG(1, 2))
	words := make([]string, 2000)
	for i := range words {
		words[i] = fmt.Sprintf("%012x ", random.Uint64()>>16)
	}
	var s strings.Builder
	fmt.Fprintf(&s, "commit refs/heads/main\ncommitter C <c@example.org> %d +0000\ndata 5\nbench\n", when)
	for i := range 30_000 {
		var text strings.Builder
		for range 50 + random.IntN(530) {
			text.WriteString(words[random.IntN(len(words))])
		}
		fmt.Fprintf(&s, "M 100644 inline dir%d/pkg%d/file%d.go\ndata %d\n%s\n", i/1000, i/50%20, i%50, text.Len(), text.String())
	}
	r.gitInput(s.String(), "fast-import", "--quiet")
	return r
}
