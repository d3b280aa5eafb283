//go:build !unix

package release

import "time"

// cpuTime is not known here.
func cpuTime() time.Duration { return 0 }
