package verify_test

import (
	"testing"

	"github.com/sello-release/sello/internal/offlinetest"
)

// Verifying needs no network: all that verifies files, folders, layouts, bundles, provenance and summaries does so where there is none.
// Left out are tests of downloads and registries, and those where other programs judge.
func TestWithoutNetwork(t *testing.T) {
	t.Parallel()
	offlinetest.Run(t, "-test.skip=^Test(Cosign.*|URL.*|.*Download.*|Redirects|GoodImageIsAccepted|ImageRefusals|ManifestOfOnePlatform|AnotherImageOfTheRelease|TagOfAnotherVersion|GateSummaryOfImages|GateSummaryByURL|SLSAVerifier.*)$",
		"TestKeylessRelease", "TestBundle", "TestPublishedProvenance", "TestForeignProvenancePolicy", "TestSummary", "TestGateSummary", "TestProjectSummary", "TestTagInALayout", "TestDamagedFoldersAreRefused")
}
