package main

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"os"
	"strings"

	"postern/signed"
)

// environmentHint is the way out of most "which key, which endpoint" errors.
const environmentHint = `With a Postern running in this folder: eval "$(postern env)" sets everything.`

// signingKey is a private key with the id under which the edge knows its public half.
type signingKey struct {
	id     string
	signer crypto.Signer
	public *signed.Key
}

// loadSigningKey reads the key that --key and --key-pair-id name.
func loadSigningKey(env Env, file, id string) (signingKey, error) {
	if file == "" {
		return signingKey{}, usage(errors.New("no private key"),
			"Give --key FILE, or set POSTERN_PRIVATE_KEY_FILE.", environmentHint)
	}
	if err := checkKeyPairID(id); err != nil {
		return signingKey{}, err
	}
	pem, err := env.readFile(file)
	if err != nil {
		return signingKey{}, failed(fmt.Errorf("reading the private key: %w", err))
	}
	if info, err := os.Stat(env.path(file)); err == nil && file != "-" && info.Mode().Perm()&0o077 != 0 {
		env.warn("the private key %s can be read by others (mode %04o): chmod 600 it", file, info.Mode().Perm())
	}
	return newSigningKey(pem, file, id)
}

func newSigningKey(pem []byte, from, id string) (signingKey, error) {
	signer, err := signed.ParsePrivateKey(pem)
	if err != nil {
		hints := []string{"Give a PEM file with an RSA-2048 or P-256 private key: PKCS#1, PKCS#8 or SEC 1."}
		if bytes.Contains(pem, []byte("PUBLIC KEY-----")) {
			hints = []string{"This file holds a public key; signing takes the private one."}
		}
		return signingKey{}, usage(fmt.Errorf("reading the private key %s: %w", from, err), hints...)
	}
	public, err := signed.NewKey(signer.Public())
	if err != nil {
		return signingKey{}, usage(fmt.Errorf("using the private key %s: %w", from, err),
			"CloudFront takes RSA keys of 2048 bits and ECDSA keys on P-256, and no other.")
	}
	return signingKey{id: id, signer: signer, public: public}, nil
}

// checkKeyPairID refuses what cannot be a CloudFront key id (K…, formerly APKA…); the commonest
// mistake is to give the key itself.
func checkKeyPairID(id string) error {
	const hint = "It is the id CloudFront gave the public key, such as K2JCJMDEHXQW5F: see postern keys list."
	switch {
	case id == "":
		return usage(errors.New("no key pair id"), "Give --key-pair-id ID, or set POSTERN_KEY_PAIR_ID.", hint)
	case strings.Contains(id, "-----BEGIN"):
		return usage(errors.New("the key pair id is a PEM key"), hint)
	}
	for _, r := range id {
		if (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') {
			return usage(fmt.Errorf("the key pair id holds %q, and can only hold letters and digits", r), hint)
		}
	}
	return nil
}
