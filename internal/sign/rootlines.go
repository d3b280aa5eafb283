package sign

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
)

// Lines says whose word counts by the trusted root, and in which time: a line for each authority, log and clock, sorted.
func (r *Root) Lines() []string {
	var out []string
	add := func(kind, name, uri string, from, to time.Time) {
		until := "on"
		if !to.IsZero() {
			until = "to " + to.UTC().Format(time.DateOnly)
		}
		line := fmt.Sprintf("%s  %s  from %s %s", kind, name, from.UTC().Format(time.DateOnly), until)
		if uri != "" {
			line += "  " + uri
		}
		out = append(out, line)
	}
	for _, a := range r.material.FulcioCertificateAuthorities() {
		if a, ok := a.(*root.FulcioCertificateAuthority); ok {
			add("certificates", certName(a.Root), a.URI, a.ValidityPeriodStart, a.ValidityPeriodEnd)
		}
	}
	for _, a := range r.material.TimestampingAuthorities() {
		if a, ok := a.(*root.SigstoreTimestampingAuthority); ok {
			add("timestamps", certName(a.Root), a.URI, a.ValidityPeriodStart, a.ValidityPeriodEnd)
		}
	}
	for kind, logs := range map[string]map[string]*root.TransparencyLog{"log": r.material.RekorLogs(), "certificate log": r.material.CTLogs()} {
		for id, l := range logs {
			add(kind, id, l.BaseURL, l.ValidityPeriodStart, l.ValidityPeriodEnd)
		}
	}
	slices.Sort(out)
	return out
}

func certName(c *x509.Certificate) string {
	if c == nil {
		return "without a root"
	}
	return strings.TrimSpace(fmt.Sprintf("%q", c.Subject.String()))
}
