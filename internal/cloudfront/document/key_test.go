package document

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"sync"
	"testing"
)

func encoded(t testing.TB, kind string, der []byte, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func spki(t testing.TB, public any) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	return encoded(t, "PUBLIC KEY", der, err)
}

var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func TestPublicKeyConfigValidate(t *testing.T) {
	ec := func(curve elliptic.Curve) *ecdsa.PrivateKey {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	p256 := ec(elliptic.P256())
	long, err := rsa.GenerateKey(rand.Reader, 3072)
	if err != nil {
		t.Fatal(err)
	}
	ed, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sec1, sec1err := x509.MarshalECPrivateKey(p256)
	private := encoded(t, "EC PRIVATE KEY", sec1, sec1err)
	pkcs1 := encoded(t, "RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&rsaKey().PublicKey), nil)
	good := spki(t, &rsaKey().PublicKey)
	for _, c := range []struct {
		name, pem string
		says      string // "" passes
	}{
		{"RSA of 2048 bits", good, ""},
		{"P-256", spki(t, &p256.PublicKey), ""},
		{"without the last newline", strings.TrimSpace(good), ""},
		{"with CRLF", strings.ReplaceAll(good, "\n", "\r\n"), ""},
		{"nothing", "", "not PEM"},
		{"one line", strings.ReplaceAll(good, "\n", " "), "not PEM"},
		{"RSA of 3072 bits", spki(t, &long.PublicKey), "3072 bits"},
		{"P-384", spki(t, &ec(elliptic.P384()).PublicKey), "P-384"},
		{"Ed25519", spki(t, ed), "neither"},
		{"PKCS#1", pkcs1, "PKCS#1"},
		{"a private key", private, "EC PRIVATE KEY"},
		{"two keys", good + good, "more than one"},
		{"no DER", encoded(t, "PUBLIC KEY", []byte("x"), nil), "does not hold"},
		{"too much", good + strings.Repeat("\n", 8192), "8192 at most"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := PublicKeyConfig{CallerReference: "r", Name: "n", EncodedKey: c.pem}.Validate()
			if got := code(t, err); (got == "") != (c.says == "") || got != "" && got != "InvalidArgument" {
				t.Fatalf("got %v", err)
			}
			if err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("%q does not say %q", err, c.says)
			}
			if c.name == "a private key" && strings.Contains(err.Error(), strings.Split(private, "\n")[1]) {
				t.Error("the refusal shows the private key")
			}
		})
	}
	for name, edit := range map[string]func(*PublicKeyConfig){
		"reference": func(c *PublicKeyConfig) { c.CallerReference = "" },
		"name":      func(c *PublicKeyConfig) { c.Name = "" },
		"comment":   func(c *PublicKeyConfig) { c.Comment = strings.Repeat("x", 129) },
	} {
		c := PublicKeyConfig{CallerReference: "r", Name: "n", EncodedKey: good}
		edit(&c)
		if got := code(t, c.Validate()); got != "InvalidArgument" {
			t.Errorf("bad %s: %q", name, got)
		}
	}
}

func FuzzPublicKey(f *testing.F) {
	f.Add(spki(f, &rsaKey().PublicKey))
	f.Add("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")
	f.Fuzz(func(t *testing.T, text string) {
		key, err := PublicKeyConfig{EncodedKey: text}.Key()
		if (key == nil) == (err == nil) {
			t.Errorf("key %v and error %v", key, err)
		}
		code(t, err)
	})
}

func TestKeyGroupConfigValidate(t *testing.T) {
	for _, c := range []struct {
		name, code string
		doc        KeyGroupConfig
	}{
		{"five", "", KeyGroupConfig{Name: "n", Items: []string{"a", "b", "c", "d", "e"}}},
		{"six", "TooManyPublicKeysInKeyGroup", KeyGroupConfig{Name: "n", Items: []string{"a", "b", "c", "d", "e", "f"}}},
		{"none", "InvalidArgument", KeyGroupConfig{Name: "n"}},
		{"twice", "InvalidArgument", KeyGroupConfig{Name: "n", Items: []string{"a", "a"}}},
		{"no name", "InvalidArgument", KeyGroupConfig{Items: []string{"a"}}},
		{"comment", "InvalidArgument", KeyGroupConfig{Name: "n", Items: []string{"a"}, Comment: strings.Repeat("x", 129)}},
	} {
		if got := code(t, c.doc.Validate()); got != c.code {
			t.Errorf("%s: got %q, want %q", c.name, got, c.code)
		}
	}
}

func TestOriginAccessControlConfigValidate(t *testing.T) {
	good := OriginAccessControlConfig{Name: "n", SigningProtocol: "sigv4", SigningBehavior: "always", OriginAccessControlOriginType: "s3"}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	for name, edit := range map[string]func(*OriginAccessControlConfig){
		"no name":   func(c *OriginAccessControlConfig) { c.Name = "" },
		"long name": func(c *OriginAccessControlConfig) { c.Name = strings.Repeat("x", 65) },
		"protocol":  func(c *OriginAccessControlConfig) { c.SigningProtocol = "sigv2" },
		"behavior":  func(c *OriginAccessControlConfig) { c.SigningBehavior = "Always" },
		"type":      func(c *OriginAccessControlConfig) { c.OriginAccessControlOriginType = "ftp" },
	} {
		c := good
		edit(&c)
		if got := code(t, c.Validate()); got != "InvalidArgument" {
			t.Errorf("%s: %q", name, got)
		}
	}
}
