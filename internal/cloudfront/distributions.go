package cloudfront

import (
	"context"
	"maps"
	"slices"
	"strings"

	"postern/internal/cloudfront/document"
	"postern/internal/policy"
	"postern/internal/store"
)

// The two states of a distribution. A write is answered when the edge of this process has taken it, so
// in truth it is deployed then; clients wait for the change from one to the other and are shown it.
const (
	inProgress = "InProgress"
	deployed   = "Deployed"
)

// CreateDistributionInput is CreateDistribution's.
type CreateDistributionInput struct {
	DistributionConfig document.DistributionConfig `aws:"xml,DistributionConfig"`
}

// CreateDistributionOutput is CreateDistribution's.
type CreateDistributionOutput struct {
	Location     string                `aws:"header,Location"`
	ETag         string                `aws:"header,ETag"`
	Distribution document.Distribution `aws:"xml,Distribution"`
}

// CreateDistribution stores a distribution that Postern can honour and whose key groups and origin
// access controls exist. A caller reference that is taken is refused, whatever the rest says, as
// CloudFront does.
func (s *Service) CreateDistribution(ctx context.Context, who policy.Caller, in CreateDistributionInput) (out CreateDistributionOutput, err error) {
	c := in.DistributionConfig.Complete()
	op, err := s.begin(ctx, who, "CreateDistribution", s.arn(kindDistribution, "*"), distributionParams("", "", &c))
	defer op.End(&err)
	if err != nil {
		return out, err
	}
	if err := c.Validate(); err != nil {
		return out, asRefusal(err)
	}
	if err := honour(&c); err != nil {
		return out, err
	}
	var (
		e  *entry[document.DistributionConfig]
		at *state
	)
	err = s.write(ctx, func(st *state) (store.Txn, error) {
		for _, d := range sorted(st.distributions) {
			if d.doc.CallerReference == c.CallerReference {
				return store.Txn{}, refuse("DistributionAlreadyExists",
					"The caller reference that you are using to create a distribution is associated with another distribution. Already exists: %s", d.id)
			}
		}
		if err := checkReferences(st, "", &c); err != nil {
			return store.Txn{}, err
		}
		at = st
		e = create(s, kindDistribution, "E"+random(upper, 13), c)
		e.domainName = "d" + random(lower, 13) + ".cloudfront.net"
		if err := s.servable(st, e); err != nil {
			return store.Txn{}, err
		}
		return put(s, e)
	})
	if err != nil {
		return out, err
	}
	return CreateDistributionOutput{Location: location(e), ETag: e.etag, Distribution: s.distribution(at, e, inProgress)}, nil
}

// GetDistributionInput is GetDistribution's.
type GetDistributionInput struct {
	Id string `aws:"uri,Id"`
}

// GetDistributionOutput is GetDistribution's.
type GetDistributionOutput struct {
	ETag         string                `aws:"header,ETag"`
	Distribution document.Distribution `aws:"xml,Distribution"`
}

// GetDistribution answers a distribution.
func (s *Service) GetDistribution(ctx context.Context, who policy.Caller, in GetDistributionInput) (out GetDistributionOutput, err error) {
	op, err := s.begin(ctx, who, "GetDistribution", s.arn(kindDistribution, in.Id), map[string]any{"id": in.Id})
	defer op.End(&err)
	if err != nil {
		return out, err
	}
	st := s.state()
	e, err := find(st.distributions, in.Id, noSuchDistribution)
	if err != nil {
		return out, err
	}
	return GetDistributionOutput{ETag: e.etag, Distribution: s.distribution(st, e, deployed)}, nil
}

// GetDistributionConfigInput is GetDistributionConfig's.
type GetDistributionConfigInput struct {
	Id string `aws:"uri,Id"`
}

// GetDistributionConfigOutput is GetDistributionConfig's.
type GetDistributionConfigOutput struct {
	ETag               string                      `aws:"header,ETag"`
	DistributionConfig document.DistributionConfig `aws:"xml,DistributionConfig"`
}

// GetDistributionConfig answers what a user decided about a distribution.
func (s *Service) GetDistributionConfig(ctx context.Context, who policy.Caller, in GetDistributionConfigInput) (out GetDistributionConfigOutput, err error) {
	op, err := s.begin(ctx, who, "GetDistributionConfig", s.arn(kindDistribution, in.Id), map[string]any{"id": in.Id})
	defer op.End(&err)
	if err != nil {
		return out, err
	}
	e, err := find(s.state().distributions, in.Id, noSuchDistribution)
	if err != nil {
		return out, err
	}
	return GetDistributionConfigOutput{ETag: e.etag, DistributionConfig: e.doc}, nil
}

// UpdateDistributionInput is UpdateDistribution's.
type UpdateDistributionInput struct {
	Id                 string                      `aws:"uri,Id"`
	IfMatch            string                      `aws:"header,If-Match"`
	DistributionConfig document.DistributionConfig `aws:"xml,DistributionConfig"`
}

// UpdateDistributionOutput is UpdateDistribution's.
type UpdateDistributionOutput struct {
	ETag         string                `aws:"header,ETag"`
	Distribution document.Distribution `aws:"xml,Distribution"`
}

// UpdateDistribution replaces a distribution's configuration, all of it but the caller reference.
func (s *Service) UpdateDistribution(ctx context.Context, who policy.Caller, in UpdateDistributionInput) (out UpdateDistributionOutput, err error) {
	c := in.DistributionConfig.Complete()
	op, err := s.begin(ctx, who, "UpdateDistribution", s.arn(kindDistribution, in.Id), distributionParams(in.Id, in.IfMatch, &c))
	defer op.End(&err)
	if err != nil {
		return out, err
	}
	var (
		e  *entry[document.DistributionConfig]
		at *state
	)
	err = s.write(ctx, func(st *state) (store.Txn, error) {
		old, err := matched(st.distributions, in.Id, in.IfMatch, noSuchDistribution)
		if err != nil {
			return store.Txn{}, err
		}
		if err := c.Validate(); err != nil {
			return store.Txn{}, asRefusal(err)
		}
		if c.CallerReference != old.doc.CallerReference {
			return store.Txn{}, refuse("IllegalUpdate", "The CallerReference of a distribution cannot change: it is %q.", old.doc.CallerReference)
		}
		if err := honour(&c); err != nil {
			return store.Txn{}, err
		}
		if err := checkReferences(st, old.id, &c); err != nil {
			return store.Txn{}, err
		}
		at = st
		e = change(s, old, c)
		if err := s.servable(st, e); err != nil {
			return store.Txn{}, err
		}
		return put(s, e)
	})
	if err != nil {
		return out, err
	}
	return UpdateDistributionOutput{ETag: e.etag, Distribution: s.distribution(at, e, inProgress)}, nil
}

// DeleteDistributionInput is DeleteDistribution's.
type DeleteDistributionInput struct {
	Id      string `aws:"uri,Id"`
	IfMatch string `aws:"header,If-Match"`
}

// DeleteDistributionOutput is DeleteDistribution's.
type DeleteDistributionOutput struct{}

// DeleteDistribution removes a distribution that is disabled.
func (s *Service) DeleteDistribution(ctx context.Context, who policy.Caller, in DeleteDistributionInput) (out DeleteDistributionOutput, err error) {
	op, err := s.begin(ctx, who, "DeleteDistribution", s.arn(kindDistribution, in.Id), map[string]any{"id": in.Id, "ifMatch": in.IfMatch})
	defer op.End(&err)
	if err != nil {
		return out, err
	}
	return out, s.write(ctx, func(st *state) (store.Txn, error) {
		e, err := matched(st.distributions, in.Id, in.IfMatch, noSuchDistribution)
		if err != nil {
			return store.Txn{}, err
		}
		if e.doc.Enabled {
			return store.Txn{}, refuse("DistributionNotDisabled", "The distribution you are trying to delete has not been disabled.")
		}
		return remove(e), nil
	})
}

// ListDistributionsInput is ListDistributions'.
type ListDistributionsInput struct {
	Marker   string `aws:"query,Marker"`
	MaxItems string `aws:"query,MaxItems"`
}

// ListDistributionsOutput is ListDistributions'.
type ListDistributionsOutput struct {
	DistributionList document.DistributionList `aws:"xml,DistributionList"`
}

// ListDistributions answers a page of distributions, by id.
func (s *Service) ListDistributions(ctx context.Context, who policy.Caller, in ListDistributionsInput) (out ListDistributionsOutput, err error) {
	op, err := s.begin(ctx, who, "ListDistributions", "*", map[string]any{"marker": in.Marker, "maxItems": in.MaxItems})
	defer op.End(&err)
	if err != nil {
		return out, err
	}
	items, limit, next, err := page(s.state().distributions, in.Marker, in.MaxItems)
	if err != nil {
		return out, err
	}
	list := document.DistributionList{Marker: in.Marker, NextMarker: next, MaxItems: limit, IsTruncated: next != "", Quantity: len(items)}
	for _, e := range items {
		list.Items = append(list.Items, s.summary(e))
	}
	return ListDistributionsOutput{DistributionList: list}, nil
}

// servable asks the edge about a distribution as it would be.
func (s *Service) servable(st *state, e *entry[document.DistributionConfig]) error {
	if s.check == nil {
		return nil
	}
	would := *st
	would.distributions = maps.Clone(st.distributions)
	would.distributions[e.id] = e
	if err := s.check(s.snapshot(&would), e.id); err != nil {
		return refuse("InvalidArgument", "Postern's edge cannot serve the distribution as it would be: %v", err)
	}
	return nil
}

// checkReferences refuses key groups and origin access controls that do not exist, or that the edge
// cannot honour, and aliases that another distribution than id has.
func checkReferences(st *state, id string, c *document.DistributionConfig) error {
	for _, g := range trusted(c) {
		if st.keyGroups[g] == nil {
			return refuse("TrustedKeyGroupDoesNotExist", "The specified key group does not exist: %s", g)
		}
	}
	for _, o := range c.Origins.Items {
		if o.OriginAccessControlId == "" {
			continue
		}
		control := st.controls[o.OriginAccessControlId]
		if control == nil {
			return refuse("InvalidOriginAccessControl", "The specified origin access control does not exist or is not valid: %s", o.OriginAccessControlId)
		}
		if why := cannotSign(control.doc); why != "" {
			return refuse("InvalidOriginAccessControl", "The origin %s uses the origin access control %s, and %s.", o.Id, control.id, why)
		}
	}
	for _, d := range sorted(st.distributions) {
		if d.id == id {
			continue
		}
		for _, alias := range d.doc.Aliases.Items {
			if slices.ContainsFunc(c.Aliases.Items, func(a string) bool { return strings.EqualFold(a, alias) }) {
				return refuse("CNAMEAlreadyExists", "One or more of the CNAMEs you provided are already associated with a different resource: %s with %s.", alias, d.id)
			}
		}
	}
	return nil
}

// trusted is the key groups that any behaviour trusts, each once, in the order of the document.
func trusted(c *document.DistributionConfig) []string {
	var groups []string
	add := func(g document.TrustedKeyGroups) {
		for _, id := range g.Items {
			if !slices.Contains(groups, id) {
				groups = append(groups, id)
			}
		}
	}
	add(c.DefaultCacheBehavior.TrustedKeyGroups)
	for _, b := range c.CacheBehaviors.Items {
		add(b.TrustedKeyGroups)
	}
	return groups
}

func (s *Service) distribution(st *state, e *entry[document.DistributionConfig], status string) document.Distribution {
	d := document.Distribution{
		Id:                 e.id,
		ARN:                s.arn(kindDistribution, e.id),
		Status:             status,
		LastModifiedTime:   e.modified,
		DomainName:         e.domainName,
		DistributionConfig: e.doc,
		AliasICPRecordals:  recordals(&e.doc),
	}
	active := &d.ActiveTrustedKeyGroups
	for _, id := range trusted(&e.doc) {
		group := document.KGKeyPairIds{KeyGroupId: id}
		if g := st.keyGroups[id]; g != nil {
			group.KeyPairIds.Items = g.doc.Items
		}
		active.Enabled = true
		active.Items = append(active.Items, group)
	}
	d.ActiveTrustedKeyGroups = document.Counted(d.ActiveTrustedKeyGroups)
	return d
}

func (s *Service) summary(e *entry[document.DistributionConfig]) document.DistributionSummary {
	c := &e.doc
	return document.DistributionSummary{
		Id:                   e.id,
		ARN:                  s.arn(kindDistribution, e.id),
		ETag:                 e.etag,
		Status:               deployed,
		LastModifiedTime:     e.modified,
		DomainName:           e.domainName,
		Aliases:              c.Aliases,
		Origins:              c.Origins,
		OriginGroups:         c.OriginGroups,
		DefaultCacheBehavior: c.DefaultCacheBehavior,
		CacheBehaviors:       c.CacheBehaviors,
		CustomErrorResponses: c.CustomErrorResponses,
		Comment:              c.Comment,
		PriceClass:           c.PriceClass,
		Enabled:              c.Enabled,
		ViewerCertificate:    c.ViewerCertificate,
		Restrictions:         c.Restrictions,
		WebACLId:             c.WebACLId,
		HttpVersion:          c.HttpVersion,
		IsIPV6Enabled:        c.IsIPV6Enabled,
		AliasICPRecordals:    recordals(c),
		Staging:              c.Staging,
		ConnectionMode:       c.ConnectionMode,
	}
}

// recordals says of every alias what CloudFront says outside mainland China.
func recordals(c *document.DistributionConfig) []document.AliasICPRecordal {
	var out []document.AliasICPRecordal
	for _, alias := range c.Aliases.Items {
		out = append(out, document.AliasICPRecordal{CNAME: alias, ICPRecordalStatus: "APPROVED"})
	}
	return out
}

// distributionParams is what the audit log keeps of a configuration: never a header's value.
func distributionParams(id, ifMatch string, c *document.DistributionConfig) map[string]any {
	p := map[string]any{
		"callerReference": c.CallerReference, "enabled": c.Enabled, "aliases": c.Aliases.Items,
		"trustedKeyGroups": trusted(c), "comment": c.Comment,
	}
	if id != "" {
		p["id"], p["ifMatch"] = id, ifMatch
	}
	return p
}

func noSuchDistribution(string) error {
	return refuse("NoSuchDistribution", "The specified distribution does not exist.")
}
