package awsapi_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/internal/audit"
	"postern/internal/awsapi"
	"postern/internal/awsapi/awsapitest"
	"postern/internal/policy"
	"postern/internal/seal"
	"postern/internal/sigv4"
)

const account = "123456789012"

// toy is an engine with S3's shapes: objects in a map, decided on by policy.Owner.
type toy struct {
	mu      sync.Mutex
	objects map[string]putInput
	bodies  map[string][]byte
	callers []policy.Caller
}

type Conditions struct {
	IfMatch string `aws:"header,If-Match"`
}

type putInput struct {
	Bucket      string            `aws:"uri,Bucket"`
	Key         string            `aws:"uri,Key"`
	ContentType string            `aws:"header,Content-Type"`
	Encoding    string            `aws:"header,Content-Encoding"`
	ACL         *string           `aws:"header,x-amz-acl"`
	Meta        map[string]string `aws:"headers,x-amz-meta-"`
	Length      int64             `aws:"bodylen"`
	Body        io.Reader         `aws:"body"`
	Sums        *awsapi.Checksums `aws:"checksums"`
	Conditions
}

type putOutput struct {
	ETag     string `aws:"header,ETag"`
	Checksum string `aws:"header,x-amz-checksum-crc32"`
}

type keyInput struct {
	Bucket string `aws:"uri,Bucket"`
	Key    string `aws:"uri,Key"`
	Range  string `aws:"header,Range"`
	Mode   string `aws:"header,x-amz-checksum-mode"`
	Type   string `aws:"query,response-content-type"`
}

type objectOutput struct {
	Status      int               `aws:"status"`
	ContentType string            `aws:"header,Content-Type"`
	Modified    time.Time         `aws:"header,Last-Modified"`
	ETag        string            `aws:"header,ETag"`
	Meta        map[string]string `aws:"headers,x-amz-meta-"`
	Length      int64             `aws:"bodylen"`
	Body        io.ReadCloser     `aws:"body"`
}

type listInput struct {
	Bucket   string  `aws:"uri,Bucket"`
	Prefix   *string `aws:"query,prefix"`
	MaxKeys  int     `aws:"query,max-keys"`
	Encoding string  `aws:"query,encoding-type"`
}

type ListBucketResult struct {
	Name     string
	Prefix   string
	KeyCount int
	Contents []struct {
		Key  string
		Size int64
	}
	IsTruncated bool
}

type listOutput struct {
	Result ListBucketResult `aws:"xml"`
}

type deleteInput struct {
	Bucket string `aws:"uri,Bucket"`
	Delete struct {
		Object []struct {
			Key string
		}
		Quiet *bool
	} `aws:"xml,Delete"`
}

type deleteOutput struct {
	Result struct {
		Deleted []struct{ Key string }
	} `aws:"xml,DeleteResult"`
}

type bucketInput struct {
	Bucket string `aws:"uri,Bucket"`
	Config *struct {
		LocationConstraint string
	} `aws:"xml,CreateBucketConfiguration"`
}

type completeInput struct {
	Bucket   string `aws:"uri,Bucket"`
	Key      string `aws:"uri,Key"`
	UploadID string `aws:"query,uploadId"`
	Sum      string `aws:"header,x-amz-checksum-crc32"`
	Parts    struct {
		Part []struct {
			PartNumber int
			ETag       string
		}
	} `aws:"xml,CompleteMultipartUpload"`
}

func (s *toy) may(who policy.Caller, action, bucket string) error {
	s.mu.Lock()
	s.callers = append(s.callers, who)
	s.mu.Unlock()
	req := policy.Request{Action: action, Resource: "arn:aws:s3:::" + bucket, ResourceAccount: account}
	if d := (policy.Owner{}).Decide(context.Background(), who, req); !d.Allowed {
		return &audit.Denied{Caller: who, Request: req, Reason: d.Reason}
	}
	return nil
}

func (s *toy) PutObject(_ context.Context, who policy.Caller, in putInput) (putOutput, error) {
	if err := s.may(who, "s3:PutObject", in.Bucket); err != nil {
		return putOutput{}, err
	}
	body, err := io.ReadAll(in.Body)
	if err != nil {
		return putOutput{}, fmt.Errorf("reading the object: %w", err)
	}
	if int64(len(body)) != in.Length {
		return putOutput{}, fmt.Errorf("the length was said to be %d, and is %d", in.Length, len(body))
	}
	out := putOutput{ETag: `"etag"`}
	for _, sum := range in.Sums.Verified() {
		if sum.Algorithm == "CRC32" {
			out.Checksum = sum.Value
		}
	}
	in.Body, in.Sums = nil, nil
	s.mu.Lock()
	defer s.mu.Unlock()
	s.objects[in.Bucket+"/"+in.Key], s.bodies[in.Bucket+"/"+in.Key] = in, body
	return out, nil
}

func (s *toy) GetObject(_ context.Context, who policy.Caller, in keyInput) (objectOutput, error) {
	if err := s.may(who, "s3:GetObject", in.Bucket); err != nil {
		return objectOutput{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	object, ok := s.objects[in.Bucket+"/"+in.Key]
	body := s.bodies[in.Bucket+"/"+in.Key]
	switch {
	case !ok:
		return objectOutput{}, &awsapi.Error{Status: 404, Code: "NoSuchKey", Message: "The specified key does not exist.", Fields: map[string]string{"Key": in.Key}}
	case in.Key == "panic":
		panic("the engine fell over")
	case in.Key == "secret-failure":
		return objectOutput{}, fmt.Errorf("the disk of the operator is on fire")
	case in.Key == "short":
		return objectOutput{Length: int64(len(body)) + 5, Body: io.NopCloser(bytes.NewReader(body))}, nil
	case in.Key == "unchanged":
		return objectOutput{Status: 304, ETag: `"etag"`, ContentType: "text/plain"}, nil
	}
	out := objectOutput{ContentType: object.ContentType, ETag: `"etag"`, Meta: object.Meta, Modified: time.Unix(1e9, 0)}
	if in.Type != "" {
		out.ContentType = in.Type
	}
	if in.Range != "" {
		out.Status, body = 206, body[:1]
	}
	out.Length, out.Body = int64(len(body)), io.NopCloser(bytes.NewReader(body))
	return out, nil
}

func (s *toy) ListObjectsV2(_ context.Context, who policy.Caller, in listInput) (out listOutput, err error) {
	if err := s.may(who, "s3:ListBucket", in.Bucket); err != nil {
		return out, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out.Result.Name = in.Bucket
	for _, name := range slices.Sorted(maps.Keys(s.objects)) {
		if key, ok := strings.CutPrefix(name, in.Bucket+"/"); ok && (in.Prefix == nil || strings.HasPrefix(key, *in.Prefix)) {
			out.Result.Contents = append(out.Result.Contents, struct {
				Key  string
				Size int64
			}{key, int64(len(s.bodies[name]))})
		}
	}
	out.Result.KeyCount = len(out.Result.Contents)
	return out, nil
}

func (s *toy) DeleteObjects(_ context.Context, who policy.Caller, in deleteInput) (out deleteOutput, err error) {
	if err := s.may(who, "s3:DeleteObject", in.Bucket); err != nil {
		return out, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range in.Delete.Object {
		delete(s.objects, in.Bucket+"/"+o.Key)
		out.Result.Deleted = append(out.Result.Deleted, struct{ Key string }{o.Key})
	}
	return out, nil
}

type nothing struct{}

func (s *toy) CreateBucket(_ context.Context, who policy.Caller, in bucketInput) (nothing, error) {
	return nothing{}, s.may(who, "s3:CreateBucket", in.Bucket)
}

func (s *toy) DeleteBucket(_ context.Context, who policy.Caller, in struct {
	Bucket string `aws:"uri,Bucket"`
}) (nothing, error) {
	return nothing{}, s.may(who, "s3:DeleteBucket", in.Bucket)
}

func (s *toy) Complete(_ context.Context, who policy.Caller, in completeInput) (out struct {
	Sum string `aws:"header,x-amz-checksum-crc32"`
}, err error) {
	out.Sum = in.Sum
	return out, s.may(who, "s3:PutObject", in.Bucket)
}

// unread answers yes without reading its body.
func (s *toy) unread(context.Context, policy.Caller, putInput) (nothing, error) {
	return nothing{}, nil
}

func (s *toy) table() awsapi.Service {
	return awsapi.Service{Name: "s3", Protocol: awsapi.RESTXML, Namespace: "http://s3.amazonaws.com/doc/2006-03-01/", Anonymous: true,
		Operations: []awsapi.Operation{
			awsapi.Op("PutObject", awsapi.Route{Method: "PUT", Path: "/{Bucket}/{Key+}"}, s.PutObject),
			awsapi.Op("GetObject", awsapi.Route{Method: "GET", Path: "/{Bucket}/{Key+}"}, s.GetObject),
			awsapi.Op("HeadObject", awsapi.Route{Method: "HEAD", Path: "/{Bucket}/{Key+}"}, s.GetObject),
			awsapi.Op("ListObjectsV2", awsapi.Route{Method: "GET", Path: "/{Bucket}", Query: []string{"list-type=2"}}, s.ListObjectsV2),
			awsapi.Op("DeleteObjects", awsapi.Route{Method: "POST", Path: "/{Bucket}", Query: []string{"delete"}}, s.DeleteObjects),
			awsapi.Op("CreateBucket", awsapi.Route{Method: "PUT", Path: "/{Bucket}"}, s.CreateBucket),
			awsapi.Op("DeleteBucket", awsapi.Route{Method: "DELETE", Path: "/{Bucket}"}, s.DeleteBucket, awsapi.Status(204)),
			awsapi.Op("CompleteMultipartUpload", awsapi.Route{Method: "POST", Path: "/{Bucket}/{Key+}", Query: []string{"uploadId"}}, s.Complete, awsapi.MaxBody(1000)),
		}}
}

// edge is a toy with CloudFront's shapes.
func (s *toy) cloudfront() awsapi.Service {
	type PublicKeyConfig struct {
		Name, EncodedKey string
		Items            []string `xml:"Items>Name,omitempty"`
	}
	type PublicKey struct {
		Id              string
		PublicKeyConfig PublicKeyConfig
	}
	type output struct {
		Location  string    `aws:"header,Location"`
		ETag      string    `aws:"header,ETag"`
		PublicKey PublicKey `aws:"xml"`
	}
	return awsapi.Service{Name: "cloudfront", Protocol: awsapi.RESTXML, Namespace: "http://cloudfront.amazonaws.com/doc/2020-05-31/",
		AnyRegion: true, PathPrefix: "/2020-05-31/", Operations: []awsapi.Operation{
			awsapi.Op("CreatePublicKey", awsapi.Route{Method: "POST", Path: "/2020-05-31/public-key"},
				func(_ context.Context, who policy.Caller, in struct {
					Config PublicKeyConfig `aws:"xml"`
				}) (out output, err error) {
					out = output{ETag: "E1", Location: "https://cloudfront.amazonaws.com/2020-05-31/public-key/K1", PublicKey: PublicKey{"K1", in.Config}}
					return out, s.may(who, "cloudfront:CreatePublicKey", "public-key")
				}, awsapi.Status(201)),
			awsapi.Op("GetPublicKey", awsapi.Route{Method: "GET", Path: "/2020-05-31/public-key/{Id}"},
				func(_ context.Context, who policy.Caller, in struct {
					Id string `aws:"uri,Id"`
				}) (out output, err error) {
					return output{PublicKey: PublicKey{Id: in.Id}}, s.may(who, "cloudfront:GetPublicKey", in.Id)
				}),
		}}
}

// bench is a running pipeline over both toys.
type bench struct {
	*toy
	server *httptest.Server
	now    time.Time // of the server; the wall clock if zero
	key    sigv4.Credentials
	keys   map[string]awsapi.Credential
	log    *safeBuffer
	counts *counter
}

type safeBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}

type counter struct {
	mu   sync.Mutex
	seen []string
}

func (c *counter) Request(service, operation string, status int, _ time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen = append(c.seen, fmt.Sprint(service, " ", operation, " ", status))
}

func (b *bench) Lookup(_ context.Context, id string) (awsapi.Credential, error) {
	if c, ok := b.keys[id]; ok {
		return c, nil
	}
	return awsapi.Credential{}, awsapi.ErrUnknownKey
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{toy: &toy{objects: map[string]putInput{}, bodies: map[string][]byte{}}, log: &safeBuffer{}, counts: &counter{},
		key: sigv4.Credentials{AccessKeyID: "AKIATOY", Secret: []byte(rand.Text())}}
	owner := policy.Caller{Kind: policy.Root, ARN: policy.RootARN(account), Account: account}
	b.keys = map[string]awsapi.Credential{b.key.AccessKeyID: {Secret: seal.NewSecret(b.key.Secret), Caller: owner},
		"ASIATOY": {Secret: seal.NewSecret(b.key.Secret), SessionToken: "token+/=", Caller: owner}}
	h, err := awsapi.New(awsapi.Config{Services: []awsapi.Service{b.table(), b.cloudfront()}, Credentials: b, Region: "us-east-1", Account: account,
		Now: func() time.Time {
			if b.now.IsZero() {
				return time.Now()
			}
			return b.now
		}, Logger: slog.New(slog.NewJSONHandler(b.log, nil)), Metrics: b.counts, BucketHosts: []string{"s3.example.net", "s3.localhost"}})
	if err != nil {
		t.Fatal(err)
	}
	b.server = httptest.NewServer(h)
	t.Cleanup(b.server.Close)
	return b
}

// send signs and sends a request, and reads the answer.
func (b *bench) send(t *testing.T, method, target string, body string, header map[string]string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest(method, b.server.URL+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range header {
		r.Header[name] = []string{value}
	}
	if err := sigv4.Sign(r, b.key, "us-east-1", "s3", hashOf(body), time.Now()); err != nil {
		t.Fatal(err)
	}
	return b.do(t, r)
}

func (b *bench) do(t *testing.T, r *http.Request) (*http.Response, string) {
	t.Helper()
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(text)
}

func TestStrangers(t *testing.T) {
	s := &toy{objects: map[string]putInput{}, bodies: map[string][]byte{}}
	awsapitest.Strangers(t, s.table())
	awsapitest.Strangers(t, s.cloudfront())
}
