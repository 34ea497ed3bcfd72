package store

import "sync/atomic"

// Snapshot is a view of a store as it was at the time of Freeze.
type Snapshot struct {
	buckets     []*table
	n, volatile int
	used        int64
	revision    uint64
	frozen      *atomic.Int64
	released    atomic.Bool
}

// Freeze returns a view of the store that later changes do not reach. It costs
// the same for every size of store: it copies the array of table pointers, and
// from then on the writer copies a table before it first changes it. Any number
// of snapshots may exist at once. Freeze is called by the writer.
func (s *Store) Freeze() *Snapshot {
	s.epoch++
	s.frozen.Add(1)
	sn := &Snapshot{n: s.n, volatile: s.expiry.len(), used: s.used, revision: s.revision, frozen: s.frozen}
	sn.buckets = make([]*table, bucketCount)
	copy(sn.buckets, s.buckets)
	return sn
}

// Len returns the number of keys.
func (sn *Snapshot) Len() int { return sn.n }

// VolatileLen returns the number of keys with an expiry time.
func (sn *Snapshot) VolatileLen() int { return sn.volatile }

// Used returns what Store.Used was.
func (sn *Snapshot) Used() int64 { return sn.used }

// Revision returns what Store.Revision was.
func (sn *Snapshot) Revision() uint64 { return sn.revision }

// Each calls fn for every entry in hash order until it returns an error, which
// Each returns. It may run while the store changes, in any goroutine.
func (sn *Snapshot) Each(fn func(*Entry) error) error {
	for _, t := range sn.buckets {
		if t == nil {
			continue
		}
		for i := range t.slots {
			e := t.slots[i].e
			if e == nil {
				continue
			}
			if err := fn(e); err != nil {
				return err
			}
		}
	}
	return nil
}

// Release ends the snapshot, after which the writer need not copy for it any
// more. It must not be called while Each runs; calling it twice does no harm.
func (sn *Snapshot) Release() {
	if sn.released.CompareAndSwap(false, true) {
		sn.buckets, sn.n = nil, 0
		sn.frozen.Add(-1)
	}
}
