package framing

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// certificate is a fresh one for 127.0.0.1, and what trusts it.
func certificate(t testing.TB) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool
}

func startTLS(t *testing.T, h http.HandlerFunc) (addr string, client *tls.Config) {
	t.Helper()
	cert, pool := certificate(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tl, err := NewTLSListener(l, &tls.Config{Certificates: []tls.Certificate{cert}}, Config{})
	if err != nil {
		t.Fatal(err)
	}
	serve(t, tl, h)
	return l.Addr().String(), &tls.Config{RootCAs: pool}
}

// Both protocols, with r.TLS.
func TestTLS(t *testing.T) {
	addr, trust := startTLS(t, func(w http.ResponseWriter, r *http.Request) {
		if r.TLS == nil || r.TLS.Version != tls.VersionTLS13 || !r.TLS.HandshakeComplete {
			t.Errorf("r.TLS is %+v", r.TLS)
			return
		}
		n, err := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, r.Proto, " ", r.TLS.NegotiatedProtocol, " ", n, " ", err)
	})
	for _, c := range []struct {
		h2    bool
		proto []string
		want  string
	}{
		{true, nil, "HTTP/2.0 h2 10000 <nil>"},
		{false, []string{"http/1.1"}, "HTTP/1.1 http/1.1 10000 <nil>"},
		{false, nil, "HTTP/1.1  10000 <nil>"},
	} {
		config := trust.Clone()
		config.NextProtos = c.proto
		transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: c.h2}
		if !c.h2 {
			transport.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
		}
		client := &http.Client{Transport: transport}
		for range 3 { // kept alive
			r, err := client.Post("https://"+addr, "", strings.NewReader(strings.Repeat("a", 10000)))
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(r.Body)
			r.Body.Close()
			if err != nil || string(b) != c.want {
				t.Errorf("answer %q, want %q; %v", b, c.want, err)
			}
		}
		client.CloseIdleConnections()
	}
}

func TestTLSRefuses(t *testing.T) {
	addr, trust := startTLS(t, size)
	for _, c := range bad {
		if c.fault == 0 {
			continue
		}
		conn, err := tls.Dial("tcp", addr, trust)
		if err != nil {
			t.Fatal(err)
		}
		got := talk(t, conn, c.stream)
		if len(got) != c.passed+1 || got[c.passed].status < 400 || !strings.Contains(got[c.passed].body, c.fault.String()) {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func TestTLSPlaintext(t *testing.T) {
	addr, _ := startTLS(t, size)
	got := talk(t, dial(t, addr), get)
	if len(got) != 1 || got[0].status != 400 || !strings.Contains(got[0].body, "HTTPS") {
		t.Error(got)
	}
}

func TestTLSConfig(t *testing.T) {
	for _, c := range []*tls.Config{nil, {}} {
		if l, err := NewTLSListener(newMemory(), c, Config{}); err == nil {
			l.Close()
			t.Errorf("a listener without a certificate: %+v", c)
		}
	}
}

// A client that does not make its handshake keeps nobody waiting, and is dropped in time, or when the
// listener closes.
func TestTLSSlowHandshake(t *testing.T) {
	cert, pool := certificate(t)
	synctest.Test(t, func(t *testing.T) {
		now := time.Now
		m := newMemory()
		l, err := NewTLSListener(m, &tls.Config{Certificates: []tls.Certificate{cert}, Time: cert.Leaf.NotBefore.Add(time.Minute).UTC}, Config{HandshakeTimeout: 3 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		slow := m.dial()
		began := now()
		quick := tls.Client(m.dial(), &tls.Config{RootCAs: pool, ServerName: "127.0.0.1", Time: cert.Leaf.NotBefore.Add(time.Minute).UTC})
		go quick.Handshake()
		server, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if took := now().Sub(began); took != 0 {
			t.Errorf("the quick client waited %v", took)
		}
		if _, err := slow.Read(make([]byte, 1)); err != io.EOF {
			t.Error(err)
		}
		if took := now().Sub(began); took != 3*time.Second {
			t.Errorf("the slow client was dropped after %v", took)
		}
		another := m.dial()
		idle := tls.Client(m.dial(), &tls.Config{RootCAs: pool, ServerName: "127.0.0.1", Time: cert.Leaf.NotBefore.Add(time.Minute).UTC})
		go idle.Handshake() // ends, and nobody accepts it
		synctest.Wait()
		began = now()
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if took := now().Sub(began); took != 0 {
			t.Errorf("closing took %v", took)
		}
		if _, err := another.Read(make([]byte, 1)); err == nil {
			t.Error("a handshake outlived its listener")
		}
		if _, err := l.Accept(); err == nil {
			t.Error("a closed listener accepts")
		}
		go io.Copy(io.Discard, quick)
		server.Close()
	})
}
