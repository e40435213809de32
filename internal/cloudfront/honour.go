package cloudfront

import (
	"postern/internal/cloudfront/document"
)

// honour refuses, under the code CloudFront has for a bad reference of that kind, what Postern's edge
// cannot enforce or run. To store it and serve on without it would be to serve private content more
// openly than its document says. What only concerns speed, cost or logs (cache policies, price class,
// origin shield, access logs) is stored as it is.
func honour(c *document.DistributionConfig) error {
	switch {
	case c.WebACLId != "":
		return refuse("InvalidWebACLId", "Postern has no web application firewall: leave WebACLId empty.")
	case c.Restrictions.GeoRestriction.RestrictionType != "none":
		return refuse("InvalidGeoRestrictionParameter", "Postern does not know where viewers are: the geographic restriction must be none.")
	case c.Staging:
		return refuse("InvalidArgument", "Postern has no staging distributions: set Staging to false.")
	case c.ContinuousDeploymentPolicyId != "":
		return refuse("NoSuchContinuousDeploymentPolicy", "Postern has no continuous deployment: leave ContinuousDeploymentPolicyId empty.")
	case c.AnycastIpListId != "":
		return refuse("EntityNotFound", "Postern has no anycast address lists: leave AnycastIpListId empty.")
	case c.TenantConfig != nil, c.ConnectionMode != "" && c.ConnectionMode != "direct":
		return refuse("InvalidArgument", "Postern has no multi-tenant distributions: leave out TenantConfig, and ConnectionMode or set it to direct.")
	case c.ViewerMtlsConfig != nil:
		return refuse("InvalidArgument", "Postern does not ask viewers for certificates: leave out ViewerMtlsConfig.")
	case c.ConnectionFunctionAssociation != nil:
		return refuse("EntityNotFound", "Postern has no connection functions: leave out ConnectionFunctionAssociation.")
	case len(c.OriginGroups.Items) > 0:
		return refuse("InvalidArgument", "Postern has no origin failover: leave OriginGroups empty.")
	}
	for _, o := range c.Origins.Items {
		switch {
		case o.VpcOriginConfig != nil:
			return refuse("EntityNotFound", "Postern has no VPC origins: give the origin %s a CustomOriginConfig.", o.Id)
		case o.S3OriginConfig != nil && o.S3OriginConfig.OriginAccessIdentity != "":
			return refuse("InvalidOriginAccessIdentity", "Postern has no origin access identities: give the origin %s an origin access control.", o.Id)
		case o.CustomOriginConfig != nil && o.CustomOriginConfig.OriginMtlsConfig != nil:
			return refuse("InvalidArgument", "Postern shows no certificate to origins: leave OriginMtlsConfig out of the origin %s.", o.Id)
		case o.S3OriginConfig == nil && o.OriginAccessControlId != "":
			return refuse("InvalidOriginAccessControl", "Postern signs requests to S3 origins only: leave OriginAccessControlId of the origin %s empty.", o.Id)
		}
	}
	if err := honourBehavior("the default cache behavior", &c.DefaultCacheBehavior); err != nil {
		return err
	}
	for i := range c.CacheBehaviors.Items {
		b := &c.CacheBehaviors.Items[i]
		if err := honourBehavior("the cache behavior of "+b.PathPattern, &b.DefaultCacheBehavior); err != nil {
			return err
		}
	}
	return nil
}

func honourBehavior(where string, b *document.DefaultCacheBehavior) error {
	switch {
	case b.TrustedSigners.Enabled, len(b.TrustedSigners.Items) > 0:
		return refuse("TrustedSignerDoesNotExist", "Postern has no key pairs of accounts: in %s, name TrustedKeyGroups in the place of TrustedSigners.", where)
	case len(b.LambdaFunctionAssociations.Items) > 0:
		return refuse("InvalidLambdaFunctionAssociation", "Postern does not run Lambda@Edge functions: leave LambdaFunctionAssociations of %s empty.", where)
	case len(b.FunctionAssociations.Items) > 0:
		return refuse("InvalidFunctionAssociation", "Postern does not run CloudFront Functions: leave FunctionAssociations of %s empty.", where)
	case b.FieldLevelEncryptionId != "":
		return refuse("NoSuchFieldLevelEncryptionConfig", "Postern has no field-level encryption: leave FieldLevelEncryptionId of %s empty.", where)
	case b.RealtimeLogConfigArn != "":
		return refuse("NoSuchRealtimeLogConfig", "Postern has no real-time logs: leave RealtimeLogConfigArn of %s empty.", where)
	case b.ResponseHeadersPolicyId != "":
		return refuse("NoSuchResponseHeadersPolicy", "Postern has no response headers policies: leave ResponseHeadersPolicyId of %s empty.", where)
	case b.SmoothStreaming:
		return refuse("InvalidArgument", "Postern does not speak Smooth Streaming: set SmoothStreaming of %s to false.", where)
	case b.GrpcConfig.Enabled:
		return refuse("InvalidArgument", "Postern does not pass on gRPC: set GrpcConfig.Enabled of %s to false.", where)
	}
	return nil
}

// cannotSign says why the edge cannot use an origin access control, or "". The edge signs every request
// to a bucket for which one is named; one that says not to sign would be honoured by signing.
func cannotSign(c document.OriginAccessControlConfig) string {
	switch {
	case c.OriginAccessControlOriginType != "s3":
		return "Postern signs requests to S3 origins only, not " + c.OriginAccessControlOriginType
	case c.SigningBehavior != "always":
		return "Postern signs always or not at all: its SigningBehavior must be always, not " + c.SigningBehavior
	}
	return ""
}
