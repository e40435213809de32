package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	// compactWrites and compactBytes are how much is written between two compactions: etcd keeps every
	// version of every record until it is told not to. With a small quota it is an eighth of that.
	compactWrites = 1000
	compactBytes  = 64 << 20
	// keepRevisions is how much history stays, for watchers that resume and for pages at one revision;
	// of large records less, so that the history stays at about the same; never below keepAtLeast.
	keepRevisions = 1000
	keepAtLeast   = 16
	// defragMin is the size of the database from which on a file that is more than half empty is
	// rewritten, at most once in defragPause: the store stands still meanwhile, a second for 100 MB.
	defragMin   = 64 << 20
	defragPause = time.Hour
	// recoverPause is the shortest time between two attempts to make room in a full store.
	recoverPause = 5 * time.Second
	// upkeepTimeout bounds one round of upkeep.
	upkeepTimeout = 5 * time.Minute
)

// upkeep counts what makes a round of upkeep due.
type upkeep struct {
	wake          chan struct{} // holds one
	every         int64         // compactBytes, or less
	writes, bytes atomic.Int64  // since the last round
}

func (u *upkeep) init(quota int64) {
	u.wake = make(chan struct{}, 1)
	u.every = min(compactBytes, quota/8)
}

// wrote counts a transaction.
func (u *upkeep) wrote(size int64) {
	writes, bytes := u.writes.Add(1), u.bytes.Add(size)
	if writes >= compactWrites || bytes >= u.every {
		u.due()
	}
}

// due asks for a round, soon.
func (u *upkeep) due() {
	select {
	case u.wake <- struct{}{}:
	default: // it is asked for already
	}
}

// runUpkeep keeps the database from growing with the number of writes instead of with the records, until
// Close. The first round, at once, sees to what earlier runs left.
func (s *Store) runUpkeep() {
	stopped, cancel := context.WithCancel(context.Background())
	defer cancel()
	s.wg.Go(func() {
		<-s.stop
		cancel()
	})
	var defragged, recovered time.Time
	for {
		ctx, cancel := context.WithTimeout(stopped, upkeepTimeout)
		err := s.maintain(ctx, &defragged, &recovered)
		cancel()
		if err != nil && stopped.Err() == nil {
			s.log.Warn("the upkeep of the record store failed; it is tried again", "error", err)
		}
		select {
		case <-stopped.Done():
			return
		case <-s.upkeep.wake:
		}
	}
}

// maintain is one round: it compacts, rewrites the file if that is worth the pause, and makes room if
// the store is full. The times are those of the last rewrite and the last attempt to make room.
func (s *Store) maintain(ctx context.Context, defragged, recovered *time.Time) error {
	writes, bytes := s.upkeep.writes.Swap(0), s.upkeep.bytes.Swap(0)
	st, err := s.client.Status(ctx, "")
	if err != nil {
		return fmt.Errorf("reading the status: %w", err)
	}
	full := alarmed(st, etcdserverpb.AlarmType_NOSPACE)
	if full {
		if err := sleep(ctx, recoverPause-time.Since(*recovered)); err != nil {
			return err
		}
		*recovered = time.Now()
		return s.makeRoom(ctx, st)
	}
	keep := int64(keepRevisions)
	if writes > 0 && bytes > 0 {
		keep = min(keep, max(keepAtLeast, s.upkeep.every*writes/bytes))
	}
	if err := s.compact(ctx, st.Header.Revision-keep); err != nil {
		return err
	}
	if st, err = s.client.Status(ctx, ""); err != nil {
		return fmt.Errorf("reading the status: %w", err)
	}
	if !worthRewriting(st.DbSize, st.DbSizeInUse) || time.Since(*defragged) < defragPause {
		return nil
	}
	*defragged = time.Now()
	return s.defrag()
}

// worthRewriting says whether a file of that size, with so much of it in use, is to be rewritten.
func worthRewriting(size, used int64) bool { return size >= defragMin && used < size/2 }

// makeRoom gets a full store out of its alarm if history or free pages were what filled it.
func (s *Store) makeRoom(ctx context.Context, st *clientv3.StatusResponse) error {
	s.log.Error("the record store is full; making room", "bytes", st.DbSize, "quota", s.quota)
	// All of the history: a watcher that has to begin anew is the smaller harm.
	if err := s.compact(ctx, st.Header.Revision); err != nil {
		return err
	}
	if err := s.defrag(); err != nil {
		return err
	}
	st, err := s.client.Status(ctx, "")
	if err != nil {
		return fmt.Errorf("reading the status: %w", err)
	}
	if st.DbSize > s.quota/10*9 {
		return fmt.Errorf("%w: records take %d bytes of %d; delete some, or raise the quota", ErrNoSpace, st.DbSize, s.quota)
	}
	alarm := &clientv3.AlarmMember{MemberID: st.Header.MemberId, Alarm: etcdserverpb.AlarmType_NOSPACE}
	if _, err := s.client.AlarmDisarm(ctx, alarm); err != nil {
		return fmt.Errorf("lifting the alarm: %w", err)
	}
	s.log.Warn("the record store has room again", "bytes", st.DbSize, "quota", s.quota)
	return nil
}

// compact forgets the history before a revision; the newest version of every record stays.
func (s *Store) compact(ctx context.Context, rev int64) error {
	if rev <= 0 {
		return nil
	}
	_, err := s.client.Compact(ctx, rev, clientv3.WithCompactPhysical())
	if err != nil && !errors.Is(err, rpctypes.ErrCompacted) {
		return fmt.Errorf("compacting to revision %d: %w", rev, err)
	}
	return nil
}

// defrag rewrites the database without its free pages. It cannot be interrupted. (The client's
// Defragment panics on a member without listeners: it wants to tell a health service that is not there.)
func (s *Store) defrag() error {
	if err := s.etcd.Server.Backend().Defrag(); err != nil {
		return fmt.Errorf("rewriting the database: %w", err)
	}
	return nil
}

// Health is nil while the store takes reads and writes. It asks the member, which costs no disk access,
// and is [ErrNoSpace] when the quota is reached.
func (s *Store) Health(ctx context.Context) error {
	if _, err := s.Revision(ctx); err != nil {
		return err
	}
	st, err := s.client.Status(ctx, "")
	switch {
	case err != nil:
		return fmt.Errorf("reading the record store's status: %w", err)
	case alarmed(st, etcdserverpb.AlarmType_CORRUPT):
		return errors.New("the record store is damaged: stop, and restore it from a backup")
	case alarmed(st, etcdserverpb.AlarmType_NOSPACE):
		return fmt.Errorf("%w: %d bytes of %d are taken; delete records, or raise the quota", ErrNoSpace, st.DbSize, s.quota)
	}
	return nil
}

// alarmed reads an alarm off the status. (AlarmList would write to the log for the question.)
func alarmed(st *clientv3.StatusResponse, alarm etcdserverpb.AlarmType) bool {
	for _, e := range st.Errors {
		if strings.Contains(e, alarm.String()) {
			return true
		}
	}
	return false
}

// sleep waits, or returns ctx's error.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
