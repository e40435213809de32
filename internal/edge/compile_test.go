package edge

import (
	"fmt"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"postern/internal/cloudfront/document"
	"postern/internal/edge/origin"
	"postern/internal/policy"
	"postern/signed"
)

// plainInput is a distribution that compiles without a word.
func plainInput(t testing.TB) Input {
	t.Helper()
	_, pem := newKey(t)
	return Input{
		Revision: 3, Account: "111122223333", Default: "E1",
		PublicKeys: map[string]document.PublicKey{keyID: {PublicKeyConfig: document.PublicKeyConfig{EncodedKey: pem}}},
		KeyGroups:  map[string]document.KeyGroup{"group": {KeyGroupConfig: document.KeyGroupConfig{Items: []string{keyID}}}},
		Distributions: []document.Distribution{{
			Id: "E1", DomainName: host,
			DistributionConfig: document.DistributionConfig{
				Enabled: true,
				Origins: document.Origins{Items: []document.Origin{
					{Id: "bucket", DomainName: "films.s3.us-east-1.amazonaws.com", S3OriginConfig: &document.S3OriginConfig{}, OriginAccessControlId: "EOAC"},
					{Id: "web", DomainName: "origin.example", CustomOriginConfig: &document.CustomOriginConfig{OriginProtocolPolicy: "https-only"}},
				}},
				CacheBehaviors: document.CacheBehaviors{Items: []document.CacheBehavior{
					{PathPattern: "/web/*", DefaultCacheBehavior: behaviourOf("web", nil)},
				}},
				DefaultCacheBehavior: behaviourOf("bucket", private),
			},
		}},
	}
}

func TestCompile(t *testing.T) {
	c, err := Compile(plainInput(t))
	if err != nil || len(c.Warnings()) != 0 || c.Revision() != 3 {
		t.Fatalf("%v, %v", err, c.Warnings())
	}
	d := c.find(host)
	if d == nil || c.find("localhost") != d || c.find("127.0.0.1") != d || c.find("[::1]") != d || c.find("other.example") != nil || c.find("127.0.0.2") != nil {
		t.Error("hosts")
	}
	b := d.behaviours[1]
	if b.bucket.Bucket != "films" || b.bucket.Caller != policy.EdgeCaller("arn:aws:cloudfront::111122223333:distribution/E1") || b.rule.IsPublic() {
		t.Errorf("%+v", b.bucket)
	}
	if w := d.behaviours[0]; w.http.Domain != "origin.example" || w.http.Protocol != origin.HTTPSOnly || !w.rule.IsPublic() || !slices.Equal(w.methods, []string{"GET", "HEAD"}) {
		t.Errorf("%+v", w.http)
	}
}

// Whatever cannot be honoured is named, and closes its distribution.
func TestCompileRefuses(t *testing.T) {
	type cfg = document.DistributionConfig
	group := func(b *document.DefaultCacheBehavior) *document.TrustedKeyGroups { return &b.TrustedKeyGroups }
	for _, tc := range []struct {
		field  string
		change func(*cfg)
	}{
		{"WebACLId", func(c *cfg) { c.WebACLId = "arn" }},
		{"Restrictions.GeoRestriction", func(c *cfg) { c.Restrictions.GeoRestriction.RestrictionType = "whitelist" }},
		{"Restrictions.GeoRestriction", func(c *cfg) { c.Restrictions.GeoRestriction.RestrictionType = "wat" }},
		{"Staging", func(c *cfg) { c.Staging = true }},
		{"ViewerMtlsConfig", func(c *cfg) { c.ViewerMtlsConfig = &document.ViewerMtlsConfig{Mode: "required"} }},
		{"ConnectionFunctionAssociation", func(c *cfg) { c.ConnectionFunctionAssociation = &document.ConnectionFunctionAssociation{} }},
		{"TenantConfig", func(c *cfg) { c.ConnectionMode = "tenant-only" }},
		{"Origins", func(c *cfg) { c.Origins.Items = nil }},
		{"Origins[1].Id", func(c *cfg) { c.Origins.Items[1].Id = "bucket" }},
		{"Origins[0].DomainName", func(c *cfg) { c.Origins.Items[0].DomainName = "films.example" }},
		{"Origins[0].S3OriginConfig.OriginAccessIdentity", func(c *cfg) {
			c.Origins.Items[0].S3OriginConfig.OriginAccessIdentity = "origin-access-identity/cloudfront/E"
		}},
		{"Origins[0].OriginPath", func(c *cfg) { c.Origins.Items[0].OriginPath = "prod" }},
		{"Origins[0].OriginPath", func(c *cfg) { c.Origins.Items[0].OriginPath = "/prod/" }},
		{"Origins[0].OriginPath", func(c *cfg) { c.Origins.Items[0].OriginPath = "/prod/%zz" }},
		{"Origins[0].OriginPath", func(c *cfg) { c.Origins.Items[0].OriginPath = "/prod/../.." }},
		{"Origins[1].DomainName", func(c *cfg) { c.Origins.Items[1].DomainName = "origin.example:8080" }},
		{"Origins[1].DomainName", func(c *cfg) { c.Origins.Items[1].DomainName = "" }},
		{"Origins[1].CustomOriginConfig.OriginProtocolPolicy", func(c *cfg) { c.Origins.Items[1].CustomOriginConfig.OriginProtocolPolicy = "any" }},
		{"Origins[1].CustomOriginConfig.HTTPPort", func(c *cfg) { c.Origins.Items[1].CustomOriginConfig.HTTPPort = 70000 }},
		{"Origins[1].CustomOriginConfig.OriginReadTimeout", func(c *cfg) { c.Origins.Items[1].CustomOriginConfig.OriginReadTimeout = 121 }},
		{"Origins[1].ConnectionAttempts", func(c *cfg) { c.Origins.Items[1].ConnectionAttempts = 4 }},
		{"Origins[1].ConnectionTimeout", func(c *cfg) { c.Origins.Items[1].ConnectionTimeout = 11 }},
		{"Origins[1].OriginAccessControlId", func(c *cfg) { c.Origins.Items[1].OriginAccessControlId = "E" }},
		{"Origins[1].CustomOriginConfig.OriginMtlsConfig", func(c *cfg) {
			c.Origins.Items[1].CustomOriginConfig.OriginMtlsConfig = &document.OriginMtlsConfig{ClientCertificateArn: "arn"}
		}},
		{"Origins[1]", func(c *cfg) { c.Origins.Items[1].CustomOriginConfig = nil }},
		{"Origins[1]", func(c *cfg) { c.Origins.Items[1].S3OriginConfig = &document.S3OriginConfig{} }},
		{"Origins[1].VpcOriginConfig", func(c *cfg) { c.Origins.Items[1].VpcOriginConfig = &document.VpcOriginConfig{} }},
		{"Origins[1].CustomHeaders[0]", func(c *cfg) {
			c.Origins.Items[1].CustomHeaders.Items = []document.OriginCustomHeader{{HeaderName: "X y", HeaderValue: "v"}}
		}},
		{"Origins[1].CustomHeaders[0]", func(c *cfg) {
			c.Origins.Items[1].CustomHeaders.Items = []document.OriginCustomHeader{{HeaderName: "X", HeaderValue: "v\r\nY: z"}}
		}},
		{"Origins[1].CustomHeaders[1]", func(c *cfg) {
			c.Origins.Items[1].CustomHeaders.Items = []document.OriginCustomHeader{{HeaderName: "X", HeaderValue: "v"}, {HeaderName: "transfer-encoding", HeaderValue: "chunked"}}
		}},
		{"OriginGroups[0]", func(c *cfg) { c.OriginGroups.Items = []document.OriginGroup{{Id: "g"}} }},
		{"CacheBehaviors[0].PathPattern", func(c *cfg) { c.CacheBehaviors.Items[0].PathPattern = "/a b" }},
		{"CacheBehaviors[0].PathPattern", func(c *cfg) { c.CacheBehaviors.Items[0].PathPattern = strings.Repeat("a", 256) }},
		{"CacheBehaviors[0].TargetOriginId", func(c *cfg) { c.CacheBehaviors.Items[0].TargetOriginId = "nowhere" }},
		{"CacheBehaviors[0].ViewerProtocolPolicy", func(c *cfg) { c.CacheBehaviors.Items[0].ViewerProtocolPolicy = "Allow-All" }},
		{"CacheBehaviors[0].AllowedMethods", func(c *cfg) { c.CacheBehaviors.Items[0].AllowedMethods.Items = []string{"GET", "POST"} }},
		{"CacheBehaviors[0].LambdaFunctionAssociations", func(c *cfg) { c.CacheBehaviors.Items[0].LambdaFunctionAssociations.Quantity = 1 }},
		{"CacheBehaviors[0].FunctionAssociations", func(c *cfg) {
			c.CacheBehaviors.Items[0].FunctionAssociations.Items = []document.FunctionAssociation{{}}
		}},
		{"CacheBehaviors[0].FieldLevelEncryptionId", func(c *cfg) { c.CacheBehaviors.Items[0].FieldLevelEncryptionId = "x" }},
		{"CacheBehaviors[0].ResponseHeadersPolicyId", func(c *cfg) { c.CacheBehaviors.Items[0].ResponseHeadersPolicyId = "x" }},
		{"CacheBehaviors[0].GrpcConfig", func(c *cfg) { c.CacheBehaviors.Items[0].GrpcConfig.Enabled = true }},
		{"CacheBehaviors[0].SmoothStreaming", func(c *cfg) { c.CacheBehaviors.Items[0].SmoothStreaming = true }},
		{"CacheBehaviors[0].CachePolicyId", func(c *cfg) { c.CacheBehaviors.Items[0].CachePolicyId = "mine" }},
		{"CacheBehaviors[0].OriginRequestPolicyId", func(c *cfg) { c.CacheBehaviors.Items[0].OriginRequestPolicyId = "mine" }},
		{"CacheBehaviors[0].ForwardedValues", func(c *cfg) {
			c.CacheBehaviors.Items[0].ForwardedValues = &document.ForwardedValues{}
			c.CacheBehaviors.Items[0].CachePolicyId = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
		}},
		{"CacheBehaviors[0].ForwardedValues.Cookies.Forward", func(c *cfg) {
			c.CacheBehaviors.Items[0].ForwardedValues = &document.ForwardedValues{Cookies: document.CookiePreference{Forward: "some"}}
		}},
		{"DefaultCacheBehavior.TrustedSigners", func(c *cfg) { c.DefaultCacheBehavior.TrustedSigners.Enabled = true }},
		{"DefaultCacheBehavior.TrustedSigners", func(c *cfg) { c.DefaultCacheBehavior.TrustedSigners.Items = []string{"self"} }},
		{"DefaultCacheBehavior.TrustedKeyGroups", func(c *cfg) { group(&c.DefaultCacheBehavior).Enabled = false }},
		{"DefaultCacheBehavior.TrustedKeyGroups", func(c *cfg) { group(&c.DefaultCacheBehavior).Quantity = 2 }},
		{"DefaultCacheBehavior.TrustedKeyGroups", func(c *cfg) {
			*group(&c.DefaultCacheBehavior) = document.TrustedKeyGroups{Quantity: 1}
		}},
		{"DefaultRootObject", func(c *cfg) { c.DefaultRootObject = "/index.html" }},
		{"DefaultRootObject", func(c *cfg) { c.DefaultRootObject = "web%2Findex.html" }},
		{"CustomErrorResponses[0].ErrorCode", func(c *cfg) { c.CustomErrorResponses.Items = []document.CustomErrorResponse{{ErrorCode: 412}} }},
		{"CustomErrorResponses[0].ResponseCode", func(c *cfg) {
			c.CustomErrorResponses.Items = []document.CustomErrorResponse{{ErrorCode: 404, ResponsePagePath: "/a", ResponseCode: "302"}}
		}},
		{"CustomErrorResponses[0].ResponseCode", func(c *cfg) {
			c.CustomErrorResponses.Items = []document.CustomErrorResponse{{ErrorCode: 404, ResponsePagePath: "/a"}}
		}},
		{"CustomErrorResponses[0].ResponsePagePath", func(c *cfg) {
			c.CustomErrorResponses.Items = []document.CustomErrorResponse{{ErrorCode: 404, ResponsePagePath: "a", ResponseCode: "200"}}
		}},
		{"CustomErrorResponses[0].ResponsePagePath", func(c *cfg) {
			c.CustomErrorResponses.Items = []document.CustomErrorResponse{{ErrorCode: 404, ResponsePagePath: "/web%2F404", ResponseCode: "200"}}
		}},
		{"CustomErrorResponses[1].ErrorCode", func(c *cfg) {
			page := document.CustomErrorResponse{ErrorCode: 404, ResponsePagePath: "/a", ResponseCode: "200"}
			c.CustomErrorResponses.Items = []document.CustomErrorResponse{page, page}
		}},
		{"Aliases[0]", func(c *cfg) { c.Aliases.Items = []string{"not a host"} }},
		{"Aliases[0]", func(c *cfg) { c.Aliases.Items = []string{"*"} }},
		{"Aliases[0]", func(c *cfg) { c.Aliases.Items = []string{"a.example:80"} }},
	} {
		in := plainInput(t)
		tc.change(&in.Distributions[0].DistributionConfig)
		c, err := Compile(in)
		problems := Problems(err)
		for len(problems) > 1 && strings.HasSuffix(problems[len(problems)-1].Field, ".TargetOriginId") {
			problems = problems[:len(problems)-1] // what follows from a broken origin
		}
		if len(problems) != 1 || problems[0].Field != tc.field || problems[0].Distribution != "E1" || problems[0].Reason == "" {
			t.Errorf("%s: %v", tc.field, err)
		}
		e, err := New(Options{})
		if err != nil {
			t.Fatal(err)
		}
		e.Swap(c)
		for _, path := range []string{"/a", "/web/a"} {
			rec := httptest.NewRecorder()
			r := httptest.NewRequest("GET", "http://"+host+path, nil)
			r.RequestURI = path
			e.ServeHTTP(rec, r)
			if rec.Code != 503 {
				t.Errorf("%s: a distribution with a problem answers %d", tc.field, rec.Code)
			}
		}
	}
}

func TestCompileWarns(t *testing.T) {
	type cfg = document.DistributionConfig
	for _, tc := range []struct {
		field  string
		change func(*Input, *cfg)
	}{
		{"Logging", func(_ *Input, c *cfg) { c.Logging.Enabled = true }},
		{"Origins[0].OriginAccessControlId", func(_ *Input, c *cfg) { c.Origins.Items[0].OriginAccessControlId = "" }},
		{"Origins[0].OriginShield", func(_ *Input, c *cfg) { c.Origins.Items[0].OriginShield.Enabled = true }},
		{"Origins[1].ResponseCompletionTimeout", func(_ *Input, c *cfg) { c.Origins.Items[1].ResponseCompletionTimeout = 60 }},
		{"CacheBehaviors[0].RealtimeLogConfigArn", func(_ *Input, c *cfg) { c.CacheBehaviors.Items[0].RealtimeLogConfigArn = "arn" }},
		{"DefaultCacheBehavior.AllowedMethods", func(_ *Input, c *cfg) { c.DefaultCacheBehavior.AllowedMethods.Items = methodSets[2] }},
		{"DefaultCacheBehavior.TrustedKeyGroups", func(in *Input, _ *cfg) { clear(in.KeyGroups) }},
		{"DefaultCacheBehavior.TrustedKeyGroups", func(in *Input, _ *cfg) { clear(in.PublicKeys) }},
		{"PublicKey " + keyID, func(in *Input, _ *cfg) { in.PublicKeys[keyID] = document.PublicKey{} }},
		{"DefaultRootObject", func(_ *Input, c *cfg) { c.DefaultRootObject = "web/index.html" }},
		{"Default", func(in *Input, _ *cfg) { in.Default = "E9" }},
		{"Default", func(_ *Input, c *cfg) { c.Enabled = false }},
	} {
		in := plainInput(t)
		tc.change(&in, &in.Distributions[0].DistributionConfig)
		c, err := Compile(in)
		if err != nil {
			t.Errorf("%s: %v", tc.field, err)
		}
		if !slices.ContainsFunc(c.Warnings(), func(p Problem) bool { return p.Field == tc.field && p.String() != "" }) {
			t.Errorf("%s: warnings %v", tc.field, c.Warnings())
		}
	}
}

// A behaviour that needs a signature and has no keys refuses everything; it never opens.
func TestNoKeysNeverOpens(t *testing.T) {
	for name, change := range map[string]func(*Input){
		"no group":       func(in *Input) { clear(in.KeyGroups) },
		"no key":         func(in *Input) { clear(in.PublicKeys) },
		"an empty group": func(in *Input) { in.KeyGroups["group"] = document.KeyGroup{} },
		"a spoilt key":   func(in *Input) { in.PublicKeys[keyID] = document.PublicKey{} },
		"enabled, unsaid": func(in *Input) {
			in.Distributions[0].DistributionConfig.DefaultCacheBehavior.TrustedKeyGroups = document.TrustedKeyGroups{Enabled: true}
		},
	} {
		w := newWorld(t, nil, nil)
		link := w.sign("/report.pdf")
		change(&w.in)
		w.swap()
		want(t, name, w.do("GET", link), 403, xmlOf(signed.InvalidKey))
		want(t, name+", unsigned", w.do("GET", "/report.pdf"), 403, xmlOf(signed.MissingKey))
	}
}

func TestHosts(t *testing.T) {
	in := plainInput(t)
	add := func(id, domain string, change func(*document.DistributionConfig)) {
		d := in.Distributions[0]
		d.Id, d.DomainName = id, domain
		change(&d.DistributionConfig)
		in.Distributions = append(in.Distributions, d)
	}
	add("E2", "d2.cloudfront.net", func(c *document.DistributionConfig) {
		c.Aliases.Items = []string{"Films.example", "*.example", "*.deep.example"}
	})
	add("E3", "d3.cloudfront.net", func(c *document.DistributionConfig) { c.Aliases.Items = []string{"one.example", "*.other.example"} })
	add("E4", "d4.cloudfront.net", func(c *document.DistributionConfig) { c.Enabled = false; c.Aliases.Items = []string{"films.example"} })
	c, err := Compile(in)
	if err != nil {
		t.Fatal(err)
	}
	for name, id := range map[string]string{
		"films.example": "E2", "a.example": "E2", "a.b.example": "E2", "example": "", "one.example": "E3", "two.one.example": "E2",
		"x.other.example": "E3", "other.example": "E2", "d2.cloudfront.net": "E2", "d4.cloudfront.net": "", "localhost": "E1", "x.deep.example": "E2", "example.org": "",
	} {
		got := ""
		if d := c.find(name); d != nil {
			got = d.id
		}
		if got != id {
			t.Errorf("%s: %q, want %q", name, got, id)
		}
	}

	// Two that want one name both close; the others go on.
	add("E5", "d5.cloudfront.net", func(c *document.DistributionConfig) { c.Aliases.Items = []string{"one.example"} })
	add("E6", "d6.cloudfront.net", func(c *document.DistributionConfig) { c.Aliases.Items = []string{"*.OTHER.example"} })
	c, err = Compile(in)
	problems := Problems(err)
	if len(problems) != 2 || problems[0].Distribution != "E5" || problems[1].Distribution != "E6" {
		t.Errorf("%v", err)
	}
	for _, id := range []string{"d3.cloudfront.net", "d5.cloudfront.net", "d6.cloudfront.net"} {
		if !c.find(id).closed {
			t.Errorf("%s is open", id)
		}
	}
	if c.find("d2.cloudfront.net").closed || c.find(host).closed {
		t.Error("a distribution without a problem is closed")
	}
	// The same id twice, and none.
	in = plainInput(t)
	in.Distributions = append(in.Distributions, in.Distributions[0], document.Distribution{})
	if _, err = Compile(in); len(Problems(err)) < 2 {
		t.Errorf("%v", err)
	}
	if Problems(fmt.Errorf("other")) != nil {
		t.Error("problems of another error")
	}
}

func TestBucketName(t *testing.T) {
	for domain, name := range map[string]string{
		"films.s3.amazonaws.com":                         "films",
		"films.s3.us-east-1.amazonaws.com":               "films",
		"Films.S3.Us-East-1.AmazonAws.com":               "films",
		"films.s3-eu-west-1.amazonaws.com":               "films",
		"films.s3.dualstack.eu-west-1.amazonaws.com":     "films",
		"films.s3.cn-north-1.amazonaws.com.cn":           "films",
		"my.films.example.s3.us-east-1.amazonaws.com":    "my.films.example",
		"a.s3.b.s3.us-east-1.amazonaws.com":              "a.s3.b",
		"s3.amazonaws.com":                               "",
		"s3.us-east-1.amazonaws.com":                     "",
		"films.s3-website-us-east-1.amazonaws.com":       "",
		"films.s3-website.us-east-1.amazonaws.com":       "",
		"films.s3.website.us-east-1.amazonaws.com":       "",
		"films.example":                                  "",
		"amazonaws.com":                                  "",
		"films.s3..amazonaws.com":                        "",
		"evil.example/films.s3.us-east-1.amazonaws.com?": "",
	} {
		if got := bucketName(domain); got != name {
			t.Errorf("%s: %q, want %q", domain, got, name)
		}
	}
}

func TestForwarding(t *testing.T) {
	in := plainInput(t)
	b := &in.Distributions[0].DistributionConfig.CacheBehaviors.Items[0].DefaultCacheBehavior
	b.CachePolicyId = "658327ea-f89d-4fab-a63d-7e88639e58f6"
	b.OriginRequestPolicyId = "acba4595-bd28-49b8-b9fe-13317c0390fa"
	compile := func() origin.Forward {
		t.Helper()
		c, err := Compile(in)
		if err != nil {
			t.Fatal(err)
		}
		return c.find(host).behaviours[0].forward
	}
	if f := compile(); !f.Encodings || !slices.Equal(f.Headers.Only, []string{"User-Agent", "Referer"}) || f.Query.All || f.Host {
		t.Errorf("%+v", f)
	}
	b.CachePolicyId, b.OriginRequestPolicyId = "", ""
	b.ForwardedValues = &document.ForwardedValues{
		Cookies: document.CookiePreference{Forward: "whitelist", WhitelistedNames: &document.CookieNames{Items: []string{"session"}}},
		Headers: document.Headers{Items: []string{"host", "Accept"}},
	}
	if f := compile(); !f.Legacy || !f.Host || f.Query.All || !slices.Equal(f.Headers.Only, []string{"Accept"}) || !slices.Equal(f.Cookies.Only, []string{"session"}) {
		t.Errorf("%+v", f)
	}
	b.ForwardedValues = &document.ForwardedValues{QueryString: true, Headers: document.Headers{Items: []string{"*"}}}
	if f := compile(); !f.Headers.All || !f.Host || !f.Query.All {
		t.Errorf("%+v", f)
	}
}

func TestNewRefuses(t *testing.T) {
	if _, err := New(Options{HTTPSPort: 70000}); err == nil {
		t.Error("a port of 70000")
	}
	if _, err := New(Options{TrustedProxies: make([]netip.Prefix, 1)}); err == nil {
		t.Error("an invalid prefix")
	}
}
