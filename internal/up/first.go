package up

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"postern/internal/awsapi"
	"postern/internal/cloudfront"
	"postern/internal/cloudfront/document"
	"postern/internal/demo"
	"postern/internal/durable"
	"postern/internal/policy"
	"postern/internal/s3"
	"postern/internal/store"
	"postern/signed"
)

// The names of what the first start makes. Each step looks for its thing under its name before it makes
// it, so that a first start that was cut off anywhere is completed by the next.
const (
	rsaFile, ecdsaFile = "rsa.pem", "ecdsa.pem"
	rsaName, ecdsaName = "postern-rsa", "postern-ecdsa"
	groupName          = "postern"
	controlName        = "postern"
	callerReference    = "postern-first-start"
	// publicPattern is the one behaviour of the demo's distribution that needs no signature.
	publicPattern = "/public/*"
)

// pair is a key pair whose private half is on the disk.
type pair struct {
	private crypto.Signer
	public  *signed.Key
	pem     string // of the public half
}

// madePairs is the outcome of makePairs. A pair whose file was removed after the first start is nil.
type madePairs struct {
	rsa, ecdsa *pair
	err        error
}

// makePairs reads the demo's private keys, and makes those that are not there yet.
func makePairs(dir string) (m madePairs) {
	if m.err = durable.MkdirAll(dir, 0o700); m.err != nil {
		m.err = fmt.Errorf("making the folder for keys: %w", m.err)
		return m
	}
	m.ecdsa, m.err = makePair(filepath.Join(dir, ecdsaFile), func() (crypto.Signer, error) {
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	})
	if m.err == nil {
		m.rsa, m.err = makePair(filepath.Join(dir, rsaFile), func() (crypto.Signer, error) {
			return rsa.GenerateKey(rand.Reader, 2048)
		})
	}
	return m
}

func makePair(file string, generate func() (crypto.Signer, error)) (*pair, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		var private crypto.Signer
		if private, err = generate(); err != nil {
			return nil, fmt.Errorf("making a key pair: %w", err)
		}
		if text, err = signed.EncodePrivateKey(private); err != nil {
			return nil, fmt.Errorf("making a key pair: %w", err)
		}
		err = durable.CreateFile(file, text, 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("keeping a key pair: %w", err)
	}
	private, err := signed.ParsePrivateKey(text)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", file, err)
	}
	public, err := signed.NewKey(private.Public())
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", file, err)
	}
	pem, err := signed.EncodePublicKey(private.Public())
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", file, err)
	}
	return &pair{private: private, public: public, pem: string(pem)}, nil
}

// owner is who makes the demo: the account itself, through the same doors as everybody.
func (n *node) owner() policy.Caller {
	return policy.Caller{
		Kind: policy.Root, ARN: policy.RootARN(n.ours.Account), Account: n.ours.Account,
		SecureTransport: true, UserAgent: "postern up", RequestID: "first-start",
	}
}

// firstStart makes the demo, unless an earlier start has completed it; it says whether it did.
func (n *node) firstStart(ctx context.Context, made madePairs) (bool, error) {
	if n.ours.Done {
		return false, nil
	}
	ours := n.ours
	var err error
	steps := []struct {
		name string
		do   func() error
	}{
		{"the bucket", func() error { ours.Bucket, err = n.ensureBucket(ctx); return err }},
		{"the sample report", func() error {
			return n.ensureObject(ctx, ours.Bucket, demo.ReportKey, "application/pdf", demo.Report())
		}},
		{"the public object", func() error {
			return n.ensureObject(ctx, ours.Bucket, demo.PublicKey, "text/plain; charset=utf-8", demo.PublicText())
		}},
		{"the RSA key", func() error { ours.RSAKey, err = n.ensureKey(ctx, rsaName, made.rsa); return err }},
		{"the ECDSA key", func() error { ours.ECDSAKey, err = n.ensureKey(ctx, ecdsaName, made.ecdsa); return err }},
		{"the key group", func() error { ours.KeyGroup, err = n.ensureGroup(ctx, ours.RSAKey, ours.ECDSAKey); return err }},
		{"the distribution", func() error { ours.Distribution, err = n.ensureDistribution(ctx, ours); return err }},
	}
	for _, s := range steps {
		if err := s.do(); err != nil {
			return false, fmt.Errorf("making %s: %w", s.name, err)
		}
	}
	ours.Done = true
	value, err := ours.encode()
	if err != nil {
		return false, fmt.Errorf("encoding the installation: %w", err)
	}
	if _, err := n.store.Transact(ctx, store.Txn{Put: []store.Put{{Key: installationKey, Value: value}}}); err != nil {
		return false, fmt.Errorf("storing the installation: %w", err)
	}
	n.ours = ours
	return true, nil
}

func isCode(err error, codes ...string) bool {
	var e *awsapi.Error
	return errors.As(err, &e) && slices.Contains(codes, e.Code)
}

func (n *node) ensureBucket(ctx context.Context) (string, error) {
	name := "postern-" + n.ours.Account
	_, err := n.s3.CreateBucket(ctx, n.owner(), s3.CreateBucketInput{Bucket: name})
	if err != nil && !isCode(err, "BucketAlreadyOwnedByYou") {
		return "", err
	}
	return name, nil
}

func (n *node) ensureObject(ctx context.Context, bucket, key, contentType string, content []byte) error {
	in := s3.PutObjectInput{Bucket: bucket, Key: key, Body: bytes.NewReader(content), ContentLength: int64(len(content))}
	in.ContentType = contentType
	in.IfNoneMatch = "*" // whatever is there stays
	_, err := n.s3.PutObject(ctx, n.owner(), in)
	if isCode(err, "PreconditionFailed") {
		return nil
	}
	return err
}

func (n *node) ensureKey(ctx context.Context, name string, p *pair) (string, error) {
	for id, k := range n.cloudfront.Snapshot().PublicKeys {
		if k.PublicKeyConfig.Name == name {
			if k.PublicKeyConfig.EncodedKey != p.pem {
				return "", fmt.Errorf("the public key %s is not the one of the private key in the folder %s", id, keysDir)
			}
			return id, nil
		}
	}
	out, err := n.cloudfront.CreatePublicKey(ctx, n.owner(), cloudfront.CreatePublicKeyInput{PublicKeyConfig: document.PublicKeyConfig{
		CallerReference: callerReference + "-" + name, Name: name, EncodedKey: p.pem, Comment: "Made by the first start.",
	}})
	return out.PublicKey.Id, err
}

func (n *node) ensureGroup(ctx context.Context, keys ...string) (string, error) {
	for id, g := range n.cloudfront.Snapshot().KeyGroups {
		if g.KeyGroupConfig.Name == groupName {
			return id, nil
		}
	}
	out, err := n.cloudfront.CreateKeyGroup(ctx, n.owner(), cloudfront.CreateKeyGroupInput{KeyGroupConfig: document.KeyGroupConfig{
		Name: groupName, Items: keys, Comment: "Made by the first start.",
	}})
	return out.KeyGroup.Id, err
}

func (n *node) ensureControl(ctx context.Context) (string, error) {
	for id, c := range n.cloudfront.Snapshot().OriginAccessControls {
		if c.OriginAccessControlConfig.Name == controlName {
			return id, nil
		}
	}
	out, err := n.cloudfront.CreateOriginAccessControl(ctx, n.owner(), cloudfront.CreateOriginAccessControlInput{
		OriginAccessControlConfig: document.OriginAccessControlConfig{
			Name: controlName, Description: "Made by the first start.",
			SigningProtocol: "sigv4", SigningBehavior: "always", OriginAccessControlOriginType: "s3",
		},
	})
	return out.OriginAccessControl.Id, err
}

// ensureDistribution makes the distribution: everything needs a signature of the group, but for
// publicPattern, which has an explicit rule that says so.
func (n *node) ensureDistribution(ctx context.Context, ours installation) (string, error) {
	for _, d := range n.cloudfront.Snapshot().Distributions {
		if d.DistributionConfig.CallerReference == callerReference {
			return d.Id, nil
		}
	}
	control, err := n.ensureControl(ctx)
	if err != nil {
		return "", fmt.Errorf("making the origin access control: %w", err)
	}
	const originID = "bucket"
	public := document.DefaultCacheBehavior{
		TargetOriginId:       originID,
		ViewerProtocolPolicy: "allow-all",
		AllowedMethods: document.AllowedMethods{
			Items: []string{"HEAD", "GET"}, CachedMethods: document.CachedMethods{Items: []string{"HEAD", "GET"}},
		},
		CachePolicyId: cachingOptimized,
		Compress:      true,
	}
	private := public
	private.TrustedKeyGroups = document.TrustedKeyGroups{Enabled: true, Items: []string{ours.KeyGroup}}
	config := document.DistributionConfig{
		CallerReference: callerReference,
		Comment:         "Made by the first start: all but " + publicPattern + " needs a signature.",
		Enabled:         true,
		Origins: document.Origins{Items: []document.Origin{{
			Id: originID, DomainName: ours.Bucket + ".s3." + n.ours.Region + ".amazonaws.com",
			S3OriginConfig: &document.S3OriginConfig{}, OriginAccessControlId: control,
		}}},
		DefaultCacheBehavior: private,
		CacheBehaviors: document.CacheBehaviors{Items: []document.CacheBehavior{
			{PathPattern: publicPattern, DefaultCacheBehavior: public},
		}},
	}
	out, err := n.cloudfront.CreateDistribution(ctx, n.owner(), cloudfront.CreateDistributionInput{
		DistributionConfig: document.Counted(config),
	})
	return out.Distribution.Id, err
}

// cachingOptimized is AWS's managed cache policy of that name, the console's choice for S3 origins
// (docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/using-managed-cache-policies.html).
const cachingOptimized = "658327ea-f89d-4fab-a63d-7e88639e58f6"

// reportIsThere says whether the sample report can be linked to.
func (n *node) reportIsThere(ctx context.Context) bool {
	_, err := n.s3.HeadObject(ctx, n.owner(), s3.HeadObjectInput{Bucket: n.ours.Bucket, Key: demo.ReportKey})
	return err == nil
}
