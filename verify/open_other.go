//go:build !unix

package verify

// noFollow has no flag here; the walk has refused links, and a root is never left.
const noFollow = 0
