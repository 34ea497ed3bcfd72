package hash

// cursorBits is how much of a hash a cursor has.
const (
	cursorBits  = 48
	cursorShift = 64 - cursorBits
)

// Each calls fn for every field in order until it returns false. The hash must
// not change meanwhile, nor may fn modify what it is given or keep it.
func (c *contents) Each(fn func(field, value []byte) bool) {
	if c.tree == nil {
		eachPacked(c.buf, fn)
		return
	}
	c.tree.Each(func(_ uint64, field, value []byte) bool { return fn(field, value) })
}

// Scan calls fn for the fields that follow cursor, at least count of them while
// there are more, and returns the cursor to go on with, 0 at the end. A scan
// starts with cursor 0. Cursors are below 2^48; they are positions in the order
// of hashes and mean the same on every replica. A packed hash is handed out at
// once, as Redis does. fn has Each's rules.
func (c *contents) Scan(cursor uint64, count int, fn func(field, value []byte)) (next uint64) {
	done := 0
	return c.ScanWhile(cursor, func() bool { return done < max(count, 1) }, func(field, value []byte) {
		fn(field, value)
		done++
	})
}

// ScanWhile is Scan for as long as more says so, which is asked before every field
// of a large hash; more fields than one come between only if their hashes agree in
// all bits that a cursor has.
func (c *contents) ScanWhile(cursor uint64, more func() bool, fn func(field, value []byte)) (next uint64) {
	if cursor >= 1<<cursorBits {
		return 0
	}
	if c.tree == nil {
		eachPacked(c.buf, func(field, value []byte) bool {
			if cursor == 0 || hashOf(field)>>cursorShift >= cursor { // it was large when the scan began
				fn(field, value)
			}
			return true
		})
		return 0
	}
	begun, last := false, uint64(0)
	c.tree.From(cursor<<cursorShift, func(hash uint64, field, value []byte) bool {
		pos := hash >> cursorShift
		if begun && pos != last && !more() {
			next = last + 1
			return false
		}
		fn(field, value)
		begun, last = true, pos
		return true
	})
	return next
}

// At returns the k-th field in order, counted from 0, and its value. Both are
// valid until the hash changes, and must not be modified.
func (c *contents) At(k int) (field, value []byte) {
	if k < 0 || k >= c.n {
		panic("hash: no field of that number")
	}
	if c.tree == nil {
		eachPacked(c.buf, func(f, v []byte) bool {
			field, value = f, v
			k--
			return k >= 0
		})
		return field, value
	}
	_, field, value = c.tree.At(k)
	return field, value
}
