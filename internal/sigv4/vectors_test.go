package sigv4_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"postern/internal/sigv4"
)

// The keys of AWS's published examples; they open nothing.
var (
	suiteKey = sigv4.Credentials{AccessKeyID: "AKIDEXAMPLE", Secret: []byte("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")}
	docsKey  = sigv4.Credentials{AccessKeyID: "AKIAIOSFODNN7EXAMPLE", Secret: []byte("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")}
)

var (
	suiteTime = time.Date(2015, 8, 30, 12, 36, 0, 0, time.UTC)
	docsTime  = time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC)
)

// The "AWS Signature Version 4 test suite" (aws-sig-v4-test-suite; also in awslabs/aws-c-auth,
// tests/aws-signing-test-suite/v4), both by signing and by verifying. The suite signs the path once
// encoded: its request lines are not encoded, so encoding the raw path is what it describes.
func TestSuiteVectors(t *testing.T) {
	unreserved := "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	form := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	for _, v := range []struct {
		name, method, path, query string
		header                    http.Header
		body, signature           string
	}{
		{"get-vanilla", "GET", "/", "", nil, "", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
		{"get-vanilla-empty-query-key", "GET", "/", "Param1=value1", nil, "", "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"},
		{"get-vanilla-query-order-key-case", "GET", "/", "Param2=value2&Param1=value1", nil, "", "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
		{"get-vanilla-query-order-value", "GET", "/", "Param1=value2&Param1=value1", nil, "", "5772eed61e12b33fae39ee5e7012498b51d56abc0abb7c60486157bd471c4694"},
		{"get-vanilla-query-order-encoded", "GET", "/", "Param-3=Value3&Param=Value2&%E1%88%B4=Value1", nil, "", "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac"},
		{"get-vanilla-query-unreserved", "GET", "/", unreserved + "=" + unreserved, nil, "", "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"},
		{"get-vanilla-utf8-query", "GET", "/", "ሴ=bar", nil, "", "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"},
		{"get-utf8", "GET", "/ሴ", "", nil, "", "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
		{"get-space-normalized", "GET", "/example space/", "", nil, "", "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"},
		{"get-unreserved", "GET", "/" + unreserved, "", nil, "", "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"},
		{"get-relative-normalized", "GET", "/example/..", "", nil, "", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
		{"get-relative-relative-normalized", "GET", "/example1/example2/../..", "", nil, "", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
		{"get-slash-normalized", "GET", "//", "", nil, "", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
		{"get-slash-dot-slash-normalized", "GET", "/./", "", nil, "", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
		{"get-slashes-normalized", "GET", "//example//", "", nil, "", "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84"},
		{"get-slash-pointless-dot-normalized", "GET", "/./example", "", nil, "", "ef75d96142cf21edca26f06005da7988e4f8dc83a165a80865db7089db637ec5"},
		{"get-header-key-duplicate", "GET", "/", "", http.Header{"My-Header1": {"value2", "value2", "value1"}}, "", "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"},
		{"get-header-value-order", "GET", "/", "", http.Header{"My-Header1": {"value4", "value1", "value3", "value2"}}, "", "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01"},
		{"get-header-value-trim", "GET", "/", "", http.Header{"My-Header1": {" value1"}, "My-Header2": {` "a   b   c"`}}, "", "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
		{"post-vanilla", "POST", "/", "", nil, "", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
		{"post-vanilla-query", "POST", "/", "Param1=value1", nil, "", "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11"},
		{"post-header-key-sort", "POST", "/", "", http.Header{"My-Header1": {"value1"}}, "", "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c"},
		{"post-header-value-case", "POST", "/", "", http.Header{"My-Header1": {"VALUE1"}}, "", "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d"},
		{"post-x-www-form-urlencoded", "POST", "/", "", form, "Param1=value1", "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
	} {
		t.Run(v.name, func(t *testing.T) {
			sum := sha256.Sum256([]byte(v.body))
			request := func() *http.Request {
				target := v.path
				if v.query != "" {
					target += "?" + v.query
				}
				r := &http.Request{Method: v.method, Host: "example.amazonaws.com", Header: v.header.Clone(), RequestURI: target,
					URL: &url.URL{Scheme: "https", Host: "example.amazonaws.com"}, Body: io.NopCloser(strings.NewReader(v.body)), ContentLength: int64(len(v.body))}
				if r.Header == nil {
					r.Header = http.Header{}
				}
				return r
			}
			r := request()
			if err := sigv4.Sign(r, suiteKey, "us-east-1", "service", hex.EncodeToString(sum[:]), suiteTime); err != nil {
				t.Fatal(err)
			}
			authorization := r.Header.Get("Authorization")
			if got := authorization[strings.LastIndex(authorization, "=")+1:]; got != v.signature {
				t.Errorf("signature %s, want %s", got, v.signature)
			}
			a, err := sigv4.Parse(r)
			if err != nil {
				t.Fatal(err)
			}
			rules := sigv4.Rules{Region: "us-east-1", Service: "service", Now: suiteTime, Body: func() ([]byte, error) { return []byte(v.body), nil }}
			if _, err := a.Verify(r, suiteKey.Secret, rules); err != nil {
				t.Errorf("verifying: %v", err)
			}
		})
	}
}

// docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html, "Examples: Signature
// Calculations", and sigv4-query-string-auth.html, "An Example".
func TestS3Examples(t *testing.T) {
	auth := func(signed, signature string) string {
		return "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=" + signed + ",Signature=" + signature
	}
	for _, v := range []struct {
		name, method, target string
		header               map[string]string
		body                 string
	}{
		{"GET Object", "GET", "/test.txt", map[string]string{"Range": "bytes=0-9", "X-Amz-Content-Sha256": sigv4.EmptyPayload,
			"Authorization": auth("host;range;x-amz-content-sha256;x-amz-date", "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")}, ""},
		{"PUT Object", "PUT", "/test%24file.text", map[string]string{"Date": "Fri, 24 May 2013 00:00:00 GMT", "X-Amz-Storage-Class": "REDUCED_REDUNDANCY",
			"X-Amz-Content-Sha256": "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
			"Authorization":        auth("date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class", "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd")}, "Welcome to Amazon S3."},
		{"GET Bucket Lifecycle", "GET", "/?lifecycle", map[string]string{"X-Amz-Content-Sha256": sigv4.EmptyPayload,
			"Authorization": auth("host;x-amz-content-sha256;x-amz-date", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543")}, ""},
		{"GET Bucket", "GET", "/?max-keys=2&prefix=J", map[string]string{"X-Amz-Content-Sha256": sigv4.EmptyPayload,
			"Authorization": auth("host;x-amz-content-sha256;x-amz-date", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7")}, ""},
		{"presigned GET", "GET", "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404", nil, ""},
	} {
		t.Run(v.name, func(t *testing.T) {
			r := httptest.NewRequest(v.method, v.target, strings.NewReader(v.body))
			r.Host = "examplebucket.s3.amazonaws.com"
			for name, value := range v.header {
				r.Header.Set(name, value)
			}
			if v.header != nil {
				r.Header.Set("X-Amz-Date", "20130524T000000Z")
			}
			got := readVerified(t, r, docsKey.Secret, docsTime)
			if got != v.body {
				t.Errorf("body %q, want %q", got, v.body)
			}
		})
	}
}

// docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html and sigv4-streaming-trailers.html.
func TestS3StreamingExamples(t *testing.T) {
	content := bytes.Repeat([]byte("a"), 66560)
	for _, v := range []struct {
		name, mode, signed, seed string
		chunks                   [3]string
		trailer                  string
	}{
		{"chunked", sigv4.StreamingPayload,
			"content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class",
			"4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
			[3]string{"ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648", "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497", "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"}, ""},
		{"chunked with trailer", sigv4.StreamingPayloadTrailer,
			"content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer",
			"106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
			[3]string{"b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2", "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7", "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992"},
			"x-amz-checksum-crc32c:sOO8/Q==\r\nx-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n"},
	} {
		t.Run(v.name, func(t *testing.T) {
			wire := "10000;chunk-signature=" + v.chunks[0] + "\r\n" + string(content[:65536]) + "\r\n" +
				"400;chunk-signature=" + v.chunks[1] + "\r\n" + string(content[65536:]) + "\r\n" +
				"0;chunk-signature=" + v.chunks[2] + "\r\n" + v.trailer + "\r\n"
			r := httptest.NewRequest("PUT", "/examplebucket/chunkObject.txt", strings.NewReader(wire))
			r.Host = "s3.amazonaws.com"
			for name, value := range map[string]string{"X-Amz-Date": "20130524T000000Z", "X-Amz-Storage-Class": "REDUCED_REDUNDANCY",
				"X-Amz-Content-Sha256": v.mode, "Content-Encoding": "aws-chunked", "X-Amz-Decoded-Content-Length": "66560",
				"Authorization": "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=" + v.signed + ",Signature=" + v.seed} {
				r.Header.Set(name, value)
			}
			if v.trailer != "" {
				r.Header.Set("X-Amz-Trailer", "x-amz-checksum-crc32c")
			} else if len(wire) != 66824 {
				t.Fatalf("the example is 66824 bytes on the wire, not %d", len(wire))
			}
			if got := readVerified(t, r, docsKey.Secret, docsTime); got != string(content) {
				t.Errorf("%d bytes, want %d", len(got), len(content))
			}
		})
	}
}

// readVerified verifies r as S3 would, and reads its body to the end.
func readVerified(t *testing.T, r *http.Request, secret []byte, now time.Time) string {
	t.Helper()
	a, err := sigv4.Parse(r)
	if err != nil {
		t.Fatalf("parsing: %v", err)
	}
	p, err := a.Verify(r, secret, sigv4.Rules{Region: "us-east-1", Service: "s3", S3: true, Now: now})
	if err != nil {
		t.Fatalf("verifying: %v", err)
	}
	b, err := p.Open(r, true)
	if err != nil {
		t.Fatalf("opening the body: %v", err)
	}
	got, err := io.ReadAll(b)
	if err != nil {
		t.Fatalf("reading the body: %v", err)
	}
	return string(got)
}
