// Package localca is the certificate authority of one Postern: it issues the certificate of the TLS
// listeners for localhost, the loopback addresses and the distributions' names, so that https works on
// a machine without a name or a public certificate. The authority's certificate is public; its key is
// sealed in the record store and never leaves this package. It issues for servers only, and whoever
// trusts it trusts whoever holds the data folder and the root key.
package localca

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"postern/internal/seal"
	"postern/internal/store"
)

const (
	recordKey = "/postern/v1/localca/authority/root"
	// recordVersion is the first byte of the record; the rest is the JSON of record.
	recordVersion = 1

	authorityLife = 10 * 365 * 24 * time.Hour
	// leafLife is far below what browsers accept (398 days); renewal needs nobody.
	leafLife = 90 * 24 * time.Hour
	// renewBefore is how long before its end a leaf is replaced.
	renewBefore = 30 * 24 * time.Hour
	// backdate lets a client with a slow clock accept a certificate that was issued just now.
	backdate = time.Hour
)

// record is what is stored: the certificate in DER, and the key in PKCS#8 DER, sealed for recordKey.
type record struct {
	Certificate []byte
	SealedKey   []byte
}

// Config is what an Authority needs; every field is required.
type Config struct {
	Store  *store.Store
	Keeper *seal.Keeper
	Now    func() time.Time
}

// Authority issues certificates. It is safe for concurrent use.
type Authority struct {
	now  func() time.Time
	cert *x509.Certificate
	key  crypto.Signer

	mu      sync.Mutex // serialises Refresh
	current atomic.Pointer[tls.Certificate]
}

// Open reads the authority from the store, and makes it if there is none. Two that make it at once end
// with the same one.
func Open(ctx context.Context, c Config) (*Authority, error) {
	if c.Store == nil || c.Keeper == nil || c.Now == nil {
		return nil, errors.New("opening the local certificate authority: Store, Keeper and Now are required")
	}
	value, found, err := c.Store.Lookup(ctx, recordKey)
	if err == nil && !found {
		if value, err = newRecord(c); err != nil {
			return nil, fmt.Errorf("making the local certificate authority: %w", err)
		}
		value, err = c.Store.CreateOnce(ctx, recordKey, value)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the local certificate authority: %w", err)
	}
	a, err := decode(c, value)
	if err != nil {
		return nil, fmt.Errorf("opening the local certificate authority: %w", err)
	}
	return a, nil
}

func newRecord(c Config) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	now := c.Now()
	template := &x509.Certificate{
		SerialNumber: serial,
		// The serial in the name tells the authorities of two data folders apart in a trust store.
		Subject:               pkix.Name{CommonName: fmt.Sprintf("Postern local authority %.8x", serial), Organization: []string{"Postern"}},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(authorityLife),
		KeyUsage:              x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	plain, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	sealed, err := c.Keeper.Seal(recordKey, plain)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(record{Certificate: der, SealedKey: sealed})
	if err != nil {
		return nil, err
	}
	return append([]byte{recordVersion}, body...), nil
}

func decode(c Config, value []byte) (*Authority, error) {
	if len(value) == 0 || value[0] != recordVersion {
		return nil, errors.New("the record has a format this version does not know")
	}
	var r record
	if err := json.Unmarshal(value[1:], &r); err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(r.Certificate)
	if err != nil {
		return nil, err
	}
	plain, err := c.Keeper.Open(recordKey, r.SealedKey)
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKCS8PrivateKey(plain)
	if err != nil {
		return nil, err
	}
	signer, ok := key.(*ecdsa.PrivateKey)
	if !ok || !signer.PublicKey.Equal(cert.PublicKey) {
		return nil, errors.New("the key is not the certificate's")
	}
	return &Authority{now: c.Now, cert: cert, key: signer}, nil
}

func newSerial() (*big.Int, error) {
	// 127 random bits and a leading one: never zero, always positive, as long as RFC 5280 allows for.
	limit := new(big.Int).Lsh(big.NewInt(1), 127)
	n, err := rand.Int(rand.Reader, limit)
	if err != nil {
		return nil, err
	}
	return n.Add(n, limit), nil
}

// CertificatePEM is the authority's certificate, for a trust store or curl --cacert.
func (a *Authority) CertificatePEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

// Refresh makes the certificate that GetCertificate serves cover exactly these names (host names,
// wildcards, IP addresses), unless the present one does and has more than thirty days left. Call it at
// start, daily, and when the names change. The leaf's key lives in memory only.
func (a *Authority) Refresh(names []string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	if cur := a.current.Load(); cur != nil &&
		cur.Leaf.NotAfter.Sub(a.now()) >= renewBefore && slices.Equal(namesOf(cur.Leaf), names) {
		return nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("making a certificate: %w", err)
	}
	serial, err := newSerial()
	if err != nil {
		return fmt.Errorf("making a certificate: %w", err)
	}
	now := a.now()
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "Postern"},
		NotBefore:    now.Add(-backdate),
		NotAfter:     now.Add(leafLife),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, n)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		return fmt.Errorf("making a certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return fmt.Errorf("making a certificate: %w", err)
	}
	a.current.Store(&tls.Certificate{Certificate: [][]byte{der, a.cert.Raw}, PrivateKey: key, Leaf: leaf})
	return nil
}

func namesOf(leaf *x509.Certificate) []string {
	names := slices.Clone(leaf.DNSNames)
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	slices.Sort(names)
	return names
}

// GetCertificate is for tls.Config. There is one certificate, whatever name the client asks for: a
// client that asks for another finds out by itself.
func (a *Authority) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if c := a.current.Load(); c != nil {
		return c, nil
	}
	return nil, errors.New("no certificate has been issued yet")
}
