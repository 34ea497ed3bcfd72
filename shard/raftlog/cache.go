package raftlog

import (
	"hash/crc32"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/raft"
)

// CacheBudget bounds the memory that the caches of several Stores take together. When it is used up, the
// largest of them gives up its oldest entries: busy logs come to have equal shares, and a quiet one keeps
// what it has as long as that is less than a share. The zero value has no room.
type CacheBudget struct {
	limit int64
	used  atomic.Int64

	mu     sync.Mutex // taken before the mu of a Store, never while one is held
	stores []*Store   // guarded by mu
}

// NewCacheBudget returns a budget of limit bytes; without any there is no cache.
func NewCacheBudget(limit int64) *CacheBudget { return &CacheBudget{limit: limit} }

// Used returns the bytes that the caches take.
func (b *CacheBudget) Used() int64 { return b.used.Load() }

func (b *CacheBudget) join(s *Store) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stores = append(b.stores, s)
}

// leave gives back what s takes. Its cache stays empty from now on.
func (b *CacheBudget) leave(s *Store) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stores = slices.DeleteFunc(b.stores, func(o *Store) bool { return o == s })
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cache.close()
}

// relieve makes the caches fit again. The caller holds no lock.
func (b *CacheBudget) relieve() {
	if b.used.Load() <= b.limit {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.used.Load() > b.limit {
		largest := b.largest()
		if largest == nil {
			return
		}
		largest.mu.Lock()
		largest.cache.shrink(b.used.Load() - b.limit)
		largest.mu.Unlock()
	}
}

// largest is the Store whose cache takes most, nil when all are empty; mu is held.
func (b *CacheBudget) largest() (found *Store) {
	most := int64(0)
	for _, s := range b.stores {
		if n := s.cache.held.Load(); n > most {
			found, most = s, n
		}
	}
	return found
}

// entryCache keeps the newest entries of the log, bounded by bytes: a contiguous run of indexes in a
// ring. Entries share their data with whoever stored or reads them; log entries are immutable. The owner
// locks it.
type entryCache struct {
	maxBytes int64
	budget   *CacheBudget // nil: none beside maxBytes
	bytes    int64        // of the data
	held     atomic.Int64 // bytes and the ring, as the budget has it; to be read without the lock
	ring     []cached     // length is a power of two, or zero
	lo, hi   uint64       // cached indexes [lo, hi); equal when empty
}

// cached is an entry with a checksum over it. What followers are sent comes from here, and a follower
// would store a bit that has changed in this memory under a checksum of its own.
type cached struct {
	raft.Log
	sum uint32
}

// sumOf covers what the disk keeps of an entry but its time, and its index, which get's caller compares:
// a CRC32C over the bytes, mixed with the numbers.
func sumOf(l *raft.Log) uint32 {
	const odd = 0x9E3779B97F4A7C15
	sum := crc32.Checksum(l.Data, castagnoli)
	if len(l.Extensions) > 0 {
		sum = crc32.Update(sum, castagnoli, l.Extensions)
	}
	return sum ^ uint32((l.Term*odd^uint64(l.Type))*odd>>32)
}

const (
	// cachedOverhead is the memory of one slot of the ring: sizeof(cached).
	cachedOverhead = 104
	minRing        = 4
)

// cacheCost is the memory of an entry's data, roughly as the allocator rounds it.
func cacheCost(l *raft.Log) int64 {
	return int64(len(l.Data)+15)&^15 + int64(len(l.Extensions)+15)&^15
}

func (c *entryCache) slot(index uint64) *cached {
	return &c.ring[index&uint64(len(c.ring)-1)]
}

// get copies the entry into l if it is cached, and returns the checksum that it must have.
func (c *entryCache) get(index uint64, l *raft.Log) (sum uint32, ok bool) {
	if index < c.lo || index >= c.hi {
		return 0, false
	}
	s := c.slot(index)
	*l = s.Log
	return s.sum, true
}

// push adds the newest entry and lets the oldest go until the rest fits. An index that does not follow
// the newest one begins a new run. sum is the entry's checksum.
func (c *entryCache) push(l *raft.Log, sum uint32) {
	if c.maxBytes <= 0 {
		return
	}
	defer c.settle()
	if l.Index != c.hi {
		c.dropTail(c.lo)
		c.lo, c.hi = l.Index, l.Index
	}
	cost := cacheCost(l)
	for c.lo < c.hi && c.bytes+cost+cachedOverhead*int64(c.ringFor(c.len()+1)) > c.maxBytes {
		c.dropOldest()
	}
	if cost+cachedOverhead*int64(c.ringFor(1)) > c.maxBytes {
		c.lo, c.hi = l.Index+1, l.Index+1
		c.ring = nil
		return
	}
	c.resize(c.ringFor(c.len() + 1))
	*c.slot(l.Index) = cached{*l, sum}
	c.hi++
	c.bytes += cost
}

func (c *entryCache) len() int { return int(c.hi - c.lo) }

// ringFor is the length of the ring for n entries: a larger one than now when it must be, a smaller one
// when less than a quarter is used.
func (c *entryCache) ringFor(n int) int {
	size := max(len(c.ring), minRing)
	for size < n {
		size *= 2
	}
	for size > minRing && n <= size/4 {
		size /= 2
	}
	return size
}

func (c *entryCache) resize(n int) {
	if n == len(c.ring) {
		return
	}
	other := make([]cached, n)
	for i := c.lo; i < c.hi; i++ {
		other[i&uint64(n-1)] = *c.slot(i)
	}
	c.ring = other
}

func (c *entryCache) dropOldest() {
	s := c.slot(c.lo)
	c.bytes -= cacheCost(&s.Log)
	*s = cached{}
	c.lo++
}

// shrink lets the oldest entries go until so many bytes are free, or nothing is left.
func (c *entryCache) shrink(bytes int64) {
	defer c.settle()
	want := c.held.Load() - bytes
	for c.lo < c.hi && c.bytes+cachedOverhead*int64(c.ringFor(c.len())) > want {
		c.dropOldest()
	}
	if c.lo == c.hi {
		c.ring = nil
		return
	}
	c.resize(c.ringFor(c.len()))
}

// dropHead forgets the entries up to and including the given one.
func (c *entryCache) dropHead(through uint64) {
	defer c.settle()
	for c.lo < c.hi && c.lo <= through {
		c.dropOldest()
	}
}

// dropTail forgets the entries from the given one on.
func (c *entryCache) dropTail(from uint64) {
	defer c.settle()
	for c.hi > c.lo && c.hi > from {
		c.hi--
		s := c.slot(c.hi)
		c.bytes -= cacheCost(&s.Log)
		*s = cached{}
	}
}

// close empties the cache for good.
func (c *entryCache) close() {
	c.dropTail(c.lo)
	c.ring, c.maxBytes = nil, 0
	c.settle()
}

// settle tells the budget what the cache takes now.
func (c *entryCache) settle() {
	now := c.bytes + cachedOverhead*int64(len(c.ring))
	if was := c.held.Swap(now); c.budget != nil && was != now {
		c.budget.used.Add(now - was)
	}
}
