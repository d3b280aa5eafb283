// Gen writes the command line reference, docs/reference/cli, from the commands themselves.
package main

import (
	"flag"
	"log"
	"os"
	"path/filepath"

	"github.com/spf13/cobra/doc"

	"github.com/sello-release/sello/internal/cli"
)

func main() {
	root := flag.String("root", ".", "root of the repository")
	flag.Parse()
	dir := filepath.Join(*root, "docs", "reference", "cli")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		log.Fatal(err)
	}
	cmd := cli.Root()
	cmd.DisableAutoGenTag = true
	if err := doc.GenMarkdownTree(cmd, dir); err != nil {
		log.Fatal(err)
	}
}
