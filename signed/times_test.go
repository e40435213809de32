package signed

import (
	"errors"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // so that zones are there on every machine
)

func TestParseDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"7d": 7 * 24 * time.Hour, "36h": 36 * time.Hour, "90m": 90 * time.Minute, "1w": 7 * 24 * time.Hour, "45s": 45 * time.Second,
		"1d12h": 36 * time.Hour, "1w2d3h4m5s": (9*24+3)*time.Hour + 4*time.Minute + 5*time.Second, "007d": 7 * 24 * time.Hour, "0d1s": time.Second,
		"15250w": 15250 * 7 * 24 * time.Hour,
	} {
		if got, err := ParseDuration(text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for text, part := range map[string]string{
		"": "no time", "0s": "no time", "0d0h": "no time", "7": "without a unit", "3600": "without a unit", "1d12": "without a unit", "-7d": "whole number", "+7d": "whole number", "1.5h": "whole number",
		"d": "whole number", "7 d": "unknown unit", " 7d": "whole number", "7D": "unknown unit", "7y": "unknown unit", "7ms": "whole number", "1h1d": "out of order", "1d1d": "out of order",
		"15251w": "292 years", "9223372036854775808s": "292 years", "99999999999999999999d": "292 years", "15250w15250w": "out of order", "7일": "unknown unit",
	} {
		got, err := ParseDuration(text)
		var e *TimeError
		if !errors.As(err, &e) || !strings.Contains(e.Reason, part) || got != 0 {
			t.Errorf("%q: %v, %v, want %q", text, got, err, part)
		}
	}
}

func TestParseTime(t *testing.T) {
	for text, want := range map[string]string{
		"2031-05-01T18:00:00Z":              "2031-05-01T18:00:00Z",
		"2031-05-01T18:00:00.999Z":          "2031-05-01T18:00:00Z",
		"2031-05-01T18:00:00+09:00":         "2031-05-01T09:00:00Z",
		"2031-05-01T18:00:00-05:30":         "2031-05-01T23:30:00Z",
		"2031-05-01T18:00:00 Asia/Seoul":    "2031-05-01T09:00:00Z",
		"2031-05-01T18:00 Asia/Seoul":       "2031-05-01T09:00:00Z",
		"2031-05-01T18:00[Asia/Seoul]":      "2031-05-01T09:00:00Z",
		"2031-05-01 Asia/Seoul":             "2031-04-30T15:00:00Z",
		"2031-05-01[Europe/Berlin]":         "2031-04-30T22:00:00Z",
		"2031-05-01+09:00":                  "2031-04-30T15:00:00Z",
		"2031-05-01Z":                       "2031-05-01T00:00:00Z",
		"2031-05-01 UTC":                    "2031-05-01T00:00:00Z",
		"1935403200":                        "2031-05-01T12:00:00Z",
		"9223372036":                        "2262-04-11T23:47:16Z",
		"2018-11-04 America/Sao_Paulo":      "2018-11-04T03:00:00Z", // that day began at 01:00
		"2024-11-03T00:30 America/New_York": "2024-11-03T04:30:00Z",
	} {
		got, err := ParseTime(text)
		if err != nil || got.UTC().Format(time.RFC3339Nano) != want {
			t.Errorf("%q: %v, %v, want %s", text, got.UTC(), err, want)
		}
	}
	for text, part := range map[string]string{
		"":                                  "not a time",
		"tomorrow":                          "not a time",
		"2031-05-01":                        "no time zone",
		"2031-05-01T18:00:00":               "no time zone",
		"2031-05-01T18:00":                  "no time zone",
		"20310501":                          "without dashes",
		"1935403200000":                     "in seconds it is 1935403200",
		"1935403200000000":                  "microseconds",
		"9223372037":                        "above",
		"01935403200":                       "leading zero",
		"-1":                                "not a time",
		"1.9e9":                             "not a time",
		"2031-02-29 UTC":                    "not a date",
		"2031-05-01 Mars/Olympus":           "unknown time zone",
		"2031-05-01 Local":                  "unknown time zone",
		"2031-05-01 ":                       "unknown time zone",
		"2031-05-01 ../../etc/passwd":       "unknown time zone",
		"05/01/2031 UTC":                    "not a date",
		"2031-5-1 UTC":                      "not a date",
		"2024-03-10T02:30 America/New_York": "does not exist",
		"2031-05-01T25:00:00Z":              "not a time",
	} {
		got, err := ParseTime(text)
		var e *TimeError
		if !errors.As(err, &e) || !strings.Contains(e.Error(), part) || !got.IsZero() {
			t.Errorf("%q: %v, %v, want %q", text, got, err, part)
		}
	}
}

// The AWS CLI's own meaning, from `aws cloudfront sign help` and its date parser's results.
func TestParseTimeAWSCLI(t *testing.T) {
	for text, c := range map[string]struct {
		want int64
		bare bool
	}{
		"2016-1-1":                  {1451606400, true},
		"2016-01-01":                {1451606400, true},
		"2031-05-01T12:00:00":       {1935403200, true},
		"2031-05-01 12:00:00":       {1935403200, true},
		"2031-05-01T12:00:00Z":      {1935403200, false},
		"2031-05-01T21:00:00+09:00": {1935403200, false},
		"2031-05-01T12:00:00.75Z":   {1935403200, false},
		"1935403200":                {1935403200, false},
		"20310501":                  {20310501, true}, // August 1970
	} {
		got, bare, err := ParseTimeAWSCLI(text)
		if err != nil || got.Unix() != c.want || bare != c.bare {
			t.Errorf("%q: %v %v %v", text, got.UTC(), bare, err)
		}
	}
	for _, bad := range []string{"", "x", "1935403200000", "2031-13-01", "2031-05-01T12:00:00 Asia/Seoul"} {
		if got, _, err := ParseTimeAWSCLI(bad); !errors.As(err, new(*TimeError)) {
			t.Errorf("%q: %v, %v", bad, got, err)
		}
	}
}

func FuzzTimes(f *testing.F) {
	for _, s := range []string{"7d", "1w2d3h4m5s", "2031-05-01 Asia/Seoul", "1935403200", "2031-05-01T18:00:00+09:00", "2016-1-1", "[", "]", "a[]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if d, err := ParseDuration(text); (err == nil) != (d > 0) || err != nil && !errors.As(err, new(*TimeError)) {
			t.Fatalf("%q: %v, %v", text, d, err)
		}
		if at, err := ParseTime(text); err == nil {
			if again, err := ParseTime(at.Format(time.RFC3339)); at.Year() < 10000 && at.Year() >= 0 && (err != nil || !again.Equal(at)) {
				t.Fatalf("%q is %v, which reads %v, %v", text, at, again, err)
			}
		} else if !errors.As(err, new(*TimeError)) {
			t.Fatalf("%q: untyped %v", text, err)
		}
		if _, _, err := ParseTimeAWSCLI(text); err != nil && !errors.As(err, new(*TimeError)) {
			t.Fatalf("%q: untyped %v", text, err)
		}
	})
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "less than a second", time.Second: "1 second", 90 * time.Second: "1 minute 30 seconds", time.Hour: "1 hour", 25 * time.Hour: "1 day 1 hour",
		7 * 24 * time.Hour: "7 days", time.Hour + time.Second: "1 hour", 48*time.Hour + time.Minute: "2 days",
	} {
		if got := span(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}
