package registry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"

	oras "oras.land/oras-go/v2/registry"
)

// Options say how registries are spoken to. The zero value of each field is a good default.
type Options struct {
	// UserAgent is what registries see; "sello" by default.
	UserAgent string
	// Credentials gives the login for a registry's host; by default what docker login
	// and podman login left for this user.
	Credentials auth.CredentialFunc
	// RootCAs are trusted instead of the machine's (which SSL_CERT_FILE replaces).
	RootCAs *x509.CertPool
	// HTTPS speaks TLS to registries on this machine too. Others are never spoken to without.
	HTTPS bool
	// MaxReferrers is how many referrers one manifest may have; 1000 by default.
	MaxReferrers int
	// Attempts is how often a request or an upload is tried; 10 by default.
	Attempts int
	// Backoff is the pause after the first failure; 200 ms by default. It doubles up to MaxWait.
	Backoff time.Duration
	// MaxWait is the longest pause between attempts; 30 s by default.
	MaxWait time.Duration
	// MaxRetryAfter is the longest pause that a registry may ask for; 5 min by default.
	// One that asks for more is registry-throttled.
	MaxRetryAfter time.Duration
	// Stall is how long a transfer may stand still; 60 s by default.
	Stall time.Duration
	// Timeout is how long a request may take besides its bytes; 2 min by default.
	Timeout time.Duration
}

func (o Options) withDefaults() Options {
	if o.UserAgent == "" {
		o.UserAgent = "sello"
	}
	for p, v := range map[*int]int{&o.MaxReferrers: 1000, &o.Attempts: 10} {
		if *p <= 0 {
			*p = v
		}
	}
	for p, v := range map[*time.Duration]time.Duration{&o.Backoff: 200 * time.Millisecond, &o.MaxWait: 30 * time.Second, &o.MaxRetryAfter: 5 * time.Minute,
		&o.Stall: time.Minute, &o.Timeout: 2 * time.Minute} {
		if *p <= 0 {
			*p = v
		}
	}
	return o
}

// Client speaks to registries. Its repositories share connections, tokens, pauses that
// registries asked for, and what is known of where blobs are. It is for concurrent use.
type Client struct {
	o    Options
	http *transport
	auth *authorized

	mu    sync.Mutex
	repos map[string]*Repository
	blobs map[string]string // registry and digest to a repository that has the blob
}

// New makes a client. Settings that cannot be read are an error; none are none.
func New(o Options) (*Client, error) {
	o = o.withDefaults()
	if o.Credentials == nil {
		found, err := userCredentials()
		if err != nil {
			return nil, err
		}
		o.Credentials = found
	}
	base := http.DefaultTransport.(*http.Transport).Clone()
	base.MaxIdleConnsPerHost = 64
	base.DisableCompression = true // lengths and digests are of what is stored
	base.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.RootCAs}
	base.WriteBufferSize, base.ReadBufferSize = 64<<10, 64<<10
	t := &transport{base: base, o: o, hold: map[string]time.Time{}}
	return &Client{
		o: o, http: t, repos: map[string]*Repository{}, blobs: map[string]string{},
		auth: &authorized{&auth.Client{
			Client:     &http.Client{Transport: t, CheckRedirect: checkRedirect},
			Header:     http.Header{"User-Agent": {o.UserAgent}},
			Credential: o.Credentials,
			Cache:      auth.NewCache(),
			ClientID:   "sello",
		}},
	}, nil
}

// authorized asks once more when a token that several requests share ran out between
// its renewal and its use.
type authorized struct{ client *auth.Client }

// Do implements remote.Client.
func (a *authorized) Do(req *http.Request) (*http.Response, error) {
	resp, err := a.client.Do(req)
	if err != nil || resp.StatusCode != http.StatusUnauthorized || !repeatable(req) || resp.Request.Header.Get("Authorization") == "" {
		return resp, err
	}
	drain(resp)
	if req, err = again(req); err != nil {
		return nil, err
	}
	return a.client.Do(req)
}

// Open opens one repository: New and its Open in one.
func Open(repository string, o Options) (*Repository, error) {
	c, err := New(o)
	if err != nil {
		return nil, err
	}
	return c.Open(repository)
}

// Open gives the repository registry/path. Nothing is asked of the registry yet. A tag
// or digest in the name is an image-reference.
func (c *Client) Open(repository string) (*Repository, error) {
	ref, err := ParseReference(repository)
	if err != nil {
		return nil, err
	}
	if ref.Tag != "" || ref.Digest != "" {
		return nil, badReference(repository, "a repository is wanted, without a tag or digest")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if r, ok := c.repos[repository]; ok {
		return r, nil
	}
	r := &Repository{client: c, ref: ref, remote: &remote.Repository{
		Client:               c.auth,
		Reference:            oras.Reference{Registry: ref.Registry, Repository: ref.Repository},
		PlainHTTP:            !c.o.HTTPS && loopback(ref.Registry),
		SkipReferrersGC:      true, // nothing is deleted here, and some registries refuse to
		MaxMetadataBytes:     2 * MaxManifest,
		ReferrerListMaxPages: 100,
		TagListMaxPages:      1000,
	}}
	c.repos[repository] = r
	return r, nil
}

// has remembers that a repository holds a blob.
func (c *Client) has(ref Reference, digest string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.blobs[ref.Registry+" "+digest] = ref.Repository
}

// holder gives a repository of the same registry that holds the blob, or "".
func (c *Client) holder(ref Reference, digest string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.blobs[ref.Registry+" "+digest]
}

// loginFiles are the files with the logins of podman and docker, in the order in which podman looks.
func loginFiles() []string {
	var paths []string
	if p := os.Getenv("REGISTRY_AUTH_FILE"); p != "" {
		paths = append(paths, p)
	}
	if p := os.Getenv("XDG_RUNTIME_DIR"); p != "" {
		paths = append(paths, filepath.Join(p, "containers", "auth.json"))
	}
	if p, err := os.UserConfigDir(); err == nil {
		paths = append(paths, filepath.Join(p, "containers", "auth.json"))
	}
	if p := os.Getenv("DOCKER_CONFIG"); p != "" {
		paths = append(paths, filepath.Join(p, "config.json"))
	} else if home, err := os.UserHomeDir(); err == nil {
		paths = append(paths, filepath.Join(home, ".docker", "config.json"))
	}
	return paths
}

// userCredentials reads the logins of podman and docker.
func userCredentials() (auth.CredentialFunc, error) {
	var logins []auth.CredentialFunc
	for _, p := range loginFiles() {
		if _, err := os.Stat(p); err != nil {
			continue
		}
		s, err := credentials.NewStore(p, credentials.StoreOptions{})
		if err != nil {
			return nil, fmt.Errorf("read registry logins from %s: %w", p, err)
		}
		logins = append(logins, credentials.Credential(s))
	}
	return func(ctx context.Context, host string) (auth.Credential, error) {
		for _, login := range logins {
			if found, err := login(ctx, host); err != nil || found != auth.EmptyCredential {
				return found, err
			}
		}
		return auth.EmptyCredential, nil
	}, nil
}
