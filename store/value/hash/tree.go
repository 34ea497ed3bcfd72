package hash

import (
	"strings"

	"github.com/cespare/xxhash/v2"
)

const (
	// fanout is the most kids that an inner node has, fanoutMin the number below
	// which it looks for another to join.
	fanout    = 64
	fanoutMin = fanout / 4
	// maxHeight is the number of inner nodes from the root to a leaf for more
	// fields than memory has room for.
	maxHeight = 12
)

// tree is a B+-tree in order of (hash of the field, field). All leaves are at the
// same depth below the root.
type tree struct {
	root   *inner
	height int // inner nodes on the way to a leaf
	bytes  int64

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

// kid is a child of an inner node. (hash, field) is not above any field below it,
// and above all fields of the kids before; that of the first kid is not looked at.
type kid struct {
	hash  uint64
	field string // empty unless fields of one hash are on either side
	n     int    // fields below
	leaf  *leaf  // this
	inner *inner // or this
}

func newTree() *tree {
	return &tree{root: &inner{kids: []kid{{leaf: new(leaf)}}}, height: 1}
}

func hashOf(field []byte) uint64 { return xxhash.Sum64(field) }

// find returns the kid that field belongs to.
func (in *inner) find(hash uint64, field []byte) int {
	low, high := 1, len(in.kids) // the first kid above is in [low, high]
	for low < high {
		mid := int(uint(low+high) / 2)
		k := &in.kids[mid]
		if k.hash < hash || k.hash == hash && k.field <= string(field) {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low - 1
}

func (t *tree) get(hash uint64, field []byte) (value []byte, ok bool) {
	k := &t.root.kids[t.root.find(hash, field)]
	for k.inner != nil {
		k = &k.inner.kids[k.inner.find(hash, field)]
	}
	i, ok := k.leaf.search(hash, field)
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

// descend finds the leaf of a field, and makes it and what is above it ready to
// be changed.
func (t *tree) descend(p *path, hash uint64, field []byte) *leaf {
	t.root = t.ownInner(t.root)
	in := t.root
	for d := range t.height - 1 {
		p[d] = step{in, in.find(hash, field)}
		k := p[d].kid()
		k.inner = t.ownInner(k.inner)
		in = k.inner
	}
	last := &p[t.height-1]
	*last = step{in, in.find(hash, field)}
	return t.ownLeaf(last.kid())
}

// mustCopy reports whether a node of this gen may be somebody else's too.
func (t *tree) mustCopy(gen uint64) bool {
	return gen < t.floor || t.guarded && gen < t.gen
}

func (t *tree) ownInner(in *inner) *inner {
	if t.mustCopy(in.gen) {
		in = &inner{kids: append(make([]kid, 0, len(in.kids)+len(in.kids)/8+1), in.kids...)}
	}
	in.gen = t.gen
	return in
}

func (t *tree) ownLeaf(k *kid) *leaf {
	if t.mustCopy(k.leaf.gen) {
		k.leaf = k.leaf.clone(t.gen)
	}
	k.leaf.gen = t.gen
	return k.leaf
}

// set returns the element sum that field had, 0 when it is new.
func (t *tree) set(hash uint64, field, value []byte) (was uint64, added bool) {
	var p path
	l := t.descend(&p, hash, field)
	i, found := l.search(hash, field)
	if found {
		_, old := l.at(i)
		was = elementSum(hash, old)
		t.bytes += partBytes(len(value)) - partBytes(len(old))
		l.setValue(i, value)
	} else {
		t.bytes += fieldBytes(len(field), len(value))
		l.insert(i, hash, field, value)
		p.count(t.height, 1)
	}
	if l.weight() > leafMax && l.n > 1 {
		t.split(&p, i)
	}
	return was, !found
}

func (p *path) count(height, by int) {
	for d := range height {
		p[d].kid().n += by
	}
}

// split makes two of the leaf at the end of p, whose record i has just changed.
func (t *tree) split(p *path, i int) {
	k := p[t.height-1].kid()
	l := k.leaf
	at := l.middle()
	if i == l.n-1 && p.rightmost(t.height) {
		at = i // in a tree that is filled in order, leaves stay full
	}
	right := kid{hash: l.hash(at), leaf: join(t.gen, span{l, at, l.n})}
	if l.hash(at-1) == right.hash {
		right.field = strings.Clone(string(l.field(at)))
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
	return kid{hash: first.hash, field: first.field, n: total(right.kids), inner: right}
}

func total(kids []kid) (n int) {
	for i := range kids {
		n += kids[i].n
	}
	return n
}

// remove takes out a field that is there.
func (t *tree) remove(hash uint64, field []byte) {
	var p path
	l := t.descend(&p, hash, field)
	i, found := l.search(hash, field)
	if !found {
		panic("hash: a field that was found is gone")
	}
	_, old := l.at(i)
	t.bytes -= fieldBytes(len(field), len(old))
	l.remove(i)
	p.count(t.height, -1)
	if l.weight() < leafMin {
		t.shrink(&p, l.n == 0)
	}
}

// shrink joins the leaf at the end of p, and what is above it, with others as far
// as they have become small. An empty one goes, with nodes that hold nothing else.
func (t *tree) shrink(p *path, empty bool) {
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
func (t *tree) mergeLeaf(s step) {
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
func (t *tree) mergeInner(s step) {
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
		a.inner.kids[at].hash, a.inner.kids[at].field = b.hash, b.field
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
