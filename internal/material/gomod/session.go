package gomod

import (
	"context"
	"errors"
	"fmt"
	"go/version"
	"os"
	"path/filepath"
	"runtime"

	"github.com/sello-release/sello/internal/material/goproxy"
)

// session is one fetch: a proxy, a go command behind it, and scratch folders that end with it.
type session struct {
	f     *Fetcher
	user  *user
	proxy *goproxy.Proxy
	goBin string
	asker string // the go command that asks the checksum database
	dir   string // scratch
}

// open starts a session with scratch folders below work. An empty goBin means the machine's go command.
func (f *Fetcher) open(ctx context.Context, work, goBin string) (*session, error) {
	u, err := f.asUser(ctx)
	if err != nil {
		return nil, err
	}
	if goBin == "" {
		if goBin, err = f.goCommand(); err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll(work, 0o755); err != nil {
		return nil, fmt.Errorf("create scratch folder: %w", err)
	}
	dir, err := os.MkdirTemp(work, "fetch-*")
	if err != nil {
		return nil, fmt.Errorf("create scratch folder: %w", err)
	}
	s := &session{f: f, user: u, goBin: goBin, asker: goBin, dir: dir}
	if err := s.prepare(ctx); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *session) prepare(ctx context.Context) error {
	for _, sub := range []string{"home", "tmp", "modcache", "alone", "direct"} {
		if err := os.Mkdir(filepath.Join(s.dir, sub), 0o755); err != nil {
			return fmt.Errorf("create scratch folder: %w", err)
		}
	}
	if err := s.muteTelemetry(); err != nil {
		return err
	}
	// A module of its own keeps a go.mod or go.sum further up from being found.
	const alone = "module sello.invalid/alone\n\ngo 1.21\n"
	for _, sub := range []string{"alone", "direct"} {
		if err := os.WriteFile(filepath.Join(s.dir, sub, "go.mod"), []byte(alone), 0o644); err != nil {
			return fmt.Errorf("create scratch folder: %w", err)
		}
	}
	var err error
	s.proxy, err = goproxy.Start(ctx, goproxy.Options{
		Settings: s.user.settings, Store: s.f.store, Index: s.f.index, Direct: &direct{s: s}, Netrc: s.user.netrc, Limits: s.f.opts.Limits,
	})
	return err
}

// muteTelemetry turns the go command's telemetry off where it looks for that: in a
// file, whatever GOTELEMETRY says. Otherwise it leaves a process behind that writes below HOME after the session's end.
func (s *session) muteTelemetry() error {
	home := filepath.Join(s.dir, "home")
	for _, config := range []string{".config", filepath.Join("Library", "Application Support"), "."} { // see os.UserConfigDir
		dir := filepath.Join(home, config, "go", "telemetry")
		err := os.MkdirAll(dir, 0o755)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "mode"), []byte("off"), 0o644)
		}
		if err != nil {
			return fmt.Errorf("turn telemetry off: %w", err)
		}
	}
	return nil
}

func (s *session) close() {
	if s.proxy != nil {
		s.proxy.Close() //nolint:errcheck // nothing is read from it any more
	}
	os.RemoveAll(s.dir)
}

func (s *session) modcache() string { return filepath.Join(s.dir, "modcache") }

// cleared is what every go command of a session gets: nothing of the user's but the way to the network.
func (s *session) cleared() []string {
	env := []string{
		"PATH=" + filepath.Dir(s.goBin),
		"HOME=" + filepath.Join(s.dir, "home"), "USERPROFILE=" + filepath.Join(s.dir, "home"), "LOCALAPPDATA=" + filepath.Join(s.dir, "home"),
		"APPDATA=" + filepath.Join(s.dir, "home"),
		"TMPDIR=" + filepath.Join(s.dir, "tmp"), "TMP=" + filepath.Join(s.dir, "tmp"), "TEMP=" + filepath.Join(s.dir, "tmp"),
		"GOCACHE=" + filepath.Join(s.dir, "gocache"), "LC_ALL=C",
		// The tree heads of checksum databases are kept here, so that a database cannot show two histories.
		"GOPATH=" + filepath.Join(s.f.opts.CacheDir, "gopath"),
		"GOENV=off", "GOFLAGS=", "GOTOOLCHAIN=local", "GOTELEMETRY=off", "GO111MODULE=on", "CGO_ENABLED=0",
		"GOPRIVATE=", "GONOPROXY=", "GOWORK=off",
	}
	return append(env, s.user.networkEnviron...)
}

// proxied is the environment of a go command that sees only the recording proxy. Without
// sumdb it relies on go.sum, or on a check that follows.
func (s *session) proxied(sumdb bool, extra ...string) []string {
	env := append(s.cleared(), "GOMODCACHE="+s.modcache(), "GOPROXY="+s.proxy.URL(), "GOVCS=*:off", "GOAUTH=off", "GOINSECURE=")
	if sumdb {
		env = append(env, "GOSUMDB="+s.proxy.GOSUMDB(), "GONOSUMDB="+s.user.settings.GONOSUMDB)
	} else {
		env = append(env, "GOSUMDB=off", "GONOSUMDB=")
	}
	return append(env, extra...)
}

// run runs the session's go command and puts the proxy's own account in the place of the go command's, where it has one.
func (s *session) run(ctx context.Context, dir string, env []string, args ...string) ([]byte, error) {
	return s.runWith(ctx, s.goBin, dir, env, args...)
}

func (s *session) runWith(ctx context.Context, goBin, dir string, env []string, args ...string) ([]byte, error) {
	out, err := run(ctx, command{bin: goBin, dir: dir, env: env, args: args})
	var ge *goError
	if errors.As(err, &ge) {
		return out, s.explain(ge.Error(), ge)
	}
	return out, err
}

// askWithNewest has the newer of the session's and the machine's go command ask the
// checksum database: older ones take an answer that does not mention the module for a yes.
func (s *session) askWithNewest(toolchain string) {
	if goBin, err := s.f.goCommand(); err == nil && version.Compare(s.user.version, toolchain) > 0 {
		s.asker = goBin
	}
}

// goTool is the go command of a GOROOT.
func goTool(root string) string {
	name := "go"
	if runtime.GOOS == "windows" {
		name = "go.exe"
	}
	return filepath.Join(root, "bin", name)
}
