package local

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sort"
	"sync/atomic"

	"postern/internal/s3/objects"
	"postern/internal/s3/objects/local/blob"
	"postern/internal/s3/objects/local/record"
)

// pieces is the body of an object of several blobs. It opens one at a time, so that an object of
// 10,000 parts costs one file descriptor, and holds them all against removal.
type pieces struct {
	l      *Backend
	parts  []record.Piece // those with bytes
	starts []int64        // offset of each
	size   int64
	first  blob.Name

	off     int64    // of the next Read
	file    *os.File // the piece that Read is in, or nil
	current int
	closed  atomic.Bool
}

func newPieces(l *Backend, r *record.Object) *pieces {
	b := &pieces{l: l}
	for _, p := range r.Pieces {
		if p.Size > 0 {
			b.parts = append(b.parts, p)
			b.starts = append(b.starts, b.size)
			b.size += p.Size
		}
	}
	if len(b.parts) > 0 {
		b.first = b.parts[0].Name
		l.blobs.Hold(b.first)
	}
	return b
}

// at finds the piece that holds the byte at off, which is below size.
func (b *pieces) at(off int64) int {
	return sort.Search(len(b.starts), func(i int) bool { return b.starts[i] > off }) - 1
}

func (b *pieces) open(i int) (*os.File, error) {
	f, err := b.l.blobs.Read(b.parts[i].Name, b.parts[i].Size)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("reading an object: %w: %w", objects.ErrDamaged, err)
	}
	if err != nil {
		return nil, fmt.Errorf("reading an object: %w", err)
	}
	return f, nil
}

func (b *pieces) Read(p []byte) (int, error) {
	if b.closed.Load() {
		return 0, fs.ErrClosed
	}
	if len(p) == 0 {
		return 0, nil
	}
	if b.off >= b.size {
		return 0, io.EOF
	}
	i := b.at(b.off)
	if b.file == nil || b.current != i {
		if b.file != nil {
			b.file.Close()
			b.file = nil
		}
		f, err := b.open(i)
		if err != nil {
			return 0, err
		}
		b.file, b.current = f, i
	}
	n, err := readPiece(b.file, b.parts[i], p, b.off-b.starts[i])
	b.off += int64(n)
	return n, err
}

// readPiece reads what the piece has of p at off, at least a byte.
func readPiece(f *os.File, part record.Piece, p []byte, off int64) (int, error) {
	if rest := part.Size - off; int64(len(p)) > rest {
		p = p[:rest]
	}
	n, err := f.ReadAt(p, off)
	if n == len(p) {
		return n, nil
	}
	if err == io.EOF {
		err = fmt.Errorf("reading an object: %w: %w", objects.ErrDamaged, io.ErrUnexpectedEOF)
	}
	return n, err
}

func (b *pieces) ReadAt(p []byte, off int64) (n int, err error) {
	if b.closed.Load() {
		return 0, fs.ErrClosed
	}
	if off < 0 {
		return 0, errors.New("reading an object: negative offset")
	}
	for len(p) > 0 {
		if off >= b.size {
			return n, io.EOF
		}
		i := b.at(off)
		f, err := b.open(i)
		if err != nil {
			return n, err
		}
		m, err := readPiece(f, b.parts[i], p, off-b.starts[i])
		f.Close()
		n, off, p = n+m, off+int64(m), p[m:]
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

func (b *pieces) Seek(offset int64, whence int) (int64, error) {
	if b.closed.Load() {
		return 0, fs.ErrClosed
	}
	switch whence {
	case io.SeekCurrent:
		offset += b.off
	case io.SeekEnd:
		offset += b.size
	case io.SeekStart:
	default:
		return 0, errors.New("seeking in an object: invalid whence")
	}
	if offset < 0 {
		return 0, errors.New("seeking in an object: negative position")
	}
	b.off = offset
	return offset, nil
}

func (b *pieces) Close() error {
	if b.closed.Swap(true) {
		return fs.ErrClosed
	}
	if b.file != nil {
		b.file.Close()
	}
	if len(b.parts) > 0 {
		b.l.unlink(b.l.blobs.Release(b.first))
	}
	return nil
}
