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
	streams  Streams
	build    Build
	dir      string
	output   string      // text | json
	progress string      // auto | tty | plain | json
	engine   string      // bubblewrap | host
	renderer ui.Renderer // of the verb that runs, if it shows progress
	resume   string      // the command line that goes on after a failure
}

// Main runs the command line and gives the exit code.
func Main(args []string, streams Streams, build Build) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	a := &app{streams: streams, build: build.filled()}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(streams.In)
	root.SetOut(streams.Out)
	root.SetErr(streams.Err)
	err := root.ExecuteContext(ctx)
	if err != nil && strings.HasPrefix(err.Error(), "unknown command") {
		err = usage(err.Error(), "sello --help")
	}
	if err == nil {
		return exitDone
	}
	if ctx.Err() != nil {
		fmt.Fprintln(streams.Err, "interrupted: nothing half-written is visible; run the same command again to go on")
		return exitInterrupted
	}
	a.report(err)
	return exitCode(err)
}

// Root gives the command tree, for the generated reference, man pages and completion.
func Root() *cobra.Command {
	a := &app{streams: Streams{In: os.Stdin, Out: io.Discard, Err: io.Discard}}
	return a.root()
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "sello",
		Short: "Cut software releases that nobody has to take on faith",
		Long: `Sello builds every artifact of a release in sandboxes without a network, proves
what went into it, holds it in staging until enough release managers signed off,
publishes it in an order that a crash cannot spoil, and lets anyone verify it.

From two reviewed files: sello.yaml says how to build, releases/<version>.yaml
says what to release. Start with: sello init`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	f := root.PersistentFlags()
	f.StringVarP(&a.dir, "directory", "C", ".", "work on the checkout in this folder")
	f.StringVar(&a.output, "output", "text", "result as text or json")
	f.StringVar(&a.progress, "progress", "auto", "progress as auto, tty, plain or json")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage(err.Error(), cmd.CommandPath()+" --help")
	})
	root.PersistentPreRunE = func(*cobra.Command, []string) error { return a.checkFlags() }
	root.AddGroup(&cobra.Group{ID: "setup", Title: "Set up:"}, &cobra.Group{ID: "release", Title: "Release:"}, &cobra.Group{ID: "look", Title: "Look and verify:"})
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add("setup", a.initCommand(), a.doctorCommand(), a.checkCommand(), a.keyCommand(), a.schemaCommand())
	add("release", a.planCommand(), a.buildCommand(), a.proposeCommand(), a.stageCommand(), a.signOffCommand(), a.promoteCommand(), a.releaseCommand())
	add("look", a.verifyCommand(), a.statusCommand(), a.historyCommand(), a.versionCommand())
	root.AddCommand(a.manCommand())
	return root
}

func (a *app) checkFlags() error {
	if a.output != "text" && a.output != "json" {
		return usage(fmt.Sprintf("--output %s: expected text or json", a.output), "")
	}
	switch a.progress {
	case "auto", "tty", "plain", "json":
		return nil
	}
	return usage(fmt.Sprintf("--progress %s: expected auto, tty, plain or json", a.progress), "")
}

// usage is an error in the command line.
func usage(what, fix string) error {
	return &gate.Refusal{Code: "usage", Class: gate.Usage, What: what, Fix: fix}
}

// filled takes what the linker did not set from the build info.
func (b Build) filled() Build {
	info, ok := debug.ReadBuildInfo()
	if b.Version == "" && ok {
		b.Version = info.Main.Version
	}
	if b.Version == "" {
		b.Version = "(devel)"
	}
	for i := 0; ok && b.Commit == "" && i < len(info.Settings); i++ {
		if info.Settings[i].Key == "vcs.revision" {
			b.Commit = info.Settings[i].Value
		}
	}
	return b
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

// report prints an error the way a person can use it.
func (a *app) report(err error) {
	ui.Refusal(a.streams.Err, err, ui.RefusalOptions{Resume: a.resume})
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
