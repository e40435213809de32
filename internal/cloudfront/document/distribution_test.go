package document

import (
	"reflect"
	"strings"
	"testing"
)

func bucketOrigin() Origin {
	return Origin{Id: "bucket", DomainName: "uploads.s3.us-east-1.amazonaws.com", S3OriginConfig: &S3OriginConfig{}}
}

func webOrigin() Origin {
	return Origin{Id: "web", DomainName: "127.0.0.1", CustomOriginConfig: &CustomOriginConfig{HTTPPort: 8080, HTTPSPort: 8443, OriginProtocolPolicy: "http-only"}}
}

func TestNewDistributionConfig(t *testing.T) {
	for _, o := range []Origin{bucketOrigin(), webOrigin()} {
		c := NewDistributionConfig("ref", o)
		if err := c.Validate(); err != nil {
			t.Errorf("origin %s: %v", o.Id, err)
		}
		if !reflect.DeepEqual(c, c.Complete()) {
			t.Error("it is not complete")
		}
		if !c.Enabled || c.DefaultCacheBehavior.TrustedKeyGroups.Enabled {
			t.Error("it should be enabled and public until key groups are added")
		}
	}
}

func TestCompleteKeepsWhatIsThere(t *testing.T) {
	c := NewDistributionConfig("ref", webOrigin())
	c.PriceClass = "PriceClass_100"
	c.HttpVersion = "http1.1"
	c.Origins.Items[0].ConnectionAttempts = 1
	c.Origins.Items[0].CustomOriginConfig.OriginReadTimeout = 7
	c.Origins.Items[0].CustomOriginConfig.OriginSslProtocols = OriginSslProtocols{2, []string{"TLSv1.1", "TLSv1.2"}}
	c.DefaultCacheBehavior.AllowedMethods = AllowedMethods{Quantity: 3, Items: []string{"HEAD", "OPTIONS", "GET"}}
	c.ViewerCertificate = ViewerCertificate{ACMCertificateArn: "arn:x", MinimumProtocolVersion: "TLSv1.2_2021", SSLSupportMethod: "sni-only"}
	got := c.Complete()
	c.DefaultCacheBehavior.AllowedMethods.CachedMethods = CachedMethods{2, []string{"GET", "HEAD"}} // was absent
	if !reflect.DeepEqual(got, c) {
		t.Errorf("got %+v\nwant %+v", got, c)
	}
	legacy := DefaultCacheBehavior{ForwardedValues: &ForwardedValues{}}.complete()
	if *legacy.MinTTL != 0 || *legacy.DefaultTTL != 86400 || *legacy.MaxTTL != 31536000 {
		t.Error("the legacy form has no TTLs")
	}
	if plain := (DefaultCacheBehavior{CachePolicyId: CachingDisabled}).complete(); plain.MinTTL != nil || plain.DefaultTTL != nil || plain.MaxTTL != nil {
		t.Error("a behavior with a cache policy got TTLs of its own")
	}
}

func TestCompleteLeavesTheOriginalAlone(t *testing.T) {
	build := func() DistributionConfig {
		return DistributionConfig{
			Origins: Origins{Items: []Origin{bucketOrigin(), webOrigin()}},
			CacheBehaviors: CacheBehaviors{Items: []CacheBehavior{
				{"/a", DefaultCacheBehavior{ForwardedValues: &ForwardedValues{}}}, {"/b", DefaultCacheBehavior{}},
			}},
		}
	}
	c := build()
	c.Complete()
	if !reflect.DeepEqual(c, build()) {
		t.Errorf("completing changed %+v", c)
	}
}

func ttl(n int64) *int64 { return &n }

func TestDistributionConfigValidate(t *testing.T) {
	type edit = func(*DistributionConfig)
	behavior := func(change func(*DefaultCacheBehavior)) edit {
		return func(c *DistributionConfig) { change(&c.DefaultCacheBehavior) }
	}
	origin := func(change func(*Origin)) edit {
		return func(c *DistributionConfig) { change(&c.Origins.Items[0]) }
	}
	web := func(change func(*CustomOriginConfig)) edit {
		return func(c *DistributionConfig) {
			o := webOrigin().complete()
			change(o.CustomOriginConfig)
			c.Origins.Items = append(c.Origins.Items, o)
		}
	}
	header := func(name, value string) edit {
		return origin(func(o *Origin) { o.CustomHeaders.Items = []OriginCustomHeader{{name, value}} })
	}
	page := func(r CustomErrorResponse) edit {
		return func(c *DistributionConfig) { c.CustomErrorResponses.Items = append(c.CustomErrorResponses.Items, r) }
	}
	pattern := func(p string) edit {
		return func(c *DistributionConfig) {
			c.CacheBehaviors.Items = append(c.CacheBehaviors.Items, CacheBehavior{p, c.DefaultCacheBehavior})
		}
	}
	alias := func(names ...string) edit {
		return func(c *DistributionConfig) { c.Aliases.Items = names }
	}
	many := func(n int) []string {
		var out []string
		for i := range n {
			out = append(out, strings.Repeat("a", 1+i%60)+".b"+strings.Repeat("c", i/60)+".example.com")
		}
		return out
	}
	for _, c := range []struct {
		name string
		edit edit
		code string // "" passes
	}{
		{"nothing", func(*DistributionConfig) {}, ""},
		{"no caller reference", func(c *DistributionConfig) { c.CallerReference = "" }, "InvalidArgument"},
		{"comment of 128", func(c *DistributionConfig) { c.Comment = strings.Repeat("é", 128) }, ""},
		{"comment of 129", func(c *DistributionConfig) { c.Comment = strings.Repeat("é", 129) }, "InvalidArgument"},
		{"price class", func(c *DistributionConfig) { c.PriceClass = "PriceClass_1" }, "InvalidArgument"},
		{"http version", func(c *DistributionConfig) { c.HttpVersion = "HTTP2" }, "InvalidArgument"},
		{"geo restriction word", func(c *DistributionConfig) { c.Restrictions.GeoRestriction.RestrictionType = "some" }, "InvalidArgument"},

		{"root object", func(c *DistributionConfig) { c.DefaultRootObject = "a/index.html" }, ""},
		{"root object with a slash", func(c *DistributionConfig) { c.DefaultRootObject = "/index.html" }, "InvalidDefaultRootObject"},
		{"root object with a query", func(c *DistributionConfig) { c.DefaultRootObject = "index.html?x" }, "InvalidDefaultRootObject"},
		{"long root object", func(c *DistributionConfig) { c.DefaultRootObject = strings.Repeat("a", 256) }, "InvalidDefaultRootObject"},

		{"aliases", alias("a.example.com", "*.example.org"), ""},
		{"alias with a star inside", alias("a.*.example.com"), "InvalidArgument"},
		{"alias with a scheme", alias("https://a.example.com"), "InvalidArgument"},
		{"alias twice in two cases", alias("a.example.com", "A.example.com"), "InvalidArgument"},
		{"100 aliases", alias(many(100)...), ""},
		{"101 aliases", alias(many(101)...), "TooManyDistributionCNAMEs"},

		{"no origin", func(c *DistributionConfig) { c.Origins.Items = nil }, "InvalidArgument"},
		{"an origin twice", func(c *DistributionConfig) { c.Origins.Items = append(c.Origins.Items, c.Origins.Items[0]) }, "InvalidArgument"},
		{"101 origins", func(c *DistributionConfig) { c.Origins.Items = make([]Origin, 101) }, "TooManyOrigins"},
		{"origin without id", origin(func(o *Origin) { o.Id = "" }), "InvalidArgument"},
		{"origin of no kind", origin(func(o *Origin) { o.S3OriginConfig = nil }), "InvalidOrigin"},
		{"origin of two kinds", origin(func(o *Origin) { o.CustomOriginConfig = webOrigin().complete().CustomOriginConfig }), "InvalidOrigin"},
		{"S3 origin that is no bucket", origin(func(o *Origin) { o.DomainName = "www.example.com" }), "InvalidOrigin"},
		{"origin domain with a port", origin(func(o *Origin) { o.DomainName = "uploads.s3.amazonaws.com:80" }), "InvalidOrigin"},
		{"origin path", origin(func(o *Origin) { o.OriginPath = "/a/b" }), ""},
		{"origin path without a slash", origin(func(o *Origin) { o.OriginPath = "a" }), "InvalidRelativePath"},
		{"origin path that ends with a slash", origin(func(o *Origin) { o.OriginPath = "/a/" }), "InvalidRelativePath"},
		{"origin path with a query", origin(func(o *Origin) { o.OriginPath = "/a?b" }), "InvalidRelativePath"},
		{"4 connection attempts", origin(func(o *Origin) { o.ConnectionAttempts = 4 }), "InvalidArgument"},
		{"11 seconds to connect", origin(func(o *Origin) { o.ConnectionTimeout = 11 }), "InvalidArgument"},
		{"OAC and OAI", origin(func(o *Origin) {
			o.OriginAccessControlId = "E1"
			o.S3OriginConfig.OriginAccessIdentity = "origin-access-identity/cloudfront/E2"
		}), "IllegalOriginAccessConfiguration"},
		{"custom header", header("X-Shared-Secret", "s"), ""},
		{"custom header Host", header("hOST", "s"), "InvalidArgument"},
		{"custom header x-amz-", header("X-Amz-Date", "s"), "InvalidArgument"},
		{"custom header with a blank", header("X Y", "s"), "InvalidArgument"},
		{"custom header that breaks the line", header("X-Y", "a\r\nHost: b"), "InvalidArgument"},
		{"custom header without a name", header("", "s"), "InvalidArgument"},
		{"custom header twice", origin(func(o *Origin) { o.CustomHeaders.Items = []OriginCustomHeader{{"a", ""}, {"A", ""}} }), "InvalidArgument"},
		{"11 custom headers", origin(func(o *Origin) { o.CustomHeaders.Items = make([]OriginCustomHeader, 11) }), "TooManyOriginCustomHeaders"},
		{"web origin", web(func(*CustomOriginConfig) {}), ""},
		{"port 0", web(func(o *CustomOriginConfig) { o.HTTPPort = 0 }), "InvalidArgument"},
		{"port 65536", web(func(o *CustomOriginConfig) { o.HTTPSPort = 65536 }), "InvalidArgument"},
		{"origin protocol", web(func(o *CustomOriginConfig) { o.OriginProtocolPolicy = "http" }), "InvalidArgument"},
		{"read timeout", web(func(o *CustomOriginConfig) { o.OriginReadTimeout = 121 }), "InvalidOriginReadTimeout"},
		{"keepalive timeout", web(func(o *CustomOriginConfig) { o.OriginKeepaliveTimeout = 121 }), "InvalidOriginKeepaliveTimeout"},
		{"TLS version", web(func(o *CustomOriginConfig) { o.OriginSslProtocols.Items = []string{"TLSv2"} }), "InvalidArgument"},
		{"group of unknown origins", func(c *DistributionConfig) {
			c.OriginGroups.Items = []OriginGroup{{Id: "g", Members: OriginGroupMembers{Items: []OriginGroupMember{{"bucket"}, {"other"}}}}}
		}, "NoSuchOrigin"},
		{"group named like an origin", func(c *DistributionConfig) { c.OriginGroups.Items = []OriginGroup{{Id: "bucket"}} }, "InvalidArgument"},

		{"unknown target", behavior(func(b *DefaultCacheBehavior) { b.TargetOriginId = "other" }), "NoSuchOrigin"},
		{"protocol policy", behavior(func(b *DefaultCacheBehavior) { b.ViewerProtocolPolicy = "" }), "InvalidArgument"},
		{"three methods", behavior(func(b *DefaultCacheBehavior) { b.AllowedMethods.Items = []string{"OPTIONS", "HEAD", "GET"} }), ""},
		{"seven methods", behavior(func(b *DefaultCacheBehavior) {
			b.AllowedMethods.Items = []string{"POST", "GET", "HEAD", "PATCH", "DELETE", "OPTIONS", "PUT"}
		}), ""},
		{"two odd methods", behavior(func(b *DefaultCacheBehavior) { b.AllowedMethods.Items = []string{"GET", "POST"} }), "InvalidArgument"},
		{"a method twice", behavior(func(b *DefaultCacheBehavior) { b.AllowedMethods.Items = []string{"GET", "GET"} }), "InvalidArgument"},
		{"POST cached", behavior(func(b *DefaultCacheBehavior) {
			b.AllowedMethods.Items = allMethods
			b.AllowedMethods.CachedMethods.Items = []string{"GET", "HEAD", "POST"}
		}), "InvalidArgument"},
		{"OPTIONS cached but not allowed", behavior(func(b *DefaultCacheBehavior) { b.AllowedMethods.CachedMethods.Items = optionsMethods }), "InvalidArgument"},
		{"4 key groups", behavior(func(b *DefaultCacheBehavior) {
			b.TrustedKeyGroups = TrustedKeyGroups{Enabled: true, Items: []string{"a", "b", "c", "d"}}
		}), ""},
		{"5 key groups", behavior(func(b *DefaultCacheBehavior) {
			b.TrustedKeyGroups = TrustedKeyGroups{Enabled: true, Items: []string{"a", "b", "c", "d", "e"}}
		}), "TooManyKeyGroupsAssociatedToDistribution"},
		{"a key group twice", behavior(func(b *DefaultCacheBehavior) {
			b.TrustedKeyGroups = TrustedKeyGroups{Enabled: true, Items: []string{"a", "a"}}
		}), "InvalidArgument"},
		{"key groups enabled and none", behavior(func(b *DefaultCacheBehavior) { b.TrustedKeyGroups.Enabled = true }), "InvalidArgument"},
		{"key groups and not enabled", behavior(func(b *DefaultCacheBehavior) { b.TrustedKeyGroups.Items = []string{"a"} }), "InvalidArgument"},
		{"no caching rule", behavior(func(b *DefaultCacheBehavior) { b.CachePolicyId = "" }), "InvalidArgument"},
		{"two caching rules", behavior(func(b *DefaultCacheBehavior) {
			b.ForwardedValues = &ForwardedValues{Cookies: CookiePreference{Forward: "none"}}
		}), "InvalidArgument"},
		{"legacy caching rule", behavior(func(b *DefaultCacheBehavior) {
			b.CachePolicyId, b.ForwardedValues = "", &ForwardedValues{Cookies: CookiePreference{Forward: "none"}}
		}), ""},
		{"forward some cookies", behavior(func(b *DefaultCacheBehavior) {
			b.CachePolicyId, b.ForwardedValues = "", &ForwardedValues{Cookies: CookiePreference{Forward: "some"}}
		}), "InvalidForwardCookies"},
		{"TTL order", behavior(func(b *DefaultCacheBehavior) { b.MinTTL, b.MaxTTL = ttl(2), ttl(1) }), "InvalidTTLOrder"},
		{"negative TTL", behavior(func(b *DefaultCacheBehavior) { b.DefaultTTL = ttl(-1) }), "InvalidTTLOrder"},

		{"pattern", pattern("/a/*.jpg?"), ""},
		{"no pattern", pattern(""), "InvalidArgument"},
		{"pattern with a percent sign", pattern("/a%2fb"), "InvalidArgument"},
		{"long pattern", pattern("/" + strings.Repeat("a", 255)), "InvalidArgument"},
		{"a pattern twice, once without its slash", func(c *DistributionConfig) { pattern("/a*")(c); pattern("a*")(c) }, "InvalidArgument"},
		{"75 behaviors", func(c *DistributionConfig) {
			for i := range 75 {
				pattern("/" + strings.Repeat("a", i))(c)
			}
		}, ""},
		{"76 behaviors", func(c *DistributionConfig) {
			for i := range 76 {
				pattern("/" + strings.Repeat("a", i))(c)
			}
		}, "TooManyCacheBehaviors"},
		{"a behavior of an unknown origin", func(c *DistributionConfig) { pattern("/a")(c); c.CacheBehaviors.Items[0].TargetOriginId = "x" }, "NoSuchOrigin"},

		{"error page", page(CustomErrorResponse{ErrorCode: 403, ResponsePagePath: "/403.html", ResponseCode: "200", ErrorCachingMinTTL: ttl(0)}), ""},
		{"error TTL alone", page(CustomErrorResponse{ErrorCode: 404, ErrorCachingMinTTL: ttl(10)}), ""},
		{"error 412", page(CustomErrorResponse{ErrorCode: 412}), "InvalidErrorCode"},
		{"error page without its code", page(CustomErrorResponse{ErrorCode: 404, ResponsePagePath: "/x"}), "InvalidArgument"},
		{"error page answered 302", page(CustomErrorResponse{ErrorCode: 404, ResponsePagePath: "/x", ResponseCode: "302"}), "InvalidResponseCode"},
		{"error page answered 0200", page(CustomErrorResponse{ErrorCode: 404, ResponsePagePath: "/x", ResponseCode: "0200"}), "InvalidResponseCode"},
		{"error page without a slash", page(CustomErrorResponse{ErrorCode: 404, ResponsePagePath: "x", ResponseCode: "404"}), "InvalidRelativePath"},
		{"negative error TTL", page(CustomErrorResponse{ErrorCode: 404, ErrorCachingMinTTL: ttl(-1)}), "InvalidArgument"},
		{"an error twice", func(c *DistributionConfig) {
			page(CustomErrorResponse{ErrorCode: 404})(c)
			page(CustomErrorResponse{ErrorCode: 404})(c)
		}, "InvalidArgument"},

		{"no certificate", func(c *DistributionConfig) { c.ViewerCertificate = ViewerCertificate{MinimumProtocolVersion: "TLSv1"} }, "InvalidViewerCertificate"},
		{"two certificates", func(c *DistributionConfig) { c.ViewerCertificate.ACMCertificateArn = "arn:x" }, "InvalidViewerCertificate"},
		{"minimum TLS", func(c *DistributionConfig) { c.ViewerCertificate.MinimumProtocolVersion = "TLSv9" }, "InvalidMinimumProtocolVersion"},
		{"SSL support", func(c *DistributionConfig) { c.ViewerCertificate.SSLSupportMethod = "all" }, "InvalidArgument"},
	} {
		t.Run(c.name, func(t *testing.T) {
			doc := NewDistributionConfig("ref", bucketOrigin())
			c.edit(&doc)
			if got := code(t, Counted(doc).Validate()); got != c.code {
				t.Errorf("got %q, want %q (%v)", got, c.code, doc.Validate())
			}
		})
	}
}

func TestQuantitiesMustAgree(t *testing.T) {
	for _, c := range []struct {
		name string
		edit func(*DistributionConfig)
	}{
		{"aliases", func(c *DistributionConfig) { c.Aliases.Quantity = 1 }},
		{"key groups of a behavior", func(c *DistributionConfig) {
			c.CacheBehaviors = CacheBehaviors{1, []CacheBehavior{{"/a", c.DefaultCacheBehavior}}}
			c.CacheBehaviors.Items[0].TrustedKeyGroups = TrustedKeyGroups{Enabled: true, Quantity: 2, Items: []string{"a"}}
		}},
		{"names behind pointers", func(c *DistributionConfig) {
			c.DefaultCacheBehavior.ForwardedValues = &ForwardedValues{Cookies: CookiePreference{WhitelistedNames: &CookieNames{Quantity: 1}}}
		}},
		{"countries", func(c *DistributionConfig) { c.Restrictions.GeoRestriction.Items = []string{"KR"} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			doc := NewDistributionConfig("ref", bucketOrigin())
			c.edit(&doc)
			if got := code(t, doc.Validate()); got != "InconsistentQuantities" {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestBucket(t *testing.T) {
	for domain, want := range map[string]string{
		"uploads.s3.amazonaws.com":                       "uploads",
		"uploads.s3.us-east-1.amazonaws.com":             "uploads",
		"Uploads.S3.us-east-1.amazonaws.com":             "uploads",
		"uploads.s3-eu-west-1.amazonaws.com":             "uploads",
		"uploads.s3.dualstack.us-east-1.amazonaws.com":   "uploads",
		"a.b.s3.us-east-1.amazonaws.com":                 "a.b",
		"x.s3.y.s3.us-east-1.amazonaws.com":              "x.s3.y",
		"s3.us-east-1.amazonaws.com":                     "",
		".s3.us-east-1.amazonaws.com":                    "",
		"uploads.s3-website.us-east-1.amazonaws.com":     "",
		"uploads.s3-website-us-east-1.amazonaws.com":     "",
		"uploads.s3.us-east-1.amazonaws.com.example.com": "",
		"uploads.s3x.amazonaws.com":                      "",
		"uploads.s3..amazonaws.com":                      "",
		"uploads.s3.a.b.amazonaws.com":                   "",
		"up/loads.s3.us-east-1.amazonaws.com":            "",
		"amazonaws.com":                                  "",
		"":                                               "",
	} {
		o := Origin{DomainName: domain, S3OriginConfig: &S3OriginConfig{}}
		if got, ok := o.Bucket(); ok != (want != "") || ok && got != want {
			t.Errorf("Bucket of %q is %q, %v; want %q", domain, got, ok, want)
		}
	}
	if _, ok := (Origin{DomainName: "uploads.s3.amazonaws.com"}).Bucket(); ok {
		t.Error("an origin without S3OriginConfig is a bucket")
	}
}

func FuzzBucket(f *testing.F) {
	f.Add("uploads.s3.us-east-1.amazonaws.com")
	f.Add("x.s3.y.s3-eu-west-1.amazonaws.com")
	f.Add(".s3.amazonaws.com")
	f.Fuzz(func(t *testing.T, domain string) {
		bucket, ok := Origin{DomainName: domain, S3OriginConfig: &S3OriginConfig{}}.Bucket()
		if ok && (bucket == "" || !strings.HasPrefix(strings.ToLower(domain), bucket+".s3") || strings.ContainsAny(bucket, "/\\ %?#")) {
			t.Errorf("%q is the bucket %q", domain, bucket)
		}
	})
}
