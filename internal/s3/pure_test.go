package s3

import (
	"errors"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestParseRange(t *testing.T) {
	tests := []struct {
		header      string
		size        int64
		verdict     rangeVerdict
		first, last int64
	}{
		{"bytes=0-0", 10, rangePart, 0, 0},
		{"bytes=0-99", 100, rangePart, 0, 99},
		{"bytes=0-99", 50, rangePart, 0, 49},
		{"bytes=10-", 50, rangePart, 10, 49},
		{"bytes=-10", 50, rangePart, 40, 49},
		{"bytes=-100", 50, rangePart, 0, 49},
		{"Bytes=1-2", 50, rangePart, 1, 2},
		{"bytes= 1-2 ", 50, rangePart, 1, 2},
		{"bytes=49-49", 50, rangePart, 49, 49},
		{"bytes=0-99999999999999999999999", 50, rangePart, 0, 49},
		{"bytes=-99999999999999999999999", 50, rangePart, 0, 49},
		{"bytes=50-", 50, rangeUnsatisfiable, 0, 0},
		{"bytes=50-60", 50, rangeUnsatisfiable, 0, 0},
		{"bytes=99999999999999999999999-", 50, rangeUnsatisfiable, 0, 0},
		{"bytes=-0", 50, rangeUnsatisfiable, 0, 0},
		{"bytes=0-0", 0, rangeUnsatisfiable, 0, 0},
		{"bytes=-5", 0, rangeUnsatisfiable, 0, 0},
		{"bytes=0-1,3-4", 50, rangeWhole, 0, 0},
		{"bytes=5-3", 50, rangeWhole, 0, 0},
		{"bytes=", 50, rangeWhole, 0, 0},
		{"bytes=-", 50, rangeWhole, 0, 0},
		{"bytes=a-b", 50, rangeWhole, 0, 0},
		{"bytes=+1-2", 50, rangeWhole, 0, 0},
		{"bytes=1", 50, rangeWhole, 0, 0},
		{"bytes=1-2-3", 50, rangeWhole, 0, 0},
		{"bytes 1-2", 50, rangeWhole, 0, 0},
		{"lines=1-2", 50, rangeWhole, 0, 0},
		{"", 50, rangeWhole, 0, 0},
	}
	for _, tt := range tests {
		r, verdict := parseRange(tt.header, tt.size)
		if verdict != tt.verdict || r != (byteRange{tt.first, tt.last}) {
			t.Errorf("parseRange(%q, %d) = %+v, %d; want {%d %d}, %d", tt.header, tt.size, r, verdict, tt.first, tt.last, tt.verdict)
		}
	}
}

func TestParseCopyRange(t *testing.T) {
	for header, want := range map[string]byteRange{"bytes=0-0": {0, 0}, "bytes=5-9": {5, 9}, "bytes=0-99999999999999999999": {0, math.MaxInt64}} {
		if r, ok := parseCopyRange(header); !ok || r != want {
			t.Errorf("parseCopyRange(%q) = %v, %v; want %v", header, r, ok, want)
		}
	}
	for _, header := range []string{"", "bytes=", "bytes=1-", "bytes=-1", "bytes=2-1", "bytes=0-1,2-3", "bytes = 0-1", "0-1", "bytes=0-1 "} {
		if r, ok := parseCopyRange(header); ok {
			t.Errorf("parseCopyRange(%q) = %v; want a refusal", header, r)
		}
	}
}

func FuzzParseRange(f *testing.F) {
	for _, s := range []string{"bytes=0-0", "bytes=-1", "bytes=5-", "bytes=0-1,2-3", "bytes=18446744073709551616-", "bytes=--1", "", "bytes=0-\x00"} {
		f.Add(s, int64(10))
		f.Add(s, int64(0))
	}
	f.Fuzz(func(t *testing.T, header string, size int64) {
		if size < 0 {
			size = 0
		}
		r, verdict := parseRange(header, size)
		if verdict == rangePart {
			if r.first < 0 || r.last < r.first || r.last >= size {
				t.Fatalf("parseRange(%q, %d) = %+v: outside of the object", header, size, r)
			}
			// Written out and read again it is the same range.
			again, v := parseRange("bytes="+strconv.FormatInt(r.first, 10)+"-"+strconv.FormatInt(r.last, 10), size)
			if v != rangePart || again != r {
				t.Fatalf("parseRange(%q, %d) = %+v, read again %+v", header, size, r, again)
			}
		}
		if c, ok := parseCopyRange(header); ok && (c.first < 0 || c.last < c.first) {
			t.Fatalf("parseCopyRange(%q) = %+v", header, c)
		}
	})
}

func TestConditions(t *testing.T) {
	modified := time.Date(2026, 11, 22, 10, 0, 0, 123456789, time.UTC)
	at := modified.Truncate(time.Second).Format(http.TimeFormat)
	before := modified.Add(-time.Hour).Format(http.TimeFormat)
	after := modified.Add(time.Hour).Format(http.TimeFormat)
	const etag = "662d150c1c021efdffc61004e797114b"
	quoted, other := `"`+etag+`"`, `"0000"`
	tests := []struct {
		name    string
		c       conditions
		verdict conditionVerdict
		blamed  string
	}{
		{"none", conditions{}, proceed, ""},
		{"match", conditions{ifMatch: quoted}, proceed, ""},
		{"match unquoted", conditions{ifMatch: etag}, proceed, ""},
		{"match any", conditions{ifMatch: "*"}, proceed, ""},
		{"match one of a list", conditions{ifMatch: other + ", " + quoted}, proceed, ""},
		{"match another", conditions{ifMatch: other}, preconditionFailed, "If-Match"},
		{"match weak", conditions{ifMatch: "W/" + quoted}, preconditionFailed, "If-Match"},
		{"none match", conditions{ifNoneMatch: quoted}, notModified, "If-None-Match"},
		{"none match weak", conditions{ifNoneMatch: "W/" + quoted}, notModified, "If-None-Match"},
		{"none match any", conditions{ifNoneMatch: "*"}, notModified, "If-None-Match"},
		{"none match another", conditions{ifNoneMatch: other}, proceed, ""},
		{"modified since before", conditions{ifModifiedSince: before}, proceed, ""},
		{"modified since then", conditions{ifModifiedSince: at}, notModified, "If-Modified-Since"},
		{"modified since after", conditions{ifModifiedSince: after}, notModified, "If-Modified-Since"},
		{"modified since nonsense", conditions{ifModifiedSince: "yesterday"}, proceed, ""},
		{"unmodified since before", conditions{ifUnmodifiedSince: before}, preconditionFailed, "If-Unmodified-Since"},
		{"unmodified since then", conditions{ifUnmodifiedSince: at}, proceed, ""},
		{"unmodified since nonsense", conditions{ifUnmodifiedSince: "yesterday"}, proceed, ""},
		// S3's documented precedence: If-Match true and If-Unmodified-Since false is 200; If-None-Match
		// false and If-Modified-Since true is 304.
		{"match beats unmodified", conditions{ifMatch: quoted, ifUnmodifiedSince: before}, proceed, ""},
		{"none match beats modified", conditions{ifNoneMatch: quoted, ifModifiedSince: before}, notModified, "If-None-Match"},
		{"none match of another beats modified", conditions{ifNoneMatch: other, ifModifiedSince: after}, proceed, ""},
		{"412 beats 304", conditions{ifMatch: other, ifNoneMatch: quoted}, preconditionFailed, "If-Match"},
		{"match and none match", conditions{ifMatch: quoted, ifNoneMatch: quoted}, notModified, "If-None-Match"},
	}
	for _, tt := range tests {
		if verdict, blamed := tt.c.evaluate(etag, modified); verdict != tt.verdict || blamed != tt.blamed {
			t.Errorf("%s: %d, %q; want %d, %q", tt.name, verdict, blamed, tt.verdict, tt.blamed)
		}
	}
	for ifRange, want := range map[string]bool{"": true, quoted: true, at: true, other: false, before: false, after: false, "W/" + quoted: false} {
		if got := rangeStillValid(ifRange, etag, modified); got != want {
			t.Errorf("If-Range %q: %v, want %v", ifRange, got, want)
		}
	}
}

func TestBucketNames(t *testing.T) {
	good := []string{
		"abc", "a1b", "123", "my-bucket", "my.bucket", "a-.b", "1.2.3", "1.2.3.4.5", "1.2.3.x",
		"cloudfront-signed-lambd-serverlessdeploymentbucket-qhq0uzwrsr3i", strings.Repeat("a", 63),
	}
	for _, name := range good {
		if !validBucketName(name) {
			t.Errorf("%q was refused", name)
		}
	}
	bad := []string{
		"", "a", "ab", strings.Repeat("a", 64), "My-bucket", "my_bucket", "my bucket", "-bucket", "bucket-", ".bucket",
		"bucket.", "my..bucket", "192.168.5.4", "256.256.256.256", "001.002.003.004", "xn--bucket", "sthree-x", "amzn-s3-demo-x",
		"bucket-s3alias", "bucket--ol-s3", "bucket.mrap", "bucket--x-s3", "bucket--table-s3", "버킷버킷", "a/b", "a\x00b", "a%2fb",
	}
	for _, name := range bad {
		if validBucketName(name) {
			t.Errorf("%q was accepted", name)
		}
	}
}

func TestRegions(t *testing.T) {
	for _, r := range []string{"ap-northeast-2", "us-gov-west-1", "eu-west-1", "me-central-1", "us-iso-east-1"} {
		if !validRegion(r) {
			t.Errorf("%q was refused", r)
		}
	}
	for _, r := range []string{"", "seoul", "us-east", "us-east-", "usa-east-1", "us--1", "US-EAST-1", "us-east-1a", "us-east-1/", strings.Repeat("a", 40)} {
		if validRegion(r) {
			t.Errorf("%q was accepted", r)
		}
	}
}

func TestKeys(t *testing.T) {
	for key, want := range map[string]keyFault{
		"a": keyOK, "../..": keyOK, "a//b": keyOK, "/": keyOK, " ": keyOK, "보고서.pdf": keyOK, "\x01": keyOK,
		strings.Repeat("k", 1024): keyOK, strings.Repeat("k", 1025): keyTooLong,
		strings.Repeat("가", 341): keyOK, strings.Repeat("가", 342): keyTooLong,
		"": keyNotText, "a\x00b": keyNotText, "\xff": keyNotText,
	} {
		if got := checkKey(key); got != want {
			t.Errorf("checkKey(%.20q…) = %d, want %d", key, got, want)
		}
	}
}

func TestEncodeListed(t *testing.T) {
	for in, want := range map[string]string{
		"test_file(3).png": "test_file%283%29.png", // the example of S3's documentation
		"a b+c":            "a+b%2Bc",
		"dir/x~y*z":        "dir/x%7Ey*z",
		"비":                "%EB%B9%84",
		"\x01\n%":          "%01%0A%25",
	} {
		if got := encodeListed(in); got != want {
			t.Errorf("encodeListed(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzEncodeListed(f *testing.F) {
	for _, s := range []string{"a b+c", "비용", "%2F", "\x00\xff", "a/b//c", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		enc := encodeListed(s)
		// botocore decodes with unquote_plus, which is what QueryUnescape does.
		if back, err := url.QueryUnescape(enc); err != nil || back != s {
			t.Fatalf("%q came back as %q, %v", s, back, err)
		}
		for i := range len(enc) {
			if enc[i] < '!' || enc[i] > '~' {
				t.Fatalf("%q has the byte %#x", enc, enc[i])
			}
		}
	})
}

func TestParseCopySource(t *testing.T) {
	for header, want := range map[string]copySource{
		"bucket/key":                   {"bucket", "key", ""},
		"/bucket/key":                  {"bucket", "key", ""},
		"bucket/a/b//c/":               {"bucket", "a/b//c/", ""},
		"bucket//key":                  {"bucket", "/key", ""},
		"bucket/../x":                  {"bucket", "../x", ""},
		"bucket%2Fa%2Fb":               {"bucket", "a/b", ""},
		"%2Fbucket%2Fa":                {"bucket", "a", ""},
		"bucket/a%20b%2Bc":             {"bucket", "a b+c", ""},
		"bucket/a+b":                   {"bucket", "a b", ""},
		"bucket/%EB%B9%84":             {"bucket", "비", ""},
		"bucket/비":                     {"bucket", "비", ""},
		"bucket/key?versionId=null":    {"bucket", "key", "null"},
		"bucket/k%3FversionId%3Dx":     {"bucket", "k?versionId=x", ""},
		"bucket/a?b":                   {"bucket", "a?b", ""},
		"/bucket/key?versionId=ab%2Fc": {"bucket", "key", "ab/c"},
	} {
		if got, err := parseCopySource(header); err != nil || got != want {
			t.Errorf("parseCopySource(%q) = %+v, %v; want %+v", header, got, err, want)
		}
	}
	for header, want := range map[string]error{
		"": errCopySourceForm, "/": errCopySourceForm, "bucket": errCopySourceForm, "bucket/": errCopySourceForm,
		"/bucket/": errCopySourceForm, "//key": errCopySourceForm, "?versionId=x": errCopySourceForm,
		"bucket/%zz": errCopySourceEncoding, "bucket/%2": errCopySourceEncoding, "b/k?versionId=%": errCopySourceEncoding,
	} {
		if got, err := parseCopySource(header); !errors.Is(err, want) {
			t.Errorf("parseCopySource(%q) = %+v, %v; want %v", header, got, err, want)
		}
	}
}

func FuzzParseCopySource(f *testing.F) {
	for _, s := range []string{"b/k", "/b/k?versionId=null", "b%2Fk", "b/a+b", "b/%", "///", "b/k?versionId=a?versionId=b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		src, err := parseCopySource(header)
		if err != nil {
			return
		}
		if src.bucket == "" || src.key == "" || strings.Contains(src.bucket, "/") {
			t.Fatalf("parseCopySource(%q) = %+v", header, src)
		}
		// Written as a client writes it, it names the same object.
		again := "/" + url.QueryEscape(src.bucket) + "/" + url.QueryEscape(src.key)
		if src.version != "" {
			again += "?versionId=" + url.QueryEscape(src.version)
		}
		if back, err := parseCopySource(again); err != nil || back != src {
			t.Fatalf("parseCopySource(%q) = %+v; written %q, read %+v, %v", header, src, again, back, err)
		}
	})
}

func TestTokens(t *testing.T) {
	token := encodeToken("scope", "a/b c")
	if place, err := decodeToken("scope", token); err != nil || place != "a/b c" {
		t.Fatalf("a token came back as %q, %v", place, err)
	}
	bad := []string{"", "x", "AAAA", token + "A", token[1:], token[:len(token)-1], token + "=", " " + token, token + "\n"}
	flipped := []byte(token)
	flipped[len(flipped)-2] ^= 1
	bad = append(bad, string(flipped))
	for _, b := range bad {
		if place, err := decodeToken("scope", b); !errors.Is(err, errToken) {
			t.Errorf("decodeToken(%q) = %q, %v; want a refusal", b, place, err)
		}
	}
	if _, err := decodeToken("another bucket", token); !errors.Is(err, errToken) {
		t.Errorf("a token of another bucket was taken: %v", err)
	}
}

func FuzzTokens(f *testing.F) {
	f.Add("scope", "place", encodeToken("scope", "place"))
	f.Add("", "", "AQ")
	f.Add("s", "비", "////")
	f.Fuzz(func(t *testing.T, scope, place, token string) {
		if back, err := decodeToken(scope, encodeToken(scope, place)); err != nil || back != place {
			t.Fatalf("%q in %q came back as %q, %v", place, scope, back, err)
		}
		if p, err := decodeToken(scope, token); err == nil && encodeToken(scope, p) != token {
			t.Fatalf("the token %q of %q is read as %q, which is written %q", token, scope, p, encodeToken(scope, p))
		}
	})
}

func TestParseTags(t *testing.T) {
	got, err := parseTags("a=1&b+c=%EB%B9%84%20x&empty=&bare&k=a%3Db")
	if err != nil || len(got) != 5 || got["a"] != "1" || got["b c"] != "비 x" || got["empty"] != "" || got["bare"] != "" || got["k"] != "a=b" {
		t.Fatalf("parseTags = %v, %v", got, err)
	}
	long := strings.Repeat("x", 129)
	for header, want := range map[string]error{
		"a=1&a=2":                   errTagEncoding,
		"a=%zz":                     errTagEncoding,
		"%=1":                       errTagEncoding,
		"a=%ff":                     errTagEncoding,
		"=1":                        errTagKey,
		long + "=1":                 errTagKey,
		"a%21=1":                    errTagKey,
		"a=" + long + long:          errTagValue,
		"a=%3C":                     errTagValue,
		"aws:x=1":                   errTagSystem,
		"AWS:x=1":                   errTagSystem,
		"a&b&c&d&e&f&g&h&i&j&k=one": errTagCount,
	} {
		if got, err := parseTags(header); !errors.Is(err, want) {
			t.Errorf("parseTags(%.40q) = %v, %v; want %v", header, got, err, want)
		}
	}
}

func FuzzParseTags(f *testing.F) {
	for _, s := range []string{"a=1&b=2", "a", "%", "a=%EB%B9%84", "&&", "a=1&a=1", "aws:a=1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		tags, err := parseTags(header)
		if err != nil {
			return
		}
		again := url.Values{}
		for k, v := range tags {
			if k == "" || !utf8.ValidString(k+v) || utf8.RuneCountInString(k) > maxTagKey || utf8.RuneCountInString(v) > maxTagValue {
				t.Fatalf("parseTags(%q) took %q=%q", header, k, v)
			}
			again.Set(k, v)
		}
		back, err := parseTags(again.Encode())
		if err != nil || len(back) != len(tags) || len(tags) > maxTags {
			t.Fatalf("parseTags(%q) = %v, read again %v, %v", header, tags, back, err)
		}
	})
}

func TestWithoutChunked(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "gzip": "gzip", "gzip,  br": "gzip,  br", "aws-chunked": "", "aws-chunked,gzip": "gzip", "gzip, aws-chunked": "gzip",
		"AWS-Chunked , gzip , br": "gzip,br", "aws-chunked,": "",
	} {
		if got := withoutChunked(in); got != want {
			t.Errorf("withoutChunked(%q) = %q, want %q", in, got, want)
		}
	}
}
