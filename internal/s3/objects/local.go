package objects

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"
)

// LocalConfig configures [OpenLocal].
type LocalConfig struct {
	Dir    string           // folder for blobs and index, made if missing (0700); required
	Now    func() time.Time // required
	Logger *slog.Logger     // required
	// MinPartSize is the least size of a part that is not the last, in bytes; 0 is S3's 5 MiB.
	MinPartSize int64
}

// Local is the [Backend] of one machine: a folder with an index, index.db, and blob files with random
// names below blobs/00 … blobs/ff.
//
// A body is written to a blob and fsynced; then the index takes the record in, in a transaction that
// it shares with whoever else is writing; then the call returns. What is replaced or deleted leaves
// the index first and the folder afterwards. A copy is a hard link, so every blob name belongs to one
// record and nothing is counted.
type Local struct {
	index       *index
	blobs       *blobs
	root        *os.Root
	now         func() time.Time
	log         *slog.Logger
	minPartSize int64
	closed      atomic.Bool
}

var _ Backend = (*Local)(nil)

// OpenLocal opens the folder, making it if it is not there, and removes what a crash left. The folder
// stays locked until Close; ErrLocked says that somebody else holds it.
func OpenLocal(c LocalConfig) (*Local, error) {
	if c.Dir == "" || c.Now == nil || c.Logger == nil {
		return nil, errors.New("opening the object folder: Dir, Now and Logger are required")
	}
	if c.MinPartSize == 0 {
		c.MinPartSize = MinPartSize
	}
	blobDir := filepath.Join(c.Dir, "blobs")
	if err := os.MkdirAll(blobDir, 0o700); err != nil {
		return nil, fmt.Errorf("making the object folder: %w", err)
	}
	root, err := os.OpenRoot(blobDir)
	if err != nil {
		return nil, fmt.Errorf("opening the object folder: %w", err)
	}
	syncFolders := needsFolderSync(blobDir)
	index, err := openIndex(c.Dir, func() error { return makeFolders(c.Dir, root, syncFolders) })
	if err != nil {
		root.Close()
		return nil, err
	}
	l := &Local{
		index: index, blobs: openBlobs(root, syncFolders), root: root,
		now: c.Now, log: c.Logger, minPartSize: c.MinPartSize,
	}
	if err := index.start(l.blobs.unlink); err != nil {
		index.db.Close()
		root.Close()
		return nil, err
	}
	return l, nil
}

// makeFolders makes the 256 blob folders once and for all, and makes them and the way to them durable.
func makeFolders(dir string, blobs *os.Root, syncEach bool) error {
	for i := range 256 {
		name := hex.EncodeToString([]byte{byte(i)})
		if err := blobs.Mkdir(name, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
			return fmt.Errorf("making a blob folder: %w", err)
		}
		if syncEach {
			if err := syncFolder(blobs, name); err != nil {
				return err
			}
		}
	}
	if err := syncFolder(blobs, "."); err != nil {
		return err
	}
	for _, d := range []string{dir, filepath.Dir(filepath.Clean(dir))} {
		f, err := os.Open(d)
		if err != nil {
			return fmt.Errorf("making the object folder durable: %w", err)
		}
		err = f.Sync()
		f.Close()
		if err != nil {
			return fmt.Errorf("making the object folder durable: %w", err)
		}
	}
	return nil
}

// Close implements [Backend].
func (l *Local) Close() error {
	if l.closed.Swap(true) {
		return nil
	}
	err := l.index.close()
	if cerr := l.root.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("closing the object folder: %w", err)
	}
	return nil
}

// Put implements [Backend].
func (l *Local) Put(ctx context.Context, in PutRequest) (Info, error) {
	info, err := l.put(ctx, in)
	if err != nil {
		return Info{}, fmt.Errorf("storing an object: %w", err)
	}
	return info, nil
}

func (l *Local) put(ctx context.Context, in PutRequest) (Info, error) {
	if err := checkKey(in.Bucket, in.Key); err != nil {
		return Info{}, err
	}
	k := objectKey(in.Bucket, in.Key)
	// Asked again when the write is made final; asked now so that a body is not taken in vain.
	if err := l.view(func(t *txn) error { return mayWrite(t, in.Bucket, k, in.If) }); err != nil {
		return Info{}, err
	}
	p, d, err := l.write(ctx, in.Body, in.Size, in.Checksum, in.Verify)
	if err != nil {
		return Info{}, err
	}
	r := &objectRecord{
		size: d.Size, modified: l.moment(), etag: hex.EncodeToString(d.MD5[:]), checksum: d.Checksum, meta: in.Meta,
	}
	if d.Size > 0 {
		p.checksum = nil // the object's own says it
		r.pieces = []piece{p}
	}
	if err := l.replace(in.Bucket, k, in.If, r); err != nil {
		return Info{}, err
	}
	return l.own(r).info(in.Key), nil
}

// own gives a record that shares no maps or slices with a request: what was stored, read again.
func (l *Local) own(r *objectRecord) *objectRecord {
	again, err := decodeObject(r.encode())
	if err != nil { // the codec is at fault; its tests would have said so
		l.log.Error("object record cannot be read back", "error", err)
		return r
	}
	return again
}

// write stores a body as a blob under a name that is free until a record takes it.
func (l *Local) write(ctx context.Context, body io.Reader, size int64, a Algorithm, verify Verify) (piece, Digest, error) {
	p, d, err := l.blobs.write(ctx, body, size, a, verify, l.index.take, l.index.giveBack)
	if err != nil && l.closed.Load() {
		err = fmt.Errorf("%w: %w", ErrClosed, err)
	}
	return p, d, err
}

// replace makes r, whose blobs are durable, the record under k, and then removes the blobs of the one
// before. If it fails, r's blobs are removed.
func (l *Local) replace(bucket string, k []byte, cond Precondition, r *objectRecord) error {
	var dead []blobName
	value, blobs := r.encode(), r.blobs()
	err := l.index.change(func(t *txn) error {
		old, err := writable(t, bucket, k, cond)
		if err != nil {
			return err
		}
		if old != nil {
			dead = old.blobs()
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
func writable(t *txn, bucket string, k []byte, cond Precondition) (*objectRecord, error) {
	if t.gone.Get([]byte(bucket)) != nil {
		return nil, ErrNoBucket
	}
	var old *objectRecord
	if v := t.objects.Get(k); v != nil {
		var err error
		if old, err = decodeObject(v); err != nil {
			return nil, err
		}
	}
	return old, cond.check(old)
}

func mayWrite(t *txn, bucket string, k []byte, cond Precondition) error {
	if t.gone.Get([]byte(bucket)) != nil {
		return ErrNoBucket
	}
	if cond == (Precondition{}) {
		return nil
	}
	_, err := writable(t, bucket, k, cond)
	return err
}

// check says whether the write may go on over the object there is (nil: none).
func (p Precondition) check(old *objectRecord) error {
	if p.IfMatch != "" {
		if old == nil {
			return ErrNotFound
		}
		if p.IfMatch != "*" && p.IfMatch != old.etag {
			return ErrPrecondition
		}
	}
	if p.IfNoneMatch != "" && old != nil && (p.IfNoneMatch == "*" || p.IfNoneMatch == old.etag) {
		return ErrPrecondition
	}
	return nil
}

// abandon removes blobs that were written in vain because of err, and makes their names available. If
// err leaves open whether the index has them, they stay as they are for the next start to sort out.
func (l *Local) abandon(names []blobName, err error) {
	if errors.Is(err, errUnknown) {
		return
	}
	for _, n := range names {
		if err := l.blobs.unlink(n); err != nil {
			l.log.Warn("a blob written in vain stays until the next start", "error", err)
			continue
		}
		l.index.giveBack(n)
	}
}

// erase removes the blobs of one dropped record, now or when its last reader is done.
func (l *Local) erase(record []blobName) {
	if len(record) == 0 || !l.blobs.mayGo(record) {
		return
	}
	l.unlink(record)
}

func (l *Local) unlink(names []blobName) {
	gone := names[:0:0]
	for _, n := range names {
		if err := l.blobs.unlink(n); err != nil {
			l.log.Warn("a deleted blob stays until the next start", "error", err)
			continue
		}
		gone = append(gone, n)
	}
	l.index.forget(gone)
}

// Get implements [Backend].
func (l *Local) Get(ctx context.Context, bucket, key string) (Info, Body, error) {
	info, body, err := l.get(bucket, key)
	if err != nil {
		return Info{}, nil, fmt.Errorf("opening an object: %w", err)
	}
	return info, body, nil
}

func (l *Local) get(bucket, key string) (Info, Body, error) {
	r, err := l.lookup(bucket, key)
	for {
		if err != nil {
			return Info{}, nil, err
		}
		body, oerr := l.open(r)
		if oerr != nil && !errors.Is(oerr, os.ErrNotExist) {
			return Info{}, nil, oerr
		}
		if oerr == nil && len(r.pieces) <= 1 {
			return r.info(key), body, nil
		}
		// Between the look into the index and the opening or holding of its blobs the object may have been
		// replaced and its blobs removed. If the index still says the same, it was not: whoever drops
		// the record from now on meets the hold.
		again, err := l.lookup(bucket, key)
		if err == nil && sameBlobs(r, again) {
			if oerr != nil {
				return Info{}, nil, fmt.Errorf("%w: %w", ErrDamaged, oerr)
			}
			return r.info(key), body, nil
		}
		if body != nil {
			body.Close()
		}
		r = again
		if err != nil {
			return Info{}, nil, err
		}
	}
}

// sameBlobs says whether two records are the same version of an object. Names are never used twice for
// different blobs of records, so the first says it.
func sameBlobs(a, b *objectRecord) bool {
	x, y := a.blobs(), b.blobs()
	return len(x) == len(y) && (len(x) == 0 || x[0] == y[0])
}

// open opens the record's blobs. With more than one, they are held, and opened as they are read.
func (l *Local) open(r *objectRecord) (Body, error) {
	switch len(r.pieces) {
	case 0:
		return empty{bytes.NewReader(nil)}, nil
	case 1:
		if r.size == 0 {
			return empty{bytes.NewReader(nil)}, nil
		}
		f, err := l.blobs.open(r.pieces[0])
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

// Head implements [Backend].
func (l *Local) Head(ctx context.Context, bucket, key string) (Info, error) {
	r, err := l.lookup(bucket, key)
	if err != nil {
		return Info{}, fmt.Errorf("looking up an object: %w", err)
	}
	return r.info(key), nil
}

func (l *Local) lookup(bucket, key string) (r *objectRecord, err error) {
	if err := checkKey(bucket, key); err != nil {
		return nil, err
	}
	err = l.view(func(t *txn) error {
		v := t.objects.Get(objectKey(bucket, key))
		if v == nil {
			return ErrNotFound
		}
		r, err = decodeObject(v)
		return err
	})
	return r, err
}

// Delete implements [Backend].
func (l *Local) Delete(ctx context.Context, bucket, key string) error {
	if err := checkKey(bucket, key); err != nil {
		return fmt.Errorf("deleting an object: %w", err)
	}
	k := objectKey(bucket, key)
	var dead []blobName
	err := l.index.change(func(t *txn) error {
		v := t.objects.Get(k)
		if v == nil {
			return nil
		}
		r, err := decodeObject(v)
		if err != nil {
			return err
		}
		dead = r.blobs()
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

// Copy implements [Backend]. The copy's blobs are hard links to the source's, or, where the file
// system has none or no more of them, copies made inside the kernel if it can.
func (l *Local) Copy(ctx context.Context, in CopyRequest) (Info, error) {
	info, err := l.copy(ctx, in)
	if err != nil {
		return Info{}, fmt.Errorf("copying an object: %w", err)
	}
	return info, nil
}

func (l *Local) copy(ctx context.Context, in CopyRequest) (Info, error) {
	if err := checkKey(in.Bucket, in.Key); err != nil {
		return Info{}, err
	}
	k := objectKey(in.Bucket, in.Key)
	if err := l.view(func(t *txn) error { return mayWrite(t, in.Bucket, k, in.If) }); err != nil {
		return Info{}, err
	}
	r, err := l.lookup(in.SourceBucket, in.SourceKey)
	for {
		if err != nil {
			return Info{}, err
		}
		if in.SourceETag != "" && in.SourceETag != r.etag {
			return Info{}, ErrPrecondition
		}
		pieces, lerr := l.linkAll(ctx, r.pieces)
		if lerr == nil {
			r.pieces = pieces
			break
		}
		if !errors.Is(lerr, os.ErrNotExist) {
			return Info{}, lerr
		}
		again, err := l.lookup(in.SourceBucket, in.SourceKey)
		if err != nil {
			return Info{}, err
		}
		if sameBlobs(r, again) {
			return Info{}, fmt.Errorf("%w: %w", ErrDamaged, lerr)
		}
		r = again
	}
	r.modified, r.upload = l.moment(), ""
	if in.Meta != nil {
		r.meta = *in.Meta
	}
	if err := l.replace(in.Bucket, k, in.If, r); err != nil {
		return Info{}, err
	}
	return l.own(r).info(in.Key), nil
}

// linkAll gives the pieces' bytes second names, durably. If it fails, none is left.
func (l *Local) linkAll(ctx context.Context, from []piece) (to []piece, err error) {
	var names []blobName
	defer func() {
		if err != nil {
			l.abandon(names, err)
		}
	}()
	folders := make(map[string]bool)
	to = append(to, from...)
	for i := range to {
		if to[i].size == 0 {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		name, err := l.index.take()
		if err != nil {
			return nil, err
		}
		names = append(names, name)
		if err := l.blobs.link(from[i], name); err != nil {
			return nil, err
		}
		to[i].name = name
		folders[name.folder()] = true
	}
	for f := range folders {
		if err := l.blobs.syncFolder(f); err != nil {
			return nil, err
		}
	}
	return to, nil
}

// DeleteBucket implements [Backend].
func (l *Local) DeleteBucket(ctx context.Context, bucket string) error {
	if err := checkBucket(bucket); err != nil {
		return fmt.Errorf("deleting a bucket: %w", err)
	}
	prefix := prefixKey(bucket, "")
	var dead []blobName
	err := l.index.change(func(t *txn) error {
		if k, _ := t.objects.Cursor().Seek(prefix); bytes.HasPrefix(k, prefix) {
			return ErrNotEmpty
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

func (l *Local) view(read func(*txn) error) error { return l.index.view(read) }

// moment is now, as records have it.
func (l *Local) moment() time.Time { return l.now().UTC().Truncate(time.Second) }
