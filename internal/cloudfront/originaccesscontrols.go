package cloudfront

import (
	"context"

	"postern/internal/cloudfront/document"
	"postern/internal/policy"
	"postern/internal/store"
)

// maxControls is an account's quota
// (docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/cloudfront-limits.html).
const maxControls = 100

// CreateOriginAccessControlInput is CreateOriginAccessControl's.
type CreateOriginAccessControlInput struct {
	OriginAccessControlConfig document.OriginAccessControlConfig `aws:"xml,OriginAccessControlConfig"`
}

// CreateOriginAccessControlOutput is CreateOriginAccessControl's.
type CreateOriginAccessControlOutput struct {
	Location            string                       `aws:"header,Location"`
	ETag                string                       `aws:"header,ETag"`
	OriginAccessControl document.OriginAccessControl `aws:"xml,OriginAccessControl"`
}

// CreateOriginAccessControl stores an origin access control.
func (s *Service) CreateOriginAccessControl(ctx context.Context, who policy.Caller, in CreateOriginAccessControlInput) (out CreateOriginAccessControlOutput, err error) {
	c := in.OriginAccessControlConfig
	op, err := s.begin(ctx, who, "CreateOriginAccessControl", "*", controlParams("", "", c))
	defer op.End(&err)
	if err != nil {
		return out, err
	}
	if err := c.Validate(); err != nil {
		return out, asRefusal(err)
	}
	var e *entry[document.OriginAccessControlConfig]
	err = s.write(ctx, func(st *state) (store.Txn, error) {
		if err := checkControl(st, "", c); err != nil {
			return store.Txn{}, err
		}
		if len(st.controls) >= maxControls {
			return store.Txn{}, refuse("TooManyOriginAccessControls", "You have reached the maximum number of origin access controls for this account (%d): delete one first.", maxControls)
		}
		e = create(s, kindControl, "E"+random(upper, 13), c)
		return put(s, e)
	})
	if err != nil {
		return out, err
	}
	return CreateOriginAccessControlOutput{Location: location(e), ETag: e.etag, OriginAccessControl: originAccessControl(e)}, nil
}

// GetOriginAccessControlInput is GetOriginAccessControl's.
type GetOriginAccessControlInput struct {
	Id string `aws:"uri,Id"`
}

// GetOriginAccessControlOutput is GetOriginAccessControl's.
type GetOriginAccessControlOutput struct {
	ETag                string                       `aws:"header,ETag"`
	OriginAccessControl document.OriginAccessControl `aws:"xml,OriginAccessControl"`
}

// GetOriginAccessControl answers an origin access control.
func (s *Service) GetOriginAccessControl(ctx context.Context, who policy.Caller, in GetOriginAccessControlInput) (out GetOriginAccessControlOutput, err error) {
	op, err := s.begin(ctx, who, "GetOriginAccessControl", s.arn(kindControl, in.Id), map[string]any{"id": in.Id})
	defer op.End(&err)
	if err != nil {
		return out, err
	}
	e, err := find(s.state().controls, in.Id, noSuchControl)
	if err != nil {
		return out, err
	}
	return GetOriginAccessControlOutput{ETag: e.etag, OriginAccessControl: originAccessControl(e)}, nil
}

// GetOriginAccessControlConfigInput is GetOriginAccessControlConfig's.
type GetOriginAccessControlConfigInput struct {
	Id string `aws:"uri,Id"`
}

// GetOriginAccessControlConfigOutput is GetOriginAccessControlConfig's.
type GetOriginAccessControlConfigOutput struct {
	ETag                      string                             `aws:"header,ETag"`
	OriginAccessControlConfig document.OriginAccessControlConfig `aws:"xml,OriginAccessControlConfig"`
}

// GetOriginAccessControlConfig answers what a user decided about an origin access control.
func (s *Service) GetOriginAccessControlConfig(ctx context.Context, who policy.Caller, in GetOriginAccessControlConfigInput) (out GetOriginAccessControlConfigOutput, err error) {
	op, err := s.begin(ctx, who, "GetOriginAccessControlConfig", s.arn(kindControl, in.Id), map[string]any{"id": in.Id})
	defer op.End(&err)
	if err != nil {
		return out, err
	}
	e, err := find(s.state().controls, in.Id, noSuchControl)
	if err != nil {
		return out, err
	}
	return GetOriginAccessControlConfigOutput{ETag: e.etag, OriginAccessControlConfig: e.doc}, nil
}

// UpdateOriginAccessControlInput is UpdateOriginAccessControl's.
type UpdateOriginAccessControlInput struct {
	Id                        string                             `aws:"uri,Id"`
	IfMatch                   string                             `aws:"header,If-Match"`
	OriginAccessControlConfig document.OriginAccessControlConfig `aws:"xml,OriginAccessControlConfig"`
}

// UpdateOriginAccessControlOutput is UpdateOriginAccessControl's.
type UpdateOriginAccessControlOutput struct {
	ETag                string                       `aws:"header,ETag"`
	OriginAccessControl document.OriginAccessControl `aws:"xml,OriginAccessControl"`
}

// UpdateOriginAccessControl replaces an origin access control. While a distribution uses it, it must
// stay one that the edge can honour.
func (s *Service) UpdateOriginAccessControl(ctx context.Context, who policy.Caller, in UpdateOriginAccessControlInput) (out UpdateOriginAccessControlOutput, err error) {
	c := in.OriginAccessControlConfig
	op, err := s.begin(ctx, who, "UpdateOriginAccessControl", s.arn(kindControl, in.Id), controlParams(in.Id, in.IfMatch, c))
	defer op.End(&err)
	if err != nil {
		return out, err
	}
	var e *entry[document.OriginAccessControlConfig]
	err = s.write(ctx, func(st *state) (store.Txn, error) {
		old, err := matched(st.controls, in.Id, in.IfMatch, noSuchControl)
		if err != nil {
			return store.Txn{}, err
		}
		if err := c.Validate(); err != nil {
			return store.Txn{}, asRefusal(err)
		}
		if err := checkControl(st, old.id, c); err != nil {
			return store.Txn{}, err
		}
		if d := userOf(st, old.id); d != "" {
			if why := cannotSign(c); why != "" {
				return store.Txn{}, refuse("IllegalUpdate", "The distribution %s uses this origin access control, and %s.", d, why)
			}
		}
		e = change(s, old, c)
		return put(s, e)
	})
	if err != nil {
		return out, err
	}
	return UpdateOriginAccessControlOutput{ETag: e.etag, OriginAccessControl: originAccessControl(e)}, nil
}

// DeleteOriginAccessControlInput is DeleteOriginAccessControl's.
type DeleteOriginAccessControlInput struct {
	Id      string `aws:"uri,Id"`
	IfMatch string `aws:"header,If-Match"`
}

// DeleteOriginAccessControlOutput is DeleteOriginAccessControl's.
type DeleteOriginAccessControlOutput struct{}

// DeleteOriginAccessControl removes an origin access control that no distribution uses.
func (s *Service) DeleteOriginAccessControl(ctx context.Context, who policy.Caller, in DeleteOriginAccessControlInput) (out DeleteOriginAccessControlOutput, err error) {
	op, err := s.begin(ctx, who, "DeleteOriginAccessControl", s.arn(kindControl, in.Id), map[string]any{"id": in.Id, "ifMatch": in.IfMatch})
	defer op.End(&err)
	if err != nil {
		return out, err
	}
	return out, s.write(ctx, func(st *state) (store.Txn, error) {
		e, err := matched(st.controls, in.Id, in.IfMatch, noSuchControl)
		if err != nil {
			return store.Txn{}, err
		}
		if d := userOf(st, e.id); d != "" {
			return store.Txn{}, refuse("OriginAccessControlInUse", "Cannot delete the origin access control because it's in use by the distribution %s.", d)
		}
		return remove(e), nil
	})
}

// ListOriginAccessControlsInput is ListOriginAccessControls'.
type ListOriginAccessControlsInput struct {
	Marker   string `aws:"query,Marker"`
	MaxItems string `aws:"query,MaxItems"`
}

// ListOriginAccessControlsOutput is ListOriginAccessControls'.
type ListOriginAccessControlsOutput struct {
	OriginAccessControlList document.OriginAccessControlList `aws:"xml,OriginAccessControlList"`
}

// ListOriginAccessControls answers a page of origin access controls, by id.
func (s *Service) ListOriginAccessControls(ctx context.Context, who policy.Caller, in ListOriginAccessControlsInput) (out ListOriginAccessControlsOutput, err error) {
	op, err := s.begin(ctx, who, "ListOriginAccessControls", "*", map[string]any{"marker": in.Marker, "maxItems": in.MaxItems})
	defer op.End(&err)
	if err != nil {
		return out, err
	}
	items, limit, next, err := page(s.state().controls, in.Marker, in.MaxItems)
	if err != nil {
		return out, err
	}
	list := document.OriginAccessControlList{Marker: in.Marker, NextMarker: next, MaxItems: limit, IsTruncated: next != "", Quantity: len(items)}
	for _, e := range items {
		list.Items = append(list.Items, document.OriginAccessControlSummary{
			Id: e.id, Description: e.doc.Description, Name: e.doc.Name, SigningProtocol: e.doc.SigningProtocol,
			SigningBehavior: e.doc.SigningBehavior, OriginAccessControlOriginType: e.doc.OriginAccessControlOriginType,
		})
	}
	return ListOriginAccessControlsOutput{OriginAccessControlList: list}, nil
}

// checkControl refuses a name that another origin access control than id has.
func checkControl(st *state, id string, c document.OriginAccessControlConfig) error {
	for _, e := range sorted(st.controls) {
		if e.id != id && e.doc.Name == c.Name {
			return refuse("OriginAccessControlAlreadyExists", "An origin access control with the same name already exists: %s.", e.id)
		}
	}
	return nil
}

// userOf is a distribution that uses an origin access control, or "".
func userOf(st *state, control string) string {
	for _, d := range sorted(st.distributions) {
		for _, o := range d.doc.Origins.Items {
			if o.OriginAccessControlId == control {
				return d.id
			}
		}
	}
	return ""
}

func controlParams(id, ifMatch string, c document.OriginAccessControlConfig) map[string]any {
	p := map[string]any{"name": c.Name, "signingBehavior": c.SigningBehavior, "originAccessControlOriginType": c.OriginAccessControlOriginType}
	if id != "" {
		p["id"], p["ifMatch"] = id, ifMatch
	}
	return p
}

func originAccessControl(e *entry[document.OriginAccessControlConfig]) document.OriginAccessControl {
	return document.OriginAccessControl{Id: e.id, OriginAccessControlConfig: e.doc}
}

func noSuchControl(string) error {
	return refuse("NoSuchOriginAccessControl", "The specified origin access control does not exist.")
}
