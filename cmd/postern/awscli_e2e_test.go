//go:build e2e

package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/internal/cli"
	"postern/signed"
)

// result is what one run of the program left behind.
type result struct {
	code           int
	stdout, stderr string
}

func run(dir string, args ...string) result {
	var out, errs bytes.Buffer
	code := Run(context.Background(), cli.Env{
		Args: args, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs, Dir: dir,
		Getenv: func(string) string { return "" }, Now: time.Now,
	})
	return result{code, out.String(), errs.String()}
}

// TestSignLikeTheAWSCLI gives the same flags to the AWS CLI on this machine and to postern sign: the
// bytes on standard output are the same, and what the one refuses the other refuses.
func TestSignLikeTheAWSCLI(t *testing.T) {
	aws, err := exec.LookPath("aws")
	if err != nil {
		t.Fatalf("this test compares with the AWS CLI: %v", err)
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	pem, err := signed.EncodePrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "key.pem")
	if err := os.WriteFile(file, pem, 0o600); err != nil {
		t.Fatal(err)
	}
	const far = "2040-01-02T03:04:05Z"
	urls := []string{
		"http://127.0.0.1:8080/uploads/report.pdf",
		"https://cdn.example.com/a b.pdf",
		"https://cdn.example.com/보고서.pdf",
		"https://cdn.example.com/" + "보고서" + ".pdf?name=비용",
		"https://cdn.example.com/emoji-😀.pdf",
		"https://cdn.example.com/a?size=large&x=1",
		"https://cdn.example.com/a?",
		"https://cdn.example.com/*",
		"https://cdn.example.com/a?b*c?d",
		`https://cdn.example.com/"quoted"\back/<html>&amp`,
		"https://cdn.example.com/a%20b+c%2Bd'e",
		"https://cdn.example.com/a#b",
		"http*://cdn.example.com/*",
		"stream/name",
		"HTTPS://CDN.Example.com:443/x",
		"https://cdn.example.com/tab\there",
		"https://cdn.example.com/del\x7fhere",
	}
	var calls [][]string
	for _, u := range urls {
		calls = append(calls, []string{"--url", u, "--date-less-than", far})
	}
	for _, date := range []string{
		"2040-01-02", "2040-1-2", "2040/01/02", "2040-01-02T03:04:05", "2040-01-02 03:04:05", "2040-01-02T03:04",
		"2040-01-02T03:04:05+09:00", "2040-01-02T03:04:05-0800", "2040-01-02T03:04:05.987Z", "20400102T030405Z",
		"Mon, 02 Jan 2040 03:04:05 GMT", "2209086245", "2209086245.9", "22.5e8", "20400102", " 2209086245 ", "2_209_086_245", "0",
		"-5", "2209086245000", "253402300799", "253402300800", "+1d", "tomorrow", "2040-13-01", "2040-02-30", "2040-01-02T24:00:00", "nan", "",
	} {
		calls = append(calls, []string{"--url", urls[0], "--date-less-than", date})
	}
	for _, custom := range [][]string{
		{"--ip-address", "192.0.2.7"},
		{"--ip-address", "192.0.2.0/24"},
		{"--ip-address", "2001:db8::1"},
		{"--ip-address", `not "an" address`},
		{"--ip-address", ""},
		{"--date-greater-than", "2030-01-01"},
		{"--date-greater-than", "2050-01-01"},
		{"--date-greater-than", "0"},
		{"--date-greater-than", ""},
		{"--date-greater-than", "1893456000", "--ip-address", "10.0.0.0/8"},
	} {
		calls = append(calls, append([]string{"--url", urls[3], "--date-less-than", far}, custom...))
	}
	isolated := []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "LC_ALL=C.UTF-8", "AWS_EC2_METADATA_DISABLED=true",
		"AWS_CONFIG_FILE=" + filepath.Join(dir, "none"), "AWS_SHARED_CREDENTIALS_FILE=" + filepath.Join(dir, "none"),
	}
	if pyenv := os.Getenv("PYENV_ROOT"); pyenv != "" {
		isolated = append(isolated, "PYENV_ROOT="+pyenv)
	} else if home, err := os.UserHomeDir(); err == nil {
		isolated = append(isolated, "PYENV_ROOT="+filepath.Join(home, ".pyenv"))
	}
	for _, flags := range calls {
		t.Run(strings.Join(flags[1:], " "), func(t *testing.T) {
			t.Parallel()
			args := slices.Concat([]string{"--key-pair-id", "K2JCJMDEHXQW5F", "--private-key", "file://" + file}, flags)
			cmd := exec.Command(aws, slices.Concat([]string{"cloudfront", "sign"}, args)...)
			cmd.Env = isolated
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			want, err := cmd.Output()
			got := run(dir, append([]string{"sign"}, args...)...)
			if err != nil {
				if got.code == 0 {
					t.Errorf("aws refuses (%s), postern signs", strings.TrimSpace(stderr.String()))
				}
				return
			}
			if got.code != 0 {
				t.Fatalf("aws signs, postern refuses: %s", got.stderr)
			}
			if got.stdout != string(want) {
				t.Errorf("the bytes differ:\naws     %q\npostern %q", want, got.stdout)
			}
		})
	}
}
