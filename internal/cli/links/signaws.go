package links

import (
	"crypto/rsa"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"postern/internal/cli"
	"postern/signed"
)

// This file is the other face of sign: the flags of `aws cloudfront sign`, and for the same input the
// same bytes, wherever AWS CLI 1.45 makes any. The law is that program's customizations/cloudfront.py
// and botocore's CloudFrontSigner, read and compared with it by awscli_e2e_test.go. --policy-resource
// and --hash-algorithm follow version 2 (its reference of cloudfront sign).
//
// Known differences: dates are read in the documented forms and a few neighbours, not in everything
// dateutil guesses at ("12:30"); PKCS#8 and SEC 1 keys are taken too.

type awsSignOptions struct {
	url, privateKey              string
	dateLessThan, dateGreaterThn string
	policyResource               string
}

// awsSignFlags are the flags that only make sense with --url.
var awsSignFlags = []string{"private-key", "date-less-than", "date-greater-than", "policy-resource"}

func (o *awsSignOptions) declare(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.url, "url", "", "like aws cloudfront sign: the URL, signed exactly as given")
	f.StringVar(&o.privateKey, "private-key", "", "like aws cloudfront sign: file://FILE, or the PEM text itself")
	f.StringVar(&o.dateLessThan, "date-less-than", "", "like aws cloudfront sign: end, as YYYY-MM-DD, YYYY-MM-DDThh:mm:ss[±hh:mm] or epoch seconds")
	f.StringVar(&o.dateGreaterThn, "date-greater-than", "", "like aws cloudfront sign: start, in the same forms")
	f.StringVar(&o.policyResource, "policy-resource", "", "like aws cloudfront sign: the resource of the policy, with wildcards")
	cli.NoEnv(cmd, append([]string{"url"}, awsSignFlags...)...)
}

func signLikeAWS(cmd *cobra.Command, env cli.Env, o signOptions, args []string) error {
	if len(args) > 0 {
		return cli.Usage(errors.New("a URL is given twice: with --url and as an argument"))
	}
	for _, f := range []string{"expires-in", "expires-at", "not-before", "resource", "unique"} {
		if cli.Given(cmd, f) {
			return cli.Usage(fmt.Errorf("--%s does not go with --url, which takes the flags of aws cloudfront sign", f),
				"Give the URL as a bare argument instead of --url.")
		}
	}
	a := o.aws
	if a.dateLessThan == "" {
		return cli.Usage(errors.New("--date-less-than is required with --url"))
	}
	if o.keyPairID == "" {
		return cli.Usage(errors.New("--key-pair-id is required with --url"))
	}
	key, err := a.key(env, o.keyFile, o.keyPairID)
	if err != nil {
		return err
	}
	if !utf8.ValidString(a.url) || !utf8.ValidString(a.policyResource) {
		return cli.Usage(errors.New("the URL is not valid UTF-8"))
	}
	end, traps, err := parseAWSDate("--date-less-than", a.dateLessThan)
	if err != nil {
		return err
	}
	p := awsPolicy{resource: a.url, end: end}
	if cmd.Flags().Changed("date-greater-than") {
		start, more, err := parseAWSDate("--date-greater-than", a.dateGreaterThn)
		if err != nil {
			return err
		}
		p.start, p.hasStart = start, true
		traps = append(traps, more...)
	}
	p.ip = o.ipAddress
	if p.ip != "" && !strings.Contains(p.ip, "/") {
		p.ip += "/32"
	}
	custom := p.hasStart || cmd.Flags().Changed("ip-address")
	if a.policyResource != "" && a.policyResource != a.url {
		p.resource, custom = a.policyResource, true
	}
	hash, err := awsHash(key, o.hash)
	if err != nil {
		return err
	}
	text := p.encode()
	signer := &signed.Signer{KeyPairID: key.id, Key: key.signer, Hash: hash}
	signature, err := signer.SignPolicy([]byte(text))
	if err != nil {
		return cli.Failed(fmt.Errorf("signing: %w", err))
	}
	for _, trap := range append(traps, p.traps(a.url, env.Now())...) {
		env.Warn("%s", trap)
	}
	separator := "?"
	if strings.Contains(a.url, "?") {
		separator = "&"
	}
	link := a.url + separator
	if custom {
		link += "Policy=" + signed.EncodeText([]byte(text))
	} else {
		link += "Expires=" + strconv.FormatInt(end, 10)
	}
	link += "&Signature=" + signed.EncodeText(signature) + "&Key-Pair-Id=" + key.id
	if hash == signed.SHA256 {
		link += "&Hash-Algorithm=SHA256"
	}
	if o.output == "json" {
		return cli.PrintJSON(env.Stdout, signedURLJSON{
			URL: link, Expires: time.Unix(end, 0).UTC().Format(time.RFC3339),
			GrantID: signed.GrantIDOf([]byte(text)).String(), KeyPairID: key.id, Shared: true,
		})
	}
	_, err = fmt.Fprint(env.Stdout, link) // aws writes no newline, and the bytes are to be the same
	return err
}

// key reads --private-key as the AWS CLI reads a parameter: a file behind file://, else the text itself.
func (a awsSignOptions) key(env cli.Env, fallback, id string) (signingKey, error) {
	if a.privateKey == "" {
		return loadSigningKey(env, fallback, id)
	}
	if name, ok := strings.CutPrefix(a.privateKey, "file://"); ok {
		return loadSigningKey(env, name, id)
	}
	if !strings.Contains(a.privateKey, "-----BEGIN") {
		return signingKey{}, cli.Usage(errors.New("--private-key is neither file://FILE nor PEM text"),
			"Write --private-key file://FILE, as aws cloudfront sign wants it.")
	}
	env.Warn("the private key stood on the command line, where every user of this machine can read it: use --private-key file://FILE")
	signer, public, err := parsePrivateKey([]byte(a.privateKey), "of --private-key")
	if err != nil {
		return signingKey{}, err
	}
	return signingKey{id: id, signer: signer, public: public}, nil
}

// awsHash is the digest: SHA-1 for RSA unless told otherwise, SHA-256 for ECDSA and nothing else.
func awsHash(key signingKey, name string) (signed.Hash, error) {
	_, isRSA := key.signer.Public().(*rsa.PublicKey)
	switch {
	case name == "SHA256" || name == "" && !isRSA:
		return signed.SHA256, nil
	case !isRSA:
		return 0, cli.Usage(errors.New("aws cloudfront sign does not sign with an ECDSA key and SHA1"), "Leave --hash-algorithm out, or give SHA256.")
	}
	return signed.SHA1, nil
}

// awsPolicy is a policy in the order and the spelling of Python's json.dumps.
type awsPolicy struct {
	resource   string
	end, start int64
	hasStart   bool
	ip         string
}

func (p awsPolicy) encode() string {
	var b strings.Builder
	b.WriteString(`{"Statement":[{"Resource":` + pythonJSON(p.resource) + `,"Condition":{"DateLessThan":{"AWS:EpochTime":` + strconv.FormatInt(p.end, 10) + `}`)
	if p.ip != "" {
		b.WriteString(`,"IpAddress":{"AWS:SourceIp":` + pythonJSON(p.ip) + `}`)
	}
	if p.hasStart {
		b.WriteString(`,"DateGreaterThan":{"AWS:EpochTime":` + strconv.FormatInt(p.start, 10) + `}`)
	}
	b.WriteString("}}]}")
	return b.String()
}

// traps says where the signature will surprise the user.
func (p awsPolicy) traps(url string, now time.Time) (traps []string) {
	if strings.Contains(p.resource, "*") && p.resource == url {
		traps = append(traps, "the URL holds *, which CloudFront reads as a wildcard: whoever has this link can open everything the pattern matches")
	}
	if i := strings.IndexFunc(url, func(r rune) bool { return r <= ' ' || r >= 0x7f }); i >= 0 {
		traps = append(traps, fmt.Sprintf("the URL holds a character at position %d that only travels percent-encoded, and aws cloudfront sign does not encode it: this link will be refused; give the URL encoded", i+1))
	}
	if strings.Contains(url, "#") {
		traps = append(traps, "what follows # is never sent to the server: this link will be refused")
	}
	if !strings.HasPrefix(url, "http://") && !strings.HasPrefix(url, "https://") {
		traps = append(traps, "the URL does not start with http:// or https://: this link will be refused")
	}
	if p.ip != "" {
		if prefix, err := netip.ParsePrefix(p.ip); err != nil || !prefix.Addr().Is4() {
			traps = append(traps, "--ip-address is not an IPv4 address or range: this link will be refused everywhere")
		}
	}
	if p.resource != url && !(signed.Policy{Resource: p.resource}).Covers(url) {
		traps = append(traps, "--policy-resource does not cover the URL: this link will be refused")
	}
	if p.hasStart && p.start >= p.end {
		traps = append(traps, "the start is not before the end: this link never opens")
	}
	if p.end <= now.Unix() {
		traps = append(traps, "the end is past already: "+time.Unix(p.end, 0).UTC().Format(time.RFC3339))
	}
	return traps
}

// pythonJSON is json.dumps of a string with ensure_ascii: everything outside printable ASCII becomes
// \uXXXX in lower-case hexadecimal, beyond the first plane as a surrogate pair.
func pythonJSON(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\f':
			b.WriteString(`\f`)
		case r == '\b':
			b.WriteString(`\b`)
		case r >= ' ' && r < 0x7f:
			b.WriteRune(r)
		case r >= 0x10000:
			r -= 0x10000
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

var (
	awsNumber = regexp.MustCompile(`^[+-]?(\d+(_\d+)*)(\.\d*)?([eE][+-]?\d+)?$`)
	awsDate   = regexp.MustCompile(`^(\d{4})[-/](\d{1,2})[-/](\d{1,2})$`)
)

// awsLayouts are the instants the AWS CLI documents, and the neighbours people write. A layout without
// a zone is UTC. A fraction of a second is accepted by every layout with seconds, and cut off.
var awsLayouts = []string{
	"2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05-0700", "2006-01-02T15:04:05",
	"2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05-0700", "2006-01-02 15:04:05",
	"2006-01-02T15:04Z07:00", "2006-01-02T15:04", "2006-01-02 15:04",
	"20060102T150405Z0700", "Mon, 02 Jan 2006 15:04:05 GMT",
}

// maxAWSEpoch is the last second of the year 9999, the last that Python's datetime holds.
const maxAWSEpoch = 253402300799

// parseAWSDate reads a date as the AWS CLI does, and says where it will surprise.
func parseAWSDate(flag, text string) (epoch int64, traps []string, err error) {
	trimmed := strings.TrimSpace(text)
	if awsNumber.MatchString(trimmed) {
		f, err := strconv.ParseFloat(strings.ReplaceAll(trimmed, "_", ""), 64)
		if err != nil || math.Trunc(f) > maxAWSEpoch || f < -62135596800 {
			hints := []string{"An epoch is in seconds."}
			if f > maxAWSEpoch && f/1000 <= maxAWSEpoch {
				hints = []string{fmt.Sprintf("It looks like milliseconds; in seconds it is %d.", int64(f/1000))}
			}
			return 0, nil, cli.Usage(fmt.Errorf("reading %s: the number is no epoch before the year 10000", flag), hints...)
		}
		epoch := int64(f)
		if len(trimmed) == 8 && epoch >= 19000101 && epoch <= 21991231 {
			traps = append(traps, fmt.Sprintf("%s %s is read as an epoch in seconds, which is %s; write the date with dashes",
				flag, trimmed, time.Unix(epoch, 0).UTC().Format(time.RFC3339)))
		}
		return epoch, traps, nil
	}
	if m := awsDate.FindStringSubmatch(trimmed); m != nil {
		// The numbers are at most four digits each, so Atoi cannot fail.
		year, _ := strconv.Atoi(m[1])
		month, _ := strconv.Atoi(m[2])
		day, _ := strconv.Atoi(m[3])
		t := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
		if t.Day() == day && int(t.Month()) == month {
			return t.Unix(), []string{fmt.Sprintf("%s %s is 00:00 UTC at the beginning of that day; give an instant such as %sT15:00:00Z if you mean another hour",
				flag, trimmed, t.Format(time.DateOnly))}, nil
		}
	}
	for _, layout := range awsLayouts {
		if t, err := time.Parse(layout, trimmed); err == nil {
			return t.Unix(), nil, nil
		}
	}
	return 0, nil, cli.Usage(fmt.Errorf("reading %s: %q is no date that aws cloudfront sign documents", flag, trimmed),
		"Write YYYY-MM-DD, YYYY-MM-DDThh:mm:ss, the same with +hh:mm or Z, or epoch seconds.")
}
