package main

import (
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sello-release/sello/internal/tlog/witness/witnesstest"
)

// TestWitnessSessions runs sessions with witnesses of the transparency log, which are litewitness.
func TestWitnessSessions(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("staging in a sandbox is Linux only")
	}
	programs := witnesstest.Find(t)
	commands := commands()
	commands["witness"] = func(ts *testscript.TestScript, neg bool, args []string) { witness(ts, programs, neg, args) }
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "witness"),
		Setup: func(e *testscript.Env) error {
			e.Values[witnesses{}] = map[string]*witnesstest.Witness{}
			return session(e)
		},
		Cmds:      commands,
		Condition: condition,
	})
}

// witnesses is under what a session keeps its witnesses.
type witnesses struct{}

// witness runs a witness that ends with the session:
//
//	witness NAME new            a new one, with its key in $NAME_KEY and where it is asked in $NAME_URL; it runs
//	witness NAME knows LOG FILE the log is one that it cosigns; its key is in the file
//	witness NAME stop|start     it is down, and comes back with what it knew
func witness(ts *testscript.TestScript, p witnesstest.Programs, neg bool, args []string) {
	all := ts.Value(witnesses{}).(map[string]*witnesstest.Witness)
	if neg || len(args) < 2 {
		ts.Fatalf("usage: witness NAME new|knows|stop|start")
	}
	name := args[0]
	switch w := all[name]; args[1] {
	case "new":
		w, err := p.New("witness.example/" + strings.ToLower(name))
		ts.Check(err)
		ts.Defer(w.Close)
		ts.Check(w.Start())
		all[name] = w
		ts.Setenv(name+"_KEY", w.Key.String())
		ts.Setenv(name+"_URL", w.URL)
	case "knows":
		ts.Check(w.Knows(args[2], strings.TrimSpace(ts.ReadFile(args[3]))))
	case "stop":
		w.Stop()
	case "start":
		ts.Check(w.Start())
	default:
		ts.Fatalf("witness %s: unknown", args[1])
	}
}
