package store

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
)

// A record that is overwritten again and again does not fill the store: old versions go.
func TestOverwritingStaysWithinTheQuota(t *testing.T) {
	const quota = 8 << 20
	s, err := Open(t.Context(), Config{Dir: filepath.Join(t.TempDir(), "store"), QuotaBytes: quota})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	value := bytes.Repeat([]byte{'v'}, 100<<10)
	var written int
	for written < 2*quota {
		_, err := s.Transact(t.Context(), Txn{Put: []Put{{Key: "/hot", Value: value}}})
		if err != nil {
			t.Fatalf("after %d bytes: %v", written, err)
		}
		written += len(value)
	}
	if err := s.Health(t.Context()); err != nil {
		t.Error(err)
	}
	st, err := s.client.Status(t.Context(), "")
	if err != nil || st.DbSize > quota {
		t.Errorf("the database has %d bytes of %d, %v", st.DbSize, quota, err)
	}
}

func TestFullStore(t *testing.T) {
	const quota = 8 << 20
	dir := filepath.Join(t.TempDir(), "store")
	s, err := Open(t.Context(), Config{Dir: dir, QuotaBytes: quota})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { s.Close() }()
	// Filled until no upkeep finds room any more, neither the store's own nor the one asked for here.
	value := bytes.Repeat([]byte{'v'}, 256<<10)
	var never time.Time
	n := 0
	for {
		_, err := s.Transact(t.Context(), Txn{Put: []Put{{Key: fmt.Sprintf("/r/%02d", n), Value: value}}})
		if err == nil && n < 100 {
			n++
			continue
		}
		if !errors.Is(err, ErrNoSpace) {
			t.Fatalf("after %d records: %v", n, err)
		}
		recovered := time.Time{}
		if err := s.maintain(t.Context(), &never, &recovered); errors.Is(err, ErrNoSpace) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Health(t.Context()); !errors.Is(err, ErrNoSpace) {
		t.Errorf("health: %v", err)
	}
	// It is still full after a restart, is read, and lets records be deleted.
	s.Close()
	if s, err = Open(t.Context(), Config{Dir: dir, QuotaBytes: quota}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Transact(t.Context(), Txn{Put: []Put{{Key: "/small"}}}); !errors.Is(err, ErrNoSpace) {
		t.Errorf("after a restart: %v", err)
	}
	if r, err := s.Get(t.Context(), "/r/00"); err != nil || len(r.Value) != len(value) {
		t.Errorf("reading: %v", err)
	}
	for i := range n / 2 {
		if _, err := s.Transact(t.Context(), Txn{Delete: []string{fmt.Sprintf("/r/%02d", i)}}); err != nil {
			t.Fatal(err)
		}
	}
	// With the records gone there is room. The store gets there by itself; here it is asked to.
	recovered := time.Time{}
	if err := s.maintain(t.Context(), &never, &recovered); err != nil {
		t.Fatal(err)
	}
	if err := s.Health(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := s.Transact(t.Context(), Txn{Put: []Put{{Key: "/small"}}}); err != nil {
		t.Error(err)
	}
}

// A refused write sets the upkeep going, without anybody asking for it.
func TestFullStoreRecoversByItself(t *testing.T) {
	const quota = 8 << 20
	s, err := Open(t.Context(), Config{Dir: filepath.Join(t.TempDir(), "store"), QuotaBytes: quota})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	// History alone fills the store if it is not counted.
	s.upkeep.every = 1 << 40
	value := bytes.Repeat([]byte{'v'}, 256<<10)
	full := false
	deadline := time.Now().Add(time.Minute)
	for i := 0; time.Now().Before(deadline); i++ {
		_, err := s.Transact(t.Context(), Txn{Put: []Put{{Key: "/hot", Value: value}}})
		switch {
		case errors.Is(err, ErrNoSpace):
			full = true
		case err != nil:
			t.Fatal(err)
		case full:
			return // a write after the store was full
		}
	}
	t.Fatalf("it was full: %v, and stayed so", full)
}

func TestCompactionByCount(t *testing.T) {
	s := open(t)
	first := put(t, s, "/a", "0")
	for i := range keepRevisions + 10 {
		put(t, s, "/a", fmt.Sprint(i))
	}
	var never, recovered time.Time
	if err := s.maintain(t.Context(), &never, &recovered); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := s.ListAt(t.Context(), "/", "", 0, first); !errors.Is(err, ErrCompacted) {
		t.Errorf("the first revision: %v", err)
	}
	now, err := s.Revision(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := s.ListAt(t.Context(), "/", "", 0, now-keepRevisions); err != nil {
		t.Errorf("a revision that is to be kept: %v", err)
	}
	if s.upkeep.writes.Load() != 0 {
		t.Errorf("%d writes counted after the upkeep", s.upkeep.writes.Load())
	}
}

func TestUpkeepIsDue(t *testing.T) {
	var u upkeep
	u.init(DefaultQuotaBytes)
	due := func() bool {
		select {
		case <-u.wake:
			return true
		default:
			return false
		}
	}
	for range compactWrites - 1 {
		u.wrote(100)
	}
	if due() {
		t.Error("due before its time")
	}
	u.wrote(100)
	if !due() {
		t.Error("not due after many writes")
	}
	u.init(DefaultQuotaBytes)
	u.writes.Store(0)
	u.wrote(compactBytes)
	if !due() {
		t.Error("not due after many bytes")
	}
}

func TestWorthRewriting(t *testing.T) {
	for _, c := range []struct {
		size, used int64
		want       bool
	}{
		{defragMin - 1, 0, false},
		{defragMin, defragMin/2 - 1, true},
		{defragMin, defragMin / 2, false},
		{8 << 30, 1 << 30, true},
	} {
		if got := worthRewriting(c.size, c.used); got != c.want {
			t.Errorf("%d of %d in use: %v", c.used, c.size, got)
		}
	}
}

func TestAlarmsAreReadOffTheStatus(t *testing.T) {
	s := open(t)
	for _, alarm := range []etcdserverpb.AlarmType{etcdserverpb.AlarmType_NOSPACE, etcdserverpb.AlarmType_CORRUPT} {
		request := &etcdserverpb.AlarmRequest{Action: etcdserverpb.AlarmRequest_ACTIVATE, MemberID: uint64(s.etcd.Server.MemberID()), Alarm: alarm}
		if _, err := s.etcd.Server.Alarm(t.Context(), request); err != nil {
			t.Fatal(err)
		}
		if err := s.Health(t.Context()); err == nil || errors.Is(err, ErrNoSpace) != (alarm == etcdserverpb.AlarmType_NOSPACE) {
			t.Errorf("%v: %v", alarm, err)
		}
	}
}
