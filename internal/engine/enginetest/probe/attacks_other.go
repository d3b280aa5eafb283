//go:build !linux

package main

import (
	"fmt"
	"syscall"
)

// attacks are only made where there is a sandbox to attack.
func attacks() map[string]action { return nil }

func name(e syscall.Errno) string { return fmt.Sprint(int(e)) }
