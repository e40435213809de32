package document

// OriginAccessControl is an origin access control as CloudFront answers it. Id is E and 13
// upper-case letters or digits.
type OriginAccessControl struct {
	Id                        string                    `xml:"Id" json:"Id"`
	OriginAccessControlConfig OriginAccessControlConfig `xml:"OriginAccessControlConfig" json:"OriginAccessControlConfig"`
}

// OriginAccessControlConfig is what a user decides about an origin access control: how requests to
// an origin are signed. SigningBehavior is always, never or no-override.
type OriginAccessControlConfig struct {
	Name                          string `xml:"Name" json:"Name"`
	Description                   string `xml:"Description" json:"Description"`
	SigningProtocol               string `xml:"SigningProtocol" json:"SigningProtocol"`
	SigningBehavior               string `xml:"SigningBehavior" json:"SigningBehavior"`
	OriginAccessControlOriginType string `xml:"OriginAccessControlOriginType" json:"OriginAccessControlOriginType"`
}

// OriginAccessControlList is one page of origin access controls.
type OriginAccessControlList struct {
	Marker      string                       `xml:"Marker" json:"Marker"`
	NextMarker  string                       `xml:"NextMarker,omitempty" json:"NextMarker,omitempty"`
	MaxItems    int                          `xml:"MaxItems" json:"MaxItems"`
	IsTruncated bool                         `xml:"IsTruncated" json:"IsTruncated"`
	Quantity    int                          `xml:"Quantity" json:"Quantity"`
	Items       []OriginAccessControlSummary `xml:"Items>OriginAccessControlSummary,omitempty" json:"Items,omitempty"`
}

// OriginAccessControlSummary is an origin access control in an [OriginAccessControlList].
type OriginAccessControlSummary struct {
	Id                            string `xml:"Id" json:"Id"`
	Description                   string `xml:"Description" json:"Description"`
	Name                          string `xml:"Name" json:"Name"`
	SigningProtocol               string `xml:"SigningProtocol" json:"SigningProtocol"`
	SigningBehavior               string `xml:"SigningBehavior" json:"SigningBehavior"`
	OriginAccessControlOriginType string `xml:"OriginAccessControlOriginType" json:"OriginAccessControlOriginType"`
}

// Validate refuses a configuration without a name or with a word CloudFront does not know.
func (c OriginAccessControlConfig) Validate() error {
	return first(
		required("Name", c.Name, 64),
		atMost("Description", c.Description, 256),
		oneOf("SigningProtocol", c.SigningProtocol, "sigv4"),
		oneOf("SigningBehavior", c.SigningBehavior, "always", "never", "no-override"),
		oneOf("OriginAccessControlOriginType", c.OriginAccessControlOriginType, "s3", "mediastore", "mediapackagev2", "lambda"),
	)
}
