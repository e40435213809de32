package signed

import (
	"bytes"
	"crypto/rsa"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Bounds of the search, in texts compared. One costs about 0.2 µs for RSA and 15 µs for ECDSA.
const (
	searchRSA   = 3_000_000
	searchECDSA = 30_000
)

// hit is a text that the signature was made over.
type hit struct {
	text  []byte
	url   string // the resource in it
	epoch int64  // the expiry in it
	note  string // what is odd about the text, if its resource and expiry are the expected ones
}

// search looks for the text a signature was made over. Its steps go from the likely and few to the unlikely
// and many, and all of them count against one bound.
type search struct {
	opened
	certain   bool // the key is known to have made the signature
	canned    bool
	url       string // the resource as it is here
	asked     string // the request's URL, which is the resource itself if the policy is canned
	epoch     int64  // the expiry as it is here
	here      []byte // the text as it is here
	hosts     []string
	wild      iter.Seq[string]
	limit     int
	tried     int
	exhausted bool
	room      []byte
	// The text is head, resource, middle, expiry, tail. ok is false for a policy without a resource.
	head, middle, tail []byte
	ok                 bool
}

func newSearch(e *explainer, o opened) *search {
	x := &e.x
	s := &search{
		opened: o, certain: o.proven, canned: x.canned, here: x.text(),
		url: x.policy.Resource, asked: x.url, epoch: x.policy.NotAfter.Unix(),
		hosts: e.c.Hosts, wild: e.c.Candidates, limit: searchECDSA,
	}
	if _, isRSA := x.key.Public.(*rsa.PublicKey); isRSA {
		s.limit = searchRSA
	}
	resource, expiry := appendQuoted(nil, s.url), strconv.AppendInt(nil, s.epoch, 10)
	var rest []byte
	var found bool
	if s.head, rest, found = bytes.Cut(s.here, resource); !found {
		return s
	}
	s.head = append(slices.Clone(s.head), '"')
	if i := bytes.Index(rest, []byte(`"DateLessThan"`)); i >= 0 {
		if j := bytes.Index(rest[i:], expiry); j >= 0 {
			s.middle = append([]byte{'"'}, rest[:i+j]...)
			s.tail = rest[i+j+len(expiry):]
			s.ok = true
		}
	}
	return s
}

// test compares one text. It answers false for ever once the bound is reached.
func (s *search) test(text []byte) bool {
	if s.tried >= s.limit {
		s.exhausted = true
		return false
	}
	s.tried++
	return s.hits(s.hash, text)
}

// try compares the text with another resource and expiry in it.
func (s *search) try(url string, epoch int64) (hit, bool) {
	b := append(s.room[:0], s.head...)
	quoted := appendQuoted(nil, url)
	b = append(b, quoted[1:len(quoted)-1]...)
	b = append(b, s.middle...)
	b = strconv.AppendInt(b, epoch, 10)
	b = append(b, s.tail...)
	s.room = b
	if s.test(b) {
		return hit{text: slices.Clone(b), url: url, epoch: epoch}, true
	}
	return hit{}, false
}

func (s *search) run() (hit, bool) {
	steps := []func() (hit, bool){s.shapes}
	if s.ok {
		steps = append(steps, s.variants, s.candidates, s.editResource, s.editExpiry, s.removals, s.replacements, s.combinations)
	}
	if s.canned {
		steps = append(steps, s.expiries)
	} else {
		steps = append(steps, s.editText)
	}
	if s.ok {
		steps = append(steps, s.doubleEdits, s.pathPairs)
	}
	for _, step := range steps {
		if h, found := step(); found {
			return h, true
		}
		if s.exhausted {
			break
		}
	}
	return hit{}, false
}

// shapes tries other ways to write the same policy.
func (s *search) shapes() (hit, bool) {
	resource, expiry := string(appendQuoted(nil, s.url)), strconv.FormatInt(s.epoch, 10)
	plain := string(s.here)
	spaced := strings.NewReplacer(`":`, `": `, `,"`, `, "`).Replace(plain)
	shapes := []struct{ text, note string }{
		{plain + "\n", "a newline was added at the end before signing"},
		{strings.TrimRight(plain, " \t\r\n"), "white space at the end was taken away before signing"},
		{spaced, "blanks stand after the colons and commas, as Python's json.dumps puts them without separators=(',', ':')"},
		{strings.ReplaceAll(plain, "/", `\/`), `slashes are written \/, as PHP's json_encode does without JSON_UNESCAPED_SLASHES`},
		{strings.NewReplacer("&", `\u0026`, "<", `\u003c`, ">", `\u003e`).Replace(plain), `& is written \u0026, as Go's json.Marshal does; SetEscapeHTML(false) leaves it alone`},
		{string(compactJSON(s.here)), "white space was taken away before signing, but not from what is sent"},
		{EncodeText(s.here), "the base64 of the policy was signed, not the policy itself"},
		{`{"Statement":[{"Condition":{"DateLessThan":{"AWS:EpochTime":` + expiry + `}},"Resource":` + resource + `}]}`, "Condition stands before Resource"},
		{`{"Statement":[{"Resource":` + resource + `,"Condition":{"DateLessThan":{"AWS:EpochTime":"` + expiry + `"}}}]}`, "the expiry is written in quotation marks"},
		{`{"Statement":{"Resource":` + resource + `,"Condition":{"DateLessThan":{"AWS:EpochTime":` + expiry + `}}}}`, "Statement is an object instead of an array"},
		{string(appendCanned(nil, s.url, s.epoch)), "the canned policy was signed, and a custom one is sent"},
		{s.url, "the URL alone was signed, not a policy"},
	}
	if letters, ok := unescape(s.url); ok && utf8.ValidString(letters) && strings.IndexFunc(letters, func(c rune) bool { return c > unicode.MaxASCII }) >= 0 {
		p := Policy{Resource: letters, NotAfter: time.Unix(s.epoch, 0)}
		shapes = append(shapes, struct{ text, note string }{string(p.text(appendQuotedASCII)), `letters beyond ASCII stand in it as \uXXXX, as the AWS CLI writes them; percent-encode the URL before signing`})
	}
	for _, shape := range shapes {
		if shape.text != plain && s.test([]byte(shape.text)) {
			return hit{text: []byte(shape.text), url: s.url, epoch: s.epoch, note: shape.note}, true
		}
	}
	return hit{}, false
}

// compactJSON takes the white space between tokens away.
func compactJSON(text []byte) []byte {
	var out []byte
	inString := false
	for i := 0; i < len(text); i++ {
		c := text[i]
		if inString && c == '\\' && i+1 < len(text) {
			out = append(out, c, text[i+1])
			i++
			continue
		}
		if c == '"' {
			inString = !inString
		}
		if inString || c > ' ' {
			out = append(out, c)
		}
	}
	return out
}

// sections cuts the resource as it is here.
func (s *search) sections() (urlParts, bool) { return splitURL(s.url) }

func (p urlParts) String() string {
	u := p.scheme + "://" + p.host + p.path
	if p.hasQuery {
		u += "?" + p.query
	}
	return u
}

// variants changes one section at a time: of the resource, and of the URL that was asked for.
func (s *search) variants() (hit, bool) {
	for _, u := range distinct(s.url, s.asked) {
		if p, ok := splitURL(u); ok {
			if h, found := s.variantsOf(p); found {
				return h, true
			}
		}
	}
	return hit{}, false
}

func (s *search) variantsOf(p urlParts) (hit, bool) {
	try := func(change func(*urlParts)) (hit, bool) {
		q := p
		change(&q)
		return s.try(q.String(), s.epoch)
	}
	for _, v := range s.schemes(p) {
		if h, ok := try(func(q *urlParts) { q.scheme = v }); ok {
			return h, true
		}
	}
	for _, v := range s.hostNames(p) {
		if h, ok := try(func(q *urlParts) { q.host = v }); ok {
			return h, true
		}
	}
	for _, v := range paths(p.path) {
		if h, ok := try(func(q *urlParts) { q.path = v }); ok {
			return h, true
		}
	}
	for v := range queries(p) {
		if h, ok := try(func(q *urlParts) { q.query, q.hasQuery = v.query, v.hasQuery }); ok {
			return h, true
		}
	}
	for _, u := range wholes(p) {
		if h, ok := s.try(u, s.epoch); ok {
			return h, true
		}
	}
	for _, n := range []int64{s.epoch * 1000, s.epoch / 1000, s.epoch + 1, s.epoch - 1} {
		if h, ok := s.try(s.url, n); ok {
			return h, true
		}
	}
	return hit{}, false
}

// combinations changes several sections at once.
func (s *search) combinations() (hit, bool) {
	p, ok := s.sections()
	if !ok {
		return hit{}, false
	}
	here := p
	for _, scheme := range s.schemes(p) {
		for _, host := range s.hostNames(p) {
			for _, path := range paths(p.path) {
				for q := range queries(p) {
					here.scheme, here.host, here.path, here.query, here.hasQuery = scheme, host, path, q.query, q.hasQuery
					if h, ok := s.try(here.String(), s.epoch); ok {
						return h, true
					}
					if s.exhausted {
						return hit{}, false
					}
				}
			}
		}
	}
	return hit{}, false
}

func (s *search) schemes(p urlParts) []string {
	return distinct(p.scheme, "https", "http", "http*", "*")
}

func (s *search) hostNames(p urlParts) []string {
	name, _, _ := strings.Cut(p.host, ":")
	names := append([]string{p.host}, s.hosts...)
	return distinct(append(names, name, name+":443", name+":80", name+":8080", name+":8443", "www."+name, strings.TrimPrefix(name, "www."), strings.ToUpper(name), name+".")...)
}

// paths lists how else a path may have been written when it was signed.
func paths(path string) []string {
	list := []string{path}
	if plain, ok := unescape(path); ok {
		blank, _ := unescape(strings.ReplaceAll(path, "+", "%20"))
		list = append(list, plain, blank, EncodePath(strings.TrimPrefix(plain, "/")), EncodePath(strings.TrimPrefix(blank, "/")),
			strings.ReplaceAll(plain, " ", "+"), strings.ReplaceAll(plain, " ", "%20"),
			"/"+EncodeQueryValue(strings.TrimPrefix(plain, "/")))
		if u, ok := unescape(plain); ok {
			list = append(list, u)
		}
	}
	list = append(list,
		strings.ReplaceAll(path, "%20", "+"), strings.ReplaceAll(path, "+", "%20"), strings.ReplaceAll(path, "+", "%2B"), strings.ReplaceAll(path, "%2B", "+"),
		strings.ReplaceAll(path, "'", "%27"), strings.ReplaceAll(path, "%27", "'"), strings.ReplaceAll(path, "%", "%25"), strings.ReplaceAll(path, "%25", "%"),
		strings.ReplaceAll(path, "%2F", "/"), strings.ReplaceAll(path, "%7E", "~"), strings.ReplaceAll(path, "%2A", "*"),
		escapesIn(path, unicode.ToLower), escapesIn(path, unicode.ToUpper), strings.ToLower(path), strings.ToUpper(path),
		strings.TrimSuffix(path, "/"), path+"/", strings.TrimSuffix(path, "/index.html")+"/", strings.TrimSuffix(path, "index.html"), path+"index.html", strings.TrimSuffix(path, "/")+"/index.html",
		"/"+path, strings.ReplaceAll(path, "//", "/"))
	// A pattern with the directories of this path; and the path without its first directories.
	for i := len(path) - 1; i >= 0 && len(list) < 96; i-- {
		if path[i] == '/' {
			list = append(list, path[:i+1]+"*", path[i:])
		}
	}
	if i := strings.LastIndexByte(path, '.'); i >= 0 {
		list = append(list, path[:i], path[:i]+"*", path[:i]+".*", path[:strings.LastIndexByte(path, '/')+1]+"*"+path[i:])
	}
	return distinct(list...)
}

// escapesIn changes the case of the hexadecimal digits in escapes.
func escapesIn(path string, to func(rune) rune) string {
	b := []byte(path)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			b[i+1], b[i+2] = byte(to(rune(b[i+1]))), byte(to(rune(b[i+2])))
			i += 2
		}
	}
	return string(b)
}

// queries lists how else a query may have stood when it was signed: without it, without some pieces, in
// another order, otherwise encoded.
func queries(p urlParts) iter.Seq[urlParts] {
	return func(yield func(urlParts) bool) {
		emit := func(q string, has bool) bool { return yield(urlParts{query: q, hasQuery: has}) }
		if !emit(p.query, p.hasQuery) {
			return
		}
		if !p.hasQuery {
			_ = emit("", true) && emit("*", true)
			return
		}
		q := p.query
		plain, _ := unescape(q)
		pieces := strings.Split(q, "&")
		list := []string{"", q + "&", "&" + q, "*", plain, strings.ReplaceAll(q, "%20", "+"), strings.ReplaceAll(q, "+", "%20"), strings.ReplaceAll(q, "'", "%27"), strings.ReplaceAll(q, "%27", "'"),
			strings.ReplaceAll(q, "&", "&amp;"), strings.ReplaceAll(q, "&amp;", "&"), strings.ReplaceAll(q, "%", "%25"), strings.ReplaceAll(q, "%25", "%"), strings.ReplaceAll(q, "*", "%2A"),
			strings.ReplaceAll(q, "%2F", "/"), strings.ReplaceAll(q, "/", "%2F"), escapesIn(q, unicode.ToLower), escapesIn(q, unicode.ToUpper), strings.ToLower(q)}
		sorted := slices.Sorted(slices.Values(pieces))
		list = append(list, strings.Join(sorted, "&"))
		slices.Reverse(sorted)
		list = append(list, strings.Join(sorted, "&"))
		if !emit("", false) {
			return
		}
		for i := range min(len(pieces), 32) {
			list = append(list, strings.Join(slices.Delete(slices.Clone(pieces), i, i+1), "&"), strings.Join(pieces[:i], "&"), pieces[i])
		}
		for _, v := range distinct(list...) {
			if !emit(v, true) {
				return
			}
		}
		if len(pieces) <= 5 {
			for order := range permutations(pieces) {
				if !emit(strings.Join(order, "&"), true) {
					return
				}
			}
		}
	}
}

func permutations(pieces []string) iter.Seq[[]string] {
	return func(yield func([]string) bool) {
		order := slices.Clone(pieces)
		var walk func(int) bool
		walk = func(k int) bool {
			if k == len(order) {
				return yield(order)
			}
			for i := k; i < len(order); i++ {
				order[k], order[i] = order[i], order[k]
				if !walk(k + 1) {
					return false
				}
				order[k], order[i] = order[i], order[k]
			}
			return true
		}
		walk(0)
	}
}

// wholes lists resources that are no plain URL.
func wholes(p urlParts) []string {
	return distinct("*", "http*://*", "https://*", "http://*", "*://*", "http*://"+p.host+"/*", "*://"+p.host+"/*", p.host+p.path, p.path, strings.TrimPrefix(p.path, "/"), p.scheme+"://"+p.host)
}

// distinct drops repetitions, and keeps the order.
func distinct(list ...string) []string {
	out := list[:0]
	for _, v := range list {
		if !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}

// candidates tries what the caller suggests, with up to half of the bound.
func (s *search) candidates() (hit, bool) {
	p, ok := s.sections()
	if !ok || s.wild == nil {
		return hit{}, false
	}
	stop := s.tried + s.limit/2
	hosts := distinct(append([]string{p.host}, s.hosts...)...)
	for c := range s.wild {
		var urls []string
		if strings.Contains(c, "://") {
			urls = append(urls, c)
		} else {
			for _, host := range hosts {
				for _, path := range distinct(asPath(c), EncodePath(c)) {
					bare := urlParts{scheme: p.scheme, host: host, path: path}
					urls = append(urls, bare.String())
					if p.hasQuery {
						bare.query, bare.hasQuery = p.query, true
						urls = append(urls, bare.String())
					}
				}
			}
		}
		for _, u := range urls {
			if h, ok := s.try(u, s.epoch); ok {
				return h, true
			}
			if other, isHTTPS := strings.CutPrefix(u, "https:"); isHTTPS {
				u = "http:" + other
			} else if other, isHTTP := strings.CutPrefix(u, "http:"); isHTTP {
				u = "https:" + other
			}
			if h, ok := s.try(u, s.epoch); ok {
				return h, true
			}
		}
		if s.exhausted || s.tried >= stop {
			break
		}
	}
	return hit{}, false
}

func asPath(c string) string {
	if strings.HasPrefix(c, "/") {
		return c
	}
	return "/" + c
}

// fromText makes a hit of an edited text, by where its resource and its expiry lie.
func (s *search) fromText(text []byte) hit {
	h := hit{text: slices.Clone(text), url: s.url, epoch: s.epoch}
	if !s.ok {
		return h
	}
	if rest, ok := bytes.CutPrefix(text, s.head); ok {
		if i := bytes.LastIndex(rest, s.middle); i >= 0 {
			quoted := append([]byte{'"'}, rest[:i]...)
			r := jsonReader{b: append(quoted, '"')}
			if plain, err := r.text("resource", ""); err == nil && utf8.Valid(plain) {
				h.url = string(plain)
			}
			if digits, ok := bytes.CutSuffix(rest[i+len(s.middle):], s.tail); ok {
				if n, err := strconv.ParseInt(string(digits), 10, 64); err == nil {
					h.epoch = n
				}
			}
		}
	}
	return h
}

// The printable ASCII characters, those that URLs are full of first.
const (
	usualChars   = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-_./%=&+?"
	unusualChars = " !\"#$'()*,:;<>@[\\]^`{|}~"
)

func (s *search) resourceRange() (lo, hi int) {
	return len(s.head), bytes.LastIndex(s.here, append(slices.Clone(s.middle), strconv.AppendInt(nil, s.epoch, 10)...))
}

func (s *search) editResource() (hit, bool) {
	lo, hi := s.resourceRange()
	return s.edits(lo, hi, usualChars, unusualChars)
}

func (s *search) editExpiry() (hit, bool) {
	hi := len(s.here) - len(s.tail)
	return s.edits(hi-len(strconv.FormatInt(s.epoch, 10)), hi, "0123456789")
}

func (s *search) editText() (hit, bool) {
	return s.edits(0, len(s.here), usualChars, unusualChars+"\n\t")
}

// edits tries every text that one change to a character between lo and hi makes: lost, swapped with the
// next, replaced, added. The end of a URL is the likelier place, so it goes backwards.
func (s *search) edits(lo, hi int, alphabets ...string) (hit, bool) {
	text := s.here
	b := make([]byte, 0, len(text)+1)
	for i := hi - 1; i >= lo; i-- {
		b = append(append(b[:0], text[:i]...), text[i+1:]...)
		if s.test(b) {
			return s.fromText(b), true
		}
		if i+1 < hi {
			b = append(b[:0], text...)
			b[i], b[i+1] = b[i+1], b[i]
			if s.test(b) {
				return s.fromText(b), true
			}
		}
	}
	for _, alphabet := range alphabets {
		for i := hi; i >= lo && !s.exhausted; i-- {
			if i < hi {
				b = append(b[:0], text...)
				for k := range len(alphabet) {
					if b[i] = alphabet[k]; s.test(b) {
						return s.fromText(b), true
					}
				}
			}
			b = append(append(append(b[:0], text[:i]...), 0), text[i:]...)
			for k := range len(alphabet) {
				if b[i] = alphabet[k]; s.test(b) {
					return s.fromText(b), true
				}
			}
		}
	}
	return hit{}, false
}

// removals tries the resource without any one run of characters: something was added after signing.
func (s *search) removals() (hit, bool) {
	lo, hi := s.resourceRange()
	b := make([]byte, 0, len(s.here))
	for i := hi - 2; i >= lo && !s.exhausted; i-- {
		for j := i + 2; j <= hi && j-i <= 256; j++ {
			b = append(append(b[:0], s.here[:i]...), s.here[j:]...)
			if s.test(b) {
				return s.fromText(b), true
			}
		}
	}
	return hit{}, false
}

// replacements tries the resource with every occurrence of one character changed to another.
func (s *search) replacements() (hit, bool) {
	lo, hi := s.resourceRange()
	b := slices.Clone(s.here)
	for i := range len(usualChars) {
		old := usualChars[i : i+1]
		if bytes.Count(s.here[lo:hi], []byte(old)) < 2 {
			continue
		}
		for k := range len(usualChars) {
			copy(b, s.here)
			for at := lo; at < hi; at++ {
				if b[at] == old[0] {
					b[at] = usualChars[k]
				}
			}
			if s.test(b) {
				return s.fromText(b), true
			}
		}
	}
	return hit{}, false
}

// expiries tries other expiries: each second of the hours around, then rounder and rounder times farther
// and farther off.
func (s *search) expiries() (hit, bool) {
	scale := int64(1)
	if s.digest == nil { // ECDSA: fewer
		scale = 60
	}
	for _, ring := range []struct{ step, reach int64 }{
		{1, 12 * 3600 / scale}, {60, 60 * 24 * 3600 / scale}, {3600, 2 * 366 * 24 * 3600 / scale}, {24 * 3600, 10 * 366 * 24 * 3600 / scale},
	} {
		for d := ring.step; d <= ring.reach && !s.exhausted; d += ring.step {
			for _, n := range []int64{s.epoch - d, s.epoch + d, s.epoch - s.epoch%ring.step - d, s.epoch - s.epoch%ring.step + d} {
				if n < 0 {
					continue
				}
				if h, ok := s.try(s.url, n); ok {
					return h, true
				}
				if s.epoch%ring.step == 0 && n > s.epoch {
					break
				}
			}
		}
	}
	return hit{}, false
}

// doubleEdits tries some pairs of changes to the resource: two neighbours replaced, and any two of the
// cheap changes (a character lost, swapped, or in the other case; a digit changed).
func (s *search) doubleEdits() (hit, bool) {
	lo, hi := s.resourceRange()
	b := slices.Clone(s.here)
	for i := hi - 2; i >= lo && !s.exhausted; i-- {
		copy(b, s.here)
		for k := range len(usualChars) {
			b[i] = usualChars[k]
			for l := range len(usualChars) {
				if b[i+1] = usualChars[l]; s.test(b) {
					return s.fromText(b), true
				}
			}
		}
	}
	// Changes go from the back, so that the second does not move the first.
	for j := hi - 1; j >= lo; j-- {
		for first := range cheap(s.here, j, hi) {
			for i := j - 1; i >= lo && !s.exhausted; i-- {
				for second := range cheap(first, i, j) {
					if s.test(second) {
						return s.fromText(second), true
					}
				}
			}
			if s.exhausted {
				return hit{}, false
			}
		}
	}
	return hit{}, false
}

// pathPairs tries the path with any two characters replaced by lower-case letters or digits.
func (s *search) pathPairs() (hit, bool) {
	p, ok := s.sections()
	lo, _ := s.resourceRange()
	quoted := appendQuoted(nil, p.path)
	at := bytes.Index(s.here[lo:], quoted[1:len(quoted)-1])
	if !ok || at < 0 {
		return hit{}, false
	}
	lo += at
	hi := lo + len(quoted) - 2
	alphabet := usualChars[:36]
	b := slices.Clone(s.here)
	for j := hi - 1; j > lo; j-- {
		for i := j - 1; i > lo && !s.exhausted; i-- {
			for k := range len(alphabet) {
				b[j] = alphabet[k]
				for l := range len(alphabet) {
					if b[i] = alphabet[l]; s.test(b) {
						return s.fromText(b), true
					}
				}
			}
			b[i] = s.here[i]
		}
		b[j] = s.here[j]
	}
	return hit{}, false
}

// cheap yields text with one cheap change at i. A swap reaches to i+1, which must lie below hi.
func cheap(text []byte, i, hi int) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		b := append(append(make([]byte, 0, len(text)), text[:i]...), text[i+1:]...)
		if !yield(b) {
			return
		}
		b = slices.Clone(text)
		c := text[i]
		if i+1 < hi {
			b[i], b[i+1] = text[i+1], c
			if !yield(b) {
				return
			}
			b[i+1] = text[i+1]
		}
		switch {
		case 'a' <= c|0x20 && c|0x20 <= 'z':
			b[i] = c ^ 0x20
			yield(b)
		case '0' <= c && c <= '9':
			for d := byte('0'); d <= '9'; d++ {
				if b[i] = d; d != c && !yield(b) {
					return
				}
			}
		}
	}
}
