// Package awsapi is the one wire pipeline of every AWS-compatible service: identify, authenticate,
// decode, call the engine, encode, render errors. A service is a table of operations; an engine knows
// nothing of the wire. Protocols are codecs: REST-XML now (S3, CloudFront); the others add a file each.
package awsapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"slices"
	"strings"
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

// Config is what a [Handler] needs. Services, Credentials, Region, Account, Now and Logger are required.
type Config struct {
	Services    []Service
	Credentials Credentials
	// Region a credential scope must name, but for services with AnyRegion.
	Region  string
	Account string
	Now     func() time.Time
	Logger  *slog.Logger
	Metrics Metrics // may be nil
	// BucketHosts are names, besides localhost and amazonaws.com, under which a bucket may stand in the
	// Host: with "s3.example.net", b.s3.example.net is bucket b.
	BucketHosts []string
}

// Service is one service's wire face. The service named "s3" has S3's own rules of signing, of
// addressing buckets, and of writing errors.
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
// headers first, then values before bare keys, then literal segments before labels. A query key or an
// x-amz- header that the operation does not declare, in its Route or in its input's tags, is refused
// with NotImplemented; so a call that means more than we do is never half done.
type Route struct {
	Method string
	// Path holds labels in braces, one a segment: "/", "/{Bucket}", "/{Bucket}/{Key+}",
	// "/2020-05-31/public-key/{Id}". A label with + takes the rest of the path, slashes and all. A slash
	// at the end of a request's path is ignored, but for a label with +.
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

// MaxBody bounds a document body, in bytes; without it, [DefaultMaxBody].
func MaxBody(n int64) Option { return func(o *Operation) { o.maxBody = n } }

// DefaultMaxBody is the longest document body, in bytes, that an operation takes unless it says
// otherwise. It does not bound bodies that are streamed.
const DefaultMaxBody = 2 << 20

// Operation is one line of a service's table; made by [Op].
type Operation struct {
	name    string
	route   Route
	status  int
	maxBody int64
	in, out *binding
	newIn   func() any
	call    func(ctx context.Context, who policy.Caller, in any) (out any, err error)
	err     error
}

// Op makes an operation of an engine's method. Mistakes in the tags of In and Out are reported by [New].
//
// Fields of In and Out carry `aws:"kind,name"`:
//
//	uri,Label            In: a path label, percent-decoded once
//	query,key            In: a query value, percent-decoded once
//	header,Name          both: string, bool, integer, time.Time (HTTP date), or a pointer to one
//	headers,prefix-      both: map[string]string, keys in lower case without the prefix
//	xml[,Root]           both: the document; in In a pointer is optional, a struct is required
//	body                 In: io.Reader, verified while it is read: no io.EOF, no commit. Out: io.ReadCloser
//	bodylen              both: int64, the body's length in bytes, -1 unknown
//	checksums            In: *Checksums, complete once body has returned io.EOF
//	status               Out: int, the status if not 0
//	rawquery             In: string, the query as it travelled, signature and all: never to be logged
//
// uri and query take what header takes. In Out, an empty string, a nil pointer, a zero number or time and
// a nil map send no header. Fields without the tag are left alone; embedded structs are looked into.
//
// An x-amz-checksum-* or x-amz-sdk-checksum-algorithm header is held against the body, unless an In with
// a document declares x-amz-checksum-* headers itself: then they are the operation's own
// (CompleteMultipartUpload's are the object's).
func Op[In, Out any](name string, route Route, fn func(context.Context, policy.Caller, In) (Out, error), opts ...Option) Operation {
	o := Operation{name: name, route: route, status: http.StatusOK, maxBody: DefaultMaxBody,
		newIn: func() any { return new(In) },
		call: func(ctx context.Context, who policy.Caller, in any) (any, error) {
			out, err := fn(ctx, who, *in.(*In))
			return &out, err
		}}
	for _, opt := range opts {
		opt(&o)
	}
	var errIn, errOut error
	o.in, errIn = bind(reflect.TypeFor[In](), false)
	o.out, errOut = bind(reflect.TypeFor[Out](), true)
	if err := errors.Join(errIn, errOut); err != nil {
		o.err = fmt.Errorf("operation %s: %w", name, err)
	}
	return o
}

// Checksums is what a body's verification promises and finds.
type Checksums struct {
	announced []string
	verified  func() []Checksum
}

// Checksum is one verified checksum of a body.
type Checksum struct {
	Algorithm string // CRC32, CRC32C, CRC64NVME, SHA1 or SHA256
	Value     string // base64
}

// Announced lists the algorithms of the checksums that header and trailer promise, before the body is read.
func (c *Checksums) Announced() []string {
	if c == nil {
		return nil
	}
	return c.announced
}

// Verified lists the checksums that were found true; there are none before the body has returned io.EOF.
func (c *Checksums) Verified() []Checksum {
	if c == nil || c.verified == nil {
		return nil
	}
	return c.verified()
}

// Handler serves the services' wire APIs. It is safe for concurrent use.
type Handler struct {
	config   Config
	services []*service
}

// service is a Service with the codec of its protocol and its routes, checked.
type service struct {
	Service
	codec  codec
	routes []*route
	s3     bool
}

// New checks the tables and returns their handler.
func New(c Config) (*Handler, error) {
	switch {
	case c.Credentials == nil:
		return nil, errors.New("awsapi: Config.Credentials is missing")
	case c.Region == "" || c.Account == "":
		return nil, errors.New("awsapi: Config.Region or Config.Account is missing")
	case c.Now == nil || c.Logger == nil:
		return nil, errors.New("awsapi: Config.Now or Config.Logger is missing")
	}
	h := &Handler{config: c}
	for _, s := range c.Services {
		compiled, err := s.compile()
		if err != nil {
			return nil, fmt.Errorf("awsapi: service %s: %w", s.Name, err)
		}
		if slices.ContainsFunc(h.services, func(other *service) bool { return other.Name == s.Name }) {
			return nil, fmt.Errorf("awsapi: service %s is in the list twice", s.Name)
		}
		h.services = append(h.services, compiled)
	}
	return h, nil
}

func (s Service) compile() (*service, error) {
	out := &service{Service: s, s3: s.Name == "s3"}
	if s.Name == "" {
		return nil, errors.New("it has no name")
	}
	switch s.Protocol {
	case RESTXML:
		out.codec = restXML{}
	default:
		return nil, fmt.Errorf("there is no protocol %d", s.Protocol)
	}
	for i := range s.Operations {
		o := &s.Operations[i]
		if o.err != nil {
			return nil, o.err
		}
		r, err := newRoute(o)
		if err != nil {
			return nil, fmt.Errorf("operation %s: %w", o.name, err)
		}
		for _, other := range out.routes {
			if other.op.name == o.name || other.same(r) {
				return nil, fmt.Errorf("operations %s and %s have the same name or route", other.op.name, o.name)
			}
		}
		out.routes = append(out.routes, r)
	}
	return out, nil
}

// Description is one operation of a table, for the compatibility page and for tests.
type Description struct {
	Service, Operation string
	Method, Path       string
	Query, Header      []string // what must be present
	Accepts            []string // the query keys and headers the operation understands besides, sorted
	Document           []byte   // a smallest document that it takes; nil if it takes none
}

// Describe lists the service's operations, sorted by name.
func (s Service) Describe() []Description {
	list := make([]Description, 0, len(s.Operations))
	for _, o := range s.Operations {
		d := Description{Service: s.Name, Operation: o.name, Method: o.route.Method, Path: o.route.Path,
			Query: o.route.Query, Header: o.route.Header}
		if o.in != nil {
			d.Accepts = o.in.accepts()
			if o.in.document != nil {
				d.Document = o.in.document.Smallest(s.Namespace)
			}
		}
		list = append(list, d)
	}
	slices.SortFunc(list, func(x, y Description) int { return strings.Compare(x.Operation, y.Operation) })
	return list
}
