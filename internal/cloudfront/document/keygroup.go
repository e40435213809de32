package document

import "time"

// KeyGroup is a key group as CloudFront answers it. Id is a UUID.
type KeyGroup struct {
	Id               string         `xml:"Id" json:"Id"`
	LastModifiedTime time.Time      `xml:"LastModifiedTime" json:"LastModifiedTime"`
	KeyGroupConfig   KeyGroupConfig `xml:"KeyGroupConfig" json:"KeyGroupConfig"`
}

// KeyGroupConfig is what a user decides about a key group. Items are ids of public keys, five at most.
type KeyGroupConfig struct {
	Name    string   `xml:"Name" json:"Name"`
	Items   []string `xml:"Items>PublicKey" json:"Items"`
	Comment string   `xml:"Comment" json:"Comment"`
}

// KeyGroupList is one page of key groups.
type KeyGroupList struct {
	NextMarker string            `xml:"NextMarker,omitempty" json:"NextMarker,omitempty"`
	MaxItems   int               `xml:"MaxItems" json:"MaxItems"`
	Quantity   int               `xml:"Quantity" json:"Quantity"`
	Items      []KeyGroupSummary `xml:"Items>KeyGroupSummary,omitempty" json:"Items,omitempty"`
}

// KeyGroupSummary is a key group in a [KeyGroupList].
type KeyGroupSummary struct {
	KeyGroup KeyGroup `xml:"KeyGroup" json:"KeyGroup"`
}

// Validate refuses a configuration without a name or keys, or with too many.
func (c KeyGroupConfig) Validate() error {
	if err := first(
		required("Name", c.Name, 128),
		atMost("Comment", c.Comment, maxComment),
	); err != nil {
		return err
	}
	if len(c.Items) == 0 {
		return invalid("Items is empty: a key group needs at least one public key")
	}
	if len(c.Items) > MaxKeysInGroup {
		return refuse("TooManyPublicKeysInKeyGroup", "the key group has %d public keys: %d at most", len(c.Items), MaxKeysInGroup)
	}
	return first(twice("Items", c.Items))
}
