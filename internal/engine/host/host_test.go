package host_test

import (
	"testing"

	"github.com/sello-release/sello/internal/engine"
	"github.com/sello-release/sello/internal/engine/enginetest"
	"github.com/sello-release/sello/internal/engine/host"
)

func TestConformance(t *testing.T) {
	enginetest.Run(t, func(t *testing.T) engine.Engine { return host.New(host.Options{Scratch: t.TempDir()}) }, enginetest.Expect{})
}
