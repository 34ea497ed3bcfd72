package store

import (
	"math/rand/v2"
)

// MaxVictims bounds the answer of one call of Victims.
const MaxVictims = 4096

// Victim is a key to evict, as long as it still has that version.
type Victim struct {
	Key     string
	Version uint64
	Size    int64 // accounted bytes
}

// Picker is what the choice of victims remembers from call to call. It belongs
// to one store and one goroutine.
type Picker struct {
	rng  *rand.Rand
	pool pool
}

// NewPicker returns a picker with a random choice of its own.
func NewPicker() *Picker { return seededPicker(rand.Uint64()) }

func seededPicker(seed uint64) *Picker {
	return &Picker{rng: rand.New(rand.NewPCG(seed, 0x2545f4914f6cdd1d))}
}

// Victims returns which entries to evict to free need accounted bytes, worst
// first, at most MaxVictims and fewer bytes when there are no more candidates.
// It changes nothing that is replicated. The caller evicts them (Evict on every
// replica) before it asks again; otherwise it may get the same ones.
func (s *Store) Victims(nowMillis int64, need int64, pick *Picker) []Victim {
	c := choice{s: s, pick: pick, now: nowMillis, need: need, taken: map[*Entry]struct{}{}}
	switch s.opt.Policy {
	case AllKeysLRU, AllKeysLFU, VolatileLRU, VolatileLFU:
		c.byPool()
	case AllKeysRandom, VolatileRandom:
		c.byChance()
	case VolatileTTL:
		c.byExpiry()
	case AllKeysSieve:
		c.bySieve()
	}
	return c.out
}

// Evictable returns how many entries the policy may evict.
func (s *Store) Evictable() int {
	switch {
	case s.opt.Policy == NoEviction:
		return 0
	case s.opt.Policy.VolatileOnly():
		return s.expiry.len()
	}
	return s.n
}

// choice is one call of Victims.
type choice struct {
	s     *Store
	pick  *Picker
	now   int64
	need  int64
	freed int64
	out   []Victim
	taken map[*Entry]struct{}
}

func (c *choice) done() bool {
	return c.freed >= c.need || len(c.out) >= MaxVictims || len(c.out) >= c.s.Evictable()
}

func (c *choice) take(e *Entry) bool {
	if _, dup := c.taken[e]; dup {
		return false
	}
	c.taken[e] = struct{}{}
	c.out = append(c.out, Victim{Key: e.Key(), Version: e.version, Size: e.Size()})
	c.freed += e.Size()
	return true
}

// byExpiry takes the keys that expire next. It walks the heap from the root
// with a second heap of the places to look at, so k victims cost O(k log k).
func (c *choice) byExpiry() {
	x := &c.s.expiry
	front := frontier{x: x}
	if x.len() > 0 {
		front.push(0)
	}
	for !c.done() && len(front.at) > 0 {
		i := front.pop()
		c.take(x.entry(i))
		for child := i*4 + 1; child <= i*4+4 && child < x.len(); child++ {
			front.push(child)
		}
	}
}

// frontier is a binary min-heap of positions in the expiry index.
type frontier struct {
	x  *expiryIndex
	at []int
}

func (f *frontier) before(a, b int) bool {
	return f.x.before(f.x.items.at(f.at[a]), f.x.items.at(f.at[b]))
}

func (f *frontier) push(pos int) {
	f.at = append(f.at, pos)
	for i := len(f.at) - 1; i > 0; {
		parent := (i - 1) / 2
		if !f.before(i, parent) {
			return
		}
		f.at[i], f.at[parent] = f.at[parent], f.at[i]
		i = parent
	}
}

func (f *frontier) pop() int {
	top, last := f.at[0], len(f.at)-1
	f.at[0] = f.at[last]
	f.at = f.at[:last]
	for i := 0; ; {
		c := 2*i + 1
		if c >= last {
			return top
		}
		if c+1 < last && f.before(c+1, c) {
			c++
		}
		if !f.before(c, i) {
			return top
		}
		f.at[i], f.at[c] = f.at[c], f.at[i]
		i = c
	}
}

// bySieve moves the hand from older to newer keys: a visited one loses its mark
// and stays, another one is taken.
func (c *choice) bySieve() {
	c.s.Prepare()
	q := c.s.sieve
	// Two rounds clear every mark; readers that set them again meanwhile must
	// not keep the hand going for ever.
	patience := 2 * c.s.n
	for !c.done() {
		if q.hand == 0 {
			q.hand = q.nodes.at(0).next
		}
		n := q.nodes.at(int(q.hand))
		q.hand = n.next
		e := c.s.mem.at(n.ref)
		if e.access.Load()&visitedBit != 0 && patience > 0 {
			e.access.And(^uint64(visitedBit))
			patience--
			continue
		}
		c.take(e)
	}
}
