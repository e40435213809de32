package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func TestReport(t *testing.T) {
	for _, c := range []struct {
		err  error
		code int
		want string
	}{
		{nil, 0, ""},
		{ErrRefused, 1, ""},
		{fmt.Errorf("wrapped: %w", ErrRefused), 1, ""},
		{Usage(errors.New("no key"), "Give one.", "Or none."), 2, "postern: error: no key\npostern: hint: Give one.\npostern: hint: Or none.\n"},
		{Failed(errors.New("disk full")), 3, "postern: error: disk full\n"},
		{fmt.Errorf("starting: %w", &Failure{Code: ExitInUse, Err: errors.New("taken"), Hints: []string{"Wait."}}), 4, "postern: error: starting: taken\npostern: hint: Wait.\n"},
		{errors.New("anything"), 3, "postern: error: anything\n"},
		{fmt.Errorf("asking: %w", context.Canceled), 3, "postern: error: interrupted\n"},
		{errors.New("two\nlines\r\n"), 3, "postern: error: two lines \n"},
	} {
		var b bytes.Buffer
		if code := Report(&b, c.err); code != c.code || b.String() != c.want {
			t.Errorf("%v: code %d, %q, want %d, %q", c.err, code, b.String(), c.code, c.want)
		}
	}
}

func TestRedact(t *testing.T) {
	for in, want := range map[string]string{
		"nothing secret": "nothing secret",
		"https://h/a?Expires=1&Signature=abc~-_&x=1":     "https://h/a?Expires=1&Signature=…&x=1",
		"https://h/a?Policy=eyJ&Signature=x":             "https://h/a?Policy=…&Signature=…",
		"CloudFront-Policy=eyJ; CloudFront-Signature=x;": "CloudFront-Policy=…; CloudFront-Signature=…;",
		"X-Amz-Credential=AKIA%2F&X-Amz-Signature=00ff":  "X-Amz-Credential=…&X-Amz-Signature=…",
		"Signature%3Dabc": "Signature%3D…",
		"key -----BEGIN RSA PRIVATE KEY-----\nMII\n-----": "key (private key)",
		"-----BEGIN PUBLIC KEY-----":                      "-----BEGIN PUBLIC KEY-----",
	} {
		if got := Redact(in); got != want {
			t.Errorf("Redact(%q) = %q, want %q", in, got, want)
		}
	}
}

// FuzzRedact: whatever stands around it, the value of a signature does not come through.
func FuzzRedact(f *testing.F) {
	f.Add("https://h/a?", "&x=1")
	f.Add("", "")
	f.Add("Policy=a&", "\nSignature=")
	f.Add("Signature", "%3D")
	f.Fuzz(func(t *testing.T, before, after string) {
		const secret = "Zq7secretZq7"
		if strings.Contains(before, secret) || strings.Contains(after, secret) {
			return
		}
		for _, name := range []string{"?Signature=", "&Policy=", " CloudFront-Signature=", "&X-Amz-Signature="} {
			if got := Redact(before + name + secret + after); strings.Contains(got, secret) {
				t.Errorf("%q", got)
			}
		}
	})
}

func command(run func(*cobra.Command) error, args ...string) (*cobra.Command, map[string]string, func(map[string]string) error) {
	cmd := &cobra.Command{Use: "test", SilenceErrors: true, SilenceUsage: true}
	values := map[string]*string{}
	for _, name := range []string{"expires-in", "expires-at", "key", "url"} {
		values[name] = cmd.Flags().String(name, "", "")
	}
	var output string
	OutputFlag(cmd, &output)
	OneOf(cmd, "expires-in", "expires-at")
	EnvName(cmd, "key", "POSTERN_PRIVATE_KEY_FILE")
	NoEnv(cmd, "url")
	got := map[string]string{}
	execute := func(vars map[string]string) error {
		cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
			return ApplyEnv(cmd, func(name string) string { return vars[name] })
		}
		cmd.RunE = func(cmd *cobra.Command, _ []string) error {
			for name, v := range values {
				got[name] = *v
			}
			got["output"] = output
			if run != nil {
				return run(cmd)
			}
			return nil
		}
		cmd.SetArgs(args)
		return cmd.Execute()
	}
	return cmd, got, execute
}

func TestFlagsAndVariables(t *testing.T) {
	t.Run("a variable sets what the line does not", func(t *testing.T) {
		_, got, execute := command(func(cmd *cobra.Command) error {
			if Given(cmd, "expires-in") || !Given(cmd, "key") {
				t.Error("Given does not tell the line from the environment")
			}
			return nil
		}, "--key", "line")
		err := execute(map[string]string{
			"POSTERN_EXPIRES_IN": "7d", "POSTERN_PRIVATE_KEY_FILE": "variable", "POSTERN_KEY": "wrong name",
			"POSTERN_URL": "not for a flag", "POSTERN_OUTPUT": "json",
		})
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]string{"expires-in": "7d", "key": "line", "url": "", "output": "json"} {
			if got[name] != want {
				t.Errorf("--%s is %q, want %q", name, got[name], want)
			}
		}
	})
	t.Run("the line silences the other variable of a group", func(t *testing.T) {
		_, got, execute := command(nil, "--expires-at", "1")
		if err := execute(map[string]string{"POSTERN_EXPIRES_IN": "7d"}); err != nil || got["expires-in"] != "" {
			t.Errorf("%v, %q", err, got["expires-in"])
		}
	})
	t.Run("a group on the line, or in the environment, is refused", func(t *testing.T) {
		_, _, execute := command(nil, "--expires-at", "1", "--expires-in", "7d")
		if err := execute(nil); err == nil || !strings.Contains(err.Error(), "exclude each other") {
			t.Error(err)
		}
		_, _, execute = command(nil)
		if err := execute(map[string]string{"POSTERN_EXPIRES_IN": "7d", "POSTERN_EXPIRES_AT": "1"}); err == nil {
			t.Error("accepted")
		}
	})
	t.Run("a value that is not in the list names the variable", func(t *testing.T) {
		_, _, execute := command(nil)
		err := execute(map[string]string{"POSTERN_OUTPUT": "yaml"})
		if err == nil || !strings.Contains(err.Error(), "POSTERN_OUTPUT") || !strings.Contains(err.Error(), "text, json") {
			t.Error(err)
		}
	})
	t.Run("help shows each variable from its declaration", func(t *testing.T) {
		cmd, _, _ := command(nil)
		ShowEnv(cmd)
		usage := cmd.Flags().FlagUsages()
		for _, want := range []string{"[POSTERN_EXPIRES_IN]", "[POSTERN_PRIVATE_KEY_FILE]", "[POSTERN_OUTPUT]"} {
			if !strings.Contains(usage, want) {
				t.Errorf("help does not show %s:\n%s", want, usage)
			}
		}
		if strings.Contains(usage, "[POSTERN_URL]") || strings.Contains(usage, "[POSTERN_KEY]") {
			t.Errorf("help shows a variable that is not read:\n%s", usage)
		}
	})
}

func TestPath(t *testing.T) {
	e := Env{Dir: "/here", Getenv: func(name string) string { return map[string]string{"HOME": "/home/u"}[name] }}
	for in, want := range map[string]string{
		"a.pem": "/here/a.pem", "../a": "/a", "/etc/./a": "/etc/a", "~/a": "/home/u/a", "~a": "/here/~a", ".": "/here",
	} {
		if got := e.Path(in); got != want {
			t.Errorf("Path(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestReadFile(t *testing.T) {
	e := Env{Stdin: strings.NewReader(strings.Repeat("x", maxInput+1))}
	if _, err := e.ReadFile("-"); !errors.Is(err, errTooLong) {
		t.Errorf("read more than the bound: %v", err)
	}
	e.Stdin = strings.NewReader(strings.Repeat("x", maxInput))
	if b, err := e.ReadFile("-"); err != nil || len(b) != maxInput {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}
