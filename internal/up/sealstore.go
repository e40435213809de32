package up

import (
	"context"
	"errors"

	"postern/internal/seal"
	"postern/internal/store"
)

// sealedKeys keeps seal's data-sealing key as a record of the store.
type sealedKeys struct{ store *store.Store }

const sealedKeyRecord = "/postern/v1/seal/key/data"

func (k sealedKeys) LoadKey(ctx context.Context) ([]byte, error) {
	value, found, err := k.store.Lookup(ctx, sealedKeyRecord)
	if err == nil && !found {
		return nil, seal.ErrNoKey
	}
	return value, err
}

func (k sealedKeys) CreateKey(ctx context.Context, sealed []byte) error {
	_, err := k.store.Transact(ctx, store.Txn{
		If:  []store.Compare{{Key: sealedKeyRecord}},
		Put: []store.Put{{Key: sealedKeyRecord, Value: sealed}},
	})
	if errors.Is(err, store.ErrConflict) {
		return seal.ErrKeyExists
	}
	return err
}
