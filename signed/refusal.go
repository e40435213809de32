package signed

// Code is the Code element of CloudFront's answer.
type Code uint8

// CloudFront's five codes.
const (
	MissingKey Code = iota + 1
	InvalidKey
	MalformedPolicy
	MalformedSignature
	AccessDenied
)

// String is the text of the Code element.
func (c Code) String() string { return "" }

// Message is the text of the Message element.
func (c Code) Message() string { return "" }

// XML is CloudFront's body, byte for byte. The caller owns the slice.
func (c Code) XML() []byte { return nil }

// Cause is the one reason of a refusal.
type Cause uint8

// Refusal is why a request is refused.
type Refusal struct {
	Code      Code
	Cause     Cause
	Form      Form
	Want, Got string
}

func (r *Refusal) Error() string { return r.Code.String() }
