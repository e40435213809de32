package edge

import (
	"strings"

	"postern/internal/cloudfront/document"
	"postern/internal/edge/origin"
)

// AWS's managed policies, as far as they say what reaches an origin. Their caching is not done here yet.
// Source: CloudFront Developer Guide, "Using managed cache policies" and "Using managed origin request
// policies". Headers that CloudFront itself would add (CloudFront-Viewer-Country and its kin) are not.

var managedCachePolicies = map[string]origin.Forward{
	"658327ea-f89d-4fab-a63d-7e88639e58f6": {Encodings: true}, // CachingOptimized
	"4135ea2d-6df8-44a3-9df3-4b5a84be39ad": {},                // CachingDisabled
	"b2884449-e4de-46a7-ac36-70bc7f1ddd6d": {},                // CachingOptimizedForUncompressedObjects
	"83da9c7e-98b4-4e11-a168-04f0df8e2c65": {Cookies: everything, Headers: ownCacheHeaders, Host: true, Encodings: true},
	"4cc15a8a-d715-48a4-82b8-cc0b614638fe": {Query: everything, Cookies: everything, Headers: ownCacheHeaders, Host: true, Encodings: true},
	"2e54312d-136d-493c-8eb9-b001f22f67d2": {Query: everything, Cookies: everything, Headers: only("Authorization"), Host: true, Encodings: true}, // Amplify
	"08627262-05a9-4f76-9ded-b50ca2e3a84f": {Query: only("aws.manifestfilter", "start", "end", "m"), Headers: only("Origin"), Encodings: true},    // Elemental-MediaPackage
}

var managedOriginRequestPolicies = map[string]origin.Forward{
	"216adef6-5c7f-47e4-b989-5492eafa07d3": {Query: everything, Cookies: everything, Headers: everything, Host: true}, // AllViewer
	"b689b0a8-53d0-40ab-baf2-68738e2966ac": {Query: everything, Cookies: everything, Headers: everything},             // AllViewerExceptHostHeader
	"33f36d7e-f396-46d9-90e0-52428a34d9dc": {Query: everything, Cookies: everything, Headers: everything, Host: true}, // AllViewerAndCloudFrontHeaders-2022-06
	"88a5eaf4-2fd4-4709-b370-b4c650ea3fcf": {Headers: only("Origin", "Access-Control-Request-Headers", "Access-Control-Request-Method")},
	"59781a5b-3903-41f3-afcb-af62929ccde1": {Headers: only("Origin")},                // CORS-CustomOrigin
	"acba4595-bd28-49b8-b9fe-13317c0390fa": {Headers: only("User-Agent", "Referer")}, // UserAgentRefererHeaders
	"bf0718e1-ba1e-49d1-88b1-f726733018ae": {Host: true},                             // HostHeaderOnly
	"775133bc-15f2-49f9-abea-afb2e0bf67d2": {Query: everything, Headers: only("Origin", "Access-Control-Request-Headers",
		"Access-Control-Request-Method", "User-Agent", "X-Forwarded-For")}, // Elemental-MediaTailor-PersonalizedManifests
}

var (
	everything      = origin.Names{All: true}
	ownCacheHeaders = only("Origin", "X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override")
)

func only(names ...string) origin.Names { return origin.Names{Only: names} }

// forwarding says what of a request a behaviour lets through to its origin.
func (c *compiler) forwarding(field string, b *document.DefaultCacheBehavior) origin.Forward {
	var f origin.Forward
	if v := b.ForwardedValues; v != nil {
		if b.CachePolicyId != "" || b.OriginRequestPolicyId != "" {
			c.refuse(field+".ForwardedValues", "ForwardedValues and policies exclude each other")
		}
		f.Legacy, f.Encodings = true, true
		// QueryStringCacheKeys narrows the cache key, not what is forwarded.
		f.Query.All = v.QueryString
		switch v.Cookies.Forward {
		case "", "none":
		case "all":
			f.Cookies.All = true
		case "whitelist":
			if v.Cookies.WhitelistedNames != nil {
				f.Cookies.Only = v.Cookies.WhitelistedNames.Items
			}
		default:
			c.refuse(field+".ForwardedValues.Cookies.Forward", "unknown value")
		}
		for _, name := range v.Headers.Items {
			switch {
			case name == "*":
				f.Headers.All, f.Host = true, true
			case strings.EqualFold(name, "Host"):
				f.Host = true
			default:
				f.Headers.Only = append(f.Headers.Only, name)
			}
		}
		return f
	}
	if id := b.CachePolicyId; id != "" {
		policy, ok := managedCachePolicies[id]
		if !ok {
			c.refuse(field+".CachePolicyId", "only AWS's managed cache policies are known here")
		}
		f = f.Union(policy)
	}
	if id := b.OriginRequestPolicyId; id != "" {
		policy, ok := managedOriginRequestPolicies[id]
		if !ok {
			c.refuse(field+".OriginRequestPolicyId", "only AWS's managed origin request policies are known here")
		}
		f = f.Union(policy)
	}
	return f
}
