package links

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"postern/internal/awsclient"
	"postern/internal/cli"
	"postern/signed"
)

const (
	// candidateLimit and candidatePatience bound what explain reads of a bucket to guess which object a
	// signature was made for.
	candidateLimit    = 10_000
	candidatePatience = 2 * time.Second
)

// explanationJSON is what `explain --output json` prints.
type explanationJSON struct {
	Allowed  bool   `json:"allowed"`
	Code     string `json:"code,omitempty"`
	Cause    string `json:"cause,omitempty"`
	Sentence string `json:"sentence"`
	Want     string `json:"want,omitempty"`
	Got      string `json:"got,omitempty"`
	// Section and Position say where the two first differ: the character, counted from 1, of the
	// protocol, host, path, query, expiry or policy.
	Section  string `json:"section,omitempty"`
	Position int    `json:"position,omitempty"`
	Hint     string `json:"hint,omitempty"`
	// SignedURL is what the signature turned out to be made for.
	SignedURL string `json:"signedUrl,omitempty"`
}

// NewExplain is `postern explain`.
func NewExplain(env cli.Env) *cobra.Command {
	var o requestOptions
	var bucket string
	cmd := &cobra.Command{
		Use:   "explain URL",
		Short: "Say in one sentence why a signed URL or cookies do not open",
		Long: `Explain finds the one cause of a refusal, the first in the gate's order, with the two values that
differ and what to do about it: exit code 0 if there is none, 1 if there is.
` + requestHelp + `

When AWS credentials are in the environment, the names in --bucket are tried as what the signature may
have been made for, so that a link whose path was changed altogether is still recognised.`,
		Example: `  postern explain "$LINK"
  postern explain "$LINK" --at 2030-01-01T00:00:00Z --viewer-ip 192.0.2.7`,
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := o.request(cmd, env, args)
			if err != nil {
				return err
			}
			keys, err := o.keys(cmd.Context(), env)
			if err != nil {
				return err
			}
			e := signed.Explain(r, signed.ExplainConfig{
				Verifier:   &signed.Verifier{Keys: keys.find},
				KnownKeys:  keys.known(),
				Hosts:      keys.hosts(),
				Candidates: keys.candidates(bucket),
			})
			if err := keys.reliable(e.Code); err != nil {
				return err
			}
			if e.Allowed && e.Hint == "" {
				e.Hint = elsewhereHint
			}
			if hint := keys.grouplessHint(); hint != "" {
				e.Hint = hint
			} else if e.Cause == signed.CauseAddress && !r.ViewerIP.IsValid() {
				e.Hint = viewerHint
			}
			return printExplanation(env, o.output, e)
		},
	}
	o.declare(cmd)
	cmd.Flags().StringVar(&bucket, "bucket", "", "bucket whose objects the link may have been made for")
	return cmd
}

// known are all keys by id, so that "signed by another key" can be told from "not signed by any".
func (k *keyFinder) known() map[string]*signed.Key {
	all := maps.Clone(k.local)
	if k.only != nil {
		if k.onlyID != "" {
			all[k.onlyID] = k.only
		}
		return all
	}
	if k.api == nil {
		return all
	}
	ctx, cancel := context.WithTimeout(k.ctx, apiPatience)
	defer cancel()
	list, err := k.api.PublicKeys(ctx)
	if err != nil {
		return all // a help, not a need: find has its own way to say that the endpoint is away
	}
	for _, s := range list {
		if key, err := readKey(s.EncodedKey); err == nil {
			all[s.Id] = key
		}
	}
	return all
}

// hosts are the hosts the signer may have meant: the running Postern's, under its three local names.
func (k *keyFinder) hosts() []string {
	u, err := url.Parse(k.env.Getenv("POSTERN_URL"))
	if err != nil || u.Host == "" {
		return nil
	}
	hosts := []string{u.Host}
	for _, local := range []string{"127.0.0.1", "localhost"} {
		if port := u.Port(); port != "" {
			local += ":" + port
		}
		if local != u.Host {
			hosts = append(hosts, local)
		}
	}
	return hosts
}

// candidates are the paths of the objects in the bucket. They are read only when signed.Explain wants
// them, and the reading stops at the limits; a bucket that cannot be read gives none.
func (k *keyFinder) candidates(bucket string) iter.Seq[string] {
	api := k.api
	if api == nil && k.only != nil {
		api, _ = awsclient.FromEnv(k.env.Getenv, k.env.Now)
	}
	if api == nil || bucket == "" {
		return nil
	}
	return func(yield func(string) bool) {
		ctx, cancel := context.WithTimeout(k.ctx, candidatePatience)
		defer cancel()
		for key, err := range api.ObjectKeys(ctx, bucket, candidateLimit) {
			if err != nil || !yield(signed.EncodePath(key)) {
				return
			}
		}
	}
}

func printExplanation(env cli.Env, output string, e signed.Explanation) error {
	if output == "json" {
		j := explanationJSON{
			Allowed: e.Allowed, Sentence: e.Sentence, Want: e.Want, Got: e.Got,
			Section: e.Section, Position: e.Position, Hint: e.Hint, SignedURL: e.SignedURL,
		}
		if !e.Allowed {
			j.Code, j.Cause = e.Code.String(), e.Cause.String()
		}
		if err := cli.PrintJSON(env.Stdout, j); err != nil {
			return err
		}
	} else {
		text := e.Sentence + "\n"
		if e.Want != "" || e.Got != "" {
			text += "  wanted: " + e.Want + "\n  got:    " + e.Got + "\n"
		}
		if e.Hint != "" {
			text += "hint: " + e.Hint + "\n"
		}
		if _, err := fmt.Fprint(env.Stdout, text); err != nil {
			return cli.Failed(fmt.Errorf("writing the result: %w", err))
		}
	}
	if !e.Allowed {
		return cli.ErrRefused
	}
	return nil
}
