package lock

import (
	"crypto/sha256"
	"maps"
	"slices"

	"github.com/lockstepkv/lockstep/store/keyslot"
)

// fenceEpoch is 2020-01-01 in Unix milliseconds. Fences count 4096ths of a
// millisecond since then, which stay below 2^53 until 2089: JSON readers that
// hold numbers in doubles read them exactly.
const (
	fenceEpoch = 1577836800000
	fenceShift = 12
)

// fenceAt is the smallest fence of a moment.
func fenceAt(now int64) uint64 { return uint64(max(now-fenceEpoch, 0)) << fenceShift }

// nextFence returns a fence higher than all before it, and than seen. wall is the
// log's wall clock: other shards have no other time in common with this one.
func (t *Table) nextFence(wall int64, seen uint64) uint64 {
	t.lastFence = max(t.lastFence, t.floor, seen)
	t.lastFence = max(t.lastFence+1, fenceAt(wall))
	return t.lastFence
}

// LastFence is the highest fence that must not be given out again.
func (t *Table) LastFence() uint64 { return max(t.lastFence, t.floor) }

// RaiseFloor makes all further fences higher than floor, and lets those up to it
// count as forgotten: after the restore of a backup nobody knows what the shard
// had seen of them. It returns false, and does nothing, if floor is further ahead
// than clocks can be.
func (t *Table) RaiseFloor(now int64, floor uint64) bool {
	if floor > max(fenceAt(now+t.wall+aheadMillis), t.LastFence()) {
		return false
	}
	t.floor = max(t.floor, floor)
	t.marks.forgotten = max(t.marks.forgotten, floor)
	return true
}

// aheadMillis is how far ahead of the clock fences may be brought from outside.
// Each fence that a client names may be a little ahead of what the shard knows, so
// without a bound many of them would carry fences beyond what JSON readers hold.
const aheadMillis = 30 * 24 * 60 * 60 * 1000

// fenceSlackMillis is how far ahead of what this shard knows a fence of another
// shard may be: the clocks of two leaders differ a little, and a shard that gives
// out more than 4096 fences a millisecond runs ahead.
const fenceSlackMillis = 60 * 60 * 1000

// FenceVerdict is what a shard says of a fence.
type FenceVerdict uint8

// The verdicts.
const (
	FenceOK     FenceVerdict = iota
	FenceStale               // a newer one was seen
	FenceFuture              // nobody was granted the lock with it
)

// CheckFence judges a fence that comes with a command on keys of the given slots, and
// remembers it. seen is
// the highest fence of that lock known before; for a lock that was forgotten, the
// highest of all those forgotten. A fence is refused when it is lower.
//
// A fence that was never given out is refused too: remembered, it would lock out
// the holder and those who come next. The shard that grants a lock knows its
// fences; any other can only tell what no clock can have reached.
func (t *Table) CheckFence(now int64, name []byte, fence uint64, slots ...uint16) (seen uint64, v FenceVerdict) {
	key := markKey(string(name))
	m := t.marks.byKey[key]
	if l := t.locks[string(name)]; l != nil {
		if v = verdict(fence, l.fence, true); v == FenceOK && m != nil {
			m.slots.add(slots)
		}
		return l.fence, v
	}
	switch {
	case m != nil:
		seen, v = m.fence, verdict(fence, m.fence, m.granted)
	case fence <= t.marks.forgotten:
		return t.marks.forgotten, FenceStale
	}
	wall, last := now+t.wall, t.LastFence()
	limit := min(max(fenceAt(wall), last)+fenceSlackMillis<<fenceShift, max(fenceAt(wall+aheadMillis), last))
	if fence > limit {
		return seen, FenceFuture
	}
	if v == FenceOK {
		m = t.marks.put(now, key, fence)
		m.home = keyslot.Of(name)
		m.slots.add(slots)
	}
	return seen, v
}

// verdict compares fence with the highest one known, which is the highest one of
// all if this shard grants the lock.
func verdict(fence, seen uint64, granted bool) FenceVerdict {
	switch {
	case fence < seen:
		return FenceStale
	case fence > seen && granted:
		return FenceFuture
	}
	return FenceOK
}

// Marks are kept for a day after their last use, and no more than so many.
const (
	markMillis = 24 * 60 * 60 * 1000
	maxMarks   = 1 << 18
)

// mark is the highest fence seen of one lock. Locks are told apart by a hash, for
// names may be long and marks outlive them.
//
// It belongs to the slots of all keys that have seen a fence of the lock: each takes it along
// when it goes elsewhere, and others keep it. One that was granted here belongs to the slot of
// the lock's name as well. A lock that is held and has no mark any more belongs to every slot.
type mark struct {
	key        [16]byte
	fence      uint64
	usedAt     int64
	prev, next *mark // by last use
	granted    bool  // the lock was granted by this shard
	slots      slotsSeen
	home       uint16 // slot of the lock's name, keyslot.None where it is not known
}

// maxSlotsSeen is of how many slots a mark knows that it belongs to them. More are every
// slot: to remember a fence where it was not seen refuses nobody who holds a lock.
const maxSlotsSeen = 6

// slotsSeen are the slots of a mark, in ascending order.
type slotsSeen struct {
	every bool
	n     uint8
	list  [maxSlotsSeen]uint16
}

func (s *slotsSeen) add(slots []uint16) {
	for _, slot := range slots {
		at, there := slices.BinarySearch(s.list[:s.n], slot)
		switch {
		case s.every || there:
		case s.n == maxSlotsSeen:
			*s = slotsSeen{every: true}
		default:
			copy(s.list[at+1:], s.list[at:s.n])
			s.list[at] = slot
			s.n++
		}
	}
}

// belongs reports whether m goes where the slot goes.
func (m *mark) belongs(slot uint16) bool {
	_, seen := slices.BinarySearch(m.slots.list[:m.slots.n], slot)
	return seen || m.slots.every || m.granted && (m.home == slot || m.home == keyslot.None)
}

// FencesOf calls fn with what a slot takes along of locks that others may have granted: the
// hash of each name and the highest fence seen, in the order of their last use.
func (t *Table) FencesOf(slot uint16, fn func(lock [16]byte, fence uint64, granted bool)) {
	for m := t.marks.oldest; m != nil; m = m.next {
		if m.belongs(slot) {
			fn(m.key, m.fence, m.granted && (m.home == slot || m.home == keyslot.None))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.locks)) {
		if key := markKey(name); t.marks.byKey[key] == nil {
			fn(key, t.locks[name].fence, keyslot.OfString(name) == slot)
		}
	}
}

func markKey(name string) (key [16]byte) {
	sum := sha256.Sum256([]byte(name))
	copy(key[:], sum[:])
	return key
}

// marks remembers fences, in order of their last use.
type marks struct {
	byKey         map[[16]byte]*mark
	oldest, newer *mark // ends of the list
	// forgotten is the highest fence that is not remembered any more.
	forgotten uint64
}

func newMarks() marks { return marks{byKey: make(map[[16]byte]*mark)} }

// grant notes that a lock was granted here.
func (ms *marks) grant(now int64, name string, key [16]byte, fence uint64) {
	m := ms.put(now, key, fence)
	m.granted, m.home = true, keyslot.OfString(name)
}

// put notes a use of fence; it never lowers a mark.
func (ms *marks) put(now int64, key [16]byte, fence uint64) *mark {
	m := ms.byKey[key]
	if m == nil {
		m = &mark{key: key, home: keyslot.None}
		ms.byKey[key] = m
	} else {
		ms.unlink(m)
	}
	m.fence, m.usedAt = max(m.fence, fence), now
	ms.link(m)
	if len(ms.byKey) > maxMarks {
		ms.forget(ms.oldest)
	}
	return m
}

func (ms *marks) link(m *mark) {
	if m.prev, m.next = ms.newer, nil; m.prev == nil {
		ms.oldest = m
	} else {
		m.prev.next = m
	}
	ms.newer = m
}

func (ms *marks) unlink(m *mark) {
	if m.prev == nil {
		ms.oldest = m.next
	} else {
		m.prev.next = m.next
	}
	if m.next == nil {
		ms.newer = m.prev
	} else {
		m.next.prev = m.prev
	}
}

func (ms *marks) forget(m *mark) {
	ms.unlink(m)
	delete(ms.byKey, m.key)
	ms.forgotten = max(ms.forgotten, m.fence)
}

// age forgets what was not used for a day.
func (ms *marks) age(now int64) {
	for ms.oldest != nil && ms.oldest.usedAt+markMillis <= now {
		ms.forget(ms.oldest)
	}
}
