package raftlog

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"

	"github.com/hashicorp/raft-wal/types"
	"go.etcd.io/bbolt"

	"github.com/lockstepkv/lockstep/internal/disk"
	"github.com/lockstepkv/lockstep/internal/failpoint"
)

// walMetaFile holds the segment list of the wal engine and the stable store.
const walMetaFile = "log-meta.db"

var (
	walBucket    = []byte("wal")
	stableBucket = []byte("stable")

	stateKey     = []byte("state")      // crc32c, then the segment list as JSON
	saltKey      = []byte("salt")       // 4 random bytes
	stableSumKey = []byte("stable-sum") // crc32c over all of the stable bucket
)

// walMeta keeps the segment list, in the words of raft-wal's types.MetaStore, and the stable values.
type walMeta struct {
	path string
	db   *bbolt.DB
	salt uint32
	// state is the segment list as it was stored, and then what recovery made of it.
	state types.PersistentState
}

// openWALMeta opens or creates the file in dir.
func openWALMeta(dir string, readOnly bool) (*walMeta, error) {
	path := filepath.Join(dir, walMetaFile)
	_, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) && !readOnly {
		err = createWALMeta(path)
	}
	if err != nil {
		return nil, err
	}
	db, err := openBolt(path, readOnly)
	if err != nil {
		return nil, err
	}
	if !readOnly {
		if err := settle(path, db); err != nil {
			return nil, errors.Join(err, db.Close())
		}
	}
	m := &walMeta{path: path, db: db}
	if err := guard(path, m.read); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return m, nil
}

// createWALMeta builds the file aside and renames it: bbolt cannot open one whose creation was cut short.
func createWALMeta(path string) error {
	tmp := path + ".tmp"
	if err := os.RemoveAll(tmp); err != nil {
		return err
	}
	db, err := bbolt.Open(tmp, 0o600, &bbolt.Options{Timeout: lockTimeout})
	if err != nil {
		return err
	}
	var salt [4]byte
	if _, err := rand.Read(salt[:]); err != nil {
		return errors.Join(err, db.Close())
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucket(walBucket)
		if err != nil {
			return err
		}
		if _, err := tx.CreateBucket(stableBucket); err != nil {
			return err
		}
		if err := b.Put(saltKey, withSum(salt[:])); err != nil {
			return err
		}
		return b.Put(stableSumKey, stableSum(tx.Bucket(stableBucket)))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	return disk.Rename(tmp, path)
}

// withSum puts a checksum before b; checkSum takes it off again.
func withSum(b []byte) []byte {
	out := binary.LittleEndian.AppendUint32(make([]byte, 0, 4+len(b)), crc32.Checksum(b, castagnoli))
	return append(out, b...)
}

func checkSum(b []byte) ([]byte, bool) {
	if len(b) < 4 || crc32.Checksum(b[4:], castagnoli) != binary.LittleEndian.Uint32(b) {
		return nil, false
	}
	return b[4:], true
}

// stableSum covers every key and value, so that a missing one is noticed too.
func stableSum(b *bbolt.Bucket) []byte {
	var all []byte
	c := b.Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		all = binary.AppendUvarint(all, uint64(len(k)))
		all = append(all, k...)
		all = binary.AppendUvarint(all, uint64(len(v)))
		all = append(all, v...)
	}
	return binary.LittleEndian.AppendUint32(nil, crc32.Checksum(all, castagnoli))
}

// read verifies and loads everything.
func (m *walMeta) read() error {
	return m.db.View(func(tx *bbolt.Tx) error {
		b, stable := tx.Bucket(walBucket), tx.Bucket(stableBucket)
		if b == nil || stable == nil {
			return corrupt(m.path, -1, 0, "bucket missing")
		}
		salt, ok := checkSum(b.Get(saltKey))
		if !ok || len(salt) != 4 {
			return corrupt(m.path, -1, 0, "salt damaged")
		}
		m.salt = binary.LittleEndian.Uint32(salt)
		if string(b.Get(stableSumKey)) != string(stableSum(stable)) {
			return corrupt(m.path, -1, 0, "stable store checksum mismatch")
		}
		raw := b.Get(stateKey)
		if raw == nil {
			return nil // created, but no segment yet
		}
		state, ok := checkSum(raw)
		if !ok {
			return corrupt(m.path, -1, 0, "segment list checksum mismatch")
		}
		if err := json.Unmarshal(state, &m.state); err != nil {
			return corrupt(m.path, -1, 0, "segment list: %w", err)
		}
		return nil
	})
}

// CommitState stores a segment list: one transaction, durable when it returns.
func (m *walMeta) CommitState(state types.PersistentState) error {
	return m.update(func(tx *bbolt.Tx) error {
		encoded, err := json.Marshal(state)
		if err != nil {
			return fmt.Errorf("encode segment list: %w", err)
		}
		return tx.Bucket(walBucket).Put(stateKey, withSum(encoded))
	})
}

func (m *walMeta) update(fn func(*bbolt.Tx) error) error {
	return guard(m.path, func() error {
		return m.db.Update(func(tx *bbolt.Tx) error {
			if err := failpoint.Inject("raftlog/meta"); err != nil {
				return err
			}
			return fn(tx)
		})
	})
}

// GetStable is nil without an error for a key that is not there.
func (m *walMeta) GetStable(key []byte) (val []byte, err error) {
	err = guard(m.path, func() error {
		return m.db.View(func(tx *bbolt.Tx) error {
			if v := tx.Bucket(stableBucket).Get(key); v != nil {
				val = append([]byte{}, v...)
			}
			return nil
		})
	})
	return val, err
}

// SetStable is durable when it returns.
func (m *walMeta) SetStable(key, value []byte) error {
	return m.update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(stableBucket)
		if err := b.Put(key, value); err != nil {
			return err
		}
		return tx.Bucket(walBucket).Put(stableSumKey, stableSum(b))
	})
}

// Close gives up the lock.
func (m *walMeta) Close() error { return m.db.Close() }
