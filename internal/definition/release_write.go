package definition

import (
	"bytes"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/strictyaml"
)

// MarshalRelease writes a release file, with the line that tells editors its schema.
func MarshalRelease(r Release) []byte {
	var b bytes.Buffer
	b.WriteString(Modeline("release"))
	for _, line := range [][2]string{
		{"version", r.Version}, {"commit", r.Commit}, {"channel", r.Channel}, {"notes", r.Notes}, {"stage", r.Stage},
	} {
		if line[1] != "" {
			fmt.Fprintf(&b, "%s: %s\n", line[0], Scalar(line[1]))
		}
	}
	return b.Bytes()
}

// Scalar writes text as one line of YAML, in quotes where another reader of YAML would take it for something else.
func Scalar(s string) string {
	node := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
	if strings.ContainsAny(s, "\n\t") {
		node.Style = yaml.DoubleQuotedStyle
	}
	out, err := yaml.Marshal(node)
	if err != nil || bytes.Count(out, []byte("\n")) > 1 { // long text with spaces is folded
		return fmt.Sprintf("%q", s)
	}
	return strings.TrimSuffix(string(out), "\n")
}

// SetStage adds the stage line to a release file, or replaces its value, and keeps every other byte. digest is sha256:….
func SetStage(data []byte, digest string) ([]byte, error) {
	before, doc, err := readRelease(data)
	if err != nil {
		return nil, err
	}
	var out []byte
	if doc.Has("stage") {
		out = replaceStage(data, doc, before.Stage, digest)
	} else {
		out = appendStage(data, digest)
	}
	want := *before
	want.Stage = digest
	if after, _, err := readRelease(out); err != nil || *after != want || !stageDigest.MatchString(digest) {
		return nil, &gate.Refusal{Code: "release-stage-edit", Class: gate.Usage, What: "the stage cannot be written into this release file",
			Expected: "one key a line", Actual: "another layout", Fix: fmt.Sprintf("write it by hand: stage: %s", digest)}
	}
	return out, nil
}

func readRelease(data []byte) (*Release, *strictyaml.Document, error) {
	var r Release
	doc, err := strictyaml.Decode("release file", data, &r)
	if err != nil {
		return nil, nil, err
	}
	return &r, doc, nil
}

// replaceStage puts digest in the place of the old value, with or without quotes.
func replaceStage(data []byte, doc *strictyaml.Document, old, digest string) []byte {
	line, column := doc.LineColumn("stage")
	lines := strings.SplitAfter(string(data), "\n")
	at := []rune(lines[line-1])
	head, tail := string(at[:column-1]), string(at[column-1:])
	for _, q := range []string{"", "'", `"`} {
		if rest, ok := strings.CutPrefix(tail, q+old+q); ok {
			lines[line-1] = head + digest + rest
			return []byte(strings.Join(lines, ""))
		}
	}
	return nil
}

func appendStage(data []byte, digest string) []byte {
	end := "\n"
	if bytes.Contains(data, []byte("\r\n")) {
		end = "\r\n"
	}
	out := bytes.Clone(data)
	if !bytes.HasSuffix(out, []byte("\n")) {
		out = append(out, end...)
	}
	return append(out, "stage: "+digest+end...)
}
