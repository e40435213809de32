package up

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"postern/internal/audit"
	"postern/internal/cloudfront"
	"postern/internal/cloudfront/document"
)

// TestServable: a document that only the edge finds fault with is refused for its own distribution and
// nobody else's.
func TestServable(t *testing.T) {
	sound := func(id string) document.Distribution {
		c := document.NewDistributionConfig("ref-"+id, document.Origin{
			Id: "web", DomainName: "origin.example.com",
			CustomOriginConfig: &document.CustomOriginConfig{HTTPPort: 80, HTTPSPort: 443, OriginProtocolPolicy: "http-only"},
		})
		c.Enabled = true
		return document.Distribution{Id: id, DomainName: strings.ToLower(id) + ".cloudfront.net", DistributionConfig: c}
	}
	good, bad := sound("EGOOD"), sound("EBAD")
	bad.DistributionConfig.WebACLId = "arn:aws:wafv2:us-east-1:123456789012:global/webacl/x/y"
	would := cloudfront.Snapshot{Revision: 1, Account: "123456789012", Distributions: []document.Distribution{good, bad}}
	if err := servable(would, "EGOOD"); err != nil {
		t.Errorf("a sound document: %v", err)
	}
	if err := servable(would, "EBAD"); err == nil || !strings.Contains(err.Error(), "WebACLId") {
		t.Errorf("a document with a web ACL: %v", err)
	}
}

// TestMissingPart: a folder that was complete once and has lost a part is refused, and nothing is made in
// the part's place.
func TestMissingPart(t *testing.T) {
	for _, part := range []string{storeDir, objectsDir} {
		t.Run(part, func(t *testing.T) {
			c := config(t)
			ctx, stop := context.WithCancel(context.Background())
			if err := Run(ctx, c, func(Started) { stop() }); err != nil {
				t.Fatal(err)
			}
			lost := filepath.Join(c.Data, part)
			if err := os.RemoveAll(lost); err != nil {
				t.Fatal(err)
			}
			err := Run(context.Background(), c, func(Started) { t.Error("it started") })
			if err == nil || !strings.Contains(err.Error(), part+" is missing") {
				t.Errorf("got %v", err)
			}
			if _, err := os.Stat(lost); err == nil {
				t.Error("the part was made anew")
			}
		})
	}
}

// TestNetwork: 0.0.0.0 means IPv4.
func TestNetwork(t *testing.T) {
	for address, want := range map[string]string{
		"0.0.0.0:0": "tcp4", "127.0.0.1:8080": "tcp4", "[::1]:8080": "tcp", "[::]:0": "tcp", "localhost:8080": "tcp",
	} {
		if got := network(address); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
}

// TestNamesUs: no name that somebody else may have.
func TestNamesUs(t *testing.T) {
	for host, want := range map[string]bool{
		"127.0.0.1:4566": true, "localhost:4566": true, "LOCALHOST": true, "[::1]:4566": true, "[::1]": true, "192.0.2.1": true,
		"evil.example": false, "evil.example:4566": false, "localhost.evil.example": false, "": false, ":4566": false,
	} {
		if got := namesUs(host); got != want {
			t.Errorf("%q: %v", host, got)
		}
	}
}

// TestUnknownDefault: a default distribution that is not there is refused, not passed over.
func TestUnknownDefault(t *testing.T) {
	c := config(t)
	c.DefaultDistribution = "ENOPE"
	if err := Run(t.Context(), c, func(Started) { t.Error("it started") }); err == nil || !strings.Contains(err.Error(), `"ENOPE"`) {
		t.Errorf("got %v", err)
	}
}

// TestWitness: health says so while the audit log cannot be written, and no longer than that.
func TestWitness(t *testing.T) {
	to := &failing{}
	w := &witness{to: to}
	if err := w.health(); err != nil {
		t.Errorf("before the first line: %v", err)
	}
	to.err = errors.New("disk full")
	if err := w.Write(audit.Event{}); err == nil || w.health() == nil {
		t.Errorf("a failed write passed over: %v, %v", err, w.health())
	}
	to.err = nil
	if err := w.Write(audit.Event{}); err != nil || w.health() != nil {
		t.Errorf("still failing: %v, %v", err, w.health())
	}
}

type failing struct{ err error }

func (f *failing) Write(audit.Event) error { return f.err }

// TestViewerConnections: both public listeners together leave at least half of the descriptors.
func TestViewerConnections(t *testing.T) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if most := viewerConnections(); most < 1 || 2*uint64(most) > limit.Cur/2 {
		t.Errorf("%d on each of two listeners, of %d descriptors", most, limit.Cur)
	}
}

// TestForeignFolder: a data folder of another user is refused. Only root can make one to try.
func TestForeignFolder(t *testing.T) {
	dir := t.TempDir()
	if os.Geteuid() != 0 {
		if err := prepareFolder("/"); err == nil {
			t.Error("root's folder was taken")
		}
		return
	}
	if err := os.Chown(dir, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	if err := prepareFolder(dir); err == nil || !strings.Contains(err.Error(), "another user") {
		t.Errorf("got %v", err)
	}
}

// TestControlIsGuarded: the control listener stands behind the framing guard, as the public ones do.
func TestControlIsGuarded(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	answer := ""
	err := Run(ctx, config(t), func(s Started) {
		go func() {
			defer stop()
			conn, err := net.Dial("tcp", strings.TrimPrefix(s.Endpoint, "http://"))
			if err != nil {
				answer = err.Error()
				return
			}
			defer conn.Close()
			_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
			text, _ := io.ReadAll(conn)
			answer = string(text)
		}()
	})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(answer, "HTTP/1.1 400 ") || !strings.Contains(answer, "Content-Length and Transfer-Encoding") {
		t.Errorf("got %q", answer)
	}
}
