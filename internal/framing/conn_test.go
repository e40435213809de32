package framing

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// start serves a handler behind the guard on a loopback port and returns the address.
func start(t *testing.T, c Config, h http.HandlerFunc) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serve(t, NewListener(l, c), h)
	return l.Addr().String()
}

func serve(t *testing.T, l net.Listener, h http.HandlerFunc) {
	s := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute, IdleTimeout: time.Hour}
	var running sync.WaitGroup
	running.Go(func() { s.Serve(l) })
	t.Cleanup(func() {
		s.Close()
		running.Wait()
	})
}

// size answers with the length of the body.
func size(w http.ResponseWriter, r *http.Request) {
	n, err := io.Copy(io.Discard, r.Body)
	if err != nil {
		http.Error(w, "handler: "+err.Error(), http.StatusTeapot)
		return
	}
	fmt.Fprintf(w, "body %d", n)
}

// talk sends a stream and returns the answers up to the end of the connection, which it half closes.
func talk(t *testing.T, conn net.Conn, stream string) (answers []answerText) {
	t.Helper()
	defer conn.Close()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		io.WriteString(conn, stream) // fails if the server has had enough
		conn.(interface{ CloseWrite() error }).CloseWrite()
	}()
	in := bufio.NewReader(conn)
	for {
		if _, err := in.Peek(1); err != nil {
			if err != io.EOF {
				t.Errorf("the connection ended with %v", err)
			}
			<-sent
			return answers
		}
		r, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		answers = append(answers, answerText{r.StatusCode, r.Header.Get("Content-Type"), r.Close, string(b)})
	}
}

type answerText struct {
	status int
	kind   string
	closes bool
	body   string
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestServesGood(t *testing.T) {
	addr := start(t, Config{}, size)
	for _, c := range good {
		if strings.Contains(c.stream, "Expect") || strings.Contains(c.stream, " * ") || strings.Contains(c.stream, "/1.0") {
			continue // net/http answers these in ways of its own, tested below
		}
		got := talk(t, dial(t, addr), c.stream)
		if len(got) != len(c.bodies) {
			t.Errorf("%s: %d answers: %v", c.name, len(got), got)
			continue
		}
		for i, n := range c.bodies {
			if got[i].status != 200 || got[i].body != fmt.Sprint("body ", n) {
				t.Errorf("%s: answer %d is %v", c.name, i, got[i])
			}
		}
	}
}

func TestRefuses(t *testing.T) {
	var mu sync.Mutex
	var faults []Fault
	addr := start(t, Config{Refused: func(remote net.Addr, f Fault) {
		mu.Lock()
		defer mu.Unlock()
		faults = append(faults, f)
	}}, size)
	for _, c := range bad {
		if c.fault == 0 {
			continue
		}
		mu.Lock()
		faults = nil
		mu.Unlock()
		got := talk(t, dial(t, addr), c.stream)
		if len(got) != c.passed+1 {
			t.Errorf("%s: %d answers: %v", c.name, len(got), got)
			continue
		}
		for i := range c.passed {
			if got[i].status != 200 || got[i].closes {
				t.Errorf("%s: answer %d is %v", c.name, i, got[i])
			}
		}
		want := 400
		switch c.fault {
		case FaultTargetTooLong:
			want = 414
		case FaultHeadTooLong:
			want = 431
		case FaultVersion:
			want = 505
		}
		last := got[c.passed]
		if last.status != want || last.kind != "text/html" || !last.closes || !strings.Contains(last.body, "<p>"+c.fault.String()+"</p>") {
			t.Errorf("%s: refused with %v", c.name, last)
		}
		mu.Lock()
		if len(faults) != 1 || faults[0] != c.fault {
			t.Errorf("%s: reported %v", c.name, faults)
		}
		mu.Unlock()
	}
}

// The client sends much more behind what is refused: the answer arrives all the same.
func TestRefusalArrives(t *testing.T) {
	addr := start(t, Config{}, size)
	for range 50 {
		got := talk(t, dial(t, addr), "GET / HTTP/1.1\nHost: a\r\n\r\n"+strings.Repeat("x", 200<<10))
		if len(got) != 1 || got[0].status != 400 {
			t.Fatal(got)
		}
	}
}

// memory is a listener of connections in memory, for tests in a bubble of synctest.
type memory struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func newMemory() *memory { return &memory{conns: make(chan net.Conn), done: make(chan struct{})} }

func (m *memory) Accept() (net.Conn, error) {
	select {
	case c := <-m.conns:
		return c, nil
	case <-m.done:
		return nil, net.ErrClosed
	}
}

func (m *memory) Close() error   { m.once.Do(func() { close(m.done) }); return nil }
func (m *memory) Addr() net.Addr { return &net.IPAddr{} }

func (m *memory) dial() net.Conn {
	client, server := net.Pipe()
	m.conns <- server
	return client
}

// A bad request behind one that is being answered: the good one is not cancelled, and is answered
// whole, and first. Also if what is bad is the second one's body.
func TestRefusalWaitsForAnswers(t *testing.T) {
	for _, second := range []string{"GET / HTTP/1.1\nHost: a\r\n\r\n", chunked("wrong\r\n")} {
		synctest.Test(t, func(t *testing.T) { refusalWaits(t, second) })
	}
}

func refusalWaits(t *testing.T, second string) {
	m := newMemory()
	release := make(chan struct{})
	var cancelled error
	go func() {
		s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				return
			}
			io.WriteString(w, strings.Repeat("a", 5000))
			w.(http.Flusher).Flush()
			<-release
			cancelled = r.Context().Err()
			io.WriteString(w, "end")
		})}
		s.Serve(NewListener(m, Config{}))
	}()
	c := m.dial()
	go io.WriteString(c, post("Content-Length: 5\r\n", "hello")+second)
	in := bufio.NewReader(c)
	r, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	first := make([]byte, 5000)
	if _, err := io.ReadFull(r.Body, first); err != nil {
		t.Fatal(err)
	}
	synctest.Wait() // the server's background read has seen what there is to see
	close(release)
	rest, err := io.ReadAll(r.Body)
	if err != nil || string(rest) != "end" {
		t.Fatalf("%q %v", rest, err)
	}
	if cancelled != nil {
		t.Error("the good request was cancelled")
	}
	r, err = http.ReadResponse(in, nil)
	if err != nil || r.StatusCode != 400 {
		t.Fatalf("%v %v", r, err)
	}
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		t.Fatal(err)
	}
	if _, err := in.ReadByte(); err != io.EOF {
		t.Errorf("behind the refusal: %v", err)
	}
	c.Close()
	m.Close()
	synctest.Wait()
}

// A client that is gone is still noticed while its request is being answered.
func TestGoneClientIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		noticed := make(chan struct{})
		go (&http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			close(noticed)
		})}).Serve(NewListener(m, Config{}))
		c := m.dial()
		io.WriteString(c, get)
		synctest.Wait()
		c.Close()
		<-noticed
		m.Close()
		synctest.Wait()
	})
}

// A body whose framing breaks: the handler learns it, and the client gets the refusal if the answer
// has not begun, else the answer as far as it goes.
func TestRefusalInBody(t *testing.T) {
	file := filepath.Join(t.TempDir(), "answer")
	if err := os.WriteFile(file, make([]byte, 100<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, begun := range []bool{false, true} {
		seen := make(chan error, 1)
		addr := start(t, Config{}, func(w http.ResponseWriter, r *http.Request) {
			if begun {
				http.NewResponseController(w).EnableFullDuplex()
				io.WriteString(w, "begun")
				w.(http.Flusher).Flush()
			}
			_, err := io.Copy(io.Discard, r.Body)
			seen <- err
			if !begun { // an answer of its own, by sendfile
				w.Header().Set("Content-Length", fmt.Sprint(100<<10))
				w.WriteHeader(http.StatusTeapot)
				f, err := os.Open(file)
				if err != nil {
					t.Error(err)
					return
				}
				defer f.Close()
				io.Copy(w, f)
				return
			}
			io.WriteString(w, "late")
		})
		got := talk(t, dial(t, addr), chunked("5\r\nhello\r\nwrong\r\n")+get)
		var refusal *RefusedError
		if err := <-seen; !errors.As(err, &refusal) || refusal.Fault != FaultChunkSize {
			t.Errorf("the handler got %v", err)
		}
		if len(got) != 1 {
			t.Fatalf("answers: %v", got)
		}
		if begun && (got[0].status != 200 || got[0].body != "begunlate") || !begun && (got[0].status != 400 || !got[0].closes) {
			t.Errorf("begun %v: %v", begun, got)
		}
	}
}

func TestContinue(t *testing.T) {
	addr := start(t, Config{}, size)
	for _, c := range []struct {
		body   string
		status int
	}{{"5\r\nhello\r\n0\r\n\r\n", 200}, {"5\nhello", 400}} {
		conn := dial(t, addr)
		io.WriteString(conn, chunked("")[:len(chunked(""))-2]+"Expect: 100-continue\r\n\r\n")
		in := bufio.NewReader(conn)
		r, err := http.ReadResponse(in, nil)
		if err != nil || r.StatusCode != 100 {
			t.Fatal(r, err)
		}
		io.WriteString(conn, c.body)
		r, err = http.ReadResponse(in, nil)
		if err != nil || r.StatusCode != c.status {
			t.Error(r, err)
		}
		conn.Close()
	}
}

// net/http's own refusals still come through.
func TestServerRefusals(t *testing.T) {
	addr := start(t, Config{}, size)
	for stream, want := range map[string]int{
		"GET nonsense HTTP/1.1\r\nHost: a\r\n\r\n":                   400,
		"GET / HTTP/1.1\r\nHost: a b\r\n\r\n":                        400,
		"GET / HTTP/1.1\r\nHost: a\r\nExpect: a miracle\r\n\r\n":     417,
		"GET / HTTP/1.0\r\n\r\n":                                     200,
		"OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n": 200,
	} {
		if got := talk(t, dial(t, addr), stream); len(got) != 1 || got[0].status != want {
			t.Errorf("%q: %v", stream, got)
		}
	}
}

// From its first byte a head has HeadTimeout to come, on every request of a connection, whatever the
// server's IdleTimeout. A head that comes while the request before is being answered does not count yet.
func TestHeadTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		s := &http.Server{ReadHeaderTimeout: 20 * time.Second, IdleTimeout: time.Hour, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				t.Error(err)
			}
			if r.URL.Path == "/slow" {
				select {
				case <-time.After(time.Minute):
				case <-r.Context().Done():
					t.Error("the request being answered was cancelled")
				}
			}
		})}
		go s.Serve(NewListener(m, Config{HeadTimeout: 10 * time.Second}))
		ended := func(c net.Conn, in *bufio.Reader, want time.Duration) {
			t.Helper()
			began := time.Now()
			if _, err := in.ReadByte(); err != io.EOF {
				t.Fatalf("the connection gave %v", err)
			}
			if took := time.Since(began); took != want {
				t.Errorf("the connection ended after %v, want %v", took, want)
			}
			c.Close()
		}
		answered := func(in *bufio.Reader) {
			t.Helper()
			if r, err := http.ReadResponse(in, nil); err != nil || r.StatusCode != 200 {
				t.Fatal(r, err)
			}
		}

		c := m.dial()
		in := bufio.NewReader(c)
		io.WriteString(c, get[:10])
		synctest.Wait()
		ended(c, in, 10*time.Second)

		c = m.dial()
		in = bufio.NewReader(c)
		go io.WriteString(c, get)
		answered(in)
		time.Sleep(30 * time.Minute) // idle, and not in a hurry
		go io.WriteString(c, get)
		answered(in)
		io.WriteString(c, get[:10])
		synctest.Wait()
		time.Sleep(9 * time.Second)
		io.WriteString(c, get[10:12]) // a byte now and then does not help
		ended(c, in, time.Second)

		c = m.dial()
		in = bufio.NewReader(c)
		go io.WriteString(c, strings.Replace(get, "/", "/slow", 1)+get[:10])
		answered(in)
		ended(c, in, 10*time.Second)

		c = m.dial() // nothing at all: the server's own timeout
		in = bufio.NewReader(c)
		synctest.Wait()
		ended(c, in, 20*time.Second)

		// A head in time, then a body that takes longer.
		c = m.dial()
		in = bufio.NewReader(c)
		io.WriteString(c, post("Content-Length: 5\r\n", "")[:20])
		time.Sleep(9 * time.Second)
		io.WriteString(c, post("Content-Length: 5\r\n", "")[20:])
		time.Sleep(time.Minute)
		go io.WriteString(c, "hello")
		answered(in)
		c.Close()

		s.Close()
		m = newMemory() // the server's timeout is shorter
		s = &http.Server{ReadHeaderTimeout: 5 * time.Second}
		go s.Serve(NewListener(m, Config{HeadTimeout: 10 * time.Second}))
		c = m.dial()
		in = bufio.NewReader(c)
		io.WriteString(c, get[:10])
		synctest.Wait()
		ended(c, in, 5*time.Second)
		s.Close()
		synctest.Wait()
	})
}

// Bodies stream through in both directions, in whatever framing.
func TestBigBodies(t *testing.T) {
	const length = 48 << 20
	file := filepath.Join(t.TempDir(), "file")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(length); err != nil {
		t.Fatal(err)
	}
	f.Close()
	addr := start(t, Config{}, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "GET" {
			http.ServeFile(w, r, file)
			return
		}
		size(w, r)
	})
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, chunked := range []bool{false, true} {
		req, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+addr, io.LimitReader(zeros{}, length))
		if err != nil {
			t.Fatal(err)
		}
		if !chunked {
			req.ContentLength = length
		}
		r, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r.Body)
		if err != nil || string(b) != fmt.Sprint("body ", length) {
			t.Errorf("chunked %v: %q %v", chunked, b, err)
		}
		r.Body.Close()
	}
	r, err := client.Get("http://" + addr)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, r.Body); n != length || err != nil {
		t.Error(n, err)
	}
	r.Body.Close()
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 4<<20 {
		t.Errorf("%d bytes were allocated", used)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// script is a connection that gives its pieces, one a Read, and then an error.
type script struct {
	net.Conn
	pieces  [][]byte
	again   bool // begin again at the end
	next    int
	err     error
	written bytes.Buffer
}

func (s *script) Read(p []byte) (int, error) {
	if s.next == len(s.pieces) {
		if !s.again {
			return 0, s.err
		}
		s.next = 0
	}
	n := copy(p, s.pieces[s.next])
	if n < len(s.pieces[s.next]) {
		s.pieces[s.next] = s.pieces[s.next][n:]
	} else {
		s.next++
	}
	return n, nil
}

func (s *script) Write(p []byte) (int, error)      { return s.written.Write(p) }
func (s *script) SetReadDeadline(time.Time) error  { return nil }
func (s *script) SetWriteDeadline(time.Time) error { return nil }
func (s *script) RemoteAddr() net.Addr             { return nil }
func (s *script) Close() error                     { return nil }

func split(stream []byte, n int) (pieces [][]byte) {
	for len(stream) > 0 {
		k := min(max(n, 1), len(stream))
		pieces = append(pieces, stream[:k:k])
		stream = stream[k:]
	}
	return pieces
}

// FuzzConn: however a stream comes and is asked for, a connection gives what the parser passes, never
// bytes of two messages at once, answers a refusal once, and holds no buffer between messages.
func FuzzConn(f *testing.F) {
	for _, c := range good {
		f.Add([]byte(c.stream), uint16(3), uint16(4096))
	}
	for _, c := range bad {
		f.Add([]byte(c.stream), uint16(5000), uint16(2))
	}
	f.Fuzz(func(t *testing.T, stream []byte, come, ask uint16) {
		whole, part, p := messages(stream, len(stream)+1)
		inner := &script{pieces: split(bytes.Clone(stream), int(come)), err: io.EOF}
		c := newGuard(Config{}).plain(inner).(*conn)
		want := append(whole, part)
		buf := make([]byte, 2+int(ask))
		for i := 0; i < len(want); {
			if len(want[i]) == 0 {
				i++
				continue
			}
			n, err := c.Read(buf)
			if err != nil || n == 0 || !bytes.HasPrefix(want[i], buf[:n]) {
				t.Fatalf("read %q and %v, want %q", buf[:n], err, want[i])
			}
			want[i] = want[i][n:]
		}
		n, err := c.Read(buf)
		var refusal *RefusedError
		switch {
		case n > 0 || err == nil:
			t.Fatalf("read %q behind the end", buf[:n])
		case p.inside != errors.As(err, &refusal):
			t.Fatalf("the end is %v, in a body: %v", err, p.inside)
		case !p.inside && err != io.EOF:
			t.Fatalf("the end is %v", err)
		}
		answers := 0
		if p.fault != 0 {
			answers = 1
		}
		c.Read(buf)
		if got := strings.Count(inner.written.String(), "Connection: close"); got != answers {
			t.Fatalf("%d refusals: %q", got, inner.written.String())
		}
		if cap(c.buf) > 40<<10 {
			t.Fatalf("%d bytes are held", cap(c.buf))
		}
		if (p.fault != 0 || p.looked == 0 && p.state == inHead) && c.buf != nil {
			t.Fatal("a buffer is held")
		}
	})
}

// A request that comes in one piece costs nothing.
func TestNoAllocations(t *testing.T) {
	for _, stream := range []string{get, post("Content-Length: 5\r\n", "hello"), chunked("5\r\nhello\r\n0\r\nX: y\r\n\r\n")} {
		inner := &script{pieces: [][]byte{[]byte(stream)}, again: true}
		c := newGuard(Config{HeadTimeout: time.Minute}).plain(inner).(*conn)
		buf := make([]byte, 4096)
		if n := testing.AllocsPerRun(100, func() {
			if _, err := c.Read(buf); err != nil {
				t.Fatal(err)
			}
		}); n > 0 {
			t.Errorf("%q: %v allocations a Read", stream, n)
		}
	}
}

// An error that comes with bytes is reported after them; a timeout is not final.
func TestReadErrors(t *testing.T) {
	broken := errors.New("broken")
	inner := &failing{n: copy(make([]byte, 100), get), err: broken}
	c := newGuard(Config{}).plain(inner).(*conn)
	buf := make([]byte, 4096)
	if n, err := c.Read(buf); string(buf[:n]) != get || err != nil {
		t.Errorf("%q %v", buf[:n], err)
	}
	if n, err := c.Read(buf); n != 0 || err != broken {
		t.Errorf("%d %v", n, err)
	}
	inner = &failing{n: 10, err: os.ErrDeadlineExceeded}
	c = newGuard(Config{}).plain(inner).(*conn)
	if n, err := c.Read(buf); n != 0 || err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("%d %v", n, err)
	}
	inner.n, inner.err = len(get), nil // after the timeout the rest comes
	if n, err := c.Read(buf); n == 0 || err != nil {
		t.Errorf("%d %v", n, err)
	}
	if n, err := c.Read(nil); n != 0 || err != nil {
		t.Errorf("%d %v", n, err)
	}
}

// failing gives the next n bytes of a request together with an error.
type failing struct {
	script
	off, n int
	err    error
}

func (f *failing) Read(p []byte) (int, error) {
	n := copy(p, get[f.off:min(f.n, len(get))])
	f.off += n
	return n, f.err
}

func TestCloseWrite(t *testing.T) {
	c := newGuard(Config{}).plain(&script{})
	if err := c.(*conn).CloseWrite(); err != nil {
		t.Error(err)
	}
	if _, ok := c.(io.ReaderFrom); ok {
		t.Error("a connection without ReadFrom has got one")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client := dial(t, l.Addr().String())
	defer client.Close()
	s, err := NewListener(l, Config{}).Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, ok := s.(io.ReaderFrom); !ok {
		t.Error("a TCP connection has lost ReadFrom, and with it sendfile")
	}
}

func BenchmarkRead(b *testing.B) {
	request := "GET /uploads/report.pdf?Expires=1&Signature=" + strings.Repeat("a", 350) + " HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n" +
		"User-Agent: curl/8.0\r\nAccept: */*\r\nAccept-Encoding: gzip\r\nCookie: a=b\r\n\r\n"
	for name, pieces := range map[string][][]byte{
		"whole":     {[]byte(request)},
		"split":     split([]byte(request), 200),
		"pipelined": {[]byte(strings.Repeat(request, 5))},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			c := newGuard(Config{}).plain(&script{pieces: pieces, again: true}).(*conn)
			buf := make([]byte, 4096)
			for b.Loop() {
				if _, err := c.Read(buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkServe compares a keep-alive request with and without the guard.
func BenchmarkServe(b *testing.B) {
	for _, guarded := range []bool{false, true} {
		b.Run(fmt.Sprint("guarded ", guarded), func(b *testing.B) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			addr := l.Addr().String()
			if guarded {
				l = NewListener(l, Config{HeadTimeout: time.Minute})
			}
			body := make([]byte, 1024)
			s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write(body) }), ReadHeaderTimeout: time.Minute}
			go s.Serve(l)
			defer s.Shutdown(context.Background())
			c, err := net.Dial("tcp", addr)
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			in := bufio.NewReader(c)
			b.ReportAllocs()
			for b.Loop() {
				io.WriteString(c, get)
				r, err := http.ReadResponse(in, nil)
				if err != nil {
					b.Fatal(err)
				}
				io.Copy(io.Discard, r.Body)
			}
		})
	}
}
