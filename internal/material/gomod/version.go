package gomod

import (
	"go/version"
	"regexp"
	"strings"

	"golang.org/x/mod/modfile"

	"github.com/sello-release/sello/internal/gate"
)

// Local names the toolchain that is on this machine.
const Local = "local"

var reTwoNumbers = regexp.MustCompile(`^go1\.[0-9]+$`)

// ToolchainFor chooses a toolchain: what the definition wants, else what go.mod's
// toolchain line or go line says, whichever is later. A go line of two numbers (1.21 and later) means its first release.
func ToolchainFor(gomod []byte, wanted string) (string, error) {
	f, err := parseModFile("go.mod", gomod)
	if err != nil {
		return "", err
	}
	line, toolchain := "", ""
	if f.Go != nil {
		line = "go" + f.Go.Version
	}
	if f.Toolchain != nil && f.Toolchain.Name != "default" {
		toolchain = f.Toolchain.Name
	}
	if wanted == Local {
		return Local, nil
	}
	if wanted != "" {
		return checkWanted(wanted, line)
	}
	least := release(line)
	if version.Compare(line, "go1.21") < 0 {
		least = ""
	}
	if version.IsValid(toolchain) && version.Compare(toolchain, least) > 0 {
		least = toolchain
	}
	if least == "" {
		return "", &gate.Refusal{Code: "toolchain-unspecified", Class: gate.Usage, What: "go.mod does not say which Go toolchain builds this module", Where: "go.mod",
			Expected: "a toolchain line, or a go line of 1.21 or later", Actual: describeLine(line), Fix: "set builds[].go.toolchain"}
	}
	return least, nil
}

// parseModFile reads a go.mod file, one with directives of a later Go as well.
func parseModFile(name string, data []byte) (*modfile.File, error) {
	f, err := modfile.Parse(name, data, nil)
	if err == nil {
		return f, nil
	}
	if f, lax := modfile.ParseLax(name, data, nil); lax == nil && f.Module != nil {
		return f, nil // knows no toolchain, replace or exclude lines
	}
	return nil, badModFile(name, err)
}

func checkWanted(wanted, line string) (string, error) {
	if !version.IsValid(wanted) || strings.Contains(wanted, "-") || version.Compare(wanted, "go1.21") >= 0 && reTwoNumbers.MatchString(wanted) {
		r := &gate.Refusal{Code: "toolchain-invalid", Class: gate.Usage, What: "this is not the name of a Go toolchain", Where: "builds[].go.toolchain",
			Expected: "a release like go1.26.8, or local", Actual: wanted, Fix: "set builds[].go.toolchain to a release like go1.26.8"}
		if fixed := release("go" + wanted); version.IsValid(fixed) {
			r.Fix = "toolchain: " + fixed
		} else if fixed := release(wanted); fixed != wanted {
			r.Fix = "toolchain: " + fixed
		}
		return "", r
	}
	if version.IsValid(line) && version.Compare(wanted, line) < 0 {
		return "", &gate.Refusal{Code: "toolchain-too-old", Class: gate.Usage, What: "the toolchain is older than go.mod asks for", Where: "builds[].go.toolchain",
			Expected: line + " or later", Actual: wanted, Fix: "toolchain: " + release(line)}
	}
	return wanted, nil
}

// release gives the name of a release: go1.21 was never released, go1.21.0 was.
func release(name string) string {
	if reTwoNumbers.MatchString(name) && version.Compare(name, "go1.21") >= 0 {
		return name + ".0"
	}
	return name
}

func describeLine(line string) string {
	if line == "" {
		return "neither"
	}
	return "go line " + line[len("go"):]
}
