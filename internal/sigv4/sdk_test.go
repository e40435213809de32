package sigv4_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"postern/internal/sigv4"
)

// awkwardPaths are encoded as the SDK's clients encode keys; its bare signer takes S3's paths as they are,
// where S3 (and we) encode what was left plain.
var awkwardPaths = []string{"/", "/bucket", "/bucket/", "/bucket/a%20b", "/bucket/a%2Bb", "/bucket//a//b/", "/bucket/%EB%B9%84%EC%9A%A9.pdf",
	"/bucket/a%2Fb", "/bucket/~%21%2A%27%28%29", "/bucket/a%3Db%26c%40d%3Ae%2Cf%24g", "/bucket/100%25", "/bucket/a/../b", "/2020-05-31/public-key/K1"}

var awkwardQueries = []string{"", "acl", "acl=", "b=2&a=1", "a=2&a=1&a", "k=1&k-x=2&k.y=3&k0=4", "prefix=a%20b&delimiter=%2F", "a=b+c&d=e%2Bf", "k=%C3%BC~!*'()",
	"list-type=2&prefix=&encoding-type=url", "x=%3D%26"}

// aws-sdk-go-v2's signer is the counterpart, both ways: what it signs verifies here, and what is signed
// here is what it signs.
func TestSDKSigner(t *testing.T) {
	signer := v4.NewSigner()
	ctx := context.Background()
	keys := aws.Credentials{AccessKeyID: docsKey.AccessKeyID, SecretAccessKey: string(docsKey.Secret), SessionToken: "token+/="}
	own := docsKey
	own.SessionToken = keys.SessionToken
	for _, service := range []string{"s3", "cloudfront"} {
		s3 := service == "s3"
		options := func(o *v4.SignerOptions) { o.DisableURIPathEscaping = s3 }
		rules := func(r *sigv4.Rules) { r.Service, r.S3 = service, s3 }
		for _, path := range awkwardPaths {
			if !s3 && (strings.Contains(path, "//") || strings.Contains(path, "..")) {
				continue // the SDK does not normalise; AWS's own suite, which does, is held in vectors_test.go
			}
			for _, query := range awkwardQueries {
				name := service + " " + path + "?" + query
				build := func() *http.Request {
					r, err := http.NewRequest("GET", "http://s3.example.com:8080"+path+"?"+query, nil)
					if err != nil {
						t.Fatal(err)
					}
					r.Header.Set("X-Amz-Meta-A", " a   b ")
					r.Header.Set("Range", "bytes=0-1")
					r.Header.Set("User-Agent", "nobody signs this")
					return r
				}
				receive := func(r *http.Request) *http.Request {
					in := httptest.NewRequest(r.Method, r.URL.String(), nil)
					in.RequestURI, in.Header, in.Host = r.URL.RequestURI(), r.Header.Clone(), r.URL.Host
					return in
				}
				theirs := build()
				if s3 {
					theirs.Header.Set("X-Amz-Content-Sha256", sigv4.EmptyPayload)
				}
				if err := signer.SignHTTP(ctx, keys, theirs, sigv4.EmptyPayload, service, "us-east-1", docsTime, options); err != nil {
					t.Fatal(err)
				}
				if err := verify(receive(theirs), docsKey, docsTime, rules); err != nil {
					t.Errorf("%s: theirs does not verify: %v", name, err)
				}
				ours := build()
				if err := sigv4.Sign(ours, own, "us-east-1", service, sigv4.EmptyPayload, docsTime); err != nil {
					t.Fatal(err)
				}
				if a, b := ours.Header.Get("Authorization"), theirs.Header.Get("Authorization"); a != b {
					t.Errorf("%s: signed as\n%s, not as\n%s", name, a, b)
				}
				if err := verify(receive(ours), docsKey, docsTime, rules); err != nil {
					t.Errorf("%s: ours does not verify: %v", name, err)
				}
				// Presigned. The SDK's link has the query that it signed.
				theirs = build()
				q := theirs.URL.Query()
				q.Set("X-Amz-Expires", "600")
				theirs.URL.RawQuery = q.Encode()
				hash := sigv4.EmptyPayload
				if s3 {
					hash = sigv4.UnsignedPayload
				}
				link, header, err := signer.PresignHTTP(ctx, keys, theirs, hash, service, "us-east-1", docsTime, options)
				if err != nil {
					t.Fatal(err)
				}
				for _, l := range []string{link, presigned(t, build(), own, service)} {
					u, err := url.Parse(l)
					if err != nil {
						t.Fatal(err)
					}
					in := httptest.NewRequest("GET", l, nil)
					in.RequestURI, in.Header = u.RequestURI(), header.Clone()
					in.Header.Del("Host")
					if l != link {
						in.Header = build().Header
					}
					if err := verify(in, docsKey, docsTime.Add(10*time.Minute), rules); err != nil {
						t.Errorf("%s: the link does not verify: %v\n%s", name, err, l)
					}
				}
			}
		}
	}
}

func presigned(t *testing.T, r *http.Request, key sigv4.Credentials, service string) string {
	t.Helper()
	r.Header.Del("User-Agent")
	link, err := sigv4.Presign(r, key, "us-east-1", service, 10*time.Minute, docsTime)
	if err != nil {
		t.Fatal(err)
	}
	return link
}

// FuzzParse: no header and no query makes Parse or Verify fall over, and none passes with another key.
func FuzzParse(f *testing.F) {
	r := request("GET", "/bucket/key", nil)
	if err := sigv4.Sign(r, docsKey, "us-east-1", "s3", sigv4.EmptyPayload, docsTime); err != nil {
		f.Fatal(err)
	}
	f.Add(r.Header.Get("Authorization"), "/bucket/key", stamp, "")
	f.Add("AWS4-HMAC-SHA256 Credential=a/20130524/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=", "*", stamp, "x-amz-date")
	f.Add("", "/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=A%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=aeee", "", "")
	f.Add("", "/k?AWSAccessKeyId=A&Signature=aaaa&Expires=9999999999", "", "")
	f.Add("", "http://host/k?%zz&&=&a", "", "")
	f.Fuzz(func(t *testing.T, authorization, target, date, token string) {
		r := request("GET", "/", nil)
		r.RequestURI = target
		r.Header["Authorization"], r.Header["X-Amz-Date"], r.Header["X-Amz-Security-Token"] = []string{authorization}, []string{date}, []string{token}
		r.Header.Set("X-Amz-Content-Sha256", sigv4.EmptyPayload)
		a, err := sigv4.Parse(r)
		if err != nil {
			return
		}
		if _, err := a.Verify(r, []byte("nobody knows this"), sigv4.Rules{Service: a.Service, S3: true, Now: docsTime}); err == nil {
			t.Fatalf("%q %q verifies", authorization, target)
		}
	})
}

// FuzzQuery: a query's pairs, encoded as they are signed, are the same pairs; and a path's bytes survive.
func FuzzQuery(f *testing.F) {
	for _, q := range awkwardQueries {
		f.Add(q)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		pairs, err := sigv4.ParseQuery(raw)
		if err != nil {
			return
		}
		r, _ := http.NewRequest("GET", "http://h/", nil)
		r.URL.RawQuery = raw
		link, err := sigv4.Presign(r, docsKey, "us-east-1", "s3", time.Minute, docsTime)
		if err != nil {
			t.Fatal(err)
		}
		_, query, _ := strings.Cut(link, "?")
		again, err := sigv4.ParseQuery(query)
		if err != nil || !slices.Equal(again[:len(pairs)], pairs) {
			t.Fatalf("%q became %q: %v", raw, query, err)
		}
		// Reordered and encoded otherwise, the request is the same.
		rand.Shuffle(len(again), func(i, j int) { again[i], again[j] = again[j], again[i] })
		var b strings.Builder
		b.WriteString("/?")
		for _, p := range again {
			fmt.Fprintf(&b, "%s=%s&", everyByte(p.Key), everyByte(p.Value))
		}
		in := httptest.NewRequest("GET", "/", nil)
		in.Host, in.RequestURI = "h", b.String()
		signedTwice := slices.ContainsFunc(pairs, func(p sigv4.Pair) bool {
			return strings.HasPrefix(strings.ToLower(p.Key), "x-amz-") || p.Key == "AWSAccessKeyId" || p.Key == "Signature"
		})
		if err := verify(in, docsKey, docsTime); err != nil && !signedTwice {
			t.Fatalf("%q does not verify as %q: %v", raw, in.RequestURI, err)
		}
	})
}

// everyByte percent-encodes even what need not be.
func everyByte(s string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, "%%%02x", s[i])
	}
	return b.String()
}
