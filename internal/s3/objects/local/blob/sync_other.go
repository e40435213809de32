//go:build !linux

package blob

// needsFolderSync: where nothing better is known, POSIX's rule holds.
func needsFolderSync(string) bool { return true }

func startWriteback(File) {}
