package lock

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"

	"github.com/lockstepkv/lockstep/fsm/wait"
)

// Sum hashes the table's state as far as it is known without a walk: every grant and
// every wait with its end, kept as they change, the counters of fences, and how many
// fences are remembered, but not which. Replicas in the same state have the same.
func (t *Table) Sum() uint64 {
	var b [64]byte
	for i, v := range [...]uint64{
		t.sum + t.queues.Sum(), t.lastFence, t.floor, uint64(len(t.locks)), uint64(t.Waiters()), uint64(t.Bytes()),
		uint64(len(t.marks.byKey)), t.marks.forgotten,
	} {
		binary.LittleEndian.PutUint64(b[8*i:], v)
	}
	return xxhash.Sum64(b[:])
}

// schedule lets the grant of l end at the given time. Whatever else there is of it must be
// set before.
func (t *Table) schedule(l *held, at int64) {
	t.sum -= l.sum
	t.grants.Set(&l.timer, at)
	l.sum = hashOf(l.timer.Moment, l.token, l.owner, l.ttl, l.fence)
	t.sum += l.sum
}

// unschedule takes l out.
func (t *Table) unschedule(l *held) {
	t.sum -= l.sum
	l.sum = 0
	t.grants.Clear(&l.timer)
}

// hashOf is what a grant or a wait adds to the running sum; more is the fence of a grant, the
// boot of a waiter's node.
func hashOf(end wait.Moment, token, owner string, ttl int64, more uint64) uint64 {
	var b [56]byte
	for i, v := range [...]uint64{
		xxhash.Sum64String(end.Topic.Key), xxhash.Sum64String(end.ID), xxhash.Sum64String(token),
		xxhash.Sum64String(owner), uint64(ttl), more, uint64(end.At),
	} {
		binary.LittleEndian.PutUint64(b[8*i:], v)
	}
	return xxhash.Sum64(b[:])
}
