package up

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/net/netutil"
	"golang.org/x/sync/errgroup"

	"postern/internal/awsapi"
	"postern/internal/demo"
	"postern/internal/durable"
	"postern/internal/edge"
	"postern/internal/framing"
	"postern/signed"
)

const (
	// linkLife is how long the link that `up` prints opens.
	linkLife = 7 * 24 * time.Hour
	// renewalCheck is how often the TLS certificate's age is looked at.
	renewalCheck = 24 * time.Hour
	// headTimeout is how long the head of a viewer's request may take; the server's own is the same.
	headTimeout = 10 * time.Second
	// stall is how long a client of the control listener may neither send nor take a byte.
	stall = time.Minute
)

// announce writes what scripts and `postern env` read. It is called when every socket is bound and
// everything behind it is built; connections made from now on are answered once serve accepts them.
func (n *node) announce(ctx context.Context, first bool, made madePairs) (Started, error) {
	credential, err := n.keys.Lookup(ctx, n.ours.AccessKeyID)
	if err != nil {
		return Started{}, fmt.Errorf("reading the root access key: %w", err)
	}
	s := Started{First: first, Data: n.c.Data, Warnings: n.sockets.exposed(), Environment: Environment{
		Version:         environmentVersion,
		Endpoint:        urlOf("http", n.sockets.control),
		AccessKeyID:     n.ours.AccessKeyID,
		SecretAccessKey: string(credential.Secret.Bytes()),
		Region:          n.c.Region,
		Account:         n.ours.Account,
		URL:             urlOf("http", n.sockets.public),
		URLTLS:          urlOf("https", n.sockets.publicTLS),
		Bucket:          n.ours.Bucket,
		KeyPairID:       n.ours.RSAKey,
		PrivateKeyFile:  keysDir + "/" + rsaFile,
	}}
	if n.edge != nil {
		if err := n.follower.health(); err != nil {
			s.Warnings = append(s.Warnings, err.Error())
		}
	}
	if s.URL != "" && n.reportIsThere(ctx) {
		s.PlainURL = s.URL + signed.EncodePath(demo.ReportKey)
		s.Expires = n.c.Now().Add(linkLife).Truncate(time.Second)
		signer := signed.Signer{KeyPairID: s.KeyPairID, Key: made.rsa.private}
		if s.SignedURL, err = signer.SignURL(s.PlainURL, s.Expires); err != nil {
			return Started{}, fmt.Errorf("signing the link to the sample report: %w", err)
		}
	}
	if err := writeEnvironment(n.c.Data, n.root, s.Environment); err != nil {
		return Started{}, err
	}
	return s, n.writeReadyFile(s)
}

// readyFile is the JSON of the ready file. It holds no secret.
type readyFile struct {
	PID       int    `json:"pid"`
	Role      Role   `json:"role"`
	Data      string `json:"data"`
	Listeners struct {
		Public    string `json:"public,omitempty"` // host:port
		PublicTLS string `json:"publicTls,omitempty"`
		Control   string `json:"control,omitempty"`
	} `json:"listeners"`
	URLs struct {
		Public    string `json:"public,omitempty"`
		PublicTLS string `json:"publicTls,omitempty"`
		Control   string `json:"control,omitempty"`
	} `json:"urls"`
}

func (n *node) writeReadyFile(s Started) error {
	if n.c.ReadyFile == "" {
		return nil
	}
	r := readyFile{PID: os.Getpid(), Role: n.c.Role, Data: n.c.Data}
	for _, l := range []struct {
		from net.Listener
		to   *string
	}{
		{n.sockets.public, &r.Listeners.Public},
		{n.sockets.publicTLS, &r.Listeners.PublicTLS},
		{n.sockets.control, &r.Listeners.Control},
	} {
		if l.from != nil {
			*l.to = l.from.Addr().String()
		}
	}
	r.URLs.Public, r.URLs.PublicTLS, r.URLs.Control = s.URL, s.URLTLS, s.Endpoint
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the ready file: %w", err)
	}
	if err := durable.WriteFile(n.c.ReadyFile, append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("writing the ready file: %w", err)
	}
	n.onStop(func() error { return removeFile(n.c.ReadyFile) })
	return nil
}

// serve accepts connections until ctx ends or a server fails, and then drains.
func (n *node) serve(ctx context.Context) error {
	// Requests live under a context of their own, which outlasts ctx by the draining.
	requests, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	group, failed := errgroup.WithContext(ctx)
	var servers []*http.Server
	add := func(l net.Listener, h http.Handler) {
		server := edge.NewServer(requests, h, n.c.Logger)
		servers = append(servers, server)
		group.Go(func() error {
			if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("serving on %s: %w", l.Addr(), err)
			}
			return nil
		})
	}
	guard := framing.Config{HeadTimeout: headTimeout, Refused: n.metrics.unreadable}
	control, err := n.control()
	if err != nil {
		return err
	}
	if n.sockets.control != nil {
		add(framing.NewListener(n.sockets.control, guard), control)
	}
	most := viewerConnections()
	if n.sockets.public != nil {
		add(framing.NewListener(netutil.LimitListener(n.sockets.public, most), guard), n.edge)
	}
	if n.sockets.publicTLS != nil {
		guarded, err := framing.NewTLSListener(netutil.LimitListener(n.sockets.publicTLS, most), &tls.Config{
			GetCertificate: n.authority.GetCertificate,
			MinVersion:     tls.VersionTLS12,
		}, guard)
		if err != nil {
			return fmt.Errorf("serving TLS: %w", err)
		}
		add(guarded, n.edge)
		group.Go(func() error { return n.renew(failed) })
	}
	<-failed.Done()
	n.c.Logger.Info("stopping", "drain", drainTime.String())
	drain, done := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer done()
	var stopping errgroup.Group
	for _, server := range servers {
		stopping.Go(func() error {
			if err := server.Shutdown(drain); err != nil {
				cancel()
				return server.Close()
			}
			return nil
		})
	}
	err = stopping.Wait()
	if failure := group.Wait(); failure != nil && !errors.Is(failure, context.Canceled) {
		err = errors.Join(failure, err)
	}
	return err
}

// viewerConnections is how many connections a public listener holds at a time; more wait in the system's
// queue. It is a quarter of the descriptors that the process may have, so that viewers on both listeners
// leave half of them to the control listener, the store and the objects.
func viewerConnections() int {
	const without = 1 << 14 // where the limit cannot be read, or there is none
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur > 4*without {
		return without
	}
	return max(1, int(limit.Cur/4))
}

// renew looks daily whether the certificate ends soon.
func (n *node) renew(ctx context.Context) error {
	ticker := time.NewTicker(renewalCheck)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			if err := n.nameCertificate(n.cloudfront.Snapshot()); err != nil {
				// The one in force goes on; tomorrow is early enough to try again.
				n.c.Logger.Error("renewing the TLS certificate", "error", err)
			}
		}
	}
}

// control is the handler of the control listener: the AWS-compatible APIs, and below /_postern/, which
// no bucket's name can begin with, health and metrics.
func (n *node) control() (http.Handler, error) {
	api, err := awsapi.New(awsapi.Config{
		Services:    []awsapi.Service{n.s3.Table(), n.cloudfront.Table()},
		Credentials: n.keys,
		Region:      n.c.Region,
		Account:     n.ours.Account,
		Now:         n.c.Now,
		Logger:      n.c.Logger,
		Metrics:     n.metrics,
	})
	if err != nil {
		return nil, fmt.Errorf("joining the services: %w", err)
	}
	own := http.NewServeMux()
	own.Handle("GET /_postern/health", http.HandlerFunc(n.serveHealth))
	own.Handle("GET /_postern/metrics", n.metrics.handler())
	return patient(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/_postern/") {
			if !namesUs(r.Host) {
				http.Error(w, "Ask by address or as localhost: other names may be somebody else's, rebound to this machine.", http.StatusForbidden)
				return
			}
			own.ServeHTTP(w, r)
			return
		}
		api.ServeHTTP(w, r)
	})), nil
}

// namesUs says whether a Host is an IP address or localhost. A page in a browser can have its own name resolve
// to this machine (DNS rebinding), and would read what needs no signature.
func namesUs(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	_, err := netip.ParseAddr(strings.Trim(name, "[]"))
	return err == nil || strings.EqualFold(name, "localhost")
}

// patient renews a connection's deadlines while bytes move, so that an upload of hours is not cut and a
// client that has stalled is. (The edge does the same for its own.)
func patient(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		// A connection that cannot have deadlines keeps the server's.
		renewRead := func() { _ = rc.SetReadDeadline(time.Now().Add(stall)) }
		renewWrite := func() { _ = rc.SetWriteDeadline(time.Now().Add(stall)) }
		if r.Body != nil && r.Body != http.NoBody {
			r.Body = &patientBody{r.Body, renewRead, renewWrite}
		}
		h.ServeHTTP(&patientWriter{w, renewWrite}, r)
	})
}

type patientBody struct {
	from interface {
		Read([]byte) (int, error)
		Close() error
	}
	renewRead, renewWrite func()
}

// Read renews the answer's deadline too: it is written when the body has been read.
func (b *patientBody) Read(p []byte) (int, error) {
	b.renewRead()
	n, err := b.from.Read(p)
	b.renewWrite()
	return n, err
}

func (b *patientBody) Close() error { return b.from.Close() }

type patientWriter struct {
	http.ResponseWriter
	renew func()
}

func (w *patientWriter) Write(p []byte) (int, error) {
	w.renew()
	return w.ResponseWriter.Write(p)
}

// Unwrap serves http.ResponseController.
func (w *patientWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
