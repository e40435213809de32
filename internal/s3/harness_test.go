package s3_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"postern/internal/audit"
	"postern/internal/audit/audittest"
	"postern/internal/awsapi"
	"postern/internal/policy"
	"postern/internal/s3"
	"postern/internal/s3/objects/local"
	"postern/internal/seal"
	"postern/internal/sigv4"
	"postern/internal/store"
)

// partSize is the least size of a part on the shared server, in bytes.
const partSize = 64 << 10

const (
	account = "123456789012"
	region  = "us-east-1"
	// bucketHost is the name under which buckets are subdomains.
	bucketHost = "s3.postern.test"
)

// common is the server that most tests share, started when the first of them asks.
var common struct {
	sync.Once
	*server
	dir  string
	stop func()
	err  error
}

// shared is the server that most tests use, each with buckets of its own.
func shared(t testing.TB) *server {
	t.Helper()
	common.Do(func() {
		if common.dir, common.err = os.MkdirTemp("", "postern-s3-"); common.err == nil {
			common.server, common.stop, common.err = start(common.dir, serverConfig{minPart: partSize})
		}
	})
	if common.err != nil {
		t.Fatal(common.err)
	}
	return common.server
}

func TestMain(m *testing.M) {
	code := m.Run()
	if common.stop != nil {
		common.stop()
	}
	if common.dir != "" {
		_ = os.RemoveAll(common.dir)
	}
	os.Exit(code)
}

// server is the whole of S3: a real record store, the local object backend, the engine, the wire.
type server struct {
	engine   *s3.Service
	backend  *local.Backend
	records  *store.Store
	recorder *audittest.Recorder
	plain    *httptest.Server
	secure   *httptest.Server
	key      sigv4.Credentials // of the account's root
	stranger sigv4.Credentials // of another account's
	dir      string
	buckets  atomic.Int64
}

type serverConfig struct {
	now     func() time.Time
	decider policy.Decider // policy.Owner if nil
	minPart int64          // S3's 5 MiB if 0
}

// newServer starts a server that is the test's own.
func newServer(t *testing.T, c serverConfig) *server {
	t.Helper()
	s, stop, err := start(t.TempDir(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return s
}

type keyring map[string]awsapi.Credential

func (k keyring) Lookup(_ context.Context, id string) (awsapi.Credential, error) {
	if c, ok := k[id]; ok {
		return c, nil
	}
	return awsapi.Credential{}, fmt.Errorf("looking %s up: %w", id, awsapi.ErrUnknownKey)
}

func start(dir string, c serverConfig) (_ *server, stop func(), err error) {
	var closers []func()
	stop = func() {
		for i := len(closers) - 1; i >= 0; i-- {
			closers[i]()
		}
	}
	defer func() {
		if err != nil {
			stop()
		}
	}()
	if c.now == nil {
		c.now = time.Now
	}
	if c.decider == nil {
		c.decider = policy.Owner{}
	}
	s := &server{dir: dir, recorder: &audittest.Recorder{}}
	logger := slog.New(slog.DiscardHandler)
	if s.records, err = store.Open(context.Background(), store.Config{Dir: filepath.Join(dir, "records"), Logger: logger}); err != nil {
		return nil, nil, err
	}
	closers = append(closers, func() { _ = s.records.Close() })
	if s.backend, err = local.Open(local.Config{Dir: filepath.Join(dir, "objects"), Now: c.now, Logger: logger, MinPartSize: c.minPart}); err != nil {
		return nil, nil, err
	}
	closers = append(closers, func() { _ = s.backend.Close() })
	guard, err := audit.NewGuard(audit.GuardConfig{Decider: c.decider, Writer: s.recorder, Region: region, Now: c.now})
	if err != nil {
		return nil, nil, err
	}
	if s.engine, err = s3.New(s3.Config{Store: s.records, Objects: s.backend, Guard: guard, Account: account, Region: region, Now: c.now}); err != nil {
		return nil, nil, err
	}
	closers = append(closers, s.engine.Close)
	s.key = sigv4.Credentials{AccessKeyID: "AKIA" + rand.Text()[:16], Secret: []byte(rand.Text())}
	s.stranger = sigv4.Credentials{AccessKeyID: "AKIA" + rand.Text()[:16], Secret: []byte(rand.Text())}
	const other = "999999999999"
	h, err := awsapi.New(awsapi.Config{
		Services: []awsapi.Service{s.engine.Table()}, Region: region, Account: account, Now: c.now, Logger: logger,
		BucketHosts: []string{bucketHost},
		Credentials: keyring{
			s.key.AccessKeyID:      {Secret: seal.NewSecret(s.key.Secret), Caller: rootOf(account)},
			s.stranger.AccessKeyID: {Secret: seal.NewSecret(s.stranger.Secret), Caller: rootOf(other)},
		},
	})
	if err != nil {
		return nil, nil, err
	}
	s.plain, s.secure = httptest.NewServer(h), httptest.NewTLSServer(h)
	closers = append(closers, s.plain.Close, s.secure.Close)
	return s, stop, nil
}

func rootOf(account string) policy.Caller {
	return policy.Caller{Kind: policy.Root, ARN: policy.RootARN(account), Account: account}
}

// owner is the account's root, for calls that do not go over the wire.
var owner = rootOf(account)

// bucket makes a bucket with a name of its own.
func (s *server) bucket(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("bucket-%d", s.buckets.Add(1))
	if _, err := s.engine.CreateBucket(t.Context(), owner, s3.CreateBucketInput{Bucket: name}); err != nil {
		t.Fatal(err)
	}
	return name
}

// clientOption changes an SDK client.
type clientOption func(*awss3.Options)

// overTLS makes the client speak to the server's TLS port, where the SDK sends trailers.
func overTLS(s *server) clientOption {
	return func(o *awss3.Options) {
		o.BaseEndpoint = aws.String(s.secure.URL)
		o.HTTPClient = s.secure.Client()
	}
}

// virtualHost makes the client put buckets into the host name. Whatever the name, it reaches the server.
func virtualHost(s *server) clientOption {
	return func(o *awss3.Options) {
		o.UsePathStyle = false
		o.BaseEndpoint = aws.String("http://" + bucketHost)
		o.HTTPClient = &http.Client{Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, network, s.plain.Listener.Addr().String())
			},
		}}
	}
}

// client is an SDK client of the account's root.
func (s *server) client(options ...clientOption) *awss3.Client {
	o := awss3.Options{
		BaseEndpoint: aws.String(s.plain.URL), Region: region, UsePathStyle: true, RetryMaxAttempts: 1,
		HTTPClient: s.plain.Client(),
		// The defaults of a client that is made from a configuration.
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenSupported,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenSupported,
		Credentials:                credentials.NewStaticCredentialsProvider(s.key.AccessKeyID, string(s.key.Secret), ""),
	}
	for _, option := range options {
		option(&o)
	}
	return awss3.New(o)
}

// call is one raw request.
type call struct {
	method string
	path   string // as it travels, with the query
	header map[string]string
	body   string
	key    *sigv4.Credentials // nil is the owner's
	plain  bool               // not signed at all
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

// problem is S3's error document.
type problem struct {
	XMLName xml.Name `xml:"Error"`
	Code    string
	Message string
	Fields  []struct {
		XMLName xml.Name
		Text    string `xml:",chardata"`
	} `xml:",any"`
}

func (a answer) problem(t testing.TB) problem {
	t.Helper()
	var p problem
	if err := xml.Unmarshal([]byte(a.body), &p); err != nil {
		t.Fatalf("%d %q is no error document: %v", a.status, a.body, err)
	}
	return p
}

func (p problem) field(name string) string {
	for _, f := range p.Fields {
		if f.XMLName.Local == name {
			return f.Text
		}
	}
	return ""
}

// do signs and sends a raw request.
func (s *server) do(t testing.TB, c call) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), c.method, s.plain.URL+c.path, strings.NewReader(c.body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range c.header {
		r.Header.Set(name, value)
	}
	if !c.plain {
		key := s.key
		if c.key != nil {
			key = *c.key
		}
		sum := sha256.Sum256([]byte(c.body))
		hash := hex.EncodeToString(sum[:])
		if h := c.header["x-amz-content-sha256"]; h != "" {
			hash = h
		}
		if err := sigv4.Sign(r, key, region, "s3", hash, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	transport := s.plain.Client().Transport.(*http.Transport).Clone()
	transport.DisableCompression = true
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatalf("%s %s: %v", c.method, c.path, err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: reading the answer: %v", c.method, c.path, err)
	}
	return answer{status: resp.StatusCode, header: resp.Header, body: string(body)}
}

// mustStatus sends a raw request whose answer must have a status.
func (s *server) mustStatus(t testing.TB, status int, c call) answer {
	t.Helper()
	a := s.do(t, c)
	if a.status != status {
		t.Fatalf("%s %s answered %d, want %d: %s", c.method, c.path, a.status, status, a.body)
	}
	return a
}

// wantCode holds an SDK error against a code.
func wantCode(t testing.TB, err error, code string) {
	t.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) {
		t.Fatalf("got %v, want the error %s", err, code)
	}
	if api.ErrorCode() != code {
		t.Fatalf("got the error %s (%s), want %s", api.ErrorCode(), api.ErrorMessage(), code)
	}
}

// put stores an object by the SDK.
func (s *server) put(t testing.TB, bucket, key string, body []byte) *awss3.PutObjectOutput {
	t.Helper()
	out, err := s.client().PutObject(t.Context(), &awss3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(body)})
	if err != nil {
		t.Fatalf("putting %q: %v", key, err)
	}
	return out
}

// get reads an object by the SDK.
func (s *server) get(t testing.TB, bucket, key string) []byte {
	t.Helper()
	out, err := s.client().GetObject(t.Context(), &awss3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		t.Fatalf("getting %q: %v", key, err)
	}
	defer func() { _ = out.Body.Close() }()
	body, err := io.ReadAll(out.Body)
	if err != nil {
		t.Fatalf("reading %q: %v", key, err)
	}
	return body
}

// md5Of is the Content-MD5 of a body.
func md5Of(body string) string {
	sum := md5.Sum([]byte(body))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// noise is n bytes that depend on the seed.
func noise(seed, n int) []byte {
	b := make([]byte, n)
	x := uint32(seed)*2654435761 + 1
	for i := range b {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		b[i] = byte(x)
	}
	return b
}

// blobs counts the files that the backend keeps objects in.
func (s *server) blobs(t testing.TB) int {
	t.Helper()
	n := 0
	err := filepath.WalkDir(filepath.Join(s.dir, "objects"), func(_ string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && filepath.Ext(d.Name()) == "" {
			n++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// bucketID is the id by which the object backend knows a bucket.
func (s *server) bucketID(t testing.TB, bucket string) string {
	t.Helper()
	r, err := s.records.Get(context.Background(), bucketRecords+bucket)
	if err != nil {
		t.Fatal(err)
	}
	var record struct{ ID string }
	if err := json.Unmarshal(r.Value, &record); err != nil {
		t.Fatal(err)
	}
	return record.ID
}

// signUnsigned signs a request without its body.
func signUnsigned(t testing.TB, r *http.Request, key sigv4.Credentials) {
	t.Helper()
	if err := sigv4.Sign(r, key, region, "s3", "UNSIGNED-PAYLOAD", time.Now()); err != nil {
		t.Fatal(err)
	}
}
