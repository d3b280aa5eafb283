package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sello-release/sello/internal/vuln"
)

// Bounds of the process that reads a program's symbols.
const (
	maxSymbols     = 512 << 20 // bytes that it writes
	symbolsTimeout = 10 * time.Minute
)

// symbolsCommand reads the symbols of a program that may be hostile: it is run by readSymbols, as a process that may crash.
func (a *app) symbolsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "symbols FILE", Short: "Write the modules and symbols of a Go program, as govulncheck has them", Hidden: true, Args: takes(1, 1, "FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return vuln.WriteSymbols(cmd.Context(), a.streams.Out, args[0])
		},
	}
}

// readSymbols runs this program again, to read a program's symbols.
func readSymbols(ctx context.Context, program string) ([]byte, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, symbolsTimeout)
	defer cancel()
	out, said := &limited{left: maxSymbols}, &limited{left: 1 << 20}
	cmd := exec.CommandContext(ctx, self, "symbols", program)
	cmd.Args[0] = os.Args[0]
	cmd.Stdout, cmd.Stderr = out, said
	if err := cmd.Run(); err != nil {
		first, _, _ := strings.Cut(strings.TrimSpace(said.String()), "\n")
		return nil, fmt.Errorf("%w: %s", err, first)
	}
	return out.Bytes(), nil
}

// limited keeps what is written to it, and refuses more than it may keep.
type limited struct {
	bytes.Buffer
	left int
}

// Write implements io.Writer.
func (l *limited) Write(p []byte) (int, error) {
	if l.left -= len(p); l.left < 0 {
		return 0, errors.New("it writes more than is read")
	}
	return l.Buffer.Write(p)
}
