package up

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"postern/internal/durable"
	"postern/internal/seal"
)

// The parts of the data folder; see the package comment.
const (
	envFileName  = "env.json"
	lockFileName = "up.lock"
	rootKeyFile  = "root.key"
	caFile       = "ca.pem"
	keysDir      = "keys"
	storeDir     = "store"
	objectsDir   = "objects"
	auditDir     = "audit"
)

// ErrNotOurs: the folder has something in it, and is no data folder.
var ErrNotOurs = errors.New("the folder is not empty and is no data folder of Postern")

// prepareFolder makes the data folder, or takes one that is empty or a data folder already, and makes
// it private to this user.
func prepareFolder(data string) error {
	info, err := os.Stat(data)
	if errors.Is(err, fs.ErrNotExist) {
		if err := durable.MkdirAll(data, 0o700); err != nil {
			return fmt.Errorf("making the data folder: %w", err)
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("opening the data folder: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("opening the data folder: %s is not a folder", data)
	}
	// In somebody else's folder, somebody else can put other files in the place of ours.
	if s, ok := info.Sys().(*syscall.Stat_t); ok && int(s.Uid) != os.Geteuid() {
		return fmt.Errorf("opening the data folder: %s belongs to another user (uid %d): use a folder of your own", data, s.Uid)
	}
	entries, err := os.ReadDir(data)
	if err != nil {
		return fmt.Errorf("opening the data folder: %w", err)
	}
	ours := len(entries) == 0
	for _, e := range entries {
		ours = ours || e.Name() == lockFileName || e.Name() == rootKeyFile
	}
	if !ours {
		return fmt.Errorf("opening %s: %w", data, ErrNotOurs)
	}
	if info.Mode().Perm() != 0o700 {
		if err := os.Chmod(data, 0o700); err != nil {
			return fmt.Errorf("making the data folder private: %w", err)
		}
	}
	return nil
}

// checkWhole refuses a folder of which a part has gone. Its first start is over once env.json is there;
// making the missing part anew would pass over a loss in silence, and hide what is left.
func checkWhole(data string) error {
	if _, err := os.Stat(filepath.Join(data, envFileName)); err != nil {
		return nil // a first start, or one that was cut off
	}
	for _, part := range []string{storeDir, objectsDir} {
		if _, err := os.Stat(filepath.Join(data, part)); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("opening the data folder: %s is missing in %s: put it back from a backup, or start on an empty folder without what was in it", part, data)
		}
	}
	return nil
}

// openRootKey reads the root key, or makes it in a folder that has no records yet. Records without
// their root key are lost, and a new key would only hide that.
func openRootKey(data string) (*seal.RootKey, error) {
	file := filepath.Join(data, rootKeyFile)
	root, err := seal.OpenKeyFile(file)
	if !errors.Is(err, fs.ErrNotExist) {
		return root, err
	}
	if _, err := os.Stat(filepath.Join(data, storeDir)); err == nil {
		return nil, fmt.Errorf("opening the root key: %s is missing, and the records in %s cannot be read without it: put it back from where you keep it", file, storeDir)
	}
	return seal.CreateKeyFile(file)
}

// writeFileIfNew writes a file unless it has that content already.
func writeFileIfNew(file string, content []byte, perm fs.FileMode) error {
	if old, err := os.ReadFile(file); err == nil && string(old) == string(content) {
		return nil
	}
	return durable.WriteFile(file, content, perm)
}

func removeFile(file string) error {
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
