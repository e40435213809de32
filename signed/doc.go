// Package signed builds, verifies and explains Amazon CloudFront's signed URLs and signed cookies, with
// nothing but the standard library. A [Signer] makes them, from any RSA-2048 or ECDSA P-256 key; a
// [Verifier] decides about a request as the edge does; [Explain] says in one sentence why a request is
// refused, down to the character that was changed. A policy is what was permitted, a [GrantID] names it.
//
// # Making a link
//
//	key, err := signed.ParsePrivateKey(pemText)
//	s := &signed.Signer{KeyPairID: "K2JCJMDEHXQW5F", Key: key}
//	link, err := s.SignURL("https://cdn.example.com"+signed.EncodePath("reports/5월 보고서.pdf"), time.Now().Add(7*24*time.Hour))
//
// Signatures are over SHA-256 unless Signer.Hash says SHA1. AWS's own signers mean SHA-1 by default; every
// CloudFront edge takes both since April 2026. [Signer.SignURLPolicy] and [Signer.Cookies] take a [Policy],
// which may have wildcards, a start and a source address. Links of one URL and one expiry are one grant;
// [UniquePolicy] makes each its own, so that one can be revoked and the others stay.
//
// # Deciding
//
// The order of the checks is fixed, and is the numbering of [Cause]: form, key id present, key known,
// signature decodes, policy parses, resource, time, address, revoked, signature. The first fault is
// reported, so no refusal costs a public-key operation that a comparison could have given. A
// [VerdictCache] spares that operation for what was seen before, and nothing else.
//
// # Where each rule comes from
//
// Pages are of the CloudFront Developer Guide, docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/.
// "Observed" are captures of the real service in public issues.
//
//	rule                                              source
//	------------------------------------------------  ------------------------------------------------------------
//	bytes of the canned policy, base URL, ? omitted   private-content-creating-signed-url-canned-policy
//	custom policy, one statement, DateLessThan must   private-content-creating-signed-url-custom-policy
//	sections, *, ?, exceptions of the match           private-content-creating-signed-url-custom-policy
//	http*:// as protocol                              AWS's Go and Ruby signers write it
//	IpAddress: one IPv4 range                         private-content-creating-signed-url-custom-policy
//	DateGreaterThan refuses on or before              private-content-creating-signed-url-custom-policy
//	epoch at most 9223372036                          the date the guide gives for its maximum; observed for ms
//	time is checked when the request arrives          private-content-signed-urls, private-content-signed-cookies
//	base64 with - _ ~                                 private-content-linux-openssl
//	values may be percent-encoded                     createurlperl (AWS's tool decodes them)
//	any order, reserved names                         private-content-creating-signed-url-canned-policy
//	a parameter makes it a URL, cookies are ignored   private-content-choosing-signed-urls-cookies
//	Policy and Expires together mean custom           common signers send both; the guide is silent
//	cookie names, case-sensitive                      private-content-setting-signed-cookie-canned-policy
//	cookies without Expires, Secure, HttpOnly         private-content-signed-cookies, "Prevent misuse"
//	the URL is compared as it travels                 observed (aws/aws-sdk-js-v3 #8033, #8113, #8277)
//	the policy is verified as sent, blanks included   AWS's examples of 2009, whose signatures have them
//	RSA 2048 and ECDSA P-256                          private-content-trusted-signers
//	Hash-Algorithm, SHA1 by default                   private-content-creating-signed-url-custom-policy
//	five codes and their bodies                       observed
//	unknown key before malformed policy               observed
//
// # Where this package decides by itself
//
// AWS documents none of these, or leaves two readings. Where in doubt the narrower one is taken.
//
//   - One of the five parameters twice in a query is refused, with the code of the step that reads it, even
//     if both are equal. Of two cookies with one name the first counts, because browsers send the one with
//     the longer path first (RFC 6265 section 5.4).
//   - An unknown Hash-Algorithm and a missing signature are MalformedSignature; a missing policy is
//     MalformedPolicy. An empty Policy beside a good Expires is a missing policy.
//   - A request in the very second of DateLessThan is refused.
//   - Unknown members of a policy are refused, unknown conditions above all: what cannot be enforced must
//     not be ignored. So are members in another case, members twice, times in quotation marks or with a
//     point, an empty Resource, and texts above [MaxPolicyBytes], and
//     patterns above [MaxPatternBytes].
//   - A policy without Resource is read, as the guide has it, and covers every URL. None is issued: "*" has
//     to be written.
//   - IpAddress without a length is one address, as signers write it. IPv6 in a policy is MalformedPolicy.
//     A viewer over IPv6 is outside every range, even 0.0.0.0/0, unless its address is an IPv4 one mapped.
//   - A plain ? in a resource's path starts the query if an = follows; otherwise it may also be one
//     character. \? is always the query. In the domain ? is one character.
//   - Domains are compared in lower case, and a scheme's own port is no part of them.
//   - Cookie values are not percent-decoded.
//   - base64 must be canonical: padded, and without bits left over.
//   - URLs that clients would change on the way are not signed; see [CheckURL]. Nor are literals with a
//     wildcard in them; see [CheckLiteral]. [Signer.SignURLAWSCLI] signs what the AWS CLI signs.
//   - ECDSA over SHA-1 verifies, as on CloudFront, but is made only when asked for as legacy.
package signed
