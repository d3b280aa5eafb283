package tlog_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/store"
	"github.com/sello-release/sello/internal/store/storetest"
	"github.com/sello-release/sello/internal/tlog"
	"github.com/sello-release/sello/internal/tlog/bucket"
)

// key is a log's private key.
type key ed25519.PrivateKey

func newKey(t testing.TB) key {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key(private)
}

func (k key) public() crypto.PublicKey { return ed25519.PrivateKey(k).Public() }
func (k key) sign(message []byte) ([]byte, error) {
	return ed25519.Sign(ed25519.PrivateKey(k), message), nil
}

func identity(t testing.TB, keys ...key) *tlog.Identity {
	t.Helper()
	var public []crypto.PublicKey
	for _, k := range keys {
		public = append(public, k.public())
	}
	id, err := tlog.NewIdentity(tlog.Origin("https://example.org/it", "it"), public...)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func folder(t testing.TB) (store.Bucket, string) {
	t.Helper()
	dir := t.TempDir()
	b, err := store.Open("file://"+dir, "")
	if err != nil {
		t.Fatal(err)
	}
	return b, dir
}

func entries(from, n int) []tlog.Entry {
	out := make([]tlog.Entry, n)
	for i := range out {
		name := fmt.Sprintf("file-%d", from+i)
		out[i] = tlog.Entry{Project: "it", Version: "v1.0.0", File: name, SHA256: digest.Bytes([]byte(name))}
	}
	return out
}

func add(t testing.TB, l *tlog.Log, k key, from, n int) *tlog.Checkpoint {
	t.Helper()
	first, c, err := l.Append(t.Context(), k.public(), k.sign, entries(from, n))
	if err != nil {
		t.Fatal(err)
	}
	if first != int64(from) || c.Size != int64(from+n) {
		t.Fatalf("%d entries at %d, then there are %d", n, first, c.Size)
	}
	return c
}

// Whatever the sizes, every entry can be proved, the log reads back, and each state extends those before.
func TestGrow(t *testing.T) {
	t.Parallel()
	b, _ := folder(t)
	k := newKey(t)
	id := identity(t, k)
	l := bucket.Open(b, "it", id)
	size, states := 0, []*tlog.Checkpoint{}
	for i, n := range []int{1, 1, 5, 248, 1, 1, 255, 256, 257, 700, 3} {
		c := add(t, l, k, size, n)
		size += n
		for _, index := range []int{0, size - 1, mathrand.IntN(size)} {
			p, err := l.Prove(t.Context(), c, int64(index), entries(index, 1)[0])
			if err != nil {
				t.Fatal(err)
			}
			data, err := p.Encode()
			if err != nil {
				t.Fatal(err)
			}
			opened, err := id.OpenProof(data)
			if err != nil || opened.Index != int64(index) || opened.Entry != entries(index, 1)[0] {
				t.Fatalf("%d entries, proof of %d: %v, %+v", size, index, err, opened)
			}
		}
		for _, before := range states {
			if err := l.Extends(t.Context(), c, before); err != nil {
				t.Fatal(err)
			}
		}
		if states = append(states, c); i%3 != 0 {
			continue
		}
		seen := 0
		for e, err := range l.All(t.Context(), c) {
			if err != nil || e != entries(seen, 1)[0] {
				t.Fatalf("entry %d: %v, %+v", seen, err, e)
			}
			seen++
		}
		if seen != size {
			t.Fatalf("%d of %d entries", seen, size)
		}
	}
}

// The same entries again, right after: they are there already.
func TestAgain(t *testing.T) {
	t.Parallel()
	b, _ := folder(t)
	k := newKey(t)
	l := bucket.Open(b, "it", identity(t, k))
	add(t, l, k, 0, 7)
	for range 2 {
		first, c, err := l.Append(t.Context(), k.public(), k.sign, entries(0, 7))
		if err != nil || first != 0 || c.Size != 7 {
			t.Fatalf("%d, %+v, %v", first, c, err)
		}
	}
}

// A process may die at any write: what it had begun is finished by the next, which may want to add the same or something else.
func TestCrashAtEachWrite(t *testing.T) {
	t.Parallel()
	k := newKey(t)
	for _, same := range []bool{true, false} {
		for crash := 0; ; crash++ {
			inner, _ := folder(t)
			l := bucket.Open(inner, "it", identity(t, k))
			add(t, l, k, 0, 250)
			var mu sync.Mutex
			left := crash
			dead := errors.New("died")
			b := &storetest.Fault{Bucket: inner, BeforePut: func(string) error {
				mu.Lock()
				defer mu.Unlock()
				if left--; left < 0 {
					return dead
				}
				return nil
			}}
			_, _, err := bucket.Open(b, "it", identity(t, k)).Append(t.Context(), k.public(), k.sign, entries(250, 20))
			if err == nil {
				if crash < 5 {
					t.Fatalf("only %d writes", crash)
				}
				break
			}
			if !errors.Is(err, dead) {
				t.Fatal(err)
			}
			want := entries(250, 20)
			if !same {
				want = entries(1000, 3)
			}
			first, c, err := l.Append(t.Context(), k.public(), k.sign, want)
			if err != nil {
				t.Fatalf("after a crash at write %d: %v", crash, err)
			}
			if same && (first != 250 || c.Size != 270) || !same && c.Size != first+3 {
				t.Fatalf("after a crash at write %d: %d entries from %d", crash, c.Size, first)
			}
			for _, err := range l.All(t.Context(), c) {
				if err != nil {
					t.Fatalf("after a crash at write %d: %v", crash, err)
				}
			}
		}
	}
}

// Many at once: each one's entries are there, once.
func TestAtOnce(t *testing.T) {
	t.Parallel()
	b, _ := folder(t)
	testAtOnce(t, b)
}

func TestAtOnceInAnObjectStore(t *testing.T) {
	s := storetest.StartS3(t)
	b, err := store.Open(s.Make(t, "log"), "")
	if err != nil {
		t.Fatal(err)
	}
	testAtOnce(t, b)
}

func testAtOnce(t *testing.T, b store.Bucket) {
	t.Helper()
	k := newKey(t)
	var group sync.WaitGroup
	for i := range 4 {
		group.Go(func() {
			l := bucket.Open(b, "it", identity(t, k))
			for j := range 3 {
				if _, _, err := l.Append(t.Context(), k.public(), k.sign, entries(1000*i+100*j, 10)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	l := bucket.Open(b, "it", identity(t, k))
	c, err := l.Latest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	seen := map[tlog.Entry]int{}
	for e, err := range l.All(t.Context(), c) {
		if err != nil {
			t.Fatal(err)
		}
		seen[e]++
	}
	if len(seen) != 120 || c.Size != 120 {
		t.Fatalf("%d entries, %d of them different", c.Size, len(seen))
	}
}

func change(t *testing.T, file string, do func([]byte) []byte) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if data = do(bytes.Clone(data)); data == nil {
		err = os.Remove(file)
	} else {
		err = os.WriteFile(file, data, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func flip(data []byte) []byte   { data[len(data)/2] ^= 1; return data }
func remove([]byte) []byte      { return nil }
func cut(data []byte) []byte    { return data[:len(data)-1] }
func longer(data []byte) []byte { return append(data, 'x') }

// Whatever is changed in the log's files is found by who reads all of it.
func TestDamage(t *testing.T) {
	t.Parallel()
	for name, how := range map[string]func([]byte) []byte{"flip": flip, "remove": remove, "cut": cut, "longer": longer} {
		for _, file := range []string{"tile/0/001", "tile/0/000", "tile/0/001.p/44", "tile/1/000.p/1", "tile/entries/000", "tile/entries/001.p/44", "checkpoint"} {
			t.Run(name+" "+file, func(t *testing.T) {
				t.Parallel()
				b, dir := folder(t)
				k := newKey(t)
				l := bucket.Open(b, "it", identity(t, k))
				add(t, l, k, 0, 200)
				before := add(t, l, k, 200, 100)
				at := filepath.Join(dir, "it", "log", filepath.FromSlash(file))
				if _, err := os.Stat(at); err != nil {
					if file == "tile/0/001" {
						return // not there: the tile is not whole
					}
					t.Fatal(err)
				}
				change(t, at, how)
				got := readAll(t.Context(), l, before)
				want := "log-corrupt"
				switch {
				case file == "checkpoint" && name == "remove":
					want = "log-inconsistent"
				case file == "checkpoint" && name == "flip", file == "checkpoint" && name == "longer":
					if got == "log-untrusted" { // in the signature, or in the text
						want = got
					}
				case file == "tile/entries/001.p/44" && name == "longer", file == "tile/entries/000" && name == "longer":
					want = "" // what follows the entries is not read
				}
				if got != want {
					t.Errorf("%q, expected %q", got, want)
				}
			})
		}
	}
}

func readAll(ctx context.Context, l *tlog.Log, before *tlog.Checkpoint) string {
	c, err := l.Latest(ctx)
	if err == nil {
		err = l.Extends(ctx, c, before)
	}
	if err != nil {
		return gate.Code(err)
	}
	for _, err := range l.All(ctx, c) {
		if err != nil {
			return gate.Code(err)
		}
	}
	return ""
}

// A log that was rolled back, or that is another one under the same key, is no continuation.
func TestTwoLogs(t *testing.T) {
	t.Parallel()
	k := newKey(t)
	one, _ := folder(t)
	other, _ := folder(t)
	a, b := bucket.Open(one, "it", identity(t, k)), bucket.Open(other, "it", identity(t, k))
	early := add(t, a, k, 0, 3)
	late := add(t, a, k, 3, 3)
	if err := a.Extends(t.Context(), early, late); gate.Code(err) != "log-inconsistent" {
		t.Errorf("rolled back: %v", err)
	}
	if _, _, err := b.Append(t.Context(), k.public(), k.sign, entries(100, 9)); err != nil {
		t.Fatal(err)
	}
	forked, err := b.Latest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Extends(t.Context(), forked, late); gate.Code(err) != "log-inconsistent" {
		t.Errorf("forked: %v", err)
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	b, _ := folder(t)
	ours, theirs := newKey(t), newKey(t)
	mine := bucket.Open(b, "it", identity(t, ours))
	add(t, mine, ours, 0, 3)
	stranger := bucket.Open(b, "it", identity(t, theirs))
	if _, err := stranger.Latest(t.Context()); gate.Code(err) != "log-untrusted" {
		t.Errorf("a checkpoint by somebody else: %v", err)
	}
	if _, _, err := stranger.Append(t.Context(), theirs.public(), theirs.sign, entries(3, 1)); gate.Code(err) != "log-untrusted" {
		t.Errorf("a log by somebody else: %v", err)
	}
	both := bucket.Open(b, "it", identity(t, theirs, ours)) // the key was changed
	add(t, both, theirs, 3, 300)
	add(t, both, ours, 303, 1)

	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tlog.NewIdentity("x", private.Public()); gate.Code(err) != "log-key" {
		t.Errorf("ECDSA: %v", err)
	}
}

// A proof is of one entry in one log, and has one encoding.
func TestProofs(t *testing.T) {
	t.Parallel()
	b, _ := folder(t)
	k := newKey(t)
	id := identity(t, k)
	l := bucket.Open(b, "it", id)
	c := add(t, l, k, 0, 11)
	e := entries(4, 1)[0]
	p, err := l.Prove(t.Context(), c, 4, e)
	if err != nil {
		t.Fatal(err)
	}
	good, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for want, err := range map[string]error{
		"":                   p.Proves("it", "v1.0.0", e.File, e.SHA256),
		"log-entry-mismatch": p.Proves("it", "v1.0.1", e.File, e.SHA256),
	} {
		if gate.Code(err) != want {
			t.Errorf("%v, expected %q", err, want)
		}
	}
	for _, err := range []error{p.Proves("its", "v1.0.0", e.File, e.SHA256), p.Proves("it", "v1.0.0", "x", e.SHA256), p.Proves("it", "", e.File, digest.Bytes(nil))} {
		if gate.Code(err) != "log-entry-mismatch" {
			t.Error(err)
		}
	}
	if _, err := identity(t, newKey(t)).OpenProof(good); gate.Code(err) != "log-untrusted" {
		t.Errorf("by another key: %v", err)
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		if _, err := id.OpenProof(bad); err == nil {
			t.Errorf("byte %d, %q, makes no difference", i, good[i])
		} else if code := gate.Code(err); code != "log-proof-invalid" && code != "log-untrusted" {
			t.Errorf("byte %d: %v", i, err)
		}
	}
	lines := strings.SplitAfter(string(good), "\n")
	for name, bad := range map[string]string{
		"another index":   strings.Replace(string(good), "index 4\n", "index 5\n", 1),
		"beyond the end":  strings.Replace(string(good), "index 4\n", "index 11\n", 1),
		"a huge index":    strings.Replace(string(good), "index 4\n", "index 18446744073709551615\n", 1),
		"without entry":   strings.Join(append([]string{lines[0]}, lines[2:]...), ""),
		"a hash too many": strings.Replace(string(good), "\n\n", "\n"+strings.TrimSpace(lines[3])+"\n\n", 1),
		"empty":           "",
		"too long":        string(good) + strings.Repeat("x", tlog.MaxProof),
	} {
		if _, err := id.OpenProof([]byte(bad)); gate.Code(err) != "log-proof-invalid" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzOpenProof(f *testing.F) {
	b, err := store.Open("file://"+f.TempDir(), "")
	if err != nil {
		f.Fatal(err)
	}
	k := newKey(f)
	id := identity(f, k)
	l := bucket.Open(b, "it", id)
	_, c, err := l.Append(context.Background(), k.public(), k.sign, entries(0, 5))
	if err != nil {
		f.Fatal(err)
	}
	p, err := l.Prove(context.Background(), c, 2, entries(2, 1)[0])
	if err != nil {
		f.Fatal(err)
	}
	good, err := p.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(c.Note)
	f.Fuzz(func(t *testing.T, data []byte) {
		if p, err := id.OpenProof(data); err == nil && !bytes.Equal(data, good) {
			t.Fatalf("a proof that nobody made is taken: %+v", p)
		}
		if c2, err := id.Checkpoint(data); err == nil && c2.Root != c.Root {
			t.Fatal("a checkpoint that nobody made is taken")
		}
	})
}

// Tessera's checker reads the log: it is of the form that others read.
func TestOthersReadIt(t *testing.T) {
	t.Parallel()
	if os.Getenv("SELLO_JUDGES") != "1" {
		t.Skip("set SELLO_JUDGES=1 to have others read what is written")
	}
	program, err := exec.Command(filepath.Join("..", "..", "scripts", "tool"), "fsck").Output()
	if err != nil {
		t.Fatal(err)
	}
	b, dir := folder(t)
	k := newKey(t)
	l := bucket.Open(b, "it", identity(t, k))
	add(t, l, k, 0, 200)
	add(t, l, k, 200, 500)
	line, err := tlog.VerifierKey(tlog.Origin("https://example.org/it", "it"), k.public())
	if err != nil {
		t.Fatal(err)
	}
	public := filepath.Join(t.TempDir(), "log.pub")
	if err := os.WriteFile(public, []byte(line), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), strings.TrimSpace(string(program)), "--ui=false", "--storage_url=file://"+filepath.Join(dir, "it", "log")+"/", "--public_key="+public)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// crowded is a log to which somebody else always adds first, for a number of times.
type crowded struct {
	tlog.Objects
	left, tries int
}

// Swap implements tlog.Objects.
func (c *crowded) Swap(ctx context.Context, name, version string, data []byte) error {
	if name == "batch" {
		if c.tries++; c.left > 0 {
			c.left--
			return fmt.Errorf("%s: %w", name, tlog.ErrChanged)
		}
	}
	return c.Objects.Swap(ctx, name, version, data)
}

// Who is never first gives up after a bounded number of tries; who is at last has added once.
func TestCrowdedLog(t *testing.T) {
	t.Parallel()
	for busy, code := range map[int]string{19: "", 1 << 30: "log-busy"} {
		in, _ := folder(t)
		k := newKey(t)
		o := &crowded{bucket.Objects(in, "it"), busy, 0}
		_, c, err := tlog.Open(o, identity(t, k)).Append(t.Context(), k.public(), k.sign, entries(0, 3))
		if gate.Code(err) != code || o.tries != 20 {
			t.Errorf("%d others: %v after %d tries, want %q", busy, err, o.tries, code)
		}
		if code == "" && (err != nil || c.Size != 3) {
			t.Errorf("%v, %v", c, err)
		}
	}
}

// BenchmarkLog adds 500 entries to a log of 100,000, proves one and checks consistency.
func BenchmarkLog(b *testing.B) {
	in, _ := folder(b)
	k := newKey(b)
	l := bucket.Open(in, "it", identity(b, k))
	size := 100_000
	add(b, l, k, 0, size)
	for b.Loop() {
		before, err := l.Latest(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		c := add(b, l, k, size, 500)
		p, err := l.Prove(b.Context(), c, int64(size), entries(size, 1)[0])
		if err == nil {
			_, err = p.Encode()
		}
		if err == nil {
			err = l.Extends(b.Context(), c, before)
		}
		if err != nil {
			b.Fatal(err)
		}
		size += 500
	}
}
