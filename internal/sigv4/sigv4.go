// Package sigv4 signs and verifies AWS signatures: Signature Version 4 in the Authorization header and
// in the query (presigned), the SigV2 query form that older tools still print for S3 links, and the
// aws-chunked bodies that carry a signature a chunk, a trailer, or both. It holds no keys and keeps no
// state: it works on an *http.Request exactly as it travelled, so that what is verified is what is used.
//
// Law: docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html and
// docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html.
package sigv4

import (
	"fmt"
	"net/http"
	"time"
)

// Limits of the protocol.
const (
	// MaxSkew is how far a request's time may be from ours, either way.
	MaxSkew = 15 * time.Minute
	// MaxExpires is the longest life of a presigned request.
	MaxExpires = 7 * 24 * time.Hour
)

// Values of x-amz-content-sha256 that are not a hash.
const (
	UnsignedPayload          = "UNSIGNED-PAYLOAD"
	StreamingPayload         = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	StreamingPayloadTrailer  = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
	StreamingUnsignedTrailer = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	// EmptyPayload is the hash of no bytes.
	EmptyPayload = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

// Credentials sign requests. Their text form shows the access key id only.
type Credentials struct {
	AccessKeyID  string
	Secret       []byte
	SessionToken string // empty for a long-term key
}

// String implements fmt.Stringer without the secret.
func (c Credentials) String() string { return "credentials of " + c.AccessKeyID }

// GoString implements fmt.GoStringer without the secret.
func (c Credentials) GoString() string { return c.String() }

// Format implements fmt.Formatter, so that no verb prints the secret.
func (c Credentials) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(c.String())) }

// Error is a refusal, with S3's code, status and text
// (docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html). It never holds a secret or a signature.
type Error struct {
	Status  int
	Code    string
	Message string
	// Fields are the further elements of the answer, such as ServerTime.
	Fields map[string]string
}

// Error implements error.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

// AWSErrorCode is the code, for audit.
func (e *Error) AWSErrorCode() string { return e.Code }

// Kind tells how a request is signed.
type Kind uint8

const (
	// None is a request without any signature.
	None Kind = iota
	// Header is Signature Version 4 in the Authorization header.
	Header
	// Query is a presigned Signature Version 4 request.
	Query
	// QueryV2 is a presigned Signature Version 2 request: GET and HEAD on S3 only.
	QueryV2
)

// Auth is what a request says about its own signature; nothing in it is verified until [Auth.Verify].
type Auth struct {
	Kind         Kind
	AccessKeyID  string
	Region       string // of the credential scope; empty for QueryV2
	Service      string // of the credential scope; "s3" for QueryV2
	SessionToken string
	Time         time.Time     // zero for QueryV2
	Expires      time.Duration // of a presigned request; 0 for Header and QueryV2

	date          string   // of the scope, yyyymmdd
	signedHeaders []string // as given: lower case, sorted
	signature     []byte
	expiresAt     time.Time // QueryV2
}

// Rules are what the service that a request is for demands of its signature.
type Rules struct {
	// Region the scope must name; empty means any (CloudFront's clients send their own region).
	Region string
	// Service the scope must name.
	Service string
	// S3 selects S3's canonical form: the path encoded once and never normalised, x-amz-content-sha256
	// required, unsigned and streaming payloads allowed.
	S3 bool
	// Bucket is the bucket that the Host named (virtual-host style), for SigV2's canonical resource.
	Bucket string
	Now    time.Time
}

// Sign puts an Authorization header on r: every header r has, but those that proxies change, is signed.
// payloadHash is the lower-case hex SHA-256 of the body, or [UnsignedPayload]. For service "s3" the
// path is encoded once, for others twice.
func Sign(r *http.Request, c Credentials, region, service, payloadHash string, now time.Time) error {
	return fmt.Errorf("signing: not built yet")
}

// Presign returns r's URL with a signature in the query, good for expires (1 s to [MaxExpires]) from now.
func Presign(r *http.Request, c Credentials, region, service string, expires time.Duration, now time.Time) (string, error) {
	return "", fmt.Errorf("presigning: not built yet")
}

// Parse reads how r says it is signed. An unsigned request is an Auth of Kind [None], not an error.
// Errors are *[Error].
func Parse(r *http.Request) (*Auth, error) { return &Auth{}, nil }

// Verify checks the signature over r with the secret of a.AccessKeyID, and says what the body must be.
// It reads no body. Errors are *[Error].
func (a *Auth) Verify(r *http.Request, secret []byte, rules Rules) (*Payload, error) {
	return nil, &Error{Status: http.StatusForbidden, Code: "SignatureDoesNotMatch"}
}

// Payload is what a verified request has promised about its body.
type Payload struct{}

// Unsigned is the payload of an unsigned request: only its checksums can be held.
func Unsigned(r *http.Request) (*Payload, error) { return &Payload{}, nil }

// Body is a request's body, de-chunked. Read returns io.EOF only when everything promised about the
// body has been found true; until then what it returned must not be committed.
type Body struct{}

// Open starts reading r's body.
func (p *Payload) Open(r *http.Request) *Body { return &Body{} }

// Read implements io.Reader. Errors about the bytes are *[Error].
func (b *Body) Read(p []byte) (int, error) { return 0, &Error{Status: 400, Code: "IncompleteBody"} }

// Length is the decoded length in bytes, -1 if unknown.
func (b *Body) Length() int64 { return -1 }

// Checksums are the checksums that were promised in header or trailer and found true; they are
// complete once Read has returned io.EOF. Content-MD5 is not among them.
func (b *Body) Checksums() []Checksum { return nil }

// Checksum is one verified checksum.
type Checksum struct {
	Algorithm string // CRC32, CRC32C, CRC64NVME, SHA1 or SHA256
	Value     string // base64
}
