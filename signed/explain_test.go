package signed

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"encoding/asn1"
	"fmt"
	"math/big"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// explained is Explain's answer to a request, held to Verify's cause on the way.
func explained(t *testing.T, r Request, c ExplainConfig) Explanation {
	t.Helper()
	if c.Verifier == nil {
		c.Verifier = &Verifier{Keys: keysOf(testKeys(t))}
	}
	_, err := c.Verifier.Verify(r)
	e := Explain(r, c)
	if e.Cause != causeOf(err) || e.Allowed != (err == nil) {
		t.Fatalf("Explain says %v, Verify %v", e.Cause, err)
	}
	return e
}

// contains fails unless all parts stand in the text.
func contains(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%q is not in: %s", p, text)
		}
	}
}

// before is when links that end at noon are used.
var before = noon.Add(-time.Hour)

func bothSigners() []*Signer {
	return []*Signer{signerOf(rsaID, rsaKey()), signerOf(ecID, ecKey())}
}

// TestExplainAlteredURL alters a signed URL in each way that people do, and expects the URL that was signed
// and the place of the alteration, for both kinds of key.
func TestExplainAlteredURL(t *testing.T) {
	const u = "https://d111111abcdef8.cloudfront.net/uploads/2031/report.pdf?size=large&b=2"
	const bare = "https://d111111abcdef8.cloudfront.net/uploads/2031/report.pdf"
	for _, c := range []struct {
		name, signed, here string
		section            string
		position           int
		parts              []string
		rsaOnly            bool // too many guesses for ECDSA's bound
	}{
		{"one letter", u, strings.Replace(u, "report", "rexort", 1), "path", 17, []string{"character 17 of the path is 'x' here and 'p' there"}, false},
		{"a letter added", bare, strings.Replace(bare, "report", "reeport", 1), "path", 17, nil, false},
		{"a letter lost", bare, strings.Replace(bare, "report", "reort", 1), "path", 17, nil, false},
		{"neighbours swapped", bare, strings.Replace(bare, "report", "erport", 1), "path", 15, []string{"'e' here and 'r' there"}, false},
		{"case of a letter", bare, strings.Replace(bare, "report", "Report", 1), "path", 15, []string{"'R' here and 'r' there", "upper and lower case"}, false},
		{"all in capitals", strings.ToLower(bare), strings.Replace(bare, "/uploads/2031/report.pdf", "/UPLOADS/2031/REPORT.PDF", 1), "path", 2, nil, false},
		{"an unusual letter", bare, strings.Replace(bare, "report", "re!ort", 1), "path", 17, []string{"'!'"}, false},
		{"the first letter of the host", bare, strings.Replace(bare, "d111", "e111", 1), "host", 0, []string{"host is e111111abcdef8.cloudfront.net here and d111111abcdef8.cloudfront.net there"}, false},
		{"http for https", bare, strings.Replace(bare, "https", "http", 1), "protocol", 0, []string{"the protocol is http here and https there", "fixes the scheme"}, false},
		{"https for http", strings.Replace(bare, "https", "http", 1), bare, "protocol", 0, []string{"https here and http there"}, false},
		{"a slash at the end", bare, bare + "/", "path", 25, []string{"slash at the end"}, false},
		{"no slash at the end", "https://h/a/", "https://h/a", "path", 3, []string{"ends here after character 2", "slash at the end"}, false},
		{"a double slash", "https://h/a/b", "https://h//a/b", "path", 2, nil, false},
		{"a port", "https://h:8443/a", "https://h/a", "host", 0, []string{"no port here and port 8443 there"}, false},
		{"another port", "https://h:8443/a", "https://h:9443/a", "host", 0, []string{"port 9443 here and port 8443 there"}, false},
		{"www.", "https://www.example.com/a", "https://example.com/a", "host", 0, []string{"example.com here and www.example.com there"}, false},
		{"an alias", "https://media.example.org/a", "https://h/a", "host", 0, []string{"h here and media.example.org there"}, false},
		{"an alias and http", "http://media.example.org/a", "https://h/a", "protocol", 0, nil, false},
		{"blank as plus", "https://h/a%20b/c%20d", "https://h/a+b/c+d", "path", 3, []string{"percent-encoded"}, false},
		{"plus as blank", "https://h/a+b", "https://h/a%20b", "path", 3, []string{"percent-encoded"}, false},
		{"plus encoded", "https://h/a+b", "https://h/a%2Bb", "path", 3, nil, false},
		{"apostrophe", "https://h/it's", "https://h/it%27s", "path", 4, []string{"percent-encoded"}, false},
		{"escapes in lower case", "https://h/%ED%95%9C", "https://h/%ed%95%9c", "path", 3, nil, false},
		{"encoded twice", "https://h/a%20b%20c", "https://h/a%2520b%2520c", "path", 5, nil, false},
		{"slash encoded", "https://h/a%2Fb%2Fc", "https://h/a/b/c", "path", 3, []string{"percent-encoded"}, false},
		{"query added", bare, bare + "?utm_source=mail", "query", 0, []string{"the query ?utm_source=mail here and no query there", "nothing may be added"}, false},
		{"parameter added behind", u, u + "&utm_source=mail", "query", 15, []string{`goes on here at character 15 with "&utm_source=mail"`}, false},
		{"parameter added in front", u, strings.Replace(u, "?", "?utm=1&", 1), "query", 1, nil, false},
		{"parameters in another order", u, strings.Replace(u, "size=large&b=2", "b=2&size=large", 1), "query", 1, []string{"'b' here and 's' there"}, false},
		{"query's blank as plus", "https://h/a?n=x%20y%20z", "https://h/a?n=x+y+z", "query", 4, []string{"percent-encoded"}, false},
		{"path prefix added", "https://h/report.pdf", "https://h/stage/report.pdf", "path", 2, nil, false},
		{"chunk inserted", bare, strings.Replace(bare, "report", "final-report", 1), "path", 15, nil, true},
		{"every dash changed", "https://h/2031-05-01-a", "https://h/2031_05_01_a", "path", 6, nil, true},
		{"two letters side by side", bare, strings.Replace(bare, "report", "rexxrt", 1), "path", 17, nil, true},
		{"two letters side by side in the query", u, strings.Replace(u, "large", "lxxge", 1), "query", 7, nil, true},
		{"a swap and a letter too many", bare, strings.Replace(strings.Replace(bare, "report", "repxort", 1), "uploads", "uplaods", 1), "path", 5, nil, true},
		{"two letters apart", bare, strings.Replace(strings.Replace(bare, "report", "rxport", 1), "pdf", "pdx", 1), "path", 16, nil, true},
		{"a date by two digits", bare, strings.Replace(bare, "2031", "2130", 1), "path", 11, nil, true},
		{"index.html", "https://h/a/index.html", "https://h/a/", "path", 4, nil, false},
	} {
		for _, s := range bothSigners() {
			if c.rsaOnly && s.KeyPairID == ecID {
				continue
			}
			t.Run(c.name+" "+s.KeyPairID, func(t *testing.T) {
				for _, h := range []Hash{SHA256, SHA1} {
					if c.rsaOnly && h == SHA1 {
						break // the long searches once
					}
					s.Hash = h
					signed := must(s.SignURL(c.signed, noon))
					_, params, _ := strings.Cut(signed, "Expires=")
					here := c.here + "?"
					if strings.Contains(c.here, "?") {
						here = c.here + "&"
					}
					r := Request{URL: here + "Expires=" + params, Time: before}
					e := explained(t, r, ExplainConfig{Hosts: []string{"media.example.org"}})
					if e.Cause != CauseSignature || e.SignedURL != c.signed || e.Section != c.section || c.position != 0 && e.Position != c.position {
						t.Fatalf("%+v", e)
					}
					contains(t, e.Sentence, "was made for "+c.signed)
					contains(t, e.String(), c.parts...)
					if e.Want != c.signed || e.Got != c.here || e.Exhausted {
						t.Errorf("want %q got %q exhausted %v", e.Want, e.Got, e.Exhausted)
					}
				}
			})
		}
	}
}

// TestExplainDroppedQuery: what is gone cannot be guessed, but the caller may know the whole URL.
func TestExplainDroppedQuery(t *testing.T) {
	for _, s := range bothSigners() {
		_, params, _ := strings.Cut(must(s.SignURL(goodURL+"?size=large", noon)), "&")
		e := explained(t, Request{URL: goodURL + "?" + params, Time: before}, ExplainConfig{Candidates: slices.Values([]string{goodURL + "?size=large"})})
		if e.SignedURL != goodURL+"?size=large" || e.Section != "query" {
			t.Errorf("%+v", e)
		}
		contains(t, e.Sentence, "no query here and the query ?size=large there")
	}
}

func TestExplainAlteredExpiry(t *testing.T) {
	for _, s := range bothSigners() {
		signed := must(s.SignURL(goodURL, noon))
		for _, c := range []struct {
			epoch   int64
			rsaOnly bool
			part    string
		}{
			{noon.Unix() + 1_000_000_000, false, "character 1 of the expiry is '2' here and '1' there"},
			{noon.Unix() + 7, false, ""},
			{noon.Unix() + 3600, true, ""},
			{noon.Add(7 * 24 * time.Hour).Unix(), true, ""},
			{noon.Unix() + 12_345, true, ""},
		} {
			if c.rsaOnly && s.KeyPairID == ecID {
				continue
			}
			r := Request{URL: strings.Replace(signed, fmt.Sprint("Expires=", noon.Unix()), fmt.Sprint("Expires=", c.epoch), 1), Time: before}
			e := explained(t, r, ExplainConfig{})
			if e.Section != "expiry" || e.Want != fmt.Sprint(noon.Unix()) || e.Got != fmt.Sprint(c.epoch) || e.SignedURL != goodURL {
				t.Errorf("%s +%d: %+v", s.KeyPairID, c.epoch-noon.Unix(), e)
			}
			contains(t, e.Sentence, "cannot be changed after signing", c.part)
		}
	}
	// Signed in milliseconds, sent in seconds.
	s := signerOf(rsaID, rsaKey())
	policy := appendCanned(nil, goodURL, noon.UnixMilli())
	u := must(s.join(goodURL, fmt.Sprint("Expires=", noon.Unix()), policy))
	e := explained(t, Request{URL: u, Time: before}, ExplainConfig{})
	if e.Want != fmt.Sprint(noon.UnixMilli()) {
		t.Errorf("%+v", e)
	}
	contains(t, e.Hint, "milliseconds")
}

func TestExplainCandidates(t *testing.T) {
	keys := []string{"uploads/2030 보고서.pdf", "uploads/a+b.pdf", "other/thing.bin"}
	whole := "http://media.example.org/elsewhere?x=1"
	for _, s := range bothSigners() {
		for _, signed := range []string{
			"https://d111111abcdef8.cloudfront.net" + EncodePath(keys[0]),
			"https://d111111abcdef8.cloudfront.net" + EncodePath(keys[1]),
			"https://media.example.org/other/thing.bin",
			"http://d111111abcdef8.cloudfront.net/other/thing.bin",
			whole,
		} {
			u := must(s.SignURL(signed, noon))
			_, params, _ := strings.Cut(u, "Expires=")
			e := explained(t, Request{URL: goodURL + "?Expires=" + params, Time: before}, ExplainConfig{
				Candidates: slices.Values(append(slices.Clone(keys), whole)), Hosts: []string{"media.example.org"},
			})
			if e.SignedURL != signed {
				t.Errorf("%s: %+v", signed, e)
			}
		}
	}
	// A query that the request has is tried with each candidate too.
	u := must(signerOf(rsaID, rsaKey()).SignURL("https://h/other/thing.bin?dl=1", noon))
	e := explained(t, Request{URL: strings.Replace(u, "other/thing.bin", "wholly/different", 1), Time: before}, ExplainConfig{Candidates: slices.Values(keys)})
	if e.SignedURL != "https://h/other/thing.bin?dl=1" {
		t.Errorf("%+v", e)
	}
}

// TestExplainWildcard: a pattern signed with a canned policy, then used for a file under it, as the AWS
// CLI invites one to.
func TestExplainWildcard(t *testing.T) {
	for _, s := range bothSigners() {
		for _, pattern := range []string{"https://h/uploads/*", "https://h/*", "https://h/uploads/2031/*"} {
			u := must(s.SignURLAWSCLI(pattern, Policy{NotAfter: noon}))
			e := explained(t, Request{URL: strings.Replace(u, pattern, "https://h/uploads/2031/report.pdf", 1), Time: before}, ExplainConfig{})
			if e.SignedURL != pattern {
				t.Errorf("%s: %+v", pattern, e)
			}
			contains(t, e.Hint, "custom policy")
		}
	}
}

// TestExplainRawLetters: the AWS CLI signs raw letters as \uXXXX, and clients send them percent-encoded.
func TestExplainRawLetters(t *testing.T) {
	u := must(signerOf(rsaID, rsaKey()).SignURLAWSCLI("https://h/보고서 1.pdf", Policy{NotAfter: noon}))
	r := Request{URL: strings.Replace(u, "/보고서 1.pdf", EncodePath("보고서 1.pdf"), 1), Time: before}
	contains(t, explained(t, r, ExplainConfig{}).Sentence, `\uXXXX`, "percent-encode the URL before signing")
}

// TestExplainOtherText: the URL and the expiry are right, but the text that was signed is not the canned
// policy's.
func TestExplainOtherText(t *testing.T) {
	const u = "https://h/a/b?c=1&d=2"
	n := noon.Unix()
	for _, c := range []struct{ text, part string }{
		{fmt.Sprintf(`{"Statement": [{"Resource": "%s", "Condition": {"DateLessThan": {"AWS:EpochTime": %d}}}]}`, u, n), "json.dumps"},
		{fmt.Sprintf(`{"Statement":[{"Resource":"%s","Condition":{"DateLessThan":{"AWS:EpochTime":%d}}}]}`+"\n", u, n), "newline"},
		{fmt.Sprintf(`{"Statement":[{"Resource":"%s","Condition":{"DateLessThan":{"AWS:EpochTime":%d}}}]}`, strings.ReplaceAll(u, "/", `\/`), n), "json_encode"},
		{fmt.Sprintf(`{"Statement":[{"Resource":"%s","Condition":{"DateLessThan":{"AWS:EpochTime":%d}}}]}`, strings.ReplaceAll(u, "&", `\u0026`), n), "SetEscapeHTML"},
		{fmt.Sprintf(`{"Statement":[{"Condition":{"DateLessThan":{"AWS:EpochTime":%d}},"Resource":"%s"}]}`, n, u), "Condition stands before"},
		{fmt.Sprintf(`{"Statement":[{"Resource":"%s","Condition":{"DateLessThan":{"AWS:EpochTime":"%d"}}}]}`, u, n), "quotation marks"},
		{fmt.Sprintf(`{"Statement":{"Resource":"%s","Condition":{"DateLessThan":{"AWS:EpochTime":%d}}}}`, u, n), "object instead of an array"},
		{EncodeText(must(CannedPolicy(u, noon))), "base64 of the policy"},
		{u, "URL alone"},
	} {
		for _, s := range bothSigners() {
			signed := must(s.join(u, fmt.Sprint("Expires=", n), []byte(c.text)))
			e := explained(t, Request{URL: signed, Time: before}, ExplainConfig{})
			if e.SignedURL != u {
				t.Errorf("%s: %+v", c.part, e)
			}
			contains(t, e.Sentence, c.part, "for this URL and expiry")
		}
	}
}

// TestExplainAlteredPolicy: what is sent is not what was signed.
func TestExplainAlteredPolicy(t *testing.T) {
	policy := string(must(Policy{Resource: "https://h/a/*", NotAfter: noon, SourceIP: netip.MustParsePrefix("10.0.0.0/8")}.Encode()))
	for _, c := range []struct {
		name, signed, sent, part string
		rsaOnly                  bool
	}{
		{"the resource", policy, strings.Replace(policy, "/a/*", "/*", 1), "over a policy for https://h/a/*", false},
		{"a letter of the resource", policy, strings.Replace(policy, "/a/*", "/b/*", 1), "character 2 of the path is 'b' here and 'a' there", false},
		{"the expiry", policy, strings.Replace(policy, fmt.Sprint(noon.Unix()), fmt.Sprint(noon.Unix()+1_000_000_000), 1), fmt.Sprint("with the expiry ", noon.Unix()), false},
		{"the address", policy, strings.Replace(policy, "10.0.0.0/8", "10.0.0.0/0", 1), "'0' here and '8' there", false},
		{"white space", policy, strings.Replace(policy, ",", ", ", 1), "white space was taken away", false},
		{"newline", policy + "\n", policy, "newline was added", false},
		{"base64", EncodeText([]byte(policy)), policy, "base64 of the policy", false},
		{"canned", string(appendCanned(nil, "https://h/a/*", noon.Unix())), policy, "canned policy was signed", false},
		{"slashes", strings.ReplaceAll(policy, "/", `\/`), policy, "json_encode", false},
	} {
		for _, s := range bothSigners() {
			if c.rsaOnly && s.KeyPairID == ecID {
				continue
			}
			t.Run(c.name+" "+s.KeyPairID, func(t *testing.T) {
				u := "https://h/a/b?Policy=" + EncodeText([]byte(c.sent)) + "&Signature=" + EncodeText(must(s.SignPolicy([]byte(c.signed)))) +
					"&Key-Pair-Id=" + s.KeyPairID + "&Hash-Algorithm=SHA256"
				if strings.Contains(c.sent, "/b/*") {
					u = strings.Replace(u, "/a/b", "/b/b", 1)
				}
				e := explained(t, Request{URL: u, Time: before, ViewerIP: netip.MustParseAddr("10.1.1.1")}, ExplainConfig{})
				if e.Cause != CauseSignature {
					t.Fatalf("%+v", e)
				}
				contains(t, e.String(), c.part)
			})
		}
	}
}

func TestExplainHashAlgorithm(t *testing.T) {
	for _, s := range bothSigners() {
		signed := must(s.SignURL(goodURL, noon))
		e := explained(t, Request{URL: strings.Replace(signed, "&Hash-Algorithm=SHA256", "", 1), Time: before}, ExplainConfig{})
		contains(t, e.Sentence, "is made over SHA256", "Hash-Algorithm is missing", "send Hash-Algorithm=SHA256")
		e = explained(t, Request{URL: strings.Replace(signed, "=SHA256", "=SHA1", 1), Time: before}, ExplainConfig{})
		contains(t, e.Sentence, "is made over SHA256", "Hash-Algorithm says SHA1")
		s.Hash = SHA1
		e = explained(t, Request{URL: must(s.SignURL(goodURL, noon)) + "&Hash-Algorithm=SHA256", Time: before}, ExplainConfig{})
		contains(t, e.Sentence, "is made over SHA1", "says SHA256", "leave it out")
		if e.Want != "SHA1" || e.Got != "SHA256" {
			t.Errorf("%+v", e)
		}
	}
	e := explained(t, Request{URL: must(signerOf(rsaID, rsaKey()).SignURL(goodURL, noon)) + "x", Time: before}, ExplainConfig{})
	contains(t, e.Sentence, `"SHA256x"`, "must be SHA1 or SHA256")
	// Another digest altogether.
	text := must(CannedPolicy(goodURL, noon))
	for name, h := range map[string]crypto.Hash{"SHA512": crypto.SHA512, "SHA384": crypto.SHA384} {
		d := h.New()
		d.Write(text)
		sig := must(rsa.SignPKCS1v15(rand.Reader, rsaKey(), h, d.Sum(nil)))
		e := explained(t, Request{URL: fmt.Sprintf("%s?Expires=%d&Signature=%s&Key-Pair-Id=%s", goodURL, noon.Unix(), EncodeText(sig), rsaID), Time: before}, ExplainConfig{})
		contains(t, e.Sentence, "made over "+name, "CloudFront knows SHA1 and SHA256")
	}
}

// TestExplainForeignSignature: signatures that the key in the URL did not make.
func TestExplainForeignSignature(t *testing.T) {
	known := testKeys(t)
	known["KOTHERRSA1234"] = must(NewKey(otherRSA().Public()))
	known["KOTHEREC12345"] = must(NewKey(otherEC().Public()))
	config := ExplainConfig{Verifier: &Verifier{Keys: keysOf(testKeys(t))}, KnownKeys: known}
	link := func(s *Signer, claimed string) Request {
		u := must(s.SignURL(goodURL, noon))
		return Request{URL: strings.Replace(u, s.KeyPairID, claimed, 1), Time: before}
	}
	for _, c := range []struct {
		s       *Signer
		claimed string
	}{
		{signerOf("KOTHERRSA1234", otherRSA()), rsaID}, {signerOf("KOTHEREC12345", otherEC()), ecID},
		{signerOf("KOTHERRSA1234", otherRSA()), ecID}, {signerOf("KOTHEREC12345", otherEC()), rsaID},
		{signerOf(rsaID, rsaKey()), ecID}, {signerOf(ecID, ecKey()), rsaID},
	} {
		e := explained(t, link(c.s, c.claimed), config)
		if e.Want != c.s.KeyPairID || e.Got != c.claimed || e.Section != "Key-Pair-Id" {
			t.Errorf("%s as %s: %+v", c.s.KeyPairID, c.claimed, e)
		}
		contains(t, e.Sentence, "made with the key "+c.s.KeyPairID, "says "+c.claimed)
	}
	// RSA tells that another key signed even if the URL was altered as well.
	r := link(signerOf("KOTHERRSA1234", otherRSA()), rsaID)
	r.URL = strings.Replace(r.URL, "report", "something", 1)
	contains(t, explained(t, r, config).Sentence, "made with the key KOTHERRSA1234")

	// Nobody's.
	config.KnownKeys = nil
	e := explained(t, link(signerOf("KOTHERRSA1234", otherRSA()), rsaID), config)
	contains(t, e.Sentence, "none that the key "+rsaID+" made, for this URL or any other")
	e = explained(t, link(signerOf("KOTHEREC12345", otherEC()), ecID), config)
	contains(t, e.String(), "another private key looks the same")
	e = explained(t, link(signerOf("KOTHEREC12345", otherEC()), rsaID), config)
	contains(t, e.Hint, "256 bytes")

	// PSS instead of PKCS#1 v1.5, and the two numbers raw instead of DER.
	text := must(CannedPolicy(goodURL, noon))
	digest := sha256Sum(text)
	pss := must(rsa.SignPSS(rand.Reader, rsaKey(), crypto.SHA256, digest[:], nil))
	var v struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(must(ecdsa.SignASN1(rand.Reader, ecKey(), digest[:])), &v); err != nil {
		t.Fatal(err)
	}
	raw := append(v.R.FillBytes(make([]byte, 32)), v.S.FillBytes(make([]byte, 32))...)
	for _, c := range []struct {
		sig  []byte
		id   string
		part string
	}{{pss, rsaID, "PSS"}, {raw, ecID, "DER"}} {
		e := explained(t, Request{URL: fmt.Sprintf("%s?Expires=%d&Signature=%s&Key-Pair-Id=%s&Hash-Algorithm=SHA256", goodURL, noon.Unix(), EncodeText(c.sig), c.id), Time: before}, config)
		contains(t, e.Hint, c.part)
	}
}

// TestExplainSignatureAboveModulus: s + N opens to what s opens to, and is no signature all the same (RFC
// 8017 section 5.2.2).
func TestExplainSignatureAboveModulus(t *testing.T) {
	n := rsaKey().N
	for i := 0; ; i++ {
		u := fmt.Sprintf("https://h/%d", i)
		s := new(big.Int).SetBytes(must(signerOf(rsaID, rsaKey()).SignPolicy(must(CannedPolicy(u, noon)))))
		if s.Add(s, n).BitLen() > 2048 {
			continue
		}
		link := fmt.Sprintf("%s?Expires=%d&Signature=%s&Key-Pair-Id=%s&Hash-Algorithm=SHA256", u, noon.Unix(), EncodeText(s.Bytes()), rsaID)
		e := explained(t, Request{URL: link, Time: before}, ExplainConfig{})
		if e.Cause != CauseSignature {
			t.Fatalf("%+v", e)
		}
		contains(t, e.Sentence, "none that the key "+rsaID+" made")
		return
	}
}

// TestExplainNotFound: no guess fits, and the answer says what is certain all the same.
func TestExplainNotFound(t *testing.T) {
	for _, s := range bothSigners() {
		u := must(s.SignURL("https://h/r", noon))
		r := Request{URL: strings.Replace(u, "h/r", "h/wxyz", 1), Time: before}
		e := explained(t, r, ExplainConfig{})
		if e.SignedURL != "" || e.Tried < 10_000 {
			t.Errorf("%+v", e)
		}
		contains(t, e.Sentence, fmt.Sprint(e.Tried), "none of the")
		if s.KeyPairID == rsaID {
			contains(t, e.Sentence, "The key "+rsaID+" made this signature, but not over this URL")
		} else {
			contains(t, e.Sentence, "does not belong to")
		}
	}
}

// TestSearchIsBounded gives the search all it could want, and counts.
func TestSearchIsBounded(t *testing.T) {
	long := "https://d111111abcdef8.cloudfront.net/" + strings.Repeat("a1b2/", 300) + "?" + strings.Repeat("c=3&", 200) + "d"
	read := 0
	endless := func(yield func(string) bool) {
		for yield(fmt.Sprintf("object-%d", read)) {
			read++
		}
	}
	for i, s := range bothSigners() {
		read = 0
		_, params, _ := strings.Cut(must(s.SignURL(goodURL, noon)), "?")
		e := explainer{r: &Request{URL: long + "&" + params, Time: before}, c: &ExplainConfig{Candidates: endless}}
		if got := e.x.run(&Verifier{Keys: keysOf(testKeys(t))}, e.r); got != CauseSignature {
			t.Fatal(got)
		}
		search := newSearch(&e, openSignature(e.x.key, e.x.sig(), e.x.hash))
		if want := []int{searchRSA, searchECDSA}[i]; search.limit != want {
			t.Errorf("limit %d, want %d", search.limit, want)
		}
		search.limit = 5_000 // the search is the same with a smaller bound, and the race detector is slow
		if h, found := search.run(); found {
			t.Fatalf("found %+v", h)
		}
		if search.tried > search.limit || !search.exhausted {
			t.Errorf("%d tried, exhausted %v", search.tried, search.exhausted)
		}
		if read == 0 || read > search.limit {
			t.Errorf("%d candidates read", read)
		}
	}
}

// TestOpenECDSA compares the guess by one multiplication with the verification it stands for.
func TestOpenECDSA(t *testing.T) {
	for i := range 20 {
		text := fmt.Appendf(nil, "text %d", i)
		for _, h := range []Hash{SHA1, SHA256} {
			digest := h.digest(text, new([32]byte))
			sig := must(ecKey().Sign(rand.Reader, digest, h.crypto()))
			o := openSignature(must(NewKey(ecKey().Public())), sig, h)
			if !o.ok || o.proven || !o.hits(h, text) || o.hits(h, []byte("another")) || o.hits(3-h, text) {
				t.Fatalf("%d %v: %+v", i, h, o)
			}
			if o := openSignature(must(NewKey(otherEC().Public())), sig, h); o.hits(h, text) {
				t.Fatal("another key's point fits")
			}
		}
	}
	key := must(NewKey(ecKey().Public()))
	n := ecKey().Params().N
	der := func(r, s *big.Int) []byte { return must(asn1.Marshal(struct{ R, S *big.Int }{r, s})) }
	for name, sig := range map[string][]byte{
		"empty": nil, "garbage": []byte("garbage"), "zero": der(new(big.Int), big.NewInt(1)), "negative": der(big.NewInt(-1), big.NewInt(1)),
		"too large": der(n, big.NewInt(1)), "s zero": der(big.NewInt(5), new(big.Int)), "trailing": append(der(big.NewInt(5), big.NewInt(1)), 0),
	} {
		if o := openSignature(key, sig, SHA1); o.ok {
			t.Errorf("%s opened", name)
		}
	}
}

// TestExplainSentences pins the words for every other cause: the two values, and what to do.
func TestExplainSentences(t *testing.T) {
	type maker func(t *testing.T) (Request, ExplainConfig)
	with := func(f func(*link)) maker {
		return func(t *testing.T) (Request, ExplainConfig) {
			l := goodLink(false)
			f(&l)
			r, v := l.request(t)
			return r, ExplainConfig{Verifier: v, KnownKeys: testKeys(t)}
		}
	}
	plain := func(url string, cookies ...string) maker {
		return func(t *testing.T) (Request, ExplainConfig) {
			return Request{URL: url, Cookies: cookies, Time: noon}, ExplainConfig{Verifier: &Verifier{Keys: keysOf(testKeys(t))}}
		}
	}
	text := func(text string) maker {
		return with(func(l *link) { l.policyValue = to(EncodeText([]byte(text))) })
	}
	custom := func(p Policy, at time.Time, ip, url string) maker {
		return with(func(l *link) {
			l.policy, l.at, l.url = string(must(p.Encode())), at, url
			if ip != "" {
				l.ip = ip
			}
		})
	}
	covers := func(resource, url string) maker {
		return custom(Policy{Resource: resource, NotAfter: noon.Add(time.Hour)}, noon, "", url)
	}
	from := func(source, viewer string) maker {
		return custom(Policy{Resource: goodURL, NotAfter: noon.Add(time.Hour), SourceIP: netip.MustParsePrefix(source)}, noon, viewer, goodURL)
	}
	until := func(end, at time.Time) maker {
		return custom(Policy{Resource: goodURL, NotAfter: end}, at, "", goodURL)
	}
	jar := "CloudFront-Policy=a; CloudFront-Signature=b; CloudFront-Key-Pair-Id=c"
	midnight := time.Date(2031, 5, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name  string
		make  maker
		cause Cause
		want  string
		got   string
		parts []string
	}{
		{"unsigned", plain(goodURL), CauseUnsigned, "", "none", []string{"sign the URL"}},
		{"wrong case", plain(goodURL + "?expires=1&signature=2"), CauseUnsigned, "", "", []string{"case-sensitive", "expires must be written Expires"}},
		{"cookie in wrong case", plain(goodURL, "cloudfront-policy=x"), CauseUnsigned, "", "", []string{"the cookie cloudfront-policy must be called CloudFront-Policy"}},
		{"S3 presigned", plain(goodURL + "?X-Amz-Signature=abc"), CauseUnsigned, "", "", []string{"presigned for S3"}},
		{"cut by the shell", plain(goodURL + "?Expires=1"), CauseKeyIDMissing, "", "", []string{"Expires, but", "quotation marks in the shell"}},
		{"out of HTML", plain(goodURL + "?Expires=1&amp;Signature=2&amp;Key-Pair-Id=3"), CauseKeyIDMissing, "", "", []string{"&amp;"}},
		{"application's parameter", plain(goodURL+"?Policy=terms", jar), CauseKeyIDMissing, "", "", []string{"Policy in the query makes it a signed URL"}},
		{"only some cookies", plain(goodURL, "CloudFront-Policy=x"), CauseKeyIDMissing, "", "", []string{"the cookie CloudFront-Key-Pair-Id is missing", "Path, Domain"}},
		{"key id in wrong case", plain(goodURL + "?Policy=a&key-pair-id=b"), CauseKeyIDMissing, "", "", []string{"must be written Key-Pair-Id"}},
		{"PEM as key id", with(func(l *link) { l.keyID = to("-----BEGIN%20RSA%20PRIVATE%20KEY-----%0AMIIE") }), CauseKeyIDImplausible, "K2JCJMDEHXQW5F", "", []string{"looks like a PEM", "replace that key"}},
		{"ARN as key id", with(func(l *link) { l.keyID = to("arn:aws:kms:x") }), CauseKeyIDImplausible, "", "", []string{"ARN"}},
		{"key id twice", with(func(l *link) { l.extra = "&Key-Pair-Id=x" }), CauseKeyIDRepeated, "one", "2", []string{"2 times"}},
		{"unknown key", with(func(l *link) { l.keyID = to("KNOBODYSKEY12") }), CauseKeyUnknown, "", "KNOBODYSKEY12", []string{"no key with the id KNOBODYSKEY12"}},
		{"misspelt key", with(func(l *link) { l.keyID = to(strings.Replace(rsaID, "2048", "2084", 1)) }), CauseKeyUnknown, rsaID, "", []string{"is " + rsaID + " meant"}},
		{"IAM key", with(func(l *link) { l.keyID = to("AKIAIOSFODNN7EXAMPLE") }), CauseKeyUnknown, "", "", []string{"IAM access key"}},
		{"key group's id", with(func(l *link) { l.keyID = to("5e0d4a2c-0000-4000-8000-000000000000") }), CauseKeyUnknown, "", "", []string{"key group"}},
		{"distribution's id", with(func(l *link) { l.keyID = to("E1AF7RGB6EXAMPLE") }), CauseKeyUnknown, "", "", []string{"distribution"}},
		{"known elsewhere", func(t *testing.T) (Request, ExplainConfig) {
			r, _ := goodLink(false).request(t)
			return r, ExplainConfig{Verifier: &Verifier{}, KnownKeys: testKeys(t)}
		}, CauseKeyUnknown, "", rsaID, []string{"exists, but no key group"}},
		{"base64url", with(func(l *link) { l.sig = to("ab_cd-ef") }), CauseSignatureEncoding, "", "", []string{"character 3 of 8", "base64url"}},
		{"standard base64", with(func(l *link) { l.sig = to("ab+/cd==") }), CauseSignatureEncoding, "", "", []string{"character 3 of 8", "standard base64"}},
		{"plus decoded on the way", with(func(l *link) { l.sig = to("ab%20d") }), CauseSignatureEncoding, "", "", []string{"white space", "decoded on the way"}},
		{"cut signature", with(func(l *link) { l.sig = to("abcde") }), CauseSignatureEncoding, "", "", []string{"cut short"}},
		{"long signature", with(func(l *link) { l.sig = to(strings.Repeat("a", 1000)) }), CauseSignatureEncoding, "684", "1000", []string{"1000 characters"}},
		{"signature twice", with(func(l *link) { l.extra = "&Signature=x" }), CauseSignatureRepeated, "one", "2", []string{"signed again"}},
		{"no signature", with(func(l *link) { l.sig = to("") }), CauseSignatureMissing, "", "none", []string{"Signature is missing"}},
		{"hash in small letters", with(func(l *link) { l.hash = to("sha-256") }), CauseHashAlgorithm, "SHA1 or SHA256", "sha-256", []string{"capitals"}},
		{"hash twice", with(func(l *link) { l.extra = "&Hash-Algorithm=SHA256" }), CauseHashAlgorithm, "one", "2", nil},
		{"policy in base64url", with(func(l *link) { l.policyValue = to("ey_-JT") }), CausePolicyEncoding, "", "", []string{"character 3 of 6", "base64url"}},
		{"policy object", text(`{"Statement":{"Resource":"*"}}`), CausePolicyShape, "", "", []string{"Statement is an object", "[{"}},
		{"policy in ms", text(`{"Statement":[{"Resource":"*","Condition":{"DateLessThan":{"AWS:EpochTime":1935403200000}}}]}`), CausePolicyEpoch, "", "", []string{"milliseconds; in seconds it is 1935403200"}},
		{"policy cut", text(`{"Statement":[{"Resource":"*","Cond`), CausePolicySyntax, "", "", []string{"cut short"}},
		{"Expires in ms", plain(goodURL + "?Expires=1935403200000&Signature=AAAA&Key-Pair-Id=" + rsaID), CausePolicyEpoch, "9223372036", "1935403200000", []string{"in seconds it is 1935403200"}},
		{"Expires a date", plain(goodURL + "?Expires=2031-05-01&Signature=AAAA&Key-Pair-Id=" + rsaID), CausePolicyEpoch, "", "2031-05-01", []string{"digits only"}},
		{"no policy", plain(goodURL + "?Signature=AAAA&Key-Pair-Id=" + rsaID), CausePolicyMissing, "Expires or Policy", "neither", nil},

		{"host", covers("https://media.example.org/*", goodURL), CauseResource, "https://media.example.org/*", goodURL, []string{"host is d111111abcdef8.cloudfront.net here and media.example.org there"}},
		{"scheme", covers("http://d111111abcdef8.cloudfront.net/*", goodURL), CauseResource, "", "", []string{"protocol is https here and http there"}},
		{"port", covers("https://d111111abcdef8.cloudfront.net:8443/*", goodURL), CauseResource, "", "", []string{"no port here and port 8443 there"}},
		{"path", covers("https://d111111abcdef8.cloudfront.net/uploads/rexort.pdf", goodURL), CauseResource, "", "", []string{"character 12 of the path is 'p' here and 'x' there"}},
		{"path re-encoded", covers("https://h/a+b", "https://h/a%20b"), CauseResource, "", "", []string{"percent-encoded"}},
		{"path's case", covers("https://h/A", "https://h/a"), CauseResource, "", "", []string{"upper and lower case"}},
		{"path's slash", covers("https://h/a", "https://h/a/"), CauseResource, "", "", []string{"slash at the end"}},
		{"NFC and NFD", covers("https://h"+EncodePath("한"), "https://h"+EncodePath("\u1112\u1161\u11ab")), CauseResource, "", "", []string{"NFC", "NFD"}},
		{"pattern", covers("https://h/a/*.pdf", "https://h/a/b.png"), CauseResource, "", "", []string{"does not fit the pattern /a/*.pdf"}},
		{"question mark", covers("https://h/a?.pdf", "https://h/ab.png"), CauseResource, "", "", []string{`write \?`}},

		{"expired", until(noon, noon.Add(3*time.Hour+12*time.Minute)), CauseExpired, "2031-05-01T12:00:00Z", "2031-05-01T15:12:00Z", []string{"3 hours 12 minutes later", "sign a new one"}},
		{"expired at midnight UTC", until(midnight, noon), CauseExpired, "2031-05-01T00:00:00Z", "", []string{"midnight UTC", "09:00 in Seoul"}},
		{"expired just now", until(noon, noon.Add(time.Minute)), CauseExpired, "", "", []string{"clocks"}},
		{"a span as expiry", until(time.Unix(604800, 0), noon), CauseExpired, "", "", []string{"looks like a span (7 days)"}},
		{"a date as expiry", until(time.Unix(20310501, 0), noon), CauseExpired, "", "", []string{"date without dashes"}},
		{"not yet", custom(Policy{Resource: goodURL, NotAfter: noon.Add(time.Hour), NotBefore: noon.Add(time.Minute)}, noon, "", goodURL), CauseNotYet, "after 2031-05-01T12:01:00Z", "2031-05-01T12:00:00Z", []string{"1 minute too early", "clock may be ahead"}},
		{"not yet, midnight", custom(Policy{Resource: goodURL, NotAfter: noon.Add(24 * time.Hour), NotBefore: midnight.Add(24 * time.Hour)}, noon, "", goodURL), CauseNotYet, "", "", []string{"midnight UTC"}},
		{"address", from("198.51.100.0/24", "192.0.2.7"), CauseAddress, "198.51.100.0/24", "192.0.2.7", nil},
		{"IPv6 viewer", from("198.51.100.0/24", "2001:db8::1"), CauseAddress, "", "2001:db8::1", []string{"can only name IPv4"}},
		{"behind a proxy", from("198.51.100.0/24", "10.0.0.1"), CauseAddress, "", "", []string{"proxy"}},
		{"private address signed", from("10.0.0.0/24", "192.0.2.7"), CauseAddress, "", "", []string{"private address"}},
		{"a neighbour's address", from("192.0.2.9/32", "192.0.2.7"), CauseAddress, "", "", []string{"/24"}},
		{"revoked", with(func(l *link) { l.revoked = true }), CauseRevoked, "", "", []string{"was revoked"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, config := c.make(t)
			e := explained(t, r, config)
			if e.Cause != c.cause {
				t.Fatalf("%v: %s", e.Cause, e)
			}
			contains(t, e.Want, c.want)
			contains(t, e.Got, c.got)
			contains(t, e.String(), c.parts...)
			if !strings.HasSuffix(e.Sentence, ".") || strings.Contains(e.Sentence, "%!") || strings.HasSuffix(e.Hint, ".") {
				t.Errorf("badly made: %s", e)
			}
		})
	}
	r, config := covers("https://h/a", "https://h/a")(t)
	r.URL = strings.Replace(r.URL, "?", "?dl=1&", 1)
	e := explained(t, r, config)
	contains(t, e.String(), "the query ?dl=1 here and no query there", "end the path in *")
}

// TestNothingTellsASignature looks for the signature in everything that is said about it.
func TestNothingTellsASignature(t *testing.T) {
	for _, f := range faults {
		for _, cookies := range []bool{false, true} {
			if cookies && f.group == "url" {
				continue
			}
			l := goodLink(cookies)
			f.put(&l)
			r, v := l.request(t)
			e := (&explainer{r: &r, c: &ExplainConfig{Verifier: v, KnownKeys: testKeys(t)}}).run(2_000)
			_, err := v.Verify(r)
			all := fmt.Sprintf("%s %+v %v %+v", e, e, err, err)
			for _, s := range append([]string{r.URL}, r.Cookies...) {
				i := strings.Index(s, "Signature=")
				if i < 0 {
					continue
				}
				value, _, _ := strings.Cut(s[i+len("Signature="):], "&")
				value, _, _ = strings.Cut(value, ";")
				for at := 0; at+12 <= len(value); at++ {
					if strings.Contains(all, value[at:at+12]) {
						t.Fatalf("%v: %q is in %s", f.cause, value[at:at+12], all)
					}
				}
			}
		}
	}
}

// FuzzExplain: Explain never panics, always has something to say, and its cause is always Verify's.
func FuzzExplain(f *testing.F) {
	for _, v := range vectors[:6] {
		f.Add(v.url, v.cookies, v.at, v.ip)
	}
	for i, ft := range faults {
		l := goodLink(i%2 == 0 && ft.group != "url")
		ft.put(&l)
		r, _ := l.request(f)
		f.Add(r.URL, strings.Join(r.Cookies, ";"), noon.Unix(), "192.0.2.7")
	}
	f.Add("", "", int64(0), "")
	f.Add("https://h/?Expires=1&Signature=&Key-Pair-Id=", "CloudFront-Policy", int64(1), "::1")
	keys := vectorKeys(f)
	for id, k := range testKeys(f) {
		keys[id] = k
	}
	f.Fuzz(func(t *testing.T, u, cookies string, at int64, ip string) {
		r := Request{URL: u, Cookies: []string{cookies}, Time: time.Unix(at%(1<<40), 0)}
		if a, err := netip.ParseAddr(ip); err == nil {
			r.ViewerIP = a
		}
		v := &Verifier{Keys: keysOf(keys)}
		_, err := v.Verify(r)
		e := explainer{r: &r, c: &ExplainConfig{Verifier: v, KnownKeys: keys, Hosts: []string{"x"}, Candidates: slices.Values([]string{"a", "/b", "http://c/d"})}}
		out := e.run(300) // the search with a bound for a fuzzer's patience
		if out.Cause != causeOf(err) || out.Allowed != (err == nil) || out.Sentence == "" || out.Allowed != (out.Code == 0) {
			t.Fatalf("%+v, and Verify says %v", out, err)
		}
	})
}
