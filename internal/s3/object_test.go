package s3_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

func TestObjectComesBackAsItWas(t *testing.T) {
	s, ctx := shared(t), t.Context()
	bucket := s.bucket(t)
	c := s.client()
	body := noise(1, 100_000)
	put, err := c.PutObject(ctx, &awss3.PutObjectInput{
		Bucket: &bucket, Key: aws.String("uploads/report.pdf"), Body: bytes.NewReader(body),
		ContentType: aws.String("application/pdf"), ContentEncoding: aws.String("gzip"), ContentLanguage: aws.String("ko-KR"),
		ContentDisposition: aws.String(`attachment; filename="report.pdf"`), CacheControl: aws.String("max-age=60,  private"),
		Metadata: map[string]string{"purpose": "Cost Report", "x_y-z": "1"},
		Tagging:  aws.String("team=finops&year=2026"), ACL: types.ObjectCannedACLBucketOwnerFullControl, StorageClass: types.StorageClassStandard,
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.GetObject(ctx, &awss3.GetObjectInput{Bucket: &bucket, Key: aws.String("uploads/report.pdf")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = got.Body.Close() }()
	if b, err := io.ReadAll(got.Body); err != nil || !bytes.Equal(b, body) {
		t.Fatalf("the body came back as %d bytes, %v", len(b), err)
	}
	head, err := c.HeadObject(ctx, &awss3.HeadObjectInput{Bucket: &bucket, Key: aws.String("uploads/report.pdf")})
	if err != nil {
		t.Fatal(err)
	}
	for name, pair := range map[string][2]string{
		"Content-Type":        {aws.ToString(got.ContentType), "application/pdf"},
		"Content-Encoding":    {aws.ToString(got.ContentEncoding), "gzip"},
		"Content-Language":    {aws.ToString(got.ContentLanguage), "ko-KR"},
		"Content-Disposition": {aws.ToString(got.ContentDisposition), `attachment; filename="report.pdf"`},
		"Cache-Control":       {aws.ToString(got.CacheControl), "max-age=60,  private"},
		"ETag":                {aws.ToString(got.ETag), aws.ToString(put.ETag)},
		"ETag of HEAD":        {aws.ToString(head.ETag), aws.ToString(put.ETag)},
		"metadata":            {got.Metadata["purpose"], "Cost Report"},
		"metadata's other":    {got.Metadata["x_y-z"], "1"},
		"metadata of HEAD":    {head.Metadata["purpose"], "Cost Report"},
		"length":              {fmt.Sprint(aws.ToInt64(got.ContentLength)), "100000"},
		"length of HEAD":      {fmt.Sprint(aws.ToInt64(head.ContentLength)), "100000"},
		"tag count":           {fmt.Sprint(aws.ToInt32(got.TagCount)), "2"},
		"Accept-Ranges":       {aws.ToString(got.AcceptRanges), "bytes"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s is %q, want %q", name, pair[0], pair[1])
		}
	}
	if got.LastModified == nil || !got.LastModified.Equal(*head.LastModified) {
		t.Errorf("Last-Modified is %v and %v", got.LastModified, head.LastModified)
	}
	// S3's storage class header is absent for STANDARD, and nothing claims an encryption that does not happen.
	if got.StorageClass != "" || got.ServerSideEncryption != "" || put.ServerSideEncryption != "" {
		t.Errorf("storage class %q, encryption %q and %q", got.StorageClass, got.ServerSideEncryption, put.ServerSideEncryption)
	}
	tags, err := c.GetObjectTagging(ctx, &awss3.GetObjectTaggingInput{Bucket: &bucket, Key: aws.String("uploads/report.pdf")})
	if err != nil || len(tags.TagSet) != 2 || *tags.TagSet[0].Key != "team" || *tags.TagSet[1].Value != "2026" {
		t.Errorf("the tags are %+v, %v", tags, err)
	}
	if _, err := c.DeleteObject(ctx, &awss3.DeleteObjectInput{Bucket: &bucket, Key: aws.String("uploads/report.pdf")}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.DeleteObject(ctx, &awss3.DeleteObjectInput{Bucket: &bucket, Key: aws.String("uploads/report.pdf")}); err != nil {
		t.Fatalf("deleting again: %v", err)
	}
	_, err = c.GetObject(ctx, &awss3.GetObjectInput{Bucket: &bucket, Key: aws.String("uploads/report.pdf")})
	var missing *types.NoSuchKey
	if !errors.As(err, &missing) {
		t.Fatalf("a deleted object: %v", err)
	}
}

func TestHeadersOnTheWire(t *testing.T) {
	s := shared(t)
	bucket := s.bucket(t)
	put := s.mustStatus(t, http.StatusOK, call{method: "PUT", path: "/" + bucket + "/k", body: "hello", header: map[string]string{
		"Expires": "not a date, kept", "Content-Encoding": "aws-chunked", "x-amz-meta-CamelCase": "Value", "x-amz-website-redirect-location": "/other",
	}})
	if got := put.header.Get("ETag"); got != `"5d41402abc4b2a76b9719d911017c592"` {
		t.Errorf("the ETag is %s", got)
	}
	if got := put.header.Get("x-amz-checksum-crc64nvme"); got == "" || put.header.Get("x-amz-checksum-type") != "FULL_OBJECT" {
		t.Errorf("without a checksum CRC64NVME is computed; got %q", got)
	}
	get := s.mustStatus(t, http.StatusOK, call{method: "GET", path: "/" + bucket + "/k"})
	for name, want := range map[string]string{
		"Content-Type": "binary/octet-stream", "Expires": "not a date, kept", "Content-Encoding": "", "Content-Length": "5",
		"Accept-Ranges": "bytes", "x-amz-website-redirect-location": "/other", "x-amz-checksum-crc64nvme": "", "x-amz-server-side-encryption": "",
		"x-amz-tagging-count": "", "x-amz-mp-parts-count": "", "Content-Range": "",
	} {
		if got := get.header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	// botocore keeps the case it sees in the keys of a user's metadata.
	if v := get.header["X-Amz-Meta-Camelcase"]; len(v) != 1 || v[0] != "Value" {
		t.Errorf("the metadata is %v", v)
	}
	head := s.mustStatus(t, http.StatusOK, call{method: "HEAD", path: "/" + bucket + "/k", header: map[string]string{"x-amz-checksum-mode": "ENABLED"}})
	if head.body != "" || head.header.Get("Content-Length") != "5" || head.header.Get("x-amz-checksum-crc64nvme") != put.header.Get("x-amz-checksum-crc64nvme") {
		t.Errorf("HEAD: body %q, headers %v", head.body, head.header)
	}
	empty := s.mustStatus(t, http.StatusOK, call{method: "PUT", path: "/" + bucket + "/empty"})
	if got := empty.header.Get("ETag"); got != `"d41d8cd98f00b204e9800998ecf8427e"` {
		t.Errorf("the empty object's ETag is %s", got)
	}
	if a := s.mustStatus(t, http.StatusOK, call{method: "GET", path: "/" + bucket + "/empty"}); a.body != "" || a.header.Get("Content-Length") != "0" {
		t.Errorf("the empty object is %q, %v", a.body, a.header)
	}
}

func TestConditionalReads(t *testing.T) {
	s := shared(t)
	bucket := s.bucket(t)
	path := "/" + bucket + "/k"
	put := s.mustStatus(t, http.StatusOK, call{method: "PUT", path: path, body: "hello", header: map[string]string{"Cache-Control": "max-age=9"}})
	etag := put.header.Get("ETag")
	modified := s.mustStatus(t, http.StatusOK, call{method: "HEAD", path: path}).header.Get("Last-Modified")
	const old, future = "Mon, 02 Jan 2006 15:04:05 GMT", "Sat, 01 Jan 2200 00:00:00 GMT"
	tests := []struct {
		name   string
		header map[string]string
		status int
	}{
		{"matches", map[string]string{"If-Match": etag}, 200},
		{"does not match", map[string]string{"If-Match": `"0"`}, 412},
		{"none matches", map[string]string{"If-None-Match": etag}, 304},
		{"none of others", map[string]string{"If-None-Match": `"0"`}, 200},
		{"modified", map[string]string{"If-Modified-Since": old}, 200},
		{"not modified", map[string]string{"If-Modified-Since": modified}, 304},
		{"unmodified", map[string]string{"If-Unmodified-Since": modified}, 200},
		{"was modified", map[string]string{"If-Unmodified-Since": old}, 412},
		{"match wins over unmodified", map[string]string{"If-Match": etag, "If-Unmodified-Since": old}, 200},
		{"none match wins over modified", map[string]string{"If-None-Match": etag, "If-Modified-Since": old}, 304},
		{"412 before 304", map[string]string{"If-Match": `"0"`, "If-None-Match": etag}, 412},
		{"412 before the range", map[string]string{"If-Match": `"0"`, "Range": "bytes=99-"}, 412},
		{"304 before the range", map[string]string{"If-None-Match": etag, "Range": "bytes=99-"}, 304},
		{"a date to come", map[string]string{"If-Modified-Since": future}, 304},
	}
	for _, tt := range tests {
		for _, method := range []string{"GET", "HEAD"} {
			t.Run(tt.name+" "+method, func(t *testing.T) {
				tt.header["x-amz-checksum-mode"] = "ENABLED"
				a := s.mustStatus(t, tt.status, call{method: method, path: path, header: tt.header})
				switch {
				case tt.status == 304:
					if a.body != "" || a.header.Get("ETag") != etag || a.header.Get("Last-Modified") != modified || a.header.Get("Cache-Control") != "max-age=9" {
						t.Errorf("a 304 with body %q and headers %v", a.body, a.header)
					}
					for name := range a.header {
						if strings.HasPrefix(strings.ToLower(name), "x-amz-checksum-") || name == "Content-Length" || name == "Content-Type" {
							t.Errorf("a 304 with %s: %v", name, a.header[name])
						}
					}
				case tt.status == 412 && method == "GET":
					p := a.problem(t)
					if p.Code != "PreconditionFailed" || p.Message != "At least one of the pre-conditions you specified did not hold" || p.field("Condition") == "" {
						t.Errorf("the error is %+v", p)
					}
				case tt.status == 412:
					if a.body != "" {
						t.Errorf("HEAD answered a body: %q", a.body)
					}
				}
			})
		}
	}
}

func TestRanges(t *testing.T) {
	s := shared(t)
	bucket := s.bucket(t)
	path := "/" + bucket + "/k"
	s.mustStatus(t, http.StatusOK, call{method: "PUT", path: path, body: "0123456789"})
	s.mustStatus(t, http.StatusOK, call{method: "PUT", path: "/" + bucket + "/empty"})
	etag := s.mustStatus(t, http.StatusOK, call{method: "HEAD", path: path}).header.Get("ETag")
	tests := []struct {
		header, ifRange string
		status          int
		body, content   string
	}{
		{"bytes=0-0", "", 206, "0", "bytes 0-0/10"},
		{"bytes=2-4", "", 206, "234", "bytes 2-4/10"},
		{"bytes=7-", "", 206, "789", "bytes 7-9/10"},
		{"bytes=-3", "", 206, "789", "bytes 7-9/10"},
		{"bytes=0-99", "", 206, "0123456789", "bytes 0-9/10"},
		{"bytes=-99", "", 206, "0123456789", "bytes 0-9/10"},
		{"bytes=0-1,3-4", "", 200, "0123456789", ""},
		{"bytes=4-2", "", 200, "0123456789", ""},
		{"bytes=x", "", 200, "0123456789", ""},
		{"bytes=2-4", etag, 206, "234", "bytes 2-4/10"},
		{"bytes=2-4", `"old"`, 200, "0123456789", ""},
	}
	for _, tt := range tests {
		for _, method := range []string{"GET", "HEAD"} {
			header := map[string]string{"Range": tt.header, "x-amz-checksum-mode": "ENABLED"}
			if tt.ifRange != "" {
				header["If-Range"] = tt.ifRange
			}
			a := s.mustStatus(t, tt.status, call{method: method, path: path, header: header})
			if method == "GET" && a.body != tt.body || a.header.Get("Content-Range") != tt.content || a.header.Get("Content-Length") != fmt.Sprint(len(tt.body)) {
				t.Errorf("%s %s: %q, Content-Range %q, Content-Length %s", method, tt.header, a.body, a.header.Get("Content-Range"), a.header.Get("Content-Length"))
			}
			if sum := a.header.Get("x-amz-checksum-crc64nvme"); (sum != "") != (tt.status == 200) {
				t.Errorf("%s %s: checksum %q", method, tt.header, sum)
			}
		}
	}
	for _, c := range []struct{ path, header, size string }{{path, "bytes=10-", "10"}, {path, "bytes=-0", "10"}, {"/" + bucket + "/empty", "bytes=0-0", "0"}} {
		a := s.mustStatus(t, 416, call{method: "GET", path: c.path, header: map[string]string{"Range": c.header}})
		p := a.problem(t)
		if p.Code != "InvalidRange" || p.Message != "The requested range is not satisfiable" || p.field("ActualObjectSize") != c.size ||
			p.field("RangeRequested") != c.header || a.header.Get("Content-Range") != "bytes */"+c.size {
			t.Errorf("%s: %+v, %v", c.header, p, a.header)
		}
	}
	// One part of an object that was stored in one piece is all of it.
	a := s.mustStatus(t, 206, call{method: "GET", path: path + "?partNumber=1"})
	if a.body != "0123456789" || a.header.Get("Content-Range") != "bytes 0-9/10" || a.header.Get("x-amz-mp-parts-count") != "" {
		t.Errorf("part 1: %q, %v", a.body, a.header)
	}
	p := s.mustStatus(t, 416, call{method: "GET", path: path + "?partNumber=2"}).problem(t)
	if p.Code != "InvalidPartNumber" || p.Message != "The requested partnumber is not satisfiable" || p.field("ActualPartCount") != "1" {
		t.Errorf("part 2: %+v", p)
	}
}

func TestResponseOverrides(t *testing.T) {
	s := shared(t)
	bucket := s.bucket(t)
	s.put(t, bucket, "k", []byte("x"))
	query := "?response-content-type=text%2Fplain&response-content-disposition=attachment%3B%20filename%3D%22%EB%B9%84.txt%22&response-cache-control=no-store" +
		"&response-content-encoding=identity&response-content-language=ko&response-expires=Thu%2C%2001%20Jan%202200%2000%3A00%3A00%20GMT"
	for _, method := range []string{"GET", "HEAD"} {
		a := s.mustStatus(t, http.StatusOK, call{method: method, path: "/" + bucket + "/k" + query})
		for name, want := range map[string]string{
			"Content-Type": "text/plain", "Content-Disposition": `attachment; filename="비.txt"`, "Cache-Control": "no-store",
			"Content-Encoding": "identity", "Content-Language": "ko", "Expires": "Thu, 01 Jan 2200 00:00:00 GMT",
		} {
			if got := a.header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", method, name, got, want)
			}
		}
	}
}

func TestConditionalWrites(t *testing.T) {
	s, ctx := shared(t), t.Context()
	bucket := s.bucket(t)
	c := s.client()
	write := func(match, noneMatch string) error {
		in := &awss3.PutObjectInput{Bucket: &bucket, Key: aws.String("k"), Body: strings.NewReader("v" + match)}
		if match != "" {
			in.IfMatch = &match
		}
		if noneMatch != "" {
			in.IfNoneMatch = &noneMatch
		}
		_, err := c.PutObject(ctx, in)
		return err
	}
	wantCode(t, write(`"0123"`, ""), "NoSuchKey")
	if err := write("", "*"); err != nil {
		t.Fatal(err)
	}
	wantCode(t, write("", "*"), "PreconditionFailed")
	wantCode(t, write(`"0123"`, ""), "PreconditionFailed")
	head, err := c.HeadObject(ctx, &awss3.HeadObjectInput{Bucket: &bucket, Key: aws.String("k")})
	if err != nil {
		t.Fatal(err)
	}
	if err := write(*head.ETag, ""); err != nil {
		t.Fatal(err)
	}
	wantCode(t, write(*head.ETag, ""), "PreconditionFailed")
	wantCode(t, write("", `"0123"`), "NotImplemented")
	if got := s.get(t, bucket, "k"); string(got) != "v"+*head.ETag {
		t.Errorf("the object is %q", got)
	}
}

// keys are the names that file systems, paths and XML get wrong.
func keys() []string {
	return []string{
		"plain", "x", "x/y", "x/y/z", "x//y", "x/", "/x", "//", "/", "trailing/", "..", "../..", "a/../b", "a/./b", "./a", ".", "a/..", "...",
		"with space", " lead", "trail ", "a+b", "a%2Fb", "a%", "%", "a?b=c", "a#b", "a&b", "a;b", "a:b", "a@b", "a=b", "a,b", "a'b", `a"b`, `a\b`, "a<b>c",
		"a*b", "a~b", "(a)", "[a]", "{a}", "a|b", "a^b", "a`b", "!", "$", "보고서/비용 리포트+1.pdf", "ㅂㅣ", "\u1107\u1175\u110b\u116d\u11bc", "é", "e\u0301", "😀",
		"tab\there", "new\nline", "cr\rhere", "\x7f", strings.Repeat("k", 1024), strings.Repeat("가", 341) + "x", strings.Repeat("a/", 512), strings.Repeat("/", 1024),
	}
}

func TestKeysRoundTrip(t *testing.T) {
	s, ctx := shared(t), t.Context()
	for name, c := range map[string]*awss3.Client{"path": s.client(), "virtual host": s.client(virtualHost(s))} {
		t.Run(name, func(t *testing.T) {
			bucket := s.bucket(t)
			for i, key := range keys() {
				body := fmt.Sprintf("%d %q", i, key)
				if _, err := c.PutObject(ctx, &awss3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader(body)}); err != nil {
					t.Fatalf("putting %.60q: %v", key, err)
				}
			}
			for i, key := range keys() {
				out, err := c.GetObject(ctx, &awss3.GetObjectInput{Bucket: &bucket, Key: &key})
				if err != nil {
					t.Fatalf("getting %.60q: %v", key, err)
				}
				got, err := io.ReadAll(out.Body)
				_ = out.Body.Close()
				if want := fmt.Sprintf("%d %q", i, key); err != nil || string(got) != want {
					t.Errorf("%.60q holds %.80q, want %.80q (%v)", key, got, want, err)
				}
			}
			listed := map[string]bool{}
			pages := awss3.NewListObjectsV2Paginator(c, &awss3.ListObjectsV2Input{Bucket: &bucket, MaxKeys: aws.Int32(7)})
			last := ""
			for pages.HasMorePages() {
				page, err := pages.NextPage(ctx)
				if err != nil {
					t.Fatal(err)
				}
				for _, o := range page.Contents {
					if *o.Key <= last || listed[*o.Key] {
						t.Errorf("%.60q is listed after %.60q", *o.Key, last)
					}
					last = *o.Key
					listed[*o.Key] = true
				}
			}
			for _, key := range keys() {
				if !listed[key] {
					t.Errorf("%.60q is not listed", key)
				}
			}
			if len(listed) != len(keys()) {
				t.Errorf("%d keys are listed, want %d", len(listed), len(keys()))
			}
			for _, key := range keys() {
				if _, err := c.DeleteObject(ctx, &awss3.DeleteObjectInput{Bucket: &bucket, Key: &key}); err != nil {
					t.Fatalf("deleting %.60q: %v", key, err)
				}
			}
			if out, err := c.ListObjectsV2(ctx, &awss3.ListObjectsV2Input{Bucket: &bucket}); err != nil || len(out.Contents) != 0 {
				t.Errorf("after deleting all there are %d objects, %v", len(out.Contents), err)
			}
		})
	}
}
