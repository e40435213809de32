package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// open opens a store in a new folder and closes it with the test.
func open(t testing.TB) *Store {
	t.Helper()
	return openIn(t, filepath.Join(t.TempDir(), "store"))
}

func openIn(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(t.Context(), Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func put(t testing.TB, s *Store, key, value string) int64 {
	t.Helper()
	rev, err := s.Transact(t.Context(), Txn{Put: []Put{{Key: key, Value: []byte(value)}}})
	if err != nil {
		t.Fatal(err)
	}
	return rev
}

func keysOf(recs []Record) []string {
	keys := make([]string, 0, len(recs))
	for _, r := range recs {
		keys = append(keys, r.Key)
	}
	return keys
}

func TestRecordsComeBack(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	if _, err := s.Get(ctx, "/a"); !errors.Is(err, ErrNotFound) {
		t.Fatalf("a record that is not there: %v", err)
	}
	first := put(t, s, "/a", "one")
	second := put(t, s, "/a", "two")
	if second <= first {
		t.Fatalf("revisions %d, %d", first, second)
	}
	r, err := s.Get(ctx, "/a")
	if err != nil || string(r.Value) != "two" || r.Key != "/a" || r.Revision != second || r.CreateRevision != first {
		t.Fatalf("%+v %v", r, err)
	}
	rev, err := s.Transact(ctx, Txn{Delete: []string{"/a"}})
	if err != nil || rev <= second {
		t.Fatalf("deleting: %d %v", rev, err)
	}
	if _, err := s.Get(ctx, "/a"); !errors.Is(err, ErrNotFound) {
		t.Fatalf("a deleted record: %v", err)
	}
	if again, err := s.Transact(ctx, Txn{Delete: []string{"/a"}}); err != nil || again != rev {
		t.Fatalf("deleting what is not there: %d %v, want %d", again, err, rev)
	}
	third := put(t, s, "/a", "three")
	if r, err = s.Get(ctx, "/a"); err != nil || r.CreateRevision != third {
		t.Fatalf("created anew: %+v %v", r, err)
	}
	empty := put(t, s, "/empty", "")
	if r, err = s.Get(ctx, "/empty"); err != nil || len(r.Value) != 0 || r.Revision != empty {
		t.Fatalf("an empty value: %+v %v", r, err)
	}
}

func TestTransactionsAreWholeOrNot(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	at := put(t, s, "/x", "1")
	// Nothing of this may happen: one of its compares does not hold.
	rev, err := s.Transact(ctx, Txn{
		If:     []Compare{{Key: "/x", Revision: at}, {Key: "/y", Revision: at}},
		Put:    []Put{{Key: "/y", Value: []byte("2")}, {Key: "/z", Value: []byte("3")}},
		Delete: []string{"/x"},
	})
	if !errors.Is(err, ErrConflict) || rev != at {
		t.Fatalf("revision %d, %v; want %d and a conflict", rev, err, at)
	}
	recs, _, _, err := s.List(ctx, "/", "", 0)
	if err != nil || !slices.Equal(keysOf(recs), []string{"/x"}) {
		t.Fatalf("%v %v", keysOf(recs), err)
	}
	// All of this, at one revision.
	rev, err = s.Transact(ctx, Txn{
		If:     []Compare{{Key: "/x", Revision: at}, {Key: "/y", Revision: 0}},
		Put:    []Put{{Key: "/y", Value: []byte("2")}, {Key: "/z", Value: []byte("3")}},
		Delete: []string{"/x"},
	})
	if err != nil {
		t.Fatal(err)
	}
	recs, _, _, err = s.List(ctx, "/", "", 0)
	if err != nil || !slices.Equal(keysOf(recs), []string{"/y", "/z"}) || recs[0].Revision != rev || recs[1].Revision != rev {
		t.Fatalf("%+v %v", recs, err)
	}
	// "Must not exist" means it.
	if _, err := s.Transact(ctx, Txn{If: []Compare{{Key: "/y"}}, Put: []Put{{Key: "/y"}}}); !errors.Is(err, ErrConflict) {
		t.Fatalf("created twice: %v", err)
	}
}

// Counters that every writer increments by compare-and-write end exactly at the number of increments.
func TestConcurrentWritersLoseNothing(t *testing.T) {
	s := open(t)
	const writers, each = 8, 20
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for done := 0; done < each; {
				r, err := s.Get(t.Context(), "/n")
				if err != nil && !errors.Is(err, ErrNotFound) {
					t.Error(err)
					return
				}
				_, err = s.Transact(t.Context(), Txn{
					If:  []Compare{{Key: "/n", Revision: r.Revision}},
					Put: []Put{{Key: "/n", Value: append(r.Value, 'x')}},
				})
				if err == nil {
					done++
				} else if !errors.Is(err, ErrConflict) {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	r, err := s.Get(t.Context(), "/n")
	if err != nil || len(r.Value) != writers*each {
		t.Fatalf("%d increments of %d, %v", len(r.Value), writers*each, err)
	}
}

func TestLimits(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	many := func(n int) (puts []Put) {
		for i := range n {
			puts = append(puts, Put{Key: fmt.Sprintf("/many/%d", i)})
		}
		return puts
	}
	compares := func(n int) (cmps []Compare) {
		for i := range n {
			cmps = append(cmps, Compare{Key: fmt.Sprintf("/none/%d", i)})
		}
		return cmps
	}
	longest := "/" + strings.Repeat("k", MaxKeyBytes-1)
	biggest := bytes.Repeat([]byte{'v'}, MaxTxnBytes-len("/v")-opOverhead)
	for _, c := range []struct {
		name string
		txn  Txn
		want error
	}{
		{"the most operations", Txn{If: compares(MaxOps), Put: many(MaxOps)}, nil},
		{"one more", Txn{Put: many(MaxOps + 1)}, ErrTooManyOps},
		{"one more, a delete", Txn{Put: many(MaxOps), Delete: []string{"/d"}}, ErrTooManyOps},
		{"one compare more", Txn{If: compares(MaxOps + 1), Put: many(1)}, ErrTooManyOps},
		{"the largest value", Txn{Put: []Put{{Key: "/v", Value: biggest}}}, nil},
		{"a byte more", Txn{Put: []Put{{Key: "/v", Value: append(biggest, 'v')}}}, ErrTooLarge},
		{"a transaction that is too large together", Txn{Put: []Put{{Key: "/v", Value: biggest}, {Key: "/w"}}}, ErrTooLarge},
		{"the longest key", Txn{Put: []Put{{Key: longest}}}, nil},
		{"a byte longer", Txn{Put: []Put{{Key: longest + "k"}}}, ErrInvalid},
		{"nothing to write", Txn{If: compares(1)}, ErrInvalid},
		{"a key twice", Txn{Put: []Put{{Key: "/t"}, {Key: "/t"}}}, ErrInvalid},
		{"put and deleted", Txn{Put: []Put{{Key: "/t"}}, Delete: []string{"/t"}}, ErrInvalid},
		{"a negative revision", Txn{If: []Compare{{Key: "/t", Revision: -1}}, Put: []Put{{Key: "/t"}}}, ErrInvalid},
		{"an empty key", Txn{Put: []Put{{}}}, ErrInvalid},
		{"no slash in front", Txn{Put: []Put{{Key: "a/b"}}}, ErrInvalid},
		{"a slash at the end", Txn{Put: []Put{{Key: "/a/"}}}, ErrInvalid},
		{"an asterisk at the end", Txn{Put: []Put{{Key: "/a*"}}}, ErrInvalid},
		{"a control character", Txn{Put: []Put{{Key: "/a\nb"}}}, ErrInvalid},
		{"not UTF-8", Txn{Put: []Put{{Key: "/a\xff"}}}, ErrInvalid},
		{"a bad key to delete", Txn{Delete: []string{""}}, ErrInvalid},
		{"a bad key to compare", Txn{If: []Compare{{}}, Put: []Put{{Key: "/t"}}}, ErrInvalid},
		{"Korean, spaces, empty parts", Txn{Put: []Put{{Key: "/한글//a b"}}}, nil},
	} {
		before, err := s.Revision(ctx)
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Transact(ctx, c.txn)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		after, err2 := s.Revision(ctx)
		if err2 != nil || (after == before) != (err != nil) {
			t.Errorf("%s: revision %d → %d with error %v", c.name, before, after, err)
		}
	}
	if _, err := s.Get(ctx, "a"); !errors.Is(err, ErrInvalid) {
		t.Errorf("getting a malformed key: %v", err)
	}
	for _, prefix := range []string{"", "a", "/a\x00", "/\xff", "*"} {
		if _, _, _, err := s.List(ctx, prefix, "", 0); !errors.Is(err, ErrInvalid) {
			t.Errorf("listing %q: %v", prefix, err)
		}
	}
	if _, _, _, err := s.List(ctx, "/", "", -1); !errors.Is(err, ErrInvalid) {
		t.Errorf("a negative limit: %v", err)
	}
	if _, _, _, err := s.ListAt(ctx, "/", "", 0, 1<<40); !errors.Is(err, ErrInvalid) {
		t.Errorf("a revision to come: %v", err)
	}
}

func TestPrefixes(t *testing.T) {
	s := open(t)
	for _, k := range []string{"/a", "/a-b", "/a/b", "/a/b-c", "/a/b/", "/a/b/c", "/a/b/d/e", "/a/b0", "/a/bc", "/a/bc/d", "/b"} {
		if !strings.HasSuffix(k, "/") {
			put(t, s, k, k)
		}
	}
	for _, c := range []struct {
		prefix, after string
		want          []string
	}{
		{"/a/b", "", []string{"/a/b/c", "/a/b/d/e"}},
		{"/a/b/", "", []string{"/a/b/c", "/a/b/d/e"}},
		{"/a/b*", "", []string{"/a/b", "/a/b-c", "/a/b/c", "/a/b/d/e", "/a/b0", "/a/bc", "/a/bc/d"}},
		{"/a/bc*", "", []string{"/a/bc", "/a/bc/d"}},
		{"/a/b/*", "", []string{"/a/b/c", "/a/b/d/e"}},
		{"/b", "", nil},
		{"/c", "", nil},
		{"/", "", []string{"/a", "/a-b", "/a/b", "/a/b-c", "/a/b/c", "/a/b/d/e", "/a/b0", "/a/bc", "/a/bc/d", "/b"}},
		{"/*", "/a/bc", []string{"/a/bc/d", "/b"}},
		{"/a/b", "/a/b/c", []string{"/a/b/d/e"}},
		{"/a/b", "/a/b/b", []string{"/a/b/c", "/a/b/d/e"}},
		{"/a/b", "/a", []string{"/a/b/c", "/a/b/d/e"}},
		{"/a/b", "/a/b/d/e", nil},
		{"/a/b", "/z", nil},
	} {
		recs, more, rev, err := s.List(t.Context(), c.prefix, c.after, 0)
		if err != nil || more || rev == 0 || !slices.Equal(keysOf(recs), c.want) && len(recs)+len(c.want) > 0 {
			t.Errorf("%s after %q: %v, more %v, revision %d, %v; want %v", c.prefix, c.after, keysOf(recs), more, rev, err, c.want)
		}
	}
}

// Every way of paging through random keys shows what a sorted list of them shows.
func TestPagingAgainstAModel(t *testing.T) {
	s := open(t)
	rng := rand.New(rand.NewPCG(1, 2))
	var keys []string
	for range 60 {
		var b strings.Builder
		for range 1 + rng.IntN(4) {
			b.WriteByte('/')
			for range 1 + rng.IntN(2) {
				b.WriteByte("ab-0~"[rng.IntN(5)])
			}
		}
		put(t, s, b.String(), b.String())
		keys = append(keys, b.String())
	}
	slices.Sort(keys)
	keys = slices.Compact(keys)
	for _, prefix := range []string{"/", "/a", "/a/b", "/a*", "/b/", "/-*"} {
		literal, err := prefixBytes(prefix)
		if err != nil {
			t.Fatal(err)
		}
		want := slices.DeleteFunc(slices.Clone(keys), func(k string) bool { return !strings.HasPrefix(k, literal) })
		for _, limit := range []int{0, 1, 2, 3, len(want), len(want) + 1} {
			var got []string
			after := ""
			for {
				recs, more, _, err := s.List(t.Context(), prefix, after, limit)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, keysOf(recs)...)
				if limit > 0 && len(recs) > limit || more && len(recs) != limit {
					t.Fatalf("%s, limit %d: a page of %d, more %v", prefix, limit, len(recs), more)
				}
				if !more {
					break
				}
				after = recs[len(recs)-1].Key
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s, limit %d: %v, want %v", prefix, limit, got, want)
			}
		}
	}
}

func TestListSeesOneRevision(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	// More records than a page inside List, all written together again and again: every list must see
	// one generation of them.
	const records = pageSize + 200
	write := func(generation int) {
		for first := 0; first < records; first += MaxOps {
			var txn Txn
			for i := first; i < min(first+MaxOps, records); i++ {
				txn.Put = append(txn.Put, Put{Key: fmt.Sprintf("/r/%05d", i), Value: fmt.Append(nil, generation)})
			}
			if _, err := s.Transact(ctx, txn); err != nil {
				t.Fatal(err)
			}
		}
	}
	write(0)
	recs, _, rev, err := s.List(ctx, "/r", "", 3)
	if err != nil {
		t.Fatal(err)
	}
	write(1)
	put(t, s, "/r/00001x", "new")
	rest, more, at, err := s.ListAt(ctx, "/r", recs[2].Key, 0, rev)
	if err != nil || more || at != rev || len(rest) != records-3 {
		t.Fatalf("%d records, more %v, revision %d of %d, %v", len(rest), more, at, rev, err)
	}
	for _, r := range rest {
		if string(r.Value) != "0" || r.Revision > rev {
			t.Fatalf("%s is of generation %s", r.Key, r.Value)
		}
	}
	var stop atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		for !stop.Load() {
			// Two records at the two ends, changed together.
			if _, err := s.Transact(ctx, Txn{Put: []Put{{Key: "/r/00000", Value: fmt.Append(nil, "same")}, {Key: fmt.Sprintf("/r/%05d", records-1), Value: fmt.Append(nil, "same")}}}); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for range 20 {
		recs, _, _, err := s.List(ctx, "/r", "", 0)
		if err != nil || len(recs) != records+1 {
			t.Fatal(len(recs), err)
		}
		a, b := recs[0], recs[len(recs)-1]
		if string(a.Value) == "same" && a.Revision != b.Revision {
			t.Fatalf("the ends of a list are of revisions %d and %d", a.Revision, b.Revision)
		}
	}
	stop.Store(true)
	wg.Wait()
}

func TestForgottenHistory(t *testing.T) {
	s := open(t)
	old := put(t, s, "/a", "1")
	for i := range 5 {
		put(t, s, "/a", fmt.Sprint(i))
	}
	if err := s.compact(t.Context(), old+3); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := s.ListAt(t.Context(), "/", "", 0, old); !errors.Is(err, ErrCompacted) {
		t.Errorf("listing: %v", err)
	}
	b := <-s.Watch(t.Context(), "/", old)
	if !errors.Is(b.Err, ErrCompacted) {
		t.Errorf("watching: %+v", b)
	}
	if err := s.compact(t.Context(), old+3); err != nil {
		t.Errorf("compacting twice: %v", err)
	}
}

// silentKV never answers a transaction.
type silentKV struct {
	clientv3.KV
	asked chan struct{}
}

type silentTxn struct {
	clientv3.Txn
	ctx   context.Context
	asked chan struct{}
}

func (k silentKV) Txn(ctx context.Context) clientv3.Txn {
	return silentTxn{ctx: ctx, asked: k.asked}
}
func (t silentTxn) If(...clientv3.Cmp) clientv3.Txn  { return t }
func (t silentTxn) Then(...clientv3.Op) clientv3.Txn { return t }
func (t silentTxn) Commit() (*clientv3.TxnResponse, error) {
	close(t.asked)
	<-t.ctx.Done()
	return nil, t.ctx.Err()
}

func TestUnansweredWriteIsUnknown(t *testing.T) {
	s := open(t)
	asked := make(chan struct{})
	s.kv = silentKV{s.kv, asked}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	_, err := s.Transact(ctx, Txn{Put: []Put{{Key: "/a"}}})
	if !errors.Is(err, ErrUnknown) || !errors.Is(err, context.Canceled) {
		t.Fatalf("%v", err)
	}
	// A context that had ended before is a clear case: nothing was sent.
	if _, err := s.Transact(ctx, Txn{Put: []Put{{Key: "/a"}}}); errors.Is(err, ErrUnknown) || !errors.Is(err, context.Canceled) {
		t.Fatalf("%v", err)
	}
}

func TestClosedStore(t *testing.T) {
	s := openIn(t, filepath.Join(t.TempDir(), "store"))
	put(t, s, "/a", "1")
	watch := s.Watch(t.Context(), "/", 0)
	// Writers that are under way get an answer, and none hangs.
	var wg sync.WaitGroup
	begun := make(chan struct{}, 4)
	for i := range 4 {
		wg.Go(func() {
			for {
				_, err := s.Transact(t.Context(), Txn{Put: []Put{{Key: fmt.Sprintf("/w/%d", i)}}})
				if err != nil {
					if !errors.Is(err, ErrClosed) && !errors.Is(err, ErrUnknown) {
						t.Error(err)
					}
					return
				}
				select {
				case begun <- struct{}{}:
				default:
				}
			}
		})
	}
	<-begun
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
	var last Batch
	for b := range watch {
		last = b
	}
	if !errors.Is(last.Err, ErrClosed) {
		t.Errorf("the watch ended with %v", last.Err)
	}
	_, err := s.Get(t.Context(), "/a")
	_, err2 := s.Transact(t.Context(), Txn{Put: []Put{{Key: "/a"}}})
	_, _, _, err3 := s.List(t.Context(), "/", "", 0)
	for _, err := range []error{err, err2, err3, s.Health(t.Context()), (<-s.Watch(t.Context(), "/", 1)).Err} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%v", err)
		}
	}
}

func TestLookupAndCreateOnce(t *testing.T) {
	s := open(t)
	if _, found, err := s.Lookup(t.Context(), "/k"); found || err != nil {
		t.Fatal(found, err)
	}
	got := make([]string, 8)
	var wg sync.WaitGroup
	for i := range got {
		wg.Go(func() {
			v, err := s.CreateOnce(t.Context(), "/k", fmt.Append(nil, i))
			if err != nil {
				t.Error(err)
			}
			got[i] = string(v)
		})
	}
	wg.Wait()
	v, found, err := s.Lookup(t.Context(), "/k")
	if !found || err != nil {
		t.Fatal(found, err)
	}
	for i, g := range got {
		if g != string(v) {
			t.Errorf("caller %d got %q, stored is %q", i, g, v)
		}
	}
	if _, _, err := s.Lookup(t.Context(), "bad"); !errors.Is(err, ErrInvalid) {
		t.Error(err)
	}
	if _, err := s.CreateOnce(t.Context(), "bad", nil); !errors.Is(err, ErrInvalid) {
		t.Error(err)
	}
}

// FuzzKeys pins that every key that is taken comes back by its own prefixes and by no sibling's.
func FuzzKeys(f *testing.F) {
	for _, seed := range []string{"/a", "/postern/v1/s3/bucket/b", "a", "/", "", "/a*", "/한글", "/a/\x00", "/a\xff", "//"} {
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, key, prefix string) {
		if checkKey(key) != nil {
			return
		}
		if bytes, err := prefixBytes(prefix); err == nil {
			end := clientv3.GetPrefixRangeEnd(bytes)
			if inRange := key >= bytes && key < end; inRange != strings.HasPrefix(key, bytes) {
				t.Fatalf("%q in [%q, %q): %v", key, bytes, end, inRange)
			}
			folder, isFolder := strings.CutSuffix(prefix, "/")
			if !strings.HasSuffix(prefix, "*") && !isFolder {
				folder = prefix
			}
			if !strings.HasSuffix(prefix, "*") && strings.HasPrefix(key, bytes) && !strings.HasPrefix(key, folder+"/") {
				t.Fatalf("%q is not below %q", key, prefix)
			}
		}
		for _, own := range []string{key + "*", key[:strings.LastIndex(key, "/")+1]} {
			bytes, err := prefixBytes(own)
			if err != nil && len(own) <= MaxKeyBytes {
				t.Fatalf("%q: %v", own, err)
			}
			if err == nil && !strings.HasPrefix(key, bytes) {
				t.Fatalf("%q does not find %q", own, key)
			}
		}
	})
}

func BenchmarkWrite(b *testing.B) {
	s := openIn(b, filepath.Join(b.TempDir(), "store"))
	value := make([]byte, 300)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := s.Transact(b.Context(), Txn{Put: []Put{{Key: fmt.Sprintf("/bench/%d", i%1000), Value: value}}}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "writes/s")
}

func BenchmarkWriteParallel16(b *testing.B) {
	s := openIn(b, filepath.Join(b.TempDir(), "store"))
	value := make([]byte, 300)
	var n atomic.Int64
	b.SetParallelism(8) // times two processors
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := s.Transact(b.Context(), Txn{Put: []Put{{Key: fmt.Sprintf("/bench/%d", n.Add(1)%1000), Value: value}}}); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "writes/s")
}

// BenchmarkReopen measures the second and later opens of a store with 1,000 records.
func BenchmarkReopen(b *testing.B) {
	dir := filepath.Join(b.TempDir(), "store")
	s := openIn(b, dir)
	for i := range 1000 {
		put(b, s, fmt.Sprintf("/bench/%d", i), strings.Repeat("v", 300))
	}
	s.Close()
	for b.Loop() {
		s, err := Open(b.Context(), Config{Dir: dir})
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		s.Close()
		b.StartTimer()
	}
}

// BenchmarkFirstOpen measures the making of a store.
func BenchmarkFirstOpen(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		dir, err := os.MkdirTemp(b.TempDir(), "")
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		s, err := Open(b.Context(), Config{Dir: dir})
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		s.Close()
		b.StartTimer()
	}
}
