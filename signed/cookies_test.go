package signed

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestCookieAttributes(t *testing.T) {
	s := signerOf(rsaID, rsaKey())
	cookies := must(s.Cookies(Policy{Resource: "https://h/*", NotAfter: noon}, CookieOptions{}))
	var names []string
	for _, c := range cookies {
		names = append(names, c.Name)
		if !c.Secure || !c.HttpOnly || c.Path != "/" || c.Domain != "" || c.SameSite != http.SameSiteLaxMode || !c.Expires.IsZero() || c.MaxAge != 0 {
			t.Errorf("%s has careless attributes: %s", c.Name, strings.Replace(c.String(), c.Value, "…", 1))
		}
		if err := c.Valid(); err != nil || strings.Contains(c.String(), `"`) {
			t.Errorf("%s: %v", c.Name, err)
		}
	}
	if got := strings.Join(names, " "); got != "CloudFront-Policy CloudFront-Signature CloudFront-Key-Pair-Id CloudFront-Hash-Algorithm" {
		t.Error(got)
	}
	s.Hash = SHA1
	cookies = must(s.CannedCookies(goodURL, noon, CookieOptions{Domain: "example.com", Path: "/videos/", SameSite: http.SameSiteNoneMode}))
	if len(cookies) != 3 || cookies[0].Name != "CloudFront-Expires" || cookies[0].Value != "1935403200" {
		t.Errorf("%v", cookies[0])
	}
	for _, c := range cookies {
		if c.Domain != "example.com" || c.Path != "/videos/" || c.SameSite != http.SameSiteNoneMode || !c.Secure {
			t.Errorf("%s: the options were not used", c.Name)
		}
	}
	for _, c := range must(s.CannedCookies(goodURL, noon, CookieOptions{Insecure: true})) {
		if c.Secure || !c.HttpOnly {
			t.Errorf("%s: Insecure means no Secure and nothing else", c.Name)
		}
	}
}

func TestCookieOptionsRefused(t *testing.T) {
	s := signerOf(rsaID, rsaKey())
	for name, o := range map[string]CookieOptions{
		"wildcard path":      {Path: "/images/*"},
		"relative path":      {Path: "images"},
		"wildcard domain":    {Domain: "*.example.com"},
		"all of CloudFront":  {Domain: ".cloudfront.net"},
		"None, insecure":     {SameSite: http.SameSiteNoneMode, Insecure: true},
		"domain with blank":  {Domain: "a b"},
		"path with a break":  {Path: "/a;b"},
		"all of CloudFront2": {Domain: "cloudfront.net"},
	} {
		if _, err := s.Cookies(Policy{Resource: "*", NotAfter: noon}, o); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	if _, err := s.Cookies(Policy{NotAfter: noon}, CookieOptions{}); err == nil {
		t.Error("a policy without a resource was signed")
	}
	long := Policy{Resource: "https://h/" + strings.Repeat("a", 3500), NotAfter: noon}
	if _, err := s.Cookies(long, CookieOptions{}); err == nil || !strings.Contains(err.Error(), "4096") {
		t.Errorf("a cookie that no browser keeps: %v", err)
	}
}

// TestCookiesThroughNetHTTP sends the cookies to a jar by a real response, and verifies what comes back.
func TestCookiesThroughNetHTTP(t *testing.T) {
	s := signerOf(ecID, ecKey())
	w := httptest.NewRecorder()
	for _, c := range must(s.Cookies(Policy{Resource: "https://h/v/*", NotAfter: noon}, CookieOptions{})) {
		http.SetCookie(w, c)
	}
	r := httptest.NewRequest("GET", "https://h/v/1.ts", nil)
	r.AddCookie(&http.Cookie{Name: "session", Value: "x"})
	for _, c := range w.Result().Cookies() {
		r.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value})
	}
	request := Request{URL: "https://h/v/1.ts", Cookies: r.Header["Cookie"], Time: noon.Add(-time.Second)}
	checkCause(t, request, &Verifier{Keys: keysOf(testKeys(t))}, CauseNone)
	if got := StripCookies(r.Header.Get("Cookie")); got != "session=x" {
		t.Error(got)
	}
}
