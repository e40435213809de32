package s3_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"postern/internal/policy"
	"postern/internal/s3"
)

func TestCopyObject(t *testing.T) {
	s, ctx := shared(t), t.Context()
	from, to := s.bucket(t), s.bucket(t)
	c := s.client()
	const key = "a b+c/비 %.txt"
	if _, err := c.PutObject(ctx, &awss3.PutObjectInput{
		Bucket: &from, Key: aws.String(key), Body: strings.NewReader("hello"), ContentType: aws.String("text/plain"), CacheControl: aws.String("no-cache"),
		Metadata: map[string]string{"a": "1"}, Tagging: aws.String("t=1"), WebsiteRedirectLocation: aws.String("/x"), ChecksumAlgorithm: types.ChecksumAlgorithmSha256,
	}); err != nil {
		t.Fatal(err)
	}
	encoded := url.QueryEscape(key)
	path := strings.ReplaceAll(strings.ReplaceAll(encoded, "%2F", "/"), "+", "%20")
	for i, source := range []string{from + "/" + path, "/" + from + "/" + path, from + "/" + encoded, from + "%2F" + encoded, from + "/" + path + "?versionId=null"} {
		t.Run(source, func(t *testing.T) {
			dest := fmt.Sprintf("copy-%d", i)
			out, err := c.CopyObject(ctx, &awss3.CopyObjectInput{Bucket: &to, Key: &dest, CopySource: &source})
			if err != nil {
				t.Fatal(err)
			}
			head, err := c.HeadObject(ctx, &awss3.HeadObjectInput{Bucket: &to, Key: &dest, ChecksumMode: types.ChecksumModeEnabled})
			if err != nil {
				t.Fatal(err)
			}
			if *head.ETag != *out.CopyObjectResult.ETag || *head.ETag != `"5d41402abc4b2a76b9719d911017c592"` || out.CopyObjectResult.LastModified == nil ||
				*head.ContentType != "text/plain" || *head.CacheControl != "no-cache" || head.Metadata["a"] != "1" || aws.ToInt32(head.TagCount) != 1 ||
				head.WebsiteRedirectLocation != nil || aws.ToString(head.ChecksumSHA256) == "" || *head.ChecksumSHA256 != *out.CopyObjectResult.ChecksumSHA256 {
				t.Errorf("the copy is %+v", head)
			}
			if got := s.get(t, to, dest); string(got) != "hello" {
				t.Errorf("the copy holds %q", got)
			}
		})
	}
	source := aws.String(from + "/" + path)
	copyWith := func(change func(*awss3.CopyObjectInput)) (*awss3.HeadObjectOutput, error) {
		t.Helper()
		in := &awss3.CopyObjectInput{Bucket: &to, Key: aws.String("changed"), CopySource: source}
		change(in)
		if _, err := c.CopyObject(ctx, in); err != nil {
			return nil, err
		}
		return c.HeadObject(ctx, &awss3.HeadObjectInput{Bucket: in.Bucket, Key: in.Key, ChecksumMode: types.ChecksumModeEnabled})
	}
	// Metadata anew, tags kept.
	head, err := copyWith(func(in *awss3.CopyObjectInput) {
		in.MetadataDirective, in.ContentType, in.Metadata = types.MetadataDirectiveReplace, aws.String("text/html"), map[string]string{"b": "2"}
	})
	if err != nil || *head.ContentType != "text/html" || head.CacheControl != nil || len(head.Metadata) != 1 || head.Metadata["b"] != "2" || aws.ToInt32(head.TagCount) != 1 {
		t.Errorf("with other metadata: %+v, %v", head, err)
	}
	// Tags anew, metadata kept. Headers without the directive change nothing.
	head, err = copyWith(func(in *awss3.CopyObjectInput) {
		in.TaggingDirective, in.Tagging, in.ContentType = types.TaggingDirectiveReplace, aws.String("x=1&y=2"), aws.String("text/html")
	})
	if err != nil || *head.ContentType != "text/plain" || head.Metadata["a"] != "1" || aws.ToInt32(head.TagCount) != 2 {
		t.Errorf("with other tags: %+v, %v", head, err)
	}
	// Another checksum.
	head, err = copyWith(func(in *awss3.CopyObjectInput) { in.ChecksumAlgorithm = types.ChecksumAlgorithmCrc32 })
	if err != nil || aws.ToString(head.ChecksumCRC32) != "NhCmhg==" || head.ChecksumSHA256 != nil || head.Metadata["a"] != "1" || aws.ToInt32(head.TagCount) != 1 {
		t.Errorf("with another checksum: %+v, %v", head, err)
	}
	// The object's own metadata.
	self := func(in *awss3.CopyObjectInput) {
		in.Bucket, in.Key, in.MetadataDirective, in.Metadata = &from, aws.String(key), types.MetadataDirectiveReplace, map[string]string{"self": "yes"}
	}
	if head, err = copyWith(self); err != nil || head.Metadata["self"] != "yes" || string(s.get(t, from, key)) != "hello" {
		t.Errorf("onto itself: %+v, %v", head, err)
	}
}

func TestCopyConditions(t *testing.T) {
	s := shared(t)
	bucket := s.bucket(t)
	s.put(t, bucket, "k", []byte("hello"))
	s.put(t, bucket, "there", []byte("there"))
	const etag = `"5d41402abc4b2a76b9719d911017c592"`
	const old, future = "Mon, 02 Jan 2006 15:04:05 GMT", "Sat, 01 Jan 2200 00:00:00 GMT"
	source := func(name string) string { return "x-amz-copy-source-" + name }
	for _, tt := range []struct {
		name   string
		header map[string]string
		status int
		blamed string
	}{
		{"match", map[string]string{source("if-match"): etag}, 200, ""},
		{"no match", map[string]string{source("if-match"): `"0"`}, 412, "x-amz-copy-source-If-Match"},
		{"none match", map[string]string{source("if-none-match"): etag}, 412, "x-amz-copy-source-If-None-Match"},
		{"none of others", map[string]string{source("if-none-match"): `"0"`}, 200, ""},
		{"modified", map[string]string{source("if-modified-since"): old}, 200, ""},
		{"not modified", map[string]string{source("if-modified-since"): future}, 412, "x-amz-copy-source-If-Modified-Since"},
		{"unmodified", map[string]string{source("if-unmodified-since"): future}, 200, ""},
		{"was modified", map[string]string{source("if-unmodified-since"): old}, 412, "x-amz-copy-source-If-Unmodified-Since"},
		// S3's documented precedence.
		{"match wins", map[string]string{source("if-match"): etag, source("if-unmodified-since"): old}, 200, ""},
		{"none match wins", map[string]string{source("if-none-match"): etag, source("if-modified-since"): old}, 412, "x-amz-copy-source-If-None-Match"},
		{"destination there", map[string]string{"If-None-Match": "*"}, 412, "If-None-Match"},
		{"destination another", map[string]string{"If-Match": etag}, 412, "If-Match"},
	} {
		for _, checksum := range []string{"", "SHA1"} { // the second copies by reading
			t.Run(tt.name+" "+checksum, func(t *testing.T) {
				s.put(t, bucket, "there", []byte("there"))
				header := map[string]string{"x-amz-copy-source": bucket + "/k"}
				for k, v := range tt.header {
					header[k] = v
				}
				if checksum != "" {
					header["x-amz-checksum-algorithm"] = checksum
				}
				a := s.mustStatus(t, tt.status, call{method: "PUT", path: "/" + bucket + "/there", header: header})
				want := "hello"
				if tt.status == 412 {
					want = "there"
					if p := a.problem(t); p.Code != "PreconditionFailed" || p.field("Condition") != tt.blamed {
						t.Errorf("refused with %+v", p)
					}
				}
				if got := s.get(t, bucket, "there"); string(got) != want {
					t.Errorf("the destination holds %q", got)
				}
			})
		}
	}
	a := s.mustStatus(t, http.StatusNotFound, call{method: "PUT", path: "/" + bucket + "/nobody", header: map[string]string{"x-amz-copy-source": bucket + "/k", "If-Match": etag}})
	if p := a.problem(t); p.Code != "NoSuchKey" || p.field("Key") != "nobody" {
		t.Errorf("If-Match without an object: %+v", p)
	}
}

func TestUploadPartCopy(t *testing.T) {
	s, ctx := shared(t), t.Context()
	bucket := s.bucket(t)
	c := s.client()
	body := noise(4, 2*partSize)
	s.put(t, bucket, "비 source", body)
	up, err := c.CreateMultipartUpload(ctx, &awss3.CreateMultipartUploadInput{Bucket: &bucket, Key: aws.String("k"), ChecksumAlgorithm: types.ChecksumAlgorithmSha256})
	if err != nil {
		t.Fatal(err)
	}
	source := aws.String(bucket + "/" + url.PathEscape("비 source"))
	var parts []types.CompletedPart
	for i, r := range []string{fmt.Sprintf("bytes=%d-%d", partSize, 2*partSize-1), "", "bytes=5-9"} {
		in := &awss3.UploadPartCopyInput{Bucket: &bucket, Key: aws.String("k"), UploadId: up.UploadId, PartNumber: aws.Int32(int32(i + 1)), CopySource: source}
		if r != "" {
			in.CopySourceRange = &r
		}
		out, err := c.UploadPartCopy(ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		if out.CopyPartResult.ChecksumSHA256 == nil || out.CopyPartResult.LastModified == nil {
			t.Errorf("part %d is %+v", i+1, out.CopyPartResult)
		}
		parts = append(parts, types.CompletedPart{PartNumber: in.PartNumber, ETag: out.CopyPartResult.ETag, ChecksumSHA256: out.CopyPartResult.ChecksumSHA256})
	}
	path := "/" + bucket + "/k?partNumber=9&uploadId=" + *up.UploadId
	for r, message := range map[string]string{
		"bytes=0-":                            "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy",
		"0-1":                                 "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy",
		"bytes=5-4":                           "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy",
		fmt.Sprintf("bytes=0-%d", 2*partSize): fmt.Sprintf("Range specified is not valid for source object of size: %d", 2*partSize),
	} {
		p := s.mustStatus(t, 400, call{method: "PUT", path: path, header: map[string]string{"x-amz-copy-source": *source, "x-amz-copy-source-range": r}}).problem(t)
		if p.Code != "InvalidArgument" || p.Message != message || p.field("ArgumentName") != "x-amz-copy-source-range" || p.field("ArgumentValue") != r {
			t.Errorf("%s: %+v", r, p)
		}
	}
	p := s.mustStatus(t, 412, call{method: "PUT", path: path, header: map[string]string{"x-amz-copy-source": *source, "x-amz-copy-source-if-match": `"0"`}}).problem(t)
	if p.Code != "PreconditionFailed" {
		t.Errorf("with a condition: %+v", p)
	}
	if _, err := c.CompleteMultipartUpload(ctx, &awss3.CompleteMultipartUploadInput{
		Bucket: &bucket, Key: aws.String("k"), UploadId: up.UploadId, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
	}); err != nil {
		t.Fatal(err)
	}
	want := bytes.Join([][]byte{body[partSize:], body, body[5:10]}, nil)
	if got := s.get(t, bucket, "k"); !bytes.Equal(got, want) {
		t.Errorf("the object came back as %d bytes, want %d", len(got), len(want))
	}
}

// A copy reads as the caller: who may write here and not read there copies nothing.
func TestCopyIsDecidedTwice(t *testing.T) {
	s := newServer(t, serverConfig{decider: deciderFunc(func(who policy.Caller, req policy.Request) bool {
		return who.Account == account && !(req.Action == "s3:GetObject" && strings.HasSuffix(req.Resource, "/secret"))
	})})
	bucket := s.bucket(t)
	s.put(t, bucket, "secret", []byte("hello"))
	s.put(t, bucket, "open", []byte("hello"))
	ctx := t.Context()
	in := func(from string) s3.CopyObjectInput {
		return s3.CopyObjectInput{Bucket: bucket, Key: "copy", CopySource: s3.CopySource{CopySource: bucket + "/" + from}}
	}
	if _, err := s.engine.CopyObject(ctx, owner, in("secret")); !isDenied(err) {
		t.Errorf("a copy of what may not be read: %v", err)
	}
	if _, err := s.engine.UploadPartCopy(ctx, owner, s3.UploadPartCopyInput{Bucket: bucket, Key: "k", UploadId: "u", PartNumber: "1",
		CopySource: s3.CopySource{CopySource: bucket + "/secret"}}); !isDenied(err) {
		t.Errorf("a part of what may not be read: %v", err)
	}
	before := len(s.recorder.Events())
	if _, err := s.engine.CopyObject(ctx, owner, in("open")); err != nil {
		t.Fatal(err)
	}
	events := s.recorder.Events()[before:]
	if len(events) != 2 || events[0].EventName != "GetObject" || events[1].EventName != "CopyObject" {
		t.Errorf("a copy left %+v", events)
	}
	s.recorder.Fail(errors.New("no space"))
	if _, err := s.engine.CopyObject(ctx, owner, in("open")); err == nil {
		t.Error("a copy that is not audited succeeded")
	}
}
