package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sello-release/sello/internal/material/goproxytest"
)

// TestDependencySessions runs sessions with dependencies, which a module proxy of the test's serves. The young version is an
// hour old in every run.
func TestDependencySessions(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("staging in a sandbox is Linux only")
	}
	proxy := dependencyProxy(t)
	testscript.Run(t, testscript.Params{Dir: filepath.Join("testdata", "deps"), Cmds: commands(), Condition: condition, Setup: func(e *testscript.Env) error {
		if err := session(e); err != nil {
			return err
		}
		return dependencySession(e.Setenv, e.WorkDir, proxy)
	}})
}

// dependencySession points a session at the proxy, with caches of its own: the proxy's database has a new key in every run.
func dependencySession(setenv func(name, value string), dir string, proxy *goproxytest.Server) error {
	for name, value := range map[string]string{
		"GOPROXY": proxy.URL, "GOSUMDB": proxy.GOSUMDB, "GONOSUMDB": "private.example", "GOPRIVATE": "", "GOFLAGS": "-modcacherw", "GOTOOLCHAIN": "local",
		"GOPATH": filepath.Join(dir, "home", "go"), "GOCACHE": filepath.Join(testCache(), "go-build"), "SELLO_CACHE": filepath.Join(dir, "cache"),
	} {
		setenv(name, value)
	}
	return os.MkdirAll(filepath.Join(dir, "cache"), 0o755)
}

// dependencyProxy serves modules of all kinds that a policy can have something against.
func dependencyProxy(t *testing.T) *goproxytest.Server {
	t.Helper()
	licensed := func(id string) string { return "SPDX-License-Identifier: " + id + "\n" }
	add := func(path, version, license, imports, when string) goproxytest.Module {
		name := path[strings.LastIndexByte(path, '/')+1:]
		code := "package " + name + "\n\n// Say says what the package is called.\nfunc Say() string { return \"" + name + "\" }\n"
		mod := "module " + path + "\n\ngo 1.21\n"
		if imports != "" {
			code = fmt.Sprintf("package %s\n\nimport %q\n\n// Say says more.\nfunc Say() string { return %s.Say() }\n", name, imports, imports[strings.LastIndexByte(imports, '/')+1:])
			mod += "\nrequire " + imports + " v1.0.0\n"
		}
		files := map[string]string{"go.mod": mod, name + ".go": code}
		if license != "" {
			files["LICENSE"] = licensed(license)
		}
		return goproxytest.Module{Path: path, Version: version, Files: files, Time: when}
	}
	young := time.Now().UTC().Add(-time.Hour).Format(time.RFC3339)
	return goproxytest.New(t,
		add("example.com/plain", "v1.0.0", "MIT", "", ""), add("example.com/plain", "v1.1.0", "MIT", "", ""), add("example.com/plain", "v1.2.0", "MIT", "", young),
		add("example.com/copyleft", "v1.0.0", "AGPL-3.0-only", "", ""), add("example.com/choice", "v1.0.0", "AGPL-3.0-only OR MIT", "", ""),
		add("example.com/deep", "v1.0.0", "Apache-2.0", "example.com/copyleft", ""), add("example.com/nolicense", "v1.0.0", "", "", ""),
		add("example.com/timeless", "v1.0.0", "MIT", "", "-"), add("example.com/fork", "v1.0.0", "MIT", "", ""),
		add("private.example/secret", "v1.0.0", "MIT", "", ""), add("elsewhere.example/thing", "v1.0.0", "BSD-3-Clause", "", ""))
}
