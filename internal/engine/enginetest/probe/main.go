// Command probe is the step that engines are tested with: it does what it is told, good or bad, and
// says how that went.
//
// A bad action that succeeds exits with 0; one that is refused prints "denied: " with the
// error and exits with 10. Every loop has a bound, so that a sandbox that does not hold does no lasting harm.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	exitUsage  = 2
	exitDenied = 10
)

// action is one thing the probe can do.
type action func(args []string) error

var errUsage = errors.New("usage")

func main() {
	if len(os.Args) < 2 {
		fmt.Println("usage: probe ACTION [ARGS]")
		os.Exit(exitUsage)
	}
	do, ok := actions()[os.Args[1]]
	if !ok {
		fmt.Println("unknown action", os.Args[1])
		os.Exit(exitUsage)
	}
	err := do(os.Args[2:])
	var errno syscall.Errno
	switch {
	case err == nil:
	case errors.Is(err, errUsage):
		fmt.Println(err)
		os.Exit(exitUsage)
	case errors.As(err, &errno):
		fmt.Printf("denied: %s: %v\n", name(errno), err)
		os.Exit(exitDenied)
	default:
		fmt.Println("denied:", err)
		os.Exit(exitDenied)
	}
}

func actions() map[string]action {
	all := map[string]action{
		"env": env, "args": args, "pwd": pwd, "exit": exit, "write": write, "append": write, "read": read, "list": list,
		"spew": spew, "spin": spin, "sleep": sleep, "grow": grow, "fill": fill, "fill-one": fillOne, "run": run, "mkdir-locked": mkdirLocked, "deep": deep,
	}
	for n, a := range attacks() {
		all[n] = a
	}
	return all
}

func env([]string) error {
	all := os.Environ()
	slices.Sort(all)
	for _, v := range all {
		fmt.Println(v)
	}
	return nil
}

func args(a []string) error {
	for _, v := range a {
		fmt.Println(v)
	}
	return nil
}

func pwd([]string) error {
	d, err := os.Getwd()
	fmt.Println(d)
	return err
}

func exit(a []string) error {
	n, err := strconv.Atoi(a[0])
	if err == nil {
		os.Exit(n)
	}
	return errUsage
}

// write PATH TEXT
func write(a []string) error { return os.WriteFile(a[0], []byte(a[1]), 0o644) }

// read PATH…
func read(a []string) error {
	for _, p := range a {
		b, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		fmt.Printf("%s\n", b)
	}
	return nil
}

// list DIR
func list(a []string) error {
	entries, err := os.ReadDir(a[0])
	for _, e := range entries {
		fmt.Println(e.Name())
	}
	return err
}

// spew LINES writes numbered lines of 100 bytes, half of them to stderr.
func spew(a []string) error {
	n, _ := strconv.Atoi(a[0])
	for i := range min(n, 1<<20) {
		to := os.Stdout
		if i%2 == 1 {
			to = os.Stderr
		}
		fmt.Fprintf(to, "%099d\n", i)
	}
	return nil
}

// spin uses a core for 20 seconds at most.
func spin([]string) error {
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
	}
	return nil
}

// sleep SECONDS, with a child that does the same; both hold on to the output.
func sleep(a []string) error {
	n, _ := strconv.Atoi(a[0])
	if len(a) == 1 {
		child := exec.Command("/proc/self/exe", "sleep", a[0], "child")
		if exe, err := os.Executable(); err == nil {
			child.Path = exe
		}
		child.Stdout, child.Stderr = os.Stdout, os.Stderr
		if err := child.Start(); err != nil {
			return err
		}
	}
	fmt.Println("sleeping")
	time.Sleep(time.Duration(min(n, 60)) * time.Second)
	return nil
}

// grow MIB takes that much memory and touches it.
func grow(a []string) error {
	n, _ := strconv.Atoi(a[0])
	var kept [][]byte
	for range min(n, 2048) {
		b := bytes.Repeat([]byte{1}, 1<<20)
		kept = append(kept, b)
		time.Sleep(time.Millisecond)
	}
	fmt.Println("took", len(kept))
	time.Sleep(2 * time.Second)
	fmt.Println(len(kept[0]))
	return nil
}

// fill DIR MIB writes files of 1 MiB.
func fill(a []string) error {
	n, _ := strconv.Atoi(a[1])
	b := make([]byte, 1<<20)
	for i := range min(n, 400) {
		if err := os.WriteFile(filepath.Join(a[0], fmt.Sprint("fill-", i)), b, 0o600); err != nil {
			return err
		}
		time.Sleep(2 * time.Millisecond)
	}
	time.Sleep(3 * time.Second)
	return nil
}

// fill-one FILE MIB writes one large file.
func fillOne(a []string) error {
	n, _ := strconv.Atoi(a[1])
	f, err := os.Create(a[0])
	if err != nil {
		return err
	}
	b := make([]byte, 1<<20)
	for range min(n, 400) {
		if _, err := f.Write(b); err != nil {
			return err
		}
	}
	return f.Close()
}

// run ACTION… runs the probe again as a child.
func run(a []string) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	c := exec.Command(exe, a...)
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	return c.Run()
}

// mkdir-locked DIR leaves a folder with a file that nobody may remove.
func mkdirLocked(a []string) error {
	d := filepath.Join(a[0], "locked")
	return errors.Join(os.Mkdir(d, 0o755), os.WriteFile(filepath.Join(d, "f"), nil, 0o400), os.Chmod(d, 0o500))
}

// deep DIR nests folders deeper than a path can be long, and hides 70 MiB there.
func deep(a []string) error {
	if err := os.Chdir(a[0]); err != nil {
		return err
	}
	long := strings.Repeat("d", 200)
	for range 60 {
		if err := os.Mkdir(long, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if err := os.Chdir(long); err != nil {
			return err
		}
	}
	for i := range 70 {
		if err := os.WriteFile(fmt.Sprint("hidden-", i), make([]byte, 1<<20), 0o600); err != nil {
			return err
		}
	}
	return nil
}
