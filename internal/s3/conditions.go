package s3

import (
	"net/http"
	"strings"
	"time"
)

// conditions are the four headers that make a read conditional (RFC 9110 section 13.1), as they were
// sent. The same four, under other names, guard the source of a copy.
type conditions struct {
	ifMatch, ifNoneMatch, ifModifiedSince, ifUnmodifiedSince string
}

// conditionVerdict is the outcome of the conditions of a read.
type conditionVerdict uint8

const (
	proceed conditionVerdict = iota
	notModified
	preconditionFailed
)

// evaluate compares the conditions with an object's entity tag (without quotes) and time. It also names
// the condition that did not hold, as S3's PreconditionFailed error does.
//
// The precedence is S3's and RFC 9110's (section 13.2.2): an If-Match that holds makes If-Unmodified-Since
// irrelevant, and If-None-Match, when it is there, makes If-Modified-Since irrelevant. A date that cannot
// be read is no condition.
func (c conditions) evaluate(etag string, modified time.Time) (conditionVerdict, string) {
	modified = modified.Truncate(time.Second)
	if c.ifMatch != "" {
		if !matchesETag(c.ifMatch, etag, true) {
			return preconditionFailed, "If-Match"
		}
	} else if t, err := http.ParseTime(c.ifUnmodifiedSince); err == nil && modified.After(t) {
		return preconditionFailed, "If-Unmodified-Since"
	}
	if c.ifNoneMatch != "" {
		if matchesETag(c.ifNoneMatch, etag, false) {
			return notModified, "If-None-Match"
		}
	} else if t, err := http.ParseTime(c.ifModifiedSince); err == nil && !modified.After(t) {
		return notModified, "If-Modified-Since"
	}
	return proceed, ""
}

// matchesETag says whether a list of entity tags, or *, names the tag. S3 takes tags with and without
// their quotes. A weak tag never matches in the strong comparison that If-Match asks for (RFC 9110
// section 8.8.3.2).
func matchesETag(list, etag string, strong bool) bool {
	for item := range strings.SplitSeq(list, ",") {
		item = strings.Trim(item, " \t")
		if item == "*" {
			return true
		}
		if rest, weak := strings.CutPrefix(item, "W/"); weak {
			if strong {
				continue
			}
			item = rest
		}
		if trimETag(item) == etag {
			return true
		}
	}
	return false
}

// trimETag is an entity tag without its quotes.
func trimETag(s string) string {
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		return s[1 : len(s)-1]
	}
	return s
}

// quoteETag is an entity tag as it travels.
func quoteETag(etag string) string { return `"` + etag + `"` }

// rangeStillValid is RFC 9110's If-Range (section 13.1.5): a range is honoured only while the object is
// the one the client has the rest of. An entity tag is compared strongly, a date must be the object's own.
func rangeStillValid(ifRange, etag string, modified time.Time) bool {
	if ifRange == "" {
		return true
	}
	if t, err := http.ParseTime(ifRange); err == nil {
		return modified.Truncate(time.Second).Equal(t)
	}
	return !strings.HasPrefix(ifRange, "W/") && trimETag(ifRange) == etag
}
