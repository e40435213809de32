// Package cli is what every command of postern shares: the world it runs in ([Env]), errors that say
// what to do about them and their exit codes, and flags that environment variables set alike.
package cli

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Env is everything a command takes from the world.
type Env struct {
	// Program is how the user called this program, for lines that are printed to be typed: postern, or
	// ./postern. Empty is postern.
	Program string
	// Args are the arguments, without the program's name.
	Args []string
	// Stdin, Stdout and Stderr are the three streams. Results go to Stdout, everything else to Stderr.
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Getenv reads an environment variable; "" if it is not set.
	Getenv func(string) string
	// Now is the clock.
	Now func() time.Time
	// Dir is the absolute folder that relative file names are relative to.
	Dir string
}

// Name is Program, or its default.
func (e Env) Name() string {
	if e.Program == "" {
		return "postern"
	}
	return e.Program
}

// Path makes a file name given by the user absolute. A leading ~/ is the home folder, because a
// shell does not expand it inside --flag=~/file or file://~/file.
func (e Env) Path(name string) string {
	if rest, ok := strings.CutPrefix(name, "~/"); ok {
		if home := e.Getenv("HOME"); home != "" {
			name = filepath.Join(home, rest)
		}
	}
	if filepath.IsAbs(name) {
		return filepath.Clean(name)
	}
	return filepath.Join(e.Dir, name)
}

// maxInput bounds what is read from a key file or from standard input.
const maxInput = 64 << 10

// ReadFile reads a small file, or standard input if the name is "-".
func (e Env) ReadFile(name string) ([]byte, error) {
	r := e.Stdin
	if name != "-" {
		f, err := os.Open(e.Path(name))
		if err != nil {
			return nil, err
		}
		defer f.Close()
		r = f
	}
	b, err := io.ReadAll(io.LimitReader(r, maxInput+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxInput {
		return nil, errTooLong
	}
	return b, nil
}
