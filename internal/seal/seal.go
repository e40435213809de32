// Package seal seals what is secret before it is stored, so that whoever gets the store alone learns
// nothing from it. There are two levels: the root key, which never enters the store, seals a random
// data-sealing key that is kept in it; records are sealed under keys derived from that one. The package
// also has [Secret], a byte string that does not show itself.
package seal

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
)

// Errors that callers branch on.
var (
	// ErrWrongRootKey: the root key is not the one under which the store was sealed.
	ErrWrongRootKey = errors.New("wrong root key")
	// ErrOpen: the bytes are not what Seal made for that record, or have been changed since.
	ErrOpen = errors.New("the sealed record does not open")
)

// DataKeyRecord is the key of the record that holds the sealed data-sealing key.
const DataKeyRecord = "/postern/v1/seal/data-key/1"

// KeyStore keeps the sealed data-sealing key in the store whose records it seals.
type KeyStore interface {
	// Lookup returns the value under a key, and whether there is one.
	Lookup(ctx context.Context, key string) (value []byte, found bool, err error)
	// CreateOnce stores a value under a key, durably, unless there is one, and returns what is stored
	// then. Of several callers at the same time one wins, and all get its value.
	CreateOnce(ctx context.Context, key string, value []byte) (stored []byte, err error)
}

// Keeper seals and opens records. It is safe for concurrent use.
type Keeper struct {
	root keyID
	id   keyID
	key  Secret
}

// A sealed text, whether of a record under the data-sealing key, of the data-sealing key under the root
// key, or of something outside the store under the root key (whose id then stands in both places):
//
//	offset  bytes
//	     0      1  version, 1
//	     1      8  id of the root key: HKDF-SHA-256(root key, info "postern root key id v1")
//	     9      8  id of the data-sealing key, random
//	    17     16  salt, random
//	    33     12  nonce, random
//	    45     n+16  AES-256-GCM of the plaintext, with its tag
//
// The AES key is HKDF-SHA-256(sealing key, salt, info = purpose): every text has a key of its own, so the
// 96-bit nonce never repeats under one key, however many texts there are. The additional data are the
// purpose, the 45 bytes above, and the record's key. The purpose, which ends with a zero byte, is one of
// three constants, so a text of one kind never opens as one of the other. A text opens only for the record
// it was sealed for: moved under another key, it does not.
const (
	sealVersion    = 1
	keySize        = 32
	idSize         = 8
	saltSize       = 16
	nonceSize      = 12
	tagSize        = 16
	headerSize     = 1 + idSize + idSize + saltSize + nonceSize
	purposeRecord  = "postern seal record v1\x00"
	purposeDataKey = "postern seal data key v1\x00"
	purposeOutside = "postern seal outside v1\x00"
)

// Overhead is how many bytes sealing adds to a plaintext.
const Overhead = headerSize + tagSize

// keyID tells keys apart. It says nothing about the key.
type keyID [idSize]byte

func (id keyID) String() string { return hex.EncodeToString(id[:]) }

// NewKeeper opens the store's data-sealing key with the root key, and makes one if the store has none.
// If the store was sealed under another root key, the error is [ErrWrongRootKey] and says which.
func NewKeeper(ctx context.Context, root *RootKey, s KeyStore) (*Keeper, error) {
	if root == nil {
		return nil, errors.New("opening the store's sealing key: a root key is required")
	}
	sealed, found, err := s.Lookup(ctx, DataKeyRecord)
	if err != nil {
		return nil, fmt.Errorf("reading the store's sealing key: %w", err)
	}
	if !found {
		var id keyID
		key := make([]byte, keySize)
		rand.Read(key) // never fails: crypto/rand ends the process first
		rand.Read(id[:])
		fresh := sealWith(root.key, purposeDataKey, root.id, id, DataKeyRecord, key)
		if sealed, err = s.CreateOnce(ctx, DataKeyRecord, fresh); err != nil {
			return nil, fmt.Errorf("storing the store's sealing key: %w", err)
		}
	}
	h, err := parseHeader(sealed)
	if err != nil {
		return nil, fmt.Errorf("opening the store's sealing key: %w: restore the store from a backup", err)
	}
	if h.root != root.id {
		return nil, fmt.Errorf("%w: the store is sealed under the root key %s, and this one is %s: put the root key file back that belongs to the store", ErrWrongRootKey, h.root, root.id)
	}
	key, err := openWith(root.key, purposeDataKey, DataKeyRecord, sealed)
	if err != nil || len(key) != keySize {
		return nil, fmt.Errorf("opening the store's sealing key: %w: restore the store from a backup", ErrOpen)
	}
	return &Keeper{root: root.id, id: h.key, key: NewSecret(key)}, nil
}

// Seal seals the plaintext of the record under recordKey, which must not be empty. Sealing the same
// twice gives two different texts, of len(plaintext)+[Overhead] bytes.
func (k *Keeper) Seal(recordKey string, plaintext []byte) ([]byte, error) {
	if recordKey == "" {
		return nil, errors.New("sealing a record: it has no key")
	}
	return sealWith(k.key, purposeRecord, k.root, k.id, recordKey, plaintext), nil
}

// Open opens what Seal sealed for the same recordKey. The error is [ErrOpen] if it was sealed for
// another record, under another key, or was changed in any bit; or [ErrWrongRootKey] if it was sealed
// in a store of another root key.
func (k *Keeper) Open(recordKey string, sealed []byte) ([]byte, error) {
	h, err := parseHeader(sealed)
	if err != nil {
		return nil, fmt.Errorf("opening the record %s: %w", recordKey, err)
	}
	switch {
	case h.root != k.root:
		return nil, fmt.Errorf("opening the record %s: %w: it was sealed under %s, and the store's is %s", recordKey, ErrWrongRootKey, h.root, k.root)
	case h.key != k.id:
		return nil, fmt.Errorf("opening the record %s: %w: it was sealed under the data-sealing key %s, and the store's is %s", recordKey, ErrOpen, h.key, k.id)
	}
	plaintext, err := openWith(k.key, purposeRecord, recordKey, sealed)
	if err != nil {
		return nil, fmt.Errorf("opening the record %s: %w", recordKey, err)
	}
	return plaintext, nil
}

// header is what a sealed text says of itself.
type header struct{ root, key keyID }

func parseHeader(sealed []byte) (h header, err error) {
	switch {
	case len(sealed) < Overhead:
		return h, fmt.Errorf("%w: %d bytes are too few", ErrOpen, len(sealed))
	case sealed[0] != sealVersion:
		return h, fmt.Errorf("%w: it has version %d, and this Postern knows %d", ErrOpen, sealed[0], sealVersion)
	}
	copy(h.root[:], sealed[1:])
	copy(h.key[:], sealed[1+idSize:])
	return h, nil
}

func sealWith(key Secret, purpose string, root, id keyID, recordKey string, plaintext []byte) []byte {
	out := make([]byte, headerSize, len(plaintext)+Overhead)
	out[0] = sealVersion
	copy(out[1:], root[:])
	copy(out[1+idSize:], id[:])
	rand.Read(out[1+2*idSize:]) // salt and nonce
	aead, nonce, data := text(key, purpose, recordKey, out)
	return aead.Seal(out, nonce, plaintext, data)
}

func openWith(key Secret, purpose, recordKey string, sealed []byte) ([]byte, error) {
	aead, nonce, data := text(key, purpose, recordKey, sealed[:headerSize])
	plaintext, err := aead.Open(nil, nonce, sealed[headerSize:], data)
	if err != nil {
		return nil, ErrOpen // the cipher's error says no more
	}
	return plaintext, nil
}

// text derives what seals the text with that header.
func text(key Secret, purpose, recordKey string, header []byte) (aead cipher.AEAD, nonce, data []byte) {
	salt := header[1+2*idSize:][:saltSize]
	nonce = header[headerSize-nonceSize:]
	aead = newAEAD(derive(key, salt, purpose))
	return aead, nonce, bytes.Join([][]byte{[]byte(purpose), header, []byte(recordKey)}, nil)
}

func derive(key Secret, salt []byte, info string) []byte {
	out, err := hkdf.Key(sha256.New, key.raw(), salt, info, keySize)
	if err != nil {
		panic(err) // only a length that is not ours, or a FIPS mode that forbids our key's, can cause it
	}
	return out
}

func newAEAD(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err == nil {
		var aead cipher.AEAD
		if aead, err = cipher.NewGCM(block); err == nil {
			return aead
		}
	}
	panic(err) // only another key length can cause it
}
