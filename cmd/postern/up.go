package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"postern/internal/audit"
	"postern/internal/cli"
	"postern/internal/up"
)

const upHelp = `Up starts Postern over one data folder and serves until it is told to stop (SIGINT, SIGTERM; requests
under way get ten seconds).

The first start makes everything: the folder (0700), a root key, credentials, a private bucket, an
RSA-2048 and a P-256 key pair, a key group, and a distribution on which everything but /public/* needs
a signature. It puts a sample report and prints a link that opens it for seven days, and the same link
without its signature, which does not. A first start that is cut off is completed by the next.

Roles: "edge" leaves the control listener closed, "control" the public ones. In this version the record
store lives inside the process, so all roles of one data folder run in one process; spreading them over
several comes with a store of its own.

Losing root.key loses what is sealed in the folder: keep a copy of it elsewhere than the folder's.`

type upOptions struct {
	data, role, region                           string
	listenPublic, listenPublicTLS, listenControl string
	readyFile, logFormat, logLevel, auditSync    string
	trustedProxies                               []string
	defaultDistribution                          string
}

func newUp(env cli.Env) *cobra.Command {
	var o upOptions
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Start everything over a data folder",
		Long:  upHelp,
		Example: `  postern up
  postern up --data /var/lib/postern --ready-file /run/postern/ready.json --log-format json
  postern up --listen-public 0.0.0.0:80 --listen-public-tls 0.0.0.0:443 --listen-control 127.0.0.1:4566`,
		Args: cli.ExactArgs(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := o.config(env)
			if err != nil {
				return err
			}
			// A reader that has seen enough of the output, such as head, must not end the server.
			signal.Ignore(syscall.SIGPIPE)
			// The second signal ends the process at once: stop gives signals back their old meaning.
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			go func() { <-ctx.Done(); stop() }()
			return upFailed(up.Run(ctx, c, func(s up.Started) { printStarted(env, o, s) }))
		},
	}
	f := cmd.Flags()
	dataFlag(cmd, &o.data)
	cli.Choice(cmd, &o.role, "role", "which listeners to open", string(up.RoleAll), string(up.RoleEdge), string(up.RoleControl))
	f.StringVar(&o.region, "region", "", "region of S3 signatures and new buckets (default that of the first start, us-east-1)")
	f.StringVar(&o.listenPublic, "listen-public", "127.0.0.1:8080", "address of the edge, HTTP; port 0 is any free one, \"\" opens none")
	f.StringVar(&o.listenPublicTLS, "listen-public-tls", "127.0.0.1:8443", "address of the edge, HTTPS with the local authority's certificate; \"\" opens none")
	f.StringVar(&o.listenControl, "listen-control", "127.0.0.1:4566", "address of the AWS-compatible APIs, /_postern/health and /_postern/metrics; \"\" opens none")
	f.StringVar(&o.readyFile, "ready-file", "", "file to write, as JSON, once everything listens; removed at the end")
	f.StringSliceVar(&o.trustedProxies, "trusted-proxy", nil, "CIDR range of proxies whose X-Forwarded-For and -Proto are believed; may be repeated")
	f.StringVar(&o.defaultDistribution, "default-distribution", "", "id of the distribution that answers for localhost (default the first start's)")
	cli.Choice(cmd, &o.auditSync, "audit-sync", "when audit lines are forced to the disk: within 100 ms, or before each answer", "interval", "always")
	cli.Choice(cmd, &o.logFormat, "log-format", "form of the log on standard error", "text", "json")
	cli.Choice(cmd, &o.logLevel, "log-level", "least level that is logged", "info", "debug", "warn", "error")
	return cmd
}

// config checks everything that can be checked before anything is done.
func (o upOptions) config(env cli.Env) (up.Config, error) {
	c := up.Config{
		Data: env.Path(o.data), Role: up.Role(o.role), Region: o.region,
		ListenPublic: o.listenPublic, ListenPublicTLS: o.listenPublicTLS, ListenControl: o.listenControl,
		DefaultDistribution: o.defaultDistribution,
		Version:             versionText(), Now: env.Now,
	}
	if o.readyFile != "" {
		c.ReadyFile = env.Path(o.readyFile)
	}
	if o.auditSync == "always" {
		c.AuditSync = audit.SyncAlways
	}
	for _, text := range o.trustedProxies {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return c, cli.Usage(fmt.Errorf("--trusted-proxy %q is not a CIDR range", text), "Write it like 10.0.0.0/8 or 192.0.2.7/32.")
		}
		c.TrustedProxies = append(c.TrustedProxies, p)
	}
	for _, l := range []struct{ flag, address string }{
		{"listen-public", c.ListenPublic}, {"listen-public-tls", c.ListenPublicTLS}, {"listen-control", c.ListenControl},
	} {
		if err := checkAddress(l.address); err != nil {
			return c, cli.Usage(fmt.Errorf("--%s: %w", l.flag, err), "Write it like 127.0.0.1:8080, or 0.0.0.0:8080 for all addresses.")
		}
	}
	if !validRegion(o.region) {
		return c, cli.Usage(errors.New("--region is no region's name"), "Write it like us-east-1.")
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(o.logLevel)); err != nil {
		return c, cli.Usage(fmt.Errorf("--log-level: %w", err))
	}
	options := &slog.HandlerOptions{Level: level}
	if o.logFormat == "json" {
		c.Logger = slog.New(slog.NewJSONHandler(env.Stderr, options))
	} else {
		c.Logger = slog.New(slog.NewTextHandler(env.Stderr, options))
	}
	return c, nil
}

// checkAddress wants an IP address and a port; a name could resolve to more than was meant.
func checkAddress(address string) error {
	if address == "" {
		return nil
	}
	if rest, ok := strings.CutPrefix(address, "localhost:"); ok {
		address = "127.0.0.1:" + rest
	}
	if _, err := netip.ParseAddrPort(address); err != nil {
		return fmt.Errorf("%q is not an IP address and a port", address)
	}
	return nil
}

func validRegion(region string) bool {
	for _, r := range region {
		if r != '-' && (r < 'a' || r > 'z') && (r < '0' || r > '9') {
			return false
		}
	}
	return len(region) <= 32
}

// upFailed gives an error of up.Run its exit code and its way out.
func upFailed(err error) error {
	var inUse *up.InUseError
	var taken *up.AddressInUseError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &inUse):
		return &cli.Failure{Code: cli.ExitInUse, Err: err, Hints: []string{
			`Use that one: eval "$(postern env)". Or stop it first, or give this one another folder with --data.`,
		}}
	case errors.As(err, &taken):
		return cli.Failed(err, fmt.Sprintf("Give another address with %s; port 0 is any free one.", taken.Flag))
	case errors.Is(err, up.ErrNotOurs):
		return cli.Usage(err, "Give an empty folder, or one that does not exist yet, with --data.")
	}
	return cli.Failed(err)
}

// printStarted says what there is now. Standard output may be closed or full: serving goes on.
func printStarted(env cli.Env, o upOptions, s up.Started) {
	for _, w := range s.Warnings {
		env.Warn("%s", w)
	}
	var b strings.Builder
	if s.First {
		fmt.Fprintf(&b, "Postern is up for the first time, in %s\n\n", s.Data)
	} else {
		fmt.Fprintf(&b, "Postern is up, in %s\n\n", s.Data)
	}
	for _, l := range []struct{ name, url string }{
		{"edge", s.URL}, {"edge, TLS", s.URLTLS}, {"AWS-compatible APIs", s.Endpoint},
	} {
		if l.url != "" {
			fmt.Fprintf(&b, "  %-20s %s\n", l.name, l.url)
		}
	}
	if s.SignedURL != "" {
		fmt.Fprintf(&b, "\nThis link opens the sample report until %s: a browser shows it, curl gets 200.\n\n%s\n",
			s.Expires.UTC().Format(time.RFC3339), s.SignedURL)
		fmt.Fprintf(&b, "\nThis is the same link without its signature: a browser shows an error, curl gets 403.\n\n%s\n", s.PlainURL)
	}
	if s.First {
		data := ""
		if o.data != defaultData {
			data = fmt.Sprintf(" --data '%s'", s.Data)
		}
		fmt.Fprintf(&b, `
Go on in another shell:

  eval "$(%[1]s env%[2]s)"
  aws s3 cp report.pdf "s3://$POSTERN_BUCKET/uploads/report.pdf"
  %[1]s sign "$POSTERN_URL/uploads/report.pdf" --expires-in 7d

Keep a copy of %[3]s/root.key elsewhere: without it the folder cannot be read.
`, env.Name(), data, s.Data)
	}
	fmt.Fprintln(&b, "\nStop with Ctrl-C.")
	_, _ = fmt.Fprint(env.Stdout, b.String())
}
