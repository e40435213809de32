package s3

import (
	"context"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"

	"postern/internal/audit"
	"postern/internal/policy"
	"postern/internal/s3/objects"
)

// CopySource is where a copy comes from and what must hold of it.
type CopySource struct {
	CopySource                  string `aws:"header,x-amz-copy-source"`
	CopySourceIfMatch           string `aws:"header,x-amz-copy-source-if-match"`
	CopySourceIfNoneMatch       string `aws:"header,x-amz-copy-source-if-none-match"`
	CopySourceIfModifiedSince   string `aws:"header,x-amz-copy-source-if-modified-since"`
	CopySourceIfUnmodifiedSince string `aws:"header,x-amz-copy-source-if-unmodified-since"`
	// ExpectedSourceBucketOwner is the account that must own the source's bucket.
	ExpectedSourceBucketOwner string `aws:"header,x-amz-source-expected-bucket-owner"`
	// The source's customer key is refused like the destination's.
	CopySourceSSECustomerAlgorithm string `aws:"header,x-amz-copy-source-server-side-encryption-customer-algorithm"`
	CopySourceSSECustomerKey       string `aws:"header,x-amz-copy-source-server-side-encryption-customer-key"`
	CopySourceSSECustomerKeyMD5    string `aws:"header,x-amz-copy-source-server-side-encryption-customer-key-MD5"`
}

// check holds the source against the conditions. A copy knows no 304: what did not change is refused as
// what did.
func (c CopySource) check(info objects.Info) error {
	verdict, name := conditions{
		ifMatch: c.CopySourceIfMatch, ifNoneMatch: c.CopySourceIfNoneMatch,
		ifModifiedSince: c.CopySourceIfModifiedSince, ifUnmodifiedSince: c.CopySourceIfUnmodifiedSince,
	}.evaluate(info.ETag, info.Modified)
	if verdict == proceed {
		return nil
	}
	return preconditionFailed412("x-amz-copy-source-" + name)
}

// CopyObjectInput is S3's request of the same name.
type CopyObjectInput struct {
	Bucket            string `aws:"uri,Bucket"`
	Key               string `aws:"uri,Key"`
	MetadataDirective string `aws:"header,x-amz-metadata-directive"`
	TaggingDirective  string `aws:"header,x-amz-tagging-directive"`
	ChecksumAlgorithm string `aws:"header,x-amz-checksum-algorithm"`
	CopySource
	WriteConditions
	ObjectHeaders
	AccessControl
	Encryption
	ObjectLock
	Expect
}

// CopyObjectOutput is S3's answer of the same name.
type CopyObjectOutput struct {
	Result CopyObjectResult `aws:"xml,CopyObjectResult"`
}

// CopyObjectResult is the document of CopyObject.
type CopyObjectResult struct {
	XMLName      xml.Name `xml:"CopyObjectResult"`
	LastModified string   `xml:"LastModified"`
	ETag         string   `xml:"ETag"`
	ChecksumType string   `xml:"ChecksumType,omitempty"`
	ChecksumValues
}

// CopyObject makes an object of up to 5 GiB out of another, or changes an object's own metadata. The source
// is read as the caller, so it needs s3:GetObject there and s3:PutObject here, and leaves an audit line for
// each.
//
// Without x-amz-checksum-algorithm the copy keeps the source's checksum, and its entity tag also when that
// is a multipart object's; S3 gives such a copy a new one.
func (s *Service) CopyObject(ctx context.Context, who policy.Caller, in CopyObjectInput) (out CopyObjectOutput, err error) {
	op, b, err := s.begin(ctx, who, access{
		operation: "CopyObject", action: "s3:PutObject", bucket: in.Bucket, key: in.Key, owner: in.ExpectedBucketOwner,
		params: map[string]any{"x-amz-copy-source": in.CopySource.CopySource},
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
	p, err := in.plan()
	if err != nil {
		return out, err
	}
	src, sop, err := s.openSource(ctx, who, in.CopySource)
	defer sop.End(&err)
	if err != nil {
		return out, err
	}
	if src.bucket.ID == b.ID && src.key == in.Key && !p.changes {
		return out, invalidRequest("This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.")
	}
	info, err := s.copy(ctx, who, copyJob{in: in, plan: p, source: src, bucket: b, meta: meta})
	if err != nil {
		return out, err
	}
	out.Result = CopyObjectResult{
		LastModified: xmlDate(info.Modified), ETag: quoteETag(info.ETag),
		ChecksumType: checksumType(info.Checksum), ChecksumValues: values(info.Checksum, len(info.Parts)),
	}
	return out, nil
}

// copyPlan is what the headers of a copy say it is to do.
type copyPlan struct {
	replaceMeta, replaceTags bool
	checksum                 objects.Algorithm // NoChecksum keeps the source's
	changes                  bool              // something is to become different from the source
	cond                     writeConditions
}

func (in CopyObjectInput) plan() (p copyPlan, err error) {
	switch in.MetadataDirective {
	case "", "COPY":
	case "REPLACE":
		p.replaceMeta = true
	default:
		return p, invalidArgument("x-amz-metadata-directive", in.MetadataDirective, "Unknown metadata directive.")
	}
	switch in.TaggingDirective {
	case "", "COPY":
	case "REPLACE":
		p.replaceTags = true
	default:
		return p, invalidArgument("x-amz-tagging-directive", in.TaggingDirective, "Unknown tagging directive.")
	}
	if in.ChecksumAlgorithm != "" {
		a, ok := objects.ParseAlgorithm(strings.ToUpper(in.ChecksumAlgorithm))
		if !ok {
			return p, unsupportedAlgorithm()
		}
		p.checksum = a
	}
	p.changes = p.replaceMeta || p.replaceTags || p.checksum != objects.NoChecksum || in.WebsiteRedirectLocation != ""
	p.cond, err = in.WriteConditions.read()
	return p, err
}

// sourceObject is the object that a copy reads, of which it is known that the caller may.
type sourceObject struct {
	bucket bucketRecord
	key    string
}

// openSource decides whether the caller may read the source, and looks its bucket up. The operation is to
// be ended also after an error.
func (s *Service) openSource(ctx context.Context, who policy.Caller, c CopySource) (sourceObject, *audit.Operation, error) {
	src, parseErr := parseCopySource(c.CopySource)
	op, b, err := s.begin(ctx, who, access{
		action: "s3:GetObject", bucket: src.bucket, key: src.key, owner: c.ExpectedSourceBucketOwner,
	})
	switch {
	case parseErr != nil && errors.Is(parseErr, errCopySourceEncoding):
		err = invalidArgument("x-amz-copy-source", c.CopySource, "Invalid copy source encoding.")
	case parseErr != nil:
		err = invalidArgument("x-amz-copy-source", c.CopySource, "Copy Source must mention the source bucket and key: sourcebucket/sourcekey")
	case err == nil && c.CopySourceSSECustomerAlgorithm+c.CopySourceSSECustomerKey+c.CopySourceSSECustomerKeyMD5 != "":
		err = CustomerKey{SSECustomerAlgorithm: "source"}.check()
	case err == nil:
		if err = keyError(src.key); err == nil {
			err = versionError(src.version)
		}
	}
	return sourceObject{bucket: b, key: src.key}, op, err
}

// copyJob is a copy that was found in order.
type copyJob struct {
	in     CopyObjectInput
	plan   copyPlan
	source sourceObject
	bucket bucketRecord
	meta   objects.Meta // of the request's headers
}

// copyAttempts bounds how often a copy starts anew because its source was replaced between being looked at
// and being copied.
const copyAttempts = 10

// copy looks at the source, holds it against the conditions, and copies that very object.
func (s *Service) copy(ctx context.Context, who policy.Caller, j copyJob) (objects.Info, error) {
	target := writeTarget{bucket: j.bucket, key: j.in.Key, cond: j.plan.cond}
	for attempt := 1; ; attempt++ {
		src, err := s.objects.Head(ctx, j.source.bucket.ID, j.source.key)
		if err != nil {
			return objects.Info{}, s.readError(ctx, who, j.source.bucket, j.source.key, err)
		}
		if err := j.in.CopySource.check(src); err != nil {
			return objects.Info{}, err
		}
		if src.Size > maxPutBytes {
			return objects.Info{}, copySourceTooLarge()
		}
		if a := j.plan.checksum; a != objects.NoChecksum && (a != src.Checksum.Algorithm || src.Checksum.Type != objects.FullObject) {
			return s.copyBytes(ctx, who, j)
		}
		meta := j.copied(src.Meta)
		info, err := s.objects.Copy(ctx, objects.CopyRequest{
			Bucket: j.bucket.ID, Key: j.in.Key, SourceBucket: j.source.bucket.ID, SourceKey: j.source.key,
			SourceETag: src.ETag, Meta: &meta, If: j.plan.cond.precondition(),
		})
		if err == nil {
			return info, nil
		}
		if errors.Is(err, objects.ErrPrecondition) || errors.Is(err, objects.ErrNotFound) {
			// Was it the source, which changed since it was looked at, or the destination's condition?
			now, headErr := s.objects.Head(ctx, j.source.bucket.ID, j.source.key)
			if (headErr != nil || now.ETag != src.ETag) && attempt < copyAttempts {
				continue
			}
		}
		return objects.Info{}, s.writeError(ctx, target, err)
	}
}

// copied is the metadata of the copy. The redirect is never the source's, as on S3.
func (j copyJob) copied(source objects.Meta) objects.Meta {
	meta := source
	if j.plan.replaceMeta {
		meta = j.meta
		meta.Tags = source.Tags
	}
	if j.plan.replaceTags {
		meta.Tags = j.meta.Tags
	}
	meta.Redirect = j.meta.Redirect
	meta.StorageClass = ""
	return meta
}

// copyBytes copies by reading, which a checksum of another algorithm takes.
func (s *Service) copyBytes(ctx context.Context, who policy.Caller, j copyJob) (objects.Info, error) {
	src, body, err := s.objects.Get(ctx, j.source.bucket.ID, j.source.key)
	if err != nil {
		return objects.Info{}, s.readError(ctx, who, j.source.bucket, j.source.key, err)
	}
	defer func() { _ = body.Close() }()
	if err := j.in.CopySource.check(src); err != nil {
		return objects.Info{}, err
	}
	if src.Size > maxPutBytes {
		return objects.Info{}, copySourceTooLarge()
	}
	info, err := s.objects.Put(ctx, objects.PutRequest{
		Bucket: j.bucket.ID, Key: j.in.Key, Body: body, Size: src.Size, Meta: j.copied(src.Meta),
		If: j.plan.cond.precondition(), Checksum: j.plan.checksum,
	})
	return info, s.writeError(ctx, writeTarget{bucket: j.bucket, key: j.in.Key, cond: j.plan.cond}, err)
}

func copySourceTooLarge() error {
	return invalidRequest(fmt.Sprintf("The specified copy source is larger than the maximum allowable size for a copy source: %d", maxPutBytes))
}

// UploadPartCopyInput is S3's request of the same name.
type UploadPartCopyInput struct {
	Bucket          string `aws:"uri,Bucket"`
	Key             string `aws:"uri,Key"`
	PartNumber      string `aws:"query,partNumber"`
	UploadId        string `aws:"query,uploadId"`
	CopySourceRange string `aws:"header,x-amz-copy-source-range"`
	CopySource
	CustomerKey
	Expect
}

// UploadPartCopyOutput is S3's answer of the same name.
type UploadPartCopyOutput struct {
	Result CopyPartResult `aws:"xml,CopyPartResult"`
}

// CopyPartResult is the document of UploadPartCopy.
type CopyPartResult struct {
	XMLName      xml.Name `xml:"CopyPartResult"`
	LastModified string   `xml:"LastModified"`
	ETag         string   `xml:"ETag"`
	ChecksumValues
}

// UploadPartCopy stores a part that is another object, or a range of it.
func (s *Service) UploadPartCopy(ctx context.Context, who policy.Caller, in UploadPartCopyInput) (out UploadPartCopyOutput, err error) {
	a := partAccess("UploadPartCopy", "s3:PutObject", in.Bucket, in.Key, in.UploadId, in.ExpectedBucketOwner)
	a.params["x-amz-copy-source"] = in.CopySource.CopySource
	op, b, err := s.begin(ctx, who, a)
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
	src, sop, err := s.openSource(ctx, who, in.CopySource)
	defer sop.End(&err)
	if err != nil {
		return out, err
	}
	info, body, err := s.objects.Get(ctx, src.bucket.ID, src.key)
	if err != nil {
		return out, s.readError(ctx, who, src.bucket, src.key, err)
	}
	defer func() { _ = body.Close() }()
	if err := in.CopySource.check(info); err != nil {
		return out, err
	}
	r, err := copyRange(in.CopySourceRange, info.Size)
	if err != nil {
		return out, err
	}
	if _, err := body.Seek(r.first, io.SeekStart); err != nil {
		return out, fmt.Errorf("reading the source: %w", err)
	}
	part, err := s.objects.PutPart(ctx, objects.PartRequest{
		Bucket: b.ID, Key: in.Key, UploadID: in.UploadId, Number: number,
		Body: &section{body: body, left: r.length()}, Size: r.length(),
	})
	if err != nil {
		return out, s.writeError(ctx, writeTarget{bucket: b, key: in.Key, uploadID: in.UploadId}, err)
	}
	out.Result = CopyPartResult{LastModified: xmlDate(part.Modified), ETag: quoteETag(part.ETag), ChecksumValues: partValues(part)}
	return out, nil
}

// copyRange is the bytes of the source that become the part: all of them without the header.
func copyRange(header string, size int64) (byteRange, error) {
	r := byteRange{first: 0, last: size - 1}
	if header != "" {
		var ok bool
		if r, ok = parseCopyRange(header); !ok {
			return r, invalidArgument("x-amz-copy-source-range", header,
				"The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy")
		}
		if r.last >= size {
			return r, invalidArgument("x-amz-copy-source-range", header,
				fmt.Sprintf("Range specified is not valid for source object of size: %d", size))
		}
	}
	if r.length() > maxPutBytes {
		return r, copySourceTooLarge()
	}
	return r, nil
}

// parseChecksum is a checksum from its base64 text.
func parseChecksum(a objects.Algorithm, text string) (objects.Checksum, error) {
	value, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return objects.Checksum{}, fmt.Errorf("reading the body's checksum: %w", err)
	}
	return objects.Checksum{Algorithm: a, Type: objects.FullObject, Value: value}, nil
}
