package engine

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sello-release/sello/internal/gate"
)

// Reserved are the targets that belong to the engine: no mount may be at, above or below them.
var Reserved = []string{"/proc", "/dev", "/tmp", "/sys"}

// Validate refuses a step that no engine should run: one whose list of materials would be
// incomplete, or whose mounts hide or could change each other. Its refusals are
// step-argv, step-env, step-dir, step-limits, step-mount-without-material, step-mount-target,
// step-mount-host, step-mount-duplicate, step-mount-nested and step-mount-overlap. For its root they are the same ones.
func Validate(s Step) error {
	if err := validateCommand(s); err != nil {
		return err
	}
	if err := validateRoot(s); err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, m := range s.Mounts {
		if err := validateMount(s, m); err != nil {
			return err
		}
		if seen[m.Target] {
			return stepRefusal(s, "step-mount-duplicate", "two mounts have the same target", "each target once", m.Target)
		}
		seen[m.Target] = true
	}
	for _, m := range s.Mounts {
		for dir := path.Dir(m.Target); dir != "/"; dir = path.Dir(dir) {
			if seen[dir] {
				return stepRefusal(s, "step-mount-nested", "a mount lies inside another", "targets beside each other", m.Target+" in "+dir)
			}
		}
	}
	return validateHosts(s)
}

func validateCommand(s Step) error {
	if len(s.Argv) == 0 || s.Argv[0] == "" || strings.HasPrefix(s.Argv[0], "-") {
		return stepRefusal(s, "step-argv", "the step has no command", "a program and its arguments", fmt.Sprintf("%q", s.Argv))
	}
	for _, a := range s.Argv {
		if strings.ContainsRune(a, 0) {
			return stepRefusal(s, "step-argv", "an argument holds a NUL byte", "text", fmt.Sprintf("%q", a))
		}
	}
	for k, v := range s.Env {
		if k == "" || strings.ContainsAny(k, "=\x00") || strings.ContainsRune(v, 0) {
			return stepRefusal(s, "step-env", "an environment variable is malformed", "a name without '=', no NUL bytes", fmt.Sprintf("%q=%q", k, v))
		}
	}
	if s.Dir != "" && !cleanTarget(s.Dir) {
		return stepRefusal(s, "step-dir", "the working directory is not a clean absolute path", "/folder", s.Dir)
	}
	l := s.Limits
	if l.Memory < 0 || l.Processes < 0 || l.Time < 0 || l.Output < 0 || l.Log < 0 {
		return stepRefusal(s, "step-limits", "a limit is negative", "zero for the default, or more", fmt.Sprintf("%+v", l))
	}
	return nil
}

func validateRoot(s Step) error {
	if s.Root == nil {
		return nil
	}
	if err := validateHost(s, s.Root.Host); err != nil {
		return err
	}
	if len(s.Root.Materials) == 0 {
		return stepRefusal(s, "step-mount-without-material", "the root does not say what it holds", "at least one material", "/")
	}
	for _, m := range s.Mounts {
		if strings.Count(m.Target, "/") > 1 {
			return stepRefusal(s, "step-mount-target", "a mount's target lies in the step's root, which is read-only", "a folder at the top, such as /src", m.Target)
		}
	}
	return nil
}

func validateHost(s Step, host string) error {
	if !filepath.IsAbs(host) || filepath.Clean(host) != host || strings.ContainsRune(host, 0) {
		return stepRefusal(s, "step-mount-host", "a mount's host path is not a clean absolute path", "an absolute path", fmt.Sprintf("%q", host))
	}
	return nil
}

// RootUnsupported is the refusal of a step with a root by an engine that can give it none.
func RootUnsupported(where, engine string) *gate.Refusal {
	return &gate.Refusal{Code: "step-root-unsupported", Class: gate.Failed, Where: where, What: "this engine cannot give a step another root file system",
		Expected: "an engine with a sandbox", Actual: engine, Fix: "use --engine bubblewrap, on Linux"}
}

func validateMount(s Step, m Mount) error {
	if !cleanTarget(m.Target) || m.Target == "/" {
		return stepRefusal(s, "step-mount-target", "a mount's target is not a clean absolute path", "/folder", fmt.Sprintf("%q", m.Target))
	}
	for _, r := range Reserved {
		if within(m.Target, r) {
			return stepRefusal(s, "step-mount-target", "a mount's target belongs to the engine", "a path outside "+strings.Join(Reserved, ", "), m.Target)
		}
	}
	if err := validateHost(s, m.Host); err != nil {
		return err
	}
	if !m.Writable && len(m.Materials) == 0 {
		return stepRefusal(s, "step-mount-without-material", "a read-only mount does not say what it holds", "at least one material", m.Target)
	}
	return nil
}

// validateHosts refuses a writable mount that shares files with any other mount, or with the root: the step could change a material.
func validateHosts(s Step) error {
	mounts := slices.Clone(s.Mounts)
	if s.Root != nil {
		mounts = append(mounts, Mount{Host: s.Root.Host})
	}
	real := make([]string, len(mounts))
	for i, m := range mounts {
		p, err := realHost(m.Host, s.Root != nil && i == len(s.Mounts))
		if err != nil {
			r := stepRefusal(s, "step-mount-host", "a mount's host path cannot be used", "a folder or a file", m.Host)
			r.Cause = err
			return r
		}
		real[i] = filepath.ToSlash(p)
	}
	for i, m := range mounts {
		for j := range mounts {
			if i != j && m.Writable && (within(real[i], real[j]) || within(real[j], real[i])) {
				return stepRefusal(s, "step-mount-overlap", "a writable mount shares files with another mount", "separate folders", real[i]+" and "+real[j])
			}
		}
	}
	return nil
}

// realHost gives a path without symlinks, of a folder or, unless it has to be one, a file.
func realHost(host string, folder bool) (string, error) {
	p, err := filepath.EvalSymlinks(host)
	if err != nil {
		return "", err
	}
	fi, err := os.Stat(p)
	switch {
	case err != nil:
		return "", err
	case fi.IsDir(), !folder && fi.Mode().IsRegular():
		return p, nil
	case folder:
		return "", errors.New("is not a folder")
	}
	return "", errors.New("is neither a folder nor a regular file")
}

// within reports whether p is dir or lies below it.
func within(p, dir string) bool {
	return p == dir || strings.HasPrefix(p, strings.TrimSuffix(dir, "/")+"/")
}

func cleanTarget(p string) bool {
	return path.IsAbs(p) && path.Clean(p) == p && !strings.ContainsFunc(p, isControl) && !strings.Contains(p, `\`)
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

func stepRefusal(s Step, code, what, expected, actual string) *gate.Refusal {
	return &gate.Refusal{Code: code, What: what, Where: s.Name, Expected: expected, Actual: actual, Fix: "correct the step's description"}
}
