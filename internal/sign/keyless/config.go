package keyless

import (
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
	sigstore "github.com/sigstore/sigstore-go/pkg/sign"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/strictjson"
)

// MaxConfig bounds a signing_config.json, in bytes.
const MaxConfig = 1 << 20

// Config names the services that one signs with.
type Config struct {
	authority string // of certificates
	logs      []root.Service
	clocks    []string // timestamp authorities
	issuer    string   // of tokens; "" when none is named
}

// ParseConfig reads a signing_config.json (application/vnd.dev.sigstore.signingconfig.v0.2+json) and selects the services that are
// in use now, as it says. It refuses with signing-config-invalid what is malformed, has a key twice, names no certificate
// authority, or neither a log nor a timestamp authority, or a service by another URL than https (or http on this machine).
func ParseConfig(data []byte, now time.Time) (*Config, error) {
	c, err := parseConfig(data, now)
	if err != nil {
		return nil, &gate.Refusal{Code: "signing-config-invalid", Class: gate.Usage, What: "the signing configuration cannot be used", Expected: root.SigningConfigMediaType02, Cause: err,
			Fix: "give the Sigstore instance's signing_config.json, as its operators publish it"}
	}
	return c, nil
}

func parseConfig(data []byte, now time.Time) (*Config, error) {
	if len(data) > MaxConfig {
		return nil, fmt.Errorf("more than %d bytes", MaxConfig)
	}
	if err := strictjson.Check(data); err != nil {
		return nil, err
	}
	said, err := root.NewSigningConfigFromJSON(data)
	if err != nil {
		return nil, err
	}
	authority, err := root.SelectService(said.FulcioCertificateAuthorityURLs(), sigstore.FulcioAPIVersions, now)
	if err != nil {
		return nil, fmt.Errorf("certificate authority: %w", err)
	}
	c := &Config{authority: authority.URL}
	if services := said.OIDCProviderURLs(); len(services) > 0 {
		if issuer, err := root.SelectService(services, []uint32{1}, now); err == nil { // only people need one
			c.issuer = issuer.URL
		}
	}
	if services := said.RekorLogURLs(); len(services) > 0 {
		if c.logs, err = root.SelectServices(services, said.RekorLogURLsConfig(), sigstore.RekorAPIVersions, now); err != nil {
			return nil, fmt.Errorf("transparency log: %w", err)
		}
	}
	var clocks []root.Service
	if services := said.TimestampAuthorityURLs(); len(services) > 0 {
		if clocks, err = root.SelectServices(services, said.TimestampAuthorityURLsConfig(), sigstore.TimestampAuthorityAPIVersions, now); err != nil {
			return nil, fmt.Errorf("timestamp authority: %w", err)
		}
	}
	if len(c.logs)+len(clocks) == 0 {
		return nil, errors.New("it names neither a log nor a timestamp authority: nobody could say when something was signed")
	}
	for _, s := range clocks {
		c.clocks = append(c.clocks, s.URL)
	}
	return c, c.check()
}

// check holds that tokens and digests go to services that can be told from others.
func (c *Config) check() error {
	urls := append([]string{c.authority}, c.clocks...)
	for _, l := range c.logs {
		urls = append(urls, l.URL)
	}
	if c.issuer != "" {
		urls = append(urls, c.issuer)
	}
	for _, text := range urls {
		if err := checkURL(text); err != nil {
			return err
		}
	}
	return nil
}

// checkURL lets https through, and http on this machine.
func checkURL(text string) error {
	u, err := url.Parse(text)
	local := err == nil && u.Scheme == "http" && (u.Hostname() == "127.0.0.1" || u.Hostname() == "localhost")
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && !local {
		return fmt.Errorf("%.200q is not an https URL", text)
	}
	return nil
}

// Issuer is where people sign in; "" when the configuration names none.
func (c *Config) Issuer() string { return c.issuer }
