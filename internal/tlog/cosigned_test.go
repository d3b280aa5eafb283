package tlog_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sello-release/sello/internal/cosignature"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/tlog"
	"github.com/sello-release/sello/internal/tlog/bucket"
)

// cosigner is a witness with its private key.
type cosigner struct {
	tlog.Witness
	private key
}

func newCosigner(t testing.TB, name string) cosigner {
	t.Helper()
	k := newKey(t)
	return cosigner{tlog.Witness{Key: cosignature.New(name, k.public().(ed25519.PublicKey))}, k}
}

// line cosigns a note at a time, in a signature line.
func (c cosigner) line(data []byte, at time.Time) string {
	text, _, _ := bytes.Cut(data, []byte("\n\n"))
	sig := cosignature.Sign(ed25519.PrivateKey(c.private), at, append(text, '\n'))
	return "— " + c.Name() + " " + base64.StdEncoding.EncodeToString(append(binary.BigEndian.AppendUint32(nil, c.KeyHash()), sig...)) + "\n"
}

// It takes as many cosignatures as the trust file asks for, each by another of its witnesses, of this very checkpoint.
func TestCosigned(t *testing.T) {
	t.Parallel()
	b, _ := folder(t)
	k := newKey(t)
	plain := bucket.Open(b, "it", identity(t, k))
	before := add(t, plain, k, 0, 3)
	c := add(t, plain, k, 3, 2)
	w1, w2, w3, stranger := newCosigner(t, "w1"), newCosigner(t, "w2"), newCosigner(t, "w3"), newCosigner(t, "stranger")
	same := newCosigner(t, "w1") // another's key under the name
	id := identity(t, k).WitnessedBy(2, w1.Witness, w2.Witness, w3.Witness)
	now := time.Now()
	for name, tt := range map[string]struct {
		lines []string
		who   []string
		says  string
	}{
		"none":                    {nil, nil, "none of them"},
		"one":                     {[]string{w1.line(c.Note, now)}, []string{"w1"}, "cosigned by w1"},
		"one twice":               {[]string{w1.line(c.Note, now), w1.line(c.Note, now.Add(-time.Hour))}, []string{"w1"}, "cosigned by w1"},
		"one and a stranger":      {[]string{w1.line(c.Note, now), stranger.line(c.Note, now)}, []string{"w1"}, "cosigned by w1"},
		"another under its name":  {[]string{w1.line(c.Note, now), same.line(c.Note, now)}, []string{"w1"}, "cosigned by w1"},
		"of another checkpoint":   {[]string{w1.line(c.Note, now), w2.line(before.Note, now)}, nil, "w2 that is not valid"},
		"from tomorrow's morrow":  {[]string{w1.line(c.Note, now), w2.line(c.Note, now.Add(48*time.Hour))}, nil, "w2 that is not valid"},
		"two":                     {[]string{w2.line(c.Note, now), w1.line(c.Note, now)}, []string{"w1", "w2"}, ""},
		"two and a stranger":      {[]string{stranger.line(c.Note, now), w3.line(c.Note, now), w1.line(c.Note, now)}, []string{"w1", "w3"}, ""},
		"two and one not valid":   {[]string{w1.line(c.Note, now), w2.line(c.Note, now), w3.line(before.Note, now)}, nil, "w3 that is not valid"},
		"two, of years ago":       {[]string{w1.line(c.Note, now.AddDate(-9, 0, 0)), w2.line(c.Note, now)}, []string{"w1", "w2"}, ""},
		"all, and one once more":  {[]string{w1.line(c.Note, now), w2.line(c.Note, now), w3.line(c.Note, now), w1.line(c.Note, now)}, []string{"w1", "w2", "w3"}, ""},
		"a line that is not base": {[]string{"— w1 !\n", w2.line(c.Note, now)}, nil, "malformed"},
	} {
		note := append(bytes.Clone(c.Note), strings.Join(tt.lines, "")...)
		who, err := id.Cosigned(&tlog.Checkpoint{Size: c.Size, Root: c.Root, Note: note}, now)
		var r *gate.Refusal
		if tt.says == "" && err != nil || tt.says != "" && (!errors.As(err, &r) || r.Code != "witness-missing" || r.Expected != "2 of w1, w2, w3" || !strings.Contains(r.Actual, tt.says)) {
			t.Errorf("%s: %v", name, err)
		}
		if !slices.Equal(who, tt.who) {
			t.Errorf("%s: cosigned by %v, expected %v", name, who, tt.who)
		}
	}
	if who, err := identity(t, k).Cosigned(c, now); err != nil || who != nil {
		t.Errorf("a log without witnesses: %v, %v", who, err)
	}
}

// Cosignatures that are added are kept in one order and one spelling, in the log and in proofs; what nobody known has signed goes.
func TestAddCosignatures(t *testing.T) {
	t.Parallel()
	b, _ := folder(t)
	k := newKey(t)
	w1, w2, stranger := newCosigner(t, "w1"), newCosigner(t, "w2"), newCosigner(t, "stranger")
	id := identity(t, k).WitnessedBy(2, w1.Witness, w2.Witness)
	l := bucket.Open(b, "it", id)
	c := add(t, l, k, 0, 5)
	now := time.Now()
	loose := w2.line(c.Note, now) // 76 bytes: the last base64 digit before == has four bits that say nothing
	at := strings.LastIndex(loose, "==") - 1
	loose = loose[:at] + string(loose[at]+1) + loose[at+1:]
	for name, answer := range map[string]string{
		"good":       w2.line(c.Note, now),
		"more":       stranger.line(c.Note, now) + w2.line(c.Note, now),
		"loose bits": loose,
	} {
		sigs, err := l.Cosignatures(c, w2.Witness, []byte(answer), now)
		if err != nil || len(sigs) != 1 || sigs[0].Name != "w2" {
			t.Errorf("%s: %v, %v", name, sigs, err)
		}
		c1, err := l.Add(&tlog.Checkpoint{Size: c.Size, Root: c.Root, Note: append(bytes.Clone(c.Note), stranger.line(c.Note, now)+w1.line(c.Note, now)...)}, now, sigs...)
		if err != nil {
			t.Fatal(err)
		}
		if want := string(c.Note) + w1.line(c.Note, now) + w2.line(c.Note, now); string(c1.Note) != want {
			t.Errorf("%s:\n%s\nexpected\n%s", name, c1.Note, want)
		}
		p, err := l.Prove(t.Context(), c1, 2, entries(2, 1)[0])
		if err != nil {
			t.Fatal(err)
		}
		data, err := p.Encode()
		if err != nil {
			t.Fatal(err)
		}
		opened, err := l.OpenProof(data)
		if err != nil {
			t.Fatal(err)
		}
		if who, err := l.Cosigned(opened.Checkpoint, now); err != nil || len(who) != 2 {
			t.Errorf("%s: %v, %v", name, who, err)
		}
	}
	for name, answer := range map[string]string{
		"empty":           "",
		"of another":      w1.line(c.Note, now),
		"text":            "ok\n",
		"without newline": strings.TrimSpace(w2.line(c.Note, now)),
		"future":          w2.line(c.Note, now.Add(48*time.Hour)),
		"another text":    "and more\n\n" + w2.line([]byte(strings.TrimSuffix(string(c.Note), "\n")+"\nand more\n\n"), now),
	} {
		if sigs, err := l.Cosignatures(c, w2.Witness, []byte(answer), now); err == nil {
			t.Errorf("%s: %v is taken", name, sigs)
		}
	}

	// The log keeps them for who audits it, and goes on from there; once there are enough nothing is written again.
	both, err := l.Cosignatures(c, w2.Witness, []byte(w2.line(c.Note, now)), now)
	if err != nil {
		t.Fatal(err)
	}
	one, err := l.Cosignatures(c, w1.Witness, []byte(w1.line(c.Note, now)), now)
	if err != nil {
		t.Fatal(err)
	}
	cosigned, err := l.Add(c, now, append(both, one...)...)
	if err != nil {
		t.Fatal(err)
	}
	later, err := l.Add(c, now, append(one, both...)...)
	if err != nil || !bytes.Equal(later.Note, cosigned.Note) {
		t.Errorf("%v: another order\n%s\n%s", err, later.Note, cosigned.Note)
	}
	if err := l.Keep(t.Context(), cosigned, now); err != nil {
		t.Fatal(err)
	}
	kept, err := l.Latest(t.Context())
	if err != nil || !bytes.Equal(kept.Note, cosigned.Note) {
		t.Fatalf("%v: kept\n%s", err, kept.Note)
	}
	if err := l.Keep(t.Context(), c, now); err != nil {
		t.Fatal(err)
	}
	if kept, err = l.Latest(t.Context()); err != nil || !bytes.Equal(kept.Note, cosigned.Note) {
		t.Fatalf("%v: cosignatures were thrown away\n%s", err, kept.Note)
	}
	next := add(t, l, k, 5, 300)
	if err := l.Keep(t.Context(), cosigned, now); err != nil {
		t.Fatal(err)
	}
	if kept, err = l.Latest(t.Context()); err != nil || kept.Size != next.Size {
		t.Fatalf("%v: the log was turned back to %d entries", err, kept.Size)
	}
	if err := l.Extends(t.Context(), next, cosigned); err != nil {
		t.Error(err)
	}
}

func FuzzCosignatures(f *testing.F) {
	b, _ := folder(f)
	k, w := newKey(f), newCosigner(f, "w1")
	l := bucket.Open(b, "it", identity(f, k).WitnessedBy(1, w.Witness))
	_, c, err := l.Append(f.Context(), k.public(), k.sign, entries(0, 5))
	if err != nil {
		f.Fatal(err)
	}
	now := time.Now()
	line := w.line(c.Note, now)
	f.Add([]byte(line))
	f.Add([]byte(line + line))
	f.Add([]byte("— w1 AAAA\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		sigs, err := l.Cosignatures(c, w.Witness, data, now)
		if err != nil {
			return
		}
		again, err := l.Add(c, now, sigs...)
		if err != nil || string(again.Note) != string(c.Note)+line {
			t.Fatalf("%v: a cosignature that nobody made is taken\n%q", err, again.Note)
		}
	})
}
