package document

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
