package record

import (
	"encoding/hex"
	"fmt"
	"strings"

	"postern/internal/s3/objects"
)

// Index keys. The index holds them in the order of their bytes, which has to be the order S3 lists in,
// for keys of any bytes:
//
//	object   bucket 00 escaped(key) 00 01 version
//	upload   bucket 00 escaped(key) 00 01 id (16 bytes)
//	part     id (16 bytes) number (2 bytes, big-endian)
//
// escaped writes every 00 as 00 FF, so that the end mark 00 01 sorts below whatever may follow in a
// longer key, and a key's prefix is its index key's prefix.

const (
	endMark   = "\x00\x01"
	maxBucket = 255

	// UploadIDSize is the length of an upload's id in bytes.
	UploadIDSize = 16
)

// CheckBucket holds a bucket id to the contract.
func CheckBucket(bucket string) error {
	if len(bucket) == 0 || len(bucket) > maxBucket || strings.IndexByte(bucket, 0) >= 0 {
		return fmt.Errorf("%w: a bucket id has 1 to %d bytes and no NUL", objects.ErrBadKey, maxBucket)
	}
	return nil
}

// CheckKey holds a bucket id and a key to it.
func CheckKey(bucket, key string) error {
	if err := CheckBucket(bucket); err != nil {
		return err
	}
	if len(key) == 0 || len(key) > objects.MaxKey {
		return fmt.Errorf("%w: a key has 1 to %d bytes, this one %d", objects.ErrBadKey, objects.MaxKey, len(key))
	}
	return nil
}

// PrefixKey is what all index keys of the bucket's keys beginning with prefix begin with.
func PrefixKey(bucket, prefix string) []byte {
	b := make([]byte, 0, len(bucket)+len(prefix)+1+len(endMark)+UploadIDSize)
	b = append(b, bucket...)
	b = append(b, 0)
	for {
		i := strings.IndexByte(prefix, 0)
		if i < 0 {
			return append(b, prefix...)
		}
		b = append(b, prefix[:i]...)
		b = append(b, 0, 0xFF)
		prefix = prefix[i+1:]
	}
}

// EntriesKey is what all index keys of this very key begin with.
func EntriesKey(bucket, key string) []byte { return append(PrefixKey(bucket, key), endMark...) }

// ObjectKey is an object's index key.
func ObjectKey(bucket, key string) []byte {
	return append(EntriesKey(bucket, key), objects.NullVersion...)
}

// UploadKey is an upload's index key.
func UploadKey(bucket, key string, id UploadID) []byte {
	return append(EntriesKey(bucket, key), id[:]...)
}

// PartKey is a part's index key.
func PartKey(id UploadID, number int) []byte {
	return append(append(make([]byte, 0, UploadIDSize+2), id[:]...), byte(number>>8), byte(number))
}

// SplitKey takes an index key of the bucket apart into the object's key and what follows its end mark.
func SplitKey(bucket string, k []byte) (key string, tail []byte, ok bool) {
	if len(k) <= len(bucket) || string(k[:len(bucket)]) != bucket || k[len(bucket)] != 0 {
		return "", nil, false
	}
	k = k[len(bucket)+1:]
	var out strings.Builder
	for i := 0; i+1 < len(k); i++ {
		if k[i] != 0 {
			continue
		}
		switch k[i+1] {
		case 1:
			out.Write(k[:i])
			return out.String(), k[i+2:], true
		case 0xFF:
			out.Write(k[:i+1])
			k = k[i+2:]
			i = -1
		default:
			return "", nil, false
		}
	}
	return "", nil, false
}

// Successor is the least string above everything that begins with k; nil if there is none.
func Successor(k []byte) []byte {
	for n := len(k); n > 0; n-- {
		if k[n-1] != 0xFF {
			s := append([]byte(nil), k[:n]...)
			s[n-1]++
			return s
		}
	}
	return nil
}

// UploadID is 8 bytes of time (nanoseconds, big-endian) and 8 random ones, so that the uploads of a
// key sort by age, as ListMultipartUploads does. Outside it is 32 hex digits.
type UploadID [UploadIDSize]byte

// String is the id as callers see it.
func (id UploadID) String() string { return hex.EncodeToString(id[:]) }

// ParseUploadID reads it; objects.ErrNoUpload says that it is none.
func ParseUploadID(s string) (id UploadID, err error) {
	if len(s) != 2*UploadIDSize || s != strings.ToLower(s) {
		return id, objects.ErrNoUpload
	}
	if _, err := hex.Decode(id[:], []byte(s)); err != nil {
		return id, objects.ErrNoUpload
	}
	return id, nil
}
