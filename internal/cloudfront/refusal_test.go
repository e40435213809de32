package cloudfront

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/cloudfront"
	"github.com/aws/aws-sdk-go-v2/service/cloudfront/types"

	"postern/internal/awsapi/awsapitest"
	"postern/internal/cloudfront/document"
	"postern/internal/policy"
	"postern/internal/sigv4"
)

func TestStrangersAreRefusedEveryOperation(t *testing.T) {
	b := newBed(t)
	b.group(t, "g", b.key(t, "k").PublicKey.Id)
	before := b.Snapshot()
	awsapitest.Strangers(t, b.Table())
	if after := b.Snapshot(); after.Revision != before.Revision {
		t.Error("a stranger wrote something")
	}
}

// The edge's own principal may read objects, not documents.
func TestEdgeMayNotReadDocuments(t *testing.T) {
	b := newBed(t)
	_, err := b.ListPublicKeys(t.Context(), policy.EdgeCaller("arn:aws:cloudfront::"+account+":distribution/E1"), ListPublicKeysInput{})
	if err == nil {
		t.Error("the edge lists public keys")
	}
}

func TestRefusalsOverTheWire(t *testing.T) {
	b := newBed(t)
	c := client(t, b.Service)
	key, other := b.key(t, "key"), b.key(t, "other")
	group := b.group(t, "group", key.PublicKey.Id)
	control, free := b.control(t, "control"), b.control(t, "free")
	cfg := config("dist", group.KeyGroup.Id)
	cfg.Aliases.Items = []string{"files.example.com"}
	cfg.Origins.Items[0].OriginAccessControlId = control.OriginAccessControl.Id
	dist := b.distribute(t, document.Counted(cfg))
	missing := aws.String("EMISSING000000")
	stale := aws.String("ESTALE00000000")

	keyConfig := func(edit func(*types.PublicKeyConfig)) *types.PublicKeyConfig {
		c := &types.PublicKeyConfig{CallerReference: aws.String("new"), Name: aws.String("new"), EncodedKey: aws.String(rsaPEM())}
		edit(c)
		return c
	}
	same := func(edit func(*types.PublicKeyConfig)) *types.PublicKeyConfig {
		c := key.PublicKey.PublicKeyConfig
		out := &types.PublicKeyConfig{CallerReference: &c.CallerReference, Name: &c.Name, EncodedKey: &c.EncodedKey}
		edit(out)
		return out
	}
	groupConfig := func(name string, keys ...string) *types.KeyGroupConfig {
		return &types.KeyGroupConfig{Name: &name, Items: append([]string{}, keys...)} // nil would not leave the SDK
	}
	oac := func(edit func(*types.OriginAccessControlConfig)) *types.OriginAccessControlConfig {
		c := &types.OriginAccessControlConfig{Name: aws.String("new"), SigningProtocol: "sigv4", SigningBehavior: "always", OriginAccessControlOriginType: "s3"}
		edit(c)
		return c
	}
	asIs := func(*types.OriginAccessControlConfig) {}
	distConfig := func(edit func(*types.DistributionConfig)) *types.DistributionConfig {
		c := sdkConfig("new")
		edit(c)
		return c
	}
	createKey := func(edit func(*types.PublicKeyConfig)) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := c.CreatePublicKey(ctx, &sdk.CreatePublicKeyInput{PublicKeyConfig: keyConfig(edit)})
			return err
		}
	}
	updateKey := func(id, ifMatch *string, edit func(*types.PublicKeyConfig)) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := c.UpdatePublicKey(ctx, &sdk.UpdatePublicKeyInput{Id: id, IfMatch: ifMatch, PublicKeyConfig: same(edit)})
			return err
		}
	}
	deleteKey := func(id, ifMatch *string) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := c.DeletePublicKey(ctx, &sdk.DeletePublicKeyInput{Id: id, IfMatch: ifMatch})
			return err
		}
	}
	createGroup := func(g *types.KeyGroupConfig) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := c.CreateKeyGroup(ctx, &sdk.CreateKeyGroupInput{KeyGroupConfig: g})
			return err
		}
	}
	updateGroup := func(id, ifMatch *string, g *types.KeyGroupConfig) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := c.UpdateKeyGroup(ctx, &sdk.UpdateKeyGroupInput{Id: id, IfMatch: ifMatch, KeyGroupConfig: g})
			return err
		}
	}
	deleteGroup := func(id, ifMatch *string) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := c.DeleteKeyGroup(ctx, &sdk.DeleteKeyGroupInput{Id: id, IfMatch: ifMatch})
			return err
		}
	}
	createControl := func(edit func(*types.OriginAccessControlConfig)) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := c.CreateOriginAccessControl(ctx, &sdk.CreateOriginAccessControlInput{OriginAccessControlConfig: oac(edit)})
			return err
		}
	}
	updateControl := func(id, ifMatch *string, edit func(*types.OriginAccessControlConfig)) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := c.UpdateOriginAccessControl(ctx, &sdk.UpdateOriginAccessControlInput{Id: id, IfMatch: ifMatch, OriginAccessControlConfig: oac(edit)})
			return err
		}
	}
	deleteControl := func(id, ifMatch *string) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := c.DeleteOriginAccessControl(ctx, &sdk.DeleteOriginAccessControlInput{Id: id, IfMatch: ifMatch})
			return err
		}
	}
	createDist := func(edit func(*types.DistributionConfig)) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := c.CreateDistribution(ctx, &sdk.CreateDistributionInput{DistributionConfig: distConfig(edit)})
			return err
		}
	}
	updateDist := func(id, ifMatch *string, edit func(*types.DistributionConfig)) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := c.UpdateDistribution(ctx, &sdk.UpdateDistributionInput{Id: id, IfMatch: ifMatch, DistributionConfig: distConfig(edit)})
			return err
		}
	}
	deleteDist := func(id, ifMatch *string) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := c.DeleteDistribution(ctx, &sdk.DeleteDistributionInput{Id: id, IfMatch: ifMatch})
			return err
		}
	}
	behavior := func(edit func(*types.DefaultCacheBehavior)) func(*types.DistributionConfig) {
		return func(c *types.DistributionConfig) { edit(c.DefaultCacheBehavior) }
	}
	origin := func(edit func(*types.Origin)) func(*types.DistributionConfig) {
		return func(c *types.DistributionConfig) { edit(&c.Origins.Items[0]) }
	}
	const (
		noMatch = "The If-Match version is missing or not valid for the resource."
		failed  = "The request failed because it didn't meet the preconditions in one or more request-header fields."
	)
	for _, r := range []struct {
		name   string
		call   func(context.Context) error
		status int
		code   string
		says   string
	}{
		{"key: not PEM", createKey(func(c *types.PublicKeyConfig) { c.EncodedKey = aws.String("x") }), 400, "InvalidArgument", "empty/invalid/out of limits RSA Encoded Key"},
		{"key: no name", createKey(func(c *types.PublicKeyConfig) { c.Name = aws.String("") }), 400, "InvalidArgument", "Name"},
		{"key: reference is taken", createKey(func(c *types.PublicKeyConfig) { c.CallerReference = aws.String("key") }), 409, "PublicKeyAlreadyExists", "caller reference"},
		{"key: the very same again", func(ctx context.Context) error {
			_, err := c.CreatePublicKey(ctx, &sdk.CreatePublicKeyInput{PublicKeyConfig: same(func(*types.PublicKeyConfig) {})})
			return err
		}, 409, "PublicKeyAlreadyExists", "Already exists: " + key.PublicKey.Id},
		{"key: name is taken", createKey(func(c *types.PublicKeyConfig) { c.Name = aws.String("key") }), 409, "PublicKeyAlreadyExists", "The name that you are using to create a CloudFront public key"},
		{"get key: missing", func(ctx context.Context) error {
			_, err := c.GetPublicKey(ctx, &sdk.GetPublicKeyInput{Id: missing})
			return err
		}, 404, "NoSuchPublicKey", "does not exist"},
		{"get key config: missing", func(ctx context.Context) error {
			_, err := c.GetPublicKeyConfig(ctx, &sdk.GetPublicKeyConfigInput{Id: missing})
			return err
		}, 404, "NoSuchPublicKey", "does not exist"},
		{"update key: missing", updateKey(missing, stale, func(*types.PublicKeyConfig) {}), 404, "NoSuchPublicKey", "does not exist"},
		{"update key: no If-Match", updateKey(&key.PublicKey.Id, nil, func(*types.PublicKeyConfig) {}), 400, "InvalidIfMatchVersion", noMatch},
		{"update key: stale", updateKey(&key.PublicKey.Id, stale, func(*types.PublicKeyConfig) {}), 412, "PreconditionFailed", failed},
		{"update key: another name", updateKey(&key.PublicKey.Id, &key.ETag, func(c *types.PublicKeyConfig) { c.Name = aws.String("n") }), 400, "CannotChangeImmutablePublicKeyFields", "can't change"},
		{"update key: another key", updateKey(&key.PublicKey.Id, &key.ETag, func(c *types.PublicKeyConfig) { c.EncodedKey = aws.String(rsaPEM()) }), 400, "CannotChangeImmutablePublicKeyFields", "can't change"},
		{"update key: another reference", updateKey(&key.PublicKey.Id, &key.ETag, func(c *types.PublicKeyConfig) { c.CallerReference = aws.String("r") }), 400, "CannotChangeImmutablePublicKeyFields", "can't change"},
		{"update key: long comment", updateKey(&key.PublicKey.Id, &key.ETag, func(c *types.PublicKeyConfig) { c.Comment = aws.String(strings.Repeat("x", 129)) }), 400, "InvalidArgument", "Comment"},
		{"delete key: missing", deleteKey(missing, stale), 404, "NoSuchPublicKey", "does not exist"},
		{"delete key: no If-Match", deleteKey(&other.PublicKey.Id, nil), 400, "InvalidIfMatchVersion", noMatch},
		{"delete key: stale", deleteKey(&other.PublicKey.Id, stale), 412, "PreconditionFailed", failed},
		{"delete key: in a group", deleteKey(&key.PublicKey.Id, &key.ETag), 409, "PublicKeyInUse", group.KeyGroup.Id},

		{"group: no keys", createGroup(groupConfig("g")), 400, "InvalidArgument", "Items"},
		{"group: unknown key", createGroup(groupConfig("g", key.PublicKey.Id, "KUNKNOWN")), 400, "InvalidArgument", "KUNKNOWN"},
		{"group: six keys", createGroup(groupConfig("g", "1", "2", "3", "4", "5", "6")), 400, "TooManyPublicKeysInKeyGroup", "5 at most"},
		{"group: name is taken", createGroup(groupConfig("group", key.PublicKey.Id)), 409, "KeyGroupAlreadyExists", group.KeyGroup.Id},
		{"get group: missing", func(ctx context.Context) error {
			_, err := c.GetKeyGroup(ctx, &sdk.GetKeyGroupInput{Id: missing})
			return err
		}, 404, "NoSuchResource", "does not exist"},
		{"get group config: missing", func(ctx context.Context) error {
			_, err := c.GetKeyGroupConfig(ctx, &sdk.GetKeyGroupConfigInput{Id: missing})
			return err
		}, 404, "NoSuchResource", "does not exist"},
		{"update group: missing", updateGroup(missing, stale, groupConfig("g", key.PublicKey.Id)), 404, "NoSuchResource", "does not exist"},
		{"update group: no If-Match", updateGroup(&group.KeyGroup.Id, nil, groupConfig("g", key.PublicKey.Id)), 400, "InvalidIfMatchVersion", noMatch},
		{"update group: stale", updateGroup(&group.KeyGroup.Id, stale, groupConfig("g", key.PublicKey.Id)), 412, "PreconditionFailed", failed},
		{"update group: unknown key", updateGroup(&group.KeyGroup.Id, &group.ETag, groupConfig("g", "KUNKNOWN")), 400, "InvalidArgument", "KUNKNOWN"},
		{"update group: six keys", updateGroup(&group.KeyGroup.Id, &group.ETag, groupConfig("g", "1", "2", "3", "4", "5", "6")), 400, "TooManyPublicKeysInKeyGroup", "5 at most"},
		{"delete group: missing", deleteGroup(missing, stale), 404, "NoSuchResource", "does not exist"},
		{"delete group: no If-Match", deleteGroup(&group.KeyGroup.Id, nil), 400, "InvalidIfMatchVersion", noMatch},
		{"delete group: stale", deleteGroup(&group.KeyGroup.Id, stale), 412, "PreconditionFailed", failed},
		{"delete group: trusted", deleteGroup(&group.KeyGroup.Id, &group.ETag), 409, "ResourceInUse", dist.Distribution.Id},

		{"OAC: behavior", createControl(func(c *types.OriginAccessControlConfig) { c.SigningBehavior = "sometimes" }), 400, "InvalidArgument", "SigningBehavior"},
		{"OAC: name is taken", createControl(func(c *types.OriginAccessControlConfig) { c.Name = aws.String("control") }), 409, "OriginAccessControlAlreadyExists", control.OriginAccessControl.Id},
		{"get OAC: missing", func(ctx context.Context) error {
			_, err := c.GetOriginAccessControl(ctx, &sdk.GetOriginAccessControlInput{Id: missing})
			return err
		}, 404, "NoSuchOriginAccessControl", "does not exist"},
		{"get OAC config: missing", func(ctx context.Context) error {
			_, err := c.GetOriginAccessControlConfig(ctx, &sdk.GetOriginAccessControlConfigInput{Id: missing})
			return err
		}, 404, "NoSuchOriginAccessControl", "does not exist"},
		{"update OAC: missing", updateControl(missing, stale, asIs), 404, "NoSuchOriginAccessControl", "does not exist"},
		{"update OAC: no If-Match", updateControl(&free.OriginAccessControl.Id, nil, asIs), 400, "InvalidIfMatchVersion", noMatch},
		{"update OAC: stale", updateControl(&free.OriginAccessControl.Id, stale, asIs), 412, "PreconditionFailed", failed},
		{"update OAC: name is taken", updateControl(&free.OriginAccessControl.Id, &free.ETag, func(c *types.OriginAccessControlConfig) { c.Name = aws.String("control") }), 409, "OriginAccessControlAlreadyExists", "name"},
		{"update OAC: a used one to never", updateControl(&control.OriginAccessControl.Id, &control.ETag, func(c *types.OriginAccessControlConfig) { c.SigningBehavior = "never" }), 400, "IllegalUpdate", dist.Distribution.Id},
		{"update OAC: a used one to lambda", updateControl(&control.OriginAccessControl.Id, &control.ETag, func(c *types.OriginAccessControlConfig) { c.OriginAccessControlOriginType = "lambda" }), 400, "IllegalUpdate", "S3 origins only"},
		{"delete OAC: missing", deleteControl(missing, stale), 404, "NoSuchOriginAccessControl", "does not exist"},
		{"delete OAC: no If-Match", deleteControl(&free.OriginAccessControl.Id, nil), 400, "InvalidIfMatchVersion", noMatch},
		{"delete OAC: stale", deleteControl(&free.OriginAccessControl.Id, stale), 412, "PreconditionFailed", failed},
		{"delete OAC: used", deleteControl(&control.OriginAccessControl.Id, &control.ETag), 409, "OriginAccessControlInUse", dist.Distribution.Id},

		{"distribution: reference is taken", createDist(func(c *types.DistributionConfig) { c.CallerReference = aws.String("dist") }), 409, "DistributionAlreadyExists",
			"The caller reference that you are using to create a distribution is associated with another distribution. Already exists: " + dist.Distribution.Id},
		{"distribution: alias is taken", createDist(func(c *types.DistributionConfig) {
			c.Aliases = &types.Aliases{Quantity: aws.Int32(1), Items: []string{"FILES.example.com"}}
		}), 409, "CNAMEAlreadyExists", "already associated with a different resource"},
		{"distribution: quantities", createDist(func(c *types.DistributionConfig) { c.Origins.Quantity = aws.Int32(2) }), 400, "InconsistentQuantities", "Origins"},
		{"distribution: unknown target", createDist(behavior(func(b *types.DefaultCacheBehavior) { b.TargetOriginId = aws.String("other") })), 404, "NoSuchOrigin", "other"},
		{"distribution: unknown group", createDist(behavior(func(b *types.DefaultCacheBehavior) { b.TrustedKeyGroups = trust("nope") })), 400, "TrustedKeyGroupDoesNotExist", "nope"},
		{"distribution: unknown group of a behavior", createDist(func(c *types.DistributionConfig) {
			c.CacheBehaviors = &types.CacheBehaviors{Quantity: aws.Int32(1), Items: []types.CacheBehavior{{PathPattern: aws.String("/a"), TargetOriginId: aws.String("bucket"),
				ViewerProtocolPolicy: "allow-all", CachePolicyId: aws.String("x"), TrustedKeyGroups: trust("nope")}}}
		}), 400, "TrustedKeyGroupDoesNotExist", "nope"},
		{"distribution: five groups", createDist(behavior(func(b *types.DefaultCacheBehavior) { b.TrustedKeyGroups = trust("1", "2", "3", "4", "5") })), 400, "TooManyKeyGroupsAssociatedToDistribution", "4 at most"},
		{"distribution: unknown OAC", createDist(origin(func(o *types.Origin) { o.OriginAccessControlId = aws.String("ENOPE") })), 400, "InvalidOriginAccessControl", "ENOPE"},
		{"get distribution: missing", func(ctx context.Context) error {
			_, err := c.GetDistribution(ctx, &sdk.GetDistributionInput{Id: missing})
			return err
		}, 404, "NoSuchDistribution", "The specified distribution does not exist."},
		{"get distribution config: missing", func(ctx context.Context) error {
			_, err := c.GetDistributionConfig(ctx, &sdk.GetDistributionConfigInput{Id: missing})
			return err
		}, 404, "NoSuchDistribution", "The specified distribution does not exist."},
		{"update distribution: missing", updateDist(missing, stale, func(*types.DistributionConfig) {}), 404, "NoSuchDistribution", "does not exist"},
		{"update distribution: no If-Match", updateDist(&dist.Distribution.Id, nil, func(*types.DistributionConfig) {}), 400, "InvalidIfMatchVersion", noMatch},
		{"update distribution: stale", updateDist(&dist.Distribution.Id, stale, func(*types.DistributionConfig) {}), 412, "PreconditionFailed", failed},
		{"update distribution: another reference", updateDist(&dist.Distribution.Id, &dist.ETag, func(*types.DistributionConfig) {}), 400, "IllegalUpdate", "CallerReference"},
		{"update distribution: unknown group", updateDist(&dist.Distribution.Id, &dist.ETag, func(c *types.DistributionConfig) {
			c.CallerReference = aws.String("dist")
			c.DefaultCacheBehavior.TrustedKeyGroups = trust("nope")
		}), 400, "TrustedKeyGroupDoesNotExist", "nope"},
		{"update distribution: a firewall", updateDist(&dist.Distribution.Id, &dist.ETag, func(c *types.DistributionConfig) {
			c.CallerReference = aws.String("dist")
			c.WebACLId = aws.String("arn:x")
		}), 400, "InvalidWebACLId", "firewall"},
		{"delete distribution: missing", deleteDist(missing, stale), 404, "NoSuchDistribution", "does not exist"},
		{"delete distribution: no If-Match", deleteDist(&dist.Distribution.Id, nil), 400, "InvalidIfMatchVersion", noMatch},
		{"delete distribution: stale", deleteDist(&dist.Distribution.Id, stale), 412, "PreconditionFailed", failed},
		{"delete distribution: enabled", deleteDist(&dist.Distribution.Id, &dist.ETag), 409, "DistributionNotDisabled", "The distribution you are trying to delete has not been disabled."},
	} {
		t.Run(r.name, func(t *testing.T) {
			before := b.Snapshot().Revision
			status, code, text := wireRefusal(r.call(t.Context()))
			if status != r.status || code != r.code || !strings.Contains(text, r.says) {
				t.Errorf("got %d %s %q, want %d %s saying %q", status, code, text, r.status, r.code, r.says)
			}
			if b.Snapshot().Revision != before {
				t.Error("a refused request wrote something")
			}
		})
	}
}

// What the edge cannot enforce is refused, and the refusal says so: the engine takes the document's own
// types here, since the SDK does not let everything through.
func TestWhatTheEdgeCannotEnforceIsRefused(t *testing.T) {
	b := newBed(t)
	never := controlConfig("never")
	never.SigningBehavior = "never"
	noOverride := controlConfig("no-override")
	noOverride.SigningBehavior = "no-override"
	lambda := controlConfig("lambda")
	lambda.OriginAccessControlOriginType = "lambda"
	ids := map[string]string{}
	for _, c := range []document.OriginAccessControlConfig{never, noOverride, lambda, controlConfig("always")} {
		out, err := b.CreateOriginAccessControl(t.Context(), owner, CreateOriginAccessControlInput{c})
		if err != nil {
			t.Fatal(err)
		}
		ids[c.Name] = out.OriginAccessControl.Id
	}
	web := &document.CustomOriginConfig{HTTPPort: 80, HTTPSPort: 443, OriginProtocolPolicy: "http-only"}
	type doc = document.DistributionConfig
	behavior := func(edit func(*document.DefaultCacheBehavior)) func(*doc) {
		return func(c *doc) { edit(&c.DefaultCacheBehavior) }
	}
	origin := func(edit func(*document.Origin)) func(*doc) {
		return func(c *doc) { edit(&c.Origins.Items[0]) }
	}
	for _, r := range []struct {
		name   string
		edit   func(*doc)
		code   string
		status int
	}{
		{"firewall", func(c *doc) { c.WebACLId = "arn:x" }, "InvalidWebACLId", 400},
		{"countries", func(c *doc) {
			c.Restrictions.GeoRestriction = document.GeoRestriction{RestrictionType: "whitelist", Items: []string{"KR"}}
		}, "InvalidGeoRestrictionParameter", 400},
		{"staging", func(c *doc) { c.Staging = true }, "InvalidArgument", 400},
		{"continuous deployment", func(c *doc) { c.ContinuousDeploymentPolicyId = "x" }, "NoSuchContinuousDeploymentPolicy", 404},
		{"anycast", func(c *doc) { c.AnycastIpListId = "x" }, "EntityNotFound", 404},
		{"tenants", func(c *doc) { c.TenantConfig = &document.TenantConfig{} }, "InvalidArgument", 400},
		{"tenants only", func(c *doc) { c.ConnectionMode = "tenant-only" }, "InvalidArgument", 400},
		{"viewer certificates", func(c *doc) { c.ViewerMtlsConfig = &document.ViewerMtlsConfig{Mode: "required"} }, "InvalidArgument", 400},
		{"connection function", func(c *doc) { c.ConnectionFunctionAssociation = &document.ConnectionFunctionAssociation{Id: "x"} }, "EntityNotFound", 404},
		{"failover", func(c *doc) { c.OriginGroups.Items = []document.OriginGroup{{Id: "g"}} }, "InvalidArgument", 400},
		{"VPC origin", origin(func(o *document.Origin) {
			o.S3OriginConfig, o.VpcOriginConfig = nil, &document.VpcOriginConfig{VpcOriginId: "x"}
		}), "EntityNotFound", 404},
		{"access identity", origin(func(o *document.Origin) {
			o.S3OriginConfig.OriginAccessIdentity = "origin-access-identity/cloudfront/E1"
		}), "InvalidOriginAccessIdentity", 400},
		{"certificate for origins", origin(func(o *document.Origin) {
			o.S3OriginConfig, o.CustomOriginConfig = nil, web
			o.CustomOriginConfig.OriginMtlsConfig = &document.OriginMtlsConfig{ClientCertificateArn: "x"}
		}), "InvalidArgument", 400},
		{"signing for a web server", origin(func(o *document.Origin) {
			plain := *web
			plain.OriginMtlsConfig = nil
			o.S3OriginConfig, o.CustomOriginConfig = nil, &plain
			o.OriginAccessControlId = ids["always"]
		}), "InvalidOriginAccessControl", 400},
		{"an OAC that never signs", origin(func(o *document.Origin) { o.OriginAccessControlId = ids["never"] }), "InvalidOriginAccessControl", 400},
		{"an OAC that gives way", origin(func(o *document.Origin) { o.OriginAccessControlId = ids["no-override"] }), "InvalidOriginAccessControl", 400},
		{"an OAC for Lambda", origin(func(o *document.Origin) { o.OriginAccessControlId = ids["lambda"] }), "InvalidOriginAccessControl", 400},
		{"trusted signers", behavior(func(b *document.DefaultCacheBehavior) {
			b.TrustedSigners = document.TrustedSigners{Enabled: true, Items: []string{"self"}}
		}), "TrustedSignerDoesNotExist", 400},
		{"trusted signers, not enabled", behavior(func(b *document.DefaultCacheBehavior) { b.TrustedSigners.Items = []string{"self"} }), "TrustedSignerDoesNotExist", 400},
		{"trusted signers, enabled and none", behavior(func(b *document.DefaultCacheBehavior) { b.TrustedSigners.Enabled = true }), "TrustedSignerDoesNotExist", 400},
		{"Lambda@Edge", behavior(func(b *document.DefaultCacheBehavior) {
			b.LambdaFunctionAssociations.Items = []document.LambdaFunctionAssociation{{LambdaFunctionARN: "x", EventType: "viewer-request"}}
		}), "InvalidLambdaFunctionAssociation", 400},
		{"a function", behavior(func(b *document.DefaultCacheBehavior) {
			b.FunctionAssociations.Items = []document.FunctionAssociation{{FunctionARN: "x", EventType: "viewer-request"}}
		}), "InvalidFunctionAssociation", 400},
		{"field-level encryption", behavior(func(b *document.DefaultCacheBehavior) { b.FieldLevelEncryptionId = "x" }), "NoSuchFieldLevelEncryptionConfig", 404},
		{"real-time logs", behavior(func(b *document.DefaultCacheBehavior) { b.RealtimeLogConfigArn = "x" }), "NoSuchRealtimeLogConfig", 404},
		{"response headers", behavior(func(b *document.DefaultCacheBehavior) { b.ResponseHeadersPolicyId = "x" }), "NoSuchResponseHeadersPolicy", 404},
		{"Smooth Streaming", behavior(func(b *document.DefaultCacheBehavior) { b.SmoothStreaming = true }), "InvalidArgument", 400},
		{"gRPC", behavior(func(b *document.DefaultCacheBehavior) { b.GrpcConfig.Enabled = true }), "InvalidArgument", 400},
	} {
		t.Run(r.name, func(t *testing.T) {
			c := config(r.name)
			r.edit(&c)
			_, err := b.CreateDistribution(t.Context(), owner, CreateDistributionInput{document.Counted(c)})
			refused(t, err, r.code, r.status, "Postern")
			// The same in a behavior that is not the default one.
			second := config(r.name)
			second.CacheBehaviors.Items = []document.CacheBehavior{{PathPattern: "/a/*", DefaultCacheBehavior: c.DefaultCacheBehavior}}
			_, err = b.CreateDistribution(t.Context(), owner, CreateDistributionInput{document.Counted(second)})
			if plain := config(r.name).DefaultCacheBehavior; !equal(c.DefaultCacheBehavior, plain) {
				refused(t, err, r.code, r.status, "/a/*")
			}
		})
	}
	// What is stored as it is.
	c := config("harmless")
	c.Logging = document.LoggingConfig{Enabled: true, Bucket: "logs.s3.amazonaws.com"}
	c.PriceClass = "PriceClass_100"
	c.IsIPV6Enabled = true
	c.ViewerCertificate = document.ViewerCertificate{ACMCertificateArn: "arn:x", SSLSupportMethod: "sni-only", MinimumProtocolVersion: "TLSv1.2_2021"}
	c.Origins.Items[0].OriginAccessControlId = ids["always"]
	c.Origins.Items[0].OriginShield = document.OriginShield{Enabled: true, OriginShieldRegion: "us-east-1"}
	c.DefaultCacheBehavior.CachePolicyId = "some-policy"
	c.DefaultCacheBehavior.OriginRequestPolicyId = "another"
	c.ConnectionMode = "direct"
	b.distribute(t, c)
}

// The edge has the last word on what it can serve.
func TestTheEdgeIsAskedBeforeADistributionIsStored(t *testing.T) {
	b := newBed(t, func(c *Config) {
		c.Check = func(would Snapshot, id string) error {
			for _, d := range would.Distributions {
				if d.Id == id && strings.Contains(d.DistributionConfig.Comment, "bad") {
					return errors.New("it is bad")
				}
				if d.Id == id && d.DomainName == "" {
					t.Error("the edge is asked about half a distribution")
				}
			}
			return nil
		}
	})
	bad := config("bad")
	bad.Comment = "bad"
	_, err := b.CreateDistribution(t.Context(), owner, CreateDistributionInput{bad})
	refused(t, err, "InvalidArgument", 400, "it is bad")
	made := b.distribute(t, config("good"))
	bad.CallerReference = "good"
	_, err = b.UpdateDistribution(t.Context(), owner, UpdateDistributionInput{Id: made.Distribution.Id, IfMatch: made.ETag, DistributionConfig: bad})
	refused(t, err, "InvalidArgument", 400, "it is bad")
	if d := b.Snapshot().Distributions; len(d) != 1 || d[0].DistributionConfig.Comment != "" {
		t.Errorf("stored %+v", d)
	}
}

func equal(a, b document.DefaultCacheBehavior) bool {
	wrap := func(d document.DefaultCacheBehavior) document.DistributionConfig {
		return document.DistributionConfig{DefaultCacheBehavior: d}
	}
	return bytes.Equal(mustJSON(wrap(a)), mustJSON(wrap(b)))
}

func TestQuotas(t *testing.T) {
	b := newBed(t)
	var first string
	for i := range maxPublicKeys {
		k := b.key(t, string(rune('a'+i))).PublicKey.Id
		if i == 0 {
			first = k
		}
	}
	_, err := b.CreatePublicKey(t.Context(), owner, CreatePublicKeyInput{document.PublicKeyConfig{CallerReference: "more", Name: "more", EncodedKey: rsaPEM()}})
	refused(t, err, "TooManyPublicKeys", 400, "10")
	for i := range maxKeyGroups {
		b.group(t, string(rune('a'+i)), first)
	}
	_, err = b.CreateKeyGroup(t.Context(), owner, CreateKeyGroupInput{document.KeyGroupConfig{Name: "more", Items: []string{first}}})
	refused(t, err, "TooManyKeyGroups", 400, "10")
	for i := range maxControls {
		b.control(t, fmt.Sprint(i))
	}
	_, err = b.CreateOriginAccessControl(t.Context(), owner, CreateOriginAccessControlInput{controlConfig("more")})
	refused(t, err, "TooManyOriginAccessControls", 400, "100")
}

// post sends a signed request as no client would.
func post(t *testing.T, h http.Handler, secret, method, target, body string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	sum := sha256.Sum256([]byte(body))
	if err := sigv4.Sign(r, sigv4.Credentials{AccessKeyID: "AKIAOWNER", Secret: []byte(secret)}, "us-east-1", "cloudfront", hex.EncodeToString(sum[:]), time.Now()); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestWhatIsNotUnderstoodIsRefusedAtOnce(t *testing.T) {
	b := newBed(t)
	secret := rand.Text()
	h := handler(t, b.Service, secret)
	const key = `<PublicKeyConfig xmlns="http://cloudfront.amazonaws.com/doc/2020-05-31/"><CallerReference>r</CallerReference>%s<Name>n</Name><EncodedKey>x</EncodedKey></PublicKeyConfig>`
	for _, r := range []struct{ name, method, target, body, says string }{
		{"an unknown element", "POST", "/2020-05-31/public-key", strings.ReplaceAll(key, "%s", "<Secret>1</Secret>"), "<Code>MalformedXML</Code>"},
		{"no body", "POST", "/2020-05-31/public-key", "", "Body"},
		{"another root", "POST", "/2020-05-31/key-group", strings.ReplaceAll(key, "%s", ""), "<Code>MalformedXML</Code>"},
		{"with tags", "POST", "/2020-05-31/distribution?WithTags", "<DistributionConfigWithTags/>", "<Code>"},
		{"an operation there is not", "GET", "/2020-05-31/cache-policy", "", "<Code>"},
		{"a method there is not", "PATCH", "/2020-05-31/distribution", "", "<Code>"},
	} {
		t.Run(r.name, func(t *testing.T) {
			w := post(t, h, secret, r.method, r.target, r.body)
			body, _ := io.ReadAll(w.Result().Body)
			if w.Code < 400 || w.Code > 499 || !strings.Contains(string(body), r.says) || !strings.Contains(string(body), "<ErrorResponse") {
				t.Errorf("%d %s", w.Code, body)
			}
		})
	}
	w := post(t, h, secret, "GET", "/2020-05-31/distribution/EMISSING", "")
	if want := `<ErrorResponse xmlns="http://cloudfront.amazonaws.com/doc/2020-05-31/"><Error><Type>Sender</Type><Code>NoSuchDistribution</Code><Message>The specified distribution does not exist.</Message></Error><RequestId>`; w.Code != 404 || !strings.Contains(w.Body.String(), want) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestAudit(t *testing.T) {
	b := newBed(t)
	key := b.key(t, "k")
	cfg := config("ref", b.group(t, "g", key.PublicKey.Id).KeyGroup.Id)
	cfg.Origins.Items[0].CustomHeaders.Items = []document.OriginCustomHeader{{HeaderName: "X-Secret", HeaderValue: "hush-hush"}}
	d := b.distribute(t, document.Counted(cfg))
	_, err := b.DeletePublicKey(t.Context(), owner, DeletePublicKeyInput{Id: key.PublicKey.Id, IfMatch: key.ETag})
	refused(t, err, "PublicKeyInUse", 409, "")
	_, err = b.GetDistribution(t.Context(), policy.Caller{}, GetDistributionInput{Id: d.Distribution.Id})
	if err == nil {
		t.Error("a stranger reads a distribution")
	}
	want := []struct{ name, resource, code string }{
		{"CreatePublicKey", "", ""},
		{"CreateKeyGroup", "", ""},
		{"CreateDistribution", "arn:aws:cloudfront::" + account + ":distribution/*", ""},
		{"DeletePublicKey", "arn:aws:cloudfront::" + account + ":public-key/" + key.PublicKey.Id, "PublicKeyInUse"},
		{"GetDistribution", d.Distribution.ARN, "AccessDenied"},
	}
	events := b.recorder.Events()
	if len(events) != len(want) {
		t.Fatalf("%d events: %+v", len(events), events)
	}
	for i, e := range events {
		resource := ""
		for _, r := range e.Resources {
			resource += r.ARN
		}
		if e.EventName != want[i].name || e.EventSource != "cloudfront.amazonaws.com" || e.ErrorCode != want[i].code || resource != want[i].resource {
			t.Errorf("event %d: %+v, want %+v", i, e, want[i])
		}
	}
	if text := string(mustJSON(events)); strings.Contains(text, "hush-hush") {
		t.Error("the audit log holds the value of a custom header")
	}

	// No line, no answer.
	b.recorder.Fail(errors.New("disk full"))
	if _, err := b.ListDistributions(t.Context(), owner, ListDistributionsInput{}); err == nil {
		t.Error("an operation that cannot be audited is answered")
	}
}
