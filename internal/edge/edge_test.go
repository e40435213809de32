package edge

import (
	"bufio"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"postern/internal/cloudfront/document"
	"postern/internal/edge/origin"
	"postern/internal/framing"
	"postern/internal/policy"
	"postern/signed"
)

const (
	host    = "d111111abcdef8.cloudfront.net"
	keyID   = "K1AAAAAAAAAAAA"
	otherID = "K2BBBBBBBBBBBB"
	bucket  = "films"
)

// world is an edge with its documents, a clock, an S3 engine of a map, a web server, and a listener.
type world struct {
	t       testing.TB
	in      Input
	edge    *Edge
	addr    string
	buckets *memory
	web     *recorder
	log     *events
	metrics *counts
	keys    map[string]crypto.Signer

	mu  sync.Mutex
	now time.Time
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) advance(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// memory is an S3 engine that holds its objects in a map; ranges and conditions are net/http's.
type memory struct {
	mu      sync.Mutex
	objects map[string]string
	asked   []string
	callers []policy.Caller
	open    func(key string) *origin.Object // in place of objects
}

func (m *memory) Get(_ context.Context, who policy.Caller, name, key string, opt origin.GetOptions) (*origin.Object, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked = append(m.asked, key)
	m.callers = append(m.callers, who)
	if m.open != nil {
		return m.open(key), nil
	}
	text, ok := m.objects[key]
	if who.Kind != policy.Service || name != bucket {
		return nil, &origin.BucketError{Status: 403, Code: "AccessDenied", Message: "Access Denied", RequestID: "R", HostID: "H"}
	}
	if !ok {
		return nil, &origin.BucketError{Status: 404, Code: "NoSuchKey", Message: "The specified key does not exist.", RequestID: "R", HostID: "H"}
	}
	method := "GET"
	if opt.HeadOnly {
		method = "HEAD"
	}
	r := httptest.NewRequest(method, "/", nil)
	for name, v := range map[string]string{"Range": opt.Range, "If-Range": opt.IfRange, "If-None-Match": opt.IfNoneMatch, "If-Match": opt.IfMatch} {
		if v != "" {
			r.Header.Set(name, v)
		}
	}
	rec := httptest.NewRecorder()
	rec.Header().Set("Etag", `"e1"`)
	rec.Header().Set("Content-Type", "text/plain")
	http.ServeContent(rec, r, "", time.Unix(1_700_000_000, 0), strings.NewReader(text))
	resp := rec.Result()
	return &origin.Object{Status: resp.StatusCode, Header: resp.Header, Body: resp.Body}, nil
}

func (m *memory) on(open func(key string) *origin.Object) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.open = open
}

// recorder is a plain web server that keeps what it was asked.
type recorder struct {
	mu     sync.Mutex
	asked  []*http.Request
	handle http.HandlerFunc
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	r.asked = append(r.asked, req)
	handle := r.handle
	r.mu.Unlock()
	if handle != nil {
		handle(w, req)
		return
	}
	io.WriteString(w, "web "+req.RequestURI)
}

func (r *recorder) on(h http.HandlerFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.handle = h
}

func (r *recorder) last() *http.Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.asked) == 0 {
		return nil
	}
	return r.asked[len(r.asked)-1]
}

// events gathers the log, a line an event, by request id. An event is written after its answer, so whoever
// looks for one waits for it.
type events struct {
	mu    sync.Mutex
	more  *sync.Cond
	text  strings.Builder
	by    map[string]map[string]any
	count int
}

func newEvents() *events {
	e := &events{by: map[string]map[string]any{}}
	e.more = sync.NewCond(&e.mu)
	return e
}

func (e *events) Write(p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var event map[string]any
	if err := json.Unmarshal(p, &event); err != nil {
		return 0, err
	}
	e.text.Write(p)
	e.by[fmt.Sprint(event["request"])] = event
	e.count++
	e.more.Broadcast()
	return len(p), nil
}

// of is the event of the request that got this answer.
func (e *events) of(r *http.Response) map[string]any {
	e.mu.Lock()
	defer e.mu.Unlock()
	id := r.Header.Get("X-Amz-Cf-Id")
	for e.by[id] == nil {
		e.more.Wait()
	}
	return e.by[id]
}

// wait waits until what is written so far satisfies ok.
func (e *events) wait(ok func() bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for !ok() {
		e.more.Wait()
	}
}

func (e *events) String() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.text.String()
}

type counts struct {
	mu   sync.Mutex
	seen []Observation
}

func (c *counts) Served(o Observation) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen = append(c.seen, o)
}

func (c *counts) last() Observation {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen[len(c.seen)-1]
}

func newKey(t testing.TB) (crypto.Signer, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pem, err := signed.EncodePublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return key, string(pem)
}

func behaviourOf(target string, change func(*document.DefaultCacheBehavior)) document.DefaultCacheBehavior {
	b := document.DefaultCacheBehavior{TargetOriginId: target, ViewerProtocolPolicy: "allow-all"}
	if change != nil {
		change(&b)
	}
	return b
}

func private(b *document.DefaultCacheBehavior) {
	b.TrustedKeyGroups = document.TrustedKeyGroups{Enabled: true, Quantity: 1, Items: []string{"group"}}
}

// newWorld serves: /public/* from the bucket to everybody, /web/* from the web server to everybody with all
// methods and its query, /app/* from the web server with a signature, everything else from the bucket with a
// signature.
func newWorld(t testing.TB, change func(*document.DistributionConfig), options func(*Options)) *world {
	t.Helper()
	w := &world{
		t: t, now: time.Unix(1_800_000_000, 0), buckets: &memory{objects: map[string]string{
			"report.pdf": "the report", "public/logo": "logo", "index.html": "home", "errors/403.html": "no entry", "a b/보고": "korean",
		}},
		web: &recorder{}, log: newEvents(), metrics: &counts{}, keys: map[string]crypto.Signer{},
	}
	server := httptest.NewServer(w.web)
	t.Cleanup(server.Close)
	webHost, webPort, _ := net.SplitHostPort(server.Listener.Addr().String())
	port, _ := strconv.Atoi(webPort)

	w.in = Input{
		Revision: 1, Account: "111122223333", Default: "E1",
		PublicKeys: map[string]document.PublicKey{}, KeyGroups: map[string]document.KeyGroup{},
	}
	for _, id := range []string{keyID, otherID} {
		key, pem := newKey(t)
		w.keys[id] = key
		w.in.PublicKeys[id] = document.PublicKey{Id: id, PublicKeyConfig: document.PublicKeyConfig{EncodedKey: pem}}
	}
	w.in.KeyGroups["group"] = document.KeyGroup{Id: "group", KeyGroupConfig: document.KeyGroupConfig{Items: []string{keyID}}}
	cfg := document.DistributionConfig{
		Enabled: true,
		Origins: document.Origins{Items: []document.Origin{
			{Id: "bucket", DomainName: bucket + ".s3.us-east-1.amazonaws.com", S3OriginConfig: &document.S3OriginConfig{}, OriginAccessControlId: "EOAC"},
			{Id: "web", DomainName: webHost, CustomOriginConfig: &document.CustomOriginConfig{HTTPPort: port, HTTPSPort: 443, OriginProtocolPolicy: "http-only"}},
		}},
		CacheBehaviors: document.CacheBehaviors{Items: []document.CacheBehavior{
			{PathPattern: "/public/*", DefaultCacheBehavior: behaviourOf("bucket", nil)},
			{PathPattern: "/web/*", DefaultCacheBehavior: behaviourOf("web", func(b *document.DefaultCacheBehavior) {
				b.AllowedMethods.Items = []string{"GET", "HEAD", "OPTIONS", "PUT", "POST", "PATCH", "DELETE"}
				b.ForwardedValues = &document.ForwardedValues{QueryString: true, Cookies: document.CookiePreference{Forward: "all"}}
			})},
			{PathPattern: "/app/*", DefaultCacheBehavior: behaviourOf("web", func(b *document.DefaultCacheBehavior) {
				private(b)
				b.OriginRequestPolicyId = "216adef6-5c7f-47e4-b989-5492eafa07d3"
			})},
		}},
		DefaultCacheBehavior: behaviourOf("bucket", private),
	}
	if change != nil {
		change(&cfg)
	}
	w.in.Distributions = []document.Distribution{{Id: "E1", ARN: "arn:aws:cloudfront::111122223333:distribution/E1", DomainName: host, DistributionConfig: cfg}}

	o := Options{
		Buckets: w.buckets, Now: w.clock, Metrics: w.metrics,
		Logger: slog.New(slog.NewJSONHandler(w.log, nil)),
	}
	if options != nil {
		options(&o)
	}
	var err error
	if w.edge, err = New(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.edge.Close)
	w.swap()
	w.addr = serve(t, w.edge, nil)
	return w
}

// swap compiles the documents and puts them in force.
func (w *world) swap() {
	w.t.Helper()
	cfg, err := Compile(w.in)
	if err != nil {
		w.t.Fatal(err)
	}
	w.edge.Swap(cfg)
}

// serve serves the handler as the real server does, on a loopback port.
func serve(t testing.TB, h http.Handler, change func(*http.Server)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := NewServer(context.Background(), h, slog.New(slog.DiscardHandler))
	if change != nil {
		change(s)
	}
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	return l.Addr().String()
}

// sign signs a raw target on the distribution's host with a canned policy, for a minute, and returns the
// target with its parameters.
func (w *world) sign(target string) string {
	return w.signBy(keyID, "http://"+host, target, time.Minute)
}

func (w *world) signBy(id, base, target string, d time.Duration) string {
	w.t.Helper()
	s := signed.Signer{KeyPairID: id, Key: w.keys[id], Hash: signed.SHA256}
	u, err := s.SignURL(base+target, w.clock().Add(d))
	if err != nil {
		w.t.Fatal(err)
	}
	return strings.TrimPrefix(u, base)
}

// conn is a viewer's connection that speaks raw bytes.
type conn struct {
	t testing.TB
	net.Conn
	r *bufio.Reader
}

func (w *world) dial() *conn { return dial(w.t, w.addr) }

func dial(t testing.TB, addr string) *conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &conn{t: t, Conn: c, r: bufio.NewReader(c)}
}

// reply is an answer, read to its end.
type reply struct {
	*http.Response
	body string
}

// send sends raw bytes and reads one answer, to a request of that method.
func (c *conn) send(method, raw string) reply {
	c.t.Helper()
	if _, err := io.WriteString(c, raw); err != nil {
		c.t.Fatal(err)
	}
	resp, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		c.t.Fatalf("%.80q: %v", raw, err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatalf("%.80q: body: %v", raw, err)
	}
	return reply{resp, string(body)}
}

// closed reports whether the server has closed the connection.
func (c *conn) closed() bool {
	_, err := c.r.ReadByte()
	return err != nil
}

// do sends one request on the connection; lines are further headers.
func (c *conn) do(method, target string, lines ...string) reply {
	c.t.Helper()
	h := host
	var more strings.Builder
	for _, line := range lines {
		if v, ok := strings.CutPrefix(line, "Host: "); ok {
			h = v
			continue
		}
		more.WriteString(line + "\r\n")
	}
	return c.send(method, fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", method, target, h, more.String()))
}

// do sends one request on a connection of its own.
func (w *world) do(method, target string, lines ...string) reply {
	w.t.Helper()
	c := w.dial()
	defer c.Close()
	return c.do(method, target, lines...)
}

func want(t testing.TB, what string, r reply, status int, body string) {
	t.Helper()
	if r.StatusCode != status || r.body != body {
		t.Errorf("%s: %d %q, want %d %q", what, r.StatusCode, clip(r.body, 300), status, clip(body, 300))
	}
}

func wantStatus(t testing.TB, what string, r reply, status int, contains string) {
	t.Helper()
	if r.StatusCode != status || !strings.Contains(r.body, contains) {
		t.Errorf("%s: %d %q, want %d and %q", what, r.StatusCode, clip(r.body, 900), status, contains)
	}
}

func xmlOf(c signed.Code) string { return string(c.XML()) }

func TestServes(t *testing.T) {
	w := newWorld(t, nil, nil)
	r := w.do("GET", w.sign("/report.pdf"))
	want(t, "signed", r, 200, "the report")
	for name, v := range map[string]string{
		"X-Cache": "Miss from cloudfront", "Connection": "keep-alive", "Content-Type": "text/plain", "Etag": `"e1"`, "Server": "AmazonS3",
		"Via": w.edge.via, "X-Amz-Cf-Pop": "POSTERN50-P1", "Content-Length": "10",
	} {
		if got := r.Header.Get(name); got != v {
			t.Errorf("%s: %q, want %q", name, got, v)
		}
	}
	if who := w.buckets.callers[0]; who.ARN != policy.CloudFront || who.SourceARN != "arn:aws:cloudfront::111122223333:distribution/E1" {
		t.Errorf("the bucket was read as %+v", who)
	}
	want(t, "unsigned", w.do("GET", "/report.pdf"), 403, xmlOf(signed.MissingKey))
	want(t, "public", w.do("GET", "/public/logo"), 200, "logo")
	want(t, "public, with a query of its own", w.do("GET", "/public/logo?Signature=x&Expires=y"), 200, "logo")
	want(t, "web", w.do("GET", "/web/a%2Fb?x=1&Signature=s"), 200, "web /web/a%2Fb?x=1")
	want(t, "HEAD", w.do("HEAD", w.sign("/report.pdf")), 200, "")
	want(t, "encoded", w.do("GET", w.sign("/a%20b/%EB%B3%B4%EA%B3%A0")), 200, "korean")
	want(t, "changed path", w.do("GET", strings.Replace(w.sign("/report.pdf"), "report", "index", 1)), 403, xmlOf(signed.AccessDenied))
	want(t, "added query", w.do("GET", w.sign("/report.pdf")+"&x=1"), 403, xmlOf(signed.AccessDenied))
	want(t, "another key", w.do("GET", w.signBy(otherID, "http://"+host, "/report.pdf", time.Minute)), 403, xmlOf(signed.InvalidKey))
	want(t, "another host's link", w.do("GET", w.signBy(keyID, "http://elsewhere.example", "/report.pdf", time.Minute)), 403, xmlOf(signed.AccessDenied))
	want(t, "https link over http", w.do("GET", w.signBy(keyID, "https://"+host, "/report.pdf", time.Minute)), 403, xmlOf(signed.AccessDenied))
	r = w.do("GET", w.sign("/absent"))
	wantStatus(t, "no such key", r, 404, "<Code>NoSuchKey</Code>")
	if r.Header.Get("X-Cache") != "Error from cloudfront" || r.Header.Get("Content-Type") != "application/xml" || r.Header.Get("Server") != "AmazonS3" {
		t.Errorf("S3's error: %v", r.Header)
	}
	// The default distribution, by any port.
	base := "http://127.0.0.1:8080"
	want(t, "loopback", w.do("GET", w.signBy(keyID, base, "/report.pdf", time.Minute), "Host: 127.0.0.1:8080"), 200, "the report")
	for _, h := range []string{"localhost", "localhost:1", "[::1]:9", "LOCALHOST"} {
		want(t, h, w.do("GET", "/public/logo", "Host: "+h), 200, "logo")
	}
}

func TestRanges(t *testing.T) {
	w := newWorld(t, nil, nil)
	for _, origin := range []string{"/report.pdf", "/app/report.pdf"} {
		w.web.on(func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Etag", `"e1"`)
			http.ServeContent(rw, r, "x.txt", time.Unix(1_700_000_000, 0), strings.NewReader("the report"))
		})
		link := w.sign(origin)
		r := w.do("GET", link, "Range: bytes=4-6")
		want(t, origin, r, 206, "rep")
		if v := r.Header.Get("Content-Range"); v != "bytes 4-6/10" {
			t.Errorf("%s: Content-Range %q", origin, v)
		}
		want(t, origin+" suffix", w.do("GET", link, "Range: bytes=-3"), 206, "ort")
		wantStatus(t, origin+" unsatisfiable", w.do("GET", link, "Range: bytes=10-"), 416, "")
		r = w.do("GET", link, `If-None-Match: "e1"`)
		want(t, origin+" not modified", r, 304, "")
		if v := r.Header.Get("Etag"); v != `"e1"` {
			t.Errorf("%s: 304 with Etag %q", origin, v)
		}
		want(t, origin+" changed", w.do("GET", link, "Range: bytes=4-6", `If-Range: "e2"`), 200, "the report")
		want(t, origin+" precondition", w.do("GET", link, `If-Match: "e2"`), 412, "")
		r = w.do("HEAD", link, "Range: bytes=0-3")
		if r.StatusCode != 206 || r.Header.Get("Content-Length") != "4" {
			t.Errorf("%s: HEAD of a range: %d, %v", origin, r.StatusCode, r.Header)
		}
	}
}

func TestKeepAlive(t *testing.T) {
	var revoked sync.Map
	w := newWorld(t, nil, func(o *Options) {
		o.Revoked = func(id signed.GrantID) bool { _, ok := revoked.Load(id); return ok }
	})
	link := w.sign("/report.pdf")
	c := w.dial()
	want(t, "first", c.do("GET", link), 200, "the report")
	w.advance(59 * time.Second)
	want(t, "in time", c.do("GET", link), 200, "the report")
	w.advance(time.Second)
	want(t, "expired, same connection", c.do("GET", link), 403, xmlOf(signed.AccessDenied))

	link = w.sign("/report.pdf")
	want(t, "fresh", c.do("GET", link), 200, "the report")
	canned, err := signed.CannedPolicy("http://"+host+"/report.pdf", w.clock().Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	revoked.Store(signed.GrantIDOf(canned), true)
	want(t, "revoked, same connection", c.do("GET", link), 403, xmlOf(signed.AccessDenied))
	revoked.Clear()
	want(t, "no longer revoked", c.do("GET", link), 200, "the report")

	// A key taken out of its group is dead once Swap has returned.
	w.in.Revision++
	w.in.KeyGroups["group"] = document.KeyGroup{KeyGroupConfig: document.KeyGroupConfig{Items: []string{otherID}}}
	w.swap()
	want(t, "removed key, same connection", c.do("GET", link), 403, xmlOf(signed.InvalidKey))
	want(t, "the other key", c.do("GET", w.signBy(otherID, "http://"+host, "/report.pdf", time.Minute)), 200, "the report")
	// And so is a deleted one, though the group still names it.
	w.in.Revision++
	delete(w.in.PublicKeys, otherID)
	w.swap()
	want(t, "no keys at all", c.do("GET", w.signBy(otherID, "http://"+host, "/report.pdf", time.Minute)), 403, xmlOf(signed.InvalidKey))
	want(t, "no keys, no signature", c.do("GET", "/report.pdf"), 403, xmlOf(signed.MissingKey))
	want(t, "public all the same", c.do("GET", "/public/logo"), 200, "logo")
}

// Many requests on keep-alive connections while keys come and go: none that starts after Swap returned uses
// the removed key.
func TestSwapUnderLoad(t *testing.T) {
	w := newWorld(t, nil, nil)
	link := w.sign("/report.pdf")
	with, err := Compile(w.in)
	if err != nil {
		t.Fatal(err)
	}
	w.in.KeyGroups = map[string]document.KeyGroup{}
	without, err := Compile(w.in)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var gate sync.RWMutex // held for reading by whoever asks, for writing by whoever swaps
	dead := false
	stop := make(chan struct{})
	for range 4 {
		c := w.dial()
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				gate.RLock()
				r, gone := c.do("GET", link), dead
				gate.RUnlock()
				if code := map[bool]int{false: 200, true: 403}[gone]; r.StatusCode != code {
					t.Errorf("%d while the key was gone=%v", r.StatusCode, gone)
					return
				}
			}
		})
	}
	for i := range 200 {
		gate.Lock()
		if dead = i%2 == 0; dead {
			w.edge.Swap(without)
		} else {
			w.edge.Swap(with)
		}
		gate.Unlock()
	}
	close(stop)
	wg.Wait()
}

// As the program serves it: behind the guard that refuses what net/http tolerates.
func TestBehindFraming(t *testing.T) {
	w := newWorld(t, nil, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := NewServer(context.Background(), w.edge, nil)
	go s.Serve(framing.NewListener(l, framing.Config{HeadTimeout: s.ReadHeaderTimeout}))
	t.Cleanup(func() { s.Close() })
	name := filepath.Join(t.TempDir(), "blob")
	text := strings.Repeat("0123456789abcdef", 3*fileChunk/16)
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c := dial(t, l.Addr().String())
	for range 2 {
		want(t, "signed", c.do("GET", w.sign("/report.pdf")), 200, "the report")
		want(t, "refused", c.do("GET", "/report.pdf"), 403, xmlOf(signed.MissingKey))
		w.web.on(func(rw http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			fmt.Fprintf(rw, "%s %s", r.Method, body)
		})
		want(t, "upload", c.send("POST", "POST /web/a HTTP/1.1\r\nHost: "+host+"\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"), 200, "POST hello")
		w.buckets.on(func(string) *origin.Object {
			f, err := os.Open(name)
			if err != nil {
				t.Error(err)
			}
			return &origin.Object{Status: 200, Header: http.Header{"Content-Length": {strconv.Itoa(len(text))}}, Body: f}
		})
		want(t, "file", c.do("GET", w.sign("/blob")), 200, text)
		w.buckets.on(nil)
	}
	r := c.send("GET", "GET /public/logo HTTP/1.1\r\nHost: "+host+"\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
	if r.StatusCode != 400 || !c.closed() {
		t.Errorf("two framings at once: %d", r.StatusCode)
	}
}

func TestSwapAndWait(t *testing.T) {
	e, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	rec := httptest.NewRecorder()
	e.ServeHTTP(rec, httptest.NewRequest("GET", "http://h/a", nil))
	if rec.Code != 503 || e.Revision() != 0 {
		t.Errorf("before the first configuration: %d", rec.Code)
	}
	at := func(rev int64) *Config {
		c, err := Compile(Input{Revision: rev})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	synctest.Test(t, func(t *testing.T) {
		e, err := New(Options{})
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- e.Wait(context.Background(), 7) }()
		synctest.Wait() // it waits
		e.Swap(at(5))
		synctest.Wait()
		if len(done) != 0 {
			t.Error("Wait returned early")
		}
		e.Swap(at(7))
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	e.Swap(at(7))
	e.Swap(at(6))
	if e.Revision() != 7 {
		t.Errorf("an older configuration came back: %d", e.Revision())
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := e.Wait(ctx, 8); err == nil {
		t.Error("Wait outlived its context")
	}
	if err := e.Wait(ctx, 7); err != nil {
		t.Error(err)
	}
}

func TestViewer(t *testing.T) {
	e, err := New(Options{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		peer   string
		xff    []string
		xfp    []string
		addr   string
		scheme string
	}{
		{"192.0.2.1:1", nil, nil, "192.0.2.1", "http"},
		{"192.0.2.1:1", []string{"198.51.100.1"}, []string{"https"}, "192.0.2.1", "http"}, // not a proxy of ours
		{"[::ffff:192.0.2.1]:1", nil, nil, "192.0.2.1", "http"},
		{"10.1.1.1:1", nil, nil, "10.1.1.1", "http"},
		{"[::ffff:10.1.1.1]:1", []string{"198.51.100.1"}, []string{"https"}, "198.51.100.1", "https"},
		{"10.1.1.1:1", []string{"1.1.1.1, 198.51.100.1"}, nil, "198.51.100.1", "http"},
		{"10.1.1.1:1", []string{"198.51.100.1, 10.2.2.2", "fd00::1"}, nil, "198.51.100.1", "http"},
		{"10.1.1.1:1", []string{"198.51.100.1:4711"}, nil, "198.51.100.1", "http"},
		{"10.1.1.1:1", []string{"[2001:db8::1]:4711"}, nil, "2001:db8::1", "http"},
		{"10.1.1.1:1", []string{"::ffff:198.51.100.1"}, nil, "198.51.100.1", "http"},
		{"10.1.1.1:1", []string{"198.51.100.1, unknown"}, nil, "invalid IP", "http"},
		{"10.1.1.1:1", []string{"198.51.100.1,"}, nil, "invalid IP", "http"},
		{"10.1.1.1:1", []string{"10.3.3.3, 10.2.2.2"}, nil, "10.3.3.3", "http"},
		{"10.1.1.1:1", nil, []string{"https", "http"}, "10.1.1.1", "http"},
		{"10.1.1.1:1", nil, []string{"gopher"}, "10.1.1.1", "http"},
		{"10.1.1.1:1", nil, []string{"HTTPS"}, "10.1.1.1", "https"},
		{"@", nil, nil, "invalid IP", "http"},
	} {
		r := &http.Request{RemoteAddr: c.peer, Header: http.Header{}}
		if c.xff != nil {
			r.Header["X-Forwarded-For"] = c.xff
		}
		if c.xfp != nil {
			r.Header["X-Forwarded-Proto"] = c.xfp
		}
		addr, scheme := e.viewer(r)
		if addr.String() != c.addr || scheme != c.scheme {
			t.Errorf("%+v: %s %s", c, addr, scheme)
		}
	}
}

// The address condition sees the address of the connection, whatever the viewer says of itself.
func TestAddressCondition(t *testing.T) {
	for _, trusted := range []bool{false, true} {
		w := newWorld(t, nil, func(o *Options) {
			if trusted {
				o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
			}
		})
		s := signed.Signer{KeyPairID: keyID, Key: w.keys[keyID]}
		u, err := s.SignURLPolicy("https://"+host+"/report.pdf", signed.Policy{NotAfter: w.clock().Add(time.Minute), SourceIP: netip.MustParsePrefix("192.0.2.0/24")})
		if err != nil {
			t.Fatal(err)
		}
		link := strings.TrimPrefix(u, "https://"+host)
		r := w.do("GET", link, "X-Forwarded-For: 192.0.2.7", "X-Forwarded-Proto: https")
		if trusted {
			want(t, "by a trusted proxy", r, 200, "the report")
			want(t, "elsewhere by a trusted proxy", w.do("GET", link, "X-Forwarded-For: 192.0.2.7, 192.0.3.7", "X-Forwarded-Proto: https"), 403, xmlOf(signed.AccessDenied))
		} else {
			want(t, "forged", r, 403, xmlOf(signed.AccessDenied))
		}
	}
}
