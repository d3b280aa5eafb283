// Gen writes docs/errors.md: every code with which Sello refuses, what it means and what to do about it.
//
// The codes come from the sources: each gate.Refusal is followed back to the constants that its code can be, through
// parameters, fields, variables and results of its package. A code that cannot be followed is an error, so
// that none is missing. What it means and what to do are the refusal's own What and Fix where these are the same in every
// run; for all others they stand in texts.go. A code without either is an error, and so is a text without a code.
package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"go/token"
	"log"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	log.SetFlags(0)
	root := flag.String("root", ".", "root of the repository")
	flag.Parse()
	codes, err := collect(*root, "internal", "verify")
	if err != nil {
		log.Fatal(err)
	}
	page, err := render(codes, texts)
	if err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(*root, "docs", "errors.md"), page, 0o644); err != nil {
		log.Fatal(err)
	}
}

// collect finds the codes in the packages below dirs.
func collect(root string, dirs ...string) (map[string][]found, error) {
	fset := token.NewFileSet()
	pkgs, err := load(fset, root, dirs...)
	if err != nil {
		return nil, err
	}
	byName := map[string]*pkg{}
	for _, p := range pkgs {
		byName[p.name] = p
	}
	codes := map[string][]found{}
	var errs []error
	for _, room := range slices.Sorted(maps.Keys(pkgs)) {
		f := &finder{pkg: pkgs[room], all: byName, fset: fset}
		f.refusals()
		errs = append(errs, f.errs...)
		for _, place := range f.out {
			codes[place.code] = append(codes[place.code], place)
		}
	}
	return codes, errors.Join(errs...)
}

// text is what a person reads of a code. A field that is "" is taken from the sources.
type text struct{ means, do string }

const head = `# Codes of refusals

Generated from the sources by ` + "`make generate`" + `. A code never gets another meaning.

A refusal prints more than stands here: what was expected, what was found, where, and a fix for this very case. The exit
code is 2 (the command line or a file that people write is wrong), 3 (refused), 4 (waiting for sign-off), 5 (not
reproducible) or 1 (failed).

| code | what it means | what to do | room |
|---|---|---|---|
`

// render writes the page, or says which codes have no text and which texts have no code.
func render(codes map[string][]found, texts map[string]text) ([]byte, error) {
	var b strings.Builder
	var errs []error
	b.WriteString(head)
	for _, code := range slices.Sorted(maps.Keys(codes)) {
		places := codes[code]
		means := cmp.Or(texts[code].means, only(places, func(f found) string { return f.what }))
		do := cmp.Or(texts[code].do, only(places, func(f found) string { return f.fix }))
		if means == "" || do == "" {
			errs = append(errs, fmt.Errorf("%s: say what %s means and what to do, in internal/gate/gen/texts.go (means %q, do %q)", places[0].pos, code, means, do))
		}
		rooms := sentences(places, func(f found) string { return f.room })
		fmt.Fprintf(&b, "| <a id=%q></a>`%s` | %s | %s | %s |\n", code, code, cell(means), cell(do), strings.Join(rooms, ", "))
	}
	for _, code := range slices.Sorted(maps.Keys(texts)) {
		if codes[code] == nil {
			errs = append(errs, fmt.Errorf("internal/gate/gen/texts.go: nothing refuses with %s", code))
		}
	}
	return []byte(b.String()), errors.Join(errs...)
}

// only gives the text that all places have in common, or "". Places that say nothing of their own do not count: they
// wrap another error.
func only(places []found, of func(found) string) string {
	saying := slices.DeleteFunc(slices.Clone(places), func(f found) bool { return f.what == "" && f.fix == "" })
	if all := sentences(saying, of); len(all) == 1 {
		return all[0]
	}
	return ""
}

// cell makes text safe in a cell of a Markdown table.
func cell(s string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;", "\n", " ").Replace(s)
}
