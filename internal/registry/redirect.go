package registry

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/sello-release/sello/internal/gate"
)

const maxRedirects = 5

// checkRedirect lets reads, and nothing else, be redirected: many registries keep their
// blobs elsewhere. Credentials never go along (oras drops them when the origin changes).
func checkRedirect(req *http.Request, via []*http.Request) error {
	first, last := via[0], via[len(via)-1]
	same := sameOrigin(first.URL, req.URL)
	switch {
	case len(via) > maxRedirects:
		return redirected("there are too many redirects", last.URL, req.URL)
	case req.URL.User != nil:
		return redirected("the redirect brings credentials of its own", last.URL, req.URL)
	case req.URL.Scheme != "https" && req.URL.Scheme != "http":
		return redirected("the redirect leads away from HTTP", last.URL, req.URL)
	case req.URL.Scheme == "http" && (last.URL.Scheme == "https" || !loopback(req.URL.Host)):
		return redirected("the redirect leads to a connection without encryption", last.URL, req.URL)
	case !same && first.Method != http.MethodGet && first.Method != http.MethodHead:
		return redirected("what is written here is to go to another host", last.URL, req.URL)
	case !loopback(first.URL.Host) && internal(req.URL.Host):
		return redirected("the redirect leads into this machine or its cloud's settings", last.URL, req.URL)
	}
	if !same {
		req.Header.Del("Authorization")
	}
	return nil
}

func redirected(why string, from, to *url.URL) error {
	r := &gate.Refusal{Code: "registry-redirect", What: why, Where: from.Host + from.Path,
		Fix: "write the host that is meant into the image's name, if you trust it"}
	if to != nil {
		r.Actual = printable(to.Scheme + "://" + to.Host + to.Path)
	}
	return r
}

func sameOrigin(a, b *url.URL) bool {
	return strings.EqualFold(a.Scheme, b.Scheme) && origin(a) == origin(b)
}

func origin(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[strings.ToLower(u.Scheme)]
	}
	return net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

// internal reports whether host is an address that only this machine can mean.
func internal(host string) bool {
	if loopback(host) {
		return true
	}
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	a, err := netip.ParseAddr(strings.Trim(host, "[]"))
	if err != nil {
		return false
	}
	for _, p := range auth.DefaultBlockedRealmPrefixes() {
		if p.Contains(a.Unmap().WithZone("")) {
			return true
		}
	}
	return false
}
