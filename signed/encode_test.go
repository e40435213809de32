package signed

import (
	"bytes"
	"encoding/base64"
	"errors"
	"net/url"
	"strings"
	"testing"
)

func TestText(t *testing.T) {
	for plain, text := range map[string]string{
		"":             "",
		"a":            "YQ__",
		"ab":           "YWI_",
		"abc":          "YWJj",
		"\xfb\xff\xfe": "-~~-",
		"\xff":         "~w__",
	} {
		if got := EncodeText([]byte(plain)); got != text {
			t.Errorf("EncodeText(%q) = %q, want %q", plain, got, text)
		}
		if got, err := DecodeText(text); err != nil || string(got) != plain {
			t.Errorf("DecodeText(%q) = %q, %v", text, got, err)
		}
	}
}

func TestTextRefused(t *testing.T) {
	for _, c := range []struct {
		text         string
		offset       int
		reason, hint string
	}{
		{"YQ==", 2, "'='", "standard base64"},
		{"-+//", 1, "'+'", "standard base64"},
		{"~/AA", 1, "'/'", "standard base64"},
		{"YW_j", 2, "underscore", "base64url"},
		{"YQ", 2, "groups of four", "padding is missing"},
		{"YWI", 3, "groups of four", "padding is missing"},
		{"Y", 1, "groups of four", "cut short"},
		{"YWJjY", 5, "groups of four", "cut short"},
		{"YQ_", 3, "groups of four", "cut short"},
		{"YQ___", 2, "padding", ""},
		{"____", 0, "padding", ""},
		{"YR__", 1, "zero", ""}, // not the canonical encoding
		{"YW J", 2, "white space", "openssl base64 -A"},
		{"YWJj\n", 4, "white space", "openssl base64 -A"},
		{"YWJj\r\nYWJj", 4, "white space", ""},
		{" YWJj", 0, "white space", ""},
		{"YWJ%6A", 3, "'%'", "percent"},
		{"YWJé", 3, "alphabet", ""},
		{"YQ__YQ__", 2, "underscore", ""},
	} {
		_, err := DecodeText(c.text)
		var e *EncodingError
		if !errors.As(err, &e) {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		if e.Offset != c.offset || !strings.Contains(e.Reason, c.reason) || !strings.Contains(e.Hint, c.hint) {
			t.Errorf("%q: at %d %q (%q), want at %d %q (%q)", c.text, e.Offset, e.Reason, e.Hint, c.offset, c.reason, c.hint)
		}
	}
}

// FuzzText: what decodes, encodes to the same text, and means what standard base64 means after the
// replacement of characters that AWS's page gives as a table.
func FuzzText(f *testing.F) {
	f.Add("YQ__")
	f.Add("YWJj-~~-")
	f.Add("YQ==")
	f.Add("YR__\n")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := DecodeText(text)
		standard, foreign := strings.NewReplacer("-", "+", "_", "=", "~", "/").Replace(text), strings.ContainsAny(text, "+=/\r\n")
		want, wantErr := base64.StdEncoding.Strict().DecodeString(standard)
		if (err == nil) != (wantErr == nil && !foreign) {
			t.Fatalf("DecodeText(%q): %v, reference %v", text, err, wantErr)
		}
		if err == nil && (!bytes.Equal(got, want) || EncodeText(got) != text) {
			t.Fatalf("DecodeText(%q) = %q", text, got)
		}
		var e *EncodingError
		if err != nil && (!errors.As(err, &e) || e.Offset < 0 || e.Offset > len(text)) {
			t.Fatalf("DecodeText(%q): %#v", text, err)
		}
	})
}

func TestEncodePath(t *testing.T) {
	const nfc, nfd = "한글", "\u1112\u1161\u11ab\u1100\u1173\u11af"
	for key, want := range map[string]string{
		"":                    "/",
		"report.pdf":          "/report.pdf",
		"a/b//c/":             "/a/b//c/",
		"/a":                  "//a",
		"a b":                 "/a%20b",
		"a+b":                 "/a%2Bb",
		"100%":                "/100%25",
		"a%20b":               "/a%2520b",
		"why?":                "/why%3F",
		"a#b":                 "/a%23b",
		"it's":                "/it%27s",
		"a&b=c;d":             "/a%26b%3Dc%3Bd",
		"a*b":                 "/a%2Ab",
		"-._~":                "/-._~",
		"!()@:$,":             "/%21%28%29%40%3A%24%2C",
		"\"<>\\^`{|}":         "/%22%3C%3E%5C%5E%60%7B%7C%7D",
		"a\tb\nc\x7f":         "/a%09b%0Ac%7F",
		nfc:                   "/%ED%95%9C%EA%B8%80",
		nfd:                   "/%E1%84%92%E1%85%A1%E1%86%AB%E1%84%80%E1%85%B3%E1%86%AF",
		"보고서 2031+5.pdf":      "/%EB%B3%B4%EA%B3%A0%EC%84%9C%202031%2B5.pdf",
		"\xff\xfe":            "/%FF%FE",
		"😀":                   "/%F0%9F%98%80",
		"0123456789abcXYZ.a-": "/0123456789abcXYZ.a-",
	} {
		if got := EncodePath(key); got != want {
			t.Errorf("EncodePath(%q) = %q, want %q", key, got, want)
		}
	}
	if EncodePath(nfc) == EncodePath(nfd) {
		t.Error("composed and decomposed letters became one path")
	}
	if got, want := EncodeQueryValue(`attachment; filename*=UTF-8''a b/보.pdf`), "attachment%3B%20filename%2A%3DUTF-8%27%27a%20b%2F%EB%B3%B4.pdf"; got != want {
		t.Errorf("EncodeQueryValue: %q, want %q", got, want)
	}
}

// FuzzEncodePath: the path decodes to the key by two decoders, no URL parser changes it, and it can be
// signed as a literal unless it has dot segments.
func FuzzEncodePath(f *testing.F) {
	f.Add("a b+c%d?e#f'g&h*i/한글/../x")
	f.Add("//\x00\xff")
	f.Fuzz(func(t *testing.T, key string) {
		path := EncodePath(key)
		if plain, ok := unescape(path); !ok || plain != "/"+key {
			t.Fatalf("%q decodes to %q", path, plain)
		}
		if plain, err := url.PathUnescape(path); err != nil || plain != "/"+key {
			t.Fatalf("%q decodes to %q, %v", path, plain, err)
		}
		full := "https://d111.cloudfront.net" + path
		if u, err := url.Parse(full); err != nil || u.String() != full || u.EscapedPath() != path {
			t.Fatalf("net/url changes %q to %v, %v", full, u, err)
		}
		dots := false
		for _, s := range strings.Split(key, "/") {
			dots = dots || s == "." || s == ".."
		}
		if err := CheckLiteral(full); (err != nil) != dots {
			t.Fatalf("CheckLiteral(%q): %v", full, err)
		}
	})
}

func TestUnescape(t *testing.T) {
	for in, want := range map[string]string{"": "", "a+b": "a+b", "%41%7e": "A~", "%2B": "+"} {
		if got, ok := unescape(in); !ok || got != want {
			t.Errorf("unescape(%q) = %q, %v", in, got, ok)
		}
	}
	for _, bad := range []string{"%", "%4", "%4g", "%g4", "a%", "%%41"} {
		if _, ok := unescape(bad); ok {
			t.Errorf("unescape(%q) accepted", bad)
		}
	}
}
