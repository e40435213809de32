package objecttest

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing/iotest"

	"postern/internal/s3/objects"
)

func isNotFound(err error) bool { return errors.Is(err, objects.ErrNotFound) }

// parts are n bodies of different lengths, each enough for a part that is not the last.
func (s *suite) parts(n int) (bodies [][]byte) {
	for i := range n {
		bodies = append(bodies, data(int(s.MinPartSize)+i*101))
	}
	return bodies
}

// upload begins an upload with these parts, numbered from 1, and returns what would complete it.
func (s *suite) upload(key string, bodies ...[]byte) objects.CompleteRequest {
	s.Helper()
	return s.uploadWith(objects.UploadRequest{Bucket: bucket, Key: key, Meta: fullMeta()}, bodies...)
}

func (s *suite) uploadWith(in objects.UploadRequest, bodies ...[]byte) objects.CompleteRequest {
	s.Helper()
	u, err := s.Backend.CreateUpload(s.ctx(), in)
	s.ok(err)
	out := objects.CompleteRequest{Bucket: in.Bucket, Key: in.Key, UploadID: u.ID}
	for i, b := range bodies {
		p := s.part(out, i+1, b)
		out.Parts = append(out.Parts, objects.CompletePart{Number: i + 1, ETag: p.ETag})
	}
	return out
}

func (s *suite) part(u objects.CompleteRequest, number int, body []byte) objects.Part {
	s.Helper()
	p, err := s.Backend.PutPart(s.ctx(), objects.PartRequest{
		Bucket: u.Bucket, Key: u.Key, UploadID: u.UploadID, Number: number, Body: bytes.NewReader(body), Size: int64(len(body)),
	})
	s.ok(err)
	if p.Number != number || p.Size != int64(len(body)) || p.ETag != etag(body) || p.Modified.IsZero() {
		s.Fatalf("part %d: %+v", number, p)
	}
	return p
}

func multipartETag(parts ...[]byte) string {
	all := md5.New()
	for _, p := range parts {
		sum := md5.Sum(p)
		all.Write(sum[:])
	}
	return hex.EncodeToString(all.Sum(nil)) + fmt.Sprint("-", len(parts))
}

// split cuts a body into its parts.
func split(b []byte, parts []objects.PartInfo) (out [][]byte) {
	for _, p := range parts {
		n := min(int64(len(b)), p.Size)
		out, b = append(out, b[:n]), b[n:]
	}
	return out
}

func (s *suite) multipart() {
	for n := 1; n <= 4; n++ {
		key, bodies := fmt.Sprint("mp", n), s.parts(n)
		bodies[n-1] = bodies[n-1][:17] // the last may be small
		whole := bytes.Join(bodies, nil)
		u := s.upload(key, bodies...)
		s.missing(key)
		in, err := s.Backend.CompleteUpload(s.ctx(), u)
		s.ok(err)
		if in.ETag != multipartETag(bodies...) || len(in.Parts) != n || !reflect.DeepEqual(in.Meta, fullMeta()) {
			s.Fatalf("completed: %+v", in)
		}
		for i, p := range in.Parts {
			if p.Number != i+1 || p.Size != int64(len(bodies[i])) {
				s.Fatalf("part %d: %+v", i, p)
			}
		}
		if got := s.holds(key, whole); !reflect.DeepEqual(got, in) {
			s.Fatalf("completed %+v, read %+v", in, got)
		}
		_, body, err := s.Backend.Get(s.ctx(), bucket, key)
		s.ok(err)
		if err := iotest.TestReader(body, whole); err != nil {
			s.Fatal(err)
		}
		// Ranges around the seams.
		seam := int64(0)
		for _, b := range bodies {
			seam += int64(len(b))
			for _, r := range [][2]int64{{seam - 1, seam}, {seam - 3, seam + 5}, {seam, seam + 1}, {0, seam}, {seam, int64(len(whole))}} {
				from, to := max(r[0], 0), min(r[1], int64(len(whole)))
				if from >= to {
					continue
				}
				got := make([]byte, to-from)
				if _, err := body.ReadAt(got, from); err != nil && err != io.EOF {
					s.Fatal(err)
				}
				if !bytes.Equal(got, whole[from:to]) {
					s.Fatalf("ReadAt %d to %d differs", from, to)
				}
				clear(got)
				_, err := body.Seek(from, io.SeekStart)
				s.ok(err)
				_, err = io.ReadFull(body, got)
				s.ok(err)
				if !bytes.Equal(got, whole[from:to]) {
					s.Fatalf("Seek and Read %d to %d differs", from, to)
				}
			}
		}
		s.ok(body.Close())
		_, err = s.Backend.GetUpload(s.ctx(), bucket, key, u.UploadID)
		s.want(err, objects.ErrNoUpload)
	}

	// Parts out of order and with gaps; one replaced; one left out; an empty last one.
	u := s.upload("odd")
	bodies := s.parts(4)
	s.part(u, 9, data(5))
	s.part(u, 7, bodies[1])
	s.part(u, 3, data(33))
	first := s.part(u, 3, bodies[0])
	s.part(u, 10000, nil)
	u.Parts = []objects.CompletePart{{Number: 3, ETag: first.ETag}, {Number: 7, ETag: etag(bodies[1])}, {Number: 10000, ETag: etag(nil)}}
	in, err := s.Backend.CompleteUpload(s.ctx(), u)
	s.ok(err)
	if in.ETag != multipartETag(bodies[0], bodies[1], nil) || len(in.Parts) != 3 || in.Parts[1].Number != 7 {
		s.Fatalf("%+v", in)
	}
	s.holds("odd", slices.Concat(bodies[0], bodies[1]))

	// Of nothing at all.
	in, err = s.Backend.CompleteUpload(s.ctx(), s.upload("nothing", nil))
	s.ok(err)
	if in.Size != 0 || in.ETag != multipartETag(nil) {
		s.Fatalf("%+v", in)
	}
	s.holds("nothing", nil)
}

func (s *suite) multipartChecksums() {
	bodies := s.parts(3)
	whole := bytes.Join(bodies, nil)
	for _, c := range []struct {
		algorithm objects.Algorithm
		kind      objects.ChecksumType
	}{
		{objects.CRC32, objects.FullObject}, {objects.CRC32C, objects.FullObject}, {objects.CRC64NVME, objects.FullObject},
		{objects.CRC32, objects.Composite}, {objects.CRC32C, objects.Composite},
		{objects.SHA1, objects.Composite}, {objects.SHA256, objects.Composite},
	} {
		u := s.uploadWith(objects.UploadRequest{Bucket: bucket, Key: "k", Checksum: c.algorithm, ChecksumType: c.kind}, bodies...)
		want, parts := c.algorithm.New(), c.algorithm.New()
		if c.kind == objects.FullObject {
			want.Write(whole)
		}
		list, err := s.Backend.ListParts(s.ctx(), bucket, "k", u.UploadID, 0, 10)
		s.ok(err)
		if list.Upload.Checksum != c.algorithm || list.Upload.ChecksumType != c.kind {
			s.Fatalf("%+v", list.Upload)
		}
		for i, p := range list.Parts {
			parts.Reset()
			parts.Write(bodies[i])
			if p.Checksum.Algorithm != c.algorithm || !bytes.Equal(p.Checksum.Value, parts.Sum(nil)) {
				s.Fatalf("%v part %d: %+v", c, i, p.Checksum)
			}
			if c.kind == objects.Composite {
				want.Write(p.Checksum.Value)
			}
			u.Parts[i].Checksum = p.Checksum.Base64()
		}
		wrong := u
		wrong.Parts = slices.Clone(u.Parts)
		wrong.Parts[1].Checksum = u.Parts[0].Checksum
		_, err = s.Backend.CompleteUpload(s.ctx(), wrong)
		s.want(err, objects.ErrInvalidPart)

		u.Verify = func(d *objects.Digest) error {
			if d.Size != int64(len(whole)) || !bytes.Equal(d.Checksum.Value, want.Sum(nil)) {
				s.Errorf("%v: digest %+v", c, d)
			}
			return errBody
		}
		_, err = s.Backend.CompleteUpload(s.ctx(), u)
		s.want(err, errBody)
		u.Verify = nil
		in, err := s.Backend.CompleteUpload(s.ctx(), u)
		s.ok(err)
		if in.Checksum.Algorithm != c.algorithm || in.Checksum.Type != c.kind || !bytes.Equal(in.Checksum.Value, want.Sum(nil)) {
			s.Fatalf("%v: %+v, want %x", c, in.Checksum, want.Sum(nil))
		}
		if !bytes.Equal(in.Parts[2].Checksum, list.Parts[2].Checksum.Value) {
			s.Fatalf("%v: part's checksum %x", c, in.Parts[2].Checksum)
		}
	}
}

func (s *suite) multipartErrors() {
	u := s.upload("k", s.parts(3)...)
	refused := func(name string, parts []objects.CompletePart, kind error, number int) {
		s.Helper()
		in := u
		in.Parts = parts
		_, err := s.Backend.CompleteUpload(s.ctx(), in)
		var pe *objects.PartError
		if !errors.Is(err, kind) || !errors.As(err, &pe) || pe.Number != number {
			s.Errorf("%s: %v", name, err)
		}
		s.missing("k")
	}
	p := u.Parts
	refused("no parts", nil, objects.ErrInvalidPartOrder, 0)
	refused("descending", []objects.CompletePart{p[1], p[0]}, objects.ErrInvalidPartOrder, 1)
	refused("twice", []objects.CompletePart{p[0], p[0]}, objects.ErrInvalidPartOrder, 1)
	refused("not there", []objects.CompletePart{p[0], {Number: 4, ETag: p[0].ETag}}, objects.ErrInvalidPart, 4)
	refused("number 0", []objects.CompletePart{{ETag: p[0].ETag}}, objects.ErrInvalidPart, 0)
	refused("number 65537", []objects.CompletePart{{Number: 65537, ETag: p[0].ETag}}, objects.ErrInvalidPart, 65537)
	refused("another's ETag", []objects.CompletePart{p[0], {Number: 2, ETag: p[0].ETag}}, objects.ErrInvalidPart, 2)
	refused("no ETag", []objects.CompletePart{{Number: 1}}, objects.ErrInvalidPart, 1)

	small := s.part(u, 2, data(int(s.MinPartSize)-1))
	in := u
	in.Parts = []objects.CompletePart{p[0], {Number: 2, ETag: small.ETag}, p[2]}
	_, err := s.Backend.CompleteUpload(s.ctx(), in)
	var pe *objects.PartError
	if !errors.As(err, &pe) || *pe != (objects.PartError{Number: 2, Size: s.MinPartSize - 1, Min: s.MinPartSize, Err: objects.ErrTooSmall}) {
		s.Errorf("too small: %v", err)
	}

	for _, n := range []int{-1, 0, 10001} {
		_, err := s.Backend.PutPart(s.ctx(), objects.PartRequest{Bucket: bucket, Key: "k", UploadID: u.UploadID, Number: n})
		s.want(err, objects.ErrInvalidPart)
	}
	// A part that fails leaves the one before.
	put := objects.PartRequest{Bucket: bucket, Key: "k", UploadID: u.UploadID, Number: 1}
	put.Body, put.Size = &failing{bytes.NewReader(data(9000)), errBody}, -1
	_, err = s.Backend.PutPart(s.ctx(), put)
	s.want(err, errBody)
	put.Body, put.Size = bytes.NewReader(data(10)), 11
	_, err = s.Backend.PutPart(s.ctx(), put)
	s.want(err, objects.ErrBadSize)
	put.Body, put.Size, put.Verify = bytes.NewReader(data(10)), 10, func(*objects.Digest) error { return errBody }
	_, err = s.Backend.PutPart(s.ctx(), put)
	s.want(err, errBody)

	for _, c := range []struct{ bucket, key, id string }{
		{bucket, "other", u.UploadID}, {"other", "k", u.UploadID}, {bucket, "k", strings.Repeat("0", len(u.UploadID))},
		{bucket, "k", ""}, {bucket, "k", "no id"}, {bucket, "k", strings.ToUpper(u.UploadID) + "X"},
	} {
		_, err := s.Backend.GetUpload(s.ctx(), c.bucket, c.key, c.id)
		s.want(err, objects.ErrNoUpload)
		_, err = s.Backend.PutPart(s.ctx(), objects.PartRequest{Bucket: c.bucket, Key: c.key, UploadID: c.id, Number: 1})
		s.want(err, objects.ErrNoUpload)
		_, err = s.Backend.ListParts(s.ctx(), c.bucket, c.key, c.id, 0, 10)
		s.want(err, objects.ErrNoUpload)
		s.want(s.Backend.AbortUpload(s.ctx(), c.bucket, c.key, c.id), objects.ErrNoUpload)
		_, err = s.Backend.CompleteUpload(s.ctx(), objects.CompleteRequest{Bucket: c.bucket, Key: c.key, UploadID: c.id, Parts: p})
		s.want(err, objects.ErrNoUpload)
	}

	u.Parts = []objects.CompletePart{p[0], p[2]}
	_, err = s.Backend.CompleteUpload(s.ctx(), u)
	s.ok(err)
	s.holds("k", slices.Concat(s.parts(3)[0], s.parts(3)[2]))

	s.ok(s.Backend.Delete(s.ctx(), bucket, "k"))
	gone := s.upload("k", data(5))
	s.ok(s.Backend.AbortUpload(s.ctx(), bucket, "k", gone.UploadID))
	s.want(s.Backend.AbortUpload(s.ctx(), bucket, "k", gone.UploadID), objects.ErrNoUpload)
	_, err = s.Backend.CompleteUpload(s.ctx(), gone)
	s.want(err, objects.ErrNoUpload)
	s.missing("k")

	// Aborted while a part is on its way.
	late := s.upload("k")
	_, err = s.Backend.PutPart(s.ctx(), objects.PartRequest{
		Bucket: bucket, Key: "k", UploadID: late.UploadID, Number: 1, Size: -1,
		Body: io.MultiReader(bytes.NewReader(data(10)), call(func() { s.ok(s.Backend.AbortUpload(s.ctx(), bucket, "k", late.UploadID)) })),
	})
	s.want(err, objects.ErrNoUpload)
}

// multipartRepeat: a client that did not hear the answer asks again.
func (s *suite) multipartRepeat() {
	u := s.upload("k", s.parts(2)...)
	u.If = objects.Precondition{IfNoneMatch: "*"}
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			in, err := s.Backend.CompleteUpload(s.ctx(), u)
			if err != nil || in.ETag != multipartETag(s.parts(2)...) {
				s.Errorf("%+v %v", in, err)
			}
		})
	}
	group.Wait()
	s.holds("k", bytes.Join(s.parts(2), nil))
	other := u
	other.Parts = u.Parts[:1]
	if _, err := s.Backend.CompleteUpload(s.ctx(), other); err == nil {
		s.Fatal("another completion of the same upload passed for a repetition")
	}
	s.put("k", data(3))
	if _, err := s.Backend.CompleteUpload(s.ctx(), u); err == nil {
		s.Fatal("a repeated completion brought back an object that was replaced")
	}
	s.holds("k", data(3))
}

// multipartOpenBody: a reader in the middle of a multipart object keeps all of it.
func (s *suite) multipartOpenBody() {
	bodies := s.parts(4)
	whole := bytes.Join(bodies, nil)
	for _, end := range []struct {
		name string
		do   func()
	}{
		{"replaced", func() { s.put("k", data(5)) }},
		{"deleted", func() { s.ok(s.Backend.Delete(s.ctx(), bucket, "k")) }},
		{"replaced by a multipart one", func() {
			_, err := s.Backend.CompleteUpload(s.ctx(), s.upload("k", s.parts(2)...))
			s.ok(err)
		}},
	} {
		_, err := s.Backend.CompleteUpload(s.ctx(), s.upload("k", bodies...))
		s.ok(err)
		var open []objects.Body
		for range 2 {
			_, b, err := s.Backend.Get(s.ctx(), bucket, "k")
			s.ok(err)
			open = append(open, b)
		}
		start := make([]byte, 10)
		_, err = io.ReadFull(open[0], start)
		s.ok(err)
		end.do()
		for i := range 100 {
			s.put(fmt.Sprint("other", i), data(i))
		}
		rest, err := io.ReadAll(open[0])
		s.ok(err)
		if !bytes.Equal(append(start, rest...), whole) {
			s.Fatalf("%s: the open body changed", end.name)
		}
		s.ok(open[0].Close())
		if err := iotest.TestReader(open[1], whole); err != nil {
			s.Fatalf("%s: %v", end.name, err)
		}
		s.ok(open[1].Close())
		if _, err := open[1].Read(start); err == nil {
			s.Fatal("a closed body was read")
		}
	}
}

func (s *suite) copyMultipart() {
	bodies := s.parts(3)
	whole := bytes.Join(bodies, nil)
	u := s.uploadWith(objects.UploadRequest{Bucket: bucket, Key: "src", Meta: fullMeta(), Checksum: objects.CRC64NVME}, bodies...)
	src, err := s.Backend.CompleteUpload(s.ctx(), u)
	s.ok(err)
	got, err := s.Backend.Copy(s.ctx(), objects.CopyRequest{Bucket: bucket, Key: "copy", SourceBucket: bucket, SourceKey: "src"})
	s.ok(err)
	src.Key, src.Modified = "copy", got.Modified
	if !reflect.DeepEqual(got, src) {
		s.Fatalf("source %+v, copy %+v", src, got)
	}
	s.ok(s.Backend.Delete(s.ctx(), bucket, "src"))
	s.holds("copy", whole)
	// The copy is not the upload's object: completing that again does not find it.
	u.Key = "copy"
	_, err = s.Backend.CompleteUpload(s.ctx(), u)
	s.want(err, objects.ErrNoUpload)
}

func (s *suite) listParts() {
	u := s.upload("k")
	numbers := []int{1, 2, 5, 100, 255, 256, 257, 10000}
	for _, n := range slices.Backward(numbers) {
		s.part(u, n, data(n%50))
	}
	other := s.upload("k", data(1)) // a neighbour's parts are not in the list
	for size := 1; size <= len(numbers)+1; size++ {
		var got []int
		after := 0
		for more := true; more; {
			page, err := s.Backend.ListParts(s.ctx(), bucket, "k", u.UploadID, after, size)
			s.ok(err)
			if len(page.Parts) > size || page.Upload.ID != u.UploadID || page.Upload.Key != "k" || !reflect.DeepEqual(page.Upload.Meta, fullMeta()) {
				s.Fatalf("%+v", page)
			}
			for _, p := range page.Parts {
				if p.ETag != etag(data(p.Number%50)) || p.Size != int64(p.Number%50) {
					s.Fatalf("%+v", p)
				}
				got = append(got, p.Number)
			}
			after, more = page.Next, page.Truncated
		}
		if !slices.Equal(got, numbers) {
			s.Fatalf("by %d: %v", size, got)
		}
	}
	for _, after := range []int{-5, 10000, 10001, 1 << 40} {
		page, err := s.Backend.ListParts(s.ctx(), bucket, "k", u.UploadID, after, 100)
		s.ok(err)
		if want := len(numbers); after > 0 && len(page.Parts) > 0 || after < 0 && len(page.Parts) != want {
			s.Fatalf("after %d: %d parts", after, len(page.Parts))
		}
	}
	page, err := s.Backend.ListParts(s.ctx(), bucket, "k", other.UploadID, 0, 0)
	s.ok(err)
	if len(page.Parts) != 0 || page.Truncated {
		s.Fatalf("max 0: %+v", page)
	}
}

func (s *suite) listUploads() {
	type mark struct{ key, id string }
	var want []mark
	for _, key := range []string{"a", "b/1", "b/1", "b/1", "b/2", "c"} {
		u := s.upload(key, data(1))
		want = append(want, mark{key, u.UploadID})
	}
	done := s.upload("b/0", data(1))
	_, err := s.Backend.CompleteUpload(s.ctx(), done)
	s.ok(err)
	s.put("b/object", nil)
	for size := 1; size <= len(want)+1; size++ {
		var got []mark
		in := objects.ListUploadsRequest{Max: size}
		for more := true; more; {
			page, err := s.Backend.ListUploads(s.ctx(), bucket, in)
			s.ok(err)
			for _, u := range page.Uploads {
				if u.Initiated.IsZero() || !reflect.DeepEqual(u.Meta, fullMeta()) {
					s.Fatalf("%+v", u)
				}
				got = append(got, mark{u.Key, u.ID})
			}
			in.KeyMarker, in.IDMarker, more = page.NextKey, page.NextID, page.Truncated
		}
		slices.SortStableFunc(want, func(x, y mark) int { return strings.Compare(x.key, y.key) })
		if !slices.Equal(got, want) {
			s.Fatalf("by %d: %v, want %v", size, got, want)
		}
	}
	page, err := s.Backend.ListUploads(s.ctx(), bucket, objects.ListUploadsRequest{Delimiter: "/", Max: 2})
	s.ok(err)
	if len(page.Uploads) != 1 || !slices.Equal(page.Prefixes, []string{"b/"}) || !page.Truncated || page.NextKey != "b/" {
		s.Fatalf("%+v", page)
	}
	page, err = s.Backend.ListUploads(s.ctx(), bucket, objects.ListUploadsRequest{Delimiter: "/", KeyMarker: page.NextKey, IDMarker: page.NextID, Max: 2})
	s.ok(err)
	if len(page.Uploads) != 1 || page.Uploads[0].Key != "c" || page.Truncated {
		s.Fatalf("%+v", page)
	}
	page, err = s.Backend.ListUploads(s.ctx(), bucket, objects.ListUploadsRequest{Prefix: "b/1", KeyMarker: "a", Max: 10})
	s.ok(err)
	if len(page.Uploads) != 3 {
		s.Fatalf("%+v", page)
	}
	page, err = s.Backend.ListUploads(s.ctx(), bucket, objects.ListUploadsRequest{KeyMarker: "b/1", Max: 10})
	s.ok(err)
	if len(page.Uploads) != 2 || page.Uploads[0].Key != "b/2" {
		s.Fatalf("%+v", page)
	}
	_, err = s.Backend.ListUploads(s.ctx(), bucket, objects.ListUploadsRequest{KeyMarker: "b/1", IDMarker: "no id", Max: 10})
	s.want(err, objects.ErrNoUpload)
}
