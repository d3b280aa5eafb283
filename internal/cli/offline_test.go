package cli

import (
	"testing"

	"github.com/sello-release/sello/internal/offlinetest"
)

// The command line that the conformance suite types works without a network: each case, by path and by digest.
func TestWithoutNetwork(t *testing.T) {
	t.Parallel()
	offlinetest.Run(t, "-test.run=^TestVerify", "TestVerifyBundleConformance", "TestVerifyBundleNamesTheSigner")
}
