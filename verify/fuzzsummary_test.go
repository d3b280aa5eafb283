package verify_test

import (
	"bytes"
	"testing"

	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/stage"
	"github.com/sello-release/sello/verify"
	vt "github.com/sello-release/sello/verify/verifytest"
)

// Whatever is given for a summary, only what the gate signed is accepted.
func FuzzProjectSummary(f *testing.F) {
	w := vt.NewGateWorld(f)
	dir := w.Release(f)
	signed, err := sign.ParseBundle(vt.Read(f, dir, stage.SummaryBundle))
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range []string{stage.SummaryBundle, stage.SummaryPlain, stage.ReleaseBundle, stage.FileName} {
		f.Add(vt.Read(f, dir, name))
	}
	file := verify.Digests{"sha256": digest.Bytes(vt.Read(f, dir, vt.Archive))}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := verify.ProjectSummary(file, []verify.Evidence{{Name: "V", Content: data}}, verify.Options{TrustFile: w.TrustFile, Now: vt.Now})
		if err != nil {
			t.Fatal(err)
		}
		if r.Verdict != verify.Accepted {
			return
		}
		found, err := sign.Collect(data)
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range found {
			if one.Err == nil && one.Bundle.Envelope != nil && bytes.Equal(one.Bundle.Envelope.Payload, signed.Envelope.Payload) {
				return
			}
		}
		t.Errorf("accepted: %q", data)
	})
}
