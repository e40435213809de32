package gate

import (
	"errors"
	"fmt"
	"strings"
)

// ErrAmbiguous means that the path, read in some way in which an origin may read it, belongs to
// another behaviour than it does as it stands. Such a request is refused (400): it is the shape of every
// path-confusion bypass. CloudFront instead falls back to the default behaviour, a documented deviation.
var ErrAmbiguous = errors.New("the path selects different behaviours before and after normalisation")

// MaxPattern is the longest path pattern, in bytes.
// Source: CloudFront API, CacheBehavior.PathPattern, and the guide's page on cache behaviour settings.
const MaxPattern = 255

// patternChars are the characters a path pattern may hold besides letters and digits.
// Source: CloudFront Developer Guide, "Path pattern"; '?' and '*' are the wildcards.
const patternChars = "_-.*?$/~\"'@:+&"

// Pattern is a path pattern: '*' stands for any number of characters, slashes included, '?' for exactly
// one; everything else for itself, upper and lower case told apart. A leading slash is implied.
type Pattern struct {
	text  string
	parts []string // the text between the stars
}

// ParsePattern checks and compiles a path pattern.
func ParsePattern(s string) (Pattern, error) {
	if s == "" {
		return Pattern{}, errors.New("path pattern is empty")
	}
	if len(s) > MaxPattern {
		return Pattern{}, fmt.Errorf("path pattern is %d bytes long: at most %d are allowed", len(s), MaxPattern)
	}
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte(patternChars, c) >= 0) {
			return Pattern{}, fmt.Errorf("path pattern %q: character %q is not allowed; use letters, digits and %s", s, c, patternChars)
		}
	}
	full := s
	// "*.jpg" and "/*.jpg" are the same pattern, since every path begins with a slash; a '?' in front
	// would have to stand for that slash.
	if full[0] != '/' && full[0] != '*' {
		full = "/" + full
	}
	return Pattern{text: s, parts: strings.Split(full, "*")}, nil
}

// String is the pattern as it was written.
func (p Pattern) String() string { return p.text }

// Match reports whether the path matches. The zero Pattern matches nothing.
func (p Pattern) Match(path string) bool {
	if len(p.parts) == 0 {
		return false
	}
	first, last := p.parts[0], p.parts[len(p.parts)-1]
	if len(p.parts) == 1 {
		return len(path) == len(first) && prefixMatch(first, path)
	}
	if len(path) < len(first)+len(last) || !prefixMatch(first, path) || !prefixMatch(last, path[len(path)-len(last):]) {
		return false
	}
	// The leftmost place for each middle part leaves the most room for the next: no backtracking.
	rest := path[len(first) : len(path)-len(last)]
	for _, part := range p.parts[1 : len(p.parts)-1] {
		at := partIndex(part, rest)
		if at < 0 {
			return false
		}
		rest = rest[at+len(part):]
	}
	return true
}

// prefixMatch reports whether s begins with part, a '?' in part standing for any byte.
func prefixMatch(part, s string) bool {
	if len(s) < len(part) {
		return false
	}
	for i := range len(part) {
		if part[i] != '?' && part[i] != s[i] {
			return false
		}
	}
	return true
}

func partIndex(part, s string) int {
	if strings.IndexByte(part, '?') < 0 {
		return strings.Index(s, part)
	}
	for i := 0; i+len(part) <= len(s); i++ {
		if prefixMatch(part, s[i:]) {
			return i
		}
	}
	return -1
}

// Routes is a distribution's ordered list of patterns; what none of them matches belongs to the
// default behaviour.
type Routes []Pattern

// Select returns the index of the first pattern that matches the path, len(rs) for the default, or
// [ErrAmbiguous]. A path that climbs above the root in any reading is refused even when there is only the
// default behaviour: it would climb out of an origin's own path.
func (rs Routes) Select(path string) (int, error) {
	want := rs.first(path)
	if plain(path) {
		return want, nil
	}
	forms, ok := readings(path)
	if !ok {
		return 0, ErrAmbiguous
	}
	for _, form := range forms {
		if rs.first(form) != want {
			return 0, ErrAmbiguous
		}
	}
	return want, nil
}

func (rs Routes) first(path string) int {
	for i, p := range rs {
		if p.Match(path) {
			return i
		}
	}
	return len(rs)
}
