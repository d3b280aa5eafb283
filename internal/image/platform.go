package image

import (
	"slices"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/sello-release/sello/internal/definition"
)

// Platform gives p in OCI's words. What Go compiles when no variant is given has none, with
// one exception: linux/arm is v7. Values of Go that OCI has no name for stay as they are.
func Platform(p definition.Platform) ocispec.Platform {
	return normal(ocispec.Platform{OS: p.OS, Architecture: p.Arch, Variant: p.Variant})
}

// defaults are the variants that registries leave out, or write, without a difference.
var defaults = map[string]string{"386": "sse2", "amd64": "v1", "mips": "hardfloat", "mipsle": "hardfloat",
	"mips64": "hardfloat", "mips64le": "hardfloat", "ppc64": "power8", "ppc64le": "power8", "riscv64": "rva20u64"}

// normal gives equal values for platforms that run the same programs.
func normal(p ocispec.Platform) ocispec.Platform {
	switch {
	case p.Architecture == "arm" && p.Variant == "":
		p.Variant = "v7"
	case p.Architecture == "arm" && len(p.Variant) == 1:
		p.Variant = "v" + p.Variant
	case p.Architecture == "arm64" && slices.Contains([]string{"8", "v8", "v8.0"}, p.Variant):
		p.Variant = ""
	case p.Variant == defaults[p.Architecture]:
		p.Variant = ""
	}
	return ocispec.Platform{OS: p.OS, Architecture: p.Architecture, Variant: p.Variant, OSVersion: p.OSVersion, OSFeatures: p.OSFeatures}
}

// levels are the variants of which each runs the programs of those before it.
var levels = map[string][]string{
	"arm":     {"v5", "v6", "v7", "v8"},
	"amd64":   {"", "v2", "v3", "v4"},
	"arm64":   {"", "v8.1", "v8.2", "v8.3", "v8.4", "v8.5", "v8.6", "v8.7", "v8.8", "v8.9", "v9", "v9.0", "v9.1", "v9.2", "v9.3", "v9.4", "v9.5"},
	"ppc64":   {"", "power9", "power10"},
	"ppc64le": {"", "power9", "power10"},
	"riscv64": {"", "rva22u64", "rva23u64"},
}

// fit says how well an image for have carries programs for want: 0 not at all, else the more the better. A
// machine for want has to run both, so that have may be of a lower level.
func fit(want, have ocispec.Platform) int {
	want, have = normal(want), normal(have)
	if want.OS != have.OS || want.Architecture != have.Architecture {
		return 0
	}
	if want.Variant == have.Variant {
		return 1000
	}
	all := levels[want.Architecture]
	w, h := slices.Index(all, want.Variant), slices.Index(all, have.Variant)
	if w < 0 || h < 0 || h > w {
		return 0
	}
	return h + 1
}

// platformName gives os/arch or os/arch/variant.
func platformName(p ocispec.Platform) string {
	name := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		name += "/" + p.Variant
	}
	return name
}
