// Package record is how the index writes things down: the keys that things stand under and the records
// of what is stored, byte by byte.
package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"postern/internal/s3/objects"
	"postern/internal/s3/objects/local/blob"
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

const version = 1

// Encryption is how a record's blobs are sealed. Nothing is sealed yet: another algorithm than 0 was
// written by a newer program, and is refused.
type Encryption struct {
	Algorithm  byte
	WrappedKey []byte
	Context    map[string]string
}

// Piece is one blob of an object, or a part.
type Piece struct {
	Name     blob.Name
	Size     int64
	Number   int // part number; 0 for the only piece of an object stored by Put
	Checksum []byte
}

// Object is the record of an object.
type Object struct {
	Size     int64
	Modified time.Time
	ETag     string
	Checksum objects.Checksum
	Meta     objects.Meta
	Sealed   Encryption
	Upload   string // id of the upload it was completed from, for a repeated CompleteUpload
	Pieces   []Piece
}

// Upload is the record of an unfinished multipart upload.
type Upload struct {
	Initiated time.Time
	Algorithm objects.Algorithm
	Kind      objects.ChecksumType
	Meta      objects.Meta
	Sealed    Encryption
}

// Part is the record of a part of one.
type Part struct {
	Piece    Piece
	Modified time.Time
	MD5      [16]byte
}

// Info describes the object; the maps and slices are the record's.
func (r *Object) Info(key string) objects.Info {
	in := objects.Info{
		Key: key, VersionID: objects.NullVersion, Size: r.Size, ETag: r.ETag, Modified: r.Modified,
		Checksum: r.Checksum, Meta: r.Meta,
	}
	if len(r.Pieces) > 0 && r.Pieces[0].Number > 0 {
		in.Parts = make([]objects.PartInfo, len(r.Pieces))
		for i, p := range r.Pieces {
			in.Parts[i] = objects.PartInfo{Number: p.Number, Size: p.Size, Checksum: p.Checksum}
		}
	}
	return in
}

// Blobs are the names of the files the record owns.
func (r *Object) Blobs() []blob.Name {
	names := make([]blob.Name, 0, len(r.Pieces))
	for _, p := range r.Pieces {
		names = append(names, p.Blob()...)
	}
	return names
}

// Blob is the piece's file, if it has one.
func (p Piece) Blob() []blob.Name {
	if p.Size == 0 {
		return nil
	}
	return []blob.Name{p.Name}
}

// Encode gives the bytes on disk.
func (r *Object) Encode() []byte {
	e := encoder{version}
	e.number(uint64(r.Size))
	e.number(uint64(r.Modified.Unix()))
	e.text(r.ETag)
	e.byte(byte(r.Checksum.Algorithm))
	e.byte(byte(r.Checksum.Type))
	e.text(string(r.Checksum.Value))
	e.meta(&r.Meta)
	e.encryption(&r.Sealed)
	e.text(r.Upload)
	e.number(uint64(len(r.Pieces)))
	for i := range r.Pieces {
		e.piece(&r.Pieces[i])
	}
	return e
}

// DecodeSummary reads the front of an object's record: what a listing shows.
func DecodeSummary(b []byte) (*Object, error) {
	d := decoder{b: b}
	r := new(Object)
	d.summary(r)
	return r, d.err
}

// DecodeObject reads an object's record. The error is objects.ErrDamaged; so it is for all of them.
func DecodeObject(b []byte) (*Object, error) {
	d := decoder{b: b}
	r := new(Object)
	d.summary(r)
	r.Meta = d.meta()
	r.Sealed = d.encryption()
	r.Upload = d.text()
	if n := d.count(minPiece); n > 0 {
		r.Pieces = make([]Piece, n)
		for i := range r.Pieces {
			r.Pieces[i] = d.piece()
		}
	}
	return r, d.end()
}

// Encode gives the bytes on disk.
func (r *Upload) Encode() []byte {
	e := encoder{version}
	e.number(uint64(r.Initiated.Unix()))
	e.byte(byte(r.Algorithm))
	e.byte(byte(r.Kind))
	e.meta(&r.Meta)
	e.encryption(&r.Sealed)
	return e
}

// DecodeUpload reads an upload's record.
func DecodeUpload(b []byte) (*Upload, error) {
	d := decoder{b: b}
	d.version()
	r := new(Upload)
	r.Initiated = d.time()
	r.Algorithm = objects.Algorithm(d.byte())
	r.Kind = objects.ChecksumType(d.byte())
	r.Meta = d.meta()
	r.Sealed = d.encryption()
	return r, d.end()
}

// Encode gives the bytes on disk.
func (r *Part) Encode() []byte {
	e := encoder{version}
	e.piece(&r.Piece)
	e.number(uint64(r.Modified.Unix()))
	return append(e, r.MD5[:]...)
}

// DecodePart reads a part's record.
func DecodePart(b []byte) (*Part, error) {
	d := decoder{b: b}
	d.version()
	r := new(Part)
	r.Piece = d.piece()
	r.Modified = d.time()
	copy(r.MD5[:], d.bytes(16))
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

func (e *encoder) meta(m *objects.Meta) {
	for _, s := range texts(m) {
		e.text(*s)
	}
	e.pairs(m.User)
	e.pairs(m.Tags)
}

func (e *encoder) encryption(s *Encryption) {
	e.byte(s.Algorithm)
	e.text(string(s.WrappedKey))
	e.pairs(s.Context)
}

func (e *encoder) piece(p *Piece) {
	*e = append(*e, p.Name[:]...)
	e.number(uint64(p.Size))
	e.number(uint64(p.Number))
	e.text(string(p.Checksum))
}

// texts lists the text fields in their order on disk.
func texts(m *objects.Meta) [8]*string {
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
		d.err = fmt.Errorf("%w: reading an index record: %w", objects.ErrDamaged, err)
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
	if v := d.byte(); v != version {
		d.fail(fmt.Errorf("format %d was written by another version of the program", v))
	}
}

func (d *decoder) summary(r *Object) {
	d.version()
	r.Size = d.length()
	r.Modified = d.time()
	r.ETag = d.text()
	r.Checksum.Algorithm = objects.Algorithm(d.byte())
	r.Checksum.Type = objects.ChecksumType(d.byte())
	r.Checksum.Value = d.raw()
}

// raw is a copy of a text, nil if it is empty.
func (d *decoder) raw() []byte { return append([]byte(nil), d.bytes(d.count(1))...) }

func (d *decoder) meta() (m objects.Meta) {
	for _, s := range texts(&m) {
		*s = d.text()
	}
	m.User = d.pairs()
	m.Tags = d.pairs()
	return m
}

func (d *decoder) encryption() (s Encryption) {
	s.Algorithm = d.byte()
	s.WrappedKey = d.raw()
	s.Context = d.pairs()
	if s.Algorithm != 0 {
		d.fail(fmt.Errorf("encryption %d was written by another version of the program", s.Algorithm))
	}
	return s
}

// minPiece is the least size of an encoded piece.
const minPiece = len(blob.Name{}) + 3

func (d *decoder) piece() (p Piece) {
	copy(p.Name[:], d.bytes(len(p.Name)))
	p.Size = d.length()
	p.Number = int(d.length())
	p.Checksum = d.raw()
	return p
}

func (d *decoder) end() error {
	if d.err == nil && len(d.b) > 0 {
		d.fail(errors.New("bytes after the end"))
	}
	return d.err
}
