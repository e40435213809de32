package signed

import "iter"

// ExplainConfig is what Explain may know.
type ExplainConfig struct {
	// Verifier is the gate's own.
	Verifier *Verifier
	// KnownKeys are all keys by id, also those that this behaviour does not trust.
	KnownKeys map[string]*Key
	// Hosts are the hosts the signer may have meant.
	Hosts []string
	// Candidates are URL paths or whole URLs that may have been signed, such as a bucket's keys.
	Candidates iter.Seq[string]
}

// Explanation is the one cause of a refusal, in words.
type Explanation struct {
	Allowed   bool
	Grant     Grant
	Code      Code
	Cause     Cause
	Sentence  string
	Want, Got string
	Hint      string
	Position  int
	SignedURL string
}

// Explain says why a request is refused, or that it is not.
func Explain(r Request, c ExplainConfig) Explanation { return Explanation{} }
