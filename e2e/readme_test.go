//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestREADME types README's own lines into a shell beside a postern that `up` has just started, and reads
// what a new user would read. The lines come out of README.md, so README cannot promise what does not work.
func TestREADME(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllSubmatch(readme, -1)
	if len(blocks) != 1 {
		t.Fatalf("README.md has %d sh blocks, want the one walk", len(blocks))
	}
	walk := string(blocks[0][1])

	dir := t.TempDir()
	binary, err := filepath.Abs("../postern")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(binary); err != nil {
		t.Fatalf("the program is not built: run the tests with `make e2e` (%v)", err)
	}
	if err := os.Symlink(binary, filepath.Join(dir, "postern")); err != nil {
		t.Fatal(err)
	}
	home := filepath.Join(dir, "home")
	if err := os.Mkdir(home, 0o700); err != nil {
		t.Fatal(err)
	}
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "LANG=C.UTF-8", "AWS_EC2_METADATA_DISABLED=true",
		"POSTERN_LISTEN_PUBLIC=127.0.0.1:0", "POSTERN_LISTEN_PUBLIC_TLS=127.0.0.1:0", "POSTERN_LISTEN_CONTROL=127.0.0.1:0",
		"POSTERN_READY_FILE=" + filepath.Join(dir, "ready.json")}
	if root := os.Getenv("PYENV_ROOT"); root != "" {
		env = append(env, "PYENV_ROOT="+root)
	}

	up := exec.Command("./postern", "up")
	up.Dir, up.Env = dir, env
	var upOut, upErr bytes.Buffer
	up.Stdout, up.Stderr = &upOut, &upErr
	if err := up.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- up.Wait() }()
	stop := func() error {
		if err := up.Process.Signal(syscall.SIGTERM); err != nil {
			return err
		}
		return <-ended
	}
	defer func() {
		if up.ProcessState == nil {
			_ = up.Process.Kill()
			<-ended
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for ready := false; !ready; {
		select {
		case err := <-ended:
			t.Fatalf("up ended: %v\n%s", err, upErr.Bytes())
		case <-ctx.Done():
			t.Fatalf("up did not get ready:\n%s", upErr.Bytes())
		case <-tick.C:
			text, err := os.ReadFile(filepath.Join(dir, "ready.json"))
			ready = err == nil && json.Valid(text)
		}
	}

	shell := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", walk)
	shell.Dir, shell.Env = dir, env
	var out, stderr bytes.Buffer
	shell.Stdout, shell.Stderr = &out, &stderr
	if err := shell.Run(); err != nil {
		t.Fatalf("README's lines: %v\n%s\n%s", err, out.Bytes(), stderr.Bytes())
	}
	text := out.String()
	for _, want := range []struct {
		part string
		n    int
	}{
		{"HTTP/1.1 200 OK\r\n", 2},
		{"costs of November", 2},
		{"HTTP/1.1 206 Partial Content\r\n", 1},
		{"HTTP/1.1 403 Forbidden\r\n", 1},
		{"Content-Length: 146\r\n", 1},
		{`<?xml version="1.0" encoding="UTF-8"?><Error><Code>MissingKey</Code><Message>Missing Key-Pair-Id query parameter or cookie value</Message></Error>`, 1},
	} {
		if got := strings.Count(text, want.part); got != want.n {
			t.Errorf("%q stands %d times in the output, want %d", want.part, got, want.n)
		}
	}
	// The explanation names the two letters that differ.
	last := text[strings.LastIndex(text, "</Error>")+1:]
	if !strings.Contains(last, "'R'") && !strings.Contains(last, `"R"`) || !strings.Contains(last, "report.pdf") {
		t.Errorf("explain does not say which character differs:\n%s", last)
	}
	if t.Failed() {
		t.Logf("standard error of the lines:\n%s", stderr.Bytes())
	}

	// What up printed: a link that opens and the same one that does not.
	links := regexp.MustCompile(`http://\S+`).FindAllString(upOut.String(), -1)
	var signedLink string
	for _, l := range links {
		if strings.Contains(l, "Signature=") {
			signedLink = l
		}
	}
	if signedLink == "" {
		t.Fatalf("up printed no signed link:\n%s", upOut.String())
	}
	bare, _, _ := strings.Cut(signedLink, "?")
	for link, status := range map[string]string{signedLink: "200", bare: "403"} {
		got := run(t, nil, "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", link)
		if string(got) != status {
			t.Errorf("a link that up printed answers %s, want %s", got, status)
		}
	}
	if err := stop(); err != nil {
		t.Errorf("up did not end well on SIGTERM: %v\n%s", err, upErr.Bytes())
	}
	if strings.Contains(upErr.String(), "Signature=") {
		t.Error("up logged a signature")
	}
}
