package zset

import (
	"encoding/binary"
	"math"

	"github.com/cespare/xxhash/v2"
	"github.com/lockstepkv/lockstep/store/value/epoch"
)

// Limits say how far a set is packed. They come from the caller with each
// change, since all replicas must have the same.
type Limits struct {
	Members int // a packed set has no more members
	Bytes   int // no member in it is longer
}

// Whatever Limits say, a packed set stays below these, so that a copy of its block
// and a search in it have a bound.
const (
	maxPackedMembers = 2048
	maxPackedBlock   = 64 << 10
)

// MaxLimits are the most that has an effect.
func MaxLimits() Limits { return Limits{Members: maxPackedMembers, Bytes: maxPackedBlock} }

// DefaultLimits are those of Redis.
func DefaultLimits() Limits { return Limits{Members: 128, Bytes: 64} }

// ZSet is a sorted set in the hands of its writer. The zero value is empty and packed.
// It must not be copied.
type ZSet struct {
	contents
	head epoch.Head
}

// contents is what ZSet and View have in common. They can be read.
type contents struct {
	n     int
	sum   uint64
	buf   []byte // packed form, see packed.go
	large *large // large form, nil in the packed one
}

var negativeZero = math.Copysign(0, -1)

// New returns an empty packed set.
func New() *ZSet { return new(ZSet) }

// NewLarge returns an empty set in the large form, which it keeps.
func NewLarge() *ZSet {
	z := new(ZSet)
	z.large = newLarge()
	return z
}

// Len returns the number of members.
func (c *contents) Len() int { return c.n }

// Packed reports whether the set has its packed form.
func (c *contents) Packed() bool { return c.large == nil }

// Encoding is Redis's word for the form.
func (c *contents) Encoding() string {
	if c.Packed() {
		return "listpack"
	}
	return "skiplist"
}

// Lasting reports whether a member that the set has handed out stays as it is when the set
// changes: long ones of a large set have memory of their own.
func (c *contents) Lasting(member []byte) bool { return c.large != nil && len(member) > inlineMember }

// Sum returns a hash of the members and their scores that does not depend on the form.
func (c *contents) Sum() uint64 { return c.sum }

// Resum counts Sum anew, from the members as they are in memory, in both trees.
func (c *contents) Resum() (sum uint64) {
	c.Ascend(0, func(member []byte, score float64) bool {
		if c.large != nil {
			if other, ok := c.large.score(member); !ok || math.Float64bits(other) != math.Float64bits(score) {
				return true // one of the trees is damaged: the sum will not be right
			}
		}
		sum += elementSum(hashOf(member), score)
		return true
	})
	return sum
}

// Score returns the score of member.
func (c *contents) Score(member []byte) (score float64, ok bool) {
	if c.large != nil {
		return c.large.score(member)
	}
	r, _, ok := find(c.buf, member)
	return r.score, ok
}

// Add gives member a score, which is not NaN, and reports whether it is new, whether
// anything changed, and by how much Size has grown. member must not be memory of the set.
func (z *ZSet) Add(member []byte, score float64, lim Limits) (added, changed bool, grown int64) {
	if score != score {
		panic("zset: a score is not a number")
	}
	before := z.Size()
	was, found := float64(0), false
	if z.large == nil {
		var r packedRecord
		if r, _, found = find(z.buf, member); found {
			was = r.score
			if was == score {
				return false, false, 0
			}
			score = withoutSign(score)
			z.splice(r.start, r.end, 0, z.open())
			z.setPacked(member, score, false)
		} else if z.fits(lim, member) {
			score = withoutSign(score)
			z.setPacked(member, score, z.open())
		} else {
			z.Grow()
		}
	}
	hash := hashOf(member)
	if z.large != nil {
		z.open()
		if was, found, changed = z.large.set(hash, member, score); !changed {
			return false, false, z.Size() - before
		}
	}
	z.sum += elementSum(hash, score)
	if found {
		z.sum -= elementSum(hash, was)
	} else {
		z.n++
	}
	return !found, true, z.Size() - before
}

// Remove takes out member, and reports whether it was there and by how much Size has
// grown (it has not). member must not be memory of the set.
func (z *ZSet) Remove(member []byte) (removed bool, grown int64) {
	hash, before := hashOf(member), z.Size()
	var score float64
	if z.large != nil {
		var ok bool
		if score, ok = z.large.score(member); !ok {
			return false, 0
		}
		z.open()
		z.large.remove(hash, member, score)
	} else {
		r, _, ok := find(z.buf, member)
		if !ok {
			return false, 0
		}
		score = r.score
		z.splice(r.start, r.end, 0, z.open())
	}
	z.sum -= elementSum(hash, score)
	z.n--
	return true, z.Size() - before
}

// RemoveRange takes out the members from rank from on, up to the one before rank to, and
// returns by how much Size has grown.
func (z *ZSet) RemoveRange(from, to int) (grown int64) {
	before := z.Size()
	if z.large == nil {
		z.removePackedRange(from, to)
		return z.Size() - before
	}
	var member []byte
	for range to - from {
		m, _ := z.At(from)
		member = append(member[:0], m...)
		z.Remove(member)
	}
	return z.Size() - before
}

func (z *ZSet) removePackedRange(from, to int) {
	start, end, rank := len(z.buf), len(z.buf), 0
	eachPacked(z.buf, func(r packedRecord) bool {
		if rank == from {
			start = r.start
		}
		if rank == to {
			end = r.start
			return false
		}
		if rank >= from {
			z.sum -= elementSum(hashOf(r.member), r.score)
			z.n--
		}
		rank++
		return true
	})
	if start < end {
		z.splice(start, end, 0, z.open())
	}
}

// Grow gives the set its large form. There is no way back.
func (z *ZSet) Grow() {
	if z.large != nil {
		return
	}
	l := newLarge()
	eachPacked(z.buf, func(r packedRecord) bool {
		l.set(hashOf(r.member), r.member, r.score)
		return true
	})
	z.large, z.buf = l, nil
	z.head.Fresh()
}

// fits reports whether a packed set may stay so with another member.
func (z *ZSet) fits(lim Limits, member []byte) bool {
	return z.n < min(lim.Members, maxPackedMembers) && len(member) <= lim.Bytes &&
		len(z.buf)+maxScoreBytes*z.n+len(member)+maxRecordHead <= maxPackedBlock
}

// maxRecordHead is what a record has besides its member, at most, in a block of that size.
const maxRecordHead = 3 + maxScoreBytes

// elementSum is what a member with its score adds to Sum.
func elementSum(hash uint64, score float64) uint64 {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:], hash)
	binary.LittleEndian.PutUint64(b[8:], math.Float64bits(score))
	return xxhash.Sum64(b[:])
}

// Digest writes everything to d: form, number, and members and scores in order.
func (c *contents) Digest(d *xxhash.Digest) {
	var head [2 * binary.MaxVarintLen64]byte
	if c.Packed() {
		head[0] = 1
	}
	_, _ = d.Write(binary.AppendUvarint(head[:1], uint64(c.n)))
	c.Ascend(0, func(member []byte, score float64) bool {
		_, _ = d.Write(binary.AppendUvarint(head[:0], uint64(len(member))))
		_, _ = d.Write(member)
		_, _ = d.Write(binary.LittleEndian.AppendUint64(head[:0], math.Float64bits(score)))
		return true
	})
}
