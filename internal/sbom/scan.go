package sbom

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/sello-release/sello/internal/gate"
)

// Codes of the refusals about a base image's contents.
const (
	CodeOSPackages         = "os-packages-malformed" // a package database contradicts its own format, or itself
	CodeBaseBuildInfo      = "base-bad-build-info"   // a Go program of the base has build information that the Go command does not write
	CodeOSPackagesTooLarge = "os-packages-too-large" // a package database, or the number of packages and modules, exceeds a limit
)

// Bounds of what is read out of a base image.
const (
	maxOSRelease = 1 << 20   // bytes
	maxDatabase  = 64 << 20  // bytes of a text database
	maxRPM       = 512 << 20 // bytes of an RPM database
	maxLine      = 1 << 20   // bytes
	maxProgram   = 1 << 30   // bytes of a program; a larger one is not read, and the document says so
	maxPackages  = 100_000
	maxPrograms  = 10_000
	maxModules   = 200_000 // linked into all programs together
)

// Scan finds the packages and the Go programs of a base image in its files: the databases of
// dpkg, apk and RPM (its SQLite form), and the build information of ELF programs.
// It trusts none of them. What it cannot read, and others may want to know of, it reports as OSPackage.Unread.
//
// A Scan holds what it found in memory. Programs and RPM databases beyond 4 MiB are
// copied to the system's temporary folder while they are looked at, one at a time, and removed before Visit returns.
type Scan struct {
	distros  map[string]Distro // by the path of os-release
	packages map[packageKey]OSPackage
	unread   map[string]bool
	programs []Binary
	modules  int
}

// packageKey tells packages apart. RPM installs several versions of one package beside each other; the others do not.
type packageKey struct{ kind, name, arch, version string }

// NewScan starts a scan that has seen nothing.
func NewScan() *Scan {
	return &Scan{distros: map[string]Distro{}, packages: map[packageKey]OSPackage{}, unread: map[string]bool{}}
}

// osReleases are the places of os-release(5), the one that counts first.
var osReleases = []string{"etc/os-release", "usr/lib/os-release"}

// rpmFolders are where distributions keep RPM's database.
var rpmFolders = []string{"var/lib/rpm", "usr/lib/sysimage/rpm", "usr/share/rpm"}

// Visit looks at one regular file of the base's merged file system: name is its path without a leading
// slash, open gives its bytes once. Files that are of no interest are not opened. A refusal has CodeOSPackages,
// CodeOSPackagesTooLarge or CodeBaseBuildInfo; other errors are those of open, of reading, and of the temporary folder.
func (s *Scan) Visit(name string, size int64, open func() (io.ReadCloser, error)) error {
	look := s.kind(name, size)
	if look == nil {
		return nil
	}
	r, err := open()
	if err != nil {
		return fmt.Errorf("open %s of base image: %w", name, err)
	}
	defer r.Close()
	if err := look(name, r); err != nil {
		return fmt.Errorf("look into base image: %w", err)
	}
	return nil
}

// kind gives what looks into the file of that name; nil when nothing does.
func (s *Scan) kind(name string, size int64) func(string, io.Reader) error {
	dir, base := path.Split(name)
	switch {
	case slices.Contains(osReleases, name):
		return s.osRelease
	case name == "var/lib/dpkg/status", dir == "var/lib/dpkg/status.d/" && !strings.HasSuffix(base, ".md5sums"):
		return s.dpkg
	case name == "lib/apk/db/installed", name == "usr/lib/apk/db/installed":
		return s.apk
	case slices.Contains(rpmFolders, strings.TrimSuffix(dir, "/")):
		return s.rpmFile(name, base, size)
	case size >= elfHeader:
		return s.program
	}
	return nil
}

// rpmFile tells the forms of RPM's database apart. Files beside them are of no interest.
func (s *Scan) rpmFile(name, base string, size int64) func(string, io.Reader) error {
	switch {
	case size == 0:
	case base == "rpmdb.sqlite":
		return s.rpm
	case base == "rpmdb.sqlite-wal":
		s.unread["The base's RPM database has a journal that is not read, so that packages may be missing here: "+name] = true
	case base == "Packages.db":
		s.unread["The base has an RPM database in NDB's form, which is not read: "+name] = true
	case base == "Packages":
		s.unread["The base has an RPM database in Berkeley DB's form, which is not read: "+name] = true
	}
	return nil
}

// Result gives what was found: packages in a fixed order, programs by name. It can be asked for once all files were visited.
func (s *Scan) Result() ([]OSPackage, []Binary, error) {
	var distro Distro
	for _, name := range osReleases {
		if d, ok := s.distros[name]; ok {
			distro = d
			break
		}
	}
	var packages []OSPackage
	for _, p := range s.packages {
		p.Distro = distro
		packages = append(packages, p)
	}
	for sentence := range s.unread {
		if strings.ContainsFunc(sentence, isUnprintable) {
			return nil, nil, malformed(sentence, 0, "control characters in a file name")
		}
		packages = append(packages, OSPackage{Unread: sentence})
	}
	slices.SortFunc(packages, compareOSPackages)
	slices.SortFunc(s.programs, func(a, b Binary) int { return cmp.Compare(a.Name, b.Name) })
	return packages, s.programs, nil
}

// add takes up a package that stands in that line of where.
func (s *Scan) add(where string, line int, p OSPackage) error {
	if err := p.check(); err != nil {
		return malformed(where, line, err.Error())
	}
	key := packageKey{p.Type, p.Name, p.Arch, ""}
	if p.Type == typeRPM {
		key.version = p.Epoch + ":" + p.Version
	}
	if other, ok := s.packages[key]; ok && other != p {
		return malformed(where, line, fmt.Sprintf("package %s is installed as %s and as %s", p.Name, other.Version, p.Version))
	}
	s.packages[key] = p
	if len(s.packages) > maxPackages {
		return tooLarge(where, fmt.Sprintf("at most %d packages", maxPackages))
	}
	return nil
}

// elfHeader is the size of the shorter of ELF's two file headers, in bytes.
const elfHeader = 52

// program looks for a Go program. All other files are read no further than their first bytes.
func (s *Scan) program(name string, r io.Reader) error {
	head := make([]byte, elfHeader)
	switch n, err := io.ReadFull(r, head); {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil
	case err != nil:
		return fmt.Errorf("read %s: %w", name, err)
	case n < elfHeader || !isExecutable(head):
		return nil
	}
	sum := sha256.New()
	in, err := NewSpool(io.TeeReader(io.MultiReader(bytes.NewReader(head), r), sum), maxProgram)
	if errors.Is(err, ErrSpoolFull) {
		s.unread[fmt.Sprintf("The base has a program of more than %d bytes, which is not read: %s", maxProgram, name)] = true
		return nil
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	defer in.Close()
	b, err := ReadBinary(in)
	if errors.Is(err, ErrNotGo) {
		return nil
	}
	if err != nil {
		return baseProgramError(name, err)
	}
	b.Name, b.SHA256 = name, hex.EncodeToString(sum.Sum(nil))
	s.modules += 1 + len(b.Deps)
	if s.programs = append(s.programs, *b); len(s.programs) > maxPrograms || s.modules > maxModules {
		return tooLarge(name, fmt.Sprintf("at most %d Go programs with at most %d modules in them", maxPrograms, maxModules))
	}
	return nil
}

// isExecutable reports whether an ELF file's header is that of a program or a shared library.
func isExecutable(head []byte) bool {
	if string(head[:4]) != elf.ELFMAG {
		return false
	}
	kind := uint16(head[16]) | uint16(head[17])<<8
	if elf.Data(head[elf.EI_DATA]) == elf.ELFDATA2MSB {
		kind = uint16(head[17]) | uint16(head[16])<<8
	}
	return elf.Type(kind) == elf.ET_EXEC || elf.Type(kind) == elf.ET_DYN
}

func baseProgramError(name string, err error) error {
	var r *gate.Refusal
	if errors.As(err, &r) {
		return &gate.Refusal{Code: CodeBaseBuildInfo, What: "build information of a Go program in the base image is malformed", Where: name,
			Cause: r.Cause, Fix: "use another base image"}
	}
	return fmt.Errorf("read %s: %w", name, err)
}

// malformed refuses a database; line is 0 where there are no lines.
func malformed(where string, line int, actual string) error {
	if strings.ContainsFunc(where, isUnprintable) {
		where = strconv.Quote(where)
	}
	if line > 0 {
		where = fmt.Sprintf("%s:%d", where, line)
	}
	return &gate.Refusal{Code: CodeOSPackages, What: "the base image's list of installed packages is malformed", Where: where,
		Actual: fmt.Sprintf("%.300q", actual), Fix: "use another base image, or an earlier one that its distribution published"}
}

func tooLarge(where, expected string) error {
	return &gate.Refusal{Code: CodeOSPackagesTooLarge, What: "the base image's lists of installed packages and modules are too large to be described",
		Where: where, Expected: expected, Fix: "use another base image"}
}
