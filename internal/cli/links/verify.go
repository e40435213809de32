package links

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"postern/internal/cli"
	"postern/signed"
)

// verdictJSON is what `verify --output json` prints.
type verdictJSON struct {
	Valid bool `json:"valid"`
	// Code is CloudFront's, such as AccessDenied; empty if the request is valid.
	Code string `json:"code,omitempty"`
	// Cause is the one cause behind the code, in Postern's words.
	Cause     string `json:"cause,omitempty"`
	Expires   string `json:"expires,omitempty"`
	GrantID   string `json:"grantId,omitempty"`
	KeyPairID string `json:"keyPairId,omitempty"`
	Form      string `json:"form,omitempty"`
	Policy    string `json:"policy,omitempty"`
	Hash      string `json:"hash,omitempty"`
}

// NewVerify is `postern verify`.
func NewVerify(env cli.Env) *cobra.Command {
	var o requestOptions
	cmd := &cobra.Command{
		Use:   "verify URL",
		Short: "Say whether a signature and its policy are good, as the gate would",
		Long: `Verify judges a request's signature and its policy as the gate does, and says the verdict in one line:
exit code 0 if they are good, 1 if they are not. Use explain to learn why not. What only the edge and
the origin know is theirs: whether the path's behaviour needs a signature and which key groups it
trusts, and whether there is such an object.
` + requestHelp,
		Example: `  postern verify "$LINK"
  postern verify "$LINK" --at 2030-01-01T00:00:00Z
  postern verify https://cdn.example.com/v/1.ts --cookie "$COOKIES" --public-key public.pem`,
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := o.request(cmd, env, args)
			if err != nil {
				return err
			}
			keys, err := o.keys(cmd.Context(), env)
			if err != nil {
				return err
			}
			verifier := signed.Verifier{Keys: keys.find}
			grant, err := verifier.Verify(r)
			if err == nil {
				if err := keys.reliable(0); err != nil {
					return err
				}
				return printGrant(env, o.output, grant)
			}
			var refusal *signed.Refusal
			if !errors.As(err, &refusal) {
				return cli.Failed(fmt.Errorf("verifying: %w", err))
			}
			if err := keys.reliable(refusal.Code); err != nil {
				return err
			}
			if o.output == "json" {
				err = cli.PrintJSON(env.Stdout, verdictJSON{Code: refusal.Code.String(), Cause: refusal.Cause.String()})
			} else {
				_, err = fmt.Fprintf(env.Stdout, "refused: %s (%s)\n", refusal.Code, refusal.Cause)
			}
			if err != nil {
				return err
			}
			if cutAtAmpersand(r) {
				env.Warn("%s", quoteHint)
			}
			if hint := keys.grouplessHint(); hint != "" {
				env.Warn("%s", hint)
			}
			if refusal.Cause == signed.CauseAddress && !r.ViewerIP.IsValid() {
				env.Warn("%s", viewerHint)
			}
			return cli.ErrRefused
		},
	}
	o.declare(cmd)
	return cmd
}

func printGrant(env cli.Env, output string, g signed.Grant) error {
	form, policy := "url", "custom"
	if g.Form == signed.FormCookies {
		form = "cookies"
	}
	if g.Canned {
		policy = "canned"
	}
	expires := g.Policy.NotAfter.UTC().Format(time.RFC3339)
	if output == "json" {
		return cli.PrintJSON(env.Stdout, verdictJSON{
			Valid: true, Expires: expires, GrantID: g.ID.String(), KeyPairID: g.KeyPairID,
			Form: form, Policy: policy, Hash: g.Hash.String(),
		})
	}
	_, err := fmt.Fprintf(env.Stdout, "valid until %s (%s policy in the %s, key %s, %s, grant %s)\n",
		expires, policy, form, g.KeyPairID, g.Hash, g.ID)
	return err
}
