package awsapi_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"postern/internal/sigv4"
)

// socket writes raw bytes to the server and hands back the connection.
func (b *bench) socket(t *testing.T, head string) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(b.server.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, head); err != nil {
		t.Fatal(err)
	}
	return conn, bufio.NewReader(conn)
}

// head is the head of a signed request, to be sent by hand.
func (b *bench) head(t *testing.T, method, target, hash string, more ...string) string {
	t.Helper()
	r, err := http.NewRequest(method, b.server.URL+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	lines := []string{method + " " + target + " HTTP/1.1", "Host: " + r.URL.Host}
	for _, line := range more {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	if err := sigv4.Sign(r, b.key, "us-east-1", "s3", hash, time.Now()); err != nil {
		t.Fatal(err)
	}
	for name, values := range r.Header {
		lines = append(lines, name+": "+values[0])
	}
	return strings.Join(lines, "\r\n") + "\r\n\r\n"
}

// Nobody is told to send a body before it is known who asks and for what; and the connection ends there.
func TestExpectContinueIsRefusedEarly(t *testing.T) {
	b := newBench(t)
	good := b.head(t, "PUT", "/bucket/key", hashOf("hello"), "Content-Length: 5", "Expect: 100-continue")
	for name, head := range map[string]string{
		"bad signature": strings.Replace(good, "Signature=", "Signature=00", 1),
		"unknown key":   strings.Replace(good, "AKIATOY", "AKIANOBODY", 1),
		"anonymous":     "PUT /bucket/key HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
		"unknown":       strings.Replace(good, "/bucket/key", "/bucket/key?acl", 1),
	} {
		conn, r := b.socket(t, head)
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if resp.StatusCode < 400 || resp.StatusCode >= 500 || !resp.Close {
			t.Errorf("%s: %s, close=%t", name, resp.Status, resp.Close)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		if _, err := r.ReadByte(); err != io.EOF {
			t.Errorf("%s: the connection goes on (%v)", name, err)
		}
		_ = conn.Close()
	}
	conn, r := b.socket(t, good)
	line, err := r.ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "HTTP/1.1 100 ") {
		t.Fatalf("%q %v", line, err)
	}
	_, _ = r.ReadString('\n')
	_, _ = io.WriteString(conn, "hello")
	if resp, err := http.ReadResponse(r, nil); err != nil || resp.StatusCode != 200 {
		t.Fatalf("%v %v", resp, err)
	}
	if string(b.bodies["bucket/key"]) != "hello" {
		t.Error("the body was lost")
	}
}

// A client that leaves in the middle of its body leaves nothing behind.
func TestBodyEndsEarly(t *testing.T) {
	b := newBench(t)
	for name, head := range map[string]string{
		"Content-Length": b.head(t, "PUT", "/bucket/key", hashOf("hello"), "Content-Length: 5"),
		"unsigned":       b.head(t, "PUT", "/bucket/key", sigv4.UnsignedPayload, "Content-Length: 5"),
		"chunked":        b.head(t, "PUT", "/bucket/key", sigv4.StreamingUnsignedTrailer, "X-Amz-Decoded-Content-Length: 5", "Content-Length: 30"),
	} {
		conn, r := b.socket(t, head+"hell")
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		text, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != 400 || !strings.Contains(string(text), "<Code>IncompleteBody</Code>") || len(b.objects) != 0 {
			t.Errorf("%s: %s %s", name, resp.Status, text)
		}
	}
	conn, r := b.socket(t, strings.Replace(b.head(t, "PUT", "/bucket/key", sigv4.UnsignedPayload), "Host:", "Transfer-Encoding: chunked\r\nHost:", 1))
	_, _ = io.WriteString(conn, "5\r\nhello\r\n0\r\n\r\n")
	if resp, err := http.ReadResponse(r, nil); err != nil || resp.StatusCode != http.StatusLengthRequired {
		t.Errorf("no length at all: %v %v", resp, err)
	}
}

// A document that is said to be too long is refused without waiting for it, whoever sends it.
func TestLongDocument(t *testing.T) {
	b := newBench(t)
	_, r := b.socket(t, "POST /bucket?delete HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n<")
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if text, _ := io.ReadAll(resp.Body); resp.StatusCode != 400 || !strings.Contains(string(text), "MaxMessageLengthExceeded") {
		t.Errorf("%s %s", resp.Status, text)
	}
	// One that does not say how long it is, is refused when it has become too long.
	conn, r := b.socket(t, strings.Replace(b.head(t, "POST", "/bucket/key?uploadId=u", sigv4.UnsignedPayload), "Host:", "Transfer-Encoding: chunked\r\nHost:", 1))
	_, _ = io.WriteString(conn, "3e9\r\n"+strings.Repeat(" ", 1001)+"\r\n0\r\n\r\n")
	resp, err = http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if text, _ := io.ReadAll(resp.Body); resp.StatusCode != 400 || !strings.Contains(string(text), "MaxMessageLengthExceeded") {
		t.Errorf("%s %s", resp.Status, text)
	}
}

// boto over TLS sends aws-chunked inside HTTP's own chunks.
func TestChunkedInChunked(t *testing.T) {
	b := newBench(t)
	sum := base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte("hello"))))
	head := strings.Replace(b.head(t, "PUT", "/bucket/key", sigv4.StreamingUnsignedTrailer, "X-Amz-Decoded-Content-Length: 5",
		"X-Amz-Trailer: x-amz-checksum-crc32", "Content-Encoding: aws-chunked"), "Host:", "Transfer-Encoding: chunked\r\nHost:", 1)
	inner := "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:" + sum + "\r\n\r\n"
	_, r := b.socket(t, fmt.Sprintf("%s3\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n", head, inner[:3], len(inner)-3, inner[3:]))
	resp, err := http.ReadResponse(r, nil)
	if err != nil || resp.StatusCode != 200 || resp.Header.Get("X-Amz-Checksum-Crc32") != sum {
		t.Fatalf("%v %v", resp, err)
	}
	if o := b.objects["bucket/key"]; string(b.bodies["bucket/key"]) != "hello" || o.Encoding != "" || o.Length != 5 {
		t.Errorf("%+v", o)
	}
}

// botocore keeps the case that it sees in the keys of a user's metadata.
func TestLowerCaseOnTheWire(t *testing.T) {
	b := newBench(t)
	b.objects["bucket/key"] = putInput{Meta: map[string]string{"color": "red"}}
	_, r := b.socket(t, b.head(t, "GET", "/bucket/key", sigv4.EmptyPayload))
	var lines []string
	for {
		line, err := r.ReadString('\n')
		if err != nil || line == "\r\n" {
			break
		}
		lines = append(lines, strings.TrimSpace(line))
	}
	text := strings.Join(lines, "\n")
	for _, want := range []string{"\nx-amz-meta-color: red", "\nx-amz-request-id: ", "\nx-amz-id-2: ", "\nETag: ", "\nContent-Length: 0"} {
		if !strings.Contains(text, want) {
			t.Errorf("the answer lacks %q:\n%s", want, text)
		}
	}
}

// The target in absolute form names the same key.
func TestAbsoluteForm(t *testing.T) {
	b := newBench(t)
	b.objects["bucket/a//b"] = putInput{}
	head := b.head(t, "GET", "/bucket/a//b?response-content-type=x", sigv4.EmptyPayload)
	_, r := b.socket(t, strings.Replace(head, "GET /", "GET http://"+strings.TrimPrefix(b.server.URL, "http://")+"/", 1))
	if resp, err := http.ReadResponse(r, nil); err != nil || resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "x" {
		t.Errorf("%v %v", resp, err)
	}
}

func (b *bench) client(mod ...func(*s3.Options)) *s3.Client {
	return s3.New(s3.Options{BaseEndpoint: aws.String(b.server.URL), Region: "us-east-1", UsePathStyle: true, RetryMaxAttempts: 1,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: b.key.AccessKeyID, SecretAccessKey: string(b.key.Secret)}, nil
		})}, mod...)
}

// aws-sdk-go-v2 is the counterpart: its requests, its readers of answers and errors.
func TestSDK(t *testing.T) {
	b := newBench(t)
	ctx := t.Context()
	c := b.client()
	for _, key := range []string{"a b+c&d=e:f~(g)*'!ü/비용.pdf", "a/../b", "dir//x/"} {
		for _, algorithm := range []types.ChecksumAlgorithm{"", "CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"} {
			for _, size := range []int{0, 5, 100_000} {
				content := bytes.Repeat([]byte("x"), size)
				in := &s3.PutObjectInput{Bucket: aws.String("bucket"), Key: aws.String(key), Body: bytes.NewReader(content),
					ChecksumAlgorithm: algorithm, Metadata: map[string]string{"color": "red"}, ContentType: aws.String("text/x")}
				if _, err := c.PutObject(ctx, in); err != nil {
					t.Fatalf("putting %s with %s, %d bytes: %v", key, algorithm, size, err)
				}
				out, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: in.Bucket, Key: in.Key})
				if err != nil {
					t.Fatal(err)
				}
				got, _ := io.ReadAll(out.Body)
				if !bytes.Equal(got, content) || out.Metadata["color"] != "red" || aws.ToString(out.ContentType) != "text/x" {
					t.Errorf("%s with %s: %d bytes, %v", key, algorithm, len(got), out.Metadata)
				}
			}
		}
	}
	unsigned := s3.WithAPIOptions(v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware)
	if _, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String("bucket"), Key: aws.String("stream"), Body: strings.NewReader("stream")}, unsigned); err != nil {
		t.Errorf("unsigned payload: %v", err)
	}
	list, err := c.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: aws.String("bucket"), Prefix: aws.String("a b+")})
	if err != nil || len(list.Contents) != 1 || aws.ToInt64(list.Contents[0].Size) != 100_000 {
		t.Errorf("listing: %+v %v", list, err)
	}
	deleted, err := c.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: aws.String("bucket"), Delete: &types.Delete{Objects: []types.ObjectIdentifier{{Key: aws.String("a/../b")}, {Key: aws.String("<&>")}}}})
	if err != nil || len(deleted.Deleted) != 2 || aws.ToString(deleted.Deleted[1].Key) != "<&>" {
		t.Errorf("deleting: %+v %v", deleted, err)
	}
	if _, err := c.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String("bucket"), CreateBucketConfiguration: &types.CreateBucketConfiguration{LocationConstraint: "eu-west-1"}}); err != nil {
		t.Errorf("creating a bucket: %v", err)
	}
	_, err = c.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String("bucket"), Key: aws.String("none")})
	var missing *types.NoSuchKey
	if !errors.As(err, &missing) {
		t.Errorf("a missing key: %v", err)
	}
	_, err = b.client(func(o *s3.Options) { o.Region = "eu-west-1" }).GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String("bucket"), Key: aws.String("none")})
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != "AuthorizationHeaderMalformed" {
		t.Errorf("another region: %v", err)
	}
	presign := s3.NewPresignClient(c)
	link, err := presign.PresignPutObject(ctx, &s3.PutObjectInput{Bucket: aws.String("bucket"), Key: aws.String("p"), Metadata: map[string]string{"color": "blue"}})
	if err != nil {
		t.Fatal(err)
	}
	r, _ := http.NewRequest(link.Method, link.URL, strings.NewReader("presigned"))
	for name, values := range link.SignedHeader {
		r.Header[name] = values
	}
	if resp, text := b.do(t, r); resp.StatusCode != 200 || b.objects["bucket/p"].Meta["color"] != "blue" {
		t.Errorf("presigned put: %d %s", resp.StatusCode, text)
	}
}

// Over TLS the SDK sends a stream it cannot rewind as aws-chunked with a trailer.
func TestSDKTrailer(t *testing.T) {
	b := newBench(t)
	tls := httptest.NewTLSServer(b.server.Config.Handler)
	defer tls.Close()
	c := b.client(func(o *s3.Options) { o.BaseEndpoint, o.HTTPClient = aws.String(tls.URL), tls.Client() })
	content := bytes.Repeat([]byte("stream "), 20_000)
	for _, algorithm := range []types.ChecksumAlgorithm{"", "CRC32C", "CRC64NVME", "SHA1", "SHA256"} {
		_, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("bucket"), Key: aws.String("stream"), ChecksumAlgorithm: algorithm,
			Body: io.MultiReader(bytes.NewReader(content)), ContentLength: aws.Int64(int64(len(content)))})
		if err != nil || !bytes.Equal(b.bodies["bucket/stream"], content) || b.objects["bucket/stream"].Encoding != "" {
			t.Errorf("%s: %v, %d bytes", algorithm, err, len(b.bodies["bucket/stream"]))
		}
		if who := b.callers[len(b.callers)-1]; !who.SecureTransport || who.AccessKeyID != b.key.AccessKeyID || who.UserAgent == "" {
			t.Errorf("the caller is %+v", who)
		}
		delete(b.bodies, "bucket/stream")
	}
}

// A bucket in the Host, as the SDK names it with a name for an endpoint.
func TestSDKVirtualHost(t *testing.T) {
	b := newBench(t)
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(b.server.URL, "http://"))
	c := b.client(func(o *s3.Options) {
		o.BaseEndpoint, o.UsePathStyle = aws.String("http://localhost:"+port), false
		o.HTTPClient = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, "127.0.0.1:"+port)
		}}}
	})
	if _, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("bucket"), Key: aws.String("a/b"), Body: strings.NewReader("x")}); err != nil {
		t.Fatal(err)
	}
	if _, ok := b.objects["bucket/a/b"]; !ok {
		t.Errorf("%v", b.objects)
	}
}
