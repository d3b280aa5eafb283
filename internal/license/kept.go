package license

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"

	"github.com/google/licensecheck"
)

// kept is what the licence patterns found in texts, by the texts' SHA-256, and a file in which it outlives the process:
// patterns need a second to compile, and the same texts come again and again. What it gives is what a scan would give: it is
// thrown away when the patterns or their matcher are others, or a byte of the file is not what was written.
type kept struct {
	file string
	mu   sync.Mutex
	old  map[string]cover // as the file has it
	now  map[string]cover // those that were asked for
	more bool             // some of them are not in the file
	load func()
}

// cover is what a scan found: the share of words in per cent, and the matches in their order.
type cover struct {
	Percent float64 `json:"percent"`
	Match   []match `json:"match,omitempty"`
}

type match struct {
	ID    string `json:"id"`
	Start int    `json:"start"` // bytes
	End   int    `json:"end"`
}

// Bounds of the file.
const (
	maxKept     = 20_000   // texts
	maxKeptFile = 32 << 20 // bytes
)

func newKept(file string) *kept {
	k := &kept{file: file, now: map[string]cover{}}
	k.load = sync.OnceFunc(func() { k.old = readKept(file) })
	return k
}

// get gives what was found in text, or finds it.
func (k *kept) get(sum string, text []byte, scan func([]byte) cover) cover {
	if k.file == "" {
		return scan(text)
	}
	k.load()
	c, ok := k.old[sum]
	if !ok || !c.fits(text) {
		c, ok = scan(text), false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.now[sum] = c
	k.more = k.more || !ok
	return c
}

func (c cover) fits(text []byte) bool {
	for _, m := range c.Match {
		if m.Start < 0 || m.End < m.Start || m.End > len(text) {
			return false
		}
	}
	return true
}

// keptFile is the file's content, behind a line with its SHA-256.
type keptFile struct {
	Patterns string           `json:"patterns"`
	Texts    map[string]cover `json:"texts"`
}

func readKept(name string) map[string]cover {
	f, err := os.Open(name)
	if err != nil {
		return nil
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxKeptFile+1))
	if err != nil || len(data) > maxKeptFile {
		return nil
	}
	sum, body, _ := bytes.Cut(data, []byte("\n"))
	var in keptFile
	if string(sum) != sumOf(body) || json.Unmarshal(body, &in) != nil || in.Patterns != patterns() {
		return nil
	}
	return in.Texts
}

// save writes what was found to the file, when there is something new.
func (k *kept) save() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.more {
		return nil
	}
	for sum, c := range k.old {
		if _, ok := k.now[sum]; !ok && len(k.now) < maxKept {
			k.now[sum] = c
		}
	}
	body, err := json.Marshal(keptFile{patterns(), k.now})
	if err != nil {
		return fmt.Errorf("keep licences of texts: %w", err)
	}
	if len(k.now) > maxKept || len(body) >= maxKeptFile-2*sha256.Size-1 {
		return nil // one run of so many texts is nothing that comes again
	}
	if err := replaceFile(k.file, append([]byte(sumOf(body)+"\n"), body...)); err != nil {
		return fmt.Errorf("keep licences of texts: %w", err)
	}
	k.more = false
	return nil
}

// replaceFile writes a file whole or not at all.
func replaceFile(name string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// patterns names everything that decides what is found in a text: the patterns, which of them come first and how far they
// have to reach, and the version of their matcher.
var patterns = sync.OnceValue(func() string {
	h := sha256.New()
	fmt.Fprintln(h, "1", nearlyAll, commonLicenses)
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == "github.com/google/licensecheck" {
				fmt.Fprintln(h, m.Version, m.Sum, m.Replace != nil)
			}
		}
	}
	for _, l := range licensecheck.BuiltinLicenses() {
		fmt.Fprintf(h, "%q %q %d\n%s", l.ID, l.URL, len(l.LRE), l.LRE)
	}
	return hex.EncodeToString(h.Sum(nil))
})
