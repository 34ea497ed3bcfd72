package set

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"
	"github.com/lockstepkv/lockstep/store/value/btree"
	"github.com/lockstepkv/lockstep/store/value/epoch"
)

// Limits say how far a set has one of the forms for small ones. They come from the caller
// with each change, since all replicas must have the same.
type Limits struct {
	Ints    int // a set of integers has no more members
	Members int // a packed set has no more members
	Bytes   int // no member of a packed set is longer
}

// Whatever Limits say, a block stays below these, so that a copy of it and a search in it
// have a bound.
const (
	maxInts   = 8192
	maxPacked = 2048
	maxBlock  = 80 << 10
)

// MaxLimits are the most that has an effect.
func MaxLimits() Limits { return Limits{Ints: maxInts, Members: maxPacked, Bytes: maxBlock} }

// DefaultLimits are those of Redis.
func DefaultLimits() Limits { return Limits{Ints: 512, Members: 128, Bytes: 64} }

func (lim Limits) ints() int    { return min(lim.Ints, maxInts) }
func (lim Limits) members() int { return min(lim.Members, maxPacked) }

// Set is a set in the hands of its writer. The zero value is empty and packed. It must not
// be copied.
type Set struct {
	contents
	head epoch.Head
}

// contents is what Set and View have in common. They can be read.
type contents struct {
	n     int32
	width uint8 // bytes of an integer of buf; 0: buf has members
	sum   uint64
	buf   []byte
	tree  *btree.Tree // large form: the key is the hash of the member, and there is no value
}

// New returns an empty set of the form that Redis gives a new one which begins with member and
// is to have count members.
func New(member []byte, count int, lim Limits) *Set {
	if _, ok := parseInt(member); ok && count <= lim.Ints {
		return NewInts()
	}
	s := new(Set)
	if count > lim.Members {
		s.Grow()
	}
	return s
}

// NewInts returns an empty set of integers.
func NewInts() *Set { return &Set{contents: contents{width: leastWidth}} }

// NewLarge returns an empty set in the large form, which it keeps.
func NewLarge() *Set {
	s := new(Set)
	s.Grow()
	return s
}

// Len returns the number of members.
func (c *contents) Len() int { return int(c.n) }

// Packed reports whether the set has one of the forms for small ones.
func (c *contents) Packed() bool { return c.tree == nil }

// Ints reports whether the set has the form of integers.
func (c *contents) Ints() bool { return c.width > 0 }

// Encoding is Redis's word for the form.
func (c *contents) Encoding() string {
	switch {
	case c.tree != nil:
		return "hashtable"
	case c.width > 0:
		return "intset"
	}
	return "listpack"
}

// Sum returns a hash of the members, which does not depend on their order, and of the
// width of integers.
func (c *contents) Sum() uint64 { return c.sum + uint64(c.width) }

// Resum counts Sum anew, from the members as they are in memory.
func (c *contents) Resum() uint64 {
	sum := uint64(c.width)
	c.Each(func(member []byte) bool {
		sum += memberSum(hashOf(member))
		return true
	})
	return sum
}

func hashOf(member []byte) uint64 { return xxhash.Sum64(member) }

// memberSum is what a member adds to Sum: the hashes alone could be made to cancel out.
func memberSum(hash uint64) uint64 {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], hash)
	return xxhash.Sum64(b[:])
}

// Has reports whether member is in the set.
func (c *contents) Has(member []byte) bool {
	switch {
	case c.tree != nil:
		_, ok := c.tree.Get(hashOf(member), member)
		return ok
	case c.width > 0:
		v, ok := parseInt(member)
		if ok {
			_, ok = c.searchInt(v)
		}
		return ok
	}
	_, _, ok := find(c.buf, member)
	return ok
}

// Lasting reports whether p, a member that the set has handed out, stays as it is when the
// set changes: long ones of a large set have memory of their own.
func (c *contents) Lasting(p []byte) bool { return c.tree != nil && len(p) > btree.MaxInline }

// Expect says that about count members will be added: Redis chooses the large form at once.
func (s *Set) Expect(count int, lim Limits) {
	if s.tree == nil && (s.width > 0 && count > lim.Ints || s.width == 0 && count > lim.Members) {
		s.Grow()
	}
}

// Add puts a copy of member into the set, and reports whether it is new.
func (s *Set) Add(member []byte, lim Limits) bool {
	if s.width > 0 {
		if v, ok := parseInt(member); ok {
			return s.addInt(v, lim)
		}
		if s.packs(member, lim) {
			s.toPacked()
		} else {
			s.Grow()
		}
	}
	if s.tree == nil {
		if _, _, there := find(s.buf, member); there {
			return false
		}
		if s.fits(member, lim) {
			s.append(member)
			s.count(member, 1)
			return true
		}
		s.Grow()
	}
	if !s.insert(member) {
		return false
	}
	s.count(member, 1)
	return true
}

// fits reports whether a packed set may have another member.
func (s *Set) fits(member []byte, lim Limits) bool {
	return s.Len() < lim.members() && len(member) <= lim.Bytes && len(s.buf)+packedBytes(len(member)) <= maxBlock
}

// packs reports whether a set of integers may have a member that is none and be packed then.
func (s *Set) packs(member []byte, lim Limits) bool {
	return s.Len() < lim.members() && len(member) <= lim.Bytes && s.longestInt() <= lim.Bytes &&
		s.Len()*packedBytes(maxDigits)+packedBytes(len(member)) <= maxBlock
}

func (s *Set) count(member []byte, by int32) {
	s.n += by
	if by > 0 {
		s.sum += memberSum(hashOf(member))
	} else {
		s.sum -= memberSum(hashOf(member))
	}
}

// insert puts member into the tree.
func (s *Set) insert(member []byte) (added bool) {
	hash := hashOf(member)
	if _, there := s.tree.Get(hash, member); there {
		return false
	}
	s.open()
	insertInto(s.tree, hash, member)
	return true
}

func insertInto(t *btree.Tree, hash uint64, member []byte) {
	var at btree.Cursor
	t.Seek(&at, hash, member)
	at.Set(nil)
	t.Bytes += memberBytes(len(member))
}

// Remove takes member out, and reports whether it was there.
func (s *Set) Remove(member []byte) bool {
	switch {
	case s.tree != nil:
		hash := hashOf(member)
		if _, there := s.tree.Get(hash, member); !there {
			return false
		}
		s.open()
		var at btree.Cursor
		s.tree.Seek(&at, hash, member)
		at.Remove()
		s.tree.Bytes -= memberBytes(len(member))
	case s.width > 0:
		if v, ok := parseInt(member); !ok || !s.removeInt(v) {
			return false
		}
	default:
		from, to, there := find(s.buf, member)
		if !there {
			return false
		}
		s.splice(from, to, 0)
	}
	s.count(member, -1)
	return true
}

// Grow gives the set its large form. There is no way back.
func (s *Set) Grow() {
	if s.tree != nil {
		return
	}
	t := btree.New(btree.MaxInline)
	s.Each(func(member []byte) bool {
		insertInto(t, hashOf(member), member)
		return true
	})
	s.tree, s.buf, s.width = t, nil, 0
	s.head.Fresh()
}

// Renew gives the set the form that it would have if its members had come just now: integers
// if it has that form, else packed if they fit. It is what is left of a set of which Redis
// has popped nearly all.
func (s *Set) Renew(lim Limits) {
	fresh := new(Set)
	if s.width > 0 {
		fresh = NewInts()
	}
	s.Each(func(member []byte) bool {
		fresh.Add(member, lim)
		return true
	})
	s.contents = fresh.contents
	s.head.Fresh()
}

// ToInts gives a set whose members are all integers that form, if they are few enough: what
// Redis does with the result of an intersection.
func (s *Set) ToInts(lim Limits) {
	if s.width > 0 || s.Len() > lim.ints() {
		return
	}
	ints, ok := NewInts(), true
	s.Each(func(member []byte) bool {
		var v int64
		if v, ok = parseInt(member); ok {
			ints.addInt(v, MaxLimits())
		}
		return ok
	})
	if ok {
		s.contents = ints.contents
		s.head.Fresh()
	}
}

// Digest writes everything to d: form, number, and members in order.
func (c *contents) Digest(d *xxhash.Digest) {
	var head [binary.MaxVarintLen64 + 2]byte
	if c.Packed() {
		head[0] = 1
	}
	head[1] = c.width
	_, _ = d.Write(binary.AppendUvarint(head[:2], uint64(c.n)))
	c.Each(func(member []byte) bool {
		_, _ = d.Write(binary.AppendUvarint(head[:0], uint64(len(member))))
		_, _ = d.Write(member)
		return true
	})
}
