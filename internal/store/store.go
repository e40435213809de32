// Package store keeps Postern's records: small versioned values under path-like keys, in an etcd
// member that runs inside this process. It offers what every service needs and no more: get, list by
// prefix with paging, transact on compared revisions, watch from a revision, and a [View], a watched
// copy in memory from which services read.
package store

import (
	"context"
	"errors"
	"log/slog"
)

// Errors that callers branch on.
var (
	// ErrLocked: another process, or another Store of this one, has the folder open.
	ErrLocked = errors.New("the record store is in use")
	// ErrNotFound: there is no record under that key.
	ErrNotFound = errors.New("no such record")
	// ErrConflict: a compare of a transaction did not hold; nothing was written.
	ErrConflict = errors.New("the record was changed by somebody else")
	// ErrUnknown: the write timed out; it may or may not have happened, now or later.
	ErrUnknown = errors.New("the outcome of the write is unknown")
	// ErrTooLarge: a value, or a transaction as a whole, is over its limit; nothing was written.
	ErrTooLarge = errors.New("the record is too large")
	// ErrTooManyOps: a transaction has more than [MaxOps] operations; nothing was written.
	ErrTooManyOps = errors.New("too many operations in one transaction")
	// ErrInvalid: a key, a limit or a transaction is malformed; nothing was done.
	ErrInvalid = errors.New("invalid request to the record store")
	// ErrCompacted: the history a watch asked for is gone; read the records anew and watch from there.
	ErrCompacted = errors.New("the history of the record store was compacted")
	// ErrClosed: the store or the view was closed.
	ErrClosed = errors.New("the record store is closed")
	// ErrNoSpace: the store has reached its quota and takes no writes.
	ErrNoSpace = errors.New("the record store is full")
	// ErrNewerFormat: the folder was written by a newer Postern.
	ErrNewerFormat = errors.New("the record store was written by a newer version")
)

// Config says where the store is.
type Config struct {
	// Dir is the store's own folder. It is made (0700) if it is missing.
	Dir string
	// Logger receives warnings. Nil means none.
	Logger *slog.Logger
}

// Store is an open record store. It is safe for concurrent use.
type Store struct{}

// Record is one value and its history.
type Record struct {
	Key   string
	Value []byte
	// Revision is the store's revision at which the value was written last.
	Revision int64
	// CreateRevision is the revision at which the key came to be (anew, after a deletion).
	CreateRevision int64
}

// Txn is a list of writes that happen together, at one revision, if every compare holds.
type Txn struct {
	If     []Compare
	Put    []Put
	Delete []string
}

// Compare holds if the record under Key was last written at Revision; 0 means that there is none.
type Compare struct {
	Key      string
	Revision int64
}

// Put writes Value under Key.
type Put struct {
	Key   string
	Value []byte
}

// EventType says what happened to a record.
type EventType uint8

const (
	// EventPut: the record was written.
	EventPut EventType = iota
	// EventDelete: the record was deleted; only Key and Revision of its Record are set.
	EventDelete
)

// Event is one change of one record.
type Event struct {
	Type   EventType
	Record Record
}

// Batch holds all the changes of the watched prefix at one or more consecutive revisions.
type Batch struct {
	// Revision is the last revision the batch covers.
	Revision int64
	Events   []Event
	// Err ends the watch: the channel is closed after it.
	Err error
}

// Open opens the store in a folder, and makes it if there is none.
func Open(ctx context.Context, c Config) (*Store, error) { return nil, errors.ErrUnsupported }

// Close ends every watch and releases the folder.
func (s *Store) Close() error { return nil }

// Get reads the record under a key.
func (s *Store) Get(ctx context.Context, key string) (Record, error) {
	return Record{}, errors.ErrUnsupported
}

// List reads the records below a prefix whose keys sort after one key.
func (s *Store) List(ctx context.Context, prefix, after string, limit int) (recs []Record, more bool, rev int64, err error) {
	return nil, false, 0, errors.ErrUnsupported
}

// Transact writes.
func (s *Store) Transact(ctx context.Context, t Txn) (rev int64, err error) {
	return 0, errors.ErrUnsupported
}

// Watch follows a prefix.
func (s *Store) Watch(ctx context.Context, prefix string, fromRev int64) <-chan Batch { return nil }

// Health is nil while the store takes reads and writes.
func (s *Store) Health(ctx context.Context) error { return errors.ErrUnsupported }
