package store

import "strings"

// poolSize is the size of Redis's eviction pool.
const poolSize = 16

// pool holds the best candidates seen so far, the one to evict first at the
// end (Redis: evict.c, approximated LRU with a pool). It names keys instead of
// pointing at entries, so that it keeps no large value alive.
type pool struct {
	n     int
	items [poolSize]poolItem
}

type poolItem struct {
	key   string
	score uint64
}

// offer puts e into the pool unless it is full of better candidates.
func (p *pool) offer(e *Entry, score uint64) {
	if p.n == poolSize && score <= p.items[0].score {
		return
	}
	for i := range p.items[:p.n] {
		if p.items[i].key == e.Key() {
			return
		}
	}
	k := p.n
	for k > 0 && p.items[k-1].score >= score {
		k--
	}
	if p.n < poolSize {
		copy(p.items[k+1:p.n+1], p.items[k:p.n])
		p.n++
	} else {
		k--
		copy(p.items[:k], p.items[1:k+1])
	}
	p.items[k] = poolItem{strings.Clone(e.Key()), score}
}

// best takes the last candidate out.
func (p *pool) best() (poolItem, bool) {
	if p.n == 0 {
		return poolItem{}, false
	}
	p.n--
	it := p.items[p.n]
	p.items[p.n] = poolItem{}
	return it, true
}

// score ranks e for eviction by LRU or LFU: the higher, the sooner. Keys that
// are used equally often are ranked by the time since their last use.
func (c *choice) score(e *Entry) uint64 {
	w := e.access.Load()
	idle := uint64(max(c.now-lastMillis(w), 0))
	if !c.s.opt.Policy.LFU() {
		return idle
	}
	return uint64(lfuMax-decayed(w, c.now, c.s.opt.LFUDecayMinutes))<<48 | min(idle, maxMillis)
}

// fruitless is how many draws in a row may fail before the rest of the victims
// is taken in order: when nearly all candidates are taken already.
const fruitless = 64

func (c *choice) byPool() {
	for miss := 0; !c.done(); {
		c.sample(c.s.opt.Samples, func(e *Entry) {
			if _, dup := c.taken[e]; !dup {
				c.pick.pool.offer(e, c.score(e))
			}
		})
		if c.takeBest() {
			miss = 0
		} else if miss++; miss >= fruitless {
			c.inOrder()
			return
		}
	}
}

// takeBest takes the best candidate of the pool that is still one.
func (c *choice) takeBest() bool {
	p := &c.pick.pool
	for {
		it, ok := p.best()
		if !ok {
			return false
		}
		e := c.s.get(it.key)
		if e == nil || c.s.opt.Policy.VolatileOnly() && e.flags&flagExpires == 0 {
			continue
		}
		// Used since it came into the pool: it competes again.
		if now := c.score(e); now < it.score && p.n > 0 && now < p.items[p.n-1].score {
			p.offer(e, now)
			continue
		}
		if c.take(e) {
			return true
		}
	}
}

func (c *choice) byChance() {
	for miss := 0; !c.done(); {
		taken := false
		c.sample(1, func(e *Entry) { taken = c.take(e) })
		if taken {
			miss = 0
		} else if miss++; miss >= fruitless {
			c.inOrder()
			return
		}
	}
}

// inOrder takes whatever candidates are left.
func (c *choice) inOrder() {
	if c.s.opt.Policy.VolatileOnly() {
		for i := 0; i < c.s.expiry.len() && !c.done(); i++ {
			c.take(c.s.expiry.entry(i))
		}
		return
	}
	c.s.Each(func(e *Entry) bool {
		if c.done() {
			return false
		}
		c.take(e)
		return true
	})
}

// sample calls fn for n candidates near a random place.
func (c *choice) sample(n int, fn func(*Entry)) {
	if c.s.opt.Policy.VolatileOnly() {
		for range min(n, c.s.expiry.len()) {
			fn(c.s.expiry.entry(c.pick.rng.IntN(c.s.expiry.len())))
		}
		return
	}
	n = min(n, c.s.n)
	b, i := c.start()
	for n > 0 {
		if t := c.s.dir.table(b); t != nil {
			for ; i < len(t.slots) && n > 0; i++ {
				if r := t.slots[i].ref; r != 0 {
					fn(c.s.mem.at(r))
					n--
				}
			}
		}
		b, i = (b+1)%bucketCount, 0
	}
}

// startTries bounds the search for an occupied slot in a nearly empty store.
const startTries = 32

// start returns a random occupied slot, each about as likely as any other, or
// in a nearly empty store any place.
func (c *choice) start() (bucket, pos int) {
	rng := c.pick.rng
	for range startTries {
		r := rng.Uint64()
		bucket = int(r % bucketCount)
		t := c.s.dir.table(bucket)
		if t == nil {
			continue
		}
		if pos = int(r >> 32 % uint64(len(t.slots))); t.slots[pos].ref != 0 {
			return bucket, pos
		}
	}
	return bucket, 0
}
