package signed

import (
	"net/netip"
	"time"
)

// Request is what a viewer asked for.
type Request struct {
	URL      string
	Cookies  []string
	ViewerIP netip.Addr
	Time     time.Time
}

// Form is where the signature was found.
type Form uint8

// The two forms.
const (
	FormNone Form = iota
	FormURL
	FormCookies
)

// Grant is what a verified signature permits.
type Grant struct {
	ID        GrantID
	Policy    Policy
	KeyPairID string
	Form      Form
	Canned    bool
	Hash      Hash
}

// VerdictCache remembers the outcome of public-key operations.
type VerdictCache interface {
	Get(k [32]byte) (ok, hit bool)
	Put(k [32]byte, ok bool)
}

// NewVerdictCache is a bounded, sharded, concurrency-safe VerdictCache of about n entries.
func NewVerdictCache(n int) VerdictCache { return nil }

// Verifier decides.
type Verifier struct {
	Keys     func(keyPairID string) (*Key, bool)
	Revoked  func(GrantID) bool
	Verdicts VerdictCache
}

// Verify decides; a non-nil error is a *Refusal.
func (v *Verifier) Verify(r Request) (Grant, error) { return Grant{}, &Refusal{Code: AccessDenied} }

// StripQuery removes the five parameters, the rest byte for byte.
func StripQuery(rawQuery string) string { return "" }

// StripCookies removes the CloudFront-* cookies from one Cookie header value.
func StripCookies(header string) string { return "" }
