// Package durable writes files that survive a crash and a loss of power, or not at all.
package durable

import (
	"errors"
	"os"
)

// WriteFile replaces the file at path by data: temporary file, fsync, rename, fsync of the folder.
func WriteFile(path string, data []byte, perm os.FileMode) error { return errors.ErrUnsupported }

// CreateFile is WriteFile for a file that must not exist yet; if it does, the error is fs.ErrExist.
func CreateFile(path string, data []byte, perm os.FileMode) error { return errors.ErrUnsupported }

// MkdirAll is os.MkdirAll, with each new folder's parent synced.
func MkdirAll(path string, perm os.FileMode) error { return errors.ErrUnsupported }

// SyncDir makes the folder's entries durable.
func SyncDir(path string) error { return errors.ErrUnsupported }
