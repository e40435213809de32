// Package objects says what keeps the bytes of S3 objects: [Backend] is the contract, and package
// local the backend of one machine, blob files beside a bbolt index.
//
// A backend knows no HTTP, no permissions and no bucket settings: those are the engine's, in package
// s3 above it. One conformance suite, objecttest, holds every backend to the contract.
package objects

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// The kinds of error a caller may tell apart with errors.Is. Everything else (a full disk, a broken
// device) is an internal failure, and says so in words.
var (
	// ErrNotFound: no object has this key. Also the answer to IfMatch on a key that is not there.
	ErrNotFound = errors.New("no such object")
	// ErrPrecondition: IfMatch or IfNoneMatch does not hold.
	ErrPrecondition = errors.New("precondition failed")
	// ErrNoBucket: the bucket was deleted with [Backend.DeleteBucket].
	ErrNoBucket = errors.New("no such bucket")
	// ErrNotEmpty: a bucket that still holds objects is not deleted.
	ErrNotEmpty = errors.New("bucket not empty")
	// ErrNoUpload: no multipart upload has this id for this key; it may have been completed or aborted.
	ErrNoUpload = errors.New("no such multipart upload")
	// ErrInvalidPart: a part is not there, has another ETag or checksum, or a number outside 1..10,000.
	ErrInvalidPart = errors.New("invalid part")
	// ErrInvalidPartOrder: the list of parts is empty or not in ascending order.
	ErrInvalidPartOrder = errors.New("parts not in ascending order")
	// ErrTooSmall: a part other than the last is smaller than the least size (S3: 5 MiB).
	ErrTooSmall = errors.New("part too small")
	// ErrBadKey: the key is not 1 to 1,024 bytes long, or a bucket id not 1 to 255 bytes without NUL.
	ErrBadKey = errors.New("bad key")
	// ErrBadSize: the body ended before the declared size, or goes on beyond it.
	ErrBadSize = errors.New("body is not as long as declared")
	// ErrDamaged: the index names bytes that the storage has lost.
	ErrDamaged = errors.New("object is damaged")
	// ErrClosed: the backend has been closed.
	ErrClosed = errors.New("object backend is closed")
	// ErrLocked: another process, or another backend in this one, has the folder open.
	ErrLocked = errors.New("object folder is in use")
)

// Limits of S3 (docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html, .../qfacts.html).
const (
	MaxKey      = 1024            // bytes of a key
	MaxParts    = 10000           // parts of an upload, and the highest part number
	MinPartSize = int64(5) << 20  // bytes of every part but the last
	MaxPartSize = int64(5) << 30  // bytes of a part; the engine's to enforce
	MaxSize     = int64(50) << 40 // bytes of an object; the engine's to enforce
	NullVersion = "null"          // the version id of every object until versioning comes
)

// PartError says which part made [Backend.CompleteUpload] refuse. Err is ErrInvalidPart,
// ErrInvalidPartOrder or ErrTooSmall.
type PartError struct {
	Number int   // the part's number as the caller gave it
	Size   int64 // the stored part's bytes, with ErrTooSmall
	Min    int64 // the least bytes a part must have, with ErrTooSmall
	Err    error
}

// Error names the part and the fault.
func (e *PartError) Error() string { return fmt.Sprintf("part %d: %v", e.Number, e.Err) }

// Unwrap returns the kind.
func (e *PartError) Unwrap() error { return e.Err }

// Backend stores objects in buckets.
//
// Buckets. A bucket is an id that the caller chose, 1 to 255 bytes without NUL; it need not be
// announced. An id is never used again after DeleteBucket: writes to it then fail with ErrNoBucket,
// so that an upload which began before the deletion cannot leave an object nobody can reach.
//
// Keys are 1 to 1,024 bytes of any value, NUL and invalid UTF-8 included. They come back exactly,
// and are never part of a file's name. Their order is that of their bytes.
//
// Durability. A method that changes something returns nil only when the change survives the loss of
// the process and of power. If it returns an error, nothing has changed, with one exception: an error
// of the storage itself while the change was being made final leaves it unknown, and either the old
// or the new state is there, whole.
//
// Atomicity. Whoever reads, lists or opens sees the old object or the new one, never a mixture, and
// an open Body goes on giving the object it was opened on, however often that is replaced or deleted.
// A listing is one moment's state.
//
// Concurrency. All methods may be called at once. Of two writes to one key the one that is made final
// last wins. Preconditions are checked in the same step that makes the write final.
//
// Ownership. The backend reads a request's Body from one goroutine, only during the call, and does not
// close it; it keeps no reference to maps and slices of a request, and what it returns is the caller's.
// Bodies stream: memory used by a call does not depend on the object's size.
//
// Contexts. A cancelled context ends a call at the next block of the body; once the change is being
// made final, it is seen through.
type Backend interface {
	// Put stores the body under the key, in place of an object there is. A body of another length than
	// Size, or whose Read fails, leaves everything as it was; the reader's error is returned wrapped.
	// Errors: ErrBadKey, ErrNoBucket, ErrPrecondition, ErrNotFound (IfMatch without an object), ErrBadSize.
	Put(ctx context.Context, in PutRequest) (Info, error)

	// Get opens an object. The caller closes the Body. Errors: ErrBadKey, ErrNotFound, ErrDamaged.
	Get(ctx context.Context, bucket, key string) (Info, Body, error)

	// Head describes an object. Errors: ErrBadKey, ErrNotFound.
	Head(ctx context.Context, bucket, key string) (Info, error)

	// Delete removes an object; one that is not there is no error. Errors: ErrBadKey.
	Delete(ctx context.Context, bucket, key string) error

	// Copy makes an object out of another, which may be itself, without sending bytes through the
	// caller, and keeps its ETag, checksum and parts. Errors: ErrBadKey, ErrNoBucket, ErrNotFound,
	// ErrPrecondition.
	Copy(ctx context.Context, in CopyRequest) (Info, error)

	// List returns up to Max objects and common prefixes in the order of their bytes. Of each object it
	// fills only Key, VersionID, Size, ETag, Modified and Checksum. The work is in proportion to what is
	// returned, not to what a common prefix hides. Errors: ErrBadKey (for the bucket id).
	List(ctx context.Context, bucket string, in ListRequest) (ListResult, error)

	// CreateUpload begins a multipart upload, which lives until completed or aborted, restarts included.
	// Errors: ErrBadKey, ErrNoBucket.
	CreateUpload(ctx context.Context, in UploadRequest) (Upload, error)

	// GetUpload describes an upload. Errors: ErrBadKey, ErrNoUpload.
	GetUpload(ctx context.Context, bucket, key, uploadID string) (Upload, error)

	// PutPart stores a part, in place of one of the same number. Errors: as Put's, ErrNoUpload,
	// ErrInvalidPart (the number).
	PutPart(ctx context.Context, in PartRequest) (Part, error)

	// ListParts returns an upload and up to max of its parts with numbers above after. Errors: ErrBadKey,
	// ErrNoUpload.
	ListParts(ctx context.Context, bucket, key, uploadID string, after, max int) (PartList, error)

	// ListUploads returns up to Max unfinished uploads and common prefixes, by key, then by age.
	// Errors: ErrBadKey (for the bucket id), ErrNoUpload (IDMarker is not an id).
	ListUploads(ctx context.Context, bucket string, in ListUploadsRequest) (UploadList, error)

	// CompleteUpload makes one object of the parts named, in their order, without copying bytes, and
	// forgets the upload and its other parts. Its ETag is MD5(MD5(part 1) … MD5(part N))-N. Repeating a
	// call that succeeded answers the same while the object is still there. Errors: ErrBadKey, ErrNoBucket,
	// ErrNoUpload, ErrPrecondition, ErrNotFound, and *PartError.
	CompleteUpload(ctx context.Context, in CompleteRequest) (Info, error)

	// AbortUpload forgets an upload and its parts. Errors: ErrBadKey, ErrNoUpload.
	AbortUpload(ctx context.Context, bucket, key, uploadID string) error

	// DeleteBucket forgets an empty bucket and aborts its uploads. Deleting it again is no error.
	// Errors: ErrBadKey, ErrNotEmpty.
	DeleteBucket(ctx context.Context, bucket string) error

	// Close ends all work. Calls that have not ended fail with ErrClosed, as do later ones; open Bodies
	// may fail too.
	Close() error
}

// Body is an open object. Read, Seek and Close are for one goroutine at a time, ReadAt for any number.
//
// The body of an object in one piece is an *os.File with the local backend, so that
// io.Copy(w, io.LimitReader(body, n)) into a plain HTTP connection uses sendfile(2): hand it on
// unwrapped where that matters.
type Body interface {
	io.ReadSeekCloser
	io.ReaderAt
}

// Meta is what a caller stores with an object and gets back as it was.
type Meta struct {
	ContentType        string
	ContentEncoding    string
	ContentDisposition string
	ContentLanguage    string
	CacheControl       string
	Expires            string            // the header's text, not parsed
	StorageClass       string            // "" is STANDARD
	Redirect           string            // x-amz-website-redirect-location
	User               map[string]string // x-amz-meta-*, without the prefix
	Tags               map[string]string
}

// Info describes a stored object.
type Info struct {
	Key       string
	VersionID string
	Size      int64
	ETag      string    // lower-case hex without quotes; "-N" at the end for a multipart object
	Modified  time.Time // UTC, whole seconds, as S3 shows them
	Checksum  Checksum  // zero if none was asked for
	Meta      Meta
	Parts     []PartInfo // of a multipart object, in order; nil for one stored by Put
}

// PartInfo is one part of a finished multipart object; its bytes follow those of the part before.
type PartInfo struct {
	Number   int
	Size     int64
	Checksum []byte // raw, of the object's algorithm; nil if none
}

// Precondition guards a write. The zero value always holds.
type Precondition struct {
	IfMatch     string // ETag without quotes the object must have; "*": it must exist
	IfNoneMatch string // ETag without quotes the object must not have; "*": it must not exist
}

// Digest is what a backend has computed of a body when the last byte has passed.
type Digest struct {
	Size     int64
	MD5      [16]byte
	Checksum Checksum // of the algorithm asked for; zero if none was
}

// Verify is called once per stored body, after its last byte and before the object or part becomes
// visible. An error abandons the write and is returned wrapped. It may set d.Checksum to one that the
// caller knows already, from a verified trailer for instance, instead of having it computed.
type Verify func(d *Digest) error

// PutRequest is the input of [Backend.Put].
type PutRequest struct {
	Bucket   string
	Key      string
	Body     io.Reader // nil is an empty object
	Size     int64     // bytes of Body; -1 if unknown
	Meta     Meta
	If       Precondition
	Checksum Algorithm // to be computed; NoChecksum for none
	Verify   Verify    // optional
}

// CopyRequest is the input of [Backend.Copy].
type CopyRequest struct {
	Bucket       string // destination
	Key          string
	SourceBucket string
	SourceKey    string
	SourceETag   string // if set, the source must have this ETag, else ErrPrecondition
	Meta         *Meta  // replaces the source's; nil keeps it
	If           Precondition
}

// ListRequest is the input of [Backend.List].
type ListRequest struct {
	Prefix    string
	Delimiter string // keys that have it after Prefix are folded into one common prefix; any length
	// After: only keys above it are listed. If it is itself a common prefix under Prefix and Delimiter,
	// the listing goes on beyond everything it hides (S3's NextMarker, also ListResult.Next).
	After string
	Max   int // most objects and prefixes together; none if not positive
}

// ListResult is the output of [Backend.List].
type ListResult struct {
	Objects   []Info
	Prefixes  []string
	Truncated bool
	Next      string // the After that goes on, if Truncated
}

// UploadRequest is the input of [Backend.CreateUpload].
type UploadRequest struct {
	Bucket       string
	Key          string
	Meta         Meta      // the finished object's
	Checksum     Algorithm // computed of each part, and of the object
	ChecksumType ChecksumType
}

// Upload is an unfinished multipart upload.
type Upload struct {
	ID           string
	Key          string
	Initiated    time.Time // UTC, whole seconds
	Meta         Meta
	Checksum     Algorithm
	ChecksumType ChecksumType
}

// PartRequest is the input of [Backend.PutPart].
type PartRequest struct {
	Bucket   string
	Key      string
	UploadID string
	Number   int // 1 to 10,000
	Body     io.Reader
	Size     int64  // bytes of Body; -1 if unknown
	Verify   Verify // optional
}

// Part is a stored part of an unfinished upload.
type Part struct {
	Number   int
	Size     int64
	ETag     string // lower-case hex MD5 without quotes
	Modified time.Time
	Checksum Checksum // of the upload's algorithm
}

// PartList is the output of [Backend.ListParts].
type PartList struct {
	Upload    Upload
	Parts     []Part
	Truncated bool
	Next      int // the after that goes on, if Truncated
}

// ListUploadsRequest is the input of [Backend.ListUploads].
type ListUploadsRequest struct {
	Prefix    string
	Delimiter string
	// KeyMarker and IDMarker: list only uploads above the key, or of this very key and above the id.
	// Without IDMarker, KeyMarker is as ListRequest.After.
	KeyMarker string
	IDMarker  string
	Max       int
}

// UploadList is the output of [Backend.ListUploads].
type UploadList struct {
	Uploads   []Upload
	Prefixes  []string
	Truncated bool
	NextKey   string // the markers that go on, if Truncated
	NextID    string
}

// CompleteRequest is the input of [Backend.CompleteUpload].
type CompleteRequest struct {
	Bucket   string
	Key      string
	UploadID string
	Parts    []CompletePart
	If       Precondition
	// Verify sees the finished object's size and checksum (MD5 is that of the ETag, not of the bytes)
	// before it becomes visible. Optional. It is not asked again when a finished call is repeated.
	Verify Verify
}

// CompletePart names one stored part.
type CompletePart struct {
	Number   int
	ETag     string // as PutPart returned it; surrounding quotes are the engine's to strip
	Checksum string // base64, compared if not empty
}
