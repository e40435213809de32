package up

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"postern/internal/awsapi"
	"postern/internal/policy"
	"postern/internal/seal"
	"postern/internal/store"
)

// installationKey is the record of what this data folder is. Its value is a version byte, 1, and the
// JSON of installation. It is written at the very beginning, and once more when the first start is done.
const (
	installationKey     = "/postern/v1/up/installation/this"
	installationVersion = 1
)

type installation struct {
	Account string    // twelve digits, random
	Region  string    // of the first start
	Created time.Time // UTC
	// AccessKeyID is the root access key's; its secret is in its own record, sealed.
	AccessKeyID string
	// What the first start made. Done is set last: whatever is missing without it is made again.
	Done         bool
	Bucket       string
	KeyGroup     string
	Distribution string
	RSAKey       string // ids of the public keys
	ECDSAKey     string
}

func (i installation) encode() ([]byte, error) {
	body, err := json.Marshal(i)
	if err != nil {
		return nil, err
	}
	return append([]byte{installationVersion}, body...), nil
}

// openInstallation reads the record, or gives a new folder its account and access key id.
func openInstallation(ctx context.Context, s *store.Store, c Config) (i installation, err error) {
	value, found, err := s.Lookup(ctx, installationKey)
	if err == nil && !found {
		i = installation{Region: c.Region, Created: c.Now().UTC().Truncate(time.Second)}
		if i.Region == "" {
			i.Region = DefaultRegion
		}
		if i.Account, err = randomAccount(); err != nil {
			return i, fmt.Errorf("choosing an account: %w", err)
		}
		if i.AccessKeyID, err = randomAccessKeyID(); err != nil {
			return i, fmt.Errorf("choosing an access key: %w", err)
		}
		if value, err = i.encode(); err != nil {
			return i, fmt.Errorf("encoding the installation: %w", err)
		}
		value, err = s.CreateOnce(ctx, installationKey, value)
	}
	if err != nil {
		return i, fmt.Errorf("reading the installation: %w", err)
	}
	if len(value) == 0 || value[0] != installationVersion {
		return i, errors.New("reading the installation: written by a newer version of Postern")
	}
	i = installation{}
	if err := json.Unmarshal(value[1:], &i); err != nil {
		return i, fmt.Errorf("reading the installation: %w", err)
	}
	return i, nil
}

// randomAccount is twelve digits without a leading zero, which spreadsheets would eat.
func randomAccount() (string, error) {
	n, err := rand.Int(rand.Reader, big.NewInt(900_000_000_000))
	if err != nil {
		return "", err
	}
	return n.Add(n, big.NewInt(100_000_000_000)).String(), nil
}

// randomAccessKeyID is AKIA and sixteen letters or digits, AWS's form of a long-term key.
func randomAccessKeyID() (string, error) {
	var b [10]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", err
	}
	return "AKIA" + base32.StdEncoding.EncodeToString(b[:]), nil
}

// accessKeyPrefix is where access keys are. A value is a version byte, 1, and the JSON of
// accessKeyRecord.
const (
	accessKeyPrefix  = "/postern/v1/iam/access-key/"
	accessKeyVersion = 1
)

type accessKeyRecord struct {
	Account string
	Created time.Time
	// SealedSecret is the secret, sealed for the record's key.
	SealedSecret []byte
}

// accessKeys finds credentials in memory; it is the pipeline's Credentials.
type accessKeys struct {
	*store.View[awsapi.Credential]
}

// openAccessKeys follows the access keys, and makes the root key if it has none.
func openAccessKeys(ctx context.Context, s *store.Store, k *seal.Keeper, i installation, now func() time.Time) (*accessKeys, error) {
	record := accessKeyPrefix + i.AccessKeyID
	if _, found, err := s.Lookup(ctx, record); err != nil {
		return nil, fmt.Errorf("reading the access keys: %w", err)
	} else if !found {
		value, err := newAccessKey(k, record, i.Account, now())
		if err != nil {
			return nil, fmt.Errorf("making the access key: %w", err)
		}
		if _, err := s.CreateOnce(ctx, record, value); err != nil {
			return nil, fmt.Errorf("storing the access key: %w", err)
		}
	}
	view, err := store.NewView(ctx, s, accessKeyPrefix, func(r store.Record) (awsapi.Credential, error) {
		return openAccessKey(k, r)
	})
	if err != nil {
		return nil, fmt.Errorf("reading the access keys: %w", err)
	}
	return &accessKeys{view}, nil
}

func newAccessKey(k *seal.Keeper, record, account string, now time.Time) ([]byte, error) {
	var b [30]byte
	if _, err := rand.Read(b[:]); err != nil {
		return nil, err
	}
	sealed, err := k.Seal(record, []byte(base64.StdEncoding.EncodeToString(b[:])))
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(accessKeyRecord{Account: account, Created: now.UTC().Truncate(time.Second), SealedSecret: sealed})
	if err != nil {
		return nil, err
	}
	return append([]byte{accessKeyVersion}, body...), nil
}

func openAccessKey(k *seal.Keeper, r store.Record) (awsapi.Credential, error) {
	if len(r.Value) == 0 || r.Value[0] != accessKeyVersion {
		return awsapi.Credential{}, errors.New("an access key was written by a newer version of Postern")
	}
	var a accessKeyRecord
	if err := json.Unmarshal(r.Value[1:], &a); err != nil {
		return awsapi.Credential{}, fmt.Errorf("reading an access key: %w", err)
	}
	secret, err := k.Open(r.Key, a.SealedSecret)
	if err != nil {
		return awsapi.Credential{}, fmt.Errorf("opening an access key: %w", err)
	}
	return awsapi.Credential{
		Secret: seal.NewSecret(secret),
		// The only keys there are yet are the account's own.
		Caller: policy.Caller{
			Kind: policy.Root, ARN: policy.RootARN(a.Account), Account: a.Account,
			AccessKeyID: strings.TrimPrefix(r.Key, accessKeyPrefix),
		},
	}, nil
}

// Lookup implements awsapi.Credentials.
func (a *accessKeys) Lookup(_ context.Context, id string) (awsapi.Credential, error) {
	c, ok := a.Get(accessKeyPrefix + id)
	if !ok {
		return awsapi.Credential{}, awsapi.ErrUnknownKey
	}
	return c, nil
}
