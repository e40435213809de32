package local

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"go.etcd.io/bbolt"

	"postern/internal/s3/objects"
	"postern/internal/s3/objects/local/record"
)

// walk goes through a bucket's entries below prefix in order, beginning at the index key from, and
// calls entry with each, or fold with each common prefix, until one of them returns false. After a
// common prefix it seeks to what follows everything the prefix hides.
func walk(c *bbolt.Cursor, bucket, prefix, delimiter string, from []byte,
	entry func(key string, tail, value []byte) (bool, error), fold func(prefix string) bool) error {
	below := record.PrefixKey(bucket, prefix)
	if bytes.Compare(from, below) < 0 {
		from = below
	}
	k, v := c.Seek(from)
	for bytes.HasPrefix(k, below) {
		key, tail, ok := record.SplitKey(bucket, k)
		if !ok {
			return fmt.Errorf("%w: an index key cannot be read", objects.ErrDamaged)
		}
		if common, ok := commonPrefix(key, prefix, delimiter); ok {
			if !fold(common) {
				return nil
			}
			next := record.Successor(record.PrefixKey(bucket, common))
			if next == nil {
				return nil
			}
			k, v = c.Seek(next)
			continue
		}
		if more, err := entry(key, tail, v); err != nil || !more {
			return err
		}
		k, v = c.Next()
	}
	return nil
}

// commonPrefix is the key up to and with the first delimiter after prefix, if there is one.
func commonPrefix(key, prefix, delimiter string) (string, bool) {
	if delimiter == "" || !strings.HasPrefix(key, prefix) {
		return "", false
	}
	i := strings.Index(key[len(prefix):], delimiter)
	if i < 0 {
		return "", false
	}
	return key[:len(prefix)+i+len(delimiter)], true
}

// above is the index key at which a listing after the key, or after a common prefix, begins. nil with
// false means that nothing can follow.
func above(bucket, after, prefix, delimiter string) ([]byte, bool) {
	if after == "" {
		return nil, true
	}
	from := record.EntriesKey(bucket, after)
	if common, ok := commonPrefix(after, prefix, delimiter); ok && common == after {
		from = record.PrefixKey(bucket, after)
	}
	next := record.Successor(from)
	return next, next != nil
}

// List implements [objects.Backend].
func (l *Backend) List(ctx context.Context, bucket string, in objects.ListRequest) (out objects.ListResult, err error) {
	if err := record.CheckBucket(bucket); err != nil {
		return out, fmt.Errorf("listing a bucket: %w", err)
	}
	from, ok := above(bucket, in.After, in.Prefix, in.Delimiter)
	if in.Max <= 0 || !ok {
		return out, nil
	}
	last := ""
	full := func() bool {
		out.Truncated = len(out.Objects)+len(out.Prefixes) == in.Max
		if out.Truncated {
			out.Next = last
		}
		return out.Truncated
	}
	err = l.view(func(t *txn) error {
		return walk(t.objects.Cursor(), bucket, in.Prefix, in.Delimiter, from,
			func(key string, _, value []byte) (bool, error) {
				if full() {
					return false, nil
				}
				r, err := record.DecodeSummary(value)
				if err != nil {
					return false, err
				}
				out.Objects = append(out.Objects, r.Info(key))
				last = key
				return true, nil
			},
			func(prefix string) bool {
				if full() {
					return false
				}
				out.Prefixes = append(out.Prefixes, prefix)
				last = prefix
				return true
			})
	})
	if err != nil {
		return objects.ListResult{}, fmt.Errorf("listing a bucket: %w", err)
	}
	return out, nil
}

// ListUploads implements [objects.Backend].
func (l *Backend) ListUploads(ctx context.Context, bucket string, in objects.ListUploadsRequest) (out objects.UploadList, err error) {
	if err := record.CheckBucket(bucket); err != nil {
		return out, fmt.Errorf("listing uploads: %w", err)
	}
	from, ok := above(bucket, in.KeyMarker, in.Prefix, in.Delimiter)
	if in.KeyMarker != "" && in.IDMarker != "" {
		id, err := record.ParseUploadID(in.IDMarker)
		if err != nil {
			return out, fmt.Errorf("listing uploads: %w", err)
		}
		from = append(record.UploadKey(bucket, in.KeyMarker, id), 0)
		ok = true
	}
	if in.Max <= 0 || !ok {
		return out, nil
	}
	key, id := "", ""
	full := func() bool {
		out.Truncated = len(out.Uploads)+len(out.Prefixes) == in.Max
		if out.Truncated {
			out.NextKey, out.NextID = key, id
		}
		return out.Truncated
	}
	err = l.view(func(t *txn) error {
		return walk(t.uploads.Cursor(), bucket, in.Prefix, in.Delimiter, from,
			func(k string, tail, value []byte) (bool, error) {
				if full() {
					return false, nil
				}
				u, err := readUpload(k, tail, value)
				if err != nil {
					return false, err
				}
				out.Uploads = append(out.Uploads, u)
				key, id = u.Key, u.ID
				return true, nil
			},
			func(prefix string) bool {
				if full() {
					return false
				}
				out.Prefixes = append(out.Prefixes, prefix)
				key, id = prefix, ""
				return true
			})
	})
	if err != nil {
		return objects.UploadList{}, fmt.Errorf("listing uploads: %w", err)
	}
	return out, nil
}
