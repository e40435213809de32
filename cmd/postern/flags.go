package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Every flag has an environment variable, unless it is declared without one: --listen-public is
// POSTERN_LISTEN_PUBLIC. The name is made from the flag's, or given by envName where `postern env`
// prints another; help shows it; applyEnv reads it. There is no second list.
const (
	annotationEnv   = "postern_env"    // the variable's name, or "" for none
	annotationOneOf = "postern_one_of" // the names of flags that exclude each other
	annotationSet   = "postern_set_by" // "environment" once applyEnv set it
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

// envName gives a flag's variable another name than the flag's own.
func envName(cmd *cobra.Command, flag, variable string) {
	annotate(cmd, flag, annotationEnv, variable)
}

// noEnv declares flags that no variable sets: what is said once, for one URL.
func noEnv(cmd *cobra.Command, flags ...string) {
	for _, name := range flags {
		annotate(cmd, name, annotationEnv, "")
	}
}

// oneOf declares flags that exclude each other. A flag on the command line silences the variables of
// its group, so that an environment with a default does not forbid saying something else once.
func oneOf(cmd *cobra.Command, flags ...string) {
	for _, name := range flags {
		annotate(cmd, name, annotationOneOf, flags...)
	}
}

// applyEnv sets every flag that the command line did not set from its variable, and then refuses
// flags that exclude each other.
func applyEnv(cmd *cobra.Command, getenv func(string) string) error {
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
			err = usage(fmt.Errorf("reading the environment variable %s: %w", variable, e))
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
				err = usage(fmt.Errorf("--%s and --%s exclude each other", f.Name, other), "Give one of the two.")
			}
		}
	})
	return err
}

// given reports whether the flag stood on the command line.
func given(cmd *cobra.Command, name string) bool {
	f := cmd.Flags().Lookup(name)
	return f.Changed && f.Annotations[annotationSet] == nil
}

// showEnv writes each flag's variable into its help.
func showEnv(cmd *cobra.Command) {
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if v := envOf(f); v != "" && f.Name != "help" {
			f.Usage += " [" + v + "]"
		}
	})
	for _, c := range cmd.Commands() {
		showEnv(c)
	}
}

// oneOfValues is a flag's value out of a closed list.
type oneOfValues struct {
	value   *string
	allowed []string
}

func (v oneOfValues) String() string {
	if v.value == nil {
		return ""
	}
	return *v.value
}
func (v oneOfValues) Type() string { return strings.Join(v.allowed, "|") }
func (v oneOfValues) Set(s string) error {
	if !slices.Contains(v.allowed, s) {
		return fmt.Errorf("must be one of %s", strings.Join(v.allowed, ", "))
	}
	*v.value = s
	return nil
}

// choice declares a flag with a closed list of values, the first being the default, and its completion.
func choice(cmd *cobra.Command, p *string, name, text string, allowed ...string) {
	*p = allowed[0]
	cmd.Flags().Var(oneOfValues{p, allowed}, name, text)
	// The only error is a flag that does not exist or is registered twice; both are ours, and tested.
	_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(allowed, cobra.ShellCompDirectiveNoFileComp))
}

// outputFlag declares --output.
func outputFlag(cmd *cobra.Command, p *string) {
	choice(cmd, p, "output", "form of the result", "text", "json")
}
