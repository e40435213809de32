package edge

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"postern/internal/cloudfront/document"
	"postern/internal/edge/gate"
	"postern/internal/edge/origin"
	"postern/internal/policy"
	"postern/signed"
)

// Input is what a configuration is compiled from: CloudFront's documents at one revision of the store.
type Input struct {
	Revision      int64
	Account       string
	Distributions []document.Distribution
	// PublicKeys and KeyGroups are by id.
	PublicKeys map[string]document.PublicKey
	KeyGroups  map[string]document.KeyGroup
	// Default is the id of the distribution that answers for 127.0.0.1, ::1 and localhost, on any port;
	// empty for none.
	Default string
}

// Problem is one thing in the documents that cannot be honoured.
type Problem struct {
	// Distribution is an id; empty when the problem is not one distribution's.
	Distribution string
	// Field is the document's path, such as CacheBehaviors[0].WebACLId.
	Field string
	// Reason says what is wrong and holds no secret.
	Reason string
}

// String puts the problem in one line.
func (p Problem) String() string {
	s := p.Field + ": " + p.Reason
	if p.Distribution != "" {
		s = "distribution " + p.Distribution + ": " + s
	}
	return s
}

// CompileError lists everything that cannot be honoured. A distribution with a problem is closed: it
// answers 503 to everybody, since serving it without the field would open or break what the field says.
type CompileError struct{ Problems []Problem }

// Error implements error.
func (e *CompileError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return "compiling edge configuration: " + strings.Join(lines, "; ")
}

// Config is a compiled configuration. It is immutable and may be shared.
type Config struct {
	revision int64
	// hosts are the domain names and aliases, wild those that begin with "*", without the star.
	hosts, wild map[string]*distribution
	loopback    *distribution
	warnings    []Problem
}

// Revision is the revision of the store that the configuration was compiled from.
func (c *Config) Revision() int64 { return c.revision }

// Warnings are the fields that are not honoured without harm, such as logging.
func (c *Config) Warnings() []Problem { return slices.Clone(c.warnings) }

// find is the distribution that answers for a host name.
func (c *Config) find(hostname string) *distribution {
	if d := c.hosts[hostname]; d != nil {
		return d
	}
	for rest := hostname; len(c.wild) > 0; {
		dot := strings.IndexByte(rest, '.')
		if dot < 0 {
			break
		}
		if d := c.wild[rest[dot:]]; d != nil {
			return d // the longest suffix first
		}
		rest = rest[dot+1:]
	}
	if isLoopback(hostname) {
		return c.loopback
	}
	return nil
}

func isLoopback(hostname string) bool {
	return hostname == "localhost" || hostname == "127.0.0.1" || hostname == "[::1]"
}

type distribution struct {
	id, arn string
	closed  bool
	routes  gate.Routes
	// behaviours are in the order of routes, the default last.
	behaviours []behaviour
	root       gate.RootObject
	// rootElsewhere: "/" and the default root object belong to different behaviours.
	rootElsewhere bool
	pages         map[int]errorPage
}

type behaviour struct {
	pattern string
	rule    *gate.Rule
	viewers viewerProtocol
	methods []string
	forward origin.Forward
	// Exactly one of these is set.
	http   *origin.HTTPConfig
	bucket *origin.BucketConfig
}

type viewerProtocol uint8

const (
	allowAll viewerProtocol = iota + 1
	redirectToHTTPS
	httpsOnly
)

type errorPage struct {
	page      gate.Page
	behaviour int
	status    int
}

// Compile makes a configuration of documents. It always returns a Config that is safe to serve: what
// cannot be honoured closes its distribution and is listed in the error, a *CompileError. So a process
// that starts refuses the error, one that runs swaps the Config in all the same (a removed key must
// not stay alive because another distribution is broken), and the control plane, before it stores a
// document, compiles the world that would be.
func Compile(in Input) (*Config, error) {
	c := &compiler{in: in, out: &Config{
		revision: in.Revision,
		hosts:    map[string]*distribution{},
		wild:     map[string]*distribution{},
	}}
	c.parseKeys()
	// In order of id, so that the same documents give the same problems.
	list := slices.SortedFunc(slices.Values(in.Distributions), func(a, b document.Distribution) int {
		return cmp.Compare(a.Id, b.Id)
	})
	for i := range list {
		c.distribution(&list[i])
	}
	c.id = ""
	if in.Default != "" && c.out.loopback == nil {
		c.warn("Default", "the default distribution "+strconv.Quote(in.Default)+" does not exist or is disabled")
	}
	c.out.warnings = c.warnings
	if len(c.problems) > 0 {
		return c.out, &CompileError{Problems: c.problems}
	}
	return c.out, nil
}

type compiler struct {
	in       Input
	out      *Config
	keys     map[string]*signed.Key
	seen     map[string]bool
	id       string
	problems []Problem
	warnings []Problem
}

func (c *compiler) refuse(field, reason string) {
	c.problems = append(c.problems, Problem{Distribution: c.id, Field: field, Reason: reason})
}

func (c *compiler) warn(field, reason string) {
	c.warnings = append(c.warnings, Problem{Distribution: c.id, Field: field, Reason: reason})
}

func (c *compiler) parseKeys() {
	c.keys = make(map[string]*signed.Key, len(c.in.PublicKeys))
	for id, doc := range c.in.PublicKeys {
		pub, err := signed.ParsePublicKey([]byte(doc.PublicKeyConfig.EncodedKey))
		if err == nil {
			var key *signed.Key
			if key, err = signed.NewKey(pub); err == nil {
				c.keys[id] = key
				continue
			}
		}
		// Such a key lets nobody in, which is safe.
		c.warn("PublicKey "+id, "cannot verify anything: "+err.Error())
	}
}

func (c *compiler) distribution(doc *document.Distribution) {
	c.id = doc.Id
	cfg := &doc.DistributionConfig
	before := len(c.problems)
	d := &distribution{id: doc.Id, arn: doc.ARN}
	if d.id == "" {
		c.refuse("Id", "is missing")
	}
	if c.seen[d.id] {
		c.refuse("Id", "another distribution has the same")
	}
	if c.seen == nil {
		c.seen = map[string]bool{}
	}
	c.seen[d.id] = true
	if d.arn == "" {
		d.arn = "arn:aws:cloudfront::" + c.in.Account + ":distribution/" + d.id
	}
	if !cfg.Enabled {
		return // CloudFront answers for none of its names; neither do we
	}
	c.unsupported(cfg)

	origins := c.origins(d, cfg)
	for i := range cfg.CacheBehaviors.Items {
		b := &cfg.CacheBehaviors.Items[i]
		field := fmt.Sprintf("CacheBehaviors[%d]", i)
		pattern, err := gate.ParsePattern(b.PathPattern)
		if err != nil {
			c.refuse(field+".PathPattern", err.Error())
		}
		d.routes = append(d.routes, pattern)
		d.behaviours = append(d.behaviours, c.behaviour(field, b.PathPattern, &b.DefaultCacheBehavior, origins))
	}
	d.behaviours = append(d.behaviours, c.behaviour("DefaultCacheBehavior", "*", &cfg.DefaultCacheBehavior, origins))

	if cfg.DefaultRootObject != "" {
		c.root(d, cfg.DefaultRootObject)
	}
	c.pages(d, cfg.CustomErrorResponses.Items)

	if doc.DomainName != "" {
		c.name(d, "DomainName", doc.DomainName)
	} else {
		c.refuse("DomainName", "is missing")
	}
	for i, alias := range cfg.Aliases.Items {
		c.name(d, fmt.Sprintf("Aliases[%d]", i), alias)
	}
	if c.in.Default == d.id && d.id != "" {
		c.out.loopback = d
	}
	d.closed = len(c.problems) > before
}

// name gives a host name to a distribution, and to nobody when two want it.
func (c *compiler) name(d *distribution, field, name string) {
	table, key := c.out.hosts, name
	rest, wild := strings.CutPrefix(name, "*.")
	host, ok := gate.Hostname(rest)
	if !ok {
		c.refuse(field, "is not a host name")
		return
	}
	key = host
	if wild {
		table, key = c.out.wild, "."+host
	}
	if other := table[key]; other != nil {
		if other != d {
			other.closed = true
			c.refuse(field, "distribution "+other.id+" has the same name")
		}
		return
	}
	table[key] = d
}

// unsupported refuses what would be served wrongly, or opened, by leaving it out.
func (c *compiler) unsupported(cfg *document.DistributionConfig) {
	if cfg.WebACLId != "" {
		c.refuse("WebACLId", "web ACLs are not enforced here")
	}
	if t := cfg.Restrictions.GeoRestriction.RestrictionType; t != "" && t != "none" {
		c.refuse("Restrictions.GeoRestriction", "countries are not told apart here")
	}
	if cfg.Staging || cfg.ContinuousDeploymentPolicyId != "" {
		c.refuse("Staging", "continuous deployment is not done here")
	}
	if cfg.ViewerMtlsConfig != nil && cfg.ViewerMtlsConfig.Mode != "" {
		c.refuse("ViewerMtlsConfig", "viewers are not asked for certificates here")
	}
	if cfg.ConnectionFunctionAssociation != nil {
		c.refuse("ConnectionFunctionAssociation", "functions are not run here")
	}
	if cfg.TenantConfig != nil || cfg.ConnectionMode != "" && cfg.ConnectionMode != "direct" {
		c.refuse("TenantConfig", "tenants are not served here")
	}
	if cfg.Logging.Enabled {
		c.warn("Logging", "access logs are not written to a bucket here")
	}
}

// place is one compiled origin.
type place struct {
	http   *origin.HTTPConfig
	bucket *origin.BucketConfig
}

func (c *compiler) origins(d *distribution, cfg *document.DistributionConfig) map[string]place {
	out := make(map[string]place, len(cfg.Origins.Items))
	if len(cfg.Origins.Items) == 0 {
		c.refuse("Origins", "there is none")
	}
	for i := range cfg.Origins.Items {
		o := &cfg.Origins.Items[i]
		field := fmt.Sprintf("Origins[%d]", i)
		if _, twice := out[o.Id]; twice || o.Id == "" {
			c.refuse(field+".Id", "is missing or stands there twice")
		}
		if p := o.OriginPath; p != "" && (gate.CheckPath(p) != nil || strings.HasSuffix(p, "/")) {
			c.refuse(field+".OriginPath", "must begin with a slash, not end with one, and be percent-encoded")
		} else if _, err := gate.Routes(nil).Select(cmp.Or(p, "/")); err != nil {
			c.refuse(field+".OriginPath", "climbs above the root")
		}
		if o.OriginShield.Enabled {
			c.warn(field+".OriginShield", "there is no second layer of cache here")
		}
		switch {
		case o.VpcOriginConfig != nil:
			c.refuse(field+".VpcOriginConfig", "VPC origins are not reached from here")
		case o.S3OriginConfig != nil && o.CustomOriginConfig != nil:
			c.refuse(field, "S3OriginConfig and CustomOriginConfig exclude each other")
		case o.S3OriginConfig != nil:
			out[o.Id] = place{bucket: c.bucket(field, d, o)}
		case o.CustomOriginConfig != nil:
			out[o.Id] = place{http: c.web(field, o)}
		default:
			c.refuse(field, "has neither S3OriginConfig nor CustomOriginConfig")
		}
	}
	for i := range cfg.OriginGroups.Items {
		c.refuse(fmt.Sprintf("OriginGroups[%d]", i), "failover between origins is not done here")
	}
	return out
}

func (c *compiler) bucket(field string, d *distribution, o *document.Origin) *origin.BucketConfig {
	b := &origin.BucketConfig{Bucket: bucketName(o.DomainName), Path: o.OriginPath}
	if b.Bucket == "" {
		c.refuse(field+".DomainName", "does not name a bucket: it must be <bucket>.s3.<region>.amazonaws.com")
	}
	if o.S3OriginConfig.OriginAccessIdentity != "" {
		c.refuse(field+".S3OriginConfig.OriginAccessIdentity", "origin access identities are not supported: use origin access control")
	}
	if len(o.CustomHeaders.Items) > 0 {
		c.warn(field+".CustomHeaders", "the embedded S3 does not look at them")
	}
	if o.OriginAccessControlId != "" {
		b.Caller = policy.EdgeCaller(d.arn)
	} else {
		c.warn(field+".OriginAccessControlId", "is empty: the bucket is read without credentials and will refuse unless it is public")
	}
	return b
}

// bucketName takes the bucket out of an S3 REST endpoint's host name, "" when it is something else.
// Source: S3 User Guide, "Virtual hosting of buckets"; website endpoints are custom origins.
func bucketName(domain string) string {
	host := strings.TrimSuffix(strings.ToLower(domain), ".cn")
	host, ok := strings.CutSuffix(host, ".amazonaws.com")
	if !ok {
		return ""
	}
	// What remains is bucket.s3, bucket.s3.region, bucket.s3.dualstack.region or bucket.s3-region.
	// A bucket's own name may hold dots, and even ".s3.": the last one counts.
	for _, mark := range []string{".s3.", ".s3-"} {
		if at := strings.LastIndex(host, mark); at > 0 {
			region := strings.TrimPrefix(host[at+len(mark):], "dualstack.")
			if region == "" || strings.HasPrefix(region, "website") || strings.IndexByte(region, '.') >= 0 {
				return ""
			}
			return host[:at]
		}
	}
	bucket, ok := strings.CutSuffix(host, ".s3")
	if !ok {
		return ""
	}
	return bucket
}

func (c *compiler) web(field string, o *document.Origin) *origin.HTTPConfig {
	w := o.CustomOriginConfig
	h := &origin.HTTPConfig{
		Domain:         strings.Trim(o.DomainName, "[]"),
		HTTPPort:       w.HTTPPort,
		HTTPSPort:      w.HTTPSPort,
		Protocol:       w.OriginProtocolPolicy,
		Path:           o.OriginPath,
		Attempts:       o.ConnectionAttempts,
		ConnectTimeout: time.Duration(o.ConnectionTimeout) * time.Second,
		ReadTimeout:    time.Duration(w.OriginReadTimeout) * time.Second,
	}
	if _, err := netip.ParseAddr(h.Domain); err != nil {
		if _, ok := gate.Hostname(h.Domain); !ok {
			c.refuse(field+".DomainName", "is not a host name or address; ports stand in HTTPPort and HTTPSPort")
		}
	}
	if h.Protocol != origin.HTTPOnly && h.Protocol != origin.HTTPSOnly && h.Protocol != origin.MatchViewer {
		c.refuse(field+".CustomOriginConfig.OriginProtocolPolicy", "must be http-only, https-only or match-viewer")
	}
	within := func(name string, v, low, high int) {
		if v != 0 && (v < low || v > high) {
			c.refuse(field+"."+name, fmt.Sprintf("is %d: must be %d to %d", v, low, high))
		}
	}
	within("CustomOriginConfig.HTTPPort", w.HTTPPort, 1, 65535)
	within("CustomOriginConfig.HTTPSPort", w.HTTPSPort, 1, 65535)
	within("ConnectionAttempts", o.ConnectionAttempts, 1, 3)
	within("ConnectionTimeout", o.ConnectionTimeout, 1, 10)
	within("CustomOriginConfig.OriginReadTimeout", w.OriginReadTimeout, 1, 120)
	if w.OriginMtlsConfig != nil && w.OriginMtlsConfig.ClientCertificateArn != "" {
		c.refuse(field+".CustomOriginConfig.OriginMtlsConfig", "origins are not shown certificates here")
	}
	if o.ResponseCompletionTimeout != 0 {
		c.warn(field+".ResponseCompletionTimeout", "is not enforced: a silent origin is cut by OriginReadTimeout")
	}
	if o.OriginAccessControlId != "" {
		c.refuse(field+".OriginAccessControlId", "requests to plain web servers are not signed here")
	}
	for i, custom := range o.CustomHeaders.Items {
		at := fmt.Sprintf("%s.CustomHeaders[%d]", field, i)
		name := http.CanonicalHeaderKey(custom.HeaderName)
		switch {
		case !validHeader(custom.HeaderName, custom.HeaderValue):
			c.refuse(at, "is not a header")
		case forbiddenCustom(name):
			c.refuse(at, "CloudFront does not allow adding the header "+name)
		default:
			h.Headers = append(h.Headers, origin.Header{Name: name, Value: custom.HeaderValue})
		}
	}
	return h
}

// forbiddenCustom are headers that frame the message or that CloudFront writes itself.
// Source: CloudFront Developer Guide, "Custom headers that CloudFront can't add to origin requests".
func forbiddenCustom(name string) bool {
	switch name {
	case "Cache-Control", "Connection", "Content-Length", "Cookie", "Host", "If-Match", "If-Modified-Since",
		"If-None-Match", "If-Range", "If-Unmodified-Since", "Max-Forwards", "Pragma", "Proxy-Authenticate",
		"Proxy-Authorization", "Proxy-Connection", "Range", "Request-Range", "Te", "Trailer", "Transfer-Encoding",
		"Upgrade", "Via", "X-Real-Ip", "Expect", "Keep-Alive", "X-Forwarded-For":
		return true
	}
	return strings.HasPrefix(name, "X-Amz-") || strings.HasPrefix(name, "X-Edge-")
}

var methodSets = [][]string{
	{"GET", "HEAD"},
	{"GET", "HEAD", "OPTIONS"},
	{"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"},
}

func (c *compiler) behaviour(field, pattern string, b *document.DefaultCacheBehavior, origins map[string]place) behaviour {
	out := behaviour{pattern: pattern, rule: c.rule(field, b), forward: c.forwarding(field, b)}
	switch b.ViewerProtocolPolicy {
	case "allow-all":
		out.viewers = allowAll
	case "redirect-to-https":
		out.viewers = redirectToHTTPS
	case "https-only":
		out.viewers = httpsOnly
	default:
		c.refuse(field+".ViewerProtocolPolicy", "must be allow-all, redirect-to-https or https-only")
	}
	methods := slices.Sorted(slices.Values(b.AllowedMethods.Items))
	if len(methods) == 0 {
		methods = methodSets[0] // CloudFront's default
	}
	if !slices.ContainsFunc(methodSets, func(set []string) bool { return slices.Equal(set, methods) }) {
		c.refuse(field+".AllowedMethods", "must be GET and HEAD, those and OPTIONS, or all seven methods")
	}
	out.methods = methods
	target, ok := origins[b.TargetOriginId]
	if !ok {
		c.refuse(field+".TargetOriginId", "there is no such origin")
	}
	out.http, out.bucket = target.http, target.bucket
	if out.bucket != nil && len(methods) > 2 {
		c.warn(field+".AllowedMethods", "a bucket answers only GET and HEAD through the edge")
	}
	if b.LambdaFunctionAssociations.Quantity > 0 || len(b.LambdaFunctionAssociations.Items) > 0 {
		c.refuse(field+".LambdaFunctionAssociations", "functions are not run here")
	}
	if b.FunctionAssociations.Quantity > 0 || len(b.FunctionAssociations.Items) > 0 {
		c.refuse(field+".FunctionAssociations", "functions are not run here")
	}
	if b.FieldLevelEncryptionId != "" {
		c.refuse(field+".FieldLevelEncryptionId", "fields are not encrypted here")
	}
	if b.ResponseHeadersPolicyId != "" {
		c.refuse(field+".ResponseHeadersPolicyId", "response headers policies are not applied here")
	}
	if b.GrpcConfig.Enabled {
		c.refuse(field+".GrpcConfig", "gRPC is not passed on here")
	}
	if b.SmoothStreaming {
		c.refuse(field+".SmoothStreaming", "is not done here")
	}
	if b.RealtimeLogConfigArn != "" {
		c.warn(field+".RealtimeLogConfigArn", "real-time logs are not written here")
	}
	return out
}

// rule says who may pass. Only a behaviour that says in so many words that nobody is trusted is public.
func (c *compiler) rule(field string, b *document.DefaultCacheBehavior) *gate.Rule {
	if b.TrustedSigners.Enabled || len(b.TrustedSigners.Items) > 0 {
		c.refuse(field+".TrustedSigners", "accounts as signers are not supported: use trusted key groups")
		return gate.Signed(nil)
	}
	groups := &b.TrustedKeyGroups
	if groups.Quantity != len(groups.Items) {
		c.refuse(field+".TrustedKeyGroups", "Quantity is not the number of items")
		return gate.Signed(nil)
	}
	if !groups.Enabled {
		if len(groups.Items) > 0 {
			c.refuse(field+".TrustedKeyGroups", "lists key groups but is not enabled")
			return gate.Signed(nil)
		}
		return gate.Public()
	}
	keys := map[string]*signed.Key{}
	for _, id := range groups.Items {
		group, ok := c.in.KeyGroups[id]
		if !ok {
			c.warn(field+".TrustedKeyGroups", "key group "+strconv.Quote(id)+" does not exist")
			continue
		}
		for _, key := range group.KeyGroupConfig.Items {
			if k := c.keys[key]; k != nil {
				keys[key] = k
			}
		}
	}
	if len(keys) == 0 {
		c.warn(field+".TrustedKeyGroups", "has no usable key: every request is refused")
	}
	return gate.Signed(keys)
}

func (c *compiler) root(d *distribution, name string) {
	object, err := gate.ParseRootObject(name)
	if err != nil {
		c.refuse("DefaultRootObject", err.Error())
		return
	}
	at, err := d.routes.Select(object.Path())
	if err != nil {
		c.refuse("DefaultRootObject", err.Error())
		return
	}
	d.root = object
	if slash, _ := d.routes.Select("/"); slash != at {
		d.rootElsewhere = true
		c.warn("DefaultRootObject", `belongs to another behaviour than "/": requests for "/" are refused`)
	}
}

// pageCodes are the statuses that may have a page, and with 200 those it may be sent with.
// Source: CloudFront API, CustomErrorResponse.
var pageCodes = []int{400, 403, 404, 405, 414, 416, 500, 501, 502, 503, 504}

func (c *compiler) pages(d *distribution, items []document.CustomErrorResponse) {
	for i, item := range items {
		field := fmt.Sprintf("CustomErrorResponses[%d]", i)
		if !slices.Contains(pageCodes, item.ErrorCode) {
			c.refuse(field+".ErrorCode", "this status cannot have a page")
			continue
		}
		if item.ResponsePagePath == "" && item.ResponseCode == "" {
			continue // only a caching time, and nothing is cached yet
		}
		status, err := strconv.Atoi(item.ResponseCode)
		if err != nil || status != http.StatusOK && !slices.Contains(pageCodes, status) {
			c.refuse(field+".ResponseCode", "is missing or not one that CloudFront allows")
			continue
		}
		page, err := gate.ParsePage(item.ResponsePagePath)
		if err != nil {
			c.refuse(field+".ResponsePagePath", err.Error())
			continue
		}
		at, err := d.routes.Select(page.Path())
		if err != nil {
			c.refuse(field+".ResponsePagePath", err.Error())
			continue
		}
		if d.pages == nil {
			d.pages = map[int]errorPage{}
		}
		if _, twice := d.pages[item.ErrorCode]; twice {
			c.refuse(field+".ErrorCode", "stands there twice")
		}
		d.pages[item.ErrorCode] = errorPage{page: page, behaviour: at, status: status}
	}
}

// Problems are the problems in an error of [Compile], nil when it is another error.
func Problems(err error) []Problem {
	var ce *CompileError
	if errors.As(err, &ce) {
		return ce.Problems
	}
	return nil
}

// validHeader holds a header to RFC 9110 section 5: a token, and a value without control characters.
func validHeader(name, value string) bool {
	for i := range len(name) {
		c := name[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0) {
			return false
		}
	}
	for i := range len(value) {
		if c := value[i]; c < ' ' && c != '\t' || c == 0x7F {
			return false
		}
	}
	return name != ""
}
