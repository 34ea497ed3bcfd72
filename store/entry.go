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
)

// String returns the name that Redis's TYPE gives.
func (t Type) String() string {
	switch t {
	case String:
		return "string"
	case Hash:
		return "hash"
	default:
		return "unknown"
	}
}

// What a key costs beside its bytes, in the accounting of Used. DESIGN.md shows
// where the figures come from.
const (
	// EntryOverhead is charged for every key.
	EntryOverhead int64 = 96
	// ExpiryOverhead is charged for a key with an expiry time, on top.
	ExpiryOverhead int64 = 24
)

// SizeOf returns the accounted bytes of a string entry of these lengths.
func SizeOf(keyLen, valLen int, volatile bool) int64 {
	n := EntryOverhead + int64(keyLen) + int64(valLen)
	if volatile {
		n += ExpiryOverhead
	}
	return n
}

// separateFrom is the length from which a value gets an allocation of its own,
// so that RENAME and COPY can share it. A shorter one lies behind its key.
const separateFrom = 1024

const flagRaw uint8 = 1

// Entry is one key with its value. It is immutable while anybody but the writer
// can see it, except for the access word and the inside of a collection, for which
// see UpdateHash. 64 bytes: a size class of Go's
// allocator, so a field more would cost 16 bytes per key.
type Entry struct {
	key      unsafe.Pointer // keyLen bytes
	val      unsafe.Pointer // a String's valLen bytes, valCap-valLen more may be written by Append; otherwise the collection
	version  uint64
	expireAt int64 // Unix milliseconds, 0 for none
	access   atomic.Uint64
	keyLen   uint32
	valLen   uint32
	valCap   uint32
	heapPos  uint32 // place in the expiry index plus 1; only the writer looks at it
	link     uint32 // node of the SIEVE queue plus 1; only the writer and Victims look at it
	slot     uint16
	typ      Type
	flags    uint8
}

// Key returns the key.
func (e *Entry) Key() string { return unsafe.String((*byte)(e.key), e.keyLen) }

// Bytes returns the value of a String entry. It must not be modified.
func (e *Entry) Bytes() []byte { return unsafe.Slice((*byte)(e.val), e.valLen)[:e.valLen:e.valLen] }

// ExpireAt returns the expiry time in Unix milliseconds, 0 for none.
func (e *Entry) ExpireAt() int64 { return e.expireAt }

// Version returns the revision of the store that made this entry.
func (e *Entry) Version() uint64 { return e.version }

// Type returns the data type of the value.
func (e *Entry) Type() Type { return e.typ }

// Raw reports whether the value was made by a command that leaves Redis's "raw"
// encoding behind (APPEND, SETRANGE).
func (e *Entry) Raw() bool { return e.flags&flagRaw != 0 }

// Slot returns the hash slot of the key.
func (e *Entry) Slot() uint16 { return e.slot }

// Size returns the accounted bytes of the entry, as MEMORY USAGE reports them.
func (e *Entry) Size() int64 {
	n := SizeOf(int(e.keyLen), int(e.valLen), e.expireAt != 0)
	if e.typ != String {
		n += e.Collection().Size()
	}
	return n
}

// setData copies key and val, and leaves spare bytes of room behind the value.
func (e *Entry) setData(key string, val, tail []byte, spare int) {
	n := len(val) + len(tail)
	if uint64(n+spare) > math.MaxUint32 {
		panic("store: value longer than 4 GiB")
	}
	if n+spare >= separateFrom {
		e.setKey(key)
		buf := make([]byte, n+spare)
		bulk.Copy(buf[bulk.Copy(buf, val):], tail)
		e.val = unsafe.Pointer(unsafe.SliceData(buf))
	} else {
		buf := make([]byte, len(key)+n+spare)
		k := copy(buf, key)
		copy(buf[k+copy(buf[k:], val):], tail)
		e.key, e.keyLen = unsafe.Pointer(unsafe.SliceData(buf)), uint32(len(key))
		e.val = unsafe.Pointer(unsafe.SliceData(buf[k:]))
	}
	e.valLen, e.valCap = uint32(n), uint32(n+spare)
}

func (e *Entry) setKey(key string) {
	buf := []byte(key)
	e.key, e.keyLen = unsafe.Pointer(unsafe.SliceData(buf)), uint32(len(key))
}

// shareValue makes e use the value of from. The room for growth behind it stays
// with from.
func (e *Entry) shareValue(from *Entry) {
	e.val, e.valLen, e.valCap = from.val, from.valLen, from.valLen
}

// str views b as a string for a lookup.
func str(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
