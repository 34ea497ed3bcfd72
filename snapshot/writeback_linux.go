package snapshot

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// writeback asks the kernel to begin writing f from begun to end to the disk, and waits
// for what is between from and begun. What it reports of a failed write, no later fsync
// would report again.
func writeback(f *os.File, from, begun, end int64) error {
	err := unix.SyncFileRange(int(f.Fd()), begun, end-begun, unix.SYNC_FILE_RANGE_WRITE)
	if err == nil && begun > from {
		err = unix.SyncFileRange(int(f.Fd()), from, begun-from,
			unix.SYNC_FILE_RANGE_WAIT_BEFORE|unix.SYNC_FILE_RANGE_WRITE|unix.SYNC_FILE_RANGE_WAIT_AFTER)
	}
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ESPIPE) {
		return f.Sync() // not on this file system
	}
	return err
}
