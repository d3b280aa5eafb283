package bubblewrap

import (
	"context"
	"os"
	"strings"
	"time"

	"github.com/sello-release/sello/internal/engine"
	"github.com/sello-release/sello/internal/gate"
)

// Check sets up a sandbox as a step would get it, measures it, and lets it fail at a command that is not there. It
// refuses with sandbox-unavailable (no filter for this architecture), sandbox-missing (no bwrap), sandbox-userns (user namespaces
// are switched off), sandbox-apparmor (they are restricted by AppArmor), sandbox-failed (for another reason, such as
// a container that is not allowed to) or isolation-missing. It takes about as long as starting a step.
func (e *Engine) Check(ctx context.Context) error {
	_, err := e.Run(ctx, engine.Step{Name: "sandbox check", Argv: []string{"/.no-such-command"}, Limits: engine.Limits{Time: time.Minute}})
	if gate.Code(err) == "step-command" {
		return nil
	}
	return err
}

// facts are what diagnose goes by.
type facts struct {
	output    string            // bwrap's last words
	root      bool              // we are root
	sysctl    map[string]string // kernel.… and user.…; missing where the kernel has none
	container bool
}

func gather(output []byte) facts {
	f := facts{output: lastLine(output), root: os.Geteuid() == 0, sysctl: map[string]string{}}
	for _, name := range []string{usernsClone, maxUserns, apparmorUserns} {
		if b, err := os.ReadFile("/proc/sys/" + strings.ReplaceAll(name, ".", "/")); err == nil {
			f.sysctl[name] = strings.TrimSpace(string(b))
		}
	}
	f.container = exists("/.dockerenv") || exists("/run/.containerenv") || os.Getenv("container") != "" || os.Getenv("KUBERNETES_SERVICE_HOST") != ""
	return f
}

const (
	usernsClone    = "kernel.unprivileged_userns_clone"
	maxUserns      = "user.max_user_namespaces"
	apparmorUserns = "kernel.apparmor_restrict_unprivileged_userns"
)

const apparmorFix = `allow bwrap to make user namespaces:
printf 'abi <abi/4.0>,\ninclude <tunables/global>\nprofile bwrap /usr/bin/bwrap flags=(unconfined) {\n  userns,\n}\n' | sudo tee /etc/apparmor.d/bwrap && sudo apparmor_parser -r /etc/apparmor.d/bwrap`

const containerFix = "give the container the right to make namespaces (podman run or docker run --privileged, or --security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined), or stage on the host"

// diagnose says why a sandbox could not be set up, and what to do about it.
func diagnose(f facts) *gate.Refusal {
	r := &gate.Refusal{Code: "sandbox-failed", Class: gate.Failed, What: "the sandbox cannot be set up", Expected: "bwrap to set up a sandbox", Actual: f.output,
		Fix: "see what bwrap says; a sandbox needs user namespaces and a writable folder for temporary files"}
	switch {
	case f.sysctl[maxUserns] == "0":
		return userns(r, maxUserns, "0", "15000")
	case f.sysctl[usernsClone] == "0" && !f.root:
		return userns(r, usernsClone, "0", "1")
	case f.sysctl[apparmorUserns] == "1" && !f.root && denies(f.output):
		r.Code, r.What = "sandbox-apparmor", "AppArmor keeps ordinary users from making user namespaces"
		r.Expected, r.Fix = apparmorUserns+" = 0, or a profile that allows bwrap to", apparmorFix
	case f.container && denies(f.output):
		r.What, r.Expected, r.Fix = "this container may not make sandboxes", "a container that is allowed to make namespaces", containerFix
	case strings.Contains(f.output, "No space left on device") && strings.Contains(f.output, "namespace"):
		return userns(r, maxUserns, f.sysctl[maxUserns]+", all in use", "15000")
	}
	return r
}

func userns(r *gate.Refusal, name, actual, want string) *gate.Refusal {
	r.Code, r.What = "sandbox-userns", "user namespaces are switched off"
	r.Expected, r.Actual = name+" = "+want, actual+" ("+r.Actual+")"
	r.Fix = "sudo sysctl -w " + name + "=" + want + " (and put it in /etc/sysctl.d/ to keep it)"
	return r
}

// denies reports whether bwrap speaks of a missing permission.
func denies(output string) bool {
	for _, s := range []string{"Permission denied", "Operation not permitted", "No permissions"} {
		if strings.Contains(output, s) {
			return true
		}
	}
	return false
}

// osRelease gives ID and ID_LIKE of os-release(5), in that order.
func osRelease() []string {
	b, err := os.ReadFile("/etc/os-release")
	if err != nil {
		b, _ = os.ReadFile("/usr/lib/os-release")
	}
	var id, like []string
	for line := range strings.Lines(string(b)) {
		k, v, _ := strings.Cut(strings.TrimSpace(line), "=")
		v = strings.Trim(v, `"'`)
		switch k {
		case "ID":
			id = strings.Fields(v)
		case "ID_LIKE":
			like = strings.Fields(v)
		}
	}
	return append(id, like...)
}

// installHint is the command that installs bubblewrap on one of the named systems.
func installHint(ids []string) string {
	commands := map[string]string{
		"debian": "sudo apt install bubblewrap", "ubuntu": "sudo apt install bubblewrap",
		"fedora": "sudo dnf install bubblewrap", "rhel": "sudo dnf install bubblewrap", "centos": "sudo dnf install bubblewrap",
		"arch": "sudo pacman -S bubblewrap", "alpine": "sudo apk add bubblewrap",
		"suse": "sudo zypper install bubblewrap", "opensuse": "sudo zypper install bubblewrap",
		"gentoo": "sudo emerge sys-apps/bubblewrap", "void": "sudo xbps-install bubblewrap", "nixos": "nix-env -iA nixos.bubblewrap",
	}
	for _, id := range ids {
		if c, ok := commands[id]; ok {
			return c
		}
	}
	return "install bubblewrap with your system's package manager"
}
