package raftlog

import (
	"bytes"
	"encoding/binary"

	"github.com/hashicorp/go-msgpack/v2/codec"
	"github.com/hashicorp/raft"
	"go.etcd.io/bbolt"
)

// boltStore reads and writes the file of raft-boltdb/v2: one bucket of entries by big-endian index, each in
// msgpack, and one of stable values. It is not raft-boltdb itself because that takes boltdb/bolt into the
// program, unmaintained since 2018, to migrate files of its first version.
type boltStore struct{ db *bbolt.DB }

// Buckets of raft-boltdb.
const (
	boltLogs   = "logs"
	boltStable = "conf"
)

func openBoltStore(path string, o *bbolt.Options) (*boltStore, error) {
	db, err := bbolt.Open(path, 0o600, o)
	if err != nil {
		return nil, err
	}
	return &boltStore{db: db}, nil
}

// prepare creates the buckets that are missing. It commits a transaction in any case, see settle.
func (s *boltStore) prepare() error {
	return s.db.Update(func(tx *bbolt.Tx) error {
		for _, name := range []string{boltLogs, boltStable} {
			if _, err := tx.CreateBucketIfNotExists([]byte(name)); err != nil {
				return err
			}
		}
		return nil
	})
}

func boltKey(index uint64) []byte { return binary.BigEndian.AppendUint64(nil, index) }

// bounds are 0 and 0 for an empty log.
func (s *boltStore) bounds() (first, last uint64, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		c := tx.Bucket([]byte(boltLogs)).Cursor()
		if k, _ := c.First(); k != nil {
			first = binary.BigEndian.Uint64(k)
			k, _ = c.Last()
			last = binary.BigEndian.Uint64(k)
		}
		return nil
	})
	return first, last, err
}

// get decodes an entry; raft.ErrLogNotFound.
func (s *boltStore) get(index uint64, l *raft.Log) error {
	return s.db.View(func(tx *bbolt.Tx) error {
		val := tx.Bucket([]byte(boltLogs)).Get(boltKey(index))
		if val == nil {
			return raft.ErrLogNotFound
		}
		return codec.NewDecoder(bytes.NewReader(val), &codec.MsgpackHandle{}).Decode(l)
	})
}

// append writes entries in one transaction.
func (s *boltStore) append(logs []raft.Log) error {
	return s.db.Update(func(tx *bbolt.Tx) error {
		bucket := tx.Bucket([]byte(boltLogs))
		for i := range logs {
			val, err := encodeBolt(&logs[i])
			if err != nil {
				return err
			}
			if err := bucket.Put(boltKey(logs[i].Index), val); err != nil {
				return err
			}
		}
		return nil
	})
}

func encodeBolt(l *raft.Log) ([]byte, error) {
	var b bytes.Buffer
	// The time as raft-boltdb writes it.
	h := codec.MsgpackHandle{BasicHandle: codec.BasicHandle{TimeNotBuiltin: true}}
	err := codec.NewEncoder(&b, &h).Encode(l)
	return b.Bytes(), err
}

// deleteRange removes entries in one transaction.
func (s *boltStore) deleteRange(low, high uint64) error {
	return s.db.Update(func(tx *bbolt.Tx) error {
		c := tx.Bucket([]byte(boltLogs)).Cursor()
		for k, _ := c.Seek(boltKey(low)); k != nil && binary.BigEndian.Uint64(k) <= high; k, _ = c.Next() {
			if err := c.Delete(); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *boltStore) setStable(key, val []byte) error {
	return s.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket([]byte(boltStable)).Put(key, val) })
}

// getStable returns a copy; nil for a key that was never set.
func (s *boltStore) getStable(key []byte) (val []byte, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		val = bytes.Clone(tx.Bucket([]byte(boltStable)).Get(key))
		return nil
	})
	return val, err
}
