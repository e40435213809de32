// Package framing stands between the network and net/http and refuses HTTP/1 requests whose extent two
// parsers might see differently.
//
// net/http tolerates much that others read otherwise: Content-Length beside Transfer-Encoding, lines
// that end in a bare LF, folded header fields, chunk extensions. Before an origin with another parser
// that is how requests are smuggled past a gate. [NewListener] and [NewTLSListener] make connections
// whose Read gives the server only bytes that have been checked: a head once all of it is there, a body
// as it comes. A stream that is refused is answered 400 (414 and 431 for what is too long, 505 for
// another version), after the answers to the good requests before it, and closed. net/http stays the
// server; its deadlines pass through, r.TLS is set, and HTTP/2 connections are left alone.
package framing

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Config configures the listeners. The zero value is usable.
type Config struct {
	// HeadTimeout is how long a head may take from its first byte to its last; 0 leaves it to the
	// server's deadlines. Give it the server's ReadHeaderTimeout: that by itself holds for a connection's
	// first request only, since of the next ones the server sees no byte before the head is complete,
	// so that they may take up to its IdleTimeout.
	HeadTimeout time.Duration
	// HandshakeTimeout bounds the TLS handshake; 0 is 10 s.
	HandshakeTimeout time.Duration
	// Refused, if set, hears of every refusal, from the connection's goroutine.
	Refused func(remote net.Addr, fault Fault)
}

// RefusedError is what a handler gets that reads a body whose framing is refused in the middle.
type RefusedError struct{ Fault Fault }

// Error says what was wrong.
func (e *RefusedError) Error() string { return "request body refused: " + e.Fault.String() }

// NewListener returns a listener of guarded plain connections. The caller goes on to use the
// returned one only.
func NewListener(l net.Listener, c Config) net.Listener { return &plainListener{l, newGuard(c)} }

type plainListener struct {
	net.Listener
	guard *guard
}

func (l *plainListener) Accept() (net.Conn, error) {
	inner, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.guard.plain(inner), nil
}

// guard is what the connections of a listener share.
type guard struct {
	Config
	small, large sync.Pool
}

const (
	smallBuffer = 4 << 10
	// largeBuffer holds a head of the greatest length and the byte that would make it too long.
	largeBuffer = MaxHead + 1
	// readAhead is the most that is read at once while bytes may come that cannot be passed yet.
	readAhead = MaxHead
)

func newGuard(c Config) *guard {
	if c.HandshakeTimeout == 0 {
		c.HandshakeTimeout = 10 * time.Second
	}
	g := &guard{Config: c}
	g.small.New = func() any { return new([smallBuffer]byte) }
	g.large.New = func() any { return new([largeBuffer]byte) }
	return g
}

// plain guards a connection. Whatever has ReadFrom keeps it, for sendfile(2).
func (g *guard) plain(inner net.Conn) net.Conn {
	if _, ok := inner.(io.ReaderFrom); ok {
		c := new(sendfileConn)
		c.Conn, c.guard = inner, g
		return c
	}
	return &conn{Conn: inner, guard: g}
}

// answer is how far the answer to the current request is, as far as a refusal is concerned.
const (
	unanswered uint32 = iota // nothing has been written since the request's head was passed
	answering
	refusing // the refusal has been written; what the server still writes is dropped
)

// conn is a guarded connection. net/http reads it from one goroutine at a time and writes it from
// another.
type conn struct {
	net.Conn
	guard  *guard
	parser parser

	// Bytes read and not yet passed on, of which the first ready have been checked. Between requests, and
	// while bodies pass, there are none and no buffer.
	buf     []byte
	r, w    int
	ready   int
	readErr error // of the network, to be reported after the bytes that came before it

	answer atomic.Uint32
	teased bool // a byte was given to the server's background read in place of a refusal
	told   bool // the refusal was answered, or it was too late to

	mu       sync.Mutex // for the deadlines, which are set from any goroutine
	deadline time.Time  // of reads, as the server set it
	headBy   time.Time  // when the head being read must be complete; zero if none is

	linger sync.Once
}

// Read gives checked bytes, never of two messages at once.
//
// The server calls it in three ways: from its loop at the beginning of a message, when the answer to
// the one before is written; for a body; and, with a buffer of one byte, in the background while a
// handler is running, to notice that the client is gone. The last must not learn of a refusal: it
// would cancel the request that is being answered. It gets a byte, and the loop gets the refusal.
func (c *conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		if c.ready == 0 && c.w > c.r {
			c.ready, _ = c.parser.advance(c.buf[c.r:c.w])
		}
		if c.ready > 0 {
			n := copy(p, c.buf[c.r:c.r+c.ready])
			c.ready -= n
			if c.r += n; c.r == c.w {
				c.release()
			}
			c.passed(p)
			return n, nil
		}
		if c.parser.state == refused {
			return c.refuse(p)
		}
		if c.readErr != nil {
			return 0, c.readErr
		}
		if n, err := c.fill(p); n > 0 || err != nil {
			return n, err
		}
	}
}

// fill reads from the network. If nothing is waiting to be completed, it reads into p, and what can be
// passed at once is: n bytes.
func (c *conn) fill(p []byte) (n int, err error) {
	if c.w > c.r {
		c.room()
		c.hurry(len(p) > 1 && c.parser.state == inHead)
		n, err := c.Conn.Read(c.buf[c.w:])
		c.w += n
		return 0, c.keep(n, err)
	}
	if limit := max(readAhead, c.parser.left); int64(len(p)) > limit {
		p = p[:limit]
	}
	if c.parser.state == inBody && int64(len(p)) > c.parser.left {
		p = p[:c.parser.left]
	}
	c.hurry(false)
	m, err := c.Conn.Read(p)
	if err = c.keep(m, err); err != nil {
		return 0, err
	}
	n, _ = c.parser.advance(p[:m])
	if n < m && c.parser.state != refused {
		c.stash(p[n:m])
	}
	if n > 0 {
		c.passed(p)
	}
	return n, nil
}

// keep has an error that came with bytes wait for them to be passed. A timeout is not kept: the next
// Read asks the network again.
func (c *conn) keep(n int, err error) error {
	if n == 0 || err == nil {
		return err
	}
	if ne, ok := err.(net.Error); !ok || !ne.Timeout() {
		c.readErr = err
	}
	return nil
}

// passed notes that p was given to the server. When the head of a request goes there in the
// foreground, the request before has been answered.
func (c *conn) passed(p []byte) {
	if c.parser.headed && len(p) > 1 {
		c.parser.headed = false
		c.answer.Store(unanswered)
	}
}

// stash puts bytes aside. There are none aside yet, and they are not more than readAhead.
func (c *conn) stash(b []byte) {
	c.buf = c.guard.buffer(len(b))
	c.r, c.w = 0, copy(c.buf, b)
}

// room makes room to read more behind the bytes put aside. They cannot fill the large buffer: the
// parser refuses a head that does.
func (c *conn) room() {
	if c.w < len(c.buf) {
		return
	}
	if c.r == 0 {
		old := c.buf
		c.buf = c.guard.buffer(largeBuffer)
		copy(c.buf, old[:c.w])
		c.guard.putBuffer(old)
		return
	}
	c.w = copy(c.buf, c.buf[c.r:c.w])
	c.r = 0
}

func (c *conn) release() {
	c.guard.putBuffer(c.buf)
	c.buf, c.r, c.w = nil, 0, 0
}

func (g *guard) buffer(n int) []byte {
	if n <= smallBuffer {
		return g.small.Get().(*[smallBuffer]byte)[:]
	}
	return g.large.Get().(*[largeBuffer]byte)[:]
}

func (g *guard) putBuffer(b []byte) {
	if len(b) == smallBuffer {
		g.small.Put((*[smallBuffer]byte)(b))
	} else {
		g.large.Put((*[largeBuffer]byte)(b))
	}
}

// refuse ends the stream: with an answer if that can still be given, after those to the requests
// before.
func (c *conn) refuse(p []byte) (int, error) {
	inBody := c.parser.inside
	if len(p) == 1 && !inBody && !c.teased {
		c.teased = true
		p[0] = 'X'
		return 1, nil
	}
	if !c.told {
		c.told = true
		if c.buf != nil {
			c.release()
		}
		if inBody {
			// A handler is at work on this request, perhaps in another goroutine: whoever is first answers.
			if c.answer.CompareAndSwap(unanswered, refusing) {
				c.writeRefusal()
			}
		} else {
			c.answer.Store(refusing)
			c.writeRefusal()
		}
		if c.guard.Refused != nil {
			c.guard.Refused(c.RemoteAddr(), c.parser.fault)
		}
	}
	if inBody {
		return 0, &RefusedError{c.parser.fault}
	}
	return 0, io.EOF
}

// status is the answer to a fault.
func (f Fault) status() string {
	switch f {
	case FaultTargetTooLong:
		return "414 URI Too Long"
	case FaultHeadTooLong:
		return "431 Request Header Fields Too Large"
	case FaultVersion:
		return "505 HTTP Version Not Supported"
	}
	return "400 Bad Request"
}

// refusalTimeout bounds the sending of a refusal, and lingerTimeout the wait for the client to take it.
const (
	refusalTimeout = 5 * time.Second
	lingerTimeout  = 500 * time.Millisecond
	lingerBytes    = 256 << 10
)

func (c *conn) writeRefusal() {
	status := c.parser.fault.status()
	body := "<html>\r\n<head><title>" + status + "</title></head>\r\n<body>\r\n<h1>" + status + "</h1>\r\n<p>" +
		c.parser.fault.String() + "</p>\r\n</body>\r\n</html>\r\n"
	c.Conn.SetWriteDeadline(time.Now().Add(refusalTimeout))
	// Nobody can be told that it failed: the connection ends in any case.
	fmt.Fprintf(c.Conn, "HTTP/1.1 %s\r\nContent-Type: text/html\r\nContent-Length: %s\r\nConnection: close\r\n\r\n%s",
		status, strconv.Itoa(len(body)), body)
}

// mayWrite says whether the server's bytes still go to the client.
func (c *conn) mayWrite(p []byte) bool {
	switch c.answer.Load() {
	case refusing:
		return false
	case unanswered:
		if !interim(p) {
			return c.answer.CompareAndSwap(unanswered, answering) || c.answer.Load() == answering
		}
	}
	return true
}

// interim says whether p is 100 Continue or another 1xx answer, after which the real one comes.
func interim(p []byte) bool { return bytes.HasPrefix(p, []byte("HTTP/1.1 1")) }

func (c *conn) Write(p []byte) (int, error) {
	if !c.mayWrite(p) {
		return len(p), nil
	}
	return c.Conn.Write(p)
}

// SetReadDeadline implements net.Conn.
func (c *conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = t
	return c.Conn.SetReadDeadline(c.readDeadline())
}

// SetDeadline implements net.Conn.
func (c *conn) SetDeadline(t time.Time) error {
	if err := c.Conn.SetWriteDeadline(t); err != nil {
		return err
	}
	return c.SetReadDeadline(t)
}

func (c *conn) readDeadline() time.Time {
	if c.headBy.IsZero() || !c.deadline.IsZero() && c.deadline.Before(c.headBy) {
		return c.deadline
	}
	return c.headBy
}

// hurry begins the time that a head may take, if on and it has not begun, or ends it.
func (c *conn) hurry(on bool) {
	if c.guard.HeadTimeout == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case on && c.headBy.IsZero():
		c.headBy = time.Now().Add(c.guard.HeadTimeout)
	case !on && !c.headBy.IsZero():
		c.headBy = time.Time{}
	default:
		return
	}
	// If it fails, so will the Read that follows.
	c.Conn.SetReadDeadline(c.readDeadline())
}

// CloseWrite ends the sending side, if the connection below has one.
func (c *conn) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return nil
}

// Close closes the connection. After a refusal it gives the client a moment to take the answer: a
// close with bytes unread resets the connection, and the answer may be lost with it (RFC 9112
// section 9.6).
func (c *conn) Close() error {
	if c.answer.Load() == refusing {
		c.linger.Do(func() {
			if c.CloseWrite() == nil {
				c.Conn.SetReadDeadline(time.Now().Add(lingerTimeout))
				io.CopyN(io.Discard, c.Conn, lingerBytes)
			}
		})
	}
	return c.Conn.Close()
}

// sendfileConn is a conn whose network connection can copy from a file by itself.
type sendfileConn struct{ conn }

// ReadFrom implements io.ReaderFrom.
func (c *sendfileConn) ReadFrom(r io.Reader) (int64, error) {
	if !c.mayWrite(nil) {
		return io.Copy(io.Discard, r)
	}
	return c.Conn.(io.ReaderFrom).ReadFrom(r)
}
