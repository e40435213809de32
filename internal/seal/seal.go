// Package seal seals what is secret before it is stored.
package seal

import (
	"context"
	"errors"
)

// RootKey is the key that seals the store's data-sealing key.
type RootKey struct{ _ [0]func() }

// OpenKeyFile reads a root key file.
func OpenKeyFile(path string) (*RootKey, error) { return nil, errors.ErrUnsupported }

// CreateKeyFile makes a root key file that does not exist yet.
func CreateKeyFile(path string) (*RootKey, error) { return nil, errors.ErrUnsupported }

// KeyStore keeps the sealed data-sealing key next to the records it seals. The record store joins it by [StoreKeys].
type KeyStore interface {
	// LoadKey returns the sealed key, or ErrNoKey if there is none yet.
	LoadKey(ctx context.Context) ([]byte, error)
	// CreateKey stores the sealed key if there is none; if there is one already it returns ErrKeyExists.
	CreateKey(ctx context.Context, sealed []byte) error
}

// Errors of a KeyStore and of Open.
var (
	ErrNoKey     = errors.New("no data-sealing key")
	ErrKeyExists = errors.New("there is a data-sealing key already")
	// ErrWrongRootKey: the root key is not the one that sealed this store.
	ErrWrongRootKey = errors.New("wrong root key")
	// ErrOpen: the sealed bytes are not what Seal made for that record.
	ErrOpen = errors.New("sealed record does not open")
)

// Keeper seals and opens records.
type Keeper struct{ _ [0]func() }

// NewKeeper opens the store's data-sealing key with the root key, and makes one if the store has none.
func NewKeeper(ctx context.Context, root *RootKey, s KeyStore) (*Keeper, error) {
	return nil, errors.ErrUnsupported
}

// Seal seals a record.
func (k *Keeper) Seal(recordKey string, plaintext []byte) ([]byte, error) {
	return nil, errors.ErrUnsupported
}

// Open opens what Seal sealed for the same record key.
func (k *Keeper) Open(recordKey string, sealed []byte) ([]byte, error) {
	return nil, errors.ErrUnsupported
}
