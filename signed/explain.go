package signed

import (
	"crypto/rsa"
	"fmt"
	"iter"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// ExplainConfig is what [Explain] may know besides the request. Only Verifier is required; the rest makes
// answers more precise.
type ExplainConfig struct {
	// Verifier is the gate's own. Its cache is neither read nor filled.
	Verifier *Verifier
	// KnownKeys are keys by their ids, also those that this request's behaviour does not trust: to tell
	// "no such key" from "not trusted here", and to recognise a signature made with another key.
	KnownKeys map[string]*Key
	// Hosts are host[:port] names that the signer may have meant, such as a distribution's aliases.
	Hosts []string
	// Candidates are what the signer may have meant: object keys, paths (with a leading slash), or whole
	// URLs. They are read at most once, and not to the end if the work is bounded before.
	Candidates iter.Seq[string]
}

// Explanation is the one cause of a refusal, in words for the person who made or got the link. It holds no
// signature, but it may name the URL that was signed: it is for operators, not for the viewer.
type Explanation struct {
	// Allowed says that the gate lets the request pass; then Grant is set, and Cause is CauseNone.
	Allowed bool
	Grant   Grant
	// Form is where the signature was found.
	Form Form
	// Code and Cause are Verify's.
	Code  Code
	Cause Cause
	// Sentence says what is wrong, with the values that differ, and what to do.
	Sentence string
	// Want and Got are the two values that differ: what would have passed, and what came.
	Want, Got string
	// Hint is a guess at how the fault came about. Empty if there is nothing to guess.
	Hint string
	// Section and Position say where two URLs first differ: "protocol", "host", "path", "query", "expiry"
	// or "policy", and the character in it, from 1. Position is 0 if there is no single place.
	Section  string
	Position int
	// SignedURL is the URL or the resource that the signature turned out to be made for, if it was found.
	SignedURL string
	// Tried counts the texts compared with the signature in search of SignedURL, and Exhausted says that
	// the search stopped at its bound.
	Tried     int
	Exhausted bool
}

// String is the sentence and the hint.
func (e Explanation) String() string {
	if e.Hint == "" {
		return e.Sentence
	}
	return e.Sentence + " Hint: " + e.Hint + "."
}

// Explain says why a request is refused, or that it is not. It runs the gate's own examination, so its
// cause is always [Verifier.Verify]'s, and then spends a bounded effort on words.
//
// Where the signature itself is wrong, it looks for what was signed. An RSA PKCS#1 v1.5 signature, opened
// with the public key, yields the digest its maker signed, so a guess costs one hash: every single
// character changed, added, lost or swapped; other schemes, hosts, encodings, query orders and expiries;
// the caller's candidates; and some pairs of changes, up to three million texts. An ECDSA signature
// yields a point that a guess must hit, which costs one multiplication, so at most thirty thousand.
func Explain(r Request, c ExplainConfig) Explanation {
	e := explainer{r: &r, c: &c}
	return e.run(0)
}

// run explains, with a bound for the search that is lower than its own if most is not 0.
func (e *explainer) run(most int) Explanation {
	var v Verifier
	if e.c.Verifier != nil {
		v = *e.c.Verifier
		v.Verdicts = nil
	}
	e.most = most
	cause := e.x.run(&v, e.r)
	e.out = Explanation{Form: e.x.form, Cause: cause}
	if cause == CauseNone {
		e.out.Allowed, e.out.Grant = true, e.x.grant()
		e.say("The request may pass: the signature of %s is good until %s.", e.x.keyID, stamp(e.x.policy.NotAfter))
		return e.out
	}
	e.out.Code = cause.Code()
	e.explain(cause)
	return e.out
}

type explainer struct {
	r   *Request
	c   *ExplainConfig
	x   exam
	out Explanation

	most int
}

func (e *explainer) say(format string, args ...any) {
	e.out.Sentence = fmt.Sprintf(format, args...)
}

func (e *explainer) differ(want, got string) { e.out.Want, e.out.Got = want, got }

// name is what the value is called where it stands: Signature, or CloudFront-Signature.
func (e *explainer) name(i int) string {
	if e.x.form == FormCookies {
		return "the cookie " + cookiePrefix + reservedNames[i]
	}
	return "the parameter " + reservedNames[i]
}

func (e *explainer) explain(cause Cause) {
	switch cause {
	case CauseUnsigned:
		e.differ("Expires or Policy, Signature, Key-Pair-Id", "none of them")
		e.say("The URL has none of CloudFront's parameters (Expires or Policy, Signature, Key-Pair-Id) and the request none of its cookies; sign the URL, or send the cookies.")
		e.hintUnsigned()
	case CauseKeyIDRepeated:
		e.repeated(paramKeyPairID)
	case CauseKeyIDMissing:
		e.differ("a key pair id", "none")
		e.say("There is a signature's part, %s, but %s is missing or empty; send the link whole.", e.present(), e.name(paramKeyPairID))
		e.hintIncomplete()
	case CauseKeyIDImplausible:
		e.implausible()
	case CauseKeyUnknown:
		e.unknownKey()
	case CauseSignatureRepeated:
		e.repeated(paramSignature)
	case CauseSignatureMissing:
		e.differ("a signature", "none")
		e.say("%s is missing or empty; send the link whole.", title(e.name(paramSignature)))
		e.hintIncomplete()
	case CauseSignatureEncoding:
		e.encoding(paramSignature)
	case CauseHashAlgorithm:
		if e.x.params[paramHash].count > 1 {
			e.repeated(paramHash)
			break
		}
		got, _ := e.x.value(paramHash)
		e.differ("SHA1 or SHA256", cut(got, 40))
		e.say("%s is %q, and must be SHA1 or SHA256; write one of them, or leave it out for SHA1.", title(e.name(paramHash)), cut(got, 40))
		if strings.EqualFold(strings.ReplaceAll(got, "-", ""), "sha1") || strings.EqualFold(strings.ReplaceAll(got, "-", ""), "sha256") {
			e.out.Hint = "the value is read letter by letter: capitals, no dash"
		}
	case CausePolicyRepeated:
		if e.x.canned {
			e.repeated(paramExpires)
		} else {
			e.repeated(paramPolicy)
		}
	case CausePolicyMissing:
		e.differ("Expires or Policy", "neither")
		e.say("Neither %s nor Expires has a value, so there is no policy; send the link whole.", e.name(paramPolicy))
		e.hintIncomplete()
	case CausePolicyEncoding:
		e.encoding(paramPolicy)
	case CausePolicySyntax, CausePolicyShape, CausePolicyEpoch, CausePolicyAddress:
		e.malformedPolicy()
	case CauseResource:
		e.resource()
	case CauseNoClock:
		e.say("The time of the request is unknown, so no policy can be held to it; set Request.Time.")
	case CauseExpired:
		e.expired()
	case CauseNotYet:
		e.notYet()
	case CauseAddress:
		e.address()
	case CauseRevoked:
		e.differ("a grant that stands", e.x.id.String())
		e.say("The grant %s was revoked; ask whoever issued the link for a new one.", e.x.id)
	case CauseSignature:
		e.signature()
	}
}

func (e *explainer) repeated(i int) {
	e.differ("one", fmt.Sprint(e.x.params[i].count))
	e.say("%s stands in the query %d times, and must stand there once; which of them was meant cannot be told, so take the others away.", title(e.name(i)), e.x.params[i].count)
	e.out.Hint = "a URL that was signed already has perhaps been signed again"
}

// present lists which of the five names are there.
func (e *explainer) present() string {
	var names []string
	for i, p := range e.x.params {
		if p.count > 0 {
			names = append(names, reservedNames[i])
		}
	}
	return strings.Join(names, ", ")
}

func (e *explainer) hintUnsigned() {
	_, query, _ := strings.Cut(e.r.URL, "?")
	for piece := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(piece, "=")
		for _, known := range reservedNames {
			if strings.EqualFold(name, known) {
				e.out.Hint = fmt.Sprintf("names are case-sensitive: %s must be written %s", name, known)
				return
			}
		}
		if strings.HasPrefix(name, "X-Amz-") || name == "AWSAccessKeyId" {
			e.out.Hint = "this is a URL presigned for S3, and CloudFront takes its own signatures only"
			return
		}
	}
	for _, header := range e.r.Cookies {
		for piece := range strings.SplitSeq(header, ";") {
			name, _, _ := strings.Cut(strings.TrimSpace(piece), "=")
			for _, known := range reservedNames {
				if strings.EqualFold(name, cookiePrefix+known) {
					e.out.Hint = fmt.Sprintf("names are case-sensitive: the cookie %s must be called %s", name, cookiePrefix+known)
					return
				}
			}
		}
	}
}

// hintIncomplete guesses why parts of a signature are missing.
func (e *explainer) hintIncomplete() {
	if e.x.form == FormCookies {
		e.out.Hint = "the cookies may have different Path, Domain or Secure attributes, so that the browser sends only some"
		return
	}
	if strings.Contains(e.r.URL, "&amp;") {
		e.out.Hint = "the URL has &amp; where & should stand: it was copied out of HTML or XML"
		return
	}
	cookies := exam{}
	base, _, _ := strings.Cut(e.r.URL, "?")
	cookies.collect(&Request{URL: base, Cookies: e.r.Cookies})
	if cookies.params[paramKeyPairID].count > 0 && cookies.params[paramSignature].count > 0 {
		e.out.Hint = fmt.Sprintf("the request has signed cookies, but they are not looked at, because %s in the query makes it a signed URL; call the application's parameter something else", e.present())
		return
	}
	_, query, _ := strings.Cut(e.r.URL, "?")
	for piece := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(piece, "=")
		for _, known := range reservedNames {
			if name != known && strings.EqualFold(name, known) {
				e.out.Hint = fmt.Sprintf("names are case-sensitive: %s must be written %s", name, known)
				return
			}
		}
	}
	if strings.Count(query, "&") == 0 {
		e.out.Hint = "the URL ends after its first parameter: put it in quotation marks in the shell, where & ends a command"
	} else {
		e.out.Hint = "the URL was perhaps cut short on its way"
	}
}

func (e *explainer) implausible() {
	text, ok := e.x.value(paramKeyPairID)
	e.differ("a word such as K2JCJMDEHXQW5F", fmt.Sprintf("%d characters that are no such word", len(text)))
	e.say("%s (%d characters) is not an id of a public key, which is a word such as K2JCJMDEHXQW5F; put that id there.", title(e.name(paramKeyPairID)), len(text))
	if !ok {
		e.out.Hint = "it has a broken percent escape"
	} else if strings.Contains(text, "BEGIN") || strings.Contains(text, "PRIVATE") || strings.Contains(text, "PUBLIC") {
		e.out.Hint = "this looks like a PEM: the key itself was pasted where its id belongs; if it is the private key, replace that key now"
	} else if strings.HasPrefix(text, "arn:") {
		e.out.Hint = "this is an ARN; the id alone is wanted"
	}
}

func (e *explainer) unknownKey() {
	id := cut(e.x.keyID, 40) // no longer: a signature may have been pasted there
	if _, known := e.c.KnownKeys[e.x.keyID]; known {
		e.differ("a key in a key group of this behaviour", id)
		e.say("The key %s exists, but no key group that this path trusts has it; add it to one, or sign with a key that is.", id)
		return
	}
	ids := slices.Sorted(maps.Keys(e.c.KnownKeys))
	e.differ(cut(strings.Join(ids, ", "), 200), id)
	e.say("There is no key with the id %s that this path trusts; sign with a trusted key, or add this one to a key group of the behaviour.", id)
	for _, known := range ids {
		if strings.EqualFold(known, id) || oneEdit(known, id) {
			e.out.Hint = fmt.Sprintf("is %s meant", known)
			return
		}
	}
	switch {
	case strings.HasPrefix(id, "AKIA") || strings.HasPrefix(id, "ASIA"):
		e.out.Hint = "this is an IAM access key id; the id of a CloudFront public key begins with K"
	case len(id) == 36 && strings.Count(id, "-") == 4:
		e.out.Hint = "this looks like the id of a key group; the id of one of its public keys is wanted"
	case len(id) >= 13 && id[0] == 'E':
		e.out.Hint = "this looks like the id of a distribution; the id of a public key begins with K"
	}
}

// oneEdit reports whether two words differ by one letter changed, added, lost, or by two neighbours swapped.
func oneEdit(a, b string) bool {
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	a, b = a[i:], b[i:]
	switch len(a) - len(b) {
	case 1:
		return a[1:] == b
	case -1:
		return a == b[1:]
	case 0:
		return len(a) > 0 && (a[1:] == b[1:] || len(a) > 1 && a[0] == b[1] && a[1] == b[0] && a[2:] == b[2:])
	}
	return false
}

func (e *explainer) encoding(i int) {
	raw := e.x.params[i].raw
	text, ok := e.x.value(i)
	if !ok {
		text = raw
	}
	if i == paramSignature && textEncoding.DecodedLen(len(text)) > len(e.x.sigRoom) {
		e.differ("at most 684 characters", fmt.Sprint(len(text)))
		e.say("%s has %d characters, more than any key's signature; send what the signer made.", title(e.name(i)), len(text))
		return
	}
	d := diagnoseText(text)
	e.out.Section, e.out.Position = reservedNames[i], d.Offset+1
	e.differ("CloudFront's base64: A-Z a-z 0-9 - ~, and _ as padding", d.Reason)
	e.say("%s is not in CloudFront's base64: at character %d of %d, %s; encode it with + as -, = as _ and / as ~.", title(e.name(i)), d.Offset+1, len(text), d.Reason)
	e.out.Hint = d.Hint
}

func (e *explainer) malformedPolicy() {
	err, _ := e.x.detail.(*PolicyError)
	if err == nil {
		return
	}
	e.out.Hint = err.Hint
	if e.x.canned {
		got, _ := e.x.value(paramExpires)
		e.differ(fmt.Sprintf("whole seconds from 0 to %d", int64(MaxEpoch)), cut(got, 40))
		e.say("The canned policy's %s; put the expiry there in seconds, as it was signed.", err.Reason)
		return
	}
	e.out.Section, e.out.Position = "policy", err.Offset+1
	e.differ("a policy as documented", err.Reason)
	e.say("The policy is malformed at character %d of %d: %s; correct the policy and sign it again.", err.Offset+1, len(e.x.text()), err.Reason)
}

func (e *explainer) resource() {
	want, got := e.x.policy.Resource, e.x.url
	if e.x.canned {
		e.differ("scheme://host/path", got)
		e.say("The URL %q has no scheme or no host, so no policy can be held against it; pass it whole.", cut(got, 200))
		return
	}
	e.differ(want, got)
	where := compareResource(want, got)
	e.out.Section = where.String()
	d := e.compare(want, got, where)
	e.say("The policy is for %s and the request is for %s: %s; ask for a URL that the policy covers, or sign a policy for this one.", want, got, d)
	if _, _, both := queryStart(strings.TrimPrefix(want, "http")); both && where == sectionPath {
		e.out.Hint = `a ? in a resource may start the query or be one character; write \? where the query starts`
	}
	p, _ := splitURL(got)
	q, _ := splitURL(want)
	switch {
	case where == sectionQuery && q.query == "":
		e.out.Hint = "the policy names no query; end the path in * to allow any, or sign the resource with this query"
	case where == sectionPath && sameDecoded(p.path, q.path):
		e.out.Hint = "the two paths differ only in how they are percent-encoded; sign the URL as it travels"
	case where == sectionPath && strings.EqualFold(p.path, q.path):
		e.out.Hint = "the two paths differ only in upper and lower case"
	case where == sectionPath && strings.TrimSuffix(p.path, "/") == strings.TrimSuffix(q.path, "/"):
		e.out.Hint = "the two paths differ only in a slash at the end"
	case where == sectionPath && composed(p.path) != composed(q.path):
		e.out.Hint = "one path has Hangul as whole syllables (NFC), the other as single letters (NFD, what macOS makes of file names)"
	case where == sectionScheme && strings.HasPrefix(want, p.host):
		e.out.Hint = "the resource has no protocol; write " + p.scheme + "://" + want
	}
}

// sameDecoded reports whether two texts are one after percent-decoding, a + being a blank.
func sameDecoded(a, b string) bool {
	x, ok1 := unescape(strings.ReplaceAll(a, "+", "%20"))
	y, ok2 := unescape(strings.ReplaceAll(b, "+", "%20"))
	return ok1 && ok2 && x == y
}

// composed tells apart text with Hangul syllables (+1), with conjoining jamo (-1), and with neither (0).
func composed(path string) int {
	plain, _ := unescape(path)
	for _, c := range plain {
		switch {
		case 0xac00 <= c && c <= 0xd7a3:
			return 1
		case 0x1100 <= c && c <= 0x11ff:
			return -1
		}
	}
	return 0
}

// compare says in a clause how a URL differs from what was signed, in the section where they first do, and
// sets Section and Position.
func (e *explainer) compare(want, got string, where section) string {
	g, _ := splitURL(got)
	w, ok := splitURL(want)
	if !ok {
		w = urlParts{scheme: "*", host: want}
	}
	e.out.Section = where.String()
	switch where {
	case sectionScheme:
		return fmt.Sprintf("the protocol is %s here and %s there", g.scheme, w.scheme)
	case sectionHost:
		wHost, wPort, wHas := strings.Cut(w.host, ":")
		gHost, gPort, gHas := strings.Cut(g.host, ":")
		if wHost == gHost && (wHas || gHas) {
			port := func(p string, has bool) string {
				if !has {
					return "no port"
				}
				return "port " + p
			}
			return fmt.Sprintf("the host has %s here and %s there", port(gPort, gHas), port(wPort, wHas))
		}
		return fmt.Sprintf("the host is %s here and %s there", g.host, w.host)
	case sectionPath:
		return e.firstDifference("path", w.path, g.path)
	case sectionQuery:
		if w.query == "" || g.query == "" {
			show := func(q string) string {
				if q == "" {
					return "no query"
				}
				return "the query ?" + cut(q, 100)
			}
			return fmt.Sprintf("there is %s here and %s there", show(g.query), show(w.query))
		}
		return e.firstDifference("query", w.query, g.query)
	}
	return e.firstDifference("URL", want, got)
}

// firstDifference names the first character at which two texts part.
func (e *explainer) firstDifference(what, want, got string) string {
	i := 0
	for i < len(want) && i < len(got) && want[i] == got[i] {
		i++
	}
	if i < len(want) && strings.IndexByte("*?", want[i]) >= 0 { // a pattern: which character is at fault cannot be told
		return fmt.Sprintf("the %s %s does not fit the pattern %s", what, cut(got, 200), cut(want, 200))
	}
	e.out.Position = i + 1
	switch {
	case i == len(got):
		return fmt.Sprintf("the %s ends here after character %d, where %q follows there", what, i, cut(want[i:], 40))
	case i == len(want):
		return fmt.Sprintf("the %s goes on here at character %d with %q, where it ends there", what, i+1, cut(got[i:], 40))
	}
	return fmt.Sprintf("character %d of the %s is %s here and %s there", i+1, what, quoteChar(got[i]), quoteChar(want[i]))
}

func quoteChar(c byte) string { return fmt.Sprintf("%q", rune(c)) }

func (e *explainer) expired() {
	at, now := e.x.policy.NotAfter, e.r.Time
	e.differ(stamp(at), stamp(now))
	e.say("The link was good until %s (%d), and the request came at %s, %s later; sign a new one.", stamp(at), at.Unix(), stamp(now), span(now.Sub(at)))
	n := at.Unix()
	switch utc := at.UTC(); {
	case 19700101 <= n && n <= 21001231:
		e.out.Hint = fmt.Sprintf("%d looks like a date without dashes, but was taken for seconds since 1970", n)
	case n < 366*24*3600:
		e.out.Hint = fmt.Sprintf("%d looks like a span (%s), and must be a moment: seconds since 1970", n, span(time.Duration(n)*time.Second))
	case utc.Hour() == 0 && utc.Minute() == 0 && utc.Second() == 0:
		e.out.Hint = fmt.Sprintf("that is midnight UTC, the very start of %s: a date without a time and a zone means that (09:00 in Seoul, the evening before in America)", utc.Format(time.DateOnly))
	case now.Sub(at) < 5*time.Minute:
		e.out.Hint = "if it should still be good, compare the clocks of signer and edge"
	}
}

func (e *explainer) notYet() {
	at, now := e.x.policy.NotBefore, e.r.Time
	e.differ("after "+stamp(at), stamp(now))
	wait := at.Sub(now)
	e.say("The link is good only after %s (%d), and the request came at %s, %s too early; wait, or sign one that starts earlier.", stamp(at), at.Unix(), stamp(now), span(wait))
	utc := at.UTC()
	switch {
	case wait < 5*time.Minute:
		e.out.Hint = "the signer's clock may be ahead of the edge's: start links a few minutes in the past"
	case utc.Hour() == 0 && utc.Minute() == 0 && utc.Second() == 0:
		e.out.Hint = "that is midnight UTC: a date without a time and a zone means that"
	}
}

func (e *explainer) address() {
	want := e.x.policy.SourceIP
	got := e.r.ViewerIP.Unmap().WithZone("")
	shown := got.String()
	if !got.IsValid() {
		shown = "unknown"
	}
	e.differ(want.String(), shown)
	e.say("The policy admits viewers from %s, and this one's address is %s; use the link from there, or sign one for this address or without an address.", want, shown)
	switch {
	case got.Is6():
		e.out.Hint = "the viewer came over IPv6, and a policy can only name IPv4: turn IPv6 off for this name, or leave the address out"
	case got.IsPrivate() || got.IsLoopback():
		e.out.Hint = "this is an address behind a proxy or NAT: if there is a proxy before the edge, it must be configured as trusted"
	case want.Addr().IsPrivate():
		e.out.Hint = "the policy names a private address, and the edge sees the public one"
	}
	if want.Bits() == 32 && got.Is4() && netip.PrefixFrom(want.Addr(), 24).Masked() == netip.PrefixFrom(got, 24).Masked() {
		e.out.Hint = "the two addresses are in one /24: the viewer's network may give out changing addresses; sign a range"
	}
}

// signature explains a signature that does not verify.
func (e *explainer) signature() {
	x := &e.x
	e.differ("a signature by "+x.keyID+" over this policy", "another one")
	o := openSignature(x.key, x.sig(), x.hash)
	if o.digestName != "" {
		e.differ("SHA1 or SHA256", o.digestName)
		e.say("The signature is made over %s, and CloudFront knows SHA1 and SHA256; sign with one of them.", o.digestName)
		return
	}
	if o.ok && o.hash != x.hash && o.hits(o.hash, x.text()) {
		e.wrongHash(o.hash)
		return
	}
	if !o.ok {
		e.foreignSignature(o)
		return
	}
	if _, isRSA := x.key.Public.(*rsa.PublicKey); !isRSA {
		for _, other := range []Hash{SHA1, SHA256} {
			if other != x.hash && x.key.verify(other, other.digest(x.text(), new([32]byte)), x.sig()) {
				e.wrongHash(other)
				return
			}
		}
		if id := e.otherSigner(); id != "" {
			e.signedByOther(id)
			return
		}
	}
	e.searchSigned(o)
}

func (e *explainer) wrongHash(made Hash) {
	e.differ(made.String(), e.x.hash.String())
	e.out.Section = "Hash-Algorithm"
	what := "says " + e.x.hash.String()
	if e.x.params[paramHash].count == 0 {
		what = "is missing, which means SHA1"
	}
	e.say("The signature is made over %s, but %s %s; send Hash-Algorithm=%s with it.", made, e.name(paramHash), what, made)
	if made == SHA1 {
		e.out.Sentence = strings.Replace(e.out.Sentence, "send Hash-Algorithm=SHA1 with it", "leave it out, or sign with SHA256", 1)
	}
}

// otherSigner finds another known key that made this very signature.
func (e *explainer) otherSigner() string {
	for _, id := range slices.Sorted(maps.Keys(e.c.KnownKeys)) {
		k := e.c.KnownKeys[id]
		if k == nil || k.Fingerprint == e.x.key.Fingerprint {
			continue
		}
		if _, isRSA := k.Public.(*rsa.PublicKey); isRSA {
			if openSignature(k, e.x.sig(), e.x.hash).ok {
				return id
			}
			continue
		}
		for _, h := range []Hash{SHA1, SHA256} {
			if k.verify(h, h.digest(e.x.text(), new([32]byte)), e.x.sig()) {
				return id
			}
		}
	}
	return ""
}

func (e *explainer) signedByOther(id string) {
	e.differ(id, e.x.keyID)
	e.out.Section = "Key-Pair-Id"
	e.say("The signature is made with the key %s, but %s says %s; put the id of the key that signed there.", id, e.name(paramKeyPairID), e.x.keyID)
}

// foreignSignature explains a signature that this key did not make over anything.
func (e *explainer) foreignSignature(o opened) {
	if id := e.otherSigner(); id != "" {
		e.signedByOther(id)
		return
	}
	e.say("The signature (%d bytes) is none that the key %s made, for this URL or any other: it belongs to another key, or was altered or cut; sign again with the private key whose public half has this id.", len(e.x.sig()), e.x.keyID)
	if o.size > 0 && len(e.x.sig()) != o.size {
		e.differ(fmt.Sprintf("%d bytes", o.size), fmt.Sprintf("%d bytes", len(e.x.sig())))
		e.out.Hint = fmt.Sprintf("this key's signatures have %d bytes", o.size)
	} else if o.note != "" {
		e.out.Hint = o.note
	}
}

// searchSigned looks for the text the signature was made over.
func (e *explainer) searchSigned(o opened) {
	s := newSearch(e, o)
	if e.most != 0 {
		s.limit = min(s.limit, e.most)
	}
	f, found := s.run()
	e.out.Tried, e.out.Exhausted = s.tried, s.exhausted
	if !found {
		e.notFound(s)
		return
	}
	here := e.x.url
	if !e.x.canned {
		here = e.x.policy.Resource
	}
	e.out.SignedURL = f.url
	switch {
	case f.url != here:
		e.differ(f.url, here)
		where := firstSection(f.url, here)
		clause := e.compare(f.url, here, where)
		what := "the signature was made for"
		if !e.x.canned {
			what = "the signature was made over a policy for"
		}
		e.say("%s %s; %s; use that URL, or sign this one.", title(what), f.url, clause)
		e.hintAltered(f.url, here, where)
	case f.epoch != e.x.policy.NotAfter.Unix():
		was, is := f.epoch, e.x.policy.NotAfter.Unix()
		e.differ(fmt.Sprint(was), fmt.Sprint(is))
		e.out.Section = "expiry"
		clause := e.firstDifference("expiry", fmt.Sprint(was), fmt.Sprint(is))
		e.say("The signature was made for this URL with the expiry %d, and here it is %d: %s; an expiry cannot be changed after signing, so sign a new link.", was, is, clause)
		if was/1000 == is || is/1000 == was {
			e.out.Hint = "one of the two is in milliseconds; both must be seconds"
		}
	default:
		e.differ(f.note, "the policy as it is here")
		e.out.Section = "policy"
		if f.note == "" {
			clause := e.firstDifference("policy", string(f.text), string(e.x.text()))
			e.differ(string(f.text), string(e.x.text()))
			e.say("The signature was made over another policy: %s; send the policy that was signed, byte for byte, or sign this one.", clause)
			return
		}
		e.say("The signature was made for this URL and expiry, but over other bytes: %s; sign exactly the text the edge rebuilds or is sent.", f.note)
	}
	if f.note != "" && f.url != here {
		e.out.Hint = f.note
	}
}

func (e *explainer) hintAltered(signed, here string, where section) {
	w, _ := splitURL(signed)
	g, _ := splitURL(here)
	switch {
	case strings.Contains(signed, "*") && e.x.canned:
		e.out.Hint = "a * in a URL signed with a canned policy covers nothing but itself; sign a custom policy for the pattern"
	case where == sectionPath && sameDecoded(w.path, g.path) || where == sectionQuery && sameDecoded(w.query, g.query):
		e.out.Hint = "the two differ only in how they are percent-encoded; sign the URL as it travels"
	case where == sectionPath && strings.EqualFold(w.path, g.path):
		e.out.Hint = "the two paths differ only in upper and lower case"
	case where == sectionPath && strings.TrimSuffix(w.path, "/") == strings.TrimSuffix(g.path, "/"):
		e.out.Hint = "the two paths differ only in a slash at the end"
	case where == sectionScheme:
		e.out.Hint = "a canned policy fixes the scheme; ask over " + w.scheme + ", or sign for " + g.scheme
	case where == sectionQuery:
		e.out.Hint = "the query is part of what is signed: nothing may be added, dropped or reordered after"
	}
}

func (e *explainer) notFound(s *search) {
	what := "this URL and expiry"
	if !e.x.canned {
		what = "this policy"
	}
	certain := "The key " + e.x.keyID + " made this signature, but not over " + what
	if !s.certain {
		certain = "The signature does not belong to " + what + " and the key " + e.x.keyID
	}
	bound := ""
	if s.exhausted {
		bound = " before the search stopped at its bound"
	}
	e.say("%s, and none of the %d likely alterations tried%s fits: something else was changed, or more of it; compare the link with the original letter by letter, or sign again.", certain, s.tried, bound)
	if !s.certain {
		e.out.Hint = "a signature by another private key looks the same; check that the key pair id is that of the key that signed"
	}
}

// firstSection is where two URLs first differ.
func firstSection(a, b string) section {
	p, ok1 := splitURL(a)
	q, ok2 := splitURL(b)
	switch {
	case !ok1 || !ok2:
		return sectionNone
	case p.scheme != q.scheme:
		return sectionScheme
	case p.host != q.host:
		return sectionHost
	case p.path != q.path:
		return sectionPath
	}
	return sectionQuery
}

func title(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// span writes a length of time in its two largest units.
func span(d time.Duration) string {
	if d < time.Second {
		return "less than a second"
	}
	var parts []string
	for _, u := range []struct {
		name string
		size time.Duration
	}{{"day", 24 * time.Hour}, {"hour", time.Hour}, {"minute", time.Minute}, {"second", time.Second}} {
		n := d / u.size
		d -= n * u.size
		if n == 0 {
			if len(parts) > 0 {
				break
			}
			continue
		}
		plural := ""
		if n != 1 {
			plural = "s"
		}
		parts = append(parts, fmt.Sprintf("%d %s%s", n, u.name, plural))
		if len(parts) == 2 {
			break
		}
	}
	return strings.Join(parts, " ")
}
