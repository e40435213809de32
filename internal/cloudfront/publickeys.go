package cloudfront

import (
	"context"
	"slices"

	"postern/internal/cloudfront/document"
	"postern/internal/policy"
	"postern/internal/store"
)

// maxPublicKeys and maxKeyGroups are an account's quotas
// (docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/cloudfront-limits.html).
const (
	maxPublicKeys = 10
	maxKeyGroups  = 10
)

// CreatePublicKeyInput is CreatePublicKey's.
type CreatePublicKeyInput struct {
	PublicKeyConfig document.PublicKeyConfig `aws:"xml,PublicKeyConfig"`
}

// CreatePublicKeyOutput is CreatePublicKey's.
type CreatePublicKeyOutput struct {
	Location  string             `aws:"header,Location"`
	ETag      string             `aws:"header,ETag"`
	PublicKey document.PublicKey `aws:"xml,PublicKey"`
}

// CreatePublicKey stores a public key. A caller reference or a name that is taken is refused, whatever
// the rest says, as CloudFront does.
func (s *Service) CreatePublicKey(ctx context.Context, who policy.Caller, in CreatePublicKeyInput) (out CreatePublicKeyOutput, err error) {
	c := in.PublicKeyConfig
	op, err := s.begin(ctx, who, "CreatePublicKey", "*", map[string]any{"name": c.Name, "callerReference": c.CallerReference, "comment": c.Comment})
	defer op.End(&err)
	if err != nil {
		return out, err
	}
	if err := c.Validate(); err != nil {
		return out, asRefusal(err)
	}
	var e *entry[document.PublicKeyConfig]
	err = s.write(ctx, func(st *state) (store.Txn, error) {
		for _, other := range sorted(st.publicKeys) {
			if other.doc.CallerReference == c.CallerReference {
				return store.Txn{}, refuse("PublicKeyAlreadyExists",
					"The caller reference that you are using to create a public key is associated with another public key. Already exists: %s", other.id)
			}
			if other.doc.Name == c.Name {
				return store.Txn{}, refuse("PublicKeyAlreadyExists",
					"The name that you are using to create a CloudFront public key is associated with another public key in your account. Already exists: %s", other.id)
			}
		}
		if len(st.publicKeys) >= maxPublicKeys {
			return store.Txn{}, refuse("TooManyPublicKeys",
				"Processing your request will cause you to exceed the maximum number of CloudFront public keys allowed (%d): delete one first.", maxPublicKeys)
		}
		e = create(s, kindPublicKey, "K"+random(upper, 13), c)
		return put(s, e)
	})
	if err != nil {
		return out, err
	}
	return CreatePublicKeyOutput{Location: location(e), ETag: e.etag, PublicKey: publicKey(e)}, nil
}

// GetPublicKeyInput is GetPublicKey's.
type GetPublicKeyInput struct {
	Id string `aws:"uri,Id"`
}

// GetPublicKeyOutput is GetPublicKey's.
type GetPublicKeyOutput struct {
	ETag      string             `aws:"header,ETag"`
	PublicKey document.PublicKey `aws:"xml,PublicKey"`
}

// GetPublicKey answers a public key.
func (s *Service) GetPublicKey(ctx context.Context, who policy.Caller, in GetPublicKeyInput) (out GetPublicKeyOutput, err error) {
	op, err := s.begin(ctx, who, "GetPublicKey", s.arn(kindPublicKey, in.Id), map[string]any{"id": in.Id})
	defer op.End(&err)
	if err != nil {
		return out, err
	}
	e, err := find(s.state().publicKeys, in.Id, noSuchPublicKey)
	if err != nil {
		return out, err
	}
	return GetPublicKeyOutput{ETag: e.etag, PublicKey: publicKey(e)}, nil
}

// GetPublicKeyConfigInput is GetPublicKeyConfig's.
type GetPublicKeyConfigInput struct {
	Id string `aws:"uri,Id"`
}

// GetPublicKeyConfigOutput is GetPublicKeyConfig's.
type GetPublicKeyConfigOutput struct {
	ETag            string                   `aws:"header,ETag"`
	PublicKeyConfig document.PublicKeyConfig `aws:"xml,PublicKeyConfig"`
}

// GetPublicKeyConfig answers what a user decided about a public key.
func (s *Service) GetPublicKeyConfig(ctx context.Context, who policy.Caller, in GetPublicKeyConfigInput) (out GetPublicKeyConfigOutput, err error) {
	op, err := s.begin(ctx, who, "GetPublicKeyConfig", s.arn(kindPublicKey, in.Id), map[string]any{"id": in.Id})
	defer op.End(&err)
	if err != nil {
		return out, err
	}
	e, err := find(s.state().publicKeys, in.Id, noSuchPublicKey)
	if err != nil {
		return out, err
	}
	return GetPublicKeyConfigOutput{ETag: e.etag, PublicKeyConfig: e.doc}, nil
}

// UpdatePublicKeyInput is UpdatePublicKey's.
type UpdatePublicKeyInput struct {
	Id              string                   `aws:"uri,Id"`
	IfMatch         string                   `aws:"header,If-Match"`
	PublicKeyConfig document.PublicKeyConfig `aws:"xml,PublicKeyConfig"`
}

// UpdatePublicKeyOutput is UpdatePublicKey's.
type UpdatePublicKeyOutput struct {
	ETag      string             `aws:"header,ETag"`
	PublicKey document.PublicKey `aws:"xml,PublicKey"`
}

// UpdatePublicKey changes the comment of a public key, the one thing that may change.
func (s *Service) UpdatePublicKey(ctx context.Context, who policy.Caller, in UpdatePublicKeyInput) (out UpdatePublicKeyOutput, err error) {
	c := in.PublicKeyConfig
	op, err := s.begin(ctx, who, "UpdatePublicKey", s.arn(kindPublicKey, in.Id),
		map[string]any{"id": in.Id, "ifMatch": in.IfMatch, "name": c.Name, "callerReference": c.CallerReference, "comment": c.Comment})
	defer op.End(&err)
	if err != nil {
		return out, err
	}
	var e *entry[document.PublicKeyConfig]
	err = s.write(ctx, func(st *state) (store.Txn, error) {
		old, err := matched(st.publicKeys, in.Id, in.IfMatch, noSuchPublicKey)
		if err != nil {
			return store.Txn{}, err
		}
		if c.CallerReference != old.doc.CallerReference || c.Name != old.doc.Name || c.EncodedKey != old.doc.EncodedKey {
			return store.Txn{}, refuse("CannotChangeImmutablePublicKeyFields",
				"You can't change the value of a public key: only its comment may change. Create another public key instead.")
		}
		if err := c.Validate(); err != nil {
			return store.Txn{}, asRefusal(err)
		}
		e = change(s, old, c)
		return put(s, e)
	})
	if err != nil {
		return out, err
	}
	return UpdatePublicKeyOutput{ETag: e.etag, PublicKey: publicKey(e)}, nil
}

// DeletePublicKeyInput is DeletePublicKey's.
type DeletePublicKeyInput struct {
	Id      string `aws:"uri,Id"`
	IfMatch string `aws:"header,If-Match"`
}

// DeletePublicKeyOutput is DeletePublicKey's.
type DeletePublicKeyOutput struct{}

// DeletePublicKey removes a public key that no key group holds.
func (s *Service) DeletePublicKey(ctx context.Context, who policy.Caller, in DeletePublicKeyInput) (out DeletePublicKeyOutput, err error) {
	op, err := s.begin(ctx, who, "DeletePublicKey", s.arn(kindPublicKey, in.Id), map[string]any{"id": in.Id, "ifMatch": in.IfMatch})
	defer op.End(&err)
	if err != nil {
		return out, err
	}
	return out, s.write(ctx, func(st *state) (store.Txn, error) {
		e, err := matched(st.publicKeys, in.Id, in.IfMatch, noSuchPublicKey)
		if err != nil {
			return store.Txn{}, err
		}
		for _, g := range sorted(st.keyGroups) {
			if slices.Contains(g.doc.Items, e.id) {
				return store.Txn{}, refuse("PublicKeyInUse",
					"The Cloudfront public key is currently associated with either Key Group or a field level encryption profile. Take it out of the key group %s first.", g.id)
			}
		}
		return remove(e), nil
	})
}

// ListPublicKeysInput is ListPublicKeys'.
type ListPublicKeysInput struct {
	Marker   string `aws:"query,Marker"`
	MaxItems string `aws:"query,MaxItems"`
}

// ListPublicKeysOutput is ListPublicKeys'.
type ListPublicKeysOutput struct {
	PublicKeyList document.PublicKeyList `aws:"xml,PublicKeyList"`
}

// ListPublicKeys answers a page of public keys, by id.
func (s *Service) ListPublicKeys(ctx context.Context, who policy.Caller, in ListPublicKeysInput) (out ListPublicKeysOutput, err error) {
	op, err := s.begin(ctx, who, "ListPublicKeys", "*", map[string]any{"marker": in.Marker, "maxItems": in.MaxItems})
	defer op.End(&err)
	if err != nil {
		return out, err
	}
	items, limit, next, err := page(s.state().publicKeys, in.Marker, in.MaxItems)
	if err != nil {
		return out, err
	}
	list := document.PublicKeyList{NextMarker: next, MaxItems: limit, Quantity: len(items)}
	for _, e := range items {
		list.Items = append(list.Items, document.PublicKeySummary{
			Id: e.id, Name: e.doc.Name, CreatedTime: e.created, EncodedKey: e.doc.EncodedKey, Comment: e.doc.Comment,
		})
	}
	return ListPublicKeysOutput{PublicKeyList: list}, nil
}

func publicKey(e *entry[document.PublicKeyConfig]) document.PublicKey {
	return document.PublicKey{Id: e.id, CreatedTime: e.created, PublicKeyConfig: e.doc}
}

func noSuchPublicKey(string) error {
	return refuse("NoSuchPublicKey", "The specified public key does not exist.")
}

// find is the entry with that id, or the refusal that there is none.
func find[T any](m map[string]*entry[T], id string, none func(id string) error) (*entry[T], error) {
	if e := m[id]; e != nil {
		return e, nil
	}
	return nil, none(id)
}

// matched is the entry with that id and ETag, or a refusal.
func matched[T any](m map[string]*entry[T], id, ifMatch string, none func(id string) error) (*entry[T], error) {
	e, err := find(m, id, none)
	if err == nil {
		err = match(ifMatch, e.etag)
	}
	return e, err
}

func location[T any](e *entry[T]) string {
	return "https://cloudfront.amazonaws.com/2020-05-31/" + e.kind + "/" + e.id
}
