package store_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/store"
	"github.com/sello-release/sello/internal/store/storetest"
)

// helper is the environment variable that makes the test binary one of the helper processes.
const helper = "SELLO_STORE_TEST_HELPER"

func TestMain(m *testing.M) {
	switch kind, arg, _ := strings.Cut(os.Getenv(helper), ":"); kind {
	case "":
		os.Exit(m.Run())
	case "lock":
		if _, err := store.Lock(context.Background(), arg, store.LockOptions{Verb: "helper"}); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("locked")
		select {}
	case "write":
		writeForever(arg)
	}
}

// start runs the test binary as a helper process and gives its first line.
func start(t *testing.T, kind, arg string) (*exec.Cmd, string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), helper+"="+kind+":"+arg)
	out, err := cmd.StdoutPipe()
	mustNot(t, err)
	mustNot(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	mustNot(t, err)
	return cmd, strings.TrimSpace(line)
}

func mustNot(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestLockIsFreedByAKilledHolder(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "made", "lock")
	cmd, line := start(t, "lock", path)
	if line != "locked" {
		t.Fatal(line)
	}
	_, err := store.Lock(ctx, path, store.LockOptions{Verb: "test"})
	if gate.Code(err) != "locked" || !strings.Contains(err.Error(), fmt.Sprintf("helper (process %d ", cmd.Process.Pid)) {
		t.Errorf("while it is held: %v", err)
	}
	waiting := make(chan store.Holder, 1)
	got := make(chan error, 1)
	go func() {
		l, err := store.Lock(ctx, path, store.LockOptions{Verb: "test", Wait: true, OnWait: func(h store.Holder) { waiting <- h }})
		if err == nil {
			err = l.Unlock()
		}
		got <- err
	}()
	h := <-waiting
	if h.PID != cmd.Process.Pid || h.Verb != "helper" || h.Host == "" || time.Since(h.Since) > time.Hour {
		t.Errorf("holder is %+v", h)
	}
	select {
	case err := <-got:
		t.Fatalf("did not wait: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	mustNot(t, cmd.Process.Kill())
	if err := <-got; err != nil {
		t.Errorf("after the holder was killed: %v", err)
	}
}

func TestLockEndsWithTheContext(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	l, err := store.Lock(context.Background(), path, store.LockOptions{Verb: "one"})
	mustNot(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
	defer cancel()
	if _, err := store.Lock(ctx, path, store.LockOptions{Verb: "two", Wait: true}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Lock: %v", err)
	}
	mustNot(t, l.Unlock())
	mustNot(t, l.Unlock())
	l, err = store.Lock(context.Background(), path, store.LockOptions{Verb: "two"})
	mustNot(t, err)
	mustNot(t, l.Unlock())
}

func TestLockFileWithOtherContent(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	mustNot(t, os.WriteFile(path, []byte("\x1b[31m not json"), 0o644))
	l, err := store.Lock(context.Background(), path, store.LockOptions{Verb: "test"})
	mustNot(t, err)
	mustNot(t, l.Unlock())
}

// writeForever puts objects until it is killed, and says so once it has begun.
func writeForever(dir string) {
	b, err := store.Open(fileURL(dir), "")
	if err != nil {
		panic(err)
	}
	content := strings.Repeat("x", 1<<20)
	for i := 0; ; i++ {
		o := store.PutOptions{Exclusive: i%2 == 0}
		if err := b.Put(context.Background(), fmt.Sprintf("p/%d", i), strings.NewReader(content), o); err != nil {
			panic(err)
		}
		if i == 0 {
			fmt.Println("writing")
		}
	}
}

func TestKilledWriterLeavesWholeObjectsOnly(t *testing.T) {
	t.Parallel()
	for round := range 5 {
		dir := t.TempDir()
		cmd, _ := start(t, "write", dir)
		time.Sleep(time.Duration(round*7) * time.Millisecond)
		mustNot(t, cmd.Process.Kill())
		_ = cmd.Wait()
		b := open(t, fileURL(dir), "")
		infos, err := b.List(context.Background(), "")
		if err != nil || len(infos) == 0 {
			t.Fatalf("List: %d objects, %v", len(infos), err)
		}
		for _, info := range infos {
			if info.Size != 1<<20 {
				t.Errorf("%s has %d bytes", info.Name, info.Size)
			}
		}
		if _, err := b.(store.Sweeper).Sweep(context.Background(), 0); err != nil {
			t.Error(err)
		}
		storetest.Put(t, b, "after", "works")
		_ = b.(io.Closer).Close()
	}
}
