// Command gen writes the JSON schemas in schema/ and docs/reference/definition.md from
// the types of the files and their comments, so that editors, readers and the program cannot disagree.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

func main() {
	root := flag.String("root", ".", "root of the repository")
	flag.Parse()
	if err := run(*root); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(root string) error {
	files, err := generate(root)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		full := filepath.Join(root, filepath.FromSlash(name))
		if old, err := os.ReadFile(full); err == nil && bytes.Equal(old, files[name]) {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			return fmt.Errorf("make folder: %w", err)
		}
		if err := os.WriteFile(full, files[name], 0o644); err != nil {
			return fmt.Errorf("write generated file: %w", err)
		}
	}
	return nil
}

// generate gives every generated file by its path from the root.
func generate(root string) (map[string][]byte, error) {
	c, err := readComments(root)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{"docs/reference/definition.md": reference(c)}
	for name, value := range schemas {
		data, err := schemaOf(name, value, c)
		if err != nil {
			return nil, err
		}
		files["schema/"+name+".schema.json"] = data
	}
	return files, nil
}
