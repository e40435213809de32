// Package store keeps Postern's records: small versioned values under path-like keys, in an etcd
// member that runs inside this process and listens nowhere. It offers what services need and no more:
// get, list by prefix with paging, transact on compared revisions, watch from a revision, and [View],
// a watched copy in memory from which services read.
//
// Revisions count the store's writes: every transaction that changes something has the next one. An
// acknowledged write survives the end of the process by any means and a loss of power.
//
// # Keys and prefixes
//
// A key is a path, /postern/v1/<service>/<type>/<id>. It begins with a slash, ends neither with a slash
// nor with an asterisk, is valid UTF-8 without control characters, and has at most MaxKeyBytes bytes.
//
// A prefix names a folder: "/a/b" and "/a/b/" both mean the records below /a/b/; neither /a/bc nor /a/b
// itself is one of them. An asterisk asks for a literal prefix: "/a/b*" means every key that begins with
// /a/b. "/" is everything.
//
// # Who owns the bytes
//
// Values that are handed in may be reused when the call returns. Values that come out of Get and List
// are the caller's. Values that come out of Watch, and so into a view, are shared and must not be changed.
package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
)

// Errors that callers branch on. What a method returns wraps one of them and says more.
var (
	// ErrLocked: another process, or another Store of this one, has the folder open.
	ErrLocked = errors.New("the record store is in use")
	// ErrNotFound: there is no record under that key.
	ErrNotFound = errors.New("no such record")
	// ErrConflict: a compare of a transaction did not hold; nothing was written.
	ErrConflict = errors.New("the record was changed by somebody else")
	// ErrUnknown: a write ended without an answer; it may or may not have happened, or still may.
	ErrUnknown = errors.New("the outcome of the write is unknown")
	// ErrTooLarge: a value, or a transaction as a whole, is over its limit; nothing was written.
	ErrTooLarge = errors.New("too large for the record store")
	// ErrTooManyOps: a transaction has more than MaxOps operations or compares; nothing was written.
	ErrTooManyOps = errors.New("too many operations in one transaction")
	// ErrInvalid: a key, a prefix, a limit or a transaction is malformed; nothing was done.
	ErrInvalid = errors.New("invalid request to the record store")
	// ErrCompacted: the history that was asked for is gone. Read the records anew and go on from there.
	ErrCompacted = errors.New("the history of the record store was compacted")
	// ErrClosed: the store or the view was closed.
	ErrClosed = errors.New("the record store is closed")
	// ErrNoSpace: the store has reached its quota. It is read, and records can be deleted, but not written.
	ErrNoSpace = errors.New("the record store is full")
	// ErrNewerFormat: the folder was written by a newer Postern.
	ErrNewerFormat = errors.New("the record store was written by a newer version of Postern")
)

// Limits. They are etcd's own, which a cluster that is already there has too.
const (
	// MaxKeyBytes bounds a key.
	MaxKeyBytes = 2048
	// MaxOps bounds the puts and deletes of a transaction together, and its compares.
	MaxOps = 128
	// MaxTxnBytes bounds the keys and values of a transaction together, and so a single value:
	// etcd's 1.5 MiB a request, without room for its framing.
	MaxTxnBytes = 1536<<10 - 16<<10
	// DefaultQuotaBytes is the size of the database on disk at which the store takes no more writes.
	DefaultQuotaBytes = 8 << 30
)

const (
	// requestTimeout ends a read or a write whose context has no earlier deadline. A single member
	// answers in milliseconds; one that has not answered by then has a disk that does not.
	requestTimeout = 5 * time.Second
	// pageSize is how many records a List without a limit reads at a time.
	pageSize = 1000
)

// Config says where the store is. Dir is required.
type Config struct {
	// Dir is the store's own folder. It is made (0700) if it is missing, and made private if it is not.
	Dir string
	// Logger receives warnings, etcd's own among them. Nil means none.
	Logger *slog.Logger
	// QuotaBytes bounds the database on disk; 0 means DefaultQuotaBytes.
	QuotaBytes int64
}

// Store is an open record store. It is safe for concurrent use.
type Store struct {
	dir   string
	log   *slog.Logger
	quota int64
	lock  *os.File
	etcd  *embed.Etcd

	client *clientv3.Client
	// kv is client's; a test replaces it to see writes that are never answered.
	kv clientv3.KV

	stop    chan struct{} // closed by Close
	closing sync.Once
	upkeep  upkeep
	wg      sync.WaitGroup
}

// Record is one value and its history.
type Record struct {
	Key   string
	Value []byte
	// Revision is the store's revision at which the value was written last.
	Revision int64
	// CreateRevision is the revision at which the key came to be (anew, after a deletion).
	CreateRevision int64
}

// Txn is a list of writes that happen together, at one revision, if every compare holds. A key appears
// at most once among Put and Delete.
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

// Get reads the newest record under a key, or [ErrNotFound].
func (s *Store) Get(ctx context.Context, key string) (Record, error) {
	if err := checkKey(key); err != nil {
		return Record{}, fmt.Errorf("reading a record: %w", err)
	}
	resp, err := s.get(ctx, key)
	if err != nil {
		return Record{}, fmt.Errorf("reading the record %s: %w", key, err)
	}
	if len(resp.Kvs) == 0 {
		return Record{}, fmt.Errorf("reading the record %s: %w", key, ErrNotFound)
	}
	return recordOf(resp.Kvs[0]), nil
}

// Lookup is [Store.Get] for callers that do not know this package: found says whether there is a record.
func (s *Store) Lookup(ctx context.Context, key string) (value []byte, found bool, err error) {
	r, err := s.Get(ctx, key)
	if errors.Is(err, ErrNotFound) {
		return nil, false, nil
	}
	return r.Value, err == nil, err
}

// CreateOnce writes value under key if there is no record yet, and returns what is stored then: value,
// or what was there before. Of several callers at the same time one wins, and all get its value.
func (s *Store) CreateOnce(ctx context.Context, key string, value []byte) (stored []byte, err error) {
	_, err = s.Transact(ctx, Txn{If: []Compare{{Key: key}}, Put: []Put{{Key: key, Value: value}}})
	switch {
	case err == nil:
		return value, nil
	case errors.Is(err, ErrConflict):
		r, err := s.Get(ctx, key)
		return r.Value, err
	default:
		return nil, err
	}
}

// List reads the records below a prefix in the order of their keys, at the newest revision, which it
// returns. after is the key after which to begin ("" is the first); limit bounds how many records are
// returned, 0 is all of them; more says whether there are others behind the last. One call sees one
// revision; to page through one revision use [Store.ListAt].
func (s *Store) List(ctx context.Context, prefix, after string, limit int) (recs []Record, more bool, rev int64, err error) {
	return s.ListAt(ctx, prefix, after, limit, 0)
}

// ListAt is [Store.List] at a given revision, so that page after page shows the records as they were
// when the first was read. The error is [ErrCompacted] if that is too long ago.
func (s *Store) ListAt(ctx context.Context, prefix, after string, limit int, rev int64) (recs []Record, more bool, at int64, err error) {
	if limit < 0 || rev < 0 {
		return nil, false, 0, fmt.Errorf("listing %s: negative limit or revision: %w", prefix, ErrInvalid)
	}
	begin, err := prefixBytes(prefix)
	if err == nil {
		err = checkBytes(after)
	}
	if err != nil {
		return nil, false, 0, fmt.Errorf("listing records: %w", err)
	}
	from, end := begin, clientv3.GetPrefixRangeEnd(begin)
	if after >= begin {
		from = after + "\x00"
	}
	for from < end {
		page := pageSize
		if limit > 0 {
			page = min(page, limit-len(recs))
		}
		resp, err := s.get(ctx, from, clientv3.WithRange(end), clientv3.WithLimit(int64(page)), clientv3.WithRev(rev))
		if err != nil {
			return nil, false, 0, fmt.Errorf("listing %s: %w", prefix, err)
		}
		if rev == 0 {
			rev = resp.Header.Revision
		}
		for _, kv := range resp.Kvs {
			recs = append(recs, recordOf(kv))
		}
		if !resp.More || len(recs) == limit {
			return recs, resp.More, rev, nil
		}
		from = recs[len(recs)-1].Key + "\x00"
	}
	// after is behind everything that has the prefix.
	if rev == 0 {
		rev, err = s.Revision(ctx)
	}
	return nil, false, rev, err
}

// Transact writes t, whole or not at all, and returns its revision. The write is on disk by then.
//
// If a compare does not hold, the error is [ErrConflict] and the revision is the store's: a view that
// has reached it shows what the compare ran into. If the answer does not come in time the error is
// [ErrUnknown]: read, and repeat only what is idempotent or compares.
func (s *Store) Transact(ctx context.Context, t Txn) (rev int64, err error) {
	size, err := checkTxn(t)
	if err != nil {
		return 0, fmt.Errorf("writing records: %w", err)
	}
	if err := s.alive(ctx); err != nil {
		return 0, fmt.Errorf("writing %s: %w", t.name(), err)
	}
	cmps := make([]clientv3.Cmp, 0, len(t.If))
	for _, c := range t.If {
		cmps = append(cmps, clientv3.Compare(clientv3.ModRevision(c.Key), "=", c.Revision))
	}
	ops := make([]clientv3.Op, 0, len(t.Put)+len(t.Delete))
	for _, p := range t.Put {
		ops = append(ops, clientv3.OpPut(p.Key, string(p.Value)))
	}
	for _, key := range t.Delete {
		ops = append(ops, clientv3.OpDelete(key))
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	resp, err := s.kv.Txn(ctx).If(cmps...).Then(ops...).Commit()
	if err != nil {
		err = writeError(err)
		if errors.Is(err, ErrNoSpace) {
			s.upkeep.due()
		}
		return 0, fmt.Errorf("writing %s: %w", t.name(), err)
	}
	rev = resp.Header.Revision
	if !resp.Succeeded {
		return rev, fmt.Errorf("writing %s: %w", t.name(), ErrConflict)
	}
	s.upkeep.wrote(size)
	return rev, nil
}

// name is what an error calls a transaction.
func (t Txn) name() string {
	n := len(t.Put) + len(t.Delete)
	key := ""
	if len(t.Put) > 0 {
		key = t.Put[0].Key
	} else {
		key = t.Delete[0]
	}
	if n == 1 {
		return key
	}
	return fmt.Sprintf("%s and %d more", key, n-1)
}

// get reads a range, or a key.
func (s *Store) get(ctx context.Context, key string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	if err := s.alive(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	resp, err := s.kv.Get(ctx, key, opts...)
	if err != nil {
		return nil, readError(err)
	}
	return resp, nil
}

// alive refuses what is asked of a closed store or in a context that has ended: nothing was done then.
func (s *Store) alive(ctx context.Context) error {
	select {
	case <-s.stop:
		return ErrClosed
	default:
		return ctx.Err()
	}
}

// checkKey checks a record's key.
func checkKey(key string) error {
	switch {
	case key == "" || key[0] != '/':
		return fmt.Errorf("the key %q does not begin with a slash: %w", clip(key), ErrInvalid)
	case strings.HasSuffix(key, "/") || strings.HasSuffix(key, "*"):
		return fmt.Errorf("the key %q ends with a slash or an asterisk: %w", clip(key), ErrInvalid)
	}
	return checkBytes(key)
}

func checkBytes(key string) error {
	switch {
	case len(key) > MaxKeyBytes:
		return fmt.Errorf("the key %q… has %d bytes, more than %d: %w", clip(key), len(key), MaxKeyBytes, ErrInvalid)
	case !utf8.ValidString(key):
		return fmt.Errorf("the key %q is not UTF-8: %w", clip(key), ErrInvalid)
	case strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return fmt.Errorf("the key %q has a control character: %w", clip(key), ErrInvalid)
	}
	return nil
}

// clip shortens a malformed key for an error.
func clip(key string) string { return key[:min(len(key), 64)] }

// prefixBytes turns a prefix as callers write it into the bytes with which keys begin.
func prefixBytes(prefix string) (string, error) {
	if prefix == "" || prefix[0] != '/' {
		return "", fmt.Errorf("the prefix %q does not begin with a slash: %w", clip(prefix), ErrInvalid)
	}
	if err := checkBytes(prefix); err != nil {
		return "", err
	}
	if literal, ok := strings.CutSuffix(prefix, "*"); ok {
		return literal, nil
	}
	if strings.HasSuffix(prefix, "/") {
		return prefix, nil
	}
	return prefix + "/", nil
}

// checkTxn checks a transaction and returns the bytes of its keys and values.
func checkTxn(t Txn) (size int64, err error) {
	n := len(t.Put) + len(t.Delete)
	switch {
	case n == 0:
		return 0, fmt.Errorf("the transaction writes nothing: %w", ErrInvalid)
	case n > MaxOps:
		return 0, fmt.Errorf("%d writes, more than %d: %w", n, MaxOps, ErrTooManyOps)
	case len(t.If) > MaxOps:
		return 0, fmt.Errorf("%d compares, more than %d: %w", len(t.If), MaxOps, ErrTooManyOps)
	}
	for _, c := range t.If {
		if err := checkKey(c.Key); err != nil {
			return 0, err
		}
		if c.Revision < 0 {
			return 0, fmt.Errorf("the compare of %s has a negative revision: %w", c.Key, ErrInvalid)
		}
		size += int64(len(c.Key)) + opOverhead
	}
	keys := make(map[string]bool, n)
	for _, p := range t.Put {
		if err := checkKey(p.Key); err != nil {
			return 0, err
		}
		if keys[p.Key] {
			return 0, fmt.Errorf("%s appears twice in one transaction: %w", p.Key, ErrInvalid)
		}
		keys[p.Key] = true
		size += int64(len(p.Key)+len(p.Value)) + opOverhead
		if size > MaxTxnBytes {
			return 0, fmt.Errorf("with %s the transaction has %d bytes, more than %d: %w", p.Key, size, MaxTxnBytes, ErrTooLarge)
		}
	}
	for _, key := range t.Delete {
		if err := checkKey(key); err != nil {
			return 0, err
		}
		if keys[key] {
			return 0, fmt.Errorf("%s appears twice in one transaction: %w", key, ErrInvalid)
		}
		keys[key] = true
		size += int64(len(key)) + opOverhead
	}
	if size > MaxTxnBytes {
		return 0, fmt.Errorf("the transaction has %d bytes, more than %d: %w", size, MaxTxnBytes, ErrTooLarge)
	}
	return size, nil
}

// opOverhead is more than what etcd's encoding adds to one operation or compare.
const opOverhead = 64
