package s3

import (
	"net/netip"
	"strings"
	"unicode/utf8"
)

// maxKeyBytes is the longest key, in bytes of UTF-8
// (docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html).
const maxKeyBytes = 1024

// reservedPrefixes and reservedSuffixes are kept by AWS for itself
// (docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html).
var (
	reservedPrefixes = []string{"xn--", "sthree-", "amzn-s3-demo-"}
	reservedSuffixes = []string{"-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"}
)

// validBucketName holds a name against S3's rules for general purpose buckets: 3 to 63 bytes of lower-case
// letters, digits, hyphens and dots; a letter or digit at both ends; no two dots in a row; not an IPv4
// address; none of the reserved prefixes and suffixes.
func validBucketName(name string) bool {
	if len(name) < 3 || len(name) > 63 || strings.Contains(name, "..") {
		return false
	}
	for i := range len(name) {
		c := name[i]
		letterOrDigit := 'a' <= c && c <= 'z' || '0' <= c && c <= '9'
		if !letterOrDigit && (i == 0 || i == len(name)-1 || c != '-' && c != '.') {
			return false
		}
	}
	if looksLikeIPv4(name) {
		return false
	}
	for _, p := range reservedPrefixes {
		if strings.HasPrefix(name, p) {
			return false
		}
	}
	for _, s := range reservedSuffixes {
		if strings.HasSuffix(name, s) {
			return false
		}
	}
	return true
}

// looksLikeIPv4 is true of four dot-separated decimal numbers, also of those that are no address because a
// number has a leading zero or is over 255: a client would still take them for one.
func looksLikeIPv4(name string) bool {
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	parts := strings.Split(name, ".")
	if len(parts) != 4 {
		return false
	}
	for _, p := range parts {
		if p == "" || len(p) > 3 || strings.Trim(p, "0123456789") != "" {
			return false
		}
	}
	return true
}

// validRegion is true of a name with the form of a region: two letters, one or more words, a number.
func validRegion(region string) bool {
	parts := strings.Split(region, "-")
	if len(parts) < 3 || len(region) > 32 {
		return false
	}
	for i, p := range parts {
		if i == len(parts)-1 {
			return p != "" && strings.Trim(p, "0123456789") == ""
		}
		if p == "" || strings.Trim(p, "abcdefghijklmnopqrstuvwxyz") != "" || i == 0 && len(p) != 2 {
			return false
		}
	}
	return false
}

// keyFault says why a key cannot be one.
type keyFault uint8

const (
	keyOK keyFault = iota
	keyTooLong
	keyNotText
)

// checkKey holds a key against S3's rules: 1 to 1,024 bytes of UTF-8. A NUL is refused as well: XML
// cannot carry it, so that no listing could show such a key.
func checkKey(key string) keyFault {
	switch {
	case len(key) > maxKeyBytes:
		return keyTooLong
	case key == "" || !utf8.ValidString(key) || strings.IndexByte(key, 0) >= 0:
		return keyNotText
	default:
		return keyOK
	}
}

// encodeListed is encoding-type=url: the encoding S3 uses for keys in listings, which is the one of HTML
// forms with the slash left alone. AWS's clients decode it before anybody sees it.
func encodeListed(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9',
			c == '-', c == '_', c == '.', c == '*', c == '/':
			b.WriteByte(c)
		case c == ' ':
			b.WriteByte('+')
		default:
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return b.String()
}
