package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

const rootHelp = `Postern lets a viewer through to private content only when a valid signature says so:
CloudFront-compatible signed URLs and signed cookies, issued, enforced and explained.

Start everything on this machine, with no AWS account:

  postern up

Then, in another shell:

  eval "$(postern env)"
  postern sign "$POSTERN_URL/uploads/report.pdf" --expires-in 7d
`

// Run is the whole program: it returns the exit code.
func Run(ctx context.Context, env Env) int {
	root := newRoot(env)
	root.SetArgs(env.Args)
	return report(env.Stderr, root.ExecuteContext(ctx))
}

func newRoot(env Env) *cobra.Command {
	root := &cobra.Command{
		Use:           "postern",
		Short:         "Signed URLs and cookies: issue, enforce, explain",
		Long:          rootHelp + "\n" + exitHelp,
		SilenceErrors: true,
		SilenceUsage:  true,
		// The root takes any argument and refuses it itself: cobra's own refusal would quote a signed
		// URL that was given where a command is wanted.
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			if strings.Contains(args[0], "://") {
				return usage(errors.New("a URL stands where a command is wanted"),
					`To see whether a link opens: postern verify URL. To see why not: postern explain URL. To make one: postern sign URL --expires-in 7d.`)
			}
			hint := `See "postern --help" for the commands.`
			if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
				hint = fmt.Sprintf("Did you mean %q?", "postern "+near[0])
			}
			return usage(fmt.Errorf("there is no command %q", args[0]), hint)
		},
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return applyEnv(cmd, env.Getenv) },
		Version:           version(),
	}
	root.SetIn(env.Stdin)
	root.SetOut(env.Stdout)
	root.SetErr(env.Stderr)
	root.SetVersionTemplate("postern {{.Version}}\n")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage(err, fmt.Sprintf("See %q.", cmd.CommandPath()+" --help"))
	})
	root.AddCommand(
		newSign(env),
		newVersion(env),
	)
	root.AddCommand(&cobra.Command{Use: "exit-codes", Short: "What the exit codes mean", Long: exitHelp})
	showEnv(root)
	return root
}

// exactArgs is cobra's own, with our errors and without quoting what was given.
func exactArgs(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == n {
			return nil
		}
		err := fmt.Errorf("%s takes %s, and was given %d arguments", cmd.CommandPath(), what, len(args))
		return usage(err, fmt.Sprintf("See %q. Quote a URL, or the shell cuts it at & and ?.", cmd.CommandPath()+" --help"))
	}
}

// printJSON prints one result as one indented JSON document.
func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false) // a URL stays readable, and is not put into HTML by us
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return failed(fmt.Errorf("writing the result: %w", err))
	}
	return nil
}
