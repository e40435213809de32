package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Every flag has an environment variable, unless it is declared without one: --listen-public is
// POSTERN_LISTEN_PUBLIC. The name is made from the flag's, or given by EnvName where `postern env`
// prints another; help shows it; ApplyEnv reads it. There is no second list.
const (
	annotationEnv   = "postern_env"    // the variable's name, or "" for none
	annotationOneOf = "postern_one_of" // the names of flags that exclude each other
	annotationSet   = "postern_set_by" // "environment" once ApplyEnv set it
	envPrefix       = "POSTERN_"
)

func envOf(f *pflag.Flag) string {
	if v, ok := f.Annotations[annotationEnv]; ok {
		return v[0]
	}
	return envPrefix + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
}

func annotate(cmd *cobra.Command, name, key string, values ...string) {
	f := cmd.Flags().Lookup(name)
	if f.Annotations == nil {
		f.Annotations = map[string][]string{}
	}
	f.Annotations[key] = values
}

// EnvName gives a flag's variable another name than the flag's own.
func EnvName(cmd *cobra.Command, flag, variable string) {
	annotate(cmd, flag, annotationEnv, variable)
}

// NoEnv declares flags that no variable sets: what is said once, for one URL.
func NoEnv(cmd *cobra.Command, flags ...string) {
	for _, name := range flags {
		annotate(cmd, name, annotationEnv, "")
	}
}

// OneOf declares flags that exclude each other. A flag on the command line silences the variables of
// its group, so that an environment with a default does not forbid saying something else once.
func OneOf(cmd *cobra.Command, flags ...string) {
	for _, name := range flags {
		annotate(cmd, name, annotationOneOf, flags...)
	}
}

// ApplyEnv sets every flag that the command line did not set from its variable, and then refuses
// flags that exclude each other.
func ApplyEnv(cmd *cobra.Command, getenv func(string) string) error {
	typed := map[string]bool{}
	cmd.Flags().Visit(func(f *pflag.Flag) { typed[f.Name] = true })
	var err error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		variable := envOf(f)
		if err != nil || typed[f.Name] || variable == "" || f.Name == "help" {
			return
		}
		if slices.ContainsFunc(f.Annotations[annotationOneOf], func(n string) bool { return typed[n] }) {
			return
		}
		value := getenv(variable)
		if value == "" {
			return
		}
		if e := cmd.Flags().Set(f.Name, value); e != nil {
			err = Usage(fmt.Errorf("reading the environment variable %s: %w", variable, e))
			return
		}
		annotate(cmd, f.Name, annotationSet, "environment")
	})
	if err != nil {
		return err
	}
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		for _, other := range f.Annotations[annotationOneOf] {
			if err == nil && f.Changed && other > f.Name && cmd.Flags().Changed(other) {
				err = Usage(fmt.Errorf("--%s and --%s exclude each other", f.Name, other), "Give one of the two.")
			}
		}
	})
	return err
}

// Given reports whether the flag stood on the command line.
func Given(cmd *cobra.Command, name string) bool {
	f := cmd.Flags().Lookup(name)
	return f.Changed && f.Annotations[annotationSet] == nil
}

// ShowEnv writes each flag's variable into its help.
func ShowEnv(cmd *cobra.Command) {
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if v := envOf(f); v != "" && f.Name != "help" {
			f.Usage += " [" + v + "]"
		}
	})
	for _, c := range cmd.Commands() {
		ShowEnv(c)
	}
}

// Values is a flag's value out of a closed list.
type Values struct {
	Value   *string
	Allowed []string
}

// String is the present value.
func (v Values) String() string {
	if v.Value == nil {
		return ""
	}
	return *v.Value
}

// Type is shown in help.
func (v Values) Type() string { return strings.Join(v.Allowed, "|") }

// Set refuses what is not in the list.
func (v Values) Set(s string) error {
	if !slices.Contains(v.Allowed, s) {
		return fmt.Errorf("must be one of %s", strings.Join(v.Allowed, ", "))
	}
	*v.Value = s
	return nil
}

// Choice declares a flag with a closed list of values, the first being the default, and its completion.
func Choice(cmd *cobra.Command, p *string, name, text string, allowed ...string) {
	*p = allowed[0]
	cmd.Flags().Var(Values{p, allowed}, name, text)
	// The only error is a flag that does not exist or is registered twice; both are ours, and tested.
	_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(allowed, cobra.ShellCompDirectiveNoFileComp))
}

// OutputFlag declares --output.
func OutputFlag(cmd *cobra.Command, p *string) {
	Choice(cmd, p, "output", "form of the result", "text", "json")
}
