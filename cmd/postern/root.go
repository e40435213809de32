package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"postern/internal/cli"
	"postern/internal/cli/links"
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
func Run(ctx context.Context, env cli.Env) int {
	root := newRoot(env)
	root.SetArgs(env.Args)
	return cli.Report(env.Stderr, root.ExecuteContext(ctx))
}

func newRoot(env cli.Env) *cobra.Command {
	root := &cobra.Command{
		Use:           "postern",
		Short:         "Signed URLs and cookies: issue, enforce, explain",
		Long:          rootHelp + "\n" + cli.ExitHelp,
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
				return cli.Usage(errors.New("a URL stands where a command is wanted"),
					`To see whether a link opens: postern verify URL. To see why not: postern explain URL. To make one: postern sign URL --expires-in 7d.`)
			}
			hint := `See "postern --help" for the commands.`
			if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
				hint = fmt.Sprintf("Did you mean %q?", "postern "+near[0])
			}
			return cli.Usage(fmt.Errorf("there is no command %q", args[0]), hint)
		},
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return cli.ApplyEnv(cmd, env.Getenv) },
		Version:           versionText(),

		SuggestionsMinimumDistance: 2,
	}
	root.SetIn(env.Stdin)
	root.SetOut(env.Stdout)
	root.SetErr(env.Stderr)
	root.SetVersionTemplate("postern {{.Version}}\n")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return cli.Usage(err, fmt.Sprintf("See %q.", cmd.CommandPath()+" --help"))
	})
	root.AddCommand(
		newUp(env),
		newEnv(env),
		links.NewSign(env),
		links.NewCookies(env),
		links.NewVerify(env),
		links.NewExplain(env),
		newKeys(env),
		newVersion(env),
	)
	root.AddCommand(&cobra.Command{Use: "exit-codes", Short: "What the exit codes mean", Long: cli.ExitHelp})
	cli.ShowEnv(root)
	return root
}
