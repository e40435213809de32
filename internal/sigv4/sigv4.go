// Package sigv4 signs and verifies AWS signatures: Signature Version 4 in the Authorization header and
// in the query (presigned), the SigV2 query form that older tools still print for S3 links, and the
// aws-chunked bodies that carry a signature a chunk, a trailer, or both. It holds no keys and keeps no
// state: it works on an *http.Request exactly as it travelled, so that what is verified is what is used.
//
// Law: docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html and
// docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html.
package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Limits of the protocol.
const (
	// MaxSkew is how far a request's time may be from ours, either way.
	MaxSkew = 15 * time.Minute
	// MaxExpires is the longest life of a presigned request.
	MaxExpires = 7 * 24 * time.Hour
)

// Values of x-amz-content-sha256 that are not a hash.
const (
	UnsignedPayload          = "UNSIGNED-PAYLOAD"
	StreamingPayload         = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	StreamingPayloadTrailer  = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
	StreamingUnsignedTrailer = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	// EmptyPayload is the hash of no bytes.
	EmptyPayload = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

const (
	algorithm  = "AWS4-HMAC-SHA256"
	terminator = "aws4_request"
	timeFormat = "20060102T150405Z"
	dateFormat = "20060102"
)

// Credentials sign requests. Their text form shows the access key id only.
type Credentials struct {
	AccessKeyID  string
	Secret       []byte
	SessionToken string // empty for a long-term key
}

// String implements fmt.Stringer without the secret.
func (c Credentials) String() string { return "credentials of " + c.AccessKeyID }

// Format implements fmt.Formatter, so that no verb prints the secret.
func (c Credentials) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(c.String())) }

// Error is a refusal, with S3's code, status and text
// (docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html). It never holds a secret or a signature.
type Error struct {
	Status  int
	Code    string
	Message string
	// Fields are the further elements of the answer, such as ServerTime.
	Fields map[string]string
	// Err is what went wrong below, if it was not the bytes themselves; it is never shown.
	Err error
}

// Error implements error.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// AWSErrorCode is the code, for audit.
func (e *Error) AWSErrorCode() string { return e.Code }

// Kind tells how a request is signed.
type Kind uint8

const (
	// None is a request without any signature.
	None Kind = iota
	// Header is Signature Version 4 in the Authorization header.
	Header
	// Query is a presigned Signature Version 4 request.
	Query
	// QueryV2 is a presigned Signature Version 2 request: GET and HEAD on S3 only.
	QueryV2
)

// Auth is what a request says about its own signature; nothing in it is verified until [Auth.Verify].
type Auth struct {
	Kind         Kind
	AccessKeyID  string
	Region       string // of the credential scope; empty for QueryV2
	Service      string // of the credential scope; "s3" for QueryV2
	SessionToken string
	Time         time.Time     // zero for QueryV2
	Expires      time.Duration // of a presigned request; 0 for Header and QueryV2

	pairs         []Pair   // the whole query
	date          string   // of the scope, yyyymmdd
	signedHeaders []string // lower case, ascending
	signature     []byte
	expiresAt     time.Time // QueryV2
}

// Rules are what the service that a request is for demands of its signature.
type Rules struct {
	// Region the scope must name; empty means any (CloudFront's clients send their own region).
	Region string
	// Service the scope must name.
	Service string
	// S3 selects S3's rules: the path encoded once and never normalised, x-amz-content-sha256 required,
	// unsigned and streaming payloads and SigV2 links allowed.
	S3 bool
	// Bucket is the bucket that the Host named (virtual-host style), for SigV2's canonical resource.
	Bucket string
	Now    time.Time
	// Body reads the body and leaves r.Body so that it can be read again. It is called at most once, last,
	// and only when the signature covers a hash that the request does not carry (never for S3). It bounds
	// what it reads.
	Body func() ([]byte, error)
}

// Parse reads how r says it is signed. An unsigned request is an Auth of Kind [None], not an error.
// Errors are *[Error].
func Parse(r *http.Request) (*Auth, error) {
	_, query := RawTarget(r)
	pairs, err := ParseQuery(query)
	if err != nil {
		return nil, err
	}
	a := &Auth{pairs: pairs}
	authorization := slices.DeleteFunc(slices.Clone(r.Header["Authorization"]), func(v string) bool { return strings.TrimSpace(v) == "" })
	mechanisms := len(authorization)
	if a.has("X-Amz-Algorithm") || a.has("X-Amz-Signature") || a.has("X-Amz-Credential") {
		a.Kind = Query
		mechanisms++
	}
	if slices.ContainsFunc(pairs, func(p Pair) bool { return p.Key == "AWSAccessKeyId" || p.Key == "Signature" }) {
		a.Kind = QueryV2
		mechanisms++
	}
	switch {
	case mechanisms > 1:
		return nil, &Error{Status: http.StatusBadRequest, Code: "InvalidArgument",
			Message: "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the Authorization header should be specified",
			Fields:  map[string]string{"ArgumentName": "Authorization"}}
	case len(authorization) == 1:
		a.Kind = Header
		return a, a.parseHeader(r, authorization[0])
	case a.Kind == Query:
		return a, a.parseQuery(r)
	case a.Kind == QueryV2:
		return a, a.parseQueryV2()
	}
	return a, nil
}

// Pairs is the whole query, decoded, the signature's own parameters included. It is for reading only.
func (a *Auth) Pairs() []Pair { return a.pairs }

// has and get look a presigned parameter up; their names are compared without regard to case.
func (a *Auth) has(name string) bool {
	return slices.ContainsFunc(a.pairs, func(p Pair) bool { return strings.EqualFold(p.Key, name) })
}

func (a *Auth) get(name string) (value string, count int) {
	for _, p := range a.pairs {
		if strings.EqualFold(p.Key, name) {
			value = p.Value
			count++
		}
	}
	return value, count
}

// malformed is the refusal of a signature that cannot be read.
func (a *Auth) malformed(detail string) *Error {
	if a.Kind == Query {
		return &Error{Status: http.StatusBadRequest, Code: "AuthorizationQueryParametersError",
			Message: "Error parsing the X-Amz-Credential parameter; " + detail}
	}
	return &Error{Status: http.StatusBadRequest, Code: "AuthorizationHeaderMalformed",
		Message: "The authorization header is malformed; " + detail}
}

func (a *Auth) parseHeader(r *http.Request, value string) error {
	scheme, rest, _ := strings.Cut(strings.TrimSpace(value), " ")
	switch scheme {
	case algorithm:
	case "AWS":
		return &Error{Status: http.StatusBadRequest, Code: "InvalidRequest",
			Message: "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."}
	default:
		return &Error{Status: http.StatusBadRequest, Code: "InvalidArgument", Message: "Unsupported Authorization Type",
			Fields: map[string]string{"ArgumentName": "Authorization"}}
	}
	components := map[string]string{}
	for part := range strings.SplitSeq(rest, ",") {
		name, v, ok := strings.Cut(strings.TrimSpace(part), "=")
		if _, again := components[name]; !ok || again {
			components = nil
			break
		}
		components[name] = v
	}
	if len(components) != 3 || components["Credential"] == "" || components["SignedHeaders"] == "" || components["Signature"] == "" {
		return a.malformed("the authorization header requires three components: Credential, SignedHeaders, and Signature.")
	}
	if err := a.parseCredential(components["Credential"]); err != nil {
		return err
	}
	if err := a.parseSigned(components["SignedHeaders"], components["Signature"]); err != nil {
		return err
	}
	at, err := requestTime(r)
	if err != nil {
		return err
	}
	a.Time = at
	if got := at.Format(dateFormat); got != a.date {
		return a.malformed(fmt.Sprintf("Invalid credential date %q. This date is not the same as X-Amz-Date: %q.", a.date, got))
	}
	token, _, err := one(r, "x-amz-security-token")
	a.SessionToken = token
	return err
}

// requestTime is x-amz-date, or else Date.
func requestTime(r *http.Request) (time.Time, error) {
	value, ok, err := one(r, "x-amz-date")
	if err == nil && ok {
		if at, err := time.Parse(timeFormat, value); err == nil {
			return at, nil
		}
	} else if value, ok, err := one(r, "date"); err == nil && ok {
		for _, format := range []string{http.TimeFormat, time.RFC1123Z, timeFormat} {
			if at, err := time.Parse(format, value); err == nil {
				return at.UTC(), nil
			}
		}
	}
	return time.Time{}, &Error{Status: http.StatusForbidden, Code: "AccessDenied",
		Message: "AWS authentication requires a valid Date or x-amz-date header"}
}

func (a *Auth) parseCredential(credential string) error {
	parts := strings.Split(credential, "/")
	if len(parts) != 5 || parts[0] == "" || len(parts[0]) > 128 {
		return a.malformed(`the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".`)
	}
	a.AccessKeyID, a.date, a.Region, a.Service = parts[0], parts[1], parts[2], parts[3]
	if _, err := time.Parse(dateFormat, a.date); err != nil {
		return a.malformed(fmt.Sprintf(`incorrect date format %q. This date in the credential must be in the format "yyyyMMdd".`, a.date))
	}
	if parts[4] != terminator {
		return a.malformed(fmt.Sprintf("incorrect terminal %q. This endpoint uses %q.", parts[4], terminator))
	}
	return nil
}

func (a *Auth) parseSigned(signedHeaders, signature string) error {
	a.signedHeaders = strings.Split(signedHeaders, ";")
	for i, name := range a.signedHeaders {
		if name == "" || name != strings.ToLower(name) || i > 0 && name <= a.signedHeaders[i-1] {
			return a.malformed("SignedHeaders must be lower-case header names in ascending order, each once, separated by semicolons.")
		}
	}
	sig, err := hex.DecodeString(signature)
	if err != nil {
		sig = nil // no signature at all: it cannot match
	}
	a.signature = sig
	return nil
}

func (a *Auth) parseQuery(r *http.Request) error {
	refuse := func(message string) *Error {
		return &Error{Status: http.StatusBadRequest, Code: "AuthorizationQueryParametersError", Message: message}
	}
	values := map[string]string{}
	for _, name := range []string{"Algorithm", "Credential", "Signature", "Date", "SignedHeaders", "Expires"} {
		v, n := a.get("X-Amz-" + name)
		if n != 1 {
			return refuse("Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.")
		}
		values[name] = v
	}
	if values["Algorithm"] != algorithm {
		return refuse(`X-Amz-Algorithm only supports "AWS4-HMAC-SHA256"`)
	}
	if err := a.parseCredential(values["Credential"]); err != nil {
		return err
	}
	if err := a.parseSigned(values["SignedHeaders"], values["Signature"]); err != nil {
		return err
	}
	at, err := time.Parse(timeFormat, values["Date"])
	if err != nil {
		return refuse(`X-Amz-Date must be in the ISO8601 Long Format "yyyyMMdd'T'HHmmss'Z'"`)
	}
	a.Time = at
	if got := at.Format(dateFormat); got != a.date {
		return refuse(fmt.Sprintf("Invalid credential date %q. This date is not the same as X-Amz-Date: %q.", a.date, got))
	}
	seconds, err := strconv.ParseInt(values["Expires"], 10, 64)
	switch {
	case errors.Is(err, strconv.ErrSyntax):
		return refuse("X-Amz-Expires should be a number")
	case seconds < 0:
		return refuse("X-Amz-Expires must be non-negative")
	case err != nil || seconds > int64(MaxExpires/time.Second):
		return refuse("X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds")
	}
	a.Expires = time.Duration(seconds) * time.Second
	token, inQuery := a.get("X-Amz-Security-Token")
	header, inHeader, err := one(r, "x-amz-security-token")
	if err != nil {
		return err
	}
	if inQuery > 1 || inQuery == 1 && inHeader && token != header {
		return refuse("X-Amz-Security-Token was given more than once.")
	}
	if inQuery == 0 {
		token = header
	}
	a.SessionToken = token
	return nil
}

// Verify checks the signature over r with the secret of a.AccessKeyID, and says what the body must be.
// It reads no body but through rules.Body. Errors are *[Error], or what rules.Body answered.
func (a *Auth) Verify(r *http.Request, secret []byte, rules Rules) (*Payload, error) {
	if a.Kind == None {
		return nil, &Error{Status: http.StatusForbidden, Code: "AccessDenied", Message: "Access Denied"}
	}
	if a.Service != rules.Service {
		return nil, a.malformed(fmt.Sprintf("incorrect service %q. This endpoint belongs to %q.", a.Service, rules.Service))
	}
	if a.Kind == QueryV2 {
		return a.verifyV2(r, secret, rules)
	}
	if rules.Region != "" && a.Region != rules.Region {
		e := a.malformed(fmt.Sprintf("the region '%s' is wrong; expecting '%s'", a.Region, rules.Region))
		e.Fields = map[string]string{"Region": rules.Region}
		return nil, e
	}
	if err := a.checkSigned(r); err != nil {
		return nil, err
	}
	hash, err := a.payloadHash(r, rules)
	if err != nil {
		return nil, err
	}
	request, shown, err := canonicalRequest(r, a.pairs, rules.S3, a.Kind == Query, a.signedHeaders, hash)
	if err != nil {
		return nil, err
	}
	scope := scopeOf(a.date, a.Region, a.Service)
	key := signingKey(secret, a.date, a.Region, a.Service)
	text := stringToSign(a.Time, scope, request)
	if !hmac.Equal(mac(key, text), a.signature) {
		return nil, a.mismatch(stringToSign(a.Time, scope, shown), shown)
	}
	if err := a.checkTime(rules.Now); err != nil {
		return nil, err
	}
	return &Payload{mode: hash, key: key, scope: scope, time: a.Time.Format(timeFormat), seed: a.signature}, nil
}

// checkSigned holds that host and every x-amz- header is signed, so that nobody adds one on the way, and
// that every header said to be signed is there.
func (a *Auth) checkSigned(r *http.Request) error {
	var missing []string
	if !slices.Contains(a.signedHeaders, "host") {
		missing = append(missing, "host")
	}
	for name := range r.Header {
		lower := strings.ToLower(name)
		// The payload hash is a line of the canonical request of its own; S3 lets the header be unsigned.
		if strings.HasPrefix(lower, "x-amz-") && lower != "x-amz-content-sha256" && !slices.Contains(a.signedHeaders, lower) {
			missing = append(missing, lower)
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return &Error{Status: http.StatusForbidden, Code: "AccessDenied",
			Message: "There were headers present in the request which were not signed",
			Fields:  map[string]string{"HeadersNotSigned": strings.Join(missing, ", ")}}
	}
	for _, name := range a.signedHeaders {
		if len(headerValues(r, name)) == 0 {
			return a.mismatch("", "the signed header "+name+" is not in the request")
		}
	}
	return nil
}

// payloadHash is the last line of the canonical request.
func (a *Auth) payloadHash(r *http.Request, rules Rules) (string, error) {
	value, ok, err := one(r, "x-amz-content-sha256")
	if err != nil {
		return "", err
	}
	if !ok && a.Kind == Query {
		var n int
		if value, n = a.get("X-Amz-Content-Sha256"); n > 1 {
			return "", invalidRequest("X-Amz-Content-Sha256 was given more than once.")
		} else if n == 1 {
			ok = true
		} else if rules.S3 {
			return UnsignedPayload, nil
		}
	}
	switch {
	case !ok && rules.S3:
		return "", invalidRequest("Missing required header for this request: x-amz-content-sha256")
	case !ok:
		if rules.Body == nil {
			return EmptyPayload, nil
		}
		body, err := rules.Body()
		if err != nil {
			return "", err
		}
		sum := sha256.Sum256(body)
		return hex.EncodeToString(sum[:]), nil
	case isHash(value):
		return value, nil
	case rules.S3 && (value == UnsignedPayload || value == StreamingUnsignedTrailer),
		rules.S3 && a.Kind == Header && (value == StreamingPayload || value == StreamingPayloadTrailer):
		return value, nil
	}
	e := &Error{Status: http.StatusBadRequest, Code: "InvalidArgument", Fields: map[string]string{"ArgumentName": "x-amz-content-sha256"},
		Message: "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value."}
	if !rules.S3 {
		e.Message = "x-amz-content-sha256 must be a valid sha256 value."
	}
	return "", e
}

func (a *Auth) checkTime(now time.Time) error {
	server := now.UTC().Format(time.RFC3339)
	if a.Kind == Query {
		end := a.Time.Add(a.Expires)
		switch {
		case a.Time.Sub(now) > MaxSkew:
			return &Error{Status: http.StatusForbidden, Code: "AccessDenied", Message: "Request is not yet valid",
				Fields: map[string]string{"X-Amz-Date": a.Time.Format(timeFormat), "ServerTime": server}}
		case a.Expires == 0 || now.After(end):
			return &Error{Status: http.StatusForbidden, Code: "AccessDenied", Message: "Request has expired",
				Fields: map[string]string{"X-Amz-Expires": strconv.FormatInt(int64(a.Expires/time.Second), 10),
					"Expires": end.Format(time.RFC3339), "ServerTime": server}}
		}
		return nil
	}
	if now.Sub(a.Time).Abs() > MaxSkew {
		return &Error{Status: http.StatusForbidden, Code: "RequestTimeTooSkewed",
			Message: "The difference between the request time and the current time is too large.",
			Fields: map[string]string{"RequestTime": a.Time.Format(timeFormat), "ServerTime": server,
				"MaxAllowedSkewMilliseconds": strconv.FormatInt(MaxSkew.Milliseconds(), 10)}}
	}
	return nil
}

// mismatch shows the caller what we signed, as S3 does, without secrets and without any signature.
func (a *Auth) mismatch(stringToSign, request string) *Error {
	fields := map[string]string{"AWSAccessKeyId": a.AccessKeyID}
	if stringToSign != "" {
		fields["StringToSign"] = stringToSign
	}
	if request != "" {
		fields["CanonicalRequest"] = request
	}
	return mismatch(fields)
}

func mismatch(fields map[string]string) *Error {
	return &Error{Status: http.StatusForbidden, Code: "SignatureDoesNotMatch", Fields: fields,
		Message: "The request signature we calculated does not match the signature you provided. Check your key and signing method."}
}

// unsignable are headers that proxies and transports change or add.
var unsignable = []string{"authorization", "connection", "expect", "keep-alive", "proxy-authorization", "te",
	"trailer", "transfer-encoding", "upgrade", "user-agent", "x-amzn-trace-id"}

func headersToSign(r *http.Request) []string {
	signed := []string{"host"}
	for name := range r.Header {
		if lower := strings.ToLower(name); lower != "host" && !slices.Contains(unsignable, lower) {
			signed = append(signed, lower)
		}
	}
	slices.Sort(signed)
	return signed
}

// Sign puts an Authorization header on r, a request to be sent: every header r has, but those that
// proxies change, is signed. payloadHash is the lower-case hex SHA-256 of the body, or one of the other
// values of x-amz-content-sha256. For service "s3" the path is encoded once, for others twice.
func Sign(r *http.Request, c Credentials, region, service, payloadHash string, now time.Time) error {
	now = now.UTC()
	if r.Header == nil {
		r.Header = http.Header{}
	}
	r.Header.Del("Authorization")
	r.Header.Set("X-Amz-Date", now.Format(timeFormat))
	if c.SessionToken != "" {
		r.Header.Set("X-Amz-Security-Token", c.SessionToken)
	}
	if service == "s3" || !isHash(payloadHash) {
		r.Header.Set("X-Amz-Content-Sha256", payloadHash)
	}
	signed := headersToSign(r)
	_, query := RawTarget(r)
	signature, err := sign(r, c, query, region, service, payloadHash, signed, false, now)
	if err != nil {
		return fmt.Errorf("signing the request: %w", err)
	}
	r.Header.Set("Authorization", algorithm+" Credential="+c.AccessKeyID+"/"+scopeOf(now.Format(dateFormat), region, service)+
		", SignedHeaders="+strings.Join(signed, ";")+", Signature="+signature)
	return nil
}

// Presign returns r's URL with a signature in the query, good for expires (1 s to [MaxExpires]) from now.
// Every header r has must be sent with it. The body is not signed for S3, and must be empty for others.
func Presign(r *http.Request, c Credentials, region, service string, expires time.Duration, now time.Time) (string, error) {
	if expires < time.Second || expires > MaxExpires {
		return "", fmt.Errorf("presigning: the life of a link must be from 1 second to 7 days, not %s", expires)
	}
	now = now.UTC()
	signed := headersToSign(r)
	date := now.Format(dateFormat)
	path, query := RawTarget(r)
	add := func(k, v string) {
		if query != "" {
			query += "&"
		}
		query += k + "=" + escaped(v)
	}
	add("X-Amz-Algorithm", algorithm)
	add("X-Amz-Credential", c.AccessKeyID+"/"+scopeOf(date, region, service))
	add("X-Amz-Date", now.Format(timeFormat))
	add("X-Amz-Expires", strconv.FormatInt(int64(expires/time.Second), 10))
	if c.SessionToken != "" {
		add("X-Amz-Security-Token", c.SessionToken)
	}
	add("X-Amz-SignedHeaders", strings.Join(signed, ";"))
	hash := EmptyPayload
	if given := r.Header.Get("X-Amz-Content-Sha256"); given != "" {
		hash = given
	} else if service == "s3" {
		hash = UnsignedPayload
	}
	signature, err := sign(r, c, query, region, service, hash, signed, true, now)
	if err != nil {
		return "", fmt.Errorf("presigning: %w", err)
	}
	return r.URL.Scheme + "://" + headerValues(r, "host")[0] + path + "?" + query + "&X-Amz-Signature=" + signature, nil
}

func sign(r *http.Request, c Credentials, query, region, service, hash string, signed []string, presigned bool, now time.Time) (string, error) {
	pairs, err := ParseQuery(query)
	if err != nil {
		return "", err
	}
	request, _, err := canonicalRequest(r, pairs, service == "s3", presigned, signed, hash)
	if err != nil {
		return "", err
	}
	date := now.Format(dateFormat)
	key := signingKey(c.Secret, date, region, service)
	return hex.EncodeToString(mac(key, stringToSign(now, scopeOf(date, region, service), request))), nil
}

func scopeOf(date, region, service string) string {
	return date + "/" + region + "/" + service + "/" + terminator
}

func stringToSign(at time.Time, scope, request string) string {
	sum := sha256.Sum256([]byte(request))
	return algorithm + "\n" + at.Format(timeFormat) + "\n" + scope + "\n" + hex.EncodeToString(sum[:])
}

func signingKey(secret []byte, date, region, service string) []byte {
	key := mac(append([]byte("AWS4"), secret...), date)
	return mac(mac(mac(key, region), service), terminator)
}

func mac(key []byte, text string) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(text))
	return m.Sum(nil)
}

func isHash(s string) bool {
	if len(s) != hex.EncodedLen(sha256.Size) {
		return false
	}
	return strings.Trim(s, "0123456789abcdef") == ""
}

func invalidRequest(message string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: "InvalidRequest", Message: message}
}
