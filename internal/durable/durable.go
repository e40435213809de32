// Package durable writes files that are there, whole, after a crash or a loss of power, or are not
// there at all. A write is: a temporary file in the same folder, fsync, rename, fsync of the folder.
// Other rooms use it for everything that is small and must not be lost: the root key, credentials,
// key files, the record store's marks.
package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// WriteFile puts data at path in one step: a reader, and a start after a crash, sees the old file or
// the new one. perm is set exactly, whatever the umask. When WriteFile has returned nil the file
// survives a loss of power; on an error the old file is as it was.
//
// A symbolic link at path is replaced, not followed.
func WriteFile(path string, data []byte, perm os.FileMode) error {
	return write(path, data, perm, os.Rename)
}

// CreateFile is [WriteFile] for a file that must not be there yet: if there is anything at path, the
// error wraps fs.ErrExist and what is there stays. Of several processes that create one file at the
// same time, one wins.
func CreateFile(path string, data []byte, perm os.FileMode) error {
	// link(2), unlike rename(2), refuses to replace.
	return write(path, data, perm, os.Link)
}

func write(path string, data []byte, perm os.FileMode, publish func(from, to string) error) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".tmp-*")
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	err = func() error {
		// After a rename there is nothing left to remove, which is no fault.
		defer os.Remove(f.Name())
		defer f.Close()
		if _, err := f.Write(data); err != nil {
			return err
		}
		if err := f.Chmod(perm); err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
		return publish(f.Name(), path)
	}()
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return SyncDir(dir)
}

// MkdirAll makes a folder and what is missing above it, each with exactly perm, and makes each
// durable. A folder that is there already keeps its mode.
func MkdirAll(path string, perm os.FileMode) error {
	path = filepath.Clean(path)
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return nil
	case err == nil:
		return fmt.Errorf("making the folder %s: there is a file in its place", path)
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("making the folder %s: %w", path, err)
	}
	parent := filepath.Dir(path)
	if err := MkdirAll(parent, perm); err != nil {
		return err
	}
	if err := os.Mkdir(path, perm); errors.Is(err, fs.ErrExist) {
		// Another process made it in the meantime.
		return MkdirAll(path, perm)
	} else if err != nil {
		return fmt.Errorf("making the folder %s: %w", path, err)
	}
	if err := os.Chmod(path, perm); err != nil { // the umask may have taken bits away
		return fmt.Errorf("making the folder %s: %w", path, err)
	}
	return SyncDir(parent)
}

// SyncDir makes the entries of a folder durable: the names of files made, renamed and removed in it.
func SyncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("syncing the folder %s: %w", path, err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("syncing the folder %s: %w", path, err)
	}
	return nil
}
