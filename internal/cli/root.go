// Package cli is the sello command: one file a verb, each turning flags into a call and the
// result into output. It holds no logic of releases.
//
// Exit codes: 0 done, 1 failed, 2 usage or definition wrong, 3 refused by a gate or by
// verification, 4 waiting for sign-off, 5 not reproducible, 130 interrupted.
//
//go:generate go run ./gen -root ../..
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/ui"
)

// Exit codes.
const (
	exitDone            = 0
	exitFailed          = 1
	exitUsage           = 2
	exitRefused         = 3
	exitWaiting         = 4
	exitNotReproducible = 5
	exitInterrupted     = 130
)

// Streams are where the command reads and writes.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// Build says what this binary is.
type Build struct{ Version, Commit string }

// app is what all verbs share: streams, global flags, what the machine is like.
type app struct {
	streams       Streams
	build         Build
	dir           string
	output        string      // text | json
	progress      string      // auto | tty | plain | json
	engine        string      // bubblewrap | host
	identityToken string      // file with a token
	signIn        string      // browser | device | "", where the signer's file says
	renderer      ui.Renderer // of the verb that runs, if it shows progress
	resume        string      // the command line that goes on after a failure
	answered      bool        // a result was printed as JSON: standard output is one document

	secretsMu      sync.Mutex
	secrets, typed []string // what is never shown: of this machine's settings, and as it was typed
	secretsRead    bool
}

// Main runs the command line and gives the exit code.
func Main(args []string, streams Streams, build Build) int {
	ctx, stop := interruptible()
	defer stop()
	out := ui.NewOutput(streams.Out)
	streams.Out = out
	a := &app{streams: streams, build: build.filled()}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(streams.In)
	root.SetOut(streams.Out)
	root.SetErr(streams.Err)
	err := root.ExecuteContext(ctx)
	if err == nil {
		err = unwritten(out)
	}
	if err == nil {
		return exitDone
	}
	code := exitCode(err)
	if ctx.Err() != nil {
		code = exitInterrupted
		fmt.Fprintln(streams.Err, "interrupted: nothing half-written is visible; run the same command again to go on")
	} else {
		a.report(err)
	}
	if !a.answered && (a.output == "json" || asksForJSON(args)) {
		a.reportJSON(err, code)
	}
	return code
}

// interruptible gives a context that the first signal to end cancels; the second ends the process as if nobody listened. A
// terminal that is closed is one, unless who started this wants it to outlive that (nohup).
func interruptible() (context.Context, context.CancelFunc) {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// Root gives the command tree, for the generated reference, man pages and completion.
func Root() *cobra.Command {
	a := &app{streams: Streams{In: os.Stdin, Out: io.Discard, Err: io.Discard}}
	return a.root()
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:     "sello",
		Short:   "Cut software releases that nobody has to take on faith",
		Version: a.build.text(),
		Long: `Sello builds every artifact of a release, programs, archives and container
images, in sandboxes without a network, proves what went into it, holds it in
staging until enough release managers signed off, publishes it in an order that a
crash cannot spoil, and lets anyone verify it.

From two reviewed files: sello.yaml says how to build, releases/VERSION.yaml
says what to release. Start with: sello init

With --output json, standard output is one JSON document: the result, or
{"exit", "errors": [{"code", "what", "where", "expected", "actual", "fix"}]}.

Exit codes:
  0    done
  1    failed: a build, a disk, a network; the same command goes on
  2    the command line, or a file that people write, is wrong
  3    refused by a gate or by verification
  4    waiting: sign-offs are missing, or an earlier verb has to run first
  5    not reproducible: a rebuild gave other bytes
  130  interrupted; the same command goes on where it stopped`,
		Example: `  sello init
  sello propose v1.4.2
  sello stage releases/v1.4.2.yaml
  sello sign-off releases/v1.4.2.yaml
  sello promote releases/v1.4.2.yaml
  sello release releases/v1.4.2.yaml`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          oneOfCommands,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetVersionTemplate("sello {{.Version}}\n")
	f := root.PersistentFlags()
	f.StringVarP(&a.dir, "directory", "C", ".", "work on the checkout in this folder")
	f.StringVar(&a.output, "output", "text", "result as text or json")
	f.StringVar(&a.progress, "progress", "auto", "progress as auto, tty, plain or json")
	root.SetFlagErrorFunc(flagError)
	root.SetHelpCommand(helpCommand())
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return a.checkFlags(cmd) }
	root.AddGroup(&cobra.Group{ID: "setup", Title: "Set up:"}, &cobra.Group{ID: "release", Title: "Release:"}, &cobra.Group{ID: "look", Title: "Look and verify:"})
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add("setup", a.initCommand(), a.doctorCommand(), a.checkCommand(), a.pinCommand(), a.keyCommand(), a.trustCommand(), a.schemaCommand())
	add("release", a.planCommand(), a.buildCommand(), a.proposeCommand(), a.stageCommand(), a.signOffCommand(), a.promoteCommand(), a.releaseCommand(), a.manifestCommand())
	add("look", a.verifyCommand(), a.verifyBundleCommand(), a.sbomCommand(), a.vulnCommand(), a.vexCommand(), a.depsCommand(), a.logCommand(), a.statusCommand(), a.historyCommand(), a.versionCommand())
	root.AddCommand(a.manCommand(), a.symbolsCommand())
	return root
}

// text is what is known of the binary: its version, its commit, or that it has neither.
func (b Build) text() string {
	switch {
	case b.Version == "" || b.Version == unknownVersion && b.Commit == "":
		return unknownVersion
	case b.Version == unknownVersion:
		return "built from commit " + b.Commit
	}
	return strings.TrimSpace(b.Version + " " + b.Commit)
}

// unknownVersion is the version of a binary that was built from a checkout.
const unknownVersion = "(devel)"

// filled takes what the linker did not set from the build info.
func (b Build) filled() Build {
	info, ok := debug.ReadBuildInfo()
	if b.Version == "" && ok {
		b.Version = info.Main.Version
	}
	if b.Version == "" {
		b.Version = unknownVersion
	}
	for i := 0; ok && b.Commit == "" && i < len(info.Settings); i++ {
		if info.Settings[i].Key == "vcs.revision" {
			b.Commit = info.Settings[i].Value
		}
	}
	return b
}

// unwritten is the error of a result that did not reach its reader: a verb that says nothing has not succeeded for those
// who wait for its answer.
func unwritten(out *ui.Output) error {
	if out.Err() == nil {
		return nil
	}
	return unwritable(out.Err())
}

func unwritable(cause error) error {
	return &gate.Refusal{Code: "output-unwritable", Class: gate.Failed, What: "the work is done, but what it came to could not be written to standard output",
		Fix: "send the output to a place that takes it, and run the command again", Cause: cause}
}

// exitCode finds the code for an error: a refusal's class decides.
func exitCode(err error) int {
	if errors.Is(err, context.Canceled) {
		return exitInterrupted
	}
	var r *gate.Refusal
	if !errors.As(err, &r) {
		return exitFailed
	}
	switch r.Class {
	case gate.Usage:
		return exitUsage
	case gate.Waiting:
		return exitWaiting
	case gate.NotReproducible:
		return exitNotReproducible
	case gate.Failed:
		return exitFailed
	default:
		return exitRefused
	}
}

// cacheDir is where materials are kept between releases.
func cacheDir() (string, error) {
	if dir := os.Getenv("SELLO_CACHE"); dir != "" {
		return filepath.Abs(dir)
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find cache folder: %w", err)
	}
	return filepath.Join(dir, "sello"), nil
}

// keyDir is where private keys are.
func keyDir() (string, error) {
	if dir := os.Getenv("SELLO_KEYS"); dir != "" {
		return filepath.Abs(dir)
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("find configuration folder: %w", err)
	}
	return filepath.Join(dir, "sello", "keys"), nil
}
