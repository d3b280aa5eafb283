package registry

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/lazyregexp"
)

// Reference names a repository, and in it perhaps a tag, a digest, or both.
type Reference struct {
	Registry   string        // host, or host:port
	Repository string        // path/of/repository
	Tag        string        // empty when none was given
	Digest     digest.Digest // empty when none was given; sha256 only
}

const (
	maxReference  = 600 // bytes of a whole reference
	maxRepository = 255 // bytes of a repository's path
)

var (
	repositoryPath = lazyregexp.New(`^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$`)
	tagName        = lazyregexp.New(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`)
	hostLabel      = lazyregexp.New(`^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$`)
	sha256Digest   = lazyregexp.New(`^sha256:[0-9a-f]{64}$`)
	fallbackTag    = lazyregexp.New(`^sha(?:256|384|512)-[0-9a-f]{32,}`)
)

// ParseReference reads registry/repository[:tag][@sha256:…]. The registry is always
// written out: no name is completed to a public registry's. Anything else is an
// image-reference.
func ParseReference(s string) (Reference, error) {
	ref, why := parseReference(s)
	if why != "" {
		return Reference{}, badReference(s, why)
	}
	return ref, nil
}

func badReference(s, why string) error {
	if len(s) > 200 {
		s = s[:200] + "…"
	}
	return &gate.Refusal{
		Code: "image-reference", Class: gate.Usage, What: "this names no image: " + why,
		Where: strconv.QuoteToASCII(s), Expected: "registry.example/path/name[:tag][@sha256:<64 hex digits>]",
		Fix: "write the registry's host first, without https://, and everything but the tag in lower case",
	}
}

func parseReference(s string) (Reference, string) {
	if len(s) > maxReference {
		return Reference{}, fmt.Sprintf("it is longer than %d bytes", maxReference)
	}
	var ref Reference
	name, dgst, has := strings.Cut(s, "@")
	if has {
		if !sha256Digest.MatchString(dgst) {
			return Reference{}, "what follows @ is no sha256 digest"
		}
		ref.Digest = digest.Digest(dgst)
	}
	host, path, ok := strings.Cut(name, "/")
	if !ok {
		return Reference{}, "there is no / between a registry and a repository"
	}
	if ref.Repository, ref.Tag, has = strings.Cut(path, ":"); has && !tagName.MatchString(ref.Tag) {
		return Reference{}, "the tag is malformed"
	}
	if len(ref.Repository) > maxRepository || !repositoryPath.MatchString(ref.Repository) {
		return Reference{}, "the repository's path is malformed"
	}
	if why := badHost(host); why != "" {
		return Reference{}, why
	}
	ref.Registry = host
	return ref, ""
}

// badHost says why s is not host or host:port. A bare word that is not localhost is
// refused, because other tools take it for a folder of a public registry.
func badHost(s string) string {
	host := s
	if strings.HasPrefix(s, "[") || strings.Contains(s, ":") {
		h, port, err := net.SplitHostPort(s)
		if err != nil && strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") {
			h, port, err = s[1:len(s)-1], "443", nil
		}
		if n, e := strconv.ParseUint(port, 10, 16); err != nil || e != nil || n == 0 || port[0] == '0' {
			return "the registry's port is malformed"
		}
		host = h
	}
	if strings.HasPrefix(s, "[") {
		if a, err := netip.ParseAddr(host); err != nil || !a.Is6() || a.Zone() != "" {
			return "the registry's address is malformed"
		}
		return ""
	}
	if len(host) > 253 {
		return "the registry's host is too long"
	}
	for _, label := range strings.Split(host, ".") {
		if !hostLabel.MatchString(label) {
			return "the registry's host is malformed"
		}
	}
	if host == s && host != "localhost" && !strings.Contains(host, ".") {
		return "its first part is no registry"
	}
	return ""
}

// Name gives registry/repository.
func (r Reference) Name() string { return r.Registry + "/" + r.Repository }

// String gives the reference as it was written.
func (r Reference) String() string {
	s := r.Name()
	if r.Tag != "" {
		s += ":" + r.Tag
	}
	if r.Digest != "" {
		s += "@" + r.Digest.String()
	}
	return s
}

// Target is what to resolve: the digest, else the tag, else "latest".
func (r Reference) Target() string {
	switch {
	case r.Digest != "":
		return r.Digest.String()
	case r.Tag != "":
		return r.Tag
	}
	return "latest"
}

// loopback reports whether hostport is on this machine.
func loopback(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}
