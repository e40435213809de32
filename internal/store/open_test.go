package store

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/version"
	"go.uber.org/zap"
)

// childMode makes the test program be a process that uses a store until it is killed.
const childMode = "STORE_TEST_CHILD"

func TestMain(m *testing.M) {
	if mode := os.Getenv(childMode); mode != "" {
		if err := child(mode, os.Args[1]); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// child opens the store in dir, and writes records for ever. Each line it prints is one write(2), made
// after what it says has happened.
func child(mode, dir string) error {
	fmt.Println("opening")
	s, err := Open(context.Background(), Config{Dir: dir})
	if err != nil {
		return err
	}
	fmt.Println("open")
	if mode == "hold" {
		select {}
	}
	failed := make(chan error)
	for w := range 4 {
		go func() {
			// One that only ever adds, some that overwrite and delete in transactions.
			for i := 0; ; i++ {
				key := fmt.Sprintf("/kill/%d/%d-%06d", w, os.Getpid(), i)
				txn := Txn{Put: []Put{{Key: key, Value: []byte(key)}, {Key: fmt.Sprintf("/last/%d", w), Value: []byte(key)}}}
				if i > 0 {
					txn.Delete = []string{"/none"}
				}
				if _, err := s.Transact(context.Background(), txn); err != nil {
					failed <- err
				}
				fmt.Println("ack", key)
			}
		}()
	}
	return <-failed
}

// process is a child whose lines are read.
type process struct {
	cmd   *exec.Cmd
	lines *bufio.Scanner
}

func startChild(t *testing.T, mode, dir string) *process {
	t.Helper()
	cmd := exec.Command(os.Args[0], dir)
	cmd.Env = append(os.Environ(), childMode+"="+mode)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: cmd, lines: bufio.NewScanner(out)}
	t.Cleanup(p.kill)
	return p
}

// until reads lines to the one that begins with a word, and returns the rest of it.
func (p *process) until(t *testing.T, word string) string {
	t.Helper()
	for p.lines.Scan() {
		first, rest, _ := strings.Cut(p.lines.Text(), " ")
		if first == word {
			return rest
		}
		if first == "error" {
			t.Fatal(rest)
		}
	}
	t.Fatalf("the child ended before it said %s", word)
	return ""
}

// kill kills the process as kill -9 does, and waits for its end.
func (p *process) kill() {
	if p.cmd.ProcessState == nil {
		p.cmd.Process.Kill()
		p.cmd.Wait()
	}
}

func TestKillLosesNothingAcknowledged(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	acked := map[string]bool{}
	for round := range 4 {
		p := startChild(t, "write", dir)
		p.until(t, "open")
		for range 1 + rand.IntN(200) {
			acked[p.until(t, "ack")] = true
		}
		p.cmd.Process.Kill()
		for p.lines.Scan() { // what it had said before it died
			if key, ok := strings.CutPrefix(p.lines.Text(), "ack "); ok {
				acked[key] = true
			}
		}
		p.kill()

		s, err := Open(t.Context(), Config{Dir: dir})
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		recs, _, _, err := s.List(t.Context(), "/kill", "", 0)
		if err != nil {
			t.Fatal(err)
		}
		there := map[string]int64{}
		for _, r := range recs {
			if string(r.Value) != r.Key {
				t.Errorf("%s holds %q", r.Key, r.Value)
			}
			there[r.Key] = r.Revision
		}
		for key := range acked {
			if there[key] == 0 {
				t.Errorf("round %d: %s was acknowledged and is lost", round, key)
			}
		}
		// The other half of each transaction is there too.
		last, _, _, err := s.List(t.Context(), "/last", "", 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range last {
			if there[string(r.Value)] != r.Revision {
				t.Errorf("%s says %s at revision %d, which is of revision %d", r.Key, r.Value, r.Revision, there[string(r.Value)])
			}
		}
		s.Close()
	}
	t.Logf("%d acknowledged", len(acked))
}

// A process that is killed at any point of its first open leaves a folder that opens.
func TestKillDuringFirstOpen(t *testing.T) {
	const rounds = 8
	parent := t.TempDir()
	unfinished := 0
	p := startChild(t, "hold", filepath.Join(parent, "undisturbed"))
	p.until(t, "opening")
	begin := time.Now()
	p.until(t, "open")
	whole := time.Since(begin)
	p.kill()
	for round := range rounds {
		dir := filepath.Join(parent, strconv.Itoa(round))
		p := startChild(t, "hold", dir)
		p.until(t, "opening")
		<-time.After(rand.N(whole * 5 / 4)) // where in the open it dies is luck
		p.kill()
		if _, err := os.Stat(filepath.Join(dir, newName)); err == nil {
			unfinished++
		}
		s, err := Open(t.Context(), Config{Dir: dir})
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		put(t, s, "/a", "1")
		s.Close()
		s = openIn(t, dir)
		if _, err := s.Get(t.Context(), "/a"); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		s.Close()
	}
	t.Logf("an open takes %v; %d of %d killed with the store half made", whole, unfinished, rounds)
}

// The states in which the loss of power can leave a first open.
func TestUnfinishedFirstOpenBeginsAnew(t *testing.T) {
	for name, leave := range map[string]func(dir string) error{
		"nothing but the mark": func(dir string) error { return nil },
		"an empty database": func(dir string) error {
			if err := os.MkdirAll(filepath.Join(dir, "etcd/member/snap"), 0o700); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(dir, "etcd/member/snap/db"), make([]byte, 5000), 0o600)
		},
		"a log of zeros": func(dir string) error {
			if err := os.MkdirAll(filepath.Join(dir, "etcd/member/wal"), 0o700); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(dir, "etcd/member/wal/0000000000000000-0000000000000000.wal"), make([]byte, 1<<20), 0o600)
		},
		"everything, and a format of another version": func(dir string) error {
			return errors.Join(os.MkdirAll(filepath.Join(dir, "etcd"), 0o700),
				os.WriteFile(filepath.Join(dir, formatName), []byte("postern record store\nformat 9\n"), 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := errors.Join(os.WriteFile(filepath.Join(dir, newName), nil, 0o600), leave(dir)); err != nil {
				t.Fatal(err)
			}
			s := openIn(t, dir)
			put(t, s, "/a", "1")
			s.Close()
			s = openIn(t, dir)
			if _, err := s.Get(t.Context(), "/a"); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(filepath.Join(dir, newName)); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the mark is still there: %v", err)
			}
		})
	}
}

func TestSecondOpenIsRefused(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	p := startChild(t, "hold", dir)
	p.until(t, "open")
	_, err := Open(t.Context(), Config{Dir: dir})
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), fmt.Sprintf("process %d:", p.cmd.Process.Pid)) {
		t.Fatalf("%v", err)
	}
	p.kill()
	s := openIn(t, dir)
	// The same within one process.
	if _, err := Open(t.Context(), Config{Dir: dir}); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
		t.Fatalf("%v", err)
	}
	put(t, s, "/a", "1") // and the first one is none the worse for it
	s.Close()
	openIn(t, dir)
}

func TestOpenRefusesWhatItCannotTrust(t *testing.T) {
	major, minor := etcdMinor(version.Version)
	if major != 3 || minor < 7 {
		t.Fatalf("etcd's version %q was read as %d.%d", version.Version, major, minor)
	}
	text := func(format, etcdMajor, etcdMinor int) string {
		return fmt.Sprintf("postern record store\nformat %d\netcd %d.%d\n", format, etcdMajor, etcdMinor)
	}
	seed := filepath.Join(t.TempDir(), "seed")
	s := openIn(t, seed)
	put(t, s, "/a", "1")
	s.Close()
	newer := func(err error) bool { return errors.Is(err, ErrNewerFormat) }
	says := func(word string) func(error) bool {
		return func(err error) bool { return strings.Contains(err.Error(), word) && !errors.Is(err, ErrNewerFormat) }
	}
	writeFormat := func(text string) func(string) error {
		return func(dir string) error { return os.WriteFile(filepath.Join(dir, formatName), []byte(text), 0o600) }
	}
	for _, c := range []struct {
		name   string
		spoil  func(dir string) error
		refuse func(error) bool // nil: it opens
	}{
		{"as it was", func(string) error { return nil }, nil},
		{"the previous etcd", writeFormat(text(1, major, minor-1)), nil},
		{"a newer format", writeFormat(text(2, major, minor)), newer},
		{"a newer format that says something else after it", writeFormat("postern record store\nformat 20\nwhatever"), newer},
		{"a newer etcd", writeFormat(text(1, major, minor+1)), newer},
		{"the next etcd but one", writeFormat(text(1, major+1, 0)), newer},
		{"an etcd too old", writeFormat(text(1, major, minor-2)), says("one after the other")},
		{"an empty format", writeFormat(""), says("damaged")},
		{"another file", writeFormat("hello\nformat 1\netcd 3.7\n"), says("damaged")},
		{"no format", func(dir string) error { return os.Remove(filepath.Join(dir, formatName)) }, says("FORMAT is missing")},
		{"no records", func(dir string) error { return os.RemoveAll(filepath.Join(dir, etcdName)) }, says("etcd is missing")},
		{"no database, with the whole log there", func(dir string) error { return os.Remove(filepath.Join(dir, "etcd/member/snap/db")) }, nil},
		{"a database of junk", func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "etcd/member/snap/db"), []byte(strings.Repeat("junk", 1<<14)), 0o600)
		}, says("restore")},
		{"a log of junk", func(dir string) error {
			logs, err := filepath.Glob(filepath.Join(dir, "etcd/member/wal/*.wal"))
			if err != nil || len(logs) == 0 {
				return fmt.Errorf("%v %w", logs, err)
			}
			f, err := os.OpenFile(logs[0], os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = f.WriteAt([]byte(strings.Repeat("junk", 64)), 100)
			return err
		}, says("restore")},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "store")
			if err := errors.Join(os.CopyFS(dir, os.DirFS(seed)), c.spoil(dir)); err != nil {
				t.Fatal(err)
			}
			s, err := Open(t.Context(), Config{Dir: dir})
			if c.refuse == nil {
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				if r, err := s.Get(t.Context(), "/a"); err != nil || string(r.Value) != "1" {
					t.Fatalf("%+v %v", r, err)
				}
				if now, err := os.ReadFile(filepath.Join(dir, formatName)); err != nil || string(now) != format() {
					t.Fatalf("%q %v", now, err)
				}
				return
			}
			if err == nil {
				s.Close()
				t.Fatal("it opened")
			}
			if !c.refuse(err) || !strings.Contains(err.Error(), dir) {
				t.Errorf("%v", err)
			}
			// It hangs no more than it opens when it is tried again.
			if s, err := Open(t.Context(), Config{Dir: dir}); err == nil {
				s.Close()
				t.Error("it opened the second time")
			}
		})
	}
}

func TestOpenConfig(t *testing.T) {
	if _, err := Open(t.Context(), Config{}); err == nil {
		t.Error("a store without a folder")
	}
	if _, err := Open(t.Context(), Config{Dir: t.TempDir(), QuotaBytes: -1}); err == nil {
		t.Error("a negative quota")
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), Config{Dir: file}); err == nil {
		t.Error("a file for a folder")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := t.TempDir()
	if _, err := Open(ctx, Config{Dir: dir}); !errors.Is(err, context.Canceled) {
		t.Errorf("an open that was cancelled: %v", err)
	}
	openIn(t, dir)
}

// A unix socket's path has 108 bytes at most; a store has no socket, and takes any folder.
func TestLongPath(t *testing.T) {
	dir := t.TempDir()
	for len(dir) < 200 {
		dir = filepath.Join(dir, "long-folder-name-"+strings.Repeat("x", 20))
	}
	s := openIn(t, dir)
	put(t, s, "/a", "1")
	s.Close()
	s = openIn(t, dir)
	if _, err := s.Get(t.Context(), "/a"); err != nil {
		t.Fatal(err)
	}
}

// The member has no sockets at all, and so nobody to talk to but this process.
func TestNothingListens(t *testing.T) {
	p := startChild(t, "hold", filepath.Join(t.TempDir(), "store"))
	p.until(t, "open")
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", p.cmd.Process.Pid))
	if err != nil || len(fds) == 0 {
		t.Fatal(len(fds), err)
	}
	for _, fd := range fds {
		target, err := os.Readlink(fd)
		if err == nil && strings.HasPrefix(target, "socket:") {
			t.Errorf("%s is a %s", fd, target)
		}
	}
}

func TestFilesArePrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "store")
	wide := t.TempDir()
	if err := os.Chmod(wide, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{dir, wide} {
		s := openIn(t, dir)
		put(t, s, "/a", "1")
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err == nil && info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s has mode %v", path, info.Mode())
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// lockedBuffer collects what a logger writes.
type lockedBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func TestNoNoise(t *testing.T) {
	dir := t.TempDir()
	var log lockedBuffer
	for range 2 {
		s, err := Open(t.Context(), Config{Dir: dir, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		put(t, s, "/a", "1")
		if err := s.Health(t.Context()); err != nil {
			t.Error(err)
		}
		s.Close()
	}
	for l := range strings.Lines(log.String()) {
		// What etcd says of a machine that is busy is not noise.
		if !strings.Contains(l, "took too long") && !strings.Contains(l, "slow fdatasync") {
			t.Errorf("logged: %s", l)
		}
	}
}

// Warnings of etcd's arrive at our logger, with what they say.
func TestWarningsArrive(t *testing.T) {
	var log lockedBuffer
	zl := zapLogger(slog.New(slog.NewJSONHandler(&log, nil)), &endHook{})
	zl.Info("not this")
	zl.With(zap.String("member", "m1")).Warn("slow disk", zap.String("took", "3s"))
	zl.Error("bad disk", zap.Error(io.ErrUnexpectedEOF))
	got := log.String()
	for _, want := range []string{`"WARN"`, "etcd: slow disk", `"took":"3s"`, `"member":"m1"`, `"ERROR"`, "etcd: bad disk", "unexpected EOF"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
	if strings.Contains(got, "not this") {
		t.Errorf("information was logged:\n%s", got)
	}
	for _, end := range []func(){
		func() { zl.Fatal("the end", zap.Error(io.ErrUnexpectedEOF)) },
		func() { zl.Panic("the end", zap.Error(io.ErrUnexpectedEOF)) },
	} {
		func() {
			defer func() {
				if cause := fmt.Sprint(recover()); cause != "etcd: the end: unexpected EOF" {
					t.Errorf("ended with %q", cause)
				}
			}()
			end()
		}()
	}
}

func FuzzCheckFormat(f *testing.F) {
	f.Add(format())
	f.Add("postern record store\nformat 2\netcd 3.7\n")
	f.Add("postern record store\nformat 1\netcd 3.6\n")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		if checkFormat(text) == nil && !strings.HasPrefix(text, "postern record store\nformat ") {
			t.Fatalf("%q was accepted", text)
		}
	})
}
