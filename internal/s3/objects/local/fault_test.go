package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"postern/internal/s3/objects"
	"postern/internal/s3/objects/local/blob"
	"postern/internal/s3/objects/local/record"
)

func openTest(t testing.TB, dir string) *Backend {
	t.Helper()
	l, err := Open(Config{Dir: dir, Now: time.Now, Logger: slog.New(slog.DiscardHandler), MinPartSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// put stores n bytes of c.
func put(l *Backend, key string, c byte, n int) error {
	_, err := l.Put(context.Background(), objects.PutRequest{
		Bucket: "b", Key: key, Body: bytes.NewReader(bytes.Repeat([]byte{c}, n)), Size: int64(n),
	})
	return err
}

func read(t testing.TB, l *Backend, key string) string {
	t.Helper()
	_, body, err := l.Get(context.Background(), "b", key)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	b, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// files are the blobs in the folder.
func files(t testing.TB, dir string) (paths []string) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(dir, "blobs"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

// checkFiles: the files in the folder are those that the index's records own, each whole; and every
// name has one owner.
func checkFiles(t testing.TB, l *Backend, dir string) {
	t.Helper()
	owned := make(map[string]int64)
	own := func(p record.Piece) {
		if p.Size == 0 {
			return
		}
		path := filepath.Join(dir, "blobs", filepath.FromSlash(p.Name.Path()))
		if _, twice := owned[path]; twice {
			t.Errorf("two records own %s", path)
		}
		owned[path] = p.Size
	}
	err := l.view(func(t *txn) error {
		err := t.objects.ForEach(func(_, v []byte) error {
			r, err := record.DecodeObject(v)
			if err != nil {
				return err
			}
			for _, p := range r.Pieces {
				own(p)
				if t.free.Get(p.Name[:]) != nil {
					return fmt.Errorf("%s is owned and free", p.Name.Path())
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		return t.parts.ForEach(func(_, v []byte) error {
			r, err := record.DecodePart(v)
			if err == nil {
				own(r.Piece)
			}
			return err
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files(t, dir) {
		st, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if size, ok := owned[path]; !ok || size != st.Size() {
			t.Errorf("%s has %d bytes; owned: %v, with %d", path, st.Size(), ok, size)
		}
		delete(owned, path)
	}
	for path := range owned {
		t.Errorf("%s is owned and not there", path)
	}
}

// faulty fails like a full or broken disk.
type faulty struct {
	blob.File
	write, sync, close error
}

func (f *faulty) Write(p []byte) (int, error) {
	if f.write != nil {
		f.File.Write(p[:len(p)/2])
		return len(p) / 2, f.write
	}
	return f.File.Write(p)
}

func (f *faulty) Sync() error {
	if f.sync != nil {
		return f.sync
	}
	return f.File.Sync()
}

func (f *faulty) Close() error {
	if err := f.File.Close(); err != nil {
		return err
	}
	return f.close
}

func TestFailedWritesLeaveNothing(t *testing.T) {
	for _, c := range []struct {
		name   string
		fault  faulty
		create error
	}{
		{"create", faulty{}, syscall.ENOSPC},
		{"write", faulty{write: syscall.ENOSPC}, nil},
		{"fsync", faulty{sync: syscall.EIO}, nil},
		{"close", faulty{close: syscall.EDQUOT}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			l := openTest(t, dir)
			if err := put(l, "k", 'a', 1000); err != nil {
				t.Fatal(err)
			}
			u, err := l.CreateUpload(t.Context(), objects.UploadRequest{Bucket: "b", Key: "k"})
			if err != nil {
				t.Fatal(err)
			}
			create := l.blobs.Create
			l.blobs.Create = func(n blob.Name) (blob.File, error) {
				if c.create != nil {
					return nil, c.create
				}
				f, err := create(n)
				fault := c.fault
				fault.File = f
				return &fault, err
			}
			kind := errors.Join(c.create, c.fault.write, c.fault.sync, c.fault.close).(interface{ Unwrap() []error }).Unwrap()[0]
			for range lowNames + refillNames + 10 { // more often than there are names in reserve
				if err := put(l, "k", 'b', 300<<10); !errors.Is(err, kind) {
					t.Fatalf("error is %v", err)
				}
			}
			_, err = l.PutPart(t.Context(), objects.PartRequest{Bucket: "b", Key: "k", UploadID: u.ID, Number: 1, Body: strings.NewReader("x"), Size: 1})
			if !errors.Is(err, kind) {
				t.Fatalf("error is %v", err)
			}
			checkFiles(t, l, dir)
			l.blobs.Create = create
			if n := len(l.index.ready); n < refillNames-5 { // one object, one part and their like have taken some
				t.Errorf("%d names are left: failed writes have kept theirs", n)
			}
			if got := read(t, l, "k"); got != strings.Repeat("a", 1000) {
				t.Fatalf("read %.10q", got)
			}
			if err := put(l, "k", 'c', 10); err != nil {
				t.Fatal(err)
			}
			if got := read(t, l, "k"); got != "cccccccccc" {
				t.Fatalf("read %q", got)
			}
			checkFiles(t, l, dir)
		})
	}
}

// A transaction that fails before its last page was written has not happened, and nothing stays of it.
func TestIndexFull(t *testing.T) {
	dir := t.TempDir()
	l := openTest(t, dir)
	if err := put(l, "old", 'a', 100); err != nil {
		t.Fatal(err)
	}
	l.index.db.MaxSize = 1 // the file may not grow any more
	big := objects.PutRequest{Bucket: "b", Key: "new", Body: strings.NewReader("x"), Size: 1,
		Meta: objects.Meta{User: map[string]string{"k": strings.Repeat("x", 4<<20)}}}
	if _, err := l.Put(t.Context(), big); err == nil || errors.Is(err, errUnknown) {
		t.Fatalf("error is %v", err)
	}
	if _, err := l.Head(t.Context(), "b", "new"); !errors.Is(err, objects.ErrNotFound) {
		t.Fatal(err)
	}
	checkFiles(t, l, dir)
	l.index.db.MaxSize = 0
	if err := put(l, "old", 'b', 3); err != nil {
		t.Fatal(err)
	}
	if read(t, l, "old") != "bbb" {
		t.Fatal("the object was not replaced")
	}
	checkFiles(t, l, dir)
}

// A change that fails changes nothing, and does not keep the others of its batch from being made.
func TestBatch(t *testing.T) {
	dir := t.TempDir()
	l := openTest(t, dir)
	apply := func(err error, k string) *change {
		return &change{err: make(chan error, 1), apply: func(t *txn) error {
			if err == nil {
				t.put(t.gone, []byte(k), []byte{})
			}
			return err
		}}
	}
	batch := []*change{apply(nil, "one"), apply(objects.ErrPrecondition, "two"), apply(nil, "three")}
	before, err := l.index.lastCommitted()
	if err != nil {
		t.Fatal(err)
	}
	l.index.commit(batch)
	for i, want := range []error{nil, objects.ErrPrecondition, nil} {
		if err := <-batch[i].err; err != want {
			t.Errorf("change %d: %v", i, err)
		}
	}
	after, err := l.index.lastCommitted()
	if err != nil {
		t.Fatal(err)
	}
	if after != before+1 {
		t.Errorf("a batch took %d transactions", after-before)
	}
	// transact takes one that a reader does not see, by its id, for one that did not happen.
	tx, err := l.index.db.Begin(true)
	if err != nil {
		t.Fatal(err)
	}
	if tx.ID() != after+1 {
		t.Errorf("after transaction %d comes %d", after, tx.ID())
	}
	tx.Rollback()
	if put(l, "k", 'a', 1) != nil {
		t.Error("the bucket b is gone")
	}
	l.view(func(t2 *txn) error {
		for k, there := range map[string]bool{"one": true, "two": false, "three": true} {
			if (t2.gone.Get([]byte(k)) != nil) != there {
				t.Errorf("%s is there: %v", k, !there)
			}
		}
		return nil
	})
	// One that the index itself refuses fails all, and changes nothing.
	bad := &change{err: make(chan error, 1), apply: func(t *txn) error { t.put(t.gone, nil, nil); return nil }}
	batch = []*change{apply(nil, "four"), bad, apply(objects.ErrPrecondition, "five")}
	l.index.commit(batch)
	for i, c := range batch {
		if err := <-c.err; err == nil || i == 2 && err != objects.ErrPrecondition {
			t.Errorf("change %d: %v", i, err)
		}
	}
	l.view(func(t2 *txn) error {
		if t2.gone.Get([]byte("four")) != nil {
			t.Error("half a batch was made")
		}
		return nil
	})
}

// When nobody can know whether a transaction is on the disk, nothing is given back or written any more.
func TestUnknownOutcome(t *testing.T) {
	dir := t.TempDir()
	l := openTest(t, dir)
	if err := put(l, "k", 'a', 10); err != nil {
		t.Fatal(err)
	}
	broken := fmt.Errorf("%w: %w", errUnknown, syscall.EIO)
	done := make(chan struct{})
	c := &change{err: make(chan error, 1), apply: func(*txn) error { l.index.failed = broken; close(done); return nil }}
	l.index.queue <- c
	<-done
	<-c.err
	if err := put(l, "k", 'b', 20); !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	if err := l.Delete(t.Context(), "b", "k"); !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	if got := read(t, l, "k"); got != "aaaaaaaaaa" {
		t.Fatalf("read %q", got)
	}
	if n := len(files(t, dir)); n != 2 {
		t.Fatalf("%d files; the one whose fate is unknown must stay", n)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = openTest(t, dir)
	if got := read(t, l, "k"); got != "aaaaaaaaaa" {
		t.Fatalf("read %q", got)
	}
	checkFiles(t, l, dir)
}

func TestSecondOpen(t *testing.T) {
	dir := t.TempDir()
	openTest(t, dir)
	_, err := Open(Config{Dir: dir, Now: time.Now, Logger: slog.New(slog.DiscardHandler)})
	if !errors.Is(err, objects.ErrLocked) {
		t.Fatal(err)
	}
}

func TestOpenRefusesOtherFormat(t *testing.T) {
	dir := t.TempDir()
	l := openTest(t, dir)
	err := l.index.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(bucketFormat).Put(keyVersion, []byte{9}) })
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if _, err := Open(Config{Dir: dir, Now: time.Now, Logger: slog.New(slog.DiscardHandler)}); err == nil || !strings.Contains(err.Error(), "format 9") {
		t.Fatal(err)
	}
}

// Nothing a caller chose is in a path, and nobody else may look.
func TestFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "data")
	l := openTest(t, dir)
	for _, k := range []string{"../../escape", "/etc/passwd", "a/b", "b"} {
		if err := put(l, k, 'x', 10); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if !slices.Equal(names, []string{"blobs", "index.db"}) {
		t.Errorf("the folder holds %q", names)
	}
	folders, err := os.ReadDir(filepath.Join(dir, "blobs"))
	if err != nil || len(folders) != 256 {
		t.Errorf("%d blob folders, %v", len(folders), err)
	}
	err = filepath.WalkDir(filepath.Dir(dir), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		st, err := d.Info()
		if err == nil && st.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, st.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	blobs := files(t, dir)
	if len(blobs) != 4 {
		t.Errorf("blobs: %q", blobs)
	}
	for _, b := range blobs {
		rel, _ := filepath.Rel(filepath.Join(dir, "blobs"), b)
		if strings.Trim(rel, "0123456789abcdef") != "/" && len(rel) != 33 {
			t.Errorf("blob %s", rel)
		}
	}
}

func TestDamage(t *testing.T) {
	dir := t.TempDir()
	l := openTest(t, dir)
	if err := put(l, "k", 'x', 100); err != nil {
		t.Fatal(err)
	}
	blob := files(t, dir)[0]
	if err := os.Truncate(blob, 99); err != nil {
		t.Fatal(err)
	}
	if _, _, err := l.Get(t.Context(), "b", "k"); !errors.Is(err, objects.ErrDamaged) {
		t.Fatalf("cut short: %v", err)
	}
	if err := os.Remove(blob); err != nil {
		t.Fatal(err)
	}
	if _, _, err := l.Get(t.Context(), "b", "k"); !errors.Is(err, objects.ErrDamaged) {
		t.Fatalf("lost: %v", err)
	}
	if _, err := l.Copy(t.Context(), objects.CopyRequest{Bucket: "b", Key: "c", SourceBucket: "b", SourceKey: "k"}); !errors.Is(err, objects.ErrDamaged) {
		t.Fatalf("copied: %v", err)
	}
	if err := put(l, "k", 'y', 3); err != nil { // writing again mends it
		t.Fatal(err)
	}
	if read(t, l, "k") != "yyy" {
		t.Fatal("not replaced")
	}
	checkFiles(t, l, dir)
}

// Deleted and replaced blobs leave the folder, those being read when their reader is done, and their
// names the index.
func TestBlobsGo(t *testing.T) {
	dir := t.TempDir()
	l := openTest(t, dir)
	u, err := l.CreateUpload(t.Context(), objects.UploadRequest{Bucket: "b", Key: "multi"})
	if err != nil {
		t.Fatal(err)
	}
	in := objects.CompleteRequest{Bucket: "b", Key: "multi", UploadID: u.ID}
	for n := 1; n <= 3; n++ {
		p, err := l.PutPart(t.Context(), objects.PartRequest{Bucket: "b", Key: "multi", UploadID: u.ID, Number: n, Body: strings.NewReader("part"), Size: 4})
		if err != nil {
			t.Fatal(err)
		}
		in.Parts = append(in.Parts, objects.CompletePart{Number: n, ETag: p.ETag})
	}
	if _, err := l.CompleteUpload(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	_, body, err := l.Get(t.Context(), "b", "multi")
	if err != nil {
		t.Fatal(err)
	}
	for range 300 {
		if err := put(l, "k", 'x', 100); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Delete(t.Context(), "b", "multi"); err != nil {
		t.Fatal(err)
	}
	if n := len(files(t, dir)); n != 4 {
		t.Fatalf("%d files while one object is stored and another being read", n)
	}
	if err := body.Close(); err != nil {
		t.Fatal(err)
	}
	if n := len(files(t, dir)); n != 1 {
		t.Fatalf("%d files after the reader is done", n)
	}
	if err := l.Delete(t.Context(), "b", "k"); err != nil {
		t.Fatal(err)
	}
	// Parts go when replaced, left out, aborted, and with their bucket.
	for _, end := range []func(objects.CompleteRequest) error{
		func(in objects.CompleteRequest) error { _, err := l.CompleteUpload(t.Context(), in); return err },
		func(in objects.CompleteRequest) error {
			return l.AbortUpload(t.Context(), in.Bucket, in.Key, in.UploadID)
		},
		func(in objects.CompleteRequest) error { return l.DeleteBucket(t.Context(), in.Bucket) },
	} {
		u, err := l.CreateUpload(t.Context(), objects.UploadRequest{Bucket: "b", Key: "parts"})
		if err != nil {
			t.Fatal(err)
		}
		in := objects.CompleteRequest{Bucket: "b", Key: "parts", UploadID: u.ID}
		for _, n := range []int{1, 2, 2, 3} {
			p, err := l.PutPart(t.Context(), objects.PartRequest{Bucket: "b", Key: "parts", UploadID: u.ID, Number: n, Body: strings.NewReader("part"), Size: 4})
			if err != nil {
				t.Fatal(err)
			}
			in.Parts = []objects.CompletePart{{Number: n, ETag: p.ETag}}
		}
		if err := end(in); err != nil {
			t.Fatal(err)
		}
		checkFiles(t, l, dir)
		if err := l.Delete(t.Context(), "b", "parts"); err != nil {
			t.Fatal(err)
		}
		if left := files(t, dir); len(left) > 0 {
			t.Fatalf("left: %q", left)
		}
	}
	free := 0
	l.view(func(t *txn) error { free = t.free.Stats().KeyN; return nil })
	if free > lowNames+refillNames+1 {
		t.Errorf("%d free names stay in the index", free)
	}
}

// A hard link that the file system refuses becomes a copy.
func TestCopyWithoutLinks(t *testing.T) {
	dir := t.TempDir()
	l := openTest(t, dir)
	if err := put(l, "k", 'x', 1<<20); err != nil {
		t.Fatal(err)
	}
	l.blobs.HardLink = func(string, string) error { return &os.LinkError{Op: "link", Err: syscall.EMLINK} }
	if _, err := l.Copy(t.Context(), objects.CopyRequest{Bucket: "b", Key: "c", SourceBucket: "b", SourceKey: "k"}); err != nil {
		t.Fatal(err)
	}
	if read(t, l, "c") != strings.Repeat("x", 1<<20) {
		t.Fatal("the copy differs")
	}
	checkFiles(t, l, dir)
	l.blobs.HardLink = func(string, string) error { return &os.LinkError{Op: "link", Err: syscall.EIO} }
	if _, err := l.Copy(t.Context(), objects.CopyRequest{Bucket: "b", Key: "c", SourceBucket: "b", SourceKey: "k"}); !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	checkFiles(t, l, dir)
}

// A file system that wants folders synced gets that.
func TestSyncFolders(t *testing.T) {
	dir := t.TempDir()
	l := openTest(t, dir)
	l.blobs.SyncFolders = true
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			if err := put(l, fmt.Sprint(i), 'x', 10); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	os.RemoveAll(filepath.Join(dir, "blobs"))
	if err := put(l, "k", 'x', 10); err == nil {
		t.Error("stored without a folder")
	}
}
