package signed

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// Run with: go test -run '^$' -bench . -benchmem ./signed

func BenchmarkSign(b *testing.B) {
	for name, s := range map[string]*Signer{"RSA": signerOf(rsaID, rsaKey()), "ECDSA": signerOf(ecID, ecKey())} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.SignURL(goodURL, noon); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// verifications are the links that an edge meets.
func verifications(b *testing.B) (map[string]Request, *Verifier) {
	custom := Policy{Resource: "https://d111111abcdef8.cloudfront.net/uploads/*", NotAfter: noon, NotBefore: noon.Add(-2 * time.Hour), SourceIP: netip.MustParsePrefix("192.0.2.0/24")}
	r := func(url string, cookies ...string) Request {
		return Request{URL: url, Cookies: cookies, Time: before, ViewerIP: netip.MustParseAddr("192.0.2.7")}
	}
	var jar []string
	for _, c := range must(signerOf(ecID, ecKey()).Cookies(custom, CookieOptions{})) {
		jar = append(jar, c.Name+"="+c.Value)
	}
	return map[string]Request{
		"RSA-canned":    r(must(signerOf(rsaID, rsaKey()).SignURL(goodURL, noon))),
		"RSA-custom":    r(must(signerOf(rsaID, rsaKey()).SignURLPolicy(goodURL, custom))),
		"ECDSA-canned":  r(must(signerOf(ecID, ecKey()).SignURL(goodURL, noon))),
		"ECDSA-cookies": r(goodURL, "session=0123456789; "+strings.Join(jar, "; ")),
	}, &Verifier{Keys: keysOf(testKeys(b)), Revoked: func(GrantID) bool { return false }}
}

func BenchmarkVerify(b *testing.B) {
	requests, v := verifications(b)
	for name, r := range requests {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Verify(r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkVerifyCached is what every request after the first costs: no public-key operation.
func BenchmarkVerifyCached(b *testing.B) {
	requests, v := verifications(b)
	v.Verdicts = NewVerdictCache(10_000)
	for name, r := range requests {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Verify(r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkRefuse is what a stranger's request costs.
func BenchmarkRefuse(b *testing.B) {
	v := &Verifier{Keys: keysOf(testKeys(b))}
	r := Request{URL: goodURL, Time: before}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(r); err == nil {
			b.Fatal("allowed")
		}
	}
}

func BenchmarkMatch(b *testing.B) {
	for name, resource := range map[string]string{
		"literal": goodURL, "prefix": "https://d111111abcdef8.cloudfront.net/uploads/*", "inside": "https://*.cloudfront.net/up*/*port?.pdf",
	} {
		b.Run(name, func(b *testing.B) {
			u := strings.Replace(goodURL, "report", "report1", 1)
			if name == "literal" {
				u = goodURL
			}
			b.ReportAllocs()
			for b.Loop() {
				if !MatchResource(resource, u) && name != "inside" {
					b.Fatal("no match")
				}
			}
		})
	}
	b.Run("hostile", func(b *testing.B) {
		resource, u := "https://h/*"+strings.Repeat("a?", 1500)+"b*", "https://h/"+strings.Repeat("a", 4000)
		b.ReportAllocs()
		for b.Loop() {
			if MatchResource(resource, u) {
				b.Fatal("match")
			}
		}
	})
}

func BenchmarkExplain(b *testing.B) {
	for name, s := range map[string]*Signer{"RSA": signerOf(rsaID, rsaKey()), "ECDSA": signerOf(ecID, ecKey())} {
		for what, change := range map[string][2]string{"letter": {"report", "rexort"}, "hopeless": {"report", "somewhere-else"}} {
			b.Run(name+"-"+what, func(b *testing.B) {
				r := Request{URL: strings.Replace(must(s.SignURL(goodURL, noon)), change[0], change[1], 1), Time: before}
				c := ExplainConfig{Verifier: &Verifier{Keys: keysOf(testKeys(b))}, Candidates: slices.Values([]string{"a", "b"})}
				for b.Loop() {
					if e := Explain(r, c); e.Allowed {
						b.Fatal("allowed")
					}
				}
			})
		}
	}
}
