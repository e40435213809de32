package up

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"postern/internal/durable"
	"postern/internal/seal"
)

// ErrNoFolder: there is no Postern in that folder.
var ErrNoFolder = errors.New("there is no Postern in this folder")

// Environment is DATA/env.json, mode 0600: what `postern env` prints. `up` writes it at every start,
// once the listeners are open and their ports known. The secret is in the file sealed under the root key.
type Environment struct {
	// Version is the format's; this program reads 1.
	Version         int    `json:"version"`
	Endpoint        string `json:"endpoint,omitempty"` // of the control listener; empty for --role edge
	AccessKeyID     string `json:"accessKeyId"`
	SecretAccessKey string `json:"-"`
	Region          string `json:"region"`
	Account         string `json:"account"`
	URL             string `json:"url,omitempty"` // of the public listener; empty for --role control
	URLTLS          string `json:"urlTls,omitempty"`
	Bucket          string `json:"bucket"`
	KeyPairID       string `json:"keyPairId"`
	// PrivateKeyFile is relative to the data folder, which may be moved.
	PrivateKeyFile string `json:"privateKeyFile"`
}

const environmentVersion = 1

// environmentFile is the form of the file.
type environmentFile struct {
	Environment
	SealedSecretAccessKey []byte `json:"sealedSecretAccessKey"`
}

// sealedSecretName is the name under which the root key seals the secret in the file.
const sealedSecretName = envFileName + "/secretAccessKey"

func writeEnvironment(data string, root *seal.RootKey, e Environment) error {
	sealed, err := root.Seal(sealedSecretName, []byte(e.SecretAccessKey))
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(environmentFile{e, sealed}, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the environment: %w", err)
	}
	if err := durable.WriteFile(filepath.Join(data, envFileName), append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("writing the environment: %w", err)
	}
	return nil
}

// ReadEnvironment reads the file, and opens the secret with the folder's root key. The error wraps
// [ErrNoFolder] if there is no such file.
func ReadEnvironment(data string) (Environment, error) {
	var e environmentFile
	text, err := os.ReadFile(filepath.Join(data, envFileName))
	if errors.Is(err, fs.ErrNotExist) {
		return Environment{}, fmt.Errorf("%w: %s", ErrNoFolder, data)
	}
	if err != nil {
		return Environment{}, fmt.Errorf("reading the environment of the data folder: %w", err)
	}
	if err := json.Unmarshal(text, &e); err != nil {
		return Environment{}, fmt.Errorf("reading %s: not the file that postern up writes", envFileName)
	}
	if e.Version != environmentVersion {
		return Environment{}, fmt.Errorf("reading %s: format %d, and this postern reads %d", envFileName, e.Version, environmentVersion)
	}
	root, err := seal.OpenKeyFile(filepath.Join(data, rootKeyFile))
	if err != nil {
		return Environment{}, fmt.Errorf("opening the secret access key: %w", err)
	}
	secret, err := root.Open(sealedSecretName, e.SealedSecretAccessKey)
	if err != nil {
		return Environment{}, err
	}
	e.SecretAccessKey = string(secret)
	return e.Environment, nil
}
