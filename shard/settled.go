package shard

import (
	"encoding/binary"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/lockstepkv/lockstep/fsm"
	"github.com/lockstepkv/lockstep/shard/soundness"
)

// bucketSettled has the log entries that no replica could read, by shard and index. It is made
// when there is one.
var bucketSettled = []byte("settled")

// settledKept is how many settled entries of a shard are written down.
const settledKept = 64

func settledKey(shard int, index uint64) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(nil, uint32(shard)), index)
}

// Settled returns the newest log entries of a shard that every voter has refused.
func (m *Meta) Settled(shard int) (list []fsm.Refusal, err error) {
	err = viewMeta(m.db, m.path, func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucketSettled)
		if b == nil {
			return nil
		}
		first, last := settledKey(shard, 0), settledKey(shard+1, 0)
		c := b.Cursor()
		for k, v := c.Seek(first); k != nil && string(k) < string(last); k, v = c.Next() {
			r, err := soundness.DecodeRefusal(v)
			if err != nil {
				return damagedMeta(m.path, "entry %x of bucket %q", k, bucketSettled)
			}
			list = append(list, r)
		}
		return nil
	})
	return list, err
}

// Settle writes down that every voter has refused an entry. The newest settledKept are kept.
func (m *Meta) Settle(shard int, r fsm.Refusal) error {
	list, err := m.Settled(shard)
	if err != nil {
		return err
	}
	err = updateMeta(m.db, m.path, func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists(bucketSettled)
		if err != nil {
			return err
		}
		for ; len(list) >= settledKept; list = list[1:] {
			if err := b.Delete(settledKey(shard, list[0].Index)); err != nil {
				return err
			}
		}
		return b.Put(settledKey(shard, r.Index), soundness.AppendRefusal(nil, r))
	})
	if err != nil {
		return fmt.Errorf("write a settled entry of shard %d: %w", shard, err)
	}
	return nil
}
