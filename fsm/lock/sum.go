package lock

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"
)

// Sum hashes the table's state as far as it is known without a walk: every grant and
// every wait with its end, kept as they change, the counters of fences, and how many
// fences are remembered, but not which. Replicas in the same state have the same.
func (t *Table) Sum() uint64 {
	var b [64]byte
	for i, v := range [...]uint64{
		t.sum, t.lastFence, t.floor, uint64(len(t.locks)), uint64(t.nWaiting), uint64(t.bytes),
		uint64(len(t.marks.byKey)), t.marks.forgotten,
	} {
		binary.LittleEndian.PutUint64(b[8*i:], v)
	}
	return xxhash.Sum64(b[:])
}

// schedule lets what tm stands for end at the given time. Whatever else there is
// of it must be set before.
func (t *Table) schedule(tm *timer, at int64) {
	t.sum -= tm.sum
	t.timers.set(tm, at)
	tm.sum = tm.hash()
	t.sum += tm.sum
}

// unschedule takes tm out.
func (t *Table) unschedule(tm *timer) {
	t.sum -= tm.sum
	tm.sum = 0
	t.timers.clear(tm)
}

// hash is what a grant or a wait adds to the running sum.
func (tm *timer) hash() uint64 {
	token, owner, ttl, more := "", "", int64(0), uint64(0)
	if w := tm.waiter; w != nil {
		token, owner, ttl, more = w.token, w.owner, w.ttl, w.from.Boot
	} else {
		token, owner, ttl, more = tm.lock.token, tm.lock.owner, tm.lock.ttl, tm.lock.fence
	}
	var b [56]byte
	for i, v := range [...]uint64{
		xxhash.Sum64String(tm.name), xxhash.Sum64String(tm.token), xxhash.Sum64String(token),
		xxhash.Sum64String(owner), uint64(ttl), more, uint64(tm.at),
	} {
		binary.LittleEndian.PutUint64(b[8*i:], v)
	}
	return xxhash.Sum64(b[:])
}
