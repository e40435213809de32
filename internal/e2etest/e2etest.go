// Package e2etest starts the program that a user would start, and talks to it from outside: built once
// a test run, on free ports that it reads from the ready file, with a home and an AWS configuration of
// its own, killed and started again, and, for a program built for that, under a clock that the test
// sets. It is for tests only; nothing that is shipped imports it.
package e2etest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait for the program: on a loaded machine a start takes seconds.
const patience = 60 * time.Second

// builds are the programs of this test process, by build tag. They live in one folder, which Main removes.
var builds struct {
	sync.Mutex
	dir  string
	done map[string]string
}

// Main is for TestMain: os.Exit(e2etest.Main(m)). It removes what Program built.
func Main(m *testing.M) int {
	code := m.Run()
	builds.Lock()
	defer builds.Unlock()
	if builds.dir != "" {
		os.RemoveAll(builds.dir)
	}
	return code
}

// Program is the path of the program, built as it is shipped: static, stripped.
func Program(tb testing.TB) string { return program(tb, "") }

// ClockProgram is the path of the program built with a clock that [Postern.SetClock] moves.
func ClockProgram(tb testing.TB) string { return program(tb, "clockoffset") }

func program(tb testing.TB, tags string) string {
	tb.Helper()
	builds.Lock()
	defer builds.Unlock()
	if path := builds.done[tags]; path != "" {
		return path
	}
	if builds.dir == "" {
		dir, err := os.MkdirTemp("", "postern-e2etest-")
		if err != nil {
			tb.Fatal(err)
		}
		builds.dir, builds.done = dir, map[string]string{}
	}
	noteSources(tb)
	path := filepath.Join(builds.dir, "postern"+tags)
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-tags", tags, "-o", path, "postern/cmd/postern")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("building the program: %v\n%s", err, out)
	}
	builds.done[tags] = path
	return path
}

// noteSources looks at every source of the module. The program is built by another process, so without
// this go test would not know that its outcome depends on them, and would repeat a remembered one.
func noteSources(tb testing.TB) {
	tb.Helper()
	root := "."
	for {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			break
		}
		if root = filepath.Join("..", root); len(root) > 100 {
			tb.Fatal("there is no go.mod above this test")
		}
	}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && name != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules" || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if ext := filepath.Ext(name); ext == ".go" && !strings.HasSuffix(name, "_test.go") || ext == ".mod" || ext == ".sum" {
			_, err = os.Stat(name)
		}
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
}

// Config says how to start a Postern. The zero Config is a fresh folder, all roles, free ports.
type Config struct {
	// Program is the path of the program; empty is [Program]'s.
	Program string
	// Data is the data folder; empty is a new one.
	Data string
	// Args are further arguments of `up`.
	Args []string
}

// Ready is the ready file.
type Ready struct {
	PID       int
	Role      string
	Data      string
	Listeners struct{ Public, PublicTLS, Control string }
	URLs      struct{ Public, PublicTLS, Control string }
}

// Postern is a running program. Its methods fail the test instead of returning errors. They are for one
// goroutine.
type Postern struct {
	Ready
	// Stdout and Stderr are what it has written since its last start.
	Stdout, Stderr *Output
	// Client makes requests without proxies, redirects or a cookie jar.
	Client *http.Client

	tb      testing.TB
	config  Config
	home    string
	cmd     *exec.Cmd
	exited  chan error
	running bool
}

// Start starts a Postern and returns when it is ready. It is killed at the end of the test.
func Start(tb testing.TB, c Config) *Postern {
	tb.Helper()
	p := New(tb, c)
	p.Launch()
	p.WaitReady()
	return p
}

// New prepares a Postern without starting it.
func New(tb testing.TB, c Config) *Postern {
	tb.Helper()
	if c.Program == "" {
		c.Program = Program(tb)
	}
	if c.Data == "" {
		c.Data = filepath.Join(tb.TempDir(), "postern-data")
	}
	p := &Postern{tb: tb, config: c, home: tb.TempDir()}
	p.Client = &http.Client{
		Timeout:       patience,
		Transport:     &http.Transport{DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	tb.Cleanup(func() {
		p.Client.CloseIdleConnections()
		if p.running {
			p.Kill()
		}
		if tb.Failed() && p.Stderr != nil {
			tb.Logf("standard error of %s:\n%s", p.config.Data, p.Stderr)
		}
	})
	return p
}

// Folder is the data folder.
func (p *Postern) Folder() string { return p.config.Data }

func (p *Postern) readyFile() string { return filepath.Join(p.home, "ready.json") }
func (p *Postern) clockFile() string { return filepath.Join(p.home, "clock") }

// Launch starts the program, on the ports it had before if it ran before, and does not wait for it.
func (p *Postern) Launch() {
	p.tb.Helper()
	address := func(before string) string {
		if before == "" {
			return "127.0.0.1:0"
		}
		return before
	}
	args := slices.Concat([]string{
		"up", "--data", p.config.Data, "--ready-file", p.readyFile(),
		"--listen-public", address(p.Listeners.Public), "--listen-public-tls", address(p.Listeners.PublicTLS),
		"--listen-control", address(p.Listeners.Control),
	}, p.config.Args)
	if err := os.Remove(p.readyFile()); err != nil && !errors.Is(err, os.ErrNotExist) {
		p.tb.Fatal(err)
	}
	p.Stdout, p.Stderr = new(Output), new(Output)
	p.cmd = exec.Command(p.config.Program, args...)
	p.cmd.Env = p.isolated()
	p.cmd.Dir = p.home
	p.cmd.Stdout, p.cmd.Stderr = p.Stdout, p.Stderr
	if err := p.cmd.Start(); err != nil {
		p.tb.Fatalf("starting the program: %v", err)
	}
	p.running = true
	exited := make(chan error, 1)
	p.exited = exited
	go func(cmd *exec.Cmd) { exited <- cmd.Wait() }(p.cmd)
}

// WaitReady returns when the ready file is there.
func (p *Postern) WaitReady() {
	p.tb.Helper()
	p.waitFor("the ready file", func() bool {
		text, err := os.ReadFile(p.readyFile())
		if err != nil {
			return false
		}
		p.Ready = Ready{}
		if err := json.Unmarshal(text, &p.Ready); err != nil {
			p.tb.Fatalf("reading the ready file: %v", err)
		}
		return true
	})
}

// Until returns true when the condition holds, and false if the program has ended first.
func (p *Postern) Until(condition func() bool) bool {
	p.tb.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(200 * time.Microsecond)
	defer tick.Stop()
	for {
		if condition() {
			return true
		}
		select {
		case err := <-p.exited:
			p.exited <- err
			return condition()
		case <-deadline.C:
			p.tb.Fatalf("waited %s in vain", patience)
		case <-tick.C:
		}
	}
}

func (p *Postern) waitFor(what string, condition func() bool) {
	p.tb.Helper()
	if !p.Until(condition) {
		err := <-p.exited
		p.running = false
		p.tb.Fatalf("the program ended before %s: %v\n%s", what, err, p.Stderr)
	}
}

// Kill ends the program as kill -9 does.
func (p *Postern) Kill() {
	p.tb.Helper()
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.tb.Fatalf("killing the program: %v", err)
	}
	<-p.exited
	p.running = false
}

// Stop ends the program as a service manager does, and expects it to leave with code 0.
func (p *Postern) Stop() {
	p.tb.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.tb.Fatalf("stopping the program: %v", err)
	}
	select {
	case err := <-p.exited:
		p.running = false
		if err != nil {
			p.tb.Fatalf("the program stopped with %v\n%s", err, p.Stderr)
		}
	case <-time.After(patience):
		p.tb.Fatalf("the program did not stop in %s", patience)
	}
}

// Restart starts the program again on the same folder and ports, and waits until it is ready.
func (p *Postern) Restart() {
	p.tb.Helper()
	p.Launch()
	p.WaitReady()
}

// SetClock moves the clock of a [ClockProgram] by an offset from the time of day, at once.
func (p *Postern) SetClock(offset time.Duration) {
	p.tb.Helper()
	next := p.clockFile() + ".next"
	if err := os.WriteFile(next, []byte(offset.String()), 0o600); err != nil {
		p.tb.Fatal(err)
	}
	if err := os.Rename(next, p.clockFile()); err != nil {
		p.tb.Fatal(err)
	}
}

// isolated is an environment in which no program finds anything of the user's.
func (p *Postern) isolated() []string {
	return []string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + p.home,
		"TMPDIR=" + os.TempDir(),
		"LC_ALL=C.UTF-8",
		"AWS_CONFIG_FILE=" + filepath.Join(p.home, "no-aws-config"),
		"AWS_SHARED_CREDENTIALS_FILE=" + filepath.Join(p.home, "no-aws-credentials"),
		"AWS_EC2_METADATA_DISABLED=true",
		"AWS_PAGER=",
		"NO_PROXY=127.0.0.1,localhost",
		"POSTERN_TEST_CLOCK_FILE=" + p.clockFile(),
	}
}

// Env is the environment after eval "$(postern env)", for programs that talk to this Postern. extra
// lines, NAME=value, come last and win.
func (p *Postern) Env(extra ...string) []string {
	p.tb.Helper()
	cmd := exec.Command("sh", "-c", `lines=$("$0" env --data "$1") && eval "$lines" && env -0`, p.config.Program, p.config.Data)
	cmd.Env = p.isolated()
	out, err := cmd.Output()
	if err != nil {
		p.tb.Fatalf("postern env: %v", err)
	}
	return append(strings.Split(strings.TrimRight(string(out), "\x00"), "\x00"), extra...)
}

// Getenv is one variable of Env, "" if it is not there.
func (p *Postern) Getenv(name string) string {
	p.tb.Helper()
	for _, line := range slices.Backward(p.Env()) {
		if value, ok := strings.CutPrefix(line, name+"="); ok {
			return value
		}
	}
	return ""
}

// Output is what a program writes, readable while it runs.
type Output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

// String is everything until now.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// Result is what a program left behind.
type Result struct {
	Code           int
	Stdout, Stderr string
}

// Command runs postern with these arguments in the environment of Env.
func (p *Postern) Command(args ...string) Result {
	p.tb.Helper()
	return p.Exec(p.config.Program, args...)
}

// Exec runs any program in the environment of Env, in the home folder.
func (p *Postern) Exec(name string, args ...string) Result {
	p.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env, cmd.Dir = p.Env(), p.home
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		p.tb.Fatalf("running %s: %v", name, err)
	}
	return Result{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// Must is Command for what has to succeed; it returns standard output without the last newline.
func (p *Postern) Must(args ...string) string {
	p.tb.Helper()
	r := p.Command(args...)
	if r.Code != 0 {
		p.tb.Fatalf("postern %s: exit code %d\n%s%s", args[0], r.Code, r.Stdout, r.Stderr)
	}
	return strings.TrimSuffix(r.Stdout, "\n")
}

// Answer is a response with its body.
type Answer struct {
	*http.Response
	Body []byte
}

// Get asks for a URL. Headers are pairs.
func (p *Postern) Get(url string, headers ...string) Answer {
	p.tb.Helper()
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		p.tb.Fatal("the URL does not parse")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	resp, err := p.Client.Do(req)
	if err != nil {
		p.tb.Fatalf("asking: %v", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		p.tb.Fatalf("reading the answer: %v", err)
	}
	return Answer{resp, body}
}

// Links are the signed link that `up` printed and the one without its signature.
func (p *Postern) Links() (signedURL, plainURL string) {
	p.tb.Helper()
	p.waitFor("the links were printed", func() bool {
		signedURL, plainURL = "", ""
		// Standard output is complete when the last line is there.
		for line := range strings.Lines(p.Stdout.String()) {
			line = strings.TrimSpace(line)
			switch {
			case strings.HasPrefix(line, "http://") && strings.Contains(line, "Signature="):
				signedURL = line
			case strings.HasPrefix(line, "http://"):
				plainURL = line
			}
		}
		return signedURL != "" && plainURL != ""
	})
	return signedURL, plainURL
}

// Listening are the addresses on which the running process listens (Linux: from /proc).
func (p *Postern) Listening() []net.TCPAddr {
	p.tb.Helper()
	addresses, err := listening(p.cmd.Process.Pid)
	if err != nil {
		p.tb.Fatalf("reading what the process listens on: %v", err)
	}
	return addresses
}

// listening joins the sockets a process has open with the kernel's table of those that listen.
func listening(pid int) ([]net.TCPAddr, error) {
	inodes := map[string]bool{}
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return nil, err
	}
	for _, fd := range fds {
		if link, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", pid, fd.Name())); err == nil {
			if inode, ok := strings.CutPrefix(link, "socket:["); ok {
				inodes[strings.TrimSuffix(inode, "]")] = true
			}
		}
	}
	var found []net.TCPAddr
	for _, table := range []string{"tcp", "tcp6"} {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, table))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(string(text)) {
			f := strings.Fields(line)
			const listen = "0A" // TCP_LISTEN
			if len(f) < 10 || f[3] != listen || !inodes[f[9]] {
				continue
			}
			a, err := parseProcAddress(f[1])
			if err != nil {
				return nil, err
			}
			found = append(found, a)
		}
	}
	return found, nil
}

// parseProcAddress reads 0100007F:1F90: each 32-bit word in the machine's byte order, here little-endian.
func parseProcAddress(text string) (net.TCPAddr, error) {
	host, port, ok := strings.Cut(text, ":")
	var raw []byte
	var number int
	if _, err := fmt.Sscanf(host, "%x", &raw); err != nil || !ok || len(raw)%4 != 0 {
		return net.TCPAddr{}, fmt.Errorf("address %q", text)
	}
	if _, err := fmt.Sscanf(port, "%X", &number); err != nil {
		return net.TCPAddr{}, fmt.Errorf("address %q", text)
	}
	for i := 0; i < len(raw); i += 4 {
		slices.Reverse(raw[i : i+4])
	}
	return net.TCPAddr{IP: net.IP(raw), Port: number}, nil
}
