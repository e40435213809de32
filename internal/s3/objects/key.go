package objects

import (
	"encoding/hex"
	"fmt"
	"strings"
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
	endMark    = "\x00\x01"
	maxBucket  = 255
	uploadSize = 16
)

func checkBucket(bucket string) error {
	if len(bucket) == 0 || len(bucket) > maxBucket || strings.IndexByte(bucket, 0) >= 0 {
		return fmt.Errorf("%w: a bucket id has 1 to %d bytes and no NUL", ErrBadKey, maxBucket)
	}
	return nil
}

func checkKey(bucket, key string) error {
	if err := checkBucket(bucket); err != nil {
		return err
	}
	if len(key) == 0 || len(key) > MaxKey {
		return fmt.Errorf("%w: a key has 1 to %d bytes, this one %d", ErrBadKey, MaxKey, len(key))
	}
	return nil
}

// prefixKey is what all index keys of the bucket's keys beginning with prefix begin with.
func prefixKey(bucket, prefix string) []byte {
	b := make([]byte, 0, len(bucket)+len(prefix)+1+len(endMark)+uploadSize)
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

// entriesKey is what all index keys of this very key begin with.
func entriesKey(bucket, key string) []byte { return append(prefixKey(bucket, key), endMark...) }

func objectKey(bucket, key string) []byte { return append(entriesKey(bucket, key), NullVersion...) }

func uploadKey(bucket, key string, id uploadID) []byte {
	return append(entriesKey(bucket, key), id[:]...)
}

func partKey(id uploadID, number int) []byte {
	return append(append(make([]byte, 0, uploadSize+2), id[:]...), byte(number>>8), byte(number))
}

// splitKey takes an index key of the bucket apart into the object's key and what follows its end mark.
func splitKey(bucket string, k []byte) (key string, tail []byte, ok bool) {
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

// successor is the least string above everything that begins with k; nil if there is none.
func successor(k []byte) []byte {
	for n := len(k); n > 0; n-- {
		if k[n-1] != 0xFF {
			s := append([]byte(nil), k[:n]...)
			s[n-1]++
			return s
		}
	}
	return nil
}

// uploadID is 8 bytes of time (nanoseconds, big-endian) and 8 random ones, so that the uploads of a
// key sort by age, as ListMultipartUploads does. Outside it is 32 hex digits.
type uploadID [uploadSize]byte

func (id uploadID) String() string { return hex.EncodeToString(id[:]) }

func parseUploadID(s string) (id uploadID, err error) {
	if len(s) != 2*uploadSize || s != strings.ToLower(s) {
		return id, ErrNoUpload
	}
	if _, err := hex.Decode(id[:], []byte(s)); err != nil {
		return id, ErrNoUpload
	}
	return id, nil
}
