package raftlog

import (
	"slices"

	"github.com/hashicorp/raft"
)

// commandIndex knows which entries of the log are commands. Raft keeps the others (no-ops, barriers,
// configurations) from the state machine, so whoever waits until an index is applied has to wait for the
// newest command at or below it. The others are few, so only they are kept. The owner locks it.
type commandIndex struct {
	first, last uint64   // 0, 0 while empty
	others      []uint64 // indexes in [first, last] of entries that are no commands, ascending
	// floor is the newest command below first; what lies between is none. Where that is not known it is
	// first-1, which is never too low.
	floor uint64
}

// push appends the entry after last; the first one may have any index.
func (c *commandIndex) push(index uint64, typ raft.LogType) {
	if c.last == 0 {
		*c = commandIndex{first: index, floor: index - 1}
	}
	if typ != raft.LogCommand {
		c.others = append(c.others, index)
	}
	c.last = index
}

// newest returns the newest command at or below index. Of what the log does not hold it makes the most: an
// index of which nothing is known counts as a command.
func (c *commandIndex) newest(index uint64) uint64 {
	switch {
	case c.last == 0 || index > c.last:
		return index
	case index < c.first:
		return min(index, c.floor)
	}
	at, found := slices.BinarySearch(c.others, index)
	for found {
		if index--; index < c.first {
			return c.floor
		}
		at--
		found = at >= 0 && c.others[at] == index
	}
	return index
}

// dropHead removes the entries up to and including the given one.
func (c *commandIndex) dropHead(through uint64) {
	if through >= c.last {
		*c = commandIndex{}
		return
	}
	c.floor = c.newest(through)
	at, _ := slices.BinarySearch(c.others, through+1)
	c.others = slices.Clone(c.others[at:])
	c.first = through + 1
}

// dropTail removes the entries from the given one on.
func (c *commandIndex) dropTail(from uint64) {
	if from <= c.first {
		*c = commandIndex{}
		return
	}
	at, _ := slices.BinarySearch(c.others, from)
	c.others = c.others[:at]
	c.last = from - 1
}

// NewestCommand returns the newest command at or below index, as far as the log knows: what it does not
// hold any more, or not yet, counts as a command. It knows an entry before StoreLogs returns.
func (s *Store) NewestCommand(index uint64) uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.commands.newest(index)
}
