package store

import (
	"unsafe"

	"github.com/cespare/xxhash/v2"
	"github.com/lockstepkv/lockstep/store/value/hash"
	"github.com/lockstepkv/lockstep/store/value/list"
)

// Collection is what the values of all types but String have in common. A
// collection in the store changes in place. What a snapshot, or a transaction that
// may be taken back, holds of it is copied before, part by part: Store.valueEpoch.
type Collection interface {
	Len() int
	// Size returns the accounted bytes beyond those of the key: arithmetic over
	// counts and lengths, equal on every replica. It takes no time.
	Size() int64
	// Sum hashes the contents, in no order if they have none. It takes no time; Resum comes to the
	// same by reading everything.
	Sum() uint64
	Resum() uint64
	// Digest writes everything to d, in order.
	Digest(d *xxhash.Digest)
	// Packed reports whether the collection has the form for small ones, which
	// Size depends on.
	Packed() bool
	// Encoding is the word of OBJECT ENCODING.
	Encoding() string
}

// watched reports whether anybody may still see collections as they were.
func (s *Store) watched() bool { return s.frozen.Load() > 0 || s.undo != nil }

// structure is what a data structure below value has besides: P is the pointer to it.
type structure[P any] interface {
	Collection
	// Own returns what may be changed under an epoch: the structure itself, or, when its
	// last change was under another epoch and somebody may still look at that, a fork.
	Own(epoch uint64, watched bool) P
	// Clone returns a second structure with the same contents, in no time.
	Clone() P
}

// Collection returns the value of an entry of another type than String, otherwise
// nil. It must not be changed.
func (e *Entry) Collection() Collection {
	if e.typ == String {
		return nil
	}
	return e.object().collection()
}

// collection, own, clone and set are all that the store has to know of each type.
func (o *object) collection() Collection {
	switch o.typ {
	case Hash:
		return (*hash.Hash)(o.val)
	case List:
		return (*list.List)(o.val)
	}
	return nil
}

// own makes c, which is given to the store, one that was last changed under epoch.
func own(c Collection, epoch uint64) Collection {
	switch c := c.(type) {
	case *hash.Hash:
		return c.Own(epoch, false)
	case *list.List:
		return c.Own(epoch, false)
	}
	panic("store: no such collection")
}

func clone(c Collection) Collection {
	switch c := c.(type) {
	case *hash.Hash:
		return c.Clone()
	case *list.List:
		return c.Clone()
	}
	panic("store: no such collection")
}

func (o *object) set(c Collection) {
	switch c := c.(type) {
	case *hash.Hash:
		o.typ, o.val = Hash, unsafe.Pointer(c)
	case *list.List:
		o.typ, o.val = List, unsafe.Pointer(c)
	}
}

// Hash returns the value of an entry of type Hash, otherwise nil. It must not be
// changed but by UpdateHash, and must not be read while it is, except from a
// snapshot's entry.
func (e *Entry) Hash() *hash.Hash { return valueOf[hash.Hash](e, Hash) }

// List is Hash for a list.
func (e *Entry) List() *list.List { return valueOf[list.List](e, List) }

// valueOf returns the value of e if that is of type t, otherwise nil.
func valueOf[T any](e *Entry, t Type) *T {
	if e.typ != t {
		return nil
	}
	return (*T)((*object)(unsafe.Pointer(e)).val)
}

// createCollection makes an entry of c, which belongs to the store from then on.
func (s *Store) createCollection(key string, c Collection, at int64, flags uint8) ref {
	o := newObject(key, at, flags)
	o.set(own(c, s.valueEpoch))
	return s.mem.addObject(o)
}

// PutCollection sets key to c, which belongs to the store from then on, and returns the
// new entry. An empty collection is no value, but for a stream: c has an element.
func (s *Store) PutCollection(key []byte, c Collection, expireAtMillis int64) *Entry {
	return s.put(s.createCollection(str(key), c, expireAtMillis, 0))
}

// UpdateHash lets change do what it likes to the hash of e, the entry of its key.
// It returns the new entry, nil when no field is left and the key is gone, and e
// when change says that it changed nothing.
//
// From then on e shows either contents: those of before as long as a snapshot or a
// transaction has e, those of now otherwise. Whoever needs the old ones for longer
// freezes the hash.
func (s *Store) UpdateHash(e *Entry, change func(*hash.Hash) (changed bool)) *Entry {
	return update(s, e, e.Hash(), change)
}

// UpdateList is UpdateHash for the list of e.
func (s *Store) UpdateList(e *Entry, change func(*list.List) (changed bool)) *Entry {
	return update(s, e, e.List(), change)
}

func update[P interface {
	comparable
	structure[P]
}](s *Store, e *Entry, was P, change func(P) bool) *Entry {
	now := was.Own(s.valueEpoch, s.watched())
	size, sum := e.Size(), e.sum()
	if !change(now) {
		return e
	}
	if now == was { // then e has changed too: account for it as if it had been so before
		s.used, s.former = s.used+e.Size()-size, s.former+e.Size()-size
		s.sums.move(e, e.sum()-sum)
	}
	if now.Len() == 0 {
		s.Delete(e)
		return nil
	}
	n := e.object().with(e.ExpireAt())
	n.set(now)
	return s.put(s.mem.addObject(n))
}
