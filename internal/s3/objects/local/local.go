// Package local is the object backend of one machine: a folder with an index, index.db, and blob files
// with random names below blobs/00 … blobs/ff.
//
// A body is written to a blob and fsynced; then the index takes the record in, in a transaction that
// it shares with whoever else is writing; then the call returns. What is replaced or deleted leaves
// the index first and the folder afterwards. A copy is a hard link, so every blob name belongs to one
// record and nothing is counted.
package local

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"postern/internal/s3/objects"
	"postern/internal/s3/objects/local/blob"
	"postern/internal/s3/objects/local/record"
)

// Config configures [Open].
type Config struct {
	Dir    string           // folder for blobs and index, made if missing (0700); required
	Now    func() time.Time // required
	Logger *slog.Logger     // required
	// MinPartSize is the least size of a part that is not the last, in bytes; 0 is S3's 5 MiB.
	MinPartSize int64
}

// Backend is an [objects.Backend] in a folder.
type Backend struct {
	index       *index
	blobs       *blob.Folder
	now         func() time.Time
	log         *slog.Logger
	minPartSize int64
	closed      atomic.Bool
}

var _ objects.Backend = (*Backend)(nil)

// Open opens the folder, making it if it is not there, and removes what a crash left. The folder stays
// locked until Close; objects.ErrLocked says that somebody else holds it.
func Open(c Config) (*Backend, error) {
	if c.Dir == "" || c.Now == nil || c.Logger == nil {
		return nil, errors.New("opening the object folder: Dir, Now and Logger are required")
	}
	if c.MinPartSize == 0 {
		c.MinPartSize = objects.MinPartSize
	}
	blobs, err := blob.Open(filepath.Join(c.Dir, "blobs"))
	if err != nil {
		return nil, fmt.Errorf("opening the object folder: %w", err)
	}
	index, err := openIndex(c.Dir, blobs.Make)
	if err != nil {
		blobs.Close()
		return nil, err
	}
	if err := index.start(blobs.Unlink); err != nil {
		index.db.Close()
		blobs.Close()
		return nil, err
	}
	return &Backend{index: index, blobs: blobs, now: c.Now, log: c.Logger, minPartSize: c.MinPartSize}, nil
}

// Close implements [objects.Backend].
func (l *Backend) Close() error {
	if l.closed.Swap(true) {
		return nil
	}
	err := l.index.close()
	if cerr := l.blobs.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("closing the object folder: %w", err)
	}
	return nil
}

// Put implements [objects.Backend].
func (l *Backend) Put(ctx context.Context, in objects.PutRequest) (objects.Info, error) {
	info, err := l.put(ctx, in)
	if err != nil {
		return objects.Info{}, fmt.Errorf("storing an object: %w", err)
	}
	return info, nil
}

func (l *Backend) put(ctx context.Context, in objects.PutRequest) (objects.Info, error) {
	if err := record.CheckKey(in.Bucket, in.Key); err != nil {
		return objects.Info{}, err
	}
	k := record.ObjectKey(in.Bucket, in.Key)
	// Asked again when the write is made final; asked now so that a body is not taken in vain.
	if err := l.view(func(t *txn) error { return mayWrite(t, in.Bucket, k, in.If) }); err != nil {
		return objects.Info{}, err
	}
	p, d, err := l.write(ctx, blob.Source{Body: in.Body, Size: in.Size, Checksum: in.Checksum, Verify: in.Verify})
	if err != nil {
		return objects.Info{}, err
	}
	r := &record.Object{
		Size: d.Size, Modified: l.moment(), ETag: hex.EncodeToString(d.MD5[:]), Checksum: d.Checksum, Meta: in.Meta,
	}
	if d.Size > 0 {
		p.Checksum = nil // the object's own says it
		r.Pieces = []record.Piece{p}
	}
	if err := l.replace(in.Bucket, k, in.If, r); err != nil {
		return objects.Info{}, err
	}
	return l.own(r).Info(in.Key), nil
}

// own gives a record that shares no maps or slices with a request: what was stored, read again.
func (l *Backend) own(r *record.Object) *record.Object {
	again, err := record.DecodeObject(r.Encode())
	if err != nil { // the codec is at fault; its tests would have said so
		l.log.Error("object record cannot be read back", "error", err)
		return r
	}
	return again
}

// write stores a body as a blob under a name that is free until a record takes it.
func (l *Backend) write(ctx context.Context, in blob.Source) (record.Piece, objects.Digest, error) {
	name, d, err := l.blobs.Write(ctx, in, l.index)
	if err != nil && l.closed.Load() {
		err = fmt.Errorf("%w: %w", objects.ErrClosed, err)
	}
	return record.Piece{Name: name, Size: d.Size, Checksum: d.Checksum.Value}, d, err
}

// replace makes r, whose blobs are durable, the record under k, and then removes the blobs of the one
// before. If it fails, r's blobs are removed.
func (l *Backend) replace(bucket string, k []byte, cond objects.Precondition, r *record.Object) error {
	var dead []blob.Name
	value, blobs := r.Encode(), r.Blobs()
	err := l.index.change(func(t *txn) error {
		old, err := writable(t, bucket, k, cond)
		if err != nil {
			return err
		}
		if old != nil {
			dead = old.Blobs()
		}
		t.put(t.objects, k, value)
		t.own(blobs)
		t.disown(dead)
		return nil
	})
	if err != nil {
		l.abandon(blobs, err)
		return err
	}
	l.erase(dead)
	return nil
}

// writable returns the record under k, nil if there is none, or why k may not be written.
func writable(t *txn, bucket string, k []byte, cond objects.Precondition) (*record.Object, error) {
	if t.gone.Get([]byte(bucket)) != nil {
		return nil, objects.ErrNoBucket
	}
	var old *record.Object
	if v := t.objects.Get(k); v != nil {
		var err error
		if old, err = record.DecodeObject(v); err != nil {
			return nil, err
		}
	}
	return old, check(cond, old)
}

func mayWrite(t *txn, bucket string, k []byte, cond objects.Precondition) error {
	if t.gone.Get([]byte(bucket)) != nil {
		return objects.ErrNoBucket
	}
	if cond == (objects.Precondition{}) {
		return nil
	}
	_, err := writable(t, bucket, k, cond)
	return err
}

// check says whether the write may go on over the object there is (nil: none).
func check(p objects.Precondition, old *record.Object) error {
	if p.IfMatch != "" {
		if old == nil {
			return objects.ErrNotFound
		}
		if p.IfMatch != "*" && p.IfMatch != old.ETag {
			return objects.ErrPrecondition
		}
	}
	if p.IfNoneMatch != "" && old != nil && (p.IfNoneMatch == "*" || p.IfNoneMatch == old.ETag) {
		return objects.ErrPrecondition
	}
	return nil
}

// abandon removes blobs that were written in vain because of err, and makes their names available. If
// err leaves open whether the index has them, they stay as they are for the next start to sort out.
func (l *Backend) abandon(names []blob.Name, err error) {
	if errors.Is(err, errUnknown) {
		return
	}
	for _, n := range names {
		if err := l.blobs.Unlink(n); err != nil {
			l.log.Warn("a blob written in vain stays until the next start", "error", err)
			continue
		}
		l.index.GiveBack(n)
	}
}

// erase removes the blobs of one dropped record, now or when its last reader is done.
func (l *Backend) erase(record []blob.Name) {
	if len(record) == 0 || !l.blobs.MayGo(record) {
		return
	}
	l.unlink(record)
}

func (l *Backend) unlink(names []blob.Name) {
	gone := names[:0:0]
	for _, n := range names {
		if err := l.blobs.Unlink(n); err != nil {
			l.log.Warn("a deleted blob stays until the next start", "error", err)
			continue
		}
		gone = append(gone, n)
	}
	l.index.forget(gone)
}

// Get implements [objects.Backend].
func (l *Backend) Get(ctx context.Context, bucket, key string) (objects.Info, objects.Body, error) {
	info, body, err := l.get(bucket, key)
	if err != nil {
		return objects.Info{}, nil, fmt.Errorf("opening an object: %w", err)
	}
	return info, body, nil
}

func (l *Backend) get(bucket, key string) (objects.Info, objects.Body, error) {
	r, err := l.lookup(bucket, key)
	for {
		if err != nil {
			return objects.Info{}, nil, err
		}
		body, oerr := l.open(r)
		if oerr != nil && !errors.Is(oerr, os.ErrNotExist) {
			return objects.Info{}, nil, oerr
		}
		if oerr == nil && len(r.Pieces) <= 1 {
			return r.Info(key), body, nil
		}
		// Between the look into the index and the opening or holding of its blobs the object may have been
		// replaced and its blobs removed. If the index still says the same, it was not: whoever drops
		// the record from now on meets the hold.
		again, err := l.lookup(bucket, key)
		if err == nil && sameBlobs(r, again) {
			if oerr != nil {
				return objects.Info{}, nil, fmt.Errorf("%w: %w", objects.ErrDamaged, oerr)
			}
			return r.Info(key), body, nil
		}
		if body != nil {
			body.Close()
		}
		r = again
		if err != nil {
			return objects.Info{}, nil, err
		}
	}
}

// sameBlobs says whether two records are the same version of an object. Names are never used twice for
// different blobs of records, so the first says it.
func sameBlobs(a, b *record.Object) bool {
	x, y := a.Blobs(), b.Blobs()
	return len(x) == len(y) && (len(x) == 0 || x[0] == y[0])
}

// open opens the record's blobs. With more than one, they are held, and opened as they are read.
func (l *Backend) open(r *record.Object) (objects.Body, error) {
	switch len(r.Pieces) {
	case 0:
		return empty{bytes.NewReader(nil)}, nil
	case 1:
		if r.Size == 0 {
			return empty{bytes.NewReader(nil)}, nil
		}
		f, err := l.blobs.Read(r.Pieces[0].Name, r.Size)
		if err != nil {
			return nil, err
		}
		return f, nil
	}
	return newPieces(l, r), nil
}

// empty is the body of an object without bytes.
type empty struct{ *bytes.Reader }

func (empty) Close() error { return nil }

// Head implements [objects.Backend].
func (l *Backend) Head(ctx context.Context, bucket, key string) (objects.Info, error) {
	r, err := l.lookup(bucket, key)
	if err != nil {
		return objects.Info{}, fmt.Errorf("looking up an object: %w", err)
	}
	return r.Info(key), nil
}

func (l *Backend) lookup(bucket, key string) (r *record.Object, err error) {
	if err := record.CheckKey(bucket, key); err != nil {
		return nil, err
	}
	err = l.view(func(t *txn) error {
		v := t.objects.Get(record.ObjectKey(bucket, key))
		if v == nil {
			return objects.ErrNotFound
		}
		r, err = record.DecodeObject(v)
		return err
	})
	return r, err
}

// Delete implements [objects.Backend].
func (l *Backend) Delete(ctx context.Context, bucket, key string) error {
	if err := record.CheckKey(bucket, key); err != nil {
		return fmt.Errorf("deleting an object: %w", err)
	}
	k := record.ObjectKey(bucket, key)
	var dead []blob.Name
	err := l.index.change(func(t *txn) error {
		v := t.objects.Get(k)
		if v == nil {
			return nil
		}
		r, err := record.DecodeObject(v)
		if err != nil {
			return err
		}
		dead = r.Blobs()
		t.delete(t.objects, k)
		t.disown(dead)
		return nil
	})
	if err != nil {
		return fmt.Errorf("deleting an object: %w", err)
	}
	l.erase(dead)
	return nil
}

// Copy implements [objects.Backend]. The copy's blobs are hard links to the source's, or, where the file
// system has none or no more of them, copies made inside the kernel if it can.
func (l *Backend) Copy(ctx context.Context, in objects.CopyRequest) (objects.Info, error) {
	info, err := l.copy(ctx, in)
	if err != nil {
		return objects.Info{}, fmt.Errorf("copying an object: %w", err)
	}
	return info, nil
}

func (l *Backend) copy(ctx context.Context, in objects.CopyRequest) (objects.Info, error) {
	if err := record.CheckKey(in.Bucket, in.Key); err != nil {
		return objects.Info{}, err
	}
	k := record.ObjectKey(in.Bucket, in.Key)
	if err := l.view(func(t *txn) error { return mayWrite(t, in.Bucket, k, in.If) }); err != nil {
		return objects.Info{}, err
	}
	r, err := l.lookup(in.SourceBucket, in.SourceKey)
	for {
		if err != nil {
			return objects.Info{}, err
		}
		if in.SourceETag != "" && in.SourceETag != r.ETag {
			return objects.Info{}, objects.ErrPrecondition
		}
		pieces, lerr := l.linkAll(ctx, r.Pieces)
		if lerr == nil {
			r.Pieces = pieces
			break
		}
		if !errors.Is(lerr, os.ErrNotExist) {
			return objects.Info{}, lerr
		}
		again, err := l.lookup(in.SourceBucket, in.SourceKey)
		if err != nil {
			return objects.Info{}, err
		}
		if sameBlobs(r, again) {
			return objects.Info{}, fmt.Errorf("%w: %w", objects.ErrDamaged, lerr)
		}
		r = again
	}
	r.Modified, r.Upload = l.moment(), ""
	if in.Meta != nil {
		r.Meta = *in.Meta
	}
	if err := l.replace(in.Bucket, k, in.If, r); err != nil {
		return objects.Info{}, err
	}
	return l.own(r).Info(in.Key), nil
}

// linkAll gives the pieces' bytes second names, durably. If it fails, none is left.
func (l *Backend) linkAll(ctx context.Context, from []record.Piece) (to []record.Piece, err error) {
	var names []blob.Name
	defer func() {
		if err != nil {
			l.abandon(names, err)
		}
	}()
	to = append(to, from...)
	for i := range to {
		if to[i].Size == 0 {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		name, err := l.index.Take()
		if err != nil {
			return nil, err
		}
		names = append(names, name)
		if err := l.blobs.Link(from[i].Name, from[i].Size, name); err != nil {
			return nil, err
		}
		to[i].Name = name
	}
	return to, l.blobs.Sync(names...)
}

// DeleteBucket implements [objects.Backend].
func (l *Backend) DeleteBucket(ctx context.Context, bucket string) error {
	if err := record.CheckBucket(bucket); err != nil {
		return fmt.Errorf("deleting a bucket: %w", err)
	}
	prefix := record.PrefixKey(bucket, "")
	var dead []blob.Name
	err := l.index.change(func(t *txn) error {
		if k, _ := t.objects.Cursor().Seek(prefix); bytes.HasPrefix(k, prefix) {
			return objects.ErrNotEmpty
		}
		var keys [][]byte
		c := t.uploads.Cursor()
		for k, _ := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, _ = c.Next() {
			keys = append(keys, append([]byte(nil), k...))
		}
		for _, k := range keys {
			names, err := dropUpload(t, k, nil)
			if err != nil {
				return err
			}
			dead = append(dead, names...)
		}
		t.put(t.gone, []byte(bucket), []byte{})
		return nil
	})
	if err != nil {
		return fmt.Errorf("deleting a bucket: %w", err)
	}
	l.unlink(dead)
	return nil
}

func (l *Backend) view(read func(*txn) error) error { return l.index.view(read) }

// moment is now, as records have it.
func (l *Backend) moment() time.Time { return l.now().UTC().Truncate(time.Second) }
