package gomod

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/sello-release/sello/internal/material/cas"
	"github.com/sello-release/sello/internal/material/goproxy"
)

// direct answers proxy requests from version control. The go command does the
// work, in a module cache of its own that ends with the session; nothing it
// gives is believed before the go command behind the proxy has checked it.
type direct struct{ s *session }

// Fetch gives the answer to r.
func (d *direct) Fetch(ctx context.Context, r goproxy.Request) (io.ReadCloser, error) {
	at := r.Module + "@" + r.Version
	switch r.Kind {
	case cas.Zip:
		m, err := d.ask(ctx, "mod", "download", "-json", "-modcacherw", "--", at)
		return openAnswer(m.Zip, err)
	case cas.Mod:
		m, err := d.ask(ctx, "list", "-m", "-json", "-modcacherw", "--", at)
		return openAnswer(m.GoMod, err)
	case cas.Info:
		m, err := d.ask(ctx, "list", "-m", "-json", "-modcacherw", "--", at)
		return m.info(err)
	case "latest":
		m, err := d.ask(ctx, "list", "-m", "-json", "-modcacherw", "--", r.Module+"@latest")
		return m.info(err)
	case "list":
		m, err := d.ask(ctx, "list", "-m", "-versions", "-json", "-modcacherw", "--", r.Module)
		if err != nil {
			return nil, err
		}
		return io.NopCloser(strings.NewReader(strings.Join(m.Versions, "\n") + "\n")), nil
	}
	return nil, fs.ErrNotExist
}

// answer is what `go list -m -json` and `go mod download -json` print.
type answer struct {
	Path, Version, Time, GoMod, Zip string
	Versions                        []string
}

func (d *direct) ask(ctx context.Context, args ...string) (answer, error) {
	env := d.s.cleared()
	for _, name := range versionControlVariables {
		if v, ok := d.s.user.envByName[name]; ok {
			env = append(env, name+"="+v)
		}
	}
	set := d.s.user.settings
	env = append(env, "GOMODCACHE="+filepath.Join(d.s.dir, "direct", "modcache"), "GOPROXY=direct", "GOSUMDB=off", "GOVCS="+set.GOVCS,
		"GOINSECURE="+set.GOINSECURE, "GOAUTH="+set.GOAUTH, "GIT_TERMINAL_PROMPT=0")
	out, err := run(ctx, command{bin: d.s.goBin, dir: filepath.Join(d.s.dir, "direct"), env: env, args: args})
	if err != nil {
		return answer{}, directError(out, err)
	}
	var a answer
	if err := json.Unmarshal(bytes.TrimSpace(out), &a); err != nil {
		return answer{}, fmt.Errorf("read answer of version control: %w", err)
	}
	return a, nil
}

// directError tells a version that does not exist from a server that does not answer.
func directError(out []byte, err error) error {
	var printed struct{ Error string }
	if json.Unmarshal(bytes.TrimSpace(out), &printed) == nil && printed.Error != "" {
		err = fmt.Errorf("%s", printed.Error)
	}
	for _, text := range []string{"unknown revision", "invalid version", "no matching versions", "404 Not Found", "410 Gone", "unrecognized import path"} {
		if strings.Contains(err.Error(), text) {
			return fmt.Errorf("%w: %w", fs.ErrNotExist, err)
		}
	}
	return err
}

func openAnswer(path string, err error) (io.ReadCloser, error) {
	if err != nil {
		return nil, err
	}
	if path == "" {
		return nil, errors.New("version control gave no file")
	}
	return os.Open(path)
}

func (a answer) info(err error) (io.ReadCloser, error) {
	if err != nil {
		return nil, err
	}
	info := struct{ Version, Time string }{a.Version, a.Time}
	if info.Time == "" {
		info.Time = "0001-01-01T00:00:00Z"
	}
	data, err := json.Marshal(info)
	return io.NopCloser(bytes.NewReader(data)), err
}
