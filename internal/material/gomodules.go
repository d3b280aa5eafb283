package material

// Toolchain is a Go toolchain on this machine, proven to be what Material says.
type Toolchain struct {
	Version  string // as the go command prints it: go1.26.8
	Root     string // its GOROOT on the host, absolute
	Material Material
}

// Target is one platform of a build.
type Target struct {
	Name string // for messages and as the key of Modules.Programs: linux/amd64
	// Env chooses the platform: GOOS, GOARCH, GOARM, GOAMD64 and alike, GOEXPERIMENT, GOFIPS140, and CGO_*. Nothing
	// else is taken: a variable that steers the go command itself is refused.
	Env      map[string]string
	Tags     []string
	Packages []string // patterns as the go command takes them, relative to the module
}

// Program is a main package that a build compiles.
type Program struct {
	ImportPath string
	BinaryName string // what the go command calls the binary, without .exe
	Module     string // path of the module that holds it
}

// Edge says that a package of one module imports a package of another. Modules
// are written path@version; a module of the source itself is its path alone. A
// replaced module appears under the path and version that is required, as in a binary's build info.
type Edge struct{ From, To string }

// Modules are what a Go build reads besides its source and its toolchain.
type Modules struct {
	// Cache is a folder to be mounted at ModulesPath, read-only. It holds exactly
	// what Materials list. Empty when Vendored.
	Cache string
	// Materials: one for each module zip and one for each go.mod file that only
	// takes part in version selection, sorted by URI.
	Materials []Material
	// Vendored says that the source's vendor folder is used, and equals what the modules say.
	Vendored bool
	// VendorChecked are the modules that the vendor folder was compared with. The build does not read them.
	VendorChecked []Material
	// GoWork is the workspace file in force, slash-separated and relative to the source, or "off". The build sets GOWORK to it.
	GoWork string
	// Programs by the name of the target: what the patterns match, sorted by import path.
	Programs map[string][]Program
	// Graph of the modules that are linked into the programs, sorted.
	Graph []Edge
}

// ModuleSource is a published Go module that is the source of a release.
type ModuleSource struct {
	Path     string
	Version  string // canonical
	H1       string // h1:…, as go.sum has it
	Zip      string // the module zip on the host
	Dir      string // its files on the host
	GoMod    []byte // its go.mod file, for choosing a toolchain
	Material Material
}

// ModulesPath is where a build step mounts Modules.Cache.
const ModulesPath = "/mod"

// BuildEnv is what the environment of a Go build step must hold so that the
// step reads nothing but its mounts.
//
// A build of a source tree finds its modules in ModulesPath and asks no proxy. A vendored
// build needs no modules at all. A build of a published module runs `go install path@version`,
// which insists on asking a proxy for the module's versions (to look for a
// deprecation notice); the proxy is then the folder itself. The step adds GOOS, GOARCH, GOROOT,
// GOCACHE, GOPATH, HOME and PATH, and GOWORK from Modules.
func BuildEnv(vendored, module bool) map[string]string {
	env := map[string]string{
		"GO111MODULE": "on",
		"GOAUTH":      "off",
		"GOENV":       "off",
		"GOFLAGS":     "",
		"GONOPROXY":   "",
		"GONOSUMDB":   "",
		"GOPRIVATE":   "",
		"GOPROXY":     "off",
		"GOSUMDB":     "off",
		"GOTELEMETRY": "off",
		"GOTOOLCHAIN": "local",
		"GOVCS":       "*:off",
	}
	if !vendored {
		env["GOMODCACHE"] = ModulesPath
	}
	if module {
		env["GOPROXY"] = "file://" + ModulesPath + "/cache/download"
		env["GOFLAGS"] = "-mod=mod"
		env["GOWORK"] = "off"
	}
	return env
}
