package list

import (
	"bytes"
	"encoding/binary"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"
)

// List is a list in the hands of its writer. The zero value is empty and packed.
// It must not be copied.
type List struct {
	contents
	epoch uint64 // of the owner; see Own
	views atomic.Int32
	flags atomic.Uint32
}

// The flags of a List.
const (
	// seen: a view or an older List may hold what is here. The next change copies
	// what it touches of that while somebody looks, and clears the flag.
	seen = 1 << iota
	// lent: the packed block is another List's too, for good.
	lent
	// watched: the owner has views of his own; see Own.
	watched
)

// contents is what List and View have in common. They can be read.
type contents struct {
	buf  []byte // packed form: the records of a leaf
	sum  uint64 // packed form
	n    uint32 // packed form
	lp   uint32 // packed form: see ListpackBytes
	tree *tree  // large form, nil in the packed one
}

// New returns an empty packed list.
func New() *List { return new(List) }

// NewLarge returns an empty list in the large form.
func NewLarge() *List {
	l := new(List)
	l.tree = newTree()
	return l
}

// Len returns the number of elements.
func (c *contents) Len() int {
	if c.tree != nil {
		return c.tree.all.n
	}
	return int(c.n)
}

// Packed reports whether the list has its packed form.
func (c *contents) Packed() bool { return c.tree == nil }

// Encoding is the word that Redis has for the form.
func (c *contents) Encoding() string {
	if c.Packed() {
		return "listpack"
	}
	return "quicklist"
}

// Lasting reports whether e, an element that the list has handed out, stays as it is
// when the list changes: long ones of a large list have memory of their own.
func (c *contents) Lasting(e []byte) bool { return c.tree != nil && len(e) > inlineMax }

// Sum returns a hash of the elements in their order, whatever the form.
func (c *contents) Sum() uint64 {
	if c.tree != nil {
		return c.tree.all.sum
	}
	return c.sum
}

// Resum counts Sum anew, from the elements as they are in memory.
func (c *contents) Resum() uint64 {
	all := nothing
	c.Forward(0, func(e []byte) bool {
		all.sum = add(all.sum, mul(all.pow, hashOf(e)))
		all.pow = mul(all.pow, base)
		return true
	})
	return all.sum
}

// Digest writes everything to d: form, number, and the elements in order.
func (c *contents) Digest(d *xxhash.Digest) {
	var head [binary.MaxVarintLen64 + 1]byte
	if c.Packed() {
		head[0] = 1
	}
	_, _ = d.Write(binary.AppendUvarint(head[:1], uint64(c.Len())))
	c.Forward(0, func(e []byte) bool {
		_, _ = d.Write(binary.AppendUvarint(head[:0], uint64(len(e))))
		_, _ = d.Write(e)
		return true
	})
}

// block returns the packed form as a leaf, which shares its memory.
func (c *contents) block() leaf { return leaf{n: int(c.n), buf: c.buf} }

// openBlock prepares a change of the packed form, whose block it returns.
func (l *List) openBlock() leaf {
	b := l.block()
	if l.open() {
		b.buf = block(len(b.buf), len(b.buf)/16)
		copy(b.buf, l.buf)
	}
	return b
}

// keepBlock takes over a changed block.
func (l *List) keepBlock(b leaf, sum uint64, lp int64) {
	l.buf, l.n, l.sum, l.lp = b.buf, uint32(b.n), sum, uint32(lp)
}

// PushFront puts a copy of value before all elements.
func (l *List) PushFront(value []byte) { l.Insert(0, value) }

// PushBack puts a copy of value behind all elements.
func (l *List) PushBack(value []byte) { l.Insert(l.Len(), value) }

// Insert puts a copy of value before the i-th element, counted from 0, or behind
// all when there are i of them.
func (l *List) Insert(i int, value []byte) {
	if i < 0 || i > l.Len() {
		panic("list: no place of that number")
	}
	if l.tree == nil && len(l.buf)+packedBytes(len(value)) > maxPackedBlock {
		l.Grow()
	}
	if l.tree != nil {
		l.open()
		l.tree.insert(i, value)
		return
	}
	b := l.openBlock()
	all := run{n: int(l.n), sum: l.sum, pow: power(int(l.n)), lp: int64(l.lp)}
	switch e := only(value); i {
	case int(l.n):
		all = all.then(e)
	case 0:
		all = e.then(all)
	default:
		all = all.inserted(b.run(0, i, sumsOnly), e)
	}
	b.insert(b.seek(i), value, maxPackedBlock, len(b.buf)/16)
	l.keepBlock(b, all.sum, all.lp)
}

// Set gives the i-th element, counted from 0, another value, of which it takes a copy.
func (l *List) Set(i int, value []byte) {
	old := l.At(i)
	if l.tree == nil && len(l.buf)-packedBytes(len(old))+packedBytes(len(value)) > maxPackedBlock {
		l.Grow()
	}
	if l.tree != nil {
		l.open()
		l.tree.set(i, value)
		return
	}
	sum := add(l.sum, mul(power(i), sub(hashOf(value), hashOf(old))))
	lp := int64(l.lp) + ListpackBytes(value) - ListpackBytes(old)
	b := l.openBlock()
	b.replace(b.seek(i), value, maxPackedBlock, 0)
	l.keepBlock(b, sum, lp)
}

// Remove takes out the elements from the i-th to the one before the j-th, counted
// from 0.
func (l *List) Remove(i, j int) {
	if i < 0 || j > l.Len() || i > j {
		panic("list: no range of those numbers")
	}
	switch {
	case i == j:
	case l.tree != nil:
		l.open()
		l.tree.remove(i, j)
	default:
		b := l.openBlock()
		all := run{n: int(l.n), sum: l.sum, lp: int64(l.lp)}
		if gone := b.run(i, j, 0); j == b.n {
			all.sum, all.lp = sub(all.sum, mul(power(i), gone.sum)), all.lp-gone.lp
		} else {
			all = all.removed(b.run(0, i, sumsOnly), gone)
		}
		b.cut(b.seek(i), b.seek(j), j-i)
		b.trim()
		l.keepBlock(b, all.sum, all.lp)
	}
}

// RemoveEqual takes out elements equal to value, the first ones or, with fromBack, the
// last ones, most of them at most, and returns how many.
func (l *List) RemoveEqual(value []byte, most int, fromBack bool) (removed int) {
	if most <= 0 {
		return 0
	}
	if l.tree != nil {
		l.open()
		return l.tree.purge(value, most, fromBack)
	}
	b := l.block()
	found := b.count(value)
	if found == 0 {
		return 0
	}
	removed = min(found, most)
	b = l.openBlock()
	b.purge(value, skipped(found, removed, fromBack), removed)
	b.trim()
	all := b.run(0, b.n, 0)
	l.keepBlock(b, all.sum, all.lp)
	return removed
}

// skipped is how many of the elements found stay before the first that goes.
func skipped(found, removed int, fromBack bool) int {
	if fromBack {
		return found - removed
	}
	return 0
}

// Index returns the number of the first element equal to value.
func (c *contents) Index(value []byte) (i int, found bool) {
	c.Forward(0, func(e []byte) bool {
		found = bytes.Equal(e, value)
		i++
		return !found
	})
	return i - 1, found
}
