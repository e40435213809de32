package signed

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// SignURLAWSCLI signs as `aws cloudfront sign` of the AWS CLI does, byte for byte for one key and input,
// traps included: nothing about the URL is checked, the policy is canned unless p has a start, an address
// or a resource, letters beyond ASCII become \uXXXX in it (so that such a URL can never match), and a ?
// anywhere decides whether the parameters follow ? or &. An empty p.Resource means the URL. It is for that
// command's compatible twin, which sets Hash to SHA1 and warns with what [CheckLiteral] says; everything
// else should call [Signer.SignURL].
func (s *Signer) SignURLAWSCLI(url string, p Policy) (string, error) {
	if _, err := epochOf("expiry", p.NotAfter); err != nil {
		return "", fmt.Errorf("signing URL: %w", err)
	}
	custom := p.Resource != "" || !p.NotBefore.IsZero() || p.SourceIP.IsValid()
	if p.Resource == "" {
		p.Resource = url
	}
	policy := p.text(appendQuotedASCII)
	if custom {
		return s.join(url, "Policy="+EncodeText(policy), policy)
	}
	return s.join(url, fmt.Sprintf("Expires=%d", p.NotAfter.Unix()), policy)
}

// appendQuotedASCII quotes as Python's json.dumps does by default, which botocore uses: everything outside
// printable ASCII is escaped, beyond the basic plane as a surrogate pair.
func appendQuotedASCII(b []byte, s string) []byte {
	b = append(b, '"')
	for _, c := range s {
		short := strings.IndexRune("\"\\\b\f\n\r\t", c)
		switch {
		case short >= 0 && c != utf8.RuneError:
			b = append(b, '\\', `"\bfnrt`[short])
		case 0x20 <= c && c < 0x7f:
			b = append(b, byte(c))
		case c > 0xffff:
			c -= 0x10000
			b = fmt.Appendf(b, `\u%04x\u%04x`, 0xd800+c>>10, 0xdc00+c&0x3ff)
		default:
			b = fmt.Appendf(b, `\u%04x`, c)
		}
	}
	return append(b, '"')
}
