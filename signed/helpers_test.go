package signed

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"sync"
	"testing"
	"time"
)

// causeOf is the cause of a refusal, or CauseNone for nil.
func causeOf(err error) Cause {
	if err == nil {
		return CauseNone
	}
	var r *Refusal
	if !errors.As(err, &r) {
		panic(err)
	}
	return r.Cause
}

// Key pairs are made once a test run: RSA-2048 takes a while.
var (
	rsaKey   = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })
	otherRSA = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })
	ecKey    = sync.OnceValue(func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) })
	otherEC  = sync.OnceValue(func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) })
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

const (
	rsaID = "KRSA2048TEST1"
	ecID  = "KECDSAP256TST"
)

// signerOf signs with SHA-256 unless told.
func signerOf(id string, key crypto.Signer) *Signer {
	return &Signer{KeyPairID: id, Key: key, AllowLegacyECDSASHA1: true}
}

func testKeys(t testing.TB) map[string]*Key {
	t.Helper()
	return map[string]*Key{
		rsaID: must(NewKey(rsaKey().Public())),
		ecID:  must(NewKey(ecKey().Public())),
	}
}

// noon is an arbitrary moment that all tests share. Nothing depends on the real clock.
var noon = time.Date(2031, 5, 1, 12, 0, 0, 0, time.UTC)
