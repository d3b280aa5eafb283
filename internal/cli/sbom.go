package cli

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/mod/modfile"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/registry"
	"github.com/sello-release/sello/internal/sbom"
	"github.com/sello-release/sello/internal/sbom/format"
	"github.com/sello-release/sello/internal/sbom/inventory"
	"github.com/sello-release/sello/internal/sbom/licenses"
	"github.com/sello-release/sello/internal/sbom/origins"
	"github.com/sello-release/sello/internal/source"
)

// sbomFlags are the flags with which a document is made and written.
type sbomFlags struct {
	format, out, name, version, source, supplier string
	files, sums                                  bool
}

func (a *app) sbomCommand() *cobra.Command {
	var f sbomFlags
	cmd := &cobra.Command{
		Use:   "sbom FILE|FOLDER|ARCHIVE|LAYOUT|STAGE|IMAGE",
		Short: "Make, read and compare bills of materials",
		Long: `Sbom tells what something consists of, from its bytes: Go programs by their
build information (stripped or not, in archives and images too), archives in
archives, source folders by go.mod and what they import, other languages by
their lock files, OCI image layouts by layers and the lists of dpkg, apk and
RPM, stages and releases by stage.json. What is no file here and has a tag or a
digest is an image in a registry: registry.example/team/hello:v1.4.2.

Nothing is run, and nothing but such an image is fetched. What could not be
read, is packed or only claimed is said in the document. The same bytes give the
same document; its time is SOURCE_DATE_EPOCH, or the commit's, or the file's.`,
		Example: "  sello sbom hello_v1.4.2_linux_amd64.tar.gz\n  sello sbom . --format cyclonedx --out hello.cdx.json\n  sello sbom show hello.spdx.json",
		Args:    orCommand(takes(1, 1, "FILE|FOLDER|ARCHIVE|LAYOUT|STAGE|IMAGE")),
		RunE: func(cmd *cobra.Command, args []string) error {
			doc, err := a.describe(cmd.Context(), args[0], f)
			if err != nil {
				return err
			}
			return a.writeSBOM(doc, f)
		},
	}
	f.bind(cmd)
	cmd.Flags().StringVar(&f.name, "name", "", "what to call the thing (default: its own name)")
	cmd.Flags().StringVar(&f.version, "version", "", "its version, when it does not say one")
	cmd.Flags().StringVar(&f.source, "source", "", "URI that it was made from: git+https://host/path@COMMIT, or a package URL")
	cmd.Flags().StringVar(&f.supplier, "supplier", "", "organisation that supplies it and answers for the document")
	cmd.Flags().BoolVar(&f.sums, "module-sums", false, "also hash the zips of Go modules in the module cache")
	cmd.Flags().BoolVar(&f.files, "files", true, "list every file, not only those that there is something to say about")
	cmd.AddCommand(a.sbomShowCommand(), a.sbomQueryCommand(), a.sbomDiffCommand(), a.sbomValidateCommand(), a.sbomConvertCommand(), a.sbomMergeCommand())
	return cmd
}

// bind gives a command the flags that say how a document is written.
func (f *sbomFlags) bind(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.format, "format", format.SPDXJSON, "write as spdx-json, spdx-tag or cyclonedx")
	cmd.Flags().StringVar(&f.out, "out", "", "write to this file (default: standard output)")
}

// describe makes the document of what is at path.
func (a *app) describe(ctx context.Context, path string, f sbomFlags) (*sbom.Document, error) {
	created, err := documentTime(ctx, path)
	if err != nil {
		return nil, err
	}
	meta := sbom.Meta{Project: f.name, Version: f.version, Created: created, ToolVersion: a.build.Version}
	if meta.SourceURI = f.source; strings.HasPrefix(f.source, "git+") {
		if at := regexp.MustCompile(`@([0-9a-f]{40}|[0-9a-f]{64})$`).FindStringSubmatchIndex(f.source); at != nil {
			meta.SourceURI, meta.Commit = f.source[:at[0]], f.source[at[2]:at[3]]
		}
	}
	if f.supplier != "" {
		meta.Supplier = sbom.Agent{Kind: sbom.AgentOrganization, Name: f.supplier}
		meta.Authors = []sbom.Agent{meta.Supplier}
	}
	places := licensePlaces(path)
	if dir, err := cacheDir(); err == nil {
		places.Kept = filepath.Join(dir, "licenses.json")
	}
	modules := licenses.New(places)
	defer func() { _ = modules.Save() }() // it saves time alone: the next document is the same without
	meta.Licenses = modules
	meta.Origins = origins.New(goModCache(), f.sums)
	o := inventory.Options{Meta: meta, Files: f.files, GoCache: goModCache(), Except: f.out}
	if ref, ok := imageReference(path); ok {
		doc, _, err := a.describeImage(ctx, ref, o)
		return doc, err
	}
	return inventory.Of(ctx, path, o)
}

// imageReference tells whether an argument names an image in a registry: one that is no file here, with a tag or a digest, so that
// the name of a file that is missing asks no network.
func imageReference(arg string) (registry.Reference, bool) {
	if _, err := os.Stat(arg); err == nil {
		return registry.Reference{}, false
	}
	ref, err := registry.ParseReference(arg)
	return ref, err == nil && (ref.Tag != "" || ref.Digest != "")
}

// describeImage describes an image in a registry, and gives the SHA-256 of its manifest or index.
func (a *app) describeImage(ctx context.Context, ref registry.Reference, o inventory.Options) (*sbom.Document, string, error) {
	repository, err := registry.Open(ref.Name(), registry.Options{UserAgent: "sello/" + a.build.Version})
	if err != nil {
		return nil, "", err
	}
	desc, err := repository.Resolve(ctx, ref.Target())
	if err != nil {
		return nil, "", err
	}
	doc, err := inventory.Image(ctx, repository, desc, ref.Name(), o)
	return doc, desc.Digest.Encoded(), err
}

// documentTime is SOURCE_DATE_EPOCH, or the time of the commit that a folder has checked out, or of the file.
func documentTime(ctx context.Context, path string) (time.Time, error) {
	if s := os.Getenv("SOURCE_DATE_EPOCH"); s != "" {
		seconds, err := strconv.ParseInt(s, 10, 64)
		if err != nil || seconds < 0 || seconds > 253402300799 {
			return time.Time{}, usage(fmt.Sprintf("SOURCE_DATE_EPOCH is no time: %q", s), "export SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)")
		}
		return time.Unix(seconds, 0), nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return time.Unix(0, 0), nil // who looks at it says what is wrong
	}
	if !info.IsDir() {
		return info.ModTime(), nil
	}
	if repo, err := source.Open(ctx, path); err == nil {
		if id, err := repo.HeadCommit(ctx); err == nil {
			if c, err := repo.Commit(ctx, id); err == nil {
				return c.Time, nil
			}
		}
	}
	return time.Unix(0, 0), nil // a folder's own time says nothing of what is in it
}

// goModCache is where the Go command keeps the sources of modules.
func goModCache() string {
	if dir := os.Getenv("GOMODCACHE"); dir != "" {
		return dir
	}
	if dir, _, _ := strings.Cut(os.Getenv("GOPATH"), string(os.PathListSeparator)); dir != "" {
		return filepath.Join(dir, "pkg", "mod")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return filepath.Join(home, "go", "pkg", "mod")
}

// licensePlaces are where the go command of this machine keeps modules, and a folder that is described itself.
func licensePlaces(path string) licenses.Places {
	p := licenses.Places{Caches: []string{goModCache()}, Toolchains: map[string]string{}, Own: map[string]string{}}
	if data, err := os.ReadFile(filepath.Join(path, "go.mod")); err == nil {
		p.Own[modfile.ModulePath(data)] = path
		p.Vendors = []string{filepath.Join(path, "vendor")}
	}
	roots := []string{os.Getenv("GOROOT")}
	if program, err := exec.LookPath("go"); err == nil {
		if program, err = filepath.EvalSymlinks(program); err == nil {
			roots = append(roots, filepath.Dir(filepath.Dir(program)))
		}
	}
	for _, root := range roots {
		if data, err := os.ReadFile(filepath.Join(root, "VERSION")); root != "" && err == nil {
			version, _, _ := strings.Cut(string(data), "\n")
			p.Toolchains[strings.TrimPrefix(strings.TrimSpace(version), "go")] = root
		}
	}
	return p
}

// orCommand refuses a word that is nothing here, and almost one of the command's commands.
func orCommand(args cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, given []string) error {
		if len(given) > 0 {
			var names []string
			for _, c := range cmd.Commands() {
				names = append(names, c.Name())
			}
			if _, err := os.Lstat(given[0]); err != nil && didYouMean(given[0], names) != "" {
				return unknown("command", given[0], names, cmd.CommandPath()+" --help")
			}
		}
		return args(cmd, given)
	}
}

// readSBOM reads the document at path, or on standard input for -.
func (a *app) readSBOM(path string) (*sbom.Document, error) {
	if path == "-" {
		return format.Read(a.streams.In)
	}
	return format.ReadFile(path)
}

// writeSBOM writes a document in the wanted format.
func (a *app) writeSBOM(doc *sbom.Document, f sbomFlags) error {
	data, err := format.Encode(doc, f.format)
	if err != nil {
		return err
	}
	if f.out == "" {
		a.answered = true
		_, err := a.streams.Out.Write(data)
		return err
	}
	if err := os.WriteFile(f.out, data, 0o644); err != nil { // #nosec G306 -- it is to be read by others
		return &gate.Refusal{Code: "output-unwritable", Class: gate.Failed, What: "the bill of materials cannot be written", Where: f.out, Cause: err, Fix: "choose another place with --out"}
	}
	summary := map[string]any{"file": f.out, "format": f.format, "packages": len(doc.Packages), "files": len(doc.Files), "relations": len(doc.Relations), "notes": len(doc.Notes)}
	return a.result(summary, func() {
		a.printf("%s: %d packages, %d files, %d relations", f.out, len(doc.Packages), len(doc.Files), len(doc.Relations))
		if n := len(doc.Notes); n > 0 {
			a.printf("; %d notes on what is only claimed or not known", n)
		}
		a.printf("\n")
	})
}
