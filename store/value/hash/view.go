package hash

import (
	"github.com/lockstepkv/lockstep/store/value/btree"
	"github.com/lockstepkv/lockstep/store/value/epoch"
)

// View is a hash as it was when Freeze was called. Any goroutine may read it
// while the hash changes.
type View struct {
	contents
	at  btree.Tree // what contents.tree points to
	end epoch.View
}

// Freeze returns a view. It costs the same for every size.
func (h *Hash) Freeze() *View {
	v := &View{contents: h.contents}
	h.head.Viewed(&v.end)
	if h.tree != nil {
		v.at = h.tree.View()
		v.tree = &v.at
	}
	return v
}

// Release ends the view, which must not be read any more. Calling it twice does
// no harm.
func (v *View) Release() {
	if v.end.Release() {
		v.contents, v.at = contents{}, btree.Tree{}
	}
}

// Own returns the hash that an owner who freezes many hashes at once may change
// instead of h: see epoch.Own. When h may be part of what he froze, the answer is another
// Hash that shares everything with h, which must not be changed any more.
// Otherwise it is h. The owner calls Own before each row of changes.
func (h *Hash) Own(at uint64, viewed bool) *Hash {
	return epoch.Own(&h.head, h, at, viewed, func(forGood bool) (*Hash, *epoch.Head) {
		f := h.fork(forGood)
		return f, &f.head
	})
}

// Clone returns another hash with the same fields, in time that does not depend
// on their number. From then on each of the two copies what it changes.
func (h *Hash) Clone() *Hash {
	c := h.fork(true)
	if h.tree != nil {
		h.tree.Lend()
	} else {
		h.head.Lend()
	}
	return c
}

// fork returns a hash that shares everything with h. With forGood that never ends;
// otherwise it ends when nobody who sees h is left.
func (h *Hash) fork(forGood bool) *Hash {
	c := &Hash{contents: h.contents}
	h.head.Inherit(&c.head)
	if h.tree != nil {
		c.tree = h.tree.Fork(forGood)
	} else {
		h.head.Forked(&c.head, forGood)
	}
	return c
}

// open prepares a change, and reports whether the packed block must be copied.
func (h *Hash) open() (copyBlock bool) {
	is := h.head.Open()
	if h.tree != nil {
		h.tree.Open(is.Seen, is.Guarded)
	}
	return is.Copy
}
