package store

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"
)

// Digest returns a hash over the key, value, expiry time and version of every
// entry. Replicas that agree on those have the same digest. It reads all values.
func (s *Store) Digest() uint64 {
	var d digester
	s.Each(func(e *Entry) bool {
		d.add(e)
		return true
	})
	return d.sum
}

// Digest returns what Store.Digest was when the snapshot was taken.
func (sn *Snapshot) Digest() uint64 {
	var d digester
	_ = sn.Each(func(e *Entry) error {
		d.add(e)
		return nil
	})
	return d.sum
}

// digester adds up the hashes of entries, so that their order does not matter.
type digester struct {
	h   xxhash.Digest
	sum uint64
}

func (d *digester) add(e *Entry) {
	var head [25]byte
	binary.LittleEndian.PutUint64(head[0:], uint64(len(e.Key())))
	binary.LittleEndian.PutUint64(head[8:], uint64(e.ExpireAt()))
	binary.LittleEndian.PutUint64(head[16:], e.version)
	head[24] = byte(e.typ)
	d.h.Reset()
	_, _ = d.h.Write(head[:])
	_, _ = d.h.WriteString(e.Key())
	if c := e.Collection(); c != nil {
		c.Digest(&d.h)
	} else {
		_, _ = d.h.Write(e.Look())
	}
	d.sum += d.h.Sum64()
}
