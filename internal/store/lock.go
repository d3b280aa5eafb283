package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"sync"
	"time"

	"github.com/sello-release/sello/internal/gate"
)

// lockName is the bucket's own lock, in its folder for temporary files.
const lockName = "lock"

// Holder says who holds a lock.
type Holder struct {
	PID   int       `json:"pid"`
	Host  string    `json:"host"`
	User  string    `json:"user,omitempty"`
	Verb  string    `json:"verb"`
	Since time.Time `json:"since"`
}

func (h Holder) String() string {
	if h.PID == 0 {
		return "another process"
	}
	return fmt.Sprintf("%s (process %d of %s on %s, since %s)", h.Verb, h.PID, h.User, h.Host, h.Since.Format(time.RFC3339))
}

// LockOptions say what to do while another process holds the lock.
type LockOptions struct {
	Verb   string       // what this process is about to do, for others' messages
	Wait   bool         // wait instead of refusing
	OnWait func(Holder) // called once, before waiting
}

// Locked is a lock that this process holds.
type Locked struct {
	once sync.Once
	f    *os.File
}

// Lock takes the lock at path for this process alone. When another process holds
// it, Lock waits until it is free or ctx ends, or refuses with code locked.
// The operating system frees the lock of a process that ends in whatever way; the file stays.
// path's folder is created; nothing else may write to the file.
func Lock(ctx context.Context, path string, o LockOptions) (*Locked, error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, folderMode); err != nil {
		return nil, explain("lock", path, err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, explain("lock", path, err)
	}
	defer root.Close()
	f, err := root.OpenFile(filepath.Base(path), os.O_RDWR|os.O_CREATE|openNonblock, fileMode)
	if err != nil {
		return nil, explain("lock", path, err)
	}
	if err := take(ctx, f, path, o); err != nil {
		f.Close()
		return nil, err
	}
	if err := writeHolder(f, o.Verb); err != nil {
		f.Close()
		return nil, explain("lock", path, err)
	}
	return &Locked{f: f}, nil
}

// Unlock frees the lock; more than once is harmless.
func (l *Locked) Unlock() error {
	var err error
	l.once.Do(func() {
		// Closing frees the lock; what the file says is cleared before, so that nobody is told of a holder that is gone.
		err = errors.Join(l.f.Truncate(0), l.f.Close())
	})
	return err
}

// take waits with growing pauses, so that a lock freed soon is taken soon.
func take(ctx context.Context, f *os.File, path string, o LockOptions) error {
	pause := 10 * time.Millisecond
	told := false
	for {
		ok, err := tryLock(f)
		if err != nil {
			return explain("lock", path, err)
		}
		if ok {
			return nil
		}
		holder := readHolder(f)
		if !o.Wait {
			return &gate.Refusal{
				Code: "locked", Class: gate.Failed, What: "another process is at work here", Where: path,
				Expected: "one process at a time", Actual: holder.String(),
				Fix: "wait until it has ended, then run the same command again",
			}
		}
		if !told && o.OnWait != nil {
			o.OnWait(holder)
		}
		told = true
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s, held by %v: %w", path, holder, ctx.Err())
		case <-time.After(pause):
		}
		pause = min(2*pause, 500*time.Millisecond)
	}
}

func writeHolder(f *os.File, verb string) error {
	h := Holder{PID: os.Getpid(), Verb: verb, Since: time.Now().UTC().Truncate(time.Second)}
	h.Host, _ = os.Hostname()
	if u, err := user.Current(); err == nil {
		h.User = u.Username
	}
	data, err := json.Marshal(h)
	if err != nil {
		return err
	}
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err = f.WriteAt(append(data, '\n'), 0)
	return err
}

// readHolder gives the zero Holder when the file does not say: it may be half-written.
func readHolder(f *os.File) Holder {
	var h Holder
	data, err := io.ReadAll(io.NewSectionReader(f, 0, 4096))
	if err != nil || json.Unmarshal(data, &h) != nil {
		return Holder{}
	}
	return h
}

// LockBucket implements Locker.
func (b *fileBucket) LockBucket(ctx context.Context) (func(), error) {
	root, err := b.create()
	if err == nil {
		err = makeFolder(root, tempFolder)
	}
	if err != nil {
		return nil, explain("lock", b.String(), err)
	}
	name := tempFolder + "/" + lockName
	f, err := root.OpenFile(name, os.O_RDWR|os.O_CREATE|openNonblock, fileMode)
	if err != nil {
		return nil, explain("lock", b.where(name), err)
	}
	if err := take(ctx, f, b.where(name), LockOptions{Wait: true}); err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}
