package signed

import (
	"fmt"
	"strings"
	"testing"
)

func TestMatchResource(t *testing.T) {
	for _, c := range []struct {
		resource, url string
		want          bool
	}{
		// The guide's own statements (private-content-creating-signed-url-custom-policy).
		{"https://www.example.com/hello*world", "https://www.example.com/helloworld", true},
		{"https://www.example.com/hello*world", "https://www.example.com/hello-world", true},
		{"https://www.example.com/hello*world", "https://www.example.net/hello?world", false},
		{"https://www.example.com/hello*world", "https://www.example.com/hello?world", false},
		{"http://example.com/hello*", "http://example.com/hello", true},
		{"http://example.com/hello*", "http://example.com/hello/a/b?c=d", true},
		{`http://example.com/hello*\?*`, "http://example.com/hello", true},
		{`http://example.com/hello*\?*`, "http://example.com/hello/a/b?c=d", true},
		{"http://example.com*", "http://example.com/", true},
		{"http://example.com*", "http://example.com/a/b?c=d", true},
		{"http://example.com*", "http://example.com.evil.org/a", true}, // the star is the signer's
		{`http://example.com*/*\?*`, "http://example.com/a/b?c=d", true},
		{"*example.com", "https://www.example.com/", true},
		{"*example.com", "http://example.com/", true},
		{"*example.com", "http://example.com/a", false},
		{"*example.com", "http://example.com/?a", false},
		{"*://*example.com/", "https://www.example.com/", true},
		{"*", "https://d111111abcdef8.cloudfront.net/a/b?c=d", true},
		{"*", "http://h/", true},
		{"https://d111111abcdef8.cloudfront.net/*game_download.zip*", "https://d111111abcdef8.cloudfront.net/game_download.zip", true},
		{"https://d111111abcdef8.cloudfront.net/*game_download.zip*", "https://d111111abcdef8.cloudfront.net/example_game_download.zip?license=yes", true},
		{"https://d111111abcdef8.cloudfront.net/*game_download.zip*", "https://d111111abcdef8.cloudfront.net/a/b/test_game_download.zip?license=temp", true},
		{"https://d111111abcdef8.cloudfront.net/*game_download.zip*", "https://d111111abcdef8.cloudfront.net/game_download.zi", false},
		{"https://d111111abcdef8.cloudfront.net/training/*", "https://d111111abcdef8.cloudfront.net/training/orientation.pdf", true},
		{"https://d111111abcdef8.cloudfront.net/training/*", "https://d111111abcdef8.cloudfront.net/training/", true},
		{"https://d111111abcdef8.cloudfront.net/training/*", "https://d111111abcdef8.cloudfront.net/training", false},
		{"https://*", "https://d111111abcdef8.cloudfront.net/training/orientation.pdf?a", true},
		{"https://*", "http://d111111abcdef8.cloudfront.net/training/orientation.pdf", false},
		{"https://d111111abcdef8.cloudfront.net/images/horizon.jpg?size=large&license=yes", "https://d111111abcdef8.cloudfront.net/images/horizon.jpg?size=large&license=yes", true},
		{`https://d111111abcdef8.cloudfront.net/images/horizon.jpg\?size=large&license=yes`, "https://d111111abcdef8.cloudfront.net/images/horizon.jpg?size=large&license=yes", true},

		// Protocols.
		{"http*://h/a", "http://h/a", true},
		{"http*://h/a", "https://h/a", true},
		{"http*://*", "https://h/a?b", true},
		{"http?://h/a", "https://h/a", true},
		{"http?://h/a", "http://h/a", false},
		{"*://h/a", "http://h/a", true},
		{"*s://h/a", "http://h/a", false},
		{"HTTPS://h/a", "https://h/a", true},
		{"http://h/a", "https://h/a", false},
		{"ftp://h/a", "http://h/a", false},
		{"h/a", "http://h/a", false},
		{"//h/a", "http://h/a", false},
		{"/a", "http://h/a", false},
		{"", "http://h/a", false},
		{"*h/a", "http://h/a", true},
		{"*/a", "http://h/a", true},
		{"*/a", "http://h/b", false},
		{"*h/r?u=http://x/y", "https://h/r?u=http://x/y", true},
		{"://h/a", "http://h/a", false},

		// Domains: lower case, ports, wildcards inside their section only.
		{"https://H.Example.COM/a", "https://h.example.com/a", true},
		{"https://h:443/a", "https://h/a", true},
		{"http://h:80/a", "http://h/a", true},
		{"http://h:443/a", "http://h/a", false},
		{"https://h:8443/a", "https://h:8443/a", true},
		{"https://h:8443/a", "https://h/a", false},
		{"https://h/a", "https://h:8443/a", false},
		{"https://h:*/a", "https://h:8443/a", true},
		{"https://h:*/a", "https://h/a", false},
		{"https://h*/a", "https://h:8443/a", true},
		{"https://*.h/a", "https://x.h/a", true},
		{"https://*.h/a", "https://h/a", false},
		{"https://*.h/a", "https://evil.org/x.h/a", false},
		{"https://h?.x/a", "https://h1.x/a", true},
		{"https://h?.x/a", "https://h.x/a", false},
		{"https://h?.x/a", "https://h/.x/a", false},
		{"https://h", "https://h/", true},
		{"https://h", "https://h/a", false},
		{`https://h\?a=b`, "https://h/?a=b", true},
		{"https://*/a", "https://h/a", true},
		{"https://*/a", "https://h/b/a", false},
		{"https://*/*", "https://h/", true},

		// Paths and queries.
		{"https://h/a", "https://h/a", true},
		{"https://h/a", "https://h/A", false},
		{"https://h/a", "https://h/a/", false},
		{"https://h/a", "https://h/a?b", false},
		{"https://h/a", "https://h/a?", true},
		{"https://h/%7Ea", "https://h/~a", false},
		{"https://h/a%20b", "https://h/a+b", false},
		{"https://h/a%2fb", "https://h/a%2Fb", false},
		{"https://h/*/c", "https://h/a/b/c", true},
		{"https://h/*/c", "https://h/a?/c", false},
		{"https://h/*.m3u8", "https://h/a/b.m3u8", true},
		{"https://h/*.m3u8", "https://h/a/b.m3u8?x", false},
		{"https://h/*.ts*", "https://h/seg1.ts?x=1", true},
		{"https://h/a*?x=*", "https://h/abc?x=1", true},
		{"https://h/a*?x=*", "https://h/abc", false},
		{"https://h/a*?x=*", "https://h/abc?y=1", false},
		{"https://h/*?*", "https://h/abc", true},
		{"https://h/*?*", "https://h/abc?d", true},
		{"https://h/a?b=1", "https://h/a?b=1", true},
		{"https://h/a?b=1", "https://h/a?b=1&c=2", false},
		{"https://h/a?b=1*", "https://h/a?b=1&c=2", true},
		{"https://h/a?b=?", "https://h/a?b=1", true},
		{"https://h/a?b=?", "https://h/a?b=12", false},
		{"https://h/a?b=1?c", "https://h/a?b=1?c", true},

		// One character or the start of the query.
		{"https://h/img?.jpg", "https://h/img1.jpg", true},
		{"https://h/img?.jpg", "https://h/img12.jpg", false},
		{"https://h/img?.jpg", "https://h/img.jpg", false},
		{"https://h/img?.jpg", "https://h/img1.jpg?x", false},
		{"https://h/img?.jpg", "https://h/img?.jpg", true}, // the other reading
		{"https://h/img?.*", "https://h/img1.jpg?x", true},
		{"https://h/dir?/*", "https://h/dir1/a/b?x", true},
		{"https://h/p?flag", "https://h/p?flag", true},
		{"https://h/p?flag", "https://h/p-flag", true},
		{"https://h/p?flag=1", "https://h/p?flag=1", true},
		{"https://h/p?flag=1", "https://h/p-flag=1", false}, // an = says that a query was meant
		{`https://h/img?.jpg\?x=?`, "https://h/img1.jpg?x=2", true},
		{`https://h/img?.jpg\?x=?`, "https://h/img.jpg?x=2", false},
		{`https://h/p\?flag`, "https://h/p?flag", true},
		{`https://h/p\?flag`, "https://h/p-flag", false},
		{`https://h/p\?flag`, `https://h/p\?flag`, false},

		// Requests that are no URLs.
		{"https://h/*", "", false},
		{"https://h/*", "https:///a", false},
		{"https://h/*", "h/a", false},
		{"*", "", true},
	} {
		if got := MatchResource(c.resource, c.url); got != c.want {
			t.Errorf("MatchResource(%q, %q) = %v", c.resource, c.url, got)
		}
		if got := (Policy{Resource: c.resource}).Covers(c.url); c.resource != "" && got != c.want {
			t.Errorf("Covers disagrees on %q, %q", c.resource, c.url)
		}
		// A literal always covers itself.
		if CheckLiteral(c.url) == nil && !MatchResource(c.url, c.url) {
			t.Errorf("%q does not cover itself", c.url)
		}
	}
	if !(Policy{}).Covers("https://h/a?b") {
		t.Error("a policy without a resource does not cover everything")
	}
}

// naiveGlob is glob by its definition.
func naiveGlob(p, s string) bool {
	switch {
	case p == "":
		return s == ""
	case p[0] == '*':
		for i := 0; i <= len(s); i++ {
			if naiveGlob(p[1:], s[i:]) {
				return true
			}
		}
		return false
	}
	return s != "" && (p[0] == '?' || p[0] == s[0]) && naiveGlob(p[1:], s[1:])
}

// TestGlobExhaustively compares every short pattern with every short text.
func TestGlobExhaustively(t *testing.T) {
	var patterns, texts []string
	var grow func(list *[]string, alphabet, prefix string, n int)
	grow = func(list *[]string, alphabet, prefix string, n int) {
		*list = append(*list, prefix)
		if n == 0 {
			return
		}
		for i := range len(alphabet) {
			grow(list, alphabet, prefix+alphabet[i:i+1], n-1)
		}
	}
	grow(&patterns, "ab*?", "", 5)
	grow(&texts, "abc", "", 4)
	for _, p := range patterns {
		for _, s := range texts {
			if got := glob(p, s); got != naiveGlob(p, s) {
				t.Fatalf("glob(%q, %q) = %v", p, s, got)
			}
		}
	}
}

// TestGlobAcrossWords uses patterns of one to a few machine words, around their borders.
func TestGlobAcrossWords(t *testing.T) {
	for n := 1; n < 300; n++ {
		text := strings.Repeat("abc", n/3+1)[:n]
		for _, c := range []struct {
			p    string
			s    string
			want bool
		}{
			{"*" + text + "*", text, true},
			{"*" + text + "*", "xx" + text + "yy", true},
			{"*" + text + "*", strings.Repeat(text[:n-1]+"#", 3), false},
			{"*" + strings.Repeat("?", n) + "*", strings.Repeat("z", n), true},
			{"*" + strings.Repeat("?", n) + "*", strings.Repeat("z", n-1), false},
			{"*a*" + strings.Repeat("?", n) + "*b*", "a" + strings.Repeat("z", n) + "b", true},
			{"*a*" + strings.Repeat("?", n) + "*b*", "a" + strings.Repeat("z", n-1) + "b", false},
			{"*" + strings.Repeat("a*", n), strings.Repeat("a", n), true},
			{"*" + strings.Repeat("a*", n), strings.Repeat("a", n-1), false},
		} {
			if got := glob(c.p, c.s); got != c.want {
				t.Fatalf("n=%d: glob(%q, %q) = %v", n, c.p, c.s, got)
			}
		}
	}
}

// TestGlobIsLinear counts steps on patterns made to send a matcher back again and again. Doubling the text
// doubles the steps, and no pattern passes the bound that globSteps states.
func TestGlobIsLinear(t *testing.T) {
	for name, make := range map[string]func(n int) (p, s string){
		"a*a*a*…b":       func(n int) (string, string) { return strings.Repeat("a*", n/4) + "b", strings.Repeat("a", n) },
		"*a*a*…b*":       func(n int) (string, string) { return strings.Repeat("*a", n/4) + "b*", strings.Repeat("a", n) },
		"*aaa…ab*":       func(n int) (string, string) { return "*" + strings.Repeat("a", n/2) + "b*", strings.Repeat("a", n) },
		"*a?a?…b*":       func(n int) (string, string) { return "*" + strings.Repeat("a?", n/4) + "b*", strings.Repeat("a", n) },
		"*?*?*?…x*":      func(n int) (string, string) { return strings.Repeat("*?", n/4) + "x*", strings.Repeat("a", n) },
		"*ab*ab*…c*":     func(n int) (string, string) { return strings.Repeat("*ab", n/4) + "c*", strings.Repeat("ab", n/2) },
		"many stars":     func(n int) (string, string) { return strings.Repeat("*", n) + "b", strings.Repeat("a", n) },
		"all characters": func(n int) (string, string) { return "*" + printable(n) + "\x00*", printable(n) + printable(n) },
	} {
		t.Run(name, func(t *testing.T) {
			for _, n := range []int{64, 512, 4096} {
				p, s := make(n)
				ok, steps := globSteps(p, s)
				if ok {
					t.Fatal("matched")
				}
				if bound := len(p) + len(s)*(1+len(p)/64); steps > bound {
					t.Errorf("n=%d: %d steps, bound %d", n, steps, bound)
				}
				// With the pattern fixed, the steps grow with the text and not faster.
				_, twice := globSteps(p, s+s)
				if twice > 2*steps+len(p) {
					t.Errorf("n=%d: %d steps, and %d for twice the text", n, steps, twice)
				}
			}
		})
	}
}

func printable(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(0x21 + i%94)
		if b[i] == '*' || b[i] == '?' {
			b[i] = '_'
		}
	}
	return string(b)
}

func FuzzGlob(f *testing.F) {
	f.Add("a*b?c", "axxbyc")
	f.Add("*?*?**", "ab")
	f.Add("*a"+strings.Repeat("?", 70)+"b*c", "a")
	f.Fuzz(func(t *testing.T, p, s string) {
		if len(p) > 80 || len(s) > 200 || strings.Count(p, "*") > 6 {
			return // the reference is exponential
		}
		got, steps := globSteps(p, s)
		if got != naiveGlob(p, s) {
			t.Fatalf("glob(%q, %q) = %v", p, s, got)
		}
		if steps > len(p)+len(s)*(1+len(p)/64) {
			t.Fatalf("glob(%q, %q) took %d steps", p, s, steps)
		}
	})
}

// naiveMatch is MatchResource as its comment says it, on sections cut in another way.
func naiveMatch(resource, u string) bool {
	if resource == "*" {
		return true
	}
	var scheme, host, path, query string
	i := strings.Index(u, "://")
	if i <= 0 {
		return false
	}
	scheme, u = u[:i], u[i+3:]
	host = u
	if i := strings.IndexAny(u, "/?"); i >= 0 {
		host, path = u[:i], u[i:]
	}
	if i := strings.Index(path, "?"); i >= 0 {
		path, query = path[:i], path[i+1:]
	}
	if host == "" {
		return false
	}
	protocol, rest := "*", resource
	if i := strings.Index(resource, "://"); i > 0 && strings.Trim(resource[:i], "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ*?") == "" {
		protocol, rest = strings.ToLower(resource[:i]), resource[i+3:]
	} else if !strings.HasPrefix(resource, "*") {
		return false
	}
	// Write the delimiter as one character that no URL has, then cut there.
	variants := []string{strings.Replace(rest, `\?`, "\x00", 1)}
	if !strings.Contains(rest, `\?`) {
		slash := strings.Index(rest, "/")
		if slash >= 0 {
			if at := strings.Index(rest[slash:], "?"); at >= 0 {
				withQuery := rest[:slash+at] + "\x00" + rest[slash+at+1:]
				if strings.Contains(rest[slash+at:], "=") {
					variants = []string{withQuery}
				} else {
					variants = append(variants, withQuery)
				}
			}
		}
	}
	for _, v := range variants {
		front, q, hasQuery := strings.Cut(v, "\x00")
		domain, p, hasPath := strings.Cut(front, "/")
		p = "/" + p
		if !hasPath && !hasQuery && strings.HasSuffix(domain, "*") {
			p, q, hasQuery = "*", "*", true
		}
		if !hasQuery && strings.HasSuffix(p, "*") {
			q = "*"
		}
		domain = strings.ToLower(domain)
		if protocol == "http" {
			domain = strings.TrimSuffix(domain, ":80")
		}
		if protocol == "https" {
			domain = strings.TrimSuffix(domain, ":443")
		}
		if naiveGlob(protocol, scheme) && naiveGlob(domain, host) && naiveGlob(p, path) && naiveGlob(q, query) {
			return true
		}
	}
	return false
}

func FuzzMatch(f *testing.F) {
	for _, seed := range [][2]string{
		{"https://h/*", "https://h/a?b"}, {"*example.com", "http://www.example.com/"}, {`http*://*/a?\?b=*`, "https://h/ax?b=c"},
		{"https://h/img?.jpg", "https://h/img1.jpg"}, {"http://h:80*", "http://h/"}, {`*\?a`, "http://h/?a"}, {"*?x://a/b", "http://h/"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, resource, u string) {
		if len(resource) > 60 || len(u) > 100 || strings.Count(resource, "*") > 6 || strings.Contains(resource+u, "\x00") {
			return
		}
		if got := MatchResource(resource, u); got != naiveMatch(resource, u) {
			t.Fatalf("MatchResource(%q, %q) = %v", resource, u, got)
		}
	})
}

func ExampleMatchResource() {
	for _, u := range []string{
		"https://cdn.example.com/reports/2031/may.pdf",
		"https://cdn.example.com/reports/2031/may.pdf?download=1",
		"https://cdn.example.com/images/may.png",
	} {
		fmt.Println(MatchResource("https://cdn.example.com/reports/*.pdf", u), MatchResource("https://cdn.example.com/reports/*", u))
	}
	// Output:
	// true true
	// false true
	// false false
}
