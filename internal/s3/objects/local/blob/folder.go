// Package blob keeps a folder of files with random names, each written once, made durable, and then
// only read. It knows how to make a name durable on the file system it finds, to give bytes a second
// name without copying them, and to keep files that are being read from being removed.
package blob

import (
	"context"
	"crypto/md5" // #nosec: S3's ETag, not a protection
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"postern/internal/s3/objects"
)

// Name names a file of bytes: random, so that nothing a caller chose is ever part of a path. Its
// first byte is the folder.
type Name [16]byte

// NewName makes one up.
func NewName() (n Name) {
	rand.Read(n[:]) // never fails (crypto/rand.Read, since Go 1.24)
	return n
}

// Path is relative to the blob folder: two hex digits, a slash, thirty more.
func (n Name) Path() string {
	var b [33]byte
	hex.Encode(b[:2], n[:1])
	b[2] = '/'
	hex.Encode(b[3:], n[1:])
	return string(b[:])
}

func (n Name) folder() string { return n.Path()[:2] }

// Names gives out names for new blobs, of which no file exists.
type Names interface {
	Take() (Name, error)
	// GiveBack returns a name that was taken and whose file is gone again.
	GiveBack(Name)
}

// blockSize is how many bytes of a body are read, hashed and written at a time.
const blockSize = 256 << 10

// writebackEvery is after how many bytes the kernel is asked to begin writing a growing blob to disk,
// so that the final fsync of a large one has little left to wait for.
const writebackEvery = 8 << 20

// File is a blob being written. Tests put a failing one in its place.
type File interface {
	io.Writer
	Sync() error
	Close() error
}

// Folder is a folder of blobs. All methods may be called at once.
type Folder struct {
	// Create makes a new file; it fails if there is one. Tests put a failing one in its place.
	Create func(Name) (File, error)
	// HardLink gives a file a second path. Tests put a failing one in its place.
	HardLink func(from, to string) error
	// SyncFolders: an fsync of a new file does not make its name durable on this file system.
	SyncFolders bool

	dir    string
	root   *os.Root
	blocks sync.Pool // *[blockSize]byte

	mu   sync.Mutex
	pins map[Name]*pin
}

// pin keeps the blobs of an object that is being read piece by piece. It hangs on the name of the
// first; the others belong to the same record, and so are removed together with it.
type pin struct {
	readers int
	dead    []Name
}

// Open opens the folder, making it if it is not there. Before the first blob is written, ever, Make
// has to be called.
func Open(dir string) (*Folder, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the blob folder: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the blob folder: %w", err)
	}
	b := &Folder{
		dir: dir, root: root, HardLink: root.Link, SyncFolders: needsFolderSync(dir), pins: make(map[Name]*pin),
	}
	b.blocks.New = func() any { return new([blockSize]byte) }
	b.Create = func(n Name) (File, error) {
		return root.OpenFile(n.Path(), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	}
	return b, nil
}

// Make makes the 256 folders that blobs lie in, once and for all, and makes them durable, together
// with the two folders on the way to them.
func (b *Folder) Make() error {
	for i := range 256 {
		name := hex.EncodeToString([]byte{byte(i)})
		if err := b.root.Mkdir(name, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
			return fmt.Errorf("making a blob folder: %w", err)
		}
		if b.SyncFolders {
			if err := syncFolder(b.root.Open(name)); err != nil {
				return err
			}
		}
	}
	parent := filepath.Dir(filepath.Clean(b.dir))
	for _, dir := range []string{b.dir, parent, filepath.Dir(parent)} {
		if err := syncFolder(os.Open(dir)); err != nil {
			return err
		}
	}
	return nil
}

// Close closes the folder. Files opened by Read stay open.
func (b *Folder) Close() error { return b.root.Close() }

// Read opens a blob and checks that all its bytes are there. The error is os.ErrNotExist if there is
// no such file, objects.ErrDamaged if it has another size.
func (b *Folder) Read(n Name, size int64) (*os.File, error) {
	f, err := b.root.Open(n.Path())
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err == nil && st.Size() != size {
		err = fmt.Errorf("%w: a blob has %d bytes instead of %d", objects.ErrDamaged, st.Size(), size)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Source is a body to be written: what [objects.PutRequest] says of it.
type Source struct {
	Body     io.Reader
	Size     int64
	Checksum objects.Algorithm
	Verify   objects.Verify
}

// Write stores a body under a name that it takes: the bytes are durable when it returns without an
// error, and nothing is left when it returns with one. An empty body has no blob and the zero name.
func (b *Folder) Write(ctx context.Context, in Source, names Names) (name Name, d objects.Digest, err error) {
	block := b.blocks.Get().(*[blockSize]byte)
	defer b.blocks.Put(block)
	sum, extra := md5.New(), in.Checksum.New()
	var f File
	defer func() {
		if name == (Name{}) || err == nil {
			return
		}
		if f != nil {
			f.Close()
		}
		if b.Unlink(name) == nil {
			names.GiveBack(name)
		}
		name = Name{}
	}()

	size := int64(0)
	for end := in.Body == nil; !end; {
		n := 0
		if n, end, err = readBlock(ctx, in.Body, block[:]); err != nil {
			return name, d, err
		}
		if n == 0 {
			break
		}
		if size += int64(n); in.Size >= 0 && size > in.Size {
			return name, d, fmt.Errorf("%w: more than %d bytes came", objects.ErrBadSize, in.Size)
		}
		if f == nil {
			if name, err = names.Take(); err != nil {
				return name, d, err
			}
			if f, err = b.Create(name); err != nil {
				return name, d, fmt.Errorf("creating a blob: %w", err)
			}
		}
		sum.Write(block[:n])
		if extra != nil {
			extra.Write(block[:n])
		}
		if _, err = f.Write(block[:n]); err != nil {
			return name, d, fmt.Errorf("writing a blob: %w", err)
		}
		if before := size - int64(n); before/writebackEvery != size/writebackEvery {
			startWriteback(f)
		}
	}
	if in.Size >= 0 && size != in.Size {
		return name, d, fmt.Errorf("%w: %d bytes came instead of %d", objects.ErrBadSize, size, in.Size)
	}
	d = digest(size, sum, in.Checksum, extra)
	if in.Verify != nil {
		if err = in.Verify(&d); err != nil {
			return name, d, fmt.Errorf("verifying the body: %w", err)
		}
	}
	if f == nil {
		return name, d, nil
	}
	if err = f.Sync(); err != nil {
		return name, d, fmt.Errorf("making a blob durable: %w", err)
	}
	if b.SyncFolders {
		if err = b.Sync(name); err != nil {
			return name, d, err
		}
	}
	if err = f.Close(); err != nil {
		return name, d, fmt.Errorf("closing a blob: %w", err)
	}
	return name, d, nil
}

func digest(size int64, sum hash.Hash, algorithm objects.Algorithm, extra hash.Hash) objects.Digest {
	d := objects.Digest{Size: size}
	sum.Sum(d.MD5[:0])
	if extra != nil {
		d.Checksum = objects.Checksum{Algorithm: algorithm, Value: extra.Sum(nil)}
	}
	return d
}

// readBlock fills the block as far as the body goes.
func readBlock(ctx context.Context, body io.Reader, block []byte) (n int, end bool, err error) {
	for idle := 0; n < len(block); {
		if err := ctx.Err(); err != nil {
			return n, false, err
		}
		m, err := body.Read(block[n:])
		n += m
		if err == io.EOF {
			return n, true, nil
		}
		if err != nil {
			return n, false, fmt.Errorf("reading the body: %w", err)
		}
		if m > 0 {
			idle = 0
		} else if idle++; idle > 100 {
			return n, false, fmt.Errorf("reading the body: %w", io.ErrNoProgress)
		}
	}
	return n, false, nil
}

// Link gives a blob's bytes a second name, by a hard link where the file system can, else by a copy,
// which the kernel makes if it can. The bytes are durable, the name is after Sync. The error is
// os.ErrNotExist if there is no such file.
func (b *Folder) Link(from Name, size int64, to Name) error {
	err := b.HardLink(from.Path(), to.Path())
	if err == nil || errors.Is(err, os.ErrNotExist) {
		return err
	}
	if !errors.Is(err, syscall.EMLINK) && !errors.Is(err, syscall.EPERM) && !errors.Is(err, syscall.EXDEV) &&
		!errors.Is(err, errors.ErrUnsupported) {
		return fmt.Errorf("linking a blob: %w", err)
	}
	src, err := b.Read(from, size)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := b.Create(to)
	if err != nil {
		return fmt.Errorf("creating a blob: %w", err)
	}
	if _, err = io.Copy(dst, src); err == nil {
		err = dst.Sync()
	}
	if cerr := dst.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("copying a blob: %w", err)
	}
	return nil
}

// Sync makes the names of blobs durable.
func (b *Folder) Sync(names ...Name) error {
	done := make(map[string]bool, 1)
	for _, n := range names {
		if done[n.folder()] {
			continue
		}
		done[n.folder()] = true
		if err := syncFolder(b.root.Open(n.folder())); err != nil {
			return err
		}
	}
	return nil
}

func syncFolder(d *os.File, err error) error {
	if err == nil {
		err = d.Sync()
		if cerr := d.Close(); err == nil {
			err = cerr
		}
	}
	if err != nil {
		return fmt.Errorf("making a folder durable: %w", err)
	}
	return nil
}

// Unlink removes a blob's file; one that is not there is no error. Readers that have it open keep it.
func (b *Folder) Unlink(n Name) error {
	if err := b.root.Remove(n.Path()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("removing a blob: %w", err)
	}
	return nil
}

// Hold keeps the blobs of the record whose first blob this is until Release.
func (b *Folder) Hold(first Name) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.pins[first]
	if p == nil {
		p = new(pin)
		b.pins[first] = p
	}
	p.readers++
}

// Release ends a Hold and returns the blobs that waited for it and may go now.
func (b *Folder) Release(first Name) (dead []Name) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.pins[first]
	if p.readers--; p.readers > 0 {
		return nil
	}
	delete(b.pins, first)
	return p.dead
}

// MayGo says whether the blobs of a record, first of them first, may be removed now. If they are being
// read, Release will return them.
func (b *Folder) MayGo(record []Name) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.pins[record[0]]
	if p == nil {
		return true
	}
	p.dead = record
	return false
}
