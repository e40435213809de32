package edge

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"postern/internal/cloudfront/document"
	"postern/internal/edge/gate"
	"postern/internal/edge/origin"
	"postern/internal/policy"
	"postern/signed"
)

// witness is an S3 engine that remembers the key it was asked for.
type witness struct{ keys []string }

func (b *witness) Get(_ context.Context, _ policy.Caller, _, key string, _ origin.GetOptions) (*origin.Object, error) {
	b.keys = append(b.keys, key)
	return &origin.Object{Status: 200, Header: http.Header{"Content-Length": {"2"}}, Body: io.NopCloser(strings.NewReader("ok"))}, nil
}

// propertyEdge: /public/* is open, everything else asks for a signature, all of it from one bucket.
func propertyEdge(t testing.TB, b origin.Buckets, now time.Time) (*Edge, *signed.Signer) {
	t.Helper()
	in := plainInput(t)
	key, pem := newKey(t)
	in.PublicKeys[keyID] = document.PublicKey{PublicKeyConfig: document.PublicKeyConfig{EncodedKey: pem}}
	in.Distributions[0].DistributionConfig.CacheBehaviors.Items = []document.CacheBehavior{
		{PathPattern: "/public/*", DefaultCacheBehavior: behaviourOf("bucket", nil)},
	}
	e, err := New(Options{Buckets: b, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	c, err := Compile(in)
	if err != nil {
		t.Fatal(err)
	}
	e.Swap(c)
	return e, &signed.Signer{KeyPairID: keyID, Key: key, Hash: signed.SHA256}
}

func ask(e *Edge, target, h string) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	e.ServeHTTP(rec, &http.Request{
		Method: "GET", RequestURI: target, Host: h, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{}, Body: http.NoBody, RemoteAddr: "192.0.2.1:4711",
	})
	return rec
}

// FuzzAuthorisedPathIsOriginPath: for every raw target, the bytes that the behaviour was chosen by, that the
// signature was verified over and that the origin is asked for are the same. What reaches the bucket without
// a signature lies under /public/, in every reading of it; what reaches it with one has exactly the path
// that was signed.
func FuzzAuthorisedPathIsOriginPath(f *testing.F) {
	for _, s := range []string{
		"/public/logo", "/report.pdf", "/public/../report.pdf", "/public/%2e%2e/report.pdf", "//public/a", "/public%2Fa", "/%70ublic/a",
		`/public\..\a`, "/public/..;/a", "/public/%252e%252e/a", "/public/a?/../../x", "/a;b/c", "/a//b", "/%ff", "/?q",
		"http://" + host + "/public/a", "/public/%c0%ae%c0%ae/a", "/public/a%00", "*", "/public/./a", "/public//a",
	} {
		f.Add(s)
	}
	now := time.Unix(1_800_000_000, 0)
	b := &witness{}
	e, signer := propertyEdge(f, b, now)
	f.Fuzz(func(t *testing.T, uri string) {
		raw := strings.TrimPrefix(uri, "http://"+host)
		path, query, mark := strings.Cut(raw, "?")

		b.keys = nil
		rec := ask(e, uri, host)
		if len(b.keys) > 1 {
			t.Fatalf("%q: the bucket was asked %d times", uri, len(b.keys))
		}
		if len(b.keys) == 1 {
			if rec.Code != 200 || !strings.HasPrefix(path, "/public/") {
				t.Fatalf("%q reached the bucket unsigned as %q", uri, b.keys[0])
			}
			same(t, path, b.keys[0])
			// No origin may read it as a path outside /public/.
			for _, form := range []string{decodeAll(b.keys[0]), b.keys[0]} {
				u := url.URL{Path: "/" + strings.ReplaceAll(form, `\`, "/")}
				if clean := (&url.URL{}).ResolveReference(&u).Path; !strings.HasPrefix(clean, "/public/") && clean != "/public" {
					t.Fatalf("%q reached the bucket unsigned, and may be read as %q", uri, clean)
				}
			}
		} else if rec.Code == 200 {
			t.Fatalf("%q: 200 from nowhere", uri)
		}

		// The same target, signed as it travels.
		if !strings.HasPrefix(raw, "/") || len(raw) > gate.MaxURL/2 {
			return
		}
		policy, err := signed.CannedPolicy("http://"+host+signedPart(path, query, mark), now.Add(time.Minute))
		if err != nil {
			return
		}
		sig, err := signer.SignPolicy(policy)
		if err != nil {
			t.Fatal(err)
		}
		separator := "?"
		if mark {
			separator = "&"
		}
		params := separator + "Expires=1800000060&Key-Pair-Id=" + keyID + "&Hash-Algorithm=SHA256&Signature=" + signed.EncodeText(sig)
		b.keys = nil
		if rec = ask(e, raw+params, host); len(b.keys) == 1 {
			same(t, path, b.keys[0])
			// The signature is about these bytes: other bytes for the same object are refused.
			if other := "/%" + encodeFirst(path[1:]) + params; len(path) > 1 && path[1] != '%' && !strings.HasPrefix(path, "/public/") {
				b.keys = nil
				if rec := ask(e, other, host); rec.Code == 200 {
					t.Fatalf("the signature of %q opens %q", path, other)
				}
			}
		} else if rec.Code == 200 {
			t.Fatalf("%q signed: 200 from nowhere", uri)
		}
	})
}

// encodeFirst percent-encodes the first byte of s and leaves the rest.
func encodeFirst(s string) string {
	if s == "" {
		return s
	}
	const digits = "0123456789ABCDEF"
	return string([]byte{digits[s[0]>>4], digits[s[0]&15]}) + s[1:]
}

// signedPart is the target without CloudFront's own parameters, as a signer would sign it.
func signedPart(path, query string, mark bool) string {
	if rest := signed.StripQuery(query); mark && rest != "" {
		return path + "?" + rest
	}
	return path
}

// same holds a key to the raw path, percent-decoded exactly once.
func same(t *testing.T, path, key string) {
	t.Helper()
	want, err := url.PathUnescape(strings.TrimPrefix(path, "/"))
	if err != nil || key != want {
		t.Fatalf("%q was authorised, %q was fetched", path, key)
	}
}

// decodeAll removes percent-encoding until there is none that can be removed.
func decodeAll(s string) string {
	for {
		next, err := url.PathUnescape(s)
		if err != nil || next == s {
			return s
		}
		s = next
	}
}
