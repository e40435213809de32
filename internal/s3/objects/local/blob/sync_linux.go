package blob

import (
	"golang.org/x/sys/unix"
	"os"
)

// needsFolderSync says whether the folder's file system wants an fsync of the folder besides that of
// a new file in it. POSIX leaves it open. On the journalling file systems below, fsync of a file that
// was just created also commits its creation: ext4 in the same or an earlier journal transaction, and
// without a journal by ext4_sync_parent; XFS by forcing the log up to the inode's last change; btrfs
// by logging the new name with the inode. Nothing on tmpfs outlives power anyway.
func needsFolderSync(dir string) bool {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return true
	}
	switch st.Type {
	case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.TMPFS_MAGIC:
		return false
	}
	return true
}

// startWriteback asks the kernel to begin writing the file's dirty pages. It is a hint: the fsync at
// the end is what makes them durable.
func startWriteback(f File) {
	if f, ok := f.(*os.File); ok {
		unix.SyncFileRange(int(f.Fd()), 0, 0, unix.SYNC_FILE_RANGE_WRITE)
	}
}
