package store

import (
	"context"
	"errors"
	"fmt"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// EventType says what happened to a record.
type EventType uint8

const (
	// EventPut: the record was written.
	EventPut EventType = iota
	// EventDelete: the record was deleted; of its Record only Key and Revision are set.
	EventDelete
)

// Event is one change of one record. Its Value is shared with other watchers: it must not be changed.
type Event struct {
	Type   EventType
	Record Record
}

// Batch holds the changes of the watched prefix at one or more consecutive revisions, in their order.
// The changes of one transaction are never in two batches. A batch without events says that nothing
// below the prefix has changed up to Revision.
type Batch struct {
	// Revision is the last revision the batch covers.
	Revision int64
	Events   []Event
	// Err ends the watch: ErrCompacted if the history it wanted is gone, ErrClosed if the store was
	// closed. The channel is closed after it.
	Err error
}

// Watch follows a prefix, from fromRev on, which is included; 0 means everything after this call. No
// change is left out, and none comes twice. To follow what List has read, watch from its revision + 1.
//
// The channel is closed when ctx ends, or after a batch with an error. Read it until then, or end ctx:
// batches for a reader that does neither gather in memory.
func (s *Store) Watch(ctx context.Context, prefix string, fromRev int64) <-chan Batch {
	out := make(chan Batch)
	begin, err := prefixBytes(prefix)
	if err == nil && fromRev <= 0 {
		// Fixed here, not when the watch has begun: a write between the two belongs to it.
		var at int64
		if at, err = s.Revision(ctx); err == nil {
			fromRev = at + 1
		}
	}
	go func() {
		defer close(out)
		if err == nil {
			err = s.follow(ctx, begin, fromRev, out)
		}
		if err != nil {
			select {
			case out <- Batch{Err: fmt.Errorf("watching %s: %w", prefix, err)}:
			case <-ctx.Done():
			}
		}
	}()
	return out
}

// Revision is the store's newest revision.
func (s *Store) Revision(ctx context.Context) (int64, error) {
	// A read of one key that is never there, in the linearizable way, as every read here.
	resp, err := s.get(ctx, "/", clientv3.WithCountOnly())
	if err != nil {
		return 0, fmt.Errorf("reading the store's revision: %w", err)
	}
	return resp.Header.Revision, nil
}

// follow sends batches until ctx ends (nil) or the watch fails.
//
// It watches every key and picks those below the prefix itself, so that it learns every revision. etcd
// tells a watcher of a part nothing of revisions elsewhere, and whoever waits for a view to reach one
// would wait in vain.
func (s *Store) follow(ctx context.Context, begin string, rev int64, out chan<- Batch) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	select {
	case <-s.stop:
		return ErrClosed
	default:
	}
	changes := s.client.Watch(ctx, "/", clientv3.WithPrefix(), clientv3.WithRev(rev))
	for {
		var resp clientv3.WatchResponse
		var open bool
		select {
		case <-s.stop:
			return ErrClosed
		case <-ctx.Done():
			return nil
		case resp, open = <-changes:
		}
		if err := resp.Err(); err != nil {
			return readError(err)
		}
		if !open {
			if ctx.Err() != nil {
				return nil
			}
			select {
			case <-s.stop:
				return ErrClosed
			default:
				return errors.New("the watch ended by itself")
			}
		}
		if len(resp.Events) == 0 {
			continue
		}
		// The header's revision is the store's and may be ahead of the events; the last event's is
		// what this batch covers.
		b := Batch{Revision: resp.Events[len(resp.Events)-1].Kv.ModRevision}
		for _, e := range resp.Events {
			if !strings.HasPrefix(string(e.Kv.Key), begin) {
				continue
			}
			if e.Type == clientv3.EventTypeDelete {
				b.Events = append(b.Events, Event{Type: EventDelete, Record: Record{Key: string(e.Kv.Key), Revision: e.Kv.ModRevision}})
			} else {
				b.Events = append(b.Events, Event{Type: EventPut, Record: recordOf(e.Kv)})
			}
		}
		select {
		case out <- b:
		case <-s.stop:
			return ErrClosed
		case <-ctx.Done():
			return nil
		}
	}
}
