package snapshot

import (
	"errors"
	"io"
	"os"
)

// createSync makes a new file of what write writes, and makes its bytes durable.
// Its name is durable after disk.SyncDir.
func createSync(path string, mode os.FileMode, write func(io.Writer) error) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	err = write(f)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
