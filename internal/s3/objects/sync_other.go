//go:build !linux

package objects

// needsFolderSync: where nothing better is known, POSIX's rule holds.
func needsFolderSync(string) bool { return true }

func startWriteback(blobFile) {}
