package trust

import (
	"time"

	"github.com/sello-release/sello/internal/gate"
)

// Check refuses a file that does not count at the time now.
func (t *Trust) Check(now time.Time) error {
	if now.Before(t.Expires.End()) {
		return nil
	}
	return &gate.Refusal{Code: "trust-expired", What: "the trust file has expired", Expected: "a day after " + now.UTC().Format(time.DateOnly),
		Actual: string(t.Expires), Fix: "get the project's current trust.yaml; its managers make one with a later expires:"}
}

// Usable refuses an identity that is unknown, or does not count at the time at.
func (t *Trust) Usable(name string, at time.Time) error {
	id, ok := t.Identities[name]
	day := at.UTC().Format(time.DateOnly)
	switch {
	case !ok:
		return &gate.Refusal{Code: "trust-unknown-identity", What: "the trust file has no identity " + name}
	case id.NotBefore != "" && at.Before(id.NotBefore.Start()):
		return &gate.Refusal{Code: "trust-identity-early", What: "the identity " + name + " does not count yet", Expected: "a day from " + string(id.NotBefore) + " on", Actual: day}
	case id.Expires != "" && !at.Before(id.Expires.End()):
		return &gate.Refusal{Code: "trust-identity-expired", What: "the identity " + name + " has expired", Expected: "a day up to " + string(id.Expires), Actual: day,
			Fix: "sign with an identity that still counts, or release a new trust.yaml"}
	}
	return nil
}
