package objects

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
	"sync"
	"syscall"
)

// blobName names a file of bytes: random, so that nothing a caller chose is ever part of a path. Its
// first byte is the folder.
type blobName [16]byte

func newBlobName() (n blobName) {
	rand.Read(n[:]) // never fails (crypto/rand.Read, since Go 1.24)
	return n
}

// path is relative to the blob folder: two hex digits, a slash, thirty more.
func (n blobName) path() string {
	var b [33]byte
	hex.Encode(b[:2], n[:1])
	b[2] = '/'
	hex.Encode(b[3:], n[1:])
	return string(b[:])
}

func (n blobName) folder() string { return n.path()[:2] }

// blockSize is how many bytes of a body are read, hashed and written at a time.
const blockSize = 256 << 10

// writebackEvery is after how many bytes the kernel is asked to begin writing a growing blob to disk,
// so that the final fsync of a large one has little left to wait for.
const writebackEvery = 8 << 20

// blobFile is a blob being written. Tests put a failing one in its place.
type blobFile interface {
	io.Writer
	Sync() error
	Close() error
}

// blobs is the folder of blob files. Blobs are written once, fsynced, and then only read.
type blobs struct {
	root *os.Root
	// create makes a new file; it fails if there is one.
	create func(blobName) (blobFile, error)
	// hardLink gives a file a second path. Tests put a failing one in its place.
	hardLink func(from, to string) error
	// syncFolders: an fsync of a new file does not make its name durable on this file system.
	syncFolders bool
	blocks      sync.Pool // *[blockSize]byte

	mu   sync.Mutex
	pins map[blobName]*pin
}

// pin keeps the blobs of an object that is being read piece by piece. It hangs on the name of the
// first; the others belong to the same record, and so are removed together with it.
type pin struct {
	readers int
	dead    []blobName
}

func openBlobs(root *os.Root, syncFolders bool) *blobs {
	b := &blobs{root: root, hardLink: root.Link, syncFolders: syncFolders, pins: make(map[blobName]*pin)}
	b.blocks.New = func() any { return new([blockSize]byte) }
	b.create = func(n blobName) (blobFile, error) {
		return root.OpenFile(n.path(), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	}
	return b
}

// open opens a blob for reading and checks that all its bytes are there.
func (b *blobs) open(p piece) (*os.File, error) {
	f, err := b.root.Open(p.name.path())
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err == nil && st.Size() != p.size {
		err = fmt.Errorf("%w: a blob has %d bytes instead of %d", ErrDamaged, st.Size(), p.size)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// write stores a body under a name that it takes: the bytes are durable when it returns without an
// error, and nothing is left, the name given back, when it returns with one. An empty body has no blob
// and takes no name.
func (b *blobs) write(ctx context.Context, body io.Reader, size int64, algorithm Algorithm, verify Verify,
	take func() (blobName, error), giveBack func(blobName)) (p piece, d Digest, err error) {
	block := b.blocks.Get().(*[blockSize]byte)
	defer b.blocks.Put(block)
	sum, extra := md5.New(), algorithm.New()
	var f blobFile
	defer func() {
		if p.name == (blobName{}) || err == nil {
			return
		}
		if f != nil {
			f.Close()
		}
		if b.unlink(p.name) == nil {
			giveBack(p.name)
		}
		p = piece{}
	}()

	for end := body == nil; !end; {
		n := 0
		if n, end, err = readBlock(ctx, body, block[:]); err != nil {
			return p, d, err
		}
		if n == 0 {
			break
		}
		if p.size += int64(n); size >= 0 && p.size > size {
			return p, d, fmt.Errorf("%w: more than %d bytes came", ErrBadSize, size)
		}
		if f == nil {
			if p.name, err = take(); err != nil {
				return p, d, err
			}
			if f, err = b.create(p.name); err != nil {
				return p, d, fmt.Errorf("creating a blob: %w", err)
			}
		}
		sum.Write(block[:n])
		if extra != nil {
			extra.Write(block[:n])
		}
		if _, err = f.Write(block[:n]); err != nil {
			return p, d, fmt.Errorf("writing a blob: %w", err)
		}
		if before := p.size - int64(n); before/writebackEvery != p.size/writebackEvery {
			startWriteback(f)
		}
	}
	if size >= 0 && p.size != size {
		return p, d, fmt.Errorf("%w: %d bytes came instead of %d", ErrBadSize, p.size, size)
	}
	d = digest(p.size, sum, algorithm, extra)
	if verify != nil {
		if err = verify(&d); err != nil {
			return p, d, fmt.Errorf("verifying the body: %w", err)
		}
	}
	p.checksum = d.Checksum.Value
	if f == nil {
		return p, d, nil
	}
	if err = f.Sync(); err != nil {
		return p, d, fmt.Errorf("making a blob durable: %w", err)
	}
	if b.syncFolders {
		if err = b.syncFolder(p.name.folder()); err != nil {
			return p, d, err
		}
	}
	if err = f.Close(); err != nil {
		return p, d, fmt.Errorf("closing a blob: %w", err)
	}
	return p, d, nil
}

func digest(size int64, sum hash.Hash, algorithm Algorithm, extra hash.Hash) Digest {
	d := Digest{Size: size}
	sum.Sum(d.MD5[:0])
	if extra != nil {
		d.Checksum = Checksum{Algorithm: algorithm, Value: extra.Sum(nil)}
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

// link gives a blob's bytes a second name, by a hard link where the file system can, else by a copy.
// The bytes are durable, the name is after syncFolder.
func (b *blobs) link(from piece, to blobName) error {
	err := b.hardLink(from.name.path(), to.path())
	if err == nil || errors.Is(err, os.ErrNotExist) {
		return err
	}
	if !errors.Is(err, syscall.EMLINK) && !errors.Is(err, syscall.EPERM) && !errors.Is(err, syscall.EXDEV) &&
		!errors.Is(err, errors.ErrUnsupported) {
		return fmt.Errorf("linking a blob: %w", err)
	}
	src, err := b.open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := b.create(to)
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

func (b *blobs) syncFolder(name string) error { return syncFolder(b.root, name) }

func syncFolder(root *os.Root, name string) error {
	d, err := root.Open(name)
	if err != nil {
		return fmt.Errorf("making a folder durable: %w", err)
	}
	err = d.Sync()
	if cerr := d.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("making a folder durable: %w", err)
	}
	return nil
}

// unlink removes a blob's file; one that is not there is no error. Readers that have it open keep it.
func (b *blobs) unlink(n blobName) error {
	if err := b.root.Remove(n.path()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("removing a blob: %w", err)
	}
	return nil
}

// hold keeps the blobs of the record whose first blob this is until release.
func (b *blobs) hold(first blobName) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.pins[first]
	if p == nil {
		p = new(pin)
		b.pins[first] = p
	}
	p.readers++
}

// release ends a hold and returns the blobs that waited for it and may go now.
func (b *blobs) release(first blobName) (dead []blobName) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.pins[first]
	if p.readers--; p.readers > 0 {
		return nil
	}
	delete(b.pins, first)
	return p.dead
}

// mayGo says whether the blobs of a record, first of them first, may be removed now. If they are being
// read, release will return them.
func (b *blobs) mayGo(record []blobName) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.pins[record[0]]
	if p == nil {
		return true
	}
	p.dead = record
	return false
}
