package gate

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestPattern(t *testing.T) {
	for _, c := range []struct {
		pattern, path string
		want          bool
	}{
		{"/private/*", "/private/a", true},
		{"/private/*", "/private/", true},
		{"/private/*", "/private", false},
		{"private/*", "/private/a", true}, // the leading slash is implied
		{"*", "/", true},
		{"/*", "/", true},
		{"*.jpg", "/a/b.jpg", true}, // a star crosses slashes
		{"*.jpg", "/a/b.JPG", false},
		{"*.jpg", "/a/b.jpg2", false},
		{"/a?c", "/abc", true},
		{"/a?c", "/a/c", true},
		{"/a?c", "/ac", false},
		{"?bc", "/bc", false}, // is /?bc
		{"?bc", "/xbc", true},
		{"/a*b*c", "/aXbYc", true},
		{"/a*b*c", "/abc", true},
		{"/a*b*c", "/acb", false},
		{"/a*?b", "/ab", false},
		{"/a*?b", "/axb", true},
		{"/ab*ba", "/aba", false}, // the two ends may not overlap
		{"/ab*ba", "/abba", true},
		{"/x", "/x", true},
		{"/x", "/x/", false},
		{"/a**b", "/ab", true},
		{"/a*ab?d*", "/aabcabxd-", true},
	} {
		p, err := ParsePattern(c.pattern)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Match(c.path); got != c.want {
			t.Errorf("%s matches %s: %v, want %v", c.pattern, c.path, got, c.want)
		}
	}
	if (Pattern{}).Match("/") {
		t.Error("the zero pattern matches")
	}
	for _, bad := range []string{"", "/a b", "/é", "/a%20", "/a;b", "/a#", "/a\\b", "/(", "/" + strings.Repeat("a", MaxPattern)} {
		if _, err := ParsePattern(bad); err == nil {
			t.Errorf("pattern %.20q was accepted", bad)
		}
	}
}

// FuzzPattern holds the matcher to a regular expression that says the same.
func FuzzPattern(f *testing.F) {
	f.Add("/a*b?c*", "/axxbyc")
	f.Add("*.jpg", "/x.jpg")
	f.Add("?*?", "/ab")
	f.Fuzz(func(t *testing.T, pattern, path string) {
		p, err := ParsePattern(pattern)
		if err != nil {
			return
		}
		if pattern[0] != '/' && pattern[0] != '*' {
			pattern = "/" + pattern
		}
		var re strings.Builder
		re.WriteString(`(?s)\A`)
		for _, c := range []byte(pattern) {
			switch c {
			case '*':
				re.WriteString(`.*`)
			case '?':
				re.WriteString(`.`)
			default:
				re.WriteString(regexp.QuoteMeta(string(c)))
			}
		}
		re.WriteString(`\z`)
		// Latin-1, so that the regular expression counts bytes as the matcher does.
		runes := make([]rune, len(path))
		for i := range len(path) {
			runes[i] = rune(path[i])
		}
		want := regexp.MustCompile(re.String()).MatchString(string(runes))
		if got := p.Match(path); got != want {
			t.Fatalf("%q matches %q: %v, want %v", pattern, path, got, want)
		}
	})
}

func routes(t testing.TB, patterns ...string) Routes {
	t.Helper()
	var rs Routes
	for _, s := range patterns {
		p, err := ParsePattern(s)
		if err != nil {
			t.Fatal(err)
		}
		rs = append(rs, p)
	}
	return rs
}

func TestSelect(t *testing.T) {
	const ambiguous = -1
	closedInside := routes(t, "/private/*")             // everything else is open
	openInside := routes(t, "/public/*")                // everything else is closed
	images := routes(t, "/public/*", "*.jpg", "/img/*") // first match wins
	for _, c := range []struct {
		routes Routes
		path   string
		want   int
	}{
		{images, "/public/a.jpg", 0},
		{images, "/img/a.jpg", 1},
		{images, "/img/a.png", 2},
		{images, "/a.png", 3},
		{openInside, "/report.pdf", 1},
		{openInside, "/uploads/a//b", 1},
		{openInside, "/uploads/a/../b", 1},
		{openInside, "/uploads/%EB%B3%B4%20%2B.pdf", 1},
		{openInside, "/uploads/100%25.pdf", 1},
		{openInside, "/uploads/.hidden", 1},
		{openInside, "/uploads/a;v=1", 1},
		{openInside, "/public/a/../b", 0},

		{closedInside, "/private%2Fx", ambiguous},
		{closedInside, "/private%2fx", ambiguous},
		{closedInside, "/x/../private/a", ambiguous},
		{closedInside, "//private/a", ambiguous},
		{closedInside, "/%70rivate/a", ambiguous},
		{closedInside, "/%2570rivate/a", ambiguous},
		{closedInside, "/%252570rivate/a", ambiguous},
		{closedInside, "/./private/a", ambiguous},
		{closedInside, "/%2e/private/a", ambiguous},
		{closedInside, "/x/%2e%2e/private/a", ambiguous},
		{closedInside, "/x/%2e./private/a", ambiguous},
		{closedInside, "/x/..%2fprivate/a", ambiguous},
		{closedInside, "/x/..%5cprivate/a", ambiguous},
		{closedInside, `/x/..\private\a`, ambiguous},
		{closedInside, `/private\a`, ambiguous},
		{closedInside, "/private;x/a", ambiguous},
		{closedInside, "/x/..;/private/a", ambiguous},
		{closedInside, "/x/..%3b/private/a", ambiguous},
		{closedInside, "/private/%3f", 0},
		{closedInside, "/x%3f/../private/a", ambiguous},
		{closedInside, "/private%c0%afa", ambiguous},
		{closedInside, "/x/%c0%ae%c0%ae/private/a", ambiguous},
		{closedInside, "/private%e0%80%afa", ambiguous},

		{openInside, "/public/../report.pdf", ambiguous},
		{openInside, "/public/%2e%2e/report.pdf", ambiguous},
		{openInside, "/public/..;/report.pdf", ambiguous},
		{openInside, "/public%2Fa", ambiguous},
		{openInside, "//public/a", ambiguous},
		{openInside, "/public/a%2f..%2f..%2freport.pdf", ambiguous},
		{openInside, "/public/%23/../../x", ambiguous},
		{images, "/a%3f.jpg", ambiguous}, // an origin that decodes before it cuts off the query
		{images, "/a%23.jpg", ambiguous},
		{openInside, "/uploads/%2500", ambiguous}, // a NUL in the second reading

		{nil, "/a/../b", 0},
		{nil, "/../a", ambiguous}, // climbs above the root
		{nil, "/a/../../b", ambiguous},
		{nil, "/a/%2e%2e%2f%2e%2e/b", ambiguous},
		{nil, "/a//../../b", ambiguous},
		{nil, "/" + strings.Repeat("%25", 200) + "41", 0}, // one percent sign after another is one reading each
		{nil, "/%" + strings.Repeat("25", 200) + "41", ambiguous},
	} {
		got, err := c.routes.Select(c.path)
		if errors.Is(err, ErrAmbiguous) {
			got = ambiguous
		}
		if got != c.want {
			t.Errorf("%v select %.60s: %d, want %d", c.routes, c.path, got, c.want)
		}
	}
}

// originReadings are ways in which real servers read a path, written apart from the gate's own steps.
var originReadings = []func(string) string{
	func(p string) string { // Go: decode once
		if s, err := url.PathUnescape(p); err == nil {
			return s
		}
		return p
	},
	path.Clean,
	func(p string) string { return strings.ReplaceAll(p, `\`, "/") },
	func(p string) string { return regexp.MustCompile(`;[^/]*`).ReplaceAllString(p, "") },
	func(p string) string { return regexp.MustCompile(`/+`).ReplaceAllString(p, "/") },
	func(p string) string { // RFC 3986 section 5.2.4 by package url
		u, err := url.Parse("http://h")
		if err != nil {
			return p
		}
		return u.ResolveReference(&url.URL{Path: p}).Path
	},
	func(p string) string { head, _, _ := strings.Cut(p, "?"); return head },
}

// FuzzSelect: whatever Select lets through belongs to the same behaviour however an origin reads it.
func FuzzSelect(f *testing.F) {
	for _, s := range []string{
		"/private%2Fx", "/x/../private/a", "//private", "/%70rivate/a", "/public/..;/private/a", `/x\..\private/`,
		"/%252e%252e/private/", "/a/./b", "/public/%2e%2e%2fprivate/x", "/a%3fb", "/public/a;b/../c",
	} {
		f.Add(s, uint64(1))
	}
	all := []Routes{
		routes(f, "/private/*"), routes(f, "/public/*"), routes(f, "/public/*", "*.jpg", "/private/*"), routes(f, "/a?c", "/a/*"),
	}
	f.Fuzz(func(t *testing.T, raw string, seed uint64) {
		target, err := ParseTarget(rawRequest("/"+raw, "h"), "http")
		if err != nil {
			return
		}
		r := rand.New(rand.NewPCG(seed, 0))
		for _, rs := range all {
			want, err := rs.Select(target.Path())
			if err != nil {
				continue
			}
			form := target.Path()
			for range 1 + r.IntN(5) {
				form = originReadings[r.IntN(len(originReadings))](form)
				// Trailing slashes are path.Clean's own habit; the behaviour of the directory itself is
				// not what is being confused.
				if got := rs.first(form); got != want && rs.first(form+"/") != want {
					t.Fatalf("%v: %q belongs to %d, but an origin may read it as %q, which belongs to %d", rs, target.Path(), want, form, got)
				}
			}
		}
	})
}

func BenchmarkSelect(b *testing.B) {
	rs := routes(b, "/public/*", "/img/*.jpg", "*.css", "/api/v?/*")
	for _, p := range []string{"/uploads/2026/report.pdf", "/uploads/%EB%B3%B4%EA%B3%A0.pdf"} {
		b.Run(fmt.Sprint(slices.Contains([]byte(p), '%')), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := rs.Select(p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
