package tlog

import (
	"testing"

	"github.com/sello-release/sello/internal/offlinetest"
)

// A log in a folder is read, proven and compared without a network.
func TestWithoutNetwork(t *testing.T) {
	t.Parallel()
	offlinetest.Run(t, "-test.skip=^TestAtOnceInAnObjectStore$", "TestProofs", "TestTwoLogs", "TestDamage")
}
