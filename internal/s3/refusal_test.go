package s3_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"postern/internal/audit"
	"postern/internal/awsapi/awsapitest"
	"postern/internal/policy"
	"postern/internal/s3"
)

func TestStrangersAreRefused(t *testing.T) {
	awsapitest.Strangers(t, shared(t).engine.Table())
}

// Every refusal, by status, code, text and further element.
func TestRefusals(t *testing.T) {
	s := shared(t)
	bucket := s.bucket(t)
	b, k := "/"+bucket, "/"+bucket+"/k"
	s.mustStatus(t, http.StatusOK, call{method: "PUT", path: k, body: "0123456789"})
	h := func(pairs ...string) map[string]string {
		m := map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i]] = pairs[i+1]
		}
		return m
	}
	long := strings.Repeat("k", 1025)
	tests := []struct {
		name          string
		c             call
		status        int
		code, message string
		field, value  string
	}{
		{"missing bucket", call{method: "GET", path: "/no-such-bucket/k"}, 404, "NoSuchBucket", "The specified bucket does not exist", "BucketName", "no-such-bucket"},
		{"missing bucket, list", call{method: "GET", path: "/no-such-bucket?list-type=2"}, 404, "NoSuchBucket", "The specified bucket does not exist", "BucketName", "no-such-bucket"},
		{"missing bucket, put", call{method: "PUT", path: "/no-such-bucket/k", body: "x"}, 404, "NoSuchBucket", "The specified bucket does not exist", "BucketName", "no-such-bucket"},
		{"missing bucket, delete", call{method: "DELETE", path: "/no-such-bucket"}, 404, "NoSuchBucket", "The specified bucket does not exist", "BucketName", "no-such-bucket"},
		{"bad bucket", call{method: "GET", path: "/No_Such/k"}, 400, "InvalidBucketName", "The specified bucket is not valid.", "BucketName", "No_Such"},
		{"missing key", call{method: "GET", path: b + "/none"}, 404, "NoSuchKey", "The specified key does not exist.", "Key", "none"},
		{"long key", call{method: "GET", path: b + "/" + long}, 400, "KeyTooLongError", "Your key is too long", "MaxSizeAllowed", "1024"},
		{"long key, put", call{method: "PUT", path: b + "/" + long, body: "x"}, 400, "KeyTooLongError", "Your key is too long", "Size", "1025"},
		{"key that is not UTF-8", call{method: "PUT", path: b + "/%FF", body: "x"}, 400, "InvalidURI", "Couldn't parse the specified URI.", "", ""},
		{"key with NUL", call{method: "PUT", path: b + "/a%00b", body: "x"}, 400, "InvalidURI", "Couldn't parse the specified URI.", "", ""},
		{"version", call{method: "GET", path: k + "?versionId=abc"}, 400, "InvalidArgument", "Invalid version id specified", "ArgumentName", "versionId"},
		{"range and part", call{method: "GET", path: k + "?partNumber=1", header: h("Range", "bytes=0-1")}, 400, "InvalidRequest", "Cannot specify both Range header and partNumber query parameter", "", ""},
		{"part number", call{method: "GET", path: k + "?partNumber=0"}, 400, "InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive", "ArgumentName", "partNumber"},
		{"owner", call{method: "GET", path: k, header: h("x-amz-expected-bucket-owner", "999999999999")}, 403, "AccessDenied", "Access Denied", "", ""},
		{"owner, put", call{method: "PUT", path: k, body: "x", header: h("x-amz-expected-bucket-owner", "999999999999")}, 403, "AccessDenied", "Access Denied", "", ""},
		{"public ACL", call{method: "PUT", path: k, body: "x", header: h("x-amz-acl", "public-read")}, 400, "AccessControlListNotSupported", "The bucket does not allow ACLs", "", ""},
		{"grant", call{method: "PUT", path: k, body: "x", header: h("x-amz-grant-read", `uri="http://acs.amazonaws.com/groups/global/AllUsers"`)}, 400, "AccessControlListNotSupported", "The bucket does not allow ACLs", "", ""},
		{"unknown ACL", call{method: "PUT", path: k, body: "x", header: h("x-amz-acl", "mine")}, 400, "InvalidArgument", "The canned ACL is not one that S3 knows", "ArgumentValue", "mine"},
		{"storage class", call{method: "PUT", path: k, body: "x", header: h("x-amz-storage-class", "GLACIER")}, 400, "InvalidStorageClass", "The storage class you specified is not valid", "StorageClassRequested", "GLACIER"},
		{"SSE-S3", call{method: "PUT", path: k, body: "x", header: h("x-amz-server-side-encryption", "AES256")}, 400, "NotImplemented", "Postern does not encrypt objects at rest yet and does not claim to; send the request without x-amz-server-side-encryption and keep the data folder on an encrypted disk", "Header", "x-amz-server-side-encryption"},
		{"SSE-KMS", call{method: "PUT", path: k, body: "x", header: h("x-amz-server-side-encryption", "aws:kms", "x-amz-server-side-encryption-aws-kms-key-id", "alias/x")}, 400, "NotImplemented", "Postern does not encrypt objects with KMS keys yet; send the request without x-amz-server-side-encryption", "", ""},
		{"KMS key alone", call{method: "PUT", path: k, body: "x", header: h("x-amz-server-side-encryption-bucket-key-enabled", "true")}, 400, "NotImplemented", "Postern does not encrypt objects with KMS keys yet; send the request without x-amz-server-side-encryption-* headers", "", ""},
		{"unknown SSE", call{method: "PUT", path: k, body: "x", header: h("x-amz-server-side-encryption", "rot13")}, 400, "InvalidEncryptionAlgorithmError", "The encryption request you specified is not valid. The valid value is AES256.", "", ""},
		{"SSE-C, get", call{method: "GET", path: k, header: h("x-amz-server-side-encryption-customer-algorithm", "AES256")}, 400, "NotImplemented", "Postern does not support encryption with customer-provided keys (SSE-C); send the request without x-amz-server-side-encryption-customer-* headers", "", ""},
		{"SSE-C, upload", call{method: "POST", path: k + "?uploads", header: h("x-amz-server-side-encryption-customer-key", "c2VjcmV0")}, 400, "NotImplemented", "Postern does not support encryption with customer-provided keys (SSE-C); send the request without x-amz-server-side-encryption-customer-* headers", "", ""},
		{"object lock", call{method: "PUT", path: k, body: "x", header: h("x-amz-object-lock-mode", "GOVERNANCE")}, 400, "InvalidRequest", "Bucket is missing Object Lock Configuration", "", ""},
		{"metadata", call{method: "PUT", path: k, body: "x", header: h("x-amz-meta-a", strings.Repeat("v", 2048))}, 400, "MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size", "Size", "2049"},
		{"tags twice", call{method: "PUT", path: k, body: "x", header: h("x-amz-tagging", "a=1&a=2")}, 400, "InvalidArgument", "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.", "ArgumentName", "x-amz-tagging"},
		{"too many tags", call{method: "PUT", path: k, body: "x", header: h("x-amz-tagging", "a&b&c&d&e&f&g&h&i&j&k")}, 400, "BadRequest", "Object tags cannot be greater than 10", "", ""},
		{"tag key", call{method: "PUT", path: k, body: "x", header: h("x-amz-tagging", "%21=1")}, 400, "InvalidTag", "The TagKey you have provided is invalid", "", ""},
		{"tag value", call{method: "PUT", path: k, body: "x", header: h("x-amz-tagging", "a=%21")}, 400, "InvalidTag", "The TagValue you have provided is invalid", "", ""},
		{"system tag", call{method: "PUT", path: k, body: "x", header: h("x-amz-tagging", "aws:a=1")}, 400, "InvalidTag", "System tags cannot be added/updated by requester", "", ""},
		{"sdk checksum alone", call{method: "PUT", path: k, body: "x", header: h("x-amz-sdk-checksum-algorithm", "CRC32")}, 400, "InvalidRequest", "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.", "", ""},
		{"write if modified", call{method: "PUT", path: k, body: "x", header: h("If-Unmodified-Since", "Mon, 02 Jan 2006 15:04:05 GMT")}, 400, "NotImplemented", "A header you provided implies functionality that is not implemented", "Header", "If-Unmodified-Since"},
		{"conditional delete", call{method: "DELETE", path: k, header: h("If-Match", `"x"`)}, 400, "NotImplemented", "Postern does not support conditional deletes yet; send the request without a condition", "", ""},
		{"append", call{method: "PUT", path: k, body: "x", header: h("x-amz-write-offset-bytes", "1")}, 400, "NotImplemented", "", "Header", "x-amz-write-offset-bytes"},
		{"anonymous override", call{method: "GET", path: k + "?response-content-type=text%2Fhtml", plain: true}, 403, "AccessDenied", "Access Denied", "", ""},
		{"anonymous", call{method: "GET", path: k, plain: true}, 403, "AccessDenied", "Access Denied", "", ""},

		{"policy", call{method: "GET", path: b + "?policy"}, 400, "NotImplemented", "", "", ""},
		{"acl", call{method: "PUT", path: b + "?acl", header: h("x-amz-acl", "private")}, 400, "NotImplemented", "", "", ""},
		{"versioning", call{method: "PUT", path: b + "?versioning", body: "<VersioningConfiguration/>"}, 400, "NotImplemented", "", "", ""},
		{"versions", call{method: "GET", path: b + "?versions"}, 400, "NotImplemented", "", "", ""},
		{"object acl", call{method: "GET", path: k + "?acl"}, 400, "NotImplemented", "", "", ""},
		{"put tagging", call{method: "PUT", path: k + "?tagging", body: "<Tagging/>"}, 400, "NotImplemented", "", "", ""},
		{"attributes", call{method: "GET", path: k + "?attributes", header: h("x-amz-object-attributes", "ETag")}, 400, "NotImplemented", "", "", ""},
		{"select", call{method: "POST", path: k + "?select&select-type=2", body: "<x/>"}, 400, "NotImplemented", "", "", ""},
		{"restore", call{method: "POST", path: k + "?restore", body: "<x/>"}, 400, "NotImplemented", "", "", ""},
		{"form upload", call{method: "POST", path: b, body: "x"}, 400, "NotImplemented", "", "", ""},

		{"max-keys", call{method: "GET", path: b + "?list-type=2&max-keys=x"}, 400, "InvalidArgument", "Provided max-keys not an integer or within integer range", "ArgumentName", "max-keys"},
		{"negative max-keys", call{method: "GET", path: b + "?list-type=2&max-keys=-1"}, 400, "InvalidArgument", "Argument maxKeys must be an integer between 0 and 2147483647", "ArgumentValue", "-1"},
		{"encoding", call{method: "GET", path: b + "?list-type=2&encoding-type=base64"}, 400, "InvalidArgument", "Invalid Encoding Method specified in Request", "ArgumentName", "encoding-type"},
		{"token", call{method: "GET", path: b + "?list-type=2&continuation-token=abc"}, 400, "InvalidArgument", "The continuation token provided is incorrect", "ArgumentName", "continuation-token"},
		{"prefix that is not UTF-8", call{method: "GET", path: b + "?list-type=2&prefix=%FF"}, 400, "InvalidArgument", "The prefix is not UTF-8", "ArgumentName", "prefix"},
		{"list v1 encoding", call{method: "GET", path: b + "?encoding-type=x"}, 400, "InvalidArgument", "Invalid Encoding Method specified in Request", "", ""},
		{"uploads' max", call{method: "GET", path: b + "?uploads&max-uploads=x"}, 400, "InvalidArgument", "Provided max-uploads not an integer or within integer range", "", ""},

		{"copy source without key", call{method: "PUT", path: b + "/c", header: h("x-amz-copy-source", bucket)}, 400, "InvalidArgument", "Copy Source must mention the source bucket and key: sourcebucket/sourcekey", "ArgumentName", "x-amz-copy-source"},
		{"copy source encoding", call{method: "PUT", path: b + "/c", header: h("x-amz-copy-source", bucket+"/%zz")}, 400, "InvalidArgument", "Invalid copy source encoding.", "", ""},
		{"copy source version", call{method: "PUT", path: b + "/c", header: h("x-amz-copy-source", bucket+"/k?versionId=1")}, 400, "InvalidArgument", "Invalid version id specified", "", ""},
		{"copy source bucket", call{method: "PUT", path: b + "/c", header: h("x-amz-copy-source", "no-such-bucket/k")}, 404, "NoSuchBucket", "The specified bucket does not exist", "BucketName", "no-such-bucket"},
		{"copy source key", call{method: "PUT", path: b + "/c", header: h("x-amz-copy-source", bucket+"/none")}, 404, "NoSuchKey", "The specified key does not exist.", "Key", "none"},
		{"copy source owner", call{method: "PUT", path: b + "/c", header: h("x-amz-copy-source", bucket+"/k", "x-amz-source-expected-bucket-owner", "999999999999")}, 403, "AccessDenied", "Access Denied", "", ""},
		{"copy source SSE-C", call{method: "PUT", path: b + "/c", header: h("x-amz-copy-source", bucket+"/k", "x-amz-copy-source-server-side-encryption-customer-algorithm", "AES256")}, 400, "NotImplemented", "Postern does not support encryption with customer-provided keys (SSE-C); send the request without x-amz-server-side-encryption-customer-* headers", "", ""},
		{"copy to itself", call{method: "PUT", path: k, header: h("x-amz-copy-source", bucket+"/k")}, 400, "InvalidRequest", "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.", "", ""},
		{"metadata directive", call{method: "PUT", path: b + "/c", header: h("x-amz-copy-source", bucket+"/k", "x-amz-metadata-directive", "MERGE")}, 400, "InvalidArgument", "Unknown metadata directive.", "ArgumentName", "x-amz-metadata-directive"},
		{"tagging directive", call{method: "PUT", path: b + "/c", header: h("x-amz-copy-source", bucket+"/k", "x-amz-tagging-directive", "MERGE")}, 400, "InvalidArgument", "Unknown tagging directive.", "ArgumentName", "x-amz-tagging-directive"},
		{"copy checksum", call{method: "PUT", path: b + "/c", header: h("x-amz-copy-source", bucket+"/k", "x-amz-checksum-algorithm", "XXHASH64")}, 400, "InvalidRequest", "Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]", "", ""},

		{"upload checksum type", call{method: "POST", path: k + "?uploads", header: h("x-amz-checksum-algorithm", "SHA256", "x-amz-checksum-type", "FULL_OBJECT")}, 400, "InvalidRequest", "The FULL_OBJECT checksum type cannot be used with the sha256 checksum algorithm.", "", ""},
		{"upload composite CRC64NVME", call{method: "POST", path: k + "?uploads", header: h("x-amz-checksum-algorithm", "CRC64NVME", "x-amz-checksum-type", "COMPOSITE")}, 400, "InvalidRequest", "The COMPOSITE checksum type cannot be used with the crc64nvme checksum algorithm.", "", ""},
		{"upload type alone", call{method: "POST", path: k + "?uploads", header: h("x-amz-checksum-type", "COMPOSITE")}, 400, "InvalidRequest", "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.", "", ""},
		{"upload type unknown", call{method: "POST", path: k + "?uploads", header: h("x-amz-checksum-algorithm", "CRC32", "x-amz-checksum-type", "SOME")}, 400, "InvalidRequest", "Value for x-amz-checksum-type header is invalid.", "", ""},
		{"upload algorithm", call{method: "POST", path: k + "?uploads", header: h("x-amz-checksum-algorithm", "SHA512")}, 400, "InvalidRequest", "Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]", "", ""},
		{"no upload, part", call{method: "PUT", path: k + "?partNumber=1&uploadId=none", body: "x"}, 404, "NoSuchUpload", "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.", "UploadId", "none"},
		{"no upload, part copy", call{method: "PUT", path: k + "?partNumber=1&uploadId=none", header: h("x-amz-copy-source", bucket+"/k")}, 404, "NoSuchUpload", "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.", "UploadId", "none"},
		{"no upload, abort", call{method: "DELETE", path: k + "?uploadId=none"}, 404, "NoSuchUpload", "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.", "", ""},
		{"no upload, parts", call{method: "GET", path: k + "?uploadId=none"}, 404, "NoSuchUpload", "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.", "", ""},
		{"no upload, complete", call{method: "POST", path: k + "?uploadId=none", body: `<CompleteMultipartUpload><Part><ETag>"x"</ETag><PartNumber>1</PartNumber></Part></CompleteMultipartUpload>`}, 404, "NoSuchUpload", "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.", "", ""},
		{"part 0", call{method: "PUT", path: k + "?partNumber=0&uploadId=none", body: "x"}, 400, "InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive", "ArgumentValue", "0"},
		{"part 10001", call{method: "PUT", path: k + "?partNumber=10001&uploadId=none", body: "x"}, 400, "InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive", "ArgumentValue", "10001"},
		{"no parts", call{method: "POST", path: k + "?uploadId=none", body: `<CompleteMultipartUpload/>`}, 400, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema", "", ""},
		{"part marker", call{method: "GET", path: k + "?uploadId=none&part-number-marker=x"}, 400, "InvalidArgument", "Provided part-number-marker not an integer or within integer range", "", ""},

		{"delete without MD5", call{method: "POST", path: b + "?delete", body: "<Delete><Object><Key>k</Key></Object></Delete>"}, 400, "InvalidRequest", "Missing required header for this request: Content-MD5", "", ""},
		{"delete of nothing", call{method: "POST", path: b + "?delete", body: "<Delete/>"}, 400, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema", "", ""},
		{"delete of nonsense", call{method: "POST", path: b + "?delete", body: "<Delete><Key>k</Key></Delete>"}, 400, "MalformedXML", "", "", ""},

		{"create, name", call{method: "PUT", path: "/Bad_Name"}, 400, "InvalidBucketName", "The specified bucket is not valid.", "BucketName", "Bad_Name"},
		{"create, twice", call{method: "PUT", path: b}, 409, "BucketAlreadyOwnedByYou", "Your previous request to create the named bucket succeeded and you already own it.", "BucketName", bucket},
		{"create, location", call{method: "PUT", path: "/fresh-name", body: "<CreateBucketConfiguration><LocationConstraint>us-east-1</LocationConstraint></CreateBucketConfiguration>"}, 400, "InvalidLocationConstraint", "The specified location-constraint is not valid", "LocationConstraint", "us-east-1"},
		{"create, nowhere", call{method: "PUT", path: "/fresh-name", body: "<CreateBucketConfiguration><LocationConstraint>nowhere</LocationConstraint></CreateBucketConfiguration>"}, 400, "InvalidLocationConstraint", "The specified location-constraint is not valid", "", ""},
		{"create, directory bucket", call{method: "PUT", path: "/fresh-name", body: "<CreateBucketConfiguration><Location><Name>x</Name></Location></CreateBucketConfiguration>"}, 400, "NotImplemented", "Postern has general purpose buckets only; send CreateBucketConfiguration without Location and Bucket", "", ""},
		{"create, tags", call{method: "PUT", path: "/fresh-name", body: "<CreateBucketConfiguration><Tags><Tag><Key>a</Key><Value>b</Value></Tag></Tags></CreateBucketConfiguration>"}, 400, "NotImplemented", "Postern does not keep tags of buckets yet; send CreateBucketConfiguration without Tags", "", ""},
		{"create, public", call{method: "PUT", path: "/fresh-name", header: h("x-amz-acl", "public-read")}, 400, "InvalidBucketAclWithObjectOwnership", "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting", "", ""},
		{"create, ownership", call{method: "PUT", path: "/fresh-name", header: h("x-amz-object-ownership", "ObjectWriter")}, 400, "NotImplemented", "Postern's buckets do not have ACLs; send x-amz-object-ownership: BucketOwnerEnforced, or leave it out", "", ""},
		{"create, bad ownership", call{method: "PUT", path: "/fresh-name", header: h("x-amz-object-ownership", "Mine")}, 400, "InvalidArgument", "Invalid x-amz-object-ownership header: Mine", "", ""},
		{"create, lock", call{method: "PUT", path: "/fresh-name", header: h("x-amz-bucket-object-lock-enabled", "true")}, 400, "NotImplemented", "Postern does not support object lock; send the request without x-amz-bucket-object-lock-enabled", "", ""},
		{"delete, not empty", call{method: "DELETE", path: b}, 409, "BucketNotEmpty", "The bucket you tried to delete is not empty", "BucketName", bucket},
		{"buckets' max", call{method: "GET", path: "/?max-buckets=0"}, 400, "InvalidArgument", "Argument max-buckets must be an integer between 1 and 10000", "", ""},
		{"buckets' token", call{method: "GET", path: "/?continuation-token=x"}, 400, "InvalidArgument", "The continuation token provided is incorrect", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := s.mustStatus(t, tt.status, tt.c)
			p := a.problem(t)
			if p.Code != tt.code || tt.message != "" && p.Message != tt.message {
				t.Fatalf("refused with %s: %s; want %s: %s", p.Code, p.Message, tt.code, tt.message)
			}
			if p.Code == "NotImplemented" && len(strings.Fields(p.Message)) < 5 {
				t.Errorf("the refusal is no sentence: %q", p.Message)
			}
			if tt.field != "" && p.field(tt.field) != tt.value {
				t.Errorf("%s is %q, want %q", tt.field, p.field(tt.field), tt.value)
			}
			if a.header.Get("x-amz-request-id") == "" || a.header.Get("x-amz-id-2") == "" || a.header.Get("Content-Type") != "application/xml" {
				t.Errorf("the headers are %v", a.header)
			}
		})
	}
	// None of them changed anything.
	if got := s.get(t, bucket, "k"); string(got) != "0123456789" {
		t.Errorf("after the refusals the object is %q", got)
	}
	for _, method := range []string{"HEAD"} {
		for path, status := range map[string]int{b + "/none": 404, "/no-such-bucket": 404, "/no-such-bucket/k": 404, k + "?versionId=x": 400} {
			if a := s.mustStatus(t, status, call{method: method, path: path}); a.body != "" {
				t.Errorf("HEAD %s answered a body: %q", path, a.body)
			}
		}
	}
}

func TestAcceptedAsSaid(t *testing.T) {
	s := shared(t)
	bucket := s.bucket(t)
	for name, header := range map[string]map[string]string{
		"owner":         {"x-amz-expected-bucket-owner": account},
		"payer":         {"x-amz-request-payer": "requester"},
		"ACL":           {"x-amz-acl": "bucket-owner-full-control"},
		"private":       {"x-amz-acl": "private"},
		"storage class": {"x-amz-storage-class": "STANDARD"},
		"no bucket key": {"x-amz-server-side-encryption-bucket-key-enabled": "false"},
		"metadata":      {"x-amz-meta-a": strings.Repeat("v", 2047)},
	} {
		t.Run(name, func(t *testing.T) {
			s.mustStatus(t, http.StatusOK, call{method: "PUT", path: "/" + bucket + "/k", body: "x", header: header})
		})
	}
	s.mustStatus(t, http.StatusOK, call{method: "GET", path: "/" + bucket + "/k?versionId=null&x-id=GetObject"})
}

// The edge reads as the CloudFront service principal, which may get objects and not list: what is missing
// is AccessDenied for it, as it is on S3 behind origin access control.
func TestEdgeCaller(t *testing.T) {
	s, ctx := shared(t), t.Context()
	bucket := s.bucket(t)
	s.put(t, bucket, "k", []byte("hello"))
	edge := policy.EdgeCaller("arn:aws:cloudfront::" + account + ":distribution/E2QWRUHAPOMQZL")
	out, err := s.engine.GetObject(ctx, edge, s3.GetObjectInput{Bucket: bucket, Key: "k"})
	if err != nil {
		t.Fatal(err)
	}
	_ = out.Body.Close()
	if _, err := s.engine.HeadObject(ctx, edge, s3.HeadObjectInput{Bucket: bucket, Key: "k"}); err != nil {
		t.Fatal(err)
	}
	denied := func(what string, err error) {
		t.Helper()
		var d *audit.Denied
		if !errors.As(err, &d) {
			t.Errorf("%s: %v, want a denial", what, err)
		}
	}
	_, err = s.engine.GetObject(ctx, edge, s3.GetObjectInput{Bucket: bucket, Key: "none"})
	denied("a missing key", err)
	_, err = s.engine.HeadObject(ctx, edge, s3.HeadObjectInput{Bucket: bucket, Key: "none"})
	denied("a missing key, HEAD", err)
	_, err = s.engine.PutObject(ctx, edge, s3.PutObjectInput{Bucket: bucket, Key: "k", Body: strings.NewReader("x"), ContentLength: 1})
	denied("a put", err)
	_, err = s.engine.ListObjectsV2(ctx, edge, s3.ListObjectsV2Input{Bucket: bucket})
	denied("a listing", err)
	_, err = s.engine.DeleteObject(ctx, edge, s3.DeleteObjectInput{Bucket: bucket, Key: "k"})
	denied("a delete", err)
	other := policy.EdgeCaller("arn:aws:cloudfront::999999999999:distribution/E2QWRUHAPOMQZL")
	_, err = s.engine.GetObject(ctx, other, s3.GetObjectInput{Bucket: bucket, Key: "k"})
	denied("another account's distribution", err)
	// A stranger cannot tell what exists: the same answer for what is there and what is not.
	for _, path := range []string{"/" + bucket + "/k", "/" + bucket + "/none", "/no-such-bucket/k", "/No_Such/k"} {
		p := s.mustStatus(t, 403, call{method: "GET", path: path, key: &s.stranger}).problem(t)
		if p.Code != "AccessDenied" || p.Message != "Access Denied" {
			t.Errorf("%s: %+v", path, p)
		}
	}
}

func TestEveryOperationIsAudited(t *testing.T) {
	s, ctx := newServer(t, serverConfig{}), t.Context()
	c := s.client()
	bucket := s.bucket(t)
	key := aws.String("k")
	steps := []struct {
		name string
		call func() error
	}{
		{"PutObject", func() error {
			_, err := c.PutObject(ctx, &awss3.PutObjectInput{Bucket: &bucket, Key: key, Body: strings.NewReader("x")})
			return err
		}},
		{"HeadObject", func() error {
			_, err := c.HeadObject(ctx, &awss3.HeadObjectInput{Bucket: &bucket, Key: key})
			return err
		}},
		{"HeadBucket", func() error { _, err := c.HeadBucket(ctx, &awss3.HeadBucketInput{Bucket: &bucket}); return err }},
		{"ListObjectsV2", func() error {
			_, err := c.ListObjectsV2(ctx, &awss3.ListObjectsV2Input{Bucket: &bucket})
			return err
		}},
		{"ListBuckets", func() error { _, err := c.ListBuckets(ctx, nil); return err }},
		{"DeleteObject", func() error {
			_, err := c.DeleteObject(ctx, &awss3.DeleteObjectInput{Bucket: &bucket, Key: key})
			return err
		}},
		{"DeleteBucket", func() error {
			_, err := c.DeleteBucket(ctx, &awss3.DeleteBucketInput{Bucket: &bucket})
			return err
		}},
	}
	for _, step := range steps {
		before := len(s.recorder.Events())
		if err := step.call(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		events := s.recorder.Events()[before:]
		if len(events) != 1 {
			t.Fatalf("%s left %d audit lines", step.name, len(events))
		}
		e := events[0]
		if e.EventName != step.name || e.EventSource != "s3.amazonaws.com" || e.ErrorCode != "" || e.UserIdentity.AccountID != account ||
			e.UserIdentity.AccessKeyID != s.key.AccessKeyID || e.RequestID == "" {
			t.Errorf("%s left %+v", step.name, e)
		}
	}
	s.do(t, call{method: "GET", path: "/" + bucket + "/k", plain: true})
	events := s.recorder.Events()
	if e := events[len(events)-1]; e.EventName != "GetObject" || e.ErrorCode != "AccessDenied" || e.RequestParameters["bucketName"] != bucket || e.RequestParameters["key"] != "k" {
		t.Errorf("a refusal left %+v", e)
	}
}

// What cannot be audited does not happen, or at least is not answered, and leaves nothing open.
func TestAuditFailureFailsTheOperation(t *testing.T) {
	s := newServer(t, serverConfig{})
	bucket := s.bucket(t)
	s.put(t, bucket, "k", []byte("hello"))
	s.recorder.Fail(errors.New("no space"))
	out, err := s.engine.GetObject(t.Context(), owner, s3.GetObjectInput{Bucket: bucket, Key: "k"})
	if !errors.Is(err, audit.ErrNotWritten) || out.Body != nil {
		t.Fatalf("GetObject: body %v, error %v", out.Body, err)
	}
	p := s.mustStatus(t, 500, call{method: "GET", path: "/" + bucket + "/k"}).problem(t)
	if p.Code != "InternalError" || strings.Contains(fmt.Sprint(p), "no space") {
		t.Errorf("the answer is %+v", p)
	}
	s.mustStatus(t, 500, call{method: "POST", path: "/" + bucket + "?delete", body: "<Delete><Object><Key>k</Key></Object></Delete>",
		header: map[string]string{"Content-MD5": md5Of("<Delete><Object><Key>k</Key></Object></Delete>")}})
	s.recorder.Fail(nil)
	s.mustStatus(t, 200, call{method: "GET", path: "/" + bucket})
}

// Tags are a permission of their own.
func TestTagsAreDecided(t *testing.T) {
	s := newServer(t, serverConfig{decider: deciderFunc(func(who policy.Caller, req policy.Request) bool {
		return who.Account == account && req.Action != "s3:PutObjectTagging" && req.Action != "s3:GetObjectTagging"
	})})
	bucket := s.bucket(t)
	path := "/" + bucket + "/k"
	tagged := map[string]string{"x-amz-tagging": "a=1"}
	for _, c := range []call{
		{method: "PUT", path: path, body: "x", header: tagged}, {method: "POST", path: path + "?uploads", header: tagged}, {method: "GET", path: path + "?tagging"},
	} {
		if p := s.mustStatus(t, http.StatusForbidden, c).problem(t); p.Code != "AccessDenied" {
			t.Errorf("%s %s: %+v", c.method, c.path, p)
		}
	}
	s.mustStatus(t, http.StatusOK, call{method: "PUT", path: path, body: "x"})
}
