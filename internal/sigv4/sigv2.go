package sigv4

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Signature Version 2 query links, which `aws s3 presign` of AWS CLI v1 still prints
// (docs.aws.amazon.com/AmazonS3/latest/API/RESTAuthentication.html). They do not cover the whole query,
// so we take them for GET and HEAD only, and refuse a query key that they leave unsigned.

// v2Resources are the query keys that belong to the canonical resource of a GET.
var v2Resources = []string{"accelerate", "acl", "analytics", "cors", "encryption", "inventory", "lifecycle",
	"location", "logging", "metrics", "notification", "object-lock", "partNumber", "policy", "replication",
	"requestPayment", "response-cache-control", "response-content-disposition", "response-content-encoding",
	"response-content-language", "response-content-type", "response-expires", "tagging", "torrent",
	"uploadId", "uploads", "versionId", "versioning", "versions", "website"}

func (a *Auth) parseQueryV2() error {
	values := map[string]string{}
	for _, name := range []string{"AWSAccessKeyId", "Signature", "Expires"} {
		count := 0
		for _, p := range a.pairs {
			if p.Key == name {
				values[name] = p.Value
				count++
			}
		}
		if count != 1 {
			return &Error{Status: http.StatusForbidden, Code: "AccessDenied",
				Message: "Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters"}
		}
	}
	expires, err := strconv.ParseInt(values["Expires"], 10, 64)
	if err != nil || expires < 0 {
		return &Error{Status: http.StatusForbidden, Code: "AccessDenied", Message: "Invalid date (should be seconds since epoch)"}
	}
	if len(values["AWSAccessKeyId"]) > 128 {
		return a.malformed("the access key id is too long.")
	}
	a.AccessKeyID, a.Service, a.expiresAt = values["AWSAccessKeyId"], "s3", time.Unix(expires, 0).UTC()
	if sig, err := base64.StdEncoding.DecodeString(values["Signature"]); err == nil {
		a.signature = sig
	}
	token, count := a.get("x-amz-security-token")
	if count > 1 {
		return invalidRequest("x-amz-security-token was given more than once.")
	}
	a.SessionToken = token
	return nil
}

func isControl(c rune) bool { return c < ' ' || c == 0x7F }

func (a *Auth) verifyV2(r *http.Request, secret []byte, rules Rules) (*Payload, error) {
	if !rules.S3 || r.Method != http.MethodGet && r.Method != http.MethodHead {
		return nil, invalidRequest("The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.")
	}
	amz := map[string]string{} // canonical x-amz- lines, from headers or from the query
	for name, values := range r.Header {
		if lower := strings.ToLower(name); strings.HasPrefix(lower, "x-amz-") {
			amz[lower] = strings.Join(values, ",")
		}
	}
	var resources []string
	_, query := RawTarget(r)
	for part := range strings.SplitSeq(query, "&") {
		name, value, given := strings.Cut(part, "=")
		switch plain, ok := unescape(value, true); {
		case !ok, strings.ContainsFunc(plain, isControl):
			// A line end in a value would let what was signed be read as other lines: other headers, another
			// expiry, another object.
			return nil, invalidURI()
		case strings.Contains(plain, "&") && slices.Contains(v2Resources, name):
			// For the same reason: values are signed joined by it, as they are.
			return nil, invalidURI()
		case name == "", name == "AWSAccessKeyId", name == "Signature", name == "Expires":
		case slices.Contains(v2Resources, name):
			if given {
				name += "=" + plain
			}
			resources = append(resources, name)
		case strings.HasPrefix(name, "x-amz-"):
			if _, again := amz[name]; again {
				return nil, invalidRequest("The parameter " + name + " was given more than once.")
			}
			amz[name] = plain
		default:
			return nil, &Error{Status: http.StatusForbidden, Code: "AccessDenied",
				Message: "A link signed with Signature Version 2 may not carry the query parameter " + strconv.Quote(name) + ", which it does not sign. Please use AWS4-HMAC-SHA256."}
		}
	}
	slices.Sort(resources)
	var text strings.Builder
	text.WriteString(r.Method + "\n" + r.Header.Get("Content-Md5") + "\n" + r.Header.Get("Content-Type") + "\n" +
		strconv.FormatInt(a.expiresAt.Unix(), 10) + "\n")
	names := make([]string, 0, len(amz))
	for name := range amz {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		text.WriteString(name + ":" + strings.TrimSpace(amz[name]) + "\n")
	}
	if rules.Bucket != "" {
		text.WriteString("/" + rules.Bucket)
	}
	path, _ := RawTarget(r)
	text.WriteString(path)
	if len(resources) > 0 {
		text.WriteString("?" + strings.Join(resources, "&"))
	}
	m := hmac.New(sha1.New, secret)
	m.Write([]byte(text.String()))
	if !hmac.Equal(m.Sum(nil), a.signature) {
		return nil, a.mismatch("", "")
	}
	if rules.Now.After(a.expiresAt) {
		return nil, &Error{Status: http.StatusForbidden, Code: "AccessDenied", Message: "Request has expired",
			Fields: map[string]string{"Expires": a.expiresAt.Format(time.RFC3339), "ServerTime": rules.Now.UTC().Format(time.RFC3339)}}
	}
	return &Payload{mode: UnsignedPayload}, nil
}
