package gate

import (
	"net/http"
	"net/netip"
	"strings"

	"postern/signed"
)

// MaxURL is the longest URL that is served, in bytes, scheme and host and query included.
// Source: CloudFront quotas, "Maximum length of a URL".
const MaxURL = 8192

// maxHost is the longest host that is looked at: a DNS name has at most 253 bytes, a port six.
const maxHost = 260

// TargetError says why a request target is refused before anything is matched against it.
// Reason is one of this package's own sentences and holds nothing of the request.
type TargetError struct {
	// Status is 400, or 414 for a URL that is too long.
	Status int
	Reason string
}

// Error implements error.
func (e *TargetError) Error() string { return "refusing request target: " + e.Reason }

func badTarget(reason string) *TargetError {
	return &TargetError{Status: http.StatusBadRequest, Reason: reason}
}

// Target is what a request asks for: the scheme it came by, the host it named and the path and query
// exactly as they travelled. It is computed once per request by [ParseTarget], and everything that
// follows (behaviour, signature, cache key, origin request) reads this one value, so that no two of
// them can mean different things by the same bytes. The zero Target is of no use.
type Target struct {
	scheme   string
	host     string // lower case, without the scheme's default port
	hostname string // host without any port
	path     string // raw; begins with a slash
	query    string // raw, without the question mark
	mark     bool   // there was a question mark, even if nothing followed it
}

// ParseTarget reads the target of r, which arrived by scheme ("http" or "https").
//
// The path is taken from r.RequestURI and never from r.URL, which net/http has already decoded once.
// Origin-form is the rule; absolute-form must name the host in r.Host and the scheme the request came
// by. (net/http replaces r.Host by the target's host in that case and hides the Host header, so the
// agreement of these two is the connection's framing guard's to see to.) Asterisk-form and
// authority-form name no object and are refused.
//
// Refused with 400, too: control characters, spaces, bytes above 0x7E and '#' anywhere; in the path, a
// percent sign without two hexadecimal digits and an encoded NUL. The query is opaque: its percent
// signs are not judged. CloudFront is more patient with some of these; refusing is the safe reading.
// Errors are *TargetError.
func ParseTarget(r *http.Request, scheme string) (Target, error) {
	uri := r.RequestURI
	host, hostname, reason := canonicalHost(r.Host, scheme)
	if reason != "" {
		return Target{}, badTarget(reason)
	}
	// HTTP/2 may carry a host field beside :authority, which net/http prefers. They must not differ (RFC 9113
	// section 8.3.1).
	for _, also := range r.Header["Host"] {
		if h, _, reason := canonicalHost(also, scheme); reason != "" || h != host {
			return Target{}, badTarget("the host field names another host than :authority")
		}
	}
	for i := range len(uri) {
		if c := uri[i]; c <= ' ' || c >= 0x7F || c == '#' {
			return Target{}, badTarget("the target holds a byte that must be percent-encoded")
		}
	}
	if !strings.HasPrefix(uri, "/") {
		named, rest, ok := strings.Cut(uri, "://")
		if !ok || !asciiEqualFold(named, scheme) {
			return Target{}, badTarget("the target is neither a path nor a URL of this scheme")
		}
		slash := strings.IndexByte(rest, '/')
		if slash < 0 {
			return Target{}, badTarget("the target's URL has no path")
		}
		absolute, _, reason := canonicalHost(rest[:slash], scheme)
		if reason != "" {
			return Target{}, badTarget(reason)
		}
		if absolute != host {
			return Target{}, badTarget("the target's URL names another host than Host")
		}
		uri = rest[slash:]
	}
	t := Target{scheme: scheme, host: host, hostname: hostname}
	t.path, t.query, t.mark = strings.Cut(uri, "?")
	if t.urlLen() > MaxURL {
		return Target{}, &TargetError{Status: http.StatusRequestURITooLong, Reason: "the URL is longer than 8,192 bytes"}
	}
	if reason := checkPath(t.path); reason != "" {
		return Target{}, badTarget(reason)
	}
	return t, nil
}

// Scheme is "http" or "https".
func (t Target) Scheme() string { return t.scheme }

// Host is the host in lower case, with its port unless that is the scheme's default.
func (t Target) Host() string { return t.host }

// Hostname is Host without any port.
func (t Target) Hostname() string { return t.hostname }

// Path is the raw path, beginning with a slash.
func (t Target) Path() string { return t.path }

// RequestURI is path and query as they travelled. It may hold a signature: never log it.
func (t Target) RequestURI() string {
	if !t.mark {
		return t.path
	}
	return t.path + "?" + t.query
}

// URL is the whole URL as it travelled: what a signature is about. It may hold a signature: never log it.
func (t Target) URL() string {
	if !t.mark {
		return t.scheme + "://" + t.host + t.path
	}
	return t.scheme + "://" + t.host + t.path + "?" + t.query
}

// OriginQuery is the query without CloudFront's five parameters, the rest byte for byte. The gate knows
// them only by their plain names; those that percent-encode a name ("%53ignature") do not count as a
// signature, but an origin would decode them, so they are taken out here as well.
func (t Target) OriginQuery() string {
	if t.query == "" {
		return ""
	}
	q := signed.StripQuery(t.query)
	if strings.IndexByte(q, '%') < 0 {
		return q
	}
	kept := make([]string, 0, 8)
	for pair := range strings.SplitSeq(q, "&") {
		name, _, _ := strings.Cut(pair, "=")
		switch decode(name) {
		case "Expires", "Policy", "Signature", "Key-Pair-Id", "Hash-Algorithm":
		default:
			kept = append(kept, pair)
		}
	}
	return strings.Join(kept, "&")
}

func (t Target) urlLen() int {
	n := len(t.scheme) + len("://") + len(t.host) + len(t.path)
	if t.mark {
		n += 1 + len(t.query)
	}
	return n
}

// canonicalHost checks a Host value and returns it in lower case without the default port, and once
// more without any port. A reason that is not empty refuses it.
func canonicalHost(raw, scheme string) (host, hostname, reason string) {
	if raw == "" {
		return "", "", "the request names no host"
	}
	if len(raw) > maxHost {
		return "", "", "the host is too long"
	}
	host = asciiLower(raw)
	hostname = host
	port := ""
	if strings.HasPrefix(host, "[") {
		end := strings.IndexByte(host, ']')
		if end < 0 {
			return "", "", "the host is malformed"
		}
		addr, err := netip.ParseAddr(host[1:end])
		if err != nil || addr.Zone() != "" || !addr.Is6() {
			return "", "", "the host is malformed"
		}
		hostname = host[:end+1]
		if rest := host[end+1:]; rest != "" {
			if rest[0] != ':' {
				return "", "", "the host is malformed"
			}
			port = rest[1:]
			if port == "" {
				return "", "", "the port is malformed"
			}
		}
	} else {
		if colon := strings.IndexByte(host, ':'); colon >= 0 {
			hostname, port = host[:colon], host[colon+1:]
			if port == "" {
				return "", "", "the port is malformed"
			}
		}
		if !validName(hostname) {
			return "", "", "the host is malformed"
		}
	}
	if port != "" {
		if !validPort(port) {
			return "", "", "the port is malformed"
		}
		if scheme == "http" && port == "80" || scheme == "https" && port == "443" {
			host = hostname
		}
	}
	return host, hostname, ""
}

// Hostname checks a host name without a port, as it stands in a distribution, and returns it in lower case.
func Hostname(s string) (string, bool) {
	host, hostname, reason := canonicalHost(s, "")
	return hostname, reason == "" && host == hostname
}

// validName accepts dotted labels of letters, digits, hyphens and underscores; no empty label, so no
// trailing dot either: a signature is about one spelling of the host.
func validName(s string) bool {
	label := 0
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '_':
			label++
		case c == '.' && label > 0:
			label = 0
		default:
			return false
		}
	}
	return label > 0
}

func validPort(s string) bool {
	if len(s) > 5 || s[0] == '0' {
		return false
	}
	n := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n <= 65535
}

// checkPath refuses what no reader of the path may be left to interpret.
func checkPath(p string) string {
	if !strings.HasPrefix(p, "/") {
		return "the path does not begin with a slash"
	}
	if strings.IndexByte(p, '%') < 0 {
		return ""
	}
	for i := 0; i < len(p); i++ {
		if p[i] != '%' {
			continue
		}
		if i+2 >= len(p) {
			return "the path holds a malformed percent-encoding"
		}
		hi, lo := unhex(p[i+1]), unhex(p[i+2])
		if hi > 15 || lo > 15 {
			return "the path holds a malformed percent-encoding"
		}
		if hi == 0 && lo == 0 {
			return "the path holds an encoded NUL"
		}
		i += 2
	}
	return ""
}

// unhex is the value of a hexadecimal digit, 0xFF for anything else.
func unhex(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 0xFF
}

// asciiLower lower-cases A-Z only, and returns s itself when there is none.
func asciiLower(s string) string {
	for i := range len(s) {
		if c := s[i]; c >= 'A' && c <= 'Z' {
			b := []byte(s)
			for ; i < len(b); i++ {
				if b[i] >= 'A' && b[i] <= 'Z' {
					b[i] += 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}

func asciiEqualFold(a, b string) bool { return asciiLower(a) == asciiLower(b) }
