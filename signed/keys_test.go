package signed

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"math/big"
	"strings"
	"testing"
)

func pemOf(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// ecParameters is the block that openssl ecparam -genkey writes before the key: the curve's OID in DER.
var ecParameters = pemOf("EC PARAMETERS", []byte{0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07})

func TestParsePrivateKey(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want crypto.Signer
	}{
		"PKCS#1":            {pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey())), rsaKey()},
		"PKCS#8 RSA":        {pemOf("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(rsaKey()))), rsaKey()},
		"SEC 1":             {pemOf("EC PRIVATE KEY", must(x509.MarshalECPrivateKey(ecKey()))), ecKey()},
		"SEC 1, parameters": {ecParameters + pemOf("EC PRIVATE KEY", must(x509.MarshalECPrivateKey(ecKey()))), ecKey()},
		"PKCS#8 EC":         {pemOf("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(ecKey()))), ecKey()},
		"text around":       {"Bag Attributes\n  friendlyName: x\n" + pemOf("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(ecKey()))) + "\n\n# end\n", ecKey()},
		"CRLF":              {strings.ReplaceAll(pemOf("EC PRIVATE KEY", must(x509.MarshalECPrivateKey(ecKey()))), "\n", "\r\n"), ecKey()},
		"BOM":               {"\ufeff" + pemOf("EC PRIVATE KEY", must(x509.MarshalECPrivateKey(ecKey()))), ecKey()},
		"public key too":    {pemOf("PUBLIC KEY", must(x509.MarshalPKIXPublicKey(ecKey().Public()))) + pemOf("EC PRIVATE KEY", must(x509.MarshalECPrivateKey(ecKey()))), ecKey()},
		"encoded by us":     {string(must(EncodePrivateKey(rsaKey()))), rsaKey()},
		"EC by us":          {string(must(EncodePrivateKey(ecKey()))), ecKey()},
		"PKCS#8 by us":      {string(must(EncodePrivateKeyPKCS8(rsaKey()))), rsaKey()},
	} {
		got, err := ParsePrivateKey([]byte(c.text))
		if err != nil || !got.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(c.want.Public()) {
			t.Errorf("%s: %T, %v", name, got, err)
		}
	}
	contains(t, string(must(EncodePrivateKey(rsaKey()))), "BEGIN RSA PRIVATE KEY")
	contains(t, string(must(EncodePrivateKey(ecKey()))), "BEGIN EC PRIVATE KEY")
	contains(t, string(must(EncodePrivateKeyPKCS8(ecKey()))), "BEGIN PRIVATE KEY")
}

func TestParsePublicKey(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want crypto.PublicKey
	}{
		"SPKI RSA": {pemOf("PUBLIC KEY", must(x509.MarshalPKIXPublicKey(rsaKey().Public()))), rsaKey().Public()},
		"SPKI EC":  {pemOf("PUBLIC KEY", must(x509.MarshalPKIXPublicKey(ecKey().Public()))), ecKey().Public()},
		"PKCS#1":   {pemOf("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&rsaKey().PublicKey)), rsaKey().Public()},
		"by us":    {string(must(EncodePublicKey(ecKey().Public()))), ecKey().Public()},
	} {
		got, err := ParsePublicKey([]byte(c.text))
		if err != nil || !got.(interface{ Equal(crypto.PublicKey) bool }).Equal(c.want) {
			t.Errorf("%s: %T, %v", name, got, err)
		}
	}
}

func TestKeysThatAreNone(t *testing.T) {
	private := string(must(EncodePrivateKey(rsaKey())))
	public := string(must(EncodePublicKey(rsaKey().Public())))
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "x"}}
	certificate := pemOf("CERTIFICATE", must(x509.CreateCertificate(rand.Reader, template, template, rsaKey().Public(), rsaKey())))
	edPublic, edPrivate, _ := ed25519.GenerateKey(rand.Reader)
	legacy := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-256-CBC,00"}, Bytes: []byte("x")}))
	for _, c := range []struct {
		name, text string
		private    bool
		parts      []string
	}{
		{"empty", "", true, []string{"empty"}},
		{"white space", " \n", true, []string{"empty"}},
		{"words", "hello", true, []string{"no PEM"}},
		{"encrypted PKCS#8", pemOf("ENCRYPTED PRIVATE KEY", []byte("x")), true, []string{"pass phrase", "openssl pkey"}},
		{"encrypted PKCS#1", legacy, true, []string{"pass phrase"}},
		{"public for private", public, true, []string{"public key", "private key is wanted"}},
		{"private for public", private, false, []string{"private key", "-pubout"}},
		{"certificate for private", certificate, true, []string{"certificate"}},
		{"certificate for public", certificate, false, []string{"certificate", "openssl x509"}},
		{"DER", string(x509.MarshalPKCS1PrivateKey(rsaKey())), true, []string{"DER", "-inform DER"}},
		{"public DER", string(must(x509.MarshalPKIXPublicKey(rsaKey().Public()))), false, []string{"DER", "-pubin"}},
		{"OpenSSH", pemOf("OPENSSH PRIVATE KEY", []byte("openssh-key-v1")), true, []string{"OpenSSH", "ssh-keygen -p -m PEM"}},
		{"OpenSSH public", "ssh-rsa AAAA me@here", false, []string{"OpenSSH", "ssh-keygen -e"}},
		{"DSA", pemOf("DSA PRIVATE KEY", []byte("x")), true, []string{"DSA", "RSA and ECDSA"}},
		{"Ed25519", pemOf("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(edPrivate))), true, []string{"ed25519"}},
		{"Ed25519 public", pemOf("PUBLIC KEY", must(x509.MarshalPKIXPublicKey(edPublic))), false, []string{"ed25519"}},
		{"parameters alone", ecParameters, true, []string{"EC PARAMETERS", "-genkey"}},
		{"two keys", private + private, true, []string{"more than one"}},
		{"escaped newlines", strings.ReplaceAll(private, "\n", `\n`), true, []string{`\n`, "printf"}},
		{"one line", strings.ReplaceAll(private, "\n", " "), true, []string{"damaged", "lines of their own"}},
		{"cut", private[:len(private)/2], true, []string{"damaged"}},
		{"base64 of PEM", base64.StdEncoding.EncodeToString([]byte(private)), true, []string{"wrapped in base64"}},
		{"garbage inside", pemOf("RSA PRIVATE KEY", []byte("x")), true, []string{"no readable key"}},
		{"garbage inside public", pemOf("PUBLIC KEY", []byte("x")), false, []string{"no readable key"}},
		{"PKCS#8 labelled SEC 1", pemOf("EC PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(ecKey()))), true, []string{"no readable key"}},
		{"request", pemOf("CERTIFICATE REQUEST", []byte("x")), true, []string{"is no key"}},
		{"huge", private + strings.Repeat("x", maxPEM), true, []string{"too many"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var err error
			if c.private {
				_, err = ParsePrivateKey([]byte(c.text))
			} else {
				_, err = ParsePublicKey([]byte(c.text))
			}
			var e *KeyError
			if !errors.As(err, &e) {
				t.Fatalf("%v", err)
			}
			contains(t, e.Error(), c.parts...)
			if body := strings.Split(private, "\n")[5]; strings.Contains(e.Error(), body) || strings.Contains(e.Error(), private[40:60]) {
				t.Error("the key is in the error")
			}
		})
	}
}

func TestNewKey(t *testing.T) {
	for name, c := range map[string]struct {
		pub           crypto.PublicKey
		ok, forVector bool
	}{
		"RSA-2048":    {rsaKey().Public(), true, true},
		"P-256":       {ecKey().Public(), true, true},
		"RSA-1024":    {&must(rsa.GenerateKey(rand.Reader, 1024)).PublicKey, false, true},
		"RSA-2047":    {&rsa.PublicKey{N: new(big.Int).Rsh(rsaKey().N, 1), E: 65537}, false, true},
		"RSA-2056":    {&rsa.PublicKey{N: new(big.Int).Lsh(rsaKey().N, 8), E: 65537}, false, true},
		"RSA-512":     {&rsa.PublicKey{N: new(big.Int).Rsh(rsaKey().N, 1536), E: 65537}, false, false},
		"RSA-8192":    {&rsa.PublicKey{N: new(big.Int).Lsh(rsaKey().N, 6144), E: 65537}, false, false},
		"P-384":       {&must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)).PublicKey, false, false},
		"Ed25519":     {ed25519.PublicKey{}, false, false},
		"nil":         {nil, false, false},
		"private key": {rsaKey(), false, false},
	} {
		if _, err := NewKey(c.pub); (err == nil) != c.ok {
			t.Errorf("NewKey of %s: %v", name, err)
		} else if err != nil && !errors.As(err, new(*KeyError)) {
			t.Errorf("NewKey of %s: untyped %v", name, err)
		}
		if _, err := NewTestVectorKey(c.pub); (err == nil) != c.forVector {
			t.Errorf("NewTestVectorKey of %s: %v", name, err)
		}
	}
	a, b := must(NewKey(rsaKey().Public())), must(NewKey(rsaKey().Public()))
	if a.Fingerprint != b.Fingerprint || a.Fingerprint != sha256Sum(must(x509.MarshalPKIXPublicKey(rsaKey().Public()))) || a.Fingerprint == must(NewKey(otherRSA().Public())).Fingerprint {
		t.Error("the fingerprint is not the hash of the SPKI")
	}
}

func TestEncodeForeignKey(t *testing.T) {
	if _, err := EncodePrivateKey(foreignKey{rsaKey(), nil}); err == nil {
		t.Error("a handle was encoded")
	}
	if _, err := EncodePrivateKeyPKCS8(foreignKey{rsaKey(), nil}); err == nil {
		t.Error("a handle was encoded")
	}
	if _, err := EncodePublicKey("x"); err == nil {
		t.Error("a word was encoded")
	}
}

func FuzzKeys(f *testing.F) {
	f.Add([]byte(ecParameters))
	f.Add(must(EncodePublicKey(ecKey().Public())))
	f.Add(must(EncodePrivateKey(ecKey())))
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\\n"))
	f.Add([]byte{0x30, 0x82, 1, 2})
	f.Fuzz(func(t *testing.T, text []byte) {
		key, err := ParsePrivateKey(text)
		if err == nil {
			again, err := ParsePrivateKey(must(EncodePrivateKey(key)))
			if err != nil || !bytes.Equal(must(EncodePrivateKey(again)), must(EncodePrivateKey(key))) {
				t.Fatalf("re-encoded: %v", err)
			}
		} else if !errors.As(err, new(*KeyError)) {
			t.Fatalf("untyped %v", err)
		}
		pub, err := ParsePublicKey(text)
		if err == nil {
			if again, err := ParsePublicKey(must(EncodePublicKey(pub))); err != nil || !again.(interface{ Equal(crypto.PublicKey) bool }).Equal(pub) {
				t.Fatalf("re-encoded: %v", err)
			}
		} else if !errors.As(err, new(*KeyError)) {
			t.Fatalf("untyped %v", err)
		}
	})
}
