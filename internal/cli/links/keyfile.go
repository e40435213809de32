package links

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"os"
	"strings"

	"postern/internal/cli"
	"postern/signed"
)

// signingKey is a private key with the id under which the edge knows its public half.
type signingKey struct {
	id     string
	signer crypto.Signer
	public *signed.Key
}

// loadSigningKey reads the key that --key and --key-pair-id name.
func loadSigningKey(env cli.Env, file, id string) (signingKey, error) {
	if file == "" {
		return signingKey{}, cli.Usage(errors.New("no private key"),
			"Give --key FILE, or set POSTERN_PRIVATE_KEY_FILE.", cli.EnvironmentHint)
	}
	if err := checkKeyPairID(id); err != nil {
		return signingKey{}, err
	}
	signer, public, err := ReadPrivateKey(env, file)
	if err != nil {
		return signingKey{}, err
	}
	return signingKey{id: id, signer: signer, public: public}, nil
}

// ReadPrivateKey reads a PEM file with a key that CloudFront takes. It warns about a file that others
// can read.
func ReadPrivateKey(env cli.Env, file string) (crypto.Signer, *signed.Key, error) {
	pem, err := env.ReadFile(file)
	if err != nil {
		return nil, nil, cli.Failed(fmt.Errorf("reading the private key: %w", err))
	}
	if info, err := os.Stat(env.Path(file)); err == nil && file != "-" && info.Mode().Perm()&0o077 != 0 {
		env.Warn("the private key %s can be read by others (mode %04o): chmod 600 it", file, info.Mode().Perm())
	}
	return parsePrivateKey(pem, file)
}

func parsePrivateKey(pem []byte, from string) (crypto.Signer, *signed.Key, error) {
	signer, err := signed.ParsePrivateKey(pem)
	if err != nil {
		hint := "Give a PEM file with an RSA-2048 or P-256 private key: PKCS#1, PKCS#8 or SEC 1."
		if bytes.Contains(pem, []byte("PUBLIC KEY-----")) {
			hint = "This file holds a public key; signing takes the private one."
		}
		return nil, nil, cli.Usage(fmt.Errorf("reading the private key %s: %w", from, err), hint)
	}
	public, err := signed.NewKey(signer.Public())
	if err != nil {
		return nil, nil, cli.Usage(fmt.Errorf("using the private key %s: %w", from, err),
			"CloudFront takes RSA keys of 2048 bits and ECDSA keys on P-256, and no other.")
	}
	return signer, public, nil
}

// checkKeyPairID refuses what cannot be a CloudFront key id (K…, formerly APKA…); the commonest
// mistake is to give the key itself.
func checkKeyPairID(id string) error {
	const hint = "It is the id CloudFront gave the public key, such as K2JCJMDEHXQW5F: see postern keys list."
	switch {
	case id == "":
		return cli.Usage(errors.New("no key pair id"), "Give --key-pair-id ID, or set POSTERN_KEY_PAIR_ID.", hint)
	case strings.Contains(id, "-----BEGIN"):
		return cli.Usage(errors.New("the key pair id is a PEM key"), hint)
	}
	for _, r := range id {
		if (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') {
			return cli.Usage(fmt.Errorf("the key pair id holds %q, and can only hold letters and digits", r), hint)
		}
	}
	return nil
}
