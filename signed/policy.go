package signed

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/netip"
	"time"
)

// Hash names the digest a signature is made over. The zero Hash means "the default": SHA-256.
type Hash uint8

// The two digests CloudFront knows.
const (
	SHA1   Hash = 1
	SHA256 Hash = 2
)

// String is the name as it stands in Hash-Algorithm.
func (h Hash) String() string {
	switch h {
	case SHA1:
		return "SHA1"
	case SHA256:
		return "SHA256"
	}
	return ""
}

// Policy is what a signature permits.
type Policy struct {
	// Resource is the URL, or a pattern of URLs. Empty means none was given: every URL.
	Resource string
	// NotAfter is DateLessThan: refused at and after that second.
	NotAfter time.Time
	// NotBefore is DateGreaterThan: refused on and before that second. Zero means no start.
	NotBefore time.Time
	// SourceIP is IpAddress, IPv4 only. The zero Prefix means any address.
	SourceIP netip.Prefix
}

var errPending = errors.New("not ready")

// CannedPolicy is the exact text of the canned policy for one literal URL.
func CannedPolicy(resource string, notAfter time.Time) ([]byte, error) { return nil, errPending }

// Encode is the exact text of the custom policy.
func (p Policy) Encode() ([]byte, error) { return nil, errPending }

// UniquePolicy returns p with a random NotBefore in the past, so that the grant's bytes are its own.
func UniquePolicy(p Policy) (Policy, error) { return p, errPending }

// ParsePolicy reads a policy strictly. Errors are *PolicyError.
func ParsePolicy(b []byte) (Policy, error) { return Policy{}, errPending }

// Covers reports whether the policy's resource matches the URL.
func (p Policy) Covers(url string) bool { return false }

// GrantID is the SHA-256 over the exact policy bytes that were signed.
type GrantID [32]byte

// GrantIDOf names the grant with these policy bytes.
func GrantIDOf(policy []byte) GrantID { return sha256.Sum256(policy) }

// String is the id in lower-case hexadecimal.
func (id GrantID) String() string { return hex.EncodeToString(id[:]) }
