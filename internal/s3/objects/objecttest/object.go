package objecttest

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing/iotest"
	"time"

	"postern/internal/s3/objects"
)

func (s *suite) sizes() {
	for _, n := range []int{0, 1, 511, 1024, 256<<10 - 1, 256 << 10, 256<<10 + 1, 3<<20 + 17} {
		for _, declared := range []int64{int64(n), -1} {
			body, key := data(n), fmt.Sprint("size ", n, declared)
			before := time.Now().Add(-time.Minute)
			in, err := s.Backend.Put(s.ctx(), objects.PutRequest{
				Bucket: bucket, Key: key, Body: iotest.HalfReader(bytes.NewReader(body)), Size: declared,
			})
			s.ok(err)
			if in.ETag != etag(body) || in.Parts != nil || in.Modified.Nanosecond() != 0 || in.Modified.Before(before) {
				s.Fatalf("%d bytes: %+v", n, in)
			}
			got := s.holds(key, body)
			if !reflect.DeepEqual(in, got) {
				s.Fatalf("Put says %+v, Get says %+v", in, got)
			}
			head, err := s.Backend.Head(s.ctx(), bucket, key)
			s.ok(err)
			if !reflect.DeepEqual(in, head) {
				s.Fatalf("Put says %+v, Head says %+v", in, head)
			}
			if n > 2000 {
				continue // TestReader reads byte by byte
			}
			_, b, err := s.Backend.Get(s.ctx(), bucket, key)
			s.ok(err)
			if err := iotest.TestReader(b, body); err != nil {
				s.Fatalf("%d bytes: %v", n, err)
			}
			s.ok(b.Close())
		}
	}
	in, err := s.Backend.Put(s.ctx(), objects.PutRequest{Bucket: bucket, Key: "no body"})
	s.ok(err)
	if in.Size != 0 || in.ETag != etag(nil) {
		s.Fatalf("no body: %+v", in)
	}
	s.holds("no body", nil)
}

func fullMeta() objects.Meta {
	return objects.Meta{
		ContentType: "application/pdf", ContentEncoding: "gzip", ContentDisposition: `attachment; filename="보고서.pdf"`,
		ContentLanguage: "ko", CacheControl: "no-store", Expires: "not a date", StorageClass: "STANDARD_IA",
		Redirect: "/elsewhere",
		User:     map[string]string{"a": "1", "long": string(data(2000)), "empty": ""},
		Tags:     map[string]string{"team": "비용", "x": ""},
	}
}

func (s *suite) meta() {
	_, err := s.Backend.Put(s.ctx(), objects.PutRequest{
		Bucket: bucket, Key: "k", Body: bytes.NewReader(data(10)), Size: 10, Meta: fullMeta(),
	})
	s.ok(err)
	if in := s.holds("k", data(10)); !reflect.DeepEqual(in.Meta, fullMeta()) {
		s.Fatalf("metadata came back as %+v", in.Meta)
	}
	// Nothing of it stays when the object is replaced.
	s.put("k", data(11))
	if in := s.holds("k", data(11)); !reflect.DeepEqual(in.Meta, objects.Meta{}) {
		s.Fatalf("metadata stayed: %+v", in.Meta)
	}
}

func (s *suite) checksums() {
	body := []byte("123456789")
	for a, want := range map[objects.Algorithm]string{ // the catalogue's check values; FIPS 180 by sha*sum(1)
		objects.NoChecksum: "",
		objects.CRC32:      "cbf43926",
		objects.CRC32C:     "e3069283",
		objects.CRC64NVME:  "ae8b14860a799888",
		objects.SHA1:       "f7c3bc1d808e04732adf679965ccc34ca7ae3441",
		objects.SHA256:     "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225",
	} {
		key := "sum " + a.String()
		in, err := s.Backend.Put(s.ctx(), objects.PutRequest{
			Bucket: bucket, Key: key, Body: iotest.OneByteReader(bytes.NewReader(body)), Size: -1, Checksum: a,
		})
		s.ok(err)
		if hex.EncodeToString(in.Checksum.Value) != want || in.Checksum.Algorithm != a || in.Checksum.Type != objects.FullObject {
			s.Errorf("%v: %+v", a, in.Checksum)
		}
		if head := s.holds(key, body); !reflect.DeepEqual(in.Checksum, head.Checksum) {
			s.Errorf("%v: stored %+v, read %+v", a, in.Checksum, head.Checksum)
		}
		if a == objects.NoChecksum {
			continue
		}
		if _, err := s.Backend.Put(s.ctx(), objects.PutRequest{Bucket: bucket, Key: key, Checksum: a}); err != nil {
			s.Fatal(err)
		}
		if head := s.holds(key, nil); !bytes.Equal(head.Checksum.Value, a.New().Sum(nil)) {
			s.Errorf("%v of nothing: %+v", a, head.Checksum)
		}
	}
}

// oddKeys are keys that a file system, a path cleaner or a text encoder would spoil.
func oddKeys() []string {
	long := bytes.Repeat([]byte("long/"), 204)
	keys := []string{
		"x", "x/y", "x/", "/x", "/", "//", "a//b", "a/b", ".", "..", "../x", "a/../b", "./x", "x/.", "x/..",
		" ", "a b", "a ", " a", "a+b", "a%2Fb", "%", "?", "*", "#", "a\\b", "a:b", "C:\\x", "|", "\"", "'", "&",
		"\ubcf4\uace0\uc11c.pdf",                   // 보고서 in NFC
		"\u1107\u1169\u1100\u1169\u1109\u1165.pdf", // and in NFD
		"\x00", "a\x00", "a\x00b", "\x00\x01", "a\x00\x01b", "a\x00\xff", "a\x01", "\xff", "\xff\xff", "a\xff", "\xed\xa0\x80", "\xf0\x9f\x92\xb0",
		"index.db", "blobs", "null", "a\x00null", "\n", "\r\n", "\u202e", "con", "nul.txt",
		string(append(long, "1234"...)), string(append(long, "1235"...)),
		string(bytes.Repeat([]byte{0}, objects.MaxKey)), string(bytes.Repeat([]byte{0xff}, objects.MaxKey)),
		string(bytes.Repeat([]byte{'n'}, objects.MaxKey)), string(bytes.Repeat([]byte{'n'}, 300)),
	}
	slices.Sort(keys)
	return keys
}

func (s *suite) keys() {
	keys := oddKeys()
	if len(slices.Compact(slices.Clone(keys))) != len(keys) {
		s.Fatal("the test's keys are not distinct")
	}
	for _, k := range keys {
		s.put(k, []byte("content of "+k))
	}
	if got := s.all(bucket); !slices.Equal(got, keys) {
		s.Fatalf("listed %q, want %q", got, keys)
	}
	for _, k := range keys {
		s.holds(k, []byte("content of "+k))
	}
	for i, k := range keys {
		s.ok(s.Backend.Delete(s.ctx(), bucket, k))
		s.missing(k)
		if got := s.all(bucket); !slices.Equal(got, keys[i+1:]) {
			s.Fatalf("after deleting %q: %q", k, got)
		}
	}
}

func (s *suite) badKeys() {
	for _, c := range []struct{ bucket, key string }{
		{bucket, ""}, {bucket, string(make([]byte, objects.MaxKey+1))}, {"", "k"}, {"a\x00b", "k"}, {string(data(256)), "k"},
	} {
		_, err := s.Backend.Put(s.ctx(), objects.PutRequest{Bucket: c.bucket, Key: c.key})
		s.want(err, objects.ErrBadKey)
		_, err = s.Backend.Head(s.ctx(), c.bucket, c.key)
		s.want(err, objects.ErrBadKey)
		_, _, err = s.Backend.Get(s.ctx(), c.bucket, c.key)
		s.want(err, objects.ErrBadKey)
		s.want(s.Backend.Delete(s.ctx(), c.bucket, c.key), objects.ErrBadKey)
		_, err = s.Backend.CreateUpload(s.ctx(), objects.UploadRequest{Bucket: c.bucket, Key: c.key})
		s.want(err, objects.ErrBadKey)
		s.put("source", nil)
		_, err = s.Backend.Copy(s.ctx(), objects.CopyRequest{Bucket: c.bucket, Key: c.key, SourceBucket: bucket, SourceKey: "source"})
		s.want(err, objects.ErrBadKey)
		_, err = s.Backend.Copy(s.ctx(), objects.CopyRequest{Bucket: bucket, Key: "k", SourceBucket: c.bucket, SourceKey: c.key})
		s.want(err, objects.ErrBadKey)
		if c.key == "k" {
			_, err = s.Backend.List(s.ctx(), c.bucket, objects.ListRequest{Max: 1})
			s.want(err, objects.ErrBadKey)
			_, err = s.Backend.ListUploads(s.ctx(), c.bucket, objects.ListUploadsRequest{Max: 1})
			s.want(err, objects.ErrBadKey)
			s.want(s.Backend.DeleteBucket(s.ctx(), c.bucket), objects.ErrBadKey)
		}
	}
}

func (s *suite) replace() {
	for i := range 5 {
		s.put("k", data(1000+i))
		s.holds("k", data(1000+i))
	}
	s.put("k", nil)
	s.holds("k", nil)
	s.put("k", data(5))
	s.holds("k", data(5))
	if got := s.all(bucket); !slices.Equal(got, []string{"k"}) {
		s.Fatalf("listed %q", got)
	}
}

func (s *suite) openBody() {
	old := data(1 << 20)
	s.put("k", old)
	check := func(b objects.Body) {
		s.Helper()
		got, err := io.ReadAll(b)
		s.ok(err)
		if !bytes.Equal(got, old) {
			s.Fatal("an open body changed")
		}
		s.ok(b.Close())
	}
	_, b1, err := s.Backend.Get(s.ctx(), bucket, "k")
	s.ok(err)
	_, b2, err := s.Backend.Get(s.ctx(), bucket, "k")
	s.ok(err)
	s.put("k", data(20))
	check(b1)
	s.ok(s.Backend.Delete(s.ctx(), bucket, "k"))
	for i := range 100 { // others come and go meanwhile
		s.put(fmt.Sprint(i), data(i))
	}
	check(b2)
}

func (s *suite) badBodies() {
	old := data(100)
	for _, n := range []int{0, 1, 1000, 600 << 10} {
		for _, c := range []struct {
			name string
			in   objects.PutRequest
			kind error
		}{
			{"broken", objects.PutRequest{Body: &failing{bytes.NewReader(data(n)), errBody}, Size: -1}, errBody},
			{"broken at its declared end", objects.PutRequest{Body: &failing{bytes.NewReader(data(n)), errBody}, Size: int64(n)}, errBody},
			{"too short", objects.PutRequest{Body: bytes.NewReader(data(n)), Size: int64(n) + 1}, objects.ErrBadSize},
			{"too long", objects.PutRequest{Body: bytes.NewReader(data(n + 1)), Size: int64(n)}, objects.ErrBadSize},
			{"stuck", objects.PutRequest{Body: io.MultiReader(bytes.NewReader(data(n)), stuck{}), Size: -1}, io.ErrNoProgress},
		} {
			s.put("old", old)
			for _, key := range []string{"old", "new"} {
				in := c.in
				in.Bucket, in.Key = bucket, key
				switch b := in.Body.(type) {
				case *failing:
					in.Body = &failing{bytes.NewReader(data(n)), errBody}
				case *bytes.Reader:
					b.Seek(0, io.SeekStart)
				default:
					in.Body = io.MultiReader(bytes.NewReader(data(n)), stuck{})
				}
				_, err := s.Backend.Put(s.ctx(), in)
				s.want(err, c.kind)
			}
			s.holds("old", old)
			s.missing("new")
		}
	}
}

// endlessBody: a body beyond its declared size is refused at once, not read to an end that may not be.
func (s *suite) endlessBody() {
	_, err := s.Backend.Put(s.ctx(), objects.PutRequest{Bucket: bucket, Key: "k", Body: &endless{1 << 50}, Size: 10})
	s.want(err, objects.ErrBadSize)
	s.missing("k")
}

// stuck reads nothing, for ever.
type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

func (s *suite) verify() {
	s.put("old", data(10))
	calls := 0
	in := objects.PutRequest{
		Bucket: bucket, Key: "old", Body: bytes.NewReader(data(20)), Size: -1, Checksum: objects.CRC32,
		Verify: func(d *objects.Digest) error {
			calls++
			sum := objects.CRC32.New()
			sum.Write(data(20))
			if d.Size != 20 || hex.EncodeToString(d.MD5[:]) != etag(data(20)) || !bytes.Equal(d.Checksum.Value, sum.Sum(nil)) {
				s.Errorf("digest is %+v", d)
			}
			return errBody
		},
	}
	_, err := s.Backend.Put(s.ctx(), in)
	s.want(err, errBody)
	if calls != 1 {
		s.Fatalf("verified %d times", calls)
	}
	s.holds("old", data(10))

	given := objects.Checksum{Algorithm: objects.SHA1, Value: data(20)}
	in.Body, in.Checksum = bytes.NewReader(data(20)), objects.NoChecksum
	in.Verify = func(d *objects.Digest) error { d.Checksum = given; return nil }
	_, err = s.Backend.Put(s.ctx(), in)
	s.ok(err)
	if got := s.holds("old", data(20)); !reflect.DeepEqual(got.Checksum, given) {
		s.Fatalf("the checksum given is stored as %+v", got.Checksum)
	}
}

func (s *suite) cancel() {
	ctx, stop := context.WithCancel(s.ctx())
	body := io.MultiReader(bytes.NewReader(data(700<<10)), call(stop), bytes.NewReader(data(700<<10)))
	_, err := s.Backend.Put(ctx, objects.PutRequest{Bucket: bucket, Key: "k", Body: body, Size: -1})
	s.want(err, context.Canceled)
	s.missing("k")
}

// call is a reader of nothing that does something.
type call func()

func (c call) Read([]byte) (int, error) { c(); return 0, io.EOF }

func (s *suite) preconditions() {
	tag, other := etag(data(10)), etag(data(11))
	for _, c := range []struct {
		name            string
		cond            objects.Precondition
		there, notThere error
	}{
		{"none", objects.Precondition{}, nil, nil},
		{"create only", objects.Precondition{IfNoneMatch: "*"}, objects.ErrPrecondition, nil},
		{"not this one", objects.Precondition{IfNoneMatch: tag}, objects.ErrPrecondition, nil},
		{"not another", objects.Precondition{IfNoneMatch: other}, nil, nil},
		{"replace only", objects.Precondition{IfMatch: "*"}, nil, objects.ErrNotFound},
		{"this one", objects.Precondition{IfMatch: tag}, nil, objects.ErrNotFound},
		{"another", objects.Precondition{IfMatch: other}, objects.ErrPrecondition, objects.ErrNotFound},
		{"this and not this", objects.Precondition{IfMatch: tag, IfNoneMatch: tag}, objects.ErrPrecondition, objects.ErrNotFound},
	} {
		s.put("source", data(30))
		for _, there := range []bool{true, false} {
			prepare := func() {
				s.ok(s.Backend.Delete(s.ctx(), bucket, "k"))
				if there {
					s.put("k", data(10))
				}
			}
			want := c.notThere
			if there {
				want = c.there
			}
			check := func(how string, err error) {
				s.Helper()
				switch {
				case want == nil && err == nil:
					s.holds("k", data(30))
				case want == nil || err == nil:
					s.Fatalf("%s %s, object there: %v: error %v, want %v", c.name, how, there, err, want)
				default:
					s.want(err, want)
					if there {
						s.holds("k", data(10))
					} else {
						s.missing("k")
					}
				}
			}
			prepare()
			_, err := s.Backend.Put(s.ctx(), objects.PutRequest{
				Bucket: bucket, Key: "k", Body: bytes.NewReader(data(30)), Size: 30, If: c.cond,
			})
			check("put", err)

			prepare()
			_, err = s.Backend.Copy(s.ctx(), objects.CopyRequest{
				Bucket: bucket, Key: "k", SourceBucket: bucket, SourceKey: "source", If: c.cond,
			})
			check("copy", err)

			prepare()
			u := s.upload("k", data(30))
			u.If = c.cond
			_, err = s.Backend.CompleteUpload(s.ctx(), u)
			check("complete", err)
		}
	}
	// The condition is asked before the body is taken: the reader is not touched.
	s.put("k", data(10))
	_, err := s.Backend.Put(s.ctx(), objects.PutRequest{
		Bucket: bucket, Key: "k", Size: -1, If: objects.Precondition{IfNoneMatch: "*"},
		Body: call(func() { s.Error("the body of a write that cannot be was read") }),
	})
	s.want(err, objects.ErrPrecondition)
}

func (s *suite) oneCreator() {
	const writers = 16
	var won atomic.Int32
	var group sync.WaitGroup
	begin := make(chan struct{})
	for i := range writers {
		group.Go(func() {
			<-begin
			_, err := s.Backend.Put(s.ctx(), objects.PutRequest{
				Bucket: bucket, Key: "k", Body: bytes.NewReader(data(i + 1)), Size: -1, If: objects.Precondition{IfNoneMatch: "*"},
			})
			if err == nil {
				won.Add(int32(i) + 1)
			}
		})
	}
	close(begin)
	group.Wait()
	in, _ := s.get("k")
	if int64(won.Load()) != in.Size {
		s.Fatalf("writers %d believe to have created the object of %d", won.Load(), in.Size)
	}
}

func (s *suite) delete() {
	s.ok(s.Backend.Delete(s.ctx(), bucket, "never there"))
	s.put("a", data(1))
	s.put("b", data(2))
	s.put("empty", nil)
	for range 2 {
		s.ok(s.Backend.Delete(s.ctx(), bucket, "a"))
		s.ok(s.Backend.Delete(s.ctx(), bucket, "empty"))
	}
	s.missing("a")
	s.missing("empty")
	s.holds("b", data(2))
}

func (s *suite) copy() {
	from := func(key string) objects.CopyRequest {
		return objects.CopyRequest{Bucket: bucket, Key: "copy", SourceBucket: bucket, SourceKey: key}
	}
	_, err := s.Backend.Copy(s.ctx(), from("nothing"))
	s.want(err, objects.ErrNotFound)
	s.missing("copy")

	body := data(100 << 10)
	src, err := s.Backend.Put(s.ctx(), objects.PutRequest{
		Bucket: bucket, Key: "src", Body: bytes.NewReader(body), Size: -1, Meta: fullMeta(), Checksum: objects.SHA256,
	})
	s.ok(err)
	in := from("src")
	in.SourceETag = etag(nil)
	_, err = s.Backend.Copy(s.ctx(), in)
	s.want(err, objects.ErrPrecondition)
	s.missing("copy")

	in.SourceETag = src.ETag
	copied, err := s.Backend.Copy(s.ctx(), in)
	s.ok(err)
	want := src
	want.Key, want.Modified = "copy", copied.Modified
	if got := s.holds("copy", body); !reflect.DeepEqual(got, want) || !reflect.DeepEqual(copied, want) {
		s.Fatalf("source %+v\ncopied %+v\nstored %+v", src, copied, got)
	}

	// Other metadata; into another bucket; each lives when the other goes.
	meta := objects.Meta{ContentType: "text/plain", User: map[string]string{"new": "yes"}}
	_, err = s.Backend.Copy(s.ctx(), objects.CopyRequest{
		Bucket: "other", Key: "src", SourceBucket: bucket, SourceKey: "copy", Meta: &meta,
	})
	s.ok(err)
	s.ok(s.Backend.Delete(s.ctx(), bucket, "src"))
	s.holds("copy", body)
	s.put("copy", nil)
	info, b, err := s.Backend.Get(s.ctx(), "other", "src")
	s.ok(err)
	got, err := io.ReadAll(b)
	s.ok(err)
	s.ok(b.Close())
	if !bytes.Equal(got, body) || !reflect.DeepEqual(info.Meta, meta) {
		s.Fatalf("the copy has %d bytes and %+v", len(got), info.Meta)
	}

	// Onto itself, which is how metadata is changed.
	s.put("self", body)
	_, err = s.Backend.Copy(s.ctx(), objects.CopyRequest{
		Bucket: bucket, Key: "self", SourceBucket: bucket, SourceKey: "self", Meta: &meta,
	})
	s.ok(err)
	if in := s.holds("self", body); !reflect.DeepEqual(in.Meta, meta) {
		s.Fatalf("metadata is %+v", in.Meta)
	}
	s.put("empty", nil)
	_, err = s.Backend.Copy(s.ctx(), from("empty"))
	s.ok(err)
	s.holds("copy", nil)
}

func (s *suite) ownership() {
	meta := fullMeta()
	_, err := s.Backend.Put(s.ctx(), objects.PutRequest{Bucket: bucket, Key: "k", Meta: meta, Checksum: objects.CRC32})
	s.ok(err)
	meta.User["a"], meta.Tags["x"] = "changed", "changed"
	in, _ := s.get("k")
	if !reflect.DeepEqual(in.Meta, fullMeta()) {
		s.Fatalf("the backend kept the caller's maps: %+v", in.Meta)
	}
	in.Meta.User["a"] = "changed"
	in.Checksum.Value[0]++
	maps.Copy(in.Meta.Tags, map[string]string{"more": "1"})
	again, _ := s.get("k")
	if !reflect.DeepEqual(again.Meta, fullMeta()) || !bytes.Equal(again.Checksum.Value, make([]byte, 4)) {
		s.Fatalf("the caller was given the backend's maps: %+v", again)
	}
	again, err = s.Backend.Put(s.ctx(), objects.PutRequest{Bucket: bucket, Key: "k", Meta: meta})
	s.ok(err)
	again.Meta.User["a"] = "mine"
	if meta.User["a"] != "changed" {
		s.Fatal("what Put returns shares maps with the request")
	}
}

func (s *suite) bucketsApart() {
	buckets := []string{"a", "ab", "a\xff", "a\x01", "b"}
	for _, b := range buckets {
		for _, k := range []string{"b", "k", b} {
			_, err := s.Backend.Put(s.ctx(), objects.PutRequest{Bucket: b, Key: k, Body: bytes.NewReader([]byte(b)), Size: -1})
			s.ok(err)
		}
	}
	for _, b := range buckets {
		want := slices.Compact(slices.Sorted(slices.Values([]string{"b", "k", b})))
		if got := s.all(b); !slices.Equal(got, want) {
			s.Fatalf("bucket %q lists %q, want %q", b, got, want)
		}
		_, body, err := s.Backend.Get(s.ctx(), b, "k")
		s.ok(err)
		got, err := io.ReadAll(body)
		s.ok(err)
		s.ok(body.Close())
		if string(got) != b {
			s.Fatalf("bucket %q holds %q", b, got)
		}
		s.ok(s.Backend.Delete(s.ctx(), b, "k"))
	}
}

func (s *suite) deleteBucket() {
	s.put("k", data(3))
	_, err := s.Backend.Put(s.ctx(), objects.PutRequest{Bucket: bucket + "0", Key: "k"})
	s.ok(err)
	s.want(s.Backend.DeleteBucket(s.ctx(), bucket), objects.ErrNotEmpty)
	s.holds("k", data(3))
	s.ok(s.Backend.Delete(s.ctx(), bucket, "k"))
	begun := s.upload("k", data(5)) // an unfinished upload is no object, and goes with the bucket
	s.ok(s.Backend.DeleteBucket(s.ctx(), bucket))
	s.ok(s.Backend.DeleteBucket(s.ctx(), bucket))
	s.ok(s.Backend.DeleteBucket(s.ctx(), "never used"))

	_, err = s.Backend.Put(s.ctx(), objects.PutRequest{Bucket: bucket, Key: "k"})
	s.want(err, objects.ErrNoBucket)
	_, err = s.Backend.CreateUpload(s.ctx(), objects.UploadRequest{Bucket: bucket, Key: "k"})
	s.want(err, objects.ErrNoBucket)
	_, err = s.Backend.Copy(s.ctx(), objects.CopyRequest{Bucket: bucket, Key: "k", SourceBucket: bucket + "0", SourceKey: "k"})
	s.want(err, objects.ErrNoBucket)
	_, err = s.Backend.CompleteUpload(s.ctx(), begun)
	if err == nil {
		s.Fatal("an upload outlived its bucket")
	}
	_, err = s.Backend.GetUpload(s.ctx(), bucket, "k", begun.UploadID)
	s.want(err, objects.ErrNoUpload)
	if got := s.all(bucket); len(got) > 0 {
		s.Fatalf("a deleted bucket lists %q", got)
	}
	if got := s.all(bucket + "0"); len(got) != 1 {
		s.Fatalf("the neighbour lists %q", got)
	}
	// A body that was on its way when the bucket was deleted does not bring it back.
	_, err = s.Backend.Put(s.ctx(), objects.PutRequest{
		Bucket: "late", Key: "k", Size: -1,
		Body: io.MultiReader(bytes.NewReader(data(10)), call(func() { s.ok(s.Backend.DeleteBucket(s.ctx(), "late")) })),
	})
	s.want(err, objects.ErrNoBucket)
}

func (s *suite) reopen() {
	if s.Reopen == nil {
		s.Log("the backend keeps nothing itself")
		return
	}
	_, err := s.Backend.Put(s.ctx(), objects.PutRequest{
		Bucket: bucket, Key: "meta", Body: bytes.NewReader(data(100)), Size: -1, Meta: fullMeta(), Checksum: objects.CRC64NVME,
	})
	s.ok(err)
	before, _ := s.get("meta")
	s.put("deleted", data(9))
	s.ok(s.Backend.Delete(s.ctx(), bucket, "deleted"))
	_, err = s.Backend.CompleteUpload(s.ctx(), s.upload("big", s.parts(3)...))
	s.ok(err)
	begun := s.upload("begun", s.parts(2)...)
	s.ok(s.Backend.DeleteBucket(s.ctx(), "gone"))

	s.ok(s.Backend.Close())
	s.Backend = s.Reopen(s.T)

	if in := s.holds("meta", data(100)); !reflect.DeepEqual(in, before) {
		s.Fatalf("before %+v, after %+v", before, in)
	}
	s.missing("deleted")
	s.holds("big", bytes.Join(s.parts(3), nil))
	_, err = s.Backend.Put(s.ctx(), objects.PutRequest{Bucket: "gone", Key: "k"})
	s.want(err, objects.ErrNoBucket)
	_, err = s.Backend.CompleteUpload(s.ctx(), begun)
	s.ok(err)
	s.holds("begun", bytes.Join(s.parts(2), nil))
	s.put("new", data(7))
	s.holds("new", data(7))
	if got := s.all(bucket); !slices.Equal(got, []string{"begun", "big", "meta", "new"}) {
		s.Fatalf("listed %q", got)
	}
}

// concurrent has writers, deleters, copiers and completers at a few keys, and readers who must see
// only whole objects.
func (s *suite) concurrent() {
	const rounds, keys = 40, 3
	key := func(i int) string { return fmt.Sprint("k", i%keys) }
	whole := func(in objects.Info, b []byte) error {
		want := etag(b)
		if in.Parts != nil {
			want = multipartETag(split(b, in.Parts)...)
		}
		if int64(len(b)) != in.Size || in.ETag != want || in.Meta.User["size"] != fmt.Sprint(len(b)) {
			return fmt.Errorf("%d bytes with ETag %s read as %+v", len(b), want, in)
		}
		return nil
	}
	var writers, readers sync.WaitGroup
	done := make(chan struct{})
	meta := func(n int) objects.Meta { return objects.Meta{User: map[string]string{"size": fmt.Sprint(n)}} }
	fail := func(err error) {
		if err != nil {
			s.Error(err)
		}
	}
	for w := range 4 {
		writers.Go(func() {
			for i := range rounds {
				n := (w*rounds + i) * 997 % 50000
				_, err := s.Backend.Put(s.ctx(), objects.PutRequest{
					Bucket: bucket, Key: key(w + i), Body: bytes.NewReader(data(n)), Size: int64(n), Meta: meta(n),
				})
				fail(err)
			}
		})
	}
	writers.Go(func() {
		for i := range rounds {
			fail(s.Backend.Delete(s.ctx(), bucket, key(i)))
		}
	})
	writers.Go(func() {
		for i := range rounds {
			_, err := s.Backend.Copy(s.ctx(), objects.CopyRequest{Bucket: bucket, Key: key(i + 1), SourceBucket: bucket, SourceKey: key(i)})
			if err != nil && !isNotFound(err) {
				s.Error(err)
			}
		}
	})
	parts := s.parts(3)
	size := len(bytes.Join(parts, nil))
	writers.Go(func() {
		for i := range rounds / 4 {
			u, err := s.Backend.CreateUpload(s.ctx(), objects.UploadRequest{Bucket: bucket, Key: key(i), Meta: meta(size)})
			fail(err)
			in := objects.CompleteRequest{Bucket: bucket, Key: key(i), UploadID: u.ID}
			for n, body := range parts {
				p, err := s.Backend.PutPart(s.ctx(), objects.PartRequest{
					Bucket: bucket, Key: key(i), UploadID: u.ID, Number: n + 1, Body: bytes.NewReader(body), Size: -1,
				})
				fail(err)
				in.Parts = append(in.Parts, objects.CompletePart{Number: n + 1, ETag: p.ETag})
			}
			_, err = s.Backend.CompleteUpload(s.ctx(), in)
			fail(err)
		}
	})
	for r := range 4 {
		readers.Go(func() {
			for i := r; ; i++ {
				select {
				case <-done:
					return
				default:
				}
				in, body, err := s.Backend.Get(s.ctx(), bucket, key(i))
				if isNotFound(err) {
					runtime.Gosched()
					continue
				}
				if err != nil {
					s.Error(err)
					return
				}
				b, err := io.ReadAll(body)
				fail(err)
				fail(body.Close())
				fail(whole(in, b))
				list, err := s.Backend.List(s.ctx(), bucket, objects.ListRequest{Max: 10})
				fail(err)
				if len(list.Objects) > keys {
					s.Errorf("listed %d objects", len(list.Objects))
				}
			}
		})
	}
	writers.Wait()
	close(done)
	readers.Wait()
}

// stream stores and reads an object that is much larger than the memory it may take.
func (s *suite) stream() {
	const size, budget = 64 << 20, 12 << 20
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	in, err := s.Backend.Put(s.ctx(), objects.PutRequest{
		Bucket: bucket, Key: "k", Body: &endless{size}, Size: size, Checksum: objects.CRC64NVME,
	})
	s.ok(err)
	_, body, err := s.Backend.Get(s.ctx(), bucket, "k")
	s.ok(err)
	sum := objects.CRC64NVME.New()
	n, err := io.Copy(sum, body)
	s.ok(err)
	s.ok(body.Close())
	runtime.ReadMemStats(&after)
	if n != size || !bytes.Equal(sum.Sum(nil), in.Checksum.Value) {
		s.Fatalf("%d bytes came back with checksum %x instead of %x", n, sum.Sum(nil), in.Checksum.Value)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > budget {
		s.Fatalf("%d bytes were allocated for an object of %d", used, size)
	}
}

func (s *suite) closed() {
	s.put("k", data(1))
	u := s.upload("u", data(1))
	// Closed while a body is on its way.
	_, err := s.Backend.Put(s.ctx(), objects.PutRequest{
		Bucket: bucket, Key: "k", Size: -1,
		Body: io.MultiReader(call(func() { s.ok(s.Backend.Close()) }), bytes.NewReader(data(700<<10))),
	})
	s.want(err, objects.ErrClosed)
	s.ok(s.Backend.Close())
	_, err = s.Backend.Put(s.ctx(), objects.PutRequest{Bucket: bucket, Key: "k"})
	s.want(err, objects.ErrClosed)
	_, err = s.Backend.Head(s.ctx(), bucket, "k")
	s.want(err, objects.ErrClosed)
	_, _, err = s.Backend.Get(s.ctx(), bucket, "k")
	s.want(err, objects.ErrClosed)
	s.want(s.Backend.Delete(s.ctx(), bucket, "k"), objects.ErrClosed)
	_, err = s.Backend.List(s.ctx(), bucket, objects.ListRequest{Max: 1})
	s.want(err, objects.ErrClosed)
	_, err = s.Backend.CompleteUpload(s.ctx(), u)
	s.want(err, objects.ErrClosed)
	_, err = s.Backend.PutPart(s.ctx(), objects.PartRequest{Bucket: bucket, Key: "u", UploadID: u.UploadID, Number: 1})
	s.want(err, objects.ErrClosed)
}
