//go:build !unix

package sign

import "io/fs"

// othersMay gives none: the mode says nothing about access here; the folder's access list does.
func othersMay(fs.FileMode) fs.FileMode { return 0 }
