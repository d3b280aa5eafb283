package witness

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	sumtlog "golang.org/x/mod/sumdb/tlog"

	"github.com/sello-release/sello/internal/cosignature"
	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/store"
	"github.com/sello-release/sello/internal/tlog"
	"github.com/sello-release/sello/internal/tlog/bucket"
	"github.com/sello-release/sello/internal/tlog/witness/witnesstest"
	"github.com/sello-release/sello/internal/web"
)

func newKey(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return private
}

// project is a log with its key.
type project struct {
	*tlog.Log
	key ed25519.PrivateKey
	to  store.Bucket
}

func newProject(t testing.TB, key ed25519.PrivateKey, threshold int, witnesses ...tlog.Witness) *project {
	t.Helper()
	to, err := store.Open("file://"+t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	p := &project{key: key, to: to}
	p.witnessed(t, threshold, witnesses...)
	return p
}

// witnessed gives the log other witnesses.
func (p *project) witnessed(t testing.TB, threshold int, witnesses ...tlog.Witness) {
	t.Helper()
	id, err := tlog.NewIdentity("example.org/log/it", p.key.Public())
	if err != nil {
		t.Fatal(err)
	}
	p.Log = bucket.Open(p.to, "it", id.WitnessedBy(threshold, witnesses...))
}

// add releases something.
func (p *project) add(t testing.TB, what string, n int) *tlog.Checkpoint {
	t.Helper()
	var entries []tlog.Entry
	for i := range n {
		name := fmt.Sprintf("%s-%d", what, i)
		entries = append(entries, tlog.Entry{Project: "it", Version: "v1.0.0", File: name, SHA256: digest.Bytes([]byte(name))})
	}
	_, c, err := p.Append(t.Context(), p.key.Public(), func(m []byte) ([]byte, error) { return p.key.Sign(nil, m, crypto.Hash(0)) }, entries)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func client(t testing.TB) *Client {
	c := New(time.Now)
	c.Pause = time.Millisecond
	t.Cleanup(c.Close)
	return c
}

// Real witnesses cosign a log that grows, again and again, whoever asks; one that is another log, or was turned back, they do not.
func TestLitewitness(t *testing.T) {
	t.Parallel()
	programs := witnesstest.Find(t)
	key := newKey(t)
	vkey, err := tlog.VerifierKey("example.org/log/it", key.Public())
	if err != nil {
		t.Fatal(err)
	}
	var servers []*witnesstest.Witness
	var witnesses []tlog.Witness
	for i := range 3 {
		w, err := programs.New(fmt.Sprintf("witness.example/w%d", i))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(w.Close)
		if err := w.Start(); err != nil {
			t.Fatal(err)
		}
		if err := w.Knows("example.org/log/it", vkey); err != nil {
			t.Fatal(err)
		}
		servers, witnesses = append(servers, w), append(witnesses, tlog.Witness{Key: w.Key, URL: w.URL})
	}
	p := newProject(t, key, 2, witnesses...)
	forked := newProject(t, key, 2, witnesses...)
	small := newProject(t, key, 2, witnesses...)
	c := client(t)
	var last *tlog.Checkpoint
	for i, n := range []int{1, 1, 5, 300, 256} {
		at := p.add(t, fmt.Sprint("release", i), n)
		if last, err = c.Cosign(t.Context(), p.Log, at); err != nil {
			t.Fatal(err)
		}
		if who, err := p.Cosigned(last, time.Now()); err != nil || last.Size != at.Size {
			t.Fatalf("%d entries: %v, %v", at.Size, who, err)
		}
		if again, err := c.Cosign(t.Context(), p.Log, at); err != nil || again.Size != at.Size {
			t.Fatalf("once more: %v", err)
		}
	}
	servers[1].Stop()
	if _, err := c.Cosign(t.Context(), p.Log, p.add(t, "one is down", 3)); err != nil {
		t.Errorf("two of three answer: %v", err)
	}
	for name, other := range map[string]struct {
		*project
		n int
	}{"as large": {forked, 567}, "smaller": {small, 4}} {
		if _, err := c.Cosign(t.Context(), other.Log, other.add(t, "for one victim", other.n)); gate.Code(err) != "witness-refused" {
			t.Errorf("another log, %s: %v", name, err)
		}
	}
	servers[0].Stop()
	at := p.add(t, "two are down", 1)
	if _, err := c.Cosign(t.Context(), p.Log, at); gate.Code(err) != "witness-unreachable" {
		t.Errorf("one of three answers: %v", err)
	}
	if err := servers[0].Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Cosign(t.Context(), p.Log, at); err != nil {
		t.Errorf("it is up again: %v", err)
	}
}

// liar is a witness that keeps to the protocol until it does not.
type liar struct {
	tlog.Witness
	private ed25519.PrivateKey

	mu    sync.Mutex
	size  int64
	root  sumtlog.Hash
	asked int
	lie   func(w http.ResponseWriter, asked int, honest []byte) bool // true: it has answered
}

func newLiar(t testing.TB, name string, lie func(http.ResponseWriter, int, []byte) bool) *liar {
	t.Helper()
	l := &liar{private: newKey(t), lie: lie}
	s := httptest.NewServer(l)
	t.Cleanup(s.Close)
	l.Witness = tlog.Witness{Key: cosignature.New(name, l.private.Public().(ed25519.PublicKey)), URL: s.URL + "/prefix/"}
	return l
}

// line cosigns the text of a note.
func (l *liar) line(note string, at time.Time) string {
	text, _, _ := strings.Cut(note, "\n\n")
	sig := cosignature.Sign(l.private, at, []byte(text+"\n"))
	return "— " + l.Name() + " " + base64.StdEncoding.EncodeToString(append(binary.BigEndian.AppendUint32(nil, l.KeyHash()), sig...)) + "\n"
}

// ServeHTTP implements http.Handler.
func (l *liar) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var body bytes.Buffer
	if _, err := body.ReadFrom(r.Body); err != nil || r.Method != http.MethodPost || r.URL.Path != "/prefix/add-checkpoint" {
		http.NotFound(w, r)
		return
	}
	head, note, _ := strings.Cut(body.String(), "\n\n")
	if l.asked++; l.lie(w, l.asked, []byte(l.line(note, time.Now()))) {
		return
	}
	lines := strings.Split(head, "\n")
	checkpoint := strings.Split(note, "\n")
	size, _ := strconv.ParseInt(checkpoint[1], 10, 64)
	root, _ := sumtlog.ParseHash(checkpoint[2])
	if lines[0] != fmt.Sprintf("old %d", l.size) {
		conflict(w, l.size)
		return
	}
	var proof sumtlog.TreeProof
	for _, line := range lines[1:] {
		h, _ := sumtlog.ParseHash(line)
		proof = append(proof, h)
	}
	if l.size > 0 && sumtlog.CheckTree(proof, size, root, l.size, l.root) != nil {
		w.WriteHeader(http.StatusUnprocessableEntity)
		return
	}
	l.size, l.root = size, root
	fmt.Fprint(w, l.line(note, time.Now()))
}

func conflict(w http.ResponseWriter, size int64) {
	w.Header().Set("Content-Type", "text/x.tlog.size")
	w.WriteHeader(http.StatusConflict)
	fmt.Fprintf(w, "%d\n", size)
}

func honest(http.ResponseWriter, int, []byte) bool { return false }

// Whatever a witness answers ends, and counts only when it is a cosignature.
func TestWitnessesThatLie(t *testing.T) {
	t.Parallel()
	status := func(code int, text string) func(http.ResponseWriter, int, []byte) bool {
		return func(w http.ResponseWriter, _ int, _ []byte) bool {
			w.WriteHeader(code)
			fmt.Fprint(w, text)
			return true
		}
	}
	stranger := newLiar(t, "w", honest)
	for name, tt := range map[string]struct {
		lie        func(http.ResponseWriter, int, []byte) bool
		code, says string
		asked      int
	}{
		"honest":                 {honest, "", "", 1},
		"busy, then honest":      {func(w http.ResponseWriter, n int, _ []byte) bool { return n < 3 && status(503, "")(w, n, nil) }, "", "", 3},
		"too many requests once": {func(w http.ResponseWriter, n int, _ []byte) bool { return n < 2 && status(429, "")(w, n, nil) }, "", "", 2},
		"always busy":            {status(500, "no"), "witness-unreachable", "500", 3},
		"does not know us":       {status(404, ""), "witness-unreachable", "does not know the log", 1},
		"does not know the key":  {status(403, ""), "witness-unreachable", "operator", 1},
		"says we are malformed":  {status(400, ""), "witness-unreachable", "400", 1},
		"sends us elsewhere": {func(w http.ResponseWriter, _ int, _ []byte) bool {
			w.Header().Set("Location", "/prefix/add-checkpoint")
			w.WriteHeader(http.StatusTemporaryRedirect)
			return true
		}, "witness-unreachable", "307", 1},
		"nothing":           {status(200, ""), "witness-unreachable", "no cosignature", 1},
		"text":              {status(200, "ok\n"), "witness-unreachable", "no cosignature", 1},
		"without end":       {status(200, strings.Repeat("— w AAAAAAAA\n", 5000)), "witness-unreachable", "more than", 3},
		"another log":       {status(422, ""), "witness-refused", "another log", 1},
		"conflict, no size": {status(409, "5\n"), "witness-unreachable", "without saying", 1},
		"conflict, a word": {func(w http.ResponseWriter, _ int, _ []byte) bool {
			w.Header().Set("Content-Type", "text/x.tlog.size")
			w.WriteHeader(409)
			fmt.Fprint(w, "007\n")
			return true
		}, "witness-unreachable", "without saying", 1},
		"the size it was told": {func(w http.ResponseWriter, _ int, _ []byte) bool { conflict(w, 0); return true }, "witness-unreachable", "does not take a proof", 1},
		"many sizes":           {func(w http.ResponseWriter, n int, _ []byte) bool { conflict(w, int64(n)); return true }, "witness-unreachable", "another size", maxSizes},
		"a larger log":         {func(w http.ResponseWriter, _ int, _ []byte) bool { conflict(w, 1<<40); return true }, "witness-refused", "1099511627776 entries", 1},
		"of another text": {func(w http.ResponseWriter, _ int, line []byte) bool {
			mangled := bytes.Replace(line, []byte("A"), []byte("B"), 1)
			if bytes.Equal(mangled, line) {
				mangled = bytes.Replace(line, []byte("b"), []byte("c"), 1)
			}
			_, _ = w.Write(mangled)
			return true
		}, "witness-unreachable", "w: ", 1},
		"by another key of its name": {func(w http.ResponseWriter, _ int, _ []byte) bool {
			fmt.Fprint(w, stranger.line("example.org/log/it\n1\nx\n\n", time.Now()))
			return true
		}, "witness-unreachable", "no cosignature", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newLiar(t, "w", tt.lie)
			p := newProject(t, newKey(t), 1, w.Witness)
			got, err := client(t).Cosign(t.Context(), p.Log, p.add(t, "release", 9))
			var r *gate.Refusal
			if errors.As(err, &r); gate.Code(err) != tt.code || tt.code != "" && !strings.Contains(r.Actual, tt.says) {
				t.Fatalf("%v, expected %s, %s", err, tt.code, tt.says)
			}
			if w.asked != tt.asked {
				t.Errorf("asked %d times, expected %d", w.asked, tt.asked)
			}
			if r != nil && (r.Class == gate.Failed) != (tt.code == "witness-unreachable") {
				t.Errorf("class %v", r.Class)
			}
			if err == nil {
				if who, err := p.Cosigned(got, time.Now()); err != nil || !slices.Equal(who, []string{"w"}) {
					t.Errorf("%v, %v", who, err)
				}
			}
		})
	}
}

// A cosignature of a time that is to come does not count.
func TestFuture(t *testing.T) {
	t.Parallel()
	w := newLiar(t, "w", honest)
	p := newProject(t, newKey(t), 1, w.Witness)
	c := client(t)
	c.Now = func() time.Time { return time.Now().Add(-cosignature.Ahead - time.Hour) }
	if _, err := c.Cosign(t.Context(), p.Log, p.add(t, "release", 2)); gate.Code(err) != "witness-unreachable" {
		t.Error(err)
	}
}

// Somebody else releases while we ask: what both have added is cosigned.
func TestOthersReleaseMeanwhile(t *testing.T) {
	t.Parallel()
	w := newLiar(t, "w", honest)
	p := newProject(t, newKey(t), 1, w.Witness)
	c := client(t)
	ours := p.add(t, "ours", 3)
	theirs, err := c.Cosign(t.Context(), p.Log, p.add(t, "theirs", 4))
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Cosign(t.Context(), p.Log, ours)
	if err != nil || got.Size != 7 || got.Root != theirs.Root {
		t.Errorf("%+v, %v", got, err)
	}
	// One that was asked with a good size goes on from there, without being told again; one that has cosigned is not asked any more.
	if err := p.Keep(t.Context(), got, time.Now()); err != nil {
		t.Fatal(err)
	}
	before := w.asked
	if _, err := c.Cosign(t.Context(), p.Log, got); err != nil || w.asked != before {
		t.Errorf("asked %d times more, %v", w.asked-before, err)
	}
}

// With enough cosignatures nobody waits for long for the witness that hangs; with too few the wait ends, too.
func TestWitnessThatHangs(t *testing.T) {
	t.Parallel()
	end := make(chan struct{})
	hang := func(http.ResponseWriter, int, []byte) bool { <-end; return true }
	slow, good := newLiar(t, "slow", hang), newLiar(t, "good", honest)
	t.Cleanup(func() { close(end) })
	p := newProject(t, newKey(t), 1, slow.Witness, good.Witness)
	c := client(t)
	start := time.Now()
	if _, err := c.Cosign(t.Context(), p.Log, p.add(t, "release", 2)); err != nil || time.Since(start) > grace+5*time.Second {
		t.Errorf("after %s: %v", time.Since(start), err)
	}
	p.witnessed(t, 2, slow.Witness, good.Witness)
	c.web.Stall = 50 * time.Millisecond
	if _, err := c.Cosign(t.Context(), p.Log, p.add(t, "another", 2)); gate.Code(err) != "witness-unreachable" || !strings.Contains(err.Error(), "no answer for") {
		t.Error(err)
	}
}

func FuzzParseSize(f *testing.F) {
	f.Add("text/x.tlog.size", []byte("20852014\n"))
	f.Add("text/x.tlog.size; charset=utf-8", []byte("0\n"))
	f.Add("text/plain", []byte("-1\n"))
	f.Fuzz(func(t *testing.T, kind string, body []byte) {
		size, err := parseSize(&web.Answer{Status: 409, MediaType: kind, Body: body})
		if err == nil && (size < 0 || fmt.Sprintf("%d\n", size) != string(body) || !strings.HasPrefix(strings.ToLower(strings.TrimSpace(kind)), "text/x.tlog.size")) {
			t.Fatalf("%q, %q is read as %d", kind, body, size)
		}
	})
}
