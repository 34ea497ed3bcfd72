package set

import "strconv"

// cursorBits is how much of a hash a cursor has.
const (
	cursorBits  = 48
	cursorShift = 64 - cursorBits
)

// Each calls fn for every member in order until it returns false. The set must not change
// meanwhile, nor may fn modify what it is given or keep it.
func (c *contents) Each(fn func(member []byte) bool) {
	switch {
	case c.tree != nil:
		c.tree.Each(func(_ uint64, member, _ []byte) bool { return fn(member) })
	case c.width > 0:
		c.eachInt(fn)
	default:
		eachPacked(c.buf, fn)
	}
}

// ScanWhile calls fn for the members that follow cursor for as long as more says so, which is
// asked before every member of a large set but the first; more members than one come between
// only if their hashes agree in all bits that a cursor has. It returns the cursor to go on
// with, 0 at the end. Cursors are below 2^48; they are positions in the order of hashes and
// mean the same on every replica. A small set is handed out at once, as Redis does. fn has
// Each's rules.
func (c *contents) ScanWhile(cursor uint64, more func() bool, fn func(member []byte)) (next uint64) {
	if cursor >= 1<<cursorBits {
		return 0
	}
	if c.tree == nil {
		c.Each(func(member []byte) bool {
			if cursor == 0 || hashOf(member)>>cursorShift >= cursor { // it was large when the scan began
				fn(member)
			}
			return true
		})
		return 0
	}
	begun, last := false, uint64(0)
	c.tree.From(cursor<<cursorShift, func(hash uint64, member, _ []byte) bool {
		pos := hash >> cursorShift
		if begun && pos != last && !more() {
			next = last + 1
			return false
		}
		fn(member)
		begun, last = true, pos
		return true
	})
	return next
}

// At returns the k-th member in order, counted from 0. It is valid until the set changes, and
// must not be modified.
func (c *contents) At(k int) (member []byte) {
	if k < 0 || k >= c.Len() {
		panic("set: no member of that number")
	}
	switch {
	case c.tree != nil:
		_, member, _ = c.tree.At(k)
		return member
	case c.width > 0:
		return strconv.AppendInt(nil, c.int(k), 10)
	}
	eachPacked(c.buf, func(m []byte) bool {
		member = m
		k--
		return k >= 0
	})
	return member
}
