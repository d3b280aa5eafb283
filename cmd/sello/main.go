// Sello cuts software releases that nobody has to take on faith.
package main

import (
	"os"

	"github.com/sello-release/sello/internal/cli"
)

// Set by the linker.
var (
	version = ""
	commit  = ""
)

func main() {
	os.Exit(cli.Main(os.Args[1:], cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}, cli.Build{Version: version, Commit: commit}))
}
