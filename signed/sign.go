package signed

import (
	"crypto"
	"net/http"
	"time"
)

// Signer signs URLs and cookies.
type Signer struct {
	KeyPairID            string
	Key                  crypto.Signer
	Hash                 Hash // zero is SHA256
	AllowLegacyECDSASHA1 bool
}

// SignURL signs one literal URL with a canned policy.
func (s *Signer) SignURL(url string, notAfter time.Time) (string, error) { return "", errPending }

// SignURLPolicy signs a URL with a custom policy; an empty Resource means exactly this URL.
func (s *Signer) SignURLPolicy(url string, p Policy) (string, error) { return "", errPending }

// CookieOptions are the attributes of signed cookies; the zero value is Secure, HttpOnly, Path=/.
type CookieOptions struct {
	Domain   string
	Path     string // empty is "/"
	Insecure bool   // leaves Secure off, for plain HTTP on loopback
	SameSite http.SameSite
}

// CannedCookies signs one literal URL with a canned policy.
func (s *Signer) CannedCookies(url string, notAfter time.Time, o CookieOptions) ([]*http.Cookie, error) {
	return nil, errPending
}

// Cookies signs a custom policy.
func (s *Signer) Cookies(p Policy, o CookieOptions) ([]*http.Cookie, error) { return nil, errPending }

// SignPolicy signs exact policy bytes and returns the signature, raw.
func (s *Signer) SignPolicy(policy []byte) ([]byte, error) { return nil, errPending }

// CheckURL says why a URL cannot be signed as it is; errors are *URLError or *LiteralWildcardError.
func CheckURL(url string) error { return errPending }

// URLError says why a URL cannot be signed as it stands.
type URLError struct {
	Reason string
	Offset int
}

func (e *URLError) Error() string { return e.Reason }

// LiteralWildcardError is a * or ? in a resource that is meant literally.
type LiteralWildcardError struct {
	Char   byte
	Offset int
}

func (e *LiteralWildcardError) Error() string { return "wildcard" }

// EncodeText is CloudFront's base64.
func EncodeText(b []byte) string { return "" }

// DecodeText reads CloudFront's base64 strictly.
func DecodeText(s string) ([]byte, error) { return nil, errPending }

// EncodePath turns an object key into a URL path.
func EncodePath(key string) string { return "" }

// ParseDuration reads 7d, 36h, 90m, 1w.
func ParseDuration(s string) (time.Duration, error) { return 0, errPending }

// ParseTime reads RFC 3339, epoch seconds, or a zoned date.
func ParseTime(s string) (time.Time, error) { return time.Time{}, errPending }
