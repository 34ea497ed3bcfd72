package store

import "slices"

const (
	bucketBits  = 14
	bucketCount = 1 << bucketBits
)

// directory is the array of tables in two levels, so that Freeze copies no more
// than the upper one. Entries come in hash order.
type directory [pageCount]*page

const (
	pageBits  = 7
	pageLen   = 1 << pageBits
	pageCount = bucketCount / pageLen
)

// page holds the tables of a range of buckets; nil is an empty table.
type page struct {
	epoch  uint64 // as in table
	n      int    // entries in all tables
	tables [pageLen]*table
}

// table returns bucket b's table, nil when it is empty.
func (d *directory) table(b int) *table {
	if p := d[b>>pageBits]; p != nil {
		return p.tables[b&(pageLen-1)]
	}
	return nil
}

// each calls fn for every entry until it returns false.
func (d *directory) each(in *space, fn func(*Entry) bool) {
	d.eachRef(func(r ref) bool { return fn(in.at(r)) })
}

func (d *directory) eachRef(fn func(ref) bool) {
	for _, p := range d {
		if p == nil {
			continue
		}
		for _, t := range p.tables {
			if t == nil {
				continue
			}
			for i := range t.slots {
				if r := t.slots[i].ref; r != 0 && !fn(r) {
					return
				}
			}
		}
	}
}

func bucketOf(hash uint64) int { return int(hash >> (64 - bucketBits)) }

// hashOf returns the bits of a key's hash that its slot has. With the bucket they are
// those that a cursor of Scan has.
func hashOf(hash uint64) uint32 { return uint32(hash >> cursorShift) }

// table holds the entries of one bucket in ascending order of (hash, key). It
// is a hash table with linear probing whose home positions grow with the hash,
// so every run of occupied slots is ordered and the order does not depend on
// the history or on the capacity. Runs do not wrap around: slots has some room
// behind the last home and is extended when a run needs more.
//
//	home(h) <= position of h, and no slot between the two is empty.
type table struct {
	epoch uint64 // Store.epoch when this table was made or last found unshared
	n     int
	homes uint64
	slots []slot
}

type slot struct {
	hash uint32
	ref  ref // 0: empty
}

// newTable returns an empty table with at least homes home positions. It uses
// up the size class that the allocator hands out anyway.
func newTable(epoch, homes uint64) *table {
	slack := 1 + homes/8
	slots := slices.Grow([]slot(nil), int(homes+slack))
	slots = slots[:cap(slots)]
	return &table{epoch: epoch, homes: uint64(len(slots)) - slack, slots: slots}
}

func (t *table) clone(epoch uint64) *table {
	c := &table{epoch: epoch, n: t.n, homes: t.homes, slots: make([]slot, len(t.slots))}
	copy(c.slots, t.slots)
	return c
}

func (t *table) home(hash uint32) int { return int(uint64(hash) * t.homes >> 32) }

// find returns the position of key, or the position where it would be inserted.
func (t *table) find(in *space, hash uint32, key string) (pos int, found bool) {
	i := t.home(hash)
	for ; i < len(t.slots); i++ {
		s := &t.slots[i]
		if s.ref == 0 || s.hash > hash {
			return i, false
		}
		if s.hash == hash {
			if k := in.at(s.ref).Key(); k == key {
				return i, true
			} else if k > key {
				return i, false
			}
		}
	}
	return i, false
}

// get returns the entry of key, or nil.
func (t *table) get(in *space, hash uint32, key string) *Entry {
	slots := t.slots
	for i := t.home(hash); i < len(slots); i++ {
		s := &slots[i]
		if s.ref == 0 || s.hash > hash {
			return nil
		}
		if s.hash == hash {
			if e := in.at(s.ref); e.Key() == key {
				return e
			}
		}
	}
	return nil
}

// insert puts the entry r of key, which is not in the table.
func (t *table) insert(in *space, hash uint32, key string, r ref) {
	if uint64(t.n) >= t.homes-t.homes/8 {
		t.resize(t.homes + t.homes/4 + 1)
	}
	pos, _ := t.find(in, hash, key)
	end := pos
	for end < len(t.slots) && t.slots[end].ref != 0 {
		end++
	}
	if end == len(t.slots) {
		t.slots = append(t.slots, slot{})
		t.slots = t.slots[:cap(t.slots)]
	}
	copy(t.slots[pos+1:end+1], t.slots[pos:end])
	t.slots[pos] = slot{hash, r}
	t.n++
}

// replace makes the slot of this hash that has r have to.
func (t *table) replace(hash uint32, r, to ref) {
	i := t.home(hash)
	for t.slots[i].ref != r {
		i++
	}
	if t.slots[i].hash != hash {
		panic("store: a living entry is not in its place")
	}
	t.slots[i].ref = to
}

// remove takes out the entry at pos and closes the gap.
func (t *table) remove(pos int) {
	end := pos + 1
	for end < len(t.slots) && t.slots[end].ref != 0 && t.home(t.slots[end].hash) < end {
		end++
	}
	copy(t.slots[pos:end-1], t.slots[pos+1:end])
	t.slots[end-1] = slot{}
	t.n--
	if len(t.slots) > 16 && t.n*4 < len(t.slots) {
		t.resize(uint64(t.n) * 2)
	}
}

func (t *table) resize(homes uint64) {
	n := newTable(t.epoch, max(homes, 2))
	next := 0
	for _, s := range t.slots {
		if s.ref == 0 {
			continue
		}
		next = max(next, n.home(s.hash))
		if next == len(n.slots) {
			n.slots = append(n.slots, slot{})
			n.slots = n.slots[:cap(n.slots)]
		}
		n.slots[next] = s
		next++
	}
	n.n = t.n
	*t = *n
}

// seek returns the position of the first entry with at least this hash, which
// belongs to the table's bucket. Slots from there on may be empty.
func (t *table) seek(hash uint32) int {
	i := t.home(hash)
	for i < len(t.slots) && t.slots[i].ref != 0 && t.slots[i].hash < hash {
		i++
	}
	return i
}
