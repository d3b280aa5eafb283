package bubblewrap_test

import (
	"runtime"
	"strings"
	"testing"

	"github.com/sello-release/sello/internal/engine"
	"github.com/sello-release/sello/internal/engine/bubblewrap"
	"github.com/sello-release/sello/internal/engine/enginetest"
	"github.com/sello-release/sello/internal/gate"
)

func TestConformance(t *testing.T) {
	enginetest.Run(t, func(t *testing.T) engine.Engine { return bubblewrap.New(bubblewrap.Options{Scratch: t.TempDir()}) }, enginetest.Expect{Isolated: true})
}

func TestElsewhere(t *testing.T) {
	if runtime.GOOS == "linux" {
		t.Skip("there is a sandbox on Linux")
	}
	err := bubblewrap.New(bubblewrap.Options{}).Check(t.Context())
	if gate.Code(err) != "sandbox-unavailable" || !strings.Contains(err.Error(), "Linux") {
		t.Errorf("error %v", err)
	}
}
