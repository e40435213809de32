package awsapi_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/internal/awsapi"
	"postern/internal/policy"
	"postern/internal/sigv4"
)

var discard = slog.New(slog.DiscardHandler)

func hashOf(body string) string {
	sum := sha256.Sum256([]byte(body))
	return hex.EncodeToString(sum[:])
}

// Keys come back byte for byte: decoded once, never cleaned.
func TestKeysAreRaw(t *testing.T) {
	b := newBench(t)
	for raw, key := range map[string]string{
		"plain.txt": "plain.txt", "a/../b": "a/../b", "../../etc": "../../etc", "a//b": "a//b", "/lead": "/lead", "/": "/",
		"dir/": "dir/", "a+b": "a+b", "a%2Bb": "a+b", "a%20b": "a b", "%2e%2e/x": "../x", "a%2Fb": "a/b", "a%252Fb": "a%2Fb",
		"%EB%B9%84%EC%9A%A9": "비용", "./x": "./x", "q%3Fx": "q?x", "a;b": "a;b", "~!*'()": "~!*'()",
		strings.Repeat("k", 1024): strings.Repeat("k", 1024),
	} {
		resp, text := b.send(t, "PUT", "/bucket/"+raw, "body", nil)
		if resp.StatusCode != 200 {
			t.Errorf("putting %s: %d %s", raw, resp.StatusCode, text)
			continue
		}
		if _, ok := b.objects["bucket/"+key]; !ok {
			t.Errorf("%s did not become the key %q", raw, key)
		}
		if resp, text := b.send(t, "GET", "/bucket/"+raw, "", nil); resp.StatusCode != 200 || text != "body" {
			t.Errorf("getting %s: %d %s", raw, resp.StatusCode, text)
		}
		delete(b.objects, "bucket/"+key)
	}
	if resp, text := b.send(t, "PUT", "/bucket/"+strings.Repeat("k", 1025), "", nil); resp.StatusCode != 400 || !strings.Contains(text, "KeyTooLongError") {
		t.Errorf("a key of 1025 bytes: %d %s", resp.StatusCode, text)
	}
	if resp, text := b.send(t, "PUT", "/bucket/%ff", "", nil); resp.StatusCode != 400 || !strings.Contains(text, "InvalidURI") {
		t.Errorf("a key that is not UTF-8: %d %s", resp.StatusCode, text)
	}
}

func TestBucketInHost(t *testing.T) {
	b := newBench(t)
	for host, want := range map[string]string{
		"b1.localhost:4566": "b1", "b1.s3.amazonaws.com": "b1", "my.b1.s3.eu-west-1.amazonaws.com": "my.b1", "b1.s3-eu-west-1.amazonaws.com": "b1",
		"b1.s3.dualstack.eu-west-1.amazonaws.com": "b1", "B1.S3.Example.NET": "b1", "b1.s3.localhost": "b1", "a.s3.s3.amazonaws.com": "a.s3",
	} {
		r, _ := http.NewRequest("PUT", b.server.URL+"/dir//key", strings.NewReader("x"))
		r.Host = host
		if err := sigv4.Sign(r, b.key, "us-east-1", "s3", hashOf("x"), time.Now()); err != nil {
			t.Fatal(err)
		}
		resp, text := b.do(t, r)
		if _, ok := b.objects[want+"/dir//key"]; resp.StatusCode != 200 || !ok {
			t.Errorf("host %s: %d %s; %v", host, resp.StatusCode, text, b.objects)
		}
		clear(b.objects)
	}
	for _, host := range []string{"127.0.0.1:4566", "[::1]:4566", "localhost", "s3.localhost", "s3.amazonaws.com", "s3.eu-west-1.amazonaws.com", "s3.example.net", "elsewhere.example.org"} {
		r, _ := http.NewRequest("PUT", b.server.URL+"/bucket/key", strings.NewReader("x"))
		r.Host = host
		if err := sigv4.Sign(r, b.key, "us-east-1", "s3", hashOf("x"), time.Now()); err != nil {
			t.Fatal(err)
		}
		resp, text := b.do(t, r)
		if _, ok := b.objects["bucket/key"]; resp.StatusCode != 200 || !ok {
			t.Errorf("host %s: %d %s; %v", host, resp.StatusCode, text, b.objects)
		}
		clear(b.objects)
	}
}

// Whatever the table does not know is refused at once, with a 4xx, and never becomes the plain operation.
func TestUnknownIsRefused(t *testing.T) {
	b := newBench(t)
	b.objects["bucket/key"] = putInput{}
	for _, c := range []struct {
		method, target string
		header         map[string]string
		status         int
		code           string
	}{
		{"GET", "/bucket/key?acl", nil, 400, "NotImplemented"},
		{"GET", "/bucket/key?versionId=1", nil, 400, "NotImplemented"},
		{"DELETE", "/bucket?somethingNew", nil, 400, "NotImplemented"},
		{"PUT", "/bucket?policy", nil, 400, "NotImplemented"},
		{"GET", "/bucket", nil, 400, "NotImplemented"},
		{"GET", "/bucket?list-type=3", nil, 400, "NotImplemented"},
		{"POST", "/bucket/key", nil, 400, "NotImplemented"},
		{"PATCH", "/bucket/key", nil, 405, "MethodNotAllowed"},
		{"GET", "/", nil, 400, "NotImplemented"},
		{"PUT", "/bucket/key", map[string]string{"X-Amz-Server-Side-Encryption-Customer-Key": "a2V5"}, 400, "NotImplemented"},
		{"PUT", "/bucket/key", map[string]string{"X-Amz-Checksum-Sha512": "a2V5"}, 400, "NotImplemented"},
		{"PUT", "/bucket/key", map[string]string{"X-Amz-Object-Lock-Mode": "GOVERNANCE"}, 400, "NotImplemented"},
		{"GET", "/bucket?list-type=2&max-keys=x", nil, 400, "InvalidArgument"},
		{"GET", "/bucket?list-type=2&prefix=a&prefix=b", nil, 400, "InvalidArgument"},
		{"GET", "/bucket?%zz", nil, 400, "InvalidURI"},
		{"GET", "/bucket/key?" + strings.Repeat("a", 17000), nil, 414, "RequestURITooLong"},
	} {
		resp, text := b.send2(t, c.method, c.target, c.header)
		if resp.StatusCode != c.status || !strings.Contains(text, "<Code>"+c.code+"</Code>") {
			t.Errorf("%s %.60s %v: %d %s, want %d %s", c.method, c.target, c.header, resp.StatusCode, text, c.status, c.code)
		}
	}
	if resp, _ := b.send2(t, "PATCH", "/bucket/key", nil); resp.Header.Get("Allow") != "GET, HEAD, POST, PUT" {
		t.Errorf("Allow: %s", resp.Header.Get("Allow"))
	}
	if resp, text := b.send2(t, "GET", "/bucket/key?x-id=GetObject", nil); resp.StatusCode != 200 {
		t.Errorf("x-id: %d %s", resp.StatusCode, text)
	}
	if resp, text := b.send2(t, "DELETE", "/bucket/", nil); resp.StatusCode != 204 {
		t.Errorf("a slash after the bucket: %d %s", resp.StatusCode, text)
	}
}

// send2 is send for targets that sigv4.Sign cannot read.
func (b *bench) send2(t *testing.T, method, target string, header map[string]string) (*http.Response, string) {
	t.Helper()
	if strings.Contains(target, "%zz") {
		r, _ := http.NewRequest(method, b.server.URL+target, nil)
		return b.do(t, r)
	}
	return b.send(t, method, target, "", header)
}

// The most specific operation wins, wherever it stands in the table.
func TestSpecificity(t *testing.T) {
	named := func(name string, route awsapi.Route) awsapi.Operation {
		return awsapi.Op(name, route, func(_ context.Context, _ policy.Caller, in struct {
			Bucket string `aws:"uri,Bucket"`
			Prefix string `aws:"query,prefix"`
		}) (out struct {
			Name string `aws:"header,X-Name"`
		}, err error) {
			out.Name = name
			return out, nil
		})
	}
	table := []awsapi.Operation{
		named("plain", awsapi.Route{Method: "GET", Path: "/{Bucket}"}),
		named("key", awsapi.Route{Method: "GET", Path: "/{Bucket}", Query: []string{"list-type"}}),
		named("value", awsapi.Route{Method: "GET", Path: "/{Bucket}", Query: []string{"list-type=2"}}),
		named("two keys", awsapi.Route{Method: "GET", Path: "/{Bucket}", Query: []string{"list-type", "versions"}}),
		named("header", awsapi.Route{Method: "GET", Path: "/{Bucket}", Header: []string{"x-amz-copy-source"}}),
	}
	for range 2 {
		slices.Reverse(table)
		b := newBench(t)
		h, err := awsapi.New(awsapi.Config{Services: []awsapi.Service{{Name: "s3", Protocol: awsapi.RESTXML, Operations: table}},
			Credentials: b, Region: "us-east-1", Account: account, Now: time.Now, Logger: discard})
		if err != nil {
			t.Fatal(err)
		}
		b.server.Config.Handler = h
		for query, want := range map[string]string{"": "plain", "?prefix=x": "plain", "?list-type=1": "key", "?list-type=2": "value", "?versions&list-type=2": "two keys"} {
			if resp, text := b.send(t, "GET", "/bucket"+query, "", nil); resp.Header.Get("X-Name") != want {
				t.Errorf("%s: %s instead of %s (%d %s)", query, resp.Header.Get("X-Name"), want, resp.StatusCode, text)
			}
		}
		if resp, _ := b.send(t, "GET", "/bucket", "", map[string]string{"X-Amz-Copy-Source": "a/b"}); resp.Header.Get("X-Name") != "header" {
			t.Errorf("a header: %s", resp.Header.Get("X-Name"))
		}
	}
}

func TestErrorsOfS3(t *testing.T) {
	b := newBench(t)
	resp, text := b.send(t, "GET", "/bucket/no<key>", "", nil)
	id := resp.Header.Get("X-Amz-Request-Id")
	want := `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message><Key>no&lt;key&gt;</Key>` +
		`<Resource>/bucket/no%3Ckey%3E</Resource><RequestId>` + id + `</RequestId><HostId>` + resp.Header.Get("X-Amz-Id-2") + `</HostId></Error>`
	if resp.StatusCode != 404 || text != want || len(id) != 16 || resp.Header.Get("Content-Type") != "application/xml" || resp.Header.Get("Server") != "AmazonS3" {
		t.Errorf("%d %v\n%s\n%s", resp.StatusCode, resp.Header, text, want)
	}
	r, _ := http.NewRequest("GET", b.server.URL+"/bucket/key", nil)
	if resp, text := b.do(t, r); resp.StatusCode != 403 || !strings.Contains(text, "<Code>AccessDenied</Code><Message>Access Denied</Message>") {
		t.Errorf("anonymous: %d %s", resp.StatusCode, text)
	}
	if who := b.callers[len(b.callers)-1]; who.Kind != policy.Anonymous || who.SourceIP != "127.0.0.1" || who.RequestID == "" {
		t.Errorf("the anonymous caller is %+v", who)
	}
	resp, text = b.send(t, "HEAD", "/bucket/nokey", "", nil)
	if resp.StatusCode != 404 || text != "" {
		t.Errorf("HEAD: %d %s", resp.StatusCode, text)
	}
}

func TestErrorsOfCloudFront(t *testing.T) {
	b := newBench(t)
	send := func(method, path, region, body string, edit func(*http.Request)) (*http.Response, string) {
		r, _ := http.NewRequest(method, b.server.URL+path, strings.NewReader(body))
		if err := sigv4.Sign(r, b.key, region, "cloudfront", hashOf(body), time.Now()); err != nil {
			t.Fatal(err)
		}
		if edit != nil {
			edit(r)
		}
		return b.do(t, r)
	}
	document := `<?xml version="1.0"?><PublicKeyConfig xmlns="http://cloudfront.amazonaws.com/doc/2020-05-31/"><EncodedKey>pem</EncodedKey><Items><Name>x</Name><Name>y</Name></Items><Name>n</Name></PublicKeyConfig>`
	resp, text := send("POST", "/2020-05-31/public-key", "ap-northeast-2", document, nil)
	want := `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<PublicKey xmlns="http://cloudfront.amazonaws.com/doc/2020-05-31/"><Id>K1</Id><PublicKeyConfig><Name>n</Name><EncodedKey>pem</EncodedKey><Items><Name>x</Name><Name>y</Name></Items></PublicKeyConfig></PublicKey>`
	if resp.StatusCode != 201 || text != want || resp.Header.Get("Etag") != "E1" || resp.Header.Get("Content-Type") != "text/xml" || resp.Header.Get("X-Amzn-Requestid") == "" {
		t.Errorf("%d %v\n%s\n%s", resp.StatusCode, resp.Header, text, want)
	}
	for _, c := range []struct {
		name, method, path, body string
		edit                     func(*http.Request)
		status                   int
		code                     string
	}{
		{"no signature", "GET", "/2020-05-31/public-key/K1", "", func(r *http.Request) { r.Header.Del("Authorization") }, 403, "MissingAuthenticationToken"},
		{"unreadable signature", "GET", "/2020-05-31/public-key/K1", "", func(r *http.Request) { r.Header.Set("Authorization", "AWS4-HMAC-SHA256 x") }, 400, "IncompleteSignature"},
		{"another body", "POST", "/2020-05-31/public-key", "", func(r *http.Request) { *r = *withBody(r, document) }, 403, "SignatureDoesNotMatch"},
		{"unknown path", "GET", "/2020-05-31/nothing", "", nil, 400, "NotImplemented"},
		{"no document", "POST", "/2020-05-31/public-key", "", nil, 400, "MissingRequestBodyError"},
		{"not a document", "POST", "/2020-05-31/public-key", "<a", nil, 400, "MalformedXML"},
		{"another document", "POST", "/2020-05-31/public-key", "<KeyGroupConfig/>", nil, 400, "MalformedXML"},
	} {
		resp, text := send(c.method, c.path, "us-east-1", c.body, c.edit)
		if resp.StatusCode != c.status || !strings.Contains(text, `<ErrorResponse xmlns="http://cloudfront.amazonaws.com/doc/2020-05-31/"><Error><Type>Sender</Type><Code>`+c.code+`</Code>`) ||
			!strings.Contains(text, "<RequestId>"+resp.Header.Get("X-Amzn-Requestid")+"</RequestId>") {
			t.Errorf("%s: %d %s, want %d %s", c.name, resp.StatusCode, text, c.status, c.code)
		}
	}
	b.keys[b.key.AccessKeyID] = awsapi.Credential{Secret: b.keys[b.key.AccessKeyID].Secret, Caller: policy.Caller{Kind: policy.User, ARN: "arn:aws:iam::1:user/u", Account: "1"}}
	resp, text = send("GET", "/2020-05-31/public-key/K9", "us-east-1", "", nil)
	if resp.StatusCode != 403 || !strings.Contains(text, "User: arn:aws:iam::1:user/u is not authorized to perform: cloudfront:GetPublicKey on resource: arn:aws:s3:::K9 because no identity-based policy allows the cloudfront:GetPublicKey action") {
		t.Errorf("denied: %d %s", resp.StatusCode, text)
	}
}

func withBody(r *http.Request, body string) *http.Request {
	out := r.Clone(r.Context())
	other, _ := http.NewRequest(r.Method, r.URL.String(), strings.NewReader(body))
	out.Body, out.ContentLength, out.GetBody = other.Body, other.ContentLength, other.GetBody
	return out
}

// A service we do not have is a 4xx in the protocol the client speaks.
func TestUnknownService(t *testing.T) {
	b := newBench(t)
	for target, want := range map[string]string{"": "<Code>NotImplemented</Code>", "TrentService.Encrypt": `"__type":"NotImplemented"`} {
		r, _ := http.NewRequest("POST", b.server.URL+"/", strings.NewReader("{}"))
		if target != "" {
			r.Header.Set("X-Amz-Target", target)
		}
		if err := sigv4.Sign(r, b.key, "us-east-1", "kms", hashOf("{}"), time.Now()); err != nil {
			t.Fatal(err)
		}
		if resp, text := b.do(t, r); resp.StatusCode != 400 || !strings.Contains(text, want) || !strings.Contains(text, "kms") {
			t.Errorf("%d %s", resp.StatusCode, text)
		}
	}
}

func TestAnswers(t *testing.T) {
	b := newBench(t)
	for _, key := range []string{"key", "panic", "secret-failure", "short", "unchanged"} {
		b.objects["bucket/"+key] = putInput{ContentType: "text/plain", Meta: map[string]string{"mixed": "V"}}
		b.bodies["bucket/"+key] = []byte("hello")
	}
	resp, text := b.send(t, "GET", "/bucket/key", "", map[string]string{"Range": "bytes=0-0"})
	if resp.StatusCode != 206 || text != "h" || resp.ContentLength != 1 {
		t.Errorf("range: %d %s", resp.StatusCode, text)
	}
	resp, text = b.send(t, "HEAD", "/bucket/key", "", nil)
	if resp.StatusCode != 200 || text != "" || resp.ContentLength != 5 || resp.Header.Get("Last-Modified") != "Sun, 09 Sep 2001 01:46:40 GMT" {
		t.Errorf("HEAD: %d %v", resp.StatusCode, resp.Header)
	}
	resp, text = b.send(t, "GET", "/bucket/unchanged", "", nil)
	if resp.StatusCode != 304 || text != "" || resp.Header.Get("Content-Type") != "" || resp.Header.Get("Etag") != `"etag"` {
		t.Errorf("304: %d %v", resp.StatusCode, resp.Header)
	}
	resp, text = b.send(t, "GET", "/bucket/secret-failure", "", nil)
	if resp.StatusCode != 500 || strings.Contains(text, "fire") || !strings.Contains(text, "<Code>InternalError</Code>") || !strings.Contains(b.log.String(), "on fire") {
		t.Errorf("an unknown error: %d %s\n%s", resp.StatusCode, text, b.log)
	}
	resp, text = b.send(t, "GET", "/bucket/panic", "", nil)
	if resp.StatusCode != 500 || strings.Contains(text, "fell over") || !strings.Contains(b.log.String(), "fell over") || !strings.Contains(b.log.String(), resp.Header.Get("X-Amz-Request-Id")) {
		t.Errorf("a panic: %d %s\n%s", resp.StatusCode, text, b.log)
	}
	// An answer that cannot be finished must not look whole.
	r, _ := http.NewRequest("GET", b.server.URL+"/bucket/short", nil)
	if err := sigv4.Sign(r, b.key, "us-east-1", "s3", hashOf(""), time.Now()); err != nil {
		t.Fatal(err)
	}
	if resp, err := http.DefaultTransport.RoundTrip(r); err == nil {
		_, err = resp.Body.Read(make([]byte, 100))
		for err == nil {
			_, err = resp.Body.Read(make([]byte, 100))
		}
		_ = resp.Body.Close()
		if err.Error() == "EOF" {
			t.Error("a body that ended early looks whole")
		}
	}
	b.server.Close() // waits for the handlers
	if !strings.Contains(b.log.String(), "had 5 bytes instead of 10") {
		t.Errorf("the log does not say why: %s", b.log)
	}
	in := httptest.NewRequest("GET", "/bucket/unchanged", nil)
	if err := sigv4.Sign(in, b.key, "us-east-1", "s3", hashOf(""), time.Now()); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	b.server.Config.Handler.ServeHTTP(w, in)
	if w.Code != 304 || w.Header()["Content-Type"] != nil || w.Header()["Content-Length"] != nil {
		t.Errorf("304, without net/http: %v", w.Header())
	}
}

// The log and the metrics name operations by the table, and hold nothing of the query.
func TestLogAndMetrics(t *testing.T) {
	b := newBench(t)
	b.objects["bucket/key"], b.bodies["bucket/key"] = putInput{}, []byte("hello")
	r, _ := http.NewRequest("GET", b.server.URL+"/bucket/key?response-content-type=visible", nil)
	link, err := sigv4.Presign(r, b.key, "us-east-1", "s3", time.Minute, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	r, _ = http.NewRequest("GET", link, nil)
	if resp, text := b.do(t, r); resp.StatusCode != 200 || text != "hello" || resp.Header.Get("Content-Type") != "visible" {
		t.Fatalf("presigned: %d %s", resp.StatusCode, text)
	}
	r, _ = http.NewRequest("GET", b.server.URL+"/2020-05-31/whatever", nil)
	b.do(t, r)
	b.server.Close() // waits for the handlers
	for _, secret := range []string{"X-Amz", "visible", link[strings.LastIndex(link, "=")+1:]} {
		if strings.Contains(b.log.String(), secret) {
			t.Errorf("the log has %q: %s", secret, b.log)
		}
	}
	for _, want := range []string{`"msg":"request"`, `"method":"GET"`, `"service":"s3"`, `"operation":"GetObject"`, `"status":200`, `"request_id":"`, `"took":`, `"bytes":5`} {
		if !strings.Contains(b.log.String(), want) {
			t.Errorf("the log lacks %s: %s", want, b.log)
		}
	}
	if got := strings.Join(b.counts.seen, ";"); got != "s3 GetObject 200;cloudfront  400" {
		t.Errorf("metrics: %s", got)
	}
}

func TestSessionToken(t *testing.T) {
	b := newBench(t)
	b.objects["bucket/key"] = putInput{}
	for _, c := range []struct {
		id, token, code string
	}{
		{"ASIATOY", "token+/=", ""}, {"ASIATOY", "other", "InvalidToken"}, {"ASIATOY", "", "InvalidAccessKeyId"}, {"AKIATOY", "token+/=", "InvalidToken"},
	} {
		for _, presigned := range []bool{false, true} {
			key := sigv4.Credentials{AccessKeyID: c.id, Secret: b.key.Secret, SessionToken: c.token}
			r, _ := http.NewRequest("GET", b.server.URL+"/bucket/key", nil)
			if presigned {
				link, err := sigv4.Presign(r, key, "us-east-1", "s3", time.Minute, time.Now())
				if err != nil {
					t.Fatal(err)
				}
				r, _ = http.NewRequest("GET", link, nil)
			} else if err := sigv4.Sign(r, key, "us-east-1", "s3", hashOf(""), time.Now()); err != nil {
				t.Fatal(err)
			}
			resp, text := b.do(t, r)
			if c.code == "" && resp.StatusCode != 200 || c.code != "" && !strings.Contains(text, "<Code>"+c.code+"</Code>") {
				t.Errorf("%+v presigned=%t: %d %s", c, presigned, resp.StatusCode, text)
			}
		}
	}
}

// In a presigned request the query stands in for x-amz- headers, but not for checksums.
func TestPresignedHeaders(t *testing.T) {
	b := newBench(t)
	r, _ := http.NewRequest("PUT", b.server.URL+"/bucket/key?x-amz-acl=private&X-Amz-Meta-Color=red&x-amz-checksum-crc32=AAAAAA%3D%3D&x-amz-sdk-checksum-algorithm=CRC32&x-id=PutObject", nil)
	link, err := sigv4.Presign(r, b.key, "us-east-1", "s3", time.Minute, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	r, _ = http.NewRequest("PUT", link, strings.NewReader("content"))
	if resp, text := b.do(t, r); resp.StatusCode != 200 {
		t.Fatalf("%d %s", resp.StatusCode, text)
	}
	if o := b.objects["bucket/key"]; o.ACL == nil || *o.ACL != "private" || o.Meta["color"] != "red" {
		t.Errorf("%+v", o)
	}
	r, _ = http.NewRequest("POST", b.server.URL+"/bucket/key?uploadId=u&x-amz-checksum-crc32=AAAAAA%3D%3D", nil)
	link, err = sigv4.Presign(r, b.key, "us-east-1", "s3", time.Minute, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	r, _ = http.NewRequest("POST", link, strings.NewReader("<CompleteMultipartUpload/>"))
	if resp, text := b.do(t, r); resp.StatusCode != 200 || resp.Header.Get("X-Amz-Checksum-Crc32") != "" {
		t.Errorf("a checksum in the query: %d %s %v", resp.StatusCode, text, resp.Header)
	}
	r, _ = http.NewRequest("PUT", b.server.URL+"/bucket/key?x-amz-grant-read=x", nil)
	link, err = sigv4.Presign(r, b.key, "us-east-1", "s3", time.Minute, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	r, _ = http.NewRequest("PUT", link, strings.NewReader("content"))
	if resp, text := b.do(t, r); resp.StatusCode != 400 || !strings.Contains(text, "NotImplemented") {
		t.Errorf("an undeclared header in the query: %d %s", resp.StatusCode, text)
	}
	// Without a signature the query is only a query.
	r, _ = http.NewRequest("PUT", b.server.URL+"/bucket/key?x-amz-acl=private", nil)
	if resp, text := b.do(t, r); resp.StatusCode != 400 || !strings.Contains(text, "NotImplemented") {
		t.Errorf("unsigned: %d %s", resp.StatusCode, text)
	}
}

func TestUploads(t *testing.T) {
	b := newBench(t)
	const crc = "DUoRhQ==" // CRC32 of "hello world"
	resp, _ := b.send(t, "PUT", "/bucket/key", "hello world", map[string]string{"Content-Encoding": "gzip, aws-chunked", "x-amz-meta-MiXed": "V",
		"X-Amz-Checksum-Crc32": crc, "If-Match": "x"})
	o := b.objects["bucket/key"]
	if resp.StatusCode != 200 || o.Encoding != "gzip" || o.Meta["mixed"] != "V" || o.IfMatch != "x" || resp.Header.Get("X-Amz-Checksum-Crc32") != crc {
		t.Errorf("%d %+v %v", resp.StatusCode, o, resp.Header)
	}
	delete(b.objects, "bucket/key")
	resp, text := b.send(t, "PUT", "/bucket/key", "hello world", map[string]string{"X-Amz-Checksum-Crc32": "AAAAAA=="})
	if resp.StatusCode != 400 || !strings.Contains(text, "<Code>BadDigest</Code>") || len(b.objects) > 0 {
		t.Errorf("a wrong checksum: %d %s", resp.StatusCode, text)
	}
	// A document's own checksum is held; CompleteMultipartUpload's is the object's.
	doc := `<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Quiet/><Object><Key>k</Key></Object></Delete>`
	if resp, text := b.send(t, "POST", "/bucket?delete=", doc, map[string]string{"X-Amz-Checksum-Crc32": "AAAAAA=="}); resp.StatusCode != 400 || !strings.Contains(text, "BadDigest") {
		t.Errorf("a document with a wrong checksum: %d %s", resp.StatusCode, text)
	}
	if resp, text := b.send(t, "POST", "/bucket?delete", doc, nil); resp.StatusCode != 200 || !strings.Contains(text, "<Deleted><Key>k</Key></Deleted>") {
		t.Errorf("DeleteObjects: %d %s", resp.StatusCode, text)
	}
	parts := `<CompleteMultipartUpload><Part><ETag>&quot;e&quot;</ETag><PartNumber>1</PartNumber></Part></CompleteMultipartUpload>`
	if resp, text := b.send(t, "POST", "/bucket/key?uploadId=u", parts, map[string]string{"X-Amz-Checksum-Crc32": "AAAAAA=="}); resp.StatusCode != 200 || resp.Header.Get("X-Amz-Checksum-Crc32") != "AAAAAA==" {
		t.Errorf("CompleteMultipartUpload: %d %s", resp.StatusCode, text)
	}
	if resp, text := b.send(t, "POST", "/bucket/key?uploadId=u", parts+strings.Repeat(" ", 1000), nil); resp.StatusCode != 400 || !strings.Contains(text, "MaxMessageLengthExceeded") {
		t.Errorf("a document above MaxBody: %d %s", resp.StatusCode, text)
	}
	// A body on an operation that has none is still what was signed.
	if resp, text := b.send(t, "DELETE", "/bucket", "body", map[string]string{"Content-Md5": "1B2M2Y8AsgTpgAmY7PhCfg=="}); resp.StatusCode != 400 || !strings.Contains(text, "BadDigest") {
		t.Errorf("a stray body: %d %s", resp.StatusCode, text)
	}
}

// An engine that answers yes without reading its body to the end is a fault of ours, and shows.
func TestUnreadBody(t *testing.T) {
	b := newBench(t)
	s := awsapi.Service{Name: "s3", Protocol: awsapi.RESTXML, Operations: []awsapi.Operation{
		awsapi.Op("PutObject", awsapi.Route{Method: "PUT", Path: "/{Bucket}/{Key+}"}, b.unread)}}
	h, err := awsapi.New(awsapi.Config{Services: []awsapi.Service{s}, Credentials: b, Region: "us-east-1", Account: account, Now: time.Now, Logger: discard})
	if err != nil {
		t.Fatal(err)
	}
	b.server.Config.Handler = h
	for _, body := range []string{"content", ""} {
		if resp, text := b.send(t, "PUT", "/bucket/key", body, nil); body != "" && resp.StatusCode != 500 {
			t.Errorf("%q: %d %s", body, resp.StatusCode, text)
		}
	}
}

type closer struct {
	io.Reader
	closed bool
}

func (c *closer) Close() error { c.closed = true; return nil }

// What an engine hands out beside an error is closed, not answered.
func TestOutputBesideError(t *testing.T) {
	b := newBench(t)
	body := &closer{Reader: strings.NewReader("secret")}
	get := func(context.Context, policy.Caller, keyInput) (objectOutput, error) {
		return objectOutput{Body: body, Length: 6}, fmt.Errorf("the audit line could not be written")
	}
	s := awsapi.Service{Name: "s3", Protocol: awsapi.RESTXML, Operations: []awsapi.Operation{awsapi.Op("GetObject", awsapi.Route{Method: "GET", Path: "/{Bucket}/{Key+}"}, get)}}
	h, err := awsapi.New(awsapi.Config{Services: []awsapi.Service{s}, Credentials: b, Region: "us-east-1", Account: account, Now: time.Now, Logger: discard})
	if err != nil {
		t.Fatal(err)
	}
	b.server.Config.Handler = h
	if resp, text := b.send(t, "GET", "/bucket/key", "", nil); resp.StatusCode != 500 || strings.Contains(text, "secret") || !body.closed {
		t.Errorf("%d %s, closed=%t", resp.StatusCode, text, body.closed)
	}
}

func TestTables(t *testing.T) {
	type ok struct {
		Bucket string `aws:"uri,Bucket"`
	}
	good := awsapi.Op("Good", awsapi.Route{Method: "GET", Path: "/{Bucket}"}, engine[ok, nothing])
	for name, op := range map[string]awsapi.Operation{
		"unknown kind": awsapi.Op("X", awsapi.Route{Method: "GET", Path: "/"}, engine[struct {
			A string `aws:"cookie,A"`
		}, nothing]),
		"no name": awsapi.Op("X", awsapi.Route{Method: "GET", Path: "/"}, engine[struct {
			A string `aws:"query"`
		}, nothing]),
		"a type": awsapi.Op("X", awsapi.Route{Method: "GET", Path: "/"}, engine[struct {
			A []string `aws:"query,a"`
		}, nothing]),
		"an unexported field": awsapi.Op("X", awsapi.Route{Method: "GET", Path: "/"}, engine[struct {
			a string `aws:"query,a"`
		}, nothing]),
		"a second field": awsapi.Op("X", awsapi.Route{Method: "GET", Path: "/"}, engine[struct {
			A, B string `aws:"query,a"`
		}, nothing]),
		"a body's type": awsapi.Op("X", awsapi.Route{Method: "GET", Path: "/"}, engine[struct {
			A string `aws:"body"`
		}, nothing]),
		"a document's type": awsapi.Op("X", awsapi.Route{Method: "GET", Path: "/"}, engine[struct {
			A struct{ B chan int } `aws:"xml,A"`
		}, nothing]),
		"the wrong side": awsapi.Op("X", awsapi.Route{Method: "GET", Path: "/"}, engine[nothing, struct {
			A string `aws:"query,a"`
		}]),
		"not a struct":         awsapi.Op("X", awsapi.Route{Method: "GET", Path: "/"}, engine[string, nothing]),
		"no field for a label": awsapi.Op("X", awsapi.Route{Method: "GET", Path: "/{Bucket}"}, engine[nothing, nothing]),
		"no label for a field": awsapi.Op("X", awsapi.Route{Method: "GET", Path: "/"}, engine[ok, nothing]),
		"a path":               awsapi.Op("X", awsapi.Route{Method: "GET", Path: "x"}, engine[nothing, nothing]),
		"the same route":       awsapi.Op("X", awsapi.Route{Method: "GET", Path: "/{Bucket}"}, engine[ok, nothing]),
		"the same name":        awsapi.Op("Good", awsapi.Route{Method: "PUT", Path: "/{Bucket}"}, engine[ok, nothing]),
	} {
		s := awsapi.Service{Name: "s3", Protocol: awsapi.RESTXML, Operations: []awsapi.Operation{good, op}}
		if _, err := awsapi.New(awsapi.Config{Services: []awsapi.Service{s}, Credentials: &bench{}, Region: "r", Account: "a", Now: time.Now, Logger: discard}); err == nil {
			t.Errorf("%s: New takes it", name)
		}
	}
	for _, c := range []awsapi.Config{{}, {Credentials: &bench{}}, {Credentials: &bench{}, Region: "r", Account: "a"},
		{Credentials: &bench{}, Region: "r", Account: "a", Now: time.Now, Logger: discard, Services: []awsapi.Service{{Name: "s3"}}}} {
		if _, err := awsapi.New(c); err == nil {
			t.Errorf("New takes %+v", c)
		}
	}
}

func engine[In, Out any](context.Context, policy.Caller, In) (out Out, err error) { return out, nil }

// FuzzTarget: whatever the target, the engine gets the key that travelled, decoded once, or nothing.
func FuzzTarget(f *testing.F) {
	for _, seed := range []string{"/bucket/key", "/bucket//", "/bucket/a/../b", "/b/%2e%2e/%2F", "/b/k?acl", "http://host/b/k", "*", "", "/%zz/k", "/b/\xff"} {
		f.Add(seed, "bucket.localhost")
	}
	f.Fuzz(func(t *testing.T, target, host string) {
		var got *putInput
		op := awsapi.Op("PutObject", awsapi.Route{Method: "PUT", Path: "/{Bucket}/{Key+}"}, func(_ context.Context, _ policy.Caller, in putInput) (nothing, error) {
			got = &in
			return nothing{}, &awsapi.Error{Status: 403, Code: "AccessDenied"}
		})
		h, err := awsapi.New(awsapi.Config{Services: []awsapi.Service{{Name: "s3", Protocol: awsapi.RESTXML, Anonymous: true, Operations: []awsapi.Operation{op}}},
			Credentials: &bench{}, Region: "us-east-1", Account: account, Now: time.Now, Logger: discard})
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest("PUT", "/", nil)
		r.RequestURI, r.Host = target, host
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code < 400 || w.Code >= 500 {
			t.Fatalf("%q %q: %d %s", target, host, w.Code, w.Body)
		}
		if got == nil {
			return
		}
		raw, _ := sigv4.RawTarget(r)
		path, err := url.PathUnescape(raw)
		if err != nil {
			t.Fatalf("%q reached the engine: %v", target, err)
		}
		if joined := "/" + got.Bucket + "/" + got.Key; joined != path && "/"+got.Key != path {
			t.Fatalf("%q %q became %q", target, host, joined)
		}
	})
}

func TestDescribe(t *testing.T) {
	var put, complete awsapi.Description
	for _, d := range (&toy{}).table().Describe() {
		switch d.Operation {
		case "PutObject":
			put = d
		case "CompleteMultipartUpload":
			complete = d
		}
	}
	if put.Method != "PUT" || put.Path != "/{Bucket}/{Key+}" || strings.Join(put.Accepts, " ") != "Content-Encoding Content-Type If-Match x-amz-acl x-amz-meta-*" || put.Document != nil {
		t.Errorf("%+v", put)
	}
	if strings.Join(complete.Query, " ") != "uploadId" || !strings.Contains(string(complete.Document), "<CompleteMultipartUpload ") {
		t.Errorf("%+v %s", complete, complete.Document)
	}
}
