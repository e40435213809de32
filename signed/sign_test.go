package signed

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// names lists a query's parameter names in order.
func names(u string) string {
	_, q, _ := strings.Cut(u, "?")
	var list []string
	for p := range strings.SplitSeq(q, "&") {
		name, _, _ := strings.Cut(p, "=")
		list = append(list, name)
	}
	return strings.Join(list, " ")
}

func TestSignedURLShape(t *testing.T) {
	for _, c := range []struct {
		name string
		make func() (string, error)
		want string
	}{
		{"canned, default", func() (string, error) { return signerOf(rsaID, rsaKey()).SignURL(goodURL, noon) }, "Expires Signature Key-Pair-Id Hash-Algorithm"},
		{"canned, SHA-1", func() (string, error) {
			return (&Signer{KeyPairID: rsaID, Key: rsaKey(), Hash: SHA1}).SignURL(goodURL, noon)
		}, "Expires Signature Key-Pair-Id"},
		{"canned, SHA-256", func() (string, error) {
			return (&Signer{KeyPairID: rsaID, Key: rsaKey(), Hash: SHA256}).SignURL(goodURL, noon)
		}, "Expires Signature Key-Pair-Id Hash-Algorithm"},
		{"ECDSA, default", func() (string, error) { return (&Signer{KeyPairID: ecID, Key: ecKey()}).SignURL(goodURL, noon) }, "Expires Signature Key-Pair-Id Hash-Algorithm"},
		{"own query", func() (string, error) { return signerOf(rsaID, rsaKey()).SignURL(goodURL+"?b=1&a=2", noon) }, "b a Expires Signature Key-Pair-Id Hash-Algorithm"},
		{"custom", func() (string, error) {
			return signerOf(rsaID, rsaKey()).SignURLPolicy(goodURL+"?b=1", Policy{NotAfter: noon})
		}, "b Policy Signature Key-Pair-Id Hash-Algorithm"},
	} {
		u, err := c.make()
		if err != nil || names(u) != c.want {
			t.Errorf("%s: %q, %v, want %q", c.name, names(u), err, c.want)
		}
	}
	// PKCS#1 v1.5 is deterministic: the same input gives the same bytes.
	a, b := must(signerOf(rsaID, rsaKey()).SignURL(goodURL, noon)), must(signerOf(rsaID, rsaKey()).SignURL(goodURL, noon.Add(999*time.Millisecond)))
	if a != b || !strings.HasPrefix(a, goodURL+fmt.Sprintf("?Expires=%d&Signature=", noon.Unix())) || !strings.Contains(a, "&Key-Pair-Id="+rsaID+"&Hash-Algorithm=SHA256") {
		t.Errorf("%s\n%s", a, b)
	}
}

func TestSignerRefuses(t *testing.T) {
	p384 := must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	for name, c := range map[string]struct {
		s    Signer
		part string
	}{
		"no key":          {Signer{KeyPairID: rsaID}, "no key"},
		"no key id":       {Signer{Key: rsaKey()}, "key pair id is empty"},
		"PEM as key id":   {Signer{Key: rsaKey(), KeyPairID: "-----BEGIN PUBLIC KEY-----\nMII"}, "is a PEM text"},
		"key id & more":   {Signer{Key: rsaKey(), KeyPairID: "K1&Expires=9"}, "not a word"},
		"long key id":     {Signer{Key: rsaKey(), KeyPairID: strings.Repeat("K", 129)}, "129 characters"},
		"unknown hash":    {Signer{KeyPairID: rsaID, Key: rsaKey(), Hash: 7}, "unknown hash"},
		"ECDSA and SHA-1": {Signer{KeyPairID: ecID, Key: ecKey(), Hash: SHA1}, "legacy"},
		"RSA-1024":        {Signer{KeyPairID: rsaID, Key: must(rsa.GenerateKey(rand.Reader, 1024))}, "1024 bits"},
		"P-384":           {Signer{KeyPairID: ecID, Key: p384}, "P-384"},
		"Ed25519":         {Signer{KeyPairID: ecID, Key: ed}, "ed25519"},
		"broken key":      {Signer{KeyPairID: rsaID, Key: foreignKey{rsaKey(), func([]byte, crypto.SignerOpts) ([]byte, error) { return nil, io.ErrUnexpectedEOF }}}, "unexpected EOF"},
		"PSS key": {Signer{KeyPairID: rsaID, Key: foreignKey{rsaKey(), func(d []byte, o crypto.SignerOpts) ([]byte, error) {
			return rsa.SignPSS(rand.Reader, rsaKey(), o.HashFunc(), d, nil)
		}}}, "no PKCS#1 v1.5"},
		"raw ECDSA key": {Signer{KeyPairID: ecID, Key: foreignKey{ecKey(), func([]byte, crypto.SignerOpts) ([]byte, error) { return make([]byte, 64), nil }}}, "ASN.1 DER"},
	} {
		for _, call := range []func() (any, error){
			func() (any, error) { return c.s.SignURL(goodURL, noon) },
			func() (any, error) { return c.s.SignURLPolicy(goodURL, Policy{NotAfter: noon}) },
			func() (any, error) { return c.s.Cookies(Policy{Resource: "*", NotAfter: noon}, CookieOptions{}) },
			func() (any, error) { return c.s.CannedCookies(goodURL, noon, CookieOptions{}) },
			func() (any, error) { return c.s.SignURLAWSCLI(goodURL, Policy{NotAfter: noon}) },
		} {
			if _, err := call(); err == nil || !strings.Contains(err.Error(), c.part) {
				t.Errorf("%s: %v, want %q", name, err, c.part)
			}
		}
	}
}

// foreignKey is a key that lives elsewhere: only its interface is known.
type foreignKey struct {
	key  crypto.Signer
	sign func(digest []byte, opts crypto.SignerOpts) ([]byte, error)
}

func (k foreignKey) Public() crypto.PublicKey { return k.key.Public() }
func (k foreignKey) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return k.sign(digest, opts)
}

func TestForeignKeysSign(t *testing.T) {
	for id, key := range map[string]crypto.Signer{rsaID: rsaKey(), ecID: ecKey()} {
		s := signerOf(id, foreignKey{key, func(d []byte, o crypto.SignerOpts) ([]byte, error) { return key.Sign(rand.Reader, d, o) }})
		u, err := s.SignURL(goodURL, noon)
		if err != nil {
			t.Fatal(err)
		}
		checkCause(t, Request{URL: u, Time: before}, &Verifier{Keys: keysOf(testKeys(t))}, CauseNone)
	}
}

func TestURLsThatCannotBeSigned(t *testing.T) {
	for _, c := range []struct {
		url    string
		offset int
		part   string
	}{
		{"", 0, "http://"},
		{"d111.cloudfront.net/a", 0, "http://"},
		{"//h/a", 0, "http://"},
		{"/a", 0, "http://"},
		{"ftp://h/a", 0, "http://"},
		{"HTTPS://h/a", 0, "lower case"},
		{"s3://bucket/a", 0, "http://"},
		{"https:///a", 8, "no host"},
		{"https://:443/a", 8, "no host"},
		{"https://u:p@h/a", 8, "user name"},
		{"https://h", 9, "no path"},
		{"https://h?a=b", 9, "no path"},
		{"https://Example.com/a", 8, "lower case"},
		{"https://exAmple.com/a", 10, "lower case"},
		{"https://h:443/a", 9, "own port"},
		{"http://h:80/a", 8, "own port"},
		{"https://h/a b", 11, "%20"},
		{"https://h/a\tb", 11, "control"},
		{"https://h/a\x7fb", 11, "control"},
		{"https://h/a\r\nb", 11, "control"},
		{"https://h/보고서", 10, "ASCII"},
		{"https://한국.kr/a", 8, "punycode"},
		{"https://h/a#b", 11, "fragment"},
		{"https://h/a?b#c", 13, "fragment"},
		{"https://h/100%", 13, "%25"},
		{"https://h/%zz", 10, "%25"},
		{"https://h/a%2", 11, "%25"},
		{"https://h/a\\b", 11, "%5C"},
		{"https://h/a\"b", 11, "%22"},
		{"https://h/<a>", 10, "%3C"},
		{"https://h/{a}", 10, "%7B"},
		{"https://h/a?b='c'", 14, "%27"},
		{"https://h/a/../b", 12, "segment"},
		{"https://h/./b", 10, "segment"},
		{"https://h/a/..", 12, "segment"},
		{"https://h/a/%2e%2E/b", 12, "segment"},
		{"https://h/a/.%2e?x", 12, "segment"},
		{"https://h/a?", 11, "empty query"},
		{"https://h/a?Expires=1", 12, "Expires belongs to CloudFront"},
		{"https://h/a?b=1&Policy=x", 16, "Policy belongs"},
		{"https://h/a?b&Signature", 14, "Signature belongs"},
		{"https://h/a?Key-Pair-Id=&c", 12, "Key-Pair-Id belongs"},
		{"https://h/a?Hash-Algorithm=SHA1", 12, "Hash-Algorithm belongs"},
	} {
		for _, sign := range []func() error{
			func() error { return CheckURL(c.url) },
			func() error { return CheckLiteral(c.url) },
			func() error { _, err := CannedPolicy(c.url, noon); return err },
			func() error { _, err := signerOf(rsaID, rsaKey()).SignURL(c.url, noon); return err },
			func() error {
				_, err := signerOf(rsaID, rsaKey()).SignURLPolicy(c.url, Policy{Resource: "*", NotAfter: noon})
				return err
			},
			func() error {
				_, err := signerOf(rsaID, rsaKey()).CannedCookies(c.url, noon, CookieOptions{})
				return err
			},
		} {
			err := sign()
			var e *URLError
			if !errors.As(err, &e) || e.Offset != c.offset || !strings.Contains(e.Reason, c.part) {
				t.Errorf("%q: %v, want %q at %d", c.url, err, c.part, c.offset)
			}
		}
	}
	for _, good := range []string{
		"http://h/", "https://h:8443/a", "https://h:80/a", "http://h:443/", "http://127.0.0.1:8080/a", "http://[::1]:8080/a", "https://h//a//", "https://h/a'b!()~;:@=+$,&",
		"https://h/...", "https://h/.a/..b", "https://h/%2A%3F%25%20", "https://h/a?expires=1&policy=2&Signatures=3", "https://h/a?b=1&&c", "https://h/a?=", "https://xn--3e0b707e.kr/a?b=%27",
	} {
		if err := CheckLiteral(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
}

func TestWildcardsInLiterals(t *testing.T) {
	for _, c := range []struct {
		url    string
		char   byte
		offset int
	}{
		{"https://h/*", '*', 10},
		{"https://h/a*b", '*', 11},
		{"https://*/a", '*', 8},
		{"https://h/a?b=*", '*', 14},
		{"https://h/a?b=1?c", '?', 15},
		{"https://h/a??", '?', 12},
	} {
		s := signerOf(rsaID, rsaKey())
		for _, sign := range []func() error{
			func() error { return CheckLiteral(c.url) },
			func() error { _, err := CannedPolicy(c.url, noon); return err },
			func() error { _, err := s.SignURL(c.url, noon); return err },
			func() error { _, err := s.SignURLPolicy(c.url, Policy{NotAfter: noon}); return err },
			func() error { _, err := s.CannedCookies(c.url, noon, CookieOptions{}); return err },
		} {
			err := sign()
			var e *LiteralWildcardError
			if !errors.As(err, &e) || e.Char != c.char || e.Offset != c.offset {
				t.Errorf("%q: %v", c.url, err)
			} else if !strings.Contains(e.Error(), fmt.Sprintf("%%%02X", c.char)) {
				t.Errorf("%q: no advice in %q", c.url, e)
			}
		}
		if err := CheckURL(c.url); err != nil {
			t.Errorf("%q is no URL: %v", c.url, err)
		}
		// With a policy that says what it covers, the same URL may be signed.
		if _, err := s.SignURLPolicy(c.url, Policy{Resource: "https://*", NotAfter: noon}); err != nil {
			t.Errorf("%q under a pattern: %v", c.url, err)
		}
	}
}

func TestResourceMustCoverTheURL(t *testing.T) {
	for resource, section := range map[string]string{
		"http://d111111abcdef8.cloudfront.net/*":                  "protocol",
		"https://other/*":                                         "host",
		"https://d111111abcdef8.cloudfront.net/images/*":          "path",
		"https://d111111abcdef8.cloudfront.net/uploads/*.pdf?a=*": "query",
	} {
		_, err := signerOf(rsaID, rsaKey()).SignURLPolicy(goodURL, Policy{Resource: resource, NotAfter: noon})
		var e *ResourceError
		if !errors.As(err, &e) || e.Section != section || !strings.Contains(e.Error(), section) {
			t.Errorf("%s: %v, want %s", resource, err, section)
		}
	}
}

func TestSignerShowsNoKey(t *testing.T) {
	for _, s := range []*Signer{signerOf(rsaID, rsaKey()), signerOf(ecID, ecKey())} {
		var secrets []string
		switch k := s.Key.(type) {
		case *rsa.PrivateKey:
			secrets = []string{k.D.String(), k.D.Text(16), k.Primes[0].String(), fmt.Sprint(k.Primes[0].Bytes())}
		case *ecdsa.PrivateKey:
			d := must(k.Bytes())
			secrets = []string{fmt.Sprintf("%x", d), fmt.Sprint(d)}
		}
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("a", "signer", s, "value", *s)
		slog.New(slog.NewJSONHandler(&log, nil)).Info("a", "signer", s, "value", *s)
		all := log.String() + string(must(json.Marshal(s))) + string(must(json.Marshal(map[string]any{"s": *s})))
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			all += fmt.Sprintf(verb, s) + fmt.Sprintf(verb, *s) + fmt.Sprintf(verb, []any{s, *s})
		}
		for _, secret := range secrets {
			if strings.Contains(all, secret) || strings.Contains(all, secret[:20]) {
				t.Errorf("the private key is in %s", cut(all, 400))
			}
		}
		contains(t, all, s.KeyPairID, "SHA256")
	}
	if got := fmt.Sprint(&Signer{}); !strings.Contains(got, "no key") {
		t.Error(got)
	}
	key := must(NewKey(rsaKey().Public()))
	contains(t, key.String(), "RSA-2048", fmt.Sprintf("%x", key.Fingerprint))
}

// TestAWSCLIBytes: the texts that botocore 1.43.11 and AWS CLI 1.45.11 sign, traps included. They were
// printed by CloudFrontSigner.build_policy itself.
func TestAWSCLIBytes(t *testing.T) {
	s := signerOf(rsaID, rsaKey())
	s.Hash = SHA1
	at := time.Unix(1935403200, 0)
	for _, c := range []struct {
		name, url string
		p         Policy
		text      string
		names     string
	}{
		{"canned", "http://h/a?b=1", Policy{NotAfter: at}, `{"Statement":[{"Resource":"http://h/a?b=1","Condition":{"DateLessThan":{"AWS:EpochTime":1935403200}}}]}`, "b Expires Signature Key-Pair-Id"},
		{"wildcard", "http://h/*", Policy{NotAfter: at}, `{"Statement":[{"Resource":"http://h/*","Condition":{"DateLessThan":{"AWS:EpochTime":1935403200}}}]}`, "Expires Signature Key-Pair-Id"},
		{"empty query", "http://h/a?", Policy{NotAfter: at}, `{"Statement":[{"Resource":"http://h/a?","Condition":{"DateLessThan":{"AWS:EpochTime":1935403200}}}]}`, " Expires Signature Key-Pair-Id"},
		{"not ASCII", "http://h/한😀\u007f\u0080\"\\/<&\n", Policy{NotAfter: at}, `{"Statement":[{"Resource":"http://h/\ud55c\ud83d\ude00\u007f\u0080\"\\/<&\n","Condition":{"DateLessThan":{"AWS:EpochTime":1935403200}}}]}`, "Expires Signature Key-Pair-Id"},
		{"address and start", "http://h/a", Policy{NotAfter: at, NotBefore: time.Unix(1935000000, 0), SourceIP: netip.MustParsePrefix("10.1.2.3/8")}, `{"Statement":[{"Resource":"http://h/a","Condition":{"DateLessThan":{"AWS:EpochTime":1935403200},"IpAddress":{"AWS:SourceIp":"10.1.2.3/8"},"DateGreaterThan":{"AWS:EpochTime":1935000000}}}]}`, "Policy Signature Key-Pair-Id"},
		{"resource of its own", "http://h/a", Policy{Resource: "http*://*", NotAfter: at}, `{"Statement":[{"Resource":"http*://*","Condition":{"DateLessThan":{"AWS:EpochTime":1935403200}}}]}`, "Policy Signature Key-Pair-Id"},
	} {
		u, err := s.SignURLAWSCLI(c.url, c.p)
		if err != nil || names(u) != c.names || !strings.HasPrefix(u, c.url) {
			t.Errorf("%s: %q, %v", c.name, u, err)
			continue
		}
		var x exam
		x.collect(&Request{URL: u})
		sig := must(DecodeText(x.params[paramSignature].raw))
		if !must(NewKey(rsaKey().Public())).verify(SHA1, SHA1.digest([]byte(c.text), new([32]byte)), sig) {
			t.Errorf("%s: the signature is not over %s", c.name, c.text)
		}
		if raw := x.params[paramPolicy].raw; raw != "" && string(must(DecodeText(raw))) != c.text {
			t.Errorf("%s: the policy is %s", c.name, must(DecodeText(raw)))
		}
	}
	if _, err := s.SignURLAWSCLI("http://h/a", Policy{}); err == nil {
		t.Error("no expiry was accepted")
	}
}

func TestHashNames(t *testing.T) {
	for _, h := range []Hash{SHA1, SHA256} {
		if got, err := ParseHash(h.String()); err != nil || got != h {
			t.Errorf("%v: %v, %v", h, got, err)
		}
	}
	for _, bad := range []string{"", "sha1", "SHA-1", "SHA512", "SHA1 ", "default"} {
		if _, err := ParseHash(bad); err == nil {
			t.Errorf("%q parsed", bad)
		}
	}
	if Hash(0).String() != "default" || Hash(9).String() != "Hash(9)" {
		t.Error("names of other values")
	}
}
