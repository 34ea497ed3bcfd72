package store

import (
	"unsafe"

	"github.com/cespare/xxhash/v2"
	"github.com/lockstepkv/lockstep/store/value/hash"
)

// Collection is what the values of all types but String have in common. A
// collection in the store changes in place. What a snapshot, or a transaction that
// may be taken back, holds of it is copied before, part by part: Store.valueEpoch.
type Collection interface {
	Len() int
	// Size returns the accounted bytes beyond those of the key: arithmetic over
	// counts and lengths, equal on every replica. It takes no time.
	Size() int64
	// Sum hashes the contents, in no order. It takes no time; Resum comes to the
	// same by reading everything.
	Sum() uint64
	Resum() uint64
	// Digest writes everything to d, in order.
	Digest(d *xxhash.Digest)
	// Packed reports whether the collection has the form for small ones, which
	// Size depends on.
	Packed() bool
}

// watched reports whether anybody may still see collections as they were.
func (s *Store) watched() bool { return s.frozen.Load() > 0 || s.undo != nil }

// Collection returns the value of an entry of another type than String, otherwise
// nil. It must not be changed.
func (e *Entry) Collection() Collection {
	if e.typ == Hash {
		return e.Hash()
	}
	return nil
}

// Hash returns the value of an entry of type Hash, otherwise nil. It must not be
// changed but by UpdateHash, and must not be read while it is, except from a
// snapshot's entry.
func (e *Entry) Hash() *hash.Hash {
	if e.typ != Hash {
		return nil
	}
	return (*hash.Hash)((*object)(unsafe.Pointer(e)).val)
}

func (o *object) setHash(h *hash.Hash) { o.val, o.typ = unsafe.Pointer(h), Hash }

// createHash makes an entry of h, which belongs to the store from then on.
func (s *Store) createHash(key string, h *hash.Hash, at int64, flags uint8) ref {
	o := newObject(key, at, flags)
	o.setHash(h.Own(s.valueEpoch, false))
	return s.mem.addObject(o)
}

// PutHash sets key to h, which belongs to the store from then on, and returns the
// new entry. An empty hash is no value: h has a field.
func (s *Store) PutHash(key []byte, h *hash.Hash, expireAtMillis int64) *Entry {
	return s.put(s.createHash(str(key), h, expireAtMillis, 0))
}

// UpdateHash lets change do what it likes to the hash of e, the entry of its key.
// It returns the new entry, nil when no field is left and the key is gone, and e
// when change says that it changed nothing.
//
// From then on e shows either contents: those of before as long as a snapshot or a
// transaction has e, those of now otherwise. Whoever needs the old ones for longer
// freezes the hash.
func (s *Store) UpdateHash(e *Entry, change func(*hash.Hash) (changed bool)) *Entry {
	was := e.Hash()
	h := was.Own(s.valueEpoch, s.watched())
	size, sum := e.Size(), e.sum()
	if !change(h) {
		return e
	}
	if h == was { // then e has changed too: account for it as if it had been so before
		s.used, s.former = s.used+e.Size()-size, s.former+e.Size()-size
		s.sums.move(e, e.sum()-sum)
	}
	if h.Len() == 0 {
		s.Delete(e)
		return nil
	}
	n := e.object().with(e.ExpireAt())
	n.setHash(h)
	return s.put(s.mem.addObject(n))
}
