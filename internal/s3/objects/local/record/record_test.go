package record

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"postern/internal/s3/objects"
	"postern/internal/s3/objects/local/blob"
)

func sampleObject() *Object {
	return &Object{
		Size: 1 << 40, Modified: time.Unix(1760000000, 0).UTC(), ETag: "d41d8cd98f00b204e9800998ecf8427e-2",
		Checksum: objects.Checksum{Algorithm: objects.CRC64NVME, Type: objects.FullObject, Value: []byte{1, 2, 3, 4, 5, 6, 7, 8}},
		Meta: objects.Meta{
			ContentType: "video/mp4", ContentEncoding: "e", ContentDisposition: "d", ContentLanguage: "l", CacheControl: "c",
			Expires: "x", StorageClass: "s", Redirect: "r", User: map[string]string{"b": "2", "a": ""}, Tags: map[string]string{"t": "v"},
		},
		Sealed: Encryption{WrappedKey: []byte("wrapped"), Context: map[string]string{"aws:s3:arn": "arn"}},
		Upload: "0102",
		Pieces: []Piece{{Name: blob.Name{1}, Size: 1 << 39, Number: 1, Checksum: []byte{9}}, {Name: blob.Name{2}, Size: 1 << 39, Number: 10000}},
	}
}

func TestRecordRoundTrip(t *testing.T) {
	want := sampleObject()
	got, err := DecodeObject(want.Encode())
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("object: %+v, %v", got, err)
	}
	summary, err := DecodeSummary(want.Encode())
	if err != nil || summary.Size != want.Size || summary.ETag != want.ETag || !summary.Modified.Equal(want.Modified) ||
		!reflect.DeepEqual(summary.Checksum, want.Checksum) {
		t.Errorf("summary: %+v, %v", summary, err)
	}
	u := &Upload{Initiated: want.Modified, Algorithm: objects.SHA256, Kind: objects.Composite, Meta: want.Meta, Sealed: want.Sealed}
	if got, err := DecodeUpload(u.Encode()); err != nil || !reflect.DeepEqual(got, u) {
		t.Errorf("Upload: %+v, %v", got, err)
	}
	p := &Part{Piece: want.Pieces[0], Modified: want.Modified, MD5: [16]byte{15: 1}}
	if got, err := DecodePart(p.Encode()); err != nil || !reflect.DeepEqual(got, p) {
		t.Errorf("part: %+v, %v", got, err)
	}
}

// The layout on disk, byte by byte: changing it needs a new version.
func TestRecordGolden(t *testing.T) {
	r := &Object{
		Size: 300, Modified: time.Unix(1760000000, 0), ETag: "ab", Checksum: objects.Checksum{Algorithm: objects.CRC32, Type: objects.FullObject, Value: []byte{1, 2, 3, 4}},
		Meta: objects.Meta{ContentType: "t", User: map[string]string{"k": "v"}}, Pieces: []Piece{{Name: blob.Name{0: 0xAA, 15: 0xBB}, Size: 300}},
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
	if got := r.Encode(); !bytes.Equal(got, want) {
		t.Errorf("encoded\n%x, want\n%x", got, want)
	}
}

func TestRecordRefusals(t *testing.T) {
	good := sampleObject().Encode()
	for n := range good {
		if _, err := DecodeObject(good[:n]); !errors.Is(err, objects.ErrDamaged) {
			t.Fatalf("cut to %d bytes: %v", n, err)
		}
	}
	newer := slices.Clone(good)
	newer[0] = 2
	sealed := sampleObject()
	sealed.Sealed.Algorithm = 1
	if b := (&Object{}).Encode(); b[1] != 0 {
		t.Fatal("the second byte is not the size")
	}
	for name, b := range map[string][]byte{
		"longer":                append(slices.Clone(good), 0),
		"newer":                 newer,
		"encrypted":             sealed.Encode(),
		"no shortest form":      append([]byte{1, 0x80, 0x00}, (&Object{}).Encode()[2:]...),
		"length that overflows": {1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01},
	} {
		if _, err := DecodeObject(b); !errors.Is(err, objects.ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzRecord(f *testing.F) {
	o := sampleObject()
	f.Add(o.Encode())
	f.Add((&Object{}).Encode())
	f.Add((&Upload{Meta: o.Meta, Sealed: o.Sealed}).Encode())
	f.Add((&Part{Piece: o.Pieces[0]}).Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := DecodeObject(b); err == nil && !bytes.Equal(r.Encode(), b) {
			t.Errorf("object %x is encoded again as %x", b, r.Encode())
		}
		if r, err := DecodeUpload(b); err == nil && !bytes.Equal(r.Encode(), b) {
			t.Errorf("upload %x is encoded again as %x", b, r.Encode())
		}
		if r, err := DecodePart(b); err == nil && !bytes.Equal(r.Encode(), b) {
			t.Errorf("part %x is encoded again as %x", b, r.Encode())
		}
		DecodeSummary(b)
	})
}

func TestIndexKeys(t *testing.T) {
	for _, c := range []struct{ name, a, b string }{
		{"end before more", "a", "a\x00"}, {"NUL before 1", "a\x00b", "a\x01"}, {"end before 1", "a", "a\x01"},
		{"NUL NUL", "\x00", "\x00\x00"}, {"NUL 0xff", "a\x00\xff", "a\x01"}, {"NUL end", "a\x00", "a\x00\x00"},
	} {
		if bytes.Compare(ObjectKey("b", c.a), ObjectKey("b", c.b)) >= 0 {
			t.Errorf("%s: %q does not sort before %q", c.name, c.a, c.b)
		}
	}
	for _, k := range [][]byte{
		nil, []byte("bucke\x00a"), []byte("bucket"), []byte("bucketx\x00"), []byte("bucket\x00key"), []byte("bucket\x00key\x00"),
		[]byte("bucket\x00key\x00\x02"), []byte("bucket\x00key\x00\xff"),
	} {
		if key, _, ok := SplitKey("bucket", k); ok {
			t.Errorf("index key %q was read as %q", k, key)
		}
	}
	for in, want := range map[string]string{"a": "b", "a\xff": "b", "\xff\xff": "", "a\x00\xff": "a\x01", "": ""} {
		if got := Successor([]byte(in)); string(got) != want {
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
		ka, kb := ObjectKey(bucket, a), ObjectKey(bucket, b)
		if sign(bytes.Compare(ka, kb)) != sign(compare(a, b)) {
			t.Errorf("%q and %q sort otherwise in the index", a, b)
		}
		key, tail, ok := SplitKey(bucket, ka)
		if !ok || key != a || string(tail) != objects.NullVersion {
			t.Errorf("%q came back as %q %q %v", a, key, tail, ok)
		}
		p := PrefixKey(bucket, prefix)
		below := len(a) >= len(prefix) && a[:len(prefix)] == prefix
		if bytes.HasPrefix(ka, p) != below {
			t.Errorf("%q has prefix %q: %v in the index", a, prefix, !below)
		}
		if next := Successor(p); next != nil && (bytes.Compare(ka, next) < 0) != (below || a < prefix) {
			t.Errorf("%q stands on the wrong side of what follows %q", a, prefix)
		}
	})
}

func compare(a, b string) int { return bytes.Compare([]byte(a), []byte(b)) }

func sign(n int) int { return max(-1, min(1, n)) }
