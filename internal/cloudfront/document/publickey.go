package document

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"time"
)

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

// Key reads EncodedKey: one PEM block PUBLIC KEY (SubjectPublicKeyInfo), RSA of 2048 bits or ECDSA on
// P-256, as *rsa.PublicKey or *ecdsa.PublicKey
// (docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/private-content-trusted-signers.html).
// Anything else is an *[Error].
func (c PublicKeyConfig) Key() (crypto.PublicKey, error) {
	// CloudFront's own sentence first, so that people recognise it; then what is wrong here.
	bad := func(format string, args ...any) error {
		return invalid("Your request contains empty/invalid/out of limits RSA Encoded Key: %s", fmt.Sprintf(format, args...))
	}
	block, rest := pem.Decode([]byte(c.EncodedKey))
	switch {
	case block == nil:
		return nil, bad("EncodedKey is not PEM; it must be what `openssl pkey -pubout` prints, line breaks and all")
	case block.Type == "RSA PUBLIC KEY":
		return nil, bad("EncodedKey is a PKCS#1 block; convert it with `openssl rsa -RSAPublicKey_in -pubout`")
	case block.Type != "PUBLIC KEY":
		// A private key may have been pasted in: say its kind, never its text.
		return nil, bad("EncodedKey is a %q block; it must be a PUBLIC KEY", block.Type)
	case strings.TrimSpace(string(rest)) != "":
		return nil, bad("EncodedKey holds more than one PEM block")
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, bad("EncodedKey does not hold a public key")
	}
	switch k := key.(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() != 2048 {
			return nil, bad("it is an RSA key of %d bits; it must have 2048", k.N.BitLen())
		}
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() {
			return nil, bad("it is an ECDSA key on %s; it must be on P-256", k.Curve.Params().Name)
		}
	default:
		return nil, bad("it is neither an RSA nor an ECDSA key")
	}
	return key, nil
}

// Validate refuses a configuration without a reference, a name or a key CloudFront takes.
func (c PublicKeyConfig) Validate() error {
	if err := first(
		required("CallerReference", c.CallerReference, 255),
		required("Name", c.Name, 128),
		atMost("Comment", c.Comment, maxComment),
		atMost("EncodedKey", c.EncodedKey, 8192),
	); err != nil {
		return err
	}
	_, err := c.Key()
	return err
}
