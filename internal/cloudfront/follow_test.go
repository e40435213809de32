package cloudfront

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"postern/internal/awsapi"
	"postern/internal/cloudfront/document"
	"postern/internal/seal"
	"postern/internal/store"
)

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// edge stands for the edge: it takes snapshots and says how far it has come.
type edge struct {
	mu      sync.Mutex
	last    Snapshot
	moved   chan struct{}
	faults  []string
	holding atomic.Bool // takes nothing while it is set
}

func newEdge() *edge { return &edge{moved: make(chan struct{})} }

func (e *edge) apply(s Snapshot) {
	if e.holding.Load() {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if s.Revision < e.last.Revision {
		e.faults = append(e.faults, fmt.Sprintf("revision %d after %d", s.Revision, e.last.Revision))
	}
	for id, g := range s.KeyGroups {
		for _, k := range g.KeyGroupConfig.Items {
			if _, ok := s.PublicKeys[k]; !ok {
				e.faults = append(e.faults, fmt.Sprintf("at %d the group %s holds the missing key %s", s.Revision, id, k))
			}
		}
	}
	for _, d := range s.Distributions {
		for _, g := range d.ActiveTrustedKeyGroups.Items {
			if _, ok := s.KeyGroups[g.KeyGroupId]; !ok {
				e.faults = append(e.faults, fmt.Sprintf("at %d the distribution %s trusts the missing group %s", s.Revision, d.Id, g.KeyGroupId))
			}
		}
	}
	e.last = s
	close(e.moved)
	e.moved = make(chan struct{})
}

func (e *edge) applied(ctx context.Context, rev int64) error {
	for {
		e.mu.Lock()
		at, moved := e.last.Revision, e.moved
		e.mu.Unlock()
		if at >= rev {
			return nil
		}
		if e.holding.Load() {
			return context.DeadlineExceeded // what would come of waiting
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (e *edge) snapshot(t *testing.T) Snapshot {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, f := range e.faults {
		t.Error(f)
	}
	e.faults = nil
	return e.last
}

// follow runs Follow until the test ends.
func follow(t *testing.T, s *Service, e *edge) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Follow(ctx, e.apply) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Follow ended with %v", err)
		}
	})
}

func TestWritesAreAnsweredWhenTheEdgeHasTakenThem(t *testing.T) {
	e := newEdge()
	b := newBed(t, func(c *Config) { c.Applied = e.applied })
	follow(t, b.Service, e)
	key := b.key(t, "k")
	if _, ok := e.snapshot(t).PublicKeys[key.PublicKey.Id]; !ok {
		t.Error("the key is acknowledged and the edge does not have it")
	}
	group := b.group(t, "g", key.PublicKey.Id)
	d := b.distribute(t, config("ref", group.KeyGroup.Id))
	s := e.snapshot(t)
	if len(s.Distributions) != 1 || s.Distributions[0].Id != d.Distribution.Id || s.Distributions[0].Status != "Deployed" || s.Account != account {
		t.Errorf("the edge has %+v", s.Distributions)
	}
	other := b.key(t, "other")
	if _, err := b.UpdateKeyGroup(t.Context(), owner, UpdateKeyGroupInput{Id: group.KeyGroup.Id, IfMatch: group.ETag,
		KeyGroupConfig: document.KeyGroupConfig{Name: "g", Items: []string{other.PublicKey.Id}}}); err != nil {
		t.Fatal(err)
	}
	s = e.snapshot(t)
	if got := s.Distributions[0].ActiveTrustedKeyGroups.Items[0].KeyPairIds.Items; !slices.Equal(got, []string{other.PublicKey.Id}) {
		t.Errorf("the removal of a key is acknowledged and the edge honours %v", got)
	}
	if _, err := b.DeletePublicKey(t.Context(), owner, DeletePublicKeyInput{Id: key.PublicKey.Id, IfMatch: key.ETag}); err != nil {
		t.Fatal(err)
	}
	if _, ok := e.snapshot(t).PublicKeys[key.PublicKey.Id]; ok {
		t.Error("the key's deletion is acknowledged and the edge has the key")
	}
}

func TestAnEdgeThatDoesNotFollowIsSaidSo(t *testing.T) {
	e := newEdge()
	b := newBed(t, func(c *Config) {
		c.Patience = time.Minute
		c.Applied = func(ctx context.Context, rev int64) error {
			if at, ok := ctx.Deadline(); !ok || time.Until(at) > time.Minute {
				t.Error("the wait for the edge has no bound")
			}
			return e.applied(ctx, rev)
		}
	})
	follow(t, b.Service, e)
	key := b.key(t, "k")
	e.holding.Store(true)
	_, err := b.DeletePublicKey(t.Context(), owner, DeletePublicKeyInput{Id: key.PublicKey.Id, IfMatch: key.ETag})
	refused(t, err, "ServiceUnavailable", 503, "The change is stored, but the edge has not taken it yet")
	// Asked again, "there is no such key" would be a lie about the edge.
	_, err = b.DeletePublicKey(t.Context(), owner, DeletePublicKeyInput{Id: key.PublicKey.Id, IfMatch: key.ETag})
	refused(t, err, "ServiceUnavailable", 503, "Nothing was changed: an earlier change has not come to the edge yet")
	if _, ok := e.snapshot(t).PublicKeys[key.PublicKey.Id]; !ok {
		t.Error("the edge took the deletion after all: the test shows nothing")
	}
	e.holding.Store(false)
	b.key(t, "another")
	_, err = b.DeletePublicKey(t.Context(), owner, DeletePublicKeyInput{Id: key.PublicKey.Id, IfMatch: key.ETag})
	refused(t, err, "NoSuchPublicKey", 404, "")
}

func TestFollowEndsWithTheService(t *testing.T) {
	b := newBed(t)
	first := make(chan struct{})
	done := make(chan error, 1)
	var once sync.Once
	go func() {
		done <- b.Follow(t.Context(), func(Snapshot) { once.Do(func() { close(first) }) })
	}()
	<-first
	b.Service.Close()
	if err := <-done; !errors.Is(err, store.ErrClosed) {
		t.Errorf("Follow ended with %v", err)
	}
	if err := b.Health(); !errors.Is(err, store.ErrClosed) {
		t.Errorf("a closed service is %v", err)
	}
}

func TestTwoUpdatesOneWins(t *testing.T) {
	b := newBed(t)
	// Two engines on one store, as two processes would be.
	engines := []*Service{b.Service, b.service(t)}
	made := b.distribute(t, config("ref"))
	const writers = 8
	errs := make([]error, writers)
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			c := config("ref")
			c.Comment = fmt.Sprint("writer ", i)
			_, errs[i] = engines[i%2].UpdateDistribution(t.Context(), owner, UpdateDistributionInput{Id: made.Distribution.Id, IfMatch: made.ETag, DistributionConfig: c})
		})
	}
	wg.Wait()
	winner := -1
	for i, err := range errs {
		switch {
		case err != nil:
			refused(t, err, "PreconditionFailed", 412, "")
		case winner >= 0:
			t.Errorf("writers %d and %d both won", winner, i)
		default:
			winner = i
		}
	}
	if winner < 0 {
		t.Fatal("nobody won")
	}
	out, err := engines[winner%2].GetDistributionConfig(t.Context(), owner, GetDistributionConfigInput{Id: made.Distribution.Id})
	if err != nil || out.DistributionConfig.Comment != fmt.Sprint("writer ", winner) {
		t.Errorf("the winner was %d; stored is %q (%v)", winner, out.DistributionConfig.Comment, err)
	}
}

// A refusal is founded on what the store holds, not on what this process has heard of it.
func TestARefusalOnOldNewsIsReconsidered(t *testing.T) {
	var other *Service
	asked := 0
	b := newBed(t, func(c *Config) {
		c.Check = func(Snapshot, string) error {
			if asked++; asked > 1 {
				return nil
			}
			if _, err := other.CreateOriginAccessControl(t.Context(), owner, CreateOriginAccessControlInput{controlConfig("meanwhile")}); err != nil {
				t.Error(err)
			}
			return errors.New("as things stood")
		}
	})
	other = b.service(t)
	b.distribute(t, config("ref"))
	if asked != 2 {
		t.Errorf("asked %d times", asked)
	}
	// An engine that hears nothing any more refuses to judge.
	key := b.key(t, "k")
	deaf := b.service(t)
	deaf.Close()
	another := b.key(t, "another")
	_, err := deaf.DeletePublicKey(t.Context(), owner, DeletePublicKeyInput{Id: another.PublicKey.Id, IfMatch: another.ETag})
	refused(t, err, "ServiceUnavailable", 503, "Nothing was changed")
	_, err = deaf.CreateKeyGroup(t.Context(), owner, CreateKeyGroupInput{document.KeyGroupConfig{Name: "g", Items: []string{key.PublicKey.Id}}})
	refused(t, err, "ServiceUnavailable", 503, "Nothing was changed")
}

func TestOneNameIsGivenOnce(t *testing.T) {
	b := newBed(t)
	engines := []*Service{b.Service, b.service(t)}
	const writers = 6
	errs := make([]error, writers)
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			_, errs[i] = engines[i%2].CreatePublicKey(t.Context(), owner, CreatePublicKeyInput{document.PublicKeyConfig{CallerReference: fmt.Sprint(i), Name: "n", EncodedKey: rsaPEM()}})
		})
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
			continue
		}
		refused(t, err, "PublicKeyAlreadyExists", 409, "name")
	}
	if won != 1 {
		t.Errorf("the name was given %d times", won)
	}
}

// References never dangle, whoever writes what at the same time, and no snapshot shows one that does.
func TestReferencesNeverDangle(t *testing.T) {
	b := newBed(t)
	other := b.service(t)
	e := newEdge()
	follow(t, other, e)
	var wins, losses atomic.Int64
	count := func(err error) {
		if err == nil {
			wins.Add(1)
			return
		}
		losses.Add(1)
		var refusal *awsapi.Error
		if !errors.As(err, &refusal) || refusal.Status >= 500 {
			t.Errorf("a fault: %v", err)
		}
	}
	for round := range 6 {
		key := b.key(t, fmt.Sprint("k", round))
		var wg sync.WaitGroup
		var group CreateKeyGroupOutput
		var groupErr, keyErr error
		wg.Go(func() {
			group, groupErr = b.CreateKeyGroup(t.Context(), owner, CreateKeyGroupInput{document.KeyGroupConfig{Name: fmt.Sprint("g", round), Items: []string{key.PublicKey.Id}}})
			count(groupErr)
		})
		wg.Go(func() {
			_, keyErr = other.DeletePublicKey(t.Context(), owner, DeletePublicKeyInput{Id: key.PublicKey.Id, IfMatch: key.ETag})
			count(keyErr)
		})
		wg.Wait()
		// One of the two is refused, and not because an engine had not heard of what the other wrote.
		if (groupErr == nil) == (keyErr == nil) {
			t.Fatalf("putting a key into a group: %v; deleting it: %v", groupErr, keyErr)
		}
		if groupErr != nil {
			continue
		}
		var distErr, deleteErr error
		wg.Go(func() {
			_, distErr = other.CreateDistribution(t.Context(), owner, CreateDistributionInput{config(fmt.Sprint("d", round), group.KeyGroup.Id)})
			count(distErr)
		})
		wg.Go(func() {
			_, deleteErr = b.DeleteKeyGroup(t.Context(), owner, DeleteKeyGroupInput{Id: group.KeyGroup.Id, IfMatch: group.ETag})
			count(deleteErr)
		})
		wg.Wait()
		if (distErr == nil) == (deleteErr == nil) {
			t.Fatalf("trusting a group: %v; deleting it: %v", distErr, deleteErr)
		}
	}
	t.Logf("%d writes won, %d were refused", wins.Load(), losses.Load())
	e.snapshot(t)
}

func TestRecordsSurviveARestartAndHoldNoSecret(t *testing.T) {
	b := newBed(t)
	key := b.key(t, "k")
	group := b.group(t, "g", key.PublicKey.Id)
	cfg := config("ref", group.KeyGroup.Id)
	const secret = "open-sesame-4711"
	cfg.Origins.Items[0].CustomHeaders.Items = []document.OriginCustomHeader{{HeaderName: "X-Secret", HeaderValue: secret}, {HeaderName: "X-Empty"}}
	cfg.CacheBehaviors.Items = []document.CacheBehavior{{PathPattern: "/public/*", DefaultCacheBehavior: config("").DefaultCacheBehavior}}
	cfg.CustomErrorResponses.Items = []document.CustomErrorResponse{{ErrorCode: 403, ResponsePagePath: "/403.html", ResponseCode: "403"}}
	cfg = document.Counted(cfg)
	made := b.distribute(t, cfg)
	if !reflect.DeepEqual(made.Distribution.DistributionConfig, cfg) {
		t.Errorf("stored %+v, sent %+v", made.Distribution.DistributionConfig, cfg)
	}
	b.control(t, "oac")
	before := b.Snapshot()
	b.Service.Close()
	if err := b.store.Close(); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(b.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if bytes.Contains(content, []byte(secret)) {
			t.Errorf("%s holds the value of a custom header", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	b.open(t)
	after := b.Snapshot()
	after.Revision = before.Revision
	if !reflect.DeepEqual(before, after) {
		t.Errorf("before %+v\nafter %+v", before, after)
	}
	got, err := b.GetDistribution(t.Context(), owner, GetDistributionInput{Id: made.Distribution.Id})
	if err != nil || got.ETag != made.ETag || !reflect.DeepEqual(got.Distribution.DistributionConfig, cfg) {
		t.Errorf("got %+v %v", got, err)
	}
}

// The form on disk: what this program wrote, later ones must read.
const recordV1 = `{"version":1,"etag":"E2QWRUHEXAMPLE","created":"2030-01-02T03:04:05.678Z","modified":"2030-02-03T04:05:06Z",` +
	`"document":{"Name":"g","Items":["K2JCJMDEHXQW5F"],"Comment":"c"}}`

func TestRecordFormat(t *testing.T) {
	b := newBed(t)
	put := func(kind, id, value string) {
		t.Helper()
		rev, err := b.store.Transact(t.Context(), store.Txn{Put: []store.Put{{Key: prefix + kind + "/" + id, Value: []byte(value)}}})
		if err != nil {
			t.Fatal(err)
		}
		if err := b.view.Wait(t.Context(), rev); err != nil {
			t.Fatal(err)
		}
	}
	put(kindKeyGroup, "dd842b0c-fd3d-4fdb-b488-fa68c4108d21", recordV1)
	got, err := b.GetKeyGroup(t.Context(), owner, GetKeyGroupInput{Id: "dd842b0c-fd3d-4fdb-b488-fa68c4108d21"})
	if err != nil {
		t.Fatal(err)
	}
	want := document.KeyGroup{Id: "dd842b0c-fd3d-4fdb-b488-fa68c4108d21", LastModifiedTime: time.Date(2030, 2, 3, 4, 5, 6, 0, time.UTC),
		KeyGroupConfig: document.KeyGroupConfig{Name: "g", Items: []string{"K2JCJMDEHXQW5F"}, Comment: "c"}}
	if got.ETag != "E2QWRUHEXAMPLE" || !reflect.DeepEqual(got.KeyGroup, want) {
		t.Errorf("got %+v", got)
	}
	// And written as it was read.
	e := b.state().keyGroups[want.Id]
	if again, err := encode(b.Service, e); err != nil || string(again) != recordV1 {
		t.Errorf("written as %s (%v)", again, err)
	}
	if err := b.Health(); err != nil {
		t.Error(err)
	}
	for name, bad := range map[string]struct{ kind, value string }{
		"version":        {kindKeyGroup, strings.Replace(recordV1, `"version":1`, `"version":2`, 1)},
		"unknown field":  {kindKeyGroup, strings.Replace(recordV1, `"Comment"`, `"Restriction"`, 1)},
		"trailing data":  {kindKeyGroup, recordV1 + "{}"},
		"no JSON":        {kindKeyGroup, "x"},
		"unknown kind":   {"function", recordV1},
		"sealed nothing": {kindKeyGroup, strings.Replace(recordV1, `"document"`, `"sealed":"AAAA","document"`, 1)},
		"sealed junk":    {kindDistribution, strings.Replace(recordV1, recordV1[strings.Index(recordV1, `"document"`):], `"sealed":"AAAA","document":{}}`, 1)},
		"header without its value": {kindDistribution, strings.Replace(recordV1, recordV1[strings.Index(recordV1, `"document"`):],
			`"document":{"Origins":{"Quantity":1,"Items":[{"CustomHeaders":{"Quantity":1,"Items":[{"HeaderName":"a"}]}}]}}}`, 1)},
	} {
		t.Run(name, func(t *testing.T) {
			if !json.Valid([]byte(bad.value)) && name != "no JSON" && name != "trailing data" {
				t.Fatalf("the test is wrong: %s", bad.value)
			}
			put(bad.kind, "bad", bad.value)
			if err := b.Health(); err == nil {
				t.Error("health says nothing")
			}
			st := b.state()
			if st.keyGroups["bad"] != nil || st.distributions["bad"] != nil {
				t.Error("it is trusted")
			}
			rev, err := b.store.Transact(t.Context(), store.Txn{Delete: []string{prefix + bad.kind + "/bad"}})
			if err != nil {
				t.Fatal(err)
			}
			if err := b.view.Wait(t.Context(), rev); err != nil {
				t.Fatal(err)
			}
			if err := b.Health(); err != nil {
				t.Errorf("still ill: %v", err)
			}
		})
	}
}

// oneValue is a seal.KeyStore for the one key.
type oneValue struct{ value []byte }

func (o *oneValue) Lookup(context.Context, string) ([]byte, bool, error) {
	return o.value, o.value != nil, nil
}

func (o *oneValue) CreateOnce(_ context.Context, _ string, value []byte) ([]byte, error) {
	if o.value == nil {
		o.value = value
	}
	return o.value, nil
}

func FuzzRecord(f *testing.F) {
	f.Add("key-group/x", []byte(recordV1))
	f.Add("public-key/K2JCJMDEHXQW5F", []byte(`{"version":1,"etag":"E1","created":"2030-01-02T03:04:05Z","modified":"2030-01-02T03:04:05Z","document":{"CallerReference":"r","Name":"n","EncodedKey":"k","Comment":""}}`))
	f.Add("distribution/E1", []byte(`{"version":1,"etag":"E1","created":"2030-01-02T03:04:05Z","modified":"2030-01-02T03:04:05Z","domainName":"d1.cloudfront.net","document":{"CallerReference":"r"}}`))
	f.Add("origin-access-control/E1", []byte(`{"version":1,"etag":"E1","created":"2030-01-02T03:04:05Z","modified":"2030-01-02T03:04:05Z","document":{"Name":"n"}}`))
	f.Add("", []byte{})
	root, err := seal.CreateKeyFile(filepath.Join(f.TempDir(), "root.key"))
	if err != nil {
		f.Fatal(err)
	}
	s := &Service{}
	if s.keeper, err = seal.NewKeeper(f.Context(), root, &oneValue{}); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, key string, value []byte) {
		first, err := s.decode(store.Record{Key: prefix + key, Value: value})
		if err != nil {
			return
		}
		var again []byte
		switch e := first.(type) {
		case *entry[document.DistributionConfig]:
			again, err = encode(s, e)
		case *entry[document.PublicKeyConfig]:
			again, err = encode(s, e)
		case *entry[document.KeyGroupConfig]:
			again, err = encode(s, e)
		case *entry[document.OriginAccessControlConfig]:
			again, err = encode(s, e)
		default:
			return
		}
		if err != nil {
			t.Fatalf("read, and cannot be written: %v", err)
		}
		second, err := s.decode(store.Record{Key: prefix + key, Value: again})
		if err != nil {
			t.Fatalf("written, and cannot be read: %v\n%s", err, again)
		}
		if !reflect.DeepEqual(first, second) {
			t.Fatalf("changed on the way:\n%+v\n%+v", first, second)
		}
	})
}

func TestIdsAreRandomAndWellFormed(t *testing.T) {
	seen := map[string]bool{}
	counts := map[rune]int{}
	for range 2000 {
		id := random(upper, 13)
		if len(id) != 13 || seen[id] {
			t.Fatalf("%q", id)
		}
		seen[id] = true
		for _, c := range id {
			counts[c]++
		}
		if u := uuid(); !groupID.MatchString(u) || seen[u] {
			t.Fatalf("%q", u)
		} else {
			seen[u] = true
		}
	}
	// 26,000 characters of 36: 722 each, give or take; a fair source is outside these bounds once in far
	// more runs than there will be.
	for _, c := range upper {
		if n := counts[c]; n < 550 || n > 900 {
			t.Errorf("%c stands %d times", c, n)
		}
	}
}
