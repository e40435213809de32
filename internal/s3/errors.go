package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"postern/internal/awsapi"
	"postern/internal/s3/objects"
)

// Limits that refusals name, in bytes.
const (
	maxPutBytes      = int64(5) << 30 // one PutObject, one part, one copy
	maxMetadataBytes = 2 << 10        // names and values of x-amz-meta-* together
)

// refuse makes an S3 error. Codes and texts are S3's
// (docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html and what clients have seen) wherever S3 has
// one for the case; fields come in pairs of element and text.
func refuse(status int, code, message string, fields ...string) *awsapi.Error {
	e := &awsapi.Error{Status: status, Code: code, Message: message}
	for i := 0; i+1 < len(fields); i += 2 {
		if e.Fields == nil {
			e.Fields = make(map[string]string, len(fields)/2)
		}
		e.Fields[fields[i]] = fields[i+1]
	}
	return e
}

// notImplemented refuses what Postern does not do, and says so in a sentence. S3's status for this code is
// 501; clients retry those that begin with 5, so this one is 400.
func notImplemented(sentence string, fields ...string) *awsapi.Error {
	return refuse(http.StatusBadRequest, "NotImplemented", sentence, fields...)
}

func invalidArgument(name, value, message string) *awsapi.Error {
	return refuse(http.StatusBadRequest, "InvalidArgument", message, "ArgumentName", name, "ArgumentValue", value)
}

func invalidRequest(message string) *awsapi.Error {
	return refuse(http.StatusBadRequest, "InvalidRequest", message)
}

func accessDenied() *awsapi.Error {
	return refuse(http.StatusForbidden, "AccessDenied", "Access Denied")
}

func noSuchBucket(name string) *awsapi.Error {
	return refuse(http.StatusNotFound, "NoSuchBucket", "The specified bucket does not exist", "BucketName", name)
}

func invalidBucketName(name string) *awsapi.Error {
	return refuse(http.StatusBadRequest, "InvalidBucketName", "The specified bucket is not valid.", "BucketName", name)
}

func bucketAlreadyOwned(name string) *awsapi.Error {
	return refuse(http.StatusConflict, "BucketAlreadyOwnedByYou",
		"Your previous request to create the named bucket succeeded and you already own it.", "BucketName", name)
}

func bucketAlreadyExists(name string) *awsapi.Error {
	return refuse(http.StatusConflict, "BucketAlreadyExists",
		"The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please select a different name and try again.",
		"BucketName", name)
}

func bucketNotEmpty(name string) *awsapi.Error {
	return refuse(http.StatusConflict, "BucketNotEmpty", "The bucket you tried to delete is not empty", "BucketName", name)
}

func operationAborted() *awsapi.Error {
	return refuse(http.StatusConflict, "OperationAborted",
		"A conflicting conditional operation is currently in progress against this resource. Please try again.")
}

func noSuchKey(key string) *awsapi.Error {
	return refuse(http.StatusNotFound, "NoSuchKey", "The specified key does not exist.", "Key", key)
}

func noSuchUpload(id string) *awsapi.Error {
	return refuse(http.StatusNotFound, "NoSuchUpload",
		"The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.",
		"UploadId", id)
}

func preconditionFailed412(condition string) *awsapi.Error {
	return refuse(http.StatusPreconditionFailed, "PreconditionFailed",
		"At least one of the pre-conditions you specified did not hold", "Condition", condition)
}

func invalidRange(requested string, size int64) *awsapi.Error {
	e := refuse(http.StatusRequestedRangeNotSatisfiable, "InvalidRange", "The requested range is not satisfiable",
		"RangeRequested", requested, "ActualObjectSize", strconv.FormatInt(size, 10))
	e.Headers = http.Header{"Content-Range": {fmt.Sprintf("bytes */%d", size)}}
	return e
}

func malformedXML() *awsapi.Error {
	return refuse(http.StatusBadRequest, "MalformedXML",
		"The XML you provided was not well-formed or did not validate against our published schema")
}

func tooLarge(proposed int64) *awsapi.Error {
	return refuse(http.StatusBadRequest, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size",
		"ProposedSize", strconv.FormatInt(proposed, 10), "MaxSizeAllowed", strconv.FormatInt(maxPutBytes, 10))
}

func incompleteBody() *awsapi.Error {
	return refuse(http.StatusBadRequest, "IncompleteBody",
		"You did not provide the number of bytes specified by the Content-Length HTTP header")
}

// keyError is the refusal of a key that cannot be one, or nil.
func keyError(key string) error {
	switch checkKey(key) {
	case keyTooLong:
		return refuse(http.StatusBadRequest, "KeyTooLongError", "Your key is too long",
			"Size", strconv.Itoa(len(key)), "MaxSizeAllowed", strconv.Itoa(maxKeyBytes))
	case keyNotText:
		return refuse(http.StatusBadRequest, "InvalidURI", "Couldn't parse the specified URI.")
	default:
		return nil
	}
}

// versionError refuses a version id other than the one every object has while buckets are not versioned.
func versionError(id string) error {
	if id == "" || id == objects.NullVersion {
		return nil
	}
	return invalidArgument("versionId", id, "Invalid version id specified")
}

// writeTarget is what an error of a write is about.
type writeTarget struct {
	bucket   bucketRecord
	key      string
	uploadID string
	cond     writeConditions
}

// writeError turns an error of the object backend, met in a write, into S3's. An error that the body's
// own reader reported (a digest that does not match, a signature of a chunk) goes on as it is.
func (s *Service) writeError(ctx context.Context, t writeTarget, err error) error {
	var refused interface{ AWSErrorCode() string }
	var part *objects.PartError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refused):
		return err
	case errors.As(err, &part):
		return partError(t.uploadID, part)
	case errors.Is(err, objects.ErrNoBucket):
		return s.bucketGone(ctx, t.bucket)
	case errors.Is(err, objects.ErrPrecondition):
		return preconditionFailed412(t.cond.name())
	case errors.Is(err, objects.ErrNotFound):
		return noSuchKey(t.key)
	case errors.Is(err, objects.ErrNoUpload):
		return noSuchUpload(t.uploadID)
	case errors.Is(err, objects.ErrBadKey):
		return refuse(http.StatusBadRequest, "InvalidURI", "Couldn't parse the specified URI.")
	case errors.Is(err, objects.ErrBadSize), errors.Is(err, io.ErrUnexpectedEOF):
		return incompleteBody()
	default:
		return fmt.Errorf("storing the object: %w", err)
	}
}

// partError is S3's word for a part that CompleteMultipartUpload cannot use.
func partError(uploadID string, e *objects.PartError) error {
	number := strconv.Itoa(e.Number)
	switch {
	case errors.Is(e, objects.ErrInvalidPartOrder):
		return refuse(http.StatusBadRequest, "InvalidPartOrder",
			"The list of parts was not in ascending order. Parts must be ordered by part number.", "UploadId", uploadID)
	case errors.Is(e, objects.ErrTooSmall):
		return refuse(http.StatusBadRequest, "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size",
			"ProposedSize", strconv.FormatInt(e.Size, 10), "MinSizeAllowed", strconv.FormatInt(e.Min, 10), "PartNumber", number)
	default:
		return refuse(http.StatusBadRequest, "InvalidPart",
			"One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.",
			"UploadId", uploadID, "PartNumber", number)
	}
}
