package sigv4

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Bounds of the aws-chunked framing.
const (
	maxChunkLine   = 256     // one chunk header or trailer line, with its end
	maxTrailers    = 1024    // all trailer lines together
	minChunk       = 8 << 10 // every chunk but the last, as S3 demands
	maxSizeDigits  = 15      // of a chunk's size in hex: far above any object, far below overflow
	chunkSignature = ";chunk-signature="
)

// Payload is what a verified request has promised about its body.
type Payload struct {
	mode  string // the value of x-amz-content-sha256, or the hash of the body
	key   []byte
	scope string
	time  string
	seed  []byte
}

// Unsigned is the payload of an unsigned request: its hash, if it gives one, and its checksums are held.
// Errors are *[Error].
func Unsigned(r *http.Request) (*Payload, error) {
	value, ok, err := one(r, "x-amz-content-sha256")
	switch {
	case err != nil:
		return nil, err
	case !ok:
		value = UnsignedPayload
	case value != UnsignedPayload && value != StreamingUnsignedTrailer && !isHash(value):
		return nil, invalidRequest("An unsigned request may not use a signed payload. Please use UNSIGNED-PAYLOAD or STREAMING-UNSIGNED-PAYLOAD-TRAILER.")
	}
	return &Payload{mode: value}, nil
}

// Body is a request's body, de-chunked. Read returns io.EOF only when everything promised about the
// body has been found true; until then what it returned must not be committed. It buffers at most a few
// kilobytes.
type Body struct {
	src      io.Reader
	chunks   *chunkReader // src, if the body is aws-chunked
	declared int64        // -1 unknown
	seen     int64
	sha256   hash.Hash // nil unless the payload hash is one
	want     string
	md5      hash.Hash // nil unless Content-MD5 was given
	wantMD5  []byte
	promise  *promise // nil unless there is a checksum
	err      error
}

// Open starts reading r's body; it reads nothing yet. With checksums, x-amz-checksum-* and
// x-amz-sdk-checksum-algorithm headers are held against the body; without, they are the operation's own
// (CompleteMultipartUpload's are the object's). Errors are *[Error].
func (p *Payload) Open(r *http.Request, checksums bool) (*Body, error) {
	b := &Body{src: r.Body, declared: r.ContentLength}
	if r.Body == nil {
		b.src, b.declared = http.NoBody, 0
	}
	var err error
	if b.wantMD5, err = md5Of(r); err != nil {
		return nil, err
	}
	if b.wantMD5 != nil {
		b.md5 = md5.New()
	}
	trailers, err := trailersOf(r)
	if err != nil {
		return nil, err
	}
	trailing := p.mode == StreamingPayloadTrailer || p.mode == StreamingUnsignedTrailer
	if !trailing && trailers != nil || p.mode == StreamingPayloadTrailer && trailers == nil {
		return nil, malformedTrailer()
	}
	if checksums || trailers != nil {
		if b.promise, err = checksumOf(r, trailers); err != nil {
			return nil, err
		}
	}
	switch {
	case p.mode == StreamingPayload || trailing:
		if b.declared, err = decodedLength(r); err != nil {
			return nil, err
		}
		b.chunks = &chunkReader{r: bufio.NewReaderSize(b.src, 4<<10), trailers: trailers}
		if p.mode != StreamingUnsignedTrailer {
			b.chunks.signer = &chunkSigner{Payload: p, previous: p.seed, chunk: sha256.New()}
		}
		b.src = b.chunks
	case isHash(p.mode):
		b.sha256, b.want = sha256.New(), p.mode
	}
	return b, nil
}

func decodedLength(r *http.Request) (int64, error) {
	value, ok, err := one(r, "x-amz-decoded-content-length")
	if err != nil {
		return 0, err
	}
	n, bad := strconv.ParseInt(value, 10, 64)
	if !ok || bad != nil || n < 0 {
		return 0, &Error{Status: http.StatusLengthRequired, Code: "MissingContentLength",
			Message: "You must provide the Content-Length HTTP header."}
	}
	return n, nil
}

// Length is the decoded length in bytes, -1 if unknown.
func (b *Body) Length() int64 { return b.declared }

// Checksums are the checksums that were promised in header or trailer and found true; there are none
// before Read has returned io.EOF. Content-MD5 is not among them.
func (b *Body) Checksums() []Checksum {
	if b.err != io.EOF || b.promise == nil {
		return nil
	}
	return []Checksum{{Algorithm: b.promise.algorithm, Value: b.promise.want}}
}

// Announced is the algorithm of the checksum that header or trailer promise, before it is known to be
// true; empty if there is none.
func (b *Body) Announced() string {
	if b.promise == nil {
		return ""
	}
	return b.promise.algorithm
}

// Read implements io.Reader. Errors about the bytes are *[Error], and stay.
func (b *Body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	n, err := b.src.Read(p)
	b.seen += int64(n)
	if b.declared >= 0 && b.seen > b.declared {
		b.err = incomplete(nil)
		return 0, b.err
	}
	if b.sha256 != nil {
		b.sha256.Write(p[:n])
	}
	if b.md5 != nil {
		b.md5.Write(p[:n])
	}
	if b.promise != nil {
		b.promise.hash.Write(p[:n])
	}
	switch {
	case err == io.EOF:
		b.err = b.finish()
	case err != nil:
		b.err = bodyError(err)
	}
	if n > 0 && b.err == io.EOF {
		return n, nil
	}
	return n, b.err
}

// finish is io.EOF if every promise holds.
func (b *Body) finish() error {
	if b.declared >= 0 && b.seen != b.declared {
		return incomplete(nil)
	}
	if b.sha256 != nil {
		if got := hex.EncodeToString(b.sha256.Sum(nil)); got != b.want {
			return &Error{Status: http.StatusBadRequest, Code: "XAmzContentSHA256Mismatch",
				Message: "The provided 'x-amz-content-sha256' header does not match what was computed.",
				Fields:  map[string]string{"ClientComputedContentSHA256": b.want, "S3ComputedContentSHA256": got}}
		}
	}
	if b.md5 != nil {
		if got := b.md5.Sum(nil); !bytes.Equal(got, b.wantMD5) {
			return &Error{Status: http.StatusBadRequest, Code: "BadDigest",
				Message: "The Content-MD5 you specified did not match what we received.",
				Fields: map[string]string{"ExpectedDigest": base64.StdEncoding.EncodeToString(b.wantMD5),
					"CalculatedDigest": base64.StdEncoding.EncodeToString(got)}}
		}
	}
	if b.promise != nil {
		if b.chunks != nil && b.promise.want == "" {
			if err := b.promise.set(b.chunks.value, "trailing header"); err != nil {
				return err
			}
		}
		if err := b.promise.check(); err != nil {
			return err
		}
	}
	return io.EOF
}

func incomplete(cause error) *Error {
	return &Error{Status: http.StatusBadRequest, Code: "IncompleteBody", Message: "The request body terminated unexpectedly", Err: cause}
}

// bodyError is the refusal for a body that could not be read to its end.
func bodyError(err error) error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return &Error{Status: http.StatusBadRequest, Code: "RequestTimeout", Err: err,
			Message: "Your socket connection to the server was not read from or written to within the timeout period. Idle connections will be closed."}
	}
	return incomplete(err)
}

// chunkReader takes the aws-chunked framing off; Body holds the decoded length
// (docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html, sigv4-streaming-trailers.html).
type chunkReader struct {
	r        *bufio.Reader
	signer   *chunkSigner // nil: chunks are not signed
	trailers []string     // announced: none, or one checksum
	value    string       // of the trailer

	inChunk int64 // bytes left of the chunk being read
	small   int64 // size of a chunk that only the last may have, 0 if none
	number  int   // of chunks begun
	done    bool
}

// Read returns io.EOF when the framing ended as announced and every signature held.
func (c *chunkReader) Read(p []byte) (int, error) {
	for c.inChunk == 0 {
		if c.done {
			return 0, io.EOF
		}
		if err := c.begin(); err != nil {
			return 0, err
		}
	}
	if int64(len(p)) > c.inChunk {
		p = p[:c.inChunk]
	}
	n, err := c.r.Read(p)
	c.inChunk -= int64(n)
	if c.signer != nil {
		c.signer.chunk.Write(p[:n])
	}
	if err != nil {
		return n, unexpected(err)
	}
	if c.inChunk == 0 {
		if err := c.expect("\r\n"); err != nil {
			return n, err
		}
		if c.signer != nil {
			if err := c.signer.check("AWS4-HMAC-SHA256-PAYLOAD"); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

// begin reads a chunk's header, and after the last chunk all that follows.
func (c *chunkReader) begin() error {
	line, bare, err := c.line()
	if err != nil {
		return err
	}
	digits, extension, _ := strings.Cut(line, ";")
	size, bad := strconv.ParseUint(digits, 16, 63)
	if bare || bad != nil || len(digits) > maxSizeDigits || strings.TrimLeft(digits, "0123456789abcdefABCDEF") != "" {
		return incomplete(nil)
	}
	if c.signer == nil {
		if extension != "" || len(digits) != len(line) {
			return incomplete(nil)
		}
	} else if err := c.signer.expect(line[len(digits):]); err != nil {
		return err
	}
	if size > 0 && c.small > 0 {
		return &Error{Status: http.StatusForbidden, Code: "InvalidChunkSizeError",
			Message: "Only the last chunk is allowed to have a size less than 8192 bytes",
			Fields:  map[string]string{"Chunk": strconv.Itoa(c.number), "BadChunkSize": strconv.FormatInt(c.small, 10)}}
	}
	c.number++
	c.inChunk = int64(size)
	if size < minChunk {
		c.small = int64(size)
	}
	if size == 0 {
		return c.end()
	}
	return nil
}

// end reads what follows the last chunk's header: its signature's check, the trailer, the final CRLF and
// nothing more.
func (c *chunkReader) end() error {
	if c.signer != nil {
		if err := c.signer.check("AWS4-HMAC-SHA256-PAYLOAD"); err != nil {
			return err
		}
	}
	if len(c.trailers) > 0 {
		if err := c.readTrailer(); err != nil {
			return err
		}
	}
	if err := c.expect("\r\n"); err != nil {
		return err
	}
	if _, err := c.r.ReadByte(); err != io.EOF {
		if err == nil {
			return malformedTrailer()
		}
		return unexpected(err)
	}
	c.done = true
	return nil
}

func (c *chunkReader) readTrailer() error {
	budget := maxTrailers
	seen := make([]string, 0, len(c.trailers))
	for len(seen) < len(c.trailers) {
		line, bare, err := c.line()
		if err != nil {
			return err
		}
		name, value, ok := strings.Cut(line, ":")
		name = strings.ToLower(strings.TrimSpace(name))
		if budget -= len(line); budget < 0 || !ok || !slices.Contains(c.trailers, name) || slices.Contains(seen, name) {
			return malformedTrailer()
		}
		seen = append(seen, name)
		c.value = strings.TrimSpace(value)
		if c.signer != nil {
			c.signer.chunk.Write([]byte(name + ":" + c.value + "\n"))
		}
		if bare { // minio-go ends the line with LF and puts CRLF after it
			if err := c.expect("\r\n"); err != nil {
				return err
			}
		}
	}
	if c.signer == nil {
		return nil
	}
	line, bare, err := c.line()
	if err != nil {
		return err
	}
	name, value, _ := strings.Cut(line, ":")
	if bare || !strings.EqualFold(name, "x-amz-trailer-signature") {
		return malformedTrailer()
	}
	if err := c.signer.expect(chunkSignature + strings.TrimSpace(value)); err != nil {
		return err
	}
	return c.signer.check("AWS4-HMAC-SHA256-TRAILER")
}

// line reads one line without its end; bare tells that it ended with LF alone.
func (c *chunkReader) line() (line string, bare bool, err error) {
	var b strings.Builder
	for b.Len() < maxChunkLine {
		ch, err := c.r.ReadByte()
		if err != nil {
			return "", false, unexpected(err)
		}
		if ch == '\n' {
			line, ended := strings.CutSuffix(b.String(), "\r")
			return line, !ended, nil
		}
		b.WriteByte(ch)
	}
	return "", false, incomplete(nil)
}

func (c *chunkReader) expect(s string) error {
	for i := range len(s) {
		ch, err := c.r.ReadByte()
		if err != nil {
			return unexpected(err)
		}
		if ch != s[i] {
			return incomplete(nil)
		}
	}
	return nil
}

// unexpected turns an end of the body that came too early into an error.
func unexpected(err error) error {
	if err == io.EOF {
		return incomplete(io.ErrUnexpectedEOF)
	}
	return err
}

// chunkSigner holds the chain of chunk signatures, each over the one before.
type chunkSigner struct {
	*Payload
	previous []byte
	next     []byte    // the signature that the chunk being read must have
	chunk    hash.Hash // of the chunk being read
}

// expect notes the signature of a chunk: extension is ";chunk-signature=" and 64 hex digits.
func (s *chunkSigner) expect(extension string) error {
	digits, ok := strings.CutPrefix(extension, chunkSignature)
	sig, err := hex.DecodeString(digits)
	if !ok || err != nil || len(sig) != sha256.Size {
		return mismatch(nil)
	}
	s.next = sig
	return nil
}

// check holds the signature over what was written to s.chunk, and begins the next chunk.
func (s *chunkSigner) check(kind string) error {
	text := kind + "\n" + s.time + "\n" + s.scope + "\n" + hex.EncodeToString(s.previous) + "\n"
	if kind == "AWS4-HMAC-SHA256-PAYLOAD" {
		text += EmptyPayload + "\n"
	}
	text += hex.EncodeToString(s.chunk.Sum(nil))
	if !hmac.Equal(mac(s.key, text), s.next) {
		return mismatch(nil)
	}
	s.previous = s.next
	s.chunk.Reset()
	return nil
}
