//go:build unix

package sign

import "io/fs"

// othersMay gives the permissions that others than the owner have.
func othersMay(mode fs.FileMode) fs.FileMode { return mode.Perm() & 0o077 }
