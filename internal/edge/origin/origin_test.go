package origin

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"postern/internal/edge/gate"
	"postern/internal/policy"
)

// admitted is a public admission for a raw target.
func admitted(t testing.TB, scheme, uri string) gate.Admission {
	t.Helper()
	g, err := gate.New(gate.Config{})
	if err != nil {
		t.Fatal(err)
	}
	target, err := gate.ParseTarget(&http.Request{RequestURI: uri, Host: "viewer.example"}, scheme)
	if err != nil {
		t.Fatal(err)
	}
	a, err := g.Admit(context.Background(), gate.Public(), target, gate.Viewer{})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func newHTTP(t testing.TB, addr string, change func(*HTTPConfig)) *HTTP {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	c := HTTPConfig{Domain: host, HTTPPort: n, HTTPSPort: n, Protocol: HTTPOnly}
	if change != nil {
		change(&c)
	}
	transport := NewTransport(TransportConfig{})
	t.Cleanup(transport.Close)
	o, err := NewHTTP(c, transport)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// rawOrigin answers every request with 200 and hands over its request line and headers as they came.
func rawOrigin(t testing.TB) (addr string, heads <-chan []string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ch := make(chan []string, 64)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				r := bufio.NewReader(conn)
				for {
					var head []string
					for {
						line, err := r.ReadString('\n')
						if err != nil {
							return
						}
						if line = strings.TrimSuffix(line, "\r\n"); line == "" {
							break
						}
						head = append(head, line)
					}
					ch <- head
					io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
				}
			}()
		}
	}()
	t.Cleanup(func() { l.Close() })
	return l.Addr().String(), ch
}

func get() *Request {
	return &Request{Method: "GET", Header: http.Header{}, Via: "1.1 me.cloudfront.net (CloudFront)", ID: "id=="}
}

func TestZeroAdmission(t *testing.T) {
	addr, heads := rawOrigin(t)
	if _, err := newHTTP(t, addr, nil).Fetch(context.Background(), gate.Admission{}, get()); !errors.Is(err, ErrNotAdmitted) {
		t.Errorf("web server: %v", err)
	}
	b := &fakeBuckets{}
	o, err := NewBucket(BucketConfig{Bucket: "b"}, b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.Fetch(context.Background(), gate.Admission{}, get()); !errors.Is(err, ErrNotAdmitted) {
		t.Errorf("bucket: %v", err)
	}
	if len(heads) != 0 || b.calls != 0 {
		t.Error("the origin was asked")
	}
}

// The bytes of the path on the wire are the bytes that were admitted.
func TestPathOnTheWire(t *testing.T) {
	addr, heads := rawOrigin(t)
	plain := newHTTP(t, addr, nil)
	under := newHTTP(t, addr, func(c *HTTPConfig) { c.Path = "/prod%20uction" })
	for _, path := range []string{
		"/", "/a", "//a", "///", "/a//b/", "/a/../b", "/./a", "/%2e%2e/a", "/a%2Fb", "/a%2fb", "/%EB%B3%B4", "/a+b%20c",
		`/a"b`, `/a\b`, "/a|b", "/a^b", "/{a}", "/<a>", "/a`b", "/[a]", "/a;b=1,2", "/a:b@c", "/*", "/'!()$&=~-_.",
		"/%C3%28", "/%ff", "/a%25b", "/%7Ea",
	} {
		for prefix, o := range map[string]*HTTP{"": plain, "/prod%20uction": under} {
			resp, err := o.Fetch(context.Background(), admitted(t, "http", path+"?Signature=s&x=%2f&y"), get())
			if err != nil {
				t.Errorf("%s: %v", path, err)
				continue
			}
			resp.Body.Close()
			if got, want := (<-heads)[0], "GET "+prefix+path+" HTTP/1.1"; got != want {
				t.Errorf("on the wire: %s, want %s", got, want)
			}
		}
	}
	// Two leading slashes and a byte that package url rewrites: it cannot be written, so it is refused.
	_, err := plain.Fetch(context.Background(), admitted(t, "http", `//a"b`), get())
	var oe *Error
	if !errors.As(err, &oe) || oe.Status != 400 {
		t.Errorf(`//a"b: %v`, err)
	}
}

func TestQueryOnTheWire(t *testing.T) {
	addr, heads := rawOrigin(t)
	o := newHTTP(t, addr, nil)
	const uri = "/a?b=1&Policy=p&%53ignature=s&Signature=s&c=%2f&b=2&Key-Pair-Id=K&empty&Expires=3&Hash-Algorithm=SHA1"
	for _, c := range []struct {
		forward Forward
		want    string
	}{
		{Forward{}, "/a"},
		{Forward{Query: Names{All: true}}, "/a?b=1&c=%2f&b=2&empty"},
		{Forward{Query: Names{Only: []string{"b", "empty", "Signature"}}}, "/a?b=1&b=2&empty"},
		{Forward{Query: Names{Only: []string{"none"}}}, "/a"},
	} {
		r := get()
		r.Forward = c.forward
		resp, err := o.Fetch(context.Background(), admitted(t, "http", uri), r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got := (<-heads)[0]; got != "GET "+c.want+" HTTP/1.1" {
			t.Errorf("%+v: %s, want %s", c.forward, got, c.want)
		}
	}
}

func TestRequestHeaders(t *testing.T) {
	addr, heads := rawOrigin(t)
	o := newHTTP(t, addr, func(c *HTTPConfig) { c.Headers = []Header{{"X-Secret", "swordfish"}, {"X-App", "edge"}} })
	viewer := http.Header{
		"Accept":              {"text/html"},
		"Accept-Encoding":     {"gzip, deflate, br;q=0.5"},
		"Accept-Language":     {"ko"},
		"Authorization":       {"Basic eDp5"},
		"Cache-Control":       {"no-cache"},
		"Cloudfront-Policy":   {"p"},
		"Connection":          {"keep-alive, X-Hop"},
		"Content-Length":      {"12"},
		"Cookie":              {"a=1; CloudFront-Signature=s; CloudFront-Key-Pair-Id=K", "b=2; CloudFront-Policy=p; CloudFront-Expires=1; CloudFront-Hash-Algorithm=SHA1"},
		"Expect":              {"100-continue"},
		"If-None-Match":       {`"e"`},
		"Keep-Alive":          {"5"},
		"Origin":              {"https://app.example"},
		"Proxy-Authorization": {"x"},
		"Range":               {"bytes=0-9"},
		"Referer":             {"https://viewer.example/p?Policy=p&q=1&Signature=s&Key-Pair-Id=K#f"},
		"Te":                  {"trailers"},
		"Trailer":             {"X"},
		"Transfer-Encoding":   {"chunked"},
		"Upgrade":             {"h2c"},
		"User-Agent":          {"curl/8"},
		"Via":                 {"1.1 proxy"},
		"X-App":               {"viewer"},
		"X-Amz-Cf-Id":         {"forged"},
		"X-Custom":            {"c"},
		"X-Edge-Location":     {"x"},
		"X-Forwarded-For":     {"198.51.100.1"},
		"X-Forwarded-Proto":   {"https"},
		"X-Hop":               {"h"},
		"X-Real-Ip":           {"1.1.1.1"},
	}
	fixed := []string{
		"Host: " + addr,
		"User-Agent: Amazon CloudFront",
		`If-None-Match: "e"`,
		"Range: bytes=0-9",
		"Via: 1.1 proxy", "Via: 1.1 me.cloudfront.net (CloudFront)",
		"X-Amz-Cf-Id: id==",
		"X-Forwarded-For: 198.51.100.1, 192.0.2.9",
		"X-App: edge", "X-Secret: swordfish",
	}
	without := func(drop string, lines ...string) []string {
		return slices.DeleteFunc(append(slices.Clone(fixed), lines...), func(s string) bool { return strings.HasPrefix(s, drop) && !slices.Contains(lines, s) })
	}
	for _, c := range []struct {
		name    string
		forward Forward
		want    []string
	}{
		{"least", Forward{}, fixed},
		{"encodings", Forward{Encodings: true}, without("-", "Accept-Encoding: br,gzip")},
		{"legacy", Forward{Legacy: true}, without("-", "Cache-Control: no-cache", "Origin: https://app.example", "X-Custom: c")},
		{"listed", Forward{Headers: Names{Only: []string{"referer", "AUTHORIZATION", "Accept", "X-Custom", "X-Real-IP", "Connection"}}},
			without("-", "Accept: text/html", "Authorization: Basic eDp5", "X-Custom: c", "Referer: https://viewer.example/p?q=1#f")},
		{"cookies", Forward{Cookies: Names{All: true}}, without("-", "Cookie: a=1; b=2")},
		{"one cookie", Forward{Cookies: Names{Only: []string{"b", "CloudFront-Signature"}}}, without("-", "Cookie: b=2")},
		{"all headers", Forward{Headers: Names{All: true}, Host: true}, without("Host:",
			"Host: viewer.example", "Accept: text/html", "Accept-Encoding: gzip, deflate, br;q=0.5", "Accept-Language: ko",
			"Authorization: Basic eDp5", "Cache-Control: no-cache", "Origin: https://app.example",
			"Referer: https://viewer.example/p?q=1#f", "X-Custom: c", "User-Agent: curl/8")},
	} {
		r := get()
		r.Header, r.Forward, r.Peer, r.Viewer = viewer, c.forward, netip.MustParseAddr("192.0.2.9"), netip.MustParseAddr("198.51.100.1")
		resp, err := o.Fetch(context.Background(), admitted(t, "http", "/a"), r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		got := (<-heads)[1:]
		want := slices.Clone(c.want)
		if c.forward.Headers.All {
			want = slices.DeleteFunc(want, func(s string) bool { return s == "User-Agent: Amazon CloudFront" })
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s:\n got %q\nwant %q", c.name, got, want)
		}
	}
	if v := viewer.Get("X-App"); v != "viewer" {
		t.Error("the viewer's headers were changed")
	}
}

func TestResponseHeaders(t *testing.T) {
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Connection", "X-Hop")
		h.Set("X-Hop", "h")
		h.Add("Set-Cookie", "a=1")
		h.Set("Vary", "Accept-Encoding, Origin, Cookie, X-Custom")
		h.Set("Via", "1.1 origin")
		h.Set("X-Cache", "HIT")
		h.Set("X-Amz-Cf-Id", "forged")
		h.Set("X-Amz-Request-Id", "kept")
		h.Set("Upgrade", "h2")
		h.Set("Age", "7")
		h.Set("Location", "http://elsewhere.example/")
		w.WriteHeader(302)
		io.WriteString(w, "moved")
	}))
	defer origin.Close()
	o := newHTTP(t, origin.Listener.Addr().String(), nil)
	for _, c := range []struct {
		forward      Forward
		vary, cookie string
	}{
		{Forward{}, "Accept-Encoding", ""},
		{Forward{Legacy: true}, "Accept-Encoding, Origin, X-Custom", ""},
		{Forward{Headers: Names{Only: []string{"x-custom"}}, Cookies: Names{Only: []string{"z"}}}, "Accept-Encoding, Cookie, X-Custom", "a=1"},
	} {
		r := get()
		r.Forward = c.forward
		resp, err := o.Fetch(context.Background(), admitted(t, "http", "/a"), r)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 302 || string(body) != "moved" || resp.Header.Get("Location") != "http://elsewhere.example/" {
			t.Errorf("a redirect must be passed on, not followed: %d %q", resp.StatusCode, body)
		}
		for _, gone := range []string{"Connection", "X-Hop", "Via", "X-Cache", "X-Amz-Cf-Id", "Upgrade"} {
			if v := resp.Header.Get(gone); v != "" {
				t.Errorf("%s: %s is left", gone, v)
			}
		}
		if v := resp.Header.Get("Vary"); v != c.vary {
			t.Errorf("%+v: Vary %q, want %q", c.forward, v, c.vary)
		}
		if v := resp.Header.Get("Set-Cookie"); v != c.cookie {
			t.Errorf("%+v: Set-Cookie %q, want %q", c.forward, v, c.cookie)
		}
		if resp.Header.Get("Age") != "7" || resp.Header.Get("X-Amz-Request-Id") != "kept" {
			t.Error("a header that passes is gone")
		}
	}
}

func wantError(t *testing.T, what string, err error, status int) {
	t.Helper()
	var oe *Error
	if !errors.As(err, &oe) || oe.Status != status {
		t.Errorf("%s: %v, want %d", what, err, status)
	}
}

// scripted is an origin that sends raw bytes and then holds the connection until the test ends.
func scripted(t *testing.T, answer string, hangUp bool) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { close(done); l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				http.ReadRequest(bufio.NewReader(conn))
				io.WriteString(conn, answer)
				if !hangUp {
					<-done
				}
			}()
		}
	}()
	return l.Addr().String()
}

func TestOriginFaults(t *testing.T) {
	fetchWithin := func(silence time.Duration, addr string) (*http.Response, error) {
		o := newHTTP(t, addr, func(c *HTTPConfig) { c.ReadTimeout = silence })
		return o.Fetch(context.Background(), admitted(t, "http", "/a"), get())
	}
	fetch := func(addr string) (*http.Response, error) { return fetchWithin(time.Minute, addr) }
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	_, err = fetch(l.Addr().String())
	wantError(t, "nobody listens", err, 502)
	_, err = fetchWithin(50*time.Millisecond, scripted(t, "", false))
	wantError(t, "silent", err, 504)
	_, err = fetchWithin(50*time.Millisecond, scripted(t, "HTTP/1.1 200 OK\r\nContent-Le", false))
	wantError(t, "silent within the headers", err, 504)
	_, err = fetch(scripted(t, "", true))
	wantError(t, "hangs up", err, 502)
	_, err = fetch(scripted(t, "SSH-2.0-x\r\n\r\n", true))
	wantError(t, "not HTTP", err, 502)
	_, err = fetch(scripted(t, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", false))
	wantError(t, "switches protocols", err, 502)

	var resp *http.Response
	for _, answer := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
	} {
		if resp, err = fetch(scripted(t, answer, true)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(resp.Body); err == nil {
			t.Errorf("a body cut short was taken for whole: %q", answer)
		}
		resp.Body.Close()
	}
}

// A viewer who takes its time does not use up the origin's.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		ctx, p := newPatience(context.Background(), time.Hour, time.Second)
		p.hold() // the headers are here
		d := &download{rc: r, ctx: ctx, p: p}
		defer d.Close()
		go io.WriteString(w, "abcdef")
		buf := make([]byte, 3)
		for range 2 {
			if _, err := io.ReadFull(d, buf); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Hour) // nobody reads: that is the viewer's time
		}
		if ctx.Err() != nil {
			t.Fatal("the viewer's time was counted as the origin's")
		}
		context.AfterFunc(ctx, func() { w.CloseWithError(context.Cause(ctx)) }) // as the transport does
		before := time.Now()
		_, err := d.Read(buf)
		wantError(t, "silence", err, 504)
		if took := time.Since(before); took != time.Second {
			t.Errorf("silence was borne for %v", took)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		ctx, p := newPatience(context.Background(), time.Minute, time.Second)
		defer p.end()
		time.Sleep(59 * time.Second)
		if ctx.Err() != nil {
			t.Error("the time to connect was cut short")
		}
		(&upload{ReadCloser: io.NopCloser(strings.NewReader("x")), p: p}).Read(make([]byte, 1))
		time.Sleep(999 * time.Millisecond)
		if ctx.Err() != nil {
			t.Error("an upload that moves was cut")
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if context.Cause(ctx) != errSilent {
			t.Error("a silent origin was borne")
		}
	})
}

func TestViewerLeaves(t *testing.T) {
	arrived, left := make(chan struct{}), make(chan struct{})
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
		close(left)
	}))
	defer origin.Close()
	o := newHTTP(t, origin.Listener.Addr().String(), nil)
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-arrived
		cancel()
	}()
	_, err := o.Fetch(ctx, admitted(t, "http", "/a"), get())
	var oe *Error
	if !errors.Is(err, context.Canceled) || errors.As(err, &oe) {
		t.Errorf("%v", err)
	}
	<-left
}

func TestUpload(t *testing.T) {
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %d %s %s %q", r.Method, r.ContentLength, r.Header.Get("Authorization"), r.Header.Get("Content-Type"), body)
	}))
	defer origin.Close()
	o := newHTTP(t, origin.Listener.Addr().String(), nil)
	for _, length := range []int64{5, -1} {
		r := get()
		r.Method = "POST"
		r.Header = http.Header{"Authorization": {"token"}, "Content-Type": {"text/plain"}}
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader("hello")), length
		resp, err := o.Fetch(context.Background(), admitted(t, "http", "/a"), r)
		if err != nil {
			t.Fatal(err)
		}
		got, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if want := fmt.Sprintf(`POST %d token text/plain "hello"`, length); string(got) != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestSchemes(t *testing.T) {
	o, err := NewHTTP(HTTPConfig{Domain: "o.example", Protocol: MatchViewer}, NewTransport(TransportConfig{}))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ protocol, viewer, want string }{
		{MatchViewer, "http", "http://o.example/a"},
		{MatchViewer, "https", "https://o.example/a"},
		{HTTPOnly, "https", "http://o.example/a"},
		{HTTPSOnly, "http", "https://o.example/a"},
	} {
		o.c.Protocol = c.protocol
		u, err := o.url(admitted(t, c.viewer, "/a"), Forward{})
		if err != nil || u.String() != c.want {
			t.Errorf("%s %s: %v, %v", c.protocol, c.viewer, u, err)
		}
	}
	o.c.Domain = "::1"
	o.c.HTTPPort = 8080
	o.c.Protocol = HTTPOnly
	if u, err := o.url(admitted(t, "http", "/a"), Forward{}); err != nil || u.Host != "[::1]:8080" {
		t.Errorf("%v, %v", u, err)
	}
	for _, bad := range []HTTPConfig{{}, {Domain: "h"}, {Domain: "h", Protocol: "ftp"}} {
		if _, err := NewHTTP(bad, NewTransport(TransportConfig{})); err == nil {
			t.Errorf("%+v was accepted", bad)
		}
	}
}

func FuzzAcceptEncoding(f *testing.F) {
	f.Add("gzip, br;q=0")
	f.Add("br;q=0.000,gzip;q=1")
	f.Add("*")
	f.Fuzz(func(t *testing.T, v string) {
		switch got := (Forward{Encodings: true}).encodings([]string{v}); got {
		case "", "br", "gzip", "br,gzip":
		default:
			t.Fatalf("%q became %q", v, got)
		}
	})
}

func TestAcceptEncoding(t *testing.T) {
	for v, want := range map[string]string{
		"gzip, br;q=0": "gzip", "br;q=0.00,gzip;q=0.1": "gzip", "GZIP ; q=1": "gzip", "deflate": "", "": "", "br": "br", "gzip;q=0": "", "gzip , br": "br,gzip",
	} {
		if got := (Forward{Encodings: true}).encodings([]string{v}); got != want {
			t.Errorf("%q: %q, want %q", v, got, want)
		}
	}
}

type fakeBuckets struct {
	calls       int
	who         policy.Caller
	bucket, key string
	opt         GetOptions
	object      *Object
	err         error
}

func (b *fakeBuckets) Get(_ context.Context, who policy.Caller, bucket, key string, opt GetOptions) (*Object, error) {
	b.calls++
	b.who, b.bucket, b.key, b.opt = who, bucket, key, opt
	return b.object, b.err
}

func newBucket(t *testing.T, b *fakeBuckets, path string) *Bucket {
	t.Helper()
	o, err := NewBucket(BucketConfig{Bucket: "films", Path: path, Caller: policy.EdgeCaller("arn:aws:cloudfront::1:distribution/E1")}, b)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestBucketKey(t *testing.T) {
	b := &fakeBuckets{object: &Object{Status: 200, Header: http.Header{"X-Amz-Id-2": {"x"}, "X-Amz-Request-Id": {"y"}, "Etag": {`"e"`}, "Content-Length": {"0"}}}}
	for _, c := range []struct{ prefix, path, key string }{
		{"", "/a/b.pdf", "a/b.pdf"},
		{"", "//a", "/a"},
		{"", "/a%2Fb", "a/b"},
		{"", "/a%252Fb", "a%2Fb"},
		{"", "/a+b%20c%2B", "a+b c+"},
		{"", "/%EB%B3%B4%EA%B3%A0", "보고"},
		{"", "/a/../b", "a/../b"},
		{"", "/a/", "a/"},
		{"/prod", "/a", "prod/a"},
		{"/pr%20od", "/", "pr od/"},
	} {
		resp, err := newBucket(t, b, c.prefix).Fetch(context.Background(), admitted(t, "https", c.path), get())
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if b.key != c.key || b.bucket != "films" {
			t.Errorf("%s%s: key %q, want %q", c.prefix, c.path, b.key, c.key)
		}
		if resp.Header.Get("X-Amz-Id-2") != "" || resp.Header.Get("X-Amz-Request-Id") != "" || resp.Header.Get("Etag") != `"e"` || resp.Header.Get("Server") != "AmazonS3" || resp.ContentLength != 0 {
			t.Errorf("headers %v", resp.Header)
		}
	}
	r := get()
	r.Method = "HEAD"
	r.Viewer = netip.MustParseAddr("192.0.2.1")
	r.Forward.Query = Names{All: true}
	r.Header = http.Header{"Range": {"bytes=1-"}, "If-Range": {"a"}, "If-Match": {"b"}, "If-None-Match": {"c"}, "If-Modified-Since": {"d"}, "If-Unmodified-Since": {"e"}}
	resp, err := newBucket(t, b, "").Fetch(context.Background(), admitted(t, "https", "/a?Signature=s&response-content-disposition=x"), r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	want := GetOptions{HeadOnly: true, Range: "bytes=1-", IfRange: "a", IfMatch: "b", IfNoneMatch: "c", IfModifiedSince: "d", IfUnmodifiedSince: "e", Query: "response-content-disposition=x"}
	if b.opt != want {
		t.Errorf("options %+v", b.opt)
	}
	if b.who.ARN != policy.CloudFront || b.who.SourceARN != "arn:aws:cloudfront::1:distribution/E1" || b.who.SourceIP != "192.0.2.1" || b.who.RequestID != "id==" {
		t.Errorf("caller %+v", b.who)
	}
}

func TestBucketRefusals(t *testing.T) {
	b := &fakeBuckets{err: fmt.Errorf("getting: %w", &BucketError{
		Status: 404, Code: "NoSuchKey", Message: "The specified key does not exist.", Fields: []Field{{"Key", "<&>"}},
		RequestID: "R", HostID: "H", Header: http.Header{"X-Amz-Request-Id": {"R"}},
	})}
	const xml = `<?xml version="1.0" encoding="UTF-8"?>` + "\n" +
		`<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message><Key>&lt;&amp;&gt;</Key><RequestId>R</RequestId><HostId>H</HostId></Error>`
	do := func(method, path string) (*http.Response, string) {
		t.Helper()
		r := get()
		r.Method = method
		resp, err := newBucket(t, b, "").Fetch(context.Background(), admitted(t, "https", path), r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp, string(body)
	}
	resp, body := do("GET", "/a")
	if resp.StatusCode != 404 || body != xml || resp.Header.Get("Content-Type") != "application/xml" || resp.Header.Get("Server") != "AmazonS3" ||
		resp.Header.Get("X-Amz-Request-Id") != "" || resp.ContentLength != int64(len(xml)) {
		t.Errorf("%d %v %s", resp.StatusCode, resp.Header, body)
	}
	if resp, body = do("HEAD", "/a"); resp.StatusCode != 404 || body != "" {
		t.Errorf("HEAD: %d %q", resp.StatusCode, body)
	}
	calls := b.calls
	for _, c := range []struct {
		method, path, code string
		status             int
	}{
		{"PUT", "/a", "MethodNotAllowed", 405},
		{"DELETE", "/a", "MethodNotAllowed", 405},
		{"OPTIONS", "/a", "MethodNotAllowed", 405},
		{"GET", "/%ff", "InvalidURI", 400},
		{"GET", "/", "AccessDenied", 403},
	} {
		resp, body := do(c.method, c.path)
		if resp.StatusCode != c.status || !strings.Contains(body, "<Code>"+c.code+"</Code>") || !strings.Contains(body, "<RequestId>id==</RequestId>") {
			t.Errorf("%s %s: %d %s", c.method, c.path, resp.StatusCode, body)
		}
	}
	if b.calls != calls {
		t.Error("the bucket was asked")
	}
	b.err = &BucketError{Status: 304, Header: http.Header{"Etag": {`"e"`}}}
	if resp, body = do("GET", "/a"); resp.StatusCode != 304 || body != "" || resp.Header.Get("Content-Type") != "" || resp.Header.Get("Etag") != `"e"` {
		t.Errorf("304: %v %q", resp.Header, body)
	}
	b.err = errors.New("disk on fire")
	_, err := newBucket(t, b, "").Fetch(context.Background(), admitted(t, "https", "/a"), get())
	wantError(t, "engine failure", err, 502)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := newBucket(t, b, "").Fetch(ctx, admitted(t, "https", "/a"), get()); !errors.Is(err, context.Canceled) {
		t.Errorf("viewer left: %v", err)
	}
}

// FuzzPath: for every raw target, the bytes of the path put to a web server are the bytes admitted, and
// the key asked of a bucket is those bytes decoded once.
func FuzzPath(f *testing.F) {
	for _, s := range []string{"a", "/a", "%2e%2e/a", `a\b`, "a%2fb", "a;b?c", "?x", "%ff", `/"`, "a%25%20", "\xe9"} {
		f.Add(s)
	}
	b := &fakeBuckets{object: &Object{Status: 200}}
	bucket, err := NewBucket(BucketConfig{Bucket: "b"}, b)
	if err != nil {
		f.Fatal(err)
	}
	web, err := NewHTTP(HTTPConfig{Domain: "o", Protocol: HTTPOnly}, NewTransport(TransportConfig{}))
	if err != nil {
		f.Fatal(err)
	}
	g, err := gate.New(gate.Config{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		uri := "/" + s
		raw, _, _ := strings.Cut(uri, "?")
		target, err := gate.ParseTarget(&http.Request{RequestURI: uri, Host: "h"}, "http")
		if err != nil {
			return
		}
		a, err := g.Admit(context.Background(), gate.Public(), target, gate.Viewer{})
		if err != nil {
			t.Fatal(err)
		}
		if u, err := web.url(a, Forward{}); err == nil {
			var wire strings.Builder
			if err := (&http.Request{Method: "GET", URL: u, Host: "o"}).Write(&wire); err != nil {
				t.Fatal(err)
			}
			if line, _, _ := strings.Cut(wire.String(), "\r\n"); line != "GET "+raw+" HTTP/1.1" {
				t.Fatalf("%q on the wire: %q", raw, line)
			}
		} else if !strings.HasPrefix(raw, "//") {
			t.Fatalf("%q: %v", raw, err)
		}
		b.key = "-"
		if resp, err := bucket.Fetch(context.Background(), a, get()); err != nil {
			t.Fatal(err)
		} else if want, err := url.PathUnescape(raw[1:]); resp.StatusCode == 200 && (err != nil || b.key != want) {
			t.Fatalf("%q: key %q, want %q", raw, b.key, want)
		} else if resp.StatusCode != 200 && b.key != "-" {
			t.Fatalf("%q: asked and refused", raw)
		}
	})
}
