package signed

import "crypto"

// ParsePrivateKey reads an RSA or P-256 private key from PEM (PKCS#1, PKCS#8, SEC 1).
func ParsePrivateKey(pem []byte) (crypto.Signer, error) { return nil, errPending }

// ParsePublicKey reads a public key from PEM (SPKI, PKCS#1).
func ParsePublicKey(pem []byte) (crypto.PublicKey, error) { return nil, errPending }

// EncodePrivateKey writes PKCS#1 for RSA and SEC 1 for P-256.
func EncodePrivateKey(key crypto.Signer) ([]byte, error) { return nil, errPending }

// EncodePrivateKeyPKCS8 writes PKCS#8.
func EncodePrivateKeyPKCS8(key crypto.Signer) ([]byte, error) { return nil, errPending }

// EncodePublicKey writes SPKI.
func EncodePublicKey(pub crypto.PublicKey) ([]byte, error) { return nil, errPending }

// Key is a public key that may verify.
type Key struct {
	Public      crypto.PublicKey
	Fingerprint [32]byte
}

// NewKey accepts RSA-2048 and P-256.
func NewKey(pub crypto.PublicKey) (*Key, error) { return nil, errPending }

// NewTestVectorKey also accepts the 1024-bit keys of AWS's published vectors.
func NewTestVectorKey(pub crypto.PublicKey) (*Key, error) { return nil, errPending }
