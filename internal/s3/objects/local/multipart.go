package local

import (
	"bytes"
	"context"
	"crypto/md5" // #nosec: S3's ETag, not a protection
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"

	"postern/internal/s3/objects"
	"postern/internal/s3/objects/local/blob"
	"postern/internal/s3/objects/local/record"
)

// CreateUpload implements [objects.Backend].
func (l *Backend) CreateUpload(ctx context.Context, in objects.UploadRequest) (objects.Upload, error) {
	u, err := l.createUpload(in)
	if err != nil {
		return objects.Upload{}, fmt.Errorf("creating an upload: %w", err)
	}
	return u, nil
}

func (l *Backend) createUpload(in objects.UploadRequest) (objects.Upload, error) {
	if err := record.CheckKey(in.Bucket, in.Key); err != nil {
		return objects.Upload{}, err
	}
	var id record.UploadID
	binary.BigEndian.PutUint64(id[:8], uint64(l.now().UnixNano()))
	rand.Read(id[8:]) // never fails (crypto/rand.Read, since Go 1.24)
	r := &record.Upload{Initiated: l.moment(), Algorithm: in.Checksum, Kind: in.ChecksumType, Meta: in.Meta}
	k, value := record.UploadKey(in.Bucket, in.Key, id), r.Encode()
	err := l.index.change(func(t *txn) error {
		if t.gone.Get([]byte(in.Bucket)) != nil {
			return objects.ErrNoBucket
		}
		t.put(t.uploads, k, value)
		return nil
	})
	if err != nil {
		return objects.Upload{}, err
	}
	return readUpload(in.Key, id[:], value)
}

func readUpload(key string, id, value []byte) (objects.Upload, error) {
	r, err := record.DecodeUpload(value)
	if err != nil {
		return objects.Upload{}, err
	}
	return objects.Upload{
		ID: hex.EncodeToString(id), Key: key, Initiated: r.Initiated, Meta: r.Meta,
		Checksum: r.Algorithm, ChecksumType: r.Kind,
	}, nil
}

// findUpload checks the names and gives the upload's index key.
func findUpload(bucket, key, id string) (record.UploadID, []byte, error) {
	if err := record.CheckKey(bucket, key); err != nil {
		return record.UploadID{}, nil, err
	}
	uid, err := record.ParseUploadID(id)
	return uid, record.UploadKey(bucket, key, uid), err
}

// GetUpload implements [objects.Backend].
func (l *Backend) GetUpload(ctx context.Context, bucket, key, id string) (u objects.Upload, err error) {
	uid, k, err := findUpload(bucket, key, id)
	if err == nil {
		err = l.view(func(t *txn) error {
			v := t.uploads.Get(k)
			if v == nil {
				return objects.ErrNoUpload
			}
			u, err = readUpload(key, uid[:], v)
			return err
		})
	}
	if err != nil {
		return objects.Upload{}, fmt.Errorf("looking up an upload: %w", err)
	}
	return u, nil
}

// PutPart implements [objects.Backend].
func (l *Backend) PutPart(ctx context.Context, in objects.PartRequest) (objects.Part, error) {
	p, err := l.putPart(ctx, in)
	if err != nil {
		return objects.Part{}, fmt.Errorf("storing a part: %w", err)
	}
	return p, nil
}

func (l *Backend) putPart(ctx context.Context, in objects.PartRequest) (objects.Part, error) {
	if in.Number < 1 || in.Number > objects.MaxParts {
		return objects.Part{}, fmt.Errorf("%w: number %d is not in 1 to %d", objects.ErrInvalidPart, in.Number, objects.MaxParts)
	}
	u, err := l.GetUpload(ctx, in.Bucket, in.Key, in.UploadID)
	if err != nil {
		return objects.Part{}, err
	}
	id, k, err := findUpload(in.Bucket, in.Key, in.UploadID)
	if err != nil {
		return objects.Part{}, err
	}
	p, d, err := l.write(ctx, blob.Source{Body: in.Body, Size: in.Size, Checksum: u.Checksum, Verify: in.Verify})
	if err != nil {
		return objects.Part{}, err
	}
	p.Number = in.Number
	r := &record.Part{Piece: p, Modified: l.moment(), MD5: d.MD5}
	pk, value := record.PartKey(id, in.Number), r.Encode()
	var dead []blob.Name
	err = l.index.change(func(t *txn) error {
		if t.uploads.Get(k) == nil {
			return objects.ErrNoUpload
		}
		if v := t.parts.Get(pk); v != nil {
			old, err := record.DecodePart(v)
			if err != nil {
				return err
			}
			dead = old.Piece.Blob()
		}
		t.put(t.parts, pk, value)
		t.own(p.Blob())
		t.disown(dead)
		return nil
	})
	if err != nil {
		l.abandon(p.Blob(), err)
		return objects.Part{}, err
	}
	l.unlink(dead)
	return describe(r, u.Checksum), nil
}

// describe is the part as callers see it.
func describe(r *record.Part, a objects.Algorithm) objects.Part {
	p := objects.Part{Number: r.Piece.Number, Size: r.Piece.Size, ETag: hex.EncodeToString(r.MD5[:]), Modified: r.Modified}
	if len(r.Piece.Checksum) > 0 {
		p.Checksum = objects.Checksum{Algorithm: a, Value: append([]byte(nil), r.Piece.Checksum...)}
	}
	return p
}

// ListParts implements [objects.Backend].
func (l *Backend) ListParts(ctx context.Context, bucket, key, id string, after, max int) (out objects.PartList, err error) {
	uid, k, err := findUpload(bucket, key, id)
	if err == nil {
		err = l.view(func(t *txn) error {
			v := t.uploads.Get(k)
			if v == nil {
				return objects.ErrNoUpload
			}
			if out.Upload, err = readUpload(key, uid[:], v); err != nil {
				return err
			}
			return l.listParts(t, uid, after, max, &out)
		})
	}
	if err != nil {
		return objects.PartList{}, fmt.Errorf("listing parts: %w", err)
	}
	return out, nil
}

func (l *Backend) listParts(t *txn, id record.UploadID, after, max int, out *objects.PartList) error {
	if max <= 0 || after >= objects.MaxParts {
		return nil
	}
	after = min(after, objects.MaxParts)
	if after < 0 {
		after = 0
	}
	c := t.parts.Cursor()
	for k, v := c.Seek(record.PartKey(id, after+1)); bytes.HasPrefix(k, id[:]); k, v = c.Next() {
		if len(out.Parts) == max {
			out.Truncated, out.Next = true, out.Parts[max-1].Number
			return nil
		}
		r, err := record.DecodePart(v)
		if err != nil {
			return err
		}
		out.Parts = append(out.Parts, describe(r, out.Upload.Checksum))
	}
	return nil
}

// AbortUpload implements [objects.Backend].
func (l *Backend) AbortUpload(ctx context.Context, bucket, key, id string) error {
	_, k, err := findUpload(bucket, key, id)
	var dead []blob.Name
	if err == nil {
		err = l.index.change(func(t *txn) error {
			if t.uploads.Get(k) == nil {
				return objects.ErrNoUpload
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
func dropUpload(t *txn, k []byte, kept map[blob.Name]bool) (dead []blob.Name, err error) {
	id := k[len(k)-record.UploadIDSize:]
	var keys [][]byte
	c := t.parts.Cursor()
	for pk, v := c.Seek(id); bytes.HasPrefix(pk, id); pk, v = c.Next() {
		r, err := record.DecodePart(v)
		if err != nil {
			return nil, err
		}
		keys = append(keys, append([]byte(nil), pk...))
		if r.Piece.Size > 0 && !kept[r.Piece.Name] {
			dead = append(dead, r.Piece.Name)
		}
	}
	for _, pk := range keys {
		t.delete(t.parts, pk)
	}
	t.delete(t.uploads, k)
	t.disown(dead)
	return dead, nil
}

// CompleteUpload implements [objects.Backend].
func (l *Backend) CompleteUpload(ctx context.Context, in objects.CompleteRequest) (objects.Info, error) {
	info, err := l.completeUpload(in)
	if err != nil {
		return objects.Info{}, fmt.Errorf("completing an upload: %w", err)
	}
	return info, nil
}

func (l *Backend) completeUpload(in objects.CompleteRequest) (objects.Info, error) {
	id, k, err := findUpload(in.Bucket, in.Key, in.UploadID)
	if err != nil {
		return objects.Info{}, err
	}
	ok := record.ObjectKey(in.Bucket, in.Key)
	for {
		// Assembled and verified first, outside the committer; then made final if it is still the same.
		var plan *record.Object
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
			return objects.Info{}, err
		}
		if done {
			return plan.Info(in.Key), nil
		}
		if in.Verify != nil {
			d := objects.Digest{Size: plan.Size, Checksum: plan.Checksum}
			hex.Decode(d.MD5[:], []byte(plan.ETag[:2*len(d.MD5)]))
			if err := in.Verify(&d); err != nil {
				return objects.Info{}, fmt.Errorf("verifying the object: %w", err)
			}
			plan.Checksum = d.Checksum
		}
		plan.Modified = l.moment()
		value, changed := plan.Encode(), false
		var replaced, unused []blob.Name
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
			kept := make(map[blob.Name]bool, len(plan.Pieces))
			for _, n := range plan.Blobs() {
				kept[n] = true
			}
			if unused, err = dropUpload(t, k, kept); err != nil {
				return err
			}
			if old != nil {
				replaced = old.Blobs()
			}
			t.put(t.objects, ok, value)
			t.disown(replaced)
			return nil
		})
		if err != nil {
			return objects.Info{}, err
		}
		if changed {
			continue
		}
		l.unlink(unused)
		l.erase(replaced)
		return l.own(plan).Info(in.Key), nil
	}
}

// completed finds the object that this very upload, with as many parts, has become already.
func completed(t *txn, k []byte, id record.UploadID, parts []objects.CompletePart) (*record.Object, bool) {
	v := t.objects.Get(k)
	if v == nil {
		return nil, false
	}
	r, err := record.DecodeObject(v)
	if err != nil || r.Upload != id.String() || len(r.Pieces) != len(parts) {
		return nil, false
	}
	for i, p := range parts {
		if r.Pieces[i].Number != p.Number {
			return nil, false
		}
	}
	return r, true
}

func samePieces(a, b *record.Object) bool {
	if len(a.Pieces) != len(b.Pieces) || a.ETag != b.ETag {
		return false
	}
	for i := range a.Pieces {
		if a.Pieces[i].Name != b.Pieces[i].Name {
			return false
		}
	}
	return true
}

// assemble makes the record of the object that the upload's parts would be.
func (l *Backend) assemble(t *txn, k []byte, id record.UploadID, parts []objects.CompletePart) (*record.Object, error) {
	v := t.uploads.Get(k)
	if v == nil {
		return nil, objects.ErrNoUpload
	}
	u, err := record.DecodeUpload(v)
	if err != nil {
		return nil, err
	}
	if len(parts) == 0 {
		return nil, &objects.PartError{Err: objects.ErrInvalidPartOrder}
	}
	for i := 1; i < len(parts); i++ {
		if parts[i].Number <= parts[i-1].Number {
			return nil, &objects.PartError{Number: parts[i].Number, Err: objects.ErrInvalidPartOrder}
		}
	}
	r := &record.Object{Meta: u.Meta, Upload: id.String(), Pieces: make([]record.Piece, 0, len(parts))}
	etag, sum := md5.New(), objects.NewCombiner(u.Algorithm, u.Kind)
	for i, want := range parts {
		p, err := l.storedPart(t, id, want)
		if err != nil {
			return nil, err
		}
		if i < len(parts)-1 && p.Piece.Size < l.minPartSize {
			return nil, &objects.PartError{Number: want.Number, Size: p.Piece.Size, Min: l.minPartSize, Err: objects.ErrTooSmall}
		}
		r.Size += p.Piece.Size
		r.Pieces = append(r.Pieces, p.Piece)
		etag.Write(p.MD5[:])
		sum.Add(p.Piece.Checksum, p.Piece.Size)
	}
	r.ETag = hex.EncodeToString(etag.Sum(nil)) + "-" + strconv.Itoa(len(parts))
	r.Checksum = sum.Checksum()
	return r, nil
}

func (l *Backend) storedPart(t *txn, id record.UploadID, want objects.CompletePart) (*record.Part, error) {
	invalid := &objects.PartError{Number: want.Number, Err: objects.ErrInvalidPart}
	if want.Number < 1 || want.Number > objects.MaxParts {
		return nil, invalid
	}
	v := t.parts.Get(record.PartKey(id, want.Number))
	if v == nil {
		return nil, invalid
	}
	p, err := record.DecodePart(v)
	if err != nil {
		return nil, err
	}
	if hex.EncodeToString(p.MD5[:]) != want.ETag {
		return nil, invalid
	}
	if want.Checksum != "" && want.Checksum != (objects.Checksum{Value: p.Piece.Checksum}).Base64() {
		return nil, invalid
	}
	return p, nil
}
