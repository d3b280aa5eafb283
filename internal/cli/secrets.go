package cli

import (
	"io"
	"os"
	"slices"

	"github.com/sello-release/sello/internal/material/goproxy"
	"github.com/sello-release/sello/internal/registry"
	"github.com/sello-release/sello/internal/sign/keyless"
	"github.com/sello-release/sello/internal/sign/kms"
	"github.com/sello-release/sello/internal/store"
	"github.com/sello-release/sello/internal/ui"
)

// minSecret is the length from which something is kept out of what is shown, in bytes. A shorter one is found in the midst of words,
// and guessed in no time.
const minSecret = 6

// knownSecrets gives the secrets that sello may come to read on this machine: nothing that it writes shows them.
func knownSecrets() []string {
	out := append(goproxy.Secrets(os.Getenv), registry.Secrets()...)
	for _, name := range append([]string{"SELLO_PASSPHRASE"}, slices.Concat(store.SecretVariables, keyless.SecretVariables, kms.SecretVariables)...) {
		out = append(out, os.Getenv(name))
	}
	slices.Sort(out)
	return slices.DeleteFunc(slices.Compact(out), func(s string) bool { return len(s) < minSecret })
}

// addSecret keeps something that was typed out of what is shown from now on.
func (a *app) addSecret(s string) {
	a.secretsMu.Lock()
	defer a.secretsMu.Unlock()
	if len(s) >= minSecret {
		a.typed = append(a.typed, s)
	}
}

// redact is a flow.Filter: it puts *** in the place of secrets in what is written to w.
func (a *app) redact(w io.Writer) io.Writer {
	a.secretsMu.Lock()
	defer a.secretsMu.Unlock()
	if !a.secretsRead {
		a.secrets, a.secretsRead = knownSecrets(), true
	}
	return ui.Redact(w, slices.Concat(a.secrets, a.typed)...)
}

// redacted writes to w through redact.
func (a *app) redacted(w io.Writer, write func(io.Writer)) {
	out := a.redact(w)
	write(out)
	if r, ok := out.(*ui.Redactor); ok {
		_ = r.Flush() // whether standard output took it is asked of that itself
	}
}
