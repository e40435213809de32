package signed

import "fmt"

// Code is what the edge tells the viewer about a refusal: the Code element of CloudFront's answer, always
// with status 403. There are five, and nothing finer leaves the gate; see [Cause] for the operator's side.
type Code uint8

// The codes, as observed on CloudFront.
const (
	MissingKey Code = iota + 1
	InvalidKey
	MalformedPolicy
	MalformedSignature
	AccessDenied
)

// String is the text of the Code element.
func (c Code) String() string {
	switch c {
	case MissingKey:
		return "MissingKey"
	case InvalidKey:
		return "InvalidKey"
	case MalformedPolicy:
		return "MalformedPolicy"
	case MalformedSignature:
		return "MalformedSignature"
	}
	return "AccessDenied"
}

// Message is the text of the Message element.
func (c Code) Message() string {
	switch c {
	case MissingKey:
		return "Missing Key-Pair-Id query parameter or cookie value"
	case InvalidKey:
		return "Unknown Key"
	case MalformedPolicy:
		return "Malformed Policy"
	case MalformedSignature:
		return "Could not unencode Signature"
	}
	return "Access denied"
}

// XML is CloudFront's body, byte for byte: no white space and no newline at the end. Serve it with status
// 403 and Content-Type text/xml; for HEAD its length alone. Unlike S3's, it holds no request id. The slice
// is the caller's.
func (c Code) XML() []byte {
	return fmt.Appendf(nil, `<?xml version="1.0" encoding="UTF-8"?><Error><Code>%s</Code><Message>%s</Message></Error>`, c, c.Message())
}

// Cause is the one reason for a refusal. Causes are numbered in the gate's order: of two faults the one
// with the lower number is reported.
type Cause uint8

// The causes, and the codes they answer.
const (
	// CauseNone is no refusal.
	CauseNone Cause = iota

	// MissingKey:

	// CauseUnsigned is neither a parameter nor a cookie of CloudFront's.
	CauseUnsigned
	// CauseKeyIDRepeated is Key-Pair-Id more than once in the query.
	CauseKeyIDRepeated
	// CauseKeyIDMissing is no Key-Pair-Id, or an empty one.
	CauseKeyIDMissing
	// CauseKeyIDImplausible is a Key-Pair-Id that no id looks like, such as a PEM.
	CauseKeyIDImplausible

	// InvalidKey:

	// CauseKeyUnknown is a key id that the behaviour does not trust.
	CauseKeyUnknown

	// MalformedSignature:

	// CauseSignatureRepeated is Signature more than once in the query.
	CauseSignatureRepeated
	// CauseSignatureMissing is no Signature, or an empty one.
	CauseSignatureMissing
	// CauseSignatureEncoding is a Signature that is not in CloudFront's base64.
	CauseSignatureEncoding
	// CauseHashAlgorithm is a Hash-Algorithm other than SHA1 and SHA256, or two of them.
	CauseHashAlgorithm

	// MalformedPolicy:

	// CausePolicyRepeated is Policy, or Expires without Policy, more than once in the query.
	CausePolicyRepeated
	// CausePolicyMissing is neither Policy nor Expires, or an empty one.
	CausePolicyMissing
	// CausePolicyEncoding is a Policy that is not in CloudFront's base64.
	CausePolicyEncoding
	// CausePolicySyntax is a policy that is not JSON.
	CausePolicySyntax
	// CausePolicyShape is JSON that is not a policy.
	CausePolicyShape
	// CausePolicyEpoch is a time that is not whole seconds from 0 to MaxEpoch.
	CausePolicyEpoch
	// CausePolicyAddress is a source address that is not one IPv4 range.
	CausePolicyAddress

	// AccessDenied:

	// CauseResource is a URL outside the policy's resource.
	CauseResource
	// CauseNoClock is a Request without a time, which is a fault of the program that asked.
	CauseNoClock
	// CauseExpired is a request at or after DateLessThan.
	CauseExpired
	// CauseNotYet is a request at or before DateGreaterThan.
	CauseNotYet
	// CauseAddress is a viewer outside IpAddress.
	CauseAddress
	// CauseRevoked is a grant taken back.
	CauseRevoked
	// CauseSignature is a signature that the key did not make over this policy.
	CauseSignature
)

// Code is what the viewer is told.
func (c Cause) Code() Code {
	switch {
	case c <= CauseKeyIDImplausible:
		return MissingKey
	case c == CauseKeyUnknown:
		return InvalidKey
	case c <= CauseHashAlgorithm:
		return MalformedSignature
	case c <= CausePolicyAddress:
		return MalformedPolicy
	}
	return AccessDenied
}

var causeNames = [...]string{
	CauseNone: "none", CauseUnsigned: "unsigned",
	CauseKeyIDRepeated: "key-id-repeated", CauseKeyIDMissing: "key-id-missing", CauseKeyIDImplausible: "key-id-implausible",
	CauseKeyUnknown:        "key-unknown",
	CauseSignatureRepeated: "signature-repeated", CauseSignatureMissing: "signature-missing", CauseSignatureEncoding: "signature-encoding",
	CauseHashAlgorithm:  "hash-algorithm",
	CausePolicyRepeated: "policy-repeated", CausePolicyMissing: "policy-missing", CausePolicyEncoding: "policy-encoding",
	CausePolicySyntax: "policy-syntax", CausePolicyShape: "policy-shape", CausePolicyEpoch: "policy-epoch", CausePolicyAddress: "policy-address",
	CauseResource: "resource", CauseNoClock: "no-clock", CauseExpired: "expired", CauseNotYet: "not-yet",
	CauseAddress: "address", CauseRevoked: "revoked", CauseSignature: "signature",
}

// String is a short stable name, fit for a log field or a metric's label.
func (c Cause) String() string {
	if int(c) < len(causeNames) {
		return causeNames[c]
	}
	return fmt.Sprintf("cause(%d)", uint8(c))
}

// Refusal is why a request may not pass. It is safe to log: it holds no URL, policy or signature.
type Refusal struct {
	// Code is what the viewer is told.
	Code Code
	// Cause is the first fault in the gate's order.
	Cause Cause
	// Form is where the signature was looked for.
	Form Form
	// Err is the detail where a parser has one: a *[PolicyError], an *[EncodingError], or nil.
	Err error
}

func (r *Refusal) Error() string {
	text := fmt.Sprintf("refused: %s: %s", r.Code, r.Cause)
	if r.Err != nil {
		text += ": " + r.Err.Error()
	}
	return text
}

func (r *Refusal) Unwrap() error { return r.Err }
