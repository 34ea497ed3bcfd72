package raftlog

import (
	"errors"
	"fmt"
	"os"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
	"golang.org/x/sys/unix"
)

// lockTimeout bounds the wait for the file lock: a process that restarts may meet the dying one.
const lockTimeout = time.Second

// openBolt opens an existing bbolt file after checking what bbolt takes on trust.
func openBolt(path string, readOnly bool) (*bbolt.DB, error) {
	return OpenBolt(path, readOnly, lockTimeout)
}

// OpenBolt is for other bbolt files of a node. It waits for the lock twice as long as timeout at most.
// Errors: *CorruptError, ErrLocked, or what the operating system says. Guard what is done with the file.
func OpenBolt(path string, readOnly bool, timeout time.Duration) (*bbolt.DB, error) {
	if err := checkBoltFile(path, readOnly, timeout); err != nil {
		return nil, err
	}
	var db *bbolt.DB
	err := guard(path, func() (err error) {
		db, err = bbolt.Open(path, 0o600, &bbolt.Options{Timeout: timeout, ReadOnly: readOnly})
		return err
	})
	return db, boltOpenError(path, err)
}

// settle makes what can be read from an open file durable. The newest meta page may not be: when its fsync
// failed, the kernel takes the page for clean, shows it to every reader until it needs the memory, and no
// later fsync writes it (Rebello et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020).
// A vote that was read from it would be undone by a power failure. What a meta page points to was synced
// before it, so one more transaction, which writes the other meta page, is enough.
func settle(path string, db *bbolt.DB) error {
	return guard(path, func() error { return db.Update(func(*bbolt.Tx) error { return nil }) })
}

// boltOpenError tells a lock held elsewhere from a file that cannot be opened.
func boltOpenError(path string, err error) error {
	var known *CorruptError
	var pathErr *os.PathError
	switch {
	case err == nil || errors.As(err, &known):
		return err
	case errors.Is(err, bolterrors.ErrTimeout):
		return fmt.Errorf("%w: %s", ErrLocked, path)
	case errors.As(err, &pathErr):
		return fmt.Errorf("open %s: %w", path, err)
	}
	return &CorruptError{File: path, Offset: -1, Err: err}
}

// checkBoltFile runs boltCheck while nobody writes. The lock is bbolt's own (flock) and given back, so that
// bbolt can take it.
func checkBoltFile(path string, readOnly bool, timeout time.Duration) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close() // gives up the lock
	how := unix.LOCK_EX
	if readOnly {
		how = unix.LOCK_SH
	}
	if err := flockWithin(f, how, timeout); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrLocked, path, err)
	}
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if offset, err := checkBoltPages(f, st.Size()); err != nil {
		return &CorruptError{File: path, Offset: offset, Err: err}
	}
	return nil
}

func flockWithin(f *os.File, how int, timeout time.Duration) error {
	deadline := time.Now().Add(timeout)
	for {
		err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) || time.Now().After(deadline) {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}
