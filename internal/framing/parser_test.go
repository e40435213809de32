package framing

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

const get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

func post(fields, body string) string {
	return "POST /p HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n" + body
}

func chunked(body string) string { return post("Transfer-Encoding: chunked\r\n", body) }

// good are streams that pass, by the lengths of their messages' bodies.
var good = []struct {
	name   string
	stream string
	bodies []int
}{
	{"nothing", "", nil},
	{"one", get, []int{0}},
	{"two", get + get, []int{0, 0}},
	{"length", post("Content-Length: 5\r\n", "hello") + get, []int{5, 0}},
	{"length 0", post("Content-Length: 0\r\n", "") + get, []int{0, 0}},
	{"length with zeros and white space", post("content-LENGTH:\t 0005 \t\r\n", "\r\n\r\n\n") + get, []int{5, 0}},
	{"chunked", chunked("5\r\nhello\r\n0\r\n\r\n") + get, []int{5, 0}},
	{"chunks", chunked("1\r\na\r\n000000000000000A\r\n0123456789\r\nf\r\n012345678901234\r\n0000\r\n\r\n") + get, []int{26, 0}},
	{"empty chunked", chunked("0\r\n\r\n") + get, []int{0, 0}},
	{"trailers", chunked("1\r\na\r\n0\r\nX-Sum: 1\r\nX-Other:\r\n\r\n") + get, []int{1, 0}},
	{"body that looks like a request", post("Content-Length: 28\r\n", get+" ") + get, []int{28, 0}},
	{"expect", post("Expect: 100-continue\r\nContent-Length: 1\r\n", "x"), []int{1}},
	{"HTTP/1.0 without Host", "GET / HTTP/1.0\r\n\r\n" + get, []int{0, 0}},
	{"HTTP/1.0 with a body", "POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi", []int{2}},
	{"absolute form in other letters", "GET HTTP://A/b HTTP/1.1\r\nhost:\ta \r\n\r\n", []int{0}},
	{"absolute form in HTTP/1.0", "GET http://a/b HTTP/1.0\r\n\r\n", []int{0}},
	{"absolute form", "GET http://a/b?c HTTP/1.1\r\nHost: a\r\n\r\n", []int{0}},
	{"asterisk", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", []int{0}},
	{"raw UTF-8 in the target", "GET /가 HTTP/1.1\r\nHost: a\r\n\r\n", []int{0}},
	{"odd but fine fields", "G!#$%&'*+-.^_`|~9 /x HTTP/1.1\r\nhost:a\r\nA:\r\nB: \t\r\nC: a\tb \xff: c\r\n\r\n", []int{0}},
	{"longest target", "GET /" + strings.Repeat("a", MaxTarget-1) + " HTTP/1.1\r\nHost: a\r\n\r\n", []int{0}},
	{"longest head", headOf(MaxHead) + get, []int{0, 0}},
	{"longest trailer", chunked("0\r\nX: "+strings.Repeat("a", maxTrailer-7)+"\r\n\r\n") + get, []int{0, 0}},
}

// headOf is a request whose head has n bytes.
func headOf(n int) string {
	s := "GET / HTTP/1.1\r\nHost: a\r\nX: "
	return s + strings.Repeat("a", n-len(s)-4) + "\r\n\r\n"
}

// bad are streams that are refused, after passing some messages.
var bad = []struct {
	name   string
	stream string
	fault  Fault
	passed int // messages
}{
	{"length and encoding", post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), FaultLengthAndEncoding, 0},
	{"encoding and length", post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"), FaultLengthAndEncoding, 0},
	{"encoding and length 0", post("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", "0\r\n\r\n"), FaultLengthAndEncoding, 0},
	{"lengths that differ", post("Content-Length: 5\r\nContent-Length: 6\r\n", "hello"), FaultContentLength, 0},
	{"lengths that agree", post("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"), FaultContentLength, 0},
	{"length list", post("Content-Length: 5, 5\r\n", "hello"), FaultContentLength, 0},
	{"length +5", post("Content-Length: +5\r\n", "hello"), FaultContentLength, 0},
	{"length -1", post("Content-Length: -1\r\n", ""), FaultContentLength, 0},
	{"length 0x5", post("Content-Length: 0x5\r\n", "hello"), FaultContentLength, 0},
	{"length 5 5", post("Content-Length: 5 5\r\n", "hello"), FaultContentLength, 0},
	{"length 1_0", post("Content-Length: 1_0\r\n", "hello"), FaultContentLength, 0},
	{"length empty", post("Content-Length:\r\n", "hello"), FaultContentLength, 0},
	{"length too great", post("Content-Length: 9223372036854775808\r\n", ""), FaultContentLength, 0},
	{"length far too great", post("Content-Length: 18446744073709551621\r\n", "hello"), FaultContentLength, 0},
	{"encoding gzip", post("Transfer-Encoding: gzip\r\n", ""), FaultTransferEncoding, 0},
	{"encoding list", post("Transfer-Encoding: gzip, chunked\r\n", ""), FaultTransferEncoding, 0},
	{"encoding identity", post("Transfer-Encoding: identity\r\n", ""), FaultTransferEncoding, 0},
	{"encoding twice", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", ""), FaultTransferEncoding, 0},
	{"encoding in other letters", post("Transfer-Encoding: CHUNKED\r\n", ""), FaultTransferEncoding, 0},
	{"encoding quoted", post("Transfer-Encoding: \"chunked\"\r\n", ""), FaultTransferEncoding, 0},
	{"encoding with a parameter", post("Transfer-Encoding: chunked;q=1\r\n", ""), FaultTransferEncoding, 0},
	{"encoding empty", post("Transfer-Encoding:\r\n", ""), FaultTransferEncoding, 0},
	{"encoding behind VT", post("Transfer-Encoding: \vchunked\r\n", ""), FaultControl, 0},
	{"encoding in HTTP/1.0", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", FaultTransferEncoding, 0},
	{"bare LF everywhere", "GET / HTTP/1.1\nHost: a\n\n", FaultBareLF, 0},
	{"bare LF after the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", FaultBareLF, 0},
	{"bare LF after a field", "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", FaultBareLF, 0},
	{"bare LF at the end", "GET / HTTP/1.1\r\nHost: a\r\n\n", FaultBareLF, 0},
	{"bare CR in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: y\rZ: w\r\n\r\n", FaultBareCR, 0},
	{"CR CR LF", "GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", FaultBareCR, 0},
	{"bare CR as a line", "GET / HTTP/1.1\r\nHost: a\r\n\r\r\n", FaultFieldName, 0},
	{"bare CR in the request line", "GET / HTTP/1.1\rX: y\r\nHost: a\r\n\r\n", FaultVersion, 0},
	{"NUL in a value", "GET / HTTP/1.1\r\nHost: a\x00b\r\n\r\n", FaultControl, 0},
	{"NUL in a name", "GET / HTTP/1.1\r\nHo\x00st: a\r\n\r\n", FaultFieldName, 0},
	{"NUL in the target", "GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n", FaultRequestLine, 0},
	{"DEL in a value", "GET / HTTP/1.1\r\nHost: a\x7f\r\n\r\n", FaultControl, 0},
	{"folded by a space", "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n", FaultFolded, 0},
	{"folded by a tab", "GET / HTTP/1.1\r\nHost: a\r\n\tTransfer-Encoding: chunked\r\n\r\n", FaultFolded, 0},
	{"folded first line", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", FaultFolded, 0},
	{"space before the colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n", FaultFieldName, 0},
	{"tab before the colon", post("Content-Length\t: 5\r\n", "hello"), FaultFieldName, 0},
	{"no colon", "GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", FaultFieldName, 0},
	{"no name", "GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n", FaultFieldName, 0},
	{"no Host", "GET / HTTP/1.1\r\nX: y\r\n\r\n", FaultHost, 0},
	{"nothing but a request line", "GET / HTTP/1.1\r\n\r\n", FaultHost, 0},
	{"two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", FaultHost, 0},
	{"absolute form of another host", "GET http://a/b HTTP/1.1\r\nX: y\r\nHost: b\r\n\r\n", FaultHostDiffers, 0},
	{"absolute form of another port", "GET http://a:81/b HTTP/1.1\r\nHost: a\r\n\r\n", FaultHostDiffers, 0},
	{"absolute form with a query at once", "GET http://a?b HTTP/1.1\r\nHost: b\r\n\r\n", FaultHostDiffers, 0},
	{"absolute form of another user", "GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", FaultHostDiffers, 0},
	{"two Hosts in HTTP/1.0", "GET / HTTP/1.0\r\nHost: a\r\nhost: b\r\n\r\n", FaultHost, 0},
	{"two spaces", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", FaultRequestLine, 0},
	{"two spaces before the version", "GET /  HTTP/1.1\r\nHost: a\r\n\r\n", FaultVersion, 0},
	{"space at the end", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", FaultVersion, 0},
	{"tab", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", FaultRequestLine, 0},
	{"tab in the target", "GET /\tx HTTP/1.1\r\nHost: a\r\n\r\n", FaultRequestLine, 0},
	{"space in the target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", FaultVersion, 0},
	{"leading space", " GET / HTTP/1.1\r\nHost: a\r\n\r\n", FaultRequestLine, 0},
	{"leading empty line", "\r\n" + get, FaultRequestLine, 0},
	{"empty line between", get + "\r\n" + get, FaultRequestLine, 1},
	{"method that is no token", "G(T / HTTP/1.1\r\nHost: a\r\n\r\n", FaultRequestLine, 0},
	{"long method", strings.Repeat("G", 33) + " / HTTP/1.1\r\nHost: a\r\n\r\n", FaultRequestLine, 0},
	{"HTTP/0.9", "GET /\r\n\r\n", FaultRequestLine, 0},
	{"HTTP/1.2", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", FaultVersion, 0},
	{"http/1.1", "GET / http/1.1\r\nHost: a\r\n\r\n", FaultVersion, 0},
	{"HTTP/01.1", "GET / HTTP/01.1\r\nHost: a\r\n\r\n", FaultVersion, 0},
	{"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", FaultVersion, 0},
	{"TLS", "\x16\x03\x01\x02\x00\x01", FaultRequestLine, 0},
	{"CONNECT", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", FaultUpgrade, 0},
	{"Upgrade", "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", FaultUpgrade, 0},
	{"long target", "GET /" + strings.Repeat("a", MaxTarget) + " HTTP/1.1\r\nHost: a\r\n\r\n", FaultTargetTooLong, 0},
	{"endless target", "GET /" + strings.Repeat("a", 2*MaxTarget), FaultTargetTooLong, 0},
	{"long head", headOf(MaxHead + 1), FaultHeadTooLong, 0},
	{"endless head", "GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: y\r\n", MaxHead/6), FaultHeadTooLong, 0},
	{"endless field", "GET / HTTP/1.1\r\nHost: " + strings.Repeat("a", MaxHead), FaultHeadTooLong, 0},
	{"chunk size 0x5", chunked("0x5\r\nhello\r\n0\r\n\r\n"), FaultChunkSize, 0},
	{"chunk size +5", chunked("+5\r\nhello\r\n0\r\n\r\n"), FaultChunkSize, 0},
	{"chunk size -1", chunked("-1\r\nhello\r\n0\r\n\r\n"), FaultChunkSize, 0},
	{"chunk size with a space", chunked("5 \r\nhello\r\n0\r\n\r\n"), FaultChunkSize, 0},
	{"chunk size behind a space", chunked(" 5\r\nhello\r\n0\r\n\r\n"), FaultChunkSize, 0},
	{"chunk size empty", chunked("\r\nhello\r\n0\r\n\r\n"), FaultChunkSize, 0},
	{"chunk size long", chunked("00000000000000005\r\nhello\r\n0\r\n\r\n"), FaultChunkSize, 0},
	{"chunk size too great", chunked("8000000000000000\r\nhello\r\n0\r\n\r\n"), FaultChunkSize, 0},
	{"chunk size endless", chunked(strings.Repeat("0", 100)), FaultChunkSize, 0},
	{"chunk size with LF", chunked("5\nhello\r\n0\r\n\r\n"), FaultBareLF, 0},
	{"chunk size with CR CR", chunked("5\r\r\nhello\r\n0\r\n\r\n"), FaultChunkSize, 0},
	{"chunk extension", chunked("5;a=b\r\nhello\r\n0\r\n\r\n"), FaultChunkSize, 0},
	{"chunk extension empty", chunked("5;\r\nhello\r\n0\r\n\r\n"), FaultChunkSize, 0},
	{"last chunk with LF", chunked("0\n\r\n"), FaultBareLF, 0},
	{"last chunk with an extension", chunked("0;a\r\n\r\n"), FaultChunkSize, 0},
	{"chunk ends with LF", chunked("5\r\nhello\n0\r\n\r\n"), FaultChunkEnd, 0},
	{"chunk ends with CR", chunked("5\r\nhello\r0\r\n\r\n"), FaultChunkEnd, 0},
	{"chunk longer than it says", chunked("5\r\nhello!\r\n0\r\n\r\n"), FaultChunkEnd, 0},
	{"trailer ends with LF", chunked("0\r\nX: y\n\r\n"), FaultBareLF, 0},
	{"chunked ends with LF", chunked("0\r\n\n"), FaultBareLF, 0},
	{"trailer folded", chunked("0\r\nX: y\r\n z\r\n\r\n"), FaultFolded, 0},
	{"trailer with NUL", chunked("0\r\nX: \x00\r\n\r\n"), FaultControl, 0},
	{"trailer without a name", chunked("0\r\nGET / HTTP/1.1\r\n\r\n"), FaultFieldName, 0},
	{"trailer Content-Length", chunked("0\r\nContent-Length: 5\r\n\r\nhello"), FaultTrailer, 0},
	{"trailer Transfer-Encoding", chunked("0\r\nTransfer-Encoding: chunked\r\n\r\n"), FaultTrailer, 0},
	{"trailer Host", chunked("0\r\nHost: b\r\n\r\n"), FaultTrailer, 0},
	{"long trailer", chunked("0\r\nX: " + strings.Repeat("a", maxTrailer-6) + "\r\n\r\n"), FaultTrailer, 0},
	{"endless trailer", chunked("0\r\n" + strings.Repeat("X: y\r\n", maxTrailer/6+1)), FaultTrailer, 0},
	{"second request", get + "GET / HTTP/1.1\nHost: a\r\n\r\n", FaultBareLF, 1},
	{"second request's chunk", get + chunked("5\r\nhello\r\nwrong\r\n"), FaultChunkSize, 1},
	{"after a body", post("Content-Length: 5\r\n", "hello") + "x", 0, 1},
	{"smuggled behind a length", post("Content-Length: 4\r\n", "5\r\n\r\n\r\n"), FaultRequestLine, 1},
}

// messages has the parser pass a stream that comes in pieces of the given sizes, over and over, and
// gives what it passed, cut where it says that messages end.
func messages(stream []byte, sizes ...int) (whole [][]byte, part []byte, p *parser) {
	p = new(parser)
	came, gone := 0, 0
	for i := 0; ; i++ {
		for {
			n, end := p.advance(stream[gone:came])
			part = append(part, stream[gone:gone+n]...)
			gone += n
			if end {
				whole, part = append(whole, part), nil
				continue
			}
			if n == 0 {
				break
			}
		}
		if came == len(stream) {
			return whole, part, p
		}
		came = min(came+max(1, sizes[i%len(sizes)]), len(stream))
	}
}

func TestGood(t *testing.T) {
	for _, c := range good {
		for _, size := range []int{1 << 20, 1, 7} {
			whole, part, p := messages([]byte(c.stream), size)
			if p.state == refused || len(part) > 0 || len(whole) != len(c.bodies) {
				t.Fatalf("%s by %d: %d messages and %q; fault: %v", c.name, size, len(whole), part, p.fault)
			}
			for i, m := range whole {
				if n, err := parse(m); err != nil || n != c.bodies[i] {
					t.Errorf("%s by %d: message %d has a body of %d, %v", c.name, size, i, n, err)
				}
			}
		}
	}
}

func TestBad(t *testing.T) {
	for _, c := range bad {
		for _, size := range []int{1 << 20, 1, 7} {
			whole, _, p := messages([]byte(c.stream), size)
			if p.fault != c.fault || len(whole) != c.passed {
				t.Errorf("%s by %d: passed %d; fault %q, want %q", c.name, size, len(whole), p.fault, c.fault)
			}
			if (p.state == refused) != (c.fault != 0) || (c.fault != 0) != (c.fault.String() != "") {
				t.Errorf("%s by %d: state %v", c.name, size, p.state)
			}
		}
	}
}

// parse is net/http's opinion of a message: the length of its body, if it is one request and nothing
// behind it.
func parse(m []byte) (body int, err error) {
	in := bufio.NewReader(bytes.NewReader(m))
	r, err := http.ReadRequest(in)
	if err != nil {
		return 0, err
	}
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return 0, fmt.Errorf("body: %w", err)
	}
	if n := in.Buffered(); n > 0 {
		return 0, fmt.Errorf("body: %d bytes are left", n)
	}
	return len(b), nil
}

// bodyLength is the guard's own opinion, by a second way: what passed in the body states.
func bodyLength(m []byte) (n int) {
	p := new(parser)
	for gone := 0; gone < len(m); gone++ {
		// Byte by byte from the head's end: a byte that is passed in inBody or inChunk is one of the body.
		state := p.state
		if state == inBody || state == inChunk {
			p.advance(m[gone : gone+1])
			n++
			continue
		}
		// A unit is passed at once when its last byte is there.
		end := gone + 1
		for {
			if k, done := p.advance(m[gone:end]); k > 0 || done || p.state == refused || end == len(m) {
				break
			}
			end++
		}
		gone = end - 1
	}
	return n
}

// FuzzParser: whatever passes is for net/http the same: as many requests, with bodies as long. And
// however a stream is split, the same passes and the same is refused.
func FuzzParser(f *testing.F) {
	for _, c := range good {
		f.Add([]byte(c.stream), uint8(3), uint8(50))
	}
	for _, c := range bad {
		f.Add([]byte(c.stream), uint8(1), uint8(9))
	}
	f.Fuzz(func(t *testing.T, stream []byte, a, b uint8) {
		whole, part, p := messages(stream, len(stream)+1)
		whole2, part2, p2 := messages(stream, int(a), int(b))
		if len(whole) != len(whole2) || !bytes.Equal(bytes.Join(whole, nil), bytes.Join(whole2, nil)) || !bytes.Equal(part, part2) || p.fault != p2.fault {
			t.Fatalf("at once: %d messages, %q, %q; split: %d, %q, %q", len(whole), part, p.fault, len(whole2), part2, p2.fault)
		}
		passed := append(bytes.Join(whole, nil), part...)
		if !bytes.HasPrefix(stream, passed) {
			t.Fatal("what passed is not the stream's beginning")
		}
		for _, m := range whole {
			n, err := parse(m)
			if err != nil {
				// net/http refuses some that are well framed, for what they ask: then it answers 400 and
				// closes. Those are about the URL and the Host, never about where the message ends.
				if text := err.Error(); !strings.HasPrefix(text, "parse ") && !strings.HasPrefix(text, "invalid URI") {
					t.Fatalf("net/http refuses %q: %v", m, err)
				}
				continue
			}
			if want := bodyLength(m); n != want {
				t.Fatalf("%q has a body of %d here and %d in net/http", m, want, n)
			}
		}
	})
}
