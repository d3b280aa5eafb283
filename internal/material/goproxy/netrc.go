package goproxy

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"strings"
)

// maxNetrc bounds a .netrc file, in bytes.
const maxNetrc = 1 << 20

type login struct{ user, password string }

// netrc holds logins by host name.
type netrc map[string]login

func readNetrc(path string) (netrc, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read netrc: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxNetrc))
	if err != nil {
		return nil, fmt.Errorf("read netrc: %w", err)
	}
	return parseNetrc(string(data)), nil
}

// parseNetrc reads machine, login and password. Macros and the default entry are
// passed over: a default would send a password to any host.
func parseNetrc(text string) netrc {
	creds, machine, cur, macro := netrc{}, "", login{}, false
	for line := range strings.Lines(text) {
		if macro {
			macro = strings.TrimSpace(line) != ""
			continue
		}
		f := strings.Fields(line)
		for i := 0; i < len(f); i++ {
			switch {
			case f[i] == "default":
				machine = ""
				continue
			case f[i] == "macdef":
				macro = true
			case i+1 >= len(f):
			case f[i] == "machine":
				machine, cur = f[i+1], login{}
				i++
			case f[i] == "login":
				cur.user = f[i+1]
				i++
			case f[i] == "password":
				cur.password = f[i+1]
				i++
			}
			if macro {
				break
			}
			if _, have := creds[machine]; machine != "" && cur.user != "" && cur.password != "" && !have {
				creds[machine] = cur
			}
		}
	}
	return creds
}

// authorize adds a login to a request whose URL carries none. Plain http gets none, but on loopback.
func (n netrc) authorize(r *http.Request) {
	if r.URL.User != nil || r.URL.Scheme != "https" && !isLoopback(r.URL.Hostname()) {
		return
	}
	if l, ok := n[r.URL.Hostname()]; ok {
		r.SetBasicAuth(l.user, l.password)
	}
}

func isLoopback(host string) bool {
	return host == "localhost" || host == "127.0.0.1" || host == "::1"
}
