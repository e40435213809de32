package s3

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"

	"postern/internal/audit"
	"postern/internal/awsapi"
	"postern/internal/policy"
	"postern/internal/s3/objects"
)

// PutObjectInput is S3's request of the same name.
type PutObjectInput struct {
	Bucket string    `aws:"uri,Bucket"`
	Key    string    `aws:"uri,Key"`
	Body   io.Reader `aws:"body"`
	// ContentLength is the body's, in bytes, without the framing of aws-chunked; -1 is refused.
	ContentLength int64             `aws:"bodylen"`
	Checksums     *awsapi.Checksums `aws:"checksums"`
	// ChecksumAlgorithm names the checksum that the client says it sends.
	ChecksumAlgorithm string `aws:"header,x-amz-sdk-checksum-algorithm"`
	WriteConditions
	ObjectHeaders
	AccessControl
	Encryption
	ObjectLock
	Expect
}

// PutObjectOutput is S3's answer of the same name.
type PutObjectOutput struct {
	ETag         string `aws:"header,ETag"`
	ChecksumType string `aws:"header,x-amz-checksum-type"`
	ChecksumValues
}

// PutObject stores an object of up to 5 GiB in place of the one there is. Readers see the one or the other,
// whole. A body that fails its digest, its checksum, its signature or its length changes nothing.
//
// The checksum that came with the body is kept; if none came, CRC64NVME is computed, as S3 does.
func (s *Service) PutObject(ctx context.Context, who policy.Caller, in PutObjectInput) (out PutObjectOutput, err error) {
	op, b, err := s.begin(ctx, who, access{
		action: "s3:PutObject", bucket: in.Bucket, key: in.Key, owner: in.ExpectedBucketOwner,
	})
	defer op.End(&err)
	if err != nil {
		return out, err
	}
	n := newObject{
		bucket: b, key: in.Key, headers: in.ObjectHeaders, acl: in.AccessControl, encryption: in.Encryption, lock: in.ObjectLock,
	}
	meta, err := s.prepare(ctx, who, n)
	if err != nil {
		return out, err
	}
	if err := checkLength(in.ContentLength); err != nil {
		return out, err
	}
	cond, err := in.WriteConditions.read()
	if err != nil {
		return out, err
	}
	algorithm, err := announced(in.Checksums, in.ChecksumAlgorithm)
	if err != nil {
		return out, err
	}
	req := objects.PutRequest{
		Bucket: b.ID, Key: in.Key, Body: in.Body, Size: in.ContentLength, Meta: meta, If: cond.precondition(),
	}
	if algorithm == objects.NoChecksum {
		req.Checksum = objects.CRC64NVME
	} else {
		req.Verify = func(d *objects.Digest) error {
			c, err := verified(in.Checksums, algorithm)
			d.Checksum = c
			return err
		}
	}
	info, err := s.objects.Put(ctx, req)
	if err != nil {
		return out, s.writeError(ctx, writeTarget{bucket: b, key: in.Key, cond: cond}, err)
	}
	return PutObjectOutput{
		ETag: quoteETag(info.ETag), ChecksumType: checksumType(info.Checksum), ChecksumValues: values(info.Checksum, 0),
	}, nil
}

// newObject is what is checked before an object, or an upload that will become one, is stored.
type newObject struct {
	bucket     bucketRecord
	key        string
	headers    ObjectHeaders
	acl        AccessControl
	encryption Encryption
	lock       ObjectLock
}

// prepare checks a new object's key and headers and returns what is to be stored with it.
func (s *Service) prepare(ctx context.Context, who policy.Caller, n newObject) (objects.Meta, error) {
	if err := keyError(n.key); err != nil {
		return objects.Meta{}, err
	}
	if n.headers.Tagging != "" {
		if err := s.also(ctx, who, n.bucket, "s3:PutObjectTagging", n.key); err != nil {
			return objects.Meta{}, err
		}
	}
	if err := n.acl.check(); err != nil {
		return objects.Meta{}, err
	}
	if err := n.encryption.check(); err != nil {
		return objects.Meta{}, err
	}
	if err := n.lock.check(); err != nil {
		return objects.Meta{}, err
	}
	return n.headers.meta()
}

// checkLength refuses a body of unknown or too great length.
func checkLength(n int64) error {
	switch {
	case n < 0:
		return refuse(http.StatusLengthRequired, "MissingContentLength", "You must provide the Content-Length HTTP header.")
	case n > maxPutBytes:
		return tooLarge(n)
	default:
		return nil
	}
}

// verified is the checksum that the pipeline found true of a body that was read to its end.
func verified(sums *awsapi.Checksums, want objects.Algorithm) (objects.Checksum, error) {
	for _, c := range sums.Verified() {
		if a, ok := objects.ParseAlgorithm(c.Algorithm); ok && a == want {
			return parseChecksum(a, c.Value)
		}
	}
	return objects.Checksum{}, errors.New("the body's checksum was announced and not verified")
}

// DeleteObjectInput is S3's request of the same name.
type DeleteObjectInput struct {
	Bucket    string `aws:"uri,Bucket"`
	Key       string `aws:"uri,Key"`
	VersionId string `aws:"query,versionId"`
	IfMatch   string `aws:"header,If-Match"`
	// BypassGovernanceRetention and MFA change nothing: there is no retention to bypass and no bucket that
	// asks for a second factor.
	BypassGovernanceRetention string `aws:"header,x-amz-bypass-governance-retention"`
	MFA                       string `aws:"header,x-amz-mfa"`
	Expect
}

// DeleteObjectOutput is empty.
type DeleteObjectOutput struct{}

// DeleteObject deletes an object. One that is not there is deleted as well.
func (s *Service) DeleteObject(ctx context.Context, who policy.Caller, in DeleteObjectInput) (out DeleteObjectOutput, err error) {
	op, b, err := s.begin(ctx, who, access{
		action: "s3:DeleteObject", bucket: in.Bucket, key: in.Key, owner: in.ExpectedBucketOwner,
	})
	defer op.End(&err)
	if err != nil {
		return out, err
	}
	return out, s.deleteObject(ctx, b, in.Key, in.VersionId, in.IfMatch != "")
}

// deleteObject deletes one object of a bucket that the caller may delete it from.
func (s *Service) deleteObject(ctx context.Context, b bucketRecord, key, version string, conditional bool) error {
	if err := keyError(key); err != nil {
		return err
	}
	if err := versionError(version); err != nil {
		return err
	}
	if conditional {
		return notImplemented("Postern does not support conditional deletes yet; send the request without a condition")
	}
	return s.writeError(ctx, writeTarget{bucket: b, key: key}, s.objects.Delete(ctx, b.ID, key))
}

// DeleteObjectsInput is S3's request of the same name.
type DeleteObjectsInput struct {
	Bucket    string            `aws:"uri,Bucket"`
	Delete    Delete            `aws:"xml,Delete"`
	Checksums *awsapi.Checksums `aws:"checksums"`
	// ContentMD5 or a checksum must come with the request, which the pipeline has then verified.
	ContentMD5                string `aws:"header,Content-MD5"`
	ChecksumAlgorithm         string `aws:"header,x-amz-sdk-checksum-algorithm"`
	BypassGovernanceRetention string `aws:"header,x-amz-bypass-governance-retention"`
	MFA                       string `aws:"header,x-amz-mfa"`
	Expect
}

// Delete is the document of DeleteObjects.
type Delete struct {
	Objects []ObjectIdentifier `xml:"Object"`
	Quiet   bool               `xml:"Quiet"`
}

// ObjectIdentifier names one object to delete. A condition (the last three fields) is refused.
type ObjectIdentifier struct {
	Key              string `xml:"Key"`
	VersionId        string `xml:"VersionId"`
	ETag             string `xml:"ETag"`
	LastModifiedTime string `xml:"LastModifiedTime"`
	Size             string `xml:"Size"`
}

// DeleteObjectsOutput is S3's answer of the same name.
type DeleteObjectsOutput struct {
	Result DeleteResult `aws:"xml,DeleteResult"`
}

// DeleteResult is the document of an answered DeleteObjects.
type DeleteResult struct {
	Deleted []DeletedObject `xml:"Deleted"`
	Errors  []DeleteError   `xml:"Error"`
}

// DeletedObject is one object that is gone.
type DeletedObject struct {
	Key       string `xml:"Key"`
	VersionId string `xml:"VersionId,omitempty"`
}

// DeleteError is one object that is not.
type DeleteError struct {
	Key       string `xml:"Key"`
	VersionId string `xml:"VersionId,omitempty"`
	Code      string `xml:"Code"`
	Message   string `xml:"Message"`
}

// maxDeletes is the most objects that one DeleteObjects names.
const maxDeletes = 1000

// DeleteObjects deletes up to 1,000 objects, each decided and audited for itself: what a caller may not
// delete is an error beside the deletions of what it may. If it may delete none of them the call itself is
// AccessDenied. S3 then answers 200 with an error for each, which a client that looks at the status alone
// takes for a success.
func (s *Service) DeleteObjects(ctx context.Context, who policy.Caller, in DeleteObjectsInput) (out DeleteObjectsOutput, err error) {
	if fault := in.fault(); fault != nil {
		op, _, err := s.begin(ctx, who, access{
			operation: "DeleteObjects", action: "s3:DeleteObject", bucket: in.Bucket, key: "*", owner: in.ExpectedBucketOwner,
		})
		defer op.End(&err)
		if err == nil {
			err = fault
		}
		return out, err
	}
	results := s.deleteAll(ctx, who, in)
	refused := 0
	for i, r := range results {
		o := in.Delete.Objects[i]
		var denied *audit.Denied
		var known *awsapi.Error
		switch {
		case errors.As(r.err, &denied):
			if refused++; refused == len(in.Delete.Objects) {
				return DeleteObjectsOutput{}, r.err
			}
			out.Result.add(o, "AccessDenied", "Access Denied")
		case r.err != nil && !r.decided, errors.Is(r.err, audit.ErrNotWritten):
			return DeleteObjectsOutput{}, r.err
		case errors.As(r.err, &known):
			out.Result.add(o, known.Code, known.Message)
		case r.err != nil:
			out.Result.add(o, "InternalError", "We encountered an internal error. Please try again.")
		case !in.Delete.Quiet:
			out.Result.Deleted = append(out.Result.Deleted, DeletedObject{Key: o.Key, VersionId: o.VersionId})
		}
	}
	return out, nil
}

// deleteResult is what became of one of many deletions. Not decided means that the error is about the
// bucket, and so about all of them.
type deleteResult struct {
	decided bool
	err     error
}

// deletesAtOnce bounds how many deletions of one request wait for the disk together.
const deletesAtOnce = 16

// deleteAll deletes what the request lists, and answers in its order. It ends after the first if that
// finds the bucket wanting.
func (s *Service) deleteAll(ctx context.Context, who policy.Caller, in DeleteObjectsInput) []deleteResult {
	results := make([]deleteResult, len(in.Delete.Objects))
	var denied *audit.Denied
	results[0] = s.deleteListed(ctx, who, in, in.Delete.Objects[0])
	if !results[0].decided && !errors.As(results[0].err, &denied) {
		return results[:1]
	}
	free := make(chan struct{}, deletesAtOnce)
	var wg sync.WaitGroup
	for i, o := range in.Delete.Objects[1:] {
		free <- struct{}{}
		wg.Go(func() {
			defer func() { <-free }()
			results[i+1] = s.deleteListed(ctx, who, in, o)
		})
	}
	wg.Wait()
	return results
}

// fault is what is wrong with the request as a whole. It is told to those who may delete everything.
func (in DeleteObjectsInput) fault() error {
	if n := len(in.Delete.Objects); n == 0 || n > maxDeletes {
		return malformedXML()
	}
	if in.ContentMD5 == "" && len(in.Checksums.Verified()) == 0 {
		return invalidRequest("Missing required header for this request: Content-MD5")
	}
	return nil
}

// deleteListed decides, audits and does one of many deletions.
func (s *Service) deleteListed(ctx context.Context, who policy.Caller, in DeleteObjectsInput, o ObjectIdentifier) (r deleteResult) {
	op, b, err := s.begin(ctx, who, access{
		operation: "DeleteObjects", action: "s3:DeleteObject", bucket: in.Bucket, key: o.Key, owner: in.ExpectedBucketOwner,
	})
	r.err = err
	defer op.End(&r.err)
	if r.err == nil {
		r.decided = true
		r.err = s.deleteObject(ctx, b, o.Key, o.VersionId, o.ETag != "" || o.LastModifiedTime != "" || o.Size != "")
	}
	return r
}

func (r *DeleteResult) add(o ObjectIdentifier, code, message string) {
	r.Errors = append(r.Errors, DeleteError{Key: o.Key, VersionId: o.VersionId, Code: code, Message: message})
}
