package signed

import "strings"

// MatchResource reports whether a policy's resource covers a URL, in time proportional to the length of
// the URL times a sixty-fourth of the length of the resource, whatever the wildcards.
//
// The URL is scheme://host[:port]/path[?query], host in lower case and default port dropped, as it
// travelled: nothing is decoded or normalised. The resource is cut in four sections, protocol, domain,
// path and query; in each, * stands for any run of characters, ? for exactly one, and neither crosses a
// border. The exceptions, all from private-content-creating-signed-url-custom-policy:
//
//   - "*" alone covers every URL.
//   - A resource that begins with * may leave the protocol out: *example.com is *://*example.com/.
//   - A trailing * in the domain, with no path after it, covers any path and query.
//   - A trailing * in the path, with no query after it, covers any query.
//   - A query section that * alone can fill also covers a URL without a query, since AWS calls hello*
//     and hello*\?* the same.
//
// The protocol may be a pattern too (http*://, as AWS's Go and Ruby signers write it). Domains are
// compared in lower case, and a default port in the resource is dropped like the request's.
//
// AWS gives ? two meanings in the path, one character and the start of the query. Here \? always starts
// the query, and then every plain ? before it is one character. Without \?, the first plain ? starts the
// query if an = follows it (?size=large). If none does (img?.jpg), both readings are taken.
func MatchResource(resource, url string) bool {
	return compareResource(resource, url) == sectionNone
}

// section is a part of a URL. Where two URLs or a pattern and a URL differ, the first is named.
type section uint8

const (
	sectionNone section = iota
	sectionScheme
	sectionHost
	sectionPath
	sectionQuery
)

func (s section) String() string {
	return [...]string{"URL", "protocol", "host", "path", "query"}[s]
}

// urlParts are the sections of a URL or of a resource. Hardly anything may be assumed about them.
type urlParts struct {
	scheme, host, path, query string
	hasQuery                  bool
}

// splitURL cuts a request's URL. ok is false without a scheme or a host.
func splitURL(u string) (p urlParts, ok bool) {
	scheme, rest, found := strings.Cut(u, "://")
	if !found || scheme == "" {
		return p, false
	}
	p.scheme = scheme
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	p.host, rest = rest[:end], rest[end:]
	p.path, p.query, p.hasQuery = strings.Cut(rest, "?")
	return p, p.host != ""
}

// compareResource returns the first section in which the URL falls outside the resource, or sectionNone.
func compareResource(resource, url string) section {
	if resource == "*" {
		return sectionNone
	}
	u, ok := splitURL(url)
	if !ok {
		return sectionScheme
	}
	protocol, rest, ok := cutProtocol(resource)
	if !ok || !glob(protocol, u.scheme) {
		return sectionScheme
	}
	end := strings.IndexByte(rest, '/')
	if escaped := strings.Index(rest, `\?`); escaped >= 0 && (end < 0 || escaped < end) {
		end = escaped
	}
	if end < 0 {
		end = len(rest)
	}
	domain, rest := rest[:end], rest[end:]
	if !glob(foldHost(protocol, domain), u.host) {
		return sectionHost
	}
	if rest == "" {
		if strings.HasSuffix(domain, "*") {
			return sectionNone
		}
		rest = "/"
	}
	at, width, both := queryStart(rest)
	if at < 0 {
		return compareTail(rest, "", false, u)
	}
	path := rest[:at]
	if path == "" {
		path = "/"
	}
	worst := compareTail(path, rest[at+width:], true, u)
	if worst != sectionNone && both && compareTail(rest, "", false, u) == sectionNone {
		return sectionNone
	}
	return worst
}

// compareTail compares path and query.
func compareTail(path, query string, hasQuery bool, u urlParts) section {
	switch {
	case !glob(path, u.path):
		return sectionPath
	case !hasQuery && strings.HasSuffix(path, "*"):
		return sectionNone
	case !glob(query, u.query): // without a query in the resource, only none fits
		return sectionQuery
	}
	return sectionNone
}

// cutProtocol takes the protocol section off. What stands before "://" is one only if it could be: the
// characters of a scheme, or wildcards.
func cutProtocol(resource string) (protocol, rest string, ok bool) {
	if i := strings.Index(resource, "://"); i > 0 {
		protocol = resource[:i]
		isScheme := func(c rune) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '*' || c == '?' }
		if strings.IndexFunc(protocol, func(c rune) bool { return !isScheme(c) }) < 0 {
			return strings.ToLower(protocol), resource[i+3:], true
		}
	}
	return "*", resource, strings.HasPrefix(resource, "*")
}

// foldHost brings a pattern's domain to the form the request's host has.
func foldHost(protocol, domain string) string {
	domain = strings.ToLower(domain)
	switch protocol {
	case "http":
		return strings.TrimSuffix(domain, ":80")
	case "https":
		return strings.TrimSuffix(domain, ":443")
	}
	return domain
}

// queryStart finds where the query begins in a pattern's path and query, and how long the delimiter is.
// at is -1 if there is none. both says that the ? may just as well be a wildcard.
func queryStart(rest string) (at, width int, both bool) {
	if at = strings.Index(rest, `\?`); at >= 0 {
		return at, 2, false
	}
	if at = strings.IndexByte(rest, '?'); at >= 0 {
		return at, 1, strings.IndexByte(rest[at:], '=') < 0
	}
	return -1, 0, false
}

// glob reports whether the whole of s fits the pattern p.
func glob(p, s string) bool {
	ok, _ := globSteps(p, s)
	return ok
}

// globSteps is glob, and counts its steps so that a test can hold the bound: at most
// len(p) + len(s)*(1+len(p)/64) of them. What stands before the first star and after the last is
// compared in place; what remains runs through a bit-parallel automaton, because any search that goes
// back over s can be made to go back at every character.
func globSteps(p, s string) (ok bool, steps int) {
	i := 0
	for ; i < len(p) && p[i] != '*'; i++ {
		if i == len(s) || p[i] != '?' && p[i] != s[i] {
			return false, i
		}
	}
	if i == len(p) {
		return i == len(s), i
	}
	steps = i
	p, s = p[i:], s[i:]
	for p[len(p)-1] != '*' { // p begins with a star, so this ends
		last := len(p) - 1
		if s == "" || p[last] != '?' && p[last] != s[len(s)-1] {
			return false, steps
		}
		p, s = p[:last], s[:len(s)-1]
		steps++
	}
	if strings.Trim(p, "*") == "" {
		return true, steps
	}
	ok, n := globStars(p, s)
	return ok, steps + n
}

// globStars matches a pattern that begins and ends with a star. State k of the automaton means that the
// first k characters of the pattern, stars not counted, have been met; a state after which a star stands
// keeps itself alive. One word holds 64 states (Baeza-Yates and Gonnet, "A new approach to text
// searching", 1992).
func globStars(p, s string) (ok bool, steps int) {
	m := len(p) - strings.Count(p, "*")
	words := m/64 + 1
	// rows[r*words:] is the set of states that a character of row r leaves forward. Row 0 is for every
	// character that the pattern does not name, and holds the question marks.
	var rowOf [256]uint16
	count := 1
	for i := range len(p) {
		if c := p[i]; c != '*' && c != '?' && rowOf[c] == 0 {
			rowOf[c] = uint16(count)
			count++
		}
	}
	var small [256]uint64
	space := small[:]
	if need := (count + 2) * words; need > len(small) {
		space = make([]uint64, need)
	}
	rows, stay, alive := space[:count*words], space[count*words:(count+1)*words], space[(count+1)*words:(count+2)*words]
	k := 0
	for i := range len(p) {
		word, bit := k/64, uint64(1)<<(k%64)
		switch c := p[i]; c {
		case '*':
			stay[word] |= bit
			continue
		case '?':
			for r := range count {
				rows[r*words+word] |= bit
			}
		default:
			rows[int(rowOf[c])*words+word] |= bit
		}
		k++
	}
	final, finalBit := m/64, uint64(1)<<(m%64)
	alive[0] = 1
	for i := range len(s) {
		row := rows[int(rowOf[s[i]])*words:]
		var carry uint64
		for w := range words {
			moved := alive[w] & row[w]
			alive[w] = moved<<1 | carry | alive[w]&stay[w]
			carry = moved >> 63
		}
		steps += words
		if alive[final]&finalBit != 0 { // a star follows, so nothing can undo it
			return true, steps
		}
	}
	return false, steps
}
