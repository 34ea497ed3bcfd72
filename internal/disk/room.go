package disk

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Free returns how many bytes of the file system that path is in are free for this
// process.
func Free(path string) (int64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil {
		return 0, err
	}
	if s.Blocks == 0 {
		return 0, fmt.Errorf("the file system of %s does not tell its size", path)
	}
	return int64(s.Bavail) * int64(s.Bsize), nil
}

// IsFull reports whether err says that there is no room.
func IsFull(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT)
}
