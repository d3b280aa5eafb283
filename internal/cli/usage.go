package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sbom/format"
	"github.com/sello-release/sello/internal/sign/keyless"
	"github.com/sello-release/sello/internal/strictyaml"
)

// usage is an error in the command line.
func usage(what, fix string) error {
	return &gate.Refusal{Code: "usage", Class: gate.Usage, What: what, Fix: fix}
}

// unknown is a word that does not exist, with the one that was probably meant.
func unknown(kind, word string, known []string, fix string) error {
	return usage(fmt.Sprintf("there is no %s %q%s", kind, word, didYouMean(word, known)), fix)
}

func didYouMean(word string, known []string) string {
	if near := strictyaml.Nearest(word, known); near != "" {
		return "; did you mean " + near + "?"
	}
	return ""
}

// takes holds a command to a number of arguments; names are as in its Use line.
func takes(least, most int, names string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) >= least && len(args) <= most {
			return nil
		}
		what, fix := "takes "+names, cmd.CommandPath()+" "+names
		if most == 0 {
			what, fix = "takes no arguments", cmd.CommandPath()
		}
		found := "none"
		if len(args) > 0 {
			found = fmt.Sprintf("%d: %s", len(args), strings.Join(args, " "))
		}
		return &gate.Refusal{Code: "usage", Class: gate.Usage, What: cmd.CommandPath() + " " + what, Actual: found, Fix: fix}
	}
}

// oneOfCommands refuses what is none of a command's commands.
func oneOfCommands(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	typed := strings.TrimPrefix(cmd.CommandPath()+" "+args[0], "sello ")
	return unknown("command", typed, commandNames(cmd), cmd.CommandPath()+" --help")
}

// commandNames gives the commands below cmd as they are typed after sello.
func commandNames(cmd *cobra.Command) []string {
	var out []string
	for _, c := range cmd.Commands() {
		if !c.Hidden {
			out = append(out, strings.TrimPrefix(c.CommandPath(), "sello "))
		}
	}
	return out
}

// flagError says which flag was probably meant.
func flagError(cmd *cobra.Command, err error) error {
	help := cmd.CommandPath() + " --help"
	var no *pflag.NotExistError
	if !errors.As(err, &no) || len(no.GetSpecifiedName()) < 2 {
		return usage(err.Error(), help)
	}
	var known []string
	add := func(f *pflag.Flag) {
		if !f.Hidden {
			known = append(known, "--"+f.Name)
		}
	}
	cmd.LocalFlags().VisitAll(add)
	cmd.InheritedFlags().VisitAll(add)
	return unknown("flag", "--"+no.GetSpecifiedName(), known, help)
}

// values are what the flags take that name one of a few things.
var values = []struct {
	command, flag string // command and all below it
	allowed       []string
}{
	{"sello", "output", []string{"text", "json"}},
	{"sello", "progress", []string{"auto", "tty", "plain", "json"}},
	{"sello", "engine", []string{"bubblewrap", "host"}},
	{"sello", "sign-in", keyless.Flows},
	{"sello sbom", "format", format.Names},
}

// notEmpty refuses flags that are given without a value: a variable that nobody set would switch off what the flag asks for.
func notEmpty(cmd *cobra.Command) error {
	var wrong error
	cmd.Flags().Visit(func(f *pflag.Flag) {
		kind := f.Value.Type()
		if wrong == nil && (kind == "string" || kind == "stringArray" || kind == "stringSlice") && strings.Trim(f.Value.String(), "[]") == "" {
			wrong = usage("--"+f.Name+" is given without a value", "give one, or leave the flag out")
		}
	})
	return wrong
}

// checkFlags refuses wrong values before a verb begins, so that nothing is written for them.
func (a *app) checkFlags(cmd *cobra.Command) error {
	if err := notEmpty(cmd); err != nil {
		return err
	}
	if f := cmd.Flags().Lookup("threshold"); f != nil && f.Changed && f.Value.String() == "0" {
		return usage("--threshold 0 would ask for nobody", "give --threshold 1 or more")
	}
	for _, v := range values {
		f := cmd.Flags().Lookup(v.flag)
		if f == nil || !f.Changed || !strings.HasPrefix(cmd.CommandPath()+" ", v.command+" ") || slices.Contains(v.allowed, f.Value.String()) {
			continue
		}
		given := f.Value.String()
		return &gate.Refusal{
			Code: "usage", Class: gate.Usage, What: "--" + v.flag + " does not take this value" + didYouMean(given, v.allowed),
			Expected: "one of " + strings.Join(v.allowed, ", "), Actual: fmt.Sprintf("%q", given), Fix: cmd.CommandPath() + " --help",
		}
	}
	return nil
}

// helpCommand is cobra's, but for topics that do not exist.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND]",
		Short:   "Help about any command",
		Example: "  sello help stage",
		RunE: func(cmd *cobra.Command, args []string) error {
			found, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return oneOfCommands(found, rest)
			}
			return found.Help()
		},
	}
}
