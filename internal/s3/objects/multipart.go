package objects

import (
	"bytes"
	"context"
	"crypto/md5" // #nosec: S3's ETag, not a protection
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
)

// CreateUpload implements [Backend].
func (l *Local) CreateUpload(ctx context.Context, in UploadRequest) (Upload, error) {
	u, err := l.createUpload(in)
	if err != nil {
		return Upload{}, fmt.Errorf("creating an upload: %w", err)
	}
	return u, nil
}

func (l *Local) createUpload(in UploadRequest) (Upload, error) {
	if err := checkKey(in.Bucket, in.Key); err != nil {
		return Upload{}, err
	}
	var id uploadID
	binary.BigEndian.PutUint64(id[:8], uint64(l.now().UnixNano()))
	rand.Read(id[8:]) // never fails (crypto/rand.Read, since Go 1.24)
	r := &uploadRecord{initiated: l.moment(), algorithm: in.Checksum, kind: in.ChecksumType, meta: in.Meta}
	k, value := uploadKey(in.Bucket, in.Key, id), r.encode()
	err := l.index.change(func(t *txn) error {
		if t.gone.Get([]byte(in.Bucket)) != nil {
			return ErrNoBucket
		}
		t.put(t.uploads, k, value)
		return nil
	})
	if err != nil {
		return Upload{}, err
	}
	return readUpload(in.Key, id[:], value)
}

func readUpload(key string, id, value []byte) (Upload, error) {
	r, err := decodeUpload(value)
	if err != nil {
		return Upload{}, err
	}
	return Upload{
		ID: hex.EncodeToString(id), Key: key, Initiated: r.initiated, Meta: r.meta,
		Checksum: r.algorithm, ChecksumType: r.kind,
	}, nil
}

// findUpload checks the names and gives the upload's index key.
func findUpload(bucket, key, id string) (uploadID, []byte, error) {
	if err := checkKey(bucket, key); err != nil {
		return uploadID{}, nil, err
	}
	uid, err := parseUploadID(id)
	return uid, uploadKey(bucket, key, uid), err
}

// GetUpload implements [Backend].
func (l *Local) GetUpload(ctx context.Context, bucket, key, id string) (u Upload, err error) {
	uid, k, err := findUpload(bucket, key, id)
	if err == nil {
		err = l.view(func(t *txn) error {
			v := t.uploads.Get(k)
			if v == nil {
				return ErrNoUpload
			}
			u, err = readUpload(key, uid[:], v)
			return err
		})
	}
	if err != nil {
		return Upload{}, fmt.Errorf("looking up an upload: %w", err)
	}
	return u, nil
}

// PutPart implements [Backend].
func (l *Local) PutPart(ctx context.Context, in PartRequest) (Part, error) {
	p, err := l.putPart(ctx, in)
	if err != nil {
		return Part{}, fmt.Errorf("storing a part: %w", err)
	}
	return p, nil
}

func (l *Local) putPart(ctx context.Context, in PartRequest) (Part, error) {
	if in.Number < 1 || in.Number > MaxParts {
		return Part{}, fmt.Errorf("%w: number %d is not in 1 to %d", ErrInvalidPart, in.Number, MaxParts)
	}
	u, err := l.GetUpload(ctx, in.Bucket, in.Key, in.UploadID)
	if err != nil {
		return Part{}, err
	}
	id, k, err := findUpload(in.Bucket, in.Key, in.UploadID)
	if err != nil {
		return Part{}, err
	}
	p, d, err := l.write(ctx, in.Body, in.Size, u.Checksum, in.Verify)
	if err != nil {
		return Part{}, err
	}
	p.number = in.Number
	r := &partRecord{piece: p, modified: l.moment(), md5: d.MD5}
	pk, value := partKey(id, in.Number), r.encode()
	var dead []blobName
	err = l.index.change(func(t *txn) error {
		if t.uploads.Get(k) == nil {
			return ErrNoUpload
		}
		if v := t.parts.Get(pk); v != nil {
			old, err := decodePart(v)
			if err != nil {
				return err
			}
			dead = old.piece.blob()
		}
		t.put(t.parts, pk, value)
		t.own(p.blob())
		t.disown(dead)
		return nil
	})
	if err != nil {
		l.abandon(p.blob(), err)
		return Part{}, err
	}
	l.unlink(dead)
	return r.part(u.Checksum), nil
}

// blob is the piece's file, if it has one.
func (p *piece) blob() []blobName {
	if p.size == 0 {
		return nil
	}
	return []blobName{p.name}
}

func (r *partRecord) part(a Algorithm) Part {
	p := Part{Number: r.piece.number, Size: r.piece.size, ETag: hex.EncodeToString(r.md5[:]), Modified: r.modified}
	if len(r.piece.checksum) > 0 {
		p.Checksum = Checksum{Algorithm: a, Value: append([]byte(nil), r.piece.checksum...)}
	}
	return p
}

// ListParts implements [Backend].
func (l *Local) ListParts(ctx context.Context, bucket, key, id string, after, max int) (out PartList, err error) {
	uid, k, err := findUpload(bucket, key, id)
	if err == nil {
		err = l.view(func(t *txn) error {
			v := t.uploads.Get(k)
			if v == nil {
				return ErrNoUpload
			}
			if out.Upload, err = readUpload(key, uid[:], v); err != nil {
				return err
			}
			return l.listParts(t, uid, after, max, &out)
		})
	}
	if err != nil {
		return PartList{}, fmt.Errorf("listing parts: %w", err)
	}
	return out, nil
}

func (l *Local) listParts(t *txn, id uploadID, after, max int, out *PartList) error {
	if max <= 0 || after >= MaxParts {
		return nil
	}
	after = min(after, MaxParts)
	if after < 0 {
		after = 0
	}
	c := t.parts.Cursor()
	for k, v := c.Seek(partKey(id, after+1)); bytes.HasPrefix(k, id[:]); k, v = c.Next() {
		if len(out.Parts) == max {
			out.Truncated, out.Next = true, out.Parts[max-1].Number
			return nil
		}
		r, err := decodePart(v)
		if err != nil {
			return err
		}
		out.Parts = append(out.Parts, r.part(out.Upload.Checksum))
	}
	return nil
}

// AbortUpload implements [Backend].
func (l *Local) AbortUpload(ctx context.Context, bucket, key, id string) error {
	_, k, err := findUpload(bucket, key, id)
	var dead []blobName
	if err == nil {
		err = l.index.change(func(t *txn) error {
			if t.uploads.Get(k) == nil {
				return ErrNoUpload
			}
			dead, err = dropUpload(t, k, nil)
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("aborting an upload: %w", err)
	}
	l.unlink(dead)
	return nil
}

// dropUpload forgets the upload with this index key and its parts, and returns the names, now free, of
// the blobs that are not kept.
func dropUpload(t *txn, k []byte, kept map[blobName]bool) (dead []blobName, err error) {
	id := k[len(k)-uploadSize:]
	var keys [][]byte
	c := t.parts.Cursor()
	for pk, v := c.Seek(id); bytes.HasPrefix(pk, id); pk, v = c.Next() {
		r, err := decodePart(v)
		if err != nil {
			return nil, err
		}
		keys = append(keys, append([]byte(nil), pk...))
		if r.piece.size > 0 && !kept[r.piece.name] {
			dead = append(dead, r.piece.name)
		}
	}
	for _, pk := range keys {
		t.delete(t.parts, pk)
	}
	t.delete(t.uploads, k)
	t.disown(dead)
	return dead, nil
}

// CompleteUpload implements [Backend].
func (l *Local) CompleteUpload(ctx context.Context, in CompleteRequest) (Info, error) {
	info, err := l.completeUpload(in)
	if err != nil {
		return Info{}, fmt.Errorf("completing an upload: %w", err)
	}
	return info, nil
}

func (l *Local) completeUpload(in CompleteRequest) (Info, error) {
	id, k, err := findUpload(in.Bucket, in.Key, in.UploadID)
	if err != nil {
		return Info{}, err
	}
	ok := objectKey(in.Bucket, in.Key)
	for {
		// Assembled and verified first, outside the committer; then made final if it is still the same.
		var plan *objectRecord
		done := false
		err := l.view(func(t *txn) (err error) {
			if plan, done = completed(t, ok, id, in.Parts); done {
				return nil
			}
			if _, err = writable(t, in.Bucket, ok, in.If); err != nil {
				return err
			}
			plan, err = l.assemble(t, k, id, in.Parts)
			return err
		})
		if err != nil {
			return Info{}, err
		}
		if done {
			return plan.info(in.Key), nil
		}
		if in.Verify != nil {
			d := Digest{Size: plan.size, Checksum: plan.checksum}
			hex.Decode(d.MD5[:], []byte(plan.etag[:2*len(d.MD5)]))
			if err := in.Verify(&d); err != nil {
				return Info{}, fmt.Errorf("verifying the object: %w", err)
			}
			plan.checksum = d.Checksum
		}
		plan.modified = l.moment()
		value, changed := plan.encode(), false
		var replaced, unused []blobName
		err = l.index.change(func(t *txn) error {
			if changed = t.uploads.Get(k) == nil; changed {
				return nil // completed meanwhile, perhaps by a repetition of this call
			}
			old, err := writable(t, in.Bucket, ok, in.If)
			if err != nil {
				return err
			}
			now, err := l.assemble(t, k, id, in.Parts)
			if err != nil {
				return err
			}
			if changed = !samePieces(plan, now); changed {
				return nil
			}
			kept := make(map[blobName]bool, len(plan.pieces))
			for _, n := range plan.blobs() {
				kept[n] = true
			}
			if unused, err = dropUpload(t, k, kept); err != nil {
				return err
			}
			if old != nil {
				replaced = old.blobs()
			}
			t.put(t.objects, ok, value)
			t.disown(replaced)
			return nil
		})
		if err != nil {
			return Info{}, err
		}
		if changed {
			continue
		}
		l.unlink(unused)
		l.erase(replaced)
		return l.own(plan).info(in.Key), nil
	}
}

// completed finds the object that this very upload, with as many parts, has become already.
func completed(t *txn, k []byte, id uploadID, parts []CompletePart) (*objectRecord, bool) {
	v := t.objects.Get(k)
	if v == nil {
		return nil, false
	}
	r, err := decodeObject(v)
	if err != nil || r.upload != id.String() || len(r.pieces) != len(parts) {
		return nil, false
	}
	for i, p := range parts {
		if r.pieces[i].number != p.Number {
			return nil, false
		}
	}
	return r, true
}

func samePieces(a, b *objectRecord) bool {
	if len(a.pieces) != len(b.pieces) || a.etag != b.etag {
		return false
	}
	for i := range a.pieces {
		if a.pieces[i].name != b.pieces[i].name {
			return false
		}
	}
	return true
}

// assemble makes the record of the object that the upload's parts would be.
func (l *Local) assemble(t *txn, k []byte, id uploadID, parts []CompletePart) (*objectRecord, error) {
	v := t.uploads.Get(k)
	if v == nil {
		return nil, ErrNoUpload
	}
	u, err := decodeUpload(v)
	if err != nil {
		return nil, err
	}
	if len(parts) == 0 {
		return nil, &PartError{Err: ErrInvalidPartOrder}
	}
	for i := 1; i < len(parts); i++ {
		if parts[i].Number <= parts[i-1].Number {
			return nil, &PartError{Number: parts[i].Number, Err: ErrInvalidPartOrder}
		}
	}
	r := &objectRecord{meta: u.meta, upload: id.String(), pieces: make([]piece, 0, len(parts))}
	etag, sum := md5.New(), newCombiner(u.algorithm, u.kind)
	for i, want := range parts {
		p, err := l.storedPart(t, id, want)
		if err != nil {
			return nil, err
		}
		if i < len(parts)-1 && p.piece.size < l.minPartSize {
			return nil, &PartError{Number: want.Number, Size: p.piece.size, Min: l.minPartSize, Err: ErrTooSmall}
		}
		r.size += p.piece.size
		r.pieces = append(r.pieces, p.piece)
		etag.Write(p.md5[:])
		sum.add(p.piece.checksum, p.piece.size)
	}
	r.etag = hex.EncodeToString(etag.Sum(nil)) + "-" + strconv.Itoa(len(parts))
	r.checksum = sum.checksum()
	return r, nil
}

func (l *Local) storedPart(t *txn, id uploadID, want CompletePart) (*partRecord, error) {
	invalid := &PartError{Number: want.Number, Err: ErrInvalidPart}
	if want.Number < 1 || want.Number > MaxParts {
		return nil, invalid
	}
	v := t.parts.Get(partKey(id, want.Number))
	if v == nil {
		return nil, invalid
	}
	p, err := decodePart(v)
	if err != nil {
		return nil, err
	}
	if hex.EncodeToString(p.md5[:]) != want.ETag {
		return nil, invalid
	}
	if want.Checksum != "" && want.Checksum != (Checksum{Value: p.piece.checksum}).Base64() {
		return nil, invalid
	}
	return p, nil
}
