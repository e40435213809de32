package document

import "time"

// PublicKey is a public key as CloudFront answers it. Id is K and 13 upper-case letters or digits
// and is the Key-Pair-Id of signed URLs.
type PublicKey struct {
	Id              string          `xml:"Id" json:"Id"`
	CreatedTime     time.Time       `xml:"CreatedTime" json:"CreatedTime"`
	PublicKeyConfig PublicKeyConfig `xml:"PublicKeyConfig" json:"PublicKeyConfig"`
}

// PublicKeyConfig is what a user decides about a public key. EncodedKey is the PEM text, kept byte
// for byte. Only Comment may change later.
type PublicKeyConfig struct {
	CallerReference string `xml:"CallerReference" json:"CallerReference"`
	Name            string `xml:"Name" json:"Name"`
	EncodedKey      string `xml:"EncodedKey" json:"EncodedKey"`
	Comment         string `xml:"Comment" json:"Comment"`
}

// PublicKeyList is one page of public keys.
type PublicKeyList struct {
	NextMarker string             `xml:"NextMarker,omitempty" json:"NextMarker,omitempty"`
	MaxItems   int                `xml:"MaxItems" json:"MaxItems"`
	Quantity   int                `xml:"Quantity" json:"Quantity"`
	Items      []PublicKeySummary `xml:"Items>PublicKeySummary,omitempty" json:"Items,omitempty"`
}

// PublicKeySummary is a public key in a [PublicKeyList].
type PublicKeySummary struct {
	Id          string    `xml:"Id" json:"Id"`
	Name        string    `xml:"Name" json:"Name"`
	CreatedTime time.Time `xml:"CreatedTime" json:"CreatedTime"`
	EncodedKey  string    `xml:"EncodedKey" json:"EncodedKey"`
	Comment     string    `xml:"Comment" json:"Comment"`
}
