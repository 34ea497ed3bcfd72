package store

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"
)

// sums are kept as keys change: for each hash slot the sum of what its entries
// come to, modulo 2^64, and their total. Replicas that agree have the same sums,
// whatever the order of their changes was. What an entry comes to takes the same
// short time for every size of value; see Entry.sum.
type sums struct {
	bySlot []uint64
	total  uint64
}

func newSums() sums { return sums{bySlot: make([]uint64, SlotCount)} }

func (s *sums) add(e *Entry) {
	v := e.sum()
	s.bySlot[e.slot] += v
	s.total += v
}

func (s *sums) sub(e *Entry) {
	v := e.sum()
	s.bySlot[e.slot] -= v
	s.total -= v
}

// move adds to what an entry comes to.
func (s *sums) move(e *Entry, by uint64) {
	s.bySlot[e.slot] += by
	s.total += by
}

// sampled is how much of a long value its sum covers: as much at either end. The
// rest has its length and its version for witnesses, and Digest, which reads
// everything.
const sampled = 2048

// sum hashes an entry: its key, type, encoding, version, expiry time and value, of a
// long string the ends, of a collection the running sum.
func (e *Entry) sum() uint64 {
	if c := e.Collection(); c != nil {
		return e.sumOfCollection(c, c.Sum())
	}
	var parts [2]uint64
	val := e.Look()
	if len(val) <= 2*sampled {
		parts[0] = xxhash.Sum64(val)
	} else {
		parts[0], parts[1] = xxhash.Sum64(val[:sampled]), xxhash.Sum64(val[len(val)-sampled:])
	}
	return e.sumOf(uint64(e.valLen), e.flags&flagRaw, parts)
}

// resum is sum, but reads the whole of a collection.
func (e *Entry) resum() uint64 {
	if c := e.Collection(); c != nil {
		return e.sumOfCollection(c, c.Resum())
	}
	return e.sum()
}

func (e *Entry) sumOfCollection(c Collection, sum uint64) uint64 {
	var form uint8
	if c.Packed() {
		form = 1
	}
	return e.sumOf(uint64(c.Len()), form, [2]uint64{sum})
}

func (e *Entry) sumOf(length uint64, form uint8, value [2]uint64) uint64 {
	var head [48]byte
	binary.LittleEndian.PutUint64(head[0:], xxhash.Sum64String(e.Key()))
	binary.LittleEndian.PutUint64(head[8:], e.version)
	binary.LittleEndian.PutUint64(head[16:], uint64(e.ExpireAt()))
	binary.LittleEndian.PutUint64(head[24:], length<<16|uint64(e.typ)<<8|uint64(form))
	binary.LittleEndian.PutUint64(head[32:], value[0])
	binary.LittleEndian.PutUint64(head[40:], value[1])
	return xxhash.Sum64(head[:])
}

// Sum returns the running sum over all entries. Unlike Digest it is at hand at any
// time, and does not see the inside of long values.
func (s *Store) Sum() uint64 { return s.sums.total }

// SlotSum is Sum of the keys of one hash slot.
func (s *Store) SlotSum(slot uint16) uint64 {
	if slot >= SlotCount {
		return 0
	}
	return s.sums.bySlot[slot]
}

// Summer adds up what entries come to, collections as they are found and not as they
// were counted.
type Summer struct{ sum uint64 }

// Add adds an entry.
func (s *Summer) Add(e *Entry) { s.sum += e.resum() }

// Sum returns what Store.Sum would be of a store with the entries added.
func (s *Summer) Sum() uint64 { return s.sum }

// Sum returns what Store.Sum was when the snapshot was taken.
func (sn *Snapshot) Sum() uint64 { return sn.sum }

// Audit is what a walk over all entries finds.
type Audit struct {
	Digest uint64 // see Store.Digest
	Sum    uint64 // what Store.Sum should be
	Keys   int
}

// Audit reads everything. It calls pause after every few entries, and returns the
// error of that.
func (sn *Snapshot) Audit(pause func() error) (Audit, error) {
	var a Audit
	var d digester
	var s Summer
	err := sn.Each(func(e *Entry) error {
		d.add(e)
		s.Add(e)
		a.Keys++
		if a.Keys%auditStride == 0 || e.Size() > auditLong {
			return pause()
		}
		return nil
	})
	a.Digest, a.Sum = d.sum, s.Sum()
	return a, err
}

const (
	auditStride = 256
	auditLong   = 64 << 10
)
