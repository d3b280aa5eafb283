package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/term"

	"github.com/spf13/cobra"

	"github.com/sello-release/sello/internal/engine"
	"github.com/sello-release/sello/internal/engine/bubblewrap"
	"github.com/sello-release/sello/internal/engine/host"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/release"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/sign/keyless"
	"github.com/sello-release/sello/internal/ui"
)

// open finds the checkout and gives the verbs what they need from this machine.
func (a *app) open(ctx context.Context) (*release.Project, error) {
	p, err := release.Open(ctx, a.dir)
	if err != nil {
		return nil, err
	}
	if p.CacheDir, err = cacheDir(); err != nil {
		return nil, err
	}
	if p.KeyDir, err = keyDir(); err != nil {
		return nil, err
	}
	p.Tool = a.build.Version
	p.Symbols = readSymbols
	p.Vulnerabilities = os.Getenv(release.DatabaseVariable)
	p.Passphrase, p.Filter = a.passphrase, a.redact
	p.Token = keyless.Environment{Getenv: os.Getenv, File: a.identityToken, Google: keyless.OnGoogle, Secret: a.addSecret}.Token
	if a.identityToken != "" && a.signIn != "" {
		return nil, usage("a token is given, and signing in would give another", "leave --identity-token or --sign-in out")
	}
	p.Terminal, p.SignIn = keyless.Terminal{Here: a.attended, Tell: a.tell, Secret: a.addSecret}, a.signIn
	return p, nil
}

// work opens the checkout for a verb that takes long: with progress, and with the lock held until
// done is called. resume is the command line to go on with after a failure.
func (a *app) work(ctx context.Context, cmd *cobra.Command, args []string) (p *release.Project, done func(), err error) {
	if p, err = a.open(ctx); err != nil {
		return nil, nil, err
	}
	a.resume = strings.Join(append([]string{cmd.CommandPath()}, args...), " ")
	renderer, err := ui.New(a.progress, a.streams.Err)
	if err != nil {
		return nil, nil, err
	}
	p.Events, a.renderer = renderer, renderer
	unlock, err := p.Lock(ctx, cmd.Name())
	if err != nil {
		renderer.Close()
		return nil, nil, err
	}
	return p, sync.OnceFunc(func() { renderer.Close(); unlock() }), nil
}

// fromHere turns the path of a file that is there, as seen from the folder that sello works in, into one from the root of
// the checkout. A version, and a path from the root, stay as they are.
func (a *app) fromHere(p *release.Project, arg string) string {
	full, err := filepath.Abs(arg)
	if !filepath.IsAbs(arg) {
		full, err = filepath.Abs(filepath.Join(a.dir, arg))
	}
	if err != nil {
		return arg
	}
	info, err := os.Stat(full)
	if there := err == nil && info.Mode().IsRegular(); !there && !strings.HasPrefix(arg, "..") && !filepath.IsAbs(arg) {
		return arg
	}
	if rel, err := filepath.Rel(p.Repo.Root(), full); err == nil && filepath.IsLocal(rel) {
		return filepath.ToSlash(rel)
	}
	return arg
}

// setEngine gives the project the engine that --engine names, after checking that it can run here.
func (a *app) setEngine(ctx context.Context, p *release.Project) error {
	var e engine.Engine
	switch a.engine {
	default: // checkFlags lets nothing else through
		e = bubblewrap.New(bubblewrap.Options{})
	case "host":
		e = host.New(host.Options{})
		fmt.Fprintln(a.streams.Err, "WARNING: --engine host runs the build without any isolation: it can read your files and use the network.")
		fmt.Fprintln(a.streams.Err, "WARNING: its provenance names another builder, which trust.yaml grants level 1 at most.")
	}
	if err := e.Check(ctx); err != nil {
		return err
	}
	p.Engine = e
	return nil
}

func (a *app) engineFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.engine, "engine", "bubblewrap", "where steps run: bubblewrap (sandbox), or host (no isolation, level 1)")
	_ = cmd.RegisterFlagCompletionFunc("engine", cobra.FixedCompletions([]string{"bubblewrap", "host"}, cobra.ShellCompDirectiveNoFileComp))
}

// tokenFlag is for verbs that sign.
func (a *app) tokenFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.identityToken, "identity-token", "", "file with the OIDC token to sign keyless with (default: the platform's)")
	_ = cmd.MarkFlagFilename("identity-token")
	cmd.Flags().StringVar(&a.signIn, "sign-in", "", "sign in to sign keyless: browser (on this machine), or device (any)")
	_ = cmd.RegisterFlagCompletionFunc("sign-in", cobra.FixedCompletions(keyless.Flows, cobra.ShellCompDirectiveNoFileComp))
}

// attended refuses where nobody can be told what to do elsewhere: without a terminal, and in continuous integration.
func (a *app) attended() error {
	out, ok := a.streams.Err.(*os.File)
	if !ok || !term.IsTerminal(int(out.Fd())) || os.Getenv("CI") != "" {
		return &gate.Refusal{Code: "token-unattended", Class: gate.Usage, What: "nobody is here to sign in", Expected: "a terminal, and CI not set",
			Fix: "let the platform give a token (docs/signing.md), set " + keyless.Variable + ", or give --identity-token FILE"}
	}
	return nil
}

// tell shows a person what to do elsewhere.
func (a *app) tell(text string) {
	if a.renderer != nil {
		defer ui.Pause(a.renderer)()
	}
	fmt.Fprintln(a.streams.Err, text)
}

// passphrase gives the passphrase of an encrypted key: from the environment, or asked for on a terminal.
func (a *app) passphrase() ([]byte, error) {
	if value, ok := os.LookupEnv("SELLO_PASSPHRASE"); ok {
		return []byte(value), nil
	}
	in, ok := a.streams.In.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return nil, usage("the key is encrypted and there is no terminal to ask for its passphrase", "set SELLO_PASSPHRASE")
	}
	if a.renderer != nil {
		defer ui.Pause(a.renderer)()
	}
	fmt.Fprint(a.streams.Err, "Passphrase: ")
	value, err := term.ReadPassword(int(in.Fd()))
	a.addSecret(string(value))
	fmt.Fprintln(a.streams.Err)
	return value, err
}

var _ sign.Passphrase = (*app)(nil).passphrase
