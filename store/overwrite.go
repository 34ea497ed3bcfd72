package store

import (
	"bytes"
	"sync/atomic"
	"unsafe"

	"github.com/lockstepkv/lockstep/internal/bulk"
)

// A long string that is changed in its middle has memory that it owns, so that the next
// change need not copy it. Whoever may see it as it was makes the writer copy it once: a
// snapshot or a transaction that may be taken back, by the rule for collections (see
// Store.valueEpoch), or whoever has been lent its bytes for longer than the store's lock.
type owned struct {
	val   unsafe.Pointer // the bytes, and the room behind them
	epoch uint64         // Store.valueEpoch at the last change
	lent  atomic.Bool    // Bytes has handed them out
}

// ownedFrom is the length from which a string that is changed gets memory that it owns.
const ownedFrom = 4096

// memory returns where the bytes of a String are.
func (o *object) memory() unsafe.Pointer {
	if o.flags&flagOwned != 0 {
		return (*owned)(o.val).val
	}
	return o.val
}

// lend says that somebody keeps the bytes of a String.
func (o *object) lend() {
	if o.flags&flagOwned != 0 {
		if w := (*owned)(o.val); !w.lent.Load() {
			w.lent.Store(true)
		}
	}
}

// Look returns the value of a String entry for a look: it is valid no longer than the store's
// lock is held, or than the snapshot that has the entry. What Bytes returns may be kept, which
// can cost the next change of a long value a copy.
func (e *Entry) Look() []byte {
	if o := e.object(); o != nil {
		return unsafe.Slice((*byte)(o.memory()), e.valLen)[:e.valLen:e.valLen]
	}
	return unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(e), e.data()+uintptr(e.keyLen))), e.valLen)[:e.valLen:e.valLen]
}

// Len returns the length of the value of a String entry.
func (e *Entry) Len() int { return int(e.valLen) }

// partShare is which part of a string at most is copied instead of lent.
const partShare = 8

// Part returns bytes of the value of a String entry, from one offset up to, without, another. It
// may be kept, as Bytes may.
func (e *Entry) Part(from, to int) []byte {
	if e.flags&flagOwned != 0 && to-from <= e.Len()/partShare {
		return bytes.Clone(e.Look()[from:to])
	}
	return e.Bytes()[from:to]
}

// Overwrite makes the value of key n bytes long, no shorter than that of e, its entry, with
// zeros at its end, and lets change do what it likes to its bytes. With e nil it sets key to n
// zeros before. It returns the new entry, whose value is raw, or e, when that is raw and as
// long, and change says that it changed nothing.
//
// From then on e may show either contents, but what Bytes has returned stays.
func (s *Store) Overwrite(key []byte, e *Entry, n int, change func(value []byte) (changed bool)) *Entry {
	if e != nil && s.mayOverwrite(e, n) {
		return s.overwriteInPlace(e, n, change)
	}
	var at int64
	value := make([]byte, roomFor(n, true))
	if e != nil {
		at = e.ExpireAt()
		bulk.Copy(value, e.Look())
	}
	if !change(value[:n:n]) && e != nil && e.Raw() && n == e.Len() {
		return e
	}
	if n < ownedFrom {
		return s.put(s.create(content{key: str(key), val: value[:n], at: at, raw: true}))
	}
	o := newObject(str(key), at, flagRaw|flagOwned)
	o.setValue(value, n)
	o.val = unsafe.Pointer(&owned{val: o.val, epoch: s.valueEpoch})
	return s.put(s.mem.addObject(o))
}

// mayOverwrite reports whether nobody needs the bytes of e as they are, and there is room
// for n.
func (s *Store) mayOverwrite(e *Entry, n int) bool {
	if e.flags&flagOwned == 0 || n > int(e.object().valCap) {
		return false
	}
	w := (*owned)(e.object().val)
	return !w.lent.Load() && (w.epoch == s.valueEpoch || !s.watched())
}

func (s *Store) overwriteInPlace(e *Entry, n int, change func(value []byte) bool) *Entry {
	w, sum := (*owned)(e.object().val), e.sum()
	value := unsafe.Slice((*byte)(w.val), n)[:n:n]
	clear(value[e.Len():]) // of what was appended and taken back
	if !change(value) && n == e.Len() {
		return e
	}
	w.epoch = s.valueEpoch
	s.sums.move(e, e.sum()-sum) // e has changed too: as if it had been so before
	o := e.object().with(e.ExpireAt())
	o.valLen = uint32(n)
	return s.put(s.mem.addObject(o))
}
