package store

import (
	"sync/atomic"
	"unsafe"
)

// ref names the memory of an entry: its place in a segment in units of 8 bytes, or
// with objectBit the number of an object. 0 is none.
type ref uint32

const (
	objectBit ref = 1 << 31

	unit           = 8
	placeBits      = 14 // of a ref: place within the segment
	placeMask      = 1<<placeBits - 1
	segmentBytes   = unit << placeBits
	leastSegment   = 16 << 10 // the first ones of a store are smaller
	segmentShare   = 16       // a segment is no larger than this part of all, or leastSegment
	segmentLimit   = int(objectBit >> placeBits)
	segmentReserve = unit // at the end, unused, so that no pointer points behind a segment
)

// space resolves refs. What it resolves does not change, so a copy of it is all that a
// snapshot needs beside the tables.
type space struct {
	segments []unsafe.Pointer // the first is none, so that no ref is 0
	objects  []*objectPart
}

// at returns the entry that r names.
func (s *space) at(r ref) *Entry {
	if r&objectBit == 0 {
		return (*Entry)(unsafe.Add(s.segments[r>>placeBits], uintptr(r&placeMask)*unit))
	}
	r &^= objectBit
	return &s.objects[r>>objectBits].e[r&(objectPartLen-1)].Entry
}

// memory holds the entries of a store. Small strings stand one behind the other in
// segments, large ones and collections are objects by themselves. A segment is written
// from front to back and never again: who holds an entry may read it for ever. What
// has died in it comes back when the rest was moved elsewhere (clean.go), as a new
// segment, and the collector frees the old one when nobody holds anything of it.
type memory struct {
	space
	info    []segment // of segments
	unused  []uint32  // numbers of segments that were dropped
	fill    [2]uint32 // segments being filled: for new entries, for moved ones
	cleaner cleaner
	tuning  tuning

	bytes int64 // size of all segments
	live  int64 // bytes of living entries
	dead  int64 // bytes of dead ones, and what was left at the ends of full segments

	objectCount int
	freeObjects []uint32

	epoch  *uint64 // of the store
	frozen *atomic.Int64
}

// segment is what the writer knows of one.
type segment struct {
	epoch uint64 // Store.epoch when it was made
	size  uint32
	end   uint32 // where the next entry comes
	live  uint32 // bytes of living entries
}

// Where a new entry comes from decides where it goes: those that have lived for long
// stay together, apart from those that are soon replaced.
const (
	young = iota
	moved
)

// tuning is what tests have smaller.
type tuning struct {
	limit int    // of the number of segments
	least uint32 // size of a segment
	slack int64  // see deadSlack
}

func newMemory(s *Store, t tuning) memory {
	return memory{
		space: space{segments: make([]unsafe.Pointer, 1)}, info: make([]segment, 1),
		tuning: t, epoch: &s.epoch, frozen: s.frozen,
	}
}

// alloc returns n bytes, a multiple of unit; false when all numbers of segments are used.
func (m *memory) alloc(kind int, n uint32) (ref, bool) {
	g := &m.info[m.fill[kind]]
	if g.end+n > g.size {
		if !m.open(kind, n) {
			return 0, false
		}
		g = &m.info[m.fill[kind]]
	}
	r := ref(m.fill[kind]<<placeBits | g.end/unit)
	g.end += n
	g.live += n
	m.live += int64(n)
	return r, true
}

// open begins a segment with room for n bytes at least.
func (m *memory) open(kind int, n uint32) bool {
	i := uint32(len(m.info))
	if last := len(m.unused) - 1; last >= 0 {
		i = m.unused[last]
		m.unused = m.unused[:last]
	} else if len(m.info) >= m.tuning.limit {
		return false
	} else {
		m.info = append(m.info, segment{})
		m.segments = append(m.segments, nil)
	}
	size := m.tuning.least
	for size < segmentBytes && int64(size) < m.bytes/segmentShare {
		size *= 2
	}
	words := make([]uint64, size/unit) // whose memory is aligned, and not scanned
	m.segments[i] = unsafe.Pointer(unsafe.SliceData(words))
	m.info[i] = segment{epoch: *m.epoch, size: size - segmentReserve}
	m.bytes += int64(size)
	m.close(kind)
	m.fill[kind] = i
	return true
}

// close ends the filling of a segment.
func (m *memory) close(kind int) {
	i := m.fill[kind]
	m.fill[kind] = 0
	if i == 0 {
		return
	}
	g := &m.info[i]
	m.dead += int64(g.size - g.end)
	if g.live == 0 {
		m.drop(i)
	}
}

// drop gives up segment i, in which nothing lives.
func (m *memory) drop(i uint32) {
	g := &m.info[i]
	m.bytes -= int64(g.size + segmentReserve)
	m.dead -= int64(g.size)
	m.info[i], m.segments[i] = segment{}, nil
	m.unused = append(m.unused, i)
	if m.cleaner.at == i {
		m.cleaner.at = 0
	}
}

// free is told that e, which r names, is nobody's entry any more.
func (m *memory) free(r ref, e *Entry) {
	if r&objectBit != 0 {
		m.setObject(uint32(r&^objectBit), nil)
		m.freeObjects = append(m.freeObjects, uint32(r&^objectBit))
		return
	}
	e.link = deadLink
	n, i := e.cell(), uint32(r>>placeBits)
	g := &m.info[i]
	g.live -= n
	m.live -= int64(n)
	m.dead += int64(n)
	if g.live == 0 && i != m.fill[young] && i != m.fill[moved] {
		m.drop(i)
	}
}

const (
	objectBits    = 9
	objectPartLen = 1 << objectBits
)

// objectPart is a part of the array of objects, copied before it changes while a snapshot
// may have it, as tables are.
type objectPart struct {
	epoch uint64
	e     [objectPartLen]*object
}

// addObject gives o a number.
func (m *memory) addObject(o *object) ref {
	i := uint32(m.objectCount)
	if last := len(m.freeObjects) - 1; last >= 0 {
		i = m.freeObjects[last]
		m.freeObjects = m.freeObjects[:last]
	} else {
		if ref(i) >= objectBit {
			panic("store: more than 2^31 large values")
		}
		m.objectCount++
		if int(i>>objectBits) == len(m.objects) {
			m.objects = append(m.objects, &objectPart{epoch: *m.epoch})
		}
	}
	m.setObject(i, o)
	return ref(i) | objectBit
}

func (m *memory) setObject(i uint32, o *object) {
	p := m.objects[i>>objectBits]
	if p.epoch != *m.epoch && m.frozen.Load() > 0 {
		p = &objectPart{e: p.e}
		m.objects[i>>objectBits] = p
	}
	p.epoch = *m.epoch
	p.e[i&(objectPartLen-1)] = o
}
