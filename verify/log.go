package verify

import (
	"cmp"

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
	var opened []*tlog.Proof
	return f.chain(Check{Subject: tlog.ProofFile, Where: tlog.ProofFile},
		step{"log-proof-missing", func(*Check) error {
			if len(proofs) > 0 {
				return nil
			}
			return &gate.Refusal{Code: "log-proof-missing", What: "nothing proves that the release is in the project's transparency log, where everybody can see it", Expected: tlog.ProofFile,
				Fix: "download the release whole; if it was released before the project had a log, have it released again: sello release"}
		}},
		step{"log-proof-invalid", func(*Check) (err error) {
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
		step{"log-entry-mismatch", func(c *Check) (err error) {
			c.Expected = "sha256:" + digest.Bytes(statement)
			for _, p := range opened {
				c.Actual = p.Entry.String()
				if err = p.Proves(v.trust.Project, version, stage.ReleaseBundle, digest.Bytes(statement)); err == nil {
					return nil
				}
			}
			return err
		}},
	)
}

// wanted is the version that a statement is held to: the one asked for, or stage.json's.
func (v *verifier) wanted(list *stage.Stage) string { return cmp.Or(v.Version, versionOf(list)) }
