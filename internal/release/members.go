package release

import (
	"encoding/json"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/sello-release/sello/internal/engine"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sbom"
	"github.com/sello-release/sello/internal/stage"
)

// content is what is known of an output since it was collected: what an SBOM says of it, and by what to notice that
// it is another when it is packed. Its digests are not computed again for each archive and image that it goes into.
type content struct {
	SHA1   string `json:"sha1"`
	SHA256 string `json:"sha256"`
	CRC32  uint32 `json:"crc32"`
}

func contentOf(o engine.Output) content { return content{o.SHA1, o.SHA256, o.CRC32} }

// contents gives what is known of outputs, by the names that they have in an archive or image.
func (a *assembly) contents(outputs []stage.Artifact, nameOf func(stage.Artifact) string) map[string]content {
	known := map[string]content{}
	for _, c := range a.plan.Compiles {
		task := a.compiled[c.Name()]
		for _, s := range outputs {
			if s.Build != c.Build || s.Platform != c.Platform.String() {
				continue
			}
			if seen, ok := task.Value().Contents[s.Name]; ok {
				known[nameOf(s)] = seen
			}
		}
	}
	return known
}

// memberLog collects the hashes of an archive's files while they are packed.
type memberLog struct {
	known map[string]content // by name

	mu      sync.Mutex
	hashes  []*sbom.FileHash
	checked []*checkedFile
}

// checkedFile is a file of known content on its way into an archive. What damages files, by itself or by a fault of ours, does not
// keep CRC-32; against who can write to the work folder there is the rebuild.
type checkedFile struct {
	name string
	want content
	crc  hash.Hash32
}

// tap gives what a file's bytes have to be shown to.
func (m *memberLog) tap(name string) io.Writer {
	m.mu.Lock()
	defer m.mu.Unlock()
	if want, ok := m.known[name]; ok {
		f := &checkedFile{name, want, crc32.NewIEEE()}
		m.checked = append(m.checked, f)
		return f.crc
	}
	h := sbom.NewFileHash(name)
	m.hashes = append(m.hashes, h)
	return h
}

// files gives what was packed, by name, and refuses a file that is not the one that was collected.
func (m *memberLog) files() ([]sbom.File, error) {
	files := []sbom.File{}
	for _, h := range m.hashes {
		files = append(files, h.File())
	}
	for _, f := range m.checked {
		if got := f.crc.Sum32(); got != f.want.CRC32 {
			return nil, &gate.Refusal{Code: "output-changed", Class: gate.Failed, Where: f.name, What: "an output changed between the build and packing", Expected: fmt.Sprintf("CRC-32 %08x", f.want.CRC32),
				Actual: fmt.Sprintf("%08x", got), Fix: "look for what changes files in the work folder, or for a failing disk; then run the same command again"}
		}
		files = append(files, sbom.File{Name: f.name, SHA1: f.want.SHA1, SHA256: f.want.SHA256})
	}
	slices.SortFunc(files, func(x, y sbom.File) int { return strings.Compare(x.Name, y.Name) })
	return files, nil
}

// membersPath is where the hashes of an archive's files are kept for the description.
func (a *assembly) membersPath(archive string) string { return a.path("members", archive+".json") }

// keepMembers writes what was packed beside the work, by name.
func (a *assembly) keepMembers(archive string, m *memberLog) error {
	files, err := m.files()
	if err != nil {
		return err
	}
	data, err := json.Marshal(files)
	if err != nil {
		return fmt.Errorf("encode members: %w", err)
	}
	return writeFile(a.membersPath(archive), data)
}

// members gives the files of an archive that was packed, in this run or in an earlier one.
func (a *assembly) members(archive string) ([]sbom.File, error) {
	data, err := os.ReadFile(a.membersPath(archive))
	if err != nil {
		return nil, fmt.Errorf("read members: %w", err)
	}
	var files []sbom.File
	if err := json.Unmarshal(data, &files); err != nil {
		return nil, fmt.Errorf("read members of %s: %w", archive, err)
	}
	return files, nil
}
