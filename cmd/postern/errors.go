package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// The exit codes. exitHelp prints them; scripts depend on them, so a number never changes its meaning.
const (
	exitOK      = 0
	exitRefused = 1
	exitUsage   = 2
	exitFailed  = 3
	exitInUse   = 4
)

// exitHelp is the text of `postern help exit-codes` and the end of `postern help`.
const exitHelp = `Exit codes:
  0  done
  1  the answer is no: verify or explain found that the request would be refused
  2  usage: a flag, an argument or a value that cannot be right; nothing was done
  3  failed: a file, the network or a server did not let it happen
  4  in use: another postern runs on this data folder (up)
`

var errTooLong = fmt.Errorf("longer than %d bytes", maxInput)

// failure is an error with what the user can do about it.
type failure struct {
	code  int
	err   error
	hints []string
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// errRefused ends verify and explain, which have said everything already.
var errRefused = &failure{code: exitRefused, err: errors.New("refused")}

// usage is an error of the user's input. Hints are full sentences.
func usage(err error, hints ...string) error {
	return &failure{code: exitUsage, err: err, hints: hints}
}

// failed is an error of the world.
func failed(err error, hints ...string) error {
	return &failure{code: exitFailed, err: err, hints: hints}
}

// report prints an error, and returns the exit code. The form is fixed: one line `postern: error:`,
// then a line `postern: hint:` for each way out. No capital at the start, no full stop at the end.
func report(w io.Writer, err error) int {
	if err == nil {
		return exitOK
	}
	if errors.Is(err, errRefused) {
		return exitRefused
	}
	code, hints := exitFailed, []string(nil)
	var f *failure
	if errors.As(err, &f) {
		code, hints = f.code, f.hints
	}
	if errors.Is(err, context.Canceled) {
		err = errors.New("interrupted")
	}
	fmt.Fprintf(w, "postern: error: %s\n", redact(oneLine(err.Error())))
	for _, h := range hints {
		fmt.Fprintf(w, "postern: hint: %s\n", redact(oneLine(h)))
	}
	return code
}

// warn tells about a trap in an input that was accepted all the same.
func (e Env) warn(format string, a ...any) {
	fmt.Fprintf(e.Stderr, "postern: warning: %s\n", redact(oneLine(fmt.Sprintf(format, a...))))
}

func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\r' {
			return ' '
		}
		return r
	}, strings.TrimRight(s, "\n"))
}

// secretParts are the pieces of a user's own input that an error could echo and that open something:
// the signature and the policy of a signed URL or cookie, a presigned request's, and private keys.
var secretParts = regexp.MustCompile(`((?:X-Amz-|CloudFront-|\b)(?:Signature|Policy|Security-Token|Credential)(?:=|%3[Dd]))[^&;\s"']+|-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----[\s\S]*`)

// redact is the last gate before anything is written to standard error: whatever an error quotes, no
// signature and no private key goes with it.
func redact(s string) string {
	return secretParts.ReplaceAllStringFunc(s, func(m string) string {
		if strings.HasPrefix(m, "-----") {
			return "(private key)"
		}
		i := strings.IndexByte(m, '=')
		if i < 0 {
			i = strings.Index(m, "%3") + 2
		}
		return m[:i+1] + "…"
	})
}
