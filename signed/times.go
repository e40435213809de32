package signed

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// TimeError says why a text is no duration or no time.
type TimeError struct {
	// Text is what was read, shortened.
	Text string
	// Reason is one clause.
	Reason string
	// Hint says what to write instead. May be empty.
	Hint string
}

func (e *TimeError) Error() string {
	text := fmt.Sprintf("%q: %s", e.Text, e.Reason)
	if e.Hint != "" {
		text += " (" + e.Hint + ")"
	}
	return text
}

func timeError(text, reason, hint string) *TimeError {
	return &TimeError{Text: cut(text, 60), Reason: reason, Hint: hint}
}

// ParseDuration reads a positive span such as 7d, 36h, 90m, 45s, 1w or 1d12h: whole numbers, each with
// one of the units w d h m s, the larger before the smaller. A week is seven days and a day 24 hours,
// whatever daylight saving does in between. The error is a *[TimeError].
func ParseDuration(text string) (time.Duration, error) {
	units := []struct {
		name byte
		span time.Duration
	}{{'w', 7 * 24 * time.Hour}, {'d', 24 * time.Hour}, {'h', time.Hour}, {'m', time.Minute}, {'s', time.Second}}
	const example = "write it like 7d, 36h, 90m or 1d12h"
	var total time.Duration
	rest := text
	for rest != "" {
		n := 0
		for n < len(rest) && '0' <= rest[n] && rest[n] <= '9' {
			n++
		}
		switch {
		case n == len(rest):
			return 0, timeError(text, "a number without a unit", example)
		case n == 0 || rest[n] == '.':
			return 0, timeError(text, "not a whole number of w, d, h, m or s", example)
		}
		i := 0
		for i < len(units) && units[i].name != rest[n] {
			i++
		}
		if i == len(units) {
			return 0, timeError(text, "unknown unit, or units out of order", example)
		}
		count, err := strconv.ParseInt(rest[:n], 10, 64)
		if err != nil || count > int64((math.MaxInt64-total)/units[i].span) {
			return 0, timeError(text, "more than 292 years", "")
		}
		total += time.Duration(count) * units[i].span
		rest, units = rest[n+1:], units[i+1:]
	}
	if total <= 0 {
		return 0, timeError(text, "no time at all", example)
	}
	return total, nil
}

// ParseTime reads an instant that means the same everywhere, to the second:
//
//	2031-05-01T18:00:00Z, 2031-05-01T18:00:00+09:00     RFC 3339
//	2031-05-01T18:00:00 Asia/Seoul, 2031-05-01T18:00[Asia/Seoul]
//	2031-05-01 Asia/Seoul, 2031-05-01+09:00, 2031-05-01Z     the first second of that day there
//	1935392400     seconds since 1970
//
// A date or a time of day without a zone is refused, because AWS's tools silently take it for UTC, nine
// hours off in Seoul. So are milliseconds, and digits like 20310501, which AWS's tools take for August
// 1970. Zone names are of the IANA database, which has to be on the machine or linked in (import
// time/tzdata). The error is a *[TimeError].
func ParseTime(text string) (time.Time, error) {
	if text != "" && strings.Trim(text, "0123456789") == "" {
		return parseEpochSeconds(text)
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t.Truncate(time.Second), nil
	}
	if t, err := time.Parse("2006-01-02Z07:00", text); err == nil {
		return t, nil
	}
	local, zone, found := strings.Cut(text, " ")
	if !found && strings.HasSuffix(text, "]") {
		local, zone, found = strings.Cut(strings.TrimSuffix(text, "]"), "[")
	}
	if !found {
		for _, layout := range localLayouts {
			if _, err := time.Parse(layout, local); err == nil {
				return time.Time{}, timeError(text, "no time zone", "write "+text+"Z for UTC, "+text+"+09:00, or \""+text+" Asia/Seoul\"")
			}
		}
		return time.Time{}, timeError(text, "not a time", "write it like 2031-05-01T18:00:00+09:00, \"2031-05-01 Asia/Seoul\" or 1935392400")
	}
	where, err := time.LoadLocation(zone)
	if err != nil || zone == "" || zone == "Local" {
		return time.Time{}, timeError(text, "unknown time zone", "use a name like Asia/Seoul or Europe/Berlin, or UTC")
	}
	for _, layout := range localLayouts {
		t, err := time.ParseInLocation(layout, local, where)
		if err != nil {
			continue
		}
		if t.Format(layout) == local {
			return t, nil
		}
		if layout == time.DateOnly { // a day that begins after midnight, by daylight saving
			if next := t.Add(time.Hour); next.Format(layout) == local {
				return next, nil
			}
		}
		return time.Time{}, timeError(text, "this moment does not exist in that zone: the clocks jump over it", "")
	}
	return time.Time{}, timeError(text, "not a date or a time of day before the zone", "write it like 2031-05-01 or 2031-05-01T18:00:00")
}

var localLayouts = []string{"2006-01-02T15:04:05", "2006-01-02T15:04", time.DateOnly}

func parseEpochSeconds(text string) (time.Time, error) {
	if _, err := time.Parse("20060102", text); err == nil {
		return time.Time{}, timeError(text, "a date without dashes, which AWS's tools take for seconds since 1970", "write "+text[:4]+"-"+text[4:6]+"-"+text[6:]+" and a zone")
	}
	n, reason, hint := readEpoch(text)
	if reason != "" {
		return time.Time{}, timeError(text, "seconds since 1970 expected, and this "+reason, hint)
	}
	return time.Unix(n, 0).UTC(), nil
}

// ParseTimeAWSCLI reads what `aws cloudfront sign` documents for --date-less-than and
// --date-greater-than, and means the same by it: YYYY-MM-DD and YYYY-MM-DDThh:mm:ss are UTC, an offset may
// follow, and digits alone are always seconds since 1970. bare says that the text had no zone, or was a
// date without dashes: legal there, and a trap worth a warning. The error is a *[TimeError].
func ParseTimeAWSCLI(text string) (t time.Time, bare bool, err error) {
	if text != "" && strings.Trim(text, "0123456789") == "" {
		n, reason, hint := readEpoch(text)
		if reason != "" {
			return time.Time{}, false, timeError(text, "seconds since 1970 expected, and this "+reason, hint)
		}
		_, dashless := time.Parse("20060102", text)
		return time.Unix(n, 0).UTC(), dashless == nil, nil
	}
	for _, layout := range []string{"2006-1-2T15:4:5Z07:00", "2006-1-2 15:4:5Z07:00", "2006-1-2Z07:00"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), false, nil
		}
	}
	for _, layout := range []string{"2006-1-2", "2006-1-2T15:4:5", "2006-1-2T15:4", "2006-1-2 15:4:5"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, true, nil
		}
	}
	return time.Time{}, false, timeError(text, "not a date in one of the AWS CLI's formats", "YYYY-MM-DD, YYYY-MM-DDThh:mm:ss with or without +hh:mm, or seconds since 1970")
}
