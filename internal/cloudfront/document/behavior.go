package document

import (
	"slices"
	"strings"
)

// DefaultCacheBehavior is what happens to requests that no [CacheBehavior] matches. It has more
// than fifteen fields because it is CloudFront's document, field for field.
type DefaultCacheBehavior struct {
	TargetOriginId             string                     `xml:"TargetOriginId" json:"TargetOriginId"`
	TrustedSigners             TrustedSigners             `xml:"TrustedSigners" json:"TrustedSigners"`
	TrustedKeyGroups           TrustedKeyGroups           `xml:"TrustedKeyGroups" json:"TrustedKeyGroups"`
	ViewerProtocolPolicy       string                     `xml:"ViewerProtocolPolicy" json:"ViewerProtocolPolicy"`
	AllowedMethods             AllowedMethods             `xml:"AllowedMethods" json:"AllowedMethods"`
	SmoothStreaming            bool                       `xml:"SmoothStreaming" json:"SmoothStreaming"`
	Compress                   bool                       `xml:"Compress" json:"Compress"`
	LambdaFunctionAssociations LambdaFunctionAssociations `xml:"LambdaFunctionAssociations" json:"LambdaFunctionAssociations"`
	FunctionAssociations       FunctionAssociations       `xml:"FunctionAssociations" json:"FunctionAssociations"`
	FieldLevelEncryptionId     string                     `xml:"FieldLevelEncryptionId" json:"FieldLevelEncryptionId"`
	RealtimeLogConfigArn       string                     `xml:"RealtimeLogConfigArn,omitempty" json:"RealtimeLogConfigArn,omitempty"`
	CachePolicyId              string                     `xml:"CachePolicyId,omitempty" json:"CachePolicyId,omitempty"`
	OriginRequestPolicyId      string                     `xml:"OriginRequestPolicyId,omitempty" json:"OriginRequestPolicyId,omitempty"`
	ResponseHeadersPolicyId    string                     `xml:"ResponseHeadersPolicyId,omitempty" json:"ResponseHeadersPolicyId,omitempty"`
	GrpcConfig                 GrpcConfig                 `xml:"GrpcConfig" json:"GrpcConfig"`
	ForwardedValues            *ForwardedValues           `xml:"ForwardedValues,omitempty" json:"ForwardedValues,omitempty"`
	MinTTL                     *int64                     `xml:"MinTTL,omitempty" json:"MinTTL,omitempty"`
	DefaultTTL                 *int64                     `xml:"DefaultTTL,omitempty" json:"DefaultTTL,omitempty"`
	MaxTTL                     *int64                     `xml:"MaxTTL,omitempty" json:"MaxTTL,omitempty"`
}

// CacheBehavior is what happens to requests whose path matches PathPattern; the first match in the
// list wins. Everything but the pattern is a [DefaultCacheBehavior].
type CacheBehavior struct {
	PathPattern string `xml:"PathPattern" json:"PathPattern"`
	DefaultCacheBehavior
}

// CacheBehaviors is the ordered list of behaviours, without the default one.
type CacheBehaviors struct {
	Quantity int             `xml:"Quantity" json:"Quantity"`
	Items    []CacheBehavior `xml:"Items>CacheBehavior,omitempty" json:"Items,omitempty"`
}

// TrustedSigners lists accounts whose key pairs may sign (legacy). Postern refuses any.
type TrustedSigners struct {
	Enabled  bool     `xml:"Enabled" json:"Enabled"`
	Quantity int      `xml:"Quantity" json:"Quantity"`
	Items    []string `xml:"Items>AwsAccountNumber,omitempty" json:"Items,omitempty"`
}

// TrustedKeyGroups lists the key groups whose keys may sign. Enabled means that a signature is
// needed; [DistributionConfig.Validate] sees to it that Enabled and a filled list go together.
type TrustedKeyGroups struct {
	Enabled  bool     `xml:"Enabled" json:"Enabled"`
	Quantity int      `xml:"Quantity" json:"Quantity"`
	Items    []string `xml:"Items>KeyGroup,omitempty" json:"Items,omitempty"`
}

// AllowedMethods are the methods that reach the origin: GET and HEAD, those and OPTIONS, or all seven.
type AllowedMethods struct {
	Quantity      int           `xml:"Quantity" json:"Quantity"`
	Items         []string      `xml:"Items>Method,omitempty" json:"Items,omitempty"`
	CachedMethods CachedMethods `xml:"CachedMethods" json:"CachedMethods"`
}

// CachedMethods are the methods whose answers may be cached: GET and HEAD, or those and OPTIONS.
type CachedMethods struct {
	Quantity int      `xml:"Quantity" json:"Quantity"`
	Items    []string `xml:"Items>Method,omitempty" json:"Items,omitempty"`
}

// LambdaFunctionAssociations are the Lambda@Edge functions of a behaviour.
type LambdaFunctionAssociations struct {
	Quantity int                         `xml:"Quantity" json:"Quantity"`
	Items    []LambdaFunctionAssociation `xml:"Items>LambdaFunctionAssociation,omitempty" json:"Items,omitempty"`
}

// LambdaFunctionAssociation is one Lambda@Edge function and its event.
type LambdaFunctionAssociation struct {
	LambdaFunctionARN string `xml:"LambdaFunctionARN" json:"LambdaFunctionARN"`
	EventType         string `xml:"EventType" json:"EventType"`
	IncludeBody       bool   `xml:"IncludeBody" json:"IncludeBody"`
}

// FunctionAssociations are the CloudFront Functions of a behaviour.
type FunctionAssociations struct {
	Quantity int                   `xml:"Quantity" json:"Quantity"`
	Items    []FunctionAssociation `xml:"Items>FunctionAssociation,omitempty" json:"Items,omitempty"`
}

// FunctionAssociation is one CloudFront Function and its event.
type FunctionAssociation struct {
	FunctionARN string `xml:"FunctionARN" json:"FunctionARN"`
	EventType   string `xml:"EventType" json:"EventType"`
}

// GrpcConfig lets gRPC through.
type GrpcConfig struct {
	Enabled bool `xml:"Enabled" json:"Enabled"`
}

// ForwardedValues is the form of caching rules that came before cache policies.
type ForwardedValues struct {
	QueryString          bool                 `xml:"QueryString" json:"QueryString"`
	Cookies              CookiePreference     `xml:"Cookies" json:"Cookies"`
	Headers              Headers              `xml:"Headers" json:"Headers"`
	QueryStringCacheKeys QueryStringCacheKeys `xml:"QueryStringCacheKeys" json:"QueryStringCacheKeys"`
}

// CookiePreference says which cookies are forwarded. Forward is none, whitelist or all.
type CookiePreference struct {
	Forward          string       `xml:"Forward" json:"Forward"`
	WhitelistedNames *CookieNames `xml:"WhitelistedNames,omitempty" json:"WhitelistedNames,omitempty"`
}

// CookieNames is a list of cookie names.
type CookieNames struct {
	Quantity int      `xml:"Quantity" json:"Quantity"`
	Items    []string `xml:"Items>Name,omitempty" json:"Items,omitempty"`
}

// Headers is a list of header names.
type Headers struct {
	Quantity int      `xml:"Quantity" json:"Quantity"`
	Items    []string `xml:"Items>Name,omitempty" json:"Items,omitempty"`
}

// QueryStringCacheKeys is a list of query parameter names.
type QueryStringCacheKeys struct {
	Quantity int      `xml:"Quantity" json:"Quantity"`
	Items    []string `xml:"Items>Name,omitempty" json:"Items,omitempty"`
}

var (
	readMethods    = []string{"GET", "HEAD"}
	optionsMethods = []string{"GET", "HEAD", "OPTIONS"}
	allMethods     = []string{"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"}
)

func (b DefaultCacheBehavior) complete() DefaultCacheBehavior {
	if b.AllowedMethods.Quantity == 0 && len(b.AllowedMethods.Items) == 0 {
		b.AllowedMethods.Quantity, b.AllowedMethods.Items = 2, slices.Clone(readMethods)
	}
	if m := &b.AllowedMethods.CachedMethods; m.Quantity == 0 && len(m.Items) == 0 {
		m.Quantity, m.Items = 2, slices.Clone(readMethods)
	}
	if b.ForwardedValues != nil {
		// Defaults of the legacy form: 0, a day, a year (Expiration page of the Developer Guide).
		for _, ttl := range []struct {
			field **int64
			value int64
		}{{&b.MinTTL, 0}, {&b.DefaultTTL, 86400}, {&b.MaxTTL, 31536000}} {
			if *ttl.field == nil {
				*ttl.field = &ttl.value
			}
		}
	}
	return b
}

func (b DefaultCacheBehavior) check(where string, targets map[string]bool) *Error {
	if !targets[b.TargetOriginId] {
		return refuse("NoSuchOrigin", "%s sends requests to the origin %q, which is not in Origins", where, b.TargetOriginId)
	}
	if err := oneOf("ViewerProtocolPolicy of "+where, b.ViewerProtocolPolicy, "allow-all", "https-only", "redirect-to-https"); err != nil {
		return err
	}
	if err := checkMethods("AllowedMethods of "+where, b.AllowedMethods.Items, readMethods, optionsMethods, allMethods); err != nil {
		return err
	}
	if err := checkMethods("CachedMethods of "+where, b.AllowedMethods.CachedMethods.Items, readMethods, optionsMethods); err != nil {
		return err
	}
	for _, m := range b.AllowedMethods.CachedMethods.Items {
		if !slices.Contains(b.AllowedMethods.Items, m) {
			return invalid("CachedMethods of %s lists %s, which AllowedMethods does not", where, m)
		}
	}
	if err := b.TrustedKeyGroups.check(where); err != nil {
		return err
	}
	if b.CachePolicyId == "" && b.ForwardedValues == nil {
		return invalid("The parameter ForwardedValues is required: %s has neither a CachePolicyId nor ForwardedValues", where)
	}
	if b.CachePolicyId != "" && b.ForwardedValues != nil {
		return invalid("The parameter ForwardedValues cannot be used when a cache policy is associated to the cache behavior: %s has both", where)
	}
	if b.ForwardedValues != nil {
		if err := oneOf("Cookies.Forward of "+where, b.ForwardedValues.Cookies.Forward, "none", "whitelist", "all"); err != nil {
			return refuse("InvalidForwardCookies", "%s", err.Message)
		}
	}
	// Lowest first; nil is not compared.
	low := int64(0)
	for _, ttl := range []*int64{b.MinTTL, b.DefaultTTL, b.MaxTTL} {
		if ttl == nil {
			continue
		}
		if *ttl < low {
			return refuse("InvalidTTLOrder", "%s must have 0 <= MinTTL <= DefaultTTL <= MaxTTL", where)
		}
		low = *ttl
	}
	return nil
}

// check sees to it that Enabled and the list say the same: a list with Enabled false would read as
// private and be served as public.
func (g TrustedKeyGroups) check(where string) *Error {
	if len(g.Items) > MaxTrustedKeyGroups {
		return refuse("TooManyKeyGroupsAssociatedToDistribution", "%s trusts %d key groups: %d at most", where, len(g.Items), MaxTrustedKeyGroups)
	}
	if g.Enabled && len(g.Items) == 0 {
		return invalid("TrustedKeyGroups of %s is enabled and lists no key group", where)
	}
	if !g.Enabled && len(g.Items) > 0 {
		return invalid("TrustedKeyGroups of %s lists key groups and is not enabled: set Enabled to true, or empty the list to serve without signatures", where)
	}
	return twice("TrustedKeyGroups of "+where, g.Items)
}

func checkMethods(where string, got []string, sets ...[]string) *Error {
	sorted := slices.Sorted(slices.Values(got))
	for _, s := range sets {
		if slices.Equal(sorted, s) {
			return nil
		}
	}
	return invalid("%s is %v: it must be one of the sets %v", where, got, sets)
}

// patternBytes may stand in a path pattern besides letters and digits
// (docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/DownloadDistValuesCacheBehavior.html).
const patternBytes = `_-.*$/~"'@:+&?`

func checkPattern(p string) *Error {
	if p == "" || len(p) > 255 {
		return invalid("PathPattern %q must have 1 to 255 characters", p)
	}
	for _, c := range []byte(p) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte(patternBytes, c) >= 0) {
			return invalid("PathPattern %q holds %q: only letters, digits and %s may stand in it", p, c, patternBytes)
		}
	}
	return nil
}
