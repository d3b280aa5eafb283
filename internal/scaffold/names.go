package scaffold

import (
	"go/version"
	"net/url"
	"path"
	"regexp"
	"strings"

	gomodule "golang.org/x/mod/module"

	"github.com/sello-release/sello/internal/definition"
)

var (
	scp     = regexp.MustCompile(`^(?:[^@/:\s]+@)?([A-Za-z0-9.-]+\.[A-Za-z0-9-]+):([^/].*|/[^/].*)$`)
	invalid = regexp.MustCompile(`[^a-z0-9._-]+`)
)

// fromRemote turns a git remote into the https URL of the repository, without
// user, password, port of another protocol, or .git. It gives "" for what is not
// on another host: a folder, a file URL.
func fromRemote(remote string) string {
	remote = strings.TrimSpace(remote)
	if m := scp.FindStringSubmatch(remote); m != nil && !strings.Contains(remote, "://") {
		return canonical(m[1], m[2])
	}
	u, err := url.Parse(remote)
	if err != nil || u.Hostname() == "" {
		return ""
	}
	switch u.Scheme {
	case "https", "git+https":
		return canonical(u.Host, u.Path)
	case "http", "git", "ssh", "git+ssh":
		return canonical(u.Hostname(), u.Path)
	}
	return ""
}

func canonical(host, p string) string {
	p = strings.TrimSuffix(strings.Trim(path.Clean("/"+p), "/"), ".git")
	s := "https://" + strings.ToLower(host) + "/" + p
	if definition.CheckGitURL(s) != nil {
		return ""
	}
	return s
}

// redact takes the user and password out of a remote that is shown.
func redact(remote string) string {
	if u, err := url.Parse(remote); err == nil && u.User != nil {
		u.User = nil
		return u.String()
	}
	return remote
}

// forges are hosts whose repositories have an owner and a name.
var forges = map[string]bool{"github.com": true, "gitlab.com": true, "codeberg.org": true, "bitbucket.org": true, "git.sr.ht": true}

// fromModule guesses the repository from a module path; "" when the path names no host.
func fromModule(modulePath string) string {
	parts := strings.Split(stripMajor(modulePath), "/")
	if len(parts) < 2 || !strings.Contains(parts[0], ".") {
		return ""
	}
	if forges[parts[0]] {
		if len(parts) < 3 {
			return ""
		}
		parts = parts[:3]
	}
	return canonical(parts[0], strings.Join(parts[1:], "/"))
}

// stripMajor removes /v2 from the end of a module path.
func stripMajor(modulePath string) string {
	if prefix, _, ok := gomodule.SplitPathVersion(modulePath); ok {
		return prefix
	}
	return modulePath
}

// projectName makes a name that a definition accepts.
func projectName(candidates ...string) string {
	for _, s := range append(candidates, "project") {
		s = strings.Trim(invalid.ReplaceAllString(strings.ToLower(s), "-"), "._-")
		if definition.CheckProject(s) == nil {
			return s
		}
	}
	return "project"
}

// plainGo takes the release out of what a Go command says of itself: go1.26.8-X:arenas, go1.27rc1.
var plainGo = regexp.MustCompile(`^go1\.[0-9]+(\.[0-9]+|rc[0-9]+)?`)

// toolchain chooses the greater of the Go on this machine and what go.mod asks for,
// written out: go1.26.8. It gives local when neither is a release that can be fetched.
func toolchain(local string, m module) string {
	best := ""
	for _, s := range []string{local, "go" + m.goVersion, m.toolchain} {
		s = plainGo.FindString(s)
		if s != "" && version.Lang(s) == s {
			s += ".0"
		}
		if definition.CheckToolchain(s) == nil && (best == "" || version.Compare(s, best) > 0) {
			best = s
		}
	}
	if best == "" {
		return "local"
	}
	return best
}
