package edge

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"postern/internal/edge/origin"
	"postern/signed"
)

// sparse is a file of a size that is all holes, with a mark at its end.
func sparse(t testing.TB, size int64) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "film")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("the end"), size-7); err != nil {
		t.Fatal(err)
	}
	return name
}

func serveFile(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		f, err := os.Open(name)
		if err != nil {
			http.Error(w, err.Error(), 500)
			return
		}
		defer f.Close()
		w.Header().Set("Content-Type", "video/mp4")
		http.ServeContent(w, r, "", time.Time{}, f)
	}
}

// heap is what the heap holds, after what is garbage has gone.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse)
}

// bigObject reads a whole object of that size through the edge and returns how far the heap grew meanwhile.
func bigObject(t testing.TB, size int64) (growth int64, took time.Duration) {
	w := newWorld(t, nil, nil)
	w.web.on(serveFile(sparse(t, size)))
	link := w.signBy(keyID, "http://"+host, "/app/film", time.Hour)
	c := w.dial()
	before := heap()
	start := time.Now()
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", link, host); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != 200 || resp.ContentLength != size {
		t.Fatalf("%d, %d bytes", resp.StatusCode, resp.ContentLength)
	}
	for left, step := size, size/8; left > 0; left -= step {
		step = min(step, left)
		if _, err := io.CopyN(io.Discard, resp.Body, step); err != nil {
			t.Fatal(err)
		}
		growth = max(growth, heap()-before)
	}
	return growth, time.Since(start)
}

// Memory does not grow with the object. The full 8 GiB are read in the end-to-end suite (tag e2e).
func TestBigObject(t *testing.T) {
	growth, took := bigObject(t, 256<<20)
	t.Logf("256 MiB in %v, the heap grew by %d KiB", took.Round(time.Millisecond), growth>>10)
	if growth > 8<<20 {
		t.Errorf("the heap grew by %d bytes", growth)
	}

	const size = 8 << 30
	w := newWorld(t, nil, nil)
	w.web.on(serveFile(sparse(t, size)))
	r := w.do("GET", w.sign("/app/film"), fmt.Sprintf("Range: bytes=%d-", int64(size-7)))
	want(t, "the end of 8 GiB", r, 206, "the end")
	if v := r.Header.Get("Content-Range"); v != fmt.Sprintf("bytes %d-%d/%d", int64(size-7), int64(size-1), int64(size)) {
		t.Errorf("Content-Range %q", v)
	}
	r = w.do("HEAD", w.sign("/app/film"))
	if r.ContentLength != size {
		t.Errorf("HEAD: %d bytes", r.ContentLength)
	}
}

// A file of the bucket goes out by sendfile, in pieces, from where it stands.
func TestBucketFile(t *testing.T) {
	w := newWorld(t, nil, nil)
	name := filepath.Join(t.TempDir(), "blob")
	text := strings.Repeat("0123456789abcdef", 3*fileChunk/16) + "tail"
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	object := func(from, n int) func(string) *origin.Object {
		return func(string) *origin.Object {
			f, err := os.Open(name)
			if err != nil {
				t.Error(err)
				return nil
			}
			f.Seek(int64(from), io.SeekStart)
			return &origin.Object{Status: 200, Header: http.Header{"Content-Length": {strconv.Itoa(n)}}, Body: f}
		}
	}
	link := w.sign("/blob")
	c := w.dial()
	w.buckets.on(object(0, len(text)))
	want(t, "whole", c.do("GET", link), 200, text)
	w.buckets.on(object(10, 100))
	want(t, "a piece", c.do("GET", link), 200, text[10:110])
	w.buckets.on(object(0, 0))
	want(t, "nothing", c.do("GET", link), 200, "")
	w.buckets.on(object(10, len(text)))
	cutShort(t, "a file that ends early", c, link)
}

// cutShort expects an answer that announces more than it sends, and a connection that ends there.
func cutShort(t *testing.T, what string, c *conn, target string) *http.Response {
	t.Helper()
	fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", target, host)
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	if _, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("%s: was taken for whole", what)
	}
	if !c.closed() {
		t.Errorf("%s: the connection is still open", what)
	}
	return resp
}

func TestCutShort(t *testing.T) {
	w := newWorld(t, nil, nil)
	w.web.on(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/web/length" {
			rw.Header().Set("Content-Length", "1000000")
		}
		rw.Write(make([]byte, 100_000))
		rw.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	cutShort(t, "with a length", w.dial(), "/web/length")
	resp := cutShort(t, "chunked", w.dial(), "/web/chunked")
	if event := w.log.of(resp); event["aborted"] != true || event["status"] != 200. {
		t.Errorf("%v", event)
	}
	w.buckets.on(func(string) *origin.Object {
		return &origin.Object{Status: 200, Header: http.Header{"Content-Length": {"200000"}}, Body: io.NopCloser(strings.NewReader(strings.Repeat("s", 100_000)))}
	})
	resp = cutShort(t, "a bucket's body", w.dial(), "/public/a")
	if event := w.log.of(resp); event["aborted"] != true {
		t.Errorf("%v", event)
	}
	w.buckets.on(func(string) *origin.Object {
		return &origin.Object{Status: 200, Header: http.Header{"Content-Length": {"2"}}, Body: io.NopCloser(strings.NewReader("too long"))}
	})
	c := w.dial()
	fmt.Fprintf(c, "GET /public/a HTTP/1.1\r\nHost: %s\r\n\r\n", host)
	if resp, err := http.ReadResponse(c.r, nil); err == nil {
		io.ReadAll(resp.Body)
	}
	if !c.closed() {
		t.Error("a body longer than announced: the connection is still open")
	}
}

// What arrives of a stream is passed on before the next part is there.
func TestStreams(t *testing.T) {
	w := newWorld(t, nil, nil)
	more := make(chan struct{})
	w.web.on(func(rw http.ResponseWriter, r *http.Request) {
		io.WriteString(rw, "one")
		rw.(http.Flusher).Flush()
		<-more
		io.WriteString(rw, "two")
	})
	c := w.dial()
	fmt.Fprintf(c, "GET /web/a HTTP/1.1\r\nHost: %s\r\n\r\n", host)
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 3)
	if _, err := io.ReadFull(resp.Body, b); err != nil || string(b) != "one" {
		t.Fatalf("%q, %v", b, err)
	}
	close(more)
	if rest, err := io.ReadAll(resp.Body); err != nil || string(rest) != "two" {
		t.Errorf("%q, %v", rest, err)
	}
}

func endless(done chan<- error) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		b := make([]byte, 64<<10)
		for {
			if _, err := rw.Write(b); err != nil {
				done <- err
				return
			}
		}
	}
}

// A viewer that takes nothing is cut, and with it the origin's sending.
func TestStalledViewer(t *testing.T) {
	w := newWorld(t, nil, func(o *Options) { o.Stall = 50 * time.Millisecond })
	done := make(chan error, 1)
	w.web.on(endless(done))
	c := w.dial()
	fmt.Fprintf(c, "GET /web/a HTTP/1.1\r\nHost: %s\r\n\r\n", host)
	<-done // the test's own time limit is the failure
}

func TestViewerLeaves(t *testing.T) {
	w := newWorld(t, nil, nil)
	done := make(chan error, 1)
	w.web.on(endless(done))
	c := w.dial()
	fmt.Fprintf(c, "GET /web/a HTTP/1.1\r\nHost: %s\r\n\r\n", host)
	if _, err := http.ReadResponse(c.r, nil); err != nil {
		t.Fatal(err)
	}
	c.Close()
	<-done

	// Before the origin has said anything, too.
	arrived, left := make(chan struct{}), make(chan struct{})
	w.web.on(func(rw http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
		close(left)
	})
	c = w.dial()
	fmt.Fprintf(c, "GET /web/a HTTP/1.1\r\nHost: %s\r\n\r\n", host)
	<-arrived
	c.Close()
	<-left
}

// The server's own deadlines are for requests without a handler: they may pass while an answer is under way.
func TestServerDeadlines(t *testing.T) {
	w := newWorld(t, nil, nil)
	w.web.on(func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		select {
		case <-time.After(100 * time.Millisecond): // longer than both deadlines
			fmt.Fprintf(rw, "late %s", body)
		case <-r.Context().Done():
		}
	})
	addr := serve(t, w.edge, func(s *http.Server) {
		s.ReadTimeout, s.WriteTimeout = 40*time.Millisecond, 40*time.Millisecond
		s.ReadHeaderTimeout = time.Minute
	})
	c := dial(t, addr)
	want(t, "first", c.do("GET", "/web/a"), 200, "late ")
	want(t, "upload", c.send("POST", "POST /web/a HTTP/1.1\r\nHost: "+host+"\r\nContent-Length: 2\r\n\r\nhi"), 200, "late hi")
	want(t, "again", c.do("GET", "/web/a"), 200, "late ")
	want(t, "without a body", c.do("HEAD", "/web/a"), 200, "")
	want(t, "refusal", c.do("GET", "/report.pdf"), 403, xmlOf(signed.MissingKey))
}

// An answer may come later than Stall, and take longer, if only it moves.
func TestSlowAnswer(t *testing.T) {
	const stall = 400 * time.Millisecond
	w := newWorld(t, nil, func(o *Options) { o.Stall = stall })
	late := func(r *http.Request) bool {
		select {
		case <-time.After(stall + stall/4):
			return true
		case <-r.Context().Done():
			return false
		}
	}
	w.web.on(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == "GET" {
			io.WriteString(rw, "one")
			rw.(http.Flusher).Flush()
		}
		body, _ := io.ReadAll(r.Body)
		if late(r) {
			fmt.Fprintf(rw, "two%s", body)
		}
	})
	c := w.dial()
	want(t, "slow", c.do("GET", "/web/a"), 200, "onetwo")
	want(t, "late", c.do("HEAD", "/web/a"), 200, "")
	want(t, "late after an upload", c.send("POST", "POST /web/a HTTP/1.1\r\nHost: "+host+"\r\nContent-Length: 2\r\n\r\nhi"), 200, "twohi")
	want(t, "late after a chunked one", c.send("PUT", "PUT /web/a HTTP/1.1\r\nHost: "+host+"\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"), 200, "twohi")
}

// A viewer who begins a body and stops is cut.
func TestStalledUpload(t *testing.T) {
	w := newWorld(t, nil, func(o *Options) { o.Stall = 50 * time.Millisecond })
	done := make(chan error, 1)
	w.web.on(func(rw http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(r.Body)
		done <- err
	})
	c := w.dial()
	fmt.Fprintf(c, "POST /web/a HTTP/1.1\r\nHost: %s\r\nContent-Length: 10\r\n\r\nhi", host)
	if err := <-done; err == nil {
		t.Error("half a body was taken for whole")
	}
	if !c.closed() {
		t.Error("the connection is still open")
	}
	w.log.wait(func() bool { return strings.Contains(w.log.text.String(), `"refusal":"ViewerGone"`) })
}

// A body that breaks off in a malformed chunk is the viewer's fault, not the origin's.
func TestMalformedUpload(t *testing.T) {
	w := newWorld(t, nil, nil)
	w.web.on(func(rw http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) })
	c := w.dial()
	fmt.Fprintf(c, "POST /web/a HTTP/1.1\r\nHost: %s\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\nzz\r\n", host)
	if b, err := c.r.ReadByte(); err == nil {
		t.Errorf("an answer that begins with %q", b)
	}
	w.log.wait(func() bool { return strings.Contains(w.log.text.String(), `"refusal":"ViewerGone"`) })
}
