package stage

import (
	"fmt"
	"io/fs"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Names in a stage's and a release's folder that no artifact may have.
const (
	ReleaseBundle = "release.sigstore.json"         // the signed release statement
	SummaryBundle = "vsa.sigstore.json"             // the gate's verification summary
	SummaryPlain  = "vsa.intoto.jsonl"              // its envelope by itself, for readers that know no bundles
	SignOffFolder = "sign-offs"                     // <identity>.sigstore.json each
	VulnsBundle   = "vulnerabilities.sigstore.json" // the signed statement about known vulnerabilities
	VEXFolder     = "vex"                           // decisions about them: <id>.openvex.json each, and its bundle
	FilesFolder   = "files"                         // in a stage only: what the release will hold
	ImagesFolder  = "images"                        // in a stage only: the images, as an OCI image layout
	BundleSuffix  = ".sigstore.json"                // <artifact>.sigstore.json: its provenance
	SBOMSuffix    = ".spdx.json"                    // <artifact>.spdx.json: what it consists of
)

// EvidenceMediaType is the artifact type of what is attached to an image of a release: a manifest whose layers are stage.json
// and the sign-offs, each titled with its name in the release's folder (OCI image specification 1.1, Manifest: artifactType).
const EvidenceMediaType = "application/vnd.sello.evidence.v1"

// maxName bounds an artifact's name, in bytes.
const maxName = 255

// CheckName says why name cannot be the name of an artifact, on any platform: it
// must be a clean, relative, slash-separated path that stays in its folder on
// Linux, macOS and Windows, and must not be a name that the release gives itself.
func CheckName(name string) error {
	switch {
	case !fs.ValidPath(name) || name == ".":
		return fmt.Errorf("%q is not a clean relative path", name)
	case len(name) > maxName:
		return fmt.Errorf("a name of %d bytes, more than %d", len(name), maxName)
	case !utf8.ValidString(name):
		return fmt.Errorf("%q is not UTF-8", name)
	case strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return fmt.Errorf("%q has characters that do not print", name)
	case strings.ContainsAny(name, `\:*?"<>|`):
		return fmt.Errorf("%q has characters that other systems cannot store", name)
	}
	for part := range strings.SplitSeq(name, "/") {
		if err := checkPart(part); err != nil {
			return fmt.Errorf("%q: %w", name, err)
		}
	}
	return checkReserved(strings.ToLower(name))
}

func checkPart(part string) error {
	if strings.HasSuffix(part, ".") || strings.HasSuffix(part, " ") || strings.HasPrefix(part, " ") {
		return fmt.Errorf("%q begins or ends with a space, or ends with a dot", part)
	}
	base, _, _ := strings.Cut(strings.ToUpper(part), ".")
	if windowsDevices[strings.TrimSpace(base)] {
		return fmt.Errorf("%q is a device on Windows", part)
	}
	return nil
}

func checkReserved(lower string) error {
	first, _, _ := strings.Cut(lower, "/")
	switch {
	case lower == FileName, lower == SummaryPlain, lower == "journal.jsonl", lower == "index.html", first == SignOffFolder, first == VEXFolder, first == FilesFolder, first == ImagesFolder, strings.HasSuffix(lower, BundleSuffix):
		return fmt.Errorf("%q is a name that the release keeps for itself", lower)
	}
	return nil
}

var windowsDevices = map[string]bool{
	"CON": true, "PRN": true, "AUX": true, "NUL": true, "CONIN$": true, "CONOUT$": true,
	"COM1": true, "COM2": true, "COM3": true, "COM4": true, "COM5": true, "COM6": true, "COM7": true, "COM8": true, "COM9": true,
	"LPT1": true, "LPT2": true, "LPT3": true, "LPT4": true, "LPT5": true, "LPT6": true, "LPT7": true, "LPT8": true, "LPT9": true,
}
