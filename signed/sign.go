package signed

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"
)

// Hash names the digest a signature is made over.
//
// The zero Hash of a [Signer] is SHA-256 for RSA and ECDSA alike: the safe choice is the default, and
// Hash-Algorithm=SHA256 is then part of every URL. What AWS's own tools call their default is SHA-1;
// whoever must produce their bytes says SHA1.
type Hash uint8

// The two digests CloudFront knows (Hash-Algorithm, since April 2026).
const (
	SHA1   Hash = 1
	SHA256 Hash = 2
)

// String is the name as it stands in Hash-Algorithm.
func (h Hash) String() string {
	switch h {
	case 0:
		return "default"
	case SHA1:
		return "SHA1"
	case SHA256:
		return "SHA256"
	}
	return fmt.Sprintf("Hash(%d)", uint8(h))
}

// ParseHash reads SHA1 or SHA256, in exactly these letters.
func ParseHash(s string) (Hash, error) {
	switch s {
	case "SHA1":
		return SHA1, nil
	case "SHA256":
		return SHA256, nil
	}
	return 0, fmt.Errorf("parsing hash algorithm: %q is neither SHA1 nor SHA256", cut(s, 20))
}

func (h Hash) crypto() crypto.Hash {
	if h == SHA1 {
		return crypto.SHA1
	}
	return crypto.SHA256
}

// digest hashes without allocating; the slice lies in buf.
func (h Hash) digest(text []byte, buf *[32]byte) []byte {
	if h == SHA1 {
		sum := sha1Sum(text)
		return append(buf[:0], sum[:]...)
	}
	sum := sha256Sum(text)
	return append(buf[:0], sum[:]...)
}

// Signer signs URLs and cookies with one key. It may be used by several goroutines if Key may. It shows
// no more of itself to fmt, slog and encoding/json than its key id, key kind and hash.
type Signer struct {
	// KeyPairID is CloudFront's id of the public key, such as K2JCJMDEHXQW5F.
	KeyPairID string
	// Key is an RSA-2048 or ECDSA P-256 key: from [ParsePrivateKey], or a handle to one in KMS or an HSM.
	// For RSA it must sign with PKCS#1 v1.5; for ECDSA it must answer in ASN.1 DER. CloudFront takes no
	// other keys, so others are refused.
	Key crypto.Signer
	// Hash is the digest. Zero is SHA-256.
	Hash Hash
	// AllowLegacyECDSASHA1 permits ECDSA over SHA-1. AWS's verifier takes that pair, but AWS's CLI does
	// not make it, and nothing new should.
	AllowLegacyECDSASHA1 bool
}

// SignURL signs one literal URL with a canned policy, and returns it with the parameters Expires,
// Signature, Key-Pair-Id and, for SHA-256, Hash-Algorithm added behind its own.
//
// Everything signed this way for one URL and one second is the same grant. The URL must be as the viewer
// will send it: [CheckLiteral] says what is refused, with an *[URLError] or a *[LiteralWildcardError].
func (s *Signer) SignURL(url string, notAfter time.Time) (string, error) {
	policy, err := CannedPolicy(url, notAfter)
	if err != nil {
		return "", fmt.Errorf("signing URL: %w", err)
	}
	return s.join(url, fmt.Sprintf("Expires=%d", notAfter.Unix()), policy)
}

// SignURLPolicy signs a URL with a custom policy, and returns it with the parameters Policy, Signature,
// Key-Pair-Id and, for SHA-256, Hash-Algorithm added.
//
// An empty p.Resource means exactly this URL, which is then held to [CheckLiteral]. A resource that does
// not cover the URL is refused with a *[ResourceError], since the link could never open.
func (s *Signer) SignURLPolicy(url string, p Policy) (string, error) {
	check := CheckURL
	if p.Resource == "" {
		p.Resource, check = url, CheckLiteral
	}
	if err := check(url); err != nil {
		return "", fmt.Errorf("signing URL: %w", err)
	}
	policy, err := p.Encode()
	if err != nil {
		return "", fmt.Errorf("signing URL: %w", err)
	}
	if s := compareResource(p.Resource, url); s != sectionNone {
		return "", fmt.Errorf("signing URL: %w", &ResourceError{Resource: p.Resource, URL: url, Section: s.String()})
	}
	return s.join(url, "Policy="+EncodeText(policy), policy)
}

// join appends the parameters in the order of botocore, Go and Ruby.
func (s *Signer) join(url, first string, policy []byte) (string, error) {
	sig, err := s.SignPolicy(policy)
	if err != nil {
		return "", fmt.Errorf("signing URL: %w", err)
	}
	separator := "?"
	if strings.Contains(url, "?") {
		separator = "&"
	}
	u := url + separator + first + "&Signature=" + EncodeText(sig) + "&Key-Pair-Id=" + s.KeyPairID
	if s.hash() == SHA256 {
		u += "&Hash-Algorithm=SHA256"
	}
	return u, nil
}

func (s *Signer) hash() Hash {
	if s.Hash == 0 {
		return SHA256
	}
	return s.Hash
}

// SignPolicy signs exactly these bytes and returns the raw signature: PKCS#1 v1.5 for RSA, ASN.1 DER for
// ECDSA. It is what the other methods stand on, for callers with a policy text of their own; nothing is
// checked about the text.
func (s *Signer) SignPolicy(policy []byte) ([]byte, error) {
	if !plausibleKeyID(s.KeyPairID) {
		return nil, fmt.Errorf("using key: %w", keyIDError(s.KeyPairID))
	}
	if s.Key == nil {
		return nil, errors.New("using key: the signer has no key")
	}
	h := s.hash()
	if h != SHA1 && h != SHA256 {
		return nil, fmt.Errorf("using key: unknown hash algorithm %s", h)
	}
	pub := s.Key.Public()
	key, err := NewKey(pub)
	if err != nil {
		return nil, fmt.Errorf("using key: %w", err)
	}
	if _, isECDSA := key.Public.(*ecdsa.PublicKey); isECDSA && h == SHA1 && !s.AllowLegacyECDSASHA1 {
		return nil, errors.New("using key: ECDSA with SHA-1 is not made unless asked for as legacy; use SHA256")
	}
	var buf [32]byte
	digest := h.digest(policy, &buf)
	sig, err := s.Key.Sign(rand.Reader, digest, h.crypto())
	if err != nil {
		return nil, fmt.Errorf("using key: %w", err)
	}
	switch s.Key.(type) {
	case *rsa.PrivateKey, *ecdsa.PrivateKey:
		return sig, nil
	}
	// A key that lives elsewhere may be set up for another padding or encoding. Say so now, not at the gate.
	if !key.verify(h, digest, sig) {
		return nil, errors.New("using key: the key's answer is no PKCS#1 v1.5 (RSA) or ASN.1 DER (ECDSA) signature of its own public key")
	}
	return sig, nil
}

// description is all that a Signer shows.
func (s Signer) description() string {
	kind := "no key"
	if s.Key != nil {
		kind = keyKind(s.Key.Public())
	}
	return fmt.Sprintf("signed.Signer{%s, %s, %s}", s.KeyPairID, kind, s.hash())
}

// Format implements [fmt.Formatter] for every verb, so that no format prints the private key.
func (s Signer) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.description()) }

// LogValue implements [slog.LogValuer].
func (s Signer) LogValue() slog.Value { return slog.StringValue(s.description()) }

// MarshalText implements [encoding.TextMarshaler], and with it what encoding/json writes.
func (s Signer) MarshalText() ([]byte, error) { return []byte(s.description()), nil }

// URLError says why a URL cannot be signed as it stands.
type URLError struct {
	// Offset is the byte of the URL, from 0, at which the fault stands.
	Offset int
	// Reason is one clause that says what is wrong and what to write instead.
	Reason string
}

func (e *URLError) Error() string {
	return fmt.Sprintf("at character %d of the URL: %s", e.Offset+1, e.Reason)
}

// LiteralWildcardError is a * or a second ? in a URL that is meant literally. In a policy both are
// wildcards, and whoever holds a canned signature over …/* can send the same bytes as a custom policy,
// which opens everything below, on CloudFront as here.
type LiteralWildcardError struct {
	// Char is '*' or '?'.
	Char byte
	// Offset is its place in the URL, in bytes from 0.
	Offset int
}

func (e *LiteralWildcardError) Error() string {
	return fmt.Sprintf("at character %d of the URL: %q is a wildcard in a policy and would open other URLs as well; write %%%02X if the character itself is meant, or sign a custom policy",
		e.Offset+1, rune(e.Char), e.Char)
}

// ResourceError is a policy's resource that does not cover the URL it is to be sent with.
type ResourceError struct {
	Resource string
	URL      string
	// Section is the first part that differs: "protocol", "host", "path" or "query".
	Section string
}

func (e *ResourceError) Error() string {
	return fmt.Sprintf("the policy's resource %s does not cover the URL %s: the %s differs", e.Resource, e.URL, e.Section)
}

// reservedNames are CloudFront's parameters, in the order of parameter.
var reservedNames = [...]string{"Expires", "Policy", "Signature", "Key-Pair-Id", "Hash-Algorithm"}

// CheckLiteral is [CheckURL] for a URL that is to be signed as itself: it also refuses, with a
// *[LiteralWildcardError], every * and every ? but the one that starts the query.
func CheckLiteral(url string) error {
	if err := CheckURL(url); err != nil {
		return err
	}
	if i := strings.IndexByte(url, '*'); i >= 0 {
		return &LiteralWildcardError{Char: '*', Offset: i}
	}
	if first := strings.IndexByte(url, '?'); first >= 0 {
		if second := strings.IndexByte(url[first+1:], '?'); second >= 0 {
			return &LiteralWildcardError{Char: '?', Offset: first + 1 + second}
		}
	}
	return nil
}

// CheckURL says, with an *[URLError], why a URL would not arrive at the edge as it was signed. Signatures
// cover the URL as it travels, and nothing is normalised, so what any client changes on the way has to
// be refused here: a missing scheme, host or path; letters of the host in upper case; a default port; a
// user name; a fragment; blanks, control characters and raw non-ASCII; a broken percent escape; an empty
// query; and what the WHATWG URL standard rewrites: a segment "." or ".." (also as %2e), a backslash, the
// characters " < > ^ ` { }, and an apostrophe in the query. So is a parameter with one of CloudFront's own
// five names.
func CheckURL(url string) error {
	fault := func(at int, reason string) error { return &URLError{Offset: at, Reason: reason} }
	for i := range len(url) {
		switch c := url[i]; {
		case c == ' ':
			return fault(i, "a blank; write %20")
		case c < 0x20 || c == 0x7f:
			return fault(i, fmt.Sprintf("a control character, %#02x", c))
		case c >= 0x80:
			return fault(i, "a character beyond ASCII; percent-encode its UTF-8, or write the host in punycode")
		case c == '#':
			return fault(i, "a fragment; browsers keep it to themselves, so sign the URL without it (or write %23)")
		case strings.IndexByte("\"<>\\^`{}", c) >= 0:
			return fault(i, fmt.Sprintf("the character %q, which browsers change before they send it; write %%%02X", rune(c), c))
		case c == '%' && (i+2 >= len(url) || unhex(url[i+1]) < 0 || unhex(url[i+2]) < 0):
			return fault(i, "a % that starts no escape; write %25")
		}
	}
	scheme, rest, ok := strings.Cut(url, "://")
	if !ok || scheme != "http" && scheme != "https" {
		return fault(0, "it must begin with http:// or https://, in lower case")
	}
	start := len(scheme) + len("://")
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	host := rest[:end]
	if err := checkHost(scheme, host, start); err != nil {
		return err
	}
	if end == len(rest) || rest[end] == '?' {
		return fault(start+end, "there is no path; write at least / after the host, as every client sends it")
	}
	path, query, hasQuery := strings.Cut(rest[end:], "?")
	at := start + end
	for segment := range strings.SplitSeq(path, "/") {
		if plain := strings.ReplaceAll(strings.ToLower(segment), "%2e", "."); plain == "." || plain == ".." {
			return fault(at, "a path segment . or .. that browsers take away before they send the request")
		}
		at += len(segment) + 1
	}
	if !hasQuery {
		return nil
	}
	at = start + end + len(path) + 1
	if query == "" {
		return fault(at-1, "an empty query; take the ? away, because the edge does")
	}
	if i := strings.IndexByte(query, '\''); i >= 0 {
		return fault(at+i, "an apostrophe in the query, which browsers send as %27; write that")
	}
	for piece := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(piece, "=")
		if which := parameterOf(name); which >= 0 {
			return fault(at, fmt.Sprintf("the parameter %s belongs to CloudFront; is this URL signed already?", reservedNames[which]))
		}
		at += len(piece) + 1
	}
	return nil
}

func checkHost(scheme, host string, at int) error {
	if i := strings.IndexByte(host, '@'); i >= 0 {
		return &URLError{Offset: at, Reason: "a user name before the host, which is not sent as part of the URL"}
	}
	if host == "" || host[0] == ':' {
		return &URLError{Offset: at, Reason: "there is no host"}
	}
	for i := range len(host) {
		if 'A' <= host[i] && host[i] <= 'Z' {
			return &URLError{Offset: at + i, Reason: "an upper-case letter in the host; write it in lower case, as browsers send it"}
		}
	}
	if scheme == "http" && strings.HasSuffix(host, ":80") || scheme == "https" && strings.HasSuffix(host, ":443") {
		return &URLError{Offset: at + strings.LastIndexByte(host, ':'), Reason: "the scheme's own port; leave it out, because clients do"}
	}
	return nil
}

// checkPattern holds a resource that may have wildcards to what can be matched at all.
func checkPattern(resource string) error {
	if resource == "" {
		return errors.New("encoding policy: no resource; write \"*\" if every URL of every distribution is meant")
	}
	for i := range len(resource) {
		if c := resource[i]; c <= 0x20 || c >= 0x7f || c == '#' {
			return fmt.Errorf("encoding policy: %w", &URLError{Offset: i, Reason: fmt.Sprintf("the character %#02x can be in no request's URL; percent-encode it", c)})
		}
	}
	if longPattern(resource) {
		return fmt.Errorf("encoding policy: %w", &URLError{Offset: MaxPatternBytes, Reason: fmt.Sprintf("a resource with a * has at most %d bytes", MaxPatternBytes)})
	}
	if _, _, ok := cutProtocol(resource); !ok {
		return fmt.Errorf("encoding policy: %w", &URLError{Reason: "the resource must begin with http://, https:// or *"})
	}
	return nil
}

// plausibleKeyID reports whether an id could be one: a short word. CloudFront's are 13 or so capital
// letters and digits.
func plausibleKeyID(id string) bool {
	if id == "" || len(id) > 128 {
		return false
	}
	for i := range len(id) {
		c := id[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.') {
			return false
		}
	}
	return true
}

// keyIDError explains an id that is not plausible. It does not repeat the id: it may be a private key.
func keyIDError(id string) error {
	switch {
	case id == "":
		return errors.New("the key pair id is empty")
	case strings.Contains(id, "-----BEGIN") || strings.Contains(id, "BEGIN%20"):
		return errors.New("the key pair id is a PEM text; CloudFront's id of the public key is wanted, such as K2JCJMDEHXQW5F")
	}
	return fmt.Errorf("the key pair id (%d characters) is not a word of letters and digits such as K2JCJMDEHXQW5F", len(id))
}
