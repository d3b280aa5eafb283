package bubblewrap_test

import (
	"testing"

	"github.com/sello-release/sello/internal/engine"
	"github.com/sello-release/sello/internal/engine/bubblewrap"
	"github.com/sello-release/sello/internal/engine/enginetest"
)

func TestConformance(t *testing.T) {
	enginetest.Run(t, func(t *testing.T) engine.Engine { return bubblewrap.New(bubblewrap.Options{Scratch: t.TempDir()}) }, enginetest.Expect{Isolated: true})
}
