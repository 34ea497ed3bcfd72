package disk

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// Preallocate makes an empty file this long, and takes the room for it where the file system can: else the file
// is one hole.
func Preallocate(f *os.File, size int64) error {
	err := unix.Fallocate(int(f.Fd()), 0, 0, size)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EINTR) {
		return f.Truncate(size)
	}
	return err
}
