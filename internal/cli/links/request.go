package links

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"postern/internal/awsclient"
	"postern/internal/cli"
	"postern/internal/cloudfront/document"
	"postern/signed"
)

// requestOptions are what verify and explain take: a request as a viewer would send it, and where its
// keys are.
type requestOptions struct {
	cookies            []string
	viewerIP, at       string
	publicKey          string
	keyFile, keyPairID string
	keyPairIDTyped     bool // on the command line, not in the environment
	withoutAPI         bool
	output             string
}

const requestHelp = `
The URL is the one the viewer asks for, in quotes; - reads it from standard input. With signed cookies,
give --cookie as the browser sends them ("CloudFront-Policy=…; CloudFront-Signature=…; …"), or what
postern cookies prints.

Keys are found, in this order: the file of --public-key; the CloudFront API, when AWS credentials are
in the environment (AWS_ENDPOINT_URL says where; postern env sets it), because it knows which keys are
still there; the public half of --key, for --key-pair-id.`

func (o *requestOptions) declare(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringArrayVar(&o.cookies, "cookie", nil, "the value of a Cookie header; may be given several times")
	f.StringVar(&o.viewerIP, "viewer-ip", "", "the viewer's address, for a grant that names one")
	f.StringVar(&o.at, "at", "", "the instant to judge by, instead of now: RFC 3339 with a zone, or epoch seconds")
	f.StringVar(&o.publicKey, "public-key", "", "PEM file with the public key to check with")
	keyFlags(cmd, &o.keyFile, &o.keyPairID)
	f.BoolVar(&o.withoutAPI, "offline", false, "ask no endpoint: only the key files count")
	cli.OutputFlag(cmd, &o.output)
	cli.NoEnv(cmd, "cookie", "viewer-ip", "at")
	cli.OneOf(cmd, "offline", "public-key")
}

// request reads the request from the arguments.
func (o *requestOptions) request(cmd *cobra.Command, env cli.Env, args []string) (signed.Request, error) {
	var r signed.Request
	if len(args) == 0 && len(o.cookies) > 0 {
		return r, cli.Usage(errors.New("cookies alone say nothing: which URL do they come with?"), "Give the URL too.")
	}
	if err := cli.ExactArgs(1, "one URL")(cmd, args); err != nil {
		return r, err
	}
	raw := args[0]
	if raw == "-" {
		text, err := env.ReadFile("-")
		if err != nil {
			return r, cli.Failed(fmt.Errorf("reading the URL from standard input: %w", err))
		}
		raw = string(text)
	}
	var err error
	if r.URL, err = travelled(strings.Trim(raw, "\"' \t\r\n")); err != nil {
		return r, err
	}
	for _, c := range o.cookies {
		for line := range strings.Lines(c) {
			r.Cookies = append(r.Cookies, cookieValue(line))
		}
	}
	if o.viewerIP != "" {
		if r.ViewerIP, err = netip.ParseAddr(o.viewerIP); err != nil {
			return r, cli.Usage(errors.New("--viewer-ip is not an IP address"))
		}
	}
	r.Time = env.Now()
	if o.at != "" {
		if r.Time, err = signed.ParseTime(o.at); err != nil {
			return r, cli.Usage(fmt.Errorf("reading --at: %w", err))
		}
	}
	o.keyPairIDTyped = cli.Given(cmd, "key-pair-id")
	return r, nil
}

// cookieValue is the value of a Cookie header: of one line, with the header's name or without, and of what
// postern cookies prints, a Set-Cookie line, whose attributes a browser keeps to itself.
func cookieValue(line string) string {
	line = strings.TrimSpace(line)
	if name, value, ok := strings.Cut(line, ":"); ok {
		switch {
		case strings.EqualFold(name, "cookie"):
			return strings.TrimSpace(value)
		case strings.EqualFold(name, "set-cookie"):
			value, _, _ = strings.Cut(value, ";")
			return strings.TrimSpace(value)
		}
	}
	return line
}

// travelled is the URL as it arrives at the edge: without its fragment, scheme and host in lower case,
// without a default port, with at least "/" for a path. Path and query stay byte for byte.
func travelled(raw string) (string, error) {
	if strings.ContainsRune(raw, '\\') {
		return "", cli.Usage(errors.New(`the URL has a backslash in it, which no URL has: some shells put \ before ? & = when a link is pasted`),
			`Take the backslashes out and put the URL in '…', or pipe it in with -.`)
	}
	raw, _, _ = strings.Cut(raw, "#")
	scheme, rest, ok := strings.Cut(raw, "://")
	scheme = strings.ToLower(scheme)
	i := strings.IndexAny(rest, "/?")
	if i < 0 {
		i = len(rest)
	}
	host, rest := strings.ToLower(rest[:i]), rest[i:]
	if !ok || host == "" || scheme != "http" && scheme != "https" {
		return "", cli.Usage(errors.New("this is not an absolute http:// or https:// URL"), "Give the whole URL, in quotes.")
	}
	if j := strings.LastIndexByte(host, '@'); j >= 0 {
		return "", cli.Usage(errors.New("the URL holds a user name or password, which no viewer sends to the edge"))
	}
	if scheme == "http" {
		host = strings.TrimSuffix(host, ":80")
	} else {
		host = strings.TrimSuffix(host, ":443")
	}
	if !strings.HasPrefix(rest, "/") {
		rest = "/" + rest
	}
	return scheme + "://" + host + rest, nil
}

// cutAtAmpersand reports whether the URL looks like the first piece of a signed URL that a shell cut
// at its first &: one of the signature's parameters, and not the others.
func cutAtAmpersand(r signed.Request) bool {
	_, query, _ := strings.Cut(r.URL, "?")
	return len(r.Cookies) == 0 && query != "" && !strings.Contains(query, "&") &&
		(strings.HasPrefix(query, "Expires=") || strings.HasPrefix(query, "Policy="))
}

const quoteHint = "There is no Signature in the URL: the shell cut it at the first &. Quote the URL, or pipe it in with -."

const viewerHint = "the grant names an address: say with --viewer-ip from where the link is used"

// elsewhereHint is what a good signature leaves open.
const elsewhereHint = "if it is refused all the same: InvalidKey means that the path's behaviour does not trust this key's group; " +
	"an error with a RequestId comes from the origin, which has no such object or refuses it"

// keyFinder finds the public keys that a request names. It belongs to one command and one goroutine.
type keyFinder struct {
	ctx context.Context
	env cli.Env
	api *awsclient.Client

	// only, if set, is the key of --public-key; onlyID its id, or "" for whichever the request names.
	only   *signed.Key
	onlyID string
	local  map[string]*signed.Key

	found map[string]*signed.Key // what was answered, nil for "not known"
	err   error                  // why the API could not be asked
	// groupless are keys that the API knows and that no key group holds, so that no gate trusts them.
	groupless []string
}

const apiPatience = 3 * time.Second

func (o *requestOptions) keys(ctx context.Context, env cli.Env) (*keyFinder, error) {
	k := &keyFinder{ctx: ctx, env: env, local: map[string]*signed.Key{}, found: map[string]*signed.Key{}}
	if o.publicKey != "" {
		pem, err := env.ReadFile(o.publicKey)
		if err != nil {
			return nil, cli.Failed(fmt.Errorf("reading the public key: %w", err))
		}
		public, err := signed.ParsePublicKey(pem)
		if err != nil {
			return nil, cli.Usage(fmt.Errorf("reading the public key %s: %w", o.publicKey, err),
				`Give a PEM file that begins with "-----BEGIN PUBLIC KEY-----".`)
		}
		if k.only, err = signed.NewKey(public); err != nil {
			return nil, cli.Usage(fmt.Errorf("using the public key %s: %w", o.publicKey, err))
		}
		if o.keyPairIDTyped {
			k.onlyID = o.keyPairID
		}
		return k, nil
	}
	if o.keyFile != "" && o.keyPairID != "" {
		key, err := loadSigningKey(env, o.keyFile, o.keyPairID)
		if err != nil {
			return nil, err
		}
		k.local[key.id] = key.public
	}
	if !o.withoutAPI {
		api, err := awsclient.FromEnv(env.Getenv, env.Now)
		if err != nil && !errors.Is(err, awsclient.ErrNoCredentials) {
			return nil, cli.Usage(err)
		}
		k.api = api
	}
	if k.api == nil && len(k.local) == 0 {
		return nil, cli.Usage(errors.New("there is no key to check with"),
			"Give --public-key FILE, or --key FILE with --key-pair-id ID.", cli.EnvironmentHint)
	}
	return k, nil
}

// find is signed.Verifier's Keys.
func (k *keyFinder) find(id string) (*signed.Key, bool) {
	if k.only != nil {
		return k.only, k.onlyID == "" || k.onlyID == id
	}
	key, seen := k.found[id]
	if !seen {
		key = k.ask(id)
		k.found[id] = key
	}
	return key, key != nil
}

func (k *keyFinder) ask(id string) *signed.Key {
	if k.api == nil || checkKeyPairID(id) != nil {
		return k.local[id]
	}
	ctx, cancel := context.WithTimeout(k.ctx, apiPatience)
	defer cancel()
	answer, err := k.api.PublicKey(ctx, id)
	if err == nil {
		var key *signed.Key
		if key, err = readKey(answer.PublicKeyConfig.EncodedKey); err == nil {
			if k.inNoGroup(ctx, id) {
				k.groupless = append(k.groupless, id)
				return nil
			}
			return key
		}
	}
	if awsclient.IsCode(err, "NoSuchPublicKey") {
		return nil
	}
	k.err = err
	return k.local[id]
}

// inNoGroup says that the key groups are known and none holds the key. Whether the group is one of the
// behaviour's is the gate's to know; not being allowed to list groups is no verdict.
func (k *keyFinder) inNoGroup(ctx context.Context, id string) bool {
	groups, err := k.api.KeyGroups(ctx)
	return err == nil && !slices.ContainsFunc(groups, func(g document.KeyGroup) bool {
		return slices.Contains(g.KeyGroupConfig.Items, id)
	})
}

// grouplessHint is what to do about a key that nobody trusts; "" if that is not the matter.
func (k *keyFinder) grouplessHint() string {
	if len(k.groupless) == 0 {
		return ""
	}
	return "the key " + k.groupless[0] + " is registered but in no key group; put it into one that the behaviour trusts"
}

func readKey(pem string) (*signed.Key, error) {
	public, err := signed.ParsePublicKey([]byte(pem))
	if err != nil {
		return nil, err
	}
	return signed.NewKey(public)
}

// reliable says whether an answer "unknown key" can be trusted: it cannot when the endpoint that
// would know did not answer.
func (k *keyFinder) reliable(code signed.Code) error {
	if k.err == nil {
		return nil
	}
	if code == signed.InvalidKey {
		return cli.Failed(fmt.Errorf("asking %s for the key: %w", k.api.Endpoint(), k.err),
			"Give --public-key FILE to check without it, or --offline to use the key files alone.")
	}
	k.env.Warn("%s could not be asked for the key (%v); the key file was used", k.api.Endpoint(), k.err)
	return nil
}
