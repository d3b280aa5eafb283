package license

import (
	"path"
	"strings"
)

// kindOf says what kind of licence file a name is, or "".
func kindOf(name string) Kind {
	dir, base := path.Split(name)
	if inside := strings.TrimSuffix(dir, "/"); inside == "LICENSES" || strings.HasSuffix(inside, "/LICENSES") {
		return Text // REUSE: one text a file, named by its identifier
	}
	upper := strings.ToUpper(base)
	stem, ext := strings.TrimSuffix(upper, path.Ext(upper)), path.Ext(upper)
	if source[ext] {
		return ""
	}
	switch {
	case hasStem(upper, "LICENSE"), hasStem(upper, "LICENCE"), hasStem(upper, "LICENSES"), hasStem(upper, "COPYING"), hasStem(upper, "UNLICENSE"), hasStem(upper, "UNLICENCE"),
		hasStem(upper, "COPYLEFT"):
		return Text
	case strings.HasSuffix(stem, "-LICENSE"), strings.HasSuffix(stem, ".LICENSE"), strings.HasSuffix(stem, "_LICENSE"), ext == ".LICENSE", ext == ".LICENCE":
		return Text
	case stem == "MIT" || stem == "APACHE" || stem == "BSD" || stem == "GPL" || stem == "LGPL" || stem == "MPL":
		return Text
	case hasStem(upper, "NOTICE"), hasStem(upper, "COPYRIGHT"), hasStem(upper, "AUTHORS"), hasStem(upper, "EULA"), hasStem(upper, "LEGAL"):
		return Notice
	case hasStem(upper, "PATENTS"):
		return Patents
	}
	return ""
}

// hasStem holds for word alone, and for word and something that does not go on with it: LICENSE, LICENSE.txt, LICENSE-MIT.
func hasStem(name, word string) bool {
	rest, ok := strings.CutPrefix(name, word)
	return ok && (rest == "" || rest[0] < '0' || rest[0] > '9' && rest[0] < 'A' || rest[0] > 'Z')
}

// source are endings of files that are programs or data, whatever they are called.
var source = map[string]bool{
	".GO": true, ".C": true, ".H": true, ".CC": true, ".CPP": true, ".PY": true, ".JS": true, ".TS": true, ".JAVA": true, ".RS": true, ".RB": true, ".SH": true,
	".JSON": true, ".YAML": true, ".YML": true, ".TOML": true, ".XML": true, ".SVG": true, ".PNG": true, ".JPG": true, ".GZ": true, ".ZIP": true, ".TMPL": true, ".CSV": true, ".LRE": true,
}

// hasHead are the endings of files in which a tag is searched for.
var hasHead = map[string]bool{
	".GO": true, ".C": true, ".H": true, ".CC": true, ".CPP": true, ".HPP": true, ".S": true, ".PY": true, ".JS": true, ".TS": true, ".JAVA": true, ".RS": true, ".RB": true,
	".SH": true, ".PROTO": true, ".CSS": true, ".SQL": true, ".YAML": true, ".YML": true, ".TOML": true, ".MK": true, ".KT": true, ".SWIFT": true, ".PL": true, ".LUA": true,
}

func mayHaveTag(name string) bool { return hasHead[strings.ToUpper(path.Ext(name))] }

// isRoot holds for the files that speak of the whole: those at its root, and REUSE's LICENSES folder.
func isRoot(name string) bool {
	return !strings.Contains(name, "/") || strings.HasPrefix(name, "LICENSES/") && strings.Count(name, "/") == 1
}
