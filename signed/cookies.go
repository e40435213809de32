package signed

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

const cookiePrefix = "CloudFront-"

// CookieOptions are the attributes of signed cookies. The zero value is the safe one: Secure, HttpOnly,
// Path=/, SameSite=Lax, the host that answers and no other, and no Expires or Max-Age, so that the browser
// drops them with the session (private-content-signed-cookies, "Prevent misuse of signed cookies"). What
// ends access is the policy's expiry, never the cookie's.
type CookieOptions struct {
	// Domain sends the cookies to a domain and all below it. Empty is the answering host only.
	Domain string
	// Path is a plain prefix: browsers know no wildcards there, although AWS's example has one.
	// Empty is "/".
	Path string
	// SameSite is Lax if zero. A player on another site needs http.SameSiteNoneMode, and
	// credentials: "include".
	SameSite http.SameSite
	// Insecure leaves Secure away, for plain HTTP. Browsers take Secure cookies from localhost all the same.
	Insecure bool
}

// CannedCookies signs one literal URL with a canned policy: CloudFront-Expires, CloudFront-Signature,
// CloudFront-Key-Pair-Id and, for SHA-256, CloudFront-Hash-Algorithm. They open that one URL, its query
// included; for more, use [Signer.Cookies]. The URL is held to [CheckLiteral].
func (s *Signer) CannedCookies(url string, notAfter time.Time, o CookieOptions) ([]*http.Cookie, error) {
	policy, err := CannedPolicy(url, notAfter)
	if err != nil {
		return nil, fmt.Errorf("signing cookies: %w", err)
	}
	return s.cookies("Expires", fmt.Sprint(notAfter.Unix()), policy, o)
}

// Cookies signs a custom policy: CloudFront-Policy, CloudFront-Signature, CloudFront-Key-Pair-Id and, for
// SHA-256, CloudFront-Hash-Algorithm. One set holds one policy; p.Resource must be given.
func (s *Signer) Cookies(p Policy, o CookieOptions) ([]*http.Cookie, error) {
	policy, err := p.Encode()
	if err != nil {
		return nil, fmt.Errorf("signing cookies: %w", err)
	}
	return s.cookies("Policy", EncodeText(policy), policy, o)
}

func (s *Signer) cookies(name, value string, policy []byte, o CookieOptions) ([]*http.Cookie, error) {
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("signing cookies: %w", err)
	}
	sig, err := s.SignPolicy(policy)
	if err != nil {
		return nil, fmt.Errorf("signing cookies: %w", err)
	}
	pairs := [][2]string{{name, value}, {"Signature", EncodeText(sig)}, {"Key-Pair-Id", s.KeyPairID}}
	if s.hash() == SHA256 {
		pairs = append(pairs, [2]string{"Hash-Algorithm", SHA256.String()})
	}
	var cookies []*http.Cookie
	for _, p := range pairs {
		c := &http.Cookie{
			Name: cookiePrefix + p[0], Value: p[1],
			Path: o.Path, Domain: o.Domain, Secure: !o.Insecure, HttpOnly: true, SameSite: o.SameSite,
		}
		if c.Path == "" {
			c.Path = "/"
		}
		if c.SameSite == 0 {
			c.SameSite = http.SameSiteLaxMode
		}
		if len(c.Name)+len(c.Value) > 4096 { // RFC 6265 section 6.1: what a browser must at least hold, and no more does
			return nil, fmt.Errorf("signing cookies: %s would have %d bytes, and browsers drop a cookie above 4096; shorten the resource", c.Name, len(c.Name)+len(c.Value))
		}
		if err := c.Valid(); err != nil {
			return nil, fmt.Errorf("signing cookies: %w", err)
		}
		cookies = append(cookies, c)
	}
	return cookies, nil
}

func (o CookieOptions) check() error {
	switch domain := strings.TrimPrefix(o.Domain, "."); {
	case strings.Contains(o.Domain, "*"):
		return errors.New("a cookie's Domain has no wildcards; it covers everything below it already")
	case domain == "cloudfront.net":
		return errors.New("cookies for all of cloudfront.net are refused by browsers; name the distribution's own domain")
	case o.Path != "" && o.Path[0] != '/':
		return errors.New("a cookie's Path must begin with /")
	case strings.Contains(o.Path, "*"):
		return errors.New("a cookie's Path has no wildcards; it is a prefix, so write /images/ for /images/*")
	case o.Insecure && o.SameSite == http.SameSiteNoneMode:
		return errors.New("browsers refuse SameSite=None without Secure")
	}
	return nil
}
