package up

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// ErrNoFolder: there is no Postern in that folder.
var ErrNoFolder = errors.New("there is no Postern in this folder")

// Environment is DATA/env.json, mode 0600: what `postern env` prints. `up` writes it at every start,
// once the listeners are open and their ports known. It holds the root secret in clear, like
// ~/.aws/credentials, because the AWS tools that it is for want it in clear.
type Environment struct {
	// Version is the format's; this program reads 1.
	Version         int    `json:"version"`
	Endpoint        string `json:"endpoint,omitempty"` // of the control listener; empty for --role edge
	AccessKeyID     string `json:"accessKeyId"`
	SecretAccessKey string `json:"secretAccessKey"`
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

// ReadEnvironment reads the file. The error wraps [ErrNoFolder] if there is none.
func ReadEnvironment(data string) (Environment, error) {
	var e Environment
	text, err := os.ReadFile(filepath.Join(data, envFileName))
	if errors.Is(err, fs.ErrNotExist) {
		return e, fmt.Errorf("%w: %s", ErrNoFolder, data)
	}
	if err != nil {
		return e, fmt.Errorf("reading the environment of the data folder: %w", err)
	}
	if err := json.Unmarshal(text, &e); err != nil {
		return e, fmt.Errorf("reading %s: not the file that postern up writes", envFileName)
	}
	if e.Version != environmentVersion {
		return e, fmt.Errorf("reading %s: format %d, and this postern reads %d", envFileName, e.Version, environmentVersion)
	}
	return e, nil
}
