package s3_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// upload sends an object in parts as SDKs' upload managers do: the checksums that a part's answer names
// are named again when the upload is completed.
func upload(t *testing.T, c *awss3.Client, in *awss3.CreateMultipartUploadInput, parts ...[]byte) *awss3.CompleteMultipartUploadOutput {
	t.Helper()
	up, err := c.CreateMultipartUpload(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	completed := sendParts(t, c, up, parts...)
	out, err := c.CompleteMultipartUpload(t.Context(), &awss3.CompleteMultipartUploadInput{
		Bucket: in.Bucket, Key: in.Key, UploadId: up.UploadId, MultipartUpload: &types.CompletedMultipartUpload{Parts: completed},
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func sendParts(t *testing.T, c *awss3.Client, up *awss3.CreateMultipartUploadOutput, parts ...[]byte) (completed []types.CompletedPart) {
	t.Helper()
	for i, p := range parts {
		out, err := c.UploadPart(t.Context(), &awss3.UploadPartInput{
			Bucket: up.Bucket, Key: up.Key, UploadId: up.UploadId, PartNumber: aws.Int32(int32(i + 1)), Body: bytes.NewReader(p),
			ChecksumAlgorithm: up.ChecksumAlgorithm,
		})
		if err != nil {
			t.Fatal(err)
		}
		completed = append(completed, types.CompletedPart{
			PartNumber: aws.Int32(int32(i + 1)), ETag: out.ETag, ChecksumCRC32: out.ChecksumCRC32, ChecksumCRC32C: out.ChecksumCRC32C,
			ChecksumCRC64NVME: out.ChecksumCRC64NVME, ChecksumSHA1: out.ChecksumSHA1, ChecksumSHA256: out.ChecksumSHA256,
		})
	}
	return completed
}

func TestMultipartUpload(t *testing.T) {
	s, ctx := shared(t), t.Context()
	bucket := s.bucket(t)
	parts := [][]byte{noise(1, partSize), noise(2, partSize), noise(3, 1000)}
	whole := slices.Concat(parts...)
	for _, tt := range []struct {
		algorithm types.ChecksumAlgorithm
		kind      types.ChecksumType
		want      types.ChecksumType
	}{
		{"", "", types.ChecksumTypeFullObject}, // the SDK sends CRC32 with each part all the same
		{types.ChecksumAlgorithmCrc32, "", types.ChecksumTypeComposite},
		{types.ChecksumAlgorithmCrc32, types.ChecksumTypeFullObject, types.ChecksumTypeFullObject},
		{types.ChecksumAlgorithmCrc32c, types.ChecksumTypeFullObject, types.ChecksumTypeFullObject},
		{types.ChecksumAlgorithmCrc64nvme, "", types.ChecksumTypeFullObject},
		{types.ChecksumAlgorithmSha1, "", types.ChecksumTypeComposite},
		{types.ChecksumAlgorithmSha256, "", types.ChecksumTypeComposite},
	} {
		t.Run(fmt.Sprintf("%s %s", tt.algorithm, tt.kind), func(t *testing.T) {
			c := s.client(overTLS(s))
			key := aws.String("video.mp4")
			out := upload(t, c, &awss3.CreateMultipartUploadInput{
				Bucket: &bucket, Key: key, ContentType: aws.String("video/mp4"), Metadata: map[string]string{"a": "b"},
				ChecksumAlgorithm: tt.algorithm, ChecksumType: tt.kind,
			}, parts...)
			if !strings.HasSuffix(aws.ToString(out.ETag), `-3"`) || out.ChecksumType != tt.want || *out.Bucket != bucket || *out.Key != *key {
				t.Errorf("completed: %+v", out)
			}
			get, err := c.GetObject(ctx, &awss3.GetObjectInput{Bucket: &bucket, Key: key, ChecksumMode: types.ChecksumModeEnabled})
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(get.Body)
			_ = get.Body.Close()
			if err != nil || !bytes.Equal(body, whole) {
				t.Fatalf("the object came back as %d bytes, %v", len(body), err)
			}
			if aws.ToString(get.ContentType) != "video/mp4" || get.Metadata["a"] != "b" || aws.ToString(get.ETag) != *out.ETag || get.ChecksumType != tt.want {
				t.Errorf("got: %+v", get)
			}
			sums := []*string{get.ChecksumCRC32, get.ChecksumCRC32C, get.ChecksumCRC64NVME, get.ChecksumSHA1, get.ChecksumSHA256}
			made := []*string{out.ChecksumCRC32, out.ChecksumCRC32C, out.ChecksumCRC64NVME, out.ChecksumSHA1, out.ChecksumSHA256}
			found := 0
			for i := range sums {
				if aws.ToString(sums[i]) != aws.ToString(made[i]) {
					t.Errorf("the checksum is %q and was %q", aws.ToString(sums[i]), aws.ToString(made[i]))
				}
				if sums[i] != nil {
					found++
					if composite := strings.HasSuffix(*sums[i], "-3"); composite != (tt.want == types.ChecksumTypeComposite) {
						t.Errorf("the checksum %s is said to be %s", *sums[i], tt.want)
					}
				}
			}
			if found != 1 {
				t.Errorf("%d checksums", found)
			}
			for n, part := range parts {
				out, err := c.GetObject(ctx, &awss3.GetObjectInput{Bucket: &bucket, Key: key, PartNumber: aws.Int32(int32(n + 1)), ChecksumMode: types.ChecksumModeEnabled})
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(out.Body)
				_ = out.Body.Close()
				if err != nil || !bytes.Equal(body, part) || aws.ToInt32(out.PartsCount) != 3 {
					t.Errorf("part %d came back as %d bytes of %d parts, %v", n+1, len(body), aws.ToInt32(out.PartsCount), err)
				}
			}
			_, err = c.HeadObject(ctx, &awss3.HeadObjectInput{Bucket: &bucket, Key: key, PartNumber: aws.Int32(4)})
			if err == nil {
				t.Error("there is a part 4")
			}
			// A range over the border of two parts.
			r := s.mustStatus(t, http.StatusPartialContent, call{method: "GET", path: "/" + bucket + "/video.mp4", header: map[string]string{"Range": fmt.Sprintf("bytes=%d-%d", partSize-3, partSize+2)}})
			if r.body != string(whole[partSize-3:partSize+3]) {
				t.Error("the bytes at the border of two parts are others")
			}
		})
	}
}

// A client that knows nothing of checksums: the object gets CRC64NVME, and parts may bring any checksum.
func TestMultipartWithoutChecksums(t *testing.T) {
	s := shared(t)
	bucket := s.bucket(t)
	path := "/" + bucket + "/k"
	created := s.mustStatus(t, http.StatusOK, call{method: "POST", path: path + "?uploads"})
	if created.header.Get("x-amz-checksum-algorithm") != "" {
		t.Errorf("the answer names the algorithm %s", created.header.Get("x-amz-checksum-algorithm"))
	}
	id := between(created.body, "<UploadId>", "<")
	part := s.mustStatus(t, http.StatusOK, call{method: "PUT", path: path + "?partNumber=3&uploadId=" + id, body: "hello", header: map[string]string{"x-amz-checksum-crc32": "NhCmhg=="}})
	s.mustStatus(t, http.StatusOK, call{method: "PUT", path: path + "?partNumber=3&uploadId=" + id, body: "hello"})
	complete := fmt.Sprintf(`<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Part><PartNumber>3</PartNumber><ETag>%s</ETag></Part></CompleteMultipartUpload>`,
		strings.Trim(part.header.Get("ETag"), `"`))
	done := s.mustStatus(t, http.StatusOK, call{method: "POST", path: path + "?uploadId=" + id, body: complete})
	if !strings.Contains(done.body, "<ChecksumCRC64NVME>") || !strings.Contains(done.body, "<ChecksumType>FULL_OBJECT</ChecksumType>") ||
		!strings.Contains(done.body, "<Location>/"+bucket+"/k</Location>") {
		t.Errorf("completed: %s", done.body)
	}
	// A client that lost the answer asks again.
	again := s.mustStatus(t, http.StatusOK, call{method: "POST", path: path + "?uploadId=" + id, body: complete})
	if between(again.body, "<ETag>", "<") != between(done.body, "<ETag>", "<") {
		t.Errorf("completed again: %s", again.body)
	}
	if got := s.get(t, bucket, "k"); string(got) != "hello" {
		t.Errorf("the object is %q", got)
	}
}

// between is the text after one mark and before the next.
func between(s, from, to string) string {
	_, s, _ = strings.Cut(s, from)
	s, _, _ = strings.Cut(s, to)
	return s
}

func TestMultipartRefusals(t *testing.T) {
	s, ctx := newServer(t, serverConfig{}), t.Context()
	bucket := s.bucket(t)
	path := "/" + bucket + "/k"
	begin := func(header map[string]string) string {
		t.Helper()
		return between(s.mustStatus(t, http.StatusOK, call{method: "POST", path: path + "?uploads", header: header}).body, "<UploadId>", "<")
	}
	part := func(id string, n int, body string, header map[string]string) answer {
		t.Helper()
		return s.do(t, call{method: "PUT", path: fmt.Sprintf("%s?partNumber=%d&uploadId=%s", path, n, id), body: body, header: header})
	}
	complete := func(id, parts string, header map[string]string) answer {
		t.Helper()
		return s.do(t, call{method: "POST", path: path + "?uploadId=" + id, body: "<CompleteMultipartUpload>" + parts + "</CompleteMultipartUpload>", header: header})
	}
	refused := func(a answer, status int, code, message string, fields ...string) {
		t.Helper()
		if a.status != status {
			t.Errorf("answered %d, want %d: %s", a.status, status, a.body)
			return
		}
		p := a.problem(t)
		if p.Code != code || p.Message != message {
			t.Errorf("refused with %s: %s; want %s: %s", p.Code, p.Message, code, message)
		}
		for i := 0; i < len(fields); i += 2 {
			if p.field(fields[i]) != fields[i+1] {
				t.Errorf("%s is %q, want %q", fields[i], p.field(fields[i]), fields[i+1])
			}
		}
	}
	const (
		invalidPart = "One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified entity tag may not match the part's entity tag."
		notFound    = "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."
		hello       = `"5d41402abc4b2a76b9719d911017c592"`
	)
	one := func(n int, etag string) string {
		return fmt.Sprintf("<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>", n, etag)
	}

	id := begin(nil)
	part(id, 1, "hello", nil)
	part(id, 2, "hello", nil)
	refused(complete(id, one(3, hello), nil), 400, "InvalidPart", invalidPart, "PartNumber", "3", "UploadId", id)
	refused(complete(id, one(1, `"0123"`), nil), 400, "InvalidPart", invalidPart, "PartNumber", "1")
	refused(complete(id, one(2, hello)+one(1, hello), nil), 400, "InvalidPartOrder", "The list of parts was not in ascending order. Parts must be ordered by part number.", "UploadId", id)
	refused(complete(id, one(1, hello)+one(2, hello), nil), 400, "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size",
		"ProposedSize", "5", "MinSizeAllowed", "5242880", "PartNumber", "1")
	refused(complete(id, one(1, ""), nil), 400, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
	refused(complete(id, one(1, hello), map[string]string{"x-amz-mp-object-size": "6"}), 400, "InvalidRequest", "The provided 'x-amz-mp-object-size' header value 6 does not match what was computed: 5")
	refused(complete(id, one(1, hello), map[string]string{"x-amz-checksum-crc64nvme": "AAAAAAAAAAA="}), 400, "BadDigest", "The CRC64NVME you specified did not match the calculated checksum.")
	refused(complete(id, one(1, hello), map[string]string{"x-amz-checksum-sha256": "x"}), 400, "InvalidRequest", "Checksum Type mismatch occurred, expected checksum Type: crc64nvme, actual checksum Type: sha256")
	refused(complete(id, one(1, hello), map[string]string{"x-amz-checksum-type": "COMPOSITE"}), 400, "InvalidRequest", "The upload was created using the FULL_OBJECT checksum mode. The complete request must use the same checksum mode.")
	refused(complete(id, one(1, hello), map[string]string{"If-None-Match": `"x"`}), 400, "NotImplemented", "A header you provided implies functionality that is not implemented", "Header", "If-None-Match")
	s.put(t, bucket, "k", []byte("there"))
	refused(complete(id, one(1, hello), map[string]string{"If-None-Match": "*"}), 412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold", "Condition", "If-None-Match")
	refused(complete(id, one(1, hello), map[string]string{"If-Match": `"x"`}), 412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold", "Condition", "If-Match")
	if got := s.get(t, bucket, "k"); string(got) != "there" {
		t.Errorf("a refused completion has changed the object to %q", got)
	}
	if a := complete(id, one(1, hello), map[string]string{"x-amz-mp-object-size": "5", "x-amz-checksum-crc64nvme": "M3eFcAZSQlc="}); a.status != 200 {
		t.Errorf("completing rightly: %s", a.body)
	}

	sha := begin(map[string]string{"x-amz-checksum-algorithm": "SHA256"})
	refused(part(sha, 1, "hello", nil), 400, "InvalidRequest", "Checksum Type mismatch occurred, expected checksum Type: sha256, actual checksum Type: null")
	refused(part(sha, 1, "hello", map[string]string{"x-amz-checksum-crc32": "NhCmhg=="}), 400, "InvalidRequest", "Checksum Type mismatch occurred, expected checksum Type: sha256, actual checksum Type: crc32")
	const sum = "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="
	if a := part(sha, 1, "hello", map[string]string{"x-amz-checksum-sha256": sum}); a.status != 200 || a.header.Get("x-amz-checksum-sha256") != sum {
		t.Errorf("a part with its checksum: %d %v", a.status, a.header)
	}
	refused(complete(sha, one(1, hello), nil), 400, "InvalidRequest", "The upload was created using a sha256 checksum. The complete request must include the checksum for each part. It was missing for part 1 in the request.")
	wrong := "<Part><PartNumber>1</PartNumber><ETag>" + hello + "</ETag><ChecksumSHA256>" + strings.Replace(sum, "L", "M", 1) + "</ChecksumSHA256></Part>"
	refused(complete(sha, wrong, nil), 400, "InvalidPart", invalidPart, "PartNumber", "1")

	c := s.client()
	if _, err := c.AbortMultipartUpload(ctx, &awss3.AbortMultipartUploadInput{Bucket: &bucket, Key: aws.String("k"), UploadId: &sha}); err != nil {
		t.Fatal(err)
	}
	refused(part(sha, 1, "hello", nil), 404, "NoSuchUpload", notFound, "UploadId", sha)
	// An upload belongs to its key.
	other := begin(nil)
	a := s.do(t, call{method: "PUT", path: "/" + bucket + "/another?partNumber=1&uploadId=" + other, body: "x"})
	refused(a, 404, "NoSuchUpload", notFound, "UploadId", other)
}

func TestListPartsAndUploads(t *testing.T) {
	s, ctx := shared(t), t.Context()
	bucket := s.bucket(t)
	c := s.client()
	var ids []string
	for _, key := range []string{"a/1", "a/2", "b 비", "b 비", "c"} {
		up, err := c.CreateMultipartUpload(ctx, &awss3.CreateMultipartUploadInput{Bucket: &bucket, Key: &key, ChecksumAlgorithm: types.ChecksumAlgorithmSha256})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, *up.UploadId)
	}
	for _, n := range []int32{1, 2, 7, 9999, 10000} {
		if _, err := c.UploadPart(ctx, &awss3.UploadPartInput{Bucket: &bucket, Key: aws.String("c"), UploadId: &ids[4], PartNumber: aws.Int32(n),
			Body: strings.NewReader(fmt.Sprint(n)), ChecksumAlgorithm: types.ChecksumAlgorithmSha256}); err != nil {
			t.Fatal(err)
		}
	}
	var numbers []int32
	pages := awss3.NewListPartsPaginator(c, &awss3.ListPartsInput{Bucket: &bucket, Key: aws.String("c"), UploadId: &ids[4], MaxParts: aws.Int32(2)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if page.ChecksumAlgorithm != types.ChecksumAlgorithmSha256 || page.ChecksumType != types.ChecksumTypeComposite || *page.MaxParts != 2 || page.Owner == nil || page.Initiator == nil {
			t.Errorf("the page is %+v", page)
		}
		for _, p := range page.Parts {
			numbers = append(numbers, *p.PartNumber)
			if *p.Size != int64(len(fmt.Sprint(*p.PartNumber))) || p.ChecksumSHA256 == nil || p.LastModified == nil {
				t.Errorf("the part is %+v", p)
			}
		}
	}
	if !slices.Equal(numbers, []int32{1, 2, 7, 9999, 10000}) {
		t.Errorf("the parts are %v", numbers)
	}
	var found []string
	in := &awss3.ListMultipartUploadsInput{Bucket: &bucket, MaxUploads: aws.Int32(1), EncodingType: types.EncodingTypeUrl}
	for {
		page, err := c.ListMultipartUploads(ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range page.Uploads {
			found = append(found, decoded(*u.Key, "url")+" "+*u.UploadId)
			if u.ChecksumAlgorithm != types.ChecksumAlgorithmSha256 || u.Initiated == nil {
				t.Errorf("the upload is %+v", u)
			}
		}
		if !*page.IsTruncated {
			break
		}
		next := decoded(*page.NextKeyMarker, "url")
		in.KeyMarker, in.UploadIdMarker = &next, page.NextUploadIdMarker
	}
	want := []string{"a/1 " + ids[0], "a/2 " + ids[1], "b 비 " + ids[2], "b 비 " + ids[3], "c " + ids[4]}
	slices.Sort(want)
	slices.Sort(found)
	if !slices.Equal(found, want) {
		t.Errorf("the uploads are\n%q, want\n%q", found, want)
	}
	folded, err := c.ListMultipartUploads(ctx, &awss3.ListMultipartUploadsInput{Bucket: &bucket, Delimiter: aws.String("/")})
	if err != nil || len(folded.CommonPrefixes) != 1 || *folded.CommonPrefixes[0].Prefix != "a/" || len(folded.Uploads) != 3 {
		t.Errorf("folded: %+v, %v", folded, err)
	}
	if out, err := c.ListMultipartUploads(ctx, &awss3.ListMultipartUploadsInput{Bucket: &bucket, MaxUploads: aws.Int32(0)}); err != nil || len(out.Uploads) != 0 || *out.IsTruncated {
		t.Errorf("none at all: %+v, %v", out, err)
	}
}
