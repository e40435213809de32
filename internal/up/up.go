// Package up is what `postern up` starts: the composition of every room into one process over one data
// folder. It makes what a first start needs, joins engines and edge, opens the listeners, and stops in
// reverse order. Nobody but cmd/postern imports it, and it may import anything.
//
// The data folder (0700), each part with its owner:
//
//	up.lock        the lock of the running process (this package)
//	root.key       the root key, 0600 (seal)
//	env.json       the root access key, its secret sealed under root.key, and where the listeners are, 0600 (this package)
//	ca.pem         certificate of the local authority, for trust stores (localca; its key is in the store)
//	keys/          the demo's signing keys: rsa.pem (PKCS#1), ecdsa.pem (SEC 1), 0600
//	store/         records (store)
//	objects/       the embedded S3's bytes and index (s3/objects)
//	audit/         one line an operation: audit.jsonl, and viewers.jsonl for what needs no credential (audit)
package up

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"postern/internal/audit"
	"postern/internal/cloudfront"
	"postern/internal/cloudfront/document"
	"postern/internal/edge"
	"postern/internal/localca"
	"postern/internal/policy"
	"postern/internal/s3"
	"postern/internal/s3/objects"
	"postern/internal/s3/objects/local"
	"postern/internal/seal"
	"postern/internal/store"
)

// Role says which listeners a process opens.
type Role string

// The roles. In this version the record store lives inside the process, so that all roles of one data
// folder are one process: a role leaves a listener closed, it does not spread the work.
const (
	RoleAll     Role = "all"
	RoleEdge    Role = "edge"    // no control listener
	RoleControl Role = "control" // no public listeners
)

// DefaultRegion is the region of a new data folder, if nobody says otherwise.
const DefaultRegion = "us-east-1"

// Config is what `postern up` was told.
type Config struct {
	// Data is the data folder, absolute. Role, Now and Logger are required too.
	Data string
	Role Role
	// Region is the one of S3 credential scopes and new buckets; empty is the folder's, which is that of
	// its first start.
	Region string
	// ListenPublic, ListenPublicTLS and ListenControl are host:port; port 0 is any free one, empty opens
	// none. A role does without those that are not its.
	ListenPublic, ListenPublicTLS, ListenControl string
	// TrustedProxies may say by X-Forwarded-For and -Proto whom they speak for.
	TrustedProxies []netip.Prefix
	// DefaultDistribution answers for localhost and loopback addresses; empty is the demo's.
	DefaultDistribution string
	// AuditSync is when audit lines are forced to the disk.
	AuditSync audit.Sync
	// ReadyFile is written once everything listens, and removed when the process stops; empty is none.
	ReadyFile string
	// Version is shown by health.
	Version string
	Now     func() time.Time
	Logger  *slog.Logger
}

// Started is what a start made and where it listens.
type Started struct {
	// First: this start completed the first start of the folder.
	First bool
	Data  string
	Environment
	// SignedURL opens the sample report until Expires; PlainURL is the same without its signature. Both
	// are empty when the demo's report, key or listener is not there.
	SignedURL, PlainURL string
	Expires             time.Time
	// Warnings are sentences for the user: a listener that others can reach, a broken distribution.
	Warnings []string
}

// drainTime is how long requests under way may take after the signal to stop.
const drainTime = 10 * time.Second

// Run starts everything, calls started, and serves until ctx ends or a part fails. It returns nil after
// a stop that was asked for. A second Run on one folder is an [*InUseError].
func Run(ctx context.Context, c Config, started func(Started)) (err error) {
	if c.Data == "" || !filepath.IsAbs(c.Data) || c.Now == nil || c.Logger == nil {
		return errors.New("starting: Data (absolute), Now and Logger are required")
	}
	n := &node{c: c, metrics: newMetrics()}
	defer func() {
		// Last in, first out: whoever was built on something stops before it.
		for _, stop := range slices.Backward(n.stops) {
			err = errors.Join(err, stop())
		}
	}()
	s, err := n.start(ctx)
	if err != nil {
		return err
	}
	started(s)
	return n.serve(ctx)
}

// node is the running process. It belongs to the goroutine of Run.
type node struct {
	c     Config
	stops []func() error

	root       *seal.RootKey
	store      *store.Store
	keeper     *seal.Keeper
	ours       installation
	keys       *accessKeys
	objects    objects.Backend
	s3         *s3.Service
	cloudfront *cloudfront.Service
	edge       *edge.Edge
	follower   *follower
	authority  *localca.Authority
	sockets    sockets
	metrics    *metrics
	audited    *witness
}

func (n *node) onStop(f func() error) { n.stops = append(n.stops, f) }

// start builds the parts from the ground up. What it has built when it fails, Run stops.
func (n *node) start(ctx context.Context) (Started, error) {
	if err := prepareFolder(n.c.Data); err != nil {
		return Started{}, err
	}
	release, err := lock(n.c.Data)
	if err != nil {
		return Started{}, err
	}
	n.onStop(func() error { release(); return nil })
	if n.c.ReadyFile != "" {
		// One left by a process that was killed would tell a script that this one is ready.
		if err := removeFile(n.c.ReadyFile); err != nil {
			return Started{}, fmt.Errorf("removing the old ready file: %w", err)
		}
	}
	// Ports that are taken are found out before anything is made. Nothing is accepted yet.
	if n.sockets, err = bind(n.c); err != nil {
		return Started{}, err
	}
	n.onStop(n.sockets.close)
	// The demo's keys are made while the store opens: RSA takes its time.
	pairs := make(chan madePairs, 1)
	go func() { pairs <- makePairs(filepath.Join(n.c.Data, keysDir)) }()
	if err := n.openGround(ctx); err != nil {
		<-pairs
		return Started{}, err
	}
	made := <-pairs
	if made.err != nil {
		return Started{}, made.err
	}
	if err := n.openServices(ctx); err != nil {
		return Started{}, err
	}
	first, err := n.firstStart(ctx, made)
	if err != nil {
		return Started{}, fmt.Errorf("first start: %w", err)
	}
	if err := n.openEdge(ctx); err != nil {
		return Started{}, err
	}
	return n.announce(ctx, first, made)
}

// openGround opens what everything stands on: root key, records, identity.
func (n *node) openGround(ctx context.Context) (err error) {
	if err := checkWhole(n.c.Data); err != nil {
		return err
	}
	if n.root, err = openRootKey(n.c.Data); err != nil {
		return err
	}
	n.store, err = store.Open(ctx, store.Config{Dir: filepath.Join(n.c.Data, storeDir), Logger: n.c.Logger})
	if errors.Is(err, store.ErrLocked) {
		return &InUseError{Data: n.c.Data}
	}
	if err != nil {
		return fmt.Errorf("opening the records: %w", err)
	}
	n.onStop(n.store.Close)
	if n.keeper, err = seal.NewKeeper(ctx, n.root, n.store); err != nil {
		return fmt.Errorf("opening the records with %s: %w", rootKeyFile, err)
	}
	if n.ours, err = openInstallation(ctx, n.store, n.c); err != nil {
		return err
	}
	if n.c.Region == "" {
		n.c.Region = n.ours.Region
	}
	if n.keys, err = openAccessKeys(ctx, n.store, n.keeper, n.ours, n.c.Now); err != nil {
		return err
	}
	n.onStop(func() error { n.keys.Close(); return nil })
	return nil
}

// Of viewers' lines, which strangers can cause, at most viewerFiles full files are kept and one that fills.
const viewerFiles = 7

// openAudit opens the audit log: audit.jsonl for what credentials did, of which nothing is ever removed, and
// viewers.jsonl for the edge's reads and for strangers.
func (n *node) openAudit() (audit.Writer, error) {
	open := func(name string, keep int) (*audit.File, error) {
		f, err := audit.OpenFile(audit.FileConfig{
			Path: filepath.Join(n.c.Data, auditDir, name), Sync: n.c.AuditSync, Keep: keep, Now: n.c.Now,
		})
		if err != nil {
			return nil, fmt.Errorf("opening the audit log: %w", err)
		}
		n.onStop(f.Close)
		return f, nil
	}
	credentialed, err := open("audit.jsonl", 0)
	if err != nil {
		return nil, err
	}
	uncredentialed, err := open("viewers.jsonl", viewerFiles)
	if err != nil {
		return nil, err
	}
	n.audited = &witness{to: audit.Split{Credentialed: credentialed, Uncredentialed: uncredentialed}}
	return n.audited, nil
}

// witness remembers whether the audit log could be written the last time, for health.
type witness struct {
	to   audit.Writer
	last atomic.Pointer[error]
}

func (w *witness) Write(e audit.Event) error {
	err := w.to.Write(e)
	if err != nil {
		w.last.Store(&err)
	} else if w.last.Load() != nil {
		w.last.Store(nil)
	}
	return err
}

func (w *witness) health() error {
	if err := w.last.Load(); err != nil {
		return *err
	}
	return nil
}

// openServices opens the engines.
func (n *node) openServices(ctx context.Context) (err error) {
	lines, err := n.openAudit()
	if err != nil {
		return err
	}
	guard, err := audit.NewGuard(audit.GuardConfig{Decider: policy.Owner{}, Writer: lines, Region: n.c.Region, Now: n.c.Now})
	if err != nil {
		return err
	}
	backend, err := local.Open(local.Config{Dir: filepath.Join(n.c.Data, objectsDir), Now: n.c.Now, Logger: n.c.Logger})
	if err != nil {
		return fmt.Errorf("opening the objects: %w", err)
	}
	n.objects = backend
	n.onStop(backend.Close)
	n.s3, err = s3.New(s3.Config{Store: n.store, Objects: backend, Guard: guard, Account: n.ours.Account, Region: n.c.Region, Now: n.c.Now})
	if err != nil {
		return err
	}
	n.onStop(func() error { n.s3.Close(); return nil })
	n.follower = newFollower(n.c.Logger)
	n.cloudfront, err = cloudfront.New(ctx, cloudfront.Config{
		Store: n.store, Keeper: n.keeper, Guard: guard, Account: n.ours.Account, Now: n.c.Now,
		Applied: n.follower.applied, Check: servable,
	})
	if err != nil {
		return err
	}
	n.onStop(func() error { n.cloudfront.Close(); return nil })
	return nil
}

// openEdge makes the edge and has it follow the documents. It returns once the edge has them.
func (n *node) openEdge(ctx context.Context) (err error) {
	if n.c.Role == RoleControl {
		return nil
	}
	if n.authority, err = localca.Open(ctx, localca.Config{Store: n.store, Keeper: n.keeper, Now: n.c.Now}); err != nil {
		return err
	}
	if err := writeFileIfNew(filepath.Join(n.c.Data, caFile), n.authority.CertificatePEM(), 0o644); err != nil {
		return fmt.Errorf("writing the local authority's certificate: %w", err)
	}
	port := 0
	if l := n.sockets.publicTLS; l != nil {
		port = l.Addr().(*net.TCPAddr).Port
	}
	n.edge, err = edge.New(edge.Options{
		Buckets:        buckets{n.s3},
		TrustedProxies: n.c.TrustedProxies,
		HTTPSPort:      port,
		Now:            n.c.Now,
		Logger:         n.c.Logger,
		Metrics:        n.metrics,
	})
	if err != nil {
		return err
	}
	n.onStop(func() error { n.edge.Close(); return nil })
	if n.c.DefaultDistribution == "" {
		n.c.DefaultDistribution = n.ours.Distribution
	} else if !slices.ContainsFunc(n.cloudfront.Snapshot().Distributions, func(d document.Distribution) bool { return d.Id == n.c.DefaultDistribution }) {
		return fmt.Errorf("there is no distribution %q to answer for localhost: see aws cloudfront list-distributions", n.c.DefaultDistribution)
	}
	stop, err := n.follower.start(ctx, n.cloudfront, n.edge, n.c.DefaultDistribution, n.nameCertificate)
	n.onStop(func() error { stop(); return nil })
	return err
}

// nameCertificate makes the TLS certificate cover the names of the documents.
func (n *node) nameCertificate(s cloudfront.Snapshot) error {
	return n.authority.Refresh(serverNames(s))
}
