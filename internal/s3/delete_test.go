package s3_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"postern/internal/audit"
	"postern/internal/policy"
)

// deciderFunc decides by a function.
type deciderFunc func(policy.Caller, policy.Request) bool

func (f deciderFunc) Decide(_ context.Context, who policy.Caller, req policy.Request) policy.Decision {
	return policy.Decision{Allowed: f(who, req), Reason: "because the test says so"}
}

func isDenied(err error) bool {
	var d *audit.Denied
	return errors.As(err, &d)
}

func TestDeleteObjects(t *testing.T) {
	s, ctx := shared(t), t.Context()
	bucket := s.bucket(t)
	c := s.client()
	all := keys()
	var named []types.ObjectIdentifier
	for _, key := range all {
		s.put(t, bucket, key, []byte("x"))
		named = append(named, types.ObjectIdentifier{Key: &key})
	}
	named = append(named,
		types.ObjectIdentifier{Key: aws.String("never was")},
		types.ObjectIdentifier{Key: aws.String("plain"), VersionId: aws.String("v1")},
		types.ObjectIdentifier{Key: aws.String("plain"), ETag: aws.String("x")},
		types.ObjectIdentifier{Key: aws.String(strings.Repeat("k", 1025))},
	)
	out, err := c.DeleteObjects(ctx, &awss3.DeleteObjectsInput{Bucket: &bucket, Delete: &types.Delete{Objects: named}})
	if err != nil {
		t.Fatal(err)
	}
	gone := map[string]bool{}
	for _, d := range out.Deleted {
		gone[*d.Key] = true
	}
	for _, key := range append(all, "never was") {
		if !gone[key] {
			t.Errorf("%.60q is not said to be deleted", key)
		}
	}
	var codes []string
	for _, e := range out.Errors {
		codes = append(codes, *e.Code)
	}
	if fmt.Sprint(codes) != "[InvalidArgument NotImplemented KeyTooLongError]" {
		t.Errorf("the errors are %v", codes)
	}
	if list, err := c.ListObjectsV2(ctx, &awss3.ListObjectsV2Input{Bucket: &bucket}); err != nil || len(list.Contents) != 0 {
		t.Errorf("%d objects are left, %v", len(list.Contents), err)
	}
	s.put(t, bucket, "k", nil)
	quiet, err := c.DeleteObjects(ctx, &awss3.DeleteObjectsInput{Bucket: &bucket, Delete: &types.Delete{Quiet: aws.Bool(true), Objects: []types.ObjectIdentifier{{Key: aws.String("k")}}}})
	if err != nil || len(quiet.Deleted)+len(quiet.Errors) != 0 {
		t.Errorf("quietly: %+v, %v", quiet, err)
	}
	_, err = c.DeleteObjects(ctx, &awss3.DeleteObjectsInput{Bucket: aws.String("no-such-bucket"), Delete: &types.Delete{Objects: []types.ObjectIdentifier{{Key: aws.String("k")}}}})
	wantCode(t, err, "NoSuchBucket")
	// A thousand of the longest keys, with entities in them, fit; one more does not.
	key := strings.Repeat("&amp;", 400) + strings.Repeat("k", 624)
	for n, status := range map[int]int{1000: http.StatusOK, 1001: http.StatusBadRequest} {
		body := "<Delete>" + strings.Repeat("<Object><Key>"+key+"</Key></Object>", n) + "</Delete>"
		a := s.mustStatus(t, status, call{method: "POST", path: "/" + bucket + "?delete", body: body, header: map[string]string{"Content-MD5": md5Of(body)}})
		if status != http.StatusOK && a.problem(t).Code != "MalformedXML" {
			t.Errorf("%d keys: %s", n, a.body)
		}
	}
}

func TestDeleteObjectsDecidesEachKey(t *testing.T) {
	s := newServer(t, serverConfig{decider: deciderFunc(func(who policy.Caller, req policy.Request) bool {
		return who.Account == account && (req.Action != "s3:DeleteObject" || strings.Contains(req.Resource, "/mine/"))
	})})
	ctx := t.Context()
	bucket := s.bucket(t)
	c := s.client()
	for _, key := range []string{"mine/1", "theirs/1"} {
		s.put(t, bucket, key, []byte("x"))
	}
	before := len(s.recorder.Events())
	out, err := c.DeleteObjects(ctx, &awss3.DeleteObjectsInput{Bucket: &bucket, Delete: &types.Delete{
		Objects: []types.ObjectIdentifier{{Key: aws.String("mine/1")}, {Key: aws.String("theirs/1")}},
	}})
	if err != nil || len(out.Deleted) != 1 || len(out.Errors) != 1 || *out.Errors[0].Code != "AccessDenied" || *out.Errors[0].Message != "Access Denied" {
		t.Fatalf("deleting one's own and another's: %+v, %v", out, err)
	}
	events := s.recorder.Events()[before:]
	if len(events) != 2 || events[0].EventName != "DeleteObjects" || events[0].ErrorCode != "" || events[1].ErrorCode != "AccessDenied" || events[1].RequestParameters["key"] != "theirs/1" {
		t.Errorf("it left %+v", events)
	}
	if got := s.get(t, bucket, "theirs/1"); string(got) != "x" {
		t.Errorf("the other's object holds %q", got)
	}
	_, err = c.DeleteObjects(ctx, &awss3.DeleteObjectsInput{Bucket: &bucket, Delete: &types.Delete{Objects: []types.ObjectIdentifier{{Key: aws.String("theirs/1")}}}})
	wantCode(t, err, "AccessDenied")
	// A bucket that is not there is found out once, not once a key.
	before = len(s.recorder.Events())
	_, err = c.DeleteObjects(ctx, &awss3.DeleteObjectsInput{Bucket: aws.String("no-such-bucket"), Delete: &types.Delete{
		Objects: []types.ObjectIdentifier{{Key: aws.String("mine/1")}, {Key: aws.String("mine/2")}, {Key: aws.String("mine/3")}},
	}})
	wantCode(t, err, "NoSuchBucket")
	if n := len(s.recorder.Events()) - before; n != 1 {
		t.Errorf("it left %d lines", n)
	}
}
