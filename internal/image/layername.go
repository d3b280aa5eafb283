package image

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sello-release/sello/internal/gate"
)

// Whiteouts are entries that remove. See OCI image-spec, layer.md, Whiteouts.
const (
	whiteout     = ".wh."
	whiteoutMeta = ".wh..wh." // what AUFS kept for itself
	whiteoutAll  = ".wh..wh..opq"
)

// splitName gives the parts of an entry's name, none for the root itself.
func splitName(name string) ([]string, error) {
	why := ""
	switch {
	case len(name) > maxName:
		why = fmt.Sprintf("is longer than %d bytes", maxName)
	case strings.ContainsRune(name, 0):
		why = "contains a NUL"
	case !utf8.ValidString(name):
		why = "is not UTF-8"
	case strings.ContainsFunc(name, unicode.IsControl):
		why = "contains a control character"
	}
	var parts []string
	for p := range strings.SplitSeq(name, "/") {
		switch {
		case p == "..":
			why = "contains .."
		case len(p) > 255:
			why = "has a part of more than 255 bytes"
		case p != "" && p != ".":
			parts = append(parts, p)
		}
	}
	for i, p := range parts {
		if rest, ok := strings.CutPrefix(p, whiteout); ok && (i < len(parts)-1 || rest == "" || rest == "." || rest == "..") {
			why = "is a whiteout of nothing, or lies below one"
		}
	}
	if why != "" {
		return nil, badLayerName(name, why)
	}
	return parts, nil
}

func badLayerName(name, why string) error {
	return &gate.Refusal{Code: CodeLayerName, What: "a name in a layer of an image cannot be used: it " + why, Where: fmt.Sprintf("%q", short(name)),
		Expected: "a relative path without ..", Fix: "do not use the image"}
}

func badLayerLink(name, target, why string) error {
	return &gate.Refusal{Code: CodeLayerLink, What: "a link in a layer of an image cannot be used: " + why, Where: fmt.Sprintf("%q", short(name)),
		Actual: fmt.Sprintf("%q", short(target)), Fix: "do not use the image"}
}

func badLayerFile(name, kind string) error {
	return &gate.Refusal{Code: CodeLayerDevice, What: "a layer of an image holds something that is neither file, folder nor link", Where: fmt.Sprintf("%q", short(name)),
		Actual: kind, Fix: "use an image without device nodes; those below dev/ are left out"}
}
