package s3

import (
	"math"
	"strings"
)

// byteRange is part of an object: the first and the last offset, both inclusive.
type byteRange struct{ first, last int64 }

// length is the number of bytes in r.
func (r byteRange) length() int64 { return r.last - r.first + 1 }

// rangeVerdict says what a Range header means for an object of a known size.
type rangeVerdict uint8

const (
	// rangeWhole: there is no range, or one that S3 ignores; the whole object is sent with 200.
	rangeWhole rangeVerdict = iota
	// rangePart: one satisfiable range, sent with 206.
	rangePart
	// rangeUnsatisfiable: one well-formed range that lies outside of the object; 416.
	rangeUnsatisfiable
)

// parseRange reads a Range header (RFC 9110 section 14.2) as S3 does: one range of bytes is honoured,
// several in one header, another unit, or a malformed header are ignored and the whole object is sent.
// A suffix longer than the object is the object; a last offset beyond its end is its end.
func parseRange(header string, size int64) (byteRange, rangeVerdict) {
	unit, spec, ok := strings.Cut(header, "=")
	if !ok || !strings.EqualFold(strings.TrimSpace(unit), "bytes") {
		return byteRange{}, rangeWhole
	}
	spec = strings.Trim(spec, " \t")
	firstText, lastText, ok := strings.Cut(spec, "-")
	if !ok {
		return byteRange{}, rangeWhole
	}
	last, lastOK := parseOffset(lastText)
	if firstText == "" {
		if !lastOK {
			return byteRange{}, rangeWhole
		}
		if last == 0 || size == 0 {
			return byteRange{}, rangeUnsatisfiable
		}
		return byteRange{first: max(0, size-last), last: size - 1}, rangePart
	}
	first, firstOK := parseOffset(firstText)
	if !firstOK || (lastText != "" && (!lastOK || last < first)) {
		return byteRange{}, rangeWhole
	}
	if first >= size {
		return byteRange{}, rangeUnsatisfiable
	}
	if lastText == "" || last >= size {
		last = size - 1
	}
	return byteRange{first: first, last: last}, rangePart
}

// parseCopyRange reads x-amz-copy-source-range, which is stricter than Range: both offsets are there.
// Whether it lies inside of the source is for the caller, who knows the source's size.
func parseCopyRange(header string) (byteRange, bool) {
	spec, ok := strings.CutPrefix(header, "bytes=")
	if !ok {
		return byteRange{}, false
	}
	firstText, lastText, ok := strings.Cut(spec, "-")
	if !ok {
		return byteRange{}, false
	}
	first, firstOK := parseOffset(firstText)
	last, lastOK := parseOffset(lastText)
	if !firstOK || !lastOK || last < first {
		return byteRange{}, false
	}
	return byteRange{first: first, last: last}, true
}

// parseOffset reads decimal digits and nothing else. A number too large for int64 is the largest int64:
// it lies beyond every object, which is all that a range needs to know.
func parseOffset(s string) (int64, bool) {
	if s == "" {
		return 0, false
	}
	var n int64
	for i := range len(s) {
		c := s[i]
		if c < '0' || c > '9' {
			return 0, false
		}
		if d := int64(c - '0'); n > (math.MaxInt64-d)/10 {
			n = math.MaxInt64
		} else {
			n = n*10 + d
		}
	}
	return n, true
}
