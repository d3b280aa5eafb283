// Package chain leads from a trust file that somebody has to the one that is in force: each version counts only when as many managers of
// the version before have signed it as that version's threshold asks for.
//
// # Promises
//
// Whoever has one version, from wherever they trust, can follow to a later one with nothing but the files: versions are consecutive,
// each names the digest of the one before, and is signed by that one's managers. An older version, another file under the same version,
// a version that is left out or signed by too few is refused, each by its own reason.
//
// # What it does not do
//
// It does not know whether there is a version that it was not shown: what ends that is the day on which a version expires.
package chain

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/trust"
)

// Type is the predicate type of a manager's signature on a trust file. The subject is the file.
const Type = "https://github.com/sello-release/sello/trust/v1"

// Folder is where the versions and their signatures are: in the repository all but the last version, which is trust.yaml, and in a
// release all of them.
const Folder = "trust"

// Bounds.
const (
	MaxFiles = 2000    // of the folder
	MaxFile  = 1 << 20 // bytes of one
	suffix   = ".yaml" //
	bundle   = ".sigstore.json"
)

// Signed is what a manager says of a version.
type Signed struct {
	Project  string    `json:"project"`
	Version  int       `json:"version"`
	Previous string    `json:"previous"` // digest of the version before: whose manager it is that signs
	Identity string    `json:"identity"` // name in the version before; the key decides, not this
	Time     time.Time `json:"time"`
}

// Files are the files of the folder, by their names in it.
type Files map[string][]byte

// FileName is the name of a version in the folder.
func FileName(version int) string { return strconv.Itoa(version) + suffix }

// SignatureName is the name of a manager's signature on a version.
func SignatureName(version int, identity string) string {
	return strconv.Itoa(version) + "." + identity + bundle
}

// Versions gives the versions that are there, in order.
func (f Files) Versions() []int {
	var out []int
	for name := range f {
		if n, ok := strings.CutSuffix(name, suffix); ok {
			if v, err := strconv.Atoi(n); err == nil && v > 0 && FileName(v) == name {
				out = append(out, v)
			}
		}
	}
	slices.Sort(out)
	return out
}

// signatures gives the signatures on a version, by the names of their files.
func (f Files) signatures(version int) map[string][]byte {
	out := map[string][]byte{}
	for name, data := range f {
		if strings.HasPrefix(name, strconv.Itoa(version)+".") && strings.HasSuffix(name, bundle) {
			out[name] = data
		}
	}
	return out
}

// Sign signs a version as a manager of the one before.
func Sign(ctx context.Context, signer sign.Signer, identity string, file []byte, now time.Time) ([]byte, error) {
	t, err := trust.Parse(trust.FileName, file)
	if err != nil {
		return nil, err
	}
	said := Signed{Project: t.Project, Version: t.Version, Previous: t.Previous, Identity: identity, Time: now.UTC().Truncate(time.Second)}
	out, err := sign.SignDocument(ctx, signer, FileName(t.Version), file, Type, said)
	if err != nil {
		return nil, fmt.Errorf("sign trust file: %w", err)
	}
	return out, nil
}

// Step is one version that was followed, and by whom it was signed.
type Step struct {
	Version  int      `json:"version"`
	SHA256   string   `json:"sha256"`
	SignedBy []string `json:"signedBy,omitempty"` // managers of the version before; none of the version that was begun with
}

// Follow leads from a version that is trusted to the last one among the files, and says over which. When the files have no later one, it is
// the version itself.
func Follow(from *trust.Trust, files Files) (*trust.Trust, []Step, error) {
	t, steps := from, []Step{{Version: from.Version, SHA256: from.Digest()}}
	versions := files.Versions()
	if len(versions) == 0 {
		return t, steps, nil
	}
	if same := files[FileName(from.Version)]; same != nil && digest.Bytes(same) != from.Digest() {
		return nil, steps, refuse("trust-fork", from.Version, "there is another trust file of the same version", "sha256:"+from.Digest(), "sha256:"+digest.Bytes(same),
			"find out which one the project's managers made: one of the two is false")
	}
	last := versions[len(versions)-1]
	if last < from.Version {
		return nil, steps, refuse("trust-rollback", last, "this is older than the trust file that you have", fmt.Sprintf("version %d or later", from.Version), fmt.Sprintf("version %d", last),
			"get the project's current files; if this is what is current there, somebody has taken it back: do not use it")
	}
	for v := from.Version + 1; v <= last; v++ {
		data := files[FileName(v)]
		if data == nil {
			return nil, steps, refuse("trust-chain-missing", v, "a version of the trust file is missing between the one that you have and the last", FileName(v), "versions "+list(versions), "get the folder "+Folder+" whole")
		}
		next, by, err := Next(t, data, files.signatures(v))
		if err != nil {
			return nil, steps, err
		}
		t, steps = next, append(steps, Step{Version: v, SHA256: next.Digest(), SignedBy: by})
	}
	return t, steps, nil
}

// Next reads the version after one that is trusted, and says who signed it. It refuses one that is not the next, or that too few
// managers of the version before have signed.
func Next(before *trust.Trust, file []byte, signatures map[string][]byte) (*trust.Trust, []string, error) {
	t, err := trust.Parse(Folder+"/"+FileName(before.Version+1), file)
	if err != nil {
		return nil, nil, err
	}
	switch {
	case t.Version != before.Version+1:
		return nil, nil, refuse("trust-chain-broken", before.Version+1, "this is another version than its name says", fmt.Sprint(before.Version+1), fmt.Sprint(t.Version), "get the folder "+Folder+" again")
	case t.Previous != "sha256:"+before.Digest():
		return nil, nil, refuse("trust-chain-broken", t.Version, "this version does not follow the one before", "previous: sha256:"+before.Digest(), "previous: "+orNone(t.Previous), "make it again from the version before: sello key trust")
	case t.Project != before.Project:
		return nil, nil, refuse("trust-chain-broken", t.Version, "this version is of another project", before.Project, t.Project, "get the project's own files")
	}
	if t.TrustedRoot != nil && before.Root() != nil {
		_ = t.SetRoot(before.Root()) // another root: its certificates are then refused
	}
	by, bad := signers(before, t, signatures)
	if need := before.Threshold(trust.RoleManager); len(by) < need {
		actual := fmt.Sprintf("%d: %s", len(by), orNone(strings.Join(by, ", ")))
		if len(bad) > 0 {
			actual += "; do not count: " + strings.Join(bad, "; ")
		}
		return nil, nil, refuse("trust-not-signed", t.Version, "too few managers of the version before have signed this version of the trust file",
			fmt.Sprintf("%d of %s", need, strings.Join(before.Managers(), ", ")), actual, "have them sign it: sello trust sign")
	}
	return t, by, nil
}

// SignedBy gives the managers of the version before who have signed t, sorted.
func SignedBy(before, t *trust.Trust, files Files) []string {
	by, _ := signers(before, t, files.signatures(t.Version))
	return by
}

// signers gives the managers of before who have signed t, sorted, and why other signatures do not count.
func signers(before, t *trust.Trust, signatures map[string][]byte) (by, bad []string) {
	of := sign.SignersOf(before, trust.RoleManager)
	seen := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(signatures)) {
		identity, err := signer(of, before, t, signatures[name])
		switch {
		case err != nil && len(bad) < 8:
			bad = append(bad, name+" ["+gate.Code(err)+"]")
		case err == nil && !seen[identity]:
			seen[identity] = true
			by = append(by, identity)
		}
	}
	slices.Sort(by)
	return by, bad
}

func signer(of *sign.Signers, before, t *trust.Trust, data []byte) (string, error) {
	b, err := sign.ParseBundle(data)
	if err != nil {
		return "", err
	}
	id, payload, err := of.Verify(b)
	if err != nil {
		return "", err
	}
	statement, err := attest.Decode[Signed](payload, Type)
	if err != nil {
		return "", err
	}
	identity, _ := before.ByKeyID(id)
	said := statement.Predicate
	switch {
	case len(statement.Subject) != 1 || statement.Subject[0].Digest["sha256"] != t.Digest():
		return "", refuse("subject-mismatch", t.Version, "the signature is over another file", t.Digest(), "", "sign again")
	case said.Project != t.Project || said.Version != t.Version || said.Previous != t.Previous || said.Identity != identity:
		return "", refuse("trust-chain-broken", t.Version, "the signature speaks of another version, or by another name", fmt.Sprintf("%s, version %d", identity, t.Version), fmt.Sprintf("%.64s, version %d", said.Identity, said.Version), "sign again")
	}
	return identity, before.Usable(identity, said.Time)
}

func refuse(code string, version int, what, expected, actual, fix string) error {
	return &gate.Refusal{Code: code, Where: Folder + "/" + FileName(version), What: what, Expected: expected, Actual: actual, Fix: fix}
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func list(versions []int) string {
	var out []string
	for _, v := range versions {
		out = append(out, strconv.Itoa(v))
	}
	return strings.Join(out, ", ")
}
