package document

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
