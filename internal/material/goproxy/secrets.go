package goproxy

import (
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// Secrets gives the passwords that a user's settings hold: in the URLs of GOPROXY, of the environment or as go env -w wrote it, in
// those of HTTP proxies, and in .netrc. They are to be kept out of what is shown. What cannot be read is passed over.
func Secrets(getenv func(string) string) []string {
	var out []string
	for _, list := range []string{getenv("GOPROXY"), written(getenv, "GOPROXY"), getenv("HTTPS_PROXY"), getenv("https_proxy"), getenv("HTTP_PROXY"), getenv("http_proxy")} {
		for _, entry := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == '|' }) {
			u, err := url.Parse(strings.TrimSpace(entry))
			if err != nil || u.User == nil {
				continue
			}
			password, set := u.User.Password()
			if !set {
				password = u.User.Username() // a token that stands alone
			}
			out = append(out, password, u.User.String())
		}
	}
	file := getenv("NETRC")
	if home, err := os.UserHomeDir(); file == "" && err == nil {
		file = filepath.Join(home, ".netrc")
		if runtime.GOOS == "windows" {
			file = filepath.Join(home, "_netrc")
		}
	}
	if logins, err := readNetrc(file); err == nil {
		for _, l := range logins {
			out = append(out, l.password)
		}
	}
	return out
}

// written gives a setting as go env -w wrote it.
func written(getenv func(string) string, name string) string {
	file := getenv("GOENV")
	if dir, err := os.UserConfigDir(); file == "" && err == nil {
		file = filepath.Join(dir, "go", "env")
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(data)) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), name+"="); ok {
			return value
		}
	}
	return ""
}
