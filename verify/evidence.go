package verify

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/stage"
)

// Names of the checksum files.
const (
	sums256 = "SHA256SUMS"
	sums512 = "SHA512SUMS"
)

// checkEvidence holds that every artifact has what stage.json and the caller ask for. Provenance is
// asked for always, and judged artifact by artifact.
func (v *verifier) checkEvidence(f *findings, list *stage.Stage, artifacts []stage.Artifact) {
	wanted := slices.Concat(list.Evidence, v.Evidence)
	slices.Sort(wanted)
	for _, kind := range slices.Compact(wanted) {
		f.chain(Check{Subject: kind, Where: stage.FileName, Expected: kind + " for every artifact"}, step{"evidence-missing", func(*Check) error {
			switch kind {
			case "provenance":
				return nil
			case "sbom":
				return sboms(list, artifacts)
			}
			return &gate.Refusal{Code: "evidence-missing", What: "the release asks for evidence that this version of Sello cannot check", Expected: "provenance, sbom",
				Actual: kind, Fix: "verify with a newer version of Sello"}
		}})
	}
}

func sboms(list *stage.Stage, artifacts []stage.Artifact) error {
	for _, a := range artifacts {
		if !stage.NeedsSBOM(a.Kind) {
			continue
		}
		if b := list.Find(a.Name + stage.SBOMSuffix); b == nil || b.Kind != stage.KindSBOM {
			return &gate.Refusal{Code: "evidence-missing", What: "an artifact has no bill of materials", Where: a.Name, Expected: a.Name + stage.SBOMSuffix,
				Fix: "have the project stage the release again, with SBOMs"}
		}
	}
	return nil
}

// checkSums holds that a checksum file says of every file what was found: SHA256SUMS by the
// digests just computed, SHA512SUMS by those in stage.json, so that each byte is read once.
func checkSums(f *findings, name string, content []byte, list *stage.Stage, files map[string]*file) {
	f.chain(Check{Subject: name, Where: name}, step{"checksum-mismatch", func(c *Check) error {
		mismatch := func(what, expected, actual string) error {
			return &gate.Refusal{Code: "checksum-mismatch", What: what, Expected: expected, Actual: actual, Fix: "do not use the release: its checksum file contradicts it"}
		}
		sums, err := parseSums(content, map[string]int{sums256: 64, sums512: 128}[name])
		if err != nil {
			return mismatch("the checksum file cannot be read", "<hex>  <name> a line", err.Error())
		}
		for _, a := range list.Artifacts {
			want := a.SHA512
			if name == sums256 {
				want = ""
				if have := files[a.Name]; have != nil {
					want = have.sha256
				}
			}
			got, ok := sums[a.Name]
			switch delete(sums, a.Name); {
			case !ok && (a.Kind == stage.KindChecksum || a.Kind == stage.KindSBOM):
			case !ok:
				return mismatch("a file is missing in the checksum file", a.Name, "no line")
			case got != want:
				return mismatch("the checksum file names another digest of "+a.Name, want, got)
			}
		}
		for other := range sums {
			return mismatch("the checksum file names a file that is not in the release", "no line", other)
		}
		c.Actual = fmt.Sprintf("agrees with %d artifacts", len(list.Artifacts))
		return nil
	}})
}

// parseSums reads what sha256sum and sha512sum write.
func parseSums(content []byte, digits int) (map[string]string, error) {
	out := map[string]string{}
	lines := bufio.NewScanner(bytes.NewReader(content))
	for n := 1; lines.Scan(); n++ {
		sum, rest, ok := strings.Cut(lines.Text(), " ")
		if _, err := hex.DecodeString(sum); !ok || err != nil || len(sum) != digits || len(rest) < 2 || rest[0] != ' ' && rest[0] != '*' {
			return nil, fmt.Errorf("line %d is malformed", n)
		}
		name := rest[1:]
		if _, twice := out[name]; twice {
			return nil, fmt.Errorf("line %d names %.100q again", n, name)
		}
		out[name] = sum
	}
	return out, lines.Err()
}
