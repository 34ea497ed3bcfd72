package hash

import "sync/atomic"

// View is a hash as it was when Freeze was called. Any goroutine may read it
// while the hash changes.
type View struct {
	contents
	at       tree // what contents.tree points to
	of       *Hash
	released atomic.Bool
}

// Freeze returns a view. It costs the same for every size.
func (h *Hash) Freeze() *View {
	h.views.Add(1)
	h.flags.Or(seen)
	v := &View{contents: h.contents, of: h}
	if h.tree != nil {
		v.at = *h.tree
		v.tree = &v.at
	}
	return v
}

// Release ends the view, which must not be read any more. Calling it twice does
// no harm.
func (v *View) Release() {
	if v.released.CompareAndSwap(false, true) {
		v.contents, v.at = contents{}, tree{}
		v.of.views.Add(-1)
	}
}

// Own returns the hash that an owner who freezes many hashes at once may change
// instead of h. epoch is the number of times that he has done so, and viewed says
// whether anything of what he froze is left. When h may be part of one, the answer is another
// Hash that shares everything with h, which must not be changed any more.
// Otherwise it is h. The owner calls Own before each row of changes.
func (h *Hash) Own(epoch uint64, viewed bool) *Hash {
	own := h
	if h.epoch != epoch && viewed {
		own = h.fork(h.views.Load() > 0)
	}
	own.epoch = epoch
	if viewed {
		own.flags.Or(watched)
	} else {
		own.clearFlags(watched)
	}
	return own
}

// Clone returns another hash with the same fields, in time that does not depend
// on their number. From then on each of the two copies what it changes.
func (h *Hash) Clone() *Hash {
	c := h.fork(true)
	if h.tree != nil {
		h.tree.gen++
		h.tree.floor = h.tree.gen
	} else {
		h.flags.Or(lent)
	}
	return c
}

// fork returns a hash that shares everything with h. With forGood that never ends;
// otherwise it ends when nobody who sees h is left.
func (h *Hash) fork(forGood bool) *Hash {
	c := &Hash{contents: h.contents, epoch: h.epoch}
	if h.tree != nil {
		t := *h.tree
		t.gen++
		if forGood {
			t.floor = t.gen
		}
		c.tree = &t
		return c
	}
	c.flags.Store(seen | h.flags.Load()&lent)
	if forGood {
		c.flags.Or(lent)
	}
	return c
}

// open prepares a change, and reports whether the packed block must be copied.
func (h *Hash) open() (copyBlock bool) {
	flags := h.flags.Load()
	guarded := flags&watched != 0 || h.views.Load() > 0
	if h.tree != nil {
		h.tree.guarded = guarded
		if flags&seen != 0 {
			h.tree.gen++
		}
	}
	if flags&(seen|lent) != 0 {
		h.clearFlags(seen | lent)
	}
	return flags&lent != 0 || flags&seen != 0 && guarded
}

func (h *Hash) clearFlags(f uint32) { h.flags.And(^f) }
