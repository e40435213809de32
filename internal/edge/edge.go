// Package edge is the viewer's side of Postern: one http.Handler that finds the distribution and the
// behaviour a request belongs to, holds it to the behaviour's protocol and methods, asks the gate, and
// fetches from the origin what the gate admitted. Whatever it refuses it answers as CloudFront does, byte
// for byte where CloudFront's bytes are known. Documents become one immutable [Config] ([Compile]) that is
// swapped in by one atomic pointer ([Edge.Swap]): a request sees one configuration from beginning to end.
//
// Where it knowingly differs from CloudFront:
//   - A path that belongs to another behaviour in some reading of it, or climbs above the root, is refused
//     (400); CloudFront falls back to the default behaviour. The same holds for a default root object that
//     belongs to another behaviour than "/".
//   - Raw non-ASCII bytes, spaces, '#', an encoded NUL and odd hosts (trailing dot, user name) are refused
//     (400). net/http refuses some of what is malformed before the edge sees it, with a page of its own:
//     bad percent-encoding in the path, control characters, two Host headers; and answers 431 where
//     CloudFront answers 494.
//   - net/http writes headers in the order of their names.
//   - A distribution that asks for what is not done here (see [Compile]) answers 503; CloudFront has no such
//     state. Nothing is cached or compressed yet: X-Cache never says Hit.
package edge

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"postern/internal/edge/gate"
	"postern/internal/edge/origin"
	"postern/internal/policy"
	"postern/signed"
)

// Options is what an edge needs.
type Options struct {
	// Buckets serves bucket origins; nil when there is no S3 engine (they answer 502 then).
	Buckets origin.Buckets
	// TrustedProxies are the only peers whose X-Forwarded-For and X-Forwarded-Proto are believed.
	TrustedProxies []netip.Prefix
	// HTTPSPort is the port that redirects to HTTPS name; 0 and 443 name none.
	HTTPSPort int
	// Revoked is asked on each request that needs a signature, from memory. Nil revokes nothing.
	Revoked func(signed.GrantID) bool
	// Now is the clock that grants are held against; nil is time.Now.
	Now func() time.Time
	// Logger gets one event a request; nil discards.
	Logger *slog.Logger
	// Metrics gets one observation a request; nil discards.
	Metrics Metrics
	// OriginRoots are the authorities that vouch for HTTPS origins; nil is the system's.
	OriginRoots *x509.CertPool
	// Pop is the X-Amz-Cf-Pop that viewers see; empty is "POSTERN50-P1".
	Pop string
	// Stall is how long a viewer may take no byte of an answer, or send none of a body; 0 is 60 s.
	Stall time.Duration
}

// Metrics counts what was served. Implementations return at once. Nothing in an observation is a viewer's
// text, so that the number of label values is bounded.
type Metrics interface {
	Served(Observation)
}

// Observation is one request, for counting.
type Observation struct {
	// Distribution is an id, empty when no distribution answers for the host.
	Distribution string
	Status       int
	// Refusal is why the edge refused, one of a closed list; empty when an origin answered.
	Refusal string
	// Bytes are the body's bytes sent.
	Bytes    int64
	Duration time.Duration
}

// Edge is the handler. It is safe for concurrent use.
type Edge struct {
	o         Options
	gate      *gate.Gate
	transport *origin.Transport
	via       string // this edge's entry in Via
	viaValue  []string
	pop       []string
	live      atomic.Pointer[live]

	mu      sync.Mutex
	changed chan struct{} // closed at the next Swap
}

// live is a configuration with its origins opened.
type live struct {
	*Config
	origins map[*distribution][]origin.Origin // by index of behaviour
}

// New makes an edge. It answers 503 until the first Swap.
func New(o Options) (*Edge, error) {
	if o.HTTPSPort < 0 || o.HTTPSPort > 65535 {
		return nil, errors.New("making edge: HTTPSPort is not a port")
	}
	for _, p := range o.TrustedProxies {
		if !p.IsValid() {
			return nil, errors.New("making edge: TrustedProxies holds an invalid prefix")
		}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Metrics == nil {
		o.Metrics = noMetrics{}
	}
	if o.Buckets == nil {
		o.Buckets = noBuckets{}
	}
	if o.Pop == "" {
		o.Pop = "POSTERN50-P1"
	}
	if o.Stall == 0 {
		o.Stall = time.Minute
	}
	g, err := gate.New(gate.Config{Revoked: o.Revoked, Now: o.Now})
	if err != nil {
		return nil, fmt.Errorf("making edge: %w", err)
	}
	e := &Edge{
		o:         o,
		gate:      g,
		transport: origin.NewTransport(origin.TransportConfig{Roots: o.OriginRoots}),
		pop:       []string{o.Pop},
		changed:   make(chan struct{}),
	}
	var name [16]byte
	rand.Read(name[:])
	e.via = "1.1 " + hex.EncodeToString(name[:]) + viaSuffix
	e.viaValue = []string{e.via}
	return e, nil
}

// viaSuffix is how every CloudFront server ends its entry in Via.
const viaSuffix = ".cloudfront.net (CloudFront)"

// Close closes the connections to origins that are not in use.
func (e *Edge) Close() { e.transport.Close() }

// Swap makes c the configuration of every request that starts after Swap has returned, on keep-alive
// connections too. Requests under way finish with the one they started with. An older revision than the
// present one is ignored: two followers may race.
func (e *Edge) Swap(c *Config) {
	next := &live{Config: c, origins: make(map[*distribution][]origin.Origin)}
	for _, table := range []map[string]*distribution{c.hosts, c.wild} {
		for _, d := range table {
			if next.origins[d] == nil && !d.closed {
				next.origins[d] = e.open(d)
			}
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if now := e.live.Load(); now != nil && now.revision > c.revision {
		return
	}
	e.live.Store(next)
	close(e.changed)
	e.changed = make(chan struct{})
}

// open opens the origins of a distribution, one per behaviour. Their connections are the transport's, so
// nothing is lost by opening them anew.
func (e *Edge) open(d *distribution) []origin.Origin {
	out := make([]origin.Origin, len(d.behaviours))
	for i := range d.behaviours {
		b := &d.behaviours[i]
		var err error
		if b.http != nil {
			out[i], err = origin.NewHTTP(*b.http, e.transport)
		} else {
			out[i], err = origin.NewBucket(*b.bucket, e.o.Buckets)
		}
		if err != nil {
			out[i] = broken{err}
		}
	}
	return out
}

// Revision is the revision of the configuration in force, 0 before the first.
func (e *Edge) Revision() int64 {
	if l := e.live.Load(); l != nil {
		return l.revision
	}
	return 0
}

// Wait returns when the configuration in force is at least as new as rev, or with ctx's error.
func (e *Edge) Wait(ctx context.Context, rev int64) error {
	for {
		e.mu.Lock()
		changed := e.changed
		e.mu.Unlock()
		if e.Revision() >= rev {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("waiting for edge configuration %d: %w", rev, ctx.Err())
		}
	}
}

// noBuckets stands in for an S3 engine that is not there.
type noBuckets struct{}

func (noBuckets) Get(context.Context, policy.Caller, string, string, origin.GetOptions) (*origin.Object, error) {
	return nil, errors.New("this process has no S3 engine")
}

// broken is an origin that could not be opened; Compile leaves none.
type broken struct{ err error }

func (b broken) Fetch(context.Context, gate.Admission, *origin.Request) (*http.Response, error) {
	return nil, &origin.Error{Status: http.StatusBadGateway, Reason: "the origin could not be opened", Err: b.err}
}

type noMetrics struct{}

func (noMetrics) Served(Observation) {}
