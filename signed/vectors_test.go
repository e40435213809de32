package signed

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"math/big"
	"net/netip"
	"testing"
	"time"
)

// The public keys behind the published vectors. AWS's are RSA-1024 but for Go's, which has 2047 bits and
// the exponent 3; CloudFront would take none of these RSA keys.
const (
	// aws/aws-cli tests/functional/cloudfront/testdata/test-rsa-key-public.pem
	awsRSAKey = "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC9V3AbaAks3cqqpghX4dF3i4rgrZROm11G7HAG5ewFCEs20DSs4DtRcEQQzHXX2MjkP9pwz8y4YACthCr/nRIuP2BHS4NnGzmsY34Up+snMDPgudNi7PwrcRyAnKrOHELOwU5RX5N9oMuzqpC0207bSBjFmrAQEBy4WyWbLQ6drwIDAQAB"
	// aws/aws-cli tests/functional/cloudfront/testdata/test-ecdsa-key-public.pem
	awsECKey = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEu9ASuRjljtB5UHKHZcGDihuOTYO3HWoCGMkYGVBCHd4LBWONyrUD3ICi1ENTTzicrhXGArZIuOtFLDldU4U8Tw=="
	// Of the private key inside boto/boto tests/unit/cloudfront/test_signed_urls.py
	awsGuideKey = "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDA7ki9gI/lRygIoOjV1yymgx6FYFlzJ+z1ATMaLo57nL57AavWhb68HYY8EA0GJU9xQdMVaHBogF3eiCWYXSUZCWM/+M5+ZcdQraRRScucmn6g4EvY2K4W2pxbqH8vmUikPxir41EeBPLjMOzKvbzzQy9e/zzIQVREKSp/7y1mywIDAQAB"
	// Of aws/aws-sdk-ruby gems/aws-sdk-cloudfront/spec/cf_private_key.pem, later rsa_dummy_key
	awsRubyKey = "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC6YewnvN7Jj4vrhqqgL6A45Gy4ju82dPcUoTEpg7wCc3gByuvnH6QgcGsIB0UDklyEJ8gOlmeskAviGHxAhfRJ43yWKpKpIpjHk3Q6ORA547CWxE9Q79t7SE61zGW7AuvD4NvTyeNxlEQxmZLtt/NC4WFhfs5oskfgYxeqE3bP1QIDAQAB"
	// aws/aws-sdk-go-v2 internal/awstesting/unit/unit.go, RSAPrivateKey.N
	awsGoModulus = "14314132931241006650998084889274020608918049032671858325988396851334124245188214251956198731333464217832226406088020736932173064754214329009979944037640912127943488972644697423190955557435910767690712778463524983667852819010259499695177313115447116110358524558307947613422897787329221478860907963827160223559690523660574329011927531289655711860504630573766609239332569210831325633840174683944553667352219670930408593321661375473885147973879086994006440025257225431977751512374815915392249179976902953721486040787792801849818254465486633791826766873076617116727073077821584676715609985777563958286637185868165868520557"
)

func vectorKeys(t testing.TB) map[string]*Key {
	t.Helper()
	spki := func(text string) crypto.PublicKey {
		der, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		pub, err := x509.ParsePKIXPublicKey(der)
		if err != nil {
			t.Fatal(err)
		}
		return pub
	}
	n, _ := new(big.Int).SetString(awsGoModulus, 10)
	keys := make(map[string]*Key)
	for id, pub := range map[string]crypto.PublicKey{
		"K1TESTKEY": spki(awsRSAKey), "K2ECDSATEST": spki(awsECKey), "PK123456789754": spki(awsGuideKey),
		"CF_KEYPAIR_ID": spki(awsRubyKey), "KeyID": &rsa.PublicKey{N: n, E: 3},
	} {
		k, err := NewTestVectorKey(pub)
		if err != nil {
			t.Fatal(err)
		}
		keys[id] = k
	}
	return keys
}

func keysOf(keys map[string]*Key) func(string) (*Key, bool) {
	return func(id string) (*Key, bool) { k, ok := keys[id]; return k, ok }
}

type vector struct {
	name, source  string
	keyID         string
	url, cookies  string
	at            int64 // the last second it is good
	ip            string
	canned        bool
	resource      string
	after, before int64 // DateLessThan, DateGreaterThan
	address       string
	hash          Hash
}

// vectors are all published signatures with a key, from the repositories named with each.
var vectors = []vector{
	{
		name: "canned SHA1", source: "aws/aws-cli tests/functional/cloudfront/testdata/sign-test-cases.json; aws/aws-sdk-ruby url_signer_spec.rb",
		keyID: "K1TESTKEY", at: 1767290399, ip: "", canned: true,
		resource: "https://d111111abcdef8.cloudfront.net/image.jpg", after: 1767290400, before: 0, address: "", hash: SHA1,
		url: "https://d111111abcdef8.cloudfront.net/image.jpg?Expires=1767290400&Signature=iONoMLnhiCy9q1~WB9GkR2DiHz18I85i3o6kZ64REf-fCSOg-AyXEZiq7fJuS~DT-kbZXjVpgIQqI4sCTcBW9XpO6dyJ5sh8Igk3V~OVncS9acGVnI~ZhHBWiGhU8GmkEMAhn6R2RGO-wKGClrXdJGEUE26XoALdHUzHbmU6AGI_&Key-Pair-Id=K1TESTKEY",
	},
	{
		name: "canned SHA256", source: "aws/aws-cli tests/functional/cloudfront/testdata/sign-test-cases.json; aws/aws-sdk-ruby url_signer_spec.rb",
		keyID: "K1TESTKEY", at: 1767290399, ip: "", canned: true,
		resource: "https://d111111abcdef8.cloudfront.net/image.jpg", after: 1767290400, before: 0, address: "", hash: SHA256,
		url: "https://d111111abcdef8.cloudfront.net/image.jpg?Expires=1767290400&Signature=LiC~LakvNvZtR~AsTcirQ0CAsy-YIZmpHmI9uImK4xJmrhVdJULhWmRt3bXO7qqw2gJDECZN-xC~bKWEKcJ9Vgs1IgpRdMkY6XGDKZ1XHBdNbd~0v5UiRf4zXwVMRqoynkQPQcihkze7RkDBsOoYHh9jDdtO1iDm0QZ1Qp~cxro_&Key-Pair-Id=K1TESTKEY&Hash-Algorithm=SHA256",
	},
	{
		name: "canned with query SHA1", source: "aws/aws-cli tests/functional/cloudfront/testdata/sign-test-cases.json; aws/aws-sdk-ruby url_signer_spec.rb",
		keyID: "K1TESTKEY", at: 1767290399, ip: "", canned: true,
		resource: "https://d111111abcdef8.cloudfront.net/image.jpg?size=large", after: 1767290400, before: 0, address: "", hash: SHA1,
		url: "https://d111111abcdef8.cloudfront.net/image.jpg?size=large&Expires=1767290400&Signature=kx5dxV5cSW50EuCMtYi9JI0D5H97if~zNqwKxZtS7FPc3NV5oi~zCb45ti8ve-YDYw45hzN4lceF6zhW~STVWa7r7fC9wi5XBG1T6ZT2b9R0wMWmGxsy9uVGXFn6JqcjQMsq09MnWrPezK0qFQ2X6pV1nGQqLQZ2sgO~FSlEoCo_&Key-Pair-Id=K1TESTKEY",
	},
	{
		name: "canned with query SHA256", source: "aws/aws-cli tests/functional/cloudfront/testdata/sign-test-cases.json; aws/aws-sdk-ruby url_signer_spec.rb",
		keyID: "K1TESTKEY", at: 1767290399, ip: "", canned: true,
		resource: "https://d111111abcdef8.cloudfront.net/image.jpg?size=large", after: 1767290400, before: 0, address: "", hash: SHA256,
		url: "https://d111111abcdef8.cloudfront.net/image.jpg?size=large&Expires=1767290400&Signature=g8vzqbTu5PxBzAXD3zowGFNHNlyaGZn7thMiCk27sTfvdy5CMAbECVz-aucgqrKYmqsz1xY7ZoxoMxOizzXWzfzTyJ6k38YwW6QMyJWT7B8pHStQrq0DGFSCnXqgRDXUDzkpIe8mHqyRWtgnFbdFQlbPweykfl7Eo4RJadveryQ_&Key-Pair-Id=K1TESTKEY&Hash-Algorithm=SHA256",
	},
	{
		name: "custom with start SHA1", source: "aws/aws-cli tests/functional/cloudfront/testdata/sign-test-cases.json; aws/aws-sdk-ruby url_signer_spec.rb",
		keyID: "K1TESTKEY", at: 1767290399, ip: "", canned: false,
		resource: "https://d111111abcdef8.cloudfront.net/video.mp4", after: 1767290400, before: 1767200000, address: "", hash: SHA1,
		url: "https://d111111abcdef8.cloudfront.net/video.mp4?Policy=eyJTdGF0ZW1lbnQiOlt7IlJlc291cmNlIjoiaHR0cHM6Ly9kMTExMTExYWJjZGVmOC5jbG91ZGZyb250Lm5ldC92aWRlby5tcDQiLCJDb25kaXRpb24iOnsiRGF0ZUxlc3NUaGFuIjp7IkFXUzpFcG9jaFRpbWUiOjE3NjcyOTA0MDB9LCJEYXRlR3JlYXRlclRoYW4iOnsiQVdTOkVwb2NoVGltZSI6MTc2NzIwMDAwMH19fV19&Signature=aF0WSOV6dkNn-D0HJ~-EwLG69-4QZZ9dv1PgAZEsER~WXkaNa1pBM2aTVXrskBWVHUU6hc1nD6ZKYgBS5Sb9JluFVT0MbQWR~DrtUGu8ugCsnfzUe6ov38nFPBwQICY~jnoQZEXxO2ZkQrluOO4~jWOpqAGrCw5tkdHAnb9gHYQ_&Key-Pair-Id=K1TESTKEY",
	},
	{
		name: "custom with start SHA256", source: "aws/aws-cli tests/functional/cloudfront/testdata/sign-test-cases.json; aws/aws-sdk-ruby url_signer_spec.rb",
		keyID: "K1TESTKEY", at: 1767290399, ip: "", canned: false,
		resource: "https://d111111abcdef8.cloudfront.net/video.mp4", after: 1767290400, before: 1767200000, address: "", hash: SHA256,
		url: "https://d111111abcdef8.cloudfront.net/video.mp4?Policy=eyJTdGF0ZW1lbnQiOlt7IlJlc291cmNlIjoiaHR0cHM6Ly9kMTExMTExYWJjZGVmOC5jbG91ZGZyb250Lm5ldC92aWRlby5tcDQiLCJDb25kaXRpb24iOnsiRGF0ZUxlc3NUaGFuIjp7IkFXUzpFcG9jaFRpbWUiOjE3NjcyOTA0MDB9LCJEYXRlR3JlYXRlclRoYW4iOnsiQVdTOkVwb2NoVGltZSI6MTc2NzIwMDAwMH19fV19&Signature=RKoXpBb3IFyONXBnGGPj6021LmYyaphTYom0DsDID20xlCaK8gvNpcbYw493LloPhtDdGTdyadyuR59ok8eSPpJReRGbHbw8FDjGSXE9JWsVayzI7t7ZPGfPtKgK~ij0AekXDNQNFNUdwuSE0aR5nQmuPhw7CfDHCMpTWmoKPgE_&Key-Pair-Id=K1TESTKEY&Hash-Algorithm=SHA256",
	},
	{
		name: "custom with address SHA1", source: "aws/aws-cli tests/functional/cloudfront/testdata/sign-test-cases.json; aws/aws-sdk-ruby url_signer_spec.rb",
		keyID: "K1TESTKEY", at: 1767290399, ip: "192.168.0.77", canned: false,
		resource: "https://d111111abcdef8.cloudfront.net/document.pdf", after: 1767290400, before: 0, address: "192.168.0.0/24", hash: SHA1,
		url: "https://d111111abcdef8.cloudfront.net/document.pdf?Policy=eyJTdGF0ZW1lbnQiOlt7IlJlc291cmNlIjoiaHR0cHM6Ly9kMTExMTExYWJjZGVmOC5jbG91ZGZyb250Lm5ldC9kb2N1bWVudC5wZGYiLCJDb25kaXRpb24iOnsiRGF0ZUxlc3NUaGFuIjp7IkFXUzpFcG9jaFRpbWUiOjE3NjcyOTA0MDB9LCJJcEFkZHJlc3MiOnsiQVdTOlNvdXJjZUlwIjoiMTkyLjE2OC4wLjAvMjQifX19XX0_&Signature=fq~vePR~kmc5kWDveZOJ3j6PSYRsHSSanN1shBBpj2rQwvVQPU8e9MRwUDizOYHLnuAXQG89Xm7kXL03HIX0uzELcY2Q6Bw68BcGQHq-nyC2U6h0Uv277pg~FIwatR84y1FZiswIVmZwfPmpkvR0X~1skuooCPGiztAXREe-hsg_&Key-Pair-Id=K1TESTKEY",
	},
	{
		name: "custom with address SHA256", source: "aws/aws-cli tests/functional/cloudfront/testdata/sign-test-cases.json; aws/aws-sdk-ruby url_signer_spec.rb",
		keyID: "K1TESTKEY", at: 1767290399, ip: "192.168.0.77", canned: false,
		resource: "https://d111111abcdef8.cloudfront.net/document.pdf", after: 1767290400, before: 0, address: "192.168.0.0/24", hash: SHA256,
		url: "https://d111111abcdef8.cloudfront.net/document.pdf?Policy=eyJTdGF0ZW1lbnQiOlt7IlJlc291cmNlIjoiaHR0cHM6Ly9kMTExMTExYWJjZGVmOC5jbG91ZGZyb250Lm5ldC9kb2N1bWVudC5wZGYiLCJDb25kaXRpb24iOnsiRGF0ZUxlc3NUaGFuIjp7IkFXUzpFcG9jaFRpbWUiOjE3NjcyOTA0MDB9LCJJcEFkZHJlc3MiOnsiQVdTOlNvdXJjZUlwIjoiMTkyLjE2OC4wLjAvMjQifX19XX0_&Signature=aKDzeIIfHviQRbCu9jxlFpOenTNQHMnt8HL2V2cqYP0vqc-KpRBuez2k4LZAzmfH0sIiQuDMZZc1D149XYRVAjEZoqr3vzGzWmrpzZJV-CSHs-Scau1cCNdVXqswj~QX8SzOZtGsRSKb4bomqOWxSIUu~Sybjf5b12GXBcYRCH4_&Key-Pair-Id=K1TESTKEY&Hash-Algorithm=SHA256",
	},
	{
		name: "custom with wildcard SHA1", source: "aws/aws-cli tests/functional/cloudfront/testdata/sign-test-cases.json; aws/aws-sdk-ruby url_signer_spec.rb",
		keyID: "K1TESTKEY", at: 1767290399, ip: "", canned: false,
		resource: "https://d111111abcdef8.cloudfront.net/images/*", after: 1767290400, before: 0, address: "", hash: SHA1,
		url: "https://d111111abcdef8.cloudfront.net/images/photo.jpg?Policy=eyJTdGF0ZW1lbnQiOlt7IlJlc291cmNlIjoiaHR0cHM6Ly9kMTExMTExYWJjZGVmOC5jbG91ZGZyb250Lm5ldC9pbWFnZXMvKiIsIkNvbmRpdGlvbiI6eyJEYXRlTGVzc1RoYW4iOnsiQVdTOkVwb2NoVGltZSI6MTc2NzI5MDQwMH19fV19&Signature=nP~GtuBVUSEUDMXW1ZTGTx~BUQfjl7FsWBQBKwnTNhHlBAeYlzdbMGMphViPQbjawdYt1Z~iBHDr0ctooQyhEdsXwZPQKmRJQm3yIxmbvnuCzB2qdMDVGRKH8l3PnfAJErrgUVIzb6m3KUdtIDvSkLV~Mb0tyQJwZ6QE4BdlEmQ_&Key-Pair-Id=K1TESTKEY",
	},
	{
		name: "custom with wildcard SHA256", source: "aws/aws-cli tests/functional/cloudfront/testdata/sign-test-cases.json; aws/aws-sdk-ruby url_signer_spec.rb",
		keyID: "K1TESTKEY", at: 1767290399, ip: "", canned: false,
		resource: "https://d111111abcdef8.cloudfront.net/images/*", after: 1767290400, before: 0, address: "", hash: SHA256,
		url: "https://d111111abcdef8.cloudfront.net/images/photo.jpg?Policy=eyJTdGF0ZW1lbnQiOlt7IlJlc291cmNlIjoiaHR0cHM6Ly9kMTExMTExYWJjZGVmOC5jbG91ZGZyb250Lm5ldC9pbWFnZXMvKiIsIkNvbmRpdGlvbiI6eyJEYXRlTGVzc1RoYW4iOnsiQVdTOkVwb2NoVGltZSI6MTc2NzI5MDQwMH19fV19&Signature=FoaoRDqA7H91xD8CL2zk2Ztm6WVx3kIunCdqvzwMCUdsduwVWEH8elbBZc2qqWy3ZixDBBEHegeJnZbgp~nHTsYtr~jv6R-8~BnmmvH3KNyjH7wgyKKtzKpteNXYacWgHYabkoreyHC4ek~JMjGo1o0gTiIeL8YCV3ueKK3Lqtk_&Key-Pair-Id=K1TESTKEY&Hash-Algorithm=SHA256",
	},
	{
		name: "cookies custom SHA1", source: "aws/aws-cli tests/functional/cloudfront/testdata/sign-cookies-test-cases.json; aws/aws-sdk-ruby cookie_signer_spec.rb",
		keyID: "K1TESTKEY", at: 1767290399, ip: "10.9.8.7", canned: false,
		resource: "https://d111111abcdef8.cloudfront.net/*", after: 1767290400, before: 0, address: "10.0.0.0/8", hash: SHA1,
		url:     "https://d111111abcdef8.cloudfront.net/image.jpg",
		cookies: "CloudFront-Policy=eyJTdGF0ZW1lbnQiOlt7IlJlc291cmNlIjoiaHR0cHM6Ly9kMTExMTExYWJjZGVmOC5jbG91ZGZyb250Lm5ldC8qIiwiQ29uZGl0aW9uIjp7IkRhdGVMZXNzVGhhbiI6eyJBV1M6RXBvY2hUaW1lIjoxNzY3MjkwNDAwfSwiSXBBZGRyZXNzIjp7IkFXUzpTb3VyY2VJcCI6IjEwLjAuMC4wLzgifX19XX0_; CloudFront-Signature=r28Jnd0t9aq7cu0k9jGWl4L0YsRxgueZtGRw5oEEspU9-eIPGM~ZGMQh36~5HpKC5c67cZjDgJcsqrCacmTHMZZx613gbeYAsx2-hEatU8URiuNHnVp4hPV3HqtbuZ6Din9iEZUpOBYVg6DWGEFJRCQ7SPouBhhJdYDZZOPHGpA_; CloudFront-Key-Pair-Id=K1TESTKEY",
	},
	{
		name: "cookies canned SHA1", source: "aws/aws-cli tests/functional/cloudfront/testdata/sign-cookies-test-cases.json; aws/aws-sdk-ruby cookie_signer_spec.rb",
		keyID: "K1TESTKEY", at: 1767290399, ip: "", canned: true,
		resource: "https://d111111abcdef8.cloudfront.net/image.jpg", after: 1767290400, before: 0, address: "", hash: SHA1,
		url:     "https://d111111abcdef8.cloudfront.net/image.jpg",
		cookies: "CloudFront-Expires=1767290400; CloudFront-Signature=iONoMLnhiCy9q1~WB9GkR2DiHz18I85i3o6kZ64REf-fCSOg-AyXEZiq7fJuS~DT-kbZXjVpgIQqI4sCTcBW9XpO6dyJ5sh8Igk3V~OVncS9acGVnI~ZhHBWiGhU8GmkEMAhn6R2RGO-wKGClrXdJGEUE26XoALdHUzHbmU6AGI_; CloudFront-Key-Pair-Id=K1TESTKEY",
	},
	{
		name: "cookies custom SHA256", source: "aws/aws-cli tests/functional/cloudfront/testdata/sign-cookies-test-cases.json; aws/aws-sdk-ruby cookie_signer_spec.rb",
		keyID: "K1TESTKEY", at: 1767290399, ip: "10.9.8.7", canned: false,
		resource: "https://d111111abcdef8.cloudfront.net/*", after: 1767290400, before: 0, address: "10.0.0.0/8", hash: SHA256,
		url:     "https://d111111abcdef8.cloudfront.net/image.jpg",
		cookies: "CloudFront-Policy=eyJTdGF0ZW1lbnQiOlt7IlJlc291cmNlIjoiaHR0cHM6Ly9kMTExMTExYWJjZGVmOC5jbG91ZGZyb250Lm5ldC8qIiwiQ29uZGl0aW9uIjp7IkRhdGVMZXNzVGhhbiI6eyJBV1M6RXBvY2hUaW1lIjoxNzY3MjkwNDAwfSwiSXBBZGRyZXNzIjp7IkFXUzpTb3VyY2VJcCI6IjEwLjAuMC4wLzgifX19XX0_; CloudFront-Signature=OzeonPh-NS8g3trdsFAo5LrMBEx1ef05GvdmWuLai6AaBLP63PVJRUGySYmGfQ-NqQ02geWzo7aZS7XFtkr4X1z9VTbQMfmzZftbuRXoP5ZDhFzVnSX3DeoEW8jP3BrOLHJsKwFCY5alIR4zO6LpqFmR5vVmqMYpRcbafg3~X18_; CloudFront-Key-Pair-Id=K1TESTKEY; CloudFront-Hash-Algorithm=SHA256",
	},
	{
		name: "cookies canned SHA256", source: "aws/aws-cli tests/functional/cloudfront/testdata/sign-cookies-test-cases.json; aws/aws-sdk-ruby cookie_signer_spec.rb",
		keyID: "K1TESTKEY", at: 1767290399, ip: "", canned: true,
		resource: "https://d111111abcdef8.cloudfront.net/image.jpg", after: 1767290400, before: 0, address: "", hash: SHA256,
		url:     "https://d111111abcdef8.cloudfront.net/image.jpg",
		cookies: "CloudFront-Expires=1767290400; CloudFront-Signature=LiC~LakvNvZtR~AsTcirQ0CAsy-YIZmpHmI9uImK4xJmrhVdJULhWmRt3bXO7qqw2gJDECZN-xC~bKWEKcJ9Vgs1IgpRdMkY6XGDKZ1XHBdNbd~0v5UiRf4zXwVMRqoynkQPQcihkze7RkDBsOoYHh9jDdtO1iDm0QZ1Qp~cxro_; CloudFront-Key-Pair-Id=K1TESTKEY; CloudFront-Hash-Algorithm=SHA256",
	},
	{
		name: "ECDSA SHA1", source: "made with the shared EC key (aws/aws-cli test-ecdsa-key.pem) over the canned /image.jpg policy",
		keyID: "K2ECDSATEST", at: 1767290399, ip: "", canned: true,
		resource: "https://d111111abcdef8.cloudfront.net/image.jpg", after: 1767290400, before: 0, address: "", hash: SHA1,
		url: "https://d111111abcdef8.cloudfront.net/image.jpg?Expires=1767290400&Signature=MEUCIGMFeibD6Rmca~2f~d4qiu21HQt6HEuVcu81-RR7giDKAiEAu4Zpoei1Cnj-L1UXBHW-S1JBLk1uYmxhkc0KyaTEQoM_&Key-Pair-Id=K2ECDSATEST",
	},
	{
		name: "ECDSA SHA256", source: "made with the shared EC key (aws/aws-cli test-ecdsa-key.pem) over the canned /image.jpg policy",
		keyID: "K2ECDSATEST", at: 1767290399, ip: "", canned: true,
		resource: "https://d111111abcdef8.cloudfront.net/image.jpg", after: 1767290400, before: 0, address: "", hash: SHA256,
		url: "https://d111111abcdef8.cloudfront.net/image.jpg?Expires=1767290400&Signature=MEUCIC4FxvrtRuu2Fp4vUJpLSGK8nS67Y1jbCF4lExWjLnSvAiEAtgOSmUlDrg2O05oQJ3V~IqQ2flmREGfSPEW7vuHu9mM_&Key-Pair-Id=K2ECDSATEST&Hash-Algorithm=SHA256",
	},
	{
		name: "2009 canned", source: "boto/boto tests/unit/cloudfront/test_signed_urls.py; dylanvaughn/aws_cf_signer test/test_aws_cf_signer.rb (AWS guide, 2009)",
		keyID: "PK123456789754", at: 1258237199, ip: "", canned: true,
		resource: "http://d604721fxaaqy9.cloudfront.net/horizon.jpg?large=yes&license=yes", after: 1258237200, before: 0, address: "", hash: SHA1,
		url: "http://d604721fxaaqy9.cloudfront.net/horizon.jpg?large=yes&license=yes&Expires=1258237200&Signature=Nql641NHEUkUaXQHZINK1FZ~SYeUSoBJMxjdgqrzIdzV2gyEXPDNv0pYdWJkflDKJ3xIu7lbwRpSkG98NBlgPi4ZJpRRnVX4kXAJK6tdNx6FucDB7OVqzcxkxHsGFd8VCG1BkC-Afh9~lOCMIYHIaiOB6~5jt9w2EOwi6sIIqrg_&Key-Pair-Id=PK123456789754",
	},
	{
		name: "2009 custom, white space", source: "boto/boto tests/unit/cloudfront/test_signed_urls.py; dylanvaughn/aws_cf_signer test/test_aws_cf_signer.rb (AWS guide, 2009)",
		keyID: "PK123456789754", at: 1258237199, ip: "145.168.143.9", canned: false,
		resource: "http://d604721fxaaqy9.cloudfront.net/training/*", after: 1258237200, before: 0, address: "145.168.143.0/24", hash: SHA1,
		url: "http://d604721fxaaqy9.cloudfront.net/training/orientation.avi?Policy=eyAKICAgIlN0YXRlbWVudCI6IFt7IAogICAgICAiUmVzb3VyY2UiOiJodHRwOi8vZDYwNDcyMWZ4YWFxeTkuY2xvdWRmcm9udC5uZXQvdHJhaW5pbmcvKiIsIAogICAgICAiQ29uZGl0aW9uIjp7IAogICAgICAgICAiSXBBZGRyZXNzIjp7IkFXUzpTb3VyY2VJcCI6IjE0NS4xNjguMTQzLjAvMjQifSwgCiAgICAgICAgICJEYXRlTGVzc1RoYW4iOnsiQVdTOkVwb2NoVGltZSI6MTI1ODIzNzIwMH0gICAgICAKICAgICAgfSAKICAgfV0gCn0K&Signature=cPFtRKvUfYNYmxek6ZNs6vgKEZP6G3Cb4cyVt~FjqbHOnMdxdT7eT6pYmhHYzuDsFH4Jpsctke2Ux6PCXcKxUcTIm8SO4b29~1QvhMl-CIojki3Hd3~Unxjw7Cpo1qRjtvrimW0DPZBZYHFZtiZXsaPt87yBP9GWnTQoaVysMxQ_&Key-Pair-Id=PK123456789754",
	},
	{
		name: "2009 custom, any host", source: "boto/boto tests/unit/cloudfront/test_signed_urls.py; dylanvaughn/aws_cf_signer test/test_aws_cf_signer.rb (AWS guide, 2009)",
		keyID: "PK123456789754", at: 1255674715, ip: "216.98.35.1", canned: false,
		resource: "http://*", after: 1255674716, before: 1241073790, address: "216.98.35.1/32", hash: SHA1,
		url: "http://d84l721fxaaqy9.cloudfront.net/downloads/pictures.tgz?Policy=eyAKICAgIlN0YXRlbWVudCI6IFt7IAogICAgICAiUmVzb3VyY2UiOiJodHRwOi8vKiIsIAogICAgICAiQ29uZGl0aW9uIjp7IAogICAgICAgICAiSXBBZGRyZXNzIjp7IkFXUzpTb3VyY2VJcCI6IjIxNi45OC4zNS4xLzMyIn0sCiAgICAgICAgICJEYXRlR3JlYXRlclRoYW4iOnsiQVdTOkVwb2NoVGltZSI6MTI0MTA3Mzc5MH0sCiAgICAgICAgICJEYXRlTGVzc1RoYW4iOnsiQVdTOkVwb2NoVGltZSI6MTI1NTY3NDcxNn0KICAgICAgfSAKICAgfV0gCn0K&Signature=rc~5Qbbm8EJXjUTQ6Cn0LAxR72g1DOPrTmdtfbWVVgQNw0q~KHUAmBa2Zv1Wjj8dDET4XSL~Myh44CLQdu4dOH~N9huH7QfPSR~O4tIOS1WWcP~2JmtVPoQyLlEc8YHRCuN3nVNZJ0m4EZcXXNAS-0x6Zco2SYx~hywTRxWR~5Q_&Key-Pair-Id=PK123456789754",
	},
	{
		name: "Ruby canned", source: "aws/aws-sdk-ruby gems/aws-sdk-cloudfront/spec/url_signer_spec.rb",
		keyID: "CF_KEYPAIR_ID", at: 1357034399, ip: "", canned: true,
		resource: "https://abc.cloudfront.net/images/image.jpg?color=red", after: 1357034400, before: 0, address: "", hash: SHA1,
		url: "https://abc.cloudfront.net/images/image.jpg?color=red&Expires=1357034400&Signature=GvrDx3aAG1u1sAQF68c~xD6LVORt36mRTvC2u5RwLjsvusXI0sJPxy3D0R8AQp4qFZlRehwh~mablw8DBNRFLQ81mazmbrUOhXbuepav5ZmCU-KgOmXtpMS49L7TLGUSfwSksDx1qriAtB4mS4iJaNt2mfo0C5G-vlt9qMftkJg_&Key-Pair-Id=CF_KEYPAIR_ID",
	},
	{
		name: "Go canned", source: "aws/aws-sdk-go-v2 feature/cloudfront/sign/sign_url_test.go",
		keyID: "KeyID", at: 1257893999, ip: "", canned: true,
		resource: "http://example.com/a", after: 1257894000, before: 0, address: "", hash: SHA1,
		url: "http://example.com/a?Expires=1257894000&Signature=cMutWOvPMOPuh0KFDsOdbML~1fe0eEBC1hdMLGRbYr3mTRrVbKDdUXL6l3vlbE0Og3rTRS6mlaSORTwesN1srESH1pXFUyCVba8tWqNy1frEiL7jZLyzA1KndH0olfJDfgHXdw-Edtk0m8mqY~AnGIYGYDu659dWeP49jVeYn30XF9sYkRCdS5IezAkqh8TO9tTDNGS4Ic6DQue4agHUFLNv1VErTafUxlSBp8hlPCuMdtZLEBLr9UJVc3oWJI3zc1~9JgVTDjbXYV1-HgTn8qQsbAU2KcieUonIzTme2td-7c2FCC0EAbOF~6QXTHWcAiSB5nVmbxn-Mx-QMVsiLw__&Key-Pair-Id=KeyID",
	},
	{
		name: "Go custom http://example.com/a", source: "aws/aws-sdk-go-v2 feature/cloudfront/sign/sign_url_test.go",
		keyID: "KeyID", at: 1257893999, ip: "", canned: false,
		resource: "http://example.com/a", after: 1257894000, before: 0, address: "", hash: SHA1,
		url: "http://example.com/a?Policy=eyJTdGF0ZW1lbnQiOlt7IlJlc291cmNlIjoiaHR0cDovL2V4YW1wbGUuY29tL2EiLCJDb25kaXRpb24iOnsiRGF0ZUxlc3NUaGFuIjp7IkFXUzpFcG9jaFRpbWUiOjEyNTc4OTQwMDB9fX1dfQ__&Signature=cMutWOvPMOPuh0KFDsOdbML~1fe0eEBC1hdMLGRbYr3mTRrVbKDdUXL6l3vlbE0Og3rTRS6mlaSORTwesN1srESH1pXFUyCVba8tWqNy1frEiL7jZLyzA1KndH0olfJDfgHXdw-Edtk0m8mqY~AnGIYGYDu659dWeP49jVeYn30XF9sYkRCdS5IezAkqh8TO9tTDNGS4Ic6DQue4agHUFLNv1VErTafUxlSBp8hlPCuMdtZLEBLr9UJVc3oWJI3zc1~9JgVTDjbXYV1-HgTn8qQsbAU2KcieUonIzTme2td-7c2FCC0EAbOF~6QXTHWcAiSB5nVmbxn-Mx-QMVsiLw__&Key-Pair-Id=KeyID",
	},
	{
		name: "Go custom https://example.com/a?b=1&c=2", source: "aws/aws-sdk-go-v2 feature/cloudfront/sign/sign_url_test.go",
		keyID: "KeyID", at: 1257893999, ip: "", canned: false,
		resource: "https://example.com/a?b=1&c=2", after: 1257894000, before: 0, address: "", hash: SHA1,
		url: "https://example.com/a?b=1&c=2&Policy=eyJTdGF0ZW1lbnQiOlt7IlJlc291cmNlIjoiaHR0cHM6Ly9leGFtcGxlLmNvbS9hP2I9MSZjPTIiLCJDb25kaXRpb24iOnsiRGF0ZUxlc3NUaGFuIjp7IkFXUzpFcG9jaFRpbWUiOjEyNTc4OTQwMDB9fX1dfQ__&Signature=E6xB7RtIDvx8AxM1Wuup3ROYTQwBDW-qqcrb8lSUvtL78wenjh3P0YLXK-mFK0PSzdNtzI2ZIXja6Nh2yma0IVQiZMjn3wijvVsMy9fRXyusVXB1zYSfiInVr2uhqSb-ZCn1RD32ebyMD6IWn5Kss1fT4wefc8Q76J0Y4jprAvmLCtGnrW~quZdOg~KKmY-qK11ifNwv2ECADBxZeEx1PIDHdWuXYrCBJIwSl-bVscwQWDm2BzeYuHCaLuAVDuc62JJzc7nX3E1CA1VRHY~vegYjOV6zVxtp7aBV4RJUY4yfHNM4n640FXUPPwMacqE-lnNOfx704YVTl4tjzuvzuA__&Key-Pair-Id=KeyID",
	},
}

func (v vector) request() Request {
	r := Request{URL: v.url, Time: time.Unix(v.at, 999_999_999)}
	if v.cookies != "" {
		r.Cookies = []string{v.cookies}
	}
	if v.ip != "" {
		r.ViewerIP = netip.MustParseAddr(v.ip)
	}
	return r
}

func TestVectors(t *testing.T) {
	keys := vectorKeys(t)
	if len(vectors) < 20 {
		t.Fatalf("only %d vectors", len(vectors))
	}
	for _, v := range vectors {
		t.Run(v.name, func(t *testing.T) {
			verifier := &Verifier{Keys: keysOf(keys)}
			g, err := verifier.Verify(v.request())
			if err != nil {
				t.Fatalf("from %s: %v", v.source, err)
			}
			want := Policy{Resource: v.resource, NotAfter: time.Unix(v.after, 0).UTC()}
			if v.before != 0 {
				want.NotBefore = time.Unix(v.before, 0).UTC()
			}
			if v.address != "" {
				want.SourceIP = netip.MustParsePrefix(v.address)
			}
			if g.Policy != want || g.Canned != v.canned || g.KeyPairID != v.keyID || g.Hash != v.hash {
				t.Errorf("grant %+v, want policy %+v canned %v hash %v", g, want, v.canned, v.hash)
			}
			wantForm := FormURL
			if v.cookies != "" {
				wantForm = FormCookies
			}
			if g.Form != wantForm {
				t.Errorf("form %v, want %v", g.Form, wantForm)
			}
			if e := Explain(v.request(), ExplainConfig{Verifier: verifier}); !e.Allowed || e.Grant != g {
				t.Errorf("Explain disagrees: %+v", e)
			}
			late := v.request()
			late.Time = time.Unix(v.at+1, 0)
			if _, err := verifier.Verify(late); causeOf(err) != CauseExpired {
				t.Errorf("one second later: %v, want expired", err)
			}
			if v.keyID != "K2ECDSATEST" {
				if _, err := NewKey(keys[v.keyID].Public); err == nil {
					t.Error("NewKey accepts the vectors' RSA key")
				}
			}
		})
	}
}

// One of Ruby's vectors is over a resource that is no URL (a stream's name), so no request can match it;
// its signature is checked alone.
func TestVectorWithoutURL(t *testing.T) {
	const policy = "eyJTdGF0ZW1lbnQiOlt7IlJlc291cmNlIjoiaW1hZ2VzL2ltYWdlLmpwZyIsIkNvbmRpdGlvbiI6eyJJcEFkZHJlc3MiOnsiQVdTOlNvdXJjZUlwIjoiMTAuNTIuMTc2LjAvMjQifSwiRGF0ZUxlc3NUaGFuIjp7IkFXUzpFcG9jaFRpbWUiOjEzNTcwMzQ0MDB9fX1dfQ__"
	const sig = "n4V7xum3wA-w1PaCMyEMpWVXdfw-Yt8I26RpZJKc~Nk8yQh8LYOxewItGJXFq0BxnKuSEKoEVYVTFEteFAGKXwhkbC7K~JfL83aroPbRagjyG-V9Y5wMLccBAzMj5nHXxjvjlOu541VUR-RlR0KK106HT4-Hp1c~nyOmXs4R5mU_"
	r := Request{
		URL:      "http://abc.cloudfront.net/images/image.jpg?Policy=" + policy + "&Signature=" + sig + "&Key-Pair-Id=CF_KEYPAIR_ID",
		Time:     time.Unix(1357034399, 0),
		ViewerIP: netip.MustParseAddr("10.52.176.1"),
	}
	keys := vectorKeys(t)
	if _, err := (&Verifier{Keys: keysOf(keys)}).Verify(r); causeOf(err) != CauseResource {
		t.Errorf("got %v, want the resource refused", err)
	}
	text, err := DecodeText(policy)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := DecodeText(sig)
	if err != nil {
		t.Fatal(err)
	}
	if !keys["CF_KEYPAIR_ID"].verify(SHA1, SHA1.digest(text, new([32]byte)), raw) {
		t.Error("the signature does not verify")
	}
}
