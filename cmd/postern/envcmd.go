package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"postern/internal/cli"
	"postern/internal/up"
)

// variable is one line of `postern env`.
type variable struct{ name, value string }

func variables(e up.Environment, data string) []variable {
	all := []variable{
		{"AWS_ENDPOINT_URL", e.Endpoint},
		{"AWS_ACCESS_KEY_ID", e.AccessKeyID},
		{"AWS_SECRET_ACCESS_KEY", e.SecretAccessKey},
		{"AWS_REGION", e.Region},
		{"AWS_DEFAULT_REGION", e.Region},
		{"POSTERN_DATA", data},
		{"POSTERN_ACCOUNT", e.Account},
		{"POSTERN_URL", e.URL},
		{"POSTERN_BUCKET", e.Bucket},
		{"POSTERN_KEY_PAIR_ID", e.KeyPairID},
		{"POSTERN_PRIVATE_KEY_FILE", filepath.Join(data, filepath.FromSlash(e.PrivateKeyFile))},
	}
	set := all[:0]
	for _, v := range all {
		// Without an endpoint the AWS tools would go to AWS, and show it our access key.
		if v.value != "" && (e.Endpoint != "" || !strings.HasPrefix(v.name, "AWS_")) {
			set = append(set, v)
		}
	}
	return set
}

// overriding are variables that would win over what env prints, left over from work on AWS.
var overriding = []string{
	"AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_PROFILE", "AWS_DEFAULT_PROFILE",
	"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_CLOUDFRONT", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
}

func newEnv(env cli.Env) *cobra.Command {
	var data, shell string
	cmd := &cobra.Command{
		Use:   "env",
		Short: "Print what turns the AWS tools in a shell to the running Postern",
		Long: `Env prints the lines that turn any AWS CLI, SDK or Terraform in a shell to the Postern of a data folder,
and that name its demo. It takes away variables that would win over them, such as AWS_PROFILE. The
lines hold the account's secret key: evaluate them, do not show them.`,
		Example: `  eval "$(postern env)"
  postern env --shell fish | source
  postern env --shell powershell | Out-String | Invoke-Expression`,
		Args: cli.ExactArgs(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			folder := env.Path(data)
			e, err := up.ReadEnvironment(folder)
			if errors.Is(err, up.ErrNoFolder) {
				return cli.Failed(err, "Start one with postern up, or say with --data where it is.")
			}
			if err != nil {
				return cli.Failed(err)
			}
			if _, running := up.Holder(folder); !running {
				env.Warn("no postern is running on %s: start it with postern up --data %q", folder, folder)
			}
			if e.Endpoint == "" {
				env.Warn("it was started with --role edge and has no AWS-compatible APIs: the AWS tools are left as they are")
			}
			if _, err := fmt.Fprint(env.Stdout, environmentLines(shell, e, folder)); err != nil {
				return cli.Failed(fmt.Errorf("writing the result: %w", err))
			}
			return nil
		},
	}
	dataFlag(cmd, &data)
	cli.Choice(cmd, &shell, "shell", "whose syntax to print; bash is every POSIX shell's", "bash", "zsh", "fish", "powershell")
	cli.NoEnv(cmd, "shell")
	return cmd
}

// defaultData is the data folder, in the current one.
const defaultData = "postern-data"

func dataFlag(cmd *cobra.Command, p *string) {
	cmd.Flags().StringVar(p, "data", defaultData, "the data folder")
}

// environmentLines is what a shell of that kind evaluates.
func environmentLines(shell string, e up.Environment, data string) string {
	var b strings.Builder
	for _, name := range overriding {
		fmt.Fprintln(&b, unset(shell, name))
	}
	for _, v := range variables(e, data) {
		fmt.Fprintln(&b, export(shell, v))
	}
	return b.String()
}

func export(shell string, v variable) string {
	switch shell {
	case "fish":
		return "set -gx " + v.name + " '" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(v.value) + "'"
	case "powershell":
		return "$env:" + v.name + " = '" + strings.ReplaceAll(v.value, "'", "''") + "'"
	}
	return "export " + v.name + "='" + strings.ReplaceAll(v.value, "'", `'\''`) + "'"
}

func unset(shell, name string) string {
	switch shell {
	case "fish":
		return "set -e " + name
	case "powershell":
		return "Remove-Item Env:" + name + " -ErrorAction SilentlyContinue"
	}
	return "unset " + name
}
