package up

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

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
