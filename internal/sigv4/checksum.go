package sigv4

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"net/http"
	"slices"
	"strings"
)

// Checksum is one verified checksum.
type Checksum struct {
	Algorithm string // CRC32, CRC32C, CRC64NVME, SHA1 or SHA256
	Value     string // base64
}

// algorithms are S3's checksum algorithms, named as x-amz-sdk-checksum-algorithm names them
// (docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html).
var algorithms = []struct {
	name string
	new  func() hash.Hash
}{
	{"CRC32", func() hash.Hash { return crc32.NewIEEE() }},
	{"CRC32C", func() hash.Hash { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) }},
	{"CRC64NVME", func() hash.Hash { return crc64.New(crc64.MakeTable(crc64NVME)) }},
	{"SHA1", sha1.New},
	{"SHA256", sha256.New},
}

// crc64NVME is the polynomial of the NVM Express specification, reflected; initial value and final XOR
// are all ones, as hash/crc64 has them. Its check value is ae8b14860a799888.
const crc64NVME = 0x9a6c9329ac4bc9b5

// NewChecksum makes the hash of one of S3's algorithms; ok is false for any other name.
func NewChecksum(algorithm string) (h hash.Hash, ok bool) {
	for _, a := range algorithms {
		if a.name == algorithm {
			return a.new(), true
		}
	}
	return nil, false
}

const checksumPrefix = "x-amz-checksum-"

// promise is one checksum that the body must have.
type promise struct {
	algorithm string
	hash      hash.Hash
	want      string // base64; empty until the trailer has come
}

func newPromise(header string) (*promise, bool) {
	name := strings.ToUpper(strings.TrimPrefix(header, checksumPrefix))
	h, ok := NewChecksum(name)
	if !ok || !strings.HasPrefix(header, checksumPrefix) {
		return nil, false
	}
	return &promise{algorithm: name, hash: h}, true
}

// set takes the value from where ("header" or "trailing header").
func (p *promise) set(value, where string) error {
	raw, err := base64.StdEncoding.Strict().DecodeString(value)
	if err != nil || len(raw) != p.hash.Size() {
		return invalidRequest("Value for " + checksumPrefix + strings.ToLower(p.algorithm) + " " + where + " is invalid.")
	}
	p.want = value
	return nil
}

func (p *promise) check() error {
	if base64.StdEncoding.EncodeToString(p.hash.Sum(nil)) != p.want {
		return badDigest(p.algorithm)
	}
	return nil
}

func badDigest(algorithm string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: "BadDigest",
		Message: fmt.Sprintf("The %s you specified did not match the calculated checksum.", algorithm)}
}

// checksumOf reads the checksum headers of r: at most one, in a header or promised for a trailer.
func checksumOf(r *http.Request, trailers []string) (*promise, error) {
	var found []*promise
	for name, values := range r.Header {
		if p, ok := newPromise(strings.ToLower(name)); ok {
			if len(values) != 1 {
				return nil, tooManyChecksums()
			}
			if err := p.set(values[0], "header"); err != nil {
				return nil, err
			}
			found = append(found, p)
		}
	}
	for _, name := range trailers {
		p, ok := newPromise(name)
		if !ok {
			return nil, invalidRequest("The value specified in the x-amz-trailer header is not supported")
		}
		found = append(found, p)
	}
	if len(found) > 1 {
		return nil, tooManyChecksums()
	}
	named, ok, err := one(r, "x-amz-sdk-checksum-algorithm")
	if err != nil {
		return nil, err
	}
	if ok {
		named = strings.ToUpper(named)
		if _, known := NewChecksum(named); !known {
			return nil, invalidRequest("Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]")
		}
		if len(found) == 0 {
			return nil, invalidRequest("x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.")
		}
		if found[0].algorithm != named {
			return nil, badDigest(named)
		}
	}
	if len(found) == 0 {
		return nil, nil
	}
	return found[0], nil
}

func tooManyChecksums() *Error {
	return invalidRequest("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
}

// md5Of reads Content-MD5 (RFC 1864).
func md5Of(r *http.Request) (want []byte, err error) {
	value, ok, err := one(r, "content-md5")
	if err != nil || !ok {
		return nil, err
	}
	want, err = base64.StdEncoding.Strict().DecodeString(value)
	if err != nil || len(want) != md5.Size {
		return nil, &Error{Status: http.StatusBadRequest, Code: "InvalidDigest", Message: "The Content-MD5 you specified was invalid.",
			Fields: map[string]string{"Content-MD5": value}}
	}
	return want, nil
}

// trailersOf reads x-amz-trailer.
func trailersOf(r *http.Request) ([]string, error) {
	value, ok, err := one(r, "x-amz-trailer")
	if err != nil || !ok {
		return nil, err
	}
	var names []string
	for name := range strings.SplitSeq(value, ",") {
		name = strings.ToLower(strings.TrimSpace(name))
		if name == "" || slices.Contains(names, name) {
			return nil, malformedTrailer()
		}
		names = append(names, name)
	}
	return names, nil
}

func malformedTrailer() *Error {
	return &Error{Status: http.StatusBadRequest, Code: "MalformedTrailerError",
		Message: "The request contained trailing data that was not well-formed or did not conform to our published schema."}
}
