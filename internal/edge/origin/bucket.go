package origin

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"postern/internal/edge/gate"
	"postern/internal/policy"
)

// Buckets reads objects. It is what this package needs of an S3 engine.
//
// Get reads an object, or what is known about it when opt.HeadOnly, as the caller who; it decides whether
// that caller may. An answer, 304 and 206 included, is an *Object whose body the caller closes; what S3
// refuses (AccessDenied, NoSuchKey, PreconditionFailed, InvalidRange …) is a *[BucketError]; any other
// error means the engine failed. The key is exact: nothing is decoded or normalised again. It is safe for
// concurrent use, and the object stays whole while its body is open, whatever is written meanwhile.
type Buckets interface {
	Get(ctx context.Context, who policy.Caller, bucket, key string, opt GetOptions) (*Object, error)
}

// GetOptions are the parts of a GET that S3 looks at, as header values, empty when absent.
type GetOptions struct {
	HeadOnly                                                 bool
	Range, IfRange                                           string
	IfMatch, IfNoneMatch, IfModifiedSince, IfUnmodifiedSince string
	// Query is the raw query that the behaviour lets through, for response-content-disposition and its kin.
	Query string
}

// Object is a successful answer: 200, 206 or 304.
type Object struct {
	Status int
	// Header holds Content-Length, Content-Type, ETag, Last-Modified and the like.
	Header http.Header
	// Body is nil when there is none. An *os.File, or an *io.LimitedReader over one, is sent by sendfile.
	Body io.ReadCloser
}

// BucketError is S3's refusal.
type BucketError struct {
	Status        int
	Code, Message string
	// Fields are further elements, such as Key or BucketName, in order.
	Fields []Field
	// RequestID and HostID name the request in the body.
	RequestID, HostID string
	Header            http.Header
}

// Field is one further element of an S3 error.
type Field struct{ Name, Value string }

// Error implements error.
func (e *BucketError) Error() string { return fmt.Sprintf("S3 answers %d %s", e.Status, e.Code) }

// BucketConfig describes a bucket origin.
type BucketConfig struct {
	Bucket string
	// Path is put before every admitted path: empty, or with a leading and no trailing slash, raw.
	Path string
	// Caller reads: policy.EdgeCaller with origin access control, the zero Caller (anonymous) without.
	Caller policy.Caller
}

// Bucket is a bucket of an S3 engine in this process.
type Bucket struct {
	c BucketConfig
	b Buckets
}

// NewBucket makes a bucket origin.
func NewBucket(c BucketConfig, b Buckets) (*Bucket, error) {
	if c.Bucket == "" {
		return nil, errors.New("making bucket origin: no bucket")
	}
	if b == nil {
		return nil, errors.New("making bucket origin: no buckets to read from")
	}
	return &Bucket{c: c, b: b}, nil
}

// Fetch implements [Origin]. The admitted path, percent-decoded exactly once, is the key; a plus sign
// stands for itself. Only GET and HEAD reach the bucket.
func (o *Bucket) Fetch(ctx context.Context, a gate.Admission, r *Request) (*http.Response, error) {
	if !a.Valid() {
		return nil, ErrNotAdmitted
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return o.refuse(r, &BucketError{
			Status: http.StatusMethodNotAllowed, Code: "MethodNotAllowed",
			Message: "The specified method is not allowed against this resource.", RequestID: r.ID,
			Header: http.Header{"Allow": {"GET, HEAD"}},
		}), nil
	}
	key, err := url.PathUnescape(o.c.Path + a.Path())
	if err != nil || !utf8.ValidString(key) {
		return o.refuse(r, &BucketError{
			Status: http.StatusBadRequest, Code: "InvalidURI",
			Message: "Couldn't parse the specified URI.", RequestID: r.ID,
		}), nil
	}
	if key = strings.TrimPrefix(key, "/"); key == "" {
		// The bucket itself: listing is not what the edge may do.
		return o.refuse(r, &BucketError{
			Status: http.StatusForbidden, Code: "AccessDenied", Message: "Access Denied", RequestID: r.ID,
		}), nil
	}
	who := o.c.Caller
	who.RequestID = r.ID
	if r.Viewer.IsValid() {
		who.SourceIP = r.Viewer.String()
	}
	object, err := o.b.Get(ctx, who, o.c.Bucket, key, GetOptions{
		HeadOnly:          r.Method == http.MethodHead,
		Range:             r.Header.Get("Range"),
		IfRange:           r.Header.Get("If-Range"),
		IfMatch:           r.Header.Get("If-Match"),
		IfNoneMatch:       r.Header.Get("If-None-Match"),
		IfModifiedSince:   r.Header.Get("If-Modified-Since"),
		IfUnmodifiedSince: r.Header.Get("If-Unmodified-Since"),
		Query:             r.Forward.query(a.Query()),
	})
	var refusal *BucketError
	switch {
	case errors.As(err, &refusal):
		return o.refuse(r, refusal), nil
	case err != nil && ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, &Error{Status: http.StatusBadGateway, Reason: "the bucket could not be read", Err: err}
	}
	resp := &http.Response{
		StatusCode:    object.Status,
		Header:        object.Header.Clone(),
		Body:          object.Body,
		ContentLength: -1,
	}
	if resp.Header == nil {
		resp.Header = http.Header{}
	}
	if resp.Body == nil {
		resp.Body = http.NoBody
	}
	if n, err := strconv.ParseInt(resp.Header.Get("Content-Length"), 10, 64); err == nil && n >= 0 {
		resp.ContentLength = n
	}
	o.clean(r, resp.Header)
	return resp, nil
}

func (o *Bucket) clean(r *Request, h http.Header) {
	r.Forward.response(h)
	// Source: CloudFront Developer Guide, "HTTP response headers that CloudFront removes or updates" (S3).
	delete(h, "X-Amz-Id-2")
	delete(h, "X-Amz-Request-Id")
	if len(h["Server"]) == 0 {
		h["Server"] = []string{"AmazonS3"}
	}
}

// refuse renders S3's own error document: RequestId and HostId inside, application/xml and
// Server: AmazonS3 outside, are how people tell the bucket's refusal from the edge's.
func (o *Bucket) refuse(r *Request, e *BucketError) *http.Response {
	var b bytes.Buffer
	if e.Status != http.StatusNotModified && r.Method != http.MethodHead {
		b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n<Error>")
		element := func(name, value string) {
			b.WriteString("<" + name + ">")
			xml.EscapeText(&b, []byte(value)) // writes to a buffer do not fail
			b.WriteString("</" + name + ">")
		}
		element("Code", e.Code)
		element("Message", e.Message)
		for _, f := range e.Fields {
			element(f.Name, f.Value)
		}
		element("RequestId", e.RequestID)
		element("HostId", e.HostID)
		b.WriteString("</Error>")
	}
	h := e.Header.Clone()
	if h == nil {
		h = http.Header{}
	}
	h["Server"] = []string{"AmazonS3"}
	resp := &http.Response{StatusCode: e.Status, Header: h, ContentLength: -1, Body: http.NoBody}
	if e.Status != http.StatusNotModified {
		h["Content-Type"] = []string{"application/xml"}
	}
	if b.Len() > 0 {
		resp.ContentLength = int64(b.Len())
		h["Content-Length"] = []string{strconv.Itoa(b.Len())}
		resp.Body = io.NopCloser(&b)
	}
	o.clean(r, h)
	return resp
}
