package chain

import (
	"testing"

	"github.com/sello-release/sello/internal/offlinetest"
)

// Versions of trust files are followed without a network.
func TestWithoutNetwork(t *testing.T) {
	t.Parallel()
	offlinetest.Run(t, "-test.run=.", "TestRefused")
}
