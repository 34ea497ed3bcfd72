package store

import (
	"unsafe"

	"github.com/lockstepkv/lockstep/internal/bulk"
	"github.com/lockstepkv/lockstep/store/value/hash"
)

// Adopt gives buf to the store until the next call: Put keeps a large value that
// fills most of buf where it is, instead of copying it. buf must be, up to its capacity, all of
// the memory that it was allocated with. Nobody may change it from then on, not even after the
// next call.
func (s *Store) Adopt(buf []byte) { s.adopted = buf }

// fillsAdopted reports whether val lies in the adopted memory and keeping all of
// that for it wastes little.
func (s *Store) fillsAdopted(val []byte) bool {
	memory := cap(s.adopted) // what is kept, however little of it is filled
	if len(val) < separateFrom || len(val) < memory-memory/8 || len(val) > len(s.adopted) {
		return false
	}
	base := uintptr(unsafe.Pointer(unsafe.SliceData(s.adopted)))
	at := uintptr(unsafe.Pointer(unsafe.SliceData(val)))
	return at >= base && at-base <= uintptr(len(s.adopted)-len(val))
}

// Put sets key to a copy of val (but see Adopt) and returns the new entry. An entry that was
// there before is replaced; its access data live on.
func (s *Store) Put(key, val []byte, expireAtMillis int64, raw bool) *Entry {
	e := &Entry{expireAt: expireAtMillis}
	if s.fillsAdopted(val) {
		e.setKey(str(key))
		e.val, e.valLen, e.valCap = unsafe.Pointer(unsafe.SliceData(val)), uint32(len(val)), uint32(len(val))
	} else {
		e.setData(str(key), val, nil, 0)
	}
	if raw {
		e.flags |= flagRaw
	}
	s.put(e)
	return e
}

// Item is an entry as a snapshot holds it.
type Item struct {
	Key, Value []byte
	Hash       *hash.Hash // in place of Value, which belongs to the store from then on
	ExpireAt   int64      // Unix milliseconds, 0 for none
	Version    uint64
	Raw        bool
	Access     Access // zero when unknown
}

// Restore sets a key to what it.Key had in another store, and copies it. With
// Version 0 the entry gets the next revision; otherwise the revision becomes at
// least Version.
func (s *Store) Restore(it Item) *Entry {
	e := &Entry{expireAt: it.ExpireAt, version: it.Version}
	if it.Hash != nil {
		e.setKey(str(it.Key))
		e.setHash(it.Hash.Own(s.valueEpoch, false))
	} else {
		e.setData(str(it.Key), it.Value, nil, 0)
	}
	if it.Raw {
		e.flags |= flagRaw
	}
	if it.Access != (Access{}) {
		e.access.Store(accessWord(it.Access.LastMillis, it.Access.Freq, false))
	}
	s.revision = max(s.revision, it.Version)
	s.sieve = nil // items come in any order; see Prepare
	s.put(e)
	return e
}

// Append makes e's value longer by tail and returns the new entry. Its cost is
// that of copying tail, averaged over many calls.
func (s *Store) Append(e *Entry, tail []byte) *Entry {
	n := &Entry{expireAt: e.expireAt, typ: e.typ, flags: e.flags | flagRaw}
	if room := int(e.valCap - e.valLen); len(tail) <= room {
		n.key, n.keyLen = e.key, e.keyLen
		n.val, n.valCap = e.val, e.valCap
		n.valLen = e.valLen + uint32(len(tail))
		// Whoever holds e sees only its first valLen bytes.
		bulk.Copy(unsafe.Slice((*byte)(n.val), n.valLen)[e.valLen:], tail)
	} else {
		n.setData(e.Key(), e.Bytes(), tail, spareFor(int(e.valLen)+len(tail)))
	}
	s.put(n)
	return n
}

// spareFor returns the room to leave behind a value of n bytes that grows: as
// much again while it is small, a quarter when it is large.
func spareFor(n int) int {
	const large = 1 << 20
	if n < large {
		return n
	}
	return min(n/4, 1<<32-1-n)
}

// SetExpireAt gives e another expiry time, 0 for none, and returns the new
// entry.
func (s *Store) SetExpireAt(e *Entry, atMillis int64) *Entry {
	n := &Entry{expireAt: atMillis, typ: e.typ, flags: e.flags, key: e.key, keyLen: e.keyLen}
	n.val, n.valLen, n.valCap = e.val, e.valLen, e.valCap
	s.put(n)
	return n
}

// Rename moves e to newKey, over whatever is there, and returns the new entry.
func (s *Store) Rename(e *Entry, newKey []byte) *Entry {
	if e.Key() == str(newKey) {
		return e
	}
	n := e.under(newKey)
	n.access.Store(e.access.Load())
	s.Delete(e)
	s.put(n)
	return n
}

// Copy puts e's value and expiry time under newKey too, over whatever is there,
// and returns the new entry.
func (s *Store) Copy(e *Entry, newKey []byte) *Entry {
	if e.Key() == str(newKey) {
		return e
	}
	n := e.under(newKey)
	if h := e.Hash(); h != nil {
		n.setHash(h.Clone().Own(s.valueEpoch, false))
	}
	s.put(n)
	return n
}

// under returns an entry like e with another key. What is not a short string is
// shared.
func (e *Entry) under(newKey []byte) *Entry {
	n := &Entry{expireAt: e.expireAt, typ: e.typ, flags: e.flags}
	if e.typ == String && e.valLen < separateFrom {
		n.setData(str(newKey), e.Bytes(), nil, 0)
		return n
	}
	n.setKey(str(newKey))
	n.shareValue(e)
	return n
}
