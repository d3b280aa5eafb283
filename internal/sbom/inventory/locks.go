package inventory

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/google/osv-scanner/pkg/lockfile"
	"github.com/package-url/packageurl-go"

	"github.com/sello-release/sello/internal/sbom"
)

// lockFile is a file in which a project of another language than Go names what it depends on.
type lockFile struct {
	name     string
	packages []locked
	flaw     string
	notes    []string // of what is not described
}

// locked is a package that a lock file names.
type locked struct {
	name, version, commit, purl string
	location, download, license string // URL or path that it is taken from, instead of an index; where the index has it; its licence
	checksums                   []sbom.Checksum
	asked                       string // what is asked for, where no version is pinned
	when                        string // condition under which it is asked for
	dev                         bool   // only for development
}

// add takes up a package, and reports whether it can be shown.
func (l *lockFile) add(p locked) bool {
	for _, text := range []*string{&p.location, &p.asked, &p.when} {
		*text = cleanText(*text)
	}
	if p.name == "" || cleanText(p.name) != p.name || cleanText(p.version) != p.version {
		return false
	}
	l.packages = append(l.packages, p)
	return true
}

// maxLocked bounds the packages of all lock files together.
const maxLocked = 500_000

// readLocks reads the lock files among those that were found, but for those of installed packages and of tests.
func readLocks(ctx context.Context, dir *os.Root, found *folder) ([]lockFile, error) {
	var out []lockFile
	count := 0
	for _, n := range found.files {
		parts := strings.Split(path.Dir(n.name), "/")
		if slices.Contains(parts, "node_modules") || slices.Contains(parts, "vendor") || slices.Contains(parts, "testdata") || path.Base(n.name) == "go.mod" {
			continue
		}
		if e, _ := lockfile.FindExtractor(n.name, ""); e == nil {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		l := readLock(dir, n.name)
		if count += len(l.packages); count > maxLocked {
			d := defect{CodeTooLarge, fmt.Sprintf("more than %d packages in lock files", maxLocked)}
			return nil, d.refusal(n.name)
		}
		out = append(out, l)
	}
	return out, nil
}

// readLock reads one lock file with a library that was made for it, and that promises less than we do.
func readLock(dir *os.Root, name string) (l lockFile) {
	l.name = name
	defer func() {
		if p := recover(); p != nil {
			l.packages, l.flaw = nil, fmt.Sprintf("%.200v", p)
		}
	}()
	f := &lockReader{dir: dir, name: name, left: new(int)}
	*f.left = 20 // files that others name
	data, err := readText(dir, name)
	if err != nil {
		l.flaw = reason(err)
		return l
	}
	f.Reader = bytes.NewReader(data)
	switch {
	case isRequirements(name):
		r := requirements{&l, map[string]bool{}}
		r.read(f)
		return l
	case path.Base(name) == "pnpm-lock.yaml":
		if err := l.pnpm(data); err != nil {
			l.flaw = shortError(err)
		}
		return l
	}
	read, err := lockfile.ExtractDeps(f, "")
	if err != nil {
		l.flaw = shortError(err)
	}
	more := npmDetails(name, data)
	if more == nil {
		more = cargoDetails(name, data)
	}
	versions := map[string]bool{}
	for _, p := range read.Packages {
		versions[p.Name] = versions[p.Name] || p.Version != ""
	}
	for _, p := range read.Packages {
		if p.Ecosystem == lockfile.NpmEcosystem && p.Version == "" && p.Commit == "" && versions[p.Name] { // a link to one that is there, too
			continue
		}
		more := more[p.Name+" "+p.Version]
		more.name, more.version, more.commit, more.purl, more.dev = p.Name, p.Version, p.Commit, lockedPURL(p), p.Ecosystem.IsDevGroup(p.DepGroups) && len(p.DepGroups) == 1
		if !l.add(more) {
			l.flaw = "a package without a name that can be shown"
		}
	}
	return l
}

// cleanText gives a text without what cannot be shown.
func cleanText(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 32 || r == 127 || r == '\uFFFD' {
			return -1
		}
		return r
	}, s)
}

// lockReader gives the library a file of the folder, and those beside it that it names.
type lockReader struct {
	io.Reader
	dir  *os.Root
	name string
	left *int
}

func (f *lockReader) Path() string { return f.name }

// Close does what the library expects of files.
func (f *lockReader) Close() error { return nil }

// Open opens a file that this one names, nowhere but in the folder.
func (f *lockReader) Open(name string) (lockfile.NestedDepFile, error) {
	if *f.left--; *f.left < 0 {
		return nil, errors.New("too many files name each other")
	}
	if !path.IsAbs(name) {
		name = path.Join(path.Dir(f.name), name)
	}
	data, err := readText(f.dir, path.Clean(name))
	if err != nil {
		return nil, err
	}
	return &lockReader{Reader: bytes.NewReader(data), dir: f.dir, name: name, left: f.left}, nil
}

// purlTypes gives package URLs' types of ecosystems.
var purlTypes = map[lockfile.Ecosystem]string{lockfile.NpmEcosystem: packageurl.TypeNPM, lockfile.CargoEcosystem: packageurl.TypeCargo, lockfile.PipEcosystem: packageurl.TypePyPi,
	lockfile.MavenEcosystem: packageurl.TypeMaven, lockfile.ComposerEcosystem: packageurl.TypeComposer, lockfile.BundlerEcosystem: packageurl.TypeGem, lockfile.NuGetEcosystem: packageurl.TypeNuget,
	lockfile.PubEcosystem: packageurl.TypePub, lockfile.MixEcosystem: packageurl.TypeHex, lockfile.ConanEcosystem: packageurl.TypeConan, lockfile.CRANEcosystem: packageurl.TypeCran}

// lockedPURL names a package as the purl specification has it for its type.
func lockedPURL(p lockfile.PackageDetails) string {
	kind, ok := purlTypes[p.Ecosystem]
	if !ok {
		return ""
	}
	namespace, name := "", p.Name
	switch kind {
	case packageurl.TypeMaven:
		namespace, name, _ = strings.Cut(p.Name, ":")
	case packageurl.TypePyPi:
		name = strings.ToLower(strings.ReplaceAll(name, "_", "-"))
	case packageurl.TypeNPM, packageurl.TypeComposer:
		if i := strings.LastIndexByte(p.Name, '/'); i > 0 {
			namespace, name = p.Name[:i], p.Name[i+1:]
		}
	}
	if name == "" {
		return ""
	}
	return packageurl.NewPackageURL(kind, namespace, name, p.Version, nil, "").ToString()
}

// locks takes up the packages of lock files.
func (d *describer) locks(root string, all []lockFile) {
	var read []string
	for _, l := range all {
		for _, text := range l.notes {
			d.b.Note(root, "%s %s", l.name, text)
		}
		if l.flaw != "" {
			d.b.Note(root, "%s cannot be read whole, and packages may be missing here: %s", l.name, l.flaw)
		} else if len(l.packages) > 0 {
			read = append(read, l.name)
		}
		for _, p := range l.packages {
			d.b.RelateSince(root, sbom.DependsOn, d.locked(p), p.why(l.name))
		}
	}
	if len(read) > 0 {
		d.b.Note(root, "Which of the packages of lock files needs which is not described: %s", listed(read))
	}
}

// locked takes up a package. What is not pinned has no version.
func (d *describer) locked(p locked) string {
	parts := []string{p.name, p.version, p.purl, p.commit}
	if p.location+p.asked != "" {
		parts = append(parts, p.location, p.asked)
	}
	pkg := &sbom.Package{ID: sbom.ElementID("Package", parts...), Name: p.name, Version: p.version, PURL: p.purl, Purpose: sbom.PurposeLibrary,
		Download: p.download, Checksums: p.checksums, License: sbom.License{Declared: p.license}}
	if p.asked != "" {
		pkg.Comment = "No version is pinned; asked for: " + p.asked
	}
	var from []string
	if p.location != "" {
		from = append(from, "taken from "+p.location)
		if strings.Contains(p.location, "://") {
			pkg.Download = p.location
		}
	}
	if p.commit != "" {
		from = append(from, "git commit "+cleanText(p.commit))
	}
	pkg.SourceInfo = strings.Join(from, ", ")
	return d.b.Add(pkg)
}

// why says by what, and for what, a package is asked for.
func (p locked) why(file string) string {
	why := "named by " + file
	if p.dev {
		why += ", only for development"
	}
	if p.when != "" {
		why += ", where " + p.when
	}
	return why
}
