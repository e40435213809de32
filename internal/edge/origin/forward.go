package origin

import (
	"net/http"
	"net/netip"
	"net/textproto"
	"net/url"
	"slices"
	"strings"

	"postern/signed"
)

// Names is a set of names: all of them, or those listed. The zero Names is none.
type Names struct {
	All  bool
	Only []string
}

// Union is what either lets through.
func (n Names) Union(m Names) Names {
	if n.All || m.All {
		return Names{All: true}
	}
	return Names{Only: slices.Concat(n.Only, m.Only)}
}

func (n Names) none() bool { return !n.All && len(n.Only) == 0 }

func (n Names) has(name string) bool { return n.All || slices.Contains(n.Only, name) }

func (n Names) hasFold(name string) bool {
	return n.All || slices.ContainsFunc(n.Only, func(s string) bool { return strings.EqualFold(s, name) })
}

// Forward says what of a viewer's request passes to the origin. The zero Forward is what CloudFront does
// with a cache policy that names nothing: neither query nor cookies, and of the headers only those that
// ranges, conditions and a body need.
type Forward struct {
	Query, Cookies, Headers Names
	// Host passes the viewer's Host on instead of the origin's domain.
	Host bool
	// Legacy is the table for behaviours with ForwardedValues: headers that AWS's table does not speak of
	// pass, too.
	Legacy bool
	// Encodings passes on a normalised Accept-Encoding (br and gzip only).
	Encodings bool
}

// Union is what either lets through: a cache policy and an origin request policy add up.
func (f Forward) Union(g Forward) Forward {
	return Forward{
		Query:     f.Query.Union(g.Query),
		Cookies:   f.Cookies.Union(g.Cookies),
		Headers:   f.Headers.Union(g.Headers),
		Host:      f.Host || g.Host,
		Legacy:    f.Legacy || g.Legacy,
		Encodings: f.Encodings || g.Encodings,
	}
}

type fate uint8

const (
	listed  fate = iota // passes when the policy lists it; the fate of every header not named here
	never               // never passes
	always              // passes
	legacy              // passes when listed, and under the legacy table
	handled             // built apart
	removed             // passes when listed by name, not by "other headers pass"
)

// fates is CloudFront's table of request headers, canonical names. Source: CloudFront Developer Guide,
// "HTTP request headers and CloudFront behavior"; deviations: Expect, Request-Range and Max-Forwards
// never pass.
var fates = map[string]fate{
	"Accept":                 removed,
	"Accept-Charset":         removed,
	"Accept-Encoding":        handled,
	"Accept-Language":        removed,
	"Authorization":          handled,
	"Cache-Control":          legacy,
	"Connection":             never,
	"Content-Encoding":       always,
	"Content-Language":       always,
	"Content-Length":         never, // net/http writes the body's own
	"Content-Md5":            always,
	"Content-Type":           always,
	"Cookie":                 handled,
	"Date":                   legacy,
	"Expect":                 never,
	"From":                   legacy,
	"Host":                   handled,
	"Http2-Settings":         never,
	"If-Match":               always,
	"If-Modified-Since":      always,
	"If-None-Match":          always,
	"If-Range":               always,
	"If-Unmodified-Since":    always,
	"Keep-Alive":             never,
	"Max-Forwards":           never,
	"Origin":                 legacy,
	"Pragma":                 legacy,
	"Range":                  always,
	"Referer":                removed,
	"Request-Range":          never,
	"Te":                     never,
	"Trailer":                never,
	"Transfer-Encoding":      never,
	"Upgrade":                never,
	"User-Agent":             handled,
	"Via":                    handled,
	"Warning":                legacy,
	"X-Amz-Cf-Id":            never,
	"X-Amz-Cf-Pop":           never,
	"X-Forwarded-For":        handled,
	"X-Forwarded-Proto":      never,
	"X-Http-Method-Override": removed,
	"X-Real-Ip":              never,
}

func fateOf(name string) fate {
	if f, ok := fates[name]; ok {
		return f
	}
	// Headers in CloudFront's own name would be taken for its word by the origin.
	if strings.HasPrefix(name, "Proxy-") || strings.HasPrefix(name, "X-Edge-") || strings.HasPrefix(name, "Cloudfront-") {
		return never
	}
	return listed
}

// request builds the headers of the origin request.
func (f Forward) request(r *Request, custom []Header) http.Header {
	out := make(http.Header, 16)
	hop := connectionNames(r.Header)
	for name, values := range r.Header {
		if len(values) == 0 || slices.Contains(hop, name) {
			continue
		}
		pass := false
		switch fateOf(name) {
		case always:
			pass = true
		case legacy:
			pass = f.Legacy || f.Headers.hasFold(name)
		case removed:
			pass = f.Headers.hasFold(name)
		case listed:
			pass = f.Legacy || f.Headers.hasFold(name)
		}
		if pass {
			out[name] = values
		}
	}
	if v := out["Referer"]; len(v) > 0 {
		out["Referer"] = []string{stripURL(v[0])}
	}
	if v := f.encodings(r.Header["Accept-Encoding"]); v != "" {
		out["Accept-Encoding"] = []string{v}
	}
	// Authorization passes when listed, and on the methods that write.
	if v := r.Header["Authorization"]; len(v) > 0 && (f.Headers.hasFold("Authorization") || r.Method != http.MethodGet && r.Method != http.MethodHead) {
		out["Authorization"] = v
	}
	if v := f.cookies(r.Header["Cookie"]); v != "" {
		out["Cookie"] = []string{v}
	}
	out["User-Agent"] = []string{"Amazon CloudFront"}
	if v := r.Header["User-Agent"]; len(v) > 0 && f.Headers.hasFold("User-Agent") {
		out["User-Agent"] = v[:1]
	}
	if xff := forwardedFor(r.Header["X-Forwarded-For"], r.Peer); xff != "" {
		out["X-Forwarded-For"] = []string{xff}
	}
	via := r.Header["Via"]
	out["Via"] = append(via[:len(via):len(via)], r.Via)
	out["X-Amz-Cf-Id"] = []string{r.ID}
	for _, h := range custom {
		out[h.Name] = []string{h.Value}
	}
	return out
}

// connectionNames are the headers that Connection makes hop-by-hop (RFC 9110 section 7.6.1).
func connectionNames(h http.Header) []string {
	var names []string
	for _, v := range h["Connection"] {
		for name := range strings.SplitSeq(v, ",") {
			if name = textproto.TrimString(name); name != "" {
				names = append(names, http.CanonicalHeaderKey(name))
			}
		}
	}
	return names
}

// encodings reduces Accept-Encoding to the two encodings CloudFront asks origins for, in its order.
// A quality of zero is a no. When the header is listed in a policy it passes as it is.
func (f Forward) encodings(values []string) string {
	if len(values) == 0 {
		return ""
	}
	if !f.Encodings {
		if f.Headers.hasFold("Accept-Encoding") {
			return strings.Join(values, ", ")
		}
		return ""
	}
	var br, gzip bool
	for _, v := range values {
		for item := range strings.SplitSeq(v, ",") {
			coding, params, _ := strings.Cut(item, ";")
			q := strings.ReplaceAll(params, " ", "")
			if strings.HasPrefix(q, "q=0") && strings.Trim(q[3:], ".0") == "" {
				continue
			}
			switch strings.ToLower(textproto.TrimString(coding)) {
			case "br":
				br = true
			case "gzip":
				gzip = true
			}
		}
	}
	switch {
	case br && gzip:
		return "br,gzip"
	case br:
		return "br"
	case gzip:
		return "gzip"
	}
	return ""
}

// cookies are the cookies that pass, never CloudFront's own.
func (f Forward) cookies(values []string) string {
	if f.Cookies.none() || len(values) == 0 {
		return ""
	}
	// RFC 6265 section 5.4: one header; several are joined as HTTP/2 splits them (RFC 9113 section 8.2.3).
	line := signed.StripCookies(strings.Join(values, "; "))
	if f.Cookies.All {
		return line
	}
	var out []string
	for pair := range strings.SplitSeq(line, ";") {
		pair = textproto.TrimString(pair)
		name, _, _ := strings.Cut(pair, "=")
		if f.Cookies.has(textproto.TrimString(name)) {
			out = append(out, pair)
		}
	}
	return strings.Join(out, "; ")
}

// query is the part of the admitted query that passes, byte for byte.
func (f Forward) query(raw string) string {
	if f.Query.All || raw == "" {
		return raw
	}
	if len(f.Query.Only) == 0 {
		return ""
	}
	var out []string
	for pair := range strings.SplitSeq(raw, "&") {
		name, _, _ := strings.Cut(pair, "=")
		if plain, err := url.QueryUnescape(name); err == nil && f.Query.has(plain) {
			out = append(out, pair)
		}
	}
	return strings.Join(out, "&")
}

// stripURL takes CloudFront's parameters out of a URL's query: a page opened by a signed URL names that
// URL as the referrer of all it loads.
func stripURL(s string) string {
	at := strings.IndexByte(s, '?')
	if at < 0 {
		return s
	}
	query, fragment, hash := strings.Cut(s[at+1:], "#")
	query = signed.StripQuery(query)
	out := s[:at]
	if query != "" {
		out += "?" + query
	}
	if hash {
		out += "#" + fragment
	}
	return out
}

// forwardedFor appends the peer's address to what it says of the way to it.
func forwardedFor(values []string, peer netip.Addr) string {
	line := strings.Join(values, ", ")
	if !peer.IsValid() {
		return line
	}
	if line == "" {
		return peer.String()
	}
	return line + ", " + peer.String()
}

// response removes from an origin's answer what a viewer must not or need not see.
// Source: CloudFront Developer Guide, "HTTP response headers that CloudFront removes or replaces".
func (f Forward) response(h http.Header) {
	for _, name := range connectionNames(h) {
		delete(h, name)
	}
	for _, name := range []string{
		"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding",
		"Upgrade", "Via", "X-Cache", "X-Amz-Cf-Id", "X-Amz-Cf-Pop",
	} {
		delete(h, name)
	}
	if f.Cookies.none() {
		delete(h, "Set-Cookie")
	}
	if vary := h["Vary"]; len(vary) > 0 {
		if kept := f.vary(vary); kept != "" {
			h["Vary"] = []string{kept}
		} else {
			delete(h, "Vary")
		}
	}
}

// vary keeps the names of what the answer can really vary with: what the origin was shown.
func (f Forward) vary(values []string) string {
	var kept []string
	for _, v := range values {
		for name := range strings.SplitSeq(v, ",") {
			name = textproto.TrimString(name)
			switch strings.ToLower(name) {
			case "":
			case "*", "accept-encoding":
				kept = append(kept, name)
			case "cookie":
				if !f.Cookies.none() {
					kept = append(kept, name)
				}
			default:
				if fa := fateOf(http.CanonicalHeaderKey(name)); fa == always || f.Headers.hasFold(name) || f.Legacy && (fa == legacy || fa == listed) {
					kept = append(kept, name)
				}
			}
		}
	}
	return strings.Join(kept, ", ")
}
