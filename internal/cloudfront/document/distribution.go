package document

import "time"

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
