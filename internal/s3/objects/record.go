package objects

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Records on disk. A number is an unsigned varint in its shortest form, a text is its length and its
// bytes, pairs are their count and key and value texts with keys strictly ascending. Every record
// begins with its format version; a change of layout is a new version, and room is kept for
// encryption so that it comes as values.
//
//	object  01 summary meta encryption upload(text) pieces
//	upload  01 initiated checksum-algorithm(1) checksum-type(1) meta encryption
//	part    01 piece modified md5(16)
//
//	summary     size modified(unix seconds) etag(text) checksum-algorithm(1) checksum-type(1) checksum(text)
//	meta        8 texts in the order of Meta's fields, user pairs, tag pairs
//	encryption  algorithm(1; 0 none) wrapped-key(text) context pairs
//	pieces      count, then of each: name(16) size number checksum(text)
//
// A piece of size 0 has no blob and the zero name.

const recordVersion = 1

// encryption is how a record's blobs are sealed. Nothing is sealed yet: another algorithm than 0 was
// written by a newer program, and is refused.
type encryption struct {
	algorithm  byte
	wrappedKey []byte
	context    map[string]string
}

type piece struct {
	name     blobName
	size     int64
	number   int // part number; 0 for the only piece of an object stored by Put
	checksum []byte
}

type objectRecord struct {
	size     int64
	modified time.Time
	etag     string
	checksum Checksum
	meta     Meta
	sealed   encryption
	upload   string // id of the upload it was completed from, for a repeated CompleteUpload
	pieces   []piece
}

type uploadRecord struct {
	initiated time.Time
	algorithm Algorithm
	kind      ChecksumType
	meta      Meta
	sealed    encryption
}

type partRecord struct {
	piece    piece
	modified time.Time
	md5      [16]byte
}

// info describes the object; the maps and slices are the record's.
func (r *objectRecord) info(key string) Info {
	in := Info{
		Key: key, VersionID: NullVersion, Size: r.size, ETag: r.etag, Modified: r.modified,
		Checksum: r.checksum, Meta: r.meta,
	}
	if len(r.pieces) > 0 && r.pieces[0].number > 0 {
		in.Parts = make([]PartInfo, len(r.pieces))
		for i, p := range r.pieces {
			in.Parts[i] = PartInfo{Number: p.number, Size: p.size, Checksum: p.checksum}
		}
	}
	return in
}

// blobs are the names of the files the record owns.
func (r *objectRecord) blobs() []blobName {
	names := make([]blobName, 0, len(r.pieces))
	for _, p := range r.pieces {
		if p.size > 0 {
			names = append(names, p.name)
		}
	}
	return names
}

func (r *objectRecord) encode() []byte {
	e := encoder{recordVersion}
	e.number(uint64(r.size))
	e.number(uint64(r.modified.Unix()))
	e.text(r.etag)
	e.byte(byte(r.checksum.Algorithm))
	e.byte(byte(r.checksum.Type))
	e.text(string(r.checksum.Value))
	e.meta(&r.meta)
	e.encryption(&r.sealed)
	e.text(r.upload)
	e.number(uint64(len(r.pieces)))
	for i := range r.pieces {
		e.piece(&r.pieces[i])
	}
	return e
}

// decodeSummary reads the front of an object's record: what a listing shows.
func decodeSummary(b []byte) (*objectRecord, error) {
	d := decoder{b: b}
	r := new(objectRecord)
	d.summary(r)
	return r, d.err
}

func decodeObject(b []byte) (*objectRecord, error) {
	d := decoder{b: b}
	r := new(objectRecord)
	d.summary(r)
	r.meta = d.meta()
	r.sealed = d.encryption()
	r.upload = d.text()
	if n := d.count(minPiece); n > 0 {
		r.pieces = make([]piece, n)
		for i := range r.pieces {
			r.pieces[i] = d.piece()
		}
	}
	return r, d.end()
}

func (r *uploadRecord) encode() []byte {
	e := encoder{recordVersion}
	e.number(uint64(r.initiated.Unix()))
	e.byte(byte(r.algorithm))
	e.byte(byte(r.kind))
	e.meta(&r.meta)
	e.encryption(&r.sealed)
	return e
}

func decodeUpload(b []byte) (*uploadRecord, error) {
	d := decoder{b: b}
	d.version()
	r := new(uploadRecord)
	r.initiated = d.time()
	r.algorithm = Algorithm(d.byte())
	r.kind = ChecksumType(d.byte())
	r.meta = d.meta()
	r.sealed = d.encryption()
	return r, d.end()
}

func (r *partRecord) encode() []byte {
	e := encoder{recordVersion}
	e.piece(&r.piece)
	e.number(uint64(r.modified.Unix()))
	return append(e, r.md5[:]...)
}

func decodePart(b []byte) (*partRecord, error) {
	d := decoder{b: b}
	d.version()
	r := new(partRecord)
	r.piece = d.piece()
	r.modified = d.time()
	copy(r.md5[:], d.bytes(16))
	return r, d.end()
}

type encoder []byte

func (e *encoder) byte(b byte)     { *e = append(*e, b) }
func (e *encoder) number(n uint64) { *e = binary.AppendUvarint(*e, n) }

func (e *encoder) text(s string) {
	e.number(uint64(len(s)))
	*e = append(*e, s...)
}

func (e *encoder) pairs(m map[string]string) {
	e.number(uint64(len(m)))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		e.text(k)
		e.text(m[k])
	}
}

func (e *encoder) meta(m *Meta) {
	for _, s := range m.texts() {
		e.text(*s)
	}
	e.pairs(m.User)
	e.pairs(m.Tags)
}

func (e *encoder) encryption(s *encryption) {
	e.byte(s.algorithm)
	e.text(string(s.wrappedKey))
	e.pairs(s.context)
}

func (e *encoder) piece(p *piece) {
	*e = append(*e, p.name[:]...)
	e.number(uint64(p.size))
	e.number(uint64(p.number))
	e.text(string(p.checksum))
}

// texts lists the text fields in their order on disk.
func (m *Meta) texts() [8]*string {
	return [8]*string{
		&m.ContentType, &m.ContentEncoding, &m.ContentDisposition, &m.ContentLanguage,
		&m.CacheControl, &m.Expires, &m.StorageClass, &m.Redirect,
	}
}

var errShort = errors.New("record is cut short")

// decoder reads a record; after the first error every read gives zero values.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) fail(err error) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: reading an index record: %w", ErrDamaged, err)
	}
	d.b = nil
}

func (d *decoder) bytes(n int) []byte {
	if n > len(d.b) {
		d.fail(errShort)
		return nil
	}
	b := d.b[:n:n]
	d.b = d.b[n:]
	return b
}

func (d *decoder) byte() byte {
	if b := d.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) number() uint64 {
	n, size := binary.Uvarint(d.b)
	switch {
	case size == 0:
		d.fail(errShort)
		return 0
	case size < 0 || size > 1 && d.b[size-1] == 0:
		d.fail(errors.New("a number is not in its shortest form"))
		return 0
	}
	d.b = d.b[size:]
	return n
}

// length reads a number that fits an int64.
func (d *decoder) length() int64 {
	n := d.number()
	if n > 1<<62 {
		d.fail(errors.New("a length is out of range"))
		return 0
	}
	return int64(n)
}

// count reads how many items follow; each takes at least size bytes, so that a damaged count cannot
// ask for more memory than the record has bytes.
func (d *decoder) count(size int) int {
	n := d.number()
	if n > uint64(len(d.b)/size) {
		d.fail(errShort)
		return 0
	}
	return int(n)
}

func (d *decoder) text() string { return string(d.bytes(d.count(1))) }

func (d *decoder) time() time.Time { return time.Unix(int64(d.number()), 0).UTC() }

func (d *decoder) pairs() map[string]string {
	n := d.count(2)
	if n == 0 {
		return nil
	}
	m := make(map[string]string, n)
	last := ""
	for i := range n {
		k := d.text()
		if i > 0 && k <= last {
			d.fail(errors.New("pairs are not in order"))
			return nil
		}
		m[k], last = d.text(), k
	}
	return m
}

func (d *decoder) version() {
	if v := d.byte(); v != recordVersion {
		d.fail(fmt.Errorf("format %d was written by another version of the program", v))
	}
}

func (d *decoder) summary(r *objectRecord) {
	d.version()
	r.size = d.length()
	r.modified = d.time()
	r.etag = d.text()
	r.checksum.Algorithm = Algorithm(d.byte())
	r.checksum.Type = ChecksumType(d.byte())
	r.checksum.Value = d.raw()
}

// raw is a copy of a text, nil if it is empty.
func (d *decoder) raw() []byte { return append([]byte(nil), d.bytes(d.count(1))...) }

func (d *decoder) meta() (m Meta) {
	for _, s := range m.texts() {
		*s = d.text()
	}
	m.User = d.pairs()
	m.Tags = d.pairs()
	return m
}

func (d *decoder) encryption() (s encryption) {
	s.algorithm = d.byte()
	s.wrappedKey = d.raw()
	s.context = d.pairs()
	if s.algorithm != 0 {
		d.fail(fmt.Errorf("encryption %d was written by another version of the program", s.algorithm))
	}
	return s
}

// minPiece is the least size of an encoded piece.
const minPiece = len(blobName{}) + 3

func (d *decoder) piece() (p piece) {
	copy(p.name[:], d.bytes(len(p.name)))
	p.size = d.length()
	p.number = int(d.length())
	p.checksum = d.raw()
	return p
}

func (d *decoder) end() error {
	if d.err == nil && len(d.b) > 0 {
		d.fail(errors.New("bytes after the end"))
	}
	return d.err
}
