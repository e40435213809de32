// Package objecttest holds every object backend to the contract of package objects: one suite, run by
// each backend's own tests.
package objecttest

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"postern/internal/s3/objects"
)

// Storage is one empty place to store objects in.
type Storage struct {
	// Backend is open on it.
	Backend objects.Backend
	// Reopen opens the storage again, after the suite has closed the backend before. nil if the backend
	// keeps nothing itself.
	Reopen func(t *testing.T) objects.Backend
	// MinPartSize is the least bytes of a part that is not the last.
	MinPartSize int64
}

// Factory makes a fresh storage for one test, and cleans up after it.
type Factory func(t *testing.T) Storage

// Run tests a backend. Every subtest takes its own storage.
func Run(t *testing.T, factory Factory) {
	for _, c := range []struct {
		name string
		test func(*suite)
	}{
		{"Sizes", (*suite).sizes},
		{"Meta", (*suite).meta},
		{"Checksums", (*suite).checksums},
		{"Keys", (*suite).keys},
		{"BadKeys", (*suite).badKeys},
		{"Replace", (*suite).replace},
		{"OpenBody", (*suite).openBody},
		{"BadBodies", (*suite).badBodies},
		{"EndlessBody", (*suite).endlessBody},
		{"Verify", (*suite).verify},
		{"Cancel", (*suite).cancel},
		{"Preconditions", (*suite).preconditions},
		{"OneCreator", (*suite).oneCreator},
		{"Delete", (*suite).delete},
		{"Copy", (*suite).copy},
		{"CopyMultipart", (*suite).copyMultipart},
		{"Ownership", (*suite).ownership},
		{"BucketsApart", (*suite).bucketsApart},
		{"DeleteBucket", (*suite).deleteBucket},
		{"List", (*suite).list},
		{"ListModel", (*suite).listModel},
		{"Multipart", (*suite).multipart},
		{"MultipartChecksums", (*suite).multipartChecksums},
		{"MultipartErrors", (*suite).multipartErrors},
		{"MultipartRepeat", (*suite).multipartRepeat},
		{"MultipartOpenBody", (*suite).multipartOpenBody},
		{"ListParts", (*suite).listParts},
		{"ListUploads", (*suite).listUploads},
		{"Reopen", (*suite).reopen},
		{"Concurrent", (*suite).concurrent},
		{"Stream", (*suite).stream},
		{"Closed", (*suite).closed},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &suite{T: t, Storage: factory(t)}
			t.Cleanup(func() { s.Backend.Close() })
			c.test(s)
		})
	}
}

// suite is one running test and its storage.
type suite struct {
	*testing.T
	Storage
}

const bucket = "bucket-1"

func (s *suite) ctx() context.Context { return s.Context() }

// data is n bytes that no other n gives.
func data(n int) []byte {
	r := rand.New(rand.NewPCG(uint64(n), 7))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func etag(b []byte) string {
	sum := md5.Sum(b)
	return hex.EncodeToString(sum[:])
}

func (s *suite) want(err, kind error) {
	s.Helper()
	if !errors.Is(err, kind) {
		s.Fatalf("error is %v, want %v", err, kind)
	}
}

func (s *suite) ok(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *suite) put(key string, body []byte) objects.Info {
	s.Helper()
	in, err := s.Backend.Put(s.ctx(), objects.PutRequest{
		Bucket: bucket, Key: key, Body: bytes.NewReader(body), Size: int64(len(body)),
	})
	s.ok(err)
	return in
}

func (s *suite) get(key string) (objects.Info, []byte) {
	s.Helper()
	in, body, err := s.Backend.Get(s.ctx(), bucket, key)
	s.ok(err)
	b, err := io.ReadAll(body)
	s.ok(err)
	s.ok(body.Close())
	return in, b
}

// holds checks that the object is there with this content.
func (s *suite) holds(key string, want []byte) objects.Info {
	s.Helper()
	in, b := s.get(key)
	if !bytes.Equal(b, want) {
		s.Fatalf("%q holds %d bytes %.20q, want %d bytes %.20q", key, len(b), b, len(want), want)
	}
	if in.Key != key || in.Size != int64(len(want)) || in.VersionID != objects.NullVersion {
		s.Fatalf("%q is described as %+v", key, in)
	}
	return in
}

func (s *suite) missing(key string) {
	s.Helper()
	_, err := s.Backend.Head(s.ctx(), bucket, key)
	s.want(err, objects.ErrNotFound)
	_, _, err = s.Backend.Get(s.ctx(), bucket, key)
	s.want(err, objects.ErrNotFound)
}

// all lists every key of the bucket, three to a page.
func (s *suite) all(bucket string) (keys []string) {
	s.Helper()
	after := ""
	for {
		r, err := s.Backend.List(s.ctx(), bucket, objects.ListRequest{After: after, Max: 3})
		s.ok(err)
		for _, o := range r.Objects {
			keys = append(keys, o.Key)
		}
		if !r.Truncated {
			return keys
		}
		if r.Next <= after {
			s.Fatalf("listing goes from %q to %q", after, r.Next)
		}
		after = r.Next
	}
}

// endless gives n bytes of a pattern without holding them.
type endless struct{ n int64 }

func (e *endless) Read(p []byte) (int, error) {
	if e.n == 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > e.n {
		p = p[:e.n]
	}
	for i := range p {
		p[i] = byte(e.n - int64(i))
	}
	e.n -= int64(len(p))
	return len(p), nil
}

// failing gives its bytes and then an error.
type failing struct {
	r   io.Reader
	err error
}

func (f *failing) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if err == io.EOF {
		err = f.err
	}
	return n, err
}

var errBody = fmt.Errorf("the connection broke")
