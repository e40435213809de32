package objects

import (
	"crypto/sha1" // #nosec: a checksum that S3 offers, not a protection
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"hash"
	"hash/crc32"
	"hash/crc64"
)

// Algorithm is one of S3's additional checksums
// (docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html). The values are
// part of the records on disk.
type Algorithm uint8

// The algorithms.
const (
	NoChecksum Algorithm = iota
	CRC32
	CRC32C
	CRC64NVME
	SHA1
	SHA256
)

// ChecksumType says what a multipart object's checksum is of.
type ChecksumType uint8

const (
	// FullObject: of all bytes. The only one for objects stored by Put and for CRC64NVME.
	FullObject ChecksumType = iota
	// Composite: of the parts' raw checksums one after the other. The only one for SHA-1 and SHA-256.
	Composite
)

// Checksum is a value of an algorithm. The zero value is "none".
type Checksum struct {
	Algorithm Algorithm
	Type      ChecksumType
	Value     []byte // raw
}

// String is S3's spelling: CRC32, CRC32C, CRC64NVME, SHA1, SHA256; "" for NoChecksum.
func (a Algorithm) String() string {
	switch a {
	case CRC32:
		return "CRC32"
	case CRC32C:
		return "CRC32C"
	case CRC64NVME:
		return "CRC64NVME"
	case SHA1:
		return "SHA1"
	case SHA256:
		return "SHA256"
	}
	return ""
}

// ParseAlgorithm reads S3's spelling.
func ParseAlgorithm(s string) (Algorithm, bool) {
	for a := CRC32; a <= SHA256; a++ {
		if a.String() == s {
			return a, true
		}
	}
	return NoChecksum, false
}

// String is S3's spelling: FULL_OBJECT or COMPOSITE.
func (t ChecksumType) String() string {
	if t == Composite {
		return "COMPOSITE"
	}
	return "FULL_OBJECT"
}

// Base64 is the value as S3's headers and XML write it, without the "-N" of a composite one.
func (c Checksum) Base64() string { return base64.StdEncoding.EncodeToString(c.Value) }

// New returns a hash of the algorithm, nil for NoChecksum.
func (a Algorithm) New() hash.Hash {
	switch a {
	case CRC32:
		return crc32.NewIEEE()
	case CRC32C:
		return crc32.New(crc32.MakeTable(crc32.Castagnoli))
	case CRC64NVME:
		return crc64.New(nvmeTable)
	case SHA1:
		return sha1.New()
	case SHA256:
		return sha256.New()
	}
	return nil
}

// nvme is the polynomial of CRC-64/NVME in Go's reversed form (NVM Express Base Specification 2.0,
// 64b CRC: 0xAD93D23594C93659).
const nvme = 0x9A6C9329AC4BC9B5

var nvmeTable = crc64.MakeTable(nvme)

// Combiner makes an object's checksum out of its parts' checksums.
type Combiner struct {
	algorithm Algorithm
	kind      ChecksumType
	parts     hash.Hash // of a composite checksum
	crc       uint64    // of a full-object one
	missing   bool      // a part has no checksum: the object gets none
}

// NewCombiner returns a Combiner without parts.
func NewCombiner(a Algorithm, kind ChecksumType) *Combiner {
	c := &Combiner{algorithm: a, kind: kind, missing: a == NoChecksum}
	switch {
	case kind == Composite && a != NoChecksum:
		c.parts = a.New()
	case a == SHA1 || a == SHA256: // cannot be combined; the engine refuses to begin such an upload
		c.missing = true
	}
	return c
}

// Add takes in the next part: its raw checksum and its length in bytes.
func (c *Combiner) Add(sum []byte, size int64) {
	if c.missing = c.missing || len(sum) == 0; c.missing {
		return
	}
	if c.parts != nil {
		c.parts.Write(sum)
		return
	}
	var v uint64
	for _, b := range sum {
		v = v<<8 | uint64(b)
	}
	c.crc = combineCRC(c.algorithm, c.crc, v, size)
}

// Checksum is the object's; zero if a part has none, or if the algorithm cannot be combined.
func (c *Combiner) Checksum() Checksum {
	switch {
	case c.missing:
		return Checksum{}
	case c.parts != nil:
		return Checksum{Algorithm: c.algorithm, Type: Composite, Value: c.parts.Sum(nil)}
	}
	v := binary.BigEndian.AppendUint64(nil, c.crc)
	if c.algorithm != CRC64NVME {
		v = v[4:]
	}
	return Checksum{Algorithm: c.algorithm, Type: FullObject, Value: v}
}

// combineCRC is the CRC of A followed by B, from the CRC of each and B's length in bytes. A CRC
// register is linear over GF(2): CRC(A‖B) is CRC(A) moved on by B's length in zero bytes, plus CRC(B);
// the presets and final inversions cancel (as in zlib's crc32_combine). Moving on by a byte is eight
// steps of the shift register; by n bytes it is that matrix to the n-th power, by squaring.
func combineCRC(a Algorithm, first, second uint64, length int64) uint64 {
	polynomial, width := uint64(crc32.IEEE), 32
	switch a {
	case CRC32C:
		polynomial = crc32.Castagnoli
	case CRC64NVME:
		polynomial, width = nvme, 64
	}
	var step gf2
	step[0] = polynomial // the bit that is shifted out comes back as the polynomial
	for i := 1; i < width; i++ {
		step[i] = 1 << (i - 1)
	}
	for range 3 { // one bit → one byte
		step = step.times(&step, width)
	}
	for n := length; n > 0; n >>= 1 {
		if n&1 == 1 {
			first = step.apply(first)
		}
		step = step.times(&step, width)
	}
	return first ^ second
}

// gf2 is a square matrix over GF(2): element i is the image of bit i.
type gf2 [64]uint64

func (m *gf2) apply(v uint64) (out uint64) {
	for i := 0; v != 0; i, v = i+1, v>>1 {
		if v&1 == 1 {
			out ^= m[i]
		}
	}
	return out
}

func (m *gf2) times(n *gf2, width int) (out gf2) {
	for i := range width {
		out[i] = m.apply(n[i])
	}
	return out
}
