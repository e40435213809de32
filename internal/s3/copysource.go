package s3

import (
	"errors"
	"net/url"
	"strings"
)

// Faults of an x-amz-copy-source header.
var (
	errCopySourceEncoding = errors.New("invalid copy source encoding")
	errCopySourceForm     = errors.New("copy source names no bucket and key")
)

// copySource names the object that is copied.
type copySource struct{ bucket, key, version string }

// parseCopySource reads x-amz-copy-source: bucket/key or /bucket/key, percent-encoded in whole or in part,
// with an optional ?versionId=… at its end. As on S3 a plus sign is a space: a client that means a plus
// sends %2B (github.com/aws/aws-sdk-js/issues/1821 shows it). Whether bucket and key are good names is for
// the caller.
func parseCopySource(header string) (copySource, error) {
	path, version, _ := strings.Cut(header, "?versionId=")
	path, err := url.QueryUnescape(path)
	if err != nil {
		return copySource{}, errCopySourceEncoding
	}
	if version, err = url.QueryUnescape(version); err != nil {
		return copySource{}, errCopySourceEncoding
	}
	bucket, key, ok := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if !ok || bucket == "" || key == "" {
		return copySource{}, errCopySourceForm
	}
	return copySource{bucket: bucket, key: key, version: version}, nil
}
