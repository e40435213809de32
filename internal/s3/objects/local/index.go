package local

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"

	"postern/internal/s3/objects"
	"postern/internal/s3/objects/local/blob"
)

// The index is one bbolt file. Its buckets:
//
//	format   "version" → 01
//	objects  object key → object record
//	uploads  upload key → upload record
//	parts    part key → part record
//	free     blob name → nothing: names that no record owns
//	gone     bucket id → nothing: buckets that were deleted
//
// Every blob file's name is in the index before the file is made, and until after it is removed: as
// owned by one record, or as free. A transaction that stores a record takes its names out of free, one
// that drops a record puts them in. So a crash at any point leaves only files under free names, and
// removing those at the next start is the whole orphan sweep: exact, done before anything is written,
// and in proportion to what was in flight instead of to what is stored.
var (
	bucketFormat  = []byte("format")
	bucketObjects = []byte("objects")
	bucketUploads = []byte("uploads")
	bucketParts   = []byte("parts")
	bucketFree    = []byte("free")
	bucketGone    = []byte("gone")

	keyVersion = []byte("version")
)

const (
	indexFile    = "index.db"
	indexVersion = 1
	// lockTimeout is how long opening waits for another process to let go of the index, which one that
	// was just killed does within milliseconds.
	lockTimeout = time.Second
	// initialMap is the address space mapped at first. bbolt doubles it as the index grows.
	initialMap = 1 << 20
	// lowNames and refillNames: a transaction that finds fewer than lowNames free names ready adds
	// refillNames, so that writers hardly ever wait for a name.
	lowNames    = 32
	refillNames = 64
	// maxBatch bounds how many changes one transaction makes.
	maxBatch = 256
)

// errUnknown: whether a change is durable is not known before the next start.
var errUnknown = errors.New("the storage failed and the object folder must be opened again")

// index serialises changes: what arrives while one transaction is being made durable goes together
// into the next. A transaction costs two fsyncs, however many changes it makes.
type index struct {
	db     *bbolt.DB
	queue  chan *change
	stop   chan struct{}
	ended  chan struct{}
	once   sync.Once
	failed error // only the committer's: the storage failed in a transaction whose outcome is unknown

	mu     sync.Mutex
	ready  []blob.Name // free in the index, no file, not given to anybody
	erased []blob.Name // free in the index, file removed: the entries can go
}

// change is one caller's part of a transaction.
type change struct {
	// apply checks first and changes afterwards: if it returns an error it has changed nothing.
	apply func(*txn) error
	err   chan error
}

// txn is a transaction on the index. Its writes do not return errors: the first one is kept and fails
// the whole transaction.
type txn struct {
	objects, uploads, parts, free, gone *bbolt.Bucket

	dirty bool
	err   error
}

func newTxn(tx *bbolt.Tx) *txn {
	return &txn{
		objects: tx.Bucket(bucketObjects), uploads: tx.Bucket(bucketUploads), parts: tx.Bucket(bucketParts),
		free: tx.Bucket(bucketFree), gone: tx.Bucket(bucketGone),
	}
}

func (t *txn) note(err error) {
	t.dirty = true
	if t.err == nil {
		t.err = err
	}
}

func (t *txn) put(b *bbolt.Bucket, k, v []byte) { t.note(b.Put(k, v)) }
func (t *txn) delete(b *bbolt.Bucket, k []byte) { t.note(b.Delete(k)) }

// own takes a new record's blob names out of the free ones.
func (t *txn) own(names []blob.Name) {
	for i := range names {
		t.delete(t.free, names[i][:])
	}
}

// disown makes a dropped record's blob names free.
func (t *txn) disown(names []blob.Name) {
	for i := range names {
		t.put(t.free, names[i][:], []byte{})
	}
}

// openIndex opens the index in dir. If there is none, it calls prepare, under the index's lock, and
// then makes one.
func openIndex(dir string, prepare func() error) (ix *index, err error) {
	path := filepath.Join(dir, indexFile)
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout: lockTimeout,
		// The free list is written with each transaction: without it every start would read the whole
		// index to find the free pages again.
		NoFreelistSync:  false,
		FreelistType:    bbolt.FreelistMapType,
		InitialMmapSize: initialMap,
		NoStatistics:    true,
	})
	if errors.Is(err, bbolterrors.ErrTimeout) {
		return nil, fmt.Errorf("opening %s: %w; stop the process that uses it", path, objects.ErrLocked)
	}
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			db.Close()
		}
	}()
	version := -1
	err = db.View(func(tx *bbolt.Tx) error {
		if b := tx.Bucket(bucketFormat); b != nil {
			if v := b.Get(keyVersion); len(v) == 1 {
				version = int(v[0])
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	switch {
	case version == -1:
		if err = prepare(); err != nil {
			return nil, err
		}
		if err = formatIndex(db); err != nil {
			return nil, fmt.Errorf("making %s: %w", path, err)
		}
	case version != indexVersion:
		return nil, fmt.Errorf("opening %s: its format %d is of another version of the program, this one knows %d",
			path, version, indexVersion)
	}
	ix = &index{
		db: db, queue: make(chan *change), stop: make(chan struct{}), ended: make(chan struct{}),
	}
	return ix, nil
}

func formatIndex(db *bbolt.DB) error {
	return db.Update(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{bucketObjects, bucketUploads, bucketParts, bucketFree, bucketGone} {
			if _, err := tx.CreateBucket(name); err != nil {
				return err
			}
		}
		for range refillNames {
			n := blob.NewName()
			if err := tx.Bucket(bucketFree).Put(n[:], []byte{}); err != nil {
				return err
			}
		}
		b, err := tx.CreateBucket(bucketFormat)
		if err != nil {
			return err
		}
		return b.Put(keyVersion, []byte{indexVersion})
	})
}

// start sweeps, with remove, the files under free names, and begins to commit changes.
func (ix *index) start(remove func(blob.Name) error) error {
	err := ix.view(func(t *txn) error {
		return t.free.ForEach(func(k, _ []byte) error {
			var n blob.Name
			if copy(n[:], k) != len(n) || len(k) != len(n) {
				return fmt.Errorf("%w: a free blob name of %d bytes", objects.ErrDamaged, len(k))
			}
			if err := remove(n); err != nil {
				return err
			}
			if len(ix.ready) < lowNames+refillNames {
				ix.ready = append(ix.ready, n)
			} else {
				ix.erased = append(ix.erased, n)
			}
			return nil
		})
	})
	if err != nil {
		return fmt.Errorf("removing what the last run left: %w", err)
	}
	go ix.commitLoop()
	return nil
}

// view reads one moment's state.
func (ix *index) view(read func(*txn) error) error {
	tx, err := ix.db.Begin(false)
	if err != nil {
		return closedError(err)
	}
	defer tx.Rollback()
	return read(newTxn(tx))
}

// change has apply take part in the next transaction, and returns when that is durable.
func (ix *index) change(apply func(*txn) error) error {
	c := &change{apply: apply, err: make(chan error, 1)}
	select {
	case ix.queue <- c:
		return <-c.err
	case <-ix.stop:
		return objects.ErrClosed
	}
}

func (ix *index) commitLoop() {
	defer close(ix.ended)
	batch := make([]*change, 0, maxBatch)
	for {
		select {
		case c := <-ix.queue:
			batch = append(batch[:0], c)
		case <-ix.stop:
			return
		}
		for more := true; more && len(batch) < maxBatch; {
			select {
			case c := <-ix.queue:
				batch = append(batch, c)
			default:
				more = false
			}
		}
		ix.commit(batch)
		clear(batch)
	}
}

// commit makes one transaction of a batch and answers everybody in it.
func (ix *index) commit(batch []*change) {
	errs := make([]error, len(batch))
	if err := ix.transact(batch, errs); err != nil {
		for i := range errs {
			if errs[i] == nil {
				errs[i] = fmt.Errorf("writing the index: %w", err)
			}
		}
	}
	for i, c := range batch {
		c.err <- errs[i]
	}
}

func (ix *index) transact(batch []*change, errs []error) (err error) {
	if ix.failed != nil {
		return ix.failed
	}
	tx, err := ix.db.Begin(true)
	if err != nil {
		return closedError(err)
	}
	id := tx.ID()
	t := newTxn(tx)
	for i, c := range batch {
		errs[i] = c.apply(t)
	}
	added, dropped := ix.tend(t)
	if t.err != nil || !t.dirty {
		tx.Rollback()
		ix.settle(nil, dropped)
		return t.err
	}
	if err = tx.Commit(); err == nil {
		ix.settle(added, nil)
		return nil
	}
	tx.Rollback()
	ix.settle(nil, dropped)
	// The transaction may be on the disk all the same if its last page was written and only the fsync
	// failed; then no name may be used or given back any more, and the next start finds out.
	if now, verr := ix.lastCommitted(); verr != nil || now >= id {
		ix.failed = fmt.Errorf("%w: %w", errUnknown, err)
		return ix.failed
	}
	return err
}

// lastCommitted is the id of the newest transaction that a reader sees.
func (ix *index) lastCommitted() (int, error) {
	tx, err := ix.db.Begin(false)
	if err != nil {
		return 0, err
	}
	defer tx.Rollback()
	return tx.ID(), nil
}

// tend takes the names of erased blobs out of the index and adds fresh ones if few are left. settle
// must follow.
func (ix *index) tend(t *txn) (added, dropped []blob.Name) {
	ix.mu.Lock()
	dropped, ix.erased = ix.erased, nil
	low := len(ix.ready) < lowNames
	ix.mu.Unlock()
	if t.err != nil {
		return nil, dropped
	}
	if t.dirty || low {
		t.own(dropped)
	}
	if low {
		added = make([]blob.Name, refillNames)
		for i := range added {
			added[i] = blob.NewName()
		}
		t.disown(added)
	}
	return added, dropped
}

// settle makes added names available, and keeps those for the next transaction that this one did not
// get out of the index.
func (ix *index) settle(added, kept []blob.Name) {
	ix.mu.Lock()
	ix.ready = append(ix.ready, added...)
	ix.erased = append(ix.erased, kept...)
	ix.mu.Unlock()
}

// Take gives out a free name, for a file that does not exist.
func (ix *index) Take() (blob.Name, error) {
	for {
		ix.mu.Lock()
		if n := len(ix.ready); n > 0 {
			name := ix.ready[n-1]
			ix.ready = ix.ready[:n-1]
			ix.mu.Unlock()
			return name, nil
		}
		ix.mu.Unlock()
		if err := ix.change(func(*txn) error { return nil }); err != nil {
			return blob.Name{}, err
		}
	}
}

// GiveBack returns a name that Take gave, whose file is gone and which no record ever had.
func (ix *index) GiveBack(n blob.Name) { ix.settle([]blob.Name{n}, nil) }

// forget has the next transaction drop names whose files are gone. They are not used again in this
// run: a reader may have met one in a record and still be about to open it.
func (ix *index) forget(names []blob.Name) { ix.settle(nil, names) }

// close ends the committer after the transaction it is in. Nothing is lost: what is not durable was
// not acknowledged.
func (ix *index) close() error {
	ix.once.Do(func() { close(ix.stop) })
	<-ix.ended
	return ix.db.Close()
}

func closedError(err error) error {
	if errors.Is(err, bbolterrors.ErrDatabaseNotOpen) {
		return objects.ErrClosed
	}
	return err
}
