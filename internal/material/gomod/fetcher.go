// Package gomod fetches what a Go build reads: the toolchain, the modules, or a
// published module that is the source itself.
//
// It runs the go command for `go env`, `go mod download`, `go list`, `go mod
// vendor` and `go work vendor`, never anything of the project, with a cleared environment and
// behind a recording proxy on loopback (goproxy). What comes back is verified before it gets a name in
// the content store: against go.sum, against the checksum database even where go.sum
// has an entry, and by computing every hash again from the bytes. A module that the user's
// settings exempt from the checksum database (GONOSUMDB, GOPRIVATE, GOSUMDB=off) says so in its material's annotations.
//
// What was verified once is remembered, so a warm cache needs no network; the
// bytes are hashed again on each use all the same.
//
// It does not protect the cache against its owner: whoever can write to the cache folder
// can also claim that the checksum database was asked.
package gomod

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/material/cas"
	"github.com/sello-release/sello/internal/material/goproxy"
)

// Options configure a Fetcher.
type Options struct {
	// CacheDir is Sello's folder in the user's cache. Default: sello below os.UserCacheDir. Deleting it loses nothing but time.
	CacheDir string
	// Go is the go command of the machine, 1.21 or later. Default: the one on PATH.
	Go string
	// Env is the user's environment, where the settings of the go command come from. Default: os.Environ.
	Env []string
	// Progress receives one line for each thing that is about to take time. It may be called concurrently. Nil discards.
	Progress func(string)
	// ExemptToolchain allows a toolchain that the checksum database was not asked about because GOSUMDB is off.
	ExemptToolchain bool
	// Limits bound downloads.
	Limits goproxy.Limits
}

// Fetcher fetches and verifies. It may be used concurrently, and several processes may share a cache.
type Fetcher struct {
	opts  Options
	store *cas.Store
	index *cas.Index

	mu    sync.Mutex // guards user
	user  *user
	tools sync.Mutex // one toolchain is unpacked or proven at a time
}

// user is what the go command says of the user's settings.
type user struct {
	settings       goproxy.Settings
	hostOS         string
	hostArch       string
	goroot         string
	version        string
	netrc          string
	envByName      map[string]string
	networkEnviron []string
}

// New gives a fetcher on a cache folder, creating it.
func New(o Options) (*Fetcher, error) {
	if o.CacheDir == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("locate cache: %w", err)
		}
		o.CacheDir = filepath.Join(dir, "sello")
	}
	dir, err := filepath.Abs(o.CacheDir)
	if err != nil {
		return nil, fmt.Errorf("locate cache: %w", err)
	}
	o.CacheDir = dir
	if o.Env == nil {
		o.Env = os.Environ()
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	store, err := cas.New(filepath.Join(dir, "cas"))
	if err != nil {
		return nil, err
	}
	index, err := cas.NewIndex(filepath.Join(dir, "index"))
	if err != nil {
		return nil, err
	}
	for _, sub := range []string{"tmp", "toolchains"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return nil, fmt.Errorf("create cache: %w", err)
		}
	}
	return &Fetcher{opts: o, store: store, index: index}, nil
}

// goCommand finds the machine's go command.
func (f *Fetcher) goCommand() (string, error) {
	name := f.opts.Go
	if name == "" {
		name = "go"
	}
	path, err := exec.LookPath(name)
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		return "", &gate.Refusal{Code: "go-missing", Class: gate.Failed, What: "the go command was not found", Where: name,
			Expected: "Go 1.21 or later on PATH", Fix: "install Go, or add it to PATH", Cause: err}
	}
	return path, nil
}

// asUser gives the user's settings, asking the go command once.
func (f *Fetcher) asUser(ctx context.Context) (*user, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.user != nil {
		return f.user, nil
	}
	goBin, err := f.goCommand()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(filepath.Join(f.opts.CacheDir, "tmp"), "env-*")
	if err != nil {
		return nil, fmt.Errorf("create scratch folder: %w", err)
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	names := append([]string{"GOHOSTOS", "GOHOSTARCH", "GOROOT", "GOVERSION"}, goproxy.SettingNames...)
	env := append(append([]string{}, f.opts.Env...), "GOTOOLCHAIN=local", "GOWORK=off", "GOTELEMETRY=off")
	out, err := run(ctx, command{bin: goBin, dir: dir, env: env, args: append([]string{"env", "-json"}, names...)})
	if err != nil {
		return nil, fmt.Errorf("read the go command's settings: %w", err)
	}
	values := map[string]string{}
	if err := json.Unmarshal(out, &values); err != nil {
		return nil, fmt.Errorf("read the go command's settings: %w", err)
	}
	f.user = newUser(f.opts.Env, values)
	return f.user, nil
}

func newUser(environ []string, values map[string]string) *user {
	u := &user{
		settings: goproxy.ParseSettings(values), hostOS: values["GOHOSTOS"], hostArch: values["GOHOSTARCH"],
		goroot: values["GOROOT"], version: values["GOVERSION"], envByName: map[string]string{},
	}
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		u.envByName[name] = value
	}
	for _, name := range networkVariables {
		if v, ok := u.envByName[name]; ok {
			u.networkEnviron = append(u.networkEnviron, name+"="+v)
		}
	}
	if u.settings.GOAUTH != "off" {
		u.netrc = netrcPath(u.envByName, u.hostOS)
	}
	return u
}

func netrcPath(env map[string]string, goos string) string {
	if p := env["NETRC"]; p != "" {
		return p
	}
	home, name := env["HOME"], ".netrc"
	if goos == "windows" {
		home, name = env["USERPROFILE"], "_netrc"
	}
	if home == "" {
		return ""
	}
	return filepath.Join(home, name)
}
