package definition

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/strictyaml"
)

// Platform is what a program runs on, in Go's words.
type Platform struct{ OS, Arch, Variant string }

// String gives os/arch or os/arch/variant.
func (p Platform) String() string {
	if p.Variant == "" {
		return p.OS + "/" + p.Arch
	}
	return p.OS + "/" + p.Arch + "/" + p.Variant
}

// Env gives the environment variables that make the Go command build for p. The
// variant's variable is always set, to the value that Go's documentation calls
// the default when p has no variant: Go would otherwise choose by the machine that it runs on.
func (p Platform) Env() map[string]string {
	env := map[string]string{"GOOS": p.OS, "GOARCH": p.Arch}
	if v, ok := variants[p.Arch]; ok {
		env[v.env] = v.standard
		if p.Variant != "" {
			env[v.env] = v.values[p.Variant]
		}
	}
	return env
}

// same reports whether both name one build: linux/amd64 is linux/amd64/v1.
func (p Platform) same(q Platform) bool { return maps.Equal(p.Env(), q.Env()) }

// ParsePlatform reads os/arch[/variant] and refuses what Go does not compile for without cgo.
func ParsePlatform(s string) (Platform, error) {
	parts := strings.Split(s, "/")
	if len(parts) < 2 || len(parts) > 3 || slices.Contains(parts, "") {
		return Platform{}, refusePlatform(s, "this is not a platform", "os/arch or os/arch/variant, as linux/amd64 or linux/arm/v7")
	}
	p := Platform{OS: parts[0], Arch: parts[1]}
	if len(parts) == 3 {
		p.Variant = parts[2]
	}
	base := p.OS + "/" + p.Arch
	if slices.Contains(cgoPorts, base) {
		return Platform{}, &gate.Refusal{Code: "definition-platform-cgo", Class: gate.Usage, Actual: s,
			What: "Go programs for this platform need cgo, and there is no builder for it", Fix: "leave the platform out"}
	}
	if !slices.Contains(ports, base) {
		r := refusePlatform(s, "Go knows no such platform", "one that `go tool dist list` prints")
		if near := strictyaml.Nearest(base, ports); near != "" {
			r.Fix = fmt.Sprintf("did you mean %q?", near)
		}
		return Platform{}, r
	}
	if p.Variant == "" {
		return p, nil
	}
	known := slices.Sorted(maps.Keys(variants[p.Arch].values))
	if len(known) == 0 {
		return Platform{}, refusePlatform(s, p.Arch+" has no variants", base)
	}
	if _, ok := variants[p.Arch].values[p.Variant]; !ok {
		return Platform{}, refusePlatform(s, "unknown variant of "+p.Arch, "one of "+strings.Join(known, ", "))
	}
	return p, nil
}

func refusePlatform(s, what, expected string) *gate.Refusal {
	return &gate.Refusal{Code: "definition-platform", Class: gate.Usage, What: what, Expected: expected, Actual: fmt.Sprintf("%q", s)}
}

// ports are those of `go tool dist list` of Go 1.21 to 1.26 that link without cgo.
var ports = strings.Fields(`
	aix/ppc64 android/arm64
	darwin/amd64 darwin/arm64 dragonfly/amd64
	freebsd/386 freebsd/amd64 freebsd/arm freebsd/arm64 freebsd/riscv64
	illumos/amd64 js/wasm
	linux/386 linux/amd64 linux/arm linux/arm64 linux/loong64 linux/mips linux/mips64 linux/mips64le linux/mipsle
	linux/ppc64 linux/ppc64le linux/riscv64 linux/s390x
	netbsd/386 netbsd/amd64 netbsd/arm netbsd/arm64
	openbsd/386 openbsd/amd64 openbsd/arm openbsd/arm64 openbsd/ppc64 openbsd/riscv64
	plan9/386 plan9/amd64 plan9/arm solaris/amd64 wasip1/wasm
	windows/386 windows/amd64 windows/arm windows/arm64`)

// cgoPorts are the ports that Go links only with a C toolchain.
var cgoPorts = []string{"android/386", "android/amd64", "android/arm", "ios/amd64", "ios/arm64"}

// variant says which environment variable selects an arch's variant.
type variant struct {
	env      string
	standard string            // without a variant
	values   map[string]string // variant: the variable's value
}

// variants by arch. See `go help environment`, architecture-specific variables.
var variants = map[string]variant{
	"386":      {"GO386", "sse2", same("sse2", "softfloat")},
	"amd64":    {"GOAMD64", "v1", same("v1", "v2", "v3", "v4")},
	"arm":      {"GOARM", "7", map[string]string{"v5": "5", "v6": "6", "v7": "7"}},
	"arm64":    {"GOARM64", "v8.0", same(numbered("v8.", 9, "v9.", 5)...)},
	"mips":     {"GOMIPS", "hardfloat", same("hardfloat", "softfloat")},
	"mipsle":   {"GOMIPS", "hardfloat", same("hardfloat", "softfloat")},
	"mips64":   {"GOMIPS64", "hardfloat", same("hardfloat", "softfloat")},
	"mips64le": {"GOMIPS64", "hardfloat", same("hardfloat", "softfloat")},
	"ppc64":    {"GOPPC64", "power8", same("power8", "power9", "power10")},
	"ppc64le":  {"GOPPC64", "power8", same("power8", "power9", "power10")},
	"riscv64":  {"GORISCV64", "rva20u64", same("rva20u64", "rva22u64", "rva23u64")},
}

func same(names ...string) map[string]string {
	m := map[string]string{}
	for _, n := range names {
		m[n] = n
	}
	return m
}

func numbered(a string, lastA int, b string, lastB int) []string {
	var s []string
	for i := range lastA + 1 {
		s = append(s, fmt.Sprint(a, i))
	}
	for i := range lastB + 1 {
		s = append(s, fmt.Sprint(b, i))
	}
	return s
}
