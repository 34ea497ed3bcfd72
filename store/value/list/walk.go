package list

// At returns the i-th element, counted from 0. It is valid until the list changes,
// and must not be modified.
func (c *contents) At(i int) []byte {
	if i < 0 || i >= c.Len() {
		panic("list: no element of that number")
	}
	if c.tree == nil {
		b := c.block()
		e, _ := b.next(b.seek(i))
		return e
	}
	in, n := c.tree.root, c.tree.all.n
	for {
		var k int
		k, i = in.find(i, n, false)
		if l := in.kids[k].leaf; l != nil {
			e, _ := l.next(l.seek(i))
			return e
		}
		in, n = in.kids[k].inner, in.kids[k].n
	}
}

// Forward calls fn for the elements from the i-th on, counted from 0, until it
// returns false. The list must not change meanwhile, nor may fn modify what it is
// given or keep it.
func (c *contents) Forward(i int, fn func(e []byte) bool) {
	switch {
	case i < 0 || i >= c.Len():
	case c.tree != nil:
		c.tree.root.forward(i, fn)
	default:
		b := c.block()
		b.forward(i, fn)
	}
}

// Backward is Forward in the other direction.
func (c *contents) Backward(i int, fn func(e []byte) bool) {
	switch {
	case i < 0 || i >= c.Len():
	case c.tree != nil:
		c.tree.root.backward(c.tree.all.n-1-i, fn)
	default:
		b := c.block()
		b.backward(b.n-1-i, fn)
	}
}

func (in *inner) forward(skip int, fn func(e []byte) bool) bool {
	for at := range in.kids {
		k := &in.kids[at]
		if skip >= k.n {
			skip -= k.n
			continue
		}
		if k.leaf != nil && !k.leaf.forward(skip, fn) || k.inner != nil && !k.inner.forward(skip, fn) {
			return false
		}
		skip = 0
	}
	return true
}

func (in *inner) backward(skip int, fn func(e []byte) bool) bool {
	for at := len(in.kids) - 1; at >= 0; at-- {
		k := &in.kids[at]
		if skip >= k.n {
			skip -= k.n
			continue
		}
		if k.leaf != nil && !k.leaf.backward(skip, fn) || k.inner != nil && !k.inner.backward(skip, fn) {
			return false
		}
		skip = 0
	}
	return true
}

func (l *leaf) forward(skip int, fn func(e []byte) bool) bool {
	for at := l.seek(skip); at < len(l.buf); {
		var e []byte
		if e, at = l.next(at); !fn(e) {
			return false
		}
	}
	return true
}

func (l *leaf) backward(skip int, fn func(e []byte) bool) bool {
	for at := l.seek(l.n - skip); at > 0; {
		at = l.before(at)
		if e, _ := l.next(at); !fn(e) {
			return false
		}
	}
	return true
}
