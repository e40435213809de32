package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// names lists a folder, so that a test sees temporary files that were left behind.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func TestWriteFileReplacesWhole(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	for i, perm := range []os.FileMode{0o600, 0o666, 0o640} {
		want := fmt.Sprintf("content %d", i)
		if err := WriteFile(path, []byte(want), perm); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != want {
			t.Fatalf("read %q, %v; want %q", got, err, want)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != perm {
			t.Fatalf("mode %v, %v; want %v", info.Mode(), err, perm)
		}
	}
	if got := names(t, dir); len(got) != 1 {
		t.Fatalf("left behind: %v", got)
	}
}

// A reader that looks while the file is replaced sees one content or the other, never a part.
func TestWriteFileIsAtomicForReaders(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	a, b := make([]byte, 1<<16), make([]byte, 1<<17)
	for i := range b {
		b[i] = 1
	}
	if err := WriteFile(path, a, 0o600); err != nil {
		t.Fatal(err)
	}
	var done atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		defer done.Store(true)
		for i := range 50 {
			if err := WriteFile(path, [][]byte{a, b}[i%2], 0o600); err != nil {
				t.Error(err)
			}
		}
	})
	for !done.Load() {
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case len(got) == len(a) && got[0] == 0 && got[len(got)-1] == 0:
		case len(got) == len(b) && got[0] == 1 && got[len(got)-1] == 1:
		default:
			t.Fatalf("saw %d bytes, %d…%d", len(got), got[0], got[len(got)-1])
		}
	}
	wg.Wait()
}

func TestWriteFileFailureLeavesTheOldState(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "taken")
	if err := os.Mkdir(target, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(target, []byte("x"), 0o600); err == nil {
		t.Fatal("a folder was replaced by a file")
	}
	if got := names(t, dir); len(got) != 1 || got[0] != "taken" {
		t.Fatalf("left behind: %v", got)
	}
	if err := WriteFile(filepath.Join(dir, "none", "f"), nil, 0o600); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("writing into a missing folder: %v", err)
	}
}

func TestWriteFileReplacesALink(t *testing.T) {
	dir := t.TempDir()
	victim, link := filepath.Join(dir, "victim"), filepath.Join(dir, "link")
	if err := os.WriteFile(victim, []byte("v"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(victim, link); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(link, []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(victim); string(got) != "v" {
		t.Fatalf("the link was followed: %q", got)
	}
	if info, err := os.Lstat(link); err != nil || !info.Mode().IsRegular() {
		t.Fatalf("still a link: %v %v", info.Mode(), err)
	}
}

func TestCreateFileHasOneWinner(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	var won atomic.Int32
	var winner atomic.Value
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			content := fmt.Sprintf("writer %d", i)
			switch err := CreateFile(path, []byte(content), 0o600); {
			case err == nil:
				won.Add(1)
				winner.Store(content)
			case !errors.Is(err, fs.ErrExist):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got, err := os.ReadFile(path)
	if err != nil || won.Load() != 1 || string(got) != winner.Load() {
		t.Fatalf("%d winners, %q in the file (%v)", won.Load(), got, err)
	}
	if left := names(t, dir); len(left) != 1 {
		t.Fatalf("left behind: %v", left)
	}
}

func TestModesAreExact(t *testing.T) {
	dir := t.TempDir()
	defer syscall.Umask(syscall.Umask(0o077))
	sub, file := filepath.Join(dir, "sub"), filepath.Join(dir, "file")
	if err := errors.Join(MkdirAll(sub, 0o755), WriteFile(file, nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]os.FileMode{sub: 0o755, file: 0o644} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
}

func TestMkdirAll(t *testing.T) {
	dir := t.TempDir()
	deep := filepath.Join(dir, "a", "b", "c")
	for range 2 {
		if err := MkdirAll(deep, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for p := deep; p != dir; p = filepath.Dir(p) {
		if info, err := os.Stat(p); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v %v", p, info.Mode(), err)
		}
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := MkdirAll(filepath.Join(file, "x"), 0o700); err == nil {
		t.Error("a folder was made below a file")
	}
	if err := MkdirAll(file, 0o700); err == nil {
		t.Error("a file was taken for a folder")
	}
}
