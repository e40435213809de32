package signed

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"
)

// link is a request under construction: a good one, until faults are put into it.
type link struct {
	cookies bool
	url     string
	policy  string
	// Values that override what the policy and the signer give, if not nil.
	policyValue, sig, keyID, hash *string
	extra                         string // more parameters
	unsigned                      bool
	at                            time.Time
	ip                            string
	revoked                       bool
}

const goodURL = "https://d111111abcdef8.cloudfront.net/uploads/report.pdf"

func goodLink(cookies bool) link {
	return link{
		cookies: cookies,
		url:     goodURL,
		policy: string(must(Policy{
			Resource: "https://d111111abcdef8.cloudfront.net/uploads/*",
			NotAfter: noon.Add(time.Hour), NotBefore: noon.Add(-time.Hour), SourceIP: netip.MustParsePrefix("192.0.2.0/24"),
		}.Encode())),
		at: noon, ip: "192.0.2.7",
	}
}

func (l link) request(t testing.TB) (Request, *Verifier) {
	t.Helper()
	v := &Verifier{Keys: keysOf(testKeys(t)), Revoked: func(GrantID) bool { return l.revoked }}
	r := Request{URL: l.url, Time: l.at, ViewerIP: netip.MustParseAddr(l.ip)}
	if l.unsigned {
		return r, v
	}
	or := func(p *string, s string) string {
		if p != nil {
			return *p
		}
		return s
	}
	values := [][2]string{
		{"Policy", or(l.policyValue, EncodeText([]byte(l.policy)))},
		{"Signature", or(l.sig, EncodeText(must(signerOf(rsaID, rsaKey()).SignPolicy([]byte(l.policy)))))},
		{"Key-Pair-Id", or(l.keyID, rsaID)},
		{"Hash-Algorithm", or(l.hash, "SHA256")},
	}
	if l.cookies {
		var header []string
		for _, p := range values {
			header = append(header, "CloudFront-"+p[0]+"="+p[1])
		}
		r.Cookies = []string{"session=abc", strings.Join(header, "; ")}
		return r, v
	}
	var query []string
	for _, p := range values {
		query = append(query, p[0]+"="+p[1])
	}
	r.URL += "?" + strings.Join(query, "&") + l.extra
	return r, v
}

type fault struct {
	cause Cause
	group string // faults of one group are put in at one place, and exclude each other
	put   func(*link)
}

func to(s string) *string { return &s }

// faults are one way, at least, to every cause, in the gate's order.
var faults = []fault{
	{CauseUnsigned, "", func(l *link) { l.unsigned = true }},
	{CauseKeyIDRepeated, "url", func(l *link) { l.extra += "&Key-Pair-Id=" + rsaID }},
	{CauseKeyIDMissing, "id", func(l *link) { l.keyID = to("") }},
	{CauseKeyIDImplausible, "id", func(l *link) { l.keyID = to("-----BEGIN%20PUBLIC%20KEY-----") }},
	{CauseKeyUnknown, "id", func(l *link) { l.keyID = to("KNOBODYSKEY12") }},
	{CauseSignatureRepeated, "url", func(l *link) { l.extra += "&Signature=AAAA" }},
	{CauseSignatureMissing, "sig", func(l *link) { l.sig = to("") }},
	{CauseSignatureEncoding, "sig", func(l *link) { l.sig = to("ab+/") }},
	{CauseHashAlgorithm, "", func(l *link) { l.hash = to("sha256") }},
	{CausePolicyRepeated, "url", func(l *link) { l.extra += "&Policy=AAAA" }},
	{CausePolicyMissing, "value", func(l *link) { l.policyValue = to("") }},
	{CausePolicyEncoding, "value", func(l *link) { l.policyValue = to("a*b") }},
	{CausePolicySyntax, "value", func(l *link) { l.policyValue = to(EncodeText([]byte(`{"Statement":[`))) }},
	{CausePolicyShape, "value", func(l *link) { l.policyValue = to(EncodeText([]byte(`{"Statement":{}}`))) }},
	{CausePolicyEpoch, "value", func(l *link) {
		l.policyValue = to(EncodeText([]byte(`{"Statement":[{"Resource":"*","Condition":{"DateLessThan":{"AWS:EpochTime":1767290400000}}}]}`)))
	}},
	{CausePolicyAddress, "value", func(l *link) {
		l.policyValue = to(EncodeText([]byte(`{"Statement":[{"Resource":"*","Condition":{"IpAddress":{"AWS:SourceIp":"2001:db8::/32"},"DateLessThan":{"AWS:EpochTime":1767290400}}}]}`)))
	}},
	{CauseResource, "", func(l *link) { l.url = strings.Replace(l.url, "/uploads/", "/secrets/", 1) }},
	{CauseNoClock, "time", func(l *link) { l.at = time.Time{} }},
	{CauseExpired, "time", func(l *link) { l.at = noon.Add(time.Hour) }},
	{CauseNotYet, "time", func(l *link) { l.at = noon.Add(-time.Hour) }},
	{CauseAddress, "", func(l *link) { l.ip = "2001:db8::7" }},
	{CauseRevoked, "", func(l *link) { l.revoked = true }},
	{CauseSignature, "sig", func(l *link) {
		l.sig = to(EncodeText(must(signerOf(rsaID, rsaKey()).SignPolicy([]byte("another policy")))))
	}},
}

// checkCause holds Verify and Explain to one cause and its code.
func checkCause(t *testing.T, r Request, v *Verifier, want Cause) {
	t.Helper()
	g, err := v.Verify(r)
	if got := causeOf(err); got != want {
		t.Errorf("Verify: %v, want %v", got, want)
	}
	// Explain itself, but for a search that gives up sooner: only the cause matters here.
	e := (&explainer{r: &r, c: &ExplainConfig{Verifier: v}}).run(2_000)
	if e.Cause != want {
		t.Errorf("Explain: %v, want %v", e.Cause, want)
	}
	if e.Sentence == "" {
		t.Error("Explain says nothing")
	}
	if want == CauseNone {
		if !e.Allowed || e.Grant != g {
			t.Errorf("Explain does not allow what Verify allows")
		}
		return
	}
	var refusal *Refusal
	if !errors.As(err, &refusal) || refusal.Code != want.Code() || e.Code != want.Code() {
		t.Errorf("codes: %v and %v, want %v", err, e.Code, want.Code())
	}
	if g != (Grant{}) {
		t.Error("a refusal comes with a grant")
	}
}

func TestEveryCause(t *testing.T) {
	for _, cookies := range []bool{false, true} {
		r, v := goodLink(cookies).request(t)
		checkCause(t, r, v, CauseNone)
		for _, f := range faults {
			if cookies && f.group == "url" {
				continue
			}
			t.Run(fmt.Sprintf("%v cookies=%v", f.cause, cookies), func(t *testing.T) {
				l := goodLink(cookies)
				f.put(&l)
				r, v := l.request(t)
				checkCause(t, r, v, f.cause)
			})
		}
	}
	have := make(map[Cause]bool)
	for _, f := range faults {
		have[f.cause] = true
	}
	for c := CauseUnsigned; c <= CauseSignature; c++ {
		if !have[c] {
			t.Errorf("no fault makes %v", c)
		}
	}
}

// TestOrder puts every two faults into one request: the one earlier in the gate's order is reported, by
// Verify and by Explain.
func TestOrder(t *testing.T) {
	for _, cookies := range []bool{false, true} {
		for i, first := range faults {
			for _, second := range faults[i+1:] {
				if first.group != "" && first.group == second.group && first.group != "url" || cookies && (first.group == "url" || second.group == "url") {
					continue
				}
				t.Run(fmt.Sprintf("%v before %v cookies=%v", first.cause, second.cause, cookies), func(t *testing.T) {
					l := goodLink(cookies)
					second.put(&l)
					first.put(&l)
					r, v := l.request(t)
					checkCause(t, r, v, first.cause)
				})
			}
		}
	}
}

func TestCausesAreInOrderOfCodes(t *testing.T) {
	want := map[Code][2]Cause{
		MissingKey: {CauseUnsigned, CauseKeyIDImplausible}, InvalidKey: {CauseKeyUnknown, CauseKeyUnknown},
		MalformedSignature: {CauseSignatureRepeated, CauseHashAlgorithm}, MalformedPolicy: {CausePolicyRepeated, CausePolicyAddress},
		AccessDenied: {CauseResource, CauseSignature},
	}
	names := make(map[string]bool)
	for c := CauseUnsigned; c <= CauseSignature; c++ {
		if w := want[c.Code()]; c < w[0] || c > w[1] {
			t.Errorf("%v answers %v", c, c.Code())
		}
		if names[c.String()] || c.String() == "" {
			t.Errorf("cause %d has no name of its own: %q", c, c)
		}
		names[c.String()] = true
	}
}

func TestFourPairs(t *testing.T) {
	keys := testKeys(t)
	for _, s := range []*Signer{signerOf(rsaID, rsaKey()), signerOf(ecID, ecKey())} {
		for _, h := range []Hash{0, SHA1, SHA256} {
			s.Hash = h
			signed, err := s.SignURL(goodURL, noon)
			if err != nil {
				t.Fatal(err)
			}
			g, err := (&Verifier{Keys: keysOf(keys)}).Verify(Request{URL: signed, Time: noon.Add(-time.Second)})
			if err != nil {
				t.Errorf("%s %v: %v", s.KeyPairID, h, err)
			}
			want := h
			if h == 0 {
				want = SHA256
			}
			if g.Hash != want {
				t.Errorf("hash %v, want %v", g.Hash, want)
			}
			// The digest belongs to the signature: the same one under the other name is refused.
			other := strings.Replace(signed, "&Hash-Algorithm=SHA256", "", 1)
			if other == signed {
				other += "&Hash-Algorithm=SHA256"
			}
			checkCause(t, Request{URL: other, Time: noon.Add(-time.Second)}, &Verifier{Keys: keysOf(keys)}, CauseSignature)
		}
	}
}

func TestParameterForms(t *testing.T) {
	keys := testKeys(t)
	s := signerOf(rsaID, rsaKey())
	canned := must(s.SignURL(goodURL+"?size=large&x=%20", noon))
	custom := must(s.SignURLPolicy(goodURL, Policy{NotAfter: noon}))
	base, query, _ := strings.Cut(canned, "?")
	pieces := strings.Split(query, "&")
	_, customQuery, _ := strings.Cut(custom, "?")
	encoded := func(u string) string {
		base, q, _ := strings.Cut(u, "?")
		for i, p := range strings.Split(q, "&") {
			name, value, _ := strings.Cut(p, "=")
			if i > 0 {
				base += "&"
			} else {
				base += "?"
			}
			if parameterOf(name) >= 0 {
				value = strings.NewReplacer("~", "%7e", "_", "%5F", "-", "%2D", "A", "%41").Replace(value)
			}
			base += name + "=" + value
		}
		return base
	}
	cookies := must(s.Cookies(Policy{Resource: goodURL + "*", NotAfter: noon}, CookieOptions{}))
	var header []string
	for _, c := range cookies {
		header = append(header, c.Name+"="+c.Value)
	}
	jar := strings.Join(header, "; ")
	stale := strings.NewReplacer("CloudFront-Policy=", "CloudFront-Policy=AAAA", "CloudFront-Signature=", "CloudFront-Signature=AAAA").Replace(jar)
	for _, c := range []struct {
		name    string
		url     string
		cookies []string
		want    Cause
		form    Form
	}{
		{"as signed", canned, nil, CauseNone, FormURL},
		{"own parameters last", base + "?" + strings.Join(append(pieces[2:len(pieces):len(pieces)], pieces[0], pieces[1]), "&"), nil, CauseNone, FormURL},
		{"own parameters in between", base + "?" + strings.Join([]string{pieces[2], pieces[0], pieces[3], pieces[1], pieces[5], pieces[4]}, "&"), nil, CauseNone, FormURL},
		{"own parameters in another order", base + "?" + strings.Join(append([]string{pieces[1], pieces[0]}, pieces[2:]...), "&"), nil, CauseSignature, FormURL},
		{"own parameter dropped", base + "?" + strings.Join(pieces[1:], "&"), nil, CauseSignature, FormURL},
		{"own parameter added", canned + "&y=1", nil, CauseSignature, FormURL},
		{"empty parameter added", canned + "&", nil, CauseSignature, FormURL},
		{"own escape decoded", strings.Replace(canned, "%20", "+", 1), nil, CauseSignature, FormURL},
		{"values percent-encoded", encoded(canned), nil, CauseNone, FormURL},
		{"custom values percent-encoded", encoded(custom), nil, CauseNone, FormURL},
		{"broken escape in the signature", strings.Replace(canned, "Signature=", "Signature=%zz", 1), nil, CauseSignatureEncoding, FormURL},
		{"plus is no blank", strings.Replace(canned, "Signature=", "Signature=+", 1), nil, CauseSignatureEncoding, FormURL},
		{"name percent-encoded is another's", strings.Replace(canned, "Expires=", "E%78pires=", 1), nil, CausePolicyMissing, FormURL},
		{"name in another case is another's", strings.Replace(canned, "Key-Pair-Id=", "key-pair-id=", 1), nil, CauseKeyIDMissing, FormURL},
		{"names without value", base + "?Signature&Expires&Key-Pair-Id=" + rsaID, nil, CauseSignatureMissing, FormURL},
		{"semicolon separates nothing", strings.Replace(canned, "&Signature", ";Signature", 1), nil, CauseSignatureMissing, FormURL},
		{"same Expires twice", canned + "&Expires=" + fmt.Sprint(noon.Unix()), nil, CausePolicyRepeated, FormURL},
		{"same Hash-Algorithm twice", canned + "&Hash-Algorithm=SHA256", nil, CauseHashAlgorithm, FormURL},
		{"Policy and Expires mean custom", custom + "&Expires=1", nil, CauseNone, FormURL},
		{"Policy and two Expires", custom + "&Expires=1&Expires=2", nil, CauseNone, FormURL},
		{"empty Policy beside Expires", canned + "&Policy=", nil, CausePolicyMissing, FormURL},
		{"explicit SHA1", must((&Signer{KeyPairID: rsaID, Key: rsaKey(), Hash: SHA1}).SignURL(goodURL, noon)) + "&Hash-Algorithm=SHA1", nil, CauseNone, FormURL},
		{"empty Hash-Algorithm", strings.Replace(canned, "Hash-Algorithm=SHA256", "Hash-Algorithm=", 1), nil, CauseHashAlgorithm, FormURL},
		{"cookies", goodURL, []string{jar}, CauseNone, FormCookies},
		{"cookies and an ordinary query", goodURL + "?size=1", []string{jar}, CauseNone, FormCookies},
		{"cookies in several headers", goodURL, header, CauseNone, FormCookies},
		{"cookies without blanks", goodURL, []string{strings.ReplaceAll(jar, "; ", ";")}, CauseNone, FormCookies},
		{"the first cookie of a name counts", goodURL, []string{jar + "; " + stale}, CauseNone, FormCookies},
		{"the first cookie of a name counts, even a stale one", goodURL, []string{stale + "; " + jar}, CauseSignatureEncoding, FormCookies},
		{"cookie names are case-sensitive", goodURL, []string{strings.Replace(jar, "CloudFront-Key-Pair-Id", "CloudFront-Key-Pair-ID", 1)}, CauseKeyIDMissing, FormCookies},
		{"cookie values are not percent-decoded", goodURL, []string{strings.ReplaceAll(jar, "_", "%5F")}, CauseSignatureEncoding, FormCookies},
		{"a URL wins over cookies", canned, []string{stale}, CauseNone, FormURL},
		{"a bad URL wins over good cookies", strings.Replace(canned, "report", "repost", 1), []string{jar}, CauseSignature, FormURL},
		{"one parameter is enough to be a URL", goodURL + "?Policy=terms", []string{jar}, CauseKeyIDMissing, FormURL},
		{"an empty one too", goodURL + "?Hash-Algorithm", []string{jar}, CauseKeyIDMissing, FormURL},
		{"one cookie is enough to be cookies", goodURL, []string{"CloudFront-Expires=1"}, CauseKeyIDMissing, FormCookies},
		{"nothing", goodURL, []string{"a=b; CloudFront=c; CloudFront-Other=d"}, CauseUnsigned, FormNone},
	} {
		t.Run(c.name, func(t *testing.T) {
			// A policy whose value may be too long or stale must still not be read past its faults.
			if strings.HasPrefix(c.name, "the first cookie of a name counts, even") {
				c.cookies = []string{strings.Replace(stale, "CloudFront-Signature=AAAA", "CloudFront-Signature=AAA", 1) + "; " + jar}
			}
			r := Request{URL: c.url, Cookies: c.cookies, Time: noon.Add(-time.Hour)}
			v := &Verifier{Keys: keysOf(keys)}
			checkCause(t, r, v, c.want)
			if e := Explain(r, ExplainConfig{Verifier: v}); e.Form != c.form {
				t.Errorf("form %v, want %v", e.Form, c.form)
			}
		})
	}
	_ = customQuery
}

func TestCannedCookies(t *testing.T) {
	s := signerOf(ecID, ecKey())
	var header []string
	for _, c := range must(s.CannedCookies(goodURL+"?a=b", noon, CookieOptions{})) {
		header = append(header, c.Name+"="+c.Value)
	}
	v := &Verifier{Keys: keysOf(testKeys(t))}
	at := noon.Add(-time.Second)
	checkCause(t, Request{URL: goodURL + "?a=b", Cookies: header, Time: at}, v, CauseNone)
	checkCause(t, Request{URL: goodURL, Cookies: header, Time: at}, v, CauseSignature)
	checkCause(t, Request{URL: goodURL + "?a=b", Cookies: header, Time: noon}, v, CauseExpired)
}

// An empty query counts as none, for the edge omits the question mark.
func TestEmptyQuery(t *testing.T) {
	signed := must(signerOf(rsaID, rsaKey()).SignURL(goodURL, noon))
	v := &Verifier{Keys: keysOf(testKeys(t))}
	at := noon.Add(-time.Second)
	checkCause(t, Request{URL: strings.Replace(signed, "?", "?&", 1), Time: at}, v, CauseNone)
	var header []string
	for _, c := range must(signerOf(rsaID, rsaKey()).CannedCookies(goodURL, noon, CookieOptions{})) {
		header = append(header, c.Name+"="+c.Value)
	}
	checkCause(t, Request{URL: goodURL + "?", Cookies: header, Time: at}, v, CauseNone)
}

func TestTimeBoundaries(t *testing.T) {
	const n = 1_900_000_000
	s := signerOf(rsaID, rsaKey())
	v := &Verifier{Keys: keysOf(testKeys(t))}
	ends := must(s.SignURL(goodURL, time.Unix(n, 0)))
	starts := must(s.SignURLPolicy(goodURL, Policy{NotBefore: time.Unix(n, 0), NotAfter: time.Unix(n+100, 0)}))
	for _, c := range []struct {
		url  string
		at   time.Time
		want Cause
	}{
		{ends, time.Unix(0, 0), CauseNone},
		{ends, time.Unix(-5, 0), CauseNone},
		{ends, time.Unix(n-1, 0), CauseNone},
		{ends, time.Unix(n-1, 999_999_999), CauseNone},
		{ends, time.Unix(n, 0), CauseExpired},
		{ends, time.Unix(n, 1), CauseExpired},
		{ends, time.Unix(n+1, 0), CauseExpired},
		{ends, time.Time{}, CauseNoClock},
		{starts, time.Unix(n-1, 999_999_999), CauseNotYet},
		{starts, time.Unix(n, 0), CauseNotYet},
		{starts, time.Unix(n, 999_999_999), CauseNotYet},
		{starts, time.Unix(n+1, 0), CauseNone},
		{starts, time.Unix(n+99, 999_999_999), CauseNone},
		{starts, time.Unix(n+100, 0), CauseExpired},
	} {
		t.Run(fmt.Sprint(c.at.UnixNano()), func(t *testing.T) { checkCause(t, Request{URL: c.url, Time: c.at}, v, c.want) })
	}
}

func TestEpochBounds(t *testing.T) {
	s := signerOf(rsaID, rsaKey())
	v := &Verifier{Keys: keysOf(testKeys(t))}
	for _, c := range []struct {
		epoch string
		want  Cause
	}{
		{"0", CauseExpired}, {"1", CauseExpired}, {"2147483648", CauseNone}, {"9223372036", CauseNone},
		{"9223372037", CausePolicyEpoch}, {"1767290400000", CausePolicyEpoch}, {"9223372036854775807", CausePolicyEpoch},
		{"9223372036854775808", CausePolicyEpoch}, {"99999999999999999999999999", CausePolicyEpoch},
		{"-1", CausePolicyEpoch}, {"+1", CausePolicyEpoch}, {"1e9", CausePolicyEpoch}, {"1767290400.0", CausePolicyEpoch}, {"01767290400", CausePolicyEpoch},
		{"0x6955", CausePolicyEpoch}, {"%31", CauseExpired}, {"1%20", CausePolicyEpoch}, {"１", CausePolicyEpoch},
	} {
		t.Run(c.epoch, func(t *testing.T) {
			plain, _ := unescape(c.epoch)
			sig := must(s.SignPolicy([]byte(`{"Statement":[{"Resource":"` + goodURL + `","Condition":{"DateLessThan":{"AWS:EpochTime":` + plain + `}}}]}`)))
			u := goodURL + "?Expires=" + c.epoch + "&Signature=" + EncodeText(sig) + "&Key-Pair-Id=" + rsaID + "&Hash-Algorithm=SHA256"
			checkCause(t, Request{URL: u, Time: noon}, v, c.want)
		})
	}
}

func TestAddresses(t *testing.T) {
	s := signerOf(rsaID, rsaKey())
	v := &Verifier{Keys: keysOf(testKeys(t))}
	for _, c := range []struct {
		source, viewer string
		want           Cause
	}{
		{"192.0.2.10/32", "192.0.2.10", CauseNone},
		{"192.0.2.10/32", "192.0.2.11", CauseAddress},
		{"192.0.2.10", "192.0.2.10", CauseNone},
		{"192.0.2.10", "192.0.2.9", CauseAddress},
		{"192.0.2.0/24", "192.0.2.255", CauseNone},
		{"192.0.2.0/24", "192.0.3.0", CauseAddress},
		{"10.1.2.3/8", "10.200.0.1", CauseNone}, // bits beyond the length do not count
		{"0.0.0.0/0", "203.0.113.9", CauseNone},
		{"192.0.2.10/32", "::ffff:192.0.2.10", CauseNone}, // IPv4 mapped into IPv6
		{"192.0.2.10/32", "::ffff:192.0.2.11", CauseAddress},
		{"0.0.0.0/0", "2001:db8::1", CauseAddress},
		{"0.0.0.0/0", "::1", CauseAddress},
		{"192.0.2.10/32", "fe80::1%eth0", CauseAddress},
		{"0.0.0.0/0", "", CauseAddress},
		{"2001:db8::/32", "2001:db8::1", CausePolicyAddress},
		{"::ffff:192.0.2.10/128", "192.0.2.10", CausePolicyAddress},
		{"192.0.2.10/33", "192.0.2.10", CausePolicyAddress},
		{"192.0.2.10/-1", "192.0.2.10", CausePolicyAddress},
		{"192.0.2.010/32", "192.0.2.10", CausePolicyAddress},
		{"192.0.2/24", "192.0.2.10", CausePolicyAddress},
		{"192.0.2.1/32,192.0.2.2/32", "192.0.2.1", CausePolicyAddress},
		{"192.0.2.10/32 ", "192.0.2.10", CausePolicyAddress},
		{"*", "192.0.2.10", CausePolicyAddress},
		{"", "192.0.2.10", CausePolicyAddress},
	} {
		t.Run(c.source+" "+c.viewer, func(t *testing.T) {
			policy := []byte(`{"Statement":[{"Resource":"*","Condition":{"DateLessThan":{"AWS:EpochTime":2000000000},"IpAddress":{"AWS:SourceIp":"` + c.source + `"}}}]}`)
			u := goodURL + "?Policy=" + EncodeText(policy) + "&Signature=" + EncodeText(must(s.SignPolicy(policy))) + "&Key-Pair-Id=" + rsaID + "&Hash-Algorithm=SHA256"
			r := Request{URL: u, Time: noon}
			if c.viewer != "" {
				r.ViewerIP = netip.MustParseAddr(c.viewer)
			}
			checkCause(t, r, v, c.want)
		})
	}
}

// A canned signature is a signature over a policy, which may be sent as a custom one: the grant is the same.
func TestCannedSentAsCustom(t *testing.T) {
	s := signerOf(rsaID, rsaKey())
	v := &Verifier{Keys: keysOf(testKeys(t))}
	for _, u := range []string{goodURL, goodURL + "?size=large&x=1", goodURL + "?flag"} {
		canned := must(s.SignURL(u, noon))
		policy := must(CannedPolicy(u, noon))
		custom := strings.Replace(canned, fmt.Sprintf("Expires=%d", noon.Unix()), "Policy="+EncodeText(policy), 1)
		a, err1 := v.Verify(Request{URL: canned, Time: noon.Add(-time.Second)})
		b, err2 := v.Verify(Request{URL: custom, Time: noon.Add(-time.Second)})
		if err1 != nil || err2 != nil || a.ID != b.ID || a.Policy != b.Policy || !a.Canned || b.Canned {
			t.Errorf("%s: %v %v, %+v, %+v", u, err1, err2, a, b)
		}
		if a.ID != GrantIDOf(policy) {
			t.Error("the grant id is not the hash of the policy")
		}
	}
}

// Text that would break out of the canned policy's string must not.
func TestCannedPolicyInjection(t *testing.T) {
	s := signerOf(rsaID, rsaKey())
	v := &Verifier{Keys: keysOf(testKeys(t))}
	victim := `https://a/x","Condition":{"DateLessThan":{"AWS:EpochTime":2000000000}}}]}`
	sig := EncodeText(must(s.SignPolicy(must(CannedPolicy("https://a/x", time.Unix(2000000000, 0))))))
	checkCause(t, Request{URL: victim + "?Expires=2000000000&Signature=" + sig + "&Key-Pair-Id=" + rsaID + "&Hash-Algorithm=SHA256", Time: noon}, v, CauseSignature)
}

func TestKeysOfAnotherBehaviour(t *testing.T) {
	signed := must(signerOf(rsaID, rsaKey()).SignURL(goodURL, noon.Add(time.Hour)))
	r := Request{URL: signed, Time: noon}
	checkCause(t, r, &Verifier{}, CauseKeyUnknown)
	checkCause(t, r, &Verifier{Keys: func(string) (*Key, bool) { return nil, true }}, CauseKeyUnknown)
	// The id is trusted, but is another key's now.
	checkCause(t, r, &Verifier{Keys: func(string) (*Key, bool) { return must(NewKey(otherRSA().Public())), true }}, CauseSignature)
	checkCause(t, r, &Verifier{Keys: func(string) (*Key, bool) { return must(NewKey(ecKey().Public())), true }}, CauseSignature)
	checkCause(t, r, &Verifier{Keys: func(string) (*Key, bool) { return &Key{}, true }}, CauseSignature)
}

type countingCache struct {
	VerdictCache
	gets, hits, puts int
}

func (c *countingCache) Get(k [32]byte) (bool, bool) {
	ok, hit := c.VerdictCache.Get(k)
	c.gets++
	if hit {
		c.hits++
	}
	return ok, hit
}

func (c *countingCache) Put(k [32]byte, ok bool) { c.puts++; c.VerdictCache.Put(k, ok) }

func TestVerdictsAreCachedAndNothingElseIs(t *testing.T) {
	l := goodLink(false)
	r, v := l.request(t)
	cache := &countingCache{VerdictCache: NewVerdictCache(100)}
	v.Verdicts = cache
	for range 3 {
		if _, err := v.Verify(r); err != nil {
			t.Fatal(err)
		}
	}
	if cache.gets != 3 || cache.hits != 2 || cache.puts != 1 {
		t.Errorf("gets %d hits %d puts %d", cache.gets, cache.hits, cache.puts)
	}
	// Every check before the signature is made again, and answers before the cache is asked.
	for _, f := range faults {
		if f.cause == CauseSignature {
			continue
		}
		l := goodLink(false)
		f.put(&l)
		bad, badVerifier := l.request(t)
		badVerifier.Verdicts = cache
		if _, err := badVerifier.Verify(bad); causeOf(err) != f.cause {
			t.Errorf("%v with a warm cache: %v", f.cause, err)
		}
	}
	if cache.gets != 3 {
		t.Errorf("the cache was asked %d times for requests that fail before", cache.gets-3)
	}
	// Another key under the same id is another verdict.
	v.Keys = func(string) (*Key, bool) { return must(NewKey(otherRSA().Public())), true }
	for range 2 {
		if _, err := v.Verify(r); causeOf(err) != CauseSignature {
			t.Errorf("after the key was replaced: %v", err)
		}
	}
	if cache.puts != 2 || cache.hits != 3 {
		t.Errorf("puts %d hits %d", cache.puts, cache.hits)
	}
	// Explain does not touch it.
	gets := cache.gets
	Explain(r, ExplainConfig{Verifier: v})
	if cache.gets != gets || v.Verdicts == nil {
		t.Error("Explain used the cache")
	}
}

// The verdict's key must change with each of its parts.
func TestVerdictKeyParts(t *testing.T) {
	key := must(NewKey(rsaKey().Public()))
	base := exam{key: key, id: GrantID{1}, hash: SHA1, sigLen: 3}
	copy(base.sigRoom[:], "123")
	keys := map[[32]byte]string{base.verdictKey(): "base"}
	for name, change := range map[string]func(*exam){
		"key":  func(x *exam) { x.key = must(NewKey(otherRSA().Public())) },
		"id":   func(x *exam) { x.id = GrantID{2} },
		"hash": func(x *exam) { x.hash = SHA256 },
		"sig":  func(x *exam) { x.sigRoom[2]++ },
		"size": func(x *exam) { x.sigLen-- },
	} {
		x := base
		change(&x)
		k := x.verdictKey()
		if was, taken := keys[k]; taken {
			t.Errorf("%s has the verdict key of %s", name, was)
		}
		keys[k] = name
	}
}

func TestRevokedIsAskedForEachGrant(t *testing.T) {
	r, v := goodLink(false).request(t)
	var asked []GrantID
	v.Revoked = func(id GrantID) bool { asked = append(asked, id); return len(asked) > 1 }
	g, err := v.Verify(r)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Verify(r); causeOf(err) != CauseRevoked {
		t.Errorf("second time: %v", err)
	}
	if len(asked) != 2 || asked[0] != g.ID || asked[1] != g.ID {
		t.Errorf("asked %v, grant %v", asked, g.ID)
	}
}

func TestStripQuery(t *testing.T) {
	for in, want := range map[string]string{
		"":          "",
		"a=1":       "a=1",
		"a=1&b=2":   "a=1&b=2",
		"Expires=1": "",
		"Expires=1&Signature=2&Key-Pair-Id=3&Hash-Algorithm=4&Policy=5": "",
		"a=1&Expires=1":                  "a=1",
		"Expires=1&a=1":                  "a=1",
		"a=1&Expires=1&b=2":              "a=1&b=2",
		"a=1&Expires=1&b=2&Policy=3&c=4": "a=1&b=2&c=4",
		"Expires=1&a&Policy=3&b=":        "a&b=",
		"a=1&&Expires=1":                 "a=1&",
		"&Expires=1":                     "",
		"&&Expires=1":                    "&",
		"Expires=1&":                     "",
		"Expires=1&&":                    "&",
		"Expires":                        "",
		"Expires&a":                      "a",
		"expires=1&Expiresx=2&xExpires=3&E%78pires=4": "expires=1&Expiresx=2&xExpires=3&E%78pires=4",
		"a=Expires=1;Policy=2":                        "a=Expires=1;Policy=2",
		"q=%2B+%20'&Key-Pair-Id=x&z=~":                "q=%2B+%20'&z=~",
	} {
		if got := StripQuery(in); got != want {
			t.Errorf("StripQuery(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestStripCookies(t *testing.T) {
	for in, want := range map[string]string{
		"":                         "",
		"a=1; b=2":                 "a=1; b=2",
		"CloudFront-Policy=x":      "",
		"a=1; CloudFront-Policy=x": "a=1",
		"CloudFront-Policy=x; a=1": "a=1",
		"a=1; CloudFront-Signature=x; b=2; CloudFront-Key-Pair-Id=y; c=\"3\"": "a=1; b=2; c=\"3\"",
		"CloudFront-Expires=1;CloudFront-Hash-Algorithm=SHA1;a=1":             "a=1",
		"CloudFront-policy=x; CloudFront-Other=y; XCloudFront-Policy=z":       "CloudFront-policy=x; CloudFront-Other=y; XCloudFront-Policy=z",
		"a=1;\tCloudFront-Policy=x ;b=2":                                      "a=1;b=2",
	} {
		if got := StripCookies(in); got != want {
			t.Errorf("StripCookies(%q) = %q, want %q", in, got, want)
		}
	}
}

// naiveStrip is StripQuery, written the slow way.
func naiveStrip(q string) string {
	var keep []string
	for _, p := range strings.Split(q, "&") {
		name := strings.SplitN(p, "=", 2)[0]
		switch name {
		case "Expires", "Policy", "Signature", "Key-Pair-Id", "Hash-Algorithm":
		default:
			keep = append(keep, p)
		}
	}
	return strings.Join(keep, "&")
}

func FuzzQuery(f *testing.F) {
	f.Add("a=1&Expires=2&Signature=3&b&Key-Pair-Id=4")
	f.Add("Policy=%41&&=&Hash-Algorithm")
	f.Add("&Policy&a%3D1&Policy=2")
	f.Fuzz(func(t *testing.T, q string) {
		got := StripQuery(q)
		if want := naiveStrip(q); got != want {
			t.Fatalf("StripQuery(%q) = %q, want %q", q, got, want)
		}
		if again := StripQuery(got); again != got {
			t.Fatalf("not idempotent: %q then %q", got, again)
		}
		// What was read as ours, decoded, is what net/url reads, where it reads anything at all.
		if strings.ContainsAny(q, ";+#") || strings.Contains(q, "?") {
			return
		}
		values, err := url.ParseQuery(q)
		if err != nil {
			return
		}
		var x exam
		x.collect(&Request{URL: "https://a/?" + q})
		for i, p := range x.params {
			if p.count == 0 {
				continue
			}
			v, ok := x.value(i)
			if !ok || values.Get(reservedNames[i]) != v && !strings.Contains(q, "%") {
				t.Fatalf("%q: %s is %q, and net/url reads %q", q, reservedNames[i], v, values.Get(reservedNames[i]))
			}
		}
	})
}

// FuzzRoundTrip signs any URL that may be signed, and verifies it; and no other URL passes with it.
func FuzzRoundTrip(f *testing.F) {
	f.Add("d111.cloudfront.net", "uploads/report.pdf", "", false, "x")
	f.Add("h:8443", "a/b%20c+d'", "size=large&x=%2B", true, "/")
	f.Add("127.0.0.1:8080", "", "a?b&&c", true, "?")
	f.Add("h", "%ED%95%9C", "response-content-disposition=attachment%3B%20filename%2A%3DUTF-8%27%27a", false, "%")
	f.Fuzz(func(t *testing.T, host, path, query string, ec bool, other string) {
		u := "https://" + host + "/" + path
		if query != "" {
			u += "?" + query
		}
		s := signerOf(rsaID, rsaKey())
		if ec {
			s = signerOf(ecID, ecKey())
		}
		signed, err := s.SignURL(u, noon)
		if err != nil {
			var wild *LiteralWildcardError
			var bad *URLError
			if !errors.As(err, &wild) && !errors.As(err, &bad) {
				t.Fatalf("%q: untyped refusal: %v", u, err)
			}
			return
		}
		v := &Verifier{Keys: keysOf(testKeys(t))}
		r := Request{URL: signed, Time: noon.Add(-time.Second)}
		g, err := v.Verify(r)
		if err != nil {
			t.Fatalf("%q does not verify: %v", signed, err)
		}
		if g.Policy.Resource != u || g.ID != GrantIDOf(must(CannedPolicy(u, noon))) {
			t.Fatalf("%q became %q", u, g.Policy.Resource)
		}
		custom := must(s.SignURLPolicy(u, Policy{NotAfter: noon, NotBefore: noon.Add(-time.Hour)}))
		if g, err := v.Verify(Request{URL: custom, Time: r.Time}); err != nil || g.Policy.Resource != u {
			t.Fatalf("custom %q does not verify: %v", custom, err)
		}
		if other == "" || strings.ContainsAny(other, "#") {
			return
		}
		changed := strings.Replace(signed, "?", other+"?", 1)
		if base, _, _ := strings.Cut(changed, "?"); base != strings.SplitN(signed, "?", 2)[0] {
			if _, err := v.Verify(Request{URL: changed, Time: r.Time}); err == nil {
				t.Fatalf("%q passes with the signature of %q", changed, u)
			}
		}
	})
}
