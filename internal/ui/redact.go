package ui

import (
	"bytes"
	"encoding/json"
	"io"
	"net/url"
	"sort"
	"strings"
	"sync"
)

// redacted stands for a secret.
const redacted = "***"

// minLine is the length from which a line of a secret of several lines is a secret itself.
const minLine = 16

// Redactor replaces secrets in what is written to it. It holds back what could be
// the beginning of one, until more is written or Flush is called.
type Redactor struct {
	secrets [][]byte // longest first
	longest int

	mu      sync.Mutex
	w       io.Writer
	pending []byte
	covered []bool // by byte of pending: part of a secret
	inside  bool   // the last byte that went out was part of a secret
}

// Redact gives a writer that passes everything on to w with each of the secrets
// replaced by ***, wherever the borders between writes lie. A secret is also found in the
// forms that it takes in a URL or in JSON, and, when it has several lines, line by
// line. Empty secrets are ignored.
func Redact(w io.Writer, secrets ...string) *Redactor {
	r := &Redactor{w: w}
	seen := map[string]bool{}
	for _, secret := range secrets {
		for _, form := range forms(secret) {
			if form != "" && !seen[form] {
				seen[form] = true
				r.secrets = append(r.secrets, []byte(form))
				r.longest = max(r.longest, len(form))
			}
		}
	}
	sort.Slice(r.secrets, func(i, j int) bool { return len(r.secrets[i]) > len(r.secrets[j]) })
	return r
}

func forms(secret string) []string {
	all := []string{secret}
	if strings.TrimSpace(secret) == "" {
		return nil
	}
	for _, line := range strings.Split(secret, "\n") {
		if line = strings.TrimSpace(line); len(line) >= minLine {
			all = append(all, line)
		}
	}
	for _, form := range append([]string(nil), all...) {
		all = append(all, url.QueryEscape(form), url.PathEscape(form))
		if quoted, err := json.Marshal(form); err == nil {
			all = append(all, string(quoted[1:len(quoted)-1]))
		}
	}
	return all
}

// Write implements io.Writer. It reports len(p) even where some of p is held back.
func (r *Redactor) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.secrets) == 0 {
		return r.w.Write(p)
	}
	old := len(r.pending)
	r.pending = append(r.pending, p...)
	r.covered = append(r.covered, make([]bool, len(p))...)
	r.cover(old)
	if err := r.emit(len(r.pending) - r.held()); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Flush passes on what is held back: nothing more will be written.
func (r *Redactor) Flush() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.emit(len(r.pending))
}

// cover marks every secret that ends after the first old bytes; those before were looked at.
func (r *Redactor) cover(old int) {
	for _, secret := range r.secrets {
		from := max(old-len(secret)+1, 0)
		for {
			i := bytes.Index(r.pending[from:], secret)
			if i < 0 {
				break
			}
			for k := range secret {
				r.covered[from+i+k] = true
			}
			from += i + 1
		}
	}
}

// held is the length of the longest end of pending that a secret begins with.
func (r *Redactor) held() int {
	for n := min(len(r.pending), r.longest-1); n > 0; n-- {
		end := r.pending[len(r.pending)-n:]
		for _, secret := range r.secrets {
			if n < len(secret) && bytes.HasPrefix(secret, end) {
				return n
			}
		}
	}
	return 0
}

// emit passes on the first n bytes, with runs of covered ones replaced.
func (r *Redactor) emit(n int) error {
	var out []byte
	for i := range n {
		switch {
		case !r.covered[i]:
			out = append(out, r.pending[i])
		case !r.inside:
			out = append(out, redacted...)
		}
		r.inside = r.covered[i]
	}
	r.pending = append(r.pending[:0], r.pending[n:]...)
	r.covered = append(r.covered[:0], r.covered[n:]...)
	if len(out) == 0 {
		return nil
	}
	_, err := r.w.Write(out)
	return err
}
