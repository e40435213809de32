package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"postern/internal/cli"
)

// result is what one run of the program left behind.
type result struct {
	code           int
	stdout, stderr string
}

// noon is the clock of tests that give no other.
var noon = time.Date(2030, 6, 15, 12, 0, 0, 0, time.UTC)

func testEnv(t *testing.T, dir string, vars map[string]string, args ...string) cli.Env {
	t.Helper()
	return cli.Env{
		Args: args, Stdin: strings.NewReader(""), Dir: dir,
		Getenv: func(name string) string { return vars[name] },
		Now:    func() time.Time { return noon },
	}
}

func run(t *testing.T, env cli.Env) result {
	t.Helper()
	var out, errs bytes.Buffer
	env.Stdout, env.Stderr = &out, &errs
	code := Run(context.Background(), env)
	return result{code, out.String(), errs.String()}
}
