package btree

import (
	"github.com/lockstepkv/lockstep/store/value/block"

	"bytes"
	"encoding/binary"
)

const (
	// MaxInline is the length up to which names and values may lie in their leaf. Its
	// length is one byte; elsewhere stands for one that does not lie there.
	MaxInline = 254
	elsewhere = 255

	// leafMax is the weight above which a leaf is split. A record may exceed it by
	// what one is at most, so a leaf has less than 4 KiB.
	leafMax = 3 << 10
	// leafMin is the weight below which a leaf looks for another to join, joinMax
	// the most that the two may have.
	leafMin = leafMax / 3
	joinMax = leafMax * 3 / 4

	slotBytes = 8 + 2  // what a record has outside of itself
	longBytes = 24 + 8 // the weight of an entry of leaf.long
)

// leaf holds records in order of (key, name) in one block without pointers:
//
//	n keys, 8 bytes each
//	n offsets, 2 bytes each, from where the records begin
//	n records
//
//	record = length of the name, length of the value (a byte each), name, value
//
// A name or value longer than the tree's inline is in long; 2 bytes of index into that
// stand in its place.
type leaf struct {
	gen  uint64 // tree.gen when this leaf was made or last found to be the tree's alone
	n    int
	buf  []byte
	long [][]byte // nil where nothing is
}

func (l *leaf) key(i int) uint64 { return binary.LittleEndian.Uint64(l.buf[8*i:]) }

// start is where record i begins; that of n is the end of the block.
func (l *leaf) start(i int) int {
	if i == l.n {
		return len(l.buf)
	}
	return slotBytes*l.n + int(binary.LittleEndian.Uint16(l.buf[8*l.n+2*i:]))
}

func (l *leaf) record(i int) []byte { return l.buf[l.start(i):l.start(i+1)] }

// weight is what a copy of the leaf takes, and what its size is measured by.
func (l *leaf) weight() int { return len(l.buf) + longBytes*len(l.long) }

func (l *leaf) clone(gen uint64) *leaf {
	c := &leaf{gen: gen, n: l.n, buf: block.New(len(l.buf), room(len(l.buf))/2)}
	copy(c.buf, l.buf)
	c.long = append(c.long, l.long...)
	return c
}

// part takes a name or value of length n, as the record's head gives it, from the
// front of rest.
func (l *leaf) part(n byte, rest []byte) (p, after []byte) {
	if n == elsewhere {
		return l.long[binary.LittleEndian.Uint16(rest)], rest[2:]
	}
	return rest[:n:n], rest[n:]
}

func (l *leaf) name(i int) []byte {
	r := l.record(i)
	name, _ := l.part(r[0], r[2:])
	return name
}

func (l *leaf) at(i int) (name, value []byte) {
	r := l.record(i)
	name, rest := l.part(r[0], r[2:])
	value, _ = l.part(r[1], rest)
	return name, value
}

// search returns where name is or would be.
func (l *leaf) search(key uint64, name []byte) (i int, found bool) {
	low, high := 0, l.n
	for low < high {
		mid := int(uint(low+high) / 2)
		k := l.key(mid)
		if k == key {
			c := bytes.Compare(l.name(mid), name)
			if c == 0 {
				return mid, true
			}
			if c < 0 {
				low = mid + 1
			} else {
				high = mid
			}
		} else if k < key {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low, false
}

// form says how a name or value is kept.
type form struct {
	inline int  // up to this length in its leaf
	shared bool // a longer name as it is
}

// encoded is the length of p in a record.
func (f form) encoded(p []byte) int {
	if len(p) > f.inline {
		return 2
	}
	return len(p)
}

// insert puts a record at i.
func (l *leaf) insert(i int, key uint64, name, value []byte, how form) {
	size := 2 + how.encoded(name) + how.encoded(value)
	n, end := l.n, len(l.buf)
	start := l.start(i) - slotBytes*n
	l.extend(slotBytes + size)
	b := l.buf
	// From the back to the front, so that nothing is overwritten before it has moved.
	copy(b[slotBytes*(n+1)+start+size:], b[slotBytes*n+start:end])
	copy(b[slotBytes*(n+1):], b[slotBytes*n:slotBytes*n+start])
	copy(b[8*(n+1)+2*(i+1):], b[8*n+2*i:slotBytes*n])
	copy(b[8*(n+1):], b[8*n:8*n+2*i])
	copy(b[8*(i+1):], b[8*i:8*n])
	l.n++
	binary.LittleEndian.PutUint64(b[8*i:], key)
	binary.LittleEndian.PutUint16(b[8*l.n+2*i:], uint16(start))
	l.shift(i+1, size)
	r := l.record(i)
	r[0], r[1] = 0, 0
	at := l.write(r, 0, 2, name, how)
	how.shared = false
	l.write(r, 1, at, value, how)
}

// write puts a name (0) or value (1) into a record at the given place, and
// returns where it ends.
func (l *leaf) write(record []byte, which, at int, p []byte, how form) int {
	if len(p) <= how.inline {
		record[which] = byte(len(p))
		return at + copy(record[at:], p)
	}
	record[which] = elsewhere
	if !how.shared {
		p = bytes.Clone(p)
	}
	binary.LittleEndian.PutUint16(record[at:], l.keep(p))
	return at + 2
}

// keep puts p into long, and returns where.
func (l *leaf) keep(p []byte) uint16 {
	for i := range l.long {
		if l.long[i] == nil {
			l.long[i] = p
			return uint16(i)
		}
	}
	l.long = append(l.long, p)
	return uint16(len(l.long) - 1)
}

// drop takes the value, or with both the name too, of record i out of long.
func (l *leaf) drop(i int, both bool) {
	r := l.record(i)
	at := 2
	if r[0] != elsewhere {
		at += int(r[0])
	} else {
		if both {
			l.long[binary.LittleEndian.Uint16(r[at:])] = nil
		}
		at += 2
	}
	if r[1] == elsewhere {
		l.long[binary.LittleEndian.Uint16(r[at:])] = nil
	}
	for n := len(l.long); n > 0 && l.long[n-1] == nil; n-- {
		l.long = l.long[:n-1]
	}
}

// shift adds to the offsets of the records from i on.
func (l *leaf) shift(i, by int) {
	for at := 8*l.n + 2*i; at < slotBytes*l.n; at += 2 {
		p := l.buf[at:]
		binary.LittleEndian.PutUint16(p, uint16(int(binary.LittleEndian.Uint16(p))+by))
	}
}

// extend makes the block longer.
func (l *leaf) extend(by int) {
	size := len(l.buf) + by
	if size <= cap(l.buf) {
		l.buf = l.buf[:size]
		return
	}
	next := block.New(size, room(size))
	copy(next, l.buf)
	l.buf = next
}

// room is what to leave behind a block for it to grow, up to where a leaf is split.
func room(size int) int { return max(0, min(size/8, leafMax-size)) }

// trim gives memory back when the block needs much less than it has.
func (l *leaf) trim() {
	switch {
	case !block.Wasteful(len(l.buf), cap(l.buf)):
	case l.long == nil:
		*l = *l.clone(l.gen)
	default:
		*l = *join(l.gen, span{l, 0, l.n}) // which leaves no holes in long
	}
}

// setValue gives record i another value.
func (l *leaf) setValue(i int, value []byte, how form) {
	l.drop(i, false)
	r := l.record(i)
	at := 2 + int(r[0])
	if r[0] == elsewhere {
		at = 4
	}
	how.shared = false
	was, is := len(r), at+how.encoded(value)
	l.resize(i, was, is)
	l.write(l.record(i), 1, at, value, how)
	if is < was {
		l.trim()
	}
}

// resize makes record i longer or shorter at its end.
func (l *leaf) resize(i, from, to int) {
	if by := to - from; by != 0 {
		end := len(l.buf)
		after := l.start(i + 1)
		if by > 0 {
			l.extend(by)
		}
		copy(l.buf[after+by:], l.buf[after:end])
		l.buf = l.buf[:end+by]
		l.shift(i+1, by)
	}
}

// remove takes out record i.
func (l *leaf) remove(i int) {
	l.drop(i, true)
	n, b := l.n, l.buf
	from, to := l.start(i), l.start(i+1)
	l.shift(i+1, from-to)
	// From the front to the back.
	copy(b[8*i:], b[8*(i+1):8*n+2*i])          // later keys, earlier offsets
	copy(b[8*(n-1)+2*i:], b[8*n+2*(i+1):from]) // later offsets, earlier records
	copy(b[from-slotBytes:], b[to:])           // later records
	l.buf = b[:len(b)-slotBytes-(to-from)]
	l.n--
	l.trim()
}

// span is some records of a leaf in a row.
type span struct {
	*leaf
	from, to int
}

func (s span) records() []byte { return s.buf[s.start(s.from):s.start(s.to)] }

// join returns a leaf with all records of the spans.
func join(gen uint64, spans ...span) *leaf {
	l := &leaf{gen: gen}
	size := 0
	for _, s := range spans {
		l.n += s.to - s.from
		size += len(s.records())
	}
	size += slotBytes * l.n
	l.buf = block.New(size, room(size))
	keys, offsets, records := 0, 8*l.n, slotBytes*l.n
	for _, s := range spans {
		keys += copy(l.buf[keys:], s.buf[8*s.from:8*s.to])
		move := (records - slotBytes*l.n) - (s.start(s.from) - slotBytes*s.n)
		for i := s.from; i < s.to; i++ {
			off := s.start(i) - slotBytes*s.n + move
			binary.LittleEndian.PutUint16(l.buf[offsets:], uint16(off))
			offsets += 2
		}
		records += copy(l.buf[records:], s.records())
	}
	first := 0
	for _, s := range spans {
		l.adopt(first, s)
		first += s.to - s.from
	}
	return l
}

// adopt takes over from long of s what the records need that were copied from it
// to place first and behind.
func (l *leaf) adopt(first int, s span) {
	if len(s.long) == 0 {
		return
	}
	for k := range s.to - s.from {
		r := l.record(first + k)
		at := 2
		for which := range 2 {
			if r[which] != elsewhere {
				at += int(r[which])
				continue
			}
			p := r[at:]
			binary.LittleEndian.PutUint16(p, l.keep(s.long[binary.LittleEndian.Uint16(p)]))
			at += 2
		}
	}
}
