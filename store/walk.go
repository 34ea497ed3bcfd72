package store

import "math/rand/v2"

// Cursors count in the upper cursorBits bits of the hash.
const (
	cursorBits  = bucketBits + 32
	cursorShift = 64 - cursorBits
)

// Scan calls fn for the entries that follow cursor, at least count of them
// while there are more, and returns the cursor to go on with, 0 at the end. A
// scan starts with cursor 0. Cursors are below 2^46 and mean the same on every
// replica: they are positions in hash order. fn must not change the store.
func (s *Store) Scan(cursor uint64, count int, fn func(*Entry)) (next uint64) {
	done := 0
	return s.ScanWhile(cursor, func() bool { return done < max(count, 1) }, func(e *Entry) {
		fn(e)
		done++
	})
}

// ScanWhile is Scan for as long as more says so, which is asked before every entry; more
// entries than one come between only if their hashes agree in all bits that a cursor has.
func (s *Store) ScanWhile(cursor uint64, more func() bool, fn func(*Entry)) (next uint64) {
	if cursor >= 1<<cursorBits {
		return 0
	}
	from := cursor << cursorShift
	begun, last := false, uint64(0)
	for b := bucketOf(from); b < bucketCount; b++ {
		t := s.dir.table(b)
		if t == nil {
			continue
		}
		first := 0
		if b == bucketOf(from) {
			first = t.seek(hashOf(from))
		}
		for i := first; i < len(t.slots); i++ {
			sl := &t.slots[i]
			if sl.ref == 0 {
				continue
			}
			pos := uint64(b)<<32 | uint64(sl.hash)
			if begun && pos != last && !more() {
				return last + 1
			}
			fn(s.mem.at(sl.ref))
			begun, last = true, pos
		}
	}
	return 0
}

// Each calls fn for every entry in hash order until it returns false. fn must
// not change the store.
func (s *Store) Each(fn func(*Entry) bool) { s.dir.each(&s.mem.space, fn) }

// randomTries bounds how often Random draws before it looks at every key.
const randomTries = 100

// Random returns an entry for which live is true, or nil when there is none.
// All live entries are equally likely. The choice depends on rng and on the
// keys alone. A nil live accepts every entry.
func (s *Store) Random(rng *rand.Rand, live func(*Entry) bool) *Entry {
	if s.n == 0 {
		return nil
	}
	for range randomTries {
		if e := s.rank(rng.IntN(s.n)); live == nil || live(e) {
			return e
		}
	}
	var alive []*Entry
	s.Each(func(e *Entry) bool {
		if live(e) {
			alive = append(alive, e)
		}
		return true
	})
	if len(alive) == 0 {
		return nil
	}
	return alive[rng.IntN(len(alive))]
}

// rank returns the k-th entry in hash order, counted from 0.
func (s *Store) rank(k int) *Entry {
	var p *page
	for i := 0; p == nil; i++ {
		if next := s.dir[i]; next == nil {
			continue
		} else if k >= next.n {
			k -= next.n
		} else {
			p = next
		}
	}
	var t *table
	for i := 0; t == nil; i++ {
		if next := p.tables[i]; next == nil {
			continue
		} else if k >= next.n {
			k -= next.n
		} else {
			t = next
		}
	}
	for i := range t.slots {
		if t.slots[i].ref == 0 {
			continue
		}
		if k == 0 {
			return s.mem.at(t.slots[i].ref)
		}
		k--
	}
	panic("store: a table holds fewer entries than it counts")
}

// CountInSlot returns the number of keys in a hash slot.
func (s *Store) CountInSlot(slot uint16) int {
	if slot >= SlotCount {
		return 0
	}
	return int(s.slots[slot])
}

// KeysInSlot returns entries of a hash slot in hash order, most of them at most. It looks
// through the store until it has found them.
func (s *Store) KeysInSlot(slot uint16, most int) []*Entry {
	want := min(most, s.CountInSlot(slot))
	if want <= 0 {
		return nil
	}
	found := make([]*Entry, 0, want)
	s.Each(func(e *Entry) bool {
		if e.slot == slot {
			found = append(found, e)
		}
		return len(found) < want
	})
	return found
}
