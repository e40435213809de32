package signed

import (
	"encoding/base64"
	"fmt"
	"strings"
)

// textEncoding is base64 with the three characters CloudFront replaces: + by -, = by _, / by ~
// (private-content-linux-openssl). It is not RFC 4648's base64url, where _ means / and padding is dropped.
var textEncoding = base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-~").WithPadding('_').Strict()

// EncodeText writes bytes in CloudFront's variant of base64, padded with underscores.
func EncodeText(b []byte) string { return textEncoding.EncodeToString(b) }

// DecodeText reads CloudFront's variant of base64, strictly: padding must be there, the bits it leaves
// over must be zero, and neither white space nor the characters of standard base64 or of base64url are
// accepted. The error is an *[EncodingError].
func DecodeText(s string) ([]byte, error) {
	b := make([]byte, textEncoding.DecodedLen(len(s)))
	n, ok := decodeText(b, s)
	if !ok {
		return nil, diagnoseText(s)
	}
	return b[:n], nil
}

// decodeText decodes into b, which has room for textEncoding.DecodedLen(len(s)) bytes.
func decodeText(b []byte, s string) (int, bool) {
	if strings.IndexByte(s, '\n') >= 0 || strings.IndexByte(s, '\r') >= 0 { // the standard decoder skips these
		return 0, false
	}
	n, err := textEncoding.Decode(b, []byte(s))
	return n, err == nil
}

// EncodingError says why a text is not in CloudFront's base64. It holds at most one character of it.
type EncodingError struct {
	// Offset is the first character, from 0, that cannot stand where it stands, or the length of the
	// text if it is too short.
	Offset int
	// Reason is one clause.
	Reason string
	// Hint names the alphabet the text seems to be in, or is empty.
	Hint string
}

func (e *EncodingError) Error() string {
	return fmt.Sprintf("decoding CloudFront base64: at character %d: %s", e.Offset, e.Reason)
}

// diagnoseText explains why s does not decode. It is only called when it does not.
func diagnoseText(s string) *EncodingError {
	body := strings.TrimRight(s, "_")
	for i := range len(body) {
		c := body[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '~' {
			continue
		}
		e := &EncodingError{Offset: i, Reason: fmt.Sprintf("%q is not in CloudFront's alphabet", rune(c))}
		switch c {
		case '_':
			e.Reason = "an underscore stands before the end, and here it is padding"
			e.Hint = "this looks like base64url (RFC 4648); CloudFront wants + as -, = as _, / as ~, with padding"
		case '+', '/', '=':
			e.Hint = "this is standard base64; CloudFront wants + as -, = as _, / as ~"
		case ' ', '\t', '\r', '\n':
			e.Reason = "white space stands inside"
			e.Hint = "join the lines of the base64 (openssl base64 -A); a blank may also be a + that was decoded on the way"
		case '%':
			e.Hint = "the value is percent-encoded; decode it once"
		}
		return e
	}
	e := &EncodingError{Offset: len(s), Reason: fmt.Sprintf("%d characters are not a whole number of groups of four", len(s))}
	switch padding := len(s) - len(body); {
	case padding > 2:
		e.Offset, e.Reason = len(body), "more than two underscores of padding"
	case len(s)%4 == 0:
		e.Offset, e.Reason = max(len(body)-1, 0), "the last character holds bits that must be zero"
	case padding == 0 && len(body)%4 != 1:
		e.Hint = "the padding is missing (base64url drops it), or the value was cut short"
	default:
		e.Hint = "the value was cut short"
	}
	return e
}

// EncodePath writes an object key as a URL path: one slash, then the key with every byte percent-encoded
// but A-Z a-z 0-9 - . _ ~ and the slash (RFC 3986 sections 2.1 and 2.3; the rule of S3's own signers).
// So a space is %20, and + % ? # ' & * are %2B %25 %3F %23 %27 %26 %2A: no browser, proxy or library
// changes any of these again, none of them is a wildcard in a policy, and S3 decodes them to the key.
//
// Letters beyond ASCII are encoded as the UTF-8 they are, composed or decomposed: 한 as one code point
// (NFC) and as three (NFD, what macOS makes of file names) are two different keys and two different
// paths. The key is not checked: one with a segment "." or ".." gives a path that [CheckURL] refuses.
func EncodePath(key string) string { return escape("/", key, "/") }

// EncodeQueryValue writes one value of a query parameter, such as response-content-disposition, by the
// same rule, with the slash encoded as well. Sign the URL with the value in this form.
func EncodeQueryValue(value string) string { return escape("", value, "") }

func escape(prefix, s, keep string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	b.Grow(len(prefix) + len(s))
	b.WriteString(prefix)
	for i := range len(s) {
		c := s[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
			c == '-' || c == '.' || c == '_' || c == '~' || strings.IndexByte(keep, c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.Write([]byte{'%', digits[c>>4], digits[c&15]})
	}
	return b.String()
}

// unescape decodes %XX and nothing else: a + stays a +. ok is false on a broken escape.
func unescape(s string) (string, bool) {
	if strings.IndexByte(s, '%') < 0 {
		return s, true
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b = append(b, s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", false
		}
		hi, lo := unhex(s[i+1]), unhex(s[i+2])
		if hi < 0 || lo < 0 {
			return "", false
		}
		b = append(b, byte(hi<<4|lo))
		i += 2
	}
	return string(b), true
}
