package main

import (
	"cmp"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"postern/internal/awsclient"
	"postern/internal/cli"
	"postern/internal/cli/links"
	"postern/internal/cloudfront/document"
	"postern/internal/durable"
	"postern/signed"
)

func newKeys(env cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Make signing keys and list them",
		Long: `Keys makes key pairs and registers their public halves through the CloudFront API, on a running Postern
or on AWS alike: the endpoint and the credentials are the environment's (postern env sets them).`,
		Args: cli.ExactArgs(0, "a command: create or list"),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newKeysCreate(env), newKeysList(env))
	return cmd
}

// client is the CloudFront API of the environment.
func client(env cli.Env) (*awsclient.Client, error) {
	c, err := awsclient.FromEnv(env.Getenv, env.Now)
	if errors.Is(err, awsclient.ErrNoCredentials) {
		return nil, cli.Usage(errors.New("there are no credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set"), cli.EnvironmentHint)
	}
	if err != nil {
		return nil, cli.Usage(err)
	}
	return c, nil
}

// apiFailed says what went wrong at the endpoint.
func apiFailed(doing string, c *awsclient.Client, err error, hints ...string) error {
	var refused *awsclient.Error
	if !errors.As(err, &refused) {
		hints = append(hints, "Is "+c.Endpoint()+" there? AWS_ENDPOINT_URL says where it is looked for.")
	}
	return cli.Failed(fmt.Errorf("%s: %w", doing, err), hints...)
}

type keysCreateOptions struct {
	name, kind, out, from, group, output string
}

// keysDir is where key files are, if nobody says otherwise: the running Postern's, else here.
func keysDir(env cli.Env, flag string) string {
	if flag != "" {
		return env.Path(flag)
	}
	if data := env.Getenv("POSTERN_DATA"); data != "" {
		return filepath.Join(env.Path(data), "keys")
	}
	return env.Dir
}

func newKeysCreate(env cli.Env) *cobra.Command {
	var o keysCreateOptions
	cmd := &cobra.Command{
		Use:   "create --name NAME",
		Short: "Make a key pair and register its public half",
		Long: `Create makes a key pair, writes the private key to NAME.pem (PKCS#1 for RSA, SEC 1 for ECDSA: the forms
that AWS's tools read; version 1 of the AWS CLI signs with RSA only) with mode 0600, and only then
registers the public key and puts it into the key group. A key in no group is trusted by nobody. If
something fails on the way, the private key stays, and the error says how to go on.`,
		Example: `  postern keys create --name 2030-spring --type ecdsa --key-group postern
  postern keys create --name mine --from private.pem --key-group postern`,
		Args: cli.ExactArgs(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error { return createKey(cmd.Context(), env, o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.name, "name", "", "name of the key, at CloudFront and of the files")
	cli.Choice(cmd, &o.kind, "type", "kind of key: RSA with 2048 bits, or ECDSA on P-256 (shorter links)", "rsa", "ecdsa")
	f.StringVar(&o.out, "out", "", "folder for the files (default $POSTERN_DATA/keys if that is set, else the current folder)")
	f.StringVar(&o.from, "from", "", "register this private key's public half instead of making a pair")
	f.StringVar(&o.group, "key-group", "", "name or id of the key group that is to trust the key")
	cli.OutputFlag(cmd, &o.output)
	cli.EnvName(cmd, "out", "POSTERN_KEYS_DIR")
	cli.NoEnv(cmd, "name", "type", "from")
	return cmd
}

// keyName is what may be a file's name everywhere and a name at CloudFront.
var keyName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)

func createKey(ctx context.Context, env cli.Env, o keysCreateOptions) error {
	if !keyName.MatchString(o.name) {
		return cli.Usage(errors.New("--name must be 1 to 100 letters, digits, points, dashes or underscores, and begin with a letter or digit"))
	}
	c, err := client(env)
	if err != nil {
		return err
	}
	// Everything that can be refused is asked before a key is made.
	var group *document.KeyGroup
	if o.group != "" {
		if group, err = findGroup(ctx, c, o.group); err != nil {
			return err
		}
	}
	existing, err := c.PublicKeys(ctx)
	if err != nil {
		return apiFailed("reading the public keys", c, err)
	}
	pair, err := o.pair(env, existing)
	if err != nil {
		return err
	}
	resume := fmt.Sprintf("The private key is safe in %s. Go on with: postern keys create --name %s --from %q", pair.privateFile, o.name, pair.privateFile)
	if o.group != "" {
		resume += fmt.Sprintf(" --key-group %q", o.group)
	}
	id := pair.registered
	if id == "" {
		created, err := c.CreatePublicKey(ctx, document.PublicKeyConfig{
			// Made from the key, so that a repeated call is the same call.
			CallerReference: "postern-" + hex.EncodeToString(pair.key.Fingerprint[:16]),
			Name:            o.name,
			EncodedKey:      string(pair.publicPEM),
		})
		if err != nil {
			return apiFailed("registering the public key", c, err, resume)
		}
		id = created.Id
	}
	if group != nil {
		if err := joinGroup(ctx, c, group.Id, id); err != nil {
			return apiFailed(fmt.Sprintf("putting the public key %s into the key group", id), c, err, resume)
		}
	}
	return printCreated(env, o, pair, id, group)
}

// keyPair is a pair whose private key is on the disk.
type keyPair struct {
	key                     *signed.Key
	publicPEM               []byte
	privateFile, publicFile string
	registered              string // the id, if the public key is at CloudFront already
}

func (o keysCreateOptions) pair(env cli.Env, existing []document.PublicKeySummary) (p keyPair, err error) {
	var private crypto.Signer
	if o.from != "" {
		p.privateFile = env.Path(o.from)
		if private, _, err = links.ReadPrivateKey(env, o.from); err != nil {
			return p, err
		}
	} else if private, err = generate(o.kind); err != nil {
		return p, cli.Failed(fmt.Errorf("making the key pair: %w", err))
	}
	if p.key, err = signed.NewKey(private.Public()); err != nil {
		return p, cli.Failed(fmt.Errorf("making the key pair: %w", err))
	}
	if p.publicPEM, err = signed.EncodePublicKey(private.Public()); err != nil {
		return p, cli.Failed(fmt.Errorf("encoding the public key: %w", err))
	}
	for _, s := range existing {
		if k, err := readKey(s.EncodedKey); err == nil && k.Fingerprint == p.key.Fingerprint {
			p.registered = s.Id
		}
	}
	if o.from != "" {
		return p, nil
	}
	dir := keysDir(env, o.out)
	p.privateFile, p.publicFile = filepath.Join(dir, o.name+".pem"), filepath.Join(dir, o.name+".pub.pem")
	privatePEM, err := signed.EncodePrivateKey(private)
	if err != nil {
		return p, cli.Failed(fmt.Errorf("encoding the private key: %w", err))
	}
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return p, cli.Failed(fmt.Errorf("making the folder for the key: %w", err))
	}
	if err := durable.CreateFile(p.privateFile, privatePEM, 0o600); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return p, cli.Usage(fmt.Errorf("there is a key file %s already", p.privateFile),
				"Choose another --name, or register that key with --from.")
		}
		return p, cli.Failed(fmt.Errorf("writing the private key: %w", err))
	}
	if err := durable.WriteFile(p.publicFile, p.publicPEM, 0o644); err != nil {
		return p, cli.Failed(fmt.Errorf("writing the public key: %w", err))
	}
	return p, nil
}

func generate(kind string) (crypto.Signer, error) {
	if kind == "ecdsa" {
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	return rsa.GenerateKey(rand.Reader, 2048)
}

func findGroup(ctx context.Context, c *awsclient.Client, nameOrID string) (*document.KeyGroup, error) {
	groups, err := c.KeyGroups(ctx)
	if err != nil {
		return nil, apiFailed("reading the key groups", c, err)
	}
	var names []string
	for i, g := range groups {
		if g.Id == nameOrID || g.KeyGroupConfig.Name == nameOrID {
			return &groups[i], nil
		}
		names = append(names, g.KeyGroupConfig.Name)
	}
	hint := "There is no key group yet."
	if len(names) > 0 {
		hint = "There are: " + strings.Join(names, ", ") + "."
	}
	return nil, cli.Usage(fmt.Errorf("there is no key group %q", nameOrID), hint)
}

// joinGroup adds a key to a group, anew if somebody else changed the group meanwhile.
func joinGroup(ctx context.Context, c *awsclient.Client, groupID, keyID string) error {
	for attempt := 0; ; attempt++ {
		group, etag, err := c.KeyGroup(ctx, groupID)
		if err != nil {
			return err
		}
		config := group.KeyGroupConfig
		if slices.Contains(config.Items, keyID) {
			return nil
		}
		config.Items = append(slices.Clone(config.Items), keyID)
		err = c.UpdateKeyGroup(ctx, groupID, etag, config)
		if err == nil || attempt == 4 || !awsclient.IsCode(err, "PreconditionFailed") {
			return err
		}
	}
}

func printCreated(env cli.Env, o keysCreateOptions, p keyPair, id string, group *document.KeyGroup) error {
	if o.output == "json" {
		j := map[string]string{"keyPairId": id, "name": o.name, "privateKeyFile": p.privateFile}
		if p.publicFile != "" {
			j["publicKeyFile"] = p.publicFile
		}
		if group != nil {
			j["keyGroupId"] = group.Id
		}
		return cli.PrintJSON(env.Stdout, j)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "key pair id  %s\nprivate key  %s\n", id, p.privateFile)
	if p.publicFile != "" {
		fmt.Fprintf(&b, "public key   %s\n", p.publicFile)
	}
	if group != nil {
		fmt.Fprintf(&b, "key group    %s (%s)\n", group.KeyGroupConfig.Name, group.Id)
	} else {
		b.WriteString("key group    none: nobody trusts this key yet\n")
		fmt.Fprintf(&b, "\nHave it trusted: postern keys create --name %q --from %q --key-group GROUP\n", o.name, p.privateFile)
	}
	fmt.Fprintf(&b, "\nSign with it: postern sign URL --expires-in 7d --key %q --key-pair-id %s\n", p.privateFile, id)
	if _, err := fmt.Fprint(env.Stdout, b.String()); err != nil {
		return cli.Failed(fmt.Errorf("writing the result: %w", err))
	}
	return nil
}

// listedKey is one line of `keys list`.
type listedKey struct {
	ID     string   `json:"keyPairId"`
	Name   string   `json:"name"`
	Type   string   `json:"type"`
	Groups []string `json:"keyGroups"`
	// Files are the private key files whose public half this is.
	Files []string `json:"privateKeyFiles"`
}

func newKeysList(env cli.Env) *cobra.Command {
	var dir, output string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List public keys, their key groups, and the private key files that match",
		Args:  cli.ExactArgs(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := client(env)
			if err != nil {
				return err
			}
			keys, err := c.PublicKeys(cmd.Context())
			if err != nil {
				return apiFailed("reading the public keys", c, err)
			}
			groups, err := c.KeyGroups(cmd.Context())
			if err != nil {
				return apiFailed("reading the key groups", c, err)
			}
			list := joinKeys(keys, groups, privateKeyFiles(env, keysDir(env, dir)))
			if output == "json" {
				return cli.PrintJSON(env.Stdout, list)
			}
			return printKeys(env, list)
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "folder with private key files (default $POSTERN_DATA/keys if that is set, else the current folder)")
	cli.EnvName(cmd, "dir", "POSTERN_KEYS_DIR")
	cli.OutputFlag(cmd, &output)
	return cmd
}

func joinKeys(keys []document.PublicKeySummary, groups []document.KeyGroup, files map[[32]byte][]string) []listedKey {
	list := []listedKey{}
	for _, k := range keys {
		item := listedKey{ID: k.Id, Name: k.Name, Type: "unknown", Groups: []string{}, Files: []string{}}
		if key, err := readKey(k.EncodedKey); err == nil {
			item.Type = "ecdsa"
			if _, ok := key.Public.(*rsa.PublicKey); ok {
				item.Type = "rsa"
			}
			item.Files = append(item.Files, files[key.Fingerprint]...)
		}
		for _, g := range groups {
			if slices.Contains(g.KeyGroupConfig.Items, k.Id) {
				item.Groups = append(item.Groups, g.KeyGroupConfig.Name)
			}
		}
		list = append(list, item)
	}
	slices.SortFunc(list, func(a, b listedKey) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
	return list
}

// privateKeyFiles are the private keys in a folder's *.pem files by their public half's fingerprint.
// What is no private key of ours, or cannot be read, is passed over.
func privateKeyFiles(env cli.Env, dir string) map[[32]byte][]string {
	found := map[[32]byte][]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return found
	}
	for _, e := range entries {
		if !e.Type().IsRegular() || filepath.Ext(e.Name()) != ".pem" {
			continue
		}
		name := filepath.Join(dir, e.Name())
		pem, err := env.ReadFile(name)
		if err != nil {
			continue
		}
		private, err := signed.ParsePrivateKey(pem)
		if err != nil {
			continue
		}
		if key, err := signed.NewKey(private.Public()); err == nil {
			found[key.Fingerprint] = append(found[key.Fingerprint], name)
		}
	}
	return found
}

func printKeys(env cli.Env, list []listedKey) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(env.Stdout, "There are no public keys. Make one: postern keys create --name NAME")
		return err
	}
	w := tabwriter.NewWriter(env.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "KEY PAIR ID\tNAME\tTYPE\tKEY GROUPS\tPRIVATE KEY FILE")
	for _, k := range list {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", k.ID, k.Name, k.Type,
			cmp.Or(strings.Join(k.Groups, ","), "-"), cmp.Or(strings.Join(k.Files, ","), "-"))
	}
	if err := w.Flush(); err != nil {
		return cli.Failed(fmt.Errorf("writing the result: %w", err))
	}
	return nil
}

func readKey(pem string) (*signed.Key, error) {
	public, err := signed.ParsePublicKey([]byte(pem))
	if err != nil {
		return nil, err
	}
	return signed.NewKey(public)
}
