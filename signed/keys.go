package signed

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// maxPEM is the longest key file read, in bytes. An RSA-4096 key has about 3,300.
const maxPEM = 64 << 10

// KeyError says why a key cannot be used. It never holds any of the key.
type KeyError struct {
	// Reason is one clause.
	Reason string
	// Hint says what to do, often as a command line. May be empty.
	Hint string

	err error
}

func (e *KeyError) Error() string {
	text := e.Reason
	if e.err != nil {
		text += ": " + e.err.Error()
	}
	if e.Hint != "" {
		text += " (" + e.Hint + ")"
	}
	return text
}

func (e *KeyError) Unwrap() error { return e.err }

// Key is a public key that may verify. Make one with [NewKey]; it is not to be changed after, and may be
// used by several goroutines.
type Key struct {
	// Public is an *rsa.PublicKey or an *ecdsa.PublicKey.
	Public crypto.PublicKey
	// Fingerprint is the SHA-256 of the key's SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7). Verdicts are
	// cached under it, and not under the key pair id, which may come to mean another key.
	Fingerprint [32]byte
}

// NewKey accepts what CloudFront accepts (private-content-trusted-signers): RSA of exactly 2048 bits and
// ECDSA on P-256. The error is a *[KeyError].
func NewKey(pub crypto.PublicKey) (*Key, error) {
	if k, ok := pub.(*rsa.PublicKey); ok && k.N.BitLen() != 2048 {
		return nil, &KeyError{
			Reason: fmt.Sprintf("an RSA key of %d bits; CloudFront takes 2048", k.N.BitLen()),
			Hint:   "openssl genrsa -traditional -out private.pem 2048, or P-256: openssl ecparam -name prime256v1 -genkey -noout -out private.pem",
		}
	}
	return NewTestVectorKey(pub)
}

// NewTestVectorKey is [NewKey] without the rule about RSA sizes: it takes any from 1024 to 4096 bits. AWS's
// published test vectors are signed with 1024-bit keys. Nothing but a test should call it.
func NewTestVectorKey(pub crypto.PublicKey) (*Key, error) {
	switch k := pub.(type) {
	case *rsa.PublicKey:
		if n := k.N.BitLen(); n < 1024 || n > 4096 {
			return nil, &KeyError{Reason: fmt.Sprintf("an RSA key of %d bits", n)}
		}
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() {
			return nil, &KeyError{
				Reason: fmt.Sprintf("an ECDSA key on %s; CloudFront takes P-256", k.Curve.Params().Name),
				Hint:   "openssl ecparam -name prime256v1 -genkey -noout -out private.pem",
			}
		}
	default:
		return nil, &KeyError{Reason: fmt.Sprintf("a key of type %T; CloudFront takes RSA-2048 and ECDSA P-256", pub)}
	}
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, &KeyError{Reason: "an unusable public key", err: err}
	}
	return &Key{Public: pub, Fingerprint: sha256.Sum256(der)}, nil
}

// String names the kind of key and its fingerprint.
func (k *Key) String() string {
	return keyKind(k.Public) + " " + hex.EncodeToString(k.Fingerprint[:])
}

// verify is the public-key operation.
func (k *Key) verify(h Hash, digest, sig []byte) bool {
	switch pub := k.Public.(type) {
	case *rsa.PublicKey:
		return len(sig) == pub.Size() && rsa.VerifyPKCS1v15(pub, h.crypto(), digest, sig) == nil
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(pub, digest, sig)
	}
	return false
}

func keyKind(pub crypto.PublicKey) string {
	switch k := pub.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA-%d", k.N.BitLen())
	case *ecdsa.PublicKey:
		return "ECDSA " + k.Curve.Params().Name
	}
	return fmt.Sprintf("%T", pub)
}

// ParsePrivateKey reads the one private key in a PEM text: PKCS#1 (RSA PRIVATE KEY), SEC 1 (EC PRIVATE
// KEY, with or without an EC PARAMETERS block before it) or PKCS#8 (PRIVATE KEY). The result is an
// *rsa.PrivateKey or an *ecdsa.PrivateKey; whether CloudFront takes its size or curve is for [NewKey] and
// [Signer]. The error is a *[KeyError] that says what the text is instead, and how to convert it.
func ParsePrivateKey(text []byte) (crypto.Signer, error) {
	block, err := onePEM(text, func(kind string) bool { return strings.HasSuffix(kind, "PRIVATE KEY") })
	if err != nil {
		return nil, err
	}
	var key any
	var parseErr error
	switch block.Type {
	case "RSA PRIVATE KEY":
		key, parseErr = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, parseErr = x509.ParseECPrivateKey(block.Bytes)
	case "PRIVATE KEY":
		key, parseErr = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "OPENSSH PRIVATE KEY":
		return nil, &KeyError{Reason: "the key is in OpenSSH's own format", Hint: "ssh-keygen -p -m PEM -f FILE rewrites it as PEM"}
	default:
		return nil, &KeyError{Reason: fmt.Sprintf("a PEM block %q; CloudFront takes RSA and ECDSA keys only", block.Type)}
	}
	if parseErr != nil {
		return nil, &KeyError{Reason: fmt.Sprintf("the PEM block %q holds no readable key", block.Type), Hint: "is the file complete?", err: parseErr}
	}
	switch k := key.(type) {
	case *rsa.PrivateKey:
		return k, nil
	case *ecdsa.PrivateKey:
		return k, nil
	}
	return nil, &KeyError{Reason: fmt.Sprintf("a private key of type %T; CloudFront takes RSA-2048 and ECDSA P-256", key)}
}

// ParsePublicKey reads the one public key in a PEM text: SubjectPublicKeyInfo (PUBLIC KEY) or PKCS#1 (RSA
// PUBLIC KEY). The error is a *[KeyError].
func ParsePublicKey(text []byte) (crypto.PublicKey, error) {
	block, err := onePEM(text, func(kind string) bool { return kind == "PUBLIC KEY" || kind == "RSA PUBLIC KEY" })
	if err != nil {
		return nil, err
	}
	var key any
	var parseErr error
	if block.Type == "PUBLIC KEY" {
		key, parseErr = x509.ParsePKIXPublicKey(block.Bytes)
	} else {
		key, parseErr = x509.ParsePKCS1PublicKey(block.Bytes)
	}
	if parseErr != nil {
		return nil, &KeyError{Reason: fmt.Sprintf("the PEM block %q holds no readable key", block.Type), Hint: "is the file complete?", err: parseErr}
	}
	switch key.(type) {
	case *rsa.PublicKey, *ecdsa.PublicKey:
		return key, nil
	}
	return nil, &KeyError{Reason: fmt.Sprintf("a public key of type %T; CloudFront takes RSA-2048 and ECDSA P-256", key)}
}

// onePEM finds the only block of a wanted kind. EC PARAMETERS, which openssl ecparam -genkey writes before
// the key, is passed over: the key names its curve itself.
func onePEM(text []byte, wanted func(kind string) bool) (*pem.Block, error) {
	if len(text) > maxPEM {
		return nil, &KeyError{Reason: fmt.Sprintf("the file has %d bytes, too many for a key", len(text))}
	}
	var found *pem.Block
	var others []string
	for rest := bytes.TrimPrefix(text, []byte("\ufeff")); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		switch {
		case block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "":
			return nil, &KeyError{Reason: "the private key is encrypted with a pass phrase", Hint: "openssl pkey -in FILE -traditional -out PLAIN asks for it and writes the key in the open"}
		case block.Type == "EC PARAMETERS":
		case !wanted(block.Type):
			others = append(others, block.Type)
		case found != nil:
			return nil, &KeyError{Reason: "the file holds more than one key", Hint: "keep one key in a file"}
		default:
			found = block
		}
	}
	if found == nil {
		return nil, noPEM(text, others)
	}
	return found, nil
}

// noPEM says what a text is that holds no wanted block.
func noPEM(text []byte, others []string) *KeyError {
	if len(others) > 0 {
		switch kind := others[0]; {
		case kind == "CERTIFICATE":
			return &KeyError{Reason: "this is a certificate, not a key", Hint: "openssl x509 -in FILE -pubkey -noout prints its public key"}
		case strings.HasSuffix(kind, "PUBLIC KEY"):
			return &KeyError{Reason: "this is a public key, and the private key is wanted", Hint: "signing needs the file that was kept; the public one is what CloudFront was given"}
		case strings.HasSuffix(kind, "PRIVATE KEY"):
			return &KeyError{Reason: "this is a private key, and the public key is wanted", Hint: "openssl pkey -in FILE -pubout prints it; do not hand the private one out"}
		default:
			return &KeyError{Reason: fmt.Sprintf("a PEM block %q is no key", cut(kind, 40))}
		}
	}
	trimmed := bytes.TrimSpace(text)
	switch {
	case len(trimmed) == 0:
		return &KeyError{Reason: "the file is empty"}
	case trimmed[0] == 0x30 && len(text) > 2 && text[1]&0x80 != 0:
		return &KeyError{Reason: "this is DER, and PEM is wanted", Hint: "openssl pkey -inform DER -in FILE -out KEY.pem; for a public key add -pubin"}
	case bytes.HasPrefix(trimmed, []byte("ssh-")) || bytes.HasPrefix(trimmed, []byte("ecdsa-sha2-")):
		return &KeyError{Reason: "this is an OpenSSH public key", Hint: "ssh-keygen -e -m PKCS8 -f FILE prints it as PEM"}
	case bytes.Contains(text, []byte("-----BEGIN EC PARAMETERS-----")):
		return &KeyError{Reason: "only EC PARAMETERS are in it, and no key", Hint: "openssl ecparam needs -genkey to make one"}
	case bytes.Contains(text, []byte(`\n`)) && bytes.Contains(text, []byte("-----BEGIN")):
		return &KeyError{Reason: `the line breaks of the PEM are written as \n`, Hint: `put real line breaks in, for example with printf '%b'`}
	case bytes.Contains(text, []byte("-----BEGIN")):
		return &KeyError{Reason: "the PEM is damaged", Hint: "BEGIN and END must stand on lines of their own, with the base64 between them complete"}
	}
	if inner, err := base64.StdEncoding.DecodeString(string(trimmed)); err == nil && bytes.Contains(inner, []byte("-----BEGIN")) {
		return &KeyError{Reason: "the PEM is wrapped in base64", Hint: "base64 -d FILE"}
	}
	return &KeyError{Reason: "no PEM in it", Hint: "a key file begins with -----BEGIN"}
}

// EncodePrivateKey writes a private key in the PEM form that every AWS-side tool reads: PKCS#1 for RSA,
// SEC 1 for ECDSA.
func EncodePrivateKey(key crypto.Signer) ([]byte, error) {
	switch k := key.(type) {
	case *rsa.PrivateKey:
		return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(k)}), nil
	case *ecdsa.PrivateKey:
		der, err := x509.MarshalECPrivateKey(k)
		if err != nil {
			return nil, fmt.Errorf("encoding private key: %w", err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), nil
	}
	return nil, errNoKeyMaterial
}

// EncodePrivateKeyPKCS8 writes a private key as PKCS#8 PEM.
func EncodePrivateKeyPKCS8(key crypto.Signer) ([]byte, error) {
	switch key.(type) {
	case *rsa.PrivateKey, *ecdsa.PrivateKey:
	default:
		return nil, errNoKeyMaterial
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encoding private key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

var errNoKeyMaterial = errors.New("encoding private key: only *rsa.PrivateKey and *ecdsa.PrivateKey hold their key")

// EncodePublicKey writes a public key as SubjectPublicKeyInfo PEM, the form of a CloudFront public key's
// EncodedKey.
func EncodePublicKey(pub crypto.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, fmt.Errorf("encoding public key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}
