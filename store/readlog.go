package store

import (
	"sync/atomic"

	"github.com/cespare/xxhash/v2"
)

// readLogLen bounds what a ReadLog remembers between two calls of Take.
const readLogLen = 2048

// ReadLog remembers which keys were read from a replica, so that the replica
// that chooses what to evict can count these reads too. A key is known by its
// hash. It is a hint and no record: when more keys are read than it has room
// for, the later ones go unremembered; a read that meets Take may count twice or
// not at all.
//
// Any number of goroutines may use it at once. Its zero value is switched off.
type ReadLog struct {
	on     atomic.Bool
	n      atomic.Uint64
	hashes [readLogLen]atomic.Uint64
}

// Switch says whether reads are worth remembering.
func (l *ReadLog) Switch(on bool) { l.on.Store(on) }

// On reports whether reads are remembered.
func (l *ReadLog) On() bool { return l.on.Load() }

// Note remembers a read of key.
func (l *ReadLog) Note(key []byte) {
	if l.n.Load() >= readLogLen {
		return // do not make the readers fight for a counter that is of no use
	}
	if i := l.n.Add(1) - 1; i < readLogLen {
		l.hashes[i].Store(xxhash.Sum64(key))
	}
}

// Take appends the hashes of the keys that were read since the last call to
// dst, for TouchHash.
func (l *ReadLog) Take(dst []uint64) []uint64 {
	if l.n.Load() == 0 {
		return dst
	}
	for i := range min(l.n.Swap(0), readLogLen) {
		dst = append(dst, l.hashes[i].Load())
	}
	return dst
}

// TouchHash is Touch for the key with this hash, if there is one. Of several
// keys with one hash it takes the first: that costs an eviction policy nothing.
func (s *Store) TouchHash(hash uint64, nowMillis int64) {
	t := s.dir.table(bucketOf(hash))
	if t == nil {
		return
	}
	for i := t.seek(hashOf(hash)); i < len(t.slots) && t.slots[i].ref != 0 && t.slots[i].hash == hashOf(hash); i++ {
		if e := s.mem.at(t.slots[i].ref); xxhash.Sum64String(e.Key()) == hash {
			s.Touch(e, nowMillis)
			return
		}
	}
}
