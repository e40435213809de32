package sigv4_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"postern/internal/sigv4"
)

// upload is a body in one of the forms of x-amz-content-sha256, signed by a client of our own writing.
type upload struct {
	mode    string
	content []byte
	sizes   []int // of the chunks; none means one chunk
	trailer string
	value   string
	header  map[string]string
	lf      bool // minio-go's form of a trailer
	declare int  // x-amz-decoded-content-length, if it is not the content's; -1 leaves it out
}

func mac(key []byte, text string) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(text))
	return m.Sum(nil)
}

// build signs the upload and returns its request, whose body is the wire form.
func (u upload) build(t testing.TB) *http.Request {
	t.Helper()
	r := httptest.NewRequest("PUT", "/bucket/key", nil)
	streaming := strings.HasPrefix(u.mode, "STREAMING-")
	if streaming && u.declare >= 0 {
		n := len(u.content)
		if u.declare > 0 {
			n = u.declare
		}
		r.Header.Set("X-Amz-Decoded-Content-Length", strconv.Itoa(n))
	}
	if u.trailer != "" {
		r.Header.Set("X-Amz-Trailer", u.trailer)
	}
	for name, value := range u.header {
		r.Header.Set(name, value)
	}
	mode := u.mode
	if mode == "" {
		mode = hashOf(u.content)
	}
	if err := sigv4.Sign(r, docsKey, "us-east-1", "s3", mode, docsTime); err != nil {
		t.Fatal(err)
	}
	wire := u.content
	if streaming {
		wire = u.chunks(r.Header.Get("Authorization"))
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(wire)), int64(len(wire))
	return r
}

func (u upload) chunks(authorization string) []byte {
	key := mac(mac(mac(mac(append([]byte("AWS4"), docsKey.Secret...), "20130524"), "us-east-1"), "s3"), "aws4_request")
	previous := authorization[len(authorization)-64:]
	signed := u.mode != sigv4.StreamingUnsignedTrailer
	var b bytes.Buffer
	chunk := func(data []byte) {
		fmt.Fprintf(&b, "%x", len(data))
		if signed {
			sum := sha256.Sum256(data)
			previous = hex.EncodeToString(mac(key, "AWS4-HMAC-SHA256-PAYLOAD\n"+stamp+"\n20130524/us-east-1/s3/aws4_request\n"+previous+"\n"+sigv4.EmptyPayload+"\n"+hex.EncodeToString(sum[:])))
			b.WriteString(";chunk-signature=" + previous)
		}
		b.WriteString("\r\n")
		if len(data) > 0 {
			b.Write(data)
			b.WriteString("\r\n")
		}
	}
	rest := u.content
	for _, n := range u.sizes {
		chunk(rest[:n])
		rest = rest[n:]
	}
	if len(rest) > 0 {
		chunk(rest)
	}
	chunk(nil)
	if u.trailer != "" {
		end := "\r\n"
		if u.lf {
			end = "\n\r\n"
		}
		b.WriteString(u.trailer + ":" + u.value + end)
		if signed {
			sum := sha256.Sum256([]byte(u.trailer + ":" + u.value + "\n"))
			b.WriteString("x-amz-trailer-signature:" + hex.EncodeToString(mac(key, "AWS4-HMAC-SHA256-TRAILER\n"+stamp+"\n20130524/us-east-1/s3/aws4_request\n"+previous+"\n"+hex.EncodeToString(sum[:]))) + "\r\n")
		}
	}
	b.WriteString("\r\n")
	return b.Bytes()
}

// read verifies r and reads its body to the end.
func read(r *http.Request) ([]byte, *sigv4.Body, error) {
	a, err := sigv4.Parse(r)
	if err != nil {
		return nil, nil, err
	}
	p, err := a.Verify(r, docsKey.Secret, sigv4.Rules{Region: "us-east-1", Service: "s3", S3: true, Now: docsTime})
	if err != nil {
		return nil, nil, err
	}
	b, err := p.Open(r, true)
	if err != nil {
		return nil, nil, err
	}
	content, err := io.ReadAll(b)
	if _, again := b.Read(make([]byte, 1)); err == nil && again != io.EOF || err != nil && again != err {
		return content, b, fmt.Errorf("the second error is another: %v, %v", err, again)
	}
	return content, b, err
}

func checksum(algorithm string, content []byte) string {
	h, _ := sigv4.NewChecksum(algorithm)
	h.Write(content)
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// The check values of "123456789", from the catalogue of parametrised CRC algorithms
// (reveng.sourceforge.io/crc-catalogue) and FIPS 180.
func TestChecksumAlgorithms(t *testing.T) {
	for algorithm, want := range map[string]string{"CRC32": "cbf43926", "CRC32C": "e3069283", "CRC64NVME": "ae8b14860a799888",
		"SHA1": "f7c3bc1d808e04732adf679965ccc34ca7ae3441", "SHA256": "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225"} {
		h, ok := sigv4.NewChecksum(algorithm)
		if !ok {
			t.Fatal(algorithm)
		}
		h.Write([]byte("1234"))
		h.Write([]byte("56789"))
		if got := hex.EncodeToString(h.Sum(nil)); got != want {
			t.Errorf("%s: %s, want %s", algorithm, got, want)
		}
	}
	if _, ok := sigv4.NewChecksum("MD5"); ok {
		t.Error("MD5 is none of S3's checksums")
	}
}

func TestBodies(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789abcdef"), 2000) // 32,000 bytes
	crc := checksum("CRC32C", content)
	sum := md5.Sum(content)
	for _, mode := range []string{"", sigv4.UnsignedPayload, sigv4.StreamingPayload, sigv4.StreamingPayloadTrailer, sigv4.StreamingUnsignedTrailer} {
		for name, u := range map[string]upload{
			"one chunk":    {content: content},
			"many chunks":  {content: content, sizes: []int{8192, 8193, 10000}},
			"empty":        {content: []byte{}},
			"one byte":     {content: []byte("x")},
			"with MD5":     {content: content, header: map[string]string{"Content-Md5": base64.StdEncoding.EncodeToString(sum[:])}},
			"LF":           {content: content, lf: true},
			"sdk checksum": {content: content, header: map[string]string{"X-Amz-Sdk-Checksum-Algorithm": "crc32c"}},
		} {
			u.mode = mode
			if strings.HasSuffix(mode, "-TRAILER") {
				u.trailer, u.value = "x-amz-checksum-crc32c", checksum("CRC32C", u.content)
			} else if name == "sdk checksum" {
				u.header["X-Amz-Checksum-Crc32c"] = crc
			}
			for _, readers := range []func(io.Reader) io.Reader{func(r io.Reader) io.Reader { return r }, iotest.OneByteReader, iotest.DataErrReader} {
				r := u.build(t)
				r.Body = io.NopCloser(readers(r.Body))
				got, b, err := read(r)
				if err != nil || !bytes.Equal(got, u.content) || b.Length() != int64(len(u.content)) {
					t.Errorf("%s %s: %d bytes, %v", mode, name, len(got), err)
					continue
				}
				want := ""
				if u.trailer != "" || name == "sdk checksum" {
					want = "[{CRC32C " + checksum("CRC32C", u.content) + "}]"
				}
				if sums := fmt.Sprint(b.Checksums()); sums != want && want+sums != "[]" {
					t.Errorf("%s %s: checksums %s, want %s", mode, name, sums, want)
				}
				if (b.Announced() == "CRC32C") != (want != "") {
					t.Errorf("%s %s: announced %s", mode, name, b.Announced())
				}
			}
		}
	}
}

// Whatever byte of the wire form is changed, dropped or doubled, and wherever it is cut: the body ends in
// an error, or (case of a hex digit, white space of a trailer) is the same.
func TestEveryByteCounts(t *testing.T) {
	for _, u := range []upload{
		{content: []byte("hello world")},
		{mode: sigv4.StreamingPayload, content: []byte("hello world")},
		{mode: sigv4.StreamingPayloadTrailer, content: []byte("hello world"), trailer: "x-amz-checksum-crc32", value: checksum("CRC32", []byte("hello world"))},
		{mode: sigv4.StreamingUnsignedTrailer, content: []byte("hello world"), trailer: "x-amz-checksum-crc32", value: checksum("CRC32", []byte("hello world"))},
	} {
		good := u.build(t)
		wire, _ := io.ReadAll(good.Body)
		try := func(what string, body []byte) {
			r := good.Clone(t.Context())
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
			got, _, err := read(r)
			if err == nil && !bytes.Equal(got, u.content) {
				t.Errorf("%s, %s: the body became %q", u.mode, what, got)
			}
			if _, typed := errors.AsType[*sigv4.Error](err); err != nil && !typed {
				t.Errorf("%s, %s: the error has no type: %v", u.mode, what, err)
			}
			if err == nil && strings.HasPrefix(what, "cut") {
				t.Errorf("%s, %s: nothing was missed", u.mode, what)
			}
		}
		for i := range wire {
			for _, bit := range []byte{1, 0x10, 0x20, 0x80} {
				changed := bytes.Clone(wire)
				changed[i] ^= bit
				try(fmt.Sprint("byte ", i, " xor ", bit), changed)
			}
			try(fmt.Sprint("dropped byte ", i), append(bytes.Clone(wire[:i]), wire[i+1:]...))
			try(fmt.Sprint("doubled byte ", i), append(bytes.Clone(wire[:i+1]), wire[i:]...))
			try(fmt.Sprint("cut at ", i), wire[:i])
		}
		try("cut: one more byte", append(bytes.Clone(wire), 'x'))
		try("cut: one more chunk", append(bytes.Clone(wire), "1\r\nx\r\n0\r\n\r\n"...))
	}
}

func TestBodyRefusals(t *testing.T) {
	content := bytes.Repeat([]byte("c"), 20_000)
	crc := checksum("CRC32", content)
	wrongMD5 := md5.Sum(nil)
	header := func(pairs ...string) map[string]string {
		m := map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i]] = pairs[i+1]
		}
		return m
	}
	swap := func(old, new string) func([]byte) []byte {
		return func(wire []byte) []byte {
			if !bytes.Contains(wire, []byte(old)) {
				t.Fatalf("the wire form has no %q", old)
			}
			return bytes.Replace(wire, []byte(old), []byte(new), 1)
		}
	}
	trailer := upload{mode: sigv4.StreamingUnsignedTrailer, content: content, trailer: "x-amz-checksum-crc32", value: crc}
	with := func(u upload, edit func(*upload)) upload { edit(&u); return u }
	for _, c := range []struct {
		name       string
		upload     upload
		edit       func([]byte) []byte
		status     int
		code, part string
	}{
		{"another body", upload{content: content}, swap("c", "d"), 400, "XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed."},
		{"another MD5", upload{content: content, header: header("Content-Md5", base64.StdEncoding.EncodeToString(wrongMD5[:]))}, nil, 400, "BadDigest", "The Content-MD5 you specified did not match what we received."},
		{"an MD5 that is none", upload{content: content, header: header("Content-Md5", "YWJj")}, nil, 400, "InvalidDigest", "The Content-MD5 you specified was invalid."},
		{"an empty MD5", upload{content: content, header: header("Content-Md5", "")}, nil, 400, "InvalidDigest", "invalid"},
		{"another checksum", upload{content: content, header: header("X-Amz-Checksum-Crc32", "AAAAAA==")}, nil, 400, "BadDigest", "The CRC32 you specified did not match the calculated checksum."},
		{"a checksum in hex", upload{content: content, header: header("X-Amz-Checksum-Crc32", "cbf43926")}, nil, 400, "InvalidRequest", "Value for x-amz-checksum-crc32 header is invalid."},
		{"two checksums", upload{content: content, header: header("X-Amz-Checksum-Crc32", crc, "X-Amz-Checksum-Sha1", checksum("SHA1", content))}, nil, 400, "InvalidRequest", "Expecting a single x-amz-checksum- header"},
		{"a checksum and a trailer", with(trailer, func(u *upload) { u.header = header("X-Amz-Checksum-Sha1", checksum("SHA1", content)) }), nil, 400, "InvalidRequest", "Expecting a single"},
		{"an algorithm without a checksum", upload{content: content, header: header("X-Amz-Sdk-Checksum-Algorithm", "CRC32")}, nil, 400, "InvalidRequest", "no corresponding x-amz-checksum-*"},
		{"an algorithm of another checksum", upload{content: content, header: header("X-Amz-Sdk-Checksum-Algorithm", "SHA256", "X-Amz-Checksum-Crc32", crc)}, nil, 400, "BadDigest", "The SHA256 you specified"},
		{"an unknown algorithm", upload{content: content, header: header("X-Amz-Sdk-Checksum-Algorithm", "MD4")}, nil, 400, "InvalidRequest", "Checksum algorithm provided is unsupported"},
		{"a trailer without its mode", upload{mode: sigv4.StreamingPayload, content: content, header: header("X-Amz-Trailer", "x-amz-checksum-crc32")}, nil, 400, "MalformedTrailerError", "trailing data"},
		{"a signed mode without its trailer", upload{mode: sigv4.StreamingPayloadTrailer, content: content}, nil, 400, "MalformedTrailerError", "trailing data"},
		{"a trailer that is no checksum", with(trailer, func(u *upload) { u.trailer = "x-amz-meta-a" }), nil, 400, "InvalidRequest", "The value specified in the x-amz-trailer header is not supported"},
		{"an empty trailer name", with(trailer, func(u *upload) { u.trailer = "," }), nil, 400, "MalformedTrailerError", ""},
		{"a trailer's value that is none", with(trailer, func(u *upload) { u.value = "y/Q5Jg" }), nil, 400, "InvalidRequest", "Value for x-amz-checksum-crc32 trailing header is invalid."},
		{"another trailer value", with(trailer, func(u *upload) { u.value = "AAAAAA==" }), nil, 400, "BadDigest", "The CRC32 you specified"},
		{"another trailer name", trailer, swap("x-amz-checksum-crc32:", "x-amz-checksum-crc32c:"), 400, "MalformedTrailerError", ""},
		{"a trailer twice", trailer, swap("x-amz-checksum-crc32:", "x-amz-checksum-crc32:"+crc+"\r\nx-amz-checksum-crc32:"), 400, "IncompleteBody", ""},
		{"no trailer after all", trailer, swap("x-amz-checksum-crc32:"+crc+"\r\n", ""), 400, "MalformedTrailerError", ""},
		{"an endless trailer", trailer, swap("x-amz-checksum-crc32:", "x-amz-checksum-crc32:"+strings.Repeat("x", 5000)), 400, "IncompleteBody", ""},
		{"a signed trailer without its signature", with(trailer, func(u *upload) { u.mode = sigv4.StreamingPayloadTrailer }), swap("x-amz-trailer-signature:", "x-amz-trailer-signatur:"), 400, "MalformedTrailerError", ""},
		{"a signed trailer with another value", with(trailer, func(u *upload) { u.mode = sigv4.StreamingPayloadTrailer }), swap(crc, "AAAAAA=="), 403, "SignatureDoesNotMatch", ""},
		{"another chunk signature", upload{mode: sigv4.StreamingPayload, content: content}, swap("chunk-signature=", "chunk-signature=00"), 403, "SignatureDoesNotMatch", ""},
		{"a chunk without a signature", upload{mode: sigv4.StreamingPayload, content: content}, swap(";chunk-signature=", ";chunk-signatur="), 403, "SignatureDoesNotMatch", ""},
		{"an unsigned chunk with one", trailer, swap("4e20\r\n", "4e20;chunk-signature=00\r\n"), 400, "IncompleteBody", ""},
		{"another chunk", upload{mode: sigv4.StreamingPayload, content: content}, swap("ccc", "ccd"), 403, "SignatureDoesNotMatch", ""},
		{"chunks swapped", upload{mode: sigv4.StreamingPayload, content: append(bytes.Repeat([]byte("a"), 10_000), bytes.Repeat([]byte("b"), 10_000)...), sizes: []int{10_000}}, func(wire []byte) []byte {
			n := bytes.Index(wire, []byte("bbb")) - 4 - 17 - 64 - 2
			end := bytes.LastIndex(wire, []byte("0;chunk-signature="))
			return append(append(append([]byte{}, wire[n:end]...), wire[:n]...), wire[end:]...)
		}, 403, "SignatureDoesNotMatch", ""},
		{"a small chunk that is not the last", upload{mode: sigv4.StreamingPayload, content: content, sizes: []int{8191}}, nil, 403, "InvalidChunkSizeError", "Only the last chunk is allowed to have a size less than 8192 bytes"},
		{"no decoded length", upload{mode: sigv4.StreamingPayload, content: content, declare: -1}, nil, 411, "MissingContentLength", "You must provide the Content-Length HTTP header."},
		{"a decoded length that is none", upload{mode: sigv4.StreamingPayload, content: content, declare: -1, header: header("X-Amz-Decoded-Content-Length", "-5")}, nil, 411, "MissingContentLength", ""},
		{"a longer decoded length", upload{mode: sigv4.StreamingPayload, content: content, declare: 20_001}, nil, 400, "IncompleteBody", "The request body terminated unexpectedly"},
		{"a shorter decoded length", upload{mode: sigv4.StreamingPayload, content: content, declare: 19_999}, nil, 400, "IncompleteBody", ""},
		{"a huge chunk", trailer, swap("4e20\r\n", "ffffffffffffffffffff\r\n"), 400, "IncompleteBody", ""},
		{"a negative chunk", trailer, swap("4e20\r\n", "-4e20\r\n"), 400, "IncompleteBody", ""},
		{"no chunk size", trailer, swap("4e20\r\n", "\r\n"), 400, "IncompleteBody", ""},
		{"a bare LF", trailer, swap("4e20\r\n", "4e20\n"), 400, "IncompleteBody", ""},
		{"an endless chunk line", trailer, swap("4e20\r\n", strings.Repeat("0", 5000)+"\r\n"), 400, "IncompleteBody", ""},
	} {
		r := c.upload.build(t)
		if c.edit != nil {
			wire, _ := io.ReadAll(r.Body)
			wire = c.edit(wire)
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(wire)), int64(len(wire))
		}
		_, b, err := read(r)
		wantError(t, c.name, err, c.status, c.code, c.part)
		if b != nil && len(b.Checksums()) > 0 {
			t.Errorf("%s: checksums are said to be verified", c.name)
		}
	}
}

// A connection that breaks or stalls is the body's error, with the cause kept for the log.
func TestBodyBreaks(t *testing.T) {
	for cause, code := range map[error]string{io.ErrUnexpectedEOF: "IncompleteBody", errors.New("reset"): "IncompleteBody", os.ErrDeadlineExceeded: "RequestTimeout"} {
		for _, mode := range []string{"", sigv4.StreamingPayload} {
			r := upload{mode: mode, content: []byte("hello")}.build(t)
			r.Body = io.NopCloser(io.MultiReader(io.LimitReader(r.Body, 3), iotest.ErrReader(cause)))
			_, _, err := read(r)
			wantError(t, cause.Error(), err, 400, code, "")
			if !errors.Is(err, cause) {
				t.Errorf("%v lost its cause", err)
			}
		}
	}
}

// The declared length holds, also where no net/http has held it.
func TestDeclaredLength(t *testing.T) {
	for declared, ok := range map[int64]bool{4: false, 5: true, 6: false, -1: true} {
		for _, mode := range []string{"", sigv4.UnsignedPayload} {
			r := upload{mode: mode, content: []byte("hello")}.build(t)
			r.ContentLength = declared
			if _, _, err := read(r); ok && err != nil {
				t.Errorf("%d: %v", declared, err)
			} else if !ok {
				wantError(t, fmt.Sprint(declared), err, 400, "IncompleteBody", "")
			}
		}
	}
}

// Checksums of the object, not of the body, are left to the operation.
func TestChecksumsOfTheObject(t *testing.T) {
	r := upload{content: []byte("<x/>"), header: map[string]string{"X-Amz-Checksum-Crc32": "AAAAAA==", "X-Amz-Sdk-Checksum-Algorithm": "SHA1"}}.build(t)
	a, err := sigv4.Parse(r)
	if err != nil {
		t.Fatal(err)
	}
	p, err := a.Verify(r, docsKey.Secret, sigv4.Rules{Region: "us-east-1", Service: "s3", S3: true, Now: docsTime})
	if err != nil {
		t.Fatal(err)
	}
	b, err := p.Open(r, false)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(b); err != nil || string(got) != "<x/>" {
		t.Errorf("%s %v", got, err)
	}
}

func TestUnsignedBodies(t *testing.T) {
	for _, c := range []struct {
		mode, body, code string
	}{
		{"", "hello", ""}, {sigv4.UnsignedPayload, "hello", ""}, {hashOf([]byte("hello")), "hello", ""},
		{hashOf([]byte("other")), "hello", "XAmzContentSHA256Mismatch"}, {sigv4.StreamingPayload, "hello", "InvalidRequest"},
		{sigv4.StreamingUnsignedTrailer, "5\r\nhello\r\n0\r\n\r\n", ""},
	} {
		r := httptest.NewRequest("PUT", "/b/k", strings.NewReader(c.body))
		if c.mode != "" {
			r.Header.Set("X-Amz-Content-Sha256", c.mode)
		}
		r.Header.Set("X-Amz-Decoded-Content-Length", "5")
		p, err := sigv4.Unsigned(r)
		var got []byte
		if err == nil {
			var b *sigv4.Body
			if b, err = p.Open(r, true); err == nil {
				got, err = io.ReadAll(b)
			}
		}
		if c.code == "" {
			if err != nil || string(got) != "hello" {
				t.Errorf("%s: %q %v", c.mode, got, err)
			}
			continue
		}
		wantError(t, c.mode, err, 400, c.code, "")
	}
}

// FuzzChunks: a body that ends well is the content that was signed; every other end is a typed error.
func FuzzChunks(f *testing.F) {
	content := []byte("hello world")
	uploads := []upload{
		{mode: sigv4.StreamingPayload, content: content},
		{mode: sigv4.StreamingPayloadTrailer, content: content, trailer: "x-amz-checksum-sha256", value: checksum("SHA256", content)},
		{mode: sigv4.StreamingUnsignedTrailer, content: content, trailer: "x-amz-checksum-sha256", value: checksum("SHA256", content)},
		{mode: sigv4.StreamingUnsignedTrailer, content: content, trailer: "x-amz-checksum-sha256", value: checksum("SHA256", content), lf: true},
	}
	for i, u := range uploads {
		wire, _ := io.ReadAll(u.build(f).Body)
		f.Add(uint8(i), wire)
	}
	f.Add(uint8(2), []byte("0b\r\nhello world\r\n0\r\n"))
	f.Fuzz(func(t *testing.T, which uint8, wire []byte) {
		u := uploads[int(which)%len(uploads)]
		r := u.build(t)
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(wire)), int64(len(wire))
		got, b, err := read(r)
		if err != nil {
			if _, ok := errors.AsType[*sigv4.Error](err); !ok {
				t.Fatalf("an error without a type: %v", err)
			}
			return
		}
		// An unsigned trailer may promise a checksum of anything; then that is what it must be.
		if len(got) != len(content) || u.mode != sigv4.StreamingUnsignedTrailer && !bytes.Equal(got, content) {
			t.Fatalf("the body became %q", got)
		}
		if b.Checksums() != nil && b.Checksums()[0].Value != checksum("SHA256", got) {
			t.Fatalf("the checksum is not the body's")
		}
	})
}
