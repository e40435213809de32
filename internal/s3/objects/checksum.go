package objects

import (
	"crypto/sha1" // #nosec: a checksum that S3 offers, not a protection
	"crypto/sha256"
	"encoding/base64"
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
		return crc64.New(crc64.MakeTable(nvme))
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
