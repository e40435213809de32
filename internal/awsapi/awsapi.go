// Package awsapi is the one wire pipeline of every AWS-compatible service: identify, authenticate,
// decode, call the engine, encode, render errors. A service is a table of operations; an engine knows
// nothing of the wire. Protocols are codecs: REST-XML now (S3, CloudFront); the others add a file each.
package awsapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"postern/internal/policy"
	"postern/internal/seal"
)

// Protocol names a wire protocol.
type Protocol uint8

const (
	// RESTXML is S3's and CloudFront's protocol.
	RESTXML Protocol = iota + 1
)

// Credential is an access key as the pipeline needs it.
type Credential struct {
	Secret seal.Secret
	// SessionToken must be in the request when it is not empty.
	SessionToken string
	// Caller is who the key is; the pipeline fills in what the request says (address, TLS, request id).
	Caller policy.Caller
}

// ErrUnknownKey is Lookup's answer for an access key id nobody has.
var ErrUnknownKey = errors.New("unknown access key id")

// Credentials finds access keys. Lookup is called on every signed request, from many goroutines, and
// must not wait for disk or network. It answers an error wrapping [ErrUnknownKey] when there is no such key.
type Credentials interface {
	Lookup(ctx context.Context, accessKeyID string) (Credential, error)
}

// Metrics counts requests. Service and operation come from the tables, never from the request;
// both are empty when the request named none.
type Metrics interface {
	Request(service, operation string, status int, took time.Duration)
}

// Config is what a [Handler] needs. Services, Credentials, Account, Now and Logger are required.
type Config struct {
	Services    []Service
	Credentials Credentials
	// Region a credential scope must name, but for services with AnyRegion. Required.
	Region  string
	Account string
	Now     func() time.Time
	Logger  *slog.Logger
	Metrics Metrics // may be nil
	// BucketHosts are names, besides localhost and amazonaws.com, under which a bucket may stand in the
	// Host: with "s3.example.net", b.s3.example.net is bucket b.
	BucketHosts []string
}

// Service is one service's wire face.
type Service struct {
	// Name is the signing name: "s3", "cloudfront".
	Name     string
	Protocol Protocol
	// Namespace of XML documents, both ways.
	Namespace  string
	Operations []Operation
	// Anonymous lets unsigned requests reach the engine, as the anonymous caller (S3).
	Anonymous bool
	// AnyRegion accepts every region in the credential scope (CloudFront, IAM: global services).
	AnyRegion bool
	// PathPrefix finds the service of an unsigned request: "/2020-05-31/".
	PathPrefix string
}

// Route says which requests are an operation's. The most specific route wins: more query keys and
// headers first, then values before bare keys. A query key or x-amz- header that the operation does not
// declare (in its Route or its input's tags) is refused with NotImplemented.
type Route struct {
	Method string
	// Path holds labels in braces, one a segment: "/", "/{Bucket}", "/{Bucket}/{Key+}",
	// "/2020-05-31/public-key/{Id}". A label with + takes the rest of the path, slashes and all.
	Path string
	// Query are keys, or key=value pairs, that must be present: "uploads", "list-type=2".
	Query []string
	// Header are headers that must be present: "x-amz-copy-source".
	Header []string
}

// Option changes an operation.
type Option func(*Operation)

// Status is the status of success; without it, or a status field in Out, it is 200.
func Status(code int) Option { return func(o *Operation) { o.status = code } }

// MaxBody bounds a document body, in bytes; without it, 2 MiB.
func MaxBody(n int64) Option { return func(o *Operation) { o.maxBody = n } }

// Operation is one line of a service's table; made by [Op].
type Operation struct {
	name    string
	route   Route
	status  int
	maxBody int64
	err     error
}

// Op makes an operation of an engine's method. Mistakes in the tags of In and Out are reported by [New].
//
// Fields of In and Out carry `aws:"kind,name"`:
//
//	uri,Label            In: a path label, percent-decoded once
//	query,key            In: a query value, percent-decoded once
//	header,Name          both: string, bool, int, int64, time.Time (HTTP date), or a pointer to one
//	headers,prefix-      both: map[string]string, keys in lower case without the prefix
//	xml[,Root]           both: the document; in In a pointer is optional, a struct is required
//	body                 In: io.Reader, verified while it is read: no io.EOF, no commit. Out: io.ReadCloser
//	bodylen              both: int64, the body's length in bytes, -1 unknown
//	checksums            In: *Checksums, complete once body has returned io.EOF
//	status               Out: int, the status if not 0
//	rawquery             In: string, the query as it travelled
//
// Other fields must be without the tag; embedded structs are looked into.
func Op[In, Out any](name string, route Route, fn func(context.Context, policy.Caller, In) (Out, error), opts ...Option) Operation {
	return Operation{name: name, route: route}
}

// Checksums is what the body's verification found true.
type Checksums struct{ list func() []Checksum }

// Checksum is one verified checksum of a body.
type Checksum struct {
	Algorithm string // CRC32, CRC32C, CRC64NVME, SHA1 or SHA256
	Value     string // base64
}

// Verified lists them; it is complete once the body has returned io.EOF.
func (c *Checksums) Verified() []Checksum {
	if c == nil || c.list == nil {
		return nil
	}
	return c.list()
}

// Error is an answer that is a refusal. Engines return it; anything else an engine returns, but
// *audit.Denied, becomes InternalError with a request id.
type Error struct {
	Status  int
	Code    string
	Message string
	// Fields are further elements of S3's document: Key, BucketName.
	Fields map[string]string
	// Headers are put on the answer.
	Headers http.Header
}

// Error implements error.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

// AWSErrorCode is the code, for audit.
func (e *Error) AWSErrorCode() string { return e.Code }

// Handler serves the services' wire APIs.
type Handler struct{}

// New checks the tables and returns their handler.
func New(c Config) (*Handler, error) { return nil, errors.New("not built yet") }

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	http.Error(w, "not built yet", http.StatusBadRequest)
}

// Description is one operation of a table, for the compatibility page.
type Description struct {
	Service, Operation string
	Method, Path       string
	Query, Header      []string // what must be present
	Accepts            []string // the query keys and headers the operation understands besides
}

// Describe lists the service's operations, sorted by name.
func (s Service) Describe() []Description { return nil }
