package objects

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"
)

func sampleObject() *objectRecord {
	return &objectRecord{
		size: 1 << 40, modified: time.Unix(1760000000, 0).UTC(), etag: "d41d8cd98f00b204e9800998ecf8427e-2",
		checksum: Checksum{Algorithm: CRC64NVME, Type: FullObject, Value: []byte{1, 2, 3, 4, 5, 6, 7, 8}},
		meta: Meta{
			ContentType: "video/mp4", ContentEncoding: "e", ContentDisposition: "d", ContentLanguage: "l", CacheControl: "c",
			Expires: "x", StorageClass: "s", Redirect: "r", User: map[string]string{"b": "2", "a": ""}, Tags: map[string]string{"t": "v"},
		},
		sealed: encryption{wrappedKey: []byte("wrapped"), context: map[string]string{"aws:s3:arn": "arn"}},
		upload: "0102",
		pieces: []piece{{name: blobName{1}, size: 1 << 39, number: 1, checksum: []byte{9}}, {name: blobName{2}, size: 1 << 39, number: 10000}},
	}
}

func TestRecordRoundTrip(t *testing.T) {
	want := sampleObject()
	got, err := decodeObject(want.encode())
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("object: %+v, %v", got, err)
	}
	summary, err := decodeSummary(want.encode())
	if err != nil || summary.size != want.size || summary.etag != want.etag || !summary.modified.Equal(want.modified) ||
		!reflect.DeepEqual(summary.checksum, want.checksum) {
		t.Errorf("summary: %+v, %v", summary, err)
	}
	u := &uploadRecord{initiated: want.modified, algorithm: SHA256, kind: Composite, meta: want.meta, sealed: want.sealed}
	if got, err := decodeUpload(u.encode()); err != nil || !reflect.DeepEqual(got, u) {
		t.Errorf("upload: %+v, %v", got, err)
	}
	p := &partRecord{piece: want.pieces[0], modified: want.modified, md5: [16]byte{15: 1}}
	if got, err := decodePart(p.encode()); err != nil || !reflect.DeepEqual(got, p) {
		t.Errorf("part: %+v, %v", got, err)
	}
}

// The layout on disk, byte by byte: changing it needs a new version.
func TestRecordGolden(t *testing.T) {
	r := &objectRecord{
		size: 300, modified: time.Unix(1760000000, 0), etag: "ab", checksum: Checksum{CRC32, FullObject, []byte{1, 2, 3, 4}},
		meta: Meta{ContentType: "t", User: map[string]string{"k": "v"}}, pieces: []piece{{name: blobName{0: 0xAA, 15: 0xBB}, size: 300}},
	}
	want := slices.Concat([]byte{
		1,          // version
		0xAC, 0x02, // size
		0x80, 0xF0, 0x9D, 0xC7, 0x06, // modified
		2, 'a', 'b', // etag
		1, 0, 4, 1, 2, 3, 4, // checksum
		1, 't', 0, 0, 0, 0, 0, 0, 0, // texts
		1, 1, 'k', 1, 'v', // user
		0,       // tags
		0, 0, 0, // encryption
		0,    // upload
		1,    // pieces
		0xAA, // name
	}, make([]byte, 14), []byte{0xBB, 0xAC, 0x02, 0, 0})
	if got := r.encode(); !bytes.Equal(got, want) {
		t.Errorf("encoded\n%x, want\n%x", got, want)
	}
}

func TestRecordRefusals(t *testing.T) {
	good := sampleObject().encode()
	for n := range good {
		if _, err := decodeObject(good[:n]); !errors.Is(err, ErrDamaged) {
			t.Fatalf("cut to %d bytes: %v", n, err)
		}
	}
	newer := slices.Clone(good)
	newer[0] = 2
	sealed := sampleObject()
	sealed.sealed.algorithm = 1
	if b := (&objectRecord{}).encode(); b[1] != 0 {
		t.Fatal("the second byte is not the size")
	}
	for name, b := range map[string][]byte{
		"longer":                append(slices.Clone(good), 0),
		"newer":                 newer,
		"encrypted":             sealed.encode(),
		"no shortest form":      append([]byte{1, 0x80, 0x00}, (&objectRecord{}).encode()[2:]...),
		"length that overflows": {1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01},
	} {
		if _, err := decodeObject(b); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzRecord(f *testing.F) {
	o := sampleObject()
	f.Add(o.encode())
	f.Add((&objectRecord{}).encode())
	f.Add((&uploadRecord{meta: o.meta, sealed: o.sealed}).encode())
	f.Add((&partRecord{piece: o.pieces[0]}).encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := decodeObject(b); err == nil && !bytes.Equal(r.encode(), b) {
			t.Errorf("object %x is encoded again as %x", b, r.encode())
		}
		if r, err := decodeUpload(b); err == nil && !bytes.Equal(r.encode(), b) {
			t.Errorf("upload %x is encoded again as %x", b, r.encode())
		}
		if r, err := decodePart(b); err == nil && !bytes.Equal(r.encode(), b) {
			t.Errorf("part %x is encoded again as %x", b, r.encode())
		}
		decodeSummary(b)
	})
}

func TestIndexKeys(t *testing.T) {
	for _, c := range []struct{ name, a, b string }{
		{"end before more", "a", "a\x00"}, {"NUL before 1", "a\x00b", "a\x01"}, {"end before 1", "a", "a\x01"},
		{"NUL NUL", "\x00", "\x00\x00"}, {"NUL 0xff", "a\x00\xff", "a\x01"}, {"NUL end", "a\x00", "a\x00\x00"},
	} {
		if bytes.Compare(objectKey("b", c.a), objectKey("b", c.b)) >= 0 {
			t.Errorf("%s: %q does not sort before %q", c.name, c.a, c.b)
		}
	}
	for _, k := range [][]byte{
		nil, []byte("bucke\x00a"), []byte("bucket"), []byte("bucketx\x00"), []byte("bucket\x00key"), []byte("bucket\x00key\x00"),
		[]byte("bucket\x00key\x00\x02"), []byte("bucket\x00key\x00\xff"),
	} {
		if key, _, ok := splitKey("bucket", k); ok {
			t.Errorf("index key %q was read as %q", k, key)
		}
	}
	for in, want := range map[string]string{"a": "b", "a\xff": "b", "\xff\xff": "", "a\x00\xff": "a\x01", "": ""} {
		if got := successor([]byte(in)); string(got) != want {
			t.Errorf("after %q comes %q, want %q", in, got, want)
		}
	}
}

// FuzzIndexKey: keys come back, and sort among each other as they do outside.
func FuzzIndexKey(f *testing.F) {
	f.Add("a", "a\x00", "a")
	f.Add("a\x00\x01", "a\x00", "")
	f.Add("\xff", "\xff\xff", "\xff")
	f.Add("x/y", "x", "x/")
	f.Fuzz(func(t *testing.T, a, b, prefix string) {
		const bucket = "bucket"
		ka, kb := objectKey(bucket, a), objectKey(bucket, b)
		if sign(bytes.Compare(ka, kb)) != sign(compare(a, b)) {
			t.Errorf("%q and %q sort otherwise in the index", a, b)
		}
		key, tail, ok := splitKey(bucket, ka)
		if !ok || key != a || string(tail) != NullVersion {
			t.Errorf("%q came back as %q %q %v", a, key, tail, ok)
		}
		p := prefixKey(bucket, prefix)
		below := len(a) >= len(prefix) && a[:len(prefix)] == prefix
		if bytes.HasPrefix(ka, p) != below {
			t.Errorf("%q has prefix %q: %v in the index", a, prefix, !below)
		}
		if next := successor(p); next != nil && (bytes.Compare(ka, next) < 0) != (below || a < prefix) {
			t.Errorf("%q stands on the wrong side of what follows %q", a, prefix)
		}
	})
}

func compare(a, b string) int { return bytes.Compare([]byte(a), []byte(b)) }

func sign(n int) int { return max(-1, min(1, n)) }

// FuzzCombineCRC: the parts' CRCs give the whole's.
func FuzzCombineCRC(f *testing.F) {
	f.Add([]byte("123456789"), 4)
	f.Add([]byte{}, 0)
	f.Add(bytes.Repeat([]byte{0, 0xff}, 5000), 777)
	f.Fuzz(func(t *testing.T, b []byte, cut int) {
		cut = max(0, min(cut, len(b)))
		for _, a := range []Algorithm{CRC32, CRC32C, CRC64NVME} {
			c := newCombiner(a, FullObject)
			for _, part := range [][]byte{b[:cut], b[cut:], nil} {
				h := a.New()
				h.Write(part)
				c.add(h.Sum(nil), int64(len(part)))
			}
			whole := a.New()
			whole.Write(b)
			if got := c.checksum(); !bytes.Equal(got.Value, whole.Sum(nil)) {
				t.Errorf("%v of %d bytes cut at %d: %x, want %x", a, len(b), cut, got.Value, whole.Sum(nil))
			}
		}
	})
}
