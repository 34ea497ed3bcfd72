package set

import (
	"github.com/lockstepkv/lockstep/store/value/btree"
	"github.com/lockstepkv/lockstep/store/value/epoch"
)

// View is a set as it was when Freeze was called. Any goroutine may read it while the set
// changes.
type View struct {
	contents
	at  btree.Tree // what contents.tree points to
	end epoch.View
}

// Freeze returns a view. It costs the same for every size.
func (s *Set) Freeze() *View {
	v := &View{contents: s.contents}
	s.head.Viewed(&v.end)
	if s.tree != nil {
		v.at = s.tree.View()
		v.tree = &v.at
	}
	return v
}

// Release ends the view, which must not be read any more. Calling it twice does no harm.
func (v *View) Release() {
	if v.end.Release() {
		v.contents, v.at = contents{}, btree.Tree{}
	}
}

// Own returns the set that an owner who freezes many values at once may change instead of s:
// see epoch.Own.
func (s *Set) Own(at uint64, viewed bool) *Set {
	return epoch.Own(&s.head, s, at, viewed, func(forGood bool) (*Set, *epoch.Head) {
		f := s.fork(forGood)
		return f, &f.head
	})
}

// Clone returns another set with the same members, in time that does not depend on their
// number. From then on each of the two copies what it changes.
func (s *Set) Clone() *Set {
	c := s.fork(true)
	if s.tree != nil {
		s.tree.Lend()
	} else {
		s.head.Lend()
	}
	return c
}

// fork returns a set that shares everything with s. With forGood that never ends; otherwise
// it ends when nobody who sees s is left.
func (s *Set) fork(forGood bool) *Set {
	c := &Set{contents: s.contents}
	s.head.Inherit(&c.head)
	if s.tree != nil {
		c.tree = s.tree.Fork(forGood)
	} else {
		s.head.Forked(&c.head, forGood)
	}
	return c
}

// open prepares a change, and reports whether the block must be copied.
func (s *Set) open() (copyBlock bool) {
	is := s.head.Open()
	if s.tree != nil {
		s.tree.Open(is.Seen, is.Guarded)
	}
	return is.Copy
}
