//go:build !unix

package release

import "errors"

// available gives the bytes that this user can still write in a folder.
func available(string) (int64, error) { return 0, errors.ErrUnsupported }
