package definition

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// RunOwnEnv are the variables that a command always has, from the release; a definition cannot set them.
var RunOwnEnv = []string{"HOME", "SELLO_COMMIT", "SELLO_VERSION", "SOURCE_DATE_EPOCH", "TARGETARCH", "TARGETOS", "TARGETVARIANT"}

// maxWord bounds an argument, or the value of a variable, in bytes.
const maxWord = 4096

// run checks a builder that has its defaults.
func (c checker) run(at string, d *Definition, r *Run) {
	if strings.HasPrefix(d.Source, "pkg:golang/") {
		c.refuse(at, "definition-builder", "a command works on the files of a git repository, and the source is a published module", "a source that is an https URL", quote(d.Source), "build the module with go:")
	}
	c.runCommand(at+".command", r.Command)
	c.runRoot(at+".root", r.Root)
	c.platforms(at+".platforms", r.Platforms)
	c.globs(at+".inputs", "input", r.Inputs)
	c.globs(at+".outputs", "output", r.Outputs)
	for _, name := range slices.Sorted(maps.Keys(r.Env)) {
		c.runEnv(at+".env."+name, name, r.Env[name])
	}
}

func (c checker) runCommand(at string, command []string) {
	if len(command) == 0 && c.doc.Has(at) {
		c.refuse(at, "definition-command", "there is no command", "a program and its arguments", "an empty list", "write [make, tool]")
	}
	for i, word := range command {
		where := fmt.Sprintf("%s[%d]", at, i)
		if _, err := Expand(word, Values{}); err != nil {
			c.refuseErr(where, err)
			continue
		}
		switch {
		case strings.ContainsRune(word, 0) || len(word) > maxWord:
			c.refuse(where, "definition-command", "this cannot be an argument", fmt.Sprintf("text without NUL, at most %d bytes", maxWord), quote(word[:min(len(word), 40)]), "")
		case i == 0 && (word == "" || strings.HasPrefix(word, "-") || strings.Contains(word, "{{")):
			c.refuse(where, "definition-command", "this is not a program", "its name, or its path in the image", quote(word), "")
		case i == 0 && strings.ContainsAny(word, " \t\n"):
			c.refuse(where, "definition-command", "a command is not split at spaces: there is no shell", "one entry for the program, and one for each argument", quote(word),
				"write ["+strings.Join(strings.Fields(word), ", ")+"], or [sh, -c, …]")
		}
	}
}

func (c checker) runRoot(at, s string) {
	repository, _, ok := ParseBase(s)
	switch {
	case !c.doc.Has(at) || ok && repository != "":
	case ok:
		c.refuse(at, "definition-image-base", "a command needs an image with programs in it", "registry/path@sha256:…", quote(s), "name an image")
	default:
		c.refuse(at, "definition-image-base", "the root is not named by a digest: a tag can be moved to other bytes", "registry/path@sha256:…", quote(s), pinFix(s))
	}
}

func (c checker) globs(at, what string, globs []string) {
	if len(globs) == 0 && c.doc.Has(at) {
		c.refuse(at, "definition-path", "the list of "+what+"s is empty", "at least one", "[]", "")
	}
	c.duplicates(at, globs, "the "+what)
	for i, g := range globs {
		if !isGlob(g) {
			c.refuse(fmt.Sprintf("%s[%d]", at, i), "definition-path", "this is not a path or glob pattern for an "+what, "a relative path without .., with ** only as a whole name", quote(g), "")
		}
	}
}

func (c checker) runEnv(at, key, value string) {
	switch {
	case slices.Contains(RunOwnEnv, key):
		c.refuse(at, "definition-env", "Sello sets "+key+" itself", "another variable", key, "remove it")
	case !envName.MatchString(key):
		c.refuse(at, "definition-env", "this is not the name of a variable", "letters, digits and '_'", quote(key), "")
	case strings.ContainsRune(value, 0) || len(value) > maxWord:
		c.refuse(at, "definition-env", "this cannot be the value of a variable", fmt.Sprintf("text without NUL, at most %d bytes", maxWord), quote(value[:min(len(value), 40)]), "")
	}
	if _, err := Expand(value, Values{}); err != nil {
		c.refuseErr(at, err)
	}
}
