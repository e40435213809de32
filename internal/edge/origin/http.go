package origin

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"postern/internal/edge/gate"
)

// How an origin is spoken to (OriginProtocolPolicy).
const (
	HTTPOnly    = "http-only"
	HTTPSOnly   = "https-only"
	MatchViewer = "match-viewer"
)

// Header is a header that an operator adds to every request to an origin. Value may be a secret.
type Header struct{ Name, Value string }

// HTTPConfig describes a plain web server.
type HTTPConfig struct {
	// Domain is its host name or address, without a port.
	Domain              string
	HTTPPort, HTTPSPort int
	// Protocol is HTTPOnly, HTTPSOnly or MatchViewer.
	Protocol string
	// Path is put before every admitted path: empty, or with a leading and no trailing slash, raw.
	Path string
	// Headers are added last and win over the viewer's. Names are canonical.
	Headers []Header
	// Attempts to connect, each of which may take ConnectTimeout. Source: CloudFront API, Origin:
	// 1-3 attempts of 1-10 s, both at their maximum by default.
	Attempts       int
	ConnectTimeout time.Duration
	// ReadTimeout is how long the origin may stay silent, before its answer and within it.
	// Source: CloudFront API, OriginReadTimeout: 1-120 s, 30 by default.
	ReadTimeout time.Duration
}

// Transport holds the connections of all plain web servers. It outlives configurations.
type Transport struct{ rt *http.Transport }

// TransportConfig is what a Transport needs; the zero value will do.
type TransportConfig struct {
	// Roots are the authorities that vouch for origins; nil is the system's.
	Roots *x509.CertPool
	// IdleTimeout is how long an unused connection is kept; 0 is 5 s, CloudFront's default.
	IdleTimeout time.Duration
}

// NewTransport makes a Transport.
func NewTransport(c TransportConfig) *Transport {
	if c.IdleTimeout == 0 {
		c.IdleTimeout = 5 * time.Second
	}
	return &Transport{rt: &http.Transport{
		// No proxy from the environment: what an origin is, only the distribution says.
		Proxy:                  nil,
		DialContext:            dial,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: c.Roots},
		TLSHandshakeTimeout:    tlsTimeout,
		DisableCompression:     true, // the bytes pass as they are
		MaxIdleConns:           256,
		MaxIdleConnsPerHost:    64,
		IdleConnTimeout:        c.IdleTimeout,
		MaxResponseHeaderBytes: 64 << 10,
		ForceAttemptHTTP2:      false, // CloudFront speaks HTTP/1.1 to origins
	}}
}

// Close closes the connections that are not in use.
func (t *Transport) Close() { t.rt.CloseIdleConnections() }

const tlsTimeout = 10 * time.Second

// dialing carries an origin's own limits to dial.
type dialing struct {
	attempts int
	timeout  time.Duration
}

type dialingKey struct{}

func dial(ctx context.Context, network, address string) (net.Conn, error) {
	d, ok := ctx.Value(dialingKey{}).(dialing)
	if !ok {
		d = dialing{attempts: 3, timeout: 10 * time.Second}
	}
	var err error
	for range max(d.attempts, 1) {
		dialer := net.Dialer{Timeout: d.timeout, KeepAlive: 30 * time.Second}
		var conn net.Conn
		if conn, err = dialer.DialContext(ctx, network, address); err == nil {
			return conn, nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, err
}

// HTTP is a plain web server.
type HTTP struct {
	c HTTPConfig
	t *Transport
}

// NewHTTP makes an origin that uses the transport's connections.
func NewHTTP(c HTTPConfig, t *Transport) (*HTTP, error) {
	if c.Domain == "" {
		return nil, errors.New("making HTTP origin: no domain")
	}
	if c.Protocol != HTTPOnly && c.Protocol != HTTPSOnly && c.Protocol != MatchViewer {
		return nil, fmt.Errorf("making HTTP origin: unknown protocol policy %q", c.Protocol)
	}
	if t == nil {
		return nil, errors.New("making HTTP origin: no transport")
	}
	if c.HTTPPort == 0 {
		c.HTTPPort = 80
	}
	if c.HTTPSPort == 0 {
		c.HTTPSPort = 443
	}
	if c.Attempts == 0 {
		c.Attempts = 3
	}
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = 10 * time.Second
	}
	if c.ReadTimeout == 0 {
		c.ReadTimeout = 30 * time.Second
	}
	return &HTTP{c: c, t: t}, nil
}

var errSilent = errors.New("the origin stayed silent for longer than its read timeout")

// Fetch implements [Origin].
func (o *HTTP) Fetch(ctx context.Context, a gate.Admission, r *Request) (*http.Response, error) {
	if !a.Valid() {
		return nil, ErrNotAdmitted
	}
	u, err := o.url(a, r.Forward)
	if err != nil {
		return nil, err
	}
	// Until the request is on its way the origin has its time to be reached, then its time to speak.
	ctx, p := newPatience(ctx, time.Duration(o.c.Attempts)*o.c.ConnectTimeout+tlsTimeout+o.c.ReadTimeout, o.c.ReadTimeout)
	ctx = context.WithValue(ctx, dialingKey{}, dialing{o.c.Attempts, o.c.ConnectTimeout})
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { p.give() }})

	req := (&http.Request{
		Method:     r.Method,
		URL:        u,
		Host:       u.Host,
		Header:     r.Forward.request(r, o.c.Headers),
		Proto:      "HTTP/1.1",
		ProtoMajor: 1,
		ProtoMinor: 1,
	}).WithContext(ctx)
	if r.Forward.Host {
		req.Host = a.Target().Host()
	}
	var up *upload
	if r.Body != nil {
		up = &upload{ReadCloser: r.Body, p: p}
		req.ContentLength, req.Body = r.ContentLength, up
	}
	resp, err := o.t.rt.RoundTrip(req)
	if err != nil {
		if up != nil && up.failed.Load() && ctx.Err() == nil {
			err = fmt.Errorf("%w: %w", ErrUpload, err)
		} else {
			err = failure(ctx, err)
		}
		p.end()
		return nil, err
	}
	if resp.StatusCode < 200 {
		resp.Body.Close()
		p.end()
		return nil, &Error{Status: http.StatusBadGateway, Reason: "the origin wanted to switch protocols"}
	}
	p.hold()
	resp.Body = &download{rc: resp.Body, ctx: ctx, p: p}
	r.Forward.response(resp.Header)
	return resp, nil
}

// url is where the admitted path is asked for. It is put on the wire byte for byte, or not at all.
func (o *HTTP) url(a gate.Admission, f Forward) (*url.URL, error) {
	u := &url.URL{Scheme: "http"}
	port := o.c.HTTPPort
	if o.c.Protocol == HTTPSOnly || o.c.Protocol == MatchViewer && a.Target().Scheme() == "https" {
		u.Scheme, port = "https", o.c.HTTPSPort
	}
	// The port stands in Host unless it is the scheme's own (RFC 9110 section 7.2).
	u.Host = o.c.Domain
	if strings.IndexByte(u.Host, ':') >= 0 {
		u.Host = "[" + u.Host + "]"
	}
	if !(u.Scheme == "http" && port == 80 || u.Scheme == "https" && port == 443) {
		u.Host += ":" + strconv.Itoa(port)
	}
	raw := o.c.Path + a.Path()
	want := raw
	if u.RawQuery = f.query(a.Query()); u.RawQuery != "" {
		want += "?" + u.RawQuery
	}
	var err error
	if u.Path, err = url.PathUnescape(raw); err != nil {
		return nil, &Error{Status: http.StatusBadRequest, Reason: "the path cannot be put to this origin"}
	}
	u.RawPath = raw
	if u.RequestURI() != want {
		// package url would write some bytes otherwise than they came; Opaque writes them as they are, but
		// reads two leading slashes as a host.
		u.Path, u.RawPath, u.Opaque = "", "", raw
		if u.RequestURI() != want {
			return nil, &Error{Status: http.StatusBadRequest, Reason: "the path cannot be put to this origin"}
		}
	}
	return u, nil
}

// failure tells a silent origin from an unreachable one from a viewer who left.
func failure(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		if errors.Is(cause, errSilent) {
			return &Error{Status: http.StatusGatewayTimeout, Reason: errSilent.Error(), Err: err}
		}
		return cause
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return &Error{Status: http.StatusGatewayTimeout, Reason: "the origin could not be reached in time", Err: err}
	}
	return &Error{Status: http.StatusBadGateway, Reason: "the origin could not be reached or did not speak HTTP", Err: err}
}

// patience ends a context with errSilent when the origin has been waited for too long in one stretch.
type patience struct {
	timer  *time.Timer
	limit  time.Duration
	cancel context.CancelCauseFunc
}

// newPatience begins to wait: first for as long as first, after the first give for limit.
func newPatience(ctx context.Context, first, limit time.Duration) (context.Context, *patience) {
	ctx, cancel := context.WithCancelCause(ctx)
	return ctx, &patience{timer: time.AfterFunc(first, func() { cancel(errSilent) }), limit: limit, cancel: cancel}
}

// give begins a new stretch of waiting, hold ends it, end ends the context as well.
func (p *patience) give() { p.timer.Reset(p.limit) }
func (p *patience) hold() { p.timer.Stop() }
func (p *patience) end() {
	p.timer.Stop()
	p.cancel(nil)
}

// upload renews the origin's time while the viewer's body is on its way.
type upload struct {
	io.ReadCloser
	p      *patience
	failed atomic.Bool
}

func (u *upload) Read(b []byte) (int, error) {
	n, err := u.ReadCloser.Read(b)
	if err != nil && err != io.EOF {
		u.failed.Store(true)
	}
	u.p.give()
	return n, err
}

// download bounds the silence within a body. The clock stands still while the viewer takes its time.
type download struct {
	rc  io.ReadCloser
	ctx context.Context
	p   *patience
}

func (d *download) Read(b []byte) (int, error) {
	d.p.give()
	n, err := d.rc.Read(b)
	d.p.hold()
	if err != nil && err != io.EOF {
		err = failure(d.ctx, err)
	}
	return n, err
}

func (d *download) Close() error {
	err := d.rc.Close()
	d.p.end()
	return err
}
