package framing

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// NewTLSListener returns a listener of TLS connections, of which those that speak HTTP/1 are guarded.
// If t names no protocols, h2 and http/1.1 are offered.
//
// The guard has to sit above TLS and net/http has to see a *tls.Conn to speak HTTP/2, and which of the
// two a connection wants is known only after the handshake. So the listener makes the handshake
// itself, each in its own goroutine, and Accept returns what has come of it: a *tls.Conn for h2, or a
// guarded connection, of which net/http takes r.TLS by its ConnectionState method.
//
// Use it with http.Server.Serve, not ServeTLS; the server's TLSConfig is either nil or offers h2 too.
// Close also drops the handshakes that have not ended.
func NewTLSListener(l net.Listener, t *tls.Config, c Config) (net.Listener, error) {
	if t == nil || len(t.Certificates) == 0 && t.GetCertificate == nil && t.GetConfigForClient == nil {
		return nil, errors.New("making a TLS listener: no certificate is configured")
	}
	t = t.Clone()
	if len(t.NextProtos) == 0 {
		t.NextProtos = []string{"h2", "http/1.1"}
	}
	ctx, stop := context.WithCancel(context.Background())
	tl := &tlsListener{
		Listener: l, config: t, guard: newGuard(c),
		accepted: make(chan accepted), ctx: ctx, stop: stop,
	}
	tl.running.Go(tl.run)
	return tl, nil
}

type tlsListener struct {
	net.Listener
	config   *tls.Config
	guard    *guard
	accepted chan accepted
	ctx      context.Context // of the listener's life, for the handshakes; stop ends it
	stop     context.CancelFunc
	running  sync.WaitGroup
}

type accepted struct {
	conn net.Conn
	err  error
}

// run accepts until the listener is closed. An error is handed to Accept, whose caller knows whether
// to go on, and how soon.
func (l *tlsListener) run() {
	for l.ctx.Err() == nil {
		inner, err := l.Listener.Accept()
		if err != nil {
			l.hand(accepted{err: err})
			continue
		}
		l.running.Go(func() {
			if conn, err := l.handshake(inner); err == nil && !l.hand(accepted{conn: conn}) {
				inner.Close() // without TLS's farewell, for which nobody may be reading
			}
		})
	}
}

// hand gives a result to Accept; false says that the listener is closed.
func (l *tlsListener) hand(a accepted) bool {
	select {
	case l.accepted <- a:
		return true
	case <-l.ctx.Done():
		return false
	}
}

// handshake makes a connection of what came in, or closes it.
func (l *tlsListener) handshake(inner net.Conn) (net.Conn, error) {
	conn := tls.Server(inner, l.config)
	ctx, cancel := context.WithTimeout(l.ctx, l.guard.HandshakeTimeout)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		tellPlaintext(err)
		inner.Close()
		return nil, fmt.Errorf("making the TLS handshake: %w", err)
	}
	if conn.ConnectionState().NegotiatedProtocol == "h2" {
		return conn, nil
	}
	guarded := &tlsConn{tls: conn}
	guarded.Conn, guarded.guard = conn, l.guard
	return guarded, nil
}

// tellPlaintext answers somebody who speaks HTTP where TLS is spoken, as net/http does.
func tellPlaintext(err error) {
	var header tls.RecordHeaderError
	if !errors.As(err, &header) || header.Conn == nil {
		return
	}
	switch string(header.RecordHeader[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO":
		header.Conn.SetWriteDeadline(time.Now().Add(refusalTimeout))
		io.WriteString(header.Conn, "HTTP/1.0 400 Bad Request\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n"+
			"This port speaks HTTPS.\r\n")
	}
}

// Accept implements net.Listener.
func (l *tlsListener) Accept() (net.Conn, error) {
	select {
	case a := <-l.accepted:
		return a.conn, a.err
	case <-l.ctx.Done():
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *tlsListener) Close() error {
	l.stop()
	err := l.Listener.Close()
	l.running.Wait()
	return err
}

// tlsConn is a guarded connection over TLS.
type tlsConn struct {
	conn
	tls *tls.Conn
}

// ConnectionState describes the TLS connection; net/http calls it to set r.TLS.
func (c *tlsConn) ConnectionState() tls.ConnectionState { return c.tls.ConnectionState() }
