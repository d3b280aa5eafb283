package build

import (
	"fmt"
	"maps"
	"path"
	"runtime"
	"slices"
	"strings"

	"github.com/sello-release/sello/internal/engine"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/material"
)

// Paths in a Go step. They are the same on every machine; -trimpath keeps them out of the binaries all the same.
const (
	sourcePath    = "/src"
	toolchainPath = "/toolchain"
	modulesPath   = "/mod"
	outPath       = "/out"
)

// GoInputs are what the fetch phase found for one compile.
type GoInputs struct {
	Toolchain material.Toolchain
	Modules   material.Modules
	Programs  []material.Program // main packages to build, at least one
	Source    engine.Mount       // the exported tree; Host and Materials set. Empty when the source is a published module
	Version   string             // of the published module, when that is the source
	Out       string             // folder on the host that receives the binaries
	Limits    engine.Limits
}

// GoStep gives the step that compiles c. Its read-only mounts are exactly its materials.
func GoStep(c Compile, in GoInputs) (engine.Step, error) {
	if err := distinctBinaries(c, in.Programs); err != nil {
		return engine.Step{}, err
	}
	s := engine.Step{
		Name: c.Name(), Dir: "/tmp", Limits: in.Limits, Env: goEnv(c, in),
		Mounts: []engine.Mount{{Host: in.Toolchain.Root, Target: toolchainPath, Materials: []material.Material{in.Toolchain.Material}}},
	}
	if in.published() {
		s.Argv = installArgs(c, in)
	} else {
		source := in.Source
		source.Target = sourcePath
		s.Mounts = append(s.Mounts, source)
		s.Dir = path.Join(sourcePath, c.Go.Dir)
		s.Argv = buildArgs(c, in)
	}
	if len(in.Modules.Materials) > 0 && !in.Modules.Vendored {
		s.Mounts = append(s.Mounts, engine.Mount{Host: in.Modules.Cache, Target: modulesPath, Materials: in.Modules.Materials})
	}
	s.Mounts = append(s.Mounts, engine.Mount{Host: in.Out, Target: outPath, Writable: true})
	return s, nil
}

func (in GoInputs) published() bool { return in.Source.Host == "" }

// goEnv is the step's whole environment: what hermeticity asks for, then what the definition may set.
// The compiler works on one thread a package, unless the definition asks for more, since its output can depend on which
// of them is first (golang/go#19872 and #38068 were such cases; Go 1.26 still writes two types of one name in either order).
// Packages are compiled side by side all the same (see commonArgs).
func goEnv(c Compile, in GoInputs) map[string]string {
	env := map[string]string{"CGO_ENABLED": "0", "GOMAXPROCS": "1"}
	maps.Copy(env, c.Go.Env)
	maps.Copy(env, material.BuildEnv(in.Modules.Vendored, in.published()))
	env["GOROOT"] = toolchainPath
	env["PATH"] = toolchainPath + "/bin"
	env["HOME"] = "/tmp/home"
	env["GOCACHE"] = "/tmp/cache"
	env["GOTMPDIR"] = "/tmp"
	env["GOTELEMETRY"] = "off"
	env["TZ"], env["LC_ALL"] = "UTC", "C"
	if in.published() {
		env["GOPATH"] = outPath
	} else {
		env["GOPATH"] = "/tmp/gopath"
		env["GOWORK"] = workFile(in.Modules.GoWork)
	}
	return env
}

// workFile is where the workspace file in force stands in the step.
func workFile(rel string) string {
	if rel == "" || rel == "off" {
		return "off"
	}
	return path.Join(sourcePath, rel)
}

func commonArgs(c Compile) []string {
	args := []string{"-trimpath", "-buildvcs=false"}
	if c.Go.Env["GOMAXPROCS"] == "" {
		args = append(args, fmt.Sprintf("-p=%d", runtime.NumCPU()))
	}
	if c.Go.LDFlags != "" {
		args = append(args, "-ldflags="+c.Go.LDFlags)
	}
	if c.Go.GCFlags != "" {
		args = append(args, "-gcflags="+c.Go.GCFlags)
	}
	if len(c.Go.Tags) > 0 {
		args = append(args, "-tags="+strings.Join(c.Go.Tags, ","))
	}
	return args
}

func buildArgs(c Compile, in GoInputs) []string {
	args := append([]string{toolchainPath + "/bin/go", "build"}, commonArgs(c)...)
	if !in.Modules.Vendored {
		args = append(args, "-mod=readonly")
	}
	args = append(args, "-o", outPath+"/", "--")
	for _, p := range in.Programs {
		args = append(args, p.ImportPath)
	}
	return args
}

// installArgs builds a published module as `go install path@version` does, so the bytes are those that it gives.
func installArgs(c Compile, in GoInputs) []string {
	args := append([]string{toolchainPath + "/bin/go", "install"}, commonArgs(c)...)
	args = append(args, "--")
	for _, p := range in.Programs {
		args = append(args, p.ImportPath+"@"+in.Version)
	}
	return args
}

// distinctBinaries refuses two programs of one name: one would overwrite the other.
func distinctBinaries(c Compile, programs []material.Program) error {
	byName := map[string]string{}
	for _, p := range programs {
		if other, ok := byName[p.BinaryName]; ok {
			return &gate.Refusal{Code: "binary-name-collision", Class: gate.Usage, Where: fmt.Sprintf("sello.yaml#builds.%s", c.Build),
				What: fmt.Sprintf("two programs are called %s", p.BinaryName), Expected: "a name for each program",
				Actual: other + " and " + p.ImportPath, Fix: "put them into builds of their own, with packages that match one each"}
		}
		byName[p.BinaryName] = p.ImportPath
	}
	return nil
}

// Binaries gives the file names that the compile must leave, sorted.
func Binaries(c Compile, programs []material.Program) []string {
	var names []string
	for _, p := range programs {
		name := p.BinaryName
		if c.Platform.OS == "windows" {
			name += ".exe"
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
