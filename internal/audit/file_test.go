package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"postern/internal/policy"
)

func openFile(t testing.TB, c FileConfig) *File {
	t.Helper()
	f, err := OpenFile(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// named is an event that can be told from others.
func named(id string) Event {
	e := example()
	e.EventID = id
	return e
}

// ids reads the event ids of a file; a line that does not parse is a "?".
func ids(t testing.TB, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for l := range strings.Lines(string(text)) {
		var e struct {
			EventID string `json:"eventID"`
		}
		if !strings.HasSuffix(l, "\n") || json.Unmarshal([]byte(l), &e) != nil {
			e.EventID = "?"
		}
		out = append(out, e.EventID)
	}
	return out
}

func TestFileHasEveryEvent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "made", "audit.jsonl")
	f := openFile(t, FileConfig{Path: path})
	if err := f.Write(named("1")); err != nil {
		t.Fatal(err)
	}
	// Before Write returned, without Close.
	if got := ids(t, path); !slices.Equal(got, []string{"1"}) {
		t.Fatalf("%v", got)
	}
	info, err := os.Stat(path)
	dir, err2 := os.Stat(filepath.Dir(path))
	if err != nil || err2 != nil || info.Mode().Perm() != 0o600 || dir.Mode().Perm() != 0o700 {
		t.Errorf("modes %v, %v; %v %v", info.Mode(), dir.Mode(), err, err2)
	}
	for range 2 {
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Write(named("2")); !errors.Is(err, os.ErrClosed) {
		t.Errorf("writing to a closed file: %v", err)
	}
	// A second run appends, and makes a file private that was not.
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	f = openFile(t, FileConfig{Path: path})
	if err := f.Write(named("3")); err != nil {
		t.Fatal(err)
	}
	if got := ids(t, path); !slices.Equal(got, []string{"1", "3"}) {
		t.Errorf("%v", got)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestTornLineIsEnded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	whole := appendLine(nil, &Event{EventID: "whole", EventTime: when})
	for _, c := range []struct {
		name, before string
		want         []string
	}{
		{"nothing torn", string(whole), []string{"whole", "next", "after"}},
		{"half a line", string(whole) + `{"eventVersion":"1.`, []string{"whole", "?", "next", "after"}},
		{"a line without its newline", string(whole[:len(whole)-1]), []string{"whole", "next", "after"}},
		{"nothing", "", []string{"next", "after"}},
	} {
		if err := os.WriteFile(path, []byte(c.before), 0o600); err != nil {
			t.Fatal(err)
		}
		f := openFile(t, FileConfig{Path: path})
		for _, id := range []string{"next", "after"} {
			if err := f.Write(named(id)); err != nil {
				t.Fatal(err)
			}
		}
		f.Close()
		if got := ids(t, path); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// A write that a full disk cut short is an error, and the next event is a line of its own.
func TestShortWriteIsEnded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	f := openFile(t, FileConfig{Path: path})
	if err := f.Write(named("1")); err != nil {
		t.Fatal(err)
	}
	// The file-size limit of the process stands in for the disk: what is beyond it is not written.
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	restore := func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
			t.Error(err)
		}
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: uint64(f.size) + 100, Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	err := f.Write(named("2"))
	err2 := f.Write(named("3"))
	restore()
	if !errors.Is(err, syscall.EFBIG) || !errors.Is(err2, syscall.EFBIG) {
		t.Fatalf("%v, %v", err, err2)
	}
	if err := f.Write(named("4")); err != nil {
		t.Fatal(err)
	}
	if got := ids(t, path); !slices.Equal(got, []string{"1", "?", "4"}) {
		t.Errorf("%v", got)
	}
}

func TestWriteErrorsSurface(t *testing.T) {
	full := openFile(t, FileConfig{Path: "/dev/full"})
	if err := full.Write(named("1")); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("a full device: %v", err)
	}
	if _, err := OpenFile(FileConfig{Path: t.TempDir()}); err == nil {
		t.Error("a folder was opened")
	}
	for _, c := range []FileConfig{{}, {Path: "x", Interval: -1}, {Path: "x", MaxBytes: -1}, {Path: "x", Sync: 7}} {
		if _, err := OpenFile(c); err == nil {
			t.Errorf("%+v was taken", c)
		}
	}
	// A rotation that cannot happen is an error of the write that needed it, and is tried again.
	dir := t.TempDir()
	f := openFile(t, FileConfig{Path: filepath.Join(dir, "audit.jsonl"), MaxBytes: 1})
	if err := f.Write(named("1")); err != nil {
		t.Fatal(err)
	}
	moved := dir + "-moved"
	if err := os.Rename(dir, moved); err != nil {
		t.Fatal(err)
	}
	if err := f.Write(named("2")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("rotating in a folder that is gone: %v", err)
	}
	if err := os.Rename(moved, dir); err != nil {
		t.Fatal(err)
	}
	if err := f.Write(named("3")); err != nil {
		t.Error(err)
	}
}

// After a failed fsync no write is taken any more.
func TestFailedSyncIsFinal(t *testing.T) {
	for _, mode := range []Sync{SyncAlways, SyncInterval} {
		f := openFile(t, FileConfig{Path: filepath.Join(t.TempDir(), "audit.jsonl"), Sync: mode})
		// A pipe takes writes and refuses fsync.
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		f.f.Close()
		f.f = w
		err = f.Write(named("1"))
		if mode == SyncInterval {
			if err != nil {
				t.Fatal(err)
			}
			f.syncLater() // the timer's work
			err = f.Write(named("2"))
		}
		if !errors.Is(err, syscall.EINVAL) {
			t.Errorf("mode %d: %v", mode, err)
		}
		if err := f.Write(named("3")); !errors.Is(err, syscall.EINVAL) {
			t.Errorf("mode %d, later: %v", mode, err)
		}
		if err := f.Close(); err == nil {
			t.Errorf("mode %d: closed as if nothing had been", mode)
		}
	}
}

// A full file is forced to the disk before it is put aside; if that fails, nothing more is taken.
func TestRotationSyncs(t *testing.T) {
	f := openFile(t, FileConfig{Path: filepath.Join(t.TempDir(), "audit.jsonl"), MaxBytes: 1})
	if err := f.Write(named("1")); err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe() // takes writes and refuses fsync
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	f.f.Close()
	f.f = w
	for range 2 {
		if err := f.Write(named("2")); !errors.Is(err, syscall.EINVAL) {
			t.Errorf("%v", err)
		}
	}
}

// A line that somebody else's fsync has taken along is not synced again.
func TestSyncIsShared(t *testing.T) {
	f := openFile(t, FileConfig{Path: filepath.Join(t.TempDir(), "audit.jsonl")})
	for range 3 {
		if err := f.Write(named("1")); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.syncTo(1); err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe() // refuses fsync
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	f.f.Close()
	f.f = w
	if err := f.syncTo(3); err != nil {
		t.Errorf("synced again: %v", err)
	}
}

func TestRotation(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "audit.jsonl")
	size := int64(len(appendLine(nil, new(named("00")))))
	clock := when
	config := FileConfig{Path: path, MaxBytes: 3 * size, Now: func() time.Time { return clock }}
	for _, other := range []string{"audit-9999999999-20200101T000000Z.txt", "audit-x.jsonl", "other-0000000009-20200101T000000Z.jsonl"} {
		if err := os.WriteFile(filepath.Join(dir, other), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f := openFile(t, config)
	n := 0
	write := func(count int) {
		t.Helper()
		for range count {
			if err := f.Write(named(fmt.Sprintf("%02d", n))); err != nil {
				t.Fatal(err)
			}
			n++
		}
	}
	write(7)
	clock = clock.Add(-time.Hour) // set back: names sort all the same
	write(3)
	f.Close()
	f = openFile(t, config)
	write(6)
	f.Close()
	full, err := filepath.Glob(filepath.Join(dir, "audit-[0-9]*.jsonl"))
	if err != nil || len(full) != 5 {
		t.Fatalf("%v %v", full, err)
	}
	if base := filepath.Base(full[0]); base != "audit-0000000001-20200202T190506Z.jsonl" {
		t.Errorf("the first full file is %s", base)
	}
	var got, want []string
	for _, p := range append(full, path) {
		in := ids(t, p)
		if len(in) > 3 {
			t.Errorf("%s has %d events", p, len(in))
		}
		info, err := os.Stat(p)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", p, info.Mode(), err)
		}
		got = append(got, in...)
	}
	for i := range n {
		want = append(want, fmt.Sprintf("%02d", i))
	}
	if !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
	// An event larger than the limit is written all the same, into a file of its own.
	f = openFile(t, FileConfig{Path: path, MaxBytes: 1})
	write(2)
	if got := ids(t, path); !slices.Equal(got, []string{"17"}) {
		t.Errorf("%v", got)
	}
	// Somebody else has taken the file away.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	write(1)
	if got := ids(t, path); !slices.Equal(got, []string{"18"}) {
		t.Errorf("%v", got)
	}
}

// A torn line at the end of a full file is left there; the next file begins with the next event.
func TestRotationAfterATornLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	if err := os.WriteFile(path, []byte(`{"torn`), 0o600); err != nil {
		t.Fatal(err)
	}
	f := openFile(t, FileConfig{Path: path, MaxBytes: 1})
	if err := f.Write(named("next")); err != nil {
		t.Fatal(err)
	}
	if got := ids(t, path); !slices.Equal(got, []string{"next"}) {
		t.Errorf("%v", got)
	}
}

// Many writers, rotations under way, both modes: every event is there once, each a line of its own.
func TestConcurrentWriters(t *testing.T) {
	for _, mode := range []Sync{SyncInterval, SyncAlways} {
		dir := t.TempDir()
		path := filepath.Join(dir, "audit.jsonl")
		f := openFile(t, FileConfig{Path: path, Sync: mode, Interval: time.Millisecond, MaxBytes: 20_000})
		var wg sync.WaitGroup
		for w := range 8 {
			wg.Go(func() {
				for i := range 30 {
					if err := f.Write(named(fmt.Sprintf("%d-%02d", w, i))); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if mode == SyncAlways && f.synced != f.written {
			t.Errorf("%d of %d lines are synced", f.synced, f.written)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		files, err := filepath.Glob(filepath.Join(dir, "audit*"))
		if err != nil || len(files) < 5 {
			t.Fatalf("%v %v", files, err)
		}
		seen := map[string]int{}
		for _, p := range files {
			for _, id := range ids(t, p) {
				seen[id]++
			}
		}
		for w := range 8 {
			for i := range 30 {
				if id := fmt.Sprintf("%d-%02d", w, i); seen[id] != 1 {
					t.Errorf("%s is there %d times", id, seen[id])
				}
			}
		}
		if len(seen) != 240 {
			t.Errorf("%d events", len(seen))
		}
	}
}

// The interval begins with the first line after a sync, and an idle file is not synced at all.
func TestSyncInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := openFile(t, FileConfig{Path: filepath.Join(t.TempDir(), "audit.jsonl")})
		synced := func() uint64 {
			synctest.Wait()
			f.syncMu.Lock()
			defer f.syncMu.Unlock()
			return f.synced
		}
		write := func(id string) {
			if err := f.Write(named(id)); err != nil {
				t.Fatal(err)
			}
		}
		write("1")
		write("2")
		time.Sleep(DefaultInterval - time.Nanosecond)
		if n := synced(); n != 0 {
			t.Fatalf("%d lines synced before the interval was over", n)
		}
		write("3")
		time.Sleep(time.Nanosecond)
		if n := synced(); n != 3 {
			t.Fatalf("%d lines synced after the interval", n)
		}
		time.Sleep(10 * DefaultInterval)
		write("4")
		time.Sleep(DefaultInterval / 2)
		if n := synced(); n != 3 {
			t.Fatalf("%d lines synced in the next interval", n)
		}
		time.Sleep(DefaultInterval / 2)
		if n := synced(); n != 4 {
			t.Fatalf("%d lines synced after the next interval", n)
		}
	})
}

func TestNotARegularFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	lines := make(chan []byte)
	go func() {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
		}
		lines <- text
	}()
	f := openFile(t, FileConfig{Path: path, Sync: SyncAlways, MaxBytes: 1})
	for _, id := range []string{"1", "2"} {
		if err := f.Write(named(id)); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if got := <-lines; bytes.Count(got, []byte("\n")) != 2 {
		t.Errorf("%s", got)
	}
}

func benchmarkFile(b *testing.B, mode Sync) {
	f := openFile(b, FileConfig{Path: filepath.Join(b.TempDir(), "audit.jsonl"), Sync: mode})
	e := example()
	b.ReportAllocs()
	for b.Loop() {
		if err := f.Write(e); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFileInterval(b *testing.B) { benchmarkFile(b, SyncInterval) }
func BenchmarkFileAlways(b *testing.B)   { benchmarkFile(b, SyncAlways) }

// TestKeep: of full files the newest are kept, and what is not a full file of this log is not touched.
func TestKeep(t *testing.T) {
	dir := t.TempDir()
	other := filepath.Join(dir, "audit-0000000001-20200101T000000Z.jsonl") // of another log in the folder
	if err := os.WriteFile(other, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f := openFile(t, FileConfig{Path: filepath.Join(dir, "viewers.jsonl"), MaxBytes: 1, Keep: 2})
	for i := range 6 { // each fills a file
		if err := f.Write(named(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	full, err := f.full()
	if err != nil || len(full) != 2 || !strings.HasPrefix(full[0], "viewers-0000000004-") || !strings.HasPrefix(full[1], "viewers-0000000005-") {
		t.Errorf("kept %v, %v", full, err)
	}
	if _, err := os.Stat(other); err != nil {
		t.Error(err)
	}
}

// TestSplit: strangers and the edge on one side, everybody with a credential on the other.
func TestSplit(t *testing.T) {
	var with, without counter
	s := Split{Credentialed: &with, Uncredentialed: &without}
	for _, k := range []policy.Kind{policy.Root, policy.User, policy.Role, policy.Service, policy.Anonymous} {
		if err := s.Write(Event{UserIdentity: UserIdentity{Type: k.String()}}); err != nil {
			t.Fatal(err)
		}
	}
	if with != 3 || without != 2 {
		t.Errorf("%d and %d, want 3 and 2", with, without)
	}
}

type counter int

func (c *counter) Write(Event) error { *c++; return nil }
