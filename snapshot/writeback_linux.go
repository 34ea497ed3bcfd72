package snapshot

import (
	"os"

	"golang.org/x/sys/unix"
)

// startWriteback asks the kernel to begin writing a range of f to the disk. It
// does not wait: a snapshot whose bytes reach the disk all at once, by the fsync
// at its end, would hold up the fsyncs of the log. A refusal does not matter.
func startWriteback(f *os.File, offset, length int64) {
	_ = unix.SyncFileRange(int(f.Fd()), offset, length, unix.SYNC_FILE_RANGE_WRITE)
}
