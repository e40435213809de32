package framing

import "bytes"

// Limits. A head is the request line and header fields with the empty line that ends them; the first
// two are CloudFront's (docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/cloudfront-limits.html).
const (
	MaxHead    = 32768 // bytes of a head
	MaxTarget  = 8192  // bytes of a request target
	maxMethod  = 32    // bytes of a method; the longest registered one has 17
	maxTrailer = 2048  // bytes of a trailer section; net/http takes what fits its 4 KiB buffer
	maxChunk   = 16    // hex digits of a chunk size

	// A request line that has not ended here has too long a target.
	maxRequestLine = maxMethod + len(" ") + MaxTarget + len(" HTTP/1.1\r\n")
)

// Fault is why a stream was refused. The zero value is none.
type Fault uint8

// The faults.
const (
	_ Fault = iota
	FaultRequestLine
	FaultVersion
	FaultTargetTooLong
	FaultHeadTooLong
	FaultBareLF
	FaultBareCR
	FaultControl
	FaultFolded
	FaultFieldName
	FaultHost
	FaultHostDiffers
	FaultContentLength
	FaultTransferEncoding
	FaultLengthAndEncoding
	FaultUpgrade
	FaultChunkSize
	FaultChunkEnd
	FaultTrailer
)

// String says what was wrong, in words fit for the client: it never repeats what was sent.
func (f Fault) String() string {
	switch f {
	case FaultRequestLine:
		return "The request line is not method, one space, target, one space, version."
	case FaultVersion:
		return "The protocol version is not HTTP/1.1 or HTTP/1.0."
	case FaultTargetTooLong:
		return "The request target is longer than 8192 bytes."
	case FaultHeadTooLong:
		return "The request line and header fields are longer than 32768 bytes."
	case FaultBareLF:
		return "A line ends in LF without CR."
	case FaultBareCR:
		return "A line has a CR that does not end it."
	case FaultControl:
		return "A field value has a control character."
	case FaultFolded:
		return "A header field is folded over several lines."
	case FaultFieldName:
		return "A field name is empty, not a token, or not directly followed by a colon."
	case FaultHost:
		return "There is not exactly one Host header field."
	case FaultHostDiffers:
		return "The request target names another host than the Host header field."
	case FaultContentLength:
		return "Content-Length is not one decimal number."
	case FaultTransferEncoding:
		return "Transfer-Encoding is not chunked alone, or not in HTTP/1.1."
	case FaultLengthAndEncoding:
		return "There are both Content-Length and Transfer-Encoding."
	case FaultUpgrade:
		return "CONNECT and Upgrade are not supported here."
	case FaultChunkSize:
		return "A chunk size is not 1 to 16 hexadecimal digits on a line of their own."
	case FaultChunkEnd:
		return "A chunk is longer than its size says."
	case FaultTrailer:
		return "The trailer section is longer than 2048 bytes, or says what only a header may."
	}
	return ""
}

// state is what the parser expects next.
type state uint8

const (
	inHead state = iota
	inBody
	inChunkSize
	inChunk
	inChunkEnd
	inTrailer
	refused
)

// parser follows the framing of a stream of requests (RFC 9112 sections 2 to 7). It keeps no bytes: it
// is given those that it has not passed yet, again if need be, and passes them as they prove good.
// Whatever the stream is split into, it passes the same bytes and finds the same fault.
type parser struct {
	state  state
	fault  Fault
	inside bool  // the fault is in a message whose head has passed
	left   int64 // bytes to come of the body or chunk

	// Of the lines being read (a head, a chunk size, a trailer section), counted from its first byte:
	looked int // bytes that hold no unread line end
	line   int // where the current line begins

	// Of the head:
	headed    bool // set when a head has passed; the user clears it
	minor     byte // '0' or '1', of HTTP/1.x
	hosts     uint8
	hasLength bool
	chunked   bool
}

// advance passes the leading bytes of b that belong to one message and are good. end says that the
// message ends with them. If it passes less than all of b and the message has not ended, either the
// stream is refused, or it waits to be called with the rest again and more behind it.
func (p *parser) advance(b []byte) (passed int, end bool) {
	for {
		rest := b[passed:]
		switch p.state {
		case inHead:
			n, ok := p.lines(rest, MaxHead)
			if !ok {
				return passed, false
			}
			passed += n
			if p.endHead(); p.state == refused {
				return passed - n, false
			}
			if p.state == inHead {
				return passed, true
			}
		case inBody, inChunk:
			n := int(min(p.left, int64(len(rest))))
			passed += n
			if p.left -= int64(n); p.left > 0 {
				return passed, false
			}
			if p.state == inBody {
				p.next(inHead)
				return passed, true
			}
			p.next(inChunkEnd)
		case inChunkSize:
			n, ok := p.chunkSize(rest)
			if !ok {
				return passed, false
			}
			passed += n
		case inChunkEnd:
			if len(rest) > 0 && rest[0] != '\r' || len(rest) > 1 && rest[1] != '\n' {
				p.refuse(FaultChunkEnd)
			}
			if p.state == refused || len(rest) < 2 {
				return passed, false
			}
			passed += 2
			p.next(inChunkSize)
		case inTrailer:
			n, ok := p.lines(rest, maxTrailer)
			if !ok {
				return passed, false
			}
			p.next(inHead)
			return passed + n, true
		case refused:
			return passed, false
		}
	}
}

func (p *parser) refuse(f Fault) { p.inside, p.state, p.fault = p.state != inHead, refused, f }

func (p *parser) next(s state) {
	p.state, p.looked, p.line = s, 0, 0
	if s == inHead {
		p.minor, p.hosts, p.hasLength, p.chunked = 0, 0, false, false
	}
}

// lines reads the lines of a head or a trailer section, of which b is all there is. ok says that it
// is complete, with n bytes; if not, it is refused or wants more.
func (p *parser) lines(b []byte, limit int) (n int, ok bool) {
	if p.state == inHead && len(b) > 0 && !isToken(b[0]) { // nothing that begins so can become a request
		p.refuse(FaultRequestLine)
		return 0, false
	}
	for {
		first := p.state == inHead && p.line == 0
		i := bytes.IndexByte(b[p.looked:], '\n')
		end := p.looked + i + 1
		if i < 0 {
			p.looked, end = len(b), len(b)
		}
		switch {
		case first && end > maxRequestLine:
			p.refuse(FaultTargetTooLong)
		case end > limit && p.state == inTrailer:
			p.refuse(FaultTrailer)
		case end > limit:
			p.refuse(FaultHeadTooLong)
		}
		if p.state == refused || i < 0 {
			return 0, false
		}
		line := b[p.line:end]
		p.looked, p.line = end, end
		if len(line) < 2 || line[len(line)-2] != '\r' {
			p.refuse(FaultBareLF)
			return 0, false
		}
		line = line[:len(line)-2]
		switch {
		case first:
			p.requestLine(line)
		case len(line) == 0:
			if p.state == inHead && !hostsAgree(b[:end]) {
				p.refuse(FaultHostDiffers)
				return 0, false
			}
			return end, true
		default:
			p.field(line)
		}
		if p.state == refused {
			return 0, false
		}
	}
}

// requestLine reads RFC 9112 section 3, which leaves recipients free to be lenient about white space:
// this one is not.
func (p *parser) requestLine(line []byte) {
	method, rest, ok := bytes.Cut(line, space)
	uri, version, ok2 := bytes.Cut(rest, space)
	switch {
	case !ok || !ok2 || len(method) == 0 || len(method) > maxMethod || !all(method, token) || len(uri) == 0 || !all(uri, target):
		p.refuse(FaultRequestLine)
	case len(uri) > MaxTarget:
		p.refuse(FaultTargetTooLong)
	case len(version) != len("HTTP/1.1") || string(version[:7]) != "HTTP/1." || version[7] != '1' && version[7] != '0':
		p.refuse(FaultVersion)
	case string(method) == "CONNECT":
		p.refuse(FaultUpgrade)
	default:
		p.minor = version[7]
	}
}

// field reads a field line (RFC 9112 section 5) of a head or a trailer section.
func (p *parser) field(line []byte) {
	if line[0] == ' ' || line[0] == '\t' {
		p.refuse(FaultFolded)
		return
	}
	name, rest, ok := bytes.Cut(line, colon)
	if !ok || len(name) == 0 || !all(name, token) {
		p.refuse(FaultFieldName)
		return
	}
	if !all(rest, value) {
		p.refuse(FaultControl)
		if bytes.IndexByte(rest, '\r') >= 0 {
			p.fault = FaultBareCR
		}
		return
	}
	framing := is(name, "content-length") || is(name, "transfer-encoding") || is(name, "host") || is(name, "upgrade")
	if !framing {
		return
	}
	if p.state == inTrailer {
		p.refuse(FaultTrailer)
		return
	}
	rest = bytes.Trim(rest, " \t")
	switch len(name) {
	case len("host"):
		if p.hosts++; p.hosts > 1 {
			p.refuse(FaultHost)
		}
	case len("content-length"):
		if p.left, ok = decimal(rest); !ok || p.hasLength {
			p.refuse(FaultContentLength)
		}
		p.hasLength = true
	case len("transfer-encoding"):
		if p.chunked || string(rest) != "chunked" || p.minor == '0' {
			p.refuse(FaultTransferEncoding)
		}
		p.chunked = true
	default:
		p.refuse(FaultUpgrade)
	}
}

// hostsAgree holds a target in absolute form to the Host field, to which a client makes it equal (RFC 9112
// section 3.2.2). net/http shows its handler the target's host alone, and a proxy before us may have routed
// by the other.
func hostsAgree(head []byte) bool {
	_, rest, _ := bytes.Cut(head, space)
	if rest[0] == '/' { // a target is not empty
		return true
	}
	uri, _, _ := bytes.Cut(rest, space)
	_, authority, ok := bytes.Cut(uri, []byte("://"))
	if !ok {
		return true // no host in it; whoever reads targets refuses it
	}
	if end := bytes.IndexAny(authority, "/?"); end >= 0 {
		authority = authority[:end]
	}
	for line := range bytes.SplitSeq(head, []byte("\r\n")) {
		if name, value, ok := bytes.Cut(line, colon); ok && is(name, "host") {
			return bytes.EqualFold(bytes.Trim(value, " \t"), authority)
		}
	}
	return true // HTTP/1.0 without a Host field
}

// endHead decides what follows a head (RFC 9112 section 6.3).
func (p *parser) endHead() {
	chunked, left := p.chunked, p.left
	switch {
	case p.hasLength && chunked:
		p.refuse(FaultLengthAndEncoding)
	case p.hosts == 0 && p.minor == '1':
		p.refuse(FaultHost)
	case chunked:
		p.next(inChunkSize)
		p.headed = true
	case p.hasLength && left > 0:
		p.next(inBody)
		p.left, p.headed = left, true
	default:
		p.next(inHead)
		p.headed = true
	}
}

// chunkSize reads the line before a chunk (RFC 9112 section 7.1), without extensions: nobody uses
// them, and parsers that disagree about them have smuggled requests (CVE-2025-22871 is net/http's).
func (p *parser) chunkSize(b []byte) (n int, ok bool) {
	if len(b) > maxChunk+2 {
		b = b[:maxChunk+2]
	}
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		if len(b) == maxChunk+2 {
			p.refuse(FaultChunkSize)
		}
		return 0, false
	}
	size, ok := hexadecimal(bytes.TrimSuffix(b[:i], carriageReturn))
	switch {
	case i == 0 || b[i-1] != '\r':
		p.refuse(FaultBareLF)
		return 0, false
	case !ok:
		p.refuse(FaultChunkSize)
		return 0, false
	case size == 0:
		p.next(inTrailer)
	default:
		p.next(inChunk)
		p.left = size
	}
	return i + 1, true
}

var (
	space          = []byte(" ")
	colon          = []byte(":")
	carriageReturn = []byte("\r")
)

// decimal reads 1*DIGIT below 2^63.
func decimal(b []byte) (n int64, ok bool) {
	for _, c := range b {
		if c < '0' || c > '9' || n > (1<<63-1-int64(c-'0'))/10 {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, len(b) > 0
}

// hexadecimal reads 1 to 16 hex digits below 2^63.
func hexadecimal(b []byte) (n int64, ok bool) {
	for _, c := range b {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		if n >= 1<<59 {
			return 0, false
		}
		n = n<<4 | int64(c)
	}
	return n, len(b) > 0 && len(b) <= maxChunk
}

// is compares a field name with one in lower case.
func is(name []byte, lower string) bool {
	if len(name) != len(lower) {
		return false
	}
	for i, c := range name {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// isToken is RFC 9110 section 5.6.2's tchar.
func isToken(c byte) bool { return classes[c]&token != 0 }

// What a byte may be part of.
const (
	token  = 1 << iota // a method or field name
	target             // a request target
	value              // a field value
)

var classes = func() (t [256]uint8) {
	for c := range 256 {
		if c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || bytes.IndexByte([]byte("!#$%&'*+-.^_`|~"), byte(c)) >= 0 {
			t[c] |= token
		}
		if c > ' ' && c != 0x7F {
			t[c] |= target | value
		}
	}
	t[' '] |= value
	t['\t'] |= value
	return t
}()

// all says whether all bytes are of the class.
func all(b []byte, class uint8) bool {
	for _, c := range b {
		if classes[c]&class == 0 {
			return false
		}
	}
	return true
}
