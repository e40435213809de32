package sigv4_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"postern/internal/sigv4"
)

const stamp = "20130524T000000Z"

// request is a request as a server has it.
func request(method, target string, header map[string]string) *http.Request {
	r := httptest.NewRequest(method, target, nil)
	r.Host = "s3.example.com"
	for name, value := range header {
		r.Header.Set(name, value)
	}
	return r
}

// received turns a request that was signed to be sent into one that was received.
func received(t *testing.T, link string) *http.Request {
	t.Helper()
	u, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("GET", link, nil)
	r.RequestURI = u.RequestURI()
	return r
}

func verify(r *http.Request, key sigv4.Credentials, now time.Time, edit ...func(*sigv4.Rules)) error {
	a, err := sigv4.Parse(r)
	if err != nil {
		return err
	}
	if a.AccessKeyID != key.AccessKeyID {
		return fmt.Errorf("the access key id is %q", a.AccessKeyID)
	}
	rules := sigv4.Rules{Region: "us-east-1", Service: "s3", S3: true, Now: now}
	for _, e := range edit {
		e(&rules)
	}
	_, err = a.Verify(r, key.Secret, rules)
	return err
}

func hashOf(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// wantError holds a refusal's status and code, and a part of its message.
func wantError(t *testing.T, name string, err error, status int, code, part string) {
	t.Helper()
	e, ok := errors.AsType[*sigv4.Error](err)
	if !ok || e.Status != status || e.Code != code || !strings.Contains(e.Message, part) {
		t.Errorf("%s: %v (%+v), want %d %s: %s", name, err, e, status, code, part)
	}
}

func set(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func replaceAuth(old, new string) func(*http.Request) {
	return func(r *http.Request) {
		r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), old, new, 1))
	}
}

// The refusals of S3, in its words.
func TestHeaderRefusals(t *testing.T) {
	const malformed = "AuthorizationHeaderMalformed"
	mismatch := "The request signature we calculated does not match"
	resign := func(r *http.Request) {
		if err := sigv4.Sign(r, docsKey, "us-east-1", "s3", sigv4.EmptyPayload, docsTime); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name       string
		edit       func(*http.Request)
		status     int
		code, part string
	}{
		{"no change", func(*http.Request) {}, 0, "", ""},
		{"the signature in upper case", func(r *http.Request) {
			v := r.Header.Get("Authorization")
			r.Header.Set("Authorization", v[:len(v)-64]+strings.ToUpper(v[len(v)-64:]))
		}, 0, "", ""},
		{"an unsigned payload hash", func(r *http.Request) {
			replaceAuth("x-amz-content-sha256;", "")(r)
		}, 403, "SignatureDoesNotMatch", mismatch}, // but not "headers not signed": S3 lets it be
		{"no Credential", replaceAuth("Credential=", "Credentia="), 400, malformed, "requires three components"},
		{"no SignedHeaders", replaceAuth("SignedHeaders=", "X="), 400, malformed, "requires three components"},
		{"no Signature", replaceAuth(", Signature=", ", Sig="), 400, malformed, "requires three components"},
		{"a fourth component", replaceAuth(", Signature=", ", More=1, Signature="), 400, malformed, "requires three components"},
		{"a component twice", replaceAuth(", Signature=", ", Signature=00, Signature="), 400, malformed, "requires three components"},
		{"a credential of four parts", replaceAuth("/us-east-1/", "/"), 400, malformed, `the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".`},
		{"a scope date of seven digits", replaceAuth("/20130524/", "/2013052/"), 400, malformed, `incorrect date format "2013052"`},
		{"another day", replaceAuth("/20130524/", "/20130523/"), 400, malformed, `Invalid credential date "20130523". This date is not the same as X-Amz-Date: "20130524".`},
		{"another region", replaceAuth("/us-east-1/", "/eu-west-1/"), 400, malformed, "the region 'eu-west-1' is wrong; expecting 'us-east-1'"},
		{"another service", replaceAuth("/s3/", "/ec2/"), 400, malformed, `incorrect service "ec2". This endpoint belongs to "s3".`},
		{"another terminator", replaceAuth("aws4_request", "aws4_reques"), 400, malformed, `incorrect terminal "aws4_reques". This endpoint uses "aws4_request".`},
		{"headers out of order", replaceAuth("host;x-amz-content-sha256;x-amz-date", "x-amz-date;host;x-amz-content-sha256"), 400, malformed, "ascending order"},
		{"a header twice", replaceAuth("host;", "host;host;"), 400, malformed, "each once"},
		{"a header in upper case", replaceAuth("host;", "Host;"), 400, malformed, "lower-case"},
		{"host not signed", replaceAuth("host;", ""), 403, "AccessDenied", "not signed"},
		{"a header nobody signed", set("X-Amz-Acl", "public-read"), 403, "AccessDenied", "There were headers present in the request which were not signed"},
		{"a signed header that is not there", replaceAuth("host;x-amz", "host;range;x-amz"), 403, "SignatureDoesNotMatch", mismatch},
		{"another signature", replaceAuth("Signature=", "Signature=00"), 403, "SignatureDoesNotMatch", mismatch},
		{"an empty signature", func(r *http.Request) {
			v := r.Header.Get("Authorization")
			r.Header.Set("Authorization", v[:len(v)-64]+"zz")
		}, 403, "SignatureDoesNotMatch", mismatch},
		{"another header value", set("X-Amz-Meta-Color", "blue"), 403, "SignatureDoesNotMatch", mismatch},
		{"another method", func(r *http.Request) { r.Method = "DELETE" }, 403, "SignatureDoesNotMatch", mismatch},
		{"another path", func(r *http.Request) { r.RequestURI = "/bucket/other?a=1" }, 403, "SignatureDoesNotMatch", mismatch},
		{"another query", func(r *http.Request) { r.RequestURI = "/bucket/key?a=2" }, 403, "SignatureDoesNotMatch", mismatch},
		{"another host", func(r *http.Request) { r.Host = "other" }, 403, "SignatureDoesNotMatch", mismatch},
		{"Signature Version 2", set("Authorization", "AWS AKIA:xxx"), 400, "InvalidRequest", "Please use AWS4-HMAC-SHA256."},
		{"a bearer token", set("Authorization", "Bearer x"), 400, "InvalidArgument", "Unsupported Authorization Type"},
		{"two headers", func(r *http.Request) { r.Header.Add("Authorization", "AWS4-HMAC-SHA256 x") }, 400, "InvalidArgument", "Only one auth mechanism allowed"},
		{"a presigned request, too", func(r *http.Request) { r.RequestURI += "&X-Amz-Algorithm=AWS4-HMAC-SHA256" }, 400, "InvalidArgument", "Only one auth mechanism allowed"},
		{"a SigV2 link, too", func(r *http.Request) { r.RequestURI += "&Signature=x" }, 400, "InvalidArgument", "Only one auth mechanism allowed"},
		{"no payload hash", func(r *http.Request) { r.Header.Del("X-Amz-Content-Sha256") }, 403, "SignatureDoesNotMatch", mismatch},
		{"no payload hash, signed so", func(r *http.Request) {
			r.Header.Del("X-Amz-Content-Sha256")
			replaceAuth("x-amz-content-sha256;", "")(r)
		}, 400, "InvalidRequest", "Missing required header for this request: x-amz-content-sha256"},
		{"a payload hash that is none", set("X-Amz-Content-Sha256", sigv4.EmptyPayload[1:]), 400, "InvalidArgument", "x-amz-content-sha256 must be"},
		{"two payload hashes", func(r *http.Request) { r.Header.Add("X-Amz-Content-Sha256", sigv4.UnsignedPayload) }, 400, "InvalidRequest", "more than once"},
		{"no date", func(r *http.Request) { r.Header.Del("X-Amz-Date") }, 403, "AccessDenied", "requires a valid Date or x-amz-date header"},
		{"a date in another format", set("X-Amz-Date", "2013-05-24T00:00:00Z"), 403, "AccessDenied", "requires a valid Date"},
		{"two dates", func(r *http.Request) { r.Header.Add("X-Amz-Date", stamp) }, 403, "AccessDenied", "requires a valid Date"},
		{"Date alone", func(r *http.Request) {
			r.Header.Set("Date", "Fri, 24 May 2013 00:00:00 GMT")
			resign(r)
			r.Header.Del("X-Amz-Date")
		}, 403, "SignatureDoesNotMatch", mismatch},
		{"a broken query", func(r *http.Request) { r.RequestURI = "/bucket/key?a=%z1" }, 400, "InvalidURI", "Couldn't parse"},
		{"a broken path", func(r *http.Request) { r.RequestURI = "/bucket/%z1" }, 400, "InvalidURI", "Couldn't parse"},
	} {
		r := request("GET", "/bucket/key?a=1", map[string]string{"X-Amz-Meta-Color": "red"})
		resign(r)
		c.edit(r)
		err := verify(r, docsKey, docsTime)
		if c.code == "" {
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		wantError(t, c.name, err, c.status, c.code, c.part)
	}
}

// S3 looks at the signature before it looks at the clock.
func TestSkew(t *testing.T) {
	for seconds, ok := range map[int]bool{-900: true, 900: true, -901: false, 901: false} {
		r := request("GET", "/bucket", nil)
		if err := sigv4.Sign(r, docsKey, "us-east-1", "s3", sigv4.EmptyPayload, docsTime.Add(12*time.Hour)); err != nil {
			t.Fatal(err)
		}
		now := docsTime.Add(12*time.Hour + time.Duration(seconds)*time.Second)
		err := verify(r, docsKey, now)
		if ok {
			if err != nil {
				t.Errorf("%d: %v", seconds, err)
			}
			continue
		}
		wantError(t, fmt.Sprint(seconds), err, 403, "RequestTimeTooSkewed", "difference between the request time and the current time")
		if e, _ := errors.AsType[*sigv4.Error](err); e == nil || e.Fields["MaxAllowedSkewMilliseconds"] != "900000" || e.Fields["RequestTime"] != "20130524T120000Z" {
			t.Errorf("fields: %+v", e)
		}
		replaceAuth("Signature=", "Signature=00")(r)
		wantError(t, "a bad signature", verify(r, docsKey, now), 403, "SignatureDoesNotMatch", "")
	}
}

func TestPresign(t *testing.T) {
	link := func(expires time.Duration, header map[string]string) string {
		r, _ := http.NewRequest("GET", "https://s3.example.com/bucket/a%2Fb//c+d?versionId=1&x=%20", nil)
		for name, value := range header {
			r.Header.Set(name, value)
		}
		link, err := sigv4.Presign(r, docsKey, "us-east-1", "s3", expires, docsTime)
		if err != nil {
			t.Fatal(err)
		}
		return link
	}
	replace := func(old, new string) string {
		l := link(time.Minute, nil)
		if !strings.Contains(l, old) {
			t.Fatalf("the link has no %q", old)
		}
		return strings.Replace(l, old, new, 1)
	}
	const queryError = "AuthorizationQueryParametersError"
	for _, c := range []struct {
		name, link string
		after      time.Duration
		edit       func(*http.Request)
		status     int
		code, part string
	}{
		{"at once", link(time.Minute, nil), 0, nil, 0, "", ""},
		{"the last second", link(time.Minute, nil), time.Minute, nil, 0, "", ""},
		{"seven days", link(sigv4.MaxExpires, nil), sigv4.MaxExpires, nil, 0, "", ""},
		{"a quarter of an hour early", link(time.Minute, nil), -15 * time.Minute, nil, 0, "", ""},
		{"names in lower case", "", 0, nil, 403, "SignatureDoesNotMatch", ""},
		{"too late", link(time.Minute, nil), time.Minute + 1, nil, 403, "AccessDenied", "Request has expired"},
		{"too early", link(time.Minute, nil), -15*time.Minute - 1, nil, 403, "AccessDenied", "Request is not yet valid"},
		{"too long", replace("X-Amz-Expires=60", "X-Amz-Expires=604801"), 0, nil, 400, queryError, "less than a week"},
		{"far too long", replace("X-Amz-Expires=60", "X-Amz-Expires=99999999999999999999"), 0, nil, 400, queryError, "less than a week"},
		{"negative", replace("X-Amz-Expires=60", "X-Amz-Expires=-1"), 0, nil, 400, queryError, "non-negative"},
		{"negative and long", replace("X-Amz-Expires=60", "X-Amz-Expires=-99999999999999999999"), 0, nil, 400, queryError, "non-negative"},
		{"no number", replace("X-Amz-Expires=60", "X-Amz-Expires=1h"), 0, nil, 400, queryError, "should be a number"},
		{"twice", link(time.Minute, nil) + "&X-Amz-Expires=60", 0, nil, 400, queryError, "requires the X-Amz-Algorithm"},
		{"twice in another case", link(time.Minute, nil) + "&x-amz-signature=00", 0, nil, 400, queryError, "requires the X-Amz-Algorithm"},
		{"no algorithm", replace("X-Amz-Algorithm=AWS4-HMAC-SHA256&", ""), 0, nil, 400, queryError, "requires the X-Amz-Algorithm"},
		{"another algorithm", replace("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"), 0, nil, 400, queryError, "X-Amz-Algorithm only supports"},
		{"another date format", replace("X-Amz-Date=20130524T000000Z", "X-Amz-Date=20130524"), 0, nil, 400, queryError, "ISO8601 Long Format"},
		{"another day", replace("X-Amz-Date=20130524T000000Z", "X-Amz-Date=20130525T000000Z"), 0, nil, 400, queryError, "Invalid credential date"},
		{"another region", replace("us-east-1", "eu-west-1"), 0, nil, 400, queryError, "Error parsing the X-Amz-Credential parameter; the region 'eu-west-1' is wrong"},
		{"a longer life", replace("X-Amz-Expires=60", "X-Amz-Expires=61"), 0, nil, 403, "SignatureDoesNotMatch", ""},
		{"one more parameter", link(time.Minute, nil) + "&acl", 0, nil, 403, "SignatureDoesNotMatch", ""},
		{"one parameter less", replace("versionId=1&", ""), 0, nil, 403, "SignatureDoesNotMatch", ""},
		{"another path", replace("//c", "/c"), 0, nil, 403, "SignatureDoesNotMatch", ""},
		{"a decoded path", replace("a%2Fb", "a/b"), 0, nil, 403, "SignatureDoesNotMatch", ""},
		{"the same query, encoded otherwise", replace("x=%20", "x=+"), 0, nil, 0, "", ""},
		{"a signed header", link(time.Minute, map[string]string{"Range": "bytes=0-1"}), 0, set("Range", "bytes=0-1"), 0, "", ""},
		{"a signed header that is another", link(time.Minute, map[string]string{"Range": "bytes=0-1"}), 0, set("Range", "bytes=0-2"), 403, "SignatureDoesNotMatch", ""},
		{"a header nobody signed", link(time.Minute, nil), 0, set("X-Amz-Acl", "public-read"), 403, "AccessDenied", "not signed"},
		{"another payload", link(time.Minute, nil), 0, set("X-Amz-Content-Sha256", sigv4.EmptyPayload), 403, "SignatureDoesNotMatch", ""},
		{"a streaming payload", link(time.Minute, nil), 0, set("X-Amz-Content-Sha256", sigv4.StreamingPayload), 400, "InvalidArgument", ""},
		{"a token nobody signed", link(time.Minute, nil) + "&X-Amz-Security-Token=x", 0, nil, 403, "SignatureDoesNotMatch", ""},
	} {
		if c.link == "" {
			c.link = strings.ReplaceAll(link(time.Minute, nil), "X-Amz-", "x-amz-")
		}
		r := received(t, c.link)
		if c.edit != nil {
			c.edit(r)
		}
		err := verify(r, docsKey, docsTime.Add(c.after))
		if c.code == "" {
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		wantError(t, c.name, err, c.status, c.code, c.part)
	}
	for _, expires := range []time.Duration{0, -time.Second, sigv4.MaxExpires + 1} {
		if _, err := sigv4.Presign(request("GET", "/", nil), docsKey, "us-east-1", "s3", expires, docsTime); err == nil {
			t.Errorf("presigning for %s works", expires)
		}
	}
}

// Services other than S3: the path is encoded twice, and the body's own hash is signed.
func TestOtherServices(t *testing.T) {
	body := []byte("<x/>")
	for _, c := range []struct {
		name       string
		edit       func(*http.Request)
		body       string
		status     int
		code, part string
	}{
		{"no change", nil, "<x/>", 0, "", ""},
		{"another body", nil, "<y/>", 403, "SignatureDoesNotMatch", ""},
		{"an unsigned payload", set("X-Amz-Content-Sha256", sigv4.UnsignedPayload), "<x/>", 400, "InvalidArgument", "must be a valid sha256 value"},
		{"a streaming payload", set("X-Amz-Content-Sha256", sigv4.StreamingUnsignedTrailer), "<x/>", 400, "InvalidArgument", "must be a valid sha256 value"},
	} {
		r := request("POST", "/2020-05-31/a%20b/../c", nil)
		if err := sigv4.Sign(r, docsKey, "eu-west-1", "cloudfront", hashOf(body), docsTime); err != nil {
			t.Fatal(err)
		}
		if c.edit != nil {
			c.edit(r)
		}
		err := verify(r, docsKey, docsTime, func(rules *sigv4.Rules) {
			rules.Region, rules.Service, rules.S3 = "", "cloudfront", false
			rules.Body = func() ([]byte, error) { return []byte(c.body), nil }
		})
		if c.code == "" {
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		wantError(t, c.name, err, c.status, c.code, c.part)
	}
	// The body is not read for a request that cannot be right anyway.
	r := request("POST", "/", nil)
	if err := sigv4.Sign(r, docsKey, "eu-west-1", "cloudfront", hashOf(body), docsTime); err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Amz-Meta-New", "1")
	err := verify(r, docsKey, docsTime, func(rules *sigv4.Rules) {
		rules.Region, rules.Service, rules.S3 = "", "cloudfront", false
		rules.Body = func() ([]byte, error) { t.Error("the body was read"); return nil, nil }
	})
	wantError(t, "unsigned header", err, 403, "AccessDenied", "")
}

// v2Link signs as botocore's HmacV1QueryAuth does (docs.aws.amazon.com/AmazonS3/latest/API/RESTAuthentication.html).
func v2Link(key sigv4.Credentials, method, base, resource, amz string, expires int64, query string) string {
	m := hmac.New(sha1.New, key.Secret)
	fmt.Fprintf(m, "%s\n\n\n%d\n%s%s", method, expires, amz, resource)
	signature := url.QueryEscape(base64.StdEncoding.EncodeToString(m.Sum(nil)))
	if query != "" {
		query += "&"
	}
	return fmt.Sprintf("%s?%sAWSAccessKeyId=%s&Signature=%s&Expires=%d", base, query, key.AccessKeyID, signature, expires)
}

func TestV2Links(t *testing.T) {
	expires := docsTime.Add(time.Hour).Unix()
	plain := v2Link(docsKey, "GET", "http://s3.example.com/bucket/a%20b", "/bucket/a%20b", "", expires, "")
	// The example of the documentation: docs.aws.amazon.com/AmazonS3/latest/API/RESTAuthentication.html,
	// "Query String Request Authentication Alternative" (of the bucket johnsmith, before it was renamed there).
	documented := "http://s3.example.com/photos/puppy.jpg?AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE&Signature=NpgCjnDzrM%2BWFzoENXmpNDUsSn8%3D&Expires=1175139620"
	for _, c := range []struct {
		name, link string
		now        time.Time
		edit       func(*http.Request)
		bucket     string
		status     int
		code, part string
	}{
		{"path style", plain, docsTime, nil, "", 0, "", ""},
		{"the documented example", documented, time.Unix(1175139620, 0), nil, "johnsmith", 0, "", ""},
		{"in the Host", v2Link(docsKey, "GET", "http://bucket.s3.example.com/a", "/bucket/a", "", expires, ""), docsTime, nil, "bucket", 0, "", ""},
		{"sub-resources", v2Link(docsKey, "GET", "http://s3.example.com/b/k", "/b/k?response-content-type=a b&versionId=1", "", expires, "versionId=1&response-content-type=a%20b"), docsTime, nil, "", 0, "", ""},
		{"a token", v2Link(docsKey, "GET", "http://s3.example.com/b/k", "/b/k", "x-amz-security-token:t\n", expires, "x-amz-security-token=t"), docsTime, nil, "", 0, "", ""},
		{"HEAD", v2Link(docsKey, "HEAD", "http://s3.example.com/b/k", "/b/k", "", expires, ""), docsTime, func(r *http.Request) { r.Method = "HEAD" }, "", 0, "", ""},
		{"PUT", v2Link(docsKey, "PUT", "http://s3.example.com/b/k", "/b/k", "", expires, ""), docsTime, func(r *http.Request) { r.Method = "PUT" }, "", 400, "InvalidRequest", "Please use AWS4-HMAC-SHA256."},
		{"expired", plain, docsTime.Add(time.Hour + 1), nil, "", 403, "AccessDenied", "Request has expired"},
		{"a longer life", strings.Replace(plain, "Expires=1", "Expires=9", 1), docsTime, nil, "", 403, "SignatureDoesNotMatch", ""},
		{"another path", strings.Replace(plain, "a%20b", "a%20c", 1), docsTime, nil, "", 403, "SignatureDoesNotMatch", ""},
		{"a sub-resource more", plain + "&acl", docsTime, nil, "", 403, "SignatureDoesNotMatch", ""},
		{"a parameter it does not sign", plain + "&list-type=2", docsTime, nil, "", 403, "AccessDenied", "list-type"},
		{"a header more", plain, docsTime, set("X-Amz-Acl", "private"), "", 403, "SignatureDoesNotMatch", ""},
		{"a type more", plain, docsTime, set("Content-Type", "text/html"), "", 403, "SignatureDoesNotMatch", ""},
		{"a line end in what it signs", v2Link(docsKey, "GET", "http://s3.example.com/b/k", "/b/k?response-content-disposition=x\n9999999999\n/b/other", "", expires, "response-content-disposition=x%0A9999999999%0A/b/other"), docsTime, nil, "", 400, "InvalidURI", ""},
		{"another object, by the same line end", strings.Replace(v2Link(docsKey, "GET", "http://s3.example.com/b/k", "/b/k?response-content-disposition=x\n9999999999\n/b/other", "", expires, fmt.Sprintf("content-type=%%0A%d%%0A/b/k%%3Fresponse-content-disposition%%3Dx", expires)), "/b/k", "/b/other", 1), docsTime, nil, "", 400, "InvalidURI", ""},
		{"two values in one", v2Link(docsKey, "GET", "http://s3.example.com/b/k", "/b/k?response-cache-control=a&response-content-type=b", "", expires, "response-cache-control=a%26response-content-type=b"), docsTime, nil, "", 400, "InvalidURI", ""},
		{"a type in the query", v2Link(docsKey, "GET", "http://s3.example.com/b/k", "/b/k", "", expires, "content-type=x"), docsTime, nil, "", 403, "AccessDenied", "content-type"},
		{"no expiry", strings.Replace(plain, "&Expires=", "&Expire=", 1), docsTime, nil, "", 403, "AccessDenied", "requires the Signature, Expires and AWSAccessKeyId"},
		{"a date that is none", strings.Replace(plain, "&Expires=", "&Expires=x", 1), docsTime, nil, "", 403, "AccessDenied", "Invalid date"},
		{"a key twice", plain + "&AWSAccessKeyId=x", docsTime, nil, "", 403, "AccessDenied", "requires"},
		{"a signature that is none", strings.Replace(plain, "Signature=", "Signature=!", 1), docsTime, nil, "", 403, "SignatureDoesNotMatch", ""},
	} {
		r := received(t, c.link)
		if c.edit != nil {
			c.edit(r)
		}
		err := verify(r, docsKey, c.now, func(rules *sigv4.Rules) { rules.Bucket = c.bucket })
		if c.code == "" {
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		wantError(t, c.name, err, c.status, c.code, c.part)
	}
	r := received(t, plain)
	err := verify(r, docsKey, docsTime, func(rules *sigv4.Rules) { rules.Service, rules.S3 = "cloudfront", false })
	wantError(t, "another service", err, 400, "AuthorizationHeaderMalformed", "incorrect service")
}

// A refusal shows what was signed, and never a token, a customer's key or a signature.
func TestMismatchShowsNoSecret(t *testing.T) {
	r := request("GET", "/bucket/key", map[string]string{"X-Amz-Server-Side-Encryption-Customer-Key": "customer-secret"})
	key := docsKey
	key.SessionToken = "session-secret"
	if err := sigv4.Sign(r, key, "us-east-1", "s3", sigv4.EmptyPayload, docsTime); err != nil {
		t.Fatal(err)
	}
	other := docsKey
	other.Secret = []byte("another")
	err := verify(r, other, docsTime)
	e, ok := errors.AsType[*sigv4.Error](err)
	if !ok || !strings.Contains(e.Fields["CanonicalRequest"], "x-amz-security-token:REDACTED\n") || !strings.HasPrefix(e.Fields["StringToSign"], "AWS4-HMAC-SHA256\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n") {
		t.Fatalf("%+v", e)
	}
	shown := fmt.Sprintf("%+v %v %s", e, err, e.Fields)
	authorization := r.Header.Get("Authorization")
	for _, secret := range []string{"session-secret", "customer-secret", authorization[strings.LastIndex(authorization, "=")+1:], string(docsKey.Secret)} {
		if strings.Contains(shown, secret) {
			t.Errorf("the refusal shows %q", secret)
		}
	}
	r = received(t, "http://s3.example.com/?X-Amz-Security-Token=session-secret&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=aa")
	if err, _ := errors.AsType[*sigv4.Error](verify(r, docsKey, docsTime)); err == nil || strings.Contains(fmt.Sprint(err.Fields), "session-secret") {
		t.Errorf("%+v", err)
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q"} {
		if text := fmt.Sprintf(format, key); strings.Contains(text, "wJalr") || strings.Contains(text, "776a616c72") || strings.Contains(text, "session") {
			t.Errorf("%s shows the secret: %s", format, text)
		}
	}
}

func TestUnsignedRequest(t *testing.T) {
	r := request("GET", "/bucket/key?X-Amz-Date=1", map[string]string{"Authorization": " "})
	a, err := sigv4.Parse(r)
	if err != nil || a.Kind != sigv4.None {
		t.Fatalf("%+v %v", a, err)
	}
	if _, err := a.Verify(r, nil, sigv4.Rules{}); err == nil {
		t.Error("an unsigned request verifies")
	}
}

// S3 takes a presigned request's parameters in any letter case, as long as they were signed so.
func TestPresignInAnyCase(t *testing.T) {
	query := "X-AMZ-CREDENTIAL=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Signedheaders=host&x-amz-algorithm=AWS4-HMAC-SHA256&x-amz-date=" + stamp + "&x-amz-expires=60"
	key := mac(mac(mac(mac(append([]byte("AWS4"), docsKey.Secret...), "20130524"), "us-east-1"), "s3"), "aws4_request")
	signature := mac(key, "AWS4-HMAC-SHA256\n"+stamp+"\n20130524/us-east-1/s3/aws4_request\n"+
		hashOf([]byte("GET\n/bucket\n"+query+"\nhost:s3.example.com\n\nhost\nUNSIGNED-PAYLOAD")))
	r := received(t, "http://s3.example.com/bucket?"+query+"&x-amz-SIGNATURE="+hex.EncodeToString(signature))
	if err := verify(r, docsKey, docsTime); err != nil {
		t.Error(err)
	}
}
