package cloudfront

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	sdk "github.com/aws/aws-sdk-go-v2/service/cloudfront"
	"github.com/aws/aws-sdk-go-v2/service/cloudfront/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"postern/internal/audit"
	"postern/internal/audit/audittest"
	"postern/internal/awsapi"
	"postern/internal/cloudfront/document"
	"postern/internal/policy"
	"postern/internal/seal"
	"postern/internal/store"
)

const account = "123456789012"

var owner = policy.Caller{Kind: policy.Root, ARN: policy.RootARN(account), Account: account}

// bed is a service on a store of its own.
type bed struct {
	dir      string
	root     *seal.RootKey
	store    *store.Store
	keeper   *seal.Keeper
	recorder *audittest.Recorder
	*Service
}

func newBed(t *testing.T, edits ...func(*Config)) *bed {
	t.Helper()
	b := &bed{dir: filepath.Join(t.TempDir(), "records"), recorder: &audittest.Recorder{}}
	var err error
	if b.root, err = seal.CreateKeyFile(filepath.Join(t.TempDir(), "root.key")); err != nil {
		t.Fatal(err)
	}
	b.open(t, edits...)
	return b
}

// open opens the store and the service, anew when both were closed.
func (b *bed) open(t *testing.T, edits ...func(*Config)) {
	t.Helper()
	st, err := store.Open(t.Context(), store.Config{Dir: b.dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	b.store = st
	if b.keeper, err = seal.NewKeeper(t.Context(), b.root, st); err != nil {
		t.Fatal(err)
	}
	b.Service = b.service(t, edits...)
}

// service is one more engine on the store.
func (b *bed) service(t *testing.T, edits ...func(*Config)) *Service {
	t.Helper()
	guard, err := audit.NewGuard(audit.GuardConfig{Decider: policy.Owner{}, Writer: b.recorder, Region: "us-east-1", Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	c := Config{Store: b.store, Keeper: b.keeper, Guard: guard, Account: account, Now: time.Now}
	for _, edit := range edits {
		edit(&c)
	}
	s, err := New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

type oneKey struct{ secret string }

func (k oneKey) Lookup(context.Context, string) (awsapi.Credential, error) {
	return awsapi.Credential{Secret: seal.NewSecret([]byte(k.secret)), Caller: owner}, nil
}

// handler serves the table to the owner.
func handler(t *testing.T, s *Service, secret string) http.Handler {
	t.Helper()
	h, err := awsapi.New(awsapi.Config{Services: []awsapi.Service{s.Table()}, Credentials: oneKey{secret}, Region: "us-east-1",
		Account: account, Now: time.Now, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// client is the AWS SDK's, on the table over HTTP, in a region that is not the server's.
func client(t *testing.T, s *Service) *sdk.Client {
	t.Helper()
	secret := rand.Text()
	server := httptest.NewServer(handler(t, s, secret))
	t.Cleanup(server.Close)
	return sdk.New(sdk.Options{
		BaseEndpoint:     aws.String(server.URL),
		Region:           "ap-northeast-2",
		RetryMaxAttempts: 1,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIAOWNER", SecretAccessKey: secret}, nil
		}),
	})
}

var rsaPEM = sync.OnceValue(func() string {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return publicPEM(&key.PublicKey)
})

func newPEM() string {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return publicPEM(&key.PublicKey)
}

func publicPEM(public any) string {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// The engine's shortest ways to a document of each kind.

func (b *bed) key(t *testing.T, name string) CreatePublicKeyOutput {
	t.Helper()
	out, err := b.CreatePublicKey(t.Context(), owner, CreatePublicKeyInput{document.PublicKeyConfig{CallerReference: name, Name: name, EncodedKey: newPEM()}})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (b *bed) group(t *testing.T, name string, keys ...string) CreateKeyGroupOutput {
	t.Helper()
	out, err := b.CreateKeyGroup(t.Context(), owner, CreateKeyGroupInput{document.KeyGroupConfig{Name: name, Items: keys}})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (b *bed) control(t *testing.T, name string) CreateOriginAccessControlOutput {
	t.Helper()
	out, err := b.CreateOriginAccessControl(t.Context(), owner, CreateOriginAccessControlInput{controlConfig(name)})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (b *bed) distribute(t *testing.T, c document.DistributionConfig) CreateDistributionOutput {
	t.Helper()
	out, err := b.CreateDistribution(t.Context(), owner, CreateDistributionInput{c})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func controlConfig(name string) document.OriginAccessControlConfig {
	return document.OriginAccessControlConfig{Name: name, SigningProtocol: "sigv4", SigningBehavior: "always", OriginAccessControlOriginType: "s3"}
}

// config is a distribution of one bucket on which everything needs a signature of one of the groups.
func config(ref string, groups ...string) document.DistributionConfig {
	c := document.NewDistributionConfig(ref, document.Origin{
		Id: "bucket", DomainName: "uploads.s3.us-east-1.amazonaws.com", S3OriginConfig: &document.S3OriginConfig{},
	})
	c.DefaultCacheBehavior.TrustedKeyGroups = document.TrustedKeyGroups{Enabled: len(groups) > 0, Items: groups}
	return document.Counted(c)
}

// refused holds an engine's error against code, status and a piece of its text.
func refused(t *testing.T, err error, code string, status int, says string) {
	t.Helper()
	var e *awsapi.Error
	if !errors.As(err, &e) {
		t.Errorf("got %v, want %s", err, code)
		return
	}
	if e.Code != code || e.Status != status || !strings.Contains(e.Message, says) {
		t.Errorf("got %d %s %q, want %d %s saying %q", e.Status, e.Code, e.Message, status, code, says)
	}
}

func TestNewWantsItsParts(t *testing.T) {
	if s, err := New(t.Context(), Config{}); err == nil {
		s.Close()
		t.Error("a service of nothing")
	}
}

// status is the HTTP status of an SDK answer.
func status(t *testing.T, m middleware.Metadata) int {
	t.Helper()
	response, ok := awsmiddleware.GetRawResponse(m).(*smithyhttp.Response)
	if !ok {
		t.Fatal("no HTTP answer in the metadata")
	}
	return response.StatusCode
}

var (
	keyID   = regexp.MustCompile(`^K[A-Z0-9]{13}$`)
	eID     = regexp.MustCompile(`^E[A-Z0-9]{13}$`)
	groupID = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	domain  = regexp.MustCompile(`^d[a-z0-9]{13}\.cloudfront\.net$`)
)

// created is what every create answers besides its document.
func created(t *testing.T, m middleware.Metadata, location, etag *string, kind, id string) {
	t.Helper()
	if got := status(t, m); got != 201 {
		t.Errorf("create answers %d", got)
	}
	if want := "https://cloudfront.amazonaws.com/2020-05-31/" + kind + "/" + id; aws.ToString(location) != want {
		t.Errorf("Location is %q, want %q", aws.ToString(location), want)
	}
	if !eID.MatchString(aws.ToString(etag)) {
		t.Errorf("ETag is %q", aws.ToString(etag))
	}
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestPublicKeysOverTheWire(t *testing.T) {
	b := newBed(t)
	c, ctx := client(t, b.Service), t.Context()
	// Odd line ends and no newline at the end: the text is kept byte for byte.
	text := strings.TrimSpace(strings.ReplaceAll(rsaPEM(), "\n", "\r\n"))
	cfg := &types.PublicKeyConfig{CallerReference: aws.String("ref"), Name: aws.String("name"), EncodedKey: &text, Comment: aws.String("<&> 한글")}
	made := must[*sdk.CreatePublicKeyOutput](t)(c.CreatePublicKey(ctx, &sdk.CreatePublicKeyInput{PublicKeyConfig: cfg}))
	id := aws.ToString(made.PublicKey.Id)
	created(t, made.ResultMetadata, made.Location, made.ETag, "public-key", id)
	if !keyID.MatchString(id) {
		t.Errorf("id %q", id)
	}
	if age := time.Since(aws.ToTime(made.PublicKey.CreatedTime)); age < 0 || age > time.Minute {
		t.Errorf("created %v ago", age)
	}
	got := must[*sdk.GetPublicKeyOutput](t)(c.GetPublicKey(ctx, &sdk.GetPublicKeyInput{Id: &id}))
	if p := got.PublicKey.PublicKeyConfig; *p.EncodedKey != text || *p.Name != "name" || *p.Comment != "<&> 한글" || *p.CallerReference != "ref" || *got.ETag != *made.ETag {
		t.Errorf("got %+v %s", p, *got.ETag)
	}
	conf := must[*sdk.GetPublicKeyConfigOutput](t)(c.GetPublicKeyConfig(ctx, &sdk.GetPublicKeyConfigInput{Id: &id}))
	if *conf.PublicKeyConfig.EncodedKey != text || *conf.ETag != *made.ETag {
		t.Error("GetPublicKeyConfig answers something else")
	}
	conf.PublicKeyConfig.Comment = aws.String("new")
	up := must[*sdk.UpdatePublicKeyOutput](t)(c.UpdatePublicKey(ctx, &sdk.UpdatePublicKeyInput{Id: &id, IfMatch: conf.ETag, PublicKeyConfig: conf.PublicKeyConfig}))
	if *up.PublicKey.PublicKeyConfig.Comment != "new" || *up.ETag == *made.ETag || !up.PublicKey.CreatedTime.Equal(*made.PublicKey.CreatedTime) {
		t.Errorf("updated to %+v", up.PublicKey)
	}
	list := must[*sdk.ListPublicKeysOutput](t)(c.ListPublicKeys(ctx, &sdk.ListPublicKeysInput{})).PublicKeyList
	if *list.Quantity != 1 || *list.MaxItems != 100 || list.NextMarker != nil || *list.Items[0].Id != id || *list.Items[0].EncodedKey != text || *list.Items[0].Comment != "new" {
		t.Errorf("listed %+v", list)
	}
	gone := must[*sdk.DeletePublicKeyOutput](t)(c.DeletePublicKey(ctx, &sdk.DeletePublicKeyInput{Id: &id, IfMatch: up.ETag}))
	if got := status(t, gone.ResultMetadata); got != 204 {
		t.Errorf("delete answers %d", got)
	}
	if list := must[*sdk.ListPublicKeysOutput](t)(c.ListPublicKeys(ctx, &sdk.ListPublicKeysInput{})).PublicKeyList; *list.Quantity != 0 || len(list.Items) != 0 {
		t.Errorf("listed %+v", list)
	}
}

func TestKeyGroupsOverTheWire(t *testing.T) {
	b := newBed(t)
	c, ctx := client(t, b.Service), t.Context()
	k1, k2 := b.key(t, "one").PublicKey.Id, b.key(t, "two").PublicKey.Id
	made := must[*sdk.CreateKeyGroupOutput](t)(c.CreateKeyGroup(ctx, &sdk.CreateKeyGroupInput{
		KeyGroupConfig: &types.KeyGroupConfig{Name: aws.String("g"), Items: []string{k1, k2}, Comment: aws.String("c")}}))
	id := aws.ToString(made.KeyGroup.Id)
	created(t, made.ResultMetadata, made.Location, made.ETag, "key-group", id)
	if !groupID.MatchString(id) || made.KeyGroup.LastModifiedTime == nil {
		t.Errorf("made %+v", made.KeyGroup)
	}
	got := must[*sdk.GetKeyGroupOutput](t)(c.GetKeyGroup(ctx, &sdk.GetKeyGroupInput{Id: &id}))
	if g := got.KeyGroup.KeyGroupConfig; *g.Name != "g" || *g.Comment != "c" || len(g.Items) != 2 || g.Items[0] != k1 || *got.ETag != *made.ETag {
		t.Errorf("got %+v", g)
	}
	conf := must[*sdk.GetKeyGroupConfigOutput](t)(c.GetKeyGroupConfig(ctx, &sdk.GetKeyGroupConfigInput{Id: &id}))
	conf.KeyGroupConfig.Items = []string{k2}
	up := must[*sdk.UpdateKeyGroupOutput](t)(c.UpdateKeyGroup(ctx, &sdk.UpdateKeyGroupInput{Id: &id, IfMatch: conf.ETag, KeyGroupConfig: conf.KeyGroupConfig}))
	if items := up.KeyGroup.KeyGroupConfig.Items; len(items) != 1 || items[0] != k2 || *up.ETag == *made.ETag {
		t.Errorf("updated to %v", items)
	}
	list := must[*sdk.ListKeyGroupsOutput](t)(c.ListKeyGroups(ctx, &sdk.ListKeyGroupsInput{})).KeyGroupList
	if *list.Quantity != 1 || *list.Items[0].KeyGroup.Id != id || *list.Items[0].KeyGroup.KeyGroupConfig.Name != "g" {
		t.Errorf("listed %+v", list)
	}
	gone := must[*sdk.DeleteKeyGroupOutput](t)(c.DeleteKeyGroup(ctx, &sdk.DeleteKeyGroupInput{Id: &id, IfMatch: up.ETag}))
	if got := status(t, gone.ResultMetadata); got != 204 {
		t.Errorf("delete answers %d", got)
	}
}

func TestOriginAccessControlsOverTheWire(t *testing.T) {
	b := newBed(t)
	c, ctx := client(t, b.Service), t.Context()
	cfg := &types.OriginAccessControlConfig{Name: aws.String("oac"), Description: aws.String("d"), SigningProtocol: "sigv4", SigningBehavior: "always", OriginAccessControlOriginType: "s3"}
	made := must[*sdk.CreateOriginAccessControlOutput](t)(c.CreateOriginAccessControl(ctx, &sdk.CreateOriginAccessControlInput{OriginAccessControlConfig: cfg}))
	id := aws.ToString(made.OriginAccessControl.Id)
	created(t, made.ResultMetadata, made.Location, made.ETag, "origin-access-control", id)
	if !eID.MatchString(id) {
		t.Errorf("id %q", id)
	}
	got := must[*sdk.GetOriginAccessControlOutput](t)(c.GetOriginAccessControl(ctx, &sdk.GetOriginAccessControlInput{Id: &id}))
	if o := got.OriginAccessControl.OriginAccessControlConfig; *o.Name != "oac" || *o.Description != "d" || o.SigningBehavior != "always" || *got.ETag != *made.ETag {
		t.Errorf("got %+v", o)
	}
	conf := must[*sdk.GetOriginAccessControlConfigOutput](t)(c.GetOriginAccessControlConfig(ctx, &sdk.GetOriginAccessControlConfigInput{Id: &id}))
	conf.OriginAccessControlConfig.SigningBehavior = "never"
	up := must[*sdk.UpdateOriginAccessControlOutput](t)(c.UpdateOriginAccessControl(ctx, &sdk.UpdateOriginAccessControlInput{Id: &id, IfMatch: conf.ETag, OriginAccessControlConfig: conf.OriginAccessControlConfig}))
	if up.OriginAccessControl.OriginAccessControlConfig.SigningBehavior != "never" || *up.ETag == *made.ETag {
		t.Errorf("updated to %+v", up.OriginAccessControl)
	}
	list := must[*sdk.ListOriginAccessControlsOutput](t)(c.ListOriginAccessControls(ctx, &sdk.ListOriginAccessControlsInput{})).OriginAccessControlList
	if *list.Quantity != 1 || *list.IsTruncated || *list.Items[0].Id != id || *list.Items[0].Description != "d" {
		t.Errorf("listed %+v", list)
	}
	gone := must[*sdk.DeleteOriginAccessControlOutput](t)(c.DeleteOriginAccessControl(ctx, &sdk.DeleteOriginAccessControlInput{Id: &id, IfMatch: up.ETag}))
	if got := status(t, gone.ResultMetadata); got != 204 {
		t.Errorf("delete answers %d", got)
	}
}

// sdkConfig is the SDK's smallest configuration of a bucket: nothing that may be absent.
func sdkConfig(ref string) *types.DistributionConfig {
	return &types.DistributionConfig{
		CallerReference: &ref, Comment: aws.String("c"), Enabled: aws.Bool(true),
		Origins: &types.Origins{Quantity: aws.Int32(1), Items: []types.Origin{{
			Id: aws.String("bucket"), DomainName: aws.String("uploads.s3.us-east-1.amazonaws.com"),
			S3OriginConfig: &types.S3OriginConfig{OriginAccessIdentity: aws.String("")},
		}}},
		DefaultCacheBehavior: &types.DefaultCacheBehavior{
			TargetOriginId: aws.String("bucket"), ViewerProtocolPolicy: "redirect-to-https", CachePolicyId: aws.String(document.CachingDisabled),
		},
	}
}

func trust(groups ...string) *types.TrustedKeyGroups {
	return &types.TrustedKeyGroups{Enabled: aws.Bool(true), Quantity: aws.Int32(int32(len(groups))), Items: groups}
}

func TestDistributionsOverTheWire(t *testing.T) {
	b := newBed(t)
	c, ctx := client(t, b.Service), t.Context()
	key := b.key(t, "k").PublicKey.Id
	group := b.group(t, "g", key).KeyGroup.Id
	control := b.control(t, "oac").OriginAccessControl.Id

	cfg := sdkConfig("ref")
	cfg.Aliases = &types.Aliases{Quantity: aws.Int32(1), Items: []string{"files.example.com"}}
	cfg.Origins.Items[0].OriginAccessControlId = &control
	cfg.Origins.Items[0].CustomHeaders = &types.CustomHeaders{Quantity: aws.Int32(1), Items: []types.OriginCustomHeader{{HeaderName: aws.String("X-Secret"), HeaderValue: aws.String("hush")}}}
	cfg.DefaultCacheBehavior.TrustedKeyGroups = trust(group)
	cfg.CacheBehaviors = &types.CacheBehaviors{Quantity: aws.Int32(1), Items: []types.CacheBehavior{{
		PathPattern: aws.String("/public/*"), TargetOriginId: aws.String("bucket"), ViewerProtocolPolicy: "allow-all",
		ForwardedValues: &types.ForwardedValues{QueryString: aws.Bool(true), Cookies: &types.CookiePreference{Forward: "none"}},
	}}}
	made := must[*sdk.CreateDistributionOutput](t)(c.CreateDistribution(ctx, &sdk.CreateDistributionInput{DistributionConfig: cfg}))
	d := made.Distribution
	id := aws.ToString(d.Id)
	created(t, made.ResultMetadata, made.Location, made.ETag, "distribution", id)
	if !eID.MatchString(id) || *d.ARN != "arn:aws:cloudfront::"+account+":distribution/"+id || !domain.MatchString(*d.DomainName) || *d.Status != "InProgress" {
		t.Errorf("made %s %s %s %s", id, *d.ARN, *d.DomainName, *d.Status)
	}
	active := d.ActiveTrustedKeyGroups
	if !*active.Enabled || *active.Quantity != 1 || *active.Items[0].KeyGroupId != group || *active.Items[0].KeyPairIds.Quantity != 1 || active.Items[0].KeyPairIds.Items[0] != key {
		t.Errorf("active key groups %+v", active)
	}
	if *d.ActiveTrustedSigners.Enabled || *d.InProgressInvalidationBatches != 0 {
		t.Error("active trusted signers, or invalidations")
	}

	got := must[*sdk.GetDistributionOutput](t)(c.GetDistribution(ctx, &sdk.GetDistributionInput{Id: &id}))
	if *got.Distribution.Status != "Deployed" || *got.ETag != *made.ETag || *got.Distribution.DomainName != *d.DomainName || !got.Distribution.LastModifiedTime.Equal(*d.LastModifiedTime) {
		t.Errorf("got %s %s", *got.Distribution.Status, *got.ETag)
	}
	conf := must[*sdk.GetDistributionConfigOutput](t)(c.GetDistributionConfig(ctx, &sdk.GetDistributionConfigInput{Id: &id}))
	full := conf.DistributionConfig
	// What nobody sent and clients read unasked.
	if full.OriginGroups == nil || *full.OriginGroups.Quantity != 0 || full.Logging == nil || full.Restrictions.GeoRestriction.RestrictionType != "none" ||
		!*full.ViewerCertificate.CloudFrontDefaultCertificate || full.PriceClass != "PriceClass_All" || full.HttpVersion != "http2" || full.WebACLId == nil ||
		full.CustomErrorResponses == nil || *full.DefaultCacheBehavior.AllowedMethods.Quantity != 2 || *full.Origins.Items[0].ConnectionAttempts != 3 ||
		full.DefaultCacheBehavior.TrustedSigners == nil {
		t.Errorf("the answer is not whole: %+v", full)
	}
	if legacy := b.Snapshot().Distributions[0].DistributionConfig.CacheBehaviors.Items[0]; *legacy.MaxTTL != 31536000 {
		t.Error("the legacy behavior has no TTL")
	}
	if *full.Origins.Items[0].CustomHeaders.Items[0].HeaderValue != "hush" || *full.Origins.Items[0].OriginAccessControlId != control {
		t.Error("the origin lost its header or its access control")
	}

	// A configuration as it was answered can be sent back.
	full.Enabled = aws.Bool(false)
	full.DefaultRootObject = aws.String("index.html")
	up := must[*sdk.UpdateDistributionOutput](t)(c.UpdateDistribution(ctx, &sdk.UpdateDistributionInput{Id: &id, IfMatch: conf.ETag, DistributionConfig: full}))
	if *up.Distribution.DistributionConfig.Enabled || *up.Distribution.DistributionConfig.DefaultRootObject != "index.html" || *up.ETag == *made.ETag ||
		*up.Distribution.DomainName != *d.DomainName || *up.Distribution.Status != "InProgress" {
		t.Errorf("updated to %+v", up.Distribution)
	}
	if v := *up.Distribution.DistributionConfig.Origins.Items[0].CustomHeaders.Items[0].HeaderValue; v != "hush" {
		t.Errorf("the header became %q", v)
	}

	list := must[*sdk.ListDistributionsOutput](t)(c.ListDistributions(ctx, &sdk.ListDistributionsInput{})).DistributionList
	if *list.Quantity != 1 || *list.IsTruncated || *list.Marker != "" || *list.MaxItems != 100 {
		t.Errorf("listed %+v", list)
	}
	s := list.Items[0]
	if *s.Id != id || *s.ARN != *d.ARN || *s.DomainName != *d.DomainName || *s.Status != "Deployed" || *s.Enabled || s.Aliases.Items[0] != "files.example.com" || s.OriginGroups == nil || *s.ETag != *up.ETag {
		t.Errorf("listed %+v", s)
	}

	gone := must[*sdk.DeleteDistributionOutput](t)(c.DeleteDistribution(ctx, &sdk.DeleteDistributionInput{Id: &id, IfMatch: up.ETag}))
	if got := status(t, gone.ResultMetadata); got != 204 {
		t.Errorf("delete answers %d", got)
	}
	if n := len(b.Snapshot().Distributions); n != 0 {
		t.Errorf("%d distributions are left", n)
	}
}

func TestWaitForDeployed(t *testing.T) {
	b := newBed(t)
	c := client(t, b.Service)
	id := b.distribute(t, config("ref")).Distribution.Id
	w := sdk.NewDistributionDeployedWaiter(c)
	if err := w.Wait(t.Context(), &sdk.GetDistributionInput{Id: &id}, 5*time.Second); err != nil {
		t.Error(err)
	}
}

func TestPages(t *testing.T) {
	b := newBed(t)
	c, ctx := client(t, b.Service), t.Context()
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		b.distribute(t, config(name))
		b.control(t, name)
		k := b.key(t, name).PublicKey.Id
		b.group(t, name, k)
	}
	var ids []string
	pages := 0
	for p := sdk.NewListDistributionsPaginator(c, &sdk.ListDistributionsInput{MaxItems: aws.Int32(2)}); p.HasMorePages(); pages++ {
		list := must[*sdk.ListDistributionsOutput](t)(p.NextPage(ctx)).DistributionList
		if *list.MaxItems != 2 || int(*list.Quantity) != len(list.Items) || *list.IsTruncated != (list.NextMarker != nil) {
			t.Errorf("page %+v", list)
		}
		for _, d := range list.Items {
			ids = append(ids, *d.Id)
		}
	}
	if pages != 3 || len(ids) != 5 {
		t.Errorf("%d pages with %v", pages, ids)
	}
	for i := 1; i < len(ids); i++ {
		if ids[i] <= ids[i-1] {
			t.Errorf("not in order: %v", ids)
		}
	}
	marker, n := (*string)(nil), 0
	for {
		list := must[*sdk.ListPublicKeysOutput](t)(c.ListPublicKeys(ctx, &sdk.ListPublicKeysInput{MaxItems: aws.Int32(3), Marker: marker})).PublicKeyList
		n += len(list.Items)
		if marker = list.NextMarker; marker == nil {
			break
		}
	}
	if n != 5 {
		t.Errorf("%d public keys on the pages", n)
	}
	groups := must[*sdk.ListKeyGroupsOutput](t)(c.ListKeyGroups(ctx, &sdk.ListKeyGroupsInput{MaxItems: aws.Int32(1000)})).KeyGroupList
	if len(groups.Items) != 5 || *groups.MaxItems != 100 || groups.NextMarker != nil {
		t.Errorf("key groups %+v", groups)
	}
	controls := must[*sdk.ListOriginAccessControlsOutput](t)(c.ListOriginAccessControls(ctx, &sdk.ListOriginAccessControlsInput{MaxItems: aws.Int32(5)})).OriginAccessControlList
	if len(controls.Items) != 5 || *controls.IsTruncated || controls.NextMarker != nil {
		t.Errorf("origin access controls %+v", controls)
	}
	_, err := b.ListDistributions(ctx, owner, ListDistributionsInput{MaxItems: "many"})
	refused(t, err, "InvalidArgument", 400, "MaxItems")
	_, err = b.ListPublicKeys(ctx, owner, ListPublicKeysInput{MaxItems: "0"})
	refused(t, err, "InvalidArgument", 400, "MaxItems")
	_, err = b.ListKeyGroups(ctx, owner, ListKeyGroupsInput{MaxItems: "-1"})
	refused(t, err, "InvalidArgument", 400, "MaxItems")
	_, err = b.ListOriginAccessControls(ctx, owner, ListOriginAccessControlsInput{MaxItems: "1.5"})
	refused(t, err, "InvalidArgument", 400, "MaxItems")
}

// wireRefusal is an SDK error's status, code and text.
func wireRefusal(err error) (status int, code, text string) {
	var api smithy.APIError
	var response *smithyhttp.ResponseError
	if errors.As(err, &api) {
		code, text = api.ErrorCode(), api.ErrorMessage()
	}
	if errors.As(err, &response) {
		status = response.HTTPStatusCode()
	}
	return status, code, text
}
