package store

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func text(r Record) (string, error) {
	if strings.HasPrefix(string(r.Value), "bad") {
		return "", errors.New("malformed")
	}
	return string(r.Value), nil
}

func TestWatchSeesEveryChangeInOrder(t *testing.T) {
	s := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	past := put(t, s, "/w/a", "0")
	fromPast := s.Watch(ctx, "/w", past)
	fromNow := s.Watch(ctx, "/w/", 0)
	var want []string
	for i := range 20 {
		if i == 1 {
			put(t, s, "/w", "not below itself")
			put(t, s, "/wx", "a sibling")
		}
		put(t, s, "/w/a", fmt.Sprint(i))
		want = append(want, fmt.Sprintf("/w/a=%d", i))
	}
	rev, err := s.Transact(ctx, Txn{Put: []Put{{Key: "/w/b", Value: []byte("b")}, {Key: "/elsewhere"}}, Delete: []string{"/w/a"}})
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, "/w/b=b", "/w/a deleted")
	for name, ch := range map[string]<-chan Batch{"past": fromPast, "now": fromNow} {
		var got []string
		at := int64(0)
		for b := range ch {
			if b.Err != nil {
				t.Fatal(b.Err)
			}
			if b.Revision <= at {
				t.Errorf("%s: revision %d after %d", name, b.Revision, at)
			}
			at = b.Revision
			perRevision := 0
			for _, e := range b.Events {
				if e.Record.Revision == rev {
					perRevision++
				}
				if e.Type == EventDelete {
					got = append(got, e.Record.Key+" deleted")
				} else {
					got = append(got, e.Record.Key+"="+string(e.Record.Value))
				}
			}
			if perRevision == 1 {
				t.Errorf("%s: a transaction came in two batches", name)
			}
			if at >= rev {
				break
			}
		}
		expect := want
		if name == "past" {
			expect = append([]string{"/w/a=0"}, want...)
		}
		if !slices.Equal(got, expect) {
			// Puts and deletes of one transaction may come in either order.
			slices.Sort(got)
			slices.Sort(expect)
			if !slices.Equal(got, expect) {
				t.Errorf("%s: %v\nwant %v", name, got, expect)
			}
		}
	}
	cancel()
	for b := range fromNow {
		if b.Err != nil {
			t.Errorf("a watch that was ended says %v", b.Err)
		}
	}
	if b := <-s.Watch(t.Context(), "bad", 0); !errors.Is(b.Err, ErrInvalid) {
		t.Errorf("a malformed prefix: %+v", b)
	}
}

func TestViewShowsOwnWrites(t *testing.T) {
	s := open(t)
	put(t, s, "/v/a", "before")
	put(t, s, "/vx", "a sibling")
	v, err := NewView(t.Context(), s, "/v", text)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	if got, ok := v.Get("/v/a"); !ok || got != "before" {
		t.Fatalf("%q %v", got, ok)
	}
	if _, ok := v.Get("/vx"); ok {
		t.Fatal("a sibling is in the view")
	}
	for i := range 50 {
		want := fmt.Sprint(i)
		rev := put(t, s, "/v/a", want)
		if err := v.Wait(t.Context(), rev); err != nil {
			t.Fatal(err)
		}
		if got, _ := v.Get("/v/a"); got != want {
			t.Fatalf("after revision %d the view shows %q, want %q", rev, got, want)
		}
	}
	// A revision that changed something elsewhere is reached too.
	if err := v.Wait(t.Context(), put(t, s, "/elsewhere", "x")); err != nil {
		t.Fatal(err)
	}
	rev, err := s.Transact(t.Context(), Txn{Delete: []string{"/v/a"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Wait(t.Context(), rev); err != nil {
		t.Fatal(err)
	}
	if got, ok := v.Get("/v/a"); ok {
		t.Fatalf("a deleted record is shown: %q", got)
	}
	// What ends first, the wait or the world.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := v.Wait(ctx, rev+1000); !errors.Is(err, context.Canceled) {
		t.Fatalf("%v", err)
	}
	if err := v.Health(); err != nil {
		t.Fatal(err)
	}
}

func TestViewSnapshotsDoNotChange(t *testing.T) {
	s := open(t)
	v, err := NewView(t.Context(), s, "/v", text)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	wait := func(rev int64) {
		t.Helper()
		if err := v.Wait(t.Context(), rev); err != nil {
			t.Fatal(err)
		}
	}
	wait(put(t, s, "/v/a", "1"))
	changed := v.Changed()
	one, rev := v.Snapshot()
	wait(put(t, s, "/elsewhere", "x"))
	select {
	case <-changed:
		t.Error("a change elsewhere was announced")
	default:
	}
	wait(put(t, s, "/v/a", "2"))
	<-changed
	wait(put(t, s, "/v/b", "3"))
	two, later := v.Snapshot()
	if len(one) != 1 || one["/v/a"] != "1" || len(two) != 2 || two["/v/a"] != "2" || later <= rev {
		t.Errorf("%v at %d, %v at %d", one, rev, two, later)
	}
}

// Readers, snapshots, waiters and writers at once: a transaction is seen whole, and revisions go up.
func TestViewUnderRace(t *testing.T) {
	s := open(t)
	v, err := NewView(t.Context(), s, "/v", text)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	var stop atomic.Bool
	var readers, writers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			last := int64(0)
			for !stop.Load() {
				m, rev := v.Snapshot()
				if m["/v/x"] != m["/v/y"] {
					t.Errorf("half a transaction: %q, %q", m["/v/x"], m["/v/y"])
				}
				if rev < last {
					t.Errorf("revision %d after %d", rev, last)
				}
				last = rev
				v.Get("/v/x")
				v.Revision()
				if err := v.Health(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for w := range 3 {
		writers.Go(func() {
			for i := range 25 {
				value := fmt.Appendf(nil, "%d-%d", w, i)
				changed := v.Changed()
				rev, err := s.Transact(t.Context(), Txn{Put: []Put{{Key: "/v/x", Value: value}, {Key: "/v/y", Value: value}}})
				if err != nil {
					t.Error(err)
					return
				}
				if err := v.Wait(t.Context(), rev); err != nil {
					t.Error(err)
				}
				<-changed
			}
		})
	}
	writers.Wait()
	stop.Store(true)
	readers.Wait()
}

func TestViewOfRecordsThatDoNotDecode(t *testing.T) {
	s := open(t)
	put(t, s, "/v/a", "bad")
	if _, err := NewView(t.Context(), s, "/v", text); err == nil || !strings.Contains(err.Error(), "/v/a") {
		t.Fatalf("a view began with a record it cannot read: %v", err)
	}
	put(t, s, "/v/a", "good")
	v, err := NewView(t.Context(), s, "/v", text)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	if err := v.Wait(t.Context(), put(t, s, "/v/a", "bad")); err != nil {
		t.Fatal(err)
	}
	if got, ok := v.Get("/v/a"); ok {
		t.Errorf("what it was before is still trusted: %q", got)
	}
	if err := v.Health(); err == nil || !strings.Contains(err.Error(), "/v/a") {
		t.Errorf("health: %v", err)
	}
	if err := v.Wait(t.Context(), put(t, s, "/v/a", "good again")); err != nil {
		t.Fatal(err)
	}
	if got, _ := v.Get("/v/a"); got != "good again" || v.Health() != nil {
		t.Errorf("%q, %v", got, v.Health())
	}
	if err := v.Wait(t.Context(), put(t, s, "/v/b", "bad")); err != nil {
		t.Fatal(err)
	}
	rev, err := s.Transact(t.Context(), Txn{Delete: []string{"/v/b"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Wait(t.Context(), rev); err != nil || v.Health() != nil {
		t.Errorf("after the bad record was deleted: %v, %v", err, v.Health())
	}
}

func TestViewEndsWithItsStore(t *testing.T) {
	s := openIn(t, filepath.Join(t.TempDir(), "store"))
	rev := put(t, s, "/v/a", "1")
	v, err := NewView(t.Context(), s, "/v", text)
	if err != nil {
		t.Fatal(err)
	}
	changed := v.Changed()
	waited := make(chan error)
	go func() { waited <- v.Wait(t.Context(), rev+1) }()
	s.Close()
	<-changed
	if err := <-waited; !errors.Is(err, ErrClosed) {
		t.Errorf("who waited got %v", err)
	}
	if err := v.Health(); !errors.Is(err, ErrClosed) {
		t.Errorf("health: %v", err)
	}
	if got, ok := v.Get("/v/a"); !ok || got != "1" {
		t.Errorf("what it had is gone: %q %v", got, ok)
	}
	if err := v.Wait(t.Context(), rev); err != nil {
		t.Errorf("waiting for what is there: %v", err)
	}
	<-v.Changed() // does not hang
	v.Close()
	v.Close()
	if _, err := NewView(t.Context(), s, "/v", text); !errors.Is(err, ErrClosed) {
		t.Errorf("a view of a closed store: %v", err)
	}
}

// faultySource is a store whose watches end when the test says so.
type faultySource struct {
	mu      sync.Mutex
	recs    []Record
	rev     int64
	listErr error
	watches chan faultyWatch
}

type faultyWatch struct {
	from int64
	out  chan Batch
}

func (f *faultySource) List(context.Context, string, string, int) ([]Record, bool, int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.recs, false, f.rev, f.listErr
}

func (f *faultySource) set(rev int64, listErr error, recs ...Record) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.recs, f.rev, f.listErr = recs, rev, listErr
}

func (f *faultySource) Watch(ctx context.Context, _ string, from int64) <-chan Batch {
	in, out := make(chan Batch), make(chan Batch)
	go func() {
		defer close(out)
		for {
			select {
			case b, ok := <-in:
				if !ok {
					return
				}
				out <- b
			case <-ctx.Done():
				return
			}
		}
	}()
	f.watches <- faultyWatch{from, in}
	return out
}

func TestViewResynchronises(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &faultySource{watches: make(chan faultyWatch, 1)}
		src.set(5, nil, Record{Key: "/v/a", Value: []byte("1")}, Record{Key: "/v/gone", Value: []byte("1")})
		v, err := newView(t.Context(), src, "/v", text)
		if err != nil {
			t.Fatal(err)
		}
		defer v.Close()
		w := <-src.watches
		if w.from != 6 {
			t.Fatalf("the watch begins at %d", w.from)
		}
		// The watch is lost, and the store cannot be read.
		src.set(0, errors.New("no answer"))
		w.out <- Batch{Err: ErrCompacted}
		synctest.Wait()
		if err := v.Health(); !errors.Is(err, ErrCompacted) {
			t.Fatalf("health of a view that lost its watch: %v", err)
		}
		if got, _ := v.Get("/v/a"); got != "1" {
			t.Fatalf("it no longer shows what it had: %q", got)
		}
		time.Sleep(10 * resyncPause)
		if err := v.Health(); err == nil || !strings.Contains(err.Error(), "no answer") {
			t.Fatalf("health while the store is not read: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		if err := v.Wait(ctx, 9); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "no answer") {
			t.Fatalf("waiting meanwhile: %v", err)
		}
		cancel()
		// It can be read again: what was missed is there, and what is gone is gone.
		changed := v.Changed()
		src.set(9, nil, Record{Key: "/v/a", Value: []byte("2")})
		if err := v.Wait(t.Context(), 9); err != nil {
			t.Fatal(err)
		}
		<-changed
		if m, rev := v.Snapshot(); len(m) != 1 || m["/v/a"] != "2" || rev != 9 || v.Health() != nil {
			t.Fatalf("%v at %d, %v", m, rev, v.Health())
		}
		// And it follows from there.
		if w = <-src.watches; w.from != 10 {
			t.Fatalf("the second watch begins at %d", w.from)
		}
		w.out <- Batch{Revision: 12, Events: []Event{{Record: Record{Key: "/v/b", Value: []byte("3"), Revision: 12}}}}
		if err := v.Wait(t.Context(), 12); err != nil {
			t.Fatal(err)
		}
		if got, _ := v.Get("/v/b"); got != "3" {
			t.Fatalf("%q", got)
		}
		// A watch that just ends is a lost one too.
		close(w.out)
		synctest.Wait()
		if v.Health() == nil {
			t.Fatal("healthy without a watch")
		}
		src.set(13, nil)
		time.Sleep(2 * resyncPause)
		if m, rev := v.Snapshot(); len(m) != 0 || rev != 13 || v.Health() != nil {
			t.Fatalf("%v at %d, %v", m, rev, v.Health())
		}
	})
}

func BenchmarkViewGet(b *testing.B) {
	s := openIn(b, filepath.Join(b.TempDir(), "store"))
	put(b, s, "/v/a", "1")
	v, err := NewView(b.Context(), s, "/v", text)
	if err != nil {
		b.Fatal(err)
	}
	defer v.Close()
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := v.Get("/v/a"); !ok {
			b.Fatal("missing")
		}
	}
}

// BenchmarkWriteAndWait is a write until the view of it shows it.
func BenchmarkWriteAndWait(b *testing.B) {
	s := openIn(b, filepath.Join(b.TempDir(), "store"))
	v, err := NewView(b.Context(), s, "/v", text)
	if err != nil {
		b.Fatal(err)
	}
	defer v.Close()
	for b.Loop() {
		if err := v.Wait(b.Context(), put(b, s, "/v/a", "1")); err != nil {
			b.Fatal(err)
		}
	}
}
