// Package witnesstest runs witnesses for tests: litewitness, as its project publishes it, on loopback.
package witnesstest

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/sello-release/sello/internal/cosignature"
	"github.com/sello-release/sello/internal/registry/registrytest"
)

// Programs are what a witness is made of: the server, and what writes the logs that it knows into its database.
type Programs struct{ litewitness, sqlite string }

// Find finds the programs. The test is skipped where they are not there and SELLO_JUDGES is not set.
func Find(tb testing.TB) Programs {
	tb.Helper()
	sqlite, err := exec.LookPath("sqlite3")
	if err != nil && os.Getenv("SELLO_JUDGES") == "1" {
		tb.Fatal(err)
	}
	if err != nil {
		tb.Skip("sqlite3 is not installed; it tells a witness which logs it knows")
	}
	return Programs{registrytest.Tool(tb, "litewitness"), sqlite}
}

// Witness is one litewitness with its key and database.
type Witness struct {
	Key *cosignature.Key
	URL string

	programs Programs
	dir      string
	address  string
	keys     net.Listener // an agent's socket: litewitness keeps no key
	finger   string
	cmd      *exec.Cmd
	out      bytes.Buffer
}

// New makes a witness with a new key; it does not run yet. Close ends it.
func (p Programs) New(name string) (*Witness, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	ring := agent.NewKeyring()
	if err := ring.Add(agent.AddedKey{PrivateKey: private}); err != nil {
		return nil, err
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		return nil, err
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer free.Close()
	dir, err := os.MkdirTemp("", "w") // a socket's path has to be short
	if err != nil {
		return nil, err
	}
	w := &Witness{Key: cosignature.New(name, public), URL: "http://" + free.Addr().String(), programs: p, dir: dir, address: free.Addr().String(), finger: ssh.FingerprintSHA256(signer.PublicKey())}
	if w.keys, err = net.Listen("unix", filepath.Join(dir, "agent")); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	go func() {
		for {
			c, err := w.keys.Accept()
			if err != nil {
				return
			}
			go func() { _ = agent.ServeAgent(ring, c) }()
		}
	}()
	return w, nil
}

// Knows adds a log to those that the witness knows, as its operator would.
func (w *Witness) Knows(origin, key string) error {
	text := func(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
	const empty = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" // SHA-256 of nothing
	cmd := exec.Command(w.programs.sqlite, filepath.Join(w.dir, "db"), fmt.Sprintf("PRAGMA busy_timeout=10000; INSERT INTO log VALUES (%s, 0, '%s'); INSERT INTO key VALUES (%[1]s, %[3]s);", text(origin), empty, text(key)))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("add log to witness: %w\n%s", err, out)
	}
	return nil
}

// Start starts the witness, and waits until it answers.
func (w *Witness) Start() error {
	w.cmd = exec.Command(w.programs.litewitness, "-name="+w.Key.Name(), "-db="+filepath.Join(w.dir, "db"), "-ssh-agent="+filepath.Join(w.dir, "agent"), "-key="+w.finger, "-listen="+w.address)
	w.cmd.Stdout, w.cmd.Stderr = &w.out, &w.out
	if err := w.cmd.Start(); err != nil {
		return err
	}
	var last error
	for range 200 {
		resp, err := http.Get(w.URL + "/")
		if err == nil {
			return resp.Body.Close()
		}
		last = err
		time.Sleep(50 * time.Millisecond)
	}
	w.Stop()
	return fmt.Errorf("litewitness does not answer: %w\n%s", last, w.out.String())
}

// Stop stops the witness; it remembers what it saw.
func (w *Witness) Stop() {
	if w.cmd != nil {
		_ = w.cmd.Process.Kill()
		_ = w.cmd.Wait()
		w.cmd = nil
	}
}

// Close ends the witness, and removes what it kept.
func (w *Witness) Close() {
	w.Stop()
	_ = w.keys.Close()
	_ = os.RemoveAll(w.dir)
}
