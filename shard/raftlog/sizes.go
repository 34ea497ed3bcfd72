package raftlog

import (
	"sort"

	"github.com/lockstepkv/lockstep/internal/invariant"
)

// sizeIndex knows how many bytes every range of the log holds: running totals per entry in fixed
// chunks, 8 bytes per entry, nothing copied when the log grows or its head goes. Totals only grow and
// are compared by difference, so a removed head needs no correction. The owner locks it.
type sizeIndex struct {
	first, last uint64 // 0, 0 while empty
	base        uint64 // index of chunks[0][0]
	before      int64  // running total before the first entry
	chunks      []*sizeChunk
}

const sizeChunkLen = 4096

// sizeChunk holds the running totals up to and including each of its entries.
type sizeChunk [sizeChunkLen]int64

func (s *sizeIndex) empty() bool { return s.last == 0 }

// total is the running total up to and including index, which may be first-1.
func (s *sizeIndex) total(index uint64) int64 {
	if index < s.first {
		return s.before
	}
	at := index - s.base
	return s.chunks[at/sizeChunkLen][at%sizeChunkLen]
}

// push appends the entry after last; the first one may have any index.
func (s *sizeIndex) push(index uint64, bytes int64) {
	if s.empty() {
		*s = sizeIndex{first: index, last: index - 1, base: index}
	}
	if invariant.Enabled {
		invariant.Check(index == s.last+1, "entry %d pushed after %d", index, s.last)
	}
	at := index - s.base
	if at/sizeChunkLen == uint64(len(s.chunks)) {
		s.chunks = append(s.chunks, new(sizeChunk))
	}
	sum := s.before
	if index > s.first {
		sum = s.total(s.last)
	}
	s.chunks[at/sizeChunkLen][at%sizeChunkLen] = sum + bytes
	s.last = index
}

// dropHead removes the entries up to and including the given one.
func (s *sizeIndex) dropHead(through uint64) {
	if through >= s.last {
		*s = sizeIndex{}
		return
	}
	s.before = s.total(through)
	s.first = through + 1
	if gone := (s.first - s.base) / sizeChunkLen; gone > 0 {
		s.chunks = append([]*sizeChunk(nil), s.chunks[gone:]...)
		s.base += gone * sizeChunkLen
	}
}

// dropTail removes the entries from the given one on.
func (s *sizeIndex) dropTail(from uint64) {
	if from <= s.first {
		*s = sizeIndex{}
		return
	}
	s.last = from - 1
	keep := (s.last-s.base)/sizeChunkLen + 1
	clear(s.chunks[keep:])
	s.chunks = s.chunks[:keep]
}

// bytesAfter sums the entries with a greater index.
func (s *sizeIndex) bytesAfter(index uint64) int64 {
	if s.empty() || index >= s.last {
		return 0
	}
	return s.total(s.last) - s.total(index)
}

// trailingWithin counts how many of the newest entries have at most maxBytes together.
func (s *sizeIndex) trailingWithin(maxBytes int64) uint64 {
	if s.empty() || maxBytes <= 0 {
		return 0
	}
	n := int(s.last - s.first + 1)
	// The smallest number of dropped head entries whose remainder fits.
	drop := sort.Search(n, func(k int) bool {
		return s.bytesAfter(s.first+uint64(k)-1) <= maxBytes
	})
	return uint64(n - drop)
}
