package store

import (
	"unsafe"

	"github.com/cespare/xxhash/v2"
)

// Cleaning: what lives in a segment of which much has died is moved to another one, a
// few entries with each change, and then the segment is dropped.
const (
	// deadShare: as much of the living bytes may be dead, and deadSlack.
	deadShare = 6
	deadSlack = 32 << 10
	// cleanPace is how many bytes are looked at for each that is written or freed: eight
	// for each byte that is overwritten. If all segments are equally full, seven are looked at
	// to gain one; when they are not, much fewer.
	cleanPace = 4
	// worthwhile is the part of a segment that must be dead, and while there is a snapshot,
	// whose segments stay as they are however much has died in them.
	worthwhile     = 1.0 / 12
	worthwhileHeld = 1.0 / 4
	// lookAt is how many segments are compared to find the best one, restAfter how many
	// bytes must be written or freed before it is tried again.
	lookAt    = 512
	restAfter = 16 << 10
)

// cleaner is where the cleaning is.
type cleaner struct {
	at   uint32 // the segment that is being emptied, 0: none
	pos  uint32 // where in it
	next uint32 // where to look for the next one
	rest int    // bytes to wait before the next look
}

// tidy goes on with the cleaning after n bytes were written or freed. Entries may have
// another place afterwards: who holds one can read it, but a ref is of no use.
func (s *Store) tidy(n int) {
	m := &s.mem
	c := &m.cleaner
	if c.at == 0 {
		if m.dead <= m.live/deadShare+m.tuning.slack {
			return
		}
		if c.rest -= n; c.rest > 0 {
			return
		}
		if c.at, c.pos = m.dirtiest(), 0; c.at == 0 {
			c.rest = restAfter
			return
		}
	}
	for budget := n * cleanPace; budget > 0 && c.at != 0; {
		g := &m.info[c.at]
		if c.pos >= g.end {
			panic("store: a segment counts entries that are not there")
		}
		r := ref(c.at<<placeBits | c.pos/unit)
		e := m.at(r)
		n := e.cell()
		c.pos += n
		budget -= int(n)
		if e.link != deadLink && !s.move(r, e, n) {
			c.at, c.rest = 0, restAfter
		}
	}
}

// dirtiest returns the segment that is best worth cleaning, 0 for none. One that a
// snapshot may hold is not: its memory would not come back.
func (m *memory) dirtiest() (best uint32) {
	held := m.frozen.Load() > 0
	count := uint32(len(m.info))
	most := worthwhile
	if held {
		most = worthwhileHeld
	}
	for range min(count, lookAt) {
		i := m.cleaner.next % count
		m.cleaner.next = i + 1
		g := &m.info[i]
		if g.size == 0 || i == m.fill[young] || i == m.fill[moved] || held && g.epoch != *m.epoch {
			continue
		}
		dead := float64(g.size-g.live) / float64(g.size)
		if dead > most {
			best, most = i, dead
		}
	}
	return best
}

// move copies e, of n bytes, to another segment. It cannot when there are no more.
func (s *Store) move(r ref, e *Entry, n uint32) bool {
	to, ok := s.mem.alloc(moved, n)
	if !ok {
		return false
	}
	c := s.mem.at(to)
	copy(unsafe.Slice((*byte)(unsafe.Pointer(c)), n), unsafe.Slice((*byte)(unsafe.Pointer(e)), n))
	hash := xxhash.Sum64String(e.Key())
	_, t := s.own(bucketOf(hash))
	t.replace(hashOf(hash), r, to)
	if c.flags&flagExpires != 0 {
		s.expiry.items.at(int(c.timed().heapPos) - 1).ref = to
	}
	if s.sieve != nil {
		s.sieve.nodes.at(int(c.link)).ref = to
	}
	s.mem.free(r, e)
	return true
}
