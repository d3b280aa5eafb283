//go:build !linux

package enginetest

import "testing"

func (s *suite) hostile(t *testing.T) { t.Skip("the hostile steps are written for Linux") }
