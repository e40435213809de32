package s3

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"postern/internal/awsapi"
	"postern/internal/policy"
	"postern/internal/s3/objects"
	"postern/internal/store"
)

// bucketPrefix is where the records of buckets are in the store; the bucket's name follows.
const bucketPrefix = "/postern/v1/s3/bucket/"

// bucketFormat is the format that bucketRecord is written in.
const bucketFormat = 1

// bucketRecord is a bucket. It is stored as one JSON object, {"format":1,"name":…,"id":…,"owner":…,
// "region":…,"created":"2026-11-22T11:34:24Z"}, under bucketPrefix and its name.
//
// The id is 32 random hexadecimal digits and is the name by which the object backend knows the bucket, so
// that a bucket made anew under an old name can never show what the old one held.
type bucketRecord struct {
	Format  int       `json:"format"`
	Name    string    `json:"name"`
	ID      string    `json:"id"`
	Owner   string    `json:"owner"`
	Region  string    `json:"region"`
	Created time.Time `json:"created"`
	// revision is the store's, for compares.
	revision int64
}

func decodeBucket(r store.Record) (bucketRecord, error) {
	var b bucketRecord
	if err := json.Unmarshal(r.Value, &b); err != nil {
		return bucketRecord{}, fmt.Errorf("reading the record %s: %w", r.Key, err)
	}
	if b.Format != bucketFormat {
		return bucketRecord{}, fmt.Errorf("reading the record %s: format %d is newer than this program knows; use the version that wrote it", r.Key, b.Format)
	}
	if b.ID == "" || b.Owner == "" || bucketPrefix+b.Name != r.Key {
		return bucketRecord{}, fmt.Errorf("reading the record %s: it is not a bucket's", r.Key)
	}
	b.revision = r.Revision
	return b, nil
}

// CreateBucketInput is S3's request of the same name.
type CreateBucketInput struct {
	Bucket        string                     `aws:"uri,Bucket"`
	Configuration *CreateBucketConfiguration `aws:"xml,CreateBucketConfiguration"`
	// ObjectOwnership may be BucketOwnerEnforced or absent.
	ObjectOwnership string `aws:"header,x-amz-object-ownership"`
	// ObjectLockEnabledForBucket may be false or absent.
	ObjectLockEnabledForBucket string `aws:"header,x-amz-bucket-object-lock-enabled"`
	AccessControl
}

// CreateBucketConfiguration says where a bucket is to be. Location and Bucket describe directory buckets
// and Tags the bucket's tags; neither is supported.
type CreateBucketConfiguration struct {
	LocationConstraint string       `xml:"LocationConstraint"`
	Location           *Unsupported `xml:"Location"`
	Bucket             *Unsupported `xml:"Bucket"`
	Tags               *Unsupported `xml:"Tags"`
}

// Unsupported stands for an element that is refused whatever it holds.
type Unsupported struct {
	Content []byte `xml:",innerxml"`
}

// CreateBucketOutput is S3's answer of the same name.
type CreateBucketOutput struct {
	Location string `aws:"header,Location"`
}

// CreateBucket makes a bucket of this account, in the region of its LocationConstraint or else the
// service's. One server stands in for every region, so that any well-formed constraint is taken.
//
// Creating a bucket that is there already is BucketAlreadyOwnedByYou, also in us-east-1, where S3 answers
// 200 for the sake of clients from before 2018: whoever makes a bucket is to know whether it is new.
func (s *Service) CreateBucket(ctx context.Context, who policy.Caller, in CreateBucketInput) (out CreateBucketOutput, err error) {
	region, location := s.region, ""
	if in.Configuration != nil {
		location = in.Configuration.LocationConstraint
	}
	req := policy.Request{Action: "s3:CreateBucket", Resource: "arn:aws:s3:::" + in.Bucket, ResourceAccount: s.account}
	if location != "" {
		req.Context = map[string][]string{"s3:locationconstraint": {location}}
	}
	op, err := s.guard.Begin(ctx, who, req, map[string]any{"bucketName": in.Bucket, "locationConstraint": location})
	defer op.End(&err)
	if err != nil {
		return out, err
	}
	if !validBucketName(in.Bucket) {
		return out, invalidBucketName(in.Bucket)
	}
	if c := in.Configuration; c != nil && (c.Location != nil || c.Bucket != nil) {
		return out, notImplemented("Postern has general purpose buckets only; send CreateBucketConfiguration without Location and Bucket")
	} else if c != nil && c.Tags != nil {
		return out, notImplemented("Postern does not keep tags of buckets yet; send CreateBucketConfiguration without Tags")
	}
	switch {
	case location == "EU":
		region = "eu-west-1" // the constraint's name from before regions had one
	case location != "":
		if !validRegion(location) || location == "us-east-1" {
			return out, refuse(http.StatusBadRequest, "InvalidLocationConstraint",
				"The specified location-constraint is not valid", "LocationConstraint", location)
		}
		region = location
	}
	switch in.ObjectOwnership {
	case "", "BucketOwnerEnforced":
	case "BucketOwnerPreferred", "ObjectWriter":
		return out, notImplemented("Postern's buckets do not have ACLs; send x-amz-object-ownership: BucketOwnerEnforced, or leave it out")
	default:
		return out, invalidArgument("x-amz-object-ownership", in.ObjectOwnership, "Invalid x-amz-object-ownership header: "+in.ObjectOwnership)
	}
	if in.ObjectLockEnabledForBucket != "" && !strings.EqualFold(in.ObjectLockEnabledForBucket, "false") {
		return out, notImplemented("Postern does not support object lock; send the request without x-amz-bucket-object-lock-enabled")
	}
	if err := in.AccessControl.check(); err != nil {
		var refused *awsapi.Error
		if errors.As(err, &refused) && refused.Code == "AccessControlListNotSupported" {
			err = refuse(http.StatusBadRequest, "InvalidBucketAclWithObjectOwnership",
				"Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting")
		}
		return out, err
	}
	b := bucketRecord{
		Format: bucketFormat, Name: in.Bucket, ID: newBucketID(), Owner: s.account, Region: region,
		Created: s.now().UTC().Truncate(time.Second),
	}
	if err := s.insertBucket(ctx, b); err != nil {
		return out, err
	}
	return CreateBucketOutput{Location: "/" + b.Name}, nil
}

// newBucketID is 128 random bits. rand.Read never fails (Go 1.24).
func newBucketID() string {
	var id [16]byte
	_, _ = rand.Read(id[:])
	return hex.EncodeToString(id[:])
}

// insertBucket writes a record where there is none, and waits until this process sees it.
func (s *Service) insertBucket(ctx context.Context, b bucketRecord) error {
	value, err := json.Marshal(b)
	if err != nil {
		return fmt.Errorf("writing the bucket's record: %w", err)
	}
	key := bucketPrefix + b.Name
	rev, err := s.store.Transact(ctx, store.Txn{
		If:  []store.Compare{{Key: key}},
		Put: []store.Put{{Key: key, Value: value}},
	})
	if errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrUnknown) {
		// Somebody else's record, or, after a write whose outcome is unknown, perhaps this one.
		r, getErr := s.store.Get(ctx, key)
		if errors.Is(getErr, store.ErrNotFound) && errors.Is(err, store.ErrConflict) {
			return operationAborted() // it was there, and is gone again
		}
		if getErr != nil {
			return fmt.Errorf("writing the bucket's record: %w", err)
		}
		there, decodeErr := decodeBucket(r)
		switch {
		case decodeErr != nil:
			return decodeErr
		case there.ID == b.ID:
			rev, err = r.Revision, nil
		case there.Owner == b.Owner:
			return bucketAlreadyOwned(b.Name)
		default:
			return bucketAlreadyExists(b.Name)
		}
	}
	if err != nil {
		return fmt.Errorf("writing the bucket's record: %w", err)
	}
	return s.buckets.Wait(ctx, rev)
}

// DeleteBucketInput is S3's request of the same name.
type DeleteBucketInput struct {
	Bucket string `aws:"uri,Bucket"`
	Expect
}

// DeleteBucketOutput is empty.
type DeleteBucketOutput struct{}

// DeleteBucket deletes a bucket that holds no object; unfinished uploads go with it, as on S3.
//
// The order: the object backend first closes the bucket's id for good, in the same step in which it finds
// it empty; then the record goes. An upload that is under way when the id is closed fails with
// NoSuchBucket and leaves nothing; one that was made final before makes the answer BucketNotEmpty. A crash
// between the two leaves a record over a closed id, which the next write to the bucket, or the next
// DeleteBucket, takes away (bucketGone).
func (s *Service) DeleteBucket(ctx context.Context, who policy.Caller, in DeleteBucketInput) (out DeleteBucketOutput, err error) {
	op, b, err := s.begin(ctx, who, access{action: "s3:DeleteBucket", bucket: in.Bucket, owner: in.ExpectedBucketOwner})
	defer op.End(&err)
	if err != nil {
		return out, err
	}
	err = s.objects.DeleteBucket(ctx, b.ID)
	if errors.Is(err, objects.ErrNotEmpty) {
		return out, bucketNotEmpty(b.Name)
	}
	if err != nil {
		return out, fmt.Errorf("deleting the bucket's objects: %w", err)
	}
	return out, s.removeRecord(ctx, b)
}

// removeRecord takes the record of a bucket away whose id is closed. It compares the id under the
// record's revision, so that it never touches a bucket made anew under the name.
func (s *Service) removeRecord(ctx context.Context, b bucketRecord) error {
	key := bucketPrefix + b.Name
	for revision := b.revision; ; {
		rev, err := s.store.Transact(ctx, store.Txn{
			If:     []store.Compare{{Key: key, Revision: revision}},
			Delete: []string{key},
		})
		if err == nil {
			return s.buckets.Wait(ctx, rev)
		}
		if !errors.Is(err, store.ErrConflict) && !errors.Is(err, store.ErrUnknown) {
			return fmt.Errorf("deleting the bucket's record: %w", err)
		}
		r, getErr := s.store.Get(ctx, key)
		if errors.Is(getErr, store.ErrNotFound) {
			return s.waitGone(ctx, b)
		}
		if getErr != nil {
			return fmt.Errorf("deleting the bucket's record: %w", getErr)
		}
		there, decodeErr := decodeBucket(r)
		if decodeErr != nil {
			return decodeErr
		}
		if there.ID != b.ID {
			return s.buckets.Wait(ctx, r.Revision)
		}
		revision = r.Revision
	}
}

// waitGone returns when this process no longer sees the record.
func (s *Service) waitGone(ctx context.Context, b bucketRecord) error {
	for {
		changed := s.buckets.Changed()
		if there, ok := s.buckets.Get(bucketPrefix + b.Name); !ok || there.ID != b.ID {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("waiting for the bucket's deletion: %w", context.Cause(ctx))
		}
	}
}

// bucketGone is the answer to a write that met a closed bucket id. The deletion that closed it may have
// been cut off before it removed the record, so it is finished here.
func (s *Service) bucketGone(ctx context.Context, b bucketRecord) error {
	if err := s.removeRecord(ctx, b); err != nil {
		return err
	}
	return noSuchBucket(b.Name)
}

// HeadBucketInput is S3's request of the same name.
type HeadBucketInput struct {
	Bucket string `aws:"uri,Bucket"`
	Expect
}

// HeadBucketOutput is S3's answer of the same name.
type HeadBucketOutput struct {
	BucketRegion     string `aws:"header,x-amz-bucket-region"`
	AccessPointAlias string `aws:"header,x-amz-access-point-alias"`
}

// HeadBucket says that a bucket exists and where.
func (s *Service) HeadBucket(ctx context.Context, who policy.Caller, in HeadBucketInput) (out HeadBucketOutput, err error) {
	op, b, err := s.begin(ctx, who, access{operation: "HeadBucket", action: "s3:ListBucket", bucket: in.Bucket, owner: in.ExpectedBucketOwner})
	defer op.End(&err)
	if err != nil {
		return out, err
	}
	return HeadBucketOutput{BucketRegion: b.Region, AccessPointAlias: "false"}, nil
}

// GetBucketLocationInput is S3's request of the same name.
type GetBucketLocationInput struct {
	Bucket string `aws:"uri,Bucket"`
	Expect
}

// GetBucketLocationOutput is S3's answer of the same name.
type GetBucketLocationOutput struct {
	Location LocationConstraint `aws:"xml,LocationConstraint"`
}

// LocationConstraint is a region; us-east-1 is the empty string, as it has been since there were regions.
type LocationConstraint struct {
	XMLName xml.Name `xml:"LocationConstraint"`
	Region  string   `xml:",chardata"`
}

// GetBucketLocation says where a bucket is.
func (s *Service) GetBucketLocation(ctx context.Context, who policy.Caller, in GetBucketLocationInput) (out GetBucketLocationOutput, err error) {
	op, b, err := s.begin(ctx, who, access{action: "s3:GetBucketLocation", bucket: in.Bucket, owner: in.ExpectedBucketOwner})
	defer op.End(&err)
	if err != nil {
		return out, err
	}
	if b.Region != "us-east-1" {
		out.Location.Region = b.Region
	}
	return out, nil
}

// ListBucketsInput is S3's request of the same name.
type ListBucketsInput struct {
	BucketRegion      string `aws:"query,bucket-region"`
	ContinuationToken string `aws:"query,continuation-token"`
	MaxBuckets        string `aws:"query,max-buckets"`
	Prefix            string `aws:"query,prefix"`
}

// ListBucketsOutput is S3's answer of the same name.
type ListBucketsOutput struct {
	Result ListAllMyBucketsResult `aws:"xml,ListAllMyBucketsResult"`
}

// ListAllMyBucketsResult is the document of ListBuckets.
type ListAllMyBucketsResult struct {
	XMLName           xml.Name `xml:"ListAllMyBucketsResult"`
	Owner             Owner    `xml:"Owner"`
	Buckets           []Bucket `xml:"Buckets>Bucket"`
	ContinuationToken string   `xml:"ContinuationToken,omitempty"`
	Prefix            string   `xml:"Prefix,omitempty"`
}

// Owner is an account as S3's documents show it.
type Owner struct {
	ID string `xml:"ID"`
}

// Bucket is a bucket in ListBuckets.
type Bucket struct {
	Name         string `xml:"Name"`
	CreationDate string `xml:"CreationDate"`
	BucketRegion string `xml:"BucketRegion"`
}

// maxBuckets is the most that one page of ListBuckets shows
// (docs.aws.amazon.com/AmazonS3/latest/API/API_ListBuckets.html).
const maxBuckets = 10000

// ListBuckets lists the account's buckets by name.
func (s *Service) ListBuckets(ctx context.Context, who policy.Caller, in ListBucketsInput) (out ListBucketsOutput, err error) {
	op, err := s.guard.Begin(ctx, who, policy.Request{Action: "s3:ListAllMyBuckets", Resource: "*", ResourceAccount: s.account}, nil)
	op.SetName("ListBuckets")
	defer op.End(&err)
	if err != nil {
		return out, err
	}
	limit := maxBuckets
	if in.MaxBuckets != "" {
		n, err := strconv.Atoi(in.MaxBuckets)
		if err != nil || n < 1 || n > maxBuckets {
			return out, invalidArgument("max-buckets", in.MaxBuckets, "Argument max-buckets must be an integer between 1 and 10000")
		}
		limit = n
	}
	after := ""
	if in.ContinuationToken != "" {
		if after, err = decodeToken(s.account, in.ContinuationToken); err != nil {
			return out, invalidArgument("continuation-token", in.ContinuationToken, "The continuation token provided is incorrect")
		}
	}
	all, _ := s.buckets.Snapshot()
	found := make([]bucketRecord, 0, len(all))
	for _, b := range all {
		if b.Owner == s.account && b.Name > after && strings.HasPrefix(b.Name, in.Prefix) &&
			(in.BucketRegion == "" || b.Region == in.BucketRegion) {
			found = append(found, b)
		}
	}
	slices.SortFunc(found, func(a, b bucketRecord) int { return strings.Compare(a.Name, b.Name) })
	result := ListAllMyBucketsResult{Owner: Owner{ID: canonicalID(s.account)}, Prefix: in.Prefix}
	for i, b := range found {
		if i == limit {
			result.ContinuationToken = encodeToken(s.account, found[i-1].Name)
			break
		}
		result.Buckets = append(result.Buckets, Bucket{Name: b.Name, CreationDate: xmlDate(b.Created), BucketRegion: b.Region})
	}
	return ListBucketsOutput{Result: result}, nil
}
