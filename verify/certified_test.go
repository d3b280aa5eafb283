package verify

import (
	"testing"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/provenance"
	"github.com/sello-release/sello/internal/sign"
)

// What the certificate says of the run outweighs what the provenance says.
func TestCertifiedRun(t *testing.T) {
	t.Parallel()
	run := sign.Run{Repository: "https://github.com/o/r", Ref: "refs/tags/v1", Commit: "c"}
	said := provenance.Source{URI: "https://github.com/o/r", Ref: "refs/tags/v1", Commit: "c"}
	if err := certifiedRun(&Check{}, said, run); err != nil {
		t.Error(err)
	}
	if err := certifiedRun(&Check{}, said, sign.Run{}); err != nil {
		t.Errorf("a person's certificate: %v", err)
	}
	for _, other := range []sign.Run{{Repository: "https://github.com/o/fork"}, {Ref: "refs/heads/main"}, {Commit: "d"}} {
		if err := certifiedRun(&Check{}, said, other); gate.Code(err) != "source-mismatch" {
			t.Errorf("%+v: %v", other, err)
		}
	}
}
