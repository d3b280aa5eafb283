package source

import (
	"context"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// RemoteURL is the URL of origin as the repository's configuration has it, without
// user names, passwords, tokens, query and fragment. It is false where there is none.
func (r *Repository) RemoteURL(ctx context.Context) (string, bool) {
	s, err := r.scratch("")
	if err != nil {
		return "", false
	}
	defer s.remove()
	values, err := output(s.onRefs(ctx, "config", "--local", "-z", "--get-all", "remote.origin.url"))
	first, _, ok := strings.Cut(values, "\x00")
	if err != nil || !ok {
		return "", false
	}
	clean := withoutCredentials(first)
	return clean, clean != ""
}

// withoutCredentials removes from a git URL what could be a secret. The user of an ssh URL
// stays: it is part of the address. "" is what cannot be made safe.
func withoutCredentials(raw string) string {
	if raw == "" || !utf8.ValidString(raw) || strings.ContainsFunc(raw, unicode.IsControl) {
		return ""
	}
	if !strings.Contains(raw, "://") {
		// user@host:path, a path on this machine, or a relative URL of .gitmodules
		before, after, scp := strings.Cut(raw, ":")
		user, host, named := strings.Cut(before, "@")
		if scp && named && !strings.Contains(before, "/") {
			return strings.SplitN(user, ":", 2)[0] + "@" + host + ":" + after
		}
		if strings.Contains(before, "/") || !strings.Contains(after, "@") {
			return raw
		}
		return "" // user:secret@host:path
	}
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	user := u.User
	u.User, u.RawQuery, u.Fragment, u.ForceQuery = nil, "", "", false
	if user != nil && strings.HasSuffix(u.Scheme, "ssh") {
		u.User = url.User(user.Username())
	}
	return u.String()
}
