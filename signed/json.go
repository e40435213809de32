package signed

import (
	"bytes"
	"fmt"
	"math/bits"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// jsonReader reads JSON (RFC 8259) in one pass, straight into what its caller expects. It is not a
// general reader on purpose: encoding/json takes names in any case, repeated members, unknown members
// and broken UTF-8, and each of those lets two readers of one policy see two policies. What is not
// expected is refused where it stands, so nothing nests deeper than the policy language does.
type jsonReader struct {
	b []byte
	i int
}

// checkText refuses what no later step looks at: broken UTF-8, and a byte order mark.
func (r *jsonReader) checkText() *PolicyError {
	if bytes.HasPrefix(r.b, []byte("\ufeff")) {
		return r.syntax(0, "a byte order mark stands before the text", "save the policy as UTF-8 without BOM")
	}
	if utf8.Valid(r.b) {
		return nil
	}
	at := 0
	for at < len(r.b) {
		c, n := utf8.DecodeRune(r.b[at:])
		if c == utf8.RuneError && n <= 1 {
			break
		}
		at += n
	}
	return r.syntax(at, "the text is not UTF-8", "")
}

func (r *jsonReader) syntax(at int, reason, hint string) *PolicyError {
	return &PolicyError{Cause: CausePolicySyntax, Offset: at, Reason: reason, Hint: hint}
}

// peek skips white space and returns the next byte, or 0 at the end. A 0 byte in the text is no token
// either, so the two need not be told apart.
func (r *jsonReader) peek() byte {
	for r.i < len(r.b) {
		switch c := r.b[r.i]; c {
		case ' ', '\t', '\n', '\r':
			r.i++
		default:
			return c
		}
	}
	return 0
}

// expect takes one token. The two halves of its description are only joined for an error.
func (r *jsonReader) expect(c byte, what, of string) *PolicyError {
	if r.peek() != c {
		return r.unexpected(what + of)
	}
	r.i++
	return nil
}

// unexpected describes the token at hand when another was wanted. A well-formed value of the wrong type
// is a fault of shape; anything else is a fault of syntax. Either is a MalformedPolicy.
func (r *jsonReader) unexpected(want string) *PolicyError {
	c := r.peek()
	if r.i == len(r.b) {
		if r.i == 0 {
			return r.syntax(0, "the text is empty", "")
		}
		return r.syntax(r.i, "the text ends where "+want+" should stand", "the policy is cut short")
	}
	switch {
	case c == '"' || c == '{' || c == '[' || c == 't' || c == 'f' || c == 'n' || c == '-' || '0' <= c && c <= '9':
		return shapeError(r.i, want+" is expected here", "")
	default:
		return r.syntax(r.i, fmt.Sprintf("%q stands where %s should", rune(c), want), "")
	}
}

func (r *jsonReader) end() *PolicyError {
	if r.peek(); r.i < len(r.b) {
		return r.syntax(r.i, "text follows after the end of the policy", "")
	}
	return nil
}

// member reads on in an object of which the opening brace was taken: the name of its next member and the
// colon, up to the value. Only the named members may come, each once, in any order; the result is the
// index of the name, or -1 at the end of the object. seen holds the members that came, required those that
// must have come by the end; both are sets of bits.
func (r *jsonReader) member(what string, members []string, seen *uint, required uint) (int, *PolicyError) {
	if r.peek() == '}' {
		if missing := required &^ *seen; missing != 0 {
			return 0, shapeError(r.i, fmt.Sprintf("%s has no %s, which is mandatory", what, members[bits.TrailingZeros(missing)]), "")
		}
		r.i++
		return -1, nil
	}
	if *seen != 0 {
		if err := r.expect(',', "a comma or the end of ", what); err != nil {
			return 0, err
		}
		r.peek()
	}
	at := r.i
	name, err := r.text("the name of a member of ", what)
	if err != nil {
		return 0, err
	}
	index := -1
	for i, m := range members {
		if string(name) == m {
			index = i
		}
	}
	if index < 0 {
		return 0, shapeError(at, fmt.Sprintf("%s has an unknown member %q", what, cut(string(name), 40)), nearestName(string(name), members))
	}
	if *seen&(1<<index) != 0 {
		return 0, shapeError(at, fmt.Sprintf("member %s appears twice", members[index]), "")
	}
	*seen |= 1 << index
	if err := r.expect(':', "the colon after ", members[index]); err != nil {
		return 0, err
	}
	r.peek()
	return index, nil
}

// text reads a string. The result may share the reader's bytes.
func (r *jsonReader) text(what, of string) ([]byte, *PolicyError) {
	if r.peek() != '"' {
		return nil, r.unexpected(what + of)
	}
	start := r.i + 1
	for i := start; i < len(r.b); i++ {
		switch c := r.b[i]; {
		case c == '"':
			r.i = i + 1
			return r.b[start:i], nil
		case c == '\\':
			return r.escapedText(start, i)
		case c < 0x20:
			return nil, r.syntax(i, "a raw control character stands inside a string", "")
		}
	}
	return nil, r.syntax(len(r.b), "a string has no end", "the policy is cut short")
}

// escapedText goes on where text met its first escape.
func (r *jsonReader) escapedText(start, i int) ([]byte, *PolicyError) {
	out := append([]byte(nil), r.b[start:i]...)
	for i < len(r.b) {
		c := r.b[i]
		switch {
		case c == '"':
			r.i = i + 1
			return out, nil
		case c < 0x20:
			return nil, r.syntax(i, "a raw control character stands inside a string", "")
		case c != '\\':
			out = append(out, c)
			i++
			continue
		}
		if i+1 >= len(r.b) {
			break
		}
		if k := strings.IndexByte(`"\/bfnrt`, r.b[i+1]); k >= 0 {
			out = append(out, "\"\\/\b\f\n\r\t"[k])
			i += 2
			continue
		}
		code, ok := r.hex4(i)
		if !ok {
			return nil, r.syntax(i, "an escape that JSON does not know", "only \\\" \\\\ \\/ \\b \\f \\n \\r \\t and \\uXXXX are escapes")
		}
		n := 6
		if utf16.IsSurrogate(code) {
			low, ok := r.hex4(i + 6)
			if code = utf16.DecodeRune(code, low); !ok || code == utf8.RuneError {
				return nil, r.syntax(i, "half of a surrogate pair", "")
			}
			n = 12
		}
		out = utf8.AppendRune(out, code)
		i += n
	}
	return nil, r.syntax(len(r.b), "a string has no end", "the policy is cut short")
}

// hex4 reads \uXXXX at i.
func (r *jsonReader) hex4(i int) (rune, bool) {
	if i+6 > len(r.b) || r.b[i] != '\\' || r.b[i+1] != 'u' {
		return 0, false
	}
	var v rune
	for _, c := range r.b[i+2 : i+6] {
		d := unhex(c)
		if d < 0 {
			return 0, false
		}
		v = v<<4 | rune(d)
	}
	return v, true
}

// epoch reads a whole number of seconds between 0 and MaxEpoch.
func (r *jsonReader) epoch() (int64, *PolicyError) {
	c := r.peek()
	at := r.i
	fault := func(reason, hint string) (int64, *PolicyError) {
		return 0, &PolicyError{Cause: CausePolicyEpoch, Offset: at, Reason: reason, Hint: hint}
	}
	switch {
	case c == '"':
		return fault("AWS:EpochTime is a string, and must be a number", "take the quotation marks away")
	case c == '-':
		return fault("AWS:EpochTime is negative", "")
	case c < '0' || c > '9':
		return 0, r.unexpected("a number of seconds")
	}
	for r.i < len(r.b) && '0' <= r.b[r.i] && r.b[r.i] <= '9' {
		r.i++
	}
	digits := r.b[at:r.i]
	if r.i < len(r.b) && (r.b[r.i] == '.' || r.b[r.i]|0x20 == 'e') {
		return fault("AWS:EpochTime is not a whole number", "round it down to seconds")
	}
	n, reason, hint := readEpoch(digits)
	if reason != "" {
		return fault("AWS:EpochTime "+reason, hint)
	}
	return n, nil
}

// readEpoch reads the digits of an epoch in a policy or in Expires.
func readEpoch[T string | []byte](digits T) (n int64, reason, hint string) {
	var u uint64 // nineteen digits fit
	if len(digits) == 0 {
		return 0, "is empty", ""
	}
	for i := range len(digits) {
		c := digits[i]
		if c < '0' || c > '9' {
			return 0, "is not a whole number of seconds", "write seconds since 1970-01-01T00:00:00Z, digits only"
		}
		if i < 19 {
			u = u*10 + uint64(c-'0')
		}
	}
	switch {
	case len(digits) > 1 && digits[0] == '0':
		return 0, "has a leading zero", ""
	case len(digits) > 19:
		return 0, fmt.Sprintf("has %d digits, above the limit of %d", len(digits), int64(MaxEpoch)), ""
	case u > MaxEpoch:
		return 0, fmt.Sprintf("is %d, above the limit of %d", u, int64(MaxEpoch)), unitHint(u)
	}
	return int64(u), "", ""
}

// unitHint guesses the unit of a number that is no epoch in seconds.
func unitHint(n uint64) string {
	for _, u := range []struct {
		name string
		per  uint64
	}{{"milliseconds", 1e3}, {"microseconds", 1e6}, {"nanoseconds", 1e9}} {
		if s := n / u.per; s >= 1e8 && s <= 4e9 {
			return fmt.Sprintf("the value is in %s; in seconds it is %d", u.name, s)
		}
	}
	return ""
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c - 'a' + 10)
	case 'A' <= c && c <= 'F':
		return int(c - 'A' + 10)
	}
	return -1
}

// nearestName suggests the documented name when only the letters' case, or the blanks around it, differ.
func nearestName(name string, known []string) string {
	for _, k := range known {
		if strings.EqualFold(strings.TrimSpace(name), k) {
			return "names are case-sensitive: write " + k
		}
	}
	return "the documented members are " + strings.Join(known, ", ")
}

// cut shortens text for a message.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}
