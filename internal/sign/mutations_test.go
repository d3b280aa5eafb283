package sign

import (
	"bytes"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sello-release/sello/internal/gate"
)

// refusals are the codes with which a bundle that somebody changed may be refused. bundle-unverified is none of them: each change has a reason with a name.
var refusals = []string{"bad-json", "bundle-unknown-version", "bundle-hint-mismatch", "no-signature", "too-many-signatures", "no-trusted-signer", "cert-untrusted", "cert-outside-validity", "sct-invalid",
	"signature-invalid", "subject-mismatch", "weak-digest", "timestamp-missing", "timestamp-invalid", "log-missing", "log-proof-invalid", "log-entry-mismatch", "unsupported-payload-type"}

// harmless is what of a bundle may be changed without being refused, by where it is and how it was changed, each with the reason.
// Whatever it is, who signed and what have to stay the same, and there is no other time than those that were.
var harmless = []pardon{
	{"", "mediaType", "another bundle's", "the version of the format is not signed; what is in the bundle has to fit the one that it says"},
	{"managed-key", "verificationMaterial.publicKey.hint", "", "a hint: every trusted key is tried"},
	{"", checkpoint, "with line 4 twice", "the log's own signature, twice"},
	{"rekor2", checkpoint, "line 5", "a signature of a witness, whom the trusted root does not name"},
	{"rekor2", checkpoint, "line 6", "another one"},
	{"rekor2", checkpoint, "line 7", "another one"},
	{"rekor2", timestamps, "doubled", "an authority's word twice is its word"},
	{"rekor2", timestamps + ".[0].signedTimestamp", "field at", "what of the message stands around that which the authority signed: versions, lists of algorithms, how long sets are"},
	{"managed-key-happy-path", "verificationMaterial.timestampVerificationData", "", "a timestamp beside a promise of the log, whose time counts"},
	{"managed-key-happy-path", "verificationMaterial.tlogEntries.[0].inclusionPromise", "nothing", "a promise beside a timestamp, whose time counts"},
	{"managed-key-happy-path", "verificationMaterial.tlogEntries.[0].inclusionPromise.signedEntryTimestamp", "empty", "the same"},
}

const (
	checkpoint = "verificationMaterial.tlogEntries.[0].inclusionProof.checkpoint.envelope"
	timestamps = "verificationMaterial.timestampVerificationData.rfc3161Timestamps"
)

// pardon is what need not be refused: in bundles whose names begin so, at places that begin so, changed so.
type pardon struct{ in, at, how, why string }

// mutant is a bundle that was changed in one place.
type mutant struct {
	at, how string
	data    []byte
}

// mutants gives what can be done to a bundle: each of its parts left out, doubled, put in another order, and taken from another bundle; each byte
// of what is short, and each field of what is DER: certificates and timestamps; each line of checkpoints; each part of log entries.
func mutants(t *testing.T, data, other []byte) (all []mutant) {
	t.Helper()
	doc, their := parsed(t, data), parsed(t, other)
	keep := func(at, how string, edit func(doc any)) {
		fresh := parsed(t, data)
		edit(fresh)
		out, err := json.Marshal(fresh)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(parsed(t, out), doc) {
			all = append(all, mutant{at, how, out})
		}
	}
	walk(doc, nil, func(at []string, v any) {
		name := strings.Join(at, ".")
		set := func(how string, to any) { keep(name, how, func(doc any) { put(doc, at, to) }) }
		set("nothing", nil)
		if from, ok := get(their, at); ok {
			set("another bundle's", from)
		}
		switch v := v.(type) {
		case []any:
			set("empty", []any{})
			if len(v) > 0 {
				set("doubled", append(slices.Clone(v), v[0]))
				set("cut", v[:len(v)-1])
			}
			if len(v) > 1 {
				back := slices.Clone(v)
				slices.Reverse(back)
				set("reversed", back)
			}
		case string:
			set("empty", "")
			set("longer", v+"A")
			for how, to := range spoiled(at, v) {
				set(how, to)
			}
		}
		all = append(all, twice(t, data, at, v)...)
	})
	return all
}

// spoiled gives the values that a text is changed to, by how.
func spoiled(at []string, v string) map[string]string {
	out := map[string]string{}
	raw, err := base64.StdEncoding.DecodeString(v)
	flip := func(how string, i int) {
		b := bytes.Clone(raw)
		b[i] ^= 1
		out[fmt.Sprintf("%s, byte %d", how, i)] = base64.StdEncoding.EncodeToString(b)
	}
	switch name := at[len(at)-1]; {
	case name == "envelope": // a checkpoint
		lines := strings.SplitAfter(v, "\n")
		for i, line := range lines {
			out[fmt.Sprintf("without line %d", i)] = strings.Join(slices.Delete(slices.Clone(lines), i, i+1), "")
			out[fmt.Sprintf("with line %d twice", i)] = strings.Join(slices.Insert(slices.Clone(lines), i, line), "")
			for _, k := range []int{0, len(line) / 2, len(line) - 2} {
				if k >= 0 && k < len(line) && line[k] < 0x80 {
					out[fmt.Sprintf("line %d, character %d", i, k)] = strings.Join(slices.Concat(lines[:i], []string{line[:k] + another(line[k]) + line[k+1:]}, lines[i+1:]), "")
				}
			}
		}
	case err != nil || len(v) < 8:
		for i := range v {
			out[fmt.Sprintf("character %d", i)] = v[:i] + another(v[i]) + v[i+1:]
		}
	case name == "rawBytes" || name == "signedTimestamp":
		for _, f := range fields(raw, 0) {
			flip("tag of "+f.name, f.from)
			flip("length of "+f.name, f.from+1)
			if f.content < f.to {
				flip(f.name, f.content)
				flip(f.name, f.to-1)
			}
		}
	case name == "canonicalizedBody" || name == "payload":
		var body any
		if json.Unmarshal(raw, &body) != nil {
			break
		}
		mutate(body, "", func(field string, change, undo func()) {
			change()
			if text, err := json.Marshal(body); err == nil {
				out[fmt.Sprintf("%s, %d", field, len(out))] = base64.StdEncoding.EncodeToString(text)
			}
			undo()
		})
	default:
		for i := range raw {
			flip("bytes", i)
		}
	}
	return out
}

// field is one of DER's, with where its tag, its content and what follows begin.
type field struct {
	name              string
	from, content, to int
}

// fields finds all fields of DER, those within others too.
func fields(der []byte, base int) (all []field) {
	for at := 0; at < len(der); {
		var v asn1.RawValue
		rest, err := asn1.Unmarshal(der[at:], &v)
		if err != nil {
			return all
		}
		end := len(der) - len(rest)
		content := end - len(v.Bytes)
		all = append(all, field{fmt.Sprintf("field at %d, class %d, tag %d", base+at, v.Class, v.Tag), base + at, base + content, base + end})
		if v.IsCompound || v.Class == asn1.ClassUniversal && v.Tag == asn1.TagOctetString { // extensions and timestamps have DER in octets
			all = append(all, fields(v.Bytes, base+content)...)
		}
		at = end
	}
	return all
}

// twice has an object's key twice, with its own value.
func twice(t *testing.T, data []byte, at []string, v any) []mutant {
	if at[len(at)-1][0] == '[' {
		return nil
	}
	doc := parsed(t, data)
	put(doc, at, "@MARK@")
	text, err := json.Marshal(doc)
	value, err2 := json.Marshal(v)
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	key := fmt.Sprintf("%q:", at[len(at)-1])
	return []mutant{{strings.Join(at, "."), "twice", bytes.Replace(text, []byte(key+`"@MARK@"`), fmt.Appendf(nil, "%s%s,%s%s", key, value, key, value), 1)}}
}

func parsed(t *testing.T, data []byte) (doc any) {
	t.Helper()
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// walk visits each value below the first, with the names that lead there.
func walk(v any, at []string, visit func(at []string, v any)) {
	if len(at) > 0 {
		visit(at, v)
	}
	switch v := v.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			walk(v[name], append(slices.Clone(at), name), visit)
		}
	case []any:
		for i, child := range v {
			walk(child, append(slices.Clone(at), fmt.Sprintf("[%d]", i)), visit)
		}
	}
}

func get(doc any, at []string) (v any, ok bool) {
	for _, name := range at {
		switch d := doc.(type) {
		case map[string]any:
			if doc, ok = d[name]; !ok {
				return nil, false
			}
		case []any:
			var i int
			if _, err := fmt.Sscanf(name, "[%d]", &i); err != nil || i >= len(d) {
				return nil, false
			}
			doc = d[i]
		default:
			return nil, false
		}
	}
	return doc, true
}

// put sets a value; nil takes it out.
func put(doc any, at []string, to any) {
	parent, _ := get(doc, at[:len(at)-1])
	switch p := parent.(type) {
	case map[string]any:
		if p[at[len(at)-1]] = to; to == nil {
			delete(p, at[len(at)-1])
		}
	case []any:
		var i int
		if _, err := fmt.Sscanf(at[len(at)-1], "[%d]", &i); err == nil {
			p[i] = to
		}
	}
}

// Real bundles, changed in every part: by Rekor v1 and its promise, by Rekor v2 and a timestamp, by key with and without a log. Each change is
// refused by a code that says why, or is listed as harmless, with the reason, and then changes nothing of what is verified.
func TestMutations(t *testing.T) {
	t.Parallel()
	cases := map[string]published{}
	for _, c := range conformance(t) {
		cases[c.name] = c
	}
	used := make([]int, len(harmless))
	for name, other := range map[string]string{
		"happy-path-intoto-in-dsse-v3": "intoto-with-custom-trust-root", "rekor2-dsse-happy-path": "rekor2-checkpoint-cosigned",
		"managed-key-and-trusted-root": "managed-key-happy-path", "managed-key-happy-path": "managed-key-and-trusted-root", "rekor2-checkpoint-cosigned": "rekor2-dsse-happy-path",
	} {
		c := cases[name]
		before, err := c.open(t, c.bundle)
		if err != nil {
			t.Fatal(err)
		}
		codes, n := map[string]int{}, 0
		for _, m := range mutants(t, c.bundle, cases[other].bundle) {
			n++
			after, err := c.open(t, m.data)
			code := gate.Code(err)
			codes[code]++
			switch i := pardoned(name, m); {
			case err != nil && !slices.Contains(refusals, code):
				t.Errorf("%s: %s, %s: refused without a reason: %v", name, m.at, m.how, err)
			case err == nil && i < 0:
				t.Errorf("%s: accepted with %s: %s", name, m.at, m.how)
			case err == nil:
				used[i]++
				seen := after.Times
				after.Times = before.Times
				if !reflect.DeepEqual(after, before) || slices.ContainsFunc(seen, func(at time.Time) bool { return !slices.ContainsFunc(before.Times, at.Equal) }) {
					t.Errorf("%s: %s: %s changes what is verified: %+v", name, m.at, m.how, after)
				}
			}
		}
		t.Logf("%s: %d changes: %v", name, n, codes)
	}
	for i, n := range used {
		if n == 0 {
			t.Errorf("%s, %s: is never accepted: take it from the list", harmless[i].at, harmless[i].how)
		}
	}
}

func pardoned(name string, m mutant) int {
	return slices.IndexFunc(harmless, func(p pardon) bool {
		return strings.HasPrefix(name, p.in) && strings.HasPrefix(m.at, p.at) && strings.Contains(m.how, p.how)
	})
}
