package ui

import (
	"errors"
	"testing"
)

func TestOneLineOfSeveralErrors(t *testing.T) {
	t.Parallel()
	a, b := errors.New("first\nforged"), errors.New("second")
	if got := oneLine(errors.Join(a, b)); got != "first\nforged (and 1 more)" {
		t.Errorf("%q", got)
	}
	if got := oneLine(a); got != "first\nforged" {
		t.Errorf("%q", got)
	}
}
