package sigv4

import (
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
)

// Pair is one key of a query with its value, both percent-decoded once.
type Pair struct{ Key, Value string }

// RawTarget is r's path and query exactly as they travel: of the request line for a request that was
// received, of the URL for one to be sent. The path begins with a slash (or is "*"); the query is
// without its question mark.
func RawTarget(r *http.Request) (path, query string) {
	target := r.RequestURI
	if target == "" {
		path = r.URL.EscapedPath()
		if path == "" {
			path = "/"
		}
		return path, r.URL.RawQuery
	}
	path, query, _ = strings.Cut(target, "?")
	if !strings.HasPrefix(path, "/") && path != "*" { // absolute form, RFC 9112 section 3.2.2
		if _, rest, ok := strings.Cut(path, "://"); ok {
			path = "/"
			if i := strings.IndexByte(rest, '/'); i >= 0 {
				path = rest[i:]
			}
		}
	}
	return path, query
}

// ParseQuery splits a raw query into pairs, in order. A plus is a space, as S3 and every browser have
// it; a semicolon is an ordinary character. Errors are *[Error].
func ParseQuery(raw string) ([]Pair, error) {
	var pairs []Pair
	for raw != "" {
		var part string
		part, raw, _ = strings.Cut(raw, "&")
		if part == "" {
			continue
		}
		k, v, _ := strings.Cut(part, "=")
		key, okKey := unescape(k, true)
		value, okValue := unescape(v, true)
		if !okKey || !okValue {
			return nil, invalidURI()
		}
		pairs = append(pairs, Pair{key, value})
	}
	return pairs, nil
}

// UnescapePath percent-decodes part of a path once; a plus stays a plus. Errors are *[Error].
func UnescapePath(s string) (string, error) {
	out, ok := unescape(s, false)
	if !ok {
		return "", invalidURI()
	}
	return out, nil
}

func unescape(s string, plus bool) (string, bool) {
	if !strings.ContainsAny(s, "%+") {
		return s, true
	}
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '%':
			if i+2 >= len(s) {
				return "", false
			}
			hi, lo := unhex(s[i+1]), unhex(s[i+2])
			if hi > 15 || lo > 15 {
				return "", false
			}
			b.WriteByte(hi<<4 | lo)
			i += 2
		case c == '+' && plus:
			b.WriteByte(' ')
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), true
}

func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}

const upperHex = "0123456789ABCDEF"

// escape is AWS's UriEncode: everything but the unreserved characters, in upper-case hex.
func escape(b *strings.Builder, s string) {
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z', '0' <= c && c <= '9',
			c == '-', c == '_', c == '.', c == '~':
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(upperHex[c>>4])
			b.WriteByte(upperHex[c&15])
		}
	}
}

func escaped(s string) string {
	var b strings.Builder
	escape(&b, s)
	return b.String()
}

// canonicalPath is the path of the canonical request. For S3 every segment is decoded once and encoded
// once, and nothing is normalised, so that an encoded slash stays one; for other services the raw path is
// normalised (RFC 3986 section 6) and encoded once more.
func canonicalPath(raw string, s3 bool) (string, error) {
	var b strings.Builder
	if s3 {
		for i, segment := range strings.Split(raw, "/") {
			if i > 0 {
				b.WriteByte('/')
			}
			plain, ok := unescape(segment, false)
			if !ok {
				return "", invalidURI()
			}
			escape(&b, plain)
		}
		return b.String(), nil
	}
	var kept []string
	segments := strings.Split(raw, "/")
	for _, segment := range segments {
		switch segment {
		case "", ".":
		case "..":
			if len(kept) > 0 {
				kept = kept[:len(kept)-1]
			}
		default:
			kept = append(kept, segment)
		}
	}
	for _, segment := range kept {
		b.WriteByte('/')
		escape(&b, segment)
	}
	if last := segments[len(segments)-1]; len(kept) == 0 || last == "" || last == "." || last == ".." {
		b.WriteByte('/')
	}
	return b.String(), nil
}

// canonicalQuery sorts by encoded key, then by encoded value, and leaves a presigned request's own
// signature out.
func canonicalQuery(pairs []Pair, presigned bool) string {
	encoded := make([]Pair, 0, len(pairs))
	for _, p := range pairs {
		if presigned && strings.EqualFold(p.Key, "X-Amz-Signature") {
			continue
		}
		encoded = append(encoded, Pair{escaped(p.Key), escaped(p.Value)})
	}
	slices.SortFunc(encoded, func(x, y Pair) int {
		if c := strings.Compare(x.Key, y.Key); c != 0 {
			return c
		}
		return strings.Compare(x.Value, y.Value)
	})
	var b strings.Builder
	for i, p := range encoded {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(p.Key)
		b.WriteByte('=')
		b.WriteString(p.Value)
	}
	return b.String()
}

// headerValues finds a header by its lower-case name, the ones net/http keeps elsewhere too.
func headerValues(r *http.Request, name string) []string {
	if name == "host" {
		host := r.Host
		if host == "" && r.URL != nil {
			host = r.URL.Host
		}
		return []string{host}
	}
	if v := r.Header[textproto.CanonicalMIMEHeaderKey(name)]; len(v) > 0 {
		return v
	}
	switch {
	case name == "content-length" && r.ContentLength >= 0:
		return []string{strconv.FormatInt(r.ContentLength, 10)}
	case name == "transfer-encoding" && len(r.TransferEncoding) > 0:
		return []string{strings.Join(r.TransferEncoding, ", ")}
	}
	for key, v := range r.Header { // a client may keep names as they are to travel
		if strings.EqualFold(key, name) {
			return v
		}
	}
	return nil
}

// one is the value of a header that may stand once. ok is false if it is absent.
func one(r *http.Request, name string) (value string, ok bool, err error) {
	values := r.Header[textproto.CanonicalMIMEHeaderKey(name)]
	switch len(values) {
	case 0:
		return "", false, nil
	case 1:
		return values[0], true, nil
	}
	return "", false, &Error{Status: http.StatusBadRequest, Code: "InvalidRequest",
		Message: "The header " + name + " was given more than once."}
}

// canonicalRequest joins the parts. The second result is the same text fit to be shown: without the
// values of headers and query keys that are secrets.
func canonicalRequest(r *http.Request, pairs []Pair, s3, presigned bool, signed []string, payloadHash string) (text, shown string, err error) {
	raw, _ := RawTarget(r)
	path, err := canonicalPath(raw, s3)
	if err != nil {
		return "", "", err
	}
	build := func(secrets bool) string {
		query := pairs
		if !secrets {
			query = slices.Clone(pairs)
			for i := range query {
				if secretName(query[i].Key) {
					query[i].Value = redacted
				}
			}
		}
		var b strings.Builder
		b.WriteString(r.Method + "\n" + path + "\n" + canonicalQuery(query, presigned) + "\n")
		for _, name := range signed {
			b.WriteString(name + ":")
			for i, v := range headerValues(r, name) {
				if i > 0 {
					b.WriteByte(',')
				}
				if !secrets && secretName(name) {
					v = redacted
				}
				b.WriteString(strings.Join(strings.Fields(v), " "))
			}
			b.WriteByte('\n')
		}
		b.WriteString("\n" + strings.Join(signed, ";") + "\n" + payloadHash)
		return b.String()
	}
	return build(true), build(false), nil
}

const redacted = "REDACTED"

// secretName names headers and query keys whose values are never shown.
func secretName(name string) bool {
	name = strings.ToLower(name)
	return name == "x-amz-security-token" || strings.HasSuffix(name, "-customer-key")
}

func invalidURI() *Error {
	return &Error{Status: http.StatusBadRequest, Code: "InvalidURI", Message: "Couldn't parse the specified URI."}
}
