package store

import "math/bits"

// What a key costs in the accounting of Used: what it really takes, on average, of the heap.
// It is arithmetic over what is replicated (lengths, type, expiry time, whether the value has
// grown by APPEND), so that it is the same on every replica and after a restore. DESIGN.md
// compares it with the heap.
const (
	// slotBytes is charged for the place in a table: 8 bytes, and half as much again for those
	// that are empty, and for the tables themselves.
	slotBytes = 13
	// indexBytes is charged for the place of a key with an expiry time in the index.
	indexBytes = 16
	// deadPart of a cell is charged for memory that is dead: there is none when all is new,
	// and 1/deadShare after everything was overwritten.
	deadPart = 2 * deadShare
	// objectBytes is what an object takes by itself, with its number.
	objectBytes = 64 + 8
)

// SizeOf returns the accounted bytes of a string entry of these lengths, which has not grown.
func SizeOf(keyLen, valLen int, volatile bool) int64 {
	return sizeOfString(keyLen, valLen, volatile, false)
}

// Size returns the accounted bytes of the entry, as MEMORY USAGE reports them.
func (e *Entry) Size() int64 {
	volatile := e.flags&flagExpires != 0
	if e.typ != String {
		return sizeOfObject(int(e.keyLen), volatile) + e.Collection().Size()
	}
	return sizeOfString(int(e.keyLen), int(e.valLen), volatile, e.Raw())
}

// sizeOfString does not ask where the entry is: one that belongs in a segment may be an
// object on a replica that has no number for a segment left.
func sizeOfString(keyLen, valLen int, volatile, raw bool) int64 {
	room := roomFor(valLen, raw)
	if room >= separateFrom || keyLen >= longKey {
		return sizeOfObject(keyLen, volatile) + allocated(room)
	}
	n, index := headBytes+keyLen+valLen, 0
	if volatile {
		n, index = n+timedBytes, indexBytes
	}
	cell := (n + unit - 1) &^ (unit - 1)
	return int64(cell + cell/deadPart + slotBytes + index)
}

// sizeOfObject is what an entry that is an object costs without its value.
func sizeOfObject(keyLen int, volatile bool) int64 {
	n := objectBytes + slotBytes + allocated(keyLen)
	if volatile {
		n += indexBytes
	}
	return n
}

// formerSize is what the entry counted for before Size became what it really takes. The limits in
// older log entries are by it: what was refused then must be refused whenever they are read again.
func (e *Entry) formerSize() int64 {
	const entry, expiry = 96, 24
	n := entry + int64(e.keyLen) + int64(e.valLen)
	if e.flags&flagExpires != 0 {
		n += expiry
	}
	if e.typ != String {
		n += e.Collection().Size()
	}
	return n
}

// allocated is about what Go's allocator takes for n bytes: up to 32 KiB an eighth of a power
// of two decides, beyond that a page. Its classes may change with Go, this must not.
func allocated(n int) int64 {
	const (
		least    = 16
		pageFrom = 32 << 10
		page     = 8 << 10
	)
	step := least
	switch {
	case n > pageFrom:
		step = page
	case n > least*8:
		step = 1 << (bits.Len(uint(n-1)) - 4)
	}
	return int64((n + step - 1) &^ (step - 1))
}

// roomFor returns how many bytes are held for a value of n. One that has grown in place
// (raw) may go on growing: within the next power of two while it is small, within a quarter
// of one when it is large. So the room is known from the length, and is the same whatever
// steps it grew in.
func roomFor(n int, raw bool) int {
	const large = 1 << 20
	switch {
	case !raw || n <= separateFrom/2:
		return n
	case n <= large:
		return 1 << bits.Len(uint(n-1))
	}
	step := 1 << (bits.Len(uint(n-1)) - 3)
	return min((n+step-1)&^(step-1), 1<<32-1)
}
