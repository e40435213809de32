package s3_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"postern/internal/awsapi"
	"postern/internal/policy"
	"postern/internal/s3"
	"postern/internal/store"
)

const bucketRecords = "/postern/v1/s3/bucket/"

func TestBucketLife(t *testing.T) {
	s, ctx := newServer(t, serverConfig{}), t.Context()
	c := s.client()
	create := func(name, location string) {
		t.Helper()
		in := &awss3.CreateBucketInput{Bucket: &name}
		if location != "" {
			in.CreateBucketConfiguration = &types.CreateBucketConfiguration{LocationConstraint: types.BucketLocationConstraint(location)}
		}
		out, err := c.CreateBucket(ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		if aws.ToString(out.Location) != "/"+name {
			t.Errorf("Location is %q", aws.ToString(out.Location))
		}
	}
	create("reports.example", "")
	create("seoul", "ap-northeast-2")
	create("ireland", "EU")
	for name, want := range map[string][2]string{
		"reports.example": {"us-east-1", ""}, "seoul": {"ap-northeast-2", "ap-northeast-2"}, "ireland": {"eu-west-1", "eu-west-1"},
	} {
		head, err := c.HeadBucket(ctx, &awss3.HeadBucketInput{Bucket: &name, ExpectedBucketOwner: aws.String(account)})
		if err != nil || aws.ToString(head.BucketRegion) != want[0] {
			t.Errorf("HeadBucket of %s: %+v, %v", name, head, err)
		}
		location, err := c.GetBucketLocation(ctx, &awss3.GetBucketLocationInput{Bucket: &name})
		if err != nil || string(location.LocationConstraint) != want[1] {
			t.Errorf("GetBucketLocation of %s: %q, %v", name, location.LocationConstraint, err)
		}
	}
	_, err := c.HeadBucket(ctx, &awss3.HeadBucketInput{Bucket: aws.String("seoul"), ExpectedBucketOwner: aws.String("999999999999")})
	wantCode(t, err, "Forbidden")
	names := func(in *awss3.ListBucketsInput) (names []string) {
		t.Helper()
		pages := awss3.NewListBucketsPaginator(c, in)
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range page.Buckets {
				names = append(names, *b.Name)
				if b.CreationDate == nil || b.CreationDate.IsZero() {
					t.Errorf("%s was created %v", *b.Name, b.CreationDate)
				}
			}
		}
		return names
	}
	all := []string{"ireland", "reports.example", "seoul"}
	if got := names(&awss3.ListBucketsInput{}); !slices.Equal(got, all) {
		t.Errorf("the buckets are %v", got)
	}
	if got := names(&awss3.ListBucketsInput{MaxBuckets: aws.Int32(1)}); !slices.Equal(got, all) {
		t.Errorf("the buckets, one a page, are %v", got)
	}
	if got := names(&awss3.ListBucketsInput{Prefix: aws.String("se")}); !slices.Equal(got, []string{"seoul"}) {
		t.Errorf("the buckets under se are %v", got)
	}
	if got := names(&awss3.ListBucketsInput{BucketRegion: aws.String("eu-west-1")}); !slices.Equal(got, []string{"ireland"}) {
		t.Errorf("the buckets in Ireland are %v", got)
	}
	_, err = c.CreateBucket(ctx, &awss3.CreateBucketInput{Bucket: aws.String("reports.example")})
	var mine *types.BucketAlreadyOwnedByYou
	if !errors.As(err, &mine) {
		t.Errorf("creating again: %v", err)
	}
	s.put(t, "reports.example", "k", []byte("x"))
	_, err = c.DeleteBucket(ctx, &awss3.DeleteBucketInput{Bucket: aws.String("reports.example")})
	wantCode(t, err, "BucketNotEmpty")
	if _, err := c.DeleteObject(ctx, &awss3.DeleteObjectInput{Bucket: aws.String("reports.example"), Key: aws.String("k")}); err != nil {
		t.Fatal(err)
	}
	for _, name := range all {
		if _, err := c.DeleteBucket(ctx, &awss3.DeleteBucketInput{Bucket: &name}); err != nil {
			t.Fatal(err)
		}
		_, err = c.DeleteBucket(ctx, &awss3.DeleteBucketInput{Bucket: &name})
		wantCode(t, err, "NoSuchBucket")
	}
	if got := names(&awss3.ListBucketsInput{}); len(got) != 0 {
		t.Errorf("after deleting all there is %v", got)
	}
}

// A bucket of another owner is in the way of a name, and out of sight.
func TestBucketOfAnotherOwner(t *testing.T) {
	s, ctx := newServer(t, serverConfig{}), t.Context()
	record := `{"format":1,"name":"theirs","id":"0123","owner":"999999999999","region":"us-east-1","created":"2026-11-22T11:34:24Z"}`
	if _, err := s.records.Transact(ctx, store.Txn{Put: []store.Put{{Key: bucketRecords + "theirs", Value: []byte(record)}}}); err != nil {
		t.Fatal(err)
	}
	s.bucket(t) // the engine's view is now at or after the record
	p := s.mustStatus(t, http.StatusConflict, call{method: "PUT", path: "/theirs"}).problem(t)
	if p.Code != "BucketAlreadyExists" || p.field("BucketName") != "theirs" {
		t.Errorf("creating it: %+v", p)
	}
	for _, c := range []call{{method: "GET", path: "/theirs"}, {method: "GET", path: "/theirs/k"}, {method: "PUT", path: "/theirs/k", body: "x"}, {method: "DELETE", path: "/theirs"}} {
		if p := s.mustStatus(t, http.StatusForbidden, c).problem(t); p.Code != "AccessDenied" {
			t.Errorf("%s %s: %+v", c.method, c.path, p)
		}
	}
	if a := s.mustStatus(t, http.StatusOK, call{method: "GET", path: "/"}); strings.Contains(a.body, "theirs") {
		t.Errorf("it is listed: %s", a.body)
	}
	// A record of a format to come is not read as one of today.
	if _, err := s.records.Transact(ctx, store.Txn{Put: []store.Put{{Key: bucketRecords + "newer", Value: []byte(`{"format":2}`)}}}); err != nil {
		t.Fatal(err)
	}
	s.bucket(t)
	if err := s.engine.Health(); err == nil {
		t.Error("a record of format 2 is no matter for health")
	}
	p = s.mustStatus(t, http.StatusInternalServerError, call{method: "PUT", path: "/newer"}).problem(t)
	if p.Code != "InternalError" {
		t.Errorf("creating over it: %+v", p)
	}
}

// A bucket made anew under an old name holds nothing, and has another id.
func TestRecreatedBucketIsEmpty(t *testing.T) {
	s, ctx := newServer(t, serverConfig{}), t.Context()
	c := s.client()
	bucket := aws.String("again")
	ids := map[string]bool{}
	for range 3 {
		if _, err := c.CreateBucket(ctx, &awss3.CreateBucketInput{Bucket: bucket}); err != nil {
			t.Fatal(err)
		}
		r, err := s.records.Get(ctx, bucketRecords+"again")
		if err != nil {
			t.Fatal(err)
		}
		ids[string(r.Value)] = true
		if out, err := c.ListObjectsV2(ctx, &awss3.ListObjectsV2Input{Bucket: bucket}); err != nil || len(out.Contents) != 0 {
			t.Fatalf("a new bucket lists %v, %v", out, err)
		}
		if out, err := c.ListMultipartUploads(ctx, &awss3.ListMultipartUploadsInput{Bucket: bucket}); err != nil || len(out.Uploads) != 0 {
			t.Fatalf("a new bucket lists the uploads %v, %v", out, err)
		}
		up, err := c.CreateMultipartUpload(ctx, &awss3.CreateMultipartUploadInput{Bucket: bucket, Key: aws.String("u")})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.UploadPart(ctx, &awss3.UploadPartInput{Bucket: bucket, Key: aws.String("u"), UploadId: up.UploadId, PartNumber: aws.Int32(1), Body: strings.NewReader("part")}); err != nil {
			t.Fatal(err)
		}
		s.put(t, "again", "k", []byte("x"))
		if _, err := c.DeleteObject(ctx, &awss3.DeleteObjectInput{Bucket: bucket, Key: aws.String("k")}); err != nil {
			t.Fatal(err)
		}
		// The unfinished upload does not keep the bucket, and goes with it.
		if _, err := c.DeleteBucket(ctx, &awss3.DeleteBucketInput{Bucket: bucket}); err != nil {
			t.Fatal(err)
		}
		if n := s.blobs(t); n != 0 {
			t.Fatalf("after the bucket's deletion %d blobs are left", n)
		}
	}
	if len(ids) != 3 {
		t.Errorf("three buckets had %d records", len(ids))
	}
}

// Deleting a bucket against writing to it. What was acknowledged is there or the bucket still is; what was
// refused has left nothing behind.
func TestDeleteBucketAgainstWrites(t *testing.T) {
	s := newServer(t, serverConfig{})
	ctx := context.Background() // outlives a writer that the test ends early
	for round := range 40 {
		bucket := s.bucket(t)
		var stored atomic.Int64
		var deleted atomic.Bool
		var wg sync.WaitGroup
		begin := make(chan struct{})
		for writer := range 4 {
			wg.Go(func() {
				<-begin
				for i := range 5 {
					in := s3.PutObjectInput{Bucket: bucket, Key: fmt.Sprintf("%d-%d", writer, i), Body: strings.NewReader("x"), ContentLength: 1}
					switch _, err := s.engine.PutObject(ctx, owner, in); {
					case err == nil:
						stored.Add(1)
					case codeOf(err) != "NoSuchBucket":
						t.Errorf("a put failed with %v", err)
					}
				}
			})
		}
		for range 2 {
			wg.Go(func() {
				<-begin
				for range round % 5 {
					_, _ = s.engine.HeadBucket(ctx, owner, s3.HeadBucketInput{Bucket: bucket})
				}
				switch _, err := s.engine.DeleteBucket(ctx, owner, s3.DeleteBucketInput{Bucket: bucket}); {
				case err == nil:
					deleted.Store(true)
				case codeOf(err) != "BucketNotEmpty" && codeOf(err) != "NoSuchBucket":
					t.Errorf("the deletion failed with %v", err)
				}
			})
		}
		close(begin)
		wg.Wait()
		list, err := s.engine.ListObjectsV2(ctx, owner, s3.ListObjectsV2Input{Bucket: bucket})
		if deleted.Load() {
			if stored.Load() != 0 {
				t.Fatalf("round %d: the bucket was deleted with %d acknowledged objects", round, stored.Load())
			}
			if codeOf(err) != "NoSuchBucket" {
				t.Fatalf("round %d: a deleted bucket lists with %v", round, err)
			}
			if n := s.blobs(t); n != 0 {
				t.Fatalf("round %d: %d blobs are left of refused writes", round, n)
			}
			continue
		}
		if err != nil || int64(len(list.Result.Contents)) != stored.Load() {
			t.Fatalf("round %d: %d objects are listed, %d were acknowledged (%v)", round, len(list.Result.Contents), stored.Load(), err)
		}
		for _, o := range list.Result.Contents {
			if _, err := s.engine.DeleteObject(ctx, owner, s3.DeleteObjectInput{Bucket: bucket, Key: o.Key}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.engine.DeleteBucket(ctx, owner, s3.DeleteBucketInput{Bucket: bucket}); err != nil {
			t.Fatal(err)
		}
	}
}

// codeOf is the AWS code of an engine's error.
func codeOf(err error) string {
	var e *awsapi.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// An upload whose body is still on its way when the bucket is deleted fails, and leaves nothing.
func TestDeleteBucketDuringUpload(t *testing.T) {
	s := newServer(t, serverConfig{})
	bucket := s.bucket(t)
	body := newGate(noise(1, 300_000))
	result := make(chan error, 1)
	go func() {
		_, err := s.engine.PutObject(context.Background(), owner, s3.PutObjectInput{Bucket: bucket, Key: "k", Body: body, ContentLength: 300_000})
		result <- err
	}()
	<-body.half
	if _, err := s.engine.DeleteBucket(t.Context(), owner, s3.DeleteBucketInput{Bucket: bucket}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.engine.CreateBucket(t.Context(), owner, s3.CreateBucketInput{Bucket: bucket}); err != nil {
		t.Fatal(err)
	}
	close(body.open)
	if err := <-result; codeOf(err) != "NoSuchBucket" {
		t.Fatalf("the upload ended with %v", err)
	}
	list, err := s.engine.ListObjectsV2(t.Context(), owner, s3.ListObjectsV2Input{Bucket: bucket})
	if err != nil || len(list.Result.Contents) != 0 || s.blobs(t) != 0 {
		t.Fatalf("the new bucket lists %v (%v), %d blobs", list.Result.Contents, err, s.blobs(t))
	}
}

// gate is a body that stops in its middle until it is opened.
type gate struct {
	rest       *bytes.Reader
	left       int
	half, open chan struct{}
	stopped    bool
}

func newGate(b []byte) *gate {
	return &gate{rest: bytes.NewReader(b), left: len(b) / 2, half: make(chan struct{}), open: make(chan struct{})}
}

func (g *gate) Read(p []byte) (int, error) {
	if g.left > 0 {
		n, err := g.rest.Read(p[:min(len(p), g.left)])
		g.left -= n
		return n, err
	}
	if !g.stopped {
		g.stopped = true
		close(g.half)
		<-g.open
	}
	return g.rest.Read(p)
}

// A deletion that was cut off after the bucket's id was closed is finished by the next write, or by the
// next deletion.
func TestHalfDeletedBucket(t *testing.T) {
	s, ctx := newServer(t, serverConfig{}), t.Context()
	for name, meet := range map[string]func(bucket string) error{
		"put": func(bucket string) error {
			_, err := s.engine.PutObject(ctx, owner, s3.PutObjectInput{Bucket: bucket, Key: "k", Body: strings.NewReader("x"), ContentLength: 1})
			return err
		},
		"upload": func(bucket string) error {
			_, err := s.engine.CreateMultipartUpload(ctx, owner, s3.CreateMultipartUploadInput{Bucket: bucket, Key: "k"})
			return err
		},
		"copy": func(bucket string) error {
			from := s.bucket(t)
			s.put(t, from, "k", []byte("x"))
			_, err := s.engine.CopyObject(ctx, owner, s3.CopyObjectInput{Bucket: bucket, Key: "k", CopySource: s3.CopySource{CopySource: from + "/k"}})
			return err
		},
		"delete": func(bucket string) error {
			if _, err := s.engine.DeleteBucket(ctx, owner, s3.DeleteBucketInput{Bucket: bucket}); err != nil {
				return err
			}
			_, err := s.engine.HeadBucket(ctx, owner, s3.HeadBucketInput{Bucket: bucket})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			bucket := s.bucket(t)
			if err := s.backend.DeleteBucket(ctx, s.bucketID(t, bucket)); err != nil {
				t.Fatal(err)
			}
			if err := meet(bucket); codeOf(err) != "NoSuchBucket" {
				t.Fatalf("the half-deleted bucket answers %v", err)
			}
			if _, err := s.records.Get(ctx, bucketRecords+bucket); !errors.Is(err, store.ErrNotFound) {
				t.Fatalf("its record: %v", err)
			}
			if _, err := s.engine.CreateBucket(ctx, owner, s3.CreateBucketInput{Bucket: bucket}); err != nil {
				t.Fatal(err)
			}
			s.put(t, bucket, "k", []byte("y"))
		})
	}
}

// Of many who create one bucket, one has created it.
func TestConcurrentCreate(t *testing.T) {
	s, ctx := newServer(t, serverConfig{}), t.Context()
	var created atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			switch _, err := s.engine.CreateBucket(ctx, owner, s3.CreateBucketInput{Bucket: "contended"}); {
			case err == nil:
				created.Add(1)
			case codeOf(err) != "BucketAlreadyOwnedByYou":
				t.Errorf("creating: %v", err)
			}
		})
	}
	wg.Wait()
	if created.Load() != 1 {
		t.Errorf("%d have created it", created.Load())
	}
}

// Only the account creates buckets.
func TestCreateBucketIsDecided(t *testing.T) {
	s := shared(t)
	for name, who := range map[string]policy.Caller{
		"anonymous": {}, "another account": rootOf("999999999999"), "the edge": policy.EdgeCaller("arn:aws:cloudfront::" + account + ":distribution/E1"),
	} {
		if _, err := s.engine.CreateBucket(t.Context(), who, s3.CreateBucketInput{Bucket: "never-made"}); err == nil {
			t.Errorf("%s has created a bucket", name)
		}
	}
}
