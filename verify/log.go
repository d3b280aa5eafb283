package verify

import (
	"cmp"
	"strings"

	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/stage"
	"github.com/sello-release/sello/internal/tlog"
)

// logged holds that the release statement is in the project's transparency log, where the trust file names one: by one of the proofs
// that are there. statement are its bytes.
func (v *verifier) logged(f *findings, statement []byte, version string, proofs [][]byte) bool {
	if v.log == nil {
		return true
	}
	if len(proofs) == 0 && v.Unreleased && !v.RequireRelease {
		f.skip("log-proof-missing", tlog.ProofFile, "a promoted release is not in the transparency log yet")
		return true
	}
	var opened, proving []*tlog.Proof
	steps := []step{
		{"log-proof-missing", func(*Check) error {
			if len(proofs) > 0 {
				return nil
			}
			return &gate.Refusal{Code: "log-proof-missing", What: "nothing proves that the release is in the project's transparency log, where everybody can see it", Expected: tlog.ProofFile,
				Fix: "download the release whole; if it was released before the project had a log, have it released again: sello release"}
		}},
		{"log-proof-invalid", func(*Check) (err error) {
			for _, data := range proofs {
				p, bad := v.log.OpenProof(data)
				if bad != nil {
					err = bad
					continue
				}
				opened = append(opened, p)
			}
			if len(opened) > 0 {
				return nil
			}
			return err
		}},
		{"log-entry-mismatch", func(c *Check) (err error) {
			c.Expected = "sha256:" + digest.Bytes(statement)
			for _, p := range opened {
				bad := p.Proves(v.trust.Project, version, stage.ReleaseBundle, digest.Bytes(statement))
				if bad == nil {
					proving = append(proving, p)
				}
				if bad == nil || len(proving) == 0 {
					c.Actual, err = p.Entry.String(), bad
				}
			}
			return err
		}},
	}
	switch {
	case v.log.Threshold() == 0:
	case v.Unreleased && !v.RequireRelease: // a release of before the witnesses gets their cosignatures when it is released again
		f.skip("witness-missing", tlog.ProofFile, "witnesses are asked when it is released")
	default:
		steps = append(steps, step{"witness-missing", func(c *Check) error { return v.witnessed(c, proving) }})
	}
	return f.chain(Check{Subject: tlog.ProofFile, Where: tlog.ProofFile}, steps...)
}

// witnessed holds that enough witnesses have cosigned the checkpoint of one of the proofs.
func (v *verifier) witnessed(c *Check, proofs []*tlog.Proof) (err error) {
	c.Expected = v.log.Quorum()
	for _, p := range proofs {
		var names []string
		if names, err = v.log.Cosigned(p.Checkpoint, v.Now); err == nil {
			c.Actual = strings.Join(names, ", ")
			return nil
		}
	}
	return err
}

// wanted is the version that a statement is held to: the one asked for, or stage.json's.
func (v *verifier) wanted(list *stage.Stage) string { return cmp.Or(v.Version, versionOf(list)) }
