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
	c.tree.root.from(0, func(_ uint64, l *leaf, i int) bool { return fn(l.at(i)) })
}

// from calls fn for every record whose hash is not below that until it returns
// false.
func (in *inner) from(hash uint64, fn func(hash uint64, l *leaf, i int) bool) bool {
	first := 0
	if hash > 0 {
		first = in.find(hash, nil)
	}
	for at := first; at < len(in.kids); at++ {
		k := &in.kids[at]
		if k.inner != nil {
			if !k.inner.from(hash, fn) {
				return false
			}
			hash = 0 // everything behind is above
			continue
		}
		i := 0
		if hash > 0 {
			i, _ = k.leaf.search(hash, nil)
		}
		for ; i < k.leaf.n; i++ {
			if !fn(k.leaf.hash(i), k.leaf, i) {
				return false
			}
		}
		hash = 0
	}
	return true
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
	c.tree.root.from(cursor<<cursorShift, func(hash uint64, l *leaf, i int) bool {
		pos := hash >> cursorShift
		if begun && pos != last && !more() {
			next = last + 1
			return false
		}
		fn(l.at(i))
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
	in := c.tree.root
	for {
		i := 0
		for ; k >= in.kids[i].n; i++ {
			k -= in.kids[i].n
		}
		if l := in.kids[i].leaf; l != nil {
			return l.at(k)
		}
		in = in.kids[i].inner
	}
}
