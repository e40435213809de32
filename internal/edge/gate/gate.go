// Package gate decides whether a request may pass. Its yes is an [Admission], a value that only this
// package can make and that origins (and the cache to come) require; what they fetch is read from the
// admission and from nowhere else. The gate reads a request's raw target once ([ParseTarget]), finds the
// behaviour it belongs to and refuses it when another reading of the same bytes belongs elsewhere
// ([Routes]), and verifies signed URLs and cookies through package signed ([Gate.Admit]). It knows
// nothing of HTTP answers, documents or origins.
package gate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"runtime"
	"time"

	"postern/signed"
)

// Verdicts is how many outcomes of public-key operations a gate remembers: about 3 MiB when full.
const Verdicts = 1 << 15

// Rule says who may pass on one behaviour. The zero Rule lets nobody pass. A Rule is immutable.
type Rule struct {
	public bool
	keys   map[string]*signed.Key
}

// Public is the explicit rule for a behaviour that needs no signature. There is no implicit one.
func Public() *Rule { return &Rule{public: true} }

// Signed is the rule for a behaviour that needs a signature by one of the keys, named by key pair id.
// With no keys it refuses everybody, as CloudFront does while a key group's keys are gone.
func Signed(keys map[string]*signed.Key) *Rule {
	return &Rule{keys: maps.Clone(keys)}
}

// IsPublic reports whether the rule asks for no signature.
func (r *Rule) IsPublic() bool { return r.public }

func (r *Rule) key(id string) (*signed.Key, bool) {
	k, ok := r.keys[id]
	return k, ok
}

// Config is what a gate needs.
type Config struct {
	// Revoked is asked on each request that needs a signature; it must answer from memory and be safe
	// for concurrent use. Nil revokes nothing.
	Revoked func(signed.GrantID) bool
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Concurrency bounds the public-key operations that run at once; 0 is GOMAXPROCS. Whoever has to
	// wait does so as long as its request lives.
	Concurrency int
}

// Gate verifies. It is safe for concurrent use and outlives changes of configuration: rules come with
// each request.
type Gate struct {
	revoked  func(signed.GrantID) bool
	now      func() time.Time
	turns    chan struct{}
	verdicts signed.VerdictCache
}

// New makes a gate.
func New(c Config) (*Gate, error) {
	if c.Concurrency < 0 {
		return nil, errors.New("making gate: Concurrency is negative")
	}
	if c.Concurrency == 0 {
		c.Concurrency = runtime.GOMAXPROCS(0)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Gate{
		revoked:  c.Revoked,
		now:      c.Now,
		turns:    make(chan struct{}, c.Concurrency),
		verdicts: signed.NewVerdictCache(Verdicts),
	}, nil
}

// Viewer is what the gate may know of who is asking.
type Viewer struct {
	// Addr is the viewer's address. The zero Addr satisfies no address condition.
	Addr netip.Addr
	// Cookies are the raw values of the request's Cookie headers.
	Cookies []string
}

// Admit decides. A refusal is a *signed.Refusal: the first fault in the gate's order. Any other error
// means that ctx ended while the request waited for its turn at the public-key operation.
//
// Time, address, revocation and the rule's keys are looked at on every call; only the outcome of the
// public-key operation is remembered.
func (g *Gate) Admit(ctx context.Context, rule *Rule, t Target, v Viewer) (Admission, error) {
	if t.path == "" {
		return Admission{}, errors.New("admitting: the target was not made by ParseTarget")
	}
	if rule.public {
		return Admission{kind: admittedPublic, target: t, path: t.path}, nil
	}
	turn := turn{ctx: ctx, gate: g}
	defer turn.end()
	verifier := signed.Verifier{Keys: rule.key, Revoked: g.revoked, Verdicts: &turn}
	grant, err := verifier.Verify(signed.Request{URL: t.URL(), Cookies: v.Cookies, ViewerIP: v.Addr.Unmap(), Time: g.now()})
	if turn.err != nil {
		return Admission{}, fmt.Errorf("waiting to verify a signature: %w", turn.err)
	}
	if err != nil {
		return Admission{}, err
	}
	return Admission{kind: admittedSigned, target: t, path: t.path, grant: grant}, nil
}

// turn is the verdict cache of one request. A miss is what precedes a public-key operation, so that is
// where the request waits for its turn; storing the outcome ends the turn.
type turn struct {
	ctx  context.Context
	gate *Gate
	held bool
	err  error
}

// Get implements signed.VerdictCache. When the wait is cut short it answers "not genuine", and Admit
// reports why.
func (t *turn) Get(k [32]byte) (ok, hit bool) {
	if ok, hit = t.gate.verdicts.Get(k); hit || t.held {
		return ok, hit
	}
	select {
	case t.gate.turns <- struct{}{}:
	case <-t.ctx.Done():
		t.err = t.ctx.Err()
		return false, true
	}
	t.held = true
	// Whoever held the turn before may have answered the same question: a film's segments arrive together.
	if ok, hit = t.gate.verdicts.Get(k); hit {
		t.end()
	}
	return ok, hit
}

// Put implements signed.VerdictCache.
func (t *turn) Put(k [32]byte, ok bool) {
	t.gate.verdicts.Put(k, ok)
	t.end()
}

func (t *turn) end() {
	if t.held {
		t.held = false
		<-t.gate.turns
	}
}
