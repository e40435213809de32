package localca

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"postern/internal/seal"
	"postern/internal/store"
)

type fixture struct {
	store  *store.Store
	keeper *seal.Keeper
	now    time.Time
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	dir := t.TempDir()
	root, err := seal.CreateKeyFile(filepath.Join(dir, "root.key"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(context.Background(), store.Config{Dir: filepath.Join(dir, "store")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	keeper, err := seal.NewKeeper(context.Background(), root, s)
	if err != nil {
		t.Fatal(err)
	}
	return &fixture{store: s, keeper: keeper, now: time.Now()}
}

func (f *fixture) open(t *testing.T) *Authority {
	t.Helper()
	a, err := Open(context.Background(), Config{Store: f.store, Keeper: f.keeper, Now: func() time.Time { return f.now }})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// handshake connects as a client that trusts the authority and nobody else.
func handshake(t *testing.T, a *Authority, name string, at time.Time) error {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(a.CertificatePEM()) {
		t.Fatal("the authority's PEM holds no certificate")
	}
	client, server := net.Pipe()
	defer client.Close()
	go func() {
		defer server.Close()
		// What the client thinks of the certificate is the test's business.
		_ = tls.Server(server, &tls.Config{GetCertificate: a.GetCertificate, MinVersion: tls.VersionTLS12}).Handshake()
	}()
	return tls.Client(client, &tls.Config{RootCAs: roots, ServerName: name, Time: func() time.Time { return at }}).Handshake()
}

func TestServe(t *testing.T) {
	f := newFixture(t)
	a := f.open(t)
	if _, err := a.GetCertificate(nil); err == nil {
		t.Error("there is a certificate before the first Refresh")
	}
	if err := a.Refresh([]string{"localhost", "127.0.0.1", "::1", "d1.cloudfront.net", "*.example.com", "localhost"}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"localhost", "127.0.0.1", "::1", "d1.cloudfront.net", "cdn.example.com"} {
		if err := handshake(t, a, name, f.now); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := handshake(t, a, "other.example.net", f.now); err == nil {
		t.Error("the certificate is good for a name that was not asked for")
	}
	if err := handshake(t, a, "localhost", f.now.Add(leafLife+time.Hour)); err == nil {
		t.Error("the certificate has no end")
	}
}

// TestOneAuthority: a folder has one authority, whoever opens it first, and its key is sealed.
func TestOneAuthority(t *testing.T) {
	f := newFixture(t)
	first, second := f.open(t), f.open(t)
	if !bytes.Equal(first.CertificatePEM(), second.CertificatePEM()) {
		t.Fatal("two openings make two authorities")
	}
	block, rest := pem.Decode(first.CertificatePEM())
	if block == nil || block.Type != "CERTIFICATE" || len(rest) != 0 {
		t.Fatal("not one certificate")
	}
	value, _, err := f.store.Lookup(context.Background(), recordKey)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := x509.MarshalPKCS8PrivateKey(first.key)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(value, plain[len(plain)-64:]) {
		t.Error("the stored record holds the key in clear")
	}
}

func TestRefresh(t *testing.T) {
	f := newFixture(t)
	a := f.open(t)
	serial := func(names ...string) string {
		t.Helper()
		if err := a.Refresh(names); err != nil {
			t.Fatal(err)
		}
		c, err := a.GetCertificate(nil)
		if err != nil {
			t.Fatal(err)
		}
		if want := slices.Sorted(slices.Values(names)); !slices.Equal(namesOf(c.Leaf), want) {
			t.Errorf("the certificate is for %v, want %v", namesOf(c.Leaf), want)
		}
		return c.Leaf.SerialNumber.String()
	}
	first := serial("localhost", "::1", "127.0.0.1")
	if serial("127.0.0.1", "::1", "localhost") != first {
		t.Error("a certificate for the same names was made anew")
	}
	second := serial("localhost", "a.example.com")
	if second == first {
		t.Error("other names, same certificate")
	}
	f.now = f.now.Add(leafLife - renewBefore - time.Hour)
	if serial("localhost", "a.example.com") != second {
		t.Error("renewed with more than thirty days left")
	}
	f.now = f.now.Add(2 * time.Hour)
	if serial("localhost", "a.example.com") == second {
		t.Error("not renewed with less than thirty days left")
	}
}

// TestBrokenRecord: what is not the record we wrote is refused, and never replaced.
func TestBrokenRecord(t *testing.T) {
	for name, change := range map[string]func([]byte) []byte{
		"empty":         func([]byte) []byte { return nil },
		"newer version": func(b []byte) []byte { b[0] = 2; return b },
		"not JSON":      func(b []byte) []byte { return b[:len(b)-1] },
		"damaged seal":  func(b []byte) []byte { b[len(b)-10] ^= 1; return b },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.open(t)
			value, _, err := f.store.Lookup(context.Background(), recordKey)
			if err != nil {
				t.Fatal(err)
			}
			broken := change(bytes.Clone(value))
			if _, err := f.store.Transact(context.Background(), store.Txn{Put: []store.Put{{Key: recordKey, Value: broken}}}); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(context.Background(), Config{Store: f.store, Keeper: f.keeper, Now: time.Now}); err == nil {
				t.Error("opened")
			}
		})
	}
	if _, err := Open(context.Background(), Config{}); err == nil {
		t.Error("opened without a store")
	}
}
