package store

import (
	"math"
	"sync/atomic"
	"unsafe"

	"github.com/lockstepkv/lockstep/internal/bulk"
)

// Type is the data type of a value.
type Type uint8

// The data types.
const (
	String Type = iota
	Hash
	List
)

// String returns the name that Redis's TYPE gives.
func (t Type) String() string {
	switch t {
	case String:
		return "string"
	case Hash:
		return "hash"
	case List:
		return "list"
	default:
		return "unknown"
	}
}

// separateFrom is the length from which a value gets an allocation of its own, so that
// RENAME and COPY can share it. A shorter one lies behind its key, in a segment, if that
// is shorter than longKey. A segment holds seven of the longest at least, so that less is
// left at its end than makes it worth cleaning.
const (
	separateFrom = 1024
	longKey      = 1024
)

const (
	flagRaw     uint8 = 1 << iota
	flagExpires       // there is an expiry time
	flagObject        // an object, not in a segment
	flagOwned         // an object, whose val is an owned
)

// deadLink is the link of an entry in a segment that was replaced or removed.
const deadLink = 1<<32 - 1

// Entry is one key with its value. It is immutable while anybody but the writer
// can see it, except for the access word and the inside of a collection, for which
// see UpdateHash, and of a long string that is changed in place, for which see Overwrite.
//
// In a segment this head of 32 bytes is followed by what timed adds, if the key expires,
// and by the bytes of key and value. The other form is an object.
type Entry struct {
	version uint64
	access  atomic.Uint64
	link    uint32 // node of the SIEVE queue, 0 for none, or deadLink; only the writer and Victims look at it
	keyLen  uint32
	valLen  uint32 // of a String
	slot    uint16
	typ     Type
	flags   uint8
}

// timed is an entry with an expiry time.
type timed struct {
	Entry
	at      int64  // Unix milliseconds
	heapPos uint32 // place in the expiry index plus 1; only the writer looks at it
}

// object is an entry that is not in a segment, since its value is long or a collection.
// 64 bytes: a size class of Go's allocator.
type object struct {
	Entry
	at      int64  // as in timed
	heapPos uint32 // as in timed
	valCap  uint32 // of a String: valCap-valLen bytes more may be written by Append
	key     unsafe.Pointer
	val     unsafe.Pointer // bytes of a String or, with flagOwned, an owned; otherwise the collection
}

const (
	headBytes  = 32 // of Entry
	timedBytes = 12 // what an expiry time adds
)

// timed returns e as one that has an expiry time.
func (e *Entry) timed() *timed { return (*timed)(unsafe.Pointer(e)) }

// object returns e as an object, nil when it is in a segment.
func (e *Entry) object() *object {
	if e.flags&flagObject == 0 {
		return nil
	}
	return (*object)(unsafe.Pointer(e))
}

// data returns where key and value are in a segment, behind the head.
func (e *Entry) data() uintptr {
	return headBytes + timedBytes*uintptr(e.flags&flagExpires/flagExpires)
}

// cell returns the bytes that e takes of its segment.
func (e *Entry) cell() uint32 {
	return (uint32(e.data()) + e.keyLen + e.valLen + unit - 1) &^ (unit - 1)
}

// cellOf is cell for any entry, nil too. An object takes nothing of a segment, but work.
func cellOf(e *Entry) int {
	switch {
	case e == nil:
		return 0
	case e.object() != nil:
		return headBytes
	}
	return int(e.cell())
}

// Key returns the key. It shares memory with entries that came at the same time: who
// keeps it for long keeps a copy.
func (e *Entry) Key() string {
	if o := e.object(); o != nil {
		return unsafe.String((*byte)(o.key), e.keyLen)
	}
	return unsafe.String((*byte)(unsafe.Add(unsafe.Pointer(e), e.data())), e.keyLen)
}

// Bytes returns the value of a String entry. It must not be modified. As with Key, who
// keeps a short one for long keeps a copy. See Look, which is for those who do not keep it.
func (e *Entry) Bytes() []byte {
	if o := e.object(); o != nil {
		o.lend()
	}
	return e.Look()
}

// ExpireAt returns the expiry time in Unix milliseconds, 0 for none.
func (e *Entry) ExpireAt() int64 {
	if e.flags&flagExpires == 0 {
		return 0
	}
	return e.timed().at
}

// Version returns the revision of the store that made this entry.
func (e *Entry) Version() uint64 { return e.version }

// Type returns the data type of the value.
func (e *Entry) Type() Type { return e.typ }

// Raw reports whether the value was made by a command that leaves Redis's "raw"
// encoding behind (APPEND, SETRANGE).
func (e *Entry) Raw() bool { return e.flags&flagRaw != 0 }

// Slot returns the hash slot of the key.
func (e *Entry) Slot() uint16 { return e.slot }

// content is what a new entry of type String is made of.
type content struct {
	key       string
	val, tail []byte // the value is both, one behind the other
	at        int64  // expiry time, 0 for none
	raw       bool   // and what has room to grow behind it: see roomFor
}

// create makes an entry with copies of key and value. It has no version yet.
func (s *Store) create(c content) ref {
	n := len(c.val) + len(c.tail)
	if uint64(n) > math.MaxUint32 {
		panic("store: value longer than 4 GiB")
	}
	room := roomFor(n, c.raw)
	flags := rawFlag(c.raw)
	if room < separateFrom && len(c.key) < longKey {
		if r, ok := s.createSmall(c, flags); ok {
			return r
		}
	}
	o := newObject(c.key, c.at, flags)
	buf := make([]byte, room)
	bulk.Copy(buf[bulk.Copy(buf, c.val):], c.tail)
	o.setValue(buf, n)
	return s.mem.addObject(o)
}

func rawFlag(raw bool) uint8 {
	if raw {
		return flagRaw
	}
	return 0
}

// createSmall makes an entry in a segment, if there is one.
func (s *Store) createSmall(c content, flags uint8) (ref, bool) {
	if c.at != 0 {
		flags |= flagExpires
	}
	e := Entry{keyLen: uint32(len(c.key)), valLen: uint32(len(c.val) + len(c.tail)), flags: flags}
	r, ok := s.mem.alloc(young, e.cell())
	if !ok {
		return 0, false
	}
	n := s.mem.at(r) // all zero
	n.keyLen, n.valLen, n.flags = e.keyLen, e.valLen, flags
	if c.at != 0 {
		n.timed().at = c.at
	}
	to := unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(n), n.data())), len(c.key)+int(n.valLen))
	to = to[copy(to, c.key):]
	copy(to[copy(to, c.val):], c.tail)
	return r, true
}

// newObject returns an object with a copy of key, and no value.
func newObject(key string, at int64, flags uint8) *object {
	o := &object{at: at, key: unsafe.Pointer(unsafe.SliceData([]byte(key)))}
	o.keyLen, o.flags = uint32(len(key)), flags&^flagExpires|flagObject
	if at != 0 {
		o.flags |= flagExpires
	}
	return o
}

// setValue gives o the first n bytes of buf, and the rest as room.
func (o *object) setValue(buf []byte, n int) {
	o.val, o.valLen, o.valCap = unsafe.Pointer(unsafe.SliceData(buf)), uint32(n), uint32(len(buf))
}

// with returns an object like o with another expiry time, which shares key and value.
func (o *object) with(at int64) *object {
	n := &object{at: at, valCap: o.valCap, key: o.key, val: o.val}
	n.keyLen, n.valLen, n.typ, n.flags = o.keyLen, o.valLen, o.typ, o.flags&^flagExpires
	if at != 0 {
		n.flags |= flagExpires
	}
	return n
}

// str views b as a string for a lookup.
func str(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
