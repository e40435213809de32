package links

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"postern/signed"
)

func TestEncodeOnce(t *testing.T) {
	for in, want := range map[string]string{
		"https://h/a b":           "https://h/a%20b",
		"https://h/한":             "https://h/%ED%95%9C",
		"https://h/a%20b":         "https://h/a%20b",
		"https://h/a+b'c":         "https://h/a+b'c",
		"https://h/a?n=O'Neil's":  "https://h/a?n=O%27Neil%27s",
		"https://h?x=y z":         "https://h?x=y%20z",
		"https://h/<\"\\^`{|}>":   "https://h/%3C%22%5C%5E%60%7B%7C%7D%3E",
		"https://h/a*b?c?d#e":     "https://h/a*b?c?d#e",
		"https://한.example/a":     "https://한.example/a",
		"https://h":               "https://h",
		"/a b":                    "/a%20b",
		"https://h/\xff\x00\x7f":  "https://h/%FF%00%7F",
		"https://h/100%":          "https://h/100%",
		"https://h/a;b=c,d:e@f!$": "https://h/a;b=c,d:e@f!$",
	} {
		if got := encodeOnce(in); got != want {
			t.Errorf("encodeOnce(%q) = %q, want %q", in, got, want)
		}
	}
}

// FuzzEncodeOnce: once is once, what comes out travels, and it means what went in.
func FuzzEncodeOnce(f *testing.F) {
	for _, s := range []string{"https://h/a b", "https://h/한?q='", "https://h/%20%zz", "", "h", "://", "http://h?'"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		once := encodeOnce(raw)
		if twice := encodeOnce(once); twice != once {
			t.Errorf("%q, then %q", once, twice)
		}
		if i := strings.Index(raw, "://"); i >= 0 {
			raw, once = raw[i+3:], once[i+3:]
		}
		i, j := strings.IndexAny(raw, "/?"), strings.IndexAny(once, "/?")
		if i != j {
			t.Fatal("the host changed")
		}
		if i < 0 {
			return
		}
		for _, c := range []byte(once[j:]) {
			if c <= ' ' || c >= 0x7f {
				t.Errorf("%q holds %q", once, c)
			}
		}
		before, err := url.PathUnescape(raw[i:])
		after, err2 := url.PathUnescape(once[j:])
		if err == nil && (err2 != nil || before != after) {
			t.Errorf("%q means %q, and %q means %q", raw, before, once, after)
		}
	})
}

func TestTravelled(t *testing.T) {
	for in, want := range map[string]string{
		"https://h/a":                  "https://h/a",
		"HTTPS://CDN.Example.com:443":  "https://cdn.example.com/",
		"http://H:80/A?B=C#frag":       "http://h/A?B=C",
		"http://h:8080/a":              "http://h:8080/a",
		"https://h:80/a":               "https://h:80/a",
		"https://h?x":                  "https://h/?x",
		"http://[::1]:80/a":            "http://[::1]/a",
		"https://h/a%2fb/../c?x=a%20b": "https://h/a%2fb/../c?x=a%20b",
	} {
		if got, err := travelled(in); err != nil || got != want {
			t.Errorf("travelled(%q) = %q, %v, want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"", "h/a", "ftp://h/a", "https:///a", "//h/a", "https://u:p@h/a", "file:///etc/passwd"} {
		if got, err := travelled(in); err == nil {
			t.Errorf("travelled(%q) = %q", in, got)
		}
	}
}

func FuzzTravelled(f *testing.F) {
	for _, s := range []string{"https://h/a", "HTTP://H:80?x#y", "http://[::1]:80", "://", "http://"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		once, err := travelled(raw)
		if err != nil {
			return
		}
		if twice, err := travelled(once); err != nil || twice != once {
			t.Errorf("%q, then %q, %v", once, twice, err)
		}
	})
}

// TestExample: the URL that a pattern is checked with is one that it covers.
func TestExample(t *testing.T) {
	for _, pattern := range []string{
		"https://cdn.example.com/v/*", "http*://cdn.example.com/*", "*", "*.example.com/*", "*example.com", "https://*",
		"https://cdn.example.com/v/*.ts", "https://cdn.example.com/a?x=*", "*://cdn.example.com/a", "https://*.example.com/v/*",
	} {
		if u := example(pattern); !(signed.Policy{Resource: pattern}).Covers(u) {
			t.Errorf("%q does not cover %q", pattern, u)
		}
	}
}

// TestParseAWSDate holds what AWS CLI 1.45.11 makes of the same text; awscli_e2e_test.go asks it anew.
func TestParseAWSDate(t *testing.T) {
	for text, want := range map[string]int64{
		"2027-01-02": 1798848000, "2027-1-2": 1798848000, "2027/01/02": 1798848000,
		"2027-01-02T03:04:05": 1798859045, "2027-01-02T03:04:05Z": 1798859045, "2027-01-02T03:04": 1798859040,
		"2027-01-02T03:04:05+09:00": 1798826645, "2027-01-02T03:04:05-0800": 1798887845, "2027-01-02 03:04:05": 1798859045,
		"2027-01-02T03:04:05.678Z": 1798859045, "20270102T030405Z": 1798859045, "Mon, 02 Jan 2027 03:04:05 GMT": 1798859045,
		"1800000000": 1800000000, "1800000000.9": 1800000000, "1e9": 1000000000, "-5": -5, "1_000": 1000,
		"  1800000000  ": 1800000000, "20270102": 20270102, "253402300799": 253402300799,
	} {
		if got, _, err := parseAWSDate("--date", text); err != nil || got != want {
			t.Errorf("%q is %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "+1d", "tomorrow", "2027-13-01", "2027-02-30", "2027-01-02T24:00:00", "253402300800", "1800000000000",
		"inf", "nan", "0x10", "9223372036854775807", "2027-W01", "1__0", "_1", "1e400", "-1e12",
	} {
		if got, _, err := parseAWSDate("--date", text); err == nil {
			t.Errorf("%q is %d", text, got)
		}
	}
	for text, want := range map[string]string{
		"2027-01-02": "00:00 UTC", "20270102": "epoch in seconds", "2027-01-02T03:04:05": "", "1800000000": "",
	} {
		_, traps, err := parseAWSDate("--date", text)
		if err != nil || (want == "") != (len(traps) == 0) || want != "" && !strings.Contains(traps[0], want) {
			t.Errorf("%q: traps %q, %v", text, traps, err)
		}
	}
}

func FuzzParseAWSDate(f *testing.F) {
	for _, s := range []string{"2027-01-02", "1800000000", "2027-01-02T03:04:05+09:00", "1e9", "nan", "1_0", "20270102"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		epoch, _, err := parseAWSDate("--date", text)
		if err != nil {
			return
		}
		// What was read can be written in the one form that needs no reading.
		if again, _, err := parseAWSDate("--date", time.Unix(epoch, 0).UTC().Format("2006-01-02T15:04:05Z")); epoch >= 0 && (err != nil || again != epoch) {
			t.Errorf("%q is %d, and then %d, %v", text, epoch, again, err)
		}
	})
}

func TestPythonJSON(t *testing.T) {
	for in, want := range map[string]string{
		"https://h/a?b&c": `"https://h/a?b&c"`, `"\`: `"\"\\"`, "\b\f\n\r\t\x00\x7f": `"\b\f\n\r\t\u0000\u007f"`,
		"é한😀<>": `"\u00e9\ud55c\ud83d\ude00<>"`, "\u2028": `"\u2028"`,
	} {
		if got := pythonJSON(in); got != want {
			t.Errorf("pythonJSON(%q) = %s, want %s", in, got, want)
		}
	}
}

// FuzzPythonJSON: it is JSON, in ASCII, of the same text.
func FuzzPythonJSON(f *testing.F) {
	for _, s := range []string{"", `"\`, "é한😀", "\x7f\u2028"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !utf8.ValidString(s) {
			return
		}
		text := pythonJSON(s)
		var back string
		if err := json.Unmarshal([]byte(text), &back); err != nil || back != s {
			t.Errorf("%q becomes %s becomes %q, %v", s, text, back, err)
		}
		for _, c := range []byte(text) {
			if c < ' ' || c > '~' {
				t.Errorf("%q is not ASCII", text)
			}
		}
	})
}

// TestAWSPolicy: the texts botocore's own tests expect (boto/botocore tests/unit/test_signers.py,
// condition order DateLessThan, IpAddress, DateGreaterThan).
func TestAWSPolicy(t *testing.T) {
	p := awsPolicy{resource: "foo", end: 1451606400}
	if got, want := p.encode(), `{"Statement":[{"Resource":"foo","Condition":{"DateLessThan":{"AWS:EpochTime":1451606400}}}]}`; got != want {
		t.Errorf("canned: %s", got)
	}
	p = awsPolicy{resource: "foo", end: 1451606400, start: 1448928000, hasStart: true, ip: "12.34.56.78/9"}
	if got, want := p.encode(), `{"Statement":[{"Resource":"foo","Condition":{"DateLessThan":{"AWS:EpochTime":1451606400},"IpAddress":{"AWS:SourceIp":"12.34.56.78/9"},"DateGreaterThan":{"AWS:EpochTime":1448928000}}}]}`; got != want {
		t.Errorf("custom: %s", got)
	}
}

func TestCheckKeyPairID(t *testing.T) {
	for _, id := range []string{"K2JCJMDEHXQW5F", "APKAEIBAERJR2EXAMPLE"} {
		if err := checkKeyPairID(id); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
	for _, id := range []string{"", "K1&x=", "K 1", "-----BEGIN PUBLIC KEY-----", "К1"} {
		if checkKeyPairID(id) == nil {
			t.Errorf("%q accepted", id)
		}
	}
}

func TestParseSource(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.7": "192.0.2.7/32", "192.0.2.77/24": "192.0.2.0/24", "0.0.0.0/0": "0.0.0.0/0",
	} {
		if got, err := parseSource(in); err != nil || got.String() != want {
			t.Errorf("%s is %v, %v, want %s", in, got, err, want)
		}
	}
	for _, in := range []string{"", "::1", "::ffff:192.0.2.1", "192.0.2.0/33", "192.0.2", "here", "192.0.2.1,192.0.2.2"} {
		if got, err := parseSource(in); err == nil {
			t.Errorf("%q is %v", in, got)
		}
	}
}

// TestCookieValue: header lines of either side, and bare values.
func TestCookieValue(t *testing.T) {
	for in, want := range map[string]string{
		"a=b; c=d": "a=b; c=d", "Cookie: a=b; c=d": "a=b; c=d", "cookie:a=b": "a=b",
		"Set-Cookie: a=b; Path=/; Secure\n": "a=b", " SET-COOKIE: a=b ": "a=b", "x: y": "x: y", "": "",
	} {
		if got := cookieValue(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// TestBackslash: what zsh makes of a pasted link is named as such.
func TestBackslash(t *testing.T) {
	if _, err := travelled(`https://cdn.example.com/a\?Expires\=1\&Signature=x`); err == nil || !strings.Contains(err.Error(), "backslash") {
		t.Errorf("got %v", err)
	}
}
