package list

import "sync/atomic"

// View is a list as it was when Freeze was called. Any goroutine may read it
// while the list changes.
type View struct {
	contents
	at       tree // what contents.tree points to
	of       *List
	released atomic.Bool
}

// Freeze returns a view. It costs the same for every size.
func (l *List) Freeze() *View {
	l.views.Add(1)
	l.flags.Or(seen)
	v := &View{contents: l.contents, of: l}
	if l.tree != nil {
		v.at = *l.tree
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

// Own returns the list that an owner who freezes many of them at once may change
// instead of l. epoch is the number of times that he has done so, and viewed says
// whether anything of what he froze is left. When l may be part of one, the answer is another
// List that shares everything with l, which must not be changed any more.
// Otherwise it is l. The owner calls Own before each row of changes.
func (l *List) Own(epoch uint64, viewed bool) *List {
	own := l
	if l.epoch != epoch && viewed {
		own = l.fork(l.views.Load() > 0)
	}
	own.epoch = epoch
	if viewed {
		own.flags.Or(watched)
	} else {
		own.clearFlags(watched)
	}
	return own
}

// Clone returns another list with the same elements, in time that does not depend
// on their number. From then on each of the two copies what it changes.
func (l *List) Clone() *List {
	c := l.fork(true)
	if l.tree != nil {
		l.tree.gen++
		l.tree.floor = l.tree.gen
	} else {
		l.flags.Or(lent)
	}
	return c
}

// fork returns a list that shares everything with l. With forGood that never ends;
// otherwise it ends when nobody who sees l is left.
func (l *List) fork(forGood bool) *List {
	c := &List{contents: l.contents, epoch: l.epoch}
	if l.tree != nil {
		t := *l.tree
		t.gen++
		if forGood {
			t.floor = t.gen
		}
		c.tree = &t
		return c
	}
	c.flags.Store(seen | l.flags.Load()&lent)
	if forGood {
		c.flags.Or(lent)
	}
	return c
}

// open prepares a change, and reports whether the packed block must be copied.
func (l *List) open() (copyBlock bool) {
	flags := l.flags.Load()
	guarded := flags&watched != 0 || l.views.Load() > 0
	if l.tree != nil {
		l.tree.guarded = guarded
		if flags&seen != 0 {
			l.tree.gen++
		}
	}
	if flags&(seen|lent) != 0 {
		l.clearFlags(seen | lent)
	}
	return flags&lent != 0 || flags&seen != 0 && guarded
}

func (l *List) clearFlags(f uint32) { l.flags.And(^f) }
