package gomod

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"go/version"

	"golang.org/x/mod/modfile"

	"github.com/sello-release/sello/internal/gate"
)

// maxModFile bounds a go.mod, go.work or modules.txt file; maxSumFile a go.sum file. In bytes.
const (
	maxModFile = 16 << 20
	maxSumFile = 64 << 20
)

// plan is what the files of a source say before any go command runs. Paths are
// slash-separated and relative to the source.
type plan struct {
	source  string // on the host
	dir     string
	module  string // folder of go.mod; "" in a workspace whose root is no module
	work    string // go.work in force, or "off"
	vendor  string // vendor folder that the go command would use, or ""
	members []string
	sums    goSum
}

// readPlan finds the module and the workspace that apply to dir. Nothing outside
// the source is looked at: a go.mod or go.work further up is not the project's. Without
// workspaces, go.work is passed over as by GOWORK=off.
func readPlan(source, dir string, workspaces bool) (plan, error) {
	p := plan{source: source, dir: path.Clean(filepath.ToSlash(dir)), work: "off", sums: goSum{}}
	if !filepath.IsLocal(filepath.FromSlash(p.dir)) {
		return p, &gate.Refusal{Code: "module-missing", Class: gate.Usage, What: "the folder of the module is not in the source", Where: dir, Fix: "set builds[].go.dir to a folder of the source"}
	}
	root, err := os.OpenRoot(source)
	if err != nil {
		return p, fmt.Errorf("open source: %w", err)
	}
	defer root.Close()
	moduleFile := nearest(root, p.dir, "go.mod")
	var work *modfile.WorkFile
	if name := nearest(root, p.dir, "go.work"); name != "" && workspaces {
		if work, err = p.readWork(root, name, moduleFile); err != nil {
			return p, err
		}
	}
	if moduleFile == "" && work == nil {
		return p, &gate.Refusal{Code: "module-missing", Class: gate.Usage, What: "there is no go.mod file", Where: p.dir, Expected: "go.mod in " + p.dir + " or above it, in the source", Fix: "set builds[].go.dir"}
	}
	if moduleFile != "" {
		p.module = path.Dir(moduleFile)
	}
	if work == nil {
		p.members = []string{p.module}
	}
	lang := ""
	for _, m := range p.members {
		if lang, err = p.readModule(root, m); err != nil {
			return p, err
		}
	}
	return p, p.findVendor(root, work, lang)
}

// nearest finds a file in dir or above it.
func nearest(root *os.Root, dir, name string) string {
	for ; ; dir = path.Dir(dir) {
		file := path.Join(dir, name)
		if info, err := root.Stat(filepath.FromSlash(file)); err == nil && info.Mode().IsRegular() {
			return file
		}
		if dir == "." {
			return ""
		}
	}
}

// readWork gives the workspace when it uses the module, or there is no module.
func (p *plan) readWork(root *os.Root, name, moduleFile string) (*modfile.WorkFile, error) {
	data, err := readIn(root, name, maxModFile)
	if err != nil {
		return nil, err
	}
	work, err := modfile.ParseWork(name, data, nil)
	if err != nil {
		return nil, badModFile(name, err)
	}
	base := path.Dir(name)
	applies := moduleFile == ""
	var members []string
	for _, use := range work.Use {
		dir, err := inside(root, name, use.Syntax, base, use.Path)
		if err != nil {
			return nil, err
		}
		members = append(members, dir)
		applies = applies || moduleFile != "" && dir == path.Dir(moduleFile)
	}
	if !applies {
		return nil, nil
	}
	p.work, p.members = name, members
	if err := checkReplaces(root, name, base, work.Replace); err != nil {
		return nil, err
	}
	return work, p.readSums(root, name+".sum")
}

// readModule checks one module's replacements, reads its sums, and gives its go line.
func (p *plan) readModule(root *os.Root, dir string) (string, error) {
	name := path.Join(dir, "go.mod")
	data, err := readIn(root, name, maxModFile)
	if err != nil {
		return "", err
	}
	f, err := modfile.Parse(name, data, nil)
	if err != nil {
		return "", badModFile(name, err)
	}
	if err := checkReplaces(root, name, dir, f.Replace); err != nil {
		return "", err
	}
	if err := p.readSums(root, path.Join(dir, "go.sum")); err != nil {
		return "", err
	}
	if f.Go == nil {
		return "", nil
	}
	return f.Go.Version, nil
}

func (p *plan) readSums(root *os.Root, name string) error {
	data, err := readIn(root, name, maxSumFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return p.sums.parse(name, data)
}

// findVendor decides as the go command does when -mod is not given: a vendor folder beside go.mod (Go 1.14) or go.work (Go 1.22).
func (p *plan) findVendor(root *os.Root, work *modfile.WorkFile, lang string) error {
	base, since := p.module, "go1.14"
	if work != nil {
		base, since, lang = path.Dir(p.work), "go1.22", ""
		if work.Go != nil {
			lang = work.Go.Version
		}
	}
	vendor := path.Join(base, "vendor")
	_, err := root.Stat(filepath.FromSlash(path.Join(vendor, "modules.txt")))
	if errors.Is(err, fs.ErrNotExist) || err == nil && version.Compare("go"+lang, since) < 0 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read vendor folder: %w", err)
	}
	p.vendor = vendor
	return nil
}

// checkReplaces refuses a replacement by a folder that is not in the source.
func checkReplaces(root *os.Root, file, base string, replaces []*modfile.Replace) error {
	for _, r := range replaces {
		if r.New.Version != "" {
			continue
		}
		if _, err := inside(root, file, r.Syntax, base, r.New.Path); err != nil {
			return err
		}
	}
	return nil
}

// inside gives a folder that a go.mod or go.work file names, relative to the source.
func inside(root *os.Root, file string, at *modfile.Line, base, name string) (string, error) {
	dir := path.Join(base, filepath.ToSlash(name))
	local := !path.IsAbs(name) && !filepath.IsAbs(name) && !strings.Contains(name, `\`) && filepath.IsLocal(filepath.FromSlash(dir))
	var err error
	if local {
		_, err = root.Stat(filepath.FromSlash(dir)) // refuses links that lead out of the source
	}
	if local && err == nil {
		return dir, nil
	}
	return "", &gate.Refusal{Code: "module-replace-outside", Class: gate.Refused, What: "a module is replaced by a folder that is not in the source",
		Where: fmt.Sprintf("%s:%d", file, at.Start.Line), Expected: "a folder of the source", Actual: name,
		Fix: "drop the line, or put the folder into the source", Cause: err}
}

func badModFile(name string, err error) error {
	return &gate.Refusal{Code: "gomod-invalid", Class: gate.Usage, What: path.Base(name) + " cannot be read", Where: name, Fix: "go mod edit -fmt", Cause: err}
}

func readIn(root *os.Root, name string, limit int64) ([]byte, error) {
	f, err := root.Open(filepath.FromSlash(name))
	if err != nil {
		return nil, fmt.Errorf("read source: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%s is larger than %d bytes", name, limit)
	}
	if err != nil {
		return nil, fmt.Errorf("read source: %w", err)
	}
	return data, nil
}
