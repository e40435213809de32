package edge

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"postern/internal/edge/gate"
	"postern/internal/edge/origin"
	"postern/signed"
)

// exchange is one request and its answer. It has more than fifteen fields because it gathers, along the
// way, the one event that the log gets.
type exchange struct {
	edge  *Edge
	w     http.ResponseWriter
	rc    *http.ResponseController
	r     *http.Request
	id    string
	start time.Time

	scheme string
	viewer netip.Addr
	target gate.Target
	live   *live
	dist   *distribution
	at     int // index of the behaviour, -1 before one is found

	status   int
	bytes    int64
	refusal  string
	cause    string
	pageOf   int // the status that a custom error page stands in for
	admitted gate.Admission
	aborted  bool
}

// ServeHTTP serves one request.
//
// The order is: target, host, shape (upgrade, loop), behaviour, body, viewer protocol, methods, gate,
// [the cache's place], origin. AWS does not say whether protocol and methods come before the signature;
// here they do, since they are cheap and say nothing about the object.
func (e *Edge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := exchange{edge: e, w: w, r: r, rc: http.NewResponseController(w), id: requestID(), start: time.Now(), at: -1}
	defer x.record()
	x.viewer, x.scheme = e.viewer(r)
	x.serve()
}

// requestID is 56 characters of base64url ending in "==", as CloudFront's are.
func requestID() string {
	var b [40]byte
	rand.Read(b[:])
	return base64.URLEncoding.EncodeToString(b[:])
}

func (x *exchange) serve() {
	target, err := gate.ParseTarget(x.r, x.scheme)
	if err != nil {
		x.refuseTarget(err)
		return
	}
	x.target = target
	if x.live = x.edge.live.Load(); x.live == nil {
		x.refuse(answer{status: http.StatusServiceUnavailable, refusal: refusedNotReady, plain: true,
			message: "This server has no configuration yet. Try again in a moment."})
		return
	}
	if x.dist = x.live.find(target.Hostname()); x.dist == nil {
		x.refuse(answer{status: http.StatusForbidden, refusal: refusedHost, plain: true,
			message: "No distribution answers for this host name."})
		return
	}
	if x.dist.closed {
		x.refuse(answer{status: http.StatusServiceUnavailable, refusal: refusedClosed, plain: true,
			message: "This distribution is closed: its configuration asks for something that this server cannot do."})
		return
	}
	if upgrades(x.r.Header) {
		x.refuse(answer{status: http.StatusForbidden, refusal: refusedUpgrade, close: true,
			message: "This distribution does not switch protocols."})
		return
	}
	if hops(x.r.Header["Via"]) >= 2 {
		x.refuse(answer{status: http.StatusForbidden, refusal: refusedLoop,
			message: "The request has already passed two distributions."})
		return
	}
	at, err := x.dist.routes.Select(target.Path())
	if err != nil || target.Path() == "/" && x.dist.rootElsewhere {
		x.refuse(answer{status: http.StatusBadRequest, refusal: refusedAmbiguous, close: true, plain: true,
			message: "Bad request. The path means different things before and after it is normalised."})
		return
	}
	x.at = at
	b := &x.dist.behaviours[at]
	read := x.r.Method == http.MethodGet || x.r.Method == http.MethodHead
	if read && (x.r.ContentLength != 0 || len(x.r.TransferEncoding) > 0) {
		x.refuse(answer{status: http.StatusForbidden, refusal: refusedBody, close: true,
			message: "This distribution does not take GET and HEAD requests with a body."})
		return
	}
	if x.scheme != "https" && b.viewers != allowAll {
		old := x.r.ProtoMajor == 1 && x.r.ProtoMinor == 0
		if b.viewers == redirectToHTTPS && (read || !old) {
			x.redirect()
			return
		}
		x.refuse(answer{status: http.StatusForbidden, refusal: refusedHTTPSOnly,
			message: "This distribution is served over HTTPS only."})
		return
	}
	if !slices.Contains(b.methods, x.r.Method) {
		x.refuse(answer{status: http.StatusForbidden, refusal: refusedMethod,
			message: "This distribution is not configured to allow the HTTP request method that was used for this request. " +
				"The distribution supports only cachable requests."})
		return
	}
	admission, err := x.edge.gate.Admit(x.r.Context(), b.rule, target, gate.Viewer{Addr: x.viewer, Cookies: x.r.Header["Cookie"]})
	if err != nil {
		var refusal *signed.Refusal
		if errors.As(err, &refusal) {
			x.refuse(refusalAnswer(refusal, refusal.Cause.String()))
			return
		}
		x.leave(err)
		return
	}
	x.admitted = admission.WithRoot(x.dist.root)
	// The cache's place is here: it takes the admission and answers from it, or passes it on.
	x.fetch()
}

func (x *exchange) refuseTarget(err error) {
	a := answer{status: http.StatusBadRequest, refusal: refusedTarget, close: true, plain: true,
		message: "Bad request. The request target or the host is malformed."}
	var te *gate.TargetError
	if errors.As(err, &te) {
		a.cause = te.Reason
		if a.status = te.Status; te.Status == http.StatusRequestURITooLong {
			a.refusal = refusedTooLong
			a.message = "The URL is longer than 8,192 bytes."
		}
	}
	x.refuse(a)
}

// upgrades reports whether the request wants to leave HTTP. An offer of cleartext HTTP/2, which curl makes
// unasked, may be ignored (RFC 9113 section 3.1) and is.
func upgrades(h http.Header) bool {
	for _, v := range h["Upgrade"] {
		if !strings.EqualFold(strings.TrimSpace(v), "h2c") {
			return true
		}
	}
	return false
}

// hops counts the distributions a request has passed. Source: CloudFront quotas: requests that go through
// more than two are answered 403.
func hops(via []string) int {
	n := 0
	for _, v := range via {
		n += strings.Count(v, viaSuffix)
	}
	return n
}

// refuse answers for the edge itself, by the distribution's custom error page if it has one.
func (x *exchange) refuse(a answer) {
	x.refusal, x.cause = a.refusal, a.cause
	if a.plain || x.dist == nil || !x.page(a.status) {
		x.send(a)
	}
}

// leave ends a request whose viewer is gone, or has stopped sending: there is nobody to answer.
func (x *exchange) leave(err error) {
	x.refusal, x.cause = refusedGone, err.Error()
	x.abort()
}

// abort cuts the connection (or the HTTP/2 stream), so that what was sent cannot be taken for whole.
func (x *exchange) abort() {
	x.aborted = true
	panic(http.ErrAbortHandler)
}

// record writes the request's one event and counts it. It holds no query, no cookie and no signature;
// the key pair id and the grant id only of a grant that was verified.
func (x *exchange) record() {
	took := time.Since(x.start)
	o := Observation{Status: x.status, Refusal: x.refusal, Bytes: x.bytes, Duration: took}
	if x.dist != nil {
		o.Distribution = x.dist.id
	}
	x.edge.o.Metrics.Served(o)
	log := x.edge.o.Logger
	if !log.Enabled(context.Background(), slog.LevelInfo) {
		return
	}
	attrs := make([]slog.Attr, 0, 16)
	attrs = append(attrs,
		slog.String("request", x.id),
		slog.String("method", clip(x.r.Method, 16)),
		slog.String("scheme", x.scheme),
		slog.String("host", x.target.Host()),
		slog.String("path", clip(x.target.Path(), 1024)),
		slog.Int("status", x.status),
		slog.Int64("bytes", x.bytes),
		slog.Duration("took", took),
		slog.String("viewer", x.viewer.String()),
	)
	if x.dist != nil {
		attrs = append(attrs, slog.String("distribution", x.dist.id))
		if x.at >= 0 {
			attrs = append(attrs, slog.String("behaviour", x.dist.behaviours[x.at].pattern))
		}
	}
	if x.refusal != "" {
		attrs = append(attrs, slog.String("refusal", x.refusal))
	}
	if x.cause != "" {
		attrs = append(attrs, slog.String("cause", x.cause))
	}
	if grant, ok := x.admitted.Grant(); ok {
		attrs = append(attrs, slog.String("key_pair", grant.KeyPairID), slog.String("grant", grant.ID.String()))
	}
	if x.aborted {
		attrs = append(attrs, slog.Bool("aborted", true))
	}
	log.LogAttrs(context.Background(), slog.LevelInfo, "request", attrs...)
}

// clip bounds a viewer's text.
func clip(s string, n int) string {
	if len(s) > n {
		return s[:n] + "…"
	}
	return s
}

// request is what an origin may know of this one.
func (x *exchange) request() *origin.Request {
	b := &x.dist.behaviours[x.at]
	req := &origin.Request{
		Method:  x.r.Method,
		Header:  x.r.Header,
		Viewer:  x.viewer,
		Peer:    peer(x.r),
		ID:      x.id,
		Via:     x.edge.via,
		Forward: b.forward,
	}
	if x.r.Body != nil && x.r.Body != http.NoBody && x.r.Method != http.MethodGet && x.r.Method != http.MethodHead {
		req.Body = &patientBody{ReadCloser: x.r.Body, rc: x.rc, stall: x.edge.o.Stall}
		req.ContentLength = x.r.ContentLength
	}
	return req
}
