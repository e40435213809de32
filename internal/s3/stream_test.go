package s3_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"postern/internal/awsapi"
	"postern/internal/s3"
)

// unseekable hides everything of a reader but Read, which makes the SDK send a trailer.
type unseekable struct{ io.Reader }

func TestChecksums(t *testing.T) {
	s, ctx := shared(t), t.Context()
	bucket := s.bucket(t)
	body := noise(5, 200_000)
	for _, algorithm := range []types.ChecksumAlgorithm{
		types.ChecksumAlgorithmCrc32, types.ChecksumAlgorithmCrc32c, types.ChecksumAlgorithmCrc64nvme, types.ChecksumAlgorithmSha1, types.ChecksumAlgorithmSha256,
	} {
		for name, c := range map[string]*awss3.Client{"header": s.client(), "trailer": s.client(overTLS(s))} {
			t.Run(string(algorithm)+" "+name, func(t *testing.T) {
				key := string(algorithm) + name
				in := &awss3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(body), ChecksumAlgorithm: algorithm}
				if name == "trailer" {
					in.Body, in.ContentLength = unseekable{bytes.NewReader(body)}, aws.Int64(int64(len(body)))
				}
				put, err := c.PutObject(ctx, in)
				if err != nil {
					t.Fatal(err)
				}
				get, err := c.GetObject(ctx, &awss3.GetObjectInput{Bucket: &bucket, Key: &key, ChecksumMode: types.ChecksumModeEnabled})
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = get.Body.Close() }()
				if got, err := io.ReadAll(get.Body); err != nil || !bytes.Equal(got, body) {
					t.Fatalf("the body came back as %d bytes, %v", len(got), err)
				}
				sent := []*string{put.ChecksumCRC32, put.ChecksumCRC32C, put.ChecksumCRC64NVME, put.ChecksumSHA1, put.ChecksumSHA256}
				found := []*string{get.ChecksumCRC32, get.ChecksumCRC32C, get.ChecksumCRC64NVME, get.ChecksumSHA1, get.ChecksumSHA256}
				n := 0
				for i := range sent {
					if aws.ToString(sent[i]) != aws.ToString(found[i]) {
						t.Errorf("the checksum was %q and is %q", aws.ToString(sent[i]), aws.ToString(found[i]))
					}
					if found[i] != nil {
						n++
					}
				}
				if n != 1 || put.ChecksumType != types.ChecksumTypeFullObject || get.ChecksumType != types.ChecksumTypeFullObject {
					t.Errorf("%d checksums, of the type %s", n, get.ChecksumType)
				}
			})
		}
	}
}

// What fails its checksum, its digest, its hash or its length is not stored, and what was there stays.
func TestDamagedBodiesAreNotStored(t *testing.T) {
	s := shared(t)
	bucket := s.bucket(t)
	s.put(t, bucket, "k", []byte("before"))
	sum := sha256.Sum256([]byte("another"))
	id := between(s.mustStatus(t, http.StatusOK, call{method: "POST", path: "/" + bucket + "/up?uploads"}).body, "<UploadId>", "<")
	for name, tt := range map[string]struct {
		header map[string]string
		code   string
	}{
		"CRC32":          {map[string]string{"x-amz-checksum-crc32": "AAAAAA=="}, "BadDigest"},
		"CRC64NVME":      {map[string]string{"x-amz-checksum-crc64nvme": "AAAAAAAAAAA="}, "BadDigest"},
		"SHA256":         {map[string]string{"x-amz-checksum-sha256": base64.StdEncoding.EncodeToString(sum[:])}, "BadDigest"},
		"MD5":            {map[string]string{"Content-MD5": md5Of("another")}, "BadDigest"},
		"malformed MD5":  {map[string]string{"Content-MD5": "x"}, "InvalidDigest"},
		"payload's hash": {map[string]string{"x-amz-content-sha256": fmt.Sprintf("%x", sum)}, "XAmzContentSHA256Mismatch"},
	} {
		for kind, path := range map[string]string{"object": "/k", "part": "/up?partNumber=1&uploadId=" + id} {
			t.Run(name+" "+kind, func(t *testing.T) {
				p := s.mustStatus(t, http.StatusBadRequest, call{method: "PUT", path: "/" + bucket + path, body: "after", header: tt.header}).problem(t)
				if p.Code != tt.code {
					t.Errorf("refused with %s: %s, want %s", p.Code, p.Message, tt.code)
				}
			})
		}
	}
	if got := s.get(t, bucket, "k"); string(got) != "before" {
		t.Errorf("the object is %q", got)
	}
	if a := s.mustStatus(t, http.StatusOK, call{method: "GET", path: "/" + bucket + "/up?uploadId=" + id}); strings.Contains(a.body, "<Part>") {
		t.Errorf("a damaged part was stored: %s", a.body)
	}
}

// broken is a body that fails after its first bytes.
type broken struct {
	rest io.Reader
	err  error
}

func (b broken) Read(p []byte) (int, error) {
	n, err := b.rest.Read(p)
	if errors.Is(err, io.EOF) {
		err = b.err
	}
	return n, err
}

func TestBrokenBodyIsNotStored(t *testing.T) {
	s, ctx := newServer(t, serverConfig{}), t.Context()
	bucket := s.bucket(t)
	fault := errors.New("the client went away")
	// The body's own word goes before what its cause would be taken for.
	timeout := errors.Join(&awsapi.Error{Status: 400, Code: "RequestTimeout"}, io.ErrUnexpectedEOF)
	for name, in := range map[string]s3.PutObjectInput{
		"error":     {Body: broken{strings.NewReader("hello"), fault}, ContentLength: 5},
		"cut off":   {Body: broken{strings.NewReader("hello"), io.ErrUnexpectedEOF}, ContentLength: 5},
		"timeout":   {Body: broken{strings.NewReader("hello"), timeout}, ContentLength: 5},
		"too short": {Body: strings.NewReader("hello"), ContentLength: 6},
		"too long":  {Body: strings.NewReader("hello"), ContentLength: 4},
		"unknown":   {Body: strings.NewReader("hello"), ContentLength: -1},
		"too large": {Body: strings.NewReader("hello"), ContentLength: 5<<30 + 1},
	} {
		t.Run(name, func(t *testing.T) {
			in.Bucket, in.Key = bucket, "k"
			_, err := s.engine.PutObject(ctx, owner, in)
			want := map[string]string{"cut off": "IncompleteBody", "timeout": "RequestTimeout", "too short": "IncompleteBody", "too long": "IncompleteBody", "unknown": "MissingContentLength", "too large": "EntityTooLarge"}[name]
			if err == nil || codeOf(err) != want || name == "error" && !errors.Is(err, fault) {
				t.Errorf("PutObject answered %v", err)
			}
			if _, err := s.engine.HeadObject(ctx, owner, s3.HeadObjectInput{Bucket: bucket, Key: "k"}); codeOf(err) != "NoSuchKey" {
				t.Errorf("the object: %v", err)
			}
		})
	}
	if n := s.blobs(t); n != 0 {
		t.Errorf("%d blobs are left", n)
	}
}

// A reader sees one object whole, whatever is written meanwhile.
func TestReadersSeeWholeObjects(t *testing.T) {
	s := shared(t)
	bucket := s.bucket(t)
	const size = 100_000
	version := func(i int) []byte { return bytes.Repeat([]byte{byte('a' + i%26)}, size+i%26) }
	s.put(t, bucket, "k", version(0))
	c := s.client()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var readers, writers sync.WaitGroup
	for w := range 2 {
		writers.Go(func() {
			for i := range 20 {
				if _, err := c.PutObject(t.Context(), &awss3.PutObjectInput{Bucket: &bucket, Key: aws.String("k"), Body: bytes.NewReader(version(i*2 + w))}); err != nil {
					t.Errorf("writing: %v", err)
				}
			}
		})
	}
	seen := make([]int, 4)
	for r := range seen {
		readers.Go(func() {
			for ctx.Err() == nil {
				out, err := c.GetObject(t.Context(), &awss3.GetObjectInput{Bucket: &bucket, Key: aws.String("k")})
				if err != nil {
					t.Errorf("reading: %v", err)
					return
				}
				body, err := io.ReadAll(out.Body)
				_ = out.Body.Close()
				if err != nil || len(body) < size || !bytes.Equal(body, version(len(body)-size)) || body[0] != byte('a'+len(body)-size) {
					t.Errorf("a reader saw %d bytes of a mixture, %v", len(body), err)
					return
				}
				seen[r]++
			}
		})
	}
	writers.Wait()
	stop()
	readers.Wait()
	for r, n := range seen {
		if n == 0 {
			t.Errorf("reader %d has read nothing", r)
		}
	}
}

// An open body goes on when its object is replaced or deleted.
func TestOpenBodyOutlivesItsObject(t *testing.T) {
	s, ctx := shared(t), t.Context()
	bucket := s.bucket(t)
	body := noise(6, 3<<20)
	s.put(t, bucket, "k", body)
	out, err := s.engine.GetObject(ctx, owner, s3.GetObjectInput{Bucket: bucket, Key: "k", Range: "bytes=1-"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = out.Body.Close() }()
	s.put(t, bucket, "k", []byte("other"))
	if _, err := s.engine.DeleteObject(ctx, owner, s3.DeleteObjectInput{Bucket: bucket, Key: "k"}); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(out.Body); err != nil || !bytes.Equal(got, body[1:]) {
		t.Errorf("the open body gave %d bytes, %v", len(got), err)
	}
}

// pattern makes n bytes as they are read.
type pattern struct{ at, n int64 }

func (p *pattern) Read(b []byte) (int, error) {
	if p.at == p.n {
		return 0, io.EOF
	}
	b = b[:min(int64(len(b)), p.n-p.at)]
	for i := range b {
		b[i] = byte((p.at + int64(i)) >> 8)
	}
	p.at += int64(len(b))
	return len(b), nil
}

// Memory does not grow with the object: 64 MiB in and out, over the wire, allocate less than a sixteenth
// of that in all.
func TestMemoryIsBounded(t *testing.T) {
	s := shared(t)
	bucket := s.bucket(t)
	const size = 64 << 20
	const limit = 4 << 20
	client := s.plain.Client()
	measure := func(name string, do func()) {
		t.Helper()
		runtime.GC()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		do()
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; grown > limit {
			t.Errorf("%s: %d bytes were allocated for a body of %d", name, grown, size)
		}
	}
	send := func(method, path string, body io.Reader, length int64) *http.Response {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, s.plain.URL+path, body)
		if err != nil {
			t.Fatal(err)
		}
		r.ContentLength = length
		signUnsigned(t, r, s.key)
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode/100 != 2 {
			t.Fatalf("%s %s answered %s", method, path, resp.Status)
		}
		return resp
	}
	sum := crc32.NewIEEE()
	if _, err := io.Copy(sum, &pattern{n: size}); err != nil {
		t.Fatal(err)
	}
	measure("put", func() { _ = send("PUT", "/"+bucket+"/k", &pattern{n: size}, size).Body.Close() })
	for name, path := range map[string]string{"get": "/" + bucket + "/k", "part": "/" + bucket + "/k?partNumber=1"} {
		measure(name, func() {
			resp := send("GET", path, nil, 0)
			defer func() { _ = resp.Body.Close() }()
			got := crc32.NewIEEE()
			if n, err := io.Copy(got, resp.Body); err != nil || n != size || got.Sum32() != sum.Sum32() {
				t.Errorf("%d bytes came back with the checksum %x, %v", n, got.Sum32(), err)
			}
		})
	}
}

func TestPresigned(t *testing.T) {
	s, ctx := shared(t), t.Context()
	bucket := s.bucket(t)
	for name, option := range map[string]clientOption{"path": func(*awss3.Options) {}, "virtual host": virtualHost(s)} {
		t.Run(name, func(t *testing.T) {
			c := s.client(option)
			p := awss3.NewPresignClient(c)
			var httpClient awss3.HTTPClient = c.Options().HTTPClient
			send := func(method, url string, header http.Header, body string) (int, string, http.Header) {
				t.Helper()
				r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				for k, v := range header {
					if k != "Host" && k != "Content-Length" {
						r.Header[k] = v
					}
				}
				resp, err := httpClient.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = resp.Body.Close() }()
				b, err := io.ReadAll(resp.Body)
				if err != nil {
					t.Fatal(err)
				}
				return resp.StatusCode, string(b), resp.Header
			}
			key := aws.String("비용 리포트+1.pdf")
			put, err := p.PresignPutObject(ctx, &awss3.PutObjectInput{Bucket: &bucket, Key: key, Metadata: map[string]string{"a": "1"},
				ContentType: aws.String("application/pdf"), ExpectedBucketOwner: aws.String(account)}, awss3.WithPresignExpires(time.Hour))
			if err != nil {
				t.Fatal(err)
			}
			if status, body, _ := send(put.Method, put.URL, put.SignedHeader, "hello"); status != 200 {
				t.Fatalf("PUT answered %d: %s", status, body)
			}
			get, err := p.PresignGetObject(ctx, &awss3.GetObjectInput{Bucket: &bucket, Key: key, ResponseContentType: aws.String("text/plain"), ChecksumMode: types.ChecksumModeEnabled})
			if err != nil {
				t.Fatal(err)
			}
			status, body, header := send(get.Method, get.URL, get.SignedHeader, "")
			if status != 200 || body != "hello" || header.Get("Content-Type") != "text/plain" || header.Get("x-amz-meta-a") != "1" {
				t.Fatalf("GET answered %d, %q, %v", status, body, header)
			}
			if status, body, _ := send("GET", strings.Replace(get.URL, "text%2Fplain", "text%2Fhtml", 1), get.SignedHeader, ""); status != 403 || !strings.Contains(body, "SignatureDoesNotMatch") {
				t.Errorf("a changed URL answered %d: %s", status, body)
			}
			bare, err := p.PresignGetObject(ctx, &awss3.GetObjectInput{Bucket: &bucket, Key: key})
			if err != nil {
				t.Fatal(err)
			}
			if status, body, _ := send("DELETE", strings.Replace(bare.URL, "x-id=GetObject", "x-id=DeleteObject", 1), bare.SignedHeader, ""); status != 403 {
				t.Errorf("another method answered %d: %s", status, body)
			}
			del, err := p.PresignDeleteObject(ctx, &awss3.DeleteObjectInput{Bucket: &bucket, Key: key})
			if err != nil {
				t.Fatal(err)
			}
			if status, body, _ := send(del.Method, del.URL, del.SignedHeader, ""); status != 204 || body != "" {
				t.Errorf("DELETE answered %d: %s", status, body)
			}
		})
	}
}
