package gomod

import (
	"maps"
	"slices"
	"strings"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/material"
)

// targetVariables choose what is built. Everything else steers the go command: a GOFLAGS with
// -toolexec, or a GOCACHEPROG, would run the project's code here.
var targetVariables = []string{
	"GOOS", "GOARCH", "GO386", "GOAMD64", "GOARM", "GOARM64", "GOMIPS", "GOMIPS64", "GOPPC64", "GORISCV64", "GOWASM",
	"GOEXPERIMENT", "GOFIPS140", "CGO_ENABLED",
}

// checkTargets refuses variables and patterns that would reach the go command as something else.
func checkTargets(targets []material.Target) error {
	names := map[string]bool{}
	for _, t := range targets {
		if names[t.Name] {
			return badTarget(t, "a target is named twice", t.Name, "name each platform once")
		}
		names[t.Name] = true
		for _, name := range slices.Sorted(maps.Keys(t.Env)) {
			if !slices.Contains(targetVariables, name) && !strings.HasPrefix(name, "CGO_") {
				return badTarget(t, "a variable cannot be set for a build", name, "drop builds[].go.env."+name)
			}
			if strings.ContainsRune(t.Env[name], 0) {
				return badTarget(t, "a variable's value cannot be used", name, "drop builds[].go.env."+name)
			}
		}
		if len(t.Packages) == 0 {
			return badTarget(t, "a build names no packages", "", "set builds[].go.packages")
		}
		for _, p := range t.Packages {
			if p == "" || strings.HasPrefix(p, "-") || strings.HasSuffix(p, ".go") || strings.ContainsAny(p, "@\x00\n") {
				return badTarget(t, "this is not a pattern of packages", p, "name folders or import paths: ./cmd/...")
			}
		}
	}
	return nil
}

func badTarget(t material.Target, what, actual, fix string) error {
	return &gate.Refusal{Code: "target-invalid", Class: gate.Usage, What: what, Where: t.Name, Actual: actual, Fix: fix}
}

// targetEnviron is a target's part of an environment.
func targetEnviron(t material.Target) []string {
	var env []string
	for _, name := range slices.Sorted(maps.Keys(t.Env)) {
		if !strings.HasPrefix(name, "CGO_") || name == "CGO_ENABLED" { // flags of the C compiler choose no packages
			env = append(env, name+"="+t.Env[name])
		}
	}
	return env
}
