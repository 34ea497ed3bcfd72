package btree

import "strings"

const (
	// fanout is the most kids that an inner node has, fanoutMin the number below
	// which it looks for another to join.
	fanout    = 64
	fanoutMin = fanout / 4
	// maxHeight is the number of inner nodes from the root to a leaf for more
	// records than memory has room for.
	maxHeight = 12
)

// Tree is a B+-tree in order of (key, name). All leaves are at the same depth below
// the root. The zero value is no tree: see New.
type Tree struct {
	// Bytes is the owner's, to account for what he has in the tree. Forks have it too.
	Bytes int64

	root   *inner
	height int // inner nodes on the way to a leaf
	inline int // names and values up to this length lie in their leaf

	// gen is raised by the first change after a view was taken. A node with a
	// smaller one may be part of the view, and is copied before it changes while
	// guarded. One below floor is another tree's too, and is always copied.
	gen, floor uint64
	guarded    bool
}

// inner is a node above leaves or above other inner nodes.
type inner struct {
	gen  uint64
	kids []kid
}

// kid is a child of an inner node. (key, name) is not above any name below it,
// and above all records of the kids before; that of the first kid is not looked at.
type kid struct {
	key   uint64
	name  string // empty unless records of one key are on either side
	n     int    // records below
	leaf  *leaf  // this
	inner *inner // or this
}

// New returns an empty tree. Names and values that are longer than inline, at most
// MaxInline, get an allocation of their own.
func New(inline int) *Tree {
	return &Tree{root: &inner{kids: []kid{{leaf: new(leaf)}}}, height: 1, inline: min(inline, MaxInline)}
}

// Len returns the number of records.
func (t *Tree) Len() int { return total(t.root.kids) }

// find returns the kid that name belongs to.
func (in *inner) find(key uint64, name []byte) int {
	low, high := 1, len(in.kids) // the first kid above is in [low, high]
	for low < high {
		mid := int(uint(low+high) / 2)
		k := &in.kids[mid]
		if k.key < key || k.key == key && k.name <= string(name) {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low - 1
}

// Get returns the value of a record. It is valid until the tree changes, and must not
// be modified.
func (t *Tree) Get(key uint64, name []byte) (value []byte, ok bool) {
	k := &t.root.kids[t.root.find(key, name)]
	for k.inner != nil {
		k = &k.inner.kids[k.inner.find(key, name)]
	}
	i, ok := k.leaf.search(key, name)
	if !ok {
		return nil, false
	}
	_, value = k.leaf.at(i)
	return value, true
}

// path leads from the root to a leaf.
type path [maxHeight]step

type step struct {
	*inner
	i int
}

func (s step) kid() *kid { return &s.kids[s.i] }

// descend finds the leaf of a name, and makes it and what is above it ready to
// be changed.
func (t *Tree) descend(p *path, key uint64, name []byte) *leaf {
	t.root = t.ownInner(t.root)
	in := t.root
	for d := range t.height - 1 {
		p[d] = step{in, in.find(key, name)}
		k := p[d].kid()
		k.inner = t.ownInner(k.inner)
		in = k.inner
	}
	last := &p[t.height-1]
	*last = step{in, in.find(key, name)}
	return t.ownLeaf(last.kid())
}

// Open prepares a change. raise says that somebody has begun to look at the tree since the
// last one, guarded that somebody may look at it now.
func (t *Tree) Open(raise, guarded bool) {
	t.guarded = guarded
	if raise {
		t.gen++
	}
}

// Fork returns a tree that shares everything with t. With forGood that never ends;
// otherwise it ends when nobody who sees t is left: see Open.
func (t *Tree) Fork(forGood bool) *Tree {
	f := *t
	f.gen++
	if forGood {
		f.floor = f.gen
	}
	return &f
}

// Lend says that what t has is another tree's too, for good.
func (t *Tree) Lend() {
	t.gen++
	t.floor = t.gen
}

// View returns what shows t as it is, as long as t is guarded.
func (t *Tree) View() Tree { return *t }

// mustCopy reports whether a node of this gen may be somebody else's too.
func (t *Tree) mustCopy(gen uint64) bool {
	return gen < t.floor || t.guarded && gen < t.gen
}

func (t *Tree) ownInner(in *inner) *inner {
	if t.mustCopy(in.gen) {
		in = &inner{kids: append(make([]kid, 0, len(in.kids)+len(in.kids)/8+1), in.kids...)}
	}
	in.gen = t.gen
	return in
}

func (t *Tree) ownLeaf(k *kid) *leaf {
	if t.mustCopy(k.leaf.gen) {
		k.leaf = k.leaf.clone(t.gen)
	}
	k.leaf.gen = t.gen
	return k.leaf
}

// Cursor is the place of a record, or where one would be, in a tree that is about to
// change. Every change of the tree ends it.
type Cursor struct {
	tree  *Tree
	path  path
	leaf  *leaf
	i     int
	found bool
	key   uint64
	name  []byte
}

// Seek puts c at the record of that key and name. name must not be memory of the tree,
// but for a long one that an earlier record has.
func (t *Tree) Seek(c *Cursor, key uint64, name []byte) {
	c.tree, c.key, c.name = t, key, name
	c.leaf = t.descend(&c.path, key, name)
	c.i, c.found = c.leaf.search(key, name)
}

// Value returns the value of the record, which is valid until the tree changes; false
// when there is none.
func (c *Cursor) Value() (value []byte, ok bool) {
	if !c.found {
		return nil, false
	}
	_, value = c.leaf.at(c.i)
	return value, true
}

// Name returns the record's name as Value does the value. A long one stays as it is when the
// tree changes.
func (c *Cursor) Name() []byte { return c.leaf.name(c.i) }

// Set gives the record a copy of value, or makes one with a copy of its name.
func (c *Cursor) Set(value []byte) { c.set(value, false) }

// SetShared is Set for a record that has another use for its name, which is the one that was
// sought: a long one is kept as it is. It is an allocation of its own, and never modified.
func (c *Cursor) SetShared(name, value []byte) {
	c.name = name
	c.set(value, true)
}

func (c *Cursor) set(value []byte, shared bool) {
	t, l := c.tree, c.leaf
	how := form{t.inline, shared}
	if c.found {
		l.setValue(c.i, value, how)
	} else {
		l.insert(c.i, c.key, c.name, value, how)
		c.path.count(t.height, 1)
	}
	if l.weight() > leafMax && l.n > 1 {
		t.split(&c.path, c.i)
	}
}

func (p *path) count(height, by int) {
	for d := range height {
		p[d].kid().n += by
	}
}

// split makes two of the leaf at the end of p, whose record i has just changed.
func (t *Tree) split(p *path, i int) {
	k := p[t.height-1].kid()
	l := k.leaf
	at := l.middle()
	if i == l.n-1 && p.rightmost(t.height) {
		at = i // in a tree that is filled in order, leaves stay full
	}
	right := kid{key: l.key(at), leaf: join(t.gen, span{l, at, l.n})}
	if l.key(at-1) == right.key {
		right.name = strings.Clone(string(l.name(at)))
	}
	k.leaf = join(t.gen, span{l, 0, at})
	k.n, right.n = k.leaf.n, right.leaf.n
	for d := t.height - 1; ; d-- {
		in, pos := p[d].inner, p[d].i+1
		in.insert(pos, right)
		if len(in.kids) <= fanout {
			return
		}
		at := len(in.kids) / 2
		if pos == len(in.kids)-1 && p.rightmost(d) {
			at = pos
		}
		right = in.cut(at, t.gen)
		if d == 0 {
			left := kid{n: total(in.kids), inner: in}
			t.root = &inner{gen: t.gen, kids: []kid{left, right}}
			t.height++
			return
		}
		p[d-1].kid().n -= right.n
	}
}

// rightmost reports whether the first steps of p go to the last kid each.
func (p *path) rightmost(steps int) bool {
	for _, s := range p[:steps] {
		if s.i != len(s.kids)-1 {
			return false
		}
	}
	return true
}

// middle returns where to split a leaf, such that both sides have about the same
// weight and one record at least.
func (l *leaf) middle() int {
	half, sum := l.weight()/2, 0
	for i := range l.n - 1 {
		r := l.record(i)
		sum += slotBytes + len(r)
		for which := range 2 {
			if r[which] == elsewhere {
				sum += longBytes
			}
		}
		if sum >= half {
			return i + 1
		}
	}
	return l.n - 1
}

func (in *inner) insert(i int, k kid) {
	if len(in.kids) == cap(in.kids) {
		n := len(in.kids)
		in.kids = append(make([]kid, 0, n+n/4+2), in.kids...)
	}
	in.kids = append(in.kids, kid{})
	copy(in.kids[i+1:], in.kids[i:])
	in.kids[i] = k
}

// cut takes the kids from at on away, into a new node.
func (in *inner) cut(at int, gen uint64) kid {
	first := in.kids[at]
	right := &inner{gen: gen, kids: append([]kid(nil), in.kids[at:]...)}
	clear(in.kids[at:])
	in.kids = in.kids[:at]
	return kid{key: first.key, name: first.name, n: total(right.kids), inner: right}
}

func total(kids []kid) (n int) {
	for i := range kids {
		n += kids[i].n
	}
	return n
}

// Remove takes out the record, which must be there.
func (c *Cursor) Remove() {
	if !c.found {
		panic("btree: no such record")
	}
	t, l := c.tree, c.leaf
	l.remove(c.i)
	c.path.count(t.height, -1)
	if l.weight() < leafMin {
		t.shrink(&c.path, l.n == 0)
	}
}

// shrink joins the leaf at the end of p, and what is above it, with others as far
// as they have become small. An empty one goes, with nodes that hold nothing else.
func (t *Tree) shrink(p *path, empty bool) {
	d := t.height - 1
	if empty {
		for d > 0 && len(p[d].kids) == 1 {
			d--
		}
		if len(p[d].kids) > 1 {
			p[d].drop(p[d].i)
		}
	} else {
		t.mergeLeaf(p[d])
	}
	for ; d > 0 && len(p[d].kids) < fanoutMin; d-- {
		t.mergeInner(p[d-1])
	}
	for t.height > 1 && len(t.root.kids) == 1 {
		t.root = t.root.kids[0].inner // descend makes it the tree's own
		t.height--
	}
}

// mergeLeaf joins the leaf at s with one beside it, if the two are small enough.
func (t *Tree) mergeLeaf(s step) {
	for _, i := range [2]int{s.i - 1, s.i} {
		if i < 0 || i+1 >= len(s.kids) {
			continue
		}
		a, b := &s.kids[i], &s.kids[i+1]
		if a.leaf.weight()+b.leaf.weight() > joinMax {
			continue
		}
		a.leaf = join(t.gen, span{a.leaf, 0, a.leaf.n}, span{b.leaf, 0, b.leaf.n})
		a.n += b.n
		s.drop(i + 1)
		return
	}
}

// mergeInner joins the inner node at s with one beside it, if the two are small
// enough.
func (t *Tree) mergeInner(s step) {
	for _, i := range [2]int{s.i - 1, s.i} {
		if i < 0 || i+1 >= len(s.kids) {
			continue
		}
		a, b := &s.kids[i], &s.kids[i+1]
		if len(a.inner.kids)+len(b.inner.kids) > fanout*3/4 {
			continue
		}
		a.inner = t.ownInner(a.inner)
		at := len(a.inner.kids)
		a.inner.kids = append(a.inner.kids, b.inner.kids...)
		a.inner.kids[at].key, a.inner.kids[at].name = b.key, b.name
		a.n += b.n
		s.drop(i + 1)
		return
	}
}

// drop takes kid i out.
func (in *inner) drop(i int) {
	n := len(in.kids)
	copy(in.kids[i:], in.kids[i+1:])
	in.kids[n-1] = kid{}
	in.kids = in.kids[:n-1]
}
