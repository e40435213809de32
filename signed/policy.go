package signed

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Limits of a policy.
const (
	// MaxEpoch is the last second a policy may name. AWS documents 2^63-1 and glosses it as a date that
	// is 2^63-1 nanoseconds after 1970; in seconds that is 9223372036, and a millisecond value is
	// observed to be refused (private-content-creating-signed-url-canned-policy; aws/aws-sdk-js#2236).
	MaxEpoch = 9223372036

	// MaxPolicyBytes is the longest policy text, in bytes, that is read. AWS names no limit; a cookie
	// holds about 4 KiB and a URL 8 KiB, both of them base64.
	MaxPolicyBytes = 6144

	// MaxPatternBytes is the longest Resource with a * in it, in bytes. A match costs the pattern's length
	// times the URL's, and is made before the signature is looked at; within this bound it costs no more
	// than the public-key operation would. A Resource without * may be longer.
	MaxPatternBytes = 2048
)

// Policy is what a signature permits: one statement of CloudFront's policy language.
type Policy struct {
	// Resource is the URL, or the pattern of URLs, that may be asked for. In a parsed policy the empty
	// string means that the policy had no Resource, which opens every URL; [Policy.Encode] refuses it,
	// so that "everything" has to be written as "*".
	Resource string
	// NotAfter is DateLessThan, in whole seconds: a request in that second or later is refused.
	// It is mandatory.
	NotAfter time.Time
	// NotBefore is DateGreaterThan, in whole seconds: a request in that second or earlier is refused.
	// The zero Time means no such condition.
	NotBefore time.Time
	// SourceIP is IpAddress, an IPv4 range. The zero Prefix means no such condition.
	SourceIP netip.Prefix
}

// GrantID names what was signed: the SHA-256 over the exact policy bytes. A signature, and the base64
// around it, can be altered and stay valid; these bytes cannot, so revocation, counting and caching of
// verdicts hang on the grant id.
type GrantID [32]byte

// GrantIDOf names the grant whose policy has exactly these bytes.
func GrantIDOf(policy []byte) GrantID { return sha256.Sum256(policy) }

// String is the id in lower-case hexadecimal.
func (id GrantID) String() string { return hex.EncodeToString(id[:]) }

// ParseGrantID reads what [GrantID.String] writes.
func ParseGrantID(s string) (GrantID, error) {
	var id GrantID
	if len(s) != 2*len(id) {
		return GrantID{}, fmt.Errorf("parsing grant id: %d characters, want %d", len(s), 2*len(id))
	}
	if _, err := hex.Decode(id[:], []byte(s)); err != nil {
		return GrantID{}, fmt.Errorf("parsing grant id: %w", err)
	}
	return id, nil
}

// CannedPolicy is the exact text of the canned policy for one literal URL: no white space, this order,
// no escaping beyond JSON's own (private-content-creating-signed-url-canned-policy). It is never sent;
// the edge rebuilds it from the URL and Expires.
//
// The URL is held to [CheckLiteral]; notAfter must lie between 1970 and [MaxEpoch], and a fraction of a
// second is dropped.
func CannedPolicy(url string, notAfter time.Time) ([]byte, error) {
	if err := CheckLiteral(url); err != nil {
		return nil, err
	}
	epoch, err := epochOf("expiry", notAfter)
	if err != nil {
		return nil, err
	}
	return appendCanned(nil, url, epoch), nil
}

// Encode is the exact text of the custom policy: no white space, no escaping beyond JSON's own, and the
// conditions in the order DateLessThan, IpAddress, DateGreaterThan, as botocore writes them. With
// neither start nor address it is the same bytes as the canned policy of that resource.
//
// It refuses a missing or unprintable resource, a missing or absurd expiry, a start that is not before
// the expiry, and an address that is not IPv4. It does not refuse wildcards: a resource that is meant
// literally is for [CheckLiteral].
func (p Policy) Encode() ([]byte, error) {
	if err := checkPattern(p.Resource); err != nil {
		return nil, err
	}
	notAfter, err := epochOf("expiry", p.NotAfter)
	if err != nil {
		return nil, err
	}
	var notBefore int64
	if !p.NotBefore.IsZero() {
		if notBefore, err = epochOf("start", p.NotBefore); err != nil {
			return nil, err
		}
		if notBefore >= notAfter {
			return nil, fmt.Errorf("encoding policy: the start, %d, is not before the expiry, %d", notBefore, notAfter)
		}
	}
	if p.SourceIP != (netip.Prefix{}) && (!p.SourceIP.IsValid() || !p.SourceIP.Addr().Is4()) {
		return nil, fmt.Errorf("encoding policy: %s is not an IPv4 range; CloudFront knows no other in a policy", p.SourceIP)
	}
	return p.text(appendQuoted), nil
}

// text writes the policy with one rule for quoting strings; the AWS CLI's differs from ours.
func (p Policy) text(quoted func([]byte, string) []byte) []byte {
	b := make([]byte, 0, len(p.Resource)+192)
	b = append(b, `{"Statement":[{"Resource":`...)
	b = quoted(b, p.Resource)
	b = append(b, `,"Condition":{"DateLessThan":{"AWS:EpochTime":`...)
	b = strconv.AppendInt(b, p.NotAfter.Unix(), 10)
	b = append(b, '}')
	if p.SourceIP.IsValid() {
		b = append(b, `,"IpAddress":{"AWS:SourceIp":"`...)
		b = p.SourceIP.AppendTo(b)
		b = append(b, `"}`...)
	}
	if !p.NotBefore.IsZero() {
		b = append(b, `,"DateGreaterThan":{"AWS:EpochTime":`...)
		b = strconv.AppendInt(b, p.NotBefore.Unix(), 10)
		b = append(b, '}')
	}
	return append(b, `}}]}`...)
}

// UniquePolicy returns p with a random start in the past, before September 2001, which permits nothing
// more and nothing less, but makes the bytes of the policy, and so its [GrantID], this grant's own: two
// links for one URL and one second can then be revoked and counted apart. There are 10^9 such starts.
// A policy that has a start already is refused: its start cannot serve both ends.
func UniquePolicy(p Policy) (Policy, error) {
	if !p.NotBefore.IsZero() {
		return Policy{}, errors.New("making policy unique: it has a start (NotBefore) of its own")
	}
	n, err := rand.Int(rand.Reader, big.NewInt(1_000_000_000))
	if err != nil {
		return Policy{}, fmt.Errorf("making policy unique: %w", err)
	}
	p.NotBefore = time.Unix(n.Int64()+1, 0).UTC()
	return p, nil
}

// Covers reports whether the policy's resource matches this URL, by the rules at [MatchResource].
func (p Policy) Covers(url string) bool { return p.Resource == "" || MatchResource(p.Resource, url) }

const (
	cannedHead = `{"Statement":[{"Resource":`
	cannedMid  = `,"Condition":{"DateLessThan":{"AWS:EpochTime":`
	cannedTail = `}}}]}`
)

func appendCanned(b []byte, url string, epoch int64) []byte {
	b = append(b, cannedHead...)
	b = appendQuoted(b, url)
	b = append(b, cannedMid...)
	b = strconv.AppendInt(b, epoch, 10)
	return append(b, cannedTail...)
}

// appendQuoted writes a JSON string with the escapes JSON demands (RFC 8259 section 7) and no others: an
// ampersand or an angle bracket stays itself, because the edge compares bytes.
func appendQuoted(b []byte, s string) []byte {
	const digits = "0123456789abcdef"
	b = append(b, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < 0x20:
			b = append(b, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

func epochOf(what string, t time.Time) (int64, error) {
	if t.IsZero() {
		return 0, fmt.Errorf("encoding policy: no %s", what)
	}
	n := t.Unix()
	if n < 0 || n > MaxEpoch {
		return 0, fmt.Errorf("encoding policy: the %s, %s, is outside 1970 to 2262", what, t.UTC().Format(time.RFC3339))
	}
	return n, nil
}

// PolicyError says where and why a policy text was refused. Every one is a MalformedPolicy to the viewer.
type PolicyError struct {
	// Cause is one of CausePolicyEncoding, CausePolicySyntax, CausePolicyShape, CausePolicyEpoch or
	// CausePolicyAddress.
	Cause Cause
	// Offset is the byte of the policy text at which the fault was noticed, from 0.
	Offset int
	// Reason is one clause, such as "member Statement appears twice".
	Reason string
	// Hint says what to do, if the fault is a known one. May be empty.
	Hint string
}

// Error describes the fault. It quotes no more of the policy than a member's name or a number.
func (e *PolicyError) Error() string {
	return fmt.Sprintf("parsing policy: at byte %d: %s", e.Offset, e.Reason)
}

// ParsePolicy reads a policy text, strictly: RFC 8259 JSON, names as documented and case-sensitive, no
// member twice, none unknown, exactly one statement, whole unquoted seconds, and nothing but white space
// after the end. White space anywhere between tokens is accepted, because AWS's own examples have it.
// A text above [MaxPolicyBytes] is refused. The error is a *[PolicyError].
func ParsePolicy(b []byte) (Policy, error) {
	var p Policy
	if err := parsePolicy(b, &p); err != nil {
		return Policy{}, err
	}
	return p, nil
}

// Documented members, by the object they stand in.
var (
	policyMembers    = []string{"Statement"}
	statementMembers = []string{"Resource", "Condition"}
	conditionMembers = []string{"DateLessThan", "DateGreaterThan", "IpAddress"}
	epochMembers     = []string{"AWS:EpochTime"}
	addressMembers   = []string{"AWS:SourceIp"}
)

func parsePolicy(b []byte, p *Policy) *PolicyError {
	if len(b) > MaxPolicyBytes {
		return shapeError(MaxPolicyBytes, fmt.Sprintf("the text has %d bytes, and at most %d are read", len(b), MaxPolicyBytes), "")
	}
	r := jsonReader{b: b}
	if err := r.checkText(); err != nil {
		return err
	}
	if err := r.expect('{', "the object of ", "policy"); err != nil {
		return err
	}
	for seen := uint(0); ; {
		member, err := r.member("policy", policyMembers, &seen, 1<<0)
		if err != nil {
			return err
		}
		if member < 0 {
			return r.end()
		}
		if err := parseStatements(&r, p); err != nil {
			return err
		}
	}
}

func parseStatements(r *jsonReader, p *Policy) *PolicyError {
	if r.peek() == '{' {
		return shapeError(r.i, "Statement is an object, and must be an array with one object", "write \"Statement\":[{…}]")
	}
	if err := r.expect('[', "the array of ", "Statement"); err != nil {
		return err
	}
	if r.peek() == ']' {
		return shapeError(r.i, "Statement is empty, and must have exactly one statement", "")
	}
	if err := parseStatement(r, p); err != nil {
		return err
	}
	if r.peek() == ',' {
		return shapeError(r.i, "Statement has more than one statement, and must have exactly one", "sign one URL, or one cookie set, for each statement")
	}
	return r.expect(']', "the end of ", "Statement")
}

func parseStatement(r *jsonReader, p *Policy) *PolicyError {
	if err := r.expect('{', "the object of ", "statement"); err != nil {
		return err
	}
	for seen := uint(0); ; {
		member, err := r.member("statement", statementMembers, &seen, 1<<1)
		switch {
		case err != nil || member < 0:
			return err
		case member == 1:
			if err := parseCondition(r, p); err != nil {
				return err
			}
		default:
			at := r.i
			s, err := r.text("Resource", "")
			if err != nil {
				return err
			}
			if len(s) == 0 {
				return shapeError(at, "Resource is empty", "write \"*\" for every URL, or the URL that is meant")
			}
			p.Resource = string(s)
			if longPattern(p.Resource) {
				return shapeError(at, fmt.Sprintf("Resource has %d bytes and a *, and at most %d are read", len(s), MaxPatternBytes), "")
			}
		}
	}
}

func longPattern(resource string) bool {
	return len(resource) > MaxPatternBytes && strings.IndexByte(resource, '*') >= 0
}

func parseCondition(r *jsonReader, p *Policy) *PolicyError {
	if err := r.expect('{', "the object of ", "Condition"); err != nil {
		return err
	}
	for seen := uint(0); ; {
		member, err := r.member("Condition", conditionMembers, &seen, 1<<0)
		if err != nil || member < 0 {
			return err
		}
		switch member {
		case 0:
			p.NotAfter, err = parseEpoch(r, "DateLessThan")
		case 1:
			p.NotBefore, err = parseEpoch(r, "DateGreaterThan")
		default:
			p.SourceIP, err = parseAddress(r)
		}
		if err != nil {
			return err
		}
	}
}

func parseEpoch(r *jsonReader, name string) (t time.Time, err *PolicyError) {
	if err := r.expect('{', "the object of ", name); err != nil {
		return t, err
	}
	for seen := uint(0); ; {
		member, err := r.member(name, epochMembers, &seen, 1<<0)
		if err != nil || member < 0 {
			return t, err
		}
		n, err := r.epoch()
		if err != nil {
			return t, err
		}
		t = time.Unix(n, 0).UTC()
	}
}

func parseAddress(r *jsonReader) (p netip.Prefix, err *PolicyError) {
	if err := r.expect('{', "the object of ", "IpAddress"); err != nil {
		return p, err
	}
	for seen := uint(0); ; {
		member, err := r.member("IpAddress", addressMembers, &seen, 1<<0)
		if err != nil || member < 0 {
			return p, err
		}
		at := r.i
		text, err := r.text("AWS:SourceIp", "")
		if err != nil {
			return p, err
		}
		if len(text) > len("255.255.255.255/32") {
			return p, addressError(at, text)
		}
		var parseErr error
		if bytes.IndexByte(text, '/') < 0 {
			var a netip.Addr
			if a, parseErr = netip.ParseAddr(string(text)); parseErr == nil {
				p = netip.PrefixFrom(a, a.BitLen())
			}
		} else {
			p, parseErr = netip.ParsePrefix(string(text))
		}
		if parseErr != nil || !p.Addr().Is4() {
			return p, addressError(at, text)
		}
	}
}

func addressError(at int, text []byte) *PolicyError {
	e := &PolicyError{Cause: CausePolicyAddress, Offset: at, Reason: "AWS:SourceIp is not one IPv4 address or range, such as 192.0.2.10/32"}
	if bytes.IndexByte(text, ':') >= 0 {
		e.Hint = "IPv6 addresses cannot stand in a policy; leave the condition out, or use the viewer's IPv4 address"
	} else if bytes.IndexByte(text, ',') >= 0 {
		e.Hint = "a policy holds one range; sign one URL a range"
	}
	return e
}

func shapeError(at int, reason, hint string) *PolicyError {
	return &PolicyError{Cause: CausePolicyShape, Offset: at, Reason: reason, Hint: hint}
}
