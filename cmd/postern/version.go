package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"postern/internal/cli"
)

// version is set by -ldflags "-X main.version=v1.2.3" in a release; otherwise the module's
// version or the commit the build saw is shown.
var version string

func versionText() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	revision, modified := "", ""
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			revision = s.Value[:min(12, len(s.Value))]
		case "vcs.modified":
			if s.Value == "true" {
				modified = "+changes"
			}
		}
	}
	if revision == "" {
		return "devel"
	}
	return "devel-" + revision + modified
}

func newVersion(env cli.Env) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cli.ExactArgs(0, "no argument"),
		RunE: func(*cobra.Command, []string) error {
			platform := runtime.GOOS + "/" + runtime.GOARCH
			if output == "json" {
				return cli.PrintJSON(env.Stdout, map[string]string{"version": versionText(), "go": runtime.Version(), "platform": platform})
			}
			_, err := fmt.Fprintf(env.Stdout, "postern %s (%s, %s)\n", versionText(), runtime.Version(), platform)
			return err
		},
	}
	cli.OutputFlag(cmd, &output)
	return cmd
}
