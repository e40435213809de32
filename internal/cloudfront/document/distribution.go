package document

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Distribution is a distribution as CloudFront answers it. Id is E and 13 upper-case letters or
// digits; Status is InProgress or Deployed; DomainName is lower case.
type Distribution struct {
	Id                            string                 `xml:"Id" json:"Id"`
	ARN                           string                 `xml:"ARN" json:"ARN"`
	Status                        string                 `xml:"Status" json:"Status"`
	LastModifiedTime              time.Time              `xml:"LastModifiedTime" json:"LastModifiedTime"`
	InProgressInvalidationBatches int                    `xml:"InProgressInvalidationBatches" json:"InProgressInvalidationBatches"`
	DomainName                    string                 `xml:"DomainName" json:"DomainName"`
	ActiveTrustedSigners          ActiveTrustedSigners   `xml:"ActiveTrustedSigners" json:"ActiveTrustedSigners"`
	ActiveTrustedKeyGroups        ActiveTrustedKeyGroups `xml:"ActiveTrustedKeyGroups" json:"ActiveTrustedKeyGroups"`
	DistributionConfig            DistributionConfig     `xml:"DistributionConfig" json:"DistributionConfig"`
	AliasICPRecordals             []AliasICPRecordal     `xml:"AliasICPRecordals>AliasICPRecordal,omitempty" json:"AliasICPRecordals,omitempty"`
}

// ActiveTrustedSigners lists accounts whose key pairs sign for a distribution. Postern has none.
type ActiveTrustedSigners struct {
	Enabled  bool     `xml:"Enabled" json:"Enabled"`
	Quantity int      `xml:"Quantity" json:"Quantity"`
	Items    []Signer `xml:"Items>Signer,omitempty" json:"Items,omitempty"`
}

// Signer is one account of [ActiveTrustedSigners].
type Signer struct {
	AwsAccountNumber string     `xml:"AwsAccountNumber,omitempty" json:"AwsAccountNumber,omitempty"`
	KeyPairIds       KeyPairIds `xml:"KeyPairIds" json:"KeyPairIds"`
}

// KeyPairIds is a list of public key ids.
type KeyPairIds struct {
	Quantity int      `xml:"Quantity" json:"Quantity"`
	Items    []string `xml:"Items>KeyPairId,omitempty" json:"Items,omitempty"`
}

// ActiveTrustedKeyGroups lists the key groups that any behaviour of a distribution trusts, and
// their keys. It is computed when the distribution is answered.
type ActiveTrustedKeyGroups struct {
	Enabled  bool           `xml:"Enabled" json:"Enabled"`
	Quantity int            `xml:"Quantity" json:"Quantity"`
	Items    []KGKeyPairIds `xml:"Items>KeyGroup,omitempty" json:"Items,omitempty"`
}

// KGKeyPairIds is one key group of [ActiveTrustedKeyGroups].
type KGKeyPairIds struct {
	KeyGroupId string     `xml:"KeyGroupId" json:"KeyGroupId"`
	KeyPairIds KeyPairIds `xml:"KeyPairIds" json:"KeyPairIds"`
}

// AliasICPRecordal is the state of an alias's registration in mainland China.
type AliasICPRecordal struct {
	CNAME             string `xml:"CNAME" json:"CNAME"`
	ICPRecordalStatus string `xml:"ICPRecordalStatus" json:"ICPRecordalStatus"`
}

// DistributionConfig is what a user decides about a distribution. It has more than fifteen fields
// because it is CloudFront's document, field for field.
type DistributionConfig struct {
	CallerReference               string                         `xml:"CallerReference" json:"CallerReference"`
	Aliases                       Aliases                        `xml:"Aliases" json:"Aliases"`
	DefaultRootObject             string                         `xml:"DefaultRootObject" json:"DefaultRootObject"`
	Origins                       Origins                        `xml:"Origins" json:"Origins"`
	OriginGroups                  OriginGroups                   `xml:"OriginGroups" json:"OriginGroups"`
	DefaultCacheBehavior          DefaultCacheBehavior           `xml:"DefaultCacheBehavior" json:"DefaultCacheBehavior"`
	CacheBehaviors                CacheBehaviors                 `xml:"CacheBehaviors" json:"CacheBehaviors"`
	CustomErrorResponses          CustomErrorResponses           `xml:"CustomErrorResponses" json:"CustomErrorResponses"`
	Comment                       string                         `xml:"Comment" json:"Comment"`
	Logging                       LoggingConfig                  `xml:"Logging" json:"Logging"`
	PriceClass                    string                         `xml:"PriceClass" json:"PriceClass"`
	Enabled                       bool                           `xml:"Enabled" json:"Enabled"`
	ViewerCertificate             ViewerCertificate              `xml:"ViewerCertificate" json:"ViewerCertificate"`
	Restrictions                  Restrictions                   `xml:"Restrictions" json:"Restrictions"`
	WebACLId                      string                         `xml:"WebACLId" json:"WebACLId"`
	HttpVersion                   string                         `xml:"HttpVersion" json:"HttpVersion"`
	IsIPV6Enabled                 bool                           `xml:"IsIPV6Enabled" json:"IsIPV6Enabled"`
	ContinuousDeploymentPolicyId  string                         `xml:"ContinuousDeploymentPolicyId" json:"ContinuousDeploymentPolicyId"`
	Staging                       bool                           `xml:"Staging" json:"Staging"`
	AnycastIpListId               string                         `xml:"AnycastIpListId,omitempty" json:"AnycastIpListId,omitempty"`
	TenantConfig                  *TenantConfig                  `xml:"TenantConfig,omitempty" json:"TenantConfig,omitempty"`
	ConnectionMode                string                         `xml:"ConnectionMode,omitempty" json:"ConnectionMode,omitempty"`
	ViewerMtlsConfig              *ViewerMtlsConfig              `xml:"ViewerMtlsConfig,omitempty" json:"ViewerMtlsConfig,omitempty"`
	ConnectionFunctionAssociation *ConnectionFunctionAssociation `xml:"ConnectionFunctionAssociation,omitempty" json:"ConnectionFunctionAssociation,omitempty"`
	CacheTagConfig                *CacheTagConfig                `xml:"CacheTagConfig,omitempty" json:"CacheTagConfig,omitempty"`
}

// Aliases are the host names, besides its own domain, that a distribution answers.
type Aliases struct {
	Quantity int      `xml:"Quantity" json:"Quantity"`
	Items    []string `xml:"Items>CNAME,omitempty" json:"Items,omitempty"`
}

// CustomErrorResponses says which errors get a page of the user's own.
type CustomErrorResponses struct {
	Quantity int                   `xml:"Quantity" json:"Quantity"`
	Items    []CustomErrorResponse `xml:"Items>CustomErrorResponse,omitempty" json:"Items,omitempty"`
}

// CustomErrorResponse is the page and status for one error. ResponsePagePath and ResponseCode are
// both set or both empty. ErrorCachingMinTTL is in seconds; nil is the default, 10.
type CustomErrorResponse struct {
	ErrorCode          int    `xml:"ErrorCode" json:"ErrorCode"`
	ResponsePagePath   string `xml:"ResponsePagePath" json:"ResponsePagePath"`
	ResponseCode       string `xml:"ResponseCode" json:"ResponseCode"`
	ErrorCachingMinTTL *int64 `xml:"ErrorCachingMinTTL,omitempty" json:"ErrorCachingMinTTL,omitempty"`
}

// LoggingConfig is the classic access log.
type LoggingConfig struct {
	Enabled        bool   `xml:"Enabled" json:"Enabled"`
	IncludeCookies bool   `xml:"IncludeCookies" json:"IncludeCookies"`
	Bucket         string `xml:"Bucket" json:"Bucket"`
	Prefix         string `xml:"Prefix" json:"Prefix"`
}

// ViewerCertificate says which certificate viewers see. Certificate and CertificateSource are the
// deprecated names of the first three and are answered for old clients.
type ViewerCertificate struct {
	CloudFrontDefaultCertificate bool   `xml:"CloudFrontDefaultCertificate" json:"CloudFrontDefaultCertificate"`
	IAMCertificateId             string `xml:"IAMCertificateId,omitempty" json:"IAMCertificateId,omitempty"`
	ACMCertificateArn            string `xml:"ACMCertificateArn,omitempty" json:"ACMCertificateArn,omitempty"`
	SSLSupportMethod             string `xml:"SSLSupportMethod,omitempty" json:"SSLSupportMethod,omitempty"`
	MinimumProtocolVersion       string `xml:"MinimumProtocolVersion,omitempty" json:"MinimumProtocolVersion,omitempty"`
	Certificate                  string `xml:"Certificate,omitempty" json:"Certificate,omitempty"`
	CertificateSource            string `xml:"CertificateSource,omitempty" json:"CertificateSource,omitempty"`
}

// Restrictions holds the geographic restriction.
type Restrictions struct {
	GeoRestriction GeoRestriction `xml:"GeoRestriction" json:"GeoRestriction"`
}

// GeoRestriction lets in or keeps out countries (ISO 3166-1 alpha-2). RestrictionType is none,
// whitelist or blacklist.
type GeoRestriction struct {
	RestrictionType string   `xml:"RestrictionType" json:"RestrictionType"`
	Quantity        int      `xml:"Quantity" json:"Quantity"`
	Items           []string `xml:"Items>Location,omitempty" json:"Items,omitempty"`
}

// TenantConfig makes a distribution a template for tenants.
type TenantConfig struct {
	ParameterDefinitions []ParameterDefinition `xml:"ParameterDefinitions>member,omitempty" json:"ParameterDefinitions,omitempty"`
}

// ParameterDefinition is one parameter of a [TenantConfig].
type ParameterDefinition struct {
	Name       string                    `xml:"Name" json:"Name"`
	Definition ParameterDefinitionSchema `xml:"Definition" json:"Definition"`
}

// ParameterDefinitionSchema is the type of a parameter.
type ParameterDefinitionSchema struct {
	StringSchema *StringSchemaConfig `xml:"StringSchema,omitempty" json:"StringSchema,omitempty"`
}

// StringSchemaConfig is a string parameter.
type StringSchemaConfig struct {
	Comment      string `xml:"Comment,omitempty" json:"Comment,omitempty"`
	DefaultValue string `xml:"DefaultValue,omitempty" json:"DefaultValue,omitempty"`
	Required     bool   `xml:"Required" json:"Required"`
}

// ViewerMtlsConfig asks viewers for a certificate.
type ViewerMtlsConfig struct {
	Mode             string            `xml:"Mode,omitempty" json:"Mode,omitempty"`
	TrustStoreConfig *TrustStoreConfig `xml:"TrustStoreConfig,omitempty" json:"TrustStoreConfig,omitempty"`
}

// TrustStoreConfig names who may have signed a viewer's certificate.
type TrustStoreConfig struct {
	TrustStoreId               string `xml:"TrustStoreId" json:"TrustStoreId"`
	AdvertiseTrustStoreCaNames bool   `xml:"AdvertiseTrustStoreCaNames" json:"AdvertiseTrustStoreCaNames"`
	IgnoreCertificateExpiry    bool   `xml:"IgnoreCertificateExpiry" json:"IgnoreCertificateExpiry"`
}

// ConnectionFunctionAssociation names a function that decides about connections.
type ConnectionFunctionAssociation struct {
	Id string `xml:"Id" json:"Id"`
}

// CacheTagConfig names the header that carries cache tags.
type CacheTagConfig struct {
	HeaderName string `xml:"HeaderName" json:"HeaderName"`
}

// DistributionList is one page of distributions.
type DistributionList struct {
	Marker      string                `xml:"Marker" json:"Marker"`
	NextMarker  string                `xml:"NextMarker,omitempty" json:"NextMarker,omitempty"`
	MaxItems    int                   `xml:"MaxItems" json:"MaxItems"`
	IsTruncated bool                  `xml:"IsTruncated" json:"IsTruncated"`
	Quantity    int                   `xml:"Quantity" json:"Quantity"`
	Items       []DistributionSummary `xml:"Items>DistributionSummary,omitempty" json:"Items,omitempty"`
}

// DistributionSummary is a distribution in a [DistributionList]. It has more than fifteen fields
// because it is CloudFront's document, field for field.
type DistributionSummary struct {
	Id                            string                         `xml:"Id" json:"Id"`
	ARN                           string                         `xml:"ARN" json:"ARN"`
	ETag                          string                         `xml:"ETag,omitempty" json:"ETag,omitempty"`
	Status                        string                         `xml:"Status" json:"Status"`
	LastModifiedTime              time.Time                      `xml:"LastModifiedTime" json:"LastModifiedTime"`
	DomainName                    string                         `xml:"DomainName" json:"DomainName"`
	Aliases                       Aliases                        `xml:"Aliases" json:"Aliases"`
	Origins                       Origins                        `xml:"Origins" json:"Origins"`
	OriginGroups                  OriginGroups                   `xml:"OriginGroups" json:"OriginGroups"`
	DefaultCacheBehavior          DefaultCacheBehavior           `xml:"DefaultCacheBehavior" json:"DefaultCacheBehavior"`
	CacheBehaviors                CacheBehaviors                 `xml:"CacheBehaviors" json:"CacheBehaviors"`
	CustomErrorResponses          CustomErrorResponses           `xml:"CustomErrorResponses" json:"CustomErrorResponses"`
	Comment                       string                         `xml:"Comment" json:"Comment"`
	PriceClass                    string                         `xml:"PriceClass" json:"PriceClass"`
	Enabled                       bool                           `xml:"Enabled" json:"Enabled"`
	ViewerCertificate             ViewerCertificate              `xml:"ViewerCertificate" json:"ViewerCertificate"`
	Restrictions                  Restrictions                   `xml:"Restrictions" json:"Restrictions"`
	WebACLId                      string                         `xml:"WebACLId" json:"WebACLId"`
	HttpVersion                   string                         `xml:"HttpVersion" json:"HttpVersion"`
	IsIPV6Enabled                 bool                           `xml:"IsIPV6Enabled" json:"IsIPV6Enabled"`
	AliasICPRecordals             []AliasICPRecordal             `xml:"AliasICPRecordals>AliasICPRecordal,omitempty" json:"AliasICPRecordals,omitempty"`
	Staging                       bool                           `xml:"Staging" json:"Staging"`
	ConnectionMode                string                         `xml:"ConnectionMode,omitempty" json:"ConnectionMode,omitempty"`
	AnycastIpListId               string                         `xml:"AnycastIpListId,omitempty" json:"AnycastIpListId,omitempty"`
	ViewerMtlsConfig              *ViewerMtlsConfig              `xml:"ViewerMtlsConfig,omitempty" json:"ViewerMtlsConfig,omitempty"`
	ConnectionFunctionAssociation *ConnectionFunctionAssociation `xml:"ConnectionFunctionAssociation,omitempty" json:"ConnectionFunctionAssociation,omitempty"`
}

// Limits of the quotas page (docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/cloudfront-limits.html).
const (
	maxAliases   = 100
	maxOrigins   = 100
	maxBehaviors = 75
	maxHeaders   = 10
	// MaxTrustedKeyGroups is how many key groups one behaviour may trust.
	MaxTrustedKeyGroups = 4
	// MaxKeysInGroup is how many public keys one key group may hold.
	MaxKeysInGroup = 5
	maxComment     = 128
)

// NewDistributionConfig is a complete, enabled configuration of one origin that everything comes from,
// with the answers' defaults and no key group: add those and behaviours, then call [Counted].
// The caching rule is the managed policy CachingDisabled.
func NewDistributionConfig(callerReference string, origin Origin) DistributionConfig {
	return Counted(DistributionConfig{
		CallerReference: callerReference,
		Origins:         Origins{Items: []Origin{origin}},
		DefaultCacheBehavior: DefaultCacheBehavior{
			TargetOriginId:       origin.Id,
			ViewerProtocolPolicy: "allow-all",
			CachePolicyId:        CachingDisabled,
		},
		Enabled: true,
	}.Complete())
}

// CachingDisabled is the id of the managed cache policy that caches nothing
// (docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/using-managed-cache-policies.html).
const CachingDisabled = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"

// Complete returns the configuration with CloudFront's defaults in the place of what is absent. It
// never changes what is there. Stored configurations are complete.
func (c DistributionConfig) Complete() DistributionConfig {
	c.DefaultCacheBehavior = c.DefaultCacheBehavior.complete()
	c.CacheBehaviors.Items = slices.Clone(c.CacheBehaviors.Items)
	for i := range c.CacheBehaviors.Items {
		b := &c.CacheBehaviors.Items[i]
		b.DefaultCacheBehavior = b.DefaultCacheBehavior.complete()
	}
	c.Origins.Items = slices.Clone(c.Origins.Items)
	for i := range c.Origins.Items {
		c.Origins.Items[i] = c.Origins.Items[i].complete()
	}
	set(&c.PriceClass, "PriceClass_All")
	set(&c.HttpVersion, "http2")
	set(&c.Restrictions.GeoRestriction.RestrictionType, "none")
	if c.ViewerCertificate == (ViewerCertificate{}) {
		c.ViewerCertificate.CloudFrontDefaultCertificate = true
	}
	if c.ViewerCertificate.CloudFrontDefaultCertificate {
		set(&c.ViewerCertificate.MinimumProtocolVersion, "TLSv1")
		set(&c.ViewerCertificate.SSLSupportMethod, "vip")
		set(&c.ViewerCertificate.CertificateSource, "cloudfront")
	}
	return c
}

// Validate refuses, under CloudFront's code, a complete configuration that contradicts itself. It knows
// nothing of other documents: whether key groups and origin access controls exist is the engine's to say.
func (c DistributionConfig) Validate() error {
	if err := first(
		quantities(reflect.ValueOf(c), "DistributionConfig"),
		required("CallerReference", c.CallerReference, 255),
		atMost("Comment", c.Comment, maxComment),
		oneOf("PriceClass", c.PriceClass, "PriceClass_100", "PriceClass_200", "PriceClass_All", "None"),
		oneOf("HttpVersion", c.HttpVersion, "http1.1", "http2", "http3", "http2and3"),
		oneOf("GeoRestriction.RestrictionType", c.Restrictions.GeoRestriction.RestrictionType, "none", "whitelist", "blacklist"),
		c.Aliases.check(),
		c.checkRootObject(),
		c.ViewerCertificate.check(),
		c.CustomErrorResponses.check(),
		c.checkOrigins(),
	); err != nil {
		return err
	}
	return c.checkBehaviors()
}

func (c DistributionConfig) checkRootObject() *Error {
	if strings.HasPrefix(c.DefaultRootObject, "/") || len(c.DefaultRootObject) > 255 ||
		strings.ContainsFunc(c.DefaultRootObject, func(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune(`?#"<>\`, r) }) {
		return refuse("InvalidDefaultRootObject",
			"DefaultRootObject %q is not an object name of 255 characters at most without a leading slash", c.DefaultRootObject)
	}
	return nil
}

func (c DistributionConfig) checkOrigins() *Error {
	if len(c.Origins.Items) == 0 {
		return invalid("Origins is empty: a distribution needs at least one origin")
	}
	if len(c.Origins.Items) > maxOrigins {
		return refuse("TooManyOrigins", "the distribution has %d origins: %d at most", len(c.Origins.Items), maxOrigins)
	}
	var ids []string
	for _, o := range c.Origins.Items {
		if err := o.check(); err != nil {
			return err
		}
		ids = append(ids, o.Id)
	}
	for _, g := range c.OriginGroups.Items {
		for _, m := range g.Members.Items {
			if !slices.Contains(ids, m.OriginId) {
				return refuse("NoSuchOrigin", "origin group %q names the origin %q, which is not in Origins", g.Id, m.OriginId)
			}
		}
		ids = append(ids, g.Id)
	}
	return twice("Origins", ids)
}

func (c DistributionConfig) checkBehaviors() error {
	if n := len(c.CacheBehaviors.Items); n > maxBehaviors {
		return refuse("TooManyCacheBehaviors", "the distribution has %d cache behaviors: %d at most", n, maxBehaviors)
	}
	targets := map[string]bool{}
	for _, o := range c.Origins.Items {
		targets[o.Id] = true
	}
	for _, g := range c.OriginGroups.Items {
		targets[g.Id] = true
	}
	if err := c.DefaultCacheBehavior.check("DefaultCacheBehavior", targets); err != nil {
		return err
	}
	var patterns []string
	for _, b := range c.CacheBehaviors.Items {
		if err := first(checkPattern(b.PathPattern), b.DefaultCacheBehavior.check("the cache behavior of "+b.PathPattern, targets)); err != nil {
			return err
		}
		// The leading slash is implied, so /a and a are one pattern.
		patterns = append(patterns, "/"+strings.TrimPrefix(b.PathPattern, "/"))
	}
	return first(twice("CacheBehaviors", patterns))
}

func (a Aliases) check() *Error {
	if len(a.Items) > maxAliases {
		return refuse("TooManyDistributionCNAMEs", "the distribution has %d aliases: %d at most", len(a.Items), maxAliases)
	}
	var names []string
	for _, name := range a.Items {
		// A star may stand for the whole first label only (CNAMEs page of the Developer Guide).
		if !isHostName(strings.TrimPrefix(name, "*.")) {
			return invalid("the alias %q is not a host name", name)
		}
		names = append(names, strings.ToLower(name))
	}
	return twice("Aliases", names)
}

// isHostName accepts dotted labels of letters, digits, - and _ (RFC 952, RFC 1123; _ is seen in buckets).
func isHostName(name string) bool {
	if name == "" || len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, c := range []byte(label) {
			if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
				return false
			}
		}
	}
	return true
}

func (v ViewerCertificate) check() *Error {
	if v.CloudFrontDefaultCertificate && (v.ACMCertificateArn != "" || v.IAMCertificateId != "") {
		return refuse("InvalidViewerCertificate", "ViewerCertificate names the default certificate and another one: keep one of them")
	}
	if !v.CloudFrontDefaultCertificate && v.ACMCertificateArn == "" && v.IAMCertificateId == "" {
		return refuse("InvalidViewerCertificate", "ViewerCertificate names no certificate: set CloudFrontDefaultCertificate, ACMCertificateArn or IAMCertificateId")
	}
	if v.MinimumProtocolVersion != "" {
		if err := oneOf("MinimumProtocolVersion", v.MinimumProtocolVersion, "SSLv3", "TLSv1", "TLSv1_2016", "TLSv1.1_2016",
			"TLSv1.2_2018", "TLSv1.2_2019", "TLSv1.2_2021", "TLSv1.2_2025", "TLSv1.3_2025"); err != nil {
			return refuse("InvalidMinimumProtocolVersion", "%s", err.Message)
		}
	}
	if v.SSLSupportMethod != "" {
		return oneOf("SSLSupportMethod", v.SSLSupportMethod, "sni-only", "vip", "static-ip")
	}
	return nil
}

// Error codes that may have a page, and codes it may be answered with
// (docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/custom-error-pages-response-code.html).
var errorCodes = []int{400, 403, 404, 405, 414, 416, 500, 501, 502, 503, 504}

func (r CustomErrorResponses) check() *Error {
	var codes []int
	for _, e := range r.Items {
		if !slices.Contains(errorCodes, e.ErrorCode) {
			return refuse("InvalidErrorCode", "CustomErrorResponses names the error %d: it must be one of %v", e.ErrorCode, errorCodes)
		}
		if (e.ResponsePagePath == "") != (e.ResponseCode == "") {
			return invalid("the custom error response for %d needs both ResponsePagePath and ResponseCode, or neither", e.ErrorCode)
		}
		if e.ResponsePagePath != "" {
			if err := checkPath("ResponsePagePath", e.ResponsePagePath); err != nil {
				return err
			}
			code, err := strconv.Atoi(e.ResponseCode)
			if err != nil || code != 200 && !slices.Contains(errorCodes, code) || e.ResponseCode != strconv.Itoa(code) {
				return refuse("InvalidResponseCode", "ResponseCode %q must be 200 or one of %v", e.ResponseCode, errorCodes)
			}
		}
		if e.ErrorCachingMinTTL != nil && *e.ErrorCachingMinTTL < 0 {
			return invalid("ErrorCachingMinTTL is negative")
		}
		codes = append(codes, e.ErrorCode)
	}
	return twice("CustomErrorResponses", codes)
}

// checkPath accepts a path as it stands in a URL: it begins with a slash and has no query, no
// fragment, no blank and no control character.
func checkPath(where, path string) *Error {
	if !strings.HasPrefix(path, "/") || len(path) > 4000 ||
		strings.ContainsFunc(path, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`?#"<>\`, r) }) {
		return refuse("InvalidRelativePath", "%s %q is not a URL-encoded path that begins with a slash", where, path)
	}
	return nil
}
