package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"postern/internal/cli"
	"postern/signed"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"postern": main})
}

// TestScripts runs the real main as a user's shell does. Every script finds rsa.pem and ec.pem, their
// public halves, and weak.pem, an RSA key of 3072 bits that CloudFront does not take.
func TestScripts(t *testing.T) {
	keys := map[string]crypto.Signer{}
	for name, bits := range map[string]int{"rsa": 2048, "other": 2048, "weak": 3072} {
		key, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			t.Fatal(err)
		}
		keys[name] = key
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keys["ec"] = ec
	files, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no scripts: %v", err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("AWS_EC2_METADATA_DISABLED", "true")
			for name, key := range keys {
				private, err := signed.EncodePrivateKey(key)
				if err == nil {
					err = os.WriteFile(e.Getenv("WORK")+"/"+name+".pem", private, 0o600)
				}
				if err != nil {
					return err
				}
				public, err := signed.EncodePublicKey(key.Public())
				if err == nil {
					err = os.WriteFile(e.Getenv("WORK")+"/"+name+".pub.pem", public, 0o644)
				}
				if err != nil {
					return err
				}
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			// exits CODE postern ARG…: the program, run within this process over an Env of the script's, ends
			// with exactly that code.
			"exits": func(ts *testscript.TestScript, neg bool, args []string) {
				want := code(ts, neg, args)
				if args[1] != "postern" {
					ts.Fatalf("exits runs postern; real runs anything")
				}
				dir := ts.MkAbs(".")
				got := Run(context.Background(), cli.Env{
					Args: args[2:], Stdin: strings.NewReader(""), Stdout: ts.Stdout(), Stderr: ts.Stderr(),
					Getenv: ts.Getenv, Now: time.Now, Dir: dir,
				})
				if got != want {
					ts.Fatalf("exit code %d, want %d", got, want)
				}
			},
			// real CODE COMMAND ARG…: the same for a process of its own, with the script's standard input.
			"real": func(ts *testscript.TestScript, neg bool, args []string) {
				want, got := code(ts, neg, args), 0
				err := ts.Exec(args[1], args[2:]...)
				var exit *exec.ExitError
				if errors.As(err, &exit) {
					got = exit.ExitCode()
				} else {
					ts.Check(err)
				}
				if got != want {
					ts.Fatalf("exit code %d, want %d", got, want)
				}
			},
			// keep NAME: what the last command printed becomes the variable NAME, without its newline.
			"keep": func(ts *testscript.TestScript, neg bool, args []string) {
				if neg || len(args) != 1 {
					ts.Fatalf("usage: keep NAME")
				}
				text := ts.ReadFile("stdout")
				for len(text) > 0 && text[len(text)-1] == '\n' {
					text = text[:len(text)-1]
				}
				ts.Setenv(args[0], text)
			},
		},
	})
}

func code(ts *testscript.TestScript, neg bool, args []string) int {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE postern ARG…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	return want
}
