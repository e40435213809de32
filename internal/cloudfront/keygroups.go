package cloudfront

import (
	"context"
	"slices"

	"postern/internal/cloudfront/document"
	"postern/internal/policy"
	"postern/internal/store"
)

// CreateKeyGroupInput is CreateKeyGroup's.
type CreateKeyGroupInput struct {
	KeyGroupConfig document.KeyGroupConfig `aws:"xml,KeyGroupConfig"`
}

// CreateKeyGroupOutput is CreateKeyGroup's.
type CreateKeyGroupOutput struct {
	Location string            `aws:"header,Location"`
	ETag     string            `aws:"header,ETag"`
	KeyGroup document.KeyGroup `aws:"xml,KeyGroup"`
}

// CreateKeyGroup stores a group of public keys that exist.
func (s *Service) CreateKeyGroup(ctx context.Context, who policy.Caller, in CreateKeyGroupInput) (out CreateKeyGroupOutput, err error) {
	c := in.KeyGroupConfig
	op, err := s.begin(ctx, who, "CreateKeyGroup", "*", map[string]any{"name": c.Name, "items": c.Items, "comment": c.Comment})
	defer op.End(&err)
	if err != nil {
		return out, err
	}
	if err := c.Validate(); err != nil {
		return out, asRefusal(err)
	}
	var e *entry[document.KeyGroupConfig]
	err = s.write(ctx, func(st *state) (store.Txn, error) {
		if err := checkKeyGroup(st, "", c); err != nil {
			return store.Txn{}, err
		}
		if len(st.keyGroups) >= maxKeyGroups {
			return store.Txn{}, refuse("TooManyKeyGroups", "You have reached the maximum number of key groups for this account (%d): delete one first.", maxKeyGroups)
		}
		e = create(s, kindKeyGroup, uuid(), c)
		return put(s, e)
	})
	if err != nil {
		return out, err
	}
	return CreateKeyGroupOutput{Location: location(e), ETag: e.etag, KeyGroup: keyGroup(e)}, nil
}

// GetKeyGroupInput is GetKeyGroup's.
type GetKeyGroupInput struct {
	Id string `aws:"uri,Id"`
}

// GetKeyGroupOutput is GetKeyGroup's.
type GetKeyGroupOutput struct {
	ETag     string            `aws:"header,ETag"`
	KeyGroup document.KeyGroup `aws:"xml,KeyGroup"`
}

// GetKeyGroup answers a key group.
func (s *Service) GetKeyGroup(ctx context.Context, who policy.Caller, in GetKeyGroupInput) (out GetKeyGroupOutput, err error) {
	op, err := s.begin(ctx, who, "GetKeyGroup", s.arn(kindKeyGroup, in.Id), map[string]any{"id": in.Id})
	defer op.End(&err)
	if err != nil {
		return out, err
	}
	e, err := find(s.state().keyGroups, in.Id, noSuchKeyGroup)
	if err != nil {
		return out, err
	}
	return GetKeyGroupOutput{ETag: e.etag, KeyGroup: keyGroup(e)}, nil
}

// GetKeyGroupConfigInput is GetKeyGroupConfig's.
type GetKeyGroupConfigInput struct {
	Id string `aws:"uri,Id"`
}

// GetKeyGroupConfigOutput is GetKeyGroupConfig's.
type GetKeyGroupConfigOutput struct {
	ETag           string                  `aws:"header,ETag"`
	KeyGroupConfig document.KeyGroupConfig `aws:"xml,KeyGroupConfig"`
}

// GetKeyGroupConfig answers what a user decided about a key group.
func (s *Service) GetKeyGroupConfig(ctx context.Context, who policy.Caller, in GetKeyGroupConfigInput) (out GetKeyGroupConfigOutput, err error) {
	op, err := s.begin(ctx, who, "GetKeyGroupConfig", s.arn(kindKeyGroup, in.Id), map[string]any{"id": in.Id})
	defer op.End(&err)
	if err != nil {
		return out, err
	}
	e, err := find(s.state().keyGroups, in.Id, noSuchKeyGroup)
	if err != nil {
		return out, err
	}
	return GetKeyGroupConfigOutput{ETag: e.etag, KeyGroupConfig: e.doc}, nil
}

// UpdateKeyGroupInput is UpdateKeyGroup's.
type UpdateKeyGroupInput struct {
	Id             string                  `aws:"uri,Id"`
	IfMatch        string                  `aws:"header,If-Match"`
	KeyGroupConfig document.KeyGroupConfig `aws:"xml,KeyGroupConfig"`
}

// UpdateKeyGroupOutput is UpdateKeyGroup's.
type UpdateKeyGroupOutput struct {
	ETag     string            `aws:"header,ETag"`
	KeyGroup document.KeyGroup `aws:"xml,KeyGroup"`
}

// UpdateKeyGroup replaces a key group. A key that it no longer holds signs for nobody when this returns.
func (s *Service) UpdateKeyGroup(ctx context.Context, who policy.Caller, in UpdateKeyGroupInput) (out UpdateKeyGroupOutput, err error) {
	c := in.KeyGroupConfig
	op, err := s.begin(ctx, who, "UpdateKeyGroup", s.arn(kindKeyGroup, in.Id),
		map[string]any{"id": in.Id, "ifMatch": in.IfMatch, "name": c.Name, "items": c.Items, "comment": c.Comment})
	defer op.End(&err)
	if err != nil {
		return out, err
	}
	var e *entry[document.KeyGroupConfig]
	err = s.write(ctx, func(st *state) (store.Txn, error) {
		old, err := matched(st.keyGroups, in.Id, in.IfMatch, noSuchKeyGroup)
		if err != nil {
			return store.Txn{}, err
		}
		if err := c.Validate(); err != nil {
			return store.Txn{}, asRefusal(err)
		}
		if err := checkKeyGroup(st, old.id, c); err != nil {
			return store.Txn{}, err
		}
		e = change(s, old, c)
		return put(s, e)
	})
	if err != nil {
		return out, err
	}
	return UpdateKeyGroupOutput{ETag: e.etag, KeyGroup: keyGroup(e)}, nil
}

// DeleteKeyGroupInput is DeleteKeyGroup's.
type DeleteKeyGroupInput struct {
	Id      string `aws:"uri,Id"`
	IfMatch string `aws:"header,If-Match"`
}

// DeleteKeyGroupOutput is DeleteKeyGroup's.
type DeleteKeyGroupOutput struct{}

// DeleteKeyGroup removes a key group that no distribution trusts.
func (s *Service) DeleteKeyGroup(ctx context.Context, who policy.Caller, in DeleteKeyGroupInput) (out DeleteKeyGroupOutput, err error) {
	op, err := s.begin(ctx, who, "DeleteKeyGroup", s.arn(kindKeyGroup, in.Id), map[string]any{"id": in.Id, "ifMatch": in.IfMatch})
	defer op.End(&err)
	if err != nil {
		return out, err
	}
	return out, s.write(ctx, func(st *state) (store.Txn, error) {
		e, err := matched(st.keyGroups, in.Id, in.IfMatch, noSuchKeyGroup)
		if err != nil {
			return store.Txn{}, err
		}
		for _, d := range sorted(st.distributions) {
			if slices.Contains(trusted(&d.doc), e.id) {
				return store.Txn{}, refuse("ResourceInUse", "Cannot delete this key group because the distribution %s trusts it.", d.id)
			}
		}
		return remove(e), nil
	})
}

// ListKeyGroupsInput is ListKeyGroups'.
type ListKeyGroupsInput struct {
	Marker   string `aws:"query,Marker"`
	MaxItems string `aws:"query,MaxItems"`
}

// ListKeyGroupsOutput is ListKeyGroups'.
type ListKeyGroupsOutput struct {
	KeyGroupList document.KeyGroupList `aws:"xml,KeyGroupList"`
}

// ListKeyGroups answers a page of key groups, by id.
func (s *Service) ListKeyGroups(ctx context.Context, who policy.Caller, in ListKeyGroupsInput) (out ListKeyGroupsOutput, err error) {
	op, err := s.begin(ctx, who, "ListKeyGroups", "*", map[string]any{"marker": in.Marker, "maxItems": in.MaxItems})
	defer op.End(&err)
	if err != nil {
		return out, err
	}
	items, limit, next, err := page(s.state().keyGroups, in.Marker, in.MaxItems)
	if err != nil {
		return out, err
	}
	list := document.KeyGroupList{NextMarker: next, MaxItems: limit, Quantity: len(items)}
	for _, e := range items {
		list.Items = append(list.Items, document.KeyGroupSummary{KeyGroup: keyGroup(e)})
	}
	return ListKeyGroupsOutput{KeyGroupList: list}, nil
}

// checkKeyGroup refuses a name that another group than id has, and keys that do not exist.
func checkKeyGroup(st *state, id string, c document.KeyGroupConfig) error {
	for _, g := range sorted(st.keyGroups) {
		if g.id != id && g.doc.Name == c.Name {
			return refuse("KeyGroupAlreadyExists", "A key group with this name already exists: %s. Take another name, or update that group.", g.id)
		}
	}
	for _, k := range c.Items {
		if st.publicKeys[k] == nil {
			return refuse("InvalidArgument", "The key group names the public key %q, which does not exist.", k)
		}
	}
	return nil
}

func keyGroup(e *entry[document.KeyGroupConfig]) document.KeyGroup {
	return document.KeyGroup{Id: e.id, LastModifiedTime: e.modified, KeyGroupConfig: e.doc}
}

func noSuchKeyGroup(id string) error {
	return refuse("NoSuchResource", "The key group %q does not exist.", id)
}
