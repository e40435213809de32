package awsapi

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"postern/internal/policy"
	"postern/internal/sigv4"
)

// Limits of a request, before anything else is known of it.
const (
	maxTarget    = 16 << 10 // bytes of path and query
	maxUserAgent = 512      // bytes kept for audit
)

// statusGone is what the log says when the client left before its answer (nginx's 499).
const statusGone = 499

// exchange is one request on its way through the pipeline. It has more fields than a struct of ours
// should, because every step leaves what it found for the next.
type exchange struct {
	h *Handler
	r *http.Request
	w *writer

	start  time.Time
	id     string // request id
	hostID string // S3's second id

	path, rawQuery string // the target as it travelled; with S3's bucket in front if the Host named it
	auth           *sigv4.Auth
	query          []sigv4.Pair // without what belongs to the signature
	header         http.Header  // the request's, and what a presigned query stands in for
	bucket         string       // that the Host named

	service *service
	op      *Operation
	labels  map[string]string
	caller  policy.Caller
	payload *sigv4.Payload
	body    *sigv4.Body
	touched bool // somebody has begun to read r.Body
	in, out any
	err     error // of the engine or the pipeline, for the log
	code    string
}

// ServeHTTP implements http.Handler: these are the steps of every request, in their order.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{h: h, w: &writer{ResponseWriter: w}, start: h.config.Now()}
	x.r = r.WithContext(r.Context()) // a copy, for the body is watched
	if x.r.Body == nil {
		x.r.Body = http.NoBody
	}
	x.r.Body = &watched{ReadCloser: x.r.Body, touched: &x.touched}
	defer x.end()
	for _, step := range []func() error{
		x.name,          // give it an id
		x.bound,         // hold its size
		x.findService,   // credential scope, then the protocol's own marks, then Host
		x.findOperation, // in the table
		x.authenticate,  // signature, session, caller
		x.decode,        // strictly
		x.call,          // the engine decides, audits and does
		x.encode,
	} {
		if err := step(); err != nil {
			x.refuse(err)
			return
		}
	}
}

// name gives the request its ids: 16 letters and digits, and S3's 44 characters besides.
func (x *exchange) name() error {
	var b [10 + 32]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	x.id = base32.StdEncoding.EncodeToString(b[:10])
	x.hostID = base64.StdEncoding.EncodeToString(b[10:])
	return nil
}

func (x *exchange) bound() error {
	x.path, x.rawQuery = sigv4.RawTarget(x.r)
	if len(x.path)+len(x.rawQuery) > maxTarget {
		x.service = x.serviceByHost() // to answer in its form
		return &Error{Status: http.StatusRequestURITooLong, Code: "RequestURITooLong", Message: fmt.Sprintf("The request's path and query may have %d bytes in all.", maxTarget)}
	}
	if !strings.HasPrefix(x.path, "/") {
		x.service = x.serviceByHost()
		return &Error{Status: http.StatusBadRequest, Code: "InvalidURI", Message: "Couldn't parse the specified URI."}
	}
	return nil
}

func (x *exchange) findService() error {
	auth, err := sigv4.Parse(x.r)
	x.auth = auth
	if x.auth == nil {
		x.auth = &sigv4.Auth{}
	}
	for _, s := range x.h.services {
		if x.auth.Service == s.Name {
			x.service = s
		}
	}
	if x.auth.Service == "" {
		for _, s := range x.h.services { // an unsigned request, or one whose signature cannot be read
			if s.codec.claims(x, s) {
				x.service = s
				break
			}
		}
		if x.service == nil {
			x.service = x.serviceByHost()
		}
	}
	if err != nil {
		return err
	}
	if x.service == nil {
		return notImplemented("The service %q is not implemented here.", cut(x.auth.Service))
	}
	x.readQuery()
	if x.service.s3 {
		if x.bucket = bucketOf(x.r.Host, x.h.config.BucketHosts); x.bucket != "" {
			x.path = "/" + x.bucket + x.path
		}
	}
	return nil
}

// serviceByHost finds cloudfront.amazonaws.com by its first label, and gives everything else to the
// service that takes unsigned requests.
func (x *exchange) serviceByHost() *service {
	first, _, _ := strings.Cut(x.r.Host, ".")
	var open *service
	for _, s := range x.h.services {
		if s.Name == first {
			return s
		}
		if s.Anonymous {
			open = s
		}
	}
	return open
}

// readQuery parts the query into what signs the request, what stands in for headers, and the rest. SDKs
// put a presigned request's x-amz- headers into its query, and S3 takes them there; but not checksums,
// which were computed over no body (localstack/localstack#12169, ministackorg/ministack#1695).
func (x *exchange) readQuery() {
	x.header = x.r.Header
	presigned := x.auth.Kind == sigv4.Query || x.auth.Kind == sigv4.QueryV2
	if presigned || x.header["Content-Encoding"] != nil {
		x.header = x.r.Header.Clone()
	}
	for _, p := range x.auth.Pairs() {
		lower := strings.ToLower(p.Key)
		switch {
		case !presigned || !strings.HasPrefix(lower, "x-amz-") && !(x.auth.Kind == sigv4.QueryV2 && slices.Contains(v2Keys, p.Key)):
			x.query = append(x.query, p)
		case slices.Contains(signatureKeys, lower), slices.Contains(v2Keys, p.Key), isChecksum(lower):
		case len(x.r.Header[http.CanonicalHeaderKey(lower)]) == 0:
			x.header.Set(lower, p.Value)
		}
	}
	if values := x.header["Content-Encoding"]; values != nil { // aws-chunked is of the transfer, not of the object
		var kept []string
		for part := range strings.SplitSeq(strings.Join(values, ","), ",") {
			if part = strings.TrimSpace(part); part != "" && !strings.EqualFold(part, "aws-chunked") {
				kept = append(kept, part)
			}
		}
		x.header.Del("Content-Encoding")
		if len(kept) > 0 {
			x.header.Set("Content-Encoding", strings.Join(kept, ","))
		}
	}
}

var (
	signatureKeys = []string{"x-amz-algorithm", "x-amz-content-sha256", "x-amz-credential", "x-amz-date", "x-amz-expires",
		"x-amz-sdk-checksum-algorithm", "x-amz-security-token", "x-amz-signature", "x-amz-signedheaders"}
	v2Keys = []string{"AWSAccessKeyId", "Signature", "Expires", "content-md5", "content-type"}
)

// isChecksum tells x-amz-checksum-sha256, in lower case, from x-amz-checksum-mode.
func isChecksum(name string) bool {
	algorithm, ok := strings.CutPrefix(name, "x-amz-checksum-")
	return ok && algorithm != "mode" && algorithm != "type" && algorithm != "algorithm"
}

func (x *exchange) queryValue(key string) (value string, count int) {
	for _, p := range x.query {
		if p.Key == key {
			if count == 0 {
				value = p.Value
			}
			count++
		}
	}
	return value, count
}

func (x *exchange) findOperation() (err error) {
	x.op, x.labels, err = x.service.codec.find(x, x.service)
	if err != nil {
		return err
	}
	if x.op.in.body == nil && x.r.ContentLength > x.op.maxBody {
		return tooLong()
	}
	return nil
}

func (x *exchange) authenticate() (err error) {
	x.caller.RequestID = x.id
	if x.auth.Kind == sigv4.None {
		if !x.service.Anonymous {
			return &Error{Status: http.StatusForbidden, Code: "MissingAuthenticationToken", Message: "Request is missing Authentication Token"}
		}
		x.payload, err = sigv4.Unsigned(x.r)
	} else {
		x.payload, err = x.verify()
	}
	if err != nil {
		return err
	}
	x.caller.RequestID = x.id
	x.caller.SecureTransport = x.r.TLS != nil
	x.caller.SourceIP = x.r.RemoteAddr
	if host, _, err := net.SplitHostPort(x.r.RemoteAddr); err == nil {
		x.caller.SourceIP = host
	}
	x.caller.UserAgent = strings.ToValidUTF8(x.r.UserAgent()[:min(len(x.r.UserAgent()), maxUserAgent)], "")
	return nil
}

func (x *exchange) verify() (*sigv4.Payload, error) {
	found, err := x.h.config.Credentials.Lookup(x.r.Context(), x.auth.AccessKeyID)
	if errors.Is(err, ErrUnknownKey) {
		return nil, unknownKey(x.auth.AccessKeyID)
	}
	if err != nil {
		return nil, fmt.Errorf("looking the access key up: %w", err)
	}
	rules := sigv4.Rules{Service: x.service.Name, S3: x.service.s3, Bucket: x.bucket, Now: x.h.config.Now(), Body: x.bufferBody}
	if !x.service.AnyRegion {
		rules.Region = x.h.config.Region
	}
	secret := found.Secret.Bytes()
	payload, err := x.auth.Verify(x.r, secret, rules)
	clear(secret)
	if err != nil {
		return nil, err
	}
	if subtle.ConstantTimeCompare([]byte(found.SessionToken), []byte(x.auth.SessionToken)) != 1 {
		if x.auth.SessionToken == "" { // a temporary key without its token names nobody
			return nil, unknownKey(x.auth.AccessKeyID)
		}
		return nil, &sigv4.Error{Status: http.StatusBadRequest, Code: "InvalidToken", Message: "The provided token is malformed or otherwise invalid."}
	}
	x.caller = found.Caller
	x.caller.AccessKeyID = x.auth.AccessKeyID
	return payload, nil
}

// bufferBody reads the body for a signature that covers its hash without naming it.
func (x *exchange) bufferBody() ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(x.r.Body, x.op.maxBody+1))
	if err != nil {
		return nil, &sigv4.Error{Status: http.StatusBadRequest, Code: "IncompleteBody", Message: "The request body terminated unexpectedly", Err: err}
	}
	if int64(len(body)) > x.op.maxBody {
		return nil, tooLong()
	}
	x.r.Body = io.NopCloser(bytes.NewReader(body))
	return body, nil
}

func (x *exchange) decode() (err error) {
	if err := x.op.undeclared(x); err != nil {
		return err
	}
	if x.body, err = x.payload.Open(x.r, !x.op.in.ownChecksums()); err != nil {
		return err
	}
	if x.op.in.body != nil && x.body.Length() < 0 {
		return &Error{Status: http.StatusLengthRequired, Code: "MissingContentLength", Message: "You must provide the Content-Length HTTP header."}
	}
	x.in = x.op.newIn()
	return x.service.codec.decode(x, x.in)
}

// readBody reads a whole document and holds what was promised about it.
func (x *exchange) readBody() ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(x.body, x.op.maxBody+1))
	if err == nil && int64(len(body)) > x.op.maxBody {
		err = tooLong()
	}
	return body, err
}

func (x *exchange) checksums() *Checksums {
	c := &Checksums{verified: func() (list []Checksum) {
		for _, sum := range x.body.Checksums() {
			list = append(list, Checksum(sum))
		}
		return list
	}}
	if name := x.body.Announced(); name != "" {
		c.announced = []string{name}
	}
	return c
}

func (x *exchange) call() (err error) {
	x.out, err = x.op.call(x.r.Context(), x.caller, x.in)
	if err != nil { // an engine may have opened what it then may not answer (its audit line failed)
		x.op.out.closeBody(x.out)
		return err
	}
	if x.op.in.body != nil {
		// An engine that answers yes has read to io.EOF: only then is the body what was signed.
		if _, err := x.body.Read(make([]byte, 1)); err != io.EOF {
			x.op.out.closeBody(x.out)
			return fmt.Errorf("operation %s succeeded without reading its body to the end", x.op.name)
		}
	}
	return nil
}

func (x *exchange) encode() error { return x.service.codec.encode(x, x.out) }

// refuse answers with an error; every error of every step comes here.
func (x *exchange) refuse(err error) {
	x.err = err
	if errors.Is(err, context.Canceled) && x.r.Context().Err() != nil {
		x.w.status = statusGone
		panic(http.ErrAbortHandler)
	}
	e := x.service.refusal(err, x.id)
	x.code = e.Code
	if x.w.status != 0 { // the answer has begun: only a broken connection can tell that it failed
		panic(http.ErrAbortHandler)
	}
	for name, values := range e.Headers {
		x.w.Header()[name] = values
	}
	if !x.touched && strings.EqualFold(x.r.Header.Get("Expect"), "100-continue") {
		// The body was never asked for. net/http would wait for it after the answer; nobody sends it.
		x.w.Header().Set("Connection", "close")
		_ = http.NewResponseController(x.w).SetReadDeadline(time.Unix(1, 0)) // where it cannot be set there is no connection to end
	}
	if x.service == nil {
		x.refuseUnknown(e)
		return
	}
	x.service.codec.refuse(x, e)
}

// refuseUnknown answers a request to a service we do not know, in the protocol it seems to speak.
func (x *exchange) refuseUnknown(e *Error) {
	if x.r.Header.Get("X-Amz-Target") == "" {
		x.service = &service{} // plain REST-XML without a namespace
		restXML{}.refuse(x, e)
		x.service = nil
		return
	}
	body, _ := json.Marshal(map[string]string{"__type": e.Code, "message": e.Message}) // strings always encode
	x.w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	x.answer(e.Status, int64(len(body)), io.NopCloser(bytes.NewReader(body)))
}

// answer writes the status, the ids and the body. length is -1 if unknown; body may be nil. Whatever
// happens, body is closed.
func (x *exchange) answer(status int, length int64, body io.ReadCloser) {
	if body != nil {
		defer func() { _ = body.Close() }()
	}
	header := x.w.Header()
	if x.service != nil && x.service.s3 {
		header["x-amz-request-id"] = []string{x.id}
		header["x-amz-id-2"] = []string{x.hostID}
		header["Server"] = []string{"AmazonS3"}
	} else {
		header["x-amzn-RequestId"] = []string{x.id}
	}
	bodiless := status == http.StatusNoContent || status == http.StatusNotModified
	switch {
	case bodiless:
		header.Del("Content-Length")
		header.Del("Content-Type")
	case length >= 0:
		header.Set("Content-Length", strconv.FormatInt(length, 10))
	}
	if length == 0 && header["Content-Type"] == nil {
		header["Content-Type"] = nil // or net/http makes one up
	}
	x.w.WriteHeader(status)
	if body == nil || bodiless || x.r.Method == http.MethodHead {
		return
	}
	sent, err := io.Copy(x.w, body)
	if err == nil && length >= 0 && sent != length {
		err = fmt.Errorf("the body had %d bytes instead of %d", sent, length)
	}
	if err != nil {
		x.err = fmt.Errorf("sending the answer: %w", err)
		panic(http.ErrAbortHandler)
	}
}

// end writes the one event of the request, and turns a panic into an answer.
func (x *exchange) end() {
	broken := recover()
	if broken != nil && broken != http.ErrAbortHandler {
		x.err = fmt.Errorf("panic: %v\n%s", broken, debug.Stack())
		if x.w.status == 0 {
			broken = func() (aborted any) {
				defer func() { aborted = recover() }() // refuse aborts by a panic
				x.refuse(x.err)
				return nil
			}()
		} else {
			broken = http.ErrAbortHandler
		}
	}
	took := x.h.config.Now().Sub(x.start)
	var service, operation string
	if x.service != nil {
		service = x.service.Name
	}
	if x.op != nil {
		operation = x.op.name
	}
	attrs := []slog.Attr{slog.String("method", x.r.Method), slog.String("service", service), slog.String("operation", operation),
		slog.Int("status", x.w.status), slog.String("request_id", x.id), slog.Duration("took", took), slog.Int64("bytes", x.w.bytes)}
	if x.code != "" {
		attrs = append(attrs, slog.String("code", x.code))
	}
	level := slog.LevelInfo
	if x.err != nil && (x.w.status >= 500 || x.code == "") {
		attrs = append(attrs, slog.String("error", x.err.Error()))
		if x.w.status >= 500 {
			level = slog.LevelError
		}
	}
	x.h.config.Logger.LogAttrs(x.r.Context(), level, "request", attrs...)
	if x.h.config.Metrics != nil {
		x.h.config.Metrics.Request(service, operation, x.w.status, took)
	}
	if broken != nil {
		panic(broken)
	}
}

// watched notes that a body is being read; for net/http asks the client for it then.
type watched struct {
	io.ReadCloser
	touched *bool
}

// Read implements io.Reader.
func (w *watched) Read(p []byte) (int, error) {
	*w.touched = true
	return w.ReadCloser.Read(p)
}

// writer notes what was answered.
type writer struct {
	http.ResponseWriter
	status int
	bytes  int64
}

// WriteHeader implements http.ResponseWriter.
func (w *writer) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Write implements io.Writer.
func (w *writer) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

// ReadFrom lets net/http send a file without copying it through us.
func (w *writer) ReadFrom(src io.Reader) (int64, error) {
	n, err := io.Copy(w.ResponseWriter, src)
	w.bytes += n
	return n, err
}

// Unwrap serves http.ResponseController.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }
