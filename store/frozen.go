package store

import (
	"slices"
	"sync/atomic"
)

// Snapshot is a view of a store as it was at the time of Freeze.
type Snapshot struct {
	dir         directory
	in          space
	n, volatile int
	used        int64
	revision    uint64
	sum         uint64
	frozen      *atomic.Int64
	released    atomic.Bool
}

// Freeze returns a view of the store that later changes do not reach. It costs
// the same for every size of store: it copies the upper level of the directory,
// and from then on the writer copies a page, a table or a node of a collection
// before it first changes it. Any number of snapshots may exist at once. Freeze is called by the writer.
func (s *Store) Freeze() *Snapshot {
	s.epoch++
	s.valueEpoch++
	s.frozen.Add(1)
	return &Snapshot{dir: s.dir, in: space{slices.Clone(s.mem.segments), slices.Clone(s.mem.objects)}, n: s.n, volatile: s.expiry.len(), used: s.used, revision: s.revision, sum: s.sums.total, frozen: s.frozen}
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
func (sn *Snapshot) Each(fn func(*Entry) error) (err error) {
	sn.dir.each(&sn.in, func(e *Entry) bool {
		err = fn(e)
		return err == nil
	})
	return err
}

// Release ends the snapshot, after which the writer need not copy for it any
// more. It must not be called while Each runs; calling it twice does no harm.
func (sn *Snapshot) Release() {
	if sn.released.CompareAndSwap(false, true) {
		sn.dir, sn.in = directory{}, space{}
		sn.frozen.Add(-1)
	}
}
