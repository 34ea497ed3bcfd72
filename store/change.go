package store

import (
	"unsafe"

	"github.com/lockstepkv/lockstep/internal/bulk"
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
	if !raw && s.fillsAdopted(val) { // what may grow has room
		o := newObject(str(key), expireAtMillis, rawFlag(raw))
		o.setValue(val, len(val))
		return s.put(s.mem.addObject(o))
	}
	return s.put(s.create(content{key: str(key), val: val, at: expireAtMillis, raw: raw}))
}

// Item is an entry as a snapshot holds it.
type Item struct {
	Key, Value []byte
	Collection Collection // in place of Value, which belongs to the store from then on
	ExpireAt   int64      // Unix milliseconds, 0 for none
	Version    uint64
	Raw        bool
	Access     Access // zero when unknown
}

// Restore sets a key to what it.Key had in another store, and copies it. With
// Version 0 the entry gets the next revision; otherwise the revision becomes at
// least Version.
func (s *Store) Restore(it Item) *Entry {
	var r ref
	if it.Collection != nil {
		r = s.createCollection(str(it.Key), it.Collection, it.ExpireAt, rawFlag(it.Raw))
	} else {
		r = s.create(content{key: str(it.Key), val: it.Value, at: it.ExpireAt, raw: it.Raw})
	}
	e := s.mem.at(r)
	e.version = it.Version
	if it.Access != (Access{}) {
		e.access.Store(accessWord(it.Access.LastMillis, it.Access.Freq, false))
	}
	s.revision = max(s.revision, it.Version)
	s.sieve = nil // items come in any order; see Prepare
	return s.put(r)
}

// Append makes e's value longer by tail and returns the new entry. Its cost is
// that of copying tail, averaged over many calls, and less than separateFrom bytes.
func (s *Store) Append(e *Entry, tail []byte) *Entry {
	o := e.object()
	if o == nil || len(tail) > int(o.valCap-o.valLen) {
		return s.put(s.create(content{key: e.Key(), val: e.Look(), tail: tail, at: e.ExpireAt(), raw: true}))
	}
	n := o.with(e.ExpireAt())
	n.flags |= flagRaw
	n.valLen += uint32(len(tail))
	// Whoever holds e sees only its first valLen bytes.
	bulk.Copy(unsafe.Slice((*byte)(n.memory()), n.valLen)[e.valLen:], tail)
	return s.put(s.mem.addObject(n))
}

// SetExpireAt gives e another expiry time, 0 for none, and returns the new
// entry.
func (s *Store) SetExpireAt(e *Entry, atMillis int64) *Entry {
	return s.put(s.remake(e, atMillis))
}

// remake makes an entry like e with another expiry time. What is not small is shared.
func (s *Store) remake(e *Entry, at int64) ref {
	if o := e.object(); o != nil {
		return s.mem.addObject(o.with(at))
	}
	return s.create(content{key: e.Key(), val: e.Look(), at: at, raw: e.Raw()})
}

// Rename moves e to newKey, over whatever is there, and returns the new entry.
func (s *Store) Rename(e *Entry, newKey []byte) *Entry {
	if e.Key() == str(newKey) {
		return e
	}
	r := s.under(e, str(newKey))
	s.mem.at(r).access.Store(e.access.Load())
	s.Delete(e)
	return s.put(r)
}

// Copy puts e's value and expiry time under newKey too, over whatever is there,
// and returns the new entry.
func (s *Store) Copy(e *Entry, newKey []byte) *Entry {
	if e.Key() == str(newKey) {
		return e
	}
	if c := e.Collection(); c != nil {
		return s.put(s.createCollection(str(newKey), clone(c), e.ExpireAt(), e.flags))
	}
	return s.put(s.under(e, str(newKey)))
}

// under makes an entry like e with another key. What is not a short string is
// shared; the room for growth behind it stays with e.
func (s *Store) under(e *Entry, newKey string) ref {
	o := e.object()
	if o == nil || e.typ == String && e.valLen < separateFrom {
		return s.create(content{key: newKey, val: e.Look(), at: e.ExpireAt(), raw: e.Raw()})
	}
	o.lend()
	n := newObject(newKey, e.ExpireAt(), e.flags&^flagOwned)
	n.typ, n.val, n.valLen, n.valCap = e.typ, o.memory(), e.valLen, e.valLen
	return s.mem.addObject(n)
}
