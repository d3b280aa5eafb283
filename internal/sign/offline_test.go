package sign

import (
	"testing"

	"github.com/sello-release/sello/internal/offlinetest"
)

// Every published case, and all that is known to be wrong with bundles, is judged without a network.
func TestWithoutNetwork(t *testing.T) {
	t.Parallel()
	offlinetest.Run(t, "-test.skip=^Test(SigstoreJS.*|Mutations)$", "TestSigstoreConformance", "TestConformanceMutations", "TestGoogleVSA", "TestKeylessRefusals")
}
