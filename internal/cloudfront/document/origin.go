package document

import (
	"slices"
	"strings"
)

// Origins is the list of places a distribution fetches from.
type Origins struct {
	Quantity int      `xml:"Quantity" json:"Quantity"`
	Items    []Origin `xml:"Items>Origin,omitempty" json:"Items,omitempty"`
}

// Origin is one place to fetch from: an S3 bucket when S3OriginConfig is set, a plain web server
// when CustomOriginConfig is set. ConnectionTimeout and ResponseCompletionTimeout are in seconds.
type Origin struct {
	Id                        string              `xml:"Id" json:"Id"`
	DomainName                string              `xml:"DomainName" json:"DomainName"`
	OriginPath                string              `xml:"OriginPath" json:"OriginPath"`
	CustomHeaders             CustomHeaders       `xml:"CustomHeaders" json:"CustomHeaders"`
	S3OriginConfig            *S3OriginConfig     `xml:"S3OriginConfig,omitempty" json:"S3OriginConfig,omitempty"`
	CustomOriginConfig        *CustomOriginConfig `xml:"CustomOriginConfig,omitempty" json:"CustomOriginConfig,omitempty"`
	VpcOriginConfig           *VpcOriginConfig    `xml:"VpcOriginConfig,omitempty" json:"VpcOriginConfig,omitempty"`
	ConnectionAttempts        int                 `xml:"ConnectionAttempts" json:"ConnectionAttempts"`
	ConnectionTimeout         int                 `xml:"ConnectionTimeout" json:"ConnectionTimeout"`
	ResponseCompletionTimeout int                 `xml:"ResponseCompletionTimeout,omitempty" json:"ResponseCompletionTimeout,omitempty"`
	OriginShield              OriginShield        `xml:"OriginShield" json:"OriginShield"`
	OriginAccessControlId     string              `xml:"OriginAccessControlId" json:"OriginAccessControlId"`
}

// CustomHeaders are headers added to every request to an origin. Their values may be secrets.
type CustomHeaders struct {
	Quantity int                  `xml:"Quantity" json:"Quantity"`
	Items    []OriginCustomHeader `xml:"Items>OriginCustomHeader,omitempty" json:"Items,omitempty"`
}

// OriginCustomHeader is one header of [CustomHeaders].
type OriginCustomHeader struct {
	HeaderName  string `xml:"HeaderName" json:"HeaderName"`
	HeaderValue string `xml:"HeaderValue" json:"HeaderValue"`
}

// S3OriginConfig marks an origin as an S3 bucket. OriginReadTimeout is in seconds.
type S3OriginConfig struct {
	OriginAccessIdentity string `xml:"OriginAccessIdentity" json:"OriginAccessIdentity"`
	OriginReadTimeout    int    `xml:"OriginReadTimeout,omitempty" json:"OriginReadTimeout,omitempty"`
}

// CustomOriginConfig marks an origin as a plain web server. OriginProtocolPolicy is http-only,
// match-viewer or https-only; the timeouts are in seconds.
type CustomOriginConfig struct {
	HTTPPort               int                `xml:"HTTPPort" json:"HTTPPort"`
	HTTPSPort              int                `xml:"HTTPSPort" json:"HTTPSPort"`
	OriginProtocolPolicy   string             `xml:"OriginProtocolPolicy" json:"OriginProtocolPolicy"`
	OriginSslProtocols     OriginSslProtocols `xml:"OriginSslProtocols" json:"OriginSslProtocols"`
	OriginReadTimeout      int                `xml:"OriginReadTimeout" json:"OriginReadTimeout"`
	OriginKeepaliveTimeout int                `xml:"OriginKeepaliveTimeout" json:"OriginKeepaliveTimeout"`
	IpAddressType          string             `xml:"IpAddressType,omitempty" json:"IpAddressType,omitempty"`
	OriginMtlsConfig       *OriginMtlsConfig  `xml:"OriginMtlsConfig,omitempty" json:"OriginMtlsConfig,omitempty"`
}

// OriginSslProtocols are the TLS versions an origin may be spoken to with.
type OriginSslProtocols struct {
	Quantity int      `xml:"Quantity" json:"Quantity"`
	Items    []string `xml:"Items>SslProtocol,omitempty" json:"Items,omitempty"`
}

// OriginMtlsConfig names the certificate shown to an origin.
type OriginMtlsConfig struct {
	ClientCertificateArn string `xml:"ClientCertificateArn" json:"ClientCertificateArn"`
}

// VpcOriginConfig marks an origin as one inside a VPC. The timeouts are in seconds.
type VpcOriginConfig struct {
	VpcOriginId            string `xml:"VpcOriginId" json:"VpcOriginId"`
	OwnerAccountId         string `xml:"OwnerAccountId,omitempty" json:"OwnerAccountId,omitempty"`
	OriginReadTimeout      int    `xml:"OriginReadTimeout,omitempty" json:"OriginReadTimeout,omitempty"`
	OriginKeepaliveTimeout int    `xml:"OriginKeepaliveTimeout,omitempty" json:"OriginKeepaliveTimeout,omitempty"`
}

// OriginShield is an extra layer of cache before an origin.
type OriginShield struct {
	Enabled            bool   `xml:"Enabled" json:"Enabled"`
	OriginShieldRegion string `xml:"OriginShieldRegion,omitempty" json:"OriginShieldRegion,omitempty"`
}

// OriginGroups are pairs of origins, the second used when the first fails.
type OriginGroups struct {
	Quantity int           `xml:"Quantity" json:"Quantity"`
	Items    []OriginGroup `xml:"Items>OriginGroup,omitempty" json:"Items,omitempty"`
}

// OriginGroup is one pair.
type OriginGroup struct {
	Id                string                      `xml:"Id" json:"Id"`
	FailoverCriteria  OriginGroupFailoverCriteria `xml:"FailoverCriteria" json:"FailoverCriteria"`
	Members           OriginGroupMembers          `xml:"Members" json:"Members"`
	SelectionCriteria string                      `xml:"SelectionCriteria,omitempty" json:"SelectionCriteria,omitempty"`
}

// OriginGroupFailoverCriteria says when the second origin is asked.
type OriginGroupFailoverCriteria struct {
	StatusCodes StatusCodes `xml:"StatusCodes" json:"StatusCodes"`
}

// StatusCodes is a list of HTTP statuses.
type StatusCodes struct {
	Quantity int   `xml:"Quantity" json:"Quantity"`
	Items    []int `xml:"Items>StatusCode,omitempty" json:"Items,omitempty"`
}

// OriginGroupMembers are the two origins of a pair, first and second.
type OriginGroupMembers struct {
	Quantity int                 `xml:"Quantity" json:"Quantity"`
	Items    []OriginGroupMember `xml:"Items>OriginGroupMember,omitempty" json:"Items,omitempty"`
}

// OriginGroupMember names an origin.
type OriginGroupMember struct {
	OriginId string `xml:"OriginId" json:"OriginId"`
}

// Bucket is the name of the bucket that an S3 origin's DomainName means, in any of S3's virtual-hosted
// forms: bucket.s3.amazonaws.com, bucket.s3.region.amazonaws.com, bucket.s3-region.amazonaws.com,
// bucket.s3.dualstack.region.amazonaws.com. It is false for an origin that is not an S3 bucket.
func (o Origin) Bucket() (string, bool) {
	if o.S3OriginConfig == nil {
		return "", false
	}
	host, ok := strings.CutSuffix(strings.ToLower(o.DomainName), ".amazonaws.com")
	if !ok {
		return "", false
	}
	// The bucket's own name may hold dots and ".s3": the last ".s3" is the service.
	i := strings.LastIndex(host, ".s3")
	if i <= 0 {
		return "", false
	}
	bucket, service := host[:i], host[i+len(".s3"):]
	if service != "" {
		if service[0] != '.' && service[0] != '-' || strings.HasPrefix(service, ".website") || strings.HasPrefix(service, "-website") {
			return "", false
		}
		region := strings.TrimPrefix(service[1:], "dualstack.")
		if region == "" || strings.ContainsAny(region, "._") {
			return "", false
		}
	}
	return bucket, isHostName(bucket)
}

func (o Origin) complete() Origin {
	set(&o.ConnectionAttempts, 3)
	set(&o.ConnectionTimeout, 10)
	if o.CustomOriginConfig != nil {
		c := *o.CustomOriginConfig
		set(&c.OriginReadTimeout, 30)
		set(&c.OriginKeepaliveTimeout, 5)
		if c.OriginSslProtocols.Quantity == 0 && len(c.OriginSslProtocols.Items) == 0 {
			c.OriginSslProtocols = OriginSslProtocols{Quantity: 1, Items: []string{"TLSv1.2"}}
		}
		o.CustomOriginConfig = &c
	}
	return o
}

func (o Origin) check() *Error {
	where := "the origin " + o.Id
	if err := required("Id of an origin", o.Id, 128); err != nil {
		return err
	}
	kinds := 0
	for _, is := range []bool{o.S3OriginConfig != nil, o.CustomOriginConfig != nil, o.VpcOriginConfig != nil} {
		if is {
			kinds++
		}
	}
	if kinds != 1 {
		return refuse("InvalidOrigin", "%s must have exactly one of S3OriginConfig, CustomOriginConfig and VpcOriginConfig", where)
	}
	if !isHostName(o.DomainName) {
		return refuse("InvalidOrigin", "the DomainName %q of %s is not a host name", o.DomainName, where)
	}
	if o.OriginPath != "" {
		if err := checkPath("OriginPath", o.OriginPath); err != nil {
			return err
		}
		if strings.HasSuffix(o.OriginPath, "/") {
			return refuse("InvalidRelativePath", "OriginPath %q of %s ends with a slash", o.OriginPath, where)
		}
	}
	if err := within("ConnectionAttempts of "+where, o.ConnectionAttempts, 1, 3); err != nil {
		return err
	}
	if err := within("ConnectionTimeout of "+where, o.ConnectionTimeout, 1, 10); err != nil {
		return err
	}
	if err := o.CustomHeaders.check(where); err != nil {
		return err
	}
	if o.S3OriginConfig != nil {
		if _, ok := o.Bucket(); !ok {
			return refuse("InvalidOrigin", "%s has S3OriginConfig and the DomainName %q, which names no bucket: write <bucket>.s3.<region>.amazonaws.com", where, o.DomainName)
		}
		if o.OriginAccessControlId != "" && o.S3OriginConfig.OriginAccessIdentity != "" {
			return refuse("IllegalOriginAccessConfiguration", "%s has both an origin access control and an origin access identity", where)
		}
	}
	if o.CustomOriginConfig != nil {
		return o.CustomOriginConfig.check(where)
	}
	return nil
}

func (c CustomOriginConfig) check(where string) *Error {
	for _, err := range []*Error{
		within("HTTPPort of "+where, c.HTTPPort, 1, 65535),
		within("HTTPSPort of "+where, c.HTTPSPort, 1, 65535),
		oneOf("OriginProtocolPolicy of "+where, c.OriginProtocolPolicy, "http-only", "match-viewer", "https-only"),
	} {
		if err != nil {
			return err
		}
	}
	if c.OriginReadTimeout < 1 || c.OriginReadTimeout > 120 {
		return refuse("InvalidOriginReadTimeout", "OriginReadTimeout of %s is %d: it must be from 1 to 120 seconds", where, c.OriginReadTimeout)
	}
	if c.OriginKeepaliveTimeout < 1 || c.OriginKeepaliveTimeout > 120 {
		return refuse("InvalidOriginKeepaliveTimeout", "OriginKeepaliveTimeout of %s is %d: it must be from 1 to 120 seconds", where, c.OriginKeepaliveTimeout)
	}
	for _, p := range c.OriginSslProtocols.Items {
		if err := oneOf("OriginSslProtocols of "+where, p, "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2"); err != nil {
			return err
		}
	}
	return twice("OriginSslProtocols of "+where, c.OriginSslProtocols.Items)
}

// barredHeaders cannot be added to origin requests, nor can those that begin with barredPrefixes
// (docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/add-origin-custom-headers.html).
var (
	barredHeaders = []string{"cache-control", "connection", "content-length", "cookie", "host", "if-match",
		"if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "max-forwards", "pragma",
		"proxy-authenticate", "proxy-authorization", "proxy-connection", "range", "request-range", "te", "trailer",
		"transfer-encoding", "upgrade", "via", "x-real-ip"}
	barredPrefixes = []string{"x-amz-", "x-edge-"}
)

func (h CustomHeaders) check(where string) *Error {
	if len(h.Items) > maxHeaders {
		return refuse("TooManyOriginCustomHeaders", "%s has %d custom headers: %d at most", where, len(h.Items), maxHeaders)
	}
	var names []string
	for _, header := range h.Items {
		name := strings.ToLower(header.HeaderName)
		if !isToken(name) || len(name) > 256 {
			return invalid("%s has the custom header %q, which is not a header name", where, header.HeaderName)
		}
		if slices.Contains(barredHeaders, name) || slices.ContainsFunc(barredPrefixes, func(p string) bool { return strings.HasPrefix(name, p) }) {
			return invalid("%s has the custom header %s, which CloudFront does not add to origin requests", where, header.HeaderName)
		}
		// The value may be a secret, so it is not shown.
		if len(header.HeaderValue) > 1783 || strings.ContainsFunc(header.HeaderValue, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
			return invalid("the value of the custom header %s of %s is too long or holds control characters", header.HeaderName, where)
		}
		names = append(names, name)
	}
	return twice("CustomHeaders of "+where, names)
}

// isToken is RFC 9110 section 5.6.2.
func isToken(s string) bool {
	for _, c := range []byte(s) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0) {
			return false
		}
	}
	return s != ""
}
