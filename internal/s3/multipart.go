package s3

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"

	"postern/internal/awsapi"
	"postern/internal/policy"
	"postern/internal/s3/objects"
)

// CreateMultipartUploadInput is S3's request of the same name.
type CreateMultipartUploadInput struct {
	Bucket            string `aws:"uri,Bucket"`
	Key               string `aws:"uri,Key"`
	ChecksumAlgorithm string `aws:"header,x-amz-checksum-algorithm"`
	ChecksumType      string `aws:"header,x-amz-checksum-type"`
	ObjectHeaders
	AccessControl
	Encryption
	ObjectLock
	Expect
}

// CreateMultipartUploadOutput is S3's answer of the same name.
type CreateMultipartUploadOutput struct {
	ChecksumAlgorithm string                        `aws:"header,x-amz-checksum-algorithm"`
	ChecksumType      string                        `aws:"header,x-amz-checksum-type"`
	Result            InitiateMultipartUploadResult `aws:"xml,InitiateMultipartUploadResult"`
}

// InitiateMultipartUploadResult is the document of CreateMultipartUpload.
type InitiateMultipartUploadResult struct {
	XMLName  xml.Name `xml:"InitiateMultipartUploadResult"`
	Bucket   string   `xml:"Bucket"`
	Key      string   `xml:"Key"`
	UploadId string   `xml:"UploadId"`
}

// CreateMultipartUpload begins an upload in parts. Without a checksum algorithm the object's checksum will
// be CRC64NVME over all of it, as on S3.
func (s *Service) CreateMultipartUpload(ctx context.Context, who policy.Caller, in CreateMultipartUploadInput) (out CreateMultipartUploadOutput, err error) {
	op, b, err := s.begin(ctx, who, access{
		operation: "CreateMultipartUpload", action: "s3:PutObject", bucket: in.Bucket, key: in.Key, owner: in.ExpectedBucketOwner,
	})
	defer op.End(&err)
	if err != nil {
		return out, err
	}
	meta, err := s.prepare(ctx, who, newObject{
		bucket: b, key: in.Key, headers: in.ObjectHeaders, acl: in.AccessControl, encryption: in.Encryption, lock: in.ObjectLock,
	})
	if err != nil {
		return out, err
	}
	algorithm, kind, err := uploadChecksum(in.ChecksumAlgorithm, in.ChecksumType)
	if err != nil {
		return out, err
	}
	up, err := s.objects.CreateUpload(ctx, objects.UploadRequest{
		Bucket: b.ID, Key: in.Key, Meta: meta, Checksum: algorithm, ChecksumType: kind,
	})
	if err != nil {
		return out, s.writeError(ctx, writeTarget{bucket: b, key: in.Key}, err)
	}
	if in.ChecksumAlgorithm != "" {
		out.ChecksumAlgorithm, out.ChecksumType = algorithm.String(), kind.String()
	}
	out.Result = InitiateMultipartUploadResult{Bucket: b.Name, Key: in.Key, UploadId: up.ID}
	return out, nil
}

// uploadChecksum reads the checksum of a multipart upload: which algorithm, and whether of the whole object
// or of its parts' checksums. SHA-1 and SHA-256 are composite only, CRC64NVME full only, CRC32 and CRC32C
// composite unless told (docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html).
func uploadChecksum(algorithm, kind string) (objects.Algorithm, objects.ChecksumType, error) {
	kind = strings.ToUpper(kind)
	if kind != "" && kind != "FULL_OBJECT" && kind != "COMPOSITE" {
		return 0, 0, invalidRequest("Value for x-amz-checksum-type header is invalid.")
	}
	if algorithm == "" {
		if kind != "" {
			return 0, 0, invalidRequest("The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.")
		}
		return objects.CRC64NVME, objects.FullObject, nil
	}
	a, ok := objects.ParseAlgorithm(strings.ToUpper(algorithm))
	if !ok {
		return 0, 0, unsupportedAlgorithm()
	}
	fullOnly, compositeOnly := a == objects.CRC64NVME, a == objects.SHA1 || a == objects.SHA256
	switch {
	case fullOnly && kind == "COMPOSITE", compositeOnly && kind == "FULL_OBJECT":
		return 0, 0, invalidRequest("The " + kind + " checksum type cannot be used with the " + strings.ToLower(a.String()) + " checksum algorithm.")
	case fullOnly || kind == "FULL_OBJECT":
		return a, objects.FullObject, nil
	default:
		return a, objects.Composite, nil
	}
}

func unsupportedAlgorithm() *awsapi.Error {
	return invalidRequest("Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]")
}

// UploadPartInput is S3's request of the same name.
type UploadPartInput struct {
	Bucket            string            `aws:"uri,Bucket"`
	Key               string            `aws:"uri,Key"`
	PartNumber        string            `aws:"query,partNumber"`
	UploadId          string            `aws:"query,uploadId"`
	Body              io.Reader         `aws:"body"`
	ContentLength     int64             `aws:"bodylen"`
	Checksums         *awsapi.Checksums `aws:"checksums"`
	ChecksumAlgorithm string            `aws:"header,x-amz-sdk-checksum-algorithm"`
	CustomerKey
	Expect
}

// UploadPartOutput is S3's answer of the same name.
type UploadPartOutput struct {
	ETag string `aws:"header,ETag"`
	ChecksumValues
}

// UploadPart stores one part of up to 5 GiB, in place of one of the same number. A checksum that comes
// with it must be of the upload's algorithm, and must come if the object's checksum is a composite. An
// upload that was begun without an algorithm takes any, as S3 does.
func (s *Service) UploadPart(ctx context.Context, who policy.Caller, in UploadPartInput) (out UploadPartOutput, err error) {
	op, b, err := s.begin(ctx, who, partAccess("UploadPart", "s3:PutObject", in.Bucket, in.Key, in.UploadId, in.ExpectedBucketOwner))
	defer op.End(&err)
	if err != nil {
		return out, err
	}
	number, err := parsePartNumber(in.PartNumber)
	if err != nil {
		return out, err
	}
	if err := in.CustomerKey.check(); err != nil {
		return out, err
	}
	if err := checkLength(in.ContentLength); err != nil {
		return out, err
	}
	target := writeTarget{bucket: b, key: in.Key, uploadID: in.UploadId}
	up, err := s.objects.GetUpload(ctx, b.ID, in.Key, in.UploadId)
	if err != nil {
		return out, s.writeError(ctx, target, err)
	}
	algorithm, err := announced(in.Checksums, in.ChecksumAlgorithm)
	if err != nil {
		return out, err
	}
	if err := checkPartChecksum(up, algorithm); err != nil {
		return out, err
	}
	part, err := s.objects.PutPart(ctx, objects.PartRequest{
		Bucket: b.ID, Key: in.Key, UploadID: in.UploadId, Number: number, Body: in.Body, Size: in.ContentLength,
	})
	if err != nil {
		return out, s.writeError(ctx, target, err)
	}
	return UploadPartOutput{ETag: quoteETag(part.ETag), ChecksumValues: partValues(part)}, nil
}

// checkPartChecksum holds the algorithm of a part's checksum against its upload's.
func checkPartChecksum(up objects.Upload, got objects.Algorithm) error {
	missing := got == objects.NoChecksum
	if missing && up.ChecksumType != objects.Composite || !missing && (got == up.Checksum || up.Checksum == objects.CRC64NVME) {
		return nil
	}
	name := "null"
	if !missing {
		name = strings.ToLower(got.String())
	}
	return invalidRequest(fmt.Sprintf("Checksum Type mismatch occurred, expected checksum Type: %s, actual checksum Type: %s",
		strings.ToLower(up.Checksum.String()), name))
}

// partValues is the checksum of one part, which is never a composite.
func partValues(p objects.Part) ChecksumValues {
	return values(objects.Checksum{Algorithm: p.Checksum.Algorithm, Value: p.Checksum.Value}, 0)
}

// partAccess is a permission that concerns one upload.
func partAccess(operation, action, bucket, key, uploadID, owner string) access {
	return access{
		operation: operation, action: action, bucket: bucket, key: key, owner: owner,
		params: map[string]any{"uploadId": uploadID},
	}
}

// parsePartNumber reads 1 to 10,000.
func parsePartNumber(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > objects.MaxParts {
		return 0, invalidArgument("partNumber", text, "Part number must be an integer between 1 and 10000, inclusive")
	}
	return n, nil
}

// CompleteMultipartUploadInput is S3's request of the same name. The checksum headers are of the object,
// not of the request's body.
type CompleteMultipartUploadInput struct {
	Bucket        string          `aws:"uri,Bucket"`
	Key           string          `aws:"uri,Key"`
	UploadId      string          `aws:"query,uploadId"`
	Upload        CompletedUpload `aws:"xml,CompleteMultipartUpload"`
	ChecksumType  string          `aws:"header,x-amz-checksum-type"`
	MpuObjectSize string          `aws:"header,x-amz-mp-object-size"`
	ChecksumValues
	WriteConditions
	CustomerKey
	Expect
}

// CompletedUpload is the document of CompleteMultipartUpload.
type CompletedUpload struct {
	Parts []CompletedPart `xml:"Part"`
}

// CompletedPart names one part. The checksums are compared if they are of the upload's algorithm.
type CompletedPart struct {
	PartNumber int    `xml:"PartNumber"`
	ETag       string `xml:"ETag"`
	ChecksumValues
}

// CompleteMultipartUploadOutput is S3's answer of the same name.
type CompleteMultipartUploadOutput struct {
	Result CompleteMultipartUploadResult `aws:"xml,CompleteMultipartUploadResult"`
}

// CompleteMultipartUploadResult is the document of an answered CompleteMultipartUpload. Location is the
// object's path on this server: the engine knows no host name.
type CompleteMultipartUploadResult struct {
	XMLName      xml.Name `xml:"CompleteMultipartUploadResult"`
	Location     string   `xml:"Location"`
	Bucket       string   `xml:"Bucket"`
	Key          string   `xml:"Key"`
	ETag         string   `xml:"ETag"`
	ChecksumType string   `xml:"ChecksumType,omitempty"`
	ChecksumValues
}

// CompleteMultipartUpload makes one object of the parts that the request names, in their order. Repeating
// a call that succeeded answers the same while the object is still there.
func (s *Service) CompleteMultipartUpload(ctx context.Context, who policy.Caller, in CompleteMultipartUploadInput) (out CompleteMultipartUploadOutput, err error) {
	op, b, err := s.begin(ctx, who, partAccess("CompleteMultipartUpload", "s3:PutObject", in.Bucket, in.Key, in.UploadId, in.ExpectedBucketOwner))
	defer op.End(&err)
	if err != nil {
		return out, err
	}
	if err := in.CustomerKey.check(); err != nil {
		return out, err
	}
	cond, err := in.WriteConditions.read()
	if err != nil {
		return out, err
	}
	target := writeTarget{bucket: b, key: in.Key, uploadID: in.UploadId, cond: cond}
	up, err := s.objects.GetUpload(ctx, b.ID, in.Key, in.UploadId)
	// Of an upload that is gone the backend knows whether it was completed by this very call, and then
	// answers as it did.
	if err != nil && !errors.Is(err, objects.ErrNoUpload) {
		return out, s.writeError(ctx, target, err)
	}
	parts, err := completeParts(in, up)
	if err != nil {
		return out, err
	}
	info, err := s.objects.CompleteUpload(ctx, objects.CompleteRequest{
		Bucket: b.ID, Key: in.Key, UploadID: in.UploadId, Parts: parts, If: cond.precondition(),
		Verify: func(d *objects.Digest) error { return in.verify(d, len(parts)) },
	})
	if err != nil {
		return out, s.writeError(ctx, target, err)
	}
	out.Result = CompleteMultipartUploadResult{
		Location: "/" + b.Name + "/" + in.Key, Bucket: b.Name, Key: in.Key, ETag: quoteETag(info.ETag),
		ChecksumType: checksumType(info.Checksum), ChecksumValues: values(info.Checksum, len(info.Parts)),
	}
	return out, nil
}

// completeParts reads the list of parts. A composite checksum is made of the parts' own, so each must be
// named.
func completeParts(in CompleteMultipartUploadInput, up objects.Upload) ([]objects.CompletePart, error) {
	if n := len(in.Upload.Parts); n == 0 || n > objects.MaxParts {
		return nil, malformedXML()
	}
	if kind := strings.ToUpper(in.ChecksumType); kind != "" && up.ID != "" && kind != up.ChecksumType.String() {
		return nil, invalidRequest("The upload was created using the " + up.ChecksumType.String() +
			" checksum mode. The complete request must use the same checksum mode.")
	}
	parts := make([]objects.CompletePart, len(in.Upload.Parts))
	for i, p := range in.Upload.Parts {
		if p.ETag == "" {
			return nil, malformedXML()
		}
		parts[i] = objects.CompletePart{Number: p.PartNumber, ETag: trimETag(p.ETag), Checksum: *p.field(up.Checksum)}
		if up.ID != "" && up.ChecksumType == objects.Composite && parts[i].Checksum == "" {
			return nil, invalidRequest(fmt.Sprintf("The upload was created using a %s checksum. The complete request must include the checksum for each part. It was missing for part %d in the request.",
				strings.ToLower(up.Checksum.String()), p.PartNumber))
		}
	}
	return parts, nil
}

// verify holds the finished object against the size and the checksum that the request named.
func (in CompleteMultipartUploadInput) verify(d *objects.Digest, parts int) error {
	if in.MpuObjectSize != "" && in.MpuObjectSize != strconv.FormatInt(d.Size, 10) {
		return invalidRequest(fmt.Sprintf("The provided 'x-amz-mp-object-size' header value %s does not match what was computed: %d",
			in.MpuObjectSize, d.Size))
	}
	for a := objects.CRC32; a <= objects.SHA256; a++ {
		want := *in.ChecksumValues.field(a)
		if want == "" {
			continue
		}
		if a != d.Checksum.Algorithm {
			return invalidRequest(fmt.Sprintf("Checksum Type mismatch occurred, expected checksum Type: %s, actual checksum Type: %s",
				strings.ToLower(or(d.Checksum.Algorithm.String(), "null")), strings.ToLower(a.String())))
		}
		if got := checksumText(d.Checksum, parts); want != got && want != d.Checksum.Base64() {
			return refuse(http.StatusBadRequest, "BadDigest",
				fmt.Sprintf("The %s you specified did not match the calculated checksum.", a))
		}
	}
	return nil
}

// AbortMultipartUploadInput is S3's request of the same name.
type AbortMultipartUploadInput struct {
	Bucket   string `aws:"uri,Bucket"`
	Key      string `aws:"uri,Key"`
	UploadId string `aws:"query,uploadId"`
	Expect
}

// AbortMultipartUploadOutput is empty.
type AbortMultipartUploadOutput struct{}

// AbortMultipartUpload forgets an upload and its parts.
func (s *Service) AbortMultipartUpload(ctx context.Context, who policy.Caller, in AbortMultipartUploadInput) (out AbortMultipartUploadOutput, err error) {
	op, b, err := s.begin(ctx, who, partAccess("", "s3:AbortMultipartUpload", in.Bucket, in.Key, in.UploadId, in.ExpectedBucketOwner))
	defer op.End(&err)
	if err != nil {
		return out, err
	}
	err = s.objects.AbortUpload(ctx, b.ID, in.Key, in.UploadId)
	return out, s.writeError(ctx, writeTarget{bucket: b, key: in.Key, uploadID: in.UploadId}, err)
}

// ListPartsInput is S3's request of the same name.
type ListPartsInput struct {
	Bucket           string `aws:"uri,Bucket"`
	Key              string `aws:"uri,Key"`
	UploadId         string `aws:"query,uploadId"`
	MaxParts         string `aws:"query,max-parts"`
	PartNumberMarker string `aws:"query,part-number-marker"`
	EncodingType     string `aws:"query,encoding-type"`
	CustomerKey
	Expect
}

// ListPartsOutput is S3's answer of the same name.
type ListPartsOutput struct {
	Result ListPartsResult `aws:"xml,ListPartsResult"`
}

// ListPartsResult is the document of ListParts.
type ListPartsResult struct {
	XMLName              xml.Name `xml:"ListPartsResult"`
	Bucket               string   `xml:"Bucket"`
	Key                  string   `xml:"Key"`
	UploadId             string   `xml:"UploadId"`
	Initiator            Owner    `xml:"Initiator"`
	Owner                Owner    `xml:"Owner"`
	StorageClass         string   `xml:"StorageClass"`
	PartNumberMarker     int      `xml:"PartNumberMarker"`
	NextPartNumberMarker int      `xml:"NextPartNumberMarker"`
	MaxParts             int      `xml:"MaxParts"`
	IsTruncated          bool     `xml:"IsTruncated"`
	ChecksumAlgorithm    string   `xml:"ChecksumAlgorithm,omitempty"`
	ChecksumType         string   `xml:"ChecksumType,omitempty"`
	Parts                []Part   `xml:"Part"`
}

// Part is one part in ListParts.
type Part struct {
	PartNumber   int    `xml:"PartNumber"`
	LastModified string `xml:"LastModified"`
	ETag         string `xml:"ETag"`
	Size         int64  `xml:"Size"`
	ChecksumValues
}

// ListParts lists the parts of an unfinished upload by number.
func (s *Service) ListParts(ctx context.Context, who policy.Caller, in ListPartsInput) (out ListPartsOutput, err error) {
	op, b, err := s.begin(ctx, who, partAccess("ListParts", "s3:ListMultipartUploadParts", in.Bucket, in.Key, in.UploadId, in.ExpectedBucketOwner))
	defer op.End(&err)
	if err != nil {
		return out, err
	}
	limit, err := parseMax("max-parts", "max-parts", in.MaxParts)
	if err != nil {
		return out, err
	}
	after, err := parsePartMarker(in.PartNumberMarker)
	if err != nil {
		return out, err
	}
	if err := checkListing(in.EncodingType); err != nil {
		return out, err
	}
	if err := in.CustomerKey.check(); err != nil {
		return out, err
	}
	list, err := s.objects.ListParts(ctx, b.ID, in.Key, in.UploadId, after, limit)
	if err != nil {
		return out, s.writeError(ctx, writeTarget{bucket: b, key: in.Key, uploadID: in.UploadId}, err)
	}
	owner := Owner{ID: canonicalID(b.Owner)}
	out.Result = ListPartsResult{
		Bucket: b.Name, Key: listing{encoding: in.EncodingType}.text(in.Key), UploadId: in.UploadId,
		Initiator: owner, Owner: owner, StorageClass: "STANDARD",
		PartNumberMarker: after, MaxParts: limit, IsTruncated: list.Truncated,
		ChecksumAlgorithm: list.Upload.Checksum.String(), Parts: make([]Part, len(list.Parts)),
	}
	if list.Upload.Checksum != objects.NoChecksum {
		out.Result.ChecksumType = list.Upload.ChecksumType.String()
	}
	for i, p := range list.Parts {
		out.Result.Parts[i] = Part{
			PartNumber: p.Number, LastModified: xmlDate(p.Modified), ETag: quoteETag(p.ETag), Size: p.Size, ChecksumValues: partValues(p),
		}
		out.Result.NextPartNumberMarker = p.Number
	}
	return out, nil
}

// parsePartMarker reads the number after which a list of parts begins.
func parsePartMarker(text string) (int, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt32 {
		return 0, invalidArgument("part-number-marker", text, "Provided part-number-marker not an integer or within integer range")
	}
	return int(n), nil
}

// ListMultipartUploadsInput is S3's request of the same name.
type ListMultipartUploadsInput struct {
	Bucket         string `aws:"uri,Bucket"`
	Prefix         string `aws:"query,prefix"`
	Delimiter      string `aws:"query,delimiter"`
	MaxUploads     string `aws:"query,max-uploads"`
	KeyMarker      string `aws:"query,key-marker"`
	UploadIdMarker string `aws:"query,upload-id-marker"`
	EncodingType   string `aws:"query,encoding-type"`
	Expect
}

// ListMultipartUploadsOutput is S3's answer of the same name.
type ListMultipartUploadsOutput struct {
	Result ListMultipartUploadsResult `aws:"xml,ListMultipartUploadsResult"`
}

// ListMultipartUploadsResult is the document of ListMultipartUploads.
type ListMultipartUploadsResult struct {
	XMLName            xml.Name          `xml:"ListMultipartUploadsResult"`
	Bucket             string            `xml:"Bucket"`
	KeyMarker          string            `xml:"KeyMarker"`
	UploadIdMarker     string            `xml:"UploadIdMarker"`
	NextKeyMarker      string            `xml:"NextKeyMarker,omitempty"`
	NextUploadIdMarker string            `xml:"NextUploadIdMarker,omitempty"`
	Prefix             string            `xml:"Prefix"`
	Delimiter          string            `xml:"Delimiter,omitempty"`
	EncodingType       string            `xml:"EncodingType,omitempty"`
	MaxUploads         int               `xml:"MaxUploads"`
	IsTruncated        bool              `xml:"IsTruncated"`
	Uploads            []MultipartUpload `xml:"Upload"`
	CommonPrefixes     []CommonPrefix    `xml:"CommonPrefixes"`
}

// MultipartUpload is one unfinished upload in ListMultipartUploads.
type MultipartUpload struct {
	Key               string `xml:"Key"`
	UploadId          string `xml:"UploadId"`
	Initiator         Owner  `xml:"Initiator"`
	Owner             Owner  `xml:"Owner"`
	StorageClass      string `xml:"StorageClass"`
	Initiated         string `xml:"Initiated"`
	ChecksumAlgorithm string `xml:"ChecksumAlgorithm,omitempty"`
	ChecksumType      string `xml:"ChecksumType,omitempty"`
}

// ListMultipartUploads lists unfinished uploads, by key and then by age. An upload-id-marker without a
// key-marker means nothing, as on S3.
func (s *Service) ListMultipartUploads(ctx context.Context, who policy.Caller, in ListMultipartUploadsInput) (out ListMultipartUploadsOutput, err error) {
	a := listAccess("ListMultipartUploads", in.Bucket, in.Prefix, in.Delimiter, in.MaxUploads, in.ExpectedBucketOwner)
	a.action = "s3:ListBucketMultipartUploads"
	op, b, err := s.begin(ctx, who, a)
	defer op.End(&err)
	if err != nil {
		return out, err
	}
	limit, err := parseMax("max-uploads", "max-uploads", in.MaxUploads)
	if err != nil {
		return out, err
	}
	if err := checkListing(in.EncodingType, "prefix", in.Prefix, "delimiter", in.Delimiter, "key-marker", in.KeyMarker); err != nil {
		return out, err
	}
	req := objects.ListUploadsRequest{Prefix: in.Prefix, Delimiter: in.Delimiter, KeyMarker: in.KeyMarker, Max: limit}
	if in.KeyMarker != "" {
		req.IDMarker = in.UploadIdMarker
	}
	list, err := s.objects.ListUploads(ctx, b.ID, req)
	if err != nil {
		return out, fmt.Errorf("listing the uploads: %w", err)
	}
	l := listing{encoding: in.EncodingType}
	owner := Owner{ID: canonicalID(b.Owner)}
	out.Result = ListMultipartUploadsResult{
		Bucket: b.Name, KeyMarker: l.text(in.KeyMarker), UploadIdMarker: in.UploadIdMarker,
		Prefix: l.text(in.Prefix), Delimiter: l.text(in.Delimiter), EncodingType: in.EncodingType, MaxUploads: limit,
		IsTruncated: list.Truncated, Uploads: make([]MultipartUpload, len(list.Uploads)), CommonPrefixes: l.commonPrefixes(list.Prefixes),
	}
	if list.Truncated {
		out.Result.NextKeyMarker, out.Result.NextUploadIdMarker = l.text(list.NextKey), list.NextID
	}
	for i, up := range list.Uploads {
		out.Result.Uploads[i] = MultipartUpload{
			Key: l.text(up.Key), UploadId: up.ID, Initiator: owner, Owner: owner, StorageClass: "STANDARD",
			Initiated: xmlDate(up.Initiated), ChecksumAlgorithm: up.Checksum.String(),
		}
		if up.Checksum != objects.NoChecksum {
			out.Result.Uploads[i].ChecksumType = up.ChecksumType.String()
		}
	}
	return out, nil
}
