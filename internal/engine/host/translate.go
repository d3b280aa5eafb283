package host

import (
	"slices"
	"strings"

	"github.com/sello-release/sello/internal/engine"
)

// pair is a path in the step and what it is on the host.
type pair struct{ target, host string }

// translation gives the pairs for a step's mounts and its /tmp, the longest target first.
func translation(mounts []engine.Mount, tmp string) []pair {
	pairs := []pair{{"/tmp", tmp}}
	for _, m := range mounts {
		pairs = append(pairs, pair{m.Target, m.Host})
	}
	slices.SortStableFunc(pairs, func(a, b pair) int { return len(b.target) - len(a.target) })
	return pairs
}

// translate replaces targets in s by host paths, once, from left to right.
func translate(s string, pairs []pair) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		p, ok := matchAt(s, i, pairs)
		if !ok {
			b.WriteByte(s[i])
			i++
			continue
		}
		b.WriteString(p.host)
		i += len(p.target)
	}
	return b.String()
}

func matchAt(s string, i int, pairs []pair) (pair, bool) {
	if s[i] != '/' || (i > 0 && (partOfPath(s[i-1]) || slash(s[i-1])) && !strings.HasSuffix(s[:i], "://")) {
		return pair{}, false
	}
	for _, p := range pairs {
		rest, ok := strings.CutPrefix(s[i:], p.target)
		if ok && (rest == "" || !partOfPath(rest[0])) {
			return p, true
		}
	}
	return pair{}, false
}

func slash(c byte) bool { return c == '/' || c == '\\' }

// partOfPath reports whether c continues the name of a file. Bytes above ASCII do.
func partOfPath(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c >= 0x80 || strings.IndexByte("_-.+~%", c) >= 0
}
