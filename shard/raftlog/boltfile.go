package raftlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// lockTimeout bounds the wait for the file lock: a process that restarts may meet the dying one.
const lockTimeout = 2 * time.Second

// openBolt opens an existing bbolt file after checking what bbolt itself takes on trust.
func openBolt(path string, readOnly bool) (*bbolt.DB, error) {
	var db *bbolt.DB
	err := guard(path, func() (err error) {
		db, err = bbolt.Open(path, 0o600, &bbolt.Options{
			Timeout: lockTimeout, ReadOnly: readOnly, PreLoadFreelist: true,
			FreelistType: bbolt.FreelistMapType,
		})
		return err
	})
	if err != nil {
		return nil, boltOpenError(path, err)
	}
	if err := checkBolt(path, db); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// boltOpenError tells a lock held elsewhere from a file that cannot be opened.
func boltOpenError(path string, err error) error {
	var known *CorruptError
	var pathErr *os.PathError
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return fmt.Errorf("%w: %s", ErrLocked, path)
	case errors.As(err, &known):
		return err
	case errors.As(err, &pathErr):
		return fmt.Errorf("open %s: %w", path, err)
	}
	return &CorruptError{File: path, Offset: -1, Err: err}
}

// checkBolt verifies the two meta pages and the page structure. bbolt silently falls back to the older
// meta page when the newer one is damaged, which would undo an acknowledged write; a meta page fits one
// disk sector, so a crash does not leave half of one.
func checkBolt(path string, db *bbolt.DB) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	pageSize := int64(db.Info().PageSize)
	for page := range int64(2) {
		if err := checkBoltMeta(f, page*pageSize); err != nil {
			return &CorruptError{File: path, Offset: page * pageSize, Err: err}
		}
	}
	return guard(path, func() error {
		return db.View(func(tx *bbolt.Tx) error {
			var first error
			for err := range tx.Check() { // the channel must be drained
				if first == nil {
					first = &CorruptError{File: path, Offset: -1, Err: err}
				}
			}
			return first
		})
	})
}

// Layout of a bbolt meta page: a page header, then the meta with its FNV-1a sum at the end.
const (
	boltPageHeaderLen = 16
	boltMetaLen       = 56
	boltMagic         = 0xED0CDAED
)

func checkBoltMeta(r io.ReaderAt, offset int64) error {
	var b [boltPageHeaderLen + boltMetaLen + 8]byte
	if _, err := r.ReadAt(b[:], offset); err != nil {
		return fmt.Errorf("read meta page: %w", err)
	}
	meta := b[boltPageHeaderLen:]
	if binary.NativeEndian.Uint32(meta) != boltMagic {
		return errors.New("meta page has no magic number")
	}
	sum := fnv.New64a()
	sum.Write(meta[:boltMetaLen])
	if sum.Sum64() != binary.NativeEndian.Uint64(meta[boltMetaLen:]) {
		return errors.New("meta page checksum mismatch")
	}
	return nil
}
