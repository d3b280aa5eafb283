package goproxy

import (
	"fmt"
	"net/url"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/mod/module"

	"github.com/sello-release/sello/internal/gate"
)

// Settings are the user's own, as `go env` prints them.
type Settings struct {
	GOPROXY, GONOPROXY, GOSUMDB, GONOSUMDB string
	GOPRIVATE, GOINSECURE, GOVCS, GOAUTH   string
}

// SettingNames are the variables to ask `go env` for.
var SettingNames = []string{"GOPROXY", "GONOPROXY", "GOSUMDB", "GONOSUMDB", "GOPRIVATE", "GOINSECURE", "GOVCS", "GOAUTH"}

// ParseSettings reads the values by name.
func ParseSettings(env map[string]string) Settings {
	return Settings{
		GOPROXY: env["GOPROXY"], GONOPROXY: env["GONOPROXY"], GOSUMDB: env["GOSUMDB"], GONOSUMDB: env["GONOSUMDB"],
		GOPRIVATE: env["GOPRIVATE"], GOINSECURE: env["GOINSECURE"], GOVCS: env["GOVCS"], GOAUTH: env["GOAUTH"],
	}
}

// Exempt says why the checksum database is not asked about a module, or "".
func (s Settings) Exempt(path string) string {
	if s.GOSUMDB == "off" {
		return "GOSUMDB=off"
	}
	if module.MatchPrefixPatterns(s.GONOSUMDB, path) {
		return "GONOSUMDB=" + s.GONOSUMDB
	}
	return ""
}

// SumDBName is the name of the checksum database, or "" when it is off.
func (s Settings) SumDBName() string {
	name, _ := s.sumDB()
	return name
}

// sumDB splits GOSUMDB, "name", "name+hash+key" or either with a URL. See `go help environment`.
func (s Settings) sumDB() (name, explicit string) {
	if s.GOSUMDB == "off" {
		return "", ""
	}
	f := strings.Fields(s.GOSUMDB)
	if len(f) == 0 || len(f) > 2 {
		return "", ""
	}
	name, _, _ = strings.Cut(f[0], "+")
	if len(f) == 2 {
		explicit = f[1]
	}
	return name, explicit
}

// goSumDB leaves out an explicit URL: requests take the way through the proxy, which knows it.
func (s Settings) goSumDB() string {
	if f := strings.Fields(s.GOSUMDB); len(f) > 0 {
		return f[0]
	}
	return s.GOSUMDB
}

// upstream is one entry of GOPROXY.
type upstream struct {
	kind     string   // "http", "file", "direct", "off"
	url      *url.URL // with credentials; nil for direct and off
	fallBack bool     // go on to the next entry after any error, not only after "not found"
}

// String names the upstream without credentials.
func (u upstream) String() string {
	if u.url == nil {
		return u.kind
	}
	return redact(u.url)
}

// redact gives a URL without what could be a secret: user, password, query and fragment.
func redact(u *url.URL) string {
	clean := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
	return clean.String()
}

func parseList(s Settings) ([]upstream, error) {
	var list []upstream
	for rest := s.GOPROXY; rest != ""; {
		entry, fallBack := rest, false
		if i := strings.IndexAny(rest, ",|"); i >= 0 {
			entry, fallBack, rest = rest[:i], rest[i] == '|', rest[i+1:]
		} else {
			rest = ""
		}
		entry = strings.TrimSpace(entry)
		switch entry {
		case "":
			continue
		case "direct", "off":
			return append(list, upstream{kind: entry}), nil
		}
		u, err := parseUpstream(entry)
		if err != nil {
			return nil, err
		}
		u.fallBack = fallBack
		list = append(list, u)
	}
	if len(list) == 0 {
		return nil, badSetting("it lists no proxy")
	}
	return list, nil
}

func parseUpstream(entry string) (upstream, error) {
	if strings.ContainsAny(entry, ".:/") && !strings.Contains(entry, ":/") && !filepath.IsAbs(entry) && !path.IsAbs(entry) {
		entry = "https://" + entry
	}
	u, err := url.Parse(entry)
	if err != nil {
		return upstream{}, badSetting("an entry is not a URL") // the error would quote it, credentials and all
	}
	switch u.Scheme {
	case "http", "https":
		return upstream{kind: "http", url: u}, nil
	case "file":
		if u.Host == "" && u.RawQuery == "" && u.User == nil {
			return upstream{kind: "file", url: u}, nil
		}
	}
	return upstream{}, badSetting(fmt.Sprintf("%s is not an https, http or file URL", redact(u)))
}

func badSetting(actual string) error {
	return &gate.Refusal{Code: "fetch-goproxy-invalid", Class: gate.Usage, What: "the GOPROXY setting cannot be used", Where: "GOPROXY",
		Expected: "a list as in `go help goproxy`", Actual: actual, Fix: "go env -w GOPROXY=…"}
}
