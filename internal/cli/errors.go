package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// The exit codes. ExitHelp prints them; scripts depend on them, so a number never changes its meaning.
const (
	ExitOK      = 0
	ExitRefused = 1
	ExitUsage   = 2
	ExitFailed  = 3
	ExitInUse   = 4
)

// ExitHelp is the text of `postern help exit-codes` and the end of `postern help`.
const ExitHelp = `Exit codes:
  0  done
  1  the answer is no: verify or explain found that the request would be refused
  2  usage: a flag, an argument or a value that cannot be right; nothing was done
  3  failed: a file, the network or a server did not let it happen
  4  in use: another postern runs on this data folder (up)
`

// EnvironmentHint is the way out of most "which key, which endpoint" errors.
const EnvironmentHint = `With a Postern running in this folder: eval "$(postern env)" sets everything.`

var errTooLong = fmt.Errorf("longer than %d bytes", maxInput)

// Failure is an error with what the user can do about it.
type Failure struct {
	Code int
	Err  error
	// Hints are full sentences.
	Hints []string
}

// Error is the error without its hints.
func (f *Failure) Error() string { return f.Err.Error() }

// Unwrap returns the error.
func (f *Failure) Unwrap() error { return f.Err }

// ErrRefused ends verify and explain, which have said everything already.
var ErrRefused = &Failure{Code: ExitRefused, Err: errors.New("refused")}

// Usage is an error of the user's input. Hints are full sentences.
func Usage(err error, hints ...string) error {
	return &Failure{Code: ExitUsage, Err: err, Hints: hints}
}

// Failed is an error of the world.
func Failed(err error, hints ...string) error {
	return &Failure{Code: ExitFailed, Err: err, Hints: hints}
}

// Report prints an error, and returns the exit code. The form is fixed: one line `postern: error:`,
// then a line `postern: hint:` for each way out. No capital at the start, no full stop at the end.
func Report(w io.Writer, err error) int {
	if err == nil {
		return ExitOK
	}
	if errors.Is(err, ErrRefused) {
		return ExitRefused
	}
	code, hints := ExitFailed, []string(nil)
	var f *Failure
	if errors.As(err, &f) {
		code, hints = f.Code, f.Hints
	}
	if errors.Is(err, context.Canceled) {
		err = errors.New("interrupted")
	}
	fmt.Fprintf(w, "postern: error: %s\n", Redact(oneLine(err.Error())))
	for _, h := range hints {
		fmt.Fprintf(w, "postern: hint: %s\n", Redact(oneLine(h)))
	}
	return code
}

// Warn tells about a trap in an input that was accepted all the same.
func (e Env) Warn(format string, a ...any) {
	fmt.Fprintf(e.Stderr, "postern: warning: %s\n", Redact(oneLine(fmt.Sprintf(format, a...))))
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

// Redact is the last gate before anything is written to standard error: whatever an error quotes, no
// signature and no private key goes with it.
func Redact(s string) string {
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
