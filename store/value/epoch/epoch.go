// Package epoch says who else sees a value that its writer changes in place.
//
// # Idea
//
// Freeze takes a view of a value, at once whatever its size. From then on the writer copies a
// part that the view holds before it first changes it. When nobody looks any more, nothing is
// copied. There are three ways to look: a view of this value alone, which is counted; the
// owner's view of all his values, whose end he tells (Own); and another value that was
// cloned from this one, which has no end.
//
// The writer asks Open before each change, and is kept apart from all others. Viewed
// counts as reading: it may be called by several at once.
package epoch

import "sync/atomic"

// Head is a value's part of the rule. The zero value is one that nobody else sees. It must
// not be copied.
type Head struct {
	epoch uint64 // of the owner; see Own
	views atomic.Int32
	flags atomic.Uint32
}

const (
	// seen: a view or an older value may hold what is here. The next change copies
	// what it touches of that while somebody looks, and clears the flag.
	seen = 1 << iota
	// lent: the packed block is another value's too, for good.
	lent
	// watched: the owner has views of his own; see Own.
	watched
)

// View is the reader's end of a view.
type View struct {
	of       *Head
	released atomic.Bool
}

// Viewed counts a view, and makes v its end.
func (h *Head) Viewed(v *View) {
	h.views.Add(1)
	h.flags.Or(seen)
	v.of = h
}

// Views is how many views there are.
func (h *Head) Views() int { return int(h.views.Load()) }

// Release ends the view, and reports whether it had not ended before. Whoever it was taken
// for must not read any more.
func (v *View) Release() bool {
	if !v.released.CompareAndSwap(false, true) {
		return false
	}
	v.of.views.Add(-1)
	return true
}

// Own is called by an owner who freezes many values at once, before each row of changes.
// epoch is the number of times that he has done so, and viewed says whether anything of what
// he froze is left. When the value may be part of one, fork must return another one that
// shares everything with it, and nobody changes it any more; with forGood, as it is then
// given, that never ends. Own returns the head of the value that is to be changed.
func Own[V any](h *Head, value V, epoch uint64, viewed bool, fork func(forGood bool) (V, *Head)) V {
	own := value
	if h.epoch != epoch && viewed {
		own, h = fork(h.views.Load() > 0)
	}
	h.epoch = epoch
	if viewed {
		h.flags.Or(watched)
	} else {
		h.clear(watched)
	}
	return own
}

// Forked makes f the head of a packed value that shares its block with the value of h.
func (h *Head) Forked(f *Head, forGood bool) {
	f.flags.Store(seen | h.flags.Load()&lent)
	if forGood {
		f.flags.Or(lent)
	}
}

// Inherit gives f the epoch of h.
func (h *Head) Inherit(f *Head) { f.epoch = h.epoch }

// Lend says that the packed block is another value's too, for good.
func (h *Head) Lend() { h.flags.Or(lent) }

// Fresh says that the value consists of new parts only.
func (h *Head) Fresh() { h.clear(seen | lent) }

// Change is what Open tells of the change that comes.
type Change struct {
	Seen    bool // somebody has begun to look since the last one
	Guarded bool // somebody may look now
	Copy    bool // a packed block must be copied
}

// Open prepares a change.
func (h *Head) Open() Change {
	flags := h.flags.Load()
	guarded := flags&watched != 0 || h.views.Load() > 0
	if flags&(seen|lent) != 0 {
		h.clear(seen | lent)
	}
	return Change{
		Seen: flags&seen != 0, Guarded: guarded,
		Copy: flags&lent != 0 || flags&seen != 0 && guarded,
	}
}

func (h *Head) clear(f uint32) { h.flags.And(^f) }
