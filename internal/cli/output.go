package cli

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// ExactArgs is cobra's own, with our errors and without quoting what was given.
func ExactArgs(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == n {
			return nil
		}
		err := fmt.Errorf("%s takes %s, and was given %d arguments", cmd.CommandPath(), what, len(args))
		return Usage(err, fmt.Sprintf("See %q. Quote a URL, or the shell cuts it at & and ?.", cmd.CommandPath()+" --help"))
	}
}

// PrintJSON prints one result as one indented JSON document.
func PrintJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false) // a URL stays readable, and is not put into HTML by us
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return Failed(fmt.Errorf("writing the result: %w", err))
	}
	return nil
}
