package raftlog

import "github.com/hashicorp/raft"

// entryCache keeps the newest entries of the log, bounded by bytes: a contiguous run of indexes in a
// ring. Entries share their data with whoever stored or reads them; log entries are immutable. The owner
// locks it.
type entryCache struct {
	maxBytes int64
	bytes    int64
	ring     []raft.Log // length is a power of two, or zero
	lo, hi   uint64     // cached indexes [lo, hi); equal when empty
}

// cachedOverhead is the memory of one entry besides its data.
const cachedOverhead = 104

func cacheCost(l *raft.Log) int64 {
	return int64(len(l.Data)) + int64(len(l.Extensions)) + cachedOverhead
}

func (c *entryCache) slot(index uint64) *raft.Log {
	return &c.ring[index&uint64(len(c.ring)-1)]
}

// get copies the entry into l if it is cached.
func (c *entryCache) get(index uint64, l *raft.Log) bool {
	if index < c.lo || index >= c.hi {
		return false
	}
	*l = *c.slot(index)
	return true
}

// push adds the newest entry and lets the oldest go until the rest fits. An index that does not follow
// the newest one begins a new run.
func (c *entryCache) push(l *raft.Log) {
	if c.maxBytes <= 0 {
		return
	}
	if l.Index != c.hi {
		c.dropTail(c.lo)
		c.lo, c.hi = l.Index, l.Index
	}
	cost := cacheCost(l)
	for c.lo < c.hi && c.bytes+cost > c.maxBytes {
		c.dropOldest()
	}
	if cost > c.maxBytes {
		c.lo, c.hi = l.Index+1, l.Index+1
		return
	}
	if c.hi-c.lo == uint64(len(c.ring)) {
		c.grow()
	}
	*c.slot(l.Index) = *l
	c.hi++
	c.bytes += cost
}

func (c *entryCache) dropOldest() {
	s := c.slot(c.lo)
	c.bytes -= cacheCost(s)
	*s = raft.Log{}
	c.lo++
}

// dropHead forgets the entries up to and including max.
func (c *entryCache) dropHead(max uint64) {
	for c.lo < c.hi && c.lo <= max {
		c.dropOldest()
	}
}

// dropTail forgets the entries from min on.
func (c *entryCache) dropTail(min uint64) {
	for c.hi > c.lo && c.hi > min {
		c.hi--
		s := c.slot(c.hi)
		c.bytes -= cacheCost(s)
		*s = raft.Log{}
	}
}

func (c *entryCache) grow() {
	bigger := make([]raft.Log, max(64, 2*len(c.ring)))
	for i := c.lo; i < c.hi; i++ {
		bigger[i&uint64(len(bigger)-1)] = *c.slot(i)
	}
	c.ring = bigger
}
