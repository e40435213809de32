// Package links holds the commands about single links: sign, cookies, verify and explain. They work on
// package signed alone; verify and explain may also ask a CloudFront API for keys.
package links

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"postern/internal/cli"
	"postern/signed"
)

const signHelp = `Sign makes a link that opens until a given second.

The bare form makes a shared grant: two links for one URL and one second are the same bytes, whoever
asked for them, so revoking one revokes the other. --unique makes the grant its own (a custom policy
with a random start in the past): the link is longer, and can be counted and revoked alone.

The URL is signed as it will be requested. What cannot travel as it is (spaces, Korean) is
percent-encoded once, and the printed URL is the one to request. * and ? mean "any" to CloudFront, so
they are refused in a URL that is meant literally: write %2A and %3F if they belong to an object's
name, or say with --resource that a pattern is meant.

With --url, the flags are those of "aws cloudfront sign", and the bytes printed are the ones it prints
(RSA: SHA-1 unless told otherwise; no newline at the end), with a warning where the input is a trap.`

type signOptions struct {
	keyFile, keyPairID string
	expiresIn          string
	expiresAt          string
	notBefore          string
	ipAddress          string
	resource           string
	hash               string
	output             string
	unique             bool
	aws                awsSignOptions
}

// NewSign is `postern sign`.
func NewSign(env cli.Env) *cobra.Command {
	var o signOptions
	cmd := &cobra.Command{
		Use:   "sign URL --expires-in 7d",
		Short: "Make a signed URL",
		Long:  signHelp,
		Example: `  postern sign "$POSTERN_URL/uploads/report.pdf" --expires-in 7d
  postern sign https://cdn.example.com/v/1.mp4 --expires-at 2030-01-31T18:00:00+09:00 --ip-address 192.0.2.0/24
  postern sign https://cdn.example.com/v/index.m3u8 --resource 'https://cdn.example.com/v/*' --expires-in 2h`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("url") {
				return signLikeAWS(cmd, env, o, args)
			}
			for _, f := range awsSignFlags {
				if cli.Given(cmd, f) {
					return cli.Usage(fmt.Errorf("--%s is a flag of aws cloudfront sign, and needs --url", f),
						"Give --url URL instead of a bare URL, or use postern's own flags: --expires-in, --expires-at, --not-before, --key, --resource.")
				}
			}
			if err := cli.ExactArgs(1, "one URL")(cmd, args); err != nil {
				return err
			}
			return signNative(env, o, args[0])
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.expiresIn, "expires-in", "", "how long the link opens: 90m, 36h, 7d, 2w")
	f.StringVar(&o.expiresAt, "expires-at", "", "the second from which the link is refused: RFC 3339 with a zone, or epoch seconds")
	f.StringVar(&o.notBefore, "not-before", "", "the second up to which the link is refused (custom policy)")
	f.StringVar(&o.ipAddress, "ip-address", "", "the one IPv4 address or CIDR range that may use the link (custom policy)")
	f.StringVar(&o.resource, "resource", "", "the pattern that the grant covers, with * and ? as wildcards (custom policy)")
	f.BoolVar(&o.unique, "unique", false, "make the grant its own, so that it can be counted and revoked alone (custom policy)")
	keyFlags(cmd, &o.keyFile, &o.keyPairID)
	hashFlag(cmd, &o.hash)
	cli.OutputFlag(cmd, &o.output)
	cli.OneOf(cmd, "expires-in", "expires-at")
	cli.OneOf(cmd, "unique", "not-before")
	cli.NoEnv(cmd, "expires-at", "not-before", "ip-address", "resource")
	o.aws.declare(cmd)
	return cmd
}

// keyFlags declares the two flags that name a signing key.
func keyFlags(cmd *cobra.Command, file, id *string) {
	cmd.Flags().StringVar(file, "key", "", "PEM file with the private key")
	cmd.Flags().StringVar(id, "key-pair-id", "", "id of the public key at CloudFront")
	cli.EnvName(cmd, "key", "POSTERN_PRIVATE_KEY_FILE")
}

func hashFlag(cmd *cobra.Command, p *string) {
	allowed := []string{"SHA256", "SHA1"}
	cmd.Flags().Var(cli.Values{Value: p, Allowed: allowed}, "hash-algorithm", "digest that is signed (default SHA256; with --url and an RSA key SHA1)")
	_ = cmd.RegisterFlagCompletionFunc("hash-algorithm", cobra.FixedCompletions(allowed, cobra.ShellCompDirectiveNoFileComp))
}

func signNative(env cli.Env, o signOptions, raw string) error {
	key, err := loadSigningKey(env, o.keyFile, o.keyPairID)
	if err != nil {
		return err
	}
	url, err := literalURL(env, raw)
	if err != nil {
		return err
	}
	notAfter, err := expiry(env, o.expiresIn, o.expiresAt)
	if err != nil {
		return err
	}
	resource := url
	if o.resource != "" {
		resource = o.resource
	}
	policy, custom, err := o.policy(resource, notAfter)
	if err != nil {
		return err
	}
	custom = custom || o.resource != ""
	if !policy.Covers(url) {
		return cli.Usage(errors.New("--resource does not cover the URL, so the link would not open"),
			"A wildcard does not reach across the borders between scheme, host, path and query; a * at the end of the path covers any query.")
	}
	signer := newSigner(env, key, o.hash)
	link := ""
	if custom {
		link, err = signer.SignURLPolicy(url, policy)
	} else {
		link, err = signer.SignURL(url, notAfter)
	}
	if err != nil {
		return cli.Usage(fmt.Errorf("signing: %w", err))
	}
	grant, err := selfCheck(key, signed.Request{URL: link}, policy)
	if err != nil {
		return err
	}
	if o.output == "json" {
		return cli.PrintJSON(env.Stdout, signedURL(link, grant))
	}
	_, err = fmt.Fprintln(env.Stdout, link)
	return err
}

// signedURLJSON is what `sign --output json` prints.
type signedURLJSON struct {
	URL       string `json:"url"`
	Expires   string `json:"expires"` // RFC 3339, UTC; refused from this second on
	GrantID   string `json:"grantId"`
	KeyPairID string `json:"keyPairId"`
	// Shared says that whoever signs this URL to this second gets the same grant.
	Shared bool `json:"shared"`
}

func signedURL(link string, g signed.Grant) signedURLJSON {
	return signedURLJSON{
		URL: link, Expires: g.Policy.NotAfter.UTC().Format(time.RFC3339),
		GrantID: g.ID.String(), KeyPairID: g.KeyPairID, Shared: g.Policy.NotBefore.IsZero(),
	}
}

// policy is what the flags permit; custom is false if a canned policy says it all.
func (o signOptions) policy(resource string, notAfter time.Time) (p signed.Policy, custom bool, err error) {
	p = signed.Policy{Resource: resource, NotAfter: notAfter}
	if o.notBefore != "" {
		custom = true
		if p.NotBefore, err = signed.ParseTime(o.notBefore); err != nil {
			return p, false, cli.Usage(fmt.Errorf("reading --not-before: %w", err))
		}
		if !p.NotBefore.Before(notAfter) {
			return p, false, cli.Usage(errors.New("--not-before is not before the end, so the link would never open"))
		}
	}
	if o.ipAddress != "" {
		custom = true
		if p.SourceIP, err = parseSource(o.ipAddress); err != nil {
			return p, false, err
		}
	}
	if o.unique {
		custom = true
		if p, err = signed.UniquePolicy(p); err != nil {
			return p, false, cli.Failed(fmt.Errorf("making the grant unique: %w", err))
		}
	}
	return p, custom, nil
}

func parseSource(text string) (netip.Prefix, error) {
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		var addr netip.Addr
		if addr, err = netip.ParseAddr(text); err == nil {
			prefix = netip.PrefixFrom(addr, addr.BitLen())
		}
	}
	if err != nil || !prefix.Addr().Is4() {
		return netip.Prefix{}, cli.Usage(errors.New("--ip-address is not an IPv4 address or range"),
			"CloudFront knows one IPv4 address or one IPv4 CIDR range, such as 192.0.2.7 or 192.0.2.0/24.")
	}
	return prefix.Masked(), nil
}

func newSigner(env cli.Env, key signingKey, hash string) *signed.Signer {
	s := &signed.Signer{KeyPairID: key.id, Key: key.signer}
	if hash == "SHA1" {
		// Asked for by name; the gate and CloudFront take it from both kinds of key.
		s.Hash, s.AllowLegacyECDSASHA1 = signed.SHA1, true
	}
	return s
}

// expiry is the end of a grant from --expires-in or --expires-at, in whole seconds.
func expiry(env cli.Env, in, at string) (time.Time, error) {
	now := env.Now()
	switch {
	case in != "":
		d, err := signed.ParseDuration(in)
		if err != nil {
			return time.Time{}, cli.Usage(fmt.Errorf("reading --expires-in: %w", err))
		}
		return now.Add(d).Truncate(time.Second), nil
	case at != "":
		t, err := signed.ParseTime(at)
		if err != nil {
			return time.Time{}, cli.Usage(fmt.Errorf("reading --expires-at: %w", err))
		}
		if !t.After(now) {
			return time.Time{}, cli.Usage(fmt.Errorf("--expires-at is %s, which is past", t.UTC().Format(time.RFC3339)))
		}
		return t, nil
	}
	return time.Time{}, cli.Usage(errors.New("the link has no end"), "Give --expires-in 7d, or --expires-at with an instant such as 2030-01-31T18:00:00Z.")
}

// literalURL is the URL as it will travel. What is not allowed in a URL is percent-encoded once, what
// is encoded already stays, and what could mean two things is refused.
func literalURL(env cli.Env, raw string) (string, error) {
	url := encodeOnce(raw)
	if err := signed.CheckLiteral(url); err != nil {
		var w *signed.LiteralWildcardError
		if errors.As(err, &w) {
			return "", cli.Usage(fmt.Errorf("the URL holds %q at position %d, which CloudFront reads as a wildcard: whoever has the link could open more than this URL", w.Char, w.Offset+1),
				fmt.Sprintf("If it belongs to the object's name, write %s.", percent(w.Char)),
				"If a pattern is meant, sign one URL under it and say so: --resource PATTERN.")
		}
		return "", cli.Usage(fmt.Errorf("the URL cannot be signed as it is: %w", err))
	}
	if url != raw {
		env.Warn("the URL held characters that only travel percent-encoded; request the URL exactly as printed")
	}
	if _, query, ok := strings.Cut(url, "?"); ok && !strings.ContainsAny(query, "=&") {
		env.Warn("everything after ? is the query, not the object's name; if it belongs to the name, write %%3F")
	}
	return url, nil
}

func percent(c byte) string { return fmt.Sprintf("%%%02X", c) }

// encodeOnce percent-encodes the bytes after the host that cannot stand in a URL (RFC 3986 section 2;
// signed.EncodePath has the rules), and ' in the query, which browsers encode there
// (url.spec.whatwg.org, special-query percent-encode set).
func encodeOnce(raw string) string {
	start := 0
	if i := strings.Index(raw, "://"); i >= 0 {
		start = i + len("://")
	}
	i := strings.IndexAny(raw[start:], "/?")
	if i < 0 {
		return raw
	}
	var b strings.Builder
	b.WriteString(raw[:start+i])
	query := false
	for _, c := range []byte(raw[start+i:]) {
		switch {
		case c <= ' ' || c >= 0x7f || strings.IndexByte("\"<>\\^`{|}", c) >= 0 || query && c == '\'':
			b.WriteString(percent(c))
		default:
			query = query || c == '?'
			b.WriteByte(c)
		}
	}
	return b.String()
}

// selfCheck verifies what was just made, at a time and from an address inside the grant, the way the
// gate would: what does not open is never handed out. A URL that is not covered was only a guess, for a
// pattern of cookies; then the check ends at the resource.
func selfCheck(key signingKey, r signed.Request, p signed.Policy) (signed.Grant, error) {
	r.Time = p.NotAfter.Add(-time.Second)
	if p.SourceIP.IsValid() {
		r.ViewerIP = p.SourceIP.Addr()
	}
	v := signed.Verifier{Keys: func(id string) (*signed.Key, bool) { return key.public, id == key.id }}
	grant, err := v.Verify(r)
	var refusal *signed.Refusal
	if errors.As(err, &refusal) && refusal.Cause == signed.CauseResource && len(r.Cookies) > 0 {
		text, err := p.Encode()
		return signed.Grant{ID: signed.GrantIDOf(text), Policy: p, KeyPairID: key.id, Form: signed.FormCookies}, err
	}
	if err != nil {
		return signed.Grant{}, cli.Failed(fmt.Errorf("checking the signature that was just made: %w", err),
			"Nothing was printed. This is a fault of postern: please report the URL's form and the flags, without the key.")
	}
	return grant, nil
}
