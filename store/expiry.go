package store

// expiryIndex is a 4-ary min-heap of the keys with an expiry time, ordered by
// (ExpireAt, Version). Each entry knows its place, so a changed key moves
// instead of leaving garbage behind.
type expiryIndex struct {
	mem   *memory
	items chunks[expiryItem]
}

type expiryItem struct {
	at  int64
	ref ref
}

func (x *expiryIndex) before(a, b *expiryItem) bool {
	return a.at < b.at || a.at == b.at && x.mem.at(a.ref).version < x.mem.at(b.ref).version
}

// entry returns the entry at pos.
func (x *expiryIndex) entry(pos int) *Entry { return x.mem.at(x.items.at(pos).ref) }

func (x *expiryIndex) len() int { return x.items.len() }

// add puts e in, which r names.
func (x *expiryIndex) add(r ref, e *Entry) {
	x.items.push(expiryItem{e.ExpireAt(), r})
	x.up(x.items.len() - 1)
}

// replace puts e, which r names, where old was.
func (x *expiryIndex) replace(old *Entry, r ref, e *Entry) {
	pos := int(old.timed().heapPos) - 1
	old.timed().heapPos = 0
	*x.items.at(pos) = expiryItem{e.ExpireAt(), r}
	x.fix(pos)
}

// remove takes e out.
func (x *expiryIndex) remove(e *Entry) {
	pos, last := int(e.timed().heapPos)-1, x.items.len()-1
	e.timed().heapPos = 0
	moved := *x.items.at(last)
	x.items.pop()
	if pos != last {
		*x.items.at(pos) = moved
		x.fix(pos)
	}
}

func (x *expiryIndex) fix(pos int) {
	if !x.up(pos) {
		x.down(pos)
	}
}

func (x *expiryIndex) place(pos int, it expiryItem) {
	*x.items.at(pos) = it
	x.mem.at(it.ref).timed().heapPos = uint32(pos) + 1
}

// up moves the item at pos towards the root and reports whether it moved.
func (x *expiryIndex) up(pos int) bool {
	it, start := *x.items.at(pos), pos
	for pos > 0 {
		parent := (pos - 1) / 4
		p := x.items.at(parent)
		if !x.before(&it, p) {
			break
		}
		x.place(pos, *p)
		pos = parent
	}
	x.place(pos, it)
	return pos != start
}

func (x *expiryIndex) down(pos int) {
	it, n := *x.items.at(pos), x.items.len()
	for {
		first := pos*4 + 1
		if first >= n {
			break
		}
		least := first
		for c := first + 1; c < min(first+4, n); c++ {
			if x.before(x.items.at(c), x.items.at(least)) {
				least = c
			}
		}
		child := x.items.at(least)
		if !x.before(child, &it) {
			break
		}
		x.place(pos, *child)
		pos = least
	}
	x.place(pos, it)
}

// NextExpiry returns the earliest expiry time of any key.
func (s *Store) NextExpiry() (atMillis int64, ok bool) {
	if s.expiry.len() == 0 {
		return 0, false
	}
	return s.expiry.items.at(0).at, true
}

// ttlSamples is how many keys AverageTTL looks at: enough for a figure that
// people read, few enough that nobody waits for it.
const ttlSamples = 1000

// AverageTTL estimates the mean time that keys with an expiry time have left, in
// milliseconds, from keys at even distances in the index.
func (s *Store) AverageTTL(nowMillis int64) int64 {
	n := s.expiry.len()
	if n == 0 {
		return 0
	}
	step := max(n/ttlSamples, 1)
	var sum float64
	seen := 0
	for i := 0; i < n; i += step {
		sum += float64(max(s.expiry.items.at(i).at-nowMillis, 0))
		seen++
	}
	return int64(sum / float64(seen))
}

// Reap deletes entries whose time is up at nowMillis, in the order (ExpireAt,
// Version), most of them at most, and returns how many it deleted. gone, if not nil, is
// told of each.
func (s *Store) Reap(nowMillis int64, most int, gone func(*Entry)) int {
	n := 0
	for n < most && s.expiry.len() > 0 {
		first := s.expiry.items.at(0)
		if first.at > nowMillis {
			break
		}
		e := s.mem.at(first.ref)
		s.Delete(e)
		if gone != nil {
			gone(e)
		}
		n++
	}
	return n
}
