package gate

import "strings"

// maxReadings bounds how many readings of one path are looked at. An honest path has a handful; one that
// has more is refused.
const maxReadings = 64

// plain reports whether the path has only one reading: nothing in it is encoded, doubled, relative or a
// separator to somebody.
func plain(path string) bool {
	for i := 0; i < len(path); i++ {
		switch path[i] {
		case '%', '\\', ';', '?', '#':
			return false
		case '/':
			if i+1 < len(path) && (path[i+1] == '/' || path[i+1] == '.') {
				return false
			}
		}
	}
	return true
}

// readings is every path that a chain of origins and their proxies may take this one for: the closure of
// the raw path under the steps that real servers take, in any order and any number of times. ok is false
// when there are more than maxReadings of them, when one of them holds a NUL, at which somebody's string
// ends, or when one climbs above the root.
//
// Upper and lower case are not folded, as CloudFront's patterns do not fold them: an origin that does so
// must be given patterns that allow for it.
func readings(path string) (forms []string, ok bool) {
	forms = append(make([]string, 0, 8), path)
	for i := 0; i < len(forms); i++ {
		for _, step := range steps {
			next := step(forms[i])
			if next == forms[i] || contains(forms, next) {
				continue
			}
			if len(forms) == maxReadings || strings.IndexByte(next, 0) >= 0 {
				return nil, false
			}
			forms = append(forms, next)
		}
		if climbs(forms[i]) {
			return nil, false
		}
	}
	return forms, true
}

var steps = [...]func(string) string{decode, overlong, backslashes, fold, dots, parameters, cut}

func contains(forms []string, s string) bool {
	for _, f := range forms {
		if f == s {
			return true
		}
	}
	return false
}

// decode removes one layer of percent-encoding. A percent sign without two digits stays.
func decode(p string) string {
	if strings.IndexByte(p, '%') < 0 {
		return p
	}
	b := make([]byte, 0, len(p))
	for i := 0; i < len(p); i++ {
		if p[i] == '%' && i+2 < len(p) {
			if hi, lo := unhex(p[i+1]), unhex(p[i+2]); hi <= 15 && lo <= 15 {
				b = append(b, hi<<4|lo)
				i += 2
				continue
			}
		}
		b = append(b, p[i])
	}
	return string(b)
}

// overlong reads two- and three-byte UTF-8 that spells an ASCII character the forbidden way (C0 AF for a
// slash, E0 80 AE for a dot) as that character, as lenient decoders do.
func overlong(p string) string {
	if strings.IndexByte(p, 0xC0) < 0 && strings.IndexByte(p, 0xC1) < 0 && strings.IndexByte(p, 0xE0) < 0 {
		return p
	}
	b := make([]byte, 0, len(p))
	for i := 0; i < len(p); i++ {
		switch {
		case p[i]&0xFE == 0xC0 && i+1 < len(p) && p[i+1]&0xC0 == 0x80:
			b = append(b, p[i]<<6|p[i+1]&0x3F)
			i++
		case p[i] == 0xE0 && i+2 < len(p) && p[i+1]&0xFE == 0x80 && p[i+2]&0xC0 == 0x80:
			b = append(b, p[i+1]<<6|p[i+2]&0x3F)
			i += 2
		default:
			b = append(b, p[i])
		}
	}
	return string(b)
}

// backslashes reads every backslash as a slash, as browsers and Windows servers do.
func backslashes(p string) string { return strings.ReplaceAll(p, `\`, "/") }

// fold reads a run of slashes as one.
func fold(p string) string {
	if !strings.Contains(p, "//") {
		return p
	}
	b := make([]byte, 0, len(p))
	for i := range len(p) {
		if p[i] == '/' && len(b) > 0 && b[len(b)-1] == '/' {
			continue
		}
		b = append(b, p[i])
	}
	return string(b)
}

// dots removes dot segments (RFC 3986 section 5.2.4). An empty segment counts as one.
func dots(p string) string {
	if !strings.Contains(p, "/.") {
		return p
	}
	segments := strings.Split(p, "/")[1:]
	out := make([]string, 0, len(segments))
	for i, s := range segments {
		last := i == len(segments)-1
		switch s {
		case ".":
		case "..":
			if len(out) > 0 {
				out = out[:len(out)-1]
			}
		default:
			out = append(out, s)
			continue
		}
		if last {
			out = append(out, "")
		}
	}
	return "/" + strings.Join(out, "/")
}

// climbs reports whether the path has more ".." than segments before them to take back.
func climbs(p string) bool {
	if !strings.Contains(p, "/..") {
		return false
	}
	depth := 0
	for s := range strings.SplitSeq(p[1:], "/") {
		switch s {
		case ".":
		case "..":
			if depth--; depth < 0 {
				return true
			}
		default:
			depth++
		}
	}
	return false
}

// parameters drops what follows a semicolon in each segment, as servlet containers do
// ("/public/..;/private").
func parameters(p string) string {
	if strings.IndexByte(p, ';') < 0 {
		return p
	}
	b := make([]byte, 0, len(p))
	skip := false
	for i := range len(p) {
		switch p[i] {
		case ';':
			skip = true
		case '/':
			skip = false
		}
		if !skip {
			b = append(b, p[i])
		}
	}
	return string(b)
}

// cut drops a query or fragment that only decoding has brought to light.
func cut(p string) string {
	if at := strings.IndexAny(p, "?#"); at >= 0 {
		return p[:at]
	}
	return p
}
