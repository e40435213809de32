package up

import (
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
