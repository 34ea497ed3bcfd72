package zset

import (
	"github.com/lockstepkv/lockstep/store/value/btree"
	"github.com/lockstepkv/lockstep/store/value/epoch"
)

// View is a sorted set as it was when Freeze was called. Any goroutine may read it
// while the set changes.
type View struct {
	contents
	at  large // what contents.large points to
	of  [2]btree.Tree
	end epoch.View
}

// Freeze returns a view. It costs the same for every size.
func (z *ZSet) Freeze() *View {
	v := &View{contents: z.contents}
	z.head.Viewed(&v.end)
	if z.large != nil {
		v.of = [2]btree.Tree{z.large.members.View(), z.large.scores.View()}
		v.at = large{&v.of[0], &v.of[1]}
		v.large = &v.at
	}
	return v
}

// Release ends the view, which must not be read any more. Calling it twice does
// no harm.
func (v *View) Release() {
	if v.end.Release() {
		v.contents, v.of = contents{}, [2]btree.Tree{}
	}
}

// Own returns the set that an owner who freezes many at once may change instead of z: see
// epoch.Own. When z may be part of what he froze, the answer is another ZSet that shares
// everything with z, which must not be changed any more. Otherwise it is z. The owner calls
// Own before each row of changes.
func (z *ZSet) Own(at uint64, viewed bool) *ZSet {
	return epoch.Own(&z.head, z, at, viewed, func(forGood bool) (*ZSet, *epoch.Head) {
		f := z.fork(forGood)
		return f, &f.head
	})
}

// Clone returns another set with the same members, in time that does not depend
// on their number. From then on each of the two copies what it changes.
func (z *ZSet) Clone() *ZSet {
	c := z.fork(true)
	if z.large != nil {
		z.large.members.Lend()
		z.large.scores.Lend()
	} else {
		z.head.Lend()
	}
	return c
}

// fork returns a set that shares everything with z. With forGood that never ends;
// otherwise it ends when nobody who sees z is left.
func (z *ZSet) fork(forGood bool) *ZSet {
	c := &ZSet{contents: z.contents}
	z.head.Inherit(&c.head)
	if z.large != nil {
		c.large = &large{z.large.members.Fork(forGood), z.large.scores.Fork(forGood)}
	} else {
		z.head.Forked(&c.head, forGood)
	}
	return c
}

// open prepares a change, and reports whether the packed block must be copied.
func (z *ZSet) open() (copyBlock bool) {
	is := z.head.Open()
	if z.large != nil {
		z.large.members.Open(is.Seen, is.Guarded)
		z.large.scores.Open(is.Seen, is.Guarded)
	}
	return is.Copy
}
