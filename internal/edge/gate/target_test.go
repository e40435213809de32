package gate

import (
	"errors"
	"net/http"
	"strings"
	"testing"
)

func rawRequest(uri, host string) *http.Request {
	return &http.Request{Method: "GET", RequestURI: uri, Host: host, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}}
}

func TestParseTarget(t *testing.T) {
	for _, c := range []struct {
		uri, host, scheme string
		url, path, origin string
	}{
		{"/", "d1.example", "http", "http://d1.example/", "/", ""},
		{"/a/b.pdf", "D1.Example:80", "http", "http://d1.example/a/b.pdf", "/a/b.pdf", ""},
		{"/a", "d1.example:443", "https", "https://d1.example/a", "/a", ""},
		{"/a", "d1.example:443", "http", "http://d1.example:443/a", "/a", ""},
		{"/a", "d1.example:80", "https", "https://d1.example:80/a", "/a", ""},
		{"/a", "127.0.0.1:8080", "http", "http://127.0.0.1:8080/a", "/a", ""},
		{"/a", "[::1]:8080", "http", "http://[::1]:8080/a", "/a", ""},
		{"/a?", "h", "http", "http://h/a?", "/a", ""},
		{"/a?x=%zz&y=1", "h", "http", "http://h/a?x=%zz&y=1", "/a", "x=%zz&y=1"},
		{"/a?b?c=/../", "h", "http", "http://h/a?b?c=/../", "/a", "b?c=/../"},
		{"http://H:80/a?q", "h", "http", "http://h/a?q", "/a", "q"},
		{"HTTPS://h/a", "h", "https", "https://h/a", "/a", ""},
		{"//h2/a", "h", "http", "http://h//h2/a", "//h2/a", ""},
		{"/%EB%B3%B4+%20%25", "h", "http", "http://h/%EB%B3%B4+%20%25", "/%EB%B3%B4+%20%25", ""},
		{"/a?Expires=1&x=1&Signature=s&Key-Pair-Id=K&y=2&Policy=p&Hash-Algorithm=SHA256", "h", "http",
			"http://h/a?Expires=1&x=1&Signature=s&Key-Pair-Id=K&y=2&Policy=p&Hash-Algorithm=SHA256", "/a", "x=1&y=2"},
		{"/a?%53ignature=s&x=1&Key%2DPair-Id=K&%45xpires=3", "h", "http",
			"http://h/a?%53ignature=s&x=1&Key%2DPair-Id=K&%45xpires=3", "/a", "x=1"},
	} {
		target, err := ParseTarget(rawRequest(c.uri, c.host), c.scheme)
		if err != nil {
			t.Errorf("%s on %s: %v", c.uri, c.host, err)
			continue
		}
		if target.URL() != c.url || target.Path() != c.path || target.OriginQuery() != c.origin {
			t.Errorf("%s on %s: URL %q path %q origin query %q, want %q %q %q", c.uri, c.host,
				target.URL(), target.Path(), target.OriginQuery(), c.url, c.path, c.origin)
		}
	}
}

func TestParseTargetRefuses(t *testing.T) {
	long := "/" + strings.Repeat("a", MaxURL)
	for _, c := range []struct {
		uri, host string
		status    int
	}{
		{"*", "h", 400},
		{"h:443", "h", 400},
		{"", "h", 400},
		{"?a", "h", 400},
		{"a", "h", 400},
		{"http://h", "h", 400},
		{"http://h?x", "h", 400},
		{"http://other/a", "h", 400},
		{"https://h/a", "h", 400},
		{"ftp://h/a", "h", 400},
		{"http://user@h/a", "h", 400},
		{"http://h:81/a", "h", 400},
		{"/a b", "h", 400},
		{"/a\x00", "h", 400},
		{"/a\x7f", "h", 400},
		{"/a\r\nX: y", "h", 400},
		{"/é", "h", 400},
		{"/a?q=é", "h", 400},
		{"/a#b", "h", 400},
		{"/a%", "h", 400},
		{"/a%4", "h", 400},
		{"/a%4g", "h", 400},
		{"/a%00b", "h", 400},
		{"/a", "", 400},
		{"/a", "h.", 400},
		{"/a", ".h", 400},
		{"/a", "a..b", 400},
		{"/a", "user@h", 400},
		{"/a", "h:", 400},
		{"/a", "h:0", 400},
		{"/a", "h:065", 400},
		{"/a", "h:65536", 400},
		{"/a", "h:http", 400},
		{"/a", "h:80:80", 400},
		{"/a", "h/x", 400},
		{"/a", "hé", 400},
		{"/a", "h\x00", 400},
		{"/a", "[::1", 400},
		{"/a", "[::1]x", 400},
		{"/a", "[::1]:", 400},
		{"/a", "[::1%25eth0]", 400},
		{"/a", "[1.2.3.4]", 400},
		{"/a", "::1", 400},
		{"/a", strings.Repeat("a", 300), 400},
		{long, "h", 414},
		{long[:MaxURL-len("http://h")+1], "h", 414},
	} {
		target, err := ParseTarget(rawRequest(c.uri, c.host), "http")
		var te *TargetError
		if !errors.As(err, &te) || te.Status != c.status {
			t.Errorf("%.40q on %.40q: %+v, %v; want %d", c.uri, c.host, target, err, c.status)
		} else if c.uri != "" && len(c.uri) > 1 && strings.Contains(te.Reason, c.uri) {
			t.Errorf("%.40q: the reason repeats the target", c.uri)
		}
	}
	if _, err := ParseTarget(rawRequest(long[:MaxURL-len("http://h")], "h"), "http"); err != nil {
		t.Errorf("a URL of exactly %d bytes: %v", MaxURL, err)
	}
}

func FuzzParseTarget(f *testing.F) {
	for _, s := range []string{"/", "/a?b", "http://h/a", "//h/a", "/%2e%2e/", "/a;b", "*", "h:1", "/a%", "/\\", "/é"} {
		f.Add(s, "h:8080", true)
	}
	f.Add("/", "[::1]:80", false)
	f.Fuzz(func(t *testing.T, uri, host string, tls bool) {
		scheme := "http"
		if tls {
			scheme = "https"
		}
		target, err := ParseTarget(rawRequest(uri, host), scheme)
		if err != nil {
			return
		}
		// What is accepted travels on byte for byte, and reading it again gives the same.
		if !strings.HasSuffix(uri, target.RequestURI()) || !strings.HasPrefix(target.Path(), "/") {
			t.Fatalf("%q became %q", uri, target.RequestURI())
		}
		again, err := ParseTarget(rawRequest(target.RequestURI(), target.Host()), scheme)
		if err != nil || again != target {
			t.Fatalf("%q on %q: read again: %+v, %v", uri, host, again, err)
		}
		if len(target.URL()) > MaxURL {
			t.Fatalf("URL of %d bytes", len(target.URL()))
		}
	})
}

// TestHostFieldBesideAuthority: HTTP/2 can say the host twice; net/http leaves the second in the header.
func TestHostFieldBesideAuthority(t *testing.T) {
	for field, ok := range map[string]bool{"a.example": true, "A.example:443": true, "b.example": false, "": false} {
		r := &http.Request{Method: "GET", RequestURI: "/x", Host: "a.example", Header: http.Header{"Host": {field}}}
		if _, err := ParseTarget(r, "https"); (err == nil) != ok {
			t.Errorf("%q beside a.example: %v", field, err)
		}
	}
}
