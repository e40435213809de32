package gate

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"postern/signed"
)

type keyPair struct {
	signer signed.Signer
	key    *signed.Key
}

func newKeyPair(t testing.TB, id string) keyPair {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := signed.NewKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	return keyPair{signer: signed.Signer{KeyPairID: id, Key: private, Hash: signed.SHA256}, key: key}
}

func (k keyPair) link(t testing.TB, raw string, until time.Time) Target {
	t.Helper()
	s, err := k.signer.SignURL(raw, until)
	if err != nil {
		t.Fatal(err)
	}
	return target(t, s)
}

// target reads a whole URL as a request to its host.
func target(t testing.TB, raw string) Target {
	t.Helper()
	scheme, rest, _ := strings.Cut(raw, "://")
	host, _, _ := strings.Cut(rest, "/")
	got, err := ParseTarget(rawRequest(strings.TrimPrefix(rest, host), host), scheme)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func newGate(t testing.TB, c Config) *Gate {
	t.Helper()
	g, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func wantCode(t *testing.T, what string, a Admission, err error, code signed.Code) {
	t.Helper()
	var r *signed.Refusal
	if !errors.As(err, &r) || r.Code != code {
		t.Errorf("%s: %v, want %s", what, err, code)
	}
	if a.Valid() {
		t.Errorf("%s: the admission is valid", what)
	}
}

func TestAdmit(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	var revoked signed.GrantID
	g := newGate(t, Config{Now: func() time.Time { return now }, Revoked: func(id signed.GrantID) bool { return id == revoked }})
	ctx := context.Background()
	a, b := newKeyPair(t, "K1AAAAAAAAAAAA"), newKeyPair(t, "K2BBBBBBBBBBBB")
	rule := Signed(map[string]*signed.Key{"K1AAAAAAAAAAAA": a.key})
	link := a.link(t, "http://h/a?x=1", now.Add(time.Minute))

	adm, err := g.Admit(ctx, rule, link, Viewer{})
	if err != nil || !adm.Valid() || adm.Public() {
		t.Fatalf("a good link: %v", err)
	}
	if grant, ok := adm.Grant(); !ok || grant.KeyPairID != "K1AAAAAAAAAAAA" || grant.ID == (signed.GrantID{}) {
		t.Errorf("grant %+v, %v", grant, ok)
	} else {
		revoked = grant.ID
	}
	if adm.Path() != "/a" || adm.Query() != "x=1" {
		t.Errorf("admitted path %q query %q", adm.Path(), adm.Query())
	}

	// The verdict is remembered; what surrounds it is not.
	adm, err = g.Admit(ctx, rule, link, Viewer{})
	wantCode(t, "revoked", adm, err, signed.AccessDenied)
	revoked = signed.GrantID{}
	now = now.Add(time.Minute)
	adm, err = g.Admit(ctx, rule, link, Viewer{})
	wantCode(t, "expired", adm, err, signed.AccessDenied)
	now = now.Add(-time.Minute)
	adm, err = g.Admit(ctx, Signed(map[string]*signed.Key{"K2BBBBBBBBBBBB": b.key}), link, Viewer{})
	wantCode(t, "another behaviour's keys", adm, err, signed.InvalidKey)
	adm, err = g.Admit(ctx, Signed(map[string]*signed.Key{"K1AAAAAAAAAAAA": b.key}), link, Viewer{})
	wantCode(t, "another key under the same id", adm, err, signed.AccessDenied)
	adm, err = g.Admit(ctx, Signed(map[string]*signed.Key{"K1AAAAAAAAAAAA": nil}), link, Viewer{})
	wantCode(t, "a key that is nil", adm, err, signed.InvalidKey)
	adm, err = g.Admit(ctx, Signed(nil), link, Viewer{})
	wantCode(t, "no keys", adm, err, signed.InvalidKey)
	adm, err = g.Admit(ctx, &Rule{}, link, Viewer{})
	wantCode(t, "the zero rule", adm, err, signed.InvalidKey)
	adm, err = g.Admit(ctx, rule, target(t, "http://h/a?x=1"), Viewer{})
	wantCode(t, "no signature", adm, err, signed.MissingKey)

	policy := signed.Policy{NotAfter: now.Add(time.Minute), SourceIP: netip.MustParsePrefix("192.0.2.7/32")}
	bound, err := a.signer.SignURLPolicy("http://h/a", policy)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		ip string
		ok bool
	}{{"192.0.2.7", true}, {"::ffff:192.0.2.7", true}, {"192.0.2.8", false}, {"192.0.2.6", false}, {"2001:db8::1", false}} {
		adm, err := g.Admit(ctx, rule, target(t, bound), Viewer{Addr: netip.MustParseAddr(c.ip)})
		if (err == nil) != c.ok || adm.Valid() != c.ok {
			t.Errorf("viewer %s: %v", c.ip, err)
		}
	}
	adm, err = g.Admit(ctx, rule, target(t, bound), Viewer{})
	wantCode(t, "an unknown address", adm, err, signed.AccessDenied)

	cookies, err := a.signer.Cookies(signed.Policy{Resource: "http://h/*", NotAfter: now.Add(time.Minute)}, signed.CookieOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var header []string
	for _, c := range cookies {
		header = append(header, c.Name+"="+c.Value)
	}
	if adm, err := g.Admit(ctx, rule, target(t, "http://h/any"), Viewer{Cookies: []string{strings.Join(header, "; ")}}); err != nil || !adm.Valid() {
		t.Errorf("cookies: %v", err)
	}

	if adm, err := g.Admit(ctx, Public(), target(t, "http://h/p?Signature=x"), Viewer{}); err != nil || !adm.Valid() || !adm.Public() || adm.Query() != "" {
		t.Errorf("public: %+v, %v", adm, err)
	}
	if adm, err := g.Admit(ctx, Public(), Target{}, Viewer{}); err == nil || adm.Valid() {
		t.Error("the zero target was admitted")
	}
}

// Turns are taken and given back in the verdict cache, so they are looked at from there.
func TestTurns(t *testing.T) {
	g := newGate(t, Config{Concurrency: 1})
	first := turn{ctx: context.Background(), gate: g}
	if _, hit := first.Get([32]byte{1}); hit || !first.held {
		t.Fatal("a miss did not take the turn")
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		second := turn{ctx: ctx, gate: g}
		done := make(chan struct{})
		go func() {
			defer close(done)
			if ok, hit := second.Get([32]byte{2}); ok || !hit {
				t.Errorf("cut short: %v %v, want a no", ok, hit)
			}
		}()
		cancel()
		<-done
		if !errors.Is(second.err, context.Canceled) || second.held {
			t.Errorf("err %v, held %v", second.err, second.held)
		}
	})
	first.Put([32]byte{1}, true)
	third := turn{ctx: context.Background(), gate: g}
	if ok, hit := third.Get([32]byte{1}); !ok || !hit || third.held {
		t.Errorf("the outcome was not remembered: %v %v %v", ok, hit, third.held)
	}
	if len(g.turns) != 0 {
		t.Error("a turn was not given back")
	}

	// A canceled wait is no refusal.
	k := newKeyPair(t, "K1AAAAAAAAAAAA")
	g.turns <- struct{}{}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	link := k.link(t, "http://h/a", time.Now().Add(time.Minute))
	adm, err := g.Admit(ctx, Signed(map[string]*signed.Key{"K1AAAAAAAAAAAA": k.key}), link, Viewer{})
	var refusal *signed.Refusal
	if !errors.Is(err, context.Canceled) || errors.As(err, &refusal) || adm.Valid() {
		t.Errorf("waiting: %v", err)
	}
	<-g.turns
	if _, err := g.Admit(context.Background(), Signed(map[string]*signed.Key{"K1AAAAAAAAAAAA": k.key}), link, Viewer{}); err != nil {
		t.Errorf("after the wait that was cut short: %v", err)
	}
}

// The same fresh link on many connections costs one public-key operation when they take turns, and all of
// them are admitted.
func TestTurnsConcurrent(t *testing.T) {
	g := newGate(t, Config{Concurrency: 1})
	k := newKeyPair(t, "K1AAAAAAAAAAAA")
	rule := Signed(map[string]*signed.Key{"K1AAAAAAAAAAAA": k.key})
	link := k.link(t, "http://h/a", time.Now().Add(time.Minute))
	bad := k.link(t, "http://h/b", time.Now().Add(time.Minute))
	bad.path = "/a"
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if _, err := g.Admit(context.Background(), rule, link, Viewer{}); err != nil {
				t.Errorf("good link: %v", err)
			}
			if _, err := g.Admit(context.Background(), rule, bad, Viewer{}); err == nil {
				t.Error("bad link admitted")
			}
		})
	}
	wg.Wait()
	if len(g.turns) != 0 {
		t.Errorf("%d turns were not given back", len(g.turns))
	}
}

func TestAdmissionPaths(t *testing.T) {
	g := newGate(t, Config{})
	slash, err := g.Admit(context.Background(), Public(), target(t, "http://h/?q=1&Signature=s"), Viewer{})
	if err != nil {
		t.Fatal(err)
	}
	root, err := ParseRootObject("dir/index%20a.html")
	if err != nil {
		t.Fatal(err)
	}
	if got := slash.WithRoot(root); got.Path() != "/dir/index%20a.html" || got.Query() != "q=1" || got.Target().Path() != "/" {
		t.Errorf("root: %q ? %q", got.Path(), got.Query())
	}
	if got := slash.WithRoot(RootObject{}); got.Path() != "/" {
		t.Errorf("no root: %q", got.Path())
	}
	other, _ := g.Admit(context.Background(), Public(), target(t, "http://h/a"), Viewer{})
	if got := other.WithRoot(root); got.Path() != "/a" {
		t.Errorf("root for another path: %q", got.Path())
	}
	if (Admission{}).WithRoot(root).Valid() || (Page{}).Admit(Target{}).Valid() || (Admission{}).Valid() {
		t.Error("an admission nobody gave is valid")
	}
	page, err := ParsePage("/errors/403.html")
	if err != nil {
		t.Fatal(err)
	}
	if got := page.Admit(slash.Target()); !got.Valid() || got.Path() != "/errors/403.html" || got.Query() != "" || got.Public() {
		t.Errorf("page: %+v", got)
	}
	for _, bad := range []string{"", "/index.html", "a b", "a?b", "a#b", "é", "%zz", "%00"} {
		if _, err := ParseRootObject(bad); err == nil {
			t.Errorf("root object %q was accepted", bad)
		}
	}
	for _, bad := range []string{"", "index.html", "/a b", "/a?b", "/é", "/%zz"} {
		if _, err := ParsePage(bad); err == nil {
			t.Errorf("page %q was accepted", bad)
		}
	}
}

func BenchmarkAdmit(b *testing.B) {
	g := newGate(b, Config{})
	k := newKeyPair(b, "K1AAAAAAAAAAAA")
	rule := Signed(map[string]*signed.Key{"K1AAAAAAAAAAAA": k.key})
	link := k.link(b, "https://d111111abcdef8.cloudfront.net/uploads/2026/report.pdf", time.Now().Add(time.Hour))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := g.Admit(context.Background(), rule, link, Viewer{}); err != nil {
			b.Fatal(err)
		}
	}
}
