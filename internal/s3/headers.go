package s3

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"postern/internal/awsapi"
	"postern/internal/s3/objects"
)

// Expect are the headers by which a caller makes sure to meet the bucket it means. Every operation takes
// them.
type Expect struct {
	// ExpectedBucketOwner is the account that must own the bucket; anything else is AccessDenied.
	ExpectedBucketOwner string `aws:"header,x-amz-expected-bucket-owner"`
	// RequestPayer says that the caller would pay. Nobody pays here, so it changes nothing, as on a
	// bucket of S3 without requester pays.
	RequestPayer string `aws:"header,x-amz-request-payer"`
}

// ObjectHeaders are the headers that are kept with an object and come back with it as they were.
type ObjectHeaders struct {
	CacheControl       string            `aws:"header,Cache-Control"`
	ContentDisposition string            `aws:"header,Content-Disposition"`
	ContentEncoding    string            `aws:"header,Content-Encoding"`
	ContentLanguage    string            `aws:"header,Content-Language"`
	ContentType        string            `aws:"header,Content-Type"`
	Expires            string            `aws:"header,Expires"`
	Metadata           map[string]string `aws:"headers,x-amz-meta-"`
	// WebsiteRedirectLocation is kept and answered; nothing here serves websites.
	WebsiteRedirectLocation string `aws:"header,x-amz-website-redirect-location"`
	// StorageClass may be STANDARD or absent.
	StorageClass string `aws:"header,x-amz-storage-class"`
	// Tagging holds the object's tags in the form of a URL's query.
	Tagging string `aws:"header,x-amz-tagging"`
}

// AccessControl are the headers that set ACLs. Every bucket here is "bucket owner enforced", S3's default
// since 2023: an ACL that says no more than that is accepted, any other is refused.
type AccessControl struct {
	ACL              string `aws:"header,x-amz-acl"`
	GrantFullControl string `aws:"header,x-amz-grant-full-control"`
	GrantRead        string `aws:"header,x-amz-grant-read"`
	GrantReadACP     string `aws:"header,x-amz-grant-read-acp"`
	GrantWrite       string `aws:"header,x-amz-grant-write"`
	GrantWriteACP    string `aws:"header,x-amz-grant-write-acp"`
}

// Encryption are the headers that ask for encryption of one object. Postern does not encrypt objects yet,
// and does not say that it does: all of them are refused.
type Encryption struct {
	ServerSideEncryption    string `aws:"header,x-amz-server-side-encryption"`
	SSEKMSKeyId             string `aws:"header,x-amz-server-side-encryption-aws-kms-key-id"`
	SSEKMSEncryptionContext string `aws:"header,x-amz-server-side-encryption-context"`
	BucketKeyEnabled        string `aws:"header,x-amz-server-side-encryption-bucket-key-enabled"`
	CustomerKey
}

// CustomerKey are the headers of encryption with a key the caller brings (SSE-C). They are refused, and
// the key is neither kept nor shown anywhere.
type CustomerKey struct {
	SSECustomerAlgorithm string `aws:"header,x-amz-server-side-encryption-customer-algorithm"`
	SSECustomerKey       string `aws:"header,x-amz-server-side-encryption-customer-key"`
	SSECustomerKeyMD5    string `aws:"header,x-amz-server-side-encryption-customer-key-MD5"`
}

// ObjectLock are the headers of object lock, which no bucket here has.
type ObjectLock struct {
	ObjectLockMode            string `aws:"header,x-amz-object-lock-mode"`
	ObjectLockRetainUntilDate string `aws:"header,x-amz-object-lock-retain-until-date"`
	ObjectLockLegalHoldStatus string `aws:"header,x-amz-object-lock-legal-hold"`
}

// WriteConditions guard a write. S3 takes If-Match with an entity tag and If-None-Match with *.
type WriteConditions struct {
	IfMatch           string `aws:"header,If-Match"`
	IfNoneMatch       string `aws:"header,If-None-Match"`
	IfModifiedSince   string `aws:"header,If-Modified-Since"`
	IfUnmodifiedSince string `aws:"header,If-Unmodified-Since"`
}

// ChecksumValues carry an object's or a part's additional checksum, in headers and in XML: at most one of
// the values, base64, with "-N" behind it when it is a composite of N parts.
type ChecksumValues struct {
	ChecksumCRC32     string `aws:"header,x-amz-checksum-crc32" xml:"ChecksumCRC32,omitempty"`
	ChecksumCRC32C    string `aws:"header,x-amz-checksum-crc32c" xml:"ChecksumCRC32C,omitempty"`
	ChecksumCRC64NVME string `aws:"header,x-amz-checksum-crc64nvme" xml:"ChecksumCRC64NVME,omitempty"`
	ChecksumSHA1      string `aws:"header,x-amz-checksum-sha1" xml:"ChecksumSHA1,omitempty"`
	ChecksumSHA256    string `aws:"header,x-amz-checksum-sha256" xml:"ChecksumSHA256,omitempty"`
}

// field is the place of an algorithm's value.
func (v *ChecksumValues) field(a objects.Algorithm) *string {
	switch a {
	case objects.CRC32:
		return &v.ChecksumCRC32
	case objects.CRC32C:
		return &v.ChecksumCRC32C
	case objects.CRC64NVME:
		return &v.ChecksumCRC64NVME
	case objects.SHA1:
		return &v.ChecksumSHA1
	case objects.SHA256:
		return &v.ChecksumSHA256
	default:
		return new(string)
	}
}

// values is a checksum as it travels; parts is the number of parts of a multipart object, else 0.
func values(c objects.Checksum, parts int) (v ChecksumValues) {
	if len(c.Value) == 0 {
		return v
	}
	*v.field(c.Algorithm) = checksumText(c, parts)
	return v
}

// checksumText is a checksum's value as S3 writes it.
func checksumText(c objects.Checksum, parts int) string {
	if c.Type == objects.Composite {
		return c.Base64() + "-" + strconv.Itoa(parts)
	}
	return c.Base64()
}

// checksumType is the type as S3 writes it, empty without a checksum.
func checksumType(c objects.Checksum) string {
	if c.Algorithm == objects.NoChecksum {
		return ""
	}
	return c.Type.String()
}

// check refuses an ACL that would let anybody but the bucket's owner in.
func (a AccessControl) check() error {
	switch a.ACL {
	case "", "private", "bucket-owner-full-control":
	case "public-read", "public-read-write", "authenticated-read", "aws-exec-read", "bucket-owner-read", "log-delivery-write":
		return refuse(http.StatusBadRequest, "AccessControlListNotSupported", "The bucket does not allow ACLs")
	default:
		return invalidArgument("x-amz-acl", a.ACL, "The canned ACL is not one that S3 knows")
	}
	if a.GrantFullControl != "" || a.GrantRead != "" || a.GrantReadACP != "" || a.GrantWrite != "" || a.GrantWriteACP != "" {
		return refuse(http.StatusBadRequest, "AccessControlListNotSupported", "The bucket does not allow ACLs")
	}
	return nil
}

// check refuses encryption, in words that say what to do.
func (e Encryption) check() error {
	if err := e.CustomerKey.check(); err != nil {
		return err
	}
	switch e.ServerSideEncryption {
	case "":
		if e.SSEKMSKeyId != "" || e.SSEKMSEncryptionContext != "" || e.BucketKeyEnabled != "" && !strings.EqualFold(e.BucketKeyEnabled, "false") {
			return notImplemented("Postern does not encrypt objects with KMS keys yet; send the request without x-amz-server-side-encryption-* headers")
		}
		return nil
	case "AES256":
		return notImplemented("Postern does not encrypt objects at rest yet and does not claim to; send the request without x-amz-server-side-encryption and keep the data folder on an encrypted disk",
			"Header", "x-amz-server-side-encryption")
	case "aws:kms", "aws:kms:dsse":
		return notImplemented("Postern does not encrypt objects with KMS keys yet; send the request without x-amz-server-side-encryption",
			"Header", "x-amz-server-side-encryption")
	default:
		return refuse(http.StatusBadRequest, "InvalidEncryptionAlgorithmError",
			"The encryption request you specified is not valid. The valid value is AES256.")
	}
}

func (k CustomerKey) check() error {
	if k.SSECustomerAlgorithm != "" || k.SSECustomerKey != "" || k.SSECustomerKeyMD5 != "" {
		return notImplemented("Postern does not support encryption with customer-provided keys (SSE-C); send the request without x-amz-server-side-encryption-customer-* headers")
	}
	return nil
}

func (l ObjectLock) check() error {
	if l != (ObjectLock{}) {
		return invalidRequest("Bucket is missing Object Lock Configuration")
	}
	return nil
}

// meta is what is stored with an object.
func (h ObjectHeaders) meta() (objects.Meta, error) {
	size := 0
	for k, v := range h.Metadata {
		size += len(k) + len(v)
	}
	if size > maxMetadataBytes {
		return objects.Meta{}, refuse(http.StatusBadRequest, "MetadataTooLarge",
			"Your metadata headers exceed the maximum allowed metadata size",
			"Size", strconv.Itoa(size), "MaxSizeAllowed", strconv.Itoa(maxMetadataBytes))
	}
	if err := checkStorageClass(h.StorageClass); err != nil {
		return objects.Meta{}, err
	}
	tags, err := taggingHeader(h.Tagging)
	if err != nil {
		return objects.Meta{}, err
	}
	return objects.Meta{
		ContentType:        h.ContentType,
		ContentEncoding:    withoutChunked(h.ContentEncoding),
		ContentDisposition: h.ContentDisposition,
		ContentLanguage:    h.ContentLanguage,
		CacheControl:       h.CacheControl,
		Expires:            h.Expires,
		Redirect:           h.WebsiteRedirectLocation,
		User:               h.Metadata,
		Tags:               tags,
	}, nil
}

func checkStorageClass(class string) error {
	if class == "" || class == "STANDARD" {
		return nil
	}
	return refuse(http.StatusBadRequest, "InvalidStorageClass", "The storage class you specified is not valid",
		"StorageClassRequested", class)
}

// taggingHeader reads x-amz-tagging, with S3's refusals.
func taggingHeader(header string) (map[string]string, error) {
	if header == "" {
		return nil, nil
	}
	tags, err := parseTags(header)
	switch {
	case errors.Is(err, errTagCount):
		return nil, refuse(http.StatusBadRequest, "BadRequest", "Object tags cannot be greater than 10")
	case errors.Is(err, errTagKey):
		return nil, refuse(http.StatusBadRequest, "InvalidTag", "The TagKey you have provided is invalid")
	case errors.Is(err, errTagValue):
		return nil, refuse(http.StatusBadRequest, "InvalidTag", "The TagValue you have provided is invalid")
	case errors.Is(err, errTagSystem):
		return nil, refuse(http.StatusBadRequest, "InvalidTag", "System tags cannot be added/updated by requester")
	case err != nil:
		return nil, invalidArgument("x-amz-tagging", header,
			"The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.")
	}
	return tags, nil
}

// withoutChunked is a Content-Encoding without aws-chunked, which is the way a body travelled and no
// property of the object. Any other value is kept byte for byte.
func withoutChunked(encoding string) string {
	if !strings.Contains(strings.ToLower(encoding), "aws-chunked") {
		return encoding
	}
	var kept []string
	for item := range strings.SplitSeq(encoding, ",") {
		if item = strings.TrimSpace(item); item != "" && !strings.EqualFold(item, "aws-chunked") {
			kept = append(kept, item)
		}
	}
	return strings.Join(kept, ",")
}

// writeConditions is the guard of one write.
type writeConditions struct{ ifMatch, ifNoneMatch string }

// read is the guard that the headers ask for. S3 knows no others on writes, and a guard that is ignored
// is worse than one that is refused.
func (c WriteConditions) read() (writeConditions, error) {
	const sentence = "A header you provided implies functionality that is not implemented"
	switch {
	case c.IfModifiedSince != "":
		return writeConditions{}, notImplemented(sentence, "Header", "If-Modified-Since")
	case c.IfUnmodifiedSince != "":
		return writeConditions{}, notImplemented(sentence, "Header", "If-Unmodified-Since")
	case c.IfNoneMatch != "" && c.IfNoneMatch != "*":
		return writeConditions{}, notImplemented(sentence, "Header", "If-None-Match")
	case strings.ContainsRune(c.IfMatch, ','):
		return writeConditions{}, notImplemented(sentence, "Header", "If-Match")
	}
	return writeConditions{ifMatch: trimETag(c.IfMatch), ifNoneMatch: c.IfNoneMatch}, nil
}

// precondition is the guard in the object backend's words.
func (c writeConditions) precondition() objects.Precondition {
	return objects.Precondition{IfMatch: c.ifMatch, IfNoneMatch: c.ifNoneMatch}
}

// name is the header that a failed write is blamed on.
func (c writeConditions) name() string {
	if c.ifMatch != "" {
		return "If-Match"
	}
	return "If-None-Match"
}

// announced is the algorithm of the checksum that comes with a body, and S3's refusal of a body that is
// said to carry one and does not.
func announced(sums *awsapi.Checksums, sdkAlgorithm string) (objects.Algorithm, error) {
	for _, name := range sums.Announced() {
		if a, ok := objects.ParseAlgorithm(name); ok {
			return a, nil
		}
	}
	if sdkAlgorithm != "" {
		if _, ok := objects.ParseAlgorithm(strings.ToUpper(sdkAlgorithm)); !ok {
			return objects.NoChecksum, invalidRequest("Value for x-amz-sdk-checksum-algorithm header is invalid.")
		}
		return objects.NoChecksum, invalidRequest("x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.")
	}
	return objects.NoChecksum, nil
}

// httpDate is a time as headers write it.
func httpDate(t time.Time) string { return t.UTC().Format(http.TimeFormat) }

// xmlDate is a time as S3's documents write it.
func xmlDate(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
