//go:build unix

package verify

import "syscall"

// noFollow keeps an open from following a link or waiting on a pipe.
const noFollow = syscall.O_NOFOLLOW | syscall.O_NONBLOCK
