package shard

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"

	"go.etcd.io/bbolt"

	"github.com/lockstepkv/lockstep/shard/raftlog"
)

// bbolt has no checksums of what it keeps. So node.db has one sum over every bucket, key and
// value, verified by every transaction and written with every change: a value that changed by
// itself is noticed, and so is one that has gone.

var (
	bucketSum = []byte("sum")
	keySum    = []byte("crc32c")

	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

// whole lists the buckets that node.db has from its first transaction on.
var whole = [][]byte{bucketNode, bucketQuarantine, bucketDiverged}

// damagedMeta says what is wrong with node.db and what to do.
func damagedMeta(path, format string, args ...any) error {
	return fmt.Errorf("%w: %s is damaged (%s); start with an empty --data-dir, and the node is repaired from the others, or restore a backup if there are none",
		ErrDataFormat, path, fmt.Sprintf(format, args...))
}

// guardMeta runs fn; what bbolt panics with on a damaged page is an error.
func guardMeta(path string, fn func() error) error {
	err := raftlog.Guard(path, fn)
	var corrupt *raftlog.CorruptError
	switch {
	case !errors.As(err, &corrupt):
		return err
	case corrupt.Offset >= 0:
		return damagedMeta(path, "at offset %d: %v", corrupt.Offset, corrupt.Err)
	default: // the log's own error would be taken for a damaged log
		return damagedMeta(path, "%v", corrupt.Err)
	}
}

// viewMeta reads what is sound.
func viewMeta(db *bbolt.DB, path string, fn func(*bbolt.Tx) error) error {
	return guardMeta(path, func() error {
		return db.View(func(tx *bbolt.Tx) error {
			if err := checkMeta(tx, path); err != nil {
				return err
			}
			return fn(tx)
		})
	})
}

// updateMeta changes what is sound.
func updateMeta(db *bbolt.DB, path string, fn func(*bbolt.Tx) error) error {
	return guardMeta(path, func() error {
		return db.Update(func(tx *bbolt.Tx) error {
			if err := checkMeta(tx, path); err != nil {
				return err
			}
			if err := fn(tx); err != nil {
				return err
			}
			return sealMeta(tx)
		})
	})
}

// checkMeta verifies everything.
func checkMeta(tx *bbolt.Tx, path string) error {
	for _, name := range whole {
		if tx.Bucket(name) == nil {
			return damagedMeta(path, "it has no bucket %q", name)
		}
	}
	sums := tx.Bucket(bucketSum)
	if sums == nil || sums.Get(keySum) == nil {
		return damagedMeta(path, "it has no checksum")
	}
	sum, err := metaSum(tx)
	if err != nil {
		return damagedMeta(path, "%v", err)
	}
	if !bytes.Equal(sums.Get(keySum), sum) {
		return damagedMeta(path, "its contents do not match their checksum")
	}
	return nil
}

// sealMeta writes the sum of everything.
func sealMeta(tx *bbolt.Tx) error {
	sums, err := tx.CreateBucketIfNotExists(bucketSum)
	if err != nil {
		return err
	}
	sum, err := metaSum(tx)
	if err != nil {
		return err
	}
	return sums.Put(keySum, sum)
}

// metaSum sums up all but the sum itself.
func metaSum(tx *bbolt.Tx) ([]byte, error) {
	var all []byte
	add := func(parts ...[]byte) {
		for _, p := range parts {
			all = append(binary.AppendUvarint(all, uint64(len(p))), p...)
		}
	}
	err := tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
		if b == nil {
			return fmt.Errorf("%q is no bucket", name)
		}
		if bytes.Equal(name, bucketSum) {
			return nil
		}
		all = append(all, 'b')
		add(name)
		return b.ForEach(func(k, v []byte) error {
			if v == nil {
				return fmt.Errorf("%q in bucket %q is no value", k, name)
			}
			all = append(all, 'k')
			add(k, v)
			return nil
		})
	})
	return binary.LittleEndian.AppendUint32(nil, crc32.Checksum(all, castagnoli)), err
}

// createBolt opens a file that may be new; what is left of a creation that was cut short may
// be damaged.
func createBolt(path string) (*bbolt.DB, error) {
	info, err := os.Stat(path)
	if err == nil && info.Size() > 0 {
		return raftlog.OpenBolt(path, false, metaLockTimeout)
	}
	return bbolt.Open(path, 0o600, &bbolt.Options{Timeout: metaLockTimeout})
}
