package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// View is a watched copy of the records below a prefix, decoded, in memory. Reading it touches neither
// disk nor network, and does not wait for writers. It follows the store by itself; when it has lost the
// watch it keeps showing what it had, says so in Health, and reads everything anew as soon as it can.
//
// Keys are full record keys. Values are shared between everybody who reads the view: T is a value, or a
// pointer to something that is never changed. A view is safe for concurrent use.
//
// A record that does not decode is not in the view, and Health names it: what cannot be understood is
// not trusted, even if an older version of it could.
type View[T any] struct {
	prefix string
	src    source
	decode func(Record) (T, error)
	cancel context.CancelFunc
	done   chan struct{} // closed when the view follows no more

	mu      sync.RWMutex
	records map[string]T
	rev     int64
	bad     map[string]error // records that do not decode, by key
	lost    error            // why the watch is not followed at the moment
	closed  error            // why the view follows no more
	// changed is closed and forgotten when records changes, advanced when rev, lost or closed does.
	// Both are nil while nobody waits.
	changed, advanced chan struct{}
	// shared is set when somebody holds the map records: the next change makes a new one first.
	shared atomic.Bool
}

// source is what a view needs of a [Store].
type source interface {
	List(ctx context.Context, prefix, after string, limit int) (recs []Record, more bool, rev int64, err error)
	Watch(ctx context.Context, prefix string, fromRev int64) <-chan Batch
}

// NewView reads the records below a prefix and follows them until Close, of the view or of the store.
// ctx bounds the first read only. decode must not keep or change the record's value; it runs in the
// view's goroutine, must not wait, and must not use the view. A record that does not decode now makes
// NewView fail.
func NewView[T any](ctx context.Context, s *Store, prefix string, decode func(Record) (T, error)) (*View[T], error) {
	return newView(ctx, s, prefix, decode)
}

func newView[T any](ctx context.Context, src source, prefix string, decode func(Record) (T, error)) (*View[T], error) {
	v := &View[T]{prefix: prefix, src: src, decode: decode, done: make(chan struct{})}
	if err := v.load(ctx); err != nil {
		return nil, fmt.Errorf("viewing %s: %w", prefix, err)
	}
	if err := v.undecoded(); err != nil {
		return nil, fmt.Errorf("viewing %s: %w", prefix, err)
	}
	following, cancel := context.WithCancel(context.Background())
	v.cancel = cancel
	go v.run(following)
	return v, nil
}

// Get answers from memory.
func (v *View[T]) Get(key string) (T, bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	t, ok := v.records[key]
	return t, ok
}

// Snapshot is the whole view at one revision. The map is shared and never changes again: read it, keep
// it, do not write to it. Taking one costs nothing; the first change after it copies the map.
func (v *View[T]) Snapshot() (map[string]T, int64) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	v.shared.Store(true)
	return v.records, v.rev
}

// Revision is the store's revision that the view shows. It advances with every write to the store, also
// of records that are not in the view.
func (v *View[T]) Revision() int64 {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.rev
}

// Wait returns when the view shows a revision or a later one. A writer that waits for the revision of
// its own write reads it back from the view. The error is ctx's, or [ErrClosed].
func (v *View[T]) Wait(ctx context.Context, rev int64) error {
	for {
		v.mu.RLock()
		there := v.rev >= rev
		v.mu.RUnlock()
		if there {
			return nil
		}
		v.mu.Lock()
		at, lost, closed := v.rev, v.lost, v.closed
		if v.advanced == nil {
			v.advanced = make(chan struct{})
		}
		advanced := v.advanced
		v.mu.Unlock()
		if at >= rev {
			return nil
		}
		if closed != nil {
			return closed
		}
		select {
		case <-advanced:
		case <-ctx.Done():
			err := fmt.Errorf("waiting for revision %d of %s, which is at %d: %w", rev, v.prefix, at, ctx.Err())
			if lost != nil {
				err = fmt.Errorf("%w (%w)", err, lost)
			}
			return err
		}
	}
}

// Changed is closed at the next change of a record in the view, and when the view is closed. Take it
// before the snapshot: what happens after the one is in the other.
func (v *View[T]) Changed() <-chan struct{} {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.changed == nil {
		v.changed = make(chan struct{})
		if v.closed != nil {
			close(v.changed)
		}
	}
	return v.changed
}

// Health is nil while the view follows the store and understands every record.
func (v *View[T]) Health() error {
	v.mu.RLock()
	defer v.mu.RUnlock()
	switch {
	case v.closed != nil:
		return v.closed
	case v.lost != nil:
		return fmt.Errorf("the view of %s shows revision %d and does not follow: %w", v.prefix, v.rev, v.lost)
	}
	return v.undecodedLocked()
}

// Close ends the view. It goes on showing what it has, and says in Health that it is closed.
func (v *View[T]) Close() {
	v.cancel()
	<-v.done
}

func (v *View[T]) undecoded() error {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.undecodedLocked()
}

func (v *View[T]) undecodedLocked() error {
	if len(v.bad) == 0 {
		return nil
	}
	key := slices.Min(slices.Collect(maps.Keys(v.bad)))
	return fmt.Errorf("%d records of %s cannot be read, the first is %s: %w", len(v.bad), v.prefix, key, v.bad[key])
}

// resyncPause is how long a view that has lost the watch waits before it reads everything anew.
const resyncPause = 100 * time.Millisecond

// run follows the store until ctx ends or the store is closed.
func (v *View[T]) run(ctx context.Context) {
	defer close(v.done)
	defer v.cancel()
	for {
		err := v.follow(ctx)
		// Events may be missing from here on: what there is now replaces all there was.
		for err != nil {
			if ctx.Err() != nil || errors.Is(err, ErrClosed) {
				v.end()
				return
			}
			v.update(func() { v.lost = err })
			if err = sleep(ctx, resyncPause); err == nil {
				err = v.load(ctx)
			}
		}
	}
}

// follow applies batches until the watch ends, and says why it did.
func (v *View[T]) follow(ctx context.Context) error {
	for b := range v.src.Watch(ctx, v.prefix, v.rev+1) { // only this goroutine writes rev
		if b.Err != nil {
			return b.Err
		}
		v.apply(b)
	}
	return errors.New("the watch ended")
}

// load reads everything.
func (v *View[T]) load(ctx context.Context) error {
	recs, _, rev, err := v.src.List(ctx, v.prefix, "", 0)
	if err != nil {
		return err
	}
	records, bad := make(map[string]T, len(recs)), make(map[string]error)
	for _, r := range recs {
		if t, err := v.decode(r); err != nil {
			bad[r.Key] = err
		} else {
			records[r.Key] = t
		}
	}
	v.update(func() {
		v.records, v.bad, v.rev, v.lost = records, bad, rev, nil
		v.shared.Store(false)
		announce(&v.changed)
	})
	return nil
}

// apply makes the changes of a batch, all at once: a transaction is never seen in part.
func (v *View[T]) apply(b Batch) {
	type change struct {
		key    string
		value  T
		delete bool
		err    error
	}
	changes := make([]change, 0, len(b.Events))
	for _, e := range b.Events {
		c := change{key: e.Record.Key, delete: e.Type == EventDelete}
		if !c.delete {
			c.value, c.err = v.decode(e.Record)
		}
		changes = append(changes, c)
	}
	v.update(func() {
		v.rev = b.Revision
		if len(changes) == 0 {
			return
		}
		if v.shared.Swap(false) {
			v.records = maps.Clone(v.records)
		}
		for _, c := range changes {
			delete(v.bad, c.key)
			switch {
			case c.err != nil:
				v.bad[c.key] = c.err
				delete(v.records, c.key)
			case c.delete:
				delete(v.records, c.key)
			default:
				v.records[c.key] = c.value
			}
		}
		announce(&v.changed)
	})
}

// end says to everybody that the view follows no more.
func (v *View[T]) end() {
	v.update(func() {
		v.closed = fmt.Errorf("the view of %s: %w", v.prefix, ErrClosed)
		announce(&v.changed)
	})
}

// update changes the view's state and wakes who waits for it to advance.
func (v *View[T]) update(change func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	change()
	announce(&v.advanced)
}

// announce wakes everybody who waits on a channel, and forgets it.
func announce(ch *chan struct{}) {
	if *ch != nil {
		close(*ch)
		*ch = nil
	}
}
