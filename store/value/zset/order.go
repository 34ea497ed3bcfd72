package zset

import "sort"

// At returns the member of a rank, counted from 0 at the lowest score, and its score. The
// member is valid until the set changes, and must not be modified.
func (c *contents) At(rank int) (member []byte, score float64) {
	if rank < 0 || rank >= c.n {
		panic("zset: no member of that rank")
	}
	if c.large != nil {
		key, member, value := c.large.scores.At(rank)
		return member, element(key, value)
	}
	eachPacked(c.buf, func(r packedRecord) bool {
		member, score = r.member, r.score
		rank--
		return rank >= 0
	})
	return member, score
}

// Rank returns how many members are before one, and its score.
func (c *contents) Rank(member []byte) (rank int, score float64, ok bool) {
	if c.large == nil {
		r, rank, ok := find(c.buf, member)
		return rank, r.score, ok
	}
	if score, ok = c.large.score(member); !ok {
		return 0, 0, false
	}
	rank, _ = c.large.scores.Rank(keyOf(score), member)
	return rank, score, true
}

// Below returns how many members have a score below that, or, with equal, not above.
func (c *contents) Below(score float64, equal bool) (count int) {
	if c.large == nil {
		eachPacked(c.buf, func(r packedRecord) bool {
			if r.score < score || equal && r.score == score {
				count++
				return true
			}
			return false
		})
		return count
	}
	key := keyOf(score)
	if equal {
		key++ // no score has the last key
	}
	count, _ = c.large.scores.Rank(key, nil)
	return count
}

// First returns the rank of the first member that is reports true for, Len when there is
// none, Last that of the last one, -1 when there is none. In a large set is must be such that
// if it is true for a member it is true for all that follow (First) or that come before
// (Last); otherwise the answer is of use for nobody, and still depends on the contents alone.
func (c *contents) First(is func(member []byte) bool) int {
	if c.large != nil {
		return sort.Search(c.n, func(rank int) bool {
			member, _ := c.At(rank)
			return is(member)
		})
	}
	rank := 0
	eachPacked(c.buf, func(r packedRecord) bool {
		if is(r.member) {
			return false
		}
		rank++
		return true
	})
	return rank
}

// Last is described at First.
func (c *contents) Last(is func(member []byte) bool) int {
	if c.large != nil {
		return sort.Search(c.n, func(rank int) bool {
			member, _ := c.At(rank)
			return !is(member)
		}) - 1
	}
	rank, last := 0, -1
	eachPacked(c.buf, func(r packedRecord) bool {
		if is(r.member) {
			last = rank
		}
		rank++
		return true
	})
	return last
}

// Ascend calls fn for every member from a rank on, in order, until it returns false. The set
// must not change meanwhile, nor may fn modify what it is given or keep it.
func (c *contents) Ascend(rank int, fn func(member []byte, score float64) bool) {
	if c.large != nil {
		c.large.scores.Ascend(rank, func(key uint64, member, value []byte) bool {
			return fn(member, element(key, value))
		})
		return
	}
	eachPacked(c.buf, func(r packedRecord) bool {
		if rank > 0 {
			rank--
			return true
		}
		return fn(r.member, r.score)
	})
}

// Descend is Ascend in the other direction, from a rank on down.
func (c *contents) Descend(rank int, fn func(member []byte, score float64) bool) {
	if rank < 0 || c.n == 0 {
		return
	}
	if c.large != nil {
		c.large.scores.Descend(rank, func(key uint64, member, value []byte) bool {
			return fn(member, element(key, value))
		})
		return
	}
	starts := c.starts()
	for i := min(rank, c.n-1); i >= 0; i-- {
		if r := readRecord(c.buf, starts[i]); !fn(r.member, r.score) {
			return
		}
	}
}

// cursorBits is how much of a hash a cursor has.
const (
	cursorBits  = 48
	cursorShift = 64 - cursorBits
)

// Scan calls fn for the members that follow cursor, and returns the cursor to go on with, 0
// at the end; 0 begins. It goes on for as long as more says so, which is asked before every
// member of a large set; more members than one come between only if their hashes agree
// in all bits that a cursor has. Cursors are below 2^48; they are positions in the order of
// hashes and mean the same on every replica. A packed set is handed out at once, as Redis
// does. fn has Ascend's rules.
func (c *contents) Scan(cursor uint64, more func() bool, fn func(member []byte, score float64)) (next uint64) {
	if cursor >= 1<<cursorBits {
		return 0
	}
	if c.large == nil {
		eachPacked(c.buf, func(r packedRecord) bool {
			if cursor == 0 || hashOf(r.member)>>cursorShift >= cursor { // it was large when the scan began
				fn(r.member, r.score)
			}
			return true
		})
		return 0
	}
	begun, last := false, uint64(0)
	c.large.members.From(cursor<<cursorShift, func(hash uint64, member, value []byte) bool {
		pos := hash >> cursorShift
		if begun && pos != last && !more() {
			next = last + 1
			return false
		}
		score, _ := readScore(value)
		fn(member, score)
		begun, last = true, pos
		return true
	})
	return next
}
