package s3

import (
	"errors"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of object tags, in tags and in characters
// (docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html).
const (
	maxTags     = 10
	maxTagKey   = 128
	maxTagValue = 256
)

// Faults of a set of tags.
var (
	errTagEncoding = errors.New("the tags are not URL query parameters without duplicates")
	errTagCount    = errors.New("more tags than an object may have")
	errTagKey      = errors.New("a tag's key is not valid")
	errTagValue    = errors.New("a tag's value is not valid")
	errTagSystem   = errors.New("a tag's key has the prefix of system tags")
)

// parseTags reads x-amz-tagging: tags in the form of a URL's query.
func parseTags(header string) (map[string]string, error) {
	tags := make(map[string]string)
	for pair := range strings.SplitSeq(header, "&") {
		if pair == "" {
			continue
		}
		k, v, _ := strings.Cut(pair, "=")
		key, err := url.QueryUnescape(k)
		if err != nil {
			return nil, errTagEncoding
		}
		value, err := url.QueryUnescape(v)
		if err != nil {
			return nil, errTagEncoding
		}
		if _, twice := tags[key]; twice || !utf8.ValidString(key) || !utf8.ValidString(value) {
			return nil, errTagEncoding
		}
		switch {
		case len(tags) == maxTags:
			return nil, errTagCount
		case key == "" || utf8.RuneCountInString(key) > maxTagKey || !tagText(key):
			return nil, errTagKey
		case strings.HasPrefix(strings.ToLower(key), "aws:"):
			return nil, errTagSystem
		case utf8.RuneCountInString(value) > maxTagValue || !tagText(value):
			return nil, errTagValue
		}
		tags[key] = value
	}
	return tags, nil
}

// tagText is true of the characters that S3 allows in tags: letters, numbers and separators of any script, and
// + - = . _ : / @.
func tagText(s string) bool {
	for _, r := range s {
		if !unicode.In(r, unicode.L, unicode.N, unicode.Z) && !strings.ContainsRune("+-=._:/@", r) {
			return false
		}
	}
	return true
}
