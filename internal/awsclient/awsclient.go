// Package awsclient calls the few CloudFront and S3 operations that the command line needs, on a
// running Postern or on AWS alike: the public keys and key groups behind a signature, and the names in
// a bucket. It is not a second SDK: credentials come from the environment only, requests are signed by
// sigv4, documents are cloudfront/document's.
package awsclient

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"postern/internal/cloudfront/document"
	"postern/internal/sigv4"
)

// ErrNoCredentials: the environment has no AWS_ACCESS_KEY_ID or no AWS_SECRET_ACCESS_KEY.
var ErrNoCredentials = errors.New("no AWS credentials in the environment")

const (
	// maxAnswer bounds what is read of one answer.
	maxAnswer = 8 << 20
	// callTimeout bounds one call, from the connection to the last byte.
	callTimeout = 10 * time.Second
	// maxPages bounds a listing of keys or groups; CloudFront's quotas are far below.
	maxPages = 100
)

// Client calls one endpoint. It is safe for concurrent use.
type Client struct {
	cloudfront, s3 string // base URLs, without a slash at the end
	region         string
	credentials    sigv4.Credentials
	now            func() time.Time
	http           *http.Client
}

// Error is an answer that is a refusal.
type Error struct {
	Operation string
	Status    int
	Code      string
	Message   string
	RequestID string
}

// Error names the operation, the code and the request, so that it can be found in the audit log.
func (e *Error) Error() string {
	s := fmt.Sprintf("%s: %s", e.Operation, e.Code)
	if e.Message != "" {
		s += ": " + e.Message
	}
	if e.RequestID != "" {
		s += " (request " + e.RequestID + ")"
	}
	return s
}

// IsCode reports whether err is an [Error] with that code.
func IsCode(err error, code string) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == code
}

// FromEnv builds a client from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION
// or AWS_DEFAULT_REGION (us-east-1 if neither is set), and AWS_ENDPOINT_URL or AWS_ENDPOINT_URL_<SERVICE>.
// Without an endpoint it calls AWS. The error is [ErrNoCredentials], or says which variable is malformed.
func FromEnv(getenv func(string) string, now func() time.Time) (*Client, error) {
	id, secret := getenv("AWS_ACCESS_KEY_ID"), getenv("AWS_SECRET_ACCESS_KEY")
	if id == "" || secret == "" {
		return nil, ErrNoCredentials
	}
	first := func(names ...string) string {
		for _, n := range names {
			if v := getenv(n); v != "" {
				return v
			}
		}
		return ""
	}
	c := &Client{
		region: first("AWS_REGION", "AWS_DEFAULT_REGION"),
		credentials: sigv4.Credentials{
			AccessKeyID: id, Secret: []byte(secret), SessionToken: getenv("AWS_SESSION_TOKEN"),
		},
		now: now,
		http: &http.Client{
			Timeout: callTimeout,
			// A signature is for one host and path: following a redirect could only fail elsewhere.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	if c.region == "" {
		c.region = "us-east-1"
	}
	var err error
	if c.cloudfront, err = endpoint(first("AWS_ENDPOINT_URL_CLOUDFRONT", "AWS_ENDPOINT_URL"), "https://cloudfront.amazonaws.com"); err != nil {
		return nil, err
	}
	if c.s3, err = endpoint(first("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"), "https://s3."+c.region+".amazonaws.com"); err != nil {
		return nil, err
	}
	return c, nil
}

func endpoint(configured, fallback string) (string, error) {
	if configured == "" {
		return fallback, nil
	}
	u, err := url.Parse(configured)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.User != nil {
		return "", errors.New("reading AWS_ENDPOINT_URL: not a plain http:// or https:// URL")
	}
	return strings.TrimRight(u.String(), "/"), nil
}

// Endpoint is the base URL of the CloudFront API, for messages.
func (c *Client) Endpoint() string { return c.cloudfront }

// call is one request: in, if not nil, is sent as the document named root; out, if not nil, is decoded.
type call struct {
	operation, service, method, path string
	query                            url.Values
	ifMatch                          string
	root                             string
	in, out                          any
}

func (c *Client) do(ctx context.Context, op call) (etag string, err error) {
	base := c.cloudfront
	if op.service == "s3" {
		base = c.s3
	}
	var body []byte
	if op.in != nil {
		var b bytes.Buffer
		b.WriteString(xml.Header)
		enc := xml.NewEncoder(&b)
		start := xml.StartElement{Name: xml.Name{Space: document.Namespace, Local: op.root}}
		if err := enc.EncodeElement(op.in, start); err != nil {
			return "", fmt.Errorf("%s: encoding: %w", op.operation, err)
		}
		body = b.Bytes()
	}
	target := base + op.path
	if len(op.query) > 0 {
		target += "?" + strings.ReplaceAll(op.query.Encode(), "+", "%20")
	}
	req, err := http.NewRequestWithContext(ctx, op.method, target, bytes.NewReader(body))
	if err != nil {
		return "", fmt.Errorf("%s: %w", op.operation, err)
	}
	if op.in != nil {
		req.Header.Set("Content-Type", "application/xml")
	}
	if op.ifMatch != "" {
		req.Header.Set("If-Match", op.ifMatch)
	}
	// CloudFront is one global service, whose scope is us-east-1 whatever the caller's region.
	region := c.region
	if op.service == "cloudfront" && base == "https://cloudfront.amazonaws.com" {
		region = "us-east-1"
	}
	if err := sigv4.Sign(req, c.credentials, region, op.service, payloadHash(body), c.now()); err != nil {
		return "", fmt.Errorf("%s: signing: %w", op.operation, err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return "", fmt.Errorf("%s: %w", op.operation, plainURLError(err))
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return "", fmt.Errorf("%s: reading the answer: %w", op.operation, err)
	}
	if len(answer) > maxAnswer {
		return "", fmt.Errorf("%s: the answer is longer than %d bytes", op.operation, maxAnswer)
	}
	if resp.StatusCode/100 != 2 {
		return "", refusal(op.operation, resp, answer)
	}
	if op.out != nil {
		if err := xml.Unmarshal(answer, op.out); err != nil {
			return "", fmt.Errorf("%s: the answer is not what CloudFront or S3 sends: %w", op.operation, err)
		}
	}
	return resp.Header.Get("ETag"), nil
}

func payloadHash(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// plainURLError drops the URL that net/http puts into its errors: of a signed request it could hold
// what must not be shown.
func plainURLError(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// refusal reads both forms: CloudFront's ErrorResponse>Error and S3's bare Error.
func refusal(operation string, resp *http.Response, answer []byte) *Error {
	type fault struct {
		Code, Message, RequestId string
	}
	var doc struct {
		fault
		Error fault
	}
	e := &Error{Operation: operation, Status: resp.StatusCode}
	if xml.Unmarshal(answer, &doc) == nil {
		e.Code, e.Message, e.RequestID = doc.Code, doc.Message, doc.RequestId
		if doc.Error.Code != "" {
			e.Code, e.Message = doc.Error.Code, doc.Error.Message
		}
	}
	if e.Code == "" {
		e.Code = resp.Status
	}
	if e.RequestID == "" {
		e.RequestID = resp.Header.Get("X-Amzn-Requestid")
	}
	return e
}

const api = "/2020-05-31/"

// PublicKey is CloudFront's GetPublicKey.
func (c *Client) PublicKey(ctx context.Context, id string) (document.PublicKey, error) {
	var out document.PublicKey
	_, err := c.do(ctx, call{operation: "GetPublicKey", service: "cloudfront", method: "GET", path: api + "public-key/" + url.PathEscape(id), out: &out})
	return out, err
}

// PublicKeys is CloudFront's ListPublicKeys, all pages.
func (c *Client) PublicKeys(ctx context.Context) ([]document.PublicKeySummary, error) {
	var all []document.PublicKeySummary
	err := c.pages(func(q url.Values) (string, error) {
		var out document.PublicKeyList
		_, err := c.do(ctx, call{operation: "ListPublicKeys", service: "cloudfront", method: "GET", path: api + "public-key", query: q, out: &out})
		all = append(all, out.Items...)
		return out.NextMarker, err
	})
	return all, err
}

// CreatePublicKey is CloudFront's CreatePublicKey.
func (c *Client) CreatePublicKey(ctx context.Context, in document.PublicKeyConfig) (document.PublicKey, error) {
	var out document.PublicKey
	_, err := c.do(ctx, call{operation: "CreatePublicKey", service: "cloudfront", method: "POST", path: api + "public-key", root: "PublicKeyConfig", in: in, out: &out})
	return out, err
}

// KeyGroups is CloudFront's ListKeyGroups, all pages.
func (c *Client) KeyGroups(ctx context.Context) ([]document.KeyGroup, error) {
	var all []document.KeyGroup
	err := c.pages(func(q url.Values) (string, error) {
		var out document.KeyGroupList
		_, err := c.do(ctx, call{operation: "ListKeyGroups", service: "cloudfront", method: "GET", path: api + "key-group", query: q, out: &out})
		for _, s := range out.Items {
			all = append(all, s.KeyGroup)
		}
		return out.NextMarker, err
	})
	return all, err
}

// KeyGroup is CloudFront's GetKeyGroup; etag is what UpdateKeyGroup wants.
func (c *Client) KeyGroup(ctx context.Context, id string) (group document.KeyGroup, etag string, err error) {
	etag, err = c.do(ctx, call{operation: "GetKeyGroup", service: "cloudfront", method: "GET", path: api + "key-group/" + url.PathEscape(id), out: &group})
	return group, etag, err
}

// UpdateKeyGroup is CloudFront's UpdateKeyGroup.
func (c *Client) UpdateKeyGroup(ctx context.Context, id, etag string, in document.KeyGroupConfig) error {
	_, err := c.do(ctx, call{operation: "UpdateKeyGroup", service: "cloudfront", method: "PUT", path: api + "key-group/" + url.PathEscape(id), ifMatch: etag, root: "KeyGroupConfig", in: in})
	return err
}

// pages follows markers.
func (c *Client) pages(page func(url.Values) (next string, err error)) error {
	q := url.Values{}
	for range maxPages {
		next, err := page(q)
		if err != nil || next == "" {
			return err
		}
		q = url.Values{"Marker": {next}}
	}
	return fmt.Errorf("more than %d pages", maxPages)
}

// ObjectKeys are the keys of a bucket in S3's order, at most limit of them (ListObjectsV2). The
// sequence ends with an error, if there is one.
func (c *Client) ObjectKeys(ctx context.Context, bucket string, limit int) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		token := ""
		for left := limit; left > 0; {
			q := url.Values{"list-type": {"2"}, "max-keys": {strconv.Itoa(min(left, 1000))}}
			if token != "" {
				q.Set("continuation-token", token)
			}
			var out struct {
				Contents              []struct{ Key string }
				IsTruncated           bool
				NextContinuationToken string
			}
			_, err := c.do(ctx, call{operation: "ListObjectsV2", service: "s3", method: "GET", path: "/" + url.PathEscape(bucket), query: q, out: &out})
			if err != nil {
				yield("", err)
				return
			}
			for _, o := range out.Contents {
				if !yield(o.Key, nil) {
					return
				}
			}
			left -= len(out.Contents)
			token = out.NextContinuationToken
			if !out.IsTruncated || token == "" || len(out.Contents) == 0 {
				return
			}
		}
	}
}
