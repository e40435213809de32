// Package s3 is the S3 engine and its operation table: buckets, objects, listings, multipart uploads.
//
// The rules are here: names, limits, conditions, ranges, who may do what and in which words S3 refuses.
// The bytes and their index are an [objects.Backend]'s; a bucket's record is the store's; who may is the
// guard's, which also writes the audit line. An engine method takes the caller first, decides before it
// looks whether anything exists, and knows nothing of the wire: [Service.Table] is its wire face.
//
// What is not done (bucket policies, ACLs, versions, encryption, tags of buckets …) is not in the table and
// is refused at once with a sentence. docs/compatibility.md is printed from the table.
//
// The room is larger than a room should be, above 3,000 lines: more than a third are the inputs and
// documents of 21 operations in S3's own words, and the rules behind them (one bucket lookup, one decision,
// one way to turn the backend's errors into S3's) are shared by all, so that a cut would run through them.
package s3

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"postern/internal/audit"
	"postern/internal/policy"
	"postern/internal/s3/objects"
	"postern/internal/store"
)

// Config is what a [Service] needs. Every field is required.
type Config struct {
	Store   *store.Store
	Objects objects.Backend
	Guard   *audit.Guard
	// Account owns every bucket that is made here: twelve digits.
	Account string
	// Region is that of buckets made without a LocationConstraint.
	Region string
	Now    func() time.Time
}

// Service is the S3 engine. It is safe for concurrent use. It does not own the store and the backend it
// was given.
type Service struct {
	store   *store.Store
	buckets *store.View[bucketRecord]
	objects objects.Backend
	guard   *audit.Guard
	account string
	region  string
	now     func() time.Time
}

// New makes the engine and its watched copy of the bucket records; Close ends it.
func New(c Config) (*Service, error) {
	if c.Store == nil || c.Objects == nil || c.Guard == nil || c.Account == "" || c.Region == "" || c.Now == nil {
		return nil, errors.New("making the S3 engine: Store, Objects, Guard, Account, Region and Now are required")
	}
	view, err := store.NewView(context.Background(), c.Store, bucketPrefix, decodeBucket)
	if err != nil {
		return nil, fmt.Errorf("reading the bucket records: %w", err)
	}
	return &Service{
		store: c.Store, buckets: view, objects: c.Objects, guard: c.Guard,
		account: c.Account, region: c.Region, now: c.Now,
	}, nil
}

// Health is nil while the engine's copy of the bucket records follows the store.
func (s *Service) Health() error { return s.buckets.Health() }

// Close stops following the store.
func (s *Service) Close() { s.buckets.Close() }

// access is one thing a caller wants of a bucket or an object, as the guard is asked.
type access struct {
	operation string // the API operation, such as HeadObject, where it is not the action's own name
	action    string // s3:GetObject
	bucket    string
	key       string // empty for the bucket itself
	owner     string // x-amz-expected-bucket-owner
	context   map[string][]string
	params    map[string]any // further request parameters for the audit line
}

// begin decides, then looks the bucket up: a stranger learns nothing of what exists. For a bucket that
// does not exist the decision is made as if it were this account's, so that the account's own callers are
// told NoSuchBucket and everybody else AccessDenied. The operation is to be ended also after an error.
func (s *Service) begin(ctx context.Context, who policy.Caller, a access) (*audit.Operation, bucketRecord, error) {
	b, found := s.lookup(a.bucket)
	params := map[string]any{"bucketName": a.bucket}
	if a.key != "" {
		params["key"] = a.key
	}
	for k, v := range a.params {
		params[k] = v
	}
	op, err := s.guard.Begin(ctx, who, s.request(b, a), params)
	if a.operation != "" {
		op.SetName(a.operation)
	}
	switch {
	case err != nil:
		return op, b, err
	case a.owner != "" && a.owner != b.Owner:
		return op, b, accessDenied()
	case !found && !validBucketName(a.bucket):
		return op, b, invalidBucketName(a.bucket)
	case !found:
		return op, b, noSuchBucket(a.bucket)
	default:
		return op, b, nil
	}
}

// request is an access in the decider's words.
func (s *Service) request(b bucketRecord, a access) policy.Request {
	arn := "arn:aws:s3:::" + a.bucket
	if a.key != "" {
		arn += "/" + a.key
	}
	return policy.Request{Action: a.action, Resource: arn, ResourceAccount: b.Owner, Context: a.context}
}

// lookup finds a bucket in memory. The record of a bucket that does not exist names this account as its
// owner, for the decision.
func (s *Service) lookup(name string) (bucketRecord, bool) {
	if b, ok := s.buckets.Get(bucketPrefix + name); ok {
		return b, true
	}
	return bucketRecord{Name: name, Owner: s.account}, false
}

// also asks for one more permission that an operation needs, such as s3:PutObjectTagging for a put that
// brings tags. The audit line of the operation itself records a refusal.
func (s *Service) also(ctx context.Context, who policy.Caller, b bucketRecord, action, key string) error {
	req := s.request(b, access{action: action, bucket: b.Name, key: key})
	if d := s.guard.Decide(ctx, who, req); !d.Allowed {
		return &audit.Denied{Caller: who, Request: req, Reason: d.Reason}
	}
	return nil
}

// missingKey is the answer for an object that is not there. As on S3 (API_GetObject, "Permissions") a
// caller who may not list the bucket is not told so and gets AccessDenied: a private bucket behind the
// edge answers 403, not 404, for what it does not have.
func (s *Service) missingKey(ctx context.Context, who policy.Caller, b bucketRecord, key string) error {
	if err := s.also(ctx, who, b, "s3:ListBucket", ""); err != nil {
		return err
	}
	return noSuchKey(key)
}

// canonicalID is the opaque 64-digit id under which S3 shows an account as an owner.
func canonicalID(account string) string {
	sum := sha256.Sum256([]byte("postern canonical user " + account))
	return hex.EncodeToString(sum[:])
}
