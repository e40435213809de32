package links

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"postern/internal/cli"
	"postern/signed"
)

// cookiesJSON is what `cookies --output json` prints.
type cookiesJSON struct {
	Cookies   map[string]string `json:"cookies"`
	SetCookie []string          `json:"setCookie"`
	Expires   string            `json:"expires"`
	GrantID   string            `json:"grantId"`
	KeyPairID string            `json:"keyPairId"`
	Shared    bool              `json:"shared"`
}

// NewCookies is `postern cookies`.
func NewCookies(env cli.Env) *cobra.Command {
	var o signOptions
	var attributes struct {
		domain, path, sameSite string
		insecure               bool
	}
	cmd := &cobra.Command{
		Use:   "cookies URL-OR-PATTERN --expires-in 2h",
		Short: "Make signed cookies",
		Long: `Cookies makes the CloudFront-* cookies that open one URL, or everything that a pattern covers, until a
given second. A pattern (with * or ?) makes a custom policy; so do --not-before, --ip-address and
--unique. The cookies end with the browser's session; the grant ends when you say.

The text form is one Set-Cookie line for each; "curl" is one Cookie line, for curl -b.`,
		Example: `  postern cookies "$POSTERN_URL/videos/*" --expires-in 2h
  curl -b "$(postern cookies "$POSTERN_URL/videos/*" --expires-in 2h --output curl)" "$POSTERN_URL/videos/1.mp4"`,
		Args: cli.ExactArgs(1, "one URL or pattern"),
		RunE: func(cmd *cobra.Command, args []string) error {
			key, err := loadSigningKey(env, o.keyFile, o.keyPairID)
			if err != nil {
				return err
			}
			notAfter, err := expiry(env, o.expiresIn, o.expiresAt)
			if err != nil {
				return err
			}
			resource, pattern := encodeOnce(args[0]), strings.ContainsAny(args[0], "*?")
			if !pattern {
				if resource, err = literalURL(env, args[0]); err != nil {
					return err
				}
			}
			p, custom, err := o.policy(resource, notAfter)
			if err != nil {
				return err
			}
			custom = custom || pattern
			attrs := signed.CookieOptions{Domain: attributes.domain, Path: attributes.path, Insecure: attributes.insecure}
			if attrs.SameSite, err = parseSameSite(attributes.sameSite); err != nil {
				return err
			}
			signer := newSigner(env, key, o.hash)
			var cookies []*http.Cookie
			if custom {
				cookies, err = signer.Cookies(p, attrs)
			} else {
				cookies, err = signer.CannedCookies(resource, notAfter, attrs)
			}
			if err != nil {
				return cli.Usage(fmt.Errorf("signing: %w", err))
			}
			var pairs []string
			for _, c := range cookies {
				pairs = append(pairs, c.Name+"="+c.Value)
			}
			header := strings.Join(pairs, "; ")
			r := signed.Request{URL: resource, Cookies: []string{header}}
			if pattern {
				r.URL = example(resource)
			}
			grant, err := selfCheck(key, r, p)
			if err != nil {
				return err
			}
			if strings.HasPrefix(resource, "http://") && !attributes.insecure && o.output == "text" {
				env.Warn("the URL is http:// and the cookies are Secure, so a browser keeps them back except on localhost; --insecure leaves Secure off")
			}
			return printCookies(env, o.output, header, cookies, grant)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.expiresIn, "expires-in", "", "how long the cookies open: 90m, 36h, 7d, 2w")
	f.StringVar(&o.expiresAt, "expires-at", "", "the second from which they are refused: RFC 3339 with a zone, or epoch seconds")
	f.StringVar(&o.notBefore, "not-before", "", "the second up to which they are refused (custom policy)")
	f.StringVar(&o.ipAddress, "ip-address", "", "the one IPv4 address or CIDR range that may use them (custom policy)")
	f.BoolVar(&o.unique, "unique", false, "make the grant its own, so that it can be counted and revoked alone (custom policy)")
	f.StringVar(&attributes.domain, "domain", "", "Domain attribute; without it the cookies are the host's alone")
	f.StringVar(&attributes.path, "path", "/", "Path attribute")
	f.StringVar(&attributes.sameSite, "same-site", "", "SameSite attribute: lax (the default), strict or none")
	f.BoolVar(&attributes.insecure, "insecure", false, "leave the Secure attribute off, for plain HTTP")
	keyFlags(cmd, &o.keyFile, &o.keyPairID)
	hashFlag(cmd, &o.hash)
	cli.Choice(cmd, &o.output, "output", "form of the result", "text", "curl", "json")
	cli.OneOf(cmd, "expires-in", "expires-at")
	cli.OneOf(cmd, "unique", "not-before")
	cli.NoEnv(cmd, "expires-at", "not-before", "ip-address", "domain", "path", "same-site", "insecure")
	return cmd
}

func printCookies(env cli.Env, output, header string, cookies []*http.Cookie, g signed.Grant) error {
	var err error
	switch output {
	case "json":
		j := cookiesJSON{
			Cookies: map[string]string{}, Expires: g.Policy.NotAfter.UTC().Format(time.RFC3339),
			GrantID: g.ID.String(), KeyPairID: g.KeyPairID, Shared: g.Policy.NotBefore.IsZero(),
		}
		for _, c := range cookies {
			j.Cookies[c.Name] = c.Value
			j.SetCookie = append(j.SetCookie, c.String())
		}
		return cli.PrintJSON(env.Stdout, j)
	case "curl":
		_, err = fmt.Fprintln(env.Stdout, header)
	default:
		for _, c := range cookies {
			if _, err = fmt.Fprintf(env.Stdout, "Set-Cookie: %s\n", c); err != nil {
				break
			}
		}
	}
	if err != nil {
		return cli.Failed(fmt.Errorf("writing the result: %w", err))
	}
	return nil
}

func parseSameSite(s string) (http.SameSite, error) {
	switch strings.ToLower(s) {
	case "":
		return 0, nil
	case "lax":
		return http.SameSiteLaxMode, nil
	case "strict":
		return http.SameSiteStrictMode, nil
	case "none":
		return http.SameSiteNoneMode, nil
	}
	return 0, cli.Usage(errors.New("--same-site is not lax, strict or none"))
}

// example is a URL that a pattern covers, for checking what was signed: a * for nothing, a ? for one
// character. A scheme that is left to a wildcard becomes https.
func example(pattern string) string {
	scheme, rest, ok := strings.Cut(pattern, "://")
	if !ok {
		scheme, rest = "https", pattern
	} else if scheme = strings.ReplaceAll(scheme, "*", ""); scheme == "" {
		scheme = "https"
	}
	host, tail := rest, ""
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		host, tail = rest[:i], rest[i:]
	}
	fill := strings.NewReplacer("*", "", "?", "x")
	if host = fill.Replace(host); host == "" {
		host = "x"
	}
	if strings.HasPrefix(host, ".") {
		host = "x" + host
	}
	path, query, ok := strings.Cut(tail, "?")
	if path = fill.Replace(path); path == "" {
		path = "/"
	}
	if ok {
		return scheme + "://" + host + path + "?" + fill.Replace(query)
	}
	return scheme + "://" + host + path
}
