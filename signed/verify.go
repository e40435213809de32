package signed

import (
	"crypto/sha1"
	"crypto/sha256"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Request is what a viewer asked for, as the edge saw it.
type Request struct {
	// URL is scheme://host[:port]/path[?query]: path and query exactly as they travelled, with CloudFront's
	// parameters still in the query; host in lower case, the scheme's own port left out.
	URL string
	// Cookies are the values of the request's Cookie headers, raw, in their order.
	Cookies []string
	// ViewerIP is the viewer's address. It matters only to a policy with IpAddress; the zero Addr is then
	// outside every range. An IPv4 address mapped into IPv6 counts as IPv4.
	ViewerIP netip.Addr
	// Time is when the request arrived. The zero Time is refused.
	Time time.Time
}

// Form is where a signature was found.
type Form uint8

// The two forms. If any of the five parameters is in the query the form is the URL, and the cookies are
// not looked at (private-content-choosing-signed-urls-cookies).
const (
	FormNone Form = iota
	FormURL
	FormCookies
)

// String is "none", "url" or "cookies".
func (f Form) String() string {
	switch f {
	case FormURL:
		return "url"
	case FormCookies:
		return "cookies"
	}
	return "none"
}

// Grant is what a signature permits, once [Verifier.Verify] has said yes to it.
type Grant struct {
	ID        GrantID
	Policy    Policy
	KeyPairID string
	Form      Form
	// Canned says that the policy was not sent but rebuilt from the URL and Expires.
	Canned bool
	Hash   Hash
}

// Verifier decides whether a request's signature lets it pass. It holds no state of its own and may be used
// by many goroutines, if its functions may.
type Verifier struct {
	// Keys returns the key with this id, if it is trusted for this request. Nil trusts none.
	Keys func(keyPairID string) (*Key, bool)
	// Revoked is asked on every request, after the policy's conditions and before the signature. Nil
	// revokes nothing. It must answer from memory.
	Revoked func(GrantID) bool
	// Verdicts spares the public-key operation for what was seen before. Nil remembers nothing.
	Verdicts VerdictCache
}

// Verify decides. A nil error is a yes; any other is a *[Refusal] with the first fault in this order: which
// form (the URL, else the cookies), key id present, key known, signature decodes, policy parses, resource,
// time, address, revoked, signature. So nothing costs a public-key operation that a cheaper check refuses,
// and a cached verdict is never an answer by itself.
func (v *Verifier) Verify(r Request) (Grant, error) {
	var x exam
	if cause := x.run(v, &r); cause != CauseNone {
		return Grant{}, &Refusal{Code: cause.Code(), Cause: cause, Form: x.form, Err: x.detail}
	}
	return x.grant(), nil
}

// The five parameters and cookies, indexing reservedNames.
const (
	paramExpires = iota
	paramPolicy
	paramSignature
	paramKeyPairID
	paramHash
	paramCount
)

// parameterOf returns which of the five a query parameter's raw name is, or -1. Names are compared as they
// travel: one that is percent-encoded is somebody else's.
func parameterOf(name string) int {
	switch name { // a switch compiles to a comparison of lengths first; this runs for every parameter
	case "Expires":
		return paramExpires
	case "Policy":
		return paramPolicy
	case "Signature":
		return paramSignature
	case "Key-Pair-Id":
		return paramKeyPairID
	case "Hash-Algorithm":
		return paramHash
	}
	return -1
}

// found is one of the five values.
type found struct {
	raw   string
	count int
}

// exam is one request on its way through the gate, and what has been learnt about it. Verify and Explain
// both run it, so they cannot disagree.
type exam struct {
	form   Form
	params [paramCount]found
	keyID  string
	key    *Key
	hash   Hash
	canned bool
	policy Policy
	url    string // the request's, without CloudFront's parameters
	id     GrantID
	detail error
	// The signature and the policy's text, in room that needs no allocation. They are kept as lengths,
	// because a slice of the exam inside the exam would send it to the heap; only a long text has its own.
	sigLen, textLen int
	sigRoom         [516]byte // RSA-4096 has 512 bytes, and base64 decodes in threes
	textRoom        [1024]byte
	longText        []byte
}

func (x *exam) sig() []byte { return x.sigRoom[:x.sigLen] }

func (x *exam) text() []byte {
	if x.longText != nil {
		return x.longText
	}
	return x.textRoom[:x.textLen]
}

func (x *exam) run(v *Verifier, r *Request) Cause {
	if cause := x.identify(v, r); cause != CauseNone {
		return cause
	}
	if cause := x.decodeSignature(); cause != CauseNone {
		return cause
	}
	if cause := x.readPolicy(); cause != CauseNone {
		return cause
	}
	if x.canned {
		if _, ok := splitURL(x.url); !ok {
			return CauseResource
		}
	} else if !x.policy.Covers(x.url) {
		return CauseResource
	}
	if cause := x.conditions(r); cause != CauseNone {
		return cause
	}
	x.id = GrantIDOf(x.text())
	if v.Revoked != nil && v.Revoked(x.id) {
		return CauseRevoked
	}
	if !x.verdict(v.Verdicts) {
		return CauseSignature
	}
	return CauseNone
}

// identify finds the form, its values and the key.
func (x *exam) identify(v *Verifier, r *Request) Cause {
	x.collect(r)
	if x.form == FormNone {
		return CauseUnsigned
	}
	id := x.params[paramKeyPairID]
	switch {
	case id.count > 1:
		return CauseKeyIDRepeated
	case id.raw == "":
		return CauseKeyIDMissing
	}
	var ok bool
	if x.keyID, ok = x.value(paramKeyPairID); !ok || !plausibleKeyID(x.keyID) {
		return CauseKeyIDImplausible
	}
	if v.Keys == nil {
		return CauseKeyUnknown
	}
	if x.key, ok = v.Keys(x.keyID); !ok || x.key == nil {
		return CauseKeyUnknown
	}
	return CauseNone
}

// collect fills form, params and url.
func (x *exam) collect(r *Request) {
	base, query, hasQuery := strings.Cut(r.URL, "?")
	x.url = r.URL
	if hasQuery {
		for piece := range strings.SplitSeq(query, "&") {
			name, value, _ := strings.Cut(piece, "=")
			if i := parameterOf(name); i >= 0 {
				x.form = FormURL
				x.params[i].count++
				if x.params[i].count == 1 {
					x.params[i].raw = value
				}
			}
		}
		switch rest := query; {
		case x.form == FormURL:
			switch rest = StripQuery(query); {
			case rest == "":
				x.url = base
			case strings.HasPrefix(query, rest):
				x.url = r.URL[:len(base)+1+len(rest)]
			default:
				x.url = base + "?" + rest
			}
		case query == "":
			x.url = base
		}
	}
	if x.form == FormURL {
		return
	}
	for _, header := range r.Cookies {
		for piece := range strings.SplitSeq(header, ";") {
			i, value := cookieOf(piece)
			if i < 0 {
				continue
			}
			x.form = FormCookies
			// Browsers send the cookie with the longer Path first (RFC 6265 section 5.4), so the first is
			// the one meant for this URL, and a stale one for the whole site does no harm.
			if x.params[i].count == 0 {
				x.params[i] = found{raw: value, count: 1}
			}
		}
	}
}

// cookieOf returns which of the five one piece of a Cookie header is, or -1, and its value.
func cookieOf(piece string) (int, string) {
	name, value, ok := strings.Cut(strings.Trim(piece, " \t"), "=")
	if name, isOurs := strings.CutPrefix(name, cookiePrefix); ok && isOurs {
		return parameterOf(name), value
	}
	return -1, ""
}

// value is a parameter's value, percent-decoded in a URL, as it stands in a cookie.
func (x *exam) value(i int) (string, bool) {
	if x.form == FormCookies {
		return x.params[i].raw, true
	}
	return unescape(x.params[i].raw)
}

func (x *exam) decodeSignature() Cause {
	p := x.params[paramSignature]
	switch {
	case p.count > 1:
		return CauseSignatureRepeated
	case p.raw == "":
		return CauseSignatureMissing
	}
	text, ok := x.value(paramSignature)
	if ok = ok && textEncoding.DecodedLen(len(text)) <= len(x.sigRoom); ok {
		x.sigLen, ok = decodeText(x.sigRoom[:], text)
	}
	if !ok {
		x.detail = diagnoseText(p.raw)
		return CauseSignatureEncoding
	}
	x.hash = SHA1 // AWS's default on the wire
	if p := x.params[paramHash]; p.count > 0 {
		name, _ := x.value(paramHash)
		h, err := ParseHash(name)
		if err != nil || p.count > 1 {
			return CauseHashAlgorithm
		}
		x.hash = h
	}
	return CauseNone
}

// readPolicy takes Policy if there is one, whatever Expires says, else rebuilds the canned policy. Signers
// in the wild send both (jasonsims/aws-cloudfront-sign) and mean Policy.
func (x *exam) readPolicy() Cause {
	which := paramPolicy
	if x.params[paramPolicy].count == 0 {
		which, x.canned = paramExpires, true
	}
	p := x.params[which]
	switch {
	case p.count > 1:
		return CausePolicyRepeated
	case p.raw == "":
		return CausePolicyMissing
	}
	value, ok := x.value(which)
	if x.canned {
		n, reason, hint := readEpoch(value)
		if !ok || reason != "" {
			x.detail = &PolicyError{Cause: CausePolicyEpoch, Reason: "Expires " + reason, Hint: hint}
			return CausePolicyEpoch
		}
		if text := appendCanned(x.textRoom[:0], x.url, n); len(text) <= len(x.textRoom) {
			x.textLen = len(text)
		} else {
			x.longText = slices.Clone(text)
		}
		x.policy = Policy{Resource: x.url, NotAfter: time.Unix(n, 0).UTC()}
		return CauseNone
	}
	if size := textEncoding.DecodedLen(len(value)); ok && size <= len(x.textRoom) {
		x.textLen, ok = decodeText(x.textRoom[:], value)
	} else if ok {
		long := make([]byte, size)
		x.textLen, ok = decodeText(long, value)
		x.longText = long[:x.textLen]
	}
	if !ok {
		x.detail = diagnoseText(p.raw)
		return CausePolicyEncoding
	}
	if err := parsePolicy(x.text(), &x.policy); err != nil {
		x.detail = err
		return err.Cause
	}
	return CauseNone
}

// conditions checks time and address. Times are compared in whole seconds: a policy is good until the last
// moment of the second before DateLessThan, and from the first moment of the second after DateGreaterThan.
// AWS says "on or before" of the latter and nothing exact of the former; refusing the second itself is the
// reading of its name.
func (x *exam) conditions(r *Request) Cause {
	if r.Time.IsZero() {
		return CauseNoClock
	}
	now := r.Time.Unix()
	if now >= x.policy.NotAfter.Unix() {
		return CauseExpired
	}
	if !x.policy.NotBefore.IsZero() && now <= x.policy.NotBefore.Unix() {
		return CauseNotYet
	}
	if x.policy.SourceIP.IsValid() && !x.policy.SourceIP.Contains(r.ViewerIP.Unmap().WithZone("")) {
		return CauseAddress
	}
	return CauseNone
}

// verdict asks the cache, then the key.
func (x *exam) verdict(cache VerdictCache) bool {
	if cache == nil {
		return x.verify()
	}
	k := x.verdictKey()
	if ok, hit := cache.Get(k); hit {
		return ok
	}
	ok := x.verify()
	cache.Put(k, ok)
	return ok
}

// verdictKey names the public-key operation: its key, its text, its digest and its signature.
func (x *exam) verdictKey() [32]byte {
	var room [32 + 32 + 1 + len(x.sigRoom)]byte
	b := append(room[:0], x.key.Fingerprint[:]...)
	b = append(b, x.id[:]...)
	b = append(b, byte(x.hash))
	b = append(b, x.sig()...)
	return sha256.Sum256(b)
}

func (x *exam) verify() bool {
	var room [32]byte
	digest := x.hash.digest(x.text(), &room)
	// Copies, because crypto may keep what it is given, and the exam should stay on the stack.
	return x.key.verify(x.hash, append([]byte(nil), digest...), append([]byte(nil), x.sig()...))
}

func (x *exam) grant() Grant {
	return Grant{ID: x.id, Policy: x.policy, KeyPairID: x.keyID, Form: x.form, Canned: x.canned, Hash: x.hash}
}

func sha1Sum(b []byte) [sha1.Size]byte     { return sha1.Sum(b) }
func sha256Sum(b []byte) [sha256.Size]byte { return sha256.Sum256(b) }

// StripQuery takes CloudFront's five parameters out of a raw query, and leaves the rest byte for byte: what
// a canned policy was signed over, and what the origin and the cache may see. The first ? is not part of
// the query. If nothing is left the ? goes as well.
func StripQuery(rawQuery string) string {
	return strip(rawQuery, '&', func(piece string) bool {
		name, _, _ := strings.Cut(piece, "=")
		return parameterOf(name) >= 0
	})
}

// StripCookies takes CloudFront's five cookies out of the value of one Cookie header, and leaves the rest
// byte for byte, but for blanks at the ends. If nothing is left, drop the header.
func StripCookies(header string) string {
	return strings.Trim(strip(header, ';', func(piece string) bool {
		i, _ := cookieOf(piece)
		return i >= 0
	}), " \t")
}

// strip joins the pieces that are not ours. While what stays is one run of the text, which it nearly always
// is, nothing is copied.
func strip(text string, separator byte, ours func(string) bool) string {
	var copied []byte
	start, end, kept := 0, 0, false // the run kept so far
	for i := 0; i <= len(text); {
		next := len(text)
		if n := strings.IndexByte(text[i:], separator); n >= 0 {
			next = i + n
		}
		if piece := text[i:next]; !ours(piece) {
			switch {
			case copied != nil:
				copied = append(append(copied, separator), piece...)
			case !kept:
				start, kept = i, true
			case end+1 != i:
				copied = append(append(append(copied, text[start:end]...), separator), piece...)
			}
			end = next
		}
		i = next + 1
	}
	if copied != nil {
		return string(copied)
	}
	return text[start:end]
}
